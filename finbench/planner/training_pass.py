"""What autograd keeps of a forward pass, measured on a model without memory: nothing is computed, only shapes."""

from typing import Any


def saved_bytes(model: Any, rows: int, tokens: int, shared: int = 0, answer: int = 1) -> int:
    """Return the bytes kept for the backward pass of a batch (rows, tokens); the model is on the meta device.

    The first `shared` tokens of every row run once and are expanded, as training has it, and the head of a language
    model runs on `answer` places alone. The model's weights do not count. The model is left on no device at all.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():  # knows the kernels that a real device would choose, which the meta device does not
        take_device(model)
        model.train()
        return _kept(model, rows, tokens, shared, answer, torch)


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


def _kept(model: Any, rows: int, tokens: int, shared: int, answer: int, torch: Any) -> int:
    own = {weight.untyped_storage()._cdata for weight in model.parameters()}
    seen: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            seen[storage._cdata] = storage  # held, so that no other storage takes its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = _logits(model, rows, tokens, shared, answer, torch).float().flatten(0, -2)
        torch.nn.functional.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.long))
    return sum(int(storage.nbytes()) for storage in seen.values())


def _logits(model: Any, rows: int, tokens: int, shared: int, answer: int, torch: Any) -> Any:
    ids = torch.zeros(rows, tokens - shared, dtype=torch.long)
    if not hasattr(model, "generate") or model.config.is_encoder_decoder:
        extra = {"decoder_input_ids": ids[:, :answer]} if model.config.is_encoder_decoder else {}
        return model(input_ids=ids, **extra).logits
    if not shared:
        from finbench.hf.forward import logits_at

        return logits_at(model, {"input_ids": ids, "use_cache": False}, torch.arange(tokens - answer, tokens))
    from finbench.engine.continued import answer_logits

    prefix = torch.zeros(1, shared, dtype=torch.long)
    keep = torch.tensor(answer)
    return answer_logits(model, {"prefix": prefix, "input_ids": ids, "attention_mask": ids + 1, "keep": keep})
