"""The flow engine: whole weeks of work, for what no formula holds [A5, A6, C3, D1].

Where reps can only work on so much at once, hand deals on, leave and are replaced, or react to their quotas,
deals are no longer independent of each other. This engine moves counts of deals from week to week: how many
of a rep's deals in a stage leave it, and where to, is drawn at once. Time in a stage may have any law: its
hazard by age is in the cells of the :mod:`journey <salessim.engine.journey>`.

Order within a week: people leave and start; deals of all reps leave their stages; then, role by role in the
order of hand-over: admission of the waiting, decay of those still waiting, arrivals (new leads, deals handed
over, leads back from nurture), admission of these as far as there is room. Where several kinds of deals wait,
the next to be admitted is drawn at random; admission ends at the first that does not fit.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from salessim.engine.journey import Lane, lane_of, open_deal
from salessim.engine.rates import focus_of, source_rates
from salessim.engine.thinning import SampledOutcome
from salessim.errors import EngineError
from salessim.model import Capacity, Role, Scenario, Segment, Source
from salessim.periods import MONTH_OF_WEEK, WEEKS_PER_QUARTER

if TYPE_CHECKING:
    import xarray

    from salessim.engine.flow_kernel import Counts, World

__all__ = ["FlowOutcome", "flow", "lanes_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

CHUNK = 256
#: Arrays of whole numbers that may be empty, which NumPy would then take for floats.
WHOLE = (
    "cells",
    "row",
    "to",
    "cells_of",
    "entries",
    "entry_row",
    "entry_to",
    "deals",
    "deal_row",
    "deal_cell",
)


def flow(
    scenario: Scenario,
    *,
    trials: int,
    seed: int,
    threads: int = 1,
    chunk: int = CHUNK,
    by_month: bool = False,
    quotas: npt.ArrayLike | None = None,
    why: str = "simulated week by week, as asked for",
) -> FlowOutcome:
    """Simulate a scenario many times, week by week.

    Args:
        scenario: the world.
        trials: number of simulated horizons, at least 1.
        seed: the same seed gives the same numbers, whatever ``threads`` and ``chunk`` are.
        threads: how many chunks are worked on at once.
        chunk: trials per piece of work; sets nothing but memory and balance.
        by_month: also keep what each month brought.
        quotas: quota of each rep in each quarter of the horizon, (reps, quarters), NaN where there is none;
            needed by (and only by) a scenario with behaviours.
        why: reason for taking this engine, kept in the outcome.

    Returns:
        The outcome with its trials.

    >>> from salessim.library import example_scenario
    >>> outcome = flow(example_scenario(), trials=8, seed=1)
    >>> outcome.bookings.shape, outcome.engine
    ((8, 12, 4), 'flow')
    """
    if trials < 1:
        raise EngineError(f"trials is {trials}; it must be at least 1")
    if threads < 1 or chunk < 1:
        raise EngineError(f"threads is {threads} and chunk is {chunk}; both must be at least 1")
    from salessim.engine import flow_kernel

    world = _world(scenario, seed=seed, by_month=by_month, quotas=quotas)
    parts = 3 if by_month else 1
    horizon = scenario.calendar.quarters
    seats = (trials, len(world.role))
    out = flow_kernel.Counts(
        won=np.zeros((*seats, horizon * parts), dtype=np.int32),
        bookings=np.zeros((*seats, horizon * parts)),
        events=np.zeros((*seats, horizon, 4), dtype=np.int32),
        levels=np.zeros((*seats, horizon, 3), dtype=np.float32),
    )

    def work(start: int) -> None:
        flow_kernel.run(world, out, start, min(start + chunk, trials))

    starts = range(0, trials, chunk)
    if threads == 1 or len(starts) == 1:
        for start in starts:
            work(start)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, starts))
    return FlowOutcome(scenario, out, parts=parts, seed=seed, why=why)


class FlowOutcome(SampledOutcome):
    """Bookings counted over horizons simulated week by week, with what happened on the way.

    Arrays have the axes trial, rep, period (quarter). Where people leave and are replaced, a rep is a seat.
    """

    engine = "flow"

    leads: npt.NDArray[np.int32]
    """Leads that arrived at the rep: new ones, handed over, or back from nurture."""
    turned_away: npt.NDArray[np.int32]
    """Leads lost at once: there was no room, or nobody of the role that they were handed to."""
    gave_up: npt.NDArray[np.int32]
    """Leads that lost patience while they waited."""
    departures: npt.NDArray[np.int32]
    """People who left the seat."""
    open_deals: npt.NDArray[np.float32]
    """Mean number of deals that the rep worked on."""
    waiting: npt.NDArray[np.float32]
    """Mean number of leads that waited for the rep."""
    used: npt.NDArray[np.float32]
    """Mean share of the rep's capacity limit that was in use; NaN for reps without a limit."""

    def __init__(self, scenario: Scenario, counts: Counts, *, parts: int, seed: int, why: str) -> None:
        shape = (*counts.events.shape[:3], parts)
        super().__init__(
            scenario, won=counts.won.reshape(shape), bookings=counts.bookings.reshape(shape), seed=seed
        )
        self.why = why
        self.leads, self.turned_away, self.gave_up, self.departures = np.moveaxis(counts.events, 3, 0)
        self.open_deals, self.waiting, used = np.moveaxis(counts.levels, 3, 0)
        limited = np.array([scenario.role(rep.role).capacity is not None for rep in scenario.team()])
        self.used = np.where(limited[:, None], used, np.float32("nan"))

    def to_dataset(self) -> xarray.Dataset:
        """The trials as an xarray Dataset with axes trial, rep, period."""
        names = ("leads", "turned_away", "gave_up", "departures", "open_deals", "waiting", "used")
        axes = ("trial", "rep", "period")
        return super().to_dataset().assign({name: (axes, getattr(self, name)) for name in names})


