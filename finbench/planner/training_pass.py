"""What autograd keeps of a forward pass, measured on a model without memory: nothing is computed, only shapes."""

from typing import Any


def saved_bytes(model: Any, rows: int, tokens: int, shared: int = 0, answer: int = 1, packed: bool = False) -> int:
    """Return the bytes kept for the backward pass of a batch (rows, tokens); the model is on the meta device.

    The first `shared` tokens of every row run once, as training has it: `packed` into one sequence with the rest, or
    expanded to the rows. The head of a language model runs on `answer` places alone. The model's weights do not count.
    The model is left on no device at all.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():  # knows the kernels that a real device would choose, which the meta device does not
        take_device(model)
        model.train()
        return _kept(model, rows, tokens, shared, answer, torch, packed)


def take_device(model: Any) -> None:
    """Give a model of the meta device the processor's shapes, within `FakeTensorMode`: still no memory."""
    import torch

    twins: dict[int, tuple[Any, Any]] = {}  # tied weights stay tied
    for part in model.modules():
        for store in (part._parameters, part._buffers):
            for name, tensor in store.items():
                if tensor is None:
                    continue
                if id(tensor) not in twins:
                    empty = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
                    if isinstance(tensor, torch.nn.Parameter):
                        empty = torch.nn.Parameter(empty, requires_grad=tensor.requires_grad)
                    twins[id(tensor)] = (empty, tensor)
                store[name] = twins[id(tensor)][0]


def _kept(model: Any, rows: int, tokens: int, shared: int, answer: int, torch: Any, packed: bool = False) -> int:
    own = {weight.untyped_storage()._cdata for weight in model.parameters()}
    seen: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            seen[storage._cdata] = storage  # held, so that no other storage takes its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = _logits(model, rows, tokens, shared, answer, torch, packed).float().flatten(0, -2)
        torch.nn.functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    return sum(int(storage.nbytes()) for storage in seen.values())


def _logits(model: Any, rows: int, tokens: int, shared: int, answer: int, torch: Any, packed: bool) -> Any:
    ids = torch.zeros(rows, tokens - shared, dtype=torch.long)
    if not hasattr(model, "generate") or model.config.is_encoder_decoder:
        extra = {"decoder_input_ids": ids[:, :answer]} if model.config.is_encoder_decoder else {}
        return model(input_ids=ids, **extra).logits
    from finbench.engine.continued import answer_logits, packed_logits

    if packed:
        return packed_logits(model, _packed(rows, tokens - shared, shared, answer))
    if not shared:
        from finbench.hf.forward import logits_at

        return logits_at(model, {"input_ids": ids, "use_cache": False}, torch.arange(tokens - answer, tokens))
    prefix = torch.zeros(1, shared, dtype=torch.long)
    keep = torch.tensor(answer)
    return answer_logits(model, {"prefix": prefix, "input_ids": ids, "attention_mask": ids + 1, "keep": keep})


def _packed(rows: int, own: int, shared: int, answer: int) -> Any:
    """Return rows of which each has `own` tokens after those that all share, as training packs them."""
    from finbench.engine.continued import Packed
    from finbench.engine.prefix import Pack

    total, stem = shared + rows * own, tuple(range(shared))
    starts = range(shared, total, own)
    depths = (*stem, *(tuple(range(shared, shared + own)) * rows))
    ends = (*((total,) * shared), *(start + own for start in starts for _ in range(own)))
    paths = tuple((*stem, *range(start, start + own)) for start in starts)
    reads = tuple(slot for path in paths for slot in path[-answer:])
    return Packed(Pack((0,) * total, depths, ends, paths), reads)
