"""The sales organisation as a tree: company, regions, managers, reps, to any depth, from a flat table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.allocation.cents import Bools, Floats
from salessim.crm.textfiles import header_key, open_text, pick_delimiter, records, required_headers_missing
from salessim.errors import DataError, PlanError, listed

__all__ = ["Days", "Hierarchy", "Positions"]

Days = npt.NDArray[np.datetime64]
Positions = npt.NDArray[np.intp]
Figure = TypeVar("Figure", bound=np.generic)

#: Columns with a meaning of their own; every other column is a weight.
_KNOWN = ("name", "parent", "role", "open_seat", "start", "end")
_YES = {"true", "yes", "y", "1", "x"}
_NO = {"false", "no", "n", "0", ""}
#: A weight beyond it is no figure of a sales team, and would drown the others in rounding.
_LARGEST_WEIGHT = 1e18
_MOST_FAULTS = 10


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Who reports to whom, with the figures that quotas are allocated by.

    Nodes stand level by level, within a level team by team, within a team by name, however the table was
    sorted. All arrays have the shape (nodes,).

    >>> team = Hierarchy.from_table(pd.DataFrame({
    ...     "name": ["Acme", "North", "South", "Ann", "Bo", "Cy"],
    ...     "parent": ["", "Acme", "Acme", "North", "North", "South"],
    ...     "history": [None, None, None, 300.0, 100.0, 200.0],
    ... }))
    >>> team.names, team.levels
    (('Acme', 'North', 'South', 'Ann', 'Bo', 'Cy'), 3)
    """

    names: tuple[str, ...]
    parent: Positions
    """Position of the parent; -1 for the root."""
    level: Positions
    """0 for the root, 1 for those who report to it, and so on."""
    roles: tuple[str, ...]
    """Role of each node; "" where the table gives none."""
    open_seat: Bools
    start: Days
    """First day; NaT: there before anything begins."""
    end: Days
    """Last day; NaT: stays."""
    weights: Mapping[str, Floats]
    """Weight columns as they stand in the table; NaN where it has no figure."""
    level_names: tuple[str, ...]
    """Name of each level: as given, else the role that all its nodes share, else "company" for the first and
    "level 2" and so on for others."""
    source: str = "hierarchy"
    """Where the table came from, for error texts."""

    @classmethod
    def from_table(
        cls, table: pd.DataFrame, *, level_names: Sequence[str] = (), source: str = "hierarchy"
    ) -> Hierarchy:
        """Build the tree from one row per node.

        Args:
            table: columns name, parent (blank for the root), optionally role, open_seat (true or false),
                start and end (dates), and any number of weight columns (numbers; blank: not known).
            level_names: names from the top level down; left out: see ``level_names`` of the class.
            source: how errors call the table, such as its file name.

        Raises:
            PlanError: a column is missing or no number, a name is blank or there twice, an unknown parent,
                no root or several, a cycle (named). Rows are counted as in a file whose header is row 1.
        """
        rows = list(range(2, len(table) + 2))
        return _built(table, rows, level_names=level_names, source=source)

    @classmethod
    def read(cls, path: str | Path, *, level_names: Sequence[str] = ()) -> Hierarchy:
        """Read the tree from a CSV file (comma, semicolon, tab; UTF-8 or what its letters prove).

        Columns as in :meth:`from_table`; dates as 2026-01-31, numbers with a decimal point.

        Raises:
            DataError: the file cannot be read, or a record does not fit the header. PlanError: what it says
                is no tree (file, row, column, value and what is allowed).
        """
        file = open_text(Path(path))
        delimiter, found = pick_delimiter(file.text, expected=_KNOWN)
        problem = required_headers_missing(
            file.name,
            found=found,
            required=("name", "parent"),
            optional=("role", "open_seat", "start", "end"),
        )
        if problem:
            raise DataError(problem)
        read = records(file.text, delimiter=delimiter)
        if read.malformed:
            lines = [f"{file.name}: row {bad.row}: {bad.problem}" for bad in read.malformed]
            raise DataError(_faults(lines))
        header = [header_key(column) if header_key(column) in _KNOWN else column for column in read.header]
        table = pd.DataFrame(list(read.values), columns=header, dtype="object")
        return _built(table, list(read.rows), level_names=level_names, source=file.name)

    @classmethod
    def from_paths(
        cls,
        table: pd.DataFrame,
        *,
        levels: Sequence[str],
        company: str = "company",
        source: str = "hierarchy",
    ) -> Hierarchy:
        """Build the tree from one row per rep that names the levels above in columns of its own.

        Args:
            table: one row per rep; the columns of ``levels`` and, optionally, role, open_seat, start, end and
                weights, which belong to the rep.
            levels: columns from the top down, the rep last, such as ["region", "manager", "rep"]; a blank
                cell skips that level for the rep (who then stands one level higher).
            company: name of the root.
            source: how errors call the table.

        Raises:
            PlanError: a column is missing, or one name stands at two places (a manager in two regions, a rep
                who also manages); give such a seat a name of its own.

        >>> team = Hierarchy.from_paths(pd.DataFrame({
        ...     "region": ["North", "North", "South"], "manager": ["Mia", "Mia", "Moe"],
        ...     "rep": ["Ann", "Bo", "Cy"], "history": [300.0, 100.0, 200.0],
        ... }), levels=["region", "manager", "rep"], company="Acme")
        >>> team.names[:3], team.level_names
        (('Acme', 'North', 'South'), ('company', 'region', 'manager', 'rep'))
        """
        lacking = [column for column in levels if column not in table.columns]
        if lacking or not levels:
            raise PlanError(
                f"{source}: the table lacks the columns {listed(lacking)}; "
                f"it has {listed(list(table.columns))}"
            )
        others = [str(column) for column in table.columns if column not in levels]
        above: dict[str, tuple[str, str, int]] = {}  # name → parent, level, row
        faults: list[str] = []
        nodes: list[dict[str, object]] = [{"name": company, "parent": "", "role": "company"}]
        rows = [1]
        own = table[others].to_dict("records")
        cells = [[_text(cell) for cell in line] for line in table[list(levels)].to_numpy(dtype=object)]
        for number, (path, figures) in enumerate(zip(cells, own, strict=True), start=2):
            if not path[-1]:
                faults.append(f"{source}: row {number}: {levels[-1]} is blank; every row must name one")
                continue
            up = company
            for depth, (column, name) in enumerate(zip(levels, path, strict=True)):
                if not name:
                    continue
                last = depth == len(levels) - 1
                known = above.get(name)
                if known is None:
                    above[name] = (up, column, number)
                    role = _text(figures.get("role")) if last else column
                    node = {str(key): value for key, value in figures.items()} if last else {}
                    nodes.append({**node, "name": name, "parent": up, "role": role or column})
                    rows.append(number)
                elif last or known[:2] != (up, column) or name == company:
                    faults.append(
                        f"{source}: row {number}: {column} '{name}' under '{up}' is already the "
                        f"{known[1]} under '{known[0]}' of row {known[2]}; a name may stand at one place only"
                    )
                up = name
        if faults:
            raise PlanError(_faults(faults))
        return _built(
            pd.DataFrame(
                nodes, columns=["name", "parent", *dict.fromkeys(["role", *others])], dtype="object"
            ),
            rows,
            level_names=("company", *levels) if any("" not in path for path in cells) else (),
            source=source,
        )

    @property
    def levels(self) -> int:
        """Number of levels, the root's included."""
        return int(self.level[-1]) + 1

    @cached_property
    def leaf(self) -> Bools:
        """Who has nobody below: the reps (and seats without people), shape (nodes,)."""
        leaf = np.ones(len(self.names), dtype=np.bool_)
        leaf[self.parent[1:]] = False
        return leaf

    def position(self, name: str) -> int:
        """Position of a node; PlanError where there is none of that name."""
        if name not in self._positions:
            raise PlanError(
                f"{self.source}: there is nobody named '{name}'; the hierarchy has {listed(self.names)}"
            )
        return self._positions[name]

    @cached_property
    def _positions(self) -> dict[str, int]:
        return {name: at for at, name in enumerate(self.names)}

    def slices(self) -> list[slice]:
        """The positions of each level, from the top down."""
        bounds = np.searchsorted(self.level, np.arange(self.levels + 1))
        return [slice(int(a), int(b)) for a, b in pairwise(bounds)]

    def rolled_up(self, leaves: npt.NDArray[Figure]) -> npt.NDArray[Figure]:
        """Add the figures of the leaves up to every node.

        Args:
            leaves: shape (nodes, …); what stands at inner nodes is not read.

        Returns:
            Same shape and type: own figure for a leaf, sum of all leaves below for the others.
        """
        shaped = self.leaf.reshape((-1,) + (1,) * (leaves.ndim - 1))
        total = np.where(shaped, leaves, np.zeros((), dtype=leaves.dtype))
        for part in reversed(self.slices()[1:]):
            np.add.at(total, self.parent[part], total[part])
        return total

    def path(self, name: str) -> list[int]:
        """Positions from the root down to a node, both included."""
        at = self.position(name)
        way = [at]
        while self.parent[at] >= 0:
            at = int(self.parent[at])
            way.append(at)
        return way[::-1]


