"""Pay of whole teams over whole simulations: one pass over arrays with axes (…, rep, period).

Amounts are not rounded here; :func:`salessim.pay.trace` pays one rep to the cent by another way, and tests
hold the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from salessim.errors import PlanError
from salessim.formats import NO_CURRENCY
from salessim.pay.labels import Period, periods_of
from salessim.pay.plan import MONTHS, PERIODS_PER_YEAR, PayPlan, RolePay
from salessim.pay.schedule import compiled

__all__ = ["PayInputs", "Payout", "measured", "pay_out", "team_of"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PayInputs:
    """What a plan was scored on, so that another plan can be scored on the same luck.

    The fields are the arguments of :func:`pay_out`.
    """

    bookings: FloatArray
    quotas: FloatArray
    roles: tuple[str, ...]
    reps: tuple[str, ...]
    periods: tuple[str, ...] | None
    won: FloatArray | None
    spif_shares: Mapping[str, float] | None
    spif_deals: Mapping[str, FloatArray] | None
    churned_share: FloatArray
    employed: FloatArray
    tenure_months: FloatArray | None
    teams: tuple[str, ...] | None
    currency: str | None
    fiscal_year_starts_in_month: int


@dataclass(frozen=True)
class Payout:
    """What everybody earns; arrays have axes (…, rep, period), amounts in ``currency``, not rounded.

    ``total = base + commission + spif + draw_advance − draw_recovered − clawback`` in every cell. Parts that
    a plan does not have are zeros (read-only views that take no memory).
    """

    plan: PayPlan
    reps: tuple[str, ...]
    roles: tuple[str, ...]
    periods: tuple[str, ...]
    currency: str
    quota: FloatArray
    """The quota that pay was measured on: of the period, or to date in a cumulative plan; NaN: none."""
    bookings: FloatArray
    """The bookings that pay was measured on: own or the team's, of the period or to date."""
    attainment: FloatArray
    """Bookings ÷ quota; NaN: no quota, attainment is undefined."""
    on_target_earnings: FloatArray
    """OTE of the period by the time on the payroll, shape (rep, period)."""
    target_variable: FloatArray
    """Variable pay at 100 % attainment of the period, by the time on the payroll; shape (rep, period)."""
    base: FloatArray
    commission: FloatArray
    """After threshold and cap, before draw and clawback; never negative."""
    spif: FloatArray
    draw_advance: FloatArray
    """Paid because commission net of clawback fell short of the draw."""
    draw_recovered: FloatArray
    """Kept back against earlier advances from commission net of clawback above the draw; so pay never falls
    below base."""
    draw_balance: FloatArray
    """Advances not yet recovered at the end of the period (no part of pay)."""
    overpaid: FloatArray
    """Cumulative plans: commission paid to date beyond what is due to date, at the end of the period; it is
    set against later commission of the same span and stays with the rep at its end (no part of pay)."""
    clawback: FloatArray
    """Commission of this period's deals taken back because their customers left within the window."""
    total: FloatArray
    notes: tuple[str, ...]
    """What a reader of the figures must know."""
    inputs: PayInputs

    @property
    def variable(self) -> FloatArray:
        """Pay beyond base, in currency, axes (…, rep, period)."""
        return self.total - self.base

    @property
    def trials(self) -> int:
        """How many times the periods were played; 1: real bookings."""
        return int(np.prod(self.total.shape[:-2], dtype=np.int64))

    def by_plan(self, plan: PayPlan) -> Payout:
        """The same bookings and quotas scored by another plan: the same luck.

        Raises:
            PlanError: the plan pays by another period or leaves out a role.
        """
        given = self.inputs
        return pay_out(
            plan,
            given.bookings,
            given.quotas,
            roles=given.roles,
            reps=given.reps,
            periods=given.periods,
            won=given.won,
            spif_shares=given.spif_shares,
            spif_deals=given.spif_deals,
            churned_share=given.churned_share,
            employed=given.employed,
            tenure_months=given.tenure_months,
            teams=given.teams,
            currency=given.currency,
            fiscal_year_starts_in_month=given.fiscal_year_starts_in_month,
        )

    def with_notes(self, notes: Sequence[str]) -> Payout:
        """The same payout with further notes in front."""
        return replace(self, notes=(*notes, *self.notes))


