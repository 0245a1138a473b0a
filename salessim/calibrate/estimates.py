"""Estimates with their intervals: the small statistics that calibration rests on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from salessim.intervals import LEVEL

__all__ = [
    "DIGITS",
    "NormalFit",
    "Notes",
    "Parameter",
    "Spread",
    "extra_spread",
    "rounded",
    "spread_at",
    "student",
    "weighted_fit",
]

FloatArray = npt.NDArray[np.float64]

#: Digits of a calibrated number: more would only make the scenario file longer.
DIGITS = 8
#: Widest spread (cv) that is looked for.
WIDEST = 3.0


@dataclass(frozen=True)
class Parameter:
    """An estimated parameter: value with its 80 % interval and the number of observations behind it.

    NaN in low and high: the data cannot tell, and ``value`` is an assumption that ``note`` names.
    """

    name: str
    segment: str
    value: float
    low: float
    high: float
    n: int
    unit: str
    note: str = ""


@dataclass
class Notes:
    """What a calibration finds: parameters and warnings in the order of finding, and the slowest moves."""

    parameters: list[Parameter] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    slowest_days: dict[tuple[str, str], float] = field(default_factory=dict)
    """Longest time (days) after which a deal moved on, by segment and stage; missing: none ever did."""


def spread_at(counts: FloatArray, expected: Callable[[float], FloatArray], wanted: float) -> float:
    """Spread (cv) at which the chi-square statistic of counts with luck and that spread is ``wanted``.

    It is 0 where luck alone makes the statistic smaller.

    Args:
        counts: observed counts, shape (groups,).
        expected: expected counts, shape (groups,), given a spread (it sets the weights of the groups).
        wanted: value of the statistic, such as the degrees of freedom.

    >>> spread_at(np.array([9.0, 11.0, 10.0]), lambda cv: np.full(3, 10.0), 2.0)
    0.0
    """
    from scipy.optimize import brentq

    def statistic(cv: float) -> float:
        mean = expected(cv)
        used = mean > 0
        return float(((counts - mean)[used] ** 2 / (mean + (cv * mean) ** 2)[used]).sum())

    if statistic(0.0) <= wanted:
        return 0.0
    if statistic(WIDEST) >= wanted:
        return WIDEST
    return float(brentq(lambda cv: statistic(cv) - wanted, 0.0, WIDEST))


@dataclass(frozen=True, eq=False)
class Spread:
    """What is known of a spread (cv) between groups: the estimate, and the counts that it comes from.

    ``free`` degrees of freedom; 0: too few groups, and ``cv`` is an assumption.

    >>> assumed = Spread(0.1, np.empty(0), lambda cv: np.empty(0), 0)
    >>> round(assumed.at(0.9), 6), round(assumed.at(0.1), 6)
    (0.2, 0.05)
    """

    cv: float
    counts: FloatArray
    expected: Callable[[float], FloatArray]
    free: int

    def at(self, chance: float) -> float:
        """The spread that is not exceeded with a chance: the limit of a one-sided interval, 2 at most.

        An assumed spread is as likely half as double what is assumed.
        """
        from scipy.special import ndtri
        from scipy.stats import chi2

        if self.free == 0:
            return float(self.cv * 2.0 ** (ndtri(chance) / ndtri((1 + LEVEL) / 2)))
        return min(spread_at(self.counts, self.expected, float(chi2.ppf(1 - chance, self.free))), 2.0)


def extra_spread(counts: FloatArray, expected: Callable[[float], FloatArray], free: int) -> list[float]:
    """Spread (cv) of Poisson counts beyond luck: the estimate and its 80 % limits by the Q-profile.

    Args:
        counts: observed counts, shape (groups,).
        expected: expected counts, shape (groups,), given a spread (it sets the weights of the groups).
        free: degrees of freedom, the number of groups less one.

    Returns:
        Estimate, low, high; 0 where luck explains all of it.

    >>> even = extra_spread(np.array([9.0, 11.0, 10.0]), lambda cv: np.full(3, 10.0), 2)
    >>> even[0]
    0.0
    """
    from scipy.stats import chi2

    levels = (free, *chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], free))
    return [spread_at(counts, expected, float(wanted)) for wanted in levels]


def student(free: float) -> float:
    """Quantile of Student's t for an 80 % interval with so many degrees of freedom.

    >>> round(student(9), 3)
    1.383
    """
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, free))


@dataclass(frozen=True)
class NormalFit:
    """Weighted least squares with a spread between observations of its own.

    ``values`` and ``covariance`` are of the coefficients; ``free`` degrees of freedom; ``extra`` the standard
    deviation between observations beyond their own errors (Paule and Mandel 1982).
    """

    values: FloatArray
    covariance: FloatArray
    free: int
    extra: float

    def half_width(self, weights: npt.ArrayLike) -> float:
        """Half the width of the 80 % interval of a linear combination of the coefficients."""
        combined = np.asarray(weights, dtype=np.float64)
        return student(self.free) * math.sqrt(max(float(combined @ self.covariance @ combined), 0.0))

    def chance_of_luck(self, which: Sequence[int]) -> float:
        """Chance that luck alone makes some coefficients as large as they are (F test)."""
        from scipy.stats import f

        chosen = list(which)
        some = self.values[chosen]
        inner = np.linalg.solve(self.covariance[np.ix_(chosen, chosen)], some)
        return float(f.sf(float(some @ inner) / len(some), len(some), self.free))


def weighted_fit(design: FloatArray, observed: FloatArray, variance: FloatArray) -> NormalFit:
    """Fit coefficients to observations whose own variances are known, and whose spread beyond them is not.

    The covariance is scaled by how far the observations are from the line (Knapp and Hartung 2003), so that
    intervals by Student's t hold with few observations.

    Args:
        design: (observations, coefficients).
        observed: (observations,).
        variance: (observations,) error variance of each.

    >>> level = weighted_fit(np.ones((4, 1)), np.array([1.0, 2.0, 3.0, 2.0]), np.full(4, 0.01))
    >>> round(float(level.values[0]), 6), level.free, round(level.extra, 2)
    (2.0, 3, 0.81)
    """
    from scipy.optimize import brentq

    free = design.shape[0] - design.shape[1]

    def at(extra: float) -> tuple[float, FloatArray, FloatArray]:
        weight = 1 / (variance + extra**2)
        inverse = np.asarray(np.linalg.inv(design.T @ (design * weight[:, None])), dtype=np.float64)
        values = np.asarray(inverse @ (design.T @ (weight * observed)))
        return float((weight * (observed - design @ values) ** 2).sum()), values, inverse

    extra = 0.0
    if at(0.0)[0] > free:
        extra = WIDEST if at(WIDEST)[0] >= free else float(brentq(lambda s: at(s)[0] - free, 0.0, WIDEST))
    distance, values, inverse = at(extra)
    return NormalFit(values, inverse * (distance / free), free, extra)


def rounded(number: float) -> float:
    """A number with the digits that a calibrated scenario keeps.

    >>> rounded(1 / 3)
    0.33333333
    """
    return round(float(number), DIGITS)
