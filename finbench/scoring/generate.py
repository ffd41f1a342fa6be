"""Greedy answers that start from shared prefixes: what contexts share is computed once and expanded to their batch."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from finbench.scoring.engine import free_memory
from finbench.scoring.prefix import Stem, chain, grow, sort_rows
from finbench.scoring.sharing import SharedModel, copied


class StopStrings(StoppingCriteria):
    """Ends each row on its own once its last new tokens, decoded, hold a stop string."""

    def __init__(self, tokenizer: Any, stop: Sequence[str], prompt_length: int) -> None:
        self.tokenizer, self.stop, self.prompt_length = tokenizer, [text for text in stop if text], prompt_length
        lengths = [len(tokenizer.encode(text, add_special_tokens=False)) for text in self.stop]
        # A stop string may come out in other tokens than the tokenizer would choose: look two further back.
        self.tail = max(lengths, default=0) + 2

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Return which rows (B,) are done."""
        tails = self.tokenizer.batch_decode(input_ids[:, self.prompt_length :][:, -self.tail :])
        return torch.tensor([any(text in tail for text in self.stop) for tail in tails], device=input_ids.device)


class Generator:
    """Continues contexts greedily on one model as it is now; keeps nothing once `generate` has returned.

    `batch_size` is halved when memory runs out; `settings` go to the model's own `generate`, and `advance(n)` is told
    of n more finished contexts.
    """

    def __init__(
        self,
        model: SharedModel,
        tokenizer: Any,
        batch_size: int,
        advance: Callable[[int], object],
        **settings: Any,
    ) -> None:
        self.model, self.tokenizer, self.batch_size = model, tokenizer, batch_size
        self.advance, self.settings = advance, settings

    def generate(self, contexts: Sequence[tuple[int, ...]], stop: Sequence[str], new_tokens: int) -> list[list[int]]:
        """Return for each context at most `new_tokens` token ids that follow it, with what ended it and padding."""
        self._stop, self._new_tokens = stop, new_tokens
        # A context's last token must not lie in a stem, for generation starts by reading it: made negative, it equals
        # no other token, and no context is a prefix of another.
        self._rows = sort_rows([(*context[:-1], -1 - context[-1]) for context in contexts])
        self._answers: dict[int, list[int]] = {}
        self._waiting = [self._rows.row_of.count(row) for row in range(len(self._rows.tokens))]
        with torch.no_grad():
            self._visit(grow(self._rows, lambda rows, beyond: rows), self.model.root())
        return [self._answers[row] for row in self._rows.row_of]

    def _visit(self, stem: Stem, past: Any) -> None:
        """Run a stem, the stems that continue it, and its own rows, longest first."""
        if stem.stop > stem.start:
            past = self.model.run(chain(self._rows, stem.first, stem.start, stem.stop), past, [])[1]
        for branch in stem.branches:
            self._visit(branch, past)
        left = sorted(stem.rows, key=lambda row: -len(self._rows.tokens[row]))
        while left:
            taken = left[: self.batch_size]
            try:
                self._run(taken, stem, past)
            except torch.OutOfMemoryError:
                if len(taken) == 1:
                    raise
                self.batch_size = len(taken) // 2
                taken = []
            if not taken:  # outside the handler, whose exception holds on to the failed batch
                free_memory()
            left = left[len(taken) :]
            self.advance(sum(self._waiting[row] for row in taken))

    def _run(self, batch: Sequence[int], stem: Stem, past: Any) -> None:
        """Continue a batch of rows from the stem: prefix, left padding, the rest of the row."""
        prefix = list(self._rows.tokens[stem.first][: stem.stop])
        # Ids under virtual tokens are never read, only counted.
        prefix = [self.tokenizer.pad_token_id] * self.model.virtual_tokens + prefix
        rests = [[*row[stem.stop : -1], -1 - row[-1]] for row in (self._rows.tokens[number] for number in batch)]
        width = max(len(rest) for rest in rests)
        padding = [width - len(rest) for rest in rests]
        pad = self.tokenizer.pad_token_id
        ids = [prefix + [pad] * more + rest for more, rest in zip(padding, rests, strict=True)]
        mask = [[1] * len(prefix) + [0] * more + [1] * (width - more) for more in padding]
        cache = copied(past)
        cache.batch_repeat_interleave(len(batch))
        length = len(prefix) + width
        output = self.model.inner.generate(
            input_ids=torch.tensor(ids, device=self.model.device),
            attention_mask=torch.tensor(mask, device=self.model.device),
            past_key_values=cache,
            max_length=length + self._new_tokens,
            stopping_criteria=StoppingCriteriaList([StopStrings(self.tokenizer, self._stop, length)]),
            pad_token_id=pad,
            use_cache=True,
            **self.settings,
        )
        self._answers.update(zip(batch, output[:, length:].tolist(), strict=True))