def pay_out(
    plan: PayPlan,
    bookings: npt.ArrayLike,
    quotas: npt.ArrayLike,
    *,
    roles: Sequence[str],
    reps: Sequence[str] | None = None,
    periods: Sequence[str] | None = None,
    won: npt.ArrayLike | None = None,
    spif_shares: Mapping[str, float] | None = None,
    spif_deals: Mapping[str, npt.ArrayLike] | None = None,
    churned_share: npt.ArrayLike = 0.0,
    employed: npt.ArrayLike = 1.0,
    tenure_months: npt.ArrayLike | None = None,
    teams: Sequence[str] | None = None,
    currency: str | None = None,
    fiscal_year_starts_in_month: int = 1,
) -> Payout:
    """Score a pay plan on bookings: what each rep earns in each period of each trial.

    Annual amounts are divided evenly over the periods of the year. The base commission rate of a period is
    its target variable pay ÷ its quota, so that a lowered quota of a newcomer raises the rate.

    Who is paid on the team is measured on the bookings of the reps of the team who are paid on their own, and
    on their quotas added up where no quota is given for the rep (see :func:`salessim.pay.payout.team_of`).
    SPIFs are for own deals, whatever commission is paid on. A draw is a floor under commission net of
    clawback: what a clawback takes below the floor is advanced again (and owed, where the draw is
    recoverable), and recovery takes only from what is above it, as employers settle charge-backs.

    Args:
        plan: the pay plan.
        bookings: credited bookings in currency, axes (…, rep, period); the last axis: the plan's periods.
        quotas: quotas in currency, shape (rep, period) or that of ``bookings``; NaN: no quota in that period,
            attainment is undefined and the role's ``without_quota`` says what is paid.
        roles: role of each rep.
        reps: names of the reps, for messages and tables; left out: "rep 1", "rep 2" …
        periods: labels of the periods ("2026-07", "2026Q3", "2026"), checked against the plan's period. A
            cumulative plan then knows where its year or quarter begins; left out: at the first period.
        won: number of own deals won, axes as ``bookings``; needed where the plan pays SPIFs.
        spif_shares: share of won deals that qualify for a SPIF, by its name; left out: ``expected_share``.
        spif_deals: number of own deals that qualify for a SPIF, by its name, axes as ``bookings``, where
            single deals are known; instead of won × share × the days on which the SPIF runs.
        churned_share: share of commission whose customers leave within the clawback window; a number or an
            array that broadcasts to ``bookings``.
        employed: share of the period on the payroll, a number or an array (rep, period); base, target
            variable pay and a draw for everybody shrink with it.
        tenure_months: months of tenure at the beginning of the period, shape (rep, period), negative before
            the start, NaN or infinite for whoever has been there for long; needed where a draw ends with
            tenure.
        teams: name of the team of each rep, for roles paid on the team; left out: all are one team.
        currency: ISO code of the amounts; left out: that of the plan.
        fiscal_year_starts_in_month: for labels of quarters and years.

    Raises:
        PlanError: shapes that do not fit, a role the plan does not pay, labels of another period, negative or
            missing bookings, quotas of zero or less, missing arguments that the plan needs.

    >>> from salessim.pay import load_plan
    >>> plan = load_plan("50-50-accelerator")
    >>> paid = pay_out(plan, [[125_000.0, 156_250.0]], [[125_000.0, 125_000.0]], roles=["account executive"])
    >>> paid.commission.tolist(), paid.total.tolist()
    ([[12500.0, 17187.5]], [[25000.0, 29687.5]])
    """
    given = _inputs(
        plan,
        bookings,
        quotas,
        roles=roles,
        reps=reps,
        periods=periods,
        won=won,
        spif_shares=spif_shares,
        spif_deals=spif_deals,
        churned_share=churned_share,
        employed=employed,
        tenure_months=tenure_months,
        teams=teams,
        currency=currency,
        fiscal_year_starts_in_month=fiscal_year_starts_in_month,
    )
    when = (
        None
        if given.periods is None
        else periods_of(
            given.periods,
            plan.period,
            plan=plan.name,
            fiscal_year_starts_in_month=fiscal_year_starts_in_month,
        )
    )
    shape = given.bookings.shape
    pay = {name: plan.role(name) for name in dict.fromkeys(given.roles)}
    measured_bookings, measured_quotas = measured(given, plan)
    year = PERIODS_PER_YEAR[plan.period]
    base = np.array([[pay[name].annual_base] for name in given.roles]) / year * given.employed
    target = np.array([[pay[name].target_variable] for name in given.roles]) / year * given.employed
    results = []
    for name, role in pay.items():
        # a view where all reps share a role, a copy of their rows otherwise
        where = slice(None) if len(pay) == 1 else np.flatnonzero([other == name for other in given.roles])
        cells = _Cells(
            role=role,
            plan=plan,
            bookings=measured_bookings[..., where, :],
            quota=measured_quotas[..., where, :],
            target=target[where],
            employed=given.employed[where],
            won=None if given.won is None else given.won[..., where, :],
            spif_deals={name: deals[..., where, :] for name, deals in (given.spif_deals or {}).items()},
            tenure_months=None if given.tenure_months is None else given.tenure_months[where],
            churned_share=given.churned_share[..., where, :],
        )
        results.append((where, _paid(cells, given=given, when=when)))
    parts = {part: _joined([(where, paid[part]) for where, paid in results], shape) for part in results[0][1]}
    whole_base = np.broadcast_to(base, shape)
    total = whole_base + parts["commission"]
    for part, sign in (("spif", 1), ("draw_advance", 1), ("draw_recovered", -1), ("clawback", -1)):
        if any(paid[part].ndim for _, paid in results):
            total += sign * parts[part]
    return Payout(
        plan=plan,
        reps=given.reps,
        roles=given.roles,
        periods=given.periods or tuple(f"{plan.period} {k + 1}" for k in range(shape[-1])),
        currency=given.currency or NO_CURRENCY,
        target_variable=target,
        on_target_earnings=base + target,
        base=whole_base,
        total=total,
        notes=tuple(_notes(plan, given, pay, when)),
        inputs=given,
        **parts,
    )


