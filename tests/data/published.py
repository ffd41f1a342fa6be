"""Files as their publishers lay them out, for every dataset of finbench; only the rows are invented."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

COMPANIES = ("Kestrel Mills", "Ardenne Cement", "Oulu Timber", "Skarvden Power", "Halvorne Pharma", "Velna Rail")
ROWS = {"train": range(12), "test": range(20, 28)}


def write_jsonl(path: Path, *records: Mapping[str, Any]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def write_json(path: Path, entries: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(entries))


def write_csv(path: Path, columns: Sequence[str], *rows: Sequence[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def write_parquet(path: Path, *records: dict[str, Any]) -> None:
    import pyarrow
    import pyarrow.parquet

    path.parent.mkdir(exist_ok=True)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(records)), path)


def of(values: Sequence[str], n: int) -> str:
    return values[n % len(values)]


def sentence(n: int) -> str:
    return f"{of(COMPANIES, n)} {('lost', 'kept', 'won')[n % 3]} {n} percent."


def lay_out(folder: Path) -> None:
    """Write the files of all datasets to a folder, under their publishers' names."""
    sentiment(folder)
    questions(folder)
    filings(folder)
    finlora(folder)
    pages(folder)
    classes(folder)
    entities(folder)
    relations(folder)


def sentiment(folder: Path) -> None:
    (folder / "fpb").mkdir()
    lines = [f"{sentence(n)}@{of(('negative', 'neutral', 'positive'), n)}" for n in range(24)]
    (folder / "fpb" / "Sentences_50Agree.txt").write_text("\n".join(lines), encoding="latin-1")
    for split, numbers in ROWS.items():
        posts = [(sentence(n), "[]", "headline", str(n % 3)) for n in numbers]
        write_csv(folder / "fiqa" / f"fiqa_{split}.csv", ("sentence", "snippets", "format", "label"), *posts)
        tweets = [(sentence(n), str(n % 3)) for n in numbers]
        write_csv(folder / "tfns" / f"sent_{'valid' if split == 'test' else split}.csv", ("text", "label"), *tweets)
        labels = ("strong negative", "neutral", "mildly positive", "strong positive")
        news = [{"news": sentence(n), "label": of(labels, n)} for n in numbers]
        write_jsonl(folder / "nwgi" / f"{split}.jsonl", *news)


def questions(folder: Path) -> None:
    for split, numbers in ROWS.items():
        asked = "Does the news headline talk about price in the past? Please choose an answer from {Yes/No}."
        heads = [
            {"instruction": asked, "input": f"gold {sentence(n)}", "output": of(("No", "Yes"), n)} for n in numbers
        ]
        write_jsonl(folder / "headline" / f"fingpt_headline_cls_{split}.jsonl", *heads)
        entities = []
        for n in numbers:
            name = of(COMPANIES, n)
            asked = (
                f"What is the entity type of '{name}' in the input sentence.\nOptions: person, location, organization"
            )
            entities.append({"instruction": asked, "input": sentence(n), "output": "organization"})
        write_jsonl(folder / "ner" / f"fingpt_ner_cls_{split}.jsonl", *entities)


def filings(folder: Path) -> None:
    places = [{"company": c, "doc_path": f"{c}.xml", "context_id": "c-1"} for c in COMPANIES]
    contexts = [{**place, "xml": f"<us-gaap:Assets >{n}000</>"} for n, place in enumerate(places, start=1)]
    write_jsonl(folder / "xbrl" / "contexts.jsonl", *contexts)
    tags = [
        {**place, "question": f"What tag has {place['company']}, {n}?", "answer": "us-gaap:Assets"}
        for place in places
        for n in range(3)
    ]
    write_jsonl(folder / "xbrl" / "tags.jsonl", *tags)
    values = [
        {**place, "question": f"How much has {place['company']}, {k}?", "answer": f"{n}000.0"}
        for n, place in enumerate(places, start=1)
        for k in range(3)
    ]
    write_jsonl(folder / "xbrl" / "values.jsonl", *values)
    context = (
        "You are a knowledgeable XBRL assistant.\n\nXBRL file:\n ```xml\n <us-gaap:Assets >{}</>\n ```\n\n"
        "Example question: Can you?\nExample answer: (5 / 3) * 100\n\nQuestion: margin {}?\n\nAnswer:"
    )
    for split, numbers in ROWS.items():
        for file, answer in (
            ("formula_formatted_with_tags", "(us-gaap:A / us-gaap:B) * 100"),
            ("formula_calculation", "(3 / 7) * 100"),
        ):
            rows = [(context.format(n, n), answer) for n in numbers]
            write_csv(folder / "xbrl" / f"{file}_{split}.csv", ("context", "target"), *rows)


