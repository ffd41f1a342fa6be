"""Puts adapters on a model in memory and takes them off, leaving the model as it was, to the bit."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from finbench.adapters.wrap import wrap
from finbench.hf.wrapped import adapter_type, base_of, virtual_tokens


@dataclass(frozen=True)
class Proof:
    """That an adapter is in effect: the largest difference of a logit on a fixed probe with and without it."""

    changed: bool
    max_abs_logit_difference: float


PROBE_TOKENS = 16


def probe_ids(words: int) -> list[int]:
    """Return a fixed input for a vocabulary of that many words."""
    return [(place * 37 + 11) % words for place in range(PROBE_TOKENS)]


def probe(model: Any) -> torch.Tensor:
    """Return the logits (1, T, V) or (1, L) of a fixed input, on the CPU in float32."""
    size = int(model.config.get_text_config().vocab_size)
    weight = next(model.parameters())
    ids = torch.tensor([probe_ids(size)], device=weight.device)  # (1, T)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if model.config.is_encoder_decoder and base_of(model).can_generate():
        inputs["decoder_input_ids"] = ids[:, :4]
    elif model.config.is_encoder_decoder:
        ids[:, -1] = model.config.get_text_config().eos_token_id  # where such a classifier's head reads
    with torch.inference_mode():
        return model(**inputs).logits.float().cpu()


class Switch:
    """One model on which adapters are put in turn; `probe` gives its logits of a fixed input."""

    def __init__(self, model: Any, probe: Callable[[Any], torch.Tensor] = probe) -> None:
        self.model = model
        self._probe = probe
        self._modules = dict(model.named_modules(remove_duplicate=False))
        self._trainable = {name: weight.requires_grad for name, weight in model.named_parameters()}
        self._logits = self._probe(model)
        self._wrapped: Any = None

    def put_on(self, folder: Path) -> Any:
        """Return the model with the folder's adapter in effect; `take_off` follows even if that fails half-way.

        Raises:
            FinbenchError: the adapter does not fit the model.

        """
        self._wrapped = self._wrap(folder)
        return self._wrapped

    def _wrap(self, folder: Path) -> Any:
        return wrap(self.model, folder)

    def proof(self) -> Proof:
        """Compare the probe's logits with the adapter's layers in effect and with them passed over.

        A trained head stays in both, so what is proved is that the layers inside the model are in effect.
        """
        with_adapter = self._probe(self._wrapped)
        with _passed_over(self._wrapped):
            without = self._probe(base_of(self._wrapped))
        if without.dim() == 3:  # virtual tokens in front have logits too
            with_adapter = with_adapter[:, -without.shape[1] :]
        difference = float((with_adapter - without).abs().max())
        return Proof(changed=difference > 0, max_abs_logit_difference=difference)

    def take_off(self) -> bool:
        """Take the adapter off; say whether the probe's logits are equal to the bit to those before it came."""
        from finbench.hf.tuners import BaseTuner

        # Prompt learning only wraps, it puts nothing inside.
        if self._wrapped is not None and isinstance(self._wrapped.base_model, BaseTuner):
            self._wrapped.unload()
        self._wrapped = None
        self._restore()
        return same_bits(self._probe(self.model), self._logits)

    def _restore(self) -> None:
        """Put back every module that stands elsewhere: PEFT leaves trained copies of heads and embeddings in place.

        After a failure half-way there are bottlenecks too, which listen to modules of the base.
        """
        from finbench.adapters.bottleneck.layer import BottleneckLayer  # after PEFT, whose start-up hook imports it
        from finbench.adapters.combined.virtual import release

        for module in list(self.model.modules()):
            if isinstance(module, BottleneckLayer):
                module.release_residual()
        release(self.model.base_model)
        for name, module in self._modules.items():
            parent, _, child = name.rpartition(".")
            if name and getattr(self._modules[parent], child, None) is not module:
                setattr(self._modules[parent], child, module)
        if hasattr(self.model, "peft_config"):
            del self.model.peft_config
        for name, weight in self.model.named_parameters():
            weight.requires_grad_(self._trainable[name])


@contextmanager
def _passed_over(wrapped: Any) -> Iterator[None]:
    """Let every adapter layer pass its input by; heads and embeddings that were trained in full stay.

    A type without such layers, which changes modules in place (LLaMA-Adapter), is disabled as PEFT does it.
    """
    from finbench.hf.tuners import BaseTunerLayer

    layers = [module for module in wrapped.modules() if isinstance(module, BaseTunerLayer)]
    if not layers and adapter_type(wrapped) and not virtual_tokens(wrapped):
        with wrapped.disable_adapter():
            yield
        return
    try:
        for layer in layers:
            layer.enable_adapters(False)
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def same_bits(first: torch.Tensor, second: torch.Tensor) -> bool:
    """Say whether two float32 tensors are equal to the bit, so that NaN equals itself."""
    return torch.equal(first.contiguous().view(torch.int32), second.contiguous().view(torch.int32))
