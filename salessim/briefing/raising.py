"""Chapter 2: quotas of past quarters judged, and whether the bar is due to be raised."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pandas as pd

from salessim import crm, formats, plans
from salessim.briefing.prepared import Briefing, bullets, reps
from salessim.crm.quotas import managers_with_team_quota
from salessim.documents import validated
from salessim.errors import PlanError
from salessim.periods import Quarter
from salessim.plans import Contrast, RaiseRule, RuleLaboratory

__all__ = [
    "FALSE_ALARM",
    "attainment_history",
    "contrast_odds",
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
    where the export has no quotas. A reported quarter that misses a few days counts as a whole one."""
    tables = briefing.tables
    if tables.quotas.empty:
        return pd.DataFrame(columns=["rep", "period", "quota", "bookings", "attainment", "note"])
    if briefing.quarter_is_over:
        tables = replace(tables, as_of=max(tables.as_of, briefing.quarter.end))
    return crm.attainment_of(tables)


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
    """The case that the reported quarter's quotas were, in words (Markdown) [B2]; while that quarter is not
    over, the case of the last complete quarter with quotas."""
    judged, lines = _quarter_to_judge(briefing), []
    if not briefing.quarter_is_over:
        lines.append(
            f"{briefing.quarter} is not over (the export ends on {briefing.tables.as_of}): "
            + (
                "whether its quotas fit cannot be said yet."
                if judged is None
                else f"judged is {judged}, the last complete quarter with quotas."
            )
        )
    elif judged is None:
        lines.append(_not_judged(briefing))
    if judged is None:
        return bullets([*lines, *_spread(briefing)])
    found = _contrast(briefing, judged)
    # a share that may well lie in the band proves no case, so that nothing is advised on it
    outside = found.share_high < found.band[0] or found.share_low > found.band[1]
    proven = outside or found.case in ("healthy", "quotas do not add up to the plan")
    verdict = f"{judged}: {found.case}." if proven else f"{judged} looks like “{found.case}”, not proven."
    lines += [f"**{verdict}** {found.evidence}", found.change if proven else "", *found.remarks]
    table = past_attainment(briefing)
    holders = table.loc[(table["period"] == str(judged)) & (table["quota"] > 0), "rep"]
    managers = [name for name in managers_with_team_quota(briefing.tables) if name in set(holders)]
    if managers:
        number = "1 manager" if len(managers) == 1 else f"{len(managers)} managers"
        lines.append(f"{number} whose quota is that of their team left out ({', '.join(managers)}).")
    return bullets([line for line in lines if line])


def contrast_odds(briefing: Briefing) -> str:
    """What a quarter under the recommended quotas would be called, by luck (Markdown table): what a name that
    is given to one real quarter is worth."""
    law = plans.contrast_law(briefing.outcome, briefing.recommended, briefing.quota_period)
    rows = [
        [row["case"], formats.percent(row["probability"])]
        for row in law.table.sort_values("probability", ascending=False, kind="stable").to_dict("records")
    ]
    return formats.table(["a quarter is called", f"probability in {briefing.quota_period_name}"], rows) + (
        f"\n\nUnder the recommended quotas, which {formats.percent(briefing.advised.expected_share)} are "
        f"expected to make; {formats.count(law.trials)} simulated quarters. A name given to one real "
        "quarter of this team is worth no more than that."
    )


def _quarter_to_judge(briefing: Briefing) -> Quarter | None:
    """The reported quarter, or the last complete one with quotas while it is not over; None: none can be."""
    table = past_attainment(briefing)
    known = set(table.loc[table["attainment"].notna(), "period"])
    if briefing.quarter_is_over:
        return briefing.quarter if str(briefing.quarter) in known else None
    return _quarter(briefing, max(known)) if known else None


def _quarter(briefing: Briefing, label: str) -> Quarter:
    month = briefing.quarter.fiscal_year_starts_in_month
    return Quarter.parse(label, fiscal_year_starts_in_month=month)


def _not_judged(briefing: Briefing) -> str:
    """Why the quotas of the reported quarter cannot be judged although it is over."""
    table = past_attainment(briefing)
    now = table[(table["period"] == str(briefing.quarter)) & table["quota"].notna()]
    if now.empty:
        return f"The export has no quotas for {briefing.quarter}: whether they fit cannot be said."
    note = crm.attainment_by_period(now)["note"].iloc[0]
    return f"Whether the quotas of {briefing.quarter} fit cannot be said: {note}."


def _spread(briefing: Briefing) -> list[str]:
    """How much the reported quarter hangs on few reps; empty: one rep, or nothing booked."""
    spread = plans.concentration(_booked_by_rep(briefing).to_numpy())
    if spread.n < 2 or np.isnan(spread.top_fifth_share):
        return []
    so_far = "" if briefing.quarter_is_over else " so far"
    return [
        f"The top fifth of {reps(spread.n)} booked {formats.percent(spread.top_fifth_share)} of "
        f"{briefing.quarter}{so_far} (Gini {spread.gini:.2f}; 0: all alike, 1: one books all)."
    ]


