"""The outcomes of a cell's rows in Parquet: row id, cluster, gold, prediction and scores, never a text."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finbench.errors import FinbenchError, first_line
from finbench.records import Outcome

TEXTS = ("row_id", "cluster", "gold", "prediction")


def write_outcomes(path: Path, outcomes: Sequence[Outcome], hashed: bool) -> None:
    """Write one line a row; free answers and clusters as hashes: they may quote what a dataset's licence keeps here."""
    import pyarrow
    import pyarrow.parquet

    def shown(answer: str) -> str:
        return _digest(answer) if hashed and answer else answer

    columns = {
        "row_id": pyarrow.array([one.row_id for one in outcomes], pyarrow.string()),
        "cluster": pyarrow.array([_cluster(one) for one in outcomes], pyarrow.string()),
        "gold": pyarrow.array([shown(one.gold) for one in outcomes], pyarrow.string()),
        "prediction": pyarrow.array([shown(one.prediction) for one in outcomes], pyarrow.string()),
        "scores": pyarrow.array([list(one.scores) for one in outcomes], pyarrow.list_(pyarrow.float64())),
    }
    pyarrow.parquet.write_table(pyarrow.table(columns), path)


def _cluster(outcome: Outcome) -> str:
    """Return what says which rows stand together: a dataset may call that by the text that they share."""
    return outcome.cluster if outcome.cluster == outcome.row_id else _digest(outcome.cluster)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def table_of(content: bytes, columns: Sequence[str] = TEXTS) -> Any:
    """Return the Arrow table of a Parquet file's bytes, with these of its columns.

    Raises:
        FinbenchError: it is no Parquet file, or no file of outcomes.

    """
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(pyarrow.BufferReader(content)) as file:
            table = file.read([*columns], use_threads=False)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = first_line(error)[:200]
        raise FinbenchError(f"the rows' outcomes beside it cannot be read as Parquet ({reason})") from None
    for name in columns:
        if name not in table.column_names:
            raise FinbenchError(f"the rows' outcomes beside it have no column {name}")
        kind = table.schema.field(name).type
        fits = pyarrow.types.is_string(kind) if name in TEXTS else pyarrow.types.is_list(kind)
        if not fits or table[name].null_count:
            raise FinbenchError(f"the column {name} of the rows' outcomes beside it holds something else")
    return table


def outcomes_of(content: bytes) -> list[Outcome]:
    """Return the outcomes that a Parquet file's bytes hold; errors as `table_of`."""
    lines = table_of(content, [*TEXTS, "scores"]).to_pylist()
    return [Outcome(**{**line, "scores": tuple(line["scores"])}) for line in lines]
