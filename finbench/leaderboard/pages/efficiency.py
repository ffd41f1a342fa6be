"""Costs: scoring by task, and what each training took, with the published costs below."""

from collections.abc import Iterable

from finbench.cells.key import Cell
from finbench.leaderboard import published
from finbench.leaderboard.disturbed import EXPLAINED
from finbench.leaderboard.footnotes import Footnotes
from finbench.leaderboard.markdown import SHOWN, escaped, markdown, unbroken
from finbench.leaderboard.scored import Scored, mean_of
from finbench.leaderboard.seeds import Line
from finbench.leaderboard.table import short
from finbench.leaderboard.training import costs_of, is_own_task, names_of, recipe_of, tasks_of_training
from finbench.leaderboard.training import trained_parameters as trained_of
from finbench.leaderboard.view import NOTHING, View

SCORING = (
    "Seconds to answer a row and peak memory meanwhile (GiB; the process's on a CPU, allocated on a GPU), means over "
    f"seeds. Costs compare only on the same machine; {EXPLAINED}."
)
TRAINING = (
    "*Seeds* is how many trainings a line is the mean of. *Batch* is rows × accumulated batches, *parameters* how many "
    "were trained, *adapter* its size on disk in MiB, *training* in seconds, *GPU hours* hours × GPUs, *GPU memory* "
    "and "
    "*memory* (the process's peak) in GiB while training, *seconds a row* those of scoring, averaged over the tasks "
    "trained on, or over all where none was scored."
)


def page(view: View) -> str:
    """Return the page of costs."""
    if not view.boards:
        return f"# Efficiency\n\n{NOTHING}\n"
    every = [cell for found in view.found.values() for cell in found.values()]
    return (
        f"# Efficiency\n\n## Training\n\n{_training(view)}\n\n## Scoring\n\n{_scoring(view)}\n\n{_machines(every)}"
        f"{published.sources(list(published.EFFICIENCY_OF))}\n"
    )


def _scoring(view: View) -> str:
    """Return the table of what answering a row costs."""
    shown = dict(list(view.by_line.items())[:SHOWN])
    notes = Footnotes(cell for scores in shown.values() for one in scores.values() for cell in one.cells)

    def cost(one: Scored | None, but: frozenset[str]) -> str:
        if one is None:
            return "–"
        seconds, memory = one.seconds_per_row(), one.gibibytes()
        parts = [
            f"{seconds:.4f}{one.scoring_mark()} s" if seconds is not None else "–",
            f"{memory:.2f} GiB" if memory is not None else "–",
        ]
        return ", ".join(parts) + notes.mark(one.cells, but)

    tasks = list(view.boards)
    rows = []
    for (line, _), scores in shown.items():
        but = notes.shared([cell for one in scores.values() for cell in one.cells])
        rows.append([f"{line.title}{notes.numbers(sorted(but))}", *(cost(scores.get(task), but) for task in tasks)])
    table = unbroken(markdown(["entry", *map(short, tasks)], rows, len(view.by_line)))
    return f"{table}\n\n{SCORING}\n\n{notes.text()}"


def _training(view: View) -> str:
    """Return the table of what each training cost, by the adapters' own records, with the published ones below."""
    trained: dict[Line, list[Scored]] = {}
    for (line, _), scores in view.by_line.items():
        if not line.is_base:
            trained.setdefault(line, []).extend(scores.values())
    columns = ["entry", "trained by", "trained on", "seeds", "batch", "parameters", "adapter", "training", "GPU hours"]
    theirs = [
        [one.name, one.method, one.task, "1", one.batch, "–", f"{one.megabytes:g} (MB)", "–", one.hours,
         f"{one.gigabytes:g} (GB)", "–", f"{one.seconds:g}"]
        for one in published.trainings()
    ]  # fmt: skip
    below = [[f"*{published.HEADING}*", *[""] * 11], *theirs]
    rows = [_line(line, trained[line]) for line in list(trained)[:SHOWN]]
    table = unbroken(markdown([*columns, "GPU memory", "memory", "seconds a row"], rows, len(trained), below))
    return f"{table}\n\n{TRAINING}"


def _line(line: Line, scores: list[Scored]) -> list[str]:
    cells = {cell.key.adapter_sha256 or cell.key.base_sha256: cell for one in scores for cell in one.cells}
    first = scores[0].cells[0]
    costs = [costs_of(cell) for cell in cells.values()]
    recipe, trained = recipe_of(first), trained_of(first)
    own = [one for one in scores if is_own_task(one.cells[0])] or scores
    sizes = [cell.adapter["size_bytes"] for cell in cells.values() if cell.adapter]
    numbers = (
        (mean_of(sizes), "{:.2f}", 2**20),
        (mean_of([one.seconds for one in costs]), "{:.0f}", 1),
        (mean_of([one.gpu_hours for one in costs]), "{:.3f}", 1),
        (mean_of([one.gpu_bytes for one in costs]), "{:.2f}", 2**30),
        (mean_of([one.resident_bytes for one in costs]), "{:.2f}", 2**30),
        (mean_of([one.seconds_per_row() for one in own]), "{:.4f}", 1),
    )
    size, seconds, hours, gpu, memory, per_row = (
        form.format(value / unit) if value is not None else "–" for value, form, unit in numbers
    )
    return [
        line.title,
        line.method,
        names_of(tasks_of_training(first)),
        str(len(cells)),
        f"{recipe['batch_size']} x {recipe.get('gradient_accumulation', 1)}" if "batch_size" in recipe else "–",
        f"{trained:,}" if trained is not None else "–",
        size,
        seconds + max(one.training_mark() for one in scores),
        hours if hours not in ("–", "0.000") else "no GPU",
        gpu if gpu not in ("–", "0.00") else "no GPU",
        memory,
        per_row + max(one.scoring_mark() for one in own),
    ]


def _machines(cells: Iterable[Cell]) -> str:
    seen = {
        f"{cell.machine['cpu']}, {cell.machine['cores']} cores, "
        f"{cell.machine['memory_bytes'] / 2**30:.0f} GiB" + "".join(f", {gpu}" for gpu in cell.machine["gpus"])
        for cell in cells
        if "machine" not in cell.missing
    }
    return "".join(f"Scored on: {escaped(machine)}.\n" for machine in sorted(seen)) + "\n" if seen else ""
