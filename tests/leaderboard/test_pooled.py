"""Entries of several seeds on the same rows: known answers, and more seeds are no more rows."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from finbench.cells.key import Cell
from finbench.cells.store import read_cells
from finbench.leaderboard import pooled
from finbench.leaderboard.paired import Outcomes
from finbench.leaderboard.view import view_of
from tests.leaderboard.conftest import GOLD, LABELS, Write

FIRST = 12  # rows that any of the invented entries answers otherwise than the others


def said(*wrong: int) -> list[str]:
    """Return answers that are all right but those of some rows."""
    return [LABELS[(LABELS.index(gold) + 1) % 3] if n in wrong else gold for n, gold in enumerate(GOLD)]


@pytest.fixture
def seeds(scored: Write) -> tuple[list[Cell], list[Cell]]:
    base = [scored("toy", "", 0, said=said(*range(10)))]
    return base, [scored("toy", f"a{n}", 0, said=said(*wrong)) for n, wrong in enumerate(((0, 1), (2, 11), (0, 3, 4)))]


def test_a_mean_over_seeds_is_tested_by_all_swaps_of_rows(seeds: tuple[list[Cell], list[Cell]], tmp_path: Path) -> None:
    base, several = seeds
    outcomes = Outcomes(tmp_path / "cells")
    found = pooled.accuracy(outcomes, base, several)
    assert not isinstance(found, str)
    right = np.array([[one.right[:FIRST] for one in map(outcomes.rows, cells) if one] for cells in (several,)])[0]
    differences = right.astype(int).sum(axis=0) - 3 * np.array([outcomes.rows(base[0]).right[:FIRST]]).astype(int)[0]  # type: ignore[union-attr]
    sums = [abs(np.dot(signs, differences)) for signs in product((-1, 1), repeat=FIRST)]
    assert found.p_value == pytest.approx(np.mean([one >= abs(differences.sum()) for one in sums]))
    assert found.difference == pytest.approx(differences.sum() / 3 / 120) and found.method == pooled.SEVERAL
    turned = pooled.accuracy(outcomes, several, base)
    assert not isinstance(turned, str) and turned.difference == pytest.approx(-found.difference)
    interval = pooled.interval(outcomes, base, several)
    assert interval is not None and 0 < interval.low < found.difference < interval.high


def test_one_seed_twice_is_no_more_evidence(scored: Write, tmp_path: Path) -> None:
    base, one = [scored("toy", "", 60)], [scored("toy", "a", 67)]
    twin = [*one, scored("toy", "b", 67)]
    outcomes = Outcomes(tmp_path / "cells")
    for test in (pooled.accuracy, pooled.f1):
        alone, twice = test(outcomes, base, one), test(outcomes, base, twin)
        assert not isinstance(alone, str) and not isinstance(twice, str)
        assert twice.p_value == pytest.approx(alone.p_value, rel=0.05) and twice.difference == pytest.approx(
            alone.difference
        )
    assert "exact McNemar" == outcomes.accuracy(base[0], one[0]).method  # type: ignore[union-attr]


def test_unlike_numbers_of_seeds_count_alike(scored: Write, tmp_path: Path) -> None:
    two = [scored("toy", f"two{n}", 0, said=said(n)) for n in range(2)]
    three = [scored("toy", f"three{n}", 0, said=said(n, 5, 6)) for n in range(3)]
    found = pooled.accuracy(Outcomes(tmp_path / "cells"), two, three)
    assert not isinstance(found, str) and found.difference == pytest.approx(-2 / 120)


def test_other_rows_and_missing_ones_are_not_compared(scored: Write, tmp_path: Path) -> None:
    base, several = [scored("toy", "", 60)], [scored("toy", f"a{n}", 70) for n in range(2)]
    grouped = scored("toy", "c", 70, repeats=2)
    outcomes = Outcomes(tmp_path / "cells")
    assert pooled.accuracy(outcomes, base, [*several, grouped]) == "other rows"
    assert pooled.accuracy(Outcomes(tmp_path / "none"), base, several) == "rows' outcomes missing"


def test_best_and_ties_are_entries_and_not_seeds(scored: Write, tmp_path: Path) -> None:
    for seed, right in enumerate((80, 90, 118)):  # one lucky seed is no best entry
        record = {"method": "lora", "tasks": ["fin_fpb"], "recipe": {"r": 8, "seed": seed}}
        scored("toy", f"lucky_s{seed}", right, record=record)
    scored("toy", "steady", 100), scored("toy", "", 60)
    view = view_of(read_cells(tmp_path / "cells"), tmp_path / "cells")
    first, second, third = view.main("fin_fpb")
    assert (first.line.title, second.line.title) == ("toy + steady", "toy + lucky") and third.line.is_base
    assert len(second.cells) == 3 and second.accuracy == pytest.approx(0.8)
    assert second.interval().high - second.interval().low > 0.13, "of 120 rows, not of 360"
