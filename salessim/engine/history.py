"""A history deal by deal: what a CRM would have recorded, had the scenario been true.

Used to make the example company, to check that calibration finds back what it was not told, and as a slow,
independent second implementation of the law that the other engines use.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from salessim.engine.choice import needs_flow
from salessim.engine.rates import weekly_leads
from salessim.engine.streams import generator
from salessim.engine.thinning import deal_amounts
from salessim.errors import EngineError
from salessim.model import Scenario
from salessim.periods import WEEKS_PER_QUARTER

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["History", "simulate_history"]

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class History:
    """Deals of one simulated past.

    ``deals``: one row per lead, with deal (number), rep, segment, source, created, status
    ("open" | "won" | "lost" as seen on ``as_of``), stage (current, or the last one before it was lost or
    won), closed (NaT while open), amount (what the deal is or would be worth).
    ``stages``: one row per stage entered: deal, stage, entered.
    """

    deals: pd.DataFrame
    stages: pd.DataFrame
    as_of: date


def simulate_history(scenario: Scenario, *, seed: int, as_of: date | None = None) -> History:
    """Simulate every lead of a scenario once, through its stages, up to a day.

    Args:
        scenario: the world; leads arrive in ``calendar.worked_periods()``.
        seed: seed of the random streams.
        as_of: last day that the CRM knows of; left out: the last day of the horizon.

    Deals listed in ``scenario.pipeline`` are not part of a history, and it covers plain funnels only:
    EngineError where deals go back, rest, are handed over or wait, or a source has a journey of its own. Days
    within a week are drawn evenly; a deal that leaves its stages within the week of its arrival closes up to
    a few days later.
    """
    _refuse_what_is_not_covered(scenario)
    import pandas as pd  # half a second that the other engines do not need

    quarters = scenario.calendar.worked_periods()
    last = quarters[-1].end if as_of is None else as_of
    random = generator(seed, "history")
    leads = weekly_leads(scenario)  # (rep, segment, week)
    team = scenario.team()
    shock_cv, spread = scenario.market.shock_cv, np.sqrt(np.log1p(scenario.market.shock_cv**2))
    shocks = np.exp(spread * _scores(scenario, len(quarters), random) - spread**2 / 2) if shock_cv else 1.0
    if (level_cv := scenario.market.level_cv) > 0:
        doubt = np.sqrt(np.log1p(level_cv**2))
        shocks = shocks * np.exp(doubt * random.standard_normal() - doubt**2 / 2)
    skill = np.array([_skill(rep.skill_mean, rep.skill_cv, scenario, random) for rep in team])
    means = leads * skill[:, None, None] * np.repeat(np.ones(len(quarters)) * shocks, WEEKS_PER_QUARTER)
    rep, segment, week = (np.repeat(axis, n) for axis, n in _drawn(random.poisson(means)))
    starts = np.array([day for q in quarters for day in q.week_starts()], dtype="datetime64[D]")
    created = starts[week] + random.integers(0, 7, len(week))
    amount, source = np.zeros(len(week)), np.empty(len(week), dtype=object)
    closed = np.full(len(week), np.datetime64("NaT"), dtype="datetime64[D]")
    won = np.zeros(len(week), dtype=bool)
    stage_rows = []
    for s, part in enumerate(scenario.segments):
        mine = np.flatnonzero(segment == s)
        amount[mine] = deal_amounts(part.deal_size)(random.random(len(mine)))
        source[mine] = _sources(scenario, s, week[mine], rep[mine], random)
        day, alive = created[mine], np.ones(len(mine), dtype=bool)
        for stage, conversion in zip(part.stages, part.conversions(), strict=True):
            here = np.flatnonzero(alive & (day <= np.datetime64(last)))
            stage_rows.append(pd.DataFrame({"deal": mine[here], "stage": stage.name, "entered": day[here]}))
            moves = random.random(len(mine)) < conversion
            stay = _weeks(stage.dwell_shares(), random, len(mine))
            lost_stay = _weeks(stage.dwell_shares(lost=True), random, len(mine))
            # moves of the week of arrival come up to three days later, all others whole weeks later
            jitter = random.integers(0, 4, len(mine))
            stays = np.where(moves, stay, lost_stay)
            leave = day + np.where(stays == 0, jitter, 7 * stays)
            closed[mine[alive & ~moves]] = leave[alive & ~moves]
            alive &= moves
            day = np.where(alive, leave, day)
        closed[mine[alive]] = day[alive]
        won[mine[alive]] = True
    known = closed <= np.datetime64(last)
    stages = pd.concat(stage_rows).sort_values(["deal", "entered"], kind="stable", ignore_index=True)
    deals = pd.DataFrame(
        {
            "deal": np.arange(len(week)),
            "rep": np.array([member.name for member in team], dtype=object)[rep],
            "segment": np.array([part.name for part in scenario.segments], dtype=object)[segment],
            "source": source,
            "created": created.astype("datetime64[ns]"),
            "status": np.where(known, np.where(won, "won", "lost"), "open"),
            "closed": np.where(known, closed, np.datetime64("NaT")).astype("datetime64[ns]"),
            "amount": amount,
        }
    )
    deals["stage"] = deals["deal"].map(stages.groupby("deal")["stage"].last())
    seen = deals["created"] <= np.datetime64(last)
    stages["entered"] = stages["entered"].astype("datetime64[ns]")
    return History(deals=deals[seen].reset_index(drop=True), stages=stages, as_of=last)


def _refuse_what_is_not_covered(scenario: Scenario) -> None:
    flow_needed, why = needs_flow(scenario)
    if flow_needed:
        raise EngineError(f"no history of scenario '{scenario.name}' can be made deal by deal: {why}")
    for segment in scenario.segments:
        own = [source.name for source in segment.sources if source.conversions or source.cycle_factor != 1]
        if own or not segment.is_linear:
            what = (
                f"source '{own[0]}' has a journey of its own" if own else "deals go back or rest in nurture"
            )
            raise EngineError(
                f"no history of scenario '{scenario.name}' can be made deal by deal: in segment "
                f"'{segment.name}' {what}"
            )


def _scores(scenario: Scenario, quarters: int, random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Standard normal scores of the market by quarter, each remembering the one before."""
    scores, rho = random.standard_normal(quarters), scenario.market.shock_persistence
    for quarter in range(1, quarters):
        scores[quarter] = rho * scores[quarter - 1] + np.sqrt(1 - rho**2) * scores[quarter]
    return scores


