"""A classifier's forward pass as an ONNX file, in full precision or with weights of 8 bits.

Used of torch (2.11 to 2.13): `torch.onnx.export` by way of `torch.export`, with batch and length left open; of
onnxruntime: `quantize_dynamic`. What they make is never trusted: whoever calls compares answers.
"""

import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from finbench.errors import FinbenchError, first_line


class _Logits(torch.nn.Module):
    """A classifier as a function of tensors in a fixed order."""

    def __init__(self, model: Any, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, L)."""
        logits: torch.Tensor = self.model(**dict(zip(self.names, tensors, strict=True))).logits
        return logits


def write_onnx(model: Any, sample: Mapping[str, torch.Tensor], path: Path) -> None:
    """Write the model's pass as it is for inputs like the sample's (B, T), of any B and T.

    Raises:
        FinbenchError: torch cannot follow the model's code.

    """
    names = tuple(sample)
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    said = logging.getLogger("torch.onnx")
    level = said.level
    said.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                _Logits(model.eval(), names).eval(),
                tuple(sample.values()),
                str(path),
                input_names=list(names),
                output_names=["logits"],
                dynamic_shapes=(tuple(sizes for _ in names),),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # whatever a family's code does that torch.export cannot follow
        reason = first_line(error)[:200]
        raise FinbenchError(
            f"torch cannot export a {model.config.model_type} classifier to ONNX ({type(error).__name__}: {reason}). "
            "Serve it as it is: finbench serve --base BASE --adapter ADAPTER."
        ) from error
    finally:
        said.setLevel(level)


def quantised_file(path: Path) -> None:
    """Hold the weights of a file's matrix products in 8 bits, channel by channel; inputs are rounded as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    part = path.with_suffix(".full")
    path.rename(part)
    said = logging.getLogger()
    level = said.level
    said.setLevel(logging.ERROR)  # it advises a preparation that the exporter has done
    try:
        quantize_dynamic(part, path, per_channel=True, weight_type=QuantType.QInt8)
    finally:
        said.setLevel(level)
        part.unlink()
