"""LoRA steps on one-shot rows, GPT-2 small, batches of 16: a plain step and TRL's against finetune's.

`python -m benchmarks training --rows 96`

Every side runs in a process of its own, on the same batches, so that its peak of memory is its own. Its seconds are
those of its steps, its peak what it needs beyond the interpreter with all that is imported.
"""

import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import Trainer, TrainingArguments

from benchmarks.invented import LABELS, gpt2_small, one_shot, tokenizer_for
from benchmarks.machine import synchronise
from benchmarks.report import Comparison
from finetune.batches import LengthGroupedOrder, collate
from finetune.examples import Example
from finetune.loop import RecipeTrainer
from finetune.shared_prefix import Sharing, install, why_not_packed, why_plain

BATCH, EPOCH_ROWS = 16, 3200
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1, "float16": 0.05}  # relative, of loss and gradient
Loss = Callable[[list[Example]], torch.Tensor]


def examples(rows: int) -> tuple[list[Example], list[list[Example]], Any]:
    """Return invented rows as training has them, also by batch, and their tokenizer.

    The batches are some of an epoch over EPOCH_ROWS rows in finetune's order, drawn at random.
    """
    prompts = one_shot(EPOCH_ROWS)
    tokenizer = tokenizer_for(prompts[:96], 2000)
    encoded = tokenizer(prompts)["input_ids"]
    order = list(LengthGroupedOrder([len(ids) for ids in encoded], BATCH, 0))
    starts = random.Random(0).sample(range(0, EPOCH_ROWS, BATCH), rows // BATCH)
    batches = []
    for start in starts:
        batch = []
        for place in order[start : start + BATCH]:
            answer = tokenizer(LABELS[place % 3])["input_ids"]
            batch.append(Example(str(place), "one_shot", (*encoded[place], *answer), "", len(answer)))
        batches.append(batch)
    return [row for batch in batches for row in batch], batches, tokenizer


def adapted(dtype: str, device: str) -> Any:
    """Return GPT-2 small with LoRA of rank 8 on its attention, without dropout, every weight away from its start."""
    model = gpt2_small(getattr(torch, dtype), device)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    settings = LoraConfig(r=8, target_modules=["c_attn"], fan_in_fan_out=True, task_type="CAUSAL_LM")
    wrapped = get_peft_model(model, settings)
    torch.manual_seed(1)
    for weight in wrapped.parameters():
        if weight.requires_grad:
            weight.data = 0.05 * torch.randn_like(weight)
    return wrapped.train()


def ours(model: Any, rows: Sequence[Example], tokenizer: Any, folder: str) -> Loss:
    """Return the loss as finetune computes it, with shared prefixes."""
    longest = max(len(row.input_ids) for row in rows)
    shares: Sharing = "padded" if why_not_packed(model, longest, BATCH) else "packed"
    reason = why_plain(model, longest)
    assert not reason, reason
    install(model)
    trainer = RecipeTrainer(model=model, args=_arguments(folder))

    def loss(batch: list[Example]) -> torch.Tensor:
        made = collate([{"example": row, "fills": False} for row in batch], tokenizer.pad_token_id, (), shares)
        assert "groups" in made
        found: torch.Tensor = trainer.compute_loss(model, trainer._prepare_inputs(made))
        return found

    return loss


def plain(model: Any, rows: Sequence[Example], tokenizer: Any, folder: str) -> Loss:
    """Return the loss as the Trainer computes it: labels for the whole sequence, -100 before the answer."""
    trainer = Trainer(model=model, args=_arguments(folder))

    def loss(batch: list[Example]) -> torch.Tensor:
        longest = max(len(row.input_ids) for row in batch)
        ids = torch.full((len(batch), longest), tokenizer.pad_token_id)
        mask, labels = torch.zeros_like(ids), torch.full_like(ids, -100)
        for number, row in enumerate(batch):
            length = len(row.input_ids)
            ids[number, :length], mask[number, :length] = torch.tensor(row.input_ids), 1
            labels[number, length - row.answer : length] = torch.tensor(row.input_ids[-row.answer :])
        inputs = {"input_ids": ids, "attention_mask": mask, "labels": labels}
        found: torch.Tensor = trainer.compute_loss(model, trainer._prepare_inputs(inputs))
        return found

    return loss


def trl(model: Any, rows: Sequence[Example], tokenizer: Any, folder: str) -> Loss:
    """Return the loss of TRL's SFTTrainer on completions only."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    columns = {
        "input_ids": [list(row.input_ids) for row in rows],
        "completion_mask": [[0] * (len(row.input_ids) - row.answer) + [1] * row.answer for row in rows],
    }
    settings = SFTConfig(
        folder,
        completion_only_loss=True,
        gradient_checkpointing=False,
        report_to="none",
        bf16=False,
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = SFTTrainer(model, settings, train_dataset=Dataset.from_dict(columns), processing_class=tokenizer)
    prepared = {row.row_id: features for row, features in zip(rows, trainer.train_dataset, strict=True)}

    def loss(batch: list[Example]) -> torch.Tensor:
        made = trainer.data_collator([prepared[row.row_id] for row in batch])
        found: torch.Tensor = trainer.compute_loss(model, trainer._prepare_inputs(made))
        return found

    return loss


def _arguments(folder: str) -> Any:
    return TrainingArguments(folder, report_to="none", use_cpu=not torch.cuda.is_available())


SIDES = {"ours": ours, "plain": plain, "trl": trl}


def run_side(side: str, rows: int, dtype: str, device: str, folder: Path) -> None:
    """Take the steps of one side and write what they cost, with the first batch's loss and gradient."""
    if side == "trl":
        importlib.import_module("trl.trainer.sft_trainer")
    made, batches, tokenizer = examples(rows)
    before = _resident("VmRSS")
    model = adapted(dtype, device)
    loss_of = SIDES[side](model, made, tokenizer, str(folder))
    trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    optimizer = torch.optim.AdamW(trained.values(), lr=1e-4)

    def backward(batch: list[Example]) -> float:
        with torch.autocast(device.split(":")[0], getattr(torch, dtype), enabled=dtype != "float32"):
            loss = loss_of(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.item()

    first = backward(batches[0])
    torch.save({name: weight.grad.float().cpu() for name, weight in trained.items()}, folder / f"{side}.pt")
    optimizer.zero_grad()
    began = time.perf_counter()
    for batch in batches:
        backward(batch)
        optimizer.step()
        optimizer.zero_grad()
    synchronise(device)
    seconds = time.perf_counter() - began
    peak = torch.cuda.max_memory_allocated(device) if device != "cpu" else _resident("VmHWM") - before
    (folder / f"{side}.json").write_text(json.dumps({"seconds": seconds, "peak_bytes": peak, "loss": first}))


def _resident(field: str) -> int:
    """Return this process's resident bytes, now (VmRSS) or at most so far (VmHWM), as Linux tells them."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def measure(rows: int, dtype: str, device: str) -> list[Comparison]:
    """Return ours against the plain step, and against TRL's where it is installed.

    Raises AssertionError where the first batch's losses or gradients differ.
    """
    if rows % BATCH:
        raise SystemExit(f"give a multiple of {BATCH} rows, which fill whole batches.")
    sides = [side for side in SIDES if side != "trl" or importlib.util.find_spec("trl")]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for side in sides:
            command = [sys.executable, "-m", "benchmarks.training", side, str(rows), dtype, device, name]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found = {side: json.loads((folder / f"{side}.json").read_text()) for side in sides}
        gradients = {side: torch.load(folder / f"{side}.pt") for side in sides}
    if "trl" not in sides:
        sys.stderr.write("TRL is not installed (pip install trl), so its side is left out.\n")
    return [_compare(side, rows, dtype, found, gradients) for side in sides if side != "ours"]


def _compare(side: str, rows: int, dtype: str, found: dict[str, Any], gradients: dict[str, Any]) -> Comparison:
    ours, theirs = gradients["ours"], gradients[side]
    assert ours.keys() == theirs.keys()
    distance = sum(float((ours[name] - value).square().sum()) for name, value in theirs.items()) ** 0.5
    difference = distance / sum(float(value.square().sum()) for value in theirs.values()) ** 0.5
    assert difference <= TOLERANCE[dtype], f"gradients differ by {difference:.1e} of their norm"
    apart = abs(found["ours"]["loss"] - found[side]["loss"]) / abs(found[side]["loss"])
    assert apart <= TOLERANCE[dtype], f"losses differ by {apart:.1e}"
    details: dict[str, float | str] = {
        "batch size": str(BATCH),
        "stock peak, GiB": found[side]["peak_bytes"] / 2**30,
        "our peak, GiB": found["ours"]["peak_bytes"] / 2**30,
        "ratio of peaks": found["ours"]["peak_bytes"] / found[side]["peak_bytes"],
        "relative difference of the loss": apart,
        "the difference is": "the gradient's, relative",
    }
    stock = {"plain": "Trainer, full-sequence labels", "trl": "TRL's SFTTrainer, completions only"}[side]
    name = f"LoRA steps, GPT-2 small, against {stock}"
    return Comparison(name, rows, dtype, found[side]["seconds"], found["ours"]["seconds"], difference, details)


if __name__ == "__main__":
    run_side(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], Path(sys.argv[5]))
