"""The stock side of a study's training: TRL's SFTTrainer on completions only, as its documentation has it.

`python -m benchmarks.stock_training TASK.json BATCH OUTPUT`: rows and settings from the file, BATCH rows a pass, as
many passes a step as make the file's batch. It imports nothing of finbench.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from torch.utils.data import SequentialSampler
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer


class InOrder(SFTTrainer):  # type: ignore[misc]
    """SFTTrainer on rows in the order that they are given in."""

    def _get_train_sampler(self, dataset: Any = None) -> Any:
        return SequentialSampler(self.train_dataset if dataset is None else dataset)


def train(settings: dict[str, Any], batch: int, folder: Path, steps: int) -> Any:
    """Train for so many steps and return the trainer."""
    model = AutoModelForCausalLM.from_pretrained(settings["base"], dtype=torch.float32)
    model = PeftModel.from_pretrained(model, settings["start"], is_trainable=True)
    tokenizer = AutoTokenizer.from_pretrained(settings["base"])
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    asked = SFTConfig(
        str(folder / "checkpoints"),
        completion_only_loss=True,
        max_length=None,
        max_steps=steps,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=settings["batch"] // batch,
        learning_rate=settings["learning_rate"],
        weight_decay=settings["weight_decay"],
        lr_scheduler_type=settings["scheduler"],
        warmup_steps=0,
        logging_steps=10,
        logging_first_step=True,
        save_strategy="no",
        gradient_checkpointing=False,
        bf16=False,
        report_to="none",
        seed=settings["seed"],
        use_cpu=not torch.cuda.is_available(),
    )
    columns = {name: settings[name] for name in ("input_ids", "completion_mask")}
    trainer = InOrder(model, asked, train_dataset=Dataset.from_dict(columns), processing_class=tokenizer)
    trainer.train()
    return trainer


def trial(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the seconds of a step by rows a pass, the second of two, and the fastest."""
    seconds: dict[int, float] = {}
    for batch in (settings["batch"], settings["batch"] // 4):
        train(settings, batch, folder, 1)
        began = time.perf_counter()
        train(settings, batch, folder, 1)
        seconds[batch] = time.perf_counter() - began
    return {"best": min(seconds, key=lambda batch: seconds[batch]), "seconds": seconds}


def main(path: Path, batch: int, folder: Path) -> None:
    """Train, and write the adapter and the losses."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    trainer = train(settings, batch, folder, settings["steps"])
    trainer.save_model(str(folder))
    losses = {entry["step"]: entry["loss"] for entry in trainer.state.log_history if "loss" in entry}
    (folder / "losses.json").write_text(json.dumps(losses), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
