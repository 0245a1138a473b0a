"""One finished report for all tests that only look at it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from salessim.publish import Bundle, build

from . import samples


@pytest.fixture(scope="session")
def made_in_2017() -> Iterator[None]:
    """A fixed date, in the manner of reproducible builds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1500000000")
        yield


@pytest.fixture(scope="session")
def bundle(made_in_2017: None, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A report with a chart, tables and linked pages, in a folder with letters of three alphabets."""
    return samples.full(tmp_path_factory.mktemp("publish") / "Sprzedaż {Q3} продажи")


@pytest.fixture(scope="session")
def report(bundle: Bundle) -> Path:
    """The folder of that report, finished."""
    home = bundle.chapters[0].notebook.parents[1]
    return build(bundle, out=home / "build", progress=False).parent
