"""`salessim simulate`, `compare`, `sweep` and `structures …`: answers, files, and errors of one screen."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from salessim import studies
from salessim.library import EXAMPLE
from salessim.model import Scenario
from salessim.plans import with_lever
from tests.test_cli import refused, salessim
from tests.test_cli_quota_pay import answer
from tests.worlds import one_stage_world

PLAN = str(EXAMPLE / "plan.yaml")


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str]:
    """Files of a scenario and of the same with more leads."""
    today = Scenario.load(EXAMPLE / "scenario.yaml")
    more = with_lever(today, lever="leads", change=0.2).model_copy(update={"name": "more leads"})
    paths = tmp_path / "today.yaml", tmp_path / "more.yaml"
    for path, scenario in zip(paths, (today, more), strict=True):
        path.write_text(scenario.to_yaml(), encoding="utf-8")
    return str(paths[0]), str(paths[1])


@pytest.fixture
def grid(tmp_path: Path) -> str:
    """File of a small grid, one point of which the model refuses."""
    scenario = one_stage_world(reps=2, leads_per_week=3.0)
    (tmp_path / "world.yaml").write_text(scenario.to_yaml(), encoding="utf-8")
    path = tmp_path / "grid.yaml"
    path.write_text(
        "name: three shocks\nscenario: world.yaml\ndimensions:\n  market.shock_cv: [0.1, 0.2, 9.0]\n",
        encoding="utf-8",
    )
    return str(path)


def test_a_scenario_is_simulated_and_the_engine_explained() -> None:
    text = answer("simulate", "example", "--quota-plan", PLAN)
    assert "The team makes its plan of EUR 5.00m with a chance of" in text
    assert "Engine 'exact': no limit on open deals per rep" in text
    flow = answer("simulate", "qualification", "--trials", "20")
    assert "Engine 'flow': the limit of 30 hours a week binds" in flow
    assert "| account executive | 6 | 30 hours a week |" in flow


def test_two_scenarios_are_compared_and_the_table_written(two: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "differences.csv"
    text = answer("compare", *two, "--quota-plan", PLAN, "--trials", "200", "--out", str(out))
    table = pd.read_csv(out).set_index("measure")
    assert f"'more leads' books EUR {table.loc['team_bookings', 'difference'] / 1e6:.2f}m more" in text
    assert "200 simulated years on the same luck" in text
    assert text.rstrip().endswith(str(out))
    assert {"share_attaining", "plan_made"} <= set(table.index)
    quarter = answer("compare", *two, "--trials", "50", "--period", "2026Q4")
    assert "in 2026Q4 (80 % range" in quarter


def test_a_sweep_goes_on_where_it_was(grid: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "results")
    text = answer("sweep", grid, "--folder", folder, "--workers", "1")
    assert "**2 of 3 scenarios of 'three shocks' are worked out** (2 by the engine 'exact')." in text
    assert "1 scenario was refused by the model" in text
    assert "shock_cv is 9.0" in text
    kept = pd.read_parquet(Path(folder, "results.parquet"))
    first = sorted(path.name for path in Path(folder).glob("part-*.parquet"))
    Path(folder, first[0]).unlink()
    again = answer("sweep", grid, "--folder", folder, "--workers", "1")
    assert again == text
    pd.testing.assert_frame_equal(pd.read_parquet(Path(folder, "results.parquet")), kept)
    assert "holds another sweep (it differs in 'trials')" in refused(
        "sweep", grid, "--folder", folder, "--workers", "1", "--trials", "50"
    )


def test_a_stopped_sweep_says_how_to_go_on(
    grid: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*args: object, **settings: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(studies, "sweep", stopped)
    result = salessim("sweep", grid, "--folder", str(tmp_path / "results"))
    assert result.returncode == 130
    assert "the same command goes on from here" in result.stderr
    assert "Traceback" not in result.stderr


def test_structures_are_compared() -> None:
    text = answer("structures", "--scenarios", "act-1-generalists,act-3-specialists", "--trials", "20")
    assert "**'Act 3, specialists by role and segment' books most:" in text
    assert "of 20 simulated years on the same luck" in text
    assert "| **Act 1, generalists on inbound** |" in text
    assert "| generalist (ESB, SMB) |" in text


def test_qualification_and_customers_are_answered_from_a_file_or_the_shipped_scenario() -> None:
    text = answer("structures", "qualification", "--trials", "20")
    assert "In the made-up example, at today's capacity qualification brings" in text
    text = answer("structures", "customers", "existing-customers", "--trials", "20")
    assert "churn costs EUR" in text
    assert "| SMB | existing customers |" in text


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("simulate", "nosuch"), "'nosuch' is no file and no shipped scenario"),
        (("simulate", "example", "--engine", "magic"), "engine is 'magic'"),
        (("simulate", "act-1-generalists", "--engine", "exact"), "people leave"),
        (("simulate", "act-1-generalists", "--quota-plan", PLAN), "names the role 'account executive'"),
        (("compare", "example", "nosuch.yaml"), "nosuch.yaml: cannot be read"),
        (("compare", "example", "act-1-generalists"), "calendar.first_quarter is '2026Q3'"),
        (("compare", "example", "example", "--trials", "1"), "trials is 1"),
        (("compare", "example", "example", "--out", "table.txt"), "write a file that ends with .csv"),
        (("compare", "example", "example", "--trials", "9", "--period", "2030Q1"), "period is '2030Q1'"),
        (("simulate", "example", "--trials", "0"), "--trials is 0; it must be 2 or more"),
        (("simulate", "example", "--trials", "-5"), "--trials is -5"),
        (("simulate", "example", "--seed", "-1"), "--seed is -1; it must be 0 or more"),
        (("compare", "example", "example", "--seed", "-1"), "--seed is -1"),
        (("structures", "--seed", "-1"), "--seed is -1"),
        (("structures", "qualification", "--trials", "1"), "--trials is 1"),
        (("structures", "customers", "--trials", "1"), "--trials is 1"),
        (("compare", "example", "example", "--out", "no/t.csv"), "--out: folder 'no' does not exist"),
        (("sweep", "nosuch", "--folder", "out"), "no shipped grid; shipped is 'example'"),
        (("sweep", "example", "--folder", "out", "--period", "2030Q1"), "--period is '2030Q1'"),
        (("sweep", "nosuch.yaml", "--folder", "out"), "nosuch.yaml: cannot be read"),
        (("sweep", "example", "--folder", "out", "--workers", "0"), "workers is 0"),
        (("sweep", "example", "--folder", "out", "--engine", "magic"), "engine is 'magic'"),
        (("sweep", "example"), "Missing option '--folder'"),
        (("structures", "--scenarios", "example,act-1-generalists"), "calendar differs"),
        (("structures", "--trials", "9", "qualification"), "--trials stands before the command"),
        (("structures", "qualification", "example"), "no stage qualifies"),
        (("structures", "customers", "example"), "no segment states its customers"),
        (("structures", "customers", "--gross-margin", "2"), "gross_margin is 2.0"),
    ],
)
def test_bad_input_is_refused_on_one_screen(words: tuple[str, ...], why: str, tmp_path: Path) -> None:
    assert why in refused(*words, at=tmp_path)
