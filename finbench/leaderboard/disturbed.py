"""Costs that were taken beside other work: which of them a board marks, and what it says where nobody noted it."""

from collections.abc import Iterable, Mapping
from typing import Any

from finbench.cells.key import Cell
from finbench.leaderboard.training import costs_of, load_of_training

MOST = 0.10  # of the time of the processors that a run could use; what is taken beyond it costs the run as much
MARK = "†"
EXPLAINED = f"{MARK} taken beside other work, which had more than {MOST:.0%} of the processors"
SCORED = f"{MARK} its seconds were taken beside other work, which had more than {MOST:.0%} of the processors"
TRAINED = f"{MARK} trained beside other work, which had more than {MOST:.0%} of the processors"


def others_share(load: Mapping[str, Any] | None) -> float | None:
    """Return the share of the processors that others had, None where nobody knows: a record may say anything."""
    share = load.get("others_share") if load else None
    return float(share) if isinstance(share, int | float) and not isinstance(share, bool) else None


def mark(load: Mapping[str, Any] | None) -> str:
    """Return the mark of a cost whose work was disturbed, "" for others: unknown is not disturbed, nor is it quiet."""
    share = others_share(load)
    return MARK if share is not None and share > MOST else ""


def remarks(cell: Cell) -> list[str]:
    """Return what the marks of a cell's costs mean."""
    found = [SCORED] if mark(cell.load) else []
    return found + ([TRAINED] if mark(load_of_training(cell)) else [])


def unknown(cells: Iterable[Cell]) -> str:
    """Return of how many of these costs nobody noted the load, "" where all of them have it."""
    scored = [others_share(cell.load) is None for cell in cells if cell.seconds_per_row is not None]
    trained = {
        cell.key.adapter_sha256 or cell.key.base_sha256: others_share(load_of_training(cell)) is None
        for cell in cells
        if costs_of(cell).seconds is not None
    }
    parts = [(sum(scored), len(scored), "scores"), (sum(trained.values()), len(trained), "trainings")]
    told = [f"{missing} of {of} {what}" for missing, of, what in parts if missing]
    return (
        f"load not recorded: {' and '.join(told)}, whose seconds may have been taken beside other work" if told else ""
    )
