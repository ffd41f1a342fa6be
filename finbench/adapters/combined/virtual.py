"""Virtual tokens that a model reads before every input: kept keys and values before each layer's, or embeddings.

They reach the model by a hook on its backbone, so that whatever calls it (training, scoring, generation) finds them
there. A decoder's prompt runs once through the model and stays as keys and values, so no logit has another place.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import nn
from transformers import DynamicCache

from finbench.errors import FinbenchError
from finbench.hf.forward import arguments_of
from finbench.hf.tuners import BaseTunerLayer

Form = Literal["prefix", "prompt"]
ATTRIBUTE = "_finbench_virtual"  # under which a backbone's hook is found again
UNCOUNTED = "_finbench_uncounted"  # marks a cache that came empty: who brought it does not know what begins it


class VirtualTokens(nn.Module, BaseTunerLayer):
    """The trained tokens of one adapter, and the hook that puts them before a backbone's input.

    Of a prefix they are (2 x layers, heads, V, d), keys and values of each layer in turn; of a prompt (V, H).
    """

    adapter_layer_names = ("lora_virtual",)
    other_param_names = ()

    def __init__(self, base: Any, form: Form, count: int, adapter_name: str) -> None:
        super().__init__()
        self.form, self.count = form, count
        self._disable_adapters = False
        self._active_adapter = adapter_name
        self._backbone = [base.base_model]  # in a list, so that its weights are not taken for ours
        arguments_of(base)  # both are tried before the hook is there
        self._name = arguments_of(base.base_model).cache
        self._check(base)
        with torch.no_grad(), still(base):
            start = self._start(base)
            # a decoder's prompt is kept too; an encoder's sees the text, so it stands in the input
            self._kept = form == "prefix" or (bool(self._name) and _looks_back(base.base_model))
        self.lora_virtual = nn.ParameterDict({adapter_name: nn.Parameter(start.float())})
        setattr(base.base_model, ATTRIBUTE, base.base_model.register_forward_pre_hook(self._before, with_kwargs=True))

    def _check(self, base: Any) -> None:
        kind = base.config.model_type
        if base.config.is_encoder_decoder:
            raise FinbenchError(
                f"LoRA with virtual tokens is not made for encoder-decoder models such as {kind}: use lora."
            )
        if self.form == "prefix" and not self._name:
            raise FinbenchError(
                f"a prefix keeps keys and values before the input, and {kind} takes none: use lora_prompt, whose "
                "virtual tokens stand in the input."
            )
        if getattr(base.base_model, ATTRIBUTE, None) is not None:
            raise FinbenchError("the model has virtual tokens already: load its base anew.")

    def _start(self, base: Any) -> torch.Tensor:
        """Return what training starts from: real words as the model reads them, always the same."""
        embedding = base.get_input_embeddings()
        ids = (torch.arange(self.count, device=embedding.weight.device) * 37 + 11) % embedding.weight.shape[0]
        if self.form == "prompt":
            return embedding(ids)
        cache = DynamicCache()
        self.backbone(input_ids=ids[None], use_cache=True, **{self._name: cache})
        return torch.stack([state[0] for layer in cache.layers for state in (layer.keys, layer.values)])

    @property
    def backbone(self) -> Any:
        """Return the base's layers without its head."""
        return self._backbone[0]

    @property
    def weight(self) -> torch.Tensor:
        """Return the tokens of the adapter in force."""
        found: torch.Tensor = next(iter(self.lora_virtual.values()))
        return found

    def cache(self, rows: int) -> DynamicCache:
        """Return the virtual tokens as a cache for so many rows, with their gradient."""
        cache = DynamicCache()
        self._fill(cache, rows)
        return cache

    def release(self) -> None:
        """Take the hook off the backbone."""
        release(self.backbone)

    def _fill(self, cache: Any, rows: int) -> None:
        weight = self.weight.to(self.backbone.dtype)
        if self.form == "prompt":
            kept = self._disable_adapters
            try:
                self._disable_adapters = True  # these tokens are the input here
                self.backbone(inputs_embeds=weight.expand(rows, -1, -1), use_cache=True, **{self._name: cache})
            finally:
                self._disable_adapters = kept
            return
        for layer in range(len(weight) // 2):
            keys, values = weight[2 * layer], weight[2 * layer + 1]
            cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), layer)

    def _before(self, backbone: Any, args: tuple[Any, ...], inputs: Mapping[str, Any]) -> Any:
        """Put the tokens in front of what a backbone is called with, unless its cache begins with them."""
        if self._disable_adapters:
            return None
        inputs = dict(zip(("input_ids",), args, strict=False)) | dict(inputs)
        if self._kept and backbone.training and getattr(backbone, "is_gradient_checkpointing", False):
            raise FinbenchError("gradient checkpointing drops kept keys and values: set gradient_checkpointing: false.")
        return (), self._in_cache(inputs) if self._kept else self._in_input(inputs)

    def _in_cache(self, inputs: dict[str, Any]) -> dict[str, Any]:
        ids = inputs.get("input_ids")
        rows, length = (inputs["inputs_embeds"] if ids is None else ids).shape[:2]
        cache = inputs.get(self._name)
        uncounted = cache is None or cache.get_seq_length() == 0 or hasattr(cache, UNCOUNTED)
        if cache is None:
            cache = inputs[self._name] = self.cache(rows)
        elif cache.get_seq_length() == 0:
            self._fill(cache, rows)
            setattr(cache, UNCOUNTED, True)
        return self._lengthened(inputs, cache.get_seq_length() + length, uncounted)

    def _in_input(self, inputs: dict[str, Any]) -> dict[str, Any]:
        words = inputs.pop("inputs_embeds", None)
        if words is None:
            words = self.backbone.get_input_embeddings()(inputs.pop("input_ids"))
        inputs.pop("input_ids", None)
        tokens = self.weight.to(words.dtype).expand(len(words), -1, -1)
        inputs["inputs_embeds"] = torch.cat([tokens, words], dim=1)  # (B, V + T, H)
        if (segments := inputs.get("token_type_ids")) is not None:
            inputs["token_type_ids"] = nn.functional.pad(segments, (self.count, 0))
        return self._lengthened(inputs, inputs["inputs_embeds"].shape[1], True)

    def _lengthened(self, inputs: dict[str, Any], whole: int, uncounted: bool) -> dict[str, Any]:
        """Let a mask (B, T) see the virtual tokens where it lacks them, and positions count them.

        Generation knows nothing of them at any step; who brings a cache that begins with them has counted them.
        """
        mask, positions = inputs.get("attention_mask"), inputs.get("position_ids")
        lacking = mask is not None and mask.dim() == 2 and mask.shape[1] == whole - self.count
        if mask is not None and lacking:
            inputs["attention_mask"] = nn.functional.pad(mask, (self.count, 0), value=1)
        if positions is not None and uncounted:
            inputs["position_ids"] = positions + self.count
        if (slots := inputs.get("cache_position")) is not None and uncounted:  # of older releases of transformers
            inputs["cache_position"] = slots + self.count
        return inputs


@contextmanager
def still(model: Any) -> Iterator[None]:
    """Within it a model computes without dropout."""
    training = [part for part in model.modules() if part.training]
    model.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True


def release(backbone: Any) -> None:
    """Take off a backbone the hook of virtual tokens, if it has one."""
    hook = getattr(backbone, ATTRIBUTE, None)
    if hook is not None:
        hook.remove()
        delattr(backbone, ATTRIBUTE)


def _looks_back(backbone: Any) -> bool:
    """Return whether a token sees none that follow it: by a trial, but on shapes alone, where nothing is computed."""
    if backbone.device.type == "meta":
        return True
    ids = torch.tensor([[1, 2], [1, 3]], device=backbone.device)
    first = backbone(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state[:, 0]
    return torch.allclose(first[0], first[1], atol=1e-5)
