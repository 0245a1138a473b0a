"""From an export to canonical tables: nothing is dropped without a line in the quality report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salessim.crm.batches import Batch, convert, currency_words, evident, read_batches
from salessim.crm.canonical import GIVEN, NO_SEGMENTS, SEGMENT_MISSING, SPECS, Tables, checked, empty
from salessim.crm.columnmap import ColumnMap, word_key
from salessim.crm.convert import as_objects, as_texts, is_text, shown
from salessim.crm.currencies import Rates, as_rates, currency_in_cells, currency_of_words, reporting_currency
from salessim.crm.detect import Choice, choose_map
from salessim.crm.gaps import findings
from salessim.crm.quality import COUNT_COLUMNS, ISSUE_COLUMNS, SEVERITIES, QualityReport
from salessim.crm.rules import NO_RATE, RULES, Rule, View
from salessim.crm.sources import Export, RawTable, open_export
from salessim.crm.stagewords import StageWords, ordered_stages
from salessim.errors import DataError, ParameterError, listed
from salessim.formats import NO_CURRENCY
from salessim.model import DEFAULT_CONTRACTS, Contract
from salessim.periods import Quarter

__all__ = ["read"]


def read(
    source: str | Path,
    *,
    column_map: str | Path | ColumnMap | None = None,
    as_of: date | None = None,
    fiscal_year_starts_in_month: int = 1,
    currency: str | None = None,
    rates: Mapping[str, float] | Rates | None = None,
    contracts: Sequence[Contract] = DEFAULT_CONTRACTS,
    personal_data: bool = False,
    queries: Mapping[str, str] | None = None,
) -> Tables:
    """Read a CRM export into clean tables, with a report on every row that is not clean.

    Args:
        source: a folder, one file (CSV and the like in any common encoding, a workbook, Parquet, a zip of
            such), or a database URL.
        column_map: name of a shipped map, path of a map in YAML (its format: see
            :mod:`salessim.crm.columnmap`), or None to take the shipped map that finds most of its columns.
        as_of: day on which the export was taken; None takes the latest day on which anything happened
            (created, closed, stage entered; never an expected close; a lone date years after all others is a
            typing error and does not count).
        fiscal_year_starts_in_month: 1 (January) to 12.
        currency: the one that reports are in; None: that of the map, else the only one in the export.
        rates: what one unit of each other currency is worth in it, or what
            :func:`salessim.crm.read_rates` returns. The day of the close, else of creation decides.
        contracts: what leads must carry to count as MQL or SQL; those that do not are listed.
        personal_data: True keeps contacts, e-mails, phones and the text of evidence, which else become the
            word "given".
        queries: databases only: name of a table of the export → table or SELECT that gives it.

    Raises:
        DataError: the export cannot be read; names file, row, field and value, and what is allowed.
        ParameterError: an argument cannot be used.

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
    known_rates = as_rates(rates)
    export = open_export(source, queries=queries)
    choice = choose_map(export, column_map)
    chosen = choice.column_map
    batches, linked = read_batches(export, choice, personal_data=personal_data)
    words = StageWords(chosen)
    for batch in batches.values():
        convert(batch, chosen, words)
        _reject(batch)
    _refuse_if_nothing_is_left(batches["opportunities"])
    day = (as_of.date() if isinstance(as_of, datetime) else as_of) or _latest_day(batches)
    money, converted = _in_one_currency(batches, chosen, asked=currency, rates=known_rates, day=day)
    _refuse_if_nothing_is_left(batches["opportunities"])
    _join_products_and_segments(batches, chosen)
    _look_for_suspicious(batches, day, tuple(contracts))
    stages = _stages(batches, chosen)
    notes = (*_notes(export, choice, batches, linked), *converted)
    quality = QualityReport(_issues(batches), _counts(batches), notes)
    finished = _finish(batches, personal_data=personal_data)
    files = [file for batch in batches.values() for file in batch.files]
    tables = Tables(
        **{name: _plain(checked(name, finished[name], stages=stages)) for name in finished},
        as_of=day,
        currency=money,
        quality=quality,
        files=tuple({file.name: file for file in [*files, *(raw.file for raw in linked)]}.values()),
        column_map=chosen.name,
        stages=stages,
        fiscal_year_starts_in_month=fiscal_year_starts_in_month,
        column_map_reason=choice.reason,
    )
    whole = findings(tables, contracts=tuple(contracts))
    return replace(tables, quality=replace(quality, findings=whole))


