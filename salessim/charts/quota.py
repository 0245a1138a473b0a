"""Charts of a quota plan: how many reps will make it, what a higher quota costs, what closes the gap."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import (
    SIZE,
    SMALL,
    Floats,
    Line,
    Sheet,
    column_beside,
    floats,
    interval_rows,
    known,
    label_lines,
    rows_height,
    scale,
)
from salessim.charts.style import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, PALE, SKY, styled
from salessim.charts.words import chance, in_currency, money, number, shortened, to_share
from salessim.errors import ParameterError

__all__ = ["attainment_by_rep", "attainment_distribution", "quota_gap", "quota_tradeoff"]

_NO_QUOTA = "No rep has a quota in this period"


@styled()
def attainment_distribution(
    pmf: Sequence[float] | npt.ArrayLike,
    *,
    band: tuple[float, float] = (0.60, 0.75),
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """How many reps will make quota: the probability of each number, the healthy band coloured [B1].

    Args:
        pmf: probability that exactly k reps attain, for k = 0 … n; shape (n + 1,).
        band: share of reps attaining that counts as healthy, both ends included.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> attainment_distribution([0.1, 0.2, 0.5, 0.2]).get_label()
    'The share attaining lands in 60–75 % with probability 50 %; expected 60 %'
    """
    law = np.asarray(pmf, dtype=np.float64).ravel()
    reps = law.size - 1
    sheet = Sheet.on(ax, title=title)
    if reps < 1 or not np.isfinite(law).all() or law.sum() <= 0:
        return sheet.nothing(_NO_QUOTA)
    ax = sheet.ax
    attaining = np.arange(reps + 1)
    share = attaining / reps
    inside = (share >= band[0] - 1e-9) & (share <= band[1] + 1e-9)
    expected = float(law @ share)
    ax.bar(attaining, law, width=0.86, color=np.where(inside, BLUE, FAINT))
    top = float(law.max())
    seen = attaining[(law > top / 2000) | inside]
    if inside.any():
        healthy = chance(float(law[inside].sum()))
        first, last = attaining[inside].min() - 0.5, attaining[inside].max() + 0.5
        ax.axvspan(first, last, color=PALE, alpha=0.6, zorder=0)
        ax.text(
            (first + last) / 2, top * 1.13, f"{to_share(band)}: {healthy}", ha="center", va="center",
            color=BLUE, weight="semibold",
        )  # fmt: skip
        finding = (
            f"The share attaining lands in {to_share(band)} with probability {healthy}; "
            f"expected {formats.percent(expected)}"
        )
    else:
        finding = (
            f"With {number(reps, 'rep')} no outcome lies in {to_share(band)}; "
            f"the expected share attaining is {formats.percent(expected)}"
        )
    ax.set_ylim(0, top * 1.22)
    ax.set_xlim(seen.min() - 0.8, seen.max() + 0.8)
    centre = expected * reps
    ax.plot([centre], [0], marker="^", markersize=9, color=INK, clip_on=False, zorder=4)
    ax.set_xlabel(
        f"Reps at or above quota, of {formats.count(reps)}   (▲ expected: {formats.count(round(centre, 1))})"
    )
    scale(ax.xaxis, formats.count, most=10, whole=True, grid=False)
    ax.tick_params(axis="x", pad=7)
    scale(ax.yaxis, formats.percent, most=4)
    return sheet.finish(finding, about="Probability of each number of reps attaining")


@styled()
def quota_tradeoff(
    curve: pd.DataFrame,
    *,
    recommended_quota: float,
    currency: str = formats.NO_CURRENCY,
    band: tuple[float, float] = (0.60, 0.75),
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What a higher quota costs: fewer attain, plans get less likely, pay takes less of bookings [B1, B6].

    The quotas at which the expected share attaining lies in the band are shaded and named. What pay takes
    of bookings stands in a panel of its own below, as its scale is another; on axes of the caller only the
    upper panel is drawn, and the finding leaves pay out.

    Args:
        curve: columns quota, share_attaining, probability_band, probability_sum (fractions; NaN: not known).
            Optional: probability_plan, the chance of the team plan; pay_cost_share, expected base and
            variable pay ÷ bookings, with its interval pay_cost_low and pay_cost_high.
        recommended_quota: the quota to mark.
        currency: ISO code of the quotas.
        band: share of reps attaining that counts as healthy.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    Raises:
        ParameterError: the recommended quota lies outside the curve.

    >>> curve = pd.DataFrame({"quota": [8e4, 1e5, 1.2e5], "share_attaining": [0.8, 0.66, 0.5],
    ...                       "probability_band": [0.3, 0.6, 0.2], "probability_sum": [0.5, 0.7, 0.8]})
    >>> quota_tradeoff(curve, recommended_quota=1e5, currency="EUR").get_label()
    'At a quota of EUR 100k, 66 % of reps attain; the share lands in 60–75 % with probability 60 %'
    """
    rows = known(curve, ["quota", "share_attaining"]).sort_values("quota", ignore_index=True)
    costs = known(rows, ["pay_cost_share"]) if "pay_cost_share" in rows and ax is None else rows.head(0)
    lower: Axes | None = None
    if costs.empty:
        sheet = Sheet.on(ax, title=title, height=4.4)
    else:
        _, (upper, lower) = plt.subplots(
            2, 1, figsize=(6.4, 6.0), sharex=True, gridspec_kw={"height_ratios": [2.4, 1]}
        )
        sheet = Sheet(upper, own=True, title=title)
    if rows.empty:
        return sheet.nothing("No quota has been scored")
    ax = sheet.ax
    quota = floats(rows["quota"])
    if not quota[0] <= recommended_quota <= quota[-1]:
        raise ParameterError(
            f"recommended_quota is {recommended_quota:g}; the curve covers {quota[0]:g} to {quota[-1]:g}"
        )
    ax.axhspan(*band, color=PALE, alpha=0.8, zorder=0)
    room = 0.03 * (quota[-1] - quota[0]) or 0.05 * quota[0] or 1.0
    ax.set_xlim(quota[0] - room, quota[-1] + room)
    span = _quotas_in_band(quota, floats(rows["share_attaining"]), band)
    ax.set_ylim(0, 1.29 if span else 1.14)
    drawn: list[Line] = []
    at: dict[str, float] = {}
    for key, text, colour, dashes in (
        ("share_attaining", "share of reps attaining", BLUE, "-"),
        ("probability_band", f"chance of {to_share(band)}", ORANGE, "--"),
        ("probability_sum", "chance to book the sum of quotas", GREEN, "-."),
        ("probability_plan", "chance of the team plan", MUTED, ":"),
    ):
        points = known(rows, [key]) if key in rows else rows.head(0)
        if points.empty:
            continue
        x, y = floats(points["quota"]), floats(points[key])
        ax.plot(x, y, color=colour, linestyle=dashes, marker="o" if len(x) == 1 else None)
        at[key] = float(np.interp(recommended_quota, x, y))
        ax.scatter([recommended_quota], [at[key]], s=40, color=colour, zorder=3)
        drawn.append((x, y, text, colour))
    ax.axvline(recommended_quota, ymax=1.12 / ax.get_ylim()[1], color=INK, linewidth=1)
    right = recommended_quota > float(np.mean(ax.get_xlim()))
    ax.annotate(
        f"recommended: {money(recommended_quota, currency)}", (recommended_quota, 1.09),
        (-6 if right else 6, 0), textcoords="offset points", ha="right" if right else "left", va="center",
        weight="semibold",
    )  # fmt: skip
    scale(ax.xaxis, lambda amount: money(amount, ""), grid=False)
    fifths = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    ax.set_yticks(fifths, [formats.percent(share) for share in fifths])
    (lower or ax).set_xlabel(f"Quota of a fully ramped rep{in_currency(currency)}")
    attaining = formats.percent(at["share_attaining"])
    finding = f"At a quota of {money(recommended_quota, currency)}, {attaining} of reps attain"
    if "probability_band" in at:
        finding += f"; the share lands in {to_share(band)} with probability {chance(at['probability_band'])}"
    if lower:
        taken = _pay_panel(lower, costs, recommended_quota=recommended_quota)
        finding += f"; pay takes {formats.percent(taken, digits=1)} of bookings"
    ax = sheet.finish(finding, about=f"Share or probability; shaded: healthy band {to_share(band)}")
    if span:
        _shade_range(ax, span, quota, currency=currency, band=band)
    # letters hang over the edge of the room that a label is given: a level line is kept a little further off
    level = [(x, y + off) for x, y, *_ in drawn for off in (-0.03, 0.03) if np.ptp(y) < 0.01]
    label_lines(ax, drawn, avoid=[(np.full(2, recommended_quota), np.array([0.0, 1.0])), *level])
    return ax


