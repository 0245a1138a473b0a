"""The bottleneck: which stage falls shortest of what it should do, and what that costs in bookings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from salessim import formats
from salessim.errors import ParameterError, listed
from salessim.intervals import LEVEL, Z
from salessim.measures.catalogue import CATALOGUE, measure
from salessim.measures.deals import bookings_by_quarter
from salessim.measures.estimates import Estimate
from salessim.measures.selection import Selection
from salessim.periods import Quarter

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = ["Bottleneck", "StageNorm", "bottleneck", "stage_gaps"]

Kind = Literal["conversion", "days"]
_MEASURES: Mapping[Kind, str] = {"conversion": "stage_conversion", "days": "stage_days"}

#: A usual quarter is the mean of so many complete quarters, the latest ones: a year.
_USUAL_QUARTERS = 4
_DAYS_OF_A_QUARTER = 365.25 / 4


@dataclass(frozen=True)
class StageNorm:
    """What a stage should do: the share of deals that move on, and the median days they stay.

    >>> StageNorm(conversion=0.5, median_days=14).conversion
    0.5
    """

    conversion: float | None = None
    median_days: float | None = None


_UNKNOWN = Estimate(math.nan, math.nan, math.nan, 0)


@dataclass(frozen=True)
class Bottleneck:
    """The stage that falls shortest of its norm, with the evidence; ``stage`` is None when there is none.

    ``shortfall`` is comparable between conversion and days: 0.5 is half the conversion, or double the time.
    ``beyond_luck`` tells whether luck seldom makes the worst of so many figures as bad (see
    :func:`stage_gaps`). ``gain`` is what a usual
    quarter would book more if the stage met its norm, in the currency of the tables; its interval comes from
    that of the stage's figure, and n is the number of quarters that ``usual_quarter`` is the mean of.

    >>> nothing = Estimate(math.nan, math.nan, math.nan, 0)
    >>> Bottleneck(None, None, nothing, math.nan, math.nan, False, "no stage falls short").stage is None
    True
    """

    stage: str | None
    kind: Kind | None
    estimate: Estimate
    norm: float
    shortfall: float
    beyond_luck: bool
    reason: str
    gain: Estimate = _UNKNOWN
    usual_quarter: float = math.nan


def stage_gaps(
    tables: Tables, *, quarter: Quarter | None = None, norms: Mapping[str, StageNorm] | None = None
) -> pd.DataFrame:
    """How far each stage lies from its norm, and what closing the gap would bring a usual quarter [A7].

    The won value of a *usual quarter* is the mean of the latest four complete ones. A better *conversion*
    brings that many more deals through all later stages: the won value grows in proportion, as soon as the
    deals have gone through. Fewer *days* bring each deal to its close so much earlier: what would have closed
    in the first days after the quarter closes within it. That is gained once, since those deals are missing
    later.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        quarter: the period that is judged; None is all time when norms are given, and otherwise the quarter
            of the export.
        norms: what each stage should do; None takes the figures of all time.

    Returns:
        One row per stage and kind that has a figure and a norm: stage, kind (conversion or days), value, low,
        high, n, norm, shortfall (a fraction, below 0 where the stage does better), beyond_luck, gain,
        gain_low, gain_high (money; 0 where nothing is short, NaN without a complete quarter). beyond_luck:
        the norm lies outside an interval so wide that luck puts it there for any row in one of ten cases
        (Bonferroni): of many rows, the worst lies outside the 80 % interval of its own far more often.

    Raises:
        ParameterError: a norm is set for a stage that does not exist.
        DataError: the export has no data for the quarter.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> rows = stage_gaps(read(example_crm()), norms={"closing deal": StageNorm(conversion=0.99)})
    >>> rows[["stage", "kind"]].values.tolist(), bool(rows["gain"][0] > 0)
    ([['closing deal', 'conversion']], True)
    """
    quarter, norms = _asked(tables, quarter, norms)
    columns = ["stage", "kind", "value", "low", "high", "n", "norm", "shortfall", "beyond_luck"]
    columns += ["gain", "gain_low", "gain_high"]
    rows = []
    usual, _ = _usual_quarter(tables)
    if not CATALOGUE["stage_conversion"].why_not(Selection(tables)):
        for kind, name in _MEASURES.items():
            found = measure(name, tables, quarter=quarter, by="stage").set_index("stage")
            always = measure(name, tables, by="stage").set_index("stage")["value"]
            for stage in tables.stages:
                wanted = norms.get(stage, StageNorm())
                norm = wanted.conversion if kind == "conversion" else wanted.median_days
                value, low, high = (float(found[key][stage]) for key in ("value", "low", "high"))
                if norm is None or math.isnan(value) or math.isnan(norm):
                    continue
                if kind == "conversion":
                    short, behind = (1 - value / norm if norm > 0 else 0.0), norm - value
                    reach = high - value
                    # over all time the usual quarter was booked at the very conversion that is judged
                    made_at = {
                        end: end if quarter is None else float(always[stage]) for end in (value, low, high)
                    }
                    gains = [
                        usual * (norm - end) / made_at[end] if made_at[end] > 0 else math.nan
                        for end in (value, high, low)
                    ]
                else:
                    short, behind = (1 - norm / value if value > 0 else 0.0), value - norm
                    reach = value - low
                    gains = [
                        usual * min((end - norm) / _DAYS_OF_A_QUARTER, 1.0) for end in (value, low, high)
                    ]
                gains = [max(gain, 0.0) if math.isfinite(gain) else math.nan for gain in gains]
                figures = (value, low, high, int(found["n"][stage]), norm, short, behind / max(reach, 1e-12))
                rows.append((stage, kind, *figures, *gains))
    gaps = pd.DataFrame(rows, columns=columns)
    # so far beyond_luck is the gap in half-widths of an 80 % interval
    widest = NormalDist().inv_cdf(1 - (1 - LEVEL) / 2 / max(len(rows), 1)) / Z
    return gaps.assign(beyond_luck=gaps["beyond_luck"].astype(float) > widest)


def bottleneck(
    tables: Tables, *, quarter: Quarter | None = None, norms: Mapping[str, StageNorm] | None = None
) -> Bottleneck:
    """The stage whose conversion or time falls shortest of its norm, and what that costs in bookings [A7].

    A shortfall that luck does not explain goes before a larger one that it does; :func:`stage_gaps` tells how
    the cost is reckoned.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        quarter: the period that is judged; None is all time when norms are given, and otherwise the quarter
            of the export.
        norms: what each stage should do; None takes the figures of all time.

    Raises:
        ParameterError: a norm is set for a stage that does not exist.
        DataError: the export has no data for the quarter.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> found = bottleneck(read(example_crm()), norms={"closing deal": StageNorm(conversion=0.99)})
    >>> found.stage, found.kind, found.beyond_luck, found.gain.value > 0
    ('closing deal', 'conversion', True, True)
    """
    given = norms is not None
    judged, _ = _asked(tables, quarter, norms)
    missing = CATALOGUE["stage_conversion"].why_not(Selection(tables))
    if missing:
        return _none(missing)
    period = f"in {judged}" if judged else "over all time"
    gaps = stage_gaps(tables, quarter=quarter, norms=norms)
    short = gaps[gaps["shortfall"] > 0]
    if short.empty:
        return _none(f"no stage falls short of its norm {period}")
    worst = short.sort_values(["beyond_luck", "shortfall"], ascending=False, kind="stable").iloc[0]
    estimate = Estimate(float(worst["value"]), float(worst["low"]), float(worst["high"]), int(worst["n"]))
    usual, quarters = _usual_quarter(tables)
    gain = Estimate(float(worst["gain"]), float(worst["gain_low"]), float(worst["gain_high"]), quarters)
    kind: Kind = worst["kind"]
    unit, verb = ("share", "moved on") if kind == "conversion" else ("days", "was the median stay")
    reason = (
        f"{worst['stage']}: {formats.figure(estimate.value, unit)} {verb} {period} against "
        f"{'a norm of' if given else 'the usual'} {formats.figure(float(worst['norm']), unit)} "
        f"({formats.span(estimate.low, estimate.high, unit)}, n = {formats.count(estimate.n)})"
        f"{'' if worst['beyond_luck'] else '; luck alone could explain it'}"
    )
    return Bottleneck(
        str(worst["stage"]),
        kind,
        estimate,
        float(worst["norm"]),
        float(worst["shortfall"]),
        bool(worst["beyond_luck"]),
        reason,
        gain,
        usual,
    )


def _none(reason: str) -> Bottleneck:
    return Bottleneck(None, None, _UNKNOWN, math.nan, math.nan, False, reason)


def _asked(
    tables: Tables, quarter: Quarter | None, norms: Mapping[str, StageNorm] | None
) -> tuple[Quarter | None, Mapping[str, StageNorm]]:
    """The period that is judged, and the norms: those given, or what each stage did over all time."""
    unknown = [stage for stage in norms or {} if stage not in tables.stages]
    if unknown:
        raise ParameterError(f"norm for stage {unknown[0]!r}; the stages are {listed(tables.stages)}")
    if norms is not None:
        return quarter, norms
    if CATALOGUE["stage_conversion"].why_not(Selection(tables)):
        return quarter, {}
    moved_on, stayed = (
        measure(name, tables, by="stage").set_index("stage")["value"] for name in _MEASURES.values()
    )
    usual = {stage: StageNorm(float(moved_on[stage]), float(stayed[stage])) for stage in tables.stages}
    return quarter or Selection(tables).now, usual


def _usual_quarter(tables: Tables) -> tuple[float, int]:
    """Mean won value of the latest complete quarters, and how many those are; NaN where there is none."""
    if CATALOGUE["won_value"].why_not(Selection(tables)):
        return math.nan, 0
    rows = bookings_by_quarter(tables)
    whole = rows.loc[~rows["partial"], "won_value"].to_numpy()[-_USUAL_QUARTERS:]
    return (float(np.mean(whole)), len(whole)) if len(whole) else (math.nan, 0)
