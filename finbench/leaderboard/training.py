"""What boards read of the training behind a cell: its own record, as far as it says something of the right kind.

The record lies beside an adapter that somebody else may have made, so a part that is missing or of another kind is
shown as unknown.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finbench.cells.key import Cell
from finbench.tasks.sizes import GROUPS

OF_STUDENTS = ("teacher", "distil_weight", "temperature", "unlabelled", "teacher_confidence")  # keys of a recipe


@dataclass(frozen=True)
class Costs:
    """What a training took; None where the record does not say, or there was no GPU."""

    seconds: float | None
    gpu_hours: float | None
    gpu_bytes: float | None
    resident_bytes: float | None


def record_of(cell: Cell) -> Mapping[str, Any]:
    """Return the record of the training behind the cell, empty for a bare base or an adapter of unknown making."""
    return cell.adapter["record"] if cell.adapter else {}


def tasks_of_training(cell: Cell) -> tuple[str, ...]:
    """Return the tasks whose rows the cell's weights were trained on: those that the groups of its recipe stand for."""
    record = record_of(cell)
    rows, named = record.get("rows"), record.get("tasks")
    if isinstance(rows, dict) and rows:
        return tuple(rows)
    names = [name for name in named if isinstance(name, str)] if isinstance(named, list | tuple) else []
    return tuple(dict.fromkeys(task for name in names for task in GROUPS.get(name, (name,))))


def is_own_task(cell: Cell) -> bool:
    """Say whether the cell's task is one that its weights were trained on."""
    return cell.key.task in tasks_of_training(cell)


def sources_of_training(cell: Cell) -> list[str]:
    """Return where the rows of the training came from."""
    return [rows["source"] for rows in _part(record_of(cell), "rows").values() if _has_text(rows, "source")]


def costs_of(cell: Cell) -> Costs:
    """Return what the training behind the cell took."""
    resources = _part(record_of(cell), "resources")
    on_gpu = resources.get("gpu_peak_allocated_bytes")
    parts = [number for one in on_gpu if (number := _number(one)) is not None] if isinstance(on_gpu, list) else []
    # a training that went on from a checkpoint which does not say what went before has taken longer than it knows
    whole = not resources.get("resumed_from_step") or _number(resources.get("seconds_before")) is not None
    return Costs(
        _number(resources.get("elapsed_seconds")) if whole else None,
        _number(resources.get("gpu_hours")) if whole else None,
        sum(parts) if parts else None,
        _number(resources.get("resident_peak_bytes")),
    )


def load_of_training(cell: Cell) -> Mapping[str, Any]:
    """Return what ran beside the training behind the cell, empty where its record does not say."""
    return _part(_part(record_of(cell), "resources"), "load")


def trained_parameters(cell: Cell) -> int | None:
    """Return how many parameters were trained, None where the record does not say."""
    number = _number(_part(record_of(cell), "parameters").get("trainable"))
    return round(number) if number is not None else None


def recipe_of(cell: Cell) -> Mapping[str, Any]:
    """Return the recipe of the training behind the cell, empty where the record has none."""
    return _part(record_of(cell), "recipe")


def recipe_without_seed(cell: Cell) -> str:
    """Return the recipe as a text that trainings share which differ in their seed or in where the base lay."""
    recipe = {name: value for name, value in recipe_of(cell).items() if name not in ("seed", "base")}
    for name in ("teacher", "unlabelled"):  # who they are, wherever they lay
        if part := _part(record_of(cell), name):
            recipe[name] = [part.get("sha256"), part.get("adapter"), _part(part, "base").get("sha256")]
    return json.dumps(recipe, sort_keys=True)


def student_of(cell: Cell) -> str:
    """Return whose student the cell's weights are, with the texts that this teacher labelled, "" for nobody's."""
    record = record_of(cell)
    teacher, rows = _part(record, "teacher"), _part(_part(record, "unlabelled"), "rows")
    if not _has_text(teacher, "name"):
        return ""
    labelled = sum(_number(part.get("trained_on")) or 0 for part in rows.values() if isinstance(part, dict))
    return teacher["name"] + (f", {round(labelled):,} texts labelled by it" if labelled else "")


def teacher_of(cell: Cell) -> tuple[str, str, str]:
    """Return the hashes of the teacher's base and adapter and its precision, as in keys; "" for what is not said."""
    teacher = _part(record_of(cell), "teacher")
    found = (
        _part(teacher, "base").get("all_sha256"),
        _part(teacher, "adapter").get("sha256"),
        teacher.get("precision"),
    )
    base, adapter, precision = (value if isinstance(value, str) else "" for value in found)
    return base, adapter, precision


def untaught_recipe(cell: Cell) -> str:
    """Return the recipe as a text that a student shares with the same training without a teacher."""
    other = ("seed", "base", *OF_STUDENTS)
    return json.dumps({name: value for name, value in recipe_of(cell).items() if name not in other}, sort_keys=True)


def augmented_by(cell: Cell) -> dict[str, int]:
    """Return how many train rows were made of others, by what was done to them."""
    found: dict[str, int] = {}
    for ways in _part(record_of(cell), "augmented").values():
        for one in ways if isinstance(ways, list) else ():
            if _has_text(one, "kind") and (made := _number(one.get("made"))) is not None:
                found[one["kind"]] = found.get(one["kind"], 0) + round(made)
    return found


def base_of_training(cell: Cell) -> tuple[str, str]:
    """Return id and hash of the base that was trained, "" for what the record does not say."""
    base = _part(record_of(cell), "base")
    return tuple(base[name] if _has_text(base, name) else "" for name in ("id", "sha256"))  # type: ignore[return-value]


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    return found if isinstance(found, dict) else {}


def _has_text(record: object, name: str) -> bool:
    return isinstance(record, dict) and isinstance(record.get(name), str)


def _number(value: object) -> float | None:
    """Return a number that can stand on a board, None for anything else: a float holds no integer of 400 digits."""
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e30
    return float(value) if fits else None  # type: ignore[arg-type]


def names_of(values: Sequence[str]) -> str:
    """Return the names of tasks as boards show them, a dash where there is none."""
    return ", ".join(name.removeprefix("fin_") for name in values) or "–"
