"""Workload W2 as one would write it with other libraries: W1 with at most so many open deals per rep.

Rules of a week, in this order: deals leave their stages; leads that wait are admitted as far as there is
room; each that still waits leaves for good with the chance ``leave_per_week``; new leads arrive and are
admitted as far as there is room, the others wait. A deal admitted in a week with a dwell of d weeks leaves
the stage d weeks later. Every function takes a workload, a number of trials and a seed, and returns wins and
bookings with the axes (trial, rep, quarter).
"""

from __future__ import annotations

import math
import random

import numpy as np

from benchmarks.peers_w1 import steps
from benchmarks.workload import FloatArray, IntArray, Peer, Workload
from salessim.periods import WEEKS_PER_QUARTER

__all__ = ["PEERS"]


def with_simpy(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """SimPy: a process per lead, which asks for room at its rep, a Resource, and waits as long as it likes.

    Deals leave stages on the full week and release their room to those who wait; patience ends a quarter of a
    week later; leads arrive at half-week.
    """
    import simpy

    luck, numbers = random.Random(seed), np.random.default_rng(seed)
    uniform, (mu, sigma) = luck.random, work.deal_law
    stages, log_patience = steps(work), math.log1p(-work.leave_per_week)
    won, bookings = work.nothing(trials)

    def lead(env, desk, win):
        with desk.request() as room:
            if not room.triggered:
                weeks = 1 + int(math.log(1.0 - uniform()) / log_patience)
                yield room | env.timeout(weeks - 0.25)
                if not room.triggered:
                    return
            entered = math.floor(env.now)
            for conversion, log_stay in stages:
                leaves = entered + 1 + int(math.log(1.0 - uniform()) / log_stay)
                yield env.timeout(leaves - env.now)
                if uniform() >= conversion:
                    return
                entered = leaves
            win(entered)

    def seller(env, trial, rep, leads_by_week):
        def win(week):
            won[trial, rep, week // WEEKS_PER_QUARTER] += 1
            bookings[trial, rep, week // WEEKS_PER_QUARTER] += luck.lognormvariate(mu, sigma)

        desk = simpy.Resource(env, capacity=work.open_deals)
        yield env.timeout(0.5)
        for leads in leads_by_week:
            for _ in range(leads):
                env.process(lead(env, desk, win))
            yield env.timeout(1)

    for trial in range(trials):
        env = simpy.Environment()
        arriving = numbers.poisson(work.means(numbers, 1)[0]).tolist()
        for rep, leads_by_week in enumerate(arriving):
            env.process(seller(env, trial, rep, leads_by_week))
        env.run(until=work.weeks)
    return won, bookings


def plain_python(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """Loops over reps and weeks; deals are filed by the week in which they leave their stage."""
    luck = random.Random(seed)
    uniform, lognormal = luck.random, luck.lognormvariate
    (mu, sigma), (shock_mu, shock_sigma) = work.deal_law, work.shock_law
    stages, weeks, last = steps(work), work.weeks, len(work.conversions)
    by_rep = work.leads.tolist()
    won, bookings = work.nothing(trials)
    for trial in range(trials):
        shock = [lognormal(shock_mu, shock_sigma) for _ in range(work.quarters)]
        for rep, means in enumerate(by_rep):
            skill = luck.gammavariate(work.skill_shape, 1 / work.skill_shape)
            count, booked = [0] * work.quarters, [0.0] * work.quarters
            due: list[list[int]] = [[] for _ in range(weeks)]  # stages of the deals that leave them in a week
            room, waiting = work.open_deals, 0
            for week, mean in enumerate(means):
                quarter = week // WEEKS_PER_QUARTER
                for stage in due[week]:
                    if uniform() >= stages[stage][0]:
                        room += 1
                    elif stage + 1 == last:
                        room += 1
                        count[quarter] += 1
                        booked[quarter] += lognormal(mu, sigma)
                    else:
                        leaves = week + 1 + int(math.log(1.0 - uniform()) / stages[stage + 1][1])
                        if leaves < weeks:
                            due[leaves].append(stage + 1)
                admitted = min(room, waiting)
                waiting -= admitted
                waiting = sum(uniform() >= work.leave_per_week for _ in range(waiting))
                limit = math.exp(-mean * skill * shock[quarter])
                left = uniform()
                while left > limit:
                    left *= uniform()
                    if admitted < room:
                        admitted += 1
                    else:
                        waiting += 1
                room -= admitted
                for _ in range(admitted):
                    leaves = week + 1 + int(math.log(1.0 - uniform()) / stages[0][1])
                    if leaves < weeks:
                        due[leaves].append(0)
            won[trial, rep], bookings[trial, rep] = count, booked
    return won, bookings


def numpy_counts(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """NumPy: deals per stage of all reps and 64 trials at once, moved by binomial draws week by week."""
    numbers = np.random.Generator(np.random.SFC64(seed))
    leaves, last = [1 / weeks for weeks in work.dwell_weeks], len(work.conversions) - 1
    won, bookings = work.nothing(trials)
    for start in range(0, trials, 64):
        part = slice(start, min(start + 64, trials))
        means = work.means(numbers, part.stop - part.start)  # (trial, rep, week)
        in_stage = np.zeros((last + 1, *means.shape[:2]), dtype=np.int64)
        waiting = np.zeros(means.shape[:2], dtype=np.int64)
        for week in range(work.weeks):
            for stage in range(last, -1, -1):  # from the end, so that a deal moves once a week
                leaving = numbers.binomial(in_stage[stage], leaves[stage])
                moving = numbers.binomial(leaving, work.conversions[stage])
                in_stage[stage] -= leaving
                if stage < last:
                    in_stage[stage + 1] += moving
                else:
                    won[part, :, week // WEEKS_PER_QUARTER] += moving
            room = work.open_deals - in_stage.sum(axis=0)
            admitted = np.minimum(waiting, room)
            waiting = numbers.binomial(waiting - admitted, 1 - work.leave_per_week)
            arriving = numbers.poisson(means[:, :, week])
            at_once = np.minimum(arriving, room - admitted)
            in_stage[0] += admitted + at_once
            waiting += arriving - at_once
        deals = won[part].ravel()
        amount = numbers.lognormal(*work.deal_law, deals.sum())
        cell = np.repeat(np.arange(len(deals)), deals)
        bookings[part] = np.bincount(cell, amount, minlength=len(deals)).reshape(won[part].shape)
    return won, bookings


#: Name shown, and model.
PEERS: dict[str, Peer] = {
    "SimPy, a process per lead and a Resource per rep": with_simpy,
    "plain Python": plain_python,
    "NumPy, weekly counts by binomial draws": numpy_counts,
}
