"""Every kind of answer, from a table to a score, an adapter and a prediction, as a user would."""

import csv
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from finbench.cells.store import read_cells
from finbench.cli import main
from finbench.scoring.bertscore import settings_of
from finbench.scoring.kinds import KINDS
from tests import forked

ROWS = 24
# at the end, instead of after each of 40 epochs; spans are learnt by a hair, and with the draws of every validation
ONE_VALIDATION = "eval_steps: 1000\n"
SLOW = ("formula", "bertscore")  # which differ from tag and text in how they read alone


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
    "formula": Case(("a / b",), ("a / b",), ("--kind", "formula")),
    "tags": Case(("Goodwill, Revenues",), ("Goodwill, Revenues",), ("--kind", "tags")),
    "spans": Case(("PLACE: Oulu",), ("place: oulu",), ("--kind", "spans")),
    "text": Case(("the plants were sold",), ("the plants were sold",), ("--kind", "text")),
    "bertscore": Case(("the plants were sold",), ("the plants were sold",), ("--kind", "bertscore")),
    "multiple_choice": Case(
        ("A", "sold"), ("A", "B"), ("--options", "one", "two"), (("one", "kept"), ("two", "sold")),
        text="what became of {n} plants?", asked="what became of 5 plants?\nA. kept\nB. sold",
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def bertscore(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name a local model for kind bertscore."""
    pytest.importorskip("bert_score", reason="the extra bertscore is not installed")
    monkeypatch.setenv("FINBENCH_BERTSCORE", str(bert))


def write(case: Case) -> None:
    with Path("rows.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label", *(name for name, _ in case.columns)])
        for n in range(ROWS):
            answer = case.answers[n % len(case.answers)]
            writer.writerow([case.text.format(n=n), answer, *(cell for _, cell in case.columns)])


def test_every_kind_has_a_case() -> None:
    assert CASES.keys() == KINDS.keys()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in CASES]
)
def test_from_a_table_to_a_score_an_adapter_and_a_prediction(
    name: str, llama: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    if name == "bertscore":
        request.getfixturevalue(name)
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

    epochs, once = (60, "") if name == "spans" else (40, ONE_VALIDATION)
    Path("recipe.yaml").write_text(
        f"base: {llama}\ntasks: [mine]\nmethod: lora\nr: 16\nalpha: 32\nvalidation_share: 0.2\nepochs: {epochs}\n"
        f"batch_size: 8\nlearning_rate: 2.0e-2\nbest_by: null\n{once}"
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
    Path("recipe.yaml").write_text(f"base: {llama}\ntasks: [mine]\nmethod: lora\n")
    for command in (
        ["run", "matrix.yaml"],
        ["finetune", "recipe.yaml"],
        ["predict", "--base", str(llama), "--task", "mine", "a text"],
        ["plan", "recipe.yaml"],
    ):
        assert main(command) == 2, command
        said = capsys.readouterr().err
        assert all(name in said for name in ("ranking", *KINDS)) and said.count("\n") == 1, (command, said)
    command = [sys.executable, "-m", "lm_eval", "--model", "hf-fast", "--model_args", f"pretrained={llama}"]
    done = forked.run([*command, "--tasks", "mine"])
    assert done.returncode and all(name in done.stderr for name in ("ranking", *KINDS))


@pytest.mark.parametrize("place", ["", "nowhere", "empty", "t5"])
def test_bertscore_without_its_model_is_refused_in_a_line(place: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(CASES["text"])
    Path("empty").mkdir()
    Path("t5").mkdir()
    Path("t5/config.json").write_text('{"model_type": "bert"}')
    capsys.readouterr()
    assert main(["new-task", "mine", "rows.csv", "--kind", "bertscore", "--bertscore", place]) == 2
    said = capsys.readouterr().err
    wanted = {"": "FINBENCH_BERTSCORE", "t5": "move or link the folder"}.get(
        place, f"'{place}' is no folder of a model"
    )
    assert wanted in said and said.count("\n") == 1


def test_a_task_of_texts_takes_no_model_of_another_kind(bert: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(CASES["text"])
    assert main(["new-task", "mine", "rows.csv", "--kind", "text", "--bertscore", str(bert)]) == 2
    assert "bertscore is a setting of kind bertscore" in capsys.readouterr().err


def test_names_in_their_places() -> None:
    read = KINDS["tags"].read
    doc = {"id": "1", "cluster": "1", "answer": "Goodwill,Revenues,Goodwill,Depreciation"}

    def places(text: str) -> float:
        return read(doc, [text]).scores[0]

    assert places("Goodwill, Revenues, Goodwill, Depreciation") == places(
        "us-gaap:Goodwill,Revenues,Goodwill,Depreciation"
    )
    assert (
        places("1. Goodwill, 2. Revenues, 3. Goodwill, 4. Depreciation.")
        == places("`Goodwill`; Revenues; **Goodwill**; Depreciation")
        == 1
    )
    assert places("Goodwill") == 0.25 and places("Revenues,Goodwill,Depreciation,Goodwill") == 0
    assert places("Goodwill,,Goodwill,Depreciation") == 0.75  # a place left empty keeps the others in theirs
    assert places("Goodwill,Revenues,Goodwill,Depreciation,Assets,Cash") == 1
    assert places("not Goodwill,Revenues,GoodwillNet,Depreciation") == 0.5
    assert read(doc, ["I cannot say. Sorry!"]).prediction == "" == read(doc, ["?, ?"]).prediction


def written(columns: str, *rows: str) -> None:
    Path("rows.csv").write_text("\n".join([columns, *rows]) + "\n")


def test_answers_within_the_tolerance_are_right_in_cells_and_on_boards(tmp_path: Path) -> None:
    """A cell of near answers is proved by what its rows are worth, not by equality."""
    from finbench.cells.outcomes import write_outcomes
    from finbench.cells.proof import differing
    from finbench.scoring.kinds.summary import summarise

    settings = json.dumps({"absolute_tolerance": 0.01})
    docs = [{"id": str(n), "cluster": str(n), "answer": "12.34", "settings": settings, "choices": []} for n in range(4)]
    said = ("12.345", "12.34", "12.36", "none")
    outcomes = [KINDS["number"].read(doc, [text]) for doc, text in zip(docs, said, strict=True)]
    assert [outcome.scores for outcome in outcomes] == [(1.0,), (1.0,), (0.0,), (0.0,)]
    metrics = summarise(outcomes, (), "number")
    assert metrics["accuracy"].value == 0.5 and metrics["unparsed"].value == 0.25
    write_outcomes(tmp_path / "o.parquet", outcomes, hashed=True)
    record: dict[str, Any] = {"n_rows": 4, "n_clusters": 4, "kind": "number", "labels": [], "confusion": None}
    record["metrics"] = {name: {"value": one.value, "stderr": one.stderr} for name, one in metrics.items()}
    content = (tmp_path / "o.parquet").read_bytes()
    assert list(differing(record, content, thorough=True)) == []
    record["metrics"]["accuracy"]["value"] = 1.0
    assert list(differing(record, content))


def test_rows_may_have_unlike_numbers_of_options_and_no_gap(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"which is {n}?,{'D' if n % 2 else 'A'},x,y,z,{'w' if n % 2 else ''}" for n in range(ROWS)]
    written("text,label,a,b,c,d", *rows)
    assert main(["new-task", "mine", "rows.csv", "--options", "a", "b", "c", "d"]) == 0
    command = [sys.executable, "-m", "lm_eval", "--model", "hf-fast", "--model_args", f"pretrained={llama}"]
    forked.run([*command, "--tasks", "mine"], check=True)
    Path("recipe.yaml").write_text(f"base: {llama}\ntasks: [mine]\nmax_steps: 1\nvalidation_share: 0.3\n")
    assert main(["finetune", "recipe.yaml", "--output", "adapter"]) == 0
    written("text,label,a,b,c", *(f"which is {n}?,C,x,,z" for n in range(8)))
    assert main(["new-task", "gap", "rows.csv", "--options", "a", "b", "c"]) == 2
    assert "an option stands behind an empty one" in capsys.readouterr().err
    written("text,label,a,c", *(f"which is {n}?,A,x,z" for n in range(8)))
    assert main(["new-task", "blind", "rows.csv", "--options", "a", "c", "--prompt", "{text} Answer:"]) == 2
    assert "{options}" in capsys.readouterr().err


def test_rows_and_reading_of_two_kinds_are_refused(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(CASES["labels"])
    assert main(["new-task", "mine", "rows.csv"]) == 0
    path = Path("tasks_yaml/mine.yaml")
    path.write_text(path.read_text().replace('kind: "labels"', 'kind: "text"'))
    capsys.readouterr()
    Path("matrix.yaml").write_text(f"name: m\ntasks: [mine]\nbases:\n  - {{base: {llama}}}\n")
    assert main(["run", "matrix.yaml"]) == 2
    assert "rows of kind 'text'" in capsys.readouterr().err
    assert main(["validate", str(path)]) == 1 and "rows of kind 'text'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--kind", "choice", "--relative-tolerance", "0.1"], "relative_tolerance is a setting of kind number"),
        (["--split-seed", "-1"], "split_seed is -1"),
        (["--test-share", "0.999"], "if both parts keep a row"),
    ],
)
def test_settings_that_mean_nothing_are_refused(
    flags: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(CASES["choice"])
    assert main(["new-task", "mine", "rows.csv", *flags]) == 2
    assert said in capsys.readouterr().err and not Path("tasks_yaml").exists()


def test_none_of_several_labels() -> None:
    read = KINDS["labels"].read
    doc = {"id": "1", "cluster": "1", "answer": "none", "choices": ["profit", "outlook"]}
    assert read(doc, ["None."]).prediction == read(doc, ["none"]).gold == "[]"
    assert read(doc, ["Not sure whether profit applies"]).prediction == "" == read(doc, ["maybe"]).prediction
    both = {**doc, "answer": "outlook; profit"}
    assert read(both, ["Profit and outlook"]).prediction == read(both, ["x"]).gold


def test_texts_whose_answers_quote_them_are_not_perturbed(llama: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(CASES["spans"])
    assert main(["new-task", "mine", "rows.csv", "--kind", "spans"]) == 0
    base = f"bases:\n  - {{base: {llama}}}\n"
    Path("matrix.yaml").write_text(f"name: m\ntasks: [mine]\nlimit: 2\nperturb: [none, typos]\n{base}")
    capsys.readouterr()
    assert main(["run", "matrix.yaml", "--cells", "cells"]) == 0
    assert "texts of kind 'spans' are not perturbed" in capsys.readouterr().out
    assert len(read_cells(Path("cells")).results) == 1


def test_a_number_with_its_comma_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    Path("rows.csv").write_text("text,label\n" + "".join(f'wie viel {n}?,"1.{n:03d},5"\n' for n in range(24)))
    assert main(["new-task", "mine", "rows.csv", "--point", ","]) == 0
    assert "kind: number" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answers", "flags", "kind"),
    [
        (("$1.2bn", "(1,234)", "12.5 mn"), (), "number"),  # few, and again and again
        (("5", "10", "15"), ("--absolute-tolerance", "1"), "number"),
        (("5", "10", "15"), (), "choice"),
        (("0.0", "1.0"), (), "choice"),  # classes, as a table's writer made numbers of them
        (("€ 3,5 Mio.", "12,5%"), ("--point", ",", "--percent", "share"), "number"),
    ],
)
def test_a_column_of_amounts_is_no_column_of_classes(
    answers: tuple[str, ...], flags: tuple[str, ...], kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(Case(answers, ()))
    assert main(["new-task", "mine", "rows.csv", *flags]) == 0
    assert f"kind: {kind} (found" in capsys.readouterr().out


def test_amounts_with_a_comma_are_not_taken_for_texts(capsys: pytest.CaptureFixture[str]) -> None:
    write(Case(tuple(f"1.{n:03d},5" for n in range(ROWS)), ()))
    assert main(["new-task", "mine", "rows.csv"]) == 2
    assert "is its point a comma?" in capsys.readouterr().err


@pytest.mark.parametrize("name", [name for name in CASES if KINDS[name].output_type != "multiple_choice"])
def test_constant_and_empty_answers_score_what_they_should(name: str, request: pytest.FixtureRequest) -> None:
    """An empty answer scores nothing and is unread; the right one scores all."""
    kind, case, settings = KINDS[name], CASES[name], ""
    if name == "bertscore":
        request.getfixturevalue(name)
        settings = json.dumps(settings_of(""))
    choices = ["profit", "outlook"] if name == "labels" else list(case.answers)
    for gold in case.answers:
        doc = {"id": "1", "cluster": "1", "label": gold, "answer": gold, "choices": choices, "settings": settings}
        right, empty = kind.read(doc, [f" {gold}\n"]), kind.read(doc, [" \n"])
        assert right.prediction == right.gold != "" and empty.prediction == ""
        assert kind.counts or right.scores == pytest.approx([1.0] * len(right.scores))
        assert kind.counts or empty.scores == (0.0,) * len(empty.scores)
        assert not kind.counts or right.scores[0] == right.scores[1] == right.scores[2] > 0
        assert not kind.counts or empty.scores == (0, 0, right.scores[2])
