"""Exact paired tests against scipy, statsmodels and all swaps counted out."""

from itertools import product

import numpy as np
import pytest

from finbench.leaderboard import exact


def test_exact_mcnemar_is_a_binomial_test() -> None:
    # Agresti, Categorical Data Analysis, table 10.1 (approval of the prime minister): 150 and 86 changed their minds
    from scipy.stats import binomtest
    from statsmodels.stats.contingency_tables import mcnemar

    def rows(only_first: int, only_second: int, both: int, none: int) -> tuple[list[bool], list[bool]]:
        first = [True] * (only_first + both) + [False] * (only_second + none)
        second = [False] * only_first + [True] * (both + only_second) + [False] * none
        return first, second

    for counts in ((150, 86, 794, 570), (4, 15, 50, 20), (0, 0, 3, 3), (5, 5, 1, 1)):
        found = exact.mcnemar(*rows(*counts))
        table = [[counts[2], counts[0]], [counts[1], counts[3]]]
        assert found.p_value == pytest.approx(mcnemar(table, exact=True).pvalue)
        if counts[0] + counts[1]:
            assert found.p_value == pytest.approx(binomtest(counts[0], counts[0] + counts[1], 0.5).pvalue)
        assert found.difference == pytest.approx((counts[1] - counts[0]) / sum(counts))


def test_swaps_of_clusters_are_all_of_them_counted() -> None:
    random = np.random.default_rng(0)
    signs = np.array(list(product((-1, 1), repeat=10)))
    for _ in range(20):
        differences = random.integers(-4, 5, 10)
        found = exact.swapped(differences, 50)
        counted = np.mean(np.abs(signs @ differences) >= abs(differences.sum()))
        assert found.p_value == pytest.approx(counted) and found.difference == differences.sum() / 50


def test_clusters_of_one_row_are_exact_mcnemar() -> None:
    random = np.random.default_rng(1)
    first, second = random.random(400) < 0.6, random.random(400) < 0.7
    found, expected = exact.swapped(second.astype(int) - first.astype(int), 400), exact.mcnemar(first, second)
    assert (found.difference, found.p_value) == pytest.approx((expected.difference, expected.p_value))


def test_no_floor_but_that_of_the_clusters_that_differ() -> None:
    lost = exact.swapped(np.array([9] * 300), 2700)  # every headline lost: 999 draws call this p = 0.001
    assert lost.p_value == pytest.approx(lost.floor) == pytest.approx(2.0**-299)
    few = exact.swapped(np.array([5, 5, 5, 0, 0]), 25)
    assert few.p_value == pytest.approx(few.floor) and few.floor == 0.25
    assert exact.mcnemar([True] * 3, [False] * 3).floor == 0.25
    assert exact.swapped(np.zeros(4, np.int64), 8).p_value == 1.0 == exact.mcnemar([True], [True]).floor


def test_thousands_of_clusters_take_no_underflow() -> None:
    assert exact.swapped(np.ones(5000, np.int64), 5000).p_value > 0
    assert exact.mcnemar([False] * 3000, [True] * 3000).p_value > 0
    even = np.array([3, -3] * 2000)
    assert exact.swapped(even, 12000).p_value == 1.0


def test_repeating_rows_does_not_make_a_difference_surer() -> None:
    single, repeated = np.array([1, 1, 0, 0, 0, 0]), np.array([5, 5, 0, 0, 0, 0])
    assert exact.swapped(single, 6).p_value == exact.swapped(repeated, 30).p_value == 0.5
