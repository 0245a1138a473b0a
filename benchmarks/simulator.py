"""How fast and how exact the simulator is, beside what one could use instead; nothing here passes or fails.

    .venv/bin/python -m benchmarks.simulator            # some minutes; writes benchmarks/results.md
    .venv/bin/python -m benchmarks.simulator --quick    # smaller, for trying; only prints

All is measured one after the other on the same machine, peers and engines in the same process, so that the
ratios are fair whatever the machine is; what counts from the start of a process (imports, compilation,
memory) runs in a process of its own. That every peer computes the same is tested in
``tests/test_benchmarks.py``.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks import peers_w1, peers_w2
from benchmarks.timing import Progress, answers_side_by_side, command, peer_seconds, seconds, side_by_side
from benchmarks.workload import FloatArray, Peer, Workload, w1, w2
from salessim.engine import HORIZON, ExactOutcome, Outcome, simulate
from salessim.engine.thinning import sample
from salessim.formats import MISSING, percent, table
from salessim.model import Scenario
from tests.worlds import changed, with_conversion, with_leads

__all__ = ["main"]

RESULTS = Path(__file__).parent / "results.md"
TRIALS = 10_000
PACKAGES = "numpy scipy numba simpy ciw mesa cimba aggregate pandas".split()
DRAWS = ("random", "antithetic", "Sobol")


@dataclass
class Run:
    """What is shared by all parts of the benchmark."""

    quick: bool
    progress: Progress = field(default_factory=Progress)
    aims: list[tuple[str, str, str, str]] = field(default_factory=list)  # what, wanted, measured, met

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def measure(self, name: str, work: Callable[[], float]) -> float:
        """The result of a step; NaN where it could not be run."""
        result = float("nan")
        with self.progress.step(name):
            result = work()
        return result

    def aim(self, what: str, measured: float, *, least: float = 0.0, most: float = 0.0, unit: str) -> None:
        """Note whether a measured figure is where it should be."""
        wanted = f"at least {figure(least)} {unit}" if least else f"at most {figure(most)} {unit}"
        if np.isfinite(measured):
            met = measured >= least if least else measured <= most
            self.aims.append((what, wanted, f"{figure(measured)} {unit}", "yes" if met else "no"))
        else:
            self.aims.append((what, wanted, MISSING, MISSING))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all parts, print the tables and, unless quick, write them to ``benchmarks/results.md``."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulator", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="smaller, for trying; nothing is written")
    run = Run(parser.parse_args(arguments).quick)
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else MISSING
    parts = [part(run) for part in (unlimited, limited, sweep, errors, growth, first_use)]
    report = "\n\n".join([heading(run, load), *parts]) + "\n"
    print(f"\n{report}")
    if run.quick:
        print(f"Quick run: {RESULTS.name} stays as it is.")
    else:
        RESULTS.write_text(report, encoding="utf-8")


def heading(run: Run, load: str) -> str:
    """Versions, aims, and what could not be run."""
    versions = [f"Python {platform.python_version()}"]
    for name in PACKAGES:
        try:
            versions.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            versions.append(f"{name} not installed")
    text = [
        "# Benchmarks of the simulator",
        flat("""
            Written by `python -m benchmarks.simulator`; all in one run on one machine, one thread unless said
            otherwise. Times are medians after a warm-up. Ratios carry over to other machines, times do not.
        """),
        f"{'; '.join(versions)}; {os.cpu_count()} cores; load at the start {load}.",
        table(["aim", "wanted", "measured", "met"], run.aims),
    ]
    if run.quick:
        text.insert(1, "**Quick run: too small for reliable ratios.**")
    if run.progress.left_out:
        text += ["Not run: " + "; ".join(f"{k} ({why})" for k, why in run.progress.left_out.items()) + "."]
    return "\n\n".join(text)


def unlimited(run: Run) -> str:
    """W1: no limit of capacity."""
    world = w1()
    work, quarters = Workload.of(world), [str(quarter) for quarter in world.calendar.periods()]
    runs = run.size(5, 1)
    numbers, one, two = (
        "random numbers of thinning alone (NumPy, SFC64)",
        "**salessim, thinning, 1 thread**",
        "**salessim, thinning, 2 threads**",
    )
    ours = {numbers: np.nan, one: np.nan, two: np.nan}
    with run.progress.step("W1: thinning and its random numbers"):
        works = {
            numbers: own_random_numbers(world),
            one: partial(sample, world, trials=TRIALS, seed=1),
            two: partial(sample, world, trials=TRIALS, seed=1, threads=2),
        }
        ours = {name: taken / TRIALS for name, taken in side_by_side(works, times=runs).items()}
    peers, trials = time_peers(run, "W1", peers_w1.PEERS, work)
    alone = ours[one]
    run.aim("W1: thinning ÷ its own random numbers", alone / ours[numbers], most=1.3, unit="×")
    run.aim("W1: SimPy ÷ thinning", peers["SimPy, a process per lead"] / alone, least=10_000, unit="×")
    run.aim("W1: careful NumPy ÷ thinning", peers["careful NumPy, per lead"] / alone, least=30, unit="×")

    exact = run.measure("W1: exact laws and quotas", lambda: seconds(lambda: laws(world, quarters), times=9))
    all_of_it = run.measure("W1: exact, everything", lambda: seconds(lambda: every(world, quarters), times=9))
    peer = run.measure("W1: aggregate", lambda: with_aggregate(world, runs))
    run.aim("W1: exact laws and quotas", exact * 1000, most=10, unit="ms")
    run.aim("W1: aggregate ÷ exact laws and quotas", peer / exact, least=10, unit="×")
    solved = {
        "**salessim, exact**: laws of 50 reps × 4 quarters, and four quotas": exact,
        "**salessim, exact**: and shares, numbers attaining, quantiles of reps and team, year and quarters": (
            all_of_it
        ),
        "aggregate: eight compounds (a tenured and a new rep × 4 quarters, without market shock)": peer,
        f"salessim, thinning: {TRIALS:,} trials, 1 thread": alone * TRIALS,
    }
    return "\n\n".join(
        [
            "## W1: no limit of capacity",
            flat("""
                50 reps (10 new, linear ramp of 26 weeks), 52 weeks, 12 leads per rep-week, five stages
                (conversions 0.30 0.55 0.60 0.65 0.75; geometric dwell of mean 2 3 4 3 2 weeks), lognormal
                deals (mean 20,000, cv 1), gamma skill (cv 0.25), lognormal market shock per quarter (cv
                0.10), empty pipeline at the start; wins and bookings by rep and quarter. About 29,700 leads
                and 1,030 wins per trial.
            """),
            ratios("trials drawn", peers | ours, base=alone, trials=trials),
            table(
                ["without noise, beside it", "ms", "÷ exact laws and quotas"],
                [(name, figure(taken * 1000), figure(taken / exact)) for name, taken in solved.items()],
            ),
        ]
    )


def limited(run: Run) -> str:
    """W2: at most 40 open deals per rep."""
    world = w2()
    one, two = "**salessim, flow, 1 thread**", "**salessim, flow, 2 threads**"
    ours = {one: np.nan, two: np.nan}
    with run.progress.step("W2: flow"):
        flow = partial(simulate, world, engine="flow", trials=TRIALS, seed=1)
        works = {one: partial(flow, threads=1), two: partial(flow, threads=2)}
        ours = {name: taken / TRIALS for name, taken in side_by_side(works, times=run.size(5, 1)).items()}
    peers, trials = time_peers(run, "W2", peers_w2.PEERS, Workload.of(world))
    alone = ours[one]
    simpy = peers["SimPy, a process per lead and a Resource per rep"]
    run.aim("W2: SimPy ÷ flow", simpy / alone, least=6_000, unit="×")
    return "\n\n".join(
        [
            "## W2: at most 40 open deals per rep",
            flat("""
                W1 with a limit that binds: surplus leads wait, and each waiting lead leaves with probability
                0.1 a week. Order within a week: exits, admission of the waiting, decay, arrivals, admission.
            """),
            ratios("trials drawn", peers | ours, base=alone, trials=trials),
        ]
    )


def sweep(run: Run) -> str:
    """A hundred scenarios, exact."""
    world, steps = w1(), run.size(10, 3)
    quarters = [str(quarter) for quarter in world.calendar.periods()]
    quota = ExactOutcome(world).amount_for_share(np.ones(50), 0.675, quarters[-1])
    grid = [
        with_conversion(with_leads(world, leads), 0, conversion)
        for leads in np.linspace(0.7, 1.3, steps).tolist()
        for conversion in np.linspace(0.2, 0.4, steps).tolist()
    ]

    def answers() -> list[float]:
        outcomes = [ExactOutcome(scenario) for scenario in grid]
        return [outcome.share_at_least(np.ones(50), quota, q) for outcome in outcomes for q in quarters]

    taken = run.measure("sweep: exact", lambda: seconds(answers, times=run.size(5, 1)) / len(grid))
    thinned = run.measure(
        "sweep: thinning",
        lambda: seconds(lambda: sample(grid[-1], trials=TRIALS, seed=1), times=run.size(3, 1)),
    )
    run.aim("sweep: exact, per scenario", taken * 1000, most=3, unit="ms")
    return "\n\n".join(
        [
            f"## Sweep: {len(grid)} scenarios (leads × conversion of the first stage)",
            "W1; laws of all reps and quarters, and the share of reps at a fixed quota in each quarter.",
            table(
                ["engine", "ms per scenario", "÷ exact"],
                [
                    ("**exact**", figure(taken * 1000), figure(1)),
                    (
                        f"thinning, {TRIALS:,} trials, the largest of them",
                        figure(thinned * 1000),
                        figure(thinned / taken),
                    ),
                ],
            ),
        ]
    )


def errors(run: Run) -> str:
    """Error per second: independent, antithetic and Sobol draws beside the exact answer."""
    world, seeds = w1(), run.size(20, 5)
    quarter, quota, levels = str(world.calendar.periods()[-1]), 102_182.0, [0.1, 0.5, 0.9]

    def answer(outcome: Outcome) -> FloatArray:
        share = outcome.share_at_least(np.ones(50), quota, quarter)
        return np.array([share, *outcome.team_quantiles(levels, HORIZON)])

    def drawn(seed: int, draws: str) -> FloatArray:
        return answer(sample(world, trials=TRIALS, seed=seed, draws=draws))

    right = answer(ExactOutcome(world))
    scale = np.array([1.0, *right[1:]])  # the share in points, the quantiles relative to themselves
    exact = run.measure(
        "error per second: exact", lambda: seconds(lambda: answer(ExactOutcome(world)), times=run.size(9, 3))
    )
    rows: list[list[object]] = []
    with run.progress.step(f"error per second: {', '.join(DRAWS)}"):
        works = {draws: partial(drawn, draws=draws) for draws in DRAWS}
        taken, found = answers_side_by_side(works, seeds=seeds)
        error = {draws: np.sqrt(np.mean((found[draws] - right) ** 2, axis=0)) / scale for draws in DRAWS}
        cost = {draws: error[draws] ** 2 * taken[draws] for draws in DRAWS}  # error ∝ 1 ÷ √time
        for draws in DRAWS:
            gains = cost["random"] / cost[draws]
            shown = [
                f"{percent(e, digits=3)} (× {figure(gain)})"
                for e, gain in zip(error[draws], gains, strict=True)
            ]
            rows.append([f"thinning, {draws}, {TRIALS:,} trials", figure(taken[draws] * 1000), *shown])
    rows.append(["**exact**", figure(exact * 1000), *["no noise"] * 4])
    return "\n\n".join(
        [
            "## Error per second",
            flat(f"""
                W1; root mean squared error over {seeds} seeds against the exact answer: share of reps at a
                quota of {quota:,.0f} in the last quarter (exact: {percent(right[0], digits=2)}, error in
                points), and P10, P50 and P90 of the team's bookings of the year (error relative to them). In
                brackets: how many times longer random draws take for the same error.
            """),
            table(["method", "ms", "share attaining", "team P10", "team P50", "team P90"], rows),
        ]
    )


def growth(run: Run) -> str:
    """Time against trials, reps and weeks, each doubled thrice; memory against trials."""
    runs = run.size(3, 1)

    def thinning(world: Scenario, trials: int) -> object:
        return sample(world, trials=trials, seed=1)

    def flow(world: Scenario, trials: int) -> object:
        return simulate(world, engine="flow", trials=trials, seed=1, threads=1)

    rows = []
    for name, engine, world_of, base in (
        ("thinning, W1", thinning, w1, run.size(2_000, 200)),
        ("flow, W2", flow, w2, run.size(1_000, 100)),
    ):
        grown: dict[str, list[tuple[int, Scenario, int]]] = {
            "trials": [(base * k, world_of(), base * k) for k in (1, 2, 4, 8)],
            "reps": [(25 * k, world_of(reps=25 * k, newcomers=5 * k), base) for k in (1, 2, 4, 8)],
            "weeks": [(26 * k, over(world_of(), quarters=2 * k), base) for k in (1, 2, 4, 8)],
        }
        for axis, sizes in grown.items():
            with run.progress.step(f"growth: {name}, {axis}"):
                taken = [seconds(partial(engine, world, trials), times=runs) for _, world, trials in sizes]
                rows.append(
                    (
                        f"{name}: {axis} {' → '.join(f'{size:,}' for size, _, _ in sizes)}",
                        *[figure(value * 1000) for value in taken],
                        " ".join(figure(after / before) for before, after in pairwise(taken)),
                    )
                )
    memory = []
    for trials in (10_000, 100_000, run.size(1_000_000, 200_000)):
        with run.progress.step(f"memory: team bookings of {trials:,} trials"):
            done = command(
                code="from benchmarks.workload import w1\n"
                "from salessim.engine.thinning import team_bookings\n"
                f"team_bookings(w1(), trials={trials}, seed=1, threads=2)\n"
            )
            memory.append((f"{trials:,}", f"{done.peak_bytes / 1e6:,.0f}", figure(done.seconds)))
            if trials >= 200_000:
                run.aim(
                    f"memory of {trials:,} trials of team bookings", done.peak_bytes / 1e9, most=2, unit="GB"
                )
    return "\n\n".join(
        [
            "## Growth",
            flat(f"""
                Each doubled thrice while the others stay as they are: 50 reps, 52 weeks,
                {run.size(2_000, 200):,} trials of thinning or {run.size(1_000, 100):,} of flow; 1 thread.
            """),
            table(["what grows", "ms", "ms", "ms", "ms", "ratios (2 = in proportion)"], rows),
            "Peak memory of a fresh process, imports included; the team's bookings of W1 on 2 threads:",
            table(["trials", "MB", "seconds in all"], memory),
        ]
    )


def first_use(run: Run) -> str:
    """Imports, the command line, and compilation, each in a process of its own."""
    runs = run.size(5, 2)
    command_line = str(Path(sys.executable).with_name("salessim"))
    rows = []

    programs = {
        "Python alone": (0.0, {"code": "pass\n"}),
        "`import salessim`": (0.3, {"code": "import salessim\n"}),
        "`from salessim.engine import simulate`": (0.0, {"code": "from salessim.engine import simulate\n"}),
        "`salessim version`": (2.0, {"program": (command_line, "version")}),
        "`salessim quota` (example company, exact)": (2.0, {"program": (command_line, "quota")}),
    }
    for name, (most, how) in programs.items():
        with run.progress.step(f"first use: {name}"):
            taken = command(**how, times=runs).seconds
            rows.append((name, figure(taken)))
            if most:
                run.aim(f"first use: {name}", taken, most=most, unit="s")
    engines = {
        "thinning, W1": "from benchmarks.workload import w1\nfrom salessim.engine import simulate\n"
        "simulate(w1(), engine='thinning', trials=100, seed=1, threads=1)\n",
        "flow, W2": "from benchmarks.workload import w2\nfrom salessim.engine import simulate\n"
        "simulate(w2(), engine='flow', trials=100, seed=1, threads=1)\n",
    }
    for name, code in engines.items():
        with run.progress.step(f"first use: {name}"), tempfile.TemporaryDirectory() as cache:
            kept = {"NUMBA_CACHE_DIR": cache}
            compiling = command(code=code, environment=kept).seconds
            cached = command(code=code, environment=kept, times=runs).seconds
            rows.append((f"100 trials by {name}: compiled for the first time", figure(compiling)))
            rows.append((f"100 trials by {name}: every later process", figure(cached)))
    return "\n\n".join(
        ["## First use", "Whole processes, from start to end.", table(["what", "seconds"], rows)]
    )


def time_peers(
    run: Run, name: str, peers: dict[str, Peer], work: Workload
) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds per trial, and trials per run, of each peer."""
    taken: dict[str, float] = {}
    trials: dict[str, int] = {}
    for peer, model in peers.items():
        taken[peer] = float("nan")
        with run.progress.step(f"{name}: {peer}"):
            taken[peer], trials[peer] = peer_seconds(
                partial(model, work),
                budget=0.2 if run.quick else 1.0,
                times=run.size(3, 1),
            )
    return taken, trials


