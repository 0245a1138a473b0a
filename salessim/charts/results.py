"""Charts of what was achieved: bookings by quarter, win rates by group, a measure over the quarters."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import (
    SIZE,
    SMALL,
    Sheet,
    column_beside,
    floats,
    headroom,
    interval_rows,
    known,
    rows_height,
    scale,
    thinned,
)
from salessim.charts.style import BLUE, FAINT, INK, MUTED, ORANGE, PALE, SKY, styled
from salessim.charts.words import change, in_currency, money, number, value
from salessim.measures import INCOMPLETE, LEVEL

__all__ = ["bookings_by_quarter", "measure_by_quarter", "win_rates"]


@styled()
def bookings_by_quarter(
    frame: pd.DataFrame,
    *,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Won value and deals won by quarter; quarters that the export covers only in part are hatched.

    Args:
        frame: columns quarter, won_value, won_count, partial (bool); as from
            :func:`salessim.measures.bookings_by_quarter`.
        currency: ISO code of the values.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which compares the last two complete quarters.

    >>> frame = pd.DataFrame({"quarter": ["2026Q1", "2026Q2"], "won_value": [1e6, 1.25e6],
    ...                       "won_count": [40, 50], "partial": [False, False]})
    >>> bookings_by_quarter(frame, currency="EUR").get_label()
    'Won value rose 25 % to EUR 1.25m in 2026Q2, from 50 deals'
    """
    rows = known(frame, ["won_value", "won_count"])
    sheet = Sheet.on(ax, title=title)
    if rows["won_count"].sum() == 0:
        return sheet.nothing("No deal has been won yet")
    ax = sheet.ax
    amount, partial = floats(rows["won_value"]), rows["partial"].to_numpy(dtype=bool)
    bars = ax.bar(np.arange(len(rows)), amount, width=0.68, color=np.where(partial, PALE, BLUE))
    for bar, cut in zip(bars, partial, strict=True):
        if cut:
            bar.set(hatch="///", edgecolor=SKY)
    shown = thinned(len(rows))
    lines = []
    for place in shown:
        text = f"{money(amount[place], '')}\n{formats.count(rows['won_count'][place])} won"
        if partial[place]:
            text += "\nincomplete data" if len(rows) <= 5 else "\nincomplete\ndata"
        lines.append(text.count("\n") + 1)
        ax.annotate(
            text, (place, amount[place]), (0, 4), textcoords="offset points", ha="center", va="bottom",
            size=SIZE if len(rows) <= 6 else SMALL, color=MUTED if partial[place] else INK, linespacing=1.2,
        )  # fmt: skip
    ax.set_xticks(shown, [str(rows["quarter"][place]) for place in shown])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.7, max(len(rows), 3) - 0.3)
    ax.set_ylim(0, max(headroom(amount[shown], lines, floor=0.0), float(amount.max()) * 1.02))
    ax.yaxis.set_visible(False)
    whole = rows[~partial].reset_index(drop=True)
    last = (whole if len(whole) else rows).iloc[-1]
    reached = f"{money(float(last['won_value']), currency)} in {last['quarter']}"
    won = number(float(last["won_count"]), "deal")
    if len(whole) > 1:
        moved = change(float(last["won_value"]), float(whole["won_value"].iloc[-2]), figure=reached)
        finding = f"Won value {moved}, from {won}"
    else:
        why = "no quarter is complete yet" if whole.empty else "no earlier quarter to compare with"
        finding = f"{won} won, worth {reached}; {why}"
    return sheet.finish(finding, about=f"Won value by quarter of close{in_currency(currency)}")


