"""`salessim simulate`, `compare`, `sweep` and `structures …`: what a scenario brings, which is better, how
teams are best built."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from salessim.cli.common import alone, csv_path, progress
from salessim.errors import ParameterError, listed

if TYPE_CHECKING:
    from salessim.model import Scenario
    from salessim.plans import QuotaPlan

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


def _check_draws(trials: int, seed: int) -> None:
    """Refuse what no simulation can work with, before any work."""
    if trials < 2:
        raise ParameterError(f"--trials is {trials}; it must be 2 or more")
    if seed < 0:
        raise ParameterError(f"--seed is {seed}; it must be 0 or more")


def _check_period(period: str, scenario: Scenario) -> None:
    from salessim.engine import HORIZON

    known = [*(str(quarter) for quarter in scenario.calendar.periods()), HORIZON]
    if period not in known:
        raise ParameterError(f"--period is '{period}'; the scenario covers {listed(known)}")


def _plan_for(path: str, *scenarios: Scenario) -> QuotaPlan | None:
    """The quota plan of a file, refused where it does not fit the scenarios; None: none was given."""
    from salessim.plans import QuotaPlan, quotas

    if not path:
        return None
    plan = QuotaPlan.load(path)
    for scenario in scenarios:
        quotas(plan, scenario)
    return plan


def _table_path(out: str) -> Path | None:
    """Where the table goes: a CSV file in a folder that is there."""
    path = csv_path("--out", out)
    if path and not path.parent.is_dir():
        raise ParameterError(f"--out: folder '{path.parent}' does not exist")
    return path


def simulate(
    scenario: Annotated[str, typer.Argument(help="Scenario (.yaml), a shipped structure, or 'example'.")],
    quota_plan: QuotaPlanPath = "",
    engine: Annotated[str, typer.Option(help="auto, exact, thinning or flow.")] = "auto",
    trials: Trials = 10_000,
    seed: Seed = 1,
) -> None:
    """Say what a scenario brings: bookings by quarter, chance of the plan, leads lost, use of capacity."""
    _check_draws(trials, seed)
    from salessim import briefing

    world = briefing.scenario_named(scenario)
    plan = _plan_for(quota_plan, world)
    name = f"simulating '{world.name}'"
    with progress([name]) as step:
        step(name)
        text = briefing.simulation_text(world, plan=plan, engine=engine, trials=trials, seed=seed)
    typer.echo(text)


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
    _check_draws(trials, seed)
    from salessim import briefing, studies
    from salessim.spreadsheets import write_csv

    path = _table_path(out)
    worlds = briefing.scenario_named(a), briefing.scenario_named(b)
    _check_period(period, worlds[0])
    plan = _plan_for(quota_plan, *worlds)
    name = "simulating both scenarios on the same luck"
    with progress([name]) as step:
        step(name)
        found = studies.compare(*worlds, plan=plan, period=period, trials=trials, seed=seed)
    typer.echo(briefing.comparison_text(found))
    if path:
        write_csv(found.table, path)
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
    _check_draws(trials, seed)
    from salessim import briefing, studies
    from salessim.plans import QuotaPlan

    chosen = briefing.grid_named(grid)
    _check_period(period, chosen.scenario)
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
    _check_draws(trials, seed)
    from salessim import briefing
    from salessim.briefing.structures import STRUCTURE_STEPS

    with progress(STRUCTURE_STEPS) as step:
        report = briefing.prepare_structures(scenarios=scenarios, trials=trials, seed=seed, step=step)
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
    _check_draws(trials, seed)
    from salessim import briefing
    from salessim.briefing.structures import QUALIFICATION_STEPS

    with progress(QUALIFICATION_STEPS) as step:
        report = briefing.prepare_qualification(scenario=scenario, trials=trials, seed=seed, step=step)
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
    _check_draws(trials, seed)
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
