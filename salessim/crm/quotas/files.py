"""What was read from a quota file: the quotas, every cell accounted for, and notes on what is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from salessim.crm.quality import SEVERITIES
from salessim.crm.quotas.labels import Frequency
from salessim.crm.textfiles import SourceFile

__all__ = ["NOTE_COLUMNS", "QuotaFile"]

#: Columns of :attr:`QuotaFile.notes`.
NOTE_COLUMNS = ("rep", "period", "line", "value", "rule", "severity", "what_to_do")


@dataclass(frozen=True, eq=False)
class QuotaFile:
    """The quotas of one file, every cell accounted for, and what deserves a second look.

    - ``quotas``: rep (text as written), period, quota (in ``currency``, already multiplied by ``unit``), line
      (record number in the file; the header, if any, is 1); one row per rep and period.
    - ``notes``: rep, period, line (NA where a note concerns no single line), value, rule, severity,
      what_to_do. *rejected* cells are in no figure, *suspicious* ones are kept as they are. A suspected
      roll-up is one note per person, with the evidence as its value.
    - ``rollups``: rep, members (tuple of reps), basis (``hierarchy`` or ``search``), evidence.
    - ``cells`` read = ``kept`` + ``missing`` (cells that mean no quota, which is not a quota of zero) +
      ``rejected``. A record that cannot be split into fields counts with all the quota cells of a record.
    - ``layout`` says how the file was understood, ``frequency`` how long a period is.

    Made by :func:`salessim.crm.read_quotas`.
    """

    source: SourceFile
    layout: str
    frequency: Frequency
    currency: str
    unit: float
    quotas: pd.DataFrame
    notes: pd.DataFrame
    rollups: pd.DataFrame
    cells: int
    missing: int
    rejected: int

    @property
    def kept(self) -> int:
        """Number of quotas in ``quotas``."""
        return len(self.quotas)

    def summary(self) -> pd.DataFrame:
        """Return one line per rule that hit, worst first: rule, severity, notes (their number), example,
        what_to_do.
        """
        lines = []
        for rule, found in self.notes.groupby("rule", sort=False):
            first = found.iloc[0]
            where = " ".join(part for part in (first["rep"], first["period"]) if part)
            example = f"{where}: {first['value']}" if where else str(first["value"])
            lines.append((rule, first["severity"], len(found), example, first["what_to_do"]))
        lines.sort(key=lambda line: SEVERITIES.index(line[1]))
        return pd.DataFrame(lines, columns=["rule", "severity", "notes", "example", "what_to_do"])
