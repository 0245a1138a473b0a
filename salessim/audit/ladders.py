"""The stages that a deal climbs: what must be evidenced to leave each, and what it is worth to be there."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from salessim.crm import Tables
from salessim.errors import listed
from salessim.model import DEFAULT_CRITERIA, Criterion, Scenario, Segment

__all__ = ["Ladder", "Rung", "ladders_of"]

#: The field's criteria in the order in which deals meet them [A2, A3]: a potential deal has a next step.
_FIELD_ORDER = ("decision maker", "pain", "next step", "fit", "value")


@dataclass(frozen=True)
class Rung:
    """One stage: its name, the criteria that must be evidenced to leave it, its chance to be won in the end.

    ``is_cold`` says whether hardly anything is known of a deal here: it counts as a lead or an MQL, or, where
    all stages count as opportunities, it is the first.
    """

    stage: str
    exit_criteria: tuple[str, ...]
    chance: float
    is_cold: bool = False


@dataclass(frozen=True)
class Ladder:
    """The stages of one segment from first to last.

    >>> ladder = Ladder((Rung("cold", ("pain",), 0.1), Rung("warm", (), 0.3)), {"cold call": 0})
    >>> ladder.place("Cold call"), ladder.place("warm"), ladder.place("elsewhere")
    (0, 1, None)
    """

    rungs: tuple[Rung, ...]
    also_called: Mapping[str, int]

    def place(self, stage: str) -> int | None:
        """Where a stage of the CRM stands, from 0; None where it is none of these."""
        names = {rung.stage.casefold(): place for place, rung in enumerate(self.rungs)}
        return names.get(stage.casefold(), self.also_called.get(stage.casefold()))


def ladders_of(
    tables: Tables, scenario: Scenario, calibrated: Scenario | None
) -> tuple[dict[str, Ladder], tuple[Criterion, ...], list[str]]:
    """Return the ladder of each segment that has open deals, all criteria on them, and what was assumed.

    Stages and exit criteria are those of the scenario; a segment that it does not know has those of the first
    one whose stages are the CRM's. Where none fits, its criteria (or the field's, [A3]) are spread over the
    CRM's stages, all but the last: what is asked for there is the order itself.
    """
    deals = tables.opportunities[tables.opportunities["status"] == "open"]
    own = {segment.name: segment for segment in scenario.segments}
    measured = {segment.name: segment for segment in (calibrated or scenario).segments}
    found: dict[str, Ladder] = {}
    notes: list[str] = []
    spread: list[str] = []
    strange: dict[str, None] = {}
    for name in sorted(deals["segment"].unique()):
        used = deals.loc[deals["segment"] == name, "stage"].unique()
        asked_for = [own[name]] if name in own else list(scenario.segments)
        for segment in asked_for:
            if not any(stage.exit_criteria for stage in segment.stages):
                continue
            ladder = _written(segment, measured.get(name))
            unknown = [stage for stage in used if ladder.place(stage) is None]
            strange |= dict.fromkeys(unknown)
            if not unknown:
                found[name] = ladder
                if segment.name != name:
                    notes.append(
                        f"the scenario has no segment '{name}'; the stages of '{segment.name}' stand in"
                    )
                break
        if name not in found:
            found[name] = _spread(tables.stages, scenario.criteria or DEFAULT_CRITERIA, measured.get(name))
            spread.append(name)
    if spread:
        notes.append(_said(scenario, spread, list(found), found[spread[0]], list(strange)))
    notes += _unknown_chances(found)
    found = {name: _filled(ladder) for name, ladder in found.items()}
    asked = dict.fromkeys(
        name for ladder in found.values() for rung in ladder.rungs for name in rung.exit_criteria
    )
    known = {criterion.name: criterion for criterion in (*DEFAULT_CRITERIA, *scenario.criteria)}
    criteria = tuple(
        known.get(name, Criterion(name=name, question=f"What do we know of: {name}?")) for name in asked
    )
    return found, criteria, notes


def _written(segment: Segment, measured: Segment | None) -> Ladder:
    written = segment.close_probabilities()
    seen = _chances(measured)
    chances: list[float] = [math.nan] * len(segment.stages)
    for place in range(len(segment.stages) - 1, -1, -1):
        name = segment.stages[place].name
        if name in seen:
            chances[place] = seen[name]
        elif place + 1 < len(chances) and written[place + 1] > 0:
            # the scenario says how many move on; what they are worth then was measured
            chances[place] = chances[place + 1] * float(written[place] / written[place + 1])
        else:
            chances[place] = float(written[place])
    rungs = tuple(
        Rung(stage.name, stage.exit_criteria, chance, stage.counts_as in ("lead", "MQL"))
        for stage, chance in zip(segment.stages, chances, strict=True)
    )
    called = {
        name.casefold(): place for place, stage in enumerate(segment.stages) for name in stage.crm_names
    }
    return Ladder(rungs, called)


def _spread(stages: Sequence[str], criteria: Sequence[Criterion], measured: Segment | None) -> Ladder:
    names = [criterion.name for criterion in criteria]
    if set(names) == set(_FIELD_ORDER):
        names = list(_FIELD_ORDER)
    parts = np.array_split(np.array(names, dtype=object), max(len(stages) - 1, 1))
    seen = _chances(measured)
    rungs = [
        Rung(
            stage,
            tuple(parts[place]) if place < len(stages) - 1 or len(stages) == 1 else (),
            seen.get(stage, math.nan),
            place == 0,
        )
        for place, stage in enumerate(stages)
    ]
    return Ladder(tuple(rungs), {})


def _chances(segment: Segment | None) -> dict[str, float]:
    if segment is None:
        return {}
    pairs = zip(segment.stages, segment.close_probabilities(), strict=True)
    return {stage.name: float(chance) for stage, chance in pairs if math.isfinite(chance)}


def _unknown_chances(ladders: Mapping[str, Ladder]) -> list[str]:
    """What is said of stages whose chance nothing tells."""
    guessed: dict[str, None] = {}
    silent = []
    for name, ladder in ladders.items():
        chances = [rung.chance for rung in ladder.rungs]
        if all(map(math.isnan, chances)):
            silent.append(name)
        else:
            guessed |= {rung.stage: None for rung in ladder.rungs if math.isnan(rung.chance)}
    notes = []
    if guessed:
        notes.append(
            f"nothing in the export tells the chance of {listed(list(guessed))}; "
            "it is taken to be that of the next stage, which is too high"
        )
    if silent:
        where = "" if len(silent) == len(ladders) else f" of {listed(silent)}"
        notes.append(f"no chance to win is known{where}, so the open deals have no weighted value")
    return notes


def _filled(ladder: Ladder) -> Ladder:
    """The same ladder with the chance of the next stage where a rung has none; NaN where no stage has any."""
    rungs = list(ladder.rungs)
    for place in range(len(rungs) - 2, -1, -1):
        if math.isnan(rungs[place].chance):
            rungs[place] = replace(rungs[place], chance=rungs[place + 1].chance)
    return Ladder(tuple(rungs), ladder.also_called)


def _said(
    scenario: Scenario,
    spread: Sequence[str],
    segments: Sequence[str],
    ladder: Ladder,
    strange: Sequence[str],
) -> str:
    names = {criterion.name for criterion in scenario.criteria}
    whose = "the scenario's criteria" if names - {*_FIELD_ORDER} else "the field's criteria"
    steps = "; ".join(
        f"{rung.stage}: {', '.join(rung.exit_criteria)}" for rung in ladder.rungs if rung.exit_criteria
    )
    where = "" if set(spread) == set(segments) else f" of {listed(spread)}"
    why = (
        f"the scenario does not know the stages {listed(strange)}"
        if strange
        else f"no stage{where} has exit criteria of its own"
    )
    return f"{why}, so {whose} are spread over the stages of the CRM (to leave {steps})"
