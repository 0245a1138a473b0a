"""Levers: what would have to change for the team to make its plan, one thing at a time [B6].

Quotas do not make anyone sell more. Where the company's plan is out of reach, something in the world has to
move: more leads, a better win rate, larger deals, more reps, a faster ramp.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import brentq

from salessim import formats
from salessim.engine import simulate
from salessim.errors import PlanError, listed
from salessim.model import Ramp, Rep, Role, Scenario

__all__ = ["LEVERS", "Lever", "closing_the_gap", "with_lever"]

FloatArray = npt.NDArray[np.float64]

Lever = Literal["leads", "win rate", "deal size", "reps", "ramp"]
LEVERS: tuple[Lever, ...] = get_args(Lever)

#: The most that is tried of a lever before it counts as not enough: three times as much of it.
MOST = 2.0
#: A change is found to within half a percentage point.
PRECISION = 0.005


def with_lever(scenario: Scenario, *, lever: Lever, change: float) -> Scenario:
    """The scenario with one lever moved.

    Args:
        scenario: the world as it is.
        lever: leads: of all sources; win rate: from lead to win, spread over all stages (a conversion ends at
            100 %); deal size: of all deals still to come; reps: so many more of today's average rep,
            relative to today's, fully ramped from the first day; ramp: every ramp, training included, is
            so much shorter.
        change: relative change, above −1: 0.1 is 10 % more (ramp: 10 % shorter, at most 1).

    >>> from salessim.library import example_scenario
    >>> more = with_lever(example_scenario(), lever="deal size", change=0.1)
    >>> round(more.segments[0].deal_size.mean / example_scenario().segments[0].deal_size.mean, 3)
    1.1
    """
    if lever not in LEVERS:
        raise PlanError(f"lever is {lever!r}; it must be one of {listed(LEVERS)}")
    if not (math.isfinite(change) and change > -1 and (lever != "ramp" or change <= 1)):
        allowed = "above -1 and at most 1" if lever == "ramp" else "above -1"
        raise PlanError(f"lever '{lever}': change is {change!r}; it must be {allowed}, such as 0.1 for 10 %")
    if lever == "reps":
        return _with_more_reps(scenario, change)
    if lever == "ramp":
        roles = tuple(_faster(role, 1 - change) for role in scenario.roles)
        return scenario.model_copy(update={"roles": roles})
    factor = 1 + change
    segments = []
    for segment in scenario.segments:
        if lever == "leads":
            sources = tuple(
                source.model_copy(update={"leads_per_week": source.leads_per_week * factor})
                for source in segment.sources
            )
            segments.append(segment.model_copy(update={"sources": sources}))
        elif lever == "win rate":
            stages = tuple(
                stage.model_copy(update={"conversion": float(c), "close_probability": None})
                for stage, c in zip(segment.stages, _raised(segment.conversions(), factor), strict=True)
            )
            segments.append(segment.model_copy(update={"stages": stages}))
        else:
            size = segment.deal_size
            update: dict[str, object] = {"amounts": tuple(amount * factor for amount in size.amounts)}
            if size.mean is not None:
                update["mean"] = size.mean * factor
            segments.append(segment.model_copy(update={"deal_size": size.model_copy(update=update)}))
    return scenario.model_copy(update={"segments": tuple(segments)})


def closing_the_gap(
    scenario: Scenario, *, target: float, period: str, chance: float = 0.5, most: float = MOST
) -> pd.DataFrame:
    """By how much each lever alone must move for the team to make its plan with a wanted chance.

    Args:
        scenario: the world as it is.
        target: bookings of the team in the period, in currency.
        period: a quarter of the scenario, or "horizon".
        chance: wanted chance that the team books the target.
        most: largest relative change that is tried (ramp: none left, at most).

    Returns:
        One row per lever, smallest change first: lever, change_needed (relative: 0.12 is 12 % more, for ramp
        12 % shorter; NaN: not enough alone; 0: the target is met as it is), people_needed (reps only),
        chance_now, chance_reached (with the change, or with the largest that was tried), note.

    >>> from salessim.library import example_scenario
    >>> table = closing_the_gap(example_scenario(), target=1_200_000.0, period="2026Q3")
    >>> table["lever"].iloc[0], bool(table["change_needed"].iloc[0] > 0)
    ('leads', True)
    """
    if not (math.isfinite(target) and target > 0):
        raise PlanError(f"target is {target!r}; it must be an amount above 0")
    if not 0 < chance < 1:
        raise PlanError(f"chance is {chance!r}; it must lie between 0 and 1, such as 0.5")

    # nothing is won more often than always
    certain = min(1 / c for c in (s.close_probabilities()[0] for s in scenario.segments) if c > 0) - 1

    def reached(lever: Lever, change: float) -> float:
        outcome = simulate(with_lever(scenario, lever=lever, change=change))
        return float(outcome.team_chance_at_least(target, period))

    now = float(simulate(scenario).team_chance_at_least(target, period))
    team = len(scenario.reps) or len(scenario.team())
    rows = []
    for lever in LEVERS:
        top = {"ramp": min(most, 1.0), "win rate": min(most, certain)}.get(lever, most)
        needed, there = (0.0, now) if now >= chance else _smallest(lever, reached, chance, top)
        people = math.ceil(needed * team - 1e-9) if lever == "reps" and math.isfinite(needed) else math.nan
        rows.append([lever, needed, people, now, there, _note(lever, needed, now, there, scenario)])
    columns = ["lever", "change_needed", "people_needed", "chance_now", "chance_reached", "note"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values("change_needed", kind="stable", ignore_index=True)


def _smallest(
    lever: Lever, reached: Callable[[Lever, float], float], chance: float, top: float
) -> tuple[float, float]:
    """Smallest change with the wanted chance, and the chance there; NaN and the chance at the top: none."""
    if (at_top := reached(lever, top)) < chance:
        return math.nan, at_top
    # the chance rises with the change; a number of people that is whole in the end needs no more than this
    needed = float(brentq(lambda change: reached(lever, change) - chance, 0.0, top, xtol=PRECISION / 2))
    return needed, reached(lever, needed)


def _note(lever: Lever, needed: float, now: float, there: float, scenario: Scenario) -> str:
    if needed == 0:
        return "not needed"
    if math.isfinite(needed):
        if lever == "reps":
            return "if fully ramped on the first day"
        return ""
    if lever == "ramp" and not (scenario.capacity() < scenario.headcount()).any():
        return "nobody is ramping"
    if lever == "ramp" and there <= now + 1e-9:
        return "a faster ramp moves nothing here: leads are inbound, and shared by all"
    if lever == "reps" and all(s.kind == "inbound" for segment in scenario.segments for s in segment.sources):
        return "leads are inbound: more reps share the same leads"
    return f"not enough alone: the chance ends at {formats.percent(there, digits=1)}"


def _faster(role: Role, factor: float) -> Role:
    """The role with a ramp that takes ``factor`` of the time."""
    ramp = role.ramp
    if factor <= 1e-9:
        return role.model_copy(update={"ramp": Ramp()})
    update: dict[str, object] = {"training_weeks": round(ramp.training_weeks * factor)}
    if ramp.linear_weeks is not None:
        update["linear_weeks"] = ramp.linear_weeks * factor
    if ramp.by_month:
        # the same shares, each lasting less: read the old ramp where the new one is
        months = np.arange(max(math.ceil(len(ramp.by_month) * factor), 1))
        old = np.minimum((months + 0.5) / factor, len(ramp.by_month)).astype(int)
        update["by_month"] = tuple(float(s) for s in np.append(ramp.by_month, 1.0)[old])
    if ramp.half_productive_week is not None and ramp.fully_productive_week is not None:
        update["half_productive_week"] = ramp.half_productive_week * factor
        update["fully_productive_week"] = ramp.fully_productive_week * factor
    return role.model_copy(update={"ramp": ramp.model_copy(update=update)})


def _raised(conversions: FloatArray, factor: float) -> FloatArray:
    """Conversions whose product is multiplied: all by the same factor, except that none exceeds 100 %; what
    such a stage cannot take, the others do."""
    raised = conversions.astype(np.float64)
    open_stages = raised > 0
    wanted = factor
    while open_stages.any() and abs(math.log(wanted)) > 1e-12:
        each = wanted ** (1 / open_stages.sum())
        tried = np.where(open_stages, np.minimum(raised * each, 1.0), raised)
        reached = np.prod(tried[open_stages] / raised[open_stages])
        raised, wanted = tried, wanted / float(reached)
        open_stages = open_stages & (raised < 1)
    return raised


def _with_more_reps(scenario: Scenario, change: float) -> Scenario:
    """More (or fewer) people: as many average reps as the change asks for, the last one for a part of the
    leads of one."""
    from collections import Counter

    team = scenario.reps or scenario.team()
    number = change * len(team)
    role = Counter(rep.role for rep in team).most_common(1)[0][0]
    focus = {
        segment.name: float(
            np.mean([1.0 if rep.segments is None else rep.segments.get(segment.name, 0.0) for rep in team])
        )
        for segment in scenario.segments
    }
    skill = float(np.mean([rep.skill_mean for rep in team]))
    if number < 0:
        raise PlanError(f"lever 'reps': change is {change!r}; it must be 0 or more")
    more = []
    for index in range(math.ceil(number - 1e-9)):
        part = min(number - index, 1.0)
        share = {name: level * part for name, level in focus.items()}
        more.append(Rep(name=f"one more {role} #{index + 1}", role=role, segments=share, skill_mean=skill))
    return scenario.model_copy(update={"reps": (*scenario.reps, *more)})
