"""`finbench plan RECIPE|MATRIX [--gpu 4x48GB]`: memory, time and money, before anything is loaded."""

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from finbench.errors import FinbenchError

PARTS = ("weights", "adapter", "gradients", "optimizer", "activations", "logits", "cache")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument("file", type=Path, help="a recipe's or a matrix's YAML")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="settings that replace the recipe's")
    parser.add_argument(
        "--gpu", default="", help="number of GPUs and their memory, such as 4x48GB (a GB is 2^30 bytes here)"
    )
    parser.add_argument("--price", type=float, help="price of one GPU for an hour, in any currency")
    parser.add_argument(
        "--strategy", choices=("ddp", "zero2", "zero3", "pipeline"), help="plan for this way to use several GPUs only"
    )
    parser.add_argument("--tflops", type=float, help="peak TFLOP/s of one GPU (default: measured on this machine)")
    parser.add_argument(
        "--mfu",
        type=float,
        default=0.4,
        help="model FLOPs utilisation: share of that peak that is reached (default: 0.4)",
    )
    parser.add_argument("--tokens", type=int, help="tokens of the longest row (default: a guess for each task)")
    parser.add_argument(
        "--double-quantisation", action="store_true", help="4 bits: quantise the scales too (bnb_4bit_use_double_quant)"
    )


def run(options: argparse.Namespace) -> int:
    """Print the plan; 1 if something does not fit."""
    from finbench.documents import read_yaml
    from finbench.planner.cost import matmul_tflops

    devices, device_bytes = _devices(options.gpu)
    for name in ("mfu", "tflops", "tokens"):
        if getattr(options, name) is not None and getattr(options, name) <= 0:
            raise FinbenchError(f"--{name} must be above 0 (given: {getattr(options, name)}).")
    given = read_yaml(options.file)
    plan: Callable[[float], bool]
    if isinstance(given, dict) and "bases" in given:
        from finbench.runs.matrix import read_matrix

        plan = partial(_matrix, options, read_matrix(options.file), devices, device_bytes)
    else:
        from finetune.recipe import check_named_things, read_recipe

        recipe = read_recipe(options.file, options.settings)
        check_named_things(recipe)
        plan = partial(_recipe, options, recipe, devices, device_bytes)
    measured = options.tflops is None  # last: it imports torch
    fits = plan((options.tflops or matmul_tflops()) * 1e12 * options.mfu)
    source = "this machine's measured matrix products" if measured else f"{options.tflops:g} TFLOP/s given"
    print(f"\nTime assumes {options.mfu:.0%} of {source}, every row as long as the longest: an estimate from above.")
    return 0 if fits else 1


def _devices(text: str) -> tuple[int, int | None]:
    if not text:
        return 1, None
    match = re.fullmatch(r"(?:([1-9]\d*)x)?(\d+(?:\.\d+)?)GB", text)
    if not match:
        raise FinbenchError(f"--gpu {text!r} is not understood: write 4x48GB.")
    return int(match[1] or 1), int(float(match[2]) * 2**30)


def _recipe(options: argparse.Namespace, recipe: Any, devices: int, device_bytes: int | None, rate: float) -> bool:
    from finbench.planner.cost import STRATEGIES, memory, suggestions
    from finetune.planned import training_cost

    device = "cuda" if options.gpu else "cpu"
    cost = training_cost(recipe, rate, device, devices, options.tokens, options.double_quantisation)
    job = cost.job
    print(f"{recipe.base}, {recipe.method}, {job.trainable:,} trained parameters; ", end="")
    print(
        f"adapter {2 * job.adapter / 2**20:.1f} MiB in 16 bits, {4 * job.adapter / 2**20:.1f} MiB as trained (float32)"
    )
    print(f"{cost.passes:,.0f} row passes of at most {cost.tokens} tokens, {cost.shared} shared, ", end="")
    print(f"batch {recipe.batch_size} a device\n")
    print(f"| strategy, GiB a device | {' | '.join(PARTS)} | total | fits |\n|{'---|' * (len(PARTS) + 3)}")
    fitting, advice = False, []
    for strategy in [options.strategy] if options.strategy else STRATEGIES if devices > 1 else ("ddp",):
        needed = memory(job, strategy, devices)
        fit = device_bytes is None or needed.total <= device_bytes
        fitting |= fit
        print(f"| {strategy} | {_gib(*(getattr(needed, part) for part in PARTS), needed.total)} ", end="")
        print(f"| {_says(fit, device_bytes)} |")
        if device_bytes is not None and not fit:
            advice.append(f"{strategy} would fit with: {'; '.join(suggestions(job, strategy, devices, device_bytes))}")
    hours = cost.hours / devices
    print("\n" + "\n".join([*advice, f"about {hours:.2f} h on {devices} device(s){_money(options, cost.hours)}"]))
    return fitting


def _matrix(options: argparse.Namespace, matrix: Any, devices: int, device_bytes: int | None, rate: float) -> bool:
    from finbench.runs.costs import cell_costs

    print("| base | adapter | task | weights GiB | pass GiB | total GiB a device | largest batch | hours | fits |")
    print(f"|{'---|' * 9}")
    fitting, total = True, 0.0
    device, double = "cuda" if options.gpu else "cpu", options.double_quantisation
    for cost in cell_costs(matrix, rate, device, devices, device_bytes, options.strategy, options.tokens, double):
        fit = device_bytes is None or cost.memory.total <= device_bytes
        fitting, total = fitting and fit, total + cost.hours
        batch = "-" if cost.largest_batch is None else cost.largest_batch
        print(f"| {cost.base} | {cost.adapter or '-'} | {cost.task} ", end="")
        print(f"| {_gib(cost.memory.weights, cost.memory.passing, cost.memory.total)} ", end="")
        print(f"| {batch} | {cost.hours:.3f} | {_says(fit, device_bytes)} |")
    print(f"\nabout {total:.2f} h of one device{_money(options, total)}")
    return fitting


def _gib(*sizes: int) -> str:
    return " | ".join(f"{size / 2**30:.2f}" for size in sizes)


def _says(fits: bool, device_bytes: int | None) -> str:
    return "-" if device_bytes is None else "yes" if fits else "no"


def _money(options: argparse.Namespace, device_hours: float) -> str:
    return "" if options.price is None else f", {device_hours * options.price:.2f} at {options.price:g} an hour"
