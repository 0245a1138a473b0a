"""The year in quarters: seasonality, ramp relief of newcomers, leavers, and who takes over what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from salessim.allocation.cents import Bools, Cents, Floats, split
from salessim.allocation.hierarchy import Hierarchy
from salessim.documents import Part
from salessim.errors import PlanError, listed
from salessim.model import Share, Whole
from salessim.periods import Quarter

__all__ = [
    "EVEN",
    "QUARTERS",
    "Freed",
    "Relief",
    "by_rows",
    "carried_by_quarter",
    "in_quarters",
    "quarter_names",
    "shares_by_quarter",
    "taken_over",
]

#: Where quota goes that somebody does not carry: nowhere (a stated gap), to the others of the team (same
#: manager), or to the others of the whole company.
Freed = Literal["gap", "team", "company"]

QUARTERS = 4
EVEN = (0.25, 0.25, 0.25, 0.25)


class Relief(Part):
    """Less quota for newcomers [C1]: leads first, revenue later.

    >>> Relief(by_month=(0.0, 0.0, 0.25, 0.5), leads_first_months=2, qualified_leads_per_month=8).by_month
    (0.0, 0.0, 0.25, 0.5)
    """

    by_month: tuple[Share, ...] = ()
    """Share of a full quota in each month of tenure; full afterwards."""
    leads_first_months: Annotated[Whole, Field(ge=0, le=24, json_schema_extra={"unit": "months"})] = 0
    """Months without any revenue quota; the target is qualified leads instead."""
    qualified_leads_per_month: Annotated[
        float, Field(ge=0, json_schema_extra={"unit": "leads per month"})
    ] = 0.0
    """Qualified leads to bring into the pipeline per month of the lead phase."""


def quarter_names(hierarchy: Hierarchy, year: int | None, starts_in_month: int) -> tuple[str, ...]:
    """Names of the four quarters; PlanError where dates need a year and none is stated."""
    if not 1 <= starts_in_month <= 12:
        raise PlanError(f"fiscal_year_starts_in_month is {starts_in_month!r}; it must lie between 1 and 12")
    if year is None:
        dated = ~np.isnat(hierarchy.start) | ~np.isnat(hierarchy.end)
        if dated.any():
            names = [hierarchy.names[at] for at in np.flatnonzero(dated)]
            raise PlanError(f"state the year: the hierarchy has start or end dates of {listed(names)}")
        return tuple(f"Q{number}" for number in range(1, QUARTERS + 1))
    if isinstance(year, bool) or not isinstance(year, int) or not 1900 <= year <= 9000:
        raise PlanError(f"year is {year!r}; it must be a whole number such as 2026")
    return tuple(str(Quarter(year, number)) for number in range(1, QUARTERS + 1))


def shares_by_quarter(hierarchy: Hierarchy, given: object) -> tuple[Floats, Bools]:
    """Share of each quarter by node, shape (nodes, 4), and for whom they are other than the company's."""
    by_name = given if isinstance(given, Mapping) else {hierarchy.names[0]: given}
    shares = np.tile(np.array(EVEN), (len(hierarchy.names), 1))
    stated = np.zeros(len(hierarchy.names), dtype=np.bool_)
    for name, value in by_name.items():
        at = hierarchy.position(str(name))
        try:
            numbers = np.array(value, dtype=np.float64)
        except (TypeError, ValueError):
            numbers = np.zeros(0)
        if numbers.shape != (QUARTERS,) or not (numbers >= 0).all() or abs(numbers.sum() - 1) > 1e-6:
            raise PlanError(
                f"quarter_shares of '{name}' are {value!r}; wanted: four shares from zero on that add up to 1"
            )
        shares[at], stated[at] = numbers / numbers.sum(), True
    own = np.zeros(len(hierarchy.names), dtype=np.bool_)
    for part in hierarchy.slices()[1:]:
        up = hierarchy.parent[part]
        shares[part] = np.where(stated[part, None], shares[part], shares[up])
        own[part] = stated[part] | own[up]
    return shares, own


