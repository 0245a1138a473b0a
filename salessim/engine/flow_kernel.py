"""The compiled heart of the flow engine: counts of deals moved from week to week, one trial after the other.

Plain loops for numba; what they are given is described by :class:`World`, and nothing here knows of
scenarios. All luck comes from :mod:`salessim.engine.draws`, keyed by trial, rep, week and purpose: no trial,
thread or chunk depends on another, and two scenarios are simulated on the same luck.

Functions that run every week take the arrays they need, one by one, and related numbers share an array whose
columns have names below: a tuple of arrays as an argument would count references to each of them at every
call, which costs more than the work itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, pdtr

from salessim.engine.draws import (
    compiled,
    gamma_quantile,
    mixed,
    normal_quantile,
    poisson_quantile,
    table_quantile,
    uniform,
)

__all__ = ["Counts", "World", "move_tables", "poisson_tables", "run"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
KeyArray = npt.NDArray[np.uint64]
Events = npt.NDArray[np.int32]

#: Deals of a cell that are drawn together at most; more are drawn in blocks.
BLOCK = 48
WEEKS = 13
#: Poisson counts are looked up for means that lie so far apart, up to the largest.
STEP, LARGEST_MEAN, GUIDES = 0.25, 64.0, 256
#: What rounding may take from a limit: 29 % of 100 deals are 29.
ROUNDING = 1e-9
#: Purposes of the keys within a week of a rep, and of the streams of a rep within a trial.
CELLS, RESTS, ADMITTING, WAITING, ROUTING, LEAVING, PUSHING, PULLING, MISSING = (
    (number + 16) << 16 for number in range(9)
)
SIZES, SKILLS, KNOWN = 1_000_000, 2_000_000, 3_000_000

# columns of World
LEAVE, BACKFILL, KEPT = 0, 1, 2  # of roles
DEALS, HOURS = 0, 1  # of limits
RAMPS, WAITS, PATIENCE = 0, 1, 2  # of surplus
SEGMENT, OPEN, TABLE, ONWARD = 0, 1, 2, 3  # of cells
TIME, LAST = 0, 1  # of cell_rates
OF_SEGMENT, OF_ROLE, OF_CELL = 0, 1, 2  # of entries
START, GUIDE, SIZE = 0, 1, 2  # of tables
UPPER, LEFT, MOVED = 0, 1, 2  # of table_rows
REP, KIND = 0, 1  # of deals
SHOCK, PERSISTENCE, LEVEL = 0, 1, 2  # of market
PULL, PULL_AT, PULL_WITHIN, PULL_DISCOUNT, PUSH, PUSH_BELOW, PUSH_WEEKS, MISSES, MISSES_LEAVE = range(9)
# columns of what a trial remembers of a rep: whole numbers and amounts
AT_WORK, VACANT, PEOPLE, STARTED, MISSED, HELD_DEALS = range(6)
BUSY, CAPACITY, SKILL, BOOKED, HELD = range(5)
# columns of Counts
LEADS, TURNED_AWAY, GAVE_UP, DEPARTURES = range(4)  # of events
OPEN_DEALS, QUEUE, USED = range(3)  # of levels

Function = TypeVar("Function", bound=Callable[..., object])


def within(function: Function, *, inlined: bool = False) -> Function:
    """Compile a function that only compiled ones call: without the wrappers that Python would need."""
    options: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "forceinline": inlined}
    options |= {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Function, numba.njit(**options)(function))


def inlined(function: Function) -> Function:
    """The same for small functions that are called millions of times."""
    return within(function, inlined=True)


class World(NamedTuple):
    """A scenario as arrays. Reps r, roles g, weeks w, cells c, entries e, segments s, worked quarters a."""

    role: IntArray  # (r,)
    order: IntArray  # (r,) reps in the order in which deals are handed on
    group_from: IntArray  # (groups + 1,) where in that order the reps of each role begin
    capacity: FloatArray  # (w, r) ramped capacity of the people who are there at first
    present: FloatArray  # (w, r) 0 or 1: the seat is on the payroll
    time_to_sell: FloatArray  # (w, r) share of time that trainings leave
    ramp: FloatArray  # (g, weeks of tenure)
    roles: FloatArray  # (g, 3) chance to leave in a week, weeks to backfill, share of deals kept
    skill_mean: FloatArray  # (r,)
    skill_table: IntArray  # (r,) row of skill_quantiles, -1: no spread
    successor_table: int
    skill_quantiles: FloatArray  # (tables, points)
    limits: FloatArray  # (r, 2) most deals, most hours; infinite: no limit
    surplus: (
        IntArray  # (r, 3) whether the limit ramps, whether surplus waits, table of patience (-1: endless)
    )
    own: FloatArray  # (e, w) new leads of a fully ramped rep
    shared: FloatArray  # (e, w) new leads of the team
    focus: FloatArray  # (r, e) share of leads relative to an average rep; 0: not worked by this rep
    cells: IntArray  # (c, 4) segment, 1 for an open deal and 0 for nurture, table that moves all deals of the
    # cell at once (-1: one by one), where those of them go that move on
    cell_rates: FloatArray  # (c, 2) hours; chance to be won when leaving the last stage, -1: another stage
    row: IntArray  # (c + 1,) where the outcomes of each cell begin
    to: IntArray  # outcome: a cell, then won, lost, and entries
    upper: FloatArray  # chance of this outcome and those before
    cells_of: IntArray  # cells that a role's reps can hold, rising, role after role
    cells_from: IntArray  # (g + 1,)
    entries: IntArray  # (e, 3) segment, role (-1: any), cell where all of them go (-1: drawn)
    entry_hours: FloatArray  # (e,)
    entry_row: IntArray  # (e + 1,)
    entry_to: IntArray
    entry_upper: FloatArray
    tables: IntArray  # (table, BLOCK + 1, 3), see move_tables
    guide: npt.NDArray[np.int32]
    table_rows: FloatArray  # (rows, 3) chance of this row and those before, left, moved on
    poisson: FloatArray  # (means, counts) chance of at most so many, of means STEP apart
    poisson_guide: npt.NDArray[np.int32]  # (means, GUIDES) where to begin
    deals: IntArray  # (d, 2) rep and segment of the deals open at the beginning
    deal_amount: FloatArray  # (d,) NaN: drawn
    deal_row: IntArray  # (d + 1,)
    deal_cell: IntArray
    deal_upper: FloatArray
    size_smooth: npt.NDArray[np.bool_]  # (s,) read from its table; else possible amounts
    size_tables: FloatArray  # (s, 2, pieces, 8)
    size_row: IntArray  # (s + 1,)
    size_upper: FloatArray
    size_amount: FloatArray
    quarter: IntArray  # (w,) worked quarter
    before: int  # worked quarters before the horizon
    part: IntArray  # (w,) part of the horizon, -1: before it
    market: FloatArray  # (3,) spread of shocks, persistence, spread of the level
    quotas: FloatArray  # (r, a) NaN: none
    behaviours: FloatArray  # (9,) see the names of its columns
    behaves: bool
    people_change: bool
    rep_key: KeyArray  # (r,)
    market_key: KeyArray  # (a,)
    level_key: np.uint64


class Counts(NamedTuple):
    """What a run fills in."""

    won: Events  # (trial, rep, part)
    bookings: FloatArray  # (trial, rep, part)
    events: Events  # (trial, rep, quarter, 4) leads, turned away, gave up, departures
    levels: npt.NDArray[np.float32]  # (trial, rep, quarter, 3) open deals, waiting, share of the limit used


def move_tables(chances: list[tuple[float, float]]) -> dict[str, npt.NDArray[np.generic]]:
    """Tables of how many of n deals leave a cell in a week and how many of those move on, for n up to BLOCK.

    ``chances``: chance to leave, and share of the leaving that moves on, for each table. One uniform number
    is looked up in the joint law, ordered by the number that moves on; a guide says where to begin.
    """
    places = np.zeros((len(chances), BLOCK + 1, 3), dtype=np.int64)
    guide, rows = [np.empty(0, dtype=np.int32)], [np.empty((0, 3))]
    log_factorial = gammaln(np.arange(BLOCK + 1) + 1.0)
    at = guide_at = 0
    for table, (leave, move) in enumerate(chances):
        with np.errstate(divide="ignore"):
            logs = np.log([1 - leave, leave * (1 - move), leave * move])
        for n in range(1, BLOCK + 1):
            left, moved = (axis.ravel() for axis in np.indices((n + 1, n + 1)))
            left, moved = left[moved <= left], moved[moved <= left]
            weights = np.full(len(left), log_factorial[n])
            for count, log in zip((n - left, left - moved, moved), logs, strict=True):
                with np.errstate(invalid="ignore"):
                    weights += np.where(count > 0, count * log, 0.0) - log_factorial[count]
            law = np.exp(weights)
            # what happens less than once in 10^15 draws is left out
            likely = np.flatnonzero(law > 1e-15)
            likely = likely[np.lexsort((left[likely], moved[likely]))]
            summed = np.cumsum(law[likely])
            summed /= summed[-1]
            size = 1 << max(4, math.ceil(math.log2(4 * len(likely))))
            places[table, n] = at, guide_at, size
            guide.append(np.searchsorted(summed, np.arange(size) / size, side="right").astype(np.int32))
            rows.append(np.column_stack([summed, left[likely], moved[likely]]))
            at += len(likely)
            guide_at += size
    return {
        "tables": places,
        "guide": np.concatenate(guide),
        "table_rows": np.concatenate(rows),
    }


@lru_cache(maxsize=1)
def poisson_tables() -> dict[str, npt.NDArray[np.generic]]:
    """Laws of Poisson counts with means 0, STEP, 2·STEP …, and a guide of where to begin looking."""
    means = np.arange(int(LARGEST_MEAN / STEP)) * STEP
    most = int(LARGEST_MEAN + 10 * math.sqrt(LARGEST_MEAN))
    below = pdtr(np.arange(most)[None, :], means[:, None])
    below[:, -1] = 1.0
    starts = np.arange(GUIDES) / GUIDES
    guide = np.array([np.searchsorted(row, starts, side="right") for row in below], dtype=np.int32)
    return {"poisson": below, "poisson_guide": guide}


@inlined
def poisson_count(
    poisson: FloatArray, guide: npt.NDArray[np.int32], key: np.uint64, counter: int, mean: float
) -> int:
    """Poisson count as the sum of two: one of the tabled mean below, looked up, and one of the small rest."""
    if mean >= LARGEST_MEAN:
        return int(poisson_quantile(uniform(key, counter), mean))
    table = int(mean / STEP)
    chance = uniform(key, counter)
    count = guide[table, int(chance * GUIDES)]
    while poisson[table, count] <= chance:
        count += 1
    rest = mean - table * STEP
    chance = uniform(key, RESTS + counter)
    if chance <= 1 - rest:  # which is below the chance of none: nearly always, and without an exponential
        return int(count)
    term = math.exp(-rest)
    below, more = term, 0
    while below <= chance and more < 40:
        more += 1
        term *= rest / more
        below += term
    return int(count + more)


@inlined
def looked_up(
    tables: IntArray,
    guide: npt.NDArray[np.int32],
    rows: FloatArray,
    table: int,
    number: int,
    chance: float,
) -> int:
    """Row of a table of joint moves for a number of deals."""
    at = guide[tables[table, number, GUIDE] + int(chance * tables[table, number, SIZE])]
    row = tables[table, number, START] + at
    while rows[row, UPPER] <= chance:
        row += 1
    return int(row)


@inlined
def drawn(row: IntArray, upper: FloatArray, index: int, chance: float) -> int:
    """Position of the outcome of a row of cumulated chances."""
    at = row[index]
    last = row[index + 1] - 1
    while at < last and upper[at] <= chance:
        at += 1
    return int(at)


@within
def exits(
    week_key: KeyArray,
    role: IntArray,
    cells_of: IntArray,
    cells_from: IntArray,
    cells: IntArray,
    cell_rates: FloatArray,
    row: IntArray,
    to: IntArray,
    upper: FloatArray,
    tables: IntArray,
    guide: npt.NDArray[np.int32],
    table_rows: FloatArray,
    held: IntArray,
    incoming: IntArray,
    won: IntArray,
    knocking: IntArray,
    seats: IntArray,
    desks: FloatArray,
) -> int:
    """Move the deals of all reps by one week; returns how many knock at a door."""
    number_of_cells, entries = held.shape[1], knocking.shape[1]
    knocks = 0
    for rep in range(len(role)):
        first, last = cells_from[role[rep]], cells_from[role[rep] + 1]
        key, backwards, open_deals, time = week_key[rep], False, 0, 0.0
        # from the last cell to the first: deals that move forward come to cells that are done for this week
        for place in range(last - 1, first - 1, -1):
            cell = cells_of[place]
            number = held[rep, cell]
            if number == 0:
                continue
            if cells[cell, TABLE] >= 0:
                left, moved, block, rest = 0, 0, 0, number
                while rest > 0:
                    some = min(rest, BLOCK)
                    chance = uniform(key, entries + cell + number_of_cells * block)
                    found = looked_up(tables, guide, table_rows, cells[cell, TABLE], some, chance)
                    left += int(table_rows[found, LEFT])
                    moved += int(table_rows[found, MOVED])
                    rest -= some
                    block += 1
                held[rep, cell] = number - left
                # no question is asked of what was drawn: branches that nobody can predict cost most of all
                open_deals -= left * cells[cell, OPEN]
                time -= left * cell_rates[cell, TIME]
                where = cells[cell, ONWARD]
                if where < number_of_cells:
                    open_deals += moved * cells[where, OPEN]
                    time += moved * cell_rates[where, TIME]
                    if where > cell:
                        held[rep, where] += moved
                    else:
                        incoming[where] += moved
                        backwards = True
                elif where == number_of_cells:
                    won[rep, cells[cell, SEGMENT]] += moved
                elif where > number_of_cells + 1:
                    knocking[rep, where - number_of_cells - 2] += moved
                    knocks += moved
                continue
            held[rep, cell] = 0
            open_deals -= number * cells[cell, OPEN]
            time -= number * cell_rates[cell, TIME]
            own_key = mixed(key, CELLS + cell)
            for deal in range(number):
                where = to[drawn(row, upper, cell, uniform(own_key, deal))]
                if where < number_of_cells:
                    open_deals += cells[where, OPEN]
                    time += cell_rates[where, TIME]
                    if where > cell:
                        held[rep, where] += 1
                    else:
                        incoming[where] += 1
                        backwards = True
                elif where == number_of_cells:
                    won[rep, cells[cell, SEGMENT]] += 1
                elif where > number_of_cells + 1:
                    knocking[rep, where - number_of_cells - 2] += 1
                    knocks += 1
        if backwards:
            for place in range(first, last):
                cell = cells_of[place]
                held[rep, cell] += incoming[cell]
                incoming[cell] = 0
        seats[rep, AT_WORK] += open_deals
        desks[rep, BUSY] += time
    return knocks


@within
def known_deals(
    trial: int,
    week: int,
    quarter: int,
    rep_key: KeyArray,
    role: IntArray,
    deals: IntArray,
    deal_amount: FloatArray,
    cells: IntArray,
    cell_rates: FloatArray,
    row: IntArray,
    to: IntArray,
    upper: FloatArray,
    entries: IntArray,
    entry_row: IntArray,
    entry_to: IntArray,
    entry_upper: FloatArray,
    focus: FloatArray,
    summed: FloatArray,
    deal_at: IntArray,
    owner: IntArray,
    won: IntArray,
    seats: IntArray,
    desks: FloatArray,
    events: Events,
) -> None:
    """Move the deals that were open at the beginning, one by one, since their amounts may be known.

    Handed over, or back from nurture, they are taken in at once, whether there is room or not: somebody has
    them by name.
    """
    number_of_cells = len(cells)
    for deal in range(len(deals)):
        cell, rep = deal_at[deal], owner[deal]
        if cell < 0:
            continue
        key = mixed(mixed(rep_key[deals[deal, REP]], KNOWN + deal), week)
        seats[rep, AT_WORK] -= cells[cell, OPEN]
        desks[rep, BUSY] -= cell_rates[cell, TIME]
        where = to[drawn(row, upper, cell, uniform(key, 0))]
        counter = 1
        while where > number_of_cells + 1:  # at a door, and perhaps at once at the next
            door = where - number_of_cells - 2
            if entries[door, OF_ROLE] >= 0 and entries[door, OF_ROLE] != role[rep]:
                total = 0.0
                for other in range(len(role)):
                    if role[other] == entries[door, OF_ROLE]:
                        total += desks[other, CAPACITY] * focus[other, door] * desks[other, SKILL]
                    summed[other] = total
                if total == 0.0:
                    if quarter >= 0:
                        events[trial, rep, quarter, TURNED_AWAY] += 1
                    where = number_of_cells + 1
                    break
                rep = int(np.searchsorted(summed, uniform(key, counter) * total, side="right"))
                owner[deal] = rep
            if quarter >= 0:
                events[trial, rep, quarter, LEADS] += 1
            where = entry_to[drawn(entry_row, entry_upper, door, uniform(key, counter + 1))]
            counter += 2
        deal_at[deal] = where if where < number_of_cells else -1
        if where < number_of_cells:
            seats[rep, AT_WORK] += cells[where, OPEN]
            desks[rep, BUSY] += cell_rates[where, TIME]
        elif where == number_of_cells:
            if math.isnan(deal_amount[deal]):
                won[rep, deals[deal, KIND]] += 1
            else:
                deal_at[deal] = -2  # won this week, to be booked


@within
def new_leads(
    week: int,
    factor: float,
    week_key: KeyArray,
    own: FloatArray,
    shared: FloatArray,
    focus: FloatArray,
    desks: FloatArray,
    poisson: FloatArray,
    poisson_guide: npt.NDArray[np.int32],
    arriving: IntArray,
) -> None:
    """Leads that arrive this week; inbound ones are shared out by ramped capacity."""
    reps, entries = focus.shape
    for entry in range(entries):
        rate = own[entry, week]
        if shared[entry, week] > 0.0:
            everyone = 0.0
            for rep in range(reps):
                everyone += desks[rep, CAPACITY] * focus[rep, entry]
            if everyone > 0.0:
                rate += shared[entry, week] / everyone
        if rate == 0.0:
            continue
        for rep in range(reps):
            mean = rate * desks[rep, CAPACITY] * focus[rep, entry] * desks[rep, SKILL] * factor
            if mean > 0.0:
                arriving[rep, entry] += poisson_count(poisson, poisson_guide, week_key[rep], entry, mean)


@within
def route(
    week_key: KeyArray,
    role: IntArray,
    entries: IntArray,
    focus: FloatArray,
    desks: FloatArray,
    knocking: IntArray,
    arriving: IntArray,
    summed: FloatArray,
    events: Events,
    trial: int,
    quarter: int,
    time_of_week: int,
) -> None:
    """Deals at a door come to the same rep, or to one of the role behind it, by ramped capacity, focus and
    skill; where nobody is there to take them they are lost, and counted."""
    reps = len(role)
    for entry in range(len(entries)):
        total = -1.0
        for rep in range(reps):
            number = knocking[rep, entry]
            if number == 0:
                continue
            knocking[rep, entry] = 0
            if entries[entry, OF_ROLE] < 0 or entries[entry, OF_ROLE] == role[rep]:
                arriving[rep, entry] += number
                continue
            if total < 0.0:
                total = 0.0
                for other in range(reps):
                    if role[other] == entries[entry, OF_ROLE]:
                        total += desks[other, CAPACITY] * focus[other, entry] * desks[other, SKILL]
                    summed[other] = total
            if total == 0.0:
                if quarter >= 0:
                    events[trial, rep, quarter, TURNED_AWAY] += number
                continue
            key = mixed(week_key[rep], ROUTING + entry * 16 + time_of_week)
            for deal in range(number):
                place = uniform(key, deal) * total
                low, high = 0, reps - 1
                while low < high:
                    middle = (low + high) // 2
                    if summed[middle] <= place:
                        low = middle + 1
                    else:
                        high = middle
                arriving[low, entry] += 1


@within
def admit(
    rep: int,
    queue: IntArray,
    most_deals: float,
    most_hours: float,
    key: np.uint64,
    cells: IntArray,
    cell_rates: FloatArray,
    entries: IntArray,
    entry_hours: FloatArray,
    entry_row: IntArray,
    entry_to: IntArray,
    entry_upper: FloatArray,
    held: IntArray,
    won: IntArray,
    knocking: IntArray,
    seats: IntArray,
    desks: FloatArray,
) -> int:
    """Admit deals from a rep's queue, (r, e), drawn at random, until it is empty or the next does not fit;
    returns how many knock at another door at once."""
    number_of_cells = len(cells)
    total, kinds, chosen = 0, 0, 0
    for entry in range(len(entries)):
        if queue[rep, entry] > 0:
            total += queue[rep, entry]
            kinds += 1
            chosen = entry
    knocks, counter = 0, 0
    while total > 0:
        if kinds > 1:
            place = int(uniform(key, counter) * total)
            chosen = 0
            while place >= queue[rep, chosen]:
                place -= queue[rep, chosen]
                chosen += 1
        if seats[rep, AT_WORK] + 1 > most_deals or desks[rep, BUSY] + entry_hours[chosen] > most_hours + 1e-9:
            break
        queue[rep, chosen] -= 1
        total -= 1
        where = entries[chosen, OF_CELL]
        if where < 0:
            where = entry_to[drawn(entry_row, entry_upper, chosen, uniform(key, counter + 1))]
        counter += 2
        if where < number_of_cells:
            held[rep, where] += 1
            seats[rep, AT_WORK] += cells[where, OPEN]
            desks[rep, BUSY] += cell_rates[where, TIME]
        elif where == number_of_cells:
            won[rep, entries[chosen, OF_SEGMENT]] += 1
        elif where > number_of_cells + 1:
            knocking[rep, where - number_of_cells - 2] += 1
            knocks += 1
    return knocks


@inlined
def lose_patience(
    rep: int,
    table: int,
    key: np.uint64,
    tables: IntArray,
    guide: npt.NDArray[np.int32],
    table_rows: FloatArray,
    waiting: IntArray,
) -> int:
    """Some of a rep's waiting leads leave; returns how many."""
    total = 0
    for entry in range(waiting.shape[1]):
        rest, block = waiting[rep, entry], 0
        while rest > 0:
            some = min(rest, BLOCK)
            chance = uniform(key, entry + waiting.shape[1] * block)
            gone = int(table_rows[looked_up(tables, guide, table_rows, table, some, chance), LEFT])
            waiting[rep, entry] -= gone
            total += gone
            rest -= some
            block += 1
    return total


