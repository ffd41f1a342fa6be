"""A small adapter, and a real server in a process of its own."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import forked

RECIPE = """
base: {base}
task_type: {task_type}
tasks: [{task}]
validation_share: 0.4
epochs: 4
batch_size: 4
learning_rate: 1.0e-2
target_modules: {modules}
"""

SERVE = "import sys\nfrom finbench.cli import main\nsys.exit(main(sys.argv[1:]))"
LIMIT = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, ({0}, {0}))\n"


@dataclass(frozen=True)
class Served:
    """A server's address and process."""

    url: str
    process: forked.Started


def trained(folder: Path, base: Path, task_type: str, modules: str, task: str = "fin_fpb") -> Path:
    """Train a small LoRA adapter on the bundled rows; return its folder."""
    from finetune.card import describe
    from finetune.recipe import read_recipe
    from finetune.train import train

    path = folder / "recipe.yaml"
    path.write_text(RECIPE.format(base=base, task_type=task_type, modules=modules, task=task))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        recipe = read_recipe(path)
        describe(train(recipe, folder / "small"), recipe, "finbench finetune recipe.yaml")
    return folder / "small"


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Path:
    """Return the folder of a classifier's adapter on the tiny BERT."""
    return trained(tmp_path_factory.mktemp("adapter"), bert, "classifier", "[query, key, value, dense]")


@pytest.fixture(scope="session")
def causal_adapter(tmp_path_factory: pytest.TempPathFactory, gpt2: Path) -> Path:
    """Return the folder of a causal adapter on the tiny GPT-2."""
    return trained(tmp_path_factory.mktemp("causal"), gpt2, "causal", "[c_attn]")


@contextmanager
def serving(base: Path, *flags: str, open_files: int | None = None) -> Iterator[Served]:
    """Start `finbench serve` on a free port, if need be with a limit of open files that it cannot raise; stop it."""
    limit = "" if open_files is None else LIMIT.format(open_files)
    command = [sys.executable, "-c", f"{limit}{SERVE}", "serve", "--base", str(base), "--port", "0", *flags]
    environment = {**os.environ, "FINBENCH_DATA": "sample", "PYTHONUNBUFFERED": "1"}
    process = forked.start(command, env=environment)
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"on (http://\S+:\d+)/", line):
            break
    else:
        raise AssertionError(f"the server did not start:\n{said}{process.stderr.read()}")
    try:
        yield Served(found[1], process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def server(bert: Path, adapter: Path) -> Iterator[Served]:
    """Return a running server of the adapter."""
    with serving(bert, "--adapter", str(adapter)) as found:
        yield found
