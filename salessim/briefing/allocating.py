"""From the company's plan to each rep's number: handed down, added up from below, and traced step by step."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Hashable, Sequence
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim import allocation, formats, plans
from salessim.allocation import Allocation, Hierarchy, Reconciliation
from salessim.briefing.prepared import Briefing, bullets
from salessim.engine import HORIZON
from salessim.engine.rates import moments, rates_of
from salessim.intervals import Z
from salessim.periods import Quarter

__all__ = [
    "MOST_ROWS",
    "allocated",
    "allocation_text",
    "beside_potential",
    "from_plan_to_reps",
    "quota_trace",
    "reconciled",
    "signed_amount",
    "signed_percent",
    "team_hierarchy",
    "trace_text",
]

#: The weight that the company's plan is handed down by; of newcomers what their ramp lets expect.
BASIS = "past bookings"
#: So many rows of a table are printed; files hold all of them.
MOST_ROWS = 40
#: Header of a trace.
TRACE_HEADER = ("step", "rule", "what happens", "amount")


@functools.lru_cache(maxsize=4)
def team_hierarchy(briefing: Briefing) -> Hierarchy:
    """Company, regions, teams and reps with a quota, as far as the export knows them.

    Weights, in currency: history (won value of the last four quarters), pipeline (what open deals are
    expected to bring), potential (expected bookings of the simulated quarters), and past bookings: history,
    and for those who were not there for all of it the potential, at the level of history.
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


def _booked_since(briefing: Briefing) -> date:
    """First day of the bookings that history counts: of the last four quarters, or of the export's closes."""
    first_day = briefing.quarter.shift(-3).start
    first_close = briefing.tables.opportunities["closed"].min()
    return first_day if pd.isna(first_close) else max(first_day, first_close.date())


def _span(briefing: Briefing) -> str:
    """The simulated quarters for a sentence: "2026Q3 to 2027Q2"."""
    periods = briefing.outcome.periods
    return f"{periods[0]} to {periods[-1]}" if len(periods) > 1 else periods[0]


def _plan_name(briefing: Briefing) -> str:
    return "the company's plan" if briefing.plan_given else "the stand-in for the company's plan"


def _open_value(briefing: Briefing) -> list[float]:
    """What each rep's open deals are expected to bring in the simulated quarters."""
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
    below = allocation.roll_up(down.hierarchy, table[table["rep"].isin(leaves)])
    return allocation.reconcile(down, _with_ranges(briefing, down.hierarchy, below))


