"""Parameters are checked by name and type before anything runs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from salessim.errors import ParameterError
from salessim.publish import Chapter, build, parameters

from . import samples


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    return samples.notebook(tmp_path / "02-quota {plan}.ipynb", ["#: # Plan"])


def test_right_parameters_pass(plan: Path) -> None:
    parameters.check(
        [
            Chapter(plan, {"quarter": "2018Q1", "trials": 5, "wanted_share": 1, "loud": True}),
            Chapter(plan, {}),
        ]
    )


def test_defaults_are_read(plan: Path) -> None:
    assert parameters.defaults(plan) == {
        "quarter": "2017Q3",
        "trials": 100,
        "wanted_share": 0.675,
        "loud": False,
    }


@pytest.mark.parametrize(
    ("name", "value", "kind", "wanted"),
    [
        ("trials", True, "bool", "int"),
        ("trials", 100.0, "float", "int"),
        ("trials", "100", "str", "int"),
        ("trials", np.int64(100), "numpy.int64", "int"),
        ("wanted_share", np.float64(0.5), "numpy.float64", "float or int"),
        ("wanted_share", Decimal("0.5"), "decimal.Decimal", "float or int"),
        ("wanted_share", False, "bool", "float or int"),
        ("loud", 1, "int", "bool"),
        ("quarter", date(2017, 7, 1), "datetime.date", "str"),
        ("quarter", np.str_("2017Q3"), "numpy.str_", "str"),
        ("quarter", Path("x"), "pathlib.PosixPath", "str"),
        ("quarter", None, "NoneType", "str"),
        ("quarter", ("2017Q3",), "tuple", "str"),
    ],
)
def test_a_wrong_type_is_refused(plan: Path, name: str, value: object, kind: str, wanted: str) -> None:
    with pytest.raises(ParameterError) as refused:
        parameters.check([Chapter(plan, {name: value})])  # type: ignore[dict-item]
    text = str(refused.value)
    assert str(plan) in text
    assert f"parameter '{name}' is {value!r} ({kind})" in text
    assert f"it must be {wanted}" in text


def test_all_faults_are_named_at_once(plan: Path) -> None:
    with pytest.raises(ParameterError) as refused:
        parameters.check([Chapter(plan, {"quater": "2017Q3", "trials": "many"})])
    first, second = str(refused.value).splitlines()
    assert "there is no parameter 'quater' (value '2017Q3')" in first
    assert "the notebook has 'quarter', 'trials', 'wanted_share', 'loud'" in first
    assert "parameter 'trials' is 'many' (str); its default is 100" in second


def test_nothing_runs_and_nothing_is_written_when_a_parameter_is_wrong(tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    good = samples.notebook(tmp_path / "01.ipynb", ["#: # One", f"open({str(marker)!r}, 'w')"])
    bundle = samples.bundle(good, parameters={"quater": "2017Q3"})
    with pytest.raises(ParameterError):
        build(bundle, out=tmp_path / "build")
    assert not marker.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01.ipynb"]


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("trials = 100  # more = less noise", "cannot read the parameter 'trials'; write one 'name = value"),
        ("trials: int = 100  # more = less noise", "cannot read the parameter 'trials'"),
        (
            "trials = 10 * 10",
            "the default of parameter 'trials' is 10 \\* 10; write a plain str, int, float or bool",
        ),
        ("trials = None", "the default of parameter 'trials' is None"),
        ("trials = [1, 2]", "the default of parameter 'trials' is \\[1, 2\\]"),
        ("trials = ", "cannot be read as a notebook \\(SyntaxError"),
    ],
)
def test_a_parameters_cell_that_papermill_cannot_read_is_refused(
    tmp_path: Path, cell: str, message: str
) -> None:
    path = samples.notebook(tmp_path / "n.ipynb", ["#: # N"], parameters=cell)
    with pytest.raises(ParameterError, match=message):
        parameters.defaults(path)


def test_what_is_no_notebook_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"gone\.ipynb: there is no such notebook"):
        parameters.defaults(tmp_path / "gone.ipynb")
    (tmp_path / "broken.ipynb").write_text("{")
    with pytest.raises(ParameterError, match=r"broken\.ipynb: cannot be read as a notebook \(NotJSONError"):
        parameters.defaults(tmp_path / "broken.ipynb")
