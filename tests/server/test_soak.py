"""Memory of a service under load: level, whatever the number and the shapes of texts."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.server.conftest import serving
from tests.server.load import ask_all

MEBI = 2**20
SENTENCES = [
    "Sales of plant {n} rose to {m} million euro, and the board expects more of it in quarter {q}. ",
    "The company said in notice {m} that it will close site {n}. ",
    "Profit {n}. ",
]


def text_of(number: int) -> str:
    """Return a text unlike all others, of 15 to 1,000 characters."""
    parts = 1 + number * 7919 % 11
    return "".join(
        SENTENCES[(number + part) % 3].format(n=number, m=number * 31 + part, q=part) for part in range(parts)
    )


def growth(base: Path, adapter: Path, warm: int, count: int, said: Callable[[str], None] = print) -> float:
    """Return by how many MiB a service's resident memory grew over `count` requests, after `warm` ones."""
    with serving(base, "--adapter", str(adapter)) as one:
        process = psutil.Process(one.process.pid)
        assert set(ask_all(one.url, warm, text_of)) == {200}
        before = process.memory_info().rss
        for done in range(0, count, 5000):
            some = min(5000, count - done)
            assert set(ask_all(one.url, some, lambda number, begin=warm + done: text_of(begin + number))) == {200}
            said(f"{done + some} requests: {process.memory_info().rss / MEBI:.0f} MiB (began at {before / MEBI:.0f})")
        return (process.memory_info().rss - before) / MEBI


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_memory_is_level_over_50_000_requests(bert: Path, adapter: Path) -> None:
    assert growth(bert, adapter, 3000, 50_000) < 60


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_memory_is_level_over_50_000_requests_of_a_causal_model(gpt2: Path, causal_adapter: Path) -> None:
    assert growth(gpt2, causal_adapter, 3000, 50_000) < 60


def test_a_causal_model_keeps_nothing_of_800_texts(gpt2: Path, causal_adapter: Path) -> None:
    assert growth(gpt2, causal_adapter, 400, 800) < 6
