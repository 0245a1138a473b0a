"""Quota plans: what each rep is asked for, and what a plan means for reps and company.

A plan uses no randomness. It is scored on an outcome of the simulator as often as one likes; the quota for a
wanted share of reps is read off the pooled law of bookings, not searched for over simulations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import AfterValidator, Field, field_validator, model_validator

from salessim.documents import Part, dump_yaml, load_yaml, read_text, validated
from salessim.engine import HORIZON, Outcome
from salessim.errors import ParameterError, PlanError, listed
from salessim.model import Name, NonNegative, Positive, Scenario, Share, Whole
from salessim.periods import MONTH_OF_WEEK, WEEKS_PER_QUARTER, Quarter

__all__ = [
    "BAND",
    "MIDDLE",
    "QuotaPlan",
    "QuotaScore",
    "RampRelief",
    "monthly_quotas",
    "period_level",
    "period_quotas",
    "plan_for_share",
    "quota_for_share",
    "quota_weights",
    "quotas",
    "ramping_reps",
    "score",
    "tradeoff",
]

FloatArray = npt.NDArray[np.float64]

#: The band "everyone wins": the share of reps that should make quota [B1].
BAND = (0.60, 0.75)
#: The share aimed at: the middle of the band.
MIDDLE = 0.675


def _quarter_name(text: str) -> str:
    try:
        return str(Quarter.parse(text))
    except ParameterError as error:
        raise ValueError(str(error)) from None


QuarterName = Annotated[str, AfterValidator(_quarter_name)]


class RampRelief(Part):
    """Less quota for newcomers [C1]: leads first, revenue later."""

    follows: Literal["productivity", "months"] = "productivity"
    """productivity: the quota grows with the ramp of the role; months: with the shares below."""
    by_month: tuple[Share, ...] = ()
    """Share of a full quota in each month of tenure (with follows: months); full afterwards."""
    leads_first_months: Annotated[Whole, Field(ge=0, le=24, json_schema_extra={"unit": "months"})] = 0
    """Months without any revenue quota; the target is qualified leads instead."""
    qualified_leads_per_month: Annotated[
        float, Field(ge=0, json_schema_extra={"unit": "leads per month"})
    ] = 0.0
    """Qualified leads to bring into the pipeline per month of the lead phase."""

    @model_validator(mode="after")
    def _months_belong_to_months(self) -> Self:
        if (self.follows == "months") != bool(self.by_month):
            raise ValueError("by_month goes with follows: months, and only with it")
        return self


class QuotaPlan(Part):
    """What sellers are asked for.

    >>> plan = QuotaPlan(name="flat", annual_quota=480_000.0, annual_team_plan=4_000_000.0)
    >>> plan.target_band
    (0.6, 0.75)
    """

    name: Name
    """Name shown in reports."""
    annual_quota: Annotated[
        Positive | dict[Name, Positive], Field(json_schema_extra={"unit": "currency per year"})
    ]
    """Quota of a fully ramped rep per year; one number, or one per role (roles left out carry none)."""
    quarter_shares: tuple[Share, Share, Share, Share] = (0.25, 0.25, 0.25, 0.25)
    """Share of the annual quota and of the team plan in fiscal quarters 1 to 4."""
    quota_quarter_shares: tuple[Share, Share, Share, Share] | None = None
    """Share of the annual quota in fiscal quarters 1 to 4 where it is another than that of the team plan;
    left out: quarter_shares."""
    ramp_relief: RampRelief = RampRelief()
    """What newcomers are asked for."""
    quotas_by_rep: dict[Name, dict[QuarterName, NonNegative]] = Field(
        default_factory=dict, json_schema_extra={"unit": "currency per quarter"}
    )
    """Quotas set rep by rep (rep → quarter → amount), as an allocation or a negotiation left them; they stand
    in place of annual_quota in those quarters, and no ramp relief is taken off them. 0: no quota."""
    annual_team_plan: Annotated[Positive | None, Field(json_schema_extra={"unit": "currency per year"})] = (
        None
    )
    """Bookings that the company plans with; left out: not stated, and then not judged."""
    target_band: tuple[Share, Share] = BAND
    """Share of reps that should make quota, from and to [B1]."""

    @field_validator("quarter_shares", "quota_quarter_shares")
    @classmethod
    def _one_year(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and abs(sum(value) - 1) > 1e-6:
            raise ValueError(f"shares must add up to 1 (they add up to {sum(value):g})")
        return value

    @field_validator("target_band")
    @classmethod
    def _rises(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] >= value[1]:
            raise ValueError(f"the band must rise (it is {value[0]:g} to {value[1]:g})")
        return value

    def scaled(self, factor: float) -> QuotaPlan:
        """The same plan with all quotas multiplied by a factor (the team plan stays)."""
        if isinstance(self.annual_quota, dict):
            changed: float | dict[str, float] = {role: q * factor for role, q in self.annual_quota.items()}
        else:
            changed = self.annual_quota * factor
        own = {
            rep: {quarter: amount * factor for quarter, amount in amounts.items()}
            for rep, amounts in self.quotas_by_rep.items()
        }
        return self.model_copy(update={"annual_quota": changed, "quotas_by_rep": own})

    def scaled_by_quarter(self, factors: Mapping[str, float]) -> QuotaPlan:
        """The same plan with the quotas of each quarter multiplied by a factor of its own.

        Args:
            factors: quarter → factor, for four quarters in a row.

        >>> plan = QuotaPlan(name="flat", annual_quota=400.0)
        >>> found = plan.scaled_by_quarter({"2026Q3": 1.5, "2026Q4": 0.5, "2027Q1": 1.0, "2027Q2": 1.0})
        >>> found.annual_quota, found.quota_quarter_shares
        (400.0, (0.25, 0.25, 0.375, 0.125))
        """
        quarters = {Quarter.parse(name).number: factor for name, factor in factors.items()}
        weighted = [share * quarters[k] for k, share in enumerate(self.quota_shares(), start=1)]
        total = sum(weighted)
        own = {
            rep: {quarter: amount * factors.get(quarter, total) for quarter, amount in amounts.items()}
            for rep, amounts in self.quotas_by_rep.items()
        }
        return self.scaled(total).model_copy(
            update={"quota_quarter_shares": tuple(w / total for w in weighted), "quotas_by_rep": own}
        )

    def quota_shares(self) -> tuple[float, float, float, float]:
        """Share of the annual quota in fiscal quarters 1 to 4."""
        return self.quota_quarter_shares or self.quarter_shares

    @classmethod
    def load(cls, path: str | Path) -> QuotaPlan:
        """Read a plan file; PlanError names file, field, value and what is allowed."""
        text = read_text(path, error=PlanError)
        return validated(
            cls, load_yaml(text, where=str(path), error=PlanError), where=str(path), error=PlanError
        )

    def to_yaml(self) -> str:
        """Write the plan as YAML, leaving out what equals its default."""
        return dump_yaml(self.model_dump(mode="json", exclude_defaults=True))

    def team_plan(self, scenario: Scenario, period: str) -> float:
        """Planned bookings of the company in a period, in currency; NaN where the plan states none."""
        if self.annual_team_plan is None:
            return float("nan")
        chosen = [q for q in scenario.calendar.periods() if period in (str(q), HORIZON)]
        return self.annual_team_plan * sum(self.quarter_shares[q.number - 1] for q in chosen)


def quotas(plan: QuotaPlan, scenario: Scenario) -> pd.DataFrame:
    """Quota of each rep in each quarter, in currency; index rep, columns quarters.

    The quota of a quarter is the annual quota × the quarter's share × the mean ramp relief over the weeks
    of the quarter that the rep is there. NaN: no quota in that quarter (role without quota, not yet or no
    longer there, lead phase): attainment is undefined then, not zero.

    >>> from salessim.library import example_plan, example_scenario
    >>> table = quotas(example_plan(), example_scenario())
    >>> bool((table.max(axis=1) > 0).all())
    True
    """
    amounts = _by_month_of_quarter(plan, scenario).sum(axis=2)
    return _table(amounts, scenario, [str(quarter) for quarter in scenario.calendar.periods()])


def monthly_quotas(plan: QuotaPlan, scenario: Scenario) -> pd.DataFrame:
    """Quota of each rep in each month, in currency; index rep, columns months such as "2026-07".

    A quarter's quota is spread over its weeks; its months have five, four and four of them, as in the
    simulator. The three months add up to the quarter. NaN: no quota in that month.

    >>> from salessim.library import example_plan, example_scenario
    >>> plan, scenario = example_plan(), example_scenario()
    >>> months, by_quarter = monthly_quotas(plan, scenario), quotas(plan, scenario)
    >>> bool(np.isclose(months.iloc[0, :3].sum(), by_quarter.iloc[0, 0]))
    True
    """
    amounts = _by_month_of_quarter(plan, scenario)
    months = [month for quarter in scenario.calendar.periods() for month in quarter.months()]
    return _table(amounts.reshape(len(amounts), -1), scenario, months)


def period_quotas(plan: QuotaPlan, scenario: Scenario, period: str) -> FloatArray:
    """Quota of each rep in a quarter or over the whole horizon, in currency, shape (reps,); NaN: none.

    >>> from salessim.library import example_plan, example_scenario
    >>> period_quotas(example_plan(), example_scenario(), "2026Q4")[:2].tolist()
    [125000.0, 125000.0]
    """
    by_quarter = quotas(plan, scenario)
    if period != HORIZON:
        return by_quarter[period].to_numpy()
    return by_quarter.sum(axis=1, min_count=1).to_numpy()


def quota_weights(plan: QuotaPlan, scenario: Scenario, period: str) -> FloatArray:
    """Quota of each rep relative to that of a fully ramped rep with the highest annual quota, shape (reps,).

    NaN where a rep carries no quota in the period.
    """
    amounts = period_quotas(plan, scenario, period)
    full = period_level(plan, scenario, period)
    return amounts / full if full > 0 else np.full_like(amounts, np.nan)


def ramping_reps(plan: QuotaPlan, scenario: Scenario) -> list[str]:
    """Names of the reps whose quota the ramp relief lowers in a week of the horizon, each judged by the quota
    of the own role; an S-curve counts as full from 99.5 % on.

    >>> from salessim.library import example_plan, example_scenario
    >>> len(ramping_reps(example_plan(), example_scenario())) > 0
    True
    """
    lowered = (_relief(plan, scenario) < 0.995 * scenario.headcount()).any(axis=1)
    carries = _annual_quotas(plan, scenario) > 0
    return [rep.name for rep, new in zip(scenario.team(), lowered & carries, strict=True) if new]


def quota_for_share(outcome: Outcome, *, plan: QuotaPlan, period: str, share: float = MIDDLE) -> float:
    """Quota of a fully ramped rep that an expected share of reps makes [B1], in currency for the period.

    Args:
        outcome: what the team may book.
        plan: gives the relation of quotas between roles, quarters and newcomers; only its level is solved.
        period: a quarter of the scenario, or "horizon".
        share: expected share of reps who make quota, between 0 and 1.

    Raises:
        PlanError: where no quota above zero is made by so many reps.
    """
    if not 0 < share < 1:
        raise PlanError(f"share is {share!r}; it must lie between 0 and 1, such as {MIDDLE}")
    weights = quota_weights(plan, outcome.scenario, period)
    if not np.isfinite(weights).any():
        raise PlanError(f"plan '{plan.name}': nobody carries a quota in {period}")
    found = outcome.amount_for_share(weights, share, period)
    if found <= 0 or outcome.share_at_least(weights, 1e-9 * found, period) < share - 0.01:
        raise PlanError(
            f"{period}: no quota above zero is made by {share:.1%} of the reps; "
            f"{outcome.share_at_least(weights, 1e-9, period):.1%} are expected to book anything at all"
        )
    return found


def plan_for_share(outcome: Outcome, *, plan: QuotaPlan, period: str, share: float = MIDDLE) -> QuotaPlan:
    """The plan, scaled so that an expected share of reps makes quota in the period.

    >>> from salessim.engine import simulate
    >>> from salessim.library import example_plan, example_scenario
    >>> outcome = simulate(example_scenario())
    >>> solved = plan_for_share(outcome, plan=example_plan(), period="2026Q3")
    >>> round(score(outcome, solved, period="2026Q3").expected_share, 3)
    0.675
    """
    wanted = quota_for_share(outcome, plan=plan, period=period, share=share)
    return plan.scaled(wanted / period_level(plan, outcome.scenario, period))


@dataclass(frozen=True)
class QuotaScore:
    """What a quota plan means in one period; amounts in the currency of the scenario."""

    period: str
    reps: pd.DataFrame
    """One row per rep with a quota: rep, role, quota, expected_bookings, p10, p50, p90, chance (of making
    quota)."""
    full_quota: float
    """Quota of a fully ramped rep in the period."""
    expected_share: float
    """Expected share of reps who make quota."""
    share_low: float
    share_high: float
    """P10 and P90 of the share of reps who make quota."""
    number_law: FloatArray
    """Chance that exactly k reps make quota, shape (reps + 1,)."""
    band: tuple[float, float]
    probability_band: float
    """Chance that the share lands in the band, both ends included."""
    expected_bookings: float
    bookings_p10: float
    bookings_p50: float
    bookings_p90: float
    team_plan: float
    """Planned bookings; NaN: not stated."""
    probability_team_plan: float
    """Chance that the team books at least its plan; NaN: no plan stated."""
    sum_of_quotas: float
    over_assignment: float
    """Sum of quotas ÷ team plan − 1 [B6]; NaN: no plan stated."""
    standard_error: float
    """Sampling error of the expected share; 0: solved exactly."""


def score(outcome: Outcome, plan: QuotaPlan, *, period: str) -> QuotaScore:
    """Score a quota plan on an outcome for a quarter or the whole horizon ("horizon").

    Raises:
        EngineError: unknown period. PlanError: nobody carries a quota in the period.
    """
    scenario = outcome.scenario
    outcome.quarters_of(period)
    amounts = period_quotas(plan, scenario, period)
    carries = np.isfinite(amounts)
    if not carries.any():
        raise PlanError(f"plan '{plan.name}': nobody carries a quota in {period}")
    law = outcome.number_at_least(amounts, period)
    shares = np.arange(len(law)) / (len(law) - 1)
    inside = (shares >= plan.target_band[0] - 1e-9) & (shares <= plan.target_band[1] + 1e-9)
    below = np.cumsum(law)
    low, middle, high = outcome.rep_quantiles([0.1, 0.5, 0.9], period)[:, carries]
    team = [rep for rep, present in zip(scenario.team(), carries, strict=True) if present]
    reps = pd.DataFrame(
        {
            "rep": [rep.name for rep in team],
            "role": [rep.role for rep in team],
            "quota": amounts[carries],
            "expected_bookings": outcome.expected_bookings(period)[carries],
            "p10": low,
            "p50": middle,
            "p90": high,
            "chance": outcome.chance_at_least(amounts, period)[carries],
        }
    )
    p10, p50, p90 = outcome.team_quantiles([0.1, 0.5, 0.9], period)
    team_plan = plan.team_plan(scenario, period)
    total = float(np.nansum(amounts))
    expected_share = float(law @ shares)
    spread = float(law @ (shares - expected_share) ** 2) ** 0.5
    return QuotaScore(
        period=period,
        reps=reps,
        full_quota=period_level(plan, scenario, period),
        expected_share=expected_share,
        share_low=float(shares[np.searchsorted(below, 0.1 - 1e-9)]),
        share_high=float(shares[np.searchsorted(below, 0.9 - 1e-9)]),
        number_law=law,
        band=plan.target_band,
        probability_band=float(law[inside].sum()),
        expected_bookings=float(outcome.expected_bookings(period).sum()),
        bookings_p10=float(p10),
        bookings_p50=float(p50),
        bookings_p90=float(p90),
        team_plan=team_plan,
        probability_team_plan=float(outcome.team_chance_at_least(team_plan, period)),
        sum_of_quotas=total,
        over_assignment=total / team_plan - 1,
        standard_error=0.0 if outcome.trials is None else spread / outcome.trials**0.5,
    )


def tradeoff(
    outcome: Outcome, plan: QuotaPlan, *, period: str, factors: Sequence[float] | None = None
) -> pd.DataFrame:
    """What higher and lower quotas would mean: one row per level of the plan.

    Args:
        outcome: what the team may book.
        plan: the plan that is scaled.
        period: a quarter or "horizon".
        factors: multiples of the plan's quotas; left out: the plan itself among 41 levels that expected
            shares of about 95 % down to 15 % make.

    Returns:
        Columns quota (of a fully ramped rep, in currency for the period), share_attaining (expected),
        probability_band, sum_of_quotas, probability_sum (chance that the team books at least the sum of its
        quotas). Quotas do not change what is booked here: asking for more makes no one sell more.
    """
    full = period_level(plan, outcome.scenario, period)
    weights = quota_weights(plan, outcome.scenario, period)
    amounts = period_quotas(plan, outcome.scenario, period)
    if factors is None:
        low, high = (outcome.amount_for_share(weights, share, period) for share in (0.95, 0.15))
        levels = np.append(np.linspace(max(low, high / 40), high, 41), full)
        factors = [float(level) for level in np.unique(levels) / full]
    total = float(np.nansum(amounts))
    rows = []
    for factor in factors:
        law = outcome.number_at_least(amounts * factor, period)
        shares = np.arange(len(law)) / (len(law) - 1)
        inside = (shares >= plan.target_band[0] - 1e-9) & (shares <= plan.target_band[1] + 1e-9)
        rows.append(
            {
                "quota": full * factor,
                "share_attaining": float(law @ shares),
                "probability_band": float(law[inside].sum()),
                "sum_of_quotas": total * factor,
                "probability_sum": float(outcome.team_chance_at_least(total * factor, period)),
            }
        )
    return pd.DataFrame(rows)


def _table(amounts: FloatArray, scenario: Scenario, periods: list[str]) -> pd.DataFrame:
    names = pd.Index([rep.name for rep in scenario.team()], name="rep")
    return pd.DataFrame(np.where(amounts > 0, amounts, np.nan), index=names, columns=periods)


def _annual_quotas(plan: QuotaPlan, scenario: Scenario) -> FloatArray:
    """Annual quota of each rep when fully ramped, shape (reps,); 0: the role carries none."""
    roles = [role.name for role in scenario.roles]
    if isinstance(plan.annual_quota, dict):
        for role in plan.annual_quota:
            if role not in roles:
                raise PlanError(
                    f"plan '{plan.name}': annual_quota names the role '{role}'; "
                    f"the scenario '{scenario.name}' has {listed(roles)}"
                )
        return np.array([plan.annual_quota.get(rep.role, 0.0) for rep in scenario.team()])
    return np.full(len(scenario.team()), plan.annual_quota)


def _relief(plan: QuotaPlan, scenario: Scenario) -> FloatArray:
    """Share of a full quota by rep and week, shape (reps, weeks)."""
    relief = plan.ramp_relief
    present = scenario.headcount()
    if relief.follows == "productivity":
        level = scenario.capacity()
    else:
        level = present * _by_month(scenario, relief.by_month)
    if relief.leads_first_months:
        level = level * _by_month(scenario, (0.0,) * relief.leads_first_months)
    return level


def _by_month(scenario: Scenario, shares: tuple[float, ...]) -> FloatArray:
    """Share by month of tenure as if it were the ramp of every role, shape (reps, weeks)."""
    from salessim.model import Ramp

    same = tuple(role.model_copy(update={"ramp": Ramp(by_month=shares)}) for role in scenario.roles)
    return scenario.model_copy(update={"roles": same}).capacity()


def _by_month_of_quarter(plan: QuotaPlan, scenario: Scenario) -> FloatArray:
    """Quota of each rep in each month of each quarter, shape (reps, quarters, 3); 0: none."""
    quarters = scenario.calendar.periods()
    annual = _annual_quotas(plan, scenario)
    relief = _relief(plan, scenario).reshape(len(annual), len(quarters), WEEKS_PER_QUARTER)
    split = np.array([plan.quota_shares()[quarter.number - 1] for quarter in quarters])
    by_week = annual[:, None, None] * split[:, None] * relief / WEEKS_PER_QUARTER
    weeks_of = np.eye(3)[list(MONTH_OF_WEEK)]  # (week, month)
    amounts: FloatArray = by_week @ weeks_of
    team, names = [rep.name for rep in scenario.team()], [str(quarter) for quarter in quarters]
    for rep, own in plan.quotas_by_rep.items():
        if rep not in team:
            raise PlanError(
                f"plan '{plan.name}': quotas_by_rep names the rep '{rep}'; "
                f"the scenario '{scenario.name}' has {listed(team)}"
            )
        for quarter, amount in own.items():
            if quarter in names:  # a plan may reach beyond the horizon
                amounts[team.index(rep), names.index(quarter)] = amount * weeks_of.mean(axis=0)
    return amounts


def period_level(plan: QuotaPlan, scenario: Scenario, period: str) -> float:
    """Highest quota of a fully ramped rep in the period, in currency; of quotas set rep by rep the highest
    where everybody has one.

    >>> from salessim.library import example_plan, example_scenario
    >>> period_level(example_plan(), example_scenario(), "2026Q4")
    125000.0
    """
    chosen = [q for q in scenario.calendar.periods() if period in (str(q), HORIZON)]
    annual = _annual_quotas(plan, scenario)
    highest = [0.0]
    for rep, amount in zip(scenario.team(), annual, strict=True):
        own = plan.quotas_by_rep.get(rep.name, {})
        highest.append(sum(own.get(str(q), amount * plan.quota_shares()[q.number - 1]) for q in chosen))
    return float(max(highest))
