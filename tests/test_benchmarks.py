"""The models that the benchmark compares with compute the same: nobody is slow there because it is wrong."""

from __future__ import annotations

import importlib.util
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import peers_w1, peers_w2
from benchmarks.crm import STEPS, compared, measured, write_export
from benchmarks.simulator import figure, length
from benchmarks.timing import Progress, command
from benchmarks.workload import FloatArray, IntArray, Peer, Workload, w1, w2
from salessim.crm import read
from salessim.engine import ExactOutcome, SampledOutcome, simulate
from salessim.model import Scenario
from tests.worlds import with_leads

#: Trials of each model, as many as about a second allows.
TRIALS_W1 = {
    "Ciw": 15,
    "SimPy, a process per lead": 40,
    "SimPy, what will be lost dropped at once": 80,
    "Mesa": 40,
    "cimba, events of every lead": 300,
    "cimba, weekly counts per rep": 2_000,
    "plain Python": 1_000,
    "pandas, per lead": 80,
    "naive NumPy, per lead": 1_000,
    "careful NumPy, per lead": 3_000,
}
TRIALS_W2 = {"SimPy, a process per lead and a Resource per rep": 15, "plain Python": 300}
#: Standard errors by which a mean may be off; chance exceeds them once in 15,000 comparisons.
MOST = 4.0


def small(world: Scenario) -> Scenario:
    """A third of the leads, so that slow models get many trials."""
    return with_leads(world, 1 / 3)


@cache
def unlimited() -> Scenario:
    return small(w1(reps=4, newcomers=1))


@cache
def limited() -> Scenario:
    return small(w2(reps=4, newcomers=1, open_deals=12))


def by_trial(peer: Peer, world: Scenario, *, trials: int, seed: int) -> FloatArray:
    """Wins of the three tenured reps and of the new one by quarter, then bookings; (trial, 16)."""
    won, bookings = peer(Workload.of(world), trials, seed)
    assert won.shape == bookings.shape == (trials, 4, 4)
    assert ((bookings > 0) == (won > 0)).all()
    return np.concatenate([part for x in (won, bookings) for part in (x[:, :3].sum(axis=1), x[:, 3])], axis=1)


@cache
def many_trials(number: int) -> FloatArray:
    """Many trials of a quick model of W1 or W2, for the spread of a trial."""
    if number == 1:
        return by_trial(peers_w1.careful_numpy, unlimited(), trials=3_000, seed=11)
    return by_trial(peers_w2.numpy_counts, limited(), trials=4_000, seed=11)


def w1_by_trial(name: str) -> FloatArray:
    return by_trial(peers_w1.PEERS[name], unlimited(), trials=TRIALS_W1[name], seed=7)


