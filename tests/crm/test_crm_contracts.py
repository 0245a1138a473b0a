"""MQL and SQL contracts: which leads lack what was agreed, and who hands them over."""

from __future__ import annotations

import dataclasses
from typing import Literal

import pandas as pd
import pytest

from salessim.crm import read
from salessim.crm.canonical import Tables, empty
from salessim.crm.contracts import contract_gaps, contracts_kept, unchecked_fields
from salessim.errors import ParameterError
from salessim.intervals import wilson
from salessim.library import example_crm
from salessim.model import DEFAULT_CONTRACTS, Contract

CONTRACTS = (
    Contract(stage="MQL", fields=("company", "position")),
    Contract(stage="MQL", fields=("contact",), sources=("referral",)),
    Contract(stage="SQL", fields=("company", "email")),
)


@pytest.fixture(scope="module")
def example() -> Tables:
    return read(example_crm())


def leads() -> pd.DataFrame:
    day = pd.Timestamp("2026-01-05")
    rows = [
        # id, source, rep, mql, sql, company, position, contact, email
        ["L1", "website", "Ann", day, day, "Acme", "buyer", "given", "given"],
        ["L2", "website", "Ann", day, day, None, "  ", "given", None],
        ["L3", "referral", "Bo", day, pd.NaT, None, None, None, None],
        ["L4", "website", "Bo", pd.NaT, pd.NaT, None, None, None, None],
        ["L5", None, None, day, pd.NaT, "Elm", None, "given", None],
    ]
    names = ["lead_id", "source", "rep", "mql", "sql", "company", "position", "contact", "email"]
    return pd.DataFrame(rows, columns=names, index=[10, 11, 12, 13, 14])


def test_only_leads_that_claim_the_step_are_held_against_its_contract() -> None:
    found = contract_gaps(leads(), contracts=CONTRACTS)
    assert found.to_numpy().tolist() == [
        ["L2", "MQL", ("company", "position")],
        ["L2", "SQL", ("company", "email")],
        ["L3", "MQL", ("contact",)],  # its source has a contract of its own
        ["L5", "MQL", ("position",)],  # no source: the general contract
    ]
    assert found.index.tolist() == [11, 11, 12, 14]


def test_fields_that_the_export_does_not_have_are_told_apart_from_missing_ones() -> None:
    without = leads().drop(columns="email").assign(position=None)
    assert unchecked_fields(without, contracts=CONTRACTS) == ("position", "email")
    found = contract_gaps(without, contracts=CONTRACTS)
    assert found["missing"].tolist() == [("company",), ("company",), ("contact",)]
    assert unchecked_fields(leads(), contracts=CONTRACTS) == ()


def test_two_contracts_of_one_step_add_up() -> None:
    more = (*CONTRACTS, Contract(stage="MQL", fields=("email", "company")))
    found = contract_gaps(leads(), contracts=more)
    theirs = found[(found["lead_id"] == "L5") & (found["stage"] == "MQL")]
    assert theirs["missing"].tolist() == [("position", "email")]


def test_no_leads_no_contracts_no_gaps() -> None:
    assert contract_gaps(empty("leads"), contracts=DEFAULT_CONTRACTS).empty
    assert contract_gaps(leads(), contracts=()).empty
    assert list(contract_gaps(leads(), contracts=()).columns) == ["lead_id", "stage", "missing"]


def test_kept_by_source_and_rep_with_wilson(example: Tables) -> None:
    tables = dataclasses.replace(example, leads=leads())
    by_source = contracts_kept(tables, contracts=CONTRACTS)
    assert by_source[["source", "stage", "n", "kept", "most_missing"]].values.tolist() == [
        ["not given", "MQL", 1, 0, "position"],
        ["referral", "MQL", 1, 0, "contact"],
        ["website", "MQL", 2, 1, "company"],
        ["website", "SQL", 2, 1, "company"],
    ]
    share, low, high = wilson([1.0], [2.0])
    assert by_source.loc[2, ["share", "low", "high"]].tolist() == [share[0], low[0], high[0]]
    by_rep = contracts_kept(tables, contracts=CONTRACTS, by="rep")
    assert by_rep.set_index(["rep", "stage"])["n"].to_dict() == {
        ("Ann", "MQL"): 2, ("Ann", "SQL"): 2, ("Bo", "MQL"): 1, ("not given", "MQL"): 1,
    }  # fmt: skip
    together = contracts_kept(tables, contracts=CONTRACTS, by=None)
    assert together.set_index("stage")[["n", "kept"]].to_dict("index") == {
        "MQL": {"n": 4, "kept": 1},
        "SQL": {"n": 2, "kept": 1},
    }


def test_kept_and_gaps_reconcile_on_the_example(example: Tables) -> None:
    gaps = contract_gaps(example.leads, contracts=DEFAULT_CONTRACTS)
    groupings: tuple[Literal["source", "rep"] | None, ...] = ("source", "rep", None)
    for by in groupings:
        kept = contracts_kept(example, contracts=DEFAULT_CONTRACTS, by=by)
        assert (kept["n"] - kept["kept"]).sum() == len(gaps)
        assert kept.loc[kept["stage"] == "MQL", "n"].sum() == example.leads["mql"].notna().sum()
    assert 0 < len(gaps) < example.leads["mql"].notna().sum()


def test_another_grouping_is_refused(example: Tables) -> None:
    with pytest.raises(ParameterError, match="by is 'segment'; it must be 'source', 'rep' or None"):
        contracts_kept(example, contracts=DEFAULT_CONTRACTS, by="segment")  # type: ignore[arg-type]
