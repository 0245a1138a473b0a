"""The funnel of a segment: leads, stages with censored open deals, deal sizes, and what is open today."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.calibrate.estimates import DIGITS, Notes, Parameter, student
from salessim.crm import Tables
from salessim.errors import DataError
from salessim.formats import percent
from salessim.intervals import LEVEL, Z, wilson
from salessim.model import DealSize, Market, OpenDeal, Scenario, Seasonality, Segment, Source, Stage

__all__ = ["level_doubt", "month_factors_of", "open_deals_of", "segment_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Amounts that an observed deal-size law is condensed to, each the mean of as many deals.
MOST_AMOUNTS = 100
#: Fewer won deals than this do not tell a law of deal sizes.
FEWEST_WON = 5
#: Spread between deals (cv) that is assumed where one won deal cannot tell.
ASSUMED_SIZE_CV = 1.0
#: Widest lognormal law (standard deviation of the logarithms, cv 7): the mean of a wider one would rest on
#: deals larger than any that were seen.
WIDEST_LOGNORMAL = 2.0

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
    window_weeks: float,
    market: Market,
    month_factors: tuple[float, float, float],
    base: Scenario | None,
    notes: Notes,
) -> Segment:
    """Estimate one segment: opportunities per ramped rep-week, stages, deal size.

    ``seen`` are the deals of the window in all segments, ``made`` those of them that today's owner created,
    ``exposure`` the ramped weeks by rep and quarter, ``window_weeks`` the calendar weeks of the window;
    parameters and warnings go to ``notes``.
    """
    own, made = seen[seen["segment"] == name], made[made["segment"] == name]
    working = exposure.to_numpy(float)
    weeks, n = float(working.sum()), len(made)
    reps, quarters = int((working.sum(axis=1) > 0).sum()), int((working.sum(axis=0) > 0).sum())
    rate = n / weeks
    spread = 1 / max(n, 1) + market.skill_cv**2 / reps + market.shock_cv**2 / quarters
    margin = math.exp(student(max(min(reps, 4 * quarters) - 1, 1)) * math.sqrt(spread))
    notes.parameters.append(
        Parameter(
            "opportunities per rep and week", name, rate, rate / margin, rate * margin, n, "per rep and week"
        )
    )
    stages = _stages(tables, name, own, seen, notes)
    won = own.loc[(own["status"] == "won") & own["amount"].notna(), "amount"]
    if len(won) < FEWEST_WON:
        team = tables.opportunities
        everyone = team.loc[(team["status"] == "won") & team["amount"].notna(), "amount"]
        notes.warnings.append(
            f"segment '{name}' has {len(won)} won deals with an amount: too few for a deal size; "
            f"that of all {len(everyone):,} won deals is taken"
        )
        won = everyone
    return Segment(
        name=name,
        stages=stages,
        sources=_sources(name, own, made, exposure, window_weeks, base),
        deal_size=_deal_size(name, won.to_numpy(float), notes),
        seasonality=Seasonality(by_month_of_quarter=month_factors),
    )


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


def _sources(
    segment: str,
    seen: pd.DataFrame,
    made: pd.DataFrame,
    exposure: pd.DataFrame,
    window_weeks: float,
    base: Scenario | None,
) -> tuple[Source, ...]:
    """Opportunities by source; the base scenario says which sources are inbound (a team total).

    Inbound counts every deal of the segment (``seen``), self-sourced those that today's owner ``made``.
    """
    inbound = {
        source.name
        for part in (base.segments if base else ())
        for source in part.sources
        if source.kind == "inbound" and part.name == segment
    }
    unknown = "all sources" if seen["source"].isna().all() else "unknown source"
    everyone, own = (deals["source"].fillna(unknown).value_counts() for deals in (seen, made))
    rep_weeks = float(exposure.to_numpy().sum())
    return tuple(
        Source(name=name, kind="inbound", leads_per_week=round(everyone[name] / window_weeks, DIGITS))
        if name in inbound
        else Source(
            name=name, kind="self-sourced", leads_per_week=round(own.get(name, 0) / rep_weeks, DIGITS)
        )
        for name in sorted(everyone.index)
    )


def _stages(
    tables: Tables, segment: str, own: pd.DataFrame, everyone: pd.DataFrame, notes: Notes
) -> tuple[Stage, ...]:
    """Stages of the segment: by stage history where there is one, else one stage for the whole cycle.

    Where nobody has left a stage yet, the ``own`` deals of the segment cannot tell: those of all segments
    are taken.
    """
    passages = _passages(tables, own)
    if any((event > 0).sum() == 0 for _, _, event in passages):
        notes.warnings.append(
            f"segment '{segment}' has {len(own):,} deals and nobody has left every stage yet: its "
            f"conversions and times are those of all {len(everyone):,} deals"
        )
        passages = _passages(tables, everyone)
    whole_cycle = len(passages) == 1
    return tuple(
        _stage(stage, segment, days, event, notes, whole_cycle=whole_cycle) for stage, days, event in passages
    )


def _passages(tables: Tables, seen: pd.DataFrame) -> list[tuple[str, IntArray, IntArray]]:
    """By stage: its name, the days that deals were in it, and how it ended (1 moved, 2 lost, 0 not yet)."""
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
        found.append((stage, np.maximum(days, 0), np.where(moved, 1, np.where(lost, 2, 0))[present]))
    return found


def _stage(
    stage: str, segment: str, days: IntArray, event: IntArray, notes: Notes, *, whole_cycle: bool
) -> Stage:
    """One stage by the Aalen-Johansen estimator; event 1 moved on, 2 lost, 0 still there."""
    from statsmodels.duration.survfunc import CumIncidenceRight

    n, moved, lost, still = len(event), *(int((event == kind).sum()) for kind in (1, 2, 0))
    label = "win rate" if whole_cycle else f"conversion of '{stage}'"
    # the estimator wants times above 0: a deal that left on its first day stands at day 1
    with np.errstate(divide="ignore", invalid="ignore"):  # its variance where nobody is left at risk
        estimate = CumIncidenceRight(days + 1.0, event)
    grid = estimate.times.astype(int) - 1
    moving, losing = (np.zeros(int(days.max()) // 7 + 3) for _ in range(2))
    both = {
        kind: np.diff(curve, prepend=0.0) for kind, curve in zip(_kinds(event), estimate.cinc, strict=True)
    }
    for target, kind in ((moving, 1), (losing, 2)):
        if kind in both:
            # Deals arrive on any day of a week: of those that take d days, d % 7 in 7 cross one week boundary
            # more than the others (the same day counts as half a day). So means are kept, and the law goes
            # on for at least one week after a deal that is not older than the slowest move.
            later = np.maximum(grid, 0.5) % 7 / 7
            np.add.at(target, grid // 7, both[kind] * (1 - later))
            np.add.at(target, grid // 7 + 1, both[kind] * later)
    conversion = float(np.clip(moving.sum(), 0.0, 1.0))
    errors = estimate.cinc_se[0][np.isfinite(estimate.cinc_se[0])]  # of moving on
    error = float(errors[-1]) if moved and len(errors) else math.nan
    # Wilson's interval with as many deals as the standard error of the censored estimate stands for
    settled = not (error > 0 and 0 < conversion < 1)
    size = n if settled else max(conversion * (1 - conversion) / error**2, 1.0)
    low, high = (float(end) for end in wilson(conversion * size, size)[1:])
    unsettled = max(1 - moving.sum() - losing.sum(), 0.0)
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
    notes.parameters.append(Parameter(label, segment, conversion, low, high, n, "share", note))
    median = _quantile_week(moving, 0.5)
    if moved:
        half = Z / 2 / math.sqrt(moved)  # of a share around one half
        lower, upper = (_quantile_week(moving, 0.5 + sign * half) for sign in (-1, 1))
        notes.parameters.append(
            Parameter(
                f"median time {'to win' if whole_cycle else f'in {stage!r} until moving on'}",
                segment, median, lower, upper, moved, "weeks", "open deals counted as censored",
            )
        )  # fmt: skip
    # what never settles leaves after everything else: it must not look like a deal about to move on
    losing[-1] += unsettled
    return Stage(
        name=stage,
        conversion=conversion,
        dwell_weeks=_law(moving),
        lost_dwell_weeks=_law(losing),
    )


def _kinds(event: IntArray) -> list[int]:
    """The kinds of event in the order of the estimator's curves."""
    return list(range(1, int(event.max()) + 1))


