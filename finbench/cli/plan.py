"""`finbench plan RECIPE|MATRIX [--gpu 4x48GB]`: memory, time and money, before anything is loaded."""

import argparse
import re
from collections.abc import Callable
from dataclasses import replace
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
    from finbench.planner.cost import STRATEGIES, flops, memory, suggestions
    from finbench.tasks.sizes import sizes
    from finetune.planned import length, planned

    tasks = sizes(recipe.tasks)
    tokens, shared = length(recipe, options.tokens)
    device = "cuda" if options.gpu else "cpu"
    job = planned(recipe, tokens, shared, options.double_quantisation, device)
    print(f"{recipe.base}, {recipe.method}, {job.trainable:,} trained parameters; ", end="")
    print(
        f"adapter {2 * job.adapter / 2**20:.1f} MiB in 16 bits, {4 * job.adapter / 2**20:.1f} MiB as trained (float32)"
    )
    rows = sum(min(size.train, recipe.limit or size.train) for size in tasks.values()) * (1 - recipe.validation_share)
    passes = rows * recipe.epochs
    if recipe.max_steps:
        passes = min(passes, recipe.max_steps * recipe.batch_size * recipe.gradient_accumulation * devices)
    hours = flops(job, passes, shared) / rate / devices / 3600
    print(f"{passes:,.0f} row passes of at most {tokens} tokens, {shared} shared, batch {recipe.batch_size} a device\n")
    print(f"| strategy, GiB a device | {' | '.join(PARTS)} | total | fits |\n|{'---|' * (len(PARTS) + 3)}")
    fitting, advice = False, []
    for strategy in [options.strategy] if options.strategy else STRATEGIES if devices > 1 else ("ddp",):
        needed = memory(job, strategy, devices)
        cells = " | ".join(f"{getattr(needed, part) / 2**30:.2f}" for part in PARTS)
        fit = device_bytes is None or needed.total <= device_bytes
        fitting |= fit
        print(f"| {strategy} | {cells} | {needed.total / 2**30:.2f} | {_says(fit, device_bytes)} |")
        if device_bytes is not None and not fit:
            advice.append(f"{strategy} would fit with: {'; '.join(suggestions(job, strategy, devices, device_bytes))}")
    print("\n" + "\n".join([*advice, f"about {hours:.2f} h on {devices} device(s){_money(options, hours * devices)}"]))
    return fitting


def _matrix(options: argparse.Namespace, matrix: Any, devices: int, device_bytes: int | None, rate: float) -> bool:
    from finbench.planner.cost import Strategy, flops, largest_batch, memory
    from finbench.runs.needs import scoring_jobs
    from finbench.tasks.sizes import sizes

    print("| base | adapter | task | weights GiB | pass GiB | total GiB a device | largest batch | hours | fits |")
    print(f"|{'---|' * 9}")
    fitting, total = True, 0.0
    for base in matrix.bases:
        job_of = scoring_jobs(base, matrix.batch_size, "cuda" if options.gpu else "cpu", options.double_quantisation)
        strategy: Strategy = options.strategy or ("pipeline" if base.pipeline else "ddp")
        stages = base.pipeline or devices
        for adapter in ([""] if base.score_base else []) + list(base.adapters):
            for task, size in sizes(base.tasks or matrix.tasks).items():
                tokens = options.tokens or size.tokens
                shared = size.shared if base.model == "hf-fast" and size.shared < tokens else 0
                job = replace(job_of(tokens, shared), adapter=_stored_parameters(adapter))
                rows = min(size.test, matrix.limit or size.test) * len(matrix.perturb)
                hours = flops(job, rows, shared) / rate / 3600
                total += hours
                needed = memory(job, strategy, stages)
                fit = device_bytes is None or needed.total <= device_bytes
                fitting &= fit
                batch = largest_batch(job, strategy, stages, device_bytes) if device_bytes is not None else "-"
                passing = needed.activations + needed.logits + needed.cache
                sizes_gib = " | ".join(f"{part / 2**30:.2f}" for part in (needed.weights, passing, needed.total))
                print(f"| {base.name} | {Path(adapter).name or '-'} | {task} | {sizes_gib} ", end="")
                print(f"| {batch} | {hours:.3f} | {_says(fit, device_bytes)} |")
    print(f"\nabout {total:.2f} h of one device{_money(options, total)}")
    return fitting


def _stored_parameters(adapter: str) -> int:
    """Return an adapter's parameters by the size of its file (float32); an id on the hub counts as none."""
    file = Path(adapter) / "adapter_model.safetensors"
    return file.stat().st_size // 4 if adapter and file.is_file() else 0


def _says(fits: bool, device_bytes: int | None) -> str:
    return "-" if device_bytes is None else "yes" if fits else "no"


def _money(options: argparse.Namespace, device_hours: float) -> str:
    return "" if options.price is None else f", {device_hours * options.price:.2f} at {options.price:g} an hour"
