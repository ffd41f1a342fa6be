"""What the rows of a dataset can and cannot tell: classes, repeats, leaks, effective number, token lengths."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from finbench.data.load import asked, drop_leaks, normalised, rows_sha256
from finbench.records import Row, RowSet, Split
from finbench.scoring.kinds import labels as several

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class SplitAudit:
    """Counts of one split.

    `largest_share` is what a constant answer scores. A row is a duplicate if another one before it is worded the same;
    a conflict is something asked, however worded, that has more than one answer. Where a row may have several labels,
    each counts, and shares may add up to more than one. `effective_rows` counts clusters: distinct headlines, pairs of
    entity and sentence, items of a filing. `classes` is empty for free answers.
    """

    rows: int
    sha256: str
    classes: Mapping[str, int]
    shares: Mapping[str, float]
    largest_share: float
    duplicates: int
    conflicts: int
    effective_rows: int


@dataclass(frozen=True)
class Overlap:
    """How many rows of each side stand in the other, and how many distinct texts that is."""

    train_rows_in_test: int
    test_rows_in_train: int
    texts: int


@dataclass(frozen=True)
class TokenLengths:
    """Lengths in tokens of whole prompts with the answer; the share is of those over the model's window."""

    tokenizer: str
    window: int | None
    median: float
    max: int
    share_over_window: float | None


@dataclass(frozen=True)
class Audit:
    """All of it for one dataset, as published; `used` counts the rows that remain once leaks are dropped."""

    dataset: str
    source: str
    labels: tuple[str, ...]
    splits: Mapping[Split, SplitAudit]
    both: SplitAudit
    exact: Overlap
    near: Overlap
    used: Mapping[Split, int]
    dropped: Mapping[str, int]


def audit(rows: RowSet) -> Audit:
    """Return the audit of rows as published (`finbench.data.load.read`)."""
    used = drop_leaks(rows)
    train, test = rows.splits["train"], rows.splits["test"]
    return Audit(
        dataset=rows.dataset,
        source=rows.source,
        labels=rows.labels,
        splits={split: _split(part, rows.labels) for split, part in rows.splits.items()},
        both=_split([*train, *test], rows.labels),
        exact=_overlap(train, test, lambda text: text),
        near=_overlap(train, test, normalised),
        used={split: len(part) for split, part in used.splits.items()},
        dropped=used.dropped,
    )


def _split(rows: Sequence[Row], labels: Sequence[str]) -> SplitAudit:
    answers: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        answers.setdefault(asked(row), set()).add(row.label or row.answer)
    counts = Counter(row.label or row.answer for row in rows)
    named = Counter(label for row in rows for label in ((row.label,) if row.label else several.split(row.answer)))
    return SplitAudit(
        rows=len(rows),
        sha256=rows_sha256(rows),
        classes={label: named[label] for label in labels},
        shares={label: named[label] / len(rows) for label in labels},
        largest_share=max(counts.values()) / len(rows),
        duplicates=len(rows) - len({(row.text, row.question, row.xml) for row in rows}),
        conflicts=sum(len(given) > 1 for given in answers.values()),
        effective_rows=len({row.cluster for row in rows}),
    )


def _overlap(train: Iterable[Row], test: Iterable[Row], form: Callable[[str], str]) -> Overlap:
    in_train = [(form(row.text), row.xml) for row in train]
    in_test = [(form(row.text), row.xml) for row in test]
    shared = set(in_train) & set(in_test)
    return Overlap(sum(text in shared for text in in_train), sum(text in shared for text in in_test), len(shared))


def token_lengths(
    prompts: Sequence[str], name: str, tokenizer: "PreTrainedTokenizerBase", window: int | None
) -> TokenLengths:
    """Return the lengths of prompts in tokens, with the special tokens that the tokenizer adds."""
    lengths = [len(tokens) for tokens in tokenizer(list(prompts), verbose=False)["input_ids"]]
    over = sum(length > window for length in lengths) / len(lengths) if window else None
    return TokenLengths(name, window, median(lengths), max(lengths), over)
