"""Two cells on the same rows: read once, compared by the test that their rows allow."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from finbench.cells.key import Cell
from finbench.cells.store import OUTCOMES, path_of
from finbench.data.sources import DOUBTED
from finbench.leaderboard import draws, exact, primary, stats
from finbench.scoring.kinds import kind_called

QUESTIONS = 9  # of a headline, always in the same order; the first is the one with the known defect


@dataclass(frozen=True)
class CellRows:
    """The rows' outcomes of one cell: arrays of one length, and the number of the cluster that each row is in.

    `near` says which answers are right where a tolerance decides, and not equality; `worth` is what rows are worth
    where not accuracy ranks them (`finbench.leaderboard.primary`).
    """

    ids: npt.NDArray[Any]
    golds: npt.NDArray[Any]
    predictions: npt.NDArray[Any]
    member: npt.NDArray[np.int64]
    near: npt.NDArray[np.bool_] | None = None
    worth: exact.Floats | None = None
    _places: dict[tuple[str, ...], npt.NDArray[np.int64]] = field(default_factory=dict)

    @cached_property
    def right(self) -> npt.NDArray[np.bool_]:
        """Return which rows were answered rightly."""
        return np.asarray(self.golds == self.predictions, dtype=bool) if self.near is None else self.near

    @property
    def repeated(self) -> bool:
        """Say whether some rows share a cluster."""
        return bool(self.member.max() + 1 < len(self.member))

    def right_by_cluster(self) -> exact.Integers:
        """Return how many rows of each cluster were answered rightly, (C,)."""
        if not self.repeated:
            return self.right.astype(np.int64)
        return np.bincount(self.member, weights=self.right).astype(np.int64)

    def counts(self, labels: tuple[str, ...]) -> exact.Floats:
        """Return each cluster's confusion matrix, flat, (C, L * (L + 1))."""
        clusters = int(self.member.max()) + 1
        column, width = self._columns(labels)
        found = np.bincount(self.member * width + column, minlength=clusters * width)
        return found.reshape(clusters, width).astype(np.float64)

    def kinds(self, labels: tuple[str, ...]) -> tuple[exact.Floats, npt.NDArray[np.int64]]:
        """Return the different lines of `counts`, (U, K), and how often each stands there, (U,)."""
        if self.repeated:
            return np.unique(self.counts(labels), axis=0, return_counts=True)
        column, width = self._columns(labels)
        places, times = np.unique(column, return_counts=True)
        return _units(places, width), times

    def kinds_beside(
        self, other: "CellRows", labels: tuple[str, ...]
    ) -> tuple[exact.Floats, exact.Floats, exact.Integers]:
        """Return the different pairs of lines of both `counts`, (U, K) each, and how often each pair stands there."""
        if self.repeated:
            both = np.concatenate([self.counts(labels), other.counts(labels)], axis=1)
            kinds, times = np.unique(both, axis=0, return_counts=True)
            return *np.split(kinds, 2, axis=1), times  # type: ignore[return-value]
        (own, width), (others, _) = self._columns(labels), other._columns(labels)
        codes, times = np.unique(own * width + others, return_counts=True)
        return _units(codes // width, width), _units(codes % width, width), times

    def _columns(self, labels: tuple[str, ...]) -> tuple[npt.NDArray[np.int64], int]:
        """Return each row's place in the flat confusion matrix, (N,), and the matrix's size."""
        if labels not in self._places:
            place = {label: n for n, label in enumerate(labels)}
            gold = np.array([place[label] for label in self.golds])
            said = np.array([place.get(label, len(labels)) for label in self.predictions])
            self._places[labels] = gold * (len(labels) + 1) + said
        return self._places[labels], len(labels) * (len(labels) + 1)

    def doubted(self) -> int:
        """Return the number of rows whose published answer is known to be wrong."""
        return int(sum(str(name).endswith(DOUBTED) for name in self.ids))

    def without_doubted(self) -> float:
        """Return the accuracy on the rows whose published answer is not known to be wrong."""
        kept = [not str(name).endswith(DOUBTED) for name in self.ids]
        return float(self.right[kept].mean()) if any(kept) else 0.0

    def without_price_question(self) -> float:
        """Return the accuracy on all but the first of each headline's nine questions."""
        seen: dict[int, int] = {}
        kept = []
        for cluster in self.member.tolist():
            kept.append(seen.get(cluster, 0) % QUESTIONS != 0)
            seen[cluster] = seen.get(cluster, 0) + 1
        return float(self.right[kept].mean()) if any(kept) else 0.0


@dataclass(frozen=True)
class Gained:
    """By how many rows of each cluster one cell has more right than another, and which rows these are.

    `times` is how many answers each row has on either side: one, or as many as there are seeds (`pooled`).
    """

    ids: npt.NDArray[Any]
    differences: exact.Integers
    times: int = 1


@dataclass
class Outcomes:
    """The outcomes beside the cells of a folder, each read at most once, and tests on them."""

    folder: Path
    _read: dict[str, CellRows | None] = field(default_factory=dict)

    def rows(self, cell: Cell) -> CellRows | None:
        """Return the outcomes of a cell's rows, None where they are missing."""
        import pyarrow.parquet

        digest = cell.key.digest()
        if digest not in self._read:
            path = path_of(self.folder, cell.key, OUTCOMES)
            self._read[digest] = None
            if path.is_file():
                columns = ["row_id", "cluster", "gold", "prediction"]
                near = kind_called(cell.kind).measures[:1] == (primary.ACCURACY,)
                columns += ["scores"] if near or primary.name_of(cell) != primary.ACCURACY else []
                with pyarrow.parquet.ParquetFile(path) as file:  # a fifth of the time that read_table takes
                    table = file.read(columns, use_threads=False)
                ids, golds, predictions = (
                    table[name].to_numpy(zero_copy_only=False) for name in ("row_id", "gold", "prediction")
                )
                encoded = table["cluster"].combine_chunks().dictionary_encode()
                member = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
                worth = primary.worth_of(table, cell)
                self._read[digest] = CellRows(ids, golds, predictions, member, _near(table) if near else None, worth)
        return self._read[digest]

    def accuracy(self, first: Cell, second: Cell) -> exact.Comparison | str:
        """Test by how much the second is more accurate: exact McNemar, or clusters swapped where rows repeat.

        Where another metric than accuracy ranks a task, it is that one, by a permutation of clusters. Returns why not,
        in words, where the two have not the same rows.
        """
        pair = self._pair(first, second)
        if isinstance(pair, str):
            return pair
        a, b = pair
        if a.worth is not None and b.worth is not None:
            return primary.compared(a.worth, b.worth, a.member)
        if not a.repeated:
            return exact.mcnemar(a.right.tolist(), b.right.tolist())
        return exact.swapped(b.right_by_cluster() - a.right_by_cluster(), len(a.ids))

    def f1(self, first: Cell, second: Cell) -> exact.Comparison | str:
        """Test by how much the second's weighted F1 is higher, by a permutation of clusters."""
        pair = self._pair(first, second)
        if isinstance(pair, str):
            return pair
        if not (labels := labels_of(first)):
            return "no classes"
        return draws.permutation(*pair[0].kinds_beside(pair[1], labels), stats.f1_of)

    def gained(self, first: Cell, second: Cell) -> Gained | None:
        """Return by how many rows of each cluster the second has more right; None where rows differ."""
        pair = self._pair(first, second)
        if isinstance(pair, str):
            return None
        return Gained(pair[0].ids, pair[1].right_by_cluster() - pair[0].right_by_cluster())

    def _pair(self, first: Cell, second: Cell) -> tuple[CellRows, CellRows] | str:
        """Return the rows of two cells, or in words why they cannot be compared."""
        a, b = self.rows(first), self.rows(second)
        if a is None or b is None:
            return "rows' outcomes missing"
        same = np.array_equal(a.ids, b.ids) and np.array_equal(a.member, b.member)
        return (a, b) if same else "other rows"

    def f1_interval(self, cell: Cell) -> stats.Interval | None:
        """Return the clustered bootstrap interval of weighted F1; None without classes or outcomes."""
        rows, labels = self.rows(cell), labels_of(cell)
        return stats.bootstrap(*rows.kinds(labels), stats.f1_of) if rows is not None and labels else None

    def loss_interval(self, first: Cell, second: Cell) -> stats.Interval | None:
        """Return the clustered bootstrap interval of the accuracy that the second lost; None where rows differ."""
        pair = self._pair(first, second)
        if isinstance(pair, str):
            return None
        a, b = pair
        lost = a.right.astype(np.float64) - b.right
        columns = [np.bincount(a.member, weights=values) for values in (lost, np.ones(len(lost)))]
        kinds, times = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
        return stats.bootstrap(kinds.astype(np.float64), times, lambda sums: np.asarray(sums[:, 0] / sums[:, 1]))

    def moved(self, first: Cell, second: Cell) -> tuple[int, int] | None:
        """Return how many rows the first alone and the second alone answers rightly; None where rows differ."""
        pair = self._pair(first, second)
        if isinstance(pair, str):
            return None
        a, b = pair
        return int((a.right & ~b.right).sum()), int((b.right & ~a.right).sum())

    def discordant(self, first: Cell, second: Cell) -> float | None:
        """Return the share of rows that exactly one of the two answers rightly."""
        moved, rows = self.moved(first, second), self.rows(first)
        return sum(moved) / len(rows.ids) if moved is not None and rows is not None else None


def _units(places: npt.NDArray[np.int64], width: int) -> exact.Floats:
    """Return a line for each place with a one there, (U, width)."""
    lines = np.zeros((len(places), width))
    lines[np.arange(len(places)), places] = 1.0
    return lines


def labels_of(cell: Cell) -> tuple[str, ...]:
    """Return the classes of a cell's task, none where it generates."""
    return tuple(cell.confusion["labels"]) if cell.confusion else ()


def effective_rows(cell: Cell) -> float:
    """Return how many independent rows would tell as much of the cell's accuracy."""
    accuracy = cell.metrics["accuracy"]
    effective = stats.effective_n(accuracy.value, accuracy.stderr, cell.n_rows)
    if accuracy.value in (0.0, 1.0):
        effective = cell.n_clusters  # a standard error of nothing says nothing of what repeats
    return min(effective, cell.n_rows)


def accuracy_interval(cell: Cell) -> stats.Interval:
    """Return Wilson's interval on the effective number of rows; of another primary metric the normal one."""
    if (of_primary := primary.interval_of(cell)) is not None:
        return of_primary
    return stats.wilson(cell.metrics["accuracy"].value, effective_rows(cell))


def constant_answer(cell: Cell) -> float | None:
    """Return the share of the largest class, None without classes."""
    supports = [values["support"] for values in cell.per_class.values()]
    return max(supports) / sum(supports) if supports else None


def _near(table: Any) -> npt.NDArray[np.bool_] | None:
    """Return which answers are right by the score that says so, None where none does."""
    if "scores" not in table.column_names or not len(table) or not all(table["scores"].to_pylist()):
        return None
    return np.array([scores[0] == 1 for scores in table["scores"].to_pylist()])
