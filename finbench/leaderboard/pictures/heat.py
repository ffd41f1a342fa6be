"""A heat map of entries by tasks: the darker, the nearer to a task's highest; own tasks are framed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from finbench.leaderboard.pictures import svg

NAMES, ROW, HEAD, NUMBER = 178, 25, 100, 11.5  # pixels: names, a line, the tasks' names above; size of the numbers
DARK_ENOUGH = 0.55  # from here on a number is written in the colour of the ground


@dataclass(frozen=True)
class Strip:
    """One entry: its accuracies by task, None where it was not scored, and whether it was trained on each."""

    name: str
    family: str
    values: tuple[float | None, ...]
    own: tuple[bool, ...]


def heat(title: str, tasks: Sequence[str], strips: Sequence[Strip], colours: Mapping[str, int]) -> str:
    """Return the picture."""
    parts, y = svg.legend(sorted({strip.family for strip in strips}), colours, 44)
    parts.insert(0, svg.heading(20, title))
    wide = (svg.WIDTH - NAMES - 10) / max(len(tasks), 1)
    top = y + HEAD
    for n, task in enumerate(tasks):
        x = NAMES + (n + 0.5) * wide + 4
        said = escape(svg.fitted(task, HEAD - 8))
        parts.append(f'<text transform="translate({x:.1f},{top - 6:.1f}) rotate(-90)">{said}</text>')
    limits = [_limits([strip.values[n] for strip in strips]) for n in range(len(tasks))]
    for n, strip in enumerate(strips):
        parts += _strip(strip, top + n * ROW, wide, limits, colours[strip.family])
    told = "; ".join(
        f"{strip.name}: "
        + ", ".join(f"{task} {value:.2f}" for task, value in zip(tasks, strip.values, strict=True) if value is not None)
        for strip in strips
    )
    return svg.picture(parts, top + ROW * len(strips) + 10, title, f"{told}. The table below has all numbers.")


def _limits(values: Sequence[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else (0.0, 1.0)


def _strip(strip: Strip, y: float, wide: float, limits: Sequence[tuple[float, float]], colour: int) -> Iterator[str]:
    yield svg.sign(10, y + ROW / 2, colour)
    yield svg.text(20, y + ROW / 2 + 4.5, svg.fitted(strip.name, NAMES - 24, 12), size=12)
    for n, (value, own, (low, high)) in enumerate(zip(strip.values, strip.own, limits, strict=True)):
        x = NAMES + n * wide
        middle = x + wide / 2
        if value is None:
            yield svg.text(middle, y + ROW / 2 + 4, "·", "middle", "soft")
            continue
        strength = 0.1 + 0.9 * ((value - low) / (high - low) if high > low else 0.5)
        box = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{wide - 2:.1f}" height="{ROW - 2}"'
        yield f'<rect class="heat" {box} fill-opacity="{strength:.2f}"/>'
        if own:
            yield f'<rect class="own" {box}/>'
        if wide >= 28:
            on = "on" if strength > DARK_ENOUGH else ""
            yield svg.text(middle, y + ROW / 2 + 4, f"{value:.2f}".lstrip("0") or "0", "middle", on, NUMBER)
