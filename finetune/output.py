"""The folder of a training: whose it is, what finbench wrote in it, and the proof that is asked before anything goes.

A training in progress marks the folder with its recipe's hash (`checkpoints/recipe.sha256`); the finished record lists
its files with their hashes. What neither proves is somebody else's: it is not removed, not written over, and a folder
that holds nothing else is not trained into.
"""

import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from finbench.adapters.base_hash import sha256_of_file
from finbench.adapters.folder import RECORD
from finbench.cells.lock import held
from finbench.documents import read_json
from finbench.errors import FinbenchError
from finbench.whole import write_text
from finetune import checkpoints

CHECKPOINTS = "checkpoints"
RESULTS = "results"  # below what is unfinished: what is written there is moved out file by file
MARK = "recipe.sha256"
PLACED = "placed.json"  # hashes of what was moved out, so that a training killed on the way knows its own files
TRACKED = "runs"  # trackers go on writing there: proven by name, not by content


def claim(folder: Path, recipe_sha256: str, overwrite: bool = False) -> Path | None:
    """Make the folder this recipe's and return the last whole checkpoint in it; `overwrite` removes what was ours.

    Of several processes the first does so; the others are told by it.

    Raises:
        FinbenchError: the folder holds a finished adapter, another recipe's training or what finbench cannot prove to
            have written; or it cannot be written.

    """
    if not _is_first():
        return None  # the first one tells the others, once they can talk
    marked = marked_by(folder)
    if marked and recorded_by(folder) == marked:
        finish(folder)  # it was killed after its last file
        marked = ""
    if overwrite:
        _check_folder(folder)
        _clear(folder, marked)
    else:
        refuse_taken(folder, recipe_sha256)
    checkpoints.check_own(folder / CHECKPOINTS)
    write_text(folder / CHECKPOINTS / MARK, recipe_sha256)
    return checkpoints.take_up(folder / CHECKPOINTS, recipe_sha256)


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise FinbenchError(f"{str(folder)!r} is a file: give a folder as --output.")


def refuse_taken(folder: Path, recipe_sha256: str) -> None:
    """Refuse a folder that a training of this recipe may not take, or go on in; nothing is written.

    Raises:
        FinbenchError: it holds a finished adapter, another recipe's training or what finbench did not write.

    """
    _check_folder(folder)
    marked = marked_by(folder)
    if (folder / RECORD).is_file():
        raise FinbenchError(f"{str(folder)!r} holds a finished adapter. Give another --output, or --overwrite it.")
    elif not marked and folder.is_dir() and any(folder.iterdir()):
        raise FinbenchError(
            f"{str(folder)!r} is not empty, and nothing in it says that finbench wrote it "
            f"({', '.join(sorted(path.name for path in folder.iterdir())[:5])}). Give another --output."
        )
    elif marked not in ("", recipe_sha256) and any((folder / CHECKPOINTS).glob("checkpoint-*")):
        raise FinbenchError(
            f"{str(folder)!r} holds the unfinished training of another recipe. Give another --output, or --overwrite "
            "it."
        )


def foresee(folder: Path, recipe_sha256: str, overwrite: bool) -> None:
    """Refuse what `claim` would, as far as can be told without a change to the folder and before seconds of imports.

    Raises:
        FinbenchError: see `refuse_taken`.

    """
    if not overwrite and _is_first() and not marked_by(folder):
        refuse_taken(folder, recipe_sha256)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Within it no other process trains into the folder: each would remove what the other has not finished.

    The lock lies beside the folder and ends with the process; where none can be made there, nothing is held.

    Raises:
        FinbenchError: another process does.

    """
    place = folder.resolve()
    with ExitStack() as stack:
        with suppress(OSError):
            if _is_first():
                place.parent.mkdir(parents=True, exist_ok=True)
                if not stack.enter_context(held(place.with_name(f".{place.name}.lock"), wait=False)):
                    raise FinbenchError(f"another process is training into {str(folder)!r}. Give another --output.")
        yield


def _is_first() -> bool:
    """Say whether this process is the one of several that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def marked_by(folder: Path) -> str:
    """Return the hash of the recipe whose unfinished training the folder holds, "" where there is none."""
    try:
        found = (folder / CHECKPOINTS / MARK).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return found if re.fullmatch(r"[0-9a-f]{64}", found) else ""


