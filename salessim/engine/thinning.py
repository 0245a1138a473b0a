"""The thinning engine: Monte Carlo of the law that the exact engine solves, for whole paths to look at.

Wins are drawn, never leads: a Poisson stream of leads thinned by conversions is a Poisson stream of wins.
Every number comes from a uniform that depends on its name (seed, purpose, rep, …) and the trial alone, turned
into a count or an amount by its inverse distribution function. On one seed the results are therefore monotone
(more leads, a better conversion, a faster ramp never lose bookings), comparisons of scenarios run on the same
luck, and a rep's results do not depend on who else is in the team (as long as inbound leads are not shared
anew).

NumPy's own Poisson sampler would not do: with the same seed, means 8 and 8.4 give unrelated counts. The loop
over trials is compiled (``thinning_kernels``) and works on chunks that fit in the cache, one per thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from salessim.engine.outcome import Outcome, counted
from salessim.engine.rates import month_shares, rates_of
from salessim.errors import EngineError, listed
from salessim.model import DealSize, Scenario

if TYPE_CHECKING:
    import xarray

__all__ = ["SampledOutcome", "deal_amounts", "sample", "team_bookings"]

FloatArray = npt.NDArray[np.float64]
Play = Callable[[npt.NDArray[np.int32], FloatArray], None]

#: How the luck of the trials is drawn.
Draws = Literal["random", "antithetic", "Sobol"]

CHUNK = 512


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
    draws: Draws = "random",
) -> SampledOutcome:
    """Simulate a scenario many times.

    Args:
        scenario: the world.
        trials: number of simulated horizons, at least 1.
        seed: the same seed gives the same numbers, whatever ``threads`` and ``chunk`` are.
        threads: how many chunks are worked on at once.
        chunk: trials per chunk; sets memory, not results.
        by_month: also keep what each month of a quarter brought; the quarters stay as they are.
        draws: "random"; "antithetic", where every other trial has the opposite luck of the one before it; or
            "Sobol", where market, skill and numbers of wins come from a scrambled Sobol sequence that fills
            all possible years evenly (amounts stay random), best with a power of 2 trials. Trials are then
            not independent: the spread between trials no longer says how sure a mean is. A Sobol sequence
            depends on the number of reps, so that one more rep changes the luck of all.

    Raises:
        EngineError: for numbers below 1, or a team too large for a Sobol sequence.

    >>> from salessim.library import example_scenario
    >>> outcome = sample(example_scenario(), trials=100, seed=1)
    >>> outcome.bookings.shape == (100, len(outcome.reps), len(outcome.periods))
    True
    """
    shape = (trials, len(scenario.team()), scenario.calendar.quarters, 3 if by_month else 1)
    _check(trials=trials, threads=threads, chunk=chunk)
    won, bookings = np.empty(shape, dtype=np.int32), np.empty(shape)

    def keep(start: int, stop: int, play: Play) -> None:
        play(won[start:stop], bookings[start:stop])

    _in_chunks(
        scenario, keep, trials=trials, seed=seed, threads=threads, chunk=chunk, by_month=by_month, draws=draws
    )
    return SampledOutcome(scenario, won=won, bookings=bookings, seed=seed)


def team_bookings(
    scenario: Scenario,
    *,
    trials: int,
    seed: int,
    threads: int = 1,
    chunk: int = CHUNK,
    draws: Draws = "random",
) -> FloatArray:
    """Simulate a scenario many times and keep only what the whole team booked.

    The numbers are those of ``sample(…).bookings.sum(axis=1)`` on the same seed; memory grows with trials
    and quarters alone, so that a million trials of a large team fit in a small machine.

    Args:
        scenario: the world.
        trials: number of simulated horizons, at least 1.
        seed: as for :func:`sample`, like the arguments that follow.
        threads: how many chunks are worked on at once.
        chunk: trials per chunk.
        draws: "random", "antithetic" or "Sobol".

    Returns:
        Bookings in currency, shape (trial, period).

    >>> from salessim.library import example_scenario
    >>> totals = team_bookings(example_scenario(), trials=100, seed=1)
    >>> bool((totals == sample(example_scenario(), trials=100, seed=1).bookings.sum(axis=1)).all())
    True
    """
    _check(trials=trials, threads=threads, chunk=chunk)
    reps, quarters = len(scenario.team()), scenario.calendar.quarters
    totals = np.empty((trials, quarters))

    def keep(start: int, stop: int, play: Play) -> None:
        shape = (stop - start, reps, quarters, 1)
        bookings = np.empty(shape)
        play(np.empty(shape, dtype=np.int32), bookings)
        totals[start:stop] = bookings[..., 0].sum(axis=1)

    _in_chunks(
        scenario, keep, trials=trials, seed=seed, threads=threads, chunk=chunk, by_month=False, draws=draws
    )
    return totals


def _check(**numbers: int) -> None:
    for name, value in numbers.items():
        if value < 1:
            raise EngineError(f"{name} is {value}; it must be 1 or more")


def _in_chunks(
    scenario: Scenario,
    keep: Callable[[int, int, Play], None],
    *,
    trials: int,
    seed: int,
    threads: int,
    chunk: int,
    by_month: bool,
    draws: Draws,
) -> None:
    """Play all trials, chunk by chunk: ``keep(start, stop, play)`` brings the arrays for trials ``start`` to
    ``stop`` and calls ``play`` on them."""
    from salessim.engine import thinning_kernels as kernels  # loads numba

    if draws not in (allowed := get_args(Draws)):
        raise EngineError(f"draws is {draws!r}; it must be {listed(allowed)}")
    shares = month_shares(scenario) if by_month else None
    drawn = kernels.drawn_from(scenario, rates_of(scenario), shares, seed=seed)
    sequence = _sobol_points(kernels.dimensions(drawn), seed=seed) if draws == "Sobol" else None

    def work(start: int, stop: int, points: FloatArray) -> None:
        def play(won: npt.NDArray[np.int32], bookings: FloatArray) -> None:
            kernels.play(drawn, start, points, draws == "antithetic", won, bookings)

        keep(start, stop, play)

    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[None]] = deque()
        for start in range(0, trials, chunk):
            stop = min(start + chunk, trials)
            # a sequence is made in its order, and only as far ahead as it is needed
            points = np.empty((stop - start, 0)) if sequence is None else sequence(stop - start)
            if len(running) > threads:
                running.popleft().result()
            running.append(pool.submit(work, start, stop, points))
        for last in running:
            last.result()


def _sobol_points(dimensions: int, *, seed: int) -> Callable[[int], FloatArray]:
    """Next points of a scrambled Sobol sequence, shape (points, dimensions), strictly between 0 and 1."""
    from scipy.stats.qmc import Sobol  # slow to import

    from salessim.engine.draws import key_of

    if dimensions > Sobol.MAXDIM:
        raise EngineError(
            f"draws is 'Sobol', which offers {Sobol.MAXDIM:,} dimensions; the scenario needs {dimensions:,} "
            "(one per rep, and one per rep, segment and quarter); take 'random' or 'antithetic'"
        )
    sequence = Sobol(dimensions, scramble=True, bits=32, rng=int(key_of(seed, "Sobol")))
    # the first point by itself: scipy warns of any other first number that is not a power of 2
    first = [sequence.random(1)]

    def points(number: int) -> FloatArray:
        ahead = [first.pop()] if first else []
        missing = number - len(ahead)
        found = np.concatenate([*ahead, sequence.random(missing)]) if missing else ahead[0]
        return np.asarray(found + 2.0**-33)  # the middle of each cell, so that no chance is 0

    return points


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
