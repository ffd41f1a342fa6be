"""A classifier as an ONNX file that onnxruntime serves, held against the model it was made from before it is kept.

`finbench export onnx --base B --adapter A --output served` writes the folder, `finbench serve --base served` serves it.
"""

import copy
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from finbench.errors import FinbenchError
from finbench.models.onnx import MODEL, check_installed, exported_classifier
from finbench.predict.calibration import softmax
from finbench.predict.loading import EXPORTED
from finbench.predict.predictor import Predictor
from finbench.whole import write_text

# The largest difference of a share, and the part of the rows whose label may change, without and with int8 weights.
BOUNDS = {False: (1e-3, 0.0), True: (0.5, 0.02)}


@dataclass(frozen=True)
class Check:
    """An export beside its model on `rows` texts of `of`: the largest difference of a share, labels that changed."""

    rows: int
    of: str
    largest_difference: float
    changed_labels: int


def export(predictor: Predictor, texts: Sequence[str], of: str, folder: Path, int8: bool) -> Check:
    """Write a classifier's folder and return how it compares with the model; `of` says whose texts they are.

    Raises:
        FinbenchError: it is no classifier, packages are missing, the folder holds something, or the export answers
            other than the model: nothing is left then.

    """
    check_installed()
    if not predictor.is_classifier:
        raise FinbenchError(
            "only a classifier is exported to ONNX: a language model's shared prompt would run anew for every text "
            "there. Serve it as it is, or train an encoder (task_type: classifier)."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FinbenchError(f"--output {folder} is there already: name a folder that is new or empty.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".onnx-") as name:
        part = Path(name) / "export"
        part.mkdir()
        _write(predictor, part, int8)
        found = _compared(predictor, part, texts, of)
        _refuse_other(found, int8)
        write_text(part / EXPORTED, json.dumps({**_record(predictor, int8), "check": asdict(found)}, indent=2) + "\n")
        if folder.is_dir():
            folder.rmdir()
        shutil.move(part, folder)
    return found


def _write(predictor: Predictor, folder: Path, int8: bool) -> None:
    from finbench.hf.classes import name_classes
    from finbench.hf.onnx import quantised_file, write_onnx

    lm = predictor.lm
    write_onnx(lm.model, lm.sample(), folder / MODEL)
    config = copy.deepcopy(lm.model.config)
    if int8:
        quantised_file(folder / MODEL)
        config.quantization_config = {"quant_method": "onnxruntime", "bits": 8}  # so that trials allow for rounding
    name_classes(config, lm.class_names()).save_pretrained(folder)
    lm.tokenizer.save_pretrained(folder)


def _compared(predictor: Predictor, folder: Path, texts: Sequence[str], of: str) -> Check:
    """Ask both the same texts, as they stand in batches."""
    lm = predictor.lm
    ours = predictor.logits(texts)
    try:
        predictor.lm = exported_classifier(str(folder))
        theirs = predictor.logits(texts)
    finally:
        predictor.lm = lm
    difference = float(np.abs(softmax(ours, 1.0) - softmax(theirs, 1.0)).max())
    return Check(len(texts), of, difference, int((ours.argmax(1) != theirs.argmax(1)).sum()))


def _refuse_other(found: Check, int8: bool) -> None:
    largest, changed = BOUNDS[int8]
    if found.largest_difference <= largest and found.changed_labels <= changed * found.rows:
        return
    raise FinbenchError(
        f"the export answers other than the model: on {found.rows} {found.of} a share differs by up to "
        f"{found.largest_difference:.1e} (at most {largest:g}) and {found.changed_labels} labels changed (at most "
        f"{int(changed * found.rows)}). Nothing was left in its folder; "
        + ("export without --int8." if int8 else "try other releases of torch and onnxruntime.")
    )


def _record(predictor: Predictor, int8: bool) -> dict[str, Any]:
    from finbench import __version__

    return {
        "finbench_version": __version__,
        "made_from": predictor.source,
        "precision": "onnx int8" if int8 else "onnx float32",
        "temperature": predictor.temperature,
        "prompt": asdict(predictor.prompt),
    }
