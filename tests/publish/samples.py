"""Small notebooks and pages for the tests of publishing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import nbformat

from salessim.publish import Bundle, Chapter, Page, Provenance, Source

PARAMETERS = """\
quarter = "2017Q3"  # quarter that is reported
trials = 100  # simulated quarters
wanted_share = 0.675  # share of sellers who shall make quota
loud = False  # shout"""

CHART = """\
import sys
import matplotlib.pyplot as plt
import pandas as pd
print("a word on stderr", file=sys.stderr)
fig, ax = plt.subplots()
ax.barh(["cold lead", "closing deal"], [400, 60])
ax.set_title("Most leads go cold")
plt.show()"""

TABLE = """\
pd.DataFrame({"segment": ["SMB", "Enterprise"], "pipeline": ["USD 1,134,672", "USD 99"]})"""

MARKDOWN = """\
from IPython.display import Markdown
Markdown(f'''Quarter **{quarter}**, {trials} trials: $5 to $7 a deal.

| rep | attained |
| --- | --- |
| Żółw Łąka | 64.0 % |''')"""


def notebook(path: Path, cells: Sequence[str], *, parameters: str = PARAMETERS) -> Path:
    """Write a notebook; a cell that begins with '#:' is Markdown. The second cell holds the parameters."""
    made = []
    for text in cells:
        if text.startswith("#:"):
            made.append(nbformat.v4.new_markdown_cell(text.removeprefix("#:").strip()))
        else:
            made.append(nbformat.v4.new_code_cell(text))
    head = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = nbformat.v4.new_notebook(
        cells=[*made[:1], head, *made[1:]],
        metadata={"kernelspec": kernel, "language_info": {"name": "python"}},
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(content, path)
    return path


def provenance(*, made_up: bool = True) -> Provenance:
    """Provenance with one of each."""
    return Provenance(
        data_files=(Source.of("sales_pipeline.csv", b"deals", records=8800),),
        scenario=Source.of("scenario.yaml", "name: example"),
        plan=Source.of("plan & <quota>.yaml", "name: everyone-wins"),
        seed=7,
        trials=2000,
        as_of=date(2017, 12, 31),
        made_up=made_up,
    )


def bundle(
    *notebooks: Path,
    pages: Sequence[tuple[Path, str]] = (),
    parameters: dict[str, str | int | float | bool] | None = None,
    made_up: bool = True,
) -> Bundle:
    """A report of these notebooks and pages."""
    return Bundle(
        title="Quarterly sales report",
        quarter="2017Q3",
        chapters=tuple(Chapter(path, parameters or {}) for path in notebooks),
        pages=tuple(Page(source=path, text=text) for path, text in pages),
        front_page="**The team won 64 % of the deals it closed.**",
        provenance=provenance(made_up=made_up),
        extra_files={"scenario.yaml": "name: example\n", "data quality.csv": b"rule,rows\n"},
    )


def full(folder: Path, *, made_up: bool = True) -> Bundle:
    """A report with a chart, tables, and pages that link to each other."""
    first = notebook(
        folder / "notebooks" / "01-pipeline.ipynb",
        [
            "#: # Pipeline: 64 % are won\n\nSee the [glossary](../playbook/glossary.md#win-rate).",
            CHART,
            "#: ## By segment",
            TABLE,
            MARKDOWN,
        ],
    )
    second = notebook(
        folder / "notebooks" / "02-quota-plan.ipynb", ["#: # Quota plan", "print(wanted_share)"]
    )
    glossary = (
        "# Glossary\n\n## Win rate\n\nWon ÷ created, see [the chapter](../notebooks/01-pipeline.ipynb).\n"
    )
    rhythm = "# Meeting rhythm\n\nBegin with the [glossary](glossary.md). A deal is worth $5, not $7.\n"
    return bundle(
        first,
        second,
        pages=[
            (folder / "playbook" / "meeting-rhythm.md", rhythm),
            (folder / "playbook" / "glossary.md", glossary),
        ],
        parameters={"quarter": "2018Q1", "trials": 250},
        made_up=made_up,
    )
