"""What became of the leads of each month: from lead to deal won, with how much of it is still to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.errors import ParameterError
from salessim.measures.estimates import Floats
from salessim.measures.funnel import reached, won_amount, young
from salessim.measures.selection import LEAD_CUTS, PERIODS, Selection, sample_notes, splits

if TYPE_CHECKING:
    from salessim.crm import Tables

__all__ = ["lead_cohorts"]

_STEPS = {"mql": "mql", "sql": "sql", "opportunities": "opportunity", "won": "won"}
#: Share → (of which, reaching which).
_SHARES = {
    "lead_to_mql": ("leads", "mql"),
    "mql_to_sql": ("mql", "sql"),
    "sql_to_opportunity": ("sql", "opportunities"),
    "lead_to_opportunity": ("leads", "opportunities"),
    "opportunity_to_won": ("opportunities", "won"),
    "lead_to_won": ("leads", "won"),
}


def lead_cohorts(
    tables: Tables, *, by: str | Sequence[str] | None = "source", period: str = "month"
) -> pd.DataFrame:
    """Cohorts of leads by the month they came in: how many became MQL, SQL, opportunity and deal won so far.

    A cohort is *finished* when every lead of it is won, lost, or older than 95 % of the leads that were won
    had been by then; the figures of an unfinished one still rise, and must not be compared with older ones.

    Args:
        tables: what :func:`salessim.crm.read` returns.
        by: what else to split by: one or several of rep, manager, region, segment and source; None for months
            only.
        period: "month" or "quarter" in which the leads were created.

    Returns:
        One row per cohort that has leads: ``period``, the splits, leads, mql, sql, opportunities, won (how
        many of them got so far; who got further has passed the earlier steps), won_value (money), then
        lead_to_mql, mql_to_sql, sql_to_opportunity, lead_to_opportunity, opportunity_to_won and lead_to_won,
        each with _low and _high, value_per_lead with _low and _high (money), can_still_win (leads), finished,
        and note. NaN where nothing was there to move on, or the export does not tell of the step.

    Raises:
        ParameterError: the period is neither month nor quarter, or leads are not split by that.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> rows = lead_cohorts(read(example_crm()), by="source")
    >>> rows.columns.tolist()[:7]
    ['month', 'source', 'leads', 'mql', 'sql', 'opportunities', 'won']
    >>> bool((rows["won"] <= rows["opportunities"]).all())
    True
    """
    if period not in PERIODS:
        raise ParameterError(f"period is {period!r}; cohorts of leads are by 'month' or 'quarter'")
    names = splits(by)
    for name in names:
        if name in PERIODS or name not in LEAD_CUTS:
            raise ParameterError(
                f"by is {name!r}; cohorts of leads are split by rep, manager, region, segment or source"
            )
    select = Selection(tables, None, (period, *names))
    facts = select.facts
    leads = select.leads("created") if len(facts.leads) else facts.leads.assign(group=np.array([], dtype=int))
    steps = {step: reached(facts, leads, step)[0].to_numpy() for step in _STEPS.values()}
    # who got further has passed the earlier steps, whatever dates are missing; a step that the export does
    # not tell of at all stays unknown
    told = {"mql": facts.holds("leads.mql"), "sql": facts.holds("leads.sql")}
    told |= dict.fromkeys(("opportunity", "won"), facts.holds("leads.opportunity_id"))
    steps["opportunity"] |= steps["won"]
    steps["sql"] |= steps["opportunity"] & told["sql"]
    steps["mql"] |= steps["sql"] & told["mql"]
    groups = leads["group"].to_numpy()

    def counted(hits: npt.NDArray[np.generic]) -> Floats:
        return np.bincount(groups, weights=hits.astype(float), minlength=len(select.groups)).astype(float)

    numbers = {"leads": counted(np.ones(len(leads)))}
    for column, step in _STEPS.items():
        numbers[column] = counted(steps[step]) if told[step] else np.full(len(select.groups), np.nan)
    amount = won_amount(facts, leads)
    figures: dict[str, object] = {**numbers, "won_value": select.totals(leads, amount)}
    for name, (whole, part) in _SHARES.items():
        # of those who got to the first step, the share that got to the second
        base = steps[_STEPS.get(whole, "")] if whole in _STEPS else np.ones(len(leads), dtype=bool)
        rows = select.shares(
            pd.Series(steps[_STEPS[part]][base]), pd.Series(groups[base], dtype=np.int64), of="leads"
        )
        known = np.isfinite(numbers[whole]) & np.isfinite(numbers[part])
        figures |= {
            f"{name}{end}": rows[key].where(known)
            for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
    value = select.means(amount, leads["group"], of="leads")
    figures |= {
        f"value_per_lead{end}": value[key] for end, key in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    deal = leads["deal"].to_numpy()
    lost = np.append((facts.deals["status"] == "lost").to_numpy(), False)[deal]
    open_deal = np.append((facts.deals["status"] == "open").to_numpy(), False)[deal]
    undecided = (young(facts, leads, "created", "won").to_numpy() & ~lost) | open_deal
    waiting = counted(undecided)
    figures |= {"can_still_win": waiting.astype(int), "finished": waiting == 0}
    found = pd.DataFrame({"n": numbers["leads"], "note": "", **figures}, index=select.groups)
    found = sample_notes(found.astype({"note": object}), found["n"], "leads")
    kept = select.in_order(np.flatnonzero(numbers["leads"] > 0))
    found = pd.concat([select.labels_of(kept), found.take(kept)], axis="columns").reset_index(drop=True)
    whole_numbers = {column: int for column in ("leads", *(c for c, s in _STEPS.items() if told[s]))}
    return found.drop(columns="n").astype(whole_numbers)[[period, *names, *figures.keys(), "note"]]
