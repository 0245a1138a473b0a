"""What the peers simulate: the figures of a scenario, as plain numbers that any library can take."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from salessim.engine import weekly_leads
from salessim.model import Capacity, Scenario
from salessim.periods import WEEKS_PER_QUARTER
from tests.worlds import changed, reference_world

__all__ = ["Peer", "Workload", "w1", "w2"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Workload:
    """One funnel with geometric dwell on 1, 2, 3 … weeks and lognormal deals; the pipeline starts empty."""

    leads: FloatArray  # (rep, week): expected leads before any luck
    conversions: tuple[float, ...]
    dwell_weeks: tuple[float, ...]
    deal_mean: float
    deal_cv: float
    skill_cv: float
    shock_cv: float
    open_deals: int = 0  # most open deals of a rep; 0: no limit
    leave_per_week: float = 0.0  # chance of a waiting lead to lose patience in a week

    @classmethod
    def of(cls, scenario: Scenario) -> Workload:
        """The figures of a scenario with one segment, one source and one role."""
        segment, market, limit = scenario.segments[0], scenario.market, scenario.roles[0].capacity
        dwell = [stage.dwell_weeks for stage in segment.stages if isinstance(stage.dwell_weeks, float)]
        if len(dwell) < len(segment.stages):
            raise ValueError("the models of the peers know geometric dwell only")
        return cls(
            leads=weekly_leads(scenario)[:, 0, :],
            conversions=tuple(float(share) for share in segment.conversions()),
            dwell_weeks=tuple(dwell),
            deal_mean=float(segment.deal_size.mean or 0),
            deal_cv=float(segment.deal_size.cv or 0),
            skill_cv=market.skill_cv,
            shock_cv=market.shock_cv,
            open_deals=0 if limit is None else int(limit.open_deals or 0),
            leave_per_week=0.0 if limit is None else limit.leave_per_week,
        )

    @property
    def reps(self) -> int:
        return self.leads.shape[0]

    @property
    def weeks(self) -> int:
        return self.leads.shape[1]

    @property
    def quarters(self) -> int:
        return self.weeks // WEEKS_PER_QUARTER

    @property
    def skill_shape(self) -> float:
        """Shape of the gamma law of skill; its scale is 1 ÷ shape."""
        return 1 / self.skill_cv**2

    @property
    def shock_law(self) -> tuple[float, float]:
        """Mean and spread of the logarithm of the market shock, which has mean 1."""
        return lognormal(1.0, self.shock_cv)

    @property
    def deal_law(self) -> tuple[float, float]:
        """Mean and spread of the logarithm of a deal."""
        return lognormal(self.deal_mean, self.deal_cv)

    def means(self, random: np.random.Generator, trials: int) -> FloatArray:
        """Expected leads once skill and market shock are drawn, shape (trial, rep, week)."""
        skill = random.gamma(self.skill_shape, 1 / self.skill_shape, (trials, self.reps, 1))
        shock = random.lognormal(*self.shock_law, (trials, 1, self.quarters))
        return np.asarray(self.leads * skill * np.repeat(shock, WEEKS_PER_QUARTER, axis=2))

    def nothing(self, trials: int) -> tuple[IntArray, FloatArray]:
        """Wins and bookings of (trial, rep, quarter), to be filled."""
        shape = (trials, self.reps, self.quarters)
        return np.zeros(shape, dtype=np.int64), np.zeros(shape)


#: A model of a workload: (workload, trials, seed) → wins and bookings, axes (trial, rep, quarter) each.
Peer = Callable[[Workload, int, int], tuple[IntArray, FloatArray]]


def lognormal(mean: float, cv: float) -> tuple[float, float]:
    """Mean and spread of the logarithm of a lognormal law."""
    variance = math.log1p(cv**2)
    return math.log(mean) - variance / 2, math.sqrt(variance)


def w1(*, reps: int = 50, newcomers: int = 10) -> Scenario:
    """Workload W1: 50 reps, ten of them new, 52 weeks, five stages, no limit of capacity."""
    return reference_world(reps=reps, newcomers=newcomers)


def w2(*, reps: int = 50, newcomers: int = 10, open_deals: int = 40) -> Scenario:
    """Workload W2: W1 with at most 40 open deals per rep; of the waiting leads 10 % leave every week."""
    world = reference_world(reps=reps, newcomers=newcomers)
    limit = Capacity(open_deals=open_deals, surplus="waits", leave_per_week=0.1)
    return changed(world, roles=(world.roles[0].model_copy(update={"capacity": limit}),))
