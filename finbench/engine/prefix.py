"""What token sequences share: which prefixes are worth computing once, and how the rest packs into one pass.

Sorted lexicographically, sequences that share a prefix stand together, and the number of tokens that each shares with
the one before it describes the whole tree of prefixes. From that follow the stems (prefixes whose keys and values are
kept) and the packs (everything that runs in one forward pass, each shared token once).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

# A forward pass over a few tokens takes about as long as one over this many: the weights have to be read either way.
# A prefix becomes a stem only where that saves more.
PASS_TOKENS = 64


@dataclass(frozen=True)
class SortedRows:
    """Distinct sequences in lexicographic order, none a prefix of another.

    `shared[i]` is how many tokens row i shares with row i - 1 (0 for the first), `row_of[k]` the row that begins with
    the k-th sequence given.
    """

    tokens: tuple[tuple[int, ...], ...]
    shared: tuple[int, ...]
    row_of: tuple[int, ...]


@dataclass(frozen=True)
class Stem:
    """A prefix whose keys and values are kept: tokens `start` to `stop` of the rows `first` to `last` (exclusive).

    `branches` are longer stems that continue it; `rows` those that no branch serves.
    """

    first: int
    last: int
    start: int
    stop: int
    branches: tuple["Stem", ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Pack:
    """A tree of tokens in depth-first order, to run in one forward pass.

    Token j is seen by the tokens j to `ends[j]` (exclusive): itself and all that continue it. `depths` are the tokens'
    places in their rows, and `paths[k]` the slots of the k-th row's tokens.
    """

    tokens: tuple[int, ...]
    depths: tuple[int, ...]
    ends: tuple[int, ...]
    paths: tuple[tuple[int, ...], ...]


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two sequences share from the start, by bisection over slices."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def sort_rows(sequences: Sequence[Sequence[int]]) -> SortedRows:
    """Return the rows of the sequences: duplicates and prefixes of longer sequences are served by one row."""
    given = [tuple(sequence) for sequence in sequences]
    distinct = sorted(set(given))
    rows: list[tuple[int, ...]] = []
    row_of: dict[tuple[int, ...], int] = {}
    for sequence, following in zip(distinct, [*distinct[1:], ()], strict=True):
        row_of[sequence] = len(rows)
        if following[: len(sequence)] != sequence:
            rows.append(sequence)
    shared = [common_length(one, other) for one, other in zip(rows, rows[1:], strict=False)]
    return SortedRows(tuple(rows), (0, *shared), tuple(row_of[sequence] for sequence in given))


def _nodes(rows: SortedRows) -> list[tuple[int, int, int]]:
    """Return (first row, last row, depth) of every place where the tree branches, parents before children.

    These are the intervals of the array of longest common prefixes (Abouelhoda, Kurtz and Ohlebusch, 2004).
    """
    found: list[tuple[int, int, int]] = []
    open_nodes = [(0, 0)]  # depth, first row
    for row in range(1, len(rows.tokens) + 1):
        depth = rows.shared[row] if row < len(rows.tokens) else 0
        first = row - 1
        while open_nodes[-1][0] > depth:
            closed, first = open_nodes.pop()
            found.append((first, row, closed))
        if open_nodes[-1][0] < depth:
            open_nodes.append((depth, first))
    return sorted(found, key=lambda node: (node[0], -node[1]))


class _Growing:
    """A stem while its branches are still being found."""

    def __init__(self, first: int, last: int, start: int, stop: int) -> None:
        self.first, self.last, self.start, self.stop = first, last, start, stop
        self.branches: list[_Growing] = []

    def finished(self) -> Stem:
        branches = tuple(branch.finished() for branch in self.branches)
        served = {row for branch in branches for row in range(branch.first, branch.last)}
        rows = tuple(row for row in range(self.first, self.last) if row not in served)
        return Stem(self.first, self.last, self.start, self.stop, branches, rows)


def _uses(rows: int, prefix: int, beyond: int, budget: int) -> int:
    """Return how many packs would compute a prefix of that many tokens, if it were no stem, for what lies beyond."""
    room = budget - prefix
    if beyond <= room:
        return 1
    return rows if room <= 0 else min(rows, -(-beyond // room))


def grow(rows: SortedRows, budget: int) -> Stem:
    """Return the root of the stems that are worth a pass of their own, where packs hold `budget` tokens.

    The root covers all rows and may be empty (`stop` is 0).
    """
    fresh = [0]  # tokens to compute for the rows before i, each shared token once
    for tokens, shared in zip(rows.tokens, rows.shared, strict=True):
        fresh.append(fresh[-1] + len(tokens) - shared)
    root = _Growing(0, len(rows.tokens), 0, 0)
    path = [root]
    for first, last, depth in _nodes(rows):
        while path[-1].last <= first:
            path.pop()
        beyond = fresh[last] - fresh[first + 1] + len(rows.tokens[first]) - depth
        parent = path[-1]
        prefix = depth - parent.stop
        if prefix * (_uses(last - first, prefix, beyond, budget) - 1) < PASS_TOKENS:
            continue
        if (first, last) == (0, len(rows.tokens)):
            root.stop = depth
            continue
        stem = _Growing(first, last, parent.stop, depth)
        parent.branches.append(stem)
        path.append(stem)
    return root.finished()


def chain(rows: SortedRows, row: int, start: int, stop: int) -> Pack:
    """Return a row's tokens from `start` to `stop` (exclusive) as a tree without branches."""
    length = stop - start
    return Pack(rows.tokens[row][start:stop], tuple(range(start, stop)), (length,) * length, (tuple(range(length)),))


def pack(rows: SortedRows, chosen: Sequence[int], start: int, budget: int) -> Pack:
    """Return the tree of the first of the chosen rows, from token `start` on, within `budget` tokens.

    It holds at least one row; `len(paths)` says how many it took. `chosen` is in ascending order.
    """
    tokens: list[int] = []
    depths: list[int] = []
    ends: list[int] = []
    paths: list[tuple[int, ...]] = []
    path: list[int] = []
    for row, shared in _shared_with_last(rows, chosen):
        kept = max(shared - start, 0)
        added = rows.tokens[row][start + kept :]
        if paths and len(tokens) + len(added) > budget:
            break
        for slot in path[kept:]:
            ends[slot] = len(tokens)
        path = [*path[:kept], *range(len(tokens), len(tokens) + len(added))]
        depths += range(start + kept, start + kept + len(added))
        tokens += added
        ends += [0] * len(added)
        paths.append(tuple(path))
    for slot in path:
        ends[slot] = len(tokens)
    return Pack(tuple(tokens), tuple(depths), tuple(ends), tuple(paths))


def _shared_with_last(rows: SortedRows, chosen: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield each chosen row with the number of tokens it shares with the chosen row before it."""
    last: int | None = None
    for row in chosen:
        yield row, 0 if last is None else min(rows.shared[last + 1 : row + 1])
        last = row
