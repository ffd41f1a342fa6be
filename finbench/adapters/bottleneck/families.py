"""Where a bottleneck sits in each model family: the names of modules, found by `model_type`."""

from dataclasses import dataclass
from typing import Literal

from finbench.errors import FinbenchError

Placement = Literal["pfeiffer", "houlsby", "parallel"]
PLACEMENTS: tuple[Placement, ...] = ("pfeiffer", "houlsby", "parallel")


@dataclass(frozen=True)
class Family:
    """The modules of one layer, as patterns of their full names.

    `feed_forward` and `attention` match what yields the sublayer's output just before the residual is added, dropout
    included. `residual` names the module, within the same layer, whose input is the feed-forward's residual.
    `closing_norm` matches the normalisation of (output + residual) where the family normalises after the sum; None
    where it normalises before the sublayer.
    """

    feed_forward: str
    attention: str
    residual: str
    closing_norm: str | None = None


@dataclass(frozen=True)
class Sites:
    """`target_modules` and `residual_module` of a configuration."""

    target_modules: str
    residual_module: str | None


_LAYER = r"(.*\.)?{}\.\d+\."
_BERT_LAYER, _GPT2_LAYER, _LLAMA_LAYER = (_LAYER.format(name) for name in ("layer", "h", "layers"))

_BERT = Family(
    feed_forward=_BERT_LAYER + r"output\.dropout",
    attention=_BERT_LAYER + r"attention\.output\.dropout",
    residual="intermediate",
    closing_norm=_BERT_LAYER + r"output\.LayerNorm",
)
_DISTILBERT = Family(
    feed_forward=_BERT_LAYER + "ffn",
    attention=_BERT_LAYER + r"attention\.out_lin",
    residual="ffn",
    closing_norm=_BERT_LAYER + "output_layer_norm",
)
_GPT2 = Family(feed_forward=_GPT2_LAYER + "mlp", attention=_GPT2_LAYER + r"attn\.resid_dropout", residual="ln_2")
_LLAMA = Family(
    feed_forward=_LLAMA_LAYER + "mlp",
    attention=_LLAMA_LAYER + r"self_attn\.o_proj",
    residual="post_attention_layernorm",
)
_GEMMA2 = Family(
    feed_forward=_LLAMA_LAYER + "post_feedforward_layernorm",
    attention=_LLAMA_LAYER + "post_attention_layernorm",
    residual="pre_feedforward_layernorm",
)
_GPT_NEOX = Family(
    feed_forward=_LLAMA_LAYER + "post_mlp_dropout",
    attention=_LLAMA_LAYER + "post_attention_dropout",
    residual="post_attention_layernorm",
)
_T5 = Family(
    feed_forward=r"(.*\.)?(encoder\.block\.\d+\.layer\.1|decoder\.block\.\d+\.layer\.2)\.dropout",
    attention=r"(.*\.)?block\.\d+\.layer\.0\.dropout",
    residual="layer_norm",
)

FAMILIES: dict[str, Family] = {
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "camembert", "electra", "deberta-v2"), _BERT),
    "distilbert": _DISTILBERT,
    "gpt2": _GPT2,
    **dict.fromkeys(("llama", "mistral", "qwen2", "qwen3", "gemma"), _LLAMA),
    **dict.fromkeys(("gemma2", "gemma3_text"), _GEMMA2),
    "gpt_neox": _GPT_NEOX,
    **dict.fromkeys(("t5", "mt5"), _T5),
}


def find_sites(model_type: str, placement: Placement) -> Sites:
    """Say which modules a placement adapts in a family.

    A FinbenchError for an unknown family says how to name the modules oneself.
    """
    family = FAMILIES.get(model_type)
    if family is None:
        raise FinbenchError(
            f"A bottleneck does not know where to sit in a model of type {model_type!r}. Known: "
            f"{', '.join(sorted(FAMILIES))}. For another, set `target_modules` to the modules that yield the "
            "feed-forward's output before the residual is added (say ['mlp']) and `residual_module` to the module of "
            "the same layer whose input is that residual (say 'post_attention_layernorm'); where the layer normalises "
            "after the sum, set `target_modules` to that normalisation alone."
        )
    if placement == "houlsby":
        return Sites(f"{family.attention}|{family.feed_forward}", None)
    if placement == "pfeiffer" and family.closing_norm is not None:
        return Sites(family.closing_norm, None)
    return Sites(family.feed_forward, family.residual)
