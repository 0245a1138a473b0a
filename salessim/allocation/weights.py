"""What shares follow: weight columns rolled up from the leaves, alone or blended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from salessim.allocation.cents import Bools, Floats
from salessim.allocation.hierarchy import Hierarchy
from salessim.errors import PlanError, listed

__all__ = ["Missing", "blend_of", "sibling_weights"]

#: What becomes of a leaf without a weight: refused, the mean of its siblings, or no quota.
Missing = Literal["refuse", "equal", "zero"]


def blend_of(hierarchy: Hierarchy, by: object) -> dict[str, float]:
    """Weight columns and their shares, checked; PlanError names an unknown column or a wrong share."""
    blend = dict(by) if isinstance(by, Mapping) else {by: 1.0}
    known = [*hierarchy.weights, *(name for name in ("headcount", "equal") if name not in hierarchy.weights)]
    for column, share in blend.items():
        if column not in known:
            raise PlanError(f"by names {column!r}; the hierarchy has {listed(known)}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
            raise PlanError(f"by: the share of '{column}' is {share!r}; it must lie above 0 and up to 1")
    if abs(sum(blend.values()) - 1) > 1e-6:
        raise PlanError(f"by: the shares add up to {sum(blend.values()):g}; they must add up to 1")
    return {str(column): float(share) for column, share in blend.items()}


def sibling_weights(
    hierarchy: Hierarchy,
    blend: Mapping[str, float],
    *,
    missing: Missing,
    pinned: Bools,
    notes: list[str],
) -> tuple[dict[str, Floats], Floats]:
    """Each column rolled up, and the weight that decides among siblings, shape (nodes,)."""
    figures = {
        column: _rolled_weight(hierarchy, column, missing=missing, pinned=pinned, notes=notes)
        for column in blend
    }
    if len(figures) == 1:
        return figures, next(iter(figures.values())).copy()
    family = np.maximum(hierarchy.parent, 0)
    weight = np.zeros(len(hierarchy.names))
    for column, share in blend.items():
        sums = np.bincount(family[1:], figures[column][1:], minlength=len(weight))[family]
        weight += share * np.divide(figures[column], sums, out=np.zeros(len(weight)), where=sums > 0)
    return figures, weight


def _rolled_weight(
    hierarchy: Hierarchy,
    column: str,
    *,
    missing: Missing,
    pinned: Bools,
    notes: list[str],
) -> Floats:
    leaf, parent = hierarchy.leaf, hierarchy.parent
    names = hierarchy.names
    if column not in hierarchy.weights:
        if column == "equal":
            return np.ones(len(names))
        return np.asarray(hierarchy.rolled_up(np.ones(len(names))), dtype=np.float64)
    given = hierarchy.weights[column]
    negative = [names[at] for at in np.flatnonzero(given < 0)]
    if negative:
        raise PlanError(f"{column} is negative for {listed(negative)}; a weight is zero or more")
    lacking = leaf & ~pinned & ~(given > 0)
    if missing == "refuse" and lacking.any():
        shown = [
            f"'{names[at]}' ({'missing' if np.isnan(given[at]) else 'zero'})"
            for at in np.flatnonzero(lacking)
        ]
        more = f" and {len(shown) - 12} more" if len(shown) > 12 else ""
        raise PlanError(
            f"no {column} for {', '.join(shown[:12])}{more}; give a figure, pin them, or choose "
            "missing='equal' (the mean of their team mates) or missing='zero' (no quota)"
        )
    figure = np.where(leaf, np.nan_to_num(given), 0.0)
    filled: list[int] = []
    for part in reversed(hierarchy.slices()[1:]):
        here, up = figure[part], parent[part]
        if missing == "equal":
            known = here > 0
            number = np.bincount(up, known, minlength=len(names))
            total = np.bincount(up, here, minlength=len(names))
            mean = np.divide(total, number, out=np.zeros(len(names)), where=number > 0)
            filled += (np.flatnonzero(~known) + part.start).tolist()
            here = figure[part] = np.where(known, here, mean[up])
        np.add.at(figure, up, here)
    if missing == "equal":
        # a team of which nothing is known shares alike what its manager counts with
        figure[0] = figure[0] or 1.0
        for part in hierarchy.slices()[1:]:
            up = parent[part]
            unknown = np.bincount(up, figure[part], minlength=len(names))[up] <= 0
            alike = figure[up] / np.bincount(up, minlength=len(names))[up]
            figure[part] = np.where(unknown, alike, figure[part])
    else:
        filled = np.flatnonzero(lacking).tolist()
    if filled:
        shown_names = listed([names[at] for at in sorted(filled)])
        told = (
            "counted with the mean of the team mates, or alike where no team mate has any"
            if missing == "equal"
            else "counted as zero"
        )
        notes.append(f"No or zero {column} for {shown_names}: {told}.")
    unread = pinned & leaf & ~(given > 0)
    if unread.any() and missing != "equal":
        shown_names = listed([names[at] for at in np.flatnonzero(unread)])
        notes.append(
            f"No or zero {column} for {shown_names}, pinned: counted as zero in the share of the managers."
        )
    own = ~leaf & np.isfinite(given) & ~np.isclose(np.nan_to_num(given), figure)
    if own.any():
        shown_names = listed([names[at] for at in np.flatnonzero(own)])
        notes.append(
            f"The {column} stated for {shown_names} is not what the people below add up to; it is not used."
        )
    return figure
