"""From a report file to a finished bundle: reads, calibrates, renders the book, runs the chapters."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from salessim import book, briefing, crm, publish
from salessim.audit import Audit
from salessim.errors import ParameterError, listed
from salessim.library import example_scenario
from salessim.model import Scenario
from salessim.publish import parameters
from salessim.spreadsheets import CSV_ENCODING, csv_text
from salessim.workspace import ReportSpec

__all__ = ["render"]


def render(spec: ReportSpec, *, progress: bool | None = None) -> Path:
    """Render the report that a specification describes, and return the path of its ``index.html``.

    Args:
        spec: what goes into the report, with absolute paths (see :meth:`ReportSpec.resolved`).
        progress: True shows progress bars, False nothing, None bars on a terminal and lines elsewhere.

    Raises:
        SalessimError: anything that must be changed; an earlier report stays in place.
    """
    known: dict[str, str | int | float | bool] = {
        "crm": spec.crm,
        "column_map": spec.column_map,
        "quarter": spec.quarter,
        "as_of": spec.as_of.isoformat() if spec.as_of else "",
        "scenario": spec.scenario,
        "plan": spec.plan,
        "pay_plan": spec.pay_plan,
        "evidence": spec.evidence,
        "benchmarks": "; ".join(f"{name}={value:g}" for name, value in spec.benchmarks.items()),
        "engine": spec.engine,
        "trials": spec.trials,
        "seed": spec.seed,
    }
    chapters = _chapters(spec, known)
    parameters.check(chapters)  # before the data are read: a slip of the pen should not cost a minute
    report = briefing.prepare(
        crm_folder=spec.crm,
        quarter=spec.quarter,
        column_map=spec.column_map,
        as_of=str(known["as_of"]),
        scenario=spec.scenario,
        plan=spec.plan,
        engine=spec.engine,
        trials=spec.trials,
        seed=spec.seed,
    )
    paid = briefing.prepare_pay(report, pay_plan=spec.pay_plan, trials=spec.trials, seed=spec.seed)
    audited = briefing.audited(report, scenario=spec.scenario, evidence=spec.evidence)
    files = _files(report, paid, audited, spec.benchmarks)
    bundle = publish.Bundle(
        title=spec.title,
        quarter=str(report.quarter),
        chapters=chapters,
        pages=_pages(spec, report, paid, audited),
        front_page=briefing.key_findings(report, paid, pay_given=bool(spec.pay_plan)),
        provenance=publish.Provenance(
            data_files=tuple(
                publish.Source(file.name, file.sha256, file.records) for file in report.tables.files
            ),
            scenario=publish.Source.of(report.scenario.name, files["scenario.yaml"]),
            plan=publish.Source.of(report.plan.name, report.plan.to_yaml()),
            seed=spec.seed,
            trials=report.outcome.trials,
            as_of=report.tables.as_of,
            made_up=report.scenario.made_up,
            pay_plan=publish.Source.of(paid.plan.name, paid.plan.to_yaml()),
            pay_trials=paid.payout.trials,
        ),
        extra_files=files,
    )
    return publish.build(bundle, out=Path(spec.out), progress=progress)


def _chapters(spec: ReportSpec, known: Mapping[str, str | int | float | bool]) -> tuple[publish.Chapter, ...]:
    """The chosen notebooks, each with those of the report's values that it has a parameter for."""
    notebooks = [Path(path) for path in spec.chapters]
    names = [path.stem for path in notebooks]
    for name in spec.parameters:
        if name not in names:
            raise ParameterError(f"parameters: '{name}' is no chapter of this report; it has {listed(names)}")
    chapters = []
    for path in notebooks:
        own = parameters.defaults(path)
        given = {name: value for name, value in known.items() if name in own}
        chapters.append(publish.Chapter(path, given | dict(spec.parameters.get(path.stem, {}))))
    return tuple(chapters)


def _pages(
    spec: ReportSpec, report: briefing.Briefing, paid: briefing.PayReport, audited: Audit
) -> tuple[publish.Page, ...]:
    """Pages of the sales book with this company's figures in them."""
    folder = Path(spec.playbook)
    values = book.values(
        _definitions(spec, report),
        report.tables,
        quarter=report.quarter,
        overview=briefing.measured(report, benchmarks=spec.benchmarks),
        quota=briefing.quota_texts(report) | briefing.pay_texts(paid),
        audit={
            "audit_summary": briefing.requalification_findings(audited),
            "audit_table": briefing.requalification_stages(audited),
        },
        terms=book.read_terms(folder),
        calibration=report.calibration,
    )
    chosen = [page for page in book.pages(folder) if not spec.pages or page.name in spec.pages]
    return tuple(publish.Page(page.path, book.render(page.path, values)) for page in chosen)


def _definitions(spec: ReportSpec, report: briefing.Briefing) -> Scenario:
    """The scenario whose stages and criteria the book explains: the given one, else the calibrated one."""
    if spec.scenario:
        return Scenario.load(spec.scenario)
    return example_scenario() if spec.crm == "example" else report.scenario


def _files(
    report: briefing.Briefing,
    paid: briefing.PayReport,
    audited: Audit,
    benchmarks: Mapping[str, float],
) -> dict[str, str | bytes]:
    """Files that are offered beside the report."""
    with tempfile.TemporaryDirectory() as folder:
        quality = crm.write_quality_report(
            report.tables.quality, Path(folder) / "data-quality.csv"
        ).read_bytes()
        sheet = briefing.write_audit(audited, Path(folder) / "audit.xlsx").read_bytes()
    return {
        "scenario.yaml": report.scenario.to_yaml(),
        "recommended-plan.yaml": report.recommended.to_yaml(),
        "quotas.csv": _csv(briefing.quota_list(report)),
        "pay-plan.yaml": paid.plan.to_yaml(),
        "data-quality.csv": quality,
        "audit.xlsx": sheet,
        "measures.csv": _csv(briefing.measured(report, benchmarks=benchmarks)),
        "estimates.csv": _csv(report.calibration.table()),
    }


def _csv(table: pd.DataFrame) -> bytes:
    return csv_text(table).encode(CSV_ENCODING)
