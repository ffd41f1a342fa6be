"""Entries are ranked, bounded and compared by the metric that the kind of their answers names."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finbench.cells.store import write_cell
from finbench.leaderboard import primary
from finbench.leaderboard.paired import Outcomes, accuracy_interval
from finbench.leaderboard.table import accuracy
from finbench.records import Outcome
from finbench.scoring.kinds import KINDS
from finbench.scoring.kinds.summary import summarise

PRIMARY = {"labels": "f1", "spans": "f1", "text": "rouge_l", "tags": "places", "bertscore": "bertscore"}
GOLD = "; ".join(f"PLACE: town{n}" for n in range(4))


def test_every_kind_names_one_of_its_metrics() -> None:
    for name, kind in KINDS.items():
        assert kind.primary == PRIMARY.get(name, "accuracy") and kind.primary in kind.metrics


def named(count: int, wrong: int = 0) -> str:
    return "; ".join([*(f"PLACE: town{n}" for n in range(count)), *(f"PLACE: elsewhere{n}" for n in range(wrong))])


def cell_of(scored: Any, folder: Path, base: str, said: list[str]) -> Any:
    """Return a cell of kind spans whose rows were answered so."""
    docs = [{"id": f"row-{n}", "cluster": str(n), "answer": GOLD} for n in range(len(said))]
    outcomes: list[Outcome] = [KINDS["spans"].read(doc, [text]) for doc, text in zip(docs, said, strict=True)]
    made = replace(
        scored(base, "", 60, task=f"fin_spans_{base}"),
        kind="spans",
        labels=(),
        per_class={},
        confusion=None,
        n_rows=len(said),
        n_clusters=len(said),
        metrics=summarise(outcomes, (), "spans"),
    )
    write_cell(folder, made, outcomes)
    return made


def test_spans_are_ranked_by_f1_and_not_by_whole_lists(scored: Any, tmp_path: Path) -> None:
    folder = tmp_path / "cells"
    # The first names three of four everywhere and no list as a whole, the other a few whole lists and else nothing.
    near = cell_of(scored, folder, "near", [named(3, n % 2) for n in range(40)])
    rare = cell_of(scored, folder, "rare", [named(4) if n % 8 == 0 else "none" for n in range(40)])
    assert near.metrics["accuracy"].value < rare.metrics["accuracy"].value
    assert accuracy(near) == near.metrics["f1"].value > accuracy(rare) == rare.metrics["f1"].value
    interval = accuracy_interval(near)
    assert 0 < interval.low < accuracy(near) < interval.high < 1
    test = Outcomes(folder).accuracy(rare, near)
    assert not isinstance(test, str)
    assert test.difference == pytest.approx(accuracy(near) - accuracy(rare)) and test.p_value < 0.01
    assert Outcomes(folder).accuracy(near, near).p_value == 1.0  # type: ignore[union-attr]


def test_of_classes_accuracy_ranks_as_before(scored: Any) -> None:
    cell = scored("base", "", 90)
    assert primary.name_of(cell) == "accuracy" and accuracy(cell) == cell.metrics["accuracy"].value
    assert primary.interval_of(cell) is None


def test_a_mean_of_rows_is_compared_by_clusters() -> None:
    lines = np.stack([np.linspace(0.1, 0.5, 20), np.ones(20)], axis=1)
    better = lines + [0.2, 0]
    found = primary.compared(lines, better, np.arange(20, dtype=np.int64))
    assert found.difference == pytest.approx(0.2) and found.p_value < 1e-4
    assert primary.compared(lines, lines, np.arange(20) // 4).p_value == 1.0
