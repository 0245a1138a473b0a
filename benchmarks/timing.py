"""How the benchmarks measure: medians after a warm-up, processes of their own, and a line per step."""

from __future__ import annotations

import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

__all__ = [
    "Finished",
    "Progress",
    "answers_side_by_side",
    "command",
    "once",
    "peer_seconds",
    "seconds",
    "side_by_side",
]

FloatArray = npt.NDArray[np.float64]

ROOT = Path(__file__).resolve().parents[1]

#: Prints the most memory that a process had, in bytes; appended to what runs in a process of its own.
PEAK = """
import sys
if sys.platform == "linux":  # getrusage starts with what the parent had
    with open("/proc/self/status") as status:
        peak = next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))
elif sys.platform == "win32":
    import psutil
    peak = psutil.Process().memory_info().peak_wset
else:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(peak)
"""


def once(work: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def seconds(work: Callable[[], object], *, times: int) -> float:
    """Median time of several runs, after one that warms up."""
    return side_by_side({"": work}, times=times)[""]


def side_by_side(works: Mapping[str, Callable[[], object]], *, times: int) -> dict[str, float]:
    """Median times of several runs each, taken in turns, so that a busy moment hits all of them alike."""
    for work in works.values():
        work()
    with only_its_own_garbage():
        taken = [{name: once(work) for name, work in works.items()} for _ in range(times)]
    return {name: statistics.median(turn[name] for turn in taken) for name in works}


def answers_side_by_side(
    works: Mapping[str, Callable[[int], FloatArray]], *, seeds: int
) -> tuple[dict[str, float], dict[str, FloatArray]]:
    """Run works that answer with an array on seeds 1, 2, 3 …, in turns.

    Returns:
        Median times, and the answers, stacked along the first axis.
    """
    taken: dict[str, list[float]] = {name: [] for name in works}
    answers: dict[str, list[FloatArray]] = {name: [] for name in works}
    for work in works.values():
        work(0)
    with only_its_own_garbage():
        for seed in range(1, seeds + 1):
            for name, work in works.items():
                start = time.perf_counter()
                answer = work(seed)
                taken[name].append(time.perf_counter() - start)
                answers[name].append(answer)
    return (
        {name: statistics.median(times) for name, times in taken.items()},
        {name: np.array(rows) for name, rows in answers.items()},
    )


def peer_seconds(work: Callable[[int, int], object], *, budget: float, times: int) -> tuple[float, int]:
    """Median time per trial of a model, and how many trials each of its runs had.

    Args:
        work: runs (trials, seed).
        budget: seconds that a run should take; a run has one trial at least.
        times: runs, after one of a single trial that warms up and others that tell how long a trial takes.
    """
    work(1, 0)
    with only_its_own_garbage():
        trials = 1
        # what a run costs before its first trial must not count as the price of a trial
        while (taken := once(partial(work, trials, 1))) < budget / 4:
            trials *= 4
        trials = max(round(trials * budget / taken), 1)
        runs = [once(partial(work, trials, seed)) for seed in range(2, 2 + times)]
    return statistics.median(runs) / trials, trials


@contextmanager
def only_its_own_garbage() -> Iterator[None]:
    """Spares what is measured the search for garbage among all that was imported and measured before."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


@dataclass(frozen=True)
class Finished:
    """A process that ended well."""

    seconds: float
    peak_bytes: int  # 0 for programs


def command(
    *,
    program: Sequence[str] = (),
    code: str = "",
    environment: Mapping[str, str] | None = None,
    times: int = 1,
) -> Finished:
    """Run a program, or Python code, in a process of its own; the median time of several runs.

    Raises:
        RuntimeError: with the last line of its complaint, where it failed.
    """
    line = [sys.executable, "-c", code + PEAK] if code else list(program)
    taken, done = [], None
    for _ in range(times):
        start = time.perf_counter()
        done = subprocess.run(
            line, cwd=ROOT, env={**os.environ, **(environment or {})}, capture_output=True, text=True
        )
        taken.append(time.perf_counter() - start)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["it failed"])[-1])
    assert done is not None
    return Finished(statistics.median(taken), int(done.stdout.split()[-1]) if code else 0)


class Progress:
    """Says what runs and how long it took, and keeps what could not be run and why."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.left_out: dict[str, str] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One step; where it fails, the failure is noted and the benchmark goes on without it."""
        print(f"{name} …", end=" ", flush=True)
        start = time.perf_counter()
        try:
            yield
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0]
            self.left_out[name] = f"{type(error).__name__}: {reason}"
            print(f"not run ({self.left_out[name]})", flush=True)
        else:
            now = time.perf_counter()
            print(f"{now - start:.1f} s ({now - self.began:.0f} s in all)", flush=True)
