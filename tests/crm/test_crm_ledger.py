"""The ledger of snapshots: nothing lost or doubled, whatever the order; history and slips read off it."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from salessim.crm import Tables, ledger
from salessim.crm.databases import open_database
from salessim.errors import DataError, WorkspaceError
from tests.deals import STAGES, Deal, deal, record_all, tables

pytest_plugins = ["tests.postgres"]

JUNE = date(2026, 6, 1)
#: Number of the week that two writers contest.
LAST = 6


@pytest.fixture(params=["sqlite", "postgresql"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new ledger lies: a file, or a database that other things may be in."""
    if request.param == "sqlite":
        return str(tmp_path / "Kasa {Q2}.sqlite")
    return str(request.getfixturevalue("postgres_url"))


def rows_of(path: str) -> pd.DataFrame:
    """The stored states, straight from the database."""
    engine = create_engine(path if "://" in path else f"sqlite:///{path}", poolclass=NullPool)
    with engine.connect() as connection:
        result = connection.exec_driver_sql(
            "SELECT * FROM salessim_deals ORDER BY opportunity_id, valid_from"
        )
        frame = pd.DataFrame(result.all(), columns=list(result.keys()))
    return frame.astype({"valid_from": str, "valid_to": str})


def same(snapshot: pd.DataFrame, export: Tables) -> None:
    """A snapshot tells what the export said, value by value."""
    told = snapshot.assign(stage=snapshot["stage"].astype("object"))
    said = export.opportunities.sort_values("opportunity_id", ignore_index=True)[list(told.columns)]
    said = said.where(said.notna() | (said.dtypes != "object"), None)
    pd.testing.assert_frame_equal(told, said)


# --- recording ------------------------------------------------------------------------------------


def test_a_snapshot_comes_back_as_it_was(path: str) -> None:
    export = tables(
        [
            deal("D2", "warm", 1200.55, account="Łącka Ltd", segment="SMB", source="веб", product="Basic",
                 expected_close="2026-07-31"),
            deal("D1", "won", 0.1 + 0.2, closed="2026-05-30", created=None),
            deal("D3", "lost", rep=None),
        ],
        "2026-06-08",
    )  # fmt: skip
    done = ledger.record(path, export)
    assert (done.outcome, done.deals, done.snapshots, done.states_written) == ("recorded", 3, 1, 3)
    assert ledger.days(path) == (date(2026, 6, 8),)
    back = ledger.snapshot(path, date(2026, 6, 8))
    same(back, export)
    assert tuple(back["stage"].cat.categories) == (*STAGES, "won", "lost")
    (line,) = ledger.contents(path).to_dict("records")
    assert (line["source"], line["deals"], line["currency"], line["stages"]) == (
        "deals.csv",
        3,
        "EUR",
        STAGES,
    )


def test_the_same_export_again_changes_nothing_and_another_replaces_it(path: str) -> None:
    first = tables([deal("D1", amount=500), deal("D2", amount=900)], "2026-06-08")
    ledger.record(path, first)
    stored = rows_of(path)
    again = ledger.record(path, replace(first, files=()))
    assert (again.outcome, again.states_written) == ("unchanged", 0)
    pd.testing.assert_frame_equal(rows_of(path), stored)
    other = tables([deal("D1", amount=500), deal("D3", amount=100)], "2026-06-08")
    done = ledger.record(path, other)
    assert (done.outcome, done.snapshots, done.states_written) == ("replaced", 1, 1)
    same(ledger.snapshot(path, date(2026, 6, 8)), other)
    assert "another export of 2026-06-08 was there; it is replaced (2 deals)." in done.sentence()


