"""Where an export comes from: text files, workbooks, Parquet, archives and databases as tables of cells.

:func:`open_export` is the way in. It looks at the names and the headers; a table is read, and only the
columns asked for, when :meth:`Export.read` is called. Nothing is interpreted here: what a date or an amount
is, the column map says later. Whatever is wrong with a file is a DataError that names the file, and the sheet
or member where there is one.
"""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.crm.textfiles import (
    Malformed,
    SourceFile,
    as_utf8,
    categories,
    from_arrow,
    header_key,
    pick_delimiter,
    read_bytes,
    split_columns,
)
from salessim.errors import DataError, listed

__all__ = ["PART", "Export", "RawTable", "open_export"]

#: Stands between a workbook and its sheet, or an archive and its member, in the name of a table.
PART = " › "

_TEXTS = (".csv", ".tsv", ".txt")
_WORKBOOKS = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
_SUFFIXES = (*_TEXTS, *_WORKBOOKS, ".parquet", ".zip")

_HEAD = 1 << 20  # bytes of a text file in which its header is looked for
_SAMPLE = 1 << 16  # bytes of it that tell the delimiter
_FAULT = re.compile(  # a cell of a sheet's XML whose type is error: its reference and its text
    rb'<(?:\w+:)?c (?=[^>]*\bt="e")[^>]*\br="([A-Z]+[0-9]+)"[^>]*>'
    rb"(?:(?!</(?:\w+:)?c>).)*?<(?:\w+:)?v>([^<]*)<",
    re.DOTALL,
)
_BATCH = 1 << 20  # rows of a Parquet file at a time
_ROWS_BEFORE_HEADER = 50  # rows of a sheet in which its header is looked for
_MOST_EXPANSION = 200  # a member that unpacks to more than this many times its size …
_MOST_BYTES = 100_000_000  # … and to more than this many bytes is no export
_DAYS = (date(1678, 1, 1), date(2262, 1, 1))  # what datetime64[ns] can hold, in whole years


@dataclass(frozen=True, eq=False)
class RawTable:
    """One file, sheet, archive member or database table, its cells as they were written.

    ``cells`` holds the columns asked for that the table has, by
    :func:`~salessim.crm.textfiles.header_key` of their header, with index 0 … n-1. Texts are categories of
    str (the distinct texts as written), a blank cell is NaN. Typed sources (workbooks, Parquet, databases:
    their ``file.delimiter`` is empty) may also give datetime64[ns], float64, int64, Int64 and bool. Where one
    of their columns mixes kinds, or holds what these cannot, it is text: days as ``2017-09-30``, moments as
    ``2017-09-30 17:05:00``, numbers as ``1234.5``, yes and no as ``true`` and ``false``, whatever the
    language. ``rows`` are record numbers, the header is 1; in a sheet they are the numbers of its rows.
    ``guessed`` says that the encoding is not certain.
    """

    file: SourceFile
    header: tuple[str, ...]
    cells: Mapping[str, pd.Series]
    rows: npt.NDArray[np.int64]
    malformed: tuple[Malformed, ...]
    guessed: bool


