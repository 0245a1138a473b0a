"""Which criteria are evidenced, deal by deal: from the CRM's fields, its leads, and the sheet of the team."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.audit.sheet import NEXT_STEP, NEXT_STEP_DATE, PURCHASE_DATE, EvidenceSheet
from salessim.crm import Tables
from salessim.crm.contracts import CONTRACT_STAGES, contract_gaps, unchecked_fields
from salessim.model import Contract

__all__ = ["Proofs", "prove"]

Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.object_]
Days = npt.NDArray[np.datetime64]

_NEVER = np.datetime64("NaT", "D")


@dataclass(frozen=True, eq=False)
class Proofs:
    """What is evidenced: arrays of shape (deals, criteria).

    ``proven``: evidenced today. ``checked``: there is a place where evidence could stand; where there is
    none, nothing can be said. ``noted``: day of the evidence, ``runs_out``: last day on which it counts; NaT:
    it does not age, or there is none. ``why``: why it is not proven, in words; empty where it is. ``later``
    (deals): the customer buys later than the purchase rule allows; the day, else NaT. ``agreed``: one row per
    deal, next_step, next_step_date, purchase_date, and for both dates whether there is a place for them
    (next_step_date_checked, purchase_date_checked).
    """

    criteria: tuple[str, ...]
    proven: Bools
    checked: Bools
    noted: Days
    runs_out: Days
    why: Texts
    later: Days
    agreed: pd.DataFrame
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Column:
    proven: Bools
    checked: Bools
    noted: Days
    runs_out: Days
    why: Texts


def prove(
    tables: Tables,
    deals: pd.DataFrame,
    criteria: Sequence[str],
    *,
    on: date,
    contracts: Sequence[Contract],
    purchase_within_days: int,
    stale_after_days: int,
    sheet: EvidenceSheet | None,
) -> Proofs:
    """Look up the evidence of each criterion for each open deal."""
    day = np.datetime64(on, "D")
    notes: list[str] = []
    fields = _fields(tables, deals, sheet, notes)
    later: Days = np.full(len(deals), _NEVER)
    evidence = tables.evidence[tables.evidence["evidence"].notna()]
    words = {str(word): str(word).casefold() for word in evidence["criterion"].unique()}
    evidence = evidence[evidence["opportunity_id"].isin(deals["opportunity_id"])]
    evidence = evidence.assign(criterion=evidence["criterion"].map(words))
    columns = []
    for name in criteria:
        own = evidence[evidence["criterion"] == name.casefold()]
        kept = name.casefold() in words.values()
        written = _written(own, deals, name, sheet, day, age=stale_after_days, kept=kept)
        if name.casefold() == NEXT_STEP:
            found, later = _next_step(fields, written, day, purchase_within_days)
        elif name.casefold() in _CONTRACTS:
            found = _contract(tables, deals, _CONTRACTS[name.casefold()], contracts, written)
        else:
            found = written
        columns.append(found)
    if NEXT_STEP not in [name.casefold() for name in criteria]:
        notes.append(
            "no stage asks for the criterion 'next step', so dates of next steps and purchases do not count"
        )
    known = {name.casefold() for name in criteria}
    strange = sorted(word for word, name in words.items() if name not in known)
    if strange:
        notes.append("evidence for what no stage asks for was not used: " + ", ".join(strange))
    return Proofs(
        criteria=tuple(criteria),
        proven=np.stack([column.proven for column in columns], axis=1),
        checked=np.stack([column.checked for column in columns], axis=1),
        noted=np.stack([column.noted for column in columns], axis=1),
        runs_out=np.stack([column.runs_out for column in columns], axis=1),
        why=np.stack([column.why for column in columns], axis=1),
        later=later,
        agreed=fields.table(),
        notes=tuple(notes),
    )


_CONTRACTS = {f"{stage.casefold()} contract": stage for stage in CONTRACT_STAGES}


def _written(
    own: pd.DataFrame,
    deals: pd.DataFrame,
    criterion: str,
    sheet: EvidenceSheet | None,
    day: np.datetime64,
    *,
    age: int,
    kept: bool,
) -> _Column:
    """Evidence of a criterion in the CRM, or in the sheet, which has the last word; kept: the CRM has any."""
    number = deals["opportunity_id"]
    there = number.isin(own["opportunity_id"]).to_numpy()
    noted = _days(number.map(own.groupby("opportunity_id")["noted"].max()))
    checked = np.full(len(deals), kept)
    if sheet is not None and (cells := sheet.column(criterion)) is not None:
        given = number.isin(cells.index).to_numpy()
        asked = cells.reindex(number)
        there = np.where(given, asked["evidence"].notna(), there)
        # a word without a date was confirmed on the day of the audit
        confirmed = np.where(asked["noted"].isna(), day, _days(asked["noted"]))
        noted = np.where(given, confirmed, noted).astype("datetime64[D]")
        checked = checked | given
    runs_out = noted + np.timedelta64(age, "D")
    future, old = noted > day, runs_out < day  # NaT compares as False: evidence without a date does not age
    why = np.full(len(deals), "", dtype=object)
    why[~there] = "no evidence"
    for mask, text in (
        (there & future, "noted for {}, which is still to come"),
        (there & old, "noted {}, too old"),
    ):
        why[mask] = [text.format(when) for when in noted[mask]]
    proven = there & ~future & ~old
    noted, runs_out = (np.where(proven, days, _NEVER) for days in (noted, runs_out))
    return _Column(proven, checked, noted, runs_out, why)


@dataclass(frozen=True, eq=False)
class _Fields:
    """What is agreed with the customer: step, its day, day of the purchase; checked: whether it is kept."""

    step: pd.Series
    step_day: Days
    step_checked: Bools
    purchase: Days
    purchase_checked: Bools
    purchase_called: str

    def table(self) -> pd.DataFrame:
        own = self.purchase_called == "purchase"  # the seller's expected close is not what the customer says
        return pd.DataFrame(
            {
                "next_step": self.step.to_numpy(),
                "next_step_date": self.step_day.astype("datetime64[ns]"),
                "purchase_date": (self.purchase if own else np.full_like(self.purchase, _NEVER)).astype(
                    "datetime64[ns]"
                ),
                "next_step_date_checked": self.step_checked,
                "purchase_date_checked": self.purchase_checked & own,
            }
        )


def _fields(tables: Tables, deals: pd.DataFrame, sheet: EvidenceSheet | None, notes: list[str]) -> _Fields:
    every, number = tables.opportunities, deals["opportunity_id"]
    step = deals["next_step"]
    step_day = _days(deals["next_step_date"])
    step_checked = np.full(len(deals), every["next_step_date"].notna().any())
    kept = every["purchase_date"].notna().any()
    purchase, purchase_checked = _days(deals["purchase_date"]), np.full(len(deals), kept)
    called = "purchase"
    written = sheet.days(PURCHASE_DATE) if sheet is not None else None
    if written is not None:
        given = number.isin(written.index).to_numpy()
        purchase = np.where(given, _days(written.reindex(number)), purchase).astype("datetime64[D]")
        purchase_checked = purchase_checked | given
    if not purchase_checked.any() and every["expected_close"].notna().any():
        purchase, called = _days(deals["expected_close"]), "expected close"
        purchase_checked = np.full(len(deals), True)
        notes.append(
            "the export has no day of purchase as the customer says it; the seller's expected close stands in"
        )
    if sheet is not None:
        if (cells := sheet.column(NEXT_STEP)) is not None:
            given = number.isin(cells.index).to_numpy()
            step = step.mask(given, cells["evidence"].reindex(number).set_axis(step.index))
        if (days := sheet.days(NEXT_STEP_DATE)) is not None:
            given = number.isin(days.index).to_numpy()
            step_day = np.where(given, _days(days.reindex(number)), step_day).astype("datetime64[D]")
            step_checked = step_checked | given
    return _Fields(step, step_day, step_checked, purchase, purchase_checked, called)


def _next_step(fields: _Fields, written: _Column, day: np.datetime64, within: int) -> tuple[_Column, Days]:
    """Agreed, with a date that is still to come, and a purchase within two months [A3]."""
    size = len(fields.step)
    why = np.full(size, "", dtype=object)
    named = fields.step.notna().to_numpy()
    last = day + np.timedelta64(within, "D")
    past, far = fields.purchase < day, fields.purchase > last
    missed = fields.step_day < day
    faults = [
        (fields.step_checked & np.isnat(fields.step_day) & named, "next step without a date", None),
        (fields.step_checked & np.isnat(fields.step_day) & ~named, "no next step", None),
        (fields.step_checked & missed, "next step was due on {}", fields.step_day),
        (fields.purchase_checked & np.isnat(fields.purchase), f"no day of {fields.purchase_called}", None),
        (fields.purchase_checked & past, f"{fields.purchase_called} was due on {{}}", fields.purchase),
        (fields.purchase_checked & far, f"{fields.purchase_called} not before {{}}", fields.purchase),
    ]
    for mask, text, days in faults:
        for place in np.flatnonzero(mask):
            said = text if days is None else text.format(days[place])
            why[place] = f"{why[place]}; {said}" if why[place] else said
    by_fields = fields.step_checked | fields.purchase_checked
    proven = np.where(by_fields, why == "", written.proven)
    ends = np.fmin(
        np.where(fields.step_checked, fields.step_day, _NEVER),
        np.where(fields.purchase_checked, fields.purchase, _NEVER),
    )
    column = _Column(
        proven,
        by_fields | written.checked,
        np.where(by_fields, _NEVER, written.noted),
        np.where(proven, np.where(by_fields, ends, written.runs_out), _NEVER).astype("datetime64[D]"),
        np.where(by_fields, why, written.why),
    )
    return column, np.where(fields.purchase_checked & far, fields.purchase, _NEVER).astype("datetime64[D]")


def _contract(
    tables: Tables, deals: pd.DataFrame, stage: str, contracts: Sequence[Contract], written: _Column
) -> _Column:
    """Whether the deal's lead carries what marketing and sales agreed on [A9]; no lead, nothing to check."""
    leads = tables.leads[tables.leads["opportunity_id"].notna()]
    gaps = contract_gaps(leads, contracts=contracts)
    gaps = gaps[gaps["stage"] == stage].assign(
        opportunity_id=lambda found: leads["opportunity_id"].reindex(found.index)
    )
    missing = gaps.drop_duplicates("opportunity_id").set_index("opportunity_id")["missing"].map(", ".join)
    number = deals["opportunity_id"]
    lacks = number.map(missing)
    claimed = leads.loc[leads[CONTRACT_STAGES[stage]].notna(), "opportunity_id"]
    own = [contract for contract in contracts if contract.stage == stage]
    asked = {field for contract in own for field in contract.fields}
    open_fields = asked - set(unchecked_fields(tables.leads, contracts=own))
    checked = number.isin(claimed).to_numpy() & bool(open_fields)
    fields = lacks.fillna("").astype(str).str.replace("_", " ")
    why = np.where(lacks.notna(), "the lead lacks " + fields, "").astype(object)
    proven = written.proven | (checked & lacks.isna().to_numpy())
    return _Column(
        proven,
        checked | written.checked,
        np.full(len(deals), _NEVER),
        np.full(len(deals), _NEVER),
        np.where(proven, "", np.where(checked, why, written.why)),
    )


def _days(column: pd.Series) -> Days:
    return pd.to_datetime(column).to_numpy(dtype="datetime64[ns]").astype("datetime64[D]")