def test_a_state_is_stored_once_and_only_changes_are_written(path: str) -> None:
    deals = [deal(f"D{i}", amount=100 * i) for i in range(1, 6)]
    assert ledger.record(path, tables(deals, "2026-06-01")).states_written == 5
    assert ledger.record(path, tables(deals, "2026-06-08")).states_written == 0
    changed = [*deals[:3], deal("D4", "warm", 400), deal("D6", amount=600)]
    # D4 ends and begins anew, D5 ends, D6 begins
    assert ledger.record(path, tables(changed, "2026-06-15")).states_written == 4
    rows = rows_of(path)
    assert len(rows) == 7
    spans = rows[["opportunity_id", "valid_from", "valid_to"]].values.tolist()
    assert ["D1", "2026-06-01", "2200-01-01"] in spans
    assert ["D4", "2026-06-01", "2026-06-15"] in spans
    assert ["D5", "2026-06-01", "2026-06-15"] in spans


@pytest.mark.parametrize("seed", range(2))
def test_any_order_of_recording_tells_the_same(seed: int, tmp_path: Path) -> None:
    """Days in any order, recorded again and replaced, against a dictionary of whole exports; and compact."""
    draw = np.random.default_rng(seed)
    path, exports = tmp_path / "ledger.sqlite", dict[date, Tables]()
    for _ in range(14):
        day = JUNE + timedelta(days=7 * int(draw.integers(6)))
        present = [f"D{i}" for i in range(5) if draw.random() < 0.75]
        deals = [
            deal(key, str(draw.choice(STAGES)), float(draw.choice([100, 200, np.nan]))) for key in present
        ]
        export = tables(deals, str(day))
        done = ledger.record(path, export)
        assert done.outcome == ("replaced" if day in exports else "recorded") or (
            done.outcome == "unchanged" and day in exports
        )
        exports[day] = export
    assert ledger.days(path) == tuple(sorted(exports))
    expected_rows = 0
    states: dict[str, Any] = {}
    for day in sorted(exports):
        same(ledger.snapshot(path, day), exports[day])
        now = exports[day].opportunities.set_index("opportunity_id")
        fresh = {key: (now["stage"][key], str(now["amount"][key])) for key in now.index}
        expected_rows += sum(states.get(key) != state for key, state in fresh.items())
        states = fresh
    assert len(rows_of(str(path))) == expected_rows


def test_an_empty_export_ends_every_deal(path: str) -> None:
    for number, deals in enumerate(([], [deal("D1", account="")], [], [deal("D1", account="")])):
        ledger.record(path, tables(deals, str(JUNE + timedelta(days=7 * number))))
    assert [len(ledger.snapshot(path, day)) for day in ledger.days(path)] == [0, 1, 0, 1]
    again = ledger.record(path, tables([deal("D1", account="")], str(JUNE + timedelta(days=28))))
    assert again.states_written == 0
    assert len(ledger.stage_history_of(path)) == 1


def test_currencies_and_versions_are_not_mixed(path: str) -> None:
    ledger.record(path, tables([deal("D1")], "2026-06-01"))
    with pytest.raises(DataError, match=r"the ledger is in 'EUR', the export of 2026-06-08 in 'PLN'"):
        ledger.record(path, tables([deal("D1")], "2026-06-08", currency="PLN"))
    # the only day may be put right
    assert ledger.record(path, tables([deal("D1")], "2026-06-01", currency="PLN")).outcome == "replaced"
    engine = create_engine(path if "://" in path else f"sqlite:///{path}", poolclass=NullPool)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE salessim_ledger SET version = 2")
    for attempt in (
        lambda: ledger.record(path, tables([deal("D1")], "2026-06-08")),
        lambda: ledger.days(path),
    ):
        with pytest.raises(WorkspaceError, match="layout 2, this version of salessim knows 1; update"):
            attempt()