@styled()
def win_rates(
    frame: pd.DataFrame,
    *,
    group_label: str,
    team_rate: float,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """The win rate of each rep (source, region …) with its interval, against the rate of the team.

    Only groups whose interval leaves the team's rate outside are coloured. As every interval misses in one
    of five cases by luck alone, the title sets their number beside what luck would give.

    Args:
        frame: the group in a first column, then value, low, high, n; as from
            :func:`salessim.measures.measure` with ``by``. Groups without a value are not drawn.
        group_label: what a group is, in the singular: "rep", "source".
        team_rate: the rate of all together, as a fraction.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"rep": ["Ada", "Bo"], "value": [0.5, 0.7], "low": [0.4, 0.65],
    ...                       "high": [0.62, 0.75], "n": [20, 200]})
    >>> win_rates(frame, group_label="rep", team_rate=0.6).get_label()
    '1 of 2 reps differs from the team’s 60 %; luck alone would make 0.4 look so'
    """
    rows = known(frame, ["value", "low", "high"]).sort_values("value", kind="stable", ignore_index=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows)))
    if rows.empty or not math.isfinite(team_rate):
        return sheet.nothing(f"No {group_label} has closed a deal in this period")
    ax = sheet.ax
    rate, low, high = (floats(rows[key]) for key in ("value", "low", "high"))
    above, below = low > team_rate, high < team_rate
    ax.axvline(team_rate, color=INK, linewidth=1)
    colours = np.where(above, BLUE, np.where(below, ORANGE, MUTED))
    interval_rows(ax, rows[rows.columns[0]], low, rate, high, colours=colours)
    texts = [
        f"{formats.percent(share)}  n = {formats.count(n)}" for share, n in zip(rate, rows["n"], strict=True)
    ]
    looks = [(INK, "semibold") if differs else (MUTED, "normal") for differs in above | below]
    column_beside(ax, texts, right=8, looks=looks)
    ax.annotate(
        f"team {formats.percent(team_rate)}", (team_rate, len(rows) + 0.15), (5, 0),
        textcoords="offset points", va="center_baseline", weight="semibold",
    )  # fmt: skip
    least, most = min(low.min(), team_rate), max(high.max(), team_rate)
    room = 0.06 * (most - least) + 0.005
    ax.set_xlim(max(-0.01, least - room), min(1.01, most + room))
    scale(ax.xaxis, formats.percent)
    differ, groups = int((above | below).sum()), len(rows)
    by_luck = (1 - LEVEL) * groups
    many = f"{group_label}s" if groups != 1 else group_label
    team = f"the team’s {formats.percent(team_rate)}"
    luck = f"luck alone would make {formats.count(round(by_luck, 1))} look so"
    # more than luck gives in nineteen of twenty teams of this size
    notable = differ > by_luck + 1.645 * math.sqrt(groups * LEVEL * (1 - LEVEL))
    if differ == 0:
        finding = f"No {group_label} differs from {team} by more than luck explains"
    elif notable or groups < 5:
        finding = f"{differ} of {groups} {many} {'differs' if differ == 1 else 'differ'} from {team}; {luck}"
    else:
        lie = "lies" if differ == 1 else "lie"
        finding = (
            f"No sign that {many} differ in win rate: {differ} of {groups} {lie} outside {team}, and {luck}"
        )
    about = f"Win rate by {group_label}; bar: {formats.percent(LEVEL)} interval; n: deals"
    return sheet.finish(finding, about=about)


