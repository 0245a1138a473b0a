"""How far estimates are in doubt: scenarios drawn from what is known, and forecasts mixed over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.calibrate.censored import Ending
from salessim.calibrate.demand import Pattern
from salessim.calibrate.estimates import Spread
from salessim.calibrate.sizes import WIDEST_LOGNORMAL, SizeLaw
from salessim.engine import Outcome, simulate
from salessim.engine.streams import generator
from salessim.errors import ParameterError
from salessim.model import DealSize, Rep, Scenario, Segment, Source
from salessim.periods import Quarter

if TYPE_CHECKING:
    from salessim.calibrate.calibration import Calibration

__all__ = ["Beliefs", "Funnel", "MixedForecast", "drawn", "forecast_with_doubt"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Funnel:
    """One segment as estimated, with what draws of its parameters need."""

    segment: Segment
    size: SizeLaw
    endings: tuple[Ending, ...]
    sources: pd.DataFrame
    """Source effects, as from :func:`salessim.calibrate.sources.sources_of`."""
    opportunities: int
    """How many new opportunities its arrival rate was counted from."""


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is known of the parameters of a scenario, beyond their values."""

    funnels: tuple[Funnel, ...]
    shock: Spread
    """Spread of demand between quarters."""
    skill: Spread
    """Spread between reps."""
    quarters: int
    """Quarters of the history in which somebody worked."""
    everyone: tuple[Rep, ...]
    """All reps of the history; who is gone has an end."""
    patterns: dict[str, Pattern]
    """Season and growth by segment."""
    pace_of: Quarter
    """Quarter whose pace of demand the scenario's leads per week have."""
    slowest_days: dict[tuple[str, str], float]
    """Longest time (days) after which a deal moved on, by segment and stage."""


def drawn(scenario: Scenario, beliefs: Beliefs, *, number: int, seed: int) -> tuple[Scenario, ...]:
    """Draw plausible scenarios, as :meth:`salessim.calibrate.Calibration.draws` describes."""
    from scipy.special import betaincinv, gammaincinv, ndtri

    def evenly(*name: object) -> FloatArray:
        """Evenly spread chances in a random order, (number,)."""
        order = generator(seed, "parameters", *name).random(number).argsort().argsort()
        return np.asarray((order + 0.5) / number)

    shocks, skills = (
        np.array([spread.at(float(chance)) for chance in evenly(name)])
        for name, spread in (("shock", beliefs.shock), ("skill", beliefs.skill))
    )
    # the quarters that were seen had shocks of their own, which the level of demand has in it
    errors = np.sqrt(np.log1p(shocks**2 / max(beliefs.quarters, 1)))
    level = np.exp(errors * ndtri(evenly("level")) - errors**2 / 2)
    segments: list[list[Segment]] = [[] for _ in range(number)]
    for funnel in beliefs.funnels:
        part, name = funnel.segment, funnel.segment.name
        counted = max(funnel.opportunities, 1)
        arrival = level * gammaincinv(counted, evenly("arrival", name)) / counted
        shares = {}
        for stage, ending in zip(part.stages, funnel.endings, strict=True):
            won, lost = (ending.deals * chance + 0.5 for chance in (ending.conversion, 1 - ending.conversion))
            shares[stage.name] = betaincinv(won, lost, evenly("conversion", name, stage.name))
        sizes = _sizes(funnel.size, evenly, number)
        for k in range(number):
            conversions = {stage: float(share[k]) for stage, share in shares.items()}
            segments[k].append(_changed(part, float(arrival[k]), conversions, sizes[k]))
    return tuple(
        scenario.model_copy(
            update={
                "segments": tuple(parts),
                "market": scenario.market.model_copy(
                    update={"shock_cv": float(shock), "skill_cv": float(skill), "level_cv": 0.0}
                ),
            }
        )
        for parts, shock, skill in zip(segments, shocks, skills, strict=True)
    )


def _changed(part: Segment, arrival: float, conversions: dict[str, float], size: DealSize) -> Segment:
    """A segment with drawn parameters; sources keep their odds relative to the stage."""
    stages = tuple(stage.model_copy(update={"conversion": conversions[stage.name]}) for stage in part.stages)
    old = {stage.name: stage.conversion or 0.0 for stage in part.stages}

    def of_source(source: Source) -> Source:
        own = {
            stage: _by_odds(share, old[stage], conversions[stage])
            for stage, share in source.conversions.items()
        }
        return source.model_copy(
            update={"leads_per_week": source.leads_per_week * arrival, "conversions": own}
        )

    return part.model_copy(
        update={"stages": stages, "sources": tuple(map(of_source, part.sources)), "deal_size": size}
    )


