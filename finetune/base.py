"""Loads what a recipe starts from: the base with a head for the task's labels, and its tokenizer."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from finbench.errors import FinbenchError
from finbench.hf.bits import KEEP_HEADS, bits_config
from finbench.hf.load import check_complete, lacking, load_config, load_model, load_tokenizer
from finetune import sharded as split
from finetune.recipe import Recipe

AUTO_CLASS = {
    "causal": "AutoModelForCausalLM",
    "classifier": "AutoModelForSequenceClassification",
    "seq2seq": "AutoModelForSeq2SeqLM",
}


def load_base(recipe: Recipe, labels: Sequence[str]) -> tuple[Any, Any, tuple[str, ...]]:
    """Return the base, its tokenizer, and the modules of its new head that PEFT would not save by itself.

    The base has a head for the labels where there are any, and lies on this process's device.

    Raises:
        FinbenchError: the weights cannot be had, or the device cannot train at the recipe's precision.

    """
    if recipe.precision == "float16" and not torch.cuda.is_available():
        raise FinbenchError("precision float16 needs a GPU; on this machine use precision=bfloat16 or float32.")
    where = (recipe.base, recipe.revision, recipe.trust_remote_code)
    tokenizer = load_tokenizer(*where)
    named = load_config(*where).id2label
    options = _options(recipe, labels)
    model, info = load_model(AUTO_CLASS[recipe.task_type], *where, output_loading_info=True, **options)
    if labels:
        _order_head(model, named, labels)
    else:
        check_complete(lacking(info), recipe.base)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if getattr(model.config.get_text_config(), "pad_token_id", None) is None:
        model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    # what is split goes to the devices part by part
    placed = model if recipe.bits or split.splits_weights() else model.to(_device())
    return placed, tokenizer, _new_modules(model, lacking(info), recipe) if labels else ()


def _new_modules(model: Any, absent: set[str], recipe: Recipe) -> tuple[str, ...]:
    """Return the modules of a classifier that its base lacks, but for those that PEFT saves by their names.

    Raises:
        FinbenchError: the base lacks weights of its own layers, which no adapter would bring.

    """
    new = {name.rpartition(".")[0] for name in absent}
    inside = {name for name in new if name.startswith(f"{model.base_model_prefix}.") and "pooler" not in name}
    if inside and recipe.method != "full":
        raise FinbenchError(
            f"{recipe.base!r} lacks weights of its own layers ({', '.join(sorted(inside)[:4])}), which would be random "
            "numbers at every load: give a whole checkpoint, or train it with method: full."
        )
    known = {name for name in new if any(part.endswith(("classifier", "score")) for part in name.split("."))}
    return tuple(sorted(new - inside - known))


def _device() -> torch.device:
    if not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))


def _options(recipe: Recipe, labels: Sequence[str]) -> dict[str, Any]:
    """Return what `from_pretrained` is told of precision and of the head."""
    options: dict[str, Any] = {"dtype": torch.float32}
    if recipe.bits:
        settings: dict[str, Any] = {"bnb_4bit_compute_dtype": recipe.precision} if recipe.bits == 4 else {}
        if recipe.bits == 4 and split.splits_weights():
            settings["bnb_4bit_quant_storage"] = recipe.precision  # bytes are not split, numbers are
        settings |= KEEP_HEADS if labels else {}
        options["quantization_config"] = bits_config(recipe.bits == 8, recipe.bits == 4, settings)
        options["dtype"] = getattr(torch, recipe.precision)
        options["device_map"] = {"": _device()}
    elif recipe.precision == "bfloat16" and recipe.method != "full":
        options["dtype"] = torch.bfloat16  # only frozen weights; what is trained stays in float32
    if labels:
        options |= {"num_labels": len(labels), "id2label": dict(enumerate(labels)), "ignore_mismatched_sizes": True}
        options["label2id"] = {label: n for n, label in enumerate(labels)}
    return options


def _order_head(model: Any, named: Mapping[int, str], labels: Sequence[str]) -> None:
    """Bring the rows of a head that knows these labels into their order: publishers order them differently."""
    theirs = {name.lower(): number for number, name in named.items()}
    if set(theirs) != {label.lower() for label in labels}:
        return
    order = torch.tensor([theirs[label.lower()] for label in labels])
    for name, weight in model.named_parameters():
        # a head's last layer is what gives one number a label
        if name.startswith(("classifier.", "score.")) and weight.shape[0] == len(labels):
            weight.data = weight.data[order.to(weight.device)]
