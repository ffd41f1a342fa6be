"""A packed tree's attention by a block mask is the dense one, whatever is kept, and the trial says which is used."""

import logging
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from finbench.engine import model as engine
from finbench.engine.model import SharedModel
from finbench.engine.prefix import chain, pack, sort_rows
from finbench.hf import flex
from finbench.hf.blocks import dense
from finbench.hf.flex import BlockMasked


def always(*_: object) -> bool:
    return True


def run_by_flex(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a processor's passes run by FlexAttention, as it is without a compiler, under the dense mask."""

    def made(ends: list[int], kept: int, model: object, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
        return dense(ends, kept, device)[None, None]

    def masked(mask: torch.Tensor | None, ends: list[int]) -> object:
        return nullcontext() if mask is None else BlockMasked(mask, ends, lambda: flex_attention, always)

    monkeypatch.setattr(engine, "tree_mask", made)
    monkeypatch.setattr(engine, "block_masked", masked)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_pass_by_a_block_mask_gives_the_logits_of_the_dense_one(
    family: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoModelForCausalLM

    folder: Path = request.getfixturevalue(family)
    model = SharedModel(AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval())
    torch.manual_seed(0)
    front = torch.randint(3, 400, (40,)).tolist()
    rows = sort_rows([[*front, *torch.randint(3, 400, (length,)).tolist()] for length in (150, 40, 90, 3)])
    past = model.run(chain(rows, 0, 0, 40), model.root(), [])[1]
    tree = pack(rows, range(4), 40, 1000)
    expected, _ = model.run(tree, past, range(len(tree.tokens)))
    run_by_flex(monkeypatch)
    used = BlockMasked.used
    found, _ = model.run(tree, past, range(len(tree.tokens)))
    assert BlockMasked.used == used + 2  # one a layer
    assert torch.allclose(found, expected, atol=1e-5), (found - expected).abs().max()


def attention(blocks: Callable[..., torch.Tensor]) -> tuple[tuple[torch.Tensor, ...], dict[str, Any], Any]:
    torch.manual_seed(0)
    args = tuple(torch.randn(1, 2, 64, 8) for _ in range(3))
    return args, {"attn_mask": torch.ones(1, 1, 64, 64, dtype=torch.bool).tril()}, blocks


def test_the_trial_takes_what_is_faster_and_asks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flex, "_paying", {})
    seconds = iter([1.0, 2.0, 2.0, 1.0])
    monkeypatch.setattr(flex, "_seconds", lambda attend, device: next(seconds))
    equal = attention(lambda args, kwargs: scaled_dot_product_attention(*args, **kwargs))
    assert flex.pays(*equal) and flex.pays(*equal)  # one trial: two times are left
    flex._paying.clear()
    assert not flex.pays(*equal)


@pytest.mark.parametrize("kind", ["differs", "fails"])
def test_what_differs_or_does_not_run_stays_dense_and_says_so(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(flex, "_paying", {})

    def blocks(args: tuple[torch.Tensor, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        if kind == "fails":
            raise RuntimeError("no kernel\nfor this device")
        return scaled_dot_product_attention(*args, **kwargs) + 0.01

    with caplog.at_level(logging.WARNING, "finbench.hf.flex"):
        assert not flex.pays(*attention(blocks))
    assert "stays dense here" in caplog.text


def test_short_passes_and_processors_are_left_alone() -> None:
    mask = torch.ones(1, 1, 1024, 1024, dtype=torch.bool)
    with flex.choosing(flex.pays):
        assert not isinstance(flex.block_masked(mask, range(1, 1025)), BlockMasked)
        assert not isinstance(flex.block_masked(None, ()), BlockMasked)
