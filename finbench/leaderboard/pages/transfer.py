"""Transfer: every adapter on every task that it can answer, not only on those it was trained on."""

from finbench.leaderboard.footnotes import Footnotes
from finbench.leaderboard.markdown import SHOWN, markdown, unbroken
from finbench.leaderboard.pictures.heat import Strip, heat
from finbench.leaderboard.scored import Scored
from finbench.leaderboard.table import accuracy, short
from finbench.leaderboard.training import is_own_task
from finbench.leaderboard.view import NOTHING, View

PICTURE = "transfer.svg"
DRAWN = 40  # entries in the picture
COLUMNS = (
    "Accuracy of each entry on each task, the mean over seeds; a dot marks the tasks it was trained on, brackets hold "
    "the gain over its base without adapter where that was scored on the same rows. A classifier's adapter answers "
    "only "
    "tasks with the classes it was trained on."
)


def page(view: View) -> dict[str, str]:
    """Return the page of transfer and its picture, by file name."""
    adapters = {key: scores for key, scores in view.by_line.items() if not key[0].is_base}
    if not adapters:
        return {"transfer.md": f"# Transfer\n\n{'No adapter has been scored.' if view.boards else NOTHING}\n"}
    tasks = [task for task in view.boards if any(task in scores for scores in adapters.values())]
    shown = dict(list(adapters.items())[:SHOWN])
    notes = Footnotes(cell for scores in shown.values() for one in scores.values() for cell in one.cells)
    rows = []
    for (line, _), scores in shown.items():
        but = notes.shared([cell for one in scores.values() for cell in one.cells])
        numbers = [_shown(scores.get(task), notes, but) for task in tasks]
        rows.append([f"{line.title}{notes.numbers(sorted(but))}", line.method, *numbers])
    table = unbroken(markdown(["entry", "trained by", *map(short, tasks)], rows, len(adapters)))
    strips = [
        Strip(
            line.adapter(),
            line.family,
            tuple(scores[task].accuracy if task in scores else None for task in tasks),
            tuple(task in scores and is_own_task(scores[task].cells[0]) for task in tasks),
        )
        for (line, _), scores in list(adapters.items())[:DRAWN]
    ]
    title = "Accuracy of adapters on tasks"
    text = (
        f"# Transfer\n\n![heat map of the accuracy of each adapter on each task; the table has the "
        f"numbers]({PICTURE})\n\n"
        "In the picture a frame marks the tasks that an adapter was trained on; the darker a field, the nearer it is "
        f"to the highest of its task.\n\n{table}\n\n{COLUMNS}\n\n{notes.text()}\n"
    )
    return {"transfer.md": text, PICTURE: heat(title, list(map(short, tasks)), strips, view.colours)}


def _shown(one: Scored | None, notes: Footnotes, but: frozenset[str]) -> str:
    if one is None:
        return "–"
    own = " •" if is_own_task(one.cells[0]) else ""
    gain = f" ({one.accuracy - accuracy(one.bare):+.3f})" if one.bare else ""
    return f"{one.accuracy:.3f}{own}{gain}{notes.mark(one.cells, but)}"
