"""How cost grows, `hf` against `hf-fast`: with rows, with the length of the shared prefix, with adapters.

`python -m benchmarks growth --rows 10000`

A tiny GPT-2 keeps the stock side's hours away; what is shown is how seconds grow, not how many a real model takes.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.invented import LABELS, WORDS, one_shot, tokenizer_for
from benchmarks.machine import synchronise
from benchmarks.report import Comparison
from benchmarks.scoring import TOLERANCE, timed
from finbench.adapters.on_model import Switch
from finbench.models.fast import FastLM

VOCABULARY = 8192  # with GPT-2's own the stock side's logits for 2,000 words in front would fill a small machine
PREFIXES = (0, 500, 2000)  # tokens in front of every prompt
ADAPTERS = (1, 4, 16)
BATCH = 16


def measure(rows: int, dtype: str, device: str) -> list[Comparison]:
    """Return a comparison for each size; raises AssertionError where a result differs."""
    prompts = one_shot(rows)
    tokenizer = tokenizer_for(prompts[:1000], 2000, VOCABULARY)
    model = _tiny(getattr(torch, dtype), device)
    found = []
    for count in sorted({min(rows, 100), min(rows, 1000), rows}):
        found.append(_scored(f"rows: {count}", prompts[:count], model, tokenizer, dtype, device))
    for length in PREFIXES:
        front = " ".join((WORDS * (length // len(WORDS) + 1))[:length]) + "\n" if length else ""
        made = [front + prompt for prompt in prompts[:100]]
        found.append(_scored(f"prefix: {length} words in front", made, model, tokenizer, dtype, device))
    with tempfile.TemporaryDirectory() as folder:
        found += [_adapters(Path(folder), count, prompts[:100], tokenizer, dtype, device) for count in ADAPTERS]
    return found


def _tiny(dtype: torch.dtype, device: str) -> GPT2LMHeadModel:
    torch.manual_seed(0)
    shape = GPT2Config(
        vocab_size=VOCABULARY, n_embd=192, n_layer=4, n_head=4, n_positions=4096, bos_token_id=0, eos_token_id=0
    )
    return GPT2LMHeadModel(shape).to(device, dtype).eval()


def _requests(prompts: list[str]) -> list[Instance]:
    return [
        Instance("loglikelihood", {"id": str(number)}, (prompt, label), index, metadata=("growth", number, 1))
        for number, prompt in enumerate(prompts)
        for index, label in enumerate(LABELS)
    ]


def _scored(name: str, prompts: list[str], model: Any, tokenizer: Any, dtype: str, device: str) -> Comparison:
    asked = _requests(prompts)
    stock, theirs = timed(HFLM(pretrained=model, tokenizer=tokenizer, batch_size=BATCH), asked, device)
    seconds, ours = timed(FastLM(pretrained=model, tokenizer=tokenizer, strict=True, batch_size=BATCH), asked, device)
    return Comparison(name, len(prompts), dtype, stock, seconds, _agree(ours, theirs, dtype))


def _agree(ours: list[tuple[float, bool]], theirs: list[tuple[float, bool]], dtype: str) -> float:
    difference = max(abs(one[0] - other[0]) for one, other in zip(ours, theirs, strict=True))
    assert difference <= TOLERANCE[dtype], f"log-likelihoods differ by {difference}"
    return difference


def _adapters(folder: Path, count: int, prompts: list[str], tokenizer: Any, dtype: str, device: str) -> Comparison:
    """Score the prompts with `count` adapters: the base loaded for each, or once for all."""
    tokenizer.save_pretrained(folder / "base")
    _tiny(torch.float32, "cpu").save_pretrained(folder / "base")
    for number in range(count):
        torch.manual_seed(number)
        settings = LoraConfig(r=8, target_modules=["c_attn"], fan_in_fan_out=True, task_type="CAUSAL_LM")
        adapter = get_peft_model(_tiny(torch.float32, "cpu"), settings)
        for weight in (weight for weight in adapter.parameters() if weight.requires_grad):
            weight.data = 0.05 * torch.randn_like(weight)
        adapter.save_pretrained(folder / str(number))
    asked = _requests(prompts)
    options = {"pretrained": str(folder / "base"), "dtype": dtype, "device": device, "batch_size": BATCH}
    began, theirs = time.perf_counter(), []
    for number in range(count):
        theirs.append(HFLM(**options, peft=str(folder / str(number))).loglikelihood(asked, disable_tqdm=True))
    synchronise(device)
    stock, began, ours = time.perf_counter() - began, time.perf_counter(), []
    lm = FastLM(**options, strict=True)
    switch = Switch(lm.model)
    for number in range(count):
        lm._model = switch.put_on(folder / str(number))
        ours.append(lm.loglikelihood(asked, disable_tqdm=True))
        assert switch.take_off(), "the base is not as it was"
        lm._model = switch.model
    synchronise(device)
    seconds = time.perf_counter() - began
    difference = max(_agree(one, other, dtype) for one, other in zip(ours, theirs, strict=True))
    return Comparison(f"adapters: {count}", count * len(prompts), dtype, stock, seconds, difference)
