"""The exact engine against closed forms, the package `aggregate`, brute force, and the thinning engine."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from aggregate import build as build_aggregate
from scipy.special import pdtrc

from salessim.engine import HORIZON, ExactOutcome, simulate
from salessim.engine.exact import deal_size_on_grid
from salessim.errors import EngineError
from salessim.model import DealSize, OpenDeal, Stage
from tests.worlds import changed, one_stage_world, reference_world

QUARTER = "2026Q1"


@pytest.fixture(scope="module")
def reference() -> ExactOutcome:
    outcome = simulate(reference_world())
    assert isinstance(outcome, ExactOutcome)
    return outcome


def moments(outcome: ExactOutcome, *, top: float, period: str = QUARTER) -> tuple[float, float]:
    """Mean and standard deviation of the first rep's bookings, integrated from the solved law."""
    amounts = np.linspace(0, top, 40_001)[1:]
    reached = np.array([outcome.chance_at_least(amount, period)[0] for amount in amounts])
    step = amounts[0]
    mean = reached.sum() * step
    return mean, float(np.sqrt(2 * (amounts * reached).sum() * step - mean**2))


def test_the_reference_world_has_the_expected_wins(reference: ExactOutcome) -> None:
    wins = reference.rates.wins.sum(axis=(1, 2))
    assert wins[0].round(2).tolist() == [0.88, 6.13, 7.47, 7.53]
    assert wins[-1].round(2).tolist() == [0.09, 1.95, 5.42, 7.32]


def test_the_reference_quota_for_67_percent_in_the_fourth_quarter(reference: ExactOutcome) -> None:
    assert reference.amount_for_share(np.ones(50), 0.67, "2026Q4") == pytest.approx(102_182, abs=10)


def test_a_quota_at_expected_bookings_is_missed_by_most(reference: ExactOutcome) -> None:
    """What a spreadsheet takes for certain: only 43 % make a quota that equals their expected bookings."""
    expected = reference.expected_bookings("2026Q4")
    assert reference.chance_at_least(expected, "2026Q4").mean() == pytest.approx(0.43, abs=0.005)


def test_wins_of_equal_size_are_a_poisson_count() -> None:
    outcome = simulate(one_stage_world(leads_per_week=1.0, conversion=0.5))
    mean = 13 * 0.5
    for wins in (1, 3, 6, 12):
        chance = outcome.chance_at_least(10_000 * wins - 5_000, QUARTER)[0]
        assert chance == pytest.approx(pdtrc(wins - 1, mean), abs=1e-9)


def test_mean_and_variance_follow_the_closed_form() -> None:
    world = one_stage_world(
        leads_per_week=1.2,
        size=DealSize(mean=20_000.0, cv=0.8),
        skill_cv=0.3,
        shock_cv=0.15,
        level_cv=0.1,
    )
    outcome = simulate(world)
    assert isinstance(outcome, ExactOutcome)
    wins = 13 * 1.2 * 0.5
    mean = wins * 20_000
    by_luck = wins * 20_000**2 * (1 + 0.8**2)
    # skill, shock and level multiply: E[s² z² l²] − 1
    by_rate = mean**2 * ((1 + 0.3**2) * (1 + 0.15**2) * (1 + 0.1**2) - 1)
    solved_mean, solved_deviation = moments(outcome, top=3_000_000)
    assert solved_mean == pytest.approx(mean, rel=1e-3)
    assert solved_deviation == pytest.approx(np.sqrt(by_luck + by_rate), rel=3e-3)
    assert outcome.expected_bookings(QUARTER)[0] == pytest.approx(mean)


def test_agrees_with_the_package_aggregate() -> None:
    """An independent implementation of compound laws: gamma-mixed Poisson wins, lognormal deals."""
    oracle = build_aggregate("agg Oracle 7.5 claims sev lognorm 20000 cv 1 mixed gamma 0.25", log2=16, bs=50)
    world = one_stage_world(
        leads_per_week=7.5 / 13, conversion=1.0, size=DealSize(mean=20_000.0, cv=1.0), skill_cv=0.25
    )
    outcome = simulate(world)
    for amount in (30_000, 80_000, 102_182, 150_000, 300_000, 500_000):
        expected = 1 - float(oracle.cdf(amount))
        assert outcome.chance_at_least(amount, QUARTER)[0] == pytest.approx(expected, abs=3e-4)


