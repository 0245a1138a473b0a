"""The weekly flow of counts against a deal-by-deal model of the same rules, and what must always hold."""

from __future__ import annotations

from datetime import date
from functools import cache
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salessim.engine import HORIZON, ExactOutcome, simulate, weekly_leads
from salessim.engine.flow import FlowOutcome
from salessim.engine.flow import flow as weekly_flow
from salessim.model import (
    Behaviours,
    Calendar,
    Capacity,
    Customers,
    DealSize,
    Hire,
    LeaveAfterMisses,
    Market,
    Nurture,
    OpenDeal,
    Promotion,
    PullForward,
    PushBack,
    Qualification,
    Ramp,
    Rep,
    Role,
    Scenario,
    Seasonality,
    Segment,
    Source,
    Stage,
    Training,
)
from tests.engine.simpy_world import FIELDS, SimpyResult, expected_leads, simulate_deals
from tests.worlds import changed, one_stage_world, reference_world, with_leads

FloatArray = npt.NDArray[np.float64]

TRIALS, DEALS_TRIALS = 3_000, 300

EARLY = Stage(name="early", conversion=0.5, dwell_weeks=3.0, hours_per_week=2.0)
LATE = Stage(name="late", conversion=0.6, dwell_weeks=2.0, hours_per_week=4.0)
CALLS = Source(name="calls", kind="self-sourced", leads_per_week=2.0)
WEB = Source(name="web", kind="inbound", leads_per_week=6.0)
SIZE = DealSize(mean=10_000.0, cv=0.5)
WAITS = Capacity(open_deals=6, leave_per_week=0.1)
LOSES = Capacity(open_deals=6, surplus="lost")
NEWCOMER = Rep(name="newcomer", role="AE", start=date(2026, 1, 1))


def funnel(*stages: Stage, sources: tuple[Source, ...] = (CALLS,), **parts: object) -> Segment:
    """A segment, by default of two stages."""
    return Segment.model_validate(
        {"name": "all", "stages": stages or (EARLY, LATE), "sources": sources, "deal_size": SIZE, **parts}
    )


def team(
    *segments: Segment, capacity: Capacity | None = None, role: Role | None = None, **parts: object
) -> Scenario:
    """Two experienced reps and a newcomer over two quarters, unless told otherwise."""
    standard = {
        "name": "small",
        "currency": "EUR",
        "calendar": Calendar(first_quarter="2026Q1", quarters=2),
        "segments": segments or (funnel(),),
        "roles": (role or Role(name="AE", ramp=Ramp(linear_weeks=12.0), capacity=capacity),),
        "reps": (Rep(name="a", role="AE"), Rep(name="b", role="AE"), NEWCOMER),
        "market": Market(shock_cv=0.2, skill_cv=0.3),
    }
    return Scenario.model_validate({**standard, **parts})


def relay(
    *, sdr: Capacity | None, ae: Capacity | None, engineer: Capacity | None = None, **parts: object
) -> Scenario:
    """SDRs qualify, account executives sell, a sales engineer closes the technical part."""
    stages = (
        Stage(name="reached", conversion=0.5, dwell_weeks=2.0, role="SDR"),
        Stage(name="sized", conversion=0.7, dwell_weeks=3.0, role="AE"),
        Stage(name="offered", conversion=0.6, dwell_weeks=(0.0, 0.3, 0.3, 0.4), role="AE"),
        Stage(name="proven", conversion=0.8, dwell_weeks=2.0, role="engineer"),
    )
    ramp = Ramp(linear_weeks=12.0)
    standard = {
        "roles": (
            Role(name="SDR", capacity=sdr),
            Role(name="AE", ramp=ramp, capacity=ae),
            Role(name="engineer", capacity=engineer),
        ),
        "reps": (
            Rep(name="sdr 1", role="SDR"),
            Rep(name="sdr 2", role="SDR", segments={"all": 0.5}),
            Rep(name="ae 1", role="AE"),
            NEWCOMER,
            Rep(name="engineer 1", role="engineer"),
        ),
    }
    return team(funnel(*stages, sources=(WEB,)), **{**standard, **parts})


def quotas_of(world: Scenario, amount: float) -> FloatArray:
    return np.full((len(world.team()), world.calendar.quarters), amount)


# --- agreement with the deal-by-deal model ----------------------------------------------------------------