def lanes_of(scenario: Scenario, *, weeks: int) -> list[tuple[int, list[Source], Lane]]:
    """Leads that travel alike: position of the segment, its sources, and their chain; a segment without
    sources, or whose open deals are listed, has a lane for those."""
    found: list[tuple[int, list[Source], Lane]] = []
    for index, segment in enumerate(scenario.segments):
        alike: dict[tuple[object, ...], list[Source]] = {}
        if any(deal.segment == segment.name for deal in scenario.pipeline):
            alike[_travel(segment, None)] = []
        for source in segment.sources:
            alike.setdefault(_travel(segment, source), []).append(source)
        for sources in alike.values():
            lane = lane_of(segment, sources[0] if sources else None, weeks=weeks)
            found.append((index, sources, lane))
    return found


def _travel(segment: Segment, source: Source | None) -> tuple[object, ...]:
    """What makes leads travel alike."""
    if source is None:
        return ((), 1.0, segment.ready_share_of(None))
    return (tuple(sorted(source.conversions.items())), source.cycle_factor, segment.ready_share_of(source))


def _world(scenario: Scenario, *, seed: int, by_month: bool, quotas: npt.ArrayLike | None) -> World:
    from salessim.engine.draws import key_of
    from salessim.engine.flow_kernel import World, move_tables, poisson_tables
    from salessim.engine.thinning_kernels import sizes_of, skill_table

    team, calendar, market = scenario.team(), scenario.calendar, scenario.market
    worked = calendar.worked_periods()
    before, weeks = calendar.quarters_before, len(worked) * WEEKS_PER_QUARTER
    roles = [role.name for role in scenario.roles]
    role_of = np.array([roles.index(rep.role) for rep in team])
    oldest = max((deal.weeks_in_stage for deal in scenario.pipeline), default=0)
    lanes = lanes_of(scenario, weeks=weeks + oldest + 2)  # ages that an open deal can still reach

    journeys = _Journeys(scenario, lanes, weeks=weeks)
    tables = _Tables()
    moving = [tables.of_cell(*cell) for cell in journeys.moves_alike()]
    limits = [scenario.role(rep.role).capacity for rep in team]
    leaves = [limit.leave_per_week if limit else 0.0 for limit in limits]
    patience = np.array([tables.of(share, 0.0) if share > 0 else -1 for share in leaves])

    spreads = [market.skill_cv if rep.skill_cv is None else rep.skill_cv for rep in team]
    laws = sorted({cv for cv in (*spreads, market.skill_cv) if cv > 0})
    along = np.array(_role_order(scenario, roles))[role_of]  # how far along the stages each rep stands
    part_of_week = np.full(weeks, -1)
    for week in range(before * WEEKS_PER_QUARTER, weeks):
        quarter = week // WEEKS_PER_QUARTER - before
        month = MONTH_OF_WEEK[week % WEEKS_PER_QUARTER]
        part_of_week[week] = quarter * 3 + month if by_month else quarter

    behaves = scenario.behaviours
    given = np.full((len(team), len(worked)), np.nan)
    if quotas is not None:
        amounts = np.asarray(quotas, dtype=np.float64)
        if amounts.shape != (len(team), calendar.quarters):
            raise EngineError(
                f"quotas have the shape {amounts.shape}; it must be {(len(team), calendar.quarters)}: "
                "one amount for each rep and quarter"
            )
        given[:, before:] = amounts
    elif behaves.any:
        raise EngineError(
            f"scenario '{scenario.name}' has behaviours, which depend on quotas: give the quota of each rep "
            "and quarter, or leave the behaviours out"
        )
    pull, push, misses = behaves.pull_forward, behaves.push_back, behaves.leave_after_misses
    deals = _OpenDeals(scenario, lanes, journeys, weeks=weeks)
    sizes = sizes_of([segment.deal_size for segment in scenario.segments])
    return _exactly(
        World(
            role=role_of,
            order=np.argsort(along, kind="stable"),
            group_from=np.append(np.unique(np.sort(along), return_index=True)[1], len(team)),
            capacity=scenario.capacity(worked).T.copy(),
            present=scenario.headcount(worked).T.copy(),
            time_to_sell=scenario.time_to_sell(worked).T.copy(),
            ramp=np.array([role.ramp.productivity(np.arange(weeks)) for role in scenario.roles]),
            roles=np.array([_rules(role) for role in scenario.roles]),
            skill_mean=np.array([rep.skill_mean for rep in team]),
            skill_table=np.array([laws.index(cv) if cv > 0 else -1 for cv in spreads]),
            successor_table=laws.index(market.skill_cv) if market.skill_cv > 0 else -1,
            skill_quantiles=np.array([skill_table(1 / cv**2) for cv in laws]).reshape(
                len(laws), -1 if laws else 0
            ),
            limits=np.array([_limits(limit) for limit in limits]),
            surplus=np.column_stack(
                [
                    [int(bool(limit and limit.ramps)) for limit in limits],
                    [int(bool(limit and limit.surplus == "waits")) for limit in limits],
                    patience,
                ]
            ),
            own=journeys.own,
            shared=journeys.shared,
            focus=journeys.focus,
            cells=np.column_stack([journeys.cell_segment, journeys.cell_open, moving, journeys.onward]),
            cell_rates=np.column_stack([journeys.cell_hours, journeys.cell_last]),
            row=journeys.row,
            to=journeys.to,
            upper=journeys.upper,
            cells_of=np.concatenate([journeys.cells_of_role(name) for name in roles]),
            cells_from=np.cumsum([0] + [len(journeys.cells_of_role(name)) for name in roles]),
            entries=np.column_stack(
                [
                    journeys.entry_segment,
                    [-1 if name is None else roles.index(name) for name in journeys.entry_role],
                    journeys.entry_cell,
                ]
            ),
            entry_hours=journeys.entry_hours,
            entry_row=journeys.entry_row,
            entry_to=journeys.entry_to,
            entry_upper=journeys.entry_upper,
            **move_tables(tables.chances),  # type: ignore[arg-type]
            **poisson_tables(),  # type: ignore[arg-type]
            deals=np.array([deals.rep, deals.segment], dtype=np.int64).T.copy(),
            deal_amount=np.array(deals.amount, dtype=np.float64),
            deal_row=deals.row,
            deal_cell=deals.cell,
            deal_upper=deals.upper,
            size_smooth=sizes.smooth,
            size_tables=sizes.tables,
            size_row=sizes.first,
            size_upper=sizes.edges,
            size_amount=sizes.amounts,
            quarter=np.arange(weeks) // WEEKS_PER_QUARTER,
            before=before,
            part=part_of_week,
            market=np.array(
                [
                    math.sqrt(math.log1p(market.shock_cv**2)),
                    market.shock_persistence,
                    math.sqrt(math.log1p(market.level_cv**2)),
                ]
            ),
            quotas=given,
            behaviours=np.array(
                [
                    *((pull.share, pull.accelerator_at, pull.within, pull.discount) if pull else [0.0] * 4),
                    *((push.share, push.below, push.weeks) if push else [0.0] * 3),
                    *((misses.misses, misses.share) if misses else [0.0] * 2),
                ]
            ),
            behaves=behaves.any,
            people_change=bool(misses or any(role.attrition_per_year > 0 for role in scenario.roles)),
            rep_key=np.array([key_of(seed, "rep", rep.name) for rep in team], dtype=np.uint64),
            market_key=np.array(
                [key_of(seed, "market", str(quarter)) for quarter in worked], dtype=np.uint64
            ),
            level_key=key_of(seed, "level"),
        )
    )


