"""Tiny models and bottlenecks whose weights follow a formula, so that two environments build the same ones.

`make_bottleneck_reference.py` computes their logits with the `adapters` library; test_bottleneck.py with ours. Imports
only what both environments have.
"""

import math
import zlib

import torch

VOCABULARY = 13
REDUCTION_FACTOR = 4
# AdapterHub's name of a placement's configuration -> how ours says the same
CONFIGURATIONS = {
    "seq_bn": {},
    "double_seq_bn": {"placement": "houlsby", "non_linearity": "swish"},
    "par_bn": {"placement": "parallel", "scaling": 4.0},
}
_ENCODER = {"vocab_size": VOCABULARY, "num_labels": 3, "pad_token_id": 0}
_HIDDEN = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 20}
_CAUSAL = {"vocab_size": VOCABULARY, "bos_token_id": 1, "eos_token_id": 2}
# family -> (model class, configuration class, configuration)
MODELS = {
    "bert": ("BertForSequenceClassification", "BertConfig", _ENCODER | _HIDDEN | {"max_position_embeddings": 16}),
    "roberta": (
        "RobertaForSequenceClassification",
        "RobertaConfig",
        _ENCODER | _HIDDEN | {"max_position_embeddings": 16},
    ),
    "distilbert": (
        "DistilBertForSequenceClassification",
        "DistilBertConfig",
        _ENCODER | {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 20, "max_position_embeddings": 16},
    ),
    "gpt2": (
        "GPT2LMHeadModel",
        "GPT2Config",
        _CAUSAL | {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 16},
    ),
    "llama": ("LlamaForCausalLM", "LlamaConfig", _CAUSAL | _HIDDEN | {"num_key_value_heads": 1}),
    "mistral": ("MistralForCausalLM", "MistralConfig", _CAUSAL | _HIDDEN | {"num_key_value_heads": 1}),
    "t5": (
        "T5ForConditionalGeneration",
        "T5Config",
        {
            "vocab_size": VOCABULARY,
            "d_model": 16,
            "d_kv": 8,
            "d_ff": 20,
            "num_layers": 2,
            "num_heads": 2,
            "pad_token_id": 0,
            "decoder_start_token_id": 0,
        },
    ),
}


def formula(name: str, shape: torch.Size, scale: float) -> torch.Tensor:
    """A wave whose phase follows from the name; the same in every environment."""
    phase = zlib.crc32(name.encode()) % 1000
    steps = torch.arange(math.prod(shape), dtype=torch.float64)
    return (scale * torch.sin(steps * 0.7 + phase)).reshape(shape).float()


def build(family: str) -> torch.nn.Module:
    """The base model of a family, in evaluation mode."""
    import transformers

    model_class, config_class, settings = MODELS[family]
    config = getattr(transformers, config_class)(**settings)
    config._attn_implementation = "eager"
    model = getattr(transformers, model_class)(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_norm = any(part in name.lower() for part in ("norm", "ln_")) and name.endswith("weight")
            parameter.copy_(formula(name, parameter.shape, 0.3) + (1.0 if is_norm else 0.0))
    return model.eval()


def fill_adapter(site: str, index: int, down: torch.nn.Linear, up: torch.nn.Linear) -> None:
    """Give the bottleneck at the `index`th `site` ("attention" or "feed_forward") its weights."""
    with torch.no_grad():
        for part, linear in (("down", down), ("up", up)):
            for kind, parameter in linear.named_parameters():
                parameter.copy_(formula(f"{site}.{index}.{part}.{kind}", parameter.shape, 0.4))


def compute_logits(family: str, model: torch.nn.Module) -> list[float]:
    """The model's logits for two rows of five ids, the second padded at its end; flat."""
    ids = torch.tensor([[1, 5, 9, 12, 7], [1, 4, 11, 0, 0]])
    inputs = {"input_ids": ids, "attention_mask": (ids != 0).long()}
    if family == "t5":
        inputs["decoder_input_ids"] = torch.tensor([[0, 3, 8], [0, 6, 2]])
    with torch.no_grad():
        logits = model(**inputs).logits
    return [round(value, 6) for value in logits.flatten().tolist()]
