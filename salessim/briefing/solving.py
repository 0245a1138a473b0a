"""Chapter 2: other ways to set the quotas, and what would close the gap to the company's plan."""

from __future__ import annotations

import functools
import math

import pandas as pd

from salessim import formats, plans
from salessim.briefing.prepared import Briefing, reps
from salessim.engine import HORIZON
from salessim.plans import Solution, main_segments

__all__ = ["gap", "gap_table", "solved_text", "ways", "ways_table"]

#: Chance of the team plan that a gap is closed to.
WANTED = 0.8
#: Chance of the team plan below which solved quotas come with the levers that would make it an even one.
EVEN = 0.5


@functools.lru_cache(maxsize=4)
def ways(briefing: Briefing) -> tuple[Solution, ...]:
    """The quota period's quotas set three ways for the same expected share; and by segment or role where the
    team has several. Empty where there is no quota to recommend."""
    if not briefing.quota_found:
        return ()
    found = []
    scenario = briefing.scenario
    groups: list[plans.Group] = ["team"]
    if len({rep.role for rep in scenario.team()}) > 1:
        groups.append("role")
    if len(set(main_segments(scenario))) > 1:
        groups.append("segment")
    for group in groups:
        for method in plans.METHODS:
            if group == "team" or method == "one quota":
                found.append(
                    plans.solve(
                        briefing.outcome,
                        plan=briefing.plan,
                        period=briefing.quota_period,
                        method=method,
                        group=group,
                    )
                )
    return tuple(found)


def ways_table(briefing: Briefing) -> str:
    """Ways to set the quotas side by side (Markdown table), with what each means for reps and company."""
    found = ways(briefing)
    if not found:
        return "There is no quota to recommend, so there is nothing to compare."
    rows = []
    for solution in found:
        scored, chances = solution.score, solution.score.reps["chance"]
        over = "–" if math.isnan(scored.over_assignment) else f"{scored.over_assignment * 100:+.0f} %"
        rows.append(
            [
                _name(solution),
                formats.span(
                    solution.groups["quota_low"].min(),
                    solution.groups["quota_high"].max(),
                    "money",
                    briefing.currency,
                ),
                formats.percent(scored.expected_share),
                formats.percent(scored.probability_band),
                f"{formats.percent(chances.min())} to {formats.percent(chances.max())}",
                briefing.money(scored.sum_of_quotas),
                over,
            ]
        )
    notes = sorted({note for solution in found for note in solution.notes})
    header = ["quotas", "from, to", "make it", "in the band", "chance of a rep", "sum", "over team plan"]
    same = "everybody is asked the same, newcomers by their ramp"
    explained = (
        f"*one quota*: {same if briefing.one_quota else 'in the relation that the plan has'}; *potential*: "
        "in proportion to expected bookings; *equal chance*: each rep's own law of bookings read at the same "
        "chance. All aim at the same expected share; what differs is who wins, and what the quotas add up to."
    )
    return "\n\n".join([formats.table(header, rows), explained, *(f"Note: {note}." for note in notes)])


def _name(solution: Solution) -> str:
    if solution.group == "team":
        return solution.method
    asked = ", ".join(
        f"{row['group']} {formats.count(row['reps'])}" for row in solution.groups.to_dict("records")
    )
    return f"{solution.method} by {solution.group} ({asked})"


