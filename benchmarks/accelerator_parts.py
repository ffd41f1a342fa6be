"""The parts of the accelerator's benchmark: each runs both sides on one loaded model and says how equal they are."""

import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM

from benchmarks import filings as asking
from benchmarks import scoring as scored
from benchmarks import training
from benchmarks.invented import filings, one_shot, sentence_rows, tokenizer_for
from benchmarks.machine import synchronise
from finbench.hf import flex
from finbench.models.fast import FastLM

# Of a log-likelihood. In 8 bits a column with one outlier is multiplied in 16 bits for the whole pass, so a score
# depends a little on what runs beside it.
TOLERANCE = {16: 0.1, 8: 0.5, 4: 0.1}
GRADIENT = {16: 0.1, 8: 0.3, 4: 0.1}  # relative to its norm
EXACT = 1e-3  # of all of it in float32
BATCHES = (16, 64)


class Bench:
    """A base on disk and, loaded once for each number of bits, our model type around it."""

    def __init__(self, folder: Path, device: str, dtype: str, rows: int, questions: int) -> None:
        self.folder, self.device, self.dtype, self.rows, self.questions = folder, device, dtype, rows, questions
        self.base = str(folder / "base")
        self.tokenizer: Any = None
        self._lm: Any = None

    def write_base(self, shape: tuple[int, int, int, int, int, int], window: int) -> None:
        """Write a Llama of random weights with a tokenizer for the invented texts."""
        from transformers import LlamaConfig, LlamaForCausalLM

        hidden, intermediate, layers, heads, keys, vocabulary = shape
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=hidden,
            intermediate_size=intermediate,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=keys,
            max_position_embeddings=window,
            bos_token_id=0,
            eos_token_id=0,
        )
        with torch.device(self.device):
            model = LlamaForCausalLM(config).to(getattr(torch, self.dtype))
        self.tokenizer = tokenizer_for([*one_shot(96), *filings(1)], 2500, vocabulary)
        self.tokenizer.save_pretrained(self.base)
        model.save_pretrained(self.base)

    def lm(self, bits: int) -> Any:
        """Return the loaded model."""
        if self._lm is None:
            quantised = {} if bits == 16 else {f"load_in_{bits}bit": True}
            self._lm = FastLM(
                pretrained=self.base, dtype=self.dtype, device=self.device, batch_size="auto", strict=True, **quantised
            )
        return self._lm

    def forget(self) -> None:
        """Free the model."""
        self._lm = None
        gc.collect()
        torch.cuda.empty_cache() if torch.cuda.is_available() else None

    def tolerance(self, bits: int, of: dict[int, float]) -> float:
        """Return how far two sides may lie apart."""
        return EXACT if self.dtype == "float32" and bits == 16 else of[bits]

    def peak(self, work: Callable[[], Any]) -> tuple[Any, float, int | None]:
        """Return what the work returns, its seconds, and the most that the device held, where it can tell."""
        on_gpu = self.device.startswith("cuda")
        torch.cuda.reset_peak_memory_stats(self.device) if on_gpu else None
        synchronise(self.device)
        began = time.perf_counter()
        found = work()
        synchronise(self.device)
        seconds = time.perf_counter() - began
        return found, seconds, torch.cuda.max_memory_allocated(self.device) if on_gpu else None