def _exactly(world: World) -> World:
    """The same with every array contiguous and of one of the types that the kernel is compiled for."""
    kinds = {"i": np.int64, "f": np.float64}
    fields = {
        name: np.ascontiguousarray(value, dtype=kinds.get(value.dtype.kind, value.dtype))
        for name, value in world._asdict().items()
        if isinstance(value, np.ndarray) and name not in ("guide", "poisson_guide", *WHOLE)
    }
    whole = {name: np.ascontiguousarray(getattr(world, name), dtype=np.int64) for name in WHOLE}
    return world._replace(**fields, **whole)  # type: ignore[arg-type]


def _rules(role: Role) -> list[float]:
    """Chance to leave in a week, weeks to backfill, share of a leaver's deals that go on."""
    backfill = role.hiring_lead_weeks if role.backfill_weeks is None else role.backfill_weeks
    return [1 - (1 - role.attrition_per_year) ** (1 / 52), backfill, role.open_deals_kept]


def _limits(limit: Capacity | None) -> list[float]:
    """Most deals and most hours; infinite where there is no such limit."""
    if limit is None:
        return [math.inf, math.inf]
    return [
        math.inf if limit.open_deals is None else limit.open_deals,
        math.inf if limit.hours_per_week is None else limit.hours_per_week,
    ]


