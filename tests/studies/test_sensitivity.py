"""Sensitivity: the tornado where answers can be had by hand, Sobol indices against analysis."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from salessim.engine import simulate
from salessim.errors import EngineError, PlanError
from salessim.library import example_plan, example_scenario
from salessim.model import Capacity, Scenario
from salessim.plans import Lever
from salessim.studies import SENSITIVITY_LEVERS, sobol_indices, tornado
from salessim.studies.sensitivity import on_same_luck
from tests.worlds import changed, one_stage_world, reference_world


def with_role(world: Scenario, **fields: object) -> Scenario:
    return changed(world, roles=(world.roles[0].model_copy(update=fields), *world.roles[1:]))


def whole(table: pd.DataFrame) -> pd.DataFrame:
    return table[table["segment"] == ""].set_index("lever")


def test_what_multiplies_bookings_swings_by_twice_the_change() -> None:
    world = one_stage_world(reps=6, conversion=0.4)
    base = simulate(world).expected_bookings("2026Q1").sum()
    table = tornado(world, target=1.05 * base, period="2026Q1", change=0.1)
    rows = whole(table)
    assert set(rows.index) == set(SENSITIVITY_LEVERS)
    for lever in ("leads", "win rate", "deal size"):
        row = rows.loc[lever]
        assert row["swing"] == pytest.approx(0.2 * base)
        assert (row["bookings_low"], row["bookings_high"]) == pytest.approx((0.9 * base, 1.1 * base))
        assert row["chance_low"] < row["chance_base"] < row["chance_high"]
        assert row["p10_low"] < row["p10_base"] < row["bookings_base"] < row["p90_base"] < row["p90_high"]
    assert table["swing"].is_monotonic_decreasing
    assert (table["swing_low"] == table["swing"]).all()
    assert set(table["engine"]) == {"exact"}
    # the one stage of the only segment is the whole win rate
    stage = table.set_index("lever").loc["stage conversion"]
    assert (stage["segment"], stage["stage"]) == ("all", "open")
    assert stage["bookings_high"] == pytest.approx(rows.loc["win rate", "bookings_high"])


def test_levers_that_move_nothing_say_why() -> None:
    rows = whole(tornado(one_stage_world(), by_stage=False))
    assert rows.loc["attrition", "note"] == "the scenario states no attrition"
    assert rows.loc["ramp", "note"] == "nobody is ramping"
    assert rows.loc["cycle", "note"] == "moves nothing here"  # deals close in the week of their arrival
    assert rows.loc[["attrition", "ramp", "cycle"], "swing"].tolist() == [0.0, 0.0, 0.0]


def test_each_stage_of_each_segment_is_a_row_and_segments_weigh_by_their_bookings() -> None:
    world = example_scenario()
    table = tornado(world, plan=example_plan())
    stages = table[table["lever"] == "stage conversion"]
    assert len(stages) == sum(len(segment.stages) for segment in world.segments)
    by_segment = stages.groupby("segment")["swing"]
    assert by_segment.max().to_numpy() == pytest.approx(
        by_segment.min().to_numpy()
    )  # in a line all count alike
    assert by_segment.first().sum() == pytest.approx(whole(table).loc["leads", "swing"])
    chance = simulate(world).team_chance_at_least(5_000_000.0, "horizon")
    assert table["chance_base"].unique().tolist() == pytest.approx([float(chance)])


def test_a_stage_cannot_gain_more_than_is_lost_in_it() -> None:
    world = one_stage_world(conversion=0.95)
    row = tornado(world, levers=[]).iloc[0]
    assert row["high_change"] == pytest.approx(1 / 0.95 - 1)
    assert row["bookings_high"] == pytest.approx(row["bookings_base"] / 0.95)
    assert row["note"] == "cannot rise by more than 5.3 %"
    assert np.isnan(row["chance_base"])  # no target was given


def test_reps_can_only_be_added() -> None:
    row = tornado(one_stage_world(reps=10), levers=["reps"], by_stage=False).iloc[0]
    assert (row["low_change"], row["bookings_low"]) == (0.0, row["bookings_base"])
    assert row["bookings_high"] == pytest.approx(1.1 * row["bookings_base"])


def test_what_is_not_allowed_of_a_tornado_is_named() -> None:
    world = one_stage_world()
    with pytest.raises(PlanError, match="change is 10; it must lie between 0 and 1"):
        tornado(world, change=10)
    with pytest.raises(PlanError, match="lever is 'luck'"):
        tornado(world, levers=["luck"])  # type: ignore[list-item]
    with pytest.raises(PlanError, match="not both"):
        tornado(world, target=1.0, plan=example_plan())
    with pytest.raises(PlanError, match="target is -1"):
        tornado(world, target=-1)
    with pytest.raises(EngineError, match="period is '2030Q1'"):
        tornado(world, period="2030Q1")


def product_indices(widths: list[float]) -> tuple[np.ndarray, np.ndarray]:
    """First-order and total indices of a product of independent uniform factors 1 ± width."""
    squares = np.array(widths) ** 2 / 3  # squared cv of each factor
    whole_variance = np.prod(1 + squares) - 1
    others = np.prod(1 + squares) / (1 + squares)
    return squares / whole_variance, squares * others / whole_variance


def test_indices_of_a_product_are_those_of_analysis() -> None:
    widths = {"leads": 0.5, "win rate": 0.3, "deal size": 0.2}
    world = one_stage_world(conversion=0.4)
    table = sobol_indices(world, ranges={x: (-w, w) for x, w in widths.items()}, samples=256)  # type: ignore[misc]
    assert table["lever"].tolist() == list(widths)
    first, total = product_indices(list(widths.values()))
    for name, exact in (("first_order", first), ("total", total)):
        half = table[f"{name}_high"] - table[name]
        assert (half > 0).all()
        # the 80 % interval reaches 1.28 standard errors; twice that, and all six hold in 94 of 100 cases
        assert (np.abs(table[name] - exact) < 2 * half).all()
    assert table[["range_low", "range_high"]].to_numpy().tolist() == [[-w, w] for w in widths.values()]


def test_the_same_seed_gives_the_same_indices_and_idle_levers_none() -> None:
    world = one_stage_world(conversion=0.4)
    first, again, other = (sobol_indices(world, samples=32, seed=seed) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(first, again)
    assert not np.allclose(first["total"], other["total"])
    idle = first.set_index("lever").loc[["ramp", "attrition", "cycle"]]
    assert idle["total"].tolist() == [0.0, 0.0, 0.0]
    assert set(idle["note"]) == {"moves nothing here"}


def test_an_index_that_may_be_chance_says_so() -> None:
    # one rep of fifty ramps: that a little counts, but not by how much, is known from so few points
    world = reference_world(reps=50, newcomers=1)
    table = sobol_indices(world, ranges={"leads": (-0.3, 0.3), "ramp": (-0.1, 0.1)}, samples=16)
    ramp = table.set_index("lever").loc["ramp"]
    assert ramp["first_order_low"] <= 0 < ramp["total"]
    assert "not distinguishable from 0" in ramp["note"]


def test_chance_and_p10_have_indices_of_their_own() -> None:
    world = one_stage_world(reps=4, conversion=0.4, leads_per_week=2.0)
    target = 1.1 * simulate(world).expected_bookings("2026Q1").sum()
    ranges = {"leads": (-0.2, 0.2), "deal size": (-0.2, 0.2)}
    chance = sobol_indices(
        world, ranges=ranges, measure="chance of plan", target=target, period="2026Q1", samples=32
    )
    p10 = sobol_indices(world, ranges=ranges, measure="P10", period="2026Q1", samples=32).set_index("lever")
    assert (chance["total"] > 0.2).all()
    # more leads also narrow the range below the mean, larger deals widen it
    assert p10.loc["leads", "total"] > p10.loc["deal size", "total"]


def test_a_measure_that_does_not_move_has_no_indices() -> None:
    table = sobol_indices(one_stage_world(), ranges={"ramp": (-0.1, 0.1)}, samples=4)
    assert table[["first_order", "total_low"]].isna().all(axis=None)
    assert table["note"].tolist() == ["the measure does not move within these ranges"]


def test_what_is_not_allowed_of_indices_is_named() -> None:
    world = one_stage_world()
    with pytest.raises(EngineError, match="samples is 100; it must be a power of 2"):
        sobol_indices(world, samples=100)
    with pytest.raises(EngineError, match="seed is 0"):
        sobol_indices(world, seed=0)
    with pytest.raises(EngineError, match="measure is 'mood'; it must be one of 'expected bookings'"):
        sobol_indices(world, measure="mood")  # type: ignore[arg-type]
    with pytest.raises(PlanError, match=r"'leads' goes from 0\.1 to -0\.1; a range must rise"):
        sobol_indices(world, ranges={"leads": (0.1, -0.1)})
    with pytest.raises(PlanError, match="lever 'reps': change is"):
        sobol_indices(world, ranges={"reps": (-0.1, 0.1)})
    with pytest.raises(PlanError, match="needs a target"):
        sobol_indices(world, measure="chance of plan")
    with pytest.raises(PlanError, match="ranges is empty"):
        sobol_indices(world, ranges={})


def test_where_a_limit_binds_more_leads_move_little() -> None:
    world = with_role(
        reference_world(reps=5, newcomers=1), capacity=Capacity(open_deals=25), attrition_per_year=0.3
    )
    table = tornado(world, levers=["leads", "deal size", "attrition"], by_stage=False, trials=400)
    rows = whole(table)
    assert set(table["engine"]) == {"flow"}
    assert rows.loc["deal size", "swing"] == pytest.approx(0.2 * rows.loc["deal size", "bookings_base"])
    assert rows.loc["leads", "swing_high"] < 0.5 * rows.loc["deal size", "swing"]
    assert rows.loc["attrition", "bookings_high"] < rows.loc["attrition", "bookings_low"]
    assert (table["swing_low"] < table["swing"]).all()
    assert (table["swing"] < table["swing_high"]).all()


def test_worlds_that_are_compared_share_one_engine() -> None:
    world = reference_world(reps=2, newcomers=0)
    outcomes = on_same_luck([world, with_role(world, attrition_per_year=0.3)], trials=20, seed=1)
    assert [outcome.engine for outcome in outcomes] == ["flow", "flow"]
    assert on_same_luck([world], trials=20, seed=1)[0].engine == "exact"


def test_indices_of_a_simulated_world_have_no_noise_of_their_own() -> None:
    world = with_role(reference_world(reps=2, newcomers=0), attrition_per_year=0.3)
    ranges: dict[Lever, tuple[float, float]] = {"deal size": (-0.3, 0.3), "attrition": (-0.3, 0.3)}
    first, again = (sobol_indices(world, ranges=ranges, samples=4, trials=40) for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    assert set(first["engine"]) == {"flow"}
    assert first["lever"].tolist() == ["deal size", "attrition"]
