"""XBRL tags for numbers in sentences, four questions a row, as FinLoRA asks them: FiNER-139 and FNXL.

FinLoRA's FiNER rows (Loukas et al. 2022) are files of its repository. Of FNXL (Sharma et al. 2023) the publisher's
own tables are read and asked in FinLoRA's words, which also gives rows to train on; FinLoRA has its 247 test rows.
"""

import ast
from collections.abc import Sequence

from finbench.data.sources import SPLITS, Dataset, Files, Splits
from finbench.data.splits import read_splits
from finbench.data.tables import Record, complete_records, read_table
from finbench.errors import FinbenchError
from finbench.records import Row, SourceKind

AT_ONCE = 4
PREFIX = "us-gaap:"
END = "Output US GAAP tags:"
INSTRUCTION = (
    "You are XBRL expert. Choose the best XBRL US GAAP tag for each highlighted entity in the sentences below. "
    "Provide only the US GAAP tags, comma-separated, in the order of the sentences and highlighted entity. "
    "Provide nothing else\n"
)
QUESTION = 'What is the best us gaap tag for entity "{}" in sentence: "{}"?'


def read_finer(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits: instruction, the list of tags and four questions in one text."""

    def row(row_id: str, record: Record) -> Row:
        return Row(row_id, record["context"].rstrip(), answer=record["target"])

    return read_splits("finer", files, ("context", "target"), row)


def read_fnxl(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return the published splits; sentences of train that stand in test too are left out."""
    splits: Splits = {}
    dropped: dict[str, int] = {}
    tested: set[str] = set()
    for split in reversed(SPLITS):  # test first
        table = read_table(files[split], ("sentence", "numerals-tags"))
        records, missing = complete_records(table, split, "sentence", "numerals-tags")
        dropped |= missing
        fresh = [record for _, record in records if record["sentence"] not in tested]
        if split == "train" and len(fresh) < len(records):
            dropped["train: sentence stands in test"] = len(records) - len(fresh)
        tested |= {record["sentence"] for record in fresh}
        splits[split] = _batched([pair for record in fresh for pair in _asked(record, files[split].name)], split)
    return splits, dropped


def _asked(record: Record, file: str) -> list[tuple[str, str]]:
    """Return question and tag for each tag of a sentence, of the first number that has it."""
    try:
        tagged = ast.literal_eval(record["numerals-tags"])
        return [
            (QUESTION.format(values[0], record["sentence"]), tag.removeprefix(PREFIX))
            for tag, values in tagged.items()
            if values
        ]
    except (ValueError, SyntaxError, AttributeError, TypeError, KeyError, MemoryError, RecursionError):
        raise FinbenchError(
            f"rows of fnxl, {file}, {record.place}: numerals-tags is no dict of tags with their numbers."
        ) from None


def _batched(pairs: Sequence[tuple[str, str]], split: str) -> list[Row]:
    options = ", ".join(sorted({tag for _, tag in pairs}))
    rows = []
    for number, start in enumerate(range(0, len(pairs), AT_ONCE)):
        asked = pairs[start : start + AT_ONCE]
        text = f"{INSTRUCTION}{options}\n" + "".join(f"{question}\n" for question, _ in asked) + f"\n{END}"
        rows.append(Row(f"fnxl-{split}-{number}", text, answer=",".join(tag for _, tag in asked)))
    return rows


FINER = Dataset(
    name="finer",
    labels=(),
    repo="Open-Finance-Lab/FinLoRA",
    revision="7e1cf82803aa56a5f698d71e1528395e16b21093",
    hub_files={},
    folder_files={split: f"finlora/finer_{split}_batched.jsonl" for split in SPLITS},
    read=read_finer,
    licence="CC BY-SA 4.0",
)
FNXL = Dataset(
    name="fnxl",
    labels=(),
    repo="soummyaah/FNXL",
    revision="250200aa663dc5b97fd17713641bd234a05a106f",
    hub_files={},
    folder_files={split: f"fnxl/{split}_sample.csv" for split in SPLITS},
    read=read_fnxl,
    licence="none stated",
)
