"""The weekly snapshot: the export is kept in the ledger, and compared with the one before it."""

from __future__ import annotations

from dataclasses import dataclass

from salessim import crm
from salessim.briefing.changes import changes_text
from salessim.briefing.export import day, read_export, scenario_of
from salessim.crm import ledger as ledgers
from salessim.errors import ParameterError

__all__ = ["Snapshot", "take_snapshot"]


@dataclass(frozen=True)
class Snapshot:
    """What was stored, and what changed since the snapshot before; ``changes`` is None for the first one."""

    recorded: crm.Recorded
    changes: crm.Changes | None
    text: str


def take_snapshot(
    crm_source: str, *, ledger: str, taken_on: str = "", column_map: str = "", since: str = ""
) -> Snapshot:
    """Store an export in the ledger and say what changed since an earlier one (Markdown).

    Args:
        crm_source: the export, as in :func:`salessim.briefing.read_export`.
        ledger: file of the ledger, made when missing, or database URL.
        taken_on: day of the export (2026-06-30); "" takes the latest day in it.
        column_map: name of a shipped column map or path of your own; "" detects it.
        since: day of the snapshot to compare with; "" takes the one before.

    Raises:
        SalessimError: the export or the ledger cannot be read, or there is no snapshot of that day.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = take_snapshot("example", ledger=str(Path(folder, "ledger.sqlite")))
    >>> found.recorded.outcome, found.changes is None
    ('recorded', True)
    """
    if not ledger:
        raise ParameterError("ledger is empty; name a file such as snapshots.sqlite, or a database URL")
    taken = day("taken_on", taken_on)
    earlier = day("since", since)
    if earlier is not None:
        ledgers.snapshot(ledger, earlier)  # a day that is not there is refused before anything is written
    # the day of an export decides what is late in it, so it is read as of the day on which it was taken
    tables = read_export(crm_source, column_map=column_map, as_of=taken_on, base=scenario_of(crm_source))
    recorded = ledgers.record(ledger, tables, taken_on=taken)
    if earlier is None and min(ledgers.days(ledger)) >= recorded.day:
        first = "It is the first snapshot: from the next one on, this says what changed since."
        return Snapshot(recorded, None, f"{recorded.sentence()}\n\n{first}")
    changes = crm.changes_in(ledger, since=earlier, until=recorded.day)
    slips = ledgers.slips_of(ledger, until=recorded.day)
    return Snapshot(recorded, changes, f"{recorded.sentence()}\n\n{changes_text(changes, slips=slips)}")
