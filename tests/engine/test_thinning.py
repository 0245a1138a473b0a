"""The thinning engine: the law it samples, and the pairing on which every comparison rests."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import poisson

from salessim.engine import HORIZON, SampledOutcome, simulate, simulate_history
from salessim.engine.rates import rates_of
from salessim.engine.thinning import poisson_counts, sample
from salessim.errors import EngineError
from salessim.model import DealSize, Hire, OpenDeal, Ramp, Role, Scenario
from tests.worlds import changed, one_stage_world, reference_world, with_conversion, with_leads


@pytest.fixture(scope="module")
def small() -> Scenario:
    """A few reps of the reference world, two of them new."""
    return reference_world(reps=6, newcomers=2)


@pytest.fixture(scope="module")
def sampled() -> SampledOutcome:
    return sample(reference_world(), trials=8_000, seed=11, threads=2)


@given(
    chance=st.floats(0, 1 - 1e-12),
    mean=st.one_of(st.floats(0, 60), st.floats(400, 2_000)),
)
@settings(max_examples=300, deadline=None)
def test_counts_are_the_inverse_of_the_poisson_law(chance: float, mean: float) -> None:
    """The count of a uniform u is the smallest k whose distribution function exceeds u."""
    count = int(poisson_counts(np.array([chance]), np.array([mean]))[0])
    slack = 1e-12
    assert poisson.cdf(count, mean) >= chance - slack
    assert count == 0 or poisson.cdf(count - 1, mean) <= chance + slack


# --- the law ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("period", ["2026Q2", "2026Q4", HORIZON])
def test_means_agree_with_the_exact_engine_within_monte_carlo_error(
    sampled: SampledOutcome, period: str
) -> None:
    exact = simulate(reference_world())
    totals = sampled.bookings[:, :, sampled.quarters_of(period)].sum(axis=(1, 2))
    error = totals.std() / np.sqrt(len(totals))
    assert abs(totals.mean() - exact.expected_bookings(period).sum()) < 4 * error


def test_marginals_pass_a_kolmogorov_smirnov_test_that_respects_shared_shocks(
    sampled: SampledOutcome,
) -> None:
    """Reps of a trial share a shock, so the textbook level is far too narrow: the null is made by resampling
    whole trials."""
    exact = simulate(reference_world())
    points = exact.rep_quantiles(np.linspace(0.02, 0.98, 49).tolist(), "2026Q3")[:, 0]
    tenured = sampled.bookings[:, :40, 2]
    below = (tenured[:, :, None] < points).mean(axis=1)  # (trial, point)
    solved = 1 - np.array([exact.chance_at_least(point, "2026Q3")[0] for point in points])
    distance = np.abs(below.mean(axis=0) - solved).max()
    random = np.random.default_rng(5)
    null = []
    for _ in range(300):
        again = below[random.integers(0, len(below), len(below))]
        null.append(np.abs(again.mean(axis=0) - below.mean(axis=0)).max())
    assert distance < np.quantile(null, 0.99)


def test_number_attaining_and_team_quantiles_agree_with_the_exact_engine(sampled: SampledOutcome) -> None:
    exact = simulate(reference_world())
    quota = exact.amount_for_share(np.ones(50), 0.675, "2026Q4")
    law, counted = (o.number_at_least(np.full(50, quota), "2026Q4") for o in (exact, sampled))
    assert 0.5 * np.abs(law - counted).sum() < 0.05  # total variation; 8,000 trials leave about 0.03
    for probability in (0.1, 0.5, 0.9):
        amount = exact.team_quantiles([probability], HORIZON)
        share = 1 - sampled.team_chance_at_least(amount, HORIZON)[0]
        assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / 8_000)


def test_doubt_about_the_level_moves_all_reps_and_quarters_together() -> None:
    calm = reference_world(reps=12, newcomers=0)
    unsure = changed(calm, market={**dict(calm.market), "level_cv": 0.15})
    exact, drawn = simulate(unsure), sample(unsure, trials=6_000, seed=2)
    for probability in (0.1, 0.5, 0.9):
        amount = exact.team_quantiles([probability], HORIZON)
        share = 1 - drawn.team_chance_at_least(amount, HORIZON)[0]
        assert abs(share - probability) < 4 * np.sqrt(probability * (1 - probability) / 6_000)
    low, high = exact.team_quantiles([0.1, 0.9], HORIZON)
    calm_low, calm_high = simulate(calm).team_quantiles([0.1, 0.9], HORIZON)
    assert low < calm_low < calm_high < high


def test_open_deals_agree_with_the_exact_engine() -> None:
    world = one_stage_world(leads_per_week=0.3, dwell=5.0, size=DealSize(mean=8_000.0, cv=0.6), quarters=2)
    pipeline = (
        OpenDeal(rep="rep 0", segment="all", stage="open", weeks_in_stage=2, amount=30_000.0),
        OpenDeal(rep="rep 0", segment="all", stage="open", weeks_in_stage=4, deals=3),
    )
    world = changed(world, pipeline=pipeline)
    exact, drawn = simulate(world), simulate(world, engine="thinning", trials=20_000, seed=3)
    for period in ("2026Q1", "2026Q2"):
        for amount in (5_000, 25_000, 45_000):
            expected = exact.chance_at_least(amount, period)[0]
            error = np.sqrt(expected * (1 - expected) / 20_000)
            assert abs(drawn.chance_at_least(amount, period)[0] - expected) < 4 * error + 1e-3


def test_a_history_deal_by_deal_has_the_wins_that_the_rates_say() -> None:
    """The slow second implementation: every lead walks through its stages by itself."""
    world = changed(reference_world(reps=8, newcomers=3), market={"shock_cv": 0.0, "skill_cv": 0.0})
    expected = rates_of(world).wins.sum(axis=(0, 1, 2))
    counts = np.zeros((60, 4))
    for seed in range(60):
        deals = simulate_history(world, seed=seed).deals
        won = deals[deals["status"] == "won"]
        quarter = (won["closed"].dt.month - 1) // 3
        counts[seed] = quarter.value_counts().reindex(range(4), fill_value=0)
    error = np.sqrt(expected / 60)
    # days within a week move a deal over the end of a quarter now and then: half a week's wins at most
    assert (np.abs(counts.mean(axis=0) - expected) < 4 * error + expected / 26).all()


# --- pairing: the same luck --------------------------------------------------------------------------------


def paired(before: Scenario, after: Scenario) -> tuple[SampledOutcome, SampledOutcome]:
    return sample(before, trials=400, seed=7), sample(after, trials=400, seed=7)


@pytest.mark.parametrize("factor", [1.01, 1.3])
def test_more_leads_never_lose_bookings(small: Scenario, factor: float) -> None:
    before, after = paired(small, with_leads(small, factor))
    assert (after.won >= before.won).all()
    assert (after.bookings >= before.bookings - 1e-6).all()
    assert after.bookings.sum() > before.bookings.sum()


@pytest.mark.parametrize("stage", range(5))
def test_a_better_conversion_never_loses_bookings(small: Scenario, stage: int) -> None:
    better = small.segments[0].conversions()[stage] + 0.05
    before, after = paired(small, with_conversion(small, stage, float(better)))
    assert (after.bookings >= before.bookings - 1e-6).all()
    assert after.bookings.sum() > before.bookings.sum()


def test_a_faster_ramp_never_loses_bookings(small: Scenario) -> None:
    faster = changed(small, roles=(Role(name="AE", ramp=Ramp(linear_weeks=13.0)),))
    before, after = paired(small, faster)
    assert (after.bookings >= before.bookings - 1e-6).all()
    assert (after.bookings[:, :4] == before.bookings[:, :4]).all()  # who was ramped already
    assert after.bookings.sum() > before.bookings.sum()


def test_hiring_leaves_all_others_bit_identical(small: Scenario) -> None:
    hired = changed(small, hires=(Hire(role="AE", start=date(2026, 2, 2), count=2),))
    before, after = paired(small, hired)
    assert (after.bookings[:, :6] == before.bookings).all()
    assert after.bookings[:, 6:].sum() > 0


def test_one_more_of_the_same_hires_leaves_the_first_bit_identical(small: Scenario) -> None:
    two, three = (
        changed(small, hires=(Hire(role="AE", start=date(2026, 2, 2), count=count),)) for count in (2, 3)
    )
    before, after = paired(two, three)
    assert (after.bookings[:, :8] == before.bookings).all()


def test_pairing_takes_most_of_the_noise_out_of_a_difference(small: Scenario) -> None:
    more = with_leads(small, 1.05)
    before, after = paired(small, more)
    together = (after.bookings - before.bookings).sum(axis=(1, 2)).std()
    apart = sample(more, trials=400, seed=8).bookings.sum(axis=(1, 2)) - before.bookings.sum(axis=(1, 2))
    assert together < apart.std() / 4


@pytest.mark.parametrize(("threads", "chunk"), [(2, 4096), (1, 64), (2, 100), (1, 1000)])
def test_threads_and_chunks_do_not_change_a_number(small: Scenario, threads: int, chunk: int) -> None:
    expected = sample(small, trials=333, seed=1)
    again = sample(small, trials=333, seed=1, threads=threads, chunk=chunk)
    assert (again.bookings == expected.bookings).all()
    assert (again.won == expected.won).all()


def test_more_trials_begin_with_the_same_trials(small: Scenario) -> None:
    few, many = sample(small, trials=101, seed=1), sample(small, trials=301, seed=1)
    assert (many.bookings[:101] == few.bookings).all()


def test_another_seed_is_another_sample(small: Scenario) -> None:
    one, other = (sample(small, trials=100, seed=seed).bookings.sum(axis=(1, 2)) for seed in (1, 2))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.4
    assert (one != other).all()


# --- the interface -----------------------------------------------------------------------------------------


def test_trials_come_as_a_labelled_dataset(small: Scenario) -> None:
    data = sample(small, trials=20, seed=1).to_dataset()
    assert data["bookings"].dims == ("trial", "rep", "period")
    assert list(data["period"].values) == ["2026Q1", "2026Q2", "2026Q3", "2026Q4"]
    assert data.attrs["seed"] == 1


@pytest.mark.parametrize(
    ("trials", "chunk", "message"), [(0, 4, "trials is 0"), (4, 6, "multiple of 4"), (4, 0, "multiple of 4")]
)
def test_impossible_numbers_of_trials_are_refused(trials: int, chunk: int, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        sample(one_stage_world(), trials=trials, seed=1, chunk=chunk)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(EngineError, match="'auto', 'exact' or 'thinning'"):
        simulate(one_stage_world(), engine="magic")  # type: ignore[arg-type]
