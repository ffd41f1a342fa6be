"""The fixed split of a dataset that has none of its own: a quarter for test, seed 42."""

from finbench.data.sources import Splits
from finbench.records import Row

SHARE, SEED = 0.25, 42
SHOTS = 20  # rows of a dataset that is published as test alone


def quarter(count: int, share: float = SHARE, seed: int = SEED) -> tuple[list[int], list[int]]:
    """Return the row numbers of train and of test, as `datasets.Dataset.train_test_split(0.25, seed=42)` draws them.

    Published FinGPT and FinLoRA numbers on FPB use this draw; the order within a split is the shuffled one.
    """
    import datasets

    drawn = datasets.Dataset.from_dict({"n": list(range(count))}).train_test_split(test_size=share, seed=seed)
    return list(drawn["train"]["n"]), list(drawn["test"]["n"])


def for_shots(rows: list[Row]) -> Splits:
    """Return the splits of rows published as test alone: a few of them are train, for the shots of prompts."""
    shots = min(SHOTS, len(rows) // 2)
    in_train, in_test = quarter(len(rows), (len(rows) - shots) / len(rows))
    return {"train": [rows[n] for n in in_train], "test": [rows[n] for n in in_test]}
