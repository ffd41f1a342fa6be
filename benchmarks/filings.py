"""Questions on long filings, twelve to a filing, answered by a Llama with an 8k window: `hf` against `hf-fast`.

`python -m benchmarks filings --rows 24`
"""

import time

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from benchmarks.invented import filings, llama, tokenizer_for
from benchmarks.machine import synchronise
from benchmarks.report import Comparison
from finbench.models.fast import FastLM

SETTINGS = {"until": ["\n"], "max_gen_toks": 16, "do_sample": False}
BATCH_SIZES = {"cpu": (1, 4), "cuda": (4, 16)}
UNEQUAL_TEXTS = {"float32": 0.0, "bfloat16": 0.5, "float16": 0.2}  # random weights: near ties turn at low precision


def timed(lm: HFLM, asked: list[Instance], device: str) -> tuple[float, list[str]]:
    """Return the seconds that answering takes, and the answers."""
    began = time.perf_counter()
    answers = lm.generate_until(asked, disable_tqdm=True)
    synchronise(device)
    return time.perf_counter() - began, answers


def measure(rows: int, dtype: str, device: str) -> list[Comparison]:
    """Return one comparison; raises AssertionError where the two sides' answers differ."""
    prompts = filings(rows)
    tokenizer = tokenizer_for(prompts[:1], 1500)
    asked = [
        Instance("generate_until", {"id": str(number)}, (prompt, SETTINGS), 0, metadata=("filings", number, 1))
        for number, prompt in enumerate(prompts)
    ]
    model = llama(len(tokenizer), getattr(torch, dtype), device)
    stocks = {
        size: HFLM(pretrained=model, tokenizer=tokenizer, batch_size=size) for size in BATCH_SIZES[device.split(":")[0]]
    }
    trials = {size: timed(lm, asked[: max(stocks)], device)[0] for size, lm in stocks.items()}
    best = min(trials, key=lambda size: trials[size])
    stock_seconds, theirs = timed(stocks[best], asked, device)
    our_seconds, ours = timed(
        FastLM(pretrained=model, tokenizer=tokenizer, strict=True, batch_size=best), asked, device
    )
    unequal = sum(one != other for one, other in zip(ours, theirs, strict=True)) / rows
    assert unequal <= UNEQUAL_TEXTS[dtype], f"{unequal:.0%} of the answers differ"
    details: dict[str, float | str] = {
        "stock batch size": str(best),
        "questions on a filing": "12",
        "tokens of a prompt": str(len(tokenizer(prompts[0])["input_ids"])),
        "distinct answers": str(len(set(theirs))),
    }
    name = "questions on filings, Llama with 8k window"
    return [Comparison(name, rows, dtype, stock_seconds, our_seconds, unequal, details)]