def in_a_fresh_process(name: str) -> FloatArray:
    """cimba compiles its models only where numba has compiled nothing else before."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(w1_by_trial, name).result()


@pytest.mark.parametrize("name", peers_w1.PEERS)
def test_models_of_w1_agree_with_the_exact_engine(name: str) -> None:
    if "cimba" in name and importlib.util.find_spec("cimba") is None:
        pytest.skip("cimba is not installed; it has wheels for some systems only")
    exact = ExactOutcome(unlimited())
    wins = exact.rates.wins.sum(axis=(1, 2))  # (rep, quarter)
    booked = np.array([exact.expected_bookings(str(q)) for q in unlimited().calendar.periods()]).T
    right = np.concatenate([part for x in (wins, booked) for part in (x[:3].sum(axis=0), x[3])])
    found = w1_by_trial(name) if "cimba" not in name else in_a_fresh_process(name)
    error = many_trials(1).std(axis=0) / np.sqrt(len(found))
    often = np.tile(right[:8] * len(found) >= 20, 2)  # where wins are rare, means are not yet normal
    assert np.abs((found.mean(axis=0) - right) / error)[often].max() < MOST
    # skill and market shock are in it: wins of a year vary more than Poisson counts do
    if len(found) >= 600:
        assert found[:, :4].sum(axis=1).var() > 1.2 * right[:4].sum()


@pytest.mark.parametrize("name", TRIALS_W2)
def test_models_of_w2_agree_with_each_other(name: str) -> None:
    reference = many_trials(2)
    found = by_trial(peers_w2.PEERS[name], limited(), trials=TRIALS_W2[name], seed=7)
    error = reference.std(axis=0) * np.sqrt(1 / len(found) + 1 / len(reference))
    often = np.tile(reference.mean(axis=0)[:8] * len(found) >= 20, 2)
    assert np.abs((found.mean(axis=0) - reference.mean(axis=0)) / error)[often].max() < MOST


def test_models_of_w2_agree_with_the_flow_engine() -> None:
    reference = many_trials(2)

    def flow(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
        outcome = simulate(limited(), engine="flow", trials=trials, seed=seed, threads=1)
        assert isinstance(outcome, SampledOutcome)
        return outcome.won, outcome.bookings

    found = by_trial(flow, limited(), trials=4_000, seed=7)
    error = reference.std(axis=0) * np.sqrt(2 / 4_000)
    assert np.abs((found.mean(axis=0) - reference.mean(axis=0)) / error).max() < MOST


def test_the_limit_of_w2_binds_and_every_model_of_it_is_compared() -> None:
    wins = ExactOutcome(unlimited()).rates.wins.sum(axis=(1, 2))[:3, 3].sum()
    assert many_trials(2)[:, 3].mean() < 0.9 * wins
    assert set(peers_w2.PEERS) == {*TRIALS_W2, "NumPy, weekly counts by binomial draws"}


def test_a_step_that_fails_is_noted_and_the_next_one_runs(capsys: pytest.CaptureFixture[str]) -> None:
    progress, done = Progress(), []
    with progress.step("first"):
        command(code="raise SystemExit('no such library')\n")
    with progress.step("second"):
        done.append(command(code="pass\n").peak_bytes)
    assert progress.left_out == {"first": "RuntimeError: no such library"}
    assert done[0] > 1e6
    assert "first … not run (RuntimeError: no such library)\nsecond … " in capsys.readouterr().out


def test_figures_keep_three_digits_and_times_a_unit_that_fits() -> None:
    assert [figure(x) for x in (0.03149, 7.4, 385.4, 12_345.6, 0.0, np.nan)] == [
        "0.0315", "7.40", "385", "12,346", "0", "–",
    ]  # fmt: skip
    assert [length(x) for x in (0.31, 90.0, 600.0, 3_850_000.0, np.nan)] == [
        "0.310 s", "90.0 s", "10.0 min", "1,069 h", "–",
    ]  # fmt: skip


def test_the_large_export_is_clean_and_the_same_in_both_formats(tmp_path: Path) -> None:
    folders = [tmp_path / "csv", tmp_path / "parquet"]
    for folder in folders:
        folder.mkdir()
    events = write_export(folders[0], opportunities=3_000)
    write_export(folders[1], opportunities=3_000, parquet=True)
    tables, other = map(read, folders)
    assert len(tables.opportunities) == 3_000
    assert len(tables.stage_history) == events
    assert 3.5 < events / 3_000 < 4.5
    assert not (tables.quality.issues["severity"] == "rejected").any()
    for name in ("opportunities", "stage_history", "leads", "reps", "accounts"):
        pd.testing.assert_frame_equal(getattr(tables, name), getattr(other, name))


def test_the_import_is_measured_step_by_step(tmp_path: Path) -> None:
    write_export(tmp_path, opportunities=200)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        measured({"it": "1 / 0\n"}, folder=tmp_path, ending="csv")
    text = compared("Two hundred", tmp_path, ending="csv", progress=Progress())
    assert [name in text for name in STEPS] == [True] * len(STEPS)
    assert "| `pandas.read_csv`, all files |" in text
    assert "| **salessim, all of it** |" in text