def _quotas_in_band(quota: Floats, share: Floats, band: tuple[float, float]) -> tuple[float, float] | None:
    """Least and highest quota of the curve at which the share attaining lies in the band; None: nowhere."""
    falling = np.minimum.accumulate(share)[::-1]  # a higher quota never helps: a rise is rounding
    if falling[-1] < band[0] or falling[0] > band[1]:
        return None
    last, first = np.interp(band, falling, quota[::-1])
    return float(first), float(last)


def _shade_range(
    ax: Axes, span: tuple[float, float], quota: Floats, *, currency: str, band: tuple[float, float]
) -> None:
    """Shade the quotas that put the share in the band, and name them above, inside the axes."""
    first, last = (money(end, currency) for end in span)
    if span[0] <= quota[0]:
        named = f"up to {last}" if span[1] < quota[-1] else "at every quota shown"
    elif span[1] >= quota[-1]:
        named = f"{first} and more"
    else:
        named = first if first == last else f"{first}–{money(span[1], '')}"
    ax.axvspan(*span, ymax=1.185 / ax.get_ylim()[1], color=PALE, alpha=0.6, zorder=0)
    text = ax.text(
        sum(span) / 2, 1.235, f"{to_share(band)} make it: {named}", ha="center", va="center", color=BLUE,
        weight="semibold",
    )  # fmt: skip
    frame, half = ax.get_window_extent(), text.get_window_extent().width / 2
    middle = ax.transData.transform((sum(span) / 2, 0))[0]
    inside = np.clip(middle, frame.x0 + half, max(frame.x0 + half, frame.x1 - half))
    text.set_x(ax.transData.inverted().transform((inside, 0))[0])


