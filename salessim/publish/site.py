"""Bind executed notebooks and book pages into one site with Sphinx that needs no network and no server."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import fontpkg
import nbformat

from salessim.errors import ReportError
from salessim.publish.bundle import Bundle, Source
from salessim.publish.folder import MADE_BY, PROVENANCE, Work

__all__ = ["FILES", "NOTEBOOKS", "PLAYBOOK", "write"]

#: Folders of the site; they mirror those of a workspace, so that links between pages hold in both.
NOTEBOOKS, PLAYBOOK, FILES = "notebooks", "playbook", "files"

PACKAGE = Path(__file__).parent

FONT_WEIGHTS = (400, 500, 600)

_LINK = re.compile(r"(?P<image>!?)\[(?P<words>[^\]]*)\]\((?P<target>[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")


def write(bundle: Bundle, *, work: Work) -> None:
    """Write the site into ``work.report``, from the executed notebooks in ``work.source``.

    ReportError where Sphinx has anything to complain about, or where a page would load something from the
    network; names page, line and cause.
    """
    _write_sources(bundle, work=work)
    _run_sphinx(bundle, work=work)
    _tidy(work.report)
    for chapter in bundle.chapters:
        name = f"{NOTEBOOKS}/{chapter.name}.ipynb"
        shutil.copyfile(work.source / name, work.report / name)
    for name, content in bundle.extra_files.items():
        path = work.report / FILES / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (work.report / PROVENANCE).write_text(_provenance(bundle), encoding="utf-8")
    _refuse_network(work.report)


def _tidy(report: Path) -> None:
    """Remove what Sphinx and its theme leave behind and no reader needs."""
    for leftover in (".buildinfo", "objects.inv", "_static/webpack-macros.html"):
        (report / leftover).unlink(missing_ok=True)
    shutil.rmtree(report / "_sources", ignore_errors=True)
    for source_map in (report / "_static").rglob("*.map"):
        source_map.unlink()  # two megabytes for developers of the theme


def _write_sources(bundle: Bundle, *, work: Work) -> None:
    present = {f"{NOTEBOOKS}/{chapter.name}.ipynb" for chapter in bundle.chapters}
    present |= {f"{PLAYBOOK}/{page.name}.md" for page in bundle.pages}
    for chapter in bundle.chapters:
        path = work.source / NOTEBOOKS / f"{chapter.name}.ipynb"
        notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
        _strip(notebook)
        for cell in notebook.cells:
            if cell.cell_type == "markdown":
                cell.source = _with_links(
                    cell.source, home=chapter.notebook, at=path, present=present, work=work
                )
        nbformat.write(notebook, path)  # type: ignore[no-untyped-call]
    (work.source / PLAYBOOK).mkdir(exist_ok=True)
    for page in bundle.pages:
        path = work.source / PLAYBOOK / f"{page.name}.md"
        text = _with_links(page.text, home=page.source, at=path, present=present, work=work)
        path.write_text(text, encoding="utf-8")
    (work.source / "index.md").write_text(_index(bundle), encoding="utf-8")
    settings = "\n".join(f"{name} = {value!r}" for name, value in _settings(bundle).items())
    (work.source / "conf.py").write_text(settings + "\n", encoding="utf-8")
    fonts = work.source / "_static" / "fonts"
    fonts.mkdir(parents=True)
    for weight in FONT_WEIGHTS:
        font = fontpkg.path("Fira Sans", weight=weight)
        shutil.copyfile(font, fonts / f"fira-sans-{weight}.ttf")
        shutil.copyfile(font.parents[1] / "LICENSE", fonts / "LICENSE.txt")


def _strip(notebook: nbformat.NotebookNode) -> None:
    """Drop what changes from run to run: times, random cell names, papermill's log."""
    notebook.metadata.pop("papermill", None)
    for number, cell in enumerate(notebook.cells, 1):
        cell.metadata.pop("papermill", None)
        cell.id = f"cell-{number}"


