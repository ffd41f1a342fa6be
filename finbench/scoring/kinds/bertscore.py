"""A free text, compared by its meaning as a model sees it: BERTScore, beside what kind `text` measures.

The model lies in a local folder (`finbench.scoring.bertscore`), and its hash is in the rows' settings, so in the key.
"""

from collections.abc import Sequence

from finbench.records import Outcome
from finbench.scoring.bertscore import f1
from finbench.scoring.kinds import text
from finbench.scoring.kinds.kind import Doc, Kind, settings_of


def read_text(doc: Doc, results: Sequence[str]) -> Outcome:
    """Return the answer's words, and how near it is to the right one; an answer without a word is worth nothing."""
    plain = text.read_text(doc, results)
    near = f1(doc["answer"], str(results[0]).strip(), settings_of(doc)) if plain.prediction else 0.0
    return Outcome(plain.row_id, plain.cluster, plain.gold, plain.prediction, (near, *plain.scores))


KIND = Kind(
    name="bertscore",
    output_type="generate_until",
    read=read_text,
    measures=("bertscore", *text.KIND.measures),
    primary="bertscore",
    settings=("bertscore",),
    asks=text.KIND.asks,
    gold=text.KIND.gold,
    answer=text.KIND.answer,
)
