"""Pictures that people read: nothing overlaps or leaves the frame, all is told aloud, one colour is one family."""

import random
import re
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest

from finbench.cells.store import read_cells
from finbench.leaderboard.pictures import svg
from finbench.leaderboard.pictures.bars import Bar, bars
from finbench.leaderboard.pictures.forest import GainOf, forest
from finbench.leaderboard.pictures.heat import Strip, heat
from finbench.leaderboard.pictures.scatter import Diagram, Point, scatter
from finbench.leaderboard.render import render

SVG = "{http://www.w3.org/2000/svg}"
FAMILIES = [
    "SmolLM2-135M-Instruct (Q4_1)",
    "all-MiniLM-L6-v2",
    "a-family-whose-name-is-much-too-long-" + "x" * 90,
    "<b>",
]
COLOURS = svg.colours_of(FAMILIES)
NAME = "an adapter with a name that no line of a picture has the room for " * 3


def texts(picture: str) -> list[tuple[str, float, float, float, float]]:
    """Return each text that lies across with the box that it takes: left, top, right, bottom."""
    root, found = ElementTree.fromstring(picture), []

    def walk(node: ElementTree.Element, down: float) -> None:
        move = re.fullmatch(r"translate\(0,([\d.]+)\)", node.get("transform", ""))
        down += float(move[1]) if move else 0.0
        if node.tag == f"{SVG}text" and node.get("x"):
            size, said = float(node.get("font-size", svg.SIZE)), node.text or ""
            wide, x, y = svg.width_of(said, size), float(node.get("x", 0)), float(node.get("y", 0)) + down
            left = x - {"middle": wide / 2, "end": wide}.get(node.get("text-anchor", ""), 0.0)
            found.append((said, left, y - 0.8 * size, left + wide, y + 0.2 * size))
        for child in node:
            walk(child, down)

    walk(root, 0.0)
    return found


def drawn() -> dict[str, str]:
    draw = random.Random(3)
    points = tuple(
        Point(
            10 ** draw.uniform(-2, 3),
            draw.uniform(0.3, 0.9),
            "LoRA, 4 bits, rank 4",
            NAME,
            draw.choice(FAMILIES),
            n < 4,
        )
        for n in range(60)
    )
    gains = [
        GainOf(NAME, draw.choice(FAMILIES), value, value - 0.1, value + 0.1, value > 0) for value in (-0.2, 0.0, 0.7)
    ]
    strips = [
        Strip(NAME, family, (0.5, None, 1.0, 0.0) * 2, (True, False) * 4) for family in FAMILIES for _ in range(4)
    ]
    tasks = ["fpb", "fiqa", "tfns", "nwgi", "ner", "headline", "xbrl_values", "a task of a very long name"]
    return {
        "scatter": scatter(NAME, [Diagram("seconds", points), Diagram("MiB", points[:1])], COLOURS),
        "forest": forest(NAME, gains, COLOURS),
        "heat": heat(NAME, tasks, strips, COLOURS),
        "bars": bars(NAME, [Bar(NAME, 1.0, 0.4, FAMILIES[0]), Bar("reported", 0.0, None, "")], COLOURS),
    }


@pytest.mark.parametrize("kind", ["scatter", "forest", "heat", "bars"])
def test_no_text_overlaps_another_or_leaves_the_frame(kind: str) -> None:
    picture = drawn()[kind]
    height, found = float(ElementTree.fromstring(picture).get("height", 0)), texts(picture)
    assert len(found) > 5
    for said, left, top, right, bottom in found:
        assert left >= 0 and right <= svg.WIDTH and top >= 0 and bottom <= height, said
    for one, other in combinations(found, 2):
        apart = one[3] <= other[1] or other[3] <= one[1] or one[4] <= other[2] or other[4] <= one[2]
        assert apart, (one, other)


@pytest.mark.parametrize("kind", ["scatter", "forest", "heat", "bars"])
def test_a_picture_is_told_aloud_and_follows_the_colour_scheme(kind: str) -> None:
    picture = drawn()[kind]
    root = ElementTree.fromstring(picture)
    title, told = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert root.get("role") == "img" and root.get("aria-labelledby") == "t d"
    assert title is not None and title.get("id") == "t" and told is not None and "table" in (told.text or "")
    assert "prefers-color-scheme:dark" in picture and "<b>" not in picture and int(root.get("width", 0)) <= 480


def test_where_there_is_no_room_a_point_has_no_name_but_still_says_it() -> None:
    crowd = tuple(Point(1.0 + n / 1e6, 0.5, "LoRA", f"entry {n}", "all-MiniLM-L6-v2", False) for n in range(40))
    picture = scatter("t", [Diagram("s", crowd)], COLOURS)
    names = [said for said, *_ in texts(picture) if said == "LoRA"]
    assert 0 < len(names) < 9 and all(f"<title>entry {n}:" in picture for n in range(40))


def test_pictures_of_the_boards_say_what_the_cells_say(scored: Callable, tmp_path: Path) -> None:
    for seed, right in enumerate((90, 96, 102)):
        record = {
            "method": "lora",
            "tasks": ["fin_fpb"],
            "recipe": {"r": 8, "seed": seed},
            "resources": {"elapsed_seconds": 60},
        }
        scored("toy", f"lora_s{seed}", right, record=record)
    scored("toy", "", 60), scored("toy 4bit", "", 40), scored("other", "", 50)
    pages = render(read_cells(tmp_path / "cells"), tmp_path / "cells")
    gains = ElementTree.fromstring(pages["gains_fpb.svg"]).find(f"{SVG}desc")
    assert gains is not None and "lora +0.300, from +0.2" in (gains.text or "")
    assert "![" in pages["task_fpb.md"] and "(gains_fpb.svg)" in pages["task_fpb.md"]
    cost = pages["cost_fpb.svg"]
    colours = dict(re.findall(r'class="f(\d)"[^>]*><title>([^:]+):', cost)[::-1])
    own = {name: colour for colour, name in re.findall(r'class="f(\d)"[^>]*><title>([^:]+):', cost)}
    assert colours and own["toy (base)"] == own["toy 4bit (base)"] == own["toy + lora"] != own["other (base)"]
    assert (
        "seconds of training" in cost and ".80" in pages["transfer.svg"] and "0.800 ± 0.050" in pages["methods_fpb.svg"]
    )
