"""What FinLoRA asks beside the eight: the meaning of XBRL terms, financial mathematics, questions on annual reports.

Each row of the published files (after `KirkHan0920/XBRL-Agent`) is a text that holds instruction and question, and its
answer. Where there is no test file, a fixed quarter of the train file is test. A row of financial mathematics whose
published answer is not what its own formula gives has an id that ends in `-doubted`.
"""

from functools import partial

from finbench.data.formulas import is_doubted
from finbench.data.quarter import quarter
from finbench.data.sources import DOUBTED, Dataset, Files, Splits
from finbench.data.splits import read_splits
from finbench.data.tables import Record
from finbench.records import Row, SourceKind

END = "Answer:"


def read(files: Files, kind: SourceKind, name: str) -> tuple[Splits, dict[str, int]]:
    """Return the published splits, or those of a fixed draw from the train file."""

    def row(row_id: str, record: Record) -> Row:
        text, answer = record["context"].strip().removesuffix(END).rstrip(), record["target"]
        doubt = DOUBTED if name == "formula" and is_doubted(text, answer) else ""
        return Row(f"{row_id}{doubt}", text, answer=answer)

    splits, dropped = read_splits(name, files, ("context", "target"), row)
    if "test" not in splits:
        rows = splits["train"]
        in_train, in_test = quarter(len(rows))
        splits = {"train": [rows[n] for n in in_train], "test": [rows[n] for n in in_test]}
    return splits, dropped


def _dataset(name: str, file: str, licence: str, settings: str = "") -> Dataset:
    return Dataset(
        name=name,
        labels=(),
        repo="Open-Finance-Lab/FinLoRA",
        revision="main",
        hub_files={},
        folder_files={"train": f"finlora/{file}_train.jsonl"},
        read=partial(read, name=name),
        licence=licence,
        optional={"test": f"finlora/{file}_test.jsonl"},
        settings=settings,
    )


XBRL_TERM = _dataset("xbrl_term", "xbrl_term", "MIT")
FORMULA = _dataset("formula", "formula", "MIT", '{"absolute_tolerance": 0.01}')
FINANCEBENCH = _dataset("financebench", "financebench", "CC BY-NC 4.0")
