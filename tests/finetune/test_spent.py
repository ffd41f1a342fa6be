"""What a training cost before it was stopped is counted by the one that goes on from its checkpoint."""

from pathlib import Path

from finetune import spent

RECORD = {"elapsed_seconds": 2.0, "gpu_hours": None, "resident_peak_bytes": 7, "gpu_peak_allocated_bytes": [5, 1]}


def test_costs_of_parts_are_summed_and_peaks_are_the_highest(tmp_path: Path) -> None:
    spent.write(tmp_path, RECORD)
    found = spent.added(
        spent.before(str(tmp_path)),
        {"elapsed_seconds": 3.0, "gpu_hours": None, "resident_peak_bytes": 4, "gpu_peak_allocated_bytes": [2, 3]},
    )
    assert found["elapsed_seconds"] == 5.0 and found["seconds_before"] == 2.0
    assert found["resident_peak_bytes"] == 7 and found["gpu_peak_allocated_bytes"] == [5, 3]
    assert found["gpu_hours"] is None


def test_a_new_training_has_nothing_before_and_an_old_checkpoint_does_not_say(tmp_path: Path) -> None:
    assert spent.added(spent.before(None), RECORD) == RECORD | {"seconds_before": 0.0}
    assert spent.added(spent.before(str(tmp_path)), RECORD) == RECORD | {"seconds_before": None}


def test_what_ran_beside_the_parts_is_weighed_by_their_seconds() -> None:
    one, two = ({"cores": 2, "mean": 1.0, "others_share": share} for share in (0.1, 0.5))
    first = {"elapsed_seconds": 3.0, "load": one}
    assert spent.added(first, {"elapsed_seconds": 1.0, "load": two})["load"]["others_share"] == 0.2
    assert spent.added({"elapsed_seconds": 3.0}, {"elapsed_seconds": 1.0, "load": two})["load"] is None
