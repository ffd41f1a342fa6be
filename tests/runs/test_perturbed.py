"""A matrix that asks for robustness, in a process of its own: scored, told apart, compared and rendered."""

import sys
from pathlib import Path

import pytest

from finbench.cells.store import read_cells, read_outcomes
from finbench.cli import main
from finbench.errors import FinbenchError
from finbench.runs.matrix import read_matrix
from tests import forked
from tests.conftest import build_model

MATRIX = """\
name: robust
tasks: [fin_fpb, fin_xbrl_tags]
perturb: {perturb}
limit: 6
bases:
  - {{base: {base}, name: toy}}
"""


def finbench(*words: str, cwd: Path) -> str:
    done = forked.run([sys.executable, "-m", "finbench", *words], cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_perturbed_texts_are_cells_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = build_model(tmp_path / "base", "gpt2", window=2048)
    path = tmp_path / "matrix.yaml"
    path.write_text(MATRIX.format(base=base, perturb="[none, typos, upper, tickers]"))
    said = finbench("run", str(path), cwd=tmp_path)
    assert "4 cells, 0 done, 4 to score" in said
    assert "fin_fpb, perturbed (tickers): no text would change" in said
    assert "fin_xbrl_tags, perturbed (typos, upper, tickers): texts of dataset 'xbrl_tags' are not perturbed" in said

    folder = tmp_path / "leaderboards" / "cells"
    cells = {cell.key.perturb: cell for cell in read_cells(folder).results if cell.key.task == "fin_fpb"}
    assert cells.keys() == {"none", "typos/1", "upper/1"}
    assert [cells[kind].perturbed_share for kind in ("none", "typos/1", "upper/1")] == [None, 1.0, 1.0]
    assert len({(cell.key.rows_sha256, cell.key.prompt_sha256) for cell in cells.values()}) == 1
    rows = {kind: read_outcomes(folder, cell.key) for kind, cell in cells.items()}
    for changed in (rows["typos/1"], rows["upper/1"]):
        for before, after in zip(rows["none"], changed, strict=True):
            assert (before.row_id, before.cluster, before.gold) == (after.row_id, after.cluster, after.gold)
            assert before.scores != after.scores

    monkeypatch.chdir(tmp_path)
    assert main(["run", str(path), "--dry-run"]) == 0
    assert "4 cells, 4 done, 0 to score" in capsys.readouterr().out
    finbench("leaderboard", cwd=tmp_path)
    page = (tmp_path / "leaderboards" / "robustness.md").read_text()
    assert "lost: upper" in page and "lost: typos" in page and "| toy (base) | typos" in page
    for other in (tmp_path / "leaderboards").glob("*.md"):
        assert other.name == "robustness.md" or "typos" not in other.read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [("[none, loud]", "choose among none, lower"), ("7", "a list, each a text"), ("[]", "perturb is empty")],
)
def test_what_a_matrix_cannot_ask_for(given: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "matrix.yaml").write_text(MATRIX.format(base="gpt2", perturb=given))
    with pytest.raises(FinbenchError, match=said):
        read_matrix(tmp_path / "matrix.yaml")
