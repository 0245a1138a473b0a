"""Chapter 4: how many leads and MQL the plan needs, what each rep must hold, and the norm of each stage."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pandas as pd

from salessim import formats
from salessim.briefing.prepared import bullets, reps
from salessim.briefing.sales_year import DAYS_TO_MATURE, SalesYear, chance_text, or_why, whole
from salessim.engine import simulate
from salessim.errors import PlanError
from salessim.intervals import wilson
from salessim.model import Rep
from salessim.plans import quotas
from salessim.studies import NEW_LEADS, LeadPlan, leads_to_hold, mql_norm, stage_norms

__all__ = [
    "held_by_rep",
    "hold_by_rep",
    "hold_findings",
    "hold_table",
    "lead_findings",
    "lead_list",
    "leads_by_month",
    "leads_table",
    "mql_findings",
    "mql_table",
    "stage_norms_table",
]

#: More sources than this do not fit into a table with one column each.
MOST_COLUMNS = 7
#: Reps short of their quota that a sentence names.
NAMED = 3
#: A spreadsheet that leaves less than this chance has overlooked more than luck.
BLIND = 0.4
#: Why there is no answer that needs quotas.
NO_QUOTAS = "no quota plan was given, and no target that could be shared out as quotas"


def lead_findings(year: SalesYear) -> str:
    """How many leads the plan needs, in sentences (Markdown): simulated, and as a spreadsheet has it [A8]."""
    return or_why(lambda: bullets(_lead_lines(year)), "How many leads the plan needs")


def _lead_lines(year: SalesYear) -> list[str]:
    plan, table = year.lead_plan, year.lead_plan.by_source
    moving = table[table["moves"]]
    now, closed, wanted = (
        float(moving[f"leads_{name}"].sum()) for name in ("now", "closed_form", "simulated")
    )
    total, target = sum(plan.targets), formats.percent(plan.chance)
    what = f"{year.money(total)} in {year.span} ({year.target_is})"
    sources = " and ".join(filter(None, [", ".join(plan.sources[:-1]), *plan.sources[-1:]]))
    today = f"today's {whole(now)} give {chance_text(plan.chance_now)}"
    if not plan.reachable:
        why = (
            "the team cannot work on more; capacity is what is short"
            if plan.capacity_binds
            else "leads alone do not get there"
        )
        first = (
            f"**No number of {year.arrivals} up to {plan.largest_tried:g} times today's gives a chance of "
            f"{target}** of {what}: at most {chance_text(plan.chance_reached)} was reached; {why}."
        )
    elif plan.factor >= 1:
        first = (
            f"**For a chance of {target} of {what}, {sources} must bring {whole(wanted)} {year.arrivals}, "
            f"{formats.percent(plan.factor - 1)} more than today**; {today}{_factor_range(plan)}."
        )
    else:
        first = (
            f"**Today's {whole(now)} {year.arrivals} from {sources} give a chance of "
            f"{chance_text(plan.chance_now)} of {what}**; for {target} {whole(wanted)} would do, "
            f"{formats.percent(1 - plan.factor)} fewer{_factor_range(plan)}."
        )
    lines = [first]
    left = chance_text(plan.chance_closed_form)
    lines.append(
        f"**The spreadsheet's answer is {whole(closed)} {year.arrivals}**, target ÷ deal size ÷ win chance, "
        "moved forward by the sales cycle. "
        + (
            f"It is right on average, and so leaves a chance of {left}: a plan that is met on average is "
            "missed about every second time."
            if plan.chance_closed_form > BLIND
            else f"It leaves a chance of {left}: it knows nothing of limits on what a rep can work on, and "
            "nothing of people who leave."
        )
    )
    under_way, others = (float(plan.quarters[name].sum()) for name in ("under_way", "other_sources"))
    sure = f"{year.money(under_way)} are expected from deals and {year.arrivals} that are there already"
    if others > 0:
        names = dict.fromkeys(table.loc[~table["moves"], "source"])
        sure += f", and {year.money(others)} from {', '.join(names)}, which marketing does not move"
    lines.append(f"Of the {year.money(total)}, {sure}.")
    cost = moving["cost_simulated"] - moving["cost_now"]
    if plan.reachable and cost.notna().all():
        lines.append(
            f"At today's cost per lead that is {year.money(float(cost.sum()))} "
            f"{'more' if cost.sum() >= 0 else 'less'} than now."
        )
    return lines


def _factor_range(plan: LeadPlan) -> str:
    if plan.trials is None:
        return " (solved without sampling error)"
    high = formats.percent(plan.factor_high) if math.isfinite(plan.factor_high) else "more than was tried"
    return (
        f" (80 % interval {formats.percent(plan.factor_low)} to {high} of today's; "
        f"n = {plan.trials:,} simulated horizons)"
    )


def lead_list(year: SalesYear) -> pd.DataFrame:
    """Leads per segment, source and month, as :class:`salessim.studies.LeadPlan` has them.

    Raises PlanError where there is no target, or nothing to move.
    """
    return year.lead_plan.leads


def leads_by_month(year: SalesYear) -> pd.DataFrame:
    """Leads of the moving sources by month for a chart: columns month, now, closed_form, simulated (NaN: not
    reachable); empty where the plan cannot be worked out."""
    try:
        leads = year.lead_plan.leads
    except PlanError:
        return pd.DataFrame({"month": [], "now": [], "closed_form": [], "simulated": []})
    names = {f"leads_{name}": name for name in ("now", "closed_form", "simulated")}
    sums = leads[leads["moves"]].groupby("month", sort=False)[list(names)].sum(min_count=1)
    return sums.rename(columns=names).reset_index()


def leads_table(year: SalesYear) -> str:
    """Leads for the wanted chance, by month and source, with today's and the spreadsheet's (Markdown)."""
    return or_why(lambda: _leads_table(year), "Leads by source and month")


def _leads_table(year: SalesYear) -> str:
    plan = year.lead_plan
    leads = plan.leads[plan.leads["moves"]]
    names = leads["source"]
    if year.scenario.segments[1:]:
        # a source that nobody named says nothing beside its segment
        alone = leads.groupby("segment")["source"].nunique().max() == 1
        names = leads["segment"] if alone else leads["segment"] + ", " + leads["source"]
    shown = "simulated" if plan.reachable else "closed_form"
    header = f"for {formats.percent(plan.chance)}" if plan.reachable else "spreadsheet"
    sums = leads.groupby("month", sort=False)[[f"leads_{name}" for name in ("now", "closed_form")]].sum()
    wide = leads.assign(name=names).pivot_table(
        index="month", columns="name", values=f"leads_{shown}", aggfunc="sum", sort=False
    )
    largest = wide.sum().sort_values(ascending=False).index
    columns = list(wide.columns) if len(largest) <= MOST_COLUMNS else list(largest[: MOST_COLUMNS - 1])
    shares = wide[columns].assign(others=wide.drop(columns=columns).sum(axis=1))
    if len(columns) == len(largest):
        shares = shares.drop(columns="others")
    table = pd.concat([sums, wide.sum(axis=1), shares], axis=1)
    table.loc["all"] = table.sum()
    rows = [
        [str(month).replace("-", "\u2011"), *(whole(float(value)) for value in row)]
        for month, row in zip(table.index, table.to_numpy(dtype=np.float64), strict=True)
    ]
    more = [] if len(columns) == len(largest) else [f"{len(largest) - len(columns)} others"]
    head = ["month", "now", "spreadsheet", f"**{header}**" if plan.reachable else "of these", *columns, *more]
    return formats.table(head, rows)


def mql_findings(year: SalesYear) -> str:
    """How many MQL the plan needs, and how good one must be, in sentences (Markdown) [A8]."""
    return or_why(lambda: bullets(_mql_lines(year)), "How many MQL the plan needs")


def _mql_lines(year: SalesYear) -> list[str]:
    plan = year.lead_plan
    quarters = plan.quarters
    if quarters["mql_now"].notna().any():
        norm = mql_norm(year.scenario, plan=plan).conversions
        everything = norm.iloc[-1]
        now, wanted = float(quarters["mql_now"].sum()), float(quarters["mql_simulated"].sum(min_count=1))
        lines = [
            f"**The plan needs {whole(wanted)} MQL in {year.span}**, {whole(wanted / len(quarters))} a "
            f"quarter; today's leads make {whole(now)}."
            if plan.reachable
            else f"Today's leads make {whole(now)} MQL in {year.span}."
        ]
        if math.isfinite(everything["mql_to_won"]):
            lines.append(
                f"**Of 100 MQL {whole(100 * everything['mql_to_won'])} are won**, one of "
                f"{formats.count(round(everything['mql_per_win'], 1))}; "
                f"{formats.percent(everything['mql_to_sql'])} become SQL."
            )
        if plan.reachable and plan.factor > 1:
            lines.append(
                f"Instead of more MQL better ones do as well: with today's number, the conversion from MQL "
                f"to win must be {plan.factor:.2f} times today's."
            )
        return lines
    became, there = year.mql_becoming
    if there == 0:
        return [
            "**MQL cannot be counted**: no stage of the scenario counts as MQL, and the export has no leads. "
            "With a lead file in the export, or a stage with `counts_as: MQL` in the scenario, this chapter "
            "says how many there must be."
        ]
    share, low, high = (float(part) for part in wilson(became, there))
    wanted = _mql_for(year, "simulated" if plan.reachable else "closed_form", share)
    for_what = f"a chance of {formats.percent(plan.chance)}" if plan.reachable else "the plan on average"
    return [
        f"**For {for_what} it takes {whole(wanted / len(quarters))} MQL a quarter** from "
        f"{', '.join(plan.sources)}; today's opportunities come from "
        f"{whole(_mql_for(year, 'now', share) / len(quarters))}.",
        f"A good MQL is one of which {formats.percent(share, digits=1)} become opportunities (80 % interval "
        f"{formats.span(low, high, 'share')}, n = {formats.count(there)} MQL of the export that are "
        f"{DAYS_TO_MATURE} days old or more). If half as many again did, a third fewer MQL would do.",
    ]


def _mql_for(year: SalesYear, answer: str, share: float) -> float:
    """MQL of the horizon behind the opportunities of the moving sources."""
    leads = year.lead_plan.leads
    return (
        float(leads.loc[leads["moves"], f"opportunities_{answer}"].sum()) / share if share > 0 else math.nan
    )


def mql_table(year: SalesYear) -> str:
    """MQL by quarter: today, as a spreadsheet has it, and for the wanted chance (Markdown table); with the
    conversion of the CRM where the scenario begins with opportunities."""
    return or_why(lambda: _mql_table(year), "MQL by quarter")


def _mql_table(year: SalesYear) -> str:
    plan = year.lead_plan
    answers = ("now", "closed_form", "simulated")
    if plan.quarters["mql_now"].notna().any():
        table = plan.quarters.set_index("quarter")[[f"mql_{name}" for name in answers]]
    else:
        became, there = year.mql_becoming
        if became == 0:
            return ""
        columns = [f"opportunities_{name}" for name in answers]
        moving = plan.leads[plan.leads["moves"]].groupby("quarter", sort=False)[columns]
        table = moving.sum(min_count=1) * there / became
    rows = [
        [quarter, *(whole(value) for value in row)]
        for quarter, row in zip(table.index, table.to_numpy(), strict=True)
    ]
    rows.append(["all", *(whole(value) for value in table.sum(min_count=1))])
    return formats.table(["quarter", "MQL now", "spreadsheet", f"for {formats.percent(plan.chance)}"], rows)


# --- what reps must hold -----------------------------------------------------------------------------------


@cache
def _full_rep_needs(year: SalesYear) -> pd.DataFrame:
    """What a rep of average skill with the quota of a fully ramped rep must hold in the first quarter.

    Raises PlanError where nobody carries a quota.
    """
    if year.plan is None:
        raise PlanError(NO_QUOTAS)
    table = quotas(year.plan, year.scenario)[year.quarters[0]]
    if not (table > 0).any():
        raise PlanError(f"nobody carries a quota in {year.quarters[0]}")
    roles = {rep.name: rep.role for rep in year.scenario.team()}
    largest = str(table.idxmax())
    typical = year.scenario.model_copy(
        update={
            "reps": (Rep(name="an average rep", role=roles[largest]),),
            "hires": (),
            "pipeline": (),
        }
    )
    asked = pd.DataFrame({year.quarters[0]: {"an average rep": float(table.median())}})
    return leads_to_hold(typical, quotas=asked, chance=year.chance)


def hold_findings(year: SalesYear) -> str:
    """How many open deals each rep must hold, and who is short, in sentences (Markdown) [A8]."""
    return or_why(lambda: bullets(_hold_lines(year)), "What a rep must hold")


def _hold_lines(year: SalesYear) -> list[str]:
    frame = held_by_rep(year)
    quarter, needs = year.quarters[0], _full_rep_needs(year)
    deals = needs[(needs["stage"] != NEW_LEADS) & needs["coverage"].notna()].sort_values("coverage")
    opportunities = [
        year.scenario.segment(segment).stages[year.scenario.segment(segment).stage_index(stage)].counts_as
        == "opportunity"
        for segment, stage in zip(deals["segment"], deals["stage"], strict=True)
    ]
    # early stages are not what one counts on in a quarter
    deals = deals[opportunities] if any(opportunities) else deals
    lines = []
    if not deals.empty:
        ends = [deals.iloc[0], deals.iloc[-1]][: len(deals)]
        cover = " to ".join(dict.fromkeys(formats.ratio(end["coverage"]) for end in ends))
        average = " or ".join(_held_there(end) for end in ends)
        lucky = " or ".join(
            whole(end["needed_for_chance"]) if end["reachable"] else "more than a rep can hold"
            for end in ends
        )
        lines.append(
            f"**For a quota of {year.money(ends[0]['quota'])} in {quarter} a rep must hold open deals worth "
            f"{cover} the quota when the quarter begins**, if they alone are to make it on average: "
            f"{average}; for a chance of {formats.percent(year.chance)} {lucky}."
        )
    short = frame[frame["covered"] + frame["from_new"] < 1].sort_values("chance")
    own = float((frame["covered"] * frame["quota"]).sum() / frame["quota"].sum())
    names = ", ".join(short["rep"].head(NAMED)) + (" …" if len(short) > NAMED else "")
    if year.scenario.pipeline:
        lines.append(
            f"**Open deals that are held today cover {formats.percent(own)} of the quotas of {quarter}** on "
            f"average; the rest must come from {year.arrivals} of the quarter itself."
        )
    else:
        lines.append("The scenario names no open deals, so nobody's own pipeline can be counted.")
    if short.empty:
        lines.append("Every rep is expected to make quota.")
    else:
        are = "is" if len(short) == 1 else "are"
        lines.append(
            f"**{formats.count(len(short))} of {reps(len(frame))} {are} not expected to make quota** with "
            f"open deals and {year.arrivals} together: {names}."
        )
    return lines


def _held_there(row: pd.Series) -> str:
    return f"{whole(math.ceil(row['needed_on_average']))} in *{row['stage']}* ({row['segment']})"


def hold_table(year: SalesYear) -> str:
    """What an average rep must hold for the quota, segment and stage each alone (Markdown table)."""
    return or_why(lambda: _hold_table(year), "What a rep must hold")


def _hold_table(year: SalesYear) -> str:
    rows = [
        [
            row["segment"],
            year.arrivals + " per week" if row["stage"] == NEW_LEADS else row["stage"],
            formats.percent(row["close_in_quarter"]), formats.ratio(row["coverage"]),
            year.money(row["value_needed"]), formats.count(round(row["needed_on_average"], 1)),
            formats.count(round(row["needed_for_chance"], 1)),
        ]
        for _, row in _full_rep_needs(year).iterrows()
    ]  # fmt: skip
    header = ["segment", "held", "close in the quarter", "coverage", "value needed", "on average"]
    quota = formats.money(float(_full_rep_needs(year)["quota"].iloc[0]), year.scenario.currency)
    return (
        formats.table([*header, f"for {formats.percent(year.chance)}"], rows)
        + f"\n\nEach row alone makes a quota of {quota} (the median of {year.quarters[0]}), for a rep of "
        "average skill. *Coverage*: value ÷ quota."
    )


@cache
def held_by_rep(year: SalesYear) -> pd.DataFrame:
    """What each rep holds against the quota of the first quarter.

    Returns:
        One row per rep with a quota: rep, quota, open_deals (number held), value (of them, in currency),
        covered (expected bookings of the quarter from them ÷ quota), from_new (expected from what arrives
        later ÷ quota), chance (of the quota).

    Raises PlanError where nobody carries a quota.
    """
    if year.plan is None:
        raise PlanError(NO_QUOTAS)
    scenario, quarter = year.scenario, year.quarters[0]
    asked = quotas(year.plan, scenario)[quarter]
    sizes = {segment.name: segment.deal_size.moments()[0] for segment in scenario.segments}
    held = pd.DataFrame(
        [
            [deal.rep, deal.deals, deal.deals * (sizes[deal.segment] if deal.amount is None else deal.amount)]
            for deal in scenario.pipeline
        ],
        columns=["rep", "deals", "value"],
    )
    sums = held.groupby("rep")[["deals", "value"]].sum().reindex(asked.index, fill_value=0)
    with_all = simulate(scenario, trials=year.trials, seed=year.seed)
    without = scenario.model_copy(update={"pipeline": ()})
    later = simulate(without, trials=year.trials, seed=year.seed).expected_bookings(quarter)
    all_of_it = with_all.expected_bookings(quarter)
    amounts = asked.to_numpy(dtype=np.float64)
    frame = pd.DataFrame(
        {
            "rep": asked.index,
            "quota": amounts,
            "open_deals": sums["deals"].to_numpy(),
            "value": sums["value"].to_numpy(dtype=np.float64),
            "covered": (all_of_it - later) / amounts,
            "from_new": later / amounts,
            "chance": with_all.chance_at_least(amounts, quarter),
        }
    )
    carries = frame[frame["quota"] > 0].reset_index(drop=True)
    if carries.empty:
        raise PlanError(f"nobody carries a quota in {quarter}")
    return carries


def hold_by_rep(year: SalesYear) -> str:
    """What each rep holds today against the quota, those furthest from it first (Markdown table)."""
    return or_why(lambda: _hold_by_rep(year), "What each rep holds")


def _hold_by_rep(year: SalesYear) -> str:
    rows = [
        [
            row["rep"], year.money(row["quota"]), formats.count(row["open_deals"]), year.money(row["value"]),
            formats.percent(row["covered"]), formats.percent(row["from_new"]), chance_text(row["chance"]),
        ]
        for _, row in held_by_rep(year).sort_values("chance").iterrows()
    ]  # fmt: skip
    header = ["rep", f"quota {year.quarters[0]}", "open deals held", "value held"]
    return formats.table([*header, "they bring", f"new {_new(year)} bring", "chance of quota"], rows) + (
        f"\n\n*They bring*, *new {_new(year)} bring*: expected bookings of the quarter ÷ quota."
    )


def _new(year: SalesYear) -> str:
    return year.arrivals.removeprefix("new ")


def stage_norms_table(year: SalesYear) -> str:
    """The norm of each stage: how many move on, how long it takes, what is open (Markdown table) [A8].

    Sources that travel alike share a row.
    """
    norms = stage_norms(year.scenario)
    alike = ["share_moving_on", "chance_to_win", "mean_days", "p90_days", "mean_days_to_win"]
    rows = []
    for (segment, stage), group in norms.groupby(["segment", "stage"], sort=False):
        same = (group[alike].round(9).nunique(dropna=False) <= 1).all()
        parts = [("all", group.head(1), group)] if same else [
            (source, part, part) for source, part in group.groupby("source", sort=False)
        ]  # fmt: skip
        for source, norm, counted in parts:
            row = norm.iloc[0]
            rows.append(
                [
                    segment, stage, *([] if _all_alike(norms, alike) else [source]),
                    formats.percent(row["share_moving_on"]), formats.percent(row["chance_to_win"]),
                    formats.days(row["mean_days"]), formats.days(row["p90_days"]),
                    formats.days(row["mean_days_to_win"]),
                    formats.count(round(float(counted["open_deals"].sum()), 1)),
                ]
            )  # fmt: skip
    header = ["segment", "stage", *([] if _all_alike(norms, alike) else ["source"])]
    header += ["move on", "won in the end", "mean days", "P90", "days to the win", "open in steady state"]
    return formats.table(header, rows)


def _all_alike(norms: pd.DataFrame, columns: list[str]) -> bool:
    """Whether the sources of every segment travel alike."""
    different = norms.round(9).groupby(["segment", "stage"])[columns].nunique(dropna=False)
    return bool((different <= 1).all(axis=None))
