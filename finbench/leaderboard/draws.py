"""Whether one of two entries has the higher value of a metric that is no sum over rows, such as F1: drawn swaps."""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from finbench.leaderboard.exact import Comparison, Floats, Integers, floor_of

Metric = Callable[[Floats], Floats]  # (R, K) summed counts to (R,) numbers
SEED = 20260
EQUAL = 1e-12  # differences of a metric that are one number, computed in another order
NEAR_THE_END = 0.95  # of the largest difference that swaps can make: none lies beyond, so none is aimed at


def permutation(
    first: Floats, second: Floats, times: Integers, metric: Metric, resamples: int = 999, seed: int = SEED
) -> Comparison:
    """Compare two entries by a paired permutation test that swaps whole clusters between the two.

    Clusters with the same counts in both are drawn together: `first` and `second` (U, K) are the different pairs of
    counts, the same columns in both, and `times` (U,) says how many clusters have them.

    Plain draws cannot show a p-value below one over their number, which under a correction for many comparisons calls
    nothing different. So swaps are drawn towards differences as large as the observed one and weighted back, which
    finds a p-value of 1e-30 as well as one of 0.1 in as many draws. The observed arrangement counts as one of them, so
    that chance makes p rather too large than too small (Harrison 2012, Conservative hypothesis tests and confidence
    intervals using importance sampling). Swapping all clusters turns the difference around, so both sides are twice
    the one.
    """
    one, other = times @ first, times @ second  # (K,)
    observed = float(metric(other[None])[0] - metric(one[None])[0])
    moving = (first != second).any(axis=1)
    gained, times = (first - second)[moving], times[moving]  # (U, K), (U,)
    floor = floor_of(int(times.sum()))
    if abs(observed) <= EQUAL:
        return Comparison(observed, 1.0, "paired permutation", floor)
    shares = _towards(abs(observed), math.copysign(1.0, observed) * _effects((one + other) / 2, gained, metric), times)
    drawn = np.random.default_rng(seed).binomial(times[:, None], shares[:, None], (len(times), resamples))  # (U, R)
    moved = drawn.T @ gained  # (R, K)
    differences = metric(other + moved) - metric(one - moved)
    extreme = math.copysign(1.0, observed) * differences >= abs(observed) - EQUAL
    stay, swap = np.log(0.5) - np.log1p(-shares), np.log(0.5) - np.log(shares)
    weights = np.exp(times @ stay + (swap - stay) @ drawn[:, extreme])
    p_value = 2 * (math.exp(times @ stay) + float(weights.sum())) / (resamples + 1)
    return Comparison(observed, min(1.0, max(p_value, np.finfo(np.float64).tiny)), "paired permutation", floor)


def _effects(middle: Floats, gained: Floats, metric: Metric) -> Floats:
    """Return by how much swapping one cluster of each kind moves the difference, seen from half of all swaps, (U,)."""
    return 2 * (metric(middle + gained / 2) - metric(middle - gained / 2))


def _towards(observed: float, effects: Floats, times: Integers) -> Floats:
    """Return with which share each kind's clusters are swapped so that the difference is the observed one on average.

    No swap at all gives the observed difference and half of all swaps gives none, as far as effects add up.
    """
    wanted = min(observed, NEAR_THE_END * float(times @ np.abs(effects)) / 2)

    def shares_at(strength: float) -> npt.NDArray[np.float64]:
        return np.asarray(1 / (1 + np.exp(-np.clip(strength * effects, -30, 30))))

    low, high = 0.0, 1.0
    while times @ ((shares_at(high) - 0.5) * effects) < wanted and high < 1e12:
        high *= 4
    for _ in range(30):
        middle = (low + high) / 2
        if times @ ((shares_at(middle) - 0.5) * effects) < wanted:
            low = middle
        else:
            high = middle
    return shares_at(low)
