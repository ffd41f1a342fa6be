"""Questions on a page of an annual report, answered by a number: FinQA (Chen et al. 2021) and ConvFinQA (2022).

A page is text, table and text. The right answer is what the annotated program gives (`exe_ans`): percentages as
shares, to five decimals, and yes or no for comparisons. A row of FinQA whose annotator wrote another answer than the
program gives has an id that ends in `-doubted`. ConvFinQA asks in turns, of which a row holds all up to its
own; its test file has no answers, so its dev file is test here.
"""

import hashlib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any

from finbench.data.entries import read_entries
from finbench.data.sources import DOUBTED, SPLITS, Dataset, Files, Splits
from finbench.errors import FinbenchError
from finbench.records import Row, SourceKind
from finbench.scoring.numbers import number_of

FAR = Decimal("0.02")  # as a share of the answer
ROUNDED_AWAY = Decimal("0.01")
FIELDS: Mapping[str, type] = {"id": str, "pre_text": list, "post_text": list, "table": list}


def read(files: Files, kind: SourceKind, name: str, asked: str) -> tuple[Splits, dict[str, int]]:
    """Return the published splits; `asked` is the field of question and answer."""
    splits: Splits = {}
    dropped: dict[str, int] = {}
    for split in SPLITS:
        splits[split] = []
        for number, entry in enumerate(read_entries(files[split], {**FIELDS, asked: dict})):
            question, answer = _asked(entry[asked])
            if not question or not answer:
                reason = f"{split}: without question or answer"
                dropped[reason] = dropped.get(reason, 0) + 1
                continue
            page = _page(entry, str(files[split]))
            doubt = DOUBTED if contradicts(str(entry[asked].get("answer") or ""), answer) else ""
            cluster = hashlib.sha256(page.encode()).hexdigest()[:12]  # one page of a report, whatever is asked of it
            splits[split].append(
                Row(f"{name}-{split}-{number}{doubt}", page, answer=answer, question=question, cluster=cluster)
            )
    return splits, dropped


def _asked(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Return question and answer, "" for what is not there; in a conversation the turns up to this one."""
    turns, answer = entry.get("cur_dial", entry.get("question")), entry.get("exe_ans")
    question = " ".join(map(str, turns)) if isinstance(turns, list) else turns if isinstance(turns, str) else ""
    said = str(answer).strip() if isinstance(answer, str | int | float) and not isinstance(answer, bool) else ""
    return " ".join(question.split()), "" if said.casefold() in ("n/a", "nan") else said


def contradicts(written: str, computed: str) -> bool:
    """Say whether an annotator's answer is not the computed one, whatever its scale, sign and rounding.

    Answers are written as "14.1%", "1.2 million" or "12.5" where the program gives 0.14136, 1.2 or -12.48: only other
    digits contradict, and yes and no. What is no number contradicts nothing.
    """
    if {written.casefold().strip(), computed.casefold()} == {"yes", "no"}:
        return True
    said, given = number_of(written), number_of(computed)
    if not said or not given:
        return False
    wanted, found = abs(Decimal(said)), abs(Decimal(given))
    if not wanted or not found:
        return bool(wanted) != bool(found) and max(wanted, found) > ROUNDED_AWAY
    scale = Decimal(10) ** (wanted.adjusted() - found.adjusted())
    unit = Decimal(1).scaleb(int(wanted.as_tuple().exponent))  # of the last digit that is written
    return all(abs(found * scale * times - wanted) > unit + wanted * FAR for times in (Decimal("0.1"), 1, 10))


def _page(entry: Mapping[str, Any], path: str) -> str:
    table: Sequence[Any] = entry["table"]
    if not all(isinstance(row, list) for row in table):
        raise FinbenchError(f"{path!r}, entry {entry['id']!r}: 'table' is no list of rows.")
    lines = [*entry["pre_text"], *(" | ".join(map(str, row)) for row in table), *entry["post_text"]]
    return "\n".join(text for line in lines if (text := str(line).strip()) not in ("", "."))


def _dataset(name: str, repo: str, commit: str, folder_files: Mapping[str, str], asked: str) -> Dataset:
    return Dataset(
        name=name,
        labels=(),
        repo=repo,
        revision=commit,
        hub_files={},
        folder_files=folder_files,
        read=partial(read, name=name, asked=asked),
        licence="MIT",
        settings='{"percent": "share", "relative_tolerance": 0.01}',
    )


FINQA = _dataset(
    "finqa",
    "czyssrs/FinQA",
    "0f16e2867befa6840783e58be38c9efb9229d742",
    {"train": "finqa/train.json", "test": "finqa/test.json"},
    "qa",
)
CONVFINQA = _dataset(
    "convfinqa",
    "czyssrs/ConvFinQA",
    "cf3eed2d5984960bf06bb8145bcea5e80b0222a6",
    {"train": "convfinqa/train_turn.json", "test": "convfinqa/dev_turn.json"},
    "annotation",
)
