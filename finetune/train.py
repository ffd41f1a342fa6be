"""Trains a recipe: base, method, examples, the loop, and what is left in the adapter's folder."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list, gather_object
from torch import nn
from transformers import TrainingArguments, set_seed

from finbench.documents import read_json
from finbench.errors import FinbenchError
from finbench.hf.trainer import CHECKPOINTING
from finbench.hf.wrapped import base_of
from finbench.models.classifier import ClassifierLM
from finbench.models.fast import FastLM
from finbench.runs.monitor import Monitor, merge
from finbench.tasks.load import load_tasks
from finetune import before, finite, methods, output, spent, trackers
from finetune import examples as making
from finetune import sharded as split
from finetune.base import load_base
from finetune.batches import collate, collate_seq2seq
from finetune.distil import Mix, taught
from finetune.examples import Example, Examples
from finetune.loop import BEST, ExampleDataset, RecipeTrainer
from finetune.methods.support import check_continues
from finetune.recipe import Recipe
from finetune.rows import Gathered, gather
from finetune.shared_prefix import Sharing, install, why_not_packed, why_plain
from finetune.validate import Validation

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """What a training leaves behind: where it lies, what it saw and what it cost, all its processes together.

    `writes` says whether this process is the one that writes files, `not_shared` why rows did not share their prefixes
    ("" where they did), and `not_packed` why they were padded beside one another ("" where they were not).
    """

    folder: Path
    labels: tuple[str, ...]
    examples: Examples
    metrics: dict[str, float]
    history: list[dict[str, Any]]
    confusions: dict[str, dict[str, Any]]
    resources: dict[str, Any]
    parameters: dict[str, int]
    writes: bool
    not_shared: str
    not_packed: str


def train(recipe: Recipe, folder: Path, overwrite: bool = False) -> Trained:
    """Train a recipe into a folder; a run of the same recipe that was stopped goes on from its last checkpoint.

    `overwrite` removes first what an earlier training left in the folder. Whatever can be known before the first step
    is refused before it.

    Raises:
        FinbenchError: the base cannot be loaded, rows do not fit, the folder holds another recipe's result or somebody
            else's files, or the weights became no numbers.

    """
    split.check(recipe)
    set_seed(recipe.seed)
    trackers.prepare(recipe, folder)
    last = output.claim(folder, recipe.sha256(), overwrite)
    tasks = load_tasks(recipe.tasks, metadata={"clean": True} if recipe.clean else None)
    labels = making.head_labels(tasks) if recipe.task_type == "classifier" else ()
    before.check_metric(recipe.best_by, "recipe: best_by", tasks)
    gathered = gather(tasks, recipe)
    set_seed(recipe.seed)  # whether or not a teacher has just been asked
    model, tokenizer, new = load_base(recipe, labels)
    model = _with_method(model, replace(recipe, modules_to_save=(*(recipe.modules_to_save or ()), *new)))
    lm = _model_type(model, tokenizer, labels)
    found = _examples(tasks, lm, recipe, gathered, labels)
    counts = _count(model)
    before.check_examples(recipe, found, labels)
    before.check_disk(recipe, folder, counts, len(found.train))
    shares, not_packed, not_shared = _share(model, recipe, found.train)
    with methods.fitting(recipe, model):
        trainer = _trainer(recipe, folder, model, tokenizer, lm, tasks, labels, found, shares)
        if not split.splits_weights():  # which run together or not at all
            trainer.try_batch()
    [checkpoint] = broadcast_object_list([str(last) if last else None])  # processes can talk from the trainer on
    spent_before = spent.before(checkpoint)
    with Monitor() as monitor:
        trainer.spent = lambda: spent.added(spent_before, merge(gather_object([monitor.record()])))
        trainer.train(resume_from_checkpoint=checkpoint)
    metrics = trainer.evaluate() if found.validation else {}
    writes = trainer.is_world_process_zero()
    whole = split.gathered(model)
    finite.check(model, trainer.state.global_step)
    if writes:
        staged = output.stage(folder)
        model.save_pretrained(staged, state_dict=whole)
        tokenizer.save_pretrained(staged) if recipe.method == "full" else None
        output.place(folder)
    kept = {name.removeprefix("eval_"): value for name, value in metrics.items() if name.startswith("eval_")}
    kept.pop(BEST, None)
    resources = trainer.spent() | _speed(trainer, checkpoint, monitor)
    confusions = trainer.validate.confusions
    history = trainer.state.log_history
    return Trained(folder, labels, found, kept, history, confusions, resources, counts, writes, not_shared, not_packed)


def _speed(trainer: RecipeTrainer, checkpoint: str | None, monitor: Monitor) -> dict[str, float]:
    """Return steps and rows a second of this process's part: what went before a stop is not in its seconds."""
    before = int(checkpoint.rpartition("-")[2]) if checkpoint else 0
    steps = trainer.state.global_step - before
    arguments = trainer.args
    rows = steps * arguments.train_batch_size * arguments.gradient_accumulation_steps * arguments.world_size
    seconds = monitor.record()["elapsed_seconds"]
    sent = {"optimizer_bytes_sent": trainer.zero_one.bytes_sent} if hasattr(trainer, "zero_one") else {}
    return sent | {
        "steps": trainer.state.global_step,
        "resumed_from_step": before,
        "steps_per_second": steps / seconds,
        "rows_per_second": rows / seconds,
    }


