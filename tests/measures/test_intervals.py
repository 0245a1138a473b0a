"""Intervals of means and medians: what they are computed from, and how often they hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, special, stats

from salessim import measures
from salessim.measures import LEVEL
from salessim.measures.estimates import Floats, grouped_means, grouped_medians

SAMPLES = 4000


@given(st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=60).filter(lambda values: np.ptp(values) > 1))
def test_the_interval_of_a_mean_inverts_halls_transformation(values: list[float]) -> None:
    found = measures.mean_estimate([*values, math.nan])
    n, mean, error = len(values), float(np.mean(values)), float(stats.sem(values))
    skewness = float(stats.skew(values)) / math.sqrt(n)

    def transformed(t: float) -> float:
        return t + skewness * t**2 / 3 + skewness**2 * t**3 / 27 + skewness / 6

    student = float(stats.t.ppf(0.5 + LEVEL / 2, n - 1))
    roots = [optimize.brentq(lambda t, q=q: transformed(t) - q, -1e4, 1e4) for q in (student, -student)]
    ends = [mean - error * root for root in roots]
    if min(values) >= 0:
        ends[0] = max(ends[0], 0.0)
    wanted = (min(ends[0], mean), max(ends[1], mean))
    scale = max(abs(mean), error)
    assert (found.low, found.high) == pytest.approx(wanted, rel=1e-6, abs=1e-6 * scale)
    assert found.n == n


def test_without_skewness_the_interval_of_a_mean_is_students() -> None:
    values = [-30.0, -10.0, 10.0, 30.0]
    found = measures.mean_estimate(values)
    low, high = stats.t.interval(LEVEL, 3, 0.0, stats.sem(values))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert measures.mean_estimate([5.0, 5.0, 5.0]).low == 5.0
    assert measures.mean_estimate([0.0, 1.0]).low == 0.0


@pytest.mark.parametrize("n", [5, 9, 25, 99, 9999])
def test_the_interval_of_a_median_is_that_of_efrons_bootstrap_law(n: int) -> None:
    found = measures.median_estimate(np.arange(1, n + 1))
    for rank, at_most in ((found.low, 0.5 - LEVEL / 2), (found.high, 0.5 + LEVEL / 2)):
        # a drawn median is among the first k values when at least half of the draws are
        below = float(stats.binom.sf((n + 1) // 2 - 1, n, (rank - 0.5) / n))
        assert below == pytest.approx(at_most, abs=1e-9)
    assert found.low + found.high == pytest.approx(n + 1)


def test_few_values_have_a_median_but_no_interval() -> None:
    found = measures.median_estimate([3.0, 1.0, 2.0])
    assert (found.value, found.n) == (2.0, 3)
    assert math.isnan(found.low)
    assert measures.median_estimate([1.0, 2.0, 3.0, 4.0]).low >= 1.0


def held(low: Floats, high: Floats, truth: float) -> float:
    return float(((low <= truth) & (truth <= high)).mean())


#: n → share of intervals that hold the mean of an exponential and a lognormal law, as the docstring states.
HELD_MEANS = {5: (0.778, 0.720), 10: (0.782, 0.729), 30: (0.792, 0.754), 200: (0.801, 0.781)}


@pytest.mark.parametrize("n", list(HELD_MEANS))
def test_how_often_the_intervals_hold_the_truth(n: int) -> None:
    rng = np.random.default_rng(n)
    codes = np.repeat(np.arange(SAMPLES), n)
    error = 4 * math.sqrt(0.25 / SAMPLES)  # four standard errors
    laws = (
        (rng.standard_exponential(SAMPLES * n), 1.0, math.log(2)),
        (np.exp(rng.standard_normal(SAMPLES * n)), math.exp(0.5), 1.0),
    )
    for (values, mean, median), stated in zip(laws, HELD_MEANS[n], strict=True):
        average, low, high, _ = grouped_means(values, codes, SAMPLES)
        ours = held(low, high, mean)
        assert ours == pytest.approx(stated, abs=error)
        deviation = values.reshape(SAMPLES, n).std(axis=1, ddof=1)
        half = special.stdtrit(n - 1, 0.5 + LEVEL / 2) * deviation / math.sqrt(n)
        # on the same samples: better than Student's t, or no worse where both hold
        assert ours > held(average - half, average + half, mean) - 0.005
        _, low, high, _ = grouped_medians(values, codes, SAMPLES)
        assert held(low, high, median) == pytest.approx(LEVEL, abs=error)
