"""The base a recipe starts from: a head that knows the task's labels keeps what it knows of each."""

from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification

from finetune.base import load_base
from finetune.recipe import read_recipe


def test_a_trained_head_is_mapped_by_name(bert: Path, tmp_path: Path) -> None:
    names = {0: "Positive", 1: "negative", 2: "neutral"}
    theirs = AutoModelForSequenceClassification.from_pretrained(bert, num_labels=3, id2label=names)
    theirs.classifier.bias.data = torch.tensor([1.0, 2.0, 3.0])
    folder = tmp_path / "base"
    theirs.save_pretrained(folder)
    for path in bert.glob("tokenizer*"):
        (folder / path.name).write_bytes(path.read_bytes())
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(f"base: {folder}\ntask_type: classifier\ntasks: [fin_fpb]\n")
    model, tokenizer, _ = load_base(read_recipe(recipe), ("negative", "neutral", "positive"))
    ids = torch.tensor([tokenizer("profit rose").input_ids])
    with torch.no_grad():
        ours, expected = model.eval()(ids).logits[0], theirs.eval()(ids).logits[0]
    assert model.config.id2label[2] == "positive"
    assert torch.equal(ours, expected[[1, 2, 0]])
