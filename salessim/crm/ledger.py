"""The ledger of snapshots: what each weekly export said of every deal, so that the past can be told.

Most CRMs overwrite: a close date that was pushed, an amount that shrank, a deal that was deleted leave no
trace. The ledger keeps the deals of each export in three tables of a SQLite file, or of any database:

- ``salessim_ledger``: the version of this layout; its one row is what writers lock.
- ``salessim_snapshots``: one row per day: where it came from, its hash, deals, currency and stages.
- ``salessim_deals``: one row per deal and state, with the day of the snapshot that first showed the state
  (``valid_from``) and of the first that no longer did (``valid_to``; 2200-01-01: still so).

A state is kept once, not once a week: most deals are closed and never change again, so a year of weekly
exports takes little more room than one, and stage changes and slips can be read off the rows. Nothing
personal is stored beyond the names of reps and accounts.
"""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
import pandas as pd

from salessim import formats
from salessim.crm.canonical import Tables, empty
from salessim.crm.databases import OWN_PREFIX, columns_of, engine_of, one_line, shown
from salessim.errors import DataError, WorkspaceError, listed

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

__all__ = [
    "Recorded",
    "contents",
    "days",
    "record",
    "slips_of",
    "snapshot",
    "stage_history_of",
    "with_history",
]

_VERSION = 1
_TEXTS = ("opportunity_id", "rep", "account", "segment", "source", "product", "stage", "status")
_DATES = ("created", "closed", "expected_close")
_STATE = (*_TEXTS, *_DATES, "amount")
_SPAN = ("valid_from", "valid_to")
_STILL = date(2200, 1, 1)  # later days than 2262 do not fit the days of pandas
_WEEK = pd.Timedelta(days=7)
_ROWS_AT_ONCE = 10_000
_TRIES = 5
_FIRST_WAIT_SECONDS = 0.03
_BUSY_MILLISECONDS = 60_000  # for as long SQLite waits for another writer to finish

_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Recorded:
    """What :func:`record` did: the day, the deals of the export, the snapshots that the ledger now holds.

    ``outcome`` is ``recorded`` (a new day), ``unchanged`` (the same export was there already) or ``replaced``
    (another export of that day was there). ``states_written`` counts the rows that had to be written.
    """

    ledger: str
    day: date
    deals: int
    outcome: Literal["recorded", "unchanged", "replaced"]
    snapshots: int
    states_written: int

    def sentence(self) -> str:
        """Return the outcome in words.

        >>> Recorded("ledger.sqlite", date(2026, 6, 8), 120, "unchanged", 3, 0).sentence()
        'ledger.sqlite holds this export of 2026-06-08 already; nothing was changed. It has 3 snapshots.'
        """
        done = {
            "recorded": f"{self.ledger}: {formats.count(self.deals)} deals of {self.day} recorded.",
            "unchanged": f"{self.ledger} holds this export of {self.day} already; nothing was changed.",
            "replaced": f"{self.ledger}: another export of {self.day} was there; it is replaced "
            f"({formats.count(self.deals)} deals).",
        }
        return f"{done[self.outcome]} It has {self.snapshots} snapshot{'' if self.snapshots == 1 else 's'}."


# --- writing --------------------------------------------------------------------------------------


