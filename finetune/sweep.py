"""Searches recipe values on validation rows cut from train: `finbench sweep RECIPE.yaml SWEEP.yaml`.

Each trial trains the recipe once a seed and counts with the mean of one validation metric; Optuna proposes the values.
The test rows are never looked at.
"""

import io
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

import yaml

from finbench.documents import read_yaml
from finbench.errors import FinbenchError
from finbench.jobs.executor import Executor, Job, LocalExecutor, LostWorker, Needs
from finbench.settings import filled
from finbench.tasks.load import load_tasks
from finetune.before import check_metric
from finetune.recipe import DEFAULTS, Recipe, read_recipe
from finetune.subprocess import TrainingFailed, needs_of, train_apart

logger = logging.getLogger(__name__)

FIRST_OF_LOG = b'{"op_code"'
LOG = "trials.log"  # Optuna's journal: a stopped sweep goes on from it


@dataclass(frozen=True)
class Sweep:
    """What is varied: `values` by recipe key, either a list of choices or {low, high, log, step}."""

    values: Mapping[str, Any]
    seeds: tuple[int, ...] = (0,)
    trials: int = 20
    metric: str = "accuracy"
    direction: Literal["maximize", "minimize"] = "maximize"

    def __post_init__(self) -> None:
        if not self.values:
            raise FinbenchError("values is empty: name recipe keys below it, such as `r: [4, 8, 16]`.")
        if not self.seeds or min(self.seeds) < 0:
            raise FinbenchError(f"seeds is {list(self.seeds)}: whole numbers from 0 are wanted, one or more.")
        if self.trials < 1:
            raise FinbenchError(f"trials is {self.trials}: at least 1 is wanted.")


def read_sweep(path: Path, recipe: Path) -> Sweep:
    """Return the sweep of a YAML file.

    Raises:
        FinbenchError: it cannot be read, varies a key that recipes do not have, or a value that a recipe refuses.

    """
    if not path.is_file():
        raise FinbenchError(f"there is no sweep at {str(path)!r}.")
    sweep = filled(Sweep, read_yaml(path), str(path))
    if "seed" in sweep.values:
        raise FinbenchError(f"{path}: every trial runs all `seeds`; seed is nothing to pick a winner by.")
    for key, space in sweep.values.items():
        for value in space if isinstance(space, list) else _ends(path, key, space):
            chosen = read_recipe(recipe, [_setting(key, value)])
            if chosen.validation_share == 0:
                raise FinbenchError(f"{recipe}: a sweep picks by validation rows; give a validation_share above 0.")
    check_metric(sweep.metric, "sweep: metric", load_tasks(read_recipe(recipe).tasks))
    return sweep


def check_folder(folder: Path) -> None:
    """Refuse a folder that is not empty and holds no sweep: what is written there has a sweep's log beside it.

    Raises:
        FinbenchError: it is one, or no folder.

    """
    if folder.exists() and not folder.is_dir():
        raise FinbenchError(f"{str(folder)!r} is a file: give a folder as --output.")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    log = folder / LOG
    with log.open("rb") if log.is_file() else nullcontext(io.BytesIO()) as file:
        ours = file.read(len(FIRST_OF_LOG)) == FIRST_OF_LOG
    if not ours:
        names = ", ".join(sorted(path.name for path in folder.iterdir())[:5])
        raise FinbenchError(f"{str(folder)!r} is not empty and holds no sweep ({names}): give another --output.")


def _ends(path: Path, key: str, space: Any) -> tuple[Any, Any]:
    if not isinstance(space, dict) or not {"low", "high"} <= set(space) <= {"low", "high", "log", "step"}:
        raise FinbenchError(f"{path}: {key} takes a list of choices, or low and high with log or step; not {space!r}.")
    try:
        ends = [float(space[end]) if isinstance(space[end], str) else space[end] for end in ("low", "high")]
        if any(isinstance(end, bool) or not isinstance(end, int | float) for end in ends) or not ends[0] <= ends[1]:
            raise ValueError
        step = float(space["step"]) if "step" in space else 1.0
        if not step > 0 or not all(map(math.isfinite, (*ends, step))):
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise FinbenchError(
            f"{path}: {key} needs finite numbers, low no higher than high, and a step above 0; not {space!r}."
        ) from None
    return ends[0], ends[1]


def _setting(key: str, value: Any) -> str:
    """Return key=value as the command line takes it."""
    return f"{key}={value if isinstance(value, str) else json.dumps(value)}"


