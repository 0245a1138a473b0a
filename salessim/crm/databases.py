"""CRM tables in databases: every table, view or query of a SQLAlchemy URL is a table of the export.

Nothing is ever written: each read is a transaction that the database itself holds to reading. Rows come in
portions from a cursor on the server, so memory stays near that of the finished columns.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from salessim.crm.sources import Export, RawTable
from salessim.crm.textfiles import SourceFile, categories, header_key
from salessim.errors import DataError, listed

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, CursorResult, Engine, Inspector

__all__ = ["OWN_PREFIX", "columns_of", "engine_of", "one_line", "open_database", "shown"]

#: Begins the names of our own tables (the ledger), which are no part of a CRM that lies beside them.
OWN_PREFIX = "salessim_"

_PORTION = 20_000  # rows in memory as Python objects at a time
#: What keeps a transaction from writing, where the database has such a thing.
_READ_ONLY = {
    "sqlite": "PRAGMA query_only = ON",
    "postgresql": "SET TRANSACTION READ ONLY",
    "mysql": "SET TRANSACTION READ ONLY",
    "mariadb": "SET TRANSACTION READ ONLY",
    "oracle": "SET TRANSACTION READ ONLY",
}
#: Databases whose schemas divide one database, as folders do; elsewhere a schema is another database or user.
_WITH_SCHEMAS = ("postgresql", "mssql", "duckdb")
_SYSTEM_SCHEMAS = re.compile(r"information_schema|pg_.*|sys|guest|INFORMATION_SCHEMA|db_\w+")
#: Packages whose name differs from the module that SQLAlchemy misses.
_PACKAGES = {
    "psycopg": "psycopg[binary]",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
    "mariadb": "mariadb",
    "pymysql": "PyMySQL",
}
_SELECT = re.compile(r"(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*(?:select|with|values)\b", re.IGNORECASE | re.DOTALL)
_SECRET = re.compile(r"pass|pwd|secret|token|key|odbc", re.IGNORECASE)
_FIRST_DAY, _LAST_DAY = (
    np.datetime64(day, "us") for day in (pd.Timestamp.min.ceil("D"), pd.Timestamp.max.floor("D"))
)


def open_database(url: str, *, queries: Mapping[str, str] | None = None) -> Export:
    """Open a database whose tables and views are the tables of an export.

    ``url`` is any SQLAlchemy URL, such as ``sqlite:///crm.db`` or ``postgresql+psycopg://reader@host/crm``.
    ``queries`` names the tables of the export itself: name → table, view or SELECT; without any, every table
    and view is one, under its own name (``schema.table`` outside the default schema).

    Rows come in the order of the primary key where there is one. Values keep their type: whole numbers int64
    (Int64 with gaps), other numbers float64, dates and times datetime64[ns] as the database shows them, all
    else text (booleans ``true`` and ``false``, JSON as written). A column that holds a date before 1678 or
    after 2261, or an infinite number, is text, so that the import can reject these rows by name.

    Raises:
        DataError: the URL cannot be read, the driver is not installed, the database cannot be reached, there
            is no such table, or a query fails; the password is never shown.

    >>> import sqlite3, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with sqlite3.connect(Path(folder, "crm.db")) as crm:
    ...         _ = crm.execute("CREATE TABLE deals (id TEXT PRIMARY KEY, amount NUMERIC)")
    ...         _ = crm.execute("INSERT INTO deals VALUES ('D1', 1200.5), ('D2', NULL)")
    ...     crm.close()
    ...     export = open_database(f"sqlite:///{folder}/crm.db")
    ...     table = export.read("deals", columns=["Amount"])
    >>> export.tables, table.header, table.cells["amount"].tolist(), table.rows.tolist()
    (('deals',), ('id', 'amount'), [1200.5, nan], [2, 3])
    """
    from sqlalchemy import inspect

    engine = engine_of(url)
    name = shown(engine.url)
    _refuse_missing_file(engine.url)
    with _explained(engine.url, "cannot connect"), engine.connect() as connection:
        inspector = inspect(connection)
        schemas: list[str | None] = [None]
        if engine.dialect.name in _WITH_SCHEMAS:
            default = inspector.default_schema_name
            others = (each for each in inspector.get_schema_names() if not _SYSTEM_SCHEMAS.fullmatch(each))
            schemas += [each for each in others if each != default]
        found = {each.shown: each for schema in schemas for each in _relations(inspector, schema)}
    if not queries:
        tables = tuple(sorted(key for key, each in found.items() if not each.name.startswith(OWN_PREFIX)))
        if not tables:
            raise DataError(f"{name}: the database has no table that this user may see")
        return _Database(name, tables, engine, found)
    named: dict[str, _Relation | str] = {}
    by_key = {header_key(each): each for each in found}
    for table, query in queries.items():
        if (match := by_key.get(header_key(query))) is not None:
            named[table] = found[match]
        elif _SELECT.match(query):
            named[table] = query.strip().rstrip(";")
        else:
            raise DataError(
                f"{name}: there is no table '{query}' (for '{table}'). The database has "
                f"{listed(sorted(found), most=20)}; write one of them, or a query that begins with SELECT"
            )
    return _Database(name, tuple(queries), engine, named)


@dataclass(frozen=True)
class _Relation:
    """A table or view: its columns with their declared types, and its primary key."""

    name: str
    schema: str | None
    columns: Mapping[str, Any]
    key: tuple[str, ...]

    @property
    def shown(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


def _relations(inspector: Inspector, schema: str | None) -> list[_Relation]:
    from sqlalchemy.engine.reflection import ObjectKind
    from sqlalchemy.exc import OperationalError

    columns: dict[str, Sequence[Any]]
    try:
        every = inspector.get_multi_columns(schema=schema, kind=ObjectKind.ANY)
        columns = {name: found for (_, name), found in every.items()}
    except OperationalError:  # SQLite keeps views whose table is gone; such a one has no columns for us
        columns = {}
        for name in (*inspector.get_table_names(schema), *inspector.get_view_names(schema)):
            try:
                columns[name] = inspector.get_columns(name, schema)
            except OperationalError:
                columns[name] = []
    keys: dict[str, Any] = {
        name: key for (_, name), key in inspector.get_multi_pk_constraint(schema=schema).items()
    }
    return [
        _Relation(
            str(name),
            schema,
            {str(column["name"]): column["type"] for column in found},
            tuple((keys.get(name) or {}).get("constrained_columns", ())),
        )
        for name, found in columns.items()
    ]


@dataclass(frozen=True, eq=False)
class _Database:
    """A database as an export (the protocol :class:`salessim.crm.sources.Export`)."""

    name: str
    tables: tuple[str, ...]
    engine: Engine = field(repr=False)
    relations: Mapping[str, _Relation | str] = field(repr=False)
    headers: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def header(
        self,
        table: str,
        *,
        expected: Sequence[str] = (),
        encoding: str | None = None,
        words: Sequence[str] = (),
    ) -> tuple[str, ...]:
        if table not in self.headers:
            relation = self._relation(table)
            if isinstance(relation, _Relation):
                names = list(relation.columns)
            else:
                with self._reading(table) as connection:
                    result = _run(connection, relation)
                    names = list(result.keys())
                    result.close()
            self.headers[table] = tuple(" ".join(name.split()) for name in names)
        return self.headers[table]

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str],
        expected: Sequence[str] = (),
        encoding: str | None = None,
        words: Sequence[str] = (),
    ) -> RawTable:
        relation = self._relation(table)
        header = self.header(table)
        keys = [header_key(each) for each in header]
        places = {key: keys.index(key) for key in map(header_key, columns) if key in keys}
        # with none of them there, the first column still tells how many records there are
        wanted = list(places.values()) or [0]
        if isinstance(relation, str):
            with self._reading(table) as connection:
                read = columns_of(_run(connection, relation), places=wanted)
        else:
            names = list(relation.columns)
            read = self._read_relation(table, relation, [names[place] for place in wanted])
        cells = dict(zip(places, read, strict=False))
        records = len(read[0])
        digest = hashlib.sha256()
        for key in sorted(cells):
            digest.update(f"{key}\0{cells[key].dtype.name}\0".encode())
            digest.update(pd.util.hash_pandas_object(cells[key], index=False).to_numpy().tobytes())
        return RawTable(
            file=SourceFile(table, digest.hexdigest(), 0, "", "", records),
            header=header,
            cells=cells,
            rows=np.arange(2, records + 2, dtype=np.int64),
            malformed=(),
            guessed=False,
        )

    def _read_relation(self, table: str, relation: _Relation, names: Sequence[str]) -> list[pd.Series]:
        from sqlalchemy import String, cast, column, select
        from sqlalchemy import table as a_table
        from sqlalchemy.exc import DataError as UnreadableValue
        from sqlalchemy.types import Date, DateTime

        def query(*, dates_as_text: bool) -> Any:
            plain: dict[str, Any] = {name: column(name) for name in (*names, *relation.key)}
            written = [
                cast(plain[name], String).label(name)
                if dates_as_text and isinstance(relation.columns[name], Date | DateTime)
                else plain[name]
                for name in names
            ]
            source = a_table(relation.name, *plain.values(), schema=relation.schema)
            return select(*written).select_from(source).order_by(*(plain[name] for name in relation.key))

        # Dates that Python cannot hold (infinity, the year 10000) end the reading; as text they can be shown.
        try:
            with self._reading(table, but=UnreadableValue) as connection:
                return columns_of(_run(connection, query(dates_as_text=False)))
        except UnreadableValue:
            with self._reading(table) as connection:
                return columns_of(_run(connection, query(dates_as_text=True)))

    def _relation(self, table: str) -> _Relation | str:
        if table not in self.relations:
            raise DataError(
                f"{self.name}: there is no table '{table}'; the database has {listed(self.tables)}"
            )
        return self.relations[table]

    @contextmanager
    def _reading(self, table: str, *, but: type[Exception] | tuple[()] = ()) -> Iterator[Connection]:
        with (
            _explained(self.engine.url, f"table '{table}' cannot be read", but=but),
            self.engine.connect() as connection,
        ):
            if statement := _READ_ONLY.get(self.engine.dialect.name):
                connection.exec_driver_sql(statement)
            yield connection


def _run(connection: Connection, query: Any) -> CursorResult[Any]:
    options = {"stream_results": True, "yield_per": _PORTION}
    if isinstance(query, str):  # as the user wrote it: neither ':name' nor '%' means anything
        return connection.exec_driver_sql(query, execution_options=options | {"no_parameters": True})
    return connection.execute(query, execution_options=options)


# --- values ---------------------------------------------------------------------------------------


def columns_of(result: CursorResult[Any], *, places: Sequence[int] | None = None) -> list[pd.Series]:
    """Fetch a result in portions into one typed series per column (all, or those at ``places``).

    >>> from sqlalchemy import create_engine
    >>> with create_engine("sqlite://").connect() as connection:
    ...     columns = columns_of(connection.exec_driver_sql("SELECT 1, 'a' UNION SELECT 2, NULL"))
    >>> [column.dtype.name for column in columns]
    ['int64', 'category']
    """
    chosen = list(range(len(result.keys()))) if places is None else list(places)
    portions: list[list[pd.Series]] = [[] for _ in chosen]
    for rows in result.partitions(_PORTION):
        values = list(zip(*rows, strict=True))
        for portion, place in zip(portions, chosen, strict=True):
            portion.append(_typed(values[place]))
    columns = []
    while portions:  # one at a time, so that only one column is in memory twice
        columns.append(_joined(portions.pop(0)))
    return columns


def _typed(values: Sequence[Any]) -> pd.Series:
    """Values of one portion in the narrowest type that holds all of them; text where none does."""
    found = set(map(type, values))
    types, missing = found - {type(None)}, type(None) in found
    if Decimal in types and types <= {Decimal, int} and (whole := _whole(values)) is not None:
        values, types = whole, {int}
    if types and types <= {int}:
        try:
            return pd.Series(pd.array(values, dtype="Int64") if missing else np.array(values, dtype=np.int64))
        except OverflowError:
            return _text(values)
    if types and types <= {int, float, Decimal}:
        numbers = np.array(values, dtype=np.float64)
        return _text(values) if np.isinf(numbers).any() else pd.Series(numbers)
    if types and all(issubclass(each, date) for each in types):
        if types != {date}:  # the time of day as it is shown, wherever that is
            values = [v.replace(tzinfo=None) if isinstance(v, datetime) else v for v in values]
        times = np.array(values, dtype="datetime64[us]")
        known = times[~np.isnat(times)]
        if ((known >= _FIRST_DAY) & (known <= _LAST_DAY)).all():
            return pd.Series(times.astype("datetime64[ns]"))
    return _text(values)


def _whole(values: Sequence[Any]) -> list[int | None] | None:
    """Decimals without a fraction, as many keys are, as whole numbers, which keeps all digits; else None."""
    whole: list[int | None] = []
    for value in values:
        if isinstance(value, Decimal) and (not value.is_finite() or value.as_tuple().exponent != 0):
            return None
        whole.append(None if value is None else int(value))
    return whole


def _text(values: Sequence[Any]) -> pd.Series:
    if any(each is not str and each is not type(None) for each in set(map(type, values))):
        values = [None if value is None else _written(value) for value in values]
    codes, texts = pd.factorize(np.array(values, dtype=object))
    if len(blank := np.flatnonzero(texts == "")):
        codes = np.where(codes == blank[0], -1, codes - (codes > blank[0]))
        texts = np.delete(texts, blank)
    return categories(texts, codes)


def _written(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(sep=" ")
        return text.removesuffix(" 00:00:00")
    if isinstance(value, bytes | bytearray | memoryview):
        data = bytes(value)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError:
            return data.hex()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, default=str)
    return str(value)


def _joined(portions: Sequence[pd.Series]) -> pd.Series:
    filled = [portion for portion in portions if portion.notna().any()]
    if not filled:
        nothing = pd.Categorical.from_codes(
            [-1] * sum(map(len, portions)), categories=pd.Index([], dtype=object)
        )
        return pd.Series(nothing)
    kinds = {portion.dtype.kind for portion in filled}
    if kinds <= {"i"}:
        gaps = any(portion.isna().any() for portion in portions)
        kind = "Int64" if gaps else "int64"
    elif kinds <= {"i", "f"}:
        kind = "float64"
    elif kinds <= {"M"}:
        kind = "datetime64[ns]"
    else:
        texts = [portion if portion.dtype.kind == "O" else _text(_objects(portion)) for portion in portions]
        return pd.Series(union_categoricals(texts))
    same: list[Any] = []
    for portion in portions:  # a portion of nothing but gaps takes on the type of the others
        values: Any = portion if portion.notna().any() else pd.Series(np.full(len(portion), None))
        same.append(values.astype(kind))
    joined: pd.Series = pd.concat(same, ignore_index=True)
    return joined


def _objects(portion: pd.Series) -> list[Any]:
    return [None if pd.isna(value) else value for value in portion.tolist()]


# --- the connection -------------------------------------------------------------------------------


def engine_of(url: str | URL) -> Engine:
    """Return the engine of a database URL, not yet connected; a connection is closed when it is given back.

    Raises:
        DataError: the URL cannot be read, its kind of database is unknown, or the driver is not installed.

    >>> engine_of("sqlite:///crm.db").dialect.name
    'sqlite'
    """
    from sqlalchemy import create_engine, make_url
    from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    from sqlalchemy.pool import NullPool

    example = "for example postgresql+psycopg://user:password@host:5432/database or sqlite:///crm.db"
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # what stands in it may be a password, so it is not shown
        raise DataError(
            f"the address of the database cannot be read; write it as a SQLAlchemy URL, {example}"
        ) from None
    try:
        return create_engine(parsed, poolclass=NullPool)
    except ModuleNotFoundError as error:
        module = str(error.name).split(".")[0]
        raise DataError(
            f"{shown(parsed)}: the driver '{module}' is not installed; install it with "
            f"pip install {_PACKAGES.get(module, module)}, or name another driver in the URL"
        ) from None
    except NoSuchModuleError:
        hint = "write postgresql+psycopg://" if parsed.get_backend_name() == "postgres" else example
        raise DataError(
            f"{shown(parsed)}: no dialect or driver '{parsed.drivername}' is known; {hint}, or install the "
            "package that brings it"
        ) from None
    except (ArgumentError, TypeError, ValueError, ImportError) as error:
        raise DataError(f"{shown(parsed)}: cannot be used ({one_line(error, parsed)})") from None


def shown(url: URL) -> str:
    """Return a database URL as it may be shown: without password, and without settings, which may hold one.

    >>> from sqlalchemy import make_url
    >>> shown(make_url("postgresql+psycopg://reader:geheim@db.firm.example/crm?sslpassword=geheim"))
    'postgresql+psycopg://reader:***@db.firm.example/crm'
    """
    return url.set(query={}).render_as_string(hide_password=True)


def one_line(error: BaseException, url: URL) -> str:
    """Return what a database said in one line of at most 300 letters, with every secret of the URL hidden.

    >>> from sqlalchemy import make_url
    >>> one_line(ValueError("login\\n failed: geheim"), make_url("mysql://me:geheim@db/crm"))
    'login failed: ***'
    """
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    secrets = [url.password, *(url.query[key] for key in url.query if _SECRET.search(key))]
    for secret in secrets:
        for each in (secret,) if isinstance(secret, str) else secret or ():
            text = text.replace(each, "***") if each else text
    return text if len(text) <= 300 else f"{text[:299]}…"


def _refuse_missing_file(url: URL) -> None:
    # SQLite would make an empty database in its place
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return
    path = Path(url.database.removeprefix("file:"))
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"{shown(url)}: the file '{path}' {what}; a path from the root has four slashes")


@contextmanager
def _explained(url: URL, what: str, *, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except but:
        raise
    except (SQLAlchemyError, OSError, ValueError, OverflowError) as error:
        raise DataError(f"{shown(url)}: {what} ({one_line(error, url)})") from None
