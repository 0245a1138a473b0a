"""One finished report for all tests that only look at it."""

from __future__ import annotations

from pathlib import Path

import pytest

from salessim.publish import build

from . import samples


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a finished report, in a place with spaces, braces and letters of three alphabets."""
    home = tmp_path_factory.mktemp("publish") / "Sprzedaż {Q3} продажи"
    return build(samples.full(home), out=home / "build", progress=False).parent
