"""Everything that an accelerator is for, in one run of minutes: a random Llama at 16, 8 and 4 bits, stock beside ours.

`python -m benchmarks accelerator --size 1b --bits 16 8 4 --output accelerator.json`

For each number of bits: scoring, packs' attention by a dense mask and by a block mask, questions on filings, training,
serving, and the planner's memory beside the device's own count. Both sides' results are compared in each part. The JSON
is written after each part, so that a run which is cut off has lost none; a part that fails is in it with its error, and
parts that no longer fit into --seconds are named in it as left out.
"""

import argparse
import json
import os
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SIZES = {
    "tiny": (64, 128, 2, 4, 2, 4000),
    "1b": (2048, 8192, 16, 32, 8, 128256),
    "3b": (3072, 8192, 28, 24, 8, 128256),
    "8b": (4096, 14336, 32, 32, 8, 128256),
}  # hidden, intermediate, layers, heads, heads of keys, vocabulary: those of Llama 3
WINDOW = 8192


def main(argv: Sequence[str]) -> int:
    """Run the parts and write the JSON; 1 if one failed, or its two sides differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks accelerator", description=__doc__)
    parser.add_argument("--size", choices=SIZES, default="1b", help="of the model (default 1b)")
    parser.add_argument("--bits", type=int, nargs="+", choices=(16, 8, 4), default=[16, 8, 4])
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16", "float16"])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", type=int, default=192, help="rows that are scored and trained on (default 192)")
    parser.add_argument("--questions", type=int, default=24, help="questions on filings (default 24)")
    parser.add_argument("--seconds", type=float, default=450, help="no part begins later than this (default 450)")
    parser.add_argument("--output", type=Path, default=Path("accelerator.json"))
    options = parser.parse_args(argv)
    os.environ.setdefault("FINBENCH_DATA", "sample")
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    began = time.perf_counter()
    from benchmarks.accelerator_parts import PARTS, Bench
    from benchmarks.machine import describe

    found: dict[str, Any] = {"size": options.size, "dtype": options.dtype, "machine": describe(options.device)}
    found["parts"], found["left_out"] = [], []
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options.device, options.dtype, options.rows, options.questions)
        bench.write_base(SIZES[options.size], WINDOW)
        for bits in options.bits:
            for part, run in PARTS.items():
                if time.perf_counter() - began > options.seconds:
                    found["left_out"].append(f"{part}, {bits} bits")
                    continue
                found["parts"].append({"part": part, "bits": bits, **_tried(bench, bits, run)})
                print(json.dumps(found["parts"][-1]), flush=True)
                options.output.write_text(json.dumps(found, indent=2), encoding="utf-8")
            bench.forget()
    found["seconds"] = time.perf_counter() - began
    options.output.write_text(json.dumps(found, indent=2), encoding="utf-8")
    bad = [f"{one['part']}, {one['bits']} bits" for one in found["parts"] if not one["equal"]]
    print(f"{found['seconds']:.0f} s, {len(found['parts'])} parts; not equal or failed: {', '.join(bad) or 'none'}")
    return 1 if bad else 0


def _tried(bench: Any, bits: int, run: Any) -> dict[str, Any]:
    """Return what a part found, or its error: the other parts are worth having without it."""
    began = time.perf_counter()
    try:
        found: dict[str, Any] = run(bench, bits)
    except Exception as error:
        traceback.print_exc()
        found = {"equal": False, "error": f"{type(error).__name__}: {error}"}
    return {**found, "part_seconds": time.perf_counter() - began}
