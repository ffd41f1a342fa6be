"""`finbench predict` as it is typed: texts, standard input, a CSV; a classifier and a causal model."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finbench.errors import FinbenchError
from finbench.models.fast import FastLM
from finbench.predict.predictor import Predictor
from finbench.tasks.load import load_tasks
from tests import forked


def predict(*words: object, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "finbench", "predict", *map(str, words)]
    return forked.run(command, input=text)


def test_lines_of_standard_input(bert: Path, adapter: Path) -> None:
    done = predict("--base", bert, "--adapter", adapter, "--json", text="Sales rose.\n\nProfit fell.\n")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["text"] for one in found] == ["Sales rose.", "Profit fell."] and done.returncode == 0
    for one in found:
        assert one["confidence"] == max(one["scores"].values()) == one["scores"][one["label"]]


def test_a_tables_column(bert: Path, adapter: Path, tmp_path: Path) -> None:
    table = tmp_path / "news.csv"
    table.write_text('id,headline\n1,"Sales rose, again"\n2,\n3,' + "profit " * 1500 + "\n", encoding="utf-8-sig")
    done = predict(
        "--base", bert, "--adapter", adapter, "--input", table, "--column", "headline", "--output", tmp_path / "out.csv"
    )
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8-sig") as source:
        rows = list(csv.DictReader(source))
    assert [row["id"] for row in rows] == ["1", "2", "3"] and done.returncode == 1
    assert rows[0]["label"] and 0 < float(rows[0]["confidence"]) <= 1 and not rows[0]["problem"]
    assert rows[1]["problem"] == "the text is empty" and "tokens" in rows[2]["problem"] and not rows[2]["label"]
    wrong = predict("--base", bert, "--adapter", adapter, "--input", table, "--column", "title")
    assert wrong.returncode == 2 and "it has id, headline" in wrong.stderr


def test_a_causal_models_confidences_are_those_of_its_scores(gpt2: Path, causal_adapter: Path) -> None:
    """The label shares follow from the very log-likelihoods that scoring sends."""
    predictor = Predictor(str(gpt2), str(causal_adapter))
    task = load_tasks(["fin_fpb"])["fin_fpb"]
    doc = task.eval_docs[3]
    asked = task.construct_requests(doc, task.fewshot_context(doc, 1), doc_id=0, metadata=("fin_fpb", 0, 1))
    lm = FastLM(pretrained=str(gpt2), peft=str(causal_adapter))
    scores = [score for score, _ in lm.loglikelihood(asked, disable_tqdm=True)]
    assert predictor.logits([doc["text"]])[0] == pytest.approx(scores, abs=1e-4)
    several = predictor.predict([other["text"] for other in task.eval_docs])
    assert several[3].scores == pytest.approx(predictor.predict([doc["text"]])[0].scores, abs=1e-4)


def test_weights_that_could_run_code_are_refused(bert: Path, tmp_path: Path) -> None:
    base = shutil.copytree(bert, tmp_path / "pickled")
    weights = base / "model.safetensors"
    torch.save(load_file(weights), base / "pytorch_model.bin")
    weights.unlink()
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps({**config, "architectures": ["BertForSequenceClassification"]}))
    with pytest.raises(FinbenchError, match="safetensors"):
        Predictor(str(base))
