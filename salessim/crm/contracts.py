"""MQL and SQL contracts [A9]: whether a lead carries the fields that marketing and sales have agreed on.

A contract says which fields of a lead must be filled before it counts as an MQL or an SQL
(:class:`salessim.model.Contract`). Here leads are held against it, lead by lead and by source or rep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.crm.canonical import SEGMENT_MISSING, Tables
from salessim.errors import ParameterError
from salessim.intervals import wilson
from salessim.model import Contract

__all__ = ["CONTRACT_STAGES", "contract_gaps", "contracts_kept", "unchecked_fields"]

#: The steps that a contract can be about, each with the column of the leads that says when it was claimed.
CONTRACT_STAGES = {"MQL": "mql", "SQL": "sql"}

_GAPS = ("lead_id", "stage", "missing")


def unchecked_fields(leads: pd.DataFrame, *, contracts: Sequence[Contract]) -> tuple[str, ...]:
    """Return the fields that contracts ask for and that no lead of the export has.

    A column that is wholly empty says that the export was made without it, not that every lead lacks it; such
    fields are left out of all checks, and named here instead.

    >>> from salessim.model import DEFAULT_CONTRACTS
    >>> leads = pd.DataFrame({"lead_id": ["L1"], "company": ["Acme"], "industry": [None]})
    >>> unchecked_fields(leads, contracts=DEFAULT_CONTRACTS)
    ('industry', 'company_size', 'contact', 'position', 'email')
    """
    asked = dict.fromkeys(field for contract in contracts for field in contract.fields)
    return tuple(field for field in asked if not _filled(leads, field).any())


def contract_gaps(leads: pd.DataFrame, *, contracts: Sequence[Contract]) -> pd.DataFrame:
    """Return the leads that claim to be an MQL or SQL and lack fields which their contract asks for.

    A contract that names sources holds for leads from them; the others are held against the contracts
    without sources. Where several hold, their fields add up. Fields of :func:`unchecked_fields` are not
    counted as missing.

    Args:
        leads: canonical leads (:class:`salessim.crm.Tables`); a missing column counts as empty.
        contracts: what was agreed, such as ``scenario.contracts``.

    Returns:
        One row per lead and step, in the order of the leads and under their index labels: lead_id, stage
        (MQL or SQL), missing (tuple of field names, in the order of the contract).

    >>> from salessim.model import DEFAULT_CONTRACTS
    >>> leads = pd.DataFrame({
    ...     "lead_id": ["L1", "L2"], "mql": pd.to_datetime(["2026-01-05", "2026-01-06"]),
    ...     "company": ["Acme", "Birch"], "position": [None, "buyer"],
    ... })
    >>> contract_gaps(leads, contracts=DEFAULT_CONTRACTS).values.tolist()
    [['L1', 'MQL', ('position',)]]
    """
    found = []
    for order, stage in enumerate(CONTRACT_STAGES):
        held, fields, lacking = _held(leads, contracts, stage)
        places = np.flatnonzero(held & lacking.any(axis=1))
        # few patterns of missing fields stand for many leads
        patterns, pattern = np.unique(lacking[places], axis=0, return_inverse=True)
        words = [
            tuple(name for name, lacks in zip(fields, row, strict=True) if lacks) for row in patterns.tolist()
        ]
        missing = pd.Series([words[number] for number in pattern.ravel().tolist()], dtype=object)
        found.append(pd.DataFrame({"place": places, "order": order, "stage": stage, "missing": missing}))
    gaps = pd.concat(found).sort_values(["place", "order"], kind="stable")
    lead = leads["lead_id"].iloc[gaps["place"].to_numpy()]
    gaps.index = lead.index
    return gaps.assign(lead_id=lead)[list(_GAPS)]


def contracts_kept(
    tables: Tables, *, contracts: Sequence[Contract], by: Literal["source", "rep"] | None = "source"
) -> pd.DataFrame:
    """Return how many MQL and SQL keep their contract, by source or by rep: who hands over what was agreed?

    Args:
        tables: the export.
        contracts: what was agreed, such as ``scenario.contracts``.
        by: column of the leads to group by; None: all leads together.

    Returns:
        One row per group and step: the group (``not given`` where a lead has none), stage, n (leads that
        claim the step and have a contract with at least one field that can be checked), kept (how many of
        them lack nothing), share, low and high (Wilson, 80 %), most_missing (the field that is missing most
        often, or None). Groups without such leads have no row.

    Raises:
        ParameterError: ``by`` is something else.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> from salessim.model import DEFAULT_CONTRACTS
    >>> kept = contracts_kept(read(example_crm()), contracts=DEFAULT_CONTRACTS, by=None)
    >>> list(kept.columns)
    ['stage', 'n', 'kept', 'share', 'low', 'high', 'most_missing']
    """
    if by not in ("source", "rep", None):
        raise ParameterError(f"by is {by!r}; it must be 'source', 'rep' or None")
    leads = tables.leads
    groups = pd.Series("all", leads.index, dtype=object) if by is None else leads[by].fillna(SEGMENT_MISSING)
    rows = []
    for stage in CONTRACT_STAGES:
        held, fields, lacking = _held(leads, contracts, stage)
        counted = pd.DataFrame(lacking, index=leads.index, columns=fields)[held]
        for name, lacks in counted.groupby(groups[held], sort=True):
            kept, times = int((~lacks.any(axis=1)).sum()), lacks.sum()
            most = times.idxmax() if times.max() > 0 else None
            rows.append((name, stage, len(lacks), kept, most))
    table = pd.DataFrame(rows, columns=["group", "stage", "n", "kept", "most_missing"])
    table = table.astype({"n": "int64", "kept": "int64"})
    table["share"], table["low"], table["high"] = wilson(
        table["kept"].to_numpy(dtype=np.float64), table["n"].to_numpy(dtype=np.float64)
    )
    table = table.sort_values(["group", "stage"], kind="stable", ignore_index=True)
    named = table.rename(columns={"group": by}) if by else table.drop(columns="group")
    return named[[*([by] if by else []), "stage", "n", "kept", "share", "low", "high", "most_missing"]]


def _held(
    leads: pd.DataFrame, contracts: Sequence[Contract], stage: str
) -> tuple[npt.NDArray[np.bool_], list[str], npt.NDArray[np.bool_]]:
    """Which leads are held against a contract of a step, its fields, and what is lacking (lead, field)."""
    unchecked = unchecked_fields(leads, contracts=contracts)
    own = [contract for contract in contracts if contract.stage == stage]
    asked_for = dict.fromkeys(field for contract in own for field in contract.fields)
    fields: list[str] = [field for field in asked_for if field not in unchecked]
    column = CONTRACT_STAGES[stage]
    claims = leads[column].notna().to_numpy() if column in leads else np.zeros(len(leads), dtype=bool)
    source = leads["source"] if "source" in leads else pd.Series(None, leads.index, dtype=object)
    special = source.isin([name for contract in own for name in contract.sources]).to_numpy()
    asked = np.zeros((len(leads), len(fields)), dtype=bool)
    for contract in own:
        meant = source.isin(contract.sources).to_numpy() if contract.sources else ~special
        asked |= meant[:, None] & np.isin(fields, contract.fields)[None, :]
    empty = ~np.stack([_filled(leads, field) for field in fields], axis=1) if fields else asked
    return claims & asked.any(axis=1), fields, asked & empty


def _filled(leads: pd.DataFrame, field: str) -> npt.NDArray[np.bool_]:
    """Whether a lead has something in a field; blanks are nothing."""
    if field not in leads:
        return np.zeros(len(leads), dtype=bool)
    column = leads[field]
    blank = [value for value in column.unique() if isinstance(value, str) and not value.strip()]
    return np.asarray(column.notna() & ~column.isin(blank))
