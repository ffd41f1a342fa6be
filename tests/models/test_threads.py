"""Scoring takes the threads that are free; a user's own number wins."""

import logging
import os
import time
from collections.abc import Iterator

import pytest
import torch

from benchmarks.machine import kept_busy
from finbench.models import threads
from finbench.models.threads import fitting_threads, free_cores

CPU = torch.device("cpu")


@pytest.fixture
def two_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have two threads, nothing said yet, and no number that a user has set."""
    monkeypatch.setattr(threads, "_said", set())
    for name in threads.USERS_OWN:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_a_busy_core_is_left_to_others_and_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "free_cores", lambda: 1.03)
    with caplog.at_level(logging.WARNING, "finbench.models.threads"):
        for _ in range(2):
            with fitting_threads(CPU, 100) as taken:
                assert taken == torch.get_num_threads() == 1
            assert torch.get_num_threads() == 2
    assert len(caplog.records) == 1 and "1 thread(s) of 2, because other work leaves 1.0 cores free" in caplog.text


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("free", "expected"), [(2.0, 2), (1.6, 2), (0.0, 1), (7.9, 2)])
def test_threads_of_free_cores(free: float, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "free_cores", lambda: free)
    with fitting_threads(CPU, 100) as taken:
        assert taken == torch.get_num_threads() == expected


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("case", ["user", "few", "accelerator"])
def test_it_does_not_look_where_it_has_no_say(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "free_cores", lambda: 0.0)
    if case == "user":
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
    device = torch.device("cuda") if case == "accelerator" else CPU
    with fitting_threads(device, 3 if case == "few" else 100) as taken:
        assert taken == 2


@pytest.mark.skipif(os.nice(0) > 0, reason="what it starts would yield to others, as itself")
def test_work_beside_is_seen() -> None:
    """As many processes as there are cores leave less than one of them free, whatever else this machine does."""
    with kept_busy(len(os.sched_getaffinity(0))):
        time.sleep(1)
        assert 0 <= min(free_cores(0.3) for _ in range(5)) < 1
