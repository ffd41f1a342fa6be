"""What a number is worth: intervals, spreads over seeds, detectable differences, and metrics of many matrices at once.

Rows that repeat one another are no independent evidence, so everything here counts clusters: intervals take the
effective number of rows or draw whole clusters.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from finbench.leaderboard.draws import SEED, Metric
from finbench.leaderboard.exact import Floats


@dataclass(frozen=True)
class Interval:
    """A 95% interval."""

    low: float
    high: float


@lru_cache(maxsize=64)
def _normal_quantile(share: float) -> float:
    return NormalDist().inv_cdf(share)


@lru_cache(maxsize=65536)
def wilson(share: float, n: float, level: float = 0.95) -> Interval:
    """Return the Wilson score interval of a share of n rows (Wilson 1927); n may be an effective, fractional number."""
    if n <= 0:
        return Interval(0.0, 1.0)
    z = _normal_quantile(0.5 + level / 2)
    centre = (n * share + z * z / 2) / (n + z * z)  # multiplied by n, so that hardly any rows divide by nothing
    half = z * math.sqrt(n * share * (1 - share) + z * z / 4) / (n + z * z)
    return Interval(max(0.0, centre - half), min(1.0, centre + half))


def effective_n(share: float, stderr: float | None, n: int) -> float:
    """Return how many independent rows would give this standard error of a share (Kish's design effect)."""
    if stderr is None:
        return 1.0
    spread, squared = share * (1 - share), stderr * stderr
    if share in (0.0, 1.0) or spread >= n * squared:  # a standard error may be so small that its square is nothing
        return float(n)
    return spread / squared


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
