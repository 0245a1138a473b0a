"""Chapter 2: quotas of past quarters judged, and whether the bar is due to be raised."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd

from salessim import crm, formats, plans
from salessim.briefing.prepared import Briefing, bullets
from salessim.documents import validated
from salessim.errors import PlanError
from salessim.plans import Contrast, RaiseRule, RuleLaboratory

__all__ = [
    "FALSE_ALARM",
    "attainment_history",
    "contrast_of_the_quarter",
    "judged_quarters",
    "laboratory",
    "laboratory_frame",
    "laboratory_notes",
    "laboratory_table",
    "past_attainment",
    "raise_findings",
    "raise_rule",
    "raise_table",
    "rule_text",
]

#: Histories that the laboratory simulates for each improvement.
HISTORIES = 2000
#: The rule of the field [B3].
RULE = RaiseRule()
#: Share of histories in which a rule may fire by luck before it is called untrustworthy.
FALSE_ALARM = 0.10


@functools.lru_cache(maxsize=4)
def past_attainment(briefing: Briefing) -> pd.DataFrame:
    """Attainment by rep and quarter of the export: rep, period, quota, bookings, attainment, note; empty
    where the export has no quotas."""
    if briefing.tables.quotas.empty:
        return pd.DataFrame(columns=["rep", "period", "quota", "bookings", "attainment", "note"])
    return crm.attainment_of(briefing.tables)


def judged_quarters(briefing: Briefing) -> pd.DataFrame:
    """Share of reps at quota by quarter, with its interval, for the chart of attainment over time: columns
    period, share, low, high, n; quarters in which somebody was judged."""
    table = past_attainment(briefing)
    if table.empty:
        return pd.DataFrame(columns=["period", "share", "low", "high", "n"])
    found = crm.attainment_by_period(table, band=briefing.plan.target_band)
    return found[found["reps"] > 0].rename(columns={"reps": "n"})


def attainment_history(briefing: Briefing) -> str:
    """Attainment of past quarters (Markdown table), each with what its number of reps allows to say."""
    table = past_attainment(briefing)
    if table.empty:
        return "The export has no quotas: add a table with rep, period and quota."
    found = crm.attainment_by_period(table, band=briefing.plan.target_band)
    rows = [
        [
            row["period"],
            f"{row['attaining']} of {row['reps']}",
            formats.percent(row["share"]),
            formats.percent(row["mean_attainment"]),
            formats.percent(row["median_attainment"]),
            row["note"],
        ]
        for row in found.to_dict("records")
    ]
    header = ["quarter", "made quota", "share", "mean attainment", "median attainment", "what it says"]
    return formats.table(header, rows)


def contrast_of_the_quarter(briefing: Briefing) -> str:
    """The case that the reported quarter's quotas were, in words (Markdown) [B2]."""
    found = _contrast(briefing)
    if found is None:
        spread = plans.concentration(_booked_by_rep(briefing).to_numpy())
        top = formats.percent(spread.top_fifth_share)
        return bullets(
            [
                f"The export has no quotas for {briefing.quarter}: whether they fit cannot be said.",
                f"The top fifth of {spread.n} reps booked {top} of the quarter (Gini "
                f"{spread.gini:.2f}; 0: all alike, 1: one books all).",
            ]
        )
    lines = [f"**{briefing.quarter}: {found.case}.** {found.evidence}", found.change, *found.remarks]
    return bullets([line for line in lines if line])


def _contrast(briefing: Briefing) -> Contrast | None:
    table = past_attainment(briefing)
    now = table[(table["period"] == str(briefing.quarter)) & (table["quota"] > 0)]
    if now.empty or not briefing.quarter_is_over:
        return None
    plan = None
    # a plan for the coming quarters says what this one was to bring only where they share a fiscal year
    same_year = briefing.quarter.shift(1).year == briefing.quarter.year
    if briefing.plan_given and briefing.plan.annual_team_plan and same_year:
        plan = briefing.plan.annual_team_plan * briefing.plan.quarter_shares[briefing.quarter.number - 1]
    return plans.contrast(
        now["bookings"].to_numpy(), now["quota"].to_numpy(), team_plan=plan, band=briefing.plan.target_band
    )


def _booked_by_rep(briefing: Briefing) -> pd.Series:
    quarter, deals = briefing.quarter, briefing.tables.opportunities
    day = pd.Timedelta(days=1)
    inside = deals["closed"].between(
        pd.Timestamp(quarter.start), pd.Timestamp(quarter.end) + day, inclusive="left"
    )
    booked = deals[(deals["status"] == "won") & inside].groupby("rep")["amount"].sum()
    return booked.reindex(briefing.tables.reps["rep"]).fillna(0.0) if len(briefing.tables.reps) else booked


@functools.lru_cache(maxsize=4)
def laboratory(briefing: Briefing, *, rule: RaiseRule = RULE) -> RuleLaboratory:
    """How often the rule for raising the bar fires by luck, and when it should, by team size."""
    return plans.rule_laboratory(briefing.scenario, rule=rule, team_sizes=_sizes(briefing), trials=HISTORIES)


def _sizes(briefing: Briefing) -> tuple[int, ...]:
    """Team sizes to try, the company's own among them."""
    return tuple(sorted({5, 10, 20, 40, 80, len(briefing.scenario.reps)} - {0}))