@within
def work(
    trial: int,
    quarter: int,
    first_rep: int,
    last_rep: int,
    order: IntArray,
    week_key: KeyArray,
    limits: FloatArray,
    surplus: IntArray,
    present: FloatArray,
    week: int,
    tables: IntArray,
    guide: npt.NDArray[np.int32],
    table_rows: FloatArray,
    cells: IntArray,
    cell_rates: FloatArray,
    entries: IntArray,
    entry_hours: FloatArray,
    entry_row: IntArray,
    entry_to: IntArray,
    entry_upper: FloatArray,
    held: IntArray,
    waiting: IntArray,
    arriving: IntArray,
    won: IntArray,
    knocking: IntArray,
    seats: IntArray,
    desks: FloatArray,
    events: Events,
) -> int:
    """Admission of the waiting, decay, admission of what arrived; what finds no room waits or is lost."""
    doors = len(entries)
    knocks = 0
    for place in range(first_rep, last_rep):
        rep = order[place]
        for entry in range(doors):
            if arriving[rep, entry] > 0 and quarter >= 0:
                events[trial, rep, quarter, LEADS] += arriving[rep, entry]
        most_deals, most_hours = limits[rep, DEALS], limits[rep, HOURS]
        limited = most_deals < math.inf or most_hours < math.inf
        if limited and (seats[rep, VACANT] > 0 or present[week, rep] == 0.0):
            most_deals, most_hours = 0.0, 0.0
        elif limited and surplus[rep, RAMPS] == 1:
            most_deals, most_hours = most_deals * desks[rep, CAPACITY], most_hours * desks[rep, CAPACITY]
        # one kind of deals that all go to one cell need no draws
        door = -1
        if most_hours == math.inf:
            for entry in range(doors):
                if arriving[rep, entry] + waiting[rep, entry] > 0:
                    door = entry if door == -1 else -2
            if door >= 0 and entries[door, OF_CELL] < 0:
                door = -2
            if door == -1:
                continue  # nothing arrives, nothing waits
        if door >= 0:
            cell = entries[door, OF_CELL]
            room = (
                max(int(most_deals + ROUNDING) - seats[rep, AT_WORK], 0) if limited else arriving[rep, door]
            )
            number = min(waiting[rep, door], room)
            waiting[rep, door] -= number
            admitted = number
        else:
            knocks += admit(
                rep, waiting, most_deals, most_hours, mixed(week_key[rep], ADMITTING), cells, cell_rates,
                entries, entry_hours, entry_row, entry_to, entry_upper, held, won, knocking, seats, desks,
            )  # fmt: skip
        if limited and surplus[rep, PATIENCE] >= 0:
            gone = lose_patience(
                rep, surplus[rep, PATIENCE], mixed(week_key[rep], WAITING), tables, guide, table_rows, waiting
            )
            if quarter >= 0:
                events[trial, rep, quarter, GAVE_UP] += gone
        if door >= 0:
            number = min(arriving[rep, door], room - admitted)
            arriving[rep, door] -= number
            admitted += number
            held[rep, cell] += admitted
            seats[rep, AT_WORK] += admitted
            desks[rep, BUSY] += admitted * cell_rates[cell, TIME]
        else:
            knocks += admit(
                rep, arriving, most_deals, most_hours, mixed(week_key[rep], ADMITTING + 1), cells, cell_rates,
                entries, entry_hours, entry_row, entry_to, entry_upper, held, won, knocking, seats, desks,
            )  # fmt: skip
        for entry in range(doors):
            rest = arriving[rep, entry]
            if rest > 0:
                arriving[rep, entry] = 0
                if surplus[rep, WAITS] == 1:
                    waiting[rep, entry] += rest
                elif quarter >= 0:
                    events[trial, rep, quarter, TURNED_AWAY] += rest
    return knocks


