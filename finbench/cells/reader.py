"""Reads one file among the cells: strictly, at the present version, held against its seal and its rows' outcomes."""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finbench.cells.key import SCHEMA_VERSION, CellKey
from finbench.cells.migrate import migrated
from finbench.cells.proof import problem_of, without_outcomes
from finbench.cells.schema import cell_schema, fits_cell, problems
from finbench.cells.seal import RECORD, Texts, broken
from finbench.documents import parse_json, read_text
from finbench.errors import FinbenchError

RESULT, FAILURE, OUTCOMES = ".json", ".failed.json", ".parquet"
MISSING = "the rows' outcomes beside it are missing"


@dataclass(frozen=True)
class ReadCell:
    """The record of a file; `unproven` says why nothing proves it, "" where it is proved."""

    record: dict[str, Any]
    unproven: str = ""


@dataclass
class Reader:
    """Reads files of one folder; `known` are seals whose numbers were recomputed before (`cells.proven`).

    With `thorough` standard errors are recomputed too.
    """

    thorough: bool = False
    known: Collection[str] = ()
    _adapters: dict[str, Any] = field(default_factory=dict)
    _texts: Texts = field(default_factory=dict)

    def read(self, place: str) -> ReadCell | str:
        """Return what a file holds, or in one line what is wrong with it."""
        try:
            given = parsed(read_text(Path(place)), self._adapters)
        except FinbenchError as error:
            return f"cannot be read as JSON ({error})"
        record = migrated(given)
        if later := later_version(record):
            reads = f"this finbench reads up to {SCHEMA_VERSION}"
            return f"schema_version is {later}, {reads}: a later one wrote it, upgrade"
        failed = place.endswith(FAILURE)
        fits = not failed and fits_cell()(record)
        if found := [] if fits else _failure_problems(record) if failed else list(problems(record, cell_schema())):
            return "; ".join(found[:3])
        if not place.removesuffix(FAILURE).removesuffix(RESULT).endswith(f"-{CellKey(**record['key']).digest()}"):
            return "its key does not belong to its name: it was edited or renamed"
        return ReadCell(record) if failed else self._proved(Path(place).with_suffix(OUTCOMES), given, record)

    def _proved(self, beside: Path, given: Mapping[str, Any], record: dict[str, Any]) -> ReadCell | str:
        """Hold a result against its seal, which is over the file as it was written, and against its outcomes."""
        try:
            content = beside.read_bytes()
        except FileNotFoundError:
            content = None
        except OSError as error:
            return f"the rows' outcomes beside it cannot be read ({error.strerror})"
        seal = record["seal"]
        if seal and (wrong := broken(seal, given, content, self._texts)):
            return wrong
        before = seal and seal[RECORD] in self.known
        if not before and (wrong := problem_of(record, content, self.thorough)):
            return wrong
        if content is None and not without_outcomes(record):
            return MISSING if seal else ReadCell(record, f"{MISSING}, so nothing proves its score")
        return ReadCell(record)


def parsed(text: str, adapters: dict[str, Any]) -> Any:
    """Return what `parse_json` gives.

    The adapter with the record of its training stands first in a cell's file, is most of it, and the same in all cells
    of the adapter: `adapters` keeps it by its text, so that it is parsed once.
    """
    first, mark, rest = text.partition(',\n "adapter_proof":')
    if mark:
        with suppress(FinbenchError):
            if first not in adapters:
                adapters[first] = parse_json(first + "}", "the cell")
            others = parse_json('{"adapter_proof":' + rest, "the cell")
            if not adapters[first].keys() & others.keys():
                return {**adapters[first], **others}
    return parse_json(text, "the cell")  # which says where in the file the mistake is


def later_version(record: Any) -> int | None:
    """Return the record's schema version where it is one that a later finbench wrote."""
    version = record.get("schema_version") if isinstance(record, dict) else None
    return version if isinstance(version, int) and version > SCHEMA_VERSION else None


def _failure_problems(record: Any) -> list[str]:
    schema: Mapping[str, Any] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["schema_version", "key", "created", "error", "trace", "command"],
        "properties": {
            "schema_version": {"enum": [SCHEMA_VERSION]},
            "key": cell_schema()["properties"]["key"],
            **dict.fromkeys(("created", "error", "trace", "command"), {"type": "string"}),
        },
    }
    return list(problems(record, schema))
