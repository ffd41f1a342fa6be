"""What `hf-fast` refuses or takes beyond `hf`: too long an input, NaN, bits, merging."""

import math
from pathlib import Path

import pytest
from lm_eval.models.huggingface import HFLM

from finbench.errors import FinbenchError
from finbench.models.fast import FastLM
from tests.conftest import build_model
from tests.models.test_fast import FAMILIES, adapted, asked, assert_same, fast, make, scored, stock


def test_too_long_an_input_is_refused_by_name(tokenizer: object) -> None:
    lm = fast(make(FAMILIES["gpt2"]), tokenizer, max_length=64)
    with pytest.raises(FinbenchError, match=r"fin_test, row row-1: the input has \d+ tokens, the model reads 64"):
        lm.loglikelihood(scored(["sales", "sales rose " * 60]))
    with pytest.raises(FinbenchError, match=r"fin_test, row row-1: .* an answer of up to 40"):
        lm.generate_until(asked(max_gen_toks=40))


def test_truncation_is_counted_and_cuts_as_hf_does(tokenizer: object) -> None:
    model = make(FAMILIES["gpt2"])
    lm = fast(model, tokenizer, max_length=64, truncate="report")
    requests = scored(["sales", "company fell " + "sales rose " * 60])
    expected = HFLM(pretrained=model, tokenizer=tokenizer, max_length=64, batch_size=4).loglikelihood(requests)
    assert_same(lm.loglikelihood(requests), expected)
    assert lm.truncated_requests == {("fin_test", 1)}
    theirs = HFLM(pretrained=model, tokenizer=tokenizer, max_length=64, batch_size=1).generate_until(
        asked(max_gen_toks=40)
    )
    assert lm.generate_until(asked(max_gen_toks=40)) == theirs


def test_virtual_tokens_take_their_share_of_the_window(tokenizer: object) -> None:
    lm = fast(adapted(make(FAMILIES["gpt2"]), "prompt"), tokenizer, max_length=64)
    assert lm.longest_input == 59


def test_nan_is_refused_by_name(tokenizer: object) -> None:
    model = make(FAMILIES["gpt2"])
    model.transformer.ln_f.weight.data.fill_(math.nan)
    with pytest.raises(FinbenchError, match="fin_test, row row-0: the log-likelihood is NaN"):
        fast(model, tokenizer, strict=False).loglikelihood(scored())


@pytest.mark.parametrize("bits", ["load_in_8bit", "load_in_4bit"])
def test_bits_are_model_arguments_again(bits: str, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="quantised bases need bitsandbytes")
    # With larger weights 8-bit picks its outlier columns by batch, and `hf` differs from itself between batch sizes.
    folder = build_model(tmp_path, "llama", initializer_range=0.1)
    lm = FastLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=8, **{bits: True})
    assert getattr(lm.model.config.quantization_config, bits)
    plain = FastLM(pretrained=str(folder), device="cpu", dtype="float32", batch_size=8)
    ours = lm.loglikelihood(scored())
    assert ours != plain.loglikelihood(scored())
    theirs = stock(lm.model, lm.tokenizer).loglikelihood(scored())
    assert [value for value, _ in ours] == pytest.approx([value for value, _ in theirs], abs=1e-2)


def test_contradictory_bits_are_refused(gpt2: Path) -> None:
    with pytest.raises(FinbenchError, match="choose one"):
        FastLM(pretrained=str(gpt2), device="cpu", load_in_8bit=True, load_in_4bit=True)
    with pytest.raises(FinbenchError, match="bnb_4bit_width"):
        FastLM(pretrained=str(gpt2), device="cpu", load_in_4bit=True, bnb_4bit_width=3)


def test_merge_gives_the_same_answers(gpt2: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    adapted(AutoModelForCausalLM.from_pretrained(gpt2), "lora").save_pretrained(tmp_path)
    options = {"pretrained": str(gpt2), "peft": str(tmp_path), "device": "cpu", "dtype": "float32", "batch_size": 8}
    lm = FastLM(**options, merge=True)
    assert not any("lora" in name for name, _ in lm.model.named_parameters())
    assert_same(lm.loglikelihood(scored()), FastLM(**options).loglikelihood(scored()))


def test_merge_refuses_what_it_would_change(tokenizer: object, tmp_path: Path) -> None:
    with pytest.raises(FinbenchError, match="add peft="):
        fast(make(FAMILIES["gpt2"]), tokenizer, merge=True)
    with pytest.raises(FinbenchError, match="cannot fold PREFIX_TUNING"):
        fast(adapted(make(FAMILIES["gpt2"]), "prefix"), tokenizer, merge=True)
    model = adapted(make(FAMILIES["gpt2"]), "lora")
    model.config.quantization_config = {"quant_method": "bitsandbytes", "load_in_8bit": True}
    with pytest.raises(FinbenchError, match="quantised"):
        fast(model, tokenizer, merge=True)


def test_unknown_truncation_is_refused(tokenizer: object) -> None:
    with pytest.raises(FinbenchError, match="truncate='left'"):
        fast(make(FAMILIES["gpt2"]), tokenizer, truncate="left")