QUALIFYING = Stage(
    name="qualified",
    qualification=Qualification(sensitivity=0.8, specificity=0.7),
    dwell_weeks=1.0,
    hours_per_week=1.0,
)
SAME_WEEK = (
    Stage(name="early", conversion=0.6, dwell_weeks=(0.5, 0.3, 0.2), lost_dwell_weeks=(0.0, 1.0)),
    Stage(name="late", conversion=0.7, dwell_weeks=(0.4, 0.6), lost_dwell_weeks=4.0),
)
TWO_SEGMENTS = (
    funnel(seasonality=Seasonality(by_quarter=(0.6, 1.4, 1.0, 1.0), by_month_of_quarter=(0.5, 1.0, 1.5))),
    funnel(
        Stage(name="one", conversion=0.4, dwell_weeks=2.0, lost_dwell_weeks=5.0),
        name="large",
        deal_size=DealSize(amounts=(20_000.0, 60_000.0), shares=(0.7, 0.3)),
    ),
)
SPREAD = (
    Rep(name="a", role="AE", segments={"all": 2.0, "large": 0.0}),
    Rep(name="b", role="AE", segments={"large": 1.5}),
    NEWCOMER,
)
CUSTOMERS = (
    Source(
        name="upsell",
        kind="existing customers",
        leads_per_week=4.0,
        conversions={"early": 0.8, "late": 0.85},
        cycle_factor=0.25,
    ),
    CALLS,
)
LISTED = (
    OpenDeal(rep="a", segment="all", stage="early", weeks_in_stage=1, deals=4),
    OpenDeal(rep="a", segment="all", stage="late", weeks_in_stage=0, amount=30_000.0, deals=3),
    OpenDeal(rep="newcomer", segment="all", stage="late", weeks_in_stage=2, deals=2),
)
OLD_DEALS = (
    Stage(name="early", conversion=0.5, dwell_weeks=(0.0, 0.2, 0.3, 0.5), lost_dwell_weeks=(0.0, 0.6, 0.4)),
    Stage(name="late", conversion=0.6, dwell_weeks=2.0, lost_dwell_weeks=4.0),
)
PEOPLE = {
    "reps": (
        Rep(name="a", role="AE", start=date(2025, 11, 10)),
        Rep(name="b", role="AE", end=date(2026, 5, 3)),
        Rep(name="c", role="AE"),
    ),
    "hires": (Hire(role="AE", start=date(2026, 2, 9)),),
    "promotions": (Promotion(rep="c", start=date(2026, 4, 6), role="AE", backfill_weeks=3),),
    "trainings": (Training(start=date(2026, 3, 2), weeks=2, time_share=0.6),),
}
LEAVERS = Role(
    name="AE",
    ramp=Ramp(training_weeks=1, linear_weeks=8.0),
    capacity=WAITS,
    attrition_per_year=0.8,
    backfill_weeks=4,
    open_deals_kept=0.5,
)
CHURN = Customers(count=100, annual_revenue=1_000.0, churn_per_year=0.6)
NO_SPREAD = Market()
PERSISTENT = Market(shock_cv=0.5, shock_persistence=0.8, level_cv=0.2)


