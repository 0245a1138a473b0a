"""`salessim simulate`, `compare`, `sweep` and `structures …`: what a scenario brings, which is better, how
teams are best built."""

from __future__ import annotations

from typing import Annotated

import typer

from salessim.cli.common import alone, csv_path

__all__ = ["app", "compare", "simulate", "sweep"]

app = typer.Typer(
    help="Structures of a team: generalists or specialists, qualification, and existing customers.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

QuotaPlanPath = Annotated[
    str, typer.Option(help="Quota plan (.yaml): quotas and the team plan to be judged; left out: none.")
]
Trials = Annotated[int, typer.Option(help="Simulated horizons.")]
FewerTrials = Annotated[int, typer.Option(help="Simulated horizons of each scenario.")]
Seed = Annotated[int, typer.Option(help="Seed of the simulation: the same seed gives the same numbers.")]
Period = Annotated[str, typer.Option(help="Quarter, or 'horizon' for all simulated quarters.")]


def simulate(
    scenario: Annotated[str, typer.Argument(help="Scenario (.yaml), a shipped structure, or 'example'.")],
    quota_plan: QuotaPlanPath = "",
    engine: Annotated[str, typer.Option(help="auto, exact, thinning or flow.")] = "auto",
    trials: Trials = 10_000,
    seed: Seed = 1,
) -> None:
    """Say what a scenario brings: bookings by quarter, chance of the plan, leads lost, use of capacity."""
    from salessim import briefing
    from salessim.plans import QuotaPlan

    typer.echo(
        briefing.simulation_text(
            briefing.scenario_named(scenario),
            plan=QuotaPlan.load(quota_plan) if quota_plan else None,
            engine=engine,
            trials=trials,
            seed=seed,
        )
    )


def compare(
    a: Annotated[str, typer.Argument(help="Scenario (.yaml), a shipped structure, or 'example'.")],
    b: Annotated[str, typer.Argument(help="The scenario that is looked at, likewise.")],
    quota_plan: QuotaPlanPath = "",
    period: Period = "horizon",
    trials: Trials = 10_000,
    seed: Seed = 1,
    out: Annotated[str, typer.Option(help="Write the table to this CSV file.")] = "",
) -> None:
    """Say by how much one scenario books more than another on the same luck, and how surely."""
    from salessim import briefing, studies
    from salessim.plans import QuotaPlan

    path = csv_path("--out", out)
    found = studies.compare(
        briefing.scenario_named(a),
        briefing.scenario_named(b),
        plan=QuotaPlan.load(quota_plan) if quota_plan else None,
        period=period,
        trials=trials,
        seed=seed,
    )
    typer.echo(briefing.comparison_text(found))
    if path:
        found.table.to_csv(path, index=False)
        typer.echo(path)


def sweep(
    grid: Annotated[str, typer.Argument(help="Grid (.yaml), or 'example': a scenario and its changes.")],
    folder: Annotated[
        str, typer.Option(help="Folder of the results; named again, a stopped sweep goes on there.")
    ],
    quota_plan: QuotaPlanPath = "",
    period: Period = "horizon",
    engine: Annotated[str, typer.Option(help="auto, exact, thinning or flow.")] = "auto",
    trials: Trials = 10_000,
    seed: Seed = 1,
    scheduler: Annotated[
        str, typer.Option(help="Dask scheduler to work on, such as tcp://host:8786; left out: this machine.")
    ] = "",
    workers: Annotated[
        int | None, typer.Option(help="Processes on this machine; left out: one per core.")
    ] = None,
) -> None:
    """Work out every scenario of a grid, on all cores or a cluster; can be stopped and taken up again."""
    from salessim import briefing, studies
    from salessim.plans import QuotaPlan

    chosen = briefing.grid_named(grid)
    try:
        table = studies.sweep(
            chosen,
            folder=folder,
            plan=QuotaPlan.load(quota_plan) if quota_plan else None,
            period=period,
            engine=engine,  # type: ignore[arg-type]  # sweep refuses what it does not know
            trials=trials,
            seed=seed,
            scheduler=scheduler or None,
            workers=workers,
            progress=True,
        )
    except KeyboardInterrupt:
        typer.echo(f"{folder}: what is done is kept; the same command goes on from here", err=True)
        raise
    typer.echo(briefing.sweep_text(table, grid=chosen, folder=folder))


@app.callback()
def structures(
    context: typer.Context,
    scenarios: Annotated[
        str,
        typer.Option(
            help="Scenarios (.yaml) or shipped structures, with commas between; left out: the shipped three "
            "acts of a growing team (made up)."
        ),
    ] = "",
    trials: FewerTrials = 1000,
    seed: Seed = 1,
) -> None:
    """Answer: which way to organise the team books most on the same demand, and where is each short?"""
    if not alone(context):
        return
    from salessim import briefing

    report = briefing.prepare_structures(scenarios=scenarios, trials=trials, seed=seed)
    parts = (
        briefing.structures_findings(report),
        briefing.structures_table(report),
        briefing.bottlenecks_table(report),
    )
    typer.echo("\n\n".join(parts))


@app.command()
def qualification(
    scenario: Annotated[
        str, typer.Argument(help="Scenario (.yaml) that qualifies leads; left out: a shipped one (made up).")
    ] = "",
    trials: FewerTrials = 1000,
    seed: Seed = 1,
) -> None:
    """Answer: what is qualifying leads worth, and from which capacity on does it not pay any more?"""
    from salessim import briefing

    report = briefing.prepare_qualification(scenario=scenario, trials=trials, seed=seed)
    typer.echo(f"{briefing.qualification_findings(report)}\n\n{briefing.qualification_table(report)}")


@app.command()
def customers(
    scenario: Annotated[
        str,
        typer.Argument(
            help="Scenario (.yaml) with the customers of a segment; left out: a shipped one (made up)."
        ),
    ] = "",
    gross_margin: Annotated[
        float, typer.Option(help="Share of revenue left after the cost of serving a customer.")
    ] = 0.75,
    trials: FewerTrials = 1000,
    seed: Seed = 1,
) -> None:
    """Answer: what do the customers of today yield, what does churn cost, and when is a new one in profit?"""
    from salessim import briefing

    report = briefing.prepare_customers(
        scenario=scenario, gross_margin=gross_margin, trials=trials, seed=seed
    )
    parts = (
        briefing.customers_findings(report),
        briefing.customers_table(report),
        briefing.base_table(report),
        briefing.payback_table(report),
    )
    typer.echo("\n\n".join(parts))
