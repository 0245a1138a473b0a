"""`salessim capacity …`: leads, open deals, people and limits that a sales year needs, and its levers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

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
    progress,
)
from salessim.errors import ParameterError

if TYPE_CHECKING:
    from salessim import briefing

__all__ = ["app"]

app = typer.Typer(
    help="Capacity: how many leads, open deals and people does the plan need, and when?",
    invoke_without_command=True,
    rich_markup_mode=None,
)

World = Annotated[
    str,
    typer.Option(
        help="Scenario (.yaml), or a shipped one, taken as it is: no CRM export is read.", show_default=False
    ),
]
Target = Annotated[
    float, typer.Option(help="Bookings of the team over all simulated quarters; 0: the company's plan.")
]
Chance = Annotated[float, typer.Option(help="Wanted chance of the plan, between 0 and 1.")]
Trials = Annotated[int, typer.Option(help="Simulated horizons, where no formula holds; 2 or more.")]
Seed = Annotated[int, typer.Option(help="Seed of the simulation, 0 or more.")]


@app.callback()
def capacity(
    context: typer.Context,
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    world: World = "",
    target: Target = 0.0,
    chance: Chance = 0.80,
    trials: Trials = 400,
    seed: Seed = 1,
) -> None:
    """Answer: how many leads, open deals and people does the plan need, and which lever moves it most?"""
    if not alone(context):
        return
    from salessim import briefing

    year = _year(
        crm, quarter, column_map, as_of, scenario, plan, world, target=target, chance=chance, trials=trials,
        seed=seed,
    )  # fmt: skip
    _with_target(year)
    _answer(lambda: briefing.capacity_findings(year))


@app.command()
def leads(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    world: World = "",
    target: Target = 0.0,
    chance: Chance = 0.80,
    trials: Trials = 400,
    seed: Seed = 1,
    out: Annotated[str, typer.Option(help="Write leads by segment, source and month to this CSV.")] = "",
) -> None:
    """Answer: how many leads and MQL does the plan need, per segment, source and month?"""
    from salessim import briefing
    from salessim.spreadsheets import write_csv

    path = csv_path("--out", out)
    year = _year(
        crm, quarter, column_map, as_of, scenario, plan, world, target=target, chance=chance, trials=trials,
        seed=seed,
    )  # fmt: skip
    _with_target(year)
    _answer(
        lambda: briefing.lead_findings(year),
        lambda: briefing.leads_table(year),
        lambda: briefing.mql_findings(year),
        lambda: briefing.mql_table(year),
    )
    if path:
        table = briefing.lead_list(year)
        write_csv(table, path)
        typer.echo(f"{path}: {len(table):,} rows")


@app.command()
def limit(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    world: World = "",
    open_deals: Annotated[
        int, typer.Option(help="What if nobody could work on more open deals? 0: the scenario's own limits.")
    ] = 0,
    trials: Trials = 400,
    seed: Seed = 1,
) -> None:
    """Answer: does capacity bind, what does that cost, and who works at the limit?"""
    from salessim import briefing

    if open_deals < 0:
        raise ParameterError(f"--open-deals is {open_deals}; it must be 1 or more, or 0 for none")
    year = _year(
        crm, quarter, column_map, as_of, scenario, plan, world, target=0.0, chance=0.80, trials=trials,
        seed=seed,
    )  # fmt: skip
    _answer(
        lambda: briefing.limit_findings(year, most_open_deals=open_deals),
        lambda: briefing.limit_table(year, most_open_deals=open_deals),
    )


@app.command()
def hire(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    world: World = "",
    target: Target = 0.0,
    chance: Chance = 0.80,
    trials: Trials = 400,
    seed: Seed = 1,
) -> None:
    """Answer: when must how many people start, and what does a month of delay cost?"""
    from salessim import briefing

    year = _year(
        crm, quarter, column_map, as_of, scenario, plan, world, target=target, chance=chance, trials=trials,
        seed=seed,
    )  # fmt: skip
    _with_target(year)
    _answer(
        lambda: briefing.hire_findings(year),
        lambda: briefing.hire_table(year),
        lambda: briefing.delay_table(year),
    )


@app.command()
def hold(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    world: World = "",
    target: Target = 0.0,
    chance: Annotated[float, typer.Option(help="Wanted chance of a rep's quota, between 0 and 1.")] = 0.80,
    trials: Trials = 400,
    seed: Seed = 1,
) -> None:
    """Answer: how many open deals and leads must each rep hold, and who is short?"""
    from salessim import briefing

    year = _year(
        crm, quarter, column_map, as_of, scenario, plan, world, target=target, chance=chance, trials=trials,
        seed=seed,
    )  # fmt: skip
    if year.plan is None:
        raise ParameterError("there are no quotas: give a quota plan with --plan, or --target to share out")
    _answer(
        lambda: briefing.hold_findings(year),
        lambda: briefing.hold_table(year),
        lambda: briefing.hold_by_rep(year),
    )


@app.command()
def norms(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    world: World = "",
) -> None:
    """Answer: what is the norm of each stage in days, conversion, and open deals?"""
    from salessim import briefing

    year = _year(
        crm, quarter, column_map, as_of, scenario, "", world, target=0.0, chance=0.80, trials=2, seed=1
    )
    _answer(lambda: briefing.stage_norms_table(year))


@app.command()
def levers(
    crm: Crm = "example",
    quarter: QuarterText = "2026Q2",
    column_map: ColumnMap = "",
    as_of: AsOf = "",
    scenario: ScenarioPath = "",
    plan: PlanPath = "",
    world: World = "",
    target: Target = 0.0,
    sobol: Annotated[
        bool, typer.Option("--sobol", help="Also split the spread when all levers are in doubt at once.")
    ] = False,
    samples: Annotated[
        int, typer.Option(help="Base points of the Sobol sequence, a power of 2 from 16 on.")
    ] = 256,
    trials: Trials = 400,
    seed: Seed = 1,
) -> None:
    """Answer: which lever moves the plan most?"""
    from salessim import briefing
    from salessim.briefing.levers import check_samples

    if sobol:
        check_samples(samples)
    year = _year(
        crm, quarter, column_map, as_of, scenario, plan, world, target=target, chance=0.80, trials=trials,
        seed=seed,
    )  # fmt: skip
    _answer(lambda: briefing.lever_findings(year), lambda: briefing.lever_table(year))
    if sobol:
        _answer(lambda: briefing.lever_shares_table(year, samples=samples))


def _year(
    crm: str,
    quarter: str,
    column_map: str,
    as_of: str,
    scenario: str,
    plan: str,
    world: str,
    *,
    target: float,
    chance: float,
    trials: int,
    seed: int,
) -> briefing.SalesYear:
    """The year that is asked about: of a CRM export, or of a scenario as it is."""
    from salessim import briefing
    from salessim.briefing.sales_year import check_question

    check_question(target=target, chance=chance, trials=trials, seed=seed)
    if world and crm != "example":
        raise ParameterError("--world takes a scenario as it is, --crm an export; give one of them")
    if world and scenario:
        raise ParameterError(
            "--world takes a scenario as it is, --scenario completes a CRM export; give one of them"
        )
    if world:
        return briefing.sales_year_of(
            world, plan=plan, target=target, chance=chance, trials=trials, seed=seed
        )
    report = prepared(crm, quarter, column_map, as_of, scenario, plan)
    return briefing.sales_year(report, target=target, chance=chance, trials=trials, seed=seed)


def _with_target(year: briefing.SalesYear) -> briefing.SalesYear:
    """The year, where a target or quotas are known for it."""
    if year.targets is None and year.plan is None:
        raise ParameterError("there is no target: give --target, or --plan with an annual_team_plan")
    if year.targets is None:
        raise ParameterError("there is no target: the quota plan states no annual_team_plan; give --target")
    return year


def _answer(*parts: Callable[[], str]) -> None:
    """Print what is worked out, part by part, with a progress bar until each is there."""
    for part in parts:
        with progress(("working it out",)) as step:
            step("working it out")
            text = part()
        if text:
            typer.echo(f"{text}\n")
