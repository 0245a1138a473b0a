"""Files of people and quotas on the command line: allocated, imported, compared."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from salessim import allocation, crm, formats
from salessim.allocation import Allocation, Hierarchy, Reconciliation
from salessim.briefing.allocating import (
    MOST_ROWS,
    allocation_text,
    beside_potential,
    signed_amount,
    signed_percent,
)
from salessim.briefing.prepared import bullets, reps
from salessim.crm.columnmap import NumberFormat
from salessim.crm.textfiles import read_columns
from salessim.documents import validated
from salessim.errors import DataError, ParameterError, PlanError, SalessimError, listed

__all__ = [
    "AllocatedFile",
    "ImportedQuotas",
    "allocate_file",
    "compare_quota_files",
    "differences_text",
    "import_quotas",
]

#: How long the period of a dated quota can be.
FREQUENCIES = ("month", "quarter", "year")


@dataclass(frozen=True, eq=False)
class AllocatedFile:
    """A plan handed down to the people of a file."""

    text: str
    """For people (Markdown)."""
    top_down: Allocation
    both: Reconciliation | None
    """Top-down beside bottom-up; None where no potential was named."""


def allocate_file(
    people: Path,
    *,
    target: float,
    by: str = "history",
    over_assignment: str = "",
    pins: Sequence[str] = (),
    missing: str = "refuse",
    year: int | None = None,
    fiscal_year_starts_in_month: int = 1,
    quarter_shares: str = "",
    ramp: str = "",
    leads_first_months: int = 0,
    freed: str = "gap",
    open_seats: str = "carry",
    potential: str = "",
    toward: float = 0.5,
    currency: str = formats.NO_CURRENCY,
    trace_of: str = "",
) -> AllocatedFile:
    """Allocate a plan to the people of a CSV file, and put it beside what they can bring where asked.

    Args as :func:`salessim.allocation.allocate` and :func:`salessim.allocation.reconcile` have them, where
    texts stand for lists: ``by`` "history=0.7,pipeline=0.3", ``over_assignment`` "0.05" or "1=0.05,3=0.1",
    ``pins`` "Ann=300000" each, ``quarter_shares`` and ``ramp`` shares with commas between. ``potential``
    names a column of the file; "" for top-down alone. Errors name options as the command line spells them.
    """
    with _option_spelling():
        found = allocation.allocate(
            Hierarchy.read(people),
            target,
            by=_shares(by, "--by") if "=" in by else by,
            over_assignment=_over_assignment(over_assignment),
            pins=_pins(pins),
            missing=missing,  # type: ignore[arg-type]  # allocate refuses what it does not know
            year=year,
            fiscal_year_starts_in_month=fiscal_year_starts_in_month,
            quarter_shares=_numbers(quarter_shares, "--quarter-shares") or allocation.EVEN,
            relief=_relief(ramp, leads_first_months),
            freed=freed,  # type: ignore[arg-type]
            open_seats=open_seats,  # type: ignore[arg-type]
            currency=_checked_currency(currency),
        )
        both = None
        if potential:
            below = allocation.roll_up(found.hierarchy, potential)
            both = allocation.reconcile(found, below, toward=toward)
        text = allocation_text(found, trace_of=trace_of)
    if both:
        text += f"\n\n{beside_potential(both, found.hierarchy)}"
    return AllocatedFile(text=text, top_down=found, both=both)


#: Arguments whose errors are reworded for the command line: name → option.
_OPTIONS = {
    name: f"--{name.replace('_', '-')}"
    for name in (
        "by", "missing", "freed", "open_seats", "over_assignment", "quarter_shares", "year", "unit", "rep",
        "quota", "period", "calendar_year", "period_of_date", "fiscal_year_starts_in_month", "potential",
        "toward", "target", "leads_first_months",
    )
} | {"pins": "--pin"}  # fmt: skip


@contextmanager
def _option_spelling() -> Iterator[None]:
    """Errors about arguments, as the library words them, said with the options of the command line."""
    try:
        yield
    except SalessimError as problem:
        raise type(problem)(_with_options(str(problem))) from None


def _with_options(text: str) -> str:
    """Arguments spelt as options: ``missing='equal'`` and "open_seats is" become "--missing equal" and
    "--open-seats is"."""

    def option(found: re.Match[str]) -> str:
        return found[1] + _OPTIONS[found[2]] + (f" {found[3]}" if found.lastindex == 3 else "")

    names = "|".join(_OPTIONS)
    text = re.sub(rf"(^|[\s(])({names})='([^']*)'", option, text)
    text = re.sub(rf"(^|\n|: )({names})(?=(?: is| are| of| names|:) )", option, text)
    text = re.sub(rf"(^|[\s(])({'|'.join(n for n in _OPTIONS if '_' in n)})\b", option, text)
    text = re.sub(r"numbers=NumberFormat\(decimal='(.)'.*?\)", r"--decimal-sign '\1'", text)
    return re.sub(r"by_month\[(\d+)\]", lambda found: f"month {int(found[1]) + 1}", text)


def _checked_currency(currency: str) -> str:
    if not re.fullmatch("[A-Z]{3}", currency):
        raise ParameterError(f"--currency is {currency!r}; write three capital letters such as EUR")
    return currency


def _pins(pins: Sequence[str]) -> dict[str, float]:
    given = [_assigned(pin, "--pin") for pin in pins]
    names = [name for name, _ in given]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ParameterError(f"--pin is given more than once for {listed(twice)}; keep one amount for each")
    return dict(given)


def _relief(ramp: str, leads_first_months: int) -> allocation.Relief | None:
    if not ramp and not leads_first_months:
        return None
    given = {"by_month": _numbers(ramp, "--ramp"), "leads_first_months": leads_first_months}
    return validated(allocation.Relief, given, where="--ramp", error=PlanError)


def _over_assignment(text: str) -> float | dict[int | str, float]:
    if "=" not in text:
        return _number(text, "--over-assignment") if text else 0.0
    return {
        int(level) if level.isdigit() else level: share
        for level, share in _shares(text, "--over-assignment").items()
    }


def _shares(text: str, option: str) -> dict[str, float]:
    return dict(_assigned(part, option) for part in text.split(","))


def _assigned(text: str, option: str) -> tuple[str, float]:
    name, given, value = text.partition("=")
    if not given or not name.strip():
        raise ParameterError(f"{option} is {text!r}; write a name and a number such as 'Ann=300000'")
    return name.strip(), _number(value, option)


def _numbers(text: str, option: str) -> tuple[float, ...]:
    return tuple(_number(part, option) for part in text.split(",")) if text else ()


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ParameterError(f"{option}: {text!r} is no number; write one such as 0.05") from None


@dataclass(frozen=True, eq=False)
class ImportedQuotas:
    """The quotas of a file, what was noted on reading it, and what is written of it."""

    text: str
    """For people (Markdown)."""
    quotas: pd.DataFrame
    """rep, period, quota: those that may be added up, or all where roll-ups were to be kept."""
    notes: pd.DataFrame
    """Every note row by row: rep, period, line, value, rule, severity, what_to_do."""
    written: str
    """How many quotas these are, and which were left out, in a sentence."""


def import_quotas(
    path: Path,
    *,
    unit: float = 1.0,
    rep: str = "",
    quota: str = "",
    period: str = "",
    year: str = "",
    calendar_year: int | None = None,
    period_of_date: str = "",
    decimal_sign: str = "",
    keep_roll_ups: bool = False,
    currency: str = formats.NO_CURRENCY,
    sales: str = "",
    sales_columns: str = "rep,date,amount",
    people: str = "",
) -> ImportedQuotas:
    """Read quotas from a wide or long file: what is in it and what is odd, with attainment by period where
    sales are given, and the quotas that may be added up.

    Args as :func:`salessim.crm.read_quotas` has them, "" for what is left out; ``decimal_sign`` is "." or
    ",". ``keep_roll_ups`` keeps suspected roll-ups among the quotas. Errors name options as the command line
    spells them.
    """

    def column(given: str) -> str | int | None:
        return int(given) if given.isdigit() else given or None

    if period_of_date not in ("", *FREQUENCIES):
        raise ParameterError(f"--period-of-date is {period_of_date!r}; allowed: {listed(FREQUENCIES)}")
    if decimal_sign not in ("", ".", ","):
        raise ParameterError(f"--decimal-sign is {decimal_sign!r}; allowed: '.', ','")
    thousands = {"": "", ".": ",", ",": "."}[decimal_sign]
    with _option_spelling():
        read = crm.read_quotas(
            path,
            unit=unit,
            currency=_checked_currency(currency),
            rep=column(rep),
            quota=column(quota),
            period=column(period),
            year=column(year),
            calendar_year=calendar_year,
            period_of_date=period_of_date or None,  # type: ignore[arg-type]  # checked above
            numbers=NumberFormat(decimal=decimal_sign, thousands=thousands) if decimal_sign else None,
        )
    addable = crm.without_rollups(read)
    note = f"{addable.note[:1].upper()}{addable.note[1:]}."
    parts = [f"{_reading(read)} {read.layout}", _notes_table(read), note]
    if sales:
        parts.append(_attainment_text(read, sales, sales_columns, people))
    kept = read.quotas if keep_roll_ups else addable.quotas
    return ImportedQuotas(
        text="\n\n".join(parts),
        quotas=kept[["rep", "period", "quota"]],
        notes=read.notes,
        written=_written(read, kept, addable.left_out),
    )


def _reading(read: crm.QuotaFile) -> str:
    return (
        f"**{read.source.name}: {formats.count(read.kept)} quotas by {read.frequency}** of "
        f"{reps(read.quotas['rep'].nunique())} (cells: {formats.count(read.cells)} = "
        f"{formats.count(read.kept)} kept + {formats.count(read.missing)} empty + "
        f"{formats.count(read.rejected)} rejected)."
    )


def _written(read: crm.QuotaFile, kept: pd.DataFrame, rollups: Sequence[str]) -> str:
    number = f"{formats.count(len(kept))} quotas of {reps(kept['rep'].nunique())}"
    if not rollups:
        return number
    names = ", ".join(rollups)
    if len(kept) == read.kept:
        return f"{number}, suspected roll-ups among them ({names}): do not add them up"
    return (
        f"{number}; left out: {formats.count(read.kept - len(kept))} quotas of suspected roll-ups ({names}), "
        "give --keep-roll-ups to write them, too"
    )


def _notes_table(read: crm.QuotaFile) -> str:
    found = read.summary()
    if found.empty:
        return "Nothing odd was found."
    rows = [
        [row["severity"], row["rule"], formats.count(row["notes"]), row["example"], row["what_to_do"]]
        for row in found.to_dict("records")
    ]
    return formats.table(["how bad", "what", "notes", "example", "what to do"], rows)


def _bridge(path: Path) -> dict[str, str]:
    """Id of the quotas → id of the sales, from a file."""
    ids = read_columns(path, columns=["quota_id", "sales_id"])
    twice = sorted(set(ids.loc[ids["quota_id"].duplicated(), "quota_id"]))
    if twice:
        raise DataError(
            f"{path.name}: quota_id {listed(twice)} stands there more than once; keep one row each"
        )
    return dict(zip(ids["quota_id"], ids["sales_id"], strict=True))


def _matching_ids(read: crm.QuotaFile, sold: pd.DataFrame, bridge: dict[str, str] | None) -> tuple[int, str]:
    """How many ids of the quotas are among those of the sales, and a sentence on it where not all are."""
    asked, there = sorted(set(read.quotas["rep"])), sorted(set(sold["rep"]))
    missing = [rep for rep in asked if (bridge.get(rep, "") if bridge is not None else rep) not in there]
    matched = len(asked) - len(missing)
    if not missing:
        return matched, ""
    such = f"such as {missing[0]} and {there[0]}" if there and not matched else f"not {listed(missing)}"
    sentence = (
        f"{matched} of {formats.count(len(asked))} ids of the quotas are among the "
        f"{formats.count(len(there))} of the sales ({such})"
    )
    advice = "give --people" if bridge is None else "check --people"
    return matched, f"**{sentence}: {advice}.**" if not matched else f"{sentence}; else {advice}."


def _attainment_text(read: crm.QuotaFile, sales: str, columns: str, people: str) -> str:
    names = [name.strip() for name in columns.split(",")]
    if len(names) != 3:
        raise ParameterError(f"--sales-columns is {columns!r}; write three: rep, date, amount")
    sold = read_columns(Path(sales), columns=names).set_axis(["rep", "date", "amount"], axis=1)
    bridge = _bridge(Path(people)) if people else None
    matched, told = _matching_ids(read, sold, bridge)
    if not matched:
        return told
    table = crm.attainment(read, sold, people=bridge)
    judged = crm.attainment_by_period(table)
    rows = [
        [
            row["period"],
            f"{row['attaining']} of {row['reps']}",
            formats.percent(row["share"]),
            formats.percent(row["median_attainment"]),
            row["note"],
        ]
        for row in judged[judged["reps"] > 0].to_dict("records")
    ]
    nobody = judged[judged["reps"] == 0]
    parts = [told] if told else []
    if rows:
        header = ["period", "made quota", "share", "median attainment", "what it says"]
        parts.append(formats.table(header, rows))
    else:
        parts.append("Attainment: in no period can anybody be judged.")
    if len(nobody):
        parts.append(
            f"{len(nobody)} periods in which nobody is judged, such as {nobody['period'].iloc[0]}: "
            f"{nobody['note'].iloc[0]}."
        )
    known = table[table["attainment"].notna()]
    each = [
        [
            row["rep"],
            row["period"],
            formats.money(row["quota"], read.currency),
            formats.money(row["bookings"], read.currency),
            formats.percent(row["attainment"]),
            row["note"],
        ]
        for row in known.head(MOST_ROWS).to_dict("records")
    ]
    if each:
        parts.append(formats.table(["rep", "period", "quota", "bookings", "attainment", "note"], each))
    if len(known) > MOST_ROWS:
        parts.append(f"… and {len(known) - MOST_ROWS:,} more.")
    return "\n\n".join(parts)


def compare_quota_files(before: Path, after: Path) -> str:
    """What changed between two files of quotas (Markdown), rep by rep and period by period; the changes add
    up. What was rejected or is odd in either file is said first."""
    try:
        with _option_spelling():
            first, second = (crm.read_quotas(path) for path in (before, after))
    except DataError as problem:
        if " --" not in str(problem):
            raise
        hint = "those are options of 'salessim quota import', whose --out writes what can be compared"
        raise DataError(f"{problem} ({hint})") from None
    parts = [f"{_reading(read)}\n\n{_notes_table(read)}" for read in (first, second)]
    if first.frequency != second.frequency:
        raise PlanError(
            f"{before} has quotas by {first.frequency}, {after} by {second.frequency}; periods must be of "
            "one length to be compared"
        )
    columns = ["rep", "period", "quota"]
    return "\n\n".join([*parts, differences_text(first.quotas[columns], second.quotas[columns])])


def differences_text(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """What changed between two sets of quotas (Markdown): rep, period and quota of each; totals reconcile."""
    for name, table in (("before", before), ("after", after)):
        if table.empty:
            raise PlanError(f"{name}: the file has no quotas to compare")
    found = allocation.differences(before, after, by_period=True)
    moved = found[found["status"] != "same"]
    old, new = float(found["old_quota"].sum()), float(found["new_quota"].sum())
    same = len(found) - len(moved)
    lines = [f"{formats.count(same)} of {formats.count(len(found))} quotas are the same."]
    lines += _only_in(before, after)
    rows = [
        [
            row["rep"],
            row["period"],
            row["status"],
            f"{row['old_quota']:,.2f}" if math.isfinite(row["old_quota"]) else formats.MISSING,
            f"{row['new_quota']:,.2f}" if math.isfinite(row["new_quota"]) else formats.MISSING,
            signed_amount(row["change"]),
            signed_percent(row["change_share"], digits=1),
        ]
        for row in moved.to_dict("records")
    ]
    shown = rows[:MOST_ROWS]
    if len(rows) > MOST_ROWS:
        left = float(moved["change"].iloc[MOST_ROWS:].sum())
        smaller = f"{formats.count(len(rows) - MOST_ROWS)} smaller changes"
        shown.append([smaller, "", "", "", "", signed_amount(left), ""])
    share = (new - old) / old if old > 0 else math.nan
    total = [f"{old:,.2f}", f"{new:,.2f}", signed_amount(new - old), signed_percent(share, digits=1)]
    shown.append(["**all**", "", "", *total])
    header = ["rep", "period", "", "before", "after", "change", "change, share"]
    return f"{bullets(lines)}\n\n{formats.table(header, shown)}"


def _only_in(before: pd.DataFrame, after: pd.DataFrame) -> list[str]:
    """Periods that only one of the two sets has, in sentences."""
    periods = [sorted(set(table["period"].astype(str))) for table in (before, after)]
    told = []
    for here, there, status in ((*periods, "removed"), (*periods[::-1], "added")):
        alone = [period for period in here if period not in there]
        if alone:
            which = "before" if status == "removed" else "after"
            told.append(
                f"**The two cover different periods**: only *{which}* has {', '.join(alone)} ({status})."
            )
    return told
