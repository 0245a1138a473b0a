"""Existing customers: churn, recurring revenue, what the base would yield, and payback."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from salessim.engine import HORIZON, simulate, simulate_flow
from salessim.engine.customers import customers_leaving, quarterly_churn
from salessim.engine.streams import generator
from salessim.errors import EngineError, ParameterError, ScenarioError
from salessim.library import example_scenario, load_structure
from salessim.model import (
    Behaviours,
    Capacity,
    Customers,
    DealSize,
    Hire,
    OpenDeal,
    PushBack,
    Rep,
    Role,
    Scenario,
    Segment,
    Source,
)
from salessim.studies import REVENUE_FIGURES, base_yield, cac_payback, payback_months, recurring_revenue
from tests.worlds import changed, one_stage_world

QUARTERS = ["2027Q1", "2027Q2", "2027Q3", "2027Q4"]


def with_segment(scenario: Scenario, **fields: object) -> Scenario:
    """The scenario with fields of its first segment replaced."""
    first = Segment.model_validate({**dict(scenario.segments[0]), **fields})
    return changed(scenario, segments=(first, *scenario.segments[1:]))


def with_churn(churn_per_year: float, *, count: int = 200) -> Scenario:
    customers = Customers(count=count, annual_revenue=12_000.0, churn_per_year=churn_per_year)
    return with_segment(load_structure("existing-customers"), customers=customers)


def means(scenario: Scenario, *, trials: int, segment: str = "SMB") -> pd.DataFrame:
    """Means of all figures, (figure, quarter)."""
    table = recurring_revenue(scenario, trials=trials).table
    own = table[table["segment"] == segment]
    return own.pivot_table(index="figure", columns="quarter", values="mean", sort=False)


# customers who leave


@pytest.mark.parametrize("customers", [1, 5, 200, 5_000])
@pytest.mark.parametrize("churn", [0.01, 0.12, 0.9])
def test_leavers_follow_the_binomial_law_of_the_quarter(customers: int, churn: float) -> None:
    luck = generator(3, "churn", "SMB", "2027Q1").random(4_000)
    found = customers_leaving(np.full(4_000, customers), churn_per_year=churn, seed=3, name=("SMB", "2027Q1"))
    assert (found == binom.ppf(luck, customers, 1 - (1 - churn) ** 0.25)).all()
    assert (1 - quarterly_churn(churn)) ** 4 == pytest.approx(1 - churn)


def test_on_the_same_luck_more_churn_and_more_customers_never_lose_fewer() -> None:
    few, more, worse = (
        customers_leaving(np.full(2_000, count), churn_per_year=churn, seed=1, name=("SMB",))
        for count, churn in ((100, 0.1), (120, 0.1), (100, 0.15))
    )
    assert (more >= few).all()
    assert (worse >= few).all()
    assert (worse > few).any()


def test_nobody_and_everybody_can_leave() -> None:
    there = np.array([0, 3, 7])
    assert customers_leaving(there, churn_per_year=0.0, seed=1, name=("x",)).tolist() == [0, 0, 0]
    assert customers_leaving(there, churn_per_year=1.0, seed=1, name=("x",)).tolist() == [0, 3, 7]


# recurring revenue


def test_every_quarter_adds_up_and_begins_where_the_last_one_ended() -> None:
    found = means(with_churn(0.12), trials=300)
    assert list(found.index) == list(REVENUE_FIGURES)
    assert list(found.columns) == QUARTERS
    revenue = found.loc["revenue_begin"] - found.loc["revenue_churned"]
    revenue += found.loc["revenue_expansion"] + found.loc["revenue_new"]
    assert np.allclose(found.loc["revenue_end"], revenue)
    customers = found.loc["customers_begin"] - found.loc["customers_churned"] + found.loc["customers_new"]
    assert np.allclose(found.loc["customers_end"], customers)
    for what in ("revenue", "customers"):
        assert np.allclose(found.loc[f"{what}_begin"].iloc[1:], found.loc[f"{what}_end"].iloc[:-1])
    missing = found.loc["revenue_end_without_churn"] - found.loc["revenue_end"]
    assert np.allclose(found.loc["revenue_missing"], missing)
    assert found.loc["revenue_begin", "2027Q1"] == 200 * 12_000


def test_the_expected_base_is_worked_out_by_hand() -> None:
    """Nothing sold: of 200 customers, (1 − churn)^(q/4) are left after q quarters."""
    trials = 4_000
    none = Source(name="inbound", kind="inbound", leads_per_week=0.0)
    world = with_segment(with_churn(0.3), sources=(none,))
    table = recurring_revenue(world, trials=trials).table.set_index(["figure", "quarter"])
    for q, quarter in enumerate(QUARTERS, start=1):
        left = 0.7 ** (q / 4)
        error = math.sqrt(200 * left * (1 - left) / trials)
        assert table.loc[("customers_end", quarter), "mean"] == pytest.approx(200 * left, abs=4 * error)
        low, high = binom.ppf([0.1, 0.9], 200, left)
        assert table.loc[("customers_end", quarter), "p10"] == pytest.approx(low, abs=1)
        assert table.loc[("customers_end", quarter), "p90"] == pytest.approx(high, abs=1)
        assert table.loc[("revenue_end", quarter), "p50"] == pytest.approx(
            12_000 * table.loc[("customers_end", quarter), "p50"]
        )
        assert table.loc[("revenue_end_without_churn", quarter), "mean"] == 200 * 12_000


def test_new_customers_leave_at_the_same_rate_from_the_quarter_after() -> None:
    trials = 1_500
    found = means(with_churn(0.5, count=0), trials=trials)
    stays = 0.5**0.25
    expected = 0.0
    for quarter in QUARTERS:
        expected = expected * stays + found.loc["customers_new", quarter]
        assert found.loc["customers_end", quarter] == pytest.approx(expected, rel=0.01)
    assert found.loc["customers_churned", "2027Q1"] == 0


def test_without_churn_nothing_is_missing_and_with_full_churn_all_of_the_base_is() -> None:
    kept = means(with_churn(0.0), trials=50)
    assert np.allclose(kept.loc["revenue_missing"], 0, atol=1e-6)
    assert (kept.loc["customers_churned"] == 0).all()
    gone = means(with_churn(1.0), trials=50)
    assert gone.loc["customers_churned", "2027Q1"] == 200
    only = gone.loc["revenue_new"] + gone.loc["revenue_expansion"]
    assert np.allclose(gone.loc["revenue_end"], only)


def test_expansion_is_larger_had_nobody_left() -> None:
    left, kept = means(with_churn(0.6), trials=200), means(with_churn(0.0), trials=200)
    assert (left.loc["revenue_expansion"].iloc[1:] < kept.loc["revenue_expansion"].iloc[1:]).all()
    assert np.allclose(left.loc["revenue_end_without_churn"], kept.loc["revenue_end"])


@pytest.mark.parametrize("limit", [None, Capacity(open_deals=25), Capacity(hours_per_week=30.0)])
def test_parts_are_what_the_team_books_also_where_capacity_binds(limit: Capacity | None) -> None:
    world = with_churn(0.12)
    world = changed(
        world,
        roles=(Role(name="account executive", capacity=limit, attrition_per_year=0.2, backfill_weeks=8),),
        reps=tuple(Rep(name=rep.name, role=rep.role, segments={"SMB": 1.0}) for rep in world.reps),
        hires=(Hire(role="account executive", start="2027-04-01", segments={"SMB": 1.0}),),
    )
    trials = 1_500
    found = means(world, trials=trials)
    outcome = simulate_flow(world, trials=trials, seed=2)
    bookings, won = outcome.bookings.sum(axis=(1, 2)), outcome.won.sum(axis=(1, 2))
    if limit is not None:
        assert (outcome.gave_up.sum(axis=(1, 2)) > 0).mean() > 0.9
    parts = found.loc[["revenue_new", "revenue_expansion"]].to_numpy().sum()
    error = bookings.std(ddof=1) * math.sqrt(2 / trials)
    assert parts == pytest.approx(bookings.mean(), abs=4 * error)
    assert found.loc["customers_new"].sum() < won.mean()
    assert found.loc["revenue_new"].sum() / found.loc["customers_new"].sum() == pytest.approx(
        12_000, rel=0.02
    )


def test_open_deals_win_new_customers_at_their_amounts() -> None:
    world = one_stage_world(quarters=2, conversion=1.0, dwell=(0.0, 0.0, 1.0))
    segments = (
        world.segments[0].model_copy(
            update={"sources": (), "customers": Customers(count=2, annual_revenue=100.0)}
        ),
        world.segments[0].model_copy(update={"name": "other", "sources": ()}),
    )
    deals = [("all", 5_000.0), ("all", None), ("other", 700.0), ("other", None)]
    pipeline = tuple(
        OpenDeal(rep="rep 0", segment=name, stage="open", weeks_in_stage=0, amount=amount)
        for name, amount in deals
    )
    found = recurring_revenue(changed(world, segments=segments, pipeline=pipeline), trials=5)
    table = found.table.set_index(["figure", "quarter"])
    assert found.left_out == ("other",)
    assert set(found.table["segment"]) == {"all"}
    assert table.loc[("customers_new", "2026Q1"), "mean"] == 2
    assert table.loc[("revenue_new", "2026Q1"), "mean"] == 5_000 + 10_000
    assert table.loc[("revenue_end", "2026Q2"), "mean"] == 200 + 15_000


def test_segments_add_up_to_all() -> None:
    world = with_churn(0.12)
    twin = world.segments[0].model_copy(update={"name": "MME", "deal_size": DealSize(mean=50_000.0, cv=0.5)})
    table = recurring_revenue(changed(world, segments=(world.segments[0], twin)), trials=60).table
    by_segment = table.pivot_table(index=["figure", "quarter"], columns="segment", values="mean")
    assert np.allclose(by_segment["all"], by_segment["SMB"] + by_segment["MME"])
    assert (
        by_segment.loc[("revenue_new", "2027Q1"), "MME"]
        > 2 * by_segment.loc[("revenue_new", "2027Q1"), "SMB"]
    )
    ordered = table[table["unit"] == "money"]
    assert (ordered["p10"] <= ordered["p50"]).all()
    assert (ordered["p50"] <= ordered["p90"]).all()


def test_the_same_seed_gives_the_same_figures() -> None:
    one, same, other = (recurring_revenue(with_churn(0.12), trials=20, seed=seed).table for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, same)
    assert not one["mean"].equals(other["mean"])


def test_recurring_revenue_that_cannot_be_worked_out_is_refused() -> None:
    with pytest.raises(ScenarioError, match="no segment states its customers"):
        recurring_revenue(example_scenario())
    with pytest.raises(EngineError, match="trials is 0"):
        recurring_revenue(with_churn(0.1), trials=0)
    reacting = changed(with_churn(0.1), behaviours=Behaviours(push_back=PushBack(share=0.5)))
    with pytest.raises(EngineError, match="quota"):
        recurring_revenue(reacting, trials=10)


# what the base would yield


def test_expected_bookings_are_those_of_the_exact_engine() -> None:
    for scenario in (load_structure("existing-customers"), example_scenario()):
        exact = simulate(scenario, engine="exact").expected_bookings(HORIZON).sum()
        assert base_yield(scenario)["bookings"].sum() == pytest.approx(exact, rel=1e-6)


def test_the_yield_stands_beside_new_business() -> None:
    found = base_yield(load_structure("existing-customers")).set_index("kind")
    existing, new = found.loc["existing customers"], found.loc["new business"]
    assert existing["win_chance"] == pytest.approx(0.9 * 0.85 * 0.84)
    assert new["win_chance"] == pytest.approx(0.4**3)
    assert existing["times_shorter"] == pytest.approx(1 / 0.143)
    assert np.isnan(new["times_shorter"])
    assert new["leads"] == pytest.approx(25 * 52)
    assert new["cost_of_leads"] == pytest.approx(25 * 52 * 450)
    weeks = np.arange(52)
    assert existing["leads"] == pytest.approx(1.2 * (0.88 ** (weeks / 52)).sum())
    assert (found["note"] == "").all()


@pytest.mark.parametrize(
    ("source", "note"),
    [
        ({"conversions": {"first talk": 0.5}}, "leads from existing customers convert at 8.0 %"),
        ({"cycle_factor": 0.5}, "2.0× shorter"),
    ],
)
def test_figures_outside_what_the_field_reports_are_named_with_their_source(
    source: dict[str, object], note: str
) -> None:
    world = load_structure("existing-customers")
    new, existing = world.segments[0].sources
    changed_source = Source.model_validate({**dict(existing), **source})
    found = base_yield(with_segment(world, sources=(new, changed_source))).set_index("kind")
    assert note in found.loc["existing customers", "note"]
    assert "[H1]" in found.loc["existing customers", "note"]
    easy = new.model_copy(update={"conversions": {"first talk": 1.0}})
    assert (
        "new leads convert at 16.0 %"
        in base_yield(with_segment(world, sources=(easy, existing)))["note"].iloc[0]
    )


def test_customers_to_whom_nothing_is_sold_are_named() -> None:
    world = load_structure("existing-customers")
    found = base_yield(with_segment(world, sources=world.segments[0].sources[:1]))
    assert list(found["kind"]) == ["new business", "existing customers"]
    assert found["note"].iloc[1].startswith("nothing is sold to 200 customers")
    assert found.loc[1, ["leads", "bookings"]].tolist() == [0, 0]
    assert np.isnan(found.loc[1, "win_chance"])
    assert list(base_yield(example_scenario())["kind"]) == ["new business"] * 2


def test_a_limit_that_binds_is_said() -> None:
    world = changed(
        load_structure("existing-customers"),
        roles=(Role(name="account executive", capacity=Capacity(open_deals=5)),),
    )
    assert base_yield(world)["note"].str.contains("the limit of 5 open deals binds").all()


# payback


@pytest.mark.parametrize("churn", [0.0, 0.2, 0.6])
def test_the_margin_of_the_months_until_payback_is_the_cost(churn: float) -> None:
    months = payback_months(5_000.0, annual_revenue=12_000.0, gross_margin=0.8, churn_per_year=churn)
    stays = (1 - churn) ** (1 / 12)
    whole = int(months)
    earned = [800 * sum(stays**k for k in range(number)) for number in (whole, whole + 1)]
    assert earned[0] <= 5_000 <= earned[1]


def test_payback_that_never_comes_or_is_not_known() -> None:
    assert payback_months(50_000.0, annual_revenue=12_000.0, gross_margin=0.8, churn_per_year=0.5) == math.inf
    assert payback_months(1.0, annual_revenue=0.0, gross_margin=0.8) == math.inf
    assert payback_months(0.0, annual_revenue=12_000.0, gross_margin=0.8) == 0
    assert math.isnan(payback_months(math.nan, annual_revenue=12_000.0, gross_margin=0.8))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"cost_per_win": -1.0}, "cost_per_win is -1.0"),
        ({"annual_revenue": -5.0}, "annual_revenue is -5.0"),
        ({"gross_margin": 0.0}, "gross_margin is 0.0"),
        ({"gross_margin": math.nan}, "gross_margin is nan"),
        ({"churn_per_year": 1.0}, "churn_per_year is 1.0"),
    ],
)
def test_impossible_payback_figures_are_refused(wrong: dict[str, float], named: str) -> None:
    figures = {"annual_revenue": 100.0, "gross_margin": 0.5, "churn_per_year": 0.1, **wrong}
    with pytest.raises(ParameterError, match=named):
        payback_months(figures.pop("cost_per_win", 10.0), **figures)


def test_payback_by_source_counts_the_cost_of_leads_per_win() -> None:
    world = load_structure("existing-customers")
    new, existing = world.segments[0].sources
    others = tuple(
        new.model_copy(update={"name": name, "cost_per_lead": cost})
        for name, cost in (("cheap", 100.0), ("dear", 2_000.0), ("unknown", None))
    )
    found = cac_payback(with_segment(world, sources=(new, *others, existing)), gross_margin=0.75).set_index(
        "source"
    )
    assert list(found.index) == ["inbound", "cheap", "dear", "unknown"]
    assert found.loc["inbound", "cost_per_win"] == pytest.approx(450 / 0.064)
    assert found.loc["inbound", "note"] == ""
    assert found.loc["inbound", "payback_months"] == pytest.approx(
        payback_months(450 / 0.064, annual_revenue=12_000.0, gross_margin=0.75, churn_per_year=0.12)
    )
    assert found.loc["cheap", "note"].startswith("sooner than")
    assert found.loc["dear", "note"].startswith("later than")
    assert found.loc["unknown", ["cost_per_lead", "cost_per_win", "payback_months"]].isna().all()
    assert found.loc["unknown", "note"] == ""
