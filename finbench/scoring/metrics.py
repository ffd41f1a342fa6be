"""Metrics from a confusion matrix, each with a standard error clustered where rows repeat.

Every metric here is a function of the confusion matrix alone: gold classes are its rows, predicted classes its
columns, and one more column counts answers that could not be read. So a wrong or unread answer lowers its gold class's
recall, and only an answer that names a class can be that class's false positive, as scikit-learn has it with fixed
labels. The functions take stacks of matrices, which makes the bootstrap one matrix product.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from finbench.errors import FinbenchError
from finbench.records import Metric, Outcome

Floats = npt.NDArray[np.float64]
Item = tuple[str, str, Sequence[str]]

RESAMPLES = 500
SEED = 20260


def confusion(golds: Sequence[str], predictions: Sequence[str], labels: Sequence[str]) -> Floats:
    """Return the confusion matrix (L, L + 1): gold by predicted label, unread answers in the last column."""
    place = {label: n for n, label in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels) + 1))
    for gold, prediction in zip(golds, predictions, strict=True):
        matrix[place[gold], place.get(prediction, len(labels))] += 1
    return matrix


def ratio(top: Floats, bottom: Floats) -> Floats:
    """Divide, with 0 where nothing is to be divided (scikit-learn's `zero_division=0`)."""
    return np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)


