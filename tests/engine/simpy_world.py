"""A second implementation of the weekly world, deal by deal: what the flow engine is held against.

Written from the rules, not from the engine: every deal is an object with a SimPy process of its own, every
seat a queue, and a clock walks through the phases of each week. Slow and plain on purpose.

A week ``w`` has these moments: ``w − 1/4`` people leave and start; ``w`` deals leave their stages; then, role
by role in the order of the stages, waiting deals are admitted, the impatient leave, and arrivals are admitted
as far as there is room; ``w + 1/2`` deals are counted and, at a quarter's end, behaviours take place.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
import simpy

from salessim.model import OpenDeal, Scenario, Segment, Source
from salessim.periods import WEEKS_PER_QUARTER

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Steps = Generator[simpy.Event, Any, None]

FIELDS = ("won", "bookings", "leads", "turned_away", "gave_up", "departures", "open_deals", "waiting")


@dataclass(frozen=True)
class SimpyResult:
    """What happened, arrays (trial, rep, period); open_deals and waiting are means over the weeks."""

    won: FloatArray
    bookings: FloatArray
    leads: FloatArray
    turned_away: FloatArray
    gave_up: FloatArray
    departures: FloatArray
    open_deals: FloatArray
    waiting: FloatArray
    in_nurture: FloatArray  # (trial,) leads that rest in nurture at the end
    lost: FloatArray  # (trial,) deals lost in stages, gone from nurture, or dropped with a leaver
    open_at_end: FloatArray  # (trial,) deals in work or waiting at the end, wins held over among them


@dataclass(frozen=True)
class Fate:
    """How a deal leaves a stage: where to, with which chance, after how many weeks."""

    to: int | str  # stage, "won", "lost" or "nurture"
    chance: float
    weeks: FloatArray


@dataclass(frozen=True)
class Path:
    """The journey of one segment's leads from one source (None: deals listed in the pipeline)."""

    segment: int
    source: Source | None
    ready_share: float
    fates: dict[tuple[int, bool], list[Fate]]
    drawn: dict[tuple[int, bool], tuple[list[float], list[list[float]]]]


@dataclass(eq=False)
class Deal:
    """One lead or deal."""

    path: Path
    ready: bool
    stage: int
    amount: float | None = None
    seat: Seat | None = None
    gone: bool = False  # dropped, or closed early: its process has nothing more to do


@dataclass(eq=False)
class Seat:
    """A rep, and those who come after in the same seat."""

    index: int
    role: str
    skill: float
    began: int | None = None  # week in which a successor began; None: the first person
    empty_until: int = -1  # the seat is empty in weeks before this one
    work: dict[Deal, None] = field(default_factory=dict)
    queue: deque[Deal] = field(default_factory=deque)
    arrivals: list[Deal] = field(default_factory=list)
    booked: float = 0.0  # in this quarter
    gives_up: bool = False  # holds wins over this week
    held: list[float] = field(default_factory=list)
    missed: list[bool] = field(default_factory=list)  # by quarter in which this person carried a quota


def simulate_deals(
    scenario: Scenario, *, trials: int, seed: int, quotas: npt.ArrayLike | None = None
) -> SimpyResult:
    """Simulate every deal of a scenario, many times.

    Args:
        scenario: the world.
        trials: simulated horizons.
        seed: seed of the random streams.
        quotas: (rep, quarter), NaN where a rep carries none; needed for behaviours.
    """
    plan = _Plan(scenario, None if quotas is None else np.asarray(quotas, dtype=np.float64))
    worlds = [_World(plan, random.Random(f"{seed}/{trial}")).run() for trial in range(trials)]
    arrays = {name: np.array([world.seen[name] for world in worlds]) for name in FIELDS}
    for name in ("open_deals", "waiting"):
        arrays[name] = arrays[name] / WEEKS_PER_QUARTER
    return SimpyResult(
        **arrays,
        in_nurture=np.array([world.in_nurture for world in worlds], dtype=np.float64),
        lost=np.array([world.lost for world in worlds], dtype=np.float64),
        open_at_end=np.array([world.open_now() for world in worlds], dtype=np.float64),
    )


