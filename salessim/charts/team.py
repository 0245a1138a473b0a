"""Charts of a team that grows: capacity while newcomers ramp up, and the ramp of one newcomer."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import Floats, Line, Sheet, floats, known, label_lines, scale
from salessim.charts.style import BLUE, GREEN, MUTED, ORANGE, PALE, PALE_ORANGE, styled
from salessim.charts.words import number, shortened
from salessim.periods import quarter_of

__all__ = ["capacity_ramp", "ramp_curve"]

# a ramp nears full productivity without reaching it; a rep counts as ramped as in Ramp.weeks_to_full
_RAMPED = 0.95
_FULL_TEAM = 0.995

# not from the calendar module: its names follow the language of the machine
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July",
    "August", "September", "October", "November", "December",
)  # fmt: skip


@styled()
def capacity_ramp(
    frame: pd.DataFrame,
    *,
    fiscal_year_starts_in_month: int = 1,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Sellers on the payroll against the capacity that they carry while newcomers ramp up [C3].

    Args:
        frame: columns week (dates), headcount, and productive: ramped capacity in full reps.
        fiscal_year_starts_in_month: for the names of the quarters.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which names the quarter with the largest gap and the month from which
            capacity is full for good.

    >>> frame = pd.DataFrame({"week": pd.to_datetime(["2026-07-06", "2026-10-05", "2027-03-01"]),
    ...                       "headcount": [12, 12, 12], "productive": [9.4, 11.0, 12.0]})
    >>> capacity_ramp(frame).get_label()
    '12 sellers on the payroll carry the capacity of 9.4 in 2026Q3; full capacity in March 2027'
    """
    rows = known(frame, ["headcount", "productive"])
    rows = rows[rows["week"].notna()].sort_values("week", ignore_index=True)
    sheet = Sheet.on(ax, title=title)
    if rows.empty or float(rows["headcount"].max()) <= 0:
        return sheet.nothing("Nobody is on the payroll in these weeks")
    ax = sheet.ax
    weeks = [week.date() for week in pd.to_datetime(rows["week"])]
    day = np.array([week.toordinal() for week in weeks], dtype=np.float64)
    quarters = [quarter_of(w, fiscal_year_starts_in_month=fiscal_year_starts_in_month) for w in weeks]
    headcount, productive = floats(rows["headcount"]), floats(rows["productive"])
    ax.fill_between(day, productive, headcount, color=PALE_ORANGE, step="post")
    ax.fill_between(day, 0, productive, color=PALE, alpha=0.8, step="post")
    marker, room = ("o", 30) if len(rows) == 1 else (None, 0)
    ax.plot(day, headcount, color=ORANGE, drawstyle="steps-post", marker=marker)
    ax.plot(day, productive, color=BLUE, drawstyle="steps-post", marker=marker)
    ax.set_xlim(day[0] - room, day[-1] + room)
    ax.set_ylim(0, float(max(headcount.max(), productive.max())) * 1.18)
    starts = [q for q in dict.fromkeys(quarters) if q.start >= weeks[0]] or quarters[:1]
    starts = starts[:: math.ceil(len(starts) / 8)]
    # a name stands to the right of the tick, where its quarter begins
    ax.set_xticks([max(q.start.toordinal(), day[0]) for q in starts], [str(q) for q in starts], ha="left")
    scale(ax.yaxis, formats.count, most=7, whole=True)
    means = rows[["headcount", "productive"]].groupby([str(q) for q in quarters], sort=False).mean()
    means = means[means["headcount"] > 0]
    worst = str((means["productive"] / means["headcount"]).idxmin())
    sellers, carried = (round(float(means[key][worst]), 1) for key in ("headcount", "productive"))
    short = np.flatnonzero(productive < _FULL_TEAM * headcount)
    if not short.size:
        few, many = (formats.count(float(end)) for end in (headcount.min(), headcount.max()))
        finding = (
            f"All {few if few == many else f'{few} to {many}'} sellers are at full capacity in every week"
        )
    else:
        average = "" if sellers.is_integer() else "On average "
        finding = (
            f"{average}{formats.count(sellers)} sellers on the payroll carry the capacity of "
            f"{formats.count(carried)} in {worst}; "
        )
        over = short[-1] + 1 < len(rows)
        month = weeks[short[-1] + 1] if over else weeks[-1]
        reached = "full capacity in" if over else "capacity is not full by"
        finding += f"{reached} {_MONTHS[month.month - 1]} {month.year}"
    ax = sheet.finish(finding, about="Number of sellers, by week")
    label_lines(
        ax, [(day, headcount, "on the payroll", ORANGE), (day, productive, "capacity in full reps", BLUE)]
    )
    return ax


