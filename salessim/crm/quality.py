"""What the import found wrong with an export: each row rejected, repaired or suspicious, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd

from salessim.spreadsheets import write_csv

__all__ = [
    "COUNT_COLUMNS",
    "FINDING_COLUMNS",
    "ISSUE_COLUMNS",
    "SEVERITIES",
    "QualityReport",
    "Severity",
    "write_quality_report",
]

Severity = Literal["rejected", "suspicious", "repaired"]

#: Worst first: the row is missing from all figures; it is in them and may be wrong; it is in them, put right.
SEVERITIES: tuple[Severity, ...] = ("rejected", "suspicious", "repaired")

ISSUE_COLUMNS = ("table", "file", "row", "key", "field", "value", "rule", "severity", "what_to_do")
COUNT_COLUMNS = ("table", "file", "read", "kept", "rejected", "repaired", "suspicious")
FINDING_COLUMNS = ("table", "field", "rule", "finding", "what_to_do")
_SUMMARY_COLUMNS = ("rule", "severity", "rows", "example", "what_to_do")


def _no_findings() -> pd.DataFrame:
    return pd.DataFrame(columns=list(FINDING_COLUMNS), dtype="object")


@dataclass(frozen=True, eq=False)
class QualityReport:
    """How far the figures of an export can be trusted, row by row.

    - ``issues``: one line per row and rule: table, file, row (record number in the file, the header is 1),
      key (the row's id), field, value, rule, severity, what_to_do. *rejected* rows are in no figure;
      *suspicious* rows are kept as they are; *repaired* rows are kept and changed as the column map
      declares.
    - ``counts``: per table and file the records read, kept and rejected (read = kept + rejected), and the
      distinct kept rows that were repaired or are suspicious.
    - ``notes``: how the export was read: conventions, conversions, files and columns that were not used.
    - ``findings``: what is wrong with the export as a whole, such as no stage history: table, field, rule,
      finding (what it means and which figures cannot be given), what_to_do.

    >>> import pandas as pd
    >>> issues = pd.DataFrame(
    ...     [
    ...         ["opportunities", "deals.csv", 2, "D1", "closed", "", "no close date", "rejected", "Enter."],
    ...         ["opportunities", "deals.csv", 3, "D2", "product", "X → Y", "misspelt", "repaired", "Mend."],
    ...     ],
    ...     columns=ISSUE_COLUMNS,
    ... )
    >>> counts = pd.DataFrame([["opportunities", "deals.csv", 2, 1, 1, 1, 0]], columns=COUNT_COLUMNS)
    >>> report = QualityReport(issues, counts)
    >>> report.summary()[["rule", "rows", "example"]].values.tolist()  # doctest: +NORMALIZE_WHITESPACE
    [['no close date', 1, 'deals.csv row 2 (D1): closed: blank'],
     ['misspelt', 1, 'product: X → Y (1 row)']]
    """

    issues: pd.DataFrame
    counts: pd.DataFrame
    notes: tuple[str, ...] = ()
    findings: pd.DataFrame = field(default_factory=_no_findings)

    def summary(self) -> pd.DataFrame:
        """Return one line per rule that hit, worst first: rule, severity, rows, example, what_to_do.

        ``rows`` counts distinct rows. Rules of one severity stand in the order of the rule registry, which
        is the order in which they matter.
        """
        lines = [
            (
                rule,
                found["severity"].iat[0],
                _distinct_rows(found),
                _example(found),
                found["what_to_do"].iat[0],
            )
            for rule, found in self.issues.groupby("rule", sort=False)
        ]
        lines.sort(key=lambda line: SEVERITIES.index(line[1]))
        return pd.DataFrame(lines, columns=list(_SUMMARY_COLUMNS))


def _distinct_rows(issues: pd.DataFrame) -> int:
    return len(issues[["file", "row"]].drop_duplicates())


def _example(found: pd.DataFrame) -> str:
    if found["severity"].iat[0] == "repaired":  # what was changed matters more than where
        changes = (found["field"] + ": " + found["value"]).value_counts()
        top = changes.head(3)
        shown = [f"{change} ({rows:,} row{'' if rows == 1 else 's'})" for change, rows in top.items()]
        rest = len(changes) - len(top)
        return "; ".join(shown) + (f"; and {rest:,} more" if rest else "")
    first = found.iloc[0]
    key = f" ({first['key']})" if first["key"] else ""
    return f"{first['file']} row {first['row']}{key}: {first['field']}: {first['value'] or 'blank'}"


def write_quality_report(report: QualityReport, path: str | Path) -> Path:
    """Write all findings and issues as a CSV file for whoever cleans up the CRM, and return its path.

    Findings on the whole export come first, without file and row. The file opens in any spreadsheet and runs
    no formula there (see :func:`salessim.spreadsheets.write_csv`); a WorkspaceError names the path when it
    cannot be written.

    >>> import tempfile
    >>> issues = pd.DataFrame(
    ...     [["accounts", "a.csv", 2, "=1+1", "account", "=1+1", "exact duplicate", "rejected", "Merge."]],
    ...     columns=ISSUE_COLUMNS,
    ... )
    >>> report = QualityReport(issues, counts=pd.DataFrame())
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = write_quality_report(report, Path(folder, "quality.csv"))
    ...     print(path.read_text(encoding="utf-8-sig").splitlines()[1])
    accounts,a.csv,2,'=1+1,account,'=1+1,exact duplicate,rejected,Merge.
    """
    whole = report.findings.rename(columns={"finding": "value"}).assign(
        file="", row="", key="", severity="suspicious"
    )
    issues = report.issues.assign(row=report.issues["row"].astype("object"))
    parts = [part[list(ISSUE_COLUMNS)].astype("object") for part in (whole, issues) if len(part)]
    return write_csv(pd.concat(parts) if parts else pd.DataFrame(columns=list(ISSUE_COLUMNS)), path)
