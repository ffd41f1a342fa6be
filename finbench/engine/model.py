"""A causal model that continues from kept keys and values, whatever adapter it wears.

`SharedModel` runs a tree of tokens in one forward pass (a mask lets each token see only what it continues), or
generates from a prefix. `why_not` tells for which models that cannot be right.
"""

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from transformers import DynamicCache

from finbench.engine.prefix import Pack, chain, pack, sort_rows
from finbench.hf.blocks import in_blocks
from finbench.hf.wrapped import adapter_config, quantised, virtual_tokens

ATTENTION = ("sdpa", "eager")  # those that take a mask of any shape
SHAREABLE_LAYERS = {"full_attention", "sliding_attention", "chunked_attention"}
VIRTUAL = {"PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING"}
# The trial's greatest difference from the plain forward pass, as a share of the largest logit.
EXACT, ROUNDED = 1e-3, 0.1


class SharedModel:
    """A loaded causal model, bare or wrapped by PEFT, as a function of (kept cache, tree of tokens)."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.virtual_tokens = virtual_tokens(model)
        # Prompt and prefix tuning enter the cache once, at the root; from there the model below continues.
        self.inner: Any = model.get_base_model() if self.virtual_tokens else model
        self.device: torch.device = self.inner.device
        self.dtype: torch.dtype = self.inner.dtype
        self._picks_positions = "logits_to_keep" in _forward_parameters(model)

    @torch.no_grad()
    def root(self) -> DynamicCache:
        """Return the cache that every row continues: empty, or an adapter's virtual tokens."""
        return virtual_cache(self.model)

    @torch.no_grad()
    def run(self, tree: Pack, past: DynamicCache, keep: Sequence[int]) -> tuple[torch.Tensor, DynamicCache]:
        """Return the logits (R, V) at the slots `keep`, and the cache grown by the tree's tokens; `past` is unchanged.

        With nothing to keep the logits are those of the last slot: models take no empty choice.
        """
        cache = copied(past)
        mask = None if len(tree.paths) == 1 else self._tree_mask(tree, past.get_seq_length())
        with nullcontext() if mask is None else in_blocks(mask, tree.ends):
            logits = self._forward(tree.tokens, tree.depths, mask, cache, list(keep) or [len(tree.tokens) - 1])
        return logits, cache

    @torch.no_grad()
    def step(
        self, tokens: Sequence[int], depths: Sequence[int], seen: torch.Tensor, cache: DynamicCache
    ) -> torch.Tensor:
        """Return the logits (T, V) of one more token in each of several rows, which `cache` takes up.

        `seen` (T, slots + T) says which slots of the cache, and which of these tokens, each token sees.
        """
        return self._forward(tokens, depths, seen, cache, range(len(tokens)))

    def likeliest(self, logits: torch.Tensor) -> list[int]:
        """Return each row's likeliest token of logits (R, V)."""
        return logits.argmax(-1).tolist()

    def _forward(
        self,
        tokens: Sequence[int],
        depths: Sequence[int],
        seen: torch.Tensor | None,
        cache: DynamicCache,
        keep: Sequence[int],
    ) -> torch.Tensor:
        """Return the logits (R, V) at `keep`; `seen` (T, slots + T) is None where each token sees all before it."""
        places = torch.tensor(list(keep), device=self.device)
        output = self.inner(
            input_ids=torch.tensor([tokens], device=self.device),
            position_ids=torch.tensor([depths], device=self.device) + self.virtual_tokens,
            attention_mask=None if seen is None else self._attention_mask(seen),
            past_key_values=cache,
            use_cache=True,
            **({"logits_to_keep": places} if self._picks_positions else {}),
        )
        logits: torch.Tensor = output.logits[0]
        return logits if self._picks_positions else logits[places.to(logits.device)]

    def _tree_mask(self, tree: Pack, kept: int) -> torch.Tensor:
        """Return what each token sees (T, kept + T): all of the prefix, and of the tree what it continues."""
        slots = torch.arange(len(tree.tokens), device=self.device)
        ends = torch.tensor(tree.ends, device=self.device)
        seen = (slots[:, None] >= slots[None, :]) & (slots[:, None] < ends[None, :])
        return torch.nn.functional.pad(seen, (kept, 0), value=True)

    def _attention_mask(self, seen: torch.Tensor) -> torch.Tensor:
        """Return the mask (1, 1, T, slots + T) in the form that the model's attention takes."""
        if self.inner.config._attn_implementation == "sdpa":
            return seen[None, None]
        blank = torch.zeros(seen.shape, dtype=self.dtype, device=self.device)
        return blank.masked_fill(~seen, torch.finfo(self.dtype).min)[None, None]

    def differs(self) -> bool:
        """Return whether a small shared pass, with a stem and two branchings, differs from the plain forward pass."""
        vocabulary = self.inner.get_input_embeddings().weight.shape[0]
        sample = [vocabulary * step // 13 for step in range(1, 13)]
        rows = sort_rows([sample, [*sample[:8], *sample[:5]], [*sample[:8], *sample[:3], sample[-1]]])
        cache = self.run(chain(rows, 0, 0, 4), self.root(), [])[1]
        tree = pack(rows, range(len(rows.tokens)), 4, 64)
        logits, _ = self.run(tree, cache, range(len(tree.tokens)))
        tolerance = EXACT if self.dtype == torch.float32 and not quantised(self.model) else ROUNDED
        width = max(len(row) for row in rows.tokens)
        padded = [[*row, *[0] * (width - len(row))] for row in rows.tokens]  # to the right, where nothing looks
        with torch.no_grad():
            plain = self.model(input_ids=torch.tensor(padded, device=self.device)).logits[:, -width:].to(logits.device)
        for row, path, expected in zip(rows.tokens, tree.paths, plain, strict=True):
            expected = expected[4 : len(row)]
            if not (logits[list(path)] - expected).abs().max() <= tolerance * expected.abs().max():
                return True
        return False


def virtual_cache(model: Any) -> DynamicCache:
    """Return a cache of the virtual tokens that the adapter in force puts before the input, empty without such."""
    cache = DynamicCache()
    if not virtual_tokens(model):
        return cache
    prompt = model.get_prompt(batch_size=1)
    if isinstance(prompt, torch.Tensor):  # embeddings (1, V, H)
        inner = model.get_base_model()
        precision = inner.get_input_embeddings().weight.dtype
        inner(inputs_embeds=prompt.to(precision), past_key_values=cache, use_cache=True)
    else:
        for index, layer in enumerate(prompt.layers):
            cache.update(layer.keys, layer.values, index)
    return cache


def copied(cache: DynamicCache) -> DynamicCache:
    """Return a cache that grows on its own: tensors are shared, for growing replaces them."""
    twin = copy.copy(cache)
    twin.layers = [copy.copy(layer) for layer in cache.layers]
    return twin


def state(model: Any) -> tuple[object, ...]:
    """Return what decides whether prefixes can be shared; it does not change with the weights."""
    config = adapter_config(model)
    return (id(model), None if config is None else str(config.peft_type), virtual_tokens(model))


def _forward_parameters(model: Any) -> set[str]:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return set(inspect.signature(base.forward).parameters)


def why_not(model: Any) -> str:
    """Return why prefixes cannot be shared on this model, judged by its configuration; "" if they can."""
    config = model.config.get_text_config()
    layers = set(getattr(config, "layer_types", None) or [])
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if model.config.is_encoder_decoder:
        return "it is an encoder-decoder model"
    if layers - SHAREABLE_LAYERS or getattr(base, "_is_stateful", False):
        return "its layers keep a state instead of keys and values"
    if "local" in (getattr(config, "attention_layers", None) or []):
        return "its local attention counts slots, not positions"
    if not {"position_ids", "past_key_values", "attention_mask"} <= _forward_parameters(model):
        return "its forward pass takes no positions or no kept keys and values"
    adapter = adapter_config(model)
    kind = str(getattr(adapter, "peft_type", ""))
    if virtual_tokens(model) and kind.removeprefix("PeftType.") not in VIRTUAL:
        return f"the adapter's type {kind} builds its prompt from the whole input"
    if getattr(adapter, "alora_invocation_tokens", None):
        return "an activated LoRA looks for its invocation in the whole input"
    return ""


def window(model: Any) -> int | None:
    """Return the longest input (tokens) that every layer sees whole, None without sliding or chunked attention."""
    config = model.config.get_text_config()
    layers = getattr(config, "layer_types", None)
    if layers is not None and set(layers) == {"full_attention"}:
        return None
    sizes = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    return min((size for size in sizes if size), default=None)


@contextmanager
def maskable_attention(model: Any) -> Iterator[None]:
    """Within it the model's attention takes masks of any shape (flash attention does not), afterwards as before."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = base.config._attn_implementation
    if before in ATTENTION:
        yield
        return
    softcap = getattr(base.config.get_text_config(), "attn_logit_softcapping", None)
    base.set_attn_implementation("eager" if softcap else "sdpa")
    try:
        yield
    finally:
        base.set_attn_implementation(before)
