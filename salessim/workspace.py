"""A client's workspace: the folder that ``salessim init`` lays out, and the ``report.yaml`` in it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, Strict, field_validator, model_validator

from salessim.documents import Part, load_yaml, read_text, validated
from salessim.errors import ParameterError, WorkspaceError, listed
from salessim.periods import Quarter

__all__ = ["EXAMPLE", "ReportSpec", "init", "templates"]

#: Value of ``crm`` that stands for the shipped, made-up example company.
EXAMPLE = "example"

PACKAGE = Path(__file__).parent

Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]

#: What the shipped library holds for a workspace: its place there, and in the workspace.
EXAMPLES = {
    "example/scenario.yaml": "scenarios/example.yaml",
    "example/plan.yaml": "plans/example.yaml",
    "pay/50-50-accelerator.yaml": "plans/pay-example.yaml",
}


class ReportSpec(Part):
    """What ``report.yaml`` says: which quarter, from which data, with which chapters and pages.

    Relative paths are relative to the file they stand in. An empty value leaves the choice to the program.

    >>> spec = ReportSpec(quarter="2017q3", crm="export")
    >>> spec.quarter, spec.seed, spec.trials
    ('2017Q3', 1, 10000)
    """

    title: Annotated[str, Field(min_length=1)] = "Quarterly sales report"
    """Title on the first page."""
    quarter: str
    """Quarter that is reported, such as 2026Q2."""
    crm: Annotated[str, Field(min_length=1)] = EXAMPLE
    """CRM export: folder, file, database URL, or a crm.yaml; 'example' is the shipped, made-up company."""
    column_map: str = ""
    """Name of a shipped column map, or path of your own (.yaml); empty: detected from the headers."""
    as_of: date | None = None
    """Day the export was taken; empty: the latest day in it."""
    scenario: str = ""
    """Path of a scenario; empty: calibrated from the CRM export."""
    plan: str = ""
    """Path of a quota plan; empty: the recommended one."""
    pay_plan: str = ""
    """Path of a pay plan (.yaml) or name of a shipped one; empty: a 50/50 plan stands in."""
    evidence: str = ""
    """Path of the audit sheet that the team filled in (.xlsx, .csv); empty: the evidence in the export."""
    engine: Literal["auto", "exact", "thinning"] = "auto"
    """How the quarter is computed; auto: exactly where that is valid, else by simulation."""
    seed: Annotated[int, Strict(), Field(ge=0)] = 1
    """Seed of the simulation: the same seed gives the same report."""
    trials: Annotated[int, Strict(), Field(ge=100, le=1_000_000)] = 10_000
    """Simulated horizons behind every range and probability."""
    out: Annotated[str, Field(min_length=1)] = "build"
    """Folder of the finished report; an earlier report there is replaced."""
    notebooks: str = ""
    """Folder of the notebooks; empty: 'notebooks' beside this file, else the shipped ones."""
    playbook: str = ""
    """Folder of the sales book; empty: 'playbook' beside this file, else the shipped one."""
    chapters: tuple[str, ...] = ()
    """Names of notebooks, in the order of the report; empty: all in the folder."""
    pages: tuple[str, ...] = ()
    """Names of book pages; empty: the whole book."""
    parameters: Mapping[str, Mapping[str, str | int | float | bool]] = Field(default_factory=dict)
    """Parameters of single chapters: name of the notebook, then name and value."""
    benchmarks: Mapping[str, Number] = Field(default_factory=dict)
    """Your own benchmark per measure, shown beside its value; shares are fractions."""

    @field_validator("quarter", mode="before")
    @classmethod
    def _is_a_quarter(cls, value: object) -> str:
        try:
            return str(Quarter.parse(str(value)))
        except ParameterError as error:
            raise ValueError(str(error)) from None

    @model_validator(mode="before")
    @classmethod
    def _empty_is_left_out(cls, data: object) -> object:
        # `scenario:` with nothing behind it is None in YAML, and means the same as leaving the line out
        if isinstance(data, Mapping):
            return {key: value for key, value in data.items() if value is not None and value != ""}
        return data

    @classmethod
    def load(cls, path: str | Path) -> ReportSpec:
        """Read a ``report.yaml``; its paths come back absolute (see :meth:`resolved`).

        WorkspaceError where the file cannot be read; ParameterError with file, field, value and what is
        allowed where it says something else than this class describes.
        """
        text = read_text(path, error=WorkspaceError)
        data = load_yaml(text, where=str(path), error=ParameterError)
        spec = validated(cls, data, where=str(path), error=ParameterError)
        return spec.resolved(Path(path).resolve().parent, where=str(path))

    @classmethod
    def of(
        cls,
        path: str | Path | None,
        *,
        changes: Mapping[str, object],
        parameters: Mapping[str, Mapping[str, str | int | float | bool]],
    ) -> ReportSpec:
        """A report file with what the command line says instead.

        Args:
            path: report file; None takes ``report.yaml`` of the current folder where there is one, else the
                defaults.
            changes: fields that replace those of the file; relative paths start from the current folder.
            parameters: parameters of single chapters, added to those of the file.

        Raises:
            ParameterError, WorkspaceError: as in :meth:`load`; faults in the changes name the command line.
        """
        here = Path.cwd()
        if path is None and (here / "report.yaml").is_file():
            path = "report.yaml"
        written = cls.load(path).model_dump() if path is not None else {}
        own: Mapping[str, Mapping[str, object]] = written.get("parameters", {})
        merged = {name: {**own.get(name, {}), **parameters.get(name, {})} for name in [*own, *parameters]}
        data = {**written, **changes, "parameters": merged}
        if "quarter" not in data:
            raise ParameterError("command line: give --quarter, or --report with a report file")
        return validated(cls, data, where="command line", error=ParameterError).resolved(
            here, where="command line"
        )

    def resolved(self, folder: Path, *, where: str) -> ReportSpec:
        """The same report with absolute paths, folders filled in, and chapters and pages checked.

        Args:
            folder: what relative paths are relative to.
            where: name of the file, or 'command line', for messages.

        Returns:
            A ReportSpec in which ``chapters`` are paths of all chosen notebooks; ``pages`` stay names, and
            empty for the whole book.

        Raises:
            ParameterError: a chapter or page that is not there; names those that are.
        """

        def absolute(path: str) -> str:
            return str((folder / Path(path).expanduser()).resolve()) if path else ""

        def or_shipped(path: str, name: str, shipped: Path) -> Path:
            return Path(absolute(path) or (folder / name if (folder / name).is_dir() else shipped))

        shipped_notebooks, shipped_playbook = templates()
        notebooks = or_shipped(self.notebooks, "notebooks", shipped_notebooks)
        playbook = or_shipped(self.playbook, "playbook", shipped_playbook)
        own_map, own_pay = (
            name.lower().endswith((".yaml", ".yml")) for name in (self.column_map, self.pay_plan)
        )
        chapters = _chosen(self.chapters, notebooks, "chapters", ".ipynb", where)
        pages = _chosen(self.pages, playbook, "pages", ".md", where) if self.pages else []
        return self.model_copy(
            update={
                "crm": self.crm if self.crm == EXAMPLE or "://" in self.crm else absolute(self.crm),
                "column_map": absolute(self.column_map) if own_map else self.column_map,
                "scenario": absolute(self.scenario),
                "plan": absolute(self.plan),
                "pay_plan": absolute(self.pay_plan) if own_pay else self.pay_plan,
                "evidence": absolute(self.evidence),
                "out": absolute(self.out),
                "notebooks": str(notebooks),
                "playbook": str(playbook),
                "chapters": tuple(str(path) for path in chapters),
                "pages": tuple(path.stem for path in pages),
            }
        )


def _chosen(names: tuple[str, ...], folder: Path, field: str, ending: str, where: str) -> list[Path]:
    """Find the named files in a folder; all of them where no name is given."""
    there = {path.stem: path for path in sorted(folder.glob(f"*{ending}"))}
    stems = [Path(name).name.removesuffix(ending) for name in names]
    for index, (name, stem) in enumerate(zip(names, stems, strict=True)):
        if stem not in there:
            raise ParameterError(
                f"{where}: {field}[{index}] is '{name}'; {folder} has {listed(list(there), most=30)}"
            )
    return [there[stem] for stem in stems] if names else list(there.values())


def templates() -> tuple[Path, Path]:
    """The folders of the shipped notebooks and the shipped sales book, from a wheel or from the repository.

    WorkspaceError where the installation lacks them.

    >>> [folder.name for folder in templates()]
    ['notebooks', 'playbook']
    """
    root = PACKAGE / "_workspace"
    root = root if root.is_dir() else PACKAGE.parent
    folders = root / "notebooks", root / "playbook"
    for folder in folders:
        if not folder.is_dir():
            raise WorkspaceError(f"the installation is incomplete: no {folder}; install salessim again")
    return folders


def init(folder: str | Path) -> list[Path]:
    """Lay out a workspace for one client: notebooks, sales book, example scenario and plan, report file.

    Args:
        folder: a new or empty folder; parents are made.

    Returns:
        The files that were written, sorted.

    Raises:
        WorkspaceError: the folder is not empty (nothing is touched; the text says what is there), or
            cannot be written.
    """
    root = Path(folder).expanduser().resolve()
    notebooks, playbook = templates()
    try:
        root.mkdir(parents=True, exist_ok=True)
        if there := sorted(path.name for path in root.iterdir()):
            raise WorkspaceError(
                f"{root}: is not empty ({listed(there, most=5)}) and is left alone; "
                "name a new or an empty folder"
            )
        not_ours = shutil.ignore_patterns(".*", "__pycache__")  # checkpoints of an open Jupyter
        shutil.copytree(notebooks, root / "notebooks", ignore=not_ours)
        shutil.copytree(playbook, root / "playbook", ignore=not_ours)
        for shipped, place in EXAMPLES.items():
            (root / place).parent.mkdir(exist_ok=True)
            shutil.copyfile(PACKAGE / "library" / shipped, root / place)
        (root / "report.yaml").write_text(REPORT, encoding="utf-8")
        (root / "README.md").write_text(README, encoding="utf-8")
    except OSError as failure:
        raise WorkspaceError(
            f"{root}: cannot be written ({failure.strerror}: {failure.filename}); name another folder"
        ) from failure
    return sorted(path for path in root.rglob("*") if path.is_file())


REPORT = """\
# What the report is made of. Relative paths start from this file; `salessim report` renders it.

