"""A free text, compared by its meaning as a model sees it: BERTScore, beside what kind `text` measures.

The model lies in a local folder (`finbench.scoring.bertscore`), and its hash is in the rows' settings, so in the key.
"""

from collections.abc import Sequence

from finbench.records import Outcome
from finbench.scoring.bertscore import f1
from finbench.scoring.kinds.kind import Doc, Kind, settings_of
from finbench.scoring.kinds.text import KIND as TEXT


def read_meaning(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the answer's words, and how near it is to the right one; an answer without a word is worth nothing."""
    plain = TEXT.read(doc, results)
    near = f1(doc["answer"], str(results[0]).strip(), settings_of(doc)) if plain.prediction else 0.0
    return Outcome(plain.row_id, plain.cluster, plain.gold, plain.prediction, (near, *plain.scores))


KIND = Kind(
    name="bertscore",
    output_type="generate_until",
    read=read_meaning,
    measures=("bertscore", *TEXT.measures),
    primary="bertscore",
    settings=("bertscore",),
    asks=TEXT.asks,
    gold=TEXT.gold,
    answer=TEXT.answer,
)
