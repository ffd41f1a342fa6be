"""A table is read whole or refused with file, line and column; what is no value is left out and counted."""

import datetime
import json
import random
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from finbench.cli import main
from finbench.data.load import load
from finbench.data.tables import complete_records, read_table
from finbench.errors import FinbenchError

COLUMNS = ("text", "label")
LINES = [f"Unit {n} reports,{'good' if n % 2 else 'bad'}" for n in range(30)]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def csv_of(*lines: str, header: str = "text,label") -> Path:
    Path("news.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return Path("news.csv")


def jsonl_of(*values: Any) -> Path:
    lines = [json.dumps({"text": f"Unit {n}", "label": value}) for n, value in enumerate(values)]
    Path("news.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return Path("news.jsonl")


def parquet_of(labels: Any, **more: Any) -> Path:
    texts = [f"Unit {n}" for n in range(len(labels))]
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "label": labels, **more}), "news.parquet")
    return Path("news.parquet")


def labels_of(path: Path) -> list[str]:
    return [record["label"] for record in read_table(path, COLUMNS)]


def with_line(number: int, line: str) -> list[str]:
    return [*LINES[:number], line, *LINES[number + 1 :]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (with_line(9, '"Unit 9 reports,good'), r"news\.csv, line 11: .*double quote"),  # opened and never closed
        ([*LINES, '"Unit 30 reports,good'], r"news\.csv, line 32: .*double quote"),
        (with_line(9, 'Unit "9" reports,"good'), r"news\.csv, line 11: .*double quote"),
        (with_line(9, '"Unit" 9 reports,good'), r"news\.csv, line 11: .*',' expected"),
        # Opened in one record, closed in a later one: two records of 30 would be left out without a word.
        ([*LINES[:9], '"Unit 9 reports,good', LINES[10], 'a screen of 19",bad', *LINES[12:]], r"line 11: .*stray"),
        ([*LINES[:9], '"Unit 9 reports,good', 'a screen of 19",bad', *LINES[12:]], r"line 11: .*stray"),
        (with_line(9, '"",\n;","good"'), r"line 12: a stray double quote beside cells"),  # one cell of two lines before
        (with_line(4, "Unit 4, the third, reports,bad"), r"line 6 has 4 cells and the header 2"),
        (with_line(4, "Unit 4 reports, bad,"), r"line 6 has 3 cells and the header 2"),
        (with_line(4, "Unit 4\nreports,bad"), r"line 6 has 1 cells and the header 2"),
        (with_line(4, "Unit\0 4 reports,bad"), r"line 6: a null character"),
    ],
)
def test_a_csv_that_would_shift_or_swallow_is_refused(lines: list[str], message: str) -> None:
    with pytest.raises(FinbenchError, match=message):
        read_table(csv_of(*lines), COLUMNS)


def test_what_rfc_4180_allows_is_read() -> None:
    cells = [
        '"a, ""b"" and c",good',
        '"two\nlines, the second, of three",bad',
        'a 5" screen,good',
        '"",""',
        "",
        "  ",
        "x,y",
    ]
    records = read_table(csv_of(*cells, *LINES), COLUMNS)
    assert [record["text"] for record in records[:4]] == [
        'a, "b" and c',
        "two\nlines, the second, of three",
        'a 5" screen',
        "",
    ]
    assert records[4]["text"] == "x" and len(records) == 5 + len(LINES)
    assert records[2].place == "line 5"
    windows = Path("news.csv").read_bytes().replace(b"\n", b"\r\n")
    Path("news.csv").write_bytes(windows)
    assert len(read_table(Path("news.csv"), COLUMNS)) == len(records)


def test_a_question_in_two_lines_with_commas_is_no_stray_quote() -> None:
    letters = [f'"Dear all, hello\nsee you, bye {n}",{"good" if n % 2 else "bad"}' for n in range(20)]
    assert len(read_table(csv_of(*letters, *LINES), COLUMNS)) == 50


