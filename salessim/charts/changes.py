"""The chart of a week: from the pipeline at the start to the one at the end, step by step."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import Sheet, floats, rows_height
from salessim.charts.style import BLUE, FAINT, GREEN, INK, MUTED, ORANGE, styled
from salessim.charts.words import change, in_currency, money, number

__all__ = ["pipeline_bridge"]

_ENDS = {"start": "at the start", "end": "at the end"}
_GAINS, _LOSSES = {"new", "reopened"}, {"lost", "vanished"}


@styled()
def pipeline_bridge(
    bridge: pd.DataFrame,
    *,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """From the value of the open pipeline at the start to that at the end, step by step.

    Start and end are marks, the steps between them bars as long as what they changed; steps at which nothing
    happened are left out. What came or grew is blue, won deals are green, what was lost or shrank is orange.

    Args:
        bridge: columns step, value, deals and without_amount, the first row being the start and the last the
            end; as ``bridge`` of :class:`salessim.crm.changes.Changes`.
        currency: ISO code of the values.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> bridge = pd.DataFrame({"step": ["start", "new", "won", "lost", "end"],
    ...                        "value": [2e6, 3e5, -2.5e5, -2e5, 1.85e6], "deals": [80, 9, 7, 11, 71],
    ...                        "without_amount": 0})
    >>> pipeline_bridge(bridge, currency="EUR").get_label()
    'The open pipeline fell 8 % to EUR 1.85m: 300k came in, 250k was won and 200k was lost'
    """
    ends = bridge["step"].isin(list(_ENDS))
    rows = bridge[ends | (bridge["deals"] > 0)].reset_index(drop=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows), each=0.38))
    value, steps = floats(rows["value"]), list(rows["step"])
    if not rows.loc[rows["step"].isin(list(_ENDS)), "deals"].any():
        return sheet.nothing("No deal was open, neither at the start nor at the end")
    ax = sheet.ax
    places, last = np.arange(len(rows)), len(rows) - 1
    reached = np.append(np.cumsum(value[:-1]), value[-1])  # the value of the pipeline after each step
    before = np.append(0.0, reached[:-1])
    span = float(np.ptp(reached)) or abs(float(reached[0])) or 1.0
    for place in places[1:-1]:
        ax.barh(
            place, value[place], left=before[place], height=0.58, color=_colour(steps[place], value[place])
        )
    ax.vlines(reached[:-1], places[:-1] + 0.3, places[1:] - 0.3, color=FAINT, linewidth=1)
    ax.vlines(reached[[0, last]], places[[0, last]] - 0.34, places[[0, last]] + 0.34, color=INK, linewidth=4)
    for place in places:
        at_end = place in (0, last)
        text = money(value[place], currency) if at_end else _signed(value[place])
        down = not at_end and value[place] < 0
        ax.annotate(
            text, (reached[place] if at_end or down else max(reached[place], before[place]), place),
            (-7 if down else 7, 0), textcoords="offset points", ha="right" if down else "left",
            va="center_baseline", color=INK, weight="semibold" if at_end else "normal",
        )  # fmt: skip
    ax.set_yticks(places, [_name(*row) for row in zip(steps, rows["deals"], strict=True)])
    for label, place in zip(ax.get_yticklabels(), places, strict=True):
        label.set_color(INK if place in (0, last) else MUTED)
    ax.set_ylim(last + 0.6, -0.6)
    ax.set_xlim(float(reached.min()) - 0.28 * span, float(reached.max()) + 0.36 * span)
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)
    about = f"Value of all open deals{in_currency(currency)}"
    without = int(rows["without_amount"].iloc[last])
    if without:
        about += f"; {number(without, 'open deal')} without an amount count as 0"
    return sheet.finish(_finding(rows, currency), about=about)


def _colour(step: str, value: float) -> str:
    if step == "won":
        return GREEN
    return BLUE if step in _GAINS or (step not in _LOSSES and value >= 0) else ORANGE


def _signed(value: float) -> str:
    text = money(abs(value), "")
    return f"+{text}" if value > 0 else f"−{text}" if value < 0 else "±0"


def _name(step: str, deals: int) -> str:
    return f"{_ENDS.get(step, step)} · {number(deals, 'deal')}"


def _finding(rows: pd.DataFrame, currency: str) -> str:
    by_step = dict(zip(rows["step"], rows["value"], strict=True))
    start, end = float(by_step["start"]), float(by_step["end"])
    came = sum(float(by_step.get(step, 0.0)) for step in _GAINS)
    parts = [
        f"{money(abs(amount), '')} {what}"
        for amount, what in (
            (came, "came in"),
            (float(by_step.get("won", 0.0)), "was won"),
            (float(by_step.get("lost", 0.0)), "was lost"),
            (float(by_step.get("vanished", 0.0)), "vanished"),
        )
        if amount
    ]
    finding = f"The open pipeline {change(end, start, figure=money(end, currency))}"
    if not parts:
        return finding
    return f"{finding}: {', '.join(parts[:-1])}{' and ' if parts[1:] else ''}{parts[-1]}"