def _skill(mean: float, cv: float | None, scenario: Scenario, random: np.random.Generator) -> float:
    spread = scenario.market.skill_cv if cv is None else cv
    return mean * random.gamma(1 / spread**2) * spread**2 if spread else mean


def _drawn(counts: npt.NDArray[np.int64]) -> list[tuple[IntArray, IntArray]]:
    """Positions along each axis of the cells with leads, each with the number of leads in the cell."""
    cells = np.nonzero(counts)
    return [(axis, counts[cells]) for axis in cells]


def _weeks(shares: npt.NDArray[np.float64], random: np.random.Generator, size: int) -> IntArray:
    return np.searchsorted(np.cumsum(shares)[:-1], random.random(size), side="right")


def _sources(
    scenario: Scenario, segment: int, week: IntArray, rep: IntArray, random: np.random.Generator
) -> npt.NDArray[np.object_]:
    """Source of each lead, drawn in proportion to the leads that each source brings to its rep and week."""
    part = scenario.segments[segment]
    names = np.array([source.name for source in part.sources], dtype=object)
    if not len(week):
        return np.empty(0, dtype=object)
    by_source = np.array(
        [weekly_leads(_only(scenario, segment, source.name))[rep, segment, week] for source in part.sources]
    )  # (source, lead)
    upper = np.cumsum(by_source, axis=0) / by_source.sum(axis=0)
    return np.asarray(names[(random.random(len(week)) > upper[:-1]).sum(axis=0)])


def _only(scenario: Scenario, segment: int, source: str) -> Scenario:
    """The scenario with a single source left in a segment."""
    part = scenario.segments[segment]
    kept = tuple(one for one in part.sources if one.name == source)
    changed = part.model_copy(update={"sources": kept})
    segments = (*scenario.segments[:segment], changed, *scenario.segments[segment + 1 :])
    return scenario.model_copy(update={"segments": segments})
