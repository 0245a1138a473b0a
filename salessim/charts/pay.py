"""Charts of a pay plan: what a rep earns at each attainment, and what the plan costs the company."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.text import Annotation

from salessim import formats
from salessim.charts.canvas import (
    SIZE,
    Floats,
    Line,
    Sheet,
    column_beside,
    floats,
    interval_rows,
    known,
    rows_height,
    scale,
)
from salessim.charts.style import BLUE, GREEN, INK, MUTED, ORANGE, figure_of, styled
from salessim.charts.words import in_currency, money, shortened
from salessim.errors import ParameterError, listed
from salessim.measures import LEVEL

__all__ = ["earnings_curve", "pay_cost_range"]

_MOST_PLANS = 3
_ALIKE = 0.01  # rates that differ by less are one rate: points of a curve are rounded to whole cents
_NARROW = (
    0.0251  # attainment; a step no wider than this may hide where the rate changes, a wider one is a tier
)


@styled()
def earnings_curve(
    frame: pd.DataFrame,
    *,
    currency: str,
    ote: float | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What a rep earns at each attainment: where the rate rises, where pay jumps or ends [B4].

    Args:
        frame: columns attainment (bookings ÷ quota), pay (of the period that the plan counts in) and, to
            compare up to three plans, plan (name). Rows without a number are not drawn. Two rows of the
            same attainment draw a jump.
        currency: ISO code of the pay.
        ote: on-target earnings to mark; None marks none.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which reads pay at 100 % and 150 % attainment, or at the highest
            attainment shown, and of a single plan what becomes of its rate: the highest from quota on, as a
            multiple of the rate just below quota, the largest jump of pay, and a cap.

    Raises:
        ParameterError: more than three plans.

    >>> frame = pd.DataFrame({"attainment": [0, 1, 1.25, 1.5], "pay": [5e4, 1e5, 1.2e5, 1.45e5]})
    >>> earnings_curve(frame, currency="EUR", ote=1e5).get_label()
    'At quota a rep earns EUR 100k; at 150 % EUR 145k; the rate rises to 2× above 125 %'
    """
    rows = known(frame, ["attainment", "pay"])
    names = list(dict.fromkeys(rows["plan"].astype(str))) if "plan" in rows else [""]
    if len(names) > _MOST_PLANS:
        raise ParameterError(f"an earnings curve compares up to {_MOST_PLANS} plans; given: {listed(names)}")
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        return sheet.nothing("No pay has been worked out")
    ax = sheet.ax
    looks = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."))
    lines: list[Line] = []
    for name, (colour, dashes) in zip(names, looks, strict=False):
        part = rows[rows["plan"].astype(str) == name] if "plan" in rows else rows
        part = part.sort_values("attainment", kind="stable")
        x, y = floats(part["attainment"]), floats(part["pay"])
        ax.plot(x, y, color=colour, linestyle=dashes, marker="o" if len(x) == 1 else None)
        lines.append((x, y, shortened(name, most=26), colour))
    first, last = float(rows["attainment"].min()), float(rows["attainment"].max())
    reach = min(float(x[-1]) for x, *_ in lines)  # what every plan covers
    start = max(float(x[0]) for x, *_ in lines)
    room = 0.03 * (last - first) or 0.1
    ax.set_xlim(first - room, last + room)
    floor = min(0.0, float(rows["pay"].min()) * 1.05)
    top = max(float(rows["pay"].max()), ote or 0.0) or 1.0
    ax.set_ylim(floor, floor + (top - floor) * 1.2)
    scale(ax.xaxis, formats.percent, most=8, grid=False)
    scale(ax.yaxis, lambda amount: money(amount, ""), most=5)
    ax.set_xlabel("Attainment (bookings ÷ quota)")
    if first <= 1 <= last:
        ax.axvline(1.0, color=INK, linewidth=1)
        ax.annotate(
            "quota", (1.0, 1), (5, -8), xycoords=("data", "axes fraction"), textcoords="offset points",
            va="center", weight="semibold",
        )  # fmt: skip
    if ote is not None:
        ax.axhline(ote, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
        ax.annotate(
            f"OTE {money(ote, currency)}", (0, ote), (2, 5), xycoords=("axes fraction", "data"),
            textcoords="offset points", va="bottom", color=MUTED, weight="semibold",
        )  # fmt: skip
    read = [at for at in (1.0, 1.5) if start <= at <= reach] or [reach]
    if reach not in read and 1.5 not in read:
        read.append(reach)
    for x, y, _, colour in lines:
        ax.scatter(read, _earned(x, y, np.array(read)), s=40, color=colour, zorder=3)
    finding = _earnings(lines, read, currency)
    if len(lines) == 1:
        finding += "".join(f"; {clause}" for clause in _what_becomes_of_the_rate(*lines[0][:2], currency))
    # plans often share a line up to quota: their names stand where they have parted, at the end
    names_beside = [
        ax.annotate(
            name, (1, float(y[-1])), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
            va="center", color=colour, weight="semibold", annotation_clip=False,
        )
        for _, y, name, colour in lines if name
    ]  # fmt: skip
    ax = sheet.finish(finding, about=f"Pay of a rep by attainment{in_currency(currency)}")
    _move_apart(ax, names_beside)
    if len(lines) == 1:
        _label_points(ax, lines[0], read, currency)
    return ax


def _move_apart(ax: Axes, names: list[Annotation]) -> None:
    """Move names beside the ends of their lines up where they would lie over one another."""
    reached = -math.inf  # pixels
    for name in sorted(names, key=lambda each: float(each.xy[1])):
        box, dot = name.get_window_extent(), figure_of(ax).dpi / 72
        shift = max(0.0, reached - box.y0)
        name.set_position((6, shift / dot))
        reached = box.y1 + shift + dot


def _earned(attainment: Floats, pay: Floats, at: Floats) -> Floats:
    """Pay at these attainments; at a jump, what is paid once it is reached."""
    reached = np.append(np.diff(attainment) > 0, True)  # the last of points at one place
    earned: Floats = np.interp(at, attainment[reached], pay[reached])
    return earned


def _label_points(ax: Axes, line: Line, read: list[float], currency: str) -> None:
    """Write the pay that the finding reads beside its points: above, away from a curve that rises."""
    x, y, _, colour = line
    frame = ax.get_window_extent()
    for at, pay in zip(read, _earned(x, y, np.array(read)), strict=True):
        text = ax.annotate(
            money(float(pay), currency), (at, pay), (-7, 7), textcoords="offset points", ha="right",
            va="bottom", color=colour, weight="semibold", size=SIZE,
        )  # fmt: skip
        others = [each for each in ax.texts if each is not text]
        figure_of(ax).draw_without_rendering()
        box = text.get_window_extent()
        if box.x0 < frame.x0 or any(box.overlaps(each.get_window_extent()) for each in others):
            text.set(ha="left", va="top", position=(8, -6))


def _earnings(lines: list[Line], read: list[float], currency: str) -> str:
    """In words what each plan pays at the attainments that are read."""
    clauses: list[str] = []
    for at in read:
        paid = [money(float(_earned(x, y, np.array([at]))[0]), currency) for x, y, *_ in lines]
        where = "at quota" if at == 1 else f"at {formats.percent(at)}"
        if len(lines) == 1:
            clauses.append(f"{where} {'a rep earns ' if not clauses else ''}{paid[0]}")
        elif len(set(paid)) == 1:
            clauses.append(f"{where} every plan pays {paid[0]}")
        else:
            verbs = [" pays", *[""] * (len(lines) - 1)]  # said once
            each = [
                f"{line[2]}{verb} {amount}" for line, verb, amount in zip(lines, verbs, paid, strict=True)
            ]
            clauses.append(f"{where} {', '.join(each)}")
    text = "; ".join(clauses)
    return text[:1].upper() + text[1:]


def _what_becomes_of_the_rate(attainment: Floats, pay: Floats, currency: str) -> list[str]:
    """In words the largest jump of pay, the largest rise of its rate from quota on, and a cap."""
    runs = _runs(attainment, pay)
    typical = float(np.median([slope for *_, slope in runs if math.isfinite(slope)] or [0.0]))
    least = 1e-4 * float(np.ptp(pay))
    jumps: list[tuple[float, float]] = []
    bends: list[tuple[float, float, float]] = []  # attainment, rate before, rate after
    for before, after in itertools.pairwise(runs):
        (_, _, x1, y1, rate), (x2, y2, _, _, next_rate) = before, after
        place = x2
        if x2 > x1 or y2 != y1:  # one step between two rates, which hides where the rate changes or pay jumps
            met = (
                (y2 - y1 + rate * x1 - next_rate * x2) / (rate - next_rate) if rate != next_rate else math.nan
            )
            gap = y2 - y1 - max(rate, next_rate, 0.0) * (x2 - x1)
            if gap > max(least, 1e-9 * abs(typical)):
                jumps.append((x2, y2 - y1 - rate * (x2 - x1)))
                continue
            place = met if x1 <= met <= x2 else x2
        bends.append((place, rate, next_rate))
    clauses = []
    if jumps:
        place, size = max(jumps, key=lambda jump: jump[1])
        clauses.append(f"pay jumps by {money(size, currency)} at {formats.percent(place)}")
    base = next((run[-1] for run in reversed(runs) if run[0] < 1 - 1e-6), 0.0)  # just below quota
    rises = [(after / base, place) for place, _, after in bends if base > 0 and place >= 1 - _NARROW]
    times, place = max(rises, key=lambda rise: round(rise[0], 2), default=(0.0, 0.0))
    if times >= 1.05:
        clauses.append(f"the rate rises to {_times(times)} above {formats.percent(place)}")
    ends = [place for place, rate, after in bends if rate > 0 and abs(after) <= _ALIKE * rate]
    if ends and abs(runs[-1][-1]) <= _ALIKE * abs(bends[-1][1]):
        clauses.append(f"no more is paid above {formats.percent(ends[-1])}")
    if not clauses and attainment[0] < 1 < attainment[-1] and len(runs) == 1:
        clauses.append("every point of attainment pays the same")
    return clauses


def _times(factor: float) -> str:
    """A factor of rates with no more digits than it needs."""
    return f"{factor:.2f}".rstrip("0").rstrip(".") + "×"


Run = tuple[float, float, float, float, float]
"""A stretch of a curve with one rate: attainment and pay at its start and end, and the rate."""


def _runs(attainment: Floats, pay: Floats) -> list[Run]:
    """The stretches of a curve with one rate; a narrow step between longer ones is left out.

    A curve drawn at points that are not where its rate changes has one step with a rate between two.
    """
    steps = [
        (float(x0), float(y0), float(x1), float(y1), float((y1 - y0) / (x1 - x0)))
        for x0, y0, x1, y1 in zip(attainment, pay, attainment[1:], pay[1:], strict=False)
        if x1 > x0
    ]
    largest = max((abs(step[-1]) for step in steps), default=0.0)
    merged: list[list[Run]] = []
    for step in steps:
        joined = merged and merged[-1][-1][2:4] == step[:2]
        rate = merged[-1][0][-1] if merged else 0.0
        if joined and abs(step[-1] - rate) <= _ALIKE * max(abs(rate), 1e-3 * largest):
            merged[-1].append(step)
        else:
            merged.append([step])
    kept = [
        run
        for place, run in enumerate(merged)
        if len(run) > 1
        or not 0 < place < len(merged) - 1
        or run[0][2] - run[0][0] > _NARROW
        or min(len(merged[place - 1]), len(merged[place + 1])) == 1
    ]
    runs: list[Run] = []
    for run in kept:
        (x0, y0, *_), (_, _, x1, y1, _) = run[0], run[-1]
        runs.append((x0, y0, x1, y1, (y1 - y0) / (x1 - x0)))
    return runs


@styled()
def pay_cost_range(
    frame: pd.DataFrame,
    *,
    currency: str,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What each pay plan costs the company in good and bad luck, in money and of bookings.

    Args:
        frame: columns plan, p10, p50, p90 (total pay) and share_p50 (pay ÷ bookings at the median, a
            fraction; NaN: not known). A plan without the three amounts is left out, which the picture says.
        currency: ISO code of the pay.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which compares the cheapest plan with the next at the median.

    >>> frame = pd.DataFrame({"plan": ["flat", "accelerated"], "p10": [9e5, 9.2e5], "p50": [1e6, 1.1e6],
    ...                       "p90": [1.1e6, 1.4e6], "share_p50": [0.10, 0.11]})
    >>> pay_cost_range(frame, currency="EUR").get_label()
    'flat costs EUR 1.00m at the median, EUR 100k (9 %) less than accelerated'
    """
    rows = known(frame, ["p10", "p50", "p90"])
    rows = rows.sort_values("p50", ascending=False, kind="stable", ignore_index=True)  # the cheapest on top
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows), each=0.42 if len(rows) <= 12 else None))
    if rows.empty:
        return sheet.nothing("No pay plan has been costed")
    ax = sheet.ax
    low, middle, high = (floats(rows[key]) for key in ("p10", "p50", "p90"))
    cheapest = np.arange(len(rows)) == len(rows) - 1
    colours = np.where(cheapest, BLUE, MUTED)
    interval_rows(ax, rows["plan"], low, middle, high, colours=colours)
    looks = [(str(colour), "semibold") for colour in colours]
    column_beside(ax, [money(amount, "") for amount in middle], right=8, looks=looks,
                  head=f"median{in_currency(currency)}")  # fmt: skip
    shares = [formats.percent(share, digits=1) for share in floats(rows["share_p50"])]
    column_beside(ax, shares, right=92, looks=[(MUTED, "normal")] * len(rows), head="of bookings")
    least, most = float(low.min()), float(high.max())
    room = 0.06 * (most - least) or 0.05 * abs(most) or 1.0
    ax.set_xlim(least - room, most + room)
    scale(ax.xaxis, lambda amount: money(amount, ""), most=5)
    ax.set_xlabel(f"Total pay{in_currency(currency)}")
    name, cost = shortened(rows["plan"].iloc[-1]), money(float(middle[-1]), currency)
    if len(rows) == 1:
        finding = (
            f"{name} costs {money(float(low[0]), currency)} to {money(float(high[0]), currency)} with "
            f"probability {formats.percent(LEVEL)}; {cost} at the median"
        )
        if shares[0] != formats.MISSING:
            finding += f", {shares[0]} of bookings"
    else:
        other, saved = shortened(rows["plan"].iloc[-2]), float(middle[-2] - middle[-1])
        if saved <= 0.0005 * abs(float(middle[-2])):
            finding = f"{name} and {other} cost the same at the median: {cost}"
        else:
            part = f" ({formats.percent(saved / middle[-2])})" if middle[-2] > 0 else ""
            finding = f"{name} costs {cost} at the median, {money(saved, currency)}{part} less than {other}"
    left_out = len(frame) - len(rows)
    about = "Dot: median; bar: P10 to P90" + (f"; {left_out} without a cost left out" if left_out else "")
    return sheet.finish(finding, about=about)
