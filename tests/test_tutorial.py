"""The notebook runs from its first cell to its last, and ends in a board."""

import json
import os
import sys
from pathlib import Path

from tests import forked

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "tutorial.ipynb"


def test_the_notebook_runs_to_its_board(tmp_path: Path) -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    assert all(not cell["outputs"] for cell in cells if cell["cell_type"] == "code")
    script = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    environment = {**os.environ, "FINBENCH_HOME": str(tmp_path / "home"), "OMP_NUM_THREADS": "1"}
    done = forked.run([sys.executable, "-c", script], cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    after = done.stderr.rpartition("80/80")[2]  # the bar of the toy model's building is that of a terminal
    lines = [line for line in after.splitlines()[1:] if line.strip() and "Writing model shards" not in line]
    assert not lines, "a reader sees other libraries' notices"
    board = (tmp_path / "leaderboards" / "README.md").read_text()
    assert "toy + lora" in board and board in done.stdout