def record(ledger: str | Path, tables: Tables, *, taken_on: date | None = None) -> Recorded:
    """Keep the deals of an export as they stood on its day.

    ``ledger`` is the path of a SQLite file, made when missing, or a SQLAlchemy URL; ``taken_on`` the day of
    the export (None: ``tables.as_of``). The same export for the same day changes nothing; another one
    replaces it; an earlier day than the latest is sorted in. All or nothing is written, whoever else writes
    at the same time.

    Raises:
        DataError: the other snapshots are in another currency.
        WorkspaceError: the ledger cannot be written, or was made by a later version.

    >>> import tempfile
    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> tables = read(example_crm())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "ledger.sqlite")
    ...     first, again = record(path, tables), record(path, tables)
    ...     known = days(path) == (tables.as_of,)
    >>> first.outcome, again.outcome, known
    ('recorded', 'unchanged', True)
    """
    day = taken_on or tables.as_of
    day = day.date() if isinstance(day, datetime) else day
    states = _states(tables.opportunities).sort_values("opportunity_id", ignore_index=True)
    about = {
        "day": day,
        "source": ", ".join(file.name for file in tables.files),
        "sha256": _digest(states),
        "deals": len(states),
        "currency": tables.currency,
        "stages": json.dumps(tables.stages, ensure_ascii=False),
    }
    opened = _Ledger.at(ledger, writes=True)

    def write(connection: Connection) -> Recorded:
        kept = opened.snapshots(connection)
        other = kept[kept["day"] != pd.Timestamp(day)]
        there = kept[kept["day"] == pd.Timestamp(day)].to_dict("records")
        differing = sorted(set(other["currency"]) - {tables.currency})
        if differing:
            raise DataError(
                f"{opened.name}: the ledger is in {listed(differing)}, the export of {day} in "
                f"'{tables.currency}'; use a ledger for each currency, or convert the export (rates)"
            )
        same = ("sha256", "currency", "stages")
        if there and all(there[0][name] == about[name] for name in same):
            return Recorded(opened.name, day, len(states), "unchanged", len(kept), 0)
        written = opened.put(connection, states, day=day, other_days=[d.date() for d in other["day"]])
        layout = opened.layout
        connection.execute(layout.snapshots.delete().where(layout.snapshots.c.day == day))
        connection.execute(layout.snapshots.insert(), [about])
        outcome: Literal["recorded", "replaced"] = "replaced" if there else "recorded"
        return Recorded(opened.name, day, len(states), outcome, len(other) + 1, written)

    return opened.write(write)


def _states(deals: pd.DataFrame) -> pd.DataFrame:
    """The columns that are kept, in their types: texts as str or None, days without time."""
    frame = pd.DataFrame(index=deals.index)
    for name in _TEXTS:
        texts = deals[name].astype("object")
        frame[name] = texts.where(texts.notna() & (texts != ""), None)
    for name in _DATES:
        days_of: Any = deals[name]  # all of them missing come as whatever type
        frame[name] = pd.to_datetime(days_of).dt.normalize().astype("datetime64[ns]")
    frame["amount"] = deals["amount"].astype("float64")
    return frame


def _digest(states: pd.DataFrame) -> str:
    digest = hashlib.sha256()
    for name in _STATE:
        digest.update(pd.util.hash_pandas_object(states[name], index=False).to_numpy().tobytes())
    return digest.hexdigest()


def _joined_spans(pieces: pd.DataFrame) -> pd.DataFrame:
    """Spans of the same deal that follow on each other without a change, as one."""
    pieces = pieces.sort_values(["opportunity_id", "valid_from"], kind="stable", ignore_index=True)
    goes_on = (pieces["valid_from"] == pieces["valid_to"].shift()).to_numpy()
    for name in _STATE:
        values, before = pieces[name], pieces[name].shift()
        goes_on &= ((values == before) | (values.isna() & before.isna())).to_numpy()
    starts = np.flatnonzero(~goes_on)
    ends = np.append(starts[1:], len(pieces)) - 1
    joined = pieces.iloc[starts].copy()
    joined["valid_to"] = pieces["valid_to"].to_numpy()[ends] if len(pieces) else joined["valid_to"]
    return joined


