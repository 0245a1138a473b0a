"""The thinning engine: the law it samples, and the pairing on which every comparison rests."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
import warnings
from datetime import date
from typing import get_args

import numpy as np
import pytest

from salessim.engine import HORIZON, SampledOutcome, simulate, simulate_history
from salessim.engine.rates import rates_of, shock_covariance
from salessim.engine.thinning import Draws, deal_amounts, sample, team_bookings
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


@pytest.mark.parametrize(
    "size",
    [
        DealSize(mean=9_000.0, cv=4.0),
        DealSize(amounts=(500.0, 4_000.0, 60_000.0), shares=(0.5, 0.4, 0.1)),
        DealSize(mean=9_000.0, cv=0.0),
    ],
    ids=["heavy", "observed", "fixed"],
)
def test_every_law_of_deal_sizes_agrees_with_the_exact_engine(size: DealSize) -> None:
    world = one_stage_world(leads_per_week=0.8, size=size, skill_cv=0.3, shock_cv=0.1)
    exact, drawn = simulate(world), sample(world, trials=20_000, seed=5)
    booked = drawn.bookings[:, 0, 0]
    assert abs(booked.mean() - exact.expected_bookings("2026Q1")[0]) < 4 * booked.std() / np.sqrt(20_000)
    for amount in (4_250.0, 13_250.0, 49_750.0, 120_250.0, 300_250.0):
        expected = exact.chance_at_least(amount, "2026Q1")[0]
        error = np.sqrt(expected * (1 - expected) / 20_000)
        assert abs(drawn.chance_at_least(amount, "2026Q1")[0] - expected) < 4 * error + 1e-3


def test_heavy_deal_sizes_settle() -> None:
    """Mean and spread of single deals with cv 4, and the law far out in the tail."""
    size = DealSize(mean=1_000.0, cv=4.0)
    world = one_stage_world(leads_per_week=600.0, conversion=1.0, size=size, reps=1)
    outcome = sample(world, trials=400, seed=2)  # 3.1 million deals
    mean, deals = outcome.bookings.sum() / outcome.won.sum(), outcome.won.sum()
    assert abs(mean - 1_000.0) < 4 * 4_000.0 / np.sqrt(deals)
    # amounts of quarters with exactly one deal are single deals
    rare = sample(changed(one_stage_world(leads_per_week=0.02, size=size)), trials=60_000, seed=2)
    single = rare.bookings[rare.won == 1]
    for chance in (0.01, 0.5, 0.99, 0.999):
        share = (single <= deal_amounts(size)(np.array([chance]))[0]).mean()
        assert abs(share - chance) < 4 * np.sqrt(chance * (1 - chance) / len(single))


def test_shocks_persist_as_the_closed_variance_says() -> None:
    world = one_stage_world(leads_per_week=30.0, shock_cv=0.2, quarters=4)
    lasting = changed(world, market={**dict(world.market), "shock_persistence": 0.7})
    for some in (world, lasting):
        rates = rates_of(some)
        wins = rates.wins[0, 0]  # (arrival quarter, quarter)
        covariance = wins.T @ shock_covariance(rates) @ wins + np.diag(wins.sum(axis=0))
        won = sample(some, trials=20_000, seed=6).won[:, 0].astype(float)
        spread = np.sqrt(np.diag(covariance))
        error = np.sqrt(2 / 20_000)
        # products of lognormal numbers have somewhat heavier tails than normal ones
        assert np.abs((np.cov(won.T) - covariance) / np.outer(spread, spread)).max() < 6 * error
        total = won.sum(axis=1)
        assert total.var() == pytest.approx(covariance.sum(), rel=6 * error)
        assert abs(total.mean() - wins.sum()) < 4 * np.sqrt(covariance.sum() / 20_000)


def test_persistence_changes_no_quarter_by_itself_nor_the_first_at_all(small: Scenario) -> None:
    lasting = changed(small, market={**dict(small.market), "shock_persistence": 0.5})
    before, after = sample(small, trials=4_000, seed=3), sample(lasting, trials=4_000, seed=3)
    assert (before.bookings[:, :, 0] == after.bookings[:, :, 0]).all()
    one, other = (outcome.bookings.sum(axis=1)[:, 2] for outcome in (before, after))
    assert abs(one.mean() - other.mean()) < 4 * one.std() * np.sqrt(2 / 4_000)


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


@pytest.mark.parametrize("draws", get_args(Draws))
@pytest.mark.parametrize(("threads", "chunk"), [(2, 4096), (1, 64), (2, 101), (3, 1)])
def test_threads_and_chunks_do_not_change_a_number(
    small: Scenario, threads: int, chunk: int, draws: Draws
) -> None:
    expected = sample(small, trials=333, seed=1, draws=draws)
    again = sample(small, trials=333, seed=1, draws=draws, threads=threads, chunk=chunk)
    assert (again.bookings == expected.bookings).all()
    assert (again.won == expected.won).all()


@pytest.mark.parametrize("draws", get_args(Draws))
def test_more_trials_begin_with_the_same_trials(small: Scenario, draws: Draws) -> None:
    few, many = (sample(small, trials=trials, seed=1, draws=draws) for trials in (101, 301))
    assert (many.bookings[:101] == few.bookings).all()


def test_an_open_deal_more_changes_none_of_the_others(small: Scenario) -> None:
    deal = OpenDeal(rep="rep 1", segment="all", stage="stage 3", weeks_in_stage=2)
    one, two = (changed(small, pipeline=(deal,) * number) for number in (1, 2))
    none, before, after = (sample(world, trials=300, seed=7) for world in (small, one, two))
    assert (before.won >= none.won).all()
    assert (after.won >= before.won).all()
    assert 0 < (before.won - none.won).sum() < (after.won - none.won).sum()
    assert (after.bookings[:, [0, 2, 3]] == none.bookings[:, [0, 2, 3]]).all()


def test_another_seed_is_another_sample(small: Scenario) -> None:
    one, other = (sample(small, trials=100, seed=seed).bookings.sum(axis=(1, 2)) for seed in (1, 2))
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.4
    assert (one != other).all()


# --- opposite and evenly spread luck ------------------------------------------------------------------------


@pytest.mark.parametrize("draws", ["antithetic", "Sobol"])
def test_paired_and_even_luck_has_the_same_law(draws: Draws) -> None:
    world = reference_world(reps=12, newcomers=3)
    exact, drawn = simulate(world), sample(world, trials=8_192, seed=4, draws=draws)
    for probability in (0.1, 0.5, 0.9):
        amounts = exact.rep_quantiles([probability], "2026Q3")[0]
        below = 1 - drawn.chance_at_least(amounts, "2026Q3").mean()
        assert abs(below - probability) < 0.01
        team = 1 - drawn.team_chance_at_least(exact.team_quantiles([probability], HORIZON), HORIZON)[0]
        assert abs(team - probability) < 4 * np.sqrt(probability * (1 - probability) / 8_192)


def test_every_other_antithetic_trial_has_opposite_luck(small: Scenario) -> None:
    plain, paired_luck = (
        sample(small, trials=2_000, seed=4),
        sample(small, trials=2_000, seed=4, draws="antithetic"),
    )
    assert (paired_luck.bookings[::2] == plain.bookings[::2]).all()
    totals = paired_luck.bookings.sum(axis=(1, 2))
    assert np.corrcoef(totals[::2], totals[1::2])[0, 1] < -0.6


@pytest.mark.parametrize("draws", ["antithetic", "Sobol"])
def test_paired_and_even_luck_make_a_mean_surer(small: Scenario, draws: Draws) -> None:
    mean = simulate(small).expected_bookings(HORIZON).sum()

    def error(how: Draws) -> float:
        means = [team_bookings(small, trials=256, seed=k, draws=how).sum(axis=1).mean() for k in range(24)]
        return float(np.sqrt(np.mean((np.array(means) / mean - 1) ** 2)))

    assert error(draws) < 0.7 * error("random")


@pytest.mark.parametrize("draws", ["antithetic", "Sobol"])
def test_more_leads_never_lose_bookings_with_any_luck(small: Scenario, draws: Draws) -> None:
    before, after = (
        sample(world, trials=300, seed=7, draws=draws) for world in (small, with_leads(small, 1.1))
    )
    assert (after.won >= before.won).all()
    assert after.won.sum() > before.won.sum()


def test_a_sobol_sequence_comes_without_a_warning_for_any_number_of_trials(small: Scenario) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sample(small, trials=100, seed=1, draws="Sobol", chunk=30).trials == 100


def test_a_team_too_large_for_a_sobol_sequence_is_refused() -> None:
    world = one_stage_world(reps=1_700, quarters=12)
    with pytest.raises(EngineError, match="21,201 dimensions; the scenario needs 22,113"):
        sample(world, trials=1, seed=1, draws="Sobol")


# --- the team alone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("draws", get_args(Draws))
def test_team_bookings_are_the_sums_over_reps(small: Scenario, draws: Draws) -> None:
    whole = sample(small, trials=301, seed=9, draws=draws)
    totals = team_bookings(small, trials=301, seed=9, draws=draws, threads=2, chunk=64)
    assert totals.shape == (301, 4)
    assert (totals == whole.bookings.sum(axis=1)).all()


def test_team_bookings_hold_a_few_chunks_at_a_time() -> None:
    world = reference_world()
    tracemalloc.start()
    try:
        totals = team_bookings(world, trials=20_000, seed=9, threads=2)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    chunks = 2 * 512 * 50 * 4 * (8 + 4)
    assert peak < totals.nbytes + chunks + 8e6  # all trials by rep would take 48 million bytes


# --- the interface -----------------------------------------------------------------------------------------


def test_trials_come_as_a_labelled_dataset(small: Scenario) -> None:
    data = sample(small, trials=20, seed=1).to_dataset()
    assert data["bookings"].dims == ("trial", "rep", "period")
    assert list(data["period"].values) == ["2026Q1", "2026Q2", "2026Q3", "2026Q4"]
    assert data.attrs["seed"] == 1


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"trials": 0}, "trials is 0; it must be 1 or more"),
        ({"trials": 4, "chunk": 0}, "chunk is 0"),
        ({"trials": 4, "threads": 0}, "threads is 0"),
    ],
)
def test_impossible_numbers_are_refused(numbers: dict[str, int], message: str) -> None:
    for run in (sample, team_bookings):
        with pytest.raises(EngineError, match=message):
            run(one_stage_world(), seed=1, **numbers)  # type: ignore[arg-type]


def test_unknown_draws_are_refused() -> None:
    with pytest.raises(EngineError, match="draws is 'magic'; it must be 'random', 'antithetic', 'Sobol'"):
        sample(one_stage_world(), trials=1, seed=1, draws="magic")  # type: ignore[arg-type]


def test_no_leads_are_no_wins() -> None:
    outcome = sample(one_stage_world(leads_per_week=0.0, skill_cv=0.3, shock_cv=0.1), trials=50, seed=1)
    assert not outcome.won.any()
    assert not outcome.bookings.any()


def test_numba_is_loaded_when_trials_are_drawn_and_not_before() -> None:
    lines = [
        "import sys",
        "from salessim.engine import simulate",
        "from salessim.library import example_scenario",
        "simulate(example_scenario(), engine='exact')",
        "assert 'numba' not in sys.modules",
    ]
    subprocess.run([sys.executable, "-c", "; ".join(lines)], check=True)


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(EngineError, match="'auto', 'exact', 'thinning' or 'flow'"):
        simulate(one_stage_world(), engine="magic")  # type: ignore[arg-type]
