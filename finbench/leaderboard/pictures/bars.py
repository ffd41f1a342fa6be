"""Lying bars from 0 to 1 with their spread over seeds, names above them; what others reported is hollow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from finbench.leaderboard.pictures import svg

LEFT, RIGHT, ROW, THICK = 14, 122, 38, 12


@dataclass(frozen=True)
class Bar:
    """A mean with its spread (None where there is one value); no family where others reported it."""

    name: str
    value: float
    deviation: float | None
    family: str


def bars(title: str, found: Sequence[Bar], colours: Mapping[str, int]) -> str:
    """Return the picture."""
    parts, y = svg.legend(sorted({bar.family for bar in found if bar.family}), colours, 44)
    parts.insert(0, svg.heading(20, title))
    bottom = y + ROW * len(found) + 6
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = _across(share)
        parts.append(f'<path class="grid" d="M{x:.1f} {y:.1f}V{bottom:.1f}"/>')
        parts.append(svg.text(x, bottom + 15, f"{share:g}", "middle", "soft"))
    for n, bar in enumerate(found):
        parts += _bar(bar, y + ROW * n, colours.get(bar.family))
    told = "; ".join(f"{bar.name} {_told(bar)}" for bar in found)
    return svg.picture(parts, bottom + 26, title, f"{told}. The table below has all numbers.")


def _across(share: float) -> float:
    return LEFT + min(max(share, 0.0), 1.0) * (svg.WIDTH - RIGHT - LEFT)


def _told(bar: Bar) -> str:
    return f"{bar.value:.3f}" + (f" ± {bar.deviation:.3f}" if bar.deviation is not None else "")


def _bar(bar: Bar, y: float, colour: int | None) -> Iterator[str]:
    place, spread = y + 20, bar.deviation or 0.0
    kind = "hollow" if colour is None else f"f{colour}"
    yield svg.text(LEFT, y + 15, svg.fitted(bar.name, svg.WIDTH - LEFT - 8))
    yield f'<rect class="{kind}" x="{LEFT}" y="{place}" width="{_across(bar.value) - LEFT:.1f}" height="{THICK}"/>'
    if spread:
        low, high, middle = _across(bar.value - spread), _across(bar.value + spread), place + THICK / 2
        ends = f"M{low:.1f} {middle - 4}v8M{high:.1f} {middle - 4}v8"
        yield f'<path class="mean" d="M{low:.1f} {middle}H{high:.1f}{ends}"/>'
    yield svg.text(svg.WIDTH - 8, place + 11, _told(bar), "end")
