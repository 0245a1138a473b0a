"""A workspace is laid out once and read strictly."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import nbformat
import pytest

from salessim import workspace
from salessim.errors import ParameterError, WorkspaceError
from salessim.workspace import ReportSpec


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed wheel in small: two notebooks, two pages, a library."""
    package = tmp_path / "site-packages" / "salessim"
    for name in ("01-pipeline", "02-quota-plan"):
        path = package / "_workspace" / "notebooks" / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(), path)
    checkpoint = package / "_workspace" / "notebooks" / ".ipynb_checkpoints" / "01-pipeline-checkpoint.ipynb"
    checkpoint.parent.mkdir()
    checkpoint.write_text("{}")
    for name in ("stages", "glossary"):
        path = package / "_workspace" / "playbook" / f"{name}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    example = package / "library" / "example"
    example.mkdir(parents=True)
    (example / "scenario.yaml").write_text("name: example\n")
    (example / "plan.yaml").write_text("name: everyone-wins\n")
    pay = package / "library" / "pay"
    pay.mkdir()
    (pay / "50-50-accelerator.yaml").write_text("name: half and half\n")
    monkeypatch.setattr(workspace, "PACKAGE", package)
    return package


def written(folder: Path, text: str) -> Path:
    path = folder / "report.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_init_lays_out_a_workspace_that_reads_back(shipped: Path, tmp_path: Path) -> None:
    root = tmp_path / "Klient Żółw & Söhne"
    made = {path.relative_to(root).as_posix() for path in workspace.init(root)}
    assert made == {
        "README.md",
        "notebooks/01-pipeline.ipynb",
        "notebooks/02-quota-plan.ipynb",
        "plans/example.yaml",
        "plans/pay-example.yaml",
        "playbook/glossary.md",
        "playbook/stages.md",
        "report.yaml",
        "scenarios/example.yaml",
    }
    spec = ReportSpec.load(root / "report.yaml")
    assert spec.crm == workspace.EXAMPLE
    assert spec.out == str(root / "build")
    assert spec.chapters == (
        str(root / "notebooks" / "01-pipeline.ipynb"),
        str(root / "notebooks" / "02-quota-plan.ipynb"),
    )
    assert (spec.scenario, spec.plan, spec.column_map, spec.as_of) == ("", "", "", None)


def test_init_works_from_the_repository() -> None:
    assert [path.is_dir() for path in workspace.templates()] == [True, True]


def test_init_leaves_a_folder_in_use_alone(shipped: Path, tmp_path: Path) -> None:
    root = tmp_path / "client"
    root.mkdir()
    (root / "contract.txt").write_text("signed")
    with pytest.raises(WorkspaceError, match=r"not empty \('contract\.txt'\)"):
        workspace.init(root)
    assert [path.name for path in root.iterdir()] == ["contract.txt"]


def test_init_says_where_it_cannot_write(shipped: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be written"):
        workspace.init(tmp_path / "file" / "client")


def test_an_incomplete_installation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "PACKAGE", tmp_path / "salessim")
    with pytest.raises(WorkspaceError, match=r"incomplete: no .*notebooks"):
        workspace.templates()


def test_paths_start_from_the_report_file(shipped: Path, tmp_path: Path) -> None:
    home = tmp_path / "reports" / "2017 Q3"
    path = written(
        home,
        "quarter: 2017-Q3\ncrm: ../../export\ncolumn_map: ../my.yaml\nscenario: s.yaml\nplan: p.yaml\n"
        "as_of: 2017-12-31\nout: /elsewhere/report\nbenchmarks: {win_rate: 0.25, sales_cycle: 60}\n"
        "chapters: [02-quota-plan]\npages: [glossary.md]\n",
    )
    spec = ReportSpec.load(path)
    assert spec.quarter == "2017Q3"
    assert spec.crm == str(tmp_path / "export")
    assert spec.column_map == str(home.parent / "my.yaml")
    assert (spec.scenario, spec.plan) == (str(home / "s.yaml"), str(home / "p.yaml"))
    assert spec.out == str(Path("/elsewhere/report").resolve())
    assert spec.as_of == date(2017, 12, 31)
    assert spec.pages == ("glossary",)
    assert spec.benchmarks == {"win_rate": 0.25, "sales_cycle": 60}
    # no notebooks beside the file: the shipped ones
    assert spec.chapters == (str(shipped / "_workspace" / "notebooks" / "02-quota-plan.ipynb"),)


