"""Financial PhraseBank, sentences that at least half of the annotators agree on (Malo et al. 2013, arXiv:1307.5336)."""

import zipfile
from pathlib import Path

from finbench.data.quarter import quarter
from finbench.data.sources import Dataset, Files, Splits
from finbench.errors import FinbenchError
from finbench.records import Row, SourceKind

LABELS = ("negative", "neutral", "positive")
MEMBER = "FinancialPhraseBank-v1.0/Sentences_50Agree.txt"


def _lines(path: Path) -> list[str]:
    """Return the `sentence@label` lines; the release is latin-1, inside a zip on the hub."""
    if path.suffix != ".zip":
        return path.read_bytes().decode("latin-1").splitlines()
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(MEMBER).decode("latin-1").splitlines()
    except (zipfile.BadZipFile, KeyError) as error:
        raise FinbenchError(f"rows of fpb: {str(path)!r} is not the original release ({error}).") from error


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return rows split as published FinGPT and FinLoRA numbers are: a quarter for test, seed 42."""
    sentences: list[tuple[str, str]] = []
    lines = _lines(files["all"])
    for line in lines:
        text, _, label = line.rpartition("@")
        if text.strip() and label.strip() in LABELS:
            sentences.append((text.strip(), label.strip()))
    dropped = {"without text or label": len(lines) - len(sentences)} if len(sentences) < len(lines) else {}

    def rows(numbers: list[int]) -> list[Row]:
        chosen = ((n, *sentences[n]) for n in numbers)
        return [Row(id=f"fpb-{n}", text=text, label=label, classifier_text=(text,)) for n, text, label in chosen]

    train, test = quarter(len(sentences))
    return {"train": rows(train), "test": rows(test)}, dropped


DATASET = Dataset(
    name="fpb",
    labels=LABELS,
    repo="takala/financial_phrasebank",
    revision="8d3fe0c36d5feec6b3cc5e455b0fcb4820fb9964",
    hub_files={"all": "data/FinancialPhraseBank-v1.0.zip"},
    folder_files={"all": "fpb/Sentences_50Agree.txt"},
    read=read,
    licence="CC BY-NC-SA 3.0",
)