def test_what_is_no_ledger_is_said(tmp_path: Path, postgres_url: str) -> None:
    export = tables([deal("D1")], "2026-06-01")
    for missing in (tmp_path / "none.sqlite", postgres_url):
        with pytest.raises(DataError, match="there is no ledger yet; record an export first"):
            ledger.days(missing)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(WorkspaceError, match="is a folder; give the path of a file"):
        ledger.record(tmp_path, export)
    with pytest.raises(WorkspaceError, match="lies in a folder that does not exist"):
        ledger.record(tmp_path / "no" / "ledger.sqlite", export)
    (tmp_path / "notes.txt").write_text("not a ledger\n" * 200)
    with pytest.raises(WorkspaceError, match=r"cannot be written .*not a database"):
        ledger.record(tmp_path / "notes.txt", export)
    with pytest.raises(DataError, match=r"cannot be read .*not a database"):
        ledger.days(tmp_path / "notes.txt")
    ledger.record(tmp_path / "ledger.sqlite", export)
    with pytest.raises(DataError, match="no snapshot of 2026-06-02; it has '2026-06-01'"):
        ledger.snapshot(tmp_path / "ledger.sqlite", date(2026, 6, 2))


def test_a_ledger_beside_a_crm_is_no_part_of_it(postgres_url: str) -> None:
    with create_engine(postgres_url, poolclass=NullPool).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE deals (id TEXT)")
    ledger.record(postgres_url, tables([deal("D1")], "2026-06-01"))
    assert open_database(postgres_url).tables == ("deals",)
    assert ledger.days(postgres_url) == (JUNE,)


def test_a_failure_midway_leaves_the_ledger_as_it_was(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = tables([deal("D1", amount=1)], "2026-06-01")
    ledger.record(path, first)
    stored = rows_of(path)

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ledger._Ledger, "_insert", broken)
    with pytest.raises(KeyboardInterrupt):
        ledger.record(path, tables([deal("D1", amount=2)], "2026-06-08"))
    pd.testing.assert_frame_equal(rows_of(path), stored)
    assert ledger.days(path) == (JUNE,)


