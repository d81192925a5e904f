"""The statistics against values worked out by hand or by brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from train.comparison.statistics import (
    holm,
    mean_band,
    mean_interval,
    paired_test,
    places,
    smallest_p,
    spread,
    wilcoxon_p,
)


def signed_rank_p(differences: list[float]) -> float:
    """Wilcoxon's test by trying every pattern of signs."""
    unequal = np.array([value for value in differences if value != 0])
    magnitudes = np.abs(unequal)
    ranks = np.array(
        [(magnitudes < m).sum() + ((magnitudes == m).sum() + 1) / 2 for m in magnitudes]
    )
    centre = ranks.sum() / 2
    observed = abs(ranks[unequal > 0].sum() - centre)
    patterns = itertools.product((0, 1), repeat=len(ranks))
    extreme = [abs(np.dot(signs, ranks) - centre) >= observed - 1e-9 for signs in patterns]
    return float(np.mean(extreme))


@pytest.mark.parametrize(
    "differences",
    [
        [0.3, 0.1, 0.2, 0.5, 0.4],
        [0.3, -0.1, 0.25, 0.5, -0.4, 0.7, 0.01],
        [1, 1, 2, -1, 3, 3, 5],
        [0, 2, 0, 2, -1, 4, 4, 4, 0, -3],
        [-2, -2, -2, -2, -2, -2, 1],
    ],
)
def test_p_is_the_share_of_sign_patterns_at_least_as_extreme(differences: list[float]) -> None:
    assert wilcoxon_p(np.array(differences, dtype=float)) == pytest.approx(
        signed_rank_p(differences)
    )


def test_no_difference_anywhere_is_no_evidence() -> None:
    assert wilcoxon_p(np.zeros(6)) == 1.0


def test_rounding_of_means_over_seeds_is_no_difference() -> None:
    assert wilcoxon_p(np.array([1e-17, -1e-17, 1e-17, 1e-17, 1e-17, 1e-17])) == 1.0


def test_five_pairs_of_one_sign_cannot_reach_the_usual_level() -> None:
    assert smallest_p(5) == wilcoxon_p(np.arange(1.0, 6.0)) == 0.0625
    assert smallest_p(6) == wilcoxon_p(np.arange(1.0, 7.0)) == 0.03125


def test_many_tied_pairs_are_tested_by_the_normal_approximation() -> None:
    differences = np.random.default_rng(0).integers(-3, 6, 40).astype(float)
    unequal = differences[differences != 0]
    expected = stats.wilcoxon(unequal, method="asymptotic").pvalue
    assert wilcoxon_p(differences) == pytest.approx(expected)


def test_holm_multiplies_the_smallest_p_most_and_never_turns_the_order_round() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.4, 0.9, 0.6]) == [1.0, 1.0, 1.0]
    assert holm([0.02, 0.02]) == [0.04, 0.04]
    assert holm([]) == []


def test_cases_are_the_unit_of_every_spread() -> None:
    found = spread(np.array([[0.2, 0.4], [0.6, 0.6], [0.9, 0.7]]))
    assert found.mean == pytest.approx((0.3 + 0.6 + 0.8) / 3)
    assert found.sd_cases == pytest.approx(np.sqrt(((0.3 - 17 / 30) ** 2 + (0.6 - 17 / 30) ** 2
        + (0.8 - 17 / 30) ** 2) / 2))  # fmt: skip
    assert found.sd_seeds == pytest.approx(0.0)


def test_one_case_and_one_seed_have_no_spread_no_interval_and_no_test() -> None:
    found = spread(np.array([[0.7]]))
    assert (found.sd_cases, found.sd_seeds, found.interval) == (None, None, None)
    test = paired_test(np.array([[0.7]]), np.array([[0.6]]))
    assert test.difference == pytest.approx(0.1)
    assert (test.p, test.interval, test.pairs) == (None, None, 1)


def test_a_pair_is_a_case_whatever_its_seeds() -> None:
    method = np.array([[0.5, 0.7], [0.8, 0.8], [0.6, 0.6]])
    reference = np.array([[0.4, 0.4], [0.9, 0.7], [0.5, 0.5]])
    test = paired_test(method, reference)
    assert (test.pairs, test.unequal) == (3, 2)
    assert test.difference == pytest.approx((0.2 + 0.0 + 0.1) / 3)
    assert test.p == signed_rank_p([0.2, 0.0, 0.1])


def bca_of_all_resamples(values: np.ndarray, confidence: float) -> tuple[float, float]:
    """The BCa interval of a mean from every possible resample (Efron 1987)."""
    n = len(values)
    means = np.array([np.mean(sample) for sample in itertools.product(values, repeat=n)])
    mean = values.mean()
    below = (means < mean - 1e-12).mean() + (np.abs(means - mean) <= 1e-12).mean() / 2
    bias = stats.norm.ppf(below)
    left_out = np.array([np.delete(values, place).mean() for place in range(n)])
    gaps = left_out.mean() - left_out
    acceleration = (gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5)
    limits = []
    for level in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = bias + stats.norm.ppf(level)
        limits.append(np.quantile(means, stats.norm.cdf(bias + z / (1 - acceleration * z))))
    return float(limits[0]), float(limits[1])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_interval_is_that_of_all_possible_resamples(seed: int) -> None:
    values = np.random.default_rng(seed).beta(5, 2, size=6)
    low, high = bca_of_all_resamples(values, 0.95)
    found = mean_interval(values)
    assert found is not None
    width = high - low
    assert found.low == pytest.approx(low, abs=0.04 * width)
    assert found.high == pytest.approx(high, abs=0.04 * width)


def test_the_interval_is_the_same_every_time() -> None:
    values = np.random.default_rng(3).normal(size=12)
    assert mean_interval(values) == mean_interval(values)


def test_equal_cases_have_an_interval_without_width() -> None:
    low, high = mean_band(np.array([[0.5, 0.2], [0.5, 0.4], [0.5, 0.9]]))
    assert (low[0], high[0]) == (0.5, 0.5)
    assert low[1] < 0.5 < high[1]


def test_a_band_is_made_of_the_intervals_of_its_points() -> None:
    cases = np.random.default_rng(4).normal(size=(9, 3))
    low, high = mean_band(cases)
    for point in range(3):
        alone = mean_interval(cases[:, point])
        assert alone is not None
        assert alone.high - alone.low == pytest.approx(high[point] - low[point], rel=0.05)


def test_equal_means_share_a_place() -> None:
    assert places([0.8, 0.9, 0.9, 0.1], higher_is_better=True) == [3, 1, 1, 4]
    assert places([2.0, 5.0, 3.0], higher_is_better=False) == [1, 3, 2]
