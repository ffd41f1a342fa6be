"""Runs jobs on a Ray cluster, or on all cores of this machine: `finbench run MATRIX.yaml --executor ray`.

Every node needs finbench, and the folder in which the command was typed at the same path.
"""

import logging
import os
import socket
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finbench.errors import FinbenchError, first_line
from finbench.jobs.executor import Job, LostWorker, Needs, NoRoom

logger = logging.getLogger(__name__)

ATTEMPTS = 4  # without a result between them, after which a job that loses its workers is given up
POLL_SECONDS = 2.0
CONNECT_SECONDS = 5.0
RESOURCES = ("CPU", "GPU", "memory")  # as Ray calls them
HANDED_ON = ("FINBENCH_", "HF_", "TRANSFORMERS_", "TOKENIZERS_")  # the driver's variables that its workers have too
SECRET = ("HF_TOKEN",)  # a cluster shows what it is handed: a node has a login of its own


class RayExecutor:
    """Runs jobs as Ray tasks; a job whose worker is lost is sent out again with what it had yielded."""

    def __init__(self, address: str | None = None, cores: int | None = None) -> None:
        """Connect to the cluster at an address ("auto", "host:6379"), or start Ray on this machine for this process.

        Ray takes the machine to have `cores`, by default those it has.

        Raises:
            FinbenchError: Ray is not installed, or no cluster answers there.

        """
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            import ray
        except ImportError:
            raise FinbenchError('--executor ray needs Ray: pip install ".[ray]" in the checkout of finbench.') from None
        if address and address.startswith("ray://"):
            raise FinbenchError(
                f"--address {address}: a client's address cannot be used. Run on a node of the cluster (`ray start "
                "--address HOST:6379` makes this machine one) and give --address auto."
            )
        environment = {
            name: value for name, value in os.environ.items() if name.startswith(HANDED_ON) and name not in SECRET
        }
        own: dict[str, Any] = {} if address else {"include_dashboard": False, "num_cpus": cores}
        try:
            _reach(address)
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level="ERROR",
                runtime_env={"env_vars": environment},
                **own,
            )
        except (OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            raise FinbenchError(
                f"no Ray cluster answers at {address or 'this machine'}: {first_line(error)} Start one with "
                "`ray start --head`, or leave --address out. A cluster that asks for a token (the head's "
                "~/.ray/auth_token) wants the same file here, and RAY_AUTH_MODE=token."
            ) from None
        self._ray = ray
        self._task = ray.remote(num_returns="streaming", max_retries=0)(_attempt)
        self._nodes: list[dict[str, float]] = []
        self._seen = 0.0

    def run(self, jobs: Iterable[Job]) -> Iterator[tuple[Job, Any]]:
        """Yield each result beside its job, as they come; an exception that ended a job is its last result."""
        waiting = iter(jobs)
        running: dict[Any, _Running] = {}
        following: Job | None = next(waiting, None)
        try:
            while following or running:
                while following and (misfit := self._misfit(following)):
                    yield following, misfit
                    following = next(waiting, None)
                while following and self._room(following.needs, running):
                    one = _Running(following)
                    running[self._send(one)] = one
                    following = next(waiting, None)
                yield from self._collect(running)
        finally:
            for stream in running:
                self._ray.cancel(stream, force=True)

    def has_gpus(self) -> bool:
        """Say whether a node has a GPU."""
        return any(node["GPU"] for node in self._alive())

    def close(self) -> None:
        """Leave the cluster, or stop the Ray that was started for this process."""
        self._ray.shutdown()

    def _send(self, one: "_Running") -> Any:
        needs = one.job.needs
        options = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "memory": needs.memory_bytes, "name": one.job.name}
        return self._task.options(**options).remote(str(Path.cwd()), sys.argv, one.job.work, tuple(one.results))

    def _collect(self, running: dict[Any, "_Running"]) -> Iterator[tuple[Job, Any]]:
        """Yield what has come; where nothing comes, see to it that what waits can still be had."""
        ray = self._ray
        if not running:
            return
        ready, _ = ray.wait(list(running), num_returns=1, timeout=POLL_SECONDS)
        for stream in ready:
            one = running[stream]
            try:
                result = ray.get(next(stream))
            except StopIteration:
                del running[stream]
            except ray.exceptions.RayTaskError as error:
                del running[stream]
                yield one.job, error.cause
            except ray.exceptions.RayError as error:
                del running[stream]
                if one.lost < ATTEMPTS - 1:
                    one.lost += 1
                    logger.warning("%s lost its worker and is sent out again: %s", one.job.name, first_line(error))
                    running[self._send(one)] = one
                else:
                    yield one.job, LostWorker(f"its worker was lost {ATTEMPTS} times: {first_line(error)}")
            else:
                one.lost = 0
                one.results.append(result)
                yield one.job, result
        for stream, one in list(running.items()) if not ready else ():
            if misfit := self._misfit(one.job):  # the node that had the room has gone
                ray.cancel(stream, force=True)
                del running[stream]
                yield one.job, misfit

    def _room(self, needs: Needs, running: dict[Any, "_Running"]) -> bool:
        """Say whether the cluster, but for what runs for us, has what one more such job takes."""
        asked = [_asked(one.job.needs) for one in running.values()] + [_asked(needs)]
        nodes = self._alive()
        return not running or all(
            sum(one[name] for one in asked) <= sum(node[name] for node in nodes) for name in RESOURCES
        )

    def _misfit(self, job: Job) -> NoRoom | None:
        """Return what to say of a job that no node can ever run."""
        nodes = self._alive()
        asked = _asked(job.needs)
        if any(all(asked[name] <= node[name] for name in RESOURCES) for node in nodes):
            return None
        most = max(nodes, key=lambda node: (node["GPU"], node["memory"]), default=_resources({}))
        return NoRoom(
            f"{job.name} asks for {_words(job.needs.cpus, job.needs.gpus, job.needs.memory_bytes)}, and no node of the "
            f"cluster has as much; the largest has {_words(most['CPU'], most['GPU'], most['memory'])}. Add a node, or "
            "ask for less with --cpus, --gpus, a smaller batch_size or fewer bits."
        )

    def _alive(self) -> list[dict[str, float]]:
        """Return what each living node has in all; asked for once in POLL_SECONDS."""
        if time.monotonic() - self._seen > POLL_SECONDS or not self._nodes:
            self._nodes = [_resources(node["Resources"]) for node in self._ray.nodes() if node["Alive"]]
            self._seen = time.monotonic()
        return self._nodes


