"""Task YAMLs as they stand on disk, with the lines of their keys and what they include, for `finbench validate`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from finbench.documents import LARGEST_YAML, DocumentError, StrictLoader, load_yaml, read_text
from finbench.errors import FinbenchError


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a YAML; `line` counts from 1."""

    file: Path
    line: int
    message: str


@dataclass(frozen=True)
class TaskFile:
    """A parsed YAML: its top-level values with the lines of their keys, and every `!function` with its line."""

    path: Path
    values: Mapping[str, Any]
    lines: Mapping[str, int]
    functions: Sequence[tuple[str, int]]
    problems: list[Problem] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Return the group's or task's name, "" for a file that is only included."""
        task = self.values.get("task")
        return str(self.values.get("group") or (task if isinstance(task, str) else "") or "")

    def blame(self, key: str, message: str) -> None:
        """Note a problem at a top-level key."""
        self.problems.append(Problem(self.path, self.lines.get(key, 1), message))


def yaml_files(paths: Iterable[Path]) -> Iterator[Path]:
    """Return the files given and the YAMLs in the folders given.

    Raises:
        FinbenchError: a path is not there.

    """
    for path in paths:
        if path.is_dir():
            yield from (found.resolve() for found in sorted(path.glob("**/*.yaml")))
        elif path.is_file():
            yield path.resolve()
        else:
            raise FinbenchError(f"there is no file or folder {str(path)!r}; give a task YAML or a folder of them.")


def parse_all(paths: Iterable[Path]) -> tuple[dict[Path, TaskFile], list[Problem]]:
    """Return the YAMLs and all that they include by path, and the problems of those that cannot be parsed."""
    files: dict[Path, TaskFile] = {}
    problems: dict[Path, Problem] = {}
    waiting = list(paths)
    while waiting:
        path = waiting.pop(0)
        if path in files or path in problems or not path.is_file():
            continue
        try:
            files[path] = _parse(path)
            waiting += includes(files[path])
        except DocumentError as error:
            problems[path] = Problem(path, error.line or 1, f"no valid YAML: {error.problem}")
        except (FinbenchError, ValueError) as error:
            problems[path] = Problem(path, 1, f"no valid task YAML: {error}")
    return files, list(problems.values())


def _parse(path: Path) -> TaskFile:
    """Read a YAML's tree for its lines and its values with functions as their names."""
    root, values = load_yaml(read_text(path, LARGEST_YAML), str(path), _Loader)
    if not isinstance(root, yaml.MappingNode):
        raise ValueError("the file holds no keys and values")
    functions = [(node.value, node.start_mark.line + 1) for node in _nodes(root) if node.tag == "!function"]
    lines: dict[str, int] = {}
    problems = []
    for key, _ in root.value:
        name, line = str(key.value), key.start_mark.line + 1
        if name in lines:
            message = f"key {name!r} stands twice (first in line {lines[name]}); only the last one counts"
            problems.append(Problem(path, line, message))
        lines[name] = line
    return TaskFile(path, values, lines, functions, problems)


class _Loader(StrictLoader):
    """Reads `!function NAME` as the name."""


_Loader.add_constructor("!function", lambda loader, node: str(node.value))


def _nodes(node: yaml.Node) -> Iterator[yaml.Node]:
    yield node
    for child in node.value if isinstance(node, (yaml.MappingNode, yaml.SequenceNode)) else ():
        for part in child if isinstance(child, tuple) else (child,):
            yield from _nodes(part)


def listed(value: Any) -> list[Any]:
    """Return a value that may be one, several or none as a list."""
    return value if isinstance(value, list) else [value] if value is not None else []


def includes(file: TaskFile) -> list[Path]:
    """Return the paths that a YAML includes, whether or not they are there."""
    return [(file.path.parent / str(name)).resolve() for name in listed(file.values.get("include"))]


def read_with(file: TaskFile, files: Mapping[Path, TaskFile]) -> set[Path]:
    """Return the paths of a YAML and of all that it includes."""
    seen: set[Path] = set()
    waiting = [file.path]
    while waiting:
        path = waiting.pop()
        if path not in seen and path in files:
            waiting += includes(files[path])
        seen.add(path)
    return seen


def merged(file: TaskFile, files: Mapping[Path, TaskFile], depth: int = 0) -> dict[str, Any]:
    """Return a YAML's values over those that it includes; lm-eval merges top-level keys only."""
    values: dict[str, Any] = {}
    for path in includes(file) if depth < 10 else ():  # a cycle is found when the task is built
        if path in files:
            values |= merged(files[path], files, depth + 1)
    return values | dict(file.values)
