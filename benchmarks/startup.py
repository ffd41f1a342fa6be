"""What a user waits for before anything is computed: the hook, help, refusals, a matrix that is done, the boards.

`python -m benchmarks startup --repeats 3 --cells 10000`

Each line has a stock side beside it in the same run, alternating: an interpreter without the hook, `lm_eval --help`,
`lm_eval` refusing a task, `lm_eval` scoring again what was scored before (it keeps no results), jsonschema checking as
many files. Seconds are medians of all repeats. 1 is returned if ours is above its goal both in seconds and in processor
seconds: the goals are for a machine that has nothing else to do.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.measured import Took, measured

TINY = """
import sys
from benchmarks.invented import one_shot, tokenizer_for
from transformers import GPT2Config, GPT2LMHeadModel
shape = GPT2Config(n_layer=2, n_head=2, n_embd=32, n_positions=1024, vocab_size=2000, bos_token_id=0, eos_token_id=0)
tokenizer_for(one_shot(50), 2000, 2000).save_pretrained(sys.argv[1])
GPT2LMHeadModel(shape).save_pretrained(sys.argv[1])
"""
RECIPE = "base: base\ntasks: [fin_fpb]\nmethod: lora\n"
MATRIX = "name: done\ntasks: [fin_fpb]\nlimit: 2\nbases: [{base: base, adapters: []}]\n"
REFUSED = 2  # the exit status of `finbench` where the user is to mend something


@dataclass(frozen=True)
class Case:
    """What is timed: both sides' words after `python`, our goal in seconds, and the status that ours ends with."""

    name: str
    stock: tuple[str, ...]
    ours: tuple[str, ...]
    goal_seconds: float
    status: int = 0


LM_EVAL = ("-m", "lm_eval")
NO_TASK = (*LM_EVAL, "run", "--model", "hf", "--model_args", "pretrained=base", "--tasks", "no_such_task")
AGAIN = (*LM_EVAL, "run", "--model", "hf", "--model_args", "pretrained=base", "--tasks", "fin_fpb", "--limit", "2")
FINBENCH = ("-m", "finbench")
CASES = (
    Case("python -c pass, with the hook", ("-c", "pass"), ("-c", "pass"), 0.2),
    Case("--help", (*LM_EVAL, "--help"), (*FINBENCH, "--help"), 0.5),
    Case("finetune, a wrong value", NO_TASK, (*FINBENCH, "finetune", "recipe.yaml", "precision=bf16"), 1.0, REFUSED),
    Case("finetune, a wrong key", NO_TASK, (*FINBENCH, "finetune", "recipe.yaml", "epoch=1"), 1.0, REFUSED),
    Case("finetune, a wrong task", NO_TASK, (*FINBENCH, "finetune", "recipe.yaml", "tasks=[fin_fbp]"), 1.0, REFUSED),
    Case("finetune, no such base", NO_TASK, (*FINBENCH, "finetune", "recipe.yaml", "base=./bas"), 1.0, REFUSED),
    Case("sweep, a wrong value", NO_TASK, (*FINBENCH, "sweep", "recipe.yaml", "s.yaml", "r=none"), 1.0, REFUSED),
    Case("plan, a wrong value", NO_TASK, (*FINBENCH, "plan", "recipe.yaml", "bits=5"), 1.0, REFUSED),
    Case("run, no such matrix", NO_TASK, (*FINBENCH, "run", "none.yaml"), 1.0, REFUSED),
    Case("run, a wrong task", NO_TASK, (*FINBENCH, "run", "wrong.yaml"), 1.0, REFUSED),
    Case("predict, no such base", NO_TASK, (*FINBENCH, "predict", "--base", "./bas", "text"), 1.0, REFUSED),
    Case("serve, no such base", NO_TASK, (*FINBENCH, "serve", "--base", "./bas"), 1.0, REFUSED),
    Case("run, everything done", AGAIN, (*FINBENCH, "run", "done.yaml"), 8.0),
)


