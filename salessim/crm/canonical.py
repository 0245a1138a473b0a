"""The canonical tables: what every CRM export becomes, whatever its columns are called.

Money is in the currency of :attr:`Tables.currency`, dates are days, a missing text is ``None`` or NaN, a
missing date NaT and a missing number NaN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import pandas as pd
import pandera.pandas as pa

from salessim.crm.quality import QualityReport
from salessim.crm.textfiles import SourceFile

__all__ = [
    "GIVEN",
    "NO_SEGMENTS",
    "SEGMENT_MISSING",
    "SPECS",
    "Kind",
    "TableSpec",
    "Tables",
    "checked",
    "empty",
]

Kind = Literal["text", "date", "money", "number"]

#: Segment of every deal when the export has no segments at all.
NO_SEGMENTS = "all"
#: Stands in the place of a contact's name, e-mail or phone, and of evidence in free text, which are dropped.
GIVEN = "given"
#: Segment of a deal whose own segment is blank although the export has segments.
SEGMENT_MISSING = "not given"


@dataclass(frozen=True)
class TableSpec:
    """What a column map may fill in one table: columns with their kind, the key, and what it must fill.

    ``derived`` columns are computed by the import, ``input_only`` ones are read and used but not returned,
    ``personal`` ones say only whether something is there (:data:`GIVEN`) unless personal data is asked for.

    >>> SPECS["reps"].key, SPECS["opportunities"].required
    (('rep',), ('opportunity_id', 'rep', 'stage', 'created', 'closed', 'amount'))
    """

    columns: Mapping[str, Kind]
    key: tuple[str, ...]
    required: tuple[str, ...]
    derived: tuple[str, ...] = ()
    input_only: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()

    @property
    def canonical_columns(self) -> tuple[str, ...]:
        """The columns of the finished table, in order."""
        return tuple(name for name in self.columns if name not in self.input_only) + self.derived

    def of_kind(self, *kinds: Kind) -> tuple[str, ...]:
        """The columns that hold the given kinds of value."""
        return tuple(name for name, kind in self.columns.items() if kind in kinds)


#: Every table a column map may describe. ``products`` only serves the deals: list price and segment.
SPECS: Mapping[str, TableSpec] = {
    "opportunities": TableSpec(
        columns={
            "opportunity_id": "text",
            "name": "text",
            "rep": "text",
            "account": "text",
            "product": "text",
            "segment": "text",
            "source": "text",
            "stage": "text",
            "status": "text",
            "created": "date",
            "closed": "date",
            "expected_close": "date",
            "amount": "money",
            "list_price": "money",
            "next_step": "text",
            "next_step_date": "date",
            "purchase_date": "date",
            "lost_reason": "text",
            "currency": "text",
            "probability": "number",
        },
        key=("opportunity_id",),
        required=("opportunity_id", "rep", "stage", "created", "closed", "amount"),
        derived=("row",),
        input_only=("currency", "probability"),
    ),
    "reps": TableSpec(
        columns={
            "rep": "text",
            "manager": "text",
            "region": "text",
            "role": "text",
            "start": "date",
            "end": "date",
        },
        key=("rep",),
        required=("rep",),
    ),
    "accounts": TableSpec(
        columns={
            "account": "text",
            "industry": "text",
            "region": "text",
            "employees": "number",
            "parent": "text",
        },
        key=("account",),
        required=("account",),
    ),
    "products": TableSpec(
        columns={"product": "text", "list_price": "money", "segment": "text"},
        key=("product",),
        required=("product",),
    ),
    "leads": TableSpec(
        columns={
            "lead_id": "text",
            "source": "text",
            "segment": "text",
            "rep": "text",
            "created": "date",
            "mql": "date",
            "sql": "date",
            "opportunity_id": "text",
            "company": "text",
            "industry": "text",
            "company_size": "text",
            "position": "text",
            "contact": "text",
            "email": "text",
            "phone": "text",
        },
        key=("lead_id",),
        required=("lead_id", "created"),
        personal=("contact", "email", "phone"),
    ),
    "stage_history": TableSpec(
        columns={"opportunity_id": "text", "stage": "text", "entered": "date"},
        key=("opportunity_id", "stage", "entered"),
        required=("opportunity_id", "stage", "entered"),
    ),
    "quotas": TableSpec(
        columns={"rep": "text", "period": "text", "quota": "money"},
        key=("rep", "period"),
        required=("rep", "period", "quota"),
    ),
    "evidence": TableSpec(
        columns={"opportunity_id": "text", "criterion": "text", "evidence": "text", "noted": "date"},
        key=("opportunity_id", "criterion"),
        required=("opportunity_id", "criterion", "evidence"),
        personal=("evidence",),
    ),
}

_DTYPES: Mapping[Kind, str] = {
    "text": "object",
    "date": "datetime64[ns]",
    "money": "float64",
    "number": "float64",
}


@dataclass(frozen=True, eq=False)
class Tables:
    """One CRM export, cleaned: what every measure, chart and calibration starts from.

    The seven tables are always there with all their columns, possibly without rows:

    - ``opportunities``: opportunity_id (unique), name, rep, account, product, segment (never missing;
      ``all`` when the export has none, ``not given`` where one deal's is blank), source, stage (the open
      stage; ``won`` or ``lost`` for closed deals), status (``open``, ``won``, ``lost``), created, closed
      (NaT while open), expected_close, amount (won: booked; open: expected, NaN when not given; lost:
      always NaN, since a lost deal brought nothing), list_price, next_step and next_step_date (what is agreed
      with the customer), purchase_date (when the customer says that the purchase happens), lost_reason, row
      (record number in its file; the header is 1).
    - ``reps``: rep (unique), manager, region, role, start, end. Sellers who are only named in deals, leads
      or quotas are added without a manager.
    - ``accounts``: account (unique), industry, region, employees, parent.
    - ``leads``: lead_id (unique), source, segment, rep, created, mql, sql (the day the lead qualified, or
      NaT), opportunity_id, company, industry, company_size, position, contact, email, phone (the last three
      say only whether they are there, unless personal data was asked for).
    - ``stage_history``: opportunity_id, stage, entered.
    - ``quotas``: rep, period (``2017Q3``), quota.
    - ``evidence``: opportunity_id, criterion, evidence, noted (the day it was noted, or NaT): what is
      known of each qualification criterion.

    ``as_of`` is the day the export was taken, ``currency`` an ISO code (``XXX``: the export has no currency),
    ``stages`` the open stages in order, ``column_map`` the map that was used and ``column_map_reason`` why.
    """

    opportunities: pd.DataFrame
    reps: pd.DataFrame
    accounts: pd.DataFrame
    leads: pd.DataFrame
    stage_history: pd.DataFrame
    quotas: pd.DataFrame
    as_of: date
    currency: str
    quality: QualityReport
    files: tuple[SourceFile, ...]
    column_map: str
    stages: tuple[str, ...]
    fiscal_year_starts_in_month: int = 1
    column_map_reason: str = ""
    evidence: pd.DataFrame = field(default_factory=lambda: empty("evidence"))

    def with_rep_columns(self) -> pd.DataFrame:
        """Return the opportunities with each seller's manager, region and role beside them.

        One row per opportunity, in the same order; the added columns are missing where the seller is unknown.

        >>> import tempfile
        >>> from pathlib import Path
        >>> from salessim.crm import read
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "reps.csv").write_text("rep,manager\\nRep Alpha,Manager Nord\\n")
        ...     _ = Path(folder, "opportunities.csv").write_text(
        ...         "opportunity_id,rep,stage,created,closed,amount\\n"
        ...         "D1,Rep Alpha,won,2026-01-05,2026-02-20,1200\\n"
        ...         "D2,Rep Beta,warm lead,2026-01-07,,500\\n"
        ...     )
        ...     tables = read(folder)
        >>> tables.with_rep_columns()[["opportunity_id", "rep", "manager"]]
          opportunity_id        rep       manager
        0             D1  Rep Alpha  Manager Nord
        1             D2   Rep Beta           NaN
        """
        return self.opportunities.merge(
            self.reps[["rep", "manager", "region", "role"]], on="rep", how="left", validate="many_to_one"
        )


def empty(table: str) -> pd.DataFrame:
    """Return a table with its canonical columns and types and no rows.

    >>> list(empty("quotas").columns), len(empty("quotas"))
    (['rep', 'period', 'quota'], 0)
    """
    spec = SPECS[table]
    columns = {name: pd.Series(dtype=_DTYPES[spec.columns[name]]) for name in spec.columns}
    frame = pd.DataFrame(columns | {name: pd.Series(dtype="int64") for name in spec.derived})
    return frame[list(spec.canonical_columns)]


def _is_text(column: pd.Series[Any]) -> bool:
    return column.dtype == object or isinstance(column.dtype, pd.CategoricalDtype)


def _schema(table: str, stages: tuple[str, ...]) -> Any:
    spec = SPECS[table]
    never_missing = {*spec.key} | ({"segment", "stage", "status"} if table == "opportunities" else set())
    columns: dict[str, Any] = {}
    for name in spec.canonical_columns:
        if name in spec.derived:
            columns[name] = pa.Column("int64", pa.Check.ge(2))
            continue
        kind = spec.columns[name]
        checks = [pa.Check(_is_text, name="texts")] if kind == "text" else []
        if name == "stage":
            checks.append(pa.Check.isin([*stages, "won", "lost"]))
        if name == "status":
            checks.append(pa.Check.isin(["open", "won", "lost"]))
        dtype = None if kind == "text" else _DTYPES[kind]
        columns[name] = pa.Column(dtype, checks, nullable=name not in never_missing)
    rules = []
    if table == "opportunities":
        rules = [
            pa.Check(lambda deals: deals["closed"].isna() == (deals["status"] == "open"), name="closed only"),
            pa.Check(
                lambda deals: (deals["status"] != "won") | (deals["amount"] >= 0), name="won has amount"
            ),
            pa.Check(
                lambda deals: (deals["status"] != "lost") | deals["amount"].isna(), name="lost has none"
            ),
            pa.Check(lambda deals: ~(deals["closed"] < deals["created"]), name="closed after created"),
            *(
                pa.Check(
                    lambda deals, closed=closed: (deals["status"] == closed) == (deals["stage"] == closed)
                )
                for closed in ("won", "lost")
            ),
        ]
    return pa.DataFrameSchema(columns, checks=rules, strict=True, ordered=True, unique=list(spec.key))


def checked(table: str, frame: pd.DataFrame, *, stages: tuple[str, ...] = ()) -> pd.DataFrame:
    """Return the table unchanged after proving that it keeps the promises made in :class:`Tables`.

    A guard of the import against itself: what a user can cause is reported long before. A breach is a pandera
    ``SchemaError``. Texts may be categories, which takes a fraction of the time on large tables.

    >>> len(checked("accounts", empty("accounts")))
    0
    """
    _schema(table, stages).validate(frame)
    return frame
