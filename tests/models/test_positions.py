"""Rotary embeddings that change with the length of a pass: prefixes are shared up to the switch and not beyond."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, Phi3Config, Phi3ForCausalLM

from finbench.hf.attention import window
from finbench.models.fast import FastLM
from finetune.shared_prefix import why_plain
from tests.conftest import build_tokenizer

SWITCH, LONGEST = 24, 96
SMALL = {"vocab_size": 400, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}


def llama(rope: dict[str, Any], positions: int) -> torch.nn.Module:
    torch.manual_seed(0)
    config = LlamaConfig(
        **SMALL, num_attention_heads=4, max_position_embeddings=positions, rope_parameters={"rope_theta": 1e4, **rope}
    )
    return LlamaForCausalLM(config).eval()


def longrope() -> torch.nn.Module:
    torch.manual_seed(0)
    config = Phi3Config(
        **SMALL,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=LONGEST,
        original_max_position_embeddings=SWITCH,
        pad_token_id=0,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 1e4,
            "original_max_position_embeddings": SWITCH,
            "short_factor": [1.0] * 4,
            "long_factor": [3.0] * 4,
        },
    )
    return Phi3ForCausalLM(config).eval()


MODELS = {
    "dynamic": lambda: llama({"rope_type": "dynamic", "factor": 4.0}, SWITCH),
    "longrope": longrope,
}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return AutoTokenizer.from_pretrained(build_tokenizer(tmp_path_factory.mktemp("words")))


def asked(words: Any, tokens: int) -> list[Instance]:
    """Return requests that share a beginning, of so many tokens read each."""
    start = [" year"] * (tokens - 3)
    prompts = ["".join([*start, end, " rose"]) for end in (" profit", " loss", " sales")]
    assert len(words(prompts[0])["input_ids"]) == tokens - 1
    return [
        Instance("loglikelihood", {"id": n}, (prompt, answer), 0, ("t", n, 1))
        for n, prompt in enumerate(prompts)
        for answer in (" positive negative", " quarter market")
    ]


@pytest.mark.parametrize("tokens", [SWITCH - 4, SWITCH, SWITCH + 1, 3 * SWITCH])
@pytest.mark.parametrize("kind", MODELS)
def test_numbers_are_those_of_hf_on_both_sides_of_the_switch(kind: str, tokens: int, words: Any) -> None:
    requests = asked(words, tokens)
    stock = HFLM(pretrained=MODELS[kind](), tokenizer=words, max_length=LONGEST, batch_size=6)
    fast = FastLM(pretrained=MODELS[kind](), tokenizer=words, max_length=LONGEST, batch_size=6)
    expected = [value for value, _ in stock.loglikelihood(requests, disable_tqdm=True)]
    found = [value for value, _ in fast.loglikelihood(requests, disable_tqdm=True)]
    assert found == pytest.approx(expected, abs=1e-4)
    read = max(len(words(request.args[0] + request.args[1])["input_ids"]) - 1 for request in requests)
    assert (fast.not_shared == "") == (read <= SWITCH)
    assert ("turned otherwise" in fast.not_shared) == (read > SWITCH)


@pytest.mark.parametrize("kind", MODELS)
def test_training_knows_the_switch(kind: str) -> None:
    model = MODELS[kind]()
    assert window(model)[0] == SWITCH
    assert why_plain(model, SWITCH) == ""
    assert "turned otherwise" in why_plain(model, SWITCH + 1)


def test_a_rotary_embedding_that_nobody_knows_is_not_shared(words: Any, tmp_path: Path) -> None:
    model = llama({"rope_type": "linear", "factor": 2.0}, LONGEST)
    assert window(model)[0] is None and why_plain(model, LONGEST) == ""
    model.config.rope_parameters["rope_type"] = "spiral"
    assert "spiral" in why_plain(model, 8)
    fast = FastLM(pretrained=model, tokenizer=words, batch_size=2)
    fast.loglikelihood(asked(words, 8), disable_tqdm=True)
    assert "spiral" in fast.not_shared
