"""Does calibration find back what a company was made from? Coverage of its intervals and of its forecasts.

    python -m benchmarks.calibration [COMPANIES]

Companies are simulated deal by deal (small teams, newcomers, deals that are still open) and calibrated.
Printed: how often the 80 % intervals hold the truth, by kind of parameter; how far skills are off,
pooled and raw; and how often 80 % ranges of next quarter's bookings held, with one factor for all doubt
(``level_cv``, what simulations use) and with drawn parameters.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import pandas as pd

from salessim import crm
from salessim.calibrate import Calibration, calibrate, forecast_with_doubt
from salessim.crm.canonical import empty
from salessim.crm.quality import COUNT_COLUMNS, ISSUE_COLUMNS, QualityReport
from salessim.engine import simulate, simulate_history
from salessim.intervals import wilson
from salessim.model import (
    Calendar,
    DealSize,
    Market,
    Ramp,
    Rep,
    Role,
    Scenario,
    Seasonality,
    Segment,
    Source,
    Stage,
)

__all__ = [
    "FAMILIES",
    "coverage_of",
    "forecast_study",
    "held",
    "moving_company",
    "steady_company",
    "tables_of",
]

#: Kinds of parameter whose intervals are studied.
FAMILIES = (
    "opportunities per rep and week", "conversion", "mean time", "mean deal size", "cv of deal size",
    "skill of a rep", "skill spread", "market shock", "ramp", "season", "growth",
)  # fmt: skip
#: Mean weeks in the stages; a geometric law whose tail ends within the histories.
WEEKS = (4.0, 3.0)


def steady_company(number: int) -> Scenario:
    """A company without season or growth: four to eight reps, one or two segments; every third has newcomers.

    Odd ones have two stages, and a fourth of them six quarters of history instead of eight.
    """
    random = np.random.default_rng(number)
    two_stages = number % 2 == 1
    segments = tuple(
        Segment(
            name=name,
            stages=tuple(
                Stage(name=f"stage {k + 1}", conversion=float(random.uniform(0.4, 0.7)), dwell_weeks=weeks)
                for k, weeks in enumerate(WEEKS[: 1 + two_stages])
            ),
            sources=(
                Source(
                    name="web", kind="self-sourced", leads_per_week=float(random.uniform(0.5, 1.5) / share)
                ),
            ),
            deal_size=DealSize(mean=10_000.0 * share, cv=float(random.uniform(0.4, 1.0))),
        )
        for name, share in (("small", 1), ("large", 3))[: 1 + number % 4 // 2]
    )
    quarters = 6 if number % 4 == 0 else 8
    skill_cv = float(random.uniform(0.15, 0.45))
    newcomers = 3 if number % 3 == 0 else 0
    team = []
    for k in range(int(random.integers(4, 9)) + newcomers):
        start = date(2024, 1, 8) + timedelta(weeks=int(random.integers(4, 50)))
        team.append(
            Rep(
                name=f"rep {k}", role="AE", start=start if k < newcomers else None, skill_cv=0.0,
                skill_mean=float(random.gamma(1 / skill_cv**2) * skill_cv**2),
            )
        )  # fmt: skip
    return Scenario(
        name=f"company {number}",
        currency="EUR",
        calendar=Calendar(first_quarter="2024Q1", quarters=quarters),
        segments=segments,
        roles=(Role(name="AE", ramp=Ramp(linear_weeks=float(random.uniform(10, 40)))),),
        reps=tuple(team),
        market=Market(shock_cv=float(random.uniform(0.05, 0.2)), skill_cv=skill_cv),
    )


def moving_company(number: int) -> Scenario:
    """A company of twelve quarters with season and growth."""
    random = np.random.default_rng(10_000 + number)
    steady = steady_company(4 * number + 1)
    season = random.uniform(0.75, 1.25, 4)
    season = np.round(season / season.mean(), 6)
    pattern = Seasonality(
        by_quarter=tuple(season.tolist()), growth_per_year=float(random.uniform(-0.15, 0.35))
    )
    return steady.model_copy(
        update={
            "calendar": Calendar(first_quarter="2023Q1", quarters=12),
            "segments": tuple(part.model_copy(update={"seasonality": pattern}) for part in steady.segments),
        }
    )


def tables_of(scenario: Scenario, *, seed: int) -> crm.Tables:
    """A simulated history as canonical tables, without the way through files."""
    history = simulate_history(scenario, seed=seed)
    deals = history.deals
    closed = deals["status"] != "open"
    opportunities = pd.DataFrame(
        {
            "opportunity_id": "D" + deals["deal"].astype(str),
            "rep": deals["rep"],
            "segment": deals["segment"],
            "source": deals["source"],
            "stage": deals["status"].where(closed, deals["stage"]),
            "status": deals["status"],
            "created": deals["created"],
            "closed": deals["closed"],
            "amount": deals["amount"].where(deals["status"] == "won"),
        }
    ).reindex(columns=empty("opportunities").columns)
    reps = pd.DataFrame(
        [[rep.name, rep.role, rep.start, rep.end] for rep in scenario.reps],
        columns=["rep", "role", "start", "end"],
    ).reindex(columns=empty("reps").columns)
    for column in ("start", "end"):
        reps[column] = pd.to_datetime(reps[column])
    stages = history.stages.assign(opportunity_id="D" + history.stages["deal"].astype(str))
    stages = stages[stages["entered"] <= pd.Timestamp(history.as_of)]
    several = len(scenario.segments[0].stages) > 1
    stages = stages if several else stages[:0]
    return crm.Tables(
        opportunities=opportunities,
        reps=reps,
        accounts=empty("accounts"),
        leads=empty("leads"),
        stage_history=stages[["opportunity_id", "stage", "entered"]].reset_index(drop=True),
        quotas=empty("quotas"),
        as_of=history.as_of,
        currency=scenario.currency,
        quality=QualityReport(
            pd.DataFrame(columns=list(ISSUE_COLUMNS)), pd.DataFrame(columns=list(COUNT_COLUMNS))
        ),
        files=(),
        column_map="simulated",
        stages=tuple(stage.name for stage in scenario.segments[0].stages),
    )


def held(truth: Scenario, found: Calibration) -> Iterator[tuple[str, bool]]:
    """Whether each interval holds the truth: (kind of parameter, inside), where there is an interval."""
    wanted: list[tuple[str, str, str, float]] = []
    moving = truth.segments[0].seasonality != Seasonality()
    for part in truth.segments:
        for stage in part.stages:
            mean = float(np.arange(len(law := stage.dwell_shares())) @ law)
            one = len(part.stages) == 1
            conversion = "win rate" if one else f"conversion of '{stage.name}'"
            time = "mean time to win" if one else f"mean time in '{stage.name}' until moving on"
            wanted.append(("conversion", conversion, part.name, float(stage.conversion or 0)))
            wanted.append(("mean time", time, part.name, mean))
        if not moving:
            rate = part.sources[0].leads_per_week
            wanted.append((FAMILIES[0], FAMILIES[0], part.name, rate))
        wanted.append(("mean deal size", "mean deal size", part.name, float(part.deal_size.mean or 0)))
        wanted.append(("cv of deal size", "cv of deal size", part.name, float(part.deal_size.cv or 0)))
    wanted.append(("skill spread", "skill spread between reps", "", truth.market.skill_cv))
    if moving:
        season = truth.segments[0].seasonality
        for k, factor in enumerate(season.by_quarter):
            name = f"demand in fiscal quarter {k + 1} ÷ mean quarter"
            wanted.append(("season", name, "", factor))
        wanted.append(("growth", "growth of demand", "", season.growth_per_year))
    else:
        wanted.append(("market shock", "market shock between quarters", "", truth.market.shock_cv))
    ramp = truth.roles[0].ramp.linear_weeks
    if any(rep.start for rep in truth.reps) and ramp:
        wanted.append(("ramp", "weeks to full productivity", "", ramp))
    for family, name, segment, value in wanted:
        parameter = found.parameter(name, segment)
        if np.isfinite(parameter.low):
            yield family, bool(parameter.low <= value <= parameter.high)
    for _, rep in skills_of(truth, found).iterrows():
        yield "skill of a rep", bool(rep["low"] <= rep["truth"] <= rep["high"])


def skills_of(truth: Scenario, found: Calibration) -> pd.DataFrame:
    """True skill of each rep relative to the team's average beside what was found, (rep) rows."""
    skills = found.evidence.skills.set_index("rep")
    true = pd.Series({rep.name: rep.skill_mean for rep in truth.reps}).reindex(skills.index)
    average = float((true * skills["expected"]).sum() / skills["expected"].sum())
    return skills.assign(truth=true / average)


