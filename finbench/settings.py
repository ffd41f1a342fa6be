"""Settings that a user wrote, as a frozen dataclass: every key is one of its fields, every value of the field's type.

A matrix, a recipe and a sweep are read here. Ranges and what goes with what stand in the dataclass's `__post_init__`.
"""

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from finbench.errors import FinbenchError

Shape = TypeVar("Shape")
WORDS = {str: "a text", int: "a whole number", bool: "true or false", float: "a number", NoneType: "null"}


def filled(shape: type[Shape], given: Any, where: str) -> Shape:
    """Return the dataclass of a mapping as its YAML has it; dataclasses in lists within it are filled likewise.

    Raises:
        FinbenchError: it is no mapping, a key is unknown or missing, a value is of another type or refused.

    """
    settings = known(shape, given, where)
    needed = [field.name for field in fields(shape) if field.default is MISSING and field.name not in settings]  # type: ignore[arg-type]
    if needed:
        raise FinbenchError(f"{where} lacks {', '.join(needed)}.")
    hints = get_type_hints(shape)
    values = {name: _typed(name, value, hints[name], where) for name, value in settings.items()}
    try:
        return shape(**values)
    except FinbenchError as error:
        raise FinbenchError(f"{where}: {error}") from None


def known(shape: type[Any], given: Any, where: str) -> Mapping[str, Any]:
    """Return a mapping whose keys are all fields of the dataclass.

    Raises:
        FinbenchError: it is no mapping, or has another key.

    """
    if not isinstance(given, dict):
        raise FinbenchError(f"{where} must hold `key: value` lines; it is {given!r}.")
    names = [field.name for field in fields(shape)]
    for key in given:
        if key not in names:
            raise FinbenchError(f"unknown key {key!r} in {where}: {suggestion(str(key), names)}")
    return given


def suggestion(word: str, names: Iterable[str], otherwise: bool = True) -> str:
    """Return the name that a word may have meant, as the end of an error; if there is none, all names or nothing."""
    names = sorted(names)
    near = difflib.get_close_matches(word, names, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"there are {', '.join(names)}." if otherwise else ""


def one_of(name: str, value: object, allowed: Iterable[object]) -> None:
    """Refuse a value that is none of those allowed.

    Raises:
        FinbenchError: it is not.

    """
    allowed = list(allowed)
    if value not in allowed:
        shown = ", ".join("null" if one is None else str(one) for one in allowed)
        raise FinbenchError(f"{name} is {value!r}; choose one of {shown}.")


def _typed(name: str, value: Any, hint: Any, where: str) -> Any:
    """Return the value as the field's type, numbers and lists converted where nothing is lost."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for kind in kinds:
        found = _as(kind, value, f"{name}", where)
        if found is not MISSING:
            return found
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    if choices:
        allowed = [*choices, *([None] if NoneType in kinds else [])]
        raise FinbenchError(f"{where}: {name} is {value!r}; choose one of {', '.join(map(_shown, allowed))}.")
    raise FinbenchError(f"{where}: {name} is {value!r}; {' or '.join(map(_words, kinds))} is wanted.")


def _as(kind: Any, value: Any, name: str, where: str) -> Any:
    """Return the value as that type, or MISSING if it is none."""
    origin = get_origin(kind)
    if origin is Literal:
        if value is False and "off" in get_args(kind):
            return "off"  # which YAML takes for false
        return value if value in get_args(kind) and not isinstance(value, bool) else MISSING
    if is_dataclass(kind):
        return filled(kind, value, name) if isinstance(value, Mapping) else MISSING  # type: ignore[arg-type]
    if origin is tuple:
        return _list(get_args(kind)[0], value, name, where)
    if kind is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            number = float(value)  # YAML takes 2e-4 for a string
        except (ValueError, OverflowError):
            return MISSING
        return number if math.isfinite(number) else MISSING
    if origin is not None:
        return value if isinstance(value, origin) else MISSING
    return value if type(value) is kind else MISSING


def _list(kind: Any, value: Any, name: str, where: str) -> Any:
    if is_dataclass(kind):
        value = [value] if isinstance(value, Mapping) else value
        if not isinstance(value, list):
            return MISSING
        return tuple(filled(kind, entry, f"{name}[{number}]") for number, entry in enumerate(value))  # type: ignore[arg-type]
    parts = [value] if isinstance(value, str) else value
    return tuple(parts) if isinstance(parts, list) and all(type(part) is kind for part in parts) else MISSING


def _words(kind: Any) -> str:
    if get_origin(kind) is tuple:
        return "a list" if is_dataclass(get_args(kind)[0]) else f"a list, each {WORDS[get_args(kind)[0]]},"
    return WORDS.get(kind, "keys with values")


def _shown(value: object) -> str:
    return "null" if value is None else str(value)