@inlined
def deal_size(
    rep_key: np.uint64,
    number: int,
    segment: int,
    size_smooth: npt.NDArray[np.bool_],
    size_tables: FloatArray,
    size_row: IntArray,
    size_upper: FloatArray,
    size_amount: FloatArray,
) -> float:
    """Size of a rep's n-th won deal of a segment."""
    chance = uniform(mixed(rep_key, SIZES + segment), number)
    if size_smooth[segment]:
        return float(table_quantile(size_tables[segment], chance))
    return float(size_amount[drawn(size_row, size_upper, segment, chance)])


@within
def book(
    trial: int,
    week: int,
    part: int,
    worked: int,
    rep_key: KeyArray,
    week_key: KeyArray,
    size_smooth: npt.NDArray[np.bool_],
    size_tables: FloatArray,
    size_row: IntArray,
    size_upper: FloatArray,
    size_amount: FloatArray,
    owner: IntArray,
    deal_amount: FloatArray,
    deal_at: IntArray,
    won: IntArray,
    sizes_drawn: IntArray,
    behaves: bool,
    behaviours: FloatArray,
    quotas: FloatArray,
    seats: IntArray,
    desks: FloatArray,
    out_won: Events,
    out_bookings: FloatArray,
) -> None:
    """Book the week's wins, or hold them over to the next quarter where the quota is out of reach."""
    reps, segments = won.shape
    for rep in range(reps):
        pushes = (
            behaves
            and part >= 0
            and behaviours[PUSH] > 0.0
            and week % WEEKS >= WEEKS - behaviours[PUSH_WEEKS]
            and desks[rep, BOOKED] < behaviours[PUSH_BELOW] * quotas[rep, worked]
        )
        decision = 0
        for segment in range(segments):
            for _ in range(won[rep, segment]):
                amount = deal_size(
                    rep_key[rep],
                    sizes_drawn[rep, segment],
                    segment,
                    size_smooth,
                    size_tables,
                    size_row,
                    size_upper,
                    size_amount,
                )
                sizes_drawn[rep, segment] += 1
                if part < 0:
                    continue
                decision += 1
                if pushes and uniform(mixed(week_key[rep], PUSHING), decision) < behaviours[PUSH]:
                    desks[rep, HELD] += amount
                    seats[rep, HELD_DEALS] += 1
                else:
                    out_won[trial, rep, part] += 1
                    out_bookings[trial, rep, part] += amount
            won[rep, segment] = 0
        for deal in range(len(owner)):
            if deal_at[deal] == -2 and owner[deal] == rep:
                deal_at[deal] = -1
                decision += 1
                if pushes and uniform(mixed(week_key[rep], PUSHING), decision) < behaviours[PUSH]:
                    desks[rep, HELD] += deal_amount[deal]
                    seats[rep, HELD_DEALS] += 1
                else:
                    out_won[trial, rep, part] += 1
                    out_bookings[trial, rep, part] += deal_amount[deal]


