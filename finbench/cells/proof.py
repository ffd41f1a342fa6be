"""What a schema cannot say: whether a cell's numbers make sense, and whether they are those of its rows' outcomes."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from finbench.cells.order import date_of
from finbench.cells.outcomes import outcomes_of, table_of
from finbench.errors import FinbenchError
from finbench.scoring.kinds import kind_called

EXACT = 1e-9
# Resampled errors follow numpy's stream of random numbers, which a new version may change.
RESAMPLED = 0.25
LOWEST = {"mcc": -1.0}
COSTS = ("elapsed_seconds", "seconds_per_row", "rows_per_second", "peak_bytes")
SHARES = ("unparsed_share", "truncated_share", "perturbed_share")


def without_outcomes(record: Mapping[str, Any]) -> bool:
    """Say whether a cell never had outcomes: an imported result whose answers were not kept."""
    return "n_clusters" in record["missing"]


def nonsense(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield what of a record that fits the schema can be no result of a run."""
    if record["n_rows"] < 1 or not 1 <= record["n_clusters"] <= record["n_rows"]:
        yield f"n_rows is {record['n_rows']} and n_clusters {record['n_clusters']}"
    if date_of(record["created"]) is None:
        yield f"created is {record['created'][:60]!r}, no date of ISO 8601 with its offset"
    for name in SHARES:
        if record[name] is not None and not 0 <= record[name] <= 1:
            yield f"{name} is {record[name]}, not between 0 and 1"
    for name in COSTS:
        if record[name] is not None and not 0 <= record[name] < math.inf:
            yield f"{name} is {record[name]}, no cost"
    if not 0 <= record["sequence"] < 2**53:
        yield f"sequence is {record['sequence']}"
    yield from _no_metrics(record)
    yield from _no_classes(record)


def _no_metrics(record: Mapping[str, Any]) -> Iterator[str]:
    metrics = record["metrics"]
    for name in ("accuracy", "unparsed"):
        if name not in metrics:
            yield f"metrics.{name} is missing"
    for name, metric in metrics.items():
        if not LOWEST.get(name, 0.0) - EXACT <= metric["value"] <= 1 + EXACT:
            yield f"metrics.{name}.value is {metric['value']}, not between {LOWEST.get(name, 0.0):g} and 1"
        if metric["stderr"] is not None and not 0 <= metric["stderr"] <= 1:
            yield f"metrics.{name}.stderr is {metric['stderr']}, not between 0 and 1"
    if "unparsed" in metrics and abs(metrics["unparsed"]["value"] - record["unparsed_share"]) > EXACT:
        yield f"unparsed_share is {record['unparsed_share']}, metrics.unparsed {metrics['unparsed']['value']}"


def _no_classes(record: Mapping[str, Any]) -> Iterator[str]:
    confusion, per_class = record["confusion"], record["per_class"]
    lost = "confusion" in record["missing"]
    if not lost and (confusion is not None) != kind_called(record["kind"]).classes:
        yield f"kind is {record['kind']}, and confusion {'missing' if confusion is None else 'there'}"
        return
    if confusion is None:
        if per_class:
            yield "per_class has classes and confusion none"
        return
    labels, matrix = confusion["labels"], confusion["matrix"]
    if not labels or len(set(labels)) != len(labels) or "" in labels:
        yield f"confusion.labels is {labels}, not different names"
    if len(matrix) != len(labels) or any(len(row) != len(labels) + 1 for row in matrix):
        shape = f"{len(labels)} rows of {len(labels) + 1} numbers"
        yield f"confusion.matrix is no matrix of {shape}, but of {[len(row) for row in matrix][:9]}"
    elif any(count < 0 for row in matrix for count in row) or sum(map(sum, matrix)) != record["n_rows"]:
        yield f"confusion.matrix does not count {record['n_rows']} rows"
    if set(per_class) != set(labels):
        yield f"per_class is about {sorted(per_class)[:9]}, confusion about {sorted(labels)[:9]}"
    if labels != list(record["labels"]):
        yield f"labels are {list(record['labels'])}, confusion.labels {labels}"


def differing(record: Mapping[str, Any], content: bytes, thorough: bool = False) -> Iterator[str]:
    """Yield what of a record is not what its rows' outcomes give; with `thorough` standard errors are computed too.

    Raises:
        FinbenchError: the outcomes cannot be read.

    """
    table = table_of(content)
    columns = {name: table[name].combine_chunks() for name in ("cluster", "gold", "prediction")}
    labels = tuple(record["confusion"]["labels"]) if record["confusion"] else ()
    rows, clusters = len(table), len(columns["cluster"].unique())
    if (rows, clusters) != (record["n_rows"], record["n_clusters"]):
        given = f"{record['n_rows']} and {record['n_clusters']}"
        yield f"n_rows and n_clusters are {given}, its outcomes have {rows} and {clusters}"
        return
    if labels:
        yield from _other_classes(record, columns, labels)
    elif not (kind_called(record["kind"]).measures or kind_called(record["kind"]).counts):
        yield from _other_shares(record, columns)
    else:
        yield from _other_answers(record, content)
    if thorough:
        yield from _other_errors(record, content)


