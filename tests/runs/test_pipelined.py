"""A matrix's base split over processes: adapters go on and off in every stage, and the cells are one process's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from finbench.cells.store import read_cells
from finbench.cli import main
from finbench.engine.pipeline import crew as pipeline_crew
from tests.conftest import build_model

MATRIX = """\
name: split
tasks: [fin_fpb, fin_fpb_gen]
limit: 5
bases:
  - {{base: {base}, name: toy, adapters: [{adapters}]{more}}}
"""


@pytest.fixture(autouse=True)
def _dismissed() -> Iterator[None]:
    yield
    pipeline_crew.dismiss()


def put_lora(base: Path, folder: Path, **settings: object) -> Path:
    torch.manual_seed(len(folder.name))
    wanted = {"task_type": "CAUSAL_LM", "target_modules": ["q_proj"], "init_lora_weights": False, **settings}
    get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**wanted)).save_pretrained(folder)
    return folder


@pytest.mark.usefixtures("forks")
def test_cells_are_those_of_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = build_model(tmp_path / "llama", "llama")
    adapters = [
        put_lora(base, tmp_path / "all"),
        put_lora(base, tmp_path / "second", layers_to_transform=[1]),
        put_lora(base, tmp_path / "elsewhere", target_modules=["embed_tokens"], r=4),
    ]
    found = {}
    for name, more in (("one", ""), ("two", ", pipeline: 2")):
        path, folder = tmp_path / f"{name}.yaml", tmp_path / name
        path.write_text(MATRIX.format(base=base, adapters=", ".join(map(str, adapters)), more=more))
        assert main(["run", str(path), "--cells", str(folder)]) == 0, capsys.readouterr().out
        found[name] = {cell.key.title(): cell for cell in read_cells(folder).results}
    assert len(found["one"]) == len(found["two"]) == 8
    for title, cell in found["one"].items():
        twin = found["two"][title]
        assert twin.key == cell.key and twin.metrics == cell.metrics and twin.confusion == cell.confusion
        stages = twin.resources["ranks"]
        assert len(stages) == 2 and all(stage["resident_peak_bytes"] > 2**27 for stage in stages)
        assert twin.peak_bytes == sum(stage["resident_peak_bytes"] for stage in stages)
        assert twin.load["cores"] == cell.load["cores"] and all("load" in stage for stage in stages)
        if cell.adapter_proof:
            proof = pytest.approx(cell.adapter_proof["max_abs_logit_difference"], rel=1e-3)
            assert twin.adapter_proof == {"changed": True, "max_abs_logit_difference": proof}


def test_torchrun_is_for_pipelines_alone(
    gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "matrix.yaml"
    path.write_text(MATRIX.format(base=gpt2, adapters="", more=""))
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(["run", str(path), "--cells", str(tmp_path / "cells")]) == 2
    assert "toy can do without torchrun" in capsys.readouterr().err
