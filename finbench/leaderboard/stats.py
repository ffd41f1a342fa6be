"""What a difference between two entries is worth: intervals, paired tests, corrections, ties, detectable differences.

Rows that repeat one another are no independent evidence, so everything here counts clusters: intervals take the
effective number of rows, paired tests flip or draw whole clusters.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Metric = Callable[[Floats], Floats]  # (R, K) summed counts to (R,) numbers
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


@lru_cache(maxsize=64)
def _normal_quantile(share: float) -> float:
    return NormalDist().inv_cdf(share)


@lru_cache(maxsize=65536)
def wilson(share: float, n: float, level: float = 0.95) -> Interval:
    """Return the Wilson score interval of a share of n rows (Wilson 1927); n may be an effective, fractional number."""
    if n <= 0:
        return Interval(0.0, 1.0)
    z = _normal_quantile(0.5 + level / 2)
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def effective_n(share: float, stderr: float | None, n: int) -> float:
    """Return how many independent rows would give this standard error of a share (Kish's design effect)."""
    if stderr is None:
        return 1.0
    if stderr == 0 or share in (0.0, 1.0):
        return float(n)
    return min(float(n), share * (1 - share) / stderr**2)


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> Comparison:
    """Compare two lists of right and wrong on the same independent rows by the exact McNemar test (1947).

    Of the rows that one of the two alone answers rightly, the first's are binomial with one half if they are equal.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    fewer, both = sorted((int((a & ~b).sum()), int((~a & b).sum())))
    p_value = min(1.0, 2 * _at_most(fewer, fewer + both))
    return Comparison(float(b.mean() - a.mean()), p_value, "exact McNemar")


def _at_most(successes: int, trials: int) -> float:
    """Return the probability of at most so many successes at one half each, in whole numbers up to the last division.

    As scipy.special.bdtr gives it, whose import takes longer than the boards of a hundred cells.
    """
    ways = found = 1
    for taken in range(successes):
        ways = ways * (trials - taken) // (taken + 1)
        found += ways
    return found / (1 << trials)


def permutation(first: Floats, second: Floats, metric: Metric, resamples: int = 999) -> Comparison:
    """Compare two entries by a paired permutation test that swaps whole clusters between the two.

    `first` and `second` hold one line a cluster: counts of what became of its rows, the same columns in both, (C, K);
    `metric` maps summed counts (R, K) to R numbers. The p-value counts the observed arrangement as one of the draws,
    so it is never zero (Phipson and Smyth 2010).
    """
    observed = float(metric(second.sum(axis=0)[None])[0] - metric(first.sum(axis=0)[None])[0])
    gained = (first - second)[(first != second).any(axis=1)]  # (D, K): swapping equal clusters changes nothing
    coins = np.random.default_rng(SEED).integers(0, 256, (resamples, -(-len(gained) // 8)), dtype=np.uint8)
    swap = np.unpackbits(coins, axis=1, count=len(gained)).astype(np.float32)  # (R, D): a bit a cluster
    # (R, K): what the second gains by the swaps and the first loses, in whole numbers, which float32 holds
    moved = (swap @ gained.astype(np.float32)).astype(np.float64)
    differences = metric(second.sum(axis=0) + moved) - metric(first.sum(axis=0) - moved)
    extreme = int((np.abs(differences) >= abs(observed) - 1e-12).sum())
    return Comparison(observed, (extreme + 1) / (resamples + 1), "paired permutation")


def bootstrap(
    kinds: Floats, times: npt.NDArray[np.int64], metric: Metric, resamples: int = 999, level: float = 0.95
) -> Interval:
    """Return the percentile interval of a metric over clusters drawn with replacement (Efron 1979).

    Clusters with the same counts are drawn together, which is the same distribution in a fraction of the time: `kinds`
    (U, K) are the different counts, `times` (U,) says how many clusters have them; `metric` is as in `permutation`.
    """
    n = int(times.sum())
    drawn = np.random.default_rng(SEED).multinomial(n, times / n, size=resamples)  # (R, U)
    values = metric(drawn.astype(np.float64) @ kinds)
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high))


def accuracy_of(counts: Floats) -> Floats:
    """Return the accuracies of R confusion matrices that lie flat, (R, L * (L + 1)); the last column is unread."""
    matrices = _square(counts)
    right: Floats = np.trace(matrices[:, :, :-1], axis1=1, axis2=2)
    return np.asarray(right / np.maximum(matrices.sum(axis=(1, 2)), 1.0))


def f1_of(counts: Floats) -> Floats:
    """Return the F1s, weighted by the classes' true rows, of R flat confusion matrices (R, L * (L + 1))."""
    matrices = _square(counts)
    support = matrices.sum(axis=2)  # (R, L)
    right = np.einsum("rll->rl", matrices[:, :, :-1])
    predicted = matrices[:, :, :-1].sum(axis=1)
    f1 = 2 * right / np.maximum(support + predicted, 1.0)
    return np.asarray((f1 * support).sum(axis=1) / np.maximum(support.sum(axis=1), 1.0))


def _square(counts: Floats) -> Floats:
    labels = round((np.sqrt(1 + 4 * counts.shape[1]) - 1) / 2)  # L * (L + 1) columns
    return counts.reshape(len(counts), labels, labels + 1)


@dataclass(frozen=True)
class Spread:
    """Results of several seeds: their mean and the sample's standard deviation, None for a single one."""

    mean: float
    deviation: float | None
    n: int

    def __str__(self) -> str:
        """Return mean ± standard deviation."""
        return f"{self.mean:.4f}" + (f" ± {self.deviation:.4f}" if self.deviation is not None else "")


def over_seeds(values: Sequence[float]) -> Spread:
    """Return mean and spread of the results that the same recipe gave with several seeds."""
    mean = float(np.mean(values))
    return Spread(mean, float(np.std(values, ddof=1)) if len(values) > 1 else None, len(values))


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Return p-values corrected for the number of comparisons (Holm 1979), by the same names.

    Written out, since statsmodels' own collects garbage at every call, which takes half a second among many cells.
    """
    corrected: dict[str, float] = {}
    highest = 0.0
    for done, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, p_values[name] * (len(p_values) - done)))
        corrected[name] = highest
    return corrected


def detectable_difference(discordant: float, n: float, power: float = 0.8, level: float = 0.05) -> float:
    """Return the smallest difference of accuracy that a paired test on n rows shows with the given power.

    `discordant` is the share of rows on which the two entries differ (Connor 1987, large-sample form for McNemar).
    """
    if n <= 0:
        return 1.0
    z_level, z_power = _normal_quantile(1 - level / 2), _normal_quantile(power)
    root = float(np.sqrt(discordant))
    difference = 1.0
    for _ in range(50):  # the variance under the alternative depends on the difference itself
        inner = max(discordant - difference**2, 0.0)
        difference = min(1.0, (z_level * root + z_power * float(np.sqrt(inner))) / float(np.sqrt(n)))
    return difference
