"""Chapter 2: how much of a result is luck, and how much of a quota is territory."""

from __future__ import annotations

import functools
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from salessim import crm, formats, plans
from salessim.briefing.prepared import Briefing, bullets, reps
from salessim.calibrate import calibrate
from salessim.engine import simulate
from salessim.errors import DataError

__all__ = ["fairness", "fairness_findings", "fairness_table", "luck_of_the_quarter", "luck_sentence"]


@functools.lru_cache(maxsize=4)
def fairness(briefing: Briefing) -> pd.DataFrame:
    """What moves each rep's attainment of the recommended quota (:func:`salessim.plans.fairness`)."""
    return plans.fairness(briefing.outcome, plan=briefing.recommended, period=briefing.quota_period)


def fairness_findings(briefing: Briefing) -> str:
    """Whether the recommended quotas are fair, in sentences (Markdown)."""
    table = fairness(briefing)
    mean = table[["luck", "territory", "skill", "market"]].mean()
    ordered = mean.sort_values(ascending=False)
    shares = ", ".join(f"{name} {formats.percent(share)}" for name, share in ordered.items())
    by_chance = table.sort_values("chance", kind="stable").to_dict("records")
    hard, easy = by_chance[0], by_chance[-1]
    lines = [
        f"**What sets {reps(len(table))} apart is mostly {ordered.index[0]}**: of what moves attainment of "
        f"the recommended quota in {briefing.quota_period_name}, {shares} (mean over the reps)."
    ]
    if len(table) > 1:
        lines.append(
            f"**Chances run from {formats.percent(hard['chance'])} ({hard['rep']}) to "
            f"{formats.percent(easy['chance'])} ({easy['rep']})** under one quota. "
            f"{_why(hard)} {_why(easy)}"
        )
    return bullets(lines)


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
        "\n\n*territory*, *skill*: points of attainment above or below the team's average; *luck*: one "
        "standard deviation, in points."
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
        "forecast"). Empty where the export knows too little of the time before.
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
    asked = quotas[(quotas["period"] == str(quarter)) & (quotas["quota"] > 0)].set_index("rep")["quota"]
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


def luck_sentence(briefing: Briefing) -> str:
    """Whether the reported quarter was luck, rep by rep, in a sentence (Markdown)."""
    table = luck_of_the_quarter(briefing)
    if table.empty:
        return (
            f"Whether {briefing.quarter} was luck cannot be said: the export knows too little of the time "
            "before it."
        )
    outside = table[(table["attainment"] < table["low"]) | (table["attainment"] > table["high"])]
    inside, expected = len(table) - len(outside), round(0.2 * len(table))
    were = "1 was" if len(outside) == 1 else f"{len(outside)} were"
    basis = "quota" if table["based_on"].iloc[0] == "quota" else "forecast (the export has no quotas)"
    text = (
        f"**{inside} of {reps(len(table))} booked in {briefing.quarter} what luck alone explains**: inside "
        f"the range that history let expect in 8 of 10 cases, each against the own {basis}. "
        f"By chance about {expected} would be outside; {were}"
    )
    if outside.empty:
        return f"{text}."
    lowest = outside[outside["attainment"] < outside["low"]]["rep"]
    highest = outside[outside["attainment"] > outside["high"]]["rep"]
    sides = [
        f"{side}: {', '.join(names)}" for side, names in (("below", lowest), ("above", highest)) if len(names)
    ]
    return f"{text} ({'; '.join(sides)}). Look there first, and at the rest not at all."
