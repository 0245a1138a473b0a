"""How fast the engines are, as ratios measured side by side in one run; nothing here passes or fails.

    .venv/bin/python -m benchmarks.engines

Workload: 50 reps (10 new, 26-week ramp), 52 weeks, five stages, lognormal deals (mean 20,000, cv 1), gamma
skill (cv 0.25), lognormal market shock (cv 0.10); 10,000 trials where trials are drawn.
"""

from __future__ import annotations

import platform
import statistics
import time
from collections.abc import Callable

import aggregate
import numpy as np

from salessim.engine import ExactOutcome, simulate_history
from salessim.engine.streams import generator
from salessim.engine.thinning import sample
from tests.worlds import reference_world

TRIALS = 10_000


def seconds(work: Callable[[], object], *, times: int) -> float:
    """Median time of several runs, after one that warms up."""
    work()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main() -> None:
    world = reference_world()
    quarters = [str(quarter) for quarter in world.calendar.periods()]

    def exact() -> None:
        outcome = ExactOutcome(world)
        for quarter in quarters:
            outcome.amount_for_share(np.ones(50), 0.675, quarter)

    def peer() -> None:
        # the same eight compounds (four quarters of a tenured and of a new rep), without the market shock
        wins = ExactOutcome(world).rates.wins.sum(axis=(1, 2))[[0, -1]].ravel()
        for number, mean in enumerate(wins):
            aggregate.build(
                f"agg B{number} {mean:.4f} claims sev lognorm 20000 cv 1 mixed gamma 0.25", log2=13
            )

    def random_numbers() -> None:
        # what the thinning engine draws at least: a shock, a skill, a count per cell and a size per won deal
        source = generator(1, "benchmark")
        wins = float(ExactOutcome(world).rates.wins.sum())
        source.random(int(TRIALS * (4 + 50 + 200 + wins)))

    measured = {
        "exact: laws of 50 reps x 4 quarters and four quotas": seconds(exact, times=7),
        "aggregate: eight compounds": seconds(peer, times=3),
        "thinning: 10,000 trials, 1 thread": seconds(lambda: sample(world, trials=TRIALS, seed=1), times=3),
        "uniforms of those trials": seconds(random_numbers, times=3),
        "deal by deal: 10,000 trials (10 run, scaled)": seconds(
            lambda: [simulate_history(world, seed=seed) for seed in range(10)], times=1
        )
        * TRIALS
        / 10,
    }
    base = measured["exact: laws of 50 reps x 4 quarters and four quotas"]
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, aggregate {aggregate.__version__}")
    print("| what | seconds | x exact |\n| --- | --- | --- |")
    for name, taken in measured.items():
        print(f"| {name} | {taken:.3f} | {taken / base:,.1f} |")


if __name__ == "__main__":
    main()
