"""Time in a stage and the chance to move on, for many groups at once, deals that are still there included.

Ages are whole days. A row is a deal that was seen in a stage from one age to another (both included) and, at
the latter, moved on, was lost, or simply was no longer looked at (censored). The estimators are those of
Kaplan and Meier for the time, and of Aalen and Johansen for the chance to move on where the deal can also be
lost; tests compare both with lifelines, which takes one group at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from salessim.intervals import LEVEL, Z, wilson
from salessim.measures.estimates import Floats
from salessim.measures.facts import LOST, MOVED_ON, STILL_THERE

__all__ = ["LifeTable", "life_table"]

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LifeTable:
    """What happened at each age at which anything did, group after group; all arrays are (rows,).

    ``survival`` is the share still there after the age, ``before`` just before it.
    """

    groups: int
    group: Ints
    age: Ints
    at_risk: Floats
    moved: Floats
    lost: Floats
    survival: Floats
    before: Floats
    deviation: Floats
    """Standard error of the survival relative to it (Greenwood); infinite where nobody is left."""

    def exits(self) -> Floats:
        """Deals that left and that the estimates rest on, by group."""
        out = np.where(self.before > 0, self.moved + self.lost, 0.0)
        return np.bincount(self.group, weights=out, minlength=self.groups).astype(float)

    def cut_off(self) -> Floats:
        """Deals that left at an age which none of those seen since they were younger reached, by group.

        In a period, all deals that were seen young may have left before an age at which others come into
        view. The estimates end there, and what happened later does not tell.
        """
        out = np.where(self.before > 0, 0.0, self.moved + self.lost)
        return np.bincount(self.group, weights=out, minlength=self.groups).astype(float)

    def still_there(self) -> Floats:
        """Share that has not left at the highest age seen, by group; 1 where nobody left."""
        left = np.ones(self.groups)
        left[self.group] = self.survival  # the last row of a group stands
        return left

    def moved_on(self) -> tuple[Floats, Floats, Floats]:
        """Share that moves on, by Aalen and Johansen, with its interval, by group; NaN where nobody left.

        The interval is Wilson's for as many deals as the standard error of the censored estimate stands for
        (Marubini & Valsecchi 1995, ch. 10, for the variance), as calibration does it.
        """
        step = self.before * self.moved / self.at_risk
        share = np.bincount(self.group, weights=step, minlength=self.groups)
        so_far = _running(step, self.group)
        ahead = share[self.group] - so_far
        n, out = self.at_risk, self.moved + self.lost
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.where(n > out, ahead**2 * out / (n * (n - out)), 0.0)
            spread += self.before**2 * self.moved * (n - self.moved) / n**3
            spread -= 2 * ahead * self.before * self.moved / n**2
            variance = np.bincount(self.group, weights=spread, minlength=self.groups)
            size = share * (1 - share) / variance
        exits = self.exits()
        share = np.clip(share, 0.0, 1.0)
        inside = (share > 0) & (share < 1) & (variance > 1e-15) & np.isfinite(size)
        size = np.where(inside, np.maximum(size, 1.0), exits)
        with np.errstate(invalid="ignore"):
            _, low, high = wilson(share * size, size)
        none = exits == 0
        return tuple(np.where(none, np.nan, part) for part in (share, low, high))  # type: ignore[return-value]

    def limits(self) -> tuple[Floats, Floats]:
        """Limits of the survival on the log-log scale, (rows,) each; 0 where nobody is left."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            inner = np.log(self.survival)
            half = Z * self.deviation / np.abs(inner)
            lower, upper = (np.exp(inner * np.exp(sign * half)) for sign in (1, -1))
        none = self.survival <= 0
        return np.where(none, 0.0, lower), np.where(none, 0.0, upper)

    def quantile(self, probability: float) -> tuple[Floats, Floats, Floats]:
        """Age by which a share of the deals has left, with its interval, by group.

        NaN where fewer have left; the interval is NaN where either end is not known, and where too few have
        left to bracket the quantile in 80 % of cases (four for a median). It is that of Brookmeyer
        and Crowley (1982, Biometrics 38, 29–41), with the limits of the survival on the log-log scale.
        """
        stay = 1 - probability + 1e-9  # running sums over many groups round
        lower, upper = self.limits()
        value, low, high = (self._first(curve <= stay) for curve in (self.survival, lower, upper))
        # of so few, all lie on one side of the truth more often than an interval may miss it
        one_sided = probability ** self.exits() + (1 - probability) ** self.exits()
        known = np.isfinite(value) & np.isfinite(high) & (one_sided <= 1 - LEVEL)
        return value, np.where(known, low, np.nan), np.where(known, high, np.nan)

    def moved_on_quantile(self, probability: float) -> Floats:
        """Age by which a share of those that move on have done so, by group; NaN where nobody did."""
        step = self.before * self.moved / self.at_risk
        whole = np.bincount(self.group, weights=step, minlength=self.groups)[self.group]
        return self._first((_running(step, self.group) >= probability * whole - 1e-9) & (whole > 0))

    def _first(self, hit: npt.NDArray[np.bool_]) -> Floats:
        """Age of the first row of each group where something holds; NaN where it never does."""
        found = np.full(self.groups, np.nan)
        rows = np.flatnonzero(hit)[::-1]
        found[self.group[rows]] = self.age[rows]  # written backwards: the first stands
        return found


