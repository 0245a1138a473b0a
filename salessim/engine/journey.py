"""The journey of a lead, week by week, as a Markov chain: the common ground of all engines [A5].

A *lane* holds the leads of a segment that travel alike: the same stages, conversions and times. It consists
of cells; a cell is a stage, whether the lead is ready, and, where the chance to leave changes with time, the
weeks since the deal entered the stage. Each week a deal stays (in the same cell, or one week older) or leaves
for another stage, nurture, won, or lost. Time in a stage may have any law on whole weeks: its hazard by age
is what the cells hold, for deals that move on and for those that are lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from salessim.model import Segment, Source

__all__ = [
    "Entry",
    "Lane",
    "followed",
    "followed_cells",
    "lane_of",
    "open_deal",
    "still_open",
    "won_by_week",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Entry:
    """A door of a lane through which deals come in: new, handed over, or back from nurture."""

    stage: int
    ready: bool


@dataclass(frozen=True)
class Lane:
    """The chain of one kind of lead.

    Columns of ``moves`` and ``enters`` are the cells, then won, lost, and one column for each entry: deals
    that knock at that door, because another role takes over or because they come back from nurture.
    """

    stage: IntArray  # (cells,) position of the stage; -1 for nurture
    ready: npt.NDArray[np.bool_]  # (cells,)
    age: IntArray  # (cells,) weeks since the deal entered, where the cell is for one age only; else 0
    moves: FloatArray  # (cells, cells + 2 + entries) where a deal is a week later; rows add up to 1
    entries: tuple[Entry, ...]
    enters: FloatArray  # (entries, cells + 2 + entries) where a deal is that has just come in by a door
    start: FloatArray  # (entries,) doors by which new leads come; adds up to 1

    @property
    def cells(self) -> int:
        """Number of cells."""
        return len(self.stage)

    def without_doors(self) -> tuple[FloatArray, FloatArray]:
        """Moves and start where every door is open: arrays (cells, cells + 2) and (cells + 2,)."""
        places = self.cells + 2
        # a deal may pass several doors in one week (stages that take no time): sum over all of them
        through = np.linalg.solve(
            np.eye(len(self.entries)) - self.enters[:, places:], self.enters[:, :places]
        )
        return self.moves[:, :places] + self.moves[:, places:] @ through, self.start @ through


def lane_of(segment: Segment, source: Source | None = None, *, weeks: int) -> Lane:
    """Build the chain of the leads of a source (left out: of the segment), exact for so many weeks.

    >>> from salessim.model import DealSize, Stage
    >>> a = Stage(name="a", conversion=0.5, dwell_weeks=4.0)
    >>> b = Stage(name="b", conversion=0.2, dwell_weeks=(0.0, 1.0))
    >>> s = Segment(name="x", stages=(a, b), sources=(), deal_size=DealSize(mean=1.0, cv=0.0))
    >>> lane = lane_of(s, weeks=52)
    >>> lane.stage.tolist(), lane.moves.tolist()[0]  # a: stay, to b, won, lost, door
    ([0, 1], [0.75, 0.125, 0.0, 0.125, 0.0])
    """
    factor = 1.0 if source is None else source.cycle_factor
    number = len(segment.stages)
    journey = segment.journey(source)
    kinds = (True, False) if segment.tells_leads_apart else (True,)
    roles = [stage.role for stage in segment.stages]

    # the places that matter: stages by kind of lead, and nurture where anything goes there
    places = [(k, ready) for ready in kinds for k in range(number)]
    row_of = {(k, ready): k if ready else number + k for k, ready in places}
    nurtured = segment.nurture is not None and bool(journey[:-1, 2 * number].sum() > 0)
    entries = [Entry(0, ready) for ready in kinds]
    entries += [Entry(k, ready) for k in range(1, number) if roles[k] != roles[k - 1] for ready in kinds]
    if nurtured and segment.nurture is not None:
        back_to = 0 if segment.nurture.returns_to is None else segment.stage_index(segment.nurture.returns_to)
        if Entry(back_to, True) not in entries:
            entries.append(Entry(back_to, True))

    # hazards by age: of leaving towards anything but lost, and of being lost
    hazards = {}
    for k, ready in places:
        row = journey[row_of[k, ready]]
        onward_at_all, lost = row[:-1].sum(), row[-1]
        if (evenly := segment.stages[k].leaves_evenly(factor=factor)) is not None:
            hazards[k, ready] = (
                0.0,
                0.0,
                np.array([evenly * onward_at_all]),
                np.array([evenly * lost]),
                True,
            )
            continue
        own, other = (segment.stages[k].dwell_shares(lost=which, factor=factor) for which in (False, True))
        length = max(len(own), len(other))
        leaving = onward_at_all * np.pad(own, (0, length - len(own)))
        losing = lost * np.pad(other, (0, length - len(other)))
        left = np.maximum(
            1 - np.cumsum(leaving + losing) + leaving + losing, 0.0
        )  # still there before week d
        ages = slice(1, max(min(length, weeks + 1), 2))
        there = np.where(left[ages] > 1e-12, left[ages], np.inf)
        gone = there == np.inf  # nobody is ever that old: whoever is counts as lost
        hazards[k, ready] = (
            leaving[0], losing[0], leaving[ages] / there, np.where(gone, 1.0, losing[ages] / there), False
        )  # fmt: skip

    first: dict[tuple[int, bool], int] = {}
    stage: list[int] = []
    readiness: list[bool] = []
    age: list[int] = []
    for k, ready in places:
        first[k, ready] = len(stage)
        _, _, leave, _, forever = hazards[k, ready]
        stage += [k] * len(leave)
        readiness += [ready] * len(leave)
        age += [0] if forever else list(range(1, len(leave) + 1))
    rest = len(stage)
    if nurtured:
        stage, readiness, age = [*stage, -1], [*readiness, True], [*age, 0]
    cells = len(stage)
    won, lost_column = cells, cells + 1
    doors = {entry: cells + 2 + index for index, entry in enumerate(entries)}
    columns = cells + 2 + len(entries)

    # a deal enters a stage: it stays for a week or more, or passes on in the same week
    step = np.zeros((len(places), len(places)))
    direct = np.zeros((len(places), columns))
    onward = {}  # where deals go that leave a stage for anything but lost, (columns,) and places passed into
    for index, (k, ready) in enumerate(places):
        row = journey[row_of[k, ready]]
        going, into = np.zeros(columns), np.zeros(len(places))
        leaving_at_all = row[:-1].sum()  # not 1 − lost, which rounds to 0 where next to nothing moves on
        for target in np.flatnonzero(row[:-1]):
            share = row[target] / leaving_at_all
            if target == 2 * number + 1:
                going[won] += share
            elif target == 2 * number:
                going[rest] += share
            else:
                to = (int(target % number), bool(target < number))
                if to[0] > k and roles[to[0]] != roles[k]:
                    going[doors[Entry(*to)]] += share
                else:
                    into[places.index(to)] += share
        onward[k, ready] = (going, into)
        at_once, lost_at_once, _, _, _ = hazards[k, ready]
        direct[index, first[k, ready]] = 1 - at_once - lost_at_once
        direct[index] += at_once * going
        direct[index, lost_column] += lost_at_once
        step[index] = at_once * into
    inside = np.linalg.solve(np.eye(len(places)) - step, direct)  # (place entered, column)

    moves = np.zeros((cells, columns))
    for k, ready in places:
        _, _, leave, lose, forever = hazards[k, ready]
        going, into = onward[k, ready]
        destination = going + into @ inside
        for older in range(len(leave)):
            cell = first[k, ready] + older
            moves[cell] += leave[older] * destination
            moves[cell, lost_column] += lose[older]
            stay = max(1 - leave[older] - lose[older], 0.0)
            # beyond the last age (or the horizon) nothing changes any more
            moves[cell, cell if forever or older == len(leave) - 1 else cell + 1] += stay
    if nurtured and segment.nurture is not None:
        out = 1 / segment.nurture.mean_weeks
        moves[rest, rest] = 1 - out
        moves[rest, doors[Entry(back_to, True)]] = out * segment.nurture.return_share
        moves[rest, lost_column] += out * (1 - segment.nurture.return_share)
    share = segment.ready_share_of(source)
    start = np.zeros(len(entries))
    start[: len(kinds)] = [share, 1 - share][: len(kinds)]
    return Lane(
        stage=np.array(stage, dtype=np.int64),
        ready=np.array(readiness, dtype=np.bool_),
        age=np.array(age, dtype=np.int64),
        moves=moves,
        entries=tuple(entries),
        enters=np.array([inside[places.index((entry.stage, entry.ready))] for entry in entries]),
        start=start,
    )


def won_by_week(segment: Segment, source: Source | None = None, *, weeks: int) -> FloatArray:
    """Chance that a lead is won so many weeks after its arrival, shape (weeks,).

    >>> from salessim.model import DealSize, Stage
    >>> s = Segment(name="x", stages=(Stage(name="a", conversion=0.5, dwell_weeks=2.0),), sources=(),
    ...             deal_size=DealSize(mean=1.0, cv=0.0))
    >>> won_by_week(s, weeks=4).tolist()
    [0.0, 0.25, 0.125, 0.0625]
    """
    lane = lane_of(segment, source, weeks=weeks)
    _, at_once = lane.without_doors()
    later = followed(lane, at_once[: lane.cells], weeks=weeks - 1) if weeks > 1 else np.empty(0)
    return np.append(at_once[lane.cells], later)[:weeks]


def still_open(lane: Lane, *, weeks: int) -> FloatArray:
    """Chance that a lead is in each cell so many weeks after its arrival, doors open; (weeks, cells)."""
    _, start = lane.without_doors()
    return np.vstack([start[: lane.cells], followed_cells(lane, start[: lane.cells], weeks=weeks - 1)])


def followed_cells(lane: Lane, now: FloatArray, *, weeks: int) -> FloatArray:
    """Chance of deals in cells, (cells,), to be in each cell in each coming week, doors open; (weeks,
    cells)."""
    moves, _ = lane.without_doors()
    by_week = np.empty((weeks, lane.cells))
    for week in range(weeks):
        now = now @ moves[:, : lane.cells]
        by_week[week] = now
    return by_week


def followed(lane: Lane, now: FloatArray, *, weeks: int) -> FloatArray:
    """Chance of deals in cells, (cells,), to be won in each coming week, doors open; shape (weeks,)."""
    moves, _ = lane.without_doors()
    before = np.vstack([now, followed_cells(lane, now, weeks=max(weeks - 1, 0))])[:weeks]
    return np.asarray(before @ moves[:, lane.cells])


def open_deal(segment: Segment, lane: Lane, *, stage: int, weeks_in_stage: int) -> FloatArray:
    """Where a deal is that has been in a stage for so many full weeks: chance of each cell, (cells,).

    Nothing is known about whether it is ready but that it got there and is still there. All zeros: older than
    any deal in that stage can be.
    """
    visits = segment.visits()
    chances = np.zeros(lane.cells)
    for ready in (True, False):
        here = np.flatnonzero((lane.stage == stage) & (lane.ready == ready))
        if not len(here):
            continue
        weight = visits[stage if ready else len(segment.stages) + stage]
        ages = lane.age[here]
        if ages[0] == 0:  # leaves evenly: age does not matter
            stays = lane.moves[here[0], here[0]]
            chances[here[0]] = weight * stays**weeks_in_stage
        elif weeks_in_stage < len(here):
            older = lane.moves[here[:weeks_in_stage], here[1 : weeks_in_stage + 1]]
            chances[here[weeks_in_stage]] = weight * float(np.prod(older))
    total = chances.sum()
    return chances / total if total > 0 else chances
