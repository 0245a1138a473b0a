"""From an export folder to canonical tables: nothing is dropped without a line in the quality report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fnmatch import fnmatch
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from salessim.crm.canonical import NO_SEGMENTS, SEGMENT_MISSING, SPECS, Tables, checked, empty
from salessim.crm.columnmap import ColumnMap, NumberFormat, TableMap, read_map, shipped_maps
from salessim.crm.quality import COUNT_COLUMNS, ISSUE_COLUMNS, SEVERITIES, QualityReport
from salessim.crm.rules import MALFORMED, RULES, Rule, View, period_labels
from salessim.crm.textfiles import (
    SourceFile,
    TextFile,
    header_key,
    open_text,
    pick_delimiter,
    records,
    required_headers_missing,
)
from salessim.errors import DataError, ParameterError, listed

__all__ = ["read", "read_dates", "read_numbers"]

_SUFFIXES = (".csv", ".tsv", ".txt")
_ISO = r"\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?"
# One odd value is a bad row; from three on, a column in which nothing can be read has another format.
_COLUMN_IS_WRONG_FROM = 3


def read(
    folder: str | Path,
    *,
    column_map: str | Path | None = None,
    as_of: date | None = None,
    fiscal_year_starts_in_month: int = 1,
) -> Tables:
    """Read a CRM export into clean tables, with a report on every row that is not clean.

    ``folder`` holds the export as delimited text (comma, semicolon, tab, vertical bar; any common
    encoding). ``column_map`` is the name of a shipped map, the path of a map in YAML (its format: see
    :mod:`salessim.crm.columnmap`), or None to take the shipped map whose headers fit. ``as_of`` is the day
    on which the export was taken; None takes the latest day on which anything happened (created, closed,
    stage entered; never an expected close; a lone date years after all others is a typing error and does
    not count). A DataError names file, row, field and value, and what is allowed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "opportunities.csv").write_text(
    ...         "opportunity_id,rep,stage,created,closed,amount\\n"
    ...         "D1,Rep Alpha,won,2026-01-05,2026-02-20,1200\\n"
    ...         "D2,Rep Alpha,lost,2026-01-07,,0\\n"
    ...         "D3,Rep Beta,warm lead,2026-02-01,,800\\n"
    ...     )
    ...     tables = read(folder)
    >>> tables.opportunities[["opportunity_id", "stage", "status", "amount", "row"]]
      opportunity_id      stage status  amount  row
    0             D1        won    won  1200.0    2
    1             D3  warm lead   open   800.0    4
    >>> tables.as_of, tables.currency
    (datetime.date(2026, 2, 20), 'EUR')
    >>> tables.quality.summary()[["rule", "severity", "rows"]].values.tolist()
    [['closed deal without a close date', 'rejected', 1]]
    """
    if not 1 <= fiscal_year_starts_in_month <= 12:
        raise ParameterError(
            f"fiscal_year_starts_in_month is {fiscal_year_starts_in_month}; "
            "allowed: 1 (January) to 12 (December)"
        )
    export = _Export.open(Path(folder))
    chosen, reason = _choose_map(export, column_map)
    batches = {
        name: batch
        for name, table in chosen.tables.items()
        if (batch := _read_table(export, chosen, name, table)) is not None
    }
    for name, batch in batches.items():
        _convert(batch, chosen, chosen.tables[name])
        _reject(batch, chosen)
    _refuse_if_nothing_is_left(batches["opportunities"])
    _join_products_and_segments(batches, chosen)
    day = (as_of.date() if isinstance(as_of, datetime) else as_of) or _latest_day(batches)
    _look_for_suspicious(batches, chosen, day)
    quality = QualityReport(_issues(batches), _counts(batches), _notes(export, chosen, batches))
    finished = _finish(batches)
    return Tables(
        opportunities=checked("opportunities", finished["opportunities"], stages=chosen.open_stages),
        reps=checked("reps", finished["reps"]),
        accounts=checked("accounts", finished["accounts"]),
        leads=checked("leads", finished["leads"]),
        stage_history=checked("stage_history", finished["stage_history"], stages=chosen.open_stages),
        quotas=checked("quotas", finished["quotas"]),
        evidence=checked("evidence", finished["evidence"]),
        as_of=day,
        currency=chosen.currency,
        quality=quality,
        files=tuple({file.name: file for batch in batches.values() for file in batch.files}.values()),
        column_map=chosen.name,
        stages=chosen.open_stages,
        fiscal_year_starts_in_month=fiscal_year_starts_in_month,
        column_map_reason=reason,
    )


# --- finding files and the map --------------------------------------------------------------------


@dataclass(frozen=True)
class _Export:
    """The folder with its delimited files; each is opened at most once per column map."""

    folder: Path
    paths: tuple[Path, ...]
    opened: dict[tuple[str, str], TextFile]  # by file name and column map

    @classmethod
    def open(cls, folder: Path) -> _Export:
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            raise DataError(
                f"export folder '{folder}' {what}; give the folder that holds the export's CSV files"
            )
        try:
            names = sorted(path for path in folder.iterdir() if path.is_file())
        except OSError as error:
            raise DataError(f"export folder '{folder}' cannot be read ({error.strerror})") from None
        paths = tuple(path for path in names if path.suffix.casefold() in _SUFFIXES)
        if not paths:
            found = f"found: {listed([path.name for path in names])}" if names else "it is empty"
            raise DataError(
                f"export folder '{folder}' has no file that ends in {listed(_SUFFIXES)}; {found}. "
                "Export the deals from the CRM as CSV"
            )
        return cls(folder, paths, {})

    def matching(self, pattern: str) -> list[Path]:
        return [path for path in self.paths if fnmatch(path.name.casefold(), pattern.casefold())]

    def text(self, path: Path, column_map: ColumnMap) -> TextFile:
        key = (path.name, column_map.name)
        if key not in self.opened:
            self.opened[key] = open_text(path, encoding=column_map.encoding, words=column_map.words)
        return self.opened[key]


def _choose_map(export: _Export, column_map: str | Path | None) -> tuple[ColumnMap, str]:
    if column_map is not None:
        chosen = read_map(column_map)
        problem, _ = _misfit(export, chosen)
        if problem:
            raise DataError(f"column map '{chosen.name}' does not fit '{export.folder}':\n{problem}")
        return chosen, f"column map '{chosen.name}' was asked for"
    misfits = []
    for candidate in map(read_map, shipped_maps()):
        problem, headers = _misfit(export, candidate)
        if not problem:
            return (
                candidate,
                f"column map '{candidate.name}' was detected: all {headers} headers it needs are there",
            )
        misfits.append(f"  {candidate.name}: {problem}")
    raise DataError(
        f"no shipped column map fits '{export.folder}':\n" + "\n".join(misfits) + "\n"
        "For another CRM write a column map (copy salessim_csv.yaml, whose comments explain it) "
        "and give its path"
    )


def _misfit(export: _Export, column_map: ColumnMap) -> tuple[str, int]:
    """Say why a map does not fit (an empty text when it does), and how many headers it needs."""
    headers = 0
    for table in column_map.tables.values():
        paths = export.matching(table.file)
        if not paths and table.required:
            there = listed([path.name for path in export.paths])
            return f"file '{table.file}' is missing; the folder has {there}", headers
        for path in paths:
            _, found = pick_delimiter(export.text(path, column_map).text, expected=_expected(table))
            problem = required_headers_missing(
                path.name, found=found, required=table.required_headers, optional=table.optional_headers
            )
            if problem:
                return problem, headers
        headers += len(table.required_headers) if paths else 0
    return "", headers


def _expected(table: TableMap) -> list[str]:
    return [*table.required_headers, *table.optional_headers]


# --- reading and converting one table -------------------------------------------------------------


@dataclass
class _Batch:
    """One table on its way through the import; ``raw``, ``text`` and ``rows`` are those of View."""

    table: str
    files: list[SourceFile]
    raw: pd.DataFrame
    text: pd.DataFrame
    rows: pd.DataFrame
    read: dict[str, int]  # records per file, malformed ones included
    issues: list[pd.DataFrame]
    unused_headers: dict[str, list[str]]

    def view(
        self,
        column_map: ColumnMap,
        tables: Mapping[str, pd.DataFrame] | None = None,
        as_of: date | None = None,
    ) -> View:
        return View(self.table, column_map.currency, self.raw, self.text, self.rows, tables or {}, as_of)

    def keep(self, mask: pd.Series[bool]) -> None:
        self.raw, self.text, self.rows = self.raw[mask], self.text[mask], self.rows[mask]


def _read_table(export: _Export, column_map: ColumnMap, name: str, table: TableMap) -> _Batch | None:
    paths = export.matching(table.file)
    if not paths:
        return None
    batch = _Batch(name, [], pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), {}, [], {})
    parts = []
    for path in paths:
        file = export.text(path, column_map)
        delimiter, _ = pick_delimiter(file.text, expected=_expected(table))
        found = records(file.text, delimiter=delimiter)
        size = len(found.values) + len(found.malformed)
        batch.files.append(SourceFile(file.name, file.sha256, file.bytes, file.encoding, delimiter, size))
        batch.read[file.name] = size
        position = {header_key(header): index for index, header in enumerate(found.header)}
        cells: dict[str, Sequence[str | None]] = {}
        for column, header in table.columns.items():
            index = position.get(header_key(header))
            if index is not None:
                cells[column] = [record[index] or None for record in found.values]
        parts.append(pd.DataFrame({**cells, "file": file.name, "row": list(found.rows)}, dtype="object"))
        used = {header_key(header) for header in _expected(table)}
        batch.unused_headers[file.name] = [h for h in found.header if h and header_key(h) not in used]
        if found.malformed:
            bad = pd.DataFrame(
                {"row": [m.row for m in found.malformed], "value": [m.problem for m in found.malformed]}
            )
            batch.issues.append(
                _issue_lines(MALFORMED, name, "record", bad["value"], file=file.name, row=bad["row"], key="")
            )
    raw = pd.concat(parts, ignore_index=True)
    for column, value in table.constants.items():
        raw[column] = value
    columns = [column for column in SPECS[name].columns if column in raw.columns]
    raw = raw[["file", "row", *columns]].astype("object")
    batch.raw = raw.where(raw.notna(), None)
    batch.text = pd.DataFrame(
        {
            column: _clean(batch.raw[column], column_map, table.corrections.get(column, {}))
            for column in columns
        },
        index=raw.index,
        dtype="object",
    )
    return batch


def _clean(cells: pd.Series[str], column_map: ColumnMap, corrections: Mapping[str, str]) -> pd.Series[str]:
    text = cells.str.strip().astype("object")
    text = text.where(text.notna() & ~text.isin(["", *column_map.missing_words]), None)
    return text.map(dict(corrections)).fillna(text).astype("object")


def read_dates(texts: pd.Series[str], *, formats: Sequence[str]) -> pd.Series[pd.Timestamp]:
    """Read texts as days, each by the first format that fits; NaT where none does or the text is missing.

    ``ISO`` is ``2017-09-30``, optionally with a time; a time of day is cut off, not converted.

    >>> read_dates(pd.Series(["2017-09-30T23:10:00Z", "30.9.2017", "soon"]), formats=["ISO", "%d.%m.%Y"])
    0   2017-09-30
    1   2017-09-30
    2          NaT
    dtype: datetime64[ns]
    """
    days = pd.Series(pd.NaT, index=texts.index, dtype="datetime64[ns]")
    for form in formats:
        left = texts[days.isna() & texts.notna()]
        if form == "ISO":
            left = left[left.str.fullmatch(_ISO).astype(bool)].str[:10]
            form = "%Y-%m-%d"
        if len(left):
            found = pd.to_datetime(left, format=form, errors="coerce").dt.normalize()
            days.loc[left.index] = found.astype("datetime64[ns]")
    return days


def read_numbers(texts: pd.Series[str], *, numbers: NumberFormat) -> pd.Series[float]:
    """Read texts as numbers in the given format; NaN where it does not fit or the text is missing.

    Strict, so that ``1,234`` is never taken for 1.234 or the other way round: thousands signs must stand
    where they belong.

    >>> polish = NumberFormat(decimal=",", thousands=" ", currency_signs=["zł"])
    >>> read_numbers(pd.Series(["1 234,50 zł", "-7", "1.234,50", "12 34"]), numbers=polish).tolist()
    [1234.5, -7.0, nan, nan]
    """
    left = texts.dropna()
    for sign in numbers.currency_signs:
        left = left.str.replace(sign, "", regex=False)
    left = left.str.replace(r"[\u00a0\u202f]", " ", regex=True).str.replace("\u2212", "-").str.strip()
    left = left.str.replace(r"^([+-])\s+", r"\1", regex=True)
    thousands, decimal = (f"[{sign}]" if sign else "" for sign in (numbers.thousands, numbers.decimal))
    grouped = rf"[0-9]{{1,3}}(?:{thousands}[0-9]{{3}})+|" if thousands else ""
    fits = left.str.fullmatch(rf"[+-]?(?:{grouped}[0-9]+)(?:{decimal}[0-9]+)?").astype(bool)
    plain = left[fits]
    if numbers.thousands:
        plain = plain.str.replace(numbers.thousands, "", regex=False)
    values = plain.str.replace(numbers.decimal, ".", regex=False).astype("float64")
    return values.reindex(texts.index)


def _convert(batch: _Batch, column_map: ColumnMap, table: TableMap) -> None:
    """Fill ``rows``: every column of the table's spec, typed; one that the export lacks is all missing."""
    spec = SPECS[batch.table]
    formats, numbers = table.dates or column_map.dates, table.numbers or column_map.numbers
    rows: dict[str, object] = {}
    for column, kind in spec.columns.items():
        nothing = pd.Series(None, index=batch.text.index, dtype="object")
        texts = batch.text.get(column, nothing)
        if kind == "text":
            rows[column] = texts
        elif kind == "date":
            rows[column] = read_dates(texts, formats=formats)
        else:
            rows[column] = read_numbers(texts, numbers=numbers)
    batch.rows = pd.DataFrame(rows, index=batch.text.index)
    shown_format = f"decimal sign {numbers.decimal!r}, thousands sign {numbers.thousands!r}"
    if numbers.currency_signs:
        shown_format += f", currency signs {listed(numbers.currency_signs)}"
    _refuse_unreadable_columns(
        batch, table, "date", "no value can be read as a date", listed(formats), "dates"
    )
    _refuse_unreadable_columns(batch, table, "money", "no value is an amount", shown_format, "numbers")
    if batch.table == "opportunities":
        _set_status(batch, column_map, table)
    if batch.table == "stage_history":
        _refuse_unknown(batch, table, "stage", column_map.stages)
        status = batch.rows["stage"].map(dict(column_map.stages))
        batch.rows["stage"] = batch.rows["stage"].where(~status.isin(["won", "lost"]), status)
    if batch.table == "quotas":
        batch.rows["period"] = period_labels(batch.text["period"])