title: Quarterly sales report
quarter: 2026Q2               # the quarter that is reported

crm: example                  # your CRM export: folder, file, database URL or crm.yaml; 'example' is made up
column_map:                   # empty: detected; or a shipped name, or your own map (.yaml)
as_of:                        # day the export was taken, such as 2026-06-30; empty: the latest day in it

scenario:                     # empty: calibrated from the CRM export; or scenarios/example.yaml
plan:                         # empty: the recommended quota plan; or plans/example.yaml
pay_plan:                     # empty: a 50/50 plan; or plans/pay-example.yaml, or a shipped name
evidence:                     # audit sheet that the team filled in, such as audit.xlsx
engine: auto                  # exact where that is valid, else simulated; or exact, thinning
seed: 1                       # the same seed gives the same report
trials: 10000                 # simulated horizons behind every range and probability

out: build                    # the finished report; an earlier one is replaced

chapters:                     # empty: all notebooks; or names, such as [01-pipeline, 02-quota-plan]
pages:                        # empty: the whole sales book; or names of pages
parameters:                   # of single chapters, such as {03-onboarding: {extra_hires: 4}}
benchmarks:                   # your own norm per measure, such as {win_rate: 0.25}; shares are fractions
"""

README = """\
# Sales workspace

Everything for one company: the report of the quarter and the sales book beside it.

| where | what |
| --- | --- |
| `report.yaml` | which quarter, which data, which chapters |
| `notebooks/` | the chapters of the report; open them in JupyterLab to look deeper |
| `playbook/` | the sales book; plain Markdown, figures come from your data |
| `scenarios/`, `plans/` | examples to start your own from: quota plan and pay plan |

## First steps

1. `salessim report` renders the example as it is; open the `index.html` that it names.
2. Put your CRM export (CSV, Excel, Parquet or a zip) into a folder here. `salessim import FOLDER` shows what
   is read, from which CRM, and what is wrong with it. Write the folder's name behind `crm:` in
   `report.yaml`, choose the quarter, and run `salessim report` again.
3. Read the data quality first: what was rejected or looks odd, and what to do about it.
4. Edit stages, criteria and ramps in a scenario of your own, and pages in `playbook/`: they are yours.

Next quarter: change `quarter` and `out`, and render again. Earlier reports stay as they are.
"""
