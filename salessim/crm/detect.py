"""Which column map fits an export, and which of its files is which table; with the reason for people."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

from salessim.crm.columnmap import ColumnMap, TableMap, either, read_map, shipped_maps
from salessim.crm.sources import PART, Export
from salessim.crm.textfiles import header_key
from salessim.errors import DataError, listed

__all__ = ["Choice", "Fit", "choose_map", "fit"]

_ENDING = re.compile(r"\.[a-z0-9]{1,7}$", re.IGNORECASE)
# A list of every shipped map would fill the screen; the nearest ones tell what is wrong.
_MISFITS_SHOWN = 4


@dataclass(frozen=True)
class Fit:
    """How a column map fits an export: which file is which table, or the problem.

    ``tables`` and ``lookups`` name the files of each table and linked file, in the order of their names;
    ``problem`` is empty when the map fits; ``headers_found`` counts the columns that it finds, ``nearness``
    is the share of the columns that it needs. ``signature`` names the headers of the export that only this
    CRM writes, ``unreadable`` says of files that could not be opened why.

    >>> Fit(problem="file 'deals.csv' is missing").headers_found
    0
    """

    problem: str = ""
    tables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lookups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers_found: int = 0
    nearness: float = 0.0
    signature: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The column map that an export is read with, its files, and the reason in words.

    >>> from salessim.crm.columnmap import read_map
    >>> Choice(read_map("maven_crm"), Fit(), "it was asked for").column_map.name
    'maven_crm'
    """

    column_map: ColumnMap
    fit: Fit
    reason: str


def choose_map(export: Export, column_map: str | Path | ColumnMap | None = None) -> Choice:
    """Return the map that was asked for, or of the shipped maps that fit the one that finds most columns.

    A DataError says for each of the nearest maps why it does not fit, or names two that fit equally well.

    >>> from salessim.crm.sources import open_export
    >>> from salessim.library import example_crm
    >>> choose_map(open_export(example_crm())).column_map.name
    'salessim_csv'
    """
    if column_map is not None:
        chosen = column_map if isinstance(column_map, ColumnMap) else read_map(column_map)
        asked = fit(export, chosen, signed=False)
        if asked.problem:
            why = "\n".join(dict.fromkeys([asked.problem, *asked.unreadable]))
            raise DataError(f"column map '{chosen.name}' does not fit '{export.name}':\n{why}")
        return Choice(chosen, asked, f"column map '{chosen.name}' was asked for")
    tried = [(candidate, fit(export, candidate)) for candidate in map(read_map, shipped_maps())]
    fitting = sorted(
        ((candidate, found) for candidate, found in tried if not found.problem),
        key=lambda pair: (-pair[1].headers_found, not pair[0].signature),
    )
    if not fitting:
        # when nothing is near, the plain formats say best what an export should look like
        nearest = sorted(tried, key=lambda pair: (-pair[1].nearness, bool(pair[0].signature)))
        nearest = nearest[:_MISFITS_SHOWN]
        # in full for the nearest, in brief for the others
        problems = [found.problem for _, found in nearest]
        problems[0] = fit(export, nearest[0][0], signed=False).problem or problems[0]
        misfits = [
            f"  {candidate.name}: {problem}"
            for (candidate, _), problem in zip(nearest, problems, strict=True)
        ]
        rest = len(tried) - len(nearest)
        more = [f"  … and {rest} more maps, which fit even less"] if rest else []
        more += nearest[0][1].unreadable[:_MISFITS_SHOWN]
        raise DataError(
            f"no shipped column map fits '{export.name}':\n" + "\n".join([*misfits, *more]) + "\n"
            "For another CRM write a column map (copy salessim_csv.yaml, whose comments explain it) "
            "and give its path"
        )
    (best, found), others = fitting[0], fitting[1:]
    if others and _rank(*others[0]) == _rank(best, found):
        raise DataError(
            f"'{export.name}': the column maps '{best.name}' and '{others[0][0].name}' fit equally well, "
            f"with {found.headers_found} columns each; say which of the two it is (column_map)"
        )
    return Choice(best, found, _reason(best, found, others))


def _rank(column_map: ColumnMap, found: Fit) -> tuple[int, bool]:
    return found.headers_found, bool(column_map.signature)


