"""Charts of what is open and what it will bring: the funnel and its stages, age, leads, bookings to come."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import (
    SMALL,
    Sheet,
    column_beside,
    floats,
    interval_rows,
    known,
    label_lines,
    rows_height,
    scale,
    thinned,
    wrapped,
)
from salessim.charts.style import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, PALE, SKY, styled
from salessim.charts.words import chance, in_currency, money, number, shortened
from salessim.errors import ParameterError
from salessim.measures import LEVEL

__all__ = [
    "bookings_forecast",
    "deal_concentration",
    "funnel",
    "lead_cohorts",
    "lead_funnel",
    "pipeline_age",
    "stage_survival",
    "win_rate_definitions",
]


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
    ages_days: pd.Series,
    *,
    slowest_close_days: float,
    nearly_all_days: float = math.nan,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """How old the open deals are, and which are older than any deal that ever closed: dead pipeline.

    Args:
        ages_days: age in days of each open deal (NaN: not known, left out); as from
            :func:`salessim.measures.open_ages_days`.
        slowest_close_days: days that the slowest deal on record took to close; NaN when none has closed.
        nearly_all_days: days that 99 % of the closed deals took at most; NaN leaves it out.
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
    if nearly_all_days < limit:
        ax.axvline(nearly_all_days + 1, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), ymax=0.88)
        ax.annotate(
            f"99 % of the closes: {formats.days(nearly_all_days)}", (nearly_all_days + 1, top * 1.02),
            (-6, 0), textcoords="offset points", ha="right", va="center", color=MUTED,
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
        if nearly_all_days < limit and (stale := int((ages > nearly_all_days).sum())) > dead:
            finding += f", {formats.count(stale)} older than 99 % of them"
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


@styled()
def win_rate_definitions(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """The win rate by each of its definitions, with intervals: of deals created, of deals closed, by value.

    Args:
        frame: columns label, formula, value, low, high, n; as ``table`` of
            :func:`salessim.measures.win_rates`. Definitions without a value are not drawn.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"label": ["Win rate of deals created", "Win rate of deals closed"],
    ...                       "formula": ["won ÷ created", "won ÷ closed"], "value": [0.27, 0.5],
    ...                       "low": [0.22, 0.44], "high": [0.32, 0.56], "n": [131, 122]})
    >>> win_rate_definitions(frame).get_label()
    'The win rate is 27 % or 50 %, depending on what is counted'
    """
    rows = known(frame, ["value", "low", "high"])[::-1].reset_index(drop=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows), each=0.42))
    if rows.empty:
        return sheet.nothing("No deal was created or closed in this period")
    ax = sheet.ax
    value, low, high = (floats(rows[key]) for key in ("value", "low", "high"))
    interval_rows(ax, rows["formula"], low, value, high, colours=[BLUE] * len(rows))
    ax.set_yticks(np.arange(len(rows)), [wrapped(name, width=170, size=9.5) for name in rows["formula"]])
    ax.set_ylim(-0.6, len(rows) - 0.4)
    texts = [f"{formats.percent(v)}  n = {formats.count(n)}" for v, n in zip(value, rows["n"], strict=True)]
    column_beside(ax, texts, right=8, looks=[(INK, "semibold")] * len(rows))
    room = 0.06 * (high.max() - low.min()) + 0.005
    ax.set_xlim(max(-0.01, low.min() - room), min(1.01, high.max() + room))
    scale(ax.xaxis, formats.percent)
    shown = list(dict.fromkeys(formats.percent(share) for share in sorted(value)))
    if len(shown) == 1:
        finding = f"The win rate is {shown[0]}, whatever is counted"
    elif value.max() - value.min() < 0.05:
        finding = f"The win rate is {shown[0]} to {shown[-1]}, whatever is counted"
    else:
        finding = f"The win rate is {', '.join(shown[:-1])} or {shown[-1]}, depending on what is counted"
    return sheet.finish(
        finding, about=f"Win rate by definition; bar: {formats.percent(LEVEL)} interval; n: deals counted"
    )


