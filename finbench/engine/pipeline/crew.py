"""The processes of a pipeline: the first stage drives, sending all of them a function that they run together."""

import atexit
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from finbench.errors import FinbenchError

FOREVER = timedelta(days=365)  # a stage may wait for its next command as long as its owner thinks
WORKER = "from finbench.engine.pipeline.crew import work; work()"
CPU = torch.device("cpu")
WATCH_SECONDS = 0.5
NOTICE_SECONDS = 60.0  # in which this process sees by itself that another one has ended
STARTED = "started"


class Crew:
    """The processes of a pipeline: this one, which is the first stage, and those that it commands."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.processes: list[subprocess.Popen[bytes]] = []
        self.given = _launched() > 1  # torchrun's processes, not ours to end
        self.kept = _held
        self.gone: list[int] = []  # keys of what nobody needs any more, dropped with the next command
        self.intact = True
        self.running = False  # whether a command is under way
        if self.given:
            _join()
        else:
            store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(minutes=10))
            where = {"FINBENCH_PIPELINE": f"{store.port} {size}"}
            where["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // size)))
            for rank in range(1, size):
                place = {**os.environ, **where, "LOCAL_RANK": str(rank)}
                self.processes.append(subprocess.Popen([sys.executable, "-c", WORKER], env=place))
            self._await(store)
            threading.Thread(target=self._watch, daemon=True).start()
            _join(store, 0, size)
        atexit.register(self.end)

    def _await(self, store: Any) -> None:
        """Wait until all processes have started."""
        while store.add(STARTED, 0) < self.size - 1:
            if any(process.poll() is not None for process in self.processes):
                for process in self.processes:
                    process.kill()
                raise FinbenchError("a process of the pipeline ended as it started, for the reason printed above.")
            time.sleep(0.05)

    def _watch(self) -> None:
        """End all processes once one has failed: the others, this one too, may be waiting for its tensors."""
        while any(process.poll() is None for process in self.processes):
            if any(process.poll() for process in self.processes):
                for process in self.processes:
                    process.kill()
            time.sleep(WATCH_SECONDS)
        if not any(process.poll() for process in self.processes):
            return
        seen = time.monotonic()
        while self.running and time.monotonic() - seen < NOTICE_SECONDS:
            time.sleep(WATCH_SECONDS)
        if self.running:  # gloo may wait for ever for a peer that goes just as something is sent to it
            sys.stderr.write(f"finbench: {self._said()} This process waits for it in vain, and ends.\n")
            sys.stderr.flush()
            os._exit(1)

    def _ended(self) -> list[str]:
        return [str(number) for number, process in enumerate(self.processes, 1) if process.poll() is not None]

    def _said(self) -> str:
        return (
            f"stage {', '.join(self._ended()) or 'at another place'} of the pipeline has ended, for the reason that it "
            "printed above. If memory ran out, give a smaller batch_size, fewer bits or more stages."
        )

    def together(self, function: Callable[..., Any], *arguments: Any, **here: Any) -> Any:
        """Run a function of (what is kept, arguments) in every process, `here` added in this one; return what it gives.

        Raises:
            FinbenchError: another process has ended.

        """
        if not self.intact:
            raise FinbenchError("the pipeline's processes have ended: load the model again.")
        self.intact = False
        if self._ended():
            raise FinbenchError(self._said())
        self.running = True
        try:
            gone = [self.gone.pop() for _ in range(len(self.gone))]
            dist.broadcast_object_list([(function, arguments, gone)], 0, device=CPU)
            _drop(gone)
            result = function(_held, *arguments, **here)
        except RuntimeError as error:
            if "closed" not in str(error) and "reset" not in str(error) and not self._ended():
                raise
            raise FinbenchError(self._said()) from error
        finally:
            self.running = False
        self.intact = True
        return result

    def end(self) -> None:
        """Let the other processes go."""
        atexit.unregister(self.end)
        if self.intact and not self._ended():
            self.together(_leave)
        self.intact = False
        if dist.is_initialized():
            dist.destroy_process_group()
        for process in self.processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


_crew: Crew | None = None
_held: dict[int, Any] = {}  # what this process's functions keep between commands


class _Over(Exception):
    """The first stage has no more work."""


def _launched() -> int:
    """Return how many processes torchrun has started, 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _join(store: Any = None, rank: int = 0, size: int = 0) -> None:
    """Meet the other processes, at torchrun's place without a store: commands go over gloo, tensors on GPUs by NCCL."""
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if dist.is_initialized():
        dist.destroy_process_group()
    place = {} if store is None else {"store": store, "rank": rank, "world_size": size}
    dist.init_process_group(backend, timeout=FOREVER, **place)


def work() -> None:
    """Be a stage, in a process that `Crew` started, until the first one has no more work or is gone."""
    from transformers.utils.logging import disable_progress_bar

    port, size = map(int, os.environ.pop("FINBENCH_PIPELINE").split())
    disable_progress_bar()  # the first stage's is enough
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first stage to answer
    store = dist.TCPStore("127.0.0.1", port, is_master=False)
    store.add(STARTED, 1)
    _join(store, int(os.environ["LOCAL_RANK"]), size)
    _obey()
    os._exit(0)  # Python's own tidying up takes seconds, for which the first stage would wait


def _obey() -> None:
    import finbench.adapters.bottleneck.model  # noqa: F401  (registers itself with PEFT)

    command: list[Any] = [None]
    while True:
        try:
            dist.broadcast_object_list(command, 0, device=CPU)
        except RuntimeError:  # the first stage is gone, and has said why
            os._exit(1)
        function, arguments, gone = command[0]
        _drop(gone)
        try:
            function(_held, *arguments)
        except _Over:
            dist.destroy_process_group()
            return


def _drop(keys: list[int]) -> None:
    for key in keys:
        _held.pop(key, None)


def _leave(held: dict[int, Any]) -> None:
    held.clear()
    if dist.get_rank() > 0:
        raise _Over


def crew_of(size: int) -> Crew:
    """Return the processes of a pipeline of that many stages, those of the last one where they fit."""
    global _crew
    if _crew is not None and _crew.intact and _crew.size == size:
        return _crew
    if _launched() not in (1, size):
        raise FinbenchError(f"pipeline={size}, but torchrun started {_launched()} processes: give the same number.")
    if int(os.environ.get("RANK", "0")) > 0:  # torchrun's other processes
        _join()
        _obey()
        sys.exit(0)
    if torch.cuda.is_available() and (_launched() == 1 and torch.cuda.device_count() < size):
        raise FinbenchError(
            f"pipeline={size} takes a GPU for each stage, and there are {torch.cuda.device_count()}. Give fewer "
            "stages, or hide the GPUs (CUDA_VISIBLE_DEVICES=) to run on the processor."
        )
    dismiss()
    _crew = Crew(size)
    return _crew


def dismiss() -> None:
    """End the processes of the last pipeline, whose models are then gone."""
    global _crew
    if _crew is not None:
        _crew.end()
    _crew = None
