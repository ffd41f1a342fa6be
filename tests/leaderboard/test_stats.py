"""Statistics against published worked examples and against what must hold."""

import numpy as np
import pytest

from finbench.leaderboard import stats


def test_wilson_is_the_published_example() -> None:
    # Newcombe 1998, table I, method 3: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611
    interval = stats.wilson(81 / 263, 263)
    assert (round(interval.low, 4), round(interval.high, 4)) == (0.2553, 0.3662)
    assert round(stats.wilson(0.0, 20).high, 4) == 0.1611
    assert stats.wilson(0.5, 1e-300) == stats.wilson(1e-300, 1e-300) == stats.Interval(0.0, 1.0)


def test_wilson_is_statsmodels_own() -> None:
    from statsmodels.stats.proportion import proportion_confint

    for right, n in ((81, 263), (0, 20), (1, 29), (150, 150)):
        own = stats.wilson(right / n, n)
        assert (own.low, own.high) == pytest.approx(proportion_confint(right, n, method="wilson"))


def counts_of(right: list[bool], clusters: list[int]) -> np.ndarray:
    found = np.zeros((max(clusters) + 1, 2))
    for one, cluster in zip(right, clusters, strict=True):
        found[cluster, 0 if one else 1] += 1
    return found


def kinds_of(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.unique(counts, axis=0, return_counts=True)


def test_f1_of_a_confusion_matrix_is_scikit_learns() -> None:
    from sklearn.metrics import accuracy_score, f1_score

    random = np.random.default_rng(0)
    gold, said = random.integers(0, 3, 200), random.integers(0, 4, 200)  # 3: could not be read
    counts = np.bincount(gold * 4 + said, minlength=12).astype(float)[None]
    assert stats.accuracy_of(counts)[0] == pytest.approx(accuracy_score(gold, said))
    expected = f1_score(gold, said, labels=[0, 1, 2], average="weighted", zero_division=0)
    assert stats.f1_of(counts)[0] == pytest.approx(expected)


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


def test_seeds_have_a_mean_and_the_samples_deviation() -> None:
    assert str(stats.over_seeds([0.70, 0.72, 0.74])) == "0.7200 ± 0.0200"
    assert str(stats.over_seeds([0.7])) == "0.7000"


def test_effective_number_and_detectable_difference() -> None:
    assert stats.effective_n(0.5, 0.05, 1000) == pytest.approx(100)
    assert stats.effective_n(1.0, 0.0, 40) == 40
    assert stats.effective_n(0.5, 1e-300, 40) == 40 and stats.effective_n(0.5, 1e200, 40) == 0.0
    small, large = stats.detectable_difference(0.2, 100), stats.detectable_difference(0.2, 10000)
    assert small > large and large == pytest.approx(0.0125, abs=0.0005)  # 2.80 * sqrt(0.2 / 10000)
