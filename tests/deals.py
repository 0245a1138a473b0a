"""Small exports for tests of snapshots: deals as tables, without files; and a writer for a second process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import pandas as pd

from salessim.crm import Tables, ledger
from salessim.crm.canonical import empty
from salessim.crm.quality import COUNT_COLUMNS, ISSUE_COLUMNS, QualityReport
from salessim.crm.textfiles import SourceFile

STAGES = ("cold", "warm", "closing")
#: Open deals are (id, rep, stage, amount), and more where it matters.
Deal = dict[str, Any]


def deal(opportunity_id: str, stage: str = "cold", amount: float = float("nan"), **more: Any) -> Deal:
    """A deal; won or lost ones closed on the first of June, unless they say otherwise."""
    closed = "2026-06-01" if stage in ("won", "lost") else None
    return {
        "opportunity_id": opportunity_id,
        "rep": "Rep Alpha",
        "stage": stage,
        "status": stage if stage in ("won", "lost") else "open",
        "created": "2026-03-02",
        "closed": closed,
        "amount": amount,
        **more,
    }


def tables(
    deals: Sequence[Deal], as_of: str, *, currency: str = "EUR", stages: Sequence[str] = STAGES
) -> Tables:
    """Deals as the canonical tables of an export of a day."""
    kinds = empty("opportunities").dtypes.to_dict()
    frame = pd.DataFrame(list(deals), columns=list(kinds))
    frame["row"] = range(2, len(frame) + 2)
    for name, kind in kinds.items():
        values: Any = pd.to_datetime(frame[name]) if kind.kind == "M" else frame[name]
        frame[name] = values.astype(kind)
    counts = pd.DataFrame([], columns=list(COUNT_COLUMNS))
    issues = pd.DataFrame([], columns=list(ISSUE_COLUMNS))
    return Tables(
        opportunities=frame,
        reps=empty("reps"),
        accounts=empty("accounts"),
        leads=empty("leads"),
        stage_history=empty("stage_history"),
        quotas=empty("quotas"),
        as_of=date.fromisoformat(as_of),
        currency=currency,
        quality=QualityReport(issues, counts, ("a note",)),
        files=(SourceFile("deals.csv", "00", 1, "utf-8", ",", len(frame)),),
        column_map="salessim_csv",
        stages=tuple(stages),
    )


def record_all(to: str, exports: Sequence[Tables], barrier: Any, outcomes: Any) -> None:
    """Record exports one after the other, each at the same moment as the other process records one."""
    for export in exports:
        barrier.wait(60)
        outcomes.put((str(export.as_of), ledger.record(to, export).outcome))
