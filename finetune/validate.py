"""Validation as scoring does it: the same requests, the same reading of answers, the same metrics."""

from collections.abc import Sequence
from typing import Any

from finbench.records import Outcome
from finbench.scoring.kinds.summary import summarise
from finbench.scoring.metrics import confusion
from finbench.tasks.load import kind_of
from finbench.tasks.prompting import PLAIN, Prompting


class Validation:
    """The held-out train rows of each task, and how the model answered them when it was last asked.

    `prompting` says how their prompts are made.
    """

    def __init__(
        self, lm: Any, tasks: dict[str, Any], docs: dict[str, list[Any]], prompting: Prompting = PLAIN
    ) -> None:
        self.lm, self.tasks, self.docs, self.prompting = lm, tasks, docs, prompting
        self.confusions: dict[str, dict[str, Any]] = {}

    def __call__(self) -> dict[str, float]:
        """Return the metrics, averaged over tasks, and the mean loss of right answers."""
        self.lm.model.eval()
        of_task = [self._of_task(name, rows) for name, rows in self.docs.items()]
        names = set.intersection(*(set(found) for found in of_task))
        return {name: sum(found[name] for found in of_task) / len(of_task) for name in sorted(names)}

    def _of_task(self, name: str, docs: list[Any]) -> dict[str, float]:
        outcomes = outcomes_of(self.lm, self.tasks[name], docs, self.prompting)
        choices: list[list[str]] = [doc["choices"] for doc in docs]
        labels = tuple(sorted(choices, key=len)[-1])  # a row may have fewer options
        kind = kind_of(name, self.tasks[name])
        found = {metric: value.value for metric, value in summarise(outcomes, labels, kind.name).items()}
        if kind.output_type == "multiple_choice":
            found["loss"] = sum(_loss(outcome, labels) for outcome in outcomes) / len(outcomes)
        if kind.classes:
            matrix = confusion([o.gold for o in outcomes], [o.prediction for o in outcomes], labels)
            self.confusions[name] = {"labels": list(labels), "matrix": matrix.astype(int).tolist()}
        return found


def outcomes_of(lm: Any, task: Any, docs: Sequence[Any], prompting: Prompting = PLAIN) -> list[Outcome]:
    """Return the model's answers to these docs of a task, asked and read as scoring does it."""
    requests = [prompting.requests(task, doc, number, lm) for number, doc in enumerate(docs)]
    flat = [request for row in requests for request in row]
    answers = iter(getattr(lm, flat[0].request_type)(flat, disable_tqdm=True))
    read = kind_of(task.task_name, task).read
    return [read(doc, [next(answers) for _ in row]) for doc, row in zip(docs, requests, strict=True)]


def _loss(outcome: Outcome, labels: tuple[str, ...]) -> float:
    return -outcome.scores[labels.index(outcome.gold)]
