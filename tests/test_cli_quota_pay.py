"""`salessim quota …` and `salessim pay …`: answers, files written, and errors of one screen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from salessim.crm import read
from salessim.plans import QuotaPlan
from tests.test_cli import refused, salessim

PEOPLE = """name,parent,role,history,pipeline,start,open_seat
Company,,,,,,
North,Company,region,,,,
South,Company,region,,,,
Ada Acorn,North,AE,300,90,,
Bo Birch,North,AE,100,0,,
Cy Cedar,South,AE,200,30,2026-04-01,
Vacancy,South,AE,100,,,true
"""
POTENTIAL = """name,parent,history,potential,start
Company,,,,
Ada Acorn,Company,300,700000,
Bo Birch,Company,200,100000,
Cy Cedar,Company,200,300000,2026-04-01
"""
OWN_PAY = """name: ours
period: quarter
roles:
  - role: account executive
    on_target_earnings: 90000
    base_share: 0.6
    tiers:
      - {starts_at: 0, multiple: 1}
      - {starts_at: 1, multiple: 2}
"""


def answer(*words: str, at: Path | None = None) -> str:
    result = salessim(*words, at=at)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.parametrize("method", ["one quota", "potential", "equal chance"])
def test_solved_quotas_are_written_as_a_plan_that_can_be_used(tmp_path: Path, method: str) -> None:
    out = tmp_path / "solved.yaml"
    text = answer("quota", "solve", "--method", method, "--share", "0.7", "--out", str(out))
    assert "**70.0 % of 10 reps are expected to make these quotas in 2026Q3**" in text
    assert len(QuotaPlan.load(out).quotas_by_rep) == 10
    again = answer("quota", "--plan", str(out))
    assert "70 % of 10 reps are expected to make quota" in again


def test_solve_by_segment_names_the_groups() -> None:
    text = answer("quota", "solve", "--group", "segment", "--aim", "band")
    assert "| SMB | 7 |" in text
    assert "| mixed | 3 |" in text


def test_solved_quotas_below_a_plan_out_of_reach_come_with_levers() -> None:
    assert "one lever at a time" in answer("quota", "solve", "--period", "2027Q1")  # a chance of 44 %
    assert "one lever at a time" not in answer("quota", "solve", "--period", "2026Q3")


def test_the_gap_is_closed_one_lever_at_a_time() -> None:
    text = answer("quota", "gap")
    assert "**EUR 5.00m in 2026Q3 to 2027Q2 (the company's plan) has a chance of" in text
    assert "| win rate | +" in text
    near = answer("quota", "gap", "--target", "100000", "--period", "2026Q3")
    assert "no lever is needed" in near


def test_fairness_says_what_is_luck() -> None:
    text = answer("quota", "fairness")
    assert "What sets 10 reps apart is mostly luck" in text
    assert "reps booked in 2026Q2 what was to be expected" in text


def test_a_number_is_traced_to_the_companys_plan() -> None:
    text = answer("quota", "trace", "--rep", "Anna Acorn")
    assert text.startswith("What the company's plan for 2026Q3 to 2027Q2 asks of Anna Acorn, handed down by")
    assert "The plan of 'Birchwood Instruments (example)' is EUR 5,000,000.00." in text
    assert "Anna Acorn books EUR" in text
    assert "| | booked since 2025-07-01 |" in text.replace("|  |", "| |")
    assert "+0" not in text
    assert "-0" not in text.replace("2025-07-01", "").replace("2026-10-05", "")
    assert "nobody named 'Anna Nobody'" in refused("quota", "trace", "--rep", "Anna Nobody")


def test_the_share_of_the_plan_and_the_recommended_quota_are_two_numbers() -> None:
    text = answer("quota", "trace", "--rep", "Emil Elm")
    assert "The recommended quota is another number: not a share of the plan, but what 67.5 % of the" in text
    steps = {}
    for line in text.splitlines():
        cells = [cell.strip(" *") for cell in line.split("|")]
        if "EUR" in line and len(cells) > 4:
            steps[cells[2].split(":")[0]] = float(cells[-2].removeprefix("EUR ").replace(",", ""))
    quarters = next(line for line in text.splitlines() if line.startswith("| recommended quota |"))
    *each, total = [float(c.strip().removeprefix("EUR ").replace(",", "")) for c in quarters.split("|")[2:-1]]
    assert len(each) == 4
    assert total == pytest.approx(sum(each), abs=3)
    assert steps["quota of Emil Elm for 2026Q3"] == each[0] == steps["ramp relief of Emil Elm"]
    assert each[0] < steps["one quota for 2026Q3"]
    assert "Emil Elm is one: EUR 0 booked, counted as EUR" in text
    later = answer("quota", "trace", "--rep", "account executive hired 2026-10-05 #1")
    assert "has no recommended quota in 2026Q3" in later
    assert "| recommended quota | – | EUR" in later


def test_history_names_the_case() -> None:
    text = answer("quota", "history")
    assert "**2026Q2 looks like “too hard”, not proven.**" in text
    assert "| 2025Q4 | 8 of 8 | 100 % |" in text


def test_raising_the_bar_with_thresholds_of_ones_own() -> None:
    text = answer("quota", "raise", "--margin", "0.2", "--quarters-in-a-row", "1", "--false-alarm", "0.25")
    assert "fires in at most 25 % of histories" in text
    assert "80 % of the team above quota in 1 quarter, by 20 % on average" in text
    assert "fired in 2025Q2, 2025Q4" in text
    assert "| reps | no change | 10 % better |" in text
    said = refused("quota", "raise", "--share-of-team", "80")
    assert "share_of_team is 80" in said
    assert "write 0.65 for 65 %" in said


def test_a_plan_is_handed_down_and_read_again(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE, encoding="utf-8")
    words = ("quota", "allocate", "people.csv", "--target", "1200000", "--year", "2026", "--currency", "EUR")
    text = answer(
        *words, "--over-assignment", "1=0.05", "--pin", "Bo Birch=150000", "--trace-of", "Ada Acorn",
        "--ramp", "0,0.5", "--out", "quotas.csv", at=tmp_path,
    )  # fmt: skip
    assert "The plan of 'Company' is EUR 1,200,000.00." in text
    assert "150,000.00" in text
    written = pd.read_csv(tmp_path / "quotas.csv")
    assert list(written.columns) == ["rep", "period", "quota"]
    assert written.groupby("rep")["quota"].sum()["Bo Birch"] == pytest.approx(150_000)
    # 1,200,000 and five percent, 400 of 700 in the North, less the pin
    assert written.groupby("rep")["quota"].sum()["Ada Acorn"] == pytest.approx(1_260_000 * 4 / 7 - 150_000)
    assert "| 2026Q1 | 2026Q2 | 2026Q3 | 2026Q4 |" in text
    assert "newcomer: from 2026-04-01" in text
    assert "| open seat |" in text
    assert "| 38k | 38k | 38k | 38k | pinned |" in text
    assert "carried by the people" in text  # a newcomer is relieved: managers hand out more than is carried
    for word in ("level 0", "nodes", "sibling"):
        assert word not in text
    answer(*words, "--ramp", "0,0.5", "--out", "later.csv", at=tmp_path)
    changes = answer("quota", "compare", "quotas.csv", "later.csv", at=tmp_path)
    assert "| Ada Acorn | 2026Q1 | changed |" in changes
    assert "| **all** |" in changes


def test_top_down_stands_beside_bottom_up_and_reconciled(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_text(POTENTIAL, encoding="utf-8")
    words = ("quota", "allocate", "people.csv", "--target", "700000", "--year", "2026")
    more = ("--potential", "potential", "--reconciled-out", "met.csv", "--toward")
    text = answer(*words, *more, "0.5", at=tmp_path)
    assert "| top-down | bottom-up | over-asked | reconciled | change |" in text
    assert "| \u2003Ada Acorn | 300,000.00 | 700,000.00 | −57.1 % |" in text
    written = pd.read_csv(tmp_path / "met.csv")
    assert list(written.columns) == ["rep", "period", "quota"]
    assert written["quota"].sum() == pytest.approx(
        650_000
    )  # what is handed down less the first quarter of Cy
    assert written.groupby("rep")["quota"].sum()["Ada Acorn"] > 300_000
    answer(*words, *more, "0", at=tmp_path)
    assert pd.read_csv(tmp_path / "met.csv").groupby("rep")["quota"].sum()["Ada Acorn"] == 300_000
    assert "--toward is 2.0" in refused(*words, *more, "2", at=tmp_path)
    assert "--potential names 'charm'" in refused(*words, "--potential", "charm", at=tmp_path)
    assert "needs --potential" in refused(*words, "--reconciled-out", "met.csv", at=tmp_path)


def test_quotas_are_compared_by_rep_and_period(tmp_path: Path) -> None:
    rows = "A,2026Q1,100\nA,2026Q2,100\nB,2026Q1,100\nB,2026Q1,100\nB,2026Q2,-5\n"
    (tmp_path / "old.csv").write_text("rep,period,quota\n" + rows, encoding="utf-8")
    rows = "A,2026Q1,150\nA,2026Q2,50\nB,2026Q1,100\nB,2026Q3,100\n"
    (tmp_path / "new.csv").write_text("rep,period,quota\n" + rows, encoding="utf-8")
    text = answer("quota", "compare", "old.csv", "new.csv", at=tmp_path)
    assert "| A | 2026Q1 | changed | 100.00 | 150.00 | +50.00 | +50.0 % |" in text
    assert "| A | 2026Q2 | changed | 100.00 | 50.00 | −50.00 | −50.0 % |" in text
    assert "1 of 4 quotas are the same" in text
    assert "different periods**: only *after* has 2026Q3 (added)" in text
    assert "| rejected | negative quota | 1 | B 2026Q2: -5 |" in text
    assert "| rejected | repeated quota | 1 |" in text
    assert "| **all** |  |  | 300.00 | 400.00 | +100.00 | +33.3 % |" in text
    same = answer("quota", "compare", "new.csv", "new.csv", at=tmp_path)
    assert "| **all** |  |  | 400.00 | 400.00 | 0 | 0 % |" in same
    (tmp_path / "months.csv").write_text("rep,period,quota\nA,2026-01,100\n", encoding="utf-8")
    assert "of one length" in refused("quota", "compare", "old.csv", "months.csv", at=tmp_path)
    (tmp_path / "odd.csv").write_text("who,value\nA,1\n", encoding="utf-8")
    said = refused("quota", "compare", "old.csv", "odd.csv", at=tmp_path)
    assert "name it: --rep …" in said
    assert "options of 'salessim quota import'" in said


def test_a_long_comparison_names_what_it_leaves_out(tmp_path: Path) -> None:
    for name, amount in (("old.csv", 100), ("new.csv", 101)):
        rows = "".join(f"R{number},2026Q1,{amount}\n" for number in range(60))
        (tmp_path / name).write_text("rep,period,quota\n" + rows, encoding="utf-8")
    text = answer("quota", "compare", "old.csv", "new.csv", at=tmp_path)
    assert "| 20 smaller changes |  |  |  |  | +20.00 |" in text
    assert "6,000.00 | 6,060.00 | +60.00 | +1.0 % |" in text


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("--pin", "Ada Acorn"), "--pin is 'Ada Acorn'; write a name and a number"),
        (("--pin", "Ada Acorn=much"), "'much' is no number"),
        (("--pin", "Nobody=1"), "nobody named 'Nobody'"),
        (("--pin", "Ada Acorn=2000000"), "the excess is 1,314,285.71"),
        (("--by", "charm"), "charm"),
        (("--by", "charm"), "--by names 'charm'"),
        (("--missing", "guess"), "--missing is 'guess'; allowed: 'refuse', 'equal', 'zero'"),
        (("--by", "pipeline"), "choose --missing equal (the mean of their team mates) or --missing zero"),
        (("--open-seats", "hide"), "--open-seats is 'hide'"),
        (("--fiscal-year-starts-in-month", "13"), "--fiscal-year-starts-in-month is 13"),
        (("--pin", "Ada Acorn=1", "--pin", "Ada Acorn=2"), "--pin is given more than once for 'Ada Acorn'"),
        (("--currency", "eur"), "--currency is 'eur'; write three capital letters"),
        (("--out", "quotas.txt"), "--out is 'quotas.txt'; write a file that ends with .csv"),
        (("--quarter-shares", "0.5,0.5"), "--quarter-shares of 'Company' are (0.5, 0.5); wanted: four"),
        (("--ramp", "0,2"), "--ramp: month 2 is 2.0"),
        (("--target", "-5"), "target"),
    ],
)
def test_an_allocation_that_cannot_be_is_refused(tmp_path: Path, extra: tuple[str, ...], said: str) -> None:
    (tmp_path / "people.csv").write_text(PEOPLE, encoding="utf-8")
    words = ("quota", "allocate", "people.csv", "--target", "1200000", "--year", "2026")
    assert said in refused(*words, *extra, at=tmp_path)


def test_quotas_cannot_be_written_without_a_year(tmp_path: Path) -> None:
    flat = "name,parent,history\nCompany,,\nAda,Company,3\nBo,Company,1\n"
    (tmp_path / "people.csv").write_text(flat, encoding="utf-8")
    words = ("quota", "allocate", "people.csv", "--target", "1000")
    assert "| \u2003Ada |" in answer(*words, at=tmp_path)
    assert "state the year" in refused(*words, "--out", "q.csv", at=tmp_path)
    assert not (tmp_path / "q.csv").exists()


def test_quotas_are_imported_beside_sales(tmp_path: Path) -> None:
    wide = "Seller,Year,M01,M02,M03\n007,2026,1,2,-\n008,2026,3,4,5\n"
    (tmp_path / "quotas.csv").write_text(wide, encoding="utf-16")
    sales = "who,day,value\nA,2026-01-05,1500\nA,2026-02-07,100\nB,2026-01-31,2900\nB,2026-03-31,1\n"
    (tmp_path / "sales.csv").write_text(sales, encoding="utf-8")
    (tmp_path / "bridge.csv").write_text("quota_id,sales_id\n007,A\n008,B\n", encoding="utf-8")
    text = answer(
        "quota", "import", "quotas.csv", "--unit", "1000", "--currency", "PLN", "--sales", "sales.csv",
        "--sales-columns", "who,day,value", "--people", "bridge.csv", "--out", "clean.csv", at=tmp_path,
    )  # fmt: skip
    assert "5 quotas by month" in text
    assert "| 2026-01 | 1 of 2 | 50 % |" in text
    assert "| 007 | 2026-01 | PLN 1,000 | PLN 1,500 | 150 % |" in text
    clean = pd.read_csv(tmp_path / "clean.csv", dtype={"rep": str})
    assert clean["rep"].unique().tolist() == ["007", "008"]
    assert clean["quota"].sum() == 15_000
    said = refused("quota", "import", "quotas.csv", "--sales", "sales.csv", at=tmp_path)
    assert "the header lacks 'rep', 'date', 'amount'" in said
    unmatched = answer(
        "quota",
        "import",
        "quotas.csv",
        "--sales",
        "sales.csv",
        "--sales-columns",
        "who,day,value",
        at=tmp_path,
    )
    assert (
        "0 of 2 ids of the quotas are among the 2 of the sales (such as 007 and A): give --people"
        in unmatched
    )
    (tmp_path / "bridge.csv").write_text("quota_id,sales_id\n007,A\n007,B\n", encoding="utf-8")
    said = refused(
        "quota", "import", "quotas.csv", "--sales", "sales.csv", "--sales-columns", "who,day,value",
        "--people", "bridge.csv", at=tmp_path,
    )  # fmt: skip
    assert "bridge.csv: quota_id '007' stands there more than once" in said


def test_an_import_says_what_it_leaves_out_and_writes_its_notes(tmp_path: Path) -> None:
    quarters = [f"2026Q{number}" for number in range(1, 5)]
    own = {"A": [10, 12, 14, 9], "B": [21, 18, 25, 22], "C": [7, 8, 9, 11]}
    own["Boss"] = [sum(amounts) for amounts in zip(*own.values(), strict=True)]
    lines = [",".join([rep, *map(str, amounts)]) for rep, amounts in own.items()]
    header = ",".join(["Seller", *quarters])
    (tmp_path / "q.csv").write_text("\n".join([header, *lines, "D,-4,,,"]) + "\n", encoding="utf-8")
    words = ("quota", "import", "q.csv", "--out", "clean.csv", "--notes", "notes.csv")
    text = answer(*words, at=tmp_path)
    assert "clean.csv: 12 quotas of 3 reps; left out: 4 quotas of suspected roll-ups (Boss), give" in text
    assert len(pd.read_csv(tmp_path / "clean.csv")) == 12
    notes = pd.read_csv(tmp_path / "notes.csv")
    assert notes["rule"].tolist() == ["negative quota", "suspected roll-up"]
    assert "notes.csv: 2 notes" in text
    kept = answer(*words, "--keep-roll-ups", at=tmp_path)
    assert "clean.csv: 16 quotas of 4 reps, suspected roll-ups among them (Boss)" in kept
    assert len(pd.read_csv(tmp_path / "clean.csv")) == 16


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("--period-of-date", "decade"), "--period-of-date is 'decade'; allowed: 'month', 'quarter', 'year'"),
        (("--decimal-sign", ";"), "--decimal-sign is ';'"),
        (("--currency", "Euro"), "--currency is 'Euro'"),
        (("--notes", "notes.txt"), "--notes is 'notes.txt'"),
        (("--rep", "nobody"), "--rep is 'nobody'; allowed is one of the columns"),
        ((), "--calendar-year"),
    ],
)
def test_an_import_that_cannot_be_is_refused(tmp_path: Path, extra: tuple[str, ...], said: str) -> None:
    (tmp_path / "q.csv").write_text("Seller,Q1,Q2\nA,1,2\nB,2,3\n", encoding="utf-8")
    assert said in refused("quota", "import", "q.csv", *extra, at=tmp_path)


def test_options_in_front_of_a_command_are_refused() -> None:
    assert "--crm stands before the command; write it behind: salessim quota solve --crm" in refused(
        "quota", "--crm", "example", "solve"
    )
    # only where the command takes it
    said = refused("pay", "--pay-plan", "flat-rate", "plans")
    assert "leave it out: 'salessim pay plans' has no such option" in said
    assert "write it behind" not in said


def test_pay_answers_and_compares(tmp_path: Path) -> None:
    (tmp_path / "ours.yaml").write_text(OWN_PAY, encoding="utf-8")
    text = answer("pay", "--pay-plan", "ours.yaml", "--compare", "flat-rate", "--trials", "400", at=tmp_path)
    assert "**“ours” costs EUR" in text
    assert "would cost EUR" in text
    assert "less on the same luck" in text
    assert "| account executive | ours |" in text
    assert "400 trials" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("base_share: 0.6", "base_share: 60"), "base_share is 60"),
        (("starts_at: 1, multiple: 2", "starts_at: 0, multiple: 2"), "tiers must rise (previous 0)"),
        (("multiple: 2", "multiple: 2, rate: 0.1"), "has both of multiple and rate"),
        (("role: account executive", "role: SDR"), "the team also has 'account executive'"),
        (("name: ours", "name: ours\ncurrency: USD"), "currency is USD; the bookings are in EUR"),
        (("period: quarter", "period: fortnight"), "period is 'fortnight'"),
        (("base_share: 0.6", "base_share: 0.6\n    bonus: 5"), "bonus is not a known field"),
    ],
)
def test_a_pay_plan_that_cannot_be_is_refused(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    (tmp_path / "ours.yaml").write_text(OWN_PAY.replace(*change), encoding="utf-8")
    assert said in refused("pay", "--pay-plan", "ours.yaml", at=tmp_path)


def test_pay_by_the_month_is_simulated_by_the_month(tmp_path: Path) -> None:
    monthly = OWN_PAY.replace("period: quarter", "period: month\ncumulative_within: year")
    (tmp_path / "ours.yaml").write_text(monthly, encoding="utf-8")
    text = answer("pay", "--pay-plan", "ours.yaml", "--trials", "200", at=tmp_path)
    assert "**“ours” costs EUR" in text
    traced = answer("pay", "trace", "--pay-plan", "ours.yaml", "--rep", "Clara Cedar", at=tmp_path)
    assert "**Clara Cedar, account executive, 2026-06**" in traced


def test_a_plan_that_does_not_exist_names_those_that_do() -> None:
    assert "one of the shipped plans '50-50-accelerator'" in refused("pay", "--pay-plan", "generous")


def test_shipped_plans_are_listed_and_shown() -> None:
    assert "| flat-rate |" in answer("pay", "plans")
    shown = answer("pay", "show", "flat-rate", "--annual-quota", "400000")
    assert "| account executive | 100 % | 400,000 | 50,000 |" in shown or "| 100 % | 400,000 |" in shown
    assert "on_target_earnings: 100000" in shown


def test_past_pay_is_traced_to_the_cent() -> None:
    text = answer("pay", "trace", "--rep", "Anna Acorn", "--pay-plan", "50-50-accelerator")
    assert "**Anna Acorn, account executive, 2026Q2**: quota EUR 115,000, booked EUR 38,180" in text
    assert "| **total** |" in text
    assert "rep is 'Anna Nobody'" in refused("pay", "trace", "--rep", "Anna Nobody")


def test_answers_on_real_data_without_quotas(real_data: Path) -> None:
    words = ("--crm", str(real_data / "maven_crm"), "--quarter", "2017Q3")
    assert "The export has no quotas" in answer("quota", "history", *words)
    fairness = answer("quota", "fairness", *words)
    assert "each against the own forecast (there is no quota for 2017Q3)" in fairness
    assert "“50/50 with accelerators” costs" in answer("pay", *words, "--trials", "300")
    assert read(real_data / "maven_crm").quotas.empty
    traced = answer("pay", "trace", *words)
    assert "no quota" in traced


def test_bookings_are_counted_since_the_export_begins(real_data: Path) -> None:
    text = answer("quota", "trace", "--crm", str(real_data / "maven_crm"), "--quarter", "2017Q3")
    assert "|  | booked since 2017-03-01 |" in text
    assert "in proportion to what was booked since 2017-03-01" in text
    assert "the stand-in for the company's plan for 2017Q4 to 2018Q3 asks of Darcel Schlecht" in text


def test_one_rep_gets_every_answer(write_export: Callable[[dict[str, str]], Path]) -> None:
    head = "opportunity_id,name,rep,account,segment,source,stage,created,closed,expected_close,amount"
    rows = [
        f"O{k},Deal {k},Ada Acorn,Amber Ltd,SMB,web,{'won' if k % 2 else 'lost'},"
        f"2025-{1 + k // 3:02d}-0{1 + k % 9},2025-{1 + k // 3:02d}-2{k % 9},,{'' if k % 2 == 0 else 900 + k}"
        for k in range(33)
    ]
    folder = write_export({"opportunities.csv": "\n".join([head, *rows]) + "\n"})
    words = ("--crm", str(folder), "--quarter", "2025Q4")
    for command in ("solve", "gap", "fairness", "trace", "history", "raise"):
        assert answer("quota", command, *words).strip()
    assert answer("pay", *words, "--trials", "200").strip()
