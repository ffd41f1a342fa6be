"""The best of many adapters: those that do nothing are not called better, one that helps is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from finbench.cells.key import Cell
from finbench.cells.store import read_cells
from finbench.leaderboard.chosen import LEVEL
from finbench.leaderboard.conditions import condition_of
from finbench.leaderboard.gains import Gain, gains_of
from finbench.leaderboard.paired import CellRows, Outcomes
from finbench.leaderboard.render import render
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.seeds import Line
from finbench.leaderboard.table import Entry
from tests.leaderboard.conftest import GOLD, LABELS, answers
from tests.leaderboard.test_pages import line
from tests.leaderboard.test_render import cell

Write = Callable[..., Cell]
ROWS, ADAPTERS = 400, 40
BASE = Entry("toy", "float32", "hf-fast", "")


def best_gain(cells: dict[Entry, Cell], right: dict[Entry, np.ndarray], repeats: int) -> Gain:
    """Return the gain of the most accurate entry, given which rows each answers rightly."""
    ids, golds = np.arange(ROWS), np.full(ROWS, "a", object)
    rows = {
        cells[entry].key.digest(): CellRows(ids, golds, np.where(given, "a", "b").astype(object), ids // repeats)
        for entry, given in right.items()
    }
    order = sorted(cells, key=lambda entry: (-right[entry].mean(), bool(entry.adapter), entry))
    ranked = [
        Scored(Line(entry.title(), "", (entry,)), "fin_fpb", condition_of(cells[entry]), (cells[entry],),
               cells[BASE] if entry.adapter else None)
        for entry in order
    ]  # fmt: skip
    return gains_of(ranked, Outcomes(Path(), rows))[ranked[0].line]


@pytest.fixture(scope="module")
def cells() -> dict[Entry, Cell]:
    names = ["", *(f"a{n}" for n in range(ADAPTERS))]
    return {BASE._replace(adapter=name): cell("toy", name, 0.5) for name in names}


def drawn(cells: dict[Entry, Cell], seed: int, helps: float = 0.0, repeats: int = 1) -> dict[Entry, np.ndarray]:
    """Return answers of a base and of adapters that answer a fifth of the rows anew, the first of them better."""
    random = np.random.default_rng(seed)
    clusters = ROWS // repeats
    ability = random.random(clusters) * 0.5 + 0.35  # some rows are easier, for all
    base = random.random(clusters) < ability
    found = {BASE: base}
    for entry in cells:
        if entry.adapter:
            own = helps if entry.adapter == "a0" else 0.0
            anew = random.random(clusters) < 0.2
            found[entry] = np.where(anew, random.random(clusters) < ability + 5 * own, base)
    return {entry: np.repeat(given, repeats) for entry, given in found.items()}


@pytest.mark.parametrize("repeats", [1, 2])
def test_the_best_of_adapters_that_do_nothing_is_rarely_called_better(cells: dict[Entry, Cell], repeats: int) -> None:
    found = [best_gain(cells, drawn(cells, seed, repeats=repeats), repeats) for seed in range(200)]
    alone = np.mean([not isinstance(one.test, str) and one.test.p_value < LEVEL for one in found])
    corrected = np.mean([one.p_value is not None and one.p_value < LEVEL for one in found])
    assert alone > 0.3  # as if it had not been chosen
    assert corrected <= 0.06


def test_an_adapter_that_helps_is_found_among_many_that_do_not(cells: dict[Entry, Cell]) -> None:
    found = [best_gain(cells, drawn(cells, seed, helps=0.09), 1) for seed in range(60)]
    shown = np.mean([one.p_value is not None and one.p_value < LEVEL for one in found])
    counted = np.mean([not isinstance(one.test, str) and one.test.p_value * ADAPTERS < LEVEL for one in found])
    assert shown > 0.8 and shown >= counted


def test_counting_alone_corrects_no_less_than_drawing(cells: dict[Entry, Cell]) -> None:
    found = [best_gain(cells, drawn(cells, seed, helps=0.05), 1) for seed in range(40)]
    counted = [one.test.p_value * ADAPTERS for one in found if not isinstance(one.test, str)]
    drawn_p = [one.p_value for one in found if one.p_value is not None]
    assert all(p <= min(1.0, most) for p, most in zip(drawn_p, counted, strict=True))
    assert any(p < 0.9 * most for p, most in zip(drawn_p, counted, strict=True) if most < 1)


def test_the_front_page_corrects_for_all_that_were_scored(scored: Write, tmp_path: Path) -> None:
    def pages() -> dict[str, str]:
        return render(read_cells(tmp_path / "cells"), tmp_path / "cells")

    base = answers(60)
    scored("toy", "", 60), scored("toy", "a00", 67)  # seven pairs, all one way: p 0.016
    assert "+0.058, better (p 0.016)" in line(pages()["README.md"], "fpb", "toy + a00")
    for n in range(1, 20):  # each changes ten rows of its own choice, half of them for the better
        right, wrong = np.random.default_rng(n).permutation(60)[:5], 60 + np.random.default_rng(n).permutation(60)[:5]
        said = [GOLD[row] if row in wrong else LABELS[0] if row in right and GOLD[row] != LABELS[0] else given
                for row, given in enumerate(base)]  # fmt: skip
        scored("toy", f"a{n:02}", 0, said=said)
    page = pages()
    assert "+0.058, not shown to differ (p 0." in line(page["README.md"], "fpb", "toy + a00")
    assert "+0.058, not shown to differ (p 0." in line(page["task_fpb.md"], "| 1 ", "toy + a00")
    against = line(page["task_fpb.md"].partition("### Pairs")[2], "toy + a00", "toy (base)")
    assert against.count("not shown to differ") == 2


def test_a_board_says_where_so_few_rows_differ_that_nothing_could_be_shown(scored: Write, tmp_path: Path) -> None:
    scored("toy", "", 60), scored("toy", "a", 64), scored("toy", "b", 20)  # four rows: p is 0.125 whatever they say
    page = render(read_cells(tmp_path / "cells"), tmp_path / "cells")
    assert "+0.033, not shown to differ (p 0.125), too few rows do" in line(page["README.md"], "toy + a")
    assert "too few" not in line(page["task_fpb.md"], "toy + b", "worse")
