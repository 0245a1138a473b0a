"""What the commands share: their common options, and reading an export with a progress bar."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperGroup

from salessim.errors import ParameterError

if TYPE_CHECKING:
    from salessim import briefing

__all__ = [
    "AsOf",
    "ColumnMap",
    "Crm",
    "PlanPath",
    "QuarterText",
    "ScenarioPath",
    "alone",
    "csv_path",
    "prepared",
    "progress",
]

Crm = Annotated[
    str,
    typer.Option(help="CRM export: folder, file, database URL or crm.yaml; 'example' is a made-up company."),
]
QuarterText = Annotated[str, typer.Option(help="Quarter that is reported, such as 2017Q3.")]
ColumnMap = Annotated[
    str,
    typer.Option("--column-map", "--source", help="Shipped column map such as hubspot, or your own (.yaml)."),
]
AsOf = Annotated[str, typer.Option(help="Day the export was taken, such as 2017-09-30.")]
ScenarioPath = Annotated[str, typer.Option(help="Scenario with roles, ramps, hires and criteria (.yaml).")]
PlanPath = Annotated[str, typer.Option(help="Quota plan (.yaml); left out: the recommended one.")]


def alone(context: typer.Context) -> bool:
    """Whether a group of commands was called by itself; options in front of one of its commands are refused,
    since the command would not see them."""
    if context.invoked_subcommand is None:
        return True
    misplaced = [
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    ]
    if misplaced:
        option = f"--{misplaced[0].replace('_', '-')}"
        command = f"salessim {context.info_name} {context.invoked_subcommand}"
        if misplaced[0] in _names_of_options(context):
            advice = f"write it behind: {command} {option} …"
        else:
            advice = f"leave it out: '{command}' has no such option"
        raise ParameterError(f"{option} stands before the command; {advice}")
    return False


def _names_of_options(context: typer.Context) -> set[str]:
    """What the command that was called in a group takes."""
    group, name = context.command, context.invoked_subcommand
    command = group.get_command(context, name) if isinstance(group, TyperGroup) and name else None
    return {parameter.name for parameter in command.params if parameter.name} if command else set()


def csv_path(option: str, given: str) -> Path | None:
    """Where a table is to be written; None where nothing was given. Any other ending than .csv is refused."""
    if given and not given.endswith(".csv"):
        raise ParameterError(f"{option} is '{given}'; write a file that ends with .csv")
    return Path(given) if given else None


def prepared(
    crm: str, quarter: str, column_map: str, as_of: str, scenario: str, plan: str = ""
) -> briefing.Briefing:
    """Read, calibrate and simulate, with a progress bar."""
    from salessim import briefing

    with progress(briefing.STEPS) as step:
        return briefing.prepare(
            crm_folder=crm,
            quarter=quarter,
            column_map=column_map,
            as_of=as_of,
            scenario=scenario,
            plan=plan,
            step=step,
        )


@contextmanager
def progress(steps: Sequence[str]) -> Iterator[Callable[[str], None]]:
    """A progress bar on a terminal, which names the step under way and is gone when the answer comes."""
    from tqdm import tqdm

    layout = "{desc} |{bar:20}| {n_fmt}/{total_fmt}"
    with tqdm(total=len(steps), bar_format=layout, leave=False, disable=None, file=sys.stderr) as bar:

        def step(name: str) -> None:
            bar.n = steps.index(name)
            bar.set_description(name)

        yield step
