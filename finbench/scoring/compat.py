"""How other harnesses score: the same generated answers by their rules, beside ours, to show the gap.

These rules are kept for one purpose, to explain a published number, and nothing else may score by them.
"""

import re
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

from finbench.scoring.kinds.number import read_number
from finbench.scoring.kinds.tag import tag_in
from finbench.scoring.labels import label_in

SENTIMENT = {"negative", "neutral", "positive"}
DIGITS = re.compile(r"\d+(?:\.\d+)?%?")


@dataclass(frozen=True)
class Answer:
    """One generated answer: the row's true label or text, the task's labels (none where it asks for free text).

    `settings` say in JSON how the task reads numbers: its tolerance, its point, what a percentage is.
    """

    gold: str
    labels: tuple[str, ...]
    text: str
    settings: str = ""


@dataclass(frozen=True)
class Verdict:
    """How one harness scores a task: accuracy and weighted F1, and in words where its rule goes wrong."""

    rule: str
    accuracy: float
    f1_weighted: float
    defect: str


@dataclass(frozen=True)
class Rule:
    """A harness's rule: the gold and the predicted name of an answer; None where it has no rule for such a task.

    It is given the true answers of all rows too. `only_gold_classes` says that its F1 averages over the gold classes
    alone; otherwise every text that was answered counts as a class. With `leaves_out` an answer of which nothing is
    read ("") is no row at all.
    """

    name: str
    defect: str
    read: Callable[[Answer, Set[str]], tuple[str, str] | None]
    only_gold_classes: bool = False
    leaves_out: bool = False


def _right(answer: Answer, golds: Set[str]) -> tuple[str, str]:
    """Read as finbench does: whole words on the first line, one label or none, a number within the task's tolerance."""
    if answer.labels:
        return answer.gold, label_in(answer.text, answer.labels)
    if gold := tag_in(answer.gold):
        return gold, tag_in(answer.text)
    row = {"id": "", "cluster": "", "answer": answer.gold, "settings": answer.settings}
    read = read_number(row, [answer.text])
    return read.gold, read.gold if read.scores == (1.0,) else read.prediction


def _fingpt(answer: Answer, golds: Set[str]) -> tuple[str, str] | None:
    """FinGPT: "positive" anywhere wins, then "negative", all else is neutral; of yes and no all but "yes" is no."""
    if set(answer.labels) == SENTIMENT:

        def sentiment(text: str) -> str:
            return next((one for one in ("positive", "negative") if one in text or one.title() in text), "neutral")

        return sentiment(answer.gold), sentiment(answer.text)
    if set(answer.labels) == {"Yes", "No"}:
        return answer.gold, "Yes" if "yes" in answer.text.lower() else "No"
    return None


def _finlora(answer: Answer, golds: Set[str]) -> tuple[str, str]:
    """FinLoRA's table: right if the truth stands anywhere in the answer, else the answer is a class of its own."""
    return answer.gold, answer.gold if answer.gold.lower() in answer.text.lower() else answer.text


def _finlora_first(answer: Answer, golds: Set[str]) -> tuple[str, str]:
    """FinLoRA since August 2025: of all true answers of the test set the one that stands first in the text counts.

    Of several that begin at the same place it takes any, by the order of a set; here the right one if it is among them.
    """
    text = answer.text.lower()
    places = {gold: place for gold in golds if (place := text.find(gold.lower())) >= 0}
    first = [gold.lower() for gold, place in places.items() if place == min(places.values())]
    return answer.gold, answer.gold if answer.gold.lower() in first else answer.text


def _flame(answer: Answer, golds: Set[str]) -> tuple[str, str] | None:
    """FLaME on numbers (ConvFinQA): the first digits of an answer, compared as text, without sign and separators.

    Its extraction of the answer by a second model, which comes before, is not repeated here.
    """
    if answer.labels or tag_in(answer.gold) or not DIGITS.search(answer.gold):
        return None
    found = DIGITS.search(answer.text)
    return answer.gold, found[0] if found else ""


def _pixiu(answer: Answer, golds: Set[str]) -> tuple[str, str] | None:
    """PIXIU: the first label of its list that stands anywhere in the answer, else "missing"; a number as it stands."""
    if not answer.labels:
        return None if tag_in(answer.gold) else (answer.gold, answer.text.strip())
    names, text = [label.lower() for label in answer.labels], answer.text.strip().lower()
    return answer.gold.lower(), next((name for name in names if name in text), "missing")


RULES = (
    Rule("finbench", "", _right, only_gold_classes=True),
    Rule("fingpt", "what cannot be read counts as neutral (or no); a label inside another word counts", _fingpt),
    Rule("finlora", "the truth inside a longer answer counts; a wrong answer is no class's false positive", _finlora),
    Rule("finlora2", "the first of all true answers counts: 12 in 1200, a number of the question", _finlora_first),
    Rule("pixiu", "the first label of a list wins; a number is right as it is written alone", _pixiu, True),
    Rule("flame", "answers without digits are left out; signs and thousands are lost", _flame, leaves_out=True),
)

# Rows as other harnesses have them, with the defect in the name: gold labels that stand for others.
DEFECTIVE_ROWS: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "fin_tfns_gen": {"fin_tfns_finlora_swapped_labels": {"positive": "neutral", "neutral": "positive"}},
}


def verdicts(answers: Sequence[Answer]) -> list[Verdict]:
    """Score the same answers by every rule that knows such a task, finbench's first.

    The F1 is scikit-learn's weighted by the gold classes, over the classes that the rule counts.
    """
    from sklearn.metrics import f1_score

    found = []
    truths = {answer.gold for answer in answers}
    for rule in RULES:
        pairs = [pair for answer in answers if (pair := rule.read(answer, truths)) is not None]
        if len(pairs) < len(answers) or not pairs:
            continue
        if rule.leaves_out:
            pairs = [pair for pair in pairs if pair[1]] or [(pairs[0][0], "")]
        golds, said = [gold for gold, _ in pairs], [answer for _, answer in pairs]
        labels = sorted(set(golds) | (set() if rule.only_gold_classes else set(said)))
        hits = sum(gold == answer for gold, answer in pairs) / len(pairs)
        f1 = f1_score(golds, said, labels=labels, average="weighted", zero_division=0)
        found.append(Verdict(rule.name, hits, float(f1), rule.defect))
    return found


def defective_rows(task: str, answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """Return the answers with the gold labels of other harnesses' defective rows, by a name that says the defect."""
    return {
        name: [replace(one, gold=swapped.get(one.gold, one.gold)) for one in answers]
        for name, swapped in DEFECTIVE_ROWS.get(task, {}).items()
    }
