"""Databases as exports: values of every type, only what is asked for, never a write, never a password."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from salessim.crm import databases, read
from salessim.crm.canonical import SPECS
from salessim.crm.databases import open_database
from salessim.errors import DataError
from salessim.library import example_crm

pytest_plugins = ["tests.postgres"]


def execute(url: str, *statements: str) -> None:
    with create_engine(url, poolclass=NullPool).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'crm.db'}"
    execute(url, "CREATE TABLE marker (x INTEGER)", "DROP TABLE marker")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database, once in SQLite and once in PostgreSQL."""
    name = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(name))


def cells(url: str, table: str, columns: Sequence[str]) -> dict[str, pd.Series]:
    return dict(open_database(url).read(table, columns=columns).cells)


DEALS = (
    'CREATE TABLE "Deals" (id VARCHAR(9) PRIMARY KEY, "Deal  Owner" VARCHAR(40), amount NUMERIC(12, 2), '
    'employees INTEGER, "order" INTEGER NOT NULL, secret VARCHAR(9))'
)
ROWS = (
    """INSERT INTO "Deals" VALUES ('D2', 'Łucja Żak', 1200.50, NULL, 2, 'x')""",
    """INSERT INTO "Deals" VALUES ('D1', '', NULL, 7, 1, 'x')""",
    """INSERT INTO "Deals" VALUES ('D3', ' ', 0.10, 12, 3, 'x')""",
)


# --- reading --------------------------------------------------------------------------------------


def test_tables_and_views_are_read_by_column_in_the_order_of_the_key(url: str) -> None:
    execute(url, DEALS, *ROWS, """CREATE VIEW big AS SELECT id FROM "Deals" WHERE amount > 1000""")
    export = open_database(url)
    assert export.tables == ("Deals", "big")
    assert export.header("Deals") == ("id", "Deal Owner", "amount", "employees", "order", "secret")
    read = export.read("Deals", columns=["ID", "deal  owner", "amount", "Employees", "order", "no such"])
    assert list(read.cells) == ["id", "deal owner", "amount", "employees", "order"]
    assert read.cells["id"].tolist() == ["D1", "D2", "D3"]
    assert read.cells["id"].dtype == "category"
    assert read.cells["deal owner"].isna().tolist() == [True, False, False]
    assert read.cells["deal owner"].tolist()[1:] == ["Łucja Żak", " "]
    assert read.cells["amount"].dtype == "float64"
    assert read.cells["amount"].fillna(-1).tolist() == [-1, 1200.5, 0.1]
    assert read.cells["employees"].dtype == "Int64"
    assert read.cells["order"].dtype == "int64"
    assert read.rows.tolist() == [2, 3, 4]
    assert (read.file.name, read.file.records, read.file.bytes, read.file.delimiter) == ("Deals", 3, 0, "")
    assert (read.malformed, read.guessed) == ((), False)
    assert export.read("big", columns=["id"]).cells["id"].tolist() == ["D2"]