@cache
def cases() -> dict[str, tuple[Scenario, float | None]]:
    """Worlds by name, each with the quota of every rep and quarter where behaviours need one."""
    nurture = Nurture(mean_weeks=3.0, return_share=0.6)
    rests = EARLY.model_copy(update={"nurture": 0.3})
    returns = LATE.model_copy(update={"back": {"early": 0.25}, "nurture": 0.0})
    repeats = LATE.model_copy(update={"back": {"late": 0.1, "early": 0.2}})
    three = Calendar(first_quarter="2026Q1", quarters=3)
    pull = Behaviours(pull_forward=PullForward(share=0.8, within=0.5, discount=0.2))
    push = Behaviours(push_back=PushBack(share=0.7, below=0.9, weeks=4))
    misses = Behaviours(leave_after_misses=LeaveAfterMisses(misses=1, share=0.6))
    twice = Behaviours(leave_after_misses=LeaveAfterMisses(misses=2, share=0.9))
    seat = Role(name="AE", capacity=WAITS, backfill_weeks=5, open_deals_kept=0.4)
    return {
        "no limit": (team(), None),
        "limit, waits": (team(capacity=WAITS), None),
        "limit, lost": (team(capacity=LOSES), None),
        "limit that ramps": (team(capacity=Capacity(open_deals=8, ramps=True)), None),
        "hours": (team(capacity=Capacity(hours_per_week=16.0, leave_per_week=0.2)), None),
        "nurture": (team(funnel(rests, returns, nurture=nurture), capacity=WAITS), None),
        "nurture, lost": (
            team(
                funnel(rests, returns, nurture=nurture.model_copy(update={"returns_to": "late"})),
                capacity=LOSES,
            ),
            None,
        ),
        "qualification": (
            team(
                with_sources(funnel(QUALIFYING, EARLY, LATE, ready_share=0.4, nurture=nurture), 1.5),
                capacity=WAITS,
            ),
            None,
        ),
        "hand-over, both limited": (
            relay(sdr=WAITS, ae=Capacity(open_deals=4), engineer=Capacity(open_deals=2)),
            None,
        ),
        "hand-over, no limit": (relay(sdr=None, ae=None), None),
        "hand-over and attrition": (
            changed(
                relay(sdr=LOSES, ae=None),
                roles=(
                    Role(name="SDR", capacity=LOSES),
                    LEAVERS.model_copy(update={"capacity": Capacity(open_deals=4)}),
                    Role(name="engineer"),
                ),
            ),
            None,
        ),
        "back moves": (team(funnel(EARLY, repeats), capacity=WAITS), None),
        "attrition": (team(role=LEAVERS), None),
        "attrition, inbound": (team(funnel(sources=(WEB,)), role=LEAVERS), None),
        "attrition, no limit": (team(role=LEAVERS.model_copy(update={"capacity": None})), None),
        "pull forward": (team(capacity=Capacity(open_deals=8), behaviours=pull), 60_000.0),
        "push back": (team(calendar=three, behaviours=push), 60_000.0),
        "leave after a miss": (team(calendar=three, role=seat, behaviours=misses), 40_000.0),
        "leave after two misses": (team(calendar=three, role=seat, behaviours=twice), 60_000.0),
        "persistence": (team(capacity=LOSES, market=PERSISTENT), None),
        "existing customers": (team(funnel(sources=CUSTOMERS, customers=CHURN), capacity=WAITS), None),
        "pipeline with a limit": (
            team(funnel(*OLD_DEALS), capacity=WAITS, pipeline=LISTED, market=NO_SPREAD),
            None,
        ),
        "same-week exits": (team(funnel(*SAME_WEEK), capacity=Capacity(open_deals=2)), None),
        "two segments": (team(*TWO_SEGMENTS, capacity=WAITS, reps=SPREAD), None),
        "people": (team(capacity=WAITS, **PEOPLE), None),
        "quarter before": (
            team(
                capacity=WAITS,
                calendar=Calendar(first_quarter="2026Q2", quarters=1, quarters_before=1),
            ),
            None,
        ),
    }


def with_sources(segment: Segment, factor: float) -> Segment:
    sources = tuple(
        source.model_copy(update={"leads_per_week": source.leads_per_week * factor})
        for source in segment.sources
    )
    return segment.model_copy(update={"sources": sources})


CASES = (
    "no limit|limit, waits|limit, lost|limit that ramps|hours|nurture|nurture, lost|qualification|"
    "hand-over, both limited|hand-over, no limit|hand-over and attrition|back moves|attrition|"
    "attrition, inbound|attrition, no limit|pull forward|push back|leave after a miss|"
    "leave after two misses|persistence|existing customers|pipeline with a limit|same-week exits|"
    "two segments|people|quarter before"
).split("|")


def flow(world: Scenario, **settings: object) -> FlowOutcome:
    outcome = simulate(world, engine="flow", **settings)  # type: ignore[arg-type]
    assert isinstance(outcome, FlowOutcome)
    return outcome


@cache
def both(case: str) -> tuple[FlowOutcome, SimpyResult]:
    world, quota = cases()[case]
    quotas = None if quota is None else quotas_of(world, quota)
    deals = simulate_deals(world, trials=DEALS_TRIALS, seed=7, quotas=quotas)
    return flow(world, trials=TRIALS, seed=3, quotas=quotas), deals


def excess(one: FloatArray, other: FloatArray) -> FloatArray:
    """Difference of the means over trials (axis 0) in standard errors; 0 where too little ever happens."""
    one, other = one.astype(np.float64), other.astype(np.float64)
    everything = np.concatenate([one, other])
    variance = everything.var(axis=0) * (1 / len(one) + 1 / len(other))
    difference = np.abs(one.mean(axis=0) - other.mean(axis=0))
    rare = (everything != 0).mean(axis=0) * min(len(one), len(other)) < 15
    never = (everything != 0).sum(axis=0) == 0
    score = np.divide(difference, np.sqrt(variance), out=np.zeros_like(difference), where=variance > 0)
    return np.where(rare | never, 0.0, score)


def squares(values: FloatArray) -> FloatArray:
    """Squared distances from the mean over trials."""
    values = values.astype(np.float64)
    return (values - values.mean(axis=0)) ** 2


def said(scores: FloatArray, name: str, ours: FloatArray, deals: FloatArray) -> str:
    """What differs most, for the message of a failing test."""
    place = np.unravel_index(np.argmax(scores), scores.shape)
    means = ours.mean(axis=0)[place], deals.mean(axis=0)[place]
    where = list(map(int, place))
    return f"{name}{where}: flow {means[0]:.4g}, SimPy {means[1]:.4g}, {scores[place]:.1f} errors"