def _clear(folder: Path, marked: str) -> None:
    """Remove, file by file, what finbench can prove to have written; refuse before the first where it cannot.

    Raises:
        FinbenchError: the folder is not empty and nobody's mark is in it, or a file was changed since it was written.

    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    listed = _listed(folder)
    if not marked and not listed:
        raise FinbenchError(
            f"--overwrite: {str(folder)!r} holds no list of files that finbench wrote there, so it removes nothing "
            f"({', '.join(sorted(path.name for path in folder.iterdir())[:5])}). Remove it yourself, or give another "
            "--output."
        )
    ours = {name: sha256 for name, sha256 in listed.items() if (folder / name).is_file()}
    changed = [name for name, sha256 in ours.items() if sha256 and sha256_of_file(folder / name) != sha256]
    if changed:
        raise FinbenchError(
            f"--overwrite: {', '.join(changed[:5])} in {str(folder)!r} changed since finbench wrote it: move it away "
            "first, or give another --output."
        )
    checkpoints.check_own(folder / CHECKPOINTS)
    for path in (folder / CHECKPOINTS).glob("checkpoint-*"):
        checkpoints.check_listed(path, "would be removed")
    if not marked:
        if (folder / CHECKPOINTS).exists() and any((folder / CHECKPOINTS).iterdir()):
            raise FinbenchError(f"--overwrite: {folder / CHECKPOINTS} is no training's of ours: move it away first.")
        write_text(folder / CHECKPOINTS / MARK, "0" * 64)  # a process that is killed on the way leaves a marked folder
    for name in sorted(ours, key=lambda name: name == RECORD):  # the list goes last
        (folder / name).unlink()
        _remove_empty(folder, (folder / name).parent)
    for path in (folder / CHECKPOINTS).glob("checkpoint-*"):
        checkpoints.remove(path)
    checkpoints.clear_unfinished(folder / CHECKPOINTS)


def _listed(folder: Path) -> dict[str, str]:
    """Return the files that the finished record, or a training killed while it placed them, lists: hashes by name."""
    found: dict[str, str] = {}
    for path in (folder / CHECKPOINTS / PLACED, folder / RECORD):
        try:
            content = read_json(path)
        except FinbenchError:
            continue
        files = content.get("files") if isinstance(content, dict) else None
        if isinstance(files, dict) and re.fullmatch(r"[0-9a-f]{64}", str(content.get("recipe_sha256"))):
            found |= {name: str(sha256) for name, sha256 in files.items() if _provable(folder, name, sha256)}
            found |= {RECORD: ""} if path.name == RECORD else {}  # it says itself whose it is
    return found


def recorded_by(folder: Path) -> str:
    """Return the hash of the recipe whose finished record lies in the folder, "" where there is none."""
    try:
        return str(read_json(folder / RECORD)["recipe_sha256"])
    except (FinbenchError, LookupError, TypeError):
        return ""


def _provable(folder: Path, name: str, sha256: object) -> bool:
    """Say whether what a list names can be ours: in the folder itself, with a hash unless a tracker writes there."""
    return checkpoints.is_within(folder, name) and (bool(sha256) or Path(name).parts[:1] == (TRACKED,))


def stage(folder: Path) -> Path:
    """Return the folder to write results to, before `place` moves them out."""
    found = folder / CHECKPOINTS / checkpoints.UNFINISHED / RESULTS
    found.mkdir(parents=True, exist_ok=True)
    return found


def place(folder: Path) -> None:
    """Move every staged file to its place; what somebody put there meanwhile keeps lying beside, under another name."""
    staged = stage(folder)
    files = sorted(path for path in staged.rglob("*") if path.is_file())
    listed = placed(folder) | {str(path.relative_to(staged)): sha256_of_file(path) for path in files}
    known = set(placed(folder).values())
    note = {"recipe_sha256": marked_by(folder), "files": listed}
    write_text(folder / CHECKPOINTS / PLACED, json.dumps(note, indent=1))
    for path in files:
        target = folder / path.relative_to(staged)
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file() and sha256_of_file(target) not in {*known, listed[str(path.relative_to(staged))]}:
            target.rename(_free_name(target))
        path.replace(target)


def placed(folder: Path) -> dict[str, str]:
    """Return what this training has put into the folder so far: hashes by name."""
    try:
        content = read_json(folder / CHECKPOINTS / PLACED)
    except FinbenchError:
        return {}
    return dict(content["files"]) if content["recipe_sha256"] == marked_by(folder) else {}


def files_of(folder: Path) -> dict[str, str]:
    """Return what the record lists: what was placed, and trackers' files by name alone."""
    tracked = [str(path.relative_to(folder)) for path in (folder / TRACKED).rglob("*") if path.is_file()]
    return placed(folder) | {name: "" for name in tracked if checkpoints.is_within(folder, name)}


def finish(folder: Path) -> None:
    """Remove the checkpoints and the mark of a training whose record is written."""
    here = folder / CHECKPOINTS
    for path in here.glob("checkpoint-*"):
        checkpoints.remove(path)
    checkpoints.clear_unfinished(here)
    for name in (PLACED, MARK):
        (here / name).unlink(missing_ok=True)
    _remove_empty(folder, here)


def _remove_empty(folder: Path, inner: Path) -> None:
    """Remove empty folders from `inner` up to, and without, the folder."""
    while inner != folder and inner.is_dir() and not any(inner.iterdir()):
        inner.rmdir()
        inner = inner.parent


def _free_name(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.before{number or ''}") for number in range(1000))
    return next(name for name in names if not name.exists())
