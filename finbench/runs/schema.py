"""Checks a cell's record against `cell.schema.json`, as fast as ten thousand cells a rendering need.

Understands the part of JSON Schema that the file uses: type, enum, required, properties, additionalProperties, items.
"""

import json
from collections.abc import Iterator, Mapping
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
_SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


@cache
def cell_schema() -> Mapping[str, Any]:
    """Return the schema of a cell's file."""
    schema: dict[str, Any] = json.loads(Path(__file__).with_name("cell.schema.json").read_text(encoding="utf-8"))
    return schema


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
        rule = schema["items"]
        wanted = rule.get("type", "")
        for n, item in enumerate(value):
            if _SCALARS.get(type(item)) != wanted:  # the shortcut of objects: matrices are most of a file's values
                yield from problems(item, rule, f"{where}[{n}]")


def _object_problems(value: dict[str, Any], schema: Mapping[str, Any], where: str) -> Iterator[str]:
    dot = f"{where}." if where else ""
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{dot}{name} is missing"
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for name, item in value.items():
        rule = known.get(name, others)
        if rule is not True and rule is not False and _SCALARS.get(type(item)) == rule.get("type", ""):
            continue  # nearly every value; without this shortcut ten thousand cells take twice as long
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
