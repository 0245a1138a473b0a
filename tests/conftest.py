"""Fixtures that several test folders share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with real data sets, which are not ours to ship; without it, tests on them are skipped."""
    named = os.environ.get("SALESSIM_REAL_DATA")
    folder = Path(named) if named else REPOSITORY / ".." / "shared" / "data"
    if not (folder / "maven_crm").is_dir():
        pytest.skip(f"no real data: SALESSIM_REAL_DATA is {named!r} and '{folder}' has no folder 'maven_crm'")
    return folder.resolve()


@pytest.fixture
def write_export(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    """A function that writes files (name → text in UTF-8, or bytes) into an export folder and returns it."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        folder = tmp_path / "export"
        folder.mkdir(exist_ok=True)
        for name, content in files.items():
            data = content.encode("utf-8") if isinstance(content, str) else content
            (folder / name).write_bytes(data)
        return folder

    return write
