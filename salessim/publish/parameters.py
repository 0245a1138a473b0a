"""Notebook parameters are checked by name and type before anything runs.

papermill itself injects unknown names with only a log line, and turns what it does not know (NumPy scalars,
dates, paths) into text without a word; a report made that way looks right and is wrong.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path

from salessim.errors import ParameterError, listed
from salessim.publish.bundle import Chapter

__all__ = ["check", "defaults"]

ALLOWED = (str, int, float, bool)


def check(chapters: Sequence[Chapter]) -> None:
    """Refuse a parameter that its notebook does not have, or whose type is not that of the default.

    A whole number is accepted where the default is a fraction; True and False are no numbers.
    ParameterError names notebook, parameter, value and what is allowed, for all faults at once.
    """
    faults = []
    for chapter in chapters:
        known = defaults(chapter.notebook)
        for name, value in chapter.parameters.items():
            if name not in known:
                faults.append(
                    f"{chapter.notebook}: there is no parameter '{name}' (value {value!r}); "
                    f"the notebook has {listed(list(known), most=30)}"
                )
                continue
            wanted = type(known[name])
            # exact types: numpy.float64 and numpy.str_ are subclasses of float and str, and are not welcome
            if type(value) is not wanted and not (wanted is float and type(value) is int):
                also = " or int" if wanted is float else ""
                faults.append(
                    f"{chapter.notebook}: parameter '{name}' is {value!r} ({_type_name(value)}); "
                    f"its default is {known[name]!r}, so it must be {wanted.__name__}{also}"
                )
    if faults:
        raise ParameterError("\n".join(faults))


def defaults(notebook: Path) -> dict[str, str | int | float | bool]:
    """The parameters of a notebook with their default values, as papermill sees them.

    ParameterError where the file is no notebook, or where its parameters cell holds something that papermill
    cannot read: every parameter must show in ``papermill --help-notebook``.
    """
    import nbformat
    from papermill import inspect_notebook

    if not notebook.is_file():
        raise ParameterError(f"{notebook}: there is no such notebook")
    try:
        content = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
        # papermill formats paths with str.format; braces in a folder name are not meant for it
        inspected = inspect_notebook(str(notebook).replace("{", "{{").replace("}", "}}"))
        cell = next((c for c in content.cells if "parameters" in c.metadata.get("tags", [])), None)
        assigned = _assigned(cell.source) if cell else []
    except Exception as failure:  # whatever a damaged file brings up in nbformat, papermill or the parser
        raise ParameterError(f"{notebook}: cannot be read as a notebook ({_reason(failure)})") from failure
    if overlooked := [name for name in assigned if name not in inspected]:
        raise ParameterError(
            f"{notebook}: papermill cannot read the parameter {listed(overlooked)}; write one "
            "'name = value  # comment' per line, with no second '=' on the line"
        )
    found: dict[str, str | int | float | bool] = {}
    for name, parameter in inspected.items():
        try:
            value = ast.literal_eval(parameter["default"])
        except (ValueError, SyntaxError):
            value = None
        if type(value) not in ALLOWED:
            raise ParameterError(
                f"{notebook}: the default of parameter '{name}' is {parameter['default']}; "
                "write a plain str, int, float or bool"
            )
        found[name] = value
    return found


def _assigned(source: str) -> list[str]:
    """Names that a cell assigns on its top level."""
    names = []
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            names.append(statement.target.id)
    return names


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def _reason(failure: Exception) -> str:
    text = str(failure).strip().splitlines()
    return f"{type(failure).__name__}: {text[0]}" if text else type(failure).__name__
