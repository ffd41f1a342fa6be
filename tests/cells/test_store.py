"""The folder of cells: whole files only, names that follow from keys, and nothing broken passed over in silence."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from finbench.cells import store
from finbench.cells.key import Cell, CellKey
from finbench.cells.reader import parsed
from finbench.cells.schema import cell_schema, fits_cell, problems
from finbench.cells.store import Failure, has_failed, is_done, path_of, read_cells, read_outcomes, write_cell
from finbench.documents import parse_json
from finbench.errors import FinbenchError
from finbench.records import Metric, Outcome

KEY = CellKey(
    base="toy", base_revision="", base_sha256="b" * 64, adapter="", adapter_sha256="", precision="float32",
    task="fin_fpb", task_version="1.0", rows_sha256="r" * 64, prompt_sha256="p" * 64, engine="hf-fast/1", limit=None,
    clean=False, truncate="refuse", num_fewshot=1,
)  # fmt: skip
OUTCOMES = [Outcome("1", "1", "yes", "yes", (-0.5, -1.5)), Outcome("2", "2", "no", "", (-1.0, -1.0))]
CELL = Cell(
    key=KEY, created="2026-01-01T00:00:00+00:00", title="", note="", source="folder", n_rows=2, n_clusters=2,
    metrics={"accuracy": Metric(0.5, 0.5), "unparsed": Metric(0.5, 0.5)},
    per_class={
        "yes": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1.0},
        "no": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1.0},
    },
    kind="choice", labels=("yes", "no"),
    confusion={"labels": ["yes", "no"], "matrix": [[1, 0, 0], [0, 0, 1]]}, unparsed_share=0.5, truncated_share=0.0,
    elapsed_seconds=1.0, seconds_per_row=0.5, peak_bytes=2**30, resources={},
    machine={"cpu": "c", "cores": 2, "memory_bytes": 1, "gpus": [], "system": "s"}, versions={"python": "3"}, git=None,
    command="finbench run", flags={"sample_rows": False, "base_without_head": False, "trained_precision": None},
    adapter=None, adapter_proof=None,
)  # fmt: skip


def test_a_cell_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = write_cell(tmp_path, CELL, OUTCOMES)
    assert is_done(tmp_path, KEY) and read_cells(tmp_path).results == (CELL,)
    assert read_outcomes(tmp_path, KEY) == OUTCOMES
    assert {file.name for file in path.parent.iterdir()} == {path.name, path.with_suffix(".parquet").name}
    jsonschema.validate(json.loads(path.read_text()), cell_schema())
    assert fits_cell()(json.loads(path.read_text()))


def test_free_answers_are_kept_as_hashes(tmp_path: Path) -> None:
    outcomes = [Outcome("1", "1", "us-gaap:Assets", "us-gaap:Assets"), Outcome("2", "2", "12", "")]
    write_cell(tmp_path, replace(CELL, kind="number", labels=(), confusion=None, per_class={}), outcomes)
    first, second = read_outcomes(tmp_path, KEY)
    assert first.gold == first.prediction != "us-gaap:Assets" and second.prediction == "" and second.gold != "12"


def test_every_field_of_a_cell_is_described() -> None:
    def bare(schema: Mapping[str, Any], where: str) -> Iterator[str]:
        for name, one in schema.get("properties", {}).items():
            if "description" not in one:
                yield where + name
            yield from bare(one, f"{where}{name}.")

    assert list(bare(cell_schema(), "")) == []


def test_a_write_that_dies_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store.os, "fsync", die)
    with pytest.raises(KeyboardInterrupt):
        write_cell(tmp_path, CELL, OUTCOMES)
    assert not is_done(tmp_path, KEY) and not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_result_takes_its_failures_place(tmp_path: Path) -> None:
    failure = Failure(KEY, CELL.created, "too long", "", "finbench run")
    store.write_failure(tmp_path, failure)
    assert has_failed(tmp_path, KEY) and read_cells(tmp_path).failures == (failure,)
    write_cell(tmp_path, CELL, OUTCOMES)
    assert not has_failed(tmp_path, KEY) and read_cells(tmp_path).failures == ()


@pytest.mark.parametrize(
    "change", [{"limit": 5}, {"adapter_sha256": "x"}, {"rows_sha256": "x"}, {"prompt_sha256": "x"}, {"clean": True}]
)
def test_another_key_is_another_file(change: dict[str, object], tmp_path: Path) -> None:
    assert path_of(tmp_path, replace(KEY, **change)) != path_of(tmp_path, KEY)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda record: record.pop("metrics"), "metrics is missing"),
        (lambda record: record["key"].update(limit="all"), "key.limit is a str"),
        (lambda record: record.update(surprise=1), "surprise is unknown"),
        (lambda record: record.update(schema_version=7), "a later one wrote it, upgrade"),
        (lambda record: record.update(schema_version=0), "schema_version is 0, not one of"),
        (lambda record: record["metrics"]["accuracy"].update(value=None), "metrics.accuracy.value is a NoneType"),
        (lambda record: record["confusion"]["matrix"][0].append(0.5), "confusion.matrix[0][3] is a float"),
        (lambda record: record["confusion"]["matrix"][0].append(True), "confusion.matrix[0][3] is a bool"),
        (lambda record: record["confusion"]["labels"].append(1), "confusion.labels[2] is a int"),
        (lambda record: record["metrics"]["accuracy"].pop("stderr"), "metrics.accuracy.stderr is missing"),
        (lambda record: record["metrics"]["accuracy"].update(p=1), "metrics.accuracy.p is unknown"),
        (lambda record: record["per_class"]["yes"].update(f1="high"), "per_class.yes.f1 is a str"),
        (lambda record: record["key"].update(truncate="sometimes"), "key.truncate is 'sometimes', not one of"),
        (lambda record: record["key"].pop("perturb"), "key.perturb is missing"),
        (lambda record: record["machine"]["gpus"].append(None), "machine.gpus[0] is a NoneType"),
        (lambda record: record["versions"].update(python=3), "versions.python is a int"),
        (lambda record: record.update(git={"commit": "abc"}), "git.dirty is missing"),
        (lambda record: record.update(key=[]), "key is a list"),
        (lambda record: record["key"].update(limit=7), "its key does not belong to its name"),
    ],
)
def test_a_damaged_cell_is_listed_not_skipped(damage, problem: str, tmp_path: Path) -> None:
    path = write_cell(tmp_path, CELL, OUTCOMES)
    record = json.loads(path.read_text())
    damage(record)
    path.write_text(json.dumps(record))
    cells = read_cells(tmp_path)
    assert not cells.results and len(cells.unreadable) == 1
    assert problem in cells.unreadable[0].problem
    by_library = list(jsonschema.Draft202012Validator(cell_schema()).iter_errors(record))
    assert bool(by_library) == bool(list(problems(record, cell_schema()))) != fits_cell()(record)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ('"adapter": {', '"adapter": {"x": [1, 2], '),
        (',\n "adapter_proof"', '\n "adapter_proof"'),
        (',\n "adapter_proof"', '},\n "adapter_proof"'),
        (',\n "adapter_proof"', ', "x": {"y": 1,\n "adapter_proof"'),
        (',\n "adapter_proof": null', ',\n "adapter_proof": null,\n "adapter": 5,\n "adapter_proof": 6'),
        ('"adapter": {', '"adapter": "a text,\n "adapter_proof": '),
        ("{", "["),
        ("}\n", "}\n}\n"),
        ("}\n", ""),
    ],
)
def test_a_file_parsed_in_parts_is_the_whole_parsed(old: str, new: str) -> None:
    adapter = {"name": "a", "method": "lora", "size_bytes": 1, "record": {"steps": [{"loss": 0.5}]}}
    text = replace(CELL, adapter=adapter).as_json()
    damaged = text.replace(old, new, 1) if not old.startswith("}") else new.join(text.rsplit(old, 1))
    known: dict[str, Any] = {}
    parsed(text, known)
    try:
        whole = parse_json(damaged, "the cell")
    except FinbenchError:
        for kept in (known, {}):
            with pytest.raises(FinbenchError):
                parsed(damaged, kept)
    else:
        assert parsed(damaged, known) == parsed(damaged, {}) == whole


def test_half_a_file_is_listed(tmp_path: Path) -> None:
    path = write_cell(tmp_path, CELL, OUTCOMES)
    path.write_text(path.read_text()[:100])
    assert "cannot be read as JSON" in read_cells(tmp_path).unreadable[0].problem


def test_a_result_that_does_not_fit_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(FinbenchError, match="n_rows is a float"):
        write_cell(tmp_path, replace(CELL, n_rows=1.5), OUTCOMES)
    assert not is_done(tmp_path, KEY)