class Export(Protocol):
    """What a CRM exported: named tables, whose headers can be seen before they are read.

    ``expected`` are headers that a column map would like, which tell delimiter and header row; ``encoding``
    is one that the map declares; ``words`` help to find it (see :func:`~salessim.crm.textfiles.decode`). A
    DataError names what cannot be read.
    """

    @property
    def name(self) -> str:
        """The folder, file or database as shown to people."""

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of its files, sheets, archive members or database tables."""

    def header(
        self, table: str, *, expected: Sequence[str], encoding: str | None, words: Sequence[str]
    ) -> tuple[str, ...]:
        """Return the headers of a table as they are written, without superfluous blanks."""

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str],
        expected: Sequence[str],
        encoding: str | None,
        words: Sequence[str],
    ) -> RawTable:
        """Return the columns of a table whose headers are asked for and there."""


def open_export(source: str | Path, *, queries: Mapping[str, str] | None = None) -> Export:
    """Open an export, wherever it is.

    ``source`` is a folder, whose files are read and whose subfolders are not; one file: delimited text (.csv,
    .tsv, .txt), a workbook (.xlsx, .xlsm, .xls, .xlsb, .ods; each sheet with a header is a table named
    ``crm.xlsx › Deals``), .parquet, or a .zip of such files (``export.zip › deals.csv``); or a database URL,
    for which ``queries`` may give a table name or a SELECT by name
    (see :func:`salessim.crm.databases.open_database`).

    A workbook's formulas count with the values they had when it was saved; in .xlsx and .xlsm errors such as
    ``#REF!`` are texts, in the older formats they are blank. A DataError names what cannot be opened and
    says what to do.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "deals.csv").write_text("id;rep;amount\\n1;Rep Alpha;5\\n2;;7\\n")
    ...     export = open_export(folder)
    ...     found = export.read(
    ...         "deals.csv", columns=["ID", "Rep"], expected=["id", "rep"], encoding=None, words=[]
    ...     )
    >>> export.tables, found.header, found.cells["rep"].tolist(), found.rows.tolist()
    (('deals.csv',), ('id', 'rep', 'amount'), ['Rep Alpha', nan], [2, 3])
    """
    if "://" in str(source):
        from salessim.crm.databases import open_database

        return open_database(str(source), queries=queries)
    path = Path(source)
    with _refused(f"export '{source}'"):
        if not path.exists():
            raise DataError(
                f"export '{source}' does not exist; give the folder or file that the CRM exported"
            )
        if path.is_dir():
            return _Files(str(source), _of_folder(path))
    if path.suffix.casefold() not in _SUFFIXES:
        raise DataError(
            f"export '{source}' ends in '{path.suffix}'; what can be read ends in {listed(_SUFFIXES)}"
        )
    return _Files(str(source), _by_name(_tables_of(_Content.of_file(path))))


# --- files and archive members --------------------------------------------------------------------


class _Table(Protocol):
    @property
    def name(self) -> str: ...

    def header(
        self, *, expected: Sequence[str], encoding: str | None, words: Sequence[str]
    ) -> tuple[str, ...]: ...

    def read(
        self, *, columns: Sequence[str], expected: Sequence[str], encoding: str | None, words: Sequence[str]
    ) -> RawTable: ...


@dataclass(frozen=True, eq=False)
class _Files:
    """An export that consists of files, by the names of their tables."""

    name: str
    parts: Mapping[str, _Table]

    @property
    def tables(self) -> tuple[str, ...]:
        return tuple(self.parts)

    def header(
        self, table: str, *, expected: Sequence[str], encoding: str | None, words: Sequence[str]
    ) -> tuple[str, ...]:
        return self.parts[table].header(expected=expected, encoding=encoding, words=words)

    def read(
        self,
        table: str,
        *,
        columns: Sequence[str],
        expected: Sequence[str],
        encoding: str | None,
        words: Sequence[str],
    ) -> RawTable:
        return self.parts[table].read(columns=columns, expected=expected, encoding=encoding, words=words)


@dataclass(frozen=True, eq=False)
class _Content:
    """The bytes of a file or archive member: ``load(most)`` gives the first so many, ``load(-1)`` all."""

    name: str
    suffix: str
    load: Callable[[int], bytes]
    path: Path | None  # None: inside an archive

    @classmethod
    def of_file(cls, path: Path) -> _Content:
        return cls(path.name, path.suffix.casefold(), lambda most: read_bytes(path, most=most), path)


@contextmanager
def _refused(name: str) -> Iterator[None]:
    """What the operating system refuses becomes a DataError."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{name}: cannot be read ({error.strerror or error})") from None


def _of_folder(folder: Path) -> Mapping[str, _Table]:
    names = sorted(path for path in folder.iterdir() if path.is_file())
    paths = [path for path in names if path.suffix.casefold() in _SUFFIXES and not _is_hidden(path.name)]
    if not paths:
        found = f"found: {listed([path.name for path in names])}" if names else "no files are in it"
        raise DataError(
            f"export folder '{folder}' has no file that ends in {listed(_SUFFIXES)}; {found} (subfolders are "
            "not looked into). Export the deals from the CRM as CSV, or give the folder that holds the files"
        )
    return _by_name([table for path in paths for table in _tables_of(_Content.of_file(path))])


def _by_name(tables: Sequence[_Table]) -> Mapping[str, _Table]:
    return {table.name: table for table in tables}


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "~$", "__MACOSX"))  # ~$: what Excel keeps beside an open workbook


