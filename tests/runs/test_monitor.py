"""The monitor against work whose cost is known."""

import time

import pytest

from finbench.runs.monitor import Monitor, merge


def test_seconds_processor_and_memory_are_those_of_the_work() -> None:
    with Monitor(interval_seconds=0.02) as monitor:
        start, held = time.perf_counter(), bytearray(200 * 2**20)
        while time.perf_counter() - start < 0.3:
            held[0] = (held[0] + 1) % 256
        elapsed = time.perf_counter() - start
    record = monitor.record()
    assert record["elapsed_seconds"] == pytest.approx(elapsed, rel=0.3)
    assert record["resident_peak_bytes"] > 200 * 2**20
    assert record["cpu_percent_max"] > 20 and record["samples"] >= 2


def test_what_this_machine_cannot_tell_is_none() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU, whose numbers are measured")
    with Monitor() as monitor:
        pass
    record = monitor.record()
    gpu = ("gpu_peak_allocated_bytes", "gpu_peak_reserved_bytes", "gpu_energy_joules", "gpu_hours")
    assert all(record[name] is None for name in gpu) and record["devices"] == 0


def test_it_stops_when_the_work_fails() -> None:
    monitor = Monitor(interval_seconds=0.01)
    with pytest.raises(ZeroDivisionError), monitor:
        1 / 0  # noqa: B018
    assert monitor.record()["elapsed_seconds"] >= 0 and not monitor._thread.is_alive()


def test_processes_that_worked_together_make_one_record() -> None:
    one = {
        "elapsed_seconds": 2.0,
        "resident_peak_bytes": 10,
        "gpu_peak_allocated_bytes": [5],
        "gpu_energy_joules": None,
    }
    two = {"elapsed_seconds": 3.0, "resident_peak_bytes": 20, "gpu_peak_allocated_bytes": [6], "gpu_energy_joules": 1.0}
    assert merge([one]) is one
    merged = merge([one, two])
    assert merged["ranks"] == [one, two] and merged["elapsed_seconds"] == 3.0
    assert merged["resident_peak_bytes"] == 30 and merged["gpu_peak_allocated_bytes"] == [5, 6]
    assert merged["gpu_energy_joules"] is None