def _other_shares(record: Mapping[str, Any], columns: Mapping[str, Any]) -> Iterator[str]:
    """Compare the metrics of a task without classes."""
    golds, said = (columns[name].to_numpy(zero_copy_only=False) for name in ("gold", "prediction"))
    values = {"accuracy": float(np.mean(golds == said)), "unparsed": float(np.mean(said == ""))}
    yield from _other_metrics(record["metrics"], values)


def _other_answers(record: Mapping[str, Any], content: bytes) -> Iterator[str]:
    """Compare the metrics of answers that are near, or lists."""
    from finbench.scoring.kinds.summary import summarise

    found = summarise(outcomes_of(content), record["labels"], record["kind"])
    yield from _other_metrics(record["metrics"], {name: metric.value for name, metric in found.items()})


def _other_classes(record: Mapping[str, Any], columns: Mapping[str, Any], labels: Sequence[str]) -> Iterator[str]:
    """Compare the confusion matrix, and what follows from it."""
    from finbench.scoring.metrics import METRICS, by_class

    place = {label: n for n, label in enumerate(labels)}
    codes = {}
    for name in ("gold", "prediction"):
        encoded = columns[name].dictionary_encode()
        known = place if name == "gold" else place | {"": len(labels)}
        words = encoded.dictionary.to_pylist()
        if strange := [word for word in words if word not in known]:
            yield f"a row's {name} is {strange[0][:60]!r}, none of the classes {', '.join(labels)}"
            return
        codes[name] = np.array([known[word] for word in words])[encoded.indices.to_numpy()]
    width = len(labels) + 1
    counts = np.bincount(codes["gold"] * width + codes["prediction"], minlength=len(labels) * width)
    matrix = counts.reshape(len(labels), width)
    if matrix.tolist() != record["confusion"]["matrix"]:
        yield f"confusion.matrix is {record['confusion']['matrix']}, its outcomes give {matrix.tolist()}"
        return
    floats = matrix.astype(np.float64)
    yield from _other_metrics(record["metrics"], {name: float(of(floats)) for name, of in METRICS.items()})
    for name, column in zip(("precision", "recall", "f1", "support"), by_class(floats), strict=True):
        for label, value in zip(labels, column, strict=True):
            if abs(record["per_class"][label][name] - value) > EXACT:
                yield f"per_class.{label}.{name} is {record['per_class'][label][name]}, its outcomes give {value}"


def _other_metrics(metrics: Mapping[str, Any], values: Mapping[str, float]) -> Iterator[str]:
    for name, metric in metrics.items():
        if name not in values:
            yield f"metrics.{name} is none that finbench computes"
        elif abs(metric["value"] - values[name]) > EXACT:
            yield f"metrics.{name} is {metric['value']}, its outcomes give {values[name]}"


def _other_errors(record: Mapping[str, Any], content: bytes) -> Iterator[str]:
    """Compare standard errors: exactly where they follow from the rows, roughly where rows are drawn for them."""
    from finbench.scoring.kinds.summary import summarise

    for name, found in summarise(outcomes_of(content), record["labels"], record["kind"]).items():
        given = record["metrics"].get(name)
        if given is None:
            continue
        errors = given["stderr"], found.stderr
        exact = name in ("accuracy", "unparsed", *kind_called(record["kind"]).measures)
        near = RESAMPLED * (found.stderr or 0) + EXACT if not exact else EXACT
        if (errors[0] is None) != (errors[1] is None) or abs((errors[0] or 0) - (errors[1] or 0)) > near:
            yield f"metrics.{name}.stderr is {errors[0]}, its outcomes give {errors[1]}"


def problem_of(record: Mapping[str, Any], content: bytes | None, thorough: bool = False) -> str:
    """Return what is wrong with a record and its outcomes in one line, "" where nothing is."""
    if found := list(islice(nonsense(record), 3)):
        return "; ".join(found)
    if content is None:
        return ""
    if without_outcomes(record):
        return "rows' outcomes lie beside it, and it says that it has none"
    try:
        return "; ".join(islice(differing(record, content, thorough), 3))
    except FinbenchError as error:
        return str(error)
