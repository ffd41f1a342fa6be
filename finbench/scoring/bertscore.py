"""BERTScore of a text (Zhang et al. 2020) by the package bert-score, with a model from a local folder alone.

The folder is the task's `bertscore`, else the environment variable FINBENCH_BERTSCORE. Nothing is downloaded.
"""

import hashlib
import importlib
import importlib.util
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from finbench.errors import FinbenchError

VARIABLE = "FINBENCH_BERTSCORE"
MISREAD = "t5"  # in a path makes bert-score take any model for a T5


def settings_of(given: str) -> dict[str, Any]:
    """Return what a row's settings say of the model: its folder, and a hash of its files, since others score otherwise.

    Raises:
        FinbenchError: there is no such folder, or the package is not installed.

    """
    named = given or os.environ.get(VARIABLE, "").strip()
    if not named:
        raise FinbenchError(
            f"kind bertscore needs a model in a local folder: name it as `bertscore` in the task's dataset_kwargs, or "
            f"in {VARIABLE}."
        )
    folder = Path(named).expanduser().resolve()
    if not (folder / "config.json").is_file():
        raise FinbenchError(f"kind bertscore: {named!r} is no folder of a model (it has no config.json).")
    if MISREAD in str(folder) and json.loads((folder / "config.json").read_text()).get("model_type") != MISREAD:
        raise FinbenchError(
            f"kind bertscore: bert-score takes every path with {MISREAD!r} in it for a T5 model, and {str(folder)!r} "
            "is none: move or link the folder."
        )
    if importlib.util.find_spec("bert_score") is None:
        raise FinbenchError(
            'kind bertscore needs the package bert-score: pip install ".[bertscore]" in the checkout of finbench.'
        )
    return {"bertscore": str(folder), "bertscore_sha256": _hash(folder)}


def f1(gold: str, said: str, settings: Mapping[str, Any]) -> float:
    """Return BERTScore's F1, without rescaling and weights of words, from 0 to 1."""
    _, _, score = _scorer(settings["bertscore"]).score([said], [gold])
    return min(1.0, max(0.0, float(score[0])))


@lru_cache(maxsize=8)
def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(one for one in folder.iterdir() if one.is_file()):
        digest.update(path.name.encode() + b"\0")
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


@lru_cache(maxsize=1)
def _scorer(folder: str) -> Any:
    """Return the package's scorer, with the layer that it chose for a published model of that name, else the last."""
    package = importlib.import_module("bert_score")
    config = json.loads((Path(folder) / "config.json").read_text())
    known = {name.rpartition("/")[2].casefold(): layers for name, layers in package.utils.model2layers.items()}
    last = int(config.get("num_hidden_layers") or config.get("n_layers") or config.get("num_layers"))
    layers = min(last, known.get(Path(folder).name.casefold(), last))
    scorer = package.BERTScorer(model_type=folder, num_layers=layers, use_fast_tokenizer=True)
    longest = int(config.get("max_position_embeddings") or 512)
    scorer._tokenizer.model_max_length = min(scorer._tokenizer.model_max_length, longest)
    return scorer
