"""The example company and the real data, read once for all tests of the measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from salessim import crm
from salessim.library import example_crm


@pytest.fixture(scope="session")
def example() -> crm.Tables:
    return crm.read(example_crm())


@pytest.fixture(scope="session")
def maven(real_data: Path) -> crm.Tables:
    return crm.read(real_data / "maven_crm")
