"""Log-likelihoods of answers with shared prefixes.

Each token that prompts share runs once, and the LM head runs only where an answer is read. Exact: equal to scoring
every prompt alone, up to the order of floating-point sums.
"""

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from finbench.engine.model import SharedModel
from finbench.engine.prefix import Pack, Stem, chain, grow, pack, sort_rows

# Bounds of the tokens in one pass. Below the first the weights are read for too little work.
LEAST_TOKENS, MOST_TOKENS = 256, 4096


@dataclass(frozen=True)
class Query:
    """A prompt with its answer: all token ids, the last `answer` of which are scored."""

    tokens: tuple[int, ...]
    answer: int


@dataclass(frozen=True)
class Read:
    """A place where an answer is read: the slot's logits give the probability of `target` in a query."""

    slot: int
    target: int
    query: int


def paying_tokens(hidden_size: int, device: torch.device) -> int:
    """Return how many tokens a pass should hold: more no longer make products faster, but cost memory.

    On accelerators attention is dense (`finbench.hf.blocks`): beyond half the hidden size, what unrelated rows
    cost one another exceeds what larger products save.
    """
    return hidden_size if device.type == "cpu" else hidden_size // 2


def token_budget(batch_size: int | None, longest: int, paying: int) -> int:
    """Return the tokens a pass may hold: `paying`, but no more than `batch_size` whole rows where that is given."""
    most = min(max(paying, LEAST_TOKENS), MOST_TOKENS)
    return most if batch_size is None else max(min(batch_size * longest, most), LEAST_TOKENS)


class Scorer:
    """Scores queries on one model as it is now; keeps nothing once `score` has returned.

    `budget` is the number of tokens in a pass (it is halved when memory runs out), `softmax_dtype` the precision of
    the softmax, and `advance(n)` is told of n more finished queries.
    """

    def __init__(
        self,
        model: SharedModel,
        budget: int,
        softmax_dtype: torch.dtype | None = None,
        advance: Callable[[int], object] = lambda count: None,
    ) -> None:
        self.model, self.budget, self.advance = model, budget, advance
        self.softmax_dtype = softmax_dtype or torch.float32

    def score(self, queries: Sequence[Query]) -> list[tuple[float, bool]]:
        """Return for each query the answer's log-likelihood and whether greedy decoding would give it."""
        if not queries:
            return []
        self._queries = queries
        self._totals, self._greedy = [0.0] * len(queries), [True] * len(queries)
        self._rows = sort_rows([query.tokens[:-1] for query in queries])
        self._queries_of: list[list[int]] = [[] for _ in self._rows.tokens]
        for number, row in enumerate(self._rows.row_of):
            self._queries_of[row].append(number)
        stems = grow(self._rows, self.budget)
        self._visit(stems, self.model.root())
        return self.results()

    def results(self) -> list[tuple[float, bool]]:
        """Return each query's log-likelihood and whether greedy decoding would give it, as far as they are known."""
        return list(zip(self._totals, self._greedy, strict=True))

    def _visit(self, stem: Stem, past: DynamicCache) -> None:
        """Run a stem, the stems that continue it, and its own rows."""
        if stem.stop > stem.start:
            past = self._run_stem(stem, past)
        for branch in stem.branches:
            self._visit(branch, past)
        left = list(stem.rows)
        while left:
            tree = pack(self._rows, left, stem.stop, self.budget)
            taken = left[: len(tree.paths)]
            try:
                self._run(tree, past, self._reads(taken, tree.paths, stem.stop, None))
            except torch.OutOfMemoryError:
                if len(taken) == 1:
                    raise
                self.budget = min(self.budget, len(tree.tokens)) // 2
                taken = []
            if not taken:  # outside the handler, whose exception holds on to the failed pass
                free_memory()
            left = left[len(taken) :]
            self.advance(sum(len(self._queries_of[row]) for row in taken))

    def _run_stem(self, stem: Stem, past: DynamicCache) -> DynamicCache:
        """Return the cache grown by the stem's tokens; answers read within it are scored on the way."""
        tree = chain(self._rows, stem.first, stem.start, stem.stop)
        rows = range(stem.first, stem.last)
        return self._run(tree, past, self._reads(rows, tree.paths * len(rows), stem.start, stem.stop))

    def _reads(self, rows: Sequence[int], paths: Sequence[tuple[int, ...]], start: int, stop: int | None) -> list[Read]:
        """Return the places from depth `start` to `stop` where answers of these rows are read."""
        found = []
        for row, path in zip(rows, paths, strict=True):
            for number in self._queries_of[row]:
                query = self._queries[number]
                last = len(query.tokens) - 1
                first = max(last - query.answer, start)
                for depth in range(first, last if stop is None else min(last, stop)):
                    found.append(Read(path[depth - start], query.tokens[depth + 1], number))
        return found

    def _run(self, tree: Pack, past: DynamicCache, reads: Sequence[Read]) -> DynamicCache:
        """Run one pass and add what it says to the queries' results."""
        logits, cache = self.model.run(tree, past, sorted({read.slot for read in reads}))
        self.add(reads, logits)
        return cache

    def add(self, reads: Sequence[Read], logits: torch.Tensor) -> None:
        """Add to the queries' results what is read in logits (R, V): one row for each slot, in ascending order."""
        if not reads:
            return
        place = {slot: number for number, slot in enumerate(sorted({read.slot for read in reads}))}
        where = torch.tensor([place[read.slot] for read in reads], device=logits.device)
        targets = torch.tensor([read.target for read in reads], device=logits.device)
        logits = logits.to(self.softmax_dtype)  # (R, V)
        values = logits[where, targets] - logits.logsumexp(-1)[where]
        chosen = logits.argmax(-1)[where] == targets
        for read, value, is_chosen in zip(reads, values.tolist(), chosen.tolist(), strict=True):
            self._totals[read.query] += value
            self._greedy[read.query] &= is_chosen


def free_memory() -> None:
    """Give back what a failed pass held."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
