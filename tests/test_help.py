"""What a user reads of every command, and what a dry run says and leaves alone."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from finbench.cli import COMMANDS, EXAMPLES, build_parser, main


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_an_example_that_the_command_takes(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith(f"example: {EXAMPLES[command]}")
    words = shlex.split(EXAMPLES[command].partition(" >> ")[0])[1:]
    options, rest = build_parser(command).parse_known_args(words)
    assert options.command == command and all("=" in word for word in rest)


def test_a_dry_run_of_a_training_says_what_it_would_do_and_leaves_nothing(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(
        f"base: {bert}\ntasks: [fin_fpb]\ntask_type: classifier\nmethod: lora\nvalidation_share: 0.3\n"
    )
    batch = 7
    code = "import sys\nfrom finbench.cli import main\nmain(sys.argv[1:])\nprint('peft' in sys.modules)"
    words = ["finetune", "r.yaml", "epochs=3", f"batch_size={batch}", "--dry-run", "--output", "out"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = re.search(r"(\d+) train rows, (\d+) validation rows", done.stdout)
    assert found is not None
    rows, validation = map(int, found.groups())
    assert f"{-(-rows // batch) * 3} steps of {batch} rows, into out" in done.stdout and validation > 0
    assert done.stdout.endswith("False\n") and [path.name for path in tmp_path.iterdir()] == ["r.yaml"]


def test_a_dry_run_refuses_the_folder_that_training_would(
    bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "r.yaml").write_text(f"base: {bert}\ntasks: [fin_fpb]\ntask_type: classifier\nmethod: lora\n")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.txt").write_text("mine")
    for more in (["--dry-run"], []):
        assert main(["finetune", str(tmp_path / "r.yaml"), "--output", str(tmp_path / "notes"), *more]) == 2
        assert "is not empty, and nothing in it says that finbench wrote it" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "notes").iterdir()] == ["thesis.txt"]


def test_a_dry_run_of_a_matrix_loads_no_model(bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.yaml").write_text(f"name: m\ntasks: [fin_fpb]\nbases:\n  - {{base: {bert}, model: hf}}\n")
    assert main(["run", str(tmp_path / "m.yaml"), "--cells", str(tmp_path / "cells"), "--dry-run"]) == 0
    assert "1 to score" in capsys.readouterr().out and not (tmp_path / "cells").exists()
