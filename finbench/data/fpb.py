"""Financial PhraseBank, sentences that at least half of the annotators agree on (Malo et al. 2013, arXiv:1307.5336)."""

import zipfile
from pathlib import Path

from finbench.data.sources import Dataset, Files, Splits
from finbench.records import Row, SourceKind, Split

LABELS = ("negative", "neutral", "positive")
MEMBER = "FinancialPhraseBank-v1.0/Sentences_50Agree.txt"


def _lines(path: Path) -> list[str]:
    """Return the `sentence@label` lines; the release is latin-1, inside a zip on the hub."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            raw = archive.read(MEMBER)
    else:
        raw = path.read_bytes()
    return raw.decode("latin-1").splitlines()


def read(files: Files, kind: SourceKind) -> tuple[Splits, dict[str, int]]:
    """Return rows split as published FinGPT and FinLoRA numbers are: a quarter for test, seed 42."""
    import datasets

    sentences: list[tuple[str, str]] = []
    dropped = 0
    for line in _lines(files["all"]):
        text, _, label = line.rpartition("@")
        if text.strip() and label.strip() in LABELS:
            sentences.append((text.strip(), label.strip()))
        else:
            dropped += 1
    order = datasets.Dataset.from_dict({"n": list(range(len(sentences)))}).train_test_split(test_size=0.25, seed=42)

    def rows(split: Split) -> list[Row]:
        return [
            Row(id=f"fpb-{n}", text=sentences[n][0], label=sentences[n][1], classifier_text=(sentences[n][0],))
            for n in order[split]["n"]
        ]

    return {"train": rows("train"), "test": rows("test")}, {"without text or label": dropped} if dropped else {}


DATASET = Dataset(
    name="fpb",
    labels=LABELS,
    repo="takala/financial_phrasebank",
    revision="main",
    hub_files={"all": "data/FinancialPhraseBank-v1.0.zip"},
    folder_files={"all": "fpb/Sentences_50Agree.txt"},
    read=read,
    licence="CC BY-NC-SA 3.0",
)