def _built(table: pd.DataFrame, rows: Sequence[int], *, level_names: Sequence[str], source: str) -> Hierarchy:
    columns = [str(column) for column in table.columns]
    lacking = [column for column in ("name", "parent") if column not in columns]
    if lacking:
        raise PlanError(f"{source}: the table lacks the columns {listed(lacking)}; it has {listed(columns)}")
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise PlanError(f"{source}: the table has the columns {listed(twice)} more than once")
    if not len(table):
        raise PlanError(f"{source}: the table has no rows; it needs at least the company")
    names = [_text(cell) for cell in table["name"]]
    parents = [_text(cell) for cell in table["parent"]]
    order, above = _ordered(names, parents, rows, source)
    place = np.empty(len(names), dtype=np.intp)
    place[order] = np.arange(len(names))
    parent = np.array([-1 if above[row] < 0 else place[above[row]] for row in order], dtype=np.intp)
    level = np.zeros(len(names), dtype=np.intp)
    for at in range(1, len(names)):
        level[at] = level[parent[at]] + 1

    faults: list[str] = []

    def column(
        name: str, convert: Callable[[object], object], allowed: str, dtype: str
    ) -> npt.NDArray[np.generic]:
        values: list[object] = []
        for cell, row in zip(table[name], rows, strict=True):
            try:
                values.append(convert(cell))
            except (ValueError, TypeError, OverflowError):
                faults.append(f"{source}: row {row}: {name} is {cell!r}; allowed: {allowed}")
                values.append(convert(None))
        return np.array(values, dtype=dtype)[order]

    def optional(
        name: str, convert: Callable[[object], object], allowed: str, dtype: str
    ) -> npt.NDArray[np.generic]:
        if name in columns:
            return column(name, convert, allowed, dtype)
        return np.full(len(names), convert(None), dtype=dtype)

    day = "a date such as 2026-01-31, or blank"
    start = optional("start", _day, day, "datetime64[D]").astype("datetime64[D]")
    end = optional("end", _day, day, "datetime64[D]").astype("datetime64[D]")
    open_seat = optional("open_seat", _flag, "true or false, or blank", "bool")
    weights = {
        name: column(name, _weight, "a number, or blank where none is known", "float64").astype(np.float64)
        for name in columns
        if name not in _KNOWN
    }
    roles = [_text(cell) for cell in table["role"]] if "role" in columns else [""] * len(names)
    for at in np.flatnonzero(end < start).tolist():
        faults.append(
            f"{source}: row {rows[order[at]]}: '{names[order[at]]}' ends on {end[at]}, before the start on "
            f"{start[at]}"
        )
    if faults:
        raise PlanError(_faults(faults))
    sorted_roles = tuple(roles[row] for row in order)
    levels = int(level.max()) + 1
    if level_names and (len(level_names) != levels or len(set(level_names)) != levels):
        raise PlanError(
            f"{source}: level_names are {listed(level_names)}; the hierarchy has {levels} levels, each wants "
            "one name of its own"
        )
    return Hierarchy(
        names=tuple(names[row] for row in order),
        parent=parent,
        level=level,
        roles=sorted_roles,
        open_seat=open_seat.astype(np.bool_),
        start=start,
        end=end,
        weights=weights,
        level_names=tuple(level_names) or _level_names(sorted_roles, level),
        source=source,
    )


