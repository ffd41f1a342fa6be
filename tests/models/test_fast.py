"""`hf-fast` gives `hf`'s numbers and texts on every family, adapter method and batch size, several times as cheaply."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from finbench.engine.model import SharedModel
from finbench.errors import FinbenchError
from finbench.models.fast import FastLM
from finbench.models.sharing import trial

SIZE = {
    "vocab_size": 400,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
GROUPED = {**SIZE, "num_key_value_heads": 2, "head_dim": 8}
GPT2 = {
    "vocab_size": 400,
    "n_positions": 512,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 2,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
}

FAMILIES: dict[str, Callable[[], PreTrainedModel]] = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(**GPT2)),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**GROUPED)),
    "gpt_neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SIZE)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**GROUPED)),
    "mistral": lambda: MistralForCausalLM(MistralConfig(**GROUPED)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**GROUPED, final_logit_softcapping=3.0)),
    "gemma3": lambda: Gemma3ForCausalLM(Gemma3TextConfig(**GROUPED)),
}
UNSHARED: dict[str, Callable[[], PreTrainedModel]] = {
    "mistral": lambda: MistralForCausalLM(MistralConfig(**GROUPED, sliding_window=24)),
    "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**GROUPED, sliding_window=24)),
    "mamba": lambda: MambaForCausalLM(MambaConfig(vocab_size=400, hidden_size=32, num_hidden_layers=1, state_size=4)),
}
NEWS = [
    "company profit rose",
    "company profit fell this year",
    "sales fell",
    "the market",
    "shares rose in the quarter as sales rose",
    "loss",
]
PROMPT = "instruction what is the sentiment of this news input sales rose answer positive\ninput {}\nanswer"


def scored(prompts: Sequence[str] | None = None, answers: Sequence[str] = ()) -> list[Instance]:
    """Return log-likelihood requests: answers of one and of several tokens, some beginning others."""
    prompts = [PROMPT.format(news) for news in NEWS] if prompts is None else prompts
    answers = answers or [" positive", " negative", " neutral", " neutral shares", " n"]
    return [
        Instance("loglikelihood", {"id": f"row-{number}"}, (prompt, answer), index, metadata=("fin_test", number, 1))
        for number, prompt in enumerate(prompts)
        for index, answer in enumerate(answers)
    ]


def asked(**settings: object) -> list[Instance]:
    """Return generation requests; the last is the first once more."""
    settings = {"until": ["\n"], "max_gen_toks": 10, "do_sample": False, **settings}
    return [
        Instance("generate_until", {"id": f"row-{n}"}, (PROMPT.format(news), settings), 0, metadata=("fin_test", n, 1))
        for n, news in enumerate([*NEWS, NEWS[0]])
    ]


def make(build: Callable[[], PreTrainedModel]) -> PreTrainedModel:
    torch.manual_seed(0)
    return build().eval()


def stock(model: object, tokenizer: object, batch_size: int = 4) -> HFLM:
    return HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)


def fast(model: object, tokenizer: object, batch_size: int | str = 4, **options: object) -> FastLM:
    return FastLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, **{"strict": True, **options})


def assert_same(ours: list[tuple[float, bool]], theirs: list[tuple[float, bool]], within: float = 1e-4) -> None:
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=within)
    assert [greedy for _, greedy in ours] == [greedy for _, greedy in theirs]


def differ(ours: list[tuple[float, bool]], theirs: list[tuple[float, bool]]) -> bool:
    return max(abs(one - other) for (one, _), (other, _) in zip(ours, theirs, strict=True)) > 1e-3


@pytest.fixture
def shares(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the shared passes (tokens in each), to see that a test did not compare `hf` with itself."""
    ran: list[int] = []
    run = SharedModel.run
    monkeypatch.setattr(
        SharedModel, "run", lambda self, tree, *rest: ran.append(len(tree.tokens)) or run(self, tree, *rest)
    )
    return ran


