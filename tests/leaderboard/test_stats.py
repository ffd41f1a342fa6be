"""Statistics against published worked examples and against what must hold."""

import numpy as np
import pytest

from finbench.leaderboard import stats


def test_wilson_is_the_published_example() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611
    interval = stats.wilson(81 / 263, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)
    assert round(stats.wilson(0.0, 20).high, 4) == 0.1611


def test_exact_mcnemar_is_a_binomial_test() -> None:
    from scipy.stats import binomtest

    first = [True] * 50 + [True] * 4 + [False] * 15 + [False] * 20
    second = [True] * 50 + [False] * 4 + [True] * 15 + [False] * 20
    found = stats.mcnemar(first, second)
    assert found.p_value == pytest.approx(binomtest(4, 19, 0.5).pvalue)
    assert found.difference == pytest.approx(11 / 89)


def test_permutation_finds_a_difference_and_none_where_there_is_none() -> None:
    gold = np.array(["a", "b"] * 60)

    def accuracy(predictions: list[str]) -> float:
        return float((np.array(predictions) == gold).mean())

    rows = [str(n) for n in range(120)]
    wrong = ["b" if n < 30 else label for n, label in enumerate(gold)]
    assert stats.permutation(wrong, list(gold), rows, accuracy, 199).p_value == pytest.approx(1 / 200)
    same = stats.permutation(wrong, wrong, rows, accuracy, 199)
    assert (same.difference, same.p_value) == (0.0, 1.0)


def test_repeating_rows_does_not_make_a_difference_surer() -> None:
    gold = ["a"] * 6
    first, second = ["b"] * 4 + ["a"] * 2, ["a"] * 6

    def p_value(times: int) -> float:
        golds = np.array(gold * times)

        def accuracy(predictions: list[str]) -> float:
            return float((np.array(predictions) == golds).mean())

        clusters = [str(n) for n in range(6)] * times
        return stats.permutation(first * times, second * times, clusters, accuracy, 499).p_value

    assert p_value(5) == pytest.approx(p_value(1), abs=0.05) and p_value(1) > 0.05


def test_holm_is_the_textbook_step_down() -> None:
    corrected = stats.holm({"one": 0.01, "two": 0.04, "three": 0.03, "four": 0.005})
    assert corrected == pytest.approx({"one": 0.03, "two": 0.06, "three": 0.06, "four": 0.02})


def test_ties_share_a_rank_with_the_head_of_their_group() -> None:
    values = {"a": 0.80, "b": 0.795, "c": 0.70, "d": 0.69}
    assert stats.ranks_with_ties(values, lambda x, y: abs(values[x] - values[y]) < 0.02) == {
        "a": 1,
        "b": 1,
        "c": 3,
        "d": 3,
    }


def test_effective_number_and_detectable_difference() -> None:
    assert stats.effective_n(0.5, 0.05, 1000) == pytest.approx(100)
    assert stats.effective_n(1.0, 0.0, 40) == 40
    small, large = stats.detectable_difference(0.2, 100), stats.detectable_difference(0.2, 10000)
    assert small > large and large == pytest.approx(0.0125, abs=0.0005)  # 2.80 * sqrt(0.2 / 10000)