@pytest.mark.parametrize("case", CASES)
def test_means_agree_with_simpy(case: str) -> None:
    """By rep and quarter, everything that is counted: within four standard errors by trial."""
    counts, deals = both(case)
    wrong = []
    for name in FIELDS:
        ours, theirs = getattr(counts, name), getattr(deals, name)
        assert ours.shape[1:] == theirs.shape[1:], name
        scores = excess(ours, theirs)
        if scores.max() >= 4:
            wrong.append(said(scores, name, ours, theirs))
    assert not wrong, "; ".join(wrong)


@pytest.mark.parametrize("case", CASES)
def test_variances_agree_with_simpy(case: str) -> None:
    """Of each rep's and of the team's numbers (so that the dependence between reps counts as well)."""
    counts, deals = both(case)
    wrong = []
    for name in FIELDS:
        ours, theirs = getattr(counts, name), getattr(deals, name)
        for label, a, b in (("", ours, theirs), (" of the team", ours.sum(axis=1), theirs.sum(axis=1))):
            scores = excess(squares(a), squares(b))
            if scores.max() >= 4:
                wrong.append(said(scores, f"variance of {name}{label}", squares(a), squares(b)))
    assert not wrong, "; ".join(wrong)


@pytest.mark.parametrize("case", CASES)
def test_distributions_agree_with_simpy(case: str) -> None:
    """Two-sample Kolmogorov–Smirnov distances of one number per trial, null by permutation of trials."""
    counts, deals = both(case)
    random = np.random.default_rng(11)
    wrong = []
    for name, of in {
        "team bookings": lambda o: o.bookings.sum(axis=(1, 2)),
        "bookings of the last rep in the last quarter": lambda o: o.bookings[:, -1, -1],
        "open deals of the first rep in the last quarter": lambda o: o.open_deals[:, 0, -1],
        "leads lost by the team": lambda o: (o.turned_away + o.gave_up).sum(axis=(1, 2)),
    }.items():
        measured, null = distances(np.asarray(of(counts)), np.asarray(of(deals)), random)
        if measured > 1.25 * null.max() + 1e-12:
            wrong.append(f"{name}: distance {measured:.3f}, by chance up to {null.max():.3f}")
    assert not wrong, "; ".join(wrong)


def distances(one: FloatArray, other: FloatArray, random: np.random.Generator) -> tuple[float, FloatArray]:
    """Largest difference of two empirical distribution functions, and what 200 random splits would give."""
    together = np.concatenate([one, other]).astype(np.float64).round(4)
    order = np.argsort(together, kind="stable")
    last = np.append(np.diff(together[order]) > 0, True)  # of values that are equal
    first = np.arange(len(together)) < len(one)
    labels = np.vstack([first[order], random.permuted(np.tile(first, (200, 1)), axis=1)])
    apart = labels.cumsum(axis=1) / len(one) - (~labels).cumsum(axis=1) / len(other)
    found = np.abs(apart[:, last]).max(axis=1)
    return float(found[0]), found[1:]


@pytest.mark.parametrize("case", ["limit, waits", "hours", "hand-over, both limited", "same-week exits"])
def test_chances_of_a_full_desk_agree_with_simpy(case: str) -> None:
    """P(open deals ≥ level) and P(waiting ≥ level), mean over a quarter, at levels around the middle."""
    counts, deals = both(case)
    for name in ("open_deals", "waiting"):
        ours, theirs = getattr(counts, name), getattr(deals, name)
        for quantile in (0.25, 0.5, 0.9):
            level = np.quantile(theirs, quantile, axis=0)
            scores = excess((ours >= level - 1e-4).astype(float), (theirs >= level - 1e-4).astype(float))
            # the level itself is read off one sample, which adds to the error
            assert scores.max() < 5, said(scores, f"P({name} ≥ {quantile:.0%} point)", ours, theirs)


def test_all_cases_are_tested() -> None:
    assert sorted(CASES) == sorted(cases())


# --- the deal-by-deal model itself, against what can be worked out ----------------------------------------


def test_simpy_agrees_with_the_exact_engine_where_nothing_binds() -> None:
    world = team(market=Market(shock_cv=0.2, skill_cv=0.3, level_cv=0.1))
    deals, exact = simulate_deals(world, trials=DEALS_TRIALS, seed=5), simulate(world, engine="exact")
    for q, period in enumerate(exact.periods):
        sampled = deals.bookings[:, :, q]
        error = sampled.std(axis=0) / np.sqrt(DEALS_TRIALS)
        assert (np.abs(sampled.mean(axis=0) - exact.expected_bookings(period)) < 4 * error).all()


