"""What a difference between two entries is worth: intervals, paired tests, corrections, ties, detectable differences.

Rows that repeat one another are no independent evidence, so everything here counts clusters: intervals take the
effective number of rows, paired tests flip or draw whole clusters.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
SEED = 20260


@dataclass(frozen=True)
class Interval:
    """A 95% interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """A paired comparison on the same rows: how much the second is better than the first, and how surely."""

    difference: float
    p_value: float
    method: str


def wilson(share: float, n: float, level: float = 0.95) -> Interval:
    """Return the Wilson score interval of a share of n rows (Wilson 1927); n may be an effective, fractional number."""
    from scipy.stats import norm

    if n <= 0:
        return Interval(0.0, 1.0)
    z = float(norm.ppf(0.5 + level / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * float(np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def effective_n(share: float, stderr: float | None, n: int) -> float:
    """Return how many independent rows would give this standard error of a share (Kish's design effect)."""
    if stderr is None:
        return 1.0
    if stderr == 0 or share in (0.0, 1.0):
        return float(n)
    return min(float(n), share * (1 - share) / stderr**2)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> Comparison:
    """Compare two lists of right and wrong on the same independent rows by the exact McNemar test (1947)."""
    from statsmodels.stats.contingency_tables import mcnemar as exact

    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    table = [[int((a & b).sum()), int((a & ~b).sum())], [int((~a & b).sum()), int((~a & ~b).sum())]]
    return Comparison(float(b.mean() - a.mean()), float(exact(table, exact=True).pvalue), "exact McNemar")


def permutation(
    first: Sequence[str],
    second: Sequence[str],
    clusters: Sequence[str],
    metric: Callable[[Sequence[str]], float],
    resamples: int = 999,
) -> Comparison:
    """Compare two lists of predictions by a paired permutation test that swaps whole clusters between the two.

    `metric` maps predictions in row order to a number. The p-value counts the observed arrangement as one of the
    draws, so it is never zero (Phipson and Smyth 2010).
    """
    a, b = np.asarray(first, dtype=object), np.asarray(second, dtype=object)
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    observed = metric(list(b)) - metric(list(a))
    random = np.random.default_rng(SEED)
    extreme = 0
    for _ in range(resamples):
        swap = random.random(member.max() + 1)[member] < 0.5
        difference = metric(list(np.where(swap, a, b))) - metric(list(np.where(swap, b, a)))
        extreme += abs(difference) >= abs(observed) - 1e-12
    return Comparison(observed, (extreme + 1) / (resamples + 1), "paired permutation")


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected for the number of comparisons (Holm 1979), by the same names."""
    from statsmodels.stats.multitest import multipletests

    if not p_values:
        return {}
    corrected = multipletests(list(p_values.values()), method="holm")[1]
    return {name: float(p) for name, p in zip(p_values, corrected, strict=True)}


def ranks_with_ties(values: Mapping[str, float], same: Callable[[str, str], bool]) -> dict[str, int]:
    """Return ranks from 1, best first; an entry not to be told from the head of the group above shares its rank."""
    ranks: dict[str, int] = {}
    head, rank = "", 0
    for place, name in enumerate(sorted(values, key=lambda name: (-values[name], name)), start=1):
        if not head or not same(head, name):
            head, rank = name, place
        ranks[name] = rank
    return ranks


def detectable_difference(discordant: float, n: float, power: float = 0.8, level: float = 0.05) -> float:
    """Return the smallest difference of accuracy that a paired test on n rows shows with the given power.

    `discordant` is the share of rows on which the two entries differ (Connor 1987, large-sample form for McNemar).
    """
    from scipy.stats import norm

    if n <= 0:
        return 1.0
    z_level, z_power = float(norm.ppf(1 - level / 2)), float(norm.ppf(power))
    root = float(np.sqrt(discordant))
    difference = 1.0
    for _ in range(50):  # the variance under the alternative depends on the difference itself
        inner = max(discordant - difference**2, 0.0)
        difference = min(1.0, (z_level * root + z_power * float(np.sqrt(inner))) / float(np.sqrt(n)))
    return difference
