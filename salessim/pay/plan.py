"""Pay plans: what a rep earns at which attainment, as data that a person can read and a file can hold.

A plan holds no randomness and no bookings. :func:`salessim.pay.pay_out` scores it on arrays,
:func:`salessim.pay.trace` on single deals to the cent.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from salessim.documents import Part, dump_yaml, load_yaml, read_text, validated
from salessim.errors import PlanError, listed
from salessim.model import Name, NonNegative, Positive, Share, Whole
from salessim.pay.schedule import schedule_warnings

__all__ = [
    "MONTHS",
    "PERIODS_PER_YEAR",
    "Clawback",
    "Draw",
    "PayPeriod",
    "PayPlan",
    "PlanSource",
    "RolePay",
    "Spif",
    "Tier",
    "load_plan",
    "shipped_plans",
]

PayPeriod = Literal["month", "quarter", "year"]

#: How often a plan pays in a year.
PERIODS_PER_YEAR: dict[str, int] = {"month": 12, "quarter": 4, "year": 1}
#: Months in a period.
MONTHS: dict[str, int] = {"month": 1, "quarter": 3, "year": 12}

_SHIPPED = Path(__file__).resolve().parents[1] / "library" / "pay"


class PlanSource(Part):
    """Who describes such a plan."""

    who: Name
    """Publication, firm or page."""
    year: Annotated[Whole, Field(ge=1900, le=2200)] | None = None
    """Year of publication; left out: the source states none."""
    grade: Literal["P", "S", "W"]
    """P: primary page read; S: secondary report of a named primary; W: weak, a page without a source."""


class Tier(Part):
    """A step of the commission schedule: it has a start only, so that gaps and overlaps cannot be written."""

    starts_at: Annotated[NonNegative, Field(json_schema_extra={"unit": "share of quota"})]
    """Attainment at which the tier begins (1.0 is quota); it ends where the next one begins."""
    multiple: NonNegative | None = None
    """Rate as a multiple of the base commission rate, which is target variable pay ÷ quota; 0 pays nothing. A
    tier from 100 % attainment on is an accelerator when its rate is above that just below 100 %."""
    rate: Annotated[Share | None, Field(json_schema_extra={"unit": "share of bookings"})] = None
    """Rate as a share of bookings; either this or ``multiple``."""
    retroactive: bool = False
    """When the tier is reached, its rate applies back to the first unit that counts. This makes a cliff."""


class Spif(Part):
    """A bonus per own deal, paid on top of commission: neither capped nor set against a draw.

    Own deals are those that the rep takes part in; a role paid on the team gets none for the team's deals.
    """

    name: Name
    """Name shown in the pay trace."""
    amount_per_deal: Annotated[Positive, Field(json_schema_extra={"unit": "currency"})]
    """Bonus for each deal that qualifies."""
    product: Name | None = None
    """Only deals of this product; left out: any."""
    minimum_deal_amount: Annotated[NonNegative, Field(json_schema_extra={"unit": "currency"})] = 0.0
    """Only deals of at least this amount."""
    first_day: date | None = None
    """Only deals closed on this day or later; left out: no beginning."""
    last_day: date | None = None
    """Only deals closed on this day or earlier; left out: no end."""
    expected_share: Share = 1.0
    """Share of won deals that will qualify by product and amount, used where single deals are not known."""


class Draw(Part):
    """A floor under the commission of a period net of clawback, advanced where it falls short.

    Recovery takes only from what is above the floor, so that pay never falls below base.
    """

    amount_per_month: Annotated[Positive, Field(json_schema_extra={"unit": "currency per month"})]
    """The floor for each month."""
    recoverable: bool = True
    """True: an advance that is taken back from later commission above the floor; False: a guarantee."""
    lasts_months: (
        Annotated[Whole, Field(ge=1, le=120, json_schema_extra={"unit": "months of tenure"})] | None
    ) = None
    """Months of tenure for which it is granted; left out: for everybody, always."""


class Clawback(Part):
    """Commission taken back when a customer leaves soon; a draw is measured on what is left."""

    window_days: Annotated[Whole, Field(ge=1, le=3650, json_schema_extra={"unit": "days"})]
    """Days after closing within which a leaving customer costs the rep commission."""
    share: Share = 1.0
    """Share of the deal's commission that is taken back."""


