"""Drawn swaps against all swaps counted, against scikit-learn, and where plain draws see nothing."""

from itertools import product

import numpy as np
import pytest

from finbench.leaderboard import draws, exact, stats

Counts = tuple[np.ndarray, np.ndarray, np.ndarray]


def kinds_of(gold: np.ndarray, first: np.ndarray, second: np.ndarray) -> Counts:
    """Return the different pairs of lines of two confusion matrices of three classes, and how often each is there."""
    codes, times = np.unique((gold * 4 + first) * 12 + gold * 4 + second, return_counts=True)
    return np.eye(12)[codes // 12], np.eye(12)[codes % 12], times


def answers(share: float, gold: np.ndarray, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.where(random.random(len(gold)) < share, gold, random.integers(0, 3, len(gold)))


def test_permutation_of_f1_is_the_exact_one_by_scikit_learn() -> None:

    from sklearn.metrics import f1_score

    random = np.random.default_rng(3)
    gold = random.integers(0, 3, 40)
    first, second = gold.copy(), gold.copy()
    first[:5], second[5:7] = (gold[:5] + 1) % 3, (gold[5:7] + 2) % 3  # seven rows differ: 128 arrangements

    def difference(one: np.ndarray, other: np.ndarray) -> float:
        return f1_score(gold, other, average="weighted") - f1_score(gold, one, average="weighted")

    observed, swaps = difference(first, second), []
    for swap in product((False, True), repeat=7):
        where = np.concatenate([swap, np.zeros(33, bool)])
        swaps.append(abs(difference(np.where(where, second, first), np.where(where, first, second))))
    counted = np.mean([swap >= abs(observed) - 1e-12 for swap in swaps])
    found = draws.permutation(*kinds_of(gold, first, second), stats.f1_of, 9999)
    assert found.difference == pytest.approx(observed) and found.floor == 2.0**-6
    assert found.p_value == pytest.approx(counted, rel=0.03)


@pytest.mark.parametrize("share", [0.61, 0.64, 0.7, 0.8, 0.95])
def test_p_values_of_any_size_are_found_in_999_draws(share: float) -> None:
    gold = np.random.default_rng(5).integers(0, 3, 1200)
    first, second = answers(0.6, gold, 1), answers(share, gold, 2)
    found = draws.permutation(*kinds_of(gold, first, second), stats.accuracy_of)
    expected = exact.mcnemar(first == gold, second == gold)  # down to 1e-60
    assert found.difference == pytest.approx(expected.difference)
    assert found.p_value == pytest.approx(expected.p_value, rel=0.4)


def test_clusters_are_swapped_whole() -> None:
    gold = np.repeat(np.random.default_rng(0).integers(0, 3, 12), 10)
    right, wrong = gold, np.where(np.arange(120) < 40, (gold + 1) % 3, gold)  # four of twelve clusters, all one way

    def lines(said: np.ndarray) -> np.ndarray:
        return np.eye(12)[gold * 4 + said].reshape(12, 10, 12).sum(axis=1)

    found = draws.permutation(lines(wrong), lines(right), np.ones(12, np.int64), stats.f1_of)
    assert found.floor == 0.125 and found.p_value == pytest.approx(0.125, rel=0.2)


def test_equal_entries_are_equal() -> None:
    gold = np.random.default_rng(7).integers(0, 3, 60)
    same = draws.permutation(*kinds_of(gold, gold, gold), stats.f1_of)
    assert (same.difference, same.p_value, same.floor) == (0.0, 1.0, 1.0)


def test_where_nothing_differs_one_test_in_twenty_says_so() -> None:
    p_values = []
    for seed in range(600):
        gold = np.random.default_rng(seed).integers(0, 3, 80)
        first, second = answers(0.6, gold, 1000 + seed), answers(0.6, gold, 9000 + seed)
        p_values.append(draws.permutation(*kinds_of(gold, first, second), stats.f1_of, 199, seed).p_value)
    assert 0.03 < np.mean(np.array(p_values) < 0.05) < 0.07
    assert 0.4 < np.mean(np.array(p_values) < 0.5) < 0.56
