"""What perturbed texts cost: shown on their own page beside the same weights' score, and counted nowhere else."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from finbench.cells.key import Cell
from finbench.cells.store import read_cells
from finbench.leaderboard.paired import Outcomes
from finbench.leaderboard.render import render
from tests.leaderboard.test_pages import line

Write = Callable[..., Cell]


@pytest.fixture
def pages(tmp_path: Path) -> Callable[[], dict[str, str]]:
    return lambda: render(read_cells(tmp_path / "cells"), tmp_path / "cells")


def data_of(page: str) -> dict[str, list[dict[str, object]]]:
    return json.loads(page.partition('id="data">')[2].partition("</script>")[0])


def test_a_loss_is_shown_with_its_test(scored: Write, pages: Callable) -> None:
    scored("toy", "a", 100)
    scored("toy", "a", 70, perturb="lower/1", perturbed_share=0.5)
    scored("toy", "a", 99, perturb="typos/1", perturbed_share=1.0)
    scored("toy", "a", 100, perturb="numbers/1", perturbed_share=0.1)
    page = pages()["robustness.md"]
    assert line(page, "toy + a", "0.833", "0.250 *", "| 0.008 ", "| 0.000 ")
    assert all(said in line(page, "| lower ") for said in ("50.0%", "30 / 0", "loses (p &lt; 0.001)", "0.250 [0."))
    assert "not shown to differ (p 1.000)" in line(page, "| typos ")
    assert "no row's outcome changed" in line(page, "| numbers ")


def test_a_gain_is_a_loss_below_zero(scored: Write, pages: Callable) -> None:
    scored("toy", "", 60), scored("toy", "", 90, perturb="upper/1", perturbed_share=1.0)
    assert "-0.250 *" in line(pages()["robustness.md"], "toy (base)", "0.500")
    assert "gains (p &lt; 0.001)" in line(pages()["robustness.md"], "| upper ")


def test_rows_that_repeat_widen_the_interval(scored: Write, tmp_path: Path) -> None:
    outcomes = Outcomes(tmp_path / "cells")
    pairs = [(scored("t", n, 100, repeats=r), scored("t", n, 70, repeats=r, perturb="lower/1")) for n, r in (("a", 1), ("b", 10))]  # fmt: skip # noqa: E501
    narrow, wide = (outcomes.loss_interval(*pair) for pair in pairs)
    assert narrow and wide and narrow.low < 0.25 < narrow.high
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_perturbed_cells_change_no_other_page(scored: Write, pages: Callable) -> None:
    record = {"method": "lora", "tasks": ["fin_fpb"], "recipe": {}}
    scored("toy", "", 60), scored("toy", "a", 80, record=record), scored("toy", "", 50, task="fin_tfns")
    before = pages()
    for kind in ("lower/1", "typos/1"):
        scored("toy", "", 119, perturb=kind, created="2026-02-01T00:00:00+00:00", source="folder of others")
        scored("toy", "a", 120, perturb=kind, created="2026-02-01T00:00:00+00:00", record=record, note="a remark")
        scored("new", "", 120, perturb=kind, task="fin_ner")
    after = pages()
    assert {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)} == {
        "robustness.md",
        "index.html",
    }
    old, new = data_of(before["index.html"]), data_of(after["index.html"])
    assert old["lines"] == new["lines"] and not old["perturbed"] and len(new["perturbed"]) == 4


def test_only_the_same_weights_are_compared(scored: Write, pages: Callable) -> None:
    scored("toy", "a", 100, adapter_sha256="trained anew")
    scored("toy", "a", 20, perturb="lower/1")
    page = pages()["robustness.md"]
    assert "1 perturbed results stand alone" in page and "toy" not in page


def test_without_perturbed_cells_the_page_says_how_to_get_them(scored: Write, pages: Callable) -> None:
    scored("toy", "", 60)
    assert "perturb: [none, lower" in pages()["robustness.md"]


def test_the_key_is_another_and_old_ones_keep_their_names(scored: Write) -> None:
    plain = scored("toy", "a", 100).key
    changed = replace(plain, perturb="typos/1")
    assert changed.digest() != plain.digest() and changed.title() == "fin_fpb | toy + a | perturbed: typos"
    assert replace(changed, perturb="typos/2").digest() != changed.digest()


def test_a_large_loss_is_shown_among_however_many_tests(scored: Write, pages: Callable) -> None:
    for n in range(17):  # 51 pairs: 999 draws of swaps could show none of them
        scored("toy", f"a{n:02}", 120, repeats=4)
        for kind in ("lower/1", "upper/1", "typos/1"):
            scored("toy", f"a{n:02}", 53 if n == 0 else 120, perturb=kind, perturbed_share=1.0, repeats=4)
    page = pages()["robustness.md"]
    assert line(page, "toy + a00", "1.000", "0.558 *").count("*") == 3
    assert "loses (p &lt; 0.001)" in line(page, "toy + a00", "| typos ")