class _Tables:
    """Tables of joint moves, one for each pair of chances."""

    def __init__(self) -> None:
        self.chances: list[tuple[float, float]] = []

    def of(self, leave: float, move: float) -> int:
        if (leave, move) not in self.chances:
            self.chances.append((leave, move))
        return self.chances.index((leave, move))

    def of_cell(self, leave: float, move: float) -> int:
        return -1 if math.isnan(leave) else self.of(leave, move)


class _Journeys:
    """The lanes of all segments in one numbering of cells and entries."""

    def __init__(
        self, scenario: Scenario, lanes: list[tuple[int, list[Source], Lane]], *, weeks: int
    ) -> None:
        segments = scenario.segments
        cells = sum(lane.cells for _, _, lane in lanes)
        self.first_cell = np.cumsum([0] + [lane.cells for _, _, lane in lanes])
        first_entry = np.cumsum([0] + [len(lane.entries) for _, _, lane in lanes])
        moves: list[list[tuple[int, float]]] = []
        enters: list[list[tuple[int, float]]] = []
        segment_of, stage_of, role_of = [], [], []
        self.entry_role: list[str | None] = []
        entry_segment, entry_hours = [], []
        own, shared, focus = [], [], []
        last = []
        for number, (index, sources, lane) in enumerate(lanes):
            segment = segments[index]
            cell_at, entry_at = int(self.first_cell[number]), int(first_entry[number])
            columns = [*range(cell_at, cell_at + lane.cells), cells, cells + 1]
            columns += range(cells + 2 + entry_at, cells + 2 + entry_at + len(lane.entries))
            for matrix, rows in ((lane.moves, moves), (lane.enters, enters)):
                for chances in matrix:
                    rows.append([(columns[k], float(chances[k])) for k in np.flatnonzero(chances > 0)])
            journey = segment.journey(sources[0] if sources else None)
            for stage, ready in zip(lane.stage, lane.ready, strict=True):
                segment_of.append(index)
                stage_of.append(int(stage))
                role_of.append(segment.stages[stage].role if stage >= 0 else None)
                is_last = stage == len(segment.stages) - 1
                row = stage if ready else stage + len(segment.stages)
                last.append(journey[row, -2] if is_last else -1.0)
            rates = dict(zip([s.name for s in segment.sources], source_rates(scenario, segment), strict=True))
            new = {kind: np.zeros(weeks) for kind in (True, False)}
            for source in sources:
                new[source.kind == "self-sourced"] += rates[source.name]
            for entry, start in zip(lane.entries, lane.start, strict=True):
                stage_entered = segment.stages[entry.stage]
                self.entry_role.append(stage_entered.role)
                entry_segment.append(index)
                entry_hours.append(stage_entered.hours_per_week)
                own.append(new[True] * start)
                shared.append(new[False] * start)
                focus.append(focus_of(scenario, segment, stage=entry.stage))
        self.cell_segment = np.array(segment_of)
        self.cell_role = role_of
        self.cell_open = np.array([int(stage >= 0) for stage in stage_of])
        self.cell_hours = np.array(
            [
                segments[index].stages[stage].hours_per_week if stage >= 0 else 0.0
                for index, stage in zip(segment_of, stage_of, strict=True)
            ]
        )
        self.cell_last = np.array(last)
        doors = len(self.entry_role)  # none where a world has no leads at all
        self.own, self.shared = np.array(own).reshape(doors, weeks), np.array(shared).reshape(doors, weeks)
        self.focus = np.array(focus).reshape(doors, len(scenario.team())).T
        self.entry_segment, self.entry_hours = np.array(entry_segment), np.array(entry_hours)
        self.row, self.to, self.upper = _cumulated(moves)
        self.entry_row, self.entry_to, self.entry_upper = _cumulated(enters)
        self.entry_cell = np.array(
            [row[0][0] if len(row) == 1 and row[0][0] < cells else -1 for row in enters]
        )
        self._moves = moves
        self.onward = np.array([self._alike(cell)[2] for cell in range(cells)])

    def moves_alike(self) -> list[tuple[float, float]]:
        """For each cell the chance to leave it, and the share of those that moves on, where deals stay in the
        cell, move on to one place, or are lost; NaN for all other cells."""
        return [self._alike(cell)[:2] for cell in range(len(self._moves))]

    def _alike(self, cell: int) -> tuple[float, float, int]:
        outcomes = dict(self._moves[cell])
        lost = outcomes.pop(len(self._moves) + 1, 0.0)
        stays = outcomes.pop(cell, 0.0)
        if stays == 0 or stays >= 1 or len(outcomes) > 1:
            return math.nan, math.nan, len(self._moves) + 1
        where, moves = next(iter(outcomes.items()), (len(self._moves) + 1, 0.0))
        return 1 - stays, moves / (moves + lost), where

    def cells_of_role(self, name: str) -> IntArray:
        """Cells that reps of a role can hold: those of its stages, and nurture."""
        return np.array(
            [cell for cell, role in enumerate(self.cell_role) if role in (None, name)], dtype=np.int64
        )


