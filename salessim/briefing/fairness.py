"""Chapter 2: how much of a result is luck, and how much of a quota is territory."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping
from typing import Any, Literal

import pandas as pd
from scipy.special import bdtrc

from salessim import crm, formats, plans
from salessim.briefing.prepared import Briefing, bullets, reps
from salessim.calibrate import calibrate
from salessim.crm.quotas import managers_with_team_quota
from salessim.engine import simulate
from salessim.errors import DataError

#: A chance below which what happened is called more than chance.
SURPRISING = 0.10

__all__ = [
    "fairness",
    "fairness_findings",
    "fairness_table",
    "luck_of_the_quarter",
    "luck_sentence",
    "measured_against",
]


@functools.lru_cache(maxsize=4)
def fairness(briefing: Briefing) -> pd.DataFrame:
    """What moves each rep's attainment of the recommended quota (:func:`salessim.plans.fairness`)."""
    return plans.fairness(briefing.outcome, plan=briefing.recommended, period=briefing.quota_period)


def fairness_findings(briefing: Briefing) -> str:
    """Whether the recommended quotas are fair, in sentences (Markdown)."""
    table = fairness(briefing)
    mean = table[["luck", "territory", "skill", "market"]].mean()
    ordered = mean.sort_values(ascending=False)
    period = briefing.quota_period_name
    most = f"{'mostly' if ordered.iloc[0] > 0.5 else 'above all'} {ordered.index[0]}"
    if len(table) == 1:  # one rep has no others to be set apart from, by territory or else
        rep, shares = table["rep"].iloc[0], _shares(ordered.drop("territory"))
        chance = formats.percent(table["chance"].iloc[0])
        return bullets(
            [
                f"**What moves {rep}'s attainment of the recommended quota in {period} is "
                f"{most}**: {shares}. The chance of making it is {chance}."
            ]
        )
    by_chance = table.sort_values("chance", kind="stable").to_dict("records")
    hard, easy = by_chance[0], by_chance[-1]
    quotas = "one quota" if briefing.one_quota else "the recommended quotas"
    return bullets(
        [
            f"**What sets {reps(len(table))} apart is {most}**: of what moves attainment of "
            f"the recommended quota in {period}, {_shares(ordered)} (mean over the reps).",
            f"**Chances run from {formats.percent(hard['chance'])} ({hard['rep']}) to "
            f"{formats.percent(easy['chance'])} ({easy['rep']})** under {quotas}. {_why(hard)} {_why(easy)}",
        ]
    )


def _shares(ordered: pd.Series) -> str:
    return ", ".join(f"{name} {formats.percent(share)}" for name, share in ordered.items())


def fairness_table(briefing: Briefing) -> str:
    """Each rep's chance, and what stands behind it (Markdown table)."""
    rows = [
        [
            row["rep"],
            f"{row['quota']:,.0f}",
            formats.percent(row["chance"]),
            formats.percent(row["expected_attainment"]),
            f"{row['territory_effect'] * 100:+.0f}",
            f"{row['skill_effect'] * 100:+.0f}",
            f"±{row['luck_deviation'] * 100:.0f}",
        ]
        for row in fairness(briefing).sort_values("chance", kind="stable").to_dict("records")
    ]
    unit = "" if briefing.currency == formats.NO_CURRENCY else f", {briefing.currency}"
    header = ["rep", f"quota{unit}", "chance", "expected attainment", "territory", "skill", "luck"]
    return formats.table(header, rows) + (
        "\n\n*territory*, *skill*: points of attainment above or below the team's average, *skill* with what "
        "territory and skill do together (their product); *luck*: one standard deviation, in points."
    )


def _why(row: Mapping[Hashable, Any]) -> str:
    """Where a rep stands against the team's average, and for which reason."""
    skill = f"{row['skill_effect'] * 100:+.0f} by skill"
    territory = f"{row['territory_effect'] * 100:+.0f} points by territory (leads, open deals, ramp, quota)"
    luck = f"luck moves it by ±{row['luck_deviation'] * 100:.0f} points (one standard deviation)"
    return f"{row['rep']}: {territory}, {skill}; {luck}."


