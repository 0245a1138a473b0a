"""One table of an export on its way through the import: read, cleaned, its dates and numbers understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial, reduce
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from salessim.crm.canonical import GIVEN, SPECS
from salessim.crm.columnmap import ColumnMap, TableMap, word_key
from salessim.crm.convert import (
    as_objects,
    as_texts,
    decided_dates,
    decided_numbers,
    is_text,
    on_distinct,
    read_dates,
    read_numbers,
    shown,
)
from salessim.crm.detect import Choice
from salessim.crm.quality import ISSUE_COLUMNS
from salessim.crm.rules import MALFORMED, Marks, Rule, View, period_labels
from salessim.crm.sources import Export, RawTable
from salessim.crm.stagewords import StageWords
from salessim.crm.textfiles import SourceFile, header_key
from salessim.errors import DataError, listed
from salessim.formats import NO_CURRENCY
from salessim.model import Contract

__all__ = ["NO_EVIDENCE", "Batch", "convert", "currency_words", "evident", "read_batches"]

# One odd value is a bad row; from three on, a column in which nothing can be read has another format.
_COLUMN_IS_WRONG_FROM = 3
#: Words in a field of evidence that say that there is none; others are evidence.
NO_EVIDENCE = frozenset(
    word_key(word)
    for word in "- – — ? 0 no n none unknown false not nie brak nieznane nieznany нет неизвестно ложь".split()
)
_EMAIL = re.compile(r"[^\s,;|<>\"']+@[^\s,;|<>\"']+")
# what could tell who somebody is, in a line of a file that could not be split into fields
_PERSONAL_TEXT = re.compile(_EMAIL.pattern + r"|\+?\d(?:[ ()./-]?\d){8,}")


@dataclass
class Batch:
    """One table on its way through the import; ``raw``, ``text`` and ``rows`` are those of View.

    It is changed in place: rows that a rule rejects are taken out of all three, and each finding adds its
    lines to ``issues``.
    """

    table: str
    table_map: TableMap
    raw: pd.DataFrame
    text: pd.DataFrame
    rows: pd.DataFrame
    files: list[SourceFile]
    read: dict[str, int]  # records per file, malformed ones included
    headers: dict[str, str]  # canonical column → header in the (first) file that has it
    unused_headers: dict[str, list[str]]
    guessed: list[SourceFile]  # files whose encoding is not certain
    typed: bool  # workbooks, Parquet, databases
    evidence: dict[str, pd.Series[Any]]  # criterion → what a field says about it
    personal_data: bool  # whether findings may show it
    issues: list[pd.DataFrame] = field(default_factory=list)
    marks: Marks = field(default_factory=Marks)

    def view(
        self,
        tables: Mapping[str, pd.DataFrame] | None = None,
        as_of: date | None = None,
        contracts: tuple[Contract, ...] = (),
    ) -> View:
        """What a rule may look at."""
        return View(self.table, self.raw, self.text, self.rows, self.marks, tables or {}, as_of, contracts)

    def drop(self, index: pd.Index[int]) -> None:
        """Take rows out of the table."""
        mask = ~self.rows.index.isin(index)
        self.raw, self.text, self.rows = self.raw[mask], self.text[mask], self.rows[mask]

    def add_issues(self, rule: Rule, column: str, texts: pd.Series[str]) -> None:
        """Add what a rule found in a column; ``texts`` has what is shown of each row."""
        raw = self.raw.loc[texts.index]
        parts = [shown(self.text.loc[texts.index, key]) for key in SPECS[self.table].key]
        key = reduce(lambda left, right: left + " / " + right, parts)
        file = as_objects(raw["file"])
        if not self.personal_data:
            texts = texts.str.replace(_EMAIL, GIVEN, regex=True)
            if SPECS[self.table].personal and SPECS[self.table].columns.get(column) in ("date", "money"):
                # cells that are shifted to the side put a name where a day belongs
                texts = texts.where(texts.str.contains(r"\d") | (texts == ""), GIVEN)
        self.issues.append(_issue_lines(rule, self.table, column, texts, file=file, row=raw["row"], key=key))

    @property
    def names(self) -> str:
        """The names of its files, for an error text."""
        return listed(list(self.read))


def _read_raw(export: Export, column_map: ColumnMap, file: str, columns: Sequence[str]) -> RawTable:
    return export.read(
        file,
        columns=columns,
        expected=column_map.headers,
        encoding=column_map.encoding,
        words=column_map.words,
    )


def read_batches(
    export: Export, choice: Choice, *, personal_data: bool
) -> tuple[dict[str, Batch], list[RawTable]]:
    """Read and clean every table of an export, and the linked files with names for ids.

    Each batch has ``raw`` and ``text``; :func:`convert` fills ``rows``. Without ``personal_data``, of
    personal cells is kept only whether there is something.
    """
    linked, files = _read_linked(export, choice)
    batches = {
        name: _read_table(export, choice, name, linked, personal_data=personal_data)
        for name in choice.fit.tables
    }
    return batches, files


def _read_linked(
    export: Export, choice: Choice
) -> tuple[dict[tuple[str, str], dict[str, str]], list[RawTable]]:
    """Names by id for each column that is looked up, and the files that they stand in."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    files: dict[str, RawTable] = {}
    for name, table in choice.column_map.tables.items():
        for column, look in table.lookups.items():
            for file in choice.fit.lookups.get(look.table, ()):
                raw = _read_raw(export, choice.column_map, file, [*look.key, *look.value])
                files[file] = raw
                ids, names = (
                    next((raw.cells[header_key(h)] for h in headers if header_key(h) in raw.cells), None)
                    for headers in (look.key, look.value)
                )
                if ids is None or names is None:
                    continue
                pairs = pd.DataFrame({"id": shown(ids).str.strip(), "name": shown(names).str.strip()})
                pairs = pairs[(pairs["id"] != "") & (pairs["name"] != "")].drop_duplicates("id")
                known = found.setdefault((name, column), {})
                for key, value in zip(pairs["id"], pairs["name"], strict=True):
                    known.setdefault(key, value)
    return found, list(files.values())


