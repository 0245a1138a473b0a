"""The command line: answers, and one-screen errors with exit code 2 and no traceback."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from salessim import cli
from salessim.library import EXAMPLE
from salessim.model import Scenario, scenario_schema

DEALS = """opportunity_id,name,rep,account,segment,source,stage,created,closed,expected_close,amount
O1,One,Ada Acorn,Amber Ltd,SMB,web,won,2026-01-05,2026-02-01,,1000
O2,Two,Ada Acorn,Amber Ltd,SMB,web,lost,2026-01-06,2026-02-02,,
O3,Three,Ada Acorn,Amber Ltd,SMB,web,won,2026-01-07,2026-02-03,,2000
O4,Four,Ada Acorn,Amber Ltd,SMB,web,potential deal,2026-01-08,,,
"""


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def salessim(*words: str, at: Path | None = None) -> Result:
    """Run a command in this process: the same `main` that the script calls."""
    out, err = io.StringIO(), io.StringIO()
    code = 0
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.chdir(at or Path.cwd()),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        patch.setattr(sys, "argv", ["salessim", *words])
        try:
            cli.main()
        except SystemExit as stopped:
            code = int(stopped.code or 0)
    return Result(code, out.getvalue(), err.getvalue())


def refused(*words: str, at: Path | None = None) -> str:
    """Run a command that must be refused; returns its error text."""
    result = salessim(*words, at=at)
    assert result.returncode == 2, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    assert 0 < len(result.stderr.strip().splitlines()) <= 25
    return " ".join(result.stderr.split())


def test_help_lists_the_commands() -> None:
    result = salessim("--help")
    assert result.returncode == 0
    for command in ("report", "init", "check", "measures", "quota", "hiring", "calibrate", "schema"):
        assert command in result.stdout


def test_the_installed_command_ends_with_code_2_and_one_line() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "salessim", "check", "--crm", "nowhere"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert len(result.stderr.strip().splitlines()) == 1


def test_quota_answers_on_the_example() -> None:
    result = salessim("quota")
    assert result.returncode == 0, result.stderr
    assert "68 % are expected to make" in result.stdout
    assert "| 2026Q3 | EUR 115,000 |" in result.stdout


def test_hiring_answers_on_the_example() -> None:
    result = salessim("hiring", "--extra-hires", "3")
    assert result.returncode == 0, result.stderr
    assert "3 more hires (account executive) on 2026-10-01 bring" in result.stdout
    assert "Starting three months later costs" in result.stdout


def test_check_writes_what_it_found(tmp_path: Path) -> None:
    result = salessim("check", "--out", str(tmp_path / "quality.csv"))
    assert result.returncode == 0, result.stderr
    assert "| opportunities | opportunities.csv | 859 | 847 | 12 |" in result.stdout
    assert "2026-02-30" in (tmp_path / "quality.csv").read_text(encoding="utf-8-sig")


def test_measures_by_group(tmp_path: Path) -> None:
    result = salessim("measures", "--measure", "won_count", "--by", "region")
    assert result.returncode == 0, result.stderr
    assert "| North |" in result.stdout
    assert "| South |" in result.stdout


def test_measures_of_a_fiscal_year() -> None:
    month = "--fiscal-year-starts-in-month"
    # from February on: 2027Q1 is February to April 2026
    result = salessim("measures", "--quarter", "2027Q1", month, "2", "--measure", "won_count")
    assert result.returncode == 0, result.stderr
    assert "allowed: 1 (January) to 12 (December)" in refused("measures", "--quarter", "2027Q1", month, "13")


def test_every_answer_is_given_where_few_sell(write_export: Callable[[dict[str, str]], Path]) -> None:
    head = DEALS.splitlines()[0]
    rows = [
        f"O{month},One,rep {month % 3},Amber Ltd,SMB,web,{'won' if month % 4 else 'lost'},"
        f"2025-{month:02}-05,2025-{month:02}-25,,{'1000' if month % 4 else ''}"
        for month in range(1, 13)
    ]
    folder = str(write_export({"opportunities.csv": "\n".join([head, *rows, ""])}))
    for command in ("quota", "hiring", "calibrate"):
        result = salessim(command, "--crm", folder, "--quarter", "2025Q4", "--as-of", "2025-12-31")
        assert result.returncode == 0, result.stderr
        assert "2026Q1" in result.stdout or command == "calibrate"
        assert ("too short for a quota" in result.stdout) == (command == "quota")


def test_calibrate_writes_a_scenario_that_can_be_read(tmp_path: Path) -> None:
    result = salessim("calibrate", "--out", str(tmp_path / "scenario.yaml"))
    assert result.returncode == 0, result.stderr
    assert "opportunities per rep and week" in result.stdout
    assert Scenario.load(tmp_path / "scenario.yaml").currency == "EUR"


def test_schema_is_the_shipped_one() -> None:
    assert salessim("schema").stdout == scenario_schema()


# --- bad input ---------------------------------------------------------------------------------------------


def test_a_missing_folder(tmp_path: Path) -> None:
    assert "nowhere' does not exist" in refused("check", "--crm", "nowhere", at=tmp_path)


def test_an_empty_file(write_export: Callable[[dict[str, str]], Path]) -> None:
    text = refused("check", "--crm", str(write_export({"opportunities.csv": ""})))
    assert "opportunities.csv" in text
    assert "empty" in text


def test_a_wrong_delimiter(write_export: Callable[[dict[str, str]], Path]) -> None:
    folder = write_export({"opportunities.csv": DEALS.replace(",", "\u2002")})
    text = refused("check", "--crm", str(folder), "--column-map", "salessim_csv")
    assert "opportunities.csv" in text
    assert "opportunity_id" in text


def test_an_unknown_stage(write_export: Callable[[dict[str, str]], Path]) -> None:
    folder = write_export({"opportunities.csv": DEALS.replace("potential deal", "half-won")})
    text = refused("check", "--crm", str(folder))
    assert "half-won" in text
    assert "row 5" in text
    assert "closing deal" in text


def test_dates_that_do_not_parse(write_export: Callable[[dict[str, str]], Path]) -> None:
    folder = write_export({"opportunities.csv": DEALS.replace("2026-0", "26/")})
    text = refused("check", "--crm", str(folder))
    assert "created" in text
    assert "26/1-05" in text


def test_a_quarter_with_no_data() -> None:
    text = refused("quota", "--quarter", "2019Q1")
    assert "2019Q1" in text
    assert "2026Q2" in text


def test_a_quarter_that_is_none() -> None:
    assert "write year and quarter like '2017Q3'" in refused("quota", "--quarter", "spring")


def test_a_scenario_with_conversion_above_one(tmp_path: Path) -> None:
    shipped = (EXAMPLE / "scenario.yaml").read_text(encoding="utf-8")
    path = tmp_path / "bad.yaml"
    path.write_text(shipped.replace("conversion: 0.27", "conversion: 1.3", 1), encoding="utf-8")
    text = refused("quota", "--scenario", str(path))
    assert "bad.yaml: segments[0].stages[0].conversion is 1.3" in text
    assert "write 0.65 for 65 %" in text


def test_a_scenario_in_another_currency(tmp_path: Path) -> None:
    shipped = (EXAMPLE / "scenario.yaml").read_text(encoding="utf-8")
    path = tmp_path / "zloty.yaml"
    path.write_text(shipped.replace("currency: EUR", "currency: PLN"), encoding="utf-8")
    assert "currency is PLN, but the export's amounts are in EUR" in refused("quota", "--scenario", str(path))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("03-onboarding.more_hires=4", "there is no parameter 'more_hires'"),
        ("03-onboarding.extra_hires=many", "must be int"),
        ("09-none.x=1", "'09-none' is no chapter of this report"),
        ("extra_hires=4", "write chapter, name and value"),
    ],
)
def test_an_unknown_notebook_parameter(tmp_path: Path, word: str, message: str) -> None:
    out = str(tmp_path / "out")
    text = refused("report", "--crm", "example", "--quarter", "2026Q2", "--out", out, "-p", word)
    assert message in text
    assert not (tmp_path / "out").exists()


def test_an_output_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    text = refused(
        "report", "--crm", "example", "--quarter", "2026Q2", "--out", str(tmp_path / "file" / "out")
    )
    assert "file" in text


def test_an_output_folder_that_is_no_report_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    text = refused("report", "--crm", "example", "--quarter", "2026Q2", "--out", str(tmp_path))
    assert "thesis.docx" in text
    assert (tmp_path / "thesis.docx").read_text() == "years of work"


def test_a_report_file_that_is_not_there(tmp_path: Path) -> None:
    assert "give --quarter, or --report with a report file" in refused("report", at=tmp_path)
    assert "none.yaml: cannot be read" in refused("report", "--report", "none.yaml", at=tmp_path)


def test_a_fault_of_the_program_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise RuntimeError("wires crossed")

    monkeypatch.setattr(cli, "app", broken)
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    shown = capsys.readouterr().err
    assert stopped.value.code == 1
    assert "fault of the program (RuntimeError: wires crossed)" in shown
    assert "Traceback" not in shown


def test_a_split_without_a_measure_is_refused() -> None:
    assert "--by region needs --measure" in refused("measures", "--by", "region")
