"""A classifier that was exported to ONNX, run by onnxruntime where `hf-classifier` would run torch.

`finbench export onnx` writes such a folder: `model.onnx`, the configuration with the label names, and the tokenizer.
"""

from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

from finbench.errors import FinbenchError, first_line
from finbench.hf.load import load_config, load_tokenizer
from finbench.models.classifier import ClassifierLM

MODEL = "model.onnx"
PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def check_installed() -> None:
    """Refuse where a package of the extra is missing.

    Raises:
        FinbenchError: one is.

    """
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise FinbenchError(
            f'ONNX needs {", ".join(missing)}, not installed here: pip install ".[onnx]" in the checkout of finbench.'
        )


def exported_classifier(folder: str, batch_size: int = 32) -> ClassifierLM:
    """Return `hf-classifier` around an exported model.

    Raises:
        FinbenchError: onnxruntime is not installed, or the folder's files are broken.

    """
    check_installed()
    model, tokenizer = OnnxModel(Path(folder)), load_tokenizer(folder)
    return ClassifierLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)


class OnnxModel(torch.nn.Module):
    """Stands where a transformers classifier stands: called with a batch's tensors it gives an output with `logits`.

    It uses as many threads as torch does.
    """

    dtype = torch.float32

    def __init__(self, folder: Path) -> None:
        import onnxruntime

        super().__init__()
        self.config = load_config(str(folder))
        self.place = torch.nn.Parameter(torch.empty(0), requires_grad=False)  # says that inputs belong on the CPU
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / MODEL), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its own classes of exceptions have no common one
            reason = first_line(error)[:200]
            raise FinbenchError(f"{folder / MODEL} cannot be read ({reason}): export the model again.") from error
        self._names = {one.name for one in self._session.get_inputs()}

    @property
    def device(self) -> torch.device:
        """Return where inputs belong."""
        found: torch.device = self.place.device
        return found

    def forward(self, **inputs: torch.Tensor) -> Any:
        """Return an output whose `logits` are (B, L)."""
        given = {name: tensor for name, tensor in inputs.items() if name in self._names}
        for name in self._names - set(given):  # segments, which a text alone may come without
            given[name] = torch.zeros_like(inputs["input_ids"])
        found = self._session.run(["logits"], {name: tensor.numpy() for name, tensor in given.items()})
        return SimpleNamespace(logits=torch.from_numpy(found[0]))
