"""Bookings against quotas, and how evenly a quarter was sold."""

from __future__ import annotations

import numpy as np
import pandas as pd

from salessim.measures.entry import WON, Measure
from salessim.measures.selection import DEAL_CUTS, QUOTA_CUTS, Selection, noted

__all__ = ["ATTAINMENT"]


def _counted(select: Selection, quotas: pd.DataFrame) -> pd.DataFrame:
    """Quotas to judge: above zero and, unless a quarter was asked for, of complete quarters."""
    return select.only_complete(quotas[quotas["quota"] > 0])


def _team_quotas_noted(select: Selection, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows with a note on the managers whose quota is left out, since their reps hold it already."""
    managers = _counted(select, select.team_quotas).groupby("group")["rep"].nunique()
    return noted(rows, managers, "{} manager(s) whose quota is that of their team left out")


def _share_attaining(select: Selection) -> pd.DataFrame:
    quotas = _counted(select, select.quotas)
    rows = select.shares(
        quotas["bookings"] >= quotas["quota"], quotas["group"], of="quotas of a rep and quarter"
    )
    return _team_quotas_noted(select, rows)


def _team_attainment(select: Selection) -> pd.DataFrame:
    quotas = _counted(select, select.quotas)
    asked = select.totals(quotas, quotas["quota"])
    rows = select.result(
        select.totals(quotas, quotas["bookings"]) / asked.where(asked > 0), select.totals(quotas)
    )
    rows = noted(rows, rows["n"].eq(0).astype(int), "no quotas of a rep and quarter")
    return _team_quotas_noted(select, rows)


def _linearity(select: Selection) -> pd.DataFrame:
    won = select.won
    if select.quarter is None and "quarter" not in select.by:
        numbers = select.facts.quarter_numbers(won["closed"])
        whole = [each for each in np.unique(numbers) if select.is_complete(select.facts.quarter(int(each)))]
        won = won[np.isin(numbers, whole)]
    last = (won["closed"].dt.month - select.tables.fiscal_year_starts_in_month) % 3 == 2
    total, late = select.totals(won, won["amount"]), select.totals(won[last], won.loc[last, "amount"])
    return select.result(late / total.where(total > 0), select.totals(won), of="deals won")


#: Entries of the catalogue.
ATTAINMENT = (
    Measure(
        name="share_attaining",
        label="Share of reps at quota",
        unit="share",
        better="neither",
        definition=(
            "Share of the quotas of a rep and quarter that bookings reached, without managers whose quota is "
            "that of their team; a plan is right at 60–75 % [B1]."
        ),
        needs=("quotas", *WON),
        cuts=QUOTA_CUTS,
        estimator=_share_attaining,
        time="complete_quarters",
    ),
    Measure(
        name="team_attainment",
        label="Attainment of the team",
        unit="share",
        better="higher",
        definition=(
            "Bookings of the reps who hold a quota ÷ the sum of their quotas, without managers whose quota "
            "is that of their team [B2]."
        ),
        needs=("quotas", *WON),
        cuts=QUOTA_CUTS,
        estimator=_team_attainment,
        time="complete_quarters",
    ),
    Measure(
        name="linearity_last_month",
        label="Won value booked in the last month",
        unit="share",
        better="lower",
        definition=(
            "Won value booked in the last month of the quarter ÷ won value of the quarter; even selling "
            "gives a third [F1]."
        ),
        needs=WON,
        cuts=tuple(cut for cut in DEAL_CUTS if cut != "month"),
        estimator=_linearity,
        time="complete_quarters",
    ),
)