@functools.cache
def _layout() -> SimpleNamespace:
    from sqlalchemy import Column, Date, Double, Integer, MetaData, String, Table, Text

    metadata = MetaData()
    ledger = Table(
        f"{OWN_PREFIX}ledger", metadata, Column("version", Integer, primary_key=True, autoincrement=False)
    )
    snapshots = Table(
        f"{OWN_PREFIX}snapshots",
        metadata,
        Column("day", Date, primary_key=True),
        Column("source", Text, nullable=False),
        Column("sha256", String(64), nullable=False),
        Column("deals", Integer, nullable=False),
        Column("currency", String(3), nullable=False),
        Column("stages", Text, nullable=False),
    )
    deals = Table(
        f"{OWN_PREFIX}deals",
        metadata,
        Column("opportunity_id", String(255), primary_key=True),
        Column("valid_from", Date, primary_key=True),
        Column("valid_to", Date, nullable=False),
        *(Column(name, Text) for name in _TEXTS[1:]),
        *(Column(name, Date) for name in _DATES),
        Column("amount", Double),
    )
    return SimpleNamespace(metadata=metadata, ledger=ledger, snapshots=snapshots, deals=deals)


@dataclass(frozen=True, eq=False)
class _Ledger:
    """A ledger that can be read and written; ``file`` is None in a database that is no file of ours."""

    name: str
    engine: Engine
    file: Path | None
    layout: SimpleNamespace

    @classmethod
    def at(cls, ledger: str | Path, *, writes: bool = False) -> _Ledger:
        from sqlalchemy import URL, event

        by_url = "://" in str(ledger)
        engine = engine_of(str(ledger) if by_url else URL.create("sqlite", database=str(ledger)))
        file = None
        if engine.dialect.name == "sqlite":
            file = Path(engine.url.database or "")
            event.listen(engine, "connect", _on_connect_to_write if writes else _on_connect)
            event.listen(engine, "begin", _begin_to_write if writes else _begin)
        name = shown(engine.url) if by_url or file is None else file.name
        return cls(name, engine, file, _layout())

    def write(self, work: Callable[[Connection], _Result]) -> _Result:
        """Do the work in one transaction that no other writer comes between; again if one was in the way."""
        from sqlalchemy.exc import SQLAlchemyError

        if self.file is not None and (self.file.is_dir() or not self.file.absolute().parent.is_dir()):
            what = "is a folder" if self.file.is_dir() else "lies in a folder that does not exist"
            raise WorkspaceError(
                f"ledger '{self.file}' {what}; give the path of a file, such as ledger.sqlite"
            )
        tries = 0
        while True:
            tries += 1
            try:
                with self.engine.begin() as connection:
                    self._lock(connection)
                    return work(connection)
            except SQLAlchemyError as error:
                if tries == _TRIES:
                    reason = one_line(error, self.engine.url)
                    raise WorkspaceError(f"{self.name}: the ledger cannot be written ({reason})") from None
                time.sleep(_FIRST_WAIT_SECONDS * 2**tries)

    def _lock(self, connection: Connection) -> None:
        from sqlalchemy import select

        self.layout.metadata.create_all(connection)
        rows = select(self.layout.ledger.c.version).with_for_update()
        version = connection.execute(rows).scalar()
        if version is None:  # two who insert it collide in the primary key, and the later one tries again
            connection.execute(self.layout.ledger.insert(), [{"version": _VERSION}])
        else:
            self._check(version)

    def _check(self, version: int) -> None:
        if version != _VERSION:
            raise WorkspaceError(
                f"{self.name}: the ledger has layout {version}, this version of salessim knows {_VERSION}; "
                "update salessim"
            )

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that sees one state of the ledger throughout; a DataError where there is no ledger."""
        from sqlalchemy import inspect, select
        from sqlalchemy.exc import SQLAlchemyError

        missing = f"{self.name}: there is no ledger yet; record an export first (salessim snapshot)"
        if self.file is not None and not self.file.is_file():
            raise DataError(missing)
        try:
            with self.engine.connect() as plain:
                isolation: Any = {"isolation_level": "REPEATABLE READ"}
                one_view = self.engine.dialect.name in ("postgresql", "mysql", "mariadb")
                connection = plain.execution_options(**isolation) if one_view else plain
                if not inspect(connection).has_table(self.layout.ledger.name):
                    raise DataError(missing)
                self._check(connection.execute(select(self.layout.ledger.c.version)).scalar_one())
                yield connection
        except SQLAlchemyError as error:
            raise DataError(
                f"{self.name}: the ledger cannot be read ({one_line(error, self.engine.url)})"
            ) from None

    def snapshots(self, connection: Connection) -> pd.DataFrame:
        """The table of snapshots, by day."""
        from sqlalchemy import select

        layout = self.layout.snapshots
        rows = connection.execute(select(layout).order_by(layout.c.day)).mappings().all()
        frame = pd.DataFrame([dict(row) for row in rows], columns=[column.name for column in layout.c])
        return frame.assign(day=pd.to_datetime(frame["day"]))

    def states(self, connection: Connection, *where: Any) -> pd.DataFrame:
        """States with their span, those that fulfil the conditions, by deal and day."""
        from sqlalchemy import select

        deals = self.layout.deals
        names = (*_STATE, *_SPAN)
        query = select(*(deals.c[name] for name in names)).where(*where)
        options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
        read = columns_of(connection.execute(query, execution_options=options))
        frame = pd.DataFrame(dict(zip(names, read, strict=True)))
        spans = {
            name: pd.to_datetime(frame[name].astype("object")).astype("datetime64[ns]") for name in _SPAN
        }
        # sorted here: databases differ in the order of texts
        return _states(frame).assign(**spans).sort_values(["opportunity_id", "valid_from"], ignore_index=True)

    def put(self, connection: Connection, states: pd.DataFrame, *, day: date, other_days: list[date]) -> int:
        """Make the states those of the day, and return how many rows that took.

        Only spans that touch the day are looked at: they are cut there, the new states are laid between, and
        what then goes on unchanged is joined again. A new day, a replaced one and one that is sorted in are
        the same to this.
        """
        deals = self.layout.deals
        following = min((other for other in other_days if other > day), default=_STILL)
        near = self.states(connection, deals.c.valid_to >= day, deals.c.valid_from <= following)
        this, then = pd.Timestamp(day), pd.Timestamp(following)
        before = near[near["valid_from"] < this].assign(valid_to=this)
        after = near[near["valid_to"] > then].assign(valid_from=then)
        now = states.assign(valid_from=this, valid_to=then)
        made = _joined_spans(pd.concat([part for part in (before, now, after) if len(part)] or [now]))
        both = pd.concat([part for part in (near, made) if len(part)] or [now], ignore_index=True)
        changed = both[~both.duplicated(keep=False)]
        gone, new = changed[changed.index < len(near)], changed[changed.index >= len(near)]
        self._delete(connection, gone)
        self._insert(connection, new)
        return len(new)

    def _delete(self, connection: Connection, states: pd.DataFrame) -> None:
        from sqlalchemy import bindparam

        deals = self.layout.deals
        this = (deals.c.opportunity_id == bindparam("deal")) & (deals.c.valid_from == bindparam("start"))
        for start in range(0, len(states), _ROWS_AT_ONCE):
            part = states.iloc[start : start + _ROWS_AT_ONCE]
            keys = zip(part["opportunity_id"], part["valid_from"].dt.date, strict=True)
            connection.execute(
                deals.delete().where(this), [{"deal": deal, "start": day} for deal, day in keys]
            )

    def _insert(self, connection: Connection, states: pd.DataFrame) -> None:
        for start in range(0, len(states), _ROWS_AT_ONCE):
            part = states.iloc[start : start + _ROWS_AT_ONCE]
            columns = {name: _plain(part[name]) for name in (*_STATE, *_SPAN)}
            rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            connection.execute(self.layout.deals.insert(), rows)


def _plain(column: pd.Series) -> list[Any]:
    """Values as a database takes them: days as dates, and None for what is missing."""
    values: Any = column.dt.date if column.dtype.kind == "M" else column
    return [None if gap else value for value, gap in zip(values.tolist(), column.isna(), strict=True)]


def _on_connect(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # else the driver begins transactions itself, and later than we do
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")


def _on_connect_to_write(connection: Any, _: Any) -> None:
    _on_connect(connection, _)
    connection.execute("PRAGMA journal_mode = WAL")


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _begin_to_write(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


# --- reading --------------------------------------------------------------------------------------


def contents(ledger: str | Path) -> pd.DataFrame:
    """Return the snapshots of a ledger by day: day, source, sha256, deals, currency, stages (a tuple).

    A DataError says when there is no ledger, or it cannot be read.
    """
    opened = _Ledger.at(ledger)
    with opened.reading() as connection:
        frame = opened.snapshots(connection)
    return frame.assign(stages=pd.Series([tuple(json.loads(each)) for each in frame["stages"]], dtype=object))


def days(ledger: str | Path) -> tuple[date, ...]:
    """Return the days of which a ledger holds a snapshot, earliest first (see :func:`record`)."""
    return tuple(day.date() for day in contents(ledger)["day"])


def snapshot(ledger: str | Path, day: date) -> pd.DataFrame:
    """Return the deals as the export of a day showed them, by opportunity_id.

    Columns opportunity_id, rep, account, segment, source, product, stage, status, created, closed,
    expected_close and amount, as in :attr:`Tables.opportunities`; ``stage`` is an ordered category: the open
    stages of that export in order, then won and lost.

    Raises:
        DataError: the ledger has no snapshot of that day; the days it has are named.
    """
    opened = _Ledger.at(ledger)
    with opened.reading() as connection:
        kept = opened.snapshots(connection)
        there = kept[kept["day"] == pd.Timestamp(day)].to_dict("records")
        if not there:
            known = listed([each.date() for each in kept["day"]][::-1])
            raise DataError(f"{opened.name}: the ledger has no snapshot of {day}; it has {known}")
        deals = opened.layout.deals
        states = opened.states(connection, deals.c.valid_from <= day, deals.c.valid_to > day)
    order = [*json.loads(str(there[0]["stages"])), "won", "lost"]
    stages = pd.Categorical(states["stage"], categories=order, ordered=True)
    return states[list(_STATE)].assign(stage=stages)


def stage_history_of(ledger: str | Path, *, until: date | None = None) -> pd.DataFrame:
    """Return when deals entered their stages, as snapshots show it: opportunity_id, stage, entered.

    A stage counts from the day of the snapshot that first shows it. Two days are known better: a deal that
    was created within the week before it is first seen entered its stage then, and a won or lost deal counts
    from its close date. Stages that a deal passed between two snapshots are not seen. ``until`` leaves out
    what later snapshots show.
    """
    opened = _Ledger.at(ledger)
    last = until or _STILL
    with opened.reading() as connection:
        return _entries(opened.states(connection, opened.layout.deals.c.valid_from <= last))


def _entries(states: pd.DataFrame) -> pd.DataFrame:
    """Changes of stage in a table of states (with ``valid_from``) as a stage history."""
    rows = states.sort_values(["opportunity_id", "valid_from"], kind="stable", ignore_index=True)
    stays = (rows[["opportunity_id", "stage"]] == rows[["opportunity_id", "stage"]].shift()).all(axis=1)
    rows = rows[~stays]
    seen, created, closed = rows["valid_from"], rows["created"], rows["closed"]
    first = ~rows["opportunity_id"].duplicated()
    is_open = rows["status"] == "open"
    entered = seen.mask(first & is_open & (created <= seen) & (created >= seen - _WEEK), created)
    entered = entered.mask(~is_open & (closed <= seen), closed)
    # a win that is dated back before the deal was last seen open follows that stage all the same
    entered = entered.groupby(rows["opportunity_id"]).cummax()
    history = rows[["opportunity_id", "stage"]].assign(entered=entered)
    return history.astype(empty("stage_history").dtypes.to_dict()).reset_index(drop=True)


def with_history(tables: Tables, ledger: str | Path) -> Tables:
    """Return the tables with a stage history from the ledger, where the CRM keeps none.

    Snapshots up to ``tables.as_of`` count, and the export itself as one more. A note in the quality report
    says from which day on stages are known and how exactly. Tables that have a stage history, and all tables
    while the ledger has no snapshot so early, come back as they are. A DataError says if there is no ledger.

    >>> import tempfile
    >>> from salessim.crm import read
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ledger, export = Path(folder, "ledger.sqlite"), Path(folder, "opportunities.csv")
    ...     header = "opportunity_id,rep,stage,created,closed,amount\\n"
    ...     for day, stage in ((8, "cold lead"), (15, "warm lead")):
    ...         _ = export.write_text(f"{header}D1,Rep Alpha,{stage},2026-06-03,,500\\n")
    ...         tables = read(folder, as_of=date(2026, 6, day))
    ...         _ = record(ledger, tables)
    ...     history = with_history(tables, ledger).stage_history
    >>> history
      opportunity_id      stage    entered
    0             D1  cold lead 2026-06-03
    1             D1  warm lead 2026-06-15
    """
    if not tables.stage_history.empty:
        return tables
    opened = _Ledger.at(ledger)
    with opened.reading() as connection:
        kept = opened.snapshots(connection)
        states = opened.states(connection, opened.layout.deals.c.valid_from <= tables.as_of)
    last = pd.Timestamp(tables.as_of)
    seen = kept.loc[kept["day"] <= last, "day"]
    if seen.empty:
        return tables
    today = _states(tables.opportunities).assign(valid_from=last)
    states = states[states["opportunity_id"].isin(today["opportunity_id"])]
    history = _entries(pd.concat([states, today]))
    known = history["stage"].isin([*tables.stages, "won", "lost"])
    gaps = pd.Series([*seen, last]).drop_duplicates().diff().dt.days
    widest = f" to within {gaps.max():.0f} days" if gaps.notna().any() else ""
    note = (
        f"The CRM keeps no stage history; it is taken from {len(seen)} snapshots in the ledger since "
        f"{seen.min().date()}. A stage counts from the snapshot that first shows it, so times in stage are "
        f"known{widest}, and deals that were there on the first day count from it."
    )
    if not known.all():
        gone = sorted(set(history.loc[~known, "stage"]))
        entries = f"{(~known).sum():,} entries into stages that the CRM no longer has"
        note += f" Left out are {entries}: {listed(gone)}."
    quality = replace(tables.quality, notes=(*tables.quality.notes, note))
    return replace(tables, stage_history=history[known].reset_index(drop=True), quality=quality)


def slips_of(ledger: str | Path, *, until: date | None = None) -> pd.DataFrame:
    """Return each time that an open deal's expected close was moved to a later day, by day seen and deal.

    Columns opportunity_id, account, rep, stage, amount (after), slipped_from, slipped_to, days (between the
    two) and seen_on, the day of the snapshot that first shows it; ``until`` leaves out later ones. A deal has
    as many rows as times that it slipped.
    """
    opened = _Ledger.at(ledger)
    with opened.reading() as connection:
        states = opened.states(connection, opened.layout.deals.c.valid_from <= (until or _STILL))
    rows = states.sort_values(["opportunity_id", "valid_from"], kind="stable", ignore_index=True)
    before = rows.groupby("opportunity_id")[["expected_close", "status"]].shift()
    slipped = (rows["status"] == "open") & (before["status"] == "open")
    slipped &= rows["expected_close"] > before["expected_close"]
    found = rows.assign(slipped_from=before["expected_close"])[slipped].rename(
        columns={"expected_close": "slipped_to", "valid_from": "seen_on"}
    )
    found = found.assign(days=(found["slipped_to"] - found["slipped_from"]).dt.days)
    names = [
        "opportunity_id",
        "account",
        "rep",
        "stage",
        "amount",
        "slipped_from",
        "slipped_to",
        "days",
        "seen_on",
    ]
    return found.sort_values(["seen_on", "opportunity_id"], kind="stable")[names].reset_index(drop=True)
