"""The whole way: from an export to a finished report, on the example company and on real data."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from salessim.crm import read
from salessim.library import example_crm
from salessim.measures import CATALOGUE
from salessim.model import Scenario
from salessim.quarterly import render
from salessim.workspace import ReportSpec
from tests.publish.browser import check_site

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def example_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the example company, as `make report` builds it, in a folder of its own."""
    spec = ReportSpec.of(ROOT / "reports" / "2026Q2" / "report.yaml", changes={}, parameters={})
    out = tmp_path_factory.mktemp("example") / "raport za kwartał"
    return render(spec.model_copy(update={"out": str(out)}), progress=False).parent


@pytest.fixture(scope="session")
def real_report(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report on real data, as `salessim report --crm … --quarter 2017Q3` builds it, without the Sobol
    indices of chapter 4: they take as long as all other chapters, and the example's report has them."""
    out = tmp_path_factory.mktemp("real") / "отчёт"
    changes = {"crm": str(real_data / "maven_crm"), "quarter": "2017Q3", "out": str(out)}
    parameters = {"04-capacity": {"sobol_samples": 0}}
    return render(ReportSpec.of(None, changes=changes, parameters=parameters), progress=False).parent


def words(page: Path) -> str:
    """What a reader reads on a page."""
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", text)).split())


def content_pages(report: Path) -> list[Path]:
    made_by_sphinx = {"genindex.html", "search.html", "py-modindex.html"}
    pages = [path for path in report.rglob("*.html") if path.name not in made_by_sphinx]
    return [path for path in pages if "_static" not in path.parts]


# --- the example -------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_every_page_of_the_example_opens_offline(example_report: Path) -> None:
    assert check_site(example_report / "index.html", search_for="coverage") == []


def test_the_example_has_its_chapters_and_the_book(example_report: Path) -> None:
    names = {path.relative_to(example_report).as_posix() for path in content_pages(example_report)}
    names_of = (
        "01-pipeline",
        "02-quota-plan",
        "03-onboarding",
        "04-capacity",
        "05-structures",
        "06-pay-plan",
        "07-data-quality",
        "08-calibration",
        "09-requalification",
    )
    chapters = {f"notebooks/{name}.html" for name in names_of}
    book = {f"playbook/{path.stem}.html" for path in (ROOT / "playbook").glob("*.md")}
    assert len(book) >= 12
    assert names == chapters | book | {"index.html"}


def test_every_page_says_where_its_figures_come_from(example_report: Path) -> None:
    provenance = json.loads((example_report / "provenance.json").read_text(encoding="utf-8"))
    fingerprints = [file["sha256"][:12] for file in provenance["data_files"]]
    assert len(fingerprints) == 7
    for page in content_pages(example_report):
        text = words(page)
        assert "Where the figures come from" in text
        assert all(fingerprint in text for fingerprint in fingerprints)
        assert "Made-up example data" in text


def test_no_page_has_leftovers(example_report: Path) -> None:
    for page in content_pages(example_report):
        text = words(page)
        for leftover in ("{{", "}}", "{%", " nan ", " NaN ", "None ", "Traceback"):
            assert leftover not in text, f"{leftover!r} in {page.name}"


def test_every_chart_is_in_its_chapter(example_report: Path) -> None:
    """As many pictures as chart calls: a chart that the notebook forgot to show is missed."""
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(notebook, as_version=4).cells
        charts = sum(cell.source.startswith("charts.") for cell in cells if cell.cell_type == "code")
        page = (example_report / "notebooks" / f"{notebook.stem}.html").read_text(encoding="utf-8")
        pictures = re.findall(r'<img[^>]+src="[^"]+\.svg"[^>]*>', page)
        assert len(pictures) == charts, notebook.stem
        assert all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures)


def test_the_glossary_has_every_measure(example_report: Path) -> None:
    text = words(example_report / "playbook" / "glossary.html")
    assert [m.label for m in CATALOGUE.values() if m.label not in text] == []


def test_the_calibrated_scenario_of_the_report_can_be_read_again(example_report: Path) -> None:
    scenario = Scenario.load(example_report / "files" / "scenario.yaml")
    assert scenario.made_up
    assert len(scenario.reps) == 10


def test_the_quality_report_tells_of_every_kind_of_dirt_in_the_example() -> None:
    rules = set(read(example_crm()).quality.summary()["rule"])
    assert {
        "exact duplicate",
        "conflicting duplicate",
        "date not readable",
        "amount not readable",
        "closed deal without a close date",
        "closed before it was created",
        "won deal without an amount",
        "stale open deal",
        "open deal without an account",
        "open deal without an amount",
        "deal without a created date",
        "account not in the accounts table",
        "seller without any deal",
        "blanks around a value",
    } <= rules


def test_the_shipped_example_is_what_its_maker_makes() -> None:
    from salessim.library.company import example_export

    made = example_export()
    shipped = {path.name: path.read_text(encoding="utf-8") for path in example_crm().glob("*.csv")}
    assert made == shipped


