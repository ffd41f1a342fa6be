"""Greedy answers that start from shared prefixes: rows grow side by side in one tree, over one copy of their prefix."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

import torch
from transformers import DynamicCache

from finbench.engine.likelihood import free_memory
from finbench.engine.model import SharedModel
from finbench.engine.prefix import Pack, Stem, chain, grow, pack, sort_rows


class Generator:
    """Continues contexts greedily on one model as it is now; keeps nothing once `generate` has returned.

    `budget` is the number of tokens in a first pass (it is halved when memory runs out), `eos` the ids that end an
    answer, and `advance(n)` is told of n more finished contexts.
    """

    def __init__(
        self,
        model: SharedModel,
        tokenizer: Any,
        budget: int,
        eos: Collection[int],
        advance: Callable[[int], object] = lambda count: None,
    ) -> None:
        self.model, self.tokenizer, self.budget, self.eos, self.advance = model, tokenizer, budget, eos, advance

    def generate(self, contexts: Sequence[Sequence[int]], stop: Sequence[str], new_tokens: int) -> list[list[int]]:
        """Return for each context the token ids that follow it, at most `new_tokens`, with those that ended it."""
        self._stop, self._new_tokens = [text for text in stop if text], new_tokens
        # A stop string may come out in other tokens than the tokenizer would choose: look two further back, as lm-eval.
        lengths = [len(self.tokenizer.encode(text, add_special_tokens=False)) for text in self._stop]
        self._tail = max(lengths, default=0) + 2
        # A context's last token must not lie in a stem, for the answer starts by reading it: made negative, it equals
        # no other token, and no context is a prefix of another.
        self._rows = sort_rows([(*context[:-1], -1 - context[-1]) for context in contexts])
        self._answers: dict[int, list[int]] = {}
        self._visit(grow(self._rows, self.budget), self.model.root())
        return [self._answers[row] for row in self._rows.row_of]

    def _visit(self, stem: Stem, past: DynamicCache) -> None:
        """Run a stem, the stems that continue it, and its own rows."""
        if stem.stop > stem.start:
            past = self.model.run(chain(self._rows, stem.first, stem.start, stem.stop), past, [])[1]
        for branch in stem.branches:
            self._visit(branch, past)
        left = list(stem.rows)
        while left:
            tree = pack(self._rows, left, stem.stop, self.budget)
            taken = left[: len(tree.paths)]
            try:
                answers = self._run(tree, taken, past)
            except torch.OutOfMemoryError:
                if len(taken) == 1:
                    raise
                self.budget = min(self.budget, len(tree.tokens)) // 2
                taken, answers = [], []
            if not taken:  # outside the handler, whose exception holds on to the failed pass
                free_memory()
            self._answers.update(zip(taken, answers, strict=True))
            left = left[len(taken) :]
            done = set(taken)
            self.advance(sum(row in done for row in self._rows.row_of))

    def _run(self, tree: Pack, taken: Sequence[int], past: DynamicCache) -> list[list[int]]:
        """Return the answers of a tree's rows: one pass over the tree, then one a token over the rows still open."""
        tree = replace(tree, tokens=tuple(token if token >= 0 else -1 - token for token in tree.tokens))
        logits, cache = self.model.run(tree, past, [path[-1] for path in tree.paths])
        kept = past.get_seq_length()
        seen = torch.zeros(len(taken), kept + len(tree.tokens), dtype=torch.bool, device=self.model.device)
        seen[:, :kept] = True
        for place, path in enumerate(tree.paths):
            seen[place, [kept + slot for slot in path]] = True
        answers: list[list[int]] = [[] for _ in taken]
        growing = list(range(len(taken)))
        while True:
            for place, token in zip(growing, self.model.likeliest(logits), strict=True):
                answers[place].append(token)
            still = [index for index, place in enumerate(growing) if not self._is_done(answers[place])]
            growing = [growing[index] for index in still]
            if not growing:
                return answers
            itself = torch.eye(len(growing), dtype=torch.bool, device=seen.device)
            seen = torch.cat([seen[still], itself], dim=1)
            depths = [len(self._rows.tokens[taken[place]]) + len(answers[place]) - 1 for place in growing]
            logits = self.model.step([answers[place][-1] for place in growing], depths, seen, cache)

    def _is_done(self, answer: Sequence[int]) -> bool:
        """Return whether an answer has ended: by its length, an end token, or a stop string in its last tokens."""
        if len(answer) >= self._new_tokens or answer[-1] in self.eos:
            return True
        text = self.tokenizer.decode(answer[-self._tail :])
        return any(stop in text for stop in self._stop)