def coverage_of(counts: dict[str, list[bool]]) -> pd.DataFrame:
    """Share of intervals that held by kind of parameter: family, held, intervals, share, low, high."""
    rows = []
    for family, hits in counts.items():
        share, low, high = (float(x) for x in wilson(sum(hits), len(hits)))
        rows.append([family, sum(hits), len(hits), share, low, high])
    return pd.DataFrame(rows, columns=["family", "held", "intervals", "share", "low", "high"])


def forecast_study(companies: int, *, draws: int) -> pd.DataFrame:
    """Forecast a quarter after five or seven, many times: did the 80 % range hold, and how wide was it?

    Columns company, level, drawn (inside the range), level_width, drawn_width (range ÷ actual).
    """
    rows = []
    for number in range(companies):
        truth = steady_company(number)
        tables = tables_of(truth, seed=number)
        last = truth.calendar.periods()[-1]
        seen = crm.as_seen_on(tables, last.shift(-1).end)
        found = calibrate(seen, quarters=1)
        deals = tables.opportunities
        late = deals["closed"].between(pd.Timestamp(last.start), pd.Timestamp(last.end))
        actual = float(deals.loc[late & (deals["status"] == "won"), "amount"].sum())
        level = simulate(found.scenario).team_quantiles([0.1, 0.9], str(last))
        mixed = forecast_with_doubt(found, draws=draws, seed=number)
        drawn = mixed.quantiles([0.1, 0.9], period=str(last))
        rows.append(
            [
                number, bool(level[0] <= actual <= level[1]), bool(drawn[0] <= actual <= drawn[1]),
                float(level[1] - level[0]) / actual, float(drawn[1] - drawn[0]) / actual,
            ]
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["company", "level", "drawn", "level_width", "drawn_width"])


