"""One rep, one period, every step from deal to pay, to the cent.

This is a second, slow implementation of what :func:`salessim.pay.pay_out` does on arrays, made another way:
it walks deal by deal through the tiers with exact fractions. Tests hold the two together.

Rounding: amounts are exact until the running total of a part of pay (commission, clawback) is rounded half up
to the cent; a row is the difference of two such totals. So rows are whole cents, add up to the total, and the
total is off the exact one by at most half a cent. Base, each SPIF and the draw are rounded one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Literal

import pandas as pd

from salessim.errors import PlanError
from salessim.formats import NO_CURRENCY, percent
from salessim.pay.labels import Period, periods_of
from salessim.pay.plan import MONTHS, PERIODS_PER_YEAR, PayPlan, RolePay, Spif, Tier

__all__ = ["Deal", "PayRow", "PayTrace", "credited_amount", "periods_to_date", "qualifies", "trace"]

Part = Literal["base", "commission", "spif", "draw", "clawback"]
Amount = Decimal | float | int


@dataclass(frozen=True)
class Deal:
    """A deal that was won.

    >>> Deal("D1", rep="Ada", closed=date(2026, 7, 3), amount=Decimal("12500.00")).takes_part("Ada")
    True
    """

    deal_id: str
    rep: str
    """The owner."""
    closed: date
    amount: Decimal
    """In the currency of the plan, zero or more."""
    product: str | None = None
    churned: date | None = None
    """The day the customer left; None: still there."""
    participants: tuple[str, ...] = ()
    """Further reps with a share in the deal."""

    def takes_part(self, rep: str) -> bool:
        """Whether a rep owns the deal or has a share in it."""
        return rep == self.rep or rep in self.participants


@dataclass(frozen=True)
class PayRow:
    """A step of the pay trace."""

    part: Part
    what: str
    """The rule, in words."""
    deal_id: str | None
    basis: Decimal | None
    """The amount that the rate is applied to; None: a fixed amount."""
    rate: Decimal | None
    """Share of the basis that is paid, to six places (the amount is computed from the exact rate)."""
    amount: Decimal
    """What is paid (negative: kept or taken back), whole cents."""


@dataclass(frozen=True)
class PayTrace:
    """What a rep earns in a period and why; all amounts in ``currency``, whole cents."""

    plan: str
    rep: str
    role: str
    period: str
    currency: str
    quota: Decimal | None
    """The quota measured on (to date in a cumulative plan); None: no quota."""
    bookings: Decimal
    """Credited bookings measured on (to date in a cumulative plan)."""
    attainment: float
    """Bookings ÷ quota; NaN without a quota."""
    rows: tuple[PayRow, ...]
    draw_balance: Decimal
    """Advances not yet recovered at the end of the period."""

    def paid(self, part: Part) -> Decimal:
        """Sum of one part of pay: base, commission, spif, draw or clawback (negative)."""
        return sum((row.amount for row in self.rows if row.part == part), Decimal("0.00"))

    @property
    def total(self) -> Decimal:
        """The sum of all rows."""
        return sum((row.amount for row in self.rows), Decimal("0.00"))

    def to_frame(self) -> pd.DataFrame:
        """The rows as a table: part, what, deal_id, basis, rate, amount (floats; NaN: does not apply)."""
        columns = ["part", "what", "deal_id", "basis", "rate", "amount"]
        frame = pd.DataFrame([[getattr(row, name) for name in columns] for row in self.rows], columns=columns)
        return frame.astype({"basis": "float64", "rate": "float64", "amount": "float64"})


def credited_amount(plan: PayPlan, deal: Deal, *, rep: str, role: str) -> Decimal:
    """How much of a deal counts for a rep, in currency: all of it when alone, the role's split otherwise.

    0 where the rep takes no part. A role without a split is credited in full, so that credits may add up to
    more than the deal (an overlay).

    >>> from salessim.pay import PayPlan, RolePay
    >>> sellers = [RolePay(role=name, on_target_earnings=90_000.0, base_share=0.5) for name in ("AE", "SE")]
    >>> plan = PayPlan(name="pairs", roles=tuple(sellers), splits={"SE": 0.25})
    >>> deal = Deal("D1", rep="Ada", closed=date(2026, 7, 3), amount=Decimal(1000), participants=("Bo",))
    >>> credited_amount(plan, deal, rep="Ada", role="AE"), credited_amount(plan, deal, rep="Bo", role="SE")
    (Decimal('1000'), Decimal('250.00'))
    """
    if not deal.takes_part(rep):
        return Decimal(0)
    alone = not set(deal.participants) - {deal.rep}
    return deal.amount if alone or role not in plan.splits else deal.amount * Decimal(str(plan.splits[role]))


def trace(
    plan: PayPlan,
    deals: Iterable[Deal],
    *,
    rep: str,
    role: str,
    period: str,
    quota: Amount | Mapping[str, Amount | None] | None,
    employed: Amount | Mapping[str, Amount] = 1,
    tenure_months: Amount | None = None,
    draw_balance: Amount = 0,
    currency: str | None = None,
    fiscal_year_starts_in_month: int = 1,
) -> PayTrace:
    """Show where a rep's pay of a period comes from: each deal and tier, each SPIF, draw and clawback.

    Args:
        plan: the pay plan.
        deals: all deals; those closed in the period and credited to the rep count. For a role paid on the
            team: those of the team, which all count, and of the rep, which count for SPIFs only.
        rep: name of the rep.
        role: role of the rep.
        period: label of the period, such as "2026Q3".
        quota: quota of the period in currency, for a role paid on the team the one that the team is measured
            on (None: no quota); in a cumulative plan by label of every period from the beginning of its year
            or quarter to this one.
        employed: share of the period on the payroll; in a cumulative plan it may be given by label too.
        tenure_months: months of tenure at the beginning of the period; None: there for long.
        draw_balance: advances of earlier periods that are not yet recovered.
        currency: ISO code; left out: that of the plan.
        fiscal_year_starts_in_month: for labels of quarters and years.

    Commission of a period includes what a later clawback takes back: both stand in the period in which the
    deal closed. What is taken back is what the deal's rows earned, in the order of closing days (then of
    deal_id), and never more than the commission of the period. A draw is a floor under commission net of
    clawback, and recovery takes only from what is above it. SPIFs are paid for deals that the rep takes part
    in, whatever commission is paid on.

    Raises:
        PlanError: unknown role, label of another kind of period, a negative amount, a missing quota of an
            earlier period in a cumulative plan.

    >>> from salessim.pay import load_plan
    >>> deals = [Deal("D1", rep="Ada", closed=date(2026, 7, 3), amount=Decimal("100000")),
    ...          Deal("D2", rep="Ada", closed=date(2026, 8, 9), amount=Decimal("50000"))]
    >>> paid = trace(load_plan("50-50-accelerator"), deals, rep="Ada", role="account executive",
    ...              period="2026Q3", quota=125_000)
    >>> for row in paid.rows:
    ...     print(row.what, row.deal_id, row.basis, row.rate, row.amount)
    base pay None None None 12500.00
    0 % to 100 % of quota, 1× D1 100000.00 0.100000 10000.00
    0 % to 100 % of quota, 1× D2 25000.00 0.100000 2500.00
    100 % to 125 % of quota, 1.5× D2 25000.00 0.150000 3750.00
    >>> paid.total
    Decimal('28750.00')
    """
    pay = plan.role(role)
    now = periods_of(
        [period], plan.period, plan=plan.name, fiscal_year_starts_in_month=fiscal_year_starts_in_month
    )[0]
    span = periods_to_date(plan, now)
    quotas = _by_label(quota, span, now, plan, "quota")
    there = _by_label(employed, span, now, plan, "employed")
    deals = list(deals)
    credited = _credited(plan, pay, deals, rep=rep, first=span[0], last=now)
    year = PERIODS_PER_YEAR[plan.period]
    target = _exact(pay.on_target_earnings) * (1 - _exact(pay.base_share)) / year

    base = _cents(_exact(pay.on_target_earnings) * _exact(pay.base_share) / year * (there[now] or 0))
    rows = [PayRow("base", "base pay", None, None, None, base)]
    settled, walk = _commission(
        plan, pay, credited, span=span, now=now, quotas=quotas, there=there, target=target
    )
    rows += settled
    rows += _spif_rows(pay, deals, rep, now)
    earned = sum((row.amount for row in settled), Decimal("0.00"))
    taken = _clawback_rows(pay, credited, walk, now, earned=earned)
    rows += taken
    net = sum((row.amount for row in taken), earned)
    drawn, balance = _draw_rows(
        plan, pay, net, tenure_months, there[now] or Fraction(0), _exact(draw_balance)
    )
    rows += drawn
    counted = [k for k in span if quotas[k] is not None]
    asked = sum((quotas[k] or Fraction(0) for k in counted), Fraction(0)) if counted else None
    measured = counted if asked is not None else [now]
    booked = sum(
        (amount for deal, amount in credited if any(_within(deal, k) for k in measured)), Fraction(0)
    )
    return PayTrace(
        plan=plan.name,
        rep=rep,
        role=role,
        period=str(now),
        currency=currency or plan.currency or NO_CURRENCY,
        quota=None if asked is None else _cents(asked),
        bookings=_cents(booked),
        attainment=float("nan") if asked is None else float(booked / asked),
        rows=tuple(rows),
        draw_balance=balance,
    )


Credited = Sequence[tuple[Deal, Fraction]]


def periods_to_date(plan: PayPlan, now: Period) -> list[Period]:
    """The periods that pay of this one is measured on, up to it."""
    back = 0 if plan.cumulative_within is None else now.place_in(plan.cumulative_within)
    return [now.shift(-k) for k in range(back, -1, -1)]


def _by_label(
    given: Amount | Mapping[str, Amount] | Mapping[str, Amount | None] | None,
    span: Sequence[Period],
    now: Period,
    plan: PayPlan,
    name: str,
) -> dict[Period, Fraction | None]:
    found: dict[Period, Fraction | None] = {}
    for period in span:
        if isinstance(given, Mapping):
            if str(period) not in given:
                raise PlanError(
                    f"plan '{plan.name}': {name} of {period} is missing; pay of {now} is measured on "
                    f"{span[0]} to {now}"
                )
            value = given[str(period)]
        elif len(span) > 1 and name == "quota":
            raise PlanError(
                f"plan '{plan.name}' is cumulative: give quota by period, {span[0]} to {now}, such as "
                f"{{'{span[0]}': 100000}}"
            )
        else:
            value = given
        missing = value is None or value != value
        found[period] = None if missing else _exact(value)  # type: ignore[arg-type]
        if name == "quota" and not missing and value <= 0:  # type: ignore[operator]
            raise PlanError(
                f"plan '{plan.name}': quota of {period} is {value}; write an amount above zero, or None"
            )
    return found


def _credited(
    plan: PayPlan, pay: RolePay, deals: Iterable[Deal], *, rep: str, first: Period, last: Period
) -> list[tuple[Deal, Fraction]]:
    """The deals that count with what is credited, in the order in which they closed."""
    found = []
    for deal in deals:
        if deal.amount < 0:
            raise PlanError(f"deal '{deal.deal_id}': amount is {deal.amount}; write zero or more")
        if not first.first_day <= deal.closed <= last.last_day:
            continue
        if pay.paid_on == "team":
            if deal.rep != rep:
                found.append((deal, _exact(deal.amount)))
        elif deal.takes_part(rep):
            found.append((deal, _exact(credited_amount(plan, deal, rep=rep, role=pay.role))))
    return sorted(found, key=lambda pair: (pair[0].closed, pair[0].deal_id))


@dataclass(frozen=True)
class _Step:
    """A step of the walk with its exact amount."""

    what: str
    deal_id: str | None
    basis: Fraction | None
    rate: Fraction | None
    amount: Fraction


def _commission(
    plan: PayPlan,
    pay: RolePay,
    credited: Credited,
    *,
    span: Sequence[Period],
    now: Period,
    quotas: Mapping[Period, Fraction | None],
    there: Mapping[Period, Fraction | None],
    target: Fraction,
) -> tuple[list[PayRow], list[_Step]]:
    """Rows of commission of the period, and the exact steps that the period's deals took."""
    if quotas[now] is None:
        steps = _without_quota(
            pay, [pair for pair in credited if _within(pair[0], now)], target * (there[now] or 0)
        )
        return _rounded("commission", steps), steps
    paid = Decimal("0.00")
    rows: list[PayRow] = []
    steps = []
    for number, period in enumerate(span):
        if quotas[period] is None:
            continue
        counted = [other for other in span[: number + 1] if quotas[other] is not None]
        steps = _walk(
            pay,
            [pair for pair in credited if any(_within(pair[0], other) for other in counted)],
            quota=sum((quotas[other] or Fraction(0) for other in counted), Fraction(0)),
            target=target * sum((there[other] or Fraction(0) for other in counted), Fraction(0)),
        )
        rows = _rounded("commission", steps)
        due = sum((row.amount for row in rows), Decimal("0.00"))
        if period == now and paid:
            rows.append(PayRow("commission", "paid for earlier periods", None, None, None, -paid))
        if period == now and due < paid:
            rows.append(
                PayRow(
                    "commission", "overpaid to date, set against later periods", None, None, None, paid - due
                )
            )
        paid = max(paid, due)
    return rows, steps


