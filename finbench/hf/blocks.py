"""Attention of a packed tree block by block: branches that share only the kept prefix never meet.

Rows packed into one pass are masked from each other, but a dense attention computes their products all the same, which
grows with the square of the pass. In blocks it grows with the pass, so that passes can be long enough for fast matrix
products.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

# Below this many tokens a block, calls cost more than the products that they save.
LEAST_BLOCK = 32


def spans(ends: Sequence[int], least: int) -> list[tuple[int, int]]:
    """Return where to cut a tree's slots so that no cut parts a token from what continues it.

    Token j is seen by the slots j to `ends[j]`; each span but the last holds at least `least` slots.
    """
    found, start, slot = [], 0, 0
    while slot < len(ends):
        slot = ends[slot]
        if slot - start >= least or slot == len(ends):
            found.append((start, slot))
            start = slot
    return found


def in_blocks(seen: torch.Tensor, ends: Sequence[int]) -> AbstractContextManager[Any]:
    """Return a context in which attention under the mask `seen` (T, kept + T) runs block by block.

    A block copies the kept keys and values, so it has at least half as many tokens as they. On accelerators nothing
    changes: there, many small calls cost more than the masked products.
    """
    kept = seen.shape[1] - len(ends)
    cuts = spans(ends, max(LEAST_BLOCK, kept // 2))
    return InBlocks(seen, kept, cuts) if seen.device.type == "cpu" and len(cuts) > 1 else nullcontext()


class InBlocks(TorchFunctionMode):
    """Cuts each attention that is given our mask; any other call, and any other function, is as it was.

    `cut` counts the attentions that were cut since the start, by which a trial sees that the model's attention calls
    what is waited for.
    """

    cut = 0

    def __init__(self, seen: torch.Tensor, kept: int, cuts: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        self._seen, self._kept, self._cuts = seen, kept, cuts
        self._masks = [
            torch.cat([seen[start:stop, :kept], seen[start:stop, kept + start : kept + stop]], dim=1)
            for start, stop in cuts
        ]

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not scaled_dot_product_attention or len(args) != 3 or not self._is_ours(kwargs.get("attn_mask")):
            return func(*args, **kwargs)
        InBlocks.cut += 1
        query, key, value = args  # (1, heads, T, d), twice (1, heads, kept + T, d)
        attended = []
        for (start, stop), own in zip(self._cuts, self._masks, strict=True):
            keys, values = (
                torch.cat([states[:, :, : self._kept], states[:, :, self._kept + start : self._kept + stop]], dim=2)
                for states in (key, value)
            )
            block = func(query[:, :, start:stop], keys, values, **{**kwargs, "attn_mask": own})
            attended.append(block.transpose(1, 2))
        return torch.cat(attended, dim=1).transpose(1, 2)  # (1, heads, T, d), laid out as the model reads it next

    def _is_ours(self, mask: torch.Tensor | None) -> bool:
        """Return whether a mask (1, 1, T, kept + T) is the one given to the model, not one made from it."""
        return mask is not None and mask.data_ptr() == self._seen.data_ptr() and mask.shape[2:] == self._seen.shape