class _OpenDeals:
    """The listed open deals, one by one, each with the cells it may be in."""

    def __init__(
        self,
        scenario: Scenario,
        lanes: list[tuple[int, list[Source], Lane]],
        journeys: _Journeys,
        *,
        weeks: int,
    ) -> None:
        team = [rep.name for rep in scenario.team()]
        names = [segment.name for segment in scenario.segments]
        self.rep: list[int] = []
        self.segment: list[int] = []
        self.amount: list[float] = []
        cells: list[list[tuple[int, float]]] = []
        for deal in scenario.pipeline:
            index = names.index(deal.segment)
            number = next(
                k for k, (segment, _, _) in enumerate(lanes) if segment == index
            )  # that of open deals
            segment, lane = scenario.segments[index], lanes[number][2]
            chances = open_deal(
                segment, lane, stage=segment.stage_index(deal.stage), weeks_in_stage=deal.weeks_in_stage
            )
            first = int(journeys.first_cell[number])
            where = [(first + int(k), float(chances[k])) for k in np.flatnonzero(chances > 0)]
            for _ in range(deal.deals):
                self.rep.append(team.index(deal.rep))
                self.segment.append(index)
                self.amount.append(math.nan if deal.amount is None else deal.amount)
                cells.append(where)
        self.row, self.cell, self.upper = _cumulated(cells)


def _cumulated(rows: list[list[tuple[int, float]]]) -> tuple[IntArray, IntArray, FloatArray]:
    """Outcomes of all rows laid end to end, the likeliest first: where rows begin, what, chances so far."""
    starts = np.cumsum([0] + [len(row) for row in rows])
    ordered = [sorted(row, key=lambda outcome: (-outcome[1], outcome[0])) for row in rows]
    to = [place for row in ordered for place, _ in row]
    sums = [np.cumsum([share for _, share in row]) for row in ordered]
    upper = np.concatenate([*(part / part[-1] for part in sums if len(part)), np.empty(0)])
    return starts, np.array(to, dtype=np.int64), upper


def _role_order(scenario: Scenario, roles: list[str]) -> list[float]:
    """When in a week each role is worked off: by how far along the stages it stands."""
    places: dict[str, list[int]] = {name: [] for name in roles}
    for segment in scenario.segments:
        for k, stage in enumerate(segment.stages):
            if stage.role is not None:
                places[stage.role].append(k)
    return [float(np.mean(found)) if (found := places[name]) else 0.0 for name in roles]