def _contrast(briefing: Briefing, quarter: Quarter) -> Contrast:
    table = past_attainment(briefing)
    now = table[table["period"] == str(quarter)]
    # who is not judged has no quota here, but what they booked counts for the team plan all the same
    quotas = now["quota"].where(now["attainment"].notna()).to_numpy(dtype=np.float64)
    won = _won(briefing, quarter)
    by_nobody = won.loc[won["rep"].isna(), "amount"].sum()
    plan = None
    # a plan for the coming quarters says what this one was to bring only where they share a fiscal year
    same_year = briefing.quarter.shift(1).year == quarter.year
    if briefing.plan_given and briefing.plan.annual_team_plan and same_year:
        plan = briefing.plan.annual_team_plan * briefing.plan.quarter_shares[quarter.number - 1]
    return plans.contrast(
        np.append(now["bookings"].to_numpy(dtype=np.float64), by_nobody),
        np.append(quotas, np.nan),
        team_plan=plan,
        band=briefing.plan.target_band,
    )


def _won(briefing: Briefing, quarter: Quarter) -> pd.DataFrame:
    """Deals won in a quarter."""
    deals = briefing.tables.opportunities
    end = pd.Timestamp(quarter.end) + pd.Timedelta(days=1)
    inside = deals["closed"].between(pd.Timestamp(quarter.start), end, inclusive="left")
    return deals[(deals["status"] == "won") & inside]


def _booked_by_rep(briefing: Briefing) -> pd.Series:
    booked = _won(briefing, briefing.quarter).groupby("rep")["amount"].sum()
    team = briefing.tables.reps["rep"]
    return booked.reindex(team).fillna(0.0) if len(team) else booked


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


def raise_findings(briefing: Briefing, *, rule: RaiseRule = RULE, false_alarm: float = FALSE_ALARM) -> str:
    """Whether the bar is due to be raised [B3], and whether this team may trust the rule (Markdown)."""
    lab, number = laboratory(briefing, rule=rule), len(briefing.scenario.reps)
    lines = [_fired(briefing, rule)]
    trusted = plans.trusted_sizes(lab, false_alarm=false_alarm)
    mine = trusted[trusted["margin_is"] == lab.rule.margin_is]
    lines.append("**" + str(mine["sentence"].iloc[0]).rstrip(".") + ".**")
    advice = plans.threshold_for(lab, reps=number, false_alarm=false_alarm)
    lines.append(advice.sentence)
    return bullets(lines)


def rule_text(*, rule: RaiseRule = RULE) -> str:
    """The rule in words."""
    return (
        f"{formats.percent(rule.share_of_team)} of the team above quota in {_in_a_row(rule)}, "
        f"by {formats.percent(rule.margin)} on average ({rule.margin_is})"
    )


def _fired(briefing: Briefing, rule: RaiseRule) -> str:
    table, text = _rule_on_history(briefing, rule), rule_text(rule=rule)
    if table.empty:
        return (
            f"The rule for raising the bar ({text}) needs quotas of past quarters that can be judged; the "
            "export has none."
        )
    fired = table.loc[table["fires"], "period"].tolist()
    judged = int((table["reps"] > 0).sum())
    gaps = len(table) - judged
    over = f"{_quarters(judged)} with quotas"
    if gaps:
        were = "was" if gaps == 1 else "were"
        over += f" ({_quarters(gaps)} between them {were} not judged, which breaks a run)"
    if fired:
        return f"**The rule for raising the bar ({text}) fired in {', '.join(fired)}** of {over}."
    return f"**The rule for raising the bar ({text}) has not fired** in {over}."


def _in_a_row(rule: RaiseRule) -> str:
    return f"{_quarters(rule.quarters_in_a_row)}{'' if rule.quarters_in_a_row == 1 else ' in a row'}"


def _quarters(number: int) -> str:
    return "1 quarter" if number == 1 else f"{number} quarters"


def _rule_on_history(briefing: Briefing, rule: RaiseRule) -> pd.DataFrame:
    """The rule on every quarter from the first to the last that was judged; empty: none was."""
    table = past_attainment(briefing)
    known = table[table["attainment"].notna()]
    if known.empty:
        return pd.DataFrame()
    quarter, last = (_quarter(briefing, label) for label in (known["period"].min(), known["period"].max()))
    periods = [str(quarter)]
    while quarter < last:  # a quarter in which nobody was judged stays in: it breaks a run
        quarter = quarter.shift(1)
        periods.append(str(quarter))
    wide = {
        name: known.pivot(index="rep", columns="period", values=name).reindex(columns=periods)
        for name in ("bookings", "quota")
    }
    return plans.apply_rule(rule, wide["bookings"], wide["quota"])


def raise_table(briefing: Briefing, *, rule: RaiseRule = RULE) -> str:
    """The rule on past quarters (Markdown table), in its three readings side by side."""
    table = _rule_on_history(briefing, rule)
    if table.empty:
        return "The export has no quotas of past quarters that can be judged by the rule."
    rows = [
        [
            row["period"],
            f"{row['exceeding']} of {row['reps']} ({formats.percent(row['share_exceeding'])})"
            if row["reps"]
            else "not judged",
            *(
                f"{formats.percent(row[name])}{' ✓' if row[f'meets_{name}'] else ''}"
                for name in ("mean_all", "mean_of_those", "team_total")
            ),
            "yes" if row["fires"] else "no",
        ]
        for row in table.to_dict("records")
    ]
    header = ["quarter", "above quota", "mean of all", "mean of those above", "team total", "fires"]
    share, margin = formats.percent(rule.share_of_team), formats.percent(rule.margin)
    return formats.table(header, rows) + (
        f"\n\n“By {margin} on average” has three readings, and they differ; ✓: {share} of the team above "
        f"quota, and by {margin} in this reading. The last column takes the {rule.margin_is}, in "
        f"{_in_a_row(rule)}."
    )
