"""A base served by vLLM: one engine for the base and all its LoRA adapters, which each request names."""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from finbench.adapters.on_model import Proof
from finbench.errors import FinbenchError
from finbench.runs.matrix import Base, Matrix
from finbench.runs.monitor import Monitor

if TYPE_CHECKING:
    from finbench.adapters.folder import Adapter

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # those that vLLM takes as `max_lora_rank`
PROBE = [11, 48, 85, 122, 159, 196, 233, 14, 51, 88, 125, 162, 199, 236, 17, 54]  # any tokens will do


class VllmBase:
    """A language model in vLLM; an adapter is put on by naming it in the requests that follow."""

    monitor = Monitor

    def __init__(self, base: Base, matrix: Matrix) -> None:
        if find_spec("vllm") is None:
            raise FinbenchError(
                f"{base.name}: model is vllm, and vLLM is not installed here. It needs Linux and a GPU: "
                '`pip install ".[vllm]"` in the checkout of finbench, or choose model: hf-fast.'
            )
        from finbench.models.vllm import VllmLM

        self.lm: Any = VllmLM(**engine_arguments(base), truncate=matrix.truncate)
        self._bare = self.lm.log_probabilities(PROBE)
        self._put_on = 0

    def put_on(self, adapter: "Adapter") -> Proof:
        """Name an adapter in all requests that follow, and prove that it is in effect.

        vLLM gives no logits, so the proof is the largest difference of a probe's log-probabilities (nats).
        """
        from vllm.lora.request import LoRARequest

        self._put_on += 1  # vLLM tells adapters apart by their numbers
        self.lm.lora_request = LoRARequest(adapter.name, self._put_on, str(adapter.path))
        values = self.lm.log_probabilities(PROBE)
        difference = max(abs(value - bare) for value, bare in zip(values, self._bare, strict=True))
        return Proof(changed=difference > 0, max_abs_logit_difference=difference)

    def take_off(self) -> None:
        """Name no adapter from here on."""
        self.lm.lora_request = None


def engine_arguments(base: Base) -> dict[str, Any]:
    """Return the arguments of lm-eval's `vllm` for a base with its adapters; the base's own `vllm` settings win."""
    from finbench.adapters.folder import read_adapter

    arguments: dict[str, Any] = {
        "pretrained": base.base,
        "revision": base.revision,
        "trust_remote_code": base.trust_remote_code,
        "tokenizer_revision": base.revision,
        "dtype": base.dtype,
        "batch_size": "auto",  # the engine fills its own batches
        "enable_prefix_caching": True,
        **(base.vllm or {}),
    }
    if base.adapters:
        ranks = [check_adapter(read_adapter(adapter)) for adapter in base.adapters]
        arguments |= {"enable_lora": True, "max_lora_rank": next(rank for rank in RANKS if rank >= max(ranks))}
    return arguments


def check_adapter(adapter: "Adapter") -> int:
    """Return a LoRA's rank.

    Raises:
        FinbenchError: vLLM cannot serve the adapter.

    """
    config: Mapping[str, Any] = json.loads((Path(adapter.path) / "adapter_config.json").read_text(encoding="utf-8"))
    cannot = {
        f"is of type {config.get('peft_type')}": config.get("peft_type") != "LORA",
        "is a DoRA": config.get("use_dora"),
        "has trained other modules too": config.get("modules_to_save"),
        "has trained biases": config.get("bias", "none") != "none",
        "replaces tokens": config.get("trainable_token_indices"),
    }
    if reasons := [reason for reason, is_so in cannot.items() if is_so]:
        raise FinbenchError(f"the adapter {adapter.name} {reasons[0]}, which vLLM cannot serve: use model hf-fast.")
    rank = max([int(config["r"]), *(config.get("rank_pattern") or {}).values()])
    if rank > RANKS[-1]:
        raise FinbenchError(f"the adapter {adapter.name} has rank {rank}, vLLM serves {RANKS[-1]}: use model hf-fast.")
    return rank
