"""`salessim pay …`: what a pay plan costs, what it pays for what, and where an amount comes from."""

from __future__ import annotations

from typing import Annotated

import typer

from salessim.cli.common import AsOf, ColumnMap, Crm, PlanPath, QuarterText, ScenarioPath, alone, prepared

__all__ = ["app"]

app = typer.Typer(
    help="Pay plans: what they cost, whom they pay, and where an amount comes from.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

PayPlan = Annotated[
    str, typer.Option(help="Pay plan (.yaml), or a shipped one (see: salessim pay plans); left out: 50/50.")
]


@app.callback()
def pay(
    context: typer.Context,
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    pay_plan: PayPlan = "",
    compare: Annotated[str, typer.Option(help="A second pay plan, on the same luck.")] = "",
    gross_margin: Annotated[float, typer.Option(help="Share of extra bookings left before pay.")] = 0.7,
    trials: Annotated[int, typer.Option(help="Simulated horizons.")] = 4000,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 1,
) -> None:
    """Answer: what does the pay plan cost, who earns it, and are its accelerators worth it?"""
    if not alone(context):
        return
    from salessim import briefing

    report = briefing.prepare_pay(
        prepared(crm, quarter, column_map, as_of, scenario, plan),
        pay_plan=pay_plan,
        compare=compare,
        gross_margin=gross_margin,
        trials=trials,
        seed=seed,
    )
    parts = (
        briefing.pay_findings(report),
        briefing.pay_warnings(report),
        briefing.quota_and_pay(report),
        briefing.pay_table(report),
        briefing.pay_by_rep(report),
    )
    typer.echo("\n\n".join(parts))


@app.command()
def plans() -> None:
    """List the shipped pay plans."""
    from salessim import briefing

    typer.echo(briefing.shipped_pay_plans())


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A shipped pay plan, or the path of one.")],
    annual_quota: Annotated[float, typer.Option(help="Quota of a rep per year.")] = 500_000.0,
) -> None:
    """Show what a pay plan pays at 50 to 150 % of quota, what to know about it, and its text."""
    from salessim import briefing

    typer.echo(briefing.pay_plan_text(name, annual_quota=annual_quota))


@app.command()
def trace(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    pay_plan: PayPlan = "",
    rep: Annotated[str, typer.Option(help="Name of the rep; left out: who booked most.")] = "",
    period: Annotated[str, typer.Option(help="Period of the pay plan; left out: the reported one.")] = "",
) -> None:
    """Show a rep's pay of a past period to the cent: each deal, tier, rate and amount."""
    from salessim import briefing

    report = briefing.prepare_pay(
        prepared(crm, quarter, column_map, as_of, scenario, plan), pay_plan=pay_plan, trials=100
    )
    typer.echo(briefing.pay_trace(report, rep=rep, period=period))
