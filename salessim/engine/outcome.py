"""What a simulation answers, whichever engine made it.

Plans, measures and charts ask an :class:`Outcome` for probabilities and quantiles of bookings; they do not
know whether the answer was solved for (:class:`~salessim.engine.exact.ExactOutcome`) or counted over trials
(:class:`~salessim.engine.thinning.SampledOutcome`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from salessim.errors import EngineError, listed
from salessim.model import Scenario

__all__ = ["HORIZON", "Outcome"]

FloatArray = npt.NDArray[np.float64]

#: Name of the period that is the whole horizon.
HORIZON = "horizon"


class Outcome(ABC):
    """Possible bookings of a team, by rep and period.

    A period is the name of a quarter of the scenario ("2026Q1") or ``"horizon"``, all quarters together.
    Amounts are in the currency of the scenario; arrays over reps are in the order of ``reps``.
    """

    engine: str
    """Name of the engine."""
    why: str
    """Why this engine was taken, in a sentence for the report."""
    trials: int | None
    """Number of simulated horizons; None: solved without simulation, no sampling error."""
    seed: int | None
    """Seed of the random streams; None: no randomness was used."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.reps = tuple(rep.name for rep in scenario.team())
        self.periods = tuple(str(quarter) for quarter in scenario.calendar.periods())

    def quarters_of(self, period: str) -> list[int]:
        """Positions of the quarters that a period consists of; EngineError for an unknown period."""
        if period == HORIZON:
            return list(range(len(self.periods)))
        if period not in self.periods:
            allowed = listed([*self.periods, HORIZON])
            raise EngineError(f"period is {period!r}; the scenario covers {allowed}")
        return [self.periods.index(period)]

    @abstractmethod
    def expected_bookings(self, period: str) -> FloatArray:
        """Mean bookings of each rep, shape (reps,)."""

    @abstractmethod
    def chance_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        """Chance of each rep to book at least an amount, shape (reps,); NaN where the amount is NaN."""

    @abstractmethod
    def number_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        """Law of the number of reps who book at least their amount, shape (n + 1,): entry k is P(k reps).

        Reps whose amount is NaN do not count; n is the number of the others.
        """

    @abstractmethod
    def rep_quantiles(self, probabilities: Sequence[float], period: str) -> FloatArray:
        """Quantiles of each rep's bookings, shape (probabilities, reps)."""

    @abstractmethod
    def team_chance_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        """Chance that the team books at least each amount, shape of ``amounts``."""

    @abstractmethod
    def team_quantiles(self, probabilities: Sequence[float], period: str) -> FloatArray:
        """Quantiles of the team's bookings, shape (probabilities,)."""

    @abstractmethod
    def share_at_least(self, weights: npt.ArrayLike, amount: float, period: str) -> float:
        """Expected share of reps who book at least ``amount · weight``; NaN or 0 weights do not count."""

    @abstractmethod
    def amount_for_share(self, weights: npt.ArrayLike, share: float, period: str) -> float:
        """Amount that an expected share of reps reaches, each measured at ``amount · weight``.

        This is how a quota is found: the pooled law of bookings ÷ weight is read at one point.
        """


def counted(weights: npt.ArrayLike, reps: int) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """Weights as an array and which reps count; EngineError where nobody does or a weight is negative."""
    values = np.broadcast_to(np.asarray(weights, dtype=np.float64), (reps,))
    if np.nanmin(values, initial=0.0) < 0:
        raise EngineError(f"a weight is {np.nanmin(values):g}; weights must not be negative")
    present = np.isfinite(values) & (values > 0)
    if not present.any():
        raise EngineError("no rep carries a quota in this period; there is no share to aim at")
    return values, present
