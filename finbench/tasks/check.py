"""What is wrong with task YAMLs, by file and line: `finbench validate` prints what lm-eval passes over in silence."""

import importlib
import importlib.util
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any

from finbench.errors import FinbenchError
from finbench.paths import task_folders
from finbench.settings import suggestion
from finbench.tasks.file import Problem, TaskFile, includes, listed, merged, parse_all, read_with, yaml_files

# Keys that lm-eval takes off before it makes a `TaskConfig` or `GroupConfig` of the rest.
STRUCTURE = {"include", "class", "group", "tag", "task_list"}
IGNORED = {"fewshot_indices": "is ignored by lm-eval; `sampler: first_n` on a split of its own pins the shot"}


def check(paths: Sequence[Path] = ()) -> tuple[list[Problem], int]:
    """Return the problems of the YAMLs in these files and folders (the task folders by default) and how many were read.

    Tasks are built on the bundled sample rows, or on the user's own file where they name one.

    Raises:
        FinbenchError: a path is not there.

    """
    asked = list(dict.fromkeys(yaml_files(paths or task_folders())))
    files, problems = parse_all(asked)
    others = [file for path, file in parse_all(yaml_files(task_folders()))[0].items() if path not in files]
    names = _known_names([*others, *files.values()])
    for file in files.values():
        _check_keys(file)
        _check_includes(file)
        _check_functions(file)
        _check_members(file, names)
        _check_metrics(file, files)
    _check_duplicates([*others, *files.values()])
    included = {path for file in files.values() for path in includes(file)}
    for file in files.values():
        if not file.name and file.path not in included and not file.path.name.startswith("_"):
            file.blame("", "has neither `task` nor `group`, so lm-eval skips it")
    broken = {problem.file for problem in problems} | {file.path for file in files.values() if file.problems}
    _build(file for file in files.values() if file.name and not read_with(file, files) & broken)
    problems += [problem for file in files.values() for problem in file.problems]
    return sorted(problems), len(asked)


@cache
def _task_keys() -> tuple[set[str], set[str], set[str]]:
    """Return the keys of a task, a group and `fewshot_config` in the installed lm-eval."""
    from lm_eval.config.group import GroupConfig
    from lm_eval.config.task import FewshotConfig, TaskConfig

    task, group, shot = ({item.name for item in fields(kind)} for kind in (TaskConfig, GroupConfig, FewshotConfig))
    return task | STRUCTURE, group | task | STRUCTURE, shot


def _check_keys(file: TaskFile) -> None:
    task_keys, group_keys, shot_keys = _task_keys()
    known = group_keys if "group" in file.values else task_keys
    for key in file.values:
        if key in IGNORED:
            file.blame(key, f"`{key}` {IGNORED[key]}")
        elif key not in known:
            file.blame(key, f"unknown key {key!r}{_near(str(key), known)}; what is your own goes under `metadata`")
    shot = file.values.get("fewshot_config")
    for key in shot if isinstance(shot, dict) else ():
        if key in IGNORED:
            file.blame("fewshot_config", f"`{key}` {IGNORED[key]}")
        elif key not in shot_keys:
            file.blame("fewshot_config", f"unknown key {key!r} in fewshot_config{_near(str(key), shot_keys)}")


def _near(word: str, known: Iterable[str]) -> str:
    near = suggestion(word, known, otherwise=False)
    return f", {near}" if near else ""


def _check_includes(file: TaskFile) -> None:
    for path in includes(file):
        if not path.is_file():
            file.blame("include", f"included file {str(path)!r} is not there")


def _check_functions(file: TaskFile) -> None:
    for name, line in file.functions:
        module, _, function = name.rpartition(".")
        try:
            found = hasattr(_module(module, file.path.parent), function)
        except Exception as error:  # a user's module may fail in any way
            file.problems.append(Problem(file.path, line, f"!function {name}: cannot import {module!r} ({error})"))
            continue
        if not found:
            file.problems.append(Problem(file.path, line, f"!function {name}: {module!r} has no {function!r}"))


def _module(name: str, folder: Path) -> Any:
    """Import a module as lm-eval does: the file beside the YAML comes before an importable one."""
    beside = folder / f"{name.replace('.', '/')}.py"
    if not beside.is_file():
        return importlib.import_module(name)
    spec = importlib.util.spec_from_file_location(f"_checked_{beside.stem}", beside)
    if spec is None or spec.loader is None:
        raise ImportError(f"{beside} is no module")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _known_names(files: Iterable[TaskFile]) -> set[str]:
    """Return all tasks, groups and tags that a group may name."""
    return {name for file in files for name in (file.name, *map(str, listed(file.values.get("tag"))))}