def study(companies: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Calibrate companies: coverage by kind of parameter, and squared errors of skills, pooled and raw."""
    counts: dict[str, list[bool]] = {family: [] for family in FAMILIES}
    errors = []
    for number in range(companies + companies // 2):
        moving = number >= companies
        truth = moving_company(number - companies) if moving else steady_company(number)
        found = calibrate(tables_of(truth, seed=number))
        for family, inside in held(truth, found):
            counts[family].append(inside)
        skills = skills_of(truth, found)
        errors.append([((skills[column] - skills["truth"]) ** 2).mean() for column in ("pooled", "raw")])
    return coverage_of(counts), pd.DataFrame(errors, columns=["pooled", "raw"])


def main(companies: int) -> None:
    coverage, errors = study(companies)
    print(coverage.round(3).to_string(index=False))
    overall = coverage["held"].sum() / coverage["intervals"].sum()
    print(f"all intervals: {overall:.3f} of {coverage['intervals'].sum():,}")
    print(
        f"mean squared error of skills: pooled {errors['pooled'].mean():.4f}, raw {errors['raw'].mean():.4f}"
    )
    forecasts = forecast_study(companies, draws=40)
    print(forecasts[["level", "drawn", "level_width", "drawn_width"]].mean().round(3).to_string())


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
