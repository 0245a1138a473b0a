"""Charts of a calibration: the past against its range, skills, the ramp, deal sizes, demand by quarter."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import (
    SIZE,
    SMALL,
    Line,
    Sheet,
    floats,
    headroom,
    interval_rows,
    known,
    label_lines,
    rows_height,
    scale,
    thinned,
)
from salessim.charts.style import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, SKY, styled
from salessim.charts.words import in_currency, money, number, shortened
from salessim.intervals import LEVEL

__all__ = ["deal_sizes", "demand_by_quarter", "past_ranges", "ramp_evidence", "skills_by_rep"]


@styled()
def past_ranges(
    frame: pd.DataFrame,
    *,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Past quarters against the range that the scenario, and the method at that time, give for them.

    Args:
        frame: columns quarter, view ("back-test" or "in-sample"), p10, p50, p90, actual, inside; in the order
            of the quarters.
        currency: ISO code of the values.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame(
    ...     [["2026Q1", "back-test", 8e5, 1e6, 1.2e6, 1.1e6, True]],
    ...     columns=["quarter", "view", "p10", "p50", "p90", "actual", "inside"],
    ... )
    >>> past_ranges(frame, currency="EUR").get_label()
    'The forecast range held in 1 of 1 past quarter'
    """
    rows = known(frame, ["p10", "p90", "actual"])
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        return sheet.nothing("No past quarter is covered in full")
    ax = sheet.ax
    quarters = list(dict.fromkeys(rows["quarter"]))
    looks = {"back-test": (-0.13, BLUE), "in-sample": (0.13, SKY)}
    views = [view for view in looks if (rows["view"] == view).any()]
    for view in views:
        part = rows[rows["view"] == view]
        shift, colour = looks[view]
        at = np.array([quarters.index(q) for q in part["quarter"]]) + (shift if len(views) > 1 else 0.0)
        ax.vlines(at, floats(part["p10"]), floats(part["p90"]), color=colour, linewidth=9, alpha=0.55)
        ax.hlines(floats(part["p50"]), at - 0.1, at + 0.1, color=INK, linewidth=1.2)
    judged = rows[rows["view"] == views[0]].set_index("quarter")["inside"]
    actual = rows.groupby("quarter", sort=False)["actual"].first()
    missed = np.array([not bool(judged.get(quarter, True)) for quarter in actual.index])
    places = np.arange(len(quarters))
    ax.scatter(places, floats(actual), s=60, color=np.where(missed, ORANGE, INK), zorder=4,
               edgecolor="white", linewidth=1)  # fmt: skip
    tops = rows[rows["view"] == views[0]].set_index("quarter")["p90"]
    for place in np.flatnonzero(missed):
        booked = float(actual.iloc[place])
        above = booked > float(tops[quarters[place]])
        ax.annotate(
            money(booked, ""), (place, booked), (0, 8 if above else -8), textcoords="offset points",
            ha="center", va="bottom" if above else "top", color=ORANGE, weight="semibold", size=SIZE,
        )  # fmt: skip
    shown = thinned(len(quarters))
    ax.set_xticks(shown, [quarters[place] for place in shown])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, max(len(quarters), 3) - 0.3)
    ax.set_ylim(0, headroom(floats(rows[["p90", "actual"]].max(axis=1)), 1, floor=0.0))
    scale(ax.yaxis, lambda tick: money(tick, ""), most=5)
    held, tested = int(judged.sum()), len(judged)
    what = "forecast" if views[0] == "back-test" else "scenario's"
    finding = f"The {what} range held in {held} of {number(tested, 'past quarter')}"
    shades = {
        "back-test": "dark: by what was known when the quarter began",
        "in-sample": "pale: in hindsight",
    }
    about = (
        f"Bookings of past quarters (dots) and their {formats.percent(LEVEL)} range{in_currency(currency)}; "
        + "; ".join(shades[view] for view in views)
    )
    return sheet.finish(finding, about=about)


