"""The benchmark beside llama.cpp: what it refuses, and how its sides are held against one another."""

import importlib.util
from pathlib import Path

import pytest

from benchmarks import others
from benchmarks.others import Scored


def side(name: str, seconds: float, **scores: list[float]) -> Scored:
    return Scored(name, 10, seconds, 2 * seconds, 2**30, 0.5, scores)


def test_answers_and_speed_are_held_against_the_first_side() -> None:
    table = others.markdown(
        [side("one", 4.0, a=[-1.0, -2.0], b=[-3.0, -1.0]), side("two", 2.0, a=[-5, -4], b=[-3, -1])]
    )
    assert "| one | 2 | 2.50 | **1.00x** | 0.800 | 1.00 | 0.500 | 0 of 2 |" in table
    assert "| two | 2 | 5.00 | **2.00x** | 0.400 | 1.00 | 0.500 | 1 of 2 |" in table
    with pytest.raises(AssertionError, match="other rows"):
        others.markdown([side("one", 4.0, a=[-1.0, -2.0]), side("two", 2.0, b=[-1.0, -2.0])])


def test_fewer_rows_than_are_taken_off_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        others.main(["--gguf", "no.gguf", "--limit", "8", "--output", str(tmp_path / "out")])
    assert "give more than the 8 rows" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is not None, reason="this Python has llama.cpp")
def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"did not start:\n(.*\n)*.*llama_cpp"):
        others.main(["--gguf", str(tmp_path / "no.gguf"), "--output", str(tmp_path / "out")])
