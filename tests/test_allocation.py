"""Quota allocation: exact sums, pins, the year, bottom-up, and where every number comes from."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salessim.allocation import (
    Allocation,
    Hierarchy,
    Relief,
    allocate,
    coverage,
    differences,
    reconcile,
    roll_up,
    trace,
)
from salessim.allocation.cents import LARGEST, money_text, split, to_cents
from salessim.crm import read
from salessim.errors import DataError, PlanError
from salessim.library.company import example_export
from salessim.plans import QuotaPlan

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TEAM = pd.DataFrame(
    [
        ("Acme", "", "company", None, None),
        ("North", "Acme", "region", None, None),
        ("South", "Acme", "region", None, None),
        ("Mia", "North", "manager", None, None),
        ("Moe", "South", "manager", None, None),
        ("Ann", "Mia", "rep", 300.0, 100.0),
        ("Bo", "Mia", "rep", 100.0, 100.0),
        ("Cy", "Mia", "rep", 200.0, 400.0),
        ("Di", "Moe", "rep", 150.0, 100.0),
        ("Ed", "Moe", "rep", 250.0, 300.0),
    ],
    columns=["name", "parent", "role", "history", "pipeline"],
)


def team(**columns: Sequence[object]) -> Hierarchy:
    return Hierarchy.from_table(TEAM.assign(**{name: list(cells) for name, cells in columns.items()}))


def only(reps: dict[str, object], default: object = None) -> list[object]:
    """A column with values for some names."""
    return [reps.get(name, default) for name in TEAM["name"]]


def amounts(allocation: Allocation, column: str = "quota") -> dict[str, float]:
    return dict(zip(allocation.table["name"], allocation.table[column], strict=True))


def quarters(allocation: Allocation, name: str, column: str = "quota") -> list[float]:
    rows = allocation.by_quarter
    return [float(value) for value in rows.loc[rows["name"] == name, column]]


def assert_exact(allocation: Allocation) -> None:
    """Every sum that must hold to the cent, added up anew from the tables."""
    node, table = allocation.hierarchy, allocation.table
    assert allocation.check()["reconciles"].all()
    by_parent = table[table["parent"] != ""].groupby("parent")
    base = table.set_index("name")["base_cents"]
    for parent, total in by_parent["base_cents"].sum().items():
        assert total == base[parent]
    leaves = table["leaf"].to_numpy()
    assert table.loc[leaves, "base_cents"].sum() == base.iloc[0]
    for parent, total in by_parent["people_quota_cents"].sum().items():
        assert total == table.set_index("name").loc[parent, "people_quota_cents"]
    net = (allocation.relieved_cents - allocation.taken_over_cents).sum(axis=1)
    assert (table["quota_cents"][leaves] == (allocation.assigned_cents - net)[leaves]).all()
    assert (table["quota_cents"][~leaves] == allocation.assigned_cents[~leaves]).all()
    rows = allocation.by_quarter.groupby("name")["quota_cents"].sum()
    assert (rows.loc[list(node.names)].to_numpy() == table["people_quota_cents"].to_numpy()).all()
    for column in ("base_cents", "assigned_cents", "quota_cents"):
        assert (table[column] >= 0).all()
    assert (allocation.quarter_cents >= 0).all()


# --- the cascade, by hand -----------------------------------------------------------------------------------


def test_the_plan_is_handed_down_by_weight_at_every_level() -> None:
    found = amounts(allocate(team(), 2_000_000))
    assert found["North"] == found["Mia"] == 1_200_000  # 600 of 1,000 history
    assert found["South"] == found["Moe"] == 800_000
    assert (found["Ann"], found["Bo"], found["Cy"]) == (600_000, 200_000, 400_000)
    assert (found["Di"], found["Ed"]) == (300_000, 500_000)


def test_over_assignment_compounds_on_top_of_an_exact_base_layer() -> None:
    plan = allocate(team(), 2_000_000, over_assignment={"region": 0.05, 3: 0.10})
    base, assigned = amounts(plan, "base_amount"), amounts(plan, "assigned_amount")
    assert base["Ann"] == 600_000
    assert assigned["North"] == assigned["Mia"] == 1_260_000  # 1,200,000 × 1.05
    assert assigned["Ann"] == pytest.approx(600_000 * 1.05 * 1.10)
    assert amounts(plan, "over_assignment")["Ann"] == pytest.approx(1.05 * 1.10 - 1)
    summary = plan.summary()
    assert summary["level_name"].tolist() == ["company", "region", "manager", "rep"]
    assert summary["base"].tolist() == [2_000_000] * 4
    assert summary["over_assignment"].tolist() == pytest.approx([0, 0.05, 0.05, 0.155])
    assert any("15.5 % more than the plan" in note for note in plan.notes)


def test_a_manager_may_add_another_over_assignment_than_the_level() -> None:
    plan = allocate(team(), 2_000_000, over_assignment={"rep": 0.10, "Moe": 0.0})
    found = amounts(plan)
    assert found["Ann"] == 660_000
    assert found["Ed"] == 500_000
    assert_exact(plan)


def test_a_high_over_assignment_is_noted_with_what_the_field_does() -> None:
    assert any("66 % of firms" in note for note in allocate(team(), 1e6, over_assignment=0.1).notes)
    assert not any("66 %" in note for note in allocate(team(), 1e6, over_assignment=0.05).notes)


def test_pins_stay_to_the_cent_and_the_rest_is_spread_by_weight() -> None:
    plan = allocate(team(), 2_000_000, pins={"Ann": 500_000.01, "South": 900_000})
    found = amounts(plan)
    assert found["Ann"] == 500_000.01
    assert found["South"] == 900_000
    assert found["North"] == 1_100_000
    assert (found["Bo"], found["Cy"]) == (200_000.00, 399_999.99)  # 599,999.99 at 1 : 2, .3̅ and .6̅
    assert found["Ed"] == 562_500  # 250 of 400 of the pinned South
    assert plan.table.set_index("name").loc[["Ann", "South"], "pinned"].all()
    assert_exact(plan)


def test_pins_hold_in_the_layer_that_they_belong_to() -> None:
    asked = allocate(team(), 2_000_000, over_assignment=0.1, pins={"Ann": 700_000})
    base = allocate(team(), 2_000_000, over_assignment=0.1, pins={"Ann": 700_000}, pins_in="base")
    assert amounts(asked, "assigned_amount")["Ann"] == 700_000
    assert amounts(asked, "base_amount")["Ann"] == pytest.approx(700_000 / 1.1**3, abs=0.05)
    assert amounts(base, "base_amount")["Ann"] == 700_000
    assert amounts(base, "assigned_amount")["Ann"] == pytest.approx(700_000 * 1.1**3, abs=0.05)
    assert_exact(asked)
    assert_exact(base)


def test_targets_by_region_add_up_to_the_plan() -> None:
    plan = allocate(team(), {"North": 700_000.07, "South": 300_000}, over_assignment=0.07)
    base = amounts(plan, "base_amount")
    assert (base["Acme"], base["North"], base["South"]) == (1_000_000.07, 700_000.07, 300_000)
    assert amounts(plan)["North"] == pytest.approx(749_000.07, abs=0.01)
    assert_exact(plan)


@pytest.mark.parametrize(
    ("by", "north"),
    [
        ("history", 0.6),
        ("pipeline", 0.6),
        ("headcount", 0.6),
        ("equal", 0.5),
        ({"history": 0.5, "equal": 0.5}, 0.55),
    ],
)
def test_weights(by: Any, north: float) -> None:
    plan = allocate(team(), 1_000_000, by=by)
    assert amounts(plan)["North"] == pytest.approx(north * 1_000_000)
    assert_exact(plan)


def test_a_blend_takes_each_column_relative_to_the_siblings() -> None:
    plan = allocate(team(), 1_000_000, by={"history": 0.75, "pipeline": 0.25})
    # below Mia: history 300 of 600, pipeline 100 of 600
    assert amounts(plan)["Ann"] == pytest.approx(600_000 * (0.75 * 300 / 600 + 0.25 * 100 / 600), abs=0.01)


def test_remainders_go_to_the_largest_and_ties_by_name() -> None:
    trio = pd.DataFrame({"name": ["Z", "c", "a", "b"], "parent": ["", "Z", "Z", "Z"]})
    assert amounts(allocate(Hierarchy.from_table(trio), 1, by="equal")) == {
        "Z": 1,
        "a": 0.34,
        "b": 0.33,
        "c": 0.33,
    }
    assert split(np.array([2, 7]), np.array([1.0, 3.0, 0.0, 2.0]), np.array([0, 0, 1, 1])).tolist() == [
        1,
        1,
        0,
        7,
    ]


def test_amounts_far_beyond_any_company_stay_exact() -> None:
    plan = allocate(team(), LARGEST / 100 / 2, over_assignment=0.1, pins={"Bo": 12_345_678_901.23})
    assert_exact(plan)
    with pytest.raises(PlanError, match="not exact to the cent"):
        allocate(team(), LARGEST / 100, over_assignment=0.1)


def test_a_company_of_one() -> None:
    plan = allocate(Hierarchy.from_table(pd.DataFrame({"name": ["Ann"], "parent": [""]})), 100.0, by="equal")
    assert amounts(plan) == {"Ann": 100.0}
    assert not plan.table["rollup"].any()
    assert trace(plan, "Ann")["rule"].tolist() == ["company plan", "quota"]
    assert_exact(plan)


def test_ten_thousand_reps_in_five_levels_are_exact() -> None:
    rows = [("Company", "", 0.0)]
    for region in range(5):
        rows.append((f"R{region}", "Company", 0.0))
        for district in range(10):
            rows.append((f"R{region} D{district}", f"R{region}", 0.0))
            for manager in range(20):
                head = f"R{region} D{district} M{manager}"
                rows.append((head, f"R{region} D{district}", 0.0))
                rows += [(f"{head} {rep}", head, 100.0 + (7 * rep + manager) % 13) for rep in range(10)]
    node = Hierarchy.from_table(pd.DataFrame(rows, columns=["name", "parent", "history"]))
    plan = allocate(node, 987_654_321.09, over_assignment={1: 0.02, 4: 0.08}, year=2026)
    assert int(node.leaf.sum()) == 10_000
    assert_exact(plan)
    # the reps' quarters add up to a quarter of everything, not only each rep's to its year
    total = int(plan.assigned_cents[node.leaf].sum())
    assert np.abs(plan.quarter_cents[0] - total / 4).max() < 1
    assert plan.summary()["base"].tolist() == [987_654_321.09] * 5


def test_limits_hold_and_the_others_share_the_rest() -> None:
    plan = allocate(
        team(), 2_000_000, limits={"Ann": (None, 500_000), "Bo": (210_000, None), "Ed": (1, 600_000)}
    )
    found = amounts(plan)
    assert (found["Ann"], found["Bo"]) == (500_000, 233_333.33)  # 100,000 freed by Ann lift Bo over the limit
    assert plan.table.set_index("name")["held"].to_dict()["Ann"]
    assert not plan.table.set_index("name")["held"].to_dict()["Bo"]
    assert any("Held at a limit: 'Ann'" in note for note in plan.notes)
    steps = trace(plan, "Ann")
    assert steps["rule"].tolist()[-2:] == ["limit", "quota"]
    assert "'Ann' is held at the highest amount for it, 500,000.00." in steps["sentence"].tolist()
    assert "'Ann' is held at 500,000.00; 700,000.00 are left" in trace(plan, "Bo")["sentence"].iloc[-3]
    free = differences(allocate(team(), 2_000_000), plan).set_index("rep")["reason"]
    assert "held at a limit" in free["Ann"]
    assert "(limits)" in free["Bo"]
    low = allocate(team(), 2_000_000, limits={"Bo": (400_000, None)}, pins_in="base", over_assignment=0.1)
    assert amounts(low, "base_amount")["Bo"] == 400_000
    assert "of the plan; with over-assignment" in trace(low, "Bo")["sentence"].iloc[-2]
    assert_exact(plan)
    assert_exact(low)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"Di": (500_000, None), "Ed": (400_000, None)}, "pins and limits below 'Moe' cannot fit"),
        ({"Di": (None, 100_000), "Ed": (None, 100_000)}, "pins and limits below 'Moe' do not add up"),
        ({"Ann": (2, 1)}, "the lowest must not exceed the highest"),
        ({"Ann": 5}, "a lowest and a highest amount are wanted"),
        ({"Ann": (float("nan"), None)}, "lowest amount of 'Ann' is nan"),
        ({"Cy": (1, 2)}, "'Cy' has a target or a pin already"),
        ({"Zoe": (1, 2)}, "nobody named 'Zoe'"),
    ],
)
def test_limits_that_cannot_be_are_refused(limits: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        allocate(team(), 2_000_000, limits=limits, pins={"Cy": 1.0})


# --- the cascade, by properties -----------------------------------------------------------------------------


@st.composite
def trees(draw: st.DrawFn, *, most: int = 25) -> pd.DataFrame:
    size = draw(st.integers(1, most))
    parents = [-1, *(draw(st.integers(0, at - 1)) for at in range(1, size))]
    names = [f"n{draw(st.integers(0, 9))}-{at}" for at in range(size)]
    return pd.DataFrame(
        {
            "name": names,
            "parent": [names[up] if up >= 0 else "" for up in parents],
            "history": [float(draw(st.integers(1, 1000))) for _ in range(size)],
        }
    )


targets = st.integers(1, 10**12).map(lambda cents: cents / 100)
over = st.sampled_from([0.0, 0.05, 0.1, 0.333])


@QUICK
@given(
    table=trees(),
    target=targets,
    added=over,
    shares=st.sampled_from([(0.25,) * 4, (0.1, 0.2, 0.3, 0.4), (0, 1, 0, 0)]),
)
def test_sums_are_exact_on_any_tree(table: pd.DataFrame, target: float, added: float, shares: Any) -> None:
    plan = allocate(Hierarchy.from_table(table), target, over_assignment=added, quarter_shares=shares)
    assert_exact(plan)
    for name in table["name"]:
        found = trace(plan, name)
        assert found["cents"].iloc[-1] == plan.table.set_index("name").loc[name, "quota_cents"]


@QUICK
@given(table=trees(), target=targets)
def test_the_base_layer_agrees_with_fractions(table: pd.DataFrame, target: float) -> None:
    node = Hierarchy.from_table(table)
    expected: dict[str, int] = {}
    weight: dict[str, Fraction] = {}
    below = {name: sorted(table.loc[table["parent"] == name, "name"]) for name in table["name"]}
    own = dict(zip(table["name"], table["history"], strict=True))

    def weigh(name: str) -> Fraction:
        weight[name] = (
            sum((weigh(child) for child in below[name]), Fraction(0)) if below[name] else Fraction(own[name])
        )
        return weight[name]

    def hand_down(name: str, cents: int) -> None:
        expected[name] = cents
        exact = {child: cents * weight[child] / weight[name] for child in below[name]}
        whole = {child: int(value) for child, value in exact.items()}
        left = cents - sum(whole.values())
        ranked = sorted(below[name], key=lambda child: (whole[child] - exact[child], child))
        for child in below[name]:
            hand_down(child, whole[child] + (child in ranked[:left]))

    weigh(node.names[0])
    hand_down(node.names[0], to_cents(target, what="target")[0])
    plan = allocate(node, target)
    found = dict(zip(plan.table["name"], plan.table["base_cents"], strict=True))
    if target < 1e7:  # beyond, doubles may break a tie of remainders another way
        assert found == expected
    assert max(abs(found[name] - expected[name]) for name in expected) <= node.levels


@QUICK
@given(table=trees(), target=targets, added=over, shuffled=st.randoms(use_true_random=False))
def test_the_order_of_the_rows_changes_nothing(
    table: pd.DataFrame, target: float, added: float, shuffled: Any
) -> None:
    order = list(range(len(table)))
    shuffled.shuffle(order)
    first = allocate(Hierarchy.from_table(table), target, over_assignment=added)
    second = allocate(Hierarchy.from_table(table.iloc[order]), target, over_assignment=added)
    pd.testing.assert_frame_equal(first.table, second.table)
    pd.testing.assert_frame_equal(first.by_quarter, second.by_quarter)


@QUICK
@given(table=trees(), target=targets, factor=st.integers(2, 9))
def test_scaling_the_plan_scales_the_base_within_a_cent_per_level(
    table: pd.DataFrame, target: float, factor: int
) -> None:
    node = Hierarchy.from_table(table)
    small, large = allocate(node, target), allocate(node, target * factor)
    off = large.base_cents - factor * small.base_cents
    # each level rounds by less than a cent, the smaller one's cents count factor times
    assert np.abs(off).max() <= (factor + 1) * node.levels


@QUICK
@given(
    data=st.data(),
    table=trees(),
    target=st.integers(10**6, 10**9).map(lambda cents: cents / 100),
    added=over,
    layer=st.sampled_from(["assigned", "base"]),
)
def test_pins_that_fit_stay_and_others_are_refused_with_the_excess(
    data: st.DataObject, table: pd.DataFrame, target: float, added: float, layer: Any
) -> None:
    node = Hierarchy.from_table(table)
    names = list(node.names[1:])
    chosen = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=4)) if names else []
    free = allocate(node, target, over_assignment=added)
    column = "assigned_cents" if layer == "assigned" else "base_cents"
    now = dict(zip(free.table["name"], free.table[column], strict=True))
    pins = {
        name: round(now[name] * data.draw(st.sampled_from([0.0, 0.5, 0.9, 1.0, 1.1]))) / 100
        for name in chosen
    }
    try:
        plan = allocate(node, target, over_assignment=added, pins=pins, pins_in=layer)
    except PlanError as refusal:
        refused = str(refusal)
    else:
        refused = ""
    if refused:
        assert any(
            word in refused for word in ("the excess is", "nobody is free to take them", "cannot be shared")
        )
        return
    kept = dict(zip(plan.table["name"], plan.table[column], strict=True))
    assert {name: kept[name] for name in pins} == {name: round(value * 100) for name, value in pins.items()}
    assert_exact(plan)
    for name in table["name"]:
        assert trace(plan, name)["cents"].iloc[-1] == plan.table.set_index("name").loc[name, "quota_cents"]


@QUICK
@given(
    weights=st.lists(st.integers(1, 100), min_size=2, max_size=9),
    widths=st.lists(st.sampled_from([0, 1, 50_000, 500_000, None]), min_size=9, max_size=9),
    added=over,
)
def test_everybody_stays_inside_limits_that_can_be_met(
    weights: list[int], widths: list[int | None], added: float
) -> None:
    names = [f"rep {at}" for at in range(len(weights))]
    node = Hierarchy.from_table(
        pd.DataFrame(
            {"name": ["Acme", *names], "parent": ["", *["Acme"] * len(names)], "history": [1, *weights]}
        )
    )
    # limits around another allocation of the same plan, which shows that they can be met
    other = amounts(allocate(node, 54_321.09, over_assignment=added, by="equal"))
    limits: Any = {
        name: (max(round(other[name] - width / 100, 2), 0.0), round(other[name] + width / 100, 2))
        for name, width in zip(names, widths, strict=False)
        if width is not None
    }
    plan = allocate(node, 54_321.09, over_assignment=added, limits=limits)
    found = amounts(plan)
    assert all(low <= found[name] <= high for name, (low, high) in limits.items())
    assert_exact(plan)
    for name in names:
        assert trace(plan, name)["amount"].iloc[-1] == found[name]


@QUICK
@given(
    data=st.data(),
    table=trees(most=18),
    freed=st.sampled_from(["gap", "team", "company"]),
    seats=st.sampled_from(["carry", "gap", "team", "company"]),
)
def test_the_year_is_exact_whoever_comes_goes_or_is_not_there(
    data: st.DataObject, table: pd.DataFrame, freed: Any, seats: Any
) -> None:
    size = len(table)
    days = st.sampled_from([None, "2025-05-01", "2026-02-15", "2026-07-01", "2027-01-01"])
    starts = data.draw(st.lists(days, min_size=size, max_size=size))
    ends = data.draw(
        st.lists(st.sampled_from([None, None, "2026-03-31", "2026-10-10"]), min_size=size, max_size=size)
    )
    ends = [None if start and end and end < start else end for start, end in zip(starts, ends, strict=True)]
    vacant = data.draw(st.lists(st.booleans(), min_size=size, max_size=size))
    node = Hierarchy.from_table(table.assign(start=starts, end=ends, open_seat=vacant))
    relief = Relief(by_month=(0.0, 0.25, 0.5, 0.75), leads_first_months=1, qualified_leads_per_month=6)
    plan = allocate(
        node,
        1_234_567.89,
        over_assignment=0.07,
        year=2026,
        relief=relief,
        freed=freed,
        open_seats=seats,
        quarter_shares={node.names[0]: (0.2, 0.2, 0.2, 0.4), node.names[-1]: (0.4, 0.3, 0.2, 0.1)},
    )
    assert_exact(plan)
    if freed == "gap" and seats == "carry":
        assert (plan.taken_over_cents == 0).all()
    if seats != "carry":
        empty = node.leaf & node.open_seat
        assert (plan.quarter_cents[empty] == 0).all()
    # by quarter, nothing is taken over that was not taken off
    given_away = plan.relieved_cents.sum(axis=0) - plan.taken_over_cents.sum(axis=0)
    assert (given_away >= 0).all()
    for name in table["name"]:
        for period in (None, *plan.periods):
            steps = trace(plan, name, period=period)
            at = node.position(name)
            expected = (
                plan.table["quota_cents"][at]
                if period is None
                else plan.quarter_cents[at, plan.periods.index(period)]
            )
            assert steps["cents"].iloc[-1] == expected
            assert (steps["sentence"].str.len() > 10).all()


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (float("nan"), "target of 'Acme' is nan; it must be an amount above zero"),
        (-5.0, "target of 'Acme' is -5.0; it must be"),
        (0, "target of 'Acme' is 0; it must be"),
        (0.001, "target of 'Acme' is 0.001; it must be an amount above zero, at least 0.01"),
        (None, "target of 'Acme' is missing; it must be"),
        ("much", "target of 'Acme' is 'much'"),
        (True, "target of 'Acme' is True"),
        (float("inf"), "target of 'Acme' is inf"),
        ({"North": 1.0}, "missing 'South'"),
        ({"North": 1.0, "South": float("nan")}, "target of 'South' is nan"),
        ({"North": 1.0, "South": 1.0, "East": 1.0}, "not wanted 'East'"),
    ],
)
def test_targets_that_are_none_are_refused_with_their_name(target: Any, message: str) -> None:
    with pytest.raises(PlanError) as refused:
        allocate(team(), target)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("pins", "message"),
    [
        ({"Ann": 900_000, "Bo": 400_000}, "pins below 'Mia' cannot fit: 'Ann', 'Bo' ask for EUR "
         "1,300,000.00, 'Mia' hands out EUR 1,200,000.00; the excess is EUR 100,000.00"),
        ({"Di": 300_000, "Ed": 400_000}, "pins below 'Moe' do not add up: 'Di', 'Ed' ask for EUR 700,000.00, "
         "'Moe' hands out EUR 800,000.00; EUR 100,000.00 are left and nobody is free"),
        ({"Moe": 800_000.01}, "the excess is EUR 0.01"),
        ({"North": 500_000, "Mia": 400_000}, "pins below 'North' do not add up"),
        ({"Zoe": 1}, "nobody named 'Zoe'"),
        ({"Acme": 1}, "'Acme' carries a target already"),
        ({"Ann": float("nan")}, "pin of 'Ann' is nan"),
        ({"Ann": -1}, "pin of 'Ann' is -1"),
    ],
)  # fmt: skip
def test_pins_that_cannot_be_are_refused(pins: dict[str, float], message: str) -> None:
    with pytest.raises(PlanError) as refused:
        allocate(team(), 2_000_000, pins=pins, currency="EUR")
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"by": "revenue"},
            "by names 'revenue'; the hierarchy has 'history', 'pipeline', 'headcount', 'equal'",
        ),
        ({"by": {"history": 0.5, "pipeline": 0.4}}, "add up to 0.9"),
        ({"by": {"history": 1.5, "pipeline": -0.5}}, "share of 'history' is 1.5"),
        ({"over_assignment": 5}, "write 0.05"),
        ({"over_assignment": {0: 0.1}}, "a level from 1 to 3"),
        ({"over_assignment": {"Ann": 0.1}}, "over_assignment names 'Ann'"),
        ({"over_assignment": -0.1}, "is -0.1"),
        ({"quarter_shares": (0.5, 0.5, 0.5, -0.5)}, "quarter_shares of 'Acme'"),
        ({"quarter_shares": {"Zoe": (0.25,) * 4}}, "nobody named 'Zoe'"),
        ({"quarter_shares": (1.0,)}, "four shares"),
        ({"missing": "guess"}, "allowed: 'refuse', 'equal', 'zero'"),
        ({"freed": "others"}, "allowed: 'gap', 'team', 'company'"),
        ({"open_seats": "hide"}, "allowed: 'carry', 'gap'"),
        ({"pins_in": "both"}, "allowed: 'assigned', 'base'"),
        ({"year": 26}, "year is 26"),
        ({"fiscal_year_starts_in_month": 13}, "between 1 and 12"),
    ],
)
def test_settings_that_mean_nothing_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as refused:
        allocate(team(), 1_000_000, **options)
    assert message in str(refused.value)


def test_missing_and_zero_weights_are_never_passed_over_in_silence() -> None:
    holes = team(history=only({"Ann": 300.0, "Bo": 0.0, "Di": 150.0, "Ed": 250.0}))
    with pytest.raises(PlanError, match=r"no history for 'Bo' \(zero\), 'Cy' \(missing\)"):
        allocate(holes, 1_000_000)
    alike = allocate(holes, 1_300_000, missing="equal")
    assert amounts(alike)["Bo"] == amounts(alike)["Cy"] == amounts(alike)["Ann"] == 300_000
    assert any("No or zero history for 'Bo', 'Cy'" in note for note in alike.notes)
    nothing = allocate(holes, 700_000, missing="zero")
    assert (amounts(nothing)["Ann"], amounts(nothing)["Bo"], amounts(nothing)["Cy"]) == (300_000, 0, 0)
    assert any("counted as zero" in note for note in nothing.notes)
    assert_exact(alike)
    assert_exact(nothing)


def test_a_team_without_any_weight_counts_with_the_mean_of_the_others_or_is_refused() -> None:
    holes = team(history=only({"Di": 150.0, "Ed": 250.0}))
    plan = allocate(holes, 800_000, missing="equal")
    assert amounts(plan)["North"] == amounts(plan)["South"] == 400_000
    assert amounts(plan)["Ann"] == pytest.approx(400_000 / 3, abs=0.01)
    assert amounts(allocate(holes, 800_000, missing="zero"))["North"] == 0
    with pytest.raises(PlanError, match="weights below 'North' are all zero"):
        allocate(holes, 800_000, missing="zero", pins={"North": 100_000})
    nobody = allocate(team(history=only({})), 800_000, missing="equal")
    assert amounts(nobody)["Ed"] == 200_000


def test_a_pinned_rep_needs_no_weight_and_managers_own_figures_are_not_used() -> None:
    hole = team(history=only({"Mia": 999.0, "Ann": None, "Bo": 100.0, "Cy": 200.0, "Di": 150.0, "Ed": 150.0}))
    plan = allocate(hole, 600_000, pins={"Ann": 10_000})
    assert amounts(plan)["Ann"] == 10_000
    assert any("No or zero history for 'Ann', pinned" in note for note in plan.notes)
    assert any("history stated for 'Mia'" in note and "not used" in note for note in plan.notes)


def test_negative_weights_are_refused_with_names() -> None:
    with pytest.raises(PlanError, match="history is negative for 'Bo'"):
        allocate(team(history=only({"Bo": -1.0}, 5.0)), 1_000_000)


def test_amounts_are_read_to_the_cent_and_rounding_is_noted() -> None:
    assert any("rounded from 1000.125 to 1,000.13" in note for note in allocate(team(), 1000.125).notes)
    assert allocate(team(), 0.1 + 0.2).notes == allocate(team(), 0.3).notes
    assert money_text(-123456, "EUR") == "EUR -1,234.56"


# --- the tree -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("A", ""), ("B", "A"), ("B", "A")], "row 4: name 'B' already stands in row 3"),
        ([("A", ""), ("", "A")], "row 3: name is blank"),
        ([("A", ""), ("B", "X")], "row 3: parent 'X' of 'B' is no name in the table"),
        ([("A", ""), ("B", "")], "2 rows have no parent ('A', 'B', rows 2, 3)"),
        ([("A", ""), ("B", "D"), ("C", "B"), ("D", "C")],
         "row 3: a cycle, each reporting to the next: 'B' → 'D' → 'C' → 'B'"),
        ([("A", "A")], "row 2: a cycle, each reporting to the next: 'A' → 'A'"),
        ([("A", ""), ("B", "C"), ("C", "C")], "row 4: a cycle"),
        ([], "no rows"),
    ],
)  # fmt: skip
def test_tables_that_are_no_tree_are_refused_with_the_row(rows: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(PlanError) as refused:
        Hierarchy.from_table(pd.DataFrame(rows, columns=["name", "parent"]), source="team.csv")
    assert message in str(refused.value)
    assert str(refused.value).startswith("team.csv: ")


def test_a_file_is_read_with_its_faults_by_row_and_column(tmp_path: Path) -> None:
    path = tmp_path / "team.csv"
    path.write_text(
        "Name;Parent;history;open_seat;start;end\nAcme;;;;;\nAnn;Acme;100.5;;2026-02-01;\nBo;Acme;;yes;;\n",
        encoding="utf-8",
    )
    node = Hierarchy.read(path)
    assert node.names == ("Acme", "Ann", "Bo")
    assert node.open_seat.tolist() == [False, False, True]
    assert str(node.start[1]) == "2026-02-01"
    assert np.isnan(node.weights["history"][2])
    path.write_text(
        "name,parent,history,open_seat,start,end\nAcme,,,,,\nAnn,Acme,1;5,,2026-02-30,\n"
        "Bo,Acme,nan,perhaps,2026-05-01,2026-04-01\n",
        encoding="utf-8",
    )
    with pytest.raises(PlanError) as refused:
        Hierarchy.read(path)
    for text in (
        "team.csv: row 3: start is '2026-02-30'; allowed: a date such as 2026-01-31, or blank",
        "team.csv: row 3: history is '1;5'; allowed: a number",
        "team.csv: row 4: history is 'nan'",
        "team.csv: row 4: open_seat is 'perhaps'; allowed: true or false",
        "team.csv: row 4: 'Bo' ends on 2026-04-01, before the start on 2026-05-01",
    ):
        assert text in str(refused.value)
    path.write_text("name,boss\nAcme,\n", encoding="utf-8")
    with pytest.raises(DataError, match="the header lacks 'parent'"):
        Hierarchy.read(path)
    path.write_text("name,parent\nAcme\n", encoding="utf-8")
    with pytest.raises(DataError, match="row 2: 1 field instead of 2"):
        Hierarchy.read(path)
    with pytest.raises(DataError, match="cannot be read"):
        Hierarchy.read(tmp_path / "none.csv")


def test_one_row_per_rep_makes_the_same_tree() -> None:
    reps = pd.DataFrame(
        {
            "region": ["North"] * 3 + ["South"] * 2,
            "manager": ["Mia"] * 3 + ["Moe"] * 2,
            "rep": ["Ann", "Bo", "Cy", "Di", "Ed"],
            "history": [300.0, 100.0, 200.0, 150.0, 250.0],
        }
    )
    node = Hierarchy.from_paths(reps, levels=["region", "manager", "rep"], company="Acme")
    assert node.level_names == ("company", "region", "manager", "rep")
    assert amounts(allocate(node, 2_000_000)) == amounts(allocate(team(), 2_000_000))
    jagged = reps.assign(manager=["Mia", "Mia", "", "Moe", "Moe"])
    short = Hierarchy.from_paths(jagged, levels=["region", "manager", "rep"], company="Acme")
    assert short.names[short.parent[short.position("Cy")]] == "North"
    assert_exact(allocate(short, 1_000_000.01, over_assignment=0.1))
    twice = reps.assign(manager="Mia")
    with pytest.raises(
        PlanError, match="manager 'Mia' under 'South' is already the manager under 'North' of row 2"
    ):
        Hierarchy.from_paths(twice, levels=["region", "manager", "rep"])
    with pytest.raises(PlanError, match="lacks the columns 'boss'"):
        Hierarchy.from_paths(reps, levels=["boss", "rep"])


def test_level_names_may_be_given() -> None:
    node = Hierarchy.from_table(TEAM.drop(columns="role"), level_names=["world", "area", "team", "seller"])
    assert amounts(allocate(node, 1_000_000, over_assignment={"seller": 0.1}))["Ann"] == 330_000
    with pytest.raises(PlanError, match="the hierarchy has 4 levels"):
        Hierarchy.from_table(TEAM, level_names=["world"])


# --- the year -----------------------------------------------------------------------------------------------

HALF = Relief(by_month=(0.0, 0.0, 0.0, 0.5, 0.5, 0.5), leads_first_months=2, qualified_leads_per_month=8)


def test_quarters_follow_the_season_of_the_nearest_node() -> None:
    plan = allocate(
        team(),
        2_000_000,
        year=2026,
        quarter_shares={"Acme": (0.1, 0.2, 0.3, 0.4), "South": (0.4, 0.3, 0.2, 0.1)},
    )
    assert quarters(plan, "Ann") == [60_000, 120_000, 180_000, 240_000]
    assert quarters(plan, "Ed") == [200_000, 150_000, 100_000, 50_000]
    assert quarters(plan, "Acme") == [
        120_000 + 320_000,
        240_000 + 240_000,
        360_000 + 160_000,
        480_000 + 80_000,
    ]
    assert plan.periods == ("2026Q1", "2026Q2", "2026Q3", "2026Q4")


def test_newcomers_bring_leads_first_and_revenue_later_and_the_gap_is_stated() -> None:
    plan = allocate(
        team(start=only({"Ann": "2026-01-01"})), 2_000_000, year=2026, relief=HALF, currency="EUR"
    )
    assert quarters(plan, "Ann") == [0, 75_000, 150_000, 150_000]  # 600,000: nothing, half, full, full
    assert quarters(plan, "Ann", "qualified_leads") == [16, 0, 0, 0]
    assert quarters(plan, "Bo") == [50_000] * 4
    found = plan.table.set_index("name")
    assert found.loc["Ann", ["assigned_amount", "relieved_amount", "quota"]].tolist() == [
        600_000,
        225_000,
        375_000,
    ]
    assert found.loc["Mia", ["quota", "people_quota"]].tolist() == [1_200_000, 975_000]
    assert any("A gap of EUR 225,000.00 is carried by nobody" in note for note in plan.notes)


def test_relief_is_spread_among_the_others_of_the_team_or_the_company() -> None:
    node = team(start=only({"Ann": "2026-01-01"}))
    mates = allocate(node, 2_000_000, year=2026, relief=HALF, freed="team")
    assert quarters(mates, "Bo") == [100_000, 75_000, 50_000, 50_000]  # a third of 150,000 and of 75,000
    assert quarters(mates, "Ed") == [125_000] * 4
    assert mates.table["people_quota"].iloc[0] == 2_000_000
    everybody = allocate(node, 2_000_000, year=2026, relief=HALF, freed="company")
    assert quarters(everybody, "Ed")[0] == pytest.approx(125_000 + 150_000 * 125 / 350, abs=0.01)
    assert everybody.table["people_quota"].iloc[0] == 2_000_000
    assert not any("gap" in note for note in everybody.notes)


def test_where_nobody_can_take_over_the_gap_stays_stated() -> None:
    new = only({"Di": "2026-01-01", "Ed": "2026-01-01"})
    plan = allocate(team(start=new), 2_000_000, year=2026, relief=HALF, freed="team")
    assert plan.table.set_index("name").loc["Moe", "people_quota"] == 800_000 - 300_000
    assert any("A gap of 300,000.00" in note for note in plan.notes)


def test_nothing_enters_or_leaves_the_people_of_a_pinned_manager() -> None:
    node = team(start=only({"Ann": "2026-01-01"}))
    plan = allocate(node, 2_000_000, year=2026, relief=HALF, freed="company", pins={"Mia": 1_200_000})
    assert quarters(plan, "Ed") == [125_000] * 4
    assert plan.table.set_index("name").loc["Mia", "people_quota"] == 1_200_000


def test_leavers_have_quotas_while_they_are_there() -> None:
    node = team(end=only({"Ann": "2026-06-30", "Bo": "2025-12-31"}))
    plan = allocate(node, 2_000_000, year=2026)
    assert quarters(plan, "Ann") == [150_000, 150_000, 0, 0]
    assert quarters(plan, "Bo") == [0, 0, 0, 0]
    assert any("'Bo' has no quota in any quarter of 2026" in note for note in plan.notes)
    assert "Bo" not in plan.quotas()["rep"].tolist()


def test_days_count_in_the_month_of_a_start_and_the_fiscal_year_may_begin_later() -> None:
    node = team(start=only({"Ann": "2026-01-11"}))
    plan = allocate(node, 2_000_000, year=2026)
    assert quarters(plan, "Ann")[0] == pytest.approx(150_000 * (21 / 31 + 2) / 3, abs=0.01)
    april = allocate(
        team(start=only({"Ann": "2025-07-01"})), 2_000_000, year=2026, fiscal_year_starts_in_month=4
    )
    assert quarters(april, "Ann") == [0, 150_000, 150_000, 150_000]


def test_open_seats_carry_a_quota_that_is_stated_or_spread() -> None:
    node = team(open_seat=only({"Cy": True}))
    plan = allocate(node, 2_000_000, year=2026, currency="EUR")
    assert amounts(plan)["Cy"] == 400_000
    assert any(
        "Open seats (1: 'Cy') carry EUR 400,000.00 that nobody works on yet" in note for note in plan.notes
    )
    spread = allocate(node, 2_000_000, year=2026, open_seats="team")
    assert (amounts(spread)["Ann"], amounts(spread)["Bo"], amounts(spread)["Cy"]) == (900_000, 300_000, 0)
    left = allocate(node, 2_000_000, year=2026, open_seats="gap")
    assert left.table["people_quota"].iloc[0] == 1_600_000


def test_a_pinned_newcomer_keeps_the_pin_in_the_quarters_with_a_quota() -> None:
    node = team(start=only({"Ann": "2026-07-01"}))
    plan = allocate(node, 2_000_000, year=2026, pins={"Ann": 123_456.78}, freed="team")
    assert quarters(plan, "Ann") == [0, 0, 61_728.39, 61_728.39]
    assert amounts(plan)["Ann"] == 123_456.78
    with pytest.raises(PlanError, match="'Ann' carries no quota in any quarter"):
        allocate(node, 2_000_000, year=2025, pins={"Ann": 123_456.78})


def test_dates_need_a_year() -> None:
    with pytest.raises(PlanError, match="state the year: the hierarchy has start or end dates of 'Ann'"):
        allocate(team(start=only({"Ann": "2026-07-01"})), 2_000_000)
    with pytest.raises(PlanError, match="state the year"):
        allocate(team(), 2_000_000).to_csv()


def test_quotas_go_out_as_a_file_and_into_a_quota_plan() -> None:
    plan = allocate(team(), 1_000_000.01, year=2026)
    text = plan.to_csv()
    assert text.startswith("rep,period,quota\nAnn,2026Q1,")
    back = pd.read_csv(StringIO(text))
    assert round(back["quota"].sum() * 100) == 100_000_001
    assert (differences(plan, back, by_period=True)["status"] == "same").all()
    own = QuotaPlan(name="allocated", annual_quota=1.0, quotas_by_rep=plan.quotas_by_rep())
    assert sum(own.quotas_by_rep["Ann"].values()) == pytest.approx(amounts(plan)["Ann"])


def test_the_importer_reads_allocated_quotas_of_the_example_company(tmp_path: Path) -> None:
    for name, text in example_export().items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    reps = pd.read_csv(tmp_path / "reps.csv").query("role == 'account executive'").assign(end=None)
    node = Hierarchy.from_paths(reps, levels=["region", "manager", "rep"])
    plan = allocate(node, 4_000_000, by="equal", over_assignment={"rep": 0.1}, year=2026, freed="team")
    (tmp_path / "quotas.csv").write_text(plan.to_csv(), encoding="utf-8")
    read_back = read(tmp_path).quotas[["rep", "period", "quota"]]
    compared = differences(plan, read_back, by_period=True)
    assert len(compared) > 30
    assert (compared["status"] == "same").all()


def test_relief_without_start_dates_is_noted() -> None:
    assert any("applies to nobody" in note for note in allocate(team(), 1e6, year=2026, relief=HALF).notes)


def test_everybody_may_have_a_start_date_and_only_newcomers_are_relieved() -> None:
    plan = allocate(
        team(start=only({"Ann": "2026-01-01", "Bo": "2025-07-01", "Cy": "2025-08-01"}, "2012-03-04")),
        2_000_000,
        year=2026,
        relief=HALF,
    )
    assert quarters(plan, "Bo") == [50_000] * 4  # month 7 of the tenure is the first full one
    assert quarters(plan, "Cy")[0] == pytest.approx(100_000 * (0.5 + 2) / 3, abs=0.01)
    assert quarters(plan, "Ed") == [125_000] * 4


# --- explaining ---------------------------------------------------------------------------------------------


def test_the_trace_tells_every_step() -> None:
    node = team(start=only({"Bo": "2026-04-01"}))
    plan = allocate(
        node,
        2_000_000,
        year=2026,
        over_assignment={"rep": 0.1},
        pins={"Cy": 440_000},
        freed="team",
        currency="EUR",
    )
    steps = trace(plan, "Ann")
    assert steps["rule"].tolist() == [
        "company plan", "share", "share", "over-assignment", "pins", "share", "taken over", "quota",
    ]  # fmt: skip
    assert steps["amount"].tolist() == [
        2_000_000, 1_200_000, 1_200_000, 1_320_000, 880_000, 660_000, 715_000, 715_000,
    ]  # fmt: skip
    assert steps["step"].tolist() == list(range(1, 9))
    assert (
        steps["sentence"].iloc[1]
        == "'North' has 600 of the 1,000 history under 'Acme': 60.0 %, EUR 1,200,000.00."
    )
    assert steps["sentence"].iloc[4] == (
        "'Cy' is pinned at EUR 440,000.00; EUR 880,000.00 are left for the others."
    )
    assert steps["sentence"].iloc[-1] == "The quota of 'Ann' for 2026 is EUR 715,000.00."
    first = trace(plan, "Bo", period="2026Q1")
    assert first["rule"].tolist()[-3:] == ["quarter", "relief", "quota"]
    assert first["amount"].tolist()[-3:] == [55_000, 0, 0]
    assert trace(plan, "Cy")["rule"].tolist()[-2:] == ["pin", "quota"]
    assert trace(plan, "Mia")["amount"].iloc[-1] == 1_200_000
    assert trace(plan, "Mia", period="2026Q1")["rule"].tolist()[-2:] == ["roll-up", "quota"]


def test_the_trace_names_targets_open_seats_blends_and_pins_of_the_base_layer() -> None:
    node = team(open_seat=only({"Cy": True}))
    plan = allocate(
        node, {"North": 1_200_000, "South": 800_000}, by={"history": 0.5, "pipeline": 0.5},
        pins={"Ed": 400_000}, pins_in="base", over_assignment={"rep": 0.1}, open_seats="gap",
    )  # fmt: skip
    assert trace(plan, "Cy")["rule"].tolist() == [
        "company plan", "target", "share", "over-assignment", "share", "open seat", "quota",
    ]  # fmt: skip
    assert (
        "300 of the 600 history (counting 50 %), 100 of the 600 pipeline (counting 50 %) under 'Mia'"
        in trace(plan, "Ann")["sentence"].iloc[4]
    )
    pin = trace(plan, "Ed")
    assert (
        "pinned at 400,000.00 of the plan; with over-assignment that is 440,000.00"
        in pin["sentence"].iloc[-2]
    )
    with pytest.raises(PlanError, match="nobody named 'Zoe'"):
        trace(plan, "Zoe")
    with pytest.raises(PlanError, match="period is '2026Q1'; the allocation has 'Q1'"):
        trace(plan, "Ed", period="2026Q1")


def test_differences_reconcile_and_name_their_reasons() -> None:
    before = allocate(team(), 2_000_000, year=2026)
    moved = TEAM.assign(parent=[*TEAM["parent"][:-2], "Mia", "Moe"]).query("name != 'Cy'")
    moved = pd.concat([moved, pd.DataFrame([("Flo", "Moe", "rep", 200.0, 1.0)], columns=TEAM.columns)])
    after = allocate(
        Hierarchy.from_table(moved),
        2_200_000,
        year=2026,
        over_assignment={"rep": 0.05},
        pins={"Ann": 640_000},
    )
    found = differences(before, after)
    assert found["change"].sum() == pytest.approx(after.table["people_quota"].iloc[0] - 2_000_000, abs=0.001)
    rows = found.set_index("rep")
    assert rows.loc["Cy", ["status", "change"]].tolist() == ["removed", -400_000]
    assert rows.loc["Flo", "status"] == "added"
    assert np.isnan(rows.loc["Flo", "old_quota"])
    assert "pinned at 640,000.00" in rows.loc["Ann", "reason"]
    assert rows.loc["Ann", "change_share"] == pytest.approx(40 / 600)
    assert "plan 2,000,000.00 → 2,200,000.00" in rows.loc["Bo", "reason"]
    assert "over-assignment 0.0 % → 5.0 %" in rows.loc["Bo", "reason"]
    assert "reports to 'Mia' (was 'Moe')" in rows.loc["Di", "reason"]
    assert found["change"].abs().is_monotonic_decreasing


def test_differences_tell_weights_pins_of_others_and_relief_apart() -> None:
    old = allocate(team(), 2_000_000, year=2026)
    weights = allocate(
        team(history=only({"Ann": 400.0, "Bo": 100.0, "Cy": 200.0, "Di": 150.0, "Ed": 250.0})), 2e6, year=2026
    )
    reasons = differences(old, weights).set_index("rep")["reason"]
    assert "(history 300 → 400)" in reasons["Ann"]
    assert "(weights of others)" in reasons["Ed"]
    pinned = differences(old, allocate(team(), 2_000_000, year=2026, pins={"Ann": 1.0})).set_index("rep")
    assert "(pins of others)" in pinned.loc["Bo", "reason"]
    assert pinned.loc["Ed", "reason"] == ""
    ramp = allocate(team(start=only({"Ann": "2026-07-01"})), 2_000_000, year=2026, freed="team")
    relief = differences(old, ramp).set_index("rep")["reason"]
    assert relief["Ann"] == "relief 0.00 → 300,000.00"
    assert relief["Bo"] == "taken over from others 0.00 → 100,000.00"
    assert (
        "(by pipeline instead of history)"
        in differences(old, allocate(team(), 2e6, by="pipeline"))["reason"].iloc[0]
    )
    dropped = differences(allocate(team(), 2e6, pins={"Ann": 1.0}), allocate(team(), 2e6)).set_index("rep")
    assert "pin dropped" in dropped.loc["Ann", "reason"]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"rep": ["Ann"], "amount": [1.0]}), "after: the table lacks the columns 'quota'"),
        (pd.DataFrame({"rep": ["Ann"], "quota": [np.nan]}), "after: the quota of 'Ann' is missing"),
        (pd.DataFrame({"rep": ["Ann"], "quota": [-1.0]}), "after: the quota of 'Ann' is missing, negative"),
        (
            pd.DataFrame({"rep": ["Ann", "Ann"], "quota": [1.0, 2.0]}),
            "more than one quota in a period for 'Ann'",
        ),
    ],
)
def test_quota_tables_with_faults_are_refused(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        differences(allocate(team(), 1_000_000), table)


# --- bottom-up ----------------------------------------------------------------------------------------------


def test_potentials_roll_up_with_ranges() -> None:
    reps = pd.DataFrame(
        {"rep": ["Ann", "Bo", "Cy", "Di", "Ed"], "potential": [10.0, 20, 30, 40, 50],
         "low": [7.0, 16, 30, 40, 50], "high": [13.0, 24, 30, 40, 50]}
    )  # fmt: skip
    shared = roll_up(team(), reps).set_index("name")
    assert shared.loc["Mia", ["potential", "low", "high"]].tolist() == [60, 53, 67]
    own = roll_up(team(), reps, luck="own").set_index("name")
    assert own.loc["Mia", ["potential", "low", "high"]].tolist() == [60, 55, 65]  # 3 and 4 make 5
    assert shared.loc["Acme", "potential"] == 150
    assert np.isnan(roll_up(team(), "history").loc[0, "low"])
    assert roll_up(team(), dict(zip(reps["rep"], reps["potential"], strict=True)))["potential"].iloc[0] == 150


@pytest.mark.parametrize(
    ("potential", "message"),
    [
        ({"Ann": 1.0}, "missing for 'Bo', 'Cy', 'Di', 'Ed'"),
        ({"Ann": 1.0, "Bo": 1.0, "Cy": 1.0, "Di": 1.0, "Ed": float("nan")},
         "potential is missing, negative or no number for 'Ed'"),
        ({"Ann": 1.0, "Bo": 1.0, "Cy": 1.0, "Di": 1.0, "Ed": 1.0, "Mia": 1.0}, "not among the leaves 'Mia'"),
        ("guess", "potential names 'guess'"),
        (pd.DataFrame({"rep": ["Ann"], "potential": [1.0], "low": [1.0]}), "both of low and high or neither"),
    ],
)  # fmt: skip
def test_potentials_with_faults_are_refused(potential: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        roll_up(team(), potential)


def test_a_range_must_hold_its_middle() -> None:
    reps = pd.DataFrame(
        {"rep": ["Ann", "Bo", "Cy", "Di", "Ed"], "potential": 10.0, "low": 11.0, "high": 12.0}
    )
    with pytest.raises(PlanError, match="lies outside low to high"):
        roll_up(team(), reps)
    with pytest.raises(PlanError, match="luck is 'mine'"):
        roll_up(team(), "history", luck="mine")  # type: ignore[arg-type]


POTENTIAL = {"Ann": 500_000.0, "Bo": 300_000.0, "Cy": 300_000.0, "Di": 0.0, "Ed": 700_000.0}


def test_top_down_and_bottom_up_meet_and_the_total_stays() -> None:
    plan = allocate(team(), 2_000_000, year=2026, currency="EUR")
    both = reconcile(plan, roll_up(team(), POTENTIAL), toward=1)
    found = both.table.set_index("name")
    assert found.loc["Acme", ["top_down", "bottom_up", "gap"]].tolist() == [2_000_000, 1_800_000, 200_000]
    assert found.loc["Mia", ["top_down", "bottom_up", "gap"]].tolist() == [1_200_000, 1_100_000, 100_000]
    assert found.loc["Ann", "reconciled"] == pytest.approx(2_000_000 * 5 / 18, abs=0.01)
    assert found.loc["Acme", "reconciled_cents"] == 200_000_000
    assert found.loc["Ann", "gap_share"] == pytest.approx(0.2)
    assert both.most_over_asked(2)["name"].tolist() == ["Di", "Cy"]  # no potential at all; a third above it
    assert any("EUR 200,000.00 more is asked than they can bring" in note for note in both.notes)
    assert any("covers 90.0 % of the plan" in note for note in both.notes)
    assert both.by_quarter.groupby("rep")["quota_cents"].sum()["Ann"] == found.loc["Ann", "reconciled_cents"]
    assert "Di" not in both.quotas()["rep"].tolist()


def test_reconciled_quotas_are_written_to_the_cent() -> None:
    both = reconcile(allocate(team(), 2_000_000.01, year=2026), roll_up(team(), POTENTIAL))
    written = pd.read_csv(StringIO(both.to_csv()))
    assert list(written.columns) == ["rep", "period", "quota"]
    assert round(written["quota"].sum() * 100) == 200_000_001
    with pytest.raises(PlanError, match="state the year"):
        reconcile(allocate(team(), 2_000_000), roll_up(team(), POTENTIAL)).to_csv()


def test_levels_without_roles_are_the_company_and_numbers() -> None:
    node = Hierarchy.from_table(TEAM.drop(columns="role"))
    assert node.level_names == ("company", "level 1", "level 2", "level 3")


def test_the_mix_itself_moves_the_total() -> None:
    plan = allocate(team(), 2_000_000, pins={"Ann": 600_000})
    both = reconcile(plan, roll_up(team(), POTENTIAL), toward=0.5, keep_total=False)
    found = both.table.set_index("name")["reconciled"]
    assert found["Bo"] == 250_000
    assert found["Ann"] == 600_000  # pinned
    assert found["Acme"] == 600_000 + 250_000 + 350_000 + 150_000 + 600_000
    still = reconcile(plan, roll_up(team(), POTENTIAL), toward=0)
    assert (still.table["change"] == 0).all()


def test_pins_stay_in_the_reconciled_quotas() -> None:
    plan = allocate(team(), 2_000_000, pins={"Ann": 600_000, "South": 800_000})
    found = reconcile(plan, roll_up(team(), POTENTIAL), toward=1).table.set_index("name")["reconciled"]
    assert (found["Ann"], found["South"], found["Ed"]) == (600_000, 800_000, 800_000)
    assert found["Bo"] == found["Cy"] == 300_000


@QUICK
@given(data=st.data(), table=trees(), toward=st.sampled_from([0.0, 0.3, 1.0]), keep=st.booleans())
def test_reconciled_quotas_add_up_on_any_tree(
    data: st.DataObject, table: pd.DataFrame, toward: float, keep: bool
) -> None:
    node = Hierarchy.from_table(table)
    plan = allocate(node, 98_765.43, over_assignment=0.1)
    names = [name for name, leaf in zip(node.names, node.leaf, strict=True) if leaf]
    potential = {name: data.draw(st.integers(1, 10**6)) / 100 for name in names}
    both = reconcile(plan, roll_up(node, potential), toward=toward, keep_total=keep)
    found = both.table.set_index("name")
    children = both.table[both.table["parent"] != ""].groupby("parent")["reconciled_cents"].sum()
    for parent, total in children.items():
        assert total == found.loc[parent, "reconciled_cents"]
    if keep:
        assert found["reconciled_cents"].iloc[0] == plan.quarter_cents[0].sum()
    assert both.by_quarter["quota_cents"].sum() == found["reconciled_cents"].iloc[0]


def test_reconciling_refuses_other_people_and_shares_of_nothing() -> None:
    plan = allocate(team(), 2_000_000)
    bottom = roll_up(team(), POTENTIAL)
    with pytest.raises(PlanError, match="do not name the same people: 'Ed'"):
        reconcile(plan, bottom.iloc[:-1])
    with pytest.raises(PlanError, match="toward is 2"):
        reconcile(plan, bottom, toward=2)
    with pytest.raises(PlanError, match="lacks the columns 'low', 'high'"):
        reconcile(plan, bottom[["name", "potential"]])
    with pytest.raises(PlanError, match="nobody below 'Acme' has any potential"):
        reconcile(plan, roll_up(team(), dict.fromkeys(POTENTIAL, 0.0)), toward=1)


def test_coverage_by_node_with_what_is_wanted_inherited() -> None:
    plan = allocate(team(), 1_000)
    found = coverage(plan, wanted={"Acme": 1.0, "South": 0.5}).set_index("name")
    assert found.loc["Acme", ["pipeline", "quota", "coverage"]].tolist() == [1_000, 1_000, 1.0]
    assert found.loc["Ann", "short_by"] == 200  # quota 300, pipeline 100
    assert found.loc["Di", "wanted"] == 0.5
    assert found["enough"].to_dict()["Di"]
    with pytest.raises(PlanError, match="by names 'leads'"):
        coverage(plan, by="leads")
    with pytest.raises(PlanError, match="wanted coverage of 'Acme' is 0"):
        coverage(plan, wanted=0)
    with pytest.raises(PlanError, match="'Acme' needs one too"):
        coverage(plan, wanted={"South": 2.0})