def scoring(bench: Bench, bits: int) -> dict[str, Any]:
    """Score one-shot rows: `hf` at its best batch size, ours, and the planner's memory for ours."""
    from finbench.planner.cost import memory
    from finbench.runs.matrix import Base
    from finbench.runs.needs import scoring_jobs

    lm, prompts = bench.lm(bits), one_shot(bench.rows)
    asked = scored.requests(prompts)
    stocks = {size: HFLM(pretrained=lm.model, tokenizer=bench.tokenizer, batch_size=size) for size in BATCHES}
    scored.timed(stocks[16], asked[:12], bench.device)  # warms up
    trials = {size: scored.timed(stock, asked[:96], bench.device)[0] for size, stock in stocks.items()}
    best = min(trials, key=lambda size: trials[size])
    (_, theirs), stock_seconds, stock_peak = bench.peak(lambda: scored.timed(stocks[best], asked, bench.device))
    scored.timed(lm, asked[:12], bench.device)
    (_, ours), seconds, peak = bench.peak(lambda: scored.timed(lm, asked, bench.device))
    difference = max(abs(one[0] - other[0]) for one, other in zip(ours, theirs, strict=True))
    ids = [bench.tokenizer(prompt)["input_ids"] for prompt in prompts]
    base = Base(bench.base, dtype=bench.dtype, bits=None if bits == 16 else bits)  # type: ignore[arg-type]
    job = scoring_jobs(base, 64, bench.device)(max(map(len, ids)), shared_length(ids))
    return {
        "equal": difference <= bench.tolerance(bits, TOLERANCE) and not lm.not_shared,
        "difference": difference,
        "rows": bench.rows,
        "stock_batch_size": best,
        "stock_seconds": stock_seconds,
        "our_seconds": seconds,
        "ratio": stock_seconds / seconds,
        "stock_peak_bytes": stock_peak,
        "our_peak_bytes": peak,
        "planned_bytes": memory(job).total,
    }


def packs(bench: Bench, bits: int) -> dict[str, Any]:
    """Score the same rows in long passes by a dense mask, by block masks, and as a trial chooses."""
    lm, asked = bench.lm(bits), scored.requests(one_shot(bench.rows))
    found: dict[str, Any] = {}
    scores = {}
    for name, wanted in (("dense", never), ("trial", flex.pays), ("blocks", always)):
        used = flex.BlockMasked.used
        with flex.choosing(wanted):
            scored.timed(lm, asked[:96], bench.device)  # compiles
            (_, scores[name]), seconds, peak = bench.peak(lambda: scored.timed(lm, asked, bench.device))
        found |= {f"{name}_seconds": seconds, f"{name}_peak_bytes": peak}
        found[f"{name}_attentions"] = flex.BlockMasked.used - used
    difference = max(abs(one[0] - other[0]) for one, other in zip(scores["blocks"], scores["dense"], strict=True))
    return {"equal": difference <= bench.tolerance(bits, TOLERANCE), "difference": difference, **found}


def never(*_: object) -> bool:
    """Choose a dense mask."""
    return False


def always(*_: object) -> bool:
    """Choose a block mask."""
    return True


def filing(bench: Bench, bits: int) -> dict[str, Any]:
    """Answer questions on long filings."""
    lm = bench.lm(bits)
    asked = [
        Instance("generate_until", {"id": str(number)}, (prompt, asking.SETTINGS), 0, metadata=("filing", number, 1))
        for number, prompt in enumerate(filings(bench.questions, facts=220 if bench.device.startswith("cuda") else 8))
    ]
    stock = HFLM(pretrained=lm.model, tokenizer=bench.tokenizer, batch_size=8)
    (_, theirs), stock_seconds, stock_peak = bench.peak(lambda: asking.timed(stock, asked, bench.device))
    (_, ours), seconds, peak = bench.peak(lambda: asking.timed(lm, asked, bench.device))
    unequal = sum(one != other for one, other in zip(ours, theirs, strict=True)) / len(asked)
    most = 0.0 if bench.dtype == "float32" and bits == 16 else 0.5  # random weights: near ties turn
    found = {"equal": unequal <= most, "unequal_texts": unequal, "stock_seconds": stock_seconds, "our_seconds": seconds}
    return found | {"ratio": stock_seconds / seconds, "stock_peak_bytes": stock_peak, "our_peak_bytes": peak}


