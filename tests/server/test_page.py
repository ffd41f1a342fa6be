"""A person's path through the page, in a real headless browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.conftest import Served, serving

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def page(browser: Any, server: Served) -> Iterator[Any]:
    opened = browser.new_page()
    problems: list[str] = []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda said: problems.append(said.text) if "Content Security" in said.text else None)
    opened.goto(server.url)
    yield opened
    assert not problems
    opened.close()


def test_type_press_read(page: Any) -> None:
    page.get_by_label("Text: one").fill("Profit rose to 12 million euro.")
    page.get_by_role("button", name="Analyze").click()
    page.locator(".verdict").wait_for()
    assert page.locator(".verdict").inner_text().lower() in {"negative", "neutral", "positive"}
    assert page.locator("#result progress").count() == 3
    assert "%" in page.locator("#result .number").first.inner_text()
    assert page.locator("#entries li").count() == 1


def test_several_lines_become_a_table_and_markup_stays_text(page: Any) -> None:
    page.locator("#text").fill("Sales fell.\n<img src=x onerror=alert(1)>\n\nSales rose.")
    page.keyboard.press("Control+Enter")
    page.locator("#result table").wait_for()
    assert page.locator("#result tbody tr").count() == 3
    assert page.locator("#result img").count() == 0
    assert "<img src=x" in page.locator("#result").inner_text()


def test_an_example_by_keyboard_alone(page: Any) -> None:
    page.locator(".example").nth(1).focus()
    page.keyboard.press("Enter")
    page.locator(".verdict").wait_for()
    assert "plummeted" in page.locator("#text").input_value()


def test_what_is_wrong_is_said(page: Any) -> None:
    page.get_by_role("button", name="Analyze").click()
    assert "no text yet" in page.get_by_role("alert").inner_text()
    page.locator("#text").fill("x" * 30_000)
    page.get_by_role("button", name="Analyze").click()
    page.get_by_text("30,000 characters").wait_for()
    assert page.get_by_role("button", name="Analyze").is_enabled()


def test_a_server_that_is_gone_loses_no_text(browser: Any, bert: Path, adapter: Path) -> None:
    with serving(bert, "--adapter", str(adapter)) as short:
        opened = browser.new_page()
        opened.goto(short.url)
        opened.locator("#text").fill("Sales rose.")
    opened.get_by_role("button", name="Analyze").click()
    opened.get_by_text("cannot be reached").wait_for()
    assert opened.locator("#text").input_value() == "Sales rose."


def test_a_phone_needs_no_sideways_scrolling(browser: Any, server: Served) -> None:
    phone = browser.new_page(viewport={"width": 360, "height": 740}, color_scheme="dark")
    phone.goto(server.url)
    phone.locator(".example").first.click()
    phone.locator(".verdict").wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    light = phone.evaluate("getComputedStyle(document.body).backgroundColor")
    phone.emulate_media(color_scheme="light")
    assert phone.evaluate("getComputedStyle(document.body).backgroundColor") != light
