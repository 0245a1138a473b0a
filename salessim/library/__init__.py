"""Data that ship with the product: the example company, made up with its own simulator and a seed."""

from __future__ import annotations

from pathlib import Path

from salessim.errors import ScenarioError, listed
from salessim.model import Scenario
from salessim.plans import QuotaPlan

__all__ = [
    "EXAMPLE",
    "STRUCTURES",
    "example_crm",
    "example_plan",
    "example_scenario",
    "load_structure",
    "structures",
]

#: Folder of the example company.
EXAMPLE = Path(__file__).parent / "example"
#: Folder of the scenarios that show how a team can be organised.
STRUCTURES = Path(__file__).parent / "structures"


def example_scenario() -> Scenario:
    """The example company's market, funnels and team (made up).

    >>> example_scenario().made_up
    True
    """
    return Scenario.load(EXAMPLE / "scenario.yaml")


def example_plan() -> QuotaPlan:
    """The example company's quota plan (made up).

    >>> example_plan().name
    'everyone wins'
    """
    return QuotaPlan.load(EXAMPLE / "plan.yaml")


def example_crm() -> Path:
    """Folder of the example company's CRM export (made up by ``salessim.library.company``).

    >>> (example_crm() / "opportunities.csv").is_file()
    True
    """
    return EXAMPLE / "crm"


def structures() -> tuple[str, ...]:
    """Names of the scenarios that ship to show structures, qualification and existing customers (made up).

    Those that begin with "act" are the three acts of a growing team [D2]: the same demand and the same number
    of seats, organised in three ways.

    >>> structures()[:2]
    ('act-1-generalists', 'act-2-engineers-and-outbound')
    """
    return tuple(sorted(path.stem for path in STRUCTURES.glob("*.yaml")))


def load_structure(name: str) -> Scenario:
    """One of the scenarios named by :func:`structures`; ScenarioError where there is none of that name.

    >>> len(load_structure("act-3-specialists").team())
    16
    """
    if name not in structures():
        raise ScenarioError(f"structure is {name!r}; it must be one of {listed(structures())}")
    return Scenario.load(STRUCTURES / f"{name}.yaml")
