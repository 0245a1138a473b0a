"""Grids and sweeps: paths into a scenario, the same figures wherever they are worked off, and resuming."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from pydantic import ValidationError

from salessim.engine import HORIZON, simulate
from salessim.errors import EngineError, ParameterError, PlanError, ScenarioError, WorkspaceError
from salessim.library import example_scenario
from salessim.plans import QuotaPlan, quota_for_share, with_lever
from salessim.studies import Grid, expected, sweep
from tests.worlds import one_stage_world

PLAN = QuotaPlan(name="flat", annual_quota=120_000.0, annual_team_plan=480_000.0)
MODULE = import_module("salessim.studies.sweep")

GRID = Grid(
    name="leads and market",
    scenario=one_stage_world(reps=3, leads_per_week=0.5, skill_cv=0.2, shock_cv=0.1, quarters=1, dwell=2.0),
    dimensions={
        "segments.all.sources.leads.leads_per_week": [0.4, 0.6, 0.8, 1.0],
        "market.shock_cv": [0.0, 0.1, 0.2],
    },
)
SAMPLED: dict[str, Any] = {"plan": PLAN, "share": 0.6, "engine": "thinning", "trials": 1_000}


#: Enough work for workers to be killed in the middle of it.
LARGE = GRID.model_copy(
    update={"dimensions": {**GRID.dimensions, "lever:deal size": (-0.1, 0.0, 0.1, 0.2, 0.3, 0.4)}}
)


@pytest.fixture(scope="module")
def serial() -> pd.DataFrame:
    return sweep(GRID, workers=1, **SAMPLED)


@pytest.fixture(scope="module")
def large_serial() -> pd.DataFrame:
    return sweep(LARGE, workers=1, **SAMPLED)


def same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    assert_frame_equal(found, wanted, check_exact=True)


def test_points_are_all_combinations_in_order() -> None:
    assert len(GRID) == 12
    table = GRID.coordinates()
    assert table["market.shock_cv"].tolist() == [0.0, 0.1, 0.2] * 4
    assert table.iloc[:, 0].tolist() == np.repeat([0.4, 0.6, 0.8, 1.0], 3).tolist()
    for point in (0, 7, 11):
        scenario = GRID.scenario_at(point)
        assert scenario.segments[0].sources[0].leads_per_week == table.iloc[point, 0]
        assert scenario.market.shock_cv == table.iloc[point, 1]
    assert GRID.scenario.market.shock_cv == 0.1
    with pytest.raises(
        ParameterError, match="point is 12; the grid 'leads and market' has the points 0 to 11"
    ):
        GRID.changes(12)


def test_figures_of_a_point_are_those_of_its_scenario() -> None:
    table = sweep(GRID, plan=PLAN, share=0.6, workers=1)
    assert (table["engine"] == "exact").all()
    assert (table.filter(like="_standard_error") == 0).all(axis=None)
    outcome = simulate(GRID.scenario_at(7))
    row = table.loc[7]
    p10, p50, p90 = outcome.team_quantiles([0.1, 0.5, 0.9], HORIZON)
    assert (row["team_bookings_p10"], row["team_bookings_p50"], row["team_bookings_p90"]) == (p10, p50, p90)
    assert row["team_bookings"] == outcome.expected_bookings(HORIZON).sum()
    assert row["plan_made"] == outcome.team_chance_at_least(
        PLAN.team_plan(outcome.scenario, HORIZON), HORIZON
    )
    assert row["share_attaining"] == expected(outcome, "share_attaining", plan=PLAN, period=HORIZON)[0]
    assert row["quota_for_share"] == quota_for_share(outcome, plan=PLAN, period=HORIZON, share=0.6)


def test_sampled_figures_lie_within_their_errors(serial: pd.DataFrame) -> None:
    exact = sweep(GRID, plan=PLAN, share=0.6, workers=1)
    assert (serial["engine"] == "thinning").all()
    for name in ("team_bookings", "won_deals", "share_attaining", "plan_attainment"):
        error = serial[f"{name}_standard_error"]
        assert (error > 0).all()
        # on one seed the points share their luck: no point may be far off
        assert ((serial[name] - exact[name]).abs() <= 4 * error).all()
    errors = serial["team_bookings_p50_standard_error"]
    assert ((serial["team_bookings_p50"] - exact["team_bookings_p50"]).abs() <= 4 * errors + 10_000).all()


def test_a_star_changes_every_entry_and_levers_move_after_paths() -> None:
    world = example_scenario()
    grid = Grid(
        name="g",
        scenario=world,
        dimensions={"segments.*.sources.*.leads_per_week": [2.0], "lever:leads": [0.5], "hires.0.count": [2]},
    )
    changed = grid.scenario_at(0)
    leads = {source.leads_per_week for segment in changed.segments for source in segment.sources}
    assert leads == {3.0}
    assert changed.hires[0].count == 2
    alone = Grid(name="g", scenario=world, dimensions={"lever:ramp": [0.2]}).scenario_at(0)
    assert alone == with_lever(world, lever="ramp", change=0.2)


def test_parts_that_are_left_out_can_be_filled_in() -> None:
    path = "roles.AE.capacity.open_deals"
    grid = Grid(name="g", scenario=GRID.scenario, dimensions={path: [5, 10]})
    capacity = grid.scenario_at(1).role("AE").capacity
    assert capacity is not None
    assert capacity.open_deals == 10
    whole = Grid(
        name="g",
        scenario=GRID.scenario,
        dimensions={"roles.AE.ramp": [{"linear_weeks": 8.0}, {"by_month": [0.2, 0.6]}]},
    )
    assert whole.scenario_at(1).role("AE").ramp.by_month == (0.2, 0.6)
    assert whole.coordinates().iloc[1, 0] == '{"by_month": [0.2, 0.6]}'


def test_points_can_be_listed_one_by_one() -> None:
    grid = Grid(
        name="two worlds",
        scenario=GRID.scenario,
        points=[{"market.shock_cv": 0.3}, {"lever:leads": 0.1, "segments.0.name": "all"}],
    )
    table = sweep(grid, measures=["won_deals"], workers=1)
    assert np.isnan(table["lever:leads"][0])
    assert table["segments.0.name"].tolist() == ["", "all"]
    assert grid.scenario_at(0).market.shock_cv == 0.3
    assert table["won_deals"][1] == pytest.approx(1.1 * table["won_deals"][0])


@pytest.mark.parametrize(
    ("dimensions", "text"),
    [
        ({"market.shok_cv": [0.1]}, r"'market.shok_cv' leads nowhere: market has 'shock_cv', 'shock_persist"),
        ({"segments.SMB.deal_size.mean": [1.0]}, r"leads nowhere: segments has 'all' \(or \* for all\)"),
        ({"sgments": [1.0]}, "leads nowhere: the scenario has 'name', 'description'"),
        ({"market.shock_cv.mean": [1.0]}, "leads nowhere: market.shock_cv has no fields or entries"),
        ({"hires.0.count": [1]}, "leads nowhere: hires has no fields or entries"),
        ({"lever:luck": [0.1]}, "'lever:luck' is not a lever; it must be one of 'lever:leads'"),
        ({"lever:leads": ["more"]}, "'lever:leads' has the value 'more'; it must be a number"),
        ({"market.shock_cv": []}, "'market.shock_cv' has no values"),
        ({}, "give either dimensions or points"),
        (
            {"segments.*.deal_size.mean": [1.0], "segments.all.deal_size": [{"mean": 2.0, "cv": 0.0}]},
            r"'segments.\*.deal_size.mean' and 'segments.all.deal_size' change the same field",
        ),
    ],
)
def test_grids_that_make_no_sense_are_refused(dimensions: dict[str, list[Any]], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Grid(name="g", scenario=GRID.scenario, dimensions=dimensions)


def test_a_grid_file_names_its_scenario_and_its_faults(tmp_path: Path) -> None:
    (tmp_path / "world.yaml").write_text(GRID.scenario.to_yaml(), encoding="utf-8")
    path = tmp_path / "grid.yaml"
    path.write_text(
        "name: g\nscenario: world.yaml\ndimensions: {market.shock_cv: [0.0, 0.1]}\n", encoding="utf-8"
    )
    grid = Grid.load(path)
    assert grid.scenario == GRID.scenario
    assert len(grid) == 2
    other = Grid.load(path, scenario=example_scenario())
    assert other.scenario == example_scenario()
    path.write_text(grid.to_yaml(), encoding="utf-8")
    assert Grid.load(path) == grid

    path.write_text("name: g\nscenario: world.yaml\ndimensions: {market.shock: [0.1]}\n", encoding="utf-8")
    with pytest.raises(
        ParameterError, match=r"grid.yaml: 'market.shock' leads nowhere: market has 'shock_cv'"
    ):
        Grid.load(path)
    path.write_text("name: g\nscenario: world.yaml\ndimension: {}\n", encoding="utf-8")
    with pytest.raises(
        ParameterError, match=r"grid.yaml: dimension is not a known field; allowed here: 'name'"
    ):
        Grid.load(path)
    path.write_text("name: g\nscenario: none.yaml\n", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"none.yaml: cannot be read"):
        Grid.load(path)


def test_a_point_that_the_model_refuses_is_a_row_with_its_error() -> None:
    grid = Grid(
        name="g",
        scenario=GRID.scenario,
        points=[{"market.shock_cv": 0.1}, {"market.shock_cv": -1.0}, {"lever:leads": -2.0}],
    )
    table = sweep(grid, plan=PLAN, workers=1)
    assert table["engine"].tolist() == ["exact", "", ""]
    assert table["error"][0] == ""
    assert table["error"][1].startswith("point 1: market.shock_cv is -1.0; input should be greater than")
    assert table["error"][2].startswith("lever 'leads': change is -2.0; it must be above -1")
    assert table["team_bookings"].isna().tolist() == [False, True, True]
    assert table.attrs["points_with_error"] == 2


def test_a_quota_that_does_not_exist_leaves_the_other_figures() -> None:
    path = "segments.*.stages.*.conversion"
    grid = Grid(name="g", scenario=GRID.scenario, dimensions={path: [0.02, 0.5]})
    table = sweep(grid, plan=PLAN, share=0.6, workers=1)
    assert "no quota above zero is made by 60.0%" in table["error"][0]
    assert table["quota_for_share"].isna().tolist() == [True, False]
    assert (table["team_bookings"] > 0).all()


def test_what_cannot_be_answered_anywhere_is_refused_before_any_work() -> None:
    with pytest.raises(EngineError, match="period is '2025Q1'; the scenario covers '2026Q1', 'horizon'"):
        sweep(GRID, period="2025Q1", workers=1)
    with pytest.raises(EngineError, match="engine is 'exact'; only 'flow' knows 'leads_lost'"):
        sweep(GRID, measures=["leads_lost"], engine="exact", workers=1)
    with pytest.raises(PlanError, match="needs a quota plan"):
        sweep(GRID, share=0.5, workers=1)
    with pytest.raises(PlanError, match="share is 60; it must lie between 0 and 1"):
        sweep(GRID, plan=PLAN, share=60, workers=1)
    with pytest.raises(EngineError, match="workers is 0"):
        sweep(GRID, workers=0)
    with pytest.raises(EngineError, match="batch is 0"):
        sweep(GRID, batch=0)
    with ThreadPoolExecutor(1) as pool, pytest.raises(EngineError, match="either executor or scheduler"):
        sweep(GRID, executor=pool, scheduler="tcp://127.0.0.1:1")


def test_batches_and_any_executor_change_nothing(serial: pd.DataFrame) -> None:
    with ThreadPoolExecutor(3) as pool:
        same(sweep(GRID, executor=pool, batch=1, **SAMPLED), serial)
        same(sweep(GRID, executor=pool, batch=5, **SAMPLED), serial)
        assert pool.submit(int).result() == 0  # an executor that was lent is left open


def test_a_stopped_sweep_goes_on_where_it_was(tmp_path: Path, serial: pd.DataFrame) -> None:
    folder = tmp_path / "sweep"

    def stop(done: int, points: int) -> None:
        if done >= 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep(GRID, folder=folder, workers=1, batch=2, progress=stop, **SAMPLED)
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*.parquet")}
    assert sorted(kept) == ["part-0000000.parquet", "part-0000002.parquet", "part-0000004.parquet"]
    assert not (folder / "results.parquet").exists()
    (folder / ".unfinished-1-part-0000006.parquet").write_bytes(b"half a file")

    seen: list[int] = []
    found = sweep(
        GRID, folder=folder, workers=1, batch=5, progress=lambda done, points: seen.append(done), **SAMPLED
    )
    assert seen == [11, 12]
    same(found, serial)
    assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept
    assert not list(folder.glob(".unfinished-*"))
    same(pd.read_parquet(folder / "results.parquet"), serial)

    (folder / "part-0000002.parquet").unlink()
    (folder / "part-0000006.parquet").unlink()
    seen.clear()
    same(sweep(GRID, folder=folder, workers=1, batch=3, **SAMPLED), serial)
    same(sweep(GRID, folder=folder, workers=1, progress=lambda done, _: seen.append(done), **SAMPLED), serial)
    assert seen == []  # nothing was left to do


def test_a_folder_of_another_sweep_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    sweep(GRID, folder=folder, workers=1, measures=["won_deals"])
    with pytest.raises(WorkspaceError, match=r"holds another sweep \(it differs in 'plan', 'seed'\)"):
        sweep(GRID, folder=folder, workers=1, measures=["won_deals"], plan=PLAN, seed=2)
    renamed = GRID.model_copy(update={"dimensions": {"market.shock_cv": (0.1,)}})
    with pytest.raises(WorkspaceError, match="it differs in 'grid'"):
        sweep(renamed, folder=folder, workers=1, measures=["won_deals"])
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(WorkspaceError, match="is not empty and holds no sweep; name a new folder"):
        sweep(GRID, folder=tmp_path, workers=1)
    (folder / "part-0000000.parquet").write_bytes(b"not parquet")
    with pytest.raises(WorkspaceError, match=r"part-0000000.parquet: cannot be read .*; delete it"):
        sweep(GRID, folder=folder, workers=1, measures=["won_deals"])


def test_progress_is_silent_unless_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    sweep(GRID, measures=["won_deals"], workers=1)
    sweep(GRID, measures=["won_deals"], workers=1, progress=True)  # a bar needs a terminal
    assert capfd.readouterr() == ("", "")


def test_local_processes_that_die_are_replaced(
    large_serial: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    local = MODULE._local

    def counted(workers: int) -> AbstractContextManager[Executor]:
        opened.append(workers)
        return local(workers)

    def kill_all_once(done: int, points: int) -> None:
        if len(opened) == 1 and done == 1:
            for process in multiprocessing.active_children():
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)

    monkeypatch.setattr(MODULE, "_local", counted)
    same(sweep(LARGE, workers=2, batch=1, progress=kill_all_once, **SAMPLED), large_serial)
    assert opened == [2, 2]


def test_workers_that_keep_dying_end_the_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[int] = []

    class Dying(Executor):
        """Works off two batches, and is broken from then on."""

        def submit(self, fn: Any, /, *args: Any, **_: Any) -> Future[Any]:
            future: Future[Any] = Future()
            if len(opened) == 1 and args[1][0] < 2:
                future.set_result(fn(*args))
            else:
                future.set_exception(BrokenExecutor("a child process terminated abruptly"))
            return future

    @contextmanager
    def local(workers: int) -> Iterator[Executor]:
        opened.append(workers)
        yield Dying()

    monkeypatch.setattr(MODULE, "_local", local)
    with pytest.raises(
        EngineError, match=r"worker processes died 4 times \(a child .*2 of 12 batches are done"
    ):
        sweep(GRID, workers=2, batch=1, **SAMPLED)
    assert opened == [2] * 4
    with pytest.raises(EngineError, match="the executor's workers died 1 time "):
        sweep(GRID, executor=Dying(), batch=1, **SAMPLED)


def test_a_dask_cluster_that_loses_a_worker_gives_the_same_figures(
    tmp_path: Path, large_serial: pd.DataFrame
) -> None:
    from distributed import Client, LocalCluster

    folder = tmp_path / "sweep"
    with (
        LocalCluster(
            n_workers=2,
            processes=True,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=str(tmp_path / "dask"),
        ) as cluster,
        Client(cluster) as client,
    ):
        processes = client.run(os.getpid)
        assert len(processes) == 2
        killed: list[tuple[str, int]] = []

        def kill_one(done: int, points: int) -> None:
            if not killed and list(folder.glob("part-*.parquet")):
                assert done < points
                busy = {worker: tasks for worker, tasks in client.processing().items() if tasks}
                address = max(busy, key=lambda worker: len(busy[worker]))
                killed.append((address, processes[address]))
                os.kill(processes[address], signal.SIGKILL)

        found = sweep(
            LARGE, folder=folder, scheduler=cluster.scheduler_address, batch=1, progress=kill_one, **SAMPLED
        )
        assert killed
        assert killed[0][1] not in client.run(os.getpid).values()
    same(found, large_serial)
    assert len(list(folder.glob("part-*.parquet"))) == len(LARGE)


def test_a_scheduler_that_is_not_there_is_named() -> None:
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "100ms"}),
        pytest.raises(EngineError, match=r"Dask scheduler 'tcp://127.0.0.1:9' cannot be reached"),
    ):
        sweep(GRID, scheduler="tcp://127.0.0.1:9", **SAMPLED)


def test_points_pick_the_engine_that_they_need() -> None:
    """With a limit that binds a point runs week by week, with one that does not it is solved exactly."""
    world = GRID.scenario
    role = world.roles[0].name
    grid = Grid(name="limits", scenario=world, dimensions={f"roles.{role}.capacity.open_deals": [1, 500]})
    table = sweep(grid, trials=200, workers=1)
    assert table["engine"].tolist() == ["flow", "exact"]
    assert table["team_bookings"].is_monotonic_increasing
    assert table["team_bookings_standard_error"].iloc[0] > 0 == table["team_bookings_standard_error"].iloc[1]
