"""lm-eval's own task files are read when something is asked that finbench's and the user's folders cannot answer.

lm-eval's `TaskManager` reads all of its 16,000 YAMLs before it looks at what is asked for, which is most of a short
run's start. Later folders win over them, a whole entry by its name, so what finbench's and the user's folders hold is
answered from these alone. Any other question (another name, a pattern, a list of all) first lets lm-eval read
everything with its own code, and from then on the manager is as if that had been done at the start.

Not promised by lm-eval, seen in 0.4.10 to 0.4.13: a manager keeps a dictionary by name (`_index`, to 0.4.11
`_task_index`) and four sorted lists of names, and matches names with `match_tasks`. Where one of them is not found,
everything is read at the start, as without this file.
"""

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

INDEXES = ("_index", "_task_index")
LISTS = ("_all_tasks", "_all_groups", "_all_subtasks", "_all_tags")
PATTERN = frozenset("*?[")
PLAIN = ("__new__", "__init__", "__getattribute__", "__class_getitem__", "__hash__", "__sizeof__", "__doc__")


class LateIndex(dict[str, Any]):
    """Entries by name: those of `few`, and all once another name, or anything but one name, is asked for."""

    def __init__(self, few: Any, entries: Mapping[str, Any], read_all: Callable[[], None]) -> None:
        super().__init__(entries)
        self.few = few
        self.read_all: Callable[[], None] | None = read_all

    def take(self, entries: Mapping[str, Any]) -> None:
        """Hold these from now on, as a plain dictionary."""
        self.few = self.read_all = None
        dict.clear(self)
        dict.update(self, entries)

    def __contains__(self, name: object) -> bool:
        if not dict.__contains__(self, name):
            _fill(self)
        return dict.__contains__(self, name)

    def __getitem__(self, name: str) -> Any:
        return dict.__getitem__(self, name) if name in self else _missing(name)

    def get(self, name: str, default: Any = None) -> Any:
        """Return a name's entry, or the default where nothing has that name."""
        return dict.__getitem__(self, name) if name in self else default

    def __setitem__(self, name: str, entry: Any) -> None:
        if dict.get(self, name) is not entry:
            _fill(self)
        dict.__setitem__(self, name, entry)

    def __reduce_ex__(self, protocol: Any) -> Any:
        _fill(self)
        return dict, (dict(self),)


class LateList(list[str]):
    """Names: those of the few, and all once another one, or anything but one name, is asked for."""

    def __init__(self, names: list[str], read_all: Callable[[], None]) -> None:
        super().__init__(names)
        self.read_all: Callable[[], None] | None = read_all

    def take(self, names: list[str]) -> None:
        """Hold these from now on, as a plain list."""
        self.read_all = None
        list.__init__(self, names)

    def __contains__(self, name: object) -> bool:
        if not list.__contains__(self, name):
            _fill(self)
        return list.__contains__(self, name)

    def __radd__(self, other: list[str]) -> list[str]:
        return other + list(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        _fill(self)
        return list, (list(self),)


def _fill(late: LateIndex | LateList) -> None:
    if late.read_all is not None:
        late.read_all()


def _missing(name: str) -> Any:
    raise KeyError(name)


def _after_fill(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def filled(self: LateIndex | LateList, *args: Any, **kwargs: Any) -> Any:
        _fill(self)
        return method(self, *args, **kwargs)

    return filled


for _late, _base in ((LateIndex, dict), (LateList, list)):  # whatever else is asked of them needs all
    for _name in sorted(set(vars(_base)) - set(vars(_late)) - set(PLAIN)):
        setattr(_late, _name, _after_fill(getattr(_base, _name)))


def start(manager: Any, original: Callable[..., None], arguments: Mapping[str, Any]) -> bool:
    """Initialise a manager from the folders of `include_path`; say whether its inside is one that can wait for more.

    `original` is lm-eval's `__init__`, `arguments` what it is to be called with, by name.
    """
    kind = type(manager)
    if os.name != "posix" or not _matches_late(kind):  # elsewhere a name matches others that differ by case
        return False
    few = object.__new__(kind)
    original(few, **{**arguments, "include_defaults": False})
    place = next((name for name in INDEXES if type(few.__dict__.get(name)) is dict), None)
    if place is None or any(type(few.__dict__.get(name)) is not list for name in LISTS):
        return False

    def read_all() -> None:
        everything = object.__new__(kind)
        original(everything, **arguments)
        for name, late in lates.items():
            late.take(everything.__dict__[name])

    lates: dict[str, LateIndex | LateList] = {place: LateIndex(few, few.__dict__[place], read_all)}
    lates |= {name: LateList(few.__dict__[name], read_all) for name in LISTS}
    manager.__dict__.update({**few.__dict__, **lates})
    return True


def _matches_late(kind: Any) -> bool:
    """Let a manager match names that the few hold without reading the rest; say whether it matches by that method."""
    matches = vars(kind).get("match_tasks")
    if not callable(matches) or hasattr(matches, "_finbench"):
        return matches is not None

    @wraps(matches)
    def match_tasks(self: Any, task_list: Any) -> Any:
        few = next((index.few for name in INDEXES if isinstance(index := vars(self).get(name), LateIndex)), None)
        asked = [task_list] if isinstance(task_list, str) else task_list
        known = few is not None and isinstance(asked, list) and all(_is_one_of(few, name) for name in asked)
        return matches(few if known else self, task_list)

    match_tasks._finbench = True  # type: ignore[attr-defined]
    kind.match_tasks = match_tasks
    return True


def _is_one_of(few: Any, name: object) -> bool:
    """Say whether a question is one of these names, and not a pattern that others may match."""
    return isinstance(name, str) and not PATTERN & set(name) and name in few.__dict__["_all_tasks"]
