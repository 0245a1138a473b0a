"""How long a large CRM export takes to become measures, with ``pandas.read_csv`` of its files as the floor.

    .venv/bin/python -m benchmarks.crm                          # some minutes; prints a table
    .venv/bin/python -m benchmarks.crm --opportunities 100000   # smaller, for trying

The export is made up with a seed: opportunities of 13 columns, about four stage events for each, leads, reps
and accounts, in the plain format ``salessim_csv``; as CSV, and five times as many opportunities as Parquet.
All is measured in one run, in processes of their own; nothing here passes or fails by time.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from benchmarks.timing import PEAK, ROOT, Progress
from salessim.engine.streams import generator
from salessim.formats import table

__all__ = ["main", "write_export"]

QUARTER = "2025Q3"
STAGES = ("cold lead", "warm lead", "potential deal", "closing deal")
FIRST_DAY, LAST_DAY = np.datetime64("2023-01-02"), np.datetime64("2025-12-31")

#: What is run, one after the other in one process; {folder} holds the export.
STEPS = {
    "imports": """
from salessim.crm import read
from salessim.measures import CATALOGUE, measure, overview
from salessim.periods import Quarter
""",
    "`salessim.crm.read`": "tables = read({folder!r})\n",
    "`overview`, all measures of a quarter": f"overview(tables, quarter=Quarter.parse({QUARTER!r}))\n",
    "every measure of a quarter by rep": f"""
for name in CATALOGUE:
    measure(name, tables, quarter=Quarter.parse({QUARTER!r}), by="rep")
