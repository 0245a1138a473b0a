"""Quotas of past quarters in the report: who counts, which quarter is judged, and what luck is said to be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from salessim import briefing, crm, measures
from salessim.briefing import Briefing
from salessim.crm.quotas import managers_with_team_quota
from salessim.library import example_crm
from salessim.plans import RaiseRule
from tests.test_briefing import cells

Export = Callable[[dict[str, str]], Path]

#: What each of five reps books in each quarter of the export below.
BOOKED = {"Rep 1": 200, "Rep 2": 180, "Rep 3": 160, "Rep 4": 140, "Rep 5": 90}
QUARTERS = ("2025Q1", "2025Q2", "2025Q3", "2025Q4", "2026Q1", "2026Q2")
PLAN = "name: flat\nannual_quota: 400\nannual_team_plan: 3200\n"

Quotas = dict[tuple[str, str], float]


@pytest.fixture(autouse=True)
def short_laboratory(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the laboratory finds is not looked at here."""
    monkeypatch.setattr("salessim.briefing.raising.HISTORIES", 100)


def quotas(amount: float = 100, *, quarters: tuple[str, ...] = QUARTERS) -> Quotas:
    return {(rep, quarter): amount for rep in BOOKED for quarter in quarters}


def report(
    write_export: Export,
    asked: Quotas,
    *,
    reps: tuple[str, ...] = tuple(BOOKED),
    as_of: str = "2026-06-30",
    plan: str = PLAN,
    extra: str = "",
) -> Briefing:
    """Report of 2026Q2 of a company whose reps book the same each quarter, in ten deals, and lose as many;
    ``extra`` are more lines of deals."""
    lines = ["opportunity_id,name,rep,account,segment,source,stage,created,closed,expected_close,amount"]
    for quarter in QUARTERS:
        first = pd.Period(quarter, freq="Q").start_time
        for rep in reps:
            for k in range(20):
                closed = first + pd.Timedelta(days=4 * k + 8)
                created = closed - pd.Timedelta(days=8)
                stage, amount = ("won", BOOKED[rep] / 10) if k % 2 == 0 else ("lost", "")
                name = f"{quarter} {rep} {k}"
                if k == 0:  # the export begins and ends with the quarters
                    closed = first
                if closed <= pd.Timestamp(as_of):
                    lines.append(
                        f"{name},{name},{rep},Amber Ltd,all,web,{stage},{created:%Y-%m-%d},"
                        f"{closed:%Y-%m-%d},,{amount}"
                    )
    people = "".join(f"{rep},Manager\n" for rep in reps)
    folder = write_export(
        {
            "opportunities.csv": "\n".join(lines) + f"\n{extra}",
            "reps.csv": f"rep,manager\n{people}",
            "quotas.csv": "rep,period,quota\n"
            + "".join(f"{rep},{quarter},{amount}\n" for (rep, quarter), amount in asked.items()),
        }
    )
    path = folder.parent / "plan.yaml"
    path.write_text(plan, encoding="utf-8")
    return briefing.prepare(crm_folder=str(folder), quarter="2026Q2", as_of=as_of, plan=str(path))


# --- who counts --------------------------------------------------------------------------------------------


def test_bookings_without_a_quota_count_for_the_team_plan(write_export: Export) -> None:
    asked = {key: amount for key, amount in quotas().items() if key[0] != "Rep 1"}
    text = briefing.contrast_of_the_quarter(report(write_export, asked))
    # 770 of 800: the 200 of the rep without a quota among them
    assert "3 of 4 reps made quota" in text
    assert "the team booked 96 % of its plan with quotas that add up to 50 % of it" in text


def test_deals_of_nobody_count_for_the_team_plan(write_export: Export) -> None:
    deal = "D1,D1,,Amber Ltd,all,web,won,2026-04-02,2026-05-02,,30\n"
    text = briefing.contrast_of_the_quarter(report(write_export, quotas(), extra=deal))
    assert "4 of 5 reps made quota" in text
    assert "the team booked 100 % of its plan" in text


def test_managers_with_the_quota_of_their_team_are_no_reps(write_export: Export) -> None:
    plain = report(write_export, quotas())
    of_team = {("Manager", quarter): 500.0 for quarter in QUARTERS}
    found = report(write_export, quotas() | of_team)
    assert managers_with_team_quota(plain.tables) == ()
    assert managers_with_team_quota(found.tables) == ("Manager",)
    for name in ("share_attaining", "team_attainment", "pipeline_coverage"):
        for quarter in (found.quarter, None):
            ours = measures.measure(name, found.tables, quarter=quarter)
            theirs = measures.measure(name, plain.tables, quarter=quarter)
            pd.testing.assert_frame_equal(
                ours[["value", "low", "high", "n"]], theirs[["value", "low", "high", "n"]]
            )
    note = "1 manager whose quota is that of their team left out"
    assert note in measures.measure("team_attainment", found.tables, quarter=found.quarter)["note"].iloc[0]
    by_rep = measures.measure("share_attaining", found.tables, by="rep").set_index("rep")
    assert note in by_rep.loc["Manager", "note"]
    assert by_rep["note"].str.contains(note).sum() == 1
    text = briefing.contrast_of_the_quarter(found)
    assert text == f"{briefing.contrast_of_the_quarter(plain)}\n- {note} (Manager)."


