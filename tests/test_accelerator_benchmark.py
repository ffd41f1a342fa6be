"""The accelerator's benchmark runs whole where there is none, on tiny shapes: every part, both sides equal."""

import json
from pathlib import Path

import pytest

from benchmarks import accelerator
from benchmarks.accelerator_parts import PARTS


@pytest.mark.slow
def test_every_part_runs_and_its_sides_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.training.EPOCH_ROWS", 64)
    out = tmp_path / "found.json"
    words = ["--size", "tiny", "--bits", "16", "4", "--dtype", "float32", "--device", "cpu", "--rows", "32"]
    status = accelerator.main([*words, "--questions", "4", "--output", str(out)])
    found = json.loads(out.read_text())
    assert status == 0 and not found["left_out"], found
    assert [(one["part"], one["bits"]) for one in found["parts"]] == [
        (part, bits) for bits in (16, 4) for part in PARTS
    ]
    scoring = found["parts"][0]
    assert scoring["difference"] < 1e-4 and scoring["planned_bytes"] > 0 and scoring["stock_seconds"] > 0
    training = next(one for one in found["parts"] if one["part"] == "training")
    assert training["gradient_difference"] < 1e-4


def test_a_part_that_fails_is_told_and_ends_with_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(bench: object, bits: int) -> dict[str, object]:
        raise ValueError("no kernel for this")

    monkeypatch.setattr("benchmarks.accelerator_parts.PARTS", {"broken": fail, "late": fail})
    out = tmp_path / "found.json"
    words = ["--size", "tiny", "--bits", "16", "--dtype", "float32", "--device", "cpu", "--output", str(out)]
    assert accelerator.main(words) == 1
    assert json.loads(out.read_text())["parts"][0]["error"] == "ValueError: no kernel for this"
    assert accelerator.main([*words, "--seconds", "0"]) == 0
    assert json.loads(out.read_text())["left_out"] == ["broken, 16 bits", "late, 16 bits"]
