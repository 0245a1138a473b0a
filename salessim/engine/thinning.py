"""The thinning engine: Monte Carlo of the law that the exact engine solves, for whole paths to look at.

Wins are drawn, never leads: a Poisson stream of leads thinned by conversions is a Poisson stream of wins.
Every number comes from a uniform of a named stream, turned into a count or an amount by its inverse
distribution function. On one seed the results are therefore monotone (more leads, a better conversion, a
faster ramp never lose bookings), comparisons of scenarios run on the same luck, and a rep's results do not
depend on who else is in the team (as long as inbound leads are not shared anew).

NumPy's own Poisson sampler would not do: with the same seed, means 8 and 8.4 give unrelated counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtri

from salessim.engine.outcome import Outcome, counted
from salessim.engine.rates import Rates, month_shares, rates_of
from salessim.engine.streams import uniforms
from salessim.errors import EngineError
from salessim.model import DealSize, Scenario

if TYPE_CHECKING:
    import xarray

__all__ = ["SampledOutcome", "deal_amounts", "poisson_counts", "sample"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CHUNK = 4096


def poisson_counts(chance: FloatArray, mean: FloatArray) -> IntArray:
    """Poisson counts by inverse distribution function: monotone in the mean and in the uniform.

    >>> poisson_counts(np.array([0.0, 0.5, 0.999]), np.array([3.0, 3.0, 3.0])).tolist()
    [0, 3, 10]
    >>> poisson_counts(np.array([0.5]), np.array([800.0])).tolist()  # large means start near the answer
    [800]
    """
    counts = np.zeros(chance.shape, dtype=np.int64)
    large = mean > 500  # exp(-mean) would underflow
    if large.any():
        from scipy.special import pdtr

        guess = np.maximum(np.round(mean[large] + np.sqrt(mean[large]) * ndtri(chance[large])), 0)
        guess = np.where(np.isfinite(guess), guess, 0)
        while (low := pdtr(guess, mean[large]) <= chance[large]).any():
            guess = guess + low
        while (high := (guess > 0) & (pdtr(guess - 1, mean[large]) > chance[large])).any():
            guess = guess - high
        counts[large] = guess.astype(np.int64)
    term = np.where(large, 1.0, np.exp(-np.minimum(mean, 500)))
    below = term.copy()
    searching = np.flatnonzero((chance >= below) & ~large)
    number = 0
    while len(searching):
        number += 1
        term[searching] *= mean[searching] / number
        below[searching] += term[searching]
        counts[searching] = number
        # the sum of the terms can stop a rounding error short of a chance close to 1
        unfinished = (chance[searching] >= below[searching]) & (term[searching] > 1e-18)
        searching = searching[unfinished | ((number < mean[searching]) & (term[searching] <= 1e-18))]
    return counts


def deal_amounts(size: DealSize) -> Callable[[FloatArray], FloatArray]:
    """Return the inverse distribution function of a deal size: uniforms in, amounts out.

    >>> deal_amounts(DealSize(amounts=(100.0, 300.0), shares=(0.5, 0.5)))(np.array([0.2, 0.7])).tolist()
    [100.0, 300.0]
    """
    if size.mean is not None:
        mean, spread = size.mean, np.sqrt(np.log1p((size.cv or 0.0) ** 2))
        return lambda chance: (
            mean
            * np.exp(
                spread * ndtri(np.maximum(chance, 1e-300)) - spread**2 / 2
                if spread
                else np.zeros_like(chance)
            )
        )
    amounts, edges = np.asarray(size.amounts), np.cumsum(size.weights())[:-1]
    return lambda chance: amounts[np.searchsorted(edges, chance, side="right")]


def sample(
    scenario: Scenario,
    *,
    trials: int,
    seed: int,
    threads: int = 1,
    chunk: int = CHUNK,
    by_month: bool = False,
) -> SampledOutcome:
    """Simulate a scenario many times.

    Args:
        scenario: the world.
        trials: number of simulated horizons, at least 1.
        seed: the same seed gives the same numbers, whatever ``threads`` and ``chunk`` are.
        threads: how many chunks are worked on at once.
        chunk: trials per chunk, a multiple of 4; sets memory, not results.
        by_month: also keep what each month of a quarter brought; the quarters stay as they are.
    """
    if trials < 1:
        raise EngineError(f"trials is {trials}; it must be 1 or more")
    if chunk < 4 or chunk % 4:
        raise EngineError(f"chunk is {chunk}; it must be a positive multiple of 4")
    rates = rates_of(scenario)
    reps, quarters = len(scenario.team()), scenario.calendar.quarters
    parts = 3 if by_month else 1
    shares = month_shares(scenario) if by_month else None
    won = np.zeros((trials, reps, quarters, parts), dtype=np.int32)
    bookings = np.zeros((trials, reps, quarters, parts))

    def work(start: int) -> None:
        stop = min(start + chunk, trials)
        # a chunk always draws full steps of its streams; what is beyond the last trial is cut
        drawn = start + -(-(stop - start) // 4) * 4
        won_here, bookings_here = _trials(scenario, rates, shares, seed=seed, start=start, stop=drawn)
        won[start:stop], bookings[start:stop] = won_here[: stop - start], bookings_here[: stop - start]

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(work, range(0, trials, chunk)))
    return SampledOutcome(scenario, won=won, bookings=bookings, seed=seed)


def _trials(
    scenario: Scenario, rates: Rates, shares: FloatArray | None, *, seed: int, start: int, stop: int
) -> tuple[IntArray, FloatArray]:
    """Trials ``start`` to ``stop``: counts and amounts of won deals, (trial, rep, quarter, part) each; parts
    are the months where shares by month are given, else the quarter as one."""

    def draw(*name: object) -> FloatArray:
        return uniforms(seed, *name, start=start, stop=stop)

    team, segments = scenario.team(), scenario.segments
    quarters = [str(quarter) for quarter in scenario.calendar.periods()]
    shock = np.ones((stop - start, len(rates.worked)))
    if rates.shock_cv > 0:
        spread = np.sqrt(np.log1p(rates.shock_cv**2))
        for index, worked in enumerate(rates.worked):
            shock[:, index] = np.exp(spread * ndtri(draw("market", worked)) - spread**2 / 2)
    if rates.level_cv > 0:
        spread = np.sqrt(np.log1p(rates.level_cv**2))
        shock *= np.exp(spread * ndtri(draw("level")) - spread**2 / 2)[:, None]
    amounts = [deal_amounts(segment.deal_size) for segment in segments]
    shape = (stop - start, len(team), len(quarters), 1 if shares is None else 3)
    won, bookings = np.zeros(shape, dtype=np.int64), np.zeros(shape)
    for r, rep in enumerate(team):
        skill = np.full(stop - start, rates.skill_mean[r])
        if rates.skill_cv[r] > 0:
            skill_shape = 1 / rates.skill_cv[r] ** 2
            skill *= gammaincinv(skill_shape, draw("skill", rep.name)) / skill_shape
        for s, segment in enumerate(segments):
            means = (shock @ rates.wins[r, s]) * skill[:, None]  # (trial, quarter)
            for q, quarter in enumerate(quarters):
                if rates.wins[r, s, :, q].sum() == 0:
                    continue
                name = (rep.name, segment.name, quarter)
                counts = poisson_counts(draw("wins", *name), np.ascontiguousarray(means[:, q]))
                deals, booked = won[:, r, q], bookings[:, r, q]  # (trial, part)
                edges = None if shares is None else np.cumsum(shares[r, s, q])[:-1]
                if edges is None:
                    deals[:, 0] += counts
                cell = np.zeros(len(counts))
                # the k-th deal of a trial has streams of its own: one deal more changes none of the others
                for k in range(int(counts.max(initial=0))):
                    has = np.flatnonzero(counts > k)
                    amount = amounts[s](draw("size", *name, k)[has])
                    if edges is None:
                        cell[has] += amount
                    else:
                        part = np.searchsorted(edges, draw("month", *name, k)[has], side="right")
                        deals[has, part] += 1
                        booked[has, part] += amount
                if edges is None:
                    booked[:, 0] += cell
    _add_open_deals(rates, scenario, amounts, won, bookings, draw=draw)
    return won, bookings


def _add_open_deals(
    rates: Rates,
    scenario: Scenario,
    amounts: list[Callable[[FloatArray], FloatArray]],
    won: IntArray,
    bookings: FloatArray,
    *,
    draw: Callable[..., FloatArray],
) -> None:
    numbers: dict[int, int] = {}
    team = scenario.team()
    parts = won.shape[3]
    for deal in rates.open_deals:
        chances = deal.chances if parts == 1 else deal.by_month.ravel()
        edges = np.cumsum(chances)
        for _ in range(deal.deals):
            number = numbers[deal.rep] = numbers.get(deal.rep, -1) + 1  # numbered within the rep
            if edges[-1] == 0:
                continue
            owner = (team[deal.rep].name, number)
            span = np.searchsorted(edges, draw("open deal", *owner), side="right")
            has = np.flatnonzero(span < len(edges))
            quarter, part = np.divmod(span[has], parts)
            won[has, deal.rep, quarter, part] += 1
            bookings[has, deal.rep, quarter, part] += (
                amounts[deal.segment](draw("open deal size", *owner)[has])
                if deal.amount is None
                else deal.amount
            )


class SampledOutcome(Outcome):
    """Bookings counted over simulated horizons; probabilities carry a sampling error of about
    ``sqrt(p (1 − p) / trials)``, larger where all reps share a shock."""

    engine = "thinning"

    def __init__(self, scenario: Scenario, *, won: npt.NDArray[np.int32], bookings: FloatArray, seed: int):
        """Counts and amounts have the axes trial, rep, quarter, and month of the quarter (or one part)."""
        super().__init__(scenario)
        single = won.shape[3] == 1
        self.won = won[..., 0] if single else won.sum(axis=3, dtype=np.int32)  # (trial, rep, period)
        self.bookings = bookings[..., 0] if single else bookings.sum(axis=3)  # the same axes, in currency
        self.months: tuple[str, ...] = ()
        """Names of the months, where they were asked for."""
        if won.shape[3] == 3:
            flat = (*won.shape[:2], -1)
            self.months = tuple(m for quarter in scenario.calendar.periods() for m in quarter.months())
            self.won_by_month, self.bookings_by_month = won.reshape(flat), bookings.reshape(flat)
        self.trials = len(bookings)
        self.seed = seed
        self.why = f"simulated {self.trials:,} times, as asked for"

    def to_dataset(self) -> xarray.Dataset:
        """The trials as an xarray Dataset: ``won`` and ``bookings`` with axes trial, rep, period."""
        import xarray

        axes = ("trial", "rep", "period")
        return xarray.Dataset(
            {"won": (axes, self.won), "bookings": (axes, self.bookings)},
            coords={"rep": list(self.reps), "period": list(self.periods)},
            attrs={"scenario": self.scenario.name, "currency": self.scenario.currency, "seed": self.seed},
        )

    def expected_bookings(self, period: str) -> FloatArray:
        return np.asarray(self._by_rep(period).mean(axis=0))

    def chance_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        values = np.broadcast_to(np.asarray(amounts, dtype=np.float64), (len(self.reps),))
        reached = (self._by_rep(period) >= values).mean(axis=0)
        return np.where(np.isnan(values), np.nan, reached)

    def number_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        values = np.broadcast_to(np.asarray(amounts, dtype=np.float64), (len(self.reps),))
        present = np.isfinite(values)
        numbers = (self._by_rep(period)[:, present] >= values[present]).sum(axis=1)
        return np.bincount(numbers, minlength=int(present.sum()) + 1) / len(numbers)

    def rep_quantiles(self, probabilities: Sequence[float], period: str) -> FloatArray:
        return np.asarray(np.quantile(self._by_rep(period), probabilities, axis=0))

    def team_chance_at_least(self, amounts: npt.ArrayLike, period: str) -> FloatArray:
        values = np.asarray(amounts, dtype=np.float64)
        totals = np.sort(self._by_rep(period).sum(axis=1))
        chance = 1 - np.searchsorted(totals, values, side="left") / len(totals)
        return np.where(np.isnan(values), np.nan, chance)

    def team_quantiles(self, probabilities: Sequence[float], period: str) -> FloatArray:
        return np.asarray(np.quantile(self._by_rep(period).sum(axis=1), probabilities))

    def share_at_least(self, weights: npt.ArrayLike, amount: float, period: str) -> float:
        values, present = counted(weights, len(self.reps))
        return float((self._by_rep(period)[:, present] >= amount * values[present]).mean())

    def amount_for_share(self, weights: npt.ArrayLike, share: float, period: str) -> float:
        values, present = counted(weights, len(self.reps))
        return float(np.quantile(self._by_rep(period)[:, present] / values[present], 1 - share))

    def _by_rep(self, period: str) -> FloatArray:
        """Bookings in a period, shape (trial, rep)."""
        return np.asarray(self.bookings[:, :, self.quarters_of(period)].sum(axis=2))