class RolePay(Part):
    """How one role is paid; amounts are per year of a rep who is there all year."""

    role: Name
    """Role of the reps, as the scenario or the CRM names it."""
    on_target_earnings: Annotated[Positive, Field(json_schema_extra={"unit": "currency per year"})]
    """OTE: base and variable pay together at 100 % attainment."""
    base_share: Share
    """Pay mix: base ÷ OTE."""
    tiers: tuple[Tier, ...] = (Tier(starts_at=0.0, multiple=1.0),)
    """The commission schedule; the first tier starts at 0, marginal unless a tier says retroactive."""
    threshold: Annotated[NonNegative, Field(json_schema_extra={"unit": "share of quota"})] = 0.0
    """No commission below this attainment."""
    threshold_counts_from: Literal["threshold", "first_unit"] = "threshold"
    """What counts once the threshold is reached: threshold: only what is above it (no cliff); first_unit: all
    bookings (a cliff)."""
    cap: Annotated[NonNegative | None, Field(json_schema_extra={"unit": "multiple of target variable"})] = (
        None
    )
    """Most commission, as a multiple of the target variable pay of the same time. (A cap on attainment is a
    last tier with multiple 0.)"""
    without_quota: Literal["none", "target", "first_tier"] = "none"
    """Commission of a period without quota: none; target: the target variable pay, guaranteed; first_tier:
    bookings × the rate of the first tier (which must be a rate)."""
    paid_on: Literal["own", "team"] = "own"
    """Whose bookings count: one's own, or those of the team's reps who are paid on their own."""
    spifs: tuple[Spif, ...] = ()
    """Bonuses per deal."""
    draw: Draw | None = None
    """Floor under commission."""
    clawback: Clawback | None = None
    """Commission taken back on churn."""

    @property
    def target_variable(self) -> float:
        """Variable pay per year at 100 % attainment, in currency: OTE × (1 − base share)."""
        return self.on_target_earnings * (1 - self.base_share)

    @property
    def annual_base(self) -> float:
        """Base pay per year, in currency."""
        return self.on_target_earnings * self.base_share


