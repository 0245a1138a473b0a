"""An export as it looked on an earlier day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from salessim.crm import as_seen_on, read
from salessim.errors import DataError
from salessim.library import example_crm


def test_nothing_from_later_is_known() -> None:
    day = date(2025, 9, 30)
    then = as_seen_on(read(example_crm()), day)
    last = pd.Timestamp(day)
    deals = then.opportunities
    assert then.as_of == day
    assert (deals["created"].dropna() <= last).all()
    assert (deals["closed"].dropna() <= last).all()
    assert (then.stage_history["entered"] <= last).all()
    assert (then.leads[["created", "mql", "sql"]].stack() <= last).all()
    reopened = deals[deals["status"] == "open"]
    assert reopened["closed"].isna().all()
    assert set(reopened["stage"]) <= set(then.stages)


def test_a_deal_that_closed_later_is_open_in_the_stage_it_was_in() -> None:
    now = read(example_crm())
    history = now.stage_history
    late = history[
        (history["stage"] == "closing deal") & history["entered"].between("2025-09-01", "2025-09-30")
    ]
    closed_later = now.opportunities[
        now.opportunities["opportunity_id"].isin(late["opportunity_id"])
        & (now.opportunities["closed"] > "2025-09-30")
    ]
    assert len(closed_later) > 0
    then = as_seen_on(now, date(2025, 9, 30)).opportunities.set_index("opportunity_id")
    seen = then.loc[closed_later["opportunity_id"]]
    assert set(seen["status"]) == {"open"}
    assert set(seen["stage"]) == {"closing deal"}
    assert seen["amount"].isna().all()


def test_a_deal_open_on_both_days_is_in_the_stage_of_the_day() -> None:
    now = read(example_crm())
    first, second, third = now.stages[:3]
    ids = ["moved", "later only", "no history"]
    deals = pd.DataFrame(
        {"opportunity_id": ids, "stage": third, "status": "open", "created": pd.Timestamp("2025-08-01")}
    ).reindex(columns=now.opportunities.columns)
    deals["closed"] = pd.to_datetime(deals["closed"])
    history = pd.DataFrame(
        [
            ("moved", first, "2025-08-01"),
            ("moved", second, "2025-09-01"),
            ("moved", third, "2025-12-01"),
            ("later only", third, "2025-12-01"),
        ],
        columns=["opportunity_id", "stage", "entered"],
    )
    history["entered"] = pd.to_datetime(history["entered"])
    then = as_seen_on(replace(now, opportunities=deals, stage_history=history), date(2025, 9, 30))
    assert then.opportunities["stage"].tolist() == [second, first, third]


def test_today_is_unchanged_and_tomorrow_is_refused() -> None:
    now = read(example_crm())
    assert as_seen_on(now, now.as_of) is now
    with pytest.raises(DataError, match="taken on 2026-06-30 and cannot tell of later days"):
        as_seen_on(now, date(2026, 7, 1))


def test_on_real_data_closed_quarters_stay_as_they_were(real_data: Path) -> None:
    then = as_seen_on(read(real_data / "maven_crm"), date(2017, 6, 30)).opportunities
    won = then[then["status"] == "won"]
    assert len(won) == 531 + 1_254
    assert won["amount"].sum() == 1_134_672 + 3_086_111


def test_a_day_before_the_first_deal_is_refused() -> None:
    with pytest.raises(DataError, match="the first deal of the export was created on"):
        as_seen_on(read(example_crm()), date(1990, 1, 1))