def _reason(best: ColumnMap, found: Fit, others: Sequence[tuple[ColumnMap, Fit]]) -> str:
    signature = ""
    if found.signature:
        signature = f", among them {listed(found.signature, most=4)}, by which this CRM is known"
    runner_up = ""
    if others:
        other, less = others[0]
        runner_up = f"; the next best, '{other.name}', finds {less.headers_found}"
    return (
        f"column map '{best.name}' was detected: it finds {found.headers_found} of its columns in the export"
        f"{signature}{runner_up}"
    )


def fit(export: Export, column_map: ColumnMap, *, signed: bool = True) -> Fit:
    """Find out which file of an export is which table: by name if the map gives one, else by headers.

    ``signed`` asks for the headers of the map's signature as well.

    >>> from salessim.crm.columnmap import read_map
    >>> from salessim.crm.sources import open_export
    >>> from salessim.library import example_crm
    >>> fit(open_export(example_crm()), read_map("salessim_csv")).tables["reps"]
    ('reps.csv',)
    """
    headers: dict[str, tuple[str, ...]] = {}
    unreadable: dict[str, str] = {}
    for name in sorted(export.tables):
        try:
            headers[name] = export.header(
                name, expected=column_map.headers, encoding=column_map.encoding, words=column_map.words
            )
        except DataError as error:  # a stray file in the folder matters only if a table is missing
            unreadable[name] = str(error)
    found = _fit(headers, column_map, signed=signed)
    lacking = [
        error
        for name, error in unreadable.items()
        if any(table.file and _matches(name, table.file) for table in column_map.tables.values())
    ]
    problem = lacking[0] if lacking else found.problem
    return replace(found, problem=problem, unreadable=tuple(unreadable.values()))


def _fit(headers: Mapping[str, tuple[str, ...]], column_map: ColumnMap, *, signed: bool) -> Fit:
    tables: dict[str, tuple[str, ...]] = {}
    for name, table in column_map.tables.items():
        if table.file is not None:
            matching = tuple(file for file in headers if _matches(file, table.file))
            if not matching:  # a workbook named after the table, whose sheet is called Sheet1
                matching = tuple(
                    file
                    for file, header in headers.items()
                    if PART in file
                    and _matches(file.split(PART)[0], table.file)
                    and not table.lacking(header)
                )
            if not matching and table.required:
                return Fit(
                    f"file {_patterns(table.file)} is missing; the export has {listed(list(headers))}",
                    nearness=_nearness(headers, column_map),
                )
            tables |= {name: matching} if matching else {}
    claimed = {file for files in tables.values() for file in files}
    by_headers = {name: table for name, table in column_map.tables.items() if table.file is None}
    for file, header in headers.items():
        if file in claimed:
            continue
        fitting = sorted(
            (
                (len(table.found(header)), name)
                for name, table in by_headers.items()
                if not table.lacking(header)
            ),
            reverse=True,
        )
        if len(fitting) > 1 and fitting[0][0] == fitting[1][0]:
            return Fit(
                f"{file}: its columns fit the tables '{fitting[0][1]}' and '{fitting[1][1]}' equally well; "
                "name the file of each table in a column map of your own",
                nearness=_nearness(headers, column_map),
            )
        if fitting:
            tables[fitting[0][1]] = (*tables.get(fitting[0][1], ()), file)
    problem = _problem(headers, column_map, tables, signed=signed)
    return Fit(
        problem,
        {name: tables[name] for name in column_map.tables if name in tables},
        _lookups(headers, column_map, tables),
        sum(
            max(
                len({*table.found(headers[file]), *table.found_evidence(headers[file])})
                for file in tables[name]
            )
            for name, table in column_map.tables.items()
            if name in tables
        ),
        _nearness(headers, column_map),
        _signature(headers, column_map),
    )


def _signature(headers: Mapping[str, tuple[str, ...]], column_map: ColumnMap) -> tuple[str, ...]:
    """The headers of the signature, as this export writes them."""
    there = {header_key(header): header for line in headers.values() for header in line}
    found = [
        [there[header_key(name)] for name in names if header_key(name) in there]
        for names in column_map.signature
    ]
    return tuple(names[0] for names in found if names)


