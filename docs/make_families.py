"""Writes docs/families.md from a walk over transformers' auto classes: `python docs/make_families.py [WALK.jsonl ...]`.

Without a file it walks first (about half an hour on two cores): every family in small, each in a process of its own.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
PAGE = ROOT / "docs" / "families.md"
KINDS = {"causal": "Language models", "classifier": "Classifiers"}


def walk(methods: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the judgement of each family."""
    from tests import families, forked

    settings = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "FINBENCH_DATA": "sample"}
    for kind in KINDS:
        for name in families.types(kind):  # type: ignore[arg-type]
            with tempfile.TemporaryDirectory() as folder:
                environment = {**os.environ, **settings, "FINBENCH_HOME": f"{folder}/home"}
                command = [sys.executable, "-m", "tests.families", kind, name, folder, *methods]
                done = forked.run(command, cwd=ROOT, env=environment, timeout=900)
            lines = [line for line in done.stdout.splitlines() if line.startswith("JUDGED ")]
            found = json.loads(lines[-1].removeprefix("JUDGED ")) if lines else {"built": False, "why": "it crashed"}
            yield {"kind": kind, "type": name, **found}


def page(found: list[dict[str, Any]], release: str) -> str:
    """Return the page's text."""
    parts = [
        "# Families",
        "",
        f"Every family of transformers {release}'s auto classes, built with two layers of 32 numbers, random weights:",
        "how `hf-fast` scores it, and whether a LoRA on all its linear layers is trained, saved, loaded and scored.",
        "Written by `docs/make_families.py`; the slow test `tests/test_families.py` walks them again.",
        "",
        "- **ok**: trained, saved, loaded and scored; a classifier's row alike alone and in a batch, within 1e-4;",
        "- **shared**: prefixes run once, log-likelihoods within 1e-4 of `hf`; **as hf**: without sharing, and why;",
        "  **refused**: in one line; **not tried**: no small one could be built (it holds more than text, or needs",
        "  settings of its own).",
        "",
    ]
    for kind, title in KINDS.items():
        rows = [one for one in found if one["kind"] == kind]
        parts += [f"## {title}", "", *_summary(rows), ""]
        parts += (
            ["| family | scoring | LoRA |", "|---|---|---|"] if kind == "causal" else ["| family | LoRA |", "|---|---|"]
        )
        tried = [one for one in rows if one["built"] and not _scoring(one).startswith("untried")]
        scoring = {one["type"]: f" {_scoring(one)} |" if kind == "causal" else "" for one in tried}
        parts += [f"| {one['type']} |{scoring[one['type']]} {_method(one)} |" for one in tried]
        untried = [one["type"] for one in rows if one not in tried]
        parts += ["", f"Not tried ({len(untried)}): {', '.join(untried)}.", "", *_methods(rows)]
    return "\n".join(parts)


def _methods(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table of families that were tried with every method, nothing where there are none."""
    tried = [one for one in rows if one["built"] and len(one["methods"]) > 1]
    if not tried:
        return []
    names = list(dict.fromkeys(name for one in tried for name in one["methods"]))
    lines = [f"| family | {' | '.join(names)} |", f"|---{'|---' * len(names)}|"]
    for one in tried:
        said = (one["methods"].get(name, "").partition(":")[0].replace("plain", "ok") or "–" for name in names)
        lines.append(f"| {one['type']} | {' | '.join(said)} |")
    return ["Every method (a refusal is one line that says what to set or to use instead):", "", *lines, ""]


def _summary(rows: Iterable[dict[str, Any]]) -> list[str]:
    counts: dict[str, int] = {}
    for one in rows:
        said = "untried" if not one["built"] else _scoring(one) if one["kind"] == "causal" else _method(one)
        key = said.partition(":")[0].partition(" (")[0]
        key = "not tried" if key == "untried" else key
        counts[key] = counts.get(key, 0) + 1
    return [", ".join(f"{count} {key}" for key, count in sorted(counts.items(), key=lambda pair: -pair[1])) + "."]


def _scoring(one: dict[str, Any]) -> str:
    return _short(re.sub("^plain: ", "as hf: ", one["scoring"]))


def _method(one: dict[str, Any]) -> str:
    said = one["methods"].get("lora", "–")
    return "ok, as hf" if said.startswith("plain") else _short(said.partition(" Name the layers")[0])


def _short(text: str) -> str:
    line = re.sub(r"/\S+", "…", " ".join(text.split())).replace("|", "\\|")
    return line if len(line) <= 160 else f"{line[:157]}..."


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("walks", nargs="*", type=Path, help="judgements of earlier walks, one JSON a line")
    options = parser.parse_args()
    import transformers

    found: dict[tuple[str, str], dict[str, Any]] = {}
    lines = (json.loads(line) for path in options.walks for line in path.read_text().splitlines())
    for one in lines if options.walks else walk(["lora"]):
        earlier = found.setdefault((one["kind"], one["type"]), one)
        if one["built"]:
            earlier["methods"] = {**earlier["methods"], **one["methods"]}
    PAGE.write_text(page(list(found.values()), transformers.__version__), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
