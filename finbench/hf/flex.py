"""Attention of a packed tree by a block mask (FlexAttention): tiles that no token sees are never computed.

On an accelerator the rows of a pack are masked from each other, and a dense attention computes their products all the
same. FlexAttention (Dong et al. 2024, arXiv:2412.05496) leaves out whole tiles of the mask. Whether that is faster, and
equal, is asked of the device itself: one attention of the pass's own shape by both, once a shape.

Used of torch (2.6 to 2.13): `torch.nn.attention.flex_attention` with `create_block_mask`, compiled; without a compiler
it computes every product, which is for tests alone.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from finbench.errors import first_line

logger = logging.getLogger(__name__)

Attention = Callable[..., torch.Tensor]
Wanted = Callable[..., bool]
# Below so many products (tokens x slots) of a head a dense attention is too short for tiles to matter.
LEAST_PRODUCTS = 512 * 1024
ROUNDED = 256  # tokens and slots of a trial's shape, so that passes of nearly one size ask once
REPEATS = 3


@cache
def compiled() -> Attention:
    """Return FlexAttention as the compiler makes it."""
    from torch.nn.attention.flex_attention import flex_attention

    return torch.compile(flex_attention, dynamic=True)


def block_masked(mask: torch.Tensor | None, ends: Sequence[int]) -> AbstractContextManager[Any]:
    """Return a context in which attention under a tree's mask (1, 1, T, kept + T) may run by a block mask.

    Only on CUDA devices, in long passes, and within `choosing`. Nobody chooses by default until `python -m benchmarks
    accelerator` has run on a device: a compiler's half minute and its faults are not put on users unseen.
    """
    if not _chosen:
        return nullcontext()
    if mask is None or mask.device.type != "cuda" or mask.dtype != torch.bool or mask.numel() < LEAST_PRODUCTS:
        return nullcontext()
    return BlockMasked(mask, ends, compiled, _chosen[-1])


@contextmanager
def choosing(wanted: Wanted) -> Iterator[None]:
    """Within it `wanted` says of each attention whether it runs by a block mask: `pays` asks by a trial."""
    _chosen.append(wanted)
    try:
        yield
    finally:
        _chosen.pop()


class BlockMasked(TorchFunctionMode):
    """Runs each attention that is given our mask by a block mask; any other call, and any other function, is as it was.

    `attention()` is FlexAttention, `wanted` says of a call whether it is used; `used` counts since the start.
    """

    used = 0

    def __init__(
        self, mask: torch.Tensor, ends: Sequence[int], attention: Callable[[], Attention], wanted: Wanted
    ) -> None:
        super().__init__()
        self._given, self._attention, self._wanted = mask, attention, wanted
        self._ends = torch.tensor(list(ends), device=mask.device)
        self._block: Any = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not scaled_dot_product_attention or len(args) != 3 or not self._is_ours(kwargs):
            return func(*args, **kwargs)
        if not self._wanted(args, kwargs, self._by_blocks):
            return func(*args, **kwargs)
        BlockMasked.used += 1
        return self._by_blocks(args, kwargs)

    def _is_ours(self, kwargs: Any) -> bool:
        mask = kwargs.get("attn_mask")
        if mask is None or kwargs.get("dropout_p"):
            return False
        return bool(mask.shape == self._given.shape and mask.data_ptr() == self._given.data_ptr())

    def _by_blocks(self, args: tuple[torch.Tensor, ...], kwargs: Any) -> torch.Tensor:
        """Return what attention gives: query (1, heads, T, d), keys and values (1, heads or fewer, kept + T, d)."""
        shared = bool(kwargs.get("enable_gqa")) or args[0].shape[1] != args[1].shape[1]
        return self._attention()(*args, block_mask=self._mask(), scale=kwargs.get("scale"), enable_gqa=shared)

    def _mask(self) -> Any:
        """Return the mask's tiles, made once a pass, for all layers."""
        if self._block is None:
            from torch.nn.attention.flex_attention import create_block_mask

            tokens, slots = self._given.shape[2:]
            kept, ends = slots - tokens, self._ends

            def sees(_batch: Any, _head: Any, token: Any, slot: Any) -> Any:
                own = slot - kept
                continues = (token >= own) & (token < ends[own.clamp(min=0)])
                return (slot < kept) | continues

            self._block = create_block_mask(sees, None, None, tokens, slots, device=self._given.device)
        return self._block


_paying: dict[tuple[object, ...], bool] = {}


def pays(args: tuple[torch.Tensor, ...], kwargs: Any, by_blocks: Callable[..., torch.Tensor]) -> bool:
    """Return whether a block mask is faster than the dense mask for this attention, and says the same; asked once."""
    query, key, _ = args
    rounded = (-(-query.shape[2] // ROUNDED), -(-key.shape[2] // ROUNDED))
    shape = (query.device, query.dtype, query.shape[1], key.shape[1], query.shape[3], rounded)
    if shape not in _paying:
        _paying[shape] = _trial(args, kwargs, by_blocks)
    return _paying[shape]


def _trial(args: tuple[torch.Tensor, ...], kwargs: Any, by_blocks: Callable[..., torch.Tensor]) -> bool:
    def dense() -> torch.Tensor:
        return scaled_dot_product_attention(*args, **kwargs)

    def blocks() -> torch.Tensor:
        return by_blocks(args, kwargs)

    try:
        expected, found = dense(), blocks()  # the first compiles
    except Exception as error:  # whatever a compiler says of a device that it does not know
        logger.warning("attention of packs stays dense here, a block mask does not run: %s", first_line(error))
        return False
    most = 4 * torch.finfo(expected.dtype).eps * max(1.0, float(expected.abs().max()))
    if not float((expected - found).abs().max()) <= max(most, 1e-5):
        logger.warning("attention of packs stays dense here: a block mask gives other numbers")
        return False
    return _seconds(blocks, expected.device) < _seconds(dense, expected.device)


def _seconds(attend: Callable[[], torch.Tensor], device: torch.device) -> float:
    """Return the least seconds of several."""
    least = float("inf")
    for _ in range(REPEATS):
        torch.cuda.synchronize(device) if device.type == "cuda" else None
        began = time.perf_counter()
        attend()
        torch.cuda.synchronize(device) if device.type == "cuda" else None
        least = min(least, time.perf_counter() - began)
    return least


# What says of a call's arguments, and of how a block mask would run it, whether it does; the last one counts.
_chosen: list[Wanted] = []
