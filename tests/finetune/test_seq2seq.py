"""Encoder-decoder models: trained on prompt and answer, scored by lm-eval's own `hf` in a fresh process."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from finbench.errors import FinbenchError
from finbench.models.fast import FastLM
from finbench.tasks.load import load_tasks
from finetune import examples as making
from finetune.batches import collate_seq2seq
from finetune.card import describe
from finetune.recipe import read_recipe
from finetune.train import train
from tests import forked
from tests.conftest import build_tokenizer

METHODS = ["full", "lora", "ia3", "prefix", "prompt"]
SCORE = """
import json, sys, torch
from pathlib import Path
from tests.finetune.test_seq2seq import scored
torch.save({name: scored(where) for name, where in json.loads(Path(sys.argv[1]).read_text()).items()}, sys.argv[2])
"""


def scored(where: dict[str, str]) -> tuple[list[float], torch.Tensor]:
    """Return what lm-eval's `hf` makes of two answers, and the model's logits."""
    lm = HFLM(**where, device="cpu", dtype="float32", batch_size=2)
    asked = [Instance("loglikelihood", {}, ("What of profit?", answer), 0) for answer in (" positive", " negative")]
    ids = torch.arange(5, 25)[None]
    with torch.no_grad():
        logits = lm.model.eval()(input_ids=ids, labels=ids[:, :3]).logits
    return [value for value, _ in lm.loglikelihood(asked, disable_tqdm=True)], logits


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a tiny T5."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("t5")
    config = T5Config(
        vocab_size=400,
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=2,
    )
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return build_tokenizer(folder)


def recipe_of(base: Path, folder: Path, *settings: str) -> Any:
    path = folder / "recipe.yaml"
    path.write_text(
        f"base: {base}\ntask_type: seq2seq\ntasks: [fin_fpb]\nmax_steps: 6\nbatch_size: 4\nlearning_rate: 5.0e-2\n"
        "limit: 16\nvalidation_share: 0.25\n"
    )
    return read_recipe(path, settings)


@pytest.mark.usefixtures("without_pictures")
def test_adapters_score_through_stock_hf_in_a_fresh_process(t5: Path, tmp_path: Path) -> None:
    where: dict[str, dict[str, str]] = {"base": {"pretrained": str(t5)}}
    for method in METHODS:
        folder, recipe = tmp_path / method, recipe_of(t5, tmp_path, f"method={method}")
        trained = train(recipe, folder)
        record = describe(trained, recipe, "finbench finetune ...")
        assert record["task_type"] == "SEQ_2_SEQ_LM" and "accuracy" in record["metrics"], method
        where[method] = {"pretrained": str(t5), "peft": str(folder)}
        if method == "full":
            where[method] = {"pretrained": str(folder)}
    listing = tmp_path / "where.json"
    listing.write_text(json.dumps(where))
    forked.run([sys.executable, "-c", SCORE, str(listing), str(tmp_path / "fresh.pt")], check=True)
    fresh = torch.load(tmp_path / "fresh.pt")
    base = fresh["base"][1]
    for name, (values, logits) in fresh.items():
        values_here, logits_here = scored(where[name])
        assert torch.equal(logits, logits_here) and values == values_here, name
        assert torch.isfinite(logits).all(), name
        assert name == "base" or (logits - base[..., : logits.shape[-1]]).abs().max() > 1e-4, name


def test_the_encoder_reads_the_prompt_and_the_decoder_writes_the_answer(t5: Path, tmp_path: Path) -> None:
    from finbench.models.fast import FastLM

    lm = FastLM(pretrained=str(t5), device="cpu")
    for name, end in (("fin_fpb", ""), ("fin_fpb_gen", "\n</s>")):
        tasks = load_tasks([name])
        docs = list(tasks[name].training_docs())[:3]
        examples, _ = making.prompt_examples(tasks, {name: docs}, lm, recipe_of(t5, tmp_path, f"tasks=[{name}]"))
        batch = collate_seq2seq([{"example": e, "fills": n == 2} for n, e in enumerate(examples)], 0)
        assert (batch["labels"][2] == -100).all()
        for row in range(2):
            labels = batch["labels"][row]
            assert lm.tokenizer.decode(labels[labels != -100]) == f" {docs[row]['label']}{end}"
            prompt = batch["input_ids"][row][batch["attention_mask"][row] == 1]
            assert lm.tokenizer.decode(prompt) == tasks[name].fewshot_context(docs[row], 1)


def test_a_bottleneck_is_refused_by_name(t5: Path, tmp_path: Path) -> None:
    with pytest.raises(FinbenchError, match="no place in an encoder-decoder"):
        recipe_of(t5, tmp_path, "method=bottleneck")


@pytest.mark.parametrize("fits", [True, False])
def test_an_encoder_reads_its_whole_window_whatever_is_written(t5: Path, fits: bool) -> None:
    """An answer takes room in a decoder's window beside its prompt; an encoder's is its prompt's alone."""
    stock, fast = (kind(pretrained=str(t5), device="cpu", max_length=64) for kind in (HFLM, FastLM))
    words = next(n for n in range(200) if len(stock.tok_encode("rose " * n)) >= 60 + 8 * (not fits))
    settings = {"until": ["\n"], "max_gen_toks": 16}
    asked = [Instance("generate_until", {"id": "r0"}, ("rose " * words, settings), 0, ("t", 0, 1))]
    if fits:
        assert fast.generate_until(asked) == stock.generate_until(asked)
    else:
        with pytest.raises(FinbenchError, match="t, row r0"):
            fast.generate_until(asked)