def _walk(pay: RolePay, credited: Credited, *, quota: Fraction, target: Fraction) -> list[_Step]:
    """Carry each deal through the tiers, from the first unit to the last."""
    bounds = [_exact(tier.starts_at) * quota for tier in pay.tiers]
    threshold = _exact(pay.threshold) * quota
    counts_from = threshold if pay.threshold_counts_from == "threshold" else Fraction(0)
    most = None if pay.cap is None else _exact(pay.cap) * target
    steps: list[_Step] = []
    position = earned = shown = Fraction(0)  # bookings so far; commission so far without and with cap
    held = threshold > 0
    tier = 0

    def show(deal: Deal, what: str, basis: Fraction | None, rate: Fraction | None, amount: Fraction) -> None:
        """Add a step; what the cap cuts off follows as a step of its own."""
        nonlocal shown
        steps.append(_Step(what, deal.deal_id, basis, rate, amount))
        visible = earned if most is None else min(earned, most)
        cut = visible - (shown + amount)
        if cut:
            steps.append(_Step(f"cap at {pay.cap:g}× target variable pay", deal.deal_id, None, None, cut))
        shown = visible

    for deal, amount in credited:
        left = amount
        while left > 0:
            ends = [bound for bound in (*bounds, threshold) if bound > position]
            piece = min([left, *(bound - position for bound in ends)])
            rate = _rate(pay.tiers[tier], quota, target)
            position, left = position + piece, left - piece
            if position <= counts_from:
                steps.append(_Step("below the threshold", deal.deal_id, piece, Fraction(0), Fraction(0)))
            else:
                earned += piece * rate
                if held:
                    steps.append(
                        _Step("below the threshold, held back", deal.deal_id, piece, Fraction(0), Fraction(0))
                    )
                else:
                    show(deal, _tier_text(pay, tier), piece, rate, piece * rate)
            while tier + 1 < len(bounds) and position >= bounds[tier + 1]:
                tier += 1
                if pay.tiers[tier].retroactive:
                    counted = max(position - counts_from, Fraction(0))
                    again = counted * _rate(pay.tiers[tier], quota, target)
                    change, earned = again - earned, again
                    if not held and change:
                        show(deal, f"{_tier_text(pay, tier)}, back to the first unit", None, None, change)
            if held and position >= threshold:
                held = False
                if earned:
                    show(deal, f"threshold of {percent(pay.threshold)} reached", None, None, earned)
    return steps


