"""The start-up hook beside an lm-eval that it does not know, and over a finbench that is broken below it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "finbench"

KNOWN = """
class TaskManager:
    def __init__(self, verbosity=None, include_path=None, include_defaults=True, metadata=None):
        self.said = (verbosity, include_path, include_defaults, metadata)
"""
SIGNATURES = {  # of a TaskManager: its code, a call of it, what it is to have been told beside the folders
    "one more argument": (
        """
class TaskManager:
    def __init__(self, verbosity=None, include_path=None, include_defaults=True, metadata=None, plugins=(), *, deep=0):
        self.said = (verbosity, include_path, include_defaults, metadata, plugins, deep)
""",
        "TaskManager('INFO', ['mine'], plugins=['a'], deep=2)",
        "('INFO', FOLDERS, True, None, ['a'], 2)",
    ),
    "another order": (
        """
class TaskManager:
    def __init__(self, metadata=None, *, include_path=None, include_defaults=True):
        self.said = (metadata, include_path, include_defaults)
""",
        "TaskManager({'a': 1})",
        "({'a': 1}, FOLDERS, True)",
    ),
    "anything": (
        """
class TaskManager:
    def __init__(self, *args, include_path=None, **kwargs):
        self.said = (args, include_path, kwargs)
""",
        "TaskManager(1, 2, three=3)",
        "((1, 2), FOLDERS, {'three': 3})",
    ),
    "no defaults asked": (KNOWN, "TaskManager(None, None, False)", "(None, None, False, None)"),
    "no defaults asked by name": (KNOWN, "TaskManager(include_defaults=False)", "(None, None, False, None)"),
}
ASK = """
import finbench.autoload
from lm_eval.tasks.manager import TaskManager
from finbench.paths import task_folders
folders = task_folders()
said = {call}.said
mine = ["mine"] if "'mine'" in {call!r} else []
assert said == eval({expected!r}, {{"FOLDERS": [*folders, *mine]}}), said
"""


def program(code: str, folder: Path, **files: str) -> subprocess.CompletedProcess[str]:
    """Run code in the folder, where files such as `lm_eval__tasks__manager` come before what is installed."""
    for name, text in files.items():
        path = folder.joinpath(*name.split("__")).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        for parent in path.relative_to(folder).parents[:-1]:
            (folder / parent / "__init__.py").touch()
        path.write_text(text)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(PACKAGE.parent)])}
    return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, text=True, capture_output=True)


@pytest.mark.parametrize("case", SIGNATURES)
def test_what_is_not_ours_is_passed_on(case: str, tmp_path: Path) -> None:
    text, call, expected = SIGNATURES[case]
    done = program(ASK.format(call=call, expected=expected), tmp_path, lm_eval__tasks__manager=text)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_class_in_the_package_is_extended_as_one_in_a_file_of_its_own(tmp_path: Path) -> None:
    code = ASK.replace("lm_eval.tasks.manager", "lm_eval.tasks").format(
        call="TaskManager()", expected="(None, FOLDERS, True, None)"
    )
    (tmp_path / "lm_eval" / "tasks").mkdir(parents=True)
    (tmp_path / "lm_eval" / "__init__.py").touch()
    (tmp_path / "lm_eval" / "tasks" / "__init__.py").write_text(KNOWN)
    done = program(code, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_their_own_errors_stay_theirs(tmp_path: Path) -> None:
    code = "import finbench.autoload\nfrom lm_eval.tasks.manager import TaskManager\nTaskManager(no_such=1)"
    done = program(code, tmp_path, lm_eval__tasks__manager=KNOWN)
    assert "unexpected keyword argument 'no_such'" in done.stderr and "finbench:" not in done.stderr
    refusing = KNOWN.replace("self.said =", "raise OSError('no such folder')\n        self.said =")
    done = program(code.replace("no_such=1", ""), tmp_path, lm_eval__tasks__manager=refusing)
    assert done.stderr.strip().endswith("OSError: no such folder")


def test_a_task_manager_without_include_path_gets_one_line(tmp_path: Path) -> None:
    code = "import finbench.autoload\nfrom lm_eval.tasks.manager import TaskManager\nprint(TaskManager(7).x)"
    text = "class TaskManager:\n    def __init__(self, x):\n        self.x = x\n"
    done = program(code, tmp_path, lm_eval__tasks__manager=text)
    assert (done.returncode, done.stdout) == (0, "7\n")
    assert len(done.stderr.splitlines()) == 1 and "takes no include_path" in done.stderr


BREAKS = {  # what is done to a copy of finbench, and which parts of the hook then say a line
    "a module is no Python": (lambda home: (home / "paths.py").write_text("def broken(:\n"), ["lm_eval.tasks.manager"]),
    "a module raises": (
        lambda home: (home / "paths.py").write_text("raise OSError('a\nb')"),
        ["lm_eval.tasks.manager"],
    ),
    "a module is gone": (lambda home: (home / "paths.py").unlink(), ["lm_eval.tasks.manager"]),
    "the late index is gone": (lambda home: (home / "tasks" / "lazy_index.py").unlink(), []),
    "the adapter type is gone": (lambda home: shutil.rmtree(home / "adapters"), ["peft"]),
    "forms of models are gone": (lambda home: shutil.rmtree(home / "hf"), ["peft", "an adapter"]),
    "only the hook is left": (
        lambda home: [shutil.rmtree(one) if one.is_dir() else one.unlink() for one in home.iterdir() if keep(one)],
        ["lm_eval.tasks.manager", "peft", "an adapter"],
    ),
}
TRY = """
import finbench.autoload
from lm_eval.tasks.manager import TaskManager
import lm_eval.models, peft
from lm_eval.models.huggingface import HFLM
folders = TaskManager(include_path="mine").said[1]
print("mine" in (folders, folders[-1]))
print(HFLM("a model")._model.name)
"""
HF = """
class Wrapped:
    name = "a model"
    def get_base_model(self): return self
