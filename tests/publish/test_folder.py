"""A report is replaced as a whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from salessim.errors import ReportError, WorkspaceError
from salessim.publish import folder


def write_report(out: Path, text: str) -> None:
    """Make a report by the means that :func:`build` uses."""
    with folder.replaced(out) as work:
        (work.report / folder.PROVENANCE).write_text(json.dumps({"made_by": folder.MADE_BY}))
        (work.report / "index.html").write_text(text)


def write_half_and_fail(work: folder.Work) -> None:
    (work.report / "index.html").write_text("half")
    raise ReportError("a notebook failed")


def content(out: Path) -> str:
    return (out / "index.html").read_text()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "Łódź {2017Q3} отчёт" / "build"


def test_a_report_is_made_and_replaced(out: Path) -> None:
    write_report(out, "first")
    (out / "stale.html").write_text("of the first report")
    write_report(out, "second")
    assert content(out) == "second"
    assert sorted(path.name for path in out.iterdir()) == ["index.html", folder.PROVENANCE]
    assert [path.name for path in out.parent.iterdir()] == ["build"]


def test_a_failing_run_leaves_the_good_report(out: Path) -> None:
    write_report(out, "good")
    with pytest.raises(ReportError), folder.replaced(out) as work:
        write_half_and_fail(work)
    assert content(out) == "good"
    assert [path.name for path in out.parent.iterdir()] == ["build"]


def test_what_a_killed_run_left_is_cleared(out: Path) -> None:
    write_report(out, "good")
    stale = out.parent / ".build.building" / "source"
    stale.mkdir(parents=True)
    (stale / "half.ipynb").write_text("{}")
    write_report(out, "new")
    assert content(out) == "new"
    assert [path.name for path in out.parent.iterdir()] == ["build"]


def test_a_run_killed_between_the_two_renames_loses_nothing(out: Path) -> None:
    write_report(out, "good")
    waiting = out.parent / ".build.building" / "previous"
    waiting.parent.mkdir()
    out.rename(waiting)
    with pytest.raises(ReportError), folder.replaced(out) as work:
        write_half_and_fail(work)
    assert content(out) == "good"


def test_two_runs_at_once_do_not_meet(out: Path) -> None:
    with folder.replaced(out) as work:
        (work.report / folder.PROVENANCE).write_text(json.dumps({"made_by": folder.MADE_BY}))
        (work.report / "index.html").write_text("first")
        with pytest.raises(WorkspaceError, match="another run is writing this report"):
            write_report(out, "second")
    assert content(out) == "first"


@pytest.mark.parametrize("provenance", [None, "{}", "[]", "not json", '{"made_by": "somebody"}'])
def test_a_folder_of_something_else_is_left_alone(out: Path, provenance: str | None) -> None:
    out.mkdir(parents=True)
    (out / "contract.txt").write_text("signed")
    if provenance is not None:
        (out / folder.PROVENANCE).write_text(provenance)
    with pytest.raises(WorkspaceError, match=r"holds something else than a report \('contract\.txt'"):
        write_report(out, "report")
    assert (out / "contract.txt").read_text() == "signed"
    assert [path.name for path in out.parent.iterdir()] == ["build"]


def test_an_empty_folder_is_welcome(out: Path) -> None:
    out.mkdir(parents=True)
    write_report(out, "report")
    assert content(out) == "report"


def test_a_place_that_cannot_be_written_is_refused_before_work_begins(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "build"):
        with pytest.raises(WorkspaceError, match="not a folder for a report"), folder.replaced(out):
            pytest.fail("work began")
    with (
        pytest.raises(WorkspaceError, match="name a folder of its own"),
        folder.replaced(Path(tmp_path.anchor)),
    ):
        pytest.fail("work began")


def test_a_read_only_place_is_refused_before_work_begins() -> None:
    # the kernel's own file system: nobody can make a folder there, not even root
    proc = Path("/proc")
    if not proc.is_dir():
        pytest.skip("no /proc on this system")
    with pytest.raises(WorkspaceError, match="cannot be written"), folder.replaced(proc / "report"):
        pytest.fail("work began")


def test_a_report_that_cannot_be_moved_stays(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_report(out, "good")
    rename = Path.rename

    def refuse_new(path: Path, target: Path) -> Path:
        if path.name == "report":
            raise PermissionError(13, "in use")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(WorkspaceError, match=r"cannot be replaced \(in use\); close programs"):
        write_report(out, "new")
    assert content(out) == "good"
