"""Further datasets of the field, read from files as their publishers lay them out; only the rows are invented."""

from pathlib import Path
from typing import Any

import pytest

from finbench.data.finqa import contradicts
from finbench.data.load import load, read
from finbench.errors import FinbenchError
from finbench.scoring.kinds import KINDS
from finbench.tasks.load import kind_of, load_tasks
from tests.data.published import flare, tatqa_page, write_csv, write_json, write_jsonl, write_parquet

FURTHER = {
    **dict.fromkeys(("fin_finer", "fin_fnxl"), "tags"),
    **dict.fromkeys(("fin_xbrl_formulas", "fin_xbrl_calculations"), "formula"),
    **dict.fromkeys(("fin_finqa", "fin_convfinqa", "fin_tatqa"), "number"),
    **dict.fromkeys(("fin_fomc", "fin_german", "fin_australian", "fin_ma", "fin_numclaim", "fin_banking77"), "choice"),
    **dict.fromkeys(("fin_fomc_gen", "fin_ma_gen", "fin_numclaim_gen", "fin_banking77_gen"), "label"),
    "fin_edtsum": "text",
    "fin_finentity": "spans",
    "fin_finred": "labels",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FINBENCH_DATA", str(tmp_path))
    return tmp_path


def test_every_one_is_scored_by_a_kind_and_its_right_answers_are_right() -> None:
    for name, task in load_tasks(list(FURTHER)).items():
        kind = kind_of(name, task)
        assert kind.name == FURTHER[name]
        for doc in task.eval_docs:
            if kind.output_type == "multiple_choice":
                scores = [(float(label == doc["label"]), False) for label in doc["choices"]]
                outcome = kind.read(doc, scores)
            else:
                outcome = kind.read(doc, [f" {doc['label'] or doc['answer']}"])
            assert outcome.prediction == outcome.gold != "", (name, doc["id"])
        prompt = task.fewshot_context(task.eval_docs[0], int(task.config.num_fewshot))
        assert prompt == prompt.rstrip() and prompt.count("Answer:") in (0, 1, 2)


def test_finer_is_read_as_finlora_has_it(folder: Path) -> None:
    asked = '1. What is best tag for entity "9" in sentence: "Rent was 9 .?"\nOutput US GAAP tags:'
    for split, tag in (("train", "Goodwill"), ("test", "Revenues")):
        record = {"context": f"Options: Goodwill,Revenues\n{split}\n{asked}", "target": f"{tag},Goodwill"}
        write_jsonl(folder / "finlora" / f"finer_{split}_batched.jsonl", record)
    rows = load("finer")
    assert rows.source == "folder" and rows.splits["test"][0].answer == "Revenues,Goodwill"
    assert rows.splits["test"][0].text.endswith("\nOutput US GAAP tags:")


def test_fnxl_is_asked_four_at_a_time_from_the_publishers_tables(folder: Path) -> None:
    columns = ("sentence", "numerals-tags", "company", "tokens")

    def row(n: int, tags: str) -> tuple[str, ...]:
        return f"Item {n}, of unit {n}, was {n}.5.", tags, "Kestrel Mills", "['a', 'b']"

    tested = [row(n, f"{{'us-gaap:Goodwill': ['{n}.5'], 'us-gaap:Revenues': ['2', '3']}}") for n in range(3)]
    trained = [row(n, "{'us-gaap:Depreciation': ['9']}") for n in range(2, 9)]
    write_csv(folder / "fnxl" / "test_sample.csv", columns, *tested)
    write_csv(folder / "fnxl" / "train_sample.csv", columns, *trained)
    rows = load("fnxl")
    assert [row.answer for row in rows.splits["test"]] == [
        "Goodwill,Revenues,Goodwill,Revenues",
        "Goodwill,Revenues",
    ]
    text = rows.splits["test"][0].text
    assert '\nGoodwill, Revenues\nWhat is the best us gaap tag for entity "0.5" in sentence: "Item 0' in text
    assert rows.dropped["train: sentence stands in test"] == 1 and len(rows.splits["train"]) == 2
    write_csv(folder / "fnxl" / "test_sample.csv", columns, row(1, "no dict"))
    with pytest.raises(FinbenchError, match="test_sample.csv, line 2: numerals-tags is no dict"):
        read("fnxl")


CONTEXT = """You are a knowledgeable XBRL assistant.

XBRL file:
 ```xml
 <us-gaap:Assets >12</>
 ```

Example question: Can you provide the formula for Operating Profit Margin from Example Corp?
Example answer: (50000000 / 3590000000) * 100

Question: {} Answer with a formula substituted with values.

Answer:"""


def test_formulas_on_filings_come_as_the_hub_has_them(folder: Path) -> None:
    for split in ("train", "test"):
        rows = [[CONTEXT.format(f"{split} margin?"), f"(3 / {len(split)}) * 100"], [CONTEXT.format("other?"), "none"]]
        write_csv(folder / "xbrl" / f"formula_calculation_{split}.csv", ["context", "target"], *rows)
    rows = load("xbrl_calculations")
    (row,) = rows.splits["test"]
    assert (
        row.question == "test margin? Answer with a formula substituted with values." and row.answer == "(3 / 4) * 100"
    )
    assert row.xml == "<us-gaap:Assets >12</>" and rows.dropped["test: answer is no formula"] == 1


def page(name: str, **more: Any) -> dict[str, Any]:
    table = [["", "2021"], ["net sales", "$ 120"]]
    return {"id": name, "pre_text": [f"Report of {name} .", "."], "post_text": [], "table": table, **more}


def test_finqa_and_its_conversations(folder: Path) -> None:
    def asked(question: str, answer: Any, written: str = "50%") -> dict[str, Any]:
        return {"question": question, "program": "divide(1, 2)", "exe_ans": answer, "answer": written}

    train = [page("A-1", qa=asked("what share?", 0.5)), page("B-1", qa=asked("more?", "yes", "no"))]
    write_json(folder / "finqa" / "train.json", [*train, page("C-1", qa=asked("nothing?", "n/a"))])
    write_json(folder / "finqa" / "test.json", [page("D-1", qa=asked("how much?", -12.0, "$ 12"))])
    rows = load("finqa")
    assert [row.answer for row in rows.splits["train"]] == ["0.5", "yes"]
    assert [row.id for row in rows.splits["train"]] == ["finqa-train-0", "finqa-train-1-doubted"]
    assert rows.dropped["train: without question or answer"] == 1
    (row,) = rows.splits["test"]
    assert row.text == "Report of D-1 .\n| 2021\nnet sales | $ 120" and (row.question, row.answer) == (
        "how much?",
        "-12.0",
    )
    settings = {"settings": rows.settings, "id": "1", "cluster": "1"}
    read_number = KINDS["number"].read
    assert read_number({**settings, "answer": "0.14136"}, ["14.1%"]).scores == (1.0,)
    assert read_number({**settings, "answer": "0.14136"}, ["14.1"]).scores == (0.0,)
    assert read_number({**settings, "answer": "yes"}, ["Yes."]).scores == (1.0,)

    turns = {"cur_dial": ["what were sales?", "and costs?"], "exe_ans": 7.5, "turn_ind": 1}
    write_json(folder / "convfinqa" / "train_turn.json", [page("A-1", annotation=turns, qa={})])
    write_json(folder / "convfinqa" / "dev_turn.json", [page("B-1", annotation=turns)])
    assert load("convfinqa").splits["test"][0].question == "what were sales? and costs?"
    write_json(folder / "convfinqa" / "dev_turn.json", [page("B-1")])
    with pytest.raises(FinbenchError, match="dev_turn.json', entry 1: 'annotation' is not there"):
        read("convfinqa")


@pytest.mark.parametrize(
    ("written", "computed", "wrong"),
    [
        ("14.1%", "0.14136", False),
        ("14%", "0.14136", False),
        ("$ 1.2 million", "1.2", False),
        ("5%", "-0.05", False),
        ("-12.5", "-12.48", False),
        ("100%", "0.99", False),
        ("14.1%", "0.16", True),
        ("380", "412.0", True),
        ("yes", "no", True),
        ("no", "no", False),
        ("", "3.0", False),
        ("about a third", "0.33", False),
        ("0", "0.0", False),
        ("0", "3.5", True),
    ],
)
def test_two_answers_of_one_row_contradict_by_their_digits_alone(written: str, computed: str, wrong: bool) -> None:
    assert contradicts(written, computed) is wrong


def test_fomc_labels_are_the_publishers_numbers(folder: Path) -> None:
    columns = ("sentence", "year", "label", "orig_index")
    write_csv(folder / "fomc" / "train.csv", columns, ["Rates rise.", "2001", "1", "5"], ["It met.", "2001", "2", "6"])
    write_csv(folder / "fomc" / "test.csv", columns, ["Rates fall.", "2002", "0", "7"])
    rows = load("fomc")
    assert [row.label for row in rows.splits["train"]] == ["hawkish", "neutral"]
    assert rows.splits["test"][0].label == "dovish" and rows.labels == ("dovish", "hawkish", "neutral")


def test_flares_form_with_and_without_train(folder: Path) -> None:
    choices = ["good", "bad"]
    write_parquet(folder / "flare" / "german_train.parquet", flare(1, "good", choices), flare(2, "bad", choices))
    write_parquet(folder / "flare" / "german_test.parquet", flare(3, "Bad", choices))
    (row,) = load("german").splits["test"]
    assert (row.text, row.label, row.classifier_text) == ("Judge.\nText: 'text 3'", "bad", ("text 3",))
    write_parquet(folder / "flare" / "german_test.parquet", flare(3, "fair", choices))
    with pytest.raises(FinbenchError, match="rows of german, row 1: unknown label 'fair'"):
        read("german")
    write_parquet(folder / "flare" / "ma_test.parquet", *(flare(n, "rumour", ["complete"]) for n in range(100)))
    rows = load("ma")
    assert {split: len(part) for split, part in rows.splits.items()} == {"train": 20, "test": 80}
    assert rows.source == "folder: a few rows of test are train, for shots"
    write_parquet(folder / "flare" / "edtsum_test.parquet", *(flare(n, f"A title {n}") for n in range(8)))
    assert load("edtsum").splits["test"][0].answer.startswith("A title")


def test_finentity_becomes_spans_in_the_order_of_the_text(folder: Path) -> None:
    def named(start: int, value: str, tag: str) -> dict[str, Any]:
        return {"start": start, "end": start + len(value), "value": value, "tag": tag, "label": tag}

    entries = [
        {"content": "A and  B.", "annotations": [named(7, "B", "Negative"), named(0, "A", "Positive")]},
        {"content": "Nobody.", "annotations": []},
        {"content": "C; D", "annotations": [named(0, "C; D", "Neutral")]},
        *({"content": f"E{n}.", "annotations": [named(0, f"E{n}", "Neutral")]} for n in range(6)),
    ]
    write_json(folder / "finentity" / "FinEntity.json", entries)
    rows = load("finentity")
    answers = {row.text: row.answer for part in rows.splits.values() for row in part}
    assert answers["A and B."] == "Positive: A; Negative: B" and answers["Nobody."] == "none"
    assert len(answers) == 8 and rows.dropped["without text, or a name that holds a semicolon"] == 1


def test_banking77_has_its_77_names_and_messages_on_a_line(folder: Path) -> None:
    asked = ("Where is my card?\n It is late.", "card_arrival"), ("And my refund?", "Refund_not_showing_up")
    write_csv(folder / "banking77" / "train.csv", ("text", "category"), *asked)
    write_csv(folder / "banking77" / "test.csv", ("text", "category"), ["Why is it back?", "reverted_card_payment?"])
    rows = load("banking77")
    assert len(set(rows.labels)) == 77 and list(rows.labels) == sorted(rows.labels, key=str.casefold)
    assert rows.splits["train"][0].text == "Where is my card? It is late."
    assert rows.splits["train"][1].label == "Refund_not_showing_up"
    read_label = KINDS["label"].read
    doc = {"id": "1", "cluster": "1", "label": rows.splits["test"][0].label, "choices": rows.labels}
    for text in ("reverted_card_payment?", "Reverted_card_payment", "**reverted_card_payment**"):
        outcome = read_label(doc, [text])
        assert outcome.prediction == outcome.gold
    assert read_label(doc, ["declined_card_payment or reverted_card_payment"]).prediction == ""
    for label in rows.labels:  # none of which holds another as a word, or what denies one
        assert read_label(doc, [f"It is {label}."]).prediction == label
    write_csv(folder / "banking77" / "test.csv", ("text", "category"), ["Why is it back?", "weather"])
    with pytest.raises(FinbenchError, match="rows of banking77, line 2: unknown label 'weather'"):
        read("banking77")


def test_numclaim_is_read_by_the_publishers_words(folder: Path) -> None:
    for split, label in (("train", "OUTOFCLAIM"), ("test", "INCLAIM")):
        record = {"context": f"Sales of {split} will be 5.", "response": label}
        write_parquet(folder / "numclaim" / f"{split}-00000-of-00001.parquet", record)
    (row,) = load("numclaim").splits["test"]
    assert (row.text, row.label, row.classifier_text) == ("Sales of test will be 5.", "INCLAIM", (row.text,))


def test_finred_asks_for_all_relations_of_a_pair(folder: Path) -> None:
    (folder / "finred").mkdir()
    lines = [
        "A | B owns C . | B ; C ; owner_of | B ; C ; subsidiary | C ; B ; owned_by",
        "",
        "D leads E . | E ; D ; employer",
    ]
    (folder / "finred" / "train.txt").write_text("\n".join(lines) + "\n")
    (folder / "finred" / "test.txt").write_text("F runs G . | G ; F ; director_/_manager\n")
    rows = load("finred")
    found = [(row.text, row.question, row.answer) for row in rows.splits["train"]]
    assert found == [
        ("A | B owns C .", "From B to C?", "owner_of; subsidiary"),
        ("A | B owns C .", "From C to B?", "owned_by"),
        ("D leads E .", "From E to D?", "employer"),
    ]
    assert rows.splits["train"][0].cluster == rows.splits["train"][1].cluster
    read_labels = KINDS["labels"].read
    for label in rows.labels:
        doc = {"id": "1", "cluster": "1", "answer": label, "choices": rows.labels}
        assert read_labels(doc, [f"It is {label}."]).scores == (1.0, 1.0, 1.0), label
    (folder / "finred" / "test.txt").write_text("F runs G .\n")
    with pytest.raises(FinbenchError, match=r"rows of finred, test.txt, line 1: no `sentence"):
        read("finred")
    (folder / "finred" / "test.txt").write_text("F runs G . | G ; F ; boss\n")
    with pytest.raises(FinbenchError, match="rows of finred, test.txt, line 1: unknown label 'boss'"):
        read("finred")


def write_tatqa(folder: Path, *asked: dict[str, Any]) -> None:
    write_json(folder / "tatqa" / "tatqa_dataset_train.json", [tatqa_page(50)])
    pages = [tatqa_page(n, **more) for n, more in enumerate(asked)]
    write_json(folder / "tatqa" / "tatqa_dataset_test_gold.json", pages)


@pytest.mark.parametrize(
    ("given", "scale", "answer"),
    [
        (-9.03, "percent", "-9.03%"),
        (273, "million", "273 million"),
        (["$(20,597)"], "thousand", "$(20,597) thousand"),
        (["13%"], "percent", "13%"),
        (["$0.5 million"], "", "$0.5 million"),
        ("3", "", "3"),
        (["2019"], "", "2019"),
        (["2019", "2018"], "", ""),
        (["the modified retrospective method"], "", ""),
        ([], "", ""),
        (None, "", ""),
    ],
)
def test_of_tatqa_the_answers_that_are_one_number_are_asked_with_their_scale(
    given: Any, scale: str, answer: str, folder: Path
) -> None:
    write_tatqa(folder, {}, {"answer": given, "scale": scale, "answer_type": "span", "derivation": ""})
    rows = load("tatqa")
    assert [row.answer for row in rows.splits["test"]] == ["0 million", *([answer] if answer else [])]
    assert rows.dropped.get("test: answer is not one number", 0) == (not answer)
    row = rows.splits["train"][0]
    assert row.text == "| 2021\nNet sales | 50\nOulu Timber won 50 percent.\nIn millions."
    assert (row.question, row.cluster) == ("What was the change?", "t-50")


@pytest.mark.parametrize(
    ("derivation", "answer", "wrong"),
    [
        ("(16.6/93.8 ) * 100", 17.7, False),
        ("3 + (13) + 26", 16, False),  # an accountant's minus
        ("3 + (13) + 26", 42, False),
        ("$1,402-$1,271", 131, False),
        ("1,402-1,271", 161, True),
        ("2018 and 2019", 7, False),
    ],
)
def test_an_answer_that_its_derivation_does_not_give_is_doubted(
    derivation: str, answer: float, wrong: bool, folder: Path
) -> None:
    write_tatqa(folder, {"derivation": derivation, "answer": answer, "scale": ""})
    assert load("tatqa").splits["test"][0].id == "tatqa-test-0-0" + ("-doubted" if wrong else "")


def test_tatqa_counts_the_scale_and_two_decimals(folder: Path) -> None:
    write_tatqa(folder, {})
    doc = {"settings": load("tatqa").settings, "id": "1", "cluster": "1"}

    def right(gold: str, said: str) -> float:
        return KINDS["number"].read({**doc, "answer": gold}, [said]).scores[0]

    assert right("273 million", "$273m") == right("-9.03%", "-9.0312%") == right("43,745.33 thousand", "43.745 mn") == 1
    assert right("273 million", "273") == right("2019", "2018") == right("17.7%", "17.8%") == right("3", "4") == 0


def test_tatqa_of_another_form_is_refused_by_its_entry(folder: Path) -> None:
    write_tatqa(folder, {}, {"scale": "dozen"})
    with pytest.raises(FinbenchError, match="test_gold.json', entry 2: unknown scale 'dozen'; known are thousand"):
        read("tatqa")
    write_json(folder / "tatqa" / "tatqa_dataset_train.json", [{**tatqa_page(1), "table": {"uid": "t"}}])
    with pytest.raises(FinbenchError, match="train.json', entry 1: 'table' is no list of rows"):
        read("tatqa")


@pytest.mark.parametrize("content", ['{"a": 1}', "[1]", "no JSON"])
def test_a_file_of_another_form_is_refused_by_name(folder: Path, content: str) -> None:
    (folder / "finentity").mkdir()
    (folder / "finentity" / "FinEntity.json").write_text(content)
    with pytest.raises(FinbenchError, match="FinEntity.json"):
        read("finentity")