class Bench:
    """A folder with a tiny base, a recipe and a matrix that is done, and the times of both sides there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0
        root = str(Path(__file__).parents[1])
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
            "FINBENCH_HOME": str(folder / "home"),
            "FINBENCH_DATA": "sample",
            "HF_HUB_OFFLINE": "1",
        }

    def prepare(self) -> None:
        """Write what the commands read, and score the matrix that is to be done."""
        (self.folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
        (self.folder / "done.yaml").write_text(MATRIX, encoding="utf-8")
        (self.folder / "wrong.yaml").write_text(MATRIX.replace("fin_fpb", "fin_fbp"), encoding="utf-8")
        (self.folder / "s.yaml").write_text("values: {r: [4, 8]}\n", encoding="utf-8")
        self.run(("-c", TINY, "base"))
        self.run((*FINBENCH, "run", "done.yaml"))

    def run(self, words: Sequence[str], status: int | None = 0, hook: bool = True) -> Took:
        """Run `python WORDS` and return what it took; None asks for no certain status.

        Raises:
            SystemExit: it ended with another status.

        """
        self.runs += 1
        log = self.folder / f"{self.runs}.log"
        environment = self.environment if hook else {**self.environment, "FINBENCH_AUTOLOAD": "0"}
        took = measured([sys.executable, *words], self.folder, environment, log, checks=status == 0)
        if status and took.status != status:
            raise SystemExit(f"python {' '.join(words)} ended with {took.status}, not {status}:\n{log.read_text()}")
        return took


def timed(bench: Bench, case: Case, repeats: int) -> dict[str, object]:
    """Return medians of both sides, alternating."""
    took: dict[str, list[Took]] = {"stock": [], "ours": []}
    same = case.stock == case.ours  # then the hook is what differs
    stock: Took | None = None
    for _ in range(repeats):
        # what refuses is the same command for many cases, and costs ten times ours: once a case is enough
        if stock is None or case.goal_seconds < 1 or repeats == 1:
            stock = bench.run(case.stock, None if case.status else 0, hook=not same)
        took["stock"].append(stock)
        took["ours"].append(bench.run(case.ours, case.status))
    middle = {side: median(one.seconds for one in found) for side, found in took.items()}
    processor = {side: median(one.processor_seconds for one in found) for side, found in took.items()}
    known = [one.others_cores for found in took.values() for one in found if one.others_cores is not None]
    return {
        "name": case.name,
        "stock_seconds": middle["stock"],
        "our_seconds": middle["ours"],
        "stock_processor_seconds": processor["stock"],
        "our_processor_seconds": processor["ours"],
        "goal_seconds": case.goal_seconds,
        "others_cores": max(known, default=None),
    }


def boards(cells: int) -> dict[str, object]:
    """Return what the boards of so many cells take, see the benchmark of that name."""
    from benchmarks.boards import measure

    [found] = measure(cells, "none", "cpu")
    return {
        "name": f"leaderboard of {cells} cells",
        "stock_seconds": found.stock_seconds,
        "our_seconds": found.our_seconds,
        "stock_processor_seconds": None,
        "our_processor_seconds": found.details["processor seconds"],
        "goal_seconds": 5.0,
        "others_cores": None,
    }


def markdown(found: Sequence[Mapping[str, object]]) -> str:
    """Return the table."""
    lines = ["| command | stock, s | ours, s | processor, s | goal, s | |", "|---|--:|--:|--:|--:|---|"]
    for one in found:
        met = "met" if _within(one) else "**over**"
        numbers = (one["stock_seconds"], one["our_seconds"], one["our_processor_seconds"])
        shown = " | ".join(f"{float(str(number)):.2f}" for number in numbers)
        lines.append(f"| {one['name']} | {shown} | {one['goal_seconds']} | {met} |")
    return "\n".join(lines)


def _within(one: Mapping[str, object]) -> bool:
    least = min(float(str(one[name])) for name in ("our_seconds", "our_processor_seconds"))
    return least <= float(str(one["goal_seconds"]))


def main(argv: Sequence[str]) -> int:
    """Measure, print the table and the JSON; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks startup", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="how often each command runs (default 3)")
    parser.add_argument("--cells", type=int, default=10_000, help="cells of the boards (default 10000; 0: none)")
    parser.add_argument("--only", default="", help="only cases whose name holds this")
    options = parser.parse_args(argv)
    found: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        bench.prepare()
        for case in CASES:
            if options.only in case.name:
                found.append(timed(bench, case, options.repeats))
                print(markdown(found[-1:]).splitlines()[-1], flush=True)
    if options.cells and options.only in "leaderboard":
        found.append(boards(options.cells))
    print(f"\n{markdown(found)}\n\n{json.dumps(found, indent=2)}")
    return 0 if all(map(_within, found)) else 1
