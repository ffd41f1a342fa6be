"""Kinds of answers: how gold and answer are read, and which metrics follow.

A new kind is a file here, a name in `KINDS`, and a function in `finbench/scoring/for_lm_eval.py` for its task YAMLs.
"""

from collections.abc import Mapping

from finbench.errors import FinbenchError
from finbench.scoring.kinds import (
    bertscore,
    choice,
    formula,
    label,
    labels,
    multiple_choice,
    number,
    spans,
    tag,
    tags,
    text,
)
from finbench.scoring.kinds.kind import Kind

KINDS: Mapping[str, Kind] = {
    module.KIND.name: module.KIND
    for module in (choice, label, labels, number, formula, tag, tags, spans, text, bertscore, multiple_choice)
}


def kind_called(name: str) -> Kind:
    """Return the kind of that name.

    Raises:
        FinbenchError: there is none.

    """
    if name not in KINDS:
        raise FinbenchError(f"no kind of answer is called {name!r}; there are {', '.join(KINDS)}.")
    return KINDS[name]
