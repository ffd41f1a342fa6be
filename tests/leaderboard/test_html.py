"""The HTML page in a real browser: sorted, filtered, grouped, compared, proved, and nothing is fetched or run."""

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finbench import compare
from finbench.cells.store import read_cells
from finbench.leaderboard import compared
from finbench.leaderboard.render import left_over, render, write
from tests.leaderboard.conftest import GOLD, LABELS

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ABSENT = "ERR_FILE_NOT_FOUND"  # what a browser says of a file that was taken away
EVIL = "</script><img src=x onerror=document.title='taken'>"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed (none of {', '.join(BROWSERS)} is found)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Return what renders the cells and opens their page; whatever a page asks for outside its folder is a mistake."""
    asked: list[str] = []
    problems: list[str] = []

    def open_page(**options: Any) -> Any:
        write(render(read_cells(tmp_path / "cells"), tmp_path / "cells"), tmp_path)
        page = browser.new_page(**options)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on(
            "console",
            lambda message: (
                problems.append(message.text) if message.type == "error" and ABSENT not in message.text else None
            ),
        )
        page.goto((tmp_path / "index.html").as_uri())
        return page

    yield open_page
    assert problems == [] and all(url.startswith(tmp_path.as_uri()) for url in asked)


def entries(page: Any) -> list[str]:
    names = page.locator("#body tr:not(.proof) th").evaluate_all("all => all.map((one) => one.firstChild.textContent)")
    return list(names)


def said(seed: int, skill: float) -> list[str]:
    draw = random.Random(seed)
    return [gold if draw.random() < skill else draw.choice(LABELS) for gold in GOLD]


def test_the_page_sorts_filters_and_proves(scored: Callable, opened: Callable, tmp_path: Path) -> None:
    scored("toy", "", 60), scored("toy", "good", 100), scored(EVIL, "", 40, task="fin_tfns")
    scored("toy", "good", 70, perturb="typos/1", perturbed_share=0.5)
    page = opened()
    assert entries(page) == ["toy + good", "toy (base)", f"{EVIL} (base)"]  # the most accurate first
    page.click("[data-act='sort accuracy']")
    assert entries(page) == [f"{EVIL} (base)", "toy (base)", "toy + good"]
    assert page.get_attribute("#head th:nth-child(4)", "aria-sort") == "ascending"
    page.select_option("#task", "fpb")
    page.fill("#search", "GOOD")
    assert entries(page) == ["toy + good"] and "1 of 3 scores" in page.inner_text("#count")
    page.focus("#body [data-act^=prove]")
    page.keyboard.press("Enter")
    proof = page.inner_text("#body tr.proof")
    assert "finbench run m" in proof and "sha256" in proof and "not recorded" in proof
    assert (
        page.get_attribute("#body [data-act^=prove]:focus", "aria-expanded") == "true"
    )  # the keyboard keeps its place
    linked = page.get_attribute("#body tr.proof a", "href")
    assert json.loads((tmp_path / linked).read_text())["key"]["adapter"] == "good"
    page.fill("#search", "")
    page.check("#published")
    found = entries(page)
    assert found[:2] == ["toy (base)", "toy + good"] and "(as reported)" in found[2]  # below, not ranked
    lost = page.locator("#perturbed tbody :is(td, th)").all_inner_texts()  # in a table of its own, not among the scores
    assert lost[:6] == ["toy + good", "fpb", "typos", "50.0%", "0.8333", "0.5833"] and "loses" in lost[7]
    page.click("#perturbed summary")
    assert "typos/1" in page.inner_text("#perturbed dl")
    assert page.title() == "finbench leaderboards" and page.locator("img").count() == 0


def test_seeds_are_one_line_that_opens(scored: Callable, opened: Callable) -> None:
    loud = {"cores": 2, "mean": 1.0, "others_share": 0.4}
    for seed, right in enumerate((80, 90, 100)):
        record = {"method": "lora", "recipe": {"base": "toy", "r": 8, "seed": seed}}
        scored("toy", f"fpb_lora_s{seed}", right, record=record, load=loud if seed else None)
    scored("toy", "", 60), scored("toy", "other", 70, record={"method": "lora", "recipe": {"base": "toy", "r": 2}})
    page = opened(viewport={"width": 380, "height": 800})
    assert entries(page) == ["toy + fpb_lora", "toy + other", "toy (base)"]
    first = page.inner_text("#body tr:first-child")
    assert "0.7500 ± 0.0833" in first and "3 seeds" in first and "0.01†" in first
    assert "3 lines with 5 of 5 scores; † seconds taken beside" in page.inner_text("#count")
    page.click("text=3 seeds")
    assert entries(page) == [
        "toy + fpb_lora", *(f"toy + fpb_lora_s{seed}" for seed in (2, 1, 0)), "toy + other", "toy (base)"
    ]  # fmt: skip
    # nothing is cut off on a telephone
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    unnamed = "all => all.filter((one) => !one.labels.length).length"
    assert page.locator("input, select").evaluate_all(unnamed) == 0


def test_two_entries_compare_as_finbench_compares_them(scored: Callable, opened: Callable, tmp_path: Path) -> None:
    answers = {name: said(seed, skill) for seed, (name, skill) in enumerate((("a", 0.4), ("b", 0.6), ("c", 0.9)))}
    for task, repeats in (("fin_fpb", 1), ("fin_tfns", 4)):
        for name, of_all in answers.items():
            scored("toy", name, 0, said=of_all, task=task, repeats=repeats)
    scored("toy", "d", 120, repeats=2)
    page = opened()
    page.click("#comparison summary")
    expected: dict[tuple[str, str], dict[str, Any]] = {
        (other, line["task"]): line
        for other in "bc"
        for line in compare("toy + a", f"toy + {other}", folder=tmp_path / "cells").to_dict("records")
    }
    for (other, task), line in sorted(expected.items(), key=lambda one: one[0][1]):
        page.select_option("#pair-task", task.removeprefix("fin_"))
        page.select_option("#first", label="toy + a")
        page.select_option("#second", label=f"toy + {other}")
        page.locator("#verdict", has_text=f"toy + {other} has").wait_for()
        verdict = page.inner_text("#verdict")
        assert f"{line['gained']} gained, {line['lost']} lost" in verdict
        assert ("clusters" in verdict) == (task == "fin_tfns")
        p = float(page.get_attribute("#verdict", "data-p"))
        assert p == (line["p"] if task == "fin_fpb" else pytest.approx(line["p"], rel=1e-9))
    rows = page.locator("#compared tbody tr").all_inner_texts()
    assert len(rows) == line["gained"] + line["lost"]
    assert all(row.split("\t")[-1] in ("gained", "lost") for row in rows)
    page.select_option("#which", "")
    shown = [row.split("\t")[:4] for row in page.locator("#compared tbody tr").all_inner_texts()]
    assert shown == [[f"row-{n}", *row] for n, row in enumerate(zip(GOLD, answers["a"], answers["c"], strict=True))]
    page.select_option("#pair-task", "fpb")
    page.select_option("#first", label="toy + a"), page.select_option("#second", label="toy + d")
    page.locator("#verdict", has_text="not scored on the same rows").wait_for()
    page.click("[data-act^=choose][aria-label='compare: toy + d on fpb']")  # not any more
    page.click("[data-act^=choose][aria-label='compare: toy + b on fpb']")
    page.locator("#verdict", has_text="toy + b has").wait_for()
    assert page.locator("[aria-pressed=true]").count() == 2


def test_the_tests_of_the_page_are_those_of_the_boards(scored: Callable, opened: Callable) -> None:
    from finbench.leaderboard import exact

    scored("toy", "", 60)
    page = opened()
    for lost, gained in ((0, 0), (0, 5), (3, 9), (40, 41), (200, 420), (10, 2500), (2900, 3100)):
        expected = exact.mcnemar([True] * (lost + 1) + [False] * gained, [True] + [False] * lost + [True] * gained)
        found = page.evaluate(f"mcnemar({lost}, {gained})")
        assert found["p"] == expected.p_value and found["floor"] == expected.floor
    import numpy as np

    draw = np.random.default_rng(0)
    for clusters, widest, shift in ((6, 3, 0), (60, 9, 1), (700, 9, 0), (700, 5, 3)):
        differences = np.clip(draw.integers(-widest, widest + 1, clusters) + shift, -9, 9)
        expected = exact.swapped(differences, 9 * clusters)
        found = page.evaluate("swapped", differences.tolist())
        assert found["p"] == pytest.approx(expected.p_value, rel=1e-9, abs=1e-300)
        assert found["floor"] == expected.floor


def test_a_page_without_its_files_says_so_and_many_entries_bring_some_rows(
    scored: Callable, opened: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 4
    monkeypatch.setattr(compared, "MOST_CELLS", most)
    for number in range(most + 2):
        scored("toy", f"a{number}", 10 * number + 1)
    scored("toy", "", 0)
    page = opened()
    carried = set(json.loads((tmp_path / "outcomes_fpb.js").read_text()[17:-3])["sets"][0]["cells"])
    assert len(carried) == most
    page.click("#comparison summary")
    assert f"The rows of {most} of {most + 3} scores" in page.inner_text("#verdict")
    page.select_option("#pair-task", "fpb")
    names = page.locator("#first option").all_inner_texts()
    assert names == ["choose", "toy (base)", "toy + a3", "toy + a4", "toy + a5"]
    (tmp_path / "outcomes_fpb.js").rename(tmp_path / "elsewhere.js")
    page.reload()
    page.locator("#comparison summary").click()
    page.select_option("#pair-task", "fpb")
    page.select_option("#first", index=1), page.select_option("#second", index=2)
    page.locator("#verdict", has_text="not beside this page").wait_for()
    (tmp_path / "outcomes_tfns.js").write_text('finbenchOutcomes({\n"task": "fin_tfns",\n"letters": ""});\n')
    (tmp_path / "outcomes_mine.js").write_text("mine")
    pages = render(read_cells(tmp_path / "cells"), tmp_path / "cells")
    assert [path.name for path in left_over(pages, tmp_path)] == ["outcomes_tfns.js"]
