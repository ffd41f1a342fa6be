"""Run one benchmark and print its comparisons as markdown and JSON: `python -m benchmarks scoring --rows 96`."""

import argparse
import importlib
import json
import sys
from dataclasses import asdict

from benchmarks.report import markdown

# A benchmark is a module with `measure(rows, dtype, device)`, which returns its comparisons.
BENCHMARKS = {
    "scoring": 96,
    "filings": 24,
    "matrix": 100,
    "training": 96,
    "growth": 10000,
    "serving": 1000,
    "boards": 10000,
    "scheduler": 10000,
}  # with the rows that it takes by default

# What has flags of its own and prints for itself: `main(words)` returns the exit status.
OWN = ("study", "startup", "accelerator", "others")

# What compares shared prefixes with the stock way; the others measure what has no stock side, or its own overhead.
SHARED = ("scoring", "filings", "matrix", "training", "growth")


def main() -> None:
    """Parse, measure, print."""
    if sys.argv[1:] and sys.argv[1] in OWN:
        sys.exit(importlib.import_module(f"benchmarks.{sys.argv[1]}").main(sys.argv[2:]))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, *OWN], help=f"{', '.join(OWN)} take flags of their own")
    parser.add_argument("--rows", type=int, help="how many rows to score")
    parser.add_argument("--dtype", nargs="+", default=["float32"], choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--busy", type=int, default=0, help="processes that work beside without a pause (default 0)")
    given = parser.parse_args()
    measure = importlib.import_module(f"benchmarks.{given.name}").measure
    rows = given.rows or BENCHMARKS[given.name]
    from benchmarks.machine import describe, kept_busy

    with kept_busy(given.busy):
        found = [comparison for dtype in given.dtype for comparison in measure(rows, dtype, given.device)]
    machine = describe(given.device) | ({"busy processes beside": str(given.busy)} if given.busy else {})
    print(markdown(found, machine))
    if given.name in SHARED and given.rows is None:  # a few rows share too little
        for comparison in found:
            comparison.check()
    print(json.dumps({"machine": machine, "comparisons": [asdict(comparison) for comparison in found]}, indent=2))


if __name__ == "__main__":
    main()