def carried_by_quarter(
    hierarchy: Hierarchy, year: int | None, starts_in_month: int, relief: Relief | None
) -> tuple[Floats, Floats]:
    """Share of a full quota, and qualified leads to bring in, by node and quarter, shape (nodes, 4) each.

    A quarter is the mean of its three months; a month counts the days on which somebody is there, each with
    the share of that month of tenure.
    """
    carried, leads = np.ones((len(hierarchy.names), QUARTERS)), np.zeros((len(hierarchy.names), QUARTERS))
    if year is None:
        return carried, leads
    relief = relief or Relief()
    level = np.ones(max(len(relief.by_month), relief.leads_first_months) + 1)
    level[: len(relief.by_month)] = relief.by_month
    level[: relief.leads_first_months] = 0.0
    first = np.datetime64(Quarter(year, 1, starts_in_month).start)
    # who is there all year and past the ramp carries a full quota: no days to count
    ramped_since = (first.astype("datetime64[M]") - len(level)).astype("datetime64[D]")
    leaves_early = hierarchy.end < np.datetime64(Quarter(year, 4, starts_in_month).end)
    dated = hierarchy.leaf & ((hierarchy.start > ramped_since) | leaves_early)
    if not dated.any():
        return carried, leads
    months = np.arange(first.astype("datetime64[M]"), first.astype("datetime64[M]") + 3 * QUARTERS)
    begins = np.append(months, months[-1] + 1).astype("datetime64[D]")
    days = np.arange(begins[0], begins[-1])
    month_of_day = days.astype("datetime64[M]")
    day_of_month = (days - month_of_day.astype("datetime64[D]")).astype(np.int64)
    starts, ends = hierarchy.start[dated], hierarchy.end[dated]
    # without a start: there since long ago; without an end: stays
    starts = np.where(np.isnat(starts), np.datetime64("1000-01-01"), starts)[:, None]
    ends = np.where(np.isnat(ends), np.datetime64("9999-12-31"), ends)[:, None]
    present = (days >= starts) & (days <= ends)  # (rep, day)
    start_month = starts.astype("datetime64[M]")
    start_day = (starts - start_month.astype("datetime64[D]")).astype(np.int64)
    tenure = (month_of_day - start_month).astype(np.int64) - (day_of_month < start_day)
    share = np.where(present, level[np.clip(tenure, 0, len(level) - 1)], 0.0)
    leading = present & (tenure < relief.leads_first_months)
    first_days = (begins[:-1] - begins[0]).astype(np.int64)
    length = np.diff((begins - begins[0]).astype(np.int64))
    monthly = np.add.reduceat(share, first_days, axis=1) / length
    lead_months = np.add.reduceat(leading.astype(np.float64), first_days, axis=1) / length
    carried[dated] = monthly.reshape(-1, QUARTERS, 3).mean(axis=2)
    leads[dated] = lead_months.reshape(-1, QUARTERS, 3).sum(axis=2) * relief.qualified_leads_per_month
    return carried, leads


def in_quarters(
    hierarchy: Hierarchy, assigned: Cents, shares: Floats, own_shares: Bools, carried: Floats, pinned: Bools
) -> Cents:
    """Assigned amounts of the leaves by quarter, shape (nodes, 4); each row adds up to the cent."""
    full = np.zeros((len(assigned), QUARTERS), dtype=np.int64)
    common = hierarchy.leaf & ~own_shares & ~pinned
    # Rounded on running totals, so that the sum of all reps is exact by quarter as well as by rep.
    running = np.cumsum(assigned[common])
    cells = np.diff(by_rows(running, shares[common]), axis=0, prepend=0)
    # amounts of a few cents may come out below zero that way
    full[common] = cells if (cells >= 0).all() else by_rows(assigned[common], shares[common])
    rest = hierarchy.leaf & own_shares & ~pinned
    full[rest] = by_rows(assigned[rest], shares[rest])
    there = shares * carried
    absent = pinned & (there.sum(axis=1) <= 0) & (assigned > 0)
    if absent.any():
        names = [hierarchy.names[at] for at in np.flatnonzero(absent)]
        raise PlanError(f"pins: {listed(names)} carries no quota in any quarter of the year; drop the pin")
    full[pinned] = by_rows(assigned[pinned], there[pinned])
    return full


def by_rows(totals: Cents, weights: Floats) -> Cents:
    """Split each total over the columns of its row, shape (rows, 4)."""
    family = np.repeat(np.arange(len(totals)), QUARTERS)
    return split(totals, weights.ravel(), family).reshape(-1, QUARTERS)


def taken_over(
    hierarchy: Hierarchy, moved: Cents, full: Cents, takers: Bools, pinned: Bools, freed: Freed
) -> Cents:
    """Who takes over what in each quarter, shape (nodes, 4): takers share by their own amount."""
    taken = np.zeros_like(moved)
    if freed == "gap" or not moved.any():
        return taken
    if freed == "team":
        group = np.maximum(hierarchy.parent, 0)
    else:
        # nothing leaves or enters the people of a pinned manager
        group = np.zeros(len(pinned), dtype=np.intp)
        for part in hierarchy.slices()[1:]:
            up = hierarchy.parent[part]
            group[part] = np.where(pinned[up], up, group[up])
    for quarter in range(QUARTERS):
        weight = np.where(takers[:, quarter], full[:, quarter], 0).astype(np.float64)
        totals = np.zeros(len(group), dtype=np.int64)
        np.add.at(totals, group, moved[:, quarter])
        taken[:, quarter] = split(totals, weight, group)
    return taken