def _ordered(
    names: list[str], parents: list[str], rows: Sequence[int], source: str
) -> tuple[Positions, list[int]]:
    """Rows level by level, team by team, name by name; and the row of each row's parent (-1: the root)."""
    faults = []
    row_of: dict[str, int] = {}
    for at, name in enumerate(names):
        if not name:
            faults.append(f"{source}: row {rows[at]}: name is blank; every row needs a name of its own")
        elif name in row_of:
            faults.append(
                f"{source}: row {rows[at]}: name '{name}' already stands in row {rows[row_of[name]]}; "
                "names must be unique"
            )
        else:
            row_of[name] = at
    for at, up in enumerate(parents):
        if up and up not in row_of:
            faults.append(f"{source}: row {rows[at]}: parent '{up}' of '{names[at]}' is no name in the table")
    if faults:
        raise PlanError(_faults(faults))
    roots = [at for at, up in enumerate(parents) if not up]
    above = [row_of[up] if up else -1 for up in parents]
    if len(roots) > 1:
        raise PlanError(
            f"{source}: {len(roots)} rows have no parent ({listed([names[at] for at in roots])}, rows "
            f"{', '.join(str(rows[at]) for at in roots[:12])}); exactly one, the company, may have none"
        )
    below: dict[int, list[int]] = {}
    for at, over in enumerate(above):
        below.setdefault(over, []).append(at)
    order: list[int] = []
    rank = below.get(-1, [])
    while rank:
        order += rank
        rank = [at for over in rank for at in sorted(below.get(over, ()), key=names.__getitem__)]
    if len(order) < len(names):
        raise PlanError(_cycle(names, above, rows, set(order), source))
    return np.array(order, dtype=np.intp), above


