"""Run the notebooks of a report through papermill, two at a time, and say which failed, where and why."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import papermill
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm
from traitlets.config import Config

from salessim.errors import ReportError
from salessim.publish.bundle import Chapter

__all__ = ["run"]

AT_ONCE = 2
IPYTHON = ".ipython"  # folder of IPython settings within the scratch folder

KERNEL_ENVIRONMENT = {
    # a user's MPLBACKEND=Agg would leave the report without a single chart
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYTHONHASHSEED": "0",  # the same order of sets in every run
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",  # a remark about debuggers does not belong on the user's terminal
}

#: Settings of IPython in place of the user's own profile, whose start-up files must not change a report.
KERNEL_SETTINGS = {
    "IPKernelApp": {"log_level": logging.CRITICAL},  # or every kernel that is asked to stop says so
    "HistoryManager": {"enabled": False},  # two kernels would wait for each other's history file
    "InlineBackend": {
        "figure_formats": ["svg"],  # sharp at any size
        # no date and no random names in the pictures: the same figures make the same file
        "print_figure_kwargs": {"bbox_inches": "tight", "metadata": {"Date": None}},
        "rc": {"svg.hashsalt": "salessim"},
    },
}

LINES_OF_CAUSE = 8


def run(
    chapters: Sequence[Chapter], *, into: Path, scratch: Path, failed: Path, progress: bool | None = None
) -> None:
    """Execute the notebooks of all chapters and write them, with outputs, into the folder ``into``.

    Args:
        chapters: notebooks with checked parameters; two run at a time, each in a kernel of this Python.
        into: folder for the executed notebooks; made if needed.
        scratch: existing folder in which the notebooks run.
        failed: folder that keeps the partial output of notebooks that fail; made if needed.
        progress: see :func:`salessim.publish.build`.

    Raises:
        ReportError: one or more notebooks failed; names each with cell and cause. All notebooks were tried.
    """
    into.mkdir(parents=True, exist_ok=True)
    _forget_earlier_failures(chapters, failed)
    profile = scratch / IPYTHON / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_kernel_config.json").write_text(json.dumps(KERNEL_SETTINGS), encoding="utf-8")
    kernels = _Kernels()
    shown = _Progress(chapters, show=progress)
    with _quiet(), ThreadPoolExecutor(AT_ONCE) as pool:
        jobs = [
            pool.submit(_execute, chapter, into=into, scratch=scratch, kernels=kernels, shown=shown)
            for chapter in chapters
        ]
        try:
            causes = [job.result() for job in jobs]
        except BaseException:  # Ctrl-C: neither kernels nor waiting notebooks may go on without us
            for job in jobs:
                job.cancel()
            kernels.stop()
            raise
        finally:
            shown.close()
    failures = [
        _kept(cause, partial=into / f"{chapter.name}.ipynb", failed=failed)
        for chapter, cause in zip(chapters, causes, strict=True)
        if cause
    ]
    if failures:
        raise ReportError(
            f"{len(failures)} of {len(chapters)} notebooks failed; no report was made, an earlier one stays"
            + "".join(f"\n{failure}" for failure in failures)
        )


def _execute(
    chapter: Chapter, *, into: Path, scratch: Path, kernels: _Kernels, shown: _Progress
) -> str | None:
    """Run one notebook; return None, or where and why it failed."""
    started = time.monotonic()
    number, first_line = 0, ""

    def on_cell_start(cell: nbformat.NotebookNode, cell_index: int) -> None:
        nonlocal number, first_line
        kernels.refuse_when_stopped()
        shown.reached(chapter, cell_index)
        # cells are counted as they stand in the user's notebook, without the one that papermill adds
        if "injected-parameters" not in cell.metadata.get("tags", []):
            number += 1
            first_line = next((line.strip() for line in cell.source.splitlines() if line.strip()), "")

    cause = None
    try:
        papermill.execute_notebook(
            _escaped(chapter.notebook),
            _escaped(into / f"{chapter.name}.ipynb"),
            parameters=dict(chapter.parameters),
            kernel_name="python3",
            language="python",
            progress_bar=False,
            # all that follows goes to nbclient; papermill's own `cwd` would move the whole process
            resources={"metadata": {"path": str(scratch)}},
            kernel_manager_class=kernels.manager,
            extra_arguments=[f"--ipython-dir={scratch / IPYTHON}"],
            config=Config({"KernelManager": {"transport_encryption": "auto"}}),
            record_timing=False,
            on_cell_start=on_cell_start,
        )
    except PapermillExecutionError as failure:
        cause = f"{failure.ename}: {failure.evalue}"
    except Exception as failure:  # the kernel died or did not start: nbclient and zmq raise many kinds
        cause = f"{type(failure).__name__}: {failure}"
    shown.finished(chapter, seconds=time.monotonic() - started, good=cause is None)
    if cause is None:
        return None
    # the end of a long message says most
    lines = "\n".join(f"    {line}" for line in cause.strip().splitlines()[-LINES_OF_CAUSE:])
    place = f"cell {number}, '{first_line[:80]}'" if number else "before its first cell"
    return f"{chapter.notebook}, {place}:\n{lines}"


def _escaped(path: Path) -> str:
    """Write a path for papermill, which formats paths with ``str.format``."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _kept(cause: str, *, partial: Path, failed: Path) -> str:
    """Put the partial output where the user finds it, and complete the message."""
    if not partial.is_file():
        return cause
    failed.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(partial, failed / partial.name)
    return f"{cause}\n    partial output: {failed / partial.name}"


