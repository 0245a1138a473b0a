"""Column maps: how one CRM writes its export, as a YAML file that a user can write for any other CRM.

The format, key by key (only ``name``, ``stages`` and ``tables`` must be there; unknown keys are refused)::

    name: our_crm                    # how reports call this source
    description: Deals of our CRM    # one line, optional
    currency: PLN                    # ISO code of all money; XXX (the default): the export has none
    encoding: cp1250                 # only when the encoding is guessed wrongly
    dates: [ISO, "%d.%m.%Y"]         # tried in this order; ISO (the default) is 2017-09-30, a time may follow
    numbers:
      decimal: ","                   # "." (the default) or ","
      thousands: " "                 # "" (the default), ",", ".", "'" or " " (also the non-breaking ones)
      currency_signs: ["zł", "PLN"]  # removed before the number is read
    missing_words: ["-", "N/A"]      # cells that mean "nothing"; a blank cell always does
    stages:                          # every stage with its status, the open ones in order
      Kwalifikacja: open
      Negocjacje: open
      Zakończone Wygrane: won
      Zakończone Przegrane: lost
    statuses: {Otwarta: open, …}     # only when a status column says open, won or lost
    segment_from: opportunities.segment   # or opportunities.product, products.segment, accounts.industry
    tables:
      opportunities:                 # or reps, accounts, products, leads, stage_history, quotas
        file: "deals*.csv"           # a name or a pattern that may fit several files
        columns:                     # canonical name: header in the file; a header may serve twice
          opportunity_id: Numer
          rep: Handlowiec
          ...
        optional: [source]           # columns that some exports lack; all others must be in the header
        constants: {region: Poland}  # the same value in every row, for a column the export does not have
        corrections:                 # misspelt values, listed as repaired in the quality report
          product: {GTXPro: GTX Pro}
        dates: ["%Y/%m/%d"]          # where this file differs from the rest
        numbers: {decimal: "."}      # likewise
      reps:
        file: people.csv
        required: false              # true (the default): the file must be there
        columns: {rep: Osoba}

``products`` gives opportunities their list price and, with ``segment_from: products.segment``, their
segment. ``opportunities`` may also map ``currency``: deals in another currency than the map's are then
rejected rather than added up. The canonical columns of each table stand in :class:`salessim.crm.Tables`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from datetime import datetime
from importlib.resources import files
from itertools import permutations
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from salessim.crm.canonical import SPECS
from salessim.errors import DataError, listed

__all__ = ["ColumnMap", "NumberFormat", "TableMap", "read_map", "shipped_maps"]

Status = Literal["open", "won", "lost"]

_FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True)


class NumberFormat(BaseModel):
    """How an export writes amounts.

    >>> NumberFormat(decimal=",", thousands=" ", currency_signs=["zł"]).decimal
    ','
    """

    model_config = _FROZEN

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    currency_signs: list[str] = []

    @model_validator(mode="after")
    def _two_signs(self) -> NumberFormat:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; they must differ")
        return self


class TableMap(BaseModel):
    """Which file holds a table, and which of its headers is which canonical column.

    >>> TableMap(file="people.csv", columns={"rep": "Owner"}).required
    True
    """

    model_config = _FROZEN

    file: str = Field(min_length=1)
    required: bool = True
    columns: dict[str, str]
    optional: list[str] = []
    constants: dict[str, str] = {}
    corrections: dict[str, dict[str, Annotated[str, Field(min_length=1)]]] = {}
    dates: list[str] | None = None
    numbers: NumberFormat | None = None

    @field_validator("dates")
    @classmethod
    def _known_dates(cls, formats: list[str] | None) -> list[str] | None:
        return None if formats is None else _date_formats(formats)

    @property
    def required_headers(self) -> list[str]:
        """Headers that the file must have."""
        wanted = [header for name, header in self.columns.items() if name not in self.optional]
        return list(dict.fromkeys(wanted))

    @property
    def optional_headers(self) -> list[str]:
        """Headers that the file may have."""
        return [
            h for name, h in self.columns.items() if name in self.optional and h not in self.required_headers
        ]


class ColumnMap(BaseModel):
    """How one CRM writes its export: files, headers, stages with their status, dates, amounts and currency.

    >>> column_map = read_map("maven_crm")
    >>> column_map.open_stages, column_map.currency
    (('Prospecting', 'Engaging'), 'USD')
    """

    model_config = _FROZEN

    name: str = Field(min_length=1)
    description: str = ""
    currency: str = Field(default="XXX", pattern=r"^[A-Z]{3}$")
    encoding: str | None = None
    dates: list[str] = ["ISO"]
    numbers: NumberFormat = NumberFormat()
    missing_words: list[str] = []
    stages: dict[str, Status]
    statuses: dict[str, Status] | None = None
    segment_from: Literal[
        "opportunities.segment", "opportunities.product", "products.segment", "accounts.industry"
    ] = "opportunities.segment"
    tables: dict[str, TableMap]

    @field_validator("dates")
    @classmethod
    def _known_dates(cls, formats: list[str]) -> list[str]:
        return _date_formats(formats)

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        try:
            codecs.lookup(encoding or "utf-8")
        except LookupError:
            raise ValueError("no such encoding; for example utf-8, cp1250, cp1251, iso8859-2") from None
        return encoding

    @model_validator(mode="after")
    def _statuses_are_declared(self) -> ColumnMap:
        said = set((self.statuses or self.stages).values())
        where = "statuses" if self.statuses else "stages"
        lacking = [status for status in ("open", "won", "lost") if status not in said]
        if lacking:
            raise ValueError(f"{where}: none has status {listed(lacking)}; name the words for each status")
        closed = [stage for stage, status in self.stages.items() if status != "open"]
        if self.statuses and closed:
            raise ValueError(
                f"stages: {listed(closed)} must be open, since 'statuses' says which deals are won or lost"
            )
        maps_status = (
            "status" in self.tables["opportunities"].columns if "opportunities" in self.tables else None
        )
        if maps_status is not None and maps_status != bool(self.statuses):
            raise ValueError(
                "'statuses' and tables.opportunities.columns.status belong together: give both or neither"
            )
        return self

    @model_validator(mode="after")
    def _tables_are_canonical(self) -> ColumnMap:
        if "opportunities" not in self.tables:
            raise ValueError(f"tables: 'opportunities' must be there; found {listed(list(self.tables))}")
        if not self.tables["opportunities"].required:
            raise ValueError("tables.opportunities.required is false; an export without deals cannot be read")
        unknown = [name for name in self.tables if name not in SPECS]
        if unknown:
            raise ValueError(f"tables: {listed(unknown)} is no table; allowed: {listed(list(SPECS))}")
        for name, table in self.tables.items():
            _check_table(name, table)
        source, column = self.segment_from.split(".")
        supplied = self.tables.get(source)
        if self.segment_from != "opportunities.segment" and (
            supplied is None or column not in {*supplied.columns, *supplied.constants}
        ):
            raise ValueError(f"segment_from is {self.segment_from!r}, which no table of this map supplies")
        return self

    @property
    def open_stages(self) -> tuple[str, ...]:
        """The open stages, in the order in which a deal passes them."""
        return tuple(stage for stage, status in self.stages.items() if status == "open")

    @property
    def words(self) -> list[str]:
        """Words that the export must contain if this map fits; they give away the encoding of its files."""
        tables = self.tables.values()
        headers = [header for table in tables for header in table.columns.values()]
        signs = [sign for table in tables if table.numbers for sign in table.numbers.currency_signs]
        return [*headers, *self.stages, *(self.statuses or {}), *self.numbers.currency_signs, *signs]


def _check_table(name: str, table: TableMap) -> None:
    spec, where = SPECS[name], f"tables.{name}"
    used = {"columns": [*table.columns], "constants": [*table.constants], "corrections": [*table.corrections]}
    for key, names in used.items():
        unknown = [column for column in names if column not in spec.columns]
        if unknown:
            raise ValueError(
                f"{where}.{key}: {listed(unknown)} is no canonical column; "
                f"allowed: {listed(list(spec.columns), most=20)}"
            )
    both = sorted(set(table.columns) & set(table.constants))
    if both:
        raise ValueError(f"{where}: {listed(both)} is in columns and in constants; give one of the two")
    lacking = [column for column in spec.required if column not in {*table.columns, *table.constants}]
    if lacking:
        raise ValueError(f"{where}.columns lacks {listed(lacking)}; this table needs {listed(spec.required)}")
    stray = [column for column in table.optional if column not in table.columns]
    if stray:
        raise ValueError(f"{where}.optional: {listed(stray)} is not among its columns")
    needed = [column for column in table.optional if column in spec.required]
    if needed:
        raise ValueError(f"{where}.optional: {listed(needed)} cannot be optional; every export needs it")
    not_text = [column for column in table.corrections if spec.columns[column] != "text"]
    if not_text:
        raise ValueError(f"{where}.corrections: {listed(not_text)} holds no words; correct it in the CRM")


def _date_formats(formats: list[str]) -> list[str]:
    if not formats:
        raise ValueError("give at least one date format, for example ISO or '%d.%m.%Y'")
    for text in formats:
        has_day = re.search("%[Yy]", text) and re.search("%[mbB]", text) and "%d" in text
        if text != "ISO" and (not has_day or re.search("%[zZ]", text)):
            raise ValueError(
                f"{text!r} is no date format; write ISO, or a pattern with %Y, %m and %d such as '%d.%m.%Y' "
                "(time zones are not converted)"
            )
    probe = datetime(2001, 2, 3)  # day and month differ and could be swapped
    for one, other in permutations([text for text in formats if text != "ISO"], 2):
        try:
            read_by_other = datetime.strptime(probe.strftime(one), other)
        except ValueError:
            continue
        if read_by_other != probe:
            raise ValueError(
                f"{one!r} and {other!r} read the same text as different days; keep the one this export uses"
            )
    return formats


def shipped_maps() -> tuple[str, ...]:
    """Return the names of the column maps that come with the product.

    >>> shipped_maps()
    ('maven_crm', 'salessim_csv')
    """
    return tuple(sorted(item.name.removesuffix(".yaml") for item in _folder().iterdir()))


def read_map(path_or_name: str | Path) -> ColumnMap:
    """Read a column map: one that is shipped, by its name, or a user's own, by the path of its YAML file.

    A DataError names the file, the key, the value and what is allowed.

    >>> read_map("salessim_csv").tables["opportunities"].file
    'opportunities.csv'
    >>> read_map("our_crm")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    salessim.errors.DataError: column map 'our_crm': no such file, and no shipped map has this name; ...
    """
    label = str(path_or_name)
    if label in shipped_maps():
        text = (_folder() / f"{label}.yaml").read_text(encoding="utf-8")
    else:
        path = Path(path_or_name)
        if not path.is_file():
            raise DataError(
                f"column map {label!r}: no such file, and no shipped map has this name; "
                f"shipped: {listed(shipped_maps())}"
            )
        try:
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"column map {label!r}: cannot be read ({error}); save it as UTF-8") from None
    return _parse(text, label=label)


def _folder() -> Any:
    return files("salessim.crm") / "maps"


def _parse(text: str, *, label: str) -> ColumnMap:
    try:
        content = YAML(typ="safe", pure=True).load(text)  # pure: the C parser lets duplicate keys pass
    except MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise DataError(f"column map {label!r}{line}: {error.problem}") from None
    except YAMLError as error:
        raise DataError(f"column map {label!r}: {error}") from None
    if not isinstance(content, Mapping):
        raise DataError(f"column map {label!r}: no keys found; it must have {_keys(ColumnMap)}")
    try:
        return ColumnMap.model_validate(content)
    except ValidationError as error:
        problems = [_explained(problem) for problem in error.errors(include_url=False)]
        raise DataError("\n".join(f"column map {label!r}: {problem}" for problem in problems[:8])) from None


def _explained(problem: Any) -> str:
    path = [str(part) for part in problem["loc"]]
    where = ".".join(part for part in path if part != "[key]")
    if problem["type"] == "extra_forbidden":
        owner: type[BaseModel] = TableMap if path[0] == "tables" else ColumnMap
        if "numbers" in path[:-1]:
            owner = NumberFormat
        return f"unknown key '{where}'; allowed: {_keys(owner)}"
    if problem["type"] == "missing":
        return f"'{where}' is missing"
    if problem["type"] == "value_error":
        said = str(problem["ctx"]["error"])
        return f"{where} is {problem['input']!r}: {said}" if where else said
    shown = repr(problem["input"])
    return f"{where} is {shown if len(shown) < 80 else shown[:80] + '…'}; {problem['msg']}"


def _keys(model: type[BaseModel]) -> str:
    return listed(list(model.model_fields), most=20)
