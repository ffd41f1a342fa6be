"""Scoring takes the threads that are free; a user's own number wins."""

import logging
from types import SimpleNamespace

import pytest
import torch

from finbench.models import threads
from finbench.models.threads import fitting_threads, free_cores

CPU = torch.device("cpu")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[SimpleNamespace]:
    """Have two cores with work that a test sets, and two threads."""
    shares = [SimpleNamespace(user=0.0, system=0.0, nice=0.0) for _ in range(2)]
    monkeypatch.setattr(threads.psutil, "cpu_times_percent", lambda seconds, percpu: shares)
    monkeypatch.setattr(threads.os, "sched_getaffinity", lambda pid: {0, 1}, raising=False)
    monkeypatch.setattr(threads, "_said", set())
    for name in threads.USERS_OWN:
        monkeypatch.delenv(name, raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield shares  # type: ignore[misc]
    torch.set_num_threads(before)


def test_a_busy_core_is_left_to_others_and_said_once(
    machine: list[SimpleNamespace], caplog: pytest.LogCaptureFixture
) -> None:
    machine[0].user = 97.0
    with caplog.at_level(logging.WARNING, "finbench.models.threads"):
        for _ in range(2):
            with fitting_threads(CPU, 100) as taken:
                assert taken == torch.get_num_threads() == 1
            assert torch.get_num_threads() == 2
    assert len(caplog.records) == 1 and "1 thread(s) of 2, because other work leaves 1.0 cores free" in caplog.text


def test_idle_cores_and_work_that_yields_change_nothing(machine: list[SimpleNamespace]) -> None:
    machine[0].nice = 100.0
    with fitting_threads(CPU, 100) as taken:
        assert taken == torch.get_num_threads() == 2


def test_one_thread_is_left_however_busy_all_are(machine: list[SimpleNamespace]) -> None:
    for core in machine:
        core.user = 100.0
    with fitting_threads(CPU, 100) as taken:
        assert taken == 1


@pytest.mark.parametrize("case", ["user", "few", "accelerator"])
def test_it_does_not_look_where_it_has_no_say(
    case: str, machine: list[SimpleNamespace], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine[0].user = 100.0
    if case == "user":
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
    device = torch.device("cuda") if case == "accelerator" else CPU
    with fitting_threads(device, 3 if case == "few" else 100) as taken:
        assert taken == 2


def test_this_machine_can_be_looked_at() -> None:
    assert 0 <= free_cores(0.05) <= len(threads.os.sched_getaffinity(0))
