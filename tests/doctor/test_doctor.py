"""`finbench doctor` in a process of its own, and the window that it, the docs and the packaging read."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from finbench.doctor import findings, trials
from finbench.doctor.window import Library, against, installed, is_untried, libraries
from tests import forked

ROOT = Path(__file__).resolve().parents[2]


COMMAND = [sys.executable, "-m", "finbench", "doctor", "--json"]


def doctor(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it in a real start of this Python, whose imports may fail."""
    return subprocess.run(
        COMMAND,
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
    )


def test_here_all_fast_paths_work(tmp_path: Path) -> None:
    done = forked.run(COMMAND, cwd=tmp_path, env=os.environ | {"FINBENCH_DATA": "sample", "OMP_NUM_THREADS": "1"})
    report = json.loads(done.stdout)
    found = {one["name"]: one for one in report["findings"]}
    assert done.returncode == 0, [one for one in report["findings"] if one["judgement"] == "bad"]
    assert all(found[name]["judgement"] == "good" for name in trials.trials())
    assert "no real scores" in found["FINBENCH_DATA"]["text"]
    assert found["transformers"]["text"].startswith(str(installed("transformers")))


def test_what_does_not_work_is_said_and_ends_with_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from finbench.cli import main

    def fails() -> str:
        raise TypeError("forward() got an unexpected keyword argument 'kept'")

    monkeypatch.setattr(findings, "trials", lambda: {"shared prefixes in scoring": fails, "4-bit weights": lambda: ""})
    assert main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert "NO  shared prefixes in scoring: TypeError: forward() got an unexpected keyword argument" in printed
    assert "ok  4-bit weights: works" in printed and "1 things do not work here" in printed


def test_a_missing_folder_of_rows_is_told(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", str(tmp_path))
        assert next(findings.rows()).text == (
            f"the folder {tmp_path}; not there: fpb, fiqa, tfns, nwgi, nwgi7, headline, ner, xbrl_tags, xbrl_values, "
            "xbrl_term, formula, financebench, xbrl_formulas, xbrl_calculations, finer, fnxl, finqa, convfinqa, fomc, "
            "german, australian, ma, edtsum, finentity, banking77, numclaim, tatqa, finred"
        )


def test_the_hook_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FINBENCH_AUTOLOAD", "0")
    assert next(findings.hook()).judgement == "note"
    monkeypatch.delenv("FINBENCH_AUTOLOAD")
    monkeypatch.setattr(sys, "meta_path", [])
    found = next(findings.hook())
    assert found.judgement == "bad" and "pip install" in found.text


def test_a_hook_that_lm_eval_does_not_heed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    import lm_eval.tasks

    assert findings._unseen() == []
    monkeypatch.setattr(lm_eval.tasks.TaskManager, "match_tasks", lambda *_: [])
    assert findings._unseen() == ["fin_fpb"]
    found = next(findings.hook())
    assert found.judgement == "bad" and "does not see fin_fpb" in found.text


@pytest.mark.parametrize("library", ["torch", "transformers", "packaging"])
def test_a_library_that_cannot_be_imported_is_a_finding(library: str, tmp_path: Path) -> None:
    (tmp_path / library).mkdir()
    (tmp_path / library / "__init__.py").write_text("raise OSError('libcudart.so.13: cannot open')")
    done = doctor(tmp_path, FINBENCH_DATA="sample", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    report = json.loads(done.stdout)
    bad = {one["text"] for one in report["findings"] if one["judgement"] == "bad"}
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "OSError: libcudart.so.13: cannot open" in bad
    assert {one["group"] for one in report["findings"]} == {"releases", "hook", "fast paths", "devices", "rows"}


@pytest.mark.parametrize(
    ("found", "wrong", "untried"),
    [
        ("5.2.1", "5.2.1 is older than 5.3.0", False),
        ("5.3.0", "", False),
        ("5.24.0+cpu", "", False),
        ("5.24.1", "", True),
        ("6.0.0", "", True),
        (None, "is not installed: pip install 'x>=5.3.0'", False),
    ],
)
def test_a_release_is_judged_by_the_window(found: str | None, wrong: str, untried: bool) -> None:
    library = Library("x", "5.3.0", "5.24.0", "a reason")
    assert against(library, found).startswith(wrong) and bool(against(library, found)) == bool(wrong)
    assert is_untried(library, found) == untried


def declared() -> dict[str, str]:
    """Return the floors of pyproject.toml by library."""
    needs = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    found = {}
    for need in needs:
        match = re.match(r"([\w.-]+)(?:\[\w+\])?>=([\w.]+)", need)
        assert match, need
        found[match[1].replace("-", "_")] = match[2]
    return found


def test_packaging_declares_the_same_floors() -> None:
    floors = declared()
    for library in libraries():
        if library.name != "python":
            assert floors[library.name] == library.floor, library.name
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"] == ">=3.11"


def test_the_oldest_environment_has_the_floors() -> None:
    pinned = dict(line.split("==") for line in (ROOT / "tests" / "oldest.txt").read_text().splitlines() if "==" in line)
    for library in libraries():
        if library.name not in ("python", "torch"):
            assert pinned[library.name.replace("_", "-")] == library.floor, library.name


def test_the_page_is_that_of_the_window() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "make_compatibility.py"), "--check"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
