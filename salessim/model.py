"""The world that is simulated: a :class:`Scenario` and its parts, read from YAML and checked.

Parameters are data: every field has a title, a unit and a legal range, unknown keys are refused, and the
JSON schema (``library/scenario.schema.json``) lets an editor complete and check a scenario while it is
written. All parts are frozen; a changed scenario is a new one (``scenario.model_copy(update=...)``).

A sales team changes its stages, criteria, sources and ramps here and nowhere else.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, Strict, field_validator, model_validator

from salessim.documents import Part, dump_yaml, load_yaml, read_text, validated
from salessim.errors import ParameterError, ScenarioError, listed
from salessim.periods import MONTH_OF_WEEK, Quarter

__all__ = [
    "DEFAULT_CONTRACTS",
    "DEFAULT_CRITERIA",
    "DEFAULT_RAMP",
    "READY_SHARE",
    "Behaviours",
    "Calendar",
    "Capacity",
    "Contract",
    "Criterion",
    "Customers",
    "DealSize",
    "Hire",
    "LeaveAfterMisses",
    "Market",
    "Nurture",
    "OpenDeal",
    "Promotion",
    "PullForward",
    "PushBack",
    "Qualification",
    "Ramp",
    "Rep",
    "Role",
    "Scenario",
    "Seasonality",
    "Segment",
    "Source",
    "Stage",
    "Training",
    "scenario_schema",
]

FloatArray = npt.NDArray[np.float64]

# YAML would let "0.3" (text) and true pass as numbers; strict types say so at once.
Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Positive = Annotated[Number, Field(gt=0)]
NonNegative = Annotated[Number, Field(ge=0)]
Share = Annotated[Number, Field(ge=0, le=1)]
Whole = Annotated[int, Strict()]
Name = Annotated[str, Strict(), Field(min_length=1, max_length=120, pattern=r"\S")]

CurrencyCode = Annotated[str, Strict(), Field(pattern=r"^[A-Z]{3}$")]
#: Fields of a lead that a contract may ask for, as the canonical table of leads names them.
ContractField = Literal["company", "industry", "company_size", "contact", "position", "email", "phone"]

WEEKS_PER_MONTH = 52 / 12

#: Share of leads that are ready for sales when they arrive, where a team that qualifies states none [A5].
READY_SHARE = 0.27


class Calendar(Part):
    """The quarters that a scenario covers."""

    first_quarter: str
    """First fiscal quarter of the horizon, such as 2026Q1."""
    quarters: Annotated[Whole, Field(ge=1, le=20, json_schema_extra={"unit": "quarters"})] = 4
    """How many quarters are simulated; each is thirteen weeks."""
    fiscal_year_starts_in_month: Annotated[Whole, Field(ge=1, le=12)] = 1
    """Month in which the fiscal year begins (1 = January)."""
    quarters_before: Annotated[Whole, Field(ge=0, le=8, json_schema_extra={"unit": "quarters"})] = 0
    """Quarters of selling before the horizon whose deals are still in the pipeline; 0: it starts empty,
    or with the deals listed under pipeline."""

    @field_validator("first_quarter")
    @classmethod
    def _is_a_quarter(cls, value: str) -> str:
        try:
            return str(Quarter.parse(value))
        except ParameterError as error:
            raise ValueError(str(error)) from None

    def periods(self) -> list[Quarter]:
        """The quarters of the horizon, first to last.

        >>> [str(q) for q in Calendar(first_quarter="2026Q3", quarters=3).periods()]
        ['2026Q3', '2026Q4', '2027Q1']
        """
        first = Quarter.parse(
            self.first_quarter, fiscal_year_starts_in_month=self.fiscal_year_starts_in_month
        )
        return [first.shift(k) for k in range(self.quarters)]

    def worked_periods(self) -> list[Quarter]:
        """The quarters in which leads arrive: those before the horizon, then those of the horizon."""
        horizon = self.periods()
        return [horizon[0].shift(k - self.quarters_before) for k in range(self.quarters_before)] + horizon


class Criterion(Part):
    """Something that must be known about the customer before a deal may leave a stage [A3]."""

    name: Name
    """Short name, such as 'decision maker'."""
    question: Name
    """The question that a seller must be able to answer with yes."""
    evidence: str = ""
    """What counts as proof in the CRM."""


class Qualification(Part):
    """A step that tells leads which are ready for sales from those that are not [A5, A6]."""

    sensitivity: Share
    """Share of the ready leads that it sends on."""
    specificity: Share
    """Share of the leads that are not ready which it stops."""
    stopped: Literal["nurture", "lost"] = "nurture"
    """Where the leads go that it stops."""


class Nurture(Part):
    """Where leads rest that are not ready, and how many come back [A5]."""

    mean_weeks: Annotated[Number, Field(ge=1, json_schema_extra={"unit": "weeks"})]
    """Mean time in nurture (geometric law on 1, 2, 3 … weeks)."""
    return_share: Share
    """Share that comes back, ready for sales; the others are gone."""
    returns_to: Name | None = None
    """Stage that they come back to; left out: the first."""


class Stage(Part):
    """A qualifying stage: what is known about the customer, not what the seller did [A2].

    One of ``conversion``, ``close_probability`` and ``qualification`` is written. Deals that leave a stage
    move on (conversion), go back to an earlier stage, rest in nurture, or are lost (the remainder).
    """

    name: Name
    """Name of the stage."""
    conversion: Share | None = None
    """Share of deals entering this stage that move on to the next (from the last stage: that are won)."""
    close_probability: Share | None = None
    """Share of deals entering this stage that are won in the end."""
    dwell_weeks: Positive | tuple[NonNegative, ...] = 1.0
    """Time in the stage of deals that move on: a number is the mean in weeks of a geometric law on
    1, 2, 3 …; a list gives the share of deals by week, the first entry being the week of arrival."""
    lost_dwell_weeks: Positive | tuple[NonNegative, ...] | None = None
    """Time in the stage of deals that are lost here; left out: the same as dwell_weeks."""
    qualification: Qualification | None = None
    """Makes the stage a qualification step: what moves on depends on whether a lead is ready."""
    back: dict[Name, Share] = Field(default_factory=dict)
    """Share of deals leaving this stage that go back to an earlier stage, by its name [A5]."""
    nurture: Share = 0.0
    """Share of deals leaving this stage that rest in nurture [A5]."""
    role: Name | None = None
    """Role that works this stage; left out: whoever got the lead works all stages [D1]."""
    hours_per_week: Annotated[NonNegative, Field(le=168, json_schema_extra={"unit": "hours per week"})] = 0.0
    """Working hours that a deal in this stage takes per week; used where a role has hours to give."""
    counts_as: Literal["lead", "MQL", "SQL", "opportunity"] = "opportunity"
    """What reports call a deal in this stage; only opportunities count in the pipeline [A7]."""
    known: str = ""
    """What is known about the customer when a deal is in this stage, in words."""
    exit_criteria: tuple[Name, ...] = ()
    """Criteria that must be evidenced before a deal leaves the stage [A3]."""
    crm_names: tuple[Name, ...] = ()
    """Names that this stage has in the CRM."""

    @field_validator("dwell_weeks", "lost_dwell_weeks")
    @classmethod
    def _dwell_is_possible(cls, value: float | tuple[float, ...] | None) -> float | tuple[float, ...] | None:
        if isinstance(value, tuple):
            if not value or abs(sum(value) - 1) > 1e-6:
                raise ValueError(f"shares by week must add up to 1 (they add up to {sum(value):g})")
        elif value is not None and value < 1:
            raise ValueError("a mean dwell is at least 1 week; for faster deals give the shares by week")
        return value

    def dwell_shares(self, *, lost: bool = False, factor: float = 1.0, tail: float = 1e-9) -> FloatArray:
        """Share of deals leaving the stage by week after entering it.

        Args:
            lost: time of the deals that are lost here instead of those that move on.
            factor: the mean time is multiplied by it (``Source.cycle_factor``); a mean below one week is
                the chance to leave a week later instead of in the week of arrival, and shares by week move
                to the two weeks on either side of their new place.
            tail: a geometric law is cut where less than this share is left (and rescaled).

        Returns:
            Array of shape (weeks,), adding up to 1; entry 0 is the week of arrival.

        >>> Stage(name="a", conversion=0.5, dwell_weeks=2.0).dwell_shares()[:4].round(4).tolist()
        [0.0, 0.5, 0.25, 0.125]
        >>> Stage(name="a", conversion=0.5, dwell_weeks=2.0).dwell_shares(factor=0.25).tolist()
        [0.5, 0.5]
        """
        law = self.lost_dwell_weeks if lost and self.lost_dwell_weeks is not None else self.dwell_weeks
        if isinstance(law, tuple):
            return _stretched(np.asarray(law, dtype=np.float64) / sum(law), factor)
        mean = law * factor
        if mean <= 1:
            return np.array([1 - mean, mean])
        leave = 1 / mean
        weeks = math.ceil(math.log(tail) / math.log1p(-leave))
        shares: FloatArray = np.concatenate([[0.0], leave * (1 - leave) ** np.arange(weeks)])
        return np.asarray(shares / shares.sum())

    def leaves_evenly(self, *, factor: float = 1.0) -> float | None:
        """Chance to leave the stage in a week, where it is the same in every week for all deals; else None.

        >>> Stage(name="a", conversion=0.5, dwell_weeks=4.0).leaves_evenly()
        0.25
        """
        own, lost = self.dwell_weeks, self.lost_dwell_weeks
        if isinstance(own, tuple) or isinstance(lost, tuple) or lost not in (None, own) or own * factor < 1:
            return None
        return 1 / (own * factor)


class Source(Part):
    """Where leads of a segment come from."""

    name: Name
    """Name of the source, such as 'website' or 'outbound'."""
    kind: Literal["inbound", "self-sourced", "existing customers"]
    """inbound: a team total, shared out by ramped capacity, so hiring does not create demand;
    self-sourced: found by each rep, grows with the team; existing customers: upsell and cross-sell, a team
    total like inbound that shrinks as customers leave [H1]."""
    leads_per_week: Annotated[NonNegative, Field(json_schema_extra={"unit": "leads per week"})]
    """inbound and existing customers: leads of the whole team per week (of today's customers);
    self-sourced: leads per fully ramped rep and week."""
    cost_per_lead: Annotated[NonNegative | None, Field(json_schema_extra={"unit": "currency"})] = None
    """What one lead costs; left out: not known."""
    ready_share: Share | None = None
    """Share of the leads that are ready for sales; left out: that of the segment."""
    conversions: dict[Name, Share] = Field(default_factory=dict)
    """Conversions of this source where they differ from those of the stages, by name of the stage."""
    cycle_factor: Annotated[Number, Field(gt=0, le=10)] = 1.0
    """Time in every stage relative to other sources; 0.15 is a cycle 6 to 7 times shorter [H1]."""


class DealSize(Part):
    """How large won deals are: a lognormal law (mean and cv) or observed amounts with their shares."""

    mean: Annotated[Positive | None, Field(json_schema_extra={"unit": "currency"})] = None
    """Mean of a lognormal law, in the currency of the scenario."""
    cv: Annotated[NonNegative | None, Field(json_schema_extra={"unit": "standard deviation ÷ mean"})] = None
    """Coefficient of variation of the lognormal law; 0 means every deal has the mean amount."""
    amounts: Annotated[tuple[NonNegative, ...], Field(json_schema_extra={"unit": "currency"})] = ()
    """Possible amounts, rising; used where a lognormal law does not fit."""
    shares: tuple[Share, ...] = ()
    """Share of deals with each amount; left out: equal shares."""

    @model_validator(mode="after")
    def _one_law(self) -> Self:
        lognormal = self.mean is not None and self.cv is not None
        if lognormal == bool(self.amounts) or (not lognormal and (self.mean, self.cv) != (None, None)):
            raise ValueError("give either mean and cv, or amounts (with shares)")
        if self.shares and (len(self.shares) != len(self.amounts) or abs(sum(self.shares) - 1) > 1e-6):
            raise ValueError("shares must be as many as amounts and add up to 1")
        if any(b <= a for a, b in pairwise(self.amounts)):
            raise ValueError("amounts must rise")
        return self

    def weights(self) -> FloatArray:
        """Shares of the amounts, shape (amounts,); empty for a lognormal law."""
        if self.shares:
            return np.asarray(self.shares) / sum(self.shares)
        return np.full(len(self.amounts), 1 / max(len(self.amounts), 1))

    def moments(self) -> tuple[float, float]:
        """Mean and standard deviation of one won deal, in currency.

        >>> DealSize(mean=20_000.0, cv=1.0).moments()
        (20000.0, 20000.0)
        >>> DealSize(amounts=(100.0, 300.0), shares=(0.5, 0.5)).moments()
        (200.0, 100.0)
        """
        if self.mean is not None and self.cv is not None:
            return self.mean, self.mean * self.cv
        values, weights = np.asarray(self.amounts), self.weights()
        mean = float(values @ weights)
        return mean, math.sqrt(max(float((values - mean) ** 2 @ weights), 0.0))


class Seasonality(Part):
    """How demand moves over the year and within a quarter, as factors around 1, and how it grows."""

    by_quarter: tuple[NonNegative, NonNegative, NonNegative, NonNegative] = (1.0, 1.0, 1.0, 1.0)
    """Leads in fiscal quarters 1 to 4 relative to the mean quarter; the mean of the four is 1."""
    by_month_of_quarter: tuple[NonNegative, NonNegative, NonNegative] = (1.0, 1.0, 1.0)
    """Leads in the first, second and third month of a quarter relative to its mean; their mean is 1."""
    growth_per_year: Annotated[Number, Field(gt=-1, le=10, json_schema_extra={"unit": "share per year"})] = (
        0.0
    )
    """Growth of demand: leads of a quarter are (1 + growth) to the power of the years since the first
    simulated quarter times those of that quarter; quarters before it are smaller in the same way."""

    @field_validator("by_quarter", "by_month_of_quarter")
    @classmethod
    def _mean_is_one(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        mean = sum(value) / len(value)
        if abs(mean - 1) > 0.005:
            raise ValueError(f"factors must have mean 1 (their mean is {mean:.3f})")
        return value

    def factors(self, quarters: Sequence[Quarter]) -> FloatArray:
        """Factor on leads per week over a horizon, without growth, shape (quarters × 13,).

        >>> Seasonality(by_quarter=(0.8, 1.0, 0.9, 1.3)).factors([Quarter(2026, 4)])[:2].tolist()
        [1.3, 1.3]
        """
        within = np.asarray(self.by_month_of_quarter)[list(MONTH_OF_WEEK)]
        within = within / within.mean()  # months have four or five weeks; a quarter's total must not move
        return np.concatenate([self.by_quarter[quarter.number - 1] * within for quarter in quarters])


#: Stands for "does not qualify" where only a destination is asked for.
_NOTHING = Qualification(sensitivity=1.0, specificity=0.0, stopped="lost")


class Customers(Part):
    """Customers that a segment has when the horizon begins, and how they leave [H1, H2]."""

    count: Annotated[Whole, Field(ge=0, json_schema_extra={"unit": "customers"})]
    """How many there are."""
    annual_revenue: Annotated[NonNegative, Field(json_schema_extra={"unit": "currency per year"})]
    """Recurring revenue of one of them in a year."""
    churn_per_year: Share = 0.0
    """Share that leaves within a year, at an even rate; new customers leave at the same rate."""


class Segment(Part):
    """A group of customers with a funnel of its own."""

    name: Name
    """Name of the segment, such as 'SMB'."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    """Open stages from first to last; won and lost follow by themselves."""
    sources: tuple[Source, ...]
    """Where the leads come from."""
    deal_size: DealSize
    """Amount of a won deal."""
    seasonality: Seasonality = Seasonality()
    """How demand moves over the year."""
    ready_share: Share | None = None
    """Share of leads that are ready for sales when they arrive; left out: leads are not told apart, or
    27 % where a stage qualifies [A5]. Conversions of stages are then those of ready leads."""
    unready_conversion: Share = 0.25
    """Conversion of leads that are not ready relative to ready ones, at every stage that does not qualify;
    an assumption to be set, no figure of the field is known."""
    nurture: Nurture | None = None
    """Where leads rest; needed where a stage sends any there."""
    customers: Customers | None = None
    """Customers of today, for recurring revenue and churn."""

    @model_validator(mode="after")
    def _stages_fit_together(self) -> Self:
        _unique("stages", [stage.name for stage in self.stages])
        _unique("sources", [source.name for source in self.sources])
        self._journeys_are_possible()
        later = 1.0
        for index in range(len(self.stages) - 1, -1, -1):
            stage = self.stages[index]
            if stage.qualification is not None:
                continue
            if stage.conversion is None and stage.close_probability is None:
                raise ValueError(f"stages[{index}] '{stage.name}': give conversion or close_probability")
            if stage.close_probability is not None:
                if stage.close_probability > later + 1e-12:
                    following = self.stages[index + 1].name
                    raise ValueError(
                        f"stages[{index}] '{stage.name}': close_probability is {stage.close_probability:g}; "
                        f"it must not be above {later:g}, that of the following stage '{following}'"
                    )
                derived = stage.close_probability / later if later else 0.0
                if stage.conversion is not None and abs(stage.conversion - derived) > 0.005:
                    raise ValueError(
                        f"stages[{index}] '{stage.name}': conversion is {stage.conversion:g} but "
                        f"close_probability {stage.close_probability:g} means {derived:.3g}; give one of them"
                    )
                later = stage.close_probability
            elif stage.conversion is not None:
                later *= stage.conversion
        self._deals_get_out()
        return self

    def _deals_get_out(self) -> None:
        """Refuse a circle that no deal leaves; ValueError names its first stage."""
        chain = self.journey()
        reaches_end = chain[:, -2:].sum(axis=1) > 0
        for _ in range(len(chain)):
            reaches_end |= (chain[:, : len(chain)] > 0) @ reaches_end
        for k, stage in enumerate(self.stages):
            if not reaches_end[k] or (self.tells_leads_apart and not reaches_end[k + len(self.stages)]):
                raise ValueError(
                    f"stages[{k}] '{stage.name}': no deal ever gets out of it, neither won nor lost; "
                    "conversion, back and nurture must leave a way out"
                )

    def _journeys_are_possible(self) -> None:
        """Refuse stages that contradict each other; ValueError names stage, value and what is allowed."""
        names = [stage.name for stage in self.stages]
        where = [f"stages[{k}] '{name}'" for k, name in enumerate(names)]
        for k, stage in enumerate(self.stages):
            for name in stage.back:
                if name not in names[: k + 1]:
                    allowed = listed(names[: k + 1])
                    raise ValueError(f"{where[k]}: back names '{name}'; it must be one of {allowed}")
                if self.stages[names.index(name)].role != stage.role:
                    raise ValueError(
                        f"{where[k]}: back to '{name}' would hand the deal back to another role; "
                        "send it to nurture instead"
                    )
            if stage.qualification is not None and (
                stage.conversion is not None or stage.close_probability is not None or stage.back
            ):
                raise ValueError(
                    f"{where[k]}: a stage that qualifies has neither conversion, close_probability nor back; "
                    "sensitivity and specificity say what moves on"
                )
            aside = sum(stage.back.values()) + stage.nurture
            if (aside or self.tells_leads_apart) and stage.close_probability is not None:
                raise ValueError(
                    f"{where[k]}: give conversion instead of close_probability where deals go back, rest in "
                    "nurture, or leads are told apart by whether they are ready"
                )
            most = max([stage.conversion or 0.0, *self._own_conversions(stage.name)])
            if stage.qualification is None and most + aside > 1 + 1e-9:
                raise ValueError(
                    f"{where[k]}: conversion, back and nurture add up to {most + aside:g}; "
                    "at most 1 can leave"
                )
            to_nurture = stage.nurture > 0 or (stage.qualification or _NOTHING).stopped == "nurture"
            if to_nurture and self.nurture is None:
                raise ValueError(f"{where[k]}: deals go to nurture; give the segment's nurture")
        if self.nurture is not None and self.nurture.returns_to not in (None, *names):
            raise ValueError(
                f"nurture.returns_to is '{self.nurture.returns_to}'; "
                f"it must be one of the stages: {listed(names)}"
            )
        for index, source in enumerate(self.sources):
            for name in source.conversions:
                _known(f"sources[{index}].conversions", name, names, "stages")
                if self.stages[names.index(name)].qualification is not None:
                    raise ValueError(f"sources[{index}].conversions: '{name}' is a stage that qualifies")
        roles = [stage.role for stage in self.stages]
        if None in roles and any(roles):
            unnamed = names[roles.index(None)]
            raise ValueError(f"stages '{unnamed}' has no role; name a role in every stage or in none")
        for k, role in enumerate(roles):
            if role in roles[:k] and roles[k - 1] != role:
                raise ValueError(
                    f"{where[k]}: the hand-over comes back to role '{role}'; a deal is handed on, not back"
                )

    def _own_conversions(self, stage: str) -> list[float]:
        return [source.conversions[stage] for source in self.sources if stage in source.conversions]

    @property
    def tells_leads_apart(self) -> bool:
        """Whether leads are ready or not, or all alike."""
        return self.ready_share is not None or any(
            [
                *(stage.qualification is not None for stage in self.stages),
                *(source.ready_share is not None for source in self.sources),
            ]
        )

    def ready_share_of(self, source: Source | None = None) -> float:
        """Share of the leads of a source (left out: of the segment) that are ready; 1 where all are alike."""
        if not self.tells_leads_apart:
            return 1.0
        if source is not None and source.ready_share is not None:
            return source.ready_share
        return READY_SHARE if self.ready_share is None else self.ready_share

    @property
    def is_linear(self) -> bool:
        """Whether deals only move on or are lost, and all leads are alike: the plain funnel."""
        return not self.tells_leads_apart and not any(stage.back or stage.nurture for stage in self.stages)

    def journey(self, source: Source | None = None) -> FloatArray:
        """Where leads go next from each place: a Markov chain of the journey [A5].

        Args:
            source: whose conversions are used; left out: those of the stages.

        Returns:
            Array of shape (places, places + 2). Places are the stages with ready leads, the stages with leads
            that are not ready, then nurture; the last two columns are won and lost. Rows add up to 1.

        >>> two = (Stage(name="a", conversion=0.5), Stage(name="b", conversion=0.2, back={"a": 0.3}))
        >>> s = Segment(name="x", stages=two, sources=(), deal_size=DealSize(mean=1.0, cv=0.0))
        >>> s.journey()[1].round(2).tolist()  # from stage b: back to a, won, lost
        [0.3, 0.0, 0.0, 0.0, 0.0, 0.2, 0.5]
        """
        number = len(self.stages)
        names = [stage.name for stage in self.stages]
        nurture, won, lost = 2 * number, 2 * number + 1, 2 * number + 2
        chain = np.zeros((2 * number + 1, 2 * number + 3))
        plain = self._plain_conversions()
        for ready in (True, False):
            first = 0 if ready else number
            for k, stage in enumerate(self.stages):
                row = chain[first + k]
                onward = won if k == number - 1 else first + k + 1
                if (check := stage.qualification) is not None:
                    moves = check.sensitivity if ready else 1 - check.specificity
                    row[onward] += moves
                    row[nurture if check.stopped == "nurture" else lost] += 1 - moves
                    continue
                own = source.conversions.get(stage.name) if source is not None else None
                conversion = plain[k] if own is None else own
                row[onward] += conversion if ready else conversion * self.unready_conversion
                for name, share in stage.back.items():
                    row[first + names.index(name)] += share
                row[nurture] += stage.nurture
                row[lost] += max(1 - row.sum(), 0.0)
        if self.nurture is not None:
            target = 0 if self.nurture.returns_to is None else names.index(self.nurture.returns_to)
            chain[nurture, target] = self.nurture.return_share
        chain[nurture, lost] = 1 - chain[nurture].sum()
        return chain

    def _plain_conversions(self) -> FloatArray:
        """Conversion of each stage as written, or as it follows from close probabilities; (stages,)."""
        found = np.ones(len(self.stages))
        later = 1.0
        for k in range(len(self.stages) - 1, -1, -1):
            stage = self.stages[k]
            if stage.close_probability is not None:
                found[k] = min(stage.close_probability / later, 1.0) if later > 0 else 0.0
                later = stage.close_probability
            elif stage.conversion is not None:
                found[k] = stage.conversion
                later *= stage.conversion
        return found

    def close_probabilities(self, source: Source | None = None) -> FloatArray:
        """Chance that a deal entering each stage is won in the end, shape (stages,) [A2].

        Where leads are told apart, the mix of ready and other leads that enters the stage is meant (NaN
        where none ever does); at the first stage that of new leads, without those back from nurture.
        ``source``: whose conversions are used; left out: those of the stages.

        >>> two = (Stage(name="cold", close_probability=0.10), Stage(name="closing", close_probability=0.75))
        >>> s = Segment(name="SMB", stages=two, sources=(), deal_size=DealSize(mean=1.0, cv=0.0))
        >>> s.close_probabilities().tolist(), s.conversions().round(4).tolist()
        ([0.1, 0.75], [0.1333, 0.75])
        """
        if self.is_linear and not (source and source.conversions):
            chances = np.ones(len(self.stages) + 1)
            for index in range(len(self.stages) - 1, -1, -1):
                stage = self.stages[index]
                if stage.close_probability is not None:
                    chances[index] = stage.close_probability
                else:
                    assert stage.conversion is not None  # checked when the segment was made
                    chances[index] = stage.conversion * chances[index + 1]
            return chances[:-1]
        chain, visits = self.journey(source), self.visits(source)
        number = len(self.stages)
        won = np.linalg.solve(np.eye(len(chain)) - chain[:, : len(chain)], chain[:, len(chain)])
        chances = _mixed(np.asarray(won[:number]), np.asarray(won[number:-1]), visits)
        ready = self.ready_share_of(source)
        chances[0] = ready * won[0] + (1 - ready) * won[number]
        return chances

    def conversions(self, source: Source | None = None) -> FloatArray:
        """Share of deals leaving each stage that move on, shape (stages,); from the last stage: share won
        [A7]. Where leads are told apart: of the mix that is there (NaN where none ever is)."""
        if self.is_linear and not (source and source.conversions):
            chances = np.append(self.close_probabilities(), 1.0)
            following = np.where(chances[1:] > 0, chances[1:], 1.0)
            return np.minimum(chances[:-1] / following, 1.0)
        chain, number = self.journey(source), len(self.stages)
        moves = [
            np.array(
                [
                    chain[first + k, 2 * number + 1 if k == number - 1 else first + k + 1]
                    for k in range(number)
                ]
            )
            for first in (0, number)
        ]
        return _mixed(moves[0], moves[1], self.visits(source))

    def visits(self, source: Source | None = None) -> FloatArray:
        """Expected visits of one lead to each place of :meth:`journey`, shape (places,)."""
        chain = self.journey(source)
        start = np.zeros(len(chain))
        start[0] = self.ready_share_of(source)
        start[len(self.stages)] = 1 - start[0]
        return np.asarray(np.linalg.solve(np.eye(len(chain)) - chain[:, : len(chain)].T, start))

    def stage_index(self, name: str) -> int:
        """Position of a stage by name."""
        return [stage.name for stage in self.stages].index(name)


class Ramp(Part):
    """How productive a new rep is by tenure [C1, C2]: one of three shapes, after training without leads."""

    training_weeks: Annotated[Whole, Field(ge=0, le=104, json_schema_extra={"unit": "weeks"})] = 0
    """Weeks of training and certification before the first lead; the shape starts after them."""
    linear_weeks: Annotated[Positive | None, Field(json_schema_extra={"unit": "weeks"})] = None
    """Straight line to full productivity over so many weeks."""
    by_month: tuple[Share, ...] = ()
    """Productivity in each month of tenure; full afterwards."""
    half_productive_week: Annotated[Positive | None, Field(json_schema_extra={"unit": "weeks"})] = None
    """S-curve: week in which half of full productivity is reached."""
    fully_productive_week: Annotated[Positive | None, Field(json_schema_extra={"unit": "weeks"})] = None
    """S-curve: week in which 95 % of full productivity is reached."""

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        s_curve = (self.half_productive_week, self.fully_productive_week)
        shapes = [self.linear_weeks is not None, bool(self.by_month), s_curve != (None, None)]
        if sum(shapes) > 1:
            raise ValueError(
                "give one shape: linear_weeks, by_month, or half_productive_week with fully_productive_week"
            )
        half, full = s_curve
        if (half is None) != (full is None) or (half is not None and full is not None and half >= full):
            raise ValueError("an S-curve needs half_productive_week and a later fully_productive_week")
        return self

    def productivity(self, tenure_weeks: npt.ArrayLike) -> FloatArray:
        """Share of a fully ramped rep's productivity by week of tenure.

        Args:
            tenure_weeks: whole weeks since the start date, any shape; below 0: not there yet.

        Returns:
            Array of the same shape, 0 to 1. With ``linear_weeks=26`` the first week has 1/26.

        >>> Ramp(linear_weeks=26.0).productivity([-1, 0, 12, 25, 30]).round(3).tolist()
        [0.0, 0.038, 0.5, 1.0, 1.0]
        >>> Ramp(training_weeks=4, by_month=(0.25, 0.5)).productivity([3, 4, 9, 20]).tolist()
        [0.0, 0.25, 0.5, 1.0]
        """
        tenure = np.asarray(tenure_weeks, dtype=np.float64)
        worked = tenure - self.training_weeks
        if self.linear_weeks is not None:
            level = np.clip((worked + 1) / self.linear_weeks, 0, 1)
        elif self.by_month:
            month = np.floor(np.maximum(worked, 0) / WEEKS_PER_MONTH).astype(int)
            level = np.append(np.asarray(self.by_month), 1.0)[np.minimum(month, len(self.by_month))]
        elif self.half_productive_week is not None and self.fully_productive_week is not None:
            steepness = math.log(19) / (self.fully_productive_week - self.half_productive_week)
            level = 1 / (1 + np.exp(-steepness * (worked - self.half_productive_week)))
        else:
            level = np.ones_like(worked)
        return np.where(worked >= 0, level, 0.0)

    def weeks_to_full(self) -> int:
        """Weeks of tenure until 95 % of full productivity, training included.

        >>> Ramp(training_weeks=2, linear_weeks=26.0).weeks_to_full()
        26
        """
        weeks = np.arange(0, 521)
        reached = np.flatnonzero(self.productivity(weeks) >= 0.95 - 1e-9)
        return int(reached[0]) if len(reached) else int(weeks[-1])


#: Ramp of newcomers where a company states none: the median of 5.0 to 5.7 months that the Bridge Group
#: reported in 2024 (read in a secondary source).
DEFAULT_RAMP = Ramp(linear_weeks=24.0)

#: The default criteria of [A3].
DEFAULT_CRITERIA = (
    Criterion(
        name="decision maker",
        question="Do we talk to somebody with interest and power inside the company?",
        evidence="name and role of the decision maker in the CRM",
    ),
    Criterion(
        name="pain",
        question="Do the company and this person recognise a problem that needs a solution?",
        evidence="the problem in the customer's own words, dated",
    ),
    Criterion(
        name="fit",
        question="Do product and price meet what they expect, with nothing that blocks?",
        evidence="list of requirements, each answered",
    ),
    Criterion(
        name="value",
        question="Does the customer understand the value in the way that we promise it?",
        evidence="the customer's own estimate of what it is worth",
    ),
    Criterion(
        name="next step",
        question="Is a next step agreed, with a date, and a purchase within two months?",
        evidence="date of the next step and of the intended purchase",
    ),
)


class Capacity(Part):
    """How much a rep can work on at once [A6]: so many open deals, or so many hours a week."""

    open_deals: Annotated[Whole | None, Field(ge=1, json_schema_extra={"unit": "deals"})] = None
    """Most deals that a rep works on at the same time."""
    hours_per_week: Annotated[
        Positive | None, Field(le=168, json_schema_extra={"unit": "hours per week"})
    ] = None
    """Hours that a rep has for deals; a deal takes the hours_per_week of its stage."""
    surplus: Literal["waits", "lost"] = "waits"
    """What happens to leads for which there is no room: they wait, or are lost at once."""
    leave_per_week: Share = 0.1
    """Share of the waiting leads that loses patience each week."""
    ramps: bool = False
    """Whether the limit of a rep who is still ramping is smaller in proportion."""

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.open_deals is None) == (self.hours_per_week is None):
            raise ValueError("give either open_deals or hours_per_week")
        return self


class Role(Part):
    """A kind of seller [D1] with the ramp of its newcomers, its capacity and its attrition."""

    name: Name
    """Name of the role, such as 'account executive'."""
    ramp: Ramp = Ramp()
    """Productivity of newcomers by tenure; left out: full from the first day."""
    hiring_lead_weeks: Annotated[Whole, Field(ge=0, le=104, json_schema_extra={"unit": "weeks"})] = 0
    """Weeks from deciding to hire until the start date [C3]."""
    capacity: Capacity | None = None
    """How much one of them can work on at once; left out: no limit."""
    attrition_per_year: Annotated[Share, Field(lt=1)] = 0.0
    """Share of them who leave within a year, at an even rate."""
    backfill_weeks: Annotated[Whole | None, Field(ge=0, le=520, json_schema_extra={"unit": "weeks"})] = None
    """Weeks that the seat of a leaver stays empty until a successor starts to ramp; left out: as many as
    hiring_lead_weeks."""
    open_deals_kept: Share = 0.5
    """Share of a leaver's open deals that go on in the seat; the others are lost. An assumption to be set."""


class Rep(Part):
    """A seller with a quota."""

    name: Name
    """Name, unique in the team."""
    role: Name
    """Role of the rep."""
    manager: str = ""
    """Manager the rep reports to."""
    region: str = ""
    """Region or office."""
    start: date | None = None
    """First working day; left out: fully ramped when the horizon begins."""
    end: date | None = None
    """Last working day; left out: stays."""
    segments: dict[Name, NonNegative] | None = None
    """Leads that the rep gets per segment, relative to an average rep (1); left out: 1 in every segment."""
    skill_mean: Positive = 1.0
    """Expected productivity relative to an average rep, from history (partially pooled)."""
    skill_cv: NonNegative | None = None
    """What is still unknown about this rep's skill (cv); left out: that of an unknown rep of the market."""

    @model_validator(mode="after")
    def _starts_before_end(self) -> Self:
        if self.start and self.end and self.end < self.start:
            raise ValueError(f"end {self.end} is before start {self.start}")
        return self


class Hire(Part):
    """Sellers who will start later [C3]."""

    role: Name
    """Role of the new sellers."""
    start: date
    """First working day."""
    count: Annotated[Whole, Field(ge=1, le=1000, json_schema_extra={"unit": "people"})] = 1
    """How many start on that day."""
    segments: dict[Name, NonNegative] | None = None
    """Leads per segment relative to an average rep; left out: 1 in every segment."""


class Promotion(Part):
    """A rep who changes role: the ramp of the new role starts anew, the old seat empties."""

    rep: Name
    """Who is promoted."""
    start: date
    """First day in the new role."""
    role: Name
    """The new role."""
    backfill_weeks: Annotated[Whole | None, Field(ge=0, le=520, json_schema_extra={"unit": "weeks"})] = None
    """Weeks until a newcomer starts in the old seat; left out: the seat is not filled."""


class Training(Part):
    """Dates on which a team is trained or certified and does not sell [C2]."""

    start: date
    """First day."""
    weeks: Annotated[Whole, Field(ge=1, le=52, json_schema_extra={"unit": "weeks"})] = 1
    """How many weeks it goes on."""
    roles: tuple[Name, ...] = ()
    """Roles that take part; left out: all."""
    time_share: Share = 1.0
    """Share of the working time that it takes."""


class PullForward(Part):
    """Deals closed early, at a discount, by reps who are close to their accelerator at quarter end.

    Larkin (2014) found that such timing games cost 6 to 8 % of revenue.
    """

    share: Share
    """Share of the deals in the last stage that such a rep closes in the last week of the quarter."""
    accelerator_at: Positive = 1.0
    """Attainment from which the accelerator pays."""
    within: Annotated[NonNegative, Field(le=1)] = 0.2
    """How far below it, in attainment, a rep tries."""
    discount: Share = 0.1
    """Discount given on a deal that is pulled forward."""


class PushBack(Part):
    """Wins held over to the next quarter by reps who cannot make their quota any more."""

    share: Share
    """Share of such a rep's wins in the last weeks of the quarter that is held over."""
    below: NonNegative = 0.6
    """Attainment below which a rep gives the quarter up."""
    weeks: Annotated[Whole, Field(ge=1, le=6, json_schema_extra={"unit": "weeks"})] = 2
    """Last weeks of the quarter in which it happens."""


class LeaveAfterMisses(Part):
    """Reps who leave when they have missed their quota several quarters in a row."""

    misses: Annotated[Whole, Field(ge=1, le=8, json_schema_extra={"unit": "quarters"})] = 2
    """Quarters in a row below quota."""
    share: Share = 0.25
    """Share of them who leave at the end of that quarter."""


class Behaviours(Part):
    """What quotas and pay do to people; all off unless written, and used only where quotas are given."""

    pull_forward: PullForward | None = None
    """Deals pulled forward near an accelerator."""
    push_back: PushBack | None = None
    """Deals pushed back where the quota is out of reach."""
    leave_after_misses: LeaveAfterMisses | None = None
    """Reps who leave after repeated misses."""

    @property
    def any(self) -> bool:
        """Whether one of them is on."""
        return any((self.pull_forward, self.push_back, self.leave_after_misses))


class Market(Part):
    """What all sellers share, and how much sellers differ."""

    shock_cv: Annotated[NonNegative, Field(le=2, json_schema_extra={"unit": "cv"})] = 0.0
    """Spread of demand between quarters beyond season: cv of a factor (lognormal, mean 1) on all leads that
    arrive in a quarter."""
    shock_persistence: Annotated[Share, Field(lt=1)] = 0.0
    """How much of a quarter's shock is left in the next: correlation of the logarithms of neighbouring
    quarters' factors."""
    skill_cv: Annotated[NonNegative, Field(le=3, json_schema_extra={"unit": "cv"})] = 0.0
    """Spread of productivity between reps: cv of a gamma law with mean 1."""
    level_cv: Annotated[NonNegative, Field(le=2, json_schema_extra={"unit": "cv"})] = 0.0
    """Doubt about the level of the whole market: cv of one factor (lognormal, mean 1) on all leads of all
    quarters. Calibration puts the errors of its estimates here: ranges become as wide as we are unsure."""


class OpenDeal(Part):
    """One deal, or several alike, in the pipeline when the horizon begins."""

    rep: Name
    """Rep who owns it."""
    segment: Name
    """Segment it belongs to."""
    stage: Name
    """Stage it is in."""
    weeks_in_stage: Annotated[Whole, Field(ge=0, json_schema_extra={"unit": "weeks"})]
    """Full weeks that it has been in that stage."""
    amount: Annotated[NonNegative | None, Field(json_schema_extra={"unit": "currency"})] = None
    """Its expected amount; left out: drawn from the segment's deal size."""
    deals: Annotated[Whole, Field(ge=1, json_schema_extra={"unit": "deals"})] = 1
    """How many such deals there are."""


class Contract(Part):
    """What marketing and sales have agreed that a lead must carry before it counts as an MQL or an SQL [A9].

    >>> DEFAULT_CONTRACTS[0].stage, DEFAULT_CONTRACTS[0].fields
    ('MQL', ('company', 'industry', 'company_size', 'contact', 'position'))
    """

    stage: Literal["MQL", "SQL"]
    """Which step of a lead the contract is about."""
    fields: Annotated[tuple[ContractField, ...], Field(min_length=1)]
    """Fields that must be filled in the CRM."""
    sources: tuple[Name, ...] = ()
    """Sources whose leads it is about; empty: all that have no contract of their own."""


#: The default contracts of [A9]; an SQL must also be reachable.
DEFAULT_CONTRACTS = (
    Contract(stage="MQL", fields=("company", "industry", "company_size", "contact", "position")),
    Contract(stage="SQL", fields=("company", "industry", "company_size", "contact", "position", "email")),
)


class Scenario(Part):
    """A market, funnels and a team over some quarters: all that the simulator needs to know.

    >>> tiny = Scenario.from_yaml('''
    ... name: one rep
    ... currency: EUR
    ... calendar: {first_quarter: 2026Q1, quarters: 4}
    ... segments:
    ...   - name: all
    ...     stages: [{name: opportunity, conversion: 0.25, dwell_weeks: 6}]
    ...     sources: [{name: outbound, kind: self-sourced, leads_per_week: 2}]
    ...     deal_size: {mean: 20000, cv: 1}
    ... roles: [{name: AE}]
    ... reps: [{name: Rep 1, role: AE}]
    ... ''')
    >>> tiny.team()[0].name, tiny.segments[0].conversions().tolist()
    ('Rep 1', [0.25])
    """

    name: Name
    """Name shown in reports."""
    description: str = ""
    """What this scenario is about, in a sentence or two."""
    made_up: bool = False
    """True for invented examples; reports then say so on every page."""
    currency: CurrencyCode
    """Three-letter ISO code of all amounts."""
    calendar: Calendar
    """The quarters simulated."""
    criteria: tuple[Criterion, ...] = ()
    """Qualification criteria that stages refer to."""
    contracts: tuple[Contract, ...] = DEFAULT_CONTRACTS
    """What a lead must carry to count as an MQL or an SQL."""
    exchange_rates: dict[CurrencyCode, Positive] = Field(default_factory=dict)
    """What one unit of another currency is worth in the scenario's own, such as {USD: 0.92}."""
    segments: Annotated[tuple[Segment, ...], Field(min_length=1)]
    """Customer segments, each with its own funnel."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    """Roles in the team."""
    reps: tuple[Rep, ...] = ()
    """The team today."""
    hires: tuple[Hire, ...] = ()
    """Planned hires."""
    promotions: tuple[Promotion, ...] = ()
    """Reps who will change role."""
    trainings: tuple[Training, ...] = ()
    """Dates on which the team is trained and does not sell."""
    market: Market = Market()
    """Shared luck, and spread between sellers."""
    behaviours: Behaviours = Behaviours()
    """What quotas do to people; off unless written."""
    pipeline: tuple[OpenDeal, ...] = ()
    """Deals that are open when the horizon begins."""

    @model_validator(mode="after")
    def _names_refer_to_something(self) -> Self:
        segments = _unique("segments", [segment.name for segment in self.segments])
        roles = _unique("roles", [role.name for role in self.roles])
        present = [rep.name for rep in self.reps]
        for p, promotion in enumerate(self.promotions):
            _known(f"promotions[{p}].rep", promotion.rep, present, "reps")
            _known(f"promotions[{p}].role", promotion.role, roles, "roles")
        _unique("promotions", [promotion.rep for promotion in self.promotions])
        for t, training in enumerate(self.trainings):
            for name in training.roles:
                _known(f"trainings[{t}].roles", name, roles, "roles")
        criteria = _unique("criteria", [criterion.name for criterion in self.criteria])
        team = _unique("reps", [rep.name for rep in self.team()])
        for s, segment in enumerate(self.segments):
            for k, stage in enumerate(segment.stages):
                for name in stage.exit_criteria:
                    _known(f"segments[{s}].stages[{k}].exit_criteria", name, criteria, "criteria")
        for r, rep in enumerate(self.reps):
            _known(f"reps[{r}].role", rep.role, roles, "roles")
            for name in rep.segments or {}:
                _known(f"reps[{r}].segments", name, segments, "segments")
        begins = self.calendar.worked_periods()[0].start
        for h, hire in enumerate(self.hires):
            _known(f"hires[{h}].role", hire.role, roles, "roles")
            if hire.start < begins:
                raise ValueError(
                    f"hires[{h}].start is {hire.start}, before the scenario begins ({begins}); "
                    "list people who have started under reps, with their start date"
                )
            for name in hire.segments or {}:
                _known(f"hires[{h}].segments", name, segments, "segments")
        stages = {segment.name: [stage.name for stage in segment.stages] for segment in self.segments}
        for p, deal in enumerate(self.pipeline):
            _known(f"pipeline[{p}].rep", deal.rep, team, "reps")
            _known(f"pipeline[{p}].segment", deal.segment, segments, "segments")
            _known(f"pipeline[{p}].stage", deal.stage, stages[deal.segment], "stages")
        if self.pipeline and self.calendar.quarters_before:
            raise ValueError("calendar.quarters_before must be 0 where pipeline lists the open deals")
        if not team:
            raise ValueError("reps is empty; a scenario needs at least one rep or hire")
        staffed = {rep.role for rep in self.team()}
        for s, segment in enumerate(self.segments):
            for k, stage in enumerate(segment.stages):
                where = f"segments[{s}].stages[{k}] '{stage.name}'"
                if stage.role is not None:
                    _known(f"{where}.role", stage.role, roles, "roles")
                    if stage.role not in staffed:
                        raise ValueError(
                            f"{where}: nobody in the team has the role '{stage.role}' that works it"
                        )
        self._hours_are_known()
        return self

    def _hours_are_known(self) -> None:
        for role in self.roles:
            if role.capacity is None or role.capacity.hours_per_week is None:
                continue
            for s, segment in enumerate(self.segments):
                worked = [stage for stage in segment.stages if stage.role in (None, role.name)]
                if worked and not any(stage.hours_per_week for stage in worked):
                    raise ValueError(
                        f"role '{role.name}' has {role.capacity.hours_per_week:g} hours per week, but no "
                        f"stage of segments[{s}] '{segment.name}' says what a deal takes: "
                        "give stages hours_per_week"
                    )

    def team(self) -> tuple[Rep, ...]:
        """All sellers of the horizon: today's reps, then one per planned hire.

        Hires are named by role and start month, so that one more hire leaves the names of all others
        (and with them their luck in the simulation) as they are.
        """
        newcomers = [
            Rep(
                name=f"{hire.role} hired {hire.start:%Y-%m-%d} #{number + 1}",
                role=hire.role,
                start=hire.start,
                segments=hire.segments,
            )
            for hire in self.hires
            for number in range(hire.count)
        ]
        return self._reps_after_promotions() + tuple(newcomers)

    def _reps_after_promotions(self) -> tuple[Rep, ...]:
        """Today's reps; each promoted one ends in the old seat and starts, ramping, in a new one."""
        if not self.promotions:
            return self.reps
        team = {rep.name: rep for rep in self.reps}
        for promotion in self.promotions:
            rep = team[promotion.rep]
            team[rep.name] = rep.model_copy(update={"end": promotion.start - timedelta(days=1)})
            name = f"{rep.name} as {promotion.role}"
            changed = {"name": name, "role": promotion.role, "start": promotion.start}
            team[name] = rep.model_copy(update=changed)
            if promotion.backfill_weeks is not None:
                name = f"successor of {rep.name}"
                start = promotion.start + timedelta(weeks=promotion.backfill_weeks)
                team[name] = Rep(name=name, role=rep.role, start=start, segments=rep.segments)
        return tuple(team.values())

    def role(self, name: str) -> Role:
        """The role with this name."""
        return next(role for role in self.roles if role.name == name)

    def segment(self, name: str) -> Segment:
        """The segment with this name; ScenarioError where there is none."""
        for segment in self.segments:
            if segment.name == name:
                return segment
        known = listed([segment.name for segment in self.segments])
        raise ScenarioError(f"scenario '{self.name}': no segment '{name}'; it has {known}")

    def capacity(self, quarters: Sequence[Quarter] | None = None) -> FloatArray:
        """Productivity of each rep by week, from ramp, start and end dates; shape (reps, weeks).

        1 is a fully ramped rep; skill, season and market are not in it. ``quarters``: the weeks to cover;
        left out: the horizon.
        """
        weeks = self._week_starts(quarters)
        levels = np.ones((len(self.team()), len(weeks)))
        for index, rep in enumerate(self.team()):
            if rep.start is not None:
                # to the nearest week: quarters are a day or so longer than thirteen weeks
                tenure = np.round((weeks - np.datetime64(rep.start, "D")).astype(float) / 7)
                levels[index] = self.role(rep.role).ramp.productivity(tenure)
        return levels * self.headcount(quarters) * self.time_to_sell(quarters)

    def time_to_sell(self, quarters: Sequence[Quarter] | None = None) -> FloatArray:
        """Share of the working time that trainings leave to each rep by week, shape (reps, weeks)."""
        weeks = self._week_starts(quarters)
        share = np.ones((len(self.team()), len(weeks)))
        for training in self.trainings:
            # a week counts when the training falls on most of it
            middle = weeks + np.timedelta64(3, "D")
            begin = np.datetime64(training.start, "D")
            inside = (middle >= begin) & (middle < begin + np.timedelta64(7 * training.weeks, "D"))
            takes_part = np.array([not training.roles or rep.role in training.roles for rep in self.team()])
            share[np.ix_(takes_part, inside)] *= 1 - training.time_share
        return share

    def headcount(self, quarters: Sequence[Quarter] | None = None) -> FloatArray:
        """Whether each rep is on the payroll in a week (0 or 1), shape (reps, weeks)."""
        weeks = self._week_starts(quarters)
        present = np.ones((len(self.team()), len(weeks)))
        for index, rep in enumerate(self.team()):
            if rep.start is not None:
                present[index] *= weeks >= np.datetime64(rep.start, "D")
            if rep.end is not None:
                present[index] *= weeks <= np.datetime64(rep.end, "D")
        return present

    def _week_starts(self, quarters: Sequence[Quarter] | None) -> npt.NDArray[np.datetime64]:
        chosen = self.calendar.periods() if quarters is None else quarters
        return np.array([day for quarter in chosen for day in quarter.week_starts()], dtype="datetime64[D]")

    @classmethod
    def from_yaml(cls, text: str, *, where: str = "scenario") -> Scenario:
        """Read a scenario from YAML text; ScenarioError names field, value and what is allowed."""
        return validated(
            cls, load_yaml(text, where=where, error=ScenarioError), where=where, error=ScenarioError
        )

    @classmethod
    def load(cls, path: str | Path) -> Scenario:
        """Read a scenario file; ScenarioError names file, field, value and what is allowed."""
        return cls.from_yaml(read_text(path, error=ScenarioError), where=str(path))

    def to_yaml(self) -> str:
        """Write the scenario as YAML, leaving out what equals its default."""
        return dump_yaml(self.model_dump(mode="json", exclude_defaults=True))


def scenario_schema() -> str:
    """The JSON schema of a scenario, as text, for editors that complete and check YAML.

    >>> '"title": "Scenario"' in scenario_schema()
    True
    """
    return json.dumps(Scenario.model_json_schema(), indent=1, ensure_ascii=False) + "\n"


def _unique(field: str, names: Sequence[str]) -> list[str]:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ValueError(f"{field}: the name '{name}' stands twice; names must be unique")
    return list(names)


def _stretched(shares: FloatArray, factor: float) -> FloatArray:
    """Shares by week with every week multiplied by a factor, split between the two weeks next to it."""
    if factor == 1:
        return shares
    place = np.arange(len(shares)) * factor
    left = np.floor(place).astype(int)
    law = np.zeros(left[-1] + 2)
    np.add.at(law, left, shares * (left + 1 - place))
    np.add.at(law, left + 1, shares * (place - left))
    return law


def _mixed(ready: FloatArray, other: FloatArray, visits: FloatArray) -> FloatArray:
    """Average over ready and other leads by how often each visits the stages; NaN where nobody does."""
    weights = np.array([visits[: len(ready)], visits[len(ready) : -1]])
    total = weights.sum(axis=0)
    mean = (weights * [ready, other]).sum(axis=0) / np.where(total > 0, total, 1.0)
    return np.where(total > 0, mean, np.nan)


def _known(field: str, name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        raise ValueError(f"{field} is '{name}'; it must be one of the {what}: {listed(known)}")