def _stages(batches: Mapping[str, Batch], column_map: ColumnMap) -> tuple[str, ...]:
    """The open stages in order, those that the column map does not list in their place."""
    deals = batches["opportunities"].rows
    history = batches["stage_history"].rows if "stage_history" in batches else None
    named = deals.loc[deals["status"] == "open", "stage"].dropna().unique().tolist()
    if history is not None:
        named += [name for name in history["stage"].dropna().unique() if name not in ("won", "lost")]
    listed_stages = column_map.stages_shown(named)
    unlisted = [name for name in dict.fromkeys(named) if name not in listed_stages]
    return ordered_stages(listed_stages, unlisted, deals=deals, history=history)


# --- currencies -----------------------------------------------------------------------------------


def _in_one_currency(
    batches: Mapping[str, Batch], column_map: ColumnMap, *, asked: str | None, rates: Rates, day: date
) -> tuple[str, list[str]]:
    """Convert all money into the currency of reports; return it, with notes on what was converted."""
    words = currency_words(column_map)
    of_map = column_map.currency if column_map.currency != NO_CURRENCY else None
    named = {name: _currencies(batch, words) for name, batch in batches.items() if _money(batch)}
    found: dict[str, int] = {}
    for name, currencies in named.items():
        has_amount = _counted_money(batches[name]).notna().any(axis="columns")
        own = currencies[has_amount.index[has_amount]]
        counted = (own.fillna(of_map) if of_map else own).value_counts()
        found |= {str(code): found.get(str(code), 0) + int(rows) for code, rows in counted.items()}
    chosen = reporting_currency(found, asked=asked, of_map=column_map.currency, rates=rates)
    notes = []
    for name, currencies in named.items():
        batch = batches[name]
        if name == "opportunities":
            batch.rows["currency"] = currencies
            blank = int((currencies.isna() & _counted_money(batch)["amount"].notna()).sum())
            if blank and currencies.notna().any():
                amounts = "amount of a deal names" if blank == 1 else "amounts of deals name"
                notes.append(f"{blank:,} {amounts} no currency: taken as {of_map or chosen}.")
        own = currencies.fillna(of_map or chosen)
        for code in sorted(set(own.unique()) - {chosen}):
            notes += _converted(batch, own.index[own == code], code, chosen, rates, day)
    return chosen, notes


def _money(batch: Batch) -> list[str]:
    return [column for column in SPECS[batch.table].of_kind("money") if column in batch.text]


def _counted_money(batch: Batch) -> pd.DataFrame:
    """The amounts that go into figures; those of lost deals do not, so that nobody needs a rate for them."""
    money = batch.rows[_money(batch)]
    return money if batch.table != "opportunities" else money[batch.rows["status"] != "lost"]


def _currencies(batch: Batch, words: Mapping[str, str]) -> pd.Series[str]:
    """The currency that each row names, in a column of its own or inside an amount; else missing."""
    found = pd.Series(None, index=batch.rows.index, dtype="object")
    if "currency" in batch.text:
        found = as_objects(currency_of_words(as_texts(batch.text["currency"]), words=words))
    for column in _money(batch):
        cells = batch.text[column]
        if is_text(cells) and found.isna().any():
            inside = currency_in_cells(cells, words=words)
            found = found.fillna(as_objects(inside)) if inside.notna().any() else found
    return found.astype("object")


