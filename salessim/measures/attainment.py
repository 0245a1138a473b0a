"""Bookings against quotas, and how evenly a quarter was sold."""

from __future__ import annotations

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
    quotas = _counted(select, select.quotas).groupby("group")
    rows = select.result(quotas["bookings"].sum() / quotas["quota"].sum(), quotas.size())
    rows = noted(rows, rows["n"].eq(0).astype(int), "no quotas of a rep and quarter")
    return _team_quotas_noted(select, rows)


def _linearity(select: Selection) -> pd.DataFrame:
    won = select.only_complete(select.won.assign(label=select.quarters_of(select.won["closed"])))
    last = (won["closed"].dt.month - select.tables.fiscal_year_starts_in_month) % 3 == 2
    total = won.groupby("group")["amount"].sum().reindex(select.groups)
    late = won[last].groupby("group")["amount"].sum().reindex(select.groups).fillna(0.0)
    return select.result(late / total.where(total > 0), won.groupby("group").size(), of="deals won")


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
        cuts=DEAL_CUTS,
        estimator=_linearity,
        time="complete_quarters",
    ),
)
