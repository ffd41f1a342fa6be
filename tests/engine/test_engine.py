"""Shared passes give the plain forward pass's log-likelihoods, whatever the tree and the budget."""

import random
from collections.abc import Iterator

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from finbench.engine.likelihood import Query, Scorer, paying_tokens, token_budget
from finbench.engine.model import SharedModel
from finbench.hf.attention import maskable_attention
from finbench.hf.sharing import why_not


@pytest.fixture(scope="module", params=["gpt2", "llama-eager"])
def model(request: pytest.FixtureRequest) -> Iterator[torch.nn.Module]:
    torch.manual_seed(0)
    if request.param == "gpt2":
        config = GPT2Config(vocab_size=50, n_positions=128, n_embd=32, n_layer=2, n_head=2, initializer_range=0.2)
        yield GPT2LMHeadModel(config).eval()
    else:
        config = LlamaConfig(
            vocab_size=50,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            initializer_range=0.2,
            attn_implementation="eager",
        )
        yield LlamaForCausalLM(config).eval()


def plain(model: torch.nn.Module, query: Query) -> tuple[float, bool]:
    with torch.no_grad():
        logits = model(torch.tensor([query.tokens[:-1]])).logits[0, -query.answer :]
    answer = torch.tensor(query.tokens[-query.answer :])
    values = logits.log_softmax(-1)[torch.arange(query.answer), answer]
    return float(values.sum()), bool((logits.argmax(-1) == answer).all())


def queries(seed: int) -> list[Query]:
    """Return queries that share at many depths; some answers begin others, some prompts are their own stem."""
    draw = random.Random(seed)
    instruction = tuple(draw.choices(range(50), k=40))
    found = [Query((*instruction, 7), 1), Query((*instruction, 7), 1), Query((3, 4), 1)]
    for _ in range(10):
        prompt = instruction + tuple(draw.choices(range(5), k=draw.randint(1, 20)))
        for answer in ((1,), (1, 2), (1, 2, 3), (1, 4), (9, 9, 9)):
            found.append(Query(prompt + answer, len(answer)))
    return found


@pytest.mark.parametrize("budget", [1, 8, 40, 10_000])
def test_equals_the_plain_forward_pass(model: torch.nn.Module, budget: int) -> None:
    asked = queries(budget)
    for query, (value, greedy) in zip(asked, Scorer(SharedModel(model), budget).score(asked), strict=True):
        expected = plain(model, query)
        assert value == pytest.approx(expected[0], abs=1e-4)
        assert greedy == expected[1]


def test_greedy_answers_are_recognised(model: torch.nn.Module) -> None:
    prompt = [1, 2, 3]
    for _ in range(3):
        with torch.no_grad():
            prompt.append(int(model(torch.tensor([prompt])).logits[0, -1].argmax()))
    wrong = [*prompt[:-1], (prompt[-1] + 1) % 50]
    results = Scorer(SharedModel(model), 64).score([Query(tuple(prompt), 3), Query(tuple(wrong), 3)])
    assert [greedy for _, greedy in results] == [True, False]


def test_shared_tokens_run_once(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    shared, ran = SharedModel(model), []
    run = shared.run
    monkeypatch.setattr(shared, "run", lambda tree, *rest: ran.append(len(tree.tokens)) or run(tree, *rest))
    prefix = tuple(range(40))
    rows = [Query((*prefix, n, answer), 1) for n in range(1, 21) for answer in (3, 4, 5)]
    Scorer(shared, 8).score(rows)
    assert sum(ran) == len(prefix) + 20


def test_the_head_runs_only_where_an_answer_stands(model: torch.nn.Module) -> None:
    positions = []
    hook = model.lm_head.register_forward_hook(lambda _, inputs, output: positions.append(inputs[0].shape[1]))
    rows = [Query((*range(40), n, answer), 1) for n in range(10) for answer in (3, 4, 5)]
    Scorer(SharedModel(model), 1000).score(rows)
    hook.remove()
    assert sum(positions) == 10


def test_out_of_memory_halves_the_pass_and_goes_on(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = queries(0)
    expected = Scorer(SharedModel(model), 10_000).score(asked)
    shared, failures, done = SharedModel(model), [], []
    run = shared.run

    def small_memory(tree, *rest):
        if len(tree.tokens) > 50 and len(tree.paths) > 1:
            failures.append(len(tree.tokens))
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(tree, *rest)

    monkeypatch.setattr(shared, "run", small_memory)
    scorer = Scorer(shared, 10_000, advance=done.append)
    for (value, greedy), other in zip(scorer.score(asked), expected, strict=True):
        assert (pytest.approx(value, abs=1e-4), greedy) == other
    assert failures
    assert scorer.budget <= 50
    assert sum(done) == len(asked)


def test_out_of_memory_on_one_row_is_not_hidden(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedModel(model)

    def no_memory(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(shared, "run", no_memory)
    with pytest.raises(torch.OutOfMemoryError):
        Scorer(shared, 10).score([Query((1, 2, 3), 1)])


def test_a_pass_leaves_the_kept_cache_as_it_was(model: torch.nn.Module) -> None:
    from finbench.engine.prefix import chain, sort_rows

    shared, rows = SharedModel(model), sort_rows([(1, 2, 3, 4)])
    _, kept = shared.run(chain(rows, 0, 0, 2), shared.root(), [])
    _, grown = shared.run(chain(rows, 0, 2, 4), kept, [])
    assert (kept.get_seq_length(), grown.get_seq_length()) == (2, 4)


def test_the_trial_notices_rows_that_see_one_another(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = SharedModel(model)
    assert not shared.differs()
    mask = shared._tree_mask
    monkeypatch.setattr(shared, "_tree_mask", lambda tree, kept: torch.ones_like(mask(tree, kept)))
    assert shared.differs()


def test_flash_attention_is_replaced_for_the_run_only(model: torch.nn.Module) -> None:
    before = model.config._attn_implementation
    model.config._attn_implementation = "flash_attention_2"
    try:
        with maskable_attention(model):
            assert model.config._attn_implementation == "sdpa"
    except ImportError:
        pass  # going back asks for the flash attention package
    finally:
        model.config._attn_implementation = before


def test_budget_is_bounded_by_batch_and_width() -> None:
    assert token_budget(1, 10, 768) == 256
    assert token_budget(4, 80, 768) == 320
    assert token_budget(64, 80, 768) == 768
    assert token_budget(None, 80, 16_384) == 4096
    assert paying_tokens(768, torch.device("cpu")) == 768
    assert paying_tokens(768, torch.device("cuda")) == 384


def test_why_not_names_encoder_decoders() -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    assert "encoder-decoder" in why_not(T5ForConditionalGeneration(config))
