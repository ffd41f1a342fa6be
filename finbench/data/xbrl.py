"""Questions on an XBRL filing, answered by a tag, a value, or a formula of either, after FinLoRA's XBRL analysis.

Several questions, in five wordings each, share one XML instance. On the hub (`wangd12/XBRL_analysis`) instruction, XML
and question stand inside one text; the rows here hold XML and question apart, so that prompts are the same from
either source.
"""

import hashlib
import re
from collections.abc import Iterable
from functools import partial
from typing import Literal, NamedTuple

from finbench.data.sources import SPLITS, Dataset, Files, Splits
from finbench.data.tables import Record, complete_records, read_table
from finbench.errors import FinbenchError
from finbench.records import Row, SourceKind, Split
from finbench.scoring.expressions import value_in

Asks = Literal["tags", "values"]
TAG = re.compile(r"[A-Za-z][\w-]*:[A-Za-z]\w*")
# The last "Question:" is the real one: an example question stands before it.
CONTEXT = re.compile(r"```xml\s*(?P<xml>.*?)\s*```.*\n\s*Question:\s*(?P<question>.*?)\s*\n\s*Answer:", re.DOTALL)


class _Item(NamedTuple):
    split: Split
    number: int
    question: str
    xml: str
    answer: str


def read(files: Files, kind: SourceKind, asks: Asks) -> tuple[Splits, dict[str, int]]:
    """Return the hub's splits, or the folder's by company: every third one in alphabetical order is test."""
    items, dropped = _hub_items(files) if kind == "hub" else _folder_items(files)
    splits: Splits = {"train": [], "test": []}
    for item in items:
        if asks == "tags" and not TAG.fullmatch(item.answer):
            reason = f"{item.split}: answer is no tag"
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        splits[item.split].append(_row(f"xbrl_{asks}", item))
    return splits, dropped


def _row(name: str, item: _Item) -> Row:
    # One item of one filing, however its question is worded.
    cluster = f"{hashlib.sha256(item.xml.encode()).hexdigest()[:12]}|{item.answer}"
    place = f"{name}-{item.split}-{item.number}"
    return Row(place, item.question, answer=item.answer, question=item.question, xml=item.xml, cluster=cluster)


def read_formulas(files: Files, kind: SourceKind, name: str) -> tuple[Splits, dict[str, int]]:
    """Return the published splits, from the hub's files wherever they lie; answers that are no formula are left out."""
    items, dropped = _hub_items(files)
    splits: Splits = {"train": [], "test": []}
    for item in items:
        if not value_in(item.answer):
            reason = f"{item.split}: answer is no formula"
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        splits[item.split].append(_row(name, item))
    return splits, dropped


def _hub_items(files: Files) -> tuple[Iterable[_Item], dict[str, int]]:
    items: list[_Item] = []
    dropped: dict[str, int] = {}
    for split in SPLITS:
        records, missing = complete_records(read_table(files[split], ("context", "target")), split, "context", "target")
        dropped |= missing
        for number, record in records:
            question, xml = split_context(record["context"])
            items.append(_Item(split, number, question, xml, record["target"]))
    return items, dropped


def split_context(context: str) -> tuple[str, str]:
    """Return question and XML of a published text that holds instruction, XML, example and question.

    Raises:
        FinbenchError: the text has another form.

    """
    parts = CONTEXT.search(context)
    if parts is None:
        raise FinbenchError(f"rows of xbrl: no XML and question found in a text that begins {context[:60]!r}.")
    return parts["question"], parts["xml"]


def _folder_items(files: Files) -> tuple[Iterable[_Item], dict[str, int]]:
    contexts = read_table(files["contexts"], ("company", "doc_path", "context_id", "xml"))
    xml = {_place(record): record["xml"] for record in contexts}
    test = set(sorted({record["company"] for record in contexts})[2::3])
    asked = read_table(files["questions"], ("company", "doc_path", "context_id", "question", "answer"))
    items: list[_Item] = []
    dropped: dict[str, int] = {}
    for number, record in enumerate(asked):
        split: Split = "test" if record["company"] in test else "train"
        if record["question"] and record["answer"] and _place(record) in xml:
            items.append(_Item(split, number, record["question"], xml[_place(record)], record["answer"]))
        else:
            reason = f"{split}: without question, XML or answer"
            dropped[reason] = dropped.get(reason, 0) + 1
    return items, dropped


def _place(record: Record) -> tuple[str, str]:
    return record["doc_path"], record["context_id"]


def _dataset(asks: Asks, hub_name: str) -> Dataset:
    return Dataset(
        name=f"xbrl_{asks}",
        labels=(),
        repo="wangd12/XBRL_analysis",
        revision="6ee79f739a6c51d4ec39921693ee3d7e0cd54c17",
        hub_files={"train": f"{hub_name}_train.csv", "test": f"{hub_name}_test.csv"},
        folder_files={"questions": f"xbrl/{asks}.jsonl", "contexts": "xbrl/contexts.jsonl"},
        read=partial(read, asks=asks),
        licence="MIT",
    )


def _formulas(name: str, hub_name: str) -> Dataset:
    files: dict[str, str] = {split: f"{hub_name}_{split}.csv" for split in SPLITS}
    return Dataset(
        name=name,
        labels=(),
        repo=TAGS.repo,
        revision=TAGS.revision,
        hub_files=files,
        folder_files={split: f"xbrl/{file}" for split, file in files.items()},
        read=partial(read_formulas, name=name),
        licence="MIT",
    )


TAGS = _dataset("tags", "xbrl_tags")
VALUES = _dataset("values", "value")
FORMULAS = _formulas("xbrl_formulas", "formula_formatted_with_tags")
CALCULATIONS = _formulas("xbrl_calculations", "formula_calculation")
