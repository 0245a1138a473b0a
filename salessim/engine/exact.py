"""The exact engine: bookings as compound Poisson laws, solved by fast Fourier transform, without noise.

Given the market shock, a rep's wins are Poisson with a gamma-distributed skill, so the transform of the
bookings is known in closed form: with deal-size transform ``φ_s`` of segment s, expected wins ``L_s`` at a
shock, and skill of shape ``a = 1 / cv²``,

    φ(t | shock) = (1 − Σ_s L_s (φ_s(t) − 1) / a)^(−a)        (cv = 0:  exp Σ_s L_s (φ_s(t) − 1)).

Open deals multiply it by ``1 + p (φ_s(t) − 1)`` each. Shocks of several arrival quarters, and the level of
the market, act through one number, the factor on the rep's wins; it is matched by a lognormal law (exact for
one arrival quarter) and integrated over nodes. All reps share the node: that is what makes them win and lose
together.

Amounts live on an even grid; exponential tilting keeps heavy tails from wrapping around (Grübel and
Hermesmeier 1999). Each rep has a grid of its own, with a step of about 1/24 of the mean deal; where all
amounts are multiples of one sum (list prices), the grid is that of the amounts and atoms stay atoms.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtr

from salessim.engine.outcome import Outcome, counted
from salessim.engine.rates import OpenDeals, Rates, moments, rates_of, shock_covariance
from salessim.model import DealSize, Scenario

__all__ = ["ExactOutcome", "deal_size_on_grid"]

FloatArray = npt.NDArray[np.float64]
ComplexArray = npt.NDArray[np.complex128]
IntArray = npt.NDArray[np.int64]

STEPS_PER_DEAL = 24
#: Where that would need a longer grid, the step grows, but not beyond a quarter of the mean deal.
MANY_STEPS, COARSE_STEPS_PER_DEAL, MOST_STEPS = 2**14, 4, 2**20
TILT = 20.0
#: Nodes of the shared shock: evenly spaced over ±4.5 standard deviations (the trapezoid rule converges faster
#: than any power on a bell), as close as the narrowest law given the shock asks for.
NODE_RANGE, FEWEST_NODES, MOST_NODES = 4.5, 13, 385
#: Share of the loudest frequency below which a frequency counts as nothing.
NEGLIGIBLE = 1e-14


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
    lattice: bool  # all amounts are whole steps: bookings have atoms, which are not to be smeared

    @cached_property
    def tilt(self) -> FloatArray:
        return np.asarray(np.exp(-TILT / self.steps * np.arange(self.steps)))

    def transform(self, law: FloatArray) -> ComplexArray:
        return np.asarray(rfft(law * self.tilt, axis=-1))

    def law(self, transform: ComplexArray) -> FloatArray:
        return np.asarray(np.maximum(irfft(transform, n=self.steps, axis=-1) / self.tilt, 0.0))

    @cached_property
    def points(self) -> FloatArray:
        """Amounts at which :meth:`below` gives the chance to book less, rising."""
        amounts = np.arange(self.steps) * self.step
        if self.lattice:  # constant from just above an atom up to and including the next
            return np.append(0.0, np.column_stack([amounts + 1e-9 * self.step, amounts + self.step]).ravel())
        # a grid point stands for the half step on either side of it
        return np.append(0.0, amounts + self.step / 2)

    def below(self, law: FloatArray) -> FloatArray:
        """Chance to book less than each of ``points``; shape (…, points)."""
        summed = np.minimum(np.cumsum(law, axis=-1), 1.0)
        steps = np.repeat(summed, 2, axis=-1) if self.lattice else summed
        return np.concatenate([summed[..., :1], steps], axis=-1)


class _Law:
    """Bookings in one period of a rep, or of the team: chance to book less than each point."""

    def __init__(self, grid: _Grid, given: ComplexArray, heard: IntArray, weights: FloatArray) -> None:
        """``given``: transform of the law given each shock, (node, heard frequency), the other frequencies
        being nothing; ``weights``: of the nodes."""
        self._grid, self._given, self._heard = grid, given, heard
        # real weights times complex numbers, as one product of real ones
        over_all = (weights @ given.view(np.float64)).view(np.complex128)
        self.points = grid.points  # (points,)
        self.mixed = grid.below(grid.law(self._everywhere(over_all)))  # (points,): over all shocks

    @cached_property
    def below(self) -> FloatArray:
        """The same given each shock, (node, points); worked out only where reps are counted together."""
        return self._grid.below(self._grid.law(self._everywhere(self._given)))

    def below_at(self, amount: float) -> float:
        """Chance to book less than one amount (what np.interp gives, without its checks of whole arrays)."""
        right = int(self.points.searchsorted(amount, side="right"))
        if right == len(self.points):
            return float(self.mixed[-1])
        left = max(right - 1, 0)
        start, end = float(self.points[left]), float(self.points[right])
        low, high = float(self.mixed[left]), float(self.mixed[right])
        return low + (high - low) * max(amount - start, 0.0) / (end - start)

    def _everywhere(self, transform: ComplexArray) -> ComplexArray:
        every = np.zeros((*transform.shape[:-1], self._grid.steps // 2 + 1), dtype=np.complex128)
        every[..., self._heard] = transform
        return every

    def quantiles(self, probabilities: Sequence[float]) -> FloatArray:
        """Smallest amounts that are not exceeded with each probability, shape (probabilities,)."""
        places = np.clip(np.searchsorted(self.mixed, probabilities, side="left"), 0, len(self.points) - 1)
        before = np.maximum(places - 1, 0)
        low, high = self.mixed[before], self.mixed[places]
        part = np.where(
            high > low, (np.asarray(probabilities) - low) / np.where(high > low, high - low, 1.0), 1.0
        )
        return self.points[before] + np.clip(part, 0.0, 1.0) * (self.points[places] - self.points[before])


@dataclass(frozen=True)
class _Reps:
    """Laws of the reps in one period; reps who are alike share one."""

    laws: list[_Law]
    which: npt.NDArray[np.intp]  # (rep,) position of each rep's law
    weights: FloatArray  # (node,)


class ExactOutcome(Outcome):
    """Bookings solved without randomness; every figure is free of sampling error."""

    engine = "exact"
    trials = None
    seed = None

    def __init__(
        self, scenario: Scenario, *, rates: Rates | None = None, why: str = "solved exactly, as asked for"
    ) -> None:
        super().__init__(scenario)
        self.why = why
        self.rates = rates_of(scenario) if rates is None else rates
        self._deals_of: list[list[OpenDeals]] = [[] for _ in self.reps]
        for deal in self.rates.open_deals:
            self._deals_of[deal.rep].append(deal)
        self._solved_reps: dict[tuple[int, ...], _Reps] = {}
        self._solved_team: dict[tuple[int, ...], _Law] = {}

    def expected_bookings(self, period: str) -> FloatArray:
        return moments(self.rates, self.scenario, self.quarters_of(period)).mean

    def chance_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        solved = self._reps(period)
        values = np.broadcast_to(np.asarray(amounts, dtype=np.float64), (len(self.reps),))
        chances = np.empty(len(values))
        for number, law in enumerate(solved.laws):
            alike = solved.which == number
            chances[alike] = 1 - np.interp(values[alike], law.points, law.mixed)
        return np.where(np.isnan(values), np.nan, np.where(values > 0, chances, 1.0))

    def number_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        chances = self._chances(amounts, period)
        chances = chances[:, np.isfinite(chances[0])]
        laws = np.zeros((len(chances), chances.shape[1] + 1))
        laws[:, 0] = 1.0
        for p in chances.T:  # reps are independent given the shock: one more coin at a time
            laws[:, 1:] = laws[:, 1:] * (1 - p[:, None]) + laws[:, :-1] * p[:, None]
            laws[:, 0] *= 1 - p
        return np.asarray(self._reps(period).weights @ laws)

    def rep_quantiles(self, probabilities: Sequence[float], period: str) -> FloatArray:
        solved = self._reps(period)
        rows = np.array([law.quantiles(probabilities) for law in solved.laws])
        return rows[solved.which].T

    def team_chance_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        values = np.asarray(amounts, dtype=np.float64)
        law = self._team(period)
        chance = 1 - np.interp(values, law.points, law.mixed)
        return np.where(values > 0, chance, np.where(np.isnan(values), np.nan, 1.0))

    def team_quantiles(self, probabilities: Sequence[float], period: str) -> FloatArray:
        return self._team(period).quantiles(probabilities)

    def share_at_least(self, weights: npt.ArrayLike, amount: float, period: str) -> float:
        values, present = counted(weights, len(self.reps))
        amounts = np.where(present, amount * np.where(present, values, 1.0), np.nan)
        return float(np.nanmean(self.chance_at_least(amounts, period)))

    def amount_for_share(self, weights: npt.ArrayLike, share: float, period: str) -> float:
        values, present = counted(weights, len(self.reps))
        solved = self._reps(period)
        # reps with the same law and weight stand or fall together
        kinds, numbers = np.unique(
            np.column_stack([solved.which[present], values[present]]), axis=0, return_counts=True
        )
        laws = [(solved.laws[int(which)], float(weight)) for which, weight in kinds]
        parts = (numbers / numbers.sum()).tolist()

        def reached(amount: float) -> float:
            chances = (1 - law.below_at(amount * weight) for law, weight in laws)
            return float(sum(part * chance for part, chance in zip(parts, chances, strict=True)))

        low, high = 0.0, max(float(law.points[-1] / weight) for law, weight in laws)
        smallest = min(float(law.points[law.points > 0][0] / weight) for law, weight in laws)
        if reached(smallest) < share:
            return 0.0  # too few book anything at all
        # the share falls as the amount rises: halve the range until it is as narrow as a rounding error
        while high - low > 1e-12 * high:
            middle = (low + high) / 2
            low, high = (middle, high) if reached(middle) >= share else (low, middle)
        # a hair below, so that where bookings have atoms the amount is not in the jump behind one
        return low * (1 - 3e-9) if reached(low) >= share else 0.0

    def _chances(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        """Chance to book at least an amount, shape (node, rep)."""
        solved = self._reps(period)
        values = np.broadcast_to(np.asarray(amounts, dtype=np.float64), (len(self.reps),))
        chances = np.empty((len(solved.weights), len(values)))
        for rep, value in enumerate(values):
            law = solved.laws[solved.which[rep]]
            right = int(np.clip(np.searchsorted(law.points, value), 1, len(law.points) - 1))
            start, end = law.points[right - 1], law.points[right]
            part = np.clip((value - start) / (end - start), 0.0, 1.0) if np.isfinite(value) else 0.0
            chances[:, rep] = 1 - (law.below[:, right - 1] * (1 - part) + law.below[:, right] * part)
        return np.where(np.isnan(values), np.nan, np.where(values > 0, chances, 1.0))

    def _spread(self, quarters: list[int]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Mean, standard deviation, and standard deviation given the shock of bookings, (reps,) each."""
        parts = moments(self.rates, self.scenario, quarters)
        return parts.mean, np.sqrt(parts.variance), np.sqrt(parts.luck + parts.skill)

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
            mean, deviation, given = self._spread(quarters)
            which, firsts = self._distinct(quarters)
            nodes, weights = self._nodes(mean, given)
            laws = []
            for rep in firsts:
                grid = self._grid([rep], quarters, float(mean[rep] + 12 * deviation[rep]))
                laws.append(self._law([(rep, 1)], quarters, grid, nodes, weights))
            self._solved_reps[key] = _Reps(laws, which, weights)
        return self._solved_reps[key]

    def _team(self, period: str) -> _Law:
        quarters = self.quarters_of(period)
        key = tuple(quarters)
        if key not in self._solved_team:
            mean, deviation, given = self._spread(quarters)
            total = float(mean.sum())
            # one shock for all leads would be the widest that the team's total can be
            shared = self._shared_cv * total
            widest = float(np.sqrt((deviation**2).sum() + shared**2))
            which, firsts = self._distinct(quarters)
            nodes, weights = self._nodes(mean.sum(keepdims=True), np.sqrt((given**2).sum(keepdims=True)))
            grid = self._grid(range(len(self.reps)), quarters, total + 12 * widest)
            team = [(rep, int(times)) for rep, times in zip(firsts, np.bincount(which), strict=True)]
            self._solved_team[key] = self._law(team, quarters, grid, nodes, weights)
        return self._solved_team[key]

    @property
    def _shared_cv(self) -> float:
        return float(np.hypot(self.rates.shock_cv, self.rates.level_cv))

    def _nodes(self, mean: FloatArray, given: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Nodes and weights of the shared shock, close enough for the narrowest law given the shock."""
        if self._shared_cv == 0:
            return np.zeros(1), np.ones(1)
        narrowest = float((given[mean > 0] / mean[mean > 0]).min(initial=1.0))
        spacing = min(0.75, narrowest / self._shared_cv)
        number = int(np.clip(np.ceil(2 * NODE_RANGE / max(spacing, 1e-9)) + 1, FEWEST_NODES, MOST_NODES))
        nodes = np.linspace(-NODE_RANGE, NODE_RANGE, number)
        weights = np.exp(-(nodes**2) / 2)
        return nodes, weights / weights.sum()

    def _grid(self, reps: Iterable[int], quarters: list[int], top: float) -> _Grid:
        """Grid for the bookings of some reps, up to ``top`` and a few deals more."""
        wins = np.zeros(len(self.scenario.segments))
        known: list[float] = []
        for rep in reps:
            wins += self.rates.wins[rep][..., quarters].sum(axis=(1, 2))
            for deal in self._deals_of[rep]:
                if (chance := deal.deals * float(deal.chances[quarters].sum())) > 0:
                    if deal.amount is None:
                        wins[deal.segment] += chance
                    else:
                        known.append(deal.amount)
        used = [
            segment.deal_size
            for segment, number in zip(self.scenario.segments, wins, strict=True)
            if number > 0
        ]
        sizes = [segment.deal_size.moments()[0] for segment in self.scenario.segments]
        typical = float(np.average(sizes, weights=wins)) if wins.sum() > 0 else max([*known, 1.0])
        if typical <= 0:
            typical = 1.0
        top += 12 * typical
        if step := _common_step(used, known, least=top / MANY_STEPS):
            return _Grid(step, _even(top / step + 2), lattice=True)
        wanted = top / typical * STEPS_PER_DEAL
        if wanted > MANY_STEPS:
            wanted = min(max(MANY_STEPS, top / typical * COARSE_STEPS_PER_DEAL), MOST_STEPS)
        steps = _even(max(wanted, 2**10))
        return _Grid(top / steps, steps, lattice=False)

    def _law(
        self,
        reps: list[tuple[int, int]],
        quarters: list[int],
        grid: _Grid,
        nodes: FloatArray,
        weights: FloatArray,
    ) -> _Law:
        """Law of what some reps book together, each so many times, given each shock and over all."""
        sizes = self._size_transforms(grid)
        opened = [self._open_deals_transform(rep, quarters, sizes, grid) for rep, _ in reps]
        # a law of many deals is smooth: most of its frequencies are nothing and need not be worked out
        with np.errstate(divide="ignore"):
            loudness = sum(
                times * (self._log_transform(rep, quarters, sizes, nodes[:1])[0].real + np.log(np.abs(own)))
                for (rep, times), own in zip(reps, opened, strict=True)
            )
        heard = np.flatnonzero(loudness > np.max(loudness) + math.log(NEGLIGIBLE))
        logs = sum(times * self._log_transform(rep, quarters, sizes[:, heard], nodes) for rep, times in reps)
        product = np.prod([own[heard] ** times for (_, times), own in zip(reps, opened, strict=True)], axis=0)
        return _Law(grid, np.exp(logs) * product, heard, weights)

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

    def _log_transform(
        self, rep: int, quarters: list[int], sizes: ComplexArray, nodes: FloatArray
    ) -> ComplexArray:
        """Logarithm of the transform of what a rep books from coming leads, shape (node, frequency)."""
        rates = self.rates
        by_arrival = rates.skill_mean[rep] * rates.wins[rep][..., quarters].sum(axis=2)  # (segment, a)
        level = by_arrival.sum(axis=1)
        spread = ((by_arrival @ shock_covariance(rates)) * by_arrival).sum(axis=1)  # of the arrivals' factor
        variance = np.log1p(spread / np.where(level > 0, level, 1.0) ** 2) + np.log1p(rates.level_cv**2)
        factor = np.exp(np.sqrt(variance) * nodes[:, None] - variance / 2)  # (node, segment)
        exponent = (level * factor) @ (sizes - 1)
        if rates.skill_cv[rep] > 0:
            shape = 1 / rates.skill_cv[rep] ** 2
            return np.asarray(-shape * np.log1p(-exponent / shape))
        return np.asarray(exponent)

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


def _common_step(sizes: list[DealSize], known: list[float], *, least: float) -> float | None:
    """Largest amount that all deal amounts are whole multiples of, to the cent; None where there is none of
    at least ``least``, or where amounts are not fixed."""
    amounts = list(known)
    for size in sizes:
        if size.mean is not None and size.cv:
            return None
        amounts += [size.mean] if size.mean is not None else size.amounts
    cents = [round(100 * amount) for amount in amounts if amount > 0]
    if not cents or any(
        abs(100 * a - c) > 1e-6 for a, c in zip([a for a in amounts if a > 0], cents, strict=True)
    ):
        return None
    step = math.gcd(*cents) / 100
    return step if step >= least else None


def _even(steps: float) -> int:
    """The next even length that the transform is fast for."""
    return 2 * int(next_fast_len(math.ceil(steps / 2), real=True))