def _model_type(model: Any, tokenizer: Any, labels: tuple[str, ...]) -> Any:
    """Return the lm-eval model around it that scoring uses, to encode and to validate with."""
    if labels:
        return ClassifierLM(pretrained=model, tokenizer=tokenizer, labels=labels, batch_size=64)
    return FastLM(pretrained=model, tokenizer=tokenizer, batch_size=64)


def _examples(tasks: dict[str, Any], lm: Any, recipe: Recipe, rows: Gathered, labels: Sequence[str]) -> Examples:
    make = making.classifier_examples if recipe.task_type == "classifier" else making.prompt_examples
    found, too_long = make(tasks, rows.train, lm, recipe)
    if not found:
        raise FinbenchError("no train row is left: all are longer than the model's window.")
    if rows.answers is not None:
        found = taught(found, rows.train, rows.answers, tasks, lm, recipe, labels)
    train = making.balanced(found, recipe.sampling, recipe.seed)
    validation = {name: docs for name, docs in rows.validation.items() if docs}
    return Examples(tuple(train), validation, too_long + rows.unread, rows.notes)


def _with_method(model: Any, recipe: Recipe) -> Any:
    if recipe.bits:
        from peft import prepare_model_for_kbit_training

        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=recipe.gradient_checkpointing)
    if recipe.from_adapter is None:
        return _in_float32(methods.apply(model, recipe))
    from finbench.adapters.folder import CONFIG, match_base, read_adapter
    from finbench.adapters.wrap import wrap

    adapter = read_adapter(recipe.from_adapter)
    match_base(adapter, recipe.base)
    check_continues(recipe, read_json(adapter.path / CONFIG))
    return _in_float32(wrap(model, adapter.path, trainable=True))


def _in_float32(model: Any) -> Any:
    """Hold in float32 what is trained: in bfloat16 a small step leaves most weights where they are."""
    if not split.splits_weights():  # which takes weights of one type only
        for weight in model.parameters():
            if weight.requires_grad and weight.dtype in (torch.bfloat16, torch.float16):
                weight.data = weight.data.float()
    return model


def _share(model: Any, recipe: Recipe, examples: Sequence[Example]) -> tuple[Sharing, str, str]:
    """Prepare the model for shared prefixes; return how, why rows are not packed, and why they share nothing at all.

    What is slow without the user having asked for it is said.
    """
    if recipe.task_type != "causal":
        reason = f"a {recipe.task_type} has no prompt whose rows begin alike"
        return "", reason, reason
    if recipe.prefix_sharing == "off":
        return "", "prefix_sharing is off", "prefix_sharing is off"
    longest = max(len(ids) for one in examples for ids in (one.input_ids, *(ids for ids, _ in one.rivals)))
    rows = recipe.batch_size * max(1, *(len(one.rivals) for one in examples))
    forgets = recipe.gradient_checkpointing or os.environ.get("FSDP_ACTIVATION_CHECKPOINTING", "").lower() == "true"
    if split.splits_weights():
        not_packed = reason = f"{split.engine()} gathers a layer's weights for one pass"
    elif not (not_packed := why_not_packed(model, longest, rows, forgets)):
        install(model)
        return "packed", "", ""
    elif forgets:
        reason = f"gradient checkpointing computes keys and values twice, and rows are not packed ({not_packed})"
    else:
        reason = why_plain(model, longest)
    if reason:
        logger.warning("training runs every row whole, without shared prefixes, several times slower: %s", reason)
        return "", not_packed, reason
    install(model)
    if base_of(model).device.type == "cpu":
        logger.warning("training pads rows beside one another, slower than packed: %s", not_packed)
    return "padded", not_packed, ""


