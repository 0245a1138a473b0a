"""Levers: what would have to change for the team to make its plan, one thing at a time [B6].

Quotas do not make anyone sell more. Where the company's plan is out of reach, something in the world has to
move: more leads, a better win rate, larger deals, more reps, a faster ramp. A shorter cycle and fewer people
who leave are levers as well; they are moved here for the studies of what matters most.
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
from salessim.model import Ramp, Rep, Role, Scenario, Segment, Source, Stage

__all__ = ["ALL_LEVERS", "LEVERS", "Lever", "closing_the_gap", "with_lever", "with_stage_conversion"]

FloatArray = npt.NDArray[np.float64]

Lever = Literal["leads", "win rate", "deal size", "reps", "ramp", "cycle", "attrition"]
#: All that :func:`with_lever` can move.
ALL_LEVERS: tuple[Lever, ...] = get_args(Lever)
#: What :func:`closing_the_gap` tries.
LEVERS: tuple[Lever, ...] = ("leads", "win rate", "deal size", "reps", "ramp")

#: The most that is tried of a lever before it counts as not enough: three times as much of it.
MOST = 2.0
#: A change is found to within half a percentage point.
PRECISION = 0.005


def with_lever(scenario: Scenario, *, lever: Lever, change: float) -> Scenario:
    """The scenario with one lever moved, in the quarters before the horizon as well (``quarters_before``).

    The year that follows is one in which the change has taken hold, not the first year of it.

    A positive change is for the better, except for attrition, where it means that more people leave.

    Args:
        scenario: the world as it is.
        lever: leads: of all sources; win rate: from lead to win, for every source, by one factor on the
            conversions of all stages (a conversion ends where it, back and nurture add up to 100 %; stages
            that qualify, and what goes back or to nurture, stay as they are); deal size: of all deals still
            to come; reps: so many more of today's average rep, relative to today's, fully ramped from the
            first day; ramp: every ramp, training included, is so much shorter; cycle: the time in all stages
            is so much shorter, for leads still to come (the cycle_factor of every source); attrition: so
            much more of it a year, in every role.
        change: relative change, above −1: 0.1 is 10 % more (ramp, cycle: 10 % shorter; at most 1, for the
            cycle below 1). reps: 0 or more.

    Raises:
        PlanError: an unknown lever, a change that is not allowed, or one that leads to a cycle factor above
            10 or an attrition of 100 % a year.

    >>> from salessim.library import example_scenario
    >>> more = with_lever(example_scenario(), lever="deal size", change=0.1)
    >>> round(more.segments[0].deal_size.mean / example_scenario().segments[0].deal_size.mean, 3)
    1.1
    >>> with_lever(example_scenario(), lever="cycle", change=0.1).segments[0].sources[0].cycle_factor
    0.9
    """
    if lever not in ALL_LEVERS:
        raise PlanError(f"lever is {lever!r}; it must be one of {listed(ALL_LEVERS)}")
    highest, allowed = {
        "ramp": (1.0, "above -1 and at most 1"),
        "cycle": (math.nextafter(1.0, 0.0), "above -1 and below 1"),
    }.get(lever, (math.inf, "above -1"))
    if not (math.isfinite(change) and -1 < change <= highest):
        raise PlanError(f"lever '{lever}': change is {change!r}; it must be {allowed}, such as 0.1 for 10 %")
    if lever == "reps":
        return _with_more_reps(scenario, change)
    if lever == "ramp":
        roles = tuple(_faster(role, 1 - change) for role in scenario.roles)
        return scenario.model_copy(update={"roles": roles})
    if lever == "attrition":
        roles = tuple(_leaving(role, 1 + change) for role in scenario.roles)
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
        elif lever == "cycle":
            sources = tuple(_quicker(source, 1 - change) for source in segment.sources)
            segments.append(segment.model_copy(update={"sources": sources}))
        elif lever == "win rate":
            segments.append(_with_win_rate(segment, factor))
        else:
            size = segment.deal_size
            update: dict[str, object] = {"amounts": tuple(amount * factor for amount in size.amounts)}
            if size.mean is not None:
                update["mean"] = size.mean * factor
            segments.append(segment.model_copy(update={"deal_size": size.model_copy(update=update)}))
    return scenario.model_copy(update={"segments": tuple(segments)})


def with_stage_conversion(scenario: Scenario, *, segment: str, stage: str, change: float) -> Scenario:
    """The scenario with the conversion of one stage moved, all others as they are.

    Args:
        scenario: the world as it is.
        segment: name of the segment.
        stage: name of the stage; of one that qualifies, the sensitivity moves (more of the ready leads are
            sent on, and as many of the others as before).
        change: relative change, above −1: 0.1 makes 30 % to 33 %. It ends where conversion, back and
            nurture add up to 100 %. Sources with a conversion of their own in this stage move alike.

    Raises:
        ScenarioError: unknown segment. PlanError: unknown stage, or a change of −1 or less.

    >>> from salessim.library import example_scenario
    >>> more = with_stage_conversion(example_scenario(), segment="SMB", stage="new lead", change=0.1)
    >>> more.segments[0].conversions().round(3).tolist()
    [0.297, 0.455, 0.489, 0.6, 0.75]
    """
    chosen = scenario.segment(segment)
    names = [each.name for each in chosen.stages]
    if stage not in names:
        raise PlanError(f"segment '{segment}': no stage '{stage}'; it has {listed(names)}")
    if not (math.isfinite(change) and change > -1):
        raise PlanError(f"stage '{stage}': change is {change!r}; it must be above -1, such as 0.1 for 10 %")
    place = names.index(stage)
    factors = np.ones(len(names))
    factors[place] = 1 + change
    moved = _with_conversions(chosen, factors)
    if (check := chosen.stages[place].qualification) is not None:
        sensitivity = min(check.sensitivity * (1 + change), 1.0)
        better = moved.stages[place].model_copy(
            update={"qualification": check.model_copy(update={"sensitivity": sensitivity})}
        )
        stages = (*moved.stages[:place], better, *moved.stages[place + 1 :])
        moved = moved.model_copy(update={"stages": stages})
    segments = tuple(moved if each.name == segment else each for each in scenario.segments)
    return scenario.model_copy(update={"segments": segments})


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
    >>> sorted(table["lever"].iloc[:2]), bool(table["change_needed"].iloc[0] > 0)
    (['leads', 'win rate'], True)
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


def _quicker(source: Source, factor: float) -> Source:
    """The source with a cycle that takes ``factor`` of the time."""
    cycle = source.cycle_factor * factor
    if cycle > 10:
        raise PlanError(
            f"lever 'cycle': source '{source.name}' would have cycle_factor {cycle:g}; at most 10"
        )
    return source.model_copy(update={"cycle_factor": cycle})


def _leaving(role: Role, factor: float) -> Role:
    """The role with ``factor`` of its attrition."""
    attrition = role.attrition_per_year * factor
    if attrition >= 1:
        raise PlanError(
            f"lever 'attrition': of role '{role.name}' {formats.percent(attrition)} would leave a year; "
            "it must stay below 100 %"
        )
    return role.model_copy(update={"attrition_per_year": attrition})


def _with_win_rate(segment: Segment, factor: float) -> Segment:
    """The segment with the chance from lead to win multiplied, for the stages as they are and for each source
    with conversions or a share of ready leads of its own."""
    raised = _with_conversions(segment, np.full(len(segment.stages), _multiplier(segment, None, factor)))
    sources = []
    for before, after in zip(segment.sources, raised.sources, strict=True):
        if before.conversions or before.ready_share is not None:
            own = _own(segment, before, _multiplier(segment, before, factor))
            sources.append(before.model_copy(update={"conversions": own}))
        else:
            sources.append(after)
    return raised.model_copy(update={"sources": tuple(sources)})


def _multiplier(segment: Segment, source: Source | None, factor: float) -> float:
    """Factor on all conversions that multiplies the chance from lead to win; where that cannot be had, one
    that takes all of them to their end."""
    conversions = _conversions(segment, source)
    movable = (conversions > 0) & np.array([stage.qualification is None for stage in segment.stages])
    if factor == 1 or not movable.any():
        return 1.0
    if segment.is_linear and (conversions[movable] * factor <= 1).all():
        return float(factor ** (1 / movable.sum()))

    def short(multiplier: float) -> float:
        stages = _with_conversions(segment, np.full(len(conversions), multiplier)).stages
        tried = segment.model_copy(update={"stages": stages})
        if source is None:
            return _chance(tried, None) - wanted
        own = source.model_copy(update={"conversions": _own(segment, source, multiplier)})
        return _chance(tried, own) - wanted

    wanted = _chance(segment, source) * factor
    top = float((_room(segment)[movable] / conversions[movable]).max()) if factor > 1 else 1.0
    if wanted == 0 or short(top) <= 0:
        return top
    return float(brentq(short, 0.0, top, xtol=1e-15, rtol=1e-14))


def _chance(segment: Segment, source: Source | None) -> float:
    """Chance that a lead which arrives is won in the end, whatever way it goes."""
    chain = segment.journey(source)
    places = len(chain)
    won = np.linalg.solve(np.eye(places) - chain[:, :places], chain[:, places])
    ready = segment.ready_share_of(source)
    return float(ready * won[0] + (1 - ready) * won[len(segment.stages)])


def _conversions(segment: Segment, source: Source | None) -> FloatArray:
    """Conversion of ready leads at each stage, (stages,); of a stage that qualifies: its sensitivity."""
    chain, number = segment.journey(source), len(segment.stages)
    return np.array(
        [chain[k, 2 * number + 1 if k == number - 1 else k + 1] for k in range(number)], dtype=np.float64
    )


def _room(segment: Segment) -> FloatArray:
    """Largest conversion that each stage can have beside what goes back and to nurture, (stages,)."""
    return np.array([1 - sum(stage.back.values()) - stage.nurture for stage in segment.stages])


def _with_conversions(segment: Segment, factors: FloatArray) -> Segment:
    """The segment with the conversions of its stages multiplied, of the sources as well, as far as there is
    room; a factor of 1 and a stage that qualifies change nothing."""
    raised = np.minimum(_conversions(segment, None) * factors, _room(segment))
    stages: list[Stage] = []
    for stage, conversion in zip(segment.stages, raised, strict=True):
        # a close probability depends on the stages behind: it is written as the conversion that it means
        update: dict[str, object] = {"conversion": float(conversion), "close_probability": None}
        stages.append(stage if stage.qualification is not None else stage.model_copy(update=update))
    limits = dict(
        zip((stage.name for stage in stages), zip(factors, _room(segment), strict=True), strict=True)
    )
    sources = []
    for source in segment.sources:
        own = {
            name: float(min(conversion * limits[name][0], limits[name][1]))
            for name, conversion in source.conversions.items()
        }
        sources.append(source.model_copy(update={"conversions": own}))
    return segment.model_copy(update={"stages": tuple(stages), "sources": tuple(sources)})


def _own(segment: Segment, source: Source, multiplier: float) -> dict[str, float]:
    """Conversions of a source at all stages that do not qualify, multiplied as far as there is room."""
    raised = np.minimum(_conversions(segment, source) * multiplier, _room(segment))
    return {
        stage.name: float(conversion)
        for stage, conversion in zip(segment.stages, raised, strict=True)
        if stage.qualification is None
    }


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
