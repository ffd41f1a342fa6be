"""The benchmark of a whole study: what counts as equal, and a tiny study from nothing to its table."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measured import measured
from benchmarks.study_results import agreement

METRICS = {"accuracy": [0.5, 0.5]}


def test_equal_scores_and_metrics_are_equal() -> None:
    ours = {"a": [-1.0, -2.0], "b": [-3.0, -2.0]}
    found = agreement(ours, {"b": [-3.0001, -2.0], "a": [-1.0, -2.0]}, METRICS, trained=False)
    assert found["equal"] and found["unequal_answers"] == 0 and found["largest_score_difference"] < 2e-4


def test_an_answer_that_turned_is_a_tie_only_where_the_two_best_lie_as_close_as_the_scores_do() -> None:
    turned = {"accuracy": [0.5, 0.0]}
    close = agreement({"a": [-1.0, -1.0002]}, {"a": [-1.0002, -1.0]}, turned, trained=False)
    assert close["equal"] and (close["unequal_answers"], close["ties"]) == (1, 1)
    far = agreement({"a": [-1.0, -2.0]}, {"a": [-2.0, -1.0]}, turned, trained=True)
    assert not far["equal"]
    unexplained = agreement({"a": [-1.0, -2.0]}, {"a": [-1.0, -2.0]}, turned, trained=False)
    assert not unexplained["equal"]  # the same answers cannot have another accuracy


def test_other_rows_are_no_comparison() -> None:
    with pytest.raises(AssertionError, match="other rows"):
        agreement({"a": [-1.0, -2.0]}, {"b": [-1.0, -2.0]}, METRICS, trained=False)


def test_a_command_is_measured_apart_from_who_asks(tmp_path: Path) -> None:
    code = "held = bytearray(60 * 2**20); sum(range(3_000_000)); print('done')"
    took = measured([sys.executable, "-S", "-c", code], tmp_path, os.environ, tmp_path / "log")
    assert took.status == 0 and (tmp_path / "log").read_text() == "done\n"
    assert 60 * 2**20 < took.peak_bytes < 100 * 2**20  # not this process's, which may hold torch
    assert 0 < took.processor_seconds <= took.seconds + 0.05
    with pytest.raises(SystemExit, match="ended with 1.*\n(.*\n)*.*no good"):
        measured([sys.executable, "-c", "raise ValueError('no good')"], tmp_path, os.environ, tmp_path / "log")


@pytest.mark.slow
def test_a_tiny_study_from_nothing_to_its_table(tmp_path: Path) -> None:
    pytest.importorskip("trl", reason="TRL is the study's stock side")
    shape = ["--layers", "2", "--width", "64", "--vocabulary", "2600", "--rows", "8", "--steps", "2"]
    words = [sys.executable, "-m", "benchmarks", "study", *shape, "--output", str(tmp_path / "study")]
    environment = {name: value for name, value in os.environ.items() if name != "FINBENCH_DATA"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "study" / "study.json").read_text())
    assert found["results"]["equal"] and len(found["results"]["cells"]) == 6
    assert {(part["side"], part["name"].split()[0]) for part in found["parts"]} == {
        (side, kind) for side in ("stock", "ours") for kind in ("train", "score")
    } | {("ours", "board")}
    assert "| **the study** |" in (tmp_path / "study" / "study.md").read_text()
    assert (tmp_path / "study" / "board-0" / "README.md").is_file()
