"""Virtual tokens act in whatever the model does: forward passes, generation and classification."""

from typing import Any

import pytest
import torch
from packaging.version import Version
from peft import PrefixTuningConfig, PromptEncoderConfig, PromptTuningConfig, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DistilBertConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from finbench.doctor import window
from finbench.errors import FinbenchError
from finbench.hf.generation import check_generation
from finbench.hf.prompts import check_takes_prefix, connect

STEPS = 6
PROMPT = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
KINDS = {
    "prefix": lambda task: PrefixTuningConfig(task_type=task, num_virtual_tokens=5),
    "prompt": lambda task: PromptTuningConfig(task_type=task, num_virtual_tokens=5),
    "p_tuning": lambda task: PromptEncoderConfig(task_type=task, num_virtual_tokens=5, encoder_hidden_size=32),
}


def llama() -> Any:
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=100,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            initializer_range=0.5,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )


def gpt2() -> Any:
    config = GPT2Config(
        vocab_size=100,
        n_embd=32,
        n_layer=2,
        n_head=2,
        initializer_range=0.5,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return GPT2LMHeadModel(config)


def t5() -> Any:
    config = T5Config(
        vocab_size=100,
        d_model=32,
        d_kv=16,
        d_ff=64,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=0,
        initializer_factor=2.0,
    )
    return T5ForConditionalGeneration(config)


def adapted(base: Any, kind: str, task: str) -> Any:
    """Return the base with trained-looking virtual tokens."""
    model = get_peft_model(base.eval(), KINDS[kind](task)).eval()
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=2.0)
    return connect(model)


@torch.no_grad()
def by_whole_passes(model: Any) -> list[list[int]]:
    """Return greedy answers of whole forward passes, which keep nothing between steps."""
    seq2seq = model.config.is_encoder_decoder
    written = torch.zeros(2, 1, dtype=torch.long) if seq2seq else PROMPT
    for _ in range(STEPS):
        if seq2seq:
            inputs = {"input_ids": PROMPT, "attention_mask": torch.ones_like(PROMPT), "decoder_input_ids": written}
        else:
            inputs = {"input_ids": written, "attention_mask": torch.ones_like(written)}
        written = torch.cat([written, model(**inputs).logits[:, -1:].argmax(-1)], 1)
    return written.tolist()


@pytest.mark.filterwarnings("error:.*past_key_values.*:FutureWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("base", "task"), [(llama, "CAUSAL_LM"), (gpt2, "CAUSAL_LM"), (t5, "SEQ_2_SEQ_LM")])
def test_generation_has_the_virtual_tokens(base: Any, task: str, kind: str) -> None:
    torch.manual_seed(0)
    model = adapted(base(), kind, task)
    made = model.generate(
        input_ids=PROMPT,
        attention_mask=torch.ones_like(PROMPT),
        max_new_tokens=STEPS,
        min_new_tokens=STEPS,
        suppress_tokens=None,
        do_sample=False,
        eos_token_id=99 if task == "CAUSAL_LM" else None,
    )
    same = made.tolist()[0][:5] == by_whole_passes(model)[0][:5]
    if refused(base, kind):
        with pytest.raises(FinbenchError, match="generation drops the virtual tokens"):
            check_generation(model)
        return
    assert same
    check_generation(model)


def refused(base: Any, kind: str) -> bool:
    """Return whether the window says that the installed peft cannot generate with this adapter."""
    known = [one for one in window.refused() if one.library == "peft" and "T5 with a prefix" in one.what]
    return base is t5 and kind == "prefix" and Version(str(window.installed("peft"))) < Version(known[0].below)


def test_generation_that_drops_them_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    model = adapted(llama(), "prefix", "CAUSAL_LM")
    base = model.get_base_model()
    monkeypatch.setattr(model, "generate", base.generate)
    monkeypatch.setattr(base, "forward", base.forward)
    with pytest.raises(FinbenchError, match="generation drops the virtual tokens of a PREFIX_TUNING adapter"):
        check_generation(model)


def test_a_classifier_without_kept_keys_is_refused_by_name() -> None:
    config = DistilBertConfig(vocab_size=100, dim=32, n_layers=1, n_heads=2, hidden_dim=64)
    base = AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(FinbenchError, match="prefix tuning keeps keys and values .* and distilbert takes none"):
        check_takes_prefix(base)


def test_a_classifier_with_a_prefix_changes_and_trains() -> None:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=100, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    base = AutoModelForSequenceClassification.from_config(config).eval()
    bare = base(input_ids=PROMPT).logits
    model = adapted(base, "prefix", "SEQ_CLS")
    logits = model(input_ids=PROMPT, attention_mask=torch.ones_like(PROMPT)).logits
    assert (logits - bare).abs().max() > 1e-3
    logits.sum().backward()
    assert any(w.grad is not None and w.grad.abs().max() > 0 for n, w in model.named_parameters() if "prompt" in n)
