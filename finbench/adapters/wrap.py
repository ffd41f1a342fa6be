"""The one way an adapter from a folder gets around a model, or around each part of one: whole, or refused.

Used of PEFT (0.18 to 0.21): `PeftModel.from_pretrained`, which leaves a tensor that the file lacks as it was
initialised and passes over one that no layer takes; `get_peft_model_state_dict`, which names what should have come.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finbench.adapters.folder import CONFIG, WEIGHTS
from finbench.documents import read_json
from finbench.errors import FinbenchError
from finbench.hf.prompts import connect

EMBEDDINGS = (".embed_tokens.", ".wte.", ".word_embeddings.", ".lm_head.")


def wrap(model: Any, folder: Path, trainable: bool = False) -> Any:
    """Return the model with the folder's adapter in effect.

    Raises:
        FinbenchError: the adapter does not fit the model, in whole or in part.

    """
    wrapped = _wrapped(model, folder, trainable)
    check_whole(wrapped, folder)
    connect(wrapped)
    return wrapped if trainable else wrapped.eval()


def wrap_part(model: Any, folder: Path) -> tuple[Any, set[str]]:
    """Return a part of a model with what the folder's adapter has for it, and the names of those of its tensors.

    That no tensor is lost is for the caller to check, who knows the other parts.

    Raises:
        FinbenchError: the adapter does not fit the model.

    """
    from peft import get_peft_model_state_dict

    try:
        wrapped = _wrapped(model, folder).eval()
    except FinbenchError as error:
        if "not found in the base model" not in str(error.__cause__):
            raise
        return model, set()  # an adapter of other parts' layers
    has_words = any(".embed_tokens." in name or ".wte." in name for name in weights_of(folder))
    return wrapped, set(get_peft_model_state_dict(wrapped, save_embedding_layers=has_words))


def _wrapped(model: Any, folder: Path, trainable: bool = False) -> Any:
    from peft import PeftModel

    check_known(folder)
    with _one_line(folder), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found missing adapter keys")  # the callers compare the names
        warnings.filterwarnings("ignore", message="Unexpected keyword arguments")  # unset, as `check_known` has seen
        return PeftModel.from_pretrained(model, str(folder), is_trainable=trainable)


def weights_of(folder: Path) -> set[str]:
    """Return the names of an adapter's tensors."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as file:
        return set(file.keys())


def check_known(folder: Path) -> None:
    """Refuse an adapter of a type or with settings that the installed PEFT does not know: a later one saved it.

    Raises:
        FinbenchError: this PEFT would leave out what the adapter needs.

    """
    import peft

    from finbench.adapters.bottleneck import model as bottleneck
    from finbench.adapters.combined import model as combined
    from finbench.hf.peft_types import unknown_to_peft

    bottleneck.register()
    combined.register()
    settings = read_json(folder / CONFIG)
    if unknown := unknown_to_peft(settings):
        raise FinbenchError(
            f"the adapter in {folder}, saved by PEFT {settings.get('peft_version', 'of an unknown release')}, has what "
            f"PEFT {peft.__version__} here does not know: {', '.join(unknown)[:200]}. Upgrade it: pip install -U peft"
        )


def check_whole(wrapped: Any, folder: Path) -> None:
    """Refuse an adapter of which some tensor is not in its file, or in no layer of the model.

    Raises:
        FinbenchError: it fits only in part.

    """
    from peft import get_peft_model_state_dict

    brought = {_bare(name) for name in weights_of(folder)}
    expected = {_bare(name) for name in get_peft_model_state_dict(wrapped, save_embedding_layers=False)}
    # saved beside an adapter that added words, whether or not they were trained
    beside = {name for name in brought if any(part in name for part in EMBEDDINGS)}
    lacking, extra = sorted(expected - brought), sorted(brought - expected - beside)
    if not lacking and not extra:
        return
    found = [
        f"{len(names)} tensors {what} (such as {names[0]})"
        for names, what in ((lacking, "that the model expects are not in the file"), (extra, "belong to no layer"))
        if names
    ]
    raise FinbenchError(
        f"the adapter in {folder} fits this base only in part: {' and '.join(found)}. Put it on the base that its "
        "adapter_config.json or finbench.json names, or save it again."
    )


def _bare(name: str) -> str:
    """Return a tensor's name without what PEFT's releases put in it or leave out."""
    return name.replace(".modules_to_save.default.", ".").replace(".modules_to_save.", ".").replace(".default.", ".")


@contextmanager
def _one_line(folder: Path) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError, AttributeError) as error:
        lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
        raise FinbenchError(
            f"the adapter in {folder} does not fit this base ({' '.join(lines[:2])[:300]}). "
            "Put it on the base that its adapter_config.json or finbench.json names."
        ) from error