@within
def record(
    trial: int,
    quarter: int,
    limits: FloatArray,
    surplus: IntArray,
    waiting: IntArray,
    seats: IntArray,
    desks: FloatArray,
    levels: npt.NDArray[np.float32],
) -> None:
    """Add a week to the means of the quarter; an empty seat uses nothing of its limit."""
    for rep in range(len(limits)):
        queue = 0
        for entry in range(waiting.shape[1]):
            queue += waiting[rep, entry]
        levels[trial, rep, quarter, OPEN_DEALS] += seats[rep, AT_WORK] * (1 / WEEKS)
        if queue > 0:
            levels[trial, rep, quarter, QUEUE] += queue * (1 / WEEKS)
        share = desks[rep, CAPACITY] if surplus[rep, RAMPS] == 1 else 1.0
        if share == 0.0:
            continue
        if limits[rep, DEALS] < math.inf:
            levels[trial, rep, quarter, USED] += seats[rep, AT_WORK] / (limits[rep, DEALS] * share * WEEKS)
        elif limits[rep, HOURS] < math.inf:
            levels[trial, rep, quarter, USED] += desks[rep, BUSY] / (limits[rep, HOURS] * share * WEEKS)


@within
def new_person(
    rep: int,
    week: int,
    rep_key: KeyArray,
    successor_table: int,
    skill_quantiles: FloatArray,
    seats: IntArray,
    desks: FloatArray,
) -> None:
    """A successor starts in a seat."""
    seats[rep, PEOPLE] += 1
    seats[rep, STARTED] = week
    seats[rep, MISSED] = 0
    desks[rep, SKILL] = 1.0
    if successor_table >= 0:
        chance = uniform(mixed(rep_key[rep], SKILLS), seats[rep, PEOPLE])
        desks[rep, SKILL] = gamma_quantile(skill_quantiles[successor_table], chance)


