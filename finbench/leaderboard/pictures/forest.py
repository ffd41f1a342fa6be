"""Gains with their intervals: a line an entry, zero marked, families by colour."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from finbench.leaderboard.pictures import svg

LEFT, RIGHT, ROW = 14, 86, 38  # pixels: where the scale begins and what is left for numbers, and what a line takes


@dataclass(frozen=True)
class GainOf:
    """The gain of an entry over its base with its interval; `shown` says whether a test shows it."""

    name: str
    family: str
    value: float
    low: float
    high: float
    shown: bool


def forest(title: str, gains: Sequence[GainOf], colours: Mapping[str, int]) -> str:
    """Return the picture; what no test shows is drawn hollow."""
    families = sorted({gain.family for gain in gains})
    parts, y = svg.legend(families, colours, 44)
    parts.insert(0, svg.heading(20, title))
    low, high = min(0.0, *(gain.low for gain in gains)), max(0.0, *(gain.high for gain in gains))
    room = max(high - low, 0.05) * 0.04
    low, high = low - room, high + room

    def across(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (svg.WIDTH - RIGHT - LEFT)

    bottom = y + ROW * len(gains) + 4
    for n, gain in enumerate(gains):
        parts += _line(gain, y + ROW * n, colours[gain.family], across)
    parts += [svg.text(across(0), bottom + 15, "its base: 0", _anchor(across(0)), "soft")]
    told = "; ".join(
        f"{gain.name} {gain.value:+.3f}, from {gain.low:+.3f} to {gain.high:+.3f}"
        + ("" if gain.shown else ", not shown to differ")
        for gain in gains
    )
    return svg.picture(parts, bottom + 26, title, f"{told}. The table below has all numbers.")


def _anchor(x: float) -> str:
    return "start" if x < 60 else "end" if x > svg.WIDTH - 60 else "middle"


def _line(gain: GainOf, y: float, colour: int, across: Callable[[float], float]) -> Iterator[str]:
    place = y + 27
    low, high = across(gain.low), across(gain.high)
    yield f'<path class="zero" d="M{across(0):.1f} {place - 8:.1f}v16"/>'
    yield svg.text(LEFT, y + 14, svg.fitted(gain.name, svg.WIDTH - RIGHT - LEFT))
    ends = f"M{low:.1f} {place - 4:.1f}v8M{high:.1f} {place - 4:.1f}v8"
    yield f'<path class="f{colour}" d="M{low:.1f} {place:.1f}H{high:.1f}{ends}"/>'
    told = f"{gain.name}: {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
    yield svg.sign(across(gain.value), place, colour, told)
    if not gain.shown:
        yield f'<circle class="ground" cx="{across(gain.value):.1f}" cy="{place:.1f}" r="2"/>'
    yield svg.text(svg.WIDTH - 8, place + 4.5, f"{gain.value:+.3f}", "end")
    if not gain.shown:
        yield svg.text(svg.WIDTH - 8, y + 14, "not shown", "end", "soft")
