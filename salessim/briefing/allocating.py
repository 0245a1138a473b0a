"""From the company's plan to each rep's number: handed down, added up from below, and traced step by step."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from salessim import allocation, crm, formats
from salessim.allocation import Allocation, Hierarchy, Reconciliation
from salessim.briefing.prepared import Briefing, bullets, reps
from salessim.crm.textfiles import read_columns
from salessim.documents import validated
from salessim.engine import HORIZON
from salessim.errors import ParameterError, PlanError

__all__ = [
    "allocate_file",
    "allocated",
    "allocation_text",
    "compare_quota_files",
    "differences_text",
    "from_plan_to_reps",
    "import_quotas",
    "quota_trace",
    "reconciled",
    "team_hierarchy",
    "trace_text",
]

#: The weight that the company's plan is handed down by.
BASIS = "history, newcomers by ramp"
#: So many rows of a table are printed; files hold all of them.
MOST_ROWS = 40


@functools.lru_cache(maxsize=4)
def team_hierarchy(briefing: Briefing) -> Hierarchy:
    """Company, regions, teams and reps with a quota, as far as the export knows them.

    Weights, in currency: history (won value of the last four quarters), pipeline (what open deals are
    expected to bring), potential (expected bookings of the simulated quarters), and "history, newcomers by
    ramp": history, and for those who were not there for all of it the potential, at the level of history.
    """
    b, team, history = briefing, briefing.scenario.team(), _history(briefing)
    asked = b.recommended.annual_quota
    carries = [not isinstance(asked, dict) or asked.get(rep.role, 0) > 0 for rep in team]
    potential = b.outcome.expected_bookings(HORIZON)
    booked = np.array([history.get(rep.name, 0.0) for rep in team])
    first_day = b.quarter.shift(-3).start
    known = np.array([rep.start is None or rep.start <= first_day for rep in team])
    level = booked[known].sum() / max(potential[known].sum(), 1e-9) if known.any() else 1.0
    table = pd.DataFrame(
        {
            "region": [rep.region for rep in team],
            "team": [f"{rep.manager}'s team" if rep.manager else "" for rep in team],
            "rep": [rep.name for rep in team],
            "role": [rep.role for rep in team],
            "history": np.round(booked),
            BASIS: np.round(np.where(known, booked, potential * (level or 1.0))),
            "pipeline": np.round(_open_value(b)),
            "potential": np.round(potential),
        }
    )
    return Hierarchy.from_paths(
        table[np.array(carries)], levels=_levels(table), company=b.scenario.name, source="the export"
    )


def _levels(table: pd.DataFrame) -> list[str]:
    """Levels that the export knows, and that form a tree: a team that sells in two regions has none."""
    levels = [level for level in ("region", "team") if (table[level] != "").any()]
    if len(levels) == 2 and table[table["team"] != ""].groupby("team")["region"].nunique().max() > 1:
        levels = ["team"]
    names = [name for level in levels for name in set(table[level]) if name]
    return ["rep"] if set(names) & set(table["rep"]) or len(names) != len(set(names)) else [*levels, "rep"]


def _history(briefing: Briefing) -> dict[str, float]:
    deals = briefing.tables.opportunities
    first = pd.Timestamp(briefing.quarter.shift(-3).start)
    won = deals[(deals["status"] == "won") & (deals["closed"] >= first)]
    return {str(rep): float(value) for rep, value in won.groupby("rep")["amount"].sum().items()}


def _open_value(briefing: Briefing) -> list[float]:
    """What each rep's open deals are expected to bring in the simulated quarters."""
    from salessim.engine.rates import moments, rates_of

    scenario, outcome = briefing.scenario, briefing.outcome
    found = moments(rates_of(scenario), scenario, outcome.quarters_of(HORIZON))
    return [float(value) for value in found.open_deals]


@functools.lru_cache(maxsize=4)
def allocated(briefing: Briefing) -> Allocation:
    """The company's plan over the simulated quarters, handed down by the bookings of the last four quarters
    (newcomers by what their ramp lets expect); without a plan, what the team is expected to book."""
    target = briefing.plan.team_plan(briefing.scenario, HORIZON)
    if not math.isfinite(target):
        target = float(briefing.outcome.expected_bookings(HORIZON).sum())
    return allocation.allocate(
        team_hierarchy(briefing),
        round(target, 2),
        by=BASIS,
        missing="zero",
        quarter_shares=briefing.plan.quarter_shares,
        currency=briefing.currency,
    )