def _pay_panel(ax: Axes, costs: pd.DataFrame, *, recommended_quota: float) -> float:
    """Draw what pay takes of bookings against quota; the share at the recommended quota."""
    quota, share = floats(costs["quota"]), floats(costs["pay_cost_share"])
    about, ends = "Pay as a share of bookings", [share]
    if {"pay_cost_low", "pay_cost_high"} <= set(costs.columns):
        low, high = floats(costs["pay_cost_low"]), floats(costs["pay_cost_high"])
        if np.isfinite(low + high).any():
            ax.fill_between(quota, low, high, color=SKY, alpha=0.45)
            about, ends = f"{about}; shaded: P10 to P90", [share, low, high]
    ax.plot(quota, share, color=BLUE, marker="o" if len(quota) == 1 else None)
    taken = float(np.interp(recommended_quota, quota, share))
    ax.axvline(recommended_quota, color=INK, linewidth=1)
    ax.scatter([recommended_quota], [taken], s=40, color=BLUE, zorder=3)
    least, most = (float(end(np.concatenate(ends))) for end in (np.nanmin, np.nanmax))
    # a quota near zero is paid for many times over, which would flatten the rest
    most = min(most, 2.5 * taken) if taken > 0 else most
    room = 0.15 * (most - least) or 0.2 * abs(most) or 0.01
    ax.set_ylim(max(0.0, least - room) if least >= 0 else least - room, most + 2.2 * room)
    right = recommended_quota > float(np.mean(ax.get_xlim()))
    ax.annotate(
        formats.percent(taken, digits=1), (recommended_quota, 1), (-6 if right else 6, -2),
        xycoords=("data", "axes fraction"), textcoords="offset points", ha="right" if right else "left",
        va="top", color=BLUE, weight="semibold",
    )  # fmt: skip
    scale(ax.yaxis, lambda tick: formats.percent(tick, digits=int(round(tick * 100, 6) % 1 > 0)), most=3)
    ax.set_title(about, loc="left", size=SIZE, weight="normal", color=MUTED)
    return taken


