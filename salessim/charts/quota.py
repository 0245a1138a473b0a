"""Charts of a quota plan: how many reps will make it, what a higher quota costs, and rep by rep."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import (
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
from salessim.charts.style import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, PALE, styled
from salessim.charts.words import chance, in_currency, money, number, shortened, to_share
from salessim.errors import ParameterError

__all__ = ["attainment_by_rep", "attainment_distribution", "quota_tradeoff"]

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
    """What a higher quota costs: fewer attain, and the team is less likely to book what is asked [B1, B6].

    Args:
        curve: columns quota, share_attaining, probability_band, probability_sum (fractions; NaN: not known).
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
    sheet = Sheet.on(ax, title=title)
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
    ax.set_ylim(0, 1.14)
    drawn: list[Line] = []
    at: dict[str, float] = {}
    for key, text, colour, dashes in (
        ("share_attaining", "share of reps attaining", BLUE, "-"),
        ("probability_band", f"chance of {to_share(band)}", ORANGE, "--"),
        ("probability_sum", "chance to book the sum of quotas", GREEN, "-."),
    ):
        points = known(rows, [key])
        if points.empty:
            continue
        x, y = floats(points["quota"]), floats(points[key])
        ax.plot(x, y, color=colour, linestyle=dashes, marker="o" if len(x) == 1 else None)
        at[key] = float(np.interp(recommended_quota, x, y))
        ax.scatter([recommended_quota], [at[key]], s=40, color=colour, zorder=3)
        drawn.append((x, y, text, colour))
    ax.axvline(recommended_quota, ymax=0.985, color=INK, linewidth=1)
    right = recommended_quota > float(np.mean(ax.get_xlim()))
    ax.annotate(
        f"recommended: {money(recommended_quota, currency)}", (recommended_quota, 1.09),
        (-6 if right else 6, 0), textcoords="offset points", ha="right" if right else "left", va="center",
        weight="semibold",
    )  # fmt: skip
    scale(ax.xaxis, lambda amount: money(amount, ""), grid=False)
    fifths = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    ax.set_yticks(fifths, [formats.percent(share) for share in fifths])
    ax.set_xlabel(f"Quota of a fully ramped rep{in_currency(currency)}")
    attaining = formats.percent(at["share_attaining"])
    finding = f"At a quota of {money(recommended_quota, currency)}, {attaining} of reps attain"
    if "probability_band" in at:
        finding += f"; the share lands in {to_share(band)} with probability {chance(at['probability_band'])}"
    ax = sheet.finish(finding, about=f"Share or probability; shaded: healthy band {to_share(band)}")
    label_lines(ax, drawn, avoid=[(np.full(2, recommended_quota), np.array([0.0, 1.0]))])
    return ax


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
