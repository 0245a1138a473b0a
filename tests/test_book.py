"""The sales book: every page renders with and without data, and nothing on it is blank, broken or made up."""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import pytest
from docutils.core import publish_doctree
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from myst_parser.docutils_ import Parser

from salessim import allocation, book, crm, formats, measures, pay, plans
from salessim.errors import ReportError
from salessim.library import example_crm, example_scenario
from salessim.model import Scenario
from salessim.periods import Quarter

PLAYBOOK = Path(__file__).resolve().parents[1] / "playbook"
PAGES = sorted(path.name for path in PLAYBOOK.glob("*.md"))
QUARTER = Quarter(2026, 2)
QUOTA = {
    "recommended_quota": "EUR 118,000 for the quarter",
    "expected_share": "67 %",
    "probability_band": "46 %",
    "probability_plan": "71 %",
    "over_assignment": "9 %",
    "chance_range": "41 % to 88 %",
    "engine_note": "The exact engine; solved exactly",
    "luck_share": "luck 69 %, territory 27 %, skill 3 %, market 2 %",
    "pay_plan_name": "50/50 with accelerators",
    "pay_cost": "EUR 1.21m from 2026Q3 to 2027Q2",
    "cost_of_sales": "22.7 % of bookings",
    "share_at_ote": "73 % (n = 12 reps)",
    "quota_to_ote": "5.0×",
    "accelerator_cost": "EUR 222k",
}
HEAD = "---\ntitle: Hiring\nsummary: Ahead of need.\nowner: sales manager\n---\n"

TWO_SEGMENTS = """
name: two segments
currency: EUR
calendar: {first_quarter: 2026Q1, quarters: 4}
criteria:
  - {name: pain, question: Does it hurt?, evidence: their words}
  - {name: next step, question: Is a date agreed?}
segments:
  - name: SMB
    stages:
      - {name: cold, close_probability: 0.1, dwell_weeks: 2, counts_as: lead, exit_criteria: [pain]}
      - {name: closing, close_probability: 0.8, dwell_weeks: [0.4, 0.6], crm_names: [Offer]}
    sources:
      - {name: website, kind: inbound, leads_per_week: 10}
    deal_size: {mean: 20000, cv: 1}
  - name: enterprise
    stages: [{name: opportunity, conversion: 0.03, dwell_weeks: 20, known: They have a budget.}]
    sources: []
    deal_size: {amounts: [100000, 300000], shares: [0.5, 0.5]}
roles:
  - {name: AE, ramp: {training_weeks: 2, linear_weeks: 26}, hiring_lead_weeks: 8}
  - {name: SDR}
reps: [{name: Rep Alpha, role: AE}, {name: Rep Beta, role: AE}]
hires: [{role: SDR, start: 2026-08-03, count: 3}]
"""


@pytest.fixture(scope="session")
def two_segments() -> Scenario:
    return Scenario.from_yaml(TWO_SEGMENTS)


@pytest.fixture(scope="session")
def with_data() -> Mapping[str, object]:
    """Values with everything there is: the example company, its CRM export and a quota plan."""
    tables = crm.read(example_crm())
    return book.values(
        example_scenario(),
        tables,
        quarter=QUARTER,
        overview=measures.overview(tables, quarter=QUARTER),
        quota=QUOTA,
        terms=book.read_terms(PLAYBOOK),
    )


@pytest.fixture(scope="session")
def without_data(two_segments: Scenario) -> Mapping[str, object]:
    """Values of a scenario alone: no export, no measures, no quota plan, no terms."""
    return book.values(two_segments, quarter=QUARTER)


def rendered(name: str, values: Mapping[str, object]) -> str:
    return book.render(PLAYBOOK / name, values)


def write(folder: Path, body: str, *, head: str = HEAD, name: str = "hiring.md") -> Path:
    path = folder / name
    path.write_text(head + body, encoding="utf-8")
    return path