def _refuse_unreadable_columns(
    batch: _Batch, table: TableMap, kind: str, what: str, tried: str, key: str
) -> None:
    columns = [name for name in batch.text.columns if SPECS[batch.table].columns[name] == kind]
    anything_read = bool(batch.rows[columns].notna().to_numpy().any())
    for column in columns:
        filled = batch.text[column].notna()
        enough = filled.sum() >= _COLUMN_IS_WRONG_FROM or not anything_read
        if filled.any() and enough and not batch.rows[column].notna().any():
            first = batch.raw[filled].iloc[0]
            raise DataError(
                f"{first['file']}: in column '{table.columns.get(column, column)}' {what}; "
                f"row {first['row']} has {first[column]!r}. Tried: {tried}. "
                f"Say under '{key}' in the column map how this export writes them"
            )


def _set_status(batch: _Batch, column_map: ColumnMap, table: TableMap) -> None:
    rows = batch.rows
    _refuse_unknown(batch, table, "stage", column_map.stages)
    if column_map.statuses:
        _refuse_unknown(batch, table, "status", column_map.statuses)
        rows["status"] = batch.text["status"].map(column_map.statuses).astype("object")
    else:
        rows["status"] = batch.text["stage"].map(dict(column_map.stages)).astype("object")
    open_stage = batch.text["stage"].where(rows["status"] == "open", None)
    rows["stage"] = rows["status"].where(rows["status"].isin(["won", "lost"]), open_stage)


