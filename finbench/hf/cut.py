"""A causal model cut to one stage's layers as it is loaded: other stages' weights are never read.

Used of transformers (5.3 to 5.24): where a family keeps its layers, embeddings, final norm and LM head; a layer's
`layer_idx` and `attention_type`; `_keys_to_ignore_on_load_unexpected`, `tie_weights` and `all_tied_weights_keys` as a
checkpoint is loaded. `check_takes_hidden_states` tries by a pass whether a release still lets a stage begin.
"""

from typing import Any

import torch

from finbench.errors import FinbenchError

# Families whose backbone, given embeddings, does nothing to them before its first layer (GPT-2 adds positions, which
# later stages leave out), and keeps no state between layers.
LLAMA_LIKE = {
    *("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "olmo2", "smollm3"),
    *("starcoder2",),
}
SPLITTABLE = {"gpt2", *LLAMA_LIKE}


class Passed(torch.nn.Module):
    """Stands where another stage's layer is: hands on what it is given.

    A backbone may ask the layer which kind of attention's mask it is to have.
    """

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.attention_type = getattr(layer, "attention_type", None)

    def forward(self, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return the hidden states (B, T, H) as they came."""
        return hidden


class Absent(torch.nn.Module):
    """What a stage without embeddings answers who asks for them: PEFT looks through them for tied weights.

    It stands nowhere in the model, since there an adapter of the embeddings would be put on it.
    """


class NoPositions(torch.nn.Module):
    """Stands for GPT-2's position embeddings where the first stage has added them already."""

    def forward(self, positions: torch.Tensor) -> torch.Tensor:
        """Return a zero."""
        return torch.zeros((), device=positions.device)


def layers_of(stage: int, stages: int, layers: int) -> range:
    """Return a stage's layers: numbers differ by one at most, and the last stage, which has the head, is no larger."""
    few, more = divmod(layers, stages)
    first = stage * few + min(stage, more)
    return range(first, first + few + (stage < more))


@torch.no_grad()
def check_takes_hidden_states(model: Any, name: str) -> None:
    """Refuse a backbone that does something to what arrives before its first layer, as Gemma's scale once did."""
    backbone = getattr(model, model.base_model_prefix)
    layers = backbone.h if model.config.model_type == "gpt2" else backbone.layers
    came: list[torch.Tensor] = []
    hook = layers[0].register_forward_pre_hook(lambda _, inputs: came.append(inputs[0]))
    sent = torch.ones(1, 1, int(model.config.hidden_size), dtype=model.dtype, device=model.device)
    try:
        backbone(inputs_embeds=sent, use_cache=False)
    finally:
        hook.remove()
    if not came or not torch.equal(came[0], sent):
        raise FinbenchError(
            f"{name} cannot be split with this release of transformers, whose {model.config.model_type} changes hidden "
            "states before its first layer: leave pipeline out, or install a newer transformers."
        )


def stage_class(whole: type, stage: int, stages: int) -> Any:
    """Return the model's class, cut while it is still without memory, so that other stages' weights are never read."""

    class StageModel(whole):
        _keys_to_ignore_on_load_unexpected = [r".*"]  # other stages' weights

        def __init__(self, config: Any, *args: Any, **kwargs: Any) -> None:
            super().__init__(config, *args, **kwargs)
            cut(self, stage, stages)

        def get_input_embeddings(self) -> Any:
            embeddings = _embeddings(self)
            return Absent() if embeddings is None else embeddings

        def tie_weights(self, *args: Any, **kwargs: Any) -> None:
            if self.lm_head is not None and _embeddings(self) is not None:
                super().tie_weights(*args, **kwargs)

        def resize_token_embeddings(self, size: int) -> None:
            for module in {part for part in (_embeddings(self), self.lm_head) if hasattr(part, "weight")}:
                if size > module.weight.shape[0]:
                    raise FinbenchError("an adapter with added words cannot be put on a pipeline: leave pipeline out.")
                module.weight = torch.nn.Parameter(module.weight[:size], requires_grad=False)
            self.tie_weights()

    StageModel.__name__ = StageModel.__qualname__ = whole.__name__
    return StageModel


def cut(model: Any, stage: int, stages: int) -> None:
    """Take out of a whole model what belongs to other stages."""
    backbone = getattr(model, model.base_model_prefix)
    is_gpt2 = model.config.model_type == "gpt2"
    embedding, stack, norm = ("wte", "h", "ln_f") if is_gpt2 else ("embed_tokens", "layers", "norm")
    layers = getattr(backbone, stack)
    own = layers_of(stage, stages, len(layers))
    for number, layer in enumerate(layers):
        if number not in own:
            layers[number] = Passed(layer)
            continue
        for module in layer.modules():  # a stage's cache counts its own layers
            if hasattr(module, "layer_idx"):
                module.layer_idx -= own.start
    is_last = stage == stages - 1
    if not is_last:
        setattr(backbone, norm, Passed(getattr(backbone, norm)))
        model.lm_head = None
    if stage > 0:
        if not (is_last and model.config.tie_word_embeddings):  # then it is the head
            setattr(backbone, embedding, None)
        if is_gpt2:
            backbone.wpe = NoPositions()
    if model.lm_head is None or getattr(backbone, embedding) is None:
        model.all_tied_weights_keys = {}


def _embeddings(model: Any) -> Any:
    backbone = getattr(model, model.base_model_prefix)
    return backbone.wte if model.config.model_type == "gpt2" else backbone.embed_tokens
