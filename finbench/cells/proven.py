"""Seals of cells whose numbers were recomputed here once: what is the same to the bit need not be computed again."""

from collections.abc import Collection, Iterable
from contextlib import suppress
from pathlib import Path

from finbench.paths import home

RULES = 1  # raised when `cells.proof` asks more of a cell than before
MOST_BYTES = 64 << 20  # a million seals: then it begins anew


def _file() -> Path:
    return home() / f"proven-{RULES}"


def known() -> Collection[str]:
    """Return the seals that were proved before; none where the cache cannot be read."""
    with suppress(OSError, ValueError):
        return set(_file().read_text(encoding="ascii").split())
    return set()


def remember(seals: Iterable[str]) -> None:
    """Add seals; a cache that cannot be written costs time, nothing else."""
    text = "".join(f"{seal}\n" for seal in seals)
    with suppress(OSError):
        if text:
            _file().parent.mkdir(parents=True, exist_ok=True)
            large = _file().is_file() and _file().stat().st_size > MOST_BYTES
            with _file().open("w" if large else "a", encoding="ascii") as file:
                file.write(text)
