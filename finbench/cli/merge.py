"""`finbench merge A B --weights 0.7,0.3 --how ties --output OUT`: LoRA adapters of one base as one adapter."""

import argparse
from pathlib import Path

HOWS = ("ties", "dare_ties", "dare_linear", "linear", "cat")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("adapters", nargs="+", metavar="ADAPTER", help="the adapters' folders, two or more")
    parser.add_argument("--weights", required=True, help="one weight for each adapter, such as 0.7,0.3")
    parser.add_argument("--how", choices=HOWS, default="linear", help="PEFT's combination_type (default: linear)")
    parser.add_argument(
        "--density", type=float, default=0.5, help="ties, dare: share of the weights that is kept (default: 0.5)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="dare: seed that draws which weights are dropped (default: 0)"
    )
    parser.add_argument("--base", help="the base model, if it is not where the adapters say")
    parser.add_argument("--output", type=Path, required=True, help="folder of the merged adapter")


def run(options: argparse.Namespace) -> int:
    """Merge, and say what came of it."""
    from finbench.adapters.merge import Merge, merge
    from finbench.errors import FinbenchError

    try:
        weights = tuple(float(word) for word in options.weights.split(","))
    except ValueError as error:
        raise FinbenchError(f"--weights {options.weights}: give numbers divided by commas, such as 0.7,0.3.") from error
    settings = Merge(options.how, weights, options.density, options.seed)
    record = merge(options.adapters, settings, options.output, options.base)
    parents = " and ".join(f"{one['weight']:g} of {one['name']}" for one in record["parents"])
    print(f"{options.output}: {parents}, {options.how}, {record['adapter_bytes']:,} bytes")
    return 0
