"""Whole runs: the same twice, failing, killed, interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from salessim.errors import ReportError
from salessim.publish import Bundle, build, folder

from . import samples

ROOT = Path(__file__).parents[2]

PATIENCE = 60  # seconds; a run that has not got that far by then never will


def waited_for(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.05)
    return False


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # a zombie has ended and only waits to be counted
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def small(home: Path, title: str, code: str = "print(1)") -> Bundle:
    return samples.bundle(samples.notebook(home / "01-small.ipynb", [f"#: # {title}", code]))


def good_report(out: Path) -> Path:
    """Put a report in place without the trouble of making it."""
    out.mkdir(parents=True)
    (out / folder.PROVENANCE).write_text(json.dumps({"made_by": folder.MADE_BY}))
    (out / "index.html").write_text("Good")
    return out / "index.html"


def test_the_same_inputs_make_the_same_report(report: Path, bundle: Bundle, tmp_path: Path) -> None:
    again = build(bundle, out=tmp_path / "again", progress=False).parent
    first, second = (
        {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}
        for out in (report, again)
    )
    assert b"2017-07-14 02:40 UTC" in first["index.html"]
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_a_failing_notebook_leaves_the_good_report(tmp_path: Path) -> None:
    out = tmp_path / "build"
    index = good_report(out)
    with pytest.raises(ReportError, match=r"01-small\.ipynb, cell 3, '1/0'"):
        build(small(tmp_path, "Bad", "1/0"), out=out, progress=False)
    assert index.read_text() == "Good"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-small.ipynb", "build", "build-failed"]
    build(small(tmp_path, "Better"), out=out, progress=False)
    assert "Better" in index.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01-small.ipynb", "build"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs signals and /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_stopped_run_leaves_the_good_report_and_no_kernel(tmp_path: Path, how: signal.Signals) -> None:
    out, started = tmp_path / "raport żółty" / "build", tmp_path / "started"
    index = good_report(out)
    code = f"""\
import os, pathlib, time
pathlib.Path({str(started)!r} + "~").write_text(str(os.getpid()))
os.rename({str(started)!r} + "~", {str(started)!r})
time.sleep(600)"""
    samples.notebook(tmp_path / "01-small.ipynb", ["#: # Half", code])
    script = f"""\
from pathlib import Path
from salessim.publish import build
from tests.publish import samples
build(samples.bundle(Path({str(tmp_path / "01-small.ipynb")!r})), out=Path({str(out)!r}))"""
    run = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        start_new_session=True,
        # tests that run in the background of a shell ignore SIGINT, and so would every child of theirs
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert waited_for(started.exists)
    kernel = int(started.read_text())
    assert alive(kernel)
    run.send_signal(how)
    run.communicate(timeout=PATIENCE)
    assert run.returncode != 0
    assert waited_for(lambda: not alive(kernel))
    assert index.read_text() == "Good"
    left = [".build.building", "build"] if how == signal.SIGKILL else ["build"]
    assert sorted(path.name for path in out.parent.iterdir()) == left
    if how == signal.SIGKILL:
        build(small(tmp_path, "Next"), out=out, progress=False)
        assert "Next" in index.read_text()
        assert [path.name for path in out.parent.iterdir()] == ["build"]