def _cycle(names: list[str], above: list[int], rows: Sequence[int], reached: set[int], source: str) -> str:
    at = next(at for at in range(len(names)) if at not in reached)
    seen: list[int] = []
    while at not in seen:
        seen.append(at)
        at = above[at]
    circle = seen[seen.index(at) :]
    shown = " → ".join(f"'{names[row]}'" for row in [*circle, circle[0]])
    return (
        f"{source}: row {rows[circle[0]]}: a cycle, each reporting to the next: {shown}; every line must end "
        "at the one company without a parent"
    )


def _level_names(roles: tuple[str, ...], level: Positions) -> tuple[str, ...]:
    found: list[str] = []
    of_level: dict[int, set[str]] = {}
    for role, number in zip(roles, level.tolist(), strict=True):
        of_level.setdefault(number, set()).add(role)
    for number in range(len(of_level)):
        shared = of_level[number]
        name = next(iter(shared)) if len(shared) == 1 else ""
        found.append(name if name and name not in found else f"level {number}" if number else "company")
    return tuple(found)


def _faults(lines: Sequence[str]) -> str:
    more = [f"… and {len(lines) - _MOST_FAULTS} more"] if len(lines) > _MOST_FAULTS else []
    return "\n".join([*lines[:_MOST_FAULTS], *more])


def _missing(cell: object) -> bool:
    return cell is None or cell is pd.NaT or cell is pd.NA or (isinstance(cell, float) and cell != cell)


def _text(cell: object) -> str:
    return "" if _missing(cell) else str(cell).strip()


def _day(cell: object) -> object:
    if _missing(cell) or cell == "":
        return np.datetime64("NaT", "D")
    if isinstance(cell, datetime):
        return np.datetime64(cell.date(), "D")
    if isinstance(cell, date):
        return np.datetime64(cell, "D")
    return np.datetime64(date.fromisoformat(str(cell).strip()), "D")


def _flag(cell: object) -> object:
    text = "" if _missing(cell) else str(cell).strip().casefold().removesuffix(".0")
    if text not in _YES | _NO:
        raise ValueError
    return text in _YES


def _weight(cell: object) -> object:
    if _missing(cell) or (isinstance(cell, str) and not cell.strip()):
        return float("nan")
    value = float(cell)  # type: ignore[arg-type]  # anything else is a fault with its row
    if not abs(value) <= _LARGEST_WEIGHT:
        raise ValueError
    return value