def _with_ranges(briefing: Briefing, hierarchy: Hierarchy, below: pd.DataFrame) -> pd.DataFrame:
    """Bottom-up figures with P10 and P90 of companies, regions and teams: luck and skill of reps are their
    own, the market is everybody's, so that its deviations add up; the sum is matched by a lognormal law."""
    scenario, outcome = briefing.scenario, briefing.outcome
    parts = moments(rates_of(scenario), scenario, outcome.quarters_of(HORIZON))
    of_rep = {name: k for k, name in enumerate(outcome.reps)}
    index = np.array([of_rep.get(name, -1) for name in hierarchy.names])

    def summed(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.asarray(hierarchy.rolled_up(np.where(index >= 0, values[index], 0.0)), dtype=np.float64)

    mean = summed(parts.mean)
    variance = summed(parts.luck + parts.skill) + summed(np.sqrt(parts.market)) ** 2
    spread = np.sqrt(np.log1p(variance / np.where(mean > 0, mean, 1.0) ** 2))
    low, high = (mean * np.exp(side * Z * spread - spread**2 / 2) for side in (-1, 1))
    inner = ~hierarchy.leaf
    result = below.set_index("name").loc[list(hierarchy.names)].reset_index()
    result["low"] = np.where(inner, low, result["low"])
    result["high"] = np.where(inner, high, result["high"])
    return result


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
        rows.append(
            [
                name if leaf else f"**{name}**",
                short(history.get(name, math.nan)) if leaf else "",
                short(row["top_down"]),
                short(row["bottom_up"]),
                f"{short(row['low'])} to {short(row['high'])}",
                signed_percent(row["gap_share"]),
                short(row["reconciled"]),
            ]
        )
    since = f"booked since {_booked_since(briefing)}"
    header = ["", since, "top-down", "bottom-up", "P10 to P90", "over-asked", "reconciled"]
    return formats.table(header, rows) + (
        f"\n\n*top-down*: {_plan_name(briefing)} for {_span(briefing)}, handed down in proportion to what "
        f"was {since} (newcomers: what their ramp lets expect), exact to the cent; *bottom-up*: expected "
        "bookings of the same quarters; *over-asked*: top-down ÷ bottom-up − 1; *reconciled*: half-way "
        f"between, the plan's total kept.{unit}"
    )


def _signed(text: str, value: float) -> str:
    """The size of a change, as it is written, with its sign; a change that is written as zero has none."""
    if not math.isfinite(value) or not re.search("[1-9]", text):
        return text
    return f"{'−' if value < 0 else '+'}{text}"


def signed_percent(share: float, *, digits: int = 0) -> str:
    """A change as percent with its sign; what rounds to nothing has none.

    >>> signed_percent(0.186), signed_percent(-0.06), signed_percent(0.001)
    ('+19 %', '−6 %', '0 %')
    """
    written = _signed(formats.percent(abs(share), digits=digits), share)
    return "0 %" if re.fullmatch(r"[0.]+ %", written) else written


def signed_amount(amount: float) -> str:
    """A change of money to the cent with its sign.

    >>> signed_amount(1234.5), signed_amount(-2.0), signed_amount(0.0)
    ('+1,234.50', '−2.00', '0')
    """
    written = _signed(f"{abs(amount):,.2f}", amount)
    return "0" if written == "0.00" else written


def quota_trace(briefing: Briefing, *, rep: str = "") -> str:
    """Where one rep's numbers come from (Markdown) [B5]: the share of the company's plan over all simulated
    quarters, step by step; the recommended quota, which is another number; and its chance.

    Args:
        briefing: the report.
        rep: name of the rep; "" for the one who is asked for most.

    Raises:
        PlanError: nobody of that name carries a quota.
    """
    found = allocated(briefing)
    name = rep or str(found.table.query("leaf").set_index("name")["quota"].idxmax())
    *steps, share = _trace_rows(found, name)  # refuses a name that is not there
    number, _, _, amount = share
    asked = f"For {_span(briefing)} the plan asks {name} for {amount}; that is a share of it, no quota yet."
    steps.append([number, "share of the plan", asked, amount])
    parts = [
        f"What {_plan_name(briefing)} for {_span(briefing)} asks of {name}, handed down by history:",
        formats.table(TRACE_HEADER, steps),
        _basis_note(briefing, name),
        _recommended_steps(briefing, name),
        _quarter_by_quarter(briefing, name),
        _chance_of_quota(briefing, name),
    ]
    return "\n\n".join(part for part in parts if part)


def _basis_note(briefing: Briefing, name: str) -> str:
    hierarchy = team_hierarchy(briefing)
    at = hierarchy.position(name)
    note = (
        f"Past bookings are those since {_booked_since(briefing)}; newcomers count with what their ramp lets "
        "expect, at the same level."
    )
    booked, counted = (float(hierarchy.weights[column][at]) for column in ("history", BASIS))
    if hierarchy.leaf[at] and booked != counted:
        return f"{note} {name} is one: {briefing.money(booked)} booked, counted as {briefing.money(counted)}."
    return note


def _recommended_steps(briefing: Briefing, name: str) -> str:
    """How the recommended quota comes about, step by step; "" for those who carry none in that period."""
    b = briefing
    row = _advised_row(b, name)
    if row is None:
        return (
            f"{name} has no recommended quota in {b.quota_period_name}."
            if team_hierarchy(b).leaf[team_hierarchy(b).position(name)]
            else ""
        )
    team = f"{formats.percent(b.advised.expected_share, digits=1)} of the team"
    level = f"{team} make" if b.quota_found else f"adds up to the expected bookings ({team} make theirs)"
    full, own = _full_quota(b, name, str(row["role"])), float(row["quota"])
    if b.one_quota:
        intro = f"what {level}"
        first = f"one quota for {b.quota_period_name}: what {level}"
    else:
        intro = f"the plan's quotas at the recommended level: what {level}"
        first = f"the plan's quota of a fully ramped {row['role']} at the recommended level"
    if name in b.recommended.quotas_by_rep:
        first = f"the plan's own quota of {name} at the recommended level"
    steps = [[first, formats.money(full, b.currency)]]
    if own < full - 0.5:
        factor = formats.percent(own / full, digits=1)
        relief = f"ramp relief of {name}: {factor} of it, for the ramp and the weeks there"
        steps.append([relief, formats.money(own, b.currency)])
    steps.append([f"**quota of {name} for {b.quota_period_name}**", f"**{formats.money(own, b.currency)}**"])
    rows = [[number, *step] for number, step in enumerate(steps, start=1)]
    return (
        f"The recommended quota is another number: not a share of the plan, but {intro}:\n\n"
        + formats.table(["step", "what happens", "amount"], rows)
    )


def _full_quota(briefing: Briefing, name: str, role: str) -> float:
    """What the recommended plan asks of a rep before ramp relief, in the quota period."""
    plan, scenario = briefing.recommended, briefing.scenario
    asked = plan.annual_quota
    annual = asked.get(role, 0.0) if isinstance(asked, dict) else asked
    own = plan.quotas_by_rep.get(name, {})
    chosen = [q for q in scenario.calendar.periods() if briefing.quota_period in (str(q), HORIZON)]
    return float(sum(own.get(str(q), annual * plan.quota_shares()[q.number - 1]) for q in chosen))


def _quarter_by_quarter(briefing: Briefing, name: str) -> str:
    """The recommended quota of each simulated quarter and their sum, beside the share of the plan."""
    by_quarter = plans.quotas(briefing.recommended, briefing.scenario)
    if name not in by_quarter.index:
        return ""
    amounts = [float(by_quarter[period].loc[name]) for period in by_quarter.columns]  # NaN: none
    found = allocated(briefing)
    of_plan = float(found.assigned_cents[found.hierarchy.position(name)]) / 100

    def written(values: Sequence[float]) -> list[str]:
        return [formats.money(value, briefing.currency) for value in values]

    rows = [
        ["recommended quota", *written([*amounts, float(np.nansum(amounts))])],
        ["share of the plan", *[""] * len(amounts), *written([of_plan])],
    ]
    return f"The two side by side, for {name}:\n\n" + formats.table(["", *by_quarter.columns, "sum"], rows)


def _chance_of_quota(briefing: Briefing, name: str) -> str:
    b, row = briefing, _advised_row(briefing, name)
    if row is None:
        return ""
    return (
        f"**{name} books {b.money(row['p50'])} in the middle case in {b.quota_period_name} "
        f"({b.money(row['p10'])} to {b.money(row['p90'])} in 8 of 10) and makes the recommended quota of "
        f"{formats.money(row['quota'], b.currency)} with a chance of {formats.percent(row['chance'])}; the "
        f"chance of missing it is {formats.percent(1 - row['chance'])}.**"
    )


def _advised_row(briefing: Briefing, name: str) -> dict[Hashable, Any] | None:
    rows = briefing.advised.reps
    return next(iter(rows[rows["rep"] == name].to_dict("records")), None)


def trace_text(found: Allocation, name: str) -> str:
    """Every step from the company's plan to one number (Markdown), the last of which is the quota."""
    return formats.table(TRACE_HEADER, _trace_rows(found, name))


def _trace_rows(found: Allocation, name: str) -> list[list[object]]:
    table = allocation.trace(found, name)
    return [
        [number, row["rule"], row["sentence"], formats.money(row["amount"], found.currency)]
        for number, row in enumerate(table.to_dict("records"), start=1)
    ]


def allocation_text(found: Allocation, *, trace_of: str = "") -> str:
    """An allocation for people (Markdown): sums by level, what to know, every quota, and a trace if asked."""
    currency = found.currency
    levels = formats.table(
        ["level", "how many", "of the plan", "asked for", "over-assignment"],
        [
            [
                row["level_name"],
                formats.count(row["nodes"]),
                formats.money(row["base"], currency),
                formats.money(row["assigned"], currency),
                signed_percent(row["over_assignment"], digits=1),
            ]
            for row in found.summary().to_dict("records")
        ],
    )
    parts = [levels, bullets(found.notes), _everybody(found)]
    if trace_of:
        parts.append(f"Where the quota of {trace_of} comes from:\n\n{trace_text(found, trace_of)}")
    return "\n\n".join(part for part in parts if part)


def _everybody(found: Allocation) -> str:
    """Everybody's quota of the year and its quarters, below the own manager, and what is special about it."""
    table, currency = found.table, found.currency
    quarters = (found.quarter_cents / 100).tolist()
    # a manager is asked for what was handed down, also where the people carry less or more of it
    differs = bool((table["quota_cents"] != table["people_quota_cents"]).any())
    rows = []
    ordered = _in_tree_order(found.hierarchy, table)
    for at, row in zip(ordered.index.tolist(), ordered.to_dict("records"), strict=True):
        carried = f"{row['people_quota']:,.2f}" if row["quota_cents"] != row["people_quota_cents"] else ""
        rows.append(
            [
                "\u2003" * int(row["level"]) + str(row["name"]),
                row["role"],
                f"{row['quota']:,.2f}",
                *([carried] if differs else []),
                *(formats.money(amount, formats.NO_CURRENCY, short=True) for amount in quarters[at]),
                _marks(found, at),
            ]
        )
    rest = (
        "" if len(rows) <= MOST_ROWS else f"\n\n… and {len(rows) - MOST_ROWS:,} more; --out has all of them."
    )
    unit = "" if currency == formats.NO_CURRENCY else f" ({currency})"
    carried_header = ["carried by the people"] if differs else []
    header = ["", "role", f"quota{unit}", *carried_header, *found.periods, ""]
    return formats.table(header, rows[:MOST_ROWS]) + rest


def _marks(found: Allocation, at: int) -> str:
    """What is special about a line: pinned, held at a limit, open seat, newcomer, leaver."""
    node, name = found.hierarchy, found.hierarchy.names[at]
    marks = ["pinned"] if name in found.pins else []
    marks += ["held at a limit"] if found.held[at] else []
    marks += ["open seat"] if node.open_seat[at] else []
    if found.year is None or not node.leaf[at]:
        return ", ".join(marks)
    year = [Quarter(found.year, number, found.fiscal_year_starts_in_month) for number in (1, 4)]
    start, end = node.start[at], node.end[at]
    leaves = bool(end < np.datetime64(year[1].end))
    if start > np.datetime64(year[0].start) or (
        not leaves and not np.isnat(start) and (found.carried[at] < 1).any()
    ):
        marks.append(f"newcomer: from {start}")
    if leaves:
        marks.append(f"leaver: until {end}")
    return ", ".join(marks)


def beside_potential(both: Reconciliation, hierarchy: Hierarchy) -> str:
    """Top-down beside bottom-up, and reconciled (Markdown), everybody below the own manager."""
    rows = [
        [
            "\u2003" * int(row["level"]) + str(row["name"]),
            f"{row['top_down']:,.2f}",
            f"{row['bottom_up']:,.2f}",
            signed_percent(row["gap_share"], digits=1),
            f"{row['reconciled']:,.2f}",
            signed_amount(row["change"]),
        ]
        for row in _in_tree_order(hierarchy, both.table).to_dict("records")
    ]
    shown = rows[:MOST_ROWS]
    rest = "" if len(rows) <= MOST_ROWS else f"\n\n… and {len(rows) - MOST_ROWS:,} more."
    unit = "" if both.currency == formats.NO_CURRENCY else f" ({both.currency})"
    header = ["", f"top-down{unit}", "bottom-up", "over-asked", "reconciled", "change"]
    return (
        "Top-down beside bottom-up, a manager's figure being that of the people below:\n\n"
        f"{bullets(both.notes)}\n\n{formats.table(header, shown)}{rest}"
    )


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