def ratios(what: str, taken: dict[str, float], *, base: float, trials: dict[str, int]) -> str:
    """Times per trial, slowest first, beside one of them."""
    order = sorted(taken, key=lambda name: -taken[name] if np.isfinite(taken[name]) else np.inf)
    rows = [
        (
            name,
            figure(taken[name] * 1000),
            figure(taken[name] / base),
            length(taken[name] * TRIALS),
            f"{trials.get(name, TRIALS):,}" if np.isfinite(taken[name]) else MISSING,
        )
        for name in order
    ]
    header = [
        what,
        "ms per trial",
        "÷ salessim, 1 thread",
        f"{TRIALS:,} trials take",
        "trials in each timed run",
    ]
    return table(header, rows)


def own_random_numbers(world: Scenario) -> Callable[[], None]:
    """Draws the numbers that thinning needs at least: shocks, skills, counts, and a size per won deal."""
    wins = ExactOutcome(world).rates.wins.sum(axis=(1, 2))  # (rep, quarter)
    chunk, numbers = 500, np.random.Generator(np.random.SFC64(1))
    means = np.broadcast_to(wins, (chunk, *wins.shape)).copy()
    shape, deals = 1 / world.market.skill_cv**2, round(float(wins.sum()) * chunk)

    def draw() -> None:
        for _ in range(TRIALS // chunk):
            numbers.standard_normal((chunk, means.shape[2]))
            numbers.gamma(shape, 1 / shape, means.shape[:2])
            numbers.poisson(means)
            amounts = numbers.standard_normal(deals)
            np.exp(amounts, out=amounts)

    return draw


def laws(world: Scenario, quarters: list[str]) -> None:
    outcome = ExactOutcome(world)
    for quarter in quarters:
        outcome.amount_for_share(np.ones(50), 0.675, quarter)


def every(world: Scenario, quarters: list[str]) -> None:
    outcome, levels = ExactOutcome(world), [0.1, 0.5, 0.9]
    for period in (*quarters, HORIZON):
        quota = outcome.amount_for_share(np.ones(50), 0.675, period)
        outcome.chance_at_least(np.full(50, quota), period)
        outcome.number_at_least(np.full(50, quota), period)
        outcome.rep_quantiles(levels, period)
        outcome.team_quantiles(levels, period)


def with_aggregate(world: Scenario, runs: int) -> float:
    """Seconds for the compounds of a tenured and of a new rep in four quarters, skill included."""
    import aggregate

    wins = ExactOutcome(world).rates.wins.sum(axis=(1, 2))[[0, -1]].ravel()

    def build() -> None:
        for number, mean in enumerate(wins):
            text = f"agg B{number} {mean:.4f} claims sev lognorm 20000 cv 1 mixed gamma 0.25"
            aggregate.build(text, log2=13)

    return seconds(build, times=runs)


def over(world: Scenario, *, quarters: int) -> Scenario:
    """The scenario over another number of quarters."""
    return changed(world, calendar=world.calendar.model_copy(update={"quarters": quarters}))


def flat(text: str) -> str:
    """A paragraph on one line."""
    return " ".join(text.split())


def figure(value: float) -> str:
    """A number with three digits that matter; – where there is none."""
    if not np.isfinite(value):
        return MISSING
    digits = max(2 - int(np.floor(np.log10(abs(value)))), 0) if value else 0
    return f"{value:,.{digits}f}"


def length(taken: float) -> str:
    """Seconds as a person says them."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if taken >= 2 * size:
            return f"{figure(taken / size)} {unit}"
    return f"{figure(taken)} s" if np.isfinite(taken) else MISSING


if __name__ == "__main__":
    main()
