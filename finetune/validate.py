"""Validation as scoring does it: the same requests, the same reading of answers, the same metrics."""

from typing import Any

from finbench.records import Outcome
from finbench.scoring.answers import READERS
from finbench.scoring.metrics import summarise


def validation_metrics(
    lm: Any, tasks: dict[str, Any], docs: dict[str, list[Any]], num_fewshot: int | None = None
) -> dict[str, float]:
    """Return the metrics of the held-out train rows, averaged over tasks, and the mean loss of right answers.

    `num_fewshot` takes the place of the tasks' own number of shots.
    """
    lm.model.eval()
    of_task = [_of_task(lm, tasks[name], rows, num_fewshot) for name, rows in docs.items()]
    names = set.intersection(*(set(found) for found in of_task))
    return {name: sum(found[name] for found in of_task) / len(of_task) for name in sorted(names)}


def _of_task(lm: Any, task: Any, docs: list[Any], num_fewshot: int | None) -> dict[str, float]:
    requests = []
    shots = task.config.num_fewshot if num_fewshot is None else num_fewshot
    for number, doc in enumerate(docs):
        context = task.fewshot_context(doc, shots or 0)
        made = task.construct_requests(doc, context, doc_id=number, metadata=(task.task_name, number, 1))
        requests.append(made if isinstance(made, list) else [made])
    flat = [request for row in requests for request in row]
    answers = iter(getattr(lm, flat[0].request_type)(flat, disable_tqdm=True))
    reader = READERS[task.config.process_results]
    outcomes = [reader(doc, [next(answers) for _ in row]) for doc, row in zip(docs, requests, strict=True)]
    labels = tuple(docs[0]["choices"])
    found = {name: metric.value for name, metric in summarise(outcomes, labels).items()}
    if outcomes[0].scores:
        found["loss"] = sum(_loss(outcome, labels) for outcome in outcomes) / len(outcomes)
    return found


def _loss(outcome: Outcome, labels: tuple[str, ...]) -> float:
    return -outcome.scores[labels.index(outcome.gold)]
