"""Simulate a scenario: one function, :func:`simulate`, and the outcome that it returns.

The program picks the engine and says why (``outcome.why``): the exact one wherever it is valid.
"""

from __future__ import annotations

import os
from typing import Literal

from salessim.engine.exact import ExactOutcome
from salessim.engine.history import History, simulate_history
from salessim.engine.outcome import HORIZON, Outcome
from salessim.engine.rates import weekly_leads, win_chances
from salessim.engine.thinning import SampledOutcome, sample
from salessim.errors import EngineError
from salessim.model import Scenario

__all__ = [
    "HORIZON",
    "ExactOutcome",
    "History",
    "Outcome",
    "SampledOutcome",
    "simulate",
    "simulate_history",
    "weekly_leads",
    "win_chances",
]


def simulate(
    scenario: Scenario,
    *,
    engine: Literal["auto", "exact", "thinning"] = "auto",
    trials: int = 10_000,
    seed: int = 1,
    threads: int | None = None,
    by_month: bool = False,
) -> Outcome:
    """Work out what a team may book: the law of bookings by rep and quarter.

    Args:
        scenario: market, funnels and team.
        engine: "auto" takes the exact engine, which is valid for every scenario of today's model;
            "thinning" draws whole trials, for joint paths to look at.
        trials: simulated horizons (thinning only).
        seed: seed of the random streams (thinning only).
        threads: threads used (thinning only); None: up to four. They do not change results.
        by_month: also keep what each month brought (thinning only), for pay by the month.

    Returns:
        An outcome that answers questions about chances and quantiles; see :class:`Outcome`.

    >>> from salessim.library import example_scenario
    >>> outcome = simulate(example_scenario())
    >>> outcome.engine, outcome.trials is None
    ('exact', True)
    """
    if engine == "thinning":
        workers = min(os.cpu_count() or 1, 4) if threads is None else threads
        return sample(scenario, trials=trials, seed=seed, threads=workers, by_month=by_month)
    if engine not in ("auto", "exact"):
        raise EngineError(f"engine is {engine!r}; it must be 'auto', 'exact' or 'thinning'")
    return ExactOutcome(scenario)
