"""What generation does with a model's settings and adapter: transformers' `generate` knows no virtual tokens of PEFT.

Used of transformers (5.3 to 5.24): `generate` with `output_logits`, and `GenerationConfig.to_diff_dict`. Where the
logits of `generate` are not the forward pass's, answers would be another model's, and are refused.
"""

from collections.abc import Mapping
from typing import Any

import torch

from finbench.errors import FinbenchError
from finbench.hf.sharing import tolerance
from finbench.hf.wrapped import adapter_type, virtual_tokens

TRIAL_IDS = (3, 1, 4, 1, 5)
STEPS = 2
# Settings of a request, and a model's own, that leave the likeliest token the next one.
GREEDY_SETTINGS = {"do_sample", "temperature", "until"}
HARMLESS_DEFAULTS = {
    *("bos_token_id", "eos_token_id", "pad_token_id", "transformers_version", "cache_implementation", "use_cache"),
    *("do_sample", "temperature", "top_k", "top_p", "min_p", "typical_p", "max_length", "max_new_tokens"),
    *("_from_model_config", "output_attentions", "output_hidden_states", "return_dict_in_generate"),
    "trust_remote_code",
}


def is_greedy(settings: Mapping[str, Any], defaults: Any) -> bool:
    """Return whether each next token is simply the likeliest, by the request's settings and the model's defaults."""
    changed = {name for name, value in defaults.to_diff_dict().items() if value is not None}
    return not settings["do_sample"] and set(settings) <= GREEDY_SETTINGS and changed <= HARMLESS_DEFAULTS


def check_generation(model: Any) -> None:
    """Refuse a model whose generated tokens do not come from the forward pass with its virtual tokens.

    Raises:
        FinbenchError: they do not, with the releases that are installed.

    """
    if virtual_tokens(model) and not _agrees(model):
        raise FinbenchError(
            f"with these releases of peft and transformers, generation drops the virtual tokens of a "
            f"{adapter_type(model)} adapter and the bare base would answer: score it with hf-fast on tasks that "
            "compare labels, or install other releases (`finbench doctor` says which were tried)."
        )


@torch.no_grad()
def _agrees(model: Any) -> bool:
    """Return whether the logits of two generated steps are those of whole forward passes."""
    device = model.get_input_embeddings().weight.device
    ids = torch.tensor([TRIAL_IDS], device=device)
    seq2seq = model.config.is_encoder_decoder
    made = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=STEPS,
        min_new_tokens=STEPS,
        do_sample=False,
        num_beams=1,
        output_logits=True,
        return_dict_in_generate=True,
    )
    for step, logits in enumerate(made.logits):
        if seq2seq:
            written = made.sequences[:, : step + 1]
            expected = model(input_ids=ids, attention_mask=torch.ones_like(ids), decoder_input_ids=written)
        else:
            written = made.sequences[:, : len(TRIAL_IDS) + step]
            expected = model(input_ids=written, attention_mask=torch.ones_like(written))
        whole = expected.logits[0, -1].float()
        if not (logits[0].float() - whole).abs().max() <= tolerance(model) * whole.abs().max():
            return False
    return True
