"""Workload W1 as one would write it with other libraries: leads that move through five stages.

Every function takes a workload, a number of trials and a seed, and returns wins and bookings with the axes
(trial, rep, quarter). With the libraries for processes, queues, agents and events a lead is followed until it
is won or lost, as one does with them. The others need only the wins, and drop at once what will be lost; for
SimPy, the library that is used most, both are there.
"""

from __future__ import annotations

import math
import random
from contextlib import suppress

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.workload import FloatArray, IntArray, Peer, Workload
from salessim.periods import WEEKS_PER_QUARTER

__all__ = ["PEERS"]

with suppress(ImportError):  # cimba extends numba, and has to be there before numba compiles anything
    import benchmarks.peers_cimba


def with_simpy(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """SimPy: a process per lead until it is won or lost, and one per rep that starts them week by week."""
    luck = random.Random(seed)
    uniform, stages = luck.random, steps(work)

    def lead(env, win):
        for conversion, log_stay in stages:
            yield env.timeout(1 + int(math.log(1.0 - uniform()) / log_stay))
            if uniform() >= conversion:
                return
        win(env.now)

    return _in_simpy(work, trials, seed, luck, lead)


def with_simpy_in_short(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """The same, but the process of a lead ends as soon as it enters the stage where it will be lost."""
    luck = random.Random(seed)
    uniform, stages = luck.random, steps(work)

    def lead(env, win):
        for conversion, log_stay in stages:
            if uniform() >= conversion:
                return
            yield env.timeout(1 + int(math.log(1.0 - uniform()) / log_stay))
        win(env.now)

    return _in_simpy(work, trials, seed, luck, lead)


def _in_simpy(work, trials, seed, luck, lead) -> tuple[IntArray, FloatArray]:
    import simpy

    numbers, (mu, sigma) = np.random.default_rng(seed), work.deal_law
    won, bookings = work.nothing(trials)

    def seller(env, trial, rep, leads_by_week):
        def win(now):
            quarter = int(now) // WEEKS_PER_QUARTER
            won[trial, rep, quarter] += 1
            bookings[trial, rep, quarter] += luck.lognormvariate(mu, sigma)

        for leads in leads_by_week:
            for _ in range(leads):
                env.process(lead(env, win))
            yield env.timeout(1)

    for trial in range(trials):
        env = simpy.Environment()
        arriving = numbers.poisson(work.means(numbers, 1)[0]).tolist()
        for rep, leads_by_week in enumerate(arriving):
            env.process(seller(env, trial, rep, leads_by_week))
        env.run(until=work.weeks)
    return won, bookings


def with_ciw(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """Ciw: a network of five nodes with infinitely many servers, for each rep on its own.

    Ciw looks at all who are present after every event; one network for all reps takes thirty times as long.
    """
    import ciw

    ciw.seed(seed)
    numbers, last = np.random.default_rng(seed), len(work.conversions)
    routing = np.zeros((last, last))
    routing[np.arange(last - 1), np.arange(1, last)] = work.conversions[:-1]
    nowhere = [None] * (last - 1)
    won, bookings = work.nothing(trials)
    for trial in range(trials):
        arriving = numbers.poisson(work.means(numbers, 1)[0])
        for rep, leads_by_week in enumerate(arriving.tolist()):
            network = ciw.create_network(
                arrival_distributions=[ciw.dists.Sequential([0.0] + [1.0] * work.weeks), *nowhere],
                batching_distributions=[ciw.dists.Sequential([*leads_by_week, 0])]
                + [ciw.dists.Deterministic(1)] * (last - 1),
                service_distributions=[ciw.dists.Geometric(1 / weeks) for weeks in work.dwell_weeks],
                routing=routing.tolist(),
                number_of_servers=[float("inf")] * last,
            )
            simulation = ciw.Simulation(network)
            simulation.simulate_until_max_time(work.weeks)
            left = np.array([r.service_end_date for r in simulation.get_all_records() if r.node == last])
            left = left[numbers.random(len(left)) < work.conversions[-1]]
            quarter = left.astype(int) // WEEKS_PER_QUARTER
            won[trial, rep] = np.bincount(quarter, minlength=work.quarters)
            amounts = numbers.lognormal(*work.deal_law, len(left))
            bookings[trial, rep] = np.bincount(quarter, amounts, minlength=work.quarters)
    return won, bookings


def with_mesa(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """Mesa: an agent per lead, activated every week until it is won or lost."""
    import mesa

    luck, numbers = random.Random(seed), np.random.default_rng(seed)
    uniform, (mu, sigma) = luck.random, work.deal_law
    stages, last = steps(work), len(work.conversions)

    def weeks_in(stage: int) -> int:
        return 1 + int(math.log(1.0 - uniform()) / stages[stage][1])

    class Lead(mesa.Agent):
        def __init__(self, model, rep):
            super().__init__(model)
            self.rep, self.stage, self.weeks_left = rep, 0, weeks_in(0)

        def step(self):
            self.weeks_left -= 1
            if self.weeks_left:
                return
            if uniform() >= stages[self.stage][0]:
                self.remove()
                return
            self.stage += 1
            if self.stage == last:
                self.model.win(self.rep)
                self.remove()
            else:
                self.weeks_left = weeks_in(self.stage)

    class Team(mesa.Model):
        def __init__(self, trial):
            super().__init__(seed=seed)
            self.trial, self.week = trial, 0
            self.arriving = numbers.poisson(work.means(numbers, 1)[0]).T.tolist()

        def win(self, rep):
            quarter = self.week // WEEKS_PER_QUARTER
            won[self.trial, rep, quarter] += 1
            bookings[self.trial, rep, quarter] += luck.lognormvariate(mu, sigma)

        def step(self):
            self.agents.do("step")
            for rep, leads in enumerate(self.arriving[self.week]):
                for _ in range(leads):
                    Lead(self, rep)
            self.week += 1

    won, bookings = work.nothing(trials)
    for trial in range(trials):
        team = Team(trial)
        for _ in range(work.weeks):
            team.step()
    return won, bookings


def with_cimba_by_lead(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """cimba: the events of every lead, compiled; one worker thread."""
    return benchmarks.peers_cimba.run(work, trials, seed, by_lead=True)


def with_cimba_by_rep(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """cimba: a process per rep that moves the counts of its stages every week; one worker thread."""
    return benchmarks.peers_cimba.run(work, trials, seed, by_lead=False)


def plain_python(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """Loops over reps, weeks and leads; a lead that is lost is dropped at once."""
    luck = random.Random(seed)
    uniform, lognormal = luck.random, luck.lognormvariate
    (mu, sigma), (shock_mu, shock_sigma) = work.deal_law, work.shock_law
    stages, weeks = steps(work), work.weeks
    by_rep = work.leads.tolist()
    won, bookings = work.nothing(trials)
    for trial in range(trials):
        shock = [lognormal(shock_mu, shock_sigma) for _ in range(work.quarters)]
        for rep, means in enumerate(by_rep):
            skill = luck.gammavariate(work.skill_shape, 1 / work.skill_shape)
            count, booked = [0] * work.quarters, [0.0] * work.quarters
            for start, mean in enumerate(means):
                # Poisson: how many factors until their product falls below exp(-mean)
                limit = math.exp(-mean * skill * shock[start // WEEKS_PER_QUARTER])
                left = uniform()
                while left > limit:
                    left *= uniform()
                    week = start
                    for conversion, log_stay in stages:
                        if uniform() >= conversion:
                            break
                        week += 1 + int(math.log(1.0 - uniform()) / log_stay)
                        if week >= weeks:
                            break
                    else:
                        count[week // WEEKS_PER_QUARTER] += 1
                        booked[week // WEEKS_PER_QUARTER] += lognormal(mu, sigma)
            won[trial, rep], bookings[trial, rep] = count, booked
    return won, bookings


def naive_numpy(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """NumPy: for every lead of a trial everything is drawn, whether or not it comes to matter."""
    numbers = np.random.default_rng(seed)
    rep_of, week_of = np.indices(work.leads.shape)
    won, bookings = work.nothing(trials)
    for trial in range(trials):
        arriving = numbers.poisson(work.means(numbers, 1)[0])
        rep, week = np.repeat(rep_of, arriving.ravel()), np.repeat(week_of, arriving.ravel())
        closes = np.ones(len(rep), dtype=bool)
        for conversion, weeks in zip(work.conversions, work.dwell_weeks, strict=True):
            closes &= numbers.random(len(rep)) < conversion
            week = week + numbers.geometric(1 / weeks, len(rep))
        amount = numbers.lognormal(*work.deal_law, len(rep))
        closes &= week < work.weeks
        place = (rep[closes], week[closes] // WEEKS_PER_QUARTER)
        np.add.at(won[trial], place, 1)
        np.add.at(bookings[trial], place, amount[closes])
    return won, bookings


def careful_numpy(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """NumPy: all leads of a trial at once, and only the survivors of a stage go on to the next."""
    numbers = np.random.Generator(np.random.SFC64(seed))
    cell = np.arange(work.leads.size)
    won, bookings = work.nothing(trials)
    cells = work.reps * work.quarters
    for trial in range(trials):
        arriving = numbers.poisson(work.means(numbers, 1)[0])
        lead = np.repeat(cell, arriving.ravel())  # rep × weeks + week
        lead = lead[numbers.random(len(lead)) < work.conversions[0]]
        rep, week = np.divmod(lead, work.weeks)
        for k, weeks in enumerate(work.dwell_weeks):
            if k:
                goes_on = numbers.random(len(week)) < work.conversions[k]
                rep, week = rep[goes_on], week[goes_on]
            week = week + dwell(numbers, weeks, len(week))
        in_time = week < work.weeks
        place = rep[in_time] * work.quarters + week[in_time] // WEEKS_PER_QUARTER
        amount = numbers.lognormal(*work.deal_law, len(place))
        won[trial] = np.bincount(place, minlength=cells).reshape(work.reps, -1)
        bookings[trial] = np.bincount(place, amount, minlength=cells).reshape(work.reps, -1)
    return won, bookings


def with_pandas(work: Workload, trials: int, seed: int) -> tuple[IntArray, FloatArray]:
    """pandas: a table of leads per trial, filtered stage by stage, then grouped by rep and quarter."""
    numbers = np.random.default_rng(seed)
    cells = pd.MultiIndex.from_product([range(work.reps), range(work.weeks)], names=["rep", "week"])
    weekly = cells.to_frame(index=False)
    won, bookings = work.nothing(trials)
    for trial in range(trials):
        arriving = numbers.poisson(work.means(numbers, 1)[0])
        leads = weekly.loc[weekly.index.repeat(arriving.ravel())].reset_index(drop=True)
        for conversion, weeks in zip(work.conversions, work.dwell_weeks, strict=True):
            leads = leads[numbers.random(len(leads)) < conversion]
            leads = leads.assign(week=leads["week"] + numbers.geometric(1 / weeks, len(leads)))
        deals = leads[leads["week"] < work.weeks]
        deals = deals.assign(
            quarter=deals["week"] // WEEKS_PER_QUARTER,
            amount=numbers.lognormal(*work.deal_law, len(deals)),
        )
        by_cell = deals.groupby(["rep", "quarter"])["amount"].agg(["size", "sum"])
        place = by_cell.index.get_level_values("rep"), by_cell.index.get_level_values("quarter")
        won[trial][place], bookings[trial][place] = by_cell["size"], by_cell["sum"]
    return won, bookings


def steps(work: Workload) -> tuple[tuple[float, float], ...]:
    """Conversion of each stage, and the logarithm of the chance to stay another week."""
    return tuple(
        (conversion, math.log1p(-1 / weeks))
        for conversion, weeks in zip(work.conversions, work.dwell_weeks, strict=True)
    )


def dwell(numbers: np.random.Generator, weeks: float, size: int) -> npt.NDArray[np.int64]:
    """Geometric dwell by inverse distribution function; NumPy's own sampler takes twice as long."""
    return 1 + (numbers.standard_exponential(size) / -math.log1p(-1 / weeks)).astype(np.int64)


#: Name shown, and model.
PEERS: dict[str, Peer] = {
    "Ciw": with_ciw,
    "SimPy, a process per lead": with_simpy,
    "SimPy, what will be lost dropped at once": with_simpy_in_short,
    "Mesa": with_mesa,
    "cimba, events of every lead": with_cimba_by_lead,
    "cimba, weekly counts per rep": with_cimba_by_rep,
    "plain Python": plain_python,
    "pandas, per lead": with_pandas,
    "naive NumPy, per lead": naive_numpy,
    "careful NumPy, per lead": careful_numpy,
}