def test_simpy_loses_no_deal() -> None:
    """Leads that arrived anew or were listed = won + lost + turned away + gave up + resting + open."""
    for case in ("nurture", "pipeline with a limit", "attrition", "pull forward", "push back", "limit, lost"):
        world, quota = cases()[case]
        quotas = None if quota is None else quotas_of(world, quota)
        deals = simulate_deals(world, trials=40, seed=2, quotas=quotas)
        total = {name: getattr(deals, name).sum(axis=(1, 2)) for name in FIELDS}
        gone = total["won"] + deals.lost + total["turned_away"] + total["gave_up"]
        listed = sum(deal.deals for deal in world.pipeline)
        left = total["leads"] + listed - gone - deals.in_nurture - deals.open_at_end
        returned = case == "nurture"  # those count as leads again
        assert ((left >= 0) if returned else (left == 0)).all(), case


def test_simpy_expects_the_leads_of_the_rate_layer() -> None:
    """Two ways to share out leads: by the model in the tests, and by the package."""
    for case in ("two segments", "people", "hand-over, both limited", "existing customers"):
        world = cases()[case][0]
        assert expected_leads(world) == pytest.approx(weekly_leads(world)), case


def test_simpy_wins_as_many_of_the_leads_as_the_journey_says() -> None:
    """Back moves, nurture and qualification: an absorbing chain knows the share won in the end."""
    nurture = Nurture(mean_weeks=2.0, return_share=0.6)
    stages = (
        QUALIFYING,
        EARLY.model_copy(update={"nurture": 0.2, "dwell_weeks": 1.0}),
        LATE.model_copy(update={"back": {"early": 0.3}, "dwell_weeks": 1.0}),
    )
    segment = funnel(*stages, ready_share=0.4, nurture=nurture, seasonality=Seasonality())
    one = Calendar(first_quarter="2026Q1", quarters=4)
    reps = (Rep(name="a", role="AE", end=date(2026, 3, 31)),)  # no leads after the first quarter
    world = team(segment, calendar=one, reps=reps, market=NO_SPREAD)
    deals = simulate_deals(world, trials=400, seed=4)
    chain = segment.journey()
    number = len(chain)
    through = np.linalg.solve(np.eye(number) - chain[:, :number], chain[:, number])
    share = 0.4 * through[0] + 0.6 * through[3]
    won = deals.won.sum(axis=(1, 2))
    assert won.mean() == pytest.approx(13 * 2.0 * share, abs=4 * won.std() / 20)


def test_simpy_holds_as_many_deals_as_little_says() -> None:
    """Open deals at the end of a week: arrival rate × time in work, counted in the week of arrival too."""
    world = one_stage_world(leads_per_week=2.0, dwell=3.0, quarters=2)
    deals = simulate_deals(world, trials=300, seed=8)
    held = deals.open_deals[:, 0, 1]
    assert held.mean() == pytest.approx(2.0 * 3.0, abs=4 * held.std() / np.sqrt(300) + 0.02)


# --- where the truth is known -----------------------------------------------------------------------------


@pytest.mark.parametrize("period", ["2026Q1", "2026Q2", HORIZON])
def test_without_a_limit_means_and_spread_are_those_of_the_exact_engine(period: str) -> None:
    world = team(market=Market(shock_cv=0.2, skill_cv=0.3, level_cv=0.1))
    exact, counts = simulate(world, engine="exact"), flow(world, trials=10_000, seed=9)
    sums = counts.bookings[:, :, counts.quarters_of(period)].sum(axis=2)
    error = sums.std(axis=0) / np.sqrt(len(sums))
    assert (np.abs(sums.mean(axis=0) - exact.expected_bookings(period)) < 4 * error).all()
    points = exact.rep_quantiles([0.25, 0.5, 0.75, 0.9], period)
    for row in points:
        # amounts of no bookings at all have a mass of their own
        law = exact.chance_at_least(row + 1.0, period)
        seen = (sums >= row + 1.0).mean(axis=0)
        assert np.abs(seen - law).max() < 4 * np.sqrt(0.25 / len(sums)) + 1e-3
    totals = sums.sum(axis=1)
    ours, solved = np.quantile(totals, [0.1, 0.5, 0.9]), exact.team_quantiles([0.1, 0.5, 0.9], period)
    assert ours == pytest.approx(solved, rel=0.03)


