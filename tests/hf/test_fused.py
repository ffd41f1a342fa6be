"""The GELU in one kernel: the same numbers, and the model as it was afterwards."""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel
from transformers.activations import FastGELUActivation, NewGELUActivation

from finbench.hf.fused import fused_activations


@pytest.mark.parametrize("spelled_out", [NewGELUActivation(), FastGELUActivation()])
def test_the_formula_is_the_same(spelled_out: torch.nn.Module) -> None:
    holder = torch.nn.Sequential(spelled_out)
    inputs = torch.linspace(-12, 12, 4001)
    expected = holder(inputs)
    with fused_activations(holder):
        assert holder[0] is not spelled_out
        torch.testing.assert_close(holder(inputs), expected, atol=1e-6, rtol=1e-5)
    assert holder[0] is spelled_out


def test_a_model_is_as_before_even_after_an_error() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2)).eval()
    tokens = torch.arange(8)[None]
    with torch.no_grad():
        before = model(tokens).logits
        with pytest.raises(KeyError), fused_activations(model):
            assert not any(isinstance(module, NewGELUActivation) for module in model.modules())
            torch.testing.assert_close(model(tokens).logits, before, atol=1e-6, rtol=1e-5)
            raise KeyError
        assert torch.equal(model(tokens).logits, before)
