"""Statistics against published worked examples and against what must hold."""

import numpy as np
import pytest

from finbench.leaderboard import stats


def test_wilson_is_the_published_example() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611
    interval = stats.wilson(81 / 263, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)
    assert round(stats.wilson(0.0, 20).high, 4) == 0.1611


def test_wilson_is_statsmodels_own() -> None:
    from statsmodels.stats.proportion import proportion_confint

    for right, n in ((81, 263), (0, 20), (1, 29), (150, 150)):
        own = stats.wilson(right / n, n)
        assert (own.low, own.high) == pytest.approx(proportion_confint(right, n, method="wilson"))


def test_exact_mcnemar_is_a_binomial_test() -> None:
    # Agresti, Categorical Data Analysis, table 10.1 (approval of the prime minister): 150 and 86 changed their minds
    from scipy.stats import binomtest
    from statsmodels.stats.contingency_tables import mcnemar

    def rows(only_first: int, only_second: int, both: int, none: int) -> tuple[list[bool], list[bool]]:
        first = [True] * (only_first + both) + [False] * (only_second + none)
        second = [False] * only_first + [True] * (both + only_second) + [False] * none
        return first, second

    for counts in ((150, 86, 794, 570), (4, 15, 50, 20), (0, 0, 3, 3), (5, 5, 1, 1)):
        found = stats.mcnemar(*rows(*counts))
        table = [[counts[2], counts[0]], [counts[1], counts[3]]]
        assert found.p_value == pytest.approx(mcnemar(table, exact=True).pvalue)
        if counts[0] + counts[1]:
            assert found.p_value == pytest.approx(binomtest(counts[0], counts[0] + counts[1], 0.5).pvalue)
        assert found.difference == pytest.approx((counts[1] - counts[0]) / sum(counts))


def counts_of(right: list[bool], clusters: list[int]) -> np.ndarray:
    found = np.zeros((max(clusters) + 1, 2))
    for one, cluster in zip(right, clusters, strict=True):
        found[cluster, 0 if one else 1] += 1
    return found


def kinds_of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.unique(counts, axis=0, return_counts=True)


def test_permutation_finds_a_difference_and_none_where_there_is_none() -> None:
    rows = list(range(120))
    wrong, right = counts_of([n >= 30 for n in rows], rows), counts_of([True] * 120, rows)
    found = stats.permutation(wrong, right, stats.accuracy_of, 199)
    assert (found.difference, found.p_value) == (pytest.approx(0.25), pytest.approx(1 / 200))
    same = stats.permutation(wrong, wrong, stats.accuracy_of, 199)
    assert (same.difference, same.p_value) == (0.0, 1.0)


def test_permutation_is_the_exact_test_of_few_pairs() -> None:
    # with m rows that differ, all one way, 2 of the 2**m swaps are as extreme: the sign test, as McNemar's
    rows = list(range(20))
    first, second = [n >= 6 for n in rows], [True] * 20
    found = stats.permutation(counts_of(first, rows), counts_of(second, rows), stats.accuracy_of, 20000)
    assert found.p_value == pytest.approx(stats.mcnemar(first, second).p_value, abs=0.004)


def test_repeating_rows_does_not_make_a_difference_surer() -> None:
    def p_value(times: int) -> float:
        clusters = list(range(6)) * times
        first, second = [n >= 4 for n in range(6)] * times, [True] * 6 * times
        return stats.permutation(
            counts_of(first, clusters), counts_of(second, clusters), stats.accuracy_of, 499
        ).p_value  # fmt: skip

    assert p_value(5) == p_value(1) > 0.05


def test_f1_of_a_confusion_matrix_is_scikit_learns() -> None:
    from sklearn.metrics import accuracy_score, f1_score

    random = np.random.default_rng(0)
    gold, said = random.integers(0, 3, 200), random.integers(0, 4, 200)  # 3: could not be read
    counts = np.bincount(gold * 4 + said, minlength=12).astype(float)[None]
    assert stats.accuracy_of(counts)[0] == pytest.approx(accuracy_score(gold, said))
    expected = f1_score(gold, said, labels=[0, 1, 2], average="weighted", zero_division=0)
    assert stats.f1_of(counts)[0] == pytest.approx(expected)


def test_permutation_of_f1_is_the_exact_one_by_scikit_learn() -> None:
    from itertools import product

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
    exact = np.mean([swap >= abs(observed) - 1e-12 for swap in swaps])

    def counts(said: np.ndarray) -> np.ndarray:
        return np.eye(12)[gold * 4 + said]

    found = stats.permutation(counts(first), counts(second), stats.f1_of, 9999)
    assert found.difference == pytest.approx(observed)
    assert found.p_value == pytest.approx(exact, abs=0.01)


def test_bootstrap_is_scipys() -> None:
    from scipy.stats import bootstrap

    right = np.random.default_rng(1).random(300) < 0.7
    ours = stats.bootstrap(*kinds_of(counts_of(list(right), list(range(300)))), stats.accuracy_of, 9999)
    theirs = bootstrap((right,), np.mean, method="percentile", n_resamples=9999, rng=2).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


def test_bootstrap_draws_clusters() -> None:
    rows = [n % 3 != 0 for n in range(90)]
    single = stats.bootstrap(*kinds_of(counts_of(rows, list(range(90)))), stats.accuracy_of)
    repeated = stats.bootstrap(*kinds_of(counts_of(rows * 5, list(range(90)) * 5)), stats.accuracy_of)
    assert (repeated.low, repeated.high) == pytest.approx((single.low, single.high))


def test_holm_is_the_textbook_step_down_and_statsmodels_own() -> None:
    from statsmodels.stats.multitest import multipletests

    given = {"one": 0.01, "two": 0.04, "three": 0.03, "four": 0.005}
    corrected = stats.holm(given)
    assert corrected == pytest.approx({"one": 0.03, "two": 0.06, "three": 0.06, "four": 0.02})
    assert [corrected[name] for name in given] == pytest.approx(multipletests(list(given.values()), method="holm")[1])
    assert stats.holm({}) == {}


def test_seeds_have_a_mean_and_the_samples_deviation() -> None:
    assert str(stats.over_seeds([0.70, 0.72, 0.74])) == "0.7200 ± 0.0200"
    assert str(stats.over_seeds([0.7])) == "0.7000"


def test_effective_number_and_detectable_difference() -> None:
    assert stats.effective_n(0.5, 0.05, 1000) == pytest.approx(100)
    assert stats.effective_n(1.0, 0.0, 40) == 40
    small, large = stats.detectable_difference(0.2, 100), stats.detectable_difference(0.2, 10000)
    assert small > large and large == pytest.approx(0.0125, abs=0.0005)  # 2.80 * sqrt(0.2 / 10000)