def test_heavy_deal_sizes_settle() -> None:
    """cv 4: against an oracle with a grid thirty times as fine and room for the tail."""
    oracle = build_aggregate("agg Heavy 7.5 claims sev lognorm 20000 cv 4 mixed gamma 0.25", log2=18, bs=50)
    world = one_stage_world(
        leads_per_week=7.5 / 13, conversion=1.0, size=DealSize(mean=20_000.0, cv=4.0), skill_cv=0.25
    )
    outcome = simulate(world)
    for amount in (30_000, 80_000, 150_000, 400_000, 1_500_000):
        expected = 1 - float(oracle.cdf(amount))
        assert outcome.chance_at_least(amount, QUARTER)[0] == pytest.approx(expected, abs=2e-3)


def test_open_deals_are_coins_of_their_own() -> None:
    """No leads, three open deals with known amounts: all eight results can be written down."""
    world = one_stage_world(leads_per_week=0.0)
    stage = Stage(name="open", conversion=0.4, dwell_weeks=(0.0, 1.0))
    segments = (world.segments[0].model_copy(update={"stages": (stage,)}),)
    amounts = (10_000.0, 35_000.0, 60_000.0)
    pipeline = tuple(
        OpenDeal(rep="rep 0", segment="all", stage="open", weeks_in_stage=0, amount=amount)
        for amount in amounts
    )
    outcome = simulate(changed(world, segments=segments, pipeline=pipeline))
    for target in (5_000, 20_000, 50_000, 65_000, 100_000):
        expected = sum(
            np.prod([0.4 if won else 0.6 for won in wins])
            for wins in itertools.product((False, True), repeat=3)
            if sum(a for a, won in zip(amounts, wins, strict=True) if won) >= target
        )
        assert outcome.chance_at_least(target, QUARTER)[0] == pytest.approx(expected, abs=1e-6)
    assert outcome.expected_bookings(QUARTER)[0] == pytest.approx(0.4 * sum(amounts))


def test_open_deals_without_an_amount_take_the_deal_size_of_their_segment() -> None:
    world = one_stage_world(
        leads_per_week=0.0, size=DealSize(amounts=(10_000.0, 30_000.0), shares=(0.5, 0.5))
    )
    stage = Stage(name="open", conversion=0.5, dwell_weeks=(0.0, 1.0))
    segments = (world.segments[0].model_copy(update={"stages": (stage,)}),)
    pipeline = (OpenDeal(rep="rep 0", segment="all", stage="open", weeks_in_stage=0, deals=2),)
    outcome = simulate(changed(world, segments=segments, pipeline=pipeline))
    assert outcome.chance_at_least(5_000, QUARTER)[0] == pytest.approx(0.75, abs=1e-9)
    # 25,000 needs one large deal: alone (2 ways), or with any other
    assert outcome.chance_at_least(25_000, QUARTER)[0] == pytest.approx(0.5 * 0.5 + 0.25 * 0.75, abs=1e-9)


def test_a_steady_state_pipeline_is_what_earlier_quarters_leave_behind() -> None:
    world = one_stage_world(quarters=4, dwell=6.0)
    late = simulate(world).expected_bookings("2026Q4")[0]
    calendar = world.calendar.model_copy(
        update={"first_quarter": "2026Q4", "quarters": 1, "quarters_before": 3}
    )
    warm = simulate(changed(world, calendar=calendar)).expected_bookings("2026Q4")[0]
    assert warm == pytest.approx(late)


