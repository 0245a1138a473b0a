"""Figures of the field, with year, source and grade: something to look at beside one's own, never a truth."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pandas as pd
from pydantic import Field, model_validator

from salessim import formats
from salessim.documents import Part, load_yaml, read_text, validated
from salessim.errors import WorkspaceError

__all__ = ["FieldBenchmark", "FieldRange", "field_benchmarks", "field_ranges"]

_FILE = Path(__file__).with_name("field_benchmarks.yaml")


class FieldBenchmark(Part):
    """One figure of the field: what somebody reported, as it was reported."""

    measure: str
    """Name of the catalogue measure that it can stand beside; "" where there is none."""
    topic: str
    low: float
    """Lower end of the range that the source gives; shares are fractions."""
    high: float
    """Upper end; the same as low where the source gives one figure."""
    unit: Literal["share", "days", "months", "ratio"]
    year: str
    """Year or years of the figure; "" where the source names none."""
    grade: Literal["P", "S", "W"]
    """P: the primary page was read; S: a secondary report of a named primary; W: weak, no source named."""
    source: str = Field(min_length=1)
    definition: str = Field(min_length=1)
    """What was counted: definitions differ more than the figures do."""

    @model_validator(mode="after")
    def _in_order(self) -> FieldBenchmark:
        if self.low > self.high:
            raise ValueError(f"low is {self.low:g}, above high {self.high:g}")
        return self


class _File(Part):
    figures: tuple[FieldBenchmark, ...]


class FieldRange(Part):
    """What the field reports for one measure, all sources together: the span, and how good they are."""

    low: float
    high: float
    grades: str
    """Grades of the sources, best first, such as "P, S, W"."""
    sources: int
    years: str
    """From the earliest to the latest year named; "" where none is."""

    def text(self, unit: str) -> str:
        """The span with its grades, for a table.

        >>> FieldRange(low=0.22, high=0.66, grades="P, S, W", sources=7, years="2008–2025").text("share")
        '22.0 % to 66.0 % (7 sources, P, S, W)'
        """
        figures = (
            formats.figure(self.low, unit)
            if self.low == self.high
            else formats.span(self.low, self.high, unit)
        )
        return f"{figures} ({self.sources} {'source' if self.sources == 1 else 'sources'}, {self.grades})"


@cache
def _figures() -> tuple[FieldBenchmark, ...]:
    data = load_yaml(read_text(_FILE, error=WorkspaceError), where=_FILE.name, error=WorkspaceError)
    return validated(_File, {"figures": data}, where=_FILE.name, error=WorkspaceError).figures


def field_benchmarks() -> pd.DataFrame:
    """What surveys and vendors report, as shipped: figures with year, source and grade.

    Sources disagree widely, and count different things; none is a truth about one's own team.

    Returns:
        Columns measure (a name of the catalogue, or "" for none), topic, low, high, unit (share, days, months
        or ratio), year, grade (P: primary page read; S: secondary report; W: weak), source, definition.

    >>> rows = field_benchmarks()
    >>> rows.columns.tolist()[:4], sorted(rows["grade"].unique())
    (['measure', 'topic', 'low', 'high'], ['P', 'S', 'W'])
    """
    return pd.DataFrame([figure.model_dump() for figure in _figures()])


def field_ranges() -> Mapping[str, FieldRange]:
    """What the field reports by name of measure: the span over all sources, with their grades.

    >>> found = field_ranges()["win_rate"]
    >>> found.low, found.high, found.grades
    (0.15, 0.3, 'S, W')
    """
    found: dict[str, list[FieldBenchmark]] = {}
    for figure in _figures():
        if figure.measure:
            found.setdefault(figure.measure, []).append(figure)
    ranges = {}
    for name, figures in found.items():
        years = sorted({year for figure in figures for year in _years(figure.year)})
        ranges[name] = FieldRange(
            low=min(figure.low for figure in figures),
            high=max(figure.high for figure in figures),
            grades=", ".join(sorted({figure.grade for figure in figures})),
            sources=len(figures),
            years="" if not years else years[0] if len(years) == 1 else f"{years[0]}–{years[-1]}",
        )
    return MappingProxyType(ranges)


def _years(text: str) -> list[str]:
    return [word for word in text.replace("-", " ").split() if word.isdigit()]
