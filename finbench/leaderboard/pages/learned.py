"""What was learned, in a few sentences computed from the cells: methods, gains, costs, and what shows nothing."""

from collections.abc import Sequence
from statistics import median
from typing import Protocol

from finbench.leaderboard.chosen import LEVEL, holm
from finbench.leaderboard.exact import Comparison
from finbench.leaderboard.paired import constant_answer
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.seeds import Line
from finbench.leaderboard.table import short
from finbench.leaderboard.view import View


class BestOfTask(Protocol):
    """What the front page knows of a task's best."""

    @property
    def scored(self) -> Scored:
        """Return the best."""

    @property
    def tied(self) -> tuple[Line, ...]:
        """Return who is tied with it."""


def sentences(view: View, found: Sequence[BestOfTask]) -> list[str]:
    """Return the sentences that the bests of all tasks allow."""
    right = [one for one in found if one.scored.accuracy]
    return [text for text in (_methods(view, right), _gains(view), _costs(right), _nothing(found)) if text]


def _methods(view: View, found: Sequence[BestOfTask]) -> str:
    """Say which method leads on how many tasks, and by how much before the next method."""
    leads: dict[str, list[BestOfTask]] = {}
    for one in found:
        leads.setdefault(_method(one.scored.line), []).append(one)
    order = sorted(leads.items(), key=lambda item: (-len(item[1]), item[0]))
    parts = [f"{method} on {len(own)} ({'; '.join(_leads(view, own))})" for method, own in order]
    return f"Of {len(found)} tasks the best entry is {', '.join(parts)}." if parts else ""


def _leads(view: View, own: Sequence[BestOfTask]) -> list[str]:
    """Return by how much one method's bests lead over the next method: shown, not shown, and without another."""
    shown, tied, alone = list[str](), list[str](), list[str]()
    for one in own:
        task, method = short(one.scored.task), _method(one.scored.line)
        others = [rival for rival in view.main(one.scored.task) if _method(rival.line) not in (method, BARE)]
        if not others:
            alone.append(task)
            continue
        by = f"{one.scored.accuracy - others[0].accuracy:.3f} on {task}"
        (tied if any(_method(line) not in (method, BARE) for line in one.tied) else shown).append(by)
    parts = [f"ahead of the next method by {' and '.join(shown)}"] if shown else []
    parts += [f"ahead by {' and '.join(tied)}, which these rows do not show"] if tied else []
    return parts + ([f"{' and '.join(alone)}, where no other was tried"] if alone else [])


BARE = "a base without adapter"


def _method(line: Line) -> str:
    return line.method.partition(",")[0] if line.method else BARE


def _gains(view: View) -> str:
    """Say on which tasks an adapter is shown to be better than its own base, under any condition, and by how much."""
    best: dict[str, tuple[float, float]] = {}
    for task, conditions in view.boards.items():
        for condition in conditions:
            for gain in view.gains(task, condition).values():
                if isinstance(gain.test, Comparison) and gain.p_value is not None:
                    helps = gain.p_value if gain.test.difference > 0 else 1.0
                    best[task] = min(best.get(task, (1.0, 0.0)), (helps, -gain.test.difference))
    if not best:
        return ""
    corrected = holm({task: p_value for task, (p_value, _) in best.items()})
    better = {task: -best[task][1] for task in best if corrected[task] < LEVEL}
    rest = [short(task) for task in best if task not in better]
    if not better:
        return f"No adapter is shown to be better than its own base ({', '.join(rest)})."
    most = f"{max(better.values()):.2f}" if max(better.values()) != min(better.values()) else ""
    by = f"{min(better.values()):.2f}" + (f" to {most}" if most else "")
    shown = f"Adapters are shown to be better than their own bases on {', '.join(map(short, better))}, by {by}"
    return f"{shown}{', and not on ' + ', '.join(rest) if rest else ''}."


def _costs(found: Sequence[BestOfTask]) -> str:
    """Say what the best adapters cost to train, to keep and to use."""
    trained = [seconds for one in found if (seconds := one.scored.training_seconds()) is not None]
    sizes = [size for one in found if (size := one.scored.adapter_mebibytes()) is not None]
    rows = [seconds for one in found if (seconds := one.scored.seconds_per_row()) is not None]
    parts = [f"took {_range(trained, '.0f')} s to train (median {median(trained):.0f} s)"] if trained else []
    parts += [f"take {_range(sizes, '.1f')} MiB to keep"] if sizes else []
    parts += [f"{_range(rows, '.3f')} s to answer a row"] if rows else []
    return f"These entries {', '.join(parts)}." if trained else ""


def _range(values: Sequence[float], form: str) -> str:
    low, high = format(min(values), form), format(max(values), form)
    return low if low == high else f"{low} to {high}"


def _nothing(found: Sequence[BestOfTask]) -> str:
    """Say on which tasks nothing is shown to beat a constant answer, or to answer anything."""
    shares = {one.scored.task: constant_answer(one.scored.cells[0]) for one in found}
    none = [short(one.scored.task) for one in found if not one.scored.accuracy]
    constant = [
        short(one.scored.task)
        for one in found
        if (share := shares[one.scored.task]) is not None and one.scored.accuracy and one.scored.interval().low <= share
    ]
    parts = (
        [f"Nothing is shown to beat always giving the commonest answer on {', '.join(constant)}"] if constant else []
    )
    parts += [f"No entry answers a row of {', '.join(none)}"] if none else []
    classes = any(share is not None for share in shares.values())
    beaten = "The best beats always giving the commonest answer wherever there are classes." if classes else ""
    return ". ".join(parts) + "." if parts else beaten