def _by_odds(share: float, old: float, new: float) -> float:
    """A share with its odds multiplied as those of another share were."""
    if not (0 < share < 1 and 0 < old < 1 and 0 < new < 1):
        return share
    odds = share / (1 - share) * (new / (1 - new)) / (old / (1 - old))
    return odds / (1 + odds)


def _sizes(law: SizeLaw, evenly: Callable[..., FloatArray], number: int) -> list[DealSize]:
    """Deal-size laws drawn from what is known: mean and spread of a lognormal law, else shares of amounts."""
    from scipy.special import gammaincinv, ndtri

    size, n = law.size, law.n
    if size.mean is None:  # the Bayesian bootstrap: shares with a Dirichlet law
        counts = np.maximum(size.weights() * n, 1e-9)
        raw = np.array(
            [gammaincinv(count, evenly("size", law.segment, k)) for k, count in enumerate(counts)]
        )  # (amounts, number)
        raw = np.maximum(raw, 1e-12)
        shares = raw / raw.sum(axis=0)
        return [DealSize(amounts=size.amounts, shares=tuple(column.tolist())) for column in shares.T]
    if math.isnan(law.spread) or n < 2 or law.spread == 0:  # too few: as unsure as a plain mean is
        error = math.sqrt(math.log1p((size.cv or 0.0) ** 2 / max(n, 1)))
        factor = np.exp(error * ndtri(evenly("size mean", law.segment)) - error**2 / 2)
        return [DealSize(mean=size.mean * float(f), cv=size.cv) for f in factor]
    free = n - 1
    variance = law.spread**2 * free / (2 * gammaincinv(free / 2, 1 - evenly("size spread", law.segment)))
    variance = np.minimum(variance, WIDEST_LOGNORMAL**2)
    middle = math.log(size.mean) - law.spread**2 / 2
    middles = middle + np.sqrt(variance / n) * ndtri(evenly("size mean", law.segment))
    return [
        DealSize(mean=float(np.exp(m + v / 2)), cv=float(np.sqrt(np.expm1(v))))
        for m, v in zip(middles, variance, strict=True)
    ]


@dataclass(frozen=True, eq=False)
class MixedForecast:
    """What a team may book when the parameters are in doubt: a mixture of outcomes, all as likely."""

    outcomes: tuple[Outcome, ...]

    def chance_at_least(self, amounts: npt.ArrayLike, *, period: str) -> FloatArray:
        """Chance that the team books at least each amount, shape of ``amounts``."""
        chances = [outcome.team_chance_at_least(amounts, period) for outcome in self.outcomes]
        return np.asarray(np.mean(chances, axis=0))

    def quantiles(self, probabilities: Sequence[float], *, period: str) -> FloatArray:
        """Quantiles of the team's bookings, shape (probabilities,)."""
        wanted = np.asarray(probabilities, dtype=np.float64)
        if not ((wanted > 0) & (wanted < 1)).all():
            raise ParameterError(f"probabilities are {list(probabilities)}; each must lie between 0 and 1")
        each = np.array([outcome.team_quantiles([1e-4, 1 - 1e-4], period) for outcome in self.outcomes])
        low, high = np.full(len(wanted), 0.0), np.full(len(wanted), float(each.max()))
        for _ in range(60):
            middle = (low + high) / 2
            below = 1 - self.chance_at_least(middle, period=period) < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(high)


def forecast_with_doubt(calibration: Calibration, *, draws: int = 40, seed: int = 1) -> MixedForecast:
    """Forecast with the doubt about every parameter in it: simulate drawn scenarios and mix the results.

    Args:
        calibration: whose parameters are drawn (:meth:`salessim.calibrate.Calibration.draws`).
        draws: how many scenarios.
        seed: names the random streams.

    >>> from salessim.calibrate import calibrate
    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> forecast = forecast_with_doubt(calibrate(read(example_crm()), quarters=1), draws=3)
    >>> low, high = forecast.quantiles([0.1, 0.9], period="2026Q3")
    >>> bool(0 < low < high)
    True
    """
    return MixedForecast(tuple(simulate(one, seed=seed) for one in calibration.draws(draws, seed=seed)))