@functools.lru_cache(maxsize=4)
def reconciled(briefing: Briefing) -> Reconciliation:
    """Top-down beside bottom-up: the allocated plan, and what reps can bring with P10 and P90."""
    low, high = briefing.outcome.rep_quantiles([0.1, 0.9], HORIZON)
    potential = briefing.outcome.expected_bookings(HORIZON)
    reps = list(briefing.outcome.reps)
    table = pd.DataFrame(
        {
            "rep": reps,
            "potential": potential,
            "low": np.minimum(low, potential),
            "high": np.maximum(high, potential),
        }
    )
    down = allocated(briefing)
    leaves = {name for name, leaf in zip(down.hierarchy.names, down.hierarchy.leaf, strict=True) if leaf}
    below = allocation.roll_up(down.hierarchy, table[table["rep"].isin(leaves)], luck="own")
    return allocation.reconcile(down, below)


def from_plan_to_reps(briefing: Briefing) -> str:
    """Each rep's number seen from above and from below (Markdown table): the plan handed down by history,
    what the rep can bring, and the two reconciled half-way."""
    both = reconciled(briefing).table
    down = team_hierarchy(briefing)
    history = dict(zip(down.names, down.weights["history"], strict=True))

    def short(amount: float) -> str:
        return formats.money(amount, formats.NO_CURRENCY, short=True)

    unit = "" if briefing.currency == formats.NO_CURRENCY else f" Amounts in {briefing.currency}."
    rows = []
    for row in _in_tree_order(down, both).to_dict("records"):
        name, leaf = str(row["name"]), bool(row["leaf"])
        over = formats.percent(row["gap_share"])
        rows.append(
            [
                name if leaf else f"**{name}**",
                short(history.get(name, math.nan)) if leaf else "",
                short(row["top_down"]),
                short(row["bottom_up"]),
                f"{short(row['low'])} to {short(row['high'])}",
                f"+{over}" if row["gap_share"] > 0 else over,
                short(row["reconciled"]),
            ]
        )
    header = ["", "booked, 4 quarters", "top-down", "bottom-up", "P10 to P90", "over-asked", "reconciled"]
    plan = "the company's plan" if briefing.plan_given else "the stand-in for the company's plan"
    span = f"{briefing.outcome.periods[0]} to {briefing.outcome.periods[-1]}"
    return formats.table(header, rows) + (
        f"\n\n*top-down*: {plan} for {span}, handed down in proportion to what was booked (newcomers: what "
        "their ramp lets expect), exact to the cent; *bottom-up*: expected bookings of the same quarters; "
        "*over-asked*: top-down ÷ bottom-up − 1; *reconciled*: half-way between, the plan's total kept."
        f"{unit}"
    )


def quota_trace(briefing: Briefing, *, rep: str = "") -> str:
    """From the company's plan to one rep's number, step by step (Markdown), ending with the recommended quota
    and its chance [B5].

    Args:
        briefing: the report.
        rep: name of the rep; "" for the one who is asked for most.

    Raises:
        PlanError: nobody of that name carries a quota.
    """
    advised = {str(row["rep"]): row for row in briefing.advised.reps.to_dict("records")}
    name = rep or str(allocated(briefing).table.query("leaf").set_index("name")["quota"].idxmax())
    steps = trace_text(allocated(briefing), name)  # refuses a name that is not there
    if name not in advised:
        return steps
    row = advised[name]
    b = briefing
    relation = (
        "one quota for all, lowered by the ramp"
        if row["quota"] < b.advised.full_quota
        else "one quota for all"
    )
    return (
        f"{steps}\n\nThe recommended quota for {b.quota_period_name} is "
        f"{formats.money(row['quota'], b.currency)} ({relation}; "
        f"{formats.percent(b.advised.expected_share, digits=1)} of the team are expected to make theirs). "
        f"**{name} books {b.money(row['p50'])} in the middle case ({b.money(row['p10'])} to "
        f"{b.money(row['p90'])} in 8 of 10) and makes this quota with a chance "
        f"of {formats.percent(row['chance'])}; the chance of missing it is "
        f"{formats.percent(1 - row['chance'])}.**"
    )