def _rate(tier: Tier, quota: Fraction, target: Fraction) -> Fraction:
    """Share of bookings that a tier pays."""
    return _exact(tier.rate) if tier.rate is not None else _exact(tier.multiple or 0) * target / quota


def _tier_text(pay: RolePay, number: int) -> str:
    tier = pay.tiers[number]
    until = f" to {percent(pay.tiers[number + 1].starts_at)}" if number + 1 < len(pay.tiers) else " and more"
    rate = f"{tier.multiple:g}×" if tier.multiple is not None else percent(tier.rate or 0.0, digits=2)
    return f"{percent(tier.starts_at)}{until} of quota, {rate}"


def _without_quota(pay: RolePay, credited: Credited, target: Fraction) -> list[_Step]:
    if pay.without_quota == "target":
        return [_Step("no quota: target variable pay, guaranteed", None, None, None, target)]
    if pay.without_quota == "none":
        return [_Step("no quota: no commission", None, None, None, Fraction(0))]
    rate = _exact(pay.tiers[0].rate or 0)
    return [
        _Step("no quota: rate of the first tier", deal.deal_id, x, rate, x * rate) for deal, x in credited
    ]


def _spif_rows(pay: RolePay, deals: Iterable[Deal], rep: str, now: Period) -> list[PayRow]:
    own = [deal for deal in deals if _within(deal, now) and deal.takes_part(rep)]
    return [
        PayRow("spif", spif.name, deal.deal_id, None, None, _cents(_exact(spif.amount_per_deal)))
        for spif in pay.spifs
        for deal in sorted(own, key=lambda deal: (deal.closed, deal.deal_id))
        if qualifies(deal, spif)
    ]