def complaints(text: str) -> str:
    """What MyST has to say about a page, with the extensions that the site switches on."""
    stream = io.StringIO()
    publish_doctree(
        re.sub(r"\]\([^)]*\)", "](https://example.org)", text),  # links have a test of their own
        parser=Parser(),
        settings_overrides={
            "myst_enable_extensions": ["attrs_block", "attrs_inline", "colon_fence", "deflist", "tasklist"],
            "warning_stream": stream,
            "report_level": 2,
        },
    )
    return stream.getvalue()


def rows(table: object) -> list[list[str]]:
    """Cells of all body rows of the Markdown tables in a value."""
    lines = [line for line in str(table).splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    ruled = [index for index, line in enumerate(lines) if line.startswith("| ---")]
    return [row for index, row in enumerate(cells) if index not in ruled and index + 1 not in ruled]


# --- the shipped pages -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("kind", ["with_data", "without_data"])
def test_every_page_renders_without_leftovers(name: str, kind: str, request: pytest.FixtureRequest) -> None:
    text = rendered(name, request.getfixturevalue(kind))
    assert text.startswith("# ")
    for leftover in ("{{", "}}", "{%", "{#", "$", "\n\n\n\n"):
        assert leftover not in text
    assert not re.search(r"\b(None|True|False|nan|NaT|inf)\b", text)
    assert complaints(text) == ""


@pytest.mark.parametrize("name", PAGES)
def test_pages_have_the_parts_that_the_book_promises(name: str) -> None:
    headings = re.findall(r"^## (.+)$", (PLAYBOOK / name).read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[-1] == "On Monday"
    if name != "glossary.md":
        assert headings[0] == "The rule"
        assert any(heading.startswith("Why") for heading in headings)


def test_the_pages_carry_the_rules_of_the_field() -> None:
    carried = {rule for page in book.pages(PLAYBOOK) for rule in page.head.rules}
    wanted = {f"A{n}" for n in range(1, 10)} | {f"B{n}" for n in range(1, 7)}
    wanted |= {f"C{n}" for n in range(1, 4)} | {f"F{n}" for n in range(1, 6)} | {"G3"}
    assert wanted <= carried


def test_table_of_contents_is_complete() -> None:
    found = book.pages(PLAYBOOK)
    assert sorted(page.path.name for page in found) == PAGES
    assert found[0].name == "about-this-book"
    assert found[-1].name == "glossary"


def test_relative_links_lead_somewhere(with_data: Mapping[str, object]) -> None:
    links = [
        (name, target, anchor)
        for name in PAGES
        for target, anchor in re.findall(r"\]\(([^)#\s]*)#?([^)\s]*)\)", rendered(name, with_data))
    ]
    assert len(links) > 20
    for name, target, anchor in links:
        path = PLAYBOOK / (target or name)
        assert path.is_file(), f"{name} links to {target}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}


def test_pages_without_data_say_why(without_data: Mapping[str, object]) -> None:
    for name in PAGES:
        text = rendered(name, without_data)
        source = (PLAYBOOK / name).read_text(encoding="utf-8")
        if re.search(r"\{\{ (measure_|export_note)", source):
            assert "no CRM export was read" in text.replace("No CRM", "no CRM")
        if any(f"{{{{ {value} }}}}" in source for value in book.QUOTA_VALUES):
            assert "not computed, because no quota plan was scored" in text


def test_teaching_numbers_are_right() -> None:
    def page(name: str) -> str:
        return " ".join((PLAYBOOK / name).read_text(encoding="utf-8").split())

    reading = page("reading-the-report.md")
    for won, of in ((2, 10), (20, 100), (200, 1000)):
        rate = measures.share_estimate(won, of)
        interval = f"{formats.percent(rate.low)} to {formats.percent(rate.high)}"
        assert f"| {won} | {of:,} | {formats.percent(rate.value)} | {interval} |" in reading
    for sellers in (5, 10, 20, 40, 80):
        inside = [k for k in range(sellers + 1) if 0.6 * sellers <= k <= 0.75 * sellers]
        chance = sum(math.comb(sellers, k) * 0.675**k * 0.325 ** (sellers - k) for k in inside)
        assert f"| {sellers} | {formats.percent(chance)} |" in reading
    pipeline = page("pipeline-measures.md")
    assert (measures.conversion(50, 100), measures.conversion(30, 50)) == (0.5, 0.6)
    assert "100 MQL give 50 SQL, 50 %; 30 demos of 50 SQL, 60 %" in pipeline
    assert measures.win_rate(20, 100) == 0.2
    assert "20 won of 100 created is 20 %" in pipeline
    assert (measures.pipeline_value(50, 150_000), measures.amount_won(10, 150_000)) == (7.5e6, 1.5e6)
    assert "50 × 150,000 = 7.5 million" in pipeline
    assert "10 × 150,000 = 1.5 million" in pipeline


def test_pay_example_and_shipped_plans_are_right() -> None:
    text = " ".join((PLAYBOOK / "pay-plans.md").read_text(encoding="utf-8").split())
    example = pay.pay_at(pay.load_plan("50-50-accelerator"), annual_quota=500_000.0).set_index("attainment")
    for attainment in (0.5, 1.0, 1.25, 1.5):
        row = example.loc[attainment]
        amounts = [f"{row[name]:,.0f}" for name in ("bookings", "commission", "total")]
        start = f"| {formats.percent(attainment)} | {amounts[0]} | "
        end = f"= {amounts[1]} | {amounts[2]} | {formats.percent(row['effective_rate'], digits=1)} |"
        assert re.search(re.escape(start) + "[^|=]+" + re.escape(end), text)
    for quota, commission, change in ((450_000.0, "58,333", 8_333), (550_000.0, "45,455", -4_545)):
        paid = pay.pay_at(
            pay.load_plan("50-50-accelerator"), annual_quota=quota, attainments=(500_000.0 / quota,)
        )
        assert f"{paid['commission'].iloc[0]:,.0f}" == commission
        assert round(paid["commission"].iloc[0] - 50_000) == change
        assert f"= {commission}: {abs(change):,} " in text
    listed = re.findall(r"\| `([\w-]+)` \| [^|]+ \| ([\d,]+) \| ([\d,]+) \|", text)
    assert sorted(name for name, *_ in listed) == sorted(pay.shipped_plans())
    for name, half, above in listed:
        plan = pay.load_plan(name)
        table = pay.pay_at(plan, annual_quota=500_000.0)
        seller = table[table["role"] == plan.roles[0].role].set_index("attainment")["total"]
        assert [f"{seller[at]:,.0f}" for at in (0.5, 1.0, 1.25)] == [half, "100,000", above]


def test_allocation_example_is_right() -> None:
    text = " ".join((PLAYBOOK / "everyone-wins-quota.md").read_text(encoding="utf-8").split())
    team = allocation.Hierarchy.from_table(
        pd.DataFrame(
            {
                "name": ["Company", "North", "South", "Ann", "Bo", "Cy"],
                "parent": ["", "Company", "Company", "North", "North", "South"],
                "history": [None, None, None, 300_000.0, 100_000.0, 200_000.0],
            }
        )
    )
    plan = allocation.allocate(team, 1_200_000, over_assignment={2: 0.05}, pins={"Bo": 180_000}, year=2026)
    table = plan.table.set_index("name")
    assert table.loc["North", "quota"] == 800_000
    assert table.loc["North", "people_quota"] == 840_000
    assert table.loc["Ann", "quota"] == 660_000
    assert (
        "so it carries 800,000. It hands out 5 % more: 840,000. Bo is pinned at 180,000, so Ann carries"
        in text
    )
    assert "660,000. Each step" in text


def test_figures_of_the_rule_laboratory_are_those_of_the_book() -> None:
    text = " ".join((PLAYBOOK / "everyone-wins-quota.md").read_text(encoding="utf-8").split())
    lab = plans.rule_laboratory(
        example_scenario(), team_sizes=(5, 10, 20, 80), improvements=(0.2,), trials=500
    )
    table = lab.table[lab.table["margin_is"] == "mean attainment of all"].set_index(["reps", "improvement"])
    for reps, by_luck, noticed in ((5, 75, 95), (10, 60, 95), (20, 37, 92), (80, 7, 89)):
        figure = "7–8 %" if reps == 80 else f"about {by_luck} %"
        assert f"| {reps} | {figure} | about {noticed} % |" in text
        assert table.loc[(reps, 0.0), "fires"] == pytest.approx(by_luck / 100, abs=0.06)
        assert table.loc[(reps, 0.2), "fires"] == pytest.approx(noticed / 100, abs=0.06)


@pytest.mark.parametrize(("quarters", "by_luck", "noticed"), [(3, 27, 76), (4, 11, 54)])
def test_a_longer_run_does_what_the_book_says(quarters: int, by_luck: int, noticed: int) -> None:
    text = " ".join((PLAYBOOK / "everyone-wins-quota.md").read_text(encoding="utf-8").split())
    assert f"{by_luck} %" in text
    assert f"{noticed} %" in text
    rule = plans.RaiseRule(quarters_in_a_row=quarters)
    lab = plans.rule_laboratory(
        example_scenario(), rule=rule, team_sizes=(10,), improvements=(0.2,), trials=500
    )
    fires = lab.table[lab.table["margin_is"] == rule.margin_is].set_index("improvement")["fires"]
    assert fires[0.0] == pytest.approx(by_luck / 100, abs=0.06)
    assert fires[0.2] == pytest.approx(noticed / 100, abs=0.06)


def test_book_on_real_data(real_data: Path) -> None:
    tables, quarter = crm.read(real_data / "maven_crm"), Quarter(2017, 3)
    overview = measures.overview(tables, quarter=quarter)
    found = book.values(example_scenario(), tables, quarter=quarter, overview=overview)
    text = rendered("pipeline-measures.md", found)
    assert "| Won value | USD 2,982,255 | – | 1,257 | USD 3,086,111 |" in text
    assert "Pipeline coverage" in text
    assert found["measure_mql_to_sql"] == "not in this export: the export has no leads"
    assert "MQL to SQL: not in this export: the export has no leads." in rendered("mql-to-sql.md", found)
    assert "7,635 opportunities" in str(found["export_note"])


# --- rendering ---------------------------------------------------------------------------------------------


def test_unknown_value_names_page_line_value_and_what_exists(tmp_path: Path) -> None:
    path = write(tmp_path, "Text.\n\n{{ quarter }}\n{{ team_win_rat }} and {{ other }}\n")
    with pytest.raises(ReportError) as error:
        book.render(path, {"quarter": "2026Q2", "team_win_rate": "20 %"})
    text = str(error.value)
    assert f"{path}, line 9: unknown value 'team_win_rat'; did you mean 'team_win_rate'?" in text
    assert f"{path}, line 9: unknown value 'other'\n" in text
    assert text.endswith("values that exist: 'quarter', 'team_win_rate'")


def test_unknown_value_in_a_branch_not_taken_is_an_error_too(tmp_path: Path) -> None:
    path = write(tmp_path, "{% if has_leads %}\n{{ nothing }}\n{% endif %}\n")
    with pytest.raises(ReportError, match="line 7: unknown value 'nothing'"):
        book.render(path, {"has_leads": False})


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("{{ quarter.year }}", "no attribute 'year'"),
        ("{{ quarter", "unexpected end of template"),
        ("{{ quarter | loud }}", "No filter named 'loud'"),
        ("{{ 1 // 0 }}", "by zero"),
        ("{{ quarter.__class__.__mro__ }}", "unsafe"),
        ("{% include 'other.md' %}", "no loader"),
    ],
)
def test_fault_in_a_placeholder_names_page_and_line(tmp_path: Path, fault: str, reason: str) -> None:
    path = write(tmp_path, f"One.\nTwo.\n{fault}\n")
    with pytest.raises(ReportError) as error:
        book.render(path, {"quarter": "2026Q2"})
    assert reason in str(error.value)
    assert re.match(re.escape(str(path)) + r", line [89]: ", str(error.value))


