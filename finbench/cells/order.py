"""Which of two results is the newer one, also where a clock was wrong once."""

from datetime import UTC, datetime, timedelta

from finbench.cells.key import Cell

AHEAD = timedelta(days=1)  # what clocks may differ by before a date is called one of the future


def date_of(written: str) -> datetime | None:
    """Return a moment as cells write it (ISO 8601 with its offset), None where it is none."""
    try:
        found = datetime.fromisoformat(written)
        return found.astimezone(UTC) if found.tzinfo else None
    except (ValueError, OverflowError):
        return None


def in_future(cell: Cell) -> bool:
    """Say whether the cell is dated later than now."""
    date = date_of(cell.created)
    return date is not None and date > datetime.now(UTC) + AHEAD


def newness(cell: Cell) -> tuple[int, bool, str, str]:
    """Return what cells of one place are ordered by, the newest last.

    Each cell counts on from those that lay in its place when it was written (`sequence`), which no clock changes. Cells
    from before that was counted come first and among themselves by date, those dated in the future before the others.
    """
    return cell.sequence, not in_future(cell), cell.created, cell.key.digest()