class HFLM:
    def __init__(self, name): self._model = Wrapped()
"""
REGISTRY = (
    "class Registry(dict):\n    def register(self, name, target): self[name] = target\nmodel_registry = Registry()\n"
)


def keep(path: Path) -> bool:
    return path.name not in ("__init__.py", "autoload.py")


def broken(case: str, folder: Path) -> list[str]:
    """Break a copy of finbench in the folder; return the parts of the hook that this takes away."""
    shutil.copytree(PACKAGE, folder / "finbench", ignore=shutil.ignore_patterns("__pycache__", "sample"))
    (folder / "tasks_yaml").mkdir()
    breaks, parts = BREAKS[case]
    breaks(folder / "finbench")
    return parts


@pytest.mark.parametrize("case", BREAKS)
def test_a_broken_finbench_costs_one_line_a_part_and_breaks_nobody(case: str, tmp_path: Path) -> None:
    parts = broken(case, tmp_path)
    known = {"lm_eval__tasks__manager": KNOWN, "lm_eval__models__huggingface": HF, "lm_eval__api__registry": REGISTRY}
    done = program(TRY, tmp_path, peft="LoraConfig = 1\n", **known)
    assert (done.returncode, done.stdout) == (0, "True\na model\n"), done.stderr
    said = [line.removeprefix("finbench: ").partition(" could not be extended")[0] for line in done.stderr.splitlines()]
    # the stand-ins of PEFT and of a model are no real ones, so their parts of the hook may give up in any case
    assert set(parts) <= set(said) <= {*parts, "peft", "an adapter"} and len(said) == len(set(said))
    assert all(line.startswith("finbench: ") and "not available here" in line for line in done.stderr.splitlines())


def test_the_real_lm_eval_lives_with_a_half_removed_finbench(tmp_path: Path) -> None:
    broken("only the hook is left", tmp_path)
    code = """
import finbench.autoload, pathlib, sys
from lm_eval.tasks import TaskManager
sys.modules[TaskManager.__module__].__file__ = str(pathlib.Path("defaults/manager.py").resolve())
from lm_eval.api.registry import get_model
print(TaskManager().all_tasks.count("theirs"), get_model("dummy").__name__)
"""
    (tmp_path / "defaults").mkdir()
    (tmp_path / "defaults" / "theirs.yaml").write_text("task: theirs\n")
    done = program(code, tmp_path)
    assert (done.returncode, done.stdout) == (0, "1 DummyLM\n"), done.stderr[-2000:]
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "TaskManager" in line or "lm_eval.tasks" in line]
    assert line.startswith("finbench: ") and "ModuleNotFoundError" in line
