"""`salessim quota …`: which quota, how it is set, handed down and judged, and when to raise the bar."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from salessim.cli.common import (
    AsOf,
    ColumnMap,
    Crm,
    PlanPath,
    QuarterText,
    ScenarioPath,
    alone,
    csv_path,
    prepared,
)
from salessim.errors import ParameterError

__all__ = ["app"]

app = typer.Typer(
    help="Quotas: which one do 60-75 % of sellers make, and what does it mean?",
    invoke_without_command=True,
    rich_markup_mode=None,
)

Currency = Annotated[str, typer.Option(help="ISO code of the amounts, such as EUR.", show_default=False)]
Period = Annotated[str, typer.Option(help="Quarter or 'horizon'; left out: the coming quarter.")]


@app.callback()
def quota(
    context: typer.Context,
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
) -> None:
    """Answer: which quota do 60-75 % of sellers make, and does the company make its plan?"""
    if not alone(context):
        return
    from salessim import briefing

    report = prepared(crm, quarter, column_map, as_of, scenario, plan)
    typer.echo(f"{briefing.quota_findings(report)}\n\n{briefing.quotas_by_quarter(report)}")


@app.command()
def solve(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    method: Annotated[str, typer.Option(help="one quota, potential, or equal chance.")] = "one quota",
    group: Annotated[str, typer.Option(help="team, role, or segment: who has to meet the aim.")] = "team",
    aim: Annotated[
        str, typer.Option(help="share: the expected share; band: the best chance of it.")
    ] = "share",
    share: Annotated[float, typer.Option(help="Expected share of reps who make quota.")] = 0.675,
    period: Period = "",
    out: Annotated[str, typer.Option(help="Write the plan with the solved quotas to this file.")] = "",
) -> None:
    """Solve for the quotas that a wanted share of reps makes, and say what they mean rep by rep."""
    from salessim import briefing

    report = prepared(crm, quarter, column_map, as_of, scenario, plan)
    text, solved = briefing.solved_text(
        report, method=method, group=group, aim=aim, share=share, period=period
    )
    typer.echo(text)
    if out:
        Path(out).write_text(solved, encoding="utf-8")
        typer.echo(out)


@app.command()
def gap(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    target: Annotated[
        float | None, typer.Option(help="Bookings to reach; left out: the company's plan.")
    ] = None,
    chance: Annotated[float, typer.Option(help="Wanted chance of reaching them.")] = 0.8,
    period: Annotated[str, typer.Option(help="Quarter; left out: all simulated quarters.")] = "",
) -> None:
    """Say which levers close the gap to the company's plan: leads, win rate, deal size, reps, ramp."""
    from salessim import briefing

    report = prepared(crm, quarter, column_map, as_of, scenario, plan)
    typer.echo(briefing.gap_table(report, target=target, chance=chance, period=period))


@app.command()
def fairness(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
) -> None:
    """Say how much of a rep's attainment is luck, territory and skill, and whether the quarter was luck."""
    from salessim import briefing

    report = prepared(crm, quarter, column_map, as_of, scenario, plan)
    typer.echo(
        f"{briefing.fairness_findings(report)}\n- {briefing.luck_sentence(report)}\n\n"
        f"{briefing.fairness_table(report)}"
    )


@app.command()
def trace(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    rep: Annotated[str, typer.Option(help="Name of the rep; left out: who is asked for most.")] = "",
) -> None:
    """Show where a rep's number comes from: from the company's plan down, and what the rep can bring."""
    from salessim import briefing

    report = prepared(crm, quarter, column_map, as_of, scenario, plan)
    typer.echo(f"{briefing.quota_trace(report, rep=rep)}\n\n{briefing.from_plan_to_reps(report)}")


@app.command()
def history(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
) -> None:
    """Judge the quotas of past quarters: too hard, too easy, few carry the team, or healthy."""
    from salessim import briefing

    report = prepared(crm, quarter, column_map, as_of, scenario, plan)
    typer.echo(
        f"{briefing.contrast_of_the_quarter(report)}\n\n{briefing.attainment_history(report)}\n\n"
        f"{briefing.contrast_odds(report)}"
    )


