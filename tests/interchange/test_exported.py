"""Exports are read by the programs they are meant for, and hold the cells' numbers."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

from finbench.cells.key import Cell
from finbench.cells.store import read_cells
from finbench.cli import main
from finbench.interchange.exported import by_model, export

ROOT = Path(__file__).resolve().parents[2]
CELLS = ROOT / "tests" / "cells" / "version_1"


@pytest.fixture(scope="module")
def cell() -> Cell:
    return read_cells(CELLS).results[0]


def test_lm_evals_tools_read_its_results(cell: Cell, tmp_path: Path) -> None:
    from lm_eval.utils import get_latest_filename, make_table

    (path,) = export([cell], "lm-eval", tmp_path)
    assert get_latest_filename([path.name]) == path.name
    record = json.loads(path.read_text())
    table = make_table(record)
    assert "fin_headline" in table and f"{cell.metrics['accuracy'].value:.4f}" in table
    assert "|acc " in table and "accuracy" not in table
    assert record["model_name"] == "stories260K+stories260k_fpb_lora" and record["n-shot"] == {"fin_headline": 1}


def test_the_hub_reads_the_model_index(cell: Cell, tmp_path: Path) -> None:
    from huggingface_hub import ModelCard

    (path,) = export([replace(cell, source="hub:owner/rows@abc")], "model-index", tmp_path)
    found = ModelCard(f"---\n{path.read_text()}---\n# A model\n").data.eval_results
    values = {one.metric_name: one.metric_value for one in found}
    assert values == {name: metric.value for name, metric in cell.metrics.items()}
    assert {one.dataset_type for one in found} == {"owner/rows"}
    assert yaml.safe_load(path.read_text())["model-index"][0]["name"] == "stories260K+stories260k_fpb_lora"


def test_every_eval_ever_is_valid(cell: Cell, tmp_path: Path) -> None:
    hub = replace(cell, key=replace(cell.key, task="fin_fpb"), source="hub:owner/rows@abc")
    (path,) = export([cell, hub], "every-eval-ever", tmp_path)
    record = json.loads(path.read_text())
    places = {one["evaluation_name"]: one["source_data"]["source_type"] for one in record["evaluation_results"]}
    assert places == {"fin_headline": "other", "fin_fpb": "hf_dataset"}
    scores = {one["metric_config"]["metric_id"]: one["score_details"]["score"] for one in record["evaluation_results"]}
    assert scores == {name: metric.value for name, metric in cell.metrics.items()}
    schema = ROOT.parent / "shared" / "schemas" / "eval.schema.json"
    if not schema.is_file():
        pytest.skip("the schema of Every Eval Ever is not at hand")
    jsonschema.Draft7Validator(json.loads(schema.read_text())).validate(record)


def test_a_table_has_a_line_for_each_metric(cell: Cell, tmp_path: Path) -> None:
    (path,) = export([cell], "csv", tmp_path)
    lines = list(csv.DictReader(path.open()))
    assert {line["metric"]: float(line["value"]) for line in lines} == {
        name: metric.value for name, metric in cell.metrics.items()
    }
    assert {line["adapter_sha256"] for line in lines} == {cell.key.adapter_sha256}


def test_models_that_differ_share_no_file(cell: Cell) -> None:
    anew = replace(cell, key=replace(cell.key, adapter_sha256="another"))
    capped = replace(cell, key=replace(cell.key, limit=5))
    assert [len(group) for group in by_model([cell, anew, capped]).values()] == [1, 1, 1]


def test_perturbed_texts_pass_for_no_tasks_own(cell: Cell, tmp_path: Path) -> None:
    changed = replace(cell, key=replace(cell.key, perturb="typos/1"))
    paths = export([cell, changed], "model-index", tmp_path)
    names = [path.parent.name for path in paths]
    assert len(names) == 2 and names[1].endswith("-perturbed-typos") and "perturbed" not in names[0]
    (results,) = yaml.safe_load(paths[1].read_text())["model-index"]
    assert {one["dataset"]["name"] for one in results["results"]} == {"fin_headline (perturbed: typos)"}
    (record,) = export([changed], "lm-eval", tmp_path / "lm-eval")
    assert json.loads(record.read_text())["configs"]["fin_headline"]["metadata"]["perturb"] == "typos"


def test_a_second_result_of_a_task_is_not_lost(cell: Cell, tmp_path: Path) -> None:
    no_shot = replace(cell, key=replace(cell.key, num_fewshot=0))
    other = replace(cell, key=replace(cell.key, task="fin_fpb"))
    sample = replace(cell, flags={**cell.flags, "sample_rows": not cell.flags["sample_rows"]})
    paths = export([cell, no_shot, other, sample], "lm-eval", tmp_path)
    shots = [json.loads(path.read_text())["n-shot"] for path in paths]
    assert sorted(map(len, shots)) == [1, 1, 2] and {"fin_headline": 0} in shots


def test_the_command_names_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "csv", "--cells", str(CELLS), "--output", str(tmp_path)]) == 0
    assert "1 cells in 1 files" in capsys.readouterr().out and (tmp_path / "cells.csv").is_file()
    assert main(["export", "csv", "--cells", str(tmp_path / "none")]) == 2
    assert "no cell lies in" in capsys.readouterr().err