def _check_members(file: TaskFile, names: set[str]) -> None:
    for member in listed(file.values.get("task")) if "group" in file.values else ():
        inline = isinstance(member, dict)
        name = member.get("task") or member.get("group") if inline else member
        if not inline and name not in names:
            file.blame("task", f"group names the unknown task {name!r}{_near(str(name), names)}")


def _check_duplicates(files: Iterable[TaskFile]) -> None:
    first: dict[str, TaskFile] = {}
    for file in files:
        other = first.setdefault(file.name, file)
        if file.name and other is not file:
            key = "group" if "group" in file.values else "task"
            place = f"{other.path}:{other.lines.get(key, 1)}"
            file.blame(key, f"the name {file.name!r} is taken by {place}; lm-eval keeps only one of them")


def _check_metrics(file: TaskFile, files: Mapping[Path, TaskFile]) -> None:
    from lm_eval.api.registry import METRIC_REGISTRY

    importlib.import_module("lm_eval.api.metrics")  # enters the metrics into the registry
    values = merged(file, files)
    if not file.name or "group" in values or values.get("process_results"):
        return
    for entry in listed(values.get("metric_list")):
        name = entry.get("metric") if isinstance(entry, dict) and not entry.get("hf_evaluate") else None
        if isinstance(name, str) and name not in METRIC_REGISTRY:
            file.blame("metric_list", f"unknown metric {name!r}{_near(name, METRIC_REGISTRY)}: lm-eval would drop it")


def _build(files: Iterable[TaskFile]) -> None:
    """Make each task from its YAML and render a prompt, noting at the task's name what fails."""
    with _sample_rows():
        for file in files:
            if "group" in file.values or "class" in file.values:
                continue
            try:
                _render(file)
            except FinbenchError as error:  # it is about the rows
                place = "dataset_kwargs" if "dataset_kwargs" in file.lines else "task"
                file.blame(place, f"task {file.name!r}: {error}")
            except Exception as error:  # lm-eval and Jinja raise many kinds
                first = next(iter(str(error).splitlines()), "")
                said = f"task {file.name!r} cannot be built: {type(error).__name__}: {first}"
                file.blame(_template_of(error, file) or "task", said)


def _template_of(error: Exception, file: TaskFile) -> str:
    """Return the key whose template Jinja cannot read, or that names what a row does not have; "" if none does."""
    from jinja2 import Environment, TemplateSyntaxError, UndefinedError, meta

    name = re.match(r"'(\w+)' is undefined", str(error)) if isinstance(error, UndefinedError) else None
    for key, value in file.values.items():
        if not isinstance(value, str) or "{" not in value:
            continue
        try:
            names = meta.find_undeclared_variables(Environment().parse(value))
        except TemplateSyntaxError:
            return key
        if name and name[1] in names:
            return key
    return ""


@contextmanager
def _sample_rows() -> Iterator[None]:
    before = os.environ.get("FINBENCH_DATA")
    os.environ["FINBENCH_DATA"] = "sample"  # a YAML is checked, not the rows: no network is needed
    try:
        yield
    finally:
        if before is None:
            del os.environ["FINBENCH_DATA"]
        else:
            os.environ["FINBENCH_DATA"] = before


def _render(file: TaskFile) -> None:
    from lm_eval.tasks import TaskManager

    (task,) = TaskManager(include_defaults=False).load([str(file.path)])["tasks"].values()
    _check_listed(file, task)
    prompt = task.fewshot_context(task.eval_docs[0], task.config.num_fewshot or 0)
    if isinstance(prompt, str) and prompt != prompt.rstrip(" \t") and task.config.target_delimiter[:1].isspace():
        file.blame("doc_to_text", "the prompt ends in a space and `target_delimiter` adds another, so answers differ")


def _check_listed(file: TaskFile, task: Any) -> None:
    """Note metrics that our reading of answers gives and `metric_list` leaves out: lm-eval fails after scoring."""
    from finbench.scoring.for_lm_eval import KIND_OF, OF_ALL_ROWS, name_in_lm_eval
    from finbench.tasks.load import kind_of

    kind = KIND_OF.get(task.config.process_results)
    if kind is None or task.config.process_results.__module__ == "finbench.scoring.answers":
        return
    kind_of(file.name, task)  # refuses rows of another kind
    ratios = (*OF_ALL_ROWS, *kind.ratios) if kind.classes else kind.ratios
    given = {name_in_lm_eval(name) for name in kind.metrics} | {f"{name}_stderr" for name in ratios} | {*ratios}
    given |= {"recall_weighted"} if kind.classes else set()
    named = {entry.get("metric") for entry in task.config.metric_list or () if isinstance(entry, dict)}
    if missing := sorted(given - named):
        place = "metric_list" if "metric_list" in file.lines else "task"
        file.blame(place, f"metric_list lacks {', '.join(missing)}, which the answers are scored by")