@app.command("raise")
def raise_the_bar(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    quarters_in_a_row: Annotated[int, typer.Option(help="Quarters that must meet the rule.")] = 2,
    share_of_team: Annotated[float, typer.Option(help="Share of reps above quota.")] = 0.80,
    margin: Annotated[float, typer.Option(help="By how much on average.")] = 0.25,
    margin_is: Annotated[
        str,
        typer.Option(help="mean attainment of all, mean attainment of those who exceed, or team total."),
    ] = "mean attainment of all",
    false_alarm: Annotated[
        float, typer.Option(help="Share of histories in which the rule may fire by luck.")
    ] = 0.10,
) -> None:
    """Say whether the bar is due to be raised, and how often that rule fires by luck in such a team."""
    from salessim import briefing

    rule = briefing.raise_rule(
        quarters_in_a_row=quarters_in_a_row,
        share_of_team=share_of_team,
        margin=margin,
        margin_is=margin_is,
    )
    report = prepared(crm, quarter, column_map, as_of, scenario)
    typer.echo(
        f"{briefing.raise_findings(report, rule=rule, false_alarm=false_alarm)}\n\n"
        f"{briefing.raise_table(report, rule=rule)}\n\n"
        f"{briefing.laboratory_table(report, rule=rule)}"
    )


@app.command()
def allocate(
    people: Annotated[
        Path,
        typer.Argument(
            help="CSV with a row for everybody and for the company, regions and teams. Columns: name; parent "
            "(name of the line above, blank for the company); if known role, start and end (dates such as "
            "2026-04-01), open_seat (true where nobody sits yet); and any figures to go by, such as history, "
            "pipeline or potential."
        ),
    ],
    target: Annotated[float, typer.Option(help="Plan of the company for the year.")],
    by: Annotated[
        str,
        typer.Option(help="Column to go by, 'headcount', 'equal', or a blend: history=0.7,pipeline=0.3."),
    ] = "history",
    over_assignment: Annotated[
        str, typer.Option(help="One share for all levels (0.05), or by level: 1=0.05,3=0.1.")
    ] = "",
    pin: Annotated[list[str] | None, typer.Option(help="A fixed amount, as 'Ann=300000'; repeat it.")] = None,
    missing: Annotated[
        str,
        typer.Option(
            help="Reps with no figure, or zero: refuse, equal (mean of the team mates), or zero (no quota)."
        ),
    ] = "refuse",
    year: Annotated[
        int | None, typer.Option(help="Fiscal year; wanted where people start or leave, and for files.")
    ] = None,
    fiscal_year_starts_in_month: Annotated[int, typer.Option(help="1 to 12.")] = 1,
    quarter_shares: Annotated[str, typer.Option(help="Shares of the year, as 0.2,0.25,0.25,0.3.")] = "",
    ramp: Annotated[
        str, typer.Option(help="Share of a full quota by month of tenure, as 0,0,0.25,0.5; full afterwards.")
    ] = "",
    leads_first_months: Annotated[int, typer.Option(help="Months with leads instead of a quota.")] = 0,
    freed: Annotated[
        str, typer.Option(help="Where the quota of newcomers and leavers goes: gap, team, or company.")
    ] = "gap",
    open_seats: Annotated[str, typer.Option(help="carry, gap, team, or company.")] = "carry",
    potential: Annotated[
        str, typer.Option(help="Column with what reps can bring: also show bottom-up and reconciled.")
    ] = "",
    toward: Annotated[
        float, typer.Option(help="How far reconciled quotas go: 0 as handed down, 1 by the potential.")
    ] = 0.5,
    currency: Currency = "XXX",
    trace_of: Annotated[str, typer.Option(help="Also show where this person's quota comes from.")] = "",
    out: Annotated[str, typer.Option(help="Write the quotas (rep, period, quota) to this CSV file.")] = "",
    reconciled_out: Annotated[
        str, typer.Option(help="Write the reconciled quotas to this CSV file; with --potential.")
    ] = "",
) -> None:
    """Hand the company's plan down to every rep, exact to the cent: company, regions, managers, reps."""
    from salessim import briefing
    from salessim.spreadsheets import write_csv

    paths = csv_path("--out", out), csv_path("--reconciled-out", reconciled_out)
    if reconciled_out and not potential:
        raise ParameterError("--reconciled-out needs --potential: name the column with what reps can bring")
    found = briefing.allocate_file(
        people,
        target=target,
        by=by,
        over_assignment=over_assignment,
        pins=pin or (),
        missing=missing,
        year=year,
        fiscal_year_starts_in_month=fiscal_year_starts_in_month,
        quarter_shares=quarter_shares,
        ramp=ramp,
        leads_first_months=leads_first_months,
        freed=freed,
        open_seats=open_seats,
        potential=potential,
        toward=toward,
        currency=currency,
        trace_of=trace_of,
    )
    # files before the answer, so that a refusal stands alone
    for path, quotas in zip(paths, (found.top_down, found.both), strict=True):
        if path and quotas:
            write_csv(quotas.to_csv(), path)
    typer.echo(found.text)
    for path in paths:
        if path:
            typer.echo(path)