def _refuse_unknown(batch: _Batch, table: TableMap, column: str, known: Mapping[str, str]) -> None:
    texts = batch.text[column]
    unknown = texts[texts.notna() & ~texts.isin(list(known))]
    if unknown.empty:
        return
    plural = {"stage": "stages", "status": "statuses"}[column]
    lines = []
    for value, where in unknown.groupby(unknown, sort=False):
        first = batch.raw.loc[where.index[0]]
        rows = f"row {first['row']}" + (f" and {len(where) - 1:,} more" if len(where) > 1 else "")
        lines.append(f"  {first['file']} {rows}: column '{table.columns.get(column, column)}' is {value!r}")
    more = [f"  … and {len(lines) - 8} more unknown {plural}"] if len(lines) > 8 else []
    raise DataError(
        f"unknown {column}:\n" + "\n".join(lines[:8] + more) + "\n"
        f"The column map knows {listed(list(known), most=20)}. "
        f"Add it under '{plural}' in the column map (in a copy, when it is a shipped one), with its status: "
        "open, won or lost"
    )


# --- rules ----------------------------------------------------------------------------------------


def _reject(batch: _Batch, column_map: ColumnMap) -> None:
    for rule in RULES.values():
        if batch.table not in rule.tables or rule.severity == "suspicious":
            continue
        hit = _apply(rule, batch, batch.view(column_map))
        if rule.severity == "rejected" and len(hit):
            batch.keep(~pd.Series(batch.rows.index.isin(hit), index=batch.rows.index))


