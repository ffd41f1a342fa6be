"""What predict, calibrate and serve ask alike: which base, which adapter, which task."""

import argparse
from typing import Any


def add_model_arguments(parser: argparse.ArgumentParser, several: bool = False, required: bool = True) -> None:
    """Declare base, adapter and task; `several` adapters can be given where they are served side by side."""
    parser.add_argument(
        "--base", required=required, help="the base: an id on the hub, or a folder, also one of `finbench export onnx`"
    )
    if several:
        parser.add_argument(
            "--adapter", action="append", default=[], help="an adapter's folder; repeat to offer several"
        )
    else:
        parser.add_argument("--adapter", help="the adapter's folder (default: the base alone)")
    parser.add_argument("--task", help="whose labels and prompt are used (default: the adapter's own, else fin_fpb)")
    parser.add_argument("--revision", help="commit of the base on the hub")
    parser.add_argument("--trust-remote-code", action="store_true", help="run code that the base brings with it")
    parser.add_argument("--bits", type=int, choices=(4, 8), help="hold the base's weights in 4 or 8 bits")
    parser.add_argument("--batch-size", type=int, default=32, help="texts that run together (default: 32)")


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
    names = ("task", "revision", "trust_remote_code", "bits", "batch_size")
    return {name: getattr(options, name) for name in names}