def _count(model: nn.Module) -> dict[str, int]:
    """Return how many parameters are trained and how many there are; a 4-bit weight packs two in a byte."""
    if hasattr(model, "get_nb_trainable_parameters"):
        trainable, total = model.get_nb_trainable_parameters()
    else:
        trainable = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        total = sum(weight.numel() for weight in model.parameters())
    return {"trainable": int(trainable), "total": int(total)}


def _trainer(
    recipe: Recipe,
    folder: Path,
    model: Any,
    tokenizer: Any,
    lm: Any,
    tasks: dict[str, Any],
    labels: tuple[str, ...],
    found: Examples,
    shares: Sharing,
) -> RecipeTrainer:
    from transformers import EarlyStoppingCallback

    side = before.check_padding(recipe, lm.padding_side()) if labels else "right"
    callbacks = [EarlyStoppingCallback(recipe.early_stopping)] if recipe.early_stopping else []
    trainer_class, optimizer = _loop(recipe)
    trainer = trainer_class(
        model=model,
        args=_arguments(recipe, folder, bool(found.validation)),
        train_dataset=ExampleDataset(found.train),
        eval_dataset=ExampleDataset(()) if found.validation else None,
        data_collator=(
            (lambda rows: collate_seq2seq(rows, tokenizer.pad_token_id))
            if recipe.task_type == "seq2seq"
            else (lambda rows: collate(rows, tokenizer.pad_token_id, labels, shares, side))
        ),
        callbacks=callbacks,
        optimizer_cls_and_kwargs=optimizer,
    )
    trainer.recipe_sha256 = recipe.sha256()
    trainer.best_by = recipe.best_by
    trainer.validate = Validation(lm, tasks, found.validation, recipe.prompting)
    if recipe.teacher is not None:
        trainer.mix = Mix(recipe.distil_weight, recipe.temperature)
    if recipe.class_weights:
        trainer.weights = torch.tensor(making.class_weights(found.train, labels))
    return trainer


def _loop(recipe: Recipe) -> tuple[type[RecipeTrainer], tuple[Any, dict[str, Any]] | None]:
    """Return the loop that the optimizer needs, and the optimizer where it is not the Trainer's own AdamW."""
    if recipe.optimizer == "adamw":
        return RecipeTrainer, None
    from finetune.optim.in_trainer import ZeroOneTrainer, optimizer_of

    return ZeroOneTrainer, optimizer_of(recipe)


def _arguments(recipe: Recipe, folder: Path, validates: bool) -> TrainingArguments:
    every = {"strategy": "steps" if recipe.eval_steps else "epoch", "steps": recipe.eval_steps or 500}
    keeps_best = validates and recipe.best_by is not None
    return TrainingArguments(
        output_dir=str((folder / output.CHECKPOINTS).resolve()),
        num_train_epochs=recipe.epochs,
        max_steps=recipe.max_steps or -1,
        per_device_train_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        learning_rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        warmup_steps=recipe.warmup_steps,
        lr_scheduler_type=recipe.scheduler,
        eval_strategy=every["strategy"] if validates else "no",
        eval_steps=every["steps"],
        save_strategy=every["strategy"],
        save_steps=every["steps"],
        load_best_model_at_end=keeps_best,
        metric_for_best_model=f"eval_{BEST}" if keeps_best else None,
        greater_is_better=recipe.best_by not in before.LOWER_IS_BETTER if keeps_best else None,
        logging_steps=10,
        logging_first_step=True,
        bf16=recipe.precision == "bfloat16",
        fp16=recipe.precision == "float16",
        **{CHECKPOINTING: recipe.gradient_checkpointing},
        seed=recipe.seed,
        data_seed=recipe.seed,
        remove_unused_columns=False,
        use_cpu=not torch.accelerator.is_available(),  # several processes on CPUs train alone unless it is said
        dataloader_pin_memory=torch.cuda.is_available(),
        report_to=list(recipe.report_to) or "none",
        label_names=["labels"],
    )
