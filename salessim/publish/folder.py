"""A report is replaced as a whole or not at all.

The new report grows in a hidden folder beside the old one and takes its place by renaming. A run that fails
or is killed leaves the old report as it was; what a killed run left behind, the next run clears away.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from salessim.errors import WorkspaceError, listed

__all__ = ["MADE_BY", "PROVENANCE", "Work", "failed", "replaced"]

PROVENANCE = "provenance.json"
#: Value of ``made_by`` in ``provenance.json``; what carries it may be replaced, anything else is left alone.
MADE_BY = "salessim"


@dataclass(frozen=True)
class Work:
    """The hidden folder in which a report grows."""

    root: Path

    @property
    def source(self) -> Path:
        """Executed notebooks and pages, as Sphinx reads them."""
        return self.root / "source"

    @property
    def scratch(self) -> Path:
        """Where notebooks run; what they write there is thrown away."""
        return self.root / "scratch"

    @property
    def report(self) -> Path:
        """The new report."""
        return self.root / "report"

    @property
    def previous(self) -> Path:
        """Where the old report waits while the new one takes its place."""
        return self.root / "previous"


def failed(out: Path) -> Path:
    """The folder that keeps partial notebooks of a failed run: ``<out>-failed``.

    >>> failed(Path("reports/2026Q2/build")).as_posix()
    'reports/2026Q2/build-failed'
    """
    return out.with_name(f"{out.name}-failed")


@contextmanager
def replaced(out: Path) -> Iterator[Work]:
    """Give a work folder beside ``out`` (an absolute path); at the end its report takes the place of ``out``.

    WorkspaceError, before the block begins, where ``out`` holds something else than a report, its parent
    cannot be written, or another run is at work there. On any exception the old report stays.
    """
    _refuse_foreign(out)
    work = Work(out.with_name(f".{out.name}.building"))
    try:
        work.root.mkdir(parents=True, exist_ok=True)
        lock_path = work.root / "lock"
        lock = lock_path.open("a")
    except OSError as failure:
        raise WorkspaceError(
            f"{out}: cannot be written ({failure.strerror}: {failure.filename}); "
            "choose another folder for the report"
        ) from failure
    with lock:
        if not _locked(lock):
            raise WorkspaceError(f"{out}: another run is writing this report; wait until it has finished")
        try:
            _clear(work, out)
            for part in (work.source, work.scratch, work.report):
                part.mkdir()
            yield work
            _swap(work, out)
        finally:
            _clear(work, out)
            with suppress(OSError):  # Windows keeps files that are open; the next run finds and uses them
                lock_path.unlink()
                work.root.rmdir()


def _refuse_foreign(out: Path) -> None:
    if not out.name:
        raise WorkspaceError(f"{out}: not a folder for a report; name a folder of its own")
    try:
        there = sorted(path.name for path in out.iterdir())
    except FileNotFoundError:
        return
    except OSError as failure:
        raise WorkspaceError(f"{out}: not a folder for a report ({failure.strerror})") from failure
    try:
        made_by = json.loads((out / PROVENANCE).read_text(encoding="utf-8")).get("made_by")
    except (OSError, ValueError, AttributeError):
        made_by = None
    if there and made_by != MADE_BY:
        raise WorkspaceError(
            f"{out}: holds something else than a report ({listed(there, most=5)}) and is left alone; "
            "name an empty or a new folder"
        )


def _clear(work: Work, out: Path) -> None:
    """Empty the work folder, of this run or of a killed one; the lock stays."""
    if work.previous.exists() and not out.exists():
        # stopped between the two renames of _swap: the good report still waits here
        with suppress(OSError):
            work.previous.rename(out)
    for part in work.root.iterdir():
        if part.is_dir() and (part != work.previous or out.exists()):
            shutil.rmtree(part, ignore_errors=True)


def _swap(work: Work, out: Path) -> None:
    try:
        if out.exists():
            out.rename(work.previous)
        work.report.rename(out)
    except OSError as failure:
        raise WorkspaceError(
            f"{out}: cannot be replaced ({failure.strerror}); close programs that have it open"
        ) from failure


def _locked(lock: IO[str]) -> bool:
    """Take the lock of a work folder; the system frees it when the process ends, however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
