"""The flags of commands that can send their jobs to a cluster."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from finbench.errors import FinbenchError

if TYPE_CHECKING:
    from finbench.jobs.executor import Executor


def add_executor(parser: argparse.ArgumentParser, job: str) -> None:
    """Declare the flags; `job` says what one job is."""
    parser.add_argument(
        "--executor",
        choices=("local", "ray"),
        default="local",
        help=f"where {job} runs: one after another on this machine, or as a Ray task",
    )
    parser.add_argument("--address", help='address of a Ray cluster, or "auto" (default: start Ray on this machine)')
    parser.add_argument("--cpus", type=float, default=1, help=f"cores that {job} asks Ray for (default 1)")
    parser.add_argument("--gpus", type=float, help=f"GPUs that {job} asks Ray for (default: 1 where nodes have any)")


@contextmanager
def executor(options: argparse.Namespace) -> Iterator["Executor | None"]:
    """Give the cluster that was asked for and leave it in the end, or None for this process."""
    if options.executor == "local":
        if options.address:
            raise FinbenchError("--address is a Ray cluster's: give --executor ray with it.")
        yield None
        return
    from finbench.jobs.cluster import RayExecutor

    cluster = RayExecutor(options.address)
    try:
        if options.gpus is None:
            options.gpus = 1 if cluster.has_gpus() else 0
        yield cluster
    finally:
        cluster.close()