def test_two_writers_at_once_lose_and_double_nothing(path: str) -> None:
    """Two processes write the same weeks, neighbours at the same moments; the last one they contest."""

    def week(number: int, writer: str) -> Tables:
        deals = [deal(f"D{i}", STAGES[(i + number) % 3], 100.0 * number) for i in range(40)]
        deals += [deal(f"{writer}{i}", "warm", 1.0) for i in range(5)] if number == LAST else []
        return tables(deals, str(JUNE + timedelta(days=7 * number)))

    orders = {"A": (0, 1, 2, 3, 4, 5, LAST), "B": (1, 0, 3, 2, 5, 4, LAST)}
    weeks = {writer: [week(number, writer) for number in order] for writer, order in orders.items()}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.deals"])  # read once for all of them
    barrier, outcomes = context.Barrier(2), context.SimpleQueue()
    writers = [
        context.Process(target=record_all, args=(path, exports, barrier, outcomes))
        for exports in weeks.values()
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
        assert writer.exitcode == 0
    found = Counter(outcomes.get() for _ in range(2 * (LAST + 1)))
    days = [JUNE + timedelta(days=7 * number) for number in range(LAST + 1)]
    expected = Counter((str(day), "recorded") for day in days)
    expected.update((str(day), "replaced" if day == days[LAST] else "unchanged") for day in days)
    assert found == expected
    assert list(ledger.days(path)) == days
    for day, number in zip(days[:LAST], range(LAST), strict=True):
        same(ledger.snapshot(path, day), week(number, "A"))
    contested = ledger.snapshot(path, days[LAST])
    same(contested, week(LAST, str(contested["opportunity_id"].iloc[0])[0]))
    # each of 40 deals changes every week; five came in the last one
    assert len(rows_of(path)) == 40 * (LAST + 1) + 5


# --- history and slips ----------------------------------------------------------------------------


def weekly(path: str | Path, *weeks: list[Deal]) -> list[Tables]:
    exports = [tables(deals, str(JUNE + timedelta(days=7 * number))) for number, deals in enumerate(weeks)]
    for export in exports:
        ledger.record(path, export)
    return exports


def entries(history: pd.DataFrame) -> list[tuple[str, str, str]]:
    return [(row.opportunity_id, row.stage, str(row.entered.date())) for row in history.itertuples()]


FOUR_WEEKS = (
    [deal("old"), deal("done", "won", 5, closed="2026-04-30"), deal("gone", "warm")],
    [deal("old"), deal("done", "won", 5, closed="2026-04-30"), deal("young", created="2026-06-04")],
    [deal("old", "closing"), deal("done"), deal("young", "warm", created="2026-06-04"), deal("gone", "warm")],
    [
        deal("old", "lost", closed="2026-06-19"),
        deal("done", "won", 5, closed="2026-04-30"),
        deal("young", "cold", created="2026-06-04"),
        deal("late", created="2026-04-01"),
    ],
)


def test_stage_history_counts_from_the_snapshot_that_first_shows_a_stage(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    weekly(path, *FOUR_WEEKS)
    history = ledger.stage_history_of(path)
    assert entries(history) == [
        ("done", "won", "2026-04-30"),  # known to the day
        ("done", "cold", "2026-06-15"),  # reopened
        ("done", "won", "2026-06-15"),  # dated back: not before the stage that it followed
        ("gone", "warm", "2026-06-01"),  # away for a week, and not entered again
        ("late", "cold", "2026-06-22"),  # created long before it is seen
        ("old", "cold", "2026-06-01"),
        ("old", "closing", "2026-06-15"),
        ("old", "lost", "2026-06-19"),
        ("young", "cold", "2026-06-04"),  # created within the week
        ("young", "warm", "2026-06-15"),
        ("young", "cold", "2026-06-22"),  # stepped back
    ]
    assert history.dtypes["entered"] == "datetime64[ns]"
    early = ledger.stage_history_of(path, until=date(2026, 6, 8))
    assert ("young", "cold", "2026-06-04") in entries(early)
    assert early["entered"].max() <= pd.Timestamp("2026-06-08")


def test_an_empty_stage_history_is_filled_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    exports = weekly(path, *FOUR_WEEKS[:2])
    now = tables([deal("old", "closing"), deal("fresh", created="2026-06-11")], "2026-06-12")
    filled = ledger.with_history(now, path)
    assert entries(filled.stage_history) == [
        ("fresh", "cold", "2026-06-11"),
        ("old", "cold", "2026-06-01"),
        ("old", "closing", "2026-06-12"),  # from the export itself, which is not in the ledger
    ]
    first, note = filled.quality.notes
    assert first == "a note"
    assert "taken from 2 snapshots in the ledger since 2026-06-01" in note
    assert "known to within 7 days" in note
    assert ledger.with_history(filled, path) is filled
    # an export from before the ledger began stays without
    early = replace(now, as_of=date(2026, 5, 1))
    assert ledger.with_history(early, path) is early
    renamed = replace(exports[1], as_of=date(2026, 6, 12), stages=("warm", "closing"))
    cut = ledger.with_history(renamed, path)
    assert set(cut.stage_history["stage"]) == {"won"}
    assert "Left out are 2 entries into stages that the CRM no longer has: 'cold'" in cut.quality.notes[1]


def test_slips_are_counted_each_time(tmp_path: Path) -> None:
    def open_until(day: str | None, amount: float = 500) -> Deal:
        return deal("D1", "warm", amount, expected_close=day)

    path = tmp_path / "ledger.sqlite"
    weekly(
        path,
        [open_until("2026-06-30"), deal("D2", expected_close="2026-06-30")],
        [open_until("2026-07-31"), deal("D2", expected_close="2026-06-15")],
        [open_until("2026-07-31", 300), deal("D2", expected_close=None)],
        [open_until("2026-09-30"), deal("D2", "won", 5, expected_close="2026-12-01")],
    )
    slips = ledger.slips_of(path)
    assert slips[["opportunity_id", "days"]].values.tolist() == [["D1", 31], ["D1", 61]]
    assert [str(day.date()) for day in slips["seen_on"]] == ["2026-06-08", "2026-06-22"]
    assert (slips["slipped_from"][1], slips["slipped_to"][1]) == tuple(
        map(pd.Timestamp, ("2026-07-31", "2026-09-30"))
    )
    assert len(ledger.slips_of(path, until=date(2026, 6, 15))) == 1
