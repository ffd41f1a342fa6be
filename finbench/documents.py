"""The one door for YAML and JSON that a user or another program wrote: read strictly, with errors of one line.

Whatever comes through holds texts, numbers, true, false, null, lists and keys with values, nested no deeper than
`DEEPEST`, and can be written down again: no half of a surrogate pair, no number that is none, no key twice.
`read_yaml` and `read_json` take a file, `parse_yaml` and `parse_json` a text and where it came from.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import yaml

from finbench.errors import FinbenchError

DEEPEST = 64  # levels; a fifteenth of what Python's recursion takes, and ten times what any file of ours has
MOST_REPEATED = 100_000  # nodes that aliases may stand for: a few lines of them can stand for billions
LONGEST_NUMBER = 300  # digits: what a float can still hold
LARGEST_YAML = 2_000_000  # bytes; PyYAML takes seconds for each million
SHOWN = 200  # characters of a library's own words in an error
HALVES = re.compile("[\ud800-\udfff]")
NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge")
ESCAPED_HALVES = re.compile(r"\\u[dD][89a-fA-F]")


class Written(str):
    """A number with a point or an exponent, as it is written."""


class DocumentError(FinbenchError):
    """What is wrong with a document, and in which line (from 1; 0 where the line is not known)."""

    def __init__(self, where: str, line: int, column: int, problem: str) -> None:
        self.line, self.column, self.problem = line, column, _short(problem)
        place = f"{where}, line {line}" + (f", column {column}" if column else "") if line else where
        super().__init__(f"{place}: {self.problem}.")


def read_yaml(path: Path) -> Any:
    """Return what a YAML file of settings holds, None for an empty one; dates are the texts that stand there.

    Raises:
        FinbenchError: it cannot be read, or is no YAML of texts, numbers, lists and keys; with file, line and column.

    """
    return parse_yaml(read_text(path, LARGEST_YAML), str(path))


def parse_yaml(text: str, where: str) -> Any:
    """Return what a YAML text holds; errors as `read_yaml`, `where` says in them what the text is."""
    return load_yaml(text, where, SettingsLoader)[1]


def read_json(path: Path, *, constants: bool = False) -> Any:
    """Return what a JSON file holds; `constants` as in `parse_json`.

    Raises:
        FinbenchError: it cannot be read or is no strict JSON; with file, line and column.

    """
    return parse_json(read_text(path), str(path), constants=constants)


def parse_json(text: str, where: str, *, line: int = 0, constants: bool = False, exact: bool = False) -> Any:
    """Return what a JSON text holds.

    `line` is the line of a file that the text is. `constants` lets NaN and Infinity through, which Python writes for
    pandas' missing values and in models' configurations. `exact` gives numbers with a point as `Written`, the texts
    that stand there, since a float would round them.

    Raises:
        FinbenchError: it is no strict JSON; `where` says in the message what the text is.

    """

    def fail(problem: str) -> NoReturn:
        raise DocumentError(where, line, 0, problem)

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        whole = dict(found)
        if len(whole) < len(found):
            names = [name for name, _ in found]
            fail(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
        return whole

    def integer(digits: str) -> int:
        return int(digits) if len(digits) <= LONGEST_NUMBER else fail(f"a number has {len(digits)} digits")

    def decimal(digits: str) -> Any:
        number = float(digits)
        if abs(number) == float("inf"):
            fail(f"the number {_short(digits, 30)} is larger than any that can be computed with")
        return Written(digits) if exact else number

    def constant(word: str) -> float:
        return float(word) if constants else fail(f"{word} is no number of JSON")

    try:
        found = json.loads(
            text, object_pairs_hook=pairs, parse_int=integer, parse_float=decimal, parse_constant=constant
        )
    except json.JSONDecodeError as error:
        raise DocumentError(where, line or error.lineno, error.colno, f"this is no JSON: {error.msg}") from None
    except RecursionError:
        fail(f"nested deeper than {DEEPEST} levels")
    _check_depth(found, fail)
    if ESCAPED_HALVES.search(text) or HALVES.search(text):
        _check_halves(found, fail)
    return found


def read_text(path: Path, largest: int | None = None) -> str:
    """Return a file's text, which must be UTF-8 (with or without a byte-order mark).

    Raises:
        FinbenchError: it cannot be read, is longer than `largest` bytes, or is no text in UTF-8; with the line.

    """
    try:
        if largest and path.is_file() and path.stat().st_size > largest:
            raise FinbenchError(f"{path} has {path.stat().st_size} bytes; at most {largest} are taken for settings.")
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a null in it
        reason = getattr(error, "strerror", None) or str(error)
        raise FinbenchError(f"{str(path)!r} cannot be read: {reason}.") from None
    return decoded(data, str(path))


def decoded(data: bytes, where: str) -> str:
    """Return UTF-8 bytes as text, without a byte-order mark; raises FinbenchError with the line that is none."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        problem = f"the byte 0x{data[error.start]:02x} is no UTF-8: save the file as UTF-8"
        raise DocumentError(where, line, 0, problem) from None


def load_yaml(text: str, where: str, loader: "type[StrictLoader]") -> tuple[yaml.Node | None, Any]:
    """Return a YAML text's tree, which knows lines, and what it holds; raises DocumentError where it is wrong."""
    try:
        reader = loader(text)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise DocumentError(where, line, 0, f"the character {chr(error.character)!r} cannot stand in a YAML") from None
    try:
        root = reader.get_single_node()
        return root, reader.construct_document(root) if root is not None else None
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise DocumentError(where, 0, 0, f"this is no YAML ({type(error).__name__}: {error})") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "this is no YAML"
        if problem.startswith("but "):
            problem = f"{error.context} {problem}"
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise DocumentError(where, line, column, problem) from None
    finally:
        reader.dispose()


