"""Log-likelihoods through a pipeline: every stage plans the same passes, which then run with several in flight.

Each pass is a micro-batch of `torch.distributed.pipelining`'s GPipe schedule; prefixes are shared as on one device.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributed.pipelining import PipelineStage, ScheduleGPipe
from transformers import DynamicCache

from finbench.engine.likelihood import Query, Read, Scorer
from finbench.engine.model import SharedModel
from finbench.engine.pipeline.stage import Stage
from finbench.engine.prefix import Pack

ROOT = -1
# What the hidden states of the micro-batches in flight may take on a device, and how many there are at most.
IN_FLIGHT_BYTES, MOST_IN_FLIGHT = 1 << 29, 64


@dataclass(frozen=True)
class Pass:
    """One forward pass: a tree of tokens, the number of the pass whose cache it continues, what is read in it."""

    tree: Pack
    past: int
    reads: tuple[Read, ...]


class _NoModel(SharedModel):
    """Where planning runs its passes: nowhere; caches are passes' numbers."""

    def __init__(self) -> None: ...

    def root(self) -> Any:
        return ROOT


class Passes(Scorer):
    """The passes that `Scorer` would run for these queries, in its order; every stage plans the same."""

    def __init__(self, queries: Sequence[Query], budget: int, softmax_dtype: torch.dtype | None) -> None:
        super().__init__(_NoModel(), budget, softmax_dtype, self._finish)
        self.passes: list[Pass] = []
        self.finished: dict[int, int] = {}  # by number of a pass: the queries that are done after it
        self.score(queries)

    def _run(self, tree: Pack, past: Any, reads: Sequence[Read]) -> Any:
        self.passes.append(Pass(tree, past, tuple(reads)))
        return len(self.passes) - 1

    def _finish(self, count: int) -> None:
        self.finished[len(self.passes) - 1] = count

    @property
    def longest(self) -> int:
        """Return the tokens of the longest pass."""
        return max(len(one.tree.tokens) for one in self.passes)


class _Micro(torch.nn.Module):
    """A stage as the schedule runs it: a pass's number says what to do, hidden states are padded to one length."""

    def __init__(self, stage: Stage, plan: Passes, advance: Callable[[int], object]) -> None:
        super().__init__()
        self.stage, self.plan, self.advance = stage, plan, advance
        self.caches: dict[int, DynamicCache] = {ROOT: stage.root()}

    def forward(self, arrived: torch.Tensor, number: torch.Tensor | None = None) -> torch.Tensor:
        """Run one pass; give hidden states (1, T, H), or of the last stage nothing, for it reads them itself."""
        current = int(arrived if number is None else number)
        one = self.plan.passes[current]
        # A pass continues one that is still open; those begun after that one have served.
        for old in [number for number in self.caches if number > one.past]:
            del self.caches[old]
        size = len(one.tree.tokens)
        self.stage.arrived = arrived[:, :size] if self.stage.number > 0 else None
        slots = sorted({read.slot for read in one.reads})
        result, self.caches[current] = self.stage.run(one.tree, self.caches[one.past], slots)
        self.advance(self.plan.finished.get(current, 0))
        if not self.stage.is_last:
            return torch.nn.functional.pad(result, (0, 0, 0, self.plan.longest - size))
        self.plan.add(one.reads, result)
        return torch.zeros(1)


def run_passes(stage: Stage, plan: Passes, advance: Callable[[int], object] = lambda count: None) -> None:
    """Run a plan's passes; afterwards the last stage's plan has the results.

    `advance(n)` is told of n more queries that have left this stage.
    """
    module = _Micro(stage, plan, advance)
    size = plan.longest * stage.width * stage.dtype.itemsize
    most = min(max(IN_FLIGHT_BYTES // size, stage.count), MOST_IN_FLIGHT)
    schedule = _schedule(stage, module, min(most, len(plan.passes)), plan.longest)
    for first in range(0, len(plan.passes), most):
        numbers = torch.arange(first, min(first + most, len(plan.passes)))
        if len(numbers) < most < len(plan.passes):
            schedule = _schedule(stage, module, len(numbers), plan.longest)
        given: tuple[Any, dict[str, Any]] = ((numbers,), {}) if stage.number == 0 else ((), {"number": numbers})
        with torch.no_grad():
            schedule.step(*given[0], return_outputs=False, **given[1])


def _schedule(stage: Stage, module: torch.nn.Module, micro_batches: int, length: int) -> ScheduleGPipe:
    """Return a schedule of that many passes; shapes are given, so that no stage has to try one first."""
    number = torch.zeros(1, dtype=torch.long)
    hidden = torch.empty(1, length, stage.width, dtype=stage.dtype, device="meta")
    piece = PipelineStage(
        module,
        stage.number,
        stage.count,
        stage.device,
        input_args=number if stage.number == 0 else hidden,
        output_args=torch.zeros(1) if stage.is_last else hidden,
    )
    return ScheduleGPipe(piece, micro_batches)