def _read_table(
    export: Export,
    choice: Choice,
    name: str,
    linked: Mapping[tuple[str, str], Mapping[str, str]],
    *,
    personal_data: bool,
) -> Batch:
    column_map, spec = choice.column_map, SPECS[name]
    table = column_map.tables[name]
    raws = [_read_raw(export, column_map, file, table.headers) for file in choice.fit.tables[name]]
    found = [table.found(raw.header) for raw in raws]
    for_blanks = [table.found_for_blanks(raw.header) for raw in raws]
    lengths = [len(raw.rows) for raw in raws]
    index = pd.RangeIndex(sum(lengths))
    names = pd.Index([raw.file.name for raw in raws], dtype="object")
    columns: dict[str, pd.Series[Any]] = {
        "file": pd.Series(pd.Categorical.from_codes(np.repeat(np.arange(len(raws)), lengths), names), index),
        "row": pd.Series(np.concatenate([raw.rows for raw in raws]).astype("int64"), index),
    }
    for column in spec.columns:
        if any(column in one for one in found):
            columns[column] = _joined(
                [
                    _cells(raw, one.get(column), blanks_from=instead.get(column))
                    for raw, one, instead in zip(raws, found, for_blanks, strict=True)
                ]
            )
        elif column in table.constants:
            columns[column] = _constant(table.constants[column], pd.Series(True, index))
        elif table.row_ids and column in spec.key:
            numbers = columns["row"].astype(str)
            several = len(raws) > 1
            ids = columns["file"].astype(str) + " row " + numbers if several else "row " + numbers
            columns[column] = ids.astype("category")
    evidence = [table.found_evidence(raw.header) for raw in raws]
    batch = Batch(
        table=name,
        table_map=table,
        raw=pd.DataFrame(columns, index=index),
        text=pd.DataFrame(index=index),
        rows=pd.DataFrame(index=index),
        files=[raw.file for raw in raws],
        read={raw.file.name: len(raw.rows) + len(raw.malformed) for raw in raws},
        headers={column: header for one in reversed(found) for column, header in one.items()},
        unused_headers={
            raw.file.name: _unused(
                raw,
                [*one.values(), *instead.values(), *seen.values()],
                choice.fit.lookups,
                column_map,
            )
            for raw, one, instead, seen in zip(raws, found, for_blanks, evidence, strict=True)
        },
        guessed=[raw.file for raw in raws if raw.guessed],
        typed=any(not raw.file.delimiter for raw in raws),
        evidence={
            criterion: _joined(
                [_cells(raw, one.get(criterion)) for raw, one in zip(raws, evidence, strict=True)]
            )
            for criterion in table.evidence
            if any(criterion in one for one in evidence)
        },
        personal_data=personal_data,
    )
    personal = any(column in columns for column in spec.personal)
    for raw in raws:
        # a line of contacts says who they are, and so may columns that nobody asked for
        hidden = not personal_data and (personal or bool(batch.unused_headers[raw.file.name]))
        _list_malformed(batch, raw, without_text=hidden, masked=not personal_data)
    _clean(batch, column_map, linked)
    if not personal_data:
        _forget(batch)
    return batch


