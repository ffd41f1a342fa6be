"""A forward pass that continues kept keys and values and runs the LM head at chosen places alone.

What transformers does not promise is how a family's `forward` calls the cache (`past_key_values` to 5.23, `cache` from
5.24, where the old name is no longer in the signature and warns) and whether it takes places as `logits_to_keep`. Both
are found by a trial of two tokens, once a class. Where no name does, prefixes are not shared and the reason is said;
where places are not taken, the head runs everywhere.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import DynamicCache

from finbench.hf.wrapped import base_of

TRIAL_TOKENS = 2
# Tried after whatever name the model's own output gives its cache.
CACHE_NAMES = ("cache", "past_key_values")


@dataclass(frozen=True)
class Arguments:
    """What a forward pass takes: `cache` is the argument that kept keys and values go by, "" where none does.

    `places` says that `logits_to_keep` may be the places (K,) that logits are wanted at.
    """

    cache: str
    places: bool


_FOUND: WeakKeyDictionary[type, Arguments] = WeakKeyDictionary()


def arguments_of(module: Any) -> Arguments:
    """Return what the forward pass of a bare model or backbone takes, found by trial once for its class."""
    kind = type(module)
    if kind not in _FOUND:
        with _quietly(module), mixed_precision(module):
            _FOUND[kind] = Arguments(_cache_name(module), _takes_places(module))
    return _FOUND[kind]


def logits_at(
    model: Any,
    inputs: Mapping[str, Any],
    places: torch.Tensor | None = None,
    cache: DynamicCache | None = None,
    arguments: Arguments | None = None,
) -> torch.Tensor:
    """Return the logits (B, K, V) at `places` (K,) of the input, or all (B, T, V); a given cache grows by the input.

    `model` may be wrapped, by PEFT or for several processes; then with the `arguments` of what is inside.
    """
    takes = arguments or arguments_of(base_of(model))
    more: dict[str, Any] = {} if cache is None else {takes.cache: cache, "use_cache": True}
    if places is not None and takes.places:
        more["logits_to_keep"] = places
    logits: torch.Tensor = model(**inputs, **more).logits
    return logits if places is None or takes.places else logits[:, places.to(logits.device)]


def hidden_states(backbone: Any, inputs: Mapping[str, Any], cache: DynamicCache) -> torch.Tensor:
    """Return the hidden states (B, T, H) of a model without its head; the cache grows by the input."""
    more = {arguments_of(backbone).cache: cache, "use_cache": True}
    hidden: torch.Tensor = backbone(**inputs, **more).last_hidden_state
    return hidden


def _sample(module: Any) -> dict[str, torch.Tensor]:
    """Return two tokens as ids, or as embeddings where the module has none of its own (a pipeline's later stage)."""
    embedding = module.get_input_embeddings()
    if not hasattr(embedding, "weight"):
        shape = (1, TRIAL_TOKENS, int(module.config.get_text_config().hidden_size))
        return {"inputs_embeds": torch.zeros(shape, device=module.device, dtype=module.dtype)}
    token = 1 if module.config.get_text_config().pad_token_id == 0 else 0  # padding without a mask would be warned of
    return {"input_ids": torch.full((1, TRIAL_TOKENS), token, dtype=torch.long, device=embedding.weight.device)}


def _cache_name(module: Any) -> str:
    """Return the name under which a cache is taken, told by its having grown."""
    for name in _likely_names(module):
        cache = DynamicCache()
        try:
            module(**_sample(module), use_cache=True, **{name: cache})
            if cache.get_seq_length() == TRIAL_TOKENS:
                return name
        except Exception:  # noqa: S112  (whatever a family's code does with an argument that it does not know)
            continue
    return ""


def _likely_names(module: Any) -> list[str]:
    """Return names to try, the one under which the output holds its cache first."""
    try:
        output = module(**_sample(module), use_cache=True)
    except Exception:  # an encoder-decoder model wants more than ids
        return list(CACHE_NAMES)
    own = [name for name, value in output.items() if isinstance(value, DynamicCache)]
    return list(dict.fromkeys([*own, *CACHE_NAMES]))


def _takes_places(module: Any) -> bool:
    """Return whether one place asked for gives one place's logits."""
    try:
        places = torch.zeros(1, dtype=torch.long, device=module.device)
        output = module(**_sample(module), logits_to_keep=places)
        return bool(output.logits.shape[1] == 1)
    except Exception:  # a backbone has no logits, and a family may not know the argument
        return False


def mixed_precision(module: Any) -> torch.autocast:
    """Return the autocast that training runs in where weights are of half precision: what is trained is in float32."""
    halves = module.dtype in (torch.bfloat16, torch.float16)
    return torch.autocast(module.device.type, module.dtype if halves else None, enabled=halves)


@contextmanager
def _quietly(module: Any) -> Iterator[None]:
    """Within it a module computes without gradients, dropout or a trace in the random state."""
    training = [part for part in module.modules() if part.training]
    device = module.device
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices), torch.no_grad():
        module.eval()
        try:
            yield
        finally:
            for part in training:
                part.training = True
