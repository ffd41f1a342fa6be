"""Where a bottleneck goes: modules found or named, and settings that cannot be, refused by name."""

import re

import pytest
import torch
from peft import get_peft_model
from transformers import AutoConfig, AutoModelForCausalLM

from finbench.adapters.bottleneck.families import find_sites
from finbench.adapters.bottleneck.model import BottleneckConfig
from finbench.errors import FinbenchError
from tests.adapters.test_bottleneck import IDS, SMALL, adapted, layers_of, logits, reference


def test_modules_can_be_named():
    named = {"target_modules": ["mlp"], "residual_module": "ln_2"}
    assert torch.equal(logits(adapted("gpt2", **named)), logits(adapted("gpt2")))
    closing = {"target_modules": r".*layer\.1\.output\.LayerNorm"}
    model = get_peft_model(reference.build("bert"), BottleneckConfig(**SMALL, **closing))
    assert list(layers_of(model)) == ["base_model.model.bert.encoder.layer.1.output.LayerNorm"]


def test_unknown_family_lists_the_known_and_works_once_named():
    config = AutoConfig.for_model("opt", vocab_size=13, hidden_size=16, num_hidden_layers=2, ffn_dim=20, pad_token_id=0)
    config.update({"num_attention_heads": 2, "word_embed_proj_dim": 16})
    with pytest.raises(FinbenchError, match=r"'opt'.*bert.*llama.*target_modules.*residual_module"):
        get_peft_model(AutoModelForCausalLM.from_config(config), BottleneckConfig())
    named = BottleneckConfig(target_modules=["fc2"], residual_module="final_layer_norm")
    model = get_peft_model(AutoModelForCausalLM.from_config(config), named)
    assert len(layers_of(model)) == 2
    model(input_ids=IDS, labels=IDS).loss.backward()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"placement": "pfeifer"}, "pfeifer.*pfeiffer, houlsby, parallel"),
        ({"non_linearity": "rellu"}, "rellu.*relu"),
        ({"reduction_factor": 0}, "reduction_factor is 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"scaling": 0.0}, "scaling is 0"),
    ],
)
def test_values_out_of_range_are_named(settings, message):
    with pytest.raises(FinbenchError, match=message):
        BottleneckConfig(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"target_modules": ["mlp"]}, "GPT2MLP.*residual_module"),
        ({"target_modules": ["mlp"], "placement": "parallel"}, "reads the layer's residual"),
        ({"target_modules": ["mlp"], "residual_module": "ln_3"}, "ln_3.*no such module"),
        ({"target_modules": ["ln_1"], "residual_module": "ln_2"}, "'ln_2' did not run before LayerNorm"),
        ({"target_modules": ["attn"], "placement": "houlsby"}, "GPT2Attention, which returns a tuple"),
    ],
)
def test_wrongly_named_modules_are_refused(settings, message):
    with pytest.raises(FinbenchError, match=message):
        logits(get_peft_model(reference.build("gpt2"), BottleneckConfig(**settings)))


def test_two_residuals_at_one_site_are_refused():
    model = adapted("gpt2")
    with pytest.raises(FinbenchError, match="'ln_2' and 'ln_1'"):
        model.add_adapter("other", BottleneckConfig(target_modules=["mlp"], residual_module="ln_1"))


def test_sites_of_the_placements():
    assert find_sites("bert", "pfeiffer").residual_module is None
    assert find_sites("gpt2", "pfeiffer") == find_sites("gpt2", "parallel")
    assert re.fullmatch(find_sites("t5", "pfeiffer").target_modules, "decoder.block.3.layer.2.dropout")
