"""What has been measured becomes a cell."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finbench.adapters.folder import RECORD
from finbench.adapters.on_model import Proof
from finbench.cells import provenance
from finbench.cells.key import Cell
from finbench.documents import read_json
from finbench.records import Outcome
from finbench.runs.layout import PlannedCell
from finbench.runs.matrix import Base, Matrix


@dataclass(frozen=True)
class Measured:
    """What scoring one cell gave: an outcome a row, the share of rows cut, and the resource monitor's record.

    `not_shared` says why `hf-fast` did not share prefixes, "" where it did, and where another type never would.
    """

    outcomes: Sequence[Outcome]
    truncated_share: float
    resources: Mapping[str, Any]
    proof: Proof | None
    not_shared: str = ""


def cell_from(planned: PlannedCell, base: Base, without_head: bool, matrix: Matrix, measured: Measured) -> Cell:
    """Return the cell of what was measured."""
    from finbench.scoring.kinds import kind_called
    from finbench.scoring.kinds.summary import summarise

    outcomes, labels, kind = measured.outcomes, planned.task.labels, planned.task.kind
    metrics = summarise(outcomes, labels, kind)
    classes = labels if kind_called(kind).classes else ()
    resources = dict(measured.resources)
    elapsed, load = float(resources["elapsed_seconds"]), resources.pop("load", None)
    return Cell(
        key=planned.key,
        created=provenance.now(),
        title=matrix.title,
        note=base.note,
        source=planned.task.source,
        kind=kind,
        labels=labels,
        n_rows=len(outcomes),
        n_clusters=len({outcome.cluster for outcome in outcomes}),
        metrics=metrics,
        per_class=per_class_of(outcomes, classes),
        confusion=confusion_of(outcomes, classes),
        unparsed_share=metrics["unparsed"].value,
        truncated_share=measured.truncated_share,
        elapsed_seconds=elapsed,
        seconds_per_row=elapsed / len(outcomes),
        rows_per_second=len(outcomes) / elapsed,
        # vLLM's engine is a process of its own, which the monitor does not see
        peak_bytes=None if base.model == "vllm" else _peak_bytes(resources),
        resources=resources,
        machine=provenance.machine(),
        versions=provenance.versions(),
        git=provenance.git_state(),
        command=provenance.command(),
        flags=_flags(planned, base, without_head, measured.not_shared) | _prompted(planned, base),
        adapter=_adapter(planned) or _trained_whole(base),
        adapter_proof=asdict(measured.proof) if measured.proof else None,
        perturbed_share=planned.task.perturbed_share,
        weights_sha256=planned.weights_sha256,
        load=load,
    )


def _matrix(outcomes: Sequence[Outcome], labels: Sequence[str]) -> Any:
    from finbench.scoring.metrics import confusion

    return confusion([one.gold for one in outcomes], [one.prediction for one in outcomes], labels)


def confusion_of(outcomes: Sequence[Outcome], labels: Sequence[str]) -> dict[str, Any] | None:
    """Return the confusion matrix of a cell, None without labels."""
    if not labels:
        return None
    return {"labels": list(labels), "matrix": _matrix(outcomes, labels).astype(int).tolist()}


def per_class_of(outcomes: Sequence[Outcome], labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return precision, recall, F1 and support by label, nothing without labels."""
    if not labels:
        return {}
    from finbench.scoring.metrics import by_class

    names = ("precision", "recall", "f1", "support")
    columns = by_class(_matrix(outcomes, labels))
    return {
        label: {name: float(column[n]) for name, column in zip(names, columns, strict=True)}
        for n, label in enumerate(labels)
    }


def _peak_bytes(resources: Mapping[str, Any]) -> int:
    on_gpu = resources.get("gpu_peak_allocated_bytes")
    return int(sum(on_gpu) if on_gpu else resources["resident_peak_bytes"])


def _flags(planned: PlannedCell, base: Base, without_head: bool, not_shared: str) -> dict[str, Any]:
    trained = planned.adapter.precision if planned.adapter else base.precision
    return {
        "sample_rows": planned.task.source == "sample",
        "base_without_head": without_head,
        "trained_precision": trained if trained and trained != base.precision else None,
        "not_shared": not_shared or None,
        "trust_remote_code": base.trust_remote_code,
    }


def _prompted(planned: PlannedCell, base: Base) -> dict[str, Any]:
    """Return how prompts were made otherwise than the task has them; nothing where they were not."""
    if base.model == "hf-classifier" or not (words := planned.task.prompting.words(planned.task.task)):
        return {}
    return {"prompting": ", ".join(words)}


def _adapter(planned: PlannedCell) -> dict[str, Any] | None:
    adapter = planned.adapter
    if adapter is None:
        return None
    return {
        "name": adapter.name,
        "method": adapter.method,
        "size_bytes": adapter.size_bytes,
        "record": _without_folders(adapter.record),
    }


def _trained_whole(base: Base) -> dict[str, Any] | None:
    """Return the record of a base that is itself the result of a training, in the shape of an adapter's."""
    path = Path(base.base) / RECORD
    if not path.is_file():
        return None
    record = read_json(path)
    return {
        "name": base.name,
        "method": record.get("method", "full"),
        "size_bytes": record.get("adapter_bytes"),
        "record": _without_folders(record),
    }


def _without_folders(value: Any) -> Any:
    """Return a record with absolute paths cut to their last part: a result is published, the machine's folders not."""
    if isinstance(value, Mapping):
        return {name: _without_folders(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(item) for item in value]
    return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value