@styled()
def ramp_curve(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """How productive a newcomer is by month of tenure [C2].

    Args:
        frame: columns month_of_tenure (1 is the first), productivity (1 is a full rep) and, for several
            curves, role.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which names the month from which a newcomer counts as fully productive:
            the first with 95 %.

    >>> frame = pd.DataFrame({"month_of_tenure": [1, 2, 3, 4], "productivity": [0.1, 0.4, 0.7, 1.0]})
    >>> ramp_curve(frame).get_label()
    'A newcomer is fully productive in month 4; the first 3 months yield as much as 1.2 full ones'
    """
    rows = known(frame, ["month_of_tenure", "productivity"])
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        return sheet.nothing("No ramp is defined")
    ax = sheet.ax
    roles = rows["role"].astype(str) if "role" in rows else pd.Series("", index=rows.index)
    dashes = ("-", "--", "-.", (0, (1, 1.2)))
    lines: list[Line] = []
    ramped: dict[str, int] = {}
    never: list[str] = []
    for place, (role, curve) in enumerate(rows.groupby(roles, sort=False)):
        curve = curve.sort_values("month_of_tenure")
        month, productivity = floats(curve["month_of_tenure"]), floats(curve["productivity"])
        colour = (BLUE, ORANGE, GREEN, MUTED)[place % 4]
        ax.plot(month, productivity, color=colour, linestyle=dashes[place % 4], marker="o", markersize=5)
        lines.append((month, productivity, shortened(role), colour))
        reached = month[productivity >= _RAMPED - 1e-9]
        if reached.size:
            ramped[str(role)] = int(reached[0])
        else:
            never.append(shortened(role))
    first, last = float(rows["month_of_tenure"].min()), float(rows["month_of_tenure"].max())
    highest = float(rows["productivity"].max())
    ax.axhline(1.0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    ax.set_xlim(first - 0.4, last + 0.4)
    ax.set_ylim(0, max(1.15, highest * 1.12))
    scale(ax.xaxis, formats.count, most=12, whole=True, grid=False)
    scale(ax.yaxis, formats.percent, most=5)
    ax.set_xlabel("Month of tenure")
    if not ramped:
        finding = (
            f"A newcomer reaches {formats.percent(highest)} of a full rep by month {formats.count(last)}"
        )
    elif len(lines) == 1:
        finding = _one_ramp(lines[0][0], lines[0][1], *ramped.values())
    else:
        quickest, slowest = min(ramped, key=ramped.__getitem__), max(ramped, key=ramped.__getitem__)
        finding = f"Full productivity comes in month {ramped[quickest]}"
        if ramped[quickest] != ramped[slowest]:
            finding += f" ({shortened(quickest)}) to {ramped[slowest]} ({shortened(slowest)})"
        if never:
            finding += f"; not within the months shown: {', '.join(never)}"
    about = (
        f"Productivity by month of tenure; fully productive: from {formats.percent(_RAMPED)} of a full rep"
    )
    ax = sheet.finish(finding, about=about)
    if len(lines) > 1:
        label_lines(ax, lines)
    return ax


def _one_ramp(month: Floats, productivity: Floats, ramped: int) -> str:
    """In words when a newcomer is fully productive, and what the months before yield together."""
    finding = f"A newcomer is fully productive in month {ramped}"
    before = productivity[month < ramped]
    if before.size == 0:
        return finding
    if before.size == 1:
        return f"{finding}; the first month yields {formats.percent(float(before[0]))} of a full one"
    done = number(round(float(before.sum()), 1), "full one")
    return f"{finding}; the first {before.size} months yield as much as {done}"
