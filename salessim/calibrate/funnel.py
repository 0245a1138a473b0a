"""The funnel of a segment: leads, stages with censored open deals, deal sizes, and what is open today."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.calibrate.censored import Ending, Passage, ending_of
from salessim.calibrate.draws import Funnel
from salessim.calibrate.estimates import DIGITS, Notes, Parameter, student
from salessim.calibrate.sizes import FEWEST_WON, deal_size_of
from salessim.calibrate.sources import Kind, sources_of
from salessim.crm import Tables
from salessim.errors import DataError
from salessim.formats import percent
from salessim.intervals import Z
from salessim.model import Market, OpenDeal, Seasonality, Segment, Stage

__all__ = ["level_doubt", "month_factors_of", "open_deals_of", "segment_of"]

FloatArray = npt.NDArray[np.float64]

#: A conversion from fewer settled deals is called unsure.
FEW_SETTLED = 20

_NAT = np.datetime64("NaT")


def month_factors_of(
    seen: pd.DataFrame, start: date, end: date, month: int, notes: Notes
) -> tuple[float, float, float]:
    """Rhythm of creation within the quarter: leads in its months relative to the mean, if more than luck."""
    from scipy.stats import chi2

    days = pd.Series(pd.date_range(start, end))
    positions = (days.dt.month - month) % 3
    exposure = positions.value_counts().reindex(range(3), fill_value=0).to_numpy(float)
    counts = ((seen["created"].dt.month - month) % 3).value_counts().reindex(range(3), fill_value=0)
    n = counts.to_numpy(float)
    total = int(n.sum())
    if (exposure < 28).any() or total < 30:
        return (1.0, 1.0, 1.0)
    expected = total * exposure / exposure.sum()
    uneven = chi2.sf(float(((n - expected) ** 2 / expected).sum()), 2) < 0.05
    factors = n / expected
    factors = factors / factors.mean()
    for index, factor in enumerate(factors):
        error = Z * math.sqrt(max(1 / max(n[index], 1) - 1 / total, 0))
        notes.parameters.append(
            Parameter(
                f"created in month {index + 1} of a quarter ÷ mean month",
                "",
                float(factor),
                float(factor * math.exp(-error)),
                float(factor * math.exp(error)),
                int(n[index]),
                "ratio",
                "" if uneven else "no more than luck: not used",
            )
        )
    if not uneven:
        return (1.0, 1.0, 1.0)
    return (float(factors[0]), float(factors[1]), float(factors[2]))


def segment_of(
    tables: Tables,
    name: str,
    seen: pd.DataFrame,
    made: pd.DataFrame,
    exposure: pd.DataFrame,
    *,
    pace: FloatArray,
    weeks: FloatArray,
    market: Market,
    seasonality: Seasonality,
    kinds: Mapping[tuple[str, str], Kind],
    notes: Notes,
) -> Funnel:
    """Estimate one segment: opportunities per ramped rep-week, stages, deal size, sources.

    ``seen`` are the deals of the window in all segments, ``made`` those of them that today's owner created,
    ``exposure`` the ramped weeks by rep and quarter, ``weeks`` the calendar weeks of the window in each
    quarter, ``pace`` the demand of each quarter relative to the first simulated year (season and growth);
    parameters and warnings go to ``notes``.
    """
    own, made = seen[seen["segment"] == name], made[made["segment"] == name]
    working = exposure.to_numpy(float) * pace
    rep_weeks, n = float(working.sum()), len(made)
    reps, quarters = int((working.sum(axis=1) > 0).sum()), int((working.sum(axis=0) > 0).sum())
    rate = n / rep_weeks
    spread = 1 / max(n, 1) + market.skill_cv**2 / reps + market.shock_cv**2 / quarters
    margin = math.exp(student(max(min(reps, 4 * quarters) - 1, 1)) * math.sqrt(spread))
    growth = seasonality.growth_per_year
    notes.parameters.append(
        Parameter(
            "opportunities per rep and week", name, rate, rate / margin, rate * margin, n, "per rep and week",
            "at the start of the simulated quarters" if growth else "",
        )
    )  # fmt: skip
    passages = _passages(tables, own)
    of_its_own = all((passage.event > 0).any() for passage in passages)
    if not of_its_own:
        notes.warnings.append(
            f"segment '{name}' has {len(own):,} deals and nobody has left every stage yet: its "
            f"conversions and times are those of all {len(seen):,} deals"
        )
        passages = _passages(tables, seen)
    endings = [ending_of(passage) for passage in passages]
    stages = tuple(
        _stage(passage, ending, name, notes, whole_cycle=len(passages) == 1)
        for passage, ending in zip(passages, endings, strict=True)
    )
    won = own.loc[(own["status"] == "won") & own["amount"].notna(), "amount"]
    if len(won) < FEWEST_WON:
        team = tables.opportunities
        everyone = team.loc[(team["status"] == "won") & team["amount"].notna(), "amount"]
        notes.warnings.append(
            f"segment '{name}' has {len(won)} won deals with an amount: too few for a deal size; "
            f"that of all {len(everyone):,} won deals is taken"
        )
        won = everyone
    size = deal_size_of(name, won.to_numpy(float), notes)
    sources, effects = sources_of(
        name,
        own,
        made,
        passages if of_its_own else (),
        endings if of_its_own else (),
        kinds,
        rep_weeks=rep_weeks,
        window_weeks=float(weeks @ pace),
        as_of=pd.Timestamp(tables.as_of),
    )
    segment = Segment(name=name, stages=stages, sources=sources, deal_size=size.size, seasonality=seasonality)
    return Funnel(segment, size, tuple(endings), effects, n)


def level_doubt(segments: tuple[Segment, ...], market: Market, exposure: pd.DataFrame, notes: Notes) -> float:
    """How unsure the level of bookings is, all estimates together: cv of one factor on everything.

    Leads: Poisson luck of the counts, and the shocks of the few quarters that were seen. Conversion and deal
    size: errors of segments and stages are independent, weighed with the bookings they stand for. A deal
    size without an interval has the error of a plain mean, cv ÷ √n.

    Raises:
        DataError: where no segment has any bookings to be unsure about.
    """
    weights = np.array(
        [
            segment.close_probabilities()[0]
            * segment.deal_size.moments()[0]
            * sum(p.n for p in notes.parameters if (p.segment, p.unit) == (segment.name, "per rep and week"))
            for segment in segments
        ]
    )
    if not weights.sum() > 0:
        raise DataError(
            "no segment has both new opportunities and won deals with amounts; calibration needs won deals "
            "with amounts"
        )
    share = weights / weights.sum()
    counted, squares = 0, 0.0
    for segment, part in zip(segments, share, strict=True):
        mean, deviation = segment.deal_size.moments()
        for p in notes.parameters:
            if p.segment != segment.name:
                continue
            if p.unit == "per rep and week":
                counted += p.n
            elif p.unit == "money" and math.isnan(p.low):
                squares += (part * deviation / mean) ** 2 / p.n
            elif p.unit in ("share", "money") and p.value > 0:
                squares += (part * (p.high - p.low) / (2 * Z * p.value)) ** 2
    quarters = float((exposure.to_numpy().sum(axis=0) > 0).sum())
    doubt = math.sqrt(squares + 1 / max(counted, 1) + market.shock_cv**2 / max(quarters, 1.0))
    notes.parameters.append(
        Parameter(
            "doubt about the level, from all errors", "", doubt, math.nan, math.nan, counted, "cv",
            "widens every range; reps and quarters share it",
        )
    )  # fmt: skip
    return round(min(doubt, 2.0), DIGITS)


def _passages(tables: Tables, seen: pd.DataFrame) -> list[Passage]:
    """How deals passed each stage, by stage history; without one, a single stage for the whole cycle."""
    history = tables.stage_history
    history = history[history["opportunity_id"].isin(seen["opportunity_id"])]
    closed, status = seen["closed"].to_numpy(), seen["status"].to_numpy()
    names = [stage for stage in tables.stages if (history["stage"] == stage).any()]
    if not names:
        claimed = seen.loc[seen["status"] == "open", "stage"].unique()
        names = [str(claimed[0])] if len(claimed) == 1 else ["opportunity"]
        raw = seen[["created"]].to_numpy()
    else:
        first = history.pivot_table(index="opportunity_id", columns="stage", values="entered", aggfunc="min")
        raw = first.reindex(index=seen["opportunity_id"], columns=names).to_numpy()
        raw[:, 0] = seen["created"].to_numpy()
    # who entered a later stage, or won, has passed the earlier ones, at the latest then
    raw = np.column_stack([raw, np.where(status == "won", closed, _NAT)])
    entered = np.fmin.accumulate(raw[:, ::-1], axis=1)[:, ::-1]
    found = []
    for index, stage in enumerate(names):
        here, following = entered[:, index], entered[:, index + 1]
        moved = ~pd.isna(following)
        lost = ~moved & (status == "lost")
        leave = np.where(moved, following, np.where(lost, closed, np.datetime64(pd.Timestamp(tables.as_of))))
        present = ~pd.isna(here)
        days = (leave - here)[present].astype("timedelta64[D]").astype(np.int64)
        event = np.where(moved, 1, np.where(lost, 2, 0))[present]
        found.append(Passage(stage, np.maximum(days, 0), event, np.flatnonzero(present)))
    return found


def _stage(passage: Passage, ending: Ending, segment: str, notes: Notes, *, whole_cycle: bool) -> Stage:
    """One stage from how it ends, with its conversion and time as parameters."""
    stage, days, event = passage.stage, passage.days, passage.event
    n, moved, lost, still = len(event), *(int((event == kind).sum()) for kind in (1, 2, 0))
    label = "win rate" if whole_cycle else f"conversion of '{stage}'"
    low, high = ending.interval
    unsettled = max(1 - ending.moving.sum() - ending.losing.sum(), 0.0)
    note = f"{moved:,} moved on, {lost:,} lost, {still:,} still there"
    if moved:
        notes.slowest_days[segment, stage] = float(days[event == 1].max())
    last_moves = notes.slowest_days.get((segment, stage), 0.0)
    if unsettled > 0.05 and still and last_moves > 0.9 * days.max():
        notes.warnings.append(
            f"segment '{segment}': the history is too short to see the slowest deals of "
            f"'{stage}' ({percent(unsettled)} unsettled after {int(days.max()) // 7} weeks); "
            f"the {label} is a lower bound"
        )
        note += "; a lower bound"
    if 0 < moved + lost < FEW_SETTLED:
        notes.warnings.append(f"segment '{segment}': {label} from {moved + lost} settled deals only")
    notes.parameters.append(Parameter(label, segment, ending.conversion, low, high, n, "share", note))
    if moved:
        notes.parameters.append(
            Parameter(
                f"mean time {'to win' if whole_cycle else f'in {stage!r} until moving on'}",
                segment, *ending.mean_weeks(), moved, "weeks",
                f"{_within(ending.median_weeks())}; open deals counted as censored",
            )
        )  # fmt: skip
    # what never settles leaves after everything else: it must not look like a deal about to move on
    losing = ending.losing.copy()
    losing[-1] += unsettled
    return Stage(
        name=stage,
        conversion=ending.conversion,
        dwell_weeks=_law(ending.moving),
        lost_dwell_weeks=_law(losing),
    )


def _within(weeks: float) -> str:
    return f"half of them within {weeks:.0f} week{'' if weeks == 1 else 's'}"


def _law(mass: FloatArray) -> tuple[float, ...]:
    if mass.sum() <= 0:
        return (0.0, 1.0)
    kept = mass[: int(np.flatnonzero(mass > 0)[-1]) + 1] / mass.sum()
    return tuple(float(share) for share in np.round(kept / kept.sum(), DIGITS))


def open_deals_of(
    tables: Tables,
    deals: pd.DataFrame,
    segments: tuple[Segment, ...],
    reps: set[str],
    notes: Notes,
) -> tuple[OpenDeal, ...]:
    """Deals that are open today, alike ones together, with the time they have been in their stage."""
    open_deals = deals[deals["status"] == "open"]
    known = {segment.name: segment for segment in segments}
    orphaned = ~open_deals["rep"].isin(reps) | ~open_deals["segment"].isin(known)
    if orphaned.any():
        notes.warnings.append(
            f"{int(orphaned.sum()):,} open deals belong to nobody in today's team and are not forecast"
        )
    open_deals = open_deals[~orphaned]
    history = tables.stage_history
    entered = history.groupby(["opportunity_id", "stage"])["entered"].min()
    alike: dict[tuple[str, str, str, int, float | None], int] = {}
    dead = 0
    columns = ("opportunity_id", "rep", "segment", "stage", "created", "amount")
    for key, rep, name, claimed, created, value in zip(*(open_deals[c] for c in columns), strict=True):
        segment = known[name]
        stage = claimed if claimed in [s.name for s in segment.stages] else segment.stages[0].name
        since = entered.get((key, stage), created)
        days = max((pd.Timestamp(tables.as_of) - since).days, 0)
        oldest = len(segment.stages[segment.stage_index(stage)].dwell_shares()) - 1
        is_dead = days > notes.slowest_days.get((name, stage), -1.0)
        dead += is_dead
        weeks = oldest if is_dead else min(days // 7, oldest - 1)  # a week to move in is left, or none
        same = (rep, name, stage, weeks, None if pd.isna(value) else float(value))
        alike[same] = alike.get(same, 0) + 1
    if dead:
        notes.warnings.append(
            f"{dead:,} of {len(open_deals):,} open deals are older than any deal of their segment and stage "
            "that ever moved on: they are given no chance"
        )
    return tuple(
        OpenDeal(rep=rep, segment=segment, stage=stage, weeks_in_stage=weeks, amount=amount, deals=number)
        for (rep, segment, stage, weeks, amount), number in alike.items()
    )
