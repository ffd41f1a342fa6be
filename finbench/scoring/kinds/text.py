"""A free text, compared by the words that it shares with the right one: ROUGE-L and token F1."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from finbench.records import Outcome
from finbench.scoring.folding import plain
from finbench.scoring.kinds.kind import Doc, Kind
from finbench.scoring.labels import UNSPACED

WORD = re.compile(rf"[{UNSPACED}]|[^\W_{UNSPACED}]+")


class Words:
    """The words of a text, as rouge-score asks for them; its own tokenizer knows the letters a to z alone."""

    def tokenize(self, text: str) -> list[str]:
        """Return the words without case and punctuation; in scripts without spaces, the characters."""
        return WORD.findall(plain(text))


@lru_cache(maxsize=1)
def _rouge() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=Words())


def rouge_l(gold: str, said: str) -> float:
    """Return ROUGE-L's F1 (Lin 2004): of the longest common subsequence of words."""
    return float(_rouge().score(gold, said)["rougeL"].fmeasure)


def token_f1(gold: str, said: str) -> float:
    """Return the F1 of the bags of words (Rajpurkar et al. 2016)."""
    wanted, found = (Counter(Words().tokenize(text)) for text in (gold, said))
    same = (wanted & found).total()
    return 2 * same / (wanted.total() + found.total()) if same else 0.0


def read_text(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the answer's words, and how near they are to the right ones."""
    gold, said = doc["answer"], str(results[0]).strip()
    words = [" ".join(Words().tokenize(text)) for text in (gold, said)]
    return Outcome(doc["id"], doc["cluster"], words[0], words[1], (rouge_l(gold, said), token_f1(gold, said)))


def _gold(answer: str, settings: Mapping[str, Any]) -> str:
    return "" if Words().tokenize(answer) else "holds no word"


KIND = Kind(
    name="text",
    output_type="generate_until",
    read=read_text,
    measures=("rouge_l", "token_f1"),
    primary="rouge_l",
    asks="Answer in a few words.",
    gold=_gold,
    answer=lambda doc, text: text.strip(),
)