@within
def person_leaves(
    rep: int,
    kept: float,
    week_key: KeyArray,
    cells: IntArray,
    cell_rates: FloatArray,
    owner: IntArray,
    held: IntArray,
    waiting: IntArray,
    deal_at: IntArray,
    seats: IntArray,
    desks: FloatArray,
) -> None:
    """Some of a leaver's deals, waiting ones as well, are lost."""
    key = mixed(week_key[rep], LEAVING)
    number = 0
    for cell in range(len(cells)):
        if cells[cell, OPEN] == 0:
            continue
        for _ in range(held[rep, cell]):
            number += 1
            if uniform(key, number) >= kept:
                held[rep, cell] -= 1
                seats[rep, AT_WORK] -= 1
                desks[rep, BUSY] -= cell_rates[cell, TIME]
    for entry in range(waiting.shape[1]):
        for _ in range(waiting[rep, entry]):
            number += 1
            if uniform(key, number) >= kept:
                waiting[rep, entry] -= 1
    for deal in range(len(owner)):
        cell = deal_at[deal]
        if owner[deal] == rep and cell >= 0 and cells[cell, OPEN] == 1:
            number += 1
            if uniform(key, number) >= kept:
                deal_at[deal] = -1
                seats[rep, AT_WORK] -= 1
                desks[rep, BUSY] -= cell_rates[cell, TIME]


