"""Completion as it is typed: each shell reads its script and is given a word's beginning and a tabulator."""

import os
import pty
import select
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from finbench.cli import COMMANDS, main

pytest.importorskip("shtab", reason="completion is an extra")
PROMPT = "ready> "
ASKED = "'rea''dy> '"  # so that its echo is not taken for it
SHELLS = {  # how each is started without the user's own files, and what it is told first
    "bash": (["bash", "--norc", "--noprofile", "-i"], "PS1={prompt}; source {script}"),
    "zsh": (["zsh", "-f", "-i"], "PS1={prompt}; unsetopt zle_bracketed_paste; autoload -U compinit; "
            "compinit -u -D; source {script}"),
    "tcsh": (["tcsh", "-f"], "set prompt={prompt}; source {script}"),
}  # fmt: skip


class Typing:
    """A shell at a terminal of its own."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def type(self, text: str, until: str, seconds: float = 20) -> str:
        """Type it, and return what the terminal shows until that is among it, or for so long."""
        os.write(self._terminal, text.encode())
        shown, deadline = "", time.monotonic() + seconds
        while until not in shown and time.monotonic() < deadline:
            if select.select([self._terminal], [], [], 0.1)[0]:
                shown += os.read(self._terminal, 65536).decode(errors="replace").replace("\x1b[1m \x1b[0m", " ")
        return shown


@contextmanager
def started(shell: str, script: Path) -> Iterator[Typing]:
    """Start a shell in the script's folder that has read it."""
    command, told = SHELLS[shell]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{shell} is not installed")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(script.parent)
        os.environ["TERM"] = "xterm"
        os.execvp(command[0], command)
    try:
        one = Typing(terminal)
        one.type(f"{told.format(prompt=ASKED, script=script)}\n", PROMPT)
        yield one
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


@pytest.mark.parametrize("shell", SHELLS)
def test_commands_flags_values_and_files_are_completed(
    shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    assert all(command in script.read_text() for command in COMMANDS) and "dry-run" in script.read_text()
    for name in ("matrix.yaml", "sweep.yaml"):
        (tmp_path / name).touch()
    clear = "\x15"  # so that the next words stand alone
    with started(shell, script) as one:
        for typed, completed in (
            ("finbench pre", "finbench predict "),
            ("finbench run --red", "finbench run --redo"),
            ("finbench export model-i", "finbench export model-index "),
            ("finbench run ma", "finbench run matrix.yaml "),
            ("finbench sweep matrix.yaml sw", "finbench sweep matrix.yaml sweep.yaml "),
            ("finbench predict --base ma", "finbench predict --base matrix.yaml "),
        ):
            assert completed in one.type(f"{clear}{typed}\t", completed, 10), typed
