"""Customers who leave: how many of them do so in a quarter, drawn from named streams [H2]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import bdtr, bdtrik

from salessim.engine.streams import generator

__all__ = ["customers_leaving", "quarterly_churn"]

IntArray = npt.NDArray[np.int64]


def quarterly_churn(churn_per_year: float) -> float:
    """Chance that a customer leaves within a quarter: 1 − (1 − churn per year)^(1/4).

    >>> round(quarterly_churn(0.12), 4)
    0.0315
    """
    return float(1 - (1 - churn_per_year) ** 0.25)


def customers_leaving(
    customers: npt.ArrayLike, *, churn_per_year: float, seed: int, name: tuple[object, ...]
) -> IntArray:
    """How many of a group of customers leave within a quarter, by trial.

    Each leaves with the chance of :func:`quarterly_churn`, independently of the others. One uniform per trial
    is turned into a number by the inverse binomial law: on the same seed and name, a larger churn or a larger
    group never loses fewer customers.

    Args:
        customers: how many there are at the beginning of the quarter in each trial, (trial,).
        churn_per_year: share that leaves within a year, 0 to 1.
        seed: seed of the random streams.
        name: what tells this group and quarter from others, such as (segment, quarter).

    Returns:
        Numbers of customers who leave, shape (trial,).

    >>> customers_leaving([200, 200, 0], churn_per_year=1.0, seed=1, name=("SMB", "2027Q1")).tolist()
    [200, 200, 0]
    """
    there = np.asarray(customers, dtype=np.int64)
    chance = quarterly_churn(churn_per_year)
    luck = generator(seed, "churn", *name).random(len(there))
    if chance == 0:
        return np.zeros_like(there)
    if chance == 1:
        return there.copy()
    some = np.maximum(there, 1).astype(np.float64)
    nobody = luck <= bdtr(0, some.astype(np.int64), chance)  # the inverse is not defined below this chance
    leaving = np.ceil(bdtrik(np.where(nobody, 0.5, luck), some, chance) - 1e-9)
    return np.where(nobody | (there == 0), 0, np.clip(leaving, 0, there)).astype(np.int64)
