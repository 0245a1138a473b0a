"""Rules that look across rows, tables and the whole export, on small exports and on a real one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from salessim.crm import GAPS, Tables, read, write_quality_report
from salessim.crm.names import near_names
from salessim.model import Contract

WriteExport = Callable[[Mapping[str, str | bytes]], Path]

HEADER = "opportunity_id,rep,account,product,stage,created,closed,amount,next_step,next_step_date"
DEALS = f"""{HEADER}
D1,Rep Alpha,Firm One,Basic,won,2026-01-05,2026-02-20,1200,,
D2,Rep Alpha,Firm Two,Basic,lost,2026-01-10,2026-03-01,,,
D3,Rep Beta,Firm One,Plus,warm lead,2026-03-01,,800,call,2026-04-10
"""
AS_OF = date(2026, 3, 31)


def found(tables: Tables, rule: str) -> list[tuple[str, int, str, str]]:
    issues = tables.quality.issues.query("rule == @rule")
    return list(issues[["table", "row", "field", "value"]].itertuples(index=False, name=None))


def rules_of(tables: Tables) -> set[str]:
    return set(tables.quality.issues["rule"])


def gaps_of(tables: Tables) -> dict[str, str]:
    return dict(zip(tables.quality.findings["rule"], tables.quality.findings["finding"], strict=True))


# --- rows -----------------------------------------------------------------------------------------


def test_history_outside_the_life_of_its_deal(write_export: WriteExport) -> None:
    history = (
        "opportunity_id,stage,entered\nD1,cold lead,2026-01-04\nD1,won,2026-02-20\nD1,warm lead,2026-02-21\n"
        "D3,warm lead,2026-03-01\nD3,closing deal,2026-03-20\nD9,cold lead,2026-01-01\n"
    )
    tables = read(write_export({"opportunities.csv": DEALS, "stage_history.csv": history}), as_of=AS_OF)
    assert found(tables, "stage entered before the deal was created") == [
        ("stage_history", 2, "entered", "2026-01-04, created 2026-01-05")
    ]
    assert found(tables, "stage entered after the deal was closed") == [
        ("stage_history", 4, "entered", "2026-02-21, closed 2026-02-20")
    ]
    assert found(tables, "refers to an unknown deal") == [("stage_history", 7, "opportunity_id", "D9")]
    assert len(tables.stage_history) == 6


def test_a_closed_deal_with_a_next_step_ahead(write_export: WriteExport) -> None:
    line = "D4,Rep Beta,Firm,Plus,lost,2026-01-01,2026-02-02,,call back,2026-05-01\n"
    tables = read(write_export({"opportunities.csv": DEALS + line}), as_of=AS_OF)
    assert found(tables, "next step of a closed deal") == [
        ("opportunities", 5, "next_step_date", "2026-05-01")
    ]


def test_a_planned_date_in_words_costs_no_deal(write_export: WriteExport) -> None:
    line = "D4,Rep Beta,Firm,Plus,won,2026-01-01,2026-02-02,70,call back,next week\n"
    tables = read(write_export({"opportunities.csv": DEALS + line}), as_of=AS_OF)
    assert found(tables, "planned date not readable") == [("opportunities", 5, "next_step_date", "next week")]
    assert tables.opportunities["amount"].sum() == 1200 + 800 + 70


def test_an_amount_out_of_all_proportion(write_export: WriteExport) -> None:
    lines = [f"E{n},Rep Beta,F{n},Plus,won,2026-01-01,2026-02-02,{1000 + n},," for n in range(25)]
    lines.append("E99,Rep Beta,F99,Plus,won,2026-01-01,2026-02-02,1100000,,")
    tables = read(write_export({"opportunities.csv": DEALS + "\n".join(lines)}), as_of=AS_OF)
    assert found(tables, "amount out of all proportion") == [("opportunities", 30, "amount", "1100000")]


def test_probabilities_are_percent(write_export: WriteExport, tmp_path: Path) -> None:
    path = tmp_path / "ours.yaml"
    path.write_text(
        "name: ours\nstages: {Talk: open, Won: won, Lost: lost}\ntables:\n  opportunities:\n    columns: "
        "{opportunity_id: I, rep: R, stage: S, created: C, closed: E, amount: A, probability: P}\n"
    )
    lines = [f"{n},Ann,Talk,2026-01-0{n},,5,{p}" for n, p in enumerate(["10%", "120", "maybe", ""], start=1)]
    tables = read(write_export({"d.csv": "I,R,S,C,E,A,P\n" + "\n".join(lines)}), column_map=path)
    assert [line[3] for line in found(tables, "probability outside 0 to 100")] == ["120", "maybe"]
    assert "probability" not in tables.opportunities


LEADS = """lead_id,source,created,mql,sql,company,position
L1,web,2026-01-02,2026-01-03,,Firm One,buyer
L2,web,2026-01-02,2026-01-03,2026-01-09,,buyer
L3,fair,2026-01-02,,,,
"""


def test_leads_that_break_their_contract(write_export: WriteExport) -> None:
    contracts = (
        Contract(stage="MQL", fields=("company",)),
        Contract(stage="SQL", fields=("company", "position", "email")),
    )
    tables = read(write_export({"opportunities.csv": DEALS, "leads.csv": LEADS}), contracts=contracts)
    assert found(tables, "lead breaks the contract") == [
        ("leads", 3, "contract", "MQL without company; SQL without company")
    ]
    # no lead has an e-mail: the export lacks the field, which is one finding and not one per lead
    assert "no values for email; the SQL contract" in gaps_of(tables)["contract cannot be checked"]


@pytest.mark.parametrize(
    ("counts", "listed", "wrong"),
    [
        ({"GTXPro": 9, "GTX Pro": 3}, set(), {"GTX Pro": "GTXPro"}),
        ({"GTXPro": 9}, {"GTX Pro"}, {"GTXPro": "GTX Pro"}),
        ({"Acme Ltd.": 1, "ACME Ltd": 4}, set(), {"Acme Ltd.": "ACME Ltd"}),
        ({"technology": 10, "technolgy": 2}, set(), {"technolgy": "technology"}),
        ({"technology": 10, "technolgy": 9}, set(), {}),  # as frequent: nobody can tell
        ({"Product A": 90, "Product B": 1}, set(), {}),
        ({"Series 1000": 90, "Series 1001": 1}, set(), {}),
        ({"retail": 90, "rental": 1}, set(), {}),
        ({"-": 1, "?": 5}, set(), {}),
    ],
)
def test_near_names(counts: dict[str, int], listed: set[str], wrong: dict[str, str]) -> None:
    assert near_names(counts, listed=listed) == wrong


def test_names_of_people_are_not_compared_letter_by_letter() -> None:
    assert near_names({"Jan Kowalski": 50, "Jan Kowalska": 1}, by_letter=False) == {}


# --- the whole export -----------------------------------------------------------------------------


def test_what_an_export_lacks_is_told_with_the_figures_it_costs(
    write_export: WriteExport, tmp_path: Path
) -> None:
    tables = read(write_export({"opportunities.csv": DEALS}))
    gaps = gaps_of(tables)
    assert set(gaps) == {
        "no stage history",
        "no source of leads",
        "no leads",
        "no expected close dates",
        "no segments",
        "no start dates of sellers",
        "no quotas",
    }
    assert "bottleneck cannot be given" in gaps["no stage history"]
    assert set(gaps) < set(GAPS)
    written = pd.read_csv(write_quality_report(tables.quality, tmp_path / "q.csv"), encoding="utf-8-sig")
    assert written["rule"].tolist() == list(gaps)
    assert written["severity"].eq("suspicious").all()
    assert written["row"].isna().all()


# --- a real export: every quirk is found by a rule -------------------------------------------------


@pytest.fixture(scope="module")
def maven(real_data: Path) -> Tables:
    return read(real_data / "maven_crm")


def test_each_known_quirk_of_a_real_export_is_found_by_a_rule(maven: Tables) -> None:
    rows = maven.quality.summary().set_index("rule")["rows"].to_dict()
    assert rows == {
        "stale open deal": 530,
        "open deal without an account": 1345,
        "open deal without an amount": 2909,
        "deal without a created date": 500,
        "possible duplicate": 25,
        "seller without any deal": 5,
        "misspelt value": 1285 + 12,
    }
    gaps = gaps_of(maven)
    assert {"cut off on the left", "no stage history", "no source of leads", "no expected amounts"} <= set(
        gaps
    )
    assert "first complete quarter is 2017Q2" in gaps["cut off on the left"]


def test_without_declared_corrections_the_misspelling_is_suspected(real_data: Path, tmp_path: Path) -> None:
    from importlib.resources import files

    shipped = (files("salessim.crm") / "maps" / "maven_crm.yaml").read_text(encoding="utf-8")
    own = shipped.replace("currency: USD", "")
    for line in ("      product: {GTXPro: GTX Pro}\n", "      industry: {technolgy: technology}\n"):
        assert line in own
        own = own.replace("    corrections:\n" + line, "")
    path = tmp_path / "own.yaml"
    path.write_text(own, encoding="utf-8")
    tables = read(real_data / "maven_crm", column_map=path)
    suspected = found(tables, "possible misspelling")
    assert {value for _, _, _, value in suspected} == {"GTXPro, like GTX Pro"}
    assert len(suspected) == 1285
    assert "no currency" in gaps_of(tables)


# --- texts --------------------------------------------------------------------------------


def test_texts_are_plain_objects_and_equal_ones_are_shared(maven: Tables) -> None:
    reps = maven.opportunities["rep"]
    assert reps.dtype == object
    assert len({id(name) for name in reps}) == reps.nunique()