@styled()
def measure_by_quarter(
    frame: pd.DataFrame,
    *,
    label: str,
    unit: str,
    currency: str = formats.NO_CURRENCY,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """One measure over the quarters with its interval; quarters with incomplete data are hollow.

    Args:
        frame: columns quarter, value, low, high, n, note; as from :func:`salessim.measures.measure` with
            ``by="quarter"``. Quarters without a value are not drawn.
        label: name of the measure.
        unit: its unit: share, money, days, count or ratio.
        currency: ISO code, for money.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which compares the last two complete quarters.

    >>> frame = pd.DataFrame({"quarter": ["2026Q1", "2026Q2"], "value": [0.5, 0.52], "low": [0.45, 0.47],
    ...                       "high": [0.55, 0.57], "n": [160, 160], "note": ""})
    >>> measure_by_quarter(frame, label="Win rate", unit="share").get_label()
    'Win rate was 52.0 % in 2026Q2 against 50.0 % in 2026Q1, a change that luck can explain'
    """
    rows = known(frame, ["value"])
    sheet = Sheet.on(ax, title=title)
    if rows.empty:
        note = str(frame["note"].iloc[0]) if len(frame) else ""
        return sheet.nothing(f"{label} is not known{': ' + note if note else ''}")
    ax = sheet.ax
    figure, low, high = (floats(rows[key]) for key in ("value", "low", "high"))
    partial = rows["note"].astype(str).str.contains(INCOMPLETE, regex=False).to_numpy(dtype=bool)
    places = np.arange(len(rows))
    whole = np.flatnonzero(~partial)
    ax.plot(places[whole], figure[whole], color=SKY, linewidth=1.6)
    ax.vlines(places, low, high, color=np.where(partial, FAINT, BLUE), linewidth=3)
    ax.scatter(places[whole], figure[whole], s=52, color=BLUE, zorder=3)
    ax.scatter(
        places[partial], figure[partial], s=46, facecolor="white", edgecolor=MUTED, linewidth=1.4, zorder=3,
        clip_on=False,
    )  # fmt: skip
    shown = thinned(len(rows))
    ends = np.where(np.isfinite(high), high, figure)
    for place in shown:
        text = value(figure[place], unit, "")
        if partial[place]:
            text += "\nincomplete data" if len(rows) <= 6 else "\nincomplete"
        ax.annotate(
            text, (place, ends[place]), (0, 7), textcoords="offset points", ha="center", va="bottom",
            size=SIZE if len(rows) <= 6 else SMALL, color=MUTED if partial[place] else INK,
            weight="normal" if partial[place] else "semibold",
        )  # fmt: skip
    sizes = ["" if unit == "count" else f"\nn = {formats.count(rows['n'][place])}" for place in shown]
    ax.set_xticks(shown, [f"{rows['quarter'][place]}{n}" for place, n in zip(shown, sizes, strict=True)])
    ax.tick_params(axis="x", length=0)
    ax.set_xlim(-0.6, max(len(rows), 3) - 0.4)
    bottom = float(np.nanmin(np.append(low, figure)))
    room = 0.25 * ((float(ends.max()) - bottom) or abs(bottom) or 1.0)
    floor = max(0.0, bottom - room) if bottom >= 0 else bottom - room
    ax.set_ylim(floor, headroom(ends, 1 + partial.astype(int), floor=floor))
    scale(ax.yaxis, lambda tick: value(tick, unit, ""), most=4)
    interval = f"; bar: {formats.percent(LEVEL)} interval" if np.isfinite(low).any() else ""
    about = f"{label} by quarter{in_currency(currency) if unit == 'money' else ''}{interval}"
    finding = f"{label} {_compared(rows, whole, unit=unit, currency=currency)}"
    return sheet.finish(finding, about=about)


def _compared(rows: pd.DataFrame, whole: npt.NDArray[np.int64], *, unit: str, currency: str) -> str:
    """In words how the last complete quarter compares with the complete one before."""
    last = rows.iloc[int(whole[-1])] if len(whole) else rows.iloc[-1]
    now = f"{value(float(last['value']), unit, currency)} in {last['quarter']}"
    if len(whole) < 2:
        why = "no earlier quarter to compare with" if len(whole) else "data are incomplete"
        return f"was {now}; {why}"
    before = rows.iloc[int(whole[-2])]
    earlier = f"{value(float(before['value']), unit, currency)} in {before['quarter']}"
    if not (math.isfinite(last["low"]) and math.isfinite(before["low"])):
        if unit == "share":
            return f"was {now} against {earlier}"
        return change(float(last["value"]), float(before["value"]), figure=now)
    if last["low"] > before["high"] or last["high"] < before["low"]:
        moved = "rose" if last["value"] > before["value"] else "fell"
        return f"{moved} to {now} from {earlier}, more than luck explains"
    return f"was {now} against {earlier}, a change that luck can explain"