def train(bench: Bench, bits: int) -> dict[str, Any]:
    """Take LoRA steps as the Trainer does and as finetune does, on the same batches; the planner's memory for ours."""
    rows, batches, tokenizer = training.examples(bench.rows // training.BATCH * training.BATCH)
    found: dict[str, Any] = {"equal": True}
    gradients = {}
    for side in ("plain", "ours"):
        bench.forget()
        model = _with_lora(bench.lm(bits).model, bits)
        loss_of = training.SIDES[side](model, rows, tokenizer, str(bench.folder))
        gradients[side] = _gradient(model, loss_of, batches[0], bench)
        _, seconds, peak = bench.peak(lambda: _steps(model, loss_of, batches, bench))  # noqa: B023
        name = "our" if side == "ours" else "stock"
        found |= {f"{name}_seconds": seconds, f"{name}_peak_bytes": peak}
    bench.forget()
    theirs = gradients["plain"]
    apart = sum(float((gradients["ours"][name] - value).square().sum()) for name, value in theirs.items()) ** 0.5
    relative = apart / sum(float(value.square().sum()) for value in theirs.values()) ** 0.5
    found |= {"equal": relative <= bench.tolerance(bits, GRADIENT), "gradient_difference": relative}
    found["ratio"] = found["stock_seconds"] / found["our_seconds"]
    return found | {"planned_bytes": _planned(bench, bits, [list(row.input_ids) for row in rows])}


def _with_lora(model: Any, bits: int) -> Any:
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    if bits != 16:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    torch.manual_seed(1)
    adapted = get_peft_model(model, LoraConfig(r=8, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"))
    for weight in (weight for weight in adapted.parameters() if weight.requires_grad):
        weight.data = 0.05 * torch.randn_like(weight, dtype=torch.float32)
    return adapted.train()


def _loss(loss_of: Callable[[Any], torch.Tensor], batch: Any, bench: Bench) -> torch.Tensor:
    lower = bench.dtype != "float32"
    with torch.autocast(bench.device.split(":")[0], getattr(torch, bench.dtype) if lower else None, enabled=lower):
        return loss_of(batch)


def _gradient(model: Any, loss_of: Any, batch: Any, bench: Bench) -> dict[str, torch.Tensor]:
    _loss(loss_of, batch, bench).backward()  # type: ignore[no-untyped-call]
    found = {name: weight.grad.float().cpu() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    return found


def _steps(model: Any, loss_of: Any, batches: Sequence[Any], bench: Bench) -> None:
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-4)
    for batch in batches:
        _loss(loss_of, batch, bench).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()


def _planned(bench: Bench, bits: int, ids: Sequence[list[int]]) -> int:
    from finbench.planner.cost import memory
    from finetune.planned import planned
    from finetune.recipe import from_settings

    recipe = from_settings(
        {
            "base": bench.base,
            "tasks": ["fin_fpb"],
            "method": "lora" if bits == 16 else "qlora",
            "bits": None if bits == 16 else bits,
            "precision": bench.dtype,
            "target_modules": ["q_proj", "v_proj"],
            "batch_size": training.BATCH,
        }
    )
    return memory(planned(recipe, max(map(len, ids)), shared_length(ids), False)).total


def shared_length(ids: Sequence[Sequence[int]]) -> int:
    """Return how many tokens all rows begin with."""
    return next((place for place, column in enumerate(zip(*ids, strict=False)) if len(set(column)) > 1), 0)


def serving(bench: Bench, bits: int) -> dict[str, Any]:
    """Label texts as `finbench serve` does: one at a time, and those that wait together."""
    from finbench.predict.predictor import Predictor

    bench.forget()
    predictor = Predictor(bench.base, task="fin_fpb", bits=None if bits == 16 else bits, batch_size=64)
    texts = [text for text, _ in sentence_rows(min(bench.rows, 64), seed=3)]
    predictor.predict(texts[:4])
    alone, stock_seconds, _ = bench.peak(lambda: [predictor.predict([text])[0] for text in texts])
    together, seconds, peak = bench.peak(lambda: predictor.predict(texts))
    difference = max(
        abs(one.scores[label] - other.scores[label])
        for one, other in zip(alone, together, strict=True)
        for label in one.scores
    )
    return {
        "equal": difference <= (EXACT if bench.dtype == "float32" and bits == 16 else 0.1),
        "difference": difference,
        "stock_seconds": stock_seconds,
        "our_seconds": seconds,
        "ratio": stock_seconds / seconds,
        "our_peak_bytes": peak,
    }


PARTS: dict[str, Callable[[Bench, int], dict[str, Any]]] = {
    "scoring": scoring,
    "packs": packs,
    "filings": filing,
    "training": train,
    "serving": serving,
}