def _converted(
    batch: Batch, index: pd.Index[int], code: str, chosen: str, rates: Rates, day: date
) -> list[str]:
    """Convert the rows of one currency; rows whose day has no rate are rejected, unless the deal is lost."""
    rows = batch.rows.loc[index]
    columns = [column for column in _money(batch) if rows[column].notna().any()]
    rows = rows[rows[columns].notna().any(axis="columns")] if columns else rows.iloc[:0]
    if rows.empty:
        return []
    days = pd.Series(pd.Timestamp(day), index=rows.index)
    if batch.table == "opportunities":
        days = rows["closed"].where(rows["status"] != "open").fillna(rows["created"]).fillna(days)
    elif batch.table == "quotas":
        days = as_objects(rows["period"]).map(lambda period: pd.Timestamp(Quarter.parse(period).start))
    factors = rates.on(code, pd.to_datetime(days))
    for column in columns:
        batch.rows.loc[rows.index, column] *= factors
    lacking = factors.index[factors.isna()].intersection(_counted_money(batch).index)
    if len(lacking):
        dates = days[lacking].dt.strftime("%Y-%m-%d")
        batch.add_issues(NO_RATE, columns[0], (code + " on " + dates).astype("object"))
        batch.drop(lacking)
    used = factors.dropna()
    if used.empty:
        return []
    span = f"{used.min():g}" if used.min() == used.max() else f"{used.min():g} to {used.max():g}"
    what = batch.table.replace("_", " ")
    rows_of = "1 row of" if len(used) == 1 else f"{len(used):,} rows of"
    return [f"Amounts in {rows_of} {what} were converted from {code} to {chosen} at {span} ({rates.source})."]


# --- rules ----------------------------------------------------------------------------------------


def _reject(batch: Batch) -> None:
    for rule in RULES.values():
        if batch.table not in rule.tables or rule.severity == "suspicious":
            continue
        hit = _apply(rule, batch, batch.view())
        if rule.severity == "rejected" and len(hit):
            batch.drop(hit)


def _look_for_suspicious(batches: Mapping[str, Batch], as_of: date, contracts: tuple[Contract, ...]) -> None:
    tables = {name: batch.rows for name, batch in batches.items()}
    for rule in RULES.values():
        for name in rule.tables:
            if rule.severity == "suspicious" and name in batches:
                _apply(rule, batches[name], batches[name].view(tables, as_of, contracts))


def _apply(rule: Rule, batch: Batch, view: View) -> pd.Index[int]:
    hit: pd.Index[int] = pd.Index([], dtype="int64")
    for column, texts in rule.find(view):
        if len(texts):
            batch.add_issues(rule, column, texts)
            hit = hit.union(texts.index)
    return hit


def _refuse_if_nothing_is_left(deals: Batch) -> None:
    read = sum(deals.read.values())
    if not read:
        raise DataError(f"{deals.names}: there is a header and no record; export the deals again")
    if deals.rows.empty:
        issues = pd.concat(deals.issues)
        worst = issues["rule"].value_counts().index[0]
        first = issues[issues["rule"] == worst].iloc[0]
        raise DataError(
            f"{deals.names}: none of {read:,} deals can be used. Most often: {worst}, for example row "
            f"{first['row']}, field '{first['field']}', value {first['value']!r}. {first['what_to_do']}"
        )


# --- finishing ------------------------------------------------------------------------------------


def _join_products_and_segments(batches: Mapping[str, Batch], column_map: ColumnMap) -> None:
    deals = batches["opportunities"].rows

    def looked_up(table: str, key: str, column: str) -> pd.Series[Any]:
        listing = batches[table].rows
        values = pd.Series(listing[column].to_numpy(), index=as_objects(listing[key]))
        return pd.Series(as_objects(deals[key]).map(values), index=deals.index)

    if "products" in batches:
        prices = looked_up("products", "product", "list_price").astype("float64")
        deals["list_price"] = deals["list_price"].fillna(prices)
    table, column = column_map.segment_from.split(".")
    if table != "opportunities":
        key = {"products": "product", "accounts": "account"}[table]
        if table in batches:
            deals["segment"] = looked_up(table, key, column).astype("category")
    elif column != "segment":
        deals["segment"] = deals[column]


