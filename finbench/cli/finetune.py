"""`finbench finetune RECIPE.yaml [key=value ...]`: train an adapter, or a whole model, from one recipe or several."""

import argparse
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from finbench.cli.executing import add_executor, executor
from finbench.errors import FinbenchError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "recipe", type=Path, help="a recipe's YAML; finetune/recipes/ holds those that come with finbench"
    )
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="RECIPE|key=value",
        help="more recipes, and settings that replace those of the recipes",
    )
    parser.add_argument(
        "--output", type=Path, help="folder of the adapter (default: adapters/<name of the recipe>), or of several's"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="first remove the files that an earlier training wrote to that folder"
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="only say what would be trained: no model is loaded, nothing is written",
    )
    parser.add_argument(
        "--label-only", action="store_true", help="only collect the teachers' answers, for trainings that follow"
    )
    add_executor(parser, "a recipe")


def run(options: argparse.Namespace) -> int:
    """Train, and say where the results lie and what they cost."""
    from finbench.paths import adapters

    recipes = [options.recipe, *(Path(word) for word in options.settings if "=" not in word)]
    settings = [word for word in options.settings if "=" in word]
    if len(recipes) == 1:
        folders = {recipes[0]: options.output or adapters() / recipes[0].stem}
    else:
        folders = {recipe: (options.output or adapters()) / recipe.stem for recipe in recipes}
    if len(set(folders.values())) < len(recipes):
        raise FinbenchError("two of the recipes have the same name, so their adapters would lie in one folder.")
    if options.dry_run:
        for recipe, folder in folders.items():
            _foretell(recipe, settings, folder, options.overwrite)
        return 0
    if options.label_only:
        for recipe in folders:
            _label(recipe, settings)
        return 0
    if len(recipes) == 1 and options.executor == "local":
        return _train(recipes[0], settings, folders[recipes[0]], options.overwrite)
    return _train_as_jobs(options, folders, settings)


def _foretell(path: Path, settings: Sequence[str], folder: Path, overwrite: bool) -> None:
    """Say what a recipe will train on, for how many steps, and where."""
    from finbench.paths import shown
    from finbench.tasks.load import load_tasks
    from finetune.examples import split_rows
    from finetune.output import refuse_taken
    from finetune.recipe import read_recipe

    recipe = read_recipe(path, settings)
    train, validation = split_rows(load_tasks(recipe.tasks), recipe)
    counts = [sum(map(len, rows.values())) for rows in (train, validation)]
    if not overwrite:
        refuse_taken(folder, recipe.sha256())
    batch = recipe.batch_size * recipe.gradient_accumulation
    print(f"{path}: {recipe.method} on {recipe.base} ({recipe.task_type}) for {', '.join(train)}")
    print(
        f"  {counts[0]} train rows, {counts[1]} validation rows, {recipe.steps(counts[0])} steps of {batch} rows, "
        f"into {shown(folder)}"
    )
    more = [f"copies: {', '.join(way.kind for way in recipe.augment)}"] if recipe.augment else []
    more += [f"texts of {recipe.unlabelled}"] if recipe.unlabelled else []
    if recipe.teacher is not None:
        print(f"  taught by {recipe.teacher.name}, who is asked first")
    if more:
        print(f"  rows that come to these, and steps with them: {', '.join(more)}")
    print(f"  finbench plan {path} says what memory and time it takes")


def _label(path: Path, settings: Sequence[str]) -> None:
    """Have the teacher answer all rows of a recipe, and say what they are."""
    from finbench.tasks.load import load_tasks
    from finetune.recipe import read_recipe
    from finetune.rows import gather

    recipe = read_recipe(path, settings)
    if recipe.teacher is None:
        raise FinbenchError(f"{path}: the recipe names no teacher, so there is nobody to ask.")
    tasks = load_tasks(recipe.tasks, metadata={"clean": True} if recipe.clean else None)
    _say_rows(str(path), gather(tasks, recipe).notes)


