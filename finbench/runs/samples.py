"""The answers that lm-eval's `--log_samples` wrote, one file a task, read strictly: whole or refused, with its line."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NoReturn

from finbench.cells.schema import problems
from finbench.documents import DocumentError, parse_json, read_text
from finbench.errors import FinbenchError

MOST_CHOICES = 200  # classes; the bootstrap of a confusion matrix holds the square of them 500 times
TEXT, TEXTS = {"type": "string"}, {"type": "array", "items": {"type": "string"}}
RECORD: Mapping[str, Any] = {
    "type": "object",
    "required": ["doc_id", "doc", "filtered_resps"],
    "properties": {
        "doc_id": {"type": "integer"},
        "filtered_resps": {"type": "array"},
        "doc": {
            "type": "object",
            "additionalProperties": False,
            "required": ["id", "label", "answer", "cluster"],
            "properties": {
                **dict.fromkeys(("id", "text", "label", "answer", "question", "entity", "xml", "cluster"), TEXT),
                **dict.fromkeys(("classifier_text", "choices", "options"), TEXTS),
                "settings": TEXT,
            },
        },
    },
}


@dataclass(frozen=True)
class Samples:
    """The records of one file in the order of the rows, and the line that each stands in.

    All are of one kind: either each row has a label, one of `labels`, and each record's choices are `labels` (or their
    first ones, where rows have options of their own), or each row has an answer that is no class.
    """

    path: Path
    task: str
    labels: tuple[str, ...]
    records: tuple[dict[str, Any], ...]
    lines: tuple[int, ...]

    def refuse(self, place: int, problem: str) -> NoReturn:
        """Raise the error of a record, by its place in `records`."""
        _refuse(self.path, self.lines[place], problem)


def read_samples(path: Path) -> Samples:
    """Return the records of one file of lm-eval's `--log_samples`.

    Raises:
        FinbenchError: it is no such file, or of a task that is not ours, or was cut or edited; with the line.

    """
    lines, found = [], []
    for number, line in enumerate(_lines(path), start=1):
        if line.strip():
            try:
                record = parse_json(line, str(path), line=number, constants=True)
            except DocumentError as error:
                _refuse(path, error.line, error.problem)
            if wrong := next(islice(problems(record, RECORD), 1), None) or _nonsense(record["doc"]):
                _refuse(path, number, wrong)
            lines.append(number)
            found.append(record)
    if not found:
        raise FinbenchError(f"{path} holds no answer.")
    order = sorted(range(len(found)), key=lambda n: found[n]["doc_id"])
    records, places = tuple(found[n] for n in order), tuple(lines[n] for n in order)
    labels = max((tuple(record["doc"].get("choices") or ()) for record in records), key=len)
    samples = Samples(path, path.name.removeprefix("samples_").rpartition("_")[0], labels, records, places)
    _check_alike(samples)
    return samples


def _lines(path: Path) -> list[str]:
    try:
        return read_text(path).split("\n")
    except DocumentError as error:
        _refuse(path, error.line, error.problem)


def _nonsense(doc: Mapping[str, Any]) -> str:
    """Return what of a row is none of ours, "" where nothing is."""
    choices = doc.get("choices") or []
    if not doc["id"] or not doc["cluster"]:
        return "doc has no id or no cluster"
    if bool(doc["label"]) == bool(doc["answer"]):
        return "doc has either a label or an answer"
    if doc["label"] and doc["label"] not in choices:
        return f"doc.label is {doc['label']!r}, none of its choices"
    if len(choices) > MOST_CHOICES or len(set(choices)) < len(choices) or "" in choices:
        return f"doc.choices are not up to {MOST_CHOICES} different names"
    return ""


def _check_alike(samples: Samples) -> None:
    classes = bool(samples.records[0]["doc"]["label"])
    seen: dict[str, set[object]] = {"doc_id": set(), "doc.id": set()}
    for place, record in enumerate(samples.records):
        doc = record["doc"]
        choices = tuple(doc.get("choices") or ())
        known = samples.labels[: len(doc["options"])] if doc.get("options") else samples.labels
        if bool(doc["label"]) != classes or choices != known:
            samples.refuse(place, "doc has other choices than the rows before it")
        for name, value in (("doc_id", record["doc_id"]), ("doc.id", doc["id"])):
            if value in seen[name]:
                samples.refuse(place, f"{name} {value!r} stands twice")
            seen[name].add(value)


def _refuse(path: Path, line: int, problem: str) -> NoReturn:
    shown = DocumentError(str(path), line, 0, problem)
    raise FinbenchError(
        f"{path}{f', line {line}' if line else ''} is no file of answers to our tasks: {shown.problem}. Give a "
        "samples_*.jsonl that lm_eval --log_samples wrote for a fin_ task."
    )