@styled()
def quota_gap(
    frame: pd.DataFrame,
    *,
    gap: float = math.nan,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What would close the gap to the company's plan, one lever at a time, the smallest change first [B1].

    Args:
        frame: columns lever, change_needed (fraction of today's value: 0.18 is 18 % more, negative is less;
            NaN: this lever cannot close the gap alone) and note (text, may be empty or absent).
        gap: what is missing to the plan, said in the description; NaN: not known.
        currency: ISO code of the gap.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"lever": ["leads", "win rate"], "change_needed": [0.18, 0.09], "note": ""})
    >>> quota_gap(frame, currency="EUR").get_label()
    'Win rate closes the gap with the smallest change: +9 %'
    """
    size = frame["change_needed"].to_numpy(dtype=np.float64)
    size = np.where(np.isfinite(size), np.abs(size), np.inf)
    rows = frame.iloc[np.argsort(-size, kind="stable")].reset_index(drop=True)  # the smallest on top
    needed = bool(np.nan_to_num(floats(rows["change_needed"]), nan=1.0).any())
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows), each=0.5) if needed else 1.0)
    if rows.empty:
        return sheet.nothing("No lever has been tried")
    if not needed:
        sheet.ax.set_axis_off()
        return sheet.finish("The plan is within reach: no lever has to move", about="")
    ax = sheet.ax
    change = floats(rows["change_needed"])
    closes = np.isfinite(change)
    length = np.where(closes, np.abs(change), 0.0)
    longest = float(length.max()) or 1.0
    best = np.arange(len(rows)) == len(rows) - 1
    ax.barh(np.arange(len(rows)), length, height=0.62, color=np.where(best & closes, BLUE, SKY))
    notes = rows["note"] if "note" in rows else pd.Series("", index=rows.index)
    for row, (lever, note) in enumerate(zip(rows["lever"], notes, strict=True)):
        name, about = shortened(lever), "" if pd.isna(note) else str(note).strip()
        ax.annotate(
            f"{_signed(change[row])} {name}" if closes[row] else f"{name}: cannot close the gap alone",
            (length[row], row), (6, 6 if about else 0), textcoords="offset points", va="center",
            weight="semibold" if closes[row] else "normal", color=INK if closes[row] else MUTED,
        )  # fmt: skip
        if about:
            ax.annotate(
                shortened(about, most=48), (length[row], row), (6, -7), textcoords="offset points",
                va="center", size=SMALL, color=MUTED,
            )  # fmt: skip
    ax.axvline(0, color=MUTED, linewidth=1)
    ax.set_xlim(0, longest * 2.4)  # the longest bar leaves its label more than half of the width
    ax.set_ylim(-0.6, len(rows) - 0.4)
    ax.yaxis.set_visible(False)
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)
    if closes.any():
        first = shortened(rows["lever"].iloc[-1])
        finding = (
            f"{first[:1].upper()}{first[1:]} closes the gap with the smallest change: {_signed(change[-1])}"
        )
    else:
        finding = "No lever closes the gap alone"
    missing = f" of {money(gap, currency)}" if math.isfinite(gap) else ""
    return sheet.finish(finding, about=f"Change of one lever that alone closes the gap{missing} to the plan")


def _signed(share: float) -> str:
    """A change with its sign, small ones with a digit."""
    digits = 1 if abs(share) < 0.0995 and round(share * 100, 1) % 1 else 0
    text = formats.percent(abs(share), digits=digits)
    return f"{'−' if share < 0 else '+'}{text}"


@styled()
def attainment_by_rep(
    frame: pd.DataFrame,
    *,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Where each rep will land against the own quota, and the chance of making it [B5].

    Args:
        frame: columns rep, quota, p10, p50, p90 (bookings) and chance (fraction). A rep without a quota has
            no attainment and is left out, which the picture says.
        currency: ISO code of quotas and bookings.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"rep": ["Ada", "Bo"], "quota": [1e5, 1e5], "p10": [6e4, 5e4],
    ...                       "p50": [1.1e5, 9e4], "p90": [1.6e5, 1.3e5], "chance": [0.6, 0.4]})
    >>> attainment_by_rep(frame, currency="EUR").get_label()
    '1 of 2 reps has less than an even chance of making quota: Bo (40 %)'
    """
    rows = known(frame, ["quota", "p10", "p50", "p90", "chance"])
    rows = rows[rows["quota"] > 0].sort_values(["chance", "p50"], kind="stable", ignore_index=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows)))
    if rows.empty:
        return sheet.nothing(_NO_QUOTA)
    ax = sheet.ax
    quota, probability = floats(rows["quota"]), floats(rows["chance"])
    low, middle, high = (floats(rows[key]) / quota for key in ("p10", "p50", "p90"))
    colours = np.where(probability < 0.5, ORANGE, BLUE)
    ax.axvline(1.0, color=INK, linewidth=1)
    interval_rows(ax, rows["rep"], low, middle, high, colours=colours)
    chances, quotas = [chance(each) for each in probability], [money(each, "") for each in quota]
    bold, plain = [(str(colour), "semibold") for colour in colours], [(MUTED, "normal")] * len(rows)
    column_beside(ax, chances, right=8, looks=bold, head="chance")
    column_beside(ax, quotas, right=62, looks=plain, head=f"quota{in_currency(currency)}")
    ax.set_xlim(0, max(1.15, float(high.max()) * 1.04))
    ax.annotate(
        "quota", (1.0, len(rows) + 0.15), (5, 0), textcoords="offset points", va="center_baseline",
        weight="semibold",
    )  # fmt: skip
    scale(ax.xaxis, formats.percent)
    ax.set_xlabel("Attainment (bookings ÷ quota)")
    behind = rows[probability < 0.5]
    reps = number(len(rows), "rep")
    if behind.empty:
        all_have = f"The {reps} has" if len(rows) == 1 else f"All {reps} have"
        finding = f"{all_have} at least an even chance of making quota"
    else:
        have = "has" if len(behind) == 1 else "have"
        finding = f"{formats.count(len(behind))} of {reps} {have} less than an even chance of making quota"
        if len(behind) <= 3:
            odds = zip(behind["rep"], floats(behind["chance"]), strict=True)
            finding += ": " + ", ".join(f"{shortened(rep, most=24)} ({chance(c)})" for rep, c in odds)
    left_out = len(frame) - len(rows)
    about = "Dot: median; bar: P10 to P90" + (f"; {left_out} without a quota left out" if left_out else "")
    return sheet.finish(finding, about=about)
