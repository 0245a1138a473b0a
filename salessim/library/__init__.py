"""Data that ship with the product: the example company, made up with its own simulator and a seed."""

from __future__ import annotations

from pathlib import Path

from salessim.model import Scenario
from salessim.plans import QuotaPlan

__all__ = ["EXAMPLE", "example_crm", "example_plan", "example_scenario"]

#: Folder of the example company.
EXAMPLE = Path(__file__).parent / "example"


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
