"""Charts of what is open and what it will bring: the funnel, its age, the bookings to come."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import Sheet, floats, known, rows_height, scale, wrapped
from salessim.charts.style import BLUE, INK, ORANGE, PALE, SKY, styled
from salessim.charts.words import chance, in_currency, money, number, shortened
from salessim.errors import ParameterError
from salessim.measures import LEVEL

__all__ = ["bookings_forecast", "funnel", "lead_funnel", "pipeline_age"]


@styled()
def funnel(
    stages: pd.DataFrame,
    *,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What is open in each stage: number of deals, their value and, dark, the value weighted by its chance.

    Args:
        stages: columns stage, deals and, where known, value and weighted_value (NaN: not known), in the order
            of the stages; as from :func:`salessim.measures.pipeline_by_stage`. Bars show value, or deals
            where no value is known.
        currency: ISO code of the values.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> ax = funnel(pd.DataFrame({"stage": ["cold", "warm"], "deals": [80, 20], "value": [8e5, 4e5]}))
    >>> ax.get_label()
    '‘cold’ holds 80 % of 100 open deals; together they are worth 1.20m'
    """
    rows = stages.reset_index(drop=True)
    deals = rows["deals"].to_numpy(dtype=int)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows), each=0.5))
    if deals.sum() == 0:
        return sheet.nothing("No deal is open on the day of the export")
    value, weighted = (
        floats(rows[key]) if key in rows else np.full(len(rows), np.nan)
        for key in ("value", "weighted_value")
    )
    by_value, any_weighted = (bool(np.isfinite(each).any()) for each in (value, weighted))
    length = np.nan_to_num(value) if by_value else deals.astype(float)
    places = np.arange(len(rows))
    ax = sheet.ax
    ax.barh(places, length, height=0.62, color=SKY if any_weighted else BLUE)
    ax.barh(places, np.nan_to_num(weighted), height=0.62, color=BLUE)
    for place in places:
        parts = [number(int(deals[place]), "deal")]
        if math.isfinite(value[place]):
            parts.append(money(value[place], currency))
        if math.isfinite(weighted[place]):
            parts.append(f"weighted {money(weighted[place], '')}")
        ax.annotate(
            " · ".join(parts), (length[place], place), (6, 0), textcoords="offset points",
            va="center_baseline",
        )  # fmt: skip
    names = [wrapped(shortened(name, most=44), width=130, size=9.5) for name in rows["stage"]]
    ax.set_yticks(places, names)
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)
    largest = int(deals.argmax())
    share = formats.percent(float(deals[largest] / deals.sum()))
    name = shortened(rows["stage"][largest], most=44)
    finding = f"‘{name}’ holds {share} of {number(int(deals.sum()), 'open deal')}"
    about = (
        f"Open deals by stage; length: {'value' + in_currency(currency) if by_value else 'number of deals'}"
    )
    if by_value:
        finding += f"; together they are worth {money(float(np.nansum(value)), currency)}"
    if any_weighted:
        some = ", where it is known," if (np.isfinite(value) & ~np.isfinite(weighted)).any() else ""
        finding += f", weighted by their chance{some} {money(float(np.nansum(weighted)), currency)}"
        about += "; dark: weighted by the chance to close"
    return sheet.finish(finding, about=about)


@styled()
def lead_funnel(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """From lead to win: how many reach each step, and which share of the step before that is [A7].

    Args:
        frame: columns step, number and conversion (share of the step before; NaN for the first).
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"step": ["MQL", "SQL"], "number": [100, 50], "conversion": [math.nan, 0.5]})
    >>> lead_funnel(frame).get_label()
    'Of 100 MQL, 50 reached SQL (50.0 %); the narrowest step is MQL to SQL: 50.0 %'
    """
    rows = frame.reset_index(drop=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows), each=0.5))
    if rows.empty or rows["number"].iloc[0] == 0:
        return sheet.nothing("The export has no leads")
    ax = sheet.ax
    reached, moved, steps = floats(rows["number"]), floats(rows["conversion"]), list(rows["step"])
    places = np.arange(len(rows))
    ax.barh(places, reached, height=0.62, color=BLUE)
    for place in places:
        text = formats.count(reached[place])
        if math.isfinite(moved[place]):
            text += f" · {formats.percent(moved[place], digits=1)} of {steps[place - 1]}"
        ax.annotate(text, (reached[place], place), (6, 0), textcoords="offset points", va="center_baseline")
    ax.set_yticks(places, [wrapped(shortened(step, most=44), width=130, size=9.5) for step in steps])
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)
    finding = f"Of {formats.count(reached[0])} {steps[0]}, {formats.count(reached[-1])} reached {steps[-1]}"
    finding += f" ({formats.percent(reached[-1] / reached[0], digits=1)})"
    if np.isfinite(moved).any():
        least = int(np.nanargmin(moved))
        finding += f"; the narrowest step is {steps[least - 1]} to {steps[least]}: "
        finding += formats.percent(moved[least], digits=1)
    return sheet.finish(finding, about="Number that reached each step, and its share of the step before")