def _train(path: Path, settings: Sequence[str], folder: Path, overwrite: bool) -> int:
    from finbench import api
    from finbench.adapters.folder import RECORD
    from finbench.documents import read_json

    if overwrite and int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise FinbenchError(
            f"--overwrite: several processes would remove what one of them has begun. Remove {folder} first."
        )
    api.finetune(path, folder, overwrite, settings)
    if int(os.environ.get("RANK", "0")) == 0:  # of several processes one speaks
        _say(folder, read_json(folder / RECORD))
    return 0


def _train_as_jobs(options: argparse.Namespace, folders: Mapping[Path, Path], settings: Sequence[str]) -> int:
    """Train each recipe in a process of its own; an adapter that is finished is left alone."""
    from tqdm import tqdm

    from finbench.jobs.executor import Job, LocalExecutor, Needs
    from finetune.output import alone, claim, refuse_taken
    from finetune.recipe import read_recipe
    from finetune.subprocess import needs_of, train_as_job

    left: dict[Path, Path] = {}
    for path, folder in folders.items():
        recipe = read_recipe(path, settings)
        if options.overwrite:
            with alone(folder):
                claim(folder, recipe.sha256(), overwrite=True)
        if not _finished(folder, recipe.sha256()):
            refuse_taken(folder, recipe.sha256())
            left[path] = folder
    failed = 0
    with executor(options) as cluster, tqdm(total=len(left), unit="recipe", disable=not left) as bar:
        jobs = (
            Job(
                str(path),
                partial(train_as_job, path, settings, folder),
                needs_of(path, settings, options.cpus, options.gpus or 0) if cluster else Needs(),
            )
            for path, folder in left.items()
        )
        for job, result in (cluster or LocalExecutor()).run(jobs):
            bar.update()
            if isinstance(result, Exception):
                failed += 1
                bar.write(f"failed: {job.name}: {result}")
            else:
                _say(folders[Path(job.name)], result)
    return 1 if failed else 0


def _finished(folder: Path, recipe_sha256: str) -> bool:
    """Say whether the folder holds this recipe's finished adapter; refuse another's."""
    from finetune.output import recorded_by

    if not (folder / "finbench.json").is_file():
        return False
    if recorded_by(folder) != recipe_sha256:
        raise FinbenchError(f"{folder} holds the adapter of another recipe. Give another --output, or --overwrite it.")
    print(f"{folder}: finished before, left alone")
    return True


def _say(folder: Path, record: Mapping[str, Any]) -> None:
    from finbench.paths import shown

    print(
        f"{shown(folder)}: {record['parameters']['trainable']:,} trained parameters, "
        f"{record['adapter_bytes']:,} bytes, ",
        end="",
    )
    print(f"{record['resources']['elapsed_seconds']:.0f} s, {record['examples']['too_long']} rows too long")
    _say_rows("", record)
    for name in ("accuracy", "f1_weighted", "loss"):
        if name in record["metrics"]:
            print(f"  validation {name}: {record['metrics'][name]:.4f}")


def _say_rows(title: str, record: Mapping[str, Any]) -> None:
    """Say how many rows were made of others, what a teacher answered, and what became of unlabelled rows."""
    from finetune.card import left_out

    for task, ways in (record.get("augmented") or {}).items():
        for one in ways:
            print(f"  {one['kind']}: {one['made']} more rows of {task}, {sum(one['left_out'].values())} left out")
    teacher, unlabelled = record.get("teacher"), record.get("unlabelled")
    if not teacher:
        return
    print(
        f"{title}  taught by {teacher['name']}: {teacher['rows']} rows answered, {teacher['asked_now']} of them now, "
        f"in {teacher['seconds']:.0f} s of all times; "
        + ", ".join(f"agrees with {share:.1%} of the labels of {task}" for task, share in teacher["agreement"].items())
    )
    if not unlabelled:
        return
    for task, rows in unlabelled["rows"].items():
        print(f"  {unlabelled['file']}, {task}: {rows['trained_on']} of {rows['read']} rows, {left_out(rows)}")
    looked = unlabelled["checked_against"]
    print(f"  looked for in {sum(looked.values())} test rows of {len(looked)} tasks")
    if others := unlabelled["not_checked"]:
        print(f"  not in those of {', '.join(others)}, which are not here; `finbench data audit` says what to get")