def _with_links(text: str, *, home: Path, at: Path, present: set[str], work: Work) -> str:
    """Make the links of a page hold in this report.

    A link to a chapter or page that exists but was not chosen becomes plain words; pictures and other
    files are brought along. What does not exist is left for Sphinx to report.
    """

    def mended(link: re.Match[str]) -> str:
        target = link["target"]
        if ":" in target or target.startswith("/"):
            return link[0]
        placed, original = (at.parent / target).resolve(), (home.parent / target).resolve()
        root = work.source.resolve()
        if not placed.is_relative_to(root) or placed.relative_to(root).as_posix() in present:
            return link[0]
        if original.suffix in {".md", ".ipynb"}:
            return link["words"] if original.is_file() else link[0]
        if original.is_file() and not placed.exists():
            placed.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(original, placed)
        return link[0]

    return _LINK.sub(mended, text)


def _index(bundle: Bundle) -> str:
    def contents(caption: str, names: Iterable[str]) -> str:
        return "\n".join(["```{toctree}", f":caption: {caption}", ":maxdepth: 1", "", *names, "```", ""])

    parts = [
        "---\nhtml_theme.sidebar_secondary.remove: true\n---",
        f"# {_plain(bundle.title)}",
        f'<p class="quarter">{html.escape(bundle.quarter)}</p>\n',
        bundle.front_page.strip() + "\n",
        contents("Report", (f"{NOTEBOOKS}/{chapter.name}" for chapter in bundle.chapters)),
    ]
    if bundle.pages:
        parts.append(contents("Sales book", (f"{PLAYBOOK}/{page.name}" for page in bundle.pages)))
    files = [f"{FILES}/{name}" for name in bundle.extra_files]
    files += [PROVENANCE, *(f"{NOTEBOOKS}/{chapter.name}.ipynb" for chapter in bundle.chapters)]
    links = "\n".join(
        f'<li><a href="{quote(name)}" download>{html.escape(name.removeprefix(FILES + "/"))}</a></li>'
        for name in files
    )
    parts.append(f'<div class="downloads">\n<p>Files behind the report</p>\n<ul>\n{links}\n</ul>\n</div>\n')
    return "\n\n".join(parts)


def _plain(text: str) -> str:
    """Escape what Markdown would take for markup."""
    return re.sub(r"([\\`*_\[\]<>#&$])", r"\\\1", text)


def _settings(bundle: Bundle) -> dict[str, object]:
    """The settings of Sphinx: plain values, written as ``conf.py`` into the work folder."""
    title = f"{bundle.title} · {bundle.quarter}"
    return {
        "project": bundle.title,
        "extensions": ["myst_nb"],
        "smartquotes": False,  # figures and names stand as they were written
        "templates_path": [str(PACKAGE / "templates")],
        # notebooks are already executed; readers see findings, not code
        "nb_execution_mode": "off",
        "nb_remove_code_source": True,
        "nb_output_stderr": "remove",
        "nb_render_markdown_format": "myst",
        "nb_ipywidgets_js": {},
        "nb_mime_priority_overrides": [("html", "text/latex", None)],  # would need MathJax from the network
        # without dollarmath: a dollar is money
        "myst_enable_extensions": ["attrs_block", "attrs_inline", "colon_fence", "deflist", "tasklist"],
        "myst_heading_anchors": 3,
        "html_theme": "pydata_sphinx_theme",
        "html_title": title,
        "html_static_path": [str(PACKAGE / "static"), "_static"],
        "html_css_files": ["report.css"],
        "html_js_files": ["report.js"],
        "html_favicon": str(PACKAGE / "static" / "favicon.svg"),
        "html_sidebars": {"**": ["contents.html"]},
        "html_copy_source": False,
        "html_show_sourcelink": False,
        "html_use_index": False,
        "html_domain_indices": False,
        "html_show_search_summary": False,  # fetches pages, which browsers refuse for files
        "html_theme_options": {
            "logo": {"text": html.escape(title)},
            "announcement": _BANNER if bundle.provenance.made_up else "",
            "navbar_center": [],
            "navbar_end": [],
            "primary_sidebar_end": [],
            "article_footer_items": ["provenance.html"],
            "secondary_sidebar_items": ["page-toc"],
            "footer_start": [],
            "footer_end": [],
            "search_bar_text": "Search the report and the sales book",
        },
        "html_context": {
            # charts are drawn on white; a report looks the same for everyone
            "default_mode": "light",
            "provenance": _shown_provenance(bundle),
        },
    }


