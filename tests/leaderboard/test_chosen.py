"""Corrections for what a test was chosen from, and that they keep what they promise."""

import numpy as np
import pytest

from finbench.leaderboard import chosen, exact


def test_holm_is_the_textbook_step_down_and_statsmodels_own() -> None:
    from statsmodels.stats.multitest import multipletests

    given = {"one": 0.01, "two": 0.04, "three": 0.03, "four": 0.005}
    corrected = chosen.holm(given)
    assert corrected == pytest.approx({"one": 0.03, "two": 0.06, "three": 0.06, "four": 0.02})
    assert [corrected[name] for name in given] == pytest.approx(multipletests(list(given.values()), method="holm")[1])
    assert chosen.holm({}) == {}


def test_what_was_not_shown_is_corrected_for_too() -> None:
    given = {"one": 0.001, "two": 0.01}
    assert chosen.holm(given, 40) == pytest.approx({"one": 0.04, "two": 0.39})
    others = {str(n): 0.9 for n in range(38)}
    assert chosen.holm(given, 40) == pytest.approx({name: chosen.holm(given | others)[name] for name in given})
    assert chosen.holm(given, 1) == chosen.holm(given)


def test_the_smallest_of_independent_tests_is_sidaks() -> None:
    random = np.random.default_rng(0)
    differences = [random.choice([-1, 1], 4000) * (np.arange(4000) % 20 == n) for n in range(20)]  # no row in common
    p_values = [0.001, 0.004, 0.02]
    # what 200 rows that differ can give at most of a p: their sums are even, so p-values lie apart
    reached = [max(p for p in exact.tails(differences[0]) if p <= given * 1.000001) for given in p_values]
    expected = [1 - (1 - p) ** 20 for p in reached]
    assert chosen.of_least(p_values, differences) == pytest.approx(expected, rel=0.15)


def test_the_same_entry_many_times_counts_once() -> None:
    one = np.random.default_rng(1).choice([-1, 0, 1], 500)
    one[:20] = 1
    p_value = exact.swapped(one, 500).p_value
    assert chosen.of_least([p_value], [one] * 40)[0] == pytest.approx(p_value, abs=0.01)


def test_draws_are_the_same_each_time() -> None:
    differences = [np.random.default_rng(n).choice([-1, 0, 0, 1], 300) for n in range(8)]
    assert chosen.of_least([0.01, 0.2], differences) == chosen.of_least([0.01, 0.2], differences)
