"""Adapters put on and taken off one model: each is in effect, and the model is then as it was, to the bit."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import (
    AdaptionPromptConfig,
    IA3Config,
    LNTuningConfig,
    LoraConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from finbench.adapters.bottleneck.model import BottleneckConfig
from finbench.adapters.combined.model import LoraPrefixConfig, LoraPromptConfig
from finbench.adapters.folder import read_adapter, write_record
from finbench.adapters.on_model import Switch, probe
from finbench.errors import FinbenchError
from finbench.runs.bases.loaded import ClassifierBase
from finbench.runs.matrix import Base, Matrix

CAUSAL: dict[str, Any] = {
    "lora": LoraConfig(task_type="CAUSAL_LM", target_modules=["c_attn"]),
    "dora": LoraConfig(task_type="CAUSAL_LM", target_modules=["c_attn"], use_dora=True),
    "lora and a trained head": LoraConfig(
        task_type="CAUSAL_LM", target_modules=["c_attn"], modules_to_save=["lm_head", "ln_f"]
    ),
    "ia3": IA3Config(task_type="CAUSAL_LM", target_modules=["c_attn"], feedforward_modules=[]),
    "prefix": PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "prompt": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
    "p-tuning": PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=3, encoder_hidden_size=8),
    "layer norms": LNTuningConfig(task_type="CAUSAL_LM", target_modules=["ln_1", "ln_2"]),
    "bottleneck": BottleneckConfig(task_type="CAUSAL_LM"),
    "parallel bottleneck": BottleneckConfig(task_type="CAUSAL_LM", placement="parallel"),
    "lora and a prefix": LoraPrefixConfig(task_type="CAUSAL_LM", target_modules=["c_attn"], num_virtual_tokens=3),
    "lora and a prompt": LoraPromptConfig(task_type="CAUSAL_LM", target_modules=["c_attn"], num_virtual_tokens=3),
}


def save_shaken(model: Any, folder: Path, seed: int = 0) -> Path:
    """Save an adapter as if it had been trained: freshly made ones change nothing."""
    model.save_pretrained(folder)
    path = folder / "adapter_model.safetensors"
    torch.manual_seed(seed)
    save_file({name: weight + 0.1 * torch.randn_like(weight) for name, weight in load_file(path).items()}, path)
    return folder


@pytest.mark.parametrize("method", CAUSAL)
def test_a_base_is_as_before_to_the_bit(method: str, gpt2: Path, tmp_path: Path) -> None:
    folder = save_shaken(get_peft_model(AutoModelForCausalLM.from_pretrained(gpt2), CAUSAL[method]), tmp_path)
    model = AutoModelForCausalLM.from_pretrained(gpt2).eval()
    before, switch = probe(model), Switch(model)
    first = probe(switch.put_on(folder))
    assert switch.proof().changed and not torch.equal(first, before)
    assert switch.take_off() and torch.equal(probe(model), before)
    assert torch.equal(probe(switch.put_on(folder)), first)
    assert switch.take_off()


def test_a_lora_that_does_nothing_is_found_out(gpt2: Path, tmp_path: Path) -> None:
    get_peft_model(AutoModelForCausalLM.from_pretrained(gpt2), CAUSAL["lora"]).save_pretrained(tmp_path)
    switch = Switch(AutoModelForCausalLM.from_pretrained(gpt2).eval())
    switch.put_on(tmp_path)
    assert not switch.proof().changed


def test_an_adapter_of_another_size_is_refused_and_leaves_nothing(gpt2: Path, tmp_path: Path) -> None:
    folder = save_shaken(get_peft_model(AutoModelForCausalLM.from_pretrained(gpt2), CAUSAL["lora"]), tmp_path)
    weights = load_file(folder / "adapter_model.safetensors")
    wider = {name: torch.cat([weight, weight], dim=-1) for name, weight in weights.items()}
    save_file(wider, folder / "adapter_model.safetensors")
    switch = Switch(AutoModelForCausalLM.from_pretrained(gpt2).eval())
    with pytest.raises(FinbenchError, match="does not fit this base"):
        switch.put_on(folder)
    assert switch.take_off()


@pytest.mark.parametrize("placement", ["pfeiffer", "parallel"])
def test_a_bottleneck_that_does_not_fit_leaves_no_hook(placement: str, gpt2: Path, tmp_path: Path) -> None:
    config = BottleneckConfig(task_type="CAUSAL_LM", placement=placement)
    folder = save_shaken(get_peft_model(AutoModelForCausalLM.from_pretrained(gpt2), config), tmp_path)
    weights = load_file(folder / "adapter_model.safetensors")
    wider = {name: torch.cat([weight, weight]) for name, weight in weights.items()}
    save_file(wider, folder / "adapter_model.safetensors")
    model = AutoModelForCausalLM.from_pretrained(gpt2).eval()
    switch = Switch(model)
    for _ in range(2):
        with pytest.raises(FinbenchError):
            switch.put_on(folder)
        assert switch.take_off()
        assert not [name for name, part in model.named_modules() if part._forward_pre_hooks or part._forward_hooks]


def test_an_adapter_that_changes_modules_in_place_is_seen(llama: Path, tmp_path: Path) -> None:
    """LLaMA-Adapter has no layer of PEFT's to pass over."""
    config = AdaptionPromptConfig(task_type="CAUSAL_LM", adapter_len=4, adapter_layers=1)
    folder = save_shaken(get_peft_model(AutoModelForCausalLM.from_pretrained(llama), config), tmp_path)
    switch = Switch(AutoModelForCausalLM.from_pretrained(llama).eval())
    switch.put_on(folder)
    assert switch.proof().changed


def classifier_adapter(bert: Path, folder: Path, labels: list[str], seed: int) -> Path:
    base = AutoModelForSequenceClassification.from_pretrained(bert, num_labels=len(labels))
    config = LoraConfig(task_type="SEQ_CLS", target_modules=["query", "value"])
    save_shaken(get_peft_model(base, config), folder, seed)
    write_record(folder, {"labels": labels, "method": "lora"})
    return folder


def test_classifiers_of_different_classes_share_one_encoder(bert: Path, tmp_path: Path) -> None:
    three = read_adapter(str(classifier_adapter(bert, tmp_path / "3", ["negative", "neutral", "positive"], 1)))
    two = read_adapter(str(classifier_adapter(bert, tmp_path / "2", ["no", "yes"], 2)))
    base = Base(str(bert), model="hf-classifier")
    loaded = ClassifierBase(base, Matrix("m", ("fin_fpb",), (base,)))
    encoder = loaded._model.bert
    seen = []
    for adapter in (three, two, three):
        assert loaded.put_on(adapter).changed
        logits = probe(loaded._switch._wrapped)  # type: ignore[union-attr]
        assert logits.shape == (1, len(adapter.labels)) and torch.isfinite(logits).all()
        assert loaded._switch._wrapped.get_base_model().bert is encoder  # type: ignore[union-attr]
        seen.append(logits)
        loaded.take_off()
        assert loaded._model.bert is encoder  # not loaded anew, so the encoder came back to the bit
    assert torch.equal(seen[0], seen[2])
    fresh = AutoModelForSequenceClassification.from_pretrained(bert, num_labels=2)
    from peft import PeftModel

    assert torch.allclose(probe(PeftModel.from_pretrained(fresh, two.path).eval()), seen[1], atol=1e-6)