def qualifies(deal: Deal, spif: Spif) -> bool:
    """Whether a deal earns a SPIF: by product, amount and closing day.

    >>> deal = Deal("D1", rep="Ada", closed=date(2026, 7, 3), amount=Decimal(9000))
    >>> qualifies(deal, Spif(name="large", amount_per_deal=500.0, minimum_deal_amount=10_000.0))
    False
    """
    return (
        (spif.product is None or deal.product == spif.product)
        and _exact(deal.amount) >= _exact(spif.minimum_deal_amount)
        and (spif.first_day is None or deal.closed >= spif.first_day)
        and (spif.last_day is None or deal.closed <= spif.last_day)
    )


def _draw_rows(
    plan: PayPlan,
    pay: RolePay,
    net: Decimal,
    tenure_months: Amount | None,
    there: Fraction,
    owed: Fraction,
) -> tuple[list[PayRow], Decimal]:
    """Advance or recovery on commission net of clawback, and the balance left."""
    balance = _cents(owed)
    draw = pay.draw
    if draw is None:
        return [], balance
    months = Fraction(MONTHS[plan.period])
    if draw.lasts_months is None:
        months *= there
    elif tenure_months is None or tenure_months == float("inf"):
        months = Fraction(0)
    else:
        start = _exact(tenure_months)
        months = max(min(start + months, Fraction(draw.lasts_months)) - max(start, Fraction(0)), Fraction(0))
    floor = _cents(_exact(draw.amount_per_month) * months)
    if net < floor:
        advance = floor - net
        kind = "recoverable draw, advanced" if draw.recoverable else "guaranteed draw"
        return [
            PayRow("draw", kind, None, None, None, advance)
        ], balance + advance if draw.recoverable else balance
    back = min(balance, net - floor) if draw.recoverable else Decimal("0.00")
    if not back:
        return [], balance
    return [PayRow("draw", "draw recovered", None, None, None, -back)], balance - back


