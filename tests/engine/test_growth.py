"""Growth of demand: all engines agree on it, and no growth changes nothing."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from salessim.engine import simulate, weekly_leads
from salessim.engine.rates import source_rates
from salessim.library import example_scenario
from salessim.model import Calendar, Rep, Scenario, Seasonality
from tests.worlds import changed, one_stage_world


def growing(growth: float, *, before: int = 0, quarters: int = 4) -> Scenario:
    world = one_stage_world(reps=3, leads_per_week=2.0, quarters=quarters, dwell=4.0)
    segment = world.segments[0].model_copy(update={"seasonality": Seasonality(growth_per_year=growth)})
    calendar = Calendar(first_quarter="2026Q1", quarters=quarters, quarters_before=before)
    return changed(world, segments=(segment,), calendar=calendar)


def test_leads_of_a_year_later_have_grown_by_the_rate() -> None:
    leads = weekly_leads(growing(0.21, before=2, quarters=5))[0, 0].reshape(7, 13)
    assert np.allclose(leads, leads[:, :1])  # even within a quarter
    assert leads[:, 0] == pytest.approx(2.0 * 1.21 ** (np.arange(-2, 5) / 4))


def test_no_growth_changes_nothing_to_the_last_bit() -> None:
    scenario = example_scenario()
    for segment in scenario.segments:
        season = segment.seasonality.factors(scenario.calendar.worked_periods())
        for source, rates in zip(segment.sources, source_rates(scenario, segment), strict=True):
            assert rates.tolist() == (source.leads_per_week * season).tolist()
    assert "growth_per_year" not in scenario.to_yaml()


def test_three_engines_agree_on_a_growing_market() -> None:
    world = growing(0.8, before=1)
    exact = simulate(world, engine="exact")
    for engine, trials in (("thinning", 20_000), ("flow", 4_000)):
        sampled = simulate(world, engine=engine, trials=trials, seed=3)  # type: ignore[arg-type]
        for period in exact.periods:
            expected = exact.expected_bookings(period).sum()
            error = 10_000 * np.sqrt(expected / 10_000 / trials)  # Poisson wins of one size
            assert sampled.expected_bookings(period).sum() == pytest.approx(expected, abs=4 * error)
    by_quarter = [exact.expected_bookings(period).sum() for period in exact.periods]
    assert by_quarter[3] / by_quarter[0] > 1.4


def test_growth_of_inbound_leads_is_shared_by_whoever_is_there() -> None:
    world = growing(0.5)
    source = world.segments[0].sources[0].model_copy(update={"kind": "inbound"})
    segments = (world.segments[0].model_copy(update={"sources": (source,)}),)
    two = changed(world, segments=segments)
    three = changed(two, reps=(*two.reps, Rep(name="late", role="AE", start=date(2026, 7, 1))))
    assert weekly_leads(three).sum(axis=(0, 1)) == pytest.approx(weekly_leads(two).sum(axis=(0, 1)))


def test_demand_cannot_shrink_by_all_of_it() -> None:
    with pytest.raises(ValueError, match="greater than -1"):
        Seasonality(growth_per_year=-1.0)
