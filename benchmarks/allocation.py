"""How fast quotas are handed down, beside the package b2b-revenue-forecasting; nothing here passes or fails.

    .venv/bin/python -m benchmarks.allocation

Workload: 10,000 reps in five levels (company, 5 regions, 50 districts, 1,000 managers), a history and a
pipeline figure per rep, 5 % over-assignment at each level; ours is split into quarters as well. Medians of
several runs after one that warms up; what takes more than five seconds runs once. The peer is no dependency:
`pip install b2b-revenue-forecasting` puts it beside us.
"""

from __future__ import annotations

import platform
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.timing import seconds
from salessim.allocation import Allocation, Hierarchy, allocate, coverage, differences, trace

LEVELS = ["region", "district", "manager", "rep"]
TARGET = 1_000_000_000
OVER = 0.05


def sales_force() -> pd.DataFrame:
    """One row per rep with the path to the company; the figures follow the number of the rep."""
    number = np.arange(10_000)
    return pd.DataFrame(
        {
            "company": "Company",
            "region": [f"region {n // 2_000}" for n in number],
            "district": [f"district {n // 200}" for n in number],
            "manager": [f"manager {n // 10}" for n in number],
            "rep": [f"rep {n}" for n in number],
            "history": 100_000.0 + number * 7_919 % 150_001,
            "pipeline": 300_000.0 + number * 6_151 % 250_007,
        }
    )


def peer_work(reps: pd.DataFrame) -> tuple[str, dict[str, Callable[[], object]]] | None:
    """What the peer does with the same reps, by the name of ours; None where it is not installed."""
    try:
        import b2b_revenue_forecasting as peer
    except ImportError:
        return None
    path = ["company", *LEVELS]

    def tree() -> peer.SalesHierarchy:
        node = peer.SalesHierarchy()
        node.from_dataframe(reps, path_cols=path, metrics_cols=["history", "pipeline"])
        return node

    node = tree()

    def cascade() -> peer.QuotaCascader:
        cascader = peer.QuotaCascader(node)
        cascader.cascade_proportional(
            "Company", TARGET, metric="history", hedge_multiplier=1 + OVER, verbose=False
        )
        return cascader

    done = cascade()
    return peer.__version__, {
        "hierarchy from a table": tree,
        "cascade": cascade,
        "sums checked": lambda: done.reconciliation_report(done.base_quotas),
        "coverage by pipeline": lambda: peer.PipelineAdjuster(
            node, done.last_quotas, pipeline_attr="pipeline"
        ).diagnose(),
        "two quota sets compared": lambda: done.quotas_diff_to_dataframe(done.last_quotas, done.base_quotas),
    }


def our_work(reps: pd.DataFrame) -> tuple[Allocation, dict[str, Callable[[], object]]]:
    """What we do, each step on its own."""

    def tree() -> Hierarchy:
        return Hierarchy.from_paths(reps.drop(columns="company"), levels=LEVELS, company="Company")

    node = tree()

    def cascade() -> Allocation:
        return allocate(node, TARGET, by="history", over_assignment=OVER, year=2026)

    done, other = cascade(), allocate(node, TARGET, by="history", year=2026)
    return done, {
        "hierarchy from a table": tree,
        "cascade": cascade,
        "sums checked": done.check,
        "coverage by pipeline": lambda: coverage(done, by="pipeline"),
        "two quota sets compared": lambda: differences(done, other),
        "trace of one rep": lambda: trace(done, "rep 7777"),
    }


def once(work: Callable[[], object]) -> float:
    """Time of one run, for what takes too long to repeat."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    reps = sales_force()
    done, ours = our_work(reps)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peer warns about weights that nobody asked it to suggest
        found = peer_work(reps)
        theirs = {} if found is None else found[1]
        rows = []
        for name, work in ours.items():
            own = seconds(work, times=7)
            other = float("nan")
            if name in theirs:
                first = once(theirs[name])
                other = first if first > 5 else seconds(theirs[name], times=3)
            rows.append((name, own, other))
    version = "not installed" if found is None else found[0]
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, pandas {pd.__version__}")
    print(
        f"b2b-revenue-forecasting {version}; all of our sums exact: {bool(done.check()['reconciles'].all())}"
    )
    if found is None:
        print("To see it beside us: pip install b2b-revenue-forecasting")
    print("| 10,000 reps, five levels | salessim, seconds | peer, seconds | peer ÷ salessim |")
    print("| --- | --- | --- | --- |")
    for name, own, other in rows:
        known = np.isfinite(other)
        peer, ratio = (f"{other:.3f}", f"{other / own:,.0f}") if known else ("–", "–")
        print(f"| {name} | {own:.4f} | {peer} | {ratio} |")


if __name__ == "__main__":
    main()
