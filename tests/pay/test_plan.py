"""Plans: what cannot be written is refused by name, and what surprises is said."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from salessim.errors import PlanError
from salessim.pay import FIELD_NORMS, PayPlan, Period, field_warnings, load_plan, pay_out, shipped_plans
from salessim.pay.labels import period_of, periods_of

ROLE = """
  - role: AE
    on_target_earnings: 100000
    base_share: 0.5
"""
HEAD = "name: x\nroles:" + ROLE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            HEAD + "    tiers: [{starts_at: 0, multiple: 1}, {starts_at: 1.0, multiple: 1}, "
            "{starts_at: 0.9, multiple: 2}]",
            r"plan 'x': roles\[0\]\.tiers\[2\]\.starts_at is 0\.9; tiers must rise \(previous 1\)",
        ),
        (
            HEAD + "    tiers: [{starts_at: 0.5, multiple: 1}]",
            r"roles\[0\]\.tiers\[0\]\.starts_at is 0\.5; the first tier starts at 0",
        ),
        (HEAD + "    tiers: [{starts_at: 0}]", r"roles\[0\]\.tiers\[0\] has neither of multiple and rate"),
        (HEAD + "    tiers: [{starts_at: 0, multiple: 1, rate: 0.1}]", r"tiers\[0\] has both of multiple"),
        (HEAD + "    tiers: []", r"roles\[0\]\.tiers is empty"),
        (HEAD + "    tiers: [{starts_at: 0, rate: 10}]", r"roles\[0\]\.tiers\[0\]\.rate is 10.*fraction"),
        (HEAD + "    without_quota: first_tier", r"without_quota is 'first_tier'; then tiers\[0\] must have"),
        (HEAD + "    without_quota: maybe", r"roles\[0\]\.without_quota is 'maybe'.*'none', 'target'"),
        (
            HEAD + "    base_shar: 0.5",
            r"roles\[0\]\.base_shar is not a known field; allowed here: .*base_share",
        ),
        (HEAD + "    cap: -1", r"roles\[0\]\.cap is -1"),
        ("name: x\nroles:" + ROLE + ROLE, r"roles\[1\]\.role is 'AE'; a role is paid once"),
        ("name: x\nroles: []", "roles is empty; a plan pays at least one role"),
        (HEAD + "splits: {SE: 0.5}", "splits names the role 'SE'; the plan pays 'AE'"),
        (HEAD + "cumulative_within: quarter", r"cumulative_within is 'quarter'; it must be longer"),
        (HEAD + "period: weekly", "period is 'weekly'"),
        (HEAD.replace("base_share: 0.5", "base_share: 1"), "base_share is 1; without target variable pay"),
        (
            HEAD + "    spifs: [{name: a, amount_per_deal: 1, first_day: 2026-02-01, last_day: 2026-01-01}]",
            r"roles\[0\]\.spifs\[0\]\.last_day is 2026-01-01; first_day is 2026-02-01",
        ),
        (
            HEAD + "    spifs: [{name: a, amount_per_deal: 1}, {name: a, amount_per_deal: 2}]",
            r"roles\[0\]\.spifs\[1\]\.name is 'a'; names of SPIFs differ",
        ),
    ],
)
def test_faults_name_field_value_and_what_is_allowed(text: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        PayPlan.from_yaml(text, where="plan 'x'")


def test_a_spif_may_carry_days() -> None:
    plan = PayPlan.from_yaml(HEAD + "    spifs: [{name: a, amount_per_deal: 1, first_day: 2026-02-01}]")
    assert plan.roles[0].spifs[0].first_day == date(2026, 2, 1)
    assert PayPlan.from_yaml(plan.to_yaml()) == plan


def test_unknown_plans_are_answered_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"pay plan is 'no-such'; .*'50-50-accelerator'"):
        load_plan("no-such")
    path = tmp_path / "mine.yaml"
    path.write_text(HEAD, encoding="utf-8")
    assert load_plan(path).name == "x"
    path.write_text(HEAD + "    cap: no", encoding="utf-8")
    with pytest.raises(PlanError, match=r"mine\.yaml: roles\[0\]\.cap"):
        load_plan(path)


@pytest.mark.parametrize(
    ("extra", "sentence"),
    [
        (
            "    threshold: 0.5\n    threshold_counts_from: first_unit",
            "pay jumps by 50 % of target variable pay at 50 %",
        ),
        ("    threshold: 0.5", "at 100 % attainment commission is 50 % of target variable pay"),
        (
            "    tiers: [{starts_at: 0, multiple: 1}, {starts_at: 1.2, multiple: 0.5, retroactive: true}]",
            "pay falls by 60 % of target variable pay at 120 % attainment (tier is retroactive)",
        ),
        (
            "    tiers: [{starts_at: 0, multiple: 1}, {starts_at: 1, rate: 0.1, retroactive: true}]",
            "may fall or jump (one rate is a multiple, the other a share",
        ),
        ("    cap: 0.8", "the cap is 80 % of target variable pay, below OTE"),
    ],
)
def test_surprises_are_said(extra: str, sentence: str) -> None:
    warnings = PayPlan.from_yaml(HEAD + extra).warnings()
    assert any(sentence in text for text in warnings), warnings
    assert all(text.startswith("AE: ") for text in warnings)


def test_shipped_plans_surprise_nobody_but_the_retroactive_one() -> None:
    assert [name for name in shipped_plans() if load_plan(name).warnings()] == ["retroactive-tiers"]


def test_field_warnings_cite_source_year_and_grade() -> None:
    plan = PayPlan.from_yaml(
        HEAD.replace("0.5", "0.8")
        + "    tiers: [{starts_at: 0, multiple: 1}, {starts_at: 1, multiple: 4}]\n"
        + "    cap: 3\n    clawback: {window_days: 365}"
    )
    found = field_warnings(plan, annual_quota={"AE": 900_000.0})
    assert [text.split(":")[0] for text in found] == ["AE"] * 5
    assert "quota is 9.0× OTE; the field quotes 4.0× to 6.0×" in found[0]
    assert "base pay is 80 % of OTE" in found[1]
    assert "the highest accelerator is 4.0×" in found[2]
    assert "capped at 3.0×" in found[3]
    assert "(Bridge Group, 2024, grade S)" in found[3]
    assert "clawback window is 365 days; the field quotes 90 to 180 days" in found[4]
    assert all(norm.low <= norm.high and norm.source for norm in FIELD_NORMS.values())
    assert not any("quota is" in text for text in field_warnings(plan, annual_quota={}))


def test_periods_are_read_and_follow_each_other() -> None:
    april = Period.parse("2027Q1", fiscal_year_starts_in_month=4)
    assert april.first_day == date(2026, 4, 1)
    assert (str(april), str(april.shift(3)), str(april.shift(4))) == ("2027Q1", "2027Q4", "2028Q1")
    assert Period.parse("2027", fiscal_year_starts_in_month=4).last_day == date(2027, 3, 31)
    assert [
        Period.parse(f"2026-{m:02d}", fiscal_year_starts_in_month=4).place_in("year") for m in (4, 12, 3)
    ] == [
        0,
        8,
        11,
    ]
    assert period_of(date(2026, 3, 31), "quarter", fiscal_year_starts_in_month=2).first_day == date(
        2026, 2, 1
    )
    assert Period.parse("2026-02").share_between(date(2026, 2, 15), None) == 0.5
    with pytest.raises(PlanError, match=r"period is 'Q3 2026'; write a month"):
        Period.parse("Q3 2026")
    with pytest.raises(PlanError, match=r"periods\[1\] is '2026Q3'; '2026Q2' follows '2026Q1'"):
        periods_of(["2026Q1", "2026Q3"], "quarter", plan="x")
    with pytest.raises(
        PlanError, match=r"plan 'x' pays by month and needs months such as '2026-07'; periods\[0\]"
    ):
        periods_of(["2026Q1"], "month", plan="x")


def test_every_day_lies_in_its_period() -> None:
    for month in (1, 2, 4, 7, 11):
        for kind in ("month", "quarter", "year"):
            for day in (date(2026, 1, 1), date(2026, 2, 28), date(2026, 6, 30), date(2026, 12, 31)):
                period = period_of(day, kind, fiscal_year_starts_in_month=month)
                assert period.first_day <= day <= period.last_day
                assert Period.parse(str(period), fiscal_year_starts_in_month=month) == period


def test_the_same_plan_settled_by_another_period() -> None:
    plan = load_plan("year-to-date")
    assert plan.paid_by("month").cumulative_within == "year"
    assert plan.paid_by("year").cumulative_within is None
    bookings, quotas = np.full((1, 12), 50_000.0), np.full((1, 12), 40_000.0)
    by_month = pay_out(plan.paid_by("month"), bookings, quotas, roles=["account executive"])
    by_year = pay_out(plan.paid_by("year"), [[600_000.0]], [[480_000.0]], roles=["account executive"])
    assert by_month.total.sum() == pytest.approx(by_year.total.sum())
