"""Checkpoints that are whole or not there: written in a folder of their own, listed with hashes, and then renamed.

`checkpoint-8/finbench.files.json` holds the recipe's hash and a SHA-256 for every file beside it, written last. One
that does not agree with its list is damaged: the one before it is gone on from. Only what lists name is removed.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from finbench.adapters.base_hash import sha256_of_file
from finbench.documents import read_json
from finbench.errors import FinbenchError, first_line
from finetune import spent

logger = logging.getLogger(__name__)

LIST = "finbench.files.json"
UNFINISHED = "unfinished"  # below checkpoints: what a process was writing when it ended
STATE = "trainer_state.json"
KEPT = 2  # the best and the last


def seal(checkpoint: Path, recipe_sha256: str) -> None:
    """List all files of a checkpoint with their hashes, forced to disk before the list is."""
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file() and path.name != LIST)
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    found = {str(path.relative_to(checkpoint)): sha256_of_file(path) for path in files}
    with (checkpoint / LIST).open("w", encoding="utf-8") as sink:
        json.dump({"recipe_sha256": recipe_sha256, "files": found}, sink, indent=1)
        sink.flush()
        os.fsync(sink.fileno())


def damage(checkpoint: Path, recipe_sha256: str) -> str:
    """Return what is wrong with a checkpoint, "" where it is whole and this recipe's."""
    try:
        return _damage(checkpoint, recipe_sha256)
    except (OSError, FinbenchError) as error:
        return f"it cannot be read: {error}"


def _damage(checkpoint: Path, recipe_sha256: str) -> str:
    content = _list_of(checkpoint)
    if not content or content["recipe_sha256"] != recipe_sha256:
        return "it has no list of this recipe's files"
    for name, sha256 in content["files"].items():
        if not (checkpoint / name).is_file():
            return f"{name} is missing"
        if sha256_of_file(checkpoint / name) != sha256:
            return f"{name} is damaged"
    best = read_json(checkpoint / STATE, constants=True).get("best_model_checkpoint")
    if best and Path(best).name != checkpoint.name and damage(checkpoint.parent / Path(best).name, recipe_sha256):
        return f"the best one, {Path(best).name}, is missing or damaged"
    return f"the training lay in another folder, {Path(best).parent}" if best and not Path(best).is_dir() else ""


def _list_of(checkpoint: Path) -> dict[str, Any]:
    try:
        content = read_json(checkpoint / LIST)
        names = [str(name) for name in content["files"]]
    except (FinbenchError, LookupError, TypeError):
        return {}
    if not all(is_within(checkpoint, name) for name in names):
        return {}
    return dict(content) if isinstance(content.get("recipe_sha256"), str) else {}


def is_within(folder: Path, name: str) -> bool:
    """Say whether a name that stands in a list is a place in the folder itself, with no link on the way out of it."""
    return ".." not in Path(name).parts and (folder / name).resolve() == folder.resolve() / name


def _by_step(folder: Path) -> list[Path]:
    """Return the checkpoints, the newest first."""
    found = [path for path in folder.glob("checkpoint-*") if path.name.partition("-")[2].isdecimal()]
    return sorted(found, key=lambda path: int(path.name.partition("-")[2]), reverse=True)


def check_own(folder: Path) -> None:
    """Refuse a folder with a checkpoint that no list of ours describes, or whose unfinished files lie elsewhere.

    Raises:
        FinbenchError: there is one.

    """
    foreign = [path.name for path in folder.glob("checkpoint-*") if not _list_of(path) and not _is_empty(path)]
    foreign += [UNFINISHED] if (folder / UNFINISHED).is_symlink() else []  # it would be written to elsewhere
    if foreign:
        raise FinbenchError(
            f"{folder} holds {', '.join(sorted(foreign))}, which this finbench did not write: move it away, or give "
            "another --output."
        )


