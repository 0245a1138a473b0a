"""The sales book: pages of Markdown whose company figures come from the scenario and the CRM, never typed.

A page is a file in ``playbook/``: a short head in YAML, then MyST Markdown in which ``{{ name }}`` stands
for a value of :func:`values`. ``toc.yaml`` beside the pages gives their order, ``terms.yaml`` the words of
the field in English, Polish and Russian. A name that does not exist is an error, never a blank.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import Field, field_validator

from salessim import formats
from salessim.documents import Part, load_yaml, read_text, validated
from salessim.errors import ParameterError, ReportError, listed
from salessim.measures import CATALOGUE, LEVEL, Measure, overview_table
from salessim.model import WEEKS_PER_MONTH, Ramp, Role, Scenario, Segment, Stage
from salessim.periods import WEEKS_PER_QUARTER, Quarter

if TYPE_CHECKING:
    import pandas as pd

    from salessim.calibrate import Calibration
    from salessim.crm import Tables

__all__ = [
    "AUDIT_VALUES",
    "QUOTA_VALUES",
    "Page",
    "PageHead",
    "Term",
    "glossary",
    "pages",
    "read_page",
    "read_terms",
    "render",
    "values",
]

#: What a quota plan and a pay plan can tell the book; each is a value that pages may quote.
QUOTA_VALUES: Mapping[str, str] = {
    "recommended_quota": "the quota of a fully ramped seller for the quarter",
    "expected_share": "the share of sellers expected to make their quota",
    "probability_band": "the probability that the share lands inside the target band",
    "probability_plan": "the probability that the team plan is met",
    "over_assignment": "by how much the quotas add up to more than the team plan",
    "chance_range": "the lowest and the highest chance of a seller to make the recommended quota",
    "engine_note": "which engine worked the figures out, and why",
    "luck_share": "how much of attainment is luck, territory, skill and market, on average over the sellers",
    "pay_plan_name": "the pay plan",
    "pay_cost": "what sellers are paid over the simulated quarters, with its range",
    "cost_of_sales": "pay as a share of bookings",
    "share_at_ote": "the share of sellers expected to earn their OTE or more",
    "quota_to_ote": "annual quota ÷ OTE",
    "accelerator_cost": "what accelerators cost on bookings that come anyway",
}

#: What a re-qualification audit can tell the book.
AUDIT_VALUES: Mapping[str, str] = {
    "audit_summary": "how much of the pipeline stands where it claims to stand",
    "audit_table": "the pipeline by stage, as claimed and as evidenced",
}

#: Worked examples of lead demand are written for this many won deals.
TEACHING_WINS = 10

MONTHS_SHOWN = 12  # a longer ramp is rare, and a wider table does not fit a page


class PageHead(Part):
    """The head of a book page: what it is about, and who keeps it true.

    >>> PageHead(title="Onboarding", summary="Ramps.", owner="sales manager").review_by_quarter is None
    True
    """

    title: str = Field(min_length=1)
    """Title of the page."""
    summary: str = Field(min_length=1)
    """The page in one sentence."""
    owner: str = Field(min_length=1)
    """Role that keeps the page true, such as 'head of sales'."""
    rules: tuple[str, ...] = ()
    """Numbers of the field rules that the page carries, such as A2."""
    review_by_quarter: str | None = None
    """Quarter in which the page is due for revision, such as 2026Q4 [G3]; left out: every quarter."""

    @field_validator("review_by_quarter")
    @classmethod
    def _is_a_quarter(cls, value: str | None) -> str | None:
        try:
            return value and str(Quarter.parse(value))
        except ParameterError as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True)
class Page:
    """One page of the sales book as written; ``body_line`` is the line of the file where its body begins.

    >>> head = PageHead(title="Onboarding", summary="Ramps.", owner="sales manager")
    >>> Page(path=Path("onboarding.md"), head=head, body="## The rule", body_line=6).name
    'onboarding'
    """

    path: Path
    head: PageHead
    body: str
    body_line: int

    @property
    def name(self) -> str:
        """Name of the page without its ending, such as ``meeting-rhythm``."""
        return self.path.stem


class _TableOfContents(Part):
    """The order of the pages (``toc.yaml``)."""

    pages: tuple[str, ...] = Field(min_length=1)
    """File names in the order of reading."""


class Term(Part):
    """A word of the field in the three languages that CRM exports come in [A1].

    >>> Term(term="funnel", polish="lejek", russian="воронка", meaning="The buyer's journey.").polish
    'lejek'
    """

    term: str = Field(min_length=1)
    """English term."""
    polish: str = Field(min_length=1)
    """Polish term."""
    russian: str = Field(min_length=1)
    """Russian term."""
    meaning: str = Field(min_length=1)
    """What it means here, in a sentence or two."""


class _TermList(Part):
    """The field terms (``terms.yaml``)."""

    terms: tuple[Term, ...]
    """All terms; the order does not matter."""


_HEAD = re.compile(r"\A---[ \t]*\r?\n(?P<head>.*?\n)---[ \t]*\r?\n", re.DOTALL)


def read_page(path: Path) -> Page:
    """Read one page of the book; ReportError where its head is missing or incomplete.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "hiring.md")
    ...     _ = path.write_text("---\\n{title: Hiring, summary: Ahead., owner: manager}\\n---\\nText\\n")
    ...     page = read_page(path)
    >>> page.head.owner, page.body, page.body_line
    ('manager', 'Text\\n', 4)
    """
    text = read_text(path, error=ReportError)
    found = _HEAD.match(text)
    if not found:
        raise ReportError(
            f"{path}: the page has no head; begin with '---', then title, summary and owner, then '---'"
        )
    data = load_yaml(found["head"], where=str(path), error=ReportError)
    head = validated(PageHead, data, where=str(path), error=ReportError)
    return Page(path=path, head=head, body=text[found.end() :], body_line=found[0].count("\n") + 1)


def pages(folder: Path) -> list[Page]:
    """Read the pages of a book in the order of ``toc.yaml``.

    ReportError where a listed page does not exist, a page is listed twice or not at all, or a head is
    incomplete: a page that nobody can find is a page that nobody follows.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = Path(folder, "toc.yaml").write_text("pages: [hiring.md]")
    ...     try:
    ...         pages(Path(folder))
    ...     except ReportError as error:
    ...         print(str(error).replace(folder, "playbook").replace("\\\\", "/"))
    playbook/toc.yaml: pages[0] is 'hiring.md'; the folder has (none)
    """
    toc = folder / "toc.yaml"
    data = load_yaml(read_text(toc, error=ReportError), where=str(toc), error=ReportError)
    names = list(validated(_TableOfContents, data, where=str(toc), error=ReportError).pages)
    there = sorted(path.name for path in folder.glob("*.md"))
    for index, name in enumerate(names):
        if name not in there:
            raise ReportError(f"{toc}: pages[{index}] is '{name}'; the folder has {listed(there, most=40)}")
        if name in names[:index]:
            raise ReportError(f"{toc}: pages[{index}] is '{name}', which stands twice; list each page once")
    if unlisted := [name for name in there if name not in names]:
        raise ReportError(f"{toc}: not listed: {listed(unlisted, most=40)}; add each page of the folder once")
    return [read_page(folder / name) for name in names]


def read_terms(folder: Path) -> tuple[Term, ...]:
    """Read the field terms of a book from ``terms.yaml``; ReportError where a term stands twice.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     text = "terms: [{term: quota, polish: plan, russian: план, meaning: A target.}]"
    ...     _ = Path(folder, "terms.yaml").write_text(text, encoding="utf-8")
    ...     [term.russian for term in read_terms(Path(folder))]
    ['план']
    """
    path = folder / "terms.yaml"
    data = load_yaml(read_text(path, error=ReportError), where=str(path), error=ReportError)
    terms = validated(_TermList, data, where=str(path), error=ReportError).terms
    names = [term.term.casefold() for term in terms]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ReportError(f"{path}: terms[{index}].term is '{terms[index].term}'; it stands twice")
    return terms


def render(page: Path, values: Mapping[str, object]) -> str:
    """Turn a page into finished Markdown: title, summary, body with all values filled in, owner.

    Args:
        page: the file of the page.
        values: what the page may quote, usually from :func:`values`.

    Returns:
        MyST Markdown without head and without placeholders.

    Raises:
        ReportError: an unknown value, or a placeholder that cannot be read; names page, line and value,
            and the values that exist.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "hiring.md")
    ...     _ = path.write_text("---\\n{title: Hiring, summary: Now., owner: manager}\\n---\\nBy {{ day }}.")
    ...     print(render(path, {"day": "1 May"}).splitlines()[4])
    By 1 May.
    """
    written = read_page(page)
    # blank lines in place of the head: line numbers of the template are then those of the file
    source = "\n" * (written.body_line - 1) + written.body
    environment = ImmutableSandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    try:
        _refuse_unknown(page, environment.parse(source), values)
        body = environment.from_string(source).render(values).strip()
    except ReportError:
        raise
    except TemplateSyntaxError as error:
        raise ReportError(f"{page}, line {error.lineno}: {error.message}") from error
    except Exception as error:  # what is written in a page may fail in any way: no traceback for its author
        line = _template_line(error.__traceback__)
        reason = error.message if isinstance(error, TemplateError) else error
        raise ReportError(f"{page}, line {line}: {reason}") from error
    head = written.head
    return f"# {head.title}\n\n*{head.summary}*\n\n{body}\n\n---\n\n{_footer(head, values)}\n"


def _refuse_unknown(page: Path, tree: nodes.Template, values: Mapping[str, object]) -> None:
    """Check every name of a page before it is rendered, those in branches not taken as well."""
    unknown = meta.find_undeclared_variables(tree) - set(values)
    if not unknown:
        return
    lines = []
    for node in tree.find_all(nodes.Name):
        if node.name in unknown:
            close = difflib.get_close_matches(node.name, list(values), n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            lines.append((node.lineno, f"{page}, line {node.lineno}: unknown value '{node.name}'{hint}"))
    faults = "\n".join(dict.fromkeys(text for _, text in sorted(lines)))
    raise ReportError(f"{faults}\nvalues that exist: {listed(sorted(values), most=len(values))}")


def _template_line(trace: TracebackType | None) -> int:
    """The innermost line of a page in a traceback (Jinja maps its code back to the lines of the page)."""
    line = 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "<template>":
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _footer(head: PageHead, values: Mapping[str, object]) -> str:
    due, quarter = head.review_by_quarter, str(values.get("quarter", ""))
    if due is None:
        review = "Revised every quarter"
    elif due < quarter:
        review = f"**Revision was due in {due}**"
    else:
        review = f"Next revision by {due}"
    return f"*Owner: {head.owner}.* {review}."


def values(
    scenario: Scenario,
    tables: Tables | None = None,
    *,
    quarter: Quarter,
    overview: pd.DataFrame | None = None,
    quota: Mapping[str, object] | None = None,
    audit: Mapping[str, object] | None = None,
    terms: Sequence[Term] = (),
    calibration: Calibration | None = None,
) -> dict[str, object]:
    """Everything that pages of the book may quote, as finished text in Markdown.

    Args:
        scenario: stages, criteria, sources, ramps and team.
        tables: the CRM export; None where none was read.
        quarter: the quarter that the book is rendered for.
        overview: result of ``salessim.measures.overview`` for that quarter; each measure of the catalogue
            becomes ``measure_<name>`` with interval and sample size.
        quota: finished texts of the quota plan under the names of :data:`QUOTA_VALUES`; more are allowed.
        audit: finished texts of the re-qualification audit under the names of :data:`AUDIT_VALUES`.
        terms: field terms for the glossary, from :func:`read_terms`.
        calibration: what the history says of the same stages, to stand beside what the scenario assumes.

    Returns:
        Values by name: text, except for the flags ``made_up``, ``has_export``, ``has_leads``,
        ``has_quotas``, ``has_stage_history`` and ``has_criteria``. A figure that is not known says why.

    >>> one = Scenario.from_yaml('''
    ... name: one rep
    ... currency: EUR
    ... calendar: {first_quarter: 2026Q1}
    ... segments:
    ...   - name: all
    ...     stages: [{name: opportunity, conversion: 0.25, dwell_weeks: 6}]
    ...     sources: [{name: outbound, kind: self-sourced, leads_per_week: 2}]
    ...     deal_size: {mean: 20000, cv: 1}
    ... roles: [{name: AE}]
    ... reps: [{name: Rep 1, role: AE}]
    ... ''')
    >>> found = values(one, quarter=Quarter(2026, 1), quota={"expected_share": "67 %"})
    >>> found["stages_list"], found["expected_share"]
    ('opportunity → won or lost', '67 %')
    >>> found["probability_plan"]
    'not computed, because the quota plan does not give it'
    >>> found["measure_win_rate"]
    'not known, because no CRM export was read'
    """
    currency = tables.currency if tables is not None and tables.currency != "XXX" else scenario.currency
    unmeasured = (
        "no CRM export was read" if tables is None else f"the measures of {quarter} were not computed"
    )
    found: dict[str, object] = {
        "scenario_name": _plain(scenario.name),
        "scenario_description": _plain(scenario.description) or "(the scenario has no description)",
        "made_up": scenario.made_up,
        "currency": currency,
        "quarter": str(quarter),
        "quarter_dates": f"{_day(quarter.start)} to {_day(quarter.end)}",
        "next_quarter": str(quarter.shift(1)),
        "next_quarter_end": _day(quarter.shift(1).end),
        "export_note": _export_note(tables),
        "has_export": tables is not None,
        "has_leads": tables is not None and not tables.leads.empty,
        "has_quotas": tables is not None and not tables.quotas.empty,
        "has_stage_history": tables is not None and not tables.stage_history.empty,
        "has_criteria": bool(scenario.criteria),
        "stages_list": _by_segment(scenario, _stage_names),
        "stages_table": _per_segment(scenario, lambda segment: _stages(segment, calibration)),
        "criteria_table": _criteria(scenario),
        "criteria_count": str(len(scenario.criteria)),
        "contracts_table": _contracts(scenario),
        "quality_table": _quality(tables),
        "sources_table": _sources(scenario),
        "leads_needed_table": _per_segment(
            scenario, lambda segment: _leads_needed(segment, currency=scenario.currency)
        ),
        "cycle_by_segment": _by_segment(scenario, lambda segment: _days(sum(_weeks(segment)))),
        "team_table": _team(scenario),
        "team_size": formats.count(len(scenario.reps)),
        "ramp_table": _ramps(scenario),
        "start_by_table": _start_by(scenario, quarter),
        "full_capacity_date": _day(quarter.shift(4).start),
        "measures_table": f"*The measures are not known, because {unmeasured}.*",
        "glossary": glossary(CATALOGUE, terms),
    }
    found |= {f"measure_{name}": f"not known, because {unmeasured}" for name in CATALOGUE}
    if overview is not None:
        found |= {f"measure_{row['name']}": _measure(row, currency) for row in overview.to_dict("records")}
        found["measures_table"] = overview_table(overview, currency=currency)
    found |= {name: f"*Not known: {what} is not computed here.*" for name, what in AUDIT_VALUES.items()}
    return found | dict(audit or {}) | _quota_texts(quota, taken=found)


def glossary(catalogue: Mapping[str, Measure], terms: Sequence[Term]) -> str:
    """The glossary in Markdown: every measure with its definition, then the field terms in three languages.

    >>> term = Term(term="quota", polish="plan sprzedaży", russian="план продаж", meaning="A target.")
    >>> print(glossary({}, [term]).splitlines()[-1])
    | quota | A target. | plan sprzedaży | план продаж |
    """
    measures = formats.table(
        ["measure", "definition", "unit", "better"],
        [[m.label, m.definition, m.unit, m.better] for m in catalogue.values()],
    )
    words = formats.table(
        ["English", "meaning", "Polish", "Russian"],
        [
            [t.term, t.meaning, t.polish, t.russian]
            for t in sorted(terms, key=lambda term: term.term.casefold())
        ],
    )
    return f"## Measures\n\n{measures}\n\n## Terms\n\n{words}"


def _plain(text: str) -> str:
    """Text of a user on one line, with the marks escaped that Markdown would otherwise act on."""
    return re.sub(r"([\\`*_{}\[\]<>#&$~])", r"\\\1", " ".join(text.split()))


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def _chance(share: float) -> str:
    return formats.percent(share, digits=0 if share >= 0.1 or share == 0 else 1)


def _export_note(tables: Tables | None) -> str:
    if tables is None:
        return "No CRM export was read: figures on this page come from the scenario alone."
    rejected = int(tables.quality.counts["rejected"].sum())
    note = (
        f"CRM export as of {_day(tables.as_of)}: {formats.count(len(tables.opportunities))} opportunities; "
        f"rows rejected in all files: {formats.count(rejected)}."
    )
    if tables.currency == "XXX":
        note += " The export states no currency (XXX)."
    return note


def _per_segment(scenario: Scenario, block: Callable[[Segment], str]) -> str:
    """One block per segment, headed by its name where there are several."""
    if len(scenario.segments) == 1:
        return block(scenario.segments[0])
    return "\n\n".join(f"**{_plain(segment.name)}**\n\n{block(segment)}" for segment in scenario.segments)


def _by_segment(scenario: Scenario, phrase: Callable[[Segment], str]) -> str:
    """One phrase per segment on a line, the same phrases written once."""
    phrases = {segment.name: phrase(segment) for segment in scenario.segments}
    if len(set(phrases.values())) == 1:
        return next(iter(phrases.values()))
    return "; ".join(f"{_plain(name)}: {text}" for name, text in phrases.items())


def _stage_names(segment: Segment) -> str:
    return " → ".join(_plain(stage.name) for stage in segment.stages) + " → won or lost"


def _weeks(segment: Segment) -> list[float]:
    """Mean weeks in each stage, of deals that move on."""
    shares = [stage.dwell_shares() for stage in segment.stages]
    return [float(np.arange(len(by_week)) @ by_week) for by_week in shares]


def _days(weeks: float) -> str:
    return "under a week" if weeks < 0.5 else formats.days(7 * weeks)


def _measured_conversion(segment: Segment, stage: Stage, calibration: Calibration | None) -> str:
    """What the history says of a stage, with interval and sample size; empty where it does not tell."""
    names = {f"conversion of '{name}'" for name in (stage.name, *stage.crm_names)}
    for p in calibration.parameters if calibration else ():
        if p.segment == segment.name and p.name in names:
            interval = formats.span(p.low, p.high, "share")
            return f"{formats.percent(p.value, digits=1)} ({interval}, n = {formats.count(p.n)})"
    return ""


def _stages(segment: Segment, calibration: Calibration | None) -> str:
    measured = [_measured_conversion(segment, stage, calibration) for stage in segment.stages]
    rows = []
    known: list[str] = []
    for stage, chance, moves_on, weeks, found in zip(
        segment.stages,
        segment.close_probabilities(),
        segment.conversions(),
        _weeks(segment),
        measured,
        strict=True,
    ):
        in_crm = [name for name in stage.crm_names if name != stage.name]
        rows.append(
            [
                _plain(stage.name) + (f" (CRM: {_plain(', '.join(in_crm))})" if in_crm else ""),
                _plain(stage.known) or ", ".join(known) or "not written down yet",
                _chance(chance),
                _chance(moves_on),
                *([found or formats.MISSING] if any(measured) else []),
                _days(weeks),
                _plain(", ".join(stage.exit_criteria)) or "no criteria yet",
            ]
        )
        known += [_plain(name) for name in stage.exit_criteria if _plain(name) not in known]
    header = ["stage", "what we know", "chance", "moves on", "time", "exit criteria"]
    if any(measured):
        header[3:4] = ["moves on, assumed", f"measured ({formats.percent(LEVEL)} interval)"]
    return formats.table(header, rows)


def _criteria(scenario: Scenario) -> str:
    if not scenario.criteria:
        return "*The scenario lists no qualification criteria yet.*"
    return formats.table(
        ["criterion", "question", "evidence in the CRM"],
        [
            [_plain(c.name), _plain(c.question), _plain(c.evidence) or "not agreed yet"]
            for c in scenario.criteria
        ],
    )


def _contracts(scenario: Scenario) -> str:
    return formats.table(
        ["a lead is", "when these fields are filled in", "for leads from"],
        [
            [
                contract.stage,
                _plain(", ".join(field.replace("_", " ") for field in contract.fields)),
                _plain(", ".join(contract.sources)) or "every other source"
                if any(other.sources for other in scenario.contracts)
                else "every source",
            ]
            for contract in scenario.contracts
        ],
    )


def _quality(tables: Tables | None) -> str:
    """What the import found, one line per rule."""
    if tables is None:
        return "*No CRM export was read, so there is nothing to find fault with yet.*"
    found = tables.quality.summary()
    if found.empty:
        return "*The import found no fault.*"
    rows = [
        [_plain(row["rule"]), row["severity"], formats.count(row["rows"]), _plain(row["what_to_do"])]
        for row in found.to_dict("records")
    ]
    return formats.table(["what was found", "severity", "rows", "what to do"], rows)


def _sources(scenario: Scenario) -> str:
    kinds = {"inbound": "inbound, whole team", "self-sourced": "self-sourced, per ramped seller"}
    rows = [
        [
            _plain(segment.name),
            _plain(source.name),
            kinds[source.kind],
            formats.count(leads := source.leads_per_week * WEEKS_PER_QUARTER),
            formats.count(leads * segment.close_probabilities()[0]),
        ]
        for segment in scenario.segments
        for source in segment.sources
    ]
    if not rows:
        return "*The scenario lists no lead sources yet.*"
    return formats.table(["segment", "source", "kind", "leads in a quarter", "of these won in the end"], rows)


def _leads_needed(segment: Segment, *, currency: str) -> str:
    """Deals that must enter each stage, and how long before the win, for a round number of won deals."""
    weeks = _weeks(segment)
    rows = [
        [
            _plain(stage.name),
            stage.counts_as,
            # a hair is taken off before rounding up, so that 10 ÷ 0.1 stays 100
            formats.count(math.ceil(TEACHING_WINS / chance - 1e-9)) if chance > 0 else "no number is enough",
            _days(sum(weeks[index:])),
        ]
        for index, (stage, chance) in enumerate(
            zip(segment.stages, segment.close_probabilities(), strict=True)
        )
    ]
    worth = formats.money(TEACHING_WINS * segment.deal_size.moments()[0], currency, short=True)
    needed = formats.table(
        ["stage", "counts as", f"must enter for {TEACHING_WINS} wins", "before the win"], rows
    )
    return f"{needed}\n\n{TEACHING_WINS} won deals are worth {worth} on average."


def _team(scenario: Scenario) -> str:
    rows = []
    for role in scenario.roles:
        starts = ", ".join(
            f"{hire.count} on {_day(hire.start)}" for hire in scenario.hires if hire.role == role.name
        )
        today = sum(rep.role == role.name for rep in scenario.reps)
        rows.append([_plain(role.name), formats.count(today), starts or "none planned"])
    return formats.table(["role", "sellers today", "planned starts"], rows)


def _months(ramp: Ramp) -> list[float]:
    """Mean productivity in each month of tenure, as far as the tables show it."""
    weeks = np.arange(math.ceil(MONTHS_SHOWN * WEEKS_PER_MONTH))
    month = np.floor(weeks / WEEKS_PER_MONTH)
    return [float(ramp.productivity(weeks[month == number]).mean()) for number in range(MONTHS_SHOWN)]


def _ramps(scenario: Scenario) -> str:
    by_role = {role.name: _months(role.ramp) for role in scenario.roles}
    if all(months[0] >= 1 for months in by_role.values()):
        return "*No ramp is set: the scenario lets newcomers sell fully from day one, which is rarely true.*"
    # the columns end with the first month in which everybody is fully productive
    shown = min(MONTHS_SHOWN, 1 + max(sum(level < 0.995 for level in months) for months in by_role.values()))
    return formats.table(
        ["role, by month of tenure", *(str(month + 1) for month in range(shown))],
        [[_plain(name), *map(formats.percent, months[:shown])] for name, months in by_role.items()],
    )


def _start_by(scenario: Scenario, quarter: Quarter) -> str:
    wanted = quarter.shift(4).start

    def row(role: Role) -> list[str]:
        to_full = role.ramp.weeks_to_full()
        given_up = float((1 - role.ramp.productivity(np.arange(to_full))).sum())
        start = wanted - timedelta(weeks=to_full)
        return [
            _plain(role.name),
            f"{to_full} weeks",
            f"{given_up:.0f} weeks",
            _day(start - timedelta(weeks=role.hiring_lead_weeks)),
            _day(start),
        ]

    header = ["role", "start to full", "lost on the way", "decide by", "start by"]
    return formats.table(header, [row(role) for role in scenario.roles])


def _measure(row: Mapping[Hashable, Any], currency: str) -> str:
    """One measure as text with its interval and sample size, or why there is none."""
    note = _plain(str(row["note"] or ""))
    if not math.isfinite(row["value"]):
        return f"not in this export: {note or 'the figure cannot be computed'}"
    figure = formats.figure(row["value"], row["unit"], currency)
    size = f"n = {formats.count(row['n'])}"
    interval = formats.span(row["low"], row["high"], row["unit"], currency)
    if interval != formats.MISSING:
        figure += f" ({formats.percent(LEVEL)} interval {interval}, {size})"
    elif row["unit"] != "count":  # a count is its own sample size
        figure += f" ({size})"
    return figure + (f"; {note}" if note else "")


def _quota_texts(quota: Mapping[str, object] | None, *, taken: Mapping[str, object]) -> dict[str, object]:
    reason = "no quota plan was scored" if quota is None else "the quota plan does not give it"
    texts: dict[str, object] = dict.fromkeys(QUOTA_VALUES, f"not computed, because {reason}")
    given = {name: text for name, text in (quota or {}).items() if text is not None}
    if clash := sorted(set(given) & set(taken)):
        raise ReportError(
            f"quota: {listed(clash)} cannot be a quota figure; the book has a value of that name already"
        )
    return texts | given