def trace_text(found: Allocation, name: str) -> str:
    """Every step from the company's plan to one number (Markdown), the last of which is the quota."""
    table = allocation.trace(found, name)
    rows = [
        [number, row["rule"], row["sentence"], formats.money(row["amount"], found.currency)]
        for number, row in enumerate(table.to_dict("records"), start=1)
    ]
    return formats.table(["step", "rule", "", "amount"], rows)


def allocation_text(found: Allocation, *, trace_of: str = "") -> str:
    """An allocation for people (Markdown): sums by level, what to know, every quota, and a trace if asked."""
    currency = found.currency
    levels = formats.table(
        ["level", "nodes", "base", "assigned", "over-assignment"],
        [
            [
                row["level_name"],
                formats.count(row["nodes"]),
                formats.money(row["base"], currency),
                formats.money(row["assigned"], currency),
                formats.percent(row["over_assignment"], digits=1),
            ]
            for row in found.summary().to_dict("records")
        ],
    )
    table = found.table
    rows = [
        [
            "\u2003" * int(row["level"]) + str(row["name"]),
            row["role"],
            f"{row['quota']:,.2f}",
            f"{row['people_quota']:,.2f}",
            formats.percent(row["share_of_parent"], digits=1),
            "pinned" if row["pinned"] else "open seat" if row["open_seat"] else "",
        ]
        for row in _in_tree_order(found.hierarchy, table).to_dict("records")
    ]
    shown = rows[:MOST_ROWS]
    rest = (
        "" if len(rows) <= MOST_ROWS else f"\n\n… and {len(rows) - MOST_ROWS:,} more; --out has all of them."
    )
    unit = "" if currency == formats.NO_CURRENCY else f" ({currency})"
    people = formats.table(
        ["", "role", f"quota{unit}", f"sum of the people{unit}", "of the level above", ""], shown
    )
    parts = [levels, people + rest]
    if found.notes:
        parts.insert(1, bullets(found.notes))
    if trace_of:
        parts.append(f"Where the quota of {trace_of} comes from:\n\n{trace_text(found, trace_of)}")
    return "\n\n".join(parts)


def _in_tree_order(node: Hierarchy, table: pd.DataFrame) -> pd.DataFrame:
    """Rows so that everybody stands below the own manager."""
    below: dict[int, list[int]] = {}
    for at, up in enumerate(node.parent.tolist()):
        below.setdefault(up, []).append(at)
    order, waiting = [], below.get(-1, [])[::-1]
    while waiting:
        at = waiting.pop()
        order.append(at)
        waiting += below.get(at, [])[::-1]
    return table.iloc[order]


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
    currency: str = formats.NO_CURRENCY,
    trace_of: str = "",
) -> tuple[str, Callable[[], str]]:
    """Allocate a plan to the people of a CSV file: a text for people (Markdown), and what gives the quotas as
    CSV text (it refuses where no year was stated).

    Args as :func:`salessim.allocation.allocate` has them, where texts stand for lists: ``by``
    "history=0.7,pipeline=0.3", ``over_assignment`` "0.05" or "1=0.05,3=0.1", ``pins`` "Ann=300000" each,
    ``quarter_shares`` and ``ramp`` shares with commas between.
    """
    found = allocation.allocate(
        Hierarchy.read(people),
        target,
        by=_shares(by, "--by") if "=" in by else by,
        over_assignment=_over_assignment(over_assignment),
        pins=dict(_assigned(pin, "--pin") for pin in pins),
        missing=missing,  # type: ignore[arg-type]  # allocate refuses what it does not know
        year=year,
        fiscal_year_starts_in_month=fiscal_year_starts_in_month,
        quarter_shares=_numbers(quarter_shares, "--quarter-shares") or allocation.EVEN,
        relief=_relief(ramp, leads_first_months),
        freed=freed,  # type: ignore[arg-type]
        open_seats=open_seats,  # type: ignore[arg-type]
        currency=currency,
    )
    return allocation_text(found, trace_of=trace_of), found.to_csv


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