def _tables_of(content: _Content) -> list[_Table]:
    if content.suffix in _TEXTS:
        return [_Text(content.name, content)]
    if content.suffix in _WORKBOOKS:
        return _sheets(content)
    if content.suffix == ".parquet":
        return [_Parquet(content.name, content)]
    return [table for member in _members(content) for table in _tables_of(member)]


# --- zip archives ---------------------------------------------------------------------------------


def _members(archive: _Content) -> list[_Content]:
    data: Any = archive.path  # members are read from the file itself; it is not unpacked to disk
    with _damaged_archive(archive.name), zipfile.ZipFile(data) as opened:
        infos = [
            info
            for info in opened.infolist()
            if not info.is_dir() and not any(map(_is_hidden, PurePosixPath(info.filename).parts))
        ]
    _refuse_expansion(archive.name, infos)
    nested = [info.filename for info in infos if info.filename.casefold().endswith(".zip")]
    if nested:
        raise DataError(
            f"{archive.name}: holds another archive, {listed(nested)}; unpack it and give its files"
        )
    readable = [info for info in infos if PurePosixPath(info.filename).suffix.casefold() in _SUFFIXES]
    if not readable:
        found = listed([info.filename for info in infos])
        raise DataError(f"{archive.name}: no file in it ends in {listed(_SUFFIXES)}; found: {found}")
    encrypted = [info.filename for info in readable if info.flag_bits & 1]
    if encrypted:
        raise DataError(
            f"{archive.name}: {listed(encrypted)} is protected by a password; unpack it and give the folder"
        )
    plain = [PurePosixPath(info.filename).name for info in readable]
    return [
        _member(archive, info, name if plain.count(name) == 1 else info.filename)
        for info, name in zip(readable, plain, strict=True)
    ]


def _member(archive: _Content, info: zipfile.ZipInfo, name: str) -> _Content:
    def load(most: int) -> bytes:
        path: Any = archive.path
        with (
            _damaged_archive(f"{archive.name}{PART}{name}"),
            zipfile.ZipFile(path) as opened,
            opened.open(info) as file,
        ):
            return file.read(most)

    return _Content(f"{archive.name}{PART}{name}", PurePosixPath(name).suffix.casefold(), load, None)


@contextmanager
def _damaged_archive(name: str) -> Iterator[None]:
    try:
        with _refused(name):
            yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise DataError(
            f"{name}: damaged, cut off, or packed in an unusual way ({error}); copy or export it again"
        ) from None


def _refuse_expansion(name: str, infos: Sequence[zipfile.ZipInfo]) -> None:
    for info in infos:
        if info.file_size > max(_MOST_BYTES, _MOST_EXPANSION * info.compress_size):
            raise DataError(
                f"{name}: '{info.filename}' would unpack from {info.compress_size:,} to {info.file_size:,} "
                f"bytes, more than {_MOST_EXPANSION} times its size; no export does that, so it is not "
                "opened. If you trust it, unpack it and give the folder"
            )