def test_only_the_columns_asked_for_are_selected(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    execute(url, DEALS, *ROWS)
    run: list[str] = []
    original = databases._run

    def noted(connection: Any, query: Any) -> Any:
        run.append(str(query))
        return original(connection, query)

    monkeypatch.setattr(databases, "_run", noted)
    open_database(url).read("Deals", columns=["Deal Owner", "order"])
    assert len(run) == 1
    assert run[0].split("FROM")[0].split() == 'SELECT "Deals"."Deal  Owner", "Deals"."order"'.split()
    assert "secret" not in run[0]


def test_the_hash_tells_values_apart(url: str) -> None:
    execute(url, DEALS, *ROWS)

    def digest() -> str:
        return open_database(url).read("Deals", columns=["id", "amount"]).file.sha256

    first = digest()
    assert digest() == first
    execute(url, """UPDATE "Deals" SET employees = 8""")
    assert digest() == first  # a column that was not asked for
    execute(url, """UPDATE "Deals" SET amount = 1200.51 WHERE id = 'D2'""")
    assert digest() != first


def test_queries_name_the_tables(url: str) -> None:
    execute(url, DEALS, *ROWS)
    export = open_database(
        url,
        queries={
            "opportunities": "deals",
            "owners": """ -- who owns what: ':x' and 50 % of them
                SELECT "Deal  Owner" AS rep, ':x 5%' AS odd FROM "Deals" WHERE "Deal  Owner" LIKE 'Ł%';""",
        },
    )
    assert export.tables == ("opportunities", "owners")
    assert "amount" in export.header("opportunities")
    assert export.header("owners") == ("rep", "odd")
    read = export.read("owners", columns=["odd", "rep"])
    assert {key: cell.tolist() for key, cell in read.cells.items()} == {
        "odd": [":x 5%"],
        "rep": ["Łucja Żak"],
    }
    assert read.file.name == "owners"


def test_a_table_in_portions_is_the_same_as_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a portion happens to hold: nothing at all, whole numbers only, repeated words."""
    execute(
        url, "CREATE TABLE t (id INTEGER PRIMARY KEY, gaps INTEGER, number NUMERIC, word TEXT, empty TEXT)"
    )
    rows = [
        f"({i}, {'NULL' if i < 4 else i}, {i if i < 6 else i + 0.5}, '{'ab'[i % 2]}', NULL)"
        for i in range(10)
    ]
    execute(url, f"INSERT INTO t VALUES {', '.join(rows)}")
    columns = ["id", "gaps", "number", "word", "empty"]
    whole = cells(url, "t", columns)
    monkeypatch.setattr(databases, "_PORTION", 2)
    portions = cells(url, "t", columns)
    for name in columns:
        pd.testing.assert_series_equal(portions[name], whole[name], check_names=False)
    kinds = {name: str(cell.dtype) for name, cell in whole.items()}
    assert kinds == {
        "id": "int64",
        "gaps": "Int64",
        "number": "float64",
        "word": "category",
        "empty": "category",
    }
    assert whole["empty"].isna().all()


def test_an_empty_table_has_its_header_and_no_rows(url: str) -> None:
    execute(url, DEALS)
    read = open_database(url).read("Deals", columns=["id", "amount"])
    assert (len(read.rows), {len(cell) for cell in read.cells.values()}) == (0, {0})


def test_sqlite_values_of_several_types_in_one_column_become_text(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    execute(sqlite_url, "CREATE TABLE t (mixed, blob, wide)")
    execute(
        sqlite_url,
        "INSERT INTO t VALUES (1001, x'c581', 170141183460469231731687303715884105727)",
        "INSERT INTO t VALUES ('A7', x'ff00', 1e999)",
        "INSERT INTO t VALUES (NULL, NULL, 2.5)",
    )
    for portion in (20_000, 1):
        monkeypatch.setattr(databases, "_PORTION", portion)
        read = cells(sqlite_url, "t", ["mixed", "blob", "wide"])
        assert read["mixed"].tolist()[:2] == ["1001", "A7"]
        assert read["blob"].tolist()[:2] == ["Ł", "ff00"]
        assert read["wide"].tolist() == ["1.7014118346046923e+38", "inf", "2.5"]


def test_postgresql_types_arrive_as_what_they_are(postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE SCHEMA crm",
        "CREATE TYPE crm.state AS ENUM ('open', 'won')",
        "CREATE TABLE crm.deals (id NUMERIC(20, 0) PRIMARY KEY, money NUMERIC(14, 2), day DATE, "
        "at TIMESTAMP, zoned TIMESTAMPTZ, far DATE, odd NUMERIC, active BOOLEAN, extra JSONB, tags TEXT[], "
        "state crm.state, ratio DOUBLE PRECISION, mark UUID)",
        "INSERT INTO crm.deals VALUES (90071992547409931, 1234.56, '2026-01-05', '2026-01-05 23:59:59.25', "
        "'2026-01-05 23:30:00+00', '0001-01-01', 5, TRUE, '{\"město\": 1}', '{a,b}', 'won', 0.5, "
        "'00000000-0000-0000-0000-000000000001')",
        "INSERT INTO crm.deals (id, far, odd) VALUES (90071992547409933, '2026-02-01', 'NaN')",
    )
    export = open_database(postgres_url)
    assert export.tables == ("crm.deals",)
    header = export.header("crm.deals")
    read = export.read("crm.deals", columns=header).cells
    assert read["id"].tolist() == [90071992547409931, 90071992547409933]  # a float would round them
    first = {name: cell[0] for name, cell in read.items()}
    assert first["money"] == 1234.56
    assert first["day"] == pd.Timestamp("2026-01-05")
    assert first["at"] == pd.Timestamp("2026-01-05 23:59:59.25")
    assert first["zoned"] == pd.Timestamp("2026-01-05 23:30:00")
    assert {str(read[name].dtype) for name in ("day", "at", "zoned")} == {"datetime64[ns]"}
    assert read["far"].tolist() == ["0001-01-01", "2026-02-01"]
    assert (read["odd"].dtype, read["odd"].isna().tolist()) == ("float64", [False, True])
    assert (first["active"], first["state"], first["ratio"]) == ("true", "won", 0.5)
    assert (first["extra"], first["tags"]) == ('{"město": 1}', '["a", "b"]')
    assert first["mark"].endswith("-000000000001")
    named = open_database(postgres_url, queries={"opportunities": "crm.deals"})
    assert named.header("opportunities") == header


def test_dates_that_python_cannot_hold_are_text(postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE TABLE deals (id INTEGER PRIMARY KEY, closed DATE, created TIMESTAMP)",
        "INSERT INTO deals VALUES (1, 'infinity', '2026-01-05 10:00'), (2, '2026-02-01', NULL)",
    )
    read = cells(postgres_url, "deals", ["id", "closed", "created"])
    assert read["closed"].tolist() == ["infinity", "2026-02-01"]
    assert read["created"].tolist()[0] == "2026-01-05 10:00:00"
    with pytest.raises(DataError, match="table 'q' cannot be read"):
        open_database(postgres_url, queries={"q": "SELECT closed FROM deals"}).read("q", columns=["closed"])


# --- never a write, never a password --------------------------------------------------------------


def test_nothing_can_be_written(url: str) -> None:
    execute(url, DEALS, *ROWS)
    with pytest.raises(DataError, match="there is no table 'DELETE FROM"):
        open_database(url, queries={"d": 'DELETE FROM "Deals"'})
    writing = "WITH gone AS (SELECT 1) INSERT INTO \"Deals\" SELECT 'D9', NULL, NULL, NULL, 9, NULL"
    with pytest.raises(DataError, match="cannot be read"):
        open_database(url, queries={"d": writing}).read("d", columns=["id"])
    assert len(open_database(url).read("Deals", columns=["id"]).rows) == 3


def test_a_database_function_that_writes_is_refused(postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE TABLE t (x INTEGER)",
        "CREATE FUNCTION add() RETURNS INTEGER LANGUAGE SQL AS 'INSERT INTO t VALUES (1) RETURNING x'",
    )
    with pytest.raises(DataError, match="read-only transaction"):
        open_database(postgres_url, queries={"q": "SELECT add() AS x"}).read("q", columns=["x"])


def test_a_missing_sqlite_file_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist; a path from the root has four slashes"):
        open_database(f"sqlite:///{tmp_path / 'none.db'}")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(DataError, match="is a folder"):
        open_database(f"sqlite:///{tmp_path}")


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deals.csv").write_text("id,amount\n" * 200)
    with pytest.raises(DataError, match="file is not a database"):
        open_database(f"sqlite:///{tmp_path / 'deals.csv'}")


def test_a_view_whose_table_is_gone_does_not_hide_the_others(sqlite_url: str) -> None:
    execute(sqlite_url, "CREATE TABLE a (x)", "CREATE TABLE b (x)", "CREATE VIEW v AS SELECT x FROM a")
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("DELETE FROM sqlite_master WHERE name = 'a'")
    connection.close()
    export = open_database(sqlite_url)
    assert export.tables == ("b", "v")
    assert [export.header(table) for table in export.tables] == [("x",), ()]


def test_the_password_is_never_shown(postgres_url: str) -> None:
    execute(postgres_url, DEALS)
    assert "geheim" in postgres_url
    export = open_database(postgres_url)
    assert export.name.startswith("postgresql+psycopg://postgres:***@/test_")
    assert "geheim" not in repr(export)
    away = postgres_url.split("?")[0] + "?host=/nowhere&sslpassword=geheim"
    wrong = (
        away,
        postgres_url.replace("+psycopg", "+nodriver"),
        postgres_url.replace("/test_", "/missing_"),
        "postgresql+psycopg://me:geheim",
        "://me:geheim@host",
        "postgresql+psycopg://me:geheim@host:port/crm",
        "sqlite:///crm.db?geheim",
    )
    for url in wrong:
        with pytest.raises(DataError) as refused:
            open_database(url)
        assert "geheim" not in str(refused.value)
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("crm database://x", "the address of the database cannot be read"),
        ("postgres://reader@host/crm", r"no dialect or driver 'postgres' is known; write postgresql\+psycopg://"),
        ("nosuch://reader@host/crm", "no dialect or driver 'nosuch' is known; for example"),
        ("mysql+pymysql://reader@host/crm", "driver 'pymysql' is not installed; .* pip install PyMySQL"),
        ("postgresql+psycopg://reader@127.0.0.1:1/crm", "cannot connect"),
    ],
)  # fmt: skip
def test_what_stands_in_the_way_is_said(url: str, what: str) -> None:
    with pytest.raises(DataError, match=what):
        open_database(url)


def test_what_a_database_lacks_is_said(url: str) -> None:
    with pytest.raises(DataError, match="the database has no table"):
        open_database(url)
    execute(url, DEALS)
    with pytest.raises(
        DataError, match=r"no table 'offers' \(for 'opportunities'\). The database has 'Deals'"
    ):
        open_database(url, queries={"opportunities": "offers"})
    with pytest.raises(DataError, match="there is no table 'offers'; the database has 'Deals'"):
        open_database(url).read("offers", columns=["id"])
    with pytest.raises(DataError, match=r"table 'q' cannot be read .*no.such"):
        open_database(url, queries={"q": 'SELECT no_such FROM "Deals"'}).header("q")


# --- from end to end ------------------------------------------------------------------------------


KINDS = {"date": "DATE", "money": "NUMERIC(14, 2)", "number": "NUMERIC", "text": "TEXT"}


def typable(folder: Path, into: Path) -> dict[str, pd.DataFrame]:
    """Some of an export, without the rows that no typed column could hold; also written as files."""
    frames = {}
    for path in sorted(folder.glob("*.csv")):
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        for name in frame.columns:
            kind, blank = SPECS[path.stem].columns[name], frame[name] == ""
            if kind == "date":
                frame = frame[blank | pd.to_datetime(frame[name], errors="coerce").notna()]
            elif kind != "text":
                frame = frame[blank | pd.to_numeric(frame[name], errors="coerce").notna()]
        frames[path.stem] = frame.head(400)
        frames[path.stem].to_csv(into / path.name, index=False)
    return frames


def load(url: str, frames: dict[str, pd.DataFrame], *, typed: bool, prefix: str = "") -> None:
    """Tables of texts as tables of a database, with the place of each row, since a server keeps no order;
    typed: days are dates and amounts decimals."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        for table, frame in frames.items():
            kinds = SPECS[table].columns
            columns = [f'"{name}" {KINDS[kinds[name]] if typed else "TEXT"}' for name in frame.columns]
            connection.exec_driver_sql(
                f'CREATE TABLE "{prefix}{table}" ({", ".join(columns)}, place INTEGER)'
            )
            rows = [
                tuple(value or None for value in row)
                for row in frame.assign(place=range(1, len(frame) + 1)).to_numpy()
            ]
            places = ", ".join(["%s" if typed else "?"] * (len(columns) + 1))
            connection.exec_driver_sql(f'INSERT INTO "{prefix}{table}" VALUES ({places})', rows)


def test_files_sqlite_and_postgresql_give_the_same_tables(
    sqlite_url: str, postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("export")
    frames = typable(Path(example_crm()), folder)
    assert len(frames["opportunities"]) == 400
    load(sqlite_url, frames, typed=False)
    load(postgres_url, frames, typed=True, prefix="crm_")
    queries = {table: f"SELECT * FROM crm_{table} ORDER BY place" for table in frames}
    expected = read(folder)
    issues = expected.quality.issues.drop(columns="file")
    assert len(issues)
    for found in (read(sqlite_url), read(postgres_url, queries=queries)):
        for name in SPECS:
            if name != "products":
                pd.testing.assert_frame_equal(getattr(found, name), getattr(expected, name), check_exact=True)
        assert (found.as_of, found.currency, found.stages) == (
            expected.as_of,
            expected.currency,
            expected.stages,
        )
        assert found.column_map == expected.column_map
        assert {Path(file.name).stem for file in expected.files} == {file.name for file in found.files}
        told = found.quality.issues.drop(columns="file")
        assert told[["table", "row", "key", "rule"]].values.tolist() == (
            issues[["table", "row", "key", "rule"]].values.tolist()
        )


def test_what_a_database_holds_and_no_table_can_is_rejected_by_name(postgres_url: str) -> None:
    execute(
        postgres_url,
        "CREATE TABLE opportunities (opportunity_id TEXT PRIMARY KEY, rep TEXT, stage TEXT, created DATE, "
        "closed DATE, amount DOUBLE PRECISION)",
        "INSERT INTO opportunities VALUES ('D1', 'Rep Alpha', 'won', '2026-01-05', '2026-02-20', 1200), "
        "('D2', 'Rep Alpha', 'won', '0001-01-01', '2026-02-20', 1200), "
        "('D3', 'Rep Alpha', 'won', '2026-01-05', 'infinity', 1200), "
        "('D4', 'Rep Alpha', 'won', '2026-01-05', '2026-02-20', 'infinity')",
    )
    tables = read(postgres_url)
    assert tables.opportunities["opportunity_id"].tolist() == ["D1"]
    rejected = tables.quality.issues[tables.quality.issues["severity"] == "rejected"]
    assert set(zip(rejected["key"], rejected["field"], strict=True)) == {
        ("D2", "created"), ("D3", "closed"), ("D4", "amount"),
    }  # fmt: skip
