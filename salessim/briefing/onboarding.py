"""Chapter 3: who is ramping, what newcomers are asked for, and what a hire brings and a delay costs."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import pandas as pd

from salessim import formats
from salessim.briefing.export import day
from salessim.briefing.prepared import Briefing, bullets
from salessim.engine import simulate
from salessim.errors import ParameterError
from salessim.model import Hire, Scenario
from salessim.periods import WEEKS_PER_QUARTER
from salessim.plans import quotas, ramping_reps

__all__ = ["capacity", "hiring", "newcomer_quotas", "onboarding_findings", "ramps"]

#: Most extra hires on one day: the limit of :class:`salessim.model.Hire`.
MOST_HIRES = 1000
#: Extra hires start at most ten years after the simulated quarters.
MOST_DAYS_AHEAD = 3652


def capacity(briefing: Briefing, *, extra_hires: int = 0, hire_start: str = "") -> pd.DataFrame:
    """Headcount and ramped capacity by week: columns week, headcount, productive (full-rep equivalents).

    ``extra_hires`` more reps start on ``hire_start`` ("": the earliest day that the hiring lead time leaves).
    """
    scenario = _with_hires(briefing, extra_hires, _start(briefing, hire_start))
    weeks = [day for quarter in scenario.calendar.periods() for day in quarter.week_starts()]
    return pd.DataFrame(
        {
            "week": pd.to_datetime(weeks),
            "headcount": scenario.headcount().sum(axis=0),
            "productive": scenario.capacity().sum(axis=0),
        }
    )


def ramps(briefing: Briefing, *, months: int = 12) -> pd.DataFrame:
    """Productivity by month of tenure and role: columns month_of_tenure, productivity, role."""
    rows = []
    for role in briefing.scenario.roles:
        weeks = np.arange(52 * months // 12)
        level = role.ramp.productivity(weeks)
        for month in range(months):
            inside = np.floor(weeks * 12 / 52) == month
            rows.append([month + 1, float(level[inside].mean()), role.name])
    return pd.DataFrame(rows, columns=["month_of_tenure", "productivity", "role"])


def onboarding_findings(briefing: Briefing, *, extra_hires: int = 2, hire_start: str = "") -> str:
    """Capacity and hiring in sentences (Markdown), with what extra hires bring and a delay costs."""
    b, scenario = briefing, briefing.scenario
    now = capacity(b)
    first = now.iloc[:WEEKS_PER_QUARTER].mean(numeric_only=True)
    ramping = int(((scenario.capacity()[:, 0] < 0.95) & (scenario.headcount()[:, 0] > 0)).sum())
    payroll, productive = round(first["headcount"], 1), formats.count(round(first["productive"], 1))
    lines = [
        f"**{formats.count(payroll)} {'rep' if payroll == 1 else 'reps'} on the payroll "
        f"{'carries' if payroll == 1 else 'carry'} the capacity of "
        f"{productive} fully ramped {'one' if productive == '1' else 'ones'} in {b.upcoming}**"
        + (f"; {ramping} {'is' if ramping == 1 else 'are'} still ramping when it begins." if ramping else ".")
    ]
    if b.tables.reps["start"].isna().all():
        lines.append(
            "The export has no start dates, so everyone in it is taken as fully ramped. With start dates "
            "in the CRM this chapter shows who is still ramping."
        )
    if extra_hires > 0:
        lines += _what_if(b, extra_hires, _start(b, hire_start))
    return bullets(lines)


def _what_if(b: Briefing, extra_hires: int, start: date) -> list[str]:
    role = b.scenario.roles[0]
    hires = f"{extra_hires} more {'hire' if extra_hires == 1 else 'hires'} ({role.name}) on {start}"
    begin, brings = ("starts", "brings") if extra_hires == 1 else ("start", "bring")
    with_hires = _with_hires(b, extra_hires, start)
    if start > b.scenario.calendar.periods()[-1].end:
        return [
            f"**{hires} {begin} after the simulated quarters** and {brings} nothing until the end of "
            f"{b.outcome.periods[-1]}."
        ]
    before = simulate(b.scenario)
    gains = {}
    for delay in (0, 91):
        later = start + timedelta(days=delay)
        after = simulate(_with_hires(b, extra_hires, later) if delay else with_hires)
        gains[delay] = [
            float(after.expected_bookings(p).sum() - before.expected_bookings(p).sum())
            for p in b.outcome.periods
        ]
    by_quarter = ", ".join(
        f"{b.money(gain)} in {period}" for period, gain in zip(b.outcome.periods, gains[0], strict=True)
    )
    decide = start - timedelta(weeks=role.hiring_lead_weeks)
    full = start + timedelta(weeks=role.ramp.weeks_to_full())
    total, late = sum(gains[0]), sum(gains[91])
    decision = f"; the decision must fall by {decide}"
    if decide < b.tables.as_of:
        decision = f"; given the time it takes to hire, the decision had to fall by {decide}"
    lines = [
        f"**{hires} {brings} {b.money(total)} of expected bookings until the end of "
        f"{b.outcome.periods[-1]}**: {by_quarter}. Full ramp is reached on {full}"
        + (decision if role.hiring_lead_weeks else "")
        + ".",
        f"**Starting three months later costs {b.money(total - late)}** of that.",
    ]
    inbound = [s.name for g in b.scenario.segments for s in g.sources if s.kind == "inbound"]
    if inbound:
        lines.append(
            "Hires add only what they find themselves: leads from "
            f"{', '.join(dict.fromkeys(inbound))} are a team total, which more reps share."
        )
    else:
        lines.append(
            "Assumed, not measured: a hire finds as many opportunities as the team's average rep. If demand "
            "is fixed, hires share it and bring little."
        )
    return lines


def hiring(briefing: Briefing) -> str:
    """Who is still ramping or planned to start, and when they carry their weight (Markdown table)."""
    scenario = briefing.scenario
    begin = scenario.calendar.periods()[0].start
    rows = []
    for rep in scenario.team():
        if rep.start is None:
            continue
        role = scenario.role(rep.role)
        ramp = role.ramp
        full = rep.start + timedelta(weeks=ramp.weeks_to_full())
        if full <= begin:
            continue
        decide = rep.start - timedelta(weeks=role.hiring_lead_weeks)
        certified = rep.start + timedelta(weeks=ramp.training_weeks)
        decided = "in the team" if rep.start < begin else decide
        trained = certified if ramp.training_weeks else formats.MISSING
        rows.append([rep.name, rep.role, decided, rep.start, trained, full])
    if not rows:
        return "Nobody is ramping, and no hire is planned."
    header = ["rep", "role", "decide by", "start", "training ends, first leads", "fully ramped (95 %)"]
    return formats.table(header, rows)


def newcomer_quotas(briefing: Briefing) -> str:
    """Quotas of those who are still ramping (Markdown table): leads first, revenue later."""
    scenario, plan = briefing.scenario, briefing.plan
    table = quotas(plan, scenario)
    newcomers = ramping_reps(plan, scenario)
    if not newcomers:
        return "Nobody who carries a quota is ramping, so no quota is reduced."
    weeks = scenario.headcount().reshape(*table.shape, WEEKS_PER_QUARTER)
    present = pd.DataFrame(weeks.max(axis=2), index=table.index, columns=table.columns)
    rows: list[list[object]] = []
    for rep in newcomers:
        cells = [
            formats.money(amount, briefing.currency)
            if math.isfinite(amount)
            else "no revenue quota"
            if there
            else "not in the team"
            for amount, there in zip(table.loc[rep], present.loc[rep], strict=True)
        ]
        rows.append([rep, *cells])
    text = formats.table(["rep", *table.columns], rows)
    relief = plan.ramp_relief
    if relief.leads_first_months:
        text += (
            f"\n\nIn the first {relief.leads_first_months} months the target is "
            f"{relief.qualified_leads_per_month:g} qualified leads a month instead of revenue."
        )
    return text


def _start(briefing: Briefing, hire_start: str) -> date:
    """First day of extra hires: the given one, else the first of the month in which somebody whom we decide
    to hire on the day of the export can start at the earliest."""
    if given := day("hire_start", hire_start):
        first, last = briefing.tables.as_of, briefing.scenario.calendar.periods()[-1].end
        latest = last + timedelta(days=MOST_DAYS_AHEAD)
        if not first <= given <= latest:
            raise ParameterError(f"hire_start is {given}; it must lie between {first} and {latest}")
        return given
    role = briefing.scenario.roles[0]
    earliest = briefing.tables.as_of + timedelta(weeks=role.hiring_lead_weeks, days=1)
    if earliest.day == 1:
        return earliest
    return date(earliest.year + earliest.month // 12, earliest.month % 12 + 1, 1)


def _with_hires(briefing: Briefing, number: int, start: date) -> Scenario:
    if not 0 <= number <= MOST_HIRES:
        raise ParameterError(f"extra_hires is {number}; it must be 0 to {MOST_HIRES:,}")
    if number == 0:
        return briefing.scenario
    scenario = briefing.scenario
    role = scenario.roles[0].name
    # a hire on the day of a planned one in the same role would have the same name
    taken = {hire.start for hire in scenario.hires if hire.role == role}
    while start in taken:
        start += timedelta(days=1)
    extra = Hire(role=role, start=start, count=number)
    return Scenario.model_validate({**dict(scenario), "hires": (*scenario.hires, extra)})
