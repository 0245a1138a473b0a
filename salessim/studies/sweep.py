"""Sweep over thousands of scenarios: a grid of changes to one scenario, each point solved or simulated.

Points are worked off in small batches on any :mod:`concurrent.futures` executor: processes of this machine,
or a Dask cluster. A point's figures depend on the point alone, so neither workers nor batches change them. In
a folder every finished batch is kept as a Parquet file, and a sweep that was stopped goes on where it was.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, as_completed
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Self, cast, get_args

import pandas as pd
from pydantic import Field, model_validator

from salessim import __version__
from salessim.documents import Part, dump_yaml, load_yaml, read_text, validated
from salessim.engine import HORIZON, Engine, Outcome
from salessim.errors import (
    EngineError,
    ParameterError,
    PlanError,
    SalessimError,
    ScenarioError,
    WorkspaceError,
    listed,
)
from salessim.intervals import Z
from salessim.model import Name, Scenario
from salessim.plans import Lever, QuotaPlan, quota_for_share, quota_weights, with_lever
from salessim.plans.levers import ALL_LEVERS
from salessim.studies.outcome_measures import by_trial, expected, measures_for, simulated

__all__ = ["Grid", "sweep"]

#: What a dimension begins with that moves a lever instead of a field.
LEVER = "lever:"
#: How often dead workers are replaced before a sweep gives up.
MOST_RESTARTS = 3
#: Points that are worked off, and kept, together; fewer where there are few points per worker.
MOST_POINTS_PER_BATCH = 32
#: Team quantiles of every point.
QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
#: The file of a folder that says which sweep it belongs to, and the one with all points.
MANIFEST, RESULTS = "sweep.json", "results.parquet"

Steps = tuple[str | int, ...]
Row = dict[str, object]


class Grid(Part):
    """One scenario and the changes to it that a sweep goes through.

    A dimension is a path into the scenario (``segments.SMB.sources.website.leads_per_week``,
    ``market.shock_cv``; list entries by name or position, counted from 0; ``*`` for all of them) or a lever
    of :func:`salessim.plans.with_lever` (``lever:leads``). Paths are changed first, then levers are moved.

    >>> from salessim.library import example_scenario
    >>> grid = Grid(
    ...     name="leads and market",
    ...     scenario=example_scenario(),
    ...     dimensions={"lever:leads": [0.0, 0.1, 0.2], "market.shock_cv": [0.1, 0.2]},
    ... )
    >>> len(grid), grid.changes(5), grid.scenario_at(5).market.shock_cv
    (6, {'lever:leads': 0.2, 'market.shock_cv': 0.2}, 0.2)
    """

    name: Name
    """Name shown in reports."""
    scenario: Scenario
    """The scenario that is changed; in a file: its path, relative to the file, or the scenario itself."""
    dimensions: dict[Name, tuple[Any, ...]] = Field(default_factory=dict)
    """Values of each dimension; the points are all their combinations, the last dimension changing first."""
    points: tuple[dict[Name, Any], ...] = ()
    """In place of dimensions: the points one by one, each with the values that it changes."""

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Self:
        if bool(self.dimensions) == bool(self.points):
            raise ValueError("give either dimensions or points")
        for path, given in self.dimensions.items():
            if not given:
                raise ValueError(f"dimensions: '{path}' has no values; give one or more")
        for path, values in self._values().items():
            if not path.startswith(LEVER):
                continue
            if path.removeprefix(LEVER) not in ALL_LEVERS:
                allowed = listed([LEVER + lever for lever in ALL_LEVERS])
                raise ValueError(f"'{path}' is not a lever; it must be one of {allowed}")
            for value in values:
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise ValueError(f"'{path}' has the value {value!r}; it must be a number, such as 0.1")
        leads_to = [(path, place) for path, places in self._places.items() for place in places]
        for (path, place), (other, same) in itertools.combinations(leads_to, 2):
            shorter = min(len(place), len(same))
            if place[:shorter] == same[:shorter]:
                raise ValueError(f"'{path}' and '{other}' change the same field")
        return self

    @cached_property
    def _places(self) -> dict[str, list[Steps]]:
        """Fields that each path leads to, as steps into the scenario."""
        return {
            path: _places(self.scenario, path, path=path)
            for path in self._values()
            if not path.startswith(LEVER)
        }

    def _values(self) -> dict[str, list[Any]]:
        """All values of each dimension, whether given by dimensions or by points."""
        if self.dimensions:
            return {path: list(values) for path, values in self.dimensions.items()}
        found: dict[str, list[Any]] = {}
        for point in self.points:
            for path, value in point.items():
                found.setdefault(path, []).append(value)
        return found

    def __len__(self) -> int:
        return len(self.points) or math.prod(len(values) for values in self.dimensions.values())

    def changes(self, point: int) -> dict[str, Any]:
        """What a point changes: dimension → value. ``point``: its number, from 0."""
        if not 0 <= point < len(self):
            raise ParameterError(
                f"point is {point}; the grid '{self.name}' has the points 0 to {len(self) - 1}"
            )
        if self.points:
            return dict(self.points[point])
        chosen = {}
        for path, values in reversed(self.dimensions.items()):
            point, position = divmod(point, len(values))
            chosen[path] = values[position]
        return {path: chosen[path] for path in self.dimensions}

    def scenario_at(self, point: int) -> Scenario:
        """The scenario of a point, checked like any other.

        Raises:
            ScenarioError, PlanError: the model, or a lever, refuses the change.
        """
        changes = self.changes(point)
        # parts that nothing changes are kept as they are and not checked again
        document: Any = self.scenario
        for path, value in changes.items():
            for steps in self._places.get(path, []):
                document = _with(document, steps, value)
        scenario = (
            self.scenario
            if document is self.scenario
            else validated(Scenario, document, where=f"point {point}", error=ScenarioError)
        )
        for path, value in changes.items():
            if path.startswith(LEVER):
                lever = cast(Lever, path.removeprefix(LEVER))
                scenario = with_lever(scenario, lever=lever, change=float(value))
        return scenario

    def coordinates(self) -> pd.DataFrame:
        """Where each point lies: one row per point, one column per dimension.

        Numbers stay numbers (NaN: not changed there); everything else is text (lists and mappings as JSON).
        """
        rows = [self.changes(point) for point in range(len(self))]
        columns = {}
        for path in self._values():
            values = [row.get(path) for row in rows]
            numbers = [value for value in values if value is not None]
            if all(isinstance(value, int | float) and not isinstance(value, bool) for value in numbers):
                columns[path] = pd.Series(values, dtype=None if numbers else "float64")
            else:
                texts = [_text(row[path]) if path in row else "" for row in rows]
                columns[path] = pd.Series(texts, dtype=object)
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self), name="point"))

    @classmethod
    def load(cls, path: str | Path, *, scenario: Scenario | None = None) -> Grid:
        """Read a grid file.

        Args:
            path: YAML with name, scenario (path relative to the file), and dimensions or points.
            scenario: taken in place of the one that the file names.

        Raises:
            ParameterError: names file, field, value and what is allowed; for a path that leads nowhere, what
                there is. ScenarioError: the scenario file is at fault.
        """
        where = str(path)
        data = load_yaml(read_text(path, error=ParameterError), where=where, error=ParameterError)
        if isinstance(data, Mapping):
            named = data.get("scenario")
            if scenario is not None:
                data = {**data, "scenario": scenario}
            elif isinstance(named, str):
                data = {**data, "scenario": Scenario.load(Path(path).parent / named)}
        return validated(cls, data, where=where, error=ParameterError)

    def to_yaml(self) -> str:
        """Write the grid with its scenario as YAML, leaving out what equals its default."""
        return dump_yaml(self.model_dump(mode="json", exclude_defaults=True))


def sweep(
    grid: Grid,
    *,
    folder: str | Path | None = None,
    measures: Sequence[str] | None = None,
    plan: QuotaPlan | None = None,
    share: float | None = None,
    period: str = HORIZON,
    engine: Engine = "auto",
    trials: int = 10_000,
    seed: int = 1,
    executor: Executor | None = None,
    scheduler: str | None = None,
    workers: int | None = None,
    batch: int | None = None,
    progress: bool | Callable[[int, int], None] = False,
) -> pd.DataFrame:
    """Figures of every scenario of a grid, in the order of its points.

    All points are simulated on the same seed, so that their differences are not luck. Workers, executor and
    batches change no figure, and neither does a stop in between.

    Args:
        grid: the scenarios.
        folder: where results are kept: one Parquet file per finished batch, and ``results.parquet`` at the
            end. Started again with the same folder, a sweep does what is missing. None: nothing is kept.
        measures: names in :data:`~salessim.studies.outcome_measures.OUTCOME_MEASURES`; None: all that the
            plan allows, without those that only the flow engine knows. Naming one of those simulates every
            point by the flow.
        plan: quotas and team plan, for the measures that need them; scored on every point.
        share: expected share of reps for whom a quota is solved at every point; None: none is solved.
        period: a quarter of the scenario, or "horizon".
        engine: "auto" solves exactly where that is valid and simulates where it is not.
        trials: simulated horizons of a point, where it is simulated.
        seed: seed of the random streams.
        executor: any executor whose workers can import this package; it is left open.
        scheduler: address of a Dask scheduler (``tcp://host:8786``), in place of executor. A cluster without
            workers is waited for.
        workers: processes on this machine; None: as many as there are cores; 1: none but this one. More than
            one are started anew, so a script that sweeps needs ``if __name__ == "__main__":``.
        batch: points per batch; None: about four batches per worker, at most 32 points each.
        progress: True shows a bar with the time left on a terminal; a function is called with the number of
            points done and of all points.

    Returns:
        One row per point: a column per dimension (see :meth:`Grid.coordinates`), engine, error ("": none),
        and per measure its expected value and ``…_standard_error`` (sampling error; 0: solved exactly); with
        team_bookings also its ``_p10``, ``_p50`` and ``_p90``; with a share ``quota_for_share``: quota of a
        fully ramped rep in the period. A point that the model refuses is a row with its error and NaN;
        ``attrs["points_with_error"]`` counts them. NaN otherwise: no such figure.

    Raises:
        EngineError, PlanError: what is asked for cannot be answered anywhere; workers that keep dying.
        WorkspaceError: the folder belongs to another sweep, or cannot be written.

    >>> from salessim.library import example_scenario
    >>> grid = Grid(name="g", scenario=example_scenario(), dimensions={"lever:leads": [-0.1, 0.0, 0.1]})
    >>> table = sweep(grid, measures=["team_bookings"], workers=1)
    >>> table["engine"].tolist(), bool(table["team_bookings"].is_monotonic_increasing)
    (['exact', 'exact', 'exact'], True)
    """
    task = _task(
        grid,
        measures=measures,
        plan=plan,
        share=share,
        period=period,
        engine=engine,
        trials=trials,
        seed=seed,
    )
    if executor is not None and scheduler is not None:
        raise EngineError("give either executor or scheduler, not both")
    for name, value in (("workers", workers), ("batch", batch)):
        if value is not None and value < 1:
            raise EngineError(f"{name} is {value}; it must be 1 or more")
    kept = None if folder is None else Path(folder)
    rows = {} if kept is None else _resumed(kept, _made_of(task))
    missing = [point for point in range(len(grid)) if point not in rows]
    hands = workers or os.cpu_count() or 1
    size = batch or max(1, min(MOST_POINTS_PER_BATCH, math.ceil(len(missing) / (4 * hands))))
    batches = [missing[start : start + size] for start in range(0, len(missing), size)]
    place = _place(executor, scheduler, min(hands, len(batches)))

    with _watched(progress, done=len(rows), points=len(grid)) as step:

        def store(found: list[Row]) -> None:
            if kept is not None:
                _write(pd.DataFrame(found), kept / f"part-{found[0]['point']:07d}.parquet")
            rows.update({cast(int, row["point"]): row for row in found})
            step(len(rows), sum(row["error"] != "" for row in rows.values()))

        _work_off(batches, task, place, store)
    figures = pd.DataFrame([rows[point] for point in range(len(grid))]).set_index("point")
    table = pd.concat([grid.coordinates(), figures], axis=1)
    table.attrs["points_with_error"] = int((table["error"] != "").sum())
    if kept is not None:
        _write(table, kept / RESULTS)
    return table


@dataclass(frozen=True)
class _Task:
    """All that a worker needs to know."""

    grid: Grid
    measures: tuple[str, ...]
    plan: QuotaPlan | None
    share: float | None
    period: str
    engine: Engine
    trials: int
    seed: int


def _task(
    grid: Grid,
    *,
    measures: Sequence[str] | None,
    plan: QuotaPlan | None,
    share: float | None,
    period: str,
    engine: Engine,
    trials: int,
    seed: int,
) -> _Task:
    """Check what is asked for before any work is done."""
    chosen = measures_for(measures, plan=plan, flow=False)
    periods = [*(str(quarter) for quarter in grid.scenario.calendar.periods()), HORIZON]
    if period not in periods:
        raise EngineError(f"period is {period!r}; the scenario covers {listed(periods)}")
    if engine not in ("auto", "exact", "thinning", "flow"):
        raise EngineError(f"engine is {engine!r}; it must be 'auto', 'exact', 'thinning' or 'flow'")
    for_flow = [measure.name for measure in chosen if measure.needs == "flow"]
    if for_flow and engine == "auto":
        engine = "flow"
    if for_flow and engine != "flow":
        raise EngineError(f"engine is {engine!r}; only 'flow' knows {listed(for_flow)}")
    if trials < 2:
        raise EngineError(f"trials is {trials}; it must be 2 or more")
    if share is not None:
        if plan is None:
            raise PlanError("a quota for a share of reps needs a quota plan; give one")
        if not 0 < share < 1:
            raise PlanError(f"share is {share!r}; it must lie between 0 and 1, such as 0.675")
    names = tuple(measure.name for measure in chosen)
    return _Task(grid, names, plan, share, period, engine, trials, seed)


def _solved(task: _Task, points: list[int]) -> list[Row]:
    """Rows of some points: what a worker does."""
    return [_row(task, point) for point in points]


def _row(task: _Task, point: int) -> Row:
    row: Row = {"point": point, "engine": "", "error": ""}
    for name in task.measures:
        row |= dict.fromkeys([name, f"{name}_standard_error"], math.nan)
        if name == "team_bookings":
            for quantile in QUANTILES:
                row |= dict.fromkeys([f"{name}_{quantile}", f"{name}_{quantile}_standard_error"], math.nan)
    if task.share is not None:
        row |= dict.fromkeys(["quota_for_share", "quota_for_share_standard_error"], math.nan)
    try:
        # one thread: the workers share the cores among them already
        outcome = simulated(
            task.grid.scenario_at(point),
            plan=task.plan,
            engine=task.engine,
            trials=task.trials,
            seed=task.seed,
            threads=1,
        )
        figures = _figures(outcome, task)
        row |= {"engine": outcome.engine, **figures}
        if task.plan is not None and task.share is not None:
            row |= _quota(outcome, task.plan, task.share, task.period)
    except SalessimError as error:
        row["error"] = str(error)
    return row


def _figures(outcome: Outcome, task: _Task) -> Row:
    row: Row = {}
    for name in task.measures:
        value, error = expected(outcome, name, plan=task.plan, period=task.period)
        row |= {name: value, f"{name}_standard_error": error}
    if "team_bookings" in task.measures:
        for name, chance in QUANTILES.items():
            # the interval of a quantile lies between two other quantiles (order statistics)
            doubt = 0.0 if outcome.trials is None else Z * math.sqrt(chance * (1 - chance) / outcome.trials)
            around = [max(chance - doubt, 0.0), chance, min(chance + doubt, 1.0)]
            low, value, high = (float(amount) for amount in outcome.team_quantiles(around, task.period))
            row[f"team_bookings_{name}"] = value
            row[f"team_bookings_{name}_standard_error"] = (high - low) / (2 * Z)
    return row


def _quota(outcome: Outcome, plan: QuotaPlan, share: float, period: str) -> Row:
    """The quota that a share of reps makes; its error is what the error of the share is worth in quota."""
    quota = quota_for_share(outcome, plan=plan, period=period, share=share)
    error = 0.0
    if outcome.trials is not None:
        weights = quota_weights(plan, outcome.scenario, period)
        values = by_trial(outcome, "share_attaining", plan=plan, period=period)
        doubt = Z * float(values.std(ddof=1)) / math.sqrt(outcome.trials)
        low, high = (
            outcome.amount_for_share(weights, min(max(share + side * doubt, 1e-9), 1 - 1e-9), period)
            for side in (1, -1)
        )
        error = (high - low) / (2 * Z)
    return {"quota_for_share": quota, "quota_for_share_standard_error": error}


@dataclass(frozen=True)
class _Place:
    """Where batches are worked off."""

    open: Callable[[], AbstractContextManager[Executor]]
    lost: tuple[type[BaseException], ...]
    """Errors that mean dead workers, not faulty work."""
    restarts: int
    what: str


def _place(executor: Executor | None, scheduler: str | None, workers: int) -> _Place:
    if executor is not None:
        given = executor

        @contextmanager
        def lent() -> Iterator[Executor]:
            yield given

        return _Place(lent, (BrokenExecutor,), 0, "the executor's workers")
    if scheduler is not None:
        from distributed import KilledWorker

        address = scheduler
        return _Place(
            lambda: _cluster(address),
            (KilledWorker, CancelledError),
            MOST_RESTARTS,
            f"workers of the Dask cluster {address}",
        )
    return _Place(lambda: _local(workers), (BrokenExecutor,), MOST_RESTARTS, "worker processes")


@contextmanager
def _local(workers: int) -> Iterator[Executor]:
    pool: Executor
    if workers <= 1:
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(1)
    else:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        # spawned, not forked: threads of numerical libraries do not survive a fork
        pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _cluster(address: str) -> Iterator[Executor]:
    from distributed import Client

    try:
        client = Client(address, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError) as failure:
        raise EngineError(f"the Dask scheduler {address!r} cannot be reached ({failure})") from failure
    with client:
        # not pure: results are not to be looked up under the name of an earlier task
        pool: Executor = client.get_executor(pure=False)  # type: ignore[no-untyped-call]
        try:
            yield pool
        finally:
            pool.shutdown(wait=False)


def _work_off(
    batches: list[list[int]], task: _Task, place: _Place, store: Callable[[list[Row]], None]
) -> None:
    """Have every batch worked off and stored; where workers die, the batches that are missing once more."""
    missing = dict(enumerate(batches))
    restarts = 0
    while missing:
        death: BaseException | None = None
        with place.open() as executor:
            futures = {}
            try:
                try:
                    for number, points in missing.items():
                        futures[executor.submit(_solved, task, points)] = number
                except place.lost as error:
                    death = error  # what was submitted before is still looked at
                for future in as_completed(futures):
                    try:
                        found = future.result()
                    except place.lost as error:
                        death = error
                        continue
                    store(found)
                    del missing[futures[future]]
            finally:
                for future in futures:
                    future.cancel()
        if death is None:
            continue
        restarts += 1
        if restarts > place.restarts:
            raise EngineError(
                f"{place.what} died {restarts} time{'s' if restarts > 1 else ''} ({_reason(death)}); "
                f"{len(batches) - len(missing)} of {len(batches)} batches are done. Where memory is short, "
                "take fewer workers or fewer trials; with the same folder the sweep goes on from here"
            ) from death


def _reason(death: BaseException) -> str:
    return str(death).splitlines()[0] if str(death) else type(death).__name__


@contextmanager
def _watched(
    progress: bool | Callable[[int, int], None], *, done: int, points: int
) -> Iterator[Callable[[int, int], None]]:
    """A function that is told how many points are done and how many of them have an error."""
    if callable(progress):
        yield lambda number, errors: progress(number, points)
        return
    if not progress:
        yield lambda number, errors: None
        return
    from tqdm import tqdm

    # the bar starts at what was done before, so that the time left is that of this run
    with tqdm(total=points, initial=done, unit="scenario", disable=None, file=sys.stderr) as bar:

        def step(number: int, errors: int) -> None:
            if errors:
                bar.set_postfix_str(f"{errors} with an error", refresh=False)
            bar.update(number - bar.n)

        yield step


def _made_of(task: _Task) -> dict[str, str]:
    """What the figures of a sweep depend on, as short fingerprints and plain values."""

    def short(value: object) -> str:
        text = json.dumps(value, default=str, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    grid, plan = task.grid, task.plan
    return {
        "scenario": short(grid.scenario.model_dump(mode="json")),
        "grid": short([list(grid.dimensions.items()), grid.points]),
        "plan": "none" if plan is None else short(plan.model_dump(mode="json")),
        "measures": ", ".join(task.measures),
        "share": str(task.share),
        "period": task.period,
        "engine": task.engine,
        "trials": str(task.trials),
        "seed": str(task.seed),
        "version": __version__,
    }


def _resumed(folder: Path, made_of: dict[str, str]) -> dict[int, Row]:
    """Rows that an earlier run left in the folder, by point; makes the folder where it is not there.

    WorkspaceError where it holds anything but this sweep.
    """
    manifest = folder / MANIFEST
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not manifest.exists():
            if any(not _unfinished(path) for path in folder.iterdir()):
                raise WorkspaceError(f"{folder}: is not empty and holds no sweep; name a new folder")
            _write_atomically(manifest, lambda path: path.write_text(json.dumps(made_of, indent=1)))
        before = json.loads(manifest.read_text(encoding="utf-8"))
        for path in folder.iterdir():
            if _unfinished(path):  # left behind by a run that was killed
                path.unlink()
    except (OSError, ValueError) as failure:
        raise WorkspaceError(f"{folder}: cannot be used for the results of a sweep ({failure})") from failure
    if before != made_of:
        other = [name for name in made_of if before.get(name) != made_of[name]]
        raise WorkspaceError(
            f"{folder}: holds another sweep (it differs in {listed(other)}); "
            "name a new folder, or delete this one"
        )
    rows: dict[int, Row] = {}
    for path in sorted(folder.glob("part-*.parquet")):
        try:
            found = pd.read_parquet(path, engine="pyarrow")
        except (OSError, ValueError) as failure:
            raise WorkspaceError(
                f"{path}: cannot be read ({failure}); delete it, and its points are done again"
            ) from failure
        rows |= {int(row["point"]): cast(Row, row) for row in found.to_dict("records")}
    return rows


def _unfinished(path: Path) -> bool:
    return path.name.startswith(".unfinished-")


def _write(table: pd.DataFrame, path: Path) -> None:
    try:
        _write_atomically(path, lambda unfinished: table.to_parquet(unfinished, engine="pyarrow"))
    except OSError as failure:
        raise WorkspaceError(f"{path}: cannot be written ({failure.strerror or failure})") from failure


def _write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file that is either complete or not there."""
    unfinished = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    write(unfinished)
    unfinished.replace(path)


def _places(node: object, rest: str, *, path: str) -> list[Steps]:
    """Fields that the rest of a path leads to from a node; ValueError where it leads nowhere."""
    if not rest:
        return [()]
    there = _children(node)
    if rest.split(".")[0] == "*" and there and not _is_part(node):
        following = rest[2:]
        every = dict(there.values())
        return [
            (step, *steps) for step, child in every.items() for steps in _places(child, following, path=path)
        ]
    # names may contain dots: the longest that fits is meant
    for name in sorted(there, key=len, reverse=True):
        if rest == name or rest.startswith(name + "."):
            step, child = there[name]
            return [(step, *steps) for steps in _places(child, rest[len(name) + 1 :], path=path)]
    before = path[: len(path) - len(rest)].rstrip(".") or "the scenario"
    if not there:
        raise ValueError(f"'{path}' leads nowhere: {before} has no fields or entries")
    shown = list(dict.fromkeys(_shown_names(node, there)))
    every_too = "" if _is_part(node) else " (or * for all)"
    raise ValueError(f"'{path}' leads nowhere: {before} has {listed(shown, most=30)}{every_too}")


def _children(node: object) -> dict[str, tuple[str | int, object]]:
    """What a path can go to from a node: its name there → the step, and what is there."""
    if isinstance(node, type) and issubclass(node, Part):  # a part that is left out can be filled in
        return {name: (name, _part_in(field.annotation)) for name, field in node.model_fields.items()}
    if isinstance(node, Part):
        return {
            name: (name, _part_in(field.annotation) if value is None else value)
            for name, field in type(node).model_fields.items()
            for value in [getattr(node, name)]
        }
    if isinstance(node, tuple):
        by_position: dict[str, tuple[str | int, object]] = {
            str(position): (position, child) for position, child in enumerate(node)
        }
        by_name = {
            child.name: (position, child) for position, child in enumerate(node) if hasattr(child, "name")
        }
        return by_position | by_name
    if isinstance(node, dict):
        return {str(key): (key, child) for key, child in node.items()}
    return {}


def _shown_names(node: object, there: Mapping[str, tuple[str | int, object]]) -> list[str]:
    named = [child.name for child in node if hasattr(child, "name")] if isinstance(node, tuple) else []
    return named or list(there)


def _is_part(node: object) -> bool:
    return isinstance(node, Part) or (isinstance(node, type) and issubclass(node, Part))


def _part_in(annotation: object) -> type[Part] | None:
    """The kind of part that a field may hold, where it may hold one."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, Part):
            return kind
    return None


def _with(node: Any, steps: Steps, value: object) -> Any:
    """A document with one place changed; parts on the way become plain data, others stay what they are."""
    if not steps:
        return value
    step, *rest = steps
    if isinstance(step, int):
        entries = list(node)
        entries[step] = _with(entries[step], tuple(rest), value)
        return tuple(entries)
    fields = {} if node is None else dict(node)
    fields[step] = _with(fields.get(step), tuple(rest), value)
    return fields


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, default=str, ensure_ascii=False)
