"""0/1 Adam in the training loop: no all-reduce, weights read synchronised, every process keeps its own state."""

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from finbench.errors import FinbenchError
from finetune.loop import RecipeTrainer
from finetune.optim.zero_one_adam import ZeroOneAdam
from finetune.recipe import ZERO_ONE_KEYS, Recipe


def optimizer_of(recipe: Recipe) -> tuple[type[ZeroOneAdam], dict[str, Any]]:
    """Return the optimizer and its settings as the Trainer takes them."""
    given = {key: getattr(recipe, key) for key in ZERO_ONE_KEYS if getattr(recipe, key) is not None}
    return ZeroOneAdam, {"lr": recipe.learning_rate} | given


class ZeroOneTrainer(RecipeTrainer):
    """The loop with 0/1 Adam; a checkpoint holds, beside the Trainer's files, one of the optimizer for each process.

    Gradients are clipped, where they are, by each process's own norm.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_callback(_Synchronised(self))

    @property
    def zero_one(self) -> ZeroOneAdam:
        """Return the optimizer below what accelerate wraps around it."""
        optimizer: Any = self.optimizer
        bare: ZeroOneAdam = getattr(optimizer, "optimizer", optimizer)
        return bare

    def training_step(self, model: Any, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Run forward and backward with the gradients left on this process."""
        with self.accelerator.no_sync(model):
            loss: torch.Tensor = super().training_step(model, *args, **kwargs)
        return loss

    def _state_file(self, folder: str) -> Path:
        return Path(folder) / f"zero_one_adam_{self.args.process_index}_of_{self.args.world_size}.pt"

    def save_more(self, folder: str) -> None:
        """Save what every process has of its own, complete before the Trainer's last file says so."""
        torch.save(self.zero_one.state_dict(), self._state_file(folder))
        self.accelerator.wait_for_everyone()

    def load_more(self, folder: str) -> None:
        """Load this process's own.

        Raises:
            FinbenchError: another number of processes wrote the checkpoint.

        """
        file = self._state_file(folder)
        if not file.is_file():
            raise FinbenchError(
                f"{folder} was written by another number of processes than {self.args.world_size}: with "
                "optimizer=zero_one_adam each keeps what its rounding lost. Start as many as before, or begin anew "
                "with --overwrite."
            )
        self.zero_one.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))


class _Synchronised(TrainerCallback):
    """Synchronises before weights are read: for validation, for a checkpoint, at the end."""

    def __init__(self, trainer: ZeroOneTrainer) -> None:
        self.trainer = trainer

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Synchronise where the Trainer is about to read the weights."""
        if control.should_evaluate or control.should_save or control.should_training_stop:
            self.trainer.zero_one.synchronise()

    on_epoch_end = on_step_end
