"""The several definitions of the win rate side by side, and why they differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from salessim import formats
from salessim.measures.catalogue import CATALOGUE, measure
from salessim.measures.coverage import check_quarter
from salessim.measures.selection import Selection
from salessim.periods import Quarter

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = ["WinRates", "win_rates"]

_DEFINITIONS = {
    "win_rate": "won ÷ created in the period",
    "win_rate_closed": "won ÷ closed in the period",
    "win_rate_by_value": "won ÷ closed in the period, by value",
}
#: Definitions that differ by less are told as one.
_WORTH_A_WORD = 0.05
#: A pipeline that gains or loses so many deals moves the rate of deals created.
_MUCH_MORE = 1.25


@dataclass(frozen=True, eq=False)
class WinRates:
    """The win rate by each of its definitions, and in sentences why they differ.

    ``table``: columns name, label, formula, value, low, high, n, note; one row per definition.
    ``reasons``: finished sentences; empty where the definitions agree.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> win_rates(read(example_crm())).table["formula"].tolist()[:2]
    ['won ÷ created in the period', 'won ÷ closed in the period']
    """

    table: pd.DataFrame
    reasons: tuple[str, ...]


def win_rates(tables: Tables, *, quarter: Quarter | None = None) -> WinRates:
    """The win rate by its definitions: of deals created, of deals closed, and by value [A7].

    None of them is wrong; they answer different questions. *Of deals created*: what share of what we began
    has been won so far. *Of deals closed*: how often we win when it is decided. *By value*: what share of
    the money that was decided came to us.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        quarter: the period; None is all time.

    Raises:
        DataError: the export has no data for the quarter.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> tables = read(example_crm())
    >>> found = win_rates(tables, quarter=Quarter.parse("2026Q2"))
    >>> "still open" in found.reasons[0]
    True
    """
    if quarter is not None:
        check_quarter(tables, quarter)
    rows = []
    for name, formula in _DEFINITIONS.items():
        row = measure(name, tables, quarter=quarter).iloc[0]
        figures = {key: row[key] for key in ("value", "low", "high", "n", "note")}
        rows.append({"name": name, "label": CATALOGUE[name].label, "formula": formula, **figures})
    table = pd.DataFrame(rows)
    return WinRates(table, tuple(_reasons(Selection(tables, quarter), table.set_index("name"))))


def _reasons(select: Selection, table: pd.DataFrame) -> list[str]:
    created, closed, by_value = (float(table["value"][name]) for name in _DEFINITIONS)
    reasons = []
    if abs(created - closed) >= _WORTH_A_WORD:
        reasons += _by_number(select, created, closed)
    if math.isfinite(by_value) and abs(by_value - closed) >= _WORTH_A_WORD:
        reasons += _by_value(select, by_value, closed)
    return reasons


def _by_number(select: Selection, created: float, closed: float) -> list[str]:
    """Why won ÷ created and won ÷ closed differ, the weightiest reason first."""
    begun, ended = len(select.created), len(select.closed)
    still_open = int((select.created["status"] == "open").sum())
    reasons = []
    cut = select.cut
    first = cut.first_complete_quarter
    if cut.cut and first is not None and (select.quarter is None or select.quarter < first):
        reasons.append(
            f"The export is cut off on the left: closes before {cut.missing_before} are missing, and with "
            f"them deals that were decided fast. Rates of the time before {first} are an artefact."
        )
    if still_open:
        settled = (select.created["status"] != "open").to_numpy()
        won = (select.created["status"] == "won").to_numpy()
        so_far = float(won[settled].mean()) if settled.any() else math.nan
        reasons.append(
            f"{formats.count(still_open)} of the {formats.count(begun)} deals created are still open "
            f"({formats.percent(still_open / begun)}) and count as not won: {formats.percent(created)} can "
            f"still rise. Of those decided, {formats.percent(so_far)} were won."
        )
    if select.quarter is not None and ended and begun / ended > _MUCH_MORE:
        reasons.append(
            f"The pipeline grows: {formats.count(begun)} deals were created while {formats.count(ended)} "
            "closed. The wins of many of them belong to later quarters."
        )
    if select.quarter is not None and begun and ended / begun > _MUCH_MORE:
        reasons.append(
            f"The pipeline shrinks: {formats.count(ended)} deals closed while {formats.count(begun)} were "
            "created; many of those that closed were created earlier."
        )
    if not reasons:
        reasons.append(
            "The deals that closed are not those that were created: they began in earlier quarters, which "
            f"were {'better' if closed > created else 'worse'}."
        )
    return reasons


def _by_value(select: Selection, by_value: float, closed: float) -> list[str]:
    """Why the rate by value differs from that by number."""
    valued = select.closed[select.closed["value"].notna()]
    sizes = [float(np.mean(valued.loc[valued["status"] == status, "value"])) for status in ("won", "lost")]
    won, lost = (formats.money(size, select.tables.currency, short=True) for size in sizes)
    larger = "larger" if by_value < closed else "smaller"
    reason = (
        f"By value {formats.percent(by_value)} were won, by number {formats.percent(closed)}: the deals lost "
        f"are {larger} than those won ({lost} on average, against {won})."
    )
    by_list = int((valued["status"] == "lost").sum())
    return [f"{reason} Lost deals count at their list price ({formats.count(by_list)} deals)."]
