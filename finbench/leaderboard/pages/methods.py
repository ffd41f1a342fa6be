"""Methods compared: each recipe over its seeds on the tasks it was trained on, with the published comparison below."""

from finbench.cells.key import Cell
from finbench.leaderboard import published
from finbench.leaderboard.footnotes import Footnotes
from finbench.leaderboard.markdown import SHOWN, markdown
from finbench.leaderboard.pages import students
from finbench.leaderboard.pictures.bars import Bar, bars
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.table import file_stem, short
from finbench.leaderboard.training import augmented_by, is_own_task, student_of, trained_parameters
from finbench.leaderboard.view import NOTHING, View

METRICS = {
    "accuracy": "accuracy",
    "precision_weighted": "precision",
    "recall_weighted": "recall",
    "f1_weighted": "F1",
}
BARS = 16  # of a task
COLUMNS = (
    "Each line is a recipe on the test rows of a task it was trained on: mean ± standard deviation over its *seeds*. "
    "Precision, recall and F1 are weighted by class. *Parameters* is how many were trained, *training* seconds, "
    "*adapter* its size in MiB; these are means. Hollow bars are what others reported for GPT-2 and FinBERT: shown, "
    "not "
    "ranked."
)


def page(view: View) -> dict[str, str]:
    """Return the page of methods and its pictures, by file name."""
    pictures, cells = dict[str, str](), list[Cell]()
    found = {task: own for task in view.boards if (own := _own(view, task))}
    for task, own in found.items():
        pictures[f"methods_{file_stem(task)}.svg"] = _picture(task, own, view)
        cells += [cell for one in own for cell in one.cells]
    if not found:
        return {
            "methods.md": f"# Methods compared\n\n{'No adapter was scored on its task.' if view.boards else NOTHING}\n"
        }
    notes = Footnotes(cells)
    lines = [one for own in found.values() for one in sorted(own, key=lambda one: one.line.order())]
    said = _said(lines)
    rows = [[*_line(one, notes), *(texts[n] or "–" for texts in said.values())] for n, one in enumerate(lines)]
    columns = ["task", "entry", "trained by", "seeds", *METRICS.values(), "parameters", "training", "adapter", *said]
    theirs = [
        [short(task), name, method, "1", *(f"{value:.4f}" for value in values), *["–"] * (3 + len(said))]
        for task in view.boards
        for name, method, values in published.methods_of(short(task))
    ]
    below = [[f"*{published.HEADING}*", *[""] * (10 + len(said))], *theirs] if theirs else []
    drawn = "\n\n".join(
        f"![accuracy of each method on a task, over seeds; the table has the numbers]({name})" for name in pictures
    )
    sources = published.sources([short(task) for task in view.boards])
    text = (
        f"# Methods compared\n\n{markdown(columns, rows[:SHOWN], len(rows), below)}\n\n{COLUMNS}\n\n{notes.text()}\n\n"
        f"{sources}\n{students.section(view)}\n## Pictures\n\n{drawn}\n"
    )
    return {"methods.md": text, **pictures}


def _said(lines: list[Scored]) -> dict[str, list[str]]:
    """Return the columns that are there where a line has something to say: its teacher, and rows made of others."""
    firsts = [one.cells[0] for one in lines]
    said = {"student of": [student_of(cell) for cell in firsts]}
    for kind in sorted({kind for cell in firsts for kind in augmented_by(cell)}):
        made = [augmented_by(cell).get(kind, 0) for cell in firsts]
        said[f"rows by {kind}"] = [f"{number:,}" if number else "" for number in made]
    return {title: texts for title, texts in said.items() if any(texts)}


def _own(view: View, task: str) -> list[Scored]:
    """Return the lines that were trained on a task, under the first condition that each was scored in."""
    found = [scores[task] for (line, _), scores in view.by_line.items() if task in scores and not line.is_base]
    return sorted(
        (one for one in found if is_own_task(one.cells[0])), key=lambda one: (-one.accuracy, one.line.order())
    )


def _picture(task: str, own: list[Scored], view: View) -> str:
    """Return the bars of a task: ours, best first, then the reported ones."""
    found = []
    for one in own[:BARS]:
        spread = one.spread()
        capped = f" ({one.condition.heading()})" if one.condition.heading() else ""
        taught = f", student of {teacher}" if (teacher := student_of(one.cells[0])) else ""
        name = f"{one.line.method}: {one.line.entries[0].base}{taught}{capped}"
        found.append(Bar(name, one.accuracy, spread.deviation if spread else None, one.line.family))
    theirs = [
        Bar(f"{method}: {model}", values[0], None, "") for model, method, values in published.methods_of(short(task))
    ]
    return bars(f"{short(task)}: accuracy by method", [*found, *theirs], view.colours)


def _line(one: Scored, notes: Footnotes) -> list[str]:
    trained = [number for cell in one.cells if (number := trained_parameters(cell)) is not None]
    seconds, size = one.training_seconds(), one.adapter_mebibytes()
    return [
        f"{short(one.task)}{notes.mark(one.cells)}",
        one.line.title,
        one.line.method,
        str(len(one.cells)),
        *(str(one.spread(metric) or "–") for metric in METRICS),
        f"{trained[0]:,}" if trained else "–",
        f"{seconds:.0f}" if seconds is not None else "–",
        f"{size:.2f}" if size is not None else "–",
    ]
