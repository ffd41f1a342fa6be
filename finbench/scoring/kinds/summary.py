"""The metrics of a cell by the kind of its answers, each with a standard error clustered where rows repeat."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from finbench.records import Metric, Outcome
from finbench.scoring.kinds import kind_called
from finbench.scoring.kinds.labels import named
from finbench.scoring.metrics import Floats, clustered_stderr, ratio, resampled, shares
from finbench.scoring.metrics import summarise as of_classes

RIGHT, SAID, WANTED = range(3)
RATIOS: Mapping[str, Callable[[Floats], Floats]] = {  # of counts (..., L, 3)
    "precision": lambda counts: ratio(counts.sum(-2)[..., RIGHT], counts.sum(-2)[..., SAID]),
    "recall": lambda counts: ratio(counts.sum(-2)[..., RIGHT], counts.sum(-2)[..., WANTED]),
    "f1": lambda counts: _f1(counts.sum(-2)),
    "f1_macro": lambda counts: _f1(counts).mean(-1),
}


def summarise(outcomes: Sequence[Outcome], labels: Sequence[str], kind: str) -> dict[str, Metric]:
    """Return every metric of the outcomes; `labels` are the classes, or the labels of which several may be named.

    Means of rows (accuracy, measures, the unread share) have the cluster-robust error of a mean (Liang and Zeger 1986),
    metrics of all rows a bootstrap over clusters with a fixed seed.

    Raises:
        FinbenchError: there is no outcome, or no kind of that name.

    """
    found = kind_called(kind)
    if found.classes:
        return of_classes(outcomes, labels)
    metrics, clusters = shares(outcomes), [outcome.cluster for outcome in outcomes]
    if all(len(outcome.scores) == len(found.measures) for outcome in outcomes):
        for place, name in enumerate(found.measures):
            values = np.array([outcome.scores[place] for outcome in outcomes])
            metrics[name] = Metric(float(values.mean()), clustered_stderr(values, clusters))
    for name in found.ratios:
        metrics[name] = Metric(ratio_of(name, outcomes, kind, labels), spread_of(name, outcomes, kind, labels))
    return metrics


def ratio_of(name: str, outcomes: Sequence[Outcome], kind: str, labels: Sequence[str]) -> float:
    """Return a metric that follows from what was right, said and wanted in all rows."""
    return float(RATIOS[name](_counts(outcomes, kind, labels).sum(0)))


def spread_of(name: str, outcomes: Sequence[Outcome], kind: str, labels: Sequence[str]) -> float | None:
    """Return its standard error over resampled clusters, None where there is but one."""
    clusters = [outcome.cluster for outcome in outcomes]
    if len(set(clusters)) < 2:
        return None
    _, member = np.unique(np.array(clusters), return_inverse=True)
    counts = _counts(outcomes, kind, labels)
    parts = np.zeros((int(member.max()) + 1, *counts.shape[1:]))
    np.add.at(parts, member, counts)
    return float(RATIOS[name](resampled(parts)).std(ddof=1))


def _counts(outcomes: Sequence[Outcome], kind: str, labels: Sequence[str]) -> Floats:
    """Return what was right, said and wanted, (N, L, 3): by label, or with L = 1 where there are no labels."""
    if not kind_called(kind).by_label:
        return np.array([outcome.scores for outcome in outcomes])[:, None, :]
    place = {label: n for n, label in enumerate(labels)}
    counts = np.zeros((len(outcomes), len(labels), 3))
    for row, outcome in enumerate(outcomes):
        wanted, said = named(outcome.gold), named(outcome.prediction)
        for which, names in ((RIGHT, wanted & said), (SAID, said), (WANTED, wanted)):
            counts[row, [place[name] for name in names], which] = 1
    return counts


def _f1(counts: Floats) -> Floats:
    return ratio(2 * counts[..., RIGHT], counts[..., SAID] + counts[..., WANTED])
