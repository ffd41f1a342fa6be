"""Accuracy against a cost, one diagram a cost below the other: points named where there is room for a name."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from finbench.leaderboard.pictures import svg

HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 250, 46, 14, 30, 46  # of a diagram, in pixels
NAME = 11.5  # size of the names beside points


@dataclass(frozen=True)
class Point:
    """One entry: its cost, accuracy, what is written beside it, its whole name and family; the front is `marked`."""

    x: float
    y: float
    label: str
    name: str
    family: str
    marked: bool


@dataclass(frozen=True)
class Diagram:
    """The points of one cost."""

    x_name: str
    points: tuple[Point, ...]


def scatter(title: str, diagrams: Sequence[Diagram], colours: Mapping[str, int]) -> str:
    """Return the picture: costs logarithmic, accuracy upwards, the front joined by a line."""
    families = sorted({point.family for diagram in diagrams for point in diagram.points})
    parts, y = svg.legend(families, colours, 44)
    parts.insert(0, svg.heading(20, title))
    for diagram in diagrams:
        parts += [f'<g transform="translate(0,{y:.0f})">', *_diagram(diagram, colours), "</g>"]
        y += HEIGHT
    told = ". ".join(
        f"Against {diagram.x_name} the front is "
        + ", ".join(f"{point.name} ({point.y:.3f} at {point.x:.4g})" for point in _front(diagram))
        for diagram in diagrams
        if diagram.points
    )
    return svg.picture(parts, y, title, f"{told}. The table below has all numbers.")


def _front(diagram: Diagram) -> list[Point]:
    return sorted((point for point in diagram.points if point.marked), key=lambda point: (point.x, point.y))


def _diagram(diagram: Diagram, colours: Mapping[str, int]) -> Iterator[str]:
    across, ticks = _scale([point.x for point in diagram.points])
    low = math.floor(min(point.y for point in diagram.points) * 10) / 10
    high = max(math.ceil(max(point.y for point in diagram.points) * 10 + 1e-9) / 10, low + 0.2)

    def up(value: float) -> float:
        return TOP + (high - value) / (high - low) * (HEIGHT - TOP - BOTTOM)

    step = 0.1 if high - low < 0.65 else 0.2
    for n in range(round((high - low) / step) + 1):
        y = up(low + n * step)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{svg.WIDTH - RIGHT}"/>'
        yield svg.text(LEFT - 6, y + 4.5, f"{low + n * step:.1f}", "end", "soft")
    for value in ticks:
        yield svg.text(across(value), HEIGHT - BOTTOM + 18, f"{value:g}", "middle", "soft")
    yield svg.text(LEFT - 38, TOP - 12, "accuracy", kind="soft")
    yield svg.text((LEFT + svg.WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 37, diagram.x_name, "middle", "soft")
    places = [(across(point.x), up(point.y)) for point in diagram.points]
    front = " ".join(f"{across(point.x):.1f},{up(point.y):.1f}" for point in _front(diagram))
    yield f'<polyline class="zero" points="{front}" fill="none" stroke-dasharray="4 3"/>' if " " in front else ""
    for point, (x, y) in zip(diagram.points, places, strict=True):
        yield svg.sign(x, y, colours[point.family], f"{point.name}: {point.y:.3f} at {point.x:.4g}")
    yield from _names(diagram.points, places, [(across(point.x), up(point.y)) for point in _front(diagram)])


def _scale(values: Sequence[float]) -> tuple["_Across", list[float]]:
    """Return where a cost lies, in pixels, and the powers of ten (or 1, 2, 5 times them) to write below."""
    positive = [value for value in values if value > 0] or [1.0]
    low, high = math.log10(min(positive)), math.log10(max(positive))
    middle, half = (low + high) / 2, max((high - low) / 2, 0.35) * 1.08
    across = _Across(middle - half, middle + half)
    exponents = range(math.floor(across.low), math.ceil(across.high) + 1)
    steps = (1, 2, 5) if across.high - across.low < 1.7 else (1,)
    marks = [factor * 10.0**exponent for exponent in exponents for factor in steps]
    return across, [mark for mark in marks if across.low <= math.log10(mark) <= across.high]


@dataclass(frozen=True)
class _Across:
    low: float
    high: float

    def __call__(self, value: float) -> float:
        place = math.log10(value) if value > 0 else self.low
        inner = svg.WIDTH - RIGHT - LEFT - 12
        return LEFT + 6 + min(max((place - self.low) / (self.high - self.low), 0.0), 1.0) * inner


Box = tuple[float, float, float, float]


Place = tuple[float, float]


def _names(points: Sequence[Point], places: Sequence[Place], front: Sequence[Place]) -> Iterator[str]:
    """Yield the names of points, the front's first, each where it touches no other name, point, line or edge."""
    taken: list[Box] = [(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    for (x, y), (end, height) in zip(front, front[1:], strict=False):
        steps = max(1, round(math.hypot(end - x, height - y) / 4))
        along = [(x + (end - x) * n / steps, y + (height - y) * n / steps) for n in range(steps + 1)]
        taken += [(across - 1, up - 1, across + 1, up + 1) for across, up in along]
    order = sorted(range(len(points)), key=lambda n: (not points[n].marked, -points[n].y, points[n].name))
    for n in order:
        x, y = places[n]
        wide = svg.width_of(points[n].label, NAME)
        for left, base in ((x + 8, y + 4), (x - 8 - wide, y + 4), (x - wide / 2, y - 8), (x - wide / 2, y + 17),
                           (x + 6, y - 6), (x + 6, y + 15), (x - 6 - wide, y - 6), (x - 6 - wide, y + 15)):  # fmt: skip
            box = (left, base - NAME + 1, left + wide, base + 3)
            inside = LEFT <= box[0] and box[2] <= svg.WIDTH - 4 and TOP - 8 <= box[1] and box[3] <= HEIGHT - BOTTOM + 2
            if inside and not any(_touch(box, other) for other in taken):
                taken.append(box)
                yield svg.text(left, base, points[n].label, size=NAME)
                break


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