def search(
    recipe: Path,
    sweep: Sweep,
    overrides: Sequence[str],
    folder: Path,
    executor: Executor | None = None,
    cpus: float = 1,
    gpus: float = 0,
) -> Any:
    """Run the trials that are missing and return Optuna's study; one that failed is recorded and does not stop it.

    Values are proposed here, one trial at a time as there is room for it; a trial is a job of the executor.
    """
    import optuna
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        study_name="sweep",
        direction=sweep.direction,
        sampler=optuna.samplers.TPESampler(seed=0, constant_liar=executor is not None),
        storage=optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder / LOG))),
        load_if_exists=True,
    )
    _take_up_stopped(study)
    done = sum(trial.state.name in ("COMPLETE", "FAIL") for trial in study.trials)
    asked: dict[str, Any] = {}

    def jobs() -> Iterator[Job]:
        for _ in range(done, sweep.trials):
            trial = study.ask()
            values = {key: _suggest(trial, key, space) for key, space in sweep.values.items()}
            settings = [*overrides, *(_setting(*pair) for pair in values.items())]
            name = _folder_name(trial)
            asked[name] = trial
            needs = needs_of(recipe, settings, cpus, gpus) if executor else Needs()
            yield Job(name, partial(_trial, recipe, sweep, settings, folder / name), needs)

    with tqdm(total=sweep.trials, initial=done, desc="sweep", unit="trial") as progress:
        for job, result in (executor or LocalExecutor()).run(jobs()):
            _tell(study, asked[job.name], result)
            progress.update()
    return study


def _tell(study: Any, trial: Any, result: Any) -> None:
    """Record a trial's scores and seconds, or that it failed."""
    if isinstance(result, TrainingFailed | LostWorker):
        logger.warning("trial %d failed: %s", trial.number, result)
        study.tell(trial, state=_states().FAIL)
        return
    if isinstance(result, Exception):
        raise result
    scores, seconds = result
    trial.set_user_attr("scores", scores)
    trial.set_user_attr("seconds", seconds)
    study.tell(trial, mean(scores))


def _states() -> Any:
    import optuna

    return optuna.trial.TrialState


def _take_up_stopped(study: Any) -> None:
    """Queue again what was being tried when the sweep was stopped: its finished seeds are not trained anew."""
    for trial in study.get_trials(deepcopy=False, states=[_states().RUNNING]):
        study.enqueue_trial(trial.params, user_attrs={"folder": _folder_name(trial)})
        study.tell(trial.number, state=_states().PRUNED)


def _folder_name(trial: Any) -> str:
    return str(trial.user_attrs.get("folder", f"trial-{trial.number:04d}"))


def _trial(
    recipe: Path, sweep: Sweep, settings: Sequence[str], output: Path, earlier: Sequence[Any]
) -> Iterator[tuple[list[float], float]]:
    """Train once a seed, and yield the scores and all seconds; seeds that are finished are not trained anew."""
    if earlier:
        return
    scores, seconds = [], 0.0
    for seed in sweep.seeds:
        record = train_apart(recipe, [*settings, f"seed={seed}"], output / f"seed-{seed}")
        if sweep.metric not in record["metrics"]:
            known = ", ".join(record["metrics"])
            raise FinbenchError(f"sweep: there is no validation metric {sweep.metric!r}; there are {known}.")
        scores.append(record["metrics"][sweep.metric])
        seconds += record["resources"]["elapsed_seconds"]
    yield scores, seconds


def _suggest(trial: Any, key: str, space: Any) -> Any:
    if isinstance(space, list):
        plain = [
            json.dumps(choice) if isinstance(choice, list) else choice for choice in space
        ]  # Optuna keeps no lists
        return trial.suggest_categorical(key, plain)
    low, high, log = space["low"], space["high"], bool(space.get("log"))
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=log, step=space.get("step", 1))
    return trial.suggest_float(key, float(low), float(high), log=log, step=space.get("step"))


def report(study: Any, sweep: Sweep) -> str:
    """Return the trials as a markdown table, best first: values, mean and spread of the metric, seconds."""
    from tabulate import tabulate

    done = [trial for trial in study.trials if trial.value is not None]
    failed = sum(trial.state.name == "FAIL" for trial in study.trials)
    done.sort(key=lambda trial: trial.value, reverse=sweep.direction == "maximize")
    rows = []
    for trial in done:
        scores = trial.user_attrs["scores"]
        spread = f" ± {stdev(scores):.4f}" if len(scores) > 1 else ""
        shown = [f"{v:.3g}" if isinstance(v, float) else v for v in (trial.params[key] for key in sweep.values)]
        rows.append([trial.number, *shown, f"{trial.value:.4f}{spread}", f"{trial.user_attrs['seconds']:.0f}"])
    headers = ["trial", *sweep.values, f"validation {sweep.metric}", "seconds"]
    table = tabulate(rows, headers=headers, tablefmt="pipe", disable_numparse=True)
    seeds = f"{len(sweep.seeds)} seed{'s' if len(sweep.seeds) > 1 else ''} a trial"
    return f"{table}\n\n{seeds}; {failed} trials failed. Scores are of rows held out of train, never of the test set.\n"


def winner(recipe: Path, study: Any, overrides: Sequence[str]) -> str:
    """Return the best trial's recipe as YAML that states only what differs from the defaults.

    Raises:
        FinbenchError: no trial ended well.

    """
    if not any(trial.value is not None for trial in study.trials):
        raise FinbenchError("no trial of the sweep ended well; their logs lie in its folder.")
    best = read_recipe(recipe, [*overrides, *(_setting(*pair) for pair in study.best_params.items())])
    defaults = read_yaml(DEFAULTS)
    return yaml.safe_dump(_differing(best, defaults), sort_keys=False)


def _differing(recipe: Recipe, defaults: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in recipe.settings().items() if value != defaults[key]}
