"""A whole study from nothing to a board: one base, two tasks, two adapters, trained and scored, the stock way and ours.

`python -m benchmarks study --rows 100 --steps 20 --output study`

Ours is `finbench finetune` twice, one `finbench run` and `finbench leaderboard`; stock is TRL's SFTTrainer (completions
only) twice and one `lm_eval --model hf` process a cell, each at its best batch size of a trial that is not counted.
Both start from the same weights, see the same rows in the same order, and their losses, adapters and metrics are
compared. Which side goes first changes from part to part and from round to round; what else the machine did is noted
beside each. Every part runs in a process of its own, so that its peak of memory is its own.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.measured import Took, measured

INVENTED = ("study_a", "study_b")
BATCH = 16  # rows of one step of the optimizer, on both sides


def arguments() -> argparse.ArgumentParser:
    """Return the parser of this benchmark's own flags."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks study", description=__doc__)
    parser.add_argument("--base", type=Path, help="folder of a causal model (default: an invented Llama)")
    parser.add_argument("--tasks", nargs=2, help="with a base: two tasks of choices (default: invented ones)")
    parser.add_argument("--rows", type=int, default=100, help="test rows a cell (default 100)")
    parser.add_argument("--steps", type=int, default=20, help=f"steps of {BATCH} rows an adapter (default 20)")
    parser.add_argument("--rounds", type=int, default=1, help="how often all of it is done (default 1)")
    parser.add_argument("--layers", type=int, default=30, help="of the invented base (default 30, SmolLM2's)")
    parser.add_argument("--width", type=int, default=576, help="of the invented base (default 576, SmolLM2's)")
    parser.add_argument("--vocabulary", type=int, default=49152, help="of the invented base (default 49152)")
    parser.add_argument("--stock-train-batch", type=int, help="rows a pass of TRL's side (default: by trial)")
    parser.add_argument("--stock-score-batch", type=int, help="batch size of hf's side (default: by trial)")
    parser.add_argument("--output", type=Path, default=Path("study"), help="folder of all files (default: study)")
    return parser


class Study:
    """The folder of a study, and the commands of both sides."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.folder = options, options.output.resolve()
        self.tasks = tuple(options.tasks or INVENTED)
        self.base = str(options.base.resolve()) if options.base else str(self.folder / "base")
        root = str(Path(__file__).parents[1])
        self.environment = {
            **os.environ,
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            "FINBENCH_HOME": str(self.folder / "home"),
            "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")])),
        }
        self.found: dict[str, Any] = {"settings": self._settings(), "parts": [], "trials": {}}
        self.found |= {"base": self.base, "given": bool(options.base)}

    def _settings(self) -> dict[str, Any]:
        shown = {
            name: getattr(self.options, name) for name in ("rows", "steps", "rounds", "layers", "width", "vocabulary")
        }
        shown["base"] = Path(self.base).name if self.options.base else "an invented Llama, random weights"
        shown["affinity"] = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        shown["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS")
        return shown | {"tasks": self.tasks, "batch": BATCH, "begun": datetime.now().isoformat(timespec="seconds")}

    def helper(self, *words: str, log: str) -> Any:
        """Run a step that nobody's clock counts, and return what it wrote as `log`.out.json, if it did."""
        command = [sys.executable, "-m", "benchmarks.study_steps", *words, str(self.folder / "study.json")]
        measured(command, self.folder, self.environment, self.folder / f"{log}.log")
        path = self.folder / f"{log}.out.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    def part(self, round_: int, side: str, name: str, *command: str) -> None:
        """Run and time one part of one side."""
        say(f"round {round_}, {name}, {side} ...")
        log = self.folder / f"{round_}-{side}-{name.replace(' ', '-')}.log"
        took = measured([sys.executable, *command], self.folder, self.environment, log)
        self.found["parts"].append({"round": round_, "side": side, "name": name, **asdict(took)})
        self.save()
        say(f"    {took.seconds:.1f} s, {took.processor_seconds:.1f} s of processor, {_gib(took)}, {_load(took)}")

    def save(self) -> None:
        """Write what is known so far: a study that is stopped has lost nothing of it."""
        text = json.dumps(self.found, indent=2)
        (self.folder / "study.json").write_text(text, encoding="utf-8")

    def train(self, round_: int, side: str, task: str) -> None:
        """Train one adapter."""
        output = f"{side}-{round_}/{task}"
        if side == "ours":
            words = ["-m", "finbench", "finetune", f"{task}.yaml", "--output", output]
        else:
            batch = str(self.found["trials"]["train"]["best"])
            words = ["-m", "benchmarks.stock_training", f"{task}.json", batch, output]
        self.part(round_, side, f"train {task}", *words)

    def score(self, round_: int, side: str) -> None:
        """Score base and adapters on both tasks, and render our board; lm-eval renders none."""
        if side == "ours":
            cells = f"cells-{round_}"
            self.part(round_, side, "score", "-m", "finbench", "run", f"matrix-{round_}.yaml", "--cells", cells)
            self.part(
                round_, side, "board", "-m", "finbench", "leaderboard", "--cells", cells, "--output", f"board-{round_}"
            )
            return
        batch = str(self.found["trials"]["score"]["best"])
        for task in self.tasks:
            for adapter in (None, *self.tasks):
                model = f"pretrained={self.base},dtype=float32"
                model += f",peft=stock-{round_}/{adapter}" if adapter else ""
                words = ["-m", "lm_eval", "run", "--model", "hf", "--tasks", task, "--model_args", model]
                words += [
                    "--device",
                    self.found["trials"]["score"].get("device", "cpu"),
                    "--batch_size",
                    batch,
                    "--limit",
                    str(self.options.rows),
                    "--log_samples",
                ]
                words += ["--output_path", f"stock-{round_}-scores/{adapter or 'base'}/{task}"]
                self.part(round_, side, f"score {adapter or 'base'} on {task}", *words)