@styled()
def pipeline_age(
    ages_days: pd.Series, *, slowest_close_days: float, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """How old the open deals are, and which are older than any deal that ever closed: dead pipeline.

    Args:
        ages_days: age in days of each open deal (NaN: not known, left out); as from
            :func:`salessim.measures.open_ages_days`.
        slowest_close_days: days that the slowest deal on record took to close; NaN when none has closed.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> pipeline_age(pd.Series([10, 20, 200.0]), slowest_close_days=138).get_label()
    '33 % of the open pipeline is dead: 1 of 3 open deals is older than any deal that ever closed (138 days)'
    """
    ages = floats(ages_days.dropna())
    sheet = Sheet.on(ax, title=title)
    if ages.size == 0:
        return sheet.nothing("No open deal has a date of first contact")
    ax = sheet.ax
    any_closed = math.isfinite(slowest_close_days)
    limit = float(slowest_close_days) if any_closed else float(ages.max())
    longest = max(float(ages.max()), limit)
    width = next((days for days in (1, 2, 7, 14, 28, 91, 182) if longest / days <= 36), longest / 36)
    # an edge lies just after the slowest close, so that no bar is half dead
    before, after = math.ceil((limit + 1) / width), math.ceil(max(ages.max() - limit, 0) / width)
    edges = limit + 1 + width * np.arange(-before, after + 1)
    heights, _ = np.histogram(ages, bins=edges)
    dead_bar = edges[:-1] > limit
    ax.bar(
        edges[:-1], heights, width=np.diff(edges) * 0.94, align="edge", color=np.where(dead_bar, ORANGE, BLUE)
    )
    dead = int((ages > limit).sum())
    top = float(heights.max())
    ax.set_ylim(0, top * 1.18)
    ax.set_xlim(min(0.0, float(edges[0])) if ages.min() < 0 else 0, max(edges[-1], limit * 1.02))
    if any_closed:
        ax.axvline(limit + 1, color=INK, linewidth=1, ymax=0.97)
        right = limit > ax.get_xlim()[1] * 0.62
        ax.annotate(
            f"slowest close on record: {formats.days(limit)}", (limit + 1, top * 1.13),
            (-6 if right else 6, 0), textcoords="offset points", ha="right" if right else "left", va="center",
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    if dead:
        middle = float(np.average(edges[:-1][dead_bar], weights=heights[dead_bar]))
        high = float(heights[dead_bar].max())
        ax.annotate(
            f"{formats.count(dead)} dead", (max(middle, limit + 1), min(high, top * 0.95)), (4, 5),
            textcoords="offset points", color=ORANGE, weight="semibold",
        )  # fmt: skip
    scale(ax.xaxis, formats.count, most=8, grid=False)
    scale(ax.yaxis, formats.count, most=4, whole=True)
    ax.set_xlabel("Days since first contact")
    everything = number(ages.size, "open deal")
    if dead:
        share = formats.percent(dead / ages.size, digits=0 if dead / ages.size >= 0.005 else 1)
        finding = (
            f"{share} of the open pipeline is dead: {formats.count(dead)} of {everything} "
            f"{'is' if dead == 1 else 'are'} older than any deal that ever closed ({formats.days(limit)})"
        )
    elif any_closed:
        finding = f"None of {everything} is older than the slowest close on record ({formats.days(limit)})"
    else:
        middle_age = formats.days(float(np.median(ages)))
        finding = f"Half of {everything} are older than {middle_age}; no deal has closed yet"
    return sheet.finish(finding, about="Number of open deals by age")


@styled()
def bookings_forecast(
    frame: pd.DataFrame,
    *,
    currency: str = formats.NO_CURRENCY,
    plan: float | None = None,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """What the team will book: the probability of reaching each amount, with P10, P50, P90 and the plan.

    Args:
        frame: columns amount and probability_at_least (fraction, falling with the amount).
        currency: ISO code of the amounts.
        plan: the team plan, where there is one.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    Raises:
        ParameterError: the plan lies outside the amounts, where its probability is not known.

    >>> frame = pd.DataFrame({"amount": [0, 1e6, 2e6, 3e6], "probability_at_least": [1, 0.9, 0.5, 0.1]})
    >>> bookings_forecast(frame, currency="EUR", plan=1.5e6).get_label()
    'The team books the plan of EUR 1.50m with probability 70 %; even odds for EUR 2.00m'
    """
    rows = known(frame, ["amount", "probability_at_least"]).sort_values("amount", ignore_index=True)
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        return sheet.nothing("No bookings have been forecast")
    ax = sheet.ax
    amount, probability = floats(rows["amount"]), floats(rows["probability_at_least"])
    levels = (0.9, 0.5, 0.1)
    p10, p50, p90 = (float(np.interp(-level, -probability, amount)) for level in levels)
    seen = amount[(probability > 0.002) & (probability < 0.998)]
    seen = seen if seen.size else amount
    left, right = float(seen.min()), float(seen.max())
    if plan is not None:
        left, right = min(left, plan), max(right, plan)
    room = 0.04 * (right - left) or 0.1 * abs(right) or 1.0
    ax.set_xlim(left - room, right + 3 * room)
    ax.set_ylim(0, 1.03)
    within = (amount >= p10) & (amount <= p90)
    across = np.concatenate([[p10], amount[within], [p90]])
    ax.fill_between(across, np.interp(across, amount, probability), color=PALE, alpha=0.9, zorder=0)
    ax.plot(amount, probability, color=BLUE)
    for name, at, level in zip(("P10", "P50", "P90"), (p10, p50, p90), levels, strict=True):
        ax.scatter([at], [level], s=44, color=BLUE, zorder=3)
        # the plan's line would cross a label on the right of its point
        crossed = plan is not None and at <= plan < at + 0.38 * (right - left)
        ax.annotate(
            f"{name}  {money(at, currency)}", (at, level), (-9 if crossed else 9, -13 if crossed else 5),
            textcoords="offset points", ha="right" if crossed else "left", weight="semibold", color=BLUE,
        )  # fmt: skip
    scale(ax.xaxis, lambda value: money(value, ""), grid=False)
    scale(ax.yaxis, formats.percent)
    ax.set_xlabel(f"Bookings of the team{in_currency(currency)}")
    even = f"even odds for {money(p50, currency)}"
    if plan is None:
        finding = (
            f"Bookings land between {money(p10, currency)} and {money(p90, currency)} with probability "
            f"{formats.percent(LEVEL)}; {even}"
        )
    else:
        if (plan > amount[-1] and probability[-1] > 0.02) or (plan < amount[0] and probability[0] < 0.98):
            raise ParameterError(f"plan is {plan:g}; the forecast covers {amount[0]:g} to {amount[-1]:g}")
        reached = chance(float(np.interp(plan, amount, probability)))
        ax.axvline(plan, color=ORANGE, linewidth=1.6)
        # the free corners are under the curve on the left, above it elsewhere
        low = plan < p10
        right_of = plan < left + (0.35 if low else 0.7) * (right - left)
        ax.annotate(
            f"plan {money(plan, currency)}:\n{reached} chance", (plan, 0.02 if low else 1.02),
            (6 if right_of else -6, 2 if low else -2), textcoords="offset points",
            ha="left" if right_of else "right", va="bottom" if low else "top", color=ORANGE,
            weight="semibold",
        )  # fmt: skip
        finding = f"The team books the plan of {money(plan, currency)} with probability {reached}; {even}"
    return sheet.finish(finding, about="Probability of booking at least the amount; shaded: P10 to P90")
