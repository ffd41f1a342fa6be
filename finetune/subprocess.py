"""Trains a recipe in a process of its own, so that a crash costs one training and memory is given back."""

import ctypes
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from finbench.errors import FinbenchError
from finbench.jobs.executor import Needs
from finbench.whole import refuse_foreign

PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of Linux' prctl


class TrainingFailed(Exception):
    """A training ended with an error, which is in its log."""


def train_apart(recipe: Path, settings: Sequence[str], output: Path) -> dict[str, Any]:
    """Train unless the folder holds a finished adapter, and return its record; what is printed goes to `output`.log.

    Raises:
        TrainingFailed: the process ended with an error.

    """
    record = output / "finbench.json"
    if not record.is_file():
        output.parent.mkdir(parents=True, exist_ok=True)
        log = output.with_name(f"{output.name}.log")
        command = [sys.executable, "-m", "finbench", "finetune", str(recipe), *settings, "--output", str(output)]
        first = "# output of a training by finbench"
        if log.exists() and not log.read_bytes().startswith(first.encode()):
            refuse_foreign([log])
        with log.open("w", encoding="utf-8") as sink:
            print(first, file=sink, flush=True)
            ended = subprocess.run(
                command, stdout=sink, stderr=subprocess.STDOUT, check=False, preexec_fn=_dies_with_its_parent()
            )
        if ended.returncode:
            last = log.read_text(encoding="utf-8").strip().splitlines()[-1:]
            raise TrainingFailed(f"{' '.join(last)} (all of it: {log})")
    found: dict[str, Any] = json.loads(record.read_text(encoding="utf-8"))
    return found


def train_as_job(recipe: Path, settings: Sequence[str], output: Path, earlier: Sequence[Any]) -> Iterator[Any]:
    """Yield the record of a training; one whose worker was lost goes on from its last checkpoint."""
    if not earlier:
        yield train_apart(recipe, settings, output)


def _dies_with_its_parent() -> Callable[[], object] | None:
    """Return what asks Linux to end the process with its parent: a lost worker's training must not go on unseen."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # found before the fork, after which little may be done
    return lambda: prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)


def needs_of(recipe: Path, settings: Sequence[str], cpus: float, gpus: float) -> Needs:
    """Return what a training takes: the planner's memory, and a process.

    Where the configuration cannot be had, loading will say so; until then only the process is asked for.
    """
    from finbench.planner.cost import memory
    from finbench.runs.needs import PROCESS_BYTES
    from finetune.planned import length, planned
    from finetune.recipe import read_recipe

    read = read_recipe(recipe, settings)
    try:
        return Needs(
            cpus, gpus, PROCESS_BYTES + memory(planned(read, *length(read), False, "cuda" if gpus else "cpu")).total
        )
    except (FinbenchError, ValueError):
        return Needs(cpus, gpus, PROCESS_BYTES)
