"""A study's numbers as markdown: parts beside each other, what each goal comes to, and how equal the results are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Part = Mapping[str, Any]
SIDES = ("stock", "ours")


def markdown(study: Mapping[str, Any]) -> str:
    """Return the tables of a study that is finished."""
    settings, results = study["settings"], study["results"]
    lines = [
        f"Base: {settings['base']}; tasks {', '.join(settings['tasks'])}; {settings['steps']} steps of "
        f"{settings['batch']} rows an adapter, {settings['rows']} test rows a cell, {settings['rounds']} round(s).",
        "",
        "| part | stock, s | ours, s | ratio | stock, processor s | ours, processor s | stock, GiB | ours, GiB "
        "| ratio | others' cores, stock | ours |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, kinds in PARTS.items():
        lines.append(_line(name, *(list(_chosen(study["parts"], side, kinds)) for side in ("stock", "ours"))))
    lines += ["", *(_round(study["parts"], number) for number in range(settings["rounds"]))]
    lines += ["", *_results(results), "", f"- stock batch sizes, by trial: {_trials(study['trials'])}"]
    machine = ", ".join(f"{name} {value}" for name, value in study["machine"].items())
    return "\n".join([*lines, f"- machine: {machine}"])


PARTS = {
    "train both adapters": ("train",),
    "score base and adapters": ("score",),
    "board": ("board",),
    "**the study**": ("train", "score", "board"),
}


def _chosen(parts: Iterable[Part], side: str, kinds: Sequence[str]) -> Iterable[Part]:
    return (part for part in parts if part["side"] == side and part["name"].split()[0] in kinds)


def _line(name: str, stock: Sequence[Part], ours: Sequence[Part]) -> str:
    def total(parts: Sequence[Part], field: str) -> str:
        return f"{sum(part[field] for part in parts):.1f}" if parts else "-"

    def peak(parts: Sequence[Part]) -> float:
        return max((part["peak_bytes"] for part in parts), default=0) / 2**30

    def others(parts: Sequence[Part]) -> str:
        known = [part for part in parts if part["others_cores"] is not None]
        seconds = sum(part["seconds"] for part in known)
        return f"{sum(part['others_cores'] * part['seconds'] for part in known) / seconds:.2f}" if seconds else "-"

    both = stock and ours
    times = sum(part["seconds"] for part in stock) / sum(part["seconds"] for part in ours) if both else 0.0
    return (
        f"| {name} | {total(stock, 'seconds')} | {total(ours, 'seconds')} | {f'**{times:.1f}x**' if both else '-'} "
        f"| {total(stock, 'processor_seconds')} | {total(ours, 'processor_seconds')} "
        f"| {f'{peak(stock):.2f}' if stock else '-'} | {f'{peak(ours):.2f}' if ours else '-'} "
        f"| {f'**{peak(ours) / peak(stock):.2f}**' if both else '-'} | {others(stock)} | {others(ours)} |"
    )


def _round(parts: Sequence[Part], number: int) -> str:
    sides = [
        sum(part["seconds"] for part in parts if part["round"] == number and part["side"] == side) for side in SIDES
    ]
    return f"- round {number + 1}: stock {sides[0]:.0f} s, ours {sides[1]:.0f} s, {sides[0] / sides[1]:.1f}x"


def _results(results: Mapping[str, Any]) -> list[str]:
    if "error" in results:
        return [f"- results: **could not be compared**: {results['error'].splitlines()[-1]}"]
    adapters, cells = results["adapters"], results["cells"]
    unequal, ties = (sum(cell[name] for cell in cells) for name in ("unequal_answers", "ties"))
    return [
        f"- results: {'equal' if results['equal'] else '**NOT EQUAL**'}",
        f"- losses: the largest relative difference is {max(one['loss_difference'] for one in adapters):.1e}",
        "- adapters: their distance, relative to the way that training took them, is "
        f"{max(one['adapter_distance'] for one in adapters):.1e} at most",
        f"- scores: the largest difference of a log-likelihood is {_largest(cells, False):.1e} for the base and "
        f"{_largest(cells, True):.1e} for adapters that each side trained itself",
        f"- answers: {unequal} of {sum(cell['rows'] for cell in cells)} differ, {ties} of them ties; the largest "
        f"difference of a metric is {max(cell['metrics_difference'] for cell in cells):.1e}",
    ]


def _largest(cells: Sequence[Part], trained: bool) -> float:
    return max(cell["largest_score_difference"] for cell in cells if bool(cell["adapter"]) == trained)


def _trials(trials: Mapping[str, Any]) -> str:
    def seconds(found: Mapping[str, Any]) -> str:
        return ", ".join(f"{size}: {value:.1f} s" for size, value in found["seconds"].items()) or "given"

    return "; ".join(f"{name} {found['best']} ({seconds(found)})" for name, found in trials.items())
