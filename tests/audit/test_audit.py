"""The re-qualification audit: small pipelines worked out by hand, then what holds for the example company."""

from __future__ import annotations

import dataclasses
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from salessim.audit import Audit, audit, read_evidence_sheet
from salessim.crm.canonical import SPECS, Tables, empty
from salessim.crm.quality import QualityReport
from salessim.errors import DataError, ParameterError
from salessim.library import example_scenario
from salessim.model import Scenario

ON = date(2026, 6, 30)

SCENARIO = """
name: a ladder of four stages
currency: EUR
calendar: {first_quarter: 2026Q3, quarters: 4}
criteria:
  - {name: decision maker, question: Do we talk to somebody with power?}
  - {name: pain, question: Does it hurt?}
  - {name: next step, question: Is a next step agreed?}
  - {name: value, question: Is the value understood?}
segments:
  - name: all
    stages:
      - {name: cold, close_probability: 0.1, counts_as: MQL, exit_criteria: [decision maker]}
      - {name: warm, close_probability: 0.2, exit_criteria: [pain, next step]}
      - {name: potential, close_probability: 0.5, exit_criteria: [value], crm_names: [Offer sent]}
      - {name: closing, close_probability: 0.8}
    sources: [{name: outbound, kind: self-sourced, leads_per_week: 2}]
    deal_size: {mean: 1000, cv: 1}
roles: [{name: AE}]
reps: [{name: Ann, role: AE}]
"""


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return Scenario.from_yaml(SCENARIO)