_BANNER = "<strong>Made-up example data.</strong> No person, company or figure in this report is real."


def _shown_provenance(bundle: Bundle) -> dict[str, object]:
    """What the provenance box of every page says, as text."""
    origin = bundle.provenance

    def line(source: Source) -> dict[str, str]:
        records = "" if source.records is None else f"{source.records:,} records"
        return {"name": source.name, "records": records, "sha256": source.sha256, "short": source.short}

    return {
        "data_files": [line(source) for source in origin.data_files],
        "scenario": origin.scenario and line(origin.scenario),
        "plan": origin.plan and line(origin.plan),
        "seed": str(origin.seed),
        "pay_plan": origin.pay_plan and line(origin.pay_plan),
        "pay_trials": "" if origin.pay_trials is None else f"{origin.pay_trials:,}",
        "trials": "" if origin.trials is None else f"{origin.trials:,}",
        "as_of": str(origin.as_of) if origin.as_of else "",
        "version": origin.version,
        "made": origin.made,
        "made_up": origin.made_up,
    }


def _provenance(bundle: Bundle) -> str:
    data = {
        "made_by": MADE_BY,
        "title": bundle.title,
        "quarter": bundle.quarter,
        **asdict(bundle.provenance),
        "as_of": str(bundle.provenance.as_of) if bundle.provenance.as_of else None,
        "chapters": [
            {
                "notebook": chapter.notebook.name,
                "sha256": Source.of(chapter.name, chapter.notebook.read_bytes()).sha256,
                "parameters": dict(chapter.parameters),
            }
            for chapter in bundle.chapters
        ],
    }
    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _run_sphinx(bundle: Bundle, *, work: Work) -> None:
    # a process of its own: Sphinx changes locale, logging and docutils for the whole process
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-q", "-W", "--keep-going", "--no-color", "-E"]
    run = subprocess.run(
        [*command, "-d", str(work.root / "scratch" / "doctrees"), str(work.source), str(work.report)],
        cwd=work.scratch,
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    if run.returncode == 0:
        return
    written = {work.source / PLAYBOOK / f"{page.name}.md": page.source for page in bundle.pages}
    written |= {work.source / NOTEBOOKS / f"{c.name}.ipynb": c.notebook for c in bundle.chapters}
    text = run.stderr or run.stdout
    for place, original in written.items():
        text = text.replace(str(place), str(original))
    text = text.replace(str(work.source / "index.md"), "front page")
    lines = [line for line in text.splitlines() if line.strip()]
    raise ReportError(
        "the pages do not fit together; no report was made, an earlier one stays\n" + "\n".join(lines[:20])
    )


class _NetworkLoads(HTMLParser):
    """Collects what a page would load from the network when it is opened; links to click are no loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        loads = [values.get("src"), values.get("srcset"), values.get("poster"), values.get("data")]
        if tag == "link":
            loads.append(values.get("href"))
        self.found += [load for load in loads if load and re.match(r"\s*(https?:)?//", load)]


def _refuse_network(report: Path) -> None:
    faults = []
    for path in sorted(report.rglob("*.html")):
        parser = _NetworkLoads()
        parser.feed(path.read_text(encoding="utf-8"))
        faults += [f"{path.relative_to(report).as_posix()} loads {load}" for load in parser.found]
    if faults:
        raise ReportError(
            "a report must open without a network; take these out or bring them along as files\n"
            + "\n".join(faults[:20])
        )
