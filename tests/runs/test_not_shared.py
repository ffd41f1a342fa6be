"""A cell, an adapter's record and the boards say whether prefixes were shared, and --strict fails what does not."""

import json
from pathlib import Path

import pytest
from transformers import MistralConfig, MistralForCausalLM

from finbench.cells.store import read_cells
from finbench.cli import main
from tests.conftest import build_tokenizer

MATRIX = "name: small\ntasks: [fin_fpb]\nlimit: 3\nbases:\n  - {{base: {base}, name: toy, adapters: [{adapter}]}}\n"
RECIPE = "base: {base}\ntask_type: causal\ntasks: [fin_fpb]\nmethod: lora\nmax_steps: 1\nvalidation_share: 0\n"


@pytest.fixture
def narrow(tmp_path: Path) -> Path:
    """Return a base whose layers see fewer tokens than a prompt has."""
    config = MistralConfig(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        sliding_window=48,
        max_position_embeddings=1024,
    )
    MistralForCausalLM(config).save_pretrained(tmp_path / "narrow")
    return build_tokenizer(tmp_path / "narrow")


def scored(base: Path, folder: Path, *flags: str) -> tuple[int, list[str | None]]:
    recipe, matrix, adapter = folder / "recipe.yaml", folder / "matrix.yaml", folder / "adapter"
    if not adapter.exists():
        recipe.write_text(RECIPE.format(base=base))
        assert main(["finetune", str(recipe), "--output", str(adapter)]) == 0
    matrix.write_text(MATRIX.format(base=base, adapter=adapter))
    status = main(["run", str(matrix), "--cells", str(folder / "cells"), "--redo", "all", *flags])
    return status, [cell.flags["not_shared"] for cell in read_cells(folder / "cells").results]


def test_what_was_shared_is_said_nowhere(gpt2: Path, tmp_path: Path) -> None:
    assert scored(gpt2, tmp_path, "--strict") == (0, [None, None])
    record = json.loads((tmp_path / "adapter" / "finbench.json").read_text())
    assert record["not_shared"] == ""
    assert "rows shared their prefixes" in (tmp_path / "adapter" / "README.md").read_text()


def test_what_was_not_is_said_everywhere(narrow: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, reasons = scored(narrow, tmp_path)
    assert status == 0
    assert all(reason is not None and "some layers see 48 tokens" in reason for reason in reasons)
    record = json.loads((tmp_path / "adapter" / "finbench.json").read_text())
    assert "some layers see 48 tokens" in record["not_shared"]
    assert "every row ran whole" in (tmp_path / "adapter" / "README.md").read_text()
    boards = tmp_path / "boards"
    assert main(["leaderboard", "--cells", str(tmp_path / "cells"), "--output", str(boards)]) == 0
    assert "scored without shared prefixes" in (boards / "task_fpb.md").read_text()
    capsys.readouterr()
    assert scored(narrow, tmp_path, "--strict")[0] == 1
    assert "hf-fast cannot share prefixes here: some layers see 48 tokens" in capsys.readouterr().out