@functools.lru_cache(maxsize=4)
def luck_of_the_quarter(briefing: Briefing) -> pd.DataFrame:
    """The reported quarter rep by rep, against what the day before it began let expect.

    Returns:
        Columns rep, basis (currency: the rep's quota, or the forecast's median where the export has no
        quotas), booked, attainment (booked ÷ basis), low, high (P10 and P90 of the forecast ÷ basis),
        chance (that the rep books no more than was booked; near 0 or 1: hardly luck), based_on ("quota" or
        "forecast"). Empty where the quarter is not over or the export knows too little of the time before;
        without managers whose quota is that of their team.
    """
    quarter = briefing.quarter
    columns = ["rep", "basis", "booked", "attainment", "low", "high", "chance", "based_on"]
    nothing = pd.DataFrame(columns=columns)
    if not briefing.quarter_is_over:
        return nothing
    before = quarter.shift(-1).end
    try:
        known = calibrate(crm.as_seen_on(briefing.tables, before), base=briefing.scenario, quarters=1)
    except DataError:  # too little was known then
        return nothing
    if known.window[0] > quarter.shift(-1).start:
        return nothing
    outcome = simulate(known.scenario)
    low, middle, high = outcome.rep_quantiles([0.1, 0.5, 0.9], str(quarter))
    deals = briefing.tables.opportunities
    inside = (deals["status"] == "won") & deals["closed"].between(
        pd.Timestamp(quarter.start), pd.Timestamp(quarter.end) + pd.Timedelta(days=1), inclusive="left"
    )
    booked = deals[inside].groupby("rep")["amount"].sum()
    quotas = briefing.tables.quotas
    own = ~quotas["rep"].isin(managers_with_team_quota(briefing.tables))
    asked = quotas[own & (quotas["period"] == str(quarter)) & (quotas["quota"] > 0)].set_index("rep")["quota"]
    table = pd.DataFrame({"rep": outcome.reps, "p10": low, "p50": middle, "p90": high})
    table["booked"] = table["rep"].map(booked).fillna(0.0)
    table["basis"] = table["rep"].map(asked) if len(asked) else table["p50"]
    table["based_on"] = "quota" if len(asked) else "forecast"
    # somebody who joined later was not foreseen, somebody without a basis is not judged
    table["chance"] = 1 - outcome.chance_at_least(
        table["booked"].to_numpy() * (1 + 1e-9) + 1e-9, str(quarter)
    )
    for name, amount in (("attainment", "booked"), ("low", "p10"), ("high", "p90")):
        table[name] = table[amount] / table["basis"].where(table["basis"] > 0)
    here = table["rep"].isin(briefing.tables.reps["rep"]) if len(briefing.tables.reps) else True
    return table[here & table["attainment"].notna()][columns].reset_index(drop=True)


def measured_against(briefing: Briefing) -> Literal["quota", "forecast"]:
    """What bookings of the reported quarter are divided by: the quotas, or the forecast where it has none."""
    table = luck_of_the_quarter(briefing)
    return "forecast" if (table["based_on"] == "forecast").any() else "quota"


def luck_sentence(briefing: Briefing) -> str:
    """Whether the reported quarter was luck, rep by rep, in a sentence (Markdown)."""
    quarter, table = briefing.quarter, luck_of_the_quarter(briefing)
    if not briefing.quarter_is_over:
        return (
            f"Whether {quarter} was luck cannot be said yet: it is not over (the export ends on "
            f"{briefing.tables.as_of})."
        )
    if table.empty:
        return (
            f"Whether {quarter} was luck cannot be said: the export knows too little of the time before it."
        )
    below = table.loc[table["attainment"] < table["low"], "rep"].tolist()
    above = table.loc[table["attainment"] > table["high"], "rep"].tolist()
    basis = "quota" if table["based_on"].iloc[0] == "quota" else f"forecast (there is no quota for {quarter})"
    # the range holds more than luck: what is not known of skill and market makes it wider
    known = "the range that history let expect in 8 of 10 cases (luck, and doubt about skill and market)"
    if len(table) == 1:
        rep, side = table["rep"].iloc[0], "below" if below else "above" if above else "inside"
        what = {"below": "less than", "above": "more than", "inside": "what"}[side]
        booked = f"**{rep} booked in {quarter} {what} was to be expected**"
        return f"{booked}: {side} {known}, against the own {basis}."
    outside = len(below) + len(above)
    # how often at least so many would be outside by chance, if the ranges are right
    by_chance = float(bdtrc(outside - 1, len(table), 0.2)) if outside else 1.0
    inside = f"{len(table) - outside} of {reps(len(table))} booked in {quarter} what was to be expected"
    if by_chance < SURPRISING:
        inside = (
            f"{outside} of {reps(len(table))} booked in {quarter} other than expected, more than by chance"
        )
        known = f"outside {known}"
    else:
        known = f"inside {known}"
    text = f"**{inside}**: {known}, each against the own {basis}."
    expected = round(0.2 * len(table))
    were = "1 was" if outside == 1 else f"{outside} were"
    if expected:
        text += f" About {expected} would be outside in any case; {were}"
    elif outside:
        text += f" {were} outside"
    else:
        return text
    sides = [f"{side}: {', '.join(names)}" for side, names in (("below", below), ("above", above)) if names]
    return f"{text} ({'; '.join(sides)}). Look there first." if sides else f"{text}."