def _latest_day(batches: Mapping[str, Batch]) -> date:
    deals = batches["opportunities"].rows
    happened = [deals["created"], deals["closed"][deals["status"] != "open"]]
    if "leads" in batches:
        happened.append(batches["leads"].rows["created"])
    if "stage_history" in batches:
        happened.append(batches["stage_history"].rows["entered"])
    by_day = pd.concat([days.value_counts() for days in happened])
    by_day = by_day.groupby(level=0).sum().sort_index()
    days, rows = by_day.index.to_numpy(), by_day.to_numpy()
    if not len(days):
        raise DataError(
            "the export has no created, closed or stage date at all; say when it was taken (as_of)"
        )
    # A year typed wrongly (2071) would make every open deal look dead.
    total, three_years = rows.sum(), np.timedelta64(3 * 365, "D")
    while len(days) > 1 and days[-1] - days[-2] > three_years and rows[-1] < 0.01 * total:
        days, rows = days[:-1], rows[:-1]
    return pd.Timestamp(days[-1]).date()


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its texts as objects, equal ones shared, as all later layers know them."""
    texts = {
        str(name): as_objects(cells)
        for name, cells in table.items()
        if isinstance(cells.dtype, pd.CategoricalDtype)
    }
    return table.assign(**texts)


def _finish(batches: Mapping[str, Batch], *, personal_data: bool) -> dict[str, pd.DataFrame]:
    tables = {name: empty(name) for name in SPECS if name != "products"}
    for name in tables:
        if name in batches:
            batch = batches[name]
            rows = batch.rows.assign(row=batch.raw["row"])[list(SPECS[name].canonical_columns)]
            tables[name] = rows.reset_index(drop=True)
    deals = tables["opportunities"]
    is_open = deals["status"] == "open"
    deals["expected_close"] = deals["expected_close"].fillna(deals["closed"].where(is_open))
    deals["closed"] = deals["closed"].mask(is_open)
    # A lost deal brought nothing, whatever its amount says; an open one of zero has no expected amount yet.
    deals["amount"] = deals["amount"].mask((deals["status"] == "lost") | (is_open & ~(deals["amount"] > 0)))
    for name in ("opportunities", "leads"):
        segment = as_objects(tables[name]["segment"])
        tables[name]["segment"] = segment.fillna(SEGMENT_MISSING if segment.notna().any() else NO_SEGMENTS)
    named = [
        pd.Series(tables[name]["rep"].dropna().unique()) for name in ("opportunities", "leads", "quotas")
    ]
    added = sorted(set().union(*named) - set(tables["reps"]["rep"]))
    if added:
        more = empty("reps").reindex(range(len(added))).assign(rep=pd.Series(added, dtype="object"))
        more = more.astype(empty("reps").dtypes.to_dict())
        known = _plain(tables["reps"])
        tables["reps"] = more if known.empty else pd.concat([known, more], ignore_index=True)
    tables["evidence"] = _with_evidence_of_deals(
        tables["evidence"], batches["opportunities"], personal_data=personal_data
    )
    return tables


def _with_evidence_of_deals(noted: pd.DataFrame, deals: Batch, *, personal_data: bool) -> pd.DataFrame:
    """The evidence table with what fields of the deals say; what the table says itself comes first."""
    parts = [noted]
    for criterion, cells in deals.evidence.items():
        text = as_objects(evident(cells.loc[deals.rows.index]))
        text = text[text.notna()]
        ids = as_objects(deals.rows.loc[text.index, "opportunity_id"])
        parts.append(
            pd.DataFrame(
                {
                    "opportunity_id": ids,
                    "criterion": pd.Series(criterion, index=text.index, dtype="object"),
                    "evidence": text if personal_data else pd.Series(GIVEN, index=text.index, dtype="object"),
                    "noted": pd.Series(pd.NaT, index=text.index, dtype="datetime64[ns]"),
                }
            )
        )
    filled = [part for part in parts if len(part)]
    if not filled:
        return noted
    both = pd.concat(filled, ignore_index=True).drop_duplicates(["opportunity_id", "criterion"])
    return both.reset_index(drop=True)


def _issues(batches: Mapping[str, Batch]) -> pd.DataFrame:
    parts = [part for batch in batches.values() for part in batch.issues]
    if not parts:
        return pd.DataFrame(columns=list(ISSUE_COLUMNS)).astype({"row": "int64"})
    issues = pd.concat(parts, ignore_index=True)
    order = {"severity": SEVERITIES, "rule": tuple(RULES), "table": tuple(SPECS)}
    ranks = issues[["file", "row"]].assign(
        **{name: pd.Categorical(issues[name], values).codes for name, values in order.items()}
    )
    by = ["severity", "rule", "table", "file", "row"]
    return issues.loc[ranks.sort_values(by, kind="stable").index].reset_index(drop=True)


def _counts(batches: Mapping[str, Batch]) -> pd.DataFrame:
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


def _notes(
    export: Export, choice: Choice, batches: Mapping[str, Batch], linked: Sequence[RawTable]
) -> tuple[str, ...]:
    notes, column_map = [], choice.column_map
    deals = batches["opportunities"].rows
    lost = deals.loc[deals["status"] == "lost", "amount"]
    if (lost > 0).any():
        notes.append(
            f"{(lost > 0).sum():,} of {len(lost):,} lost deals carry an amount; it is not used, since a lost "
            "deal brought nothing."
        )
    for name in SPECS:
        # that leads, stage history or quotas are missing is a finding, which says what it means
        if name not in batches and name not in ("products", "leads", "stage_history", "quotas"):
            patterns = column_map.tables[name].file if name in column_map.tables else None
            where = f" ({listed(patterns)})" if patterns else ""
            notes.append(f"The export has no table of {name.replace('_', ' ')}{where}.")
    for name, batch in batches.items():
        if batch.table_map.row_ids:
            notes.append(
                f"{batch.names}: {name} have no id and are numbered; a record that is there twice cannot be "
                "told from two."
            )
        absent = [
            c
            for c in batch.table_map.lookups
            if column_map.tables[name].lookups[c].table not in choice.fit.lookups
        ]
        ids = [column for column in absent if column in batch.text]
        if ids:
            notes.append(
                f"{batch.names}: {listed(ids)} may be ids; the export lacks the linked file with their names."
            )
        for file, headers in batch.unused_headers.items():
            if headers:
                notes.append(f"{file}: columns not used: {', '.join(headers)}.")
    if used := _unverified(column_map, batches):
        notes.append(
            f"No documentation of the vendor confirms {listed(used)}, which column map '{column_map.name}' "
            "uses; check that they were understood."
        )
    read_files = {file for files in choice.fit.tables.values() for file in files} | {
        file for files in choice.fit.lookups.values() for file in files
    }
    notes += [f"Not read: {why}." for why in choice.fit.unreadable]
    unread = [
        file
        for file in export.tables
        if file not in read_files and not any(why.startswith(file) for why in choice.fit.unreadable)
    ]
    if unread:
        notes.append(f"Files not read, because the column map names no such file: {', '.join(unread)}.")
    guessed = [file for batch in batches.values() for file in batch.guessed]
    for one in {one.name: one for one in [*guessed, *(raw.file for raw in linked if raw.guessed)]}.values():
        notes.append(
            f"{one.name}: not UTF-8; read as {one.encoding} by its letters. If names look wrong, "
            "set 'encoding' in the column map."
        )
    return tuple(notes)


def _unverified(column_map: ColumnMap, batches: Mapping[str, Batch]) -> list[str]:
    """Headers and words of the map that nobody has verified and that this export uses."""
    there: set[str] = set()
    for batch in batches.values() if column_map.unverified else ():
        there |= {word_key(header) for header in batch.headers.values()}
        for column in ("stage", "status", "source"):
            if column in batch.raw:
                there |= {word_key(word) for word in shown(batch.raw[column].dropna()).unique()}
    return [word for word in column_map.unverified if word_key(word) in there]
