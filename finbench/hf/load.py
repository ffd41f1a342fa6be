"""The one door through which configurations, tokenizers and models come: a repository's own code runs only if asked.

Used of transformers (5.3 to 5.24): `trust_remote_code`, which it asks for on standard input where it is not said, so
that it is said at every load here.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finbench.errors import FinbenchError
from finbench.hf.bits import keep_layout

UNTRUSTED = "trust_remote_code"  # what transformers' message names where it will not run a repository's code


def load_config(base: str, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """Return a base's configuration.

    Raises:
        FinbenchError: it cannot be had, or needs code of its own that was not allowed.

    """
    from transformers import AutoConfig

    with refusing(base, "configuration"):
        return AutoConfig.from_pretrained(base, revision=revision or "main", trust_remote_code=trust_remote_code)


def load_tokenizer(base: str, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """Return a base's tokenizer.

    Raises:
        FinbenchError: it cannot be had, or needs code of its own that was not allowed.

    """
    from transformers import AutoTokenizer

    with refusing(base, "tokenizer"):
        return AutoTokenizer.from_pretrained(base, revision=revision or "main", trust_remote_code=trust_remote_code)


def tokenizer_and_window(name: str) -> tuple[Any, int | None]:
    """Return the tokenizer of a folder or hub id, and the window of its model in tokens, None where none is stated.

    Raises:
        FinbenchError: there is no tokenizer.

    """
    tokenizer = load_tokenizer(name)
    try:
        window = getattr(load_config(name), "max_position_embeddings", None)
    except FinbenchError:  # a tokenizer alone has no configuration of a model
        window = None
    stated = int(tokenizer.model_max_length)
    # Where a tokenizer states none, transformers puts a number of thirty digits.
    return tokenizer, window or (stated if stated < 10**9 else None)


def load_model(
    auto_class: str, base: str, revision: str | None = None, trust_remote_code: bool = False, **options: Any
) -> Any:
    """Return a base's model by the name of one of transformers' auto classes; `options` go to its `from_pretrained`.

    With `output_loading_info` among them it is the model and what the weights lacked.

    Raises:
        FinbenchError: it cannot be had, or needs code of its own that was not allowed.

    """
    import transformers

    loader = getattr(transformers, auto_class)
    with refusing(base, "model"):
        loaded = loader.from_pretrained(
            base, revision=revision or "main", trust_remote_code=trust_remote_code, **options
        )
    model = loaded[0] if options.get("output_loading_info") else loaded
    check_bare(model, base)
    keep_layout(model)
    return loaded


def lacking(info: Mapping[str, Any]) -> set[str]:
    """Return the weights that a load with `output_loading_info` made up: those missing, and those of another shape."""
    return {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}


def check_bare(model: Any, base: str) -> None:
    """Refuse a base in whose folder lies an adapter: transformers has put it on, unasked, and a pickled one too.

    Raises:
        FinbenchError: it is one.

    """
    if getattr(model, "_hf_peft_config_loaded", False):
        raise FinbenchError(
            f"{base!r} holds an adapter beside the model's own weights, which would act unseen: give a folder without "
            "adapter_config.json as the base, and the adapter's as the adapter."
        )


@contextmanager
def refusing(base: str, what: str = "base") -> Iterator[None]:
    """Within it what transformers raises where something cannot be had is a `FinbenchError` of one line."""
    try:
        yield
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if UNTRUSTED in str(error):
            raise FinbenchError(
                f"{base!r} brings code of its own, which finbench does not run. If you have read that code and trust "
                "it, say so: --trust-remote-code, or trust_remote_code: true in a matrix's base or a recipe."
            ) from error
        if base.startswith(("/", "./", "../", "~")) and not Path(base).expanduser().exists():
            raise FinbenchError(
                f"there is no folder {base!r}: give the folder of a model, or its id on the hub."
            ) from error
        raise FinbenchError(
            f"the {what} of {base!r} cannot be loaded: {reason} "
            "Check the id, the network and your access to it, or give a folder that holds it (base=FOLDER)."
        ) from error
