"""The steps of a study that nobody's clock counts, each in a process of its own that writes STEP.out.json.

`python -m benchmarks.study_steps prepare|try-train|try-score|compare|machine STUDY.json`, in the study's folder.
"""

import csv
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks.invented import one_shot, sentence_rows, tokenizer_for

RECIPE = {
    "method": "lora",
    "r": 8,
    "target_modules": ["all-linear"],
    "validation_share": 0.0,
    "best_by": None,
    "epochs": 1,
    "learning_rate": 2e-4,
    "weight_decay": 0.01,
    "scheduler": "linear",
    "seed": 0,
}
SPARE = 8  # rows beyond those trained on: one is the shot
TRIED_ROWS, SCORE_BATCHES = 24, (4, 16, 64)


def prepare(study: dict[str, Any], where: Path) -> None:
    """Write the base and the tasks unless given, and for each task recipe, first weights and the stock side's rows."""
    from finbench.tasks.load import load_tasks

    _check_environment()
    settings = study["settings"]
    if not study["given"]:
        _invent_tasks(settings, where)
        _invent_base(settings, where)
    for number, task in enumerate(settings["tasks"]):
        _prepare_training(study, where, task, number, load_tasks([task]))
    for round_ in range(settings["rounds"]):
        adapters = [f"ours-{round_}/{task}" for task in settings["tasks"]]
        base = {"base": study["base"], "name": "base", "model": "hf-fast", "dtype": "float32", "adapters": adapters}
        matrix = {"name": "study", "tasks": list(settings["tasks"]), "limit": settings["rows"], "bases": [base]}
        (where / f"matrix-{round_}.yaml").write_text(yaml.safe_dump(matrix), encoding="utf-8")


def _check_environment() -> None:
    """Refuse what would end the study's stock side minutes later.

    Raises:
        SystemExit: TRL is not installed, or plain lm_eval does not see our tasks.

    """
    from finbench.doctor.findings import hook

    if importlib.util.find_spec("trl") is None:
        raise SystemExit("TRL is the stock side of training, and is not installed: pip install trl.")
    if bad := [finding.text for finding in hook() if finding.judgement == "bad"]:
        raise SystemExit(bad[0])


def _invent_tasks(settings: dict[str, Any], where: Path) -> None:
    train = settings["steps"] * settings["batch"] + SPARE
    for number, task in enumerate(settings["tasks"]):
        made = sentence_rows(train + settings["rows"], seed=number)
        for split, part in (("train", made[:train]), ("test", made[train:])):
            with (where / f"{task}_{split}.csv").open("w", newline="") as sink:
                csv.writer(sink).writerows([("text", "label"), *part])
        words = [task, f"{task}_train.csv", "--test", f"{task}_test.csv"]
        words += ["--instruction", "What is the sentiment of this news?"]
        subprocess.run([sys.executable, "-m", "finbench", "new-task", *words], check=True)


