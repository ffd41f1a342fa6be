"""Rows come from the hub's cache as its repositories lay them out; the files here are invented, the formats are not."""

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from finbench.data.load import DATASETS, _load, find, load, read
from finbench.data.sources import Dataset, open_hub
from finbench.errors import FinbenchError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
Put = Callable[[Dataset, dict[str, bytes]], None]


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Return a function that lays files out as a downloaded snapshot, in a cache that nothing else uses."""
    from huggingface_hub import constants

    _load.cache_clear()  # rows of the hub are read once a process
    monkeypatch.delenv("FINBENCH_DATA")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def write(dataset: Dataset, files: dict[str, bytes]) -> None:
        commit = COMMIT if dataset.revision == "main" else dataset.revision
        folder = tmp_path / f"datasets--{dataset.repo.replace('/', '--')}"
        for key, content in files.items():
            path = folder / "snapshots" / commit / dataset.hub_files[key]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        (folder / "refs").mkdir(exist_ok=True)
        (folder / "refs" / "main").write_text(commit)

    return write


def as_csv(*records: dict[str, str], mark: bool = False) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue().encode("utf-8-sig" if mark else "utf-8")


def as_parquet(*records: dict[str, str | None]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(records)), buffer)
    return buffer.getvalue()


def labels_of(name: str) -> dict[str, list[str]]:
    return {split: [row.label for row in rows] for split, rows in read(name).splits.items()}


def test_fpb_is_read_out_of_the_original_zip(put: Put) -> None:
    lines = [f"Sales of unit {n} rose by 5 % in Jyv\u00e4skyl\u00e4 .@positive" for n in range(8)]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        content = "\n".join([*lines, "@neutral"]).encode("latin-1")
        writer.writestr("FinancialPhraseBank-v1.0/Sentences_50Agree.txt", content)
        writer.writestr("FinancialPhraseBank-v1.0/Sentences_AllAgree.txt", "nothing to read@negative")
    put(find("fpb"), {"all": archive.getvalue()})
    rows = read("fpb")
    assert {split: len(part) for split, part in rows.splits.items()} == {"train": 6, "test": 2}
    assert all("Jyv\u00e4skyl\u00e4" in row.text and row.label == "positive" for row in rows.splits["train"])
    assert rows.dropped == {"without text or label": 1}
    assert rows.source == f"hub:takala/financial_phrasebank@{find('fpb').revision}"


def test_fiqa_labels_are_mapped_by_name_and_questions_follow_the_format(put: Put) -> None:
    def record(sentence: str, kind: str, label: str) -> dict[str, str]:
        return {"sentence": sentence, "snippets": "[]", "format": kind, "label": label}

    train = as_csv(record("a, b", "post", "0"), record("c", "headline", "1"), record("", "post", "2"), mark=True)
    put(find("fiqa"), {"train": train, "test": as_csv(record("d", "headline", "2"), mark=True)})
    rows = load("fiqa")
    assert labels_of("fiqa") == {"train": ["positive", "neutral"], "test": ["negative"]}
    assert [row.question.split(" Please")[0] for row in rows.splits["train"]] == [
        "What is the sentiment of this tweet?",
        "What is the sentiment of this news?",
    ]
    assert rows.splits["train"][0].question.endswith("choose an answer from {negative/neutral/positive}.")
    assert rows.dropped["train: without text or label"] == 1


def test_tfns_takes_bearish_bullish_neutral_in_that_order_and_the_validation_file_as_test(put: Put) -> None:
    train = as_csv({"text": "down", "label": "0"}, {"text": "up", "label": "1"}, {"text": "flat\nline", "label": "2"})
    put(find("tfns"), {"train": train, "test": as_csv({"text": "held out", "label": "2"})})
    assert labels_of("tfns") == {"train": ["negative", "positive", "neutral"], "test": ["neutral"]}
    assert "sent_valid.csv" in find("tfns").hub_files["test"]


def test_nwgi_maps_seven_labels_to_three_or_keeps_them(put: Put) -> None:
    seven = find("nwgi7").labels
    labelled = ({"news": f"news {n}", "label": label} for n, label in enumerate(seven))
    train = as_parquet(*labelled, {"news": None, "label": "neutral"})
    put(find("nwgi"), {"train": train, "test": as_parquet({"news": "more", "label": "strong positive"})})
    assert labels_of("nwgi7")["train"] == list(seven)
    assert labels_of("nwgi")["train"] == ["negative"] * 2 + ["neutral"] * 3 + ["positive"] * 2
    assert read("nwgi").dropped == {"train: without text or label": 1}


def test_an_unknown_label_is_an_error_not_a_default(put: Put) -> None:
    put(find("nwgi"), {key: as_parquet({"news": "x", "label": "so-so"}) for key in ("train", "test")})
    with pytest.raises(FinbenchError, match="unknown label 'so-so'"):
        load("nwgi")


def test_headline_rows_of_one_headline_are_a_cluster_and_repeats_with_other_labels_go(put: Put) -> None:
    def record(text: str, question: str, answer: str) -> dict[str, str]:
        return {"input": text, "output": answer, "instruction": question}

    train = as_parquet(
        record("gold up", "Up?", "Yes"), record("gold up", "Down?", "No"), record("gold up", "Down?", "Yes"),
        record("gold held out", "Up?", "No"),
    )  # fmt: skip
    put(find("headline"), {"train": train, "test": as_parquet(record("gold held out", "Up?", "Yes"))})
    rows = load("headline")
    (kept,) = rows.splits["train"]
    assert (kept.text, kept.question, kept.label, kept.cluster) == ("gold up", "Up?", "Yes", "gold up")
    assert kept.classifier_text == ("Up?", "gold up")
    assert rows.dropped == {"train: text stands in test": 1, "train: repeated with another label": 2}
    assert len(rows.splits["test"]) == 1


def test_ner_takes_the_whole_quoted_entity_and_records_the_commit_of_main(put: Put) -> None:
    instruction = "Find the entity type of 'O'Hara's Bank'.\nOptions: person, location, organization"
    record = {"input": "A loan by O'Hara's Bank .", "output": "organization", "instruction": instruction}
    put(find("ner"), {"train": as_parquet(record), "test": as_parquet({**record, "input": "O'Hara's Bank signs ."})})
    rows = load("ner")
    (row,) = rows.splits["train"]
    assert row.entity == "O'Hara's Bank" and row.question == instruction
    assert row.cluster == "O'Hara's Bank|A loan by O'Hara's Bank ."
    assert rows.source == f"hub:FinGPT/fingpt-ner-cls@{COMMIT}"


CONTEXT = """"You are an assistant. Answer the question.

