"""A demonstration that was begun goes on, and one that is done can be asked for again."""

from pathlib import Path

import pytest

from finbench.cli.demo import _train
from finbench.errors import FinbenchError

RECIPE = """\
base: {base}
tasks: [fin_fpb]
validation_share: 0
best_by: null
method: lora
target_modules: [q_proj]
max_steps: {steps}
"""


def test_what_is_trained_is_not_trained_again(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe, adapter = Path("toy.yaml"), Path("adapters", "toy")
    recipe.write_text(RECIPE.format(base=llama, steps=1))
    _train(recipe, adapter)
    record = (adapter / "finbench.json").read_bytes()
    assert "is trained already" not in capsys.readouterr().out
    _train(recipe, adapter)
    assert "is trained already" in capsys.readouterr().out
    recipe.write_text(RECIPE.format(base=llama, steps=2))
    with pytest.raises(FinbenchError, match="ended with status 2"):
        _train(recipe, adapter)
    assert "holds a finished adapter" in capsys.readouterr().err
    assert (adapter / "finbench.json").read_bytes() == record
