"""The audit counts what it says it counts, prints it, and saves no row."""

import json
from pathlib import Path

import pytest

from finbench.cli import main
from finbench.data.audit import audit, token_lengths
from finbench.data.load import DATASETS, load
from finbench.errors import FinbenchError
from finbench.hf.load import tokenizer_and_window
from finbench.records import Row, RowSet


def test_counts() -> None:
    train = [Row("1", "x", "a"), Row("2", "x", "b"), Row("3", "Up http://l", "a"), Row("4", "same", "a")]
    test = [Row("5", "up", "b", cluster="5"), Row("6", "same", "b", cluster="6"), Row("7", "same", "b", cluster="6")]
    found = audit(RowSet("made", "test", ("a", "b"), {"train": tuple(train), "test": tuple(test)}))
    assert found.splits["train"].classes == {"a": 3, "b": 1} and found.splits["train"].shares["a"] == 0.75
    assert (found.splits["train"].duplicates, found.splits["train"].conflicts) == (1, 1)
    assert found.splits["test"].largest_share == 1.0 and found.splits["test"].effective_rows == 2
    assert (found.both.duplicates, found.both.conflicts) == (3, 2)
    assert (found.exact.train_rows_in_test, found.exact.test_rows_in_train, found.exact.texts) == (1, 2, 1)
    assert (found.near.train_rows_in_test, found.near.test_rows_in_train, found.near.texts) == (2, 3, 2)
    assert found.used == {"train": 1, "test": 3}


def test_where_several_labels_hold_each_is_counted() -> None:
    rows = (Row("1", "x", answer="a; b"), Row("2", "y", answer="b"), Row("3", "z", answer="none"))
    found = audit(RowSet("made", "test", ("a", "b"), {"train": rows, "test": rows})).splits["test"]
    assert found.classes == {"a": 1, "b": 2} and found.largest_share == pytest.approx(1 / 3)


def test_wordings_of_one_answer_are_neither_duplicates_nor_effective_rows() -> None:
    rows = [Row(str(n), "s", "a", question=f"q{n}", entity="E", cluster="E|s") for n in range(3)]
    found = audit(RowSet("made", "test", ("a", "b"), {"train": tuple(rows), "test": tuple(rows)}))
    assert (found.splits["test"].duplicates, found.splits["test"].effective_rows) == (0, 1)


def test_the_command_prints_and_saves_counts_without_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["data", "audit"]) == 0
    printed, saved = capsys.readouterr().out, Path("leaderboards/audit.json").read_text()
    assert set(json.loads(saved)) == {f"fin_{name}" for name in DATASETS}
    assert "Source of rows: sample." in printed and "77 classes, 0.0% to 7.7%" in printed
    for name in DATASETS:
        assert f"| fin_{name}" in printed
        assert all(row.text not in saved for rows in load(name).splits.values() for row in rows)


def test_examples_of_cleaning_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "audit.json"
    assert main(["data", "audit", "fin_fpb", "--clean-examples", "2", "--output", str(output)]) == 0
    assert capsys.readouterr().out.count("  after:") == 2
    assert "Karstimo" not in output.read_text()


def test_token_lengths_and_window(gpt2: Path, llama: Path, tmp_path: Path) -> None:
    tokenizer, window = tokenizer_and_window(str(gpt2))
    lengths = token_lengths(["a", "a b c " * 600], str(gpt2), tokenizer, window)
    assert window == 1024 and lengths.share_over_window == 0.5
    assert lengths.max == len(tokenizer("a b c " * 600)["input_ids"]) > 1024
    with_start, _ = tokenizer_and_window(str(llama))
    assert token_lengths(["a"], "llama", with_start, None).max == token_lengths(["a"], "gpt2", tokenizer, None).max + 1
    with pytest.raises(FinbenchError, match="tokenizer of .* cannot be loaded"):
        tokenizer_and_window(str(tmp_path))


def test_the_command_counts_tokens_of_prompts(gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "audit.json"
    assert main(["data", "audit", "fin_fpb", "--tokenizer", str(gpt2), "--output", str(output)]) == 0
    tokens = json.loads(output.read_text())["fin_fpb"]["tokens"]
    assert tokens["test"]["window"] == 1024 and 0 < tokens["test"]["median"] <= tokens["test"]["max"]
    # A one-shot prompt holds two texts, the instruction twice and two answers.
    texts = [row.text for row in load("fpb").splits["test"]]
    alone = token_lengths(texts, str(gpt2), *tokenizer_and_window(str(gpt2)))
    assert tokens["test"]["max"] > alone.max + 50
    assert "over window" in capsys.readouterr().out
