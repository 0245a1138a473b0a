"""Notebooks run in this Python, apart from the user's settings, and say what failed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pytest

from salessim.errors import ReportError
from salessim.publish import Chapter, notebooks

from . import samples


class Runner:
    """Runs notebooks in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.into = home / "done"
        self.failed = home / "build-failed"

    def __call__(self, *paths: Path, progress: bool | None = False, **parameters: str) -> None:
        scratch = self.home / "scratch"
        scratch.mkdir()
        chapters = [Chapter(path, dict(parameters)) for path in paths]
        notebooks.run(chapters, into=self.into, scratch=scratch, failed=self.failed, progress=progress)

    def text(self, name: str) -> str:
        """What the code of a notebook printed."""
        cells = nbformat.read(self.into / f"{name}.ipynb", as_version=4).cells
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        return "".join(output.text for output in outputs if output.output_type == "stream")


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    home = tmp_path / "Zażółć {gęślą} jaźń"
    home.mkdir()
    return Runner(home)


def test_the_users_settings_do_not_change_a_report(
    run: Runner, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # another python3 is registered, IPython has a start-up file, and matplotlib is told to draw nowhere
    spec = run.home / "share" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "other", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(run.home / "share"))
    startup = run.home / "ipython" / "profile_default" / "startup" / "mine.py"
    startup.parent.mkdir(parents=True)
    startup.write_text("surprise = 1")
    monkeypatch.setenv("IPYTHONDIR", str(run.home / "ipython"))
    monkeypatch.setenv("MPLBACKEND", "Agg")
    cells = [
        "#: # One",
        "import os, sys\nprint(sys.executable, os.getcwd(), 'surprise' in globals(), quarter, sep='|')",
        samples.CHART,
    ]
    run(samples.notebook(run.home / "01.ipynb", cells), quarter='"2018Q1" {x} ż\\')
    executable, folder, surprise, quarter = run.text("01").splitlines()[0].split("|")
    assert executable == sys.executable
    assert folder == str(run.home / "scratch")
    assert surprise == "False"
    assert quarter == '"2018Q1" {x} ż\\'
    pictures = [
        output.data
        for cell in nbformat.read(run.into / "01.ipynb", as_version=4).cells
        for output in cell.get("outputs", [])
        if output.output_type == "display_data"
    ]
    assert [("image/svg+xml" in picture, "dc:date" in str(picture)) for picture in pictures] == [
        (True, False)
    ]
    assert capfd.readouterr().err == ""


def test_all_failures_are_named_with_cell_and_cause(run: Runner) -> None:
    bad = samples.notebook(run.home / "02-bad.ipynb", ["#: # Bad", "x = 1", "\n# divides\nx / 0", "x = 2"])
    dead = samples.notebook(run.home / "03-dead.ipynb", ["#: # Dead", "import os\nos._exit(1)"])
    good = samples.notebook(run.home / "01-good.ipynb", ["#: # Good", "print('fine')"])
    run.failed.mkdir()
    for name in ("01-good.ipynb", "theirs.txt"):
        (run.failed / name).write_text("of an earlier run")
    with pytest.raises(ReportError) as failed:
        run(good, bad, dead, quarter="2018Q1")
    text = str(failed.value)
    assert text.startswith("2 of 3 notebooks failed")
    assert f"{bad}, cell 4, '# divides':\n    ZeroDivisionError: division by zero" in text
    assert f"{dead}, cell 3, 'import os':\n    DeadKernelError: Kernel died" in text
    assert f"partial output: {run.failed / '02-bad.ipynb'}" in text
    assert sorted(path.name for path in run.failed.iterdir()) == [
        "02-bad.ipynb",
        "03-dead.ipynb",
        "theirs.txt",
    ]
    kept = nbformat.read(run.failed / "02-bad.ipynb", as_version=4)
    assert any(output.output_type == "error" for cell in kept.cells for output in cell.get("outputs", []))
    assert run.text("01-good") == "fine\n"


def test_without_a_terminal_there_is_a_line_per_notebook(
    run: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    run(samples.notebook(run.home / "01.ipynb", ["#: # One"]), progress=None)
    assert capsys.readouterr().err.startswith("01: done in ")


def test_progress_bars_come_to_an_end(run: Runner, capsys: pytest.CaptureFixture[str]) -> None:
    good = samples.notebook(run.home / "01-good.ipynb", ["#: # Good"])
    bad = samples.notebook(run.home / "02-bad.ipynb", ["#: # Bad", "1 / 0", "2"])
    with pytest.raises(ReportError):
        run(good, bad, progress=True, quarter="2018Q1")
    # two cells and the one with the parameters; of five, four were begun when the second failed
    last = capsys.readouterr().err.replace("\r", "\n").strip().splitlines()[-3:]
    assert any("01-good" in line and "3/3 cells, done in" in line for line in last)
    assert any("02-bad" in line and "3/5 cells, FAILED" in line for line in last)