def test_a_shipped_column_map_is_a_name(shipped: Path, tmp_path: Path) -> None:
    assert (
        ReportSpec.load(written(tmp_path, "quarter: 2017Q3\ncolumn_map: maven_crm\n")).column_map
        == "maven_crm"
    )


def test_the_command_line_replaces_what_the_file_says(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "client"
    written(
        home,
        "quarter: 2017Q3\ncrm: export\nchapters: [02-quota-plan]\nseed: 5\n"
        "parameters: {02-quota-plan: {share: 0.7, loud: true}}\n",
    )
    monkeypatch.chdir(home)
    changes = {"quarter": "2017Q4", "out": "build/2017Q4", "trials": 500, "engine": "thinning"}
    for path in (None, "report.yaml"):
        spec = ReportSpec.of(
            path, changes=changes, parameters={"02-quota-plan": {"share": 1}, "x": {"a": "b"}}
        )
        assert (spec.quarter, spec.seed, spec.trials, spec.engine) == ("2017Q4", 5, 500, "thinning")
        assert (spec.crm, spec.out) == (str(home / "export"), str(home / "build" / "2017Q4"))
        assert spec.chapters == (str(shipped / "_workspace" / "notebooks" / "02-quota-plan.ipynb"),)
        assert spec.parameters == {"02-quota-plan": {"share": 1, "loud": True}, "x": {"a": "b"}}
        assert type(spec.parameters["02-quota-plan"]["share"]) is int
        assert type(spec.parameters["02-quota-plan"]["loud"]) is bool


def test_without_a_file_the_command_line_is_enough(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    spec = ReportSpec.of(None, changes={"quarter": "2017Q3", "crm": "export"}, parameters={})
    assert (spec.crm, spec.out) == (str(tmp_path / "export"), str(tmp_path / "build"))
    with pytest.raises(ParameterError, match="command line: give --quarter"):
        ReportSpec.of(None, changes={"crm": "export"}, parameters={})
    with pytest.raises(ParameterError, match="command line: trials is 5"):
        ReportSpec.of(None, changes={"quarter": "2017Q3", "trials": 5}, parameters={})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quater: 2017Q3\n", r"report\.yaml: quater is not a known field; allowed here: 'title', 'quarter'"),
        ("crm: example\n", r"quarter is missing"),
        ("quarter: Q3 2017\n", r"quarter is 'Q3 2017'; write year and quarter like '2017Q3'"),
        ("quarter: 2017Q3\nseed: 1.5\n", r"seed is 1\.5"),
        ("quarter: 2017Q3\nseed: true\n", r"seed is True"),
        ("quarter: 2017Q3\ntrials: 5\n", r"trials is 5; input should be greater than or equal to 100"),
        (
            "quarter: 2017Q3\nengine: magic\n",
            r"engine is 'magic'; input should be 'auto', 'exact' or 'thinning'",
        ),
        ("quarter: 2017Q3\nparameters: {01: 4}\n", r"parameters"),
        ("quarter: 2017Q3\nas_of: soon\n", r"as_of is 'soon'"),
        ("quarter: 2017Q3\nbenchmarks: {win_rate: high}\n", r"benchmarks\.win_rate is 'high'"),
        ("quarter: 2017Q3\nchapters: [03-magic]\n", r"chapters\[0\] is '03-magic'; .* has '01-pipeline'"),
        ("quarter: 2017Q3\npages: [stages, magic]\n", r"pages\[1\] is 'magic'; .* has 'glossary', 'stages'"),
        ("- quarter\n", r"expected a mapping"),
        ("quarter: [\n", r"not valid YAML"),
    ],
)
def test_a_wrong_report_file_is_refused(shipped: Path, tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ParameterError, match=message) as refused:
        ReportSpec.load(path)
    assert str(path) in str(refused.value)


def test_a_missing_report_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WorkspaceError, match=r"report\.yaml: cannot be read"):
        ReportSpec.load(tmp_path / "report.yaml")