class StrictLoader(yaml.SafeLoader):
    """PyYAML's safe loader, without what a few lines can do to it: depth, aliases that multiply, values of no sense."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.level = 0
        self.sizes: dict[int, tuple[int, int]] = {}  # nodes and levels that a finished node stands for
        self.repeated = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Return the next node, refusing what is nested too deep, stands in itself, or stands for too much."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        alias = self.check_event(yaml.AliasEvent)
        self.level += 1
        if self.level > DEEPEST:
            _refuse(f"nested deeper than {DEEPEST} levels", mark)
        node = super().compose_node(parent, index)
        self.level -= 1
        if node is None:
            return None
        if alias:
            if id(node) not in self.sizes:
                _refuse("an alias stands inside of what it stands for", mark)
            self.repeated += self.sizes[id(node)][0]
        else:
            self.check_keys(node)
            sizes = [self.sizes[id(part)] for part in _parts(node)]
            self.sizes[id(node)] = (1 + sum(n for n, _ in sizes), 1 + max((deep for _, deep in sizes), default=0))
        nodes, levels = self.sizes[id(node)]
        if max(nodes, self.repeated) > MOST_REPEATED and self.repeated:
            _refuse(f"its aliases stand for more than {MOST_REPEATED} values", mark)
        if self.level + levels > DEEPEST:
            _refuse(f"nested deeper than {DEEPEST} levels", mark)
        return node

    def check_keys(self, node: yaml.Node) -> None:
        """Refuse keys of a mapping that a kind of document does not take."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Return a node's value; whatever its constructor raises becomes an error with the line."""
        if node.tag in NUMBERS and len(node.value) > LONGEST_NUMBER:
            _refuse(f"a number has {len(node.value)} characters", node.start_mark)
        try:
            value = super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:  # of `!!int abc`, `!!bool zz` or `2023-13-45`: constructors raise what they like
            shown = _short(str(node.value), 30) if isinstance(node, yaml.ScalarNode) else "this"
            kind = node.tag.removeprefix("tag:yaml.org,2002:")
            _refuse(f"{shown!r} is no {kind}: put it in quotes if it is a text", node.start_mark, error)
        if isinstance(value, str):
            return _whole(value, node)
        if isinstance(value, int) and abs(value) >= 10**LONGEST_NUMBER:
            _refuse(f"a number has more than {LONGEST_NUMBER} digits", node.start_mark)
        return value


class SettingsLoader(StrictLoader):
    """Reads settings: keys are texts that stand once, numbers are finite, a date is the text that it is written as."""

    def check_keys(self, node: yaml.Node) -> None:
        """Refuse keys that are no texts, or stand twice in one mapping."""
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode) or key.tag not in KEYS:
                shown = _short(key.value, 30) if isinstance(key, yaml.ScalarNode) else "of several parts"
                _refuse(f"the key {shown} is no text: put it in quotes", key.start_mark)
            if key.value in seen:
                _refuse(f"the key {_short(key.value, 30)!r} stands twice", key.start_mark)
            seen.add(key.value)

    def construct_yaml_float(self, node: yaml.ScalarNode) -> float:
        """Return a number with a point, refusing `.nan`, `.inf` and what overflows to it."""
        value: float = super().construct_yaml_float(node)
        if value != value or abs(value) == float("inf"):
            _refuse(f"{node.value!r} is no number that can be computed with", node.start_mark)
        return value

    def construct_nothing(self, node: yaml.Node) -> NoReturn:
        """Refuse what YAML can hold and settings cannot, such as a set."""
        _refuse(f"settings hold no {node.tag.removeprefix('tag:yaml.org,2002:')}", node.start_mark)

    def construct_dated_text(self, node: yaml.ScalarNode) -> str:
        """Return the text of a date that exists."""
        super().construct_yaml_timestamp(node)
        return str(node.value)


SettingsLoader.add_constructor("tag:yaml.org,2002:float", SettingsLoader.construct_yaml_float)
SettingsLoader.add_constructor("tag:yaml.org,2002:timestamp", SettingsLoader.construct_dated_text)
for _kind in ("binary", "omap", "pairs", "set"):
    SettingsLoader.add_constructor(f"tag:yaml.org,2002:{_kind}", SettingsLoader.construct_nothing)


def _parts(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def _whole(text: str, node: yaml.Node) -> str:
    """Return a text with surrogate pairs joined, as JSON writes an emoji; half a pair and a null are refused."""
    if "\0" in text:
        _refuse("a null character stands in a text", node.start_mark)
    if not HALVES.search(text):
        return text
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        return _refuse("half of a surrogate pair stands in a text", node.start_mark)


def _refuse(problem: str, mark: Any, cause: Exception | None = None) -> NoReturn:
    raise yaml.constructor.ConstructorError(None, None, problem, mark) from cause


def _check_depth(found: Any, fail: Any) -> None:
    level = [found] if isinstance(found, dict | list) else []
    for _ in range(DEEPEST):
        if not level:
            return
        level = [
            part
            for one in level
            for part in (one.values() if isinstance(one, dict) else one)
            if isinstance(part, dict | list)
        ]
    fail(f"nested deeper than {DEEPEST} levels")


def _check_halves(found: Any, fail: Any) -> None:
    waiting = [found]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str) and HALVES.search(one):
            fail("half of a surrogate pair stands in a text")
        elif isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list):
            waiting += one


def _short(text: str, most: int = SHOWN) -> str:
    """Return a text on one line and no longer than is read."""
    line = " ".join(text.split())
    line = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in line)
    return line if len(line) <= most else line[: most - 1] + "…"
