"""One stage of a causal model split by layers: its own weights alone, the other layers passing their input on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from transformers import DynamicCache

from finbench.engine.model import SharedModel
from finbench.errors import FinbenchError
from finbench.hf.bits import keep_layout
from finbench.hf.forward import hidden_states, logits_at
from finbench.hf.load import refusing
from finbench.hf.wrapped import base_of, virtual_tokens

# Families whose backbone, given embeddings, does nothing to them before its first layer (GPT-2 adds positions, which
# later stages leave out), and keeps no state between layers.
LLAMA_LIKE = {
    *("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3_text", "phi3", "olmo2", "smollm3"),
    *("starcoder2",),
}
SPLITTABLE = {"gpt2", *LLAMA_LIKE}
CONFIG_OPTIONS = ("revision", "subfolder", "trust_remote_code")


@dataclass(frozen=True)
class Source:
    """What is loaded: a model's id or folder, an adapter's, and how; `options` are `from_pretrained`'s.

    `words` is the tokenizer's size: lm-eval cuts the embeddings to it before it puts an adapter on.
    """

    pretrained: str
    peft: str | None
    words: int | None
    options: dict[str, Any] = field(default_factory=dict)


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


def load_stage(source: Source, stage: int, stages: int, device: torch.device) -> tuple[Any, set[str]]:
    """Return a stage's model with its adapter, and the names of the adapter's weights that it holds.

    Only the stage's weights are read. Raises `FinbenchError` if the model cannot be split or lacks weights.
    """
    import transformers

    config = _config(source)
    whole = transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    model, report = _stage_class(whole, stage, stages).from_pretrained(
        source.pretrained,
        config=config,
        device_map={"": str(device)},
        output_loading_info=True,
        **source.options,
    )
    if report["missing_keys"]:
        raise FinbenchError(f"{source.pretrained} lacks {len(report['missing_keys'])} weights: download it again.")
    keep_layout(model).eval()
    if stage > 0:
        check_takes_hidden_states(model, source.pretrained)
    if source.peft is None:
        return model, set()
    if source.words is not None:
        model.resize_token_embeddings(source.words)
    return put_on(model, source.peft)


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


def check_splittable(source: Source, stages: int) -> None:
    """Refuse a model that cannot be split into so many stages."""
    config = _config(source)
    if config.model_type not in SPLITTABLE or getattr(config, "add_cross_attention", False):
        raise FinbenchError(
            f"pipeline={stages}: {source.pretrained} is of type {config.model_type}, and what can be split is "
            f"{', '.join(sorted(SPLITTABLE))}. device_map=auto instead places layers on several devices."
        )
    if not 2 <= stages <= config.num_hidden_layers:
        raise FinbenchError(
            f"pipeline={stages}: {source.pretrained} has {config.num_hidden_layers} layers, so that many stages or "
            "fewer, and two or more; leave pipeline out for one."
        )


def _config(source: Source) -> Any:
    from transformers import AutoConfig

    named = {name: source.options[name] for name in CONFIG_OPTIONS if name in source.options}
    with refusing(source.pretrained, "configuration"):
        return AutoConfig.from_pretrained(source.pretrained, **named)


def _stage_class(whole: type, stage: int, stages: int) -> Any:
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


def put_on(model: Any, adapter: str) -> tuple[Any, set[str]]:
    """Return a stage's model with the part of an adapter that is its own, and the names of that part's weights.

    Raises:
        FinbenchError: the adapter does not fit, or is one of virtual tokens.

    """
    from finbench.adapters.folder import read_adapter
    from finbench.adapters.wrap import wrap_part

    wrapped, own = wrap_part(model, read_adapter(adapter).path)
    if virtual_tokens(wrapped):
        raise FinbenchError(
            f"{adapter} puts virtual tokens before the input, which a pipeline cannot: leave pipeline out."
        )
    return wrapped, own


class Stage(SharedModel):
    """A stage as `SharedModel`: `arrived` is what the stage before sent, and a pass gives what the next one reads.

    That is hidden states (1, T, H), of the last stage logits (R, V) at the places asked for.
    """

    def __init__(self, model: Any, number: int, count: int, device: torch.device) -> None:
        super().__init__(model)
        self.inner = base_of(model)
        self.number, self.count, self.device = number, count, device
        self.arrived: torch.Tensor | None = None

    @property
    def is_last(self) -> bool:
        """Return whether this stage has the head."""
        return self.number == self.count - 1

    @property
    def parameters(self) -> int:
        """Return the number of weights, without the embeddings that are the head too: the first stage counts them."""
        twice = self.number > 0 and self.is_last and self.inner.config.tie_word_embeddings
        head = self.inner.lm_head.weight.numel() if twice else 0
        return sum(weight.numel() for weight in self.model.parameters()) - head

    @property
    def width(self) -> int:
        """Return the hidden states' size."""
        return int(self.inner.config.hidden_size)

    def _forward(
        self,
        tokens: Sequence[int],
        depths: Sequence[int],
        mask: torch.Tensor | None,
        cache: DynamicCache | None,
        keep: Sequence[int],
    ) -> torch.Tensor:
        """Return what this stage makes of the tokens: hidden states, or logits at `keep`."""
        assert cache is not None  # a stage scores
        inputs: dict[str, torch.Tensor | None] = {"inputs_embeds": self.arrived}
        if self.number == 0:
            inputs = {"input_ids": torch.tensor([tokens], device=self.device)}
        inputs["position_ids"] = torch.tensor([depths], device=self.device)
        inputs["attention_mask"] = mask
        if not self.is_last:
            return hidden_states(getattr(self.inner, self.inner.base_model_prefix), inputs, cache).to(self.dtype)
        return logits_at(self.inner, inputs, torch.tensor(list(keep), device=self.device), cache)[0]


class ConnectedStage(Stage):
    """A stage that takes turns with the others: it waits for the one before, and hands on to the next.

    Other stages than the last return logits of no words; `likeliest` gives the last one's choice to all. `beside` is
    for what belongs to the stage, whatever model is in it.
    """

    def __init__(self, model: Any, number: int, count: int, device: torch.device) -> None:
        super().__init__(model, number, count, device)
        self.beside: dict[str, Any] = {}

    def _forward(
        self,
        tokens: Sequence[int],
        depths: Sequence[int],
        mask: torch.Tensor | None,
        cache: DynamicCache | None,
        keep: Sequence[int],
    ) -> torch.Tensor:
        if self.number > 0:
            self.arrived = torch.empty(1, len(tokens), self.width, dtype=self.dtype, device=self.device)
            dist.recv(self.arrived, self.number - 1)
        result = super()._forward(tokens, depths, mask, cache, keep)
        if self.is_last:
            return result
        dist.send(result.contiguous(), self.number + 1)
        return result.new_empty(len(keep), 0)

    def around(self, model: Any) -> "ConnectedStage":
        """Return this stage with another model in it, such as its own with an adapter."""
        other = ConnectedStage(model, self.number, self.count, self.device)
        other.dtype, other.beside = self.dtype, self.beside
        return other

    def in_schedule(self) -> Stage:
        """Return this stage for a schedule, which brings it what arrives."""
        stage = Stage(self.model, self.number, self.count, self.device)
        stage.dtype = self.dtype
        return stage

    def likeliest(self, logits: torch.Tensor) -> list[int]:
        """Return the likeliest token of each row, as the last stage sees it."""
        chosen = logits.argmax(-1).cpu() if self.is_last else torch.empty(logits.shape[0], dtype=torch.long)
        dist.broadcast(chosen, self.count - 1)
        return chosen.tolist()
