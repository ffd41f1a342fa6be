"""Where jobs run: one after another in this process, or on a Ray cluster (`finbench.jobs.cluster`)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from finbench.errors import FinbenchError


class LostWorker(FinbenchError):
    """The processes of a job died again and again without leaving an error: killed from outside, or out of memory."""


class NoRoom(FinbenchError):
    """A job asks for more than any node has."""


@dataclass(frozen=True)
class Needs:
    """What a job takes on the node where it runs: processor cores, GPUs (shares allowed), bytes of memory."""

    cpus: float = 1
    gpus: float = 0
    memory_bytes: int = 0


@dataclass(frozen=True)
class Job:
    """Work that one process does.

    `work` yields results as they come. It is given what earlier attempts at it have yielded, those on workers that
    were lost, and goes on from there.
    """

    name: str
    work: Callable[[Sequence[Any]], Iterator[Any]]
    needs: Needs = Needs()


class Executor(Protocol):
    """Runs jobs, taking one from the iterable only when there is room for it."""

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Any]]:
        """Yield each result beside its job, as they come; an exception that ended a job is its last result.

        Closing the iterator, as an interrupt does, stops the jobs that run.
        """


class LocalExecutor:
    """Runs jobs in turn in this process."""

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Any]]:
        """Yield each result beside its job; an exception that ended a job is its last result."""
        for job in jobs:
            try:
                for result in job.work(()):
                    yield job, result
            except Exception as error:  # one job's end must not be the others'
                yield job, error
