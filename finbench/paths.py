"""Where things lie: tasks, caches, rows, adapters, leaderboards."""

import os
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def bundled_tasks() -> Path:
    """Return the folder of finbench's own task YAMLs, which lies beside the package in a checkout as in a wheel."""
    return PACKAGE.parent / "tasks_yaml"


def task_folders() -> list[Path]:
    """Return every folder of task YAMLs: the bundled one, `./tasks_yaml` and those named in `FINBENCH_TASKS`."""
    named = [Path(part) for part in os.environ.get("FINBENCH_TASKS", "").split(os.pathsep) if part]
    folders = [bundled_tasks(), Path.cwd() / "tasks_yaml", *named]
    seen: dict[Path, None] = {}
    for folder in folders:
        if folder.is_dir():
            seen.setdefault(folder.resolve())
    return list(seen)


def home() -> Path:
    """Return the folder of caches: `FINBENCH_HOME`, or `finbench` in the user's cache folder."""
    if given := os.environ.get("FINBENCH_HOME"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "finbench"


def shown(path: Path) -> Path:
    """Return a path as people are told it: from the folder where the user works, if it lies in it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def adapters() -> Path:
    """Return the folder of adapters where the user works."""
    return Path.cwd() / "adapters"


def leaderboards() -> Path:
    """Return the folder of rendered boards where the user works; `cells/` lies in it."""
    return Path.cwd() / "leaderboards"