def test_a_quota_on_an_atom_counts_who_books_exactly_that() -> None:
    """List prices: bookings are whole multiples of the price, and so are most quotas that people set."""
    outcome = simulate(one_stage_world(leads_per_week=1.54, conversion=0.5))
    for wins in (1, 5, 8, 10, 12):
        chance = outcome.chance_at_least(10_000 * wins, QUARTER)[0]
        assert chance == pytest.approx(pdtrc(wins - 1, 13 * 1.54 * 0.5), abs=1e-9)
    quota = outcome.amount_for_share([1.0], 0.7, QUARTER)
    assert quota == pytest.approx(80_000, rel=1e-6)
    assert outcome.share_at_least([1.0], quota, QUARTER) >= 0.7
    assert outcome.rep_quantiles([0.5], QUARTER)[0, 0] == pytest.approx(100_000, rel=1e-6)


def test_small_reps_are_seen_beside_large_ones() -> None:
    """Deals of 1,000 and of 500,000 in one team: each rep is solved on a grid of its own."""
    world = one_stage_world(leads_per_week=1.0, size=DealSize(mean=1_000.0, cv=0.5))
    small = world.segments[0]
    large = small.model_copy(update={"name": "large", "deal_size": DealSize(mean=500_000.0, cv=1.5)})
    reps = (
        {"name": "small", "role": "AE", "segments": {"all": 1.0}},
        {"name": "large", "role": "AE", "segments": {"large": 1.0}},
    )
    both = changed(world, segments=(small, large), reps=reps)
    alone = simulate(world)
    together = simulate(both)
    for amount in (1_000, 2_000, 6_000, 12_000):
        expected = alone.chance_at_least(amount, QUARTER)[0]
        assert together.chance_at_least([amount, np.nan], QUARTER)[0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("shock_cv", "level_cv"), [(0.1, 0.1), (0.15, 0.25), (0.5, 0.5)])
def test_a_large_team_under_a_strong_shock_has_a_smooth_law(shock_cv: float, level_cv: float) -> None:
    """Given the shock a large team hardly varies: the nodes must lie closer than that."""
    world = one_stage_world(
        reps=40,
        leads_per_week=6.0,
        size=DealSize(mean=10_000.0, cv=0.5),
        shock_cv=shock_cv,
        level_cv=level_cv,
    )
    exact, drawn = simulate(world), simulate(world, engine="thinning", trials=6_000, seed=3)
    for probability in (0.1, 0.25, 0.5, 0.75, 0.9):
        amount = exact.team_quantiles([probability], QUARTER)
        below = 1 - drawn.team_chance_at_least(amount, QUARTER)[0]
        assert abs(below - probability) < 4 * np.sqrt(probability * (1 - probability) / 6_000)


def test_very_many_deals_are_as_narrow_as_they_should_be() -> None:
    world = one_stage_world(leads_per_week=50_000.0, conversion=1.0, size=DealSize(mean=10.0, cv=1.0))
    low, high = simulate(world).rep_quantiles([0.1, 0.9], QUARTER)[:, 0]
    deviation = 10 * np.sqrt(2 * 13 * 50_000)
    assert high - low == pytest.approx(2 * 1.2816 * deviation, rel=0.05)


def test_the_share_and_the_number_attaining_agree(reference: ExactOutcome) -> None:
    quota = reference.amount_for_share(np.ones(50), 0.675, "2026Q3")
    law = reference.number_at_least(np.full(50, quota), "2026Q3")
    assert law.sum() == pytest.approx(1)
    assert law @ np.arange(51) / 50 == pytest.approx(0.675, abs=1e-6)
    assert reference.share_at_least(np.ones(50), quota, "2026Q3") == pytest.approx(0.675, abs=1e-6)


