"""FinLoRA's further tasks from files as their publisher lays them out; a wrong gold is found by its own formula."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from finbench.data.formulas import expected, is_doubted
from finbench.data.load import load
from finbench.errors import FinbenchError
from finbench.tasks.load import load_tasks

NPV = "Use formula Net Present Value (NPV) to answer the question. Formula: NPV = sum. Question: "
SIMPLE = "Use formula Simple Interest to answer the question. Formula: I = Prt. Question: "


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (NPV + "An initial investment of $13,000 pays $3,500 per year for 5 years. Discount rate 8%. NPV?", "974.49"),
        (NPV + "A campaign that costs $13,000 upfront brings $3,500 annually for 5 years at a rate of 8%.", "974.49"),
        (NPV + "For a proposition of $2,000 now and inflows of $600 annually for 4 years at 3%, what is it?", "230.26"),
        (NPV + "$3,500 annually for 5 years at a discount rate of 8%.", "13974.49"),
        (SIMPLE + "What interest do $2,000 bear at 4% after 5 years?", "400.00"),
        (NPV + "$3,500 annually for 5 years at 8%, the first inflow starting immediately.", None),
        (NPV + "$3,500 every month for 5 years at 8%.", None),
        (NPV + "An upfront cost, then $3,500 annually for 5 years at 8%.", None),
        (NPV + "$3 million annually for 5 years at 8%.", None),
        (SIMPLE + "What interest do $50 million bear at 4% after 3 years?", None),
        (SIMPLE + "What interest do $1,000 bear at 4% after 2.5 years?", None),
        (SIMPLE + "What interest do $1.5k bear at 4% after 2 years?", None),
        ("What is the NPV of $3,500 a year for 5 years at 8%?", None),
    ],
)
def test_a_question_of_plain_form_is_computed_and_others_are_left(text: str, value: str | None) -> None:
    found = expected(text)
    assert found == value if value is None else found is not None and round(found, 2) == Decimal(value)


def test_a_gold_that_its_formula_does_not_give_is_doubted() -> None:
    text = NPV + "An initial investment of $13,000 pays $3,500 per year for 5 years. Discount rate 8%. NPV?"
    assert is_doubted(text, "15092.44") and not is_doubted(text, "974.49") and not is_doubted(text, "974.5")
    assert not is_doubted("Who wrote it?", "15092.44")


def write(path: Path, *pairs: tuple[str, str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"context": text, "target": answer}) + "\n" for text, answer in pairs))


def test_rows_of_the_publishers_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINBENCH_DATA", str(tmp_path))
    with pytest.raises(FinbenchError, match="github.com/Open-Finance-Lab/FinLoRA"):
        load("formula")
    right, wrong = (NPV + f'"$3,500 annually for {n} years at 8%." Answer:' for n in (5, 6))
    write(tmp_path / "finlora" / "formula_train.jsonl", (right, "13974.49"), (wrong, "15092.44"))
    write(tmp_path / "finlora" / "formula_test.jsonl", (wrong + " ", "15092.45"), ("Other. Answer:", "1"))
    rows = load("formula")
    assert rows.source == "folder"
    assert [row.id for row in rows.splits["test"]] == ["formula-test-0-doubted", "formula-test-1"]
    assert [row.text for row in rows.splits["test"]][1] == "Other." and rows.settings == '{"absolute_tolerance": 0.01}'
    write(tmp_path / "finlora" / "xbrl_term_train.jsonl", *((f"Term {n}. Answer:", f"Text {n}.") for n in range(8)))
    rows = load("xbrl_term")
    assert {split: len(part) for split, part in rows.splits.items()} == {"train": 6, "test": 2}
    assert rows.source == "folder: a quarter of train is test"


def test_their_tasks_are_asked_with_a_shot(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = load_tasks(["finbench_all"])
    assert len(tasks) == 27
    task = tasks["fin_formula"]
    prompt = task.fewshot_context(task.eval_docs[0], 1)
    assert prompt.count("Use formula") == 2 and prompt.endswith("\nAnswer:")
    assert json.loads(task.eval_docs[0]["settings"]) == {"absolute_tolerance": 0.01}