def finlora(folder: Path) -> None:
    answers = {"xbrl_term": "What a company owns.", "formula": "12.34", "financebench": "Sales fell in 2021."}
    for split, numbers in ROWS.items():
        for name, answer in answers.items():
            rows = [{"context": f"About {sentence(n)} Answer:", "target": answer} for n in numbers]
            write_jsonl(folder / "finlora" / f"{name}_{split}.jsonl", *rows)
        asked = 'Options: Goodwill,Revenues\n1. What is best tag for entity "{n}" in sentence: "It was {n}."?\n'
        asked += "Output US GAAP tags:"
        rows = [{"context": asked.replace("{n}", str(n)), "target": "Goodwill,Revenues"} for n in numbers]
        write_jsonl(folder / "finlora" / f"finer_{split}_batched.jsonl", *rows)
        tagged = [(f"It was {n}.5.", f"{{'us-gaap:Goodwill': ['{n}.5']}}", "A", "[]") for n in range(numbers[0], 50)]
        fresh = tagged[:24] if split == "test" else [(f"Train {row[0]}", *row[1:]) for row in tagged]
        columns = ("sentence", "numerals-tags", "company", "tokens")
        write_csv(folder / "fnxl" / f"{split}_sample.csv", columns, *fresh)


def pages(folder: Path) -> None:
    def page(n: int, **more: Any) -> dict[str, Any]:
        table = [["", "2021"], ["net sales", f"$ {n}"]]
        return {"id": f"P-{n}", "pre_text": [sentence(n)], "post_text": ["."], "table": table, **more}

    for split, numbers in ROWS.items():
        asked = {"question": "what share?", "program": "divide(1, 2)", "exe_ans": 0.5, "answer": "50%"}
        write_json(folder / "finqa" / f"{split}.json", [page(n, qa=asked) for n in numbers])
        turns = {"cur_dial": ["what were sales?", "and costs?"], "exe_ans": 7.5, "turn_ind": 1}
        name = "dev_turn" if split == "test" else "train_turn"
        write_json(folder / "convfinqa" / f"{name}.json", [page(n, annotation=turns, qa={}) for n in numbers])
        name = "test_gold" if split == "test" else "train"
        write_json(folder / "tatqa" / f"tatqa_dataset_{name}.json", [tatqa_page(n) for n in numbers])


def tatqa_page(n: int, **more: Any) -> dict[str, Any]:
    """Return an entry with one question, whose parts `more` replaces."""
    asked = {"uid": f"q-{n}", "order": 1, "question": "What was the change?", "answer": n, "answer_type": "arithmetic"}
    asked |= {"derivation": f"{n}+1-1", "scale": "million", "answer_from": "table", "rel_paragraphs": []} | more
    return {
        "table": {"uid": f"t-{n}", "table": [["", "2021"], ["Net sales", f"{n}"]]},
        "paragraphs": [{"uid": "b", "order": 2, "text": "In millions."}, {"uid": "a", "order": 1, "text": sentence(n)}],
        "questions": [asked],
    }


def flare(n: int, answer: str, choices: Sequence[str] = ()) -> dict[str, Any]:
    record = {"id": n, "query": f"Judge.\nText: 'text {n}'\nAnswer:", "answer": answer, "text": f"text {n}"}
    return record | ({"choices": list(choices), "gold": 0} if choices else {})


def classes(folder: Path) -> None:
    for split, numbers in ROWS.items():
        said = [(sentence(n), "2001", str(n % 3), "5") for n in numbers]
        write_csv(folder / "fomc" / f"{split}.csv", ("sentence", "year", "label", "orig_index"), *said)
        for name in ("german", "australian"):
            rows = [flare(n, of(("good", "bad"), n), ("good", "bad")) for n in numbers]
            write_parquet(folder / "flare" / f"{name}_{split}.parquet", *rows)
        asked = [
            (f"{sentence(n)}\nWhere is my card?", of(("card_arrival", "reverted_card_payment?"), n)) for n in numbers
        ]
        write_csv(folder / "banking77" / f"{split}.csv", ("text", "category"), *asked)
        claims = [{"context": sentence(n), "response": of(("INCLAIM", "OUTOFCLAIM"), n)} for n in numbers]
        write_parquet(folder / "numclaim" / f"{split}-00000-of-00001.parquet", *claims)
    deals = [flare(n, of(("complete", "rumour"), n), ("rumour", "complete")) for n in range(40)]
    write_parquet(folder / "flare" / "ma_test.parquet", *deals)
    write_parquet(folder / "flare" / "edtsum_test.parquet", *(flare(n, f"A title {n}") for n in range(40)))


def entities(folder: Path) -> None:
    entries = []
    for n in range(16):
        name = of(COMPANIES, n)
        named = {"start": 0, "end": len(name), "value": name, "tag": of(("Positive", "Negative"), n), "label": "x"}
        entries.append({"content": sentence(n), "annotations": [named]})
    write_json(folder / "finentity" / "FinEntity.json", entries)


def relations(folder: Path) -> None:
    (folder / "finred").mkdir()
    for split, numbers in ROWS.items():
        lines = [f"{of(COMPANIES, n)} owns Plant {n} . | Plant {n} ; {of(COMPANIES, n)} ; owned_by" for n in numbers]
        (folder / "finred" / f"{split}.txt").write_text("\n".join(lines) + "\n")