@within
def people(
    trial: int,
    week: int,
    quarter: int,
    role: IntArray,
    roles: FloatArray,
    present: FloatArray,
    time_to_sell: FloatArray,
    ramp: FloatArray,
    rep_key: KeyArray,
    week_key: KeyArray,
    successor_table: int,
    skill_quantiles: FloatArray,
    cells: IntArray,
    cell_rates: FloatArray,
    owner: IntArray,
    held: IntArray,
    waiting: IntArray,
    deal_at: IntArray,
    seats: IntArray,
    desks: FloatArray,
    events: Events,
) -> None:
    """Who is there this week, and with what capacity."""
    for rep in range(len(role)):
        rules = roles[role[rep]]
        begins = False
        if seats[rep, VACANT] > 0:
            seats[rep, VACANT] -= 1
            begins = seats[rep, VACANT] == 0
        elif rules[LEAVE] > 0 and present[week, rep] > 0 and uniform(week_key[rep], LEAVING) < rules[LEAVE]:
            if quarter >= 0:
                events[trial, rep, quarter, DEPARTURES] += 1
            person_leaves(
                rep, rules[KEPT], week_key, cells, cell_rates, owner, held, waiting, deal_at, seats, desks
            )
            seats[rep, VACANT] = int(rules[BACKFILL])
            begins = seats[rep, VACANT] == 0
        if begins:
            new_person(rep, week, rep_key, successor_table, skill_quantiles, seats, desks)
        if seats[rep, VACANT] > 0:
            desks[rep, CAPACITY] = 0.0
        elif seats[rep, PEOPLE] > 0:
            ramped = ramp[role[rep], week - seats[rep, STARTED]]
            desks[rep, CAPACITY] = ramped * present[week, rep] * time_to_sell[week, rep]


@within
def booked_in(bookings: FloatArray, trial: int, rep: int, quarter: int, parts: int) -> float:
    """Bookings of a rep in a quarter of the horizon so far."""
    total = 0.0
    for part in range(quarter * parts, (quarter + 1) * parts):
        total += bookings[trial, rep, part]
    return total


