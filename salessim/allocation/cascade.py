"""Quotas from the top down: company plan to each rep's number, exact to the cent at every level.

Two layers run side by side. The *base* layer hands out the company's plan and nothing more: the children of
every node add up to it. The *assigned* layer is what people are asked for: at each level it may ask for more
than the level above carries (over-assignment), so that the plan is met although not everybody makes quota
[B6]. Pins stay as they are; the rest goes to the others by weight. Then the year is split into quarters, and
what newcomers, leavers and open seats do not carry is taken off, and given to others or stated as a gap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.allocation.cents import (
    LARGEST,
    Bools,
    Cents,
    Floats,
    Money,
    add_share,
    amount,
    money_text,
    split,
    to_cents,
)
from salessim.allocation.hierarchy import Hierarchy, Positions
from salessim.allocation.weights import Missing, blend_of, sibling_weights
from salessim.allocation.year import (
    EVEN,
    QUARTERS,
    Freed,
    Relief,
    carried_by_quarter,
    in_quarters,
    quarter_names,
    shares_by_quarter,
    taken_over,
)
from salessim.errors import PlanError, listed
from salessim.formats import NO_CURRENCY, percent
from salessim.spreadsheets import csv_text

__all__ = ["Allocation", "allocate", "quotas_as_csv"]


@dataclass(frozen=True, eq=False)
class Allocation:
    """Quotas of a whole hierarchy for a year, with everything that explains them; amounts in ``currency``.

    Arrays stand in the order of ``hierarchy.names``; money is whole cents (int64). ``table`` and
    ``by_quarter`` show the same for people.
    """

    hierarchy: Hierarchy
    currency: str
    year: int | None
    """Fiscal year; None: not stated."""
    fiscal_year_starts_in_month: int
    periods: tuple[str, ...]
    """The four quarters, such as "2026Q1"; "Q1" without a year."""
    by: Mapping[str, float]
    """Weight columns and the share of each in the blend; they add up to 1."""
    targets: Mapping[str, int]
    """Targets as given, in cents: of the company, or of each node below it."""
    pins: Mapping[str, int]
    """Pinned amounts in cents."""
    limits: Mapping[str, tuple[int, int]]
    """Lowest and highest amounts in cents; 0 and LARGEST where there is none."""
    held: Bools
    """Who stands at a limit, shape (nodes,)."""
    pins_in: Literal["assigned", "base"]
    """The layer that pins and limits belong to."""
    freed: Freed
    """Where the quota of newcomers and leavers goes."""
    open_seats: Literal["carry"] | Freed
    """What happens to the quota of open seats."""
    added: Floats
    """Over-assignment that each node adds for those below: their quotas ÷ its own − 1, shape (nodes,)."""
    figures: Mapping[str, Floats]
    """Weight columns, rolled up from the leaves, as they were used, shape (nodes,) each."""
    weight: Floats
    """The weight that decided among siblings, shape (nodes,)."""
    base_cents: Cents
    assigned_cents: Cents
    quarter_shares: Floats
    """Share of the year in each quarter that applies to each node, shape (nodes, 4)."""
    carried: Floats
    """Share of a full quota that each node carries by ramp and presence, shape (nodes, 4); 1 for managers."""
    leads: Floats
    """Qualified leads to bring in by quarter, shape (nodes, 4)."""
    full_cents: Cents
    """Assigned amounts of the leaves by quarter before relief, shape (nodes, 4); 0 for managers."""
    relieved_cents: Cents
    """Taken off for ramp, presence and open seats, shape (nodes, 4); 0 for managers."""
    vacant_cents: Cents
    """The part of it that open seats are not asked for, shape (nodes, 4)."""
    taken_over_cents: Cents
    """Taken over from those who were relieved, shape (nodes, 4); 0 for managers."""
    quarter_cents: Cents
    """Quota by quarter, shape (nodes, 4): full − relieved + taken over; a manager's is the sum below."""
    table: pd.DataFrame
    """One row per node: name, parent ("" for the root), level, level_name, role, leaf, rollup (True: the same
    money as that of the people below, never to be added to theirs), open_seat, people (leaves below, or 1),
    weight, share_of_parent (of what the parent hands out), over_assignment (planned, cumulative from the
    company down), pinned, held (at a limit), base_amount, assigned_amount, relieved_amount,
    taken_over_amount, quota (a rep: assigned − relieved + taken over; a manager: assigned), people_quota
    (quotas of the leaves below, added up), and in whole cents base_cents, assigned_cents, quota_cents,
    people_quota_cents."""
    by_quarter: pd.DataFrame
    """One row per node and quarter: name, parent, leaf, rollup, open_seat, period, quota (a manager's: sum of
    the people below), quota_cents, full_amount, relieved_amount, taken_over_amount, qualified_leads."""
    notes: tuple[str, ...]
    """What a reader must know, in sentences: over-assignment, gaps, open seats, weights, rounding."""

    def summary(self) -> pd.DataFrame:
        """Each level in one row: level, level_name, nodes, base, assigned, over_assignment (÷ base − 1).

        Leaves of higher levels are counted in again further down (except in nodes), so that base is the plan
        on every row also where some lines end early.
        """
        node = self.hierarchy
        rows = []
        for depth in range(node.levels):
            here = node.level == depth
            reach = here | (node.leaf & (node.level < depth))
            base, assigned = int(self.base_cents[reach].sum()), int(self.assigned_cents[reach].sum())
            rows.append(
                {
                    "level": depth,
                    "level_name": node.level_names[depth],
                    "nodes": int(here.sum()),
                    "base": base / 100,
                    "assigned": assigned / 100,
                    "over_assignment": assigned / base - 1,
                }
            )
        return pd.DataFrame(rows)

    def check(self) -> pd.DataFrame:
        """Add everything up again: one row per manager, all differences 0.00.

        Columns name, level, people_reporting, base_amount, base_below, base_difference, handed_out (assigned
        × (1 + over-assignment)), assigned_below, assigned_difference, reconciles.
        """
        node = self.hierarchy
        inner = np.flatnonzero(~node.leaf)
        base_below, assigned_below = np.zeros_like(self.base_cents), np.zeros_like(self.base_cents)
        np.add.at(base_below, node.parent[1:], self.base_cents[1:])
        np.add.at(assigned_below, node.parent[1:], self.assigned_cents[1:])
        base, below = self.base_cents[inner], base_below[inner]
        out, given = add_share(self.assigned_cents[inner], self.added[inner]), assigned_below[inner]
        return pd.DataFrame(
            {
                "name": [node.names[at] for at in inner],
                "level": node.level[inner],
                "people_reporting": np.bincount(node.parent[1:], minlength=len(node.names))[inner],
                "base_amount": amount(base),
                "base_below": amount(below),
                "base_difference": amount(below - base),
                "handed_out": amount(out),
                "assigned_below": amount(given),
                "assigned_difference": amount(given - out),
                "reconciles": (below == base) & (given == out),
            }
        )

    def quotas(self) -> pd.DataFrame:
        """Quotas of the leaves as a long table: rep, period, quota; quarters without a quota are left out."""
        rows = self.by_quarter
        kept = rows[rows["leaf"] & (rows["quota_cents"] > 0)]
        return kept[["name", "period", "quota"]].rename(columns={"name": "rep"}).reset_index(drop=True)

    def quotas_by_rep(self) -> dict[str, dict[str, float]]:
        """Quotas as ``QuotaPlan.quotas_by_rep`` wants them: rep → quarter → amount."""
        found: dict[str, dict[str, float]] = {}
        table = self.quotas()
        for rep, period, quota in zip(table["rep"], table["period"], table["quota"], strict=True):
            found.setdefault(rep, {})[period] = quota
        return found

    def to_csv(self) -> str:
        """The quotas of the leaves as CSV text: rep, period, quota, to the cent.

        The importer reads it as ``quotas.csv``, and :func:`differences` compares it.

        Raises:
            PlanError: no year was stated, so that the quarters have no names.
        """
        return quotas_as_csv(self.quotas(), self.year)