class PayPlan(Part):
    """What a company pays its sellers.

    >>> seller = RolePay(role="account executive", on_target_earnings=100_000.0, base_share=0.5)
    >>> plan = PayPlan(name="flat", roles=(seller,))
    >>> plan.role("account executive").target_variable, plan.periods_per_year
    (50000.0, 4)
    """

    name: Name
    """Name shown in reports."""
    description: str = ""
    """What the plan wants to bring about, for whom."""
    source: PlanSource | None = None
    """Who describes such a plan."""
    currency: Annotated[str | None, Field(pattern=r"^[A-Z]{3}$")] = None
    """ISO code; left out: that of the bookings."""
    period: PayPeriod = "quarter"
    """How often commission is settled and paid."""
    cumulative_within: Literal["quarter", "year"] | None = None
    """year: attainment is year to date, and each period pays what is due to date less what was paid; quarter:
    the same within a quarter; left out: each period stands alone."""
    splits: dict[Name, Share] = Field(default_factory=dict)
    """Share of a deal's amount credited to a rep of a role when several reps take part; roles left out are
    credited in full, and so is whoever sells alone."""
    roles: tuple[RolePay, ...]
    """Pay by role."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        # all rules that look at several fields stand here, because only here the position of a role is known
        for fault in _faults(self):
            raise ValueError(fault)
        return self

    @property
    def periods_per_year(self) -> int:
        """How often the plan pays in a year."""
        return PERIODS_PER_YEAR[self.period]

    def role(self, name: str) -> RolePay:
        """Pay of a role; PlanError names the roles there are."""
        for role in self.roles:
            if role.role == name:
                return role
        raise PlanError(
            f"plan '{self.name}' has no pay for the role '{name}'; "
            f"it pays {listed([role.role for role in self.roles])}"
        )

    def paid_by(self, period: PayPeriod) -> PayPlan:
        """The same plan settled by another period; annual and monthly amounts stay as they are.

        >>> seller = RolePay(role="AE", on_target_earnings=100_000.0, base_share=0.5)
        >>> PayPlan(name="flat", period="month", roles=(seller,)).paid_by("quarter").periods_per_year
        4
        """
        within = self.cumulative_within
        alone = within is None or MONTHS[within] <= MONTHS[period]
        return self.model_copy(update={"period": period, "cumulative_within": None if alone else within})

    def warnings(self) -> list[str]:
        """What a reader must know before signing: cliffs, pay that may fall, and a target that is not OTE.

        One sentence each, with role and figure; an empty list is a plan whose pay rises steadily with
        bookings and reaches OTE at 100 % attainment.

        >>> steps = (Tier(starts_at=0.0, multiple=1.0), Tier(starts_at=1.0, multiple=1.2, retroactive=True))
        >>> role = RolePay(role="AE", on_target_earnings=100_000.0, base_share=0.5, tiers=steps)
        >>> PayPlan(name="bonus", roles=(role,)).warnings()[0]
        'AE: pay jumps by 20 % of target variable pay at 100 % attainment (tier is retroactive)'
        """
        return [text for role in self.roles for text in schedule_warnings(role)]

    @classmethod
    def from_yaml(cls, text: str, *, where: str = "pay plan") -> PayPlan:
        """Read a plan from YAML text; PlanError names field, value and what is allowed."""
        return validated(cls, load_yaml(text, where=where, error=PlanError), where=where, error=PlanError)

    @classmethod
    def load(cls, path: str | Path) -> PayPlan:
        """Read a plan file; PlanError names file, field, value and what is allowed."""
        return cls.from_yaml(read_text(path, error=PlanError), where=str(path))

    def to_yaml(self) -> str:
        """Write the plan as YAML, leaving out what equals its default."""
        return dump_yaml(self.model_dump(mode="json", exclude_defaults=True))


def shipped_plans() -> dict[str, Path]:
    """The pay plans that ship with the product, by name of their file; beside each lies its expected table.

    >>> "50-50-accelerator" in shipped_plans()
    True
    """
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.yaml"))}


def load_plan(name_or_path: str | Path) -> PayPlan:
    """A shipped plan by its name, or any plan by the path of its file.

    Raises:
        PlanError: neither a shipped plan nor a readable file; or a fault in the file.

    >>> load_plan("flat-rate").period
    'quarter'
    """
    shipped = shipped_plans()
    if str(name_or_path) in shipped:
        return PayPlan.load(shipped[str(name_or_path)])
    if not Path(name_or_path).is_file():
        raise PlanError(
            f"pay plan is '{name_or_path}'; write the path of a plan file or one of the shipped plans "
            f"{listed(list(shipped))}"
        )
    return PayPlan.load(name_or_path)


def _faults(plan: PayPlan) -> Iterator[str]:
    if not plan.roles:
        yield "roles is empty; a plan pays at least one role"
    within = plan.cumulative_within
    if within is not None and MONTHS[within] <= MONTHS[plan.period]:
        yield (
            f"cumulative_within is '{within}'; it must be longer than the period ('{plan.period}'), "
            "or be left out"
        )
    names = [role.role for role in plan.roles]
    for number, role in enumerate(plan.roles):
        if role.role in names[:number]:
            yield f"roles[{number}].role is '{role.role}'; a role is paid once"
        for fault in _role_faults(role):
            yield f"roles[{number}].{fault}"
    for name in plan.splits:
        if name not in names:
            yield f"splits names the role '{name}'; the plan pays {listed(names)}"


def _role_faults(role: RolePay) -> Iterator[str]:
    if not role.tiers:
        yield "tiers is empty; at least one tier starts at 0"
    previous: float | None = None
    for number, tier in enumerate(role.tiers):
        here = f"tiers[{number}]"
        if previous is None and tier.starts_at != 0:
            yield f"{here}.starts_at is {tier.starts_at:g}; the first tier starts at 0"
        if previous is not None and tier.starts_at <= previous:
            yield f"{here}.starts_at is {tier.starts_at:g}; tiers must rise (previous {previous:g})"
        if (tier.multiple is None) == (tier.rate is None):
            found = "both" if tier.rate is not None else "neither"
            yield f"{here} has {found} of multiple and rate; write exactly one of them"
        previous = tier.starts_at
    if role.target_variable == 0 and any(tier.multiple for tier in role.tiers):
        yield "base_share is 1; without target variable pay a tier needs a rate, not a multiple"
    if role.target_variable == 0 and role.cap is not None:
        yield f"cap is {role.cap:g}; it is a multiple of target variable pay, and base_share 1 leaves none"
    if role.without_quota == "first_tier" and role.tiers and role.tiers[0].rate is None:
        yield "without_quota is 'first_tier'; then tiers[0] must have a rate (a multiple needs a quota)"
    spifs = [spif.name for spif in role.spifs]
    for number, spif in enumerate(role.spifs):
        if spif.name in spifs[:number]:
            yield f"spifs[{number}].name is '{spif.name}'; names of SPIFs differ"
        if spif.first_day and spif.last_day and spif.last_day < spif.first_day:
            yield f"spifs[{number}].last_day is {spif.last_day}; first_day is {spif.first_day}"