@styled()
def stage_survival(curves: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """How long deals stay in each stage: the share still there after so many days, with its interval.

    Args:
        curves: columns stage, days, still_there, low, high; as from
            :func:`salessim.measures.stage_survival`.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> curves = pd.DataFrame({"stage": ["cold"] * 3, "days": [0.0, 7, 20], "still_there": [1, 0.5, 0.2],
    ...                        "low": [1, 0.4, 0.1], "high": [1, 0.6, 0.3]})
    >>> stage_survival(curves).get_label()
    'Half of the deals leave ‘cold’ within 7 days'
    """
    sheet = Sheet.on(ax, title=title)
    if curves.empty:
        return sheet.nothing("The export has no stage history, so the time in a stage is not known")
    ax = sheet.ax
    names = list(dict.fromkeys(curves["stage"]))
    shades = [BLUE, ORANGE, GREEN, MUTED, SKY, INK]
    reach, halves, lines = [], {}, []
    for place, name in enumerate(names):
        own = curves[curves["stage"] == name]
        days, left = floats(own["days"]), floats(own["still_there"])
        colour = shades[place % len(shades)]
        ax.step(days, left, where="post", color=colour, linewidth=2)
        ax.fill_between(
            days, floats(own["low"]), floats(own["high"]), step="post", color=colour, alpha=0.14, linewidth=0
        )
        gone = days[left <= 0.5 + 1e-9]
        halves[name] = float(gone[0]) if gone.size else math.nan
        few = days[left <= 0.03]
        reach.append(float(few[0]) if few.size else float(days.max()))
        lines.append((days, left, shortened(name, most=24), colour))
    longest = max(max(reach), 1.0)
    ax.axhline(0.5, color=FAINT, linewidth=1)
    ax.set_xlim(0, 1.03 * longest)
    ax.set_ylim(0, 1.03)
    scale(ax.xaxis, formats.count, most=8, grid=False)
    scale(ax.yaxis, formats.percent)
    ax.set_xlabel("Days since the deal entered the stage")
    label_lines(ax, [(x[x <= longest], y[x <= longest], text, colour) for x, y, text, colour in lines])
    told = [f"‘{shortened(name)}’ within {formats.days(half)}" for name, half in halves.items() if half >= 0]
    slow = [f"‘{shortened(name)}’" for name, half in halves.items() if math.isnan(half)]
    finding = f"Half of the deals leave {', '.join(told)}" if told else "Fewer than half have left any stage"
    if told and slow:
        finding += f"; fewer than half have left {', '.join(slow)}"
    about = (
        f"Share of deals still in the stage; shaded: {formats.percent(LEVEL)} interval; open deals included"
    )
    return sheet.finish(finding, about=about)


@styled()
def lead_cohorts(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """What share of the leads of each month has been won so far; months that are not settled are hollow.

    Args:
        frame: columns month (or quarter), leads, won, lead_to_won with _low and _high, finished; as from
            :func:`salessim.measures.lead_cohorts` without a further split.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"month": ["2026-01", "2026-02"], "leads": [200, 210], "won": [6, 1],
    ...                       "lead_to_won": [0.03, 0.005], "lead_to_won_low": [0.02, 0.001],
    ...                       "lead_to_won_high": [0.05, 0.012], "finished": [True, False]})
    >>> lead_cohorts(frame).get_label()
    '3.0 % of the leads of settled months were won; 1 month is not settled yet and still rises'
    """
    period = str(frame.columns[0])
    rows = known(frame, ["lead_to_won", "lead_to_won_low", "lead_to_won_high"])
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        why = "The export has no leads" if frame.empty else "The export does not link leads to opportunities"
        return sheet.nothing(why)
    ax = sheet.ax
    share, low, high = (floats(rows[f"lead_to_won{end}"]) for end in ("", "_low", "_high"))
    done = rows["finished"].to_numpy(dtype=bool)
    places = np.arange(len(rows))
    ax.vlines(places, low, high, color=np.where(done, BLUE, FAINT), linewidth=3)
    ax.scatter(places[done], share[done], s=46, color=BLUE, zorder=3)
    ax.scatter(
        places[~done], share[~done], s=42, facecolor="white", edgecolor=MUTED, linewidth=1.4, zorder=3,
        clip_on=False,
    )  # fmt: skip
    shown = thinned(len(rows))
    ax.set_xticks(shown, [f"{rows[period][at]}\nn = {formats.count(rows['leads'][at])}" for at in shown])
    ax.tick_params(axis="x", length=0, labelsize=SMALL)
    ax.set_xlim(-0.6, max(len(rows), 3) - 0.4)
    ax.set_ylim(0, max(float(high.max()) * 1.1, 0.001))
    digits = 0 if high.max() >= 0.1 else 1
    scale(ax.yaxis, lambda tick: formats.percent(tick, digits=digits), most=5)
    young = int((~done).sum())
    waiting = f"{young} {period}{' is' if young == 1 else 's are'} not settled yet and still "
    waiting += "rises" if young == 1 else "rise"
    if done.any():
        settled = rows[done]
        whole = formats.percent(float(settled["won"].sum() / settled["leads"].sum()), digits=1)
        ax.axhline(float(settled["won"].sum() / settled["leads"].sum()), color=SKY, linewidth=1.2, zorder=0)
        finding = f"{whole} of the leads of settled {period}s were won" + (f"; {waiting}" if young else "")
    else:
        finding = f"No {period} is settled yet: all its leads can still be won"
    about = (
        f"Share of the leads of each {period} won so far; bar: {formats.percent(LEVEL)} interval; hollow: "
    )
    return sheet.finish(finding, about=f"{about}some leads can still be won; n: leads")


@styled()
def deal_concentration(frame: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """How much of the value stands in the largest deals, of what is open and of what was won.

    Args:
        frame: columns which ("open" or "won"), rank (1: the largest deal), share (of the value, in the deals
            up to this rank) and effective (how many equal deals would spread the value as much).
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"which": ["open"] * 3, "rank": [1, 2, 3], "share": [0.6, 0.9, 1.0],
    ...                       "effective": 2.2})
    >>> deal_concentration(frame).get_label()
    'The largest deal holds 60 % of the open value, which is spread as if over 2.2 deals of equal size'
    """
    sheet = Sheet.on(ax, title=title)
    if frame.empty:
        return sheet.nothing("No deal has a value")
    ax = sheet.ax
    lines = []
    for which, colour in (("won", SKY), ("open", BLUE)):
        own = frame[frame["which"] == which]
        if own.empty:
            continue
        rank, share = (np.append(0.0, floats(own[key])) for key in ("rank", "share"))
        ax.plot(rank, share, color=colour, linewidth=2)
        ax.scatter(rank[1:], share[1:], s=22, color=colour, zorder=3)
        label = {"open": "open today", "won": "won in the quarter"}[which]
        lines.append((rank, share, label, BLUE if which == "open" else MUTED))
    most = int(frame["rank"].max())
    ax.set_xlim(0, most + 0.5)
    ax.set_ylim(0, min(1.03, float(frame["share"].max()) * 1.15))
    label_lines(ax, lines)
    scale(ax.xaxis, formats.count, most=8, whole=True, grid=False)
    scale(ax.yaxis, formats.percent)
    ax.set_xlabel("Number of largest deals")
    which = "open" if (frame["which"] == "open").any() else "won"
    own = frame[frame["which"] == which].set_index("rank")
    top = 5 if 5 in own.index and len(own) > 5 else 1
    held = formats.percent(float(own["share"][top]))
    deals = "largest deal holds" if top == 1 else f"{top} largest deals hold"
    effective = formats.count(round(float(own["effective"].iloc[0]), 1))
    finding = (
        f"The {deals} {held} of the {which} value, which is spread as if over {effective} deals of equal size"
    )
    return sheet.finish(finding, about="Share of the value in the largest deals")
