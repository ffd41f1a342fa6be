"""Tasks of PIXIU's FLARE, in the one form that they share: `query` (instruction and text), `text`, `answer`.

Two of them are published as test alone: a few of their rows, drawn once and for all, are train, for shots.
"""

from functools import partial

from finbench.data.quarter import for_shots
from finbench.data.sources import Dataset, Files, Splits
from finbench.data.splits import read_splits
from finbench.data.tables import Record, name_label
from finbench.records import Row, SourceKind

END = "Answer:"
COLUMNS = ("query", "answer", "text")


def read(files: Files, kind: SourceKind, name: str, labels: tuple[str, ...]) -> tuple[Splits, dict[str, int]]:
    """Return the published splits; `labels` name the classes, and without any the answer is a text."""
    names = {label: label for label in labels}

    def row(row_id: str, record: Record) -> Row:
        text, said = record["query"].removesuffix(END).rstrip(), record["answer"]
        if not labels:
            return Row(row_id, text, answer=said)
        label = name_label(said.strip(" .").casefold(), names, name, record.place)
        return Row(row_id, text, label=label, classifier_text=(record["text"] or record["query"],))

    splits, dropped = read_splits(name, files, COLUMNS, row, optional=("text",))
    return (splits if "train" in splits else for_shots(splits["test"])), dropped


def _dataset(name: str, commit: str, files: dict[str, str], licence: str, labels: tuple[str, ...] = ()) -> Dataset:
    return Dataset(
        name=name,
        labels=labels,
        repo=f"{'TheFinAI' if labels else 'ChanceFocus'}/flare-{name}",
        revision=commit,
        hub_files={split: f"data/{split}-00000-of-00001-{mark}.parquet" for split, mark in files.items()},
        folder_files={split: f"flare/{name}_{split}.parquet" for split in files},
        read=partial(read, name=name, labels=labels),
        licence=licence,
    )


GERMAN = _dataset(
    "german",
    "3f046d04151530578ae55a6b21cd7492ac1cb52d",
    {"train": "fd22df3d350f6dbb", "test": "3c24c3e9154bed6a"},
    "CC BY 4.0",
    ("bad", "good"),
)
AUSTRALIAN = _dataset(
    "australian",
    "6858bf7fbf151b2a802989cb1e448e850c9392fa",
    {"train": "84759c9e5b74ac33", "test": "8b709bc41bab453d"},
    "CC BY 4.0",
    ("bad", "good"),
)
MA = _dataset(
    "ma",
    "1f9dc1137eb557038f21009e95e8f074f82bdb19",
    {"test": "56159619c0ddecc5"},
    "none stated",
    ("complete", "rumour"),
)
EDTSUM = _dataset("edtsum", "main", {"test": "f8ea79e581c9134b"}, "none stated")
