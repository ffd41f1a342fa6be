"""The HTML page in a real browser: sorted, filtered, proved, and nothing in it runs or is fetched."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from finbench.cells.store import read_cells
from finbench.leaderboard.render import render, write

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
EVIL = "</script><img src=x onerror=document.title='taken'>"


@pytest.fixture
def browser() -> Iterator[Any]:
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip(f"no browser is installed (none of {', '.join(BROWSERS)} is found)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield started
        started.close()


def test_the_page_sorts_filters_and_proves(scored: Callable, browser: Any, tmp_path: Path) -> None:
    scored("toy", "", 60), scored("toy", "good", 100), scored(EVIL, "", 40, task="fin_tfns")
    scored("toy", "good", 70, perturb="typos/1", perturbed_share=0.5)
    write(render(read_cells(tmp_path / "cells"), tmp_path / "cells"), tmp_path)
    page, asked, problems = browser.new_page(), [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    page.goto((tmp_path / "index.html").as_uri())

    def entries() -> list[str]:
        return page.locator("#body tr td:nth-child(2)").all_inner_texts()

    assert entries() == ["toy + good", "toy (base)", f"{EVIL} (base)"]  # the most accurate first
    page.click("button[data-column=accuracy]")
    assert entries() == [f"{EVIL} (base)", "toy (base)", "toy + good"]
    page.select_option("#task", "fpb")
    page.fill("#search", "GOOD")
    assert entries() == ["toy + good"] and "1 of 3 scores" in page.inner_text("#count")
    page.hover("#body tr")
    assert "finbench run m" in page.inner_text("#proof") and "sha256" in page.inner_text("#proof")
    page.fill("#search", "")
    page.check("#published")
    assert entries()[:2] == ["toy (base)", "toy + good"] and "(as reported)" in entries()[2]  # below, not ranked
    lost = page.locator("#perturbed td").all_inner_texts()  # in a table of its own, not among the scores
    assert lost[:6] == ["fpb", "toy + good", "typos", "50.0%", "0.8333", "0.5833"] and "loses" in lost[7]
    page.hover("#perturbed tr:last-child")
    assert "typos/1" in page.inner_text("#proof")
    assert page.title() == "finbench leaderboards" and page.locator("img").count() == 0
    assert len(asked) == 1 and problems == []