def say(text: str) -> None:
    """Print at once: a study takes minutes."""
    print(f"{datetime.now():%H:%M:%S} {text}", flush=True)


def _gib(took: Took) -> str:
    return f"{took.peak_bytes / 2**30:.2f} GiB"


def _load(took: Took) -> str:
    return "" if took.others_cores is None else f"others kept {took.others_cores:.2f} cores busy"


def main(argv: Sequence[str]) -> int:
    """Do the study, write study.json and study.md into its folder; 1 if the two sides' results differ."""
    options = arguments().parse_args(argv)
    if bool(options.base) != bool(options.tasks):
        raise SystemExit("--base and --tasks go together: the invented base is for the invented tasks.")
    if min(options.rows, options.steps, options.rounds) < 1:
        raise SystemExit("--rows, --steps and --rounds must be 1 or more.")
    if options.output.exists() and any(options.output.iterdir()):
        raise SystemExit(f"{options.output} is not empty: give another --output, or remove it.")
    options.output.mkdir(parents=True, exist_ok=True)
    study = Study(options)
    study.save()
    say("preparing base, tasks, the adapters' first weights, recipes and rows (not counted) ...")
    study.helper("prepare", log="prepare")
    for name, given in (("train", options.stock_train_batch), ("score", options.stock_score_batch)):
        say(f"finding the stock side's best batch size, {name} (not counted) ...")
        found = {"best": given, "seconds": {}} if given else study.helper(f"try-{name}", log=f"try-{name}")
        study.found["trials"][name] = found
        say(f"    {found['best']} of {found['seconds']}")
    for round_ in range(options.rounds):
        order = ["ours", "stock"] if round_ % 2 == 0 else ["stock", "ours"]
        for task in study.tasks:
            for side in order:
                study.train(round_, side, task)
            order.reverse()
        for side in order:
            study.score(round_, side)
    return _finish(study)


def _finish(study: Study) -> int:
    """Compare results, write and print the tables."""
    from benchmarks.study_table import markdown

    say("comparing results ...")
    try:
        study.found["results"] = study.helper("compare", log="compare")
    except SystemExit as error:  # what was measured is not lost with it
        study.found["results"] = {"equal": False, "error": str(error)}
    study.found["machine"] = study.helper("machine", log="machine")
    study.found["base"] = study.found["settings"]["base"]  # no folder of somebody's machine in a result
    study.save()
    text = markdown(study.found)
    (study.folder / "study.md").write_text(text, encoding="utf-8")
    print(f"\n{text}", flush=True)
    return 0 if study.found["results"]["equal"] else 1
