"""The data, the scenario and the plan of one quarter: read, calibrated and simulated once for a chapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Literal

from salessim import crm, formats, measures
from salessim.calibrate import Calibration, calibrate
from salessim.engine import Outcome, simulate
from salessim.errors import DataError, ParameterError
from salessim.library import EXAMPLE, example_crm
from salessim.model import Scenario
from salessim.periods import Quarter
from salessim.plans import MIDDLE, QuotaPlan, QuotaScore, plan_for_share, score

__all__ = ["STEPS", "Briefing", "bullets", "day", "prepare", "read_export"]

Engine = Literal["auto", "exact", "thinning"]

#: What :func:`prepare` does, step by step.
STEPS = ("reading the export", "calibrating", "working out the coming quarters")


@dataclass(frozen=True)
class Briefing:
    """Everything that the report of one quarter is made from."""

    tables: crm.Tables
    quarter: Quarter
    calibration: Calibration
    plan: QuotaPlan
    plan_given: bool
    """False: no plan was given; ``plan`` is the recommended one, and its team plan is what the quarter
    booked."""
    outcome: Outcome

    @property
    def scenario(self) -> Scenario:
        """The calibrated scenario that was simulated."""
        return self.calibration.scenario

    @property
    def currency(self) -> str:
        """Currency of all amounts."""
        return self.tables.currency

    @property
    def upcoming(self) -> str:
        """Name of the first simulated quarter, the one that quotas are set for."""
        return self.outcome.periods[0]

    @cached_property
    def recommended(self) -> QuotaPlan:
        """The plan scaled so that the middle of the band is expected to make quota in the coming quarter."""
        return plan_for_share(self.outcome, plan=self.plan, period=self.upcoming, share=MIDDLE)

    @cached_property
    def asked(self) -> QuotaScore:
        """Score of the plan in the coming quarter."""
        return score(self.outcome, self.plan, period=self.upcoming)

    @cached_property
    def advised(self) -> QuotaScore:
        """Score of the recommended plan in the coming quarter."""
        return score(self.outcome, self.recommended, period=self.upcoming)

    def money(self, amount: float) -> str:
        """An amount for a sentence: short, with its currency."""
        return formats.money(amount, self.currency, short=True)


def read_export(crm_folder: str, *, column_map: str = "", as_of: str = "") -> crm.Tables:
    """Read a CRM export, or that of the example company ("example"); "" leaves the choice to the program."""
    folder = example_crm() if crm_folder == "example" else Path(crm_folder)
    return crm.read(folder, column_map=column_map or None, as_of=day("as_of", as_of))


def prepare(
    *,
    crm_folder: str,
    quarter: str,
    column_map: str = "",
    as_of: str = "",
    scenario: str = "",
    plan: str = "",
    engine: str = "auto",
    trials: int = 10_000,
    seed: int = 1,
    step: Callable[[str], None] = lambda name: None,
) -> Briefing:
    """Read an export, calibrate the simulator from it, and simulate the four quarters to come.

    Args:
        crm_folder: folder of the export, or "example" for the made-up example company.
        quarter: quarter that is reported, such as "2026Q2"; what the export knows beyond its last day is
            set aside, so that a past quarter is reported as it was.
        column_map: name of a shipped column map or path of your own; "" detects it.
        as_of: day the export was taken (2026-06-30); "" takes the latest day in it.
        scenario: path of a scenario that supplies what a CRM does not know (roles, ramps, hires, criteria);
            "" for none, except that the example company brings its own.
        plan: path of a quota plan; "" for the recommended one, except that the example company brings its
            own.
        engine: "auto", "exact" or "thinning".
        trials: trials of the thinning engine.
        seed: seed of the thinning engine.
        step: told the name of each of the :data:`STEPS` when it begins, for a progress bar.

    Raises:
        SalessimError: anything in the input that must be changed.
    """
    example = crm_folder == "example"
    step(STEPS[0])
    tables = read_export(crm_folder, column_map=column_map, as_of=as_of)
    base_path = scenario or (str(EXAMPLE / "scenario.yaml") if example else "")
    plan_path = plan or (str(EXAMPLE / "plan.yaml") if example else "")
    base = Scenario.load(base_path) if base_path else None
    month = base.calendar.fiscal_year_starts_in_month if base else 1
    tables = replace(tables, fiscal_year_starts_in_month=month)
    reported = measures.check_quarter(tables, Quarter.parse(quarter, fiscal_year_starts_in_month=month))
    if base and base.currency != tables.currency:
        raise DataError(
            f"{base_path}: currency is {base.currency}, but the export's amounts are in {tables.currency}; "
            "write the scenario in the currency of the export"
        )
    if reported.end < tables.as_of:
        tables = crm.as_seen_on(tables, reported.end)
    step(STEPS[1])
    name = base.name if base else f"calibrated from {Path(crm_folder).name}"
    calibration = calibrate(tables, base=base, name=name)
    if engine not in ("auto", "exact", "thinning"):
        raise ParameterError(f"engine is {engine!r}; it must be 'auto', 'exact' or 'thinning'")
    step(STEPS[2])
    chosen: Engine = engine  # type: ignore[assignment]  # checked above
    outcome = simulate(calibration.scenario, engine=chosen, trials=trials, seed=seed)
    quota_plan = QuotaPlan.load(plan_path) if plan_path else _default_plan(tables, reported, outcome)
    return Briefing(tables, reported, calibration, quota_plan, bool(plan_path), outcome)


def _default_plan(tables: crm.Tables, quarter: Quarter, outcome: Outcome) -> QuotaPlan:
    """Equal quotas for which the middle of the band is expected; the team plan is what the quarter booked."""
    booked = float(measures.measure("won_value", tables, quarter=quarter)["value"].iloc[0])
    flat = QuotaPlan(name="recommended", annual_quota=1.0, annual_team_plan=max(4 * booked, 1.0))
    return plan_for_share(outcome, plan=flat, period=outcome.periods[0], share=MIDDLE)


def day(name: str, text: str) -> date | None:
    """Read a parameter that holds a day as text; "" is None."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ParameterError(f"{name} is {text!r}; write a day like 2026-06-30, or leave it empty") from None


def bullets(lines: list[str] | tuple[str, ...]) -> str:
    """Sentences as a Markdown list."""
    return "\n".join(f"- {line}" for line in lines)
