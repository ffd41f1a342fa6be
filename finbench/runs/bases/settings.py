"""What lm-eval's types of language models are loaded with, for a base of a matrix."""

from typing import Any

from finbench.hf.load import gguf_of
from finbench.runs.matrix import Base, Matrix


def quantisation(bits: int | None) -> dict[str, Any]:
    """Return the loading options for 8-bit or 4-bit weights, none for None."""
    return {f"load_in_{bits}bit": True} if bits else {}


def causal_settings(base: Base, matrix: Matrix) -> dict[str, Any]:
    """Return the arguments of lm-eval's types of language models."""
    place, gguf = gguf_of(base.base)
    return {
        "pretrained": place,
        **gguf,
        "revision": base.revision or "main",
        "trust_remote_code": base.trust_remote_code,
        "dtype": base.dtype,
        "batch_size": matrix.batch_size,
        "device": "cuda:0",  # lm-eval falls back to the CPU
        **quantisation(base.bits),
    }