@pytest.mark.parametrize("family", FAMILIES)
def test_same_numbers_and_texts_as_hf(family: str, tokenizer: object, shares: list[int]) -> None:
    model = make(FAMILIES[family])
    expected = stock(model, tokenizer).loglikelihood(scored())
    texts = stock(model, tokenizer, 1).generate_until(asked())
    for batch_size in (1, 8, 64, "auto"):
        lm = fast(model, tokenizer, batch_size)
        assert_same(lm.loglikelihood(scored()), expected)
        assert lm.generate_until(asked()) == texts
        assert set(lm.reasons.values()) == {""}
    assert shares


@pytest.mark.parametrize("family", UNSHARED)
def test_what_cannot_be_shared_is_scored_as_hf_does(
    family: str, tokenizer: object, caplog: pytest.LogCaptureFixture
) -> None:
    model = make(UNSHARED[family])
    lm = fast(model, tokenizer, strict=False)
    with caplog.at_level(logging.WARNING, logger="finbench"):
        assert lm.loglikelihood(scored()) == stock(model, tokenizer).loglikelihood(scored())
        lm.loglikelihood(scored())
    said = [record.message for record in caplog.records if "without shared prefixes" in record.message]
    assert len(said) == 1 and lm.not_shared in said[0]
    with pytest.raises(FinbenchError, match="hf-fast cannot share prefixes here: .* Leave strict out"):
        fast(model, tokenizer).loglikelihood(scored())


def adapted(model: PreTrainedModel, kind: str) -> object:
    """Return the model with an adapter whose weights are far from doing nothing."""
    import peft

    task = {"task_type": "CAUSAL_LM"}
    configs = {
        "lora": lambda: peft.LoraConfig(**task, r=4, init_lora_weights=False),
        "dora": lambda: peft.LoraConfig(**task, r=4, use_dora=True, init_lora_weights=False),
        "ia3": lambda: peft.IA3Config(**task, init_ia3_weights=False),
        "prefix": lambda: peft.PrefixTuningConfig(**task, num_virtual_tokens=5),
        "prompt": lambda: peft.PromptTuningConfig(**task, num_virtual_tokens=5),
        "p_tuning": lambda: peft.PromptEncoderConfig(**task, num_virtual_tokens=5, encoder_hidden_size=16),
    }
    torch.manual_seed(1)
    return peft.get_peft_model(model, configs[kind]()).eval()


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3", "prefix", "prompt", "p_tuning"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_same_numbers_and_texts_with_adapters(family: str, kind: str, tokenizer: object, shares: list[int]) -> None:
    base = fast(make(FAMILIES[family]), tokenizer).loglikelihood(scored())
    shares.clear()
    model = adapted(make(FAMILIES[family]), kind)
    expected = stock(model, tokenizer).loglikelihood(scored())
    assert differ(expected, base)
    lm = fast(model, tokenizer, 8)
    assert_same(lm.loglikelihood(scored()), expected)
    assert lm.generate_until(asked()) == stock(model, tokenizer, 1).generate_until(asked())
    assert shares
    with model.disable_adapter():
        assert_same(lm.loglikelihood(scored()), base)


def test_nothing_of_the_weights_is_kept_between_calls(tokenizer: object) -> None:
    import peft

    model = adapted(make(FAMILIES["gpt2"]), "lora")
    model.add_adapter("other", peft.LoraConfig(task_type="CAUSAL_LM", r=2, init_lora_weights=False))
    lm = fast(model, tokenizer)
    first = lm.loglikelihood(scored())
    model.set_adapter("other")
    other = lm.loglikelihood(scored())
    assert_same(other, stock(model, tokenizer).loglikelihood(scored()))
    assert differ(other, first)
    model.set_adapter("default")
    assert lm.loglikelihood(scored()) == first


