"""What changed between two exports: every kind, and a bridge that adds up to the cent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from salessim.crm import ledger
from salessim.crm.changes import BRIDGE_STEPS, KINDS, NOT_GIVEN, Changes, changes_between, changes_in
from salessim.errors import DataError, ParameterError
from tests.deals import STAGES, Deal, deal, tables

BEFORE = [
    deal("D1", "cold", 500, expected_close="2026-07-01"),
    deal("D2", "warm", 900, expected_close="2026-07-01"),
    deal("D3", "closing", 100),
    deal("D4", "closing"),
    deal("D5", "lost"),
    deal("D6", "won", 70),
    deal("D7", "cold", 30.1),
    deal("D8", "cold", 60),
    deal("D9", "won", 10),
]
AFTER = [
    deal("D1", "closing", 650, expected_close="2026-08-01", rep="Rep Beta"),
    deal("D2", "cold", 900, expected_close="2026-06-01"),
    deal("D3", "won", 110),
    deal("D4", "lost"),
    deal("D5", "warm", 40),
    deal("D6", "won", 75),
    deal("D8", "cold"),
    deal("N1", "cold", 200.2, rep="Rep Gamma"),
    deal("N2", "won", 5),
    deal("N3", "warm"),
]


@pytest.fixture(scope="module")
def week() -> Changes:
    return changes_between(tables(BEFORE, "2026-06-01"), tables(AFTER, "2026-06-08"))


def test_every_deal_stands_under_each_kind_that_happened_to_it(week: Changes) -> None:
    table = week.table
    assert [kind for kind in KINDS if kind in set(table["kind"])] == list(table["kind"].unique())
    found = {kind: set(rows["opportunity_id"]) for kind, rows in table.groupby("kind")}
    assert found == {
        "new": {"N1", "N2", "N3"},
        "reopened": {"D5"},
        "moved forward": {"D1"},
        "moved back": {"D2"},
        "resized": {"D1", "D6", "D8"},
        "slipped": {"D1"},
        "pulled in": {"D2"},
        "reassigned": {"D1"},
        "won": {"D3", "N2"},
        "lost": {"D4"},
        "vanished": {"D7", "D9"},
    }
    assert not table.duplicated(["opportunity_id", "kind"]).any()
    moved = table[table["kind"] == "moved forward"].iloc[0]
    assert (moved["rep_before"], moved["rep"]) == ("Rep Alpha", "Rep Beta")
    assert (moved["stage_before"], moved["stage_after"]) == ("cold", "closing")
    assert (moved["amount_before"], moved["amount_after"], moved["pipeline_effect"]) == (500, 650, 0)
    gone = table[table["kind"] == "vanished"].set_index("opportunity_id")
    assert gone["pipeline_effect"].to_dict() == {"D7": -30.1, "D9": 0.0}
    assert gone["rep"].tolist() == ["Rep Alpha", "Rep Alpha"]


def test_the_bridge_leads_from_the_first_value_to_the_last(week: Changes) -> None:
    bridge = week.bridge.set_index("step")
    assert tuple(bridge.index) == BRIDGE_STEPS
    assert bridge["value"].to_dict() == {
        "start": 1590.1,
        "new": 200.2,
        "reopened": 40.0,
        "resized": 90.0,  # D1 grew by 150, D8 lost its amount of 60
        "won": -100.0,
        "lost": 0.0,
        "vanished": -30.1,
        "end": 1790.2,
    }
    assert bridge["deals"].to_dict() == {
        "start": 6, "new": 3, "reopened": 1, "resized": 3, "won": 2, "lost": 1, "vanished": 2, "end": 6,
    }  # fmt: skip
    assert bridge["without_amount"].to_dict() == {
        "start": 1, "new": 1, "reopened": 0, "resized": 1, "won": 0, "lost": 1, "vanished": 0, "end": 2,
    }  # fmt: skip
    assert (week.since, week.until, week.currency) == (date(2026, 6, 1), date(2026, 6, 8), "EUR")


def test_by_rep_what_is_handed_over_leaves_one_and_reaches_another(week: Changes) -> None:
    reps = week.by_rep.set_index("rep")
    assert reps.loc["Rep Alpha"].to_dict() == {
        "start": 1590.1, "new": 0.0, "reopened": 40.0, "resized": -60.0, "won": -100.0, "lost": 0.0,
        "vanished": -30.1, "reassigned": -500.0, "end": 940.0,
    }  # fmt: skip
    assert reps["reassigned"].to_dict() == {"Rep Alpha": -500.0, "Rep Beta": 500.0, "Rep Gamma": 0.0}
    assert reps["resized"]["Rep Beta"] == 150


def drawn(draw: np.random.Generator) -> list[Deal]:
    def one(number: int) -> Deal:
        amount = draw.choice([np.nan, 0.1, 0.2, 1234.56, 99_999_999.99])
        close = draw.choice([None, "2026-07-01", "2026-08-01"])
        rep = draw.choice(["Rep Alpha", "Rep Beta", None])
        return deal(
            f"D{number}", str(draw.choice([*STAGES, "won", "lost"])), amount, rep=rep, expected_close=close
        )

    return [one(number) for number in range(200) if draw.random() < 0.8]


@pytest.mark.parametrize("seed", range(3))
def test_any_two_exports_reconcile_to_the_cent(seed: int) -> None:
    draw = np.random.default_rng(seed)
    before, after = drawn(draw), drawn(draw)
    found = changes_between(tables(before, "2026-06-01"), tables(after, "2026-06-08"))

    def cents(values: Any) -> list[int]:
        return [round(100 * value) for value in values]

    def pipeline(deals: list[Deal]) -> int:
        amounts = [each["amount"] for each in deals if each["status"] == "open"]
        return sum(cents(amount for amount in amounts if not np.isnan(amount)))

    steps = dict(zip(found.bridge["step"], cents(found.bridge["value"]), strict=True))
    assert steps["start"] == pipeline(before)
    assert steps["end"] == pipeline(after)
    assert sum(steps[step] for step in BRIDGE_STEPS[:-1]) == steps["end"]
    by_kind = found.table.groupby("kind")["pipeline_effect"].apply(lambda values: sum(cents(values)))
    assert all(by_kind.get(step, 0) == steps[step] for step in BRIDGE_STEPS[1:-1])
    for step in BRIDGE_STEPS:
        assert sum(cents(found.by_rep[step])) == steps[step]
    assert sum(cents(found.by_rep["reassigned"])) == 0
    assert NOT_GIVEN in set(found.by_rep["rep"])
    for row in found.by_rep.drop(columns="rep").to_numpy():
        assert sum(cents(row[:-1])) == round(100 * row[-1])
    # deal by deal, in plain words
    was, now = ({each["opportunity_id"]: each for each in deals} for deals in (before, after))
    told = {kind: set(rows["opportunity_id"]) for kind, rows in found.table.groupby("kind")}
    assert told["new"] == now.keys() - was.keys()
    assert told["vanished"] == was.keys() - now.keys()
    stayed = {key for key in was.keys() & now.keys() if was[key]["status"] == now[key]["status"] == "open"}
    rank = {key: STAGES.index(now[key]["stage"]) - STAGES.index(was[key]["stage"]) for key in stayed}
    assert told["moved forward"] == {key for key in stayed if rank[key] > 0}
    assert told["moved back"] == {key for key in stayed if rank[key] < 0}
    dated = {key for key in stayed if was[key]["expected_close"] and now[key]["expected_close"]}
    assert told["slipped"] == {k for k in dated if now[k]["expected_close"] > was[k]["expected_close"]}


def test_nothing_changed_gives_an_empty_table(week: Changes) -> None:
    same = changes_between(tables(AFTER, "2026-06-08"), tables(AFTER, "2026-06-15"))
    assert (len(same.table), list(same.table.columns)) == (0, list(week.table.columns))
    assert set(same.bridge["value"]) == {1790.2, 0.0}


def test_a_stage_that_was_renamed_keeps_its_place() -> None:
    before = tables([deal("D1", "tepid"), deal("D2", "cold")], "2026-06-01", stages=("cold", "tepid", "warm"))
    after = tables([deal("D1", "warm"), deal("D2", "hot")], "2026-06-08", stages=("cold", "warm", "hot"))
    assert changes_between(before, after).table["kind"].tolist() == ["moved forward"] * 2
    with pytest.raises(
        ParameterError, match=r"the order of the stages 'hot', 'warm' is not known; known are 'cold'"
    ):
        changes_between(before, after, stages=["cold", "tepid"])


def test_what_cannot_be_compared_is_refused() -> None:
    euro = tables(BEFORE, "2026-06-01")
    with pytest.raises(DataError, match="the exports are in 'EUR', 'PLN'"):
        changes_between(euro, replace(euro, currency="PLN"))
    with pytest.raises(ParameterError, match="give the earlier one first"):
        changes_between(euro, replace(euro, as_of=date(2026, 5, 1)))
    frame = euro.opportunities
    with pytest.raises(DataError, match="the later export lacks 'amount'; needed are"):
        changes_between(frame, frame.drop(columns="amount"), stages=STAGES)
    with pytest.raises(DataError, match="the earlier export has deals more than once: 'D1'"):
        changes_between(pd.concat([frame, frame[:1]]), frame, stages=STAGES)
    with pytest.raises(ParameterError, match="Name all open stages in order"):
        changes_between(frame, frame)


def test_two_weeks_of_a_ledger_are_compared(tmp_path: Path, week: Changes) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger.record(path, tables(BEFORE, "2026-06-01"))
    with pytest.raises(DataError, match="no snapshot before 2026-06-01 to compare it with"):
        changes_in(path)
    ledger.record(path, tables(AFTER, "2026-06-08"))
    ledger.record(path, tables(AFTER[:3], "2026-06-15"))
    found = changes_in(path, until=date(2026, 6, 8))
    pd.testing.assert_frame_equal(found.bridge, week.bridge)
    pd.testing.assert_frame_equal(found.by_rep, week.by_rep)
    assert found.table["opportunity_id"].tolist() == week.table["opportunity_id"].tolist()
    assert (found.since, found.until, found.currency) == (date(2026, 6, 1), date(2026, 6, 8), "EUR")
    latest = changes_in(path)
    assert (latest.since, latest.until) == (date(2026, 6, 8), date(2026, 6, 15))
    assert set(latest.table["kind"]) == {"vanished"}
    assert changes_in(path, since=date(2026, 6, 1)).until == date(2026, 6, 15)
    with pytest.raises(DataError, match="since is 2026-06-15; it must lie before 2026-06-15"):
        changes_in(path, since=date(2026, 6, 15))
    with pytest.raises(DataError, match="no snapshot of 2026-06-02"):
        changes_in(path, since=date(2026, 6, 2))