def _forget_earlier_failures(chapters: Sequence[Chapter], failed: Path) -> None:
    """Remove partial outputs of an earlier run; other files in the folder are not ours."""
    for chapter in chapters:
        (failed / f"{chapter.name}.ipynb").unlink(missing_ok=True)
    with suppress(OSError):
        failed.rmdir()


class _Kernels:
    """The kernels of one run: this very Python, whatever is registered as ``python3``; and their end."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._managers: list[AsyncKernelManager] = []
        managers = self._managers
        spec = KernelSpec(**get_kernel_dict(), env=KERNEL_ENVIRONMENT)

        class ThisPython(AsyncKernelManager):
            def __init__(self, **settings: Any) -> None:
                super().__init__(**settings)
                managers.append(self)

            @property
            def kernel_spec(self) -> KernelSpec:
                return spec

        self.manager = ThisPython

    def refuse_when_stopped(self) -> None:
        if self._stopped.is_set():
            raise RuntimeError("the run was stopped")

    def stop(self) -> None:
        """End all kernels at once; the threads that wait for them come back by themselves."""
        self._stopped.set()
        for manager in self._managers:
            process = getattr(manager.provisioner, "process", None)
            if process is not None:
                process.kill()


class _Progress:
    """Tells how far each notebook is: bars on a terminal, else one line per finished notebook."""

    def __init__(self, chapters: Sequence[Chapter], *, show: bool | None) -> None:
        with_bars = sys.stderr.isatty() if show is None else show
        self._lines = show is None and not with_bars
        width = max(len(chapter.name) for chapter in chapters)
        self._bars: dict[str, tqdm[Any]] = {}
        for row, chapter in enumerate(chapters if with_bars else ()):
            self._bars[chapter.name] = tqdm(
                desc=chapter.name.ljust(width),
                # papermill adds the cell with the parameters
                total=_cells(chapter.notebook) + bool(chapter.parameters),
                position=row,
                file=sys.stderr,
                bar_format="{desc}  |{bar:30}| {n_fmt}/{total_fmt} cells{postfix}",
            )

    def reached(self, chapter: Chapter, cell_index: int) -> None:
        if bar := self._bars.get(chapter.name):
            bar.update(cell_index - bar.n)

    def finished(self, chapter: Chapter, *, seconds: float, good: bool) -> None:
        outcome = f"done in {seconds:.0f} s" if good else "FAILED"
        if bar := self._bars.get(chapter.name):
            bar.set_postfix_str(outcome, refresh=False)
            bar.update(bar.total - bar.n if good else 0)
            bar.refresh()
        elif self._lines:
            print(f"{chapter.name}: {outcome}", file=sys.stderr, flush=True)

    def close(self) -> None:
        for bar in self._bars.values():  # in the order of rows, or tqdm writes one over the other
            bar.close()


def _cells(notebook: Path) -> int:
    return len(nbformat.read(notebook, as_version=4).cells)  # type: ignore[no-untyped-call]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep papermill's log off the terminal: all it reports comes back as an exception."""
    logger = logging.getLogger("papermill")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)