def test_rows_are_tokenised_once(tokenizer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = fast(make(FAMILIES["gpt2"]), tokenizer)
    first = lm.loglikelihood(scored())
    monkeypatch.setattr(HFLM, "tok_encode", lambda *_: pytest.fail("tokenised again"))
    assert lm.loglikelihood(scored()) == first


def test_bfloat16_chooses_as_float32(tokenizer: object) -> None:
    expected = fast(make(FAMILIES["llama"]), tokenizer).loglikelihood(scored())
    lm = fast(make(FAMILIES["llama"]).bfloat16(), tokenizer)
    assert [value for value, _ in lm.loglikelihood(scored())] == pytest.approx([v for v, _ in expected], abs=0.5)
    assert set(lm.reasons.values()) == {""}


def test_bos_and_empty_context_and_trailing_space(llama: Path) -> None:
    prompts = ["", "company profit ", "<s>sales rose", PROMPT.format("loss")]
    options = {"pretrained": str(llama), "device": "cpu", "dtype": "float32", "batch_size": 2}
    expected = HFLM(**options).loglikelihood(scored(prompts))
    assert_same(FastLM(**options).loglikelihood(scored(prompts)), expected)


def test_rolling_likelihood(gpt2: Path) -> None:
    options = {"pretrained": str(gpt2), "device": "cpu", "max_length": 16, "batch_size": 3}
    texts = [Instance("loglikelihood_rolling", {}, (PROMPT.format(news),), 0) for news in NEWS]
    assert FastLM(**options).loglikelihood_rolling(texts) == pytest.approx(
        HFLM(**options).loglikelihood_rolling(texts), abs=1e-3
    )


def test_chat_template(tokenizer: PreTrainedTokenizerFast) -> None:
    model = make(FAMILIES["gpt2"])
    tokenizer.chat_template = "{% for m in messages %}<s>{{ m['role'] }} {{ m['content'] }}</s>{% endfor %}answer"
    try:
        lm = fast(model, tokenizer)
        prompts = [lm.apply_chat_template([{"role": "user", "content": PROMPT.format(news)}]) for news in NEWS]
        assert_same(lm.loglikelihood(scored(prompts)), stock(model, tokenizer).loglikelihood(scored(prompts)))
    finally:
        tokenizer.chat_template = None


@pytest.mark.parametrize("settings", [{"until": ["e", "\n"]}, {"until": [], "repetition_penalty": 1.5}, {}])
def test_stop_rules_and_settings_of_generation(settings: dict[str, object], tokenizer: object) -> None:
    model = make(FAMILIES["llama"])
    texts = fast(model, tokenizer, 8).generate_until(asked(**settings))
    assert texts == stock(model, tokenizer, 1).generate_until(asked(**settings))
    assert not any("e" in text for text in texts) or "e" not in settings.get("until", [])


def test_sampling_is_left_to_hf(tokenizer: object, shares: list[int]) -> None:
    model = make(FAMILIES["gpt2"])
    settings = {"do_sample": True, "temperature": 1.0}
    torch.manual_seed(3)
    ours = fast(model, tokenizer).generate_until(asked(**settings))
    torch.manual_seed(3)
    assert ours == stock(model, tokenizer).generate_until(asked(**settings))
    assert not shares


def test_generation_halves_the_pass_when_memory_runs_out(tokenizer: object, monkeypatch: pytest.MonkeyPatch) -> None:
    lm = fast(make(FAMILIES["gpt2"]), tokenizer, 64)
    expected = lm.generate_until(asked())
    step, sizes = SharedModel.step, []

    def small_memory(self, tokens, *rest):
        sizes.append(len(tokens))
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return step(self, tokens, *rest)

    monkeypatch.setattr(SharedModel, "step", small_memory)
    assert lm.generate_until(asked()) == expected
    assert max(sizes) > 2
    assert min(sizes) <= 2


def test_a_prefix_is_not_copied_for_its_rows(tokenizer: object, shares: list[int]) -> None:
    lm = fast(make(FAMILIES["gpt2"]), tokenizer, 64)
    prompts = ["sales rose " * 40 + news for news in ("", *NEWS)]  # the first is a prefix of the others
    settings = {"until": ["\n"], "max_gen_toks": 4}
    requests = [Instance("generate_until", {}, (prompt, settings), 0) for prompt in prompts]
    trial(lm)
    shares.clear()
    assert lm.generate_until(requests) == stock(lm.model, tokenizer, 1).generate_until(requests)
    assert sum(shares) < 2 * len(tokenizer.encode(prompts[0]))
