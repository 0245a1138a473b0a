"""Months: parts of the quarters, on the same luck."""

from __future__ import annotations

import numpy as np
import pytest

from salessim.engine import SampledOutcome, simulate
from salessim.engine.rates import month_shares
from salessim.library import example_plan, example_scenario
from salessim.model import OpenDeal
from salessim.plans import monthly_quotas, quotas
from tests.worlds import changed, reference_world


def sampled(**settings: object) -> SampledOutcome:
    deals = (OpenDeal(rep="rep 1", segment="all", stage="stage 3", weeks_in_stage=2, amount=7e4, deals=9),)
    world = changed(reference_world(reps=8, newcomers=2), pipeline=deals)
    outcome = simulate(world, engine="thinning", trials=8000, **settings)  # type: ignore[arg-type]
    assert isinstance(outcome, SampledOutcome)
    return outcome


def test_months_add_up_to_the_quarters_which_stay_as_they_are() -> None:
    quarters, months = sampled(), sampled(by_month=True)
    assert np.array_equal(quarters.won, months.won)
    assert months.bookings == pytest.approx(quarters.bookings)
    assert months.months == tuple(f"2026-{month:02d}" for month in range(1, 13))
    assert np.array_equal(months.won_by_month.reshape(8000, 8, 4, 3).sum(axis=3), quarters.won)
    assert months.bookings_by_month.reshape(8000, 8, 4, 3).sum(axis=3) == pytest.approx(quarters.bookings)


def test_wins_fall_in_months_as_leads_ripen() -> None:
    months = sampled(by_month=True)
    rep = 0  # no open deals
    counted = months.won_by_month[:, rep].mean(axis=0).reshape(4, 3)
    shares = month_shares(months.scenario)[rep, 0]
    assert counted / counted.sum(axis=1, keepdims=True) == pytest.approx(shares, abs=0.02)
    assert shares[0, 0] == 0  # the shortest way through five stages takes five weeks
    assert shares[0, 2] > 0.8


def test_open_deals_fall_in_the_months_that_their_stage_says() -> None:
    months = sampled(by_month=True)
    deal = months.bookings_by_month[:, 1] >= 7e4  # nearly only such a deal is so large in the first month
    assert deal[:, 0].mean() > 0.9


def test_threads_do_not_change_months() -> None:
    assert np.array_equal(
        sampled(by_month=True, threads=1).bookings_by_month,
        sampled(by_month=True, threads=2).bookings_by_month,
    )


def test_monthly_quotas_add_up_to_the_quarter() -> None:
    plan, scenario = example_plan(), example_scenario()
    months = monthly_quotas(plan, scenario).to_numpy().reshape(len(scenario.team()), 4, 3)
    assert np.nansum(months, axis=2) == pytest.approx(np.nan_to_num(quotas(plan, scenario).to_numpy()))
