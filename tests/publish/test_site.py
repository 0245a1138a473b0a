"""Pages, links, provenance and looks of the site, from notebooks that were already executed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from salessim import __version__
from salessim.errors import ReportError
from salessim.publish import Bundle, site
from salessim.publish.folder import Work

from . import samples

Writer = Callable[[Bundle], Path]


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """Write a site without running anything: the notebooks are taken as executed."""

    def write(bundle: Bundle) -> Path:
        work = Work(tmp_path / "work")
        (work.source / site.NOTEBOOKS).mkdir(parents=True)
        work.scratch.mkdir()
        work.report.mkdir()
        for chapter in bundle.chapters:
            (work.source / site.NOTEBOOKS / chapter.notebook.name).write_bytes(chapter.notebook.read_bytes())
        site.write(bundle, work=work)
        return work.report

    return write


def pages(report: Path) -> dict[str, str]:
    return {path.relative_to(report).as_posix(): path.read_text() for path in sorted(report.rglob("*.html"))}


def test_every_page_tells_where_its_figures_come_from(report: Path) -> None:
    found = pages(report)
    assert sorted(found) == [
        "index.html",
        "notebooks/01-pipeline.html",
        "notebooks/02-quota-plan.html",
        "playbook/glossary.html",
        "playbook/meeting-rhythm.html",
        "search.html",
    ]
    bundle = samples.provenance()
    for name, text in found.items():
        assert "Made-up example data." in text, name
        for word in (
            "sales_pipeline.csv",
            "8,800 records",
            bundle.data_files[0].short,
            "scenario.yaml",
            "plan &amp; &lt;quota&gt;.yaml",
            "data as of 2017-12-31",
            "seed 7",
            "2,000 trials",
            f"salessim {__version__}",
            "UTC",
        ):
            assert word in text, (name, word)


def test_readers_see_findings_not_code(report: Path) -> None:
    text = (report / "notebooks" / "01-pipeline.html").read_text()
    assert "Pipeline: 64 % are won" in text
    assert "Quarter <strong>2018Q1</strong>, 250 trials: $5 to $7 a deal." in text
    assert "USD 1,134,672" in text
    assert "Żółw Łąka" in text
    assert ".svg" in text
    for hidden in ("import matplotlib", "wanted_share =", "a word on stderr"):
        assert hidden not in text
    assert "A deal is worth $5, not $7." in (report / "playbook" / "meeting-rhythm.html").read_text()


def test_the_bundle_carries_what_is_behind_it(report: Path) -> None:
    assert (report / "files" / "scenario.yaml").read_text() == "name: example\n"
    assert (report / "files" / "data quality.csv").read_bytes() == b"rule,rows\n"
    notebook = nbformat.read(report / "notebooks" / "01-pipeline.ipynb", as_version=4)
    nbformat.validate(notebook)
    assert "papermill" not in notebook.metadata
    assert any("injected-parameters" in cell.metadata.get("tags", []) for cell in notebook.cells)
    provenance = json.loads((report / "provenance.json").read_text())
    assert provenance["made_by"] == "salessim"
    assert provenance["as_of"] == "2017-12-31"
    assert provenance["data_files"][0]["records"] == 8800
    assert provenance["chapters"][0]["parameters"] == {"quarter": "2018Q1", "trials": 250}
    index = (report / "index.html").read_text()
    for link in (
        "files/scenario.yaml",
        "files/data%20quality.csv",
        "notebooks/01-pipeline.ipynb",
        "provenance.json",
    ):
        assert f'href="{link}"' in index


def test_real_data_carry_no_banner(tmp_path: Path, write: Writer) -> None:
    one = samples.notebook(tmp_path / "one.ipynb", ["#: # One"])
    exact = replace(samples.provenance(made_up=False), trials=None, plan=None)
    real = replace(samples.bundle(one), title="R&D <Sales> *Ł*", provenance=exact)
    found = pages(write(real))
    assert "made-up" not in "".join(found.values()).lower()
    assert "computed exactly, without simulation · salessim" in found["index.html"]
    assert "<h1>R&amp;D &lt;Sales&gt; *Ł*<a" in found["index.html"]
    assert found["notebooks/one.html"].count("R&amp;D &lt;Sales&gt; *Ł*") >= 2  # title bar of window and page
    # the theme does not escape the window title of the search page, where markup is text anyway
    assert "<Sales>" not in re.sub("<title>.*?</title>", "", "".join(found.values()), flags=re.DOTALL)


def test_a_page_that_was_not_chosen_becomes_plain_words_and_pictures_come_along(
    tmp_path: Path, write: Writer
) -> None:
    book = tmp_path / "book"
    one = samples.notebook(
        tmp_path / "notebooks" / "one.ipynb",
        ["#: # One\n\nSee [stages\nin the book](../book/stages.md#cold)."],
    )
    (book / "pictures").mkdir(parents=True)
    (book / "stages.md").write_text("# Stages")
    (book / "pictures" / "onion.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    )
    text = "# Rhythm\n\n[stages](stages.md), [one](../notebooks/one.ipynb) ![Onion](pictures/onion.svg)\n"
    found = pages(write(samples.bundle(one, pages=[(book / "rhythm.md", text)])))
    rhythm = found["playbook/rhythm.html"]
    assert "<p>stages, <a" in rhythm
    assert 'alt="Onion" src="../_images/onion.svg"' in rhythm
    # ../book/ is not where pages stand in a report; the words stay all the same
    assert "<p>See stages\nin the book.</p>" in found["notebooks/one.html"]


def test_all_that_does_not_fit_together_is_named(tmp_path: Path, write: Writer) -> None:
    one = samples.notebook(tmp_path / "one.ipynb", ["#: # One\n\n[gone](../playbook/gone.md)"])
    book = tmp_path / "book"
    faulty = [
        (book / "a.md", "# A\n\n[gone](gone.md)\n"),
        (book / "b.md", "# B\n\n[gone](a.md#nowhere)\n"),
        (book / "c.md", "# C\n\n![gone](gone.png)\n"),
        (book / "d.md", "no title\n"),
    ]
    with pytest.raises(ReportError) as refused:
        write(samples.bundle(one, pages=faulty))
    text = str(refused.value)
    assert text.startswith("the pages do not fit together")
    assert re.search(rf"{re.escape(str(one))}:\d+: WARNING: .*'\.\./playbook/gone\.md'", text)
    assert f"{book / 'a.md'}:3: WARNING: " in text
    assert re.search(rf"{re.escape(str(book / 'b.md'))}:3: WARNING: .*nowhere", text)
    assert f"{book / 'c.md'}:3: WARNING: image file not readable" in text
    assert "'playbook/d' that doesn't have a title" in text


def test_what_would_load_from_the_network_is_refused(tmp_path: Path, write: Writer) -> None:
    one = samples.notebook(tmp_path / "one.ipynb", ["#: # One\n\nA [link](https://example.org) is no load."])
    book = tmp_path / "book"
    faulty = [
        (book / "a.md", "# A\n\n<script src='https://example.org/track.js'></script>\n"),
        (book / "b.md", "# B\n\n```{math}\na = b\n```\n"),
    ]
    with pytest.raises(ReportError) as refused:
        write(samples.bundle(one, pages=faulty))
    first, *faults = str(refused.value).splitlines()
    assert first.startswith("a report must open without a network")
    assert faults[0] == "playbook/a.html loads https://example.org/track.js"
    assert [fault for fault in faults if "mathjax" in fault and fault.startswith("playbook/b.html")]
    assert not [fault for fault in faults if "one.html" in fault]


def test_a_report_needs_chapters_with_names_of_their_own(tmp_path: Path) -> None:
    one, other = tmp_path / "a" / "One.ipynb", tmp_path / "b" / "one.ipynb"
    with pytest.raises(ReportError, match="no chapter"):
        samples.bundle()
    for twice in ((one, other), (one, one)):
        with pytest.raises(ReportError, match="two notebooks have the same name"):
            samples.bundle(*twice)
    with pytest.raises(ReportError, match="two pages have the same name"):
        samples.bundle(one, pages=[(Path("a/x.md"), ""), (Path("b/x.md"), "")])


@pytest.mark.parametrize("name", ["../escape", "/etc/passwd", "a/../../b", "", "a\\b"])
def test_extra_files_stay_in_the_report(tmp_path: Path, name: str) -> None:
    good = samples.bundle(tmp_path / "one.ipynb")
    with pytest.raises(ReportError, match="write a plain file name"):
        replace(good, extra_files={name: "x"})