def life_table(group: Ints, first_age: Ints, last_age: Ints, ended: Ints, groups: int) -> LifeTable:
    """What happened to the deals of each group, age by age.

    Args:
        group: group of each row, 0 to groups − 1, shape (rows,).
        first_age: age in days from which on the deal was seen, 0 for a deal seen since it entered.
        last_age: age in days at which it left, or was last seen there.
        ended: :data:`~salessim.measures.facts.MOVED_ON`, ``LOST`` or ``STILL_THERE`` at the last age.
        groups: number of groups.

    >>> ages, kinds = np.array([10, 20, 30, 40]), np.array([MOVED_ON, LOST, MOVED_ON, STILL_THERE])
    >>> none = np.zeros(4, dtype=int)
    >>> found = life_table(none, none, ages, kinds, 1)
    >>> found.survival.round(9).tolist(), found.moved_on()[0].tolist(), found.quantile(0.5)[0].tolist()
    ([0.75, 0.5, 0.25], [0.5], [20.0])
    """
    group, first_age, last_age = (part.astype(np.int64) for part in (group, first_age, last_age))
    width = int(last_age.max()) + 2 if len(last_age) else 2
    left = ended != STILL_THERE
    keys, place = np.unique(group[left] * width + last_age[left], return_inverse=True)
    kinds = ended[left]
    moved, lost = (
        np.bincount(place, weights=kinds == kind, minlength=len(keys)).astype(float)
        for kind in (MOVED_ON, LOST)
    )
    of, age = keys // width, keys % width
    members = np.bincount(group, minlength=groups)
    before_group = np.concatenate([[0], np.cumsum(members)[:-1]])
    gone = np.searchsorted(np.sort(group * width + last_age), keys, side="left") - before_group[of]
    come = members[of]
    if (first_age > 0).any():
        come = np.searchsorted(np.sort(group * width + first_age), keys, side="right") - before_group[of]
    at_risk = (come - gone).astype(float)
    out = moved + lost
    hazard = out / at_risk
    everybody = hazard >= 1
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = _running(np.where(everybody, 0.0, np.log1p(-np.where(everybody, 0.0, hazard))), of)
        survival = np.where(_running(everybody.astype(float), of) > 0.5, 0.0, np.exp(logs))
        spread = _running(np.where(everybody, 0.0, out / (at_risk * (at_risk - out))), of)
    begins = np.append(True, of[1:] != of[:-1])[: len(of)]
    before = np.where(begins, 1.0, np.append(1.0, survival[:-1])[: len(of)])
    deviation = np.where(survival > 0, np.sqrt(spread), np.inf)
    return LifeTable(groups, of, age, at_risk, moved, lost, survival, before, deviation)


def _running(values: Floats, group: Ints) -> Floats:
    """Running sum within each group; rows of a group stand together."""
    if not len(values):
        return values
    total = np.cumsum(values)
    begins = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
    base = np.repeat(total[begins] - values[begins], np.diff(np.append(begins, len(values))))
    return total - base
