"""The compiled part of the thinning engine: one scenario as plain arrays, and the loop over its trials.

Importing this module loads numba; the engine imports it when it runs.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from salessim.engine.draws import (
    compiled,
    gamma_quantile,
    gamma_table,
    key_of,
    mixed,
    normal_quantile,
    poisson_quantile,
    quantile_table,
    table_quantile,
    uniform,
)
from salessim.engine.rates import Rates
from salessim.model import DealSize, Scenario

__all__ = ["Drawn", "Sizes", "dimensions", "drawn_from", "play", "sizes_of", "skill_table"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.uint64]


class Sizes(NamedTuple):
    """Laws of the deal sizes of all segments."""

    smooth: npt.NDArray[np.bool_]  # (segment,): lognormal, to be read from its table; else possible amounts
    tables: FloatArray  # (segment, 2, pieces, 8)
    first: IntArray  # (segment + 1,): where the possible amounts of each segment begin
    edges: FloatArray  # (amount,): chance of an amount up to this one, within its segment
    amounts: FloatArray  # (amount,)


class Open(NamedTuple):
    """Deals that were open when the horizon began, one by one."""

    rep: IntArray
    segment: IntArray
    amount: FloatArray  # NaN: drawn from the deal size of the segment
    law: IntArray  # row of edges
    edges: FloatArray  # (law, quarter · part): chance that such a deal is won by then
    keys: KeyArray
    size_keys: KeyArray


class Drawn(NamedTuple):
    """A scenario as what its trials are drawn from; a key names the stream of each number."""

    wins: FloatArray  # (rep, segment, arrival quarter, quarter): expected, before skill and shock
    month_edges: FloatArray  # (rep, segment, quarter, 2): chance of a month before the second, the third
    level_spread: float  # standard deviation of the logarithm
    shock_spread: float
    persistence: float
    skill_mean: FloatArray  # (rep,)
    skill_law: IntArray  # (rep,): row of skill_tables; -1: everybody has the mean
    skill_tables: FloatArray  # (law, points)
    sizes: Sizes
    open_deals: Open
    level_key: np.uint64
    shock_keys: KeyArray  # (arrival quarter,)
    skill_keys: KeyArray  # (rep,)
    wins_keys: KeyArray  # (rep, segment, quarter)
    size_keys: KeyArray  # the same axes
    month_keys: KeyArray  # the same axes


def drawn_from(scenario: Scenario, rates: Rates, shares: FloatArray | None, *, seed: int) -> Drawn:
    """Arrays and keys of a scenario; ``shares`` are those of the months where they are asked for."""
    team, segments = [rep.name for rep in scenario.team()], [segment.name for segment in scenario.segments]
    quarters = [str(quarter) for quarter in scenario.calendar.periods()]

    def keys(*purpose: str) -> KeyArray:
        found = [key_of(seed, *purpose, r, s, q) for r in team for s in segments for q in quarters]
        return np.array(found, dtype=np.uint64).reshape(len(team), len(segments), len(quarters))

    shapes = [1 / cv**2 if cv > 0 else 0.0 for cv in rates.skill_cv.tolist()]
    laws = sorted(set(shapes) - {0.0})
    return Drawn(
        wins=np.ascontiguousarray(rates.wins),
        month_edges=np.zeros((1, 1, 1, 2)) if shares is None else np.cumsum(shares, axis=3)[..., :2].copy(),
        level_spread=_spread(rates.level_cv),
        shock_spread=_spread(rates.shock_cv),
        persistence=float(rates.shock_persistence),
        skill_mean=np.ascontiguousarray(rates.skill_mean, dtype=np.float64),
        skill_law=np.array([laws.index(shape) if shape else -1 for shape in shapes], dtype=np.int64),
        skill_tables=np.stack([skill_table(shape) for shape in laws]) if laws else np.zeros((0, 0)),
        sizes=sizes_of([segment.deal_size for segment in scenario.segments]),
        open_deals=_open_deals(rates, team, by_month=shares is not None, seed=seed),
        level_key=key_of(seed, "level"),
        shock_keys=np.array([key_of(seed, "market", worked) for worked in rates.worked], dtype=np.uint64),
        skill_keys=np.array([key_of(seed, "skill", name) for name in team], dtype=np.uint64),
        wins_keys=keys("wins"),
        size_keys=keys("size"),
        month_keys=keys("month"),
    )


@lru_cache(maxsize=256)
def skill_table(shape: float) -> FloatArray:
    """Quantiles of skill of a gamma shape; it takes some milliseconds, and many scenarios share one."""
    return gamma_table(shape)


def _spread(cv: float) -> float:
    """Standard deviation of the logarithm of a lognormal law."""
    return float(np.sqrt(np.log1p(cv**2)))


def sizes_of(laws: list[DealSize]) -> Sizes:
    """The laws of several deal sizes as arrays."""
    smooth = np.array([bool(law.cv) for law in laws])
    tables = [_lognormal_table(law.mean or 0.0, law.cv or 0.0) for law in laws]
    amounts = [np.array(law.amounts if law.mean is None else [law.mean]) for law in laws]
    edges = [np.cumsum(law.weights() if law.mean is None else [1.0]) for law in laws]
    first = np.cumsum([0, *(len(some) for some in amounts)])
    return Sizes(smooth, np.stack(tables), first, np.concatenate(edges), np.concatenate(amounts))


def _lognormal_table(mean: float, cv: float) -> FloatArray:
    spread = _spread(cv)

    def lower(chance: FloatArray) -> FloatArray:
        return np.asarray(mean * np.exp(spread * ndtri(chance) - spread**2 / 2))

    def upper(chance: FloatArray) -> FloatArray:
        return np.asarray(mean * np.exp(-spread * ndtri(chance) - spread**2 / 2))

    return quantile_table(lower, upper)


def _open_deals(rates: Rates, team: list[str], *, by_month: bool, seed: int) -> Open:
    spans = rates.wins.shape[3] * (3 if by_month else 1)
    numbers = dict.fromkeys(range(len(team)), 0)
    rows: list[tuple[int, int, float, int, np.uint64, np.uint64]] = []
    edges = []
    for law, deal in enumerate(rates.open_deals):
        edges.append(np.cumsum(deal.by_month.ravel() if by_month else deal.chances))
        for number in range(numbers[deal.rep], numbers[deal.rep] + deal.deals):  # numbered within the rep
            keys = [key_of(seed, use, team[deal.rep], number) for use in ("open deal", "open deal size")]
            amount = np.nan if deal.amount is None else deal.amount
            rows.append((deal.rep, deal.segment, amount, law, keys[0], keys[1]))
        numbers[deal.rep] += deal.deals
    return Open(
        rep=np.array([row[0] for row in rows], dtype=np.int64),
        segment=np.array([row[1] for row in rows], dtype=np.int64),
        amount=np.array([row[2] for row in rows], dtype=np.float64),
        law=np.array([row[3] for row in rows], dtype=np.int64),
        edges=np.array(edges, dtype=np.float64).reshape(len(edges), spans),
        keys=np.array([row[4] for row in rows], dtype=np.uint64),
        size_keys=np.array([row[5] for row in rows], dtype=np.uint64),
    )


def dimensions(drawn: Drawn) -> int:
    """Uniforms of a trial that may come from a sequence: level, shocks, then skill and wins rep by rep."""
    reps, segments, worked, quarters = drawn.wins.shape
    return int(1 + worked + reps * (1 + segments * quarters))


@compiled
def play(
    drawn: Drawn,
    first: int,
    points: FloatArray,
    antithetic: bool,
    won: npt.NDArray[np.int32],
    bookings: FloatArray,
) -> None:
    """Play trials ``first``, ``first + 1``, … into arrays (trial, rep, quarter, part); parts are the months
    of a quarter, or the quarter as one.

    Args:
        drawn: the scenario.
        first: number of the first trial.
        points: uniforms of each trial for market, skill and numbers of wins, in the order of
            :func:`dimensions`; without columns they are drawn.
        antithetic: whether every other trial has one minus the uniforms of the one before it.
        won: filled with numbers of won deals.
        bookings: filled with their amounts.
    """
    # taken out of the tuple once: each time costs as much as a random number
    wins, month_edges = drawn.wins, drawn.month_edges
    skill_mean, skill_law, skill_tables = drawn.skill_mean, drawn.skill_law, drawn.skill_tables
    shock_keys, skill_keys, wins_keys = drawn.shock_keys, drawn.skill_keys, drawn.wins_keys
    size_keys, month_keys = drawn.size_keys, drawn.month_keys
    smooth, tables, first_amount, edges, amounts = drawn.sizes
    open_rep, open_segment, open_amount, open_law, open_edges, open_keys, open_size_keys = drawn.open_deals
    reps, segments, worked, quarters = wins.shape
    parts = won.shape[3]
    given = points.shape[1] > 0
    shock = np.empty(worked)
    for i in range(len(won)):
        trial, base, sign = first + i, 0.0, 1.0  # a uniform u is used as base + sign · u
        if antithetic and trial % 2 == 1:
            trial, base, sign = trial - 1, 1.0, -1.0
        chance = points[i, 0] if given else base + sign * uniform(drawn.level_key, trial)
        level = lognormal(chance, drawn.level_spread)
        score = 0.0
        for a in range(worked):
            chance = points[i, 1 + a] if given else base + sign * uniform(shock_keys[a], trial)
            fresh = normal_quantile(chance) if drawn.shock_spread > 0.0 else 0.0
            kept = drawn.persistence if a > 0 else 0.0
            score = kept * score + math.sqrt(1.0 - kept**2) * fresh
            shock[a] = level * math.exp(drawn.shock_spread * score - drawn.shock_spread**2 / 2.0)
        column = 1 + worked
        for r in range(reps):
            skill = skill_mean[r]
            if skill_law[r] >= 0:
                chance = points[i, column] if given else base + sign * uniform(skill_keys[r], trial)
                skill *= gamma_quantile(skill_tables[skill_law[r]], chance)
            column += 1
            for q in range(quarters):
                for part in range(parts):
                    won[i, r, q, part] = 0
                    bookings[i, r, q, part] = 0.0
            for s in range(segments):
                for q in range(quarters):
                    mean = 0.0
                    for a in range(worked):
                        mean += shock[a] * wins[r, s, a, q]
                    chance = points[i, column] if given else base + sign * uniform(wins_keys[r, s, q], trial)
                    column += 1
                    count = poisson_quantile(chance, mean * skill)
                    # the k-th deal has numbers of its own: one deal more changes none of the others
                    size_key = mixed(size_keys[r, s, q], trial)
                    month_key = mixed(month_keys[r, s, q], trial) if parts > 1 else size_key
                    for k in range(count):
                        chance = base + sign * uniform(size_key, k)
                        # not a function of its own: handing over the arrays takes thrice the time of it all
                        if smooth[s]:
                            amount = table_quantile(tables[s], chance)
                        else:
                            amount = amounts[place(edges, first_amount[s], first_amount[s + 1] - 1, chance)]
                        part = 0
                        if parts > 1:
                            chance = base + sign * uniform(month_key, k)
                            part += 1 if chance >= month_edges[r, s, q, 0] else 0
                            part += 1 if chance >= month_edges[r, s, q, 1] else 0
                        won[i, r, q, part] += 1
                        bookings[i, r, q, part] += amount
        spans = open_edges.shape[1]
        for j in range(len(open_rep)):
            law, s, r = open_law[j], open_segment[j], open_rep[j]
            span = 0
            chance = base + sign * uniform(open_keys[j], trial)
            while span < spans and open_edges[law, span] <= chance:
                span += 1
            if span == spans:
                continue  # lost, or won after the horizon
            q, part = span // parts, span % parts
            amount = open_amount[j]
            if math.isnan(amount):
                chance = base + sign * uniform(open_size_keys[j], trial)
                if smooth[s]:
                    amount = table_quantile(tables[s], chance)
                else:
                    amount = amounts[place(edges, first_amount[s], first_amount[s + 1] - 1, chance)]
            won[i, r, q, part] += 1
            bookings[i, r, q, part] += amount


@compiled
def lognormal(chance: float, spread: float) -> float:
    """Quantile of a lognormal law with mean 1."""
    return float(math.exp(spread * normal_quantile(chance) - spread**2 / 2.0)) if spread > 0.0 else 1.0


@compiled
def place(edges: FloatArray, low: int, high: int, chance: float) -> int:
    """First place from ``low`` to ``high`` whose edge is above ``chance``; edges rise, ``high`` has none."""
    while low < high:
        middle = (low + high) // 2
        if edges[middle] <= chance:
            low = middle + 1
        else:
            high = middle
    return low
