"""Where won value comes from: the largest source and account, and what a customer brings over time."""

from __future__ import annotations

import pandas as pd

from salessim.measures.coverage import after
from salessim.measures.entry import WON, Estimator, Measure
from salessim.measures.selection import DEAL_CUTS, Selection, noted

__all__ = ["CONCENTRATION"]


def _concentration(column: str) -> Estimator:
    def estimate(select: Selection) -> pd.DataFrame:
        won = select.won
        by_owner = won.groupby(["group", column])["amount"].sum()
        total = won.groupby("group")["amount"].sum().reindex(select.groups)
        largest = by_owner.groupby(level=0).max().reindex(select.groups)
        n = won.groupby("group").size()
        rows = select.result(largest / total.where(total > 0), n)
        names = by_owner.groupby(level=0).idxmax().map(lambda key: f"largest: {key[1]}")
        notes = names.reindex(select.groups).fillna(f"no value won with a known {column}")
        rows = rows.assign(note=notes)
        unknown = won[column].isna().groupby(won["group"]).sum()
        return noted(rows, unknown, f"{{}} deal(s) won without a known {column} count in the total only")

    return estimate


def _lifetime_value(select: Selection) -> pd.DataFrame:
    deals = select.tables.opportunities
    won = deals[(deals["status"] == "won") & deals["closed"].notna()]
    if select.by == "quarter":  # the relationship so far, seen from the end of each quarter
        ends = {label: after(select.parse(label)) for label in select.groups}
        won = pd.concat([won[won["closed"] < end].assign(group=label) for label, end in ends.items()])
    else:
        so_far = won if select.quarter is None else won[won["closed"] < after(select.quarter)]
        won = so_far.assign(group=select.group(so_far))
    revenue = won.groupby(["group", "account"])["amount"].sum().reset_index()
    rows = select.means(revenue["amount"], revenue["group"], of="customers")
    unknown = won["account"].isna().groupby(won["group"]).sum()
    return noted(rows, unknown, "{} deal(s) won without a known account left out")


#: Entries of the catalogue.
CONCENTRATION = (
    Measure(
        name="source_concentration",
        label="Won value from the largest source",
        unit="share",
        better="lower",
        definition=(
            "Won value of the source with most of it ÷ won value of the period: the risk of depending on "
            "one source [A7]."
        ),
        needs=(*WON, "opportunities.source"),
        cuts=tuple(cut for cut in DEAL_CUTS if cut != "source"),
        estimator=_concentration("source"),
    ),
    Measure(
        name="account_concentration",
        label="Won value from the largest account",
        unit="share",
        better="lower",
        definition=(
            "Won value of the account with most of it ÷ won value of the period: the risk of depending on "
            "one customer [A7]."
        ),
        needs=(*WON, "opportunities.account"),
        cuts=tuple(cut for cut in DEAL_CUTS if cut != "account"),
        estimator=_concentration("account"),
    ),
    Measure(
        name="customer_lifetime_value",
        label="Customer lifetime value to date",
        unit="money",
        better="higher",
        definition=(
            "All revenue of a customer over the relationship so far, up to the end of the period: the "
            "average over the accounts that have bought. Revenue to date, not a forecast [A7]."
        ),
        needs=(*WON, "opportunities.account"),
        cuts=DEAL_CUTS,
        estimator=_lifetime_value,
    ),
)
