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
from datetime import date
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
    "DEFAULT_CRITERIA",
    "DEFAULT_RAMP",
    "Calendar",
    "Criterion",
    "DealSize",
    "Hire",
    "Market",
    "OpenDeal",
    "Ramp",
    "Rep",
    "Role",
    "Scenario",
    "Seasonality",
    "Segment",
    "Source",
    "Stage",
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

WEEKS_PER_MONTH = 52 / 12


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


class Stage(Part):
    """A qualifying stage: what is known about the customer, not what the seller did [A2].

    Either ``conversion`` or ``close_probability`` is written; the segment derives the other.
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

    def dwell_shares(self, *, lost: bool = False, tail: float = 1e-9) -> FloatArray:
        """Share of deals leaving the stage by week after entering it.

        Args:
            lost: time of the deals that are lost here instead of those that move on.
            tail: a geometric law is cut where less than this share is left (and rescaled).

        Returns:
            Array of shape (weeks,), adding up to 1; entry 0 is the week of arrival.

        >>> Stage(name="a", conversion=0.5, dwell_weeks=2.0).dwell_shares()[:4].round(4).tolist()
        [0.0, 0.5, 0.25, 0.125]
        """
        law = self.lost_dwell_weeks if lost and self.lost_dwell_weeks is not None else self.dwell_weeks
        if isinstance(law, tuple):
            return np.asarray(law, dtype=np.float64) / sum(law)
        if law == 1:
            return np.array([0.0, 1.0])
        leave = 1 / law
        weeks = math.ceil(math.log(tail) / math.log1p(-leave))
        shares: FloatArray = np.concatenate([[0.0], leave * (1 - leave) ** np.arange(weeks)])
        return np.asarray(shares / shares.sum())


class Source(Part):
    """Where leads of a segment come from."""

    name: Name
    """Name of the source, such as 'website' or 'outbound'."""
    kind: Literal["inbound", "self-sourced"]
    """inbound: a team total, shared out by ramped capacity, so hiring does not create demand;
    self-sourced: found by each rep, grows with the team."""
    leads_per_week: Annotated[NonNegative, Field(json_schema_extra={"unit": "leads per week"})]
    """inbound: leads of the whole team per week; self-sourced: leads per fully ramped rep and week."""


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
    """How demand moves over the year and within a quarter, as factors around 1."""

    by_quarter: tuple[NonNegative, NonNegative, NonNegative, NonNegative] = (1.0, 1.0, 1.0, 1.0)
    """Leads in fiscal quarters 1 to 4 relative to the mean quarter; the mean of the four is 1."""
    by_month_of_quarter: tuple[NonNegative, NonNegative, NonNegative] = (1.0, 1.0, 1.0)
    """Leads in the first, second and third month of a quarter relative to its mean; their mean is 1."""

    @field_validator("by_quarter", "by_month_of_quarter")
    @classmethod
    def _mean_is_one(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        mean = sum(value) / len(value)
        if abs(mean - 1) > 0.005:
            raise ValueError(f"factors must have mean 1 (their mean is {mean:.3f})")
        return value

    def factors(self, quarters: Sequence[Quarter]) -> FloatArray:
        """Factor on leads per week over a horizon, shape (quarters × 13,).

        >>> Seasonality(by_quarter=(0.8, 1.0, 0.9, 1.3)).factors([Quarter(2026, 4)])[:2].tolist()
        [1.3, 1.3]
        """
        within = np.asarray(self.by_month_of_quarter)[list(MONTH_OF_WEEK)]
        within = within / within.mean()  # months have four or five weeks; a quarter's total must not move
        return np.concatenate([self.by_quarter[quarter.number - 1] * within for quarter in quarters])


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

    @model_validator(mode="after")
    def _stages_fit_together(self) -> Self:
        _unique("stages", [stage.name for stage in self.stages])
        _unique("sources", [source.name for source in self.sources])
        later = 1.0
        for index in range(len(self.stages) - 1, -1, -1):
            stage = self.stages[index]
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
        return self

    def close_probabilities(self) -> FloatArray:
        """Chance that a deal entering each stage is won in the end, shape (stages,) [A2].

        >>> two = (Stage(name="cold", close_probability=0.10), Stage(name="closing", close_probability=0.75))
        >>> s = Segment(name="SMB", stages=two, sources=(), deal_size=DealSize(mean=1.0, cv=0.0))
        >>> s.close_probabilities().tolist(), s.conversions().round(4).tolist()
        ([0.1, 0.75], [0.1333, 0.75])
        """
        chances = np.ones(len(self.stages) + 1)
        for index in range(len(self.stages) - 1, -1, -1):
            stage = self.stages[index]
            if stage.close_probability is not None:
                chances[index] = stage.close_probability
            else:
                assert stage.conversion is not None  # checked when the segment was made
                chances[index] = stage.conversion * chances[index + 1]
        return chances[:-1]

    def conversions(self) -> FloatArray:
        """Share moving on from each stage, shape (stages,); from the last stage: share won [A7]."""
        chances = np.append(self.close_probabilities(), 1.0)
        following = np.where(chances[1:] > 0, chances[1:], 1.0)
        return np.minimum(chances[:-1] / following, 1.0)

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


class Role(Part):
    """A kind of seller [D1] with the ramp of its newcomers."""

    name: Name
    """Name of the role, such as 'account executive'."""
    ramp: Ramp = Ramp()
    """Productivity of newcomers by tenure; left out: full from the first day."""
    hiring_lead_weeks: Annotated[Whole, Field(ge=0, le=104, json_schema_extra={"unit": "weeks"})] = 0
    """Weeks from deciding to hire until the start date [C3]."""


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


class Market(Part):
    """What all sellers share, and how much sellers differ."""

    shock_cv: Annotated[NonNegative, Field(le=2, json_schema_extra={"unit": "cv"})] = 0.0
    """Spread of demand between quarters beyond season: cv of a factor (lognormal, mean 1) on all leads that
    arrive in a quarter."""
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
    currency: Annotated[str, Strict(), Field(pattern=r"^[A-Z]{3}$")]
    """Three-letter ISO code of all amounts."""
    calendar: Calendar
    """The quarters simulated."""
    criteria: tuple[Criterion, ...] = ()
    """Qualification criteria that stages refer to."""
    segments: Annotated[tuple[Segment, ...], Field(min_length=1)]
    """Customer segments, each with its own funnel."""
    roles: Annotated[tuple[Role, ...], Field(min_length=1)]
    """Roles in the team."""
    reps: tuple[Rep, ...] = ()
    """The team today."""
    hires: tuple[Hire, ...] = ()
    """Planned hires."""
    market: Market = Market()
    """Shared luck, and spread between sellers."""
    pipeline: tuple[OpenDeal, ...] = ()
    """Deals that are open when the horizon begins."""

    @model_validator(mode="after")
    def _names_refer_to_something(self) -> Self:
        segments = _unique("segments", [segment.name for segment in self.segments])
        roles = _unique("roles", [role.name for role in self.roles])
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
        for h, hire in enumerate(self.hires):
            _known(f"hires[{h}].role", hire.role, roles, "roles")
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
        return self

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
        return self.reps + tuple(newcomers)

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
        return levels * self.headcount(quarters)

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


def _known(field: str, name: str, known: Sequence[str], what: str) -> None:
    if name not in known:
        raise ValueError(f"{field} is '{name}'; it must be one of the {what}: {listed(known)}")