def _unused(
    raw: RawTable, used: Sequence[str], lookups: Mapping[str, Sequence[str]], column_map: ColumnMap
) -> list[str]:
    keys = {header_key(header) for header in used}
    if any(raw.file.name in files for files in lookups.values()):
        looks = [look for table in column_map.tables.values() for look in table.lookups.values()]
        keys |= {header_key(header) for look in looks for header in (*look.key, *look.value)}
    return [header for header in raw.header if header and header_key(header) not in keys]


def _cells(raw: RawTable, header: str | None, *, blanks_from: str | None = None) -> pd.Series[Any]:
    """The cells under a header; blank ones are taken from another header."""
    if header is not None and blanks_from is not None:
        cells, others = _cells(raw, header), _cells(raw, blanks_from)
        if is_text(cells) or is_text(others):
            texts = as_objects(as_texts(cells))
            return texts.where(texts.notna(), as_objects(as_texts(others))).astype("category")
        return cells.where(cells.notna(), others)
    if header is None:
        nothing = pd.Categorical.from_codes(np.full(len(raw.rows), -1), pd.Index([], dtype="object"))
        return pd.Series(nothing)
    cells = raw.cells[header_key(header)]
    if isinstance(cells.dtype, pd.CategoricalDtype) and cells.cat.categories.dtype != object:
        return cells.cat.rename_categories(cells.cat.categories.astype("object").tolist())
    return cells


def _joined(parts: Sequence[pd.Series[Any]]) -> pd.Series[Any]:
    """The cells of a column in all files of a table: texts where one of them has texts."""
    if len(parts) == 1:
        return parts[0].reset_index(drop=True)
    filled = [part for part in parts if len(part)] or list(parts[:1])
    if any(is_text(part) for part in filled):
        texts = [as_texts(part).array for part in filled]
        return pd.Series(union_categoricals(texts))
    return pd.concat(filled, ignore_index=True)


def _list_malformed(batch: Batch, raw: RawTable, *, without_text: bool, masked: bool) -> None:
    if not raw.malformed:
        return
    problems = pd.Series([bad.problem for bad in raw.malformed], dtype="object")
    if without_text:
        problems = problems.str.split(":", n=1).str[0]
    elif masked:
        problems = problems.str.replace(_PERSONAL_TEXT, GIVEN, regex=True)
    rows = pd.Series([bad.row for bad in raw.malformed], dtype="int64")
    batch.issues.append(
        _issue_lines(MALFORMED, batch.table, "record", problems, file=raw.file.name, row=rows, key="")
    )


def _clean(batch: Batch, column_map: ColumnMap, linked: Mapping[tuple[str, str], Mapping[str, str]]) -> None:
    """Fill ``text``, and note what was done to the cells."""
    table, missing = batch.table_map, ["", *column_map.missing_words]
    padded, corrected, not_found = [], {}, {}
    text: dict[str, pd.Series[Any]] = {}
    for column in batch.raw.columns.drop(["file", "row"]):
        cells = batch.raw[column]
        if not is_text(cells):
            if SPECS[batch.table].columns[column] != "text":
                text[column] = cells
                continue
            cells = as_texts(cells)
        words = pd.Series(cells.cat.categories, dtype="object")
        stripped = words.str.strip()
        if is_text(batch.raw[column]) and (stripped != words).any():
            padded.append(column)
        stripped = stripped.mask(stripped.isin(missing), None)
        if not stripped.equals(words):
            cells = on_distinct(cells, _instead(dict(zip(words, stripped, strict=True))))
        if (names := linked.get((batch.table, column))) is not None:
            unknown = cells.notna() & ~cells.isin(list(names))
            if unknown.any():
                not_found[column] = unknown
            cells = on_distinct(cells, _instead(names))
        if corrections := table.corrections.get(column):
            changes = {old: f"{old} → {new}" for old, new in corrections.items() if old != new}
            changed = on_distinct(cells, partial(pd.Series.map, arg=changes)).astype("category")
            if changed.notna().any():
                corrected[column] = changed
            cells = on_distinct(cells, _instead(corrections))
        if translations := table.translations.get(column):
            own = {word_key(word): name for word, name in translations.items()}
            there = cells.dropna().unique()
            cells = on_distinct(cells, _instead({word: own.get(word_key(word), word) for word in there}))
        text[column] = cells
    batch.text = pd.DataFrame(text, index=batch.raw.index)
    batch.marks = Marks(tuple(padded), corrected, not_found)


