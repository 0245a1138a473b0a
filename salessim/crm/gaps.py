"""What an export lacks as a whole, and which figures can therefore not be given.

A rule here looks at the finished tables and says, in one sentence each, what is missing; rows are the
business of :mod:`salessim.crm.rules`. To add one, write a function under ``@_gap``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd

from salessim import formats
from salessim.crm.canonical import NO_SEGMENTS, Tables
from salessim.crm.contracts import unchecked_fields
from salessim.crm.coverage import left_cut
from salessim.crm.quality import FINDING_COLUMNS
from salessim.model import Contract

__all__ = ["GAPS", "Gap", "findings"]


@dataclass(frozen=True)
class Gap:
    """One thing that a whole export can lack: in which table and field, and what to do about it.

    ``find`` returns sentences: what is missing, and what that means for the figures.

    >>> GAPS["no stage history"].table
    'stage_history'
    """

    name: str
    table: str
    field: str
    what_to_do: str
    find: Callable[[Tables, tuple[Contract, ...]], Iterable[str]]


_GAPS: dict[str, Gap] = {}
_Find = Callable[[Tables, tuple[Contract, ...]], Iterable[str]]


def _gap(name: str, *, table: str, field: str = "", what_to_do: str) -> Callable[[_Find], _Find]:
    def register(find: _Find) -> _Find:
        _GAPS[name] = Gap(name, table, field, what_to_do, find)
        return find

    return register


def findings(tables: Tables, *, contracts: tuple[Contract, ...]) -> pd.DataFrame:
    """Return what the whole export lacks: one line per finding, columns as in :class:`QualityReport`.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> found = findings(read(example_crm()), contracts=())
    >>> list(found.columns)
    ['table', 'field', 'rule', 'finding', 'what_to_do']
    """
    lines = [
        (gap.table, gap.field, gap.name, sentence, gap.what_to_do)
        for gap in GAPS.values()
        for sentence in gap.find(tables, contracts)
    ]
    return pd.DataFrame(lines, columns=list(FINDING_COLUMNS), dtype="object")


@_gap(
    "cut off on the left",
    table="opportunities",
    field="closed",
    what_to_do="Export all deals that were open on the first day as well, or leave out the first quarter.",
)
def _left_cut(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    found = left_cut(tables)
    if found.cut:
        yield f"{found.reason}. Win rates and cycles of earlier quarters are artefacts."


@_gap(
    "no stage history",
    table="stage_history",
    what_to_do=(
        "Export the history of stages, or take a snapshot every week (salessim snapshot), from which it "
        "follows."
    ),
)
def _no_history(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    if tables.stage_history.empty:
        yield (
            "The export has no stage history: conversion by stage, time in stage and the bottleneck cannot "
            "be given."
        )


@_gap(
    "no source of leads",
    table="opportunities",
    field="source",
    what_to_do="Record for each lead and deal where it came from, and export the field.",
)
def _no_source(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    if tables.opportunities["source"].isna().all() and tables.leads["source"].isna().all():
        yield (
            "Neither deals nor leads name a source: figures by source and the risk of depending on one "
            "cannot be given."
        )


@_gap(
    "no leads", table="leads", what_to_do="Export the leads with the days on which they became MQL and SQL."
)
def _no_leads(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    if tables.leads.empty:
        yield (
            "The export has no leads: conversion from lead to deal, the need for MQL and contracts between "
            "marketing and sales cannot be given."
        )


@_gap(
    "contract cannot be checked",
    table="leads",
    what_to_do="Add the field to the CRM and to the export, or take it out of the contract.",
)
def _unchecked(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    if tables.leads.empty:
        return
    lacking = unchecked_fields(tables.leads, contracts=contracts)
    if lacking:
        fields = ", ".join(name.replace("_", " ") for name in lacking)
        stages = " and ".join(sorted({each.stage for each in contracts if set(lacking) & set(each.fields)}))
        yield f"The export has no values for {fields}; the {stages} contract cannot be checked for that."


@_gap(
    "no currency",
    table="opportunities",
    field="currency",
    what_to_do="Say which currency it is: in the column map, or as the currency of reports.",
)
def _no_currency(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    if tables.currency == formats.NO_CURRENCY:
        yield "The export names no currency; amounts are shown without one."


@_gap(
    "no expected amounts",
    table="opportunities",
    field="amount",
    what_to_do="Enter an expected amount once a deal is qualified, and export it.",
)
def _no_open_amounts(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    waiting = tables.opportunities[tables.opportunities["status"] == "open"]
    if len(waiting) and not (waiting["amount"] > 0).any():
        yield (
            f"None of {formats.count(len(waiting))} open deals has an expected amount: this CRM does not "
            "record it, or it was not exported. The pipeline is valued at the average deal size."
        )


@_gap(
    "no expected close dates",
    table="opportunities",
    field="expected_close",
    what_to_do="Export the expected close date of open deals.",
)
def _no_expected_close(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    waiting = tables.opportunities[tables.opportunities["status"] == "open"]
    if len(waiting) and waiting["expected_close"].isna().all():
        yield "No open deal has an expected close date: slipped deals cannot be found."


@_gap(
    "no next steps",
    table="opportunities",
    field="next_step",
    what_to_do="Record for each open deal what is agreed with the customer, and by when.",
)
def _no_next_steps(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    waiting = tables.opportunities[tables.opportunities["status"] == "open"]
    if len(waiting) and waiting[["next_step", "next_step_date", "purchase_date"]].isna().all(axis=None):
        yield (
            "No open deal has a next step or a purchase date: whether a deal is qualified cannot be told "
            "from the CRM."
        )


@_gap(
    "no segments",
    table="opportunities",
    field="segment",
    what_to_do="Say in the column map what tells segments apart: a field, the product or the industry.",
)
def _no_segments(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    if (tables.opportunities["segment"] == NO_SEGMENTS).all():
        yield "The export has no segments: all deals are taken as one kind, with one deal size and one cycle."


@_gap(
    "no start dates of sellers",
    table="reps",
    field="start",
    what_to_do="Export the list of sellers with the day on which each began, and ended.",
)
def _no_starts(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    if tables.reps["start"].isna().all():
        yield "No seller has a start date: ramp, and quotas that allow for it, cannot be measured."


@_gap("no quotas", table="quotas", what_to_do="Export quotas by seller and quarter, or give them in a file.")
def _no_quotas(tables: Tables, contracts: tuple[Contract, ...]) -> Iterable[str]:
    if tables.quotas.empty:
        yield "The export has no quotas: attainment of past quarters cannot be given."


#: All rules on the whole export by name, in the order in which they are reported.
GAPS: Mapping[str, Gap] = _GAPS