@within
def pull_forward(
    trial: int,
    part: int,
    rep: int,
    behaviours: FloatArray,
    rep_key: KeyArray,
    week_key: KeyArray,
    cells: IntArray,
    cell_rates: FloatArray,
    size_smooth: npt.NDArray[np.bool_],
    size_tables: FloatArray,
    size_row: IntArray,
    size_upper: FloatArray,
    size_amount: FloatArray,
    deals: IntArray,
    owner: IntArray,
    deal_amount: FloatArray,
    deal_at: IntArray,
    held: IntArray,
    sizes_drawn: IntArray,
    seats: IntArray,
    desks: FloatArray,
    out_won: Events,
    out_bookings: FloatArray,
) -> None:
    """Close deals of the last stage early, at a discount."""
    key = mixed(week_key[rep], PULLING)
    number = 0
    for cell in range(len(cells)):
        segment, win = cells[cell, SEGMENT], cell_rates[cell, LAST]
        if win < 0.0:
            continue
        for _ in range(held[rep, cell]):
            number += 2
            if uniform(key, number) >= behaviours[PULL]:
                continue
            held[rep, cell] -= 1
            seats[rep, AT_WORK] -= 1
            desks[rep, BUSY] -= cell_rates[cell, TIME]
            if uniform(key, number + 1) < win:
                amount = deal_size(
                    rep_key[rep],
                    sizes_drawn[rep, segment],
                    segment,
                    size_smooth,
                    size_tables,
                    size_row,
                    size_upper,
                    size_amount,
                )
                sizes_drawn[rep, segment] += 1
                out_won[trial, rep, part] += 1
                out_bookings[trial, rep, part] += amount * (1 - behaviours[PULL_DISCOUNT])
    for deal in range(len(deals)):
        cell, segment = deal_at[deal], deals[deal, KIND]
        if owner[deal] != rep or cell < 0 or cell_rates[cell, LAST] < 0.0:
            continue
        number += 2
        if uniform(key, number) >= behaviours[PULL]:
            continue
        deal_at[deal] = -1
        seats[rep, AT_WORK] -= 1
        desks[rep, BUSY] -= cell_rates[cell, TIME]
        if uniform(key, number + 1) < cell_rates[cell, LAST]:
            amount = deal_amount[deal]
            if math.isnan(amount):
                amount = deal_size(
                    rep_key[rep],
                    sizes_drawn[rep, segment],
                    segment,
                    size_smooth,
                    size_tables,
                    size_row,
                    size_upper,
                    size_amount,
                )
                sizes_drawn[rep, segment] += 1
            out_won[trial, rep, part] += 1
            out_bookings[trial, rep, part] += amount * (1 - behaviours[PULL_DISCOUNT])


@within
def begin(
    trial: int,
    market: FloatArray,
    market_key: KeyArray,
    level_key: np.uint64,
    first_key: KeyArray,
    skill_mean: FloatArray,
    skill_table: IntArray,
    skill_quantiles: FloatArray,
    deals: IntArray,
    deal_row: IntArray,
    deal_cell: IntArray,
    deal_upper: FloatArray,
    cells: IntArray,
    cell_rates: FloatArray,
    rep_key: KeyArray,
    shock: FloatArray,
    deal_at: IntArray,
    seats: IntArray,
    desks: FloatArray,
) -> None:
    """Draw what holds for a whole trial: market, skills, and where the open deals are."""
    level = 1.0
    if market[LEVEL] > 0.0:
        level = math.exp(
            market[LEVEL] * normal_quantile(uniform(level_key, trial)) - market[LEVEL] * market[LEVEL] / 2
        )
    score = 0.0
    for quarter in range(len(market_key)):
        shock[quarter] = level
        if market[SHOCK] > 0.0:
            fresh = normal_quantile(uniform(market_key[quarter], trial))
            rho = market[PERSISTENCE] if quarter > 0 else 0.0
            score = rho * score + math.sqrt(1 - rho * rho) * fresh
            shock[quarter] *= math.exp(market[SHOCK] * score - market[SHOCK] * market[SHOCK] / 2)
    for rep in range(len(first_key)):
        rep_key[rep] = mixed(first_key[rep], trial)
        desks[rep, SKILL] = skill_mean[rep]
        if skill_table[rep] >= 0:
            chance = uniform(mixed(rep_key[rep], SKILLS), 0)
            desks[rep, SKILL] *= gamma_quantile(skill_quantiles[skill_table[rep]], chance)
    for deal in range(len(deals)):
        deal_at[deal] = -1
        if deal_row[deal + 1] > deal_row[deal]:
            rep = deals[deal, REP]
            chance = uniform(mixed(rep_key[rep], KNOWN + deal), 0)
            cell = deal_cell[drawn(deal_row, deal_upper, deal, chance)]
            deal_at[deal] = cell
            seats[rep, AT_WORK] += cells[cell, OPEN]
            desks[rep, BUSY] += cell_rates[cell, TIME]


