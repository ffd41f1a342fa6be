"""Pairs of entries on the same rows, by accuracy and by weighted F1: adapter with base, the best with its rivals."""

from collections.abc import Callable, Mapping

from finbench.cells.key import Cell
from finbench.leaderboard.chosen import holm
from finbench.leaderboard.exact import Comparison
from finbench.leaderboard.gains import Gain, pairs_among, shown_gain
from finbench.leaderboard.markdown import markdown
from finbench.leaderboard.paired import Outcomes
from finbench.leaderboard.table import Entry

Pair = tuple[Entry, Entry]
Tested = Comparison | str
Test = Callable[[Cell, Cell], Tested]


def pairs_of(top: Mapping[Entry, Cell], ranked: Mapping[Entry, Cell]) -> list[Pair]:
    """Return who is tested against whom: each of the top against its bare base, and the best against the others."""
    bases = [(entry, bare) for entry in top if entry.adapter and (bare := entry.bare()) in ranked]
    best, *others = top
    return bases + [(best, other) for other in others if (best, other) not in bases]


def section(
    top: Mapping[Entry, Cell], ranked: Mapping[Entry, Cell], gains: Mapping[Entry, Gain], outcomes: Outcomes
) -> str:
    """Return the table of pairs, "" where there is none to make.

    Gains are corrected for all adapters whose base was scored, rivals for all pairs of entries: the pairs that are
    shown were chosen from these.
    """
    pairs = pairs_of(top, ranked)
    if not pairs:
        return ""
    own = [pair for pair in pairs if pair[1] == pair[0].bare()]
    rivals = [pair for pair in pairs if pair not in own]
    of_gains = next((gains[entry].of for entry, _ in own), 1)

    def tested(of: list[Pair], test: Test) -> list[Tested]:
        return [test(ranked[other], ranked[entry]) for entry, other in of]

    of_rivals = pairs_among(len(ranked))
    accuracy = [gains[entry].test for entry, _ in own] + (others := tested(rivals, outcomes.accuracy))
    shown = [shown_gain(gains[entry].test, gains[entry].p_value, of_gains) for entry, _ in own]
    titles, columns = [f"accuracy, {_method(accuracy)}"], [shown + _shown(others, of_rivals)]
    if next(iter(top.values())).confusion:
        of_f1 = tested(own, outcomes.f1), tested(rivals, outcomes.f1)
        titles.append(f"weighted F1, {_method(of_f1[0] + of_f1[1])}")
        columns.append(_shown(of_f1[0], of_gains) + _shown(of_f1[1], of_rivals))
    rows = [[one.title(), other.title(), *found] for (one, other), *found in zip(own + rivals, *columns, strict=True)]
    return f"### Compared on the same rows\n\n{markdown(['entry', 'against', *titles], rows)}"


def _shown(column: list[Tested], of: int) -> list[str]:
    tests = {str(n): test.p_value for n, test in enumerate(column) if isinstance(test, Comparison)}
    corrected = holm(tests, of)
    return [shown_gain(test, corrected.get(str(n)), of) for n, test in enumerate(column)]


def _method(column: list[Tested]) -> str:
    """Return the name of the test, the same for all pairs: rows repeat in all of them or in none."""
    return next((test.method for test in column if isinstance(test, Comparison)), "no test")