def test_lines_are_those_of_the_file_also_with_windows_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "hiring.md"
    path.write_bytes((HEAD + "One.\n{{ gone }}\n").replace("\n", "\r\n").encode())
    with pytest.raises(ReportError, match="line 7: unknown value 'gone'"):
        book.render(path, {"quarter": "2026Q2"})


@pytest.mark.parametrize(
    ("due", "foot"),
    [
        ("", "Revised every quarter."),
        ("review_by_quarter: 2026Q2\n", "Next revision by 2026Q2."),
        ("review_by_quarter: 2026-q1\n", "**Revision was due in 2026Q1**."),
    ],
)
def test_foot_of_a_page_says_who_keeps_it_and_until_when(tmp_path: Path, due: str, foot: str) -> None:
    path = write(tmp_path, "Text.\n", head=HEAD.replace("owner", f"{due}owner"))
    text = book.render(path, {"quarter": "2026Q2"})
    assert text == f"# Hiring\n\n*Ahead of need.*\n\nText.\n\n---\n\n*Owner: sales manager.* {foot}\n"


# --- the folder --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        ("", "the page has no head"),
        ("---\ntitle: Hiring\nsummary: Ahead.\n---\n", "owner is missing; it is required"),
        (HEAD.replace("Ahead of need.", "''"), "summary is ''"),
        (HEAD.replace("owner", "keeper"), "keeper is not a known field"),
        (HEAD.replace("owner", "review_by_quarter: soon\nowner"), "quarter is 'soon'"),
        ("---\ntitle: [\n---\n", "not valid YAML"),
    ],
)
def test_incomplete_head_is_refused(tmp_path: Path, head: str, reason: str) -> None:
    (tmp_path / "toc.yaml").write_text("pages: [hiring.md]", encoding="utf-8")
    path = write(tmp_path, "Text.\n", head=head)
    with pytest.raises(ReportError) as error:
        book.pages(tmp_path)
    assert str(path) in str(error.value)
    assert reason in str(error.value)


