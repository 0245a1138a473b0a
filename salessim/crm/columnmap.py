"""Column maps: how one CRM writes its export, as a YAML file that a user can write for any other CRM.

The format, key by key (only ``name``, ``stages`` and ``tables`` must be there; unknown keys are refused)::

    name: our_crm                    # how reports call this source
    description: Deals of our CRM    # one line, optional
    currency: PLN                    # ISO code of all money; XXX (the default): the export has none, or each
                                     # deal has its own
    currency_words: {zł: PLN}        # signs and words that name a currency, in a cell of an amount or in the
                                     # currency column
    encoding: cp1250                 # only when the encoding is guessed wrongly
    dates: [ISO, "%d.%m.%Y"]         # tried in this order; ISO (the default) is 2017-09-30, a time may follow
                                     # "%d/%m/%Y | %m/%d/%Y": whichever reads the whole column; refused when
                                     # both do and differ
    numbers:                         # may be a list of such blocks: whichever reads the whole column
      decimal: ","                   # "." (the default) or ","
      thousands: " "                 # "" (the default), ",", ".", "'" or " " (also the non-breaking ones)
      currency_signs: ["zł", "PLN"]  # removed before the number is read (as all currency_words are)
    missing_words: ["-", "N/A"]      # cells that mean "nothing"; a blank cell always does
    stages:                          # every stage with its status, the open ones in order; capitals and
                                     # blanks do not matter
      Kwalifikacja: open
      Negocjacje: {status: open, called: negotiation}   # the word that all tables and reports use; such a
                                     # stage is shown only if it occurs
      Zakończone Wygrane: won
      Zakończone Przegrane: lost
    other_stages: open               # refuse (the default); or: a word that is not listed is an open stage of
                                     # its own, placed by probability, else by the stage history, else last;
                                     # or by words: likewise, but "Deal lost in tender" is taken as lost, and
                                     # "Wygrana" as won; each such word is listed in the quality report
    statuses: {Otwarta: open, …}     # only when a status column says open, won or lost
    segment_from: opportunities.segment   # or opportunities.product, products.segment, accounts.industry
    signature: [Deal - Title, [Deal - ID, ID]]   # headers that only this CRM writes (a list: one of them);
                                     # without them in the export the map is never detected
    unverified: [Deal - Label]       # headers and words that no documentation of the vendor confirms; the
                                     # import names those that it used
    lookup_files:                    # linked files with names for ids; an export may lack them
      users: {file: "users*", headers: [Id, Name]}
    tables:
      opportunities:                 # or reps, accounts, products, leads, stage_history, quotas, evidence
        file: "deals*.csv"           # a name or pattern, or a list of them; ends such as .csv do not matter.
                                     # Left out: the file whose headers fit this table best. All files that
                                     # match are read, in the order of their names
        columns:                     # canonical name: header in the file; a header may serve twice
          opportunity_id: Numer
          rep: [Handlowiec, Opiekun] # alternatives: the first that the file has
          ...
        optional: [source]           # columns that some exports lack; all others must be in the header
        blanks_from: {closed: Lost}  # a header whose cells stand in for blank ones, if the file has it
        constants: {region: Poland}  # the same value in every row, for a column the export does not have
        row_ids: true                # the file has no id: records are numbered, and copies cannot be told
        corrections:                 # misspelt values, listed as repaired in the quality report
          product: {GTXPro: GTX Pro}
        translations:                # another word for the same thing, which is no fault
          source: {Веб-сайт: website}
        lookups:                     # ids that stand for names; one that is not found stays, and is listed
          rep: {table: users, key: Id, value: Name}
        evidence:                    # opportunities only, criterion: header of the field that is evidence;
          decision maker: Decydent   # no, none, unknown, 0, false, nie, brak, нет, - mean that there is none
        dates: ["%Y/%m/%d"]          # where this file differs from the rest
        numbers: {decimal: "."}      # likewise
      reps:
        file: people.csv
        required: false              # true (the default): the file must be there
        columns: {rep: Osoba}

Files are CSV and the like, sheets of a workbook, members of a zip, or tables of a database: a pattern is held
against the last part of the name, with and without its ending. ``products`` gives opportunities their list
price and, with ``segment_from: products.segment``, their segment. ``opportunities`` may map ``currency``, and
``probability`` (percent), which is only used to place stages. Without ``personal_data``, contacts, e-mails
and phones of leads and the text of evidence become the word "given". The canonical columns of each table
stand in :class:`salessim.crm.Tables`.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from itertools import permutations, product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from salessim.crm.canonical import SPECS
from salessim.crm.textfiles import header_key
from salessim.errors import DataError, listed

__all__ = [
    "ColumnMap",
    "Lookup",
    "LookupFile",
    "NumberFormat",
    "StageWord",
    "TableMap",
    "alternatives",
    "either",
    "open_name",
    "read_map",
    "shipped_maps",
    "word_key",
]

Status = Literal["open", "won", "lost"]

_FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True)


def word_key(word: str) -> str:
    """Return a word of a CRM as it is compared: capitals, extra blanks, and ё for е do not matter.

    >>> word_key("  Closed  Won "), word_key("Счёт")
    ('closed won', 'счет')
    """
    return " ".join(word.split()).casefold().replace("ё", "е")


def open_name(word: str) -> str:
    """Return what the tables call an open stage by its own word; only closed deals are called won and lost.

    >>> open_name("Proposal"), open_name("won")
    ('Proposal', 'won (stage)')
    """
    return f"{word} (stage)" if word in ("won", "lost") else word


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str | Mapping) else value


_Word = Annotated[str, Field(min_length=1)]
#: One header, or several of which the file has one; the first that it has is used.
Headers = Annotated[list[_Word], BeforeValidator(_as_list), Field(min_length=1)]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class NumberFormat(BaseModel):
    """How an export writes amounts.

    >>> NumberFormat(decimal=",", thousands=" ", currency_signs=["zł"]).decimal
    ','
    """

    model_config = _FROZEN

    decimal: Literal[".", ","] = "."
    thousands: Literal["", ",", ".", " ", "'"] = ""
    currency_signs: list[_Word] = []

    @model_validator(mode="after")
    def _two_signs(self) -> NumberFormat:
        if self.decimal == self.thousands:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}; they must differ")
        return self


Numbers = Annotated[list[NumberFormat], BeforeValidator(_as_list), Field(min_length=1)]


class StageWord(BaseModel):
    """What a stage word means: its status, and what all tables call an open stage.

    >>> StageWord.model_validate("won").status, StageWord(status="open", called="proposal").called
    ('won', 'proposal')
    """

    model_config = _FROZEN

    status: Status
    called: Annotated[str, Field(min_length=1)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        return value if isinstance(value, Mapping | StageWord) else {"status": value}

    @model_validator(mode="after")
    def _closed_has_one_name(self) -> StageWord:
        if self.called is not None and (self.status != "open" or word_key(self.called) in ("won", "lost")):
            raise ValueError(
                f"called is {self.called!r}; closed deals are called won or lost, and only they are"
            )
        return self


class Lookup(BaseModel):
    """Where the names for the ids of a column stand: a linked file, its column of ids, its column of names.

    >>> Lookup(table="users", key="Id", value=["Name", "Full Name"]).key
    ['Id']
    """

    model_config = _FROZEN

    table: str
    key: Headers
    value: Headers


class LookupFile(BaseModel):
    """A linked file with names for ids: patterns of its name, and headers by which it is found without one.

    >>> LookupFile(file="users*.csv").file
    ['users*.csv']
    """

    model_config = _FROZEN

    file: Headers | None = None
    headers: list[Headers] = []


class TableMap(BaseModel):
    """Which file holds a table, and which of its headers is which canonical column.

    >>> table = TableMap(file="people.csv", columns={"rep": ["Owner", "Opiekun"]})
    >>> table.required, table.columns["rep"], table.found(["Opiekun", "Team"])
    (True, ['Owner', 'Opiekun'], {'rep': 'Opiekun'})
    """

    model_config = _FROZEN

    file: Headers | None = None
    required: bool = True
    columns: dict[str, Headers]
    optional: list[str] = []
    blanks_from: dict[str, Headers] = {}
    constants: dict[str, str] = {}
    row_ids: bool = False
    corrections: dict[str, dict[str, _Word]] = {}
    translations: dict[str, dict[str, _Word]] = {}
    lookups: dict[str, Lookup] = {}
    evidence: dict[str, Headers] = {}
    dates: list[str] | None = None
    numbers: Numbers | None = None

    @field_validator("dates")
    @classmethod
    def _known_dates(cls, formats: list[str] | None) -> list[str] | None:
        return None if formats is None else _date_formats(formats)

    @property
    def headers(self) -> list[str]:
        """Every header that the file may have, alternatives included."""
        groups = (*self.columns.values(), *self.blanks_from.values(), *self.evidence.values())
        return [header for names in groups for header in names]

    def found(self, header: Sequence[str]) -> dict[str, str]:
        """Which header of a file is which canonical column; columns that the file lacks are left out."""
        return _found(self.columns, header)

    def found_for_blanks(self, header: Sequence[str]) -> dict[str, str]:
        """Which header of a file stands in for blank cells of which canonical column."""
        return _found(self.blanks_from, header)

    def found_evidence(self, header: Sequence[str]) -> dict[str, str]:
        """Which header of a file is the evidence of which criterion."""
        return _found(self.evidence, header)

    def lacking(self, header: Sequence[str]) -> list[str]:
        """Headers that the file must have and lacks; alternatives as ``one or other``."""
        there = self.found(header)
        return [
            either(names)
            for column, names in self.columns.items()
            if column not in there and column not in self.optional
        ]


def either(headers: Sequence[str]) -> str:
    """Return alternatives as ``one or other``; of many only three, since a sentence cannot hold them all.

    >>> either(["Owner", "Opiekun"]), either(["a", "b", "c", "d"])
    ('Owner or Opiekun', 'a or b or c or …')
    """
    return " or ".join([*headers[:3], *(["…"] if len(headers) > 3 else [])])


def _found(columns: Mapping[str, list[str]], header: Sequence[str]) -> dict[str, str]:
    by_key = {header_key(name): name for name in reversed(header)}
    found = {}
    for column, names in columns.items():
        first = next((name for name in names if header_key(name) in by_key), None)
        if first is not None:
            found[column] = by_key[header_key(first)]
    return found


class ColumnMap(BaseModel):
    """How one CRM writes its export: files, headers, stages with their status, dates, amounts and currency.

    >>> column_map = read_map("maven_crm")
    >>> column_map.open_stages, column_map.currency
    (('Prospecting', 'Engaging'), 'USD')
    """

    model_config = _FROZEN

    name: str = Field(min_length=1)
    description: str = ""
    currency: Currency = "XXX"
    currency_words: dict[str, Currency] = {}
    encoding: str | None = None
    dates: list[str] = ["ISO"]
    numbers: Numbers = [NumberFormat()]
    missing_words: list[str] = []
    stages: dict[str, StageWord]
    other_stages: Literal["refuse", "open", "by words"] = "refuse"
    statuses: dict[str, Status] | None = None
    segment_from: Literal[
        "opportunities.segment", "opportunities.product", "products.segment", "accounts.industry"
    ] = "opportunities.segment"
    signature: list[Headers] = []
    unverified: list[str] = []
    lookup_files: dict[str, LookupFile] = {}
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
    def _words_mean_one_thing(self) -> ColumnMap:
        for key, words in (("stages", self.stages), ("statuses", self.statuses or {})):
            meant: dict[str, tuple[str, object]] = {}
            for word, meaning in words.items():
                before, other = meant.setdefault(word_key(word), (word, meaning))
                if other != meaning:
                    raise ValueError(f"{key}: {before!r} and {word!r} are one word with two meanings")
        return self

    @model_validator(mode="after")
    def _statuses_are_declared(self) -> ColumnMap:
        closed = [word for word, stage in self.stages.items() if stage.status != "open"]
        if self.statuses and closed:
            raise ValueError(
                f"stages: {listed(closed)} must be open, since 'statuses' says which deals are won or lost"
            )
        said: set[str] = set(self.statuses.values()) if self.statuses else set()
        if not self.statuses:
            said = {stage.status for stage in self.stages.values()}
            said |= {"open"} if self.other_stages != "refuse" else set()
        where = "statuses" if self.statuses else "stages"
        lacking = [status for status in ("open", "won", "lost") if status not in said]
        if lacking:
            raise ValueError(f"{where}: none has status {listed(lacking)}; name the words for each status")
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
            _check_table(name, table, self.lookup_files)
        source, column = self.segment_from.split(".")
        supplied = self.tables.get(source)
        if self.segment_from != "opportunities.segment" and (
            supplied is None or column not in {*supplied.columns, *supplied.constants}
        ):
            raise ValueError(f"segment_from is {self.segment_from!r}, which no table of this map supplies")
        return self

    @property
    def open_stages(self) -> tuple[str, ...]:
        """The open stages as the tables call them, in the order in which a deal passes them."""
        names = [name for status, name in self.stage_meanings.values() if status == "open"]
        return tuple(dict.fromkeys(names))

    def stages_shown(self, named: Collection[str]) -> tuple[str, ...]:
        """The open stages that reports show when an export names these stages.

        Stages with ``called`` are words that may occur: only those that do are shown. The others are the
        funnel of whoever wrote the map: all of them are shown as soon as one occurs. Where none of either
        occurs, all are.

        >>> read_map("salessim_csv").stages_shown(["warm lead"])
        ('cold lead', 'warm lead', 'potential deal', 'closing deal')
        >>> read_map("salessim_csv").stages_shown(["proposal", "demo"])
        ('proposal',)
        """
        funnel = {open_name(word) for word, stage in self.stages.items() if stage.called is None}
        whole = any(name in funnel for name in named)
        shown = tuple(name for name in self.open_stages if name in named or (whole and name in funnel))
        return shown or self.open_stages

    @property
    def stage_meanings(self) -> dict[str, tuple[Status, str]]:
        """By :func:`word_key` of a stage word: its status, and what the tables call it."""
        return {
            word_key(word): (
                stage.status,
                (stage.called or open_name(word)) if stage.status == "open" else stage.status,
            )
            for word, stage in self.stages.items()
        }

    @property
    def headers(self) -> list[str]:
        """Every header that this map would like to find in an export."""
        lookups = [look for table in self.tables.values() for look in table.lookups.values()]
        groups = [table.headers for table in self.tables.values()]
        groups += [[*look.key, *look.value] for look in lookups]
        groups += [names for file in self.lookup_files.values() for names in file.headers]
        return list(dict.fromkeys(header for names in groups for header in names))

    @property
    def words(self) -> list[str]:
        """Words that the export must contain if this map fits; they give away the encoding of its files."""
        formats = [*self.numbers, *(form for table in self.tables.values() for form in table.numbers or [])]
        signs = [sign for form in formats for sign in form.currency_signs]
        return [*self.headers, *self.stages, *(self.statuses or {}), *signs, *self.currency_words]


def _check_table(name: str, table: TableMap, lookup_files: Mapping[str, LookupFile]) -> None:
    spec, where = SPECS[name], f"tables.{name}"
    for key in ("columns", "constants", "corrections", "translations", "lookups"):
        unknown = [column for column in getattr(table, key) if column not in spec.columns]
        if unknown:
            raise ValueError(
                f"{where}.{key}: {listed(unknown)} is no canonical column; "
                f"allowed: {listed(list(spec.columns), most=20)}"
            )
    both = sorted(set(table.columns) & set(table.constants))
    if both:
        raise ValueError(f"{where}: {listed(both)} is in columns and in constants; give one of the two")
    supplied = {*table.columns, *table.constants}
    if table.row_ids:
        if len(spec.key) > 1 or set(spec.key) & supplied:
            raise ValueError(
                f"{where}.row_ids numbers records that have no {listed(spec.key)}; "
                "it is for tables with one such column, which the map must not fill"
            )
        supplied |= set(spec.key)
    lacking = [column for column in spec.required if column not in supplied]
    if lacking:
        raise ValueError(f"{where}.columns lacks {listed(lacking)}; this table needs {listed(spec.required)}")
    for key in ("optional", "blanks_from"):
        stray = [column for column in getattr(table, key) if column not in table.columns]
        if stray:
            raise ValueError(f"{where}.{key}: {listed(stray)} is not among its columns")
    needed = [column for column in table.optional if column in spec.required]
    if needed:
        raise ValueError(f"{where}.optional: {listed(needed)} cannot be optional; every export needs it")
    for key in ("corrections", "translations", "lookups"):
        not_text = [column for column in getattr(table, key) if spec.columns[column] != "text"]
        if not_text:
            raise ValueError(f"{where}.{key}: {listed(not_text)} holds no words; correct it in the CRM")
    for column, look in table.lookups.items():
        if look.table not in lookup_files:
            raise ValueError(
                f"{where}.lookups.{column}.table is {look.table!r}; it must be one of lookup_files: "
                f"{listed(list(lookup_files))}"
            )
    if table.evidence and name != "opportunities":
        raise ValueError(f"{where}.evidence: only opportunities have evidence columns")


def _date_formats(formats: list[str]) -> list[str]:
    if not formats:
        raise ValueError("give at least one date format, for example ISO or '%d.%m.%Y'")
    entries = [alternatives(text) for text in formats]
    for text in (form for entry in entries for form in entry):
        has_day = re.search("%[Yy]", text) and re.search("%[mbB]", text) and "%d" in text
        if text != "ISO" and (not has_day or re.search("%[zZ]", text)):
            raise ValueError(
                f"{text!r} is no date format; write ISO, or a pattern with %Y, %m and %d such as '%d.%m.%Y' "
                "(time zones are not converted)"
            )
    probe = datetime(2001, 2, 3)  # day and month differ and could be swapped
    for one_entry, other_entry in permutations(entries, 2):
        for one, other in product(one_entry, other_entry):
            if "ISO" in (one, other):
                continue
            try:
                read_by_other = datetime.strptime(probe.strftime(one), other)
            except ValueError:
                continue
            if read_by_other != probe:
                raise ValueError(
                    f"{one!r} and {other!r} read the same text as different days; keep the one this export "
                    f"uses, or write '{one} | {other}' to let the cells of each column decide"
                )
    return formats


def alternatives(entry: str) -> list[str]:
    """Return the date formats of one entry under ``dates``; more than one where the cells are to decide.

    >>> alternatives("%d/%m/%Y | %m/%d/%Y")
    ['%d/%m/%Y', '%m/%d/%Y']
    """
    return [part.strip() for part in entry.split("|")]


def shipped_maps() -> tuple[str, ...]:
    """Return the names of the column maps that come with the product.

    >>> {"maven_crm", "salessim_csv"} <= set(shipped_maps())
    True
    """
    return tuple(sorted(item.name.removesuffix(".yaml") for item in _folder().iterdir()))


def read_map(path_or_name: str | Path) -> ColumnMap:
    """Read a column map: one that is shipped, by its name, or a user's own, by the path of its YAML file.

    A DataError names the file, the key, the value and what is allowed.

    >>> read_map("salessim_csv").tables["reps"].columns["rep"]
    ['rep']
    >>> read_map("our_crm")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    salessim.errors.DataError: column map 'our_crm': no such file, and no shipped map has this name; ...
    """
    label = str(path_or_name)
    if label in shipped_maps():
        return _shipped(label)
    path = Path(path_or_name)
    if not path.is_file():
        raise DataError(
            f"column map {label!r}: no such file, and no shipped map has this name; "
            f"shipped: {listed(shipped_maps(), most=20)}"
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"column map {label!r}: cannot be read ({error}); save it as UTF-8") from None
    return _parse(text, label=label)


@cache
def _shipped(name: str) -> ColumnMap:
    # all of them are tried at every import whose map is not named
    return _parse((_folder() / f"{name}.yaml").read_text(encoding="utf-8"), label=name)


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
    if path[:1] == ["stages"] and path[-1] == "status":
        where = where.removesuffix(".status")
    where = where.replace("numbers.0.", "numbers.")  # one block need not be a list
    if problem["type"] == "extra_forbidden":
        return f"unknown key '{where}'; allowed: {_keys(_owner(path))}"
    if problem["type"] == "missing":
        return f"'{where}' is missing"
    if problem["type"] == "value_error":
        said = str(problem["ctx"]["error"])
        return f"{where} is {problem['input']!r}: {said}" if where else said
    shown = repr(problem["input"])
    return f"{where} is {shown if len(shown) < 80 else shown[:80] + '…'}; {problem['msg']}"


def _owner(path: Sequence[str]) -> type[BaseModel]:
    """The part of the format that an unknown key stands in."""
    inside = path[:-1]
    if "numbers" in inside:
        return NumberFormat
    if "lookups" in inside:
        return Lookup
    if inside and inside[0] in ("stages", "lookup_files"):
        return StageWord if inside[0] == "stages" else LookupFile
    return TableMap if inside and inside[0] == "tables" else ColumnMap


def _keys(model: type[BaseModel]) -> str:
    return listed(list(model.model_fields), most=20)