def solved_text(
    briefing: Briefing,
    *,
    method: str = "one quota",
    group: str = "team",
    aim: str = "share",
    share: float = plans.MIDDLE,
    period: str = "",
) -> tuple[str, str]:
    """Solved quotas by group and rep by rep (Markdown), and the plan with them as YAML.

    Args:
        briefing: the report.
        method: "one quota", "potential" or "equal chance".
        group: "team", "role" or "segment".
        aim: "share" or "band".
        share: expected share of reps who make quota.
        period: a simulated quarter, or "horizon"; "" for the one that quotas are set for.
    """
    found = plans.solve(
        briefing.outcome,
        plan=briefing.plan,
        period=period or briefing.quota_period,
        share=share,
        method=method,  # type: ignore[arg-type]  # solve refuses what it does not know
        group=group,  # type: ignore[arg-type]
        aim=aim,  # type: ignore[arg-type]
    )
    scored, currency = found.score, briefing.currency
    team = (
        f"**{formats.percent(scored.expected_share, digits=1)} of {reps(len(scored.reps))} are expected to "
        f"make these quotas in {period or briefing.quota_period_name}** "
        f"({formats.percent(scored.share_low)} to {formats.percent(scored.share_high)} in 8 of 10 cases); "
        f"the share lands in the band with probability {formats.percent(scored.probability_band)}. They add "
        f"up to {briefing.money(scored.sum_of_quotas)}"
    )
    if math.isfinite(scored.team_plan):
        over = (
            f"{abs(scored.over_assignment) * 100:.0f} % {'over' if scored.over_assignment >= 0 else 'under'}"
        )
        team += (
            f", {over} the team plan of {briefing.money(scored.team_plan)}, which the team meets with "
            f"probability {formats.percent(scored.probability_team_plan)}"
        )
    groups = [
        [
            row["group"],
            formats.count(row["reps"]),
            formats.money(row["quota_median"], currency),
            formats.span(row["quota_low"], row["quota_high"], "money", currency),
            formats.percent(row["expected_share"]),
            formats.percent(row["probability_band"]),
        ]
        for row in found.groups.to_dict("records")
    ]
    people = [
        [
            row["rep"],
            row["role"],
            formats.money(row["quota"], currency),
            formats.percent(row["chance"]),
            formats.money(row["p50"], currency),
            formats.span(row["p10"], row["p90"], "money", currency),
        ]
        for row in scored.reps.to_dict("records")
    ]
    parts = [
        f"{team}.",
        formats.table([group, "reps", "quota (median)", "from, to", "make it", "in the band"], groups),
        formats.table(["rep", "role", "quota", "chance", "bookings (P50)", "P10 to P90"], people),
        *(f"Note: {note}." for note in found.notes),
    ]
    if scored.probability_team_plan < EVEN:
        parts.append(gap_table(briefing, chance=EVEN, period=period or briefing.quota_period))
    return "\n\n".join(parts), found.plan.to_yaml()


@functools.lru_cache(maxsize=4)
def gap(
    briefing: Briefing, *, target: float | None = None, chance: float = WANTED, period: str = ""
) -> pd.DataFrame:
    """Levers that close the gap to the company's plan (or to other bookings), as
    :func:`salessim.plans.closing_the_gap` has them; empty where no team plan is stated."""
    when = period or HORIZON
    aimed = briefing.plan.team_plan(briefing.scenario, when) if target is None else target
    if not math.isfinite(aimed):
        return pd.DataFrame(columns=["lever", "change_needed", "note"])
    return plans.closing_the_gap(briefing.scenario, target=aimed, period=when, chance=chance)


def gap_table(
    briefing: Briefing, *, target: float | None = None, chance: float = WANTED, period: str = ""
) -> str:
    """What would have to change for the company's plan to be met with a wanted chance (Markdown).

    Args:
        briefing: the report.
        target: bookings to reach; None for the team plan.
        chance: wanted chance of reaching them.
        period: a simulated quarter; "" or "horizon" for all of them together.
    """
    table = gap(briefing, target=target, chance=chance, period=period)
    if table.empty:
        return "No team plan is stated, so there is no gap to close."
    when, periods = period or HORIZON, briefing.outcome.periods
    aimed = briefing.plan.team_plan(briefing.scenario, when) if target is None else target
    times = f"{len(periods)} times " if when == HORIZON else ""
    what = "the company's plan" if briefing.plan_given else f"{times}what {briefing.quarter} booked"
    span = f"{periods[0]} to {periods[-1]}" if when == HORIZON else when
    named = "" if target else f" ({what})"
    now, often = table["chance_now"].iloc[0], f"with a chance of {formats.percent(chance)}"
    has = (
        f"**{briefing.money(aimed)} in {span}{named} has a chance of "
        f"{formats.percent(now)}** with the team, the leads and the conversions of today"
    )
    if now >= chance:
        return f"{has}: no lever is needed to meet it {often}."
    rows = []
    for row in table.to_dict("records"):
        needed = row["change_needed"]
        text = formats.MISSING if math.isnan(needed) else _change(row["lever"], needed)
        if row["lever"] == "reps" and math.isfinite(needed):
            text += f" ({reps(int(row['people_needed']))})"
        rows.append([row["lever"], text, formats.percent(row["chance_reached"]), row["note"] or "–"])
    header = ["lever, alone", "change", "chance then", "note"]
    return f"{has}. What would have to change to meet it {often}, one lever at a time:\n\n" + formats.table(
        header, rows
    )


def _change(lever: str, change: float) -> str:
    return (
        f"{formats.percent(change)} shorter"
        if lever == "ramp"
        else f"+{formats.percent(change, digits=1 if change < 0.1 else 0)}"
    )
