"""Each harness's rule on answers worked out by hand, and the command from a model and from lm-eval's own log."""

import sys
from pathlib import Path

import pytest

from finbench.cli import main
from finbench.scoring.compat import Answer, defective_rows, verdicts
from tests import forked

LABELS = ("negative", "neutral", "positive")


def scores(*pairs: tuple[str, str], labels: tuple[str, ...] = LABELS) -> dict[str, tuple[float, float]]:
    found = verdicts([Answer(gold, labels, text) for gold, text in pairs])
    return {one.rule: (round(one.accuracy, 3), round(one.f1_weighted, 3)) for one in found}


def test_gibberish_is_neutral_for_fingpt_alone() -> None:
    found = scores(("neutral", "qwerty"), ("neutral", ""), ("neutral", "neutral"), ("positive", "qwerty"))
    assert found["fingpt"][0] == 0.75
    assert found["finbench"][0] == found["finlora"][0] == found["pixiu"][0] == 0.25


def test_a_truth_inside_another_answer_counts_for_finlora() -> None:
    found = scores(("positive", "not positive at all"), ("negative", "negative or positive, who knows"))
    assert found["finlora"][0] == 1.0 and found["finbench"][0] == 0.0
    free = scores(("12", "1200"), labels=())
    assert free["finbench"] == (0.0, 0.0) and free["finlora"] == free["finlora2"] == (1.0, 1.0)
    assert free["pixiu"] == free["flame"] == (0.0, 0.0)


@pytest.mark.parametrize(
    ("gold", "text", "right"),
    [
        ("0.14", "14.02%", {"finbench"}),  # within the task's tolerance, and a percentage is a share
        ("0.14", "0.14", {"finbench", "finlora", "finlora2", "pixiu", "flame"}),
        ("0.14", "about 0.14", {"finbench", "finlora", "finlora2", "flame"}),
        ("-5", "(5)", {"finbench"}),
        ("5", "-5", {"finlora", "finlora2", "flame"}),
        ("1234", "1,234", {"finbench"}),
        ("12", "1200", {"finlora", "finlora2"}),
        ("12", "not 12", {"finlora", "finlora2", "flame"}),
    ],
)
def test_numbers_by_every_rule(gold: str, text: str, right: set[str]) -> None:
    settings = '{"percent": "share", "relative_tolerance": 0.01}'
    found = {one.rule: one.accuracy for one in verdicts([Answer(gold, (), text, settings)])}
    assert set(found) == {"finbench", "finlora", "finlora2", "pixiu", "flame"}
    assert {rule for rule, accuracy in found.items() if accuracy} == right


def test_the_first_true_answer_of_any_row_wins_in_finloras_later_rule() -> None:
    found = scores(("12", "of 30 in all, 12"), ("30", "30"), labels=())
    assert (found["finlora"][0], found["finlora2"][0]) == (1.0, 0.5)


def test_answers_without_digits_are_no_rows_for_flame() -> None:
    found = scores(("12", "12"), ("30", "I cannot say"), labels=())
    assert (found["finbench"][0], found["flame"][0]) == (0.5, 1.0)
    assert scores(("12", "none"), labels=())["flame"] == (0.0, 0.0)


def test_finlora_counts_no_false_positive() -> None:
    """Two classes, always answered alike: a wrong answer that differs by a space is a class of its own."""
    found = scores(("positive", "positive"), ("negative", " positive"), labels=("negative", "positive"))
    assert found["finlora"] == (0.5, 0.5) and found["finbench"] == (0.5, 0.333)


def test_the_first_label_of_the_list_wins_for_pixiu() -> None:
    found = scores(("negative", "positive, not negative"), ("positive", "positive rather than neutral"))
    assert found["pixiu"] == (0.5, 0.5) and found["finbench"][0] == 0.0


def test_of_yes_and_no_all_but_yes_is_no_for_fingpt() -> None:
    found = scores(("No", "I do not know"), ("No", "maybe"), ("Yes", "yesterday"), labels=("No", "Yes"))
    assert found["fingpt"][0] == 1.0 and found["finbench"][0] == 0.0
    assert found["pixiu"][0] == pytest.approx(0.667, abs=1e-3)  # "not" and "know" hold a "no"


def test_good_answers_are_good_by_every_rule() -> None:
    assert set(scores(*((label, f" {label}") for label in LABELS)).values()) == {(1.0, 1.0)}


def test_finloras_tweets_have_positive_and_neutral_swapped() -> None:
    given = [Answer(label, LABELS, label) for label in LABELS]
    rows = defective_rows("fin_tfns_gen", given)["fin_tfns_finlora_swapped_labels"]
    assert verdicts(given)[0].accuracy == 1.0 and verdicts(rows)[0].accuracy == pytest.approx(1 / 3)
    assert defective_rows("fin_fpb_gen", given) == {}


def test_a_model_and_its_log_are_scored_alike(gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compat", "--base", str(gpt2), "--tasks", "fin_tfns_gen", "--limit", "8"]) == 0
    table = capsys.readouterr().out
    assert "fin_tfns_gen, 8 answers" in table and "fin_tfns_finlora_swapped_labels" in table and "pixiu" in table
    command = [sys.executable, "-m", "lm_eval", "--model", "hf-fast", "--model_args", f"pretrained={gpt2}"]
    command += ["--tasks", "fin_tfns_gen", "--limit", "8", "--log_samples", "--output_path", str(tmp_path)]
    forked.run(command, check=True, cwd=tmp_path)
    (log,) = tmp_path.rglob("samples_*.jsonl")
    assert main(["compat", str(log)]) == 0
    assert capsys.readouterr().out == table


def test_what_cannot_be_scored_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = tmp_path / "samples_fin_fpb_gen_2026.jsonl"
    broken.write_text('{"doc_id": 0}\n')
    assert main(["compat", str(broken)]) == 2 and "is no file of answers" in capsys.readouterr().err
    assert main(["compat"]) == 2 and "give either" in capsys.readouterr().err
    assert main(["compat", "--base", "x", "--tasks", "fin_fpb"]) == 2 and "fin_fpb_gen" in capsys.readouterr().err