def test_the_finished_example_in_the_repository_is_that_of_todays_notebooks(example_report: Path) -> None:
    """Renew it with: make example"""
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        kept = nbformat.read(ROOT / "reports" / "2026Q2" / notebook.name, as_version=4)
        fresh = nbformat.read(example_report / "notebooks" / notebook.name, as_version=4)
        assert spoken(kept) == spoken(fresh), notebook.stem


def spoken(notebook: nbformat.NotebookNode) -> list[str]:
    """Sources and Markdown outputs: what a chapter says (pictures differ in fine print between machines)."""
    said = [
        "".join(cell.source)
        for cell in notebook.cells
        if "injected-parameters" not in cell.metadata.get("tags", [])
    ]
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            said.append("".join(output.get("data", {}).get("text/markdown", "")))
    return said


# --- real data ---------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_every_page_on_real_data_opens_offline(real_report: Path) -> None:
    assert check_site(real_report / "index.html", search_for="quota") == []


@pytest.mark.parametrize(
    "figure",
    [
        "7,635 opportunities",
        "3,042 won for USD 7,203,038",
        "1,684 lost",
        "500 in Prospecting",
        "2,409 in Engaging",
        "64.4 % were won",
        "2017Q1 (incomplete data) 531 USD 1,134,672",
        "2017Q2 1,254 USD 3,086,111",
        "2017Q3 1,257 USD 2,982,255",
        "530 of 2,409 dated open deals",
    ],
)
def test_independent_figures_stand_in_the_report(real_report: Path, figure: str) -> None:
    assert figure in words(real_report / "notebooks" / "01-pipeline.html")


@pytest.mark.parametrize(
    "fault",
    [
        "GTXPro → GTX Pro (1,285 rows)",
        "technolgy → technology",
        "open deal without an account (1,345 rows",
        "cut off on the left",
    ],
)
def test_faults_of_the_data_stand_in_their_chapter(real_report: Path, fault: str) -> None:
    assert fault in words(real_report / "notebooks" / "07-data-quality.html")


def test_real_data_carry_no_banner_and_say_who_would_make_quota(real_report: Path) -> None:
    text = words(real_report / "index.html")
    assert "Made-up" not in text
    assert "68 % are expected to make in 2017Q4" in text


# --- papermill and JupyterLab ------------------------------------------------------------------------------


def test_papermill_runs_a_notebook_as_its_users_expect(real_data: Path, tmp_path: Path) -> None:
    import papermill

    papermill.execute_notebook(
        str(ROOT / "notebooks" / "02-quota-plan.ipynb"),
        str(tmp_path / "out.ipynb"),
        parameters={"crm": str(real_data / "maven_crm"), "quarter": "2017Q3"},
        kernel_name="python3",
        progress_bar=False,
        cwd=str(tmp_path),
    )
    text = "\n".join(spoken(nbformat.read(tmp_path / "out.ipynb", as_version=4)))
    assert "2017Q4" in text
    assert "30 is small" in text


def test_a_past_quarter_is_reported_as_it_was_seen_then(real_data: Path) -> None:
    """What the export knows beyond the quarter is set aside: deals that closed later are open again."""
    from salessim.briefing import prepare

    then = prepare(crm_folder=str(real_data / "maven_crm"), quarter="2017Q2")
    assert then.tables.as_of.isoformat() == "2017-06-30"
    assert then.upcoming == "2017Q3"
    assert then.tables.opportunities["closed"].max().date() <= then.tables.as_of
    assert (then.tables.opportunities["created"].dropna().dt.date <= then.tables.as_of).all()


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_a_failing_chapter_keeps_the_good_report(
    tmp_path: Path, write_export: Callable[[dict[str, str]], Path]
) -> None:
    """The first run is good; then a notebook breaks; then it is mended."""
    notebooks = tmp_path / "notebooks"
    notebooks.mkdir()
    chapter = notebooks / "03-onboarding.ipynb"
    shutil.copy(ROOT / "notebooks" / chapter.name, chapter)
    changes = {
        "quarter": "2026Q2",
        "out": str(tmp_path / "out"),
        "notebooks": str(notebooks),
        "pages": ("reading-the-report", "onboarding"),
    }
    spec = ReportSpec.of(None, changes=changes, parameters={})
    good = render(spec, progress=False).read_bytes()
    broken = nbformat.read(chapter, as_version=4)
    broken.cells.append(nbformat.v4.new_code_cell("1 / 0"))
    nbformat.write(broken, chapter)
    from salessim.errors import ReportError

    with pytest.raises(ReportError, match=r"03-onboarding.*cell \d+.*1 / 0(.|\n)*ZeroDivisionError"):
        render(spec, progress=False)
    assert (tmp_path / "out" / "index.html").read_bytes() == good
    partial = nbformat.read(tmp_path / "out-failed" / chapter.name, as_version=4)
    assert any("payroll" in text for text in spoken(partial))
    shutil.copy(ROOT / "notebooks" / chapter.name, chapter)
    assert render(spec, progress=False).is_file()
