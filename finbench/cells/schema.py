"""Checks a cell's record against `cell.schema.json`, as fast as ten thousand cells a rendering need.

Understands the part of JSON Schema that the file uses: type, enum, required, properties, additionalProperties, items.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


@cache
def cell_schema() -> Mapping[str, Any]:
    """Return the schema of a cell's file."""
    schema: dict[str, Any] = json.loads(Path(__file__).with_name("cell.schema.json").read_text(encoding="utf-8"))
    return schema


@cache
def fits_cell() -> Callable[[Any], bool]:
    """Return what says whether a record fits the schema of a cell."""
    return compiled(cell_schema())


def compiled(schema: Mapping[str, Any]) -> Callable[[Any], bool]:
    """Return a function that says whether a value parsed from JSON has no `problems`, without looking for their places.

    Nearly every file fits, and walking the schema anew for each value would be most of the time of reading one.
    """
    enum, types = schema.get("enum"), _types_of(schema)
    of_object, of_array = _compiled_object(schema), _compiled_array(schema)
    if enum is None and types == {dict}:
        return lambda value: type(value) is dict and of_object(value)

    def fits(value: Any) -> bool:
        if (enum is not None and value not in enum) or (types and type(value) not in types):
            return False
        if type(value) is dict:
            return of_object(value)
        return type(value) is not list or of_array(value)

    return fits


def _compiled_object(schema: Mapping[str, Any]) -> Callable[[dict[str, Any]], bool]:
    required, others = frozenset(schema.get("required", ())), schema.get("additionalProperties", True)
    known = schema.get("properties", {})
    names = frozenset(known)
    simple = [(name, _types_of(rule)) for name, rule in known.items() if _is_simple(rule)]
    nested = [(name, compiled(rule)) for name, rule in known.items() if not _is_simple(rule)]
    if not known and not required and isinstance(others, dict):  # a table of equal values
        of_values = _compiled_array({"items": others})
        return lambda value: of_values(list(value.values()))
    other = compiled(others) if isinstance(others, dict) else lambda _: others

    def fits(value: dict[str, Any]) -> bool:
        keys = value.keys()
        if not required <= keys:
            return False
        for name, types in simple:
            if name in value and type(value[name]) not in types:
                return False
        for name, check in nested:
            if name in value and not check(value[name]):
                return False
        return others is True or keys <= names or all(other(value[name]) for name in keys - names)

    return fits


def _compiled_array(schema: Mapping[str, Any]) -> Callable[[list[Any]], bool]:
    rule = schema.get("items")
    if rule is None:
        return lambda _: True
    if _is_simple(rule):
        types = _types_of(rule)
        return lambda value: types.issuperset(map(type, value))
    check = compiled(rule)
    return lambda value: all(map(check, value))


def _is_simple(schema: Mapping[str, Any]) -> bool:
    """Say whether a value's type alone decides: no enumeration, no object or array to look into."""
    return "enum" not in schema and bool(_types_of(schema)) and not _types_of(schema) & {dict, list}


def _types_of(schema: Mapping[str, Any]) -> frozenset[type]:
    """Return the types that JSON's values may have, none where the schema names no type."""
    names = schema.get("type", ())
    return frozenset(one for name in ((names,) if isinstance(names, str) else names) for one in _TYPES[name])


def problems(value: Any, schema: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Yield what does not fit, each with its place, such as `key.limit is a str, not integer or null`."""
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where or 'the file'} is {value!r}, not one of {schema['enum']}"
    if "type" in schema and not _is(value, schema["type"]):
        yield f"{where or 'the file'} is a {type(value).__name__}, not {_named(schema['type'])}"
        return
    if isinstance(value, dict):
        yield from _object_problems(value, schema, where)
    elif isinstance(value, list) and "items" in schema:
        for n, item in enumerate(value):
            yield from problems(item, schema["items"], f"{where}[{n}]")


def _object_problems(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> Iterator[str]:
    dot = f"{where}." if where else ""
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{dot}{name} is missing"
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in known:
            yield from problems(item, known[name], dot + name)
        elif others is False:
            yield f"{dot}{name} is unknown"
        elif others is not True:
            yield from problems(item, others, dot + name)


def _is(value: Any, names: str | list[str]) -> bool:
    wanted = (names,) if isinstance(names, str) else names
    if isinstance(value, bool):  # Python counts it as an integer, JSON does not
        return "boolean" in wanted
    return any(isinstance(value, _TYPES[name]) for name in wanted)


def _named(names: str | list[str]) -> str:
    return names if isinstance(names, str) else " or ".join(names)