@app.command("import")
def import_file(
    path: Annotated[Path, typer.Argument(help="Quotas by rep, wide or long, as CSV or TSV.")],
    unit: Annotated[float, typer.Option(help="What 1 in the file stands for, such as 1000.")] = 1.0,
    rep: Annotated[str, typer.Option(help="Column of the rep (name, or number from 1).")] = "",
    quota: Annotated[str, typer.Option(help="Column of the quota (long files).")] = "",
    period: Annotated[str, typer.Option(help="Column of the period or date (long files).")] = "",
    year: Annotated[str, typer.Option(help="Column of the year.")] = "",
    calendar_year: Annotated[
        int | None, typer.Option(help="Year of a file that names only months or quarters.")
    ] = None,
    period_of_date: Annotated[
        str,
        typer.Option(help="What a date stands for: month, quarter or year; left out: seen from the dates."),
    ] = "",
    decimal_sign: Annotated[
        str, typer.Option(help="Decimal sign of the amounts, '.' or ','; left out: seen from them.")
    ] = "",
    currency: Currency = "XXX",
    sales: Annotated[str, typer.Option(help="Sales (CSV), to show attainment beside the quotas.")] = "",
    sales_columns: Annotated[
        str, typer.Option(help="Its columns for rep, date and amount, as EmployeeKey,OrderDate,SalesAmount.")
    ] = "rep,date,amount",
    people: Annotated[
        str, typer.Option(help="CSV with quota_id and sales_id, where both files name people differently.")
    ] = "",
    keep_roll_ups: Annotated[
        bool, typer.Option("--keep-roll-ups", help="Also write quotas suspected to add up those of others.")
    ] = False,
    out: Annotated[str, typer.Option(help="Write clean quotas (rep, period, quota) to this CSV file.")] = "",
    notes: Annotated[str, typer.Option(help="Write every note, row by row, to this CSV file.")] = "",
) -> None:
    """Read quotas from a wide or long file: what is in it, what is odd, and attainment beside sales."""
    from salessim import briefing
    from salessim.spreadsheets import write_csv

    out_path, notes_path = csv_path("--out", out), csv_path("--notes", notes)
    found = briefing.import_quotas(
        path,
        unit=unit,
        rep=rep,
        quota=quota,
        period=period,
        year=year,
        calendar_year=calendar_year,
        period_of_date=period_of_date,
        decimal_sign=decimal_sign,
        keep_roll_ups=keep_roll_ups,
        currency=currency,
        sales=sales,
        sales_columns=sales_columns,
        people=people,
    )
    typer.echo(found.text)
    if out_path:
        write_csv(found.quotas, out_path)
        typer.echo(f"{out_path}: {found.written}")
    if notes_path:
        write_csv(found.notes, notes_path)
        typer.echo(f"{notes_path}: {len(found.notes):,} notes")


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="Quotas by rep and period, as --out writes them.")],
    after: Annotated[Path, typer.Argument(help="The newer set, likewise.")],
) -> None:
    """Show what changed between two sets of quotas, rep by rep and period by period; the changes add up."""
    from salessim import briefing

    typer.echo(briefing.compare_quota_files(before, after))
