"""`finbench doctor`: whether finbench works here, and how fast: releases, hook, fast paths, devices, rows."""

import argparse
import json
from dataclasses import asdict

MARKS = {"good": "ok", "bad": "NO", "note": "--"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("--json", action="store_true", help="print findings as JSON, for an error report")


def run(options: argparse.Namespace) -> int:
    """Print what is found; 1 if anything that finbench promises does not work here."""
    from finbench import __version__
    from finbench.doctor.findings import findings

    found = []
    group = ""
    for one in findings():
        found.append(one)
        if options.json:
            continue
        if one.group != group:
            group = one.group
            print(group)
        print(f"  {MARKS[one.judgement]}  {one.name}: {one.text}", flush=True)
    bad = sum(one.judgement == "bad" for one in found)
    if options.json:
        print(json.dumps({"finbench": __version__, "findings": [asdict(one) for one in found]}, indent=2))
    else:
        print(f"finbench {__version__}: " + (f"{bad} things do not work here." if bad else "all that was tried works."))
    return 1 if bad else 0