XBRL file:
 ```xml
 <us-gaap:Assets >12</>\x20
<us-gaap:AssetsCurrent >7</>\x20

 ```


Example question: What is the tag for cash of Example Company Inc
Example answer: us-gaap:AnExampleTagName

Question: {}\x20

Answer:"""


def test_xbrl_question_and_xml_are_split_out_of_the_published_context(put: Put) -> None:
    def record(question: str, target: str) -> dict[str, str]:
        return {"context": CONTEXT.format(question), "target": target, "category1": "xbrl_tags"}

    train = as_csv(
        record("Which tag marks assets of Brelvik?", "us-gaap:Assets"),
        record("Name the tag of Brelvik's assets.", "us-gaap:Assets"),
        record("How much?", "12.0"),
    )
    put(find("xbrl_tags"), {"train": train, "test": as_csv(record("And current ones?", "us-gaap:AssetsCurrent"))})
    rows = load("xbrl_tags")
    first, second = rows.splits["train"]
    assert first.question == first.text == "Which tag marks assets of Brelvik?"
    assert first.xml == "<us-gaap:Assets >12</> \n<us-gaap:AssetsCurrent >7</>"
    assert (first.answer, first.label, first.classifier_text) == ("us-gaap:Assets", "", ())
    assert first.cluster == second.cluster != rows.splits["test"][0].cluster
    assert rows.dropped["train: answer is no tag"] == 1
    put(find("xbrl_values"), {key: as_csv({"context": "free text", "target": "1"}) for key in ("train", "test")})
    with pytest.raises(FinbenchError, match="no XML and question"):
        load("xbrl_values")


@pytest.mark.parametrize("name", [name for name in DATASETS if find(name).hub_files])
def test_without_network_the_error_names_three_ways_out(name: str, put: Put) -> None:
    with pytest.raises(FinbenchError) as raised:
        load(name)
    for way in ("network", "FINBENCH_DATA to a folder", "FINBENCH_DATA=sample"):
        assert way in str(raised.value)


def test_revisions_are_whole_commits_save_where_none_is_known() -> None:
    revisions = {name: find(name).revision for name in DATASETS if find(name).hub_files}
    assert {name: revisions.pop(name) for name in ("ner", "edtsum", "finentity")} == dict.fromkeys(
        ("ner", "edtsum", "finentity"), "main"
    )
    assert revisions.pop("fomc") == "refs/convert/parquet"
    assert all(len(revision) == 40 and int(revision, 16) for revision in revisions.values())


def test_a_hub_that_changes_between_two_files_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import huggingface_hub

    def download(repo: str, name: str, **_: str) -> str:
        return str(tmp_path / "snapshots" / ("one" if "train" in name else "two") / name)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    with pytest.raises(FinbenchError, match="changed during the download"):
        open_hub(find("ner"))