def _instead(words: Mapping[str, str | None]) -> Callable[[pd.Series[Any]], pd.Series[Any]]:
    """Put other words in the place of some; the rest stays."""

    def replaced(old: pd.Series[Any]) -> pd.Series[Any]:
        known = old.isin(list(words))
        return old.map(words).where(known, old).astype("object")

    return replaced


def _constant(word: str, where: pd.Series[bool]) -> pd.Series[Any]:
    codes = np.where(where.to_numpy(), 0, -1)
    return pd.Series(pd.Categorical.from_codes(codes, pd.Index([word], dtype="object")), index=where.index)


def _forget(batch: Batch) -> None:
    """Keep of personal cells only whether there is something."""
    for column in SPECS[batch.table].personal:
        if column in batch.text:
            text = batch.text[column]
            if batch.table == "evidence":
                text = evident(text)
            given = _constant(GIVEN, text.notna())
            batch.raw[column] = given
            batch.text[column] = given
    padded = tuple(name for name in batch.marks.padded if name not in SPECS[batch.table].personal)
    batch.marks = replace(batch.marks, padded=padded)


def evident(text: pd.Series[Any]) -> pd.Series[Any]:
    """Evidence without the words that say that there is none."""
    return on_distinct(
        as_texts(text),
        lambda words: words.str.strip().mask(words.map(word_key).isin([*NO_EVIDENCE, ""]), None),
    )


def convert(batch: Batch, column_map: ColumnMap, words: StageWords) -> None:
    """Fill ``rows``: every column of the table's spec, typed; one that the export lacks is all missing."""
    spec, table = SPECS[batch.table], batch.table_map
    formats, numbers = table.dates or column_map.dates, table.numbers or column_map.numbers
    if batch.typed and "ISO" not in formats:
        formats = [*formats, "ISO"]  # how a mixed column of a workbook is written
    there = {kind: [c for c in spec.of_kind(kind) if c in batch.text] for kind in ("date", "money", "number")}
    signs = currency_words(column_map)
    where = listed(list(batch.read))
    dates = decided_dates(
        {column: batch.text[column] for column in there["date"]},
        formats=formats,
        where=where,
        headers=batch.headers,
    )
    amounts = decided_numbers(
        {column: batch.text[column] for column in there["money"]},
        numbers=numbers,
        signs=list(signs),
        where=where,
        headers=batch.headers,
    )
    nothing = pd.Categorical.from_codes(
        np.full(len(batch.text), -1, dtype="int8"), pd.Index([], dtype="object")
    )
    rows: dict[str, Any] = {}
    for column, kind in spec.columns.items():
        if column not in batch.text:
            rows[column] = nothing if kind == "text" else pd.NaT if kind == "date" else np.nan
        elif kind == "text":
            rows[column] = batch.text[column]
        elif kind == "date":
            rows[column] = read_dates(batch.text[column], formats=dates[column])
        else:
            form = amounts.get(column, numbers[0])
            also = list(signs) if kind == "money" else ["%"]
            rows[column] = read_numbers(batch.text[column], numbers=form, signs=also)
            if batch.typed and is_text(batch.text[column]):
                rows[column] = rows[column].fillna(
                    read_numbers(batch.text[column], numbers=type(form)(), signs=also)
                )
    batch.rows = pd.DataFrame(rows, index=batch.text.index)
    for column in spec.of_kind("date"):
        batch.rows[column] = batch.rows[column].astype("datetime64[ns]")
    shown_formats = "; or ".join(
        f"decimal sign {form.decimal!r}, thousands sign {form.thousands!r}"
        + (f", currency signs {listed(form.currency_signs)}" if form.currency_signs else "")
        for form in numbers
    )
    _refuse_unreadable_columns(batch, "date", "no value can be read as a date", listed(formats), "dates")
    _refuse_unreadable_columns(batch, "money", "no value is an amount", shown_formats, "numbers")
    if batch.table == "opportunities":
        _set_status(batch, column_map, words)
    if batch.table == "stage_history":
        words = StageWords(column_map, in_history=True)
        _refuse_unknown(batch, column_map, "stage", list(column_map.stages), words)
        batch.rows["stage"] = on_distinct(batch.text["stage"], lambda old: old.map(words.name, "ignore"))
    if batch.table in ("opportunities", "stage_history"):
        unlisted = [word for word in batch.text["stage"].dropna().unique() if not words.listed(word)]
        meant = {word: words.status(word) or "open" for word in unlisted}
        batch.marks = replace(batch.marks, unlisted_stages=meant)
    if batch.table == "quotas":
        batch.rows["period"] = period_labels(batch.text["period"])
    if batch.table == "evidence" and "evidence" in batch.text:
        batch.rows["evidence"] = evident(batch.text["evidence"])


