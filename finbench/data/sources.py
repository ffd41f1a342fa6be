"""Where a dataset's files come from: the hub, a folder of the publishers' files, or the bundled sample.

`FINBENCH_DATA` chooses: unset is the hub (cached), `sample` the bundled rows, anything else a folder. There is no
fall-back from one to another, because a score on other rows would pass for the real one.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from finbench.errors import FinbenchError
from finbench.records import Row, SourceKind, Split

Files = Mapping[str, Path]
Splits = dict[Split, list[Row]]
SPLITS: tuple[Split, ...] = ("train", "test")
DOUBTED = "-doubted"  # ends the id of a row whose published answer is known to be wrong
Reader = Callable[[Files, SourceKind], tuple[Splits, dict[str, int]]]


@dataclass(frozen=True)
class Dataset:
    """What one dataset file of this folder exports as `DATASET`.

    `read` gets the opened files under the keys of `hub_files` or `folder_files`, and returns rows by split and counts
    of records that it left out. `revision` is a commit, or "main" where none is known; without `hub_files` the rows
    lie in the GitHub repository `repo`, from which a user puts them into a folder. Files that are `optional` are opened
    where they are there. `settings` say in JSON how answers are read.
    """

    name: str
    labels: tuple[str, ...]
    repo: str
    revision: str
    hub_files: Mapping[str, str]
    folder_files: Mapping[str, str]
    read: Reader
    licence: str
    optional: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""


def chosen_source() -> tuple[SourceKind, str]:
    """Return the kind of source that `FINBENCH_DATA` asks for, and its place."""
    given = os.environ.get("FINBENCH_DATA", "").strip()
    if not given:
        return "hub", ""
    if given == "sample":
        return "sample", ""
    return "folder", given


def open_folder(dataset: Dataset, folder: Path) -> dict[str, Path]:
    """Return the dataset's files in a folder that holds them under their publishers' names.

    Raises:
        FinbenchError: the folder or one of the files is missing.

    """
    if not folder.is_dir():
        raise FinbenchError(
            f"FINBENCH_DATA names {str(folder)!r}, which is no folder. "
            "Give a folder with the publishers' files, `sample` for the bundled rows, or unset it to use the hub."
        )
    files = {key: folder / name for key, name in dataset.folder_files.items()}
    missing = [str(path) for path in files.values() if not path.is_file()]
    if missing:
        raise FinbenchError(
            f"rows of {dataset.name}: {', '.join(missing)} not found (FINBENCH_DATA={folder}). "
            f"Put the files of {_home(dataset)} there under these names."
        )
    more = {key: folder / name for key, name in dataset.optional.items()}
    return files | {key: path for key, path in more.items() if path.is_file()}


def _home(dataset: Dataset) -> str:
    return (
        f"https://huggingface.co/datasets/{dataset.repo}" if dataset.hub_files else f"https://github.com/{dataset.repo}"
    )


def open_hub(dataset: Dataset) -> tuple[dict[str, Path], str]:
    """Download (or find in the cache) the dataset's files; return them and the commit that they are of.

    Raises:
        FinbenchError: the hub cannot be reached and the files are not cached; the message names the three ways out.

    """
    from huggingface_hub import hf_hub_download

    if not dataset.hub_files:
        raise FinbenchError(
            f"rows of {dataset.name} are not fetched from the hub. Put the files of {_home(dataset)} into a folder as "
            f"{', '.join([*dataset.folder_files.values(), *dataset.optional.values()])}, and point FINBENCH_DATA to it."
        )
    try:
        files = {
            key: Path(hf_hub_download(dataset.repo, name, repo_type="dataset", revision=dataset.revision))
            for key, name in dataset.hub_files.items()
        }
    except Exception as error:  # the hub client raises a dozen kinds: no network, gated, not found, bad proxy
        reason = next(iter(str(error).splitlines()), "")
        raise FinbenchError(
            f"rows of {dataset.name}: cannot fetch {dataset.repo}@{dataset.revision} from the hub "
            f"({type(error).__name__}: {reason}). Three ways out: restore the network (or fill the "
            "hub's cache beforehand); point FINBENCH_DATA to a folder with the publishers' files; or set "
            "FINBENCH_DATA=sample for the small bundled rows, whose scores are no real scores."
        ) from error
    return files, _commit(files)


def _commit(files: Files) -> str:
    """Return the commit of downloaded files: the hub's cache names their folder `snapshots/COMMIT`."""
    commits = {path.parts[path.parts.index("snapshots") + 1] for path in files.values()}
    if len(commits) > 1:
        raise FinbenchError(f"the hub changed during the download ({', '.join(sorted(commits))}): run it again.")
    return commits.pop()