@dataclass(frozen=True)
class _Cells:
    """The reps of one role; arrays (…, rep, period) or (rep, period)."""

    role: RolePay
    plan: PayPlan
    bookings: FloatArray
    quota: FloatArray
    target: FloatArray
    employed: FloatArray
    won: FloatArray | None
    spif_deals: Mapping[str, FloatArray]
    tenure_months: FloatArray | None
    churned_share: FloatArray


def _paid(cells: _Cells, *, given: PayInputs, when: Sequence[Period] | None) -> dict[str, FloatArray]:
    """All parts of the pay of one role; parts without effect stay a single zero."""
    role, plan = cells.role, cells.plan
    has_quota = np.isfinite(cells.quota)
    everywhere = bool(has_quota.all())
    bookings, quota, target = cells.bookings, cells.quota, cells.target
    if not everywhere:
        # what is booked in a period without quota is paid by `without_quota` and counts nowhere else
        bookings = np.where(has_quota, bookings, 0.0)
        quota = np.where(has_quota, quota, 0.0)
        target = np.where(has_quota, target, 0.0)
    if plan.cumulative_within is not None:
        spans = _spans(plan, when, periods=bookings.shape[-1])
        bookings, quota, target = (_to_date(amounts, spans) for amounts in (bookings, quota, target))
    with np.errstate(divide="ignore", invalid="ignore"):
        attainment = bookings / quota
    measured = attainment if everywhere else np.where(quota > 0, attainment, 0.0)
    commission = compiled(role).commission(measured, quota=quota, target_variable=target)
    overpaid = _NOTHING
    if plan.cumulative_within is not None:
        commission, overpaid = _less_paid(commission, spans)
    if not everywhere:
        attainment = np.where(quota > 0, attainment, np.nan)
        quota = np.where(quota > 0, quota, np.nan)
        commission = np.where(has_quota, commission, _without_quota(cells))
    spif = _spif(cells, given=given, when=when) if role.spifs else _NOTHING
    clawback = _NOTHING
    if role.clawback is not None and cells.churned_share.any():
        clawback = commission * (role.clawback.share * cells.churned_share)
        if role.without_quota == "target":
            clawback = np.where(has_quota, clawback, 0.0)  # a guarantee belongs to no deal
    # a draw is a floor under what is left of commission: charge-backs come first
    drawn = (_NOTHING,) * 3 if role.draw is None else _drawn(cells, commission - clawback)
    advance, recovered, balance = drawn
    return {
        "quota": quota,
        "bookings": bookings,
        "attainment": attainment,
        "commission": commission,
        "spif": spif,
        "draw_advance": advance,
        "draw_recovered": recovered,
        "draw_balance": balance,
        "overpaid": overpaid,
        "clawback": clawback,
    }


