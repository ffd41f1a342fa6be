"""A fresh process that need not import other people's libraries again: a fork of one that has done nothing else.

It takes ten seconds of a processor to import torch, transformers, PEFT and lm-eval, more than most commands take to do
their work. `run` and `start` stand in for `subprocess.run` and `subprocess.Popen` of this Python: the process has its
own memory, folder, environment, streams and exit status, can be killed, and imports finbench anew. What is tested by
what happens at an interpreter's start (the hook, notices at import, limits, memory at its peak) starts a real one.
"""

import atexit
import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

LIBRARIES = [
    "torch",
    "transformers.trainer",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.gpt2.modeling_gpt2",
    "transformers.models.llama.modeling_llama",
    "peft",
    "datasets",
    "lm_eval.evaluator",
    "lm_eval.models.huggingface",
    "sklearn.metrics",
    "matplotlib.pyplot",
]
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(LIBRARIES)


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
        self._folder = tempfile.TemporaryDirectory(prefix="forked-")
        folder = Path(self._folder.name)
        (folder / "in").write_text(text, encoding="utf-8")
        self.stdout, self.stderr = Output(folder / "out", self), Output(folder / "err", self)
        environment = dict(os.environ if env is None else env)
        self._process = FORKS.Process(target=_become, args=(words, str(cwd or Path.cwd()), environment, str(folder)))
        self._process.start()
        assert self._process.pid is not None
        self.pid: int = self._process.pid

    @property
    def returncode(self) -> int | None:
        """Return the exit status, minus the signal's number where one ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit status, or None."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; return the exit status."""
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return status

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
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


def _become(words: list[str], folder: str, environment: dict[str, str], streams: str) -> None:
    """Be that command from now on, and end as it ends."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    at_once = bool(environment.get("PYTHONUNBUFFERED"))
    for name, number in (("out", 1), ("err", 2)):
        file = os.open(f"{streams}/{name}", os.O_WRONLY | os.O_APPEND)
        os.dup2(file, number)
    sys.stdin = open(f"{streams}/in", encoding="utf-8")  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False, buffering=1 if at_once else -1)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
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
    os._exit(int(status or 0))


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
        exec(compile(words[first + 1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.path[:0] = [str(Path(words[first]).parent), *paths]
        sys.argv = words[first:]
        runpy.run_path(words[first], run_name="__main__")
