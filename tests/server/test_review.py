"""`finbench predict --review`: what people should label, as a table that comes back without a text lost."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from finbench.cli import main
from finbench.data.tables import read_table
from finbench.errors import FinbenchError
from finbench.predict import predictor

TEXTS = ["fine", "unsure", "apart", "  ", "fine", "=2+2;=3", "-5% today; +3%\tno", "two\nlines", "'=quoted", "too long"]


class Told:
    """A predictor whose answers follow from the text and the adapter's name."""

    labels = ("good", "bad")

    def __init__(self, base: str, adapter: str | None = None, **_: object) -> None:
        self.name = Path(adapter).name if adapter else ""
        self.lm = type("LM", (), {"model": type("Model", (), {"parameters": lambda self: iter(())})()})()

    def predict_each(self, texts: list[str]) -> list[object]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> object:
        if text == "too long":
            return FinbenchError("99 tokens")
        label = "bad" if text == "apart" and self.name == "b" else "good"
        sure = 0.55 if text == "unsure" else 0.95 if text in ("fine", "apart") else 0.6
        return predictor.Prediction(label, sure, {label: sure})


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(predictor, "Predictor", Told)
    with Path("news.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["headline"], *([text] for text in TEXTS)])
    yield


def review(*words: str) -> int:
    command = ["predict", "--base", "x", "--adapter", "one/a", "--adapter", "two/b", "--review", "out.csv"]
    return main([*command, *(words or ("--input", "news.csv", "--column", "headline"))])


def test_what_is_doubted_is_written_worst_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert review() == 0
    assert "7 of 8 texts to be labelled, 1 of them since adapters disagree" in capsys.readouterr().out
    with Path("out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "text", "a_label", "a_confidence", "b_label", "b_confidence", "label", "reason", "text_as_json"
    ]  # fmt: skip
    assert [row["text"] for row in rows[:3]] == ["apart", "too long", "unsure"]
    assert (rows[0]["a_label"], rows[0]["b_label"], rows[0]["reason"]) == ("good", "bad", "adapters disagree")
    assert rows[1]["reason"] == "not answered: 99 tokens" and rows[2]["reason"] == "confidence below 0.7"
    assert rows[2]["a_confidence"] == "0.5500" and all(row["label"] == "" for row in rows)
    for row in rows:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in row.values())
        assert not any(sign in row["text_as_json"] for sign in "=+-@;\t")


def test_no_text_is_lost_on_the_way_back() -> None:
    assert review() == 0
    texts = [record["text"] for record in read_table(Path("out.csv"), ("text",))]
    assert sorted(texts) == sorted(dict.fromkeys(text for text in TEXTS if text.strip() and text != "fine"))


def test_a_cell_that_was_rewritten_is_the_new_text() -> None:
    assert review() == 0
    said = Path("out.csv").read_text().replace("'=2+2;'=3", "two and two")
    Path("out.csv").write_text(said)
    texts = [record["text"] for record in read_table(Path("out.csv"), ("text",))]
    assert "two and two" in texts and "=2+2;=3" not in texts
    Path("out.csv").write_text('text,text_as_json\na,"{""b"": 1}"\n')
    with pytest.raises(FinbenchError, match=r"line 2: the column 'text_as_json' holds no text"):
        read_table(Path("out.csv"), ("text",))


def test_labelled_it_is_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    assert review() == 0
    with Path("out.csv").open(newline="") as file:
        columns, *rows = list(csv.reader(file))
    place = columns.index("label")
    for number, row in enumerate(rows[:-1]):  # the last one nobody labelled
        row[place] = ("good", "bad")[number % 2]
    with Path("out.csv").open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])
    assert main(["new-task", "reviewed", "out.csv"]) == 0
    from finbench.data.load import read

    found = read("file", train="out.csv", text=["text"], label="label")
    rows_of = [row for part in found.splits.values() for row in part]
    assert len(rows_of) == 6 and {row.label for row in rows_of} == {"good", "bad"}
    assert "=2+2;=3" in {row.text for row in rows_of} or "=2+2;=3" == json.loads(rows[-1][-1])


def test_what_cannot_be_reviewed_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert review() == 0 and review() == 2
    assert "perhaps with labels in it" in capsys.readouterr().err
    assert review("--overwrite", "apart", "fine") == 0
    assert "1 of 2 texts" in capsys.readouterr().out
    assert review("--overwrite", "--json", "apart") == 2 and "leave --output and --json out" in capsys.readouterr().err
    assert review("--overwrite", "--review-below", "2", "apart") == 2
    assert main(["predict", "--base", "x", "--adapter", "one/a", "--adapter", "two/b", "fine"]) == 2
    assert "compared with --review" in capsys.readouterr().err
    monkeypatch.setattr(Told, "labels", property(lambda self: ("good", self.name)))
    assert review("--overwrite", "apart") == 2 and "same labels" in capsys.readouterr().err
