"""A training's folder: nothing of anybody else's goes, and a checkpoint that is damaged is not gone on from."""

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
from safetensors.torch import load_file

from finbench.cli import main
from finbench.errors import FinbenchError
from finetune import checkpoints
from finetune.output import alone, claim
from finetune.recipe import read_recipe
from finetune.train import train
from tests import forked
from tests.cells.test_lock import another

RECIPE = """\
base: {base}
task_type: classifier
tasks: [fin_fpb]
epochs: 6
batch_size: 4
learning_rate: 5.0e-3
dropout: 0.1
eval_steps: 2
validation_share: 0
best_by: null
"""
HASH = "a" * 64


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory, bert: Path) -> Path:
    """Return a folder with a recipe, its whole result, and what a training stopped by kill -9 left behind."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "recipe.yaml").write_text(RECIPE.format(base=bert))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FINBENCH_DATA", "sample")
        assert main(["finetune", str(folder / "recipe.yaml"), "--output", str(folder / "whole")]) == 0
        command = [sys.executable, "-m", "finbench", "finetune", "recipe.yaml", "--output", "out"]
        process = forked.start(command, cwd=folder)
        while len(list((folder / "out").glob("checkpoints/checkpoint-*/trainer_state.json"))) < 2:
            assert process.poll() is None, "it ended before two checkpoints were there"
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (folder / "out" / "finbench.json").exists()
    return folder


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def kept(folder: Path) -> list[Path]:
    found = (folder / "checkpoints").glob("checkpoint-*")
    return sorted(found, key=lambda path: int(path.name.partition("-")[2]))


@pytest.mark.parametrize("file", ["optimizer.pt", "rng_state.pth", "scheduler.pt", "adapter_model.safetensors"])
@pytest.mark.parametrize("spoil", [truncate, Path.unlink])
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    killed: Path, tmp_path: Path, file: str, spoil: object, caplog: pytest.LogCaptureFixture
) -> None:
    sha256 = read_recipe(killed / "recipe.yaml").sha256()
    out = shutil.copytree(killed / "out", tmp_path / "out")
    before, newest = kept(out)[-2:]
    assert claim(out, sha256) == newest
    spoil(newest / file)  # type: ignore[operator]
    assert claim(out, sha256) == before and not newest.exists()
    (line,) = [record.getMessage() for record in caplog.records if "one before" in record.getMessage()]
    assert str(newest) in line and file in line and "\n" not in line


def test_the_one_before_leads_to_the_same_weights(killed: Path, tmp_path: Path) -> None:
    out = shutil.copytree(killed / "out", tmp_path / "out")
    before, newest = kept(out)[-2:]
    (newest / "rng_state.pth").unlink()
    assert main(["finetune", str(killed / "recipe.yaml"), "--output", str(out)]) == 0
    step = int(before.name.partition("-")[2])
    assert json.loads((out / "finbench.json").read_text())["resources"]["resumed_from_step"] == step
    ours, whole = (load_file(folder / "adapter_model.safetensors") for folder in (out, killed / "whole"))
    assert all((ours[name] == value).all() for name, value in whole.items())
    assert {path.name for path in out.iterdir()} == {path.name for path in (killed / "whole").iterdir()}


def test_without_a_whole_checkpoint_it_begins_anew(killed: Path, tmp_path: Path) -> None:
    out = shutil.copytree(killed / "out", tmp_path / "out")
    for path in kept(out):
        truncate(path / "optimizer.pt")
    assert claim(out, read_recipe(killed / "recipe.yaml").sha256()) is None and not kept(out)


@pytest.mark.parametrize("flag", [[], ["--overwrite"]])
@pytest.mark.parametrize("name", ["checkpoints/checkpoint-500/weights.pt", "README.md", "finbench.json", "runs/a"])
def test_a_foreign_folder_is_left_alone(
    tmp_path: Path, flag: list[str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(base="no/base"))
    for path in (tmp_path / "out" / name, tmp_path / "out" / "notes.txt"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('{"mine": 1}')
    found = tree(tmp_path / "out")
    for several in ([], [str(shutil.copy(tmp_path / "recipe.yaml", tmp_path / "other.yaml"))]):
        output = tmp_path if several else tmp_path / "out"
        first = tmp_path / "recipe.yaml" if not several else (tmp_path / "recipe.yaml").rename(tmp_path / "out.yaml")
        assert main(["finetune", str(first), *several, *flag, "--output", str(output)]) in (1, 2)
        assert tree(tmp_path / "out") == found
    assert "base" not in capsys.readouterr().err.splitlines()[0], "it was not refused before the base was looked for"


def test_a_foreign_checkpoint_in_a_training_of_ours_is_left_alone(tmp_path: Path) -> None:
    claim(tmp_path / "out", HASH)
    (tmp_path / "out" / "checkpoints" / "checkpoint-500").mkdir()
    (tmp_path / "out" / "checkpoints" / "checkpoint-500" / "trainer_state.json").write_text("{}")
    for overwrite in (False, True):
        with pytest.raises(FinbenchError, match="checkpoint-500"):
            claim(tmp_path / "out", HASH, overwrite)
    assert (tmp_path / "out" / "checkpoints" / "checkpoint-500" / "trainer_state.json").exists()


def test_overwriting_removes_what_is_listed_and_nothing_else(killed: Path, tmp_path: Path) -> None:
    out = shutil.copytree(killed / "whole", tmp_path / "out")
    (out / "notes.txt").write_text("mine")
    (out / "README.md").write_text("my own card")
    found = tree(out)
    with pytest.raises(FinbenchError, match=r"README\.md"):
        claim(out, HASH, overwrite=True)
    assert tree(out) == found
    shutil.copy(killed / "whole" / "README.md", out)
    claim(out, HASH, overwrite=True)
    assert set(tree(out)) == {"notes.txt", "checkpoints/recipe.sha256"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_notes_in_a_checkpoint_stay(killed: Path, tmp_path: Path, overwrite: bool) -> None:
    out = shutil.copytree(killed / "out", tmp_path / "out")
    newest = kept(out)[-1]
    truncate(newest / "optimizer.pt")
    (newest / "notes.txt").write_text("mine")
    found = tree(newest)
    with pytest.raises(FinbenchError, match=r"notes\.txt"):
        claim(out, read_recipe(killed / "recipe.yaml").sha256(), overwrite)
    assert tree(newest) == found


def test_a_record_cannot_name_files_outside(killed: Path, tmp_path: Path) -> None:
    out = shutil.copytree(killed / "whole", tmp_path / "out")
    (tmp_path / "precious").write_text("mine")
    record = json.loads((out / "finbench.json").read_text())
    (out / "finbench.json").write_text(json.dumps({**record, "files": {"../precious": ""}}))
    claim(out, HASH, overwrite=True)
    assert (tmp_path / "precious").exists() and (out / "adapter_model.safetensors").exists()


def test_a_full_disk_stops_it_in_a_line_and_it_goes_on(
    killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, seal, seen = read_recipe(killed / "recipe.yaml"), checkpoints.seal, []

    def full(checkpoint: Path, sha256: str) -> None:
        seen.append(checkpoint)
        if len(seen) == 2:
            raise OSError(28, "No space left on device")
        seal(checkpoint, sha256)

    monkeypatch.setattr(checkpoints, "seal", full)
    with pytest.raises(FinbenchError, match="No space left on device"):
        train(recipe, tmp_path / "out")
    assert [path.name for path in kept(tmp_path / "out")] == ["checkpoint-2"]
    assert not (tmp_path / "out" / "checkpoints" / "unfinished").exists()
    last = claim(tmp_path / "out", recipe.sha256())
    assert last is not None and last.name == "checkpoint-2"


def test_a_record_cannot_reach_through_a_link(tmp_path: Path) -> None:
    home, out = tmp_path / "home", tmp_path / "out"
    home.mkdir()
    out.mkdir()
    (home / "thesis.txt").write_text("mine")
    (out / "runs").symlink_to(home)
    (out / "finbench.json").write_text(json.dumps({"recipe_sha256": HASH, "files": {"runs/thesis.txt": ""}}))
    claim(out, HASH, overwrite=True)
    assert (home / "thesis.txt").exists() and (out / "runs").is_symlink()


def test_a_record_proves_nothing_without_a_hash(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "events").write_text("a tracker's")
    files = {"notes.txt": "", "runs/events": ""}
    (tmp_path / "finbench.json").write_text(json.dumps({"recipe_sha256": HASH, "files": files}))
    claim(tmp_path, HASH, overwrite=True)
    assert set(tree(tmp_path)) == {"notes.txt", "checkpoints/recipe.sha256"}


@pytest.mark.parametrize("place", ["checkpoint-8/link", "unfinished"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_checkpoints_do_not_reach_through_a_link(place: str, overwrite: bool, tmp_path: Path) -> None:
    home, checkpoints = tmp_path / "home", tmp_path / "out" / "checkpoints"
    home.mkdir()
    (home / "thesis.txt").write_text("mine")
    (checkpoints / place).parent.mkdir(parents=True)
    (checkpoints / place).symlink_to(home)
    (checkpoints / "recipe.sha256").write_text(HASH)
    if place != "unfinished":
        listed = {"recipe_sha256": HASH, "files": {"link/thesis.txt": HASH}}
        (checkpoints / "checkpoint-8" / "finbench.files.json").write_text(json.dumps(listed))
    with pytest.raises(FinbenchError, match=place.partition("/")[0]):
        claim(tmp_path / "out", HASH, overwrite)
    assert (home / "thesis.txt").exists()


def test_two_do_not_train_into_one_folder(killed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = shutil.copytree(killed / "out", tmp_path / "out")
    found = tree(out)
    with another(tmp_path / ".out.lock") as process:
        for flag in ([], ["--overwrite"]):
            assert main(["finetune", str(killed / "recipe.yaml"), *flag, "--output", str(out)]) == 2
            assert "another process" in capsys.readouterr().err and tree(out) == found
        process.kill()
        process.wait()
        with alone(out):
            assert [path.name for path in tmp_path.glob(".*")] == [".out.lock"]
    assert not list(tmp_path.glob(".*"))
