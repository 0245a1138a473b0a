"""The data, the scenario and the plan of one quarter: read, calibrated and simulated once for a chapter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from salessim import crm, formats, measures
from salessim.briefing.export import read_export, scenario_of
from salessim.calibrate import Calibration, calibrate
from salessim.engine import HORIZON, Outcome, simulate
from salessim.errors import DataError, ParameterError, PlanError, ScenarioError, listed
from salessim.library import EXAMPLE
from salessim.model import Scenario
from salessim.periods import Quarter
from salessim.plans import MIDDLE, QuotaPlan, QuotaScore, plan_for_share, quota_for_share, score
from salessim.plans.quota import period_level

__all__ = ["STEPS", "Briefing", "bullets", "prepare", "reps"]

Engine = Literal["auto", "exact", "thinning"]

#: What :func:`prepare` does, step by step.
STEPS = ("reading the export", "calibrating", "working out the coming quarters")

#: An export that ends so few days before the end of a quarter stands for the whole quarter.
MOST_DAYS_MISSING = 14


@dataclass(
    frozen=True, eq=False
)  # one report is like no other: what is worked out from it is kept by identity
class Briefing:
    """Everything that the report of one quarter is made from."""

    tables: crm.Tables
    quarter: Quarter
    calibration: Calibration
    plan: QuotaPlan
    plan_given: bool
    """False: no plan was given; ``plan`` is the recommended one, and its team plan is what the quarter
    booked (none where it booked nothing, or is not over)."""
    outcome: Outcome

    @property
    def quarter_is_over(self) -> bool:
        """Whether the export covers the reported quarter, but for its last days."""
        return _is_over(self.quarter, self.tables)

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
    def _solved(self) -> tuple[str, QuotaPlan, bool]:
        return _solve(self.outcome, self.plan)

    @property
    def quota_period(self) -> str:
        """What quotas are set for: the coming quarter, or "horizon" (all simulated quarters together) where
        the quarter is too short for a quota that the middle of the band makes."""
        return self._solved[0]

    @property
    def quota_period_name(self) -> str:
        """The quota period for a sentence: "2026Q3", or "2026Q3 to 2027Q2" for all simulated quarters."""
        periods = self.outcome.periods
        return f"{periods[0]} to {periods[-1]}" if self.quota_period == HORIZON else self.quota_period

    @property
    def recommended(self) -> QuotaPlan:
        """The plan with the level of its quotas moved so that the middle of the band is expected to make
        them: in each of the simulated quarters, or in all together where that is the quota period.

        Where no quota does that (see :attr:`quota_found`): scaled so that quotas add up to the bookings that
        are expected over all simulated quarters.
        """
        return self._solved[1]

    @property
    def quota_found(self) -> bool:
        """Whether there is a quota that the middle of the band is expected to make."""
        return self._solved[2]

    @property
    def one_quota(self) -> bool:
        """Whether the recommended plan asks the same of every fully ramped rep who carries a quota."""
        plan = self.recommended
        if isinstance(plan.annual_quota, dict):
            roles = {rep.role for rep in self.scenario.team()}
            different = len({amount for role, amount in plan.annual_quota.items() if role in roles}) > 1
        else:
            different = False
        return not different and not plan.quotas_by_rep

    @cached_property
    def asked(self) -> QuotaScore:
        """Score of the plan in the quota period."""
        return score(self.outcome, self.plan, period=self.quota_period)

    @cached_property
    def advised(self) -> QuotaScore:
        """Score of the recommended plan in the quota period."""
        return score(self.outcome, self.recommended, period=self.quota_period)

    def money(self, amount: float) -> str:
        """An amount for a sentence: short, with its currency."""
        return formats.money(amount, self.currency, short=True)


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
        crm_folder: folder, file or database URL of the export, a ``crm.yaml`` that describes it (see
            :class:`salessim.briefing.ExportSpec`), or "example" for the made-up example company.
        quarter: quarter that is reported, such as "2026Q2"; what the export knows beyond its last day is
            set aside, so that a past quarter is reported as it was. The quarter after it is the first that
            is simulated, also where the export ends before the quarter does.
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
    base_path = scenario or (str(EXAMPLE / "scenario.yaml") if example else "")
    plan_path = plan or (str(EXAMPLE / "plan.yaml") if example else "")
    base = scenario_of(crm_folder, scenario)
    month = base.calendar.fiscal_year_starts_in_month if base else 1
    tables = read_export(
        crm_folder, column_map=column_map, as_of=as_of, fiscal_year_starts_in_month=month, base=base
    )
    reported = measures.check_quarter(tables, Quarter.parse(quarter, fiscal_year_starts_in_month=month))
    if base and base.currency != tables.currency:
        raise DataError(
            f"{base_path}: currency is {base.currency}, but the export's amounts are in {tables.currency}; "
            "write the scenario in the currency of the export"
        )
    if reported.end < tables.as_of:
        tables = crm.as_seen_on(tables, reported.end)
    step(STEPS[1])
    name = base.name if base else Path(crm_folder).resolve().name
    calibration = _calibrated(tables, reported, base, base_path=base_path, name=name)
    if engine not in ("auto", "exact", "thinning"):
        raise ParameterError(f"engine is {engine!r}; it must be 'auto', 'exact' or 'thinning'")
    step(STEPS[2])
    chosen: Engine = engine  # type: ignore[assignment]  # checked above
    outcome = simulate(calibration.scenario, engine=chosen, trials=trials, seed=seed)
    quota_plan = QuotaPlan.load(plan_path) if plan_path else _default_plan(tables, reported, outcome)
    return Briefing(tables, reported, calibration, quota_plan, bool(plan_path), outcome)


def _is_over(quarter: Quarter, tables: crm.Tables) -> bool:
    return (quarter.end - tables.as_of).days <= MOST_DAYS_MISSING


def _calibrated(
    tables: crm.Tables, reported: Quarter, base: Scenario | None, *, base_path: str, name: str
) -> Calibration:
    """Calibrate so that the horizon begins with the quarter after the reported one, and say what that takes.

    A quarter that misses a few days counts as a whole one. Of a quarter that is not nearly over only the
    days up to the export count as history; then the horizon is moved, and the open deals with it.
    """
    over = _is_over(reported, tables)
    try:
        found = calibrate(replace(tables, as_of=reported.end) if over else tables, base=base, name=name)
    except ValidationError as failure:
        if base is None:
            raise
        faults = "; ".join(fault["msg"].removeprefix("Value error, ") for fault in failure.errors())
        segments = listed(sorted(tables.opportunities["segment"].astype(str).unique()))
        raise ScenarioError(
            f"{base_path}: does not fit the export, whose segments are {segments}: {faults}"
        ) from None
    if tables.as_of >= reported.end:
        return found
    coming = reported.shift(1)
    if over:
        missing = (reported.end - tables.as_of).days
        days = "1 day" if missing == 1 else f"{missing} days"
        doubt = (
            f"the export ends on {tables.as_of}, {days} before the end of {reported}, which is taken as over"
        )
        return replace(found, warnings=(doubt, *found.warnings))
    doubt = (
        f"the export ends on {tables.as_of}, before {reported} does: the forecast begins with {coming} and "
        f"takes the pipeline of that day as the one at the end of {reported}"
    )
    scenario = found.scenario
    moved = scenario.model_copy(
        update={
            "calendar": scenario.calendar.model_copy(update={"first_quarter": str(coming)}),
            # who started before the export was taken is in it
            "hires": tuple(hire for hire in scenario.hires if hire.start > tables.as_of),
        }
    )
    return replace(found, scenario=moved, warnings=(doubt, *found.warnings))


def _default_plan(tables: crm.Tables, quarter: Quarter, outcome: Outcome) -> QuotaPlan:
    """Equal quotas for which the middle of the band is expected; the team plan is what the quarter booked."""
    booked = float(measures.measure("won_value", tables, quarter=quarter)["value"].iloc[0])
    planned = 4 * booked if booked > 0 and _is_over(quarter, tables) else None
    flat = QuotaPlan(name="recommended", annual_quota=1.0, annual_team_plan=planned)
    return _solve(outcome, flat)[1]


def _solve(outcome: Outcome, plan: QuotaPlan) -> tuple[str, QuotaPlan, bool]:
    """The period that a quota can be found for, the plan scaled to it, and whether the middle makes it.

    Where few sell often, too few book anything at all in a quarter; over a year more do.
    """
    first = outcome.periods[0]
    for period in (first, HORIZON):
        try:
            found = plan_for_share(outcome, plan=plan, period=period, share=MIDDLE)
        except PlanError:
            continue
        return period, _for_each_quarter(outcome, plan, found) if period == first else found, True
    whole = score(outcome, plan, period=HORIZON)  # refuses a plan that asks nobody for anything
    factor = max(whole.expected_bookings, 1.0) / whole.sum_of_quotas
    return HORIZON, plan.scaled(factor), False


def _for_each_quarter(outcome: Outcome, plan: QuotaPlan, first: QuotaPlan) -> QuotaPlan:
    """The plan with quotas that the middle of the band makes in each of four quarters; a quarter too short
    for one keeps the level of the first."""
    if len(outcome.periods) != 4:
        return first
    level = period_level(first, outcome.scenario, outcome.periods[0])
    factors = {}
    for period in outcome.periods:
        now = period_level(plan, outcome.scenario, period)
        try:
            wanted = quota_for_share(outcome, plan=plan, period=period, share=MIDDLE)
        except PlanError:
            wanted = now * level / period_level(plan, outcome.scenario, outcome.periods[0])
        factors[period] = wanted / now if now > 0 else 1.0
    return plan.scaled_by_quarter(factors)


def bullets(lines: list[str] | tuple[str, ...]) -> str:
    """Sentences as a Markdown list."""
    return "\n".join(f"- {line}" for line in lines)


def reps(number: int) -> str:
    """A number of reps for a sentence: "1 rep", "12 reps"."""
    return f"{formats.count(number)} {'rep' if number == 1 else 'reps'}"
