"""The exact engine: bookings as compound Poisson laws, solved by fast Fourier transform, without noise.

Given the market shock, a rep's wins are Poisson with a gamma-distributed skill, so the transform of the
bookings is known in closed form: with deal-size transform ``φ_s`` of segment s, expected wins ``L_s`` at a
shock, and skill of shape ``a = 1 / cv²``,

    φ(t | shock) = (1 − Σ_s L_s (φ_s(t) − 1) / a)^(−a)        (cv = 0:  exp Σ_s L_s (φ_s(t) − 1)).

Open deals multiply it by ``1 + p (φ_s(t) − 1)`` each. Shocks of several arrival quarters, and the level of
the market, act through one number, the factor on the rep's wins; it is matched by a lognormal law (exact for
one arrival quarter) and integrated by Gauss-Hermite nodes. All reps share the node: that is what makes them
win and lose together.

Amounts live on an even grid; exponential tilting keeps heavy tails from wrapping around (Grübel and
Hermesmeier 1999). A grid step is about 1/24 of the mean deal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtr

from salessim.engine.outcome import Outcome, counted
from salessim.engine.rates import OpenDeals, Rates, rates_of
from salessim.model import DealSize, Scenario

__all__ = ["ExactOutcome", "deal_size_on_grid"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]

SHOCK_NODES = 9
STEPS_PER_DEAL = 24
TEAM_STEPS_PER_DEAL = 4  # a total of many deals is smooth
MOST_STEPS = 2**13  # with so many deals in sight the law is smooth
TILT = 20.0


def deal_size_on_grid(size: DealSize, *, step: float, steps: int) -> FloatArray:
    """Law of one deal on the grid 0, step, 2·step …, shape (steps,); what lies beyond the grid is cut.

    Every amount is split between its two neighbours on the grid so that its mean stays what it is (for a
    lognormal law: second differences of the limited expected value), so that a coarse grid makes no bias.

    >>> deal_size_on_grid(DealSize(amounts=(25.0,)), step=10.0, steps=5).tolist()
    [0.0, 0.0, 0.5, 0.5, 0.0]
    """
    if size.mean is not None and size.cv:
        spread = np.sqrt(np.log1p(size.cv**2))
        edges = np.arange(1, steps + 1) * step
        place = np.log(edges / size.mean) / spread
        limited = size.mean * ndtr(place - spread / 2) + edges * ndtr(-place - spread / 2)
        limited = np.concatenate([[-step, 0.0], limited])  # E[min(X, x)] at x = -step, 0, step …
        return np.asarray(np.maximum(-np.diff(limited, n=2) / step, 0.0))
    law = np.zeros(steps)
    amounts = np.array([size.mean]) if size.mean is not None else np.asarray(size.amounts)
    weights = np.ones(1) if size.mean is not None else size.weights()
    inside = amounts / step < steps - 1
    position, weights = amounts[inside] / step, weights[inside]
    left = np.floor(position).astype(int)
    np.add.at(law, left, weights * (left + 1 - position))
    np.add.at(law, left + 1, weights * (position - left))
    return law


@dataclass(frozen=True)
class _Grid:
    step: float
    steps: int

    @cached_property
    def tilt(self) -> FloatArray:
        return np.asarray(np.exp(-TILT / self.steps * np.arange(self.steps)))

    def transform(self, law: FloatArray) -> ComplexArray:
        return np.asarray(rfft(law * self.tilt, axis=-1))

    def law(self, transform: ComplexArray) -> FloatArray:
        return np.asarray(np.maximum(irfft(transform, n=self.steps, axis=-1) / self.tilt, 0.0))

    @property
    def points(self) -> FloatArray:
        # a grid point stands for the half step on either side of it: the law up to it is read half a step on
        return np.append(0.0, (np.arange(self.steps) + 0.5) * self.step)


def _below(law: FloatArray) -> FloatArray:
    """Law function at ``_Grid.points``: shape (…, steps + 1)."""
    summed = np.minimum(np.cumsum(law, axis=-1), 1.0)
    return np.concatenate([summed[..., :1], summed], axis=-1)


@dataclass(frozen=True)
class _Reps:
    """Bookings of the reps in one period."""

    grid: _Grid
    below: FloatArray  # (node, distinct rep, steps + 1): law given the shock
    mixed: FloatArray  # (distinct rep, steps + 1): law over all shocks
    which: npt.NDArray[np.intp]  # (rep,) position among the distinct reps


class ExactOutcome(Outcome):
    """Bookings solved without randomness; every figure is free of sampling error."""

    engine = "exact"
    why = "no limit on open deals per rep and no path-dependent rule: solved exactly, without sampling error"
    trials = None
    seed = None

    def __init__(self, scenario: Scenario, *, rates: Rates | None = None) -> None:
        super().__init__(scenario)
        self.rates = rates_of(scenario) if rates is None else rates
        shared = self.rates.shock_cv > 0 or self.rates.level_cv > 0
        nodes, weights = np.polynomial.hermite_e.hermegauss(SHOCK_NODES if shared else 1)
        self._nodes, self._weights = nodes, weights / weights.sum()
        self._deals_of: list[list[OpenDeals]] = [[] for _ in self.reps]
        for deal in self.rates.open_deals:
            self._deals_of[deal.rep].append(deal)
        self._solved_reps: dict[tuple[int, ...], _Reps] = {}
        self._solved_team: dict[tuple[int, ...], tuple[FloatArray, FloatArray]] = {}

    def expected_bookings(self, period: str) -> FloatArray:
        return self._moments(self.quarters_of(period))[0]

    def chance_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        return np.asarray(np.tensordot(self._weights, self._chances(amounts, period), axes=1))

    def number_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        chances = self._chances(amounts, period)
        chances = chances[:, np.isfinite(chances[0])]
        laws = np.zeros((len(chances), chances.shape[1] + 1))
        laws[:, 0] = 1.0
        for p in chances.T:  # reps are independent given the shock: one more coin at a time
            laws[:, 1:] = laws[:, 1:] * (1 - p[:, None]) + laws[:, :-1] * p[:, None]
            laws[:, 0] *= 1 - p
        return np.asarray(self._weights @ laws)

    def rep_quantiles(self, probabilities: Sequence[float], period: str) -> FloatArray:
        solved = self._reps(period)
        rows = np.array([_quantiles(row, solved.grid.points, probabilities) for row in solved.mixed])
        return rows[solved.which].T

    def team_chance_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        values = np.asarray(amounts, dtype=np.float64)
        points, below = self._team(period)
        chance = 1 - np.interp(values, points, below)
        return np.where(values > 0, chance, np.where(np.isnan(values), np.nan, 1.0))

    def team_quantiles(self, probabilities: Sequence[float], period: str) -> FloatArray:
        points, below = self._team(period)
        return _quantiles(below, points, probabilities)

    def share_at_least(self, weights: npt.ArrayLike, amount: float, period: str) -> float:
        values, present = counted(weights, len(self.reps))
        amounts = np.where(present, amount * np.where(present, values, 1.0), np.nan)
        return float(np.nanmean(self.chance_at_least(amounts, period)))

    def amount_for_share(self, weights: npt.ArrayLike, share: float, period: str) -> float:
        values, present = counted(weights, len(self.reps))
        solved = self._reps(period)
        mixed = solved.mixed[solved.which][present]
        points = solved.grid.points
        # the pooled law at every grid point of every rep; the share falls as the amount rises
        candidates = np.unique(np.concatenate([points / value for value in np.unique(values[present])]))
        reached = np.mean(
            [
                1 - np.interp(candidates * value, points, row)
                for value, row in zip(values[present], mixed, strict=True)
            ],
            axis=0,
        )
        return float(np.interp(-share, -reached, candidates))

    def _chances(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        """Chance to book at least an amount, shape (node, rep)."""
        solved = self._reps(period)
        values = np.broadcast_to(np.asarray(amounts, dtype=np.float64), (len(self.reps),))
        chances = np.empty((len(self._nodes), len(values)))
        for rep, value in enumerate(values):
            below = solved.below[:, solved.which[rep]]
            place = value / solved.grid.step - 0.5
            left = int(np.clip(np.floor(place), 0, solved.grid.steps - 2)) if np.isfinite(place) else 0
            part = np.clip(place - left, 0.0, 1.0)
            # column 0 of `below` is the point 0; grid point k stands in column k + 1
            chances[:, rep] = 1 - (below[:, left + 1] * (1 - part) + below[:, left + 2] * part)
        return np.where(np.isnan(values), np.nan, np.where(values > 0, chances, 1.0))

    def _moments(self, quarters: list[int]) -> tuple[FloatArray, FloatArray]:
        """Mean and standard deviation of each rep's bookings, shape (reps,) each."""
        rates = self.rates
        sizes = np.array([segment.deal_size.moments() for segment in self.scenario.segments])
        wins = rates.wins[..., quarters].sum(axis=3) * rates.skill_mean[:, None, None]  # (rep, segment, a)
        amount = (wins * sizes[None, :, :1]).sum(axis=1)  # (rep, arrival quarter)
        mean = amount.sum(axis=1)
        # skill, shocks and level multiply: E[(skill · Σ shock · level)²] less the square of the mean
        square = mean**2 + rates.shock_cv**2 * (amount**2).sum(axis=1)
        variance = (wins.sum(axis=2) * (sizes**2).sum(axis=1)).sum(axis=1)
        variance += square * (1 + rates.level_cv**2) * (1 + rates.skill_cv**2) - mean**2
        for deal in rates.open_deals:
            chance = float(deal.chances[quarters].sum())
            size, spread = (deal.amount, 0.0) if deal.amount is not None else sizes[deal.segment]
            mean[deal.rep] += deal.deals * chance * size
            variance[deal.rep] += deal.deals * (chance * (size**2 + spread**2) - (chance * size) ** 2)
        return mean, np.sqrt(np.maximum(variance, 0.0))

    def _distinct(self, quarters: list[int]) -> tuple[npt.NDArray[np.intp], list[int]]:
        """Reps with the same law of bookings: position of each rep's law, and one rep for every law."""
        keys: dict[tuple[object, ...], int] = {}
        which = np.array(
            [keys.setdefault(self._alike(rep, quarters), len(keys)) for rep in range(len(self.reps))]
        )
        return which, [int(np.flatnonzero(which == k)[0]) for k in range(len(keys))]

    def _reps(self, period: str) -> _Reps:
        quarters = self.quarters_of(period)
        key = tuple(quarters)
        if key not in self._solved_reps:
            mean, deviation = self._moments(quarters)
            grid = self._grid(float((mean + 12 * deviation).max()), steps_per_deal=STEPS_PER_DEAL)
            which, firsts = self._distinct(quarters)
            sizes = self._size_transforms(grid)
            laws = np.array([grid.law(self._transform(rep, quarters, sizes, grid)) for rep in firsts])
            below = _below(laws).transpose(1, 0, 2)
            mixed = np.tensordot(self._weights, below, axes=1)
            self._solved_reps[key] = _Reps(grid, below, mixed, which)
        return self._solved_reps[key]

    def _team(self, period: str) -> tuple[FloatArray, FloatArray]:
        """Law of the team's bookings: grid points and the law function there, shape (steps + 1,) each."""
        quarters = self.quarters_of(period)
        key = tuple(quarters)
        if key not in self._solved_team:
            mean, deviation = self._moments(quarters)
            total = float(mean.sum())
            # one shock for all leads would be the widest that the team's total can be
            shared = np.hypot(self.rates.shock_cv, self.rates.level_cv) * total
            widest = float(np.sqrt((deviation**2).sum() + shared**2))
            grid = self._grid(total + 12 * widest, steps_per_deal=TEAM_STEPS_PER_DEAL)
            which, firsts = self._distinct(quarters)
            sizes = self._size_transforms(grid)
            product: ComplexArray = np.ones((len(self._nodes), sizes.shape[1]), dtype=np.complex128)
            for rep, times in zip(firsts, np.bincount(which), strict=True):
                product *= self._transform(rep, quarters, sizes, grid) ** int(times)
            law = self._weights @ grid.law(product)
            self._solved_team[key] = (grid.points, _below(law))
        return self._solved_team[key]

    def _grid(self, top: float, *, steps_per_deal: int) -> _Grid:
        sizes = [segment.deal_size.moments()[0] for segment in self.scenario.segments]
        lead = self.rates.wins.sum(axis=(0, 2, 3))
        for deal in self.rates.open_deals:
            lead[deal.segment] += deal.deals * deal.chances.sum()
        typical = float(np.average(sizes, weights=lead)) if lead.sum() > 0 else max(max(sizes), 1.0)
        top = max(top + 12 * typical, 1e-9)
        wanted = int(np.clip(top / typical * steps_per_deal, 2**10, MOST_STEPS)) if typical > 0 else 2**10
        steps = int(next_fast_len(wanted, real=True))
        steps += steps % 2
        return _Grid(step=top / steps, steps=steps)

    def _alike(self, rep: int, quarters: list[int]) -> tuple[object, ...]:
        """Reps with the same key have the same law of bookings."""
        rates = self.rates
        deals = sorted(
            (deal.segment, -1.0 if deal.amount is None else deal.amount, deal.deals, deal.chances.tobytes())
            for deal in self._deals_of[rep]
        )
        wins = rates.wins[rep][..., quarters].tobytes()
        return (wins, float(rates.skill_mean[rep]), float(rates.skill_cv[rep]), tuple(deals))

    def _size_transforms(self, grid: _Grid) -> ComplexArray:
        """Transform of one deal of each segment, shape (segment, frequency)."""
        laws = [
            deal_size_on_grid(segment.deal_size, step=grid.step, steps=grid.steps)
            for segment in self.scenario.segments
        ]
        return grid.transform(np.array(laws))

    def _transform(self, rep: int, quarters: list[int], sizes: ComplexArray, grid: _Grid) -> ComplexArray:
        """Transform of a rep's bookings given each shock, shape (node, frequency)."""
        rates = self.rates
        by_arrival = rates.skill_mean[rep] * rates.wins[rep][..., quarters].sum(axis=2)  # (segment, a)
        level = by_arrival.sum(axis=1)
        concentration = np.sqrt((by_arrival**2).sum(axis=1)) / np.where(level > 0, level, 1.0)
        variance = np.log1p((rates.shock_cv * concentration) ** 2) + np.log1p(rates.level_cv**2)  # (segment,)
        factor = np.exp(np.sqrt(variance) * self._nodes[:, None] - variance / 2)  # (node, segment)
        exponent = (level * factor) @ (sizes - 1)
        if rates.skill_cv[rep] > 0:
            shape = 1 / rates.skill_cv[rep] ** 2
            transform = np.exp(-shape * np.log1p(-exponent / shape))
        else:
            transform = np.exp(exponent)
        return np.asarray(transform * self._open_deals_transform(rep, quarters, sizes, grid))

    def _open_deals_transform(
        self, rep: int, quarters: list[int], sizes: ComplexArray, grid: _Grid
    ) -> ComplexArray:
        """Transform of what a rep's open deals bring, shape (frequency,)."""
        known = np.zeros(grid.steps)  # law of the sum of those with a known amount
        known[0] = 1.0
        numbers = [np.ones(1) for _ in sizes]  # law of the number won of the others, by segment
        for deal in self._deals_of[rep]:
            chance = float(deal.chances[quarters].sum())
            if chance == 0:
                continue
            for _ in range(deal.deals):
                if deal.amount is None:
                    numbers[deal.segment] = np.convolve(numbers[deal.segment], [1 - chance, chance])
                else:
                    known = _one_more(known, deal.amount / grid.step, chance)
        transform = grid.transform(known)
        for law, size in zip(numbers, sizes, strict=True):
            if len(law) > 1:
                transform = transform * np.polynomial.polynomial.polyval(size, law)
        return transform


def _one_more(law: FloatArray, position: float, chance: float) -> FloatArray:
    """Law of a sum on a grid after one more deal: won with a chance, its amount between two grid points."""
    left = int(position)
    upper = position - left
    result = (1 - chance) * law
    for shift, weight in ((left, 1 - upper), (left + 1, upper)):
        if weight > 0 and shift < len(law):
            result[shift:] += chance * weight * law[: len(law) - shift]
    return result


def _quantiles(below: FloatArray, points: FloatArray, probabilities: Sequence[float]) -> FloatArray:
    """Smallest amounts that are not exceeded with each probability, shape (probabilities,)."""
    places = np.searchsorted(below, probabilities, side="left")
    result = np.zeros(len(places))
    for index, (place, probability) in enumerate(zip(places, probabilities, strict=True)):
        if 0 < place < len(below):
            low, high = below[place - 1], below[place]
            part = (probability - low) / (high - low)
            result[index] = points[place - 1] + part * (points[place] - points[place - 1])
        elif place == len(below):
            result[index] = points[-1]
    return result