def _law(mass: FloatArray) -> tuple[float, ...]:
    if mass.sum() <= 0:
        return (0.0, 1.0)
    kept = mass[: int(np.flatnonzero(mass > 0)[-1]) + 1] / mass.sum()
    return tuple(float(share) for share in np.round(kept / kept.sum(), DIGITS))


def _quantile_week(mass: FloatArray, probability: float) -> float:
    """Week by which a share of all that move on has moved."""
    if mass.sum() <= 0:
        return math.nan
    below = np.cumsum(mass) / mass.sum()
    return float(np.minimum(np.searchsorted(below, probability - 1e-12), len(below) - 1))


def _deal_size(segment: str, won: FloatArray, notes: Notes) -> DealSize:
    """Lognormal where it fits (Lilliefors' test on the logarithms), else the observed amounts.

    Fewer than five deals tell no law: their plain mean and spread, without an interval.
    """
    from statsmodels.stats.diagnostic import lilliefors

    n, mean = len(won), float(won.mean())
    deviation = float(won.std(ddof=1)) if n > 1 else math.nan
    limits = cv_limits = (math.nan, math.nan)
    logs = np.log(won[won > 0])
    spread = float(logs.std(ddof=1)) if len(logs) > 1 else 0.0
    if n < FEWEST_WON:
        cv = deviation / mean if n > 1 else ASSUMED_SIZE_CV
        size, note = DealSize(mean=mean, cv=cv), "too few won deals for an interval"
        note += "" if n > 1 else "; the spread is assumed"
    elif (
        len(logs) == n
        and spread < WIDEST_LOGNORMAL
        and (n < 8 or spread == 0 or lilliefors(logs, dist="norm")[1] >= 0.05)
    ):
        mean = math.exp(float(logs.mean()) + spread**2 / 2)
        # Cox's interval for the mean of a lognormal law
        error = student(n - 1) * math.sqrt(spread**2 / n + spread**4 / (2 * (n - 1)))
        limits, cv_limits = (mean * math.exp(-error), mean * math.exp(error)), _cv_limits(spread, n)
        cv = math.sqrt(math.expm1(spread**2))
        size, note = DealSize(mean=mean, cv=cv), "lognormal"
    else:
        error = student(n - 1) * deviation / math.sqrt(n)
        limits, cv = (max(mean - error, 0.0), mean + error), deviation / mean if mean else 0.0
        size, note = _observed(won), "observed amounts (a lognormal law does not fit)"
    notes.parameters.append(Parameter("mean deal size", segment, mean, *limits, n, "money", note))
    notes.parameters.append(Parameter("cv of deal size", segment, cv, *cv_limits, n, "cv", note))
    if n < 10:
        notes.warnings.append(f"segment '{segment}': deal size from {n} won deals only")
    return size


def _cv_limits(spread: float, n: int) -> tuple[float, float]:
    from scipy.stats import chi2

    low, high = (spread**2 * (n - 1) / chi2.ppf(p, n - 1) for p in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return math.sqrt(math.expm1(low)), math.sqrt(math.expm1(high))


def _observed(won: FloatArray) -> DealSize:
    """Observed amounts with their shares; many different ones are condensed to groups that keep the mean."""
    amounts, counts = np.unique(won, return_counts=True)
    if len(amounts) > MOST_AMOUNTS:
        groups = np.array_split(np.sort(won), MOST_AMOUNTS)
        amounts, counts = np.array([group.mean() for group in groups]), np.array([len(g) for g in groups])
        amounts, where = np.unique(np.round(amounts, 4), return_inverse=True)
        counts = np.bincount(where, weights=counts)
    return DealSize(amounts=tuple(amounts.tolist()), shares=tuple((counts / counts.sum()).tolist()))


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