def _invent_base(settings: dict[str, Any], where: Path) -> None:
    """Write a Llama in SmolLM2's shape: deep and narrow, one head of keys to three, tied embeddings."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    heads = max(1, settings["width"] // 64)
    torch.manual_seed(0)
    shape = LlamaConfig(
        vocab_size=settings["vocabulary"],
        hidden_size=settings["width"],
        intermediate_size=settings["width"] * 8 // 3,
        num_hidden_layers=settings["layers"],
        num_attention_heads=heads,
        num_key_value_heads=heads // 3 if heads % 3 == 0 else 1,
        max_position_embeddings=2048,
        initializer_range=0.04,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    texts = [text for text, _ in sentence_rows(400, seed=0)]
    tokenizer_for([*texts, *one_shot(50)], 2000, shape.vocab_size).save_pretrained(where / "base")
    LlamaForCausalLM(shape).save_pretrained(where / "base")


def _prepare_training(study: dict[str, Any], where: Path, task: str, number: int, tasks: dict[str, Any]) -> None:
    from transformers import set_seed

    from finbench.models.fast import FastLM
    from finetune.base import load_base
    from finetune.batches import LengthGroupedOrder
    from finetune.examples import prompt_examples, split_rows
    from finetune.methods import apply
    from finetune.recipe import from_settings

    settings = study["settings"]
    batch, steps = settings["batch"], settings["steps"]
    own = {**RECIPE, "base": study["base"], "tasks": [task], "limit": batch * steps, "max_steps": steps}
    own |= {"batch_size": batch}
    recipe = from_settings(own)
    set_seed(number)
    model, tokenizer, _ = load_base(recipe, ())
    model = apply(model, recipe)
    model.save_pretrained(where / "start" / task)
    docs, _ = split_rows(tasks, recipe)
    lm = FastLM(pretrained=model, tokenizer=tokenizer, batch_size=batch)
    found, _ = prompt_examples(tasks, docs, lm, recipe)
    if len(found) < batch * steps:
        raise SystemExit(f"{task} has {len(found)} train rows, {batch * steps} are needed: give fewer --steps.")
    order = LengthGroupedOrder([len(row.input_ids) for row in found], batch, recipe.seed)
    rows = [found[place] for place in order]
    given = {
        "base": study["base"],
        "start": str(where / "start" / task),
        "batch": batch,
        "steps": steps,
        **{name: RECIPE[name] for name in ("learning_rate", "weight_decay", "scheduler", "seed")},
        "input_ids": [list(row.input_ids) for row in rows],
        "completion_mask": [[0] * (len(row.input_ids) - row.answer) + [1] * row.answer for row in rows],
    }
    (where / f"{task}.json").write_text(json.dumps(given), encoding="utf-8")
    own["from_adapter"] = given["start"]
    (where / f"{task}.yaml").write_text(yaml.safe_dump(own), encoding="utf-8")


def try_train(study: dict[str, Any], where: Path) -> dict[str, Any]:
    """Return the stock side's seconds a step by rows a pass, and the fastest."""
    from benchmarks.stock_training import trial

    given = json.loads((where / f"{study['settings']['tasks'][0]}.json").read_text(encoding="utf-8"))
    return trial(given, where / "trial")


def try_score(study: dict[str, Any], where: Path) -> dict[str, Any]:
    """Return the seconds of `hf` on a few rows by batch size, and the fastest."""
    import torch
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    from finbench.tasks.load import load_tasks

    [task] = load_tasks(study["settings"]["tasks"][:1]).values()
    task.build_all_requests(limit=min(TRIED_ROWS, study["settings"]["rows"]))
    asked: list[Instance] = task.instances
    device = "cuda" if torch.cuda.is_available() else "cpu"
    lm = HFLM(pretrained=study["base"], dtype="float32", device=device, batch_size=SCORE_BATCHES[0])
    lm.loglikelihood(asked[: 2 * SCORE_BATCHES[0]], disable_tqdm=True)  # warms up
    seconds = {}
    for size in SCORE_BATCHES:
        lm.batch_size_per_gpu = size
        began = time.perf_counter()
        lm.loglikelihood(asked, disable_tqdm=True)
        seconds[size] = time.perf_counter() - began
    return {"best": min(seconds, key=lambda size: seconds[size]), "seconds": seconds, "device": device}


def machine(_study: dict[str, Any], _where: Path) -> dict[str, Any]:
    """Return what all of it ran on."""
    from importlib.metadata import version

    import torch

    from benchmarks.machine import describe

    return describe("cuda" if torch.cuda.is_available() else "cpu") | {"trl": version("trl")}


def compare(study: dict[str, Any], where: Path) -> dict[str, Any]:
    """Return how far the results of both sides lie apart."""
    from benchmarks.study_results import compared

    return compared(study, where)


STEPS = {"prepare": prepare, "try-train": try_train, "try-score": try_score, "compare": compare, "machine": machine}


def main(name: str, path: Path) -> None:
    """Do one step."""
    found = STEPS[name](json.loads(path.read_text(encoding="utf-8")), path.parent)
    if found is not None:
        (path.parent / f"{name}.out.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