def quotas_as_csv(quotas: pd.DataFrame, year: int | None) -> str:
    """Quotas (rep, period, quota) as CSV text, to the cent.

    Raises:
        PlanError: no year was stated, so that the quarters have no names.

    >>> print(quotas_as_csv(pd.DataFrame({"rep": ["Ann"], "period": ["2026Q1"], "quota": [1200.5]}), 2026))
    rep,period,quota
    Ann,2026Q1,1200.50
    <BLANKLINE>
    """
    if year is None:
        raise PlanError("quotas cannot be written: state the year, so that their quarters have names")
    cents = np.rint(quotas["quota"].to_numpy() * 100).astype(np.int64)
    exact = [f"{value // 100}.{value % 100:02d}" for value in cents.tolist()]
    return csv_text(quotas.assign(quota=exact))


def allocate(
    hierarchy: Hierarchy,
    target: Money | Mapping[str, Money],
    *,
    by: str | Mapping[str, float] = "history",
    over_assignment: float | Mapping[int | str, float] = 0.0,
    pins: Mapping[str, Money] | None = None,
    limits: Mapping[str, tuple[Money | None, Money | None]] | None = None,
    pins_in: Literal["assigned", "base"] = "assigned",
    missing: Missing = "refuse",
    year: int | None = None,
    fiscal_year_starts_in_month: int = 1,
    quarter_shares: Sequence[float] | Mapping[str, Sequence[float]] = EVEN,
    relief: Relief | None = None,
    freed: Freed = "gap",
    open_seats: Literal["carry"] | Freed = "carry",
    currency: str = NO_CURRENCY,
) -> Allocation:
    """Hand the company's plan down to every rep, exact to the cent.

    Amounts are rounded among siblings by largest remainder, ties by name: sums are exact at every level, and
    the order of the table changes nothing. Doubling the target doubles every base amount within a cent per
    level.

    Args:
        hierarchy: the organisation.
        target: plan of the company for the year, in currency; or name → target for every node that reports to
            the root, which then adds up to the plan.
        by: what the shares follow: a weight column of the hierarchy ("history", "pipeline", "potential" …),
            "headcount" (reps and seats below), "equal" (siblings alike), or a blend {column: share}, each
            column taken relative to the siblings. Weights are those of the leaves, rolled up.
        over_assignment: by how much the quotas of a level add up to more than those of the level above
            (a share); one number for all levels, or by level number (1 is below the root), by level name, or
            by name of the manager who adds it.
        pins: name → amount of the year that stays to the cent; siblings share the rest. A pinned rep is not
            relieved and takes nothing over: the amount is the quota, however long the rep is there.
        limits: name → (lowest, highest) amount of the year, None for no limit, such as at most 20 % above
            last year; who would get less or more is held there, and the siblings share the rest.
        pins_in: "assigned": pins and limits are what people are asked for; "base": what they carry of the
            plan.
        missing: a leaf without a weight or with zero is refused ("refuse"), counts with the mean of its
            siblings ("equal"), or gets no quota ("zero"); the last two are noted with names.
        year: fiscal year (named after the calendar year in which it ends); wanted where start or end dates
            matter, and for names of quarters.
        fiscal_year_starts_in_month: 1 to 12.
        quarter_shares: share of the year by quarter, or name → shares for a node and everybody below it.
        relief: what newcomers are asked for by month of tenure; None: a full quota from the first day.
        freed: where the quota goes that newcomers and leavers do not carry.
        open_seats: "carry": open seats have a quota, stated as unmanned; else where it goes.
        currency: of all amounts, such as "EUR".

    Returns:
        The allocation; its ``notes`` say what a reader must know.

    Raises:
        PlanError: a target is NaN, zero, negative or missing; pins or limits cannot fit (with the excess);
            weights are negative, missing or all zero; an unknown name or level; dates without a year.

    >>> team = Hierarchy.from_table(pd.DataFrame({
    ...     "name": ["Acme", "Ann", "Bo", "Cy"], "parent": ["", "Acme", "Acme", "Acme"],
    ...     "history": [None, 300.0, 100.0, 200.0],
    ... }))
    >>> plan = allocate(team, 1_000_000, over_assignment=0.1, pins={"Cy": 300_000}, currency="EUR")
    >>> plan.table.set_index("name")["quota"].to_dict()
    {'Acme': 1000000.0, 'Ann': 600000.0, 'Bo': 200000.0, 'Cy': 300000.0}
    """
    _among("pins_in", pins_in, ("assigned", "base"))
    _among("missing", missing, ("refuse", "equal", "zero"))
    _among("freed", freed, ("gap", "team", "company"))
    _among("open_seats", open_seats, ("carry", "gap", "team", "company"))
    notes: list[str] = []
    targets, company = _targets(hierarchy, target, notes)
    pinned_cents = _pins(hierarchy, pins or {}, targets, notes)
    pinned = np.zeros(len(hierarchy.names), dtype=np.bool_)
    pin_amounts = np.zeros(len(hierarchy.names), dtype=np.int64)
    for name, cents in pinned_cents.items():
        at = hierarchy.position(name)
        pinned[at], pin_amounts[at] = True, cents
    added = _added(hierarchy, over_assignment)
    cumulative = _cumulative(hierarchy, added)
    if company * (1 + float(cumulative.max())) > LARGEST:
        raise PlanError(
            f"target and over-assignment reach amounts above {LARGEST // 100:,}, not exact to the cent"
        )
    blend = blend_of(hierarchy, by)
    figures, weight = sibling_weights(hierarchy, blend, missing=missing, pinned=pinned, notes=notes)
    if len(targets) > 1 or hierarchy.names[0] not in targets:
        for name, cents in targets.items():
            weight[hierarchy.position(name)] = cents

    if relief is not None and np.isnat(hierarchy.start[hierarchy.leaf]).all():
        notes.append("No rep has a start date: the relief for newcomers applies to nobody.")
    limit_cents = _limits(hierarchy, limits or {}, (*targets, *pinned_cents, hierarchy.names[0]), notes)
    base, assigned, held = _cascade(
        hierarchy,
        company,
        added,
        weight,
        pinned,
        pin_amounts,
        limit_cents,
        pins_in=pins_in,
        currency=currency,
    )

    periods = quarter_names(hierarchy, year, fiscal_year_starts_in_month)
    shares, own_shares = shares_by_quarter(hierarchy, quarter_shares)
    carried, leads = carried_by_quarter(hierarchy, year, fiscal_year_starts_in_month, relief)
    leaf = hierarchy.leaf
    full = in_quarters(hierarchy, assigned, shares, own_shares, carried, pinned & leaf)
    kept = np.where(pinned[:, None], full, np.floor(full * carried + 0.5).astype(np.int64))
    unmanned = hierarchy.open_seat & leaf & ~pinned
    takers = (leaf & ~hierarchy.open_seat & ~pinned)[:, None] & (carried >= 1 - 1e-12)
    relieved = full - kept
    taken = taken_over(hierarchy, relieved, full, takers, pinned, freed)
    vacant = np.zeros_like(kept)
    if open_seats != "carry":
        vacant = np.where(unmanned[:, None], kept, 0)
        relieved = relieved + vacant
        taken = taken + taken_over(hierarchy, vacant, full, takers, pinned, open_seats)
    by_quarter = _rolled(hierarchy, full - relieved + taken)

    table = _table(
        hierarchy, base, assigned, relieved, taken, by_quarter, added, cumulative, weight, pinned, held
    )
    notes += _what_to_know(hierarchy, table, by_quarter, relieved, vacant, taken, carried, year, currency)
    return Allocation(
        hierarchy=hierarchy,
        currency=currency,
        year=year,
        fiscal_year_starts_in_month=fiscal_year_starts_in_month,
        periods=periods,
        by=blend,
        targets=targets,
        pins=pinned_cents,
        limits=limit_cents,
        held=held,
        pins_in=pins_in,
        freed=freed,
        open_seats=open_seats,
        added=added,
        figures=figures,
        weight=weight,
        base_cents=base,
        assigned_cents=assigned,
        quarter_shares=shares,
        carried=carried,
        leads=leads,
        full_cents=full,
        relieved_cents=relieved,
        vacant_cents=vacant,
        taken_over_cents=taken,
        quarter_cents=by_quarter,
        table=table,
        by_quarter=_quarter_table(hierarchy, periods, full, relieved, taken, by_quarter, leads),
        notes=tuple(notes),
    )