def expected_leads(scenario: Scenario) -> FloatArray:
    """Expected leads by rep, segment and week before skill and market, as this model shares them out."""
    plan = _Plan(scenario, None)
    leads = np.zeros((len(plan.team), len(scenario.segments), plan.weeks))
    for week, means in enumerate(plan.steady):
        for path, by_seat in means:
            leads[:, path.segment, week] += by_seat
    return leads


class _Plan:
    """What is the same in every trial."""

    def __init__(self, scenario: Scenario, quotas: FloatArray | None) -> None:
        self.scenario, self.quotas = scenario, quotas
        self.team = scenario.team()
        worked = scenario.calendar.worked_periods()
        self.weeks = len(worked) * WEEKS_PER_QUARTER
        self.before = (len(worked) - scenario.calendar.quarters) * WEEKS_PER_QUARTER
        self.capacity = scenario.capacity(worked)
        self.headcount = scenario.headcount(worked)
        self.time_to_sell = scenario.time_to_sell(worked)
        starts = np.array([day for quarter in worked for day in quarter.week_starts()], dtype="datetime64[D]")
        self.ramp = np.ones_like(self.capacity)  # without trainings
        for r, rep in enumerate(self.team):
            if rep.start is not None:
                tenure = np.round((starts - np.datetime64(rep.start, "D")).astype(float) / 7)
                self.ramp[r] = scenario.role(rep.role).ramp.productivity(tenure)
        self.season = [segment.seasonality.factors(worked) for segment in scenario.segments]
        self.focus = np.array(
            [
                [1.0 if rep.segments is None else rep.segments.get(segment.name, 0.0) for rep in self.team]
                for segment in scenario.segments
            ]
        )
        self.paths = [
            (s, source, path_of(segment, s, source))
            for s, segment in enumerate(scenario.segments)
            for source in segment.sources
        ]
        self.bare = [path_of(segment, s, None) for s, segment in enumerate(scenario.segments)]
        named = [stage.role for segment in scenario.segments for stage in segment.stages if stage.role]
        self.roles = list(dict.fromkeys([*named, *(role.name for role in scenario.roles)]))
        self.steady = [self.lead_means(w, self.capacity[:, w]) for w in range(self.weeks)]

    def lead_means(self, week: int, productivity: FloatArray) -> list[tuple[Path, list[float]]]:
        """Expected leads of each seat in a week by path, before skill and market."""
        found = []
        for s, source, path in self.paths:
            segment = self.scenario.segments[s]
            role = segment.stages[0].role
            gets = np.array([role is None or rep.role == role for rep in self.team])
            working = productivity * self.focus[s] * gets
            if source.kind != "self-sourced":
                everyone = working.sum()
                working = working / everyone if everyone > 0 else working
            if source.kind == "existing customers" and segment.customers is not None:
                stays = 1 - segment.customers.churn_per_year
                working = working * stays ** (max(week - self.before, 0) / 52)
            found.append((path, (source.leads_per_week * working * self.season[s][week]).tolist()))
        return found