def _look_for_suspicious(batches: Mapping[str, _Batch], column_map: ColumnMap, as_of: date) -> None:
    tables = {name: batch.rows for name, batch in batches.items()}
    for rule in RULES.values():
        for name in rule.tables:
            if rule.severity == "suspicious" and name in batches:
                _apply(rule, batches[name], batches[name].view(column_map, tables, as_of))


def _apply(rule: Rule, batch: _Batch, view: View) -> pd.Index[int]:
    hit: pd.Index[int] = pd.Index([], dtype="int64")
    for field, texts in rule.find(view):
        if len(texts):
            raw = view.raw.loc[texts.index]
            parts = [view.text.loc[texts.index, column].fillna("") for column in SPECS[view.table].key]
            key = reduce(lambda left, right: left + " / " + right, parts)
            batch.issues.append(
                _issue_lines(rule, view.table, field, texts, file=raw["file"], row=raw["row"], key=key)
            )
            hit = hit.union(texts.index)
    return hit


def _issue_lines(
    rule: Rule,
    table: str,
    field: str,
    values: pd.Series[str],
    *,
    file: pd.Series[str] | str,
    row: pd.Series[int],
    key: pd.Series[str] | str,
) -> pd.DataFrame:
    lines = pd.DataFrame({"row": row.astype("int64"), "value": values.astype("object")})
    constants = {
        "table": table,
        "field": field,
        "rule": rule.name,
        "severity": rule.severity,
        "what_to_do": rule.what_to_do,
    }
    return lines.assign(file=file, key=key, **constants)[list(ISSUE_COLUMNS)]


