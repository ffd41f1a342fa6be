"""The process that has imported other people's libraries and does nothing but fork.

`python -m tests.fork_server FILE FOLDER`: the number of a socket that listens already, and where it lies. Each
connection asks for one fork (`tests.forked_python.ask`) or for none; the server ends when nobody is connected any more.
"""

import atexit
import contextlib
import fcntl
import gc
import importlib
import json
import os
import runpy
import select
import shutil
import signal
import socket
import sys
import traceback
import types
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tests.forked_python import LENGTH

LIBRARIES = [
    "torch",
    "torch.distributed.fsdp",
    "torch.distributed.run",
    "transformers.trainer",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
    "accelerate.commands.launch",
    "peft",
    "datasets",
    "lm_eval.evaluator",
    "lm_eval.models.huggingface",
    "sklearn.metrics",
    "matplotlib.pyplot",
]


Asked = tuple[list[str], str, dict[str, str], list[int]]  # words, folder, environment, numbers of the files


def serve(listener: socket.socket, python: str) -> None:
    """Fork for whoever asks, until all are gone; `python` is what a fork takes for its interpreter."""
    woken, wakes = os.pipe()
    os.set_blocking(wakes, False)
    signal.set_wakeup_fd(wakes)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is for the tests, which then leave
    waiting = {listener.accept()[0]}  # connections that have asked for nothing yet
    forks: dict[int, socket.socket | None] = {}  # by process, those who wait for its end
    while waiting or forks:
        heard = [listener, woken, *waiting, *filter(None, forks.values())]
        for one in select.select(heard, [], [])[0]:
            if one is listener:
                waiting.add(listener.accept()[0])
            elif one is woken:
                os.read(woken, 4096)
                _tell_of_ended(forks)
            elif one in waiting:
                waiting.remove(one)
                _answer(one, forks, python)
            else:
                _abandoned(one, forks)


def _answer(connection: socket.socket, forks: dict[int, socket.socket | None], python: str) -> None:
    length, files, _, _ = socket.recv_fds(connection, LENGTH, 250)
    if not length:  # it leaves and has asked for nothing
        connection.close()
        return
    asked: Asked = tuple(json.loads(connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)))
    pid = os.fork()
    if pid == 0:
        _become(asked, files, python)
    for file in files:
        os.close(file)
    connection.sendall(pid.to_bytes(4, "big", signed=True))
    forks[pid] = connection


def _tell_of_ended(forks: dict[int, socket.socket | None]) -> None:
    while forks:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if connection := forks.pop(pid, None):
            with contextlib.suppress(OSError):  # it may leave at this moment
                connection.sendall(os.waitstatus_to_exitcode(status).to_bytes(4, "big", signed=True))
            connection.close()


def _abandoned(connection: socket.socket, forks: dict[int, socket.socket | None]) -> None:
    """Kill the fork of one who left."""
    for pid, one in forks.items():
        if one is connection:
            os.kill(pid, signal.SIGKILL)
            forks[pid] = None
            connection.close()
            return


def _become(asked: Asked, files: list[int], python: str) -> NoReturn:
    """Be that command from now on, and end as it ends."""
    words, cwd, environment, numbers = asked
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.setsid()
    _place(files, numbers)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    sys.executable = python
    at_once = bool(environment.get("PYTHONUNBUFFERED"))
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False, buffering=1 if at_once else -1)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    os._exit(_status(words))


def _place(files: Sequence[int], numbers: Sequence[int]) -> None:
    """Give each file its number, and close all others."""
    above = max([*numbers, 2]) + 1
    moved = [fcntl.fcntl(file, fcntl.F_DUPFD, above) for file in files]
    for file, number in zip(moved, numbers, strict=True):
        os.dup2(file, number)
    listing = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    for name in os.listdir(listing):
        if int(name) not in numbers:
            with contextlib.suppress(OSError):  # the listing itself is closed
                os.close(int(name))


def _status(words: list[str]) -> int:
    status: object = 0
    try:
        _execute(words)
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
        status = 1
    if status is not None and not isinstance(status, int):
        print(status, file=sys.stderr)
        status = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return int(status or 0)


def _execute(words: list[str]) -> None:
    first = next(n for n, word in enumerate(words) if word in ("-m", "-c") or not word.startswith("-"))
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    if words[first] == "-m":
        sys.path[:0] = [os.getcwd(), *paths]
        sys.argv = words[first + 1 :]
        runpy.run_module(words[first + 1], run_name="__main__", alter_sys=True)
    elif words[first] == "-c":
        sys.path[:0] = ["", *paths]
        sys.argv = ["-c", *words[first + 2 :]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(words[first + 1], "<string>", "exec"), main.__dict__)
    else:
        sys.path[:0] = [str(Path(words[first]).parent), *paths]
        sys.argv = words[first:]
        runpy.run_path(words[first], run_name="__main__")


if __name__ == "__main__":
    for library in LIBRARIES:
        importlib.import_module(library)
    gc.collect()
    gc.freeze()  # a collection in a fork would write to, and so copy, the memory of all that was imported
    given, place = sys.argv[1:]
    serve(socket.socket(fileno=int(given)), f"{place}/python")
    shutil.rmtree(place, ignore_errors=True)
