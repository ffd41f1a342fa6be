"""What a scoring pass is said to hold is what real tensors take, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, BertConfig, GPT2Config, LlamaConfig

from finbench.planner.cost import memory
from finbench.planner.scoring_pass import _Live, _plain_pass, _shared_pass, pass_bytes
from finbench.runs.matrix import Base
from finbench.runs.needs import scoring_jobs

SMALL = {
    "gpt2": GPT2Config(n_layer=2, n_head=2, n_embd=32, vocab_size=64, n_positions=64),
    "llama": LlamaConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        vocab_size=64,
    ),
}  # fmt: skip
WIDE = {
    "gpt2": GPT2Config(),  # 124 million weights
    "llama": LlamaConfig(
        hidden_size=768, intermediate_size=2048, num_hidden_layers=12, num_attention_heads=12, num_key_value_heads=4,
        vocab_size=32_000,
    ),  # 125 million
}  # fmt: skip
ROWS, BATCH = 48, 16
# The base comes from a configuration, so that the process's own peak is not that of reading a file.
SCORE = """
import sys
from lm_eval.models.huggingface import HFLM
from transformers import AutoConfig, AutoModelForCausalLM
from benchmarks.invented import one_shot, tokenizer_for
from benchmarks.scoring import requests
from finbench.models.fast import FastLM
def of_process(what):
    return 1024 * int(next(line for line in open("/proc/self/status") if line.startswith(what)).split()[1])
folder, engine, rows, batch = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
prompts = one_shot(rows)
tokenizer = tokenizer_for(prompts, 2000)
def score(size):
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(f"{folder}/{size}")).eval()
    lm = {"hf": HFLM, "hf-fast": FastLM}[engine](pretrained=model, tokenizer=tokenizer, batch_size=batch)
    lm.loglikelihood(requests(prompts), disable_tqdm=True)
score("small")
own = of_process("VmRSS")
score("wide")
print(of_process("VmHWM") - own)
"""


def empty(family: str) -> torch.nn.Module:
    with torch.device("meta"):
        return AutoModelForCausalLM.from_config(SMALL[family])


@pytest.mark.parametrize("family", SMALL)
def test_the_count_is_that_of_real_tensors(family: str) -> None:
    shared = pass_bytes(empty(family), "hf-fast", "cpu")(3, 20, 12)
    plain = pass_bytes(empty(family), "hf", "cpu")(2, 20, 0)
    real = AutoModelForCausalLM.from_config(SMALL[family]).eval()
    with torch.no_grad(), _Live() as live:
        assert (shared.logits, shared.cache) == _shared_pass(real, 3, 8, 12)
    # what is made of Python lists counts twice on shapes
    assert live.most == pytest.approx(sum(vars(shared).values()), rel=0.01)
    with torch.no_grad(), _Live() as live:
        assert (plain.logits, plain.cache) == _plain_pass(real, 2, 20)
    assert live.most == pytest.approx(sum(vars(plain).values()), rel=0.02)
    assert plain.logits == 3 * 2 * 20 * 64 * 4, "logits and their softmax at every token, and the last batch's softmax"
    assert shared.logits == 3 * 64 * 4, "one row of logits for each prompt, float32 as they are"


def test_rows_beyond_what_pays_hold_no_more_with_shared_prefixes() -> None:
    fast, plain = (pass_bytes(empty("gpt2"), engine, "cpu") for engine in ("hf-fast", "hf"))
    assert fast(4, 60, 40) != fast(12, 60, 40) == fast(500, 60, 40)
    assert plain(500, 60, 0).logits == 500 * plain(1, 60, 0).logits


def test_a_classifier_keeps_no_keys(tmp_path: Path) -> None:
    BertConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, vocab_size=64
    ).save_pretrained(tmp_path)
    needed = memory(scoring_jobs(Base(str(tmp_path), model="hf-classifier"), 8, "cpu")(24, 0))
    assert needed.cache == 0 < needed.activations


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads the peak from Linux's /proc")
@pytest.mark.parametrize("engine", ["hf-fast", "hf"])
@pytest.mark.parametrize("family", WIDE)
def test_scoring_peaks_within_fifteen_percent_of_the_plan(family: str, engine: str, tmp_path: Path) -> None:
    from benchmarks.invented import one_shot, tokenizer_for
    from finbench.engine.prefix import common_length

    for size, config in (("small", SMALL[family]), ("wide", WIDE[family])):
        config.save_pretrained(tmp_path / size)
        settings = json.loads((tmp_path / size / "config.json").read_text())
        settings |= {"vocab_size": max(config.vocab_size, 2000)} | ({"n_positions": 1024} if family == "gpt2" else {})
        (tmp_path / size / "config.json").write_text(json.dumps(settings))
    # freed blocks go back at once, so that the resident peak is that of live tensors
    env = os.environ | {"MALLOC_MMAP_THRESHOLD_": "1048576", "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", SCORE, str(tmp_path), engine, str(ROWS), str(BATCH)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    prompts = one_shot(ROWS)
    ids = [tokenizer_for(prompts, 2000)(prompt)["input_ids"] for prompt in prompts]
    shared = min(common_length(ids[0], other) for other in ids[1:])
    job = scoring_jobs(Base(str(tmp_path / "wide"), model=engine), BATCH, "cpu")(max(map(len, ids)), shared)
    assert memory(job).total == pytest.approx(int(done.stdout), rel=0.15), memory(job)
