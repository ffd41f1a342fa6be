"""The loop of every method: transformers' Trainer with loss on the answer alone, and validation as scoring does it."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from accelerate.utils import DistributedType
from torch import nn

from finbench.hf.forward import Arguments, arguments_of, logits_at
from finbench.hf.trainer import OpenTrainer
from finbench.hf.wrapped import base_of, embeds_in_front, virtual_tokens
from finetune import checkpoints, finite
from finetune.batches import LengthGroupedOrder
from finetune.distil import Mix, divergence, label_scores
from finetune.examples import Example

BEST, TIE = "best", 1e-7  # of metrics: less than one row of ten million


class ExampleDataset(torch.utils.data.Dataset):
    """Examples as the Trainer samples them."""

    def __init__(self, rows: Sequence[Example]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> dict[str, Any]:
        return {"example": self.rows[place % len(self.rows)], "fills": place >= len(self.rows)}


class RecipeTrainer(OpenTrainer):
    """The Trainer with loss on the answer alone, the LM head run only there, and validation as scoring does it."""

    weights: torch.Tensor | None = None
    validate: Any = None
    recipe_sha256 = ""
    best_by: str | None = None
    mix: Mix | None = None
    spent: Callable[[], dict[str, Any]] = dict
    control: Any
    _takes: Arguments | None = None
    _parts_from: int | None = None  # the step after which parts of the loss are summed

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # found before the weights may be split over processes, where no module runs by itself
        self._takes = arguments_of(base_of(kwargs["model"]))
        super().__init__(*args, **kwargs)
        self._parts = torch.zeros(2)  # of the loss, since it was logged last
        if self.accelerator.distributed_type != DistributedType.DEEPSPEED:
            # the loss is divided by all accumulated rows; the Trainer to 5.3 has accelerate divide once more
            self.accelerator.gradient_accumulation_steps = 1
        # the loss is divided by the rows or tokens of all accumulated batches
        self.model_accepts_loss_kwargs = self.loss_is_scaled_for_ga = True
        self._loss_shifts_labels = False  # labels stand where they are read

    def train_order(self) -> LengthGroupedOrder:
        """Return rows of like length side by side, in an order that follows from seed and epoch alone."""
        lengths = [len(example.input_ids) for example in self.train_dataset.rows]
        step = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        world = self.args.world_size
        whole = self.args.train_batch_size * world if world > 1 else 1
        return LengthGroupedOrder(lengths, step, self.args.seed, whole)

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the mean cross-entropy over answer tokens (causal, seq2seq) or rows (classifier, students)."""
        labels = inputs.pop("labels")
        if self.mix is not None:
            loss = self._student_loss(model, inputs, labels, num_items_in_batch)
            return (loss, {}) if return_outputs else loss
        if "groups" in inputs:
            logits = model(**inputs)  # (N, V)
        elif labels.dim() == 2 and self.model.config.is_encoder_decoder:
            logits = model(**inputs, labels=labels).logits.flatten(0, 1)  # (B * K, V)
            labels = labels.flatten()
        elif labels.dim() == 2:
            read = (labels != -100).any(0).nonzero().squeeze(1)  # (K,) positions that some row's answer is read at
            logits = self._logits_at(model, inputs, read).flatten(0, 1)  # (B * K, V)
            labels = labels[:, read].flatten()
        else:
            logits = model(**inputs).logits  # (B, L)
        loss = self._mean(self._cross_entropy(logits, labels), labels, num_items_in_batch)
        return (loss, {}) if return_outputs else loss

    def _cross_entropy(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        weight = self.weights.to(logits.device) if self.weights is not None else None
        return nn.functional.cross_entropy(logits.float(), labels, weight, ignore_index=-100, reduction="sum")

    def _mean(self, total: torch.Tensor, labels: torch.Tensor, num_items_in_batch: Any) -> torch.Tensor:
        """Return a sum over the items that have labels as their mean, over all accumulated batches where told."""
        count = (labels != -100).sum() if num_items_in_batch is None else num_items_in_batch
        mean = total / count
        if num_items_in_batch is not None and self.args.average_tokens_across_devices:
            mean = mean * self.accelerator.num_processes  # gradients are averaged over processes, the count is of all
        return mean

    def _student_loss(self, model: Any, inputs: dict[str, Any], labels: torch.Tensor, items: Any) -> torch.Tensor:
        """Return the mean over rows of the teacher's and the labels' part, and add both to what is logged."""
        assert self.mix is not None
        teacher = inputs.pop("teacher")
        if "owners" in inputs:
            reads = {name: inputs.pop(name) for name in ("at", "tokens", "owners")}
            read = inputs.pop("read", None)
            logits = model(**inputs) if read is None else self._logits_at(model, inputs, read).flatten(0, 1)
            scores = label_scores(logits, reads, teacher)  # (B, L)
            entropy = nn.functional.nll_loss(scores, labels, ignore_index=-100, reduction="sum")
        else:
            scores = model(**inputs).logits
            entropy = self._cross_entropy(scores, labels)
        apart = divergence(teacher, scores, self.mix.temperature)[labels != -100].sum()
        parts = [self._mean(part, labels, items) for part in self.mix.of(apart, entropy)]
        if model.training:
            self._parts_from = self.state.global_step if self._parts_from is None else self._parts_from
            self._parts = self._parts + torch.stack([part.detach().float() for part in parts]).cpu()
        return parts[0] + parts[1]

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log also, with a student's loss, how much of it is the teacher's part and how much the labels'."""
        if self.mix is not None and "loss" in logs:
            steps = max(self.state.global_step - (self._parts_from or 0), 1)
            means = self.accelerator.reduce((self._parts / steps).to(self.args.device), "mean").tolist()
            logs |= {"loss_teacher": means[0], "loss_labels": means[1]}
            self._parts, self._parts_from = torch.zeros(2), self.state.global_step
        super().log(logs, *args, **kwargs)

    def _logits_at(self, model: Any, inputs: dict[str, Any], read: torch.Tensor) -> torch.Tensor:
        """Return logits (B, K, V) at these positions of the input, running the LM head only there where it can."""
        bare = self.accelerator.unwrap_model(model)
        shift = virtual_tokens(bare) if embeds_in_front(bare) else 0
        return logits_at(model, inputs, read + shift, arguments=self._takes)

    def try_batch(self) -> None:
        """Run two rows forward and back and forget it: random numbers and gradients are as before."""
        rows = [self.train_dataset[place] for place in range(min(2, len(self.train_dataset)))]
        training = self.model.training
        devices = [self.args.device] if self.args.device.type == "cuda" else []
        with torch.random.fork_rng(devices), self.accelerator.autocast():
            self.model.train()
            self.compute_loss(self.model, self.on_device(self.data_collator(rows))).backward()
        self.model.zero_grad(set_to_none=True)
        self._parts, self._parts_from = torch.zeros(2), None
        self.model.train(training)

    def evaluate(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> dict[str, float]:
        """Score the validation rows as a run scores test rows."""
        finite.check(self.model, self.state.global_step)
        training = self.model.training
        self.model.eval()
        with self.accelerator.autocast():  # what is trained is in float32, the rest may not be
            found = {f"{metric_key_prefix}_{name}": value for name, value in self.validate().items()}
        self.model.train(training)
        self.log(dict(found))
        if self.best_by:
            found[f"{metric_key_prefix}_{BEST}"] = self._tied(found, metric_key_prefix)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    def _tied(self, found: dict[str, float], prefix: str) -> float:
        """Return the metric that checkpoints are picked by; of equal ones the one with the lower loss is better."""
        loss = max(found.get(f"{prefix}_loss", 0.0), 0.0)
        apart = TIE * loss / (1 + loss)
        return found[f"{prefix}_{self.best_by}"] + (-apart if self.args.greater_is_better else apart)

    def saving(self) -> AbstractContextManager[Any]:
        """Save a checkpoint that is there whole or not at all, of weights that are numbers."""
        finite.check(self.model, self.state.global_step)
        return checkpoints.written_whole(self, self.recipe_sha256, self.spent())
