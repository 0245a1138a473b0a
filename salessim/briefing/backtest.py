"""How good the forecast was: the same method on what was known a quarter earlier, against what was booked."""

from __future__ import annotations

import pandas as pd

from salessim import crm, formats, measures
from salessim.briefing.prepared import Briefing
from salessim.calibrate import LEVEL, calibrate
from salessim.engine import simulate
from salessim.errors import DataError
from salessim.periods import Quarter

__all__ = ["backtest", "backtest_sentence", "backtest_table"]


def backtest(briefing: Briefing, *, quarters: int = 4) -> pd.DataFrame:
    """Forecast past quarters with what the export knew when each began.

    Args:
        briefing: the report; its reported quarter is the last that is tested.
        quarters: how many quarters to look back, at most.

    Returns:
        Columns quarter, p10, p50, p90 (forecast bookings), booked, inside (whether booked lies between p10
        and p90); newest first. Quarters before which the export has no whole quarter of history, or that it
        covers only in part, are left out.
    """
    rows = []
    whole = measures.bookings_by_quarter(briefing.tables).set_index("quarter")
    for back in range(quarters):
        tested = briefing.quarter.shift(-back)
        if str(tested) not in whole.index or bool(whole["partial"][str(tested)]):
            continue
        forecast = _forecast(briefing, tested)
        if forecast is None:
            continue
        low, middle, high = forecast
        booked = float(whole["won_value"][str(tested)])
        rows.append([str(tested), low, middle, high, booked, low <= booked <= high])
    return pd.DataFrame(rows, columns=["quarter", "p10", "p50", "p90", "booked", "inside"])


def _forecast(briefing: Briefing, tested: Quarter) -> tuple[float, float, float] | None:
    """P10, P50 and P90 of a quarter's bookings by what was known on the day before it began."""
    day_before = tested.shift(-1).end
    try:
        calibration = calibrate(
            crm.as_seen_on(briefing.tables, day_before), base=briefing.scenario, quarters=1
        )
    except DataError:  # too little was known then
        return None
    start, _ = calibration.window
    if start > tested.shift(-1).start:
        return None
    low, middle, high = simulate(calibration.scenario).team_quantiles([0.1, 0.5, 0.9], str(tested))
    return float(low), float(middle), float(high)


def backtest_sentence(briefing: Briefing) -> str:
    """What the method would have said of the reported quarter, in a sentence; "": too little history."""
    rows = backtest(briefing, quarters=1).to_dict("records")
    if not rows:
        return ""
    row = rows[0]
    verdict = "inside" if row["inside"] else "outside"
    return (
        f"A quarter ago the same method would have forecast {briefing.money(row['p50'])} for "
        f"{row['quarter']} ({briefing.money(row['p10'])} to {briefing.money(row['p90'])} in 8 of 10 cases); "
        f"booked were {briefing.money(row['booked'])}, {verdict} that range."
    )


def backtest_table(briefing: Briefing) -> str:
    """The method tested on past quarters (Markdown table), with how often its range held."""
    frame = backtest(briefing)
    if frame.empty:
        return "The export holds too little history to test the forecast on a past quarter."
    rows = [
        [
            row["quarter"],
            formats.money(row["p50"], briefing.currency),
            formats.span(row["p10"], row["p90"], "money", briefing.currency),
            formats.money(row["booked"], briefing.currency),
            "inside" if row["inside"] else "outside",
        ]
        for row in frame.to_dict("records")
    ]
    held, tested = int(frame["inside"].sum()), len(frame)
    note = "" if tested >= 8 else " So few quarters cannot prove a method; they can only disprove it."
    table = formats.table(["quarter", "forecast (P50)", "P10 to P90", "booked", "booked lies"], rows)
    return (
        f"{table}\n\nThe range held in {held} of {tested} quarters; {formats.percent(LEVEL)} are meant.{note}"
    )
