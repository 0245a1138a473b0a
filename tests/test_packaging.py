"""The files that install the product say the same, and the wheel carries what a workspace needs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from salessim.documents import load_yaml
from salessim.errors import SalessimError

ROOT = Path(__file__).resolve().parents[1]

#: Packages with another name on conda-forge.
CONDA_NAMES = {"matplotlib-base": "matplotlib"}


@pytest.fixture(scope="module")
def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def ranges(requirements: list[str]) -> dict[str, SpecifierSet]:
    parsed = [Requirement(line) for line in requirements]
    return {canonicalize_name(one.name): one.specifier for one in parsed}


def locked() -> dict[str, list[Version]]:
    found: dict[str, list[Version]] = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if match := re.match(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==([^ ;\\]+)", line):
            found.setdefault(canonicalize_name(match[1]), []).append(Version(match[2]))
    return found


def test_conda_and_pip_ask_for_the_same(project: dict[str, object]) -> None:
    environment = load_yaml(
        (ROOT / "environment.yml").read_text(encoding="utf-8"), where="environment.yml", error=SalessimError
    )
    assert isinstance(environment, dict)
    plain = [line for line in environment["dependencies"] if isinstance(line, str)]
    by_pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    conda = ranges([line.replace(" ", "", 1) if " " in line else line for line in plain])
    conda = {CONDA_NAMES.get(name, name): specifier for name, specifier in conda.items()}
    assert str(conda.pop("python")) == project["requires-python"]
    conda.pop("pip")
    conda |= ranges([line for line in by_pip if not line.startswith("-e")])
    assert "-e ." in by_pip
    assert conda == ranges(project["dependencies"])  # type: ignore[arg-type]


def test_the_lock_pins_every_dependency_within_its_range(project: dict[str, object]) -> None:
    pins = locked()
    optional = project["optional-dependencies"]
    wanted = ranges([*project["dependencies"], *optional["dev"]])  # type: ignore[misc,index]
    assert set(wanted) - set(pins) == set()
    wrong = {
        name: (str(specifier), [str(v) for v in pins[name]])
        for name, specifier in wanted.items()
        if not all(specifier.contains(version, prereleases=True) for version in pins[name])
    }
    assert wrong == {}


def test_the_lock_is_hashed_and_names_no_registry() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "make lock" in text.splitlines()[1]
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links", text)
    entries = re.findall(r"^[A-Za-z0-9_.\[\]-]+==.*?(?=^\S|\Z)", text, flags=re.MULTILINE | re.DOTALL)
    assert len(entries) > 100
    assert all("--hash=sha256:" in entry for entry in entries)


def test_the_installer_in_the_makefile_is_the_locked_one() -> None:
    pinned = re.search(r"^UV\s*:=\s*uv==(\S+)", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    assert pinned
    assert locked()["uv"] == [Version(pinned[1])]


def test_every_import_is_a_declared_dependency(project: dict[str, object]) -> None:
    import ast
    from importlib.metadata import packages_distributions

    owners = packages_distributions()
    declared = set(ranges(project["dependencies"]))  # type: ignore[arg-type]
    undeclared = set()
    for path in (ROOT / "salessim").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names.append(node.module)
            for name in (name.split(".")[0] for name in names):
                if name != "salessim" and name not in sys.stdlib_module_names:
                    found = {canonicalize_name(owner) for owner in owners[name]}
                    if not found & declared:
                        undeclared.add(name)
    assert undeclared == set()


def test_every_dependency_has_its_reason(project: dict[str, object]) -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    names = [Requirement(line).name for line in project["dependencies"]]  # type: ignore[attr-defined]
    optional = project["optional-dependencies"]
    names += [Requirement(line).name for line in optional["dev"]]  # type: ignore[index]
    assert [name for name in names if f"`{name}`" not in text] == []


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built and unpacked into a folder of its own."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, text=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(installed: Path, *words: str, at: Path) -> subprocess.CompletedProcess[str]:
    code = f"import sys; sys.path.insert(0, {str(installed)!r}); from salessim.cli import main; main()"
    command = [sys.executable, "-c", code, *words]
    return subprocess.run(command, cwd=at, capture_output=True, text=True, check=False, timeout=280)


def test_the_wheel_carries_notebooks_playbook_and_library(installed: Path) -> None:
    for wanted in (
        "_workspace/notebooks/01-pipeline.ipynb",
        "_workspace/playbook/toc.yaml",
        "library/example/scenario.yaml",
        "library/example/crm/opportunities.csv",
        "library/scenario.schema.json",
        "crm/maps/maven_crm.yaml",
        "charts/salessim.mplstyle",
        "py.typed",
    ):
        assert (installed / "salessim" / wanted).is_file(), wanted
    assert not (installed / "tests").exists()


def test_a_workspace_from_the_wheel_renders_its_report(installed: Path, tmp_path: Path) -> None:
    """What a consultant does: init, then report, in a folder with spaces and letters of three alphabets."""
    workspace = tmp_path / "klient Łódź и Ко"
    made = run(installed, "init", str(workspace), at=tmp_path)
    assert made.returncode == 0, made.stderr
    assert (workspace / "notebooks" / "02-quota-plan.ipynb").is_file()
    report = workspace / "report.yaml"
    chosen = report.read_text(encoding="utf-8").replace(
        "chapters:  ", "chapters: [01-pipeline, 09-requalification]  "
    )
    report.write_text(chosen, encoding="utf-8")
    rendered = run(installed, "report", at=workspace)
    assert rendered.returncode == 0, rendered.stderr
    index = Path(rendered.stdout.strip().splitlines()[-1])
    assert index == workspace / "build" / "index.html"
    assert index.is_file()
    again = run(installed, "init", str(workspace), at=tmp_path)
    assert again.returncode == 2
    assert "is not empty" in again.stderr
    assert "Traceback" not in again.stderr
