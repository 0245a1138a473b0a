"""How sure a figure is: shares carry Wilson's interval, means Student's t, medians order statistics.

All intervals are at :data:`LEVEL`. Counts and sums are facts: they have none. Nothing here is random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from salessim.errors import DataError
from salessim.intervals import LEVEL, wilson

__all__ = [
    "LEVEL",
    "Estimate",
    "Floats",
    "mean_estimate",
    "median_estimate",
    "median_rank",
    "share_estimate",
    "t_half",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with how sure it is: value, interval at :data:`LEVEL`, and sample size.

    ``low`` and ``high`` are NaN for facts (counts and sums) and for samples too small for an interval.

    >>> Estimate(value=3.0, low=2.0, high=4.0, n=12).n
    12
    """

    value: float
    low: float
    high: float
    n: int


def t_half(n: Floats, deviation: Floats) -> Floats:
    """Half width of the t interval of a mean, elementwise; NaN where n < 2.

    >>> t_half(np.array([3.0]), np.array([10.0])).round(1).tolist()
    [10.9]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        half = special.stdtrit(n - 1, 0.5 + LEVEL / 2) * deviation / np.sqrt(n)
    return np.where(n >= 2, half, np.nan)


def median_rank(n: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Rank j such that the j-th smallest and j-th largest of n bracket the median; 0 where none do (n < 4).

    j is the smallest with P(Binomial(n, ½) ≤ j) ≥ 10 %, so that the interval holds at least LEVEL.

    >>> median_rank(np.array([3, 10])).tolist()
    [0, 3]
    """
    tail = (1 - LEVEL) / 2
    # the quantile of Binomial(n, ½) lies within a step or two of its normal approximation
    guess = np.floor(n / 2 + special.ndtri(tail) * np.sqrt(n) / 2) - 2
    rank = np.maximum(guess, 0)
    for _ in range(5):
        rank = np.where(special.bdtr(rank, n, 0.5) < tail, rank + 1, rank)
    return np.where(n >= 4, rank, 0).astype(np.int64)


def share_estimate(successes: float, n: int) -> Estimate:
    """A share with Wilson's interval; NaN throughout when nothing was tried (n = 0).

    Raises:
        DataError: successes lie outside 0 … n.

    Source: Wilson, E. B. (1927), JASA 22, 209–212.

    >>> rate = share_estimate(20, 100)
    >>> rate.value, round(rate.low, 3), round(rate.high, 3), rate.n
    (0.2, 0.154, 0.256, 100)
    """
    if not 0 <= successes <= n:
        raise DataError(f"a share of {successes} out of {n} is impossible; it must be 0 to {n}")
    value, low, high = wilson(np.array([float(successes)]), np.array([float(n)]))
    return Estimate(float(value[0]), float(low[0]), float(high[0]), int(n))


def mean_estimate(values: Sequence[float] | npt.ArrayLike) -> Estimate:
    """A mean with Student's t interval (from two values on); missing values (NaN) are left out.

    >>> size = mean_estimate([10.0, 20.0, 30.0])
    >>> size.value, round(size.low, 1), round(size.high, 1), size.n
    (20.0, 9.1, 30.9, 3)
    >>> mean_estimate([10.0])
    Estimate(value=10.0, low=nan, high=nan, n=1)
    """
    known = _known(values)
    n = known.size
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    deviation = float(known.std(ddof=1)) if n > 1 else math.nan
    half = float(t_half(np.array([float(n)]), np.array([deviation]))[0])
    mean = float(known.mean())
    return Estimate(mean, mean - half, mean + half, n)


def median_estimate(values: Sequence[float] | npt.ArrayLike) -> Estimate:
    """A median with an interval between order statistics (from four values on); NaN values are left out.

    The interval needs no assumption on the shape: it holds the median with at least :data:`LEVEL`.

    >>> median_estimate([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 100.0])
    Estimate(value=5.5, low=3.0, high=8.0, n=10)
    """
    known = np.sort(_known(values))
    n = known.size
    if n == 0:
        return Estimate(math.nan, math.nan, math.nan, 0)
    rank = int(median_rank(np.array([n]))[0])
    low, high = (float(known[rank - 1]), float(known[n - rank])) if rank else (math.nan, math.nan)
    return Estimate(float(np.median(known)), low, high, n)


def _known(values: Sequence[float] | npt.ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64).ravel()
    return array[~np.isnan(array)]