""",
}
FLOOR = {
    "import pandas": "from pathlib import Path\nimport pandas as pd\n",
    "`pandas.read_{ending}`, all files": (
        "frames = [pd.read_{ending}(path) for path in sorted(Path({folder!r}).iterdir())]\n"
    ),
}

Days = npt.NDArray[np.datetime64]


def write_export(folder: Path, *, opportunities: int, history: bool = True, parquet: bool = False) -> int:
    """Write a made-up export in the plain format; the number of its stage events."""
    rng = generator(1, "benchmark of the import")
    n = opportunities
    number = np.arange(n)
    created = FIRST_DAY + rng.integers(0, int((LAST_DAY - FIRST_DAY).astype(int)), n)
    reached = rng.choice(4, n, p=[0.1, 0.19, 0.29, 0.42])  # the furthest open stage
    won = (reached == 3) & (rng.random(n) < 0.75)
    steps = rng.integers(1, 40, (n, 4)).cumsum(axis=1)  # days until the next event
    ended = created + np.where(won, steps[:, 3], steps[number, reached])
    closed_on = np.where(ended <= LAST_DAY, ended, np.datetime64("NaT"))
    is_open = np.isnat(closed_on)
    stage = np.where(is_open, reached, np.where(won, 4, 5))
    words = pa.array([*STAGES, "won", "lost"])
    amount = np.round(rng.lognormal(9.5, 0.8, n), 2)
    reps, accounts = max(n // 2_000, 5), max(n // 10, 20)
    ids = texts("D", number)
    rep, account = rng.integers(0, reps, n), rng.integers(0, accounts, n)
    tables = {
        "opportunities": pa.table(
            {
                "opportunity_id": ids,
                "name": texts("Deal ", rng.integers(0, max(n // 5, 1), n)),
                "rep": texts("Rep ", rep),
                "account": texts("Account ", account),
                "product": texts("Product ", rng.integers(0, 20, n)),
                "segment": texts("Segment ", rng.integers(0, 4, n)),
                "source": texts("Source ", rng.integers(0, 8, n)),
                "stage": words.take(pa.array(stage)),
                "created": days(created),
                "closed": days(closed_on),
                "expected_close": days(np.where(is_open, created + 90, closed_on)),
                "amount": pa.array(amount, mask=~is_open & ~won),
                "next_step": texts("Call, then offer ", rng.integers(0, 50, n)),
            }
        ),
        "reps": pa.table(
            {"rep": texts("Rep ", np.arange(reps)), "region": texts("Region ", np.arange(reps) % 7)}
        ),
        "accounts": pa.table(
            {
                "account": texts("Account ", np.arange(accounts)),
                "industry": texts("Industry ", np.arange(accounts) % 12),
            }
        ),
    }
    events = 0
    if history:
        begun = created[:, None]
        entered = np.concatenate([begun, begun + steps[:, :3], closed_on[:, None]], axis=1)
        entered[:, :4][np.arange(4) > reached[:, None]] = np.datetime64("NaT")
        which, step = np.nonzero(~np.isnat(entered) & (entered <= LAST_DAY))
        events = len(which)
        tables["stage_history"] = pa.table(
            {
                "opportunity_id": ids.take(pa.array(which)),
                "stage": words.take(pa.array(np.where(step == 4, stage[which], step))),
                "entered": days(entered[which, step]),
            }
        )
        has_lead = number[: n // 2]
        lead_days = created[has_lead] - rng.integers(0, 30, len(has_lead))
        tables["leads"] = pa.table(
            {
                "lead_id": texts("L", has_lead),
                "source": tables["opportunities"]["source"].slice(0, len(has_lead)),
                "rep": tables["opportunities"]["rep"].slice(0, len(has_lead)),
                "created": days(lead_days),
                "mql": days(lead_days),
                "sql": days(created[has_lead]),
                "opportunity_id": ids.slice(0, len(has_lead)),
            }
        )
    for name, content in tables.items():
        if parquet:
            pa.parquet.write_table(content, folder / f"{name}.parquet")
        else:
            pa.csv.write_csv(content, folder / f"{name}.csv", pa.csv.WriteOptions(quoting_style="needed"))
    return events


def texts(word: str, numbers: npt.NDArray[np.int64]) -> pa.Array:
    """Names such as 'Rep 17'."""
    return pa.compute.binary_join_element_wise(word, pa.array(numbers).cast("string"), "")


def days(dates: Days) -> pa.Array:
    """Days as ISO dates, blank where there is none."""
    return pa.array(dates.astype("datetime64[D]"), mask=np.isnat(dates))


@dataclass(frozen=True)
class Step:
    """One step of a process: its seconds, and the most memory that the process has had until its end."""

    name: str
    seconds: float
    peak_bytes: int


def measured(steps: Mapping[str, str], *, folder: Path, ending: str) -> list[Step]:
    """Run steps one after the other in a process of its own.

    Raises:
        RuntimeError: with the last line of its complaint, where it failed.
    """
    code = "import time\n"
    for step in steps.values():
        timed = step.format(folder=str(folder), ending=ending)
        code += f"start = time.perf_counter()\n{timed}print(time.perf_counter() - start)\n{PEAK}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it failed"])[-1])
    figures = done.stdout.split()[-2 * len(steps) :]
    return [
        Step(name.format(ending=ending), float(taken), int(peak))
        for name, taken, peak in zip(steps, figures[0::2], figures[1::2], strict=True)
    ]


def compared(title: str, folder: Path, *, ending: str, progress: Progress) -> str:
    """The steps of the import and of the floor, on the same files, as a Markdown table."""
    ours: list[Step] = []
    floor: list[Step] = []
    with progress.step(f"{title}: pandas"):
        floor = measured(FLOOR, folder=folder, ending=ending)
    with progress.step(f"{title}: salessim"):
        ours = measured(STEPS, folder=folder, ending=ending)
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    unit = floor[-1].seconds if floor else float("nan")
    rows = [(step.name, step.seconds, step.peak_bytes) for step in (*floor[1:], *ours)]
    if ours:
        rows.append(("**salessim, all of it**", sum(step.seconds for step in ours), ours[-1].peak_bytes))
    return "\n\n".join(
        [
            f"## {title}, {size:,.0f} MB",
            table(
                ["step", "seconds", "peak memory until then, GB", f"÷ pandas.read_{ending}"],
                [
                    (name, f"{taken:.1f}", f"{peak / 1e9:.2f}", f"{taken / unit:.1f}")
                    for name, taken, peak in rows
                ],
            ),
        ]
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the exports in a temporary folder, measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crm", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--opportunities", type=int, default=1_000_000, help="in CSV; five times as many in Parquet"
    )
    count = parser.parse_args(arguments).opportunities
    load = f"; load at the start {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    progress, parts = Progress(), []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "csv")
        folder.mkdir()
        events = write_export(folder, opportunities=count)
        title = f"{count:,} opportunities with {events:,} stage events as CSV"
        parts.append(compared(title, folder, ending="csv", progress=progress))
        folder = Path(name, "parquet")
        folder.mkdir()
        write_export(folder, opportunities=5 * count, history=False, parquet=True)
        title = f"{5 * count:,} opportunities as Parquet"
        parts.append(compared(title, folder, ending="parquet", progress=progress))
    print(
        f"\n# Benchmarks of the import\n\nPython {platform.python_version()}, NumPy {np.__version__}, "
        f"pandas {pd.__version__}, PyArrow {pa.__version__}; {os.cpu_count()} cores{load}.\n"
    )
    print("\n\n".join(parts))
    if progress.left_out:
        print("\nNot run: " + "; ".join(f"{k} ({why})" for k, why in progress.left_out.items()) + ".")


if __name__ == "__main__":
    main()
