"""Pictures as SVG text, written here so that the same cells give the same bytes whatever libraries are installed."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, MARGIN, COLUMNS = 330, 250, 48, 3  # of a panel, in pixels; panels in a line
LABEL = 34  # characters of a name beside its point
NAMES, BAR = 170, 20  # width of the names beside bars, and what a bar takes, in pixels
FRONT, OTHER, BLUE = "#c2410c", "#64748b", "#3b82c4"


@dataclass(frozen=True)
class Point:
    """One entry in a panel: where it lies, what it is called, whether it is marked."""

    x: float
    y: float
    name: str
    marked: bool


@dataclass(frozen=True)
class Panel:
    """One diagram of a picture."""

    title: str
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Bar:
    """A mean with its spread (None where there is one value), and whether others reported it."""

    name: str
    value: float
    deviation: float | None
    reported: bool


@dataclass(frozen=True)
class Bars:
    """One diagram of bars."""

    title: str
    bars: tuple[Bar, ...]


def bars(panels: Sequence[Bars], x_name: str) -> str:
    """Return an SVG with one diagram a panel: lying bars from 0 to 1 with error bars; reported ones are hollow."""
    columns = min(2, max(len(panels), 1))
    height = 46 + BAR * max((len(panel.bars) for panel in panels), default=0) + 34
    width, lines = 2 * NAMES + 320, math.ceil(len(panels) / columns)
    parts = _opening(columns * width, lines * height)
    for n, panel in enumerate(panels):
        parts.append(f'<g transform="translate({n % columns * width},{n // columns * height})">')
        parts += [*_bar_lines(panel, width, x_name), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _opening(width: int, height: int) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]


def _bar_lines(panel: Bars, width: int, x_name: str) -> Iterator[str]:
    left, right, bottom = NAMES, width - 60, 34 + BAR * len(panel.bars)

    def across(share: float) -> float:
        return left + min(max(share, 0.0), 1.0) * (right - left)

    yield f'<text x="{left}" y="18" font-weight="bold">{escape(panel.title)}</text>'
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = across(share)
        yield f'<line x1="{x:.1f}" y1="28" x2="{x:.1f}" y2="{bottom}" stroke="#e2e8f0"/>'
        yield f'<text x="{x:.1f}" y="{bottom + 14}" text-anchor="middle" fill="#475569">{share:g}</text>'
    middle = f'<text x="{(left + right) / 2}" y="{bottom + 28}" text-anchor="middle" fill="#475569">'
    yield f"{middle}{escape(x_name)}</text>"
    for n, bar in enumerate(panel.bars):
        y = 32 + BAR * n
        fill = f'fill="white" stroke="{OTHER}" stroke-dasharray="3 2"' if bar.reported else f'fill="{BLUE}"'
        yield f'<text x="{left - 6}" y="{y + 11}" text-anchor="end">{escape(bar.name)}</text>'
        yield f'<rect x="{left}" y="{y}" width="{across(bar.value) - left:.1f}" height="{BAR - 6}" {fill}/>'
        spread = bar.deviation or 0.0
        if spread:
            low, high, centre = across(bar.value - spread), across(bar.value + spread), y + (BAR - 6) / 2
            yield f'<path d="M{low:.1f} {centre}H{high:.1f}M{low:.1f} {y + 2}v8M{high:.1f} {y + 2}v8" stroke="black"/>'
        told = f"{bar.value:.3f}" + (f" ± {spread:.3f}" if bar.deviation is not None else "")
        yield f'<text x="{across(bar.value + spread) + 5:.1f}" y="{y + 11}">{told}</text>'


def scatter(panels: Sequence[Panel], x_name: str, y_name: str) -> str:
    """Return an SVG with one diagram a panel: x logarithmic, y from 0 to 1, marked points joined; names on hover."""
    columns = min(COLUMNS, max(len(panels), 1))
    lines = math.ceil(len(panels) / columns)
    parts = _opening(columns * WIDTH, lines * HEIGHT)
    for n, panel in enumerate(panels):
        parts.append(f'<g transform="translate({n % columns * WIDTH},{n // columns * HEIGHT})">')
        parts += [*_frame(panel.title, x_name, y_name), *_points(panel.points), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _frame(title: str, x_name: str, y_name: str) -> Iterator[str]:
    right, bottom = WIDTH - 16, HEIGHT - MARGIN + 8
    yield f'<text x="{MARGIN}" y="18" font-weight="bold">{escape(title)}</text>'
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        yield f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e2e8f0"/>'
        yield f'<text x="{MARGIN - 5}" y="{y + 4:.1f}" text-anchor="end" fill="#475569">{share:g}</text>'
    middle = f'<text x="{(MARGIN + right) / 2}" y="{bottom + 30}" text-anchor="middle" fill="#475569">'
    yield f"{middle}{escape(x_name)}</text>"
    yield (
        f'<text transform="translate(12,{HEIGHT / 2}) rotate(-90)" text-anchor="middle" fill="#475569">'
        f"{escape(y_name)}</text>"
    )


def _points(points: Sequence[Point]) -> Iterator[str]:
    if not points:
        return
    positive = [point.x for point in points if point.x > 0] or [1.0]
    low, high = math.floor(math.log10(min(positive))), math.ceil(math.log10(max(positive)))
    high = max(high, low + 1)

    def across(value: float) -> float:
        place = math.log10(max(value, 10.0**low))
        return MARGIN + (place - low) / (high - low) * (WIDTH - 16 - MARGIN)

    for exponent in range(low, high + 1):
        text = f'<text x="{across(10.0**exponent):.1f}" y="{HEIGHT - MARGIN + 22}" text-anchor="middle" fill="#475569">'
        yield f"{text}{10.0**exponent:g}</text>"
    front = sorted((point.x, point.y) for point in points if point.marked)
    if len(front) > 1:
        path = " ".join(f"{across(x):.1f},{_y(y):.1f}" for x, y in front)
        yield f'<polyline points="{path}" fill="none" stroke="{FRONT}"/>'
    for point in sorted(points, key=lambda point: (point.marked, point.x, point.y, point.name)):
        colour, radius = (FRONT, 5) if point.marked else (OTHER, 3.5)
        place = f'cx="{across(point.x):.1f}" cy="{_y(point.y):.1f}"'
        told = f"{escape(point.name)}: {point.y:.3f}, {point.x:.4f}"
        yield f'<circle {place} r="{radius}" fill="{colour}"><title>{told}</title></circle>'
        if point.marked:  # a picture in a page has no hover, so the front is named
            left = across(point.x) < WIDTH / 2
            x, anchor = across(point.x) + (8 if left else -8), "start" if left else "end"
            y = _y(point.y) + (13 if left else -6)
            label = f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="9">'
            yield f"{label}{escape(point.name[:LABEL])}</text>"


def _y(share: float) -> float:
    return 28 + (1 - share) * (HEIGHT - MARGIN - 28)
