"""The bottleneck: which stage falls shortest of what it should do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from salessim import formats
from salessim.errors import ParameterError, listed
from salessim.measures.catalogue import CATALOGUE, measure
from salessim.measures.estimates import Estimate
from salessim.measures.selection import Selection
from salessim.periods import Quarter

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = ["Bottleneck", "StageNorm", "bottleneck"]

Kind = Literal["conversion", "days"]
_MEASURES: Mapping[Kind, str] = {"conversion": "stage_conversion", "days": "stage_days"}


@dataclass(frozen=True)
class StageNorm:
    """What a stage should do: the share of deals that move on, and the median days they stay.

    >>> StageNorm(conversion=0.5, median_days=14).conversion
    0.5
    """

    conversion: float | None = None
    median_days: float | None = None


@dataclass(frozen=True)
class Bottleneck:
    """The stage that falls shortest of its norm, with the evidence; ``stage`` is None when there is none.

    ``shortfall`` is comparable between conversion and days: 0.5 is half the conversion, or double the time.
    ``beyond_luck`` tells whether the interval of the figure leaves the norm outside.

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


def bottleneck(
    tables: Tables, *, quarter: Quarter | None = None, norms: Mapping[str, StageNorm] | None = None
) -> Bottleneck:
    """The stage whose conversion or time falls shortest of its norm [A7].

    A shortfall that luck does not explain goes before a larger one that it does.

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
    >>> found.stage, found.kind, found.beyond_luck
    ('closing deal', 'conversion', True)
    """
    unknown = [stage for stage in norms or {} if stage not in tables.stages]
    if unknown:
        raise ParameterError(f"norm for stage {unknown[0]!r}; the stages are {listed(tables.stages)}")
    missing = CATALOGUE["stage_conversion"].why_not(Selection(tables))
    if missing:
        return _none(missing)
    given = norms is not None
    if norms is None:
        quarter = quarter or Selection(tables).now
        norms = _usual(tables)
    period = f"in {quarter}" if quarter else "over all time"
    found: list[Bottleneck] = []
    for kind, name in _MEASURES.items():
        rows = measure(name, tables, quarter=quarter, by="stage").set_index("stage")
        for stage, row in rows.to_dict("index").items():
            wanted = norms.get(str(stage), StageNorm())
            norm = wanted.conversion if kind == "conversion" else wanted.median_days
            if norm is not None:
                estimate = Estimate(float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]))
                found.append(_shortfall(str(stage), kind, estimate, float(norm), period, given=given))
    short = [candidate for candidate in found if candidate.shortfall > 0]
    if not short:
        return _none(f"no stage falls short of its norm {period}")
    return max(short, key=lambda candidate: (candidate.beyond_luck, candidate.shortfall))


def _none(reason: str) -> Bottleneck:
    nothing = Estimate(math.nan, math.nan, math.nan, 0)
    return Bottleneck(None, None, nothing, math.nan, math.nan, False, reason)


def _usual(tables: Tables) -> dict[str, StageNorm]:
    """What each stage did over all time."""
    moved_on, stayed = (
        measure(name, tables, by="stage").set_index("stage")["value"] for name in _MEASURES.values()
    )
    return {stage: StageNorm(float(moved_on[stage]), float(stayed[stage])) for stage in tables.stages}


def _shortfall(
    stage: str,
    kind: Kind,
    estimate: Estimate,
    norm: float,
    period: str,
    *,
    given: bool,
) -> Bottleneck:
    """How far one figure of one stage lies from its norm, and in which words."""
    if kind == "conversion":
        more, less = norm, estimate.value
        beyond, unit, verb = estimate.high < norm, "share", "moved on"
    else:
        more, less = estimate.value, norm
        beyond, unit, verb = estimate.low > norm, "days", "was the median stay"
    shortfall = 1 - less / more if more > 0 else 0.0
    reason = (
        f"{stage}: {formats.figure(estimate.value, unit)} {verb} {period} against "
        f"{'a norm of' if given else 'the usual'} {formats.figure(norm, unit)} "
        f"({formats.span(estimate.low, estimate.high, unit)}, n = {formats.count(estimate.n)})"
        f"{'' if beyond else '; luck alone could explain it'}"
    )
    return Bottleneck(stage, kind, estimate, norm, shortfall, beyond, reason)
