"""`finbench serve --base B [--adapter A]`: the page and `POST /analyze`."""

import argparse
import sys

# Between two products the model waits for the thread that speaks HTTP to let go of the interpreter: 5 ms by default.
SWITCH_SECONDS = 0.0005


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    from finbench.cli.model import add_model_arguments

    add_model_arguments(parser, several=True)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1, this machine alone)"
    )
    parser.add_argument("--port", type=int, default=5000, help="port (default: 5000; 0 takes a free one)")
    parser.add_argument(
        "--allow-remote",
        action="store_true",
        help="allow a --host that other machines can reach; there is no login",
    )
    parser.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        metavar="NAME",
        help="accept requests for this host name too, such as a proxy's; repeat for more",
    )
    parser.add_argument(
        "--allow-origin",
        action="append",
        default=[],
        metavar="URL",
        help="a site whose pages may send requests (CORS); repeat for more",
    )
    parser.add_argument(
        "--max-batch",
        type=int,
        default=64,
        help="waiting texts that are answered together (default: 64); 1 switches it off",
    )
    parser.add_argument("--max-waiting", type=int, default=2048, help="texts that may wait before 503 (default: 2048)")
    parser.add_argument("--max-characters", type=int, default=20_000, help="longest text (default: 20,000)")
    parser.add_argument("--max-seconds", type=float, default=60.0, help="longest wait for an answer (default: 60)")


def run(options: argparse.Namespace) -> int:
    """Load, then serve until SIGTERM or Ctrl-C; what has begun is finished."""
    from importlib.util import find_spec

    from finbench.errors import FinbenchError

    if find_spec("fastapi_offline") is None or find_spec("uvicorn") is None:
        raise FinbenchError('the server is not installed: pip install ".[serve]" in the checkout of finbench.')
    from finbench.cli.model import model_options

    settings = model_options(options)  # refuses what is not there, before the server's imports
    from finbench.server.memory import bound_compiled_operations

    bound_compiled_operations()
    sys.setswitchinterval(SWITCH_SECONDS)
    from finbench.server.listen import bound, is_loopback, listener, names_of

    if not is_loopback(options.host) and not options.allow_remote:
        raise FinbenchError(
            f"--host {options.host} can be reached by other machines, and whoever reaches it may use the model: "
            "there is no login and no encryption. Add --allow-remote if that is meant, or put a proxy with both in "
            "front of 127.0.0.1."
        )
    from finbench.predict.predictor import EQUAL, load_several
    from finbench.server.app import Limits, build_app

    names = names_of(options.host, options.allowed_host)
    print(f"loading {options.base} ...", flush=True)
    predictors = load_several(options.base, options.adapter, **settings)
    limits = Limits(
        characters=options.max_characters,
        waiting=options.max_waiting,
        batch=options.max_batch,
        seconds=options.max_seconds,
    )
    for name, one in predictors.items():
        if one.merged:
            print(f"{name} is folded into its base: shares of a probe are the same within {EQUAL:g}", flush=True)
        if one.rounded:
            print(f"{name}: weights are held as {one.precision}; some answers are not the float model's", flush=True)
    app = build_app(predictors, limits, options.allow_origin, names)
    server = listener(app, options.host, options.port, options.max_seconds)
    with bound(server) as listening:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        print(f"serving {', '.join(predictors)} on http://{shown}:{port}/ (Ctrl-C stops)", flush=True)
        server.run([listening])
    return 0
