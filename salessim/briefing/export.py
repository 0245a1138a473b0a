"""Which export a report is made from: a folder, a file, a database, or a YAML file that says it all."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated

from pydantic import Field

from salessim import crm, formats
from salessim.documents import Part, load_yaml, read_text, validated
from salessim.errors import DataError, ParameterError
from salessim.library import EXAMPLE, example_crm
from salessim.model import DEFAULT_CONTRACTS, Contract, Scenario

__all__ = ["ExportSpec", "day", "import_summary", "read_export", "scenario_of"]


class ExportSpec(Part):
    """What a client's ``crm.yaml`` says: where the CRM data are and how they are read.

    Relative paths start from the file they stand in. All but ``source`` may be left out.

    >>> ExportSpec(source="sqlite:///crm.db", tables={"opportunities": "deals"}).currency
    ''
    """

    source: Annotated[str, Field(min_length=1)]
    """Folder, file (.csv, .xlsx, .parquet, .zip …) or database URL (such as postgresql://host/crm)."""
    column_map: str = ""
    """Name of a shipped column map or path of your own; empty: detected from the headers."""
    tables: Mapping[str, str] = Field(default_factory=dict)
    """Databases only: name of a table of the export → table or SELECT that gives it; empty: all tables."""
    as_of: date | None = None
    """Day on which the export was taken; empty: the latest day in it."""
    currency: Annotated[str, Field(pattern=r"^([A-Z]{3})?$")] = ""
    """Currency that reports are written in; empty: that of the map or of the export."""
    rates: str = ""
    """CSV file of exchange rates: currency, rate, and from which day on it holds; empty: the scenario's."""
    ledger: str = ""
    """Ledger of weekly snapshots (file or database URL): the stage history where the CRM keeps none."""
    personal_data: bool = False
    """True keeps names, e-mails and phones of contacts, which are dropped otherwise."""

    @classmethod
    def load(cls, path: str | Path) -> ExportSpec:
        """Read such a file; its paths come back absolute. A DataError names file, field and value."""
        text = read_text(path, error=DataError)
        spec = validated(
            cls, load_yaml(text, where=str(path), error=DataError), where=str(path), error=DataError
        )
        folder = Path(path).resolve().parent

        def absolute(value: str) -> str:
            return (
                value if not value or "://" in value else str((folder / Path(value).expanduser()).resolve())
            )

        own_map = spec.column_map.lower().endswith((".yaml", ".yml"))
        return spec.model_copy(
            update={
                **{name: absolute(getattr(spec, name)) for name in ("source", "rates", "ledger")},
                "column_map": absolute(spec.column_map) if own_map else spec.column_map,
            }
        )

    @classmethod
    def of(cls, crm_source: str, *, column_map: str = "", as_of: date | None = None) -> ExportSpec:
        """The specification behind what a user names as the CRM: "example", a ``crm.yaml``, or the data.

        ``column_map`` and ``as_of`` replace what a file says.
        """
        if not crm_source.strip():
            raise ParameterError(
                "no export is named; give a folder, file, database URL or crm.yaml, or 'example'"
            )
        if crm_source == "example":
            spec = cls(source=str(example_crm()))
        elif crm_source.lower().endswith((".yaml", ".yml")):
            spec = cls.load(crm_source)
        else:
            spec = cls(source=crm_source)
        written = Path(spec.source, crm.MAP_FILE)
        if not spec.column_map and "://" not in spec.source and written.is_file():  # our own import
            spec = spec.model_copy(update={"column_map": str(written)})
        changes = {"column_map": column_map or spec.column_map, "as_of": as_of or spec.as_of}
        return spec.model_copy(update=changes)


def read_export(
    crm_source: str,
    *,
    column_map: str = "",
    as_of: str = "",
    fiscal_year_starts_in_month: int = 1,
    base: Scenario | None = None,
) -> crm.Tables:
    """Read what a user names as the CRM: "example", a folder, file or database, or a ``crm.yaml``.

    A day before the last one of the export takes it back to that day. ``base`` is a scenario that brings
    exchange rates and contracts; "" leaves a choice to the program.
    """
    spec = ExportSpec.of(crm_source, column_map=column_map, as_of=day("as_of", as_of))
    contracts: tuple[Contract, ...] = base.contracts if base else DEFAULT_CONTRACTS
    rates = crm.read_rates(spec.rates) if spec.rates else (dict(base.exchange_rates) if base else None)

    def read(day: date | None) -> crm.Tables:
        return crm.read(
            spec.source,
            column_map=spec.column_map or None,
            as_of=day,
            fiscal_year_starts_in_month=fiscal_year_starts_in_month,
            currency=spec.currency or (base.currency if base and base.exchange_rates else None),
            rates=rates or None,
            contracts=contracts,
            personal_data=spec.personal_data,
            queries=spec.tables or None,
        )

    tables = read(None)
    if spec.as_of is not None and spec.as_of > tables.as_of:
        tables = read(spec.as_of)
    if spec.ledger:
        tables = crm.with_history(tables, spec.ledger)
    if spec.as_of is not None and spec.as_of < tables.as_of:  # what happened later was not known on that day
        return crm.as_seen_on(tables, spec.as_of)
    return tables


def scenario_of(crm_source: str, path: str = "") -> Scenario | None:
    """The scenario that goes with an export: the given one, that of the example company, or none."""
    if path or crm_source == "example":
        return Scenario.load(path or EXAMPLE / "scenario.yaml")
    return None


def import_summary(tables: crm.Tables) -> str:
    """What was read, in a sentence or two: from which CRM, how many deals, up to which day (Markdown)."""
    by_status = tables.opportunities["status"].value_counts()
    deals = ", ".join(
        f"{formats.count(by_status.get(status, 0))} {status}" for status in ("won", "lost", "open")
    )
    rejected = int(tables.quality.counts["rejected"].sum())
    return (
        f"**{formats.count(len(tables.opportunities))} opportunities as of {tables.as_of}** ({deals}), "
        f"amounts in {tables.currency}; {formats.count(rejected)} rows of all files rejected.\n\n"
        f"{tables.column_map_reason[:1].upper()}{tables.column_map_reason[1:]}."
    )


def day(name: str, text: str) -> date | None:
    """Read a parameter that holds a day as text; "" is None."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ParameterError(f"{name} is {text!r}; write a day like 2026-06-30, or leave it empty") from None