def table(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = empty(name)
    for column in frame.columns:
        values = [row.get(column) for row in rows]
        kind = "datetime64[ns]" if SPECS[name].columns.get(column) == "date" else frame[column].dtype
        frame[column] = pd.Series([2] * len(rows) if column == "row" else values, dtype=kind)
    return frame


def pipeline(
    deals: list[dict[str, Any]],
    evidence: list[dict[str, Any]] | None = None,
    leads: list[dict[str, Any]] | None = None,
    stages: tuple[str, ...] = ("warm", "potential", "Offer sent", "closing"),
) -> Tables:
    """Open deals with what is known of them; everything else of an export is empty."""
    usual = {"rep": "Ann", "segment": "all", "status": "open", "created": "2026-06-01", "amount": 100.0}
    return Tables(
        opportunities=table("opportunities", [usual | deal for deal in deals]),
        evidence=table("evidence", evidence or []),
        leads=table("leads", leads or []),
        reps=empty("reps"),
        accounts=empty("accounts"),
        stage_history=empty("stage_history"),
        quotas=empty("quotas"),
        as_of=ON,
        currency="EUR",
        quality=QualityReport(pd.DataFrame(), pd.DataFrame()),
        files=(),
        column_map="test",
        stages=stages,
    )


def known(deal: str, *criteria: str, noted: str | None = "2026-06-20") -> list[dict[str, Any]]:
    return [
        {"opportunity_id": deal, "criterion": name, "evidence": "given", "noted": noted} for name in criteria
    ]


def deal(number: str, stage: str, **more: Any) -> dict[str, Any]:
    return {"opportunity_id": number, "stage": stage} | more


def agreed(step: str = "2026-07-08", purchase: str = "2026-08-15") -> dict[str, Any]:
    return {"next_step": "site visit", "next_step_date": step, "purchase_date": purchase}


def by_deal(found: Audit) -> dict[str, dict[str, Any]]:
    return {row["opportunity_id"]: row for row in found.deals.to_dict("records")}  # type: ignore[misc]


def test_a_deal_stands_in_the_first_stage_that_is_not_all_evidenced(scenario: Scenario) -> None:
    deals = [
        deal("all", "closing", **agreed()),
        deal("cold", "closing", amount=900.0, **agreed()),
        deal("painless", "potential", **agreed()),
        deal("further", "warm", **agreed()),
        deal("named otherwise", "Offer sent", **agreed()),
    ]
    evidence = [
        *known("all", "decision maker", "pain", "value"),
        *known("cold", "pain", "value"),
        *known("painless", "Decision Maker"),
        *known("further", "decision maker", "pain", "value"),
        *known("named otherwise", "decision maker", "pain"),
    ]
    found = audit(pipeline(deals, evidence), scenario)
    rows = by_deal(found)
    standing = {
        number: (row["claimed_stage"], row["evidenced_stage"], row["move"]) for number, row in rows.items()
    }
    assert standing == {
        "all": ("closing", "closing", "stays"),
        "cold": ("closing", "cold", "back"),
        "painless": ("potential", "warm", "back"),
        "further": ("warm", "closing", "forward"),
        "named otherwise": ("potential", "potential", "stays"),
    }
    assert rows["cold"]["cold"]
    assert not rows["painless"]["cold"]
    assert rows["cold"]["missing"] == ("decision maker",)
    assert rows["cold"]["to_do"] == "Find out: do we talk to somebody with power?"
    assert rows["named otherwise"]["missing"] == ("value",)
    assert found.deals["opportunity_id"].iat[0] == "cold"  # the largest first
    assert found.to_requalify()["opportunity_id"].tolist() == ["cold", "painless"]
    assert rows["cold"]["claimed_weighted"] == pytest.approx(720)
    assert rows["cold"]["evidenced_weighted"] == pytest.approx(90)


def test_what_is_missing_later_is_listed_apart(scenario: Scenario) -> None:
    tables = pipeline(
        [deal("D", "closing"), deal("E", "warm", **agreed())], known("E", "pain", "value", "decision maker")
    )
    row = by_deal(audit(tables, scenario))["D"]
    assert (row["missing"], row["missing_later"]) == (("decision maker",), ("pain", "next step", "value"))
    assert row["why"] == (
        "decision maker: no evidence; pain: no evidence; no next step; no day of purchase; value: no evidence"
    )


@pytest.mark.parametrize(
    ("fields", "stage", "why"),
    [
        (agreed(), "potential", ""),
        (agreed(step="2026-06-30", purchase="2026-08-30"), "potential", ""),  # today, and the 61st day
        (agreed(step="2026-06-29"), "warm", "next step was due on 2026-06-29"),
        (agreed(purchase="2026-08-31"), "warm", "purchase not before 2026-08-31"),
        (agreed(purchase="2026-06-01"), "warm", "purchase was due on 2026-06-01"),
        ({"next_step": "call", "purchase_date": "2026-07-30"}, "warm", "next step without a date"),
        ({"next_step_date": "2026-07-02"}, "warm", "no day of purchase"),
    ],
)
def test_a_next_step_is_proven_by_dates(
    fields: dict[str, Any], stage: str, why: str, scenario: Scenario
) -> None:
    tables = pipeline(
        [deal("D", "potential", **fields), deal("E", "warm", **agreed())],
        [*known("D", "decision maker", "pain"), *known("E", "value")],
    )
    row = by_deal(audit(tables, scenario))["D"]
    assert row["evidenced_stage"] == stage
    assert row["why"] == (why or "value: no evidence")


def test_who_buys_later_belongs_in_nurture(scenario: Scenario) -> None:
    tables = pipeline(
        [deal("D", "potential", **agreed(purchase="2026-12-24"))], known("D", "decision maker", "pain")
    )
    row = by_deal(audit(tables, scenario))["D"]
    assert row["to_do"] == "Put it in nurture: the customer buys on 2026-12-24; ask again two months before"
    near = by_deal(audit(tables, scenario, purchase_within_days=180))["D"]
    assert near["evidenced_stage"] == "potential"


def test_without_days_of_purchase_the_expected_close_stands_in(scenario: Scenario) -> None:
    deals = [
        deal("D", "potential", next_step_date="2026-07-08", expected_close="2026-06-01"),
        deal("E", "potential", next_step_date="2026-07-08", expected_close="2026-07-20"),
    ]
    evidence = [*known("D", "decision maker", "pain"), *known("E", "decision maker", "pain")]
    found = audit(pipeline(deals, evidence), scenario)
    assert by_deal(found)["D"]["why"] == "expected close was due on 2026-06-01"
    assert by_deal(found)["E"]["evidenced_stage"] == "potential"
    assert any("expected close stands in" in note for note in found.notes)
    assert found.deals["purchase_date"].isna().all()  # it is not what the customer said


def test_evidence_ages_and_says_when(scenario: Scenario) -> None:
    deals = [deal(name, "warm", **agreed(step="2026-09-01", purchase="2026-08-28")) for name in "ABCD"]
    evidence = [
        *known("A", "decision maker", noted="2026-04-01"),  # 90 days ago
        *known("B", "decision maker", noted="2026-03-31"),
        *known("C", "decision maker", noted=None),
        *known("D", "decision maker", noted="2026-07-01"),
        *known("A", "pain", noted="2026-06-30"),
    ]
    rows = by_deal(audit(pipeline(deals, evidence), scenario))
    assert [rows[name]["evidenced_stage"] for name in "ABCD"] == ["potential", "cold", "warm", "cold"]
    assert rows["A"]["days_until_stale"] == 0
    assert rows["B"]["why"] == "decision maker: noted 2026-03-31, too old"
    assert rows["C"]["days_until_stale"] == 59  # the day of purchase is the first to pass
    assert rows["D"]["why"] == "decision maker: noted for 2026-07-01, which is still to come"
    longer = by_deal(audit(pipeline(deals, evidence), scenario, stale_after_days=91))
    assert longer["B"]["evidenced_stage"] == "warm"
    assert longer["B"]["days_until_stale"] == 0


def test_a_criterion_without_any_evidence_is_held_against_nobody(scenario: Scenario) -> None:
    tables = pipeline([deal("D", "closing"), deal("E", "warm")], known("E", "decision maker"))
    found = audit(tables, scenario)
    assert found.unchecked == ("pain", "next step", "value")
    assert by_deal(found)["D"]["evidenced_stage"] == "cold"
    assert by_deal(found)["E"]["move"] == "stays"  # nobody moves forward on what cannot be checked
    assert set(found.evidence["state"]) == {"evidenced", "missing", "not checked"}


def test_mql_contracts_are_read_from_the_lead(scenario: Scenario) -> None:
    own = SCENARIO.replace("exit_criteria: [decision maker]", "exit_criteria: [MQL contract]")
    fields = {"mql": "2026-05-02", "industry": "food", "company_size": "small", "contact": "given"}
    leads = [
        {"lead_id": "L1", "opportunity_id": "D", "company": "Acme", "position": "buyer"} | fields,
        {"lead_id": "L2", "opportunity_id": "E", "company": "Birch"} | fields,
    ]
    tables = pipeline([deal(name, "potential", **agreed()) for name in "DEF"], leads=leads)
    own = own.replace(
        "  - {name: decision maker",
        "  - {name: MQL contract, question: Is it kept?}\n  - {name: decision maker",
    )
    rows = by_deal(audit(tables, Scenario.from_yaml(own)))
    assert [rows[name]["evidenced_stage"] for name in "DEF"] == ["potential", "cold", "potential"]
    assert rows["E"]["to_do"] == "Complete the lead in the CRM (the lead lacks position)"


def test_a_deal_older_than_nearly_all_that_closed_goes_back_to_the_start(scenario: Scenario) -> None:
    closed = [
        deal(f"C{k}", "won", status="won", created="2026-01-01", closed=f"2026-02-{k + 1:02d}")
        for k in range(25)
    ]
    deals = [
        *closed,
        deal("old", "potential", created="2026-04-01"),
        deal("young", "potential", created="2026-05-30"),
    ]
    found = audit(pipeline(deals), scenario)
    rows = by_deal(found)
    assert found.dead_after_days == 55
    assert rows["old"]["dead"]
    assert rows["old"]["evidenced_stage"] == "cold"
    assert rows["old"]["evidenced_weighted"] == 0
    assert rows["old"]["why"].startswith("open for 90 days")
    assert rows["young"]["days_until_stale"] == 55 - 31
    few = audit(pipeline([*closed[:19], *deals[25:]]), scenario)
    assert not few.deals["dead"].any()
    assert few.deals["days_until_stale"].isna().all()


def test_an_amount_that_the_crm_does_not_have_is_the_average(scenario: Scenario) -> None:
    found = audit(pipeline([deal("D", "warm", amount=None), deal("E", "warm")]), scenario)
    assert by_deal(found)["D"]["amount"] == 1000
    assert found.deals["amount_is_typical"].tolist() == [True, False]
    assert any("1 open deal has no amount" in note for note in found.notes)


def test_chances_are_those_that_were_measured(scenario: Scenario) -> None:
    measured = Scenario.from_yaml(
        SCENARIO.replace("close_probability: 0.8", "close_probability: 0.6")
        .replace("{name: potential, close_probability: 0.5", "{name: potential, close_probability: 0.3")
        .replace(
            "      - {name: cold, close_probability: 0.1, counts_as: MQL, exit_criteria: [decision maker]}\n",
            "",
        )
        .replace("      - {name: warm, close_probability: 0.2, exit_criteria: [pain, next step]}\n", "")
    )
    tables = pipeline([deal("D", "closing")], known("D", "pain"))
    row = by_deal(audit(tables, scenario, calibrated=measured))["D"]
    assert row["claimed_chance"] == 0.6
    both = by_deal(
        audit(
            pipeline([deal("D", "potential"), deal("E", "warm")], known("E", "decision maker")),
            scenario,
            calibrated=measured,
        )
    )
    assert both["E"]["claimed_chance"] == pytest.approx(
        0.3 * 0.2 / 0.5
    )  # the scenario's step, the measured value
    assert both["D"]["evidenced_chance"] == pytest.approx(0.3 * 0.1 / 0.5)


def test_without_exit_criteria_the_fields_criteria_are_spread_over_the_crms_stages(
    scenario: Scenario,
) -> None:
    plain = scenario.model_copy(
        update={
            "criteria": (),
            "segments": tuple(
                part.model_copy(
                    update={"stages": tuple(s.model_copy(update={"exit_criteria": ()}) for s in part.stages)}
                )
                for part in scenario.segments
            ),
        }
    )
    stages = ("qualification", "needs analysis", "proposal", "negotiation")
    tables = pipeline(
        [deal("D", "proposal"), deal("E", "qualification")],
        known("D", "decision maker", "pain"),
        stages=stages,
    )
    found = audit(tables, plain)
    assert found.stages == stages
    assert any(
        "to leave qualification: decision maker, pain; needs analysis: next step, fit; proposal: value"
        in note
        for note in found.notes
    )
    assert by_deal(found)["D"]["claimed_stage"] == "proposal"


def test_stages_that_the_scenario_does_not_know_are_named(scenario: Scenario) -> None:
    found = audit(pipeline([deal("D", "Angebot")], stages=("Anfrage", "Angebot")), scenario)
    assert any("does not know the stages 'Angebot', so" in note for note in found.notes)
    assert found.stages == ("Anfrage", "Angebot")
    assert any("no chance to win is known, so" in note for note in found.notes)
    assert found.deals["claimed_weighted"].isna().all()
    stages = found.by_stage().set_index("stage")["weighted_before"]
    assert stages["Anfrage"] == 0  # no deal there
    assert stages.isna()["Angebot"]


def test_a_segment_that_the_scenario_does_not_know_has_the_stages_of_one_that_fits(
    scenario: Scenario,
) -> None:
    tables = pipeline(
        [deal("D", "closing", segment="public"), deal("E", "warm")], known("E", "decision maker")
    )
    found = audit(tables, scenario)
    assert by_deal(found)["D"]["evidenced_stage"] == "cold"
    assert any("no segment 'public'; the stages of 'all' stand in" in note for note in found.notes)


def test_before_and_after_reconcile(example: Tables) -> None:
    found = audit(example, example_scenario())
    deals, stages, reps = found.deals, found.by_stage(), found.by_rep()
    is_open = example.opportunities["status"] == "open"
    assert len(deals) == is_open.sum() == deals["opportunity_id"].nunique()
    for when in ("before", "after"):
        assert stages[f"deals_{when}"].sum() == len(deals)
        assert stages[f"value_{when}"].sum() == pytest.approx(deals["amount"].sum())
        assert stages[f"weighted_{when}"].sum() == pytest.approx(reps[f"weighted_{when}"].sum())
    assert reps["deals"].sum() == len(deals)
    assert reps["value_in_place"].sum() == pytest.approx(deals.loc[deals["move"] != "back", "amount"].sum())
    assert reps["moved_back"].sum() == len(found.to_requalify())
    given = example.opportunities.loc[is_open, "amount"].dropna()
    assert deals.loc[~deals["amount_is_typical"], "amount"].sum() == pytest.approx(given.sum())


def test_about_a_third_of_the_examples_deals_claim_too_much_and_one_story_is_the_fields(
    example: Tables,
) -> None:
    found = audit(example, example_scenario())
    assert 0.2 < len(found.to_requalify()) / len(found.deals) < 0.45
    story = found.to_requalify().iloc[0]
    assert "offer under review" in story["next_step"]
    assert (story["claimed_stage"], story["evidenced_stage"]) == ("closing deal", "cold lead")
    assert {"decision maker", "pain"} <= {*story["missing"], *story["missing_later"]}
    assert found.unchecked == ("signature",)


def test_a_later_day_makes_the_same_pipeline_stale(example: Tables) -> None:
    now = audit(example, example_scenario())
    later = audit(example, example_scenario(), on=date(2026, 8, 15))
    assert len(later.to_requalify()) > len(now.to_requalify())
    fresh = now.deals.set_index("opportunity_id")["days_until_stale"]
    moved = later.to_requalify().set_index("opportunity_id")["claimed_stage"]
    stays = now.deals.loc[now.deals["move"] == "stays", "opportunity_id"]
    # whoever fell back in between had something that ran out by then
    assert (fresh[moved.index.intersection(pd.Index(stays))] < 46).all()


def test_wrong_settings_and_empty_pipelines_are_refused(example: Tables, scenario: Scenario) -> None:
    with pytest.raises(ParameterError, match="stale_after_days is 0; it must be 1 or more"):
        audit(example, scenario, stale_after_days=0)
    none = dataclasses.replace(example, opportunities=example.opportunities.iloc[:0])
    with pytest.raises(DataError, match="no open deals"):
        audit(none, scenario)


def test_real_export_without_evidence_is_judged_by_age_alone(
    without_evidence: Tables, scenario: Scenario
) -> None:
    found = audit(without_evidence, scenario)
    assert len(found.deals) == 2_909
    assert set(found.unchecked) == {criterion.name for criterion in found.criteria}
    assert (found.deals["dead"] == (found.deals["move"] == "back")).all()
    assert 530 <= found.deals["dead"].sum() <= 700  # 530 are older than any that ever closed
    assert found.by_stage()["value_before"].sum() == pytest.approx(found.by_stage()["value_after"].sum())


def test_the_sheet_of_the_team_has_the_last_word(scenario: Scenario, tmp_path: Path) -> None:
    tables = pipeline(
        [deal(name, "potential", **agreed(step="2026-06-01")) for name in ("D", "E", "F")],
        [*known("D", "decision maker", "pain"), *known("E", "pain"), *known("F", "pain")],
    )
    path = tmp_path / "sheet.csv"
    path.write_text(
        "Deal;decision maker;next step date;purchase date;mood\n"
        "D;no;2026-07-08;2026-08-01;good\n"
        "E;2026-06-25 the head of quality;08.07.2026;01.08.2026;\n"
        "X;yes;;;\n",
        encoding="utf-8",
    )
    found = audit(tables, scenario, evidence=read_evidence_sheet(path))
    rows = by_deal(found)
    assert rows["D"]["evidenced_stage"] == "cold"  # what stood in the CRM is not so
    assert rows["E"]["evidenced_stage"] == "potential"
    assert rows["F"]["evidenced_stage"] == "cold"  # not in the sheet: the CRM decides
    assert rows["E"]["next_step_date"] == pd.Timestamp("2026-07-08")
    assert found.unknown.to_numpy().tolist() == [["X", 4, "not in the export"]]
    assert any("no criterion were not used: mood" in note for note in found.notes)