def _among(what: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise PlanError(f"{what} is {value!r}; allowed: {listed(allowed)}")


def _targets(hierarchy: Hierarchy, target: object, notes: list[str]) -> tuple[dict[str, int], int]:
    """Targets by name in cents, and the company's."""
    root = hierarchy.names[0]
    if not isinstance(target, Mapping):
        cents, note = to_cents(target, what=f"target of '{root}'")
        notes += [note] * bool(note)
        return {root: cents}, cents
    direct = [hierarchy.names[at] for at in np.flatnonzero(hierarchy.parent == 0)]
    lacking = [name for name in direct if name not in target]
    unknown = [name for name in target if name not in direct]
    if unknown or lacking or not direct:
        raise PlanError(
            f"targets by name: missing {listed(lacking)}, not wanted {listed(unknown)}; "
            f"each of those who report to '{root}' needs one: {listed(direct)}"
        )
    found: dict[str, int] = {}
    for name in direct:
        found[name], note = to_cents(target[name], what=f"target of '{name}'")
        notes += [note] * bool(note)
    return found, sum(found.values())


def _pins(
    hierarchy: Hierarchy, pins: Mapping[str, Money], targets: Mapping[str, int], notes: list[str]
) -> dict[str, int]:
    known = set(hierarchy.names)
    unknown = [name for name in pins if name not in known]
    if unknown:
        raise PlanError(
            f"pins: there is nobody named {listed(unknown)}; the hierarchy has {listed(hierarchy.names)}"
        )
    twice = [name for name in pins if name in targets or name == hierarchy.names[0]]
    if twice:
        raise PlanError(f"pins: {listed(twice)} carries a target already; change the target, or drop the pin")
    found: dict[str, int] = {}
    for name, value in sorted(pins.items()):
        found[name], note = to_cents(value, what=f"pin of '{name}'", zero=True)
        notes += [note] * bool(note)
    return found


def _limits(
    hierarchy: Hierarchy,
    limits: Mapping[str, tuple[Money | None, Money | None]],
    settled: Sequence[str],
    notes: list[str],
) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for name, bounds in sorted(limits.items()):
        hierarchy.position(name)
        if name in settled:
            raise PlanError(f"limits: '{name}' has a target or a pin already; drop one of the two")
        if not isinstance(bounds, Sequence) or isinstance(bounds, str) or len(bounds) != 2:
            raise PlanError(f"limits of '{name}' are {bounds!r}; a lowest and a highest amount are wanted")
        cents = [0, LARGEST]
        for side, (value, what) in enumerate(zip(bounds, ("lowest", "highest"), strict=True)):
            if value is not None:
                cents[side], note = to_cents(value, what=f"{what} amount of '{name}'", zero=True)
                notes += [note] * bool(note)
        if cents[0] > cents[1]:
            raise PlanError(f"limits of '{name}' are {bounds!r}; the lowest must not exceed the highest")
        found[name] = (cents[0], cents[1])
    return found


def _added(hierarchy: Hierarchy, over_assignment: object) -> Floats:
    """Over-assignment that each node adds for those below, shape (nodes,); 0 for leaves."""
    inner = ~hierarchy.leaf
    given = over_assignment if isinstance(over_assignment, Mapping) else {"every level": over_assignment}
    for key, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
            raise PlanError(
                f"over_assignment of {key!r} is {value!r}; it must be a share from 0 to below 1 "
                "(write 0.05 where the quotas below add up to 5 % more)"
            )
    if not isinstance(over_assignment, Mapping):
        return np.where(inner, float(str(over_assignment)), 0.0)
    added = np.zeros(len(hierarchy.names))
    last = hierarchy.levels - 1
    managers: list[tuple[int, float]] = []
    for key, value in over_assignment.items():
        if isinstance(key, str) and key in hierarchy.level_names[1:]:
            key = hierarchy.level_names.index(key)
        if isinstance(key, int) and not isinstance(key, bool) and 1 <= key <= last:
            added[inner & (hierarchy.level == key - 1)] = value
        elif isinstance(key, str) and key in hierarchy.names and inner[hierarchy.position(key)]:
            managers.append((hierarchy.position(key), float(value)))
        else:
            raise PlanError(
                f"over_assignment names {key!r}; allowed: a level from 1 to {last}, a level's name "
                f"({listed(hierarchy.level_names[1:])}), or the name of somebody with people below"
            )
    for at, value in managers:  # after the levels: what a manager adds stands in place of the level's share
        added[at] = value
    return added


def _cumulative(hierarchy: Hierarchy, added: Floats) -> Floats:
    """Over-assignment from the company down to each node, shape (nodes,)."""
    factor = np.ones(len(added))
    for part in hierarchy.slices()[1:]:
        up = hierarchy.parent[part]
        factor[part] = factor[up] * (1 + added[up])
    return factor - 1


def _cascade(
    hierarchy: Hierarchy,
    company: int,
    added: Floats,
    weight: Floats,
    pinned: Bools,
    pin_amounts: Cents,
    limits: Mapping[str, tuple[int, int]],
    *,
    pins_in: Literal["assigned", "base"],
    currency: str,
) -> tuple[Cents, Cents, Bools]:
    """Base and assigned amounts in cents, level by level, and who is held at a limit, shape (nodes,) each."""
    nodes = len(hierarchy.names)
    low, high = np.zeros(nodes, dtype=np.int64), np.full(nodes, LARGEST)
    for name, bounds in limits.items():
        at = hierarchy.position(name)
        low[at], high[at] = bounds
    held = np.zeros(nodes, dtype=np.bool_)
    base, assigned = np.zeros(nodes, dtype=np.int64), np.zeros(nodes, dtype=np.int64)
    base[0] = assigned[0] = company
    for part in hierarchy.slices()[1:]:
        up, family = np.unique(hierarchy.parent[part], return_inverse=True)
        handed = add_share(assigned[up], added[up])
        own = base[up] if pins_in == "base" else handed
        fixed, fixed_cents = pinned[part], pin_amounts[part]
        if limits:
            fixed, fixed_cents = _hold(own, family, weight[part], fixed, fixed_cents, low[part], high[part])
            held[part] = fixed & ~pinned[part]
        free_weight = np.where(fixed, 0.0, weight[part])
        kind = "pins and limits" if limits else "pins"
        rest = _rest(hierarchy, own, up, family, fixed, fixed_cents, free_weight, kind, currency)
        first = split(rest, free_weight, family) + fixed_cents
        # Where pins disturb the weights, the other layer follows what the pinned one came out with.
        sums = np.zeros(len(up), dtype=np.int64)
        np.add.at(sums, family, first)
        has_pin = np.bincount(family, fixed, minlength=len(up)) > 0
        follows = np.where((has_pin & (sums > 0))[family], first.astype(np.float64), free_weight + fixed)
        if pins_in == "base":
            base[part], assigned[part] = first, split(handed, follows, family)
        else:
            assigned[part], base[part] = first, split(base[up], follows, family)
    return base, assigned, held


def _hold(
    own: Cents, family: Positions, weight: Floats, fixed: Bools, fixed_cents: Cents, low: Cents, high: Cents
) -> tuple[Bools, Cents]:
    """Add those who would get less than their lowest or more than their highest amount to the fixed ones.

    Holding some changes what the others get, so it goes on until nobody is outside; in each team the side
    that is further out is held first, since holding it can bring the other back inside.
    """
    fixed, fixed_cents = fixed.copy(), fixed_cents.copy()
    while True:
        taken = np.zeros(len(own), dtype=np.int64)
        np.add.at(taken, family, fixed_cents)
        given = split(np.maximum(own - taken, 0), np.where(fixed, 0.0, weight), family)
        lacks = np.where(fixed, 0, np.maximum(low - given, 0))
        exceeds = np.where(fixed, 0, np.maximum(given - high, 0))
        if not (lacks.any() or exceeds.any()):
            return fixed, fixed_cents
        balance = np.zeros(len(own), dtype=np.int64)
        np.add.at(balance, family, lacks - exceeds)
        at_low, at_high = (lacks > 0) & (balance >= 0)[family], (exceeds > 0) & (balance < 0)[family]
        fixed |= at_low | at_high
        fixed_cents = np.where(at_low, low, np.where(at_high, high, fixed_cents))


def _rest(
    hierarchy: Hierarchy,
    own: Cents,
    up: Positions,
    family: Positions,
    fixed: Bools,
    fixed_cents: Cents,
    free_weight: Floats,
    kind: str,
    currency: str,
) -> Cents:
    """What is left of each family after pins and limits; PlanError where they or weights cannot work."""
    pins = np.zeros(len(up), dtype=np.int64)
    np.add.at(pins, family, fixed_cents)
    rest: Cents = own - pins
    weights = np.bincount(family, free_weight, minlength=len(up))
    free = np.bincount(family, ~fixed, minlength=len(up)) > 0
    faults = []
    for number in np.flatnonzero((rest < 0) | ((rest > 0) & (weights <= 0))):
        manager = hierarchy.names[up[number]]
        names = hierarchy.names
        level_start = int(np.searchsorted(hierarchy.parent[1:], up[number])) + 1
        members = [names[level_start + i] for i in range(int((family == number).sum()))]
        pinned_here = [m for m, is_fixed in zip(members, fixed[family == number], strict=True) if is_fixed]
        asked, has = money_text(int(pins[number]), currency), money_text(int(own[number]), currency)
        if rest[number] < 0:
            faults.append(
                f"{kind} below '{manager}' cannot fit: {listed(pinned_here)} ask for {asked}, '{manager}' "
                f"hands out {has}; the excess is {money_text(-int(rest[number]), currency)}. Lower them, "
                f"or pin '{manager}' higher"
            )
        elif not free[number]:
            faults.append(
                f"{kind} below '{manager}' do not add up: {listed(pinned_here)} ask for {asked}, '{manager}' "
                f"hands out {has}; {money_text(int(rest[number]), currency)} are left and nobody is free to "
                "take them"
            )
        else:
            idle = [m for m in members if m not in pinned_here]
            faults.append(
                f"weights below '{manager}' are all zero ({listed(idle)}); "
                f"{money_text(int(rest[number]), currency)} cannot be shared"
            )
    if faults:
        raise PlanError(
            "\n".join([*faults[:10], *([f"… and {len(faults) - 10} more"] if faults[10:] else [])])
        )
    return rest


def _rolled(hierarchy: Hierarchy, cents: Cents) -> Cents:
    return np.asarray(hierarchy.rolled_up(cents), dtype=np.int64)


def _table(
    hierarchy: Hierarchy,
    base: Cents,
    assigned: Cents,
    relieved: Cents,
    taken: Cents,
    by_quarter: Cents,
    added: Floats,
    cumulative: Floats,
    weight: Floats,
    pinned: Bools,
    held: Bools,
) -> pd.DataFrame:
    leaf = hierarchy.leaf
    people_quota = by_quarter.sum(axis=1)
    quota = np.where(leaf, people_quota, assigned)
    handed = add_share(assigned, added)[np.maximum(hierarchy.parent, 0)].astype(np.float64)
    share = np.divide(assigned, handed, out=np.zeros(len(assigned)), where=handed > 0)
    share[0] = 1.0
    names = hierarchy.names
    return pd.DataFrame(
        {
            "name": names,
            "parent": [names[up] if up >= 0 else "" for up in hierarchy.parent.tolist()],
            "level": hierarchy.level,
            "level_name": [hierarchy.level_names[depth] for depth in hierarchy.level.tolist()],
            "role": hierarchy.roles,
            "leaf": leaf,
            "rollup": ~leaf,
            "open_seat": hierarchy.open_seat,
            "people": _rolled(hierarchy, np.ones(len(names), dtype=np.int64)),
            "weight": weight,
            "share_of_parent": share,
            "over_assignment": cumulative,
            "pinned": pinned,
            "held": held,
            "base_amount": amount(base),
            "assigned_amount": amount(assigned),
            "relieved_amount": amount(_rolled(hierarchy, relieved).sum(axis=1)),
            "taken_over_amount": amount(_rolled(hierarchy, taken).sum(axis=1)),
            "quota": amount(quota),
            "people_quota": amount(people_quota),
            "base_cents": base,
            "assigned_cents": assigned,
            "quota_cents": quota,
            "people_quota_cents": people_quota,
        }
    )


def _quarter_table(
    hierarchy: Hierarchy,
    periods: Sequence[str],
    full: Cents,
    relieved: Cents,
    taken: Cents,
    by_quarter: Cents,
    leads: Floats,
) -> pd.DataFrame:
    names = np.array(hierarchy.names, dtype=object)
    parents = np.append(names, "")[hierarchy.parent]  # -1 is the last, the blank one

    def each(values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        return np.repeat(values, QUARTERS)

    return pd.DataFrame(
        {
            "name": each(names),
            "parent": each(parents),
            "leaf": each(hierarchy.leaf),
            "rollup": each(~hierarchy.leaf),
            "open_seat": each(hierarchy.open_seat),
            "period": np.tile(np.array(periods, dtype=object), len(names)),
            "quota": amount(by_quarter.ravel()),
            "quota_cents": by_quarter.ravel(),
            "full_amount": amount(_rolled(hierarchy, full).ravel()),
            "relieved_amount": amount(_rolled(hierarchy, relieved).ravel()),
            "taken_over_amount": amount(_rolled(hierarchy, taken).ravel()),
            "qualified_leads": np.asarray(hierarchy.rolled_up(leads), dtype=np.float64).ravel(),
        }
    )


def _what_to_know(
    hierarchy: Hierarchy,
    table: pd.DataFrame,
    by_quarter: Cents,
    relieved: Cents,
    vacant: Cents,
    taken: Cents,
    carried: Floats,
    year: int | None,
    currency: str,
) -> list[str]:
    def text(cents: int) -> str:
        return money_text(cents, currency)

    leaf = hierarchy.leaf
    plan, asked = int(table["base_cents"].iloc[0]), int(table.loc[leaf, "assigned_cents"].sum())
    notes = []
    if asked != plan:
        high = float(table.loc[leaf, "over_assignment"].max())
        notes.append(
            f"The reps are asked for {text(asked)}, {percent(asked / plan - 1, digits=1)} more than the plan "
            f"of {text(plan)} (over-assignment)."
        )
        if high > 0.25:
            notes.append(
                f"The over-assignment reaches {percent(high, digits=1)}: in a survey of finance chiefs 66 % "
                "of firms stayed at or below 25 % (Zuora, in kellblog.com, 2018)."
            )
    if (~leaf).any():
        notes.append(
            "Quotas of managers are those of their people under another name: never add them together."
        )
    held = [hierarchy.names[at] for at in np.flatnonzero(table["held"])]
    if held:
        notes.append(f"Held at a limit: {listed(held)}.")
    gap = int(relieved.sum() - taken.sum())
    newcomers = [
        hierarchy.names[at]
        for at in np.flatnonzero(leaf & (carried < 1).any(axis=1) & ((relieved - vacant).sum(axis=1) > 0))
    ]
    ramp = int((relieved - vacant).sum())
    if newcomers:
        notes.append(f"By ramp or presence {text(ramp)} less is asked of {listed(newcomers)}.")
    if taken.any():
        notes.append(f"{text(int(taken.sum()))} of what was taken off is given to others.")
    if gap:
        notes.append(
            f"A gap of {text(gap)} is carried by nobody: quotas of the reps add up to "
            f"{text(int(by_quarter[0].sum()))} instead of {text(asked)}, "
            f"{percent(int(by_quarter[0].sum()) / plan, digits=1)} of the plan."
        )
    absent = [hierarchy.names[at] for at in np.flatnonzero(leaf & (carried <= 0).all(axis=1))]
    if absent:
        have = "has" if len(absent) == 1 else "have"
        notes.append(f"{listed(absent)} {have} no quota in any quarter of {year}.")
    seats = leaf & hierarchy.open_seat
    if seats.any():
        unmanned = int(by_quarter[seats].sum())
        names = listed([hierarchy.names[at] for at in np.flatnonzero(seats)])
        notes.append(
            f"Open seats ({int(seats.sum())}: {names}) carry {text(unmanned)} that nobody works on yet."
        )
    return notes
