"""The command line: each command parses its words, calls one function and prints the answer."""

from __future__ import annotations

import sys
import tempfile
import traceback
from pathlib import Path
from typing import Annotated

import typer

from salessim import __version__
from salessim.cli import capacity as capacity_commands
from salessim.cli import crm as crm_commands
from salessim.cli import pay as pay_commands
from salessim.cli import quota as quota_commands
from salessim.cli import studies as study_commands
from salessim.cli.common import AsOf, ColumnMap, Crm, PlanPath, QuarterText, ScenarioPath, prepared
from salessim.errors import ParameterError, SalessimError

__all__ = ["app", "main"]

app = typer.Typer(
    help="A sales playbook and a simulator in one: pipeline, quotas, onboarding, and the quarterly report.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.add_typer(quota_commands.app, name="quota")
app.add_typer(pay_commands.app, name="pay")
app.add_typer(capacity_commands.app, name="capacity")
app.add_typer(study_commands.app, name="structures")
app.command("import")(crm_commands.import_export)
for command in (
    crm_commands.check,
    crm_commands.measures,
    crm_commands.calibrate,
    crm_commands.audit,
    crm_commands.snapshot,
    study_commands.simulate,
    study_commands.compare,
    study_commands.sweep,
):
    app.command()(command)


@app.command()
def report(
    crm: Annotated[str, typer.Option(help="CRM export (folder, file, URL, crm.yaml) or 'example'.")] = "",
    quarter: Annotated[str, typer.Option(help="Quarter that is reported, such as 2017Q3.")] = "",
    out: Annotated[str, typer.Option(help="Folder of the finished report.")] = "",
    report: Annotated[str, typer.Option(help="Report file; left out: report.yaml if it is here.")] = "",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    pay_plan: Annotated[str, typer.Option(help="Pay plan (.yaml), or a shipped one.")] = "",
    engine: Annotated[str, typer.Option(help="auto, exact or thinning.")] = "",
    trials: Annotated[int, typer.Option(help="Simulated horizons (thinning).")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of the simulation (thinning).")] = -1,
    parameter: Annotated[
        list[str] | None,
        typer.Option("--parameter", "-p", help="Parameter of one chapter, as 03-onboarding.extra_hires=4."),
    ] = None,
) -> None:
    """Render the quarterly report with the sales book beside it; prints the path of its first page."""
    from salessim.quarterly import render
    from salessim.workspace import ReportSpec

    given = {
        "crm": crm,
        "quarter": quarter,
        "out": out,
        "column_map": column_map,
        "as_of": as_of,
        "scenario": scenario,
        "plan": plan,
        "pay_plan": pay_plan,
        "engine": engine,
        "trials": trials or None,
        "seed": seed if seed >= 0 else None,
    }
    spec = ReportSpec.of(
        report or None,
        changes={name: value for name, value in given.items() if value not in ("", None)},
        parameters=_assignments(parameter or []),
    )
    typer.echo(render(spec))


@app.command()
def init(folder: Annotated[Path, typer.Argument(help="New or empty folder.")]) -> None:
    """Lay out a workspace for a client: notebooks, sales book, example scenario and plan, report file."""
    from salessim import workspace

    made = workspace.init(folder)
    typer.echo(f"{folder}: {len(made)} files written; edit report.yaml, then run: salessim report")


@app.command()
def hiring(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    extra_hires: Annotated[int, typer.Option(help="What if so many more were hired?")] = 2,
    hire_start: Annotated[
        str, typer.Option(help="Their first day; left out: the earliest that the time to hire leaves.")
    ] = "",
) -> None:
    """Answer: when is capacity there, what does a hire bring, and what does a delay cost?"""
    from salessim import briefing

    report = prepared(crm, quarter, column_map, as_of, scenario)
    findings = briefing.onboarding_findings(report, extra_hires=extra_hires, hire_start=hire_start)
    typer.echo(f"{findings}\n\n{briefing.hiring(report)}")


@app.command()
def schema() -> None:
    """Print the JSON schema of a scenario, for editors that complete and check YAML."""
    from salessim.model import scenario_schema

    typer.echo(scenario_schema(), nl=False)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _assignments(words: list[str]) -> dict[str, dict[str, str | int | float | bool]]:
    """Read ``chapter.name=value`` words; values are read as YAML reads them (4, 0.5, true, text)."""
    from salessim.documents import load_yaml

    found: dict[str, dict[str, str | int | float | bool]] = {}
    for word in words:
        target, is_given, text = word.partition("=")
        chapter, has_chapter, name = target.rpartition(".")
        if not is_given or not has_chapter:
            raise ParameterError(
                f"--parameter is {word!r}; write chapter, name and value like '03-onboarding.extra_hires=4'"
            )
        value = load_yaml(text, where=f"--parameter {word!r}", error=ParameterError) if text else ""
        found.setdefault(chapter, {})[name] = value if isinstance(value, str | int | float | bool) else text
    return found


def main() -> None:
    """Run the command line: input errors are printed and end with exit code 2, without a traceback."""
    try:
        app()
    except SalessimError as problem:
        typer.echo(f"salessim: {problem}", err=True)
        sys.exit(2)
    except OSError as problem:
        typer.echo(f"salessim: {problem.filename or 'file'}: {problem.strerror or problem}", err=True)
        sys.exit(2)
    except KeyboardInterrupt:
        typer.echo("salessim: interrupted", err=True)
        sys.exit(130)
    except Exception as problem:  # a fault of the program, not of the input: say so, and keep the evidence
        kept = Path(tempfile.gettempdir()) / "salessim-error.txt"
        kept.write_text(traceback.format_exc(), encoding="utf-8")
        text = f"salessim: this is a fault of the program ({type(problem).__name__}: {problem})"
        typer.echo(f"{text}; please report it with {kept}", err=True)
        sys.exit(1)
