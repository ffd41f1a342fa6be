"""Attention of a packed tree block by block: branches never meet, and each token meets what it continues.

Rows packed into one pass are masked from each other, but a dense attention computes their products all the same, which
grows with the square of the pass. In blocks it grows with the pass, so that passes can be long enough for fast matrix
products. The mask itself says how to cut, so that a layer whose activations are forgotten and computed once more on the
backward pass is cut there too.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._pytree import tree_map

# Below this many tokens a block, calls cost more than the products that they save.
LEAST_BLOCK = 32
# Stems of stems are cut this deep; what branches further stays in one block, masked.
DEEPEST = 4


@dataclass(frozen=True)
class Block:
    """The slots `start` to `stop` of a tree, and the numbers of the earlier blocks that all of them continue."""

    start: int
    stop: int
    above: tuple[int, ...]


def cut(ends: Sequence[int], kept: int) -> list[Block]:
    """Return a tree's slots in blocks, in order: a token and what continues it meet in one, or one is above the other.

    Token j is seen by the slots j to `ends[j]`, and `kept` tokens before the tree by all. A block copies the keys and
    values above it, so it has at least half as many tokens as they where there are enough.
    """
    found: list[Block] = []

    def visit(start: int, stop: int, above: tuple[int, ...], copied: int) -> None:
        opened = slot = start
        while slot < stop:
            end = ends[slot]
            stem = next((place for place in range(slot, end) if ends[place] != end), end)
            beyond = copied + stem - slot
            if len(above) < DEEPEST and end - stem >= 2 * max(LEAST_BLOCK, beyond // 2):
                if opened < slot:
                    found.append(Block(opened, slot, above))
                found.append(Block(slot, stem, above))
                visit(stem, end, (*above, len(found) - 1), beyond)
                opened = end
            elif end - opened >= max(LEAST_BLOCK, copied // 2):
                found.append(Block(opened, end, above))
                opened = end
            slot = end
        if opened < stop:
            found.append(Block(opened, stop, above))

    visit(0, len(ends), (), kept)
    return found


def dense(ends: Sequence[int], kept: int, device: torch.device) -> torch.Tensor:
    """Return what each token sees (T, kept + T): all that is kept, and of the tree what it continues."""
    return torch.nn.functional.pad(_among(torch.tensor(ends, device=device), 0, len(ends)), (kept, 0), value=True)


def _among(ends: torch.Tensor, start: int, stop: int) -> torch.Tensor:
    """Return which of the slots `start` to `stop` each of them sees (N, N)."""
    slots = torch.arange(start, stop, device=ends.device)
    return (slots[:, None] >= slots[None, :]) & (slots[:, None] < ends[None, start:stop])


class TreeMask(torch.Tensor):
    """A tree's mask (1, 1, T, kept + T) under which scaled dot-product attention runs block by block.

    Whatever else is done with it is done with the dense mask. `cuts` counts the attentions that were cut since the
    start, by which a trial sees that the model's attention calls what is waited for.
    """

    cuts = 0

    @staticmethod
    def __new__(cls: Any, ends: Sequence[int], kept: int, blocks: Sequence[Block], device: torch.device) -> "TreeMask":
        """Return a tensor that has a shape and no memory."""
        shape = (1, 1, len(ends), kept + len(ends))
        made: TreeMask = torch.Tensor._make_wrapper_subclass(cls, shape, dtype=torch.bool, device=device)
        return made

    def __init__(self, ends: Sequence[int], kept: int, blocks: Sequence[Block], device: torch.device) -> None:
        super().__init__()
        self._ends, self._kept, self._blocks, self._device = ends, kept, blocks, device
        self._masks: dict[torch.dtype, list[torch.Tensor]] = {}

    @classmethod
    def __torch_function__(
        cls, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Cut an attention under this mask; leave any other function to the dense one."""
        mask = (kwargs or {}).get("attn_mask")
        if func is scaled_dot_product_attention and len(args) == 3 and isinstance(mask, TreeMask):
            return mask._attend(*args, **kwargs)
        with torch._C.DisableTorchFunctionSubclass():  # what is made of a mask is a plain tensor
            return func(*args, **(kwargs or {}))

    @classmethod
    def __torch_dispatch__(
        cls, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Do it with the dense mask."""

        def plain(value: Any) -> Any:
            if isinstance(value, TreeMask):
                return dense(value._ends, value._kept, value._device)[None, None]
            return value

        return func(*tree_map(plain, args), **tree_map(plain, kwargs or {}))

    def _attend(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **settings: Any) -> torch.Tensor:
        """Return what the tokens attend to (1, heads, T, d), of keys and values (1, heads, kept + T, d)."""
        TreeMask.cuts += 1
        del settings["attn_mask"]
        wide = torch.promote_types(torch.promote_types(query.dtype, key.dtype), value.dtype)
        states = (query.to(wide), key.to(wide), value.to(wide))  # mixed precision leaves them apart
        if torch.is_grad_enabled() and any(one.requires_grad for one in states) and not settings.get("dropout_p"):
            found: torch.Tensor = _Forgetting.apply(self, settings, *states)
            return found
        return self.attended(*states, **settings)

    def attended(self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, **settings: Any) -> torch.Tensor:
        """Return attention block by block."""
        before = [self._kept] if self._kept else []
        own = [block.stop - block.start for block in self._blocks]
        # split once, for each slice would have a gradient of the whole's size
        queries = query.split(own, dim=2)
        keys, values = key.split([*before, *own], dim=2), value.split([*before, *own], dim=2)
        attended = []
        with torch.autocast("cpu", enabled=False):  # in half precision it is no faster here, and copies take time
            for number, (block, mask) in enumerate(zip(self._blocks, self._of(query.dtype), strict=True)):
                met = [*range(len(before)), *(len(before) + one for one in (*block.above, number))]
                seen = (torch.cat([part[one] for one in met], dim=2) for part in (keys, values))
                found = scaled_dot_product_attention(queries[number], *seen, attn_mask=mask, **settings)
                attended.append(found.transpose(1, 2))
        return torch.cat(attended, dim=1).transpose(1, 2)  # laid out as the model reads it next

    def _of(self, dtype: torch.dtype) -> list[torch.Tensor]:
        """Return the blocks' masks (N, above + N) as what is added to products, made once for all layers."""
        if dtype not in self._masks:
            ends = torch.tensor(self._ends, device=self._device)
            self._masks[dtype] = [self._mask(block, ends, dtype) for block in self._blocks]
        return self._masks[dtype]

    def _mask(self, block: Block, ends: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        seen = _among(ends, block.start, block.stop)
        above = self._kept + sum(self._blocks[one].stop - self._blocks[one].start for one in block.above)
        added = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, -torch.inf)
        return torch.nn.functional.pad(added, (above, 0))


class _Forgetting(torch.autograd.Function):
    """Attention in blocks that keeps for the backward pass only what it was given: blocks are attended once more.

    Each block's copies of what is above it would be a quarter of all that a training step of a narrow model keeps. The
    backward pass is in float32: in bfloat16, PyTorch's kernel for it takes two to four times as long on a processor.
    """

    @staticmethod
    def forward(ctx: Any, mask: TreeMask, settings: dict[str, Any], *states: torch.Tensor) -> torch.Tensor:
        """Return what `mask` has of queries, keys and values."""
        ctx.mask, ctx.settings = mask, settings
        ctx.save_for_backward(*states)
        return mask.attended(*states, **settings)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of queries, keys and values."""
        given, needed = ctx.saved_tensors, ctx.needs_input_grad[2:]
        wide = torch.promote_types(given[0].dtype, torch.float32)
        states = [state.detach().to(wide).requires_grad_(need) for state, need in zip(given, needed, strict=True)]
        with torch.enable_grad():
            found = ctx.mask.attended(*states, **ctx.settings)
        wanted = [state for state in states if state.requires_grad]
        grown = iter(torch.autograd.grad(found, wanted, gradient.to(wide)))
        return (
            None,
            None,
            *(next(grown).to(one.dtype) if need else None for one, need in zip(given, needed, strict=True)),
        )
