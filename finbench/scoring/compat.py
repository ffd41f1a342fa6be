"""How other harnesses score: the same generated answers by their rules, beside ours, to show the gap.

These rules are kept for one purpose, to explain a published number, and nothing else may score by them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from finbench.scoring.kinds.number import values_in
from finbench.scoring.kinds.tag import tag_in
from finbench.scoring.labels import label_in

SENTIMENT = {"negative", "neutral", "positive"}


@dataclass(frozen=True)
class Answer:
    """One generated answer: the row's true label or text, the task's labels (none where it asks for free text)."""

    gold: str
    labels: tuple[str, ...]
    text: str


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

    `only_gold_classes` says that its F1 averages over the gold classes alone; otherwise every text that was answered
    counts as a class.
    """

    name: str
    defect: str
    read: Callable[[Answer], tuple[str, str] | None]
    only_gold_classes: bool = False


def _right(answer: Answer) -> tuple[str, str]:
    """Read as finbench does: whole words on the first line, one label or none."""
    if answer.labels:
        return answer.gold, label_in(answer.text, answer.labels)
    if gold := tag_in(answer.gold):
        return gold, tag_in(answer.text)
    return values_in(answer.gold, answer.text)


def _fingpt(answer: Answer) -> tuple[str, str] | None:
    """FinGPT: "positive" anywhere wins, then "negative", all else is neutral; of yes and no all but "yes" is no."""
    if set(answer.labels) == SENTIMENT:

        def sentiment(text: str) -> str:
            return next((one for one in ("positive", "negative") if one in text or one.title() in text), "neutral")

        return sentiment(answer.gold), sentiment(answer.text)
    if set(answer.labels) == {"Yes", "No"}:
        return answer.gold, "Yes" if "yes" in answer.text.lower() else "No"
    return None


def _finlora(answer: Answer) -> tuple[str, str]:
    """FinLoRA: right if the truth stands anywhere in the answer, else the whole answer is a class of its own."""
    return answer.gold, answer.gold if answer.gold.lower() in answer.text.lower() else answer.text


def _pixiu(answer: Answer) -> tuple[str, str] | None:
    """PIXIU: the first label of its list that stands anywhere in the answer, else "missing"."""
    if not answer.labels:
        return None
    names, text = [label.lower() for label in answer.labels], answer.text.strip().lower()
    return answer.gold.lower(), next((name for name in names if name in text), "missing")


RULES = (
    Rule("finbench", "", _right, only_gold_classes=True),
    Rule("fingpt", "what cannot be read counts as neutral (or no); a label inside another word counts", _fingpt),
    Rule("finlora", "the truth inside a longer answer counts; a wrong answer is no class's false positive", _finlora),
    Rule("pixiu", "the first label of a list wins over the one that was meant", _pixiu, only_gold_classes=True),
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
    for rule in RULES:
        pairs = [pair for answer in answers if (pair := rule.read(answer)) is not None]
        if len(pairs) < len(answers) or not pairs:
            continue
        golds, said = [gold for gold, _ in pairs], [answer for _, answer in pairs]
        labels = sorted(set(golds) | (set() if rule.only_gold_classes else set(said)))
        hits = sum(gold == answer for gold, answer in pairs) / len(pairs)
        f1 = f1_score(golds, said, labels=labels, average="weighted", zero_division=0)
        found.append(Verdict(rule.name, hits, float(f1), rule.defect))
    return found


def defective_rows(task: str, answers: Sequence[Answer]) -> dict[str, list[Answer]]:
    """Return the answers with the gold labels of other harnesses' defective rows, by a name that says the defect."""
    return {
        name: [Answer(swapped.get(one.gold, one.gold), one.labels, one.text) for one in answers]
        for name, swapped in DEFECTIVE_ROWS.get(task, {}).items()
    }
