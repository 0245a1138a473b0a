"""How a stage ends, with deals that are still in it counted as censored (Aalen and Johansen 1978)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from salessim.calibrate.estimates import student
from salessim.intervals import wilson

__all__ = ["Ending", "Passage", "ending_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Passage:
    """Deals that entered a stage, shape (deals,) each."""

    stage: str
    days: IntArray  # that each was in it, so far or until it left
    event: IntArray  # 1 moved on (from the last stage: won), 2 lost, 0 still there
    deals: npt.NDArray[np.int64]  # row of each in the table of deals

    def of(self, chosen: npt.NDArray[np.bool_]) -> Passage:
        """The same for some of the deals."""
        return Passage(self.stage, self.days[chosen], self.event[chosen], self.deals[chosen])


@dataclass(frozen=True, eq=False)
class Ending:
    """Shares of deals that move on and that are lost, by week in the stage.

    ``deals`` is how many deals an uncensored share would need to be as sure as this one.
    """

    moving: FloatArray  # (weeks,)
    losing: FloatArray  # (weeks,)
    conversion: float
    deals: float
    moved: int

    @property
    def interval(self) -> tuple[float, float]:
        """80 % interval of the conversion: Wilson's, with ``deals`` observations."""
        low, high = wilson(self.conversion * self.deals, self.deals)[1:]
        return float(low), float(high)

    def mean_weeks(self) -> tuple[float, float, float]:
        """Mean weeks of the deals that move on, with its 80 % interval; NaN where it cannot be told."""
        if self.moved == 0 or self.moving.sum() <= 0:
            return math.nan, math.nan, math.nan
        weeks, law = np.arange(len(self.moving)), self.moving / self.moving.sum()
        mean = float(weeks @ law)
        if self.moved < 2:
            return mean, math.nan, math.nan
        error = student(self.moved - 1) * math.sqrt(float((weeks - mean) ** 2 @ law) / (self.moved - 1))
        return mean, max(mean - error, 0.0), mean + error

    def median_weeks(self) -> float:
        """Week by which half of the deals that move on have done so; NaN where none does."""
        if self.moving.sum() <= 0:
            return math.nan
        below = np.cumsum(self.moving) / self.moving.sum()
        return float(np.searchsorted(below, 0.5 - 1e-12))


def ending_of(passage: Passage) -> Ending:
    """Estimate how a stage ends.

    >>> fate = ending_of(Passage("open", np.array([7, 7, 14, 3]), np.array([1, 2, 1, 0]), np.arange(4)))
    >>> round(fate.conversion, 3), fate.moving.round(3).tolist()
    (0.667, [0.0, 0.333, 0.333, 0.0, 0.0])
    """
    from statsmodels.duration.survfunc import CumIncidenceRight

    days, event = passage.days, passage.event
    n, moved = len(event), int((event == 1).sum())
    # the estimator wants times above 0: a deal that left on its first day stands at day 1
    with np.errstate(divide="ignore", invalid="ignore"):  # its variance where nobody is left at risk
        estimate = CumIncidenceRight(days + 1.0, event)
    grid = estimate.times.astype(int) - 1
    moving, losing = (np.zeros(int(days.max()) // 7 + 3) for _ in range(2))
    kinds = range(1, int(event.max()) + 1)  # in the order of the estimator's curves
    both = {kind: np.diff(curve, prepend=0.0) for kind, curve in zip(kinds, estimate.cinc, strict=True)}
    for target, kind in ((moving, 1), (losing, 2)):
        if kind in both:
            # Deals arrive on any day of a week: of those that take d days, d % 7 in 7 cross one week boundary
            # more than the others (the same day counts as half a day). So means are kept, and the law goes
            # on for at least one week after a deal that is not older than the slowest move.
            later = np.maximum(grid, 0.5) % 7 / 7
            np.add.at(target, grid // 7, both[kind] * (1 - later))
            np.add.at(target, grid // 7 + 1, both[kind] * later)
    conversion = float(np.clip(moving.sum(), 0.0, 1.0))
    errors = estimate.cinc_se[0][np.isfinite(estimate.cinc_se[0])] if kinds else np.empty(0)  # of moving on
    error = float(errors[-1]) if moved and len(errors) else math.nan
    settled = not (error > 0 and 0 < conversion < 1)
    size = n if settled else max(conversion * (1 - conversion) / error**2, 1.0)
    return Ending(moving, losing, conversion, float(size), moved)