@pytest.mark.parametrize("size", [131_100, 2_000_000])
def test_a_filing_is_one_cell(size: int) -> None:
    records = read_table(csv_of('"' + "x," * (size // 2) + '",good', *LINES), COLUMNS)
    assert len(records[0]["text"]) == size // 2 * 2 and len(records) == 31


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("text,label,text", "line 1: the column 'text' stands twice"),
        ("text,label,notes,notes", "line 1: the column 'notes' stands twice"),
        ("text;label", "seem to stand apart by ';'"),
        ("text\tlabel", "seem to stand apart by"),
        ("title,label", "no column 'text'; its columns are 'title', 'label'"),
    ],
)
def test_headers(header: str, message: str) -> None:
    with pytest.raises(FinbenchError, match=message):
        read_table(csv_of(header=header), COLUMNS)


def test_columns_that_stand_twice_in_other_tables() -> None:
    Path("a.jsonl").write_text('{"text": "a", "label": "x"}\n{"text": "a", "label": "x", "label": "y"}\n')
    with pytest.raises(FinbenchError, match=r"a\.jsonl', line 2: the key 'label' stands twice"):
        read_table(Path("a.jsonl"), COLUMNS)
    table = pyarrow.table([["a"], ["b"], ["c"]], names=["text", "label", "label"])
    pyarrow.parquet.write_table(table, "a.parquet")
    with pytest.raises(FinbenchError, match="the column 'label' stands twice"):
        read_table(Path("a.parquet"), COLUMNS)


NAN = float("nan")


def test_no_value_is_no_class() -> None:
    assert labels_of(jsonl_of("good", None, NAN, 1.0, 2)) == ["good", "", "", "1.0", "2"]
    assert labels_of(parquet_of(pyarrow.array([1.0, None, NAN, 0.0]))) == ["1.0", "", "", "0.0"]
    kept, dropped = complete_records(read_table(Path("news.parquet"), COLUMNS), "train", *COLUMNS)
    assert [number for number, _ in kept] == [0, 3] and dropped == {"train: without text or label": 2}


@pytest.mark.parametrize("word", ["nan", "NaN", "null", "NULL", "NA", "N/A", "None", "<NA>"])
def test_a_word_for_no_value_is_left_out_and_counted_unless_it_is_a_class(word: str) -> None:
    csv_of(*LINES, f"Unit 30,{word}", f"{word},good")
    rows = load("file", train="news.csv")
    assert rows.labels == ("bad", "good")
    assert rows.dropped["file: a word such as nan or null for text or label"] == 2
    named = load("file", train="news.csv", labels=["bad", "good", word])
    assert word in {row.label for part in named.splits.values() for row in part}


def test_new_task_says_what_it_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    csv_of(*LINES, "Unit 30,NA", "Unit 31,")
    assert main(["new-task", "mine", "news.csv"]) == 0
    said = capsys.readouterr().out
    assert "without text or label: 1" in said and "nan or null for text or label: 1" in said


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 2], "line 2: the column 'label' holds a list"),
        ({"a": 1}, "line 2: the column 'label' holds an object"),
        (float("inf"), "line 2: the column 'label' holds an infinite number"),
        ("\ud83d", "line 2: half of a surrogate pair"),
    ],
)
def test_what_is_no_text_in_json_is_refused(value: Any, message: str) -> None:
    with pytest.raises(FinbenchError, match=message):
        read_table(jsonl_of("good", value), COLUMNS)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([["a"], ["b"]], "row 1: the column 'label' holds a list"),
        ([b"a", b"b"], "row 1: the column 'label' holds bytes"),
        ([{"a": 1}, {"a": 2}], "row 1: the column 'label' holds an object"),
        ([1.0, float("inf")], "row 2: the column 'label' holds an infinite number"),
    ],
)
def test_what_is_no_text_in_parquet_is_refused(labels: list[Any], message: str) -> None:
    with pytest.raises(FinbenchError, match=message):
        read_table(parquet_of(labels), COLUMNS)


def test_columns_that_nobody_asks_for_may_hold_anything() -> None:
    path = parquet_of(["a", "b"], vector=[[1.0], [2.0]], picture=[b"x", b"y"])
    assert read_table(path, COLUMNS)[1] == {"text": "Unit 1", "label": "b"}
    Path("a.jsonl").write_text('{"text": "a", "label": "x", "meta": {"k": [1]}}\n{"text": "b"}\n')
    assert read_table(Path("a.jsonl"), COLUMNS) == [{"text": "a", "label": "x"}, {"text": "b", "label": ""}]


