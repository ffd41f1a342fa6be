"""What predict, calibrate and serve ask alike: which base, which adapter, which task."""

import argparse
from typing import Any


def add_model_arguments(parser: argparse.ArgumentParser, several: bool = False, exports: bool = False) -> None:
    """Declare base, adapter, task and precision: `several` adapters side by side, or a model that one `exports`."""
    places = "a name on the hub or a folder" if exports else "a name on the hub, a folder, or an ONNX export's folder"
    parser.add_argument("--base", required=not exports, help=f"the base model: {places}")
    if several:
        parser.add_argument(
            "--adapter",
            action="append",
            default=[],
            help="an adapter's folder; repeat for several (default: the base alone)",
        )
    else:
        parser.add_argument("--adapter", help="the adapter's folder (default: the base alone)")
    parser.add_argument(
        "--task", help="the task that gives labels and prompt (default: the adapter's own, else fin_fpb)"
    )
    parser.add_argument("--revision", help="commit of the base on the hub")
    parser.add_argument("--trust-remote-code", action="store_true", help="run Python code from the base's repository")
    if exports:
        parser.add_argument("--int8", action="store_true", help="onnx: quantise weights to int8 (dynamic quantisation)")
    else:
        parser.add_argument("--bits", type=int, choices=(4, 8), help="quantise the base by bitsandbytes")
        parser.add_argument("--int8", action="store_true", help="quantise a classifier on a processor to int8")
    parser.add_argument("--batch-size", type=int, default=32, help="texts of one forward pass at most (default: 32)")


def model_options(options: argparse.Namespace) -> dict[str, Any]:
    """Return a predictor's options.

    Raises:
        FinbenchError: the base's folder or the task is not there, which loading would find out seconds later.

    """
    from finbench.hf.load import check_place
    from finbench.tasks.named import check_named

    check_place(options.base)
    if options.task:
        check_named([options.task])
    names = ("task", "revision", "trust_remote_code", "bits", "int8", "batch_size")
    return {name: getattr(options, name) for name in names if hasattr(options, name)}
