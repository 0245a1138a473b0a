"""The calibration itself: tables in; scenario, estimates, doubts and evidence out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.calibrate.demand import STEADY, Pattern, pattern_of, pattern_of_segment, shock_of
from salessim.calibrate.draws import Beliefs, Funnel, drawn
from salessim.calibrate.estimates import Notes, Parameter
from salessim.calibrate.funnel import level_doubt, month_factors_of, open_deals_of, segment_of
from salessim.calibrate.ramps import Ramps, ramps_of
from salessim.calibrate.sources import Kind, kinds_of, named_sources
from salessim.calibrate.team import (
    created_by_owner,
    exposure_of,
    focus_of,
    hires_of,
    reps_of,
    skill_of,
    skill_spread,
)
from salessim.crm import Tables, left_cut
from salessim.errors import DataError, ParameterError
from salessim.intervals import LEVEL
from salessim.model import DEFAULT_CONTRACTS, DEFAULT_CRITERIA, Calendar, Market, Rep, Role, Scenario
from salessim.periods import Quarter, quarter_of

__all__ = ["Calibration", "Evidence", "calibrate"]

FloatArray = npt.NDArray[np.float64]

#: A history whose first deal comes so soon after a quarter begins starts with that quarter: days without a
#: deal are not a hole in the data.
GRACE = timedelta(days=7)


@dataclass(frozen=True, eq=False)
class Evidence:
    """What estimates were made from, for charts and tables."""

    skills: pd.DataFrame
    """One row per rep: rep, made, expected, raw, pooled, low, high (skill relative to the team's average)."""
    ramp: pd.DataFrame
    """Month of tenure: month, newcomers, made, full, share, low, high; no rows: no evidence."""
    ramp_measured: bool
    """Whether newcomers told the ramp."""
    demand: pd.DataFrame
    """Quarter by quarter: quarter, made, expected (in a steady market), ratio, low, high (80 % interval by
    luck alone), pattern (season and growth that are used), whole."""
    amounts: pd.DataFrame
    """Amounts of the won deals that deal sizes were estimated from: segment, amount."""
    sizes: pd.DataFrame
    """Law of deal sizes: segment, law ("lognormal" or "observed"), n, mean, cv, p_value, verdict."""
    sources: pd.DataFrame
    """Sources relative to their segment: segment, source, kind, why, deals, won, measure (win rate, cycle,
    deal size), ratio, low, high, used."""


@dataclass(frozen=True)
class Calibration:
    """A scenario estimated from history, and how sure each part of it is."""

    scenario: Scenario
    parameters: tuple[Parameter, ...]
    warnings: tuple[str, ...]
    window: tuple[date, date]
    """First and last day of the history that was used for rates."""
    left_cut: str = ""
    """What was left out because the export is cut off on the left; empty: nothing."""
    evidence: Evidence = field(repr=False, compare=False, kw_only=True)
    """What the estimates were made from."""
    beliefs: Beliefs = field(repr=False, compare=False, kw_only=True)
    """The laws of the estimates, for draws and checks."""

    def table(self) -> pd.DataFrame:
        """The parameters as a table, one row each: parameter, segment, value, low, high, n, unit, note.

        The skills of reps and the differences between sources stand behind the parameters of the company.
        """
        rows = [[p.name, p.segment, p.value, p.low, p.high, p.n, p.unit, p.note] for p in self.parameters]
        for rep in self.evidence.skills.to_dict("records"):
            note = f"raw {rep['raw']:.2f}, drawn towards the team"
            rows.append(
                [
                    f"skill of {rep['rep']}",
                    "",
                    rep["pooled"],
                    rep["low"],
                    rep["high"],
                    rep["made"],
                    "ratio",
                    note,
                ]
            )
        for source in self.evidence.sources.to_dict("records"):
            if not math.isfinite(source["ratio"]):
                continue
            note = f"{source['used']:.2f} is used" if source["used"] != 1 else "no more than luck: not used"
            if source["measure"] == "deal size":
                note = "not in the scenario, whose deal sizes belong to segments"
            rows.append(
                [
                    f"{source['measure']} of source '{source['source']}' ÷ segment", source["segment"],
                    source["ratio"], source["low"], source["high"], source["deals"], "ratio", note,
                ]
            )  # fmt: skip
        return pd.DataFrame(
            rows, columns=["parameter", "segment", "value", "low", "high", "n", "unit", "note"]
        )

    def parameter(self, name: str, segment: str = "") -> Parameter:
        """One parameter by name (and segment where it has one)."""
        return next(p for p in self.parameters if (p.name, p.segment) == (name, segment))

    def draws(self, number: int, *, seed: int = 1) -> tuple[Scenario, ...]:
        """Plausible scenarios, each with arrival, conversions, deal sizes and shock drawn from what is known.

        Together they say how far the estimates are in doubt: simulate each, and mix the results
        (:func:`salessim.calibrate.forecast_with_doubt`). The skill of a known rep carries its doubt in
        every scenario (``skill_cv`` of the rep); that of the market, for hires, is drawn. The factor
        ``market.level_cv`` that else stands for all errors is 0. Season, growth and times are kept.

        Args:
            number: how many; each parameter takes ``number`` evenly spread quantiles in an order of its own.
            seed: names the random streams; the same seed gives the same scenarios.

        Raises:
            ParameterError: for a number below 1.

        >>> from salessim.crm import read
        >>> from salessim.library import example_crm
        >>> found = calibrate(read(example_crm()))
        >>> len(found.draws(3)), found.draws(3) == found.draws(3)
        (3, True)
        """
        if number < 1:
            raise ParameterError(f"draws is {number}; it must be 1 or more")
        return drawn(self.scenario, self.beliefs, number=number, seed=seed)


def calibrate(
    tables: Tables,
    *,
    base: Scenario | None = None,
    quarters: int = 4,
    name: str = "calibrated from the CRM",
) -> Calibration:
    """Estimate a scenario from a CRM export.

    Args:
        tables: canonical tables of the export.
        base: a scenario that supplies what a CRM does not know: roles and ramps, planned hires, criteria,
            who brings the leads of a source. Left out: the field's criteria, no hires, and the ramp that
            newcomers show, or else that of the field.
        quarters: length of the horizon, which begins with the quarter after the day of the export.
        name: name of the new scenario.

    Returns:
        The scenario with the deals that are open now, and a table of estimates with intervals.

    Raises:
        DataError: where there is too little history to estimate anything (no won deal, or no dated deal).

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> found = calibrate(read(example_crm()))
    >>> share = found.parameter("conversion of 'potential deal'", "SMB")
    >>> bool(share.low < share.value < share.high)
    True
    """
    notes = Notes()
    deals = tables.opportunities[tables.opportunities["created"].notna()]
    undated = len(tables.opportunities) - len(deals)
    if undated:
        notes.warnings.append(f"{undated:,} opportunities without a date of creation: not used for rates")
    if not (deals["status"] == "won").any():
        raise DataError(
            f"{_name_of(tables)}: no won deal with a date of creation among {len(deals):,} "
            "opportunities; calibration needs a history with won deals"
        )
    start, cut = window_of(tables)
    if cut:
        notes.warnings.append(cut)
    end = tables.as_of
    # deals created before the window are known only if they lived long enough to reach it
    seen = deals[deals["created"] >= pd.Timestamp(start)].reset_index(drop=True)
    if not ((seen["status"] == "won") & (seen["amount"] > 0)).any():
        raise DataError(
            f"{_name_of(tables)}: none of the {len(seen):,} opportunities created from {start} on is won "
            "with an amount; calibration needs won deals with amounts"
        )
    if tables.stage_history.empty:
        notes.warnings.append(
            "the export has no stage history: each segment has one stage from creation to close, and nobody "
            "can tell at which step deals are lost"
        )
    made = created_by_owner(tables, seen, notes)
    month = tables.fiscal_year_starts_in_month
    ramps = ramps_of(tables, made, start, end, base, notes)
    exposure = exposure_of(tables, made, start, end, ramps, notes)
    periods = [Quarter.parse(name, fiscal_year_starts_in_month=month) for name in exposure.columns]
    _name_unfinished(periods, exposure.attrs["whole"], start, end, notes)
    place = _place_of(seen["created"], periods)
    counts = _counted(made, place, exposure)
    kinds = kinds_of(tables, seen, base, notes)
    spread = skill_spread(counts, exposure, notes)
    skill = skill_of(counts, exposure)
    names = [str(part) for part in sorted(seen["segment"].unique())]
    weeks = np.array([((min(q.end, end) - max(q.start, start)).days + 1) / 7 for q in periods])
    work = skill["mean"].to_numpy(float) @ exposure.to_numpy(float)  # (quarter,) of average reps
    volumes = {part: _volume(part, seen, made, place, kinds, work, weeks, exposure) for part in names}
    volume = sum((v[["made", "expected"]] for v in volumes.values()), start=0).assign(  # type: ignore[union-attr]
        whole=exposure.attrs["whole"]
    )
    pattern = pattern_of(volume, periods, notes)
    patterns = {
        part: pattern_of_segment(part, own, volume, periods, pattern, notes) if len(names) > 1 else pattern
        for part, own in volumes.items()
    }
    shock = shock_of(volume, periods, pattern, notes)
    market = Market(shock_cv=shock.spread.cv, shock_persistence=shock.persistence, skill_cv=spread.cv)
    focus = focus_of(made, exposure.sum(axis=1), skill["mean"], notes)
    by_month = month_factors_of(seen, start, end, month, notes)
    first = quarter_of(end, fiscal_year_starts_in_month=month)
    if end >= first.end:
        first = first.shift(1)
    funnels = tuple(
        segment_of(
            tables,
            part,
            seen,
            made,
            exposure,
            pace=patterns[part].factors(periods, first=first),
            weeks=weeks,
            market=market,
            seasonality=patterns[part].seasonality(by_month),
            kinds=kinds,
            notes=notes,
        )
        for part in names
    )
    segments = tuple(funnel.segment for funnel in funnels)
    market = market.model_copy(update={"level_cv": level_doubt(segments, market, exposure, notes)})
    everyone = reps_of(tables, exposure, skill, focus, base)
    gone = set(exposure.attrs["gone"])
    reps = tuple(rep for rep in everyone if rep.name not in gone)
    if not reps:
        raise DataError("no rep is left who creates deals today; calibration needs at least one")
    scenario = Scenario(
        name=name,
        description=f"Estimated from {len(seen):,} opportunities created from {start} to {end}.",
        made_up=bool(base and base.made_up),
        currency=tables.currency,
        calendar=Calendar(first_quarter=str(first), quarters=quarters, fiscal_year_starts_in_month=month),
        criteria=base.criteria if base else DEFAULT_CRITERIA,
        contracts=base.contracts if base else DEFAULT_CONTRACTS,
        exchange_rates=base.exchange_rates if base else {},
        segments=segments,
        roles=_roles(base, reps, ramps),
        reps=reps,
        hires=hires_of(tables, base, first, notes),
        market=market,
        pipeline=open_deals_of(tables, deals, segments, {rep.name for rep in reps}, notes),
    )
    return Calibration(
        scenario=scenario,
        parameters=tuple(notes.parameters),
        warnings=tuple(notes.warnings),
        window=(start, end),
        left_cut=cut,
        evidence=Evidence(
            skills=skill.rename(columns={"mean": "pooled"})
            .rename_axis("rep")
            .reset_index()[["rep", "made", "expected", "raw", "pooled", "low", "high"]],
            ramp=ramps.by_month,
            ramp_measured=ramps.measured,
            demand=_demand(volume, periods, pattern),
            amounts=seen.loc[
                (seen["status"] == "won") & seen["amount"].notna(), ["segment", "amount"]
            ].reset_index(drop=True),
            sizes=_sizes(funnels),
            sources=pd.concat([funnel.sources for funnel in funnels], ignore_index=True),
        ),
        beliefs=Beliefs(
            funnels=funnels,
            shock=shock.spread,
            skill=spread,
            quarters=int((exposure.to_numpy(float).sum(axis=0) > 0).sum()),
            everyone=everyone,
            patterns=patterns,
            pace_of=first,
            slowest_days=dict(notes.slowest_days),
        ),
    )


def _name_of(tables: Tables) -> str:
    return tables.files[0].name if tables.files else "the export"


def window_of(tables: Tables) -> tuple[date, str]:
    """First day of the history that is used, and what is left out before it.

    An export that is cut off on the left counts from its first whole quarter on, if it has one: deals have a
    rhythm within the quarter, and part of a quarter would tilt every rate.
    """
    created = tables.opportunities["created"]
    closed = left_cut(tables).missing_before
    if closed is None:
        begins = created.min().date()
        first = quarter_of(begins, fiscal_year_starts_in_month=tables.fiscal_year_starts_in_month).start
        return first if begins - first <= GRACE else begins, ""
    quarter = quarter_of(closed, fiscal_year_starts_in_month=tables.fiscal_year_starts_in_month)
    whole = quarter if closed == quarter.start else quarter.shift(1)
    start = whole.start if whole.end <= tables.as_of else closed
    return start, (
        f"the export is cut off on the left: nothing closed before {closed}, though deals were created from "
        f"{created.min().date()} on; history counts from {start} on, and the "
        f"{int((created < pd.Timestamp(start)).sum()):,} deals created before then are left out of rates, "
        "win rate and cycle"
    )


def _name_unfinished(
    periods: Sequence[Quarter], whole: Sequence[bool], start: date, end: date, notes: Notes
) -> None:
    """Warn of quarters that the history covers only in part."""
    parts = [
        f"{period} ({max(period.start, start)} to {min(period.end, end)})"
        for period, is_whole in zip(periods, whole, strict=True)
        if not is_whole
    ]
    if parts:
        notes.warnings.append(
            f"the history covers only a part of {' and '.join(parts)}: counted by its weeks, and left out "
            "where quarters are compared"
        )


def _place_of(created: pd.Series, periods: Sequence[Quarter]) -> pd.Series:
    """Position of the quarter in which each deal was created."""
    starts = np.array([period.start for period in periods], dtype="datetime64[ns]")
    place = np.searchsorted(starts, created.to_numpy(dtype="datetime64[ns]"), side="right") - 1
    return pd.Series(place, index=created.index)


def _counted(made: pd.DataFrame, place: pd.Series, exposure: pd.DataFrame) -> pd.DataFrame:
    """Opportunities made by rep and quarter, in the shape of ``exposure``."""
    counts = np.zeros(exposure.shape)
    rows = exposure.index.get_indexer(pd.Index(made["rep"]))
    known = rows >= 0
    np.add.at(counts, (rows[known], place[made.index].to_numpy()[known]), 1.0)
    return pd.DataFrame(counts, index=exposure.index, columns=exposure.columns)


def _volume(
    segment: str, seen: pd.DataFrame, made: pd.DataFrame, place: pd.Series,
    kinds: Mapping[tuple[str, str], Kind], work: FloatArray, weeks: FloatArray, exposure: pd.DataFrame,
) -> pd.DataFrame:  # fmt: skip
    """New opportunities of a segment by quarter, and how many a steady market would have brought: those that
    sellers find grow with their ramped weeks, those that come in with the calendar alone."""
    own = seen[seen["segment"] == segment]
    source = named_sources(own, of=own)
    finders = {
        name for (part, name), kind in kinds.items() if part == segment and kind.kind == "self-sourced"
    }
    found = source.isin(finders)
    number, expected = np.zeros(len(weeks)), np.zeros(len(weeks))
    for chosen, pace in ((found & own.index.isin(made.index), work), (~found, weeks)):
        counted = np.bincount(place[own.index[chosen]], minlength=len(weeks)).astype(float)
        number += counted
        expected += counted.sum() * pace / max(float(pace.sum()), 1e-300)
    return pd.DataFrame(
        {"made": number, "expected": expected, "whole": exposure.attrs["whole"]}, index=exposure.columns
    )


def _demand(volume: pd.DataFrame, periods: Sequence[Quarter], pattern: Pattern) -> pd.DataFrame:
    """Demand by quarter against a steady market, with what luck alone would leave open."""
    from scipy.stats import chi2

    made, expected = volume["made"].to_numpy(float), volume["expected"].to_numpy(float)
    divisor = np.where(expected > 0, expected, np.nan)
    used = pattern.factors(periods, first=periods[0])
    weighted = float((used * expected).sum() / max(expected.sum(), 1e-300))
    return pd.DataFrame(
        {
            "quarter": [str(period) for period in periods],
            "made": made.astype(int),
            "expected": expected,
            "ratio": made / divisor,
            "low": np.where(made > 0, chi2.ppf((1 - LEVEL) / 2, 2 * np.maximum(made, 1)) / 2, 0.0) / divisor,
            "high": chi2.ppf((1 + LEVEL) / 2, 2 * made + 2) / 2 / divisor,
            "pattern": used / weighted if pattern != STEADY else 1.0,
            "whole": volume["whole"].to_numpy(bool),
        }
    )


def _sizes(funnels: Sequence[Funnel]) -> pd.DataFrame:
    rows = []
    for funnel in funnels:
        law = funnel.size
        mean, deviation = law.size.moments()
        kind = "lognormal" if law.size.mean is not None else "observed"
        rows.append(
            [law.segment, kind, law.n, mean, deviation / mean if mean else 0.0, law.chance, law.verdict]
        )
    return pd.DataFrame(rows, columns=["segment", "law", "n", "mean", "cv", "p_value", "verdict"])


def _roles(base: Scenario | None, reps: tuple[Rep, ...], ramps: Ramps) -> tuple[Role, ...]:
    if base:
        return base.roles
    return tuple(Role(name=name, ramp=ramps.of(name)) for name in sorted({rep.role for rep in reps}))
