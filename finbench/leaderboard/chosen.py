"""What a test is worth that was chosen from many: corrections over all that could have been shown, not over the shown.

The best of forty adapters that do nothing looks better than its base, because it was chosen for looking so.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from finbench.leaderboard.draws import SEED
from finbench.leaderboard.exact import Floats, Integers, tails

LEVEL = 0.05
MOST_DRAWS, LEAST_DRAWS, AT_ONCE = 9999, 999, 256
WORK = 1e9  # multiplications that the draws of one table may take: half a second
SAME = 1 + 1e-9  # p-values that are one number, computed in another order


def holm(p_values: Mapping[str, float], of: int = 0) -> dict[str, float]:
    """Return p-values corrected for the number of comparisons (Holm 1979), by the same names.

    `of` is the number of comparisons that these were chosen from. The others count as if they were less sure than any
    of these, which corrects more than knowing them would.

    Written out, since statsmodels' own collects garbage at every call, which takes half a second among many cells.
    """
    corrected: dict[str, float] = {}
    highest = 0.0
    for done, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        highest = max(highest, min(1.0, p_values[name] * (max(of, len(p_values)) - done)))
        corrected[name] = highest
    return corrected


def needs_draws(p_value: float, corrected: float) -> bool:
    """Say whether a correction by counting comparisons leaves open what is shown: it may correct too much."""
    return p_value < LEVEL <= corrected


def of_least(p_values: Sequence[float], differences: Sequence[Integers]) -> list[float]:
    """Return for each p-value how often the smallest of all would be as small if no entry differed from its base.

    The single step of Westfall and Young (1993): `differences` hold for each entry chosen from by how many rows of each
    cluster it has more right than its base, (C,). A cluster's sign is drawn for all entries at once, so what they share
    (a base, rows that are easy) stays shared, and entries that are much alike count as few. It never corrects more than
    multiplying by the number of entries, up to the draws.
    """
    table = np.stack(differences, axis=1)  # (C, J)
    table = table[(table != 0).any(axis=1)].astype(np.float32)
    limits = np.array([_limits(tails(one), p_values) for one in differences], dtype=np.float32).T  # (T, J)
    draws = int(min(MOST_DRAWS, max(LEAST_DRAWS, WORK / max(table.size, 1))))
    random = np.random.default_rng(SEED)
    as_small = np.zeros(len(p_values), dtype=np.int64)
    for start in range(0, draws, AT_ONCE):
        coins = random.integers(0, 2, (min(AT_ONCE, draws - start), len(table)), dtype=np.int8)
        sums = np.abs((2 * coins - 1).astype(np.float32) @ table)  # (R, J): whole numbers, which float32 holds
        as_small += np.array([int((sums >= limit).any(axis=1).sum()) for limit in limits])
    return [float(count + 1) / (draws + 1) for count in as_small]


def _limits(of_sums: Floats, p_values: Sequence[float]) -> Floats:
    """Return the smallest sums whose p-values are as small as these; infinite where no sum's is."""
    places = np.searchsorted(-of_sums, [-p * SAME for p in p_values])
    return np.where(places < len(of_sums), places, np.inf)
