"""The results file that lm-eval writes, read strictly: what it says of our tasks, with every value of its kind."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from finbench.cells.schema import problems
from finbench.documents import DocumentError, read_json
from finbench.errors import FinbenchError
from finbench.records import Metric

if TYPE_CHECKING:
    from finbench.scoring.kinds.kind import Kind

NAME = re.compile(r"[\w.:+-]{1,150}")  # of a task: it becomes part of file names
MOST_ROWS, MOST_SHOTS = 10**9, 10**4
LOWEST = {"mcc": -1.0}
NEEDED = ("accuracy", "unparsed")
OBJECTS = {"type": "object", "additionalProperties": {"type": "object"}}
SETTINGS = ["string", "null"]
RESULTS: Mapping[str, Any] = {
    "type": "object",
    "required": ["results", "configs", "versions", "n-shot", "n-samples", "config", "date"],
    "properties": {
        "results": OBJECTS,
        "configs": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "metadata": {
                        "type": ["object", "null"],
                        "properties": {"clean": {"type": ["boolean", "null"]}, "perturb": {"type": SETTINGS}},
                    },
                    "dataset_kwargs": {"type": ["object", "null"]},
                },
            },
        },
        "versions": {"type": "object", "additionalProperties": {"type": ["string", "number", "null"]}},
        "n-shot": {"type": "object"},
        "n-samples": OBJECTS,
        "task_hashes": {"type": ["object", "null"], "additionalProperties": {"type": "string"}},
        "date": {"type": "number"},
        "config": {
            "type": "object",
            "required": ["model"],
            "properties": {
                "model": {"type": "string"},
                "model_args": {"type": ["object", "string", "null"]},
                "model_dtype": {"type": SETTINGS},
                "model_sha": {"type": SETTINGS},
                "peft_sha": {"type": SETTINGS},
                "limit": {"type": ["number", "null"]},
            },
        },
        **dict.fromkeys(("lm_eval_version", "transformers_version"), {"type": SETTINGS}),
    },
}


@dataclass(frozen=True)
class Results:
    """What a results file says of a run, checked; `tasks` are ours."""

    path: Path
    record: Mapping[str, Any]
    created: str
    arguments: Mapping[str, Any]
    tasks: tuple["Result", ...]


@dataclass(frozen=True)
class Result:
    """What a results file says of one task; `kind` is how its answers are read."""

    name: str
    config: Mapping[str, Any]
    kind: "Kind"
    metrics: Mapping[str, Metric]
    n_rows: int
    num_fewshot: int


def read_results(path: Path) -> Results:
    """Return what lm-eval's results file says of our tasks.

    Raises:
        FinbenchError: it is no such file, holds none of our tasks, or a value in it can be none that lm-eval wrote.

    """
    record = _record(path)
    found = {task: kind for task, config in record["configs"].items() if (kind := _kind(config))}
    if not found:
        names = DocumentError("", 0, 0, ", ".join(record["configs"]) or "nothing").problem
        raise FinbenchError(f"{path} holds none of finbench's tasks, only {names}.")
    tasks = tuple(_result(path, record, task, kind) for task, kind in found.items())
    return Results(path, record, _created(path, record["date"]), _arguments(path, record), tasks)


def _record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = read_json(path, constants=True)
    except DocumentError as error:
        _refuse(path, error.problem, error.line)
    if wrong := next(islice(problems(record, RESULTS), 1), None):
        _refuse(path, wrong)
    return record


def _kind(config: Mapping[str, Any]) -> "Kind | None":
    """Return the kind of a task's answers; lm-eval stores the source of the function that the YAML names."""
    from finbench.scoring.for_lm_eval import KIND_OF

    named = re.match(r"def (\w+)\(", str(config.get("process_results")))
    kinds = {function.__name__: kind for function, kind in KIND_OF.items()}
    return kinds.get(named[1]) if named and "dataset" in (config.get("dataset_kwargs") or {}) else None


def _result(path: Path, record: Mapping[str, Any], task: str, kind: "Kind") -> Result:
    if not NAME.fullmatch(task):
        _refuse(path, f"configs.{task} is no name of a task")
    if task not in record["results"]:
        _refuse(path, f"results.{task} is missing")
    rows = _whole(path, f"n-samples.{task}.effective", record["n-samples"].get(task, {}).get("effective"), 1, MOST_ROWS)
    shots = _whole(path, f"n-shot.{task}", record["n-shot"].get(task) or 0, 0, MOST_SHOTS)
    metrics = dict(_metrics(path, task, record["results"][task], kind))
    for name in NEEDED:
        if name not in metrics:
            _refuse(path, f"results.{task} has no {name}")
    return Result(task, record["configs"][task], kind, metrics, rows, shots)


def _metrics(path: Path, task: str, results: Mapping[str, Any], kind: "Kind") -> Any:
    """Yield the metrics that finbench's tasks have, by name."""
    from finbench.scoring.for_lm_eval import name_in_cell
    from finbench.scoring.metrics import METRICS

    for name, value in results.items():
        shown, _, filtered = name.partition(",")
        metric = name_in_cell(shown)
        if filtered and metric in {*METRICS, *kind.metrics}:
            error = results.get(f"{shown}_stderr,{filtered}")
            known = isinstance(error, int | float) and error == error  # "N/A" or NaN where there is none
            place = f"results.{task}.{shown}"
            found = Metric(
                _within(path, place, value, LOWEST.get(metric, 0.0)),
                _within(path, f"{place}_stderr", error, 0.0) if known else None,
            )
            yield metric, found


def _within(path: Path, place: str, value: object, lowest: float) -> float:
    if not _is_number(value) or not lowest <= value <= 1:  # type: ignore[operator]
        _refuse(path, f"{place} is {value!r}, not between {lowest:g} and 1")
    return float(value)  # type: ignore[arg-type]


def _whole(path: Path, place: str, value: object, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        _refuse(path, f"{place} is {value!r}, no whole number from {lowest} to {highest}")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _created(path: Path, date: float) -> str:
    try:
        return datetime.fromtimestamp(date, UTC).isoformat(timespec="seconds")
    except (ValueError, OverflowError, OSError):
        _refuse(path, f"date is {date!r}, no moment in seconds since 1970")


def _arguments(path: Path, record: Mapping[str, Any]) -> Mapping[str, Any]:
    given = record["config"].get("model_args") or {}
    if isinstance(given, str):
        given = dict(pair.partition("=")[::2] for pair in given.split(","))
    for name, needed in (("pretrained", True), ("peft", False)):
        value = given.get(name)
        if (value or needed) and not (isinstance(value, str) and Path(value).name.strip()):
            _refuse(path, f"config.model_args names no model (`{name}` is {value!r}), so there can be no cells")
    return dict(given)


def limit_of(results: Results, result: Result) -> int | None:
    """Return the cap on rows; lm-eval takes a share of them too, which is given here as their number.

    Raises:
        FinbenchError: it is no cap.

    """
    limit = results.record["config"].get("limit")
    if not limit:
        return None
    if 0 < limit < 1:
        return result.n_rows
    if not (1 <= limit <= MOST_ROWS and limit == int(limit)):
        _refuse(results.path, f"config.limit is {limit!r}, no number of rows")
    return int(limit)


def _refuse(path: Path, problem: str, line: int = 0) -> NoReturn:
    shown = DocumentError("", 0, 0, problem).problem
    raise FinbenchError(
        f"{path}{f', line {line}' if line else ''} cannot be read as results of lm-eval: {shown}. Give the "
        "results_*.json that `lm_eval --output_path` wrote."
    )
