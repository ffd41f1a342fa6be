"""A fresh process that need not import other people's libraries again: a fork of one that has done nothing else.

It takes ten seconds of a processor to import torch, transformers, PEFT and lm-eval, more than most commands take to do
their work. `run` and `start` stand in for `subprocess.run` and `subprocess.Popen` of this Python: the process has its
own memory, folder, environment, streams and exit status, can be killed, and imports finbench anew; so has what it
starts in turn by `sys.executable`, which is `python()` there. What is tested by what happens at an interpreter's start
(the hook, notices at import, limits, memory at its peak) starts a real one. All workers of a test run share a server.
"""

import fcntl
import hashlib
import os
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

from tests.forked_python import answer, ask

ROOT = Path(__file__).resolve().parents[1]


class Output:
    """What a process wrote to one stream, to be read while it still writes."""

    def __init__(self, path: Path, process: "Started") -> None:
        path.touch()
        self._file, self._process = path.open(encoding="utf-8", errors="replace", newline=""), process

    def readline(self) -> str:
        """Return the next line, when it is there; "" at the end of the process."""
        line = ""
        while not line.endswith("\n"):
            ended = self._process.poll() is not None
            more = self._file.readline()
            line += more
            if not more and ended:
                break
            if not more:
                time.sleep(0.02)
        return line

    def __iter__(self) -> Iterator[str]:
        return iter(self.readline, "")

    def read(self) -> str:
        """Return all that is not read yet, when the process has ended."""
        return "".join(self)


class Started:
    """A process that was started, with the names that `subprocess.Popen` gives the same things."""

    def __init__(self, command: Sequence[object], cwd: Path | None, env: Mapping[str, str] | None, text: str) -> None:
        program, *words = [str(word) for word in command]
        assert program == sys.executable, f"{program}: only this Python is forked"
        self.args = [program, *words]
        self.returncode: int | None = None  # minus the signal's number where one ended it
        self._folder = tempfile.TemporaryDirectory(prefix="forked-")
        folder = Path(self._folder.name)
        (folder / "in").write_text(text, encoding="utf-8")
        self.stdout, self.stderr = Output(folder / "out", self), Output(folder / "err", self)
        with (folder / "in").open() as given, (folder / "out").open("a") as out, (folder / "err").open("a") as error:
            files = {0: given.fileno(), 1: out.fileno(), 2: error.fileno()}
            environment = os.environ if env is None else env
            self._connection, self.pid = ask(_server(), words, str(cwd or Path.cwd()), environment, files)

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        return self._ended(0)

    def _ended(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._connection], [], [], timeout)[0]:
            self.returncode = answer(self._connection)
            self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit status."""
        status = self._ended(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the end; return what it wrote to standard output and to standard error."""
        self.wait(timeout)
        return self.stdout.read(), self.stderr.read()


def start(
    command: Sequence[object], cwd: Path | None = None, env: Mapping[str, str] | None = None, input: str = ""
) -> Started:
    """Start a command of this Python: `[sys.executable, "-m" | "-c", ...]` or a script's path."""
    return Started(command, cwd, env, input)


def run(
    command: Sequence[object],
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    input: str = "",
    timeout: float = 300,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run a command of this Python to its end; return its exit status and what it wrote."""
    started = start(command, cwd, env, input)
    try:
        out, error = started.communicate(timeout)
    finally:
        started.kill()
    done = subprocess.CompletedProcess(started.args, started.returncode or 0, out, error)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(started.args)} ended with {done.returncode}:\n{out}\n{error}")
    return done


def python() -> str:
    """Return the path of a program that does what this Python does, by a fork: for what starts `sys.executable`."""
    _server()
    return str(_folder() / "python")


@cache
def _folder() -> Path:
    """Return the folder of the server that all workers of this test run share."""
    run = f"{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())} {ROOT} {sys.executable}"
    return Path(tempfile.gettempdir()) / f"forks-{hashlib.sha256(run.encode()).hexdigest()[:16]}"


@cache
def _server() -> str:
    """Return where the server listens; if there is none, start it. It ends after the last who asked for it."""
    folder = _folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    address, lease = folder / "socket", socket.socket(socket.AF_UNIX)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            lease.connect(str(address))
        except OSError:
            address.unlink(missing_ok=True)
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(str(address))
                listener.listen(64)
                lease.connect(str(address))
                _start(folder, listener)
    lease.detach()  # open as long as this process lives
    return str(address)


def _start(folder: Path, listener: socket.socket) -> None:
    client = shlex.join([sys.executable, "-IS", str(ROOT / "tests" / "forked_python.py"), str(folder / "socket")])
    (folder / "python").write_text(f'#!/bin/sh\nexec {client} "$@"\n')
    (folder / "python").chmod(0o700)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FINBENCH")}  # of one test alone
    with (folder / "log").open("w") as log:
        subprocess.Popen(
            [sys.executable, "-m", "tests.fork_server", str(listener.fileno()), str(folder)],
            cwd=ROOT,
            env={**kept, "OMP_NUM_THREADS": "1"},
            pass_fds=[listener.fileno()],
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
