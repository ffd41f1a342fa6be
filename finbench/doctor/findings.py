"""What is found here: releases, the hook, fast paths, devices and rows, each as a line with its judgement."""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from finbench.doctor.trials import trials
from finbench.doctor.window import against, installed, is_untried, libraries, refused

Judgement = Literal["good", "bad", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: `judgement` is bad where finbench cannot do what it promises."""

    group: str
    name: str
    judgement: Judgement
    text: str


def findings() -> Iterator[Finding]:
    """Yield what is found, as it is found; a library that cannot even be imported is a finding too."""
    groups = (("releases", releases), ("hook", hook), ("fast paths", fast_paths), ("devices", devices), ("rows", rows))
    for name, look in groups:
        yield from _guarded(name, look)


def _guarded(group: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except Exception as error:  # whatever a broken library raises is what this is for
        yield Finding(group, "what could be seen", "bad", _in_a_line(error))


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def releases() -> Iterator[Finding]:
    """Compare installed releases with the window."""
    from packaging.version import Version

    for library in libraries():
        found = installed(library.name)
        if wrong := against(library, found):
            yield Finding("releases", library.name, "bad", wrong)
        elif is_untried(library, found):
            text = f"{found} is newer than {library.newest}, the newest that was tried: the fast paths below tell"
            yield Finding("releases", library.name, "note", text)
        else:
            yield Finding("releases", library.name, "good", f"{found} (from {library.floor} to {library.newest})")
    for one in refused():
        found = installed(one.library)
        if found is not None and Version(found) < Version(one.below):
            text = f"refused with {one.library} {found}, below {one.below}: use {one.instead}"
            yield Finding("releases", one.what, "note", text)


def hook() -> Iterator[Finding]:
    """Say whether plain `lm_eval` sees the tasks, and why not."""
    place = ("hook", "plain lm_eval")
    if os.environ.get("FINBENCH_AUTOLOAD") == "0":
        yield Finding(*place, "note", "switched off by FINBENCH_AUTOLOAD=0: lm_eval does not see finbench's tasks")
    elif not any("finbench" in getattr(finder, "__module__", "") for finder in sys.meta_path):
        yield Finding(
            *place,
            "bad",
            "no start-up hook in this environment, so lm_eval does not see the tasks: install finbench into it "
            "(pip install .), a folder on PYTHONPATH alone is not enough",
        )
    elif unseen := _unseen():
        text = f"the hook is in place, but lm_eval does not see {' and '.join(unseen)}: report it with this output"
        yield Finding(*place, "bad", text)
    else:
        yield Finding(*place, "good", "sees the tasks and model types")


def _unseen() -> list[str]:
    """Return what `lm_eval` does not find in this process, though the hook is there."""
    import lm_eval.models  # noqa: F401  # where model types are registered
    from lm_eval.api.registry import MODEL_REGISTRY
    from lm_eval.tasks import TaskManager

    task, types = "fin_fpb", ("hf-fast", "hf-classifier")
    seen = set(TaskManager().match_tasks([task])) | set(MODEL_REGISTRY)
    return [name for name in (task, *types) if name not in seen]


def fast_paths() -> Iterator[Finding]:
    """Try every fast path on a model of two layers."""
    for name, trial in trials().items():
        try:
            reason = trial()
        except Exception as error:  # whatever a library raises is what this is for
            reason = _in_a_line(error)
        yield Finding("fast paths", name, "bad" if reason else "good", reason or "works")


def devices() -> Iterator[Finding]:
    """Say what there is to run on."""
    import psutil
    import torch

    memory = psutil.virtual_memory()
    text = f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, "
    text += f"{memory.available / 2**30:.1f} of {memory.total / 2**30:.1f} GiB free"
    yield Finding("devices", "processor", "good", text)
    for number in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(number)
        text = f"{torch.cuda.get_device_name(number)}, {free / 2**30:.1f} of {total / 2**30:.1f} GiB free"
        yield Finding("devices", f"cuda:{number}", "good", text)
    if not torch.cuda.is_available():
        yield Finding("devices", "accelerator", "note", "none that torch sees")


def rows() -> Iterator[Finding]:
    """Say where rows come from, and whether they are there; nothing is downloaded."""
    from pathlib import Path

    from finbench.data.load import DATASETS, find
    from finbench.data.sources import chosen_source, open_folder
    from finbench.errors import FinbenchError

    kind, place = chosen_source()
    if kind == "sample":
        yield Finding("rows", "FINBENCH_DATA", "note", "bundled sample rows, whose scores are no real scores")
        return
    lacking = []
    for name in DATASETS:
        dataset = find(name)
        try:
            if kind == "folder":
                open_folder(dataset, Path(place))
            elif not _is_cached(dataset.repo, dataset.revision, tuple(dataset.hub_files.values())):
                lacking.append(name)
        except FinbenchError:
            lacking.append(name)
    where = f"the folder {place}" if kind == "folder" else "the hub"
    if not lacking:
        yield Finding("rows", "FINBENCH_DATA", "good", f"{where}; files of all datasets are there")
        return
    text = f"{where}; {'not there' if kind == 'folder' else 'not yet in its cache'}: {', '.join(lacking)}"
    yield Finding("rows", "FINBENCH_DATA", "note", text)


def _is_cached(repo: str, revision: str, files: tuple[str, ...]) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return all(
        isinstance(try_to_load_from_cache(repo, name, revision=revision, repo_type="dataset"), str) for name in files
    )
