"""What a training had cost at a checkpoint, so that one which goes on from there counts all of it.

What was computed after the last checkpoint and before a stop is lost, and its cost with it.
"""

import json
from pathlib import Path
from typing import Any

from finbench.documents import read_json
from finbench.runs.beside import together

FILE = "finbench.spent.json"
SUMS = ("elapsed_seconds", "gpu_hours", "gpu_energy_joules", "samples")
PEAKS = ("resident_peak_bytes", "cpu_percent_max")
PEAKS_BY_DEVICE = ("gpu_peak_allocated_bytes", "gpu_peak_reserved_bytes")


def write(checkpoint: Path, spent: dict[str, Any]) -> None:
    """Put what was spent so far into a checkpoint that is being written."""
    (checkpoint / FILE).write_text(json.dumps(spent), encoding="utf-8")


def before(checkpoint: str | None) -> dict[str, Any] | None:
    """Return what was spent up to a checkpoint: nothing where there is none, None where it does not say."""
    if checkpoint is None:
        return {}
    path = Path(checkpoint) / FILE
    return dict(read_json(path)) if path.is_file() else None


def added(earlier: dict[str, Any] | None, record: dict[str, Any]) -> dict[str, Any]:
    """Return a record that counts the parts before too; `seconds_before` is theirs, None where it is not known."""
    total = dict(record)
    for name in (*SUMS, *PEAKS, *PEAKS_BY_DEVICE) if earlier else ():
        parts = (earlier or {}).get(name), record.get(name)
        total[name] = None if None in parts else _together(name, *parts)
    if earlier and "load" in record:
        loads = [one for one in (earlier.get("load"), record["load"]) if one]
        seconds = [earlier["elapsed_seconds"], record["elapsed_seconds"]]
        total["load"] = together(loads, seconds) if len(loads) == len(seconds) else None
    return total | {"seconds_before": None if earlier is None else earlier.get("elapsed_seconds", 0.0)}


def _together(name: str, one: Any, other: Any) -> Any:
    if name in SUMS:
        return one + other
    return max(one, other) if name in PEAKS else [max(pair) for pair in zip(one, other, strict=False)]