def _clawback_rows(
    pay: RolePay, credited: Credited, walk: Sequence[_Step], now: Period, *, earned: Decimal
) -> list[PayRow]:
    """What the deals of customers who left soon had earned, as long as there is commission to take back."""
    if pay.clawback is None:
        return []
    steps = []
    left = _exact(earned)
    for deal, _ in credited:
        if deal.churned is None or not _within(deal, now):
            continue
        days = (deal.churned - deal.closed).days
        if not 0 <= days <= pay.clawback.window_days:
            continue
        by_deal = sum((step.amount for step in walk if step.deal_id == deal.deal_id), Fraction(0))
        basis = min(max(by_deal, Fraction(0)), left)
        left -= basis
        share = _exact(pay.clawback.share)
        steps.append(
            _Step(
                f"clawback: the customer left after {days} days", deal.deal_id, basis, -share, -basis * share
            )
        )
    return _rounded("clawback", steps)


def _rounded(part: Part, steps: Sequence[_Step]) -> list[PayRow]:
    """Rows in cents: differences of the rounded running total."""
    rows = []
    total, before = Fraction(0), Decimal("0.00")
    for step in steps:
        total += step.amount
        after = _cents(total)
        rows.append(
            PayRow(
                part,
                step.what,
                step.deal_id,
                None if step.basis is None else _cents(step.basis),
                None if step.rate is None else _decimal(step.rate, 6),
                after - before,
            )
        )
        before = after
    return rows


def _within(deal: Deal, period: Period) -> bool:
    return period.first_day <= deal.closed <= period.last_day


def _exact(value: Amount) -> Fraction:
    """The number as it is written: 0.1 is one tenth."""
    return Fraction(str(value))


def _cents(value: Fraction) -> Decimal:
    return _decimal(value, 2)


def _decimal(value: Fraction, places: int) -> Decimal:
    """Rounded half up (away from zero) from the exact fraction."""
    whole = int(abs(value) * 10**places + Fraction(1, 2))
    return Decimal(-whole if value < 0 else whole).scaleb(-places)