def test_the_limited_reference_world_loses_a_fifth_of_its_bookings() -> None:
    """W2: at most 40 open deals cost about 20 % of the bookings of the last quarter; 80 cost nothing."""
    whole = reference_world(reps=6, newcomers=0)
    free = simulate(whole, engine="exact").expected_bookings("2026Q4").sum()
    limited = with_capacity(whole, Capacity(open_deals=40, leave_per_week=0.1))
    assert flow(limited, trials=1_000, seed=1).expected_bookings("2026Q4").sum() / free == pytest.approx(
        0.80, abs=0.02
    )


def test_deals_that_close_at_once_take_no_room() -> None:
    """Deals come in one by one: one that leaves in the week of its admission makes room for the next."""
    world = one_stage_world(reps=2, leads_per_week=1.5, conversion=1.0)
    counts = flow(with_capacity(world, Capacity(open_deals=1, surplus="lost")), trials=300, seed=1)
    assert np.array_equal(counts.leads, counts.won)
    assert not counts.turned_away.any()
    assert not counts.open_deals.any()


def test_a_desk_of_one_with_deals_of_a_week_is_a_bernoulli_each_week() -> None:
    """Whoever comes first in a week is served until the next, the others are turned away."""
    world = with_capacity(
        one_stage_world(reps=2, leads_per_week=1.5, conversion=1.0, dwell=1.0),
        Capacity(open_deals=1, surplus="lost"),
    )
    counts = flow(world, trials=4_000, seed=1)
    assert not counts.waiting.any()
    chance = 1 - np.exp(-1.5)
    won = counts.won[:, :, 0]  # of the leads of twelve weeks; those of the last are still open
    assert won.mean() == pytest.approx(12 * chance, abs=4 * np.sqrt(12 * chance * (1 - chance) / 8_000))
    assert won.var() == pytest.approx(12 * chance * (1 - chance), rel=0.08)
    assert counts.open_deals.mean() == pytest.approx(chance, abs=0.01)


@pytest.mark.parametrize("tenths", range(1, 10))
def test_a_limit_that_ramps_is_not_rounded_below_a_whole_number(tenths: int) -> None:
    """Seven tenths of 10 deals are 7, and 29 % of 100 are 29, whatever floating point makes of it."""
    for deals, share in ((10, tenths / 10), (100, tenths / 10 - 0.01)):
        role = Role(
            name="AE", ramp=Ramp(by_month=(share,) * 12), capacity=Capacity(open_deals=deals, ramps=True)
        )
        source = Source(name="calls", kind="self-sourced", leads_per_week=1_000.0)
        world = team(funnel(sources=(source,)), role=role, reps=(NEWCOMER,), market=NO_SPREAD)
        counts = flow(world, trials=3, seed=1)
        assert counts.open_deals == pytest.approx(round(deals * share))


def with_capacity(world: Scenario, capacity: Capacity | None) -> Scenario:
    roles = tuple(role.model_copy(update={"capacity": capacity}) for role in world.roles)
    return changed(world, roles=roles)


# --- what must always hold --------------------------------------------------------------------------------

WAYS = ("limit, waits", "limit, lost", "hours", "nurture", "qualification", "hand-over, both limited")


def same(one: FlowOutcome, other: FlowOutcome, reps: slice = slice(None)) -> bool:
    return all(np.array_equal(getattr(one, name)[:, reps], getattr(other, name)[:, reps]) for name in FIELDS)


@pytest.mark.parametrize("case", [*WAYS, "attrition", "push back", "persistence"])
def test_seed_says_everything_and_threads_nothing(case: str) -> None:
    world, quota = cases()[case]
    quotas = None if quota is None else quotas_of(world, quota)
    first = flow(world, trials=700, seed=5, threads=1, quotas=quotas)
    assert same(first, flow(world, trials=700, seed=5, threads=1, quotas=quotas))
    assert same(first, flow(world, trials=700, seed=5, threads=2, quotas=quotas))
    for chunk in (64, 333):
        assert same(first, weekly_flow(world, trials=700, seed=5, threads=2, chunk=chunk, quotas=quotas))
    assert not np.array_equal(first.bookings, flow(world, trials=700, seed=6, quotas=quotas).bookings)


@pytest.mark.parametrize("case", [*WAYS, "attrition"])
def test_more_trials_begin_with_the_same_ones(case: str) -> None:
    world = cases()[case][0]
    few, many = flow(world, trials=37, seed=5), flow(world, trials=900, seed=5)
    assert np.array_equal(few.bookings, many.bookings[:37])
    assert np.array_equal(few.open_deals, many.open_deals[:37])


