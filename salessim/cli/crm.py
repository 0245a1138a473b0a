"""`salessim import`, `check`, `measures`, `calibrate`, `audit`, `snapshot`: an export, in honest numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salessim.cli.common import AsOf, ColumnMap, Crm, QuarterText, ScenarioPath, csv_path, prepared, progress
from salessim.errors import ParameterError

__all__ = ["audit", "calibrate", "check", "import_export", "measures", "snapshot"]

FiscalMonth = Annotated[int, typer.Option(help="Month in which the fiscal year starts, 1 to 12.")]

READING = ("reading the export",)
CHECKING = ("simulating past quarters",)


def import_export(
    export: Annotated[
        str, typer.Argument(help="Folder, file (.csv, .xlsx, .parquet, .zip), database URL, or a crm.yaml.")
    ],
    out: Annotated[str, typer.Option(help="Folder for the clean tables; left out: nothing is written.")] = "",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    kind: Annotated[str, typer.Option("--as", help="csv or parquet.")] = "csv",
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace an earlier import in the folder.")
    ] = False,
    findings: Annotated[str, typer.Option(help="Write every finding, row by row, to this CSV file.")] = "",
) -> None:
    """Read any CRM export into clean tables, and list everything that is wrong with it."""
    from salessim import briefing
    from salessim.crm import write_quality_report, write_tables

    if kind not in ("csv", "parquet"):
        raise ParameterError(f"--as is {kind!r}; it must be csv or parquet")
    findings_path = csv_path("--findings", findings)
    with progress(READING) as step:
        step(READING[0])
        tables = briefing.read_export(
            export, column_map=column_map, as_of=as_of, base=briefing.scenario_of(export, scenario)
        )
    typer.echo(briefing.import_summary(tables))
    typer.echo("\n" + briefing.data_quality(tables))
    if findings_path:
        typer.echo(write_quality_report(tables.quality, findings_path))
    if out:
        files = write_tables(tables, out, kind="parquet" if kind == "parquet" else "csv", replace=replace)
        typer.echo(f"\n{Path(out)}: {len(files)} files written; read them again with --crm {out}")


def check(
    crm: Crm = "example",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    out: Annotated[str, typer.Option(help="Write every finding, row by row, to this CSV file.")] = "",
) -> None:
    """Say what is wrong with a CRM export: rejected, repaired and suspicious rows, with reasons."""
    from salessim import briefing
    from salessim.crm import write_quality_report

    with progress(READING) as step:
        step(READING[0])
        tables = briefing.read_export(crm, column_map=column_map, as_of=as_of, base=briefing.scenario_of(crm))
    typer.echo(briefing.data_quality(tables))
    if out:
        typer.echo(write_quality_report(tables.quality, Path(out)))


def measures(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    measure: Annotated[str, typer.Option(help="One measure, such as win_rate_closed; left out: all.")] = "",
    by: Annotated[
        str,
        typer.Option(
            help="quarter, month, rep, manager, region, segment, source, product, account or stage; "
            "several with commas."
        ),
    ] = "",
    field: Annotated[bool, typer.Option("--field", help="Show graded figures of the field beside.")] = False,
    out: Annotated[str, typer.Option(help="Write the figures to this CSV file as well.")] = "",
    fiscal_year_starts_in_month: FiscalMonth = 1,
) -> None:
    """Measure the pipeline of a quarter, each figure with its interval and sample size."""
    from salessim import briefing
    from salessim.spreadsheets import write_csv

    if by and not measure:
        raise ParameterError(f"--by {by} needs --measure: name the measure that is to be split")
    path = csv_path("--out", out)
    with progress(READING) as step:
        step(READING[0])
        tables = briefing.read_export(
            crm,
            column_map=column_map,
            as_of=as_of,
            fiscal_year_starts_in_month=fiscal_year_starts_in_month,
            base=briefing.scenario_of(crm),
        )
    cuts = [cut.strip() for cut in by.split(",") if cut.strip()]
    typer.echo(briefing.measures_text(tables, quarter=quarter, measure=measure, by=cuts, field=field))
    if path:
        write_csv(
            briefing.measures_frame(tables, quarter=quarter, measure=measure, by=cuts, field=field), path
        )
        typer.echo(path)


def calibrate(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    out: Annotated[str, typer.Option(help="Write the calibrated scenario to this file.")] = "",
    check: Annotated[
        bool,
        typer.Option("--check", help="Test it on the past: where did each quarter fall in its forecast?"),
    ] = False,
) -> None:
    """Estimate a scenario from a CRM export; prints the estimates with intervals and doubts."""
    from salessim import briefing

    report = prepared(crm, quarter, column_map, as_of, scenario)
    typer.echo(briefing.assumptions(report))
    if check:
        with progress(CHECKING) as step:
            step(CHECKING[0])
            past = briefing.check_past(report)
        typer.echo(f"\n{briefing.calibration_findings(report, past)}\n\n{briefing.check_table(report, past)}")
    if out:
        Path(out).write_text(report.scenario.to_yaml(), encoding="utf-8")
        typer.echo(out)


def audit(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    evidence: Annotated[str, typer.Option(help="Filled-in audit sheet (.xlsx, .csv).")] = "",
    out: Annotated[str, typer.Option(help="Write the sheet to work through (.xlsx).")] = "",
) -> None:
    """Move every open deal to the stage that its evidence supports; says what is missing and what to do."""
    from salessim import briefing

    if out and not out.endswith(".xlsx"):
        raise ParameterError(f"--out is '{out}'; write a file that ends with .xlsx")
    report = prepared(crm, quarter, column_map, as_of, scenario)
    found = briefing.audited(report, scenario=scenario, evidence=evidence)
    typer.echo(briefing.requalification_text(found))
    if out:
        typer.echo(briefing.write_audit(found, out))


def snapshot(
    crm: Crm = "example",
    ledger: Annotated[str, typer.Option(help="File of the ledger, or a database URL.")] = "snapshots.sqlite",
    taken_on: Annotated[str, typer.Option(help="Day of the export; left out: the latest day in it.")] = "",
    column_map: ColumnMap = "",
    since: Annotated[
        str, typer.Option(help="Compare with the snapshot of this day; left out: the last.")
    ] = "",
    out: Annotated[str, typer.Option(help="Write the changes to this CSV file.")] = "",
    chart: Annotated[str, typer.Option(help="Draw the changes into this file (.png or .svg).")] = "",
) -> None:
    """Store this week's export in the ledger, and say what changed since the snapshot before."""
    from salessim import briefing
    from salessim.spreadsheets import write_csv

    path = csv_path("--out", out)
    if chart and not chart.endswith((".png", ".svg")):
        raise ParameterError(f"--chart is '{chart}'; write a file that ends with .png or .svg")
    with progress(READING) as step:
        step(READING[0])
        found = briefing.take_snapshot(
            crm, ledger=ledger, taken_on=taken_on, column_map=column_map, since=since
        )
    typer.echo(found.text)
    if found.changes is None:
        return
    if path:
        typer.echo(write_csv(found.changes.table, path))
    if chart:
        from salessim import charts

        axes = charts.pipeline_bridge(found.changes.bridge, currency=found.changes.currency)
        typer.echo(charts.save(axes, path=Path(chart)))