def _joined(
    parts: Sequence[tuple[slice | npt.NDArray[np.intp], FloatArray]], shape: tuple[int, ...]
) -> FloatArray:
    """The rows of all roles put together; a view of one zero where no role has the part."""
    if len(parts) == 1 or not any(array.ndim for _, array in parts):
        return np.broadcast_to(parts[0][1], shape)
    whole = np.empty(shape)
    for where, array in parts:
        whole[..., where, :] = array
    return whole


def _without_quota(cells: _Cells) -> FloatArray:
    """Commission of the periods without quota."""
    if cells.role.without_quota == "target":
        return cells.target
    if cells.role.without_quota == "first_tier":
        return cells.bookings * (cells.role.tiers[0].rate or 0.0)
    return _NOTHING


def _spans(plan: PayPlan, when: Sequence[Period] | None, *, periods: int) -> list[slice]:
    """The years (or quarters) over which a cumulative plan adds up, as slices of the period axis."""
    within = plan.cumulative_within
    assert within is not None
    length = MONTHS[within] // MONTHS[plan.period]
    if when is None:
        first = list(range(0, periods, length))
    else:
        first = [k for k, period in enumerate(when) if k == 0 or period.place_in(within) == 0]
    ends = [*first[1:], periods]
    return [slice(start, end) for start, end in zip(first, ends, strict=True)]


def _to_date(amounts: FloatArray, spans: Sequence[slice]) -> FloatArray:
    whole = np.empty(amounts.shape)
    for span in spans:
        np.cumsum(amounts[..., span], axis=-1, out=whole[..., span])
    return whole


def _less_paid(due: FloatArray, spans: Sequence[slice]) -> tuple[FloatArray, FloatArray]:
    """What is due to date less what was paid, never negative; and what was paid beyond what is due."""
    commission, overpaid = np.empty(due.shape), np.empty(due.shape)
    for span in spans:
        paid = np.maximum.accumulate(due[..., span], axis=-1)
        commission[..., span] = np.diff(paid, axis=-1, prepend=0.0)
        overpaid[..., span] = paid - due[..., span]
    return commission, overpaid


def _spif(cells: _Cells, *, given: PayInputs, when: Sequence[Period] | None) -> FloatArray:
    """Deals won × share that qualifies × amount, by the days of the period on which the SPIF runs."""
    plan = cells.plan
    total = np.zeros(cells.bookings.shape)
    for spif in cells.role.spifs:
        if spif.name in cells.spif_deals:
            total += cells.spif_deals[spif.name] * spif.amount_per_deal
            continue
        if cells.won is None:
            raise PlanError(
                f"plan '{plan.name}': role '{cells.role.role}' has SPIFs, paid per deal; won (deals won "
                "by rep and period) is missing"
            )
        share = (given.spif_shares or {}).get(spif.name, spif.expected_share)
        running = np.ones(cells.bookings.shape[-1])
        if spif.first_day is not None or spif.last_day is not None:
            if when is None:
                raise PlanError(
                    f"plan '{plan.name}': SPIF '{spif.name}' runs between days; periods (their labels) "
                    "is missing"
                )
            running = np.array([period.share_between(spif.first_day, spif.last_day) for period in when])
        total += cells.won * (spif.amount_per_deal * share * running)
    return total