@pytest.mark.parametrize("case", ["no limit", "limit, waits", "limit, lost", "hours", "nurture", "attrition"])
def test_one_more_rep_leaves_the_others_as_they_are(case: str) -> None:
    world = cases()[case][0]
    more = changed(world, hires=(Hire(role="AE", start=date(2026, 2, 2)),))
    before, after = flow(world, trials=300, seed=2), flow(more, trials=300, seed=2)
    assert same(before, after, slice(0, 3))
    assert after.leads[:, 3].sum() > 0


@pytest.mark.parametrize("surplus", ["waits", "lost"])
@pytest.mark.parametrize("case", ["no limit", "nurture", "back moves", "existing customers", "attrition"])
def test_a_limit_that_never_binds_changes_nothing(case: str, surplus: str) -> None:
    world = cases()[case][0]
    free = flow(with_capacity(world, None), trials=400, seed=4)
    wide = flow(
        with_capacity(world, Capacity(open_deals=100_000, surplus=surplus)),
        trials=400,
        seed=4,
    )
    for name in ("won", "bookings", "leads", "turned_away", "gave_up", "departures", "open_deals"):
        assert np.array_equal(getattr(free, name), getattr(wide, name)), name
    assert np.isnan(free.used).all()
    if case != "attrition":  # an empty seat lets leads wait
        assert not wide.waiting.any()


@pytest.mark.parametrize("surplus", ["waits", "lost"])
def test_a_smaller_limit_never_holds_more(surplus: str) -> None:
    held, won = [], []
    for number in (1, 2, 4, 8, 16):
        capacity = Capacity(open_deals=number, surplus=surplus)
        counts = flow(team(capacity=capacity), trials=4_000, seed=4)
        assert counts.open_deals.max() <= number
        assert np.nanmax(counts.used) <= 1
        held.append(counts.open_deals.mean(axis=(0, 1)))
        won.append(counts.won.mean())
    assert all((a < b).all() for a, b in pairwise(held))
    assert sorted(won) == won


def test_hours_in_use_stay_below_the_limit_unless_deals_move_to_costlier_stages() -> None:
    cheap = LATE.model_copy(update={"hours_per_week": 2.0})
    counts = flow(team(funnel(EARLY, cheap), capacity=Capacity(hours_per_week=11.0)), trials=500, seed=1)
    assert counts.open_deals.max() <= 5  # a sixth deal would take twelve hours
    # deals in work are never dropped
    counts = flow(team(capacity=Capacity(hours_per_week=11.0)), trials=500, seed=1)
    assert counts.open_deals.max() <= 5
    assert counts.used.max() > 1


@pytest.mark.parametrize("case", [*WAYS, "back moves", "attrition", "pull forward", "existing customers"])
def test_no_leads_mean_exact_zeros(case: str) -> None:
    world, quota = cases()[case]
    quotas = None if quota is None else quotas_of(world, quota)
    nothing = with_leads(world, 0.0)
    counts = flow(nothing, trials=50, seed=1, quotas=quotas)
    for name in set(FIELDS) - {"departures"}:
        assert not getattr(counts, name).any(), name
    assert counts.expected_bookings(HORIZON).tolist() == [0.0] * len(counts.reps)
    assert counts.team_quantiles([0.1, 0.9], HORIZON).tolist() == [0.0, 0.0]
    if all(role.capacity for role in world.roles) and case != "attrition":
        assert np.isfinite(counts.used).all()