@styled()
def skills_by_rep(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """Skill of each rep relative to the team's average: as counted (ring) and drawn towards the team (dot).

    Args:
        frame: columns rep, raw, pooled, low, high, made, as in ``Calibration.evidence.skills``.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame(
    ...     {"rep": ["A", "B"], "raw": [1.4, 0.6], "pooled": [1.3, 0.7], "low": [1.1, 0.6],
    ...      "high": [1.5, 0.9], "made": [90, 40]}
    ... )
    >>> skills_by_rep(frame).get_label()
    '1 of 2 reps stands above the average by more than luck, 1 below'
    """
    rows = known(frame, ["pooled", "low", "high"]).sort_values("pooled", kind="stable").reset_index(drop=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows)))
    if rows.empty:
        return sheet.nothing("Too few reps to tell skill from luck")
    ax = sheet.ax
    low, middle, high, raw = (floats(rows[key]) for key in ("low", "pooled", "high", "raw"))
    surely = np.where(low > 1, 1, np.where(high < 1, -1, 0))
    colours = np.array([ORANGE, FAINT, BLUE])[surely + 1]
    interval_rows(ax, rows["rep"], low, middle, high, colours=colours)
    ax.scatter(
        raw, np.arange(len(rows)), s=26 if len(rows) > 12 else 40, facecolor="none", edgecolor=INK,
        linewidth=1.2, zorder=4,
    )  # fmt: skip
    ax.axvline(1.0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    ends = np.concatenate([low, high, raw[np.isfinite(raw)], [1.0]])
    room = 0.06 * float(ends.max() - ends.min() or 1.0)
    ax.set_xlim(max(float(ends.min()) - room, 0.0), float(ends.max()) + room)
    scale(ax.xaxis, lambda tick: f"{tick:.2f}", most=6)
    more, less = int((surely > 0).sum()), int((surely < 0).sum())
    stand = "stands" if more == 1 else "stand"
    finding = (
        f"{more} of {number(len(rows), 'rep')} {stand} above the average by more than luck, {less} below"
    )
    if not more and not less:
        finding = f"None of {number(len(rows), 'rep')} differs from the average by more than luck"
    about = (
        "Opportunities created ÷ those of an average rep; ring: as counted, dot: drawn towards the team, "
        f"bar: {formats.percent(LEVEL)} interval"
    )
    return sheet.finish(finding, about=about)


@styled()
def ramp_evidence(
    frame: pd.DataFrame, curve: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """What newcomers made by month of tenure (dots with intervals), and the ramp that is used (line) [C2].

    Args:
        frame: columns month, newcomers, share, low, high, as in ``Calibration.evidence.ramp``; may be empty.
        curve: columns month, share: the ramp that the scenario uses.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> none = pd.DataFrame({"month": [], "newcomers": [], "share": [], "low": [], "high": []})
    >>> curve = pd.DataFrame({"month": [1, 2, 3], "share": [0.2, 0.6, 1.0]})
    >>> ramp_evidence(none, curve).get_label()
    'No newcomer shows how long the ramp is; the one that is used is an assumption'
    """
    rows = known(frame, ["share", "low", "high"])
    sheet = Sheet.on(ax, title=title)
    ax = sheet.ax
    month, share = floats(curve["month"]), floats(curve["share"])
    ax.plot(month, share, color=BLUE, linewidth=2)
    top = 1.2
    if len(rows):
        months, made = floats(rows["month"]), floats(rows["share"])
        low, high = floats(rows["low"]), floats(rows["high"])
        ax.vlines(months, low, np.minimum(high, 2.2), color=SKY, linewidth=3)
        ax.scatter(months, made, s=44, color=INK, zorder=3)
        top = max(1.2, min(float(high.max()), 2.2) * 1.05)
    ax.axhline(1.0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    last = max(float(month.max()), float(rows["month"].max()) if len(rows) else 0.0)
    ax.set_xlim(0.4, last + 0.6)
    ax.set_ylim(0, top)
    scale(ax.xaxis, formats.count, most=12, whole=True, grid=False)
    scale(ax.yaxis, formats.percent, most=5)
    ax.set_xlabel("Month of tenure")
    reached = month[share >= 0.95]
    full = f"month {reached[0]:.0f}" if len(reached) else f"no month up to {last:.0f}"
    if len(rows):
        people = int(rows["newcomers"].max())
        inside = int(
            ((low <= np.interp(months, month, share)) & (np.interp(months, month, share) <= high)).sum()
        )
        finding = (
            f"{number(people, 'newcomer')} show{'s' if people == 1 else ''} a ramp to full pace in {full}; "
            f"the line fits {inside} of {number(len(rows), 'month')}"
        )
    else:
        finding = "No newcomer shows how long the ramp is; the one that is used is an assumption"
    about = (
        "Opportunities of newcomers ÷ those of a fully ramped rep of the same skill; bar: "
        f"{formats.percent(LEVEL)} interval; line: the ramp that is used"
    )
    return sheet.finish(finding, about=about)


@styled()
def deal_sizes(
    frame: pd.DataFrame,
    *,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Share of won deals up to an amount: as observed (steps) and by the law that is used (line).

    Args:
        frame: columns segment, amount, observed, law, rising within a segment; at most four segments.
        currency: ISO code of the amounts.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame(
    ...     {"segment": "all", "amount": [1e3, 2e3, 4e3], "observed": [0.2, 0.5, 0.8], "law": [0.2, 0.5, 0.8]}
    ... )
    >>> deal_sizes(frame, currency="EUR").get_label()
    'The curve of deal sizes that is used lies within 0 points of the deals observed'
    """
    rows = known(frame, ["amount", "observed", "law"])
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        return sheet.nothing("Too few won deals to tell how large deals are")
    ax = sheet.ax
    lines: list[Line] = []
    shades = (BLUE, ORANGE, GREEN, MUTED)
    for place, (segment, part) in enumerate(rows.groupby("segment", sort=False)):
        amount, observed, law = (floats(part[key]) for key in ("amount", "observed", "law"))
        colour = shades[place % len(shades)]
        ax.step(amount, observed, where="post", color=colour, linewidth=1.2, alpha=0.7)
        ax.plot(amount, law, color=colour, linewidth=2.4, alpha=0.55)
        lines.append((amount, law, shortened(segment), colour))
    ax.set_xscale("log")
    ax.set_ylim(0, 1)
    low, high = float(rows["amount"].min()), float(rows["amount"].max())
    ax.set_xlim(low * 0.9, high * 1.1)
    ax.minorticks_off()
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**k for k in exponents for digit in (1, 2, 5)]
    ticks = [tick for tick in ticks if low * 0.9 <= tick <= high * 1.1]
    ax.set_xticks(ticks[:: math.ceil(len(ticks) / 9)] or [low])
    ax.xaxis.set_major_formatter(lambda tick, _: money(tick, ""))
    scale(ax.yaxis, formats.percent, most=5)
    apart = float((rows["observed"] - rows["law"]).abs().max())
    several = rows["segment"].nunique() > 1
    finding = (
        f"The curve{'s' if several else ''} of deal sizes that {'are' if several else 'is'} used "
        f"lie{'' if several else 's'} within "
        f"{apart * 100:.0f} points of the deals observed"
    )
    about = f"Share of won deals up to an amount{in_currency(currency)}; steps: observed, line: used"
    ax = sheet.finish(finding, about=about)
    label_lines(ax, lines)
    return ax


@styled()
def demand_by_quarter(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """New opportunities of each quarter relative to a steady market, and season and growth that are used.

    Args:
        frame: columns quarter, ratio, low, high, pattern, whole, as in ``Calibration.evidence.demand``.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame(
    ...     {"quarter": ["2026Q1", "2026Q2"], "ratio": [0.9, 1.1], "low": [0.8, 1.0], "high": [1.0, 1.2],
    ...      "pattern": [1.0, 1.0], "whole": [True, True]}
    ... )
    >>> demand_by_quarter(frame).get_label()
    'Demand was 10 % below to 10 % above a steady market; no season or growth is used'
    """
    rows = known(frame, ["ratio", "low", "high"])
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        return sheet.nothing("No quarter has new opportunities to compare")
    ax = sheet.ax
    places, whole = np.arange(len(rows)), rows["whole"].to_numpy(dtype=bool)
    ratio, low, high, pattern = (floats(rows[key]) for key in ("ratio", "low", "high", "pattern"))
    ax.vlines(places, low, high, color=np.where(whole, SKY, FAINT), linewidth=4)
    ax.scatter(places[whole], ratio[whole], s=48, color=INK, zorder=3)
    ax.scatter(places[~whole], ratio[~whole], s=44, facecolor="white", edgecolor=MUTED, zorder=3)
    ax.axhline(1.0, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    moves = bool((np.abs(pattern - 1) > 1e-9).any())
    if moves:
        ax.plot(places, pattern, color=BLUE, linewidth=2)
    for place in np.flatnonzero(~whole):
        ax.annotate(
            "in part", (place, high[place]), (0, 6), textcoords="offset points", ha="center", size=SMALL,
            color=MUTED,
        )  # fmt: skip
    shown = thinned(len(rows))
    ax.set_xticks(shown, [str(rows["quarter"][place]) for place in shown])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, max(len(rows), 3) - 0.4)
    top, bottom = float(max(high.max(), pattern.max(), 1.0)), float(min(low.min(), pattern.min(), 1.0))
    ax.set_ylim(max(0.0, bottom - 0.15 * (top - bottom)), top + 0.2 * (top - bottom))
    scale(ax.yaxis, formats.percent, most=5)
    ends = ratio[whole] if whole.any() else ratio
    finding = (
        f"Demand was {_apart(float(ends.min()))} to {_apart(float(ends.max()))} a steady market; "
        f"{'the line is the season and growth that are used' if moves else 'no season or growth is used'}"
    )
    about = (
        "New opportunities ÷ those of a steady market with the same people; bar: what luck alone leaves open "
        f"({formats.percent(LEVEL)})"
    )
    return sheet.finish(finding, about=about)


def _apart(ratio: float) -> str:
    return f"{formats.percent(abs(ratio - 1))} {'above' if ratio >= 1 else 'below'}"