def test_small_teams_cannot_hold_the_band() -> None:
    """With quotas at exactly the right quantile: about 0.3 for 5 reps, 0.5 for 10, 0.8 for 40, even
    without a market that moves them all together."""
    inside = {}
    for reps in (5, 10, 40):
        calm = changed(reference_world(reps=reps, newcomers=0), market={"skill_cv": 0.25})
        outcome = simulate(calm)
        quota = outcome.amount_for_share(np.ones(reps), 0.675, "2026Q4")
        law = outcome.number_at_least(np.full(reps, quota), "2026Q4")
        shares = np.arange(reps + 1) / reps
        inside[reps] = law[(shares >= 0.6 - 1e-9) & (shares <= 0.75 + 1e-9)].sum()
    assert inside[5] == pytest.approx(0.35, abs=0.1)
    assert inside[10] == pytest.approx(0.5, abs=0.1)
    assert inside[40] == pytest.approx(0.8, abs=0.1)


def test_the_team_total_of_one_rep_is_that_rep() -> None:
    outcome = simulate(one_stage_world(size=DealSize(mean=9_000.0, cv=0.7), skill_cv=0.2, shock_cv=0.1))
    amounts = np.array([20_000.0, 50_000.0, 90_000.0])
    reps = [outcome.chance_at_least(amount, QUARTER)[0] for amount in amounts]
    assert outcome.team_chance_at_least(amounts, QUARTER) == pytest.approx(reps, abs=2e-3)


def test_quantiles_invert_chances(reference: ExactOutcome) -> None:
    for probability, amount in zip(
        (0.1, 0.5, 0.9), reference.team_quantiles([0.1, 0.5, 0.9], HORIZON), strict=True
    ):
        assert reference.team_chance_at_least(amount, HORIZON) == pytest.approx(1 - probability, abs=1e-6)
    quantiles = reference.rep_quantiles([0.1, 0.5, 0.9], "2026Q2")[:, 0]
    for probability, amount in zip((0.1, 0.5, 0.9), quantiles, strict=True):
        assert reference.chance_at_least(amount, "2026Q2")[0] == pytest.approx(1 - probability, abs=1e-6)


def test_nobody_sells_without_leads() -> None:
    outcome = simulate(one_stage_world(leads_per_week=0.0, reps=3))
    assert outcome.expected_bookings(QUARTER).tolist() == [0, 0, 0]
    assert outcome.team_quantiles([0.1, 0.9], QUARTER).tolist() == [0, 0]
    assert outcome.chance_at_least(1.0, QUARTER).max() < 1e-9
    assert outcome.number_at_least(np.ones(3), QUARTER) == pytest.approx([1, 0, 0, 0])


def test_reps_without_a_quota_do_not_count() -> None:
    outcome = simulate(one_stage_world(reps=3))
    law = outcome.number_at_least([np.nan, 10_000.0, 10_000.0], QUARTER)
    assert len(law) == 3
    assert np.isnan(outcome.chance_at_least([np.nan, 1.0, 1.0], QUARTER)).tolist() == [True, False, False]


@pytest.mark.parametrize("period", ["2025Q4", "year", ""])
def test_an_unknown_period_is_refused_with_those_there_are(period: str) -> None:
    with pytest.raises(EngineError, match="the scenario covers '2026Q1', 'horizon'"):
        simulate(one_stage_world()).expected_bookings(period)


def test_negative_or_missing_weights_are_refused() -> None:
    outcome = simulate(one_stage_world(reps=2))
    with pytest.raises(EngineError, match="must not be negative"):
        outcome.amount_for_share([1.0, -1.0], 0.5, QUARTER)
    with pytest.raises(EngineError, match="no rep carries a quota"):
        outcome.share_at_least([np.nan, 0.0], 1.0, QUARTER)


@pytest.mark.parametrize(
    "size",
    [DealSize(mean=17_000.0, cv=0.9), DealSize(mean=17_000.0, cv=0.0), DealSize(amounts=(3.0, 40_011.0))],
)
def test_a_coarse_grid_keeps_the_mean_of_a_deal(size: DealSize) -> None:
    law = deal_size_on_grid(size, step=7_000.0, steps=4096)
    assert law.sum() == pytest.approx(1, abs=1e-6)
    assert law @ (np.arange(4096) * 7_000.0) == pytest.approx(size.moments()[0], rel=1e-5)