class _World:
    """One trial."""

    def __init__(self, plan: _Plan, luck: random.Random) -> None:
        self.plan, self.luck = plan, luck
        self.env = simpy.Environment(initial_time=-1)
        market = plan.scenario.market
        self.seats = [
            Seat(r, rep.role, self.gamma(rep.skill_mean, rep.skill_cv)) for r, rep in enumerate(plan.team)
        ]
        self.shocks = self.market_shocks()
        self.level = self.lognormal(market.level_cv, luck.gauss(0, 1))
        self.seen = {name: np.zeros((len(plan.team), plan.scenario.calendar.quarters)) for name in FIELDS}
        self.in_nurture = self.lost = 0
        self.productivity = plan.capacity[:, 0]

    def run(self) -> _World:
        """From the deals of the pipeline to the last week."""
        for listed in self.plan.scenario.pipeline:
            for _ in range(listed.deals):
                self.open_from_pipeline(listed)
        self.env.process(self.clock())
        self.env.run(until=self.plan.weeks)
        return self

    # --- luck ---------------------------------------------------------------------------------------------

    def gamma(self, mean: float, cv: float | None) -> float:
        spread = self.plan.scenario.market.skill_cv if cv is None else cv
        return self.luck.gammavariate(1 / spread**2, mean * spread**2) if spread else mean

    def lognormal(self, cv: float, score: float) -> float:
        spread = math.sqrt(math.log1p(cv**2))
        return math.exp(spread * score - spread**2 / 2)

    def market_shocks(self) -> list[float]:
        """One factor per worked quarter; neighbours' logarithms correlate."""
        market = self.plan.scenario.market
        kept = market.shock_persistence
        score, found = self.luck.gauss(0, 1), []
        for _ in range(self.plan.weeks // WEEKS_PER_QUARTER):
            found.append(self.lognormal(market.shock_cv, score))
            score = kept * score + math.sqrt(1 - kept**2) * self.luck.gauss(0, 1)
        return found

    def poisson(self, mean: float) -> int:
        """Counted as the jumps of a process of rate 1 up to a time: exact for any mean."""
        count, time = 0, self.luck.expovariate(1)
        while time < mean:
            count, time = count + 1, time + self.luck.expovariate(1)
        return count

    def amount_of(self, deal: Deal) -> float:
        if deal.amount is not None:
            return deal.amount
        size = self.segment(deal).deal_size
        if size.mean is not None:
            return size.mean * self.lognormal(size.cv or 0.0, self.luck.gauss(0, 1))
        return self.luck.choices(size.amounts, size.weights().tolist())[0]

    # --- the week -----------------------------------------------------------------------------------------

    @property
    def week(self) -> int:
        return math.floor(self.env.now)

    def clock(self) -> Steps:
        for week in range(self.plan.weeks):
            yield self.env.timeout(week - 0.25 - self.env.now)
            self.people_come_and_go(week)
            self.quarter_begins(week)
            # deals leave their stages at the full hour, by their own processes
            for position, role in enumerate(self.plan.roles):
                seats = [seat for seat in self.seats if seat.role == role]
                yield self.env.timeout(week + (2 * position + 1) / 128 - self.env.now)
                for seat in seats:
                    yield from self.admit_waiting(seat, week)
                yield self.env.timeout(week + (2 * position + 2) / 128 - self.env.now)
                for seat in seats:
                    self.lose_patience(seat, week)
                self.new_leads(role, week)
                for seat in seats:
                    yield from self.admit_arrivals(seat, week)
            yield self.env.timeout(week + 0.5 - self.env.now)
            for seat in self.seats:
                self.see("open_deals", seat, week, len(seat.work))
                self.see("waiting", seat, week, len(seat.queue))
            if week >= self.plan.before and (week + 1) % WEEKS_PER_QUARTER == 0:
                self.quarter_ends(week)

    def see(self, what: str, seat: Seat, week: int, number: float = 1) -> None:
        if week >= self.plan.before:
            self.seen[what][seat.index, (week - self.plan.before) // WEEKS_PER_QUARTER] += number

    # --- people -------------------------------------------------------------------------------------------

    def people_come_and_go(self, week: int) -> None:
        changed = False
        for seat in self.seats:
            role = self.plan.scenario.role(seat.role)
            if role.attrition_per_year and self.is_there(seat, week):
                stays = (1 - role.attrition_per_year) ** (1 / 52)
                if self.luck.random() >= stays:
                    self.leave(seat, week, empty_from=week)
            changed |= seat.began is not None
        self.productivity = self.plan.capacity[:, week]
        if changed:
            self.productivity = np.array([self.productivity_of(seat, week) for seat in self.seats])
        self.steady = not changed

    def is_there(self, seat: Seat, week: int) -> bool:
        return bool(self.plan.headcount[seat.index, week]) and week >= seat.empty_until

    def ramp_of(self, seat: Seat, week: int) -> float:
        if seat.began is None:
            return float(self.plan.ramp[seat.index, week])
        return float(self.plan.scenario.role(seat.role).ramp.productivity(week - seat.began))

    def productivity_of(self, seat: Seat, week: int) -> float:
        if not self.is_there(seat, week):
            return 0.0
        return self.ramp_of(seat, week) * float(self.plan.time_to_sell[seat.index, week])

    def leave(self, seat: Seat, week: int, *, empty_from: int) -> None:
        role = self.plan.scenario.role(seat.role)
        lag = role.hiring_lead_weeks if role.backfill_weeks is None else role.backfill_weeks
        self.see("departures", seat, week)
        seat.empty_until = seat.began = empty_from + lag
        seat.skill = self.gamma(1.0, None)
        seat.missed = []
        kept = role.open_deals_kept
        for deal in [*seat.work, *seat.queue]:
            if self.luck.random() >= kept:
                deal.gone = True
                self.lost += 1
        seat.work = {deal: None for deal in seat.work if not deal.gone}
        seat.queue = deque(deal for deal in seat.queue if not deal.gone)

    # --- room ---------------------------------------------------------------------------------------------

    def has_room(self, seat: Seat, deal: Deal, week: int) -> bool:
        capacity = self.plan.scenario.role(seat.role).capacity
        if capacity is None:
            return True
        if not self.is_there(seat, week):
            return False
        share = self.ramp_of(seat, week) if capacity.ramps else 1.0
        if capacity.open_deals is not None:
            return len(seat.work) + 1 <= capacity.open_deals * share + 1e-9
        assert capacity.hours_per_week is not None
        used = sum(map(self.hours, seat.work))
        return used + self.hours(deal) <= capacity.hours_per_week * share + 1e-9

    def hours(self, deal: Deal) -> float:
        return self.segment(deal).stages[deal.stage].hours_per_week

    def segment(self, deal: Deal) -> Segment:
        return self.plan.scenario.segments[deal.path.segment]

    def admit(self, seat: Seat, deal: Deal) -> Steps:
        """Deals come in one by one: one that leaves within the week makes room for the next at once."""
        seat.work[deal] = None
        self.env.process(self.life(deal))
        yield self.env.timeout(0)

    def admit_waiting(self, seat: Seat, week: int) -> Steps:
        while seat.queue and self.has_room(seat, seat.queue[0], week):
            yield from self.admit(seat, seat.queue.popleft())

    def lose_patience(self, seat: Seat, week: int) -> None:
        capacity = self.plan.scenario.role(seat.role).capacity
        if capacity is not None and seat.queue:
            stays = [deal for deal in seat.queue if self.luck.random() >= capacity.leave_per_week]
            self.see("gave_up", seat, week, len(seat.queue) - len(stays))
            seat.queue = deque(stays)

    def new_leads(self, role: str, week: int) -> None:
        plan = self.plan
        means = plan.steady[week] if self.steady else plan.lead_means(week, self.productivity)
        market = self.shocks[week // WEEKS_PER_QUARTER] * self.level
        for path, by_seat in means:
            for seat in self.seats:
                if seat.role == role:
                    for _ in range(self.poisson(by_seat[seat.index] * seat.skill * market)):
                        ready = self.luck.random() < path.ready_share
                        seat.arrivals.append(Deal(path, ready, stage=0, seat=seat))

    def admit_arrivals(self, seat: Seat, week: int) -> Steps:
        capacity = self.plan.scenario.role(seat.role).capacity
        self.see("leads", seat, week, len(seat.arrivals))
        self.luck.shuffle(seat.arrivals)
        for deal in seat.arrivals:
            # nobody overtakes those who wait
            if not seat.queue and self.has_room(seat, deal, week):
                yield from self.admit(seat, deal)
            elif capacity is not None and capacity.surplus == "lost":
                self.see("turned_away", seat, week)
            else:
                seat.queue.append(deal)
        seat.arrivals = []

    # --- the life of a deal -------------------------------------------------------------------------------

    def life(self, deal: Deal, first: tuple[int | str, int] | None = None) -> Steps:
        """From admission to a seat until the deal is won or lost, or moves to another role or to nurture.

        ``first``: where a deal of the pipeline goes from its stage, and in which week.
        """
        while True:
            to, leaves = self.fate(deal) if first is None else first
            first = None
            if leaves > self.env.now:
                yield self.env.timeout(leaves - self.env.now)
            if deal.gone:
                return
            seat = deal.seat
            assert seat is not None
            stages = self.segment(deal).stages
            if isinstance(to, int) and stages[to].role == stages[deal.stage].role:
                deal.stage = to
                continue
            del seat.work[deal]
            if isinstance(to, int):
                deal.stage = to
                self.hand_over(deal)
            elif to == "won":
                self.win(deal, self.week)
            elif to == "nurture":
                self.env.process(self.rest(deal))
            else:
                self.lost += 1
            return

    def fate(self, deal: Deal) -> tuple[int | str, int]:
        """Where the deal goes from its stage, and in which week."""
        upper, weeks = deal.path.drawn[deal.stage, deal.ready]
        chosen = min(bisect_right(upper, self.luck.random()), len(upper) - 1)
        stays = min(bisect_right(weeks[chosen], self.luck.random()), len(weeks[chosen]) - 1)
        return deal.path.fates[deal.stage, deal.ready][chosen].to, self.week + stays

    def rest(self, deal: Deal) -> Steps:
        nurture = self.segment(deal).nurture
        assert nurture is not None
        assert deal.seat is not None
        self.in_nurture += 1
        weeks = 1
        while self.luck.random() >= 1 / nurture.mean_weeks:
            weeks += 1
        yield self.env.timeout(self.week + weeks - self.env.now)
        self.in_nurture -= 1
        if self.luck.random() >= nurture.return_share:
            self.lost += 1
            return
        segment = self.segment(deal)
        deal.ready = True
        deal.stage = 0 if nurture.returns_to is None else segment.stage_index(nurture.returns_to)
        if segment.stages[deal.stage].role in (None, deal.seat.role):
            deal.seat.arrivals.append(deal)
        else:
            self.hand_over(deal)

    def hand_over(self, deal: Deal) -> None:
        """Give the deal to somebody of the stage's role; where nobody is there, it is lost."""
        role = self.segment(deal).stages[deal.stage].role
        seats = [seat for seat in self.seats if seat.role == role]
        focus = self.plan.focus[deal.path.segment]
        weights = [float(self.productivity[s.index]) * focus[s.index] * s.skill for s in seats]
        if sum(weights) > 0:
            deal.seat = self.luck.choices(seats, weights)[0]
            deal.seat.arrivals.append(deal)
        else:
            self.lost += 1

    def win(self, deal: Deal, week: int) -> None:
        seat, amount = deal.seat, self.amount_of(deal)
        assert seat is not None
        push = self.plan.scenario.behaviours.push_back
        if push is not None and seat.gives_up and self.luck.random() < push.share:
            seat.held.append(amount)
        else:
            self.book(seat, amount, week)

    def book(self, seat: Seat, amount: float, week: int) -> None:
        self.see("won", seat, week)
        self.see("bookings", seat, week, amount)
        seat.booked += amount

    def open_from_pipeline(self, listed: OpenDeal) -> None:
        """A deal that has been in its stage for some weeks, and not left it by then."""
        plan = self.plan
        names = [segment.name for segment in plan.scenario.segments]
        path = plan.bare[names.index(listed.segment)]
        segment = plan.scenario.segments[path.segment]
        stage, age = segment.stage_index(listed.stage), listed.weeks_in_stage
        visits = _visits(segment)
        places: list[tuple[bool, int | str, int]] = []
        chances: list[float] = []
        for ready in (True, False):
            for one in path.fates[stage, ready]:
                for weeks in range(age + 1, len(one.weeks)):
                    places.append((ready, one.to, weeks - age - 1))
                    chances.append(visits[stage, ready] * one.chance * one.weeks[weeks])
        seat = self.seats[[rep.name for rep in plan.team].index(listed.rep)]
        if not sum(chances):
            places, chances = [(True, "lost", 0)], [1.0]  # older than any deal that ever left the stage
        ready, to, leaves = self.luck.choices(places, chances)[0]
        deal = Deal(path, ready, stage, amount=listed.amount, seat=seat)
        seat.work[deal] = None
        self.env.process(self.life(deal, first=(to, leaves)))

    def open_now(self) -> int:
        return sum(len(seat.work) + len(seat.queue) + len(seat.held) for seat in self.seats)

    # --- behaviours ---------------------------------------------------------------------------------------

    def attainment(self, seat: Seat, week: int) -> float:
        """Bookings so far ÷ quota of the quarter; NaN where there is no quota, or nobody."""
        quarter = (week - self.plan.before) // WEEKS_PER_QUARTER
        if self.plan.quotas is None or week < self.plan.before or not self.is_there(seat, week):
            return math.nan
        quota = float(self.plan.quotas[seat.index, quarter])
        return seat.booked / quota if quota > 0 else math.nan

    def quarter_begins(self, week: int) -> None:
        """Bookings start from nothing, with what was held over; late in the quarter some give it up."""
        push = self.plan.scenario.behaviours.push_back
        for seat in self.seats:
            if week % WEEKS_PER_QUARTER == 0:
                seat.booked = 0.0
                for amount in seat.held:
                    self.book(seat, amount, week)
                seat.held = []
            late = push is not None and week % WEEKS_PER_QUARTER >= WEEKS_PER_QUARTER - push.weeks
            seat.gives_up = push is not None and late and self.attainment(seat, week) < push.below

    def quarter_ends(self, week: int) -> None:
        behaviours = self.plan.scenario.behaviours
        pull, leaving = behaviours.pull_forward, behaviours.leave_after_misses
        for seat in self.seats:
            reached = self.attainment(seat, week)
            if pull is not None and pull.accelerator_at - pull.within <= reached < pull.accelerator_at:
                for deal in list(seat.work):
                    last = deal.stage == len(self.segment(deal).stages) - 1
                    if last and self.luck.random() < pull.share:
                        self.close_early(deal, week, pull.discount)
            reached = self.attainment(seat, week)
            if leaving is not None and not math.isnan(reached):
                seat.missed.append(reached < 1)
                recent = seat.missed[-leaving.misses :]
                if len(recent) == leaving.misses and all(recent) and self.luck.random() < leaving.share:
                    self.leave(seat, week, empty_from=week + 1)

    def close_early(self, deal: Deal, week: int, discount: float) -> None:
        assert deal.seat is not None
        del deal.seat.work[deal]
        deal.gone = True
        fates = deal.path.fates[deal.stage, deal.ready]
        if self.luck.random() < sum(fate.chance for fate in fates if fate.to == "won"):
            self.book(deal.seat, self.amount_of(deal) * (1 - discount), week)
        else:
            self.lost += 1


def path_of(segment: Segment, index: int, source: Source | None) -> Path:
    """Read the journey of a source off the segment's chain, with the time in each stage."""
    chain = segment.journey(source)
    number = len(segment.stages)
    names: list[int | str] = [*range(number), *range(number), "nurture", "won", "lost"]
    factor = 1.0 if source is None else source.cycle_factor
    fates: dict[tuple[int, bool], list[Fate]] = {}
    drawn: dict[tuple[int, bool], tuple[list[float], list[list[float]]]] = {}
    for ready in (True, False):
        for k, stage in enumerate(segment.stages):
            row = chain[k if ready else number + k]
            leaving = [
                Fate(to, float(share), stage.dwell_shares(lost=to == "lost", factor=factor))
                for to, share in zip(names, row, strict=True)
                if share > 0
            ]
            fates[k, ready] = leaving
            drawn[k, ready] = (
                list(accumulate(fate.chance for fate in leaving)),
                [np.cumsum(fate.weeks).tolist() for fate in leaving],
            )
    return Path(index, source, segment.ready_share_of(source), fates, drawn)


def _visits(segment: Segment) -> dict[tuple[int, bool], float]:
    """How often a lead enters each stage, ready or not."""
    chain, number = segment.journey(), len(segment.stages)
    start = np.zeros(len(chain))
    start[0] = segment.ready_share_of()
    start[number] += 1 - start[0]
    visits = np.linalg.solve(np.eye(len(chain)) - chain[:, : len(chain)].T, start)
    return {
        (k, ready): float(visits[k if ready else number + k])
        for k in range(number)
        for ready in (True, False)
    }
