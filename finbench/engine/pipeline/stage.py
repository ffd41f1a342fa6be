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
from finbench.hf.cut import SPLITTABLE, check_takes_hidden_states, stage_class
from finbench.hf.forward import hidden_states, logits_at
from finbench.hf.load import refusing
from finbench.hf.wrapped import base_of, virtual_tokens

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


def load_stage(source: Source, stage: int, stages: int, device: torch.device) -> tuple[Any, set[str]]:
    """Return a stage's model with its adapter, and the names of the adapter's weights that it holds.

    Only the stage's weights are read. Raises `FinbenchError` if the model cannot be split or lacks weights.
    """
    import transformers

    config = _config(source)
    whole = transformers.MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    model, report = stage_class(whole, stage, stages).from_pretrained(
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