def _problem(
    headers: Mapping[str, tuple[str, ...]],
    column_map: ColumnMap,
    tables: Mapping[str, tuple[str, ...]],
    *,
    signed: bool,
) -> str:
    for name, table in column_map.tables.items():
        if name not in tables and table.required:
            if not headers:
                return "no file with a header could be read"
            nearest = min(headers, key=lambda file: len(table.lacking(headers[file])))
            lacks = _lacks(nearest, headers[nearest], table, brief=signed)
            return f"no file has the columns of {name}; the nearest, {lacks}"
        for file in tables.get(name, ()):
            if table.lacking(headers[file]):
                return _lacks(file, headers[file], table, brief=signed)
            keys = [header_key(header) for header in headers[file]]
            used = [*table.found(headers[file]).values(), *table.found_evidence(headers[file]).values()]
            twice = [header for header in dict.fromkeys(used) if keys.count(header_key(header)) > 1]
            if twice:
                return (
                    f"{file}: the header has {listed(twice)} more than once; rename or remove one of the "
                    "columns"
                )
    there = {header_key(header) for header_line in headers.values() for header in header_line}
    unsigned = [names for names in column_map.signature if not {header_key(name) for name in names} & there]
    if unsigned and signed:
        lacking = listed([either(names) for names in unsigned], most=4)
        return f"no file has {lacking}, by which this CRM is known"
    return ""


def _lacks(file: str, header: Sequence[str], table: TableMap, *, brief: bool) -> str:
    """What is missing; in full for the map that was asked for, in brief for one of many that were tried."""
    optional = [either(table.columns[name]) for name in table.optional]
    required = [either(names) for name, names in table.columns.items() if name not in table.optional]
    also = f" (optional: {listed(optional, most=20)})" if optional else ""
    # a text file read with the wrong delimiter has one column; which were tried is then the answer
    tried = ". Delimiters tried: comma, semicolon, tab, vertical bar" if len(header) < 2 else ""
    if brief:
        return f"{file}: the header lacks {listed(table.lacking(header))}{tried}"
    return (
        f"{file}: the header lacks {listed(table.lacking(header))}. "
        f"Found {len(header)} column{'' if len(header) == 1 else 's'}: {listed(header, most=20)}. "
        f"Expected: {listed(list(dict.fromkeys(required)), most=20)}{also}{tried}"
    )


def _nearness(headers: Mapping[str, tuple[str, ...]], column_map: ColumnMap) -> float:
    """Share of the columns needed for deals that the best file has."""
    deals = column_map.tables["opportunities"]
    needed = max(len(deals.columns) - len(deals.optional), 1)
    return max((1 - len(deals.lacking(header)) / needed for header in headers.values()), default=0.0)


def _lookups(
    headers: Mapping[str, tuple[str, ...]], column_map: ColumnMap, tables: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """The linked files: by name, else those with all their headers that are no table of their own."""
    claimed = {file for files in tables.values() for file in files}
    found: dict[str, tuple[str, ...]] = {}
    sizes: dict[str, tuple[int, str]] = {}
    for name, linked in column_map.lookup_files.items():
        looks = [
            look
            for table in column_map.tables.values()
            for look in table.lookups.values()
            if look.table == name
        ]
        needed = [*linked.headers, *(names for look in looks for names in (look.key, look.value))]
        keys = [{header_key(header) for header in names} for names in needed]
        for file, header in headers.items():
            there = {header_key(name) for name in header}
            if not needed or not all(names & there for names in keys):
                continue
            if linked.file is not None:
                found[name] = (
                    (*found.get(name, ()), file) if _matches(file, linked.file) else found.get(name, ())
                )
            elif file not in claimed and sizes.get(file, (0, ""))[0] < len(needed):
                sizes[file] = (len(needed), name)
    for file, (_, name) in sizes.items():
        found[name] = (*found.get(name, ()), file)
    return {name: files for name, files in found.items() if files}


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name fits: 'crm.xlsx › Deals' is 'Deals', 'deals.csv' is 'deals'; capitals do not matter."""
    last = name.split(PART)[-1].casefold()
    names = {name.casefold(), last, _ENDING.sub("", last)}
    wanted = {
        form for pattern in patterns for form in (pattern.casefold(), _ENDING.sub("", pattern.casefold()))
    }
    return any(fnmatch(one, pattern) for one in names for pattern in wanted)


def _patterns(patterns: Sequence[str]) -> str:
    return " or ".join(f"'{pattern}'" for pattern in patterns)
