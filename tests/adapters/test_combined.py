"""LoRA with a prefix or a prompt in one adapter: what PEFT refuses, through plain `peft=` and with shared prefixes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from peft import get_peft_model
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, T5Config, T5ForConditionalGeneration

from finbench.adapters.combined.model import LoraPrefixConfig, LoraPromptConfig
from finbench.adapters.folder import read_adapter, write_record
from finbench.errors import FinbenchError
from finbench.hf.generation import check_generation
from finbench.models.classifier import ClassifierLM
from finbench.models.fast import FastLM
from tests.adapters.test_on_model import save_shaken

KINDS = {"prefix": LoraPrefixConfig, "prompt": LoraPromptConfig}
MODULES = {"gpt2": ["c_attn"], "llama": ["q_proj", "v_proj"], "bert": ["query", "value"]}
FRONT = "The shared beginning of every row is long enough to be worth a pass of its own, is it not? " * 3
ROWS = [Instance("loglikelihood", {}, (FRONT + text, " positive"), n, ("t", n, 1)) for n, text in enumerate("ab cde f")]


def made(base: Path, kind: str, folder: Path, task_type: str = "CAUSAL_LM") -> Path:
    """Save an adapter of three virtual tokens, shaken as if it were trained."""
    auto = AutoModelForCausalLM if task_type == "CAUSAL_LM" else AutoModelForSequenceClassification
    family = next(name for name in MODULES if name in str(base))
    config = KINDS[kind](
        task_type=task_type, target_modules=MODULES[family], num_virtual_tokens=3, fan_in_fan_out=family == "gpt2"
    )
    return save_shaken(get_peft_model(auto.from_pretrained(base), config), folder)


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("kind", KINDS)
def test_lm_evals_own_hf_loads_and_answers_as_shared_prefixes_do(
    kind: str, family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    base = request.getfixturevalue(family)
    folder = made(base, kind, tmp_path / "adapter")
    options: dict[str, Any] = {"pretrained": str(base), "device": "cpu", "dtype": "float32", "batch_size": 3}
    ours = FastLM(**options, peft=str(folder))
    found = [value for value, _ in ours.loglikelihood(ROWS, disable_tqdm=True)]
    assert ours.not_shared == "", "prefixes were not shared"
    theirs = HFLM(**options, peft=str(folder))
    expected = [value for value, _ in theirs.loglikelihood(ROWS, disable_tqdm=True)]
    assert found == pytest.approx(expected, abs=1e-4)
    alone = [FastLM.loglikelihood(ours, [row], disable_tqdm=True)[0][0] for row in ROWS]
    assert found == pytest.approx(alone, abs=1e-4)
    bare = [value for value, _ in FastLM(**options).loglikelihood(ROWS, disable_tqdm=True)]
    assert found != pytest.approx(bare, abs=1e-3)
    check_generation(ours.model)  # raises where `generate` would answer without the virtual tokens
    assert ours.longest_input == theirs.max_length - 3
    with ours.model.disable_adapter(), theirs.model.disable_adapter():
        off = [value for value, _ in theirs.loglikelihood(ROWS, disable_tqdm=True)]
        assert [value for value, _ in ours.loglikelihood(ROWS, disable_tqdm=True)] == pytest.approx(off, abs=1e-4)
        assert off != pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("family", ["gpt2", "bert"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_classifier_answers_alike_alone_and_in_a_batch(
    kind: str, family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    base = request.getfixturevalue(family)
    folder = made(base, kind, tmp_path / "adapter", "SEQ_CLS")
    write_record(folder, {"labels": ["bad", "good"]})
    lm = ClassifierLM(pretrained=str(base), peft=str(folder), batch_size=4)
    docs = [{"classifier_text": [text], "choices": ["bad", "good"]} for text in ("a", "profit rose", "b c d e f g h")]
    rows = [Instance("loglikelihood", doc, ("", "good"), 0, ("t", n, 1)) for n, doc in enumerate(docs)]
    together = [value for value, _ in lm.loglikelihood(rows, disable_tqdm=True)]
    alone = [lm.loglikelihood([row], disable_tqdm=True)[0][0] for row in rows]
    assert together == pytest.approx(alone, abs=1e-5)
    assert len({round(value, 6) for value in together}) == 3


def test_what_cannot_be_is_said_in_a_line(gpt2: Path, tmp_path: Path) -> None:
    sizes = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 32}
    with pytest.raises(FinbenchError, match="not made for encoder-decoder models such as t5"):
        t5 = T5ForConditionalGeneration(T5Config(**sizes))
        get_peft_model(t5, LoraPrefixConfig(task_type="SEQ_2_SEQ_LM", target_modules=["q"]))
    with pytest.raises(FinbenchError, match="num_virtual_tokens is 0"):
        LoraPrefixConfig(num_virtual_tokens=0)
    folder = made(gpt2, "prefix", tmp_path / "adapter")
    with pytest.raises(FinbenchError, match="merge=True cannot fold LORA_PREFIX"):
        FastLM(pretrained=str(gpt2), peft=str(folder), device="cpu", merge=True)
    model = FastLM(pretrained=str(gpt2), peft=str(folder), device="cpu").model.train()
    model.get_base_model().gradient_checkpointing_enable()
    with pytest.raises(FinbenchError, match="gradient_checkpointing: false"):
        model(input_ids=torch.tensor([[1, 2, 3]]))
    assert read_adapter(str(folder)).method == "lora_prefix"
