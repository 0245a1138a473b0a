"""Workload W1 with cimba, in two ways: events of every lead, and weekly counts in a process per rep.

cimba compiles classes once per Python process, whatever their figures; that is why they stand on module level
and why a first run warms up. A process for each lead instead of its events takes about five times as long.
"""

import cimba as cb
import cimba.random as draw
import numpy as np

from benchmarks.workload import FloatArray, IntArray, Workload
from salessim.periods import WEEKS_PER_QUARTER

__all__ = ["run"]


class Market(cb.Model):
    """What all reps share: the figures of the funnel and the shock of each quarter."""

    conversions: cb.Array[float]
    leaves: cb.Array[float]  # chance to leave a stage in a week
    shock: cb.Array[float]
    shock_mu: float
    shock_sigma: float
    skill_shape: float
    deal_mu: float
    deal_sigma: float
    reps: list["Rep"]

    def __init__(self, work: Workload, rep_class: "type[Rep]"):
        self.conversions = cb.Array(list(work.conversions))
        self.leaves = cb.Array([1 / weeks for weeks in work.dwell_weeks])
        self.shock = cb.Array([1.0] * work.quarters)
        self.shock_mu, self.shock_sigma = work.shock_law
        self.skill_shape = work.skill_shape
        self.deal_mu, self.deal_sigma = work.deal_law
        self.reps = [rep_class(self, leads) for leads in work.leads.tolist()]

    @cb.on_start
    def luck(self):
        for quarter in range(len(self.shock)):
            self.shock[quarter] = draw.lognormal(self.shock_mu, self.shock_sigma)


class Rep(cb.Model):
    """What a rep won and booked by quarter; the subclasses say how."""

    market: cb.Ref[Market]
    leads: cb.Array[float]
    won: cb.Array[int]
    booked: cb.Array[float]
    won_1: cb.Output[int]
    won_2: cb.Output[int]
    won_3: cb.Output[int]
    won_4: cb.Output[int]
    booked_1: cb.Output[float]
    booked_2: cb.Output[float]
    booked_3: cb.Output[float]
    booked_4: cb.Output[float]

    def __init__(self, market: Market, leads: list[float]):
        self.market, self.leads = market, cb.Array(leads)
        self.won, self.booked = cb.Array(4), cb.Array([0.0] * 4)

    @cb.on_end
    def measure(self):
        self.won_1, self.won_2, self.won_3, self.won_4 = self.won[0], self.won[1], self.won[2], self.won[3]
        self.booked_1, self.booked_2 = self.booked[0], self.booked[1]
        self.booked_3, self.booked_4 = self.booked[2], self.booked[3]


class RepWithLeads(Rep):
    """Starts every lead as an object of its own."""

    @cb.process
    def sell(self):
        skill = draw.gamma(self.market.skill_shape, 1.0 / self.market.skill_shape)
        for week in range(len(self.leads)):
            mean = self.leads[week] * skill * self.market.shock[week // WEEKS_PER_QUARTER]
            for _ in range(draw.poisson(mean)):
                cb.spawn(Lead, market=self.market, rep=self)
            cb.hold(1.0)


class Lead(cb.Model):
    """A lead, until it is won or lost."""

    market: cb.Ref[Market]
    rep: cb.Ref[RepWithLeads]
    stage: int = 0

    @cb.on_start
    def arrive(self):
        cb.schedule(self.leave, float(draw.geometric(self.market.leaves[0])))

    @cb.event
    def leave(self):
        if draw.bernoulli(self.market.conversions[self.stage]):
            self.stage += 1
            if self.stage < len(self.market.leaves):
                cb.schedule(self.leave, float(draw.geometric(self.market.leaves[self.stage])))
            else:
                quarter = int(cb.now()) // WEEKS_PER_QUARTER
                if quarter < len(self.rep.won):  # what was scheduled still happens after the window
                    self.rep.won[quarter] += 1
                    self.rep.booked[quarter] += draw.lognormal(self.market.deal_mu, self.market.deal_sigma)


class RepWithCounts(Rep):
    """Moves the number of deals in each stage, once a week."""

    in_stage: cb.Array[int] = cb.Array(5)

    @cb.process
    def sell(self):
        skill = draw.gamma(self.market.skill_shape, 1.0 / self.market.skill_shape)
        last = len(self.in_stage) - 1
        for week in range(len(self.leads)):
            quarter = week // WEEKS_PER_QUARTER
            for step in range(last + 1):
                stage = last - step  # from the end, so that a deal moves once a week
                leaving = draw.binomial(self.in_stage[stage], self.market.leaves[stage])
                moving = draw.binomial(leaving, self.market.conversions[stage])
                self.in_stage[stage] -= leaving
                if stage < last:
                    self.in_stage[stage + 1] += moving
                else:
                    self.won[quarter] += moving
                    for _ in range(moving):
                        self.booked[quarter] += draw.lognormal(self.market.deal_mu, self.market.deal_sigma)
            mean = self.leads[week] * skill * self.market.shock[quarter]
            self.in_stage[0] += draw.poisson(mean)
            cb.hold(1.0)


def run(work: Workload, trials: int, seed: int, *, by_lead: bool) -> tuple[IntArray, FloatArray]:
    """Wins and bookings of four quarters and five stages, on one worker thread."""
    if (work.quarters, len(work.conversions)) != (4, 5):
        raise ValueError("the models with cimba are written for four quarters and five stages")
    market = Market(work, RepWithLeads if by_lead else RepWithCounts)
    # the week of the last lead ends before the window does
    experiment = cb.Experiment(
        market, replications=trials, window=cb.Window(duration=work.weeks - 0.5), seed=seed
    )
    results = experiment.run(workers=1, on_failure="raise")
    won, bookings = work.nothing(trials)
    for number, rep in enumerate(market.reps):
        for quarter in range(4):
            won[:, number, quarter] = np.asarray(getattr(results[rep], f"won_{quarter + 1}"))[0]
            bookings[:, number, quarter] = np.asarray(getattr(results[rep], f"booked_{quarter + 1}"))[0]
    return won, bookings
