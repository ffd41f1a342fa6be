"""A label, chosen by comparing the log-likelihoods of all of them."""

import math
from collections.abc import Sequence

from finbench.errors import FinbenchError
from finbench.records import Outcome
from finbench.scoring.kinds.kind import Doc, Kind


def choose(doc: Doc, results: Sequence[tuple[float, bool]]) -> Outcome:
    """Return the label with the highest log-likelihood; the first of equals wins.

    Raises:
        FinbenchError: a log-likelihood is not a number, so the model's answer means nothing.

    """
    scores = tuple(float(score) for score, _ in results)
    if any(math.isnan(score) for score in scores):
        raise FinbenchError(
            f"row {doc['id']!r}: a log-likelihood is NaN ({scores}). The model is broken at this precision: "
            "try dtype=float32, and check that the adapter was trained on this base."
        )
    best = max(range(len(scores)), key=lambda n: scores[n])
    return Outcome(doc["id"], doc["cluster"], doc["label"], doc["choices"][best], scores)


KIND = Kind(
    name="choice",
    output_type="multiple_choice",
    read=choose,
    classes=True,
    asks="Which class does this text belong to?",
)
