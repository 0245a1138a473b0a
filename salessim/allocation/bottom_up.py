"""What reps can bring, added up, and how it agrees with what they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from salessim.allocation.cascade import Allocation, quotas_as_csv
from salessim.allocation.cents import Bools, Cents, Floats, amount, money_text, split
from salessim.allocation.hierarchy import Hierarchy
from salessim.errors import PlanError, listed
from salessim.formats import percent

__all__ = ["Reconciliation", "coverage", "reconcile", "roll_up"]


def roll_up(
    hierarchy: Hierarchy,
    potential: str | Mapping[str, float] | pd.DataFrame,
    *,
    luck: Literal["shared", "own"] = "shared",
) -> pd.DataFrame:
    """Add up what the reps can bring, to every manager and the company (bottom-up planning).

    Args:
        hierarchy: the organisation.
        potential: a weight column of the hierarchy, rep → amount, or a table with the columns rep, potential
            and, optionally, low and high (P10 and P90). Every leaf needs a figure; zero for an open seat.
        luck: how ranges add up. "shared": good and bad years hit all alike, so lows and highs are added (the
            widest range); "own": each rep's luck is its own, so distances from the middle add as squares.

    Returns:
        One row per node: name, parent, level, level_name, role, leaf, rollup, people, potential, low, high
        (NaN: no range given).

    Raises:
        PlanError: a leaf without a potential, a negative or missing figure, low > potential or high below it,
            an unknown or doubled rep.

    >>> team = Hierarchy.from_table(pd.DataFrame({
    ...     "name": ["Acme", "Ann", "Bo"], "parent": ["", "Acme", "Acme"], "potential": [None, 300.0, 100.0],
    ... }))
    >>> roll_up(team, "potential").set_index("name")["potential"].to_dict()
    {'Acme': 400.0, 'Ann': 300.0, 'Bo': 100.0}
    """
    if luck not in ("shared", "own"):
        raise PlanError(f"luck is {luck!r}; allowed: 'shared', 'own'")
    value, low, high = _potentials(hierarchy, potential)
    total, low_total, high_total = (_up(hierarchy, part) for part in (value, low, high))
    if luck == "own":
        low_total = total - np.sqrt(_up(hierarchy, (value - low) ** 2))
        high_total = total + np.sqrt(_up(hierarchy, (high - value) ** 2))
    return _frame(hierarchy).assign(potential=total, low=low_total, high=high_total)


@dataclass(frozen=True, eq=False)
class Reconciliation:
    """Top-down and bottom-up side by side, and quotas in between; amounts in ``currency``.

    Every figure of a manager is the sum of the leaves below, so that all columns add up.
    """

    toward: float
    """0: the quotas as allocated; 1: wholly by potential."""
    keeps_total: bool
    """Whether the sum of all quotas stays; else it moves towards the potential as well."""
    currency: str
    year: int | None
    """Fiscal year of the allocation; None: not stated."""
    table: pd.DataFrame
    """One row per node: name, parent, level, level_name, role, leaf, rollup, people, pinned, top_down
    (quota), bottom_up (potential), low, high (NaN: no range), gap (top_down − bottom_up; above zero:
    over-asked), gap_share (÷ bottom_up; NaN without any), reconciled, change (reconciled − top_down),
    top_down_cents, reconciled_cents."""
    by_quarter: pd.DataFrame
    """Reconciled quotas of the leaves: rep, period, quota, quota_cents; quarters in the proportions of the
    allocation."""
    notes: tuple[str, ...]
    """What a reader must know, in sentences."""

    def most_over_asked(self, number: int = 10) -> pd.DataFrame:
        """The leaves whose quota lies furthest above their potential, as a share of it; rows of ``table``.

        Those without any potential come first, the largest quota ahead.
        """
        leaves = self.table[self.table["leaf"] & (self.table["gap"] > 0)]
        share = leaves["gap_share"].fillna(np.inf)
        ranked = leaves.assign(rank=share).sort_values(
            ["rank", "gap", "name"], ascending=[False, False, True], kind="stable", ignore_index=True
        )
        return ranked.drop(columns="rank").head(number)

    def quotas(self) -> pd.DataFrame:
        """The reconciled quotas as a long table: rep, period, quota; quarters without one are left out."""
        kept = self.by_quarter[self.by_quarter["quota_cents"] > 0]
        return kept[["rep", "period", "quota"]].reset_index(drop=True)

    def to_csv(self) -> str:
        """The reconciled quotas as CSV text: rep, period, quota, to the cent; PlanError without a year."""
        return quotas_as_csv(self.quotas(), self.year)


def reconcile(
    top_down: Allocation, bottom_up: pd.DataFrame, *, toward: float = 0.5, keep_total: bool = True
) -> Reconciliation:
    """Compare what people are asked for with what they can bring, and meet in between.

    Args:
        top_down: the quotas as allocated; pins stay, and so do the sums below pinned managers; limits do not
            bind what is reconciled.
        bottom_up: from :func:`roll_up`, of the same people.
        toward: how far quotas move from the allocated (0) to the potential (1).
        keep_total: True: the mix only decides the shares, so the sum of all quotas, and with it the cover of
            the company's plan, stays to the cent; False: each quota is the mix itself, and the total moves.

    Raises:
        PlanError: the two do not name the same people, toward lies outside 0 to 1, or there is nothing to
            share by.

    >>> from salessim.allocation import allocate
    >>> team = Hierarchy.from_table(pd.DataFrame({
    ...     "name": ["Acme", "Ann", "Bo"], "parent": ["", "Acme", "Acme"], "potential": [None, 300.0, 100.0],
    ... }))
    >>> both = reconcile(allocate(team, 500, by="equal"), roll_up(team, "potential"), toward=1)
    >>> both.table[["name", "top_down", "bottom_up", "reconciled"]].values.tolist()
    [['Acme', 500.0, 400.0, 500.0], ['Ann', 250.0, 300.0, 375.0], ['Bo', 250.0, 100.0, 125.0]]
    """
    if isinstance(toward, bool) or not isinstance(toward, int | float) or not 0 <= toward <= 1:
        raise PlanError(f"toward is {toward!r}; it must lie between 0 (as allocated) and 1 (by potential)")
    node = top_down.hierarchy
    lacking_columns = [c for c in ("name", "potential", "low", "high") if c not in bottom_up.columns]
    if lacking_columns:
        raise PlanError(f"bottom_up lacks the columns {listed(lacking_columns)}; take it from roll_up")
    found = bottom_up.set_index("name")
    lacking = sorted(set(node.names) ^ set(found.index))
    if lacking or found.index.has_duplicates:
        raise PlanError(f"top-down and bottom-up do not name the same people: {listed(lacking)} in one only")
    figures = found.loc[list(node.names)]
    potential = figures["potential"].to_numpy(dtype=np.float64)
    leaf = node.leaf
    asked: Cents = top_down.quarter_cents.sum(axis=1)
    pinned = top_down.table["pinned"].to_numpy(dtype=np.bool_)
    mix = np.where(leaf, (1 - toward) * asked + toward * potential * 100, 0.0)
    agreed = _agreed(top_down, mix, asked, pinned, keep_total=keep_total)
    agreed = np.asarray(node.rolled_up(agreed), dtype=np.int64)
    gap = asked / 100 - potential
    table = _frame(node).assign(
        pinned=pinned,
        top_down=amount(asked),
        bottom_up=potential,
        low=figures["low"].to_numpy(dtype=np.float64),
        high=figures["high"].to_numpy(dtype=np.float64),
        gap=gap,
        gap_share=np.divide(gap, potential, out=np.full(len(gap), np.nan), where=potential > 0),
        reconciled=amount(agreed),
        change=amount(agreed - asked),
        top_down_cents=asked,
        reconciled_cents=agreed,
    )
    return Reconciliation(
        toward=float(toward),
        keeps_total=keep_total,
        currency=top_down.currency,
        year=top_down.year,
        table=table,
        by_quarter=_by_quarter(top_down, agreed),
        notes=tuple(_notes(top_down, table, toward, keep_total)),
    )


def coverage(
    allocation: Allocation, *, by: str = "pipeline", wanted: float | Mapping[str, float] = 3.0
) -> pd.DataFrame:
    """How often the pipeline covers the quota, for every rep, manager and the company.

    Args:
        allocation: the quotas.
        by: weight column of the hierarchy that holds the pipeline, in currency.
        wanted: coverage that is enough (pipeline ÷ quota); one figure, or name → figure, which holds for a
            node and everybody below it.

    Returns:
        One row per node: name, parent, level, level_name, role, leaf, rollup, people, quota (a manager's:
        those of the people below), pipeline, coverage (NaN without a quota), wanted, short_by (pipeline that
        is missing, in currency), enough. Leaves without a figure count as zero.

    Raises:
        PlanError: no such column, an unknown name, a coverage that is no number above zero.

    >>> from salessim.allocation import allocate
    >>> team = Hierarchy.from_table(pd.DataFrame({
    ...     "name": ["Acme", "Ann", "Bo"], "parent": ["", "Acme", "Acme"], "pipeline": [None, 900.0, 300.0],
    ... }))
    >>> coverage(allocate(team, 300, by="equal"))[["name", "coverage", "short_by"]].values.tolist()
    [['Acme', 4.0, 0.0], ['Ann', 6.0, 0.0], ['Bo', 2.0, 150.0]]
    """
    node = allocation.hierarchy
    if by not in node.weights:
        raise PlanError(f"by names {by!r}; the hierarchy has {listed(list(node.weights))}")
    given = wanted if isinstance(wanted, Mapping) else {node.names[0]: wanted}
    level = np.full(len(node.names), np.nan)
    for name, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
            raise PlanError(f"wanted coverage of '{name}' is {value!r}; it must be a number above zero")
        level[node.position(name)] = value
    if np.isnan(level[0]):
        raise PlanError(f"wanted coverage: '{node.names[0]}' needs one too, for everybody without one")
    for part in node.slices()[1:]:
        level[part] = np.where(np.isnan(level[part]), level[node.parent[part]], level[part])
    quota = allocation.quarter_cents.sum(axis=1) / 100
    pipeline = _up(node, np.nan_to_num(node.weights[by]))
    return _frame(node).assign(
        quota=quota,
        pipeline=pipeline,
        coverage=np.divide(pipeline, quota, out=np.full(len(quota), np.nan), where=quota > 0),
        wanted=level,
        short_by=np.maximum(level * quota - pipeline, 0.0),
        enough=pipeline >= level * quota,
    )


def _potentials(
    hierarchy: Hierarchy, potential: str | Mapping[str, float] | pd.DataFrame
) -> tuple[Floats, Floats, Floats]:
    """Potential, low and high by node; 0 for managers, NaN for a range that was not given."""
    leaf, names = hierarchy.leaf, hierarchy.names
    if isinstance(potential, str):
        if potential not in hierarchy.weights:
            raise PlanError(
                f"potential names {potential!r}; the hierarchy has {listed(list(hierarchy.weights))}"
            )
        table = pd.DataFrame({"rep": names, "potential": hierarchy.weights[potential]})[leaf]
    elif isinstance(potential, pd.DataFrame):
        table = potential
    else:
        table = pd.DataFrame({"rep": list(potential), "potential": list(potential.values())})
    lacking_columns = [column for column in ("rep", "potential") if column not in table.columns]
    if lacking_columns or ("low" in table.columns) != ("high" in table.columns):
        raise PlanError(
            f"potential has the columns {listed(list(table.columns))}; wanted: rep, potential, and both of "
            "low and high or neither"
        )
    reps = table["rep"].astype(str)
    leaves = [name for name, is_leaf in zip(names, leaf, strict=True) if is_leaf]
    twice, given = sorted(set(reps[reps.duplicated()])), set(reps)
    unknown = sorted(given - set(leaves))
    lacking = [name for name in leaves if name not in given]
    if twice or unknown or lacking:
        raise PlanError(
            f"potential: missing for {listed(lacking)}, not among the leaves {listed(unknown)}, twice "
            f"{listed(twice)}; each rep and open seat needs one figure (zero is one)"
        )
    found: dict[str, Floats] = {}
    for column in ("potential", "low", "high"):
        values = np.full(len(names), np.nan)
        if column in table.columns:
            numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64)
            bad = ~(np.isfinite(numbers) & (numbers >= 0))
            if bad.any():
                raise PlanError(
                    f"{column} is missing, negative or no number for {listed(reps[bad].tolist())}; "
                    "zero or more is allowed"
                )
            values[leaf] = pd.Series(numbers, index=reps).loc[leaves].to_numpy()
        found[column] = np.where(leaf, values, 0.0)
    value, low, high = found["potential"], found["low"], found["high"]
    crossed = leaf & ((low > value) | (high < value))
    if crossed.any():
        shown = listed([names[at] for at in np.flatnonzero(crossed)])
        raise PlanError(f"potential of {shown} lies outside low to high")
    return value, low, high


def _agreed(top_down: Allocation, mix: Floats, asked: Cents, pinned: Bools, *, keep_total: bool) -> Cents:
    """Reconciled quotas of the leaves, in cents; 0 for managers."""
    node = top_down.hierarchy
    fixed = pinned & node.leaf
    if not keep_total:
        return np.where(fixed, asked, np.floor(mix + 0.5).astype(np.int64)) * node.leaf
    # who shares with whom: everybody, but the people of a pinned manager among themselves
    group = np.zeros(len(asked), dtype=np.intp)
    for part in node.slices()[1:]:
        up = node.parent[part]
        group[part] = np.where(pinned[up], up, group[up])
    free = node.leaf & ~fixed
    totals = np.zeros(len(asked), dtype=np.int64)
    np.add.at(totals, group[free], asked[free])
    weight = np.where(free, mix, 0.0)
    empty = (totals > 0) & (np.bincount(group, weight, minlength=len(totals)) <= 0)
    if empty.any():
        names = [node.names[at] for at in np.flatnonzero(empty)]
        raise PlanError(f"nobody below {listed(names)} has any potential to share by; choose toward below 1")
    return np.where(fixed, asked, split(totals, weight, group))


def _by_quarter(top_down: Allocation, agreed: Cents) -> pd.DataFrame:
    node = top_down.hierarchy
    leaves = np.flatnonzero(node.leaf)
    weights = top_down.quarter_cents[leaves].astype(np.float64)
    # a rep who was asked for nothing has no quarters of its own: those of its plan
    weights = np.where(weights.sum(axis=1, keepdims=True) > 0, weights, top_down.quarter_shares[leaves])
    quarters = weights.shape[1]
    family = np.repeat(np.arange(len(leaves)), quarters)
    cents = split(agreed[leaves], weights.ravel(), family)
    return pd.DataFrame(
        {
            "rep": np.repeat(np.array(node.names, dtype=object)[leaves], quarters),
            "period": np.tile(np.array(top_down.periods, dtype=object), len(leaves)),
            "quota": amount(cents),
            "quota_cents": cents,
        }
    )


def _notes(top_down: Allocation, table: pd.DataFrame, toward: float, keep_total: bool) -> list[str]:
    def text(value: float) -> str:
        return money_text(round(value * 100), top_down.currency)

    company = table.iloc[0]
    plan = int(top_down.base_cents[0]) / 100
    gap = float(company["gap"])
    leaves = table[table["leaf"]]
    notes = [
        f"The reps are asked for {text(company['top_down'])} and can bring {text(company['bottom_up'])}: "
        f"{text(abs(gap))} {'more' if gap > 0 else 'less'} is asked than they can bring.",
        f"The potential covers {percent(float(company['bottom_up']) / plan, digits=1)} of the plan of "
        f"{text(plan)}.",
        f"{int((leaves['gap'] > 0).sum())} of {len(leaves)} reps are asked for more than their potential.",
    ]
    if keep_total:
        notes.append(
            f"Reconciled quotas follow the potential to {percent(toward)} and add up to the same "
            f"{text(company['reconciled'])}."
        )
    else:
        notes.append(
            f"Reconciled quotas lie {percent(toward)} of the way to the potential and add up to "
            f"{text(company['reconciled'])}, {percent(float(company['reconciled']) / plan, digits=1)} of the "
            "plan."
        )
    return notes


def _up(hierarchy: Hierarchy, leaves: Floats) -> Floats:
    return np.asarray(hierarchy.rolled_up(leaves), dtype=np.float64)


def _frame(hierarchy: Hierarchy) -> pd.DataFrame:
    leaf, names = hierarchy.leaf, hierarchy.names
    return pd.DataFrame(
        {
            "name": names,
            "parent": [names[up] if up >= 0 else "" for up in hierarchy.parent.tolist()],
            "level": hierarchy.level,
            "level_name": [hierarchy.level_names[depth] for depth in hierarchy.level.tolist()],
            "role": hierarchy.roles,
            "leaf": leaf,
            "rollup": ~leaf,
            "people": _up(hierarchy, np.ones(len(names))).astype(np.int64),
        }
    )
