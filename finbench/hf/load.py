"""The one door through which configurations, tokenizers and models come: a repository's own code runs only if asked.

Used of transformers (5.3 to 5.24): `trust_remote_code`, which it asks for on standard input where it is not said, so
that it is said at every load here.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finbench.errors import FinbenchError, first_line
from finbench.hf.bits import keep_layout

GGUF = ".gguf"  # ends a base that is one file
UNTRUSTED = "trust_remote_code"  # what transformers' message names where it will not run a repository's code


def gguf_of(base: str) -> tuple[str, dict[str, str]]:
    """Return a base's folder or id, and the argument by which transformers reads its weights from one GGUF file there.

    Such a base is written as folder or id and file: `models/smollm2/Q4_1.gguf`.

    Raises:
        FinbenchError: the package that reads such files is not installed.

    """
    if not base.endswith(GGUF):
        return base, {}
    import importlib.util

    if importlib.util.find_spec("gguf") is None:
        raise FinbenchError(f"{base!r} is a GGUF file, which the package gguf reads: pip install gguf.")
    folder, _, file = base.rpartition("/")
    return folder or ".", {"gguf_file": file}


def check_place(base: str) -> None:
    """Refuse a base that is written as a folder and is none, before anything that takes seconds is imported.

    Raises:
        FinbenchError: there is no such folder, or the package that reads its file is not installed.

    """
    place, _ = gguf_of(base)
    if _is_no_folder(place):
        raise FinbenchError(f"there is no folder {place!r}: give the folder of a model, or its id on the hub.")


def _is_no_folder(base: str) -> bool:
    """Say whether a base is written as a folder that is not there."""
    return base.startswith(("/", "./", "../", "~")) and not Path(base).expanduser().exists()


def load_config(base: str, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """Return a base's configuration.

    Raises:
        FinbenchError: it cannot be had, or needs code of its own that was not allowed.

    """
    from transformers import AutoConfig

    with refusing(base, "configuration"):
        place, gguf = gguf_of(base)
        return AutoConfig.from_pretrained(
            place, revision=revision or "main", trust_remote_code=trust_remote_code, **gguf
        )


def load_tokenizer(base: str, revision: str | None = None, trust_remote_code: bool = False) -> Any:
    """Return a base's tokenizer.

    Raises:
        FinbenchError: it cannot be had, or needs code of its own that was not allowed.

    """
    from transformers import AutoTokenizer

    with refusing(base, "tokenizer"):
        place, gguf = gguf_of(base)
        return AutoTokenizer.from_pretrained(
            place, revision=revision or "main", trust_remote_code=trust_remote_code, **gguf
        )


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
        place, gguf = gguf_of(base)
        loaded = loader.from_pretrained(
            place, revision=revision or "main", trust_remote_code=trust_remote_code, **gguf, **options
        )
    model = loaded[0] if options.get("output_loading_info") else loaded
    check_bare(model, base)
    forget_gguf(model)
    keep_layout(model)
    return loaded


def forget_gguf(model: Any) -> None:
    """Have a model whose weights were read out of a GGUF file be the float model that it is now.

    transformers (5.3 to 5.24) leaves `quantization_config`, `is_quantized`, `hf_quantizer`, `quantization_method` on it
    and neither saves nor trains it.
    """
    found = getattr(model.config, "quantization_config", None)
    if found is not None and "gguf" in str(getattr(found, "quant_method", found)).lower():
        del model.config.quantization_config
        model.is_quantized, model.hf_quantizer = False, None
        vars(model).pop("quantization_method", None)


def lacking(info: Mapping[str, Any]) -> set[str]:
    """Return the weights that a load with `output_loading_info` made up: those missing, and those of another shape."""
    return {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}


def check_complete(absent: Collection[str], base: str) -> None:
    """Refuse a base whose weights lack some of the model's own, which would be other random numbers at every load.

    Raises:
        FinbenchError: they do.

    """
    if absent:
        raise FinbenchError(
            f"{base!r} lacks weights of its own layers ({', '.join(sorted(absent)[:4])}; {len(absent)} in all), which "
            "would be random numbers at every load: give a whole checkpoint of a model that answers prompts."
        )


class Complete:
    """One of transformers' auto classes that loads whole checkpoints alone, for lm-eval to load by."""

    def __init__(self, auto_class: Any) -> None:
        self.auto_class = auto_class

    def from_pretrained(self, base: str, *args: Any, **options: Any) -> Any:
        """Return the model.

        Raises:
            FinbenchError: its weights are not all there.

        """
        if (Path(base) / "adapter_config.json").is_file():  # refused next; transformers 5.3 tells nothing of it
            return self.auto_class.from_pretrained(base, *args, **options)
        model, info = self.auto_class.from_pretrained(base, *args, output_loading_info=True, **options)
        check_complete(lacking(info), base)
        return model


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
        reason = first_line(error)
        if UNTRUSTED in str(error):
            raise FinbenchError(
                f"{base!r} brings code of its own, which finbench does not run. If you have read that code and trust "
                "it, say so: --trust-remote-code, or trust_remote_code: true in a matrix's base or a recipe."
            ) from error
        if _is_no_folder(base):
            raise FinbenchError(
                f"there is no folder {base!r}: give the folder of a model, or its id on the hub."
            ) from error
        raise FinbenchError(
            f"the {what} of {base!r} cannot be loaded: {reason} "
            "Check the id, the network and your access to it, or give a folder that holds it (base=FOLDER or "
            "--base FOLDER)."
        ) from error