def laboratory_frame(briefing: Briefing, *, rule: RaiseRule = RULE) -> pd.DataFrame:
    """The laboratory's figures in the reading of its rule, for the heat map: reps, improvement, fires."""
    lab = laboratory(briefing, rule=rule)
    return lab.table[lab.table["margin_is"] == lab.rule.margin_is].reset_index(drop=True)


def laboratory_table(briefing: Briefing, *, rule: RaiseRule = RULE) -> str:
    """How often the rule fires, by team size and true improvement (Markdown table), with its sample size."""
    lab = laboratory(briefing, rule=rule)
    table = laboratory_frame(briefing, rule=rule)
    wide = table.pivot(index="reps", columns="improvement", values="fires")
    gains = wide.columns.to_numpy(dtype=np.float64)
    header = ["reps", *("no change" if gain == 0 else f"{gain * 100:.0f} % better" for gain in gains)]
    rows = [[size, *map(formats.percent, fires)] for size, *fires in wide.itertuples()]
    return formats.table(header, rows) + (
        f"\n\nShare of simulated histories of {lab.quarters} quarters in which the rule fires at least once; "
        f"{formats.count(lab.trials)} histories for each column, quotas right for "
        f"{formats.percent(lab.share)} of the reps. The first column are false alarms."
    )


def laboratory_notes(briefing: Briefing, *, rule: RaiseRule = RULE) -> str:
    """What the laboratory assumes, and what is odd about its figures (Markdown)."""
    lab = laboratory(briefing, rule=rule)
    return f"{formats.count(lab.trials)} simulated histories per column. " + " ".join(lab.notes)


def raise_rule(
    *, quarters_in_a_row: int = 2, share_of_team: float = 0.80, margin: float = 0.25, margin_is: str = ""
) -> RaiseRule:
    """The rule for raising the bar with thresholds of one's own; PlanError names what is not allowed."""
    given = {
        "quarters_in_a_row": quarters_in_a_row,
        "share_of_team": share_of_team,
        "margin": margin,
        "margin_is": margin_is or RULE.margin_is,
    }
    return validated(RaiseRule, given, where="rule", error=PlanError)


def raise_findings(briefing: Briefing, *, rule: RaiseRule = RULE) -> str:
    """Whether the bar is due to be raised [B3], and whether this team may trust the rule (Markdown)."""
    lab, number = laboratory(briefing, rule=rule), len(briefing.scenario.reps)
    lines = [_fired(briefing, rule)]
    trusted = plans.trusted_sizes(lab, false_alarm=FALSE_ALARM)
    mine = trusted[trusted["margin_is"] == lab.rule.margin_is]
    lines.append("**" + str(mine["sentence"].iloc[0]).rstrip(".") + ".**")
    advice = plans.threshold_for(lab, reps=number, false_alarm=FALSE_ALARM)
    lines.append(f"For this team: {advice.sentence}")
    return bullets(lines)


def rule_text(*, rule: RaiseRule = RULE) -> str:
    """The rule in words."""
    row = "1 quarter" if rule.quarters_in_a_row == 1 else f"{rule.quarters_in_a_row} quarters in a row"
    return (
        f"{formats.percent(rule.share_of_team)} of the team above quota in {row}, "
        f"by {formats.percent(rule.margin)} on average ({rule.margin_is})"
    )


def _fired(briefing: Briefing, rule: RaiseRule) -> str:
    table, text = _rule_on_history(briefing, rule), rule_text(rule=rule)
    if table.empty:
        return f"The rule for raising the bar ({text}) needs quotas of past quarters; the export has none."
    fired = table.loc[table["fires"], "period"].tolist()
    number = len(table)
    if fired:
        return f"**The rule for raising the bar ({text}) fired in {', '.join(fired)}** of {number} quarters."
    return f"**The rule for raising the bar ({text}) has not fired** in {number} quarters with quotas."


def _rule_on_history(briefing: Briefing, rule: RaiseRule) -> pd.DataFrame:
    table = past_attainment(briefing)
    known = table[table["attainment"].notna()]
    if known.empty:
        return pd.DataFrame()
    periods = sorted(known["period"].unique())
    wide = {
        name: known.pivot(index="rep", columns="period", values=name)[periods]
        for name in ("bookings", "quota")
    }
    return plans.apply_rule(rule, wide["bookings"], wide["quota"])


def raise_table(briefing: Briefing, *, rule: RaiseRule = RULE) -> str:
    """The rule on past quarters (Markdown table), in its three readings side by side."""
    table = _rule_on_history(briefing, rule)
    if table.empty:
        return "The export has no quotas of past quarters to try the rule on."
    rows = [
        [
            row["period"],
            f"{row['exceeding']} of {row['reps']} ({formats.percent(row['share_exceeding'])})",
            *(
                f"{formats.percent(row[name])}{' ✓' if row[f'meets_{name}'] else ''}"
                for name in ("mean_all", "mean_of_those", "team_total")
            ),
            "yes" if row["fires"] else "no",
        ]
        for row in table.to_dict("records")
    ]
    header = ["quarter", "above quota", "mean of all", "mean of those above", "team total", "fires"]
    return formats.table(header, rows) + (
        "\n\n“By 25 % on average” has three readings, and they differ; ✓: the quarter meets both "
        "conditions. The last column takes the mean attainment of all."
    )
