"""Every kind of answer, from a table to a score, an adapter and a prediction, as a user would."""

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from finbench.cells.store import read_cells
from finbench.cli import main
from finbench.scoring.kinds import KINDS
from tests import forked

ROWS = 24


@dataclass(frozen=True)
class Case:
    """What a user's table holds: answers, further columns by name, flags of new-task; and what is predicted."""

    answers: tuple[str, ...]
    said: tuple[str, ...]
    flags: tuple[str, ...] = ()
    columns: tuple[tuple[str, str], ...] = ()
    text: str = "{n} plants were sold in Oulu"
    asked: str = "5 plants were sold in Oulu"


CASES = {
    "choice": Case(("good news", "bad news"), ("good news", "bad news")),
    "label": Case(("up", "down"), ("up", "down"), ("--kind", "label")),
    "labels": Case(("profit; outlook", "profit"), ("profit", "outlook; profit")),
    "number": Case(
        ("$1.2bn", "1,200 million", "1.2e9"), ("1200000000",), ("--kind", "number", "--relative-tolerance", "0.01")
    ),
    "tag": Case(("us-gaap:Assets",), ("us-gaap:Assets",)),
    "spans": Case(("PLACE: Oulu",), ("place: oulu",), ("--kind", "spans")),
    "text": Case(("the plants were sold",), ("the plants were sold",), ("--kind", "text")),
    "multiple_choice": Case(
        ("A", "sold"), ("A", "B"), ("--options", "one", "two"), (("one", "kept"), ("two", "sold")),
        text="what became of {n} plants?", asked="what became of 5 plants?\nA. kept\nB. sold",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(case: Case) -> None:
    with Path("rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", *(name for name, _ in case.columns)])
        for n in range(ROWS):
            answer = case.answers[n % len(case.answers)]
            writer.writerow([case.text.format(n=n), answer, *(cell for _, cell in case.columns)])


def test_every_kind_has_a_case() -> None:
    assert CASES.keys() == KINDS.keys()


@pytest.mark.parametrize("name", CASES)
def test_from_a_table_to_a_score_an_adapter_and_a_prediction(
    name: str, llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]
    write(case)
    assert main(["new-task", "mine", "rows.csv", *case.flags]) == 0
    assert f"kind: {name}" in capsys.readouterr().out
    assert main(["validate", "tasks_yaml/mine.yaml"]) == 0, capsys.readouterr().out

    command = [
        sys.executable,
        "-m",
        "lm_eval",
        "--model",
        "hf-fast",
        "--model_args",
        f"pretrained={llama},dtype=float32",
    ]
    forked.run([*command, "--tasks", "mine", "--output_path", "out", "--log_samples"], check=True)
    (results,) = Path("out").rglob("results_*.json")
    scores = json.loads(results.read_text())["results"]["mine"]
    for metric in KINDS[name].metrics:
        value, error = (scores[f"{'acc' if metric == 'accuracy' else metric}{end},none"] for end in ("", "_stderr"))
        assert 0 <= value <= 1 and (error == "N/A" or error >= 0), metric
    assert main(["import-results", str(results), "--cells", "imported"]) == 0

    Path("recipe.yaml").write_text(
        f"base: {llama}\ntasks: [mine]\nmethod: lora\nr: 16\nalpha: 32\nvalidation_share: 0.2\nepochs: 40\n"
        "batch_size: 8\nlearning_rate: 2.0e-2\nbest_by: null\n"
        "target_modules: [q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj]\n"
    )
    assert main(["finetune", "recipe.yaml", "--output", "adapters/mine"]) == 0
    metrics = json.loads(Path("adapters/mine/finbench.json").read_text())["metrics"]
    assert KINDS[name].metrics[0] in metrics and set(KINDS[name].metrics) <= metrics.keys()

    Path("matrix.yaml").write_text(
        f"name: m\ntasks: [mine]\nbases:\n  - {{base: {llama}, name: toy, adapters: [adapters/mine]}}\n"
    )
    assert main(["run", "matrix.yaml", "--cells", "cells"]) == 0
    found = read_cells(Path("cells"))
    assert len(found.results) == 2 and not found.unproven and not found.unreadable
    assert {cell.kind for cell in found.results} == {name}
    assert all({"accuracy", "unparsed"} <= cell.metrics.keys() for cell in found.results)
    assert main(["leaderboard", "--cells", "cells", "--output", "boards"]) == 0
    (imported,) = read_cells(Path("imported")).results
    base = next(cell for cell in found.results if not cell.key.adapter)
    assert imported.metrics == base.metrics and imported.kind == name

    capsys.readouterr()
    assert main(["predict", "--base", str(llama), "--adapter", "adapters/mine", "--json", case.asked]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["label"] in case.said
    assert (answer["confidence"] is None) == (KINDS[name].output_type == "generate_until")


def test_a_kind_that_there_is_not_is_met_with_those_that_there_are(
    llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(CASES["number"])
    assert main(["new-task", "mine", "rows.csv", "--kind", "number"]) == 0
    path = Path("tasks_yaml/mine.yaml")
    path.write_text(path.read_text().replace('kind: "number"', 'kind: "ranking"'))
    assert main(["validate", str(path)]) == 1
    said = capsys.readouterr().out
    assert all(name in said for name in ("ranking", *KINDS))
    Path("matrix.yaml").write_text(f"name: m\ntasks: [mine]\nbases:\n  - {{base: {llama}}}\n")
    assert main(["run", "matrix.yaml"]) == 2
    said = capsys.readouterr().err
    assert all(name in said for name in ("ranking", *KINDS)) and said.count("\n") == 1


@pytest.mark.parametrize("name", CASES)
def test_constant_and_empty_answers_score_what_they_should(name: str) -> None:
    """An empty answer scores nothing and is unread; the right one scores all."""
    kind, case = KINDS[name], CASES[name]
    if kind.output_type == "multiple_choice":
        pytest.skip("a label is always chosen")
    choices = ["profit", "outlook"] if name == "labels" else list(case.answers)
    for gold in case.answers:
        doc = {"id": "1", "cluster": "1", "label": gold, "answer": gold, "choices": choices}
        right, empty = kind.read(doc, [f" {gold}\n"]), kind.read(doc, [" \n"])
        assert right.prediction == right.gold != "" and empty.prediction == ""
        assert all(score == 1 for score in right.scores) or kind.counts
        assert not kind.counts or right.scores[0] == right.scores[1] == right.scores[2] > 0
        assert not kind.counts or empty.scores == (0, 0, right.scores[2])