def import_quotas(
    path: Path,
    *,
    unit: float = 1.0,
    rep: str = "",
    quota: str = "",
    period: str = "",
    period_of_date: str = "",
    currency: str = formats.NO_CURRENCY,
    sales: str = "",
    sales_columns: str = "rep,date,amount",
    people: str = "",
) -> tuple[str, pd.DataFrame]:
    """Read quotas from a wide or long file: what is in it and what is odd (Markdown), with attainment by
    period where sales are given; and the quotas that may be added up: rep, period, quota."""

    def column(given: str) -> str | int | None:
        return int(given) if given.isdigit() else given or None

    read = crm.read_quotas(
        path,
        unit=unit,
        currency=currency,
        rep=column(rep),
        quota=column(quota),
        period=column(period),
        period_of_date=period_of_date or None,  # type: ignore[arg-type]  # read_quotas refuses what it does not know
    )
    addable = crm.without_rollups(read)
    parts = [
        f"**{read.source.name}: {formats.count(read.kept)} quotas by {read.frequency}** of "
        f"{reps(read.quotas['rep'].nunique())} (cells: {formats.count(read.cells)} = "
        f"{formats.count(read.kept)} kept + {formats.count(read.missing)} empty + "
        f"{formats.count(read.rejected)} rejected). {read.layout}",
        _notes_table(read),
        addable.note,
    ]
    if sales:
        parts.append(_attainment_text(read, sales, sales_columns, people))
    return "\n\n".join(part for part in parts if part), addable.quotas[["rep", "period", "quota"]]


def _notes_table(read: crm.QuotaFile) -> str:
    found = read.summary()
    if found.empty:
        return "Nothing odd was found."
    rows = [
        [row["severity"], row["rule"], formats.count(row["notes"]), row["example"], row["what_to_do"]]
        for row in found.to_dict("records")
    ]
    return formats.table(["", "what", "notes", "example", "what to do"], rows)


def _attainment_text(read: crm.QuotaFile, sales: str, columns: str, people: str) -> str:
    names = [name.strip() for name in columns.split(",")]
    if len(names) != 3:
        raise ParameterError(f"--sales-columns is {columns!r}; write three: rep, date, amount")
    sold = read_columns(Path(sales), columns=names).set_axis(["rep", "date", "amount"], axis=1)
    bridge = None
    if people:
        ids = read_columns(Path(people), columns=["quota_id", "sales_id"])
        bridge = dict(zip(ids["quota_id"], ids["sales_id"], strict=True))
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
    parts = [formats.table(["period", "made quota", "share", "median attainment", "what it says"], rows)]
    if not rows:
        parts = ["Attainment: in no period can anybody be judged."]
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
    """What changed between two files of quotas (Markdown), rep by rep; the changes add up."""
    first, second = (crm.read_quotas(path).quotas[["rep", "period", "quota"]] for path in (before, after))
    return differences_text(first, second)


def differences_text(before: pd.DataFrame, after: pd.DataFrame) -> str:
    """What changed between two sets of quotas (Markdown): rep, period and quota of each; totals reconcile."""
    for name, table in (("before", before), ("after", after)):
        if table.empty:
            raise PlanError(f"{name}: the file has no quotas to compare")
    found = allocation.differences(before, after)
    rows = [
        [
            row["rep"],
            row["status"],
            f"{row['old_quota']:,.2f}" if math.isfinite(row["old_quota"]) else formats.MISSING,
            f"{row['new_quota']:,.2f}" if math.isfinite(row["new_quota"]) else formats.MISSING,
            f"{row['change']:+,.2f}",
            f"{row['change_share'] * 100:+.1f} %" if math.isfinite(row["change_share"]) else formats.MISSING,
        ]
        for row in found.to_dict("records")
    ]
    old, new = float(found["old_quota"].sum()), float(found["new_quota"].sum())
    rows.append(["**all**", "", f"{old:,.2f}", f"{new:,.2f}", f"{new - old:+,.2f}", ""])
    return formats.table(["rep", "", "before", "after", "change", "change, share"], rows)
