"""Chapter 4: whether capacity is what is short, who must be hired when, and what a delay costs.

All questions of the chapter are asked of a :class:`SalesYear`: a scenario, what it is to bring, and how sure
one wants to be. Leads and open deals stand in :mod:`salessim.briefing.leads`, levers in
:mod:`salessim.briefing.levers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salessim import formats
from salessim.briefing.prepared import Briefing, bullets, reps
from salessim.briefing.structures import scenario_named
from salessim.engine import HORIZON, chance_of_limit, needs_flow, simulate_flow, without_limits
from salessim.errors import ParameterError, PlanError
from salessim.model import Capacity, Scenario
from salessim.plans import QuotaPlan
from salessim.studies import (
    HiringPlan,
    LeadPlan,
    by_trial,
    compare,
    cost_of_delay,
    hiring_plan,
    lead_plan,
    tornado,
)

if TYPE_CHECKING:
    from salessim.engine.flow import FlowOutcome

__all__ = [
    "SalesYear",
    "bookings_by_limit",
    "capacity_used",
    "chance_text",
    "check_question",
    "delay_table",
    "hire_findings",
    "hire_table",
    "limit_asked",
    "limit_findings",
    "limit_table",
    "needed_by_quarter",
    "or_why",
    "sales_year",
    "sales_year_of",
    "whole",
]

#: So many times today's leads are tried; a plan that needs more is out of reach of marketing.
MOST_LEADS = 5.0
#: Leads so young may still become opportunities; they say nothing of the conversion.
DAYS_TO_MATURE = 90
#: Limits on open deals that are tried, relative to what a rep holds on average.
LIMITS = (0.5, 0.75, 1.0, 1.5, 2.0)
#: Chance to reach a limit from which on it counts as binding, as the choice of the engine has it.
BINDING = 0.01
#: Months by which the start of hires is moved.
DELAYS = (1, 2, 3)
#: Hires whose delay is costed where nobody has to be hired.
HIRES = 2
#: With more segments single stages hardly move the team, and there are too many to tell apart.
MOST_SEGMENTS_BY_STAGE = 3
#: What the comparison with and without limit shows.
LIMIT_MEASURES = ("team_bookings", "leads_lost", "mean_waiting")

#: Why there is no answer that needs a target.
NO_TARGET = (
    "there is no target: the quota plan states no annual_team_plan, and no target was given; state one of "
    "them (parameter target of this chapter, --target on the command line)"
)


@dataclass(frozen=True, eq=False)  # what is worked out from it is kept by identity
class SalesYear:
    """A scenario and what is asked of it."""

    scenario: Scenario
    plan: QuotaPlan | None
    """Quotas of the reps; None: none were given."""
    targets: tuple[float, ...] | None
    """Planned bookings of the team by quarter, in currency; None: no target is known."""
    target_is: str
    """Where the target comes from, for a sentence; "" without one."""
    chance: float
    """Wanted chance of the plan."""
    trials: int
    """Simulated horizons, where the exact engine is not valid."""
    seed: int
    mql_becoming: tuple[int, int] = (0, 0)
    """How many MQL became opportunities, and how many there were, in the CRM's leads; for scenarios without
    a stage that counts as MQL."""

    @property
    def quarters(self) -> list[str]:
        """Names of the simulated quarters."""
        return [str(quarter) for quarter in self.scenario.calendar.periods()]

    @property
    def span(self) -> str:
        """The horizon for a sentence: "2026Q3 to 2027Q2"."""
        quarters = self.quarters
        return quarters[0] if len(quarters) == 1 else f"{quarters[0]} to {quarters[-1]}"

    @property
    def arrivals(self) -> str:
        """What comes in at the first stage, for a sentence: "leads", or "new opportunities" in a scenario
        that begins there."""
        first = {segment.stages[0].counts_as for segment in self.scenario.segments}
        return "new opportunities" if first == {"opportunity"} else "leads"

    @property
    def closing_role(self) -> str:
        """The role that closes deals: that of the last stage, or the one with most reps."""
        named = self.scenario.segments[0].stages[-1].role
        if named:
            return named
        team = [rep.role for rep in self.scenario.team()]
        return max([role.name for role in self.scenario.roles], key=team.count)

    def money(self, amount: float) -> str:
        """An amount for a sentence: short, with its currency."""
        return formats.money(amount, self.scenario.currency, short=True)

    @cached_property
    def lead_plan(self) -> LeadPlan:
        """Leads that the targets need. Raises PlanError where there is no target, or nothing to move."""
        if self.targets is None:
            raise PlanError(NO_TARGET)
        return lead_plan(
            self.scenario,
            target=self.targets,
            chance=self.chance,
            trials=self.trials,
            seed=self.seed,
            most=MOST_LEADS,
        )

    @cached_property
    def needed(self) -> dict[str, float]:
        """Expected bookings that each quarter needs for the wanted chance of the plan: the targets, raised
        by as much as the plan with enough leads is expected to bring more than the target."""
        if self.targets is None:
            raise PlanError(NO_TARGET)
        plan = self.lead_plan
        raised = float(plan.quarters["expected_simulated"].sum()) / sum(self.targets)
        factor = raised if plan.reachable and plan.factor > 0 else 1.0
        return {quarter: factor * amount for quarter, amount in zip(self.quarters, self.targets, strict=True)}

    @cached_property
    def hires(self) -> HiringPlan:
        """Who must start when, for the bookings that the quarters need."""
        return hiring_plan(
            self.scenario,
            needed=self.needed,
            needed_in="bookings",
            role=self.closing_role,
            trials=self.trials,
            seed=self.seed,
        )

    @cached_property
    def ranking(self) -> pd.DataFrame:
        """The levers, largest swing first (:func:`salessim.studies.tornado`)."""
        return tornado(
            self.scenario,
            target=None if self.targets is None else sum(self.targets),
            trials=self.trials,
            seed=self.seed,
            by_stage=len(self.scenario.segments) <= MOST_SEGMENTS_BY_STAGE,
        )


def sales_year(
    briefing: Briefing, *, target: float = 0.0, chance: float = 0.80, trials: int = 400, seed: int = 1
) -> SalesYear:
    """The simulated year of a report, and what is asked of it.

    Args:
        briefing: the report.
        target: planned bookings of the team over all simulated quarters; 0: the team plan of the quota plan.
        chance: wanted chance of the plan.
        trials: simulated horizons, where the exact engine is not valid.
        seed: their seed.

    Raises:
        ParameterError: a target below 0, or a chance that is none.
    """
    year = _year(briefing.scenario, briefing.plan, target=target, chance=chance, trials=trials, seed=seed)
    if year.targets is not None and target == 0 and not briefing.plan_given:
        year = replace(year, target_is=f"four times what {briefing.quarter} booked; no plan was given")
    leads = briefing.tables.leads
    if leads.empty:
        return year
    old = leads["created"] <= pd.Timestamp(briefing.tables.as_of) - pd.Timedelta(days=DAYS_TO_MATURE)
    qualified = leads[old & leads["mql"].notna()]
    return replace(year, mql_becoming=(int(qualified["opportunity_id"].notna().sum()), len(qualified)))


def sales_year_of(
    path: str, *, plan: str = "", target: float = 0.0, chance: float = 0.80, trials: int = 400, seed: int = 1
) -> SalesYear:
    """The year of a scenario file as it is, without a CRM export.

    Args:
        path: scenario (YAML), or the name of a shipped one.
        plan: quota plan (YAML); "": the target shared out equally, if there is one.
        target, chance, trials, seed: as in :func:`sales_year`.
    """
    scenario = scenario_named(path)
    given = QuotaPlan.load(Path(plan)) if plan else None
    return _year(scenario, given, target=target, chance=chance, trials=trials, seed=seed)


def check_question(*, target: float, chance: float, trials: int, seed: int) -> None:
    """Refuse what no year can be asked, before anything is read or worked out (ParameterError).

    >>> check_question(target=0.0, chance=0.8, trials=400, seed=1)
    """
    if not (math.isfinite(target) and target >= 0):
        raise ParameterError(f"target is {target!r}; it must be an amount above 0, or 0 for the team plan")
    if not 0 < chance < 1:
        raise ParameterError(f"chance is {chance!r}; it must lie between 0 and 1, such as 0.8")
    if trials < 2:
        raise ParameterError(f"trials is {trials}; it must be 2 or more")
    if seed < 0:
        raise ParameterError(f"seed is {seed}; it must be 0 or more")


def _year(
    scenario: Scenario, plan: QuotaPlan | None, *, target: float, chance: float, trials: int, seed: int
) -> SalesYear:
    check_question(target=target, chance=chance, trials=trials, seed=seed)
    quarters = scenario.calendar.periods()
    targets, origin = None, ""
    if target > 0:
        shares = [1.0 if plan is None else plan.quarter_shares[quarter.number - 1] for quarter in quarters]
        targets = tuple(target * share / sum(shares) for share in shares)
        origin = "the given target"
    elif plan is not None and plan.annual_team_plan is not None:
        targets = tuple(plan.team_plan(scenario, str(quarter)) for quarter in quarters)
        origin = "the company's plan"
    year = SalesYear(scenario, plan, targets, origin, chance, trials, seed)
    if plan is None and targets is not None:
        sellers = [rep.role for rep in scenario.team()].count(year.closing_role)
        annual = sum(targets) * 4 / len(quarters) / max(sellers, 1)
        flat = QuotaPlan(name="target shared out equally", annual_quota={year.closing_role: annual})
        year = replace(year, plan=flat)
    return year


def or_why(answer: Callable[[], str], what: str) -> str:
    """The answer, or in a sentence (Markdown) why there is none: what the plan or the target lacks."""
    try:
        return answer()
    except PlanError as reason:
        return bullets([f"**{what} cannot be said**: {reason}."])


def whole(number: float) -> str:
    """A number of leads or deals for a sentence, without digits.

    >>> whole(459.7)
    '460'
    """
    return formats.count(round(number)) if math.isfinite(number) else formats.MISSING


def chance_text(probability: float) -> str:
    """A probability; no forecast is so sure of itself as to say 0 % or 100 %.

    >>> chance_text(0.004), chance_text(0.5)
    ('under 1 %', '50 %')
    """
    if probability < 0.01:
        return "under 1 %"
    return "over 99 %" if probability > 0.99 else formats.percent(probability)


# --- limits ------------------------------------------------------------------------------------------------


def _held_on_average(year: SalesYear) -> float:
    """Open deals that a rep who closes holds on average, without any limit."""
    held = float(_free(year).open_deals.sum(axis=1).mean())
    people = float(year.scenario.headcount().sum(axis=0).mean())
    return held / max(people, 1.0)


def _limited(scenario: Scenario, most_open_deals: int) -> Scenario:
    """The scenario with a limit on open deals in every role; 0: with the limits that it has."""
    if most_open_deals < 0:
        raise ParameterError(f"most_open_deals is {most_open_deals}; it must be 1 or more, or 0 for none")
    if most_open_deals == 0:
        return scenario
    limit = Capacity(open_deals=most_open_deals)
    roles = tuple(role.model_copy(update={"capacity": limit}) for role in scenario.roles)
    return scenario.model_copy(update={"roles": roles, "name": f"at most {most_open_deals} open deals"})


def _has_limit(scenario: Scenario) -> bool:
    return any(role.capacity is not None for role in scenario.roles)


@cache
def _free(year: SalesYear) -> FlowOutcome:
    """The year without limits."""
    return _flow(year, without_limits(year.scenario))


def _flow(year: SalesYear, scenario: Scenario) -> FlowOutcome:
    return simulate_flow(scenario, trials=year.trials, seed=year.seed)


def limit_asked(year: SalesYear, *, most_open_deals: int = 0) -> int:
    """The limit on open deals that the chapter looks at: the given one, or 0 for the scenario's own limits;
    a scenario that states none is asked what the average of open deals would mean as a limit."""
    if most_open_deals or _has_limit(year.scenario):
        return most_open_deals
    return max(1, round(_held_on_average(year)))


@cache
def limit_findings(year: SalesYear, *, most_open_deals: int = 0) -> str:
    """Whether capacity binds and what that costs, in sentences (Markdown) [A6].

    Args:
        year: scenario and target.
        most_open_deals: what if nobody could work on more open deals than this? 0: the scenario's own limits,
            or where it states none, the average as a limit.
    """
    shown = limit_asked(year, most_open_deals=most_open_deals)
    world = _limited(year.scenario, shown)
    held = formats.count(round(_held_on_average(year), 1))
    holds = f"A rep holds {held} open deals on average where nothing limits it"
    if _has_limit(year.scenario) or most_open_deals:
        name = f"A limit of {shown} open deals per rep" if shown else "The scenario's limit"
        return bullets([*_limit_lines(year, world, name), f"{holds}. Engine: {needs_flow(world)[1]}."])
    return bullets(
        [
            "**The scenario states no limit on open deals or hours per rep, so capacity does not bind.**",
            f"{holds}. A limit would begin to bind at {_first_that_binds(year)} open deals: above it, "
            "the chance that anybody ever reaches the limit stays below 1 %.",
            *_limit_lines(year, world, f"What if: a limit of {shown} open deals, as held on average,"),
        ]
    )


def _limit_lines(year: SalesYear, world: Scenario, name: str) -> list[str]:
    """What a world with a limit costs against the one without, in sentences."""
    chances = chance_of_limit(world)
    near, known = int((chances >= BINDING).sum()), int(np.isfinite(chances).sum())
    if near == 0:
        return [f"**{name} does not bind**: the chance to reach it stays below 1 % for all {reps(known)}."]
    found = compare(
        without_limits(year.scenario), world, measures=LIMIT_MEASURES, trials=year.trials, seed=year.seed
    ).table
    ends = ["difference", "difference_p90", "difference_p10"]
    usual, low, high = -found[ends].to_numpy(dtype=np.float64)[0]  # rows as in LIMIT_MEASURES
    free = found["mean_a"].to_numpy(dtype=np.float64)[0]
    _, lost, waiting = found["mean_b"].to_numpy(dtype=np.float64)
    share = formats.percent(usual / free if free > 0 else 0.0, digits=1)
    return [
        f"**{name} costs {year.money(usual)} of expected bookings in {year.span} ({share})**; in 8 of 10 "
        f"cases {year.money(low)} to {year.money(high)} (n = {year.trials:,} simulated horizons with and "
        f"without it on the same luck). {near} of {reps(known)} reach it now and then.",
        f"With it {whole(lost)} {year.arrivals} are lost for want of capacity, and "
        f"{formats.count(round(waiting, 1))} wait for a rep at any time.",
    ]


def _first_that_binds(year: SalesYear) -> int:
    """The largest limit on open deals that somebody reaches with a chance of 1 % or more."""
    low, high = 0, 1
    while np.nanmax(chance_of_limit(_limited(year.scenario, high))) >= BINDING:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        binds = np.nanmax(chance_of_limit(_limited(year.scenario, middle))) >= BINDING
        low, high = (middle, high) if binds else (low, middle)
    return max(low, 1)


def bookings_by_limit(year: SalesYear, *, most_open_deals: int = 0) -> pd.DataFrame:
    """Bookings of the team under several limits on open deals per rep, on the same luck, for a chart.

    Returns:
        Columns limit (open deals per rep; NaN: no limit), expected, p10, p90 (bookings of the horizon, in
        currency), leads_lost (mean), trials; the last row is the one without a limit.
    """
    held = _held_on_average(year)
    asked = limit_asked(year, most_open_deals=most_open_deals)
    tried = {max(1, round(held * part)) for part in LIMITS} | ({asked} if asked else set())
    rows = []
    for limit in [*(float(limit) for limit in sorted(tried)), math.nan]:
        free = math.isnan(limit)
        outcome = _free(year) if free else _flow(year, _limited(year.scenario, int(limit)))
        bookings = by_trial(outcome, "team_bookings", period=HORIZON)
        low, high = np.quantile(bookings, [0.1, 0.9])
        lost = float(by_trial(outcome, "leads_lost", period=HORIZON).mean())
        rows.append([limit, float(bookings.mean()), float(low), float(high), lost, year.trials])
    return pd.DataFrame(rows, columns=["limit", "expected", "p10", "p90", "leads_lost", "trials"])


def capacity_used(year: SalesYear, *, most_open_deals: int = 0) -> pd.DataFrame:
    """Share of the limit in use by rep over the horizon.

    Returns:
        Columns rep, role, used (mean), p10, p90 (over trials), leads_lost and waiting (means), for those
        with a limit; most_open_deals as in :func:`limit_findings`.
    """
    world = _limited(year.scenario, limit_asked(year, most_open_deals=most_open_deals))
    columns = ["rep", "role", "used", "p10", "p90", "leads_lost", "waiting"]
    outcome = _flow(year, world)
    weeks = world.headcount().reshape(len(outcome.reps), len(outcome.periods), -1)
    rows = []
    for r, rep in enumerate(world.team()):
        there = np.flatnonzero(weeks[r].any(axis=1))
        if world.role(rep.role).capacity is None or not len(there):
            continue
        used = outcome.used[:, r][:, there].mean(axis=1)
        lost = (outcome.turned_away[:, r] + outcome.gave_up[:, r]).sum(axis=1).mean()
        low, high = np.quantile(used, [0.1, 0.9])
        waiting = outcome.waiting[:, r][:, there].mean()
        rows.append([rep.name, rep.role, float(used.mean()), low, high, float(lost), float(waiting)])
    return pd.DataFrame(rows, columns=columns).sort_values("used", ascending=False, ignore_index=True)


def limit_table(year: SalesYear, *, most_open_deals: int = 0) -> str:
    """Use of capacity, leads lost and leads waiting by rep (Markdown table)."""
    frame = capacity_used(year, most_open_deals=most_open_deals)
    rows = [
        [
            row["rep"], row["role"],
            f"{formats.percent(row['used'])} ({formats.span(row['p10'], row['p90'], 'share')})",
            formats.count(round(row["leads_lost"], 1)), formats.count(round(row["waiting"], 1)),
        ]
        for _, row in frame.iterrows()
    ]  # fmt: skip
    header = ["rep", "role", "capacity in use (P10 to P90)", "leads lost", "leads waiting"]
    above = (
        "\n\nAbove 100 %: deals held when the year begins, or deals that moved to costlier stages, are kept."
        if (frame["p90"] > 1).any()
        else ""
    )
    return formats.table(header, rows) + above


# --- hires -------------------------------------------------------------------------------------------------


def needed_by_quarter(year: SalesYear) -> pd.DataFrame:
    """What the quarters need and have, for a chart: columns quarter, needed, without_hires, with_hires
    (expected bookings, in currency), missing, note; empty where there is no target."""
    try:
        return year.hires.quarters
    except PlanError:
        columns = ["quarter", "needed", "without_hires", "with_hires", "missing", "note"]
        return pd.DataFrame({name: [] for name in columns})


def hire_findings(year: SalesYear) -> str:
    """When how many people must start, and what a month of delay costs, in sentences (Markdown) [C3]."""
    return or_why(lambda: bullets(_hire_lines(year)), "When how many people must start")


def _hire_lines(year: SalesYear) -> list[str]:
    plan = year.hires
    starts, quarters = plan.starts, plan.quarters
    needed = float(quarters["needed"].sum())
    asked = f"{year.money(needed)} of expected bookings in {year.span}"
    if year.lead_plan.reachable:
        asked += f", with which the plan has a chance of about {formats.percent(year.chance)}"
    else:
        asked += ", the plan itself, which then has about an even chance"
    missing = quarters[quarters["missing"] > 0]
    planned = ", on top of the hires already planned" if year.scenario.hires else ""
    when = ", ".join(
        ("" if len(starts) == 1 else f"{int(row['hires'])} ")
        + f"on {row['start']} (decide by {row['decide_by']})"
        for _, row in starts.iterrows()
    )
    total = int(starts["hires"].sum())
    if starts.empty and missing.empty:
        lines = [f"**Nobody has to be hired**: every quarter is expected to bring its part of {asked}."]
    elif starts.empty:
        lines = [f"**Hiring does not close the gap** to {asked}."]
    elif missing.empty:
        people = f"{total} {'person' if total == 1 else 'people'} ({year.closing_role})"
        lines = [f"**{people} must start{': ' if len(starts) > 1 else ' '}{when}**{planned}, for {asked}."]
    else:
        before = float(np.maximum(quarters["needed"] - quarters["without_hires"], 0.0).sum())
        short = float(missing["missing"].sum())
        reached = year.lead_plan.reachable
        goal = f"a chance of {formats.percent(year.chance)}" if reached else "the plan"
        bring = f"{total} {'start brings' if total == 1 else 'starts bring'}"
        lines = [
            f"**Hiring alone cannot reach {goal}: {bring} {year.money(before - short)} of the "
            f"{year.money(before)} missing** ({year.closing_role}{planned}); {year.money(short)} stay "
            f"missing to {asked}.",
            f"Starts that help: {when}.",
        ]
    if not missing.empty:
        parts = [
            f"{row['quarter']} {year.money(row['missing'])}"
            + (f" ({_why_missing(year, row['note'])})" if row["note"] else "")
            for _, row in missing.iterrows()
        ]
        lines.append(f"Still missing: {'; '.join(parts)}.")
    delay = _delays(year)
    if delay.empty:
        return lines
    first = delay.iloc[0]
    hires, start = _delayed(year)
    known = first["lost_low"] > 0 or (first["engine"] == "exact" and first["lost"] > 0)
    if known and first["lost_low"] <= 0:
        effect = (
            f"costs {year.money(first['lost'])} of expected bookings until the end of {year.quarters[-1]}, "
            "less than luck moves"
        )
    elif not known:  # a loss cannot be told from luck, nor can there be a gain from starting late
        effect = f"makes no difference to bookings that can be told until the end of {year.quarters[-1]}"
    else:
        effect = f"costs {year.money(first['lost'])} of bookings until the end of {year.quarters[-1]}"
    whose = f"{hires} {'hire' if hires == 1 else 'hires'} who could start on {start}"
    lead = f"**A month of delay {effect}** for {whose}"
    if starts.empty:
        lead = f"**What if {hires} more people started on {start}: a month of delay {effect}**"
    lines.append(
        f"{lead}; in 8 of 10 cases the loss is {year.money(first['lost_low'])} "
        f"to {year.money(first['lost_high'])} (n = {int(first['trials']):,} "
        "simulated horizons on the same luck)."
    )
    return lines


def _why_missing(year: SalesYear, note: str) -> str:
    """Why a quarter stays short, with the role that was tried."""
    if not note.startswith("more people bring no more"):
        return note
    limited = _has_limit(year.scenario) and np.nan_to_num(chance_of_limit(year.scenario)).max() >= BINDING
    if limited:
        return f"no more bookings from more people ({year.closing_role}); the limit is elsewhere"
    return note.replace("more people", f"more people ({year.closing_role})", 1)


def _delayed(year: SalesYear) -> tuple[int, date | None]:
    """The hires whose delay is costed, and their start: the first of the plan, or two on the earliest day."""
    starts = year.hires.starts
    if not starts.empty:
        return int(starts["hires"].iloc[0]), starts["start"].iloc[0]
    lead = timedelta(weeks=year.scenario.role(year.closing_role).hiring_lead_weeks)
    quarters = year.scenario.calendar.periods()
    earliest = quarters[0].start + lead
    firsts = [date.fromisoformat(f"{month}-01") for quarter in quarters for month in quarter.months()]
    return HIRES, next((day for day in firsts if day >= earliest), None)


@cache
def _delays(year: SalesYear) -> pd.DataFrame:
    """Cost of delay by month; empty: nobody who is still to be hired can start within the horizon."""
    hires, start = _delayed(year)
    if start is None:
        return pd.DataFrame()
    return cost_of_delay(
        year.scenario,
        hires=hires,
        start=start,
        role=year.closing_role,
        months=DELAYS,
        trials=year.trials,
        seed=year.seed,
    )


def hire_table(year: SalesYear) -> str:
    """Who starts when, by when that is decided, and when they are fully ramped (Markdown table)."""
    return or_why(lambda: _hire_table(year), "Who starts when")


def _hire_table(year: SalesYear) -> str:
    starts = year.hires.starts
    if starts.empty:
        return "No hires."
    rows = [
        [row["decide_by"], row["start"], int(row["hires"]), row["role"], row["fully_ramped"]]
        for _, row in starts.iterrows()
    ]
    return formats.table(["decide by", "start", "hires", "role", "fully ramped (95 %)"], rows)


def delay_table(year: SalesYear) -> str:
    """What starting later costs, month by month (Markdown table)."""
    return or_why(lambda: _delay_table(year), "What a delay costs")


def _delay_table(year: SalesYear) -> str:
    delays = _delays(year)
    if delays.empty:
        return "Nobody who is decided on now can start within the simulated quarters."
    rows = [
        [
            int(row["months"]), row["start"],
            year.money(row["lost"])
            if row["lost_low"] > 0 or (row["engine"] == "exact" and row["lost"] > 0)
            else "no difference that can be told",
            f"{year.money(row['lost_low'])} to {year.money(row['lost_high'])}",
            chance_text(row["chance_of_loss"]),
        ]
        for _, row in delays.iterrows()
    ]  # fmt: skip
    header = ["months later", "start", "bookings lost, expected", "P10 to P90", "chance of any loss"]
    hires, start = _delayed(year)
    what_if = (
        f"What if {hires} more people started on {start}, or later:\n\n" if year.hires.starts.empty else ""
    )
    return what_if + formats.table(header, rows)
