"""What a scoring pass holds at its fullest moment beside the model's weights, found on shapes: nothing is computed."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from finbench.engine.likelihood import paying_tokens, token_budget
from finbench.engine.model import SharedModel
from finbench.engine.prefix import Pack
from finbench.hf.cache import states
from finbench.hf.forward import arguments_of
from finbench.planner.cost import PassBytes
from finbench.planner.training_pass import take_device


def pass_bytes(model: Any, engine: str, device: str) -> Callable[[int, int, int], PassBytes]:
    """Return a function of (rows, tokens, shared) that says what a pass holds; `engine` is a matrix's word for it.

    Rows are of so many tokens, of which `hf-fast` runs the first `shared` once; its passes hold no more rows than pay
    on the device. `hf` builds the logits of every token, and then their softmax. `model` is on the meta device, and is
    left on no device at all.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    shapes_alone = FakeTensorMode()
    with shapes_alone:
        take_device(model)
        model.eval()
    plain = engine in ("hf", "hf-classifier")

    @cache
    def counted(rows: int, tokens: int, shared: int) -> PassBytes:
        with shapes_alone, torch.no_grad(), _Live() as live:
            kept = _plain_pass(model, rows, tokens) if plain else _shared_pass(model, rows, tokens - shared, shared)
            return PassBytes(live.most - sum(kept), *kept)

    def extrapolated(rows: int, tokens: int, shared: int) -> PassBytes:
        one, two = (vars(counted(count, tokens, 0)) for count in (1, 2))
        return PassBytes(**{part: one[part] + (rows - 1) * (two[part] - one[part]) for part in one})

    def bounded(rows: int, tokens: int, shared: int) -> PassBytes:
        paying = paying_tokens(getattr(model.config.get_text_config(), "hidden_size", 0), torch.device(device))
        fitting = token_budget(rows, tokens, paying) // (tokens - shared)
        return counted(max(1, min(rows, fitting)), tokens, shared)

    return extrapolated if plain else bounded


class _Live(TorchDispatchMode):
    """Counts the bytes of the tensors that are made within it and still held; `most` is the highest count."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known: weakref.WeakSet[Any] = weakref.WeakSet()

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {id(tensor.untyped_storage()) for tensor in _tensors((args, kwargs))}
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            if id(storage) not in given and storage not in self._known:
                self._known.add(storage)
                weakref.finalize(storage, self._freed, storage.nbytes())
                self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        return result

    def _freed(self, count: int) -> None:
        self.now -= count


def _tensors(values: Any) -> list[torch.Tensor]:
    return [one for one in torch.utils._pytree.tree_leaves(values) if isinstance(one, torch.Tensor)]


def _shared_pass(model: Any, rows: int, own: int, shared: int) -> tuple[int, int]:
    """Run what `hf-fast` runs, and return the bytes of logits and of keys and values."""
    stem = SharedModel(model)
    past = stem.root()
    if shared:
        _, past = stem.run(
            Pack((0,) * shared, tuple(range(shared)), (shared,) * shared, (tuple(range(shared)),)), past, []
        )
    slots = [tuple(range(row * own, (row + 1) * own)) for row in range(rows)]
    depths = tuple(range(shared, shared + own)) * rows
    ends = tuple((slot // own + 1) * own for slot in range(rows * own))
    logits, grown = stem.run(Pack((0,) * (rows * own), depths, ends, tuple(slots)), past, [row[-1] for row in slots])
    values = logits.float()
    values.logsumexp(-1)
    return _bytes(logits, values), _bytes(*states(past), *states(grown))


def _plain_pass(model: Any, rows: int, tokens: int) -> tuple[int, int]:
    """Run what `hf` and `hf-classifier` run, and return the bytes of logits and of keys and values."""
    ids = torch.zeros(rows, tokens, dtype=torch.long)
    if not hasattr(model, "generate"):
        return _bytes(model(input_ids=ids, attention_mask=ids + 1).logits.log_softmax(-1)), 0
    last = model(input_ids=ids).logits.log_softmax(-1)  # which `hf` holds until it has the next batch's
    output = model(input_ids=ids)
    return _bytes(last, output.logits, output.logits.log_softmax(-1)), _bytes(
        *states(output[arguments_of(model).cache])
    )


def _bytes(*tensors: torch.Tensor) -> int:
    return sum({storage._cdata: storage.nbytes() for storage in (one.untyped_storage() for one in tensors)}.values())