def by_class(matrices: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return precision, recall, F1 and support by class, (..., L) each, of matrices (..., L, L + 1)."""
    hits = np.diagonal(matrices, axis1=-2, axis2=-1).astype(np.float64)  # (..., L); the unread column is cut off
    support = matrices.sum(-1)
    predicted = matrices[..., :-1].sum(-2)
    precision, recall = ratio(hits, predicted), ratio(hits, support)
    return precision, recall, ratio(2 * hits, support + predicted), support


def _accuracy(matrices: Floats) -> Floats:
    return ratio(np.diagonal(matrices, axis1=-2, axis2=-1).sum(-1), matrices.sum((-2, -1)))


def _weighted(which: int) -> Callable[[Floats], Floats]:
    def metric(matrices: Floats) -> Floats:
        parts = by_class(matrices)
        return ratio((parts[which] * parts[3]).sum(-1), parts[3].sum(-1))

    return metric


def _f1_macro(matrices: Floats) -> Floats:
    return by_class(matrices)[2].mean(-1)


def _mcc(matrices: Floats) -> Floats:
    """Matthews correlation for several classes (Gorodkin 2004), unread answers counted as a class of their own."""
    gold = matrices.sum(-1)
    predicted = matrices.sum(-2)  # (..., L + 1)
    total = gold.sum(-1)
    hits = np.diagonal(matrices, axis1=-2, axis2=-1).sum(-1)
    covariance = hits * total - (gold * predicted[..., :-1]).sum(-1)
    spread = (total**2 - (predicted**2).sum(-1)) * (total**2 - (gold**2).sum(-1))
    return ratio(covariance, np.sqrt(spread))


def _unparsed(matrices: Floats) -> Floats:
    return ratio(matrices[..., -1].sum(-1), matrices.sum((-2, -1)))


METRICS: dict[str, Callable[[Floats], Floats]] = {
    "accuracy": _accuracy,
    "f1_weighted": _weighted(2),
    "precision_weighted": _weighted(0),
    "recall_weighted": _weighted(1),
    "f1_macro": _f1_macro,
    "mcc": _mcc,
    "unparsed": _unparsed,
}


def shares(outcomes: Sequence[Outcome]) -> dict[str, Metric]:
    """Return exact match and the share of answers that could not be read.

    Raises:
        FinbenchError: there is no outcome.

    """
    if not outcomes:
        raise FinbenchError("no row was scored, so there is nothing to summarise; check the cap on rows.")
    clusters = [outcome.cluster for outcome in outcomes]
    hits = np.array([outcome.prediction == outcome.gold for outcome in outcomes], dtype=np.float64)
    unread = np.array([outcome.prediction == "" for outcome in outcomes], dtype=np.float64)
    return {
        "accuracy": Metric(float(hits.mean()), clustered_stderr(hits, clusters)),
        "unparsed": Metric(float(unread.mean()), clustered_stderr(unread, clusters)),
    }


def summarise(outcomes: Sequence[Outcome], labels: Sequence[str]) -> dict[str, Metric]:
    """Return every metric of outcomes that are one class each, with its standard error; without labels the shares.

    Shares (accuracy, unparsed) have the cluster-robust error of a mean (Liang and Zeger 1986); the others a bootstrap
    over clusters with a fixed seed.

    Raises:
        FinbenchError: there is no outcome.

    """
    means = shares(outcomes)
    if not labels:
        return means
    whole, drawn = _bootstrap(outcomes, labels)
    metrics = {}
    for name, function in METRICS.items():
        spread = float(function(drawn).std(ddof=1)) if len({one.cluster for one in outcomes}) > 1 else None
        metrics[name] = means.get(name) or Metric(float(function(whole)), spread)
    return metrics


def bootstrapped(name: str, outcomes: Sequence[Outcome], labels: Sequence[str]) -> float | None:
    """Return one metric's standard error over resampled clusters, None where there is but one cluster."""
    if len({outcome.cluster for outcome in outcomes}) < 2:
        return None
    return float(METRICS[name](_bootstrap(outcomes, labels)[1]).std(ddof=1))


def clustered_stderr(values: Floats, clusters: Sequence[str]) -> float | None:
    """Return the standard error of a mean whose rows are independent between clusters only."""
    _, member = np.unique(np.array(clusters), return_inverse=True)
    groups = int(member.max()) + 1
    if groups < 2:
        return None
    residual = np.bincount(member, weights=values - values.mean(), minlength=groups)
    return float(np.sqrt((residual**2).sum() * groups / (groups - 1)) / len(values))


def _bootstrap(outcomes: Sequence[Outcome], labels: Sequence[str]) -> tuple[Floats, Floats]:
    """Return the confusion matrix of all rows and those of resampled clusters, (B, L, L + 1)."""
    of_cluster: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        of_cluster.setdefault(outcome.cluster, []).append(outcome)
    parts = np.stack(
        [confusion([o.gold for o in rows], [o.prediction for o in rows], labels) for rows in of_cluster.values()]
    )
    return parts.sum(0), resampled(parts)


def resampled(parts: Floats) -> Floats:
    """Return the sums of clusters (C, I, J) that are drawn as many times as there are, (B, I, J)."""
    draws = np.random.default_rng(SEED).multinomial(len(parts), [1 / len(parts)] * len(parts), size=RESAMPLES)
    sums: Floats = np.einsum("bc,cij->bij", draws.astype(np.float64), parts, optimize=True)
    return sums


def _aggregate(name: str, items: Sequence[Item]) -> float:
    golds, predictions = [item[0] for item in items], [item[1] for item in items]
    if not items[0][2]:  # a generating task without classes
        same = [gold == prediction if name == "accuracy" else prediction == "" for gold, prediction, _ in items]
        return float(np.mean(same))
    return float(METRICS[name](confusion(golds, predictions, items[0][2])))


def accuracy(items: Sequence[Item]) -> float:
    """Aggregate lm-eval's items to accuracy (exact match where the task has no classes)."""
    return _aggregate("accuracy", items)


def f1_weighted(items: Sequence[Item]) -> float:
    """Aggregate lm-eval's items to F1 weighted by class frequency."""
    return _aggregate("f1_weighted", items)


def precision_weighted(items: Sequence[Item]) -> float:
    """Aggregate lm-eval's items to precision weighted by class frequency."""
    return _aggregate("precision_weighted", items)


def recall_weighted(items: Sequence[Item]) -> float:
    """Aggregate lm-eval's items to recall weighted by class frequency, which equals accuracy."""
    return _aggregate("recall_weighted", items)


def f1_macro(items: Sequence[Item]) -> float:
    """Aggregate lm-eval's items to the plain mean of the classes' F1."""
    return _aggregate("f1_macro", items)


def mcc(items: Sequence[Item]) -> float:
    """Aggregate lm-eval's items to the Matthews correlation."""
    return _aggregate("mcc", items)


def unparsed(items: Sequence[Item]) -> float:
    """Aggregate lm-eval's items to the share of answers that could not be read."""
    return _aggregate("unparsed", items)


def items_of(outcome: Outcome, labels: Sequence[str]) -> dict[str, Any]:
    """Return what lm-eval's `process_results` hands to each aggregation of the task's metric list."""
    item: Item = (outcome.gold, outcome.prediction, tuple(labels))
    names = METRICS if labels else ("accuracy", "unparsed")
    return dict.fromkeys(names, item)
