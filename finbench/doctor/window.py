"""The window of releases that finbench supports, and what is installed against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

WINDOW = Path(__file__).resolve().parents[1] / "window.yaml"


@dataclass(frozen=True)
class Library:
    """A library's window: the oldest and the newest release that the tests ran on."""

    name: str
    floor: str
    newest: str
    why: str


@dataclass(frozen=True)
class Refused:
    """What a library's releases below one cannot do, and what to use instead."""

    library: str
    below: str
    what: str
    instead: str


@lru_cache(maxsize=1)
def _window() -> Mapping[str, Any]:
    import yaml

    content: Mapping[str, Any] = yaml.safe_load(WINDOW.read_text(encoding="utf-8"))
    return content


def tried() -> str:
    """Return the day on which both ends of the window were last run."""
    return str(_window()["tried"])


def libraries() -> tuple[Library, ...]:
    """Return every library's window, Python's first."""
    python = _window()["python"]
    own = Library("python", python["floor"], python["newest"], python["note"])
    return (own, *(Library(name, **ends) for name, ends in _window()["libraries"].items()))


def refused() -> tuple[Refused, ...]:
    """Return what older releases in the window cannot do."""
    return tuple(Refused(**one) for one in _window()["refused"])


def installed(name: str) -> str | None:
    """Return the installed release of a library, None where it is missing."""
    if name == "python":
        import platform

        return platform.python_version()
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def against(library: Library, found: str | None) -> str:
    """Return what is wrong with a found release, "" if it lies in the window or is newer than what was tried."""
    from packaging.version import Version

    if found is None:
        return f"is not installed: pip install '{library.name}>={library.floor}'"
    if Version(found) < Version(library.floor):
        return f"{found} is older than {library.floor}, the oldest that works ({library.why}): upgrade {library.name}"
    return ""


def is_untried(library: Library, found: str | None) -> bool:
    """Return whether a release is newer than the newest that the tests ran on: it may well work."""
    from packaging.version import Version

    parts = len(Version(library.newest).release)  # a library tried at 3.11 was tried at 3.11.7
    return found is not None and Version(found).release[:parts] > Version(library.newest).release
