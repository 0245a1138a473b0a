"""Exports that the tests of the audit share, each read once."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from salessim.crm import read
from salessim.crm.canonical import Tables
from salessim.library import example_crm


@pytest.fixture(scope="session")
def example() -> Tables:
    return read(example_crm())


@pytest.fixture(scope="session")
def without_evidence(real_data: Path) -> Tables:
    """A real export that has no evidence, and of all dates only those of creation and closing."""
    return read(real_data / "maven_crm", as_of=date(2017, 9, 30))
