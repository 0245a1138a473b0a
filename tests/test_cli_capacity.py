"""`salessim capacity …`: answers, files written, scenarios without an export, and errors of one screen."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from tests.test_cli import refused
from tests.test_cli_quota_pay import answer


def test_leads_are_answered_and_written(tmp_path: Path) -> None:
    out = tmp_path / "leads.csv"
    text = answer("capacity", "leads", "--target", "5500000", "--chance", "0.7", "--out", str(out))
    assert "**For a chance of 70 % of EUR 5.50m in 2026Q3 to 2027Q2 (the given target)" in text
    assert "**For a chance of 70 % it takes" in text  # MQL, from the leads of the export
    table = pd.read_csv(out)
    assert f"{out}: {len(table)} rows" in text
    assert {"segment", "source", "month", "leads_now", "leads_closed_form", "leads_simulated"} <= set(table)
    assert len(table) == 12 * table.groupby(["segment", "source"]).ngroups


def test_hold_and_norms_of_the_example() -> None:
    text = answer("capacity", "hold")
    assert "**For a quota of EUR 115k in 2026Q3 a rep must hold open deals worth" in text
    assert "| Ben Birch |" in text
    assert "| SMB | closing deal |" in answer("capacity", "norms")


def test_a_limit_costs_bookings() -> None:
    text = answer("capacity", "limit", "--open-deals", "4", "--trials", "100")
    assert "**A limit of 4 open deals per rep costs EUR" in text
    assert "(n = 100 simulated horizons" in text


def test_a_scenario_is_taken_as_it_is_without_an_export() -> None:
    text = answer("capacity", "hire", "--world", "example", "--target", "5500000", "--trials", "50")
    assert "(account executive" in text
    assert "month of delay" in text
    levers = answer("capacity", "levers", "--world", "example", "--sobol", "--samples", "16")
    assert "moves the plan most" in levers.replace("move the", "moves the")
    assert "n = 16 base points" in levers


def test_all_questions_at_once_and_what_is_missing() -> None:
    text = answer("capacity", "--world", "example", "--target", "5500000", "--trials", "50")
    assert len(text.strip().splitlines()) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["leads", "--out", "leads.xlsx"], "--out is 'leads.xlsx'; write a file that ends with .csv"),
        (["hire", "--world", "nowhere.yaml"], "nowhere.yaml"),
        (["hire", "--world", "example", "--scenario", "a.yaml"], "give one of them"),
        (["leads", "--world", "example", "--chance", "80"], "chance is 80.0"),
        (["limit", "--world", "example", "--open-deals", "-3"], "--open-deals is -3"),
        (["levers", "--world", "example", "--sobol", "--samples", "100"], "power of 2"),
        (["levers", "--sobol", "--samples", "8"], "power of 2 from 16 on"),
        (["hire", "--trials", "1"], "trials is 1"),
        (["hire", "--seed", "-1"], "seed is -1"),
        (["hire", "--world", "example", "--crm", "elsewhere"], "give one of them"),
        (["hire", "--world", "example"], "there is no target: give --target"),
        (["hold", "--world", "example"], "there are no quotas"),
        (["--world", "example"], "there is no target: give --target"),
        (["--target", "5000000", "hire"], "--target stands before the command"),
    ],
)
def test_slips_of_the_pen_are_refused_in_one_line(words: list[str], message: str) -> None:
    assert message in refused("capacity", *words)
