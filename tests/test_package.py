"""The plug, tested by real installs into fresh environments: a wheel and an editable one."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
BUILD = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]

PURELIB = "import sysconfig; print(sysconfig.get_path('purelib'))"
LIST = """
from lm_eval.tasks import TaskManager
import lm_eval.models
from lm_eval.api.registry import model_registry
names = [*(name for name in TaskManager().all_tasks if name.startswith("fin")), *model_registry.keys()]
"""
# written into each environment: a process that is asked to looks for PEFT, and at its end says what it knows
PROBE = f"""
import os
if os.environ.get("PROBE"):
    import atexit
    import importlib.util
    importlib.util.find_spec("peft")
    def tell():
        import json
        known = {{}}
        exec({LIST!r}, known)
        from finbench.paths import bundled_tasks
        from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING as types
        told = {{"names": known["names"], "folder": str(bundled_tasks()), "adapters": list(types)}}
        with open(os.environ["PROBE"], "w") as file:
            json.dump(told, file)
    atexit.register(tell)
"""


def fresh_environment(folder: Path) -> Path:
    """Make a virtual environment that borrows the libraries (not finbench) of this one; return its python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin" / "python"
    own = subprocess.check_output([python, "-c", PURELIB], text=True)
    # a plain path line adds a folder without running the .pth files in it, so this environment's finbench stays out
    Path(own.strip(), "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python


def install(python: Path, *what: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", f"--python={python}", "install", *BUILD, *what], check=True)


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp(request.param)
    python = fresh_environment(folder / "venv")
    if request.param == "editable":
        install(python, "-e", str(CHECKOUT))
    else:
        source = folder / "source"  # built from a copy, so that no build folder is left in the checkout
        shutil.copytree(CHECKOUT, source, ignore=shutil.ignore_patterns(".git", ".tox", ".venv*"))
        install(python, str(source))
    probe = Path(subprocess.check_output([python, "-c", PURELIB], text=True).strip(), "sitecustomize.py")
    probe.write_text(PROBE)
    return request.param, python


def run(python: Path, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FINBENCH", "PYTHON"))}
    return subprocess.run(
        [python, *arguments],
        cwd=cwd,
        env={**kept, "HF_HUB_OFFLINE": "1", **environment},
        text=True,
        capture_output=True,
    )


@dataclass(frozen=True)
class Scored:
    """How lm-eval's own command scored a task of ours, and what its process knew at its end."""

    kind: str
    done: subprocess.CompletedProcess[str]
    told: dict[str, Any]


@pytest.fixture(scope="module")
def scored(installed: tuple[str, Path], gpt2: Path, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    kind, python = installed
    folder = tmp_path_factory.mktemp("any")
    done = run(
        python, "-m", "lm_eval", "--tasks", "fin_fpb", "--model", "hf", "--model_args", f"pretrained={gpt2}",
        "--limit", "4", "--device", "cpu", cwd=folder, FINBENCH_DATA="sample", PROBE=str(folder / "told.json"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return Scored(kind, done, json.loads((folder / "told.json").read_text()))


def test_lm_eval_scores_our_task_from_any_folder(scored: Scored) -> None:
    assert "|fin_fpb|" in scored.done.stdout and "f1_weighted" in scored.done.stdout


def test_tasks_groups_and_model_types_are_known(scored: Scored) -> None:
    ours = {"fin_fpb", "fin_xbrl_values", "finbench", "fin_sentiment", "fin_xbrl", "hf-fast", "hf-classifier"}
    assert ours <= set(scored.told["names"])
    assert (Path(scored.told["folder"]) == CHECKOUT / "tasks_yaml") == (scored.kind == "editable")


def test_a_module_that_is_only_looked_for_is_still_extended(scored: Scored) -> None:
    assert "BOTTLENECK" in scored.told["adapters"]


def test_switched_off(installed: tuple[str, Path], tmp_path: Path) -> None:
    kind, python = installed
    finders = "import sys; print(*(getattr(one, '__module__', '') for one in sys.meta_path))"
    assert "finbench.autoload" in run(python, "-c", finders, cwd=tmp_path).stdout
    assert "finbench.autoload" not in run(python, "-c", finders, cwd=tmp_path, FINBENCH_AUTOLOAD="0").stdout
    if kind == "editable":
        return  # without the hook it is the same lm-eval
    done = run(python, "-c", f"{LIST}\nprint(*names)", cwd=tmp_path, FINBENCH_AUTOLOAD="0")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "hf" in done.stdout.split() and "fin_fpb" not in done.stdout and "hf-fast" not in done.stdout


def test_start_up_loads_two_small_modules_and_nothing_else(installed: tuple[str, Path], tmp_path: Path) -> None:
    _, python = installed
    modules = "import sys; print(*sorted(sys.modules))"
    on = run(python, "-c", modules, cwd=tmp_path).stdout.split()
    off = run(python, "-c", modules, cwd=tmp_path, FINBENCH_AUTOLOAD="0").stdout.split()
    assert set(on) - set(off) == {"finbench", "finbench.autoload"}


def test_another_lm_eval_gets_one_line_and_goes_on(installed: tuple[str, Path], tmp_path: Path) -> None:
    _, python = installed
    for name, text in {"__init__": "", "tasks/__init__": "", "tasks/manager": "answer = 42\n"}.items():
        path = tmp_path / "lm_eval" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    done = run(python, "-c", "from lm_eval.tasks.manager import answer; print(answer)", cwd=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, "42")
    assert len(done.stderr.strip().splitlines()) == 1 and "lm_eval.tasks.manager" in done.stderr


def test_help_imports_nothing_heavy(installed: tuple[str, Path], tmp_path: Path) -> None:
    _, python = installed
    code = """
import sys
from finbench.cli import main
for command in sys.argv[1:]:
    try:
        main([*command.split(), "--help"])
    except SystemExit:
        pass
print("HEAVY", *sorted({"torch", "transformers", "lm_eval", "datasets", "pandas", "numpy", "peft"} & set(sys.modules)))
"""
    commands = ("", "data", "run", "finetune", "leaderboard", "new-task", "validate", "demo")
    done = run(python, "-c", code, *commands, cwd=tmp_path)
    for command in commands:
        assert f"usage: finbench {command}".strip() in done.stdout, done.stderr[-2000:]
    assert done.stdout.strip().splitlines()[-1] == "HEAVY", done.stdout[-300:]
