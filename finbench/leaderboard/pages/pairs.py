"""Pairs of entries on the same rows, by accuracy and by weighted F1: adapter with base, the best with its rivals."""

from collections.abc import Callable, Mapping, Sequence

from finbench.cells.key import Cell
from finbench.leaderboard import pooled
from finbench.leaderboard.chosen import holm
from finbench.leaderboard.exact import Comparison
from finbench.leaderboard.gains import RIVALS, Gain, pairs_among, shown_gain
from finbench.leaderboard.markdown import markdown
from finbench.leaderboard.paired import Outcomes
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.seeds import Line

Side = tuple[str, Sequence[Cell]]  # an entry's title and its cells
Pair = tuple[Side, Side]
Tested = Comparison | str
Test = Callable[[Outcomes, Sequence[Cell], Sequence[Cell]], Tested]


def section(ranked: Sequence[Scored], gains: Mapping[Line, Gain], outcomes: Outcomes) -> str:
    """Return the table of pairs, "" where there is none to make.

    Each of the RIVALS best is tested against its bare base, and the best against the others. Gains are corrected for
    all adapters whose base was scored, rivals for all pairs of entries: those that are shown were chosen from these.
    """
    best, *others = ranked[:RIVALS]
    adapters = [one for one in (best, *others) if one.bare is not None]
    own: list[Pair] = [(_side(one), (_base(one), [one.bare])) for one in adapters if one.bare is not None]
    rivals: list[Pair] = [(_side(best), _side(other)) for other in others if other.line.title != _base(best)]
    if not own and not rivals:
        return ""
    of_gains = next((gains[one.line].of for one in adapters), 1)

    def tested(of: list[Pair], test: Test) -> list[Tested]:
        return [test(outcomes, other[1], one[1]) for one, other in of]

    of_rivals = pairs_among(len(ranked))
    accuracy = [gains[one.line].test for one in adapters] + (beside := tested(rivals, pooled.accuracy))
    shown = [shown_gain(gains[one.line].test, gains[one.line].p_value, of_gains) for one in adapters]
    titles, columns = [f"accuracy, {_method(accuracy)}"], [shown + _shown(beside, of_rivals)]
    if best.cells[0].confusion:
        of_f1 = tested(own, pooled.f1), tested(rivals, pooled.f1)
        titles.append(f"weighted F1, {_method(of_f1[0] + of_f1[1])}")
        columns.append(_shown(of_f1[0], of_gains) + _shown(of_f1[1], of_rivals))
    rows = [[one[0], other[0], *found] for (one, other), *found in zip(own + rivals, *columns, strict=True)]
    return markdown(["entry", "against", *titles], rows)


def _side(one: Scored) -> Side:
    return one.line.title, one.cells


def _base(one: Scored) -> str:
    return one.line.entries[0].bare().title()


def _shown(column: list[Tested], of: int) -> list[str]:
    tests = {str(n): test.p_value for n, test in enumerate(column) if isinstance(test, Comparison)}
    corrected = holm(tests, of)
    return [shown_gain(test, corrected.get(str(n)), of) for n, test in enumerate(column)]


def _method(column: list[Tested]) -> str:
    """Return the names of the tests: one where all entries have one seed, since rows repeat in all or in none."""
    names = dict.fromkeys(test.method for test in column if isinstance(test, Comparison))
    return " or ".join(names) or "no test"
