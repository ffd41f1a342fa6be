"""A base split by layers over processes in a run: an adapter is put on every stage, and proved through all of them."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from finbench.adapters.on_model import PROBE_TOKENS, Proof, Switch, probe_ids
from finbench.adapters.wrap import weights_of
from finbench.engine.pipeline.model import Pipeline
from finbench.engine.pipeline.stage import ConnectedStage, put_on
from finbench.engine.prefix import chain, sort_rows
from finbench.errors import FinbenchError
from finbench.runs.bases.settings import causal_settings
from finbench.runs.matrix import Base, Matrix
from finbench.runs.monitor import Monitor, merge

if TYPE_CHECKING:
    from finbench.adapters.folder import Adapter

SWITCH, MONITOR = "switch", "monitor"  # under which a stage keeps its own


class PipelinedBase:
    """A language model whose stages lie in processes of their own; adapters go on and off in all of them together."""

    def __init__(self, base: Base, matrix: Matrix) -> None:
        self._base, self._matrix = base, matrix
        self._load()

    def _load(self) -> None:
        from finbench.models.fast import FastLM

        settings = causal_settings(self._base, self._matrix)
        lm = FastLM(**settings, truncate=self._matrix.truncate, pipeline=self._base.pipeline)
        self.lm: Any = lm
        self._pipeline: Any = lm.pipeline
        self._pipeline.run(_begin)

    def put_on(self, adapter: "Adapter") -> Proof:
        """Put an adapter on, and prove that it is in effect."""
        error, proof = self._pipeline.run(_put_on, str(adapter.path))
        if proof is None:
            raise FinbenchError(error)
        self.lm._model = self._pipeline.model
        return proof

    def take_off(self) -> None:
        """Take the adapter off; should a stage differ by a bit from before, load all anew."""
        same = self._pipeline.run(_take_off)
        self.lm._model = self._pipeline.model
        if not same:
            self._load()

    def monitor(self) -> "StagesMonitor":
        """Return what measures all stages while its `with` block runs."""
        return StagesMonitor(self._pipeline)


class StagesMonitor:
    """A `Monitor` in every stage's process, their records merged."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._records: list[dict[str, Any]] = []

    def __enter__(self) -> "StagesMonitor":
        self._pipeline.run(_begin_measuring)
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:  # a failed pass may have ended the processes, and the next monitor takes this one's place
            self._records = self._pipeline.run(_end_measuring)

    def record(self) -> dict[str, Any]:
        """Return the stages' records merged: sums of memory and processors, the longest time, each under `ranks`."""
        return merge(self._records)


class StageSwitch(Switch):
    """A stage on which its part of adapters is put in turn; `held` names that part's weights."""

    def __init__(self, relay: ConnectedStage) -> None:
        self.held: set[str] = set()
        super().__init__(relay.model, _probe_of(relay))

    def _wrap(self, folder: Path) -> Any:
        wrapped, self.held = put_on(self.model, str(folder))
        return wrapped


def _probe_of(relay: ConnectedStage) -> Callable[[Any], torch.Tensor]:
    """Return what gives every process the whole model's logits (T, V) of the probe; all call it together."""

    def probe(model: Any) -> torch.Tensor:
        stage = relay.around(model)
        size = int(stage.inner.config.vocab_size)
        rows = sort_rows([probe_ids(size)])
        logits, _ = stage.run(chain(rows, 0, 0, PROBE_TOKENS), stage.root(), range(PROBE_TOKENS))
        logits = logits.float().cpu() if stage.is_last else torch.empty(PROBE_TOKENS, size)
        dist.broadcast(logits, stage.count - 1)
        return logits

    return probe


def _begin(held: dict[int, ConnectedStage], number: int) -> None:
    held[number].beside[SWITCH] = StageSwitch(held[number])


def _put_on(held: dict[int, ConnectedStage], number: int, folder: str) -> tuple[str, Proof | None]:
    """Return what went wrong in some process, or the proof."""
    switch, error = held[number].beside[SWITCH], ""
    try:
        held[number] = held[number].around(switch.put_on(Path(folder)))
    except FinbenchError as failure:
        error = str(failure)
    answers: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(answers, (error, switch.held))
    error = next((text for text, _ in answers if text), "")
    lost = weights_of(Path(folder)).difference(*(names for _, names in answers))
    if not error and lost:
        error = f"{len(lost)} weights of the adapter in {folder} belong to no stage, such as {sorted(lost)[0]}."
    return (error, None) if error else ("", switch.proof())


def _begin_measuring(held: dict[int, ConnectedStage], number: int) -> None:
    stage = held[number]
    if MONITOR in stage.beside:
        _stop(stage)
    device = stage.device
    devices = [device.index or 0] if device.type == "cuda" else []
    stage.beside[MONITOR] = Monitor(devices=devices, among=number > 0).__enter__()  # the first has started the others


def _stop(stage: ConnectedStage) -> Monitor:
    monitor: Monitor = stage.beside.pop(MONITOR)
    monitor.__exit__(None, None, None)
    return monitor


def _end_measuring(held: dict[int, ConnectedStage], number: int) -> list[dict[str, Any]]:
    """Return the records of all stages."""
    records: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(records, _stop(held[number]).record())
    return records


def _take_off(held: dict[int, ConnectedStage], number: int) -> bool:
    switch: StageSwitch = held[number].beside[SWITCH]
    same = switch.take_off()
    held[number] = held[number].around(switch.model)
    return same
