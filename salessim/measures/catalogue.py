"""The catalogue as a whole: every measure by name, asked for one at a time or all together for a quarter."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import pandas as pd

from salessim import formats
from salessim.errors import ParameterError, listed
from salessim.measures.attainment import ATTAINMENT
from salessim.measures.concentration import CONCENTRATION
from salessim.measures.coverage import available_quarters, check_quarter
from salessim.measures.deals import DEALS
from salessim.measures.entry import Measure
from salessim.measures.estimates import LEVEL
from salessim.measures.field import field_ranges
from salessim.measures.funnel import FUNNEL
from salessim.measures.pipeline import PIPELINE
from salessim.measures.selection import Selection, splits
from salessim.periods import Quarter

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = ["CATALOGUE", "glossary", "measure", "overview", "overview_table"]

_FIELD_WORDS = (
    "*The field reports* spans all sources that are shipped, which count different things and disagree: P, "
    "the primary page was read; S, a secondary report of a named primary; W, weak. It is no yardstick."
)

#: Every measure by name, in the order of reports.
CATALOGUE: Mapping[str, Measure] = MappingProxyType(
    {entry.name: entry for entry in (*DEALS, *PIPELINE, *FUNNEL, *CONCENTRATION, *ATTAINMENT)}
)


def glossary() -> list[dict[str, str]]:
    """The catalogue in words, one row per measure: name, label, unit, better, definition.

    >>> glossary()[0]["label"], glossary()[0]["definition"]
    ('Won value', 'Sum of the booked amounts of the deals won in the period, by closing date [A7].')
    """
    return [
        {key: str(getattr(entry, key)) for key in ("name", "label", "unit", "better", "definition")}
        for entry in CATALOGUE.values()
    ]


def measure(
    name: str,
    tables: Tables,
    *,
    quarter: Quarter | None = None,
    by: str | Sequence[str] | None = None,
    benchmarks: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """One measure of the catalogue, for a period, split by rep, source … or several of them, or not at all.

    Args:
        name: a key of :data:`CATALOGUE`.
        tables: what :func:`salessim.crm.read` returns.
        quarter: the period; None is all time. Open deals are always those of the day of the export.
        by: one or several of :data:`BY`, such as ``"rep"`` or ``["quarter", "rep", "source"]``; None for one
            row.
        benchmarks: figures per quarter that the user sets, by name of measure; only
            ``new_against_expected`` needs one.

    Returns:
        A column for each split, then value, low, high, n, note: one row per group, also for groups without a
        deal; with several splits, one row for each combination that holds something. Value is NaN, and the
        note says why, where the tables do not allow it; low and high are NaN for facts.

    Raises:
        ParameterError: the catalogue has no such measure, or nothing is split by that.
        DataError: the export has no data for the quarter.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> rows = measure("win_rate_closed", read(example_crm()), by="source")
    >>> rows.columns.tolist(), bool(rows["value"].between(rows["low"], rows["high"]).all())
    (['source', 'value', 'low', 'high', 'n', 'note'], True)
    >>> measure("won_count", read(example_crm()), by=["segment", "source"]).columns.tolist()[:3]
    ['segment', 'source', 'value']
    """
    entry = _entry(name)
    names = splits(by)
    if quarter is not None:
        check_quarter(tables, quarter)
    return entry.rows(Selection(tables, quarter, names, _checked(benchmarks)))


def overview(
    tables: Tables,
    *,
    quarter: Quarter,
    benchmarks: Mapping[str, float] | None = None,
    field: bool = False,
) -> pd.DataFrame:
    """Every measure of one quarter beside its benchmark and the quarter before [A7].

    Args:
        tables: what :func:`salessim.crm.read` returns.
        quarter: the quarter; it must have data.
        benchmarks: figures that the user sets, by name of measure; ``new_against_expected`` appears only
            where ``new_opportunities`` has one.
        field: whether what the field reports stands beside it (:func:`salessim.measures.field_benchmarks`).

    Returns:
        One row per measure: name, label, unit, better, value, low, high, n, note, benchmark, previous; with
        ``field`` also field_low, field_high (NaN: none shipped), field_grades and field_sources (how many).
        ``previous`` is NaN where the quarter before has no data or only part of it, and for open deals,
        which are known only as of the day of the export. ``benchmark`` is NaN where none is set.

    Raises:
        DataError: the export has no data for the quarter.
        ParameterError: a benchmark is set for a measure that does not exist.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> tables = read(example_crm())
    >>> rows = overview(tables, quarter=available_quarters(tables)[-1], benchmarks={"win_rate_closed": 0.5})
    >>> rows.set_index("name")["benchmark"].dropna().to_dict()
    {'win_rate_closed': 0.5}
    """
    check_quarter(tables, quarter)
    expected = _checked(benchmarks)
    here, before = (
        Selection(tables, quarter, (), expected),
        Selection(tables, quarter.shift(-1), (), expected),
    )
    has_before = before.quarter in available_quarters(tables)
    lines = []
    for entry in CATALOGUE.values():
        if entry.name == "new_against_expected" and "new_opportunities" not in expected:
            continue
        row = entry.rows(here).iloc[0].to_dict()
        previous = math.nan
        if has_before and entry.time != "as_of" and not entry.period_note(before):
            previous = float(entry.rows(before)["value"].iloc[0])
        lines.append(
            {key: getattr(entry, key) for key in ("name", "label", "unit", "better")}
            | row
            | {"benchmark": float(expected.get(entry.name, math.nan)), "previous": previous}
        )
    rows = pd.DataFrame(lines)
    if not field:
        return rows
    ranges = [field_ranges().get(name) for name in rows["name"]]
    return rows.assign(
        field_low=[found.low if found else math.nan for found in ranges],
        field_high=[found.high if found else math.nan for found in ranges],
        field_grades=[found.grades if found else "" for found in ranges],
        field_sources=[found.sources if found else 0 for found in ranges],
    )


def overview_table(overview: pd.DataFrame, *, currency: str) -> str:
    """An overview for people (Markdown): what is known as a table, its notes, then what is missing and why.

    Args:
        overview: result of :func:`overview`.
        currency: ISO code of the tables.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> tables = read(example_crm())
    >>> rows = overview(tables, quarter=available_quarters(tables)[-1])
    >>> overview_table(rows, currency=tables.currency).splitlines()[0]
    '| measure | value | 80 % interval | n | quarter before |'
    """
    with_benchmark = bool(overview["benchmark"].notna().any())
    with_field = "field_low" in overview
    ranges = field_ranges()
    known, notes = [], []
    missing: dict[str, list[str]] = {}
    for row in overview.to_dict("records"):
        unit, label, note = str(row["unit"]), str(row["label"]), _escaped(str(row["note"]))
        if not math.isfinite(row["value"]):
            missing.setdefault(note, []).append(label)
            continue
        if note:
            notes.append(f"- {label}: {note}.")
        value, previous, benchmark = (
            formats.figure(float(row[key]), unit, currency) for key in ("value", "previous", "benchmark")
        )
        # the currency stands with the value; a second time it would push the table off the page
        interval = formats.span(row["low"], row["high"], unit, currency).removeprefix(f"{currency} ")
        cells = [label, value, interval, formats.count(row["n"]), previous]
        cells += [benchmark] if with_benchmark else []
        found = ranges.get(str(row["name"]))
        cells += [found.text(unit) if found else formats.MISSING] if with_field else []
        known.append(cells)
    header = ["measure", "value", f"{formats.percent(LEVEL)} interval", "n", "quarter before"]
    header += ["benchmark"] if with_benchmark else []
    header += ["the field reports"] if with_field else []
    parts = [formats.table(header, known)]
    if with_field:
        parts.append(_FIELD_WORDS)
    if notes:
        parts.append("Notes:\n\n" + "\n".join(notes))
    if missing:
        reasons = [f"- {', '.join(labels)}: {reason}." for reason, labels in missing.items()]
        parts.append("Not in this export:\n\n" + "\n".join(reasons))
    return "\n\n".join(parts)


def _entry(name: str) -> Measure:
    if name not in CATALOGUE:
        raise ParameterError(f"measure is {name!r}; the catalogue has {listed(list(CATALOGUE), most=99)}")
    return CATALOGUE[name]


def _checked(benchmarks: Mapping[str, float] | None) -> Mapping[str, float]:
    for name, value in (benchmarks or {}).items():
        _entry(name)
        if not math.isfinite(value):
            raise ParameterError(f"benchmark of {name!r} is {value}; it must be a number")
        if _entry(name).unit == "share" and not 0 <= value <= 1:
            raise ParameterError(
                f"benchmark of {name!r} is {value:g}; a share is a fraction between 0 and 1 (0.45 for 45 %)"
            )
    return MappingProxyType(dict(benchmarks or {}))


def _escaped(text: str) -> str:
    """Text on one line with the marks escaped that Markdown would act on: notes name accounts and sources."""
    return re.sub(r"([\\`*_{}\[\]<>#&$~])", r"\\\1", " ".join(text.split()))