def _reach(address: str | None) -> None:
    """Raise OSError where nobody listens, which Ray would find out after minutes."""
    host, colon, port = (address or "").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()


@dataclass
class _Running:
    """A job that was sent out: what it has yielded, and how often its worker was lost since."""

    job: Job
    results: list[Any] = field(default_factory=list)
    lost: int = 0


def _attempt(folder: str, command: Sequence[str], work: Any, earlier: Sequence[Any]) -> Iterator[Any]:
    """Do a job's work on a worker, standing where the driver stands and saying what was typed there."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise FinbenchError(
            f"{folder} cannot be entered on {os.uname().nodename} ({error.strerror}): a cluster's nodes share the "
            "folder in which finbench is called."
        ) from None
    sys.argv = list(command)
    yield from work(earlier)


def _resources(found: dict[str, float]) -> dict[str, float]:
    return {name: found.get(name, 0.0) for name in RESOURCES}


def _asked(needs: Needs) -> dict[str, float]:
    return dict(zip(RESOURCES, (needs.cpus, needs.gpus, needs.memory_bytes), strict=True))


def _words(cpus: float, gpus: float, memory_bytes: float) -> str:
    return f"{cpus:g} cores, {gpus:g} GPUs and {memory_bytes / 2**30:.1f} GiB"