def check_listed(checkpoint: Path, reason: str) -> None:
    """Refuse to remove a checkpoint that holds more than its list names.

    Raises:
        FinbenchError: it does; `reason` says why it should go.

    """
    listed = {*_list_of(checkpoint).get("files", ()), LIST}
    files = (str(path.relative_to(checkpoint)) for path in checkpoint.rglob("*") if not path.is_dir())
    if others := sorted(set(files) - listed):
        raise FinbenchError(
            f"{checkpoint} {reason} and holds {', '.join(others[:3])}, which its list does not name: somebody's own, "
            "or of another number of processes. Move it away, or give another --output."
        )


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def take_up(folder: Path, recipe_sha256: str) -> Path | None:
    """Return the newest whole checkpoint; newer ones are damaged, which is said in a line, and removed."""
    clear_unfinished(folder)
    for path in _by_step(folder):
        problem = damage(path, recipe_sha256)
        if not problem:
            return path
        check_listed(path, f"cannot be gone on from ({problem})")
        older = any(not damage(other, recipe_sha256) for other in _by_step(folder) if other != path)
        way = "going on from the one before it" if older else "beginning anew"
        logger.warning("%s cannot be gone on from (%s): %s", path, problem, way)
        remove(path)
    return None


def remove(checkpoint: Path) -> None:
    """Remove the files that a checkpoint's list names, the list, and the folders that are empty then."""
    for name in _list_of(checkpoint).get("files", ()):
        (checkpoint / name).unlink(missing_ok=True)
    if _list_of(checkpoint):
        (checkpoint / LIST).unlink()
    for inner in sorted((path for path in checkpoint.rglob("*") if path.is_dir()), reverse=True):
        if _is_empty(inner):
            inner.rmdir()
    if _is_empty(checkpoint):
        checkpoint.rmdir()


def clear_unfinished(folder: Path) -> None:
    """Remove what was being written: the folder is made for that alone, below the mark of the training."""
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


@contextmanager
def written_whole(trainer: Any, recipe_sha256: str, cost: dict[str, Any]) -> Iterator[None]:
    """Have the Trainer write its checkpoint aside; where that ended well, list its files and move it into place.

    `cost` is what the training has spent up to here.

    Raises:
        FinbenchError: the disk took it not; the checkpoints before it are whole.

    """
    folder, step = Path(trainer.args.output_dir), trainer.state.global_step
    aside, place = folder / UNFINISHED / f"checkpoint-{step}", folder / f"checkpoint-{step}"
    trainer.args.output_dir = str(folder / UNFINISHED)
    try:
        yield
        trainer.accelerator.wait_for_everyone()
        if trainer.state.best_model_checkpoint == str(aside):
            trainer.state.best_model_checkpoint = str(place)
        if trainer.args.should_save:
            trainer.state.save_to_json(str(aside / STATE))
            spent.write(aside, cost)
            seal(aside, recipe_sha256)
            aside.rename(place)
            _prune(folder, trainer.state.best_model_checkpoint)
        trainer.accelerator.wait_for_everyone()
    except (OSError, RuntimeError, SafetensorError) as error:
        if isinstance(error, RuntimeError) and "writ" not in str(error):  # torch.save says so of a full disk
            raise
        reason = first_line(error)
        raise FinbenchError(
            f"the checkpoint of step {step} cannot be written to {folder} ({reason}). Make room and run the same "
            "command again: it goes on from the checkpoint before."
        ) from error
    finally:
        trainer.args.output_dir = str(folder)
        if trainer.args.should_save:
            clear_unfinished(folder)


def _prune(folder: Path, best: str | None) -> None:
    """Keep the last checkpoint and the best, or the last two."""
    newest = _by_step(folder)
    kept = [newest[0], *(path for path in newest[1:] if best and path.name == Path(best).name)]
    kept += [path for path in newest if path not in kept][: KEPT - len(kept)]
    for path in newest:
        if path not in kept:
            remove(path)