def currency_words(column_map: ColumnMap) -> dict[str, str]:
    """Signs, words and codes of currencies that may stand in an amount."""
    codes = {*column_map.currency_words.values(), column_map.currency} - {NO_CURRENCY}
    return {**{code: code for code in sorted(codes)}, **column_map.currency_words}


def _refuse_unreadable_columns(batch: Batch, kind: str, what: str, tried: str, key: str) -> None:
    columns = [name for name in batch.text.columns if SPECS[batch.table].columns[name] == kind]
    anything_read = bool(batch.rows[columns].notna().to_numpy().any())
    for column in columns:
        filled = batch.text[column].notna()
        enough = filled.sum() >= _COLUMN_IS_WRONG_FROM or not anything_read
        if filled.any() and enough and not batch.rows[column].notna().any():
            first = batch.raw[filled].iloc[:1]
            raise DataError(
                f"{first['file'].iat[0]}: in column '{batch.headers.get(column, column)}' {what}; "
                f"row {first['row'].iat[0]} has {shown(first[column]).iat[0]!r}. Tried: {tried}. "
                f"Say under '{key}' in the column map how this export writes them"
            )


def _set_status(batch: Batch, column_map: ColumnMap, words: StageWords) -> None:
    rows, stage = batch.rows, batch.text["stage"]
    _refuse_unknown(batch, column_map, "stage", list(column_map.stages), words)
    if column_map.statuses:
        _refuse_unknown(batch, column_map, "status", list(column_map.statuses))
        meant = {word_key(word): status for word, status in column_map.statuses.items()}
        status = on_distinct(
            batch.text["status"], lambda old: old.map(lambda word: meant.get(word_key(word)))
        )
    else:
        status = on_distinct(stage, lambda old: old.map(words.status, "ignore").astype("object"))
    names = as_objects(on_distinct(stage, lambda old: old.map(words.name, "ignore").astype("object")))
    statuses = as_objects(status)
    rows["status"] = status
    closed = statuses.isin(["won", "lost"])
    rows["stage"] = names.where(statuses == "open", None).mask(closed, statuses).astype("category")


def _refuse_unknown(
    batch: Batch, column_map: ColumnMap, column: str, known: Sequence[str], words: StageWords | None = None
) -> None:
    texts = batch.text[column]
    keys = {word_key(word) for word in known}
    odd = [
        word
        for word in texts.dropna().unique()
        if (words.status(word) is None if words else word_key(word) not in keys)
    ]
    if not odd:
        return
    plural = {"stage": "stages", "status": "statuses"}[column]
    lines = []
    for value in odd:
        where = batch.raw[texts == value]
        rows = f"row {where['row'].iat[0]}" + (f" and {len(where) - 1:,} more" if len(where) > 1 else "")
        header = batch.headers.get(column, column)
        lines.append(f"  {where['file'].iat[0]} {rows}: column '{header}' is {value!r}")
        if len(lines) == 8:
            break
    more = [f"  … and {len(odd) - 8} more unknown {plural}"] if len(odd) > 8 else []
    raise DataError(
        f"unknown {column}:\n" + "\n".join(lines + more) + "\n"
        f"The column map knows {listed(known, most=20)}. "
        f"Add it under '{plural}' in the column map (in a copy, when it is a shipped one), with its status: "
        "open, won or lost"
    )


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
