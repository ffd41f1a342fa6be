"""`finbench merge`: LoRA adapters of one base as one, a plain LoRA folder that names its parents."""

import json
import re
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification

from finbench.adapters.folder import read_adapter, weights_sha256, write_record
from finbench.cli import main
from finbench.predict.predictor import Predictor
from tests.adapters.test_on_model import save_shaken

LABELS = ["negative", "neutral", "positive"]


def parent(on: Path, folder: Path, seed: int, rank: int = 4, **record: object) -> Path:
    """Save a classifier's LoRA with a head, as if it were trained."""
    model = AutoModelForSequenceClassification.from_pretrained(on, num_labels=3)
    config = LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"], r=rank, lora_alpha=8)
    save_shaken(get_peft_model(model, config), folder, seed)
    own = {"labels": LABELS, "tasks": ["fin_fpb"], "base": {"id": str(on), "sha256": weights_sha256(str(on))}}
    write_record(folder, {**own, **record})
    return folder


def changes(folder: Path) -> dict[str, torch.Tensor]:
    """Return what an adapter adds to each weight, and its head."""
    config = json.loads((folder / "adapter_config.json").read_text())
    found = load_file(folder / "adapter_model.safetensors")
    scale = config["lora_alpha"] / config["r"]
    products = {
        name: scale * found[name.replace("lora_A", "lora_B")] @ weight
        for name, weight in found.items()
        if "lora_A" in name
    }
    return products | {name: weight for name, weight in found.items() if "lora_" not in name}


def test_cat_is_the_weighted_sum_and_is_scored_like_any(
    bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = parent(bert, tmp_path / "one", 1), parent(bert, tmp_path / "two", 2, rank=2)
    words = ["merge", str(first), str(second), "--weights", "0.7,0.3", "--how", "cat"]
    assert main([*words, "--output", str(tmp_path / "both")]) == 0
    assert "0.7 of one and 0.3 of two, cat" in capsys.readouterr().out
    one, two, both = changes(first), changes(second), changes(tmp_path / "both")
    assert both.keys() == one.keys() and any("classifier" in name for name in both)
    for name, change in both.items():
        assert torch.allclose(change, 0.7 * one[name] + 0.3 * two[name], atol=1e-5), name
    made = read_adapter(str(tmp_path / "both"))
    assert made.labels == tuple(LABELS) and made.method == "merge_cat"
    weighed = [(read_adapter(str(folder)).sha256, weight) for folder, weight in ((first, 0.7), (second, 0.3))]
    assert [(one["sha256"], one["weight"]) for one in made.record["parents"]] == weighed
    found = Predictor(str(bert), str(tmp_path / "both")).predict(["Profit rose."])[0].scores
    apart = Predictor(str(bert), str(first)).predict(["Profit rose."])[0].scores
    assert max(abs(found[label] - apart[label]) for label in LABELS) > 1e-4


@pytest.mark.parametrize("how", ["ties", "dare_ties", "dare_linear", "linear"])
def test_every_way_gives_a_plain_lora_and_the_same_again(how: str, bert: Path, tmp_path: Path) -> None:
    parents = [str(parent(bert, tmp_path / name, seed)) for seed, name in enumerate(("one", "two"))]
    for name in ("both", "again"):
        words = ["merge", *parents, "--weights", "1,1", "--how", how, "--output", str(tmp_path / name)]
        assert main(words) == 0
    assert read_adapter(str(tmp_path / "both")).sha256 == read_adapter(str(tmp_path / "again")).sha256
    both = load_file(tmp_path / "both" / "adapter_model.safetensors")
    assert all(torch.isfinite(weight).all() for weight in both.values())
    assert any(weight.abs().max() > 0 for name, weight in both.items() if "lora_B" in name)


def test_what_does_not_go_together_is_refused(
    bert: Path, gpt2: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, small = parent(bert, tmp_path / "one", 1), parent(bert, tmp_path / "small", 2, rank=2)
    other = parent(bert, tmp_path / "other", 3, base={"id": str(gpt2), "sha256": weights_sha256(str(gpt2))})
    renamed = parent(bert, tmp_path / "renamed", 3, labels=["bad", "so", "good"])
    out = str(tmp_path / "out")
    for words, said in (
        ([first, small, "--weights", "1,1"], "is of rank 4, small of 2, and linear adds.*use --how cat"),
        ([first, other, "--weights", "1,1"], "made for another base"),
        ([first, renamed, "--weights", "1,1"], "other roles or labels"),
        ([first, small, "--weights", "1"], "2 adapters and 1 weights"),
        ([first, small, "--weights", "a,b"], "give numbers divided by commas"),
        ([first, small, "--weights", "1,1", "--how", "ties", "--density", "0"], "density is 0.0"),
    ):
        assert main(["merge", *map(str, words), "--output", out]) == 2
        assert re.search(said, capsys.readouterr().err), said
        assert not Path(out).exists()
