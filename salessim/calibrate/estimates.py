"""Estimates with their intervals: the small statistics that calibration rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from salessim.intervals import LEVEL

__all__ = ["DIGITS", "Notes", "Parameter", "extra_spread", "student"]

FloatArray = npt.NDArray[np.float64]

#: Digits of a calibrated number: more would only make the scenario file longer.
DIGITS = 8


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
    from scipy.optimize import brentq
    from scipy.stats import chi2

    def statistic(cv: float) -> float:
        mean = expected(cv)
        used = mean > 0
        return float(((counts - mean)[used] ** 2 / (mean + (cv * mean) ** 2)[used]).sum())

    found = []
    for wanted in (free, *chi2.ppf([(1 + LEVEL) / 2, (1 - LEVEL) / 2], free)):
        highest = 3.0
        if statistic(0.0) <= wanted:
            found.append(0.0)
        elif statistic(highest) >= wanted:
            found.append(highest)
        else:
            found.append(float(brentq(lambda cv, w=wanted: statistic(cv) - w, 0.0, highest)))
    return found


def student(free: int) -> float:
    """Quantile of Student's t for an 80 % interval with so many degrees of freedom.

    >>> round(student(9), 3)
    1.383
    """
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, free))