# --- delimited text -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Text:
    name: str
    content: _Content

    def header(
        self, *, expected: Sequence[str], encoding: str | None, words: Sequence[str]
    ) -> tuple[str, ...]:
        data, _, _ = as_utf8(self._head, name=self.name, encoding=encoding, words=words)
        return self._delimiter(data, expected)[1]

    @cached_property
    def _head(self) -> bytes:
        """The beginning of the file, cut behind a line."""
        data = self.content.load(_HEAD)
        cut = data.rfind(b"\n") + 1
        if len(data) < _HEAD:
            return data
        if b"\0" in data:  # two or four bytes a letter
            return data[: (cut or _HEAD) // 4 * 4]
        return data[:cut] if cut else self.content.load(-1)

    def _delimiter(self, data: bytes, expected: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        sample = data[:_SAMPLE].decode(errors="ignore")
        if not sample.strip():
            raise DataError(f"{self.name}: the file is empty; export it again with its header line")
        return pick_delimiter(sample, expected=expected)

    def read(
        self, *, columns: Sequence[str], expected: Sequence[str], encoding: str | None, words: Sequence[str]
    ) -> RawTable:
        raw = self.content.load(-1)
        sha256, size = hashlib.sha256(raw).hexdigest(), len(raw)
        data, codec, guessed = as_utf8(raw, name=self.name, encoding=encoding, words=words)
        del raw  # may be another copy
        delimiter, _ = self._delimiter(data, expected)
        found = split_columns(data, delimiter=delimiter, columns=columns)
        count = len(found.rows) + len(found.malformed)
        file = SourceFile(self.name, sha256, size, codec, delimiter, count)
        return RawTable(file, found.header, found.cells, found.rows, found.malformed, guessed)


# --- workbooks ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Sheet:
    name: str
    sheet: Any  # python_calamine.CalamineSheet, which holds its cells
    sha256: str
    bytes: int
    faults: Mapping[int, Mapping[int, str]]  # by row and column: errors such as #REF!, which calamine omits

    def header(
        self, *, expected: Sequence[str], encoding: str | None, words: Sequence[str]
    ) -> tuple[str, ...]:
        return self._header(expected)[1]

    @cached_property
    def _top(self) -> list[list[Any]]:
        with _damaged_workbook(self.name):
            return list(
                self.sheet.to_python(skip_empty_area=False, nrows=self.sheet.start[0] + _ROWS_BEFORE_HEADER)
            )

    def _header(self, expected: Sequence[str]) -> tuple[int, tuple[str, ...]]:
        """Row (from 0) and headers: where most expected headers stand, else the first that is not empty."""
        wanted = {header_key(name) for name in expected}
        rows = [tuple(" ".join(_shown(cell).split()) for cell in row) for row in self._top]
        found = [len(wanted & {header_key(text) for text in row}) for row in rows]
        first = next(row for row, texts in enumerate(rows) if any(texts))
        chosen = max(range(len(rows)), key=found.__getitem__) if any(found) else first
        return chosen, rows[chosen]

    def read(
        self, *, columns: Sequence[str], expected: Sequence[str], encoding: str | None, words: Sequence[str]
    ) -> RawTable:
        above, header = self._header(expected)
        keys = [header_key(name) for name in header]
        places = {key: keys.index(key) for key in dict.fromkeys(map(header_key, columns)) if key in keys}
        values: dict[str, list[Any]] = {key: [] for key in places}
        rows: list[int] = []
        nothing = [""] * len(header)
        with _damaged_workbook(self.name):
            for row, cells in enumerate(self.sheet.iter_rows()):
                for column, fault in self.faults.get(row, {}).items():
                    cells[column] = fault
                if row > above and cells != nothing:
                    rows.append(row + 1)
                    for key, place in places.items():
                        values[key].append(cells[place])
        file = SourceFile(self.name, self.sha256, self.bytes, "", "", len(rows))
        typed = {key: _typed(column) for key, column in values.items()}
        return RawTable(file, header, typed, np.array(rows, dtype=np.int64), (), False)


def _sheets(content: _Content) -> list[_Table]:
    from python_calamine import CalamineWorkbook, SheetTypeEnum

    data = content.load(-1)
    _refuse_what_is_no_workbook(content.name, data)
    sha256 = hashlib.sha256(data).hexdigest()
    tables: list[_Table] = []
    with _damaged_workbook(content.name):
        book = CalamineWorkbook.from_filelike(io.BytesIO(data))
        titles = [meta.name for meta in book.sheets_metadata if meta.typ == SheetTypeEnum.WorkSheet]
        faults = _faults(data) if content.suffix in (".xlsx", ".xlsm") else {}
        for title in titles:
            name = f"{content.name}{PART}{title}"
            with _damaged_workbook(name):
                sheet = book.get_sheet_by_name(title)
            if sheet.start is not None:
                tables.append(_Sheet(name, sheet, sha256, len(data), faults.get(title, {})))
    if not tables:
        raise DataError(f"{content.name}: no sheet has anything in it; export it again with its header line")
    return tables


def _refuse_what_is_no_workbook(name: str, data: bytes) -> None:
    if data.startswith(b"PK"):
        with _damaged_archive(name), zipfile.ZipFile(io.BytesIO(data)) as packed:
            _refuse_expansion(name, packed.infolist())
    elif data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise DataError(
            f"{name}: this is a web page or XML under the name of a workbook, as some CRMs write it; open it "
            "in Excel and save it as .xlsx, or export CSV"
        )
    elif data and b"\0" not in data:
        raise DataError(f"{name}: this is a text file under the name of a workbook; give it the ending .csv")


@contextmanager
def _damaged_workbook(name: str) -> Iterator[None]:
    from python_calamine import PasswordError

    try:
        yield
    except DataError:
        raise
    except PasswordError:
        raise DataError(f"{name}: protected by a password; save it without one") from None
    except BaseException as error:  # a panic of the library is no Exception
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DataError(
            f"{name}: damaged, cut off, or no workbook ({error}); open it in Excel and save it again as .xlsx"
        ) from None


def _faults(data: bytes) -> Mapping[str, Mapping[int, Mapping[int, str]]]:
    """Cells with an error, by sheet, row and column (from 0); calamine gives them as blank."""
    from xml.etree import ElementTree as Xml

    found: dict[str, dict[int, dict[int, str]]] = {}
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        if not {"xl/workbook.xml", "xl/_rels/workbook.xml.rels"} <= set(packed.namelist()):
            return {}
        book = Xml.fromstring(packed.read("xl/workbook.xml"))
        links = Xml.fromstring(packed.read("xl/_rels/workbook.xml.rels"))
        targets = {link.get("Id"): str(link.get("Target")) for link in links}
        for sheet in book.findall(".//{*}sheet"):
            link = next((value for key, value in sheet.items() if key.endswith("}id")), "")
            target = targets.get(link, "").removeprefix("/").removeprefix("xl/")
            text = packed.read(f"xl/{target}") if f"xl/{target}" in packed.namelist() else b""
            rows = found.setdefault(str(sheet.get("name")), {})
            for cell in _FAULT.finditer(text) if b't="e"' in text else ():
                row, column = _place(cell[1].decode())
                rows.setdefault(row, {})[column] = cell[2].decode()
    return found


def _place(reference: str) -> tuple[int, int]:
    letters = reference.rstrip("0123456789")
    column = 0
    for letter in letters:
        column = 26 * column + ord(letter) - 64
    return int(reference[len(letters) :]) - 1, column - 1


def _typed(values: Sequence[Any]) -> pd.Series:
    """The cells of a column of a sheet, typed where all that are filled are of one kind."""
    filled = [value for value in values if value != ""]
    kinds = {type(value) for value in filled}
    if kinds and kinds <= {date, datetime} and all(_DAYS[0] <= _day(v) < _DAYS[1] for v in filled):
        days = [None if value == "" else np.datetime64(value, "us") for value in values]
        return pd.Series(np.array(days, dtype="datetime64[us]").astype("datetime64[ns]"))
    if kinds and kinds <= {int, float}:
        numbers = pd.Series([np.nan if value == "" else float(value) for value in values], dtype="float64")
        whole = all(float(value).is_integer() and abs(value) < 2**53 for value in filled)
        if not whole:
            return numbers
        return numbers.astype("int64") if len(filled) == len(values) else numbers.astype("Int64")
    if kinds == {bool} and len(filled) == len(values):
        return pd.Series(values, dtype="bool")
    return _as_texts([_shown(value) for value in values])


def _as_texts(texts: Sequence[str]) -> pd.Series:
    places = {"": -1}
    codes = [places.setdefault(text, len(places) - 1) for text in texts]
    return categories(list(places)[1:], np.array(codes, dtype=np.int32))


def _day(value: date) -> date:
    return value.date() if isinstance(value, datetime) else value


def _shown(value: Any) -> str:
    """A typed cell as text, in the way that :class:`RawTable` says."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    if isinstance(value, datetime):
        midnight = value.time() == time()
        return value.date().isoformat() if midnight else value.isoformat(sep=" ", timespec="seconds")
    return str(value)


# --- Parquet --------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Parquet:
    name: str
    content: _Content

    def header(
        self, *, expected: Sequence[str], encoding: str | None, words: Sequence[str]
    ) -> tuple[str, ...]:
        return self._header

    @cached_property
    def _header(self) -> tuple[str, ...]:
        from pyarrow import parquet

        with _damaged_parquet(self.name), self._where() as where, parquet.ParquetFile(where) as file:
            return tuple(" ".join(name.split()) for name in file.schema_arrow.names)

    def _where(self) -> Any:
        """The file, of which only what is asked for is read; a member of an archive is there as a whole."""
        return self.content.path.open("rb") if self.content.path else io.BytesIO(self.content.load(-1))

    def read(
        self, *, columns: Sequence[str], expected: Sequence[str], encoding: str | None, words: Sequence[str]
    ) -> RawTable:
        import pyarrow as pa
        from pyarrow import parquet

        keys = [header_key(name) for name in self._header]
        places = {key: keys.index(key) for key in dict.fromkeys(map(header_key, columns)) if key in keys}
        cells = {}
        with _damaged_parquet(self.name), self._where() as where:
            sha256, size = hashlib.file_digest(where, "sha256").hexdigest(), where.tell()
            with parquet.ParquetFile(where) as file:
                schema, count = file.schema_arrow, file.metadata.num_rows
                texts = [schema.names[place] for place in places.values() if _is_text(schema.types[place])]
            # dictionaries hold each distinct text once
            with parquet.ParquetFile(where, read_dictionary=texts) as file:
                for key, place in places.items():  # one after the other, so that only one is there twice
                    batches = file.iter_batches(batch_size=_BATCH, columns=[schema.names[place]])
                    parts = [_plain(batch.column(0)) for batch in batches]
                    cells[key] = _of_arrow(pa.chunked_array(parts, None if parts else pa.null()))
                    if len(cells[key]) != count:
                        raise ValueError(f"{len(cells[key]):,} of {count:,} rows are there")
        shown = SourceFile(self.name, sha256, size, "", "", count)
        return RawTable(shown, self._header, cells, np.arange(2, count + 2, dtype=np.int64), (), False)


@contextmanager
def _damaged_parquet(name: str) -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, ValueError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{name}: cannot be read ({error.strerror})") from None
        reason = (str(error).splitlines() or [""])[0]
        raise DataError(f"{name}: damaged, cut off, or no Parquet ({reason}); export it again") from None


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _plain(column: Any) -> Any:
    """Dictionaries of texts as 32-bit ones, other dictionaries as what they stand for."""
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        return column.cast(pa.string()).dictionary_encode() if _is_text(column.type) else column
    if _is_text(column.type.value_type):
        return column.cast(pa.dictionary(pa.int32(), pa.string()))
    return column.cast(column.type.value_type)


def _of_arrow(column: Any) -> pd.Series:
    import pyarrow as pa
    from pyarrow import types

    kind = column.type
    try:
        if types.is_dictionary(kind):
            return from_arrow(column)
        if types.is_date(kind) or types.is_timestamp(kind):
            return _moments(column)
        if types.is_boolean(kind) and not column.null_count:
            return pd.Series(column.to_numpy())
        if types.is_integer(kind):
            numbers = column.cast(pa.int64()).fill_null(0).to_numpy()
            missing = column.is_null().to_numpy()
            return pd.Series(pd.arrays.IntegerArray(numbers, missing) if missing.any() else numbers)
        if types.is_floating(kind) or types.is_decimal(kind):
            floats = column.cast(pa.float64()).to_numpy()
            if not np.isinf(floats).any():
                return pd.Series(floats)
        return from_arrow(column.cast(pa.string()).dictionary_encode())
    except pa.ArrowException:  # lists, structures, bytes, numbers that no int64 holds
        return _as_texts(["" if value is None else str(value) for value in column.to_pylist()])


def _moments(column: Any) -> pd.Series:
    """Dates and timestamps; those with a time zone as the clock there showed them."""
    import pyarrow as pa
    from pyarrow import compute, types

    if types.is_timestamp(column.type) and column.type.tz:
        column = compute.local_timestamp(column)
    if types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    unit = column.type.unit
    numbers = column.cast(pa.int64()).fill_null(np.iinfo(np.int64).min).to_numpy()  # that is NaT
    moments = numbers.view(f"datetime64[{unit}]")
    known = moments[~np.isnat(moments)]
    first, end = (np.datetime64(day, unit) for day in _DAYS)
    if unit == "ns" or ((known >= first) & (known < end)).all():
        return pd.Series(moments.astype("datetime64[ns]"))
    texts = np.datetime_as_string(moments, unit="s").tolist()
    shown = {text: text.replace("T", " ").removesuffix(" 00:00:00") for text in set(texts)} | {"NaT": ""}
    return _as_texts([shown[text] for text in texts])
