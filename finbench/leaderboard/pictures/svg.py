"""What all pictures share: a frame that reads on a phone, in the dark and aloud, colours of families, widths of texts.

Pictures are one column of WIDTH pixels with texts of SIZE, so that a phone, which shrinks them to its own width, leaves
them readable. Colours are classes, which the reader's colour scheme chooses.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

WIDTH, SIZE = 480, 13
SIGN = 0.58  # of the text's size: what a character takes at most in usual fonts, on average over a text
LIGHT = ("#0b6bb3", "#c2410c", "#0f7a5a", "#9d3f87", "#7a6200", "#5b4bb5", "#b3243b", "#4b5563")
DARK = ("#5cb3f5", "#ff9a5c", "#4fd1a5", "#f09fd8", "#e0c050", "#b3a7ff", "#ff8794", "#b6c0cc")
SHAPES = (
    "M-4.5 0A4.5 4.5 0 1 0 4.5 0A4.5 4.5 0 1 0 -4.5 0Z",
    "M-4-4H4V4H-4Z",
    "M0-5.2L5 4H-5Z",
    "M0-5.5L5.5 0L0 5.5L-5.5 0Z",
)
OPENING = '<svg xmlns="http://www.w3.org/2000/svg" role="img" class="finbench"'  # by which a picture of ours is known


def _style() -> str:
    def rules(text: str, soft: str, grid: str, ground: str, heat: str, on_heat: str, colours: Sequence[str]) -> str:
        families = "".join(f".f{n}{{fill:{colour};stroke:{colour}}}" for n, colour in enumerate(colours))
        return (
            f"text{{fill:{text};stroke:none}}.soft{{fill:{soft}}}.grid{{stroke:{grid}}}.ground{{fill:{ground}}}"
            f".zero{{stroke:{soft}}}.heat{{fill:{heat}}}.own{{stroke:{text};fill:none;stroke-width:2}}"
            f"text.on{{fill:{on_heat}}}.hollow{{fill:none;stroke:{soft};stroke-dasharray:3 2}}"
            f".mean{{stroke:{text};fill:none}}{families}"
        )

    light = rules("#1f2937", "#4b5563", "#e2e8f0", "#ffffff", "#0b6bb3", "#ffffff", LIGHT)
    dark = rules("#e6edf3", "#a9b4c0", "#30363d", "#0d1117", "#5cb3f5", "#0d1117", DARK)
    return f"<style>{light}@media (prefers-color-scheme:dark){{{dark}}}</style>"


def picture(parts: Iterable[str], height: float, title: str, told: str) -> str:
    """Return the parts as a picture of some height, with a title and a description that are read aloud."""
    return (
        f'{OPENING} width="{WIDTH}" height="{height:.0f}" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'font-family="Helvetica,Arial,sans-serif" font-size="{SIZE}" aria-labelledby="t d">\n'
        f'<title id="t">{escape(title)}</title>\n<desc id="d">{escape(told)}</desc>\n{_style()}\n'
        f'<rect class="ground" width="100%" height="100%"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def width_of(said: str, size: float = SIZE) -> float:
    """Return about how wide a text is, in pixels, rather too much than too little."""
    return len(said) * size * SIGN


def fitted(said: str, width: float, size: float = SIZE) -> str:
    """Return a text that is no wider than this, its middle left out where it would be."""
    most = max(3, int(width / (size * SIGN)))
    if len(said) <= most:
        return said
    head = (most - 1) * 2 // 3
    return f"{said[:head]}…{said[len(said) - (most - 1 - head) :]}"


def text(x: float, y: float, said: str, anchor: str = "start", kind: str = "", size: float = SIZE) -> str:
    """Return a text; `kind` is its class."""
    extra = f' class="{kind}"' if kind else ""
    extra += f' text-anchor="{anchor}"' if anchor != "start" else ""
    extra += f' font-size="{size:g}"' if size != SIZE else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{extra}>{escape(said)}</text>'


def heading(y: float, said: str) -> str:
    """Return a diagram's title."""
    return f'<text x="8" y="{y:.1f}" font-weight="bold">{escape(fitted(said, WIDTH - 24, SIZE + 0.8))}</text>'


def colours_of(families: Iterable[str]) -> dict[str, int]:
    """Return the colour of each family, by its number: one a family, the same in all pictures of a set of boards."""
    return {family: n % len(LIGHT) for n, family in enumerate(sorted(set(families)))}


def legend(families: Sequence[str], colours: Mapping[str, int], y: float) -> tuple[list[str], float]:
    """Return the families with their signs, line by line from `y`, and where they end."""
    parts, x = [], 14.0
    for family in families:
        said = fitted(family, WIDTH - 50)
        if x > 14 and x + 14 + width_of(said) > WIDTH - 8:
            x, y = 14.0, y + 19
        parts += [sign(x, y - 4.5, colours[family]), text(x + 10, y, said)]
        x += 30 + width_of(said)
    return parts, y + 10


def sign(x: float, y: float, colour: int, title: str = "") -> str:
    """Return the sign of a point: colour and shape of its family, so that colour alone tells nothing."""
    told = f"<title>{escape(title)}</title>" if title else ""
    path = f'<path class="f{colour}" transform="translate({x:.1f},{y:.1f})" d="{SHAPES[colour % len(SHAPES)]}"'
    return f"{path}>{told}</path>" if told else f"{path}/>"
