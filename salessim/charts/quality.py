"""Charts of how far an export can be trusted: what each fault touches, and who keeps the contracts."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from salessim import formats
from salessim.charts.canvas import Sheet, column_beside, floats, interval_rows, known, rows_height, wrapped
from salessim.charts.style import BLUE, INK, MUTED, ORANGE, SKY, styled
from salessim.charts.words import in_currency, money, number, shortened

__all__ = ["contracts_by_group", "value_touched"]


@styled()
def value_touched(
    repairs: pd.DataFrame,
    *,
    currency: str = formats.NO_CURRENCY,
    most: int = 8,
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """The value of the deals that each kind of fault touches, largest first; rejected ones in orange.

    Args:
        repairs: columns rule, severity, rows and value (currency); as from
            :func:`salessim.briefing.quality_repairs`.
        currency: ISO code of the values.
        most: how many rules are drawn.
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> repairs = pd.DataFrame({"rule": ["stale open deal", "no id"], "severity": ["suspicious", "rejected"],
    ...                         "rows": [530, 2], "value": [1.2e6, 4e3]})
    >>> value_touched(repairs, currency="EUR").get_label()
    '‘stale open deal’ touches most value: EUR 1.20m in 530 deals'
    """
    rows = repairs.sort_values("value", ascending=False, kind="stable").head(most).reset_index(drop=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(max(len(rows), 1), each=0.45))
    if rows.empty:
        return sheet.nothing("No fault was found in any deal")
    ax = sheet.ax
    value, places = floats(rows["value"]), np.arange(len(rows))
    rejected = (rows["severity"] == "rejected").to_numpy()
    ax.barh(places, value, height=0.6, color=np.where(rejected, ORANGE, SKY))
    for place in places:
        text = f"{money(value[place], currency)} · {number(int(rows['rows'][place]), 'deal')}"
        if rejected[place]:
            text += " rejected"
        ax.annotate(
            text, (value[place], place), (6, 0), textcoords="offset points", va="center_baseline",
            color=INK,
        )  # fmt: skip
    ax.set_yticks(places, [wrapped(shortened(name, most=44), width=150, size=9.5) for name in rows["rule"]])
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.set_xlim(0, float(value.max()) * 1.45 or 1.0)
    ax.xaxis.set_visible(False)
    ax.spines["bottom"].set_visible(False)
    first = rows.iloc[0]
    finding = (
        f"‘{shortened(first['rule'], most=44)}’ touches most value: {money(float(first['value']), currency)} "
        f"in {number(int(first['rows']), 'deal')}"
    )
    return sheet.finish(finding, about=f"Value of the deals with this fault{in_currency(currency)}")


@styled()
def contracts_by_group(
    frame: pd.DataFrame,
    *,
    group_label: str,
    stage: str = "MQL",
    ax: Axes | None = None,
    title: str | None = None,
) -> Axes:
    """Share of leads of each source (or rep) that carry what marketing and sales agreed on [A9].

    Args:
        frame: the group in a first column, then value (share), low, high, n; as from
            :func:`salessim.briefing.quality_contracts`. Groups without a value are not drawn.
        group_label: what a group is, in the singular: "source", "rep".
        stage: the contract: "MQL" or "SQL".
        ax: where to draw; None makes a figure.
        title: replaces the finding.

    >>> frame = pd.DataFrame({"source": ["web", "fair"], "value": [0.9, 0.5], "low": [0.88, 0.4],
    ...                       "high": [0.92, 0.6], "n": [400, 40]})
    >>> contracts_by_group(frame, group_label="source").get_label()
    '86 % of 440 MQL keep the contract; fewest from fair: 50 %'
    """
    rows = known(frame, ["value", "low", "high"]).sort_values("value", kind="stable", ignore_index=True)
    sheet = Sheet.on(ax, title=title, height=rows_height(max(len(rows), 1)))
    if rows.empty:
        return sheet.nothing(f"No lead is an {stage} whose contract could be checked")
    ax = sheet.ax
    share, low, high, n = (floats(rows[key]) for key in ("value", "low", "high", "n"))
    interval_rows(ax, rows[rows.columns[0]], low, share, high, colours=np.full(len(rows), BLUE))
    texts = [f"{formats.percent(one)}  n = {formats.count(of)}" for one, of in zip(share, n, strict=True)]
    column_beside(ax, texts, right=8, looks=[(MUTED, "normal")] * len(rows))
    ax.set_xlim(min(0.0, float(low.min())), 1.02)
    ax.xaxis.set_major_formatter(lambda value, _: formats.percent(value))
    total = float((share * n).sum() / n.sum()) if n.sum() else math.nan
    finding = f"{formats.percent(total)} of {formats.count(n.sum())} {stage} keep the contract"
    if len(rows) > 1 and high[0] < total:  # below all together by more than luck
        least = shortened(rows[rows.columns[0]][0])
        finding += f"; fewest {'of' if group_label == 'rep' else 'from'} {least}: {formats.percent(share[0])}"
    elif len(rows) > 1:
        finding += f"; no {group_label} keeps it less by more than luck"
    about = f"Share of {stage} with every field that was agreed, by {group_label}; 80 % intervals"
    return sheet.finish(finding, about=about)