def test_a_truncated_parquet_is_named() -> None:
    path = parquet_of(["a", "b"])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FinbenchError, match=r"news\.parquet' is no parquet file"):
        read_table(path, COLUMNS)


def test_values_are_as_they_are_written() -> None:
    Path("a.jsonl").write_text(
        '{"text": true, "label": 0.10}\n{"text": 12345678901234567890.123456789, "label": 1e5}\n'
    )
    records = read_table(Path("a.jsonl"), COLUMNS)
    assert [record["label"] for record in records] == ["0.10", "1e5"]
    assert [record["text"] for record in records] == ["true", "12345678901234567890.123456789"]
    assert labels_of(parquet_of([True, False])) == ["true", "false"]
    assert labels_of(parquet_of([datetime.date(2023, 1, 2)])) == ["2023-01-02"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["0", "1", "0.0"], r"'0' .*line 2, column 'label'.*'0\.0' .*line 4, column 'label'"),
        (["1", "2", "01"], r"'01' .*'1' "),
        (["Good", "bad", "good"], r"'Good' .*'good' "),
    ],
)
def test_one_class_written_in_two_ways_is_refused(labels: list[str], message: str) -> None:
    csv_of(*(f"Unit {n},{labels[n % 3]}" for n in range(30)))
    with pytest.raises(FinbenchError, match=message):
        load("file", train="news.csv")


def test_a_column_of_numbers_is_written_one_way() -> None:
    assert labels_of(jsonl_of(0, 1.0, None, 0.0, 1)) == ["0.0", "1.0", "", "0.0", "1.0"]
    assert labels_of(jsonl_of(0, 1, None)) == ["0", "1", ""]
    assert labels_of(jsonl_of(0, 1.0, "n/a")) == ["0", "1.0", "n/a"]


def test_what_is_left_out_is_said(caplog: pytest.LogCaptureFixture) -> None:
    csv_of(*LINES, "Unit 30,", "Unit 31,", "Unit 32,NA").rename("said.csv")
    for _ in range(2):
        load("file", train="said.csv")
    said = [record.message for record in caplog.records]
    assert len(said) == 2 and "said.csv: 2 rows are left out (file: without text or label)" in said[0]


def test_numbers_of_two_files_that_differ_in_their_spelling_are_refused() -> None:
    csv_of(*(f"Unit {n},{n % 2}" for n in range(30)))
    parquet_of([1.0, 0.0])
    with pytest.raises(FinbenchError, match=r"written in two ways"):
        load("file", train="news.csv", test="news.parquet")


def test_an_unknown_label_has_its_line() -> None:
    csv_of(*LINES, "Unit 30 reports,so-so")
    with pytest.raises(FinbenchError, match=r"'news\.csv', line 32, column 'label': unknown label 'so-so'"):
        load("file", train="news.csv", labels=["bad", "good"])


@pytest.mark.parametrize("labels", ["good", [True, False], [None, "a"], ["a", "a"], {"a": 1}])
def test_labels_of_a_yaml_are_texts(labels: Any) -> None:
    csv_of(*LINES)
    with pytest.raises(FinbenchError, match="labels "):
        load("file", train="news.csv", labels=labels)


cells = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from(',"\n; '), max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(cells, min_size=3, max_size=12), st.integers(0, 2**32), st.sampled_from('",\n'))
def test_a_damaged_csv_is_refused_or_loses_no_row(texts: list[str], seed: int, mark: str) -> None:
    """Good tables come through whole; with one character more they are refused, or as many records are there."""
    draw = random.Random(seed)
    lines = ['"' + text.replace('"', '""') + f'","{draw.choice(["good", "bad"])}"' for text in texts]
    path = csv_of(*lines)
    assert [record["text"] for record in read_table(path, COLUMNS)] == [text.strip() for text in texts]
    whole = path.read_text(encoding="utf-8")
    place = draw.randrange(len("text,label\n"), len(whole))
    path.write_text(whole[:place] + mark + whole[place:], encoding="utf-8", newline="")
    try:
        assert len(read_table(path, COLUMNS)) == len(texts)
    except FinbenchError as error:
        assert "news.csv, line" in str(error)