def _drawn(cells: _Cells, net: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Advances, recoveries and the balance left, period by period, on commission net of clawback."""
    draw, plan = cells.role.draw, cells.plan
    assert draw is not None
    months = MONTHS[plan.period]
    if draw.lasts_months is None:
        drawn_months = months * cells.employed
    elif cells.tenure_months is None:
        raise PlanError(
            f"plan '{plan.name}': role '{cells.role.role}' has a draw for {draw.lasts_months} months of "
            "tenure; tenure_months is missing"
        )
    else:
        start = np.where(np.isnan(cells.tenure_months), np.inf, cells.tenure_months)
        # months of the period that lie between the start of tenure and the end of the draw
        drawn_months = np.clip(
            np.minimum(start + months, draw.lasts_months) - np.maximum(start, 0.0), 0.0, None
        )
    floor = np.broadcast_to(draw.amount_per_month * drawn_months, net.shape)
    advance = np.maximum(floor - net, 0.0)
    recovered, balance = np.zeros(net.shape), np.zeros(net.shape)
    if draw.recoverable:
        owed = np.zeros(net.shape[:-1])
        for k in range(net.shape[-1]):
            above = np.maximum(net[..., k] - floor[..., k], 0.0)
            recovered[..., k] = np.minimum(owed, above)
            owed = owed + advance[..., k] - recovered[..., k]
            balance[..., k] = owed
    return advance, recovered, balance


def measured(given: PayInputs, plan: PayPlan) -> tuple[FloatArray, FloatArray]:
    """Bookings and quotas of each period that count for each rep: own ones, or those of the team.

    Raises:
        PlanError: a rep paid on a team that has nobody paid on own bookings.

    >>> from salessim.pay import load_plan
    >>> roles = ["account executive", "account executive", "sales manager"]
    >>> bookings, quotas = [[6e4], [4e4], [9e4]], [[5e4], [7e4], [np.nan]]
    >>> paid = pay_out(load_plan("account-team"), bookings, quotas, roles=roles)
    >>> [amounts[2].tolist() for amounts in measured(paid.inputs, paid.plan)]
    [[100000.0], [120000.0]]
    """
    on_team = [plan.role(name).paid_on == "team" for name in given.roles]
    if not any(on_team):
        return given.bookings, given.quotas
    bookings = given.bookings.copy()
    quotas = given.quotas.copy()
    for index in np.flatnonzero(on_team):
        members, quotas[..., index, :] = team_of(
            int(index), reps=given.reps, teams=given.teams, on_team=on_team, quotas=given.quotas
        )
        bookings[..., index, :] = given.bookings[..., members, :].sum(axis=-2)
    return bookings, quotas


def team_of(
    index: int,
    *,
    reps: Sequence[str],
    teams: Sequence[str] | None,
    on_team: Sequence[bool],
    quotas: FloatArray,
) -> tuple[list[int], FloatArray]:
    """Whose bookings count for a rep who is paid on the team, and the quota that they are measured on.

    Members are the reps of the same team who are paid on their own bookings; so neither the rep's own deals
    count nor those of others who are paid on the team. The quota is the rep's own; in periods without one,
    the sum of the members' quotas (NaN where none of them has one either).

    Args:
        index: place of the rep in ``reps``.
        reps: names of all reps.
        teams: team of each rep; None: all are one team.
        on_team: whether each rep is paid on the team.
        quotas: quotas in currency, axes (…, rep, period); NaN: none.

    Returns:
        Places of the members in ``reps``, and the quota, axes (…, period).

    Raises:
        PlanError: the team has nobody paid on own bookings.

    >>> quotas = np.array([[100.0, 110.0], [120.0, np.nan], [np.nan, 90.0]])
    >>> members, quota = team_of(
    ...     2, reps=["Ada", "Bo", "Mia"], teams=None, on_team=[False, False, True], quotas=quotas
    ... )
    >>> members, quota.tolist()
    ([0, 1], [220.0, 90.0])
    """
    of = teams or ("",) * len(reps)
    members = [k for k, team in enumerate(of) if team == of[index] and not on_team[k]]
    if not members:
        raise PlanError(
            f"rep '{reps[index]}' is paid on the team '{of[index]}', which has nobody paid on own bookings"
        )
    theirs, own = quotas[..., members, :], quotas[..., index, :]
    rolled_up = np.where(np.isfinite(theirs).any(axis=-2), np.nansum(theirs, axis=-2), np.nan)
    return members, np.where(np.isfinite(own), own, rolled_up)


def _notes(
    plan: PayPlan, given: PayInputs, pay: Mapping[str, RolePay], when: Sequence[Period] | None
) -> list[str]:
    notes = []
    for name, role in pay.items():
        rows = [k for k, other in enumerate(given.roles) if other == name]
        absent = np.isnan(given.quotas[..., rows, :]) & (given.employed[rows] > 0)
        if role.paid_on == "own" and absent.any():
            cells = absent.any(axis=tuple(range(absent.ndim - 2)))
            meaning = {
                "none": "no commission",
                "target": "the target variable pay, guaranteed",
                "first_tier": "the rate of the first tier",
            }[role.without_quota]
            notes.append(
                f"{name}: {int(cells.sum())} of {cells.size} rep-{plan.period}s have no quota; "
                f"they are paid {meaning}"
            )
    within = plan.cumulative_within
    if within is not None and when and when[0].place_in(within) > 0:
        notes.append(
            f"attainment adds up from {when[0]}, the first {plan.period} known; earlier ones of the same "
            f"{within} are not"
        )
    return notes


#: A part of pay that a plan does not have.
_NOTHING: FloatArray = np.zeros(())


def _inputs(
    plan: PayPlan,
    bookings: npt.ArrayLike,
    quotas: npt.ArrayLike,
    *,
    roles: Sequence[str],
    reps: Sequence[str] | None,
    periods: Sequence[str] | None,
    won: npt.ArrayLike | None,
    spif_shares: Mapping[str, float] | None,
    spif_deals: Mapping[str, npt.ArrayLike] | None,
    churned_share: npt.ArrayLike,
    employed: npt.ArrayLike,
    tenure_months: npt.ArrayLike | None,
    teams: Sequence[str] | None,
    currency: str | None,
    fiscal_year_starts_in_month: int,
) -> PayInputs:
    """All arguments as arrays that fit together."""
    where = f"plan '{plan.name}'"
    booked = np.asarray(bookings, dtype=np.float64)
    if booked.ndim < 2 or 0 in booked.shape:
        raise PlanError(f"{where}: bookings has the shape {booked.shape}; its last axes are rep and period")
    count, length = booked.shape[-2:]
    names = tuple(f"rep {k + 1}" for k in range(count)) if reps is None else tuple(map(str, reps))
    for label, found, wanted in (
        ("roles", len(roles), count),
        ("reps", len(names), count),
        ("teams", count if teams is None else len(teams), count),
        ("periods", length if periods is None else len(periods), length),
    ):
        if found != wanted:
            raise PlanError(f"{where}: {label} has {found} entries; bookings has {wanted}")
    _refuse(booked, ~(booked >= 0), "bookings", "amounts of zero or more", names, where)
    asked = _fitting(quotas, booked.shape, "quotas", where)
    _refuse(
        asked,
        ~((asked > 0) | np.isnan(asked)) | np.isinf(asked),
        "quotas",
        "amounts above zero, or NaN for no quota",
        names,
        where,
    )
    wins = None
    if won is not None:
        wins = _fitting(won, booked.shape, "won", where)
        _refuse(wins, ~(wins >= 0), "won", "counts of zero or more", names, where)
    there = _fitting(employed, (count, length), "employed", where)
    _refuse(there, ~((there >= 0) & (there <= 1)), "employed", "shares from 0 to 1", names, where)
    churned = _fitting(churned_share, booked.shape, "churned_share", where)
    _refuse(churned, ~((churned >= 0) & (churned <= 1)), "churned_share", "shares from 0 to 1", names, where)
    tenure = None
    if tenure_months is not None:
        tenure = _fitting(tenure_months, (count, length), "tenure_months", where)
    for name, share in (spif_shares or {}).items():
        if not 0 <= share <= 1:
            raise PlanError(f"{where}: spif_shares['{name}'] is {share:g}; write a share from 0 to 1")
    counted = {
        name: _fitting(deals, booked.shape, f"spif_deals['{name}']", where)
        for name, deals in (spif_deals or {}).items()
    }
    stated = None if currency == NO_CURRENCY else currency
    if stated and plan.currency and stated != plan.currency:
        raise PlanError(f"{where} pays in {plan.currency}; the bookings are in {currency}")
    for name in dict.fromkeys(roles):
        plan.role(name)
    return PayInputs(
        bookings=booked,
        quotas=asked,
        roles=tuple(roles),
        reps=names,
        periods=None if periods is None else tuple(map(str, periods)),
        won=wins,
        spif_shares=spif_shares,
        spif_deals=counted,
        churned_share=churned,
        employed=there,
        tenure_months=tenure,
        teams=None if teams is None else tuple(map(str, teams)),
        currency=stated or plan.currency,
        fiscal_year_starts_in_month=fiscal_year_starts_in_month,
    )


def _fitting(values: npt.ArrayLike, shape: tuple[int, ...], name: str, where: str) -> FloatArray:
    """The values as an array that broadcasts to (…, rep, period) and has these two axes in full."""
    array = np.asarray(values, dtype=np.float64)
    try:
        fits = np.broadcast_shapes(array.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise PlanError(f"{where}: {name} has the shape {array.shape}; bookings has {shape}")
    return np.broadcast_to(array, (*array.shape[:-2], *shape[-2:]))


def _refuse(
    values: FloatArray, wrong: npt.NDArray[np.bool_], name: str, allowed: str, reps: Sequence[str], where: str
) -> None:
    if wrong.any():
        place = np.unravel_index(int(np.argmax(wrong)), wrong.shape)
        rep = reps[int(place[-2])] if wrong.shape[-2] == len(reps) else "all"
        raise PlanError(
            f"{where}: {name} of rep '{rep}' in period {int(place[-1]) + 1} is {values[place]:g}; "
            f"write {allowed}"
        )