@pytest.mark.parametrize(
    ("toc", "reason"),
    [
        ("pages: [hiring.md]", "not listed: 'other.md'"),
        (
            "pages: [hiring.md, other.md, gone.md]",
            "pages[2] is 'gone.md'; the folder has 'hiring.md', 'other.md'",
        ),
        ("pages: [hiring.md, other.md, hiring.md]", "pages[2] is 'hiring.md', which stands twice"),
        ("pages: []", "pages is []"),
        ("- hiring.md", "expected a mapping"),
    ],
)
def test_wrong_table_of_contents_is_refused(tmp_path: Path, toc: str, reason: str) -> None:
    (tmp_path / "toc.yaml").write_text(toc, encoding="utf-8")
    for name in ("hiring.md", "other.md"):
        write(tmp_path, "Text.\n", name=name)
    with pytest.raises(ReportError) as error:
        book.pages(tmp_path)
    assert "toc.yaml" in str(error.value)
    assert reason in str(error.value)


def test_folder_without_a_book_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match=r"toc\.yaml: cannot be read"):
        book.pages(tmp_path)


def test_term_that_stands_twice_is_refused(tmp_path: Path) -> None:
    term = "{term: %s, polish: plan, russian: план, meaning: A target.}"
    text = f"terms: [{term % 'quota'}, {term % 'Quota'}]"
    (tmp_path / "terms.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ReportError, match=r"terms\[1\]\.term is 'Quota'; it stands twice"):
        book.read_terms(tmp_path)


# --- values ------------------------------------------------------------------------------------------------


def test_glossary_has_every_measure_and_every_term(with_data: Mapping[str, object]) -> None:
    text = rendered("glossary.md", with_data)
    for measure in measures.CATALOGUE.values():
        assert f"| {measure.label} | {measure.definition} | {measure.unit} | {measure.better} |" in text
    terms = book.read_terms(PLAYBOOK)
    for term in terms:
        assert f"| {term.term} | {term.meaning} | {term.polish} | {term.russian} |" in text
    names = " ".join(term.term for term in terms)
    for word in "funnel pipeline MQL SQL quota attainment OTE accelerator ramp coverage churn".split():
        assert word in names
    assert "win rate" in names
    assert all(re.search("[а-я]", term.russian) for term in terms)


def test_values_of_a_scenario(two_segments: Scenario, without_data: Mapping[str, object]) -> None:
    found = without_data
    assert found["stages_list"] == "SMB: cold → closing → won or lost; enterprise: opportunity → won or lost"
    assert rows(found["stages_table"]) == [
        ["cold", "not written down yet", "10 %", "12 %", "14 days", "pain"],
        ["closing (CRM: Offer)", "pain", "80 %", "80 %", "4 days", "no criteria yet"],
        ["opportunity", "They have a budget.", "3.0 %", "3.0 %", "140 days", "no criteria yet"],
    ]
    assert rows(found["leads_needed_table"]) == [
        ["cold", "lead", "100", "18 days"],
        ["closing", "opportunity", "13", "4 days"],
        ["opportunity", "opportunity", "334", "140 days"],
    ]
    assert "10 won deals are worth EUR 2.00m on average." in str(found["leads_needed_table"])
    assert rows(found["criteria_table"])[1] == ["next step", "Is a date agreed?", "not agreed yet"]
    assert rows(found["sources_table"]) == [["SMB", "website", "inbound, whole team", "130", "13"]]
    assert rows(found["team_table"]) == [["AE", "2", "none planned"], ["SDR", "0", "3 on 3 August 2026"]]
    assert found["cycle_by_segment"] == "SMB: 18 days; enterprise: 140 days"
    assert found["currency"] == "EUR"


def test_ramp_and_hiring_dates(without_data: Mapping[str, object]) -> None:
    ramp = rows(without_data["ramp_table"])
    assert ramp[0][0] == "AE"
    # 2 weeks of training, then 1/26 a week: the first month has weeks of 0, 0, 1/26, 2/26 and 3/26
    assert ramp[0][1] == "5 %"
    assert ramp[0][-1] == "100 %"
    assert set(ramp[1][1:]) == {"100 %"}
    # 26 weeks to 95 %, which begin 26 weeks before 1 April 2027; the decision is 8 weeks earlier
    assert rows(without_data["start_by_table"])[0] == [
        "AE",
        "26 weeks",
        "14 weeks",
        "6 August 2026",
        "1 October 2026",
    ]
    assert without_data["full_capacity_date"] == "1 April 2027"


def test_scenario_that_says_little_is_quoted_honestly() -> None:
    bare = Scenario.from_yaml(
        """
        name: bare
        currency: XXX
        calendar: {first_quarter: 2026Q1}
        segments:
          - name: all
            stages: [{name: opportunity, close_probability: 0, dwell_weeks: [1]}]
            sources: []
            deal_size: {mean: 1000, cv: 0}
        roles: [{name: AE}]
        reps: [{name: Rep Alpha, role: AE}]
        """
    )
    found = book.values(bare, quarter=QUARTER)
    assert found["criteria_table"] == "*The scenario lists no qualification criteria yet.*"
    assert found["sources_table"] == "*The scenario lists no lead sources yet.*"
    assert str(found["ramp_table"]).startswith("*No ramp is set")
    assert rows(found["leads_needed_table"]) == [
        ["opportunity", "opportunity", "no number is enough", "under a week"]
    ]
    for name in PAGES:
        assert rendered(name, found)


def test_measures_are_quoted_with_interval_and_sample_size(two_segments: Scenario) -> None:
    nan = math.nan
    columns = [
        "name",
        "label",
        "unit",
        "better",
        "value",
        "low",
        "high",
        "n",
        "note",
        "benchmark",
        "previous",
    ]
    overview = pd.DataFrame(
        [
            ["win_rate", "Win rate", "share", "higher", 0.6437, 0.635, 0.653, 4726, "", 0.6, 0.61],
            ["won_value", "Won value", "money", "higher", 1134672.0, nan, nan, 531, "a note", nan, nan],
            ["won_count", "Deals won", "count", "higher", 531.0, nan, nan, 531, "", nan, 500.0],
            ["leads", "Leads", "count", "higher", nan, nan, nan, 0, "the export has no leads", nan, nan],
            ["mql_count", "MQL", "count", "higher", nan, nan, nan, 0, "the export has no leads", nan, nan],
        ],
        columns=columns,
    )
    found = book.values(two_segments, quarter=QUARTER, overview=overview)
    assert found["measure_win_rate"] == "64.4 % (80 % interval 63.5 % to 65.3 %, n = 4,726)"
    assert found["measure_won_value"] == "EUR 1,134,672 (n = 531); a note"
    assert found["measure_won_count"] == "531"
    assert found["measure_leads"] == "not in this export: the export has no leads"
    assert rows(found["measures_table"]) == [
        ["Win rate", "64.4 %", "63.5 % to 65.3 %", "4,726", "61.0 %", "60.0 %"],
        ["Won value", "EUR 1,134,672", "–", "531", "–", "–"],
        ["Deals won", "531", "–", "531", "500", "–"],
    ]
    assert "- Won value: a note." in str(found["measures_table"])
    assert "- Leads, MQL: the export has no leads." in str(found["measures_table"])


def test_every_measure_of_the_catalogue_can_be_quoted(
    with_data: Mapping[str, object], without_data: Mapping[str, object]
) -> None:
    for name in measures.CATALOGUE:
        assert without_data[f"measure_{name}"] == "not known, because no CRM export was read"
        assert re.search(r"\d|not in this export: |not known, because ", str(with_data[f"measure_{name}"]))


def test_quota_figures(two_segments: Scenario) -> None:
    some = book.values(two_segments, quarter=QUARTER, quota={"expected_share": "67 %", "team_plan": "EUR 1m"})
    assert (some["expected_share"], some["team_plan"]) == ("67 %", "EUR 1m")
    assert some["over_assignment"] == "not computed, because the quota plan does not give it"
    with pytest.raises(ReportError, match="'glossary' cannot be a quota figure"):
        book.values(two_segments, quarter=QUARTER, quota={"glossary": "1"})


@settings(deadline=None, max_examples=60)
@given(
    st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1, max_size=40).filter(str.strip)
)
def test_names_of_users_stay_plain_text(name: str) -> None:
    scenario = Scenario.from_yaml(TWO_SEGMENTS).model_copy(update={"name": name})
    quoted = str(book.values(scenario, quarter=QUARTER)["scenario_name"])
    assert "{{" not in quoted
    shown = html.unescape(MarkdownIt().renderInline(quoted))
    assert shown == " ".join(name.split())


def test_hostile_names_do_not_break_tables(tmp_path: Path) -> None:
    text = TWO_SEGMENTS.replace("name: cold,", "name: 'a | <b>x</b> {{ y }} [z](w)',")
    found = book.values(Scenario.from_yaml(text), quarter=QUARTER)
    page = book.render(write(tmp_path, "{{ stages_table }}\n"), found)
    shown = MarkdownIt("commonmark").enable("table").render(page)
    assert "<td>a | &lt;b&gt;x&lt;/b&gt; {{ y }} [z](w)</td>" in shown
