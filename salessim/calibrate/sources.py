"""Sources of a segment: who brings the leads, and whether their deals are won, sized or timed otherwise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.calibrate.censored import Ending, Passage, ending_of
from salessim.calibrate.estimates import Notes, rounded
from salessim.crm import Tables
from salessim.errors import listed
from salessim.intervals import Z
from salessim.model import Scenario, Source

__all__ = ["SOURCE_COLUMNS", "UNKNOWN_SOURCE", "Kind", "kinds_of", "named_sources", "sources_of"]

FloatArray = npt.NDArray[np.float64]
KindName = Literal["inbound", "self-sourced", "existing customers"]

#: Name of the source of deals without one: where no deal of the segment has any, and where some have.
ALL_SOURCES, UNKNOWN_SOURCE = "all sources", "unknown source"
#: Words in the name of a source which say that sellers find its leads.
SELF_SOURCED_WORDS = (
    "outbound", "cold call", "cold e-mail", "cold email", "prospecting", "self-sourced", "self sourced",
    "zimne", "wychodząc", "холодн", "исходящ",
)  # fmt: skip
#: Share of a source's leads without a seller from which on they count as come in by themselves.
WITHOUT_SELLER = 0.05
#: Sources with fewer deals are taken as all others of the segment.
FEWEST_DEALS = 10
#: Sources differ where luck makes them differ as much with a chance below this.
MORE_THAN_LUCK = 0.05

SOURCE_COLUMNS = (
    "segment", "source", "kind", "why", "deals", "won", "measure", "ratio", "low", "high", "used",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """Who brings the leads of a source, how that is known, and whether export or scenario say so."""

    kind: KindName
    why: str
    certain: bool


def named_sources(deals: pd.DataFrame, *, of: pd.DataFrame) -> pd.Series:
    """Source of each deal; what deals without one are called depends on all deals ``of`` the segment."""
    return deals["source"].fillna(ALL_SOURCES if of["source"].isna().all() else UNKNOWN_SOURCE)


def kinds_of(
    tables: Tables, seen: pd.DataFrame, base: Scenario | None, notes: Notes
) -> dict[tuple[str, str], Kind]:
    """Who brings the leads, by segment and source.

    The base scenario says it where it has the source. Else a name such as "outbound" does, or the table of
    leads: leads that nobody owned at first have come in by themselves; a source without a single lead, in an
    export that has leads, is that of deals which sellers open. Where nothing tells, sellers are taken to find
    the leads, with a warning.
    """
    leads = tables.leads.assign(source=tables.leads["source"].astype(object))
    without = leads["rep"].isna().groupby(leads["source"]).agg(["mean", "size"])
    found: dict[tuple[str, str], Kind] = {}
    for segment in sorted(seen["segment"].unique()):
        own = seen[seen["segment"] == segment]
        written = {
            source.name: source.kind
            for part in (base.segments if base else ())
            for source in part.sources
            if part.name == segment
        }
        for source in sorted(named_sources(own, of=own).unique()):
            found[str(segment), str(source)] = _kind(str(source), written, without)
    unclear = sorted({source for (_, source), kind in found.items() if not kind.certain})
    if unclear:
        what = "has no sources of leads" if unclear == [ALL_SOURCES] else (
            f"does not tell who brings the leads of {listed(unclear)}"
        )  # fmt: skip
        notes.warnings.append(
            f"the export {what}: leads are taken as found by the sellers, so that a hire brings new ones; a "
            "scenario can write kind: inbound"
        )
    return found


def _kind(source: str, written: Mapping[str, KindName], without: pd.DataFrame) -> Kind:
    if source in written:
        return Kind(written[source], "as the scenario writes", True)
    if any(word in source.casefold() for word in SELF_SOURCED_WORDS):
        return Kind("self-sourced", "by its name", True)
    if source in (ALL_SOURCES, UNKNOWN_SOURCE) or without.empty:
        return Kind("self-sourced", "not known; assumed", False)
    if source not in without.index:
        return Kind("self-sourced", "its deals begin without a lead", True)
    if float(without["mean"][source]) >= WITHOUT_SELLER:
        return Kind("inbound", "its leads came before a seller had them", True)
    return Kind("self-sourced", "every lead has a seller; assumed", False)


def sources_of(
    segment: str,
    seen: pd.DataFrame,
    made: pd.DataFrame,
    passages: Sequence[Passage],
    endings: Sequence[Ending],
    kinds: Mapping[tuple[str, str], Kind],
    *,
    rep_weeks: float,
    window_weeks: float,
    as_of: pd.Timestamp,
) -> tuple[tuple[Source, ...], pd.DataFrame]:
    """Sources of a segment with their leads per week, conversions and cycles.

    Args:
        segment: its name.
        seen: all its deals of the window; inbound counts all of them.
        made: those that today's owner created; self-sourced counts these.
        passages: its stages, with the deals that entered them (rows of ``seen``).
        endings: how each stage ends for all sources together.
        kinds: who brings the leads, by segment and source.
        rep_weeks: ramped weeks of the team, at the pace of the first simulated quarter.
        window_weeks: weeks of the window, at that pace.
        as_of: day of the export.

    Returns:
        The sources, and a table with one row per source and measure (win rate, cycle, deal size) in the
        columns :data:`SOURCE_COLUMNS`: the source's figure relative to the segment, its interval, and what
        the scenario uses: 1 where sources differ by no more than luck, else drawn towards 1.
    """
    source = named_sources(seen, of=seen)
    own = named_sources(made, of=seen).value_counts()
    number = source.value_counts()
    names = sorted(str(name) for name in number.index)
    tested = [name for name in names if number[name] >= FEWEST_DEALS]
    table = _differences(seen, source, tested, as_of) if len(tested) > 1 else {}
    conversions: dict[str, dict[str, float]] = {}
    if any(used != 1 for used in table.get("win rate", {}).get("used", {}).values()):
        conversions = _conversions(source, tested, passages, endings)
        plain = {passage.stage: e.conversion for passage, e in zip(passages, endings, strict=True)}
        table["win rate"]["used"] = {
            name: math.prod(share / plain[stage] for stage, share in conversions.get(name, {}).items())
            for name in tested
        }
    cycle = table["cycle"]["used"] if "cycle" in table else {}
    won = source[seen["status"] == "won"].value_counts()
    found, rows = [], []
    for name in names:
        kind = kinds[segment, name]
        pace = number[name] / window_weeks if kind.kind != "self-sourced" else own.get(name, 0) / rep_weeks
        found.append(
            Source(
                name=name, kind=kind.kind, leads_per_week=rounded(pace),
                conversions=conversions.get(name, {}),
                cycle_factor=round(min(max(cycle.get(name, 1.0), 0.1), 10.0), 4),
            )
        )  # fmt: skip
        for measure in ("win rate", "cycle", "deal size"):
            part = table.get(measure, {})
            figures = [part[column].get(name, math.nan) for column in ("ratio", "low", "high")] if part else [
                math.nan] * 3  # fmt: skip
            used = 1.0 if not part else part["used"].get(name, 1.0)
            rows.append(
                [segment, name, kind.kind, kind.why, int(number[name]), int(won.get(name, 0)), measure,
                 *figures, used]
            )  # fmt: skip
    return tuple(found), pd.DataFrame(rows, columns=list(SOURCE_COLUMNS))


def _differences(
    seen: pd.DataFrame, source: pd.Series, tested: list[str], as_of: pd.Timestamp
) -> dict[str, dict[str, dict[str, float]]]:
    """Win rate, cycle and deal size of sources relative to the segment: ratio, low, high, used, by source."""
    won = seen["status"] == "won"
    until = seen["closed"].fillna(as_of)
    days = (until - seen["created"]).dt.days.clip(lower=0).to_numpy().astype(np.int64)
    event = np.where(won, 1, np.where(seen["status"] == "lost", 2, 0))
    whole = Passage("", days, event.astype(np.int64), np.arange(len(days)))
    every = ending_of(whole)
    endings = {name: ending_of(whole.of((source == name).to_numpy())) for name in tested}
    rates = {
        # half a deal keeps a source without wins, or without losses, on the scale
        name: (min(max(e.conversion, 0.5 / e.deals), 1 - 0.5 / e.deals), e.deals)
        for name, e in endings.items()
    }
    found = {}
    if 0 < every.conversion < 1:
        found["win rate"] = _compared(
            {name: math.log(rate / every.conversion) for name, (rate, _) in rates.items()},
            {name: (1 - rate) / (rate * size) for name, (rate, size) in rates.items()},
            {name: float((source == name).mean()) for name in rates},
        )
    # wins of deals that are old enough for nearly every win to have come
    wins = seen[won]
    lasted = (wins["closed"] - wins["created"]).dt.days
    old_enough = wins["created"] <= as_of - pd.Timedelta(days=float(lasted.quantile(0.9)) if len(wins) else 0)
    for measure, values in (
        ("cycle", lasted[old_enough]),
        ("deal size", wins.loc[wins["amount"] > 0, "amount"]),
    ):
        by_source = {name: values[source[values.index] == name].to_numpy(float) for name in tested}
        by_source = {name: v for name, v in by_source.items() if len(v) >= FEWEST_DEALS / 2 and v.mean() > 0}
        if len(by_source) < 2 or not values.mean() > 0:
            continue
        found[measure] = _compared(
            {name: math.log(v.mean() / values.mean()) for name, v in by_source.items()},
            {name: float(v.var(ddof=1)) / (len(v) * v.mean() ** 2) for name, v in by_source.items()},
            {name: len(v) / len(values) for name, v in by_source.items()},
        )
    return found


def _compared(
    logs: Mapping[str, float], variances: Mapping[str, float], parts: Mapping[str, float]
) -> dict[str, dict[str, float]]:
    """Ratios to the segment with intervals, and what is used; ``parts``: of the segment that sources make."""
    names = list(logs)
    effect = np.array([logs[name] for name in names])
    variance = np.maximum(np.array([variances[name] for name in names]), 1e-9)
    # a source is a part of what it is compared with, and so the closer to it the larger it is
    error = Z * np.sqrt(variance * (1 - np.array([parts[name] for name in names])))
    used = np.exp(_drawn_together(effect, variance, certain=False))
    columns = {
        "ratio": np.exp(effect),
        "low": np.exp(effect - error),
        "high": np.exp(effect + error),
        "used": used,
    }
    return {column: dict(zip(names, values.tolist(), strict=True)) for column, values in columns.items()}


def _drawn_together(effect: FloatArray, variance: FloatArray, *, certain: bool) -> FloatArray:
    """Effects drawn towards none by the share of their spread that is luck; none where luck explains all.

    The spread is DerSimonian and Laird's (1986); ``certain``: it is known already that there is one.
    """
    from scipy.stats import chi2

    weight = 1 / variance
    mean = float(weight @ effect / weight.sum())
    distance = float(weight @ (effect - mean) ** 2)
    free = len(effect) - 1
    if distance <= free or (not certain and chi2.sf(distance, free) >= MORE_THAN_LUCK):
        return np.zeros(len(effect))
    spread = (distance - free) / float(weight.sum() - (weight**2).sum() / weight.sum())
    return np.asarray(effect * spread / (spread + variance))


def _conversions(
    source: pd.Series, tested: list[str], passages: Sequence[Passage], endings: Sequence[Ending]
) -> dict[str, dict[str, float]]:
    """Conversions of sources by stage where they differ by more than luck, {} for those that do not.

    They are scaled so that all sources together keep the conversion of the stage.
    """
    found: dict[str, dict[str, float]] = {}
    for passage, every in zip(passages, endings, strict=True):
        of = source.to_numpy()[passage.deals]
        parts = {name: passage.of(of == name) for name in tested}
        parts = {name: p for name, p in parts.items() if len(p.days) >= FEWEST_DEALS}
        if len(parts) < 2 or not 0 < every.conversion < 1:
            continue
        ends = {name: ending_of(part) for name, part in parts.items()}
        rate = np.array([min(max(e.conversion, 0.5 / e.deals), 1 - 0.5 / e.deals) for e in ends.values()])
        size = np.array([e.deals for e in ends.values()])
        centre = math.log(every.conversion / (1 - every.conversion))
        effect = np.log(rate / (1 - rate)) - centre
        drawn = _drawn_together(effect, 1 / (size * rate * (1 - rate)), certain=True)
        if not drawn.any():
            continue
        used = 1 / (1 + np.exp(-(centre + drawn)))
        number = np.array([len(p.days) for p in parts.values()])
        used = np.minimum(used * every.conversion * number.sum() / float(number @ used), 1.0)
        for name, share in zip(ends, used.tolist(), strict=True):
            found.setdefault(name, {})[passage.stage] = rounded(share)
    return found