@given(
    conversion=st.floats(0, 1),
    leads=st.floats(0, 6),
    dwell=st.sampled_from([1.0, 2.5, (1.0,), (0.5, 0.5), (0.0, 0.0, 1.0)]),
    limit=st.one_of(st.none(), st.integers(1, 12)),
    surplus=st.sampled_from(["waits", "lost"]),
    leave=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_no_lead_is_lost_sight_of(
    conversion: float,
    leads: float,
    dwell: float | tuple[float, ...],
    limit: int | None,
    surplus: str,
    leave: float,
    seed: int,
) -> None:
    """Up to any quarter: leads ≥ won + turned away + gave up, whole numbers, and never NaN."""
    stages = (
        Stage(name="early", conversion=1.0, dwell_weeks=dwell),
        Stage(name="late", conversion=conversion, dwell_weeks=dwell),
    )
    capacity = None
    if limit is not None:
        capacity = Capacity(open_deals=limit, surplus=surplus, leave_per_week=leave)
    source = Source(name="calls", kind="self-sourced", leads_per_week=leads)
    world = team(funnel(*stages, sources=(source,)), capacity=capacity)
    counts = flow(world, trials=60, seed=seed)
    for name in FIELDS:
        values = getattr(counts, name)
        assert np.isfinite(values).all(), name
        assert (values >= 0).all(), name
        if name not in ("bookings", "open_deals", "waiting"):
            assert np.array_equal(values, np.round(values)), name
    gone = (counts.won + counts.turned_away + counts.gave_up).cumsum(axis=2)
    left = counts.leads.cumsum(axis=2) - gone
    assert (left >= 0).all()
    if conversion == 1 and dwell == (1.0,):
        # whoever is admitted is won at once: what is left is waiting
        assert ((left == 0) | (counts.waiting > 0)).all()
    if leave == 1 or surplus == "lost" or limit is None:
        assert not (limit is None and counts.waiting.any())
        assert surplus == "lost" or not counts.turned_away.any()
    assert ((counts.bookings > 0) == (counts.won > 0)).all()


@pytest.mark.parametrize("conversion", [0.0, 5e-324, 1e-300, 1e-17, 1 - 1e-16, 1.0])
def test_conversions_next_to_nothing_and_next_to_all_are_like_none_and_all(conversion: float) -> None:
    worlds = [
        team(funnel(EARLY.model_copy(update={"conversion": share}), LATE), capacity=WAITS)
        for share in (conversion, round(conversion))
    ]
    counts, plain = (flow(world, trials=200, seed=1) for world in worlds)
    for name in FIELDS:
        assert np.isfinite(getattr(counts, name)).all(), name
    assert counts.won.sum() == pytest.approx(plain.won.sum(), rel=0.1)


def test_all_who_leave_are_followed_by_somebody_new() -> None:
    """With no one leaving there are no departures; with a seat kept empty, nothing is done in it."""
    assert not flow(team(capacity=WAITS), trials=100, seed=1).departures.any()
    empty = Role(name="AE", capacity=WAITS, attrition_per_year=0.95, backfill_weeks=60, open_deals_kept=0.0)
    counts = flow(team(role=empty), trials=400, seed=1)
    assert counts.departures.sum(axis=2).max() <= 1
    left_early = counts.departures[:, :, 0] > 0
    assert not counts.won[:, :, 1][left_early].any()
    assert not counts.leads[:, :, 1][left_early].any()
    expected = 1 - (1 - 0.95) ** (26 / 52)
    share = counts.departures[:, :2].sum(axis=2).mean()
    assert share == pytest.approx(expected, abs=4 * np.sqrt(0.25 / 800))


@pytest.mark.parametrize("weeks_in_stage", [3, 20, 40])
def test_old_open_deals_keep_their_chances(weeks_in_stage: int) -> None:
    """Deals older than the horizon is long are as likely to be won as the exact engine says."""
    stage = Stage(name="open", conversion=0.6, dwell_weeks=20.0, lost_dwell_weeks=40.0)
    segment = Segment(name="all", stages=(stage,), sources=(), deal_size=DealSize(mean=1.0, cv=0.0))
    listed = OpenDeal(
        rep="rep 0", segment="all", stage="open", weeks_in_stage=weeks_in_stage, amount=1_000.0, deals=50
    )
    world = changed(one_stage_world(), segments=(segment,), pipeline=(listed,))
    exact = ExactOutcome(world).expected_bookings(HORIZON).sum()
    found = flow(world, trials=2_000, seed=3).bookings.sum(axis=(1, 2))
    assert abs(found.mean() - exact) <= 4 * found.std() / len(found) ** 0.5


def test_a_known_amount_goes_with_the_deal() -> None:
    """Handed over or back from nurture, an open deal is still worth what the CRM says."""
    stages = (
        Stage(name="first", conversion=0.5, dwell_weeks=1.0, role="SDR"),
        Stage(name="second", conversion=0.5, nurture=0.5, dwell_weeks=1.0, role="AE"),
    )
    segment = Segment(
        name="all",
        stages=stages,
        sources=(),
        deal_size=DealSize(mean=1.0, cv=0.0),
        nurture=Nurture(mean_weeks=1.0, return_share=1.0, returns_to="second"),
    )
    listed = OpenDeal(rep="rep 0", segment="all", stage="first", weeks_in_stage=0, amount=1_000.0, deals=40)
    world = changed(
        one_stage_world(reps=2, quarters=2),
        segments=(segment,),
        roles=(Role(name="SDR"), Role(name="AE")),
        reps=(Rep(name="rep 0", role="SDR"), Rep(name="rep 1", role="AE")),
        pipeline=(listed,),
    )
    counts = flow(world, trials=2_000, seed=3)
    assert not counts.bookings[:, 0].any()
    assert np.array_equal(counts.bookings, 1_000.0 * counts.won)
    won = counts.won.sum(axis=(1, 2))
    # half reach the second stage; there half are won each time, and the others come back
    assert abs(won.mean() - 20) <= 4 * won.std() / len(won) ** 0.5
