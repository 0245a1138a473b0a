"""Run the notebooks of a quarter and bind them with the sales book into one site that works offline.

The caller hands in finished values (paths, parameters, rendered pages, provenance); nothing here knows the
CRM or the simulator. :func:`build` checks everything that can be checked first, works in a folder beside the
report, and puts the new report in place of the old one only when it is complete.
"""

from __future__ import annotations

from pathlib import Path

from salessim.publish.bundle import Bundle, Chapter, Page, Provenance, Source

__all__ = ["Bundle", "Chapter", "Page", "Provenance", "Source", "build"]


def build(bundle: Bundle, *, out: Path, progress: bool | None = None) -> Path:
    """Render a report into the folder ``out`` and return the path of its first page, ``index.html``.

    Args:
        bundle: what goes into the report.
        out: folder of the report; an earlier report there is replaced as a whole, and only by a complete one.
        progress: True shows a progress bar per notebook on stderr, False nothing; None shows bars on a
            terminal and elsewhere one line per finished notebook.

    Returns:
        The path of ``index.html``. Beside it lie ``notebooks/`` (executed), ``files/``, ``provenance.json``.

    Raises:
        ParameterError: a parameter has an unknown name or a wrong type; nothing was run.
        WorkspaceError: ``out`` cannot be written, holds something else than a report, or is being written by
            another run; nothing was run.
        ReportError: a notebook failed (its partial output is kept in ``<out>-failed``), or the pages do
            not fit together (a broken link, an unknown reference). An earlier report in ``out`` stays.
    """
    # papermill and Sphinx are heavy: they load when a report is built, not with the package
    from salessim.publish import folder, notebooks, parameters, site

    out = out.resolve()
    parameters.check(bundle.chapters)
    with folder.replaced(out) as work:
        notebooks.run(
            bundle.chapters,
            into=work.source / site.NOTEBOOKS,
            scratch=work.scratch,
            failed=folder.failed(out),
            progress=progress,
        )
        site.write(bundle, work=work)
    return out / "index.html"
