"""Simulate a scenario: one function, :func:`simulate`, and the outcome that it returns.

The program picks the engine and says why (``outcome.why``): the exact one wherever it is valid.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

import numpy.typing as npt

from salessim.engine.choice import chance_of_limit, needs_flow, without_limits
from salessim.engine.exact import ExactOutcome
from salessim.engine.history import History, simulate_history
from salessim.engine.outcome import HORIZON, Outcome
from salessim.engine.rates import weekly_leads, win_chances, win_law
from salessim.engine.thinning import SampledOutcome, sample
from salessim.errors import EngineError
from salessim.model import Scenario

if TYPE_CHECKING:
    from salessim.engine.flow import FlowOutcome

__all__ = [
    "HORIZON",
    "Engine",
    "ExactOutcome",
    "History",
    "Outcome",
    "SampledOutcome",
    "chance_of_limit",
    "needs_flow",
    "simulate",
    "simulate_flow",
    "simulate_history",
    "weekly_leads",
    "win_chances",
    "win_law",
    "without_limits",
]

#: Names of the engines, and the automatic choice.
Engine = Literal["auto", "exact", "thinning", "flow"]


def simulate(
    scenario: Scenario,
    *,
    engine: Engine = "auto",
    trials: int = 10_000,
    seed: int = 1,
    threads: int | None = None,
    by_month: bool = False,
    quotas: npt.ArrayLike | None = None,
) -> Outcome:
    """Work out what a team may book: the law of bookings by rep and quarter.

    Args:
        scenario: market, funnels and team.
        engine: "auto" takes the exact engine where it is valid and else the flow engine
            (:func:`needs_flow` says which, and why); "exact" insists; "thinning" draws whole trials of the
            law that the exact engine solves, for joint paths to look at; "flow" simulates week by week.
        trials: simulated horizons (not exact).
        seed: seed of the random streams (not exact).
        threads: threads used (not exact); None: up to four. They do not change results.
        by_month: also keep what each month brought (not exact), for pay by the month.
        quotas: quota of each rep in each quarter, (reps, quarters), for a scenario with behaviours.

    Returns:
        An outcome that answers questions about chances and quantiles; see :class:`Outcome`.

    Raises:
        EngineError: the engine asked for is not valid for the scenario, with the reason.

    >>> from salessim.library import example_scenario
    >>> outcome = simulate(example_scenario())
    >>> outcome.engine, outcome.trials is None
    ('exact', True)
    """
    if engine not in ("auto", "exact", "thinning", "flow"):
        raise EngineError(f"engine is {engine!r}; it must be 'auto', 'exact', 'thinning' or 'flow'")
    if engine == "flow":
        return simulate_flow(
            scenario, trials=trials, seed=seed, threads=threads, by_month=by_month, quotas=quotas
        )
    flow_needed, why = needs_flow(scenario)
    if engine == "auto" and flow_needed:
        return simulate_flow(
            scenario, trials=trials, seed=seed, threads=threads, by_month=by_month, quotas=quotas, why=why
        )
    if flow_needed:
        raise EngineError(
            f"the {engine} engine is not valid for scenario '{scenario.name}': {why}; take 'flow' or 'auto'"
        )
    if engine == "thinning":
        return sample(scenario, trials=trials, seed=seed, threads=_threads(threads), by_month=by_month)
    return ExactOutcome(scenario, why=why)


def simulate_flow(
    scenario: Scenario,
    *,
    trials: int = 10_000,
    seed: int = 1,
    threads: int | None = None,
    by_month: bool = False,
    quotas: npt.ArrayLike | None = None,
    why: str = "simulated week by week, as asked for",
) -> FlowOutcome:
    """Simulate week by week; arguments as those of :func:`simulate`, ``why``: reason kept in the outcome.

    >>> from salessim.library import example_scenario
    >>> simulate_flow(example_scenario(), trials=4).open_deals.shape
    (4, 12, 4)
    """
    from salessim.engine.flow import flow  # loads the compiler: only when it is needed

    return flow(
        scenario,
        trials=trials,
        seed=seed,
        threads=_threads(threads),
        by_month=by_month,
        quotas=quotas,
        why=why,
    )


def _threads(asked_for: int | None) -> int:
    return min(os.cpu_count() or 1, 4) if asked_for is None else asked_for
