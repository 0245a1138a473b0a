"""What a report is made of: chapters, book pages, files, and where every figure comes from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath

from salessim import __version__
from salessim.errors import ReportError

__all__ = ["Bundle", "Chapter", "Page", "Parameter", "Provenance", "Source"]

Parameter = str | int | float | bool


@dataclass(frozen=True)
class Chapter:
    """A chapter of the report: a notebook and the values for its ``parameters`` cell.

    Paths among the parameters must be absolute: notebooks run in a scratch folder.
    """

    notebook: Path
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Name of the notebook without its ending, such as ``01-pipeline``."""
        return self.notebook.stem


@dataclass(frozen=True)
class Page:
    """A page of the sales book: its finished Markdown, and the file it was written in (for messages)."""

    source: Path
    text: str

    @property
    def name(self) -> str:
        """Name of the page without its ending, such as ``meeting-rhythm``."""
        return self.source.stem


@dataclass(frozen=True)
class Source:
    """A file that figures of the report come from: its name, the SHA-256 of its bytes, its records.

    >>> Source.of("plan.yaml", b"name: everyone-wins").short
    'bc6d5ebeb770'
    """

    name: str
    sha256: str
    records: int | None = None

    @classmethod
    def of(cls, name: str, content: str | bytes, *, records: int | None = None) -> Source:
        """Take the fingerprint of a file's content (text is taken as UTF-8)."""
        data = content.encode() if isinstance(content, str) else content
        return cls(name=name, sha256=hashlib.sha256(data).hexdigest(), records=records)

    @property
    def short(self) -> str:
        """The first twelve digits of the fingerprint, enough to compare by eye."""
        return self.sha256[:12]


def _now() -> str:
    # SOURCE_DATE_EPOCH: the convention of reproducible builds, so that the same report can be made twice
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.fromtimestamp(int(epoch), tz=UTC) if epoch else datetime.now(tz=UTC)
    return moment.strftime("%Y-%m-%d %H:%M UTC")


@dataclass(frozen=True)
class Provenance:
    """Where every figure of a report comes from; shown on every page, and kept as ``provenance.json``.

    ``made_up`` says that the data are an invented example; every page then carries a banner. ``as_of`` is
    the day the CRM export was taken. A scenario or plan of None was not used; ``trials`` of None says that
    pipeline and quotas were computed exactly, without drawing random numbers; ``pay_trials`` is the number of
    trials behind figures of pay, None where there are none.
    """

    data_files: tuple[Source, ...]
    scenario: Source | None
    plan: Source | None
    seed: int
    trials: int | None
    as_of: date | None
    made_up: bool
    pay_plan: Source | None = None
    pay_trials: int | None = None
    version: str = __version__
    made: str = field(default_factory=_now)


@dataclass(frozen=True)
class Bundle:
    """One quarter's report: chapters, pages of the sales book, files for download, and provenance.

    ``front_page`` is Markdown without a heading of the first level: title and quarter are written above it,
    the table of contents below it. ``extra_files`` maps file names to contents; they are offered in
    ``files/``.

    Raises ReportError where there is no chapter, where two notebooks or two pages have the same name, or
    where the name of an extra file leads out of the report.
    """

    title: str
    quarter: str
    chapters: tuple[Chapter, ...]
    pages: tuple[Page, ...]
    front_page: str
    provenance: Provenance
    extra_files: Mapping[str, str | bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.chapters:
            raise ReportError("the report has no chapter; name at least one notebook under chapters")
        for kind, names in (
            ("notebooks", [(chapter.name, chapter.notebook) for chapter in self.chapters]),
            ("pages", [(page.name, page.source) for page in self.pages]),
        ):
            seen: dict[str, Path] = {}
            for name, path in names:
                # file systems of Windows and macOS do not tell upper from lower case
                if other := seen.get(name.casefold()):
                    raise ReportError(f"two {kind} have the same name: {other} and {path}; rename one")
                seen[name.casefold()] = path
        for name in self.extra_files:
            place = PurePosixPath(name)
            if not place.name or place.is_absolute() or ".." in place.parts or "\\" in name:
                raise ReportError(f"extra file '{name}': write a plain file name such as 'scenario.yaml'")