def _refuse_if_nothing_is_left(deals: _Batch) -> None:
    read = sum(deals.read.values())
    names = listed(list(deals.read))
    if not read:
        raise DataError(f"{names}: there is a header and no record; export the deals again")
    if deals.rows.empty:
        issues = pd.concat(deals.issues)
        worst = issues["rule"].value_counts().index[0]
        first = issues[issues["rule"] == worst].iloc[0]
        raise DataError(
            f"{names}: none of {read:,} deals can be used. Most often: {worst}, for example row "
            f"{first['row']}, field '{first['field']}', value {first['value']!r}. {first['what_to_do']}"
        )


# --- finishing ------------------------------------------------------------------------------------


def _join_products_and_segments(batches: Mapping[str, _Batch], column_map: ColumnMap) -> None:
    deals = batches["opportunities"].rows.copy()

    def looked_up(table: str, key: str, column: str) -> pd.Series[str]:
        if table not in batches:
            return pd.Series(None, index=deals.index, dtype="object")
        return deals[key].map(batches[table].rows.set_index(key)[column])

    if "products" in batches:
        deals["list_price"] = deals["list_price"].fillna(looked_up("products", "product", "list_price"))
    table, column = column_map.segment_from.split(".")
    if table != "opportunities":
        key = {"products": "product", "accounts": "account"}[table]
        deals["segment"] = looked_up(table, key, column).astype("object")
    elif column != "segment":
        deals["segment"] = deals[column]
    batches["opportunities"].rows = deals


def _latest_day(batches: Mapping[str, _Batch]) -> date:
    deals = batches["opportunities"].rows
    happened = [deals["created"], deals["closed"][deals["status"] != "open"]]
    if "leads" in batches:
        happened.append(batches["leads"].rows["created"])
    if "stage_history" in batches:
        happened.append(batches["stage_history"].rows["entered"])
    days, rows = np.unique(pd.concat(happened).dropna().to_numpy(), return_counts=True)
    if not len(days):
        raise DataError(
            "the export has no created, closed or stage date at all; say when it was taken (as_of)"
        )
    # A year typed wrongly (2071) would make every open deal look dead.
    total, three_years = rows.sum(), np.timedelta64(3 * 365, "D")
    while len(days) > 1 and days[-1] - days[-2] > three_years and rows[-1] < 0.01 * total:
        days, rows = days[:-1], rows[:-1]
    return pd.Timestamp(days[-1]).date()


