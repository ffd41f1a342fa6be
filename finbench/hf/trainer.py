"""transformers' Trainer with what a training changes of its insides under names of our own.

Used of transformers (5.3 to 5.24): the Trainer's `_prepare_inputs`, `_get_train_sampler`, `_save_checkpoint`,
`_save_rng_state` and `_load_optimizer_and_scheduler`, and the name of the setting that forgets activations. Where one
is called otherwise, the tests of training fail: nothing is found out at run time.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from torch.utils.data import Sampler
from transformers import Trainer, TrainingArguments

# What the Trainer calls the forgetting of activations; the older name where it knows no other.
CHECKPOINTING = next(
    name for name in ("activation_checkpointing", "gradient_checkpointing") if hasattr(TrainingArguments, name)
)


class OpenTrainer(Trainer, ABC):
    """The Trainer, whose insides are overridden by these names."""

    @abstractmethod
    def train_order(self) -> Sampler[int]:
        """Return the order of the training rows."""

    def saving(self) -> AbstractContextManager[Any]:
        """Return the context in which a checkpoint is saved."""
        return nullcontext()

    def save_more(self, folder: str) -> None:
        """Save what each process adds to a checkpoint."""

    def load_more(self, folder: str) -> None:
        """Load what `save_more` saved."""

    def on_device(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return a batch as the model takes it."""
        found: dict[str, Any] = self._prepare_inputs(inputs)
        return found

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        return self.train_order()

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        with self.saving():
            super()._save_checkpoint(model, trial)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        self.save_more(output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self.load_more(checkpoint)
