"""Whether one of two entries answers more rows rightly: exact paired tests, which no number of draws limits.

Rows that repeat one another are no independent evidence, so whole clusters are swapped between the two.
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Comparison:
    """A paired comparison on the same rows: how much the second is better than the first, and how surely.

    `floor` is the smallest p-value that any answers on those clusters that differ could have had: with four of them,
    one eighth. Where it decides, a board must say that there are too few.
    """

    difference: float
    p_value: float
    method: str
    floor: float = 0.0


def floor_of(differing: int) -> float:
    """Return the smallest p-value of a two-sided test that swaps so many clusters."""
    return min(1.0, 2.0 ** (1 - min(differing, 1000)))


def mcnemar(first: Sequence[bool], second: Sequence[bool]) -> Comparison:
    """Compare two lists of right and wrong on the same independent rows by the exact McNemar test (1947).

    Of the rows that one of the two alone answers rightly, the first's are binomial with one half if they are equal.
    """
    a, b = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    fewer, both = sorted((int((a & ~b).sum()), int((~a & b).sum())))
    p_value = min(1.0, 2 * _at_most(fewer, fewer + both))
    return Comparison(float(b.mean() - a.mean()), p_value, "exact McNemar", floor_of(fewer + both))


def _at_most(successes: int, trials: int) -> float:
    """Return the probability of at most so many successes at one half each, in whole numbers up to the last division.

    As scipy.special.bdtr gives it, whose import takes longer than the boards of a hundred cells.
    """
    ways = found = 1
    for taken in range(successes):
        ways = ways * (trials - taken) // (taken + 1)
        found += ways
    return max(found / (1 << trials), sys.float_info.min)  # what is too small for a float is not zero


def swapped(differences: Integers, rows: int) -> Comparison:
    """Compare two entries by all swaps of whole clusters between them, 2 to the power of their number, without drawing.

    `differences` (C,) says by how many rows of each cluster the second has more right than the first, `rows` how many
    rows there are. If the two are equal, each cluster's difference has either sign with one half; the distribution of
    their sum is a convolution of binomials (Zmigrod, Vieira and Cotterell 2022). With clusters of one row it is exact
    McNemar.
    """
    total = int(differences.sum())
    p_value = max(float(tails(differences)[abs(total)]), sys.float_info.min)
    return Comparison(total / rows, p_value, "exact swaps of clusters", floor_of(int(np.count_nonzero(differences))))


def tails(differences: Integers) -> Floats:
    """Return P(|sum| >= s) for s from 0 to the largest sum, where each of the differences has either sign.

    The sum is the largest one less twice what has the other sign, and that is counted size by size.
    """
    sizes, times = np.unique(np.abs(differences[differences != 0]), return_counts=True)
    weights = np.ones(1)  # of what has the other sign, from 0
    for size, number in sorted(zip(sizes.tolist(), times.tolist(), strict=True), key=lambda one: -one[1]):
        ways = _halves(number)
        longer = np.zeros(len(weights) + size * number)
        for taken in np.flatnonzero(ways):
            longer[taken * size : taken * size + len(weights)] += ways[taken] * weights
        weights = longer
    at_most = np.cumsum(weights)
    largest = len(weights) - 1
    found: Floats = np.minimum(1.0, 2 * at_most[(largest - np.arange(largest + 1)) // 2])
    found[0] = 1.0
    return found


def _halves(number: int) -> Floats:
    """Return the probabilities of 0 to `number` heads of as many coins."""
    steps = np.arange(number)
    logs = np.concatenate([[0.0], np.cumsum(np.log((number - steps) / (steps + 1)))])
    return np.asarray(np.exp(logs - number * math.log(2)))
