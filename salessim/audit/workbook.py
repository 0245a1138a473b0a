"""The audit as an Excel workbook: a list to work through with the team, and to read back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from salessim.audit.requalify import Audit
from salessim.audit.sheet import (
    DEAL,
    DEALS_SHEET,
    NEXT_STEP,
    NEXT_STEP_DATE,
    NOT_LOOKED_AT,
    PURCHASE_DATE,
    SHOWN,
)
from salessim.spreadsheets import CellFormat, Sheet, write_workbook

__all__ = ["audit_workbook"]

_FORMATS: dict[str, CellFormat] = {
    "amount": "money",
    "claimed chance": "percent",
    "evidenced chance": "percent",
    "days until stale": "number",
}
_NOTES = {
    "evidenced stage": "The first stage whose exit criteria are not all evidenced.",
    "missing": "What keeps the deal in the evidenced stage.",
    "missing later": "What is missing for the stages from there to the claimed one.",
    "days until stale": "Days until the first thing that counts today counts no more.",
    NEXT_STEP_DATE: "Agreed with the customer, and still to come.",
    PURCHASE_DATE: "When the customer says that the purchase happens.",
}


def audit_workbook(audit: Audit, path: str | Path) -> Path:
    """Write the audit as a workbook to work through, and return its path.

    Sheets: *Deals* (one row per open deal, the largest first: where it stands, what to do, and tinted columns
    to fill in, one per criterion, those that keep it back marked), *By rep*, *Before and after*, *How to*.
    :func:`salessim.audit.read_evidence_sheet` reads the filled copy back; a copy that nobody touched changes
    nothing. A WorkspaceError names the path when it cannot be written.

    >>> import tempfile
    >>> from salessim.audit import audit, read_evidence_sheet
    >>> from salessim.crm import read
    >>> from salessim.library import example_crm, example_scenario
    >>> tables = read(example_crm())
    >>> found = audit(tables, example_scenario())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sheet = read_evidence_sheet(audit_workbook(found, Path(folder, "audit.xlsx")))
    >>> audit(tables, example_scenario(), evidence=sheet).deals.equals(found.deals)
    True
    """
    return write_workbook([_deals(audit), _by_rep(audit), _by_stage(audit), _how_to(audit)], path)


def _deals(audit: Audit) -> Sheet:
    deals = audit.deals
    shown = deals.rename(columns=lambda name: name.replace("_", " "))
    table = shown[[*SHOWN]].assign(
        missing=deals["missing"].map(", ".join), **{"missing later": deals["missing_later"].map(", ".join)}
    )
    table.insert(0, DEAL, deals["opportunity_id"])
    state = audit.evidence.pivot(index="opportunity_id", columns="criterion", values="state")
    noted = audit.evidence.pivot(index="opportunity_id", columns="criterion", values="noted")
    state, noted = state.reindex(deals["opportunity_id"]), noted.reindex(deals["opportunity_id"])
    formats, notes, marked, inputs = dict(_FORMATS), dict(_NOTES), {}, []
    for criterion in audit.criteria:
        name = criterion.name
        short = (deals["missing"] + deals["missing_later"]).map(lambda row, name=name: name in row)
        notes[name] = " ".join(filter(None, [criterion.question, _as_proof(criterion.evidence)]))
        if name.casefold() == NEXT_STEP:
            columns = _next_step_columns(audit)
        else:
            proven = noted[name].dt.date.where(noted[name].notna(), "yes")
            cells = proven.where(state[name] == "evidenced", None).mask(
                state[name] == "not checked", NOT_LOOKED_AT
            )
            columns = {name: cells.to_numpy()}
        for column, values in columns.items():
            table[column] = values
            marked[column] = (short & (deals["move"] == "back")).tolist()
            inputs.append(column)
            formats[column] = "text" if column == NEXT_STEP else "date"
    return Sheet(
        DEALS_SHEET, table, formats=formats, inputs=inputs, highlighted=marked,
        notes={column: note for column, note in notes.items() if column in table},
    )  # fmt: skip


def _as_proof(evidence: str) -> str:
    return f"Proof: {evidence}." if evidence else ""


def _next_step_columns(audit: Audit) -> dict[str, np.ndarray]:
    """Step, its day and the day of the purchase; a column that the export does not have is not looked at."""
    deals = audit.deals
    step_kept, purchase_kept = audit.dates_kept
    asked = np.full(len(deals), NOT_LOOKED_AT, dtype=object)
    return {
        NEXT_STEP: deals["next_step"].to_numpy() if step_kept or deals["next_step"].notna().any() else asked,
        NEXT_STEP_DATE: deals["next_step_date"].to_numpy() if step_kept else asked,
        PURCHASE_DATE: deals["purchase_date"].to_numpy() if purchase_kept else asked,
    }


def _by_rep(audit: Audit) -> Sheet:
    table = audit.by_rep().rename(columns=lambda name: name.replace("_", " "))
    money = {name: "money" for name in table.columns if name.startswith(("value", "weighted"))}
    return Sheet("By rep", table, formats=money | {"share in place": "percent"})  # type: ignore[arg-type]


def _by_stage(audit: Audit) -> Sheet:
    table = audit.by_stage().rename(columns=lambda name: name.replace("_", " "))
    total = table.sum(numeric_only=True).to_frame().T.assign(stage="all stages")
    table = pd.concat([table, total[table.columns]], ignore_index=True)
    money = {name: "money" for name in table.columns if name.startswith(("value", "weighted"))}
    return Sheet("Before and after", table, formats=money)  # type: ignore[arg-type]


def _how_to(audit: Audit) -> Sheet:
    lines = [
        f"Open deals on {audit.on}, each in the stage that its evidence supports.",
        "Go through the deals from the top; the tinted columns are to be filled in, one per criterion.",
        "A word or a date in a cell is evidence: who decides, what hurts, since when.",
        "A blank cell, or 'no', says that there is no evidence; '?' that nobody has looked.",
        "Red cells keep a deal from the stage that it claims.",
        f"A purchase later than {audit.purchase_within_days} days from now makes no potential deal.",
        f"Evidence older than {audit.stale_after_days} days counts no more: ask again, write the new date.",
        "Save the file and hand it back to the audit; columns without tint are not read.",
        *audit.notes,
    ]
    if audit.unchecked:
        lines.append("Nowhere in the export: " + ", ".join(audit.unchecked) + ".")
    return Sheet("How to", pd.DataFrame({"how to work with this file": lines}))
