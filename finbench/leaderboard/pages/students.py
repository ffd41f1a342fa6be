"""Students beside their teachers, and beside the same training without one: what was won, and what was lost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from finbench.leaderboard import pooled
from finbench.leaderboard.chosen import holm
from finbench.leaderboard.exact import Comparison
from finbench.leaderboard.footnotes import Footnotes
from finbench.leaderboard.gains import shown_gain
from finbench.leaderboard.markdown import SHOWN, markdown
from finbench.leaderboard.paired import Outcomes
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.table import short
from finbench.leaderboard.training import is_own_task, student_of, teacher_of, untaught_recipe
from finbench.leaderboard.view import View

TITLES = ["task", "student", "student of", "accuracy", "its teacher", "over its teacher", "over itself without one"]
COSTS = ["seconds a row", "teacher's", "memory", "teacher's", "adapter", "teacher's"]
COLUMNS = (
    "A line is a student on the test rows of its own task, ± over (so many) seeds. *Over its teacher*: by how much "
    "it is more accurate than the model that taught it, tested on the same rows; *over itself without one*: than the "
    "same training on the same labelled rows without a teacher. Tests are exact, the answers of all seeds to a row "
    "stay together, and p-values are corrected for all tests of a task here (Holm). Then what is won: *seconds* of "
    "scoring a row, peak *memory* (GiB) and size of the *adapter* (MiB), each beside the teacher's."
)


@dataclass(frozen=True)
class Student:
    """A student on a task, its teacher there, and the same training without a teacher; None where not scored."""

    own: Scored
    teacher: Scored | None
    plain: Scored | None

    def tests(self, outcomes: Outcomes) -> list[Comparison | str]:
        """Return by how much it is better than its teacher, and than without one; in words why there is no test."""
        return [
            pooled.accuracy(outcomes, other.cells, self.own.cells) if other else "not scored"
            for other in (self.teacher, self.plain)
        ]


def section(view: View) -> str:
    """Return the section of the page of methods, "" where nobody is a student."""
    found = {task: students for task in view.boards if (students := list(_students(view, task)))}
    if not found:
        return ""
    notes = Footnotes(cell for students in found.values() for one in students for cell in one.own.cells)
    lines = [line for students in found.values() for line in _lines(students, view.outcomes, notes)]
    table = markdown([*TITLES, *COSTS], lines[:SHOWN], len(lines))
    return f"\n## Students\n\n{table}\n\n{COLUMNS}\n\n{notes.text()}\n"


def _students(view: View, task: str) -> Iterator[Student]:
    """Yield the students of a task with whom they are to be held against, under the same condition."""
    for ranked in view.boards[task].values():
        for one in ranked:
            cell = one.cells[0]
            if not (is_own_task(cell) and student_of(cell)):
                continue
            teacher = next((other for other in ranked if _key(other) == teacher_of(cell)), None)
            yield Student(one, teacher, next((other for other in ranked if _is_plain(other, one)), None))


def _key(one: Scored) -> tuple[str, str, str]:
    key = one.cells[0].key
    return key.base_sha256, key.adapter_sha256, key.precision


def _is_plain(other: Scored, student: Scored) -> bool:
    """Say whether another line is the same training without a teacher."""
    cell, own = other.cells[0], student.cells[0]
    same_base = cell.key.base_sha256 == own.key.base_sha256 and cell.key.precision == own.key.precision
    return same_base and not student_of(cell) and is_own_task(cell) and untaught_recipe(cell) == untaught_recipe(own)


def _lines(students: Sequence[Student], outcomes: Outcomes, notes: Footnotes) -> Iterator[list[str]]:
    tests = [test for one in students for test in one.tests(outcomes)]
    measured = {str(n): test.p_value for n, test in enumerate(tests) if isinstance(test, Comparison)}
    corrected = holm(measured)
    shown = [shown_gain(test, corrected.get(str(n)), len(measured)) for n, test in enumerate(tests)]
    for place, one in enumerate(students):
        spread = one.own.spread()
        yield [
            f"{short(one.own.task)}{notes.mark(one.own.cells)}",
            one.own.line.title,
            student_of(one.own.cells[0]),
            f"{spread} ({len(one.own.cells)})" if spread else f"{one.own.accuracy:.4f}",
            f"{one.teacher.accuracy:.4f}" if one.teacher else "–",
            *shown[2 * place : 2 * place + 2],
            *_costs(one),
        ]


def _costs(one: Student) -> Iterator[str]:
    """Yield each cost of the student, and its teacher's."""
    for form, cost in (("{:.4f}", Scored.seconds_per_row), ("{:.2f}", Scored.gibibytes)):
        for line in (one.own, one.teacher):
            value = cost(line) if line else None
            yield (form.format(value) if value is not None else "–") + (line.scoring_mark() if line else "")
    for line in (one.own, one.teacher):
        size = line.adapter_mebibytes() if line else None
        yield f"{size:.2f}" if size is not None else "–"
