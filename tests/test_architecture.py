"""The rules of ARCHITECTURE.md that a machine can keep: layers, heavy imports, randomness, public names."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "salessim"

#: Layers from the bottom up: a module imports from its own layer's package or from below, never upward.
LAYERS = (
    ("errors", "__init__"),
    ("periods", "formats", "documents", "intervals", "spreadsheets"),
    ("model",),
    ("engine", "crm"),
    ("plans", "calibrate", "allocation"),
    ("pay", "studies"),
    ("library", "measures", "audit"),
    ("charts",),
    ("briefing", "book"),
    ("publish", "workspace"),
    ("quarterly",),
    ("cli",),
    ("__main__",),
)
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}

#: Heavy or delicate libraries and the only modules that may import them.
ONLY_IN = {
    "matplotlib": {"charts"},
    "ipywidgets": {"widgets"},
    "papermill": {"publish"},
    "nbconvert": {"publish"},
    "sphinx": {"publish"},
    "myst_nb": {"publish"},
    "jupyter_client": {"publish"},
    "python_calamine": {"crm"},
    "sqlalchemy": {"crm"},
    "xlsxwriter": {"spreadsheets"},
    "sklearn": {"calibrate"},
    "random": set(),
    "secrets": set(),
}
#: Modules that may draw random numbers.
RANDOM_IN = {"engine", "library"}


def modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if "_workspace" not in path.parts)


def top(path: Path) -> str:
    """Name of the module or package directly below `salessim` that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node.lineno
            if node.module == "salessim":
                for alias in node.names:
                    yield f"salessim.{alias.name}", node.lineno


def type_checking_lines(tree: ast.AST) -> set[int]:
    return {
        inner.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in node.body
    }


def test_every_module_has_its_layer() -> None:
    assert {top(path) for path in modules()} - set(HEIGHT) == set()


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_down_only(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    only_types = type_checking_lines(tree)
    here = top(path)
    wrong = []
    for name, line in imported(tree):
        if not name.startswith("salessim.") or line in only_types:
            continue
        target = name.split(".")[1]
        if target in HEIGHT and target != here and HEIGHT[target] >= HEIGHT[here]:
            wrong.append(f"line {line}: {here} imports {target}")
    assert wrong == []


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_and_randomness_have_one_place(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    here = top(path)
    for name, line in imported(ast.parse(text)):
        library = name.split(".")[0]
        assert library not in ONLY_IN or here in ONLY_IN[library], f"line {line}: {here} imports {library}"
    if here not in RANDOM_IN:
        assert "default_rng" not in text
        assert "np.random" not in text


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, salessim; print(' '.join(sorted(m for m in sys.modules if '.' not in m)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert not {"numpy", "pandas", "matplotlib", "scipy", "pydantic"} & set(loaded.split())


def test_the_command_line_answers_help_without_loading_the_simulator() -> None:
    code = (
        "import sys; from salessim import cli\n"
        "print(' '.join(m for m in ('numpy', 'pandas', 'matplotlib', 'sphinx') if m in sys.modules))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.split() == []


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_public_names_are_pinned_and_documented(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "a module says what it is for"
    defined = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")
    }
    name = ".".join(["salessim", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")
    public = set(importlib.import_module(name).__all__)
    undocumented = [n for n in public & set(defined) if not ast.get_docstring(defined[n])]
    assert undocumented == []
    methods = [
        f"{name}.{method.name}"
        for name in public & set(defined)
        if isinstance(defined[name], ast.ClassDef)
        for method in defined[name].body
        if isinstance(method, ast.FunctionDef)
        and not method.name.startswith("_")
        and not ast.get_docstring(method)
        and not overrides(defined[name])
    ]
    assert methods == []


def overrides(node: ast.AST) -> bool:
    """Methods of engines that fill in an interface are documented there."""
    return isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "Outcome" for base in node.bases)


NOTEBOOKS = sorted((PACKAGE.parent / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_hold_no_logic_and_no_output(path: Path) -> None:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tagged = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    for cell in code:
        assert cell.outputs == []
        assert cell.execution_count is None
        tree = ast.parse("".join(line for line in cell.source.splitlines(True) if not line.startswith("%")))
        for node in ast.walk(tree):
            assert not isinstance(
                node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While | ast.If | ast.Lambda
            ), f"logic in {path.name}: {ast.unparse(node)[:60]}"
    lines = tagged[0].source.splitlines()
    for number, line in enumerate(lines):
        if "=" in line and not line.startswith("#"):
            assert lines[number - 1].startswith("#"), f"parameter without a comment: {line}"