def test_the_example_has_no_managers_with_a_quota() -> None:
    rows = measures.measure("share_attaining", crm.read(example_crm()))
    assert "left out" not in rows["note"].iloc[0]


# --- which quarter is judged -------------------------------------------------------------------------------


def test_a_quarter_without_quotas_breaks_a_run(write_export: Export) -> None:
    gap = report(write_export, quotas(quarters=("2025Q2", "2025Q4")))
    assert "has not fired** in 2 quarters with quotas (1 quarter between them was not judged" in (
        briefing.raise_findings(gap)
    )
    rows = cells(briefing.raise_table(gap))
    assert [row[0] for row in rows] == ["2025Q2", "2025Q3", "2025Q4"]
    assert rows[1][1:] == ["not judged", "–", "–", "–", "no"]
    assert [row[-1] for row in rows] == ["no"] * 3
    in_a_row = report(write_export, quotas(quarters=("2025Q2", "2025Q3", "2025Q4")))
    assert "fired in 2025Q3, 2025Q4** of 3 quarters with quotas." in briefing.raise_findings(in_a_row)


def test_while_the_quarter_runs_the_last_complete_one_is_judged(write_export: Export) -> None:
    running = report(write_export, quotas(), as_of="2026-05-10")
    first, second, *_ = briefing.contrast_of_the_quarter(running).splitlines()
    assert first == (
        "- 2026Q2 is not over (the export ends on 2026-05-10): judged is 2026Q1, the last complete quarter "
        "with quotas."
    )
    assert second.startswith("- **2026Q1 looks like “too easy”, not proven.** 4 of 5 reps made quota")
    assert "the team booked 96 % of its plan" in second
    assert briefing.luck_sentence(running) == (
        "Whether 2026Q2 was luck cannot be said yet: it is not over (the export ends on 2026-05-10)."
    )


def test_a_running_quarter_without_past_quotas(write_export: Export) -> None:
    running = report(write_export, quotas(quarters=("2026Q2",)), as_of="2026-05-10")
    text = briefing.contrast_of_the_quarter(running)
    assert "2026Q2 is not over (the export ends on 2026-05-10): whether its quotas fit" in text
    assert "of 2026Q2 so far" in text
    assert "no quotas" not in text


def test_a_quarter_that_is_over_says_why_it_is_not_judged(write_export: Export) -> None:
    without = report(write_export, quotas(quarters=("2025Q4",)))
    assert "- The export has no quotas for 2026Q2" in briefing.contrast_of_the_quarter(without)
    assert "against the own forecast (there is no quota for 2026Q2)" in briefing.luck_sentence(without)
    only_zero = report(write_export, quotas(0.0))
    text = briefing.contrast_of_the_quarter(only_zero)
    assert "Whether the quotas of 2026Q2 fit cannot be said: 5 with quota, nobody judged" in text


def test_a_quarter_that_misses_a_few_days_is_judged_everywhere(write_export: Export) -> None:
    found = report(write_export, quotas(), as_of="2026-06-28")
    assert "**2026Q2 looks like “too easy”, not proven.**" in briefing.contrast_of_the_quarter(found)
    assert cells(briefing.raise_table(found))[-1][0] == "2026Q2"
    assert cells(briefing.attainment_history(found))[-1][:2] == ["2026Q2", "4 of 5"]


# --- the words ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, ("“By 25 % on average”", "takes the mean attainment of all, in 2 quarters in a row.")),
        (
            {"margin": 0.5, "margin_is": "mean attainment of those who exceed", "quarters_in_a_row": 1},
            ("“By 50 % on average”", "takes the mean attainment of those who exceed, in 1 quarter."),
        ),
    ],
)
def test_the_table_names_the_rule_in_use(
    write_export: Export, settings: dict[str, object], said: tuple[str, str]
) -> None:
    rule = RaiseRule.model_validate(settings)
    text = briefing.raise_table(report(write_export, quotas()), rule=rule)
    for words in said:
        assert words in text


def test_luck_is_a_range_that_holds_doubt_as_well(write_export: Export) -> None:
    text = briefing.luck_sentence(report(write_export, quotas()))
    assert "booked in 2026Q2 what was to be expected**: inside the range" in text
    assert "luck alone" not in text
    assert "About 1 would be outside in any case; " in text


def test_one_rep_is_not_counted_in_reps(write_export: Export) -> None:
    asked = {key: amount for key, amount in quotas().items() if key[0] == "Rep 1"}
    alone = report(write_export, asked, reps=("Rep 1",))
    luck = briefing.luck_sentence(alone)
    assert luck.startswith("**Rep 1 booked in 2026Q2 ")
    assert "would be outside" not in luck
    fair = briefing.fairness_findings(alone)
    assert "**What moves Rep 1's attainment of the recommended quota" in fair
    assert "territory" not in fair
    raising = briefing.raise_findings(alone)
    assert "With 1 rep, " in raising
    for text in (luck, fair, raising):
        assert "1 reps" not in text


def test_quotas_that_differ_are_not_called_one(write_export: Export) -> None:
    flat = report(write_export, quotas())
    assert "** under one quota. " in briefing.fairness_findings(flat)
    own = f"{PLAN}quotas_by_rep:\n  Rep 1: {{2026Q3: 150}}\n"
    differ = report(write_export, quotas(), plan=own)
    assert "** under the recommended quotas. " in briefing.fairness_findings(differ)
    assert "(their product)" in briefing.fairness_table(differ)
