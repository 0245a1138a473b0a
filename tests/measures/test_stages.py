"""Stages with deals that are still there: against lifelines, against calibration, and by the period."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest
from lifelines import AalenJohansenFitter, KaplanMeierFitter
from lifelines.utils import qth_survival_times

from salessim import crm, measures
from salessim.calibrate import calibrate
from salessim.intervals import LEVEL
from salessim.measures.facts import LOST, MOVED_ON, STILL_THERE, facts_of
from salessim.measures.survival import life_table
from salessim.periods import Quarter
from tests.measures.exports import random_export


@pytest.mark.parametrize("late_entry", [False, True])
def test_life_tables_of_many_groups_agree_with_lifelines_one_by_one(late_entry: bool) -> None:
    rng = np.random.default_rng(5)
    size, groups = 600, 4
    group = rng.integers(0, groups, size)
    last = rng.permutation(2 * size)[:size] + 1  # no ties: lifelines would break them at random
    ended = rng.choice([STILL_THERE, MOVED_ON, LOST], size, p=[0.3, 0.4, 0.3])
    oldest = [int(np.flatnonzero(group == each)[last[group == each].argmax()]) for each in range(groups)]
    ended[oldest] = STILL_THERE  # lifelines gives no variance once nobody is left
    first = (
        np.where(rng.random(size) < 0.3, rng.integers(0, last), 0)
        if late_entry
        else np.zeros(size, dtype=int)
    )
    found = life_table(group, first, last, ended, groups)
    share, low, high = found.moved_on()
    for each in range(groups):
        own = group == each
        # who is seen from a day on is at risk on that day
        fitted = KaplanMeierFitter(alpha=1 - LEVEL).fit(last[own] + 0.5, ended[own] > 0, entry=first[own])
        rows = found.group == each
        curve = fitted.survival_function_.iloc[:, 0]
        assert found.survival[rows] == pytest.approx(curve[found.age[rows] + 0.5].to_numpy())
        for probability in (0.25, 0.5):
            values = [part[each] for part in found.quantile(probability)]
            limits = qth_survival_times(1 - probability, fitted.confidence_interval_survival_function_)
            wanted = [
                qth_survival_times(1 - probability, fitted.survival_function_),
                *sorted(np.ravel(limits)),
            ]
            assert values == pytest.approx([float(value) - 0.5 for value in wanted])
        if not late_entry:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                incidence = AalenJohansenFitter(alpha=1 - LEVEL).fit(last[own], ended[own], MOVED_ON)
            at_end = float(incidence.cumulative_density_.iloc[-1, 0])
            assert share[each] == pytest.approx(at_end)
            variance = float(np.ravel(incidence.variance_)[-1])
            effective = at_end * (1 - at_end) / variance
            wilson = measures.share_estimate(at_end * round(effective), round(effective))
            assert (low[each], high[each]) == pytest.approx((wilson.low, wilson.high), abs=0.005)


def test_who_leaves_later_than_all_seen_from_the_start_adds_nothing_to_how_sure_a_share_is() -> None:
    """One deal moves on young; thirty come into view old: their exits must not pass for evidence of one."""
    ages = np.array([3, *range(50, 80)])
    first = np.array([0, *[40] * 30])
    ended = np.array([MOVED_ON, *[LOST] * 30])
    table = life_table(np.zeros(31, dtype=int), first, ages, ended, 1)
    share, low, high = (float(part[0]) for part in table.moved_on())
    wanted = measures.share_estimate(1, 1)
    assert (share, low, high) == pytest.approx((wanted.value, wanted.low, wanted.high))
    assert (table.exits().tolist(), table.cut_off().tolist()) == ([1.0], [30.0])


@pytest.mark.parametrize(("left", "known"), [(1, False), (3, False), (4, True)])
def test_few_stays_have_a_median_but_no_interval(left: int, known: bool) -> None:
    none = np.zeros(left, dtype=int)
    value, low, high = life_table(none, none, np.arange(left) + 5, none + MOVED_ON, 1).quantile(0.5)
    assert np.isfinite(value).all()
    assert np.isfinite([low[0], high[0]]).tolist() == [known, known]


def test_a_quarter_that_has_just_begun_has_stage_times() -> None:
    """Deals seen from the start are gone before older ones come into view: the curve ends there."""
    base = random_export(1, deals=12, as_of=date(2026, 4, 3))
    created = pd.to_datetime(["2026-04-01"] * 2 + ["2026-01-05"] * 10)
    closed = pd.to_datetime(["2026-04-02"] * 2 + ["2026-04-03"] * 5 + [""] * 5)
    status = np.where(closed.isna(), "open", "lost")
    opportunities = base.opportunities.assign(
        created=created, closed=closed, status=status, stage=np.where(closed.isna(), "cold", "lost"),
        amount=np.nan,
    )  # fmt: skip
    history = pd.DataFrame(
        {"opportunity_id": opportunities["opportunity_id"], "stage": "cold", "entered": created}
    )
    tables = replace(base, opportunities=opportunities, stage_history=history)
    times = measures.stage_times(tables, quarter=Quarter(2026, 2)).set_index("stage").loc["cold"]
    assert (times["lost"], times["stays"], times["median_days"]) == (7, 2, 1.0)
    curve = measures.stage_survival(tables, quarter=Quarter(2026, 2))
    assert curve[["days", "still_there"]].to_numpy().tolist() == [[0.0, 1.0], [1.0, 0.0]]
    note = measures.measure("stage_days", tables, quarter=Quarter(2026, 2), by="stage")["note"].iloc[0]
    assert "5 more left later than all who were seen from the start: not counted" in note


def test_the_table_by_stage_agrees_with_the_catalogue(example: crm.Tables) -> None:
    for quarter in (None, measures.available_quarters(example)[-1]):
        times = measures.stage_times(example, quarter=quarter).set_index("stage")
        days = measures.measure("stage_days", example, quarter=quarter, by="stage").set_index("stage")
        assert times["median_days"].to_dict() == pytest.approx(days["value"].to_dict(), nan_ok=True)
        assert times["median_days_low"].to_dict() == pytest.approx(days["low"].to_dict(), nan_ok=True)
        assert times["stays"].to_dict() == days["n"].to_dict()
        seen = times[times["stays"] > 0]
        assert (seen["p25_days"] <= seen["median_days"]).all()
        assert (seen["median_days"] <= seen["p75_days"]).all()
    curves = measures.stage_survival(example)
    half = curves[curves["still_there"] <= 0.5].groupby("stage")["days"].first()
    medians = measures.stage_times(example).set_index("stage")["median_days"].dropna()
    assert half.to_dict() == medians.to_dict()


def test_conversions_are_those_of_calibration_and_multiply_to_the_share_won(example: crm.Tables) -> None:
    deals, begins = example.opportunities, measures.left_cut(example).first_complete_quarter
    assert begins is not None
    # calibration looks at the deals of its window
    later = deals[deals["created"] >= pd.Timestamp(begins.start)].reset_index(drop=True)
    rows = measures.measure(
        "stage_conversion", replace(example, opportunities=later), by=["segment", "stage"]
    )
    found = {
        (p.segment, p.name.split("'")[1]): p.value
        for p in calibrate(example).parameters
        if p.name.startswith("conversion of '")
    }
    ours = {(row["segment"], row["stage"]): row["value"] for row in rows.to_dict("records")}
    assert ours == pytest.approx(found)
    told = deals["opportunity_id"].isin(example.stage_history["opportunity_id"])
    closed = told & (deals["status"] != "open")
    decided = replace(example, opportunities=example.opportunities[closed].reset_index(drop=True))
    shares = measures.measure("stage_conversion", decided, by="stage")["value"].dropna()
    won = (decided.opportunities["status"] == "won").mean()
    assert float(np.prod(shares)) == pytest.approx(float(won))


def test_the_pace_of_a_period_does_not_wait_for_its_deals_to_settle() -> None:
    """Steady deals, half lost after 20 days, half moving on after 40: a cohort of the last quarter would seem
    to lose nearly all."""
    days = pd.date_range("2025-01-01", "2026-03-31")
    deals = pd.DataFrame(
        {
            "opportunity_id": [f"O{number}" for number in range(len(days))],
            "created": days,
            "moves": np.arange(len(days)) % 2 == 0,
        }
    )
    leaves = deals["created"] + pd.to_timedelta(np.where(deals["moves"], 40, 20), unit="D")
    over = leaves <= pd.Timestamp("2026-03-31")
    base = random_export(1, deals=len(days), as_of=date(2026, 3, 31))
    status = np.where(over, np.where(deals["moves"], "won", "lost"), "open")
    opportunities = base.opportunities.assign(
        opportunity_id=deals["opportunity_id"],
        created=deals["created"],
        closed=leaves.where(over),
        status=status,
        stage=np.where(over, status, "closing"),
        amount=np.where(status == "won", 100.0, np.nan),
    )
    history = pd.DataFrame(
        {"opportunity_id": deals["opportunity_id"], "stage": "closing", "entered": deals["created"]}
    )
    tables = replace(base, opportunities=opportunities, stage_history=history)
    rows = measures.measure("stage_conversion", tables, by=["quarter", "stage"])
    assert rows["value"].iloc[1:].tolist() == pytest.approx([0.5] * (len(rows) - 1), abs=0.02)
    stays = measures.measure("stage_days", tables, quarter=Quarter(2026, 1), by="stage").set_index("stage")
    assert stays["value"]["closing"] in (20.0, 40.0)
    whole, quarters = (
        measures.measure("stage_conversion", tables, by=by)["n"].sum()
        for by in ("stage", ["quarter", "stage"])
    )
    assert whole == quarters  # each deal leaves in one quarter


def test_stays_and_passages_of_one_deal() -> None:
    base = random_export(1, deals=3)
    created = pd.Timestamp("2026-01-01")
    opportunities = base.opportunities.assign(
        created=created, closed=[created + pd.Timedelta(days=60), pd.NaT, pd.NaT],
        status=["lost", "open", "open"], stage=["lost", "cold", "cold"], amount=np.nan,
    )  # fmt: skip
    visits = [("cold", 0), ("warm", 10), ("cold", 25), ("warm", 40)]
    history = pd.DataFrame(
        [("O0", stage, created + pd.Timedelta(days=day)) for stage, day in visits],
        columns=["opportunity_id", "stage", "entered"],
    )
    facts = facts_of(tables := replace(base, opportunities=opportunities, stage_history=history))
    days = facts.stays["end_day"] - facts.stays["entered_day"]
    assert days.tolist() == [10, 15, 15, 20]
    passages = facts.passages
    assert passages[["stage", "ended"]].to_numpy().tolist() == [[0, MOVED_ON], [1, LOST]]
    assert (passages["end_day"] - passages["entered_day"]).tolist() == [10, 50]
    assert set(passages["deal"]) == {0}  # of the others the history tells nothing
    assert tables.stages[2] not in measures.stage_survival(tables)["stage"].tolist()
