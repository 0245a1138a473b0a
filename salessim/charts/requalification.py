"""Charts of the re-qualification audit: the pipeline before and after, and what moves the chance to win."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import (
    SIZE,
    SMALL,
    Sheet,
    column_beside,
    floats,
    interval_rows,
    rows_height,
    scale,
    wrapped,
)
from salessim.charts.style import BLUE, FAINT, INK, MUTED, ORANGE, styled
from salessim.charts.words import in_currency, money, number, shortened
from salessim.intervals import LEVEL

__all__ = ["criteria_changes", "requalified_pipeline"]

_MANY_ROWS = 12  # more have smaller names


@styled()
def requalified_pipeline(
    stages: pd.DataFrame, *, currency: str, ax: Axes | None = None, title: str | None = None
) -> Axes:
    """The open pipeline by stage, as the CRM claims it and as its evidence supports it [A4].

    Args:
        stages: one row per stage in order: stage, deals_before, value_before, weighted_before, deals_after,
            value_after, weighted_after (NaN: not known), as from
            :meth:`salessim.audit.Audit.by_stage`.
        currency: ISO code of the values.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which compares the weighted values.

    >>> stages = pd.DataFrame({
    ...     "stage": ["cold", "warm"], "deals_before": [0, 4], "value_before": [0.0, 4e5],
    ...     "weighted_before": [0.0, 2e5], "deals_after": [3, 1], "value_after": [3e5, 1e5],
    ...     "weighted_after": [3e4, 5e4],
    ... })
    >>> requalified_pipeline(stages, currency="EUR").get_label()
    'The weighted pipeline is worth EUR 80k, not EUR 200k, once 4 deals stand where the audit puts them'
    """
    rows = stages.reset_index(drop=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows), each=0.62))
    deals = int(rows["deals_before"].sum())
    if deals == 0:
        return sheet.nothing("No deal is open on the day of the audit")
    ax = sheet.ax
    places = np.arange(len(rows), dtype=np.float64)
    for when, shift, colour, text in (("before", -0.2, FAINT, MUTED), ("after", 0.2, BLUE, INK)):
        value, count = floats(rows[f"value_{when}"]), rows[f"deals_{when}"].to_numpy(dtype=int)
        ax.barh(places + shift, value, height=0.36, color=colour)
        for place in range(len(rows)):
            said = f"{when}: " + (
                f"{number(int(count[place]), 'deal')} · {money(value[place], currency)}"
                if count[place]
                else "none"
            )
            ax.annotate(
                said, (value[place], places[place] + shift), (6, 0), textcoords="offset points",
                va="center_baseline", size=SMALL, color=text,
            )  # fmt: skip
    names = [wrapped(shortened(name, most=44), width=130, size=SIZE) for name in rows["stage"]]
    ax.set_yticks(places, names)
    ax.set_ylim(len(rows) - 0.45, -0.55)
    widest = float(np.nanmax(rows[["value_before", "value_after"]].to_numpy(dtype=np.float64)))
    ax.set_xlim(0, 1.3 * widest or 1.0)  # room for the words behind the longest bar
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)
    before, after = float(rows["weighted_before"].sum()), float(rows["weighted_after"].sum())
    stand = f"once {number(deals, 'deal')} {'stands' if deals == 1 else 'stand'} where the audit puts "
    stand += "it" if deals == 1 else "them"
    now, claimed = money(after, currency), money(before, currency)
    if rows["weighted_before"].isna().any():  # no chance to win is known
        whole = money(float(rows["value_before"].sum()), currency)
        finding = f"Open deals worth {whole}, as the CRM claims them and where the audit puts them"
    elif now == claimed:
        finding = f"The weighted pipeline is worth {now}, as claimed, also {stand}"
    else:
        finding = f"The weighted pipeline is worth {now}, not {claimed}, {stand}"
    return sheet.finish(
        finding, about=f"Open deals by stage; length: value{in_currency(currency)}; before: as the CRM claims"
    )


@styled()
def criteria_changes(levels: pd.DataFrame, *, ax: Axes | None = None, title: str | None = None) -> Axes:
    """How much each level of each criterion moves the chance to win, and which of it could be luck [A3].

    Args:
        levels: columns criterion, level, n, change, change_low, change_high (fractions of the chance to win
            at the average deal) and could_be_luck, as in
            :attr:`salessim.calibrate.criteria.CriteriaEffects.levels`.
        ax: where to draw; None makes a figure.
        title: replaces the finding, which names the level that moves most beyond luck.

    >>> levels = pd.DataFrame({
    ...     "criterion": ["pain", "pain"], "level": ["evidenced", "not evidenced"], "n": [60, 40],
    ...     "change": [0.08, -0.12], "change_low": [0.04, -0.17], "change_high": [0.12, -0.06],
    ...     "could_be_luck": [False, False],
    ... })
    >>> criteria_changes(levels).get_label()
    '‘pain’ not evidenced: chance to win 12 points lower (6 to 17)'
    """
    rows = levels.iloc[::-1].reset_index(drop=True)  # the first on top
    sheet = Sheet.on(ax, title=title, height=rows_height(len(rows)))
    if rows.empty:
        return sheet.nothing("No closed deal tells which criterion matters")
    ax = sheet.ax
    low, middle, high = (100 * floats(rows[name]) for name in ("change_low", "change", "change_high"))
    luck = rows["could_be_luck"].to_numpy(dtype=bool)
    colours = np.where(luck, FAINT, np.where(middle > 0, BLUE, ORANGE))
    interval_rows(ax, rows["criterion"] + ": " + rows["level"], low, middle, high, colours=colours)
    ax.set_yticks(
        np.arange(len(rows)),
        [shortened(f"{row.criterion}: {row.level}", most=44) for row in rows.itertuples()],
        size=SMALL if len(rows) > _MANY_ROWS else SIZE,
    )
    ax.axvline(0, color=MUTED, linewidth=1)
    looks = [(FAINT if chance else INK, "normal") for chance in luck]
    column_beside(ax, [f"{value:+.0f}" for value in middle], right=10, looks=looks, head="points")
    column_beside(ax, [formats.count(n) for n in rows["n"]], right=52, looks=looks, head="deals")
    scale(ax.xaxis, lambda value: f"{value:+.0f}" if value else "0")
    ax.set_xlabel("Percentage points of the chance to win, at the average deal")
    sure = levels[~levels["could_be_luck"].astype(bool)]
    if sure.empty:
        finding = "No criterion moves the chance to win by more than luck explains"
    else:
        top = max(sure.to_dict("records"), key=lambda row: abs(float(row["change"])))
        ends = sorted(abs(100 * float(top[name])) for name in ("change_low", "change_high"))
        change = 100 * float(top["change"])
        finding = (
            f"‘{top['criterion']}’ {top['level']}: chance to win {abs(change):.0f} points "
            f"{'higher' if change > 0 else 'lower'} ({ends[0]:.0f} to {ends[1]:.0f})"
        )
    about = f"Dot: estimate; bar: {formats.percent(LEVEL)} interval; pale: could be luck"
    return sheet.finish(finding, about=about)
