"""A causal model that continues from kept keys and values, whatever adapter is on it.

`SharedModel` runs a tree of tokens in one forward pass (a mask lets each token see only what it continues), or
generates from a prefix. `finbench.hf.sharing.why_not` tells for which models that cannot be right.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import DynamicCache

from finbench.engine.prefix import Pack, chain, pack, sort_rows
from finbench.hf.attention import as_mask, tree_mask
from finbench.hf.cache import fork, virtual_cache
from finbench.hf.flex import block_masked
from finbench.hf.forward import logits_at
from finbench.hf.sharing import tolerance
from finbench.hf.wrapped import virtual_tokens


class SharedModel:
    """A loaded causal model, bare or wrapped by PEFT, as a function of (kept cache, tree of tokens)."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.virtual_tokens = virtual_tokens(model)
        # Prompt and prefix tuning enter the cache once, at the root; from there the model below continues.
        self.inner: Any = model.get_base_model() if self.virtual_tokens else model
        self.device: torch.device = self.inner.device
        self.dtype: torch.dtype = self.inner.dtype

    @torch.no_grad()
    def root(self) -> DynamicCache:
        """Return the cache that every row continues: empty, or an adapter's virtual tokens."""
        return virtual_cache(self.model)

    @torch.no_grad()
    def run(self, tree: Pack, past: DynamicCache, keep: Sequence[int]) -> tuple[torch.Tensor, DynamicCache]:
        """Return the logits (R, V) at the slots `keep`, and the cache grown by the tree's tokens; `past` is unchanged.

        With nothing to keep the logits are those of the last slot: models take no empty choice.
        """
        cache = fork(past)
        mask = None if len(tree.paths) == 1 else self._tree_mask(tree, past.get_seq_length())
        with block_masked(mask, tree.ends):
            logits = self._forward(tree.tokens, tree.depths, mask, cache, list(keep) or [len(tree.tokens) - 1])
        return logits, cache

    def grow(self, tree: Pack, cache: DynamicCache | None, keep: Sequence[int]) -> torch.Tensor:
        """Return the logits (R, V) at the slots `keep`, with gradients; the cache grows by the tree's tokens."""
        kept = 0 if cache is None else cache.get_seq_length()
        mask = None if len(tree.paths) == 1 else self._tree_mask(tree, kept)
        return self._forward(tree.tokens, tree.depths, mask, cache, keep)

    @torch.no_grad()
    def step(
        self, tokens: Sequence[int], depths: Sequence[int], seen: torch.Tensor, cache: DynamicCache
    ) -> torch.Tensor:
        """Return the logits (T, V) of one more token in each of several rows, which `cache` takes up.

        `seen` (T, slots + T) says which slots of the cache, and which of these tokens, each token sees.
        """
        mask = as_mask(seen, self.inner, self.dtype)
        return self._forward(tokens, depths, mask, cache, range(len(tokens)))

    def likeliest(self, logits: torch.Tensor) -> list[int]:
        """Return each row's likeliest token of logits (R, V)."""
        return logits.argmax(-1).tolist()

    def _forward(
        self,
        tokens: Sequence[int],
        depths: Sequence[int],
        mask: torch.Tensor | None,
        cache: DynamicCache | None,
        keep: Sequence[int],
    ) -> torch.Tensor:
        """Return the logits (R, V) at `keep`; `mask` (1, 1, T, S) is None where each token sees all before it."""
        inputs: dict[str, Any] = {
            "input_ids": torch.tensor([tokens], device=self.device),
            "position_ids": torch.tensor([depths], device=self.device) + self.virtual_tokens,
            "attention_mask": mask,
        }
        if cache is None:
            inputs["use_cache"] = False
        return logits_at(self.inner, inputs, torch.tensor(list(keep), device=self.device), cache)[0]

    def _tree_mask(self, tree: Pack, kept: int) -> torch.Tensor:
        """Return what each token sees (1, 1, T, kept + T): all of the prefix, and of the tree what it continues."""
        return tree_mask(tree.ends, kept, self.inner, self.dtype, self.device)

    def differs(self) -> bool:
        """Return whether a small shared pass, with a stem and two branchings, differs from the plain forward pass."""
        vocabulary = self.inner.get_input_embeddings().weight.shape[0]
        sample = [vocabulary * step // 13 for step in range(1, 13)]
        rows = sort_rows([sample, [*sample[:8], *sample[:5]], [*sample[:8], *sample[:3], sample[-1]]])
        cache = self.run(chain(rows, 0, 0, 4), self.root(), [])[1]
        tree = pack(rows, range(len(rows.tokens)), 4, 64)
        logits, _ = self.run(tree, cache, range(len(tree.tokens)))
        width = max(len(row) for row in rows.tokens)
        padded = [[*row, *row[-1:] * (width - len(row))] for row in rows.tokens]  # to the right, where nothing looks
        with torch.no_grad():
            plain = self.model(input_ids=torch.tensor(padded, device=self.device)).logits[:, -width:].to(logits.device)
        for row, path, expected in zip(rows.tokens, tree.paths, plain, strict=True):
            expected = expected[4 : len(row)]
            if not (logits[list(path)] - expected).abs().max() <= tolerance(self.model) * expected.abs().max():
                return True
        return False
