"""Loads a sequence classifier whose head has been trained: by the base, or by the adapter on it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from finbench.adapters.folder import RECORD, WEIGHTS, Adapter, match_base, read_adapter
from finbench.adapters.wrap import wrap
from finbench.errors import FinbenchError, first_line
from finbench.hf.bits import KEEP_HEADS, bits_config
from finbench.hf.classes import class_names, name_classes
from finbench.hf.load import lacking, load_config, load_model, load_tokenizer

NO_NAME = re.compile(r"LABEL_\d+")  # what transformers calls a class that nobody named


def load_classifier(
    pretrained: str,
    peft: str | None,
    labels: Sequence[str],
    revision: str,
    options: Mapping[str, Any],
    trust_remote_code: bool = False,
) -> tuple[Any, Any, tuple[str, ...]]:
    """Return model, tokenizer and label names in the order of the head; `options` go to `from_pretrained`.

    Names are those given, else those of the adapter's record, else the configuration's.

    Raises:
        FinbenchError: the base or the adapter cannot be had, do not fit, or leave weights that nobody trained.

    """
    adapter = _adapter_for(peft, pretrained, revision) if peft else None
    names = tuple(labels) or (adapter.labels if adapter else ())
    config = _with_names(load_config(pretrained, revision, trust_remote_code), names, pretrained, adapter)
    tokenizer = load_tokenizer(pretrained, revision, trust_remote_code)
    try:
        model, info = load_model(
            "AutoModelForSequenceClassification",
            pretrained,
            revision,
            trust_remote_code,
            config=config,
            output_loading_info=True,
            ignore_mismatched_sizes=adapter is not None,  # the adapter brings a head of its own
            **options,
        )
    except RuntimeError as error:
        reason = first_line(error)
        raise FinbenchError(f"hf-classifier cannot load {pretrained!r}: {reason}") from error
    untrained = lacking(info)
    if untrained and adapter is None:
        raise FinbenchError(
            f"{pretrained!r} has no trained classification head ({_few(untrained)} would be random numbers), so it has "
            "no score of its own: add peft=ADAPTER that was trained for classification, or give a fine-tuned model."
        )
    if adapter is not None:
        _check_brought(adapter, untrained, pretrained)
        model = _with_adapter(model, adapter, pretrained)
    return model.eval(), tokenizer, class_names(config)


def quantisation(eight: bool, four: bool, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the option for `from_pretrained` that holds weights in 8 or 4 bits, the head's excepted."""
    return {"quantization_config": bits_config(eight, four, {**KEEP_HEADS, **settings})} if eight or four else {}


def _adapter_for(peft: str, pretrained: str, revision: str) -> Adapter:
    adapter = read_adapter(peft)
    if adapter.task_type != "SEQ_CLS":
        raise FinbenchError(
            f"the adapter {adapter.name} was trained for {adapter.task_type}, not for classification (SEQ_CLS): "
            "use --model hf-fast or hf."
        )
    match_base(adapter, pretrained, None if revision == "main" else revision)
    return adapter


def _with_names(config: Any, names: tuple[str, ...], pretrained: str, adapter: Adapter | None) -> Any:
    if not names:
        return config
    if adapter is None and len(names) != config.num_labels:
        raise FinbenchError(
            f"labels names {len(names)} classes ({', '.join(names)}), but the head of {pretrained!r} has "
            f"{config.num_labels}: name each, in the order of the head."
        )
    return name_classes(config, names)


def _check_brought(adapter: Adapter, untrained: set[str], pretrained: str) -> None:
    """Refuse weights that neither base nor adapter has: they would be other random numbers at every load."""
    from safetensors import safe_open

    with safe_open(adapter.path / WEIGHTS, framework="np") as weights:
        brought = {f".{key}" for key in weights.keys()}  # noqa: SIM118  (a safetensors file is no mapping)
    if neither := {key for key in untrained if not any(name.endswith(f".{key}") for name in brought)}:
        raise FinbenchError(
            f"the adapter {adapter.name} and its base {pretrained!r} both lack {_few(neither)}, which would be random "
            "numbers. Train the adapter with these modules in `modules_to_save`."
        )


def _with_adapter(model: Any, adapter: Adapter, pretrained: str) -> Any:
    try:
        return wrap(model, adapter.path)
    except FinbenchError as error:
        unnamed = f" If its classes are others, write their names as `labels` in {adapter.path / RECORD}."
        raise FinbenchError(
            f"the adapter {adapter.name} does not fit {pretrained!r}: {error} It was made for "
            f"{adapter.base or 'an unnamed base'}.{'' if adapter.labels else unnamed}"
        ) from error


def _few(keys: set[str]) -> str:
    shown = sorted(keys)[:4]
    return ", ".join(shown) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
