"""The statistics of a comparison: spreads, intervals, the paired test and its correction.

A case is the unit: where it was clicked with several seeds, its values are averaged first, so
that ten seeds of one case never count as ten cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

Values = npt.NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 9999
SEED = 0
"""Of the bootstrap, so that the same results give the same report."""

EXACT_PAIRS = 16
"""Pairs up to which all sign patterns are enumerated where ranks are tied."""


@dataclass(frozen=True)
class Interval:
    """A bootstrap confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """Mean and spreads of one measure.

    Attributes:
        mean: Over cases, each averaged over its seeds.
        sd_cases: Sample standard deviation (divisor n - 1) of the cases' means; ``None`` for one
            case.
        sd_seeds: Sample standard deviation of the seeds' means over all cases, the paper's;
            ``None`` for one seed.
        interval: Of the mean, by resampling cases; ``None`` for one case.
    """

    mean: float
    sd_cases: float | None
    sd_seeds: float | None
    interval: Interval | None


@dataclass(frozen=True)
class PairedTest:
    """A method against the reference, case by case.

    Attributes:
        difference: Mean over cases of the method's value minus the reference's.
        interval: Of that mean, by resampling cases; ``None`` for one case.
        p: Two-sided Wilcoxon signed-rank test; ``None`` for one case.
        pairs: Cases compared.
        unequal: Cases with a difference, which alone have a rank.
    """

    difference: float
    interval: Interval | None
    p: float | None
    pairs: int
    unequal: int


def spread(values: Values) -> Spread:
    """Describe ``values``, ``(cases, seeds)``."""
    cases, seeds = values.mean(axis=1), values.mean(axis=0)
    return Spread(
        mean=float(values.mean()),
        sd_cases=float(cases.std(ddof=1)) if len(cases) > 1 else None,
        sd_seeds=float(seeds.std(ddof=1)) if len(seeds) > 1 else None,
        interval=mean_interval(cases),
    )


def mean_interval(cases: Values) -> Interval | None:
    """Confidence interval of a mean over cases, ``(cases,)``; ``None`` for a single case."""
    if len(cases) < 2:
        return None
    low, high = mean_band(cases[:, None])
    return Interval(float(low[0]), float(high[0]))


def mean_band(cases: Values) -> tuple[Values, Values]:
    """Pointwise confidence limits of a mean curve, from ``(cases, points)``, at least two cases.

    Bias-corrected and accelerated bootstrap (BCa). Where all cases are equal, so is every
    resampled mean, and the limits are the mean itself.
    """
    mean = cases.mean(axis=0)
    low, high = mean.copy(), mean.copy()
    varying = np.ptp(cases, axis=0) > 0
    if varying.any():
        found = stats.bootstrap(
            (cases[:, varying],), np.mean, axis=0, n_resamples=RESAMPLES, method="BCa",
            confidence_level=CONFIDENCE, rng=np.random.default_rng(SEED),
        )  # fmt: skip
        low[varying] = found.confidence_interval.low
        high[varying] = found.confidence_interval.high
    return low, high


def paired_test(method: Values, reference: Values) -> PairedTest:
    """Compare two methods on the same cases, ``(cases, seeds)`` each, rows in the same order.

    Their numbers of seeds may differ.
    """
    difference = method.mean(axis=1) - reference.mean(axis=1)
    return PairedTest(
        difference=float(difference.mean()),
        interval=mean_interval(difference),
        p=wilcoxon_p(difference) if len(difference) > 1 else None,
        pairs=len(difference),
        unequal=int(np.count_nonzero(difference)),
    )


def wilcoxon_p(differences: Values) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; cases without a difference have no rank.

    Exact up to 50 pairs without ties, and by enumeration of all signs up to
    :data:`EXACT_PAIRS` pairs with ties, which counts of clicks always have; beyond that the
    normal approximation with its correction for ties.
    """
    # Means of seeds that differ by rounding alone are ties.
    unequal = np.round(differences[differences != 0], 12)
    unequal = unequal[unequal != 0]
    if len(unequal) == 0:
        return 1.0
    ranks = stats.rankdata(np.abs(unequal))
    tied = len(np.unique(ranks)) < len(ranks)
    if tied and len(unequal) <= EXACT_PAIRS:
        signed = np.sign(unequal) * ranks
        found = stats.permutation_test(
            (signed,), lambda x, axis: x.sum(axis=axis), permutation_type="samples",
            vectorized=True, n_resamples=2**EXACT_PAIRS, rng=np.random.default_rng(SEED),
        )  # fmt: skip
        return float(found.pvalue)
    method = "asymptotic" if tied or len(unequal) > 50 else "exact"
    return float(stats.wilcoxon(unequal, method=method).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: the smallest p times m, the next times m - 1, and so on.

    Adjusted values never fall below that of a smaller p, nor rise above 1.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for place, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def smallest_p(pairs: int) -> float:
    """The smallest p that the two-sided test can give for so many pairs: all of one sign."""
    return float(2.0 ** (1 - pairs))


def places(values: Sequence[float], *, higher_is_better: bool) -> list[int]:
    """Place of each value, 1 for the best; equal values share a place, the next goes without."""
    signed = np.asarray(values, dtype=np.float64) * (-1 if higher_is_better else 1)
    return [int(place) for place in stats.rankdata(signed, method="min")]