@compiled
def run(world: World, out: Counts, start: int, stop: int) -> None:
    """Simulate trials ``start`` to ``stop``."""
    role, order, group_from, quarter_of, part_of = (
        world.role, world.order, world.group_from, world.quarter, world.part,
    )  # fmt: skip
    capacity, present, time_to_sell, ramp, roles = (
        world.capacity, world.present, world.time_to_sell, world.ramp, world.roles,
    )  # fmt: skip
    skill_quantiles, successor_table = world.skill_quantiles, world.successor_table
    skill_mean, skill_table = world.skill_mean, world.skill_table
    limits, surplus, own, shared, focus = world.limits, world.surplus, world.own, world.shared, world.focus
    cells, cell_rates, row, to, upper = world.cells, world.cell_rates, world.row, world.to, world.upper
    cells_of, cells_from, entries = world.cells_of, world.cells_from, world.entries
    entry_hours, entry_row, entry_to, entry_upper = (
        world.entry_hours, world.entry_row, world.entry_to, world.entry_upper,
    )  # fmt: skip
    tables, guide, table_rows = world.tables, world.guide, world.table_rows
    poisson, poisson_guide = world.poisson, world.poisson_guide
    deals, deal_amount, deal_row = world.deals, world.deal_amount, world.deal_row
    deal_cell, deal_upper = world.deal_cell, world.deal_upper
    size_smooth, size_tables, size_row, size_upper, size_amount = (
        world.size_smooth, world.size_tables, world.size_row, world.size_upper, world.size_amount,
    )  # fmt: skip
    market, quotas, behaviours, behaves = world.market, world.quotas, world.behaviours, world.behaves
    first_key, market_key, level_key = world.rep_key, world.market_key, world.level_key
    out_won, out_bookings, events, levels = out.won, out.bookings, out.events, out.levels

    reps, weeks, doors = len(role), len(quarter_of), len(entries)
    parts = out_won.shape[2] // events.shape[2]
    held = np.zeros((reps, len(cells)), dtype=np.int64)
    waiting, arriving = np.zeros((reps, doors), dtype=np.int64), np.zeros((reps, doors), dtype=np.int64)
    knocking, incoming = np.zeros((reps, doors), dtype=np.int64), np.zeros(len(cells), dtype=np.int64)
    won = np.zeros((reps, len(size_smooth)), dtype=np.int64)
    sizes_drawn = np.zeros((reps, len(size_smooth)), dtype=np.int64)
    seats, desks = np.zeros((reps, 6), dtype=np.int64), np.zeros((reps, 5))
    shock = np.zeros(len(market_key))
    deal_at, owner = np.zeros(len(deals), dtype=np.int64), np.zeros(len(deals), dtype=np.int64)
    rep_key, week_key = np.zeros(reps, dtype=np.uint64), np.zeros(reps, dtype=np.uint64)
    summed = np.zeros(reps)
    for trial in range(start, stop):
        held[:] = 0
        waiting[:] = 0
        arriving[:] = 0
        sizes_drawn[:] = 0
        seats[:] = 0
        desks[:] = 0.0
        owner[:] = deals[:, REP]
        begin(
            trial, market, market_key, level_key, first_key, skill_mean, skill_table, skill_quantiles, deals,
            deal_row, deal_cell, deal_upper, cells, cell_rates, rep_key, shock, deal_at, seats, desks,
        )  # fmt: skip
        for week in range(weeks):
            part = part_of[week]
            quarter = quarter_of[week] - world.before if part >= 0 else -1
            for rep in range(reps):
                week_key[rep] = mixed(rep_key[rep], week)
                desks[rep, CAPACITY] = capacity[week, rep]
            if world.people_change:
                people(
                    trial, week, quarter, role, roles, present, time_to_sell, ramp, rep_key, week_key,
                    successor_table, skill_quantiles, cells, cell_rates, owner, held, waiting, deal_at, seats,
                    desks, events,
                )  # fmt: skip
            if behaves and part >= 0:
                for rep in range(reps):
                    if week % WEEKS == 0:  # what was held over from the quarter before
                        out_won[trial, rep, part] += seats[rep, HELD_DEALS]
                        out_bookings[trial, rep, part] += desks[rep, HELD]
                        seats[rep, HELD_DEALS] = 0
                        desks[rep, HELD] = 0.0
                    desks[rep, BOOKED] = booked_in(out_bookings, trial, rep, quarter, parts)
            knocks = exits(
                week_key, role, cells_of, cells_from, cells, cell_rates, row, to, upper, tables, guide,
                table_rows, held, incoming, won, knocking, seats, desks,
            )  # fmt: skip
            if len(deals) > 0:
                known_deals(
                    trial, week, quarter, rep_key, role, deals, deal_amount, cells, cell_rates, row, to,
                    upper, entries, entry_row, entry_to, entry_upper, focus, summed, deal_at, owner, won,
                    seats, desks, events,
                )  # fmt: skip
            new_leads(
                week, shock[quarter_of[week]], week_key, own, shared, focus, desks, poisson, poisson_guide,
                arriving,
            )  # fmt: skip
            for group in range(len(group_from) - 1):
                if knocks > 0:
                    route(
                        week_key, role, entries, focus, desks, knocking, arriving, summed, events, trial,
                        quarter, group,
                    )  # fmt: skip
                knocks = work(
                    trial, quarter, group_from[group], group_from[group + 1], order, week_key, limits,
                    surplus, present, week, tables, guide, table_rows, cells, cell_rates,
                    entries, entry_hours, entry_row, entry_to, entry_upper, held, waiting, arriving, won,
                    knocking, seats, desks, events,
                )  # fmt: skip
            if knocks > 0:  # passed on at once by the last role: they arrive next week
                route(
                    week_key,
                    role,
                    entries,
                    focus,
                    desks,
                    knocking,
                    arriving,
                    summed,
                    events,
                    trial,
                    quarter,
                    15,
                )
            book(
                trial, week, part, quarter_of[week], rep_key, week_key, size_smooth, size_tables, size_row,
                size_upper, size_amount, owner, deal_amount, deal_at, won, sizes_drawn, behaves, behaviours,
                quotas, seats, desks, out_won, out_bookings,
            )  # fmt: skip
            if part < 0:
                continue
            record(trial, quarter, limits, surplus, waiting, seats, desks, levels)
            if not behaves or week % WEEKS != WEEKS - 1:
                continue
            for rep in range(reps):
                quota = quotas[rep, quarter_of[week]]
                if not quota > 0.0:  # no quota, no behaviour
                    continue
                reached = booked_in(out_bookings, trial, rep, quarter, parts) / quota
                at = behaviours[PULL_AT]
                if behaviours[PULL] > 0.0 and at - behaviours[PULL_WITHIN] <= reached < at:
                    pull_forward(
                        trial, part, rep, behaviours, rep_key, week_key, cells, cell_rates, size_smooth,
                        size_tables, size_row, size_upper, size_amount, deals, owner, deal_amount, deal_at,
                        held, sizes_drawn, seats, desks, out_won, out_bookings,
                    )  # fmt: skip
                    reached = booked_in(out_bookings, trial, rep, quarter, parts) / quota
                seats[rep, MISSED] = seats[rep, MISSED] + 1 if reached < 1 else 0
                if (
                    behaviours[MISSES_LEAVE] > 0.0
                    and seats[rep, VACANT] == 0
                    and seats[rep, MISSED] >= behaviours[MISSES]
                    and uniform(week_key[rep], MISSING) < behaviours[MISSES_LEAVE]
                ):
                    rules = roles[role[rep]]
                    events[trial, rep, quarter, DEPARTURES] += 1
                    person_leaves(
                        rep,
                        rules[KEPT],
                        week_key,
                        cells,
                        cell_rates,
                        deals,
                        held,
                        waiting,
                        deal_at,
                        seats,
                        desks,
                    )
                    # counted from next week on, so that the week after the quarter is the first without them
                    seats[rep, VACANT] = int(rules[BACKFILL]) + 1
