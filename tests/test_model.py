"""Scenarios: what can be written, what is derived, and what is refused."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salessim.errors import ScenarioError
from salessim.library import EXAMPLE, example_scenario
from salessim.model import DealSize, Ramp, Rep, Scenario, Segment, Stage, scenario_schema
from salessim.periods import Quarter, quarter_of
from tests.worlds import changed, one_stage_world

MINIMAL = """
name: tiny
currency: EUR
calendar: {first_quarter: 2026Q1}
segments:
  - name: all
    stages: [{name: open, conversion: 0.25, dwell_weeks: 6}]
    sources: [{name: web, kind: inbound, leads_per_week: 2}]
    deal_size: {mean: 20000, cv: 1}
roles: [{name: AE}]
reps: [{name: Rep 1, role: AE}]
"""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "conversion: 0.25",
            "conversion: 1.3",
            r"segments\[0\]\.stages\[0\]\.conversion is 1\.3; .*less than or equal to 1",
        ),
        ("conversion: 0.25", "conversion: 65", "write 0.65 for 65 %"),
        ("conversion: 0.25", 'conversion: "0.25"', r"conversion is '0\.25'"),
        ("conversion: 0.25", "conversion: yes please", "conversion is 'yes please'"),
        ("conversion: 0.25", "conversion: .nan", "conversion is nan"),
        ("conversion: 0.25, ", "", "give conversion or close_probability"),
        ("conversion: 0.25", "konversion: 0.25", r"konversion is not a known field; allowed here: 'name'"),
        ("dwell_weeks: 6", "dwell_weeks: 0.5", "a mean dwell is at least 1 week"),
        ("dwell_weeks: 6", "dwell_weeks: [0.5, 0.2]", "shares by week must add up to 1"),
        ("kind: inbound", "kind: walk-in", "kind is 'walk-in'"),
        ("leads_per_week: 2", "leads_per_week: -2", r"sources\[0\]\.leads_per_week is -2"),
        ("mean: 20000, cv: 1", "mean: 20000", "give either mean and cv, or amounts"),
        ("mean: 20000, cv: 1", "amounts: [5, 5]", "amounts must rise"),
        ("mean: 20000, cv: 1", "amounts: [5, 6], shares: [0.5, 0.4]", "add up to 1"),
        ("currency: EUR", "currency: euro", "currency is 'euro'"),
        ("2026Q1", "2026-1", "write year and quarter like '2017Q3'"),
        ("role: AE}]", "role: hunter}]", r"reps\[0\]\.role is 'hunter'; it must be one of the roles: 'AE'"),
        ("reps: [{name: Rep 1, role: AE}]", "", "a scenario needs at least one rep or hire"),
        ("name: Rep 1", "name: ''", r"reps\[0\]\.name"),
        ("roles: [{name: AE}]", "roles: [{name: AE}, {name: AE}]", "the name 'AE' stands twice"),
        ("name: tiny", "name: tiny\nname: twice", "line 3: not valid YAML"),
        ("name: tiny", "name: [tiny", "not valid YAML"),
        ("roles: [{name: AE}]", "roles: [{name: AE, ramp: {linear_weeks: 9, by_month: [0.5]}}]", "one shape"),
        (
            "roles: [{name: AE}]",
            "roles: [{name: AE}]\nhires: [{role: AE, start: soon}]",
            r"hires\[0\]\.start is 'soon'",
        ),
    ],
)
def test_an_impossible_scenario_is_refused_with_field_value_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = tmp_path / "scenario.yaml"
    assert old in MINIMAL
    path.write_text(MINIMAL.replace(old, new))
    with pytest.raises(ScenarioError, match=message) as caught:
        Scenario.load(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value).splitlines()) <= 11


def test_all_faults_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario.from_yaml(MINIMAL.replace("0.25", "1.3").replace("leads_per_week: 2", "leads_per_week: -2"))
    assert "conversion is 1.3" in str(caught.value)
    assert "leads_per_week is -2" in str(caught.value)


@pytest.mark.parametrize("content", ["", "just text", "- a list"])
def test_a_file_that_is_no_mapping_is_refused(content: str) -> None:
    with pytest.raises(ScenarioError, match="expected a mapping with the fields 'name'"):
        Scenario.from_yaml(content)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"none\.yaml: cannot be read"):
        Scenario.load(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="not UTF-8 text"):
        Scenario.load(tmp_path / "binary.yaml")


# --- stages [A2] -------------------------------------------------------------------------------------------


def funnel(*stages: Stage) -> Segment:
    return Segment(name="all", stages=stages, sources=(), deal_size=DealSize(mean=1.0, cv=0.0))


def test_conversion_follows_from_close_probabilities() -> None:
    two = funnel(Stage(name="cold", close_probability=0.10), Stage(name="closing", close_probability=0.75))
    assert two.conversions().tolist() == pytest.approx([0.1 / 0.75, 0.75])


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=6))
def test_close_probabilities_are_products_of_conversions(shares: list[float]) -> None:
    stages = [Stage(name=f"s{k}", conversion=share) for k, share in enumerate(shares)]
    expected = np.cumprod(shares[::-1])[::-1]
    assert funnel(*stages).close_probabilities() == pytest.approx(expected)
    again = [Stage(name=f"s{k}", close_probability=float(p)) for k, p in enumerate(expected)]
    assert funnel(*again).conversions() == pytest.approx(shares, rel=1e-6)


def test_close_probabilities_must_rise_and_agree_with_a_given_conversion() -> None:
    with pytest.raises(ValueError, match=r"must not be above 0\.2, that of the following stage 'b'"):
        funnel(Stage(name="a", close_probability=0.5), Stage(name="b", close_probability=0.2))
    with pytest.raises(ValueError, match="give one of them"):
        funnel(Stage(name="a", close_probability=0.5, conversion=0.9))


def test_a_geometric_dwell_has_its_mean() -> None:
    for mean in (1.0, 1.5, 4.0, 20.0):
        law = Stage(name="s", conversion=0.5, dwell_weeks=mean).dwell_shares()
        assert law.sum() == pytest.approx(1)
        assert law @ np.arange(len(law)) == pytest.approx(mean, rel=1e-5)


# --- people ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ramp",
    [
        Ramp(linear_weeks=20.0),
        Ramp(by_month=(0.0, 0.3, 0.6)),
        Ramp(half_productive_week=8.0, fully_productive_week=20.0),
        Ramp(training_weeks=6, linear_weeks=10.0),
    ],
)
def test_a_ramp_rises_from_nothing_to_full(ramp: Ramp) -> None:
    level = ramp.productivity(np.arange(-5, 200))
    assert (level[:5] == 0).all()
    assert (np.diff(level) >= -1e-12).all()
    assert level[-1] == pytest.approx(1, abs=1e-6)
    assert ramp.productivity(ramp.weeks_to_full()) >= 0.95 - 1e-9


def test_an_s_curve_has_its_half_and_its_full_week() -> None:
    level = Ramp(half_productive_week=8.0, fully_productive_week=20.0).productivity([8, 20])
    assert level.tolist() == pytest.approx([0.5, 0.95])


def test_capacity_counts_only_who_is_there() -> None:
    world = one_stage_world(reps=2, quarters=2)
    reps = (
        Rep(name="leaver", role="AE", end=date(2026, 3, 31)),
        Rep(name="newcomer", role="AE", start=date(2026, 4, 1)),
    )
    capacity = changed(world, reps=reps, roles=({"name": "AE", "ramp": {"linear_weeks": 13.0}},)).capacity()
    assert capacity[0].tolist() == [1.0] * 13 + [0.0] * 13
    assert capacity[1, :13].tolist() == [0.0] * 13
    assert capacity[1, 13:] == pytest.approx(np.arange(1, 14) / 13)


def test_hires_are_named_by_role_day_and_number() -> None:
    names = [rep.name for rep in example_scenario().team()[-2:]]
    assert names == [
        "account executive hired 2026-10-05 #1",
        "account executive hired 2026-10-05 #2",
    ]


# --- files -------------------------------------------------------------------------------------------------


def test_a_scenario_survives_writing_and_reading() -> None:
    example = example_scenario()
    assert Scenario.from_yaml(example.to_yaml()) == example
    spaced = changed(example, reps=(*example.reps, {
        "name": "Łucja Żółć: a name, with {signs}", "role": "account executive", "segments": {"SMB": 1.5}
    }))  # fmt: skip
    assert Scenario.from_yaml(spaced.to_yaml()) == spaced


def test_the_shipped_schema_is_that_of_the_model() -> None:
    """Renew it with: salessim schema > salessim/library/scenario.schema.json"""
    shipped = EXAMPLE.parent / "scenario.schema.json"
    assert shipped.read_text(encoding="utf-8") == scenario_schema()


def test_every_field_is_described() -> None:
    import json

    schema = json.loads(scenario_schema())
    parts = [schema, *schema["$defs"].values()]
    missing = [
        f"{part['title']}.{name}"
        for part in parts
        for name, field in part["properties"].items()
        if "description" not in field
    ]
    assert missing == []


# --- the calendar ------------------------------------------------------------------------------------------


@given(st.dates(date(1990, 1, 1), date(2200, 1, 1)), st.integers(1, 12))
def test_every_day_lies_in_its_quarter(day: date, month: int) -> None:
    quarter = quarter_of(day, fiscal_year_starts_in_month=month)
    assert quarter.start <= day <= quarter.end
    assert Quarter.parse(str(quarter), fiscal_year_starts_in_month=month) == quarter
    assert quarter.shift(1).shift(-1) == quarter
    weeks = quarter.week_starts()
    assert len(weeks) == 13
    assert weeks[-1] <= quarter.end
