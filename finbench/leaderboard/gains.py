"""What a task's entries have over their bare bases, and how surely: corrected for all that they were chosen from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from finbench.leaderboard import pooled
from finbench.leaderboard.chosen import LEVEL, holm, needs_draws, of_least
from finbench.leaderboard.exact import Comparison
from finbench.leaderboard.paired import Outcomes
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.seeds import Line

RIVALS = 12  # lines of a task that are tested: the best, and those next to it
READ = 200  # cells whose rows are read to correct a test for having been chosen from them; more are counted only


@dataclass(frozen=True)
class Gain:
    """The difference of an entry to its bare base, or in words why there is none.

    `p_value` is corrected for the `of` entries that this one was chosen from, None where there is no test.
    """

    test: Comparison | str
    p_value: float | None = None
    of: int = 1


def gains_of(ranked: Sequence[Scored], outcomes: Outcomes) -> dict[Line, Gain]:
    """Return the gains of the RIVALS best lines of a task, the most accurate first."""
    top = ranked[:RIVALS]
    tests = {one.line: _test_of(one, outcomes) for one in top}
    adapters = [one for one in ranked if one.bare is not None]
    measured = {line: test.p_value for line, test in tests.items() if isinstance(test, Comparison)}
    names = {str(n): line for n, line in enumerate(measured)}
    by_name = holm({name: measured[line] for name, line in names.items()}, len(adapters))
    corrected = {line: by_name[name] for name, line in names.items()}
    open_ones = any(needs_draws(p, corrected[line]) for line, p in measured.items())
    if open_ones and sum(len(one.cells) for one in adapters) <= READ:
        drawn = _drawn(list(measured.values()), adapters, outcomes)
        corrected = {line: min(corrected[line], p) for line, p in zip(measured, drawn, strict=True)}
    return {line: Gain(test, corrected.get(line), len(adapters)) for line, test in tests.items()}


def _test_of(one: Scored, outcomes: Outcomes) -> Comparison | str:
    if one.line.is_base:
        return "is a base"
    if one.bare is None:
        return "its base cannot answer" if one.cannot_be_bare() else "base not scored"
    return pooled.accuracy(outcomes, [one.bare], one.cells)


def _drawn(p_values: Sequence[float], adapters: Sequence[Scored], outcomes: Outcomes) -> list[float]:
    """Return p-values corrected by drawing what all adapters' gains look like where none is one."""
    read = [pooled.gained(outcomes, [one.bare], one.cells) for one in adapters if one.bare is not None]
    found = [gained for gained in read if gained is not None]
    known = [one.differences for one in found if np.array_equal(one.ids, found[0].ids)]
    if not known:
        return [1.0] * len(p_values)
    unknown = len(adapters) - len(known)  # on other rows, or without outcomes: each counts as much as any can
    return [min(1.0, drawn + unknown * p) for drawn, p in zip(of_least(p_values, known), p_values, strict=True)]


def pairs_among(entries: int) -> int:
    """Return how many pairs there are: any of them might have been the best and its rival."""
    return max(1, entries * (entries - 1) // 2)


def shown_gain(test: Comparison | str, p_value: float | None, of: int = 1) -> str:
    """Return a difference with its corrected p-value and what that means, in words; `of` is as in `not_shown`."""
    if isinstance(test, str) or p_value is None:
        return str(test)
    if p_value >= LEVEL:
        return f"{test.difference:+.3f}, {not_shown(test, p_value, of)}"
    return f"{test.difference:+.3f}, {'better' if test.difference > 0 else 'worse'} ({shown_p(p_value)})"


def not_shown(test: Comparison, p_value: float, of: int) -> str:
    """Return in words that a test shows nothing.

    `of` is the number of comparisons that the test was chosen from: where so few clusters differ that no answers on
    them could show anything, this is said too.
    """
    few = ", too few rows do" if test.floor * of >= LEVEL else ""
    return f"not shown to differ ({shown_p(p_value)}){few}"


def shown_p(p_value: float) -> str:
    """Return a p-value as boards show it."""
    return f"p {p_value:.3f}" if p_value >= 0.001 else "p < 0.001"