def _finish(batches: Mapping[str, _Batch]) -> dict[str, pd.DataFrame]:
    tables = {name: empty(name) for name in SPECS if name != "products"}
    for name in tables:
        if name in batches:
            batch = batches[name]
            rows = batch.rows.assign(row=batch.raw["row"].astype("int64"))
            tables[name] = rows[list(SPECS[name].canonical_columns)].reset_index(drop=True)
    deals = tables["opportunities"]
    is_open = deals["status"] == "open"
    deals["expected_close"] = deals["expected_close"].fillna(deals["closed"].where(is_open))
    deals["closed"] = deals["closed"].mask(is_open)
    # A lost deal brought nothing, whatever its amount says; an open one of zero has no expected amount yet.
    deals["amount"] = deals["amount"].mask((deals["status"] == "lost") | (is_open & ~(deals["amount"] > 0)))
    for name in ("opportunities", "leads"):
        segment = tables[name]["segment"]
        tables[name]["segment"] = segment.fillna(SEGMENT_MISSING if segment.notna().any() else NO_SEGMENTS)
    named = pd.concat([tables[name]["rep"] for name in ("opportunities", "leads", "quotas")]).dropna()
    added = sorted(set(named) - set(tables["reps"]["rep"]))
    if added:
        more = empty("reps").reindex(range(len(added))).assign(rep=pd.Series(added, dtype="object"))
        more = more.astype(empty("reps").dtypes.to_dict())
        known = tables["reps"]
        tables["reps"] = more if known.empty else pd.concat([known, more], ignore_index=True)
    return tables


def _issues(batches: Mapping[str, _Batch]) -> pd.DataFrame:
    parts = [part for batch in batches.values() for part in batch.issues]
    if not parts:
        return pd.DataFrame(columns=list(ISSUE_COLUMNS)).astype({"row": "int64"})
    issues = pd.concat(parts, ignore_index=True)
    order = {"severity": SEVERITIES, "rule": tuple(RULES), "table": tuple(SPECS)}
    ranks = issues.assign(**{name: issues[name].map(values.index) for name, values in order.items()})
    by = ["severity", "rule", "table", "file", "row"]
    return issues.loc[ranks.sort_values(by, kind="stable").index].reset_index(drop=True)


def _counts(batches: Mapping[str, _Batch]) -> pd.DataFrame:
    lines = []
    for name, batch in batches.items():
        kept = batch.raw["file"].value_counts()
        issues = pd.concat(batch.issues) if batch.issues else pd.DataFrame(columns=list(ISSUE_COLUMNS))
        rows = issues.groupby(["file", "severity"])["row"].nunique()
        for file, read_count in batch.read.items():
            found = {severity: int(rows.get((file, severity), 0)) for severity in SEVERITIES}
            lines.append(
                (
                    name,
                    file,
                    read_count,
                    int(kept.get(file, 0)),
                    found["rejected"],
                    found["repaired"],
                    found["suspicious"],
                )
            )
    return pd.DataFrame(lines, columns=list(COUNT_COLUMNS))


def _notes(export: _Export, column_map: ColumnMap, batches: Mapping[str, _Batch]) -> tuple[str, ...]:
    notes = []
    deals = batches["opportunities"].rows
    lost = deals.loc[deals["status"] == "lost", "amount"]
    if (lost > 0).any():
        notes.append(
            f"{(lost > 0).sum():,} of {len(lost):,} lost deals carry an amount; it is not used, since a lost "
            "deal brought nothing."
        )
    waiting = deals["status"] == "open"
    if waiting.any() and not (deals.loc[waiting, "amount"] > 0).any():
        notes.append(
            "No open deal has an expected amount: this CRM does not record it, or it was not exported."
        )
    if column_map.currency == "XXX":
        notes.append("The export names no currency; amounts are shown without one.")
    for name in SPECS:
        if name not in batches and name != "products":
            where = f" ('{column_map.tables[name].file}')" if name in column_map.tables else ""
            notes.append(f"The export has no table of {name.replace('_', ' ')}{where}.")
    for batch in batches.values():
        for file, headers in batch.unused_headers.items():
            if headers:
                notes.append(f"{file}: columns not used: {', '.join(headers)}.")
    read_files = {file for batch in batches.values() for file in batch.read}
    unread = [path.name for path in export.paths if path.name not in read_files]
    if unread:
        notes.append(f"Files not read, because the column map names no such file: {', '.join(unread)}.")
    for (name, used_by), opened in export.opened.items():
        if opened.guessed and name in read_files and used_by == column_map.name:
            notes.append(
                f"{opened.name}: not UTF-8; read as {opened.encoding} by its letters. If names look wrong, "
                "set 'encoding' in the column map."
            )
    return tuple(notes)
