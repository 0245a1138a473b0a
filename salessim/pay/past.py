"""Pay on bookings: those of a simulation, and those of a CRM export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.crm import Tables
from salessim.engine import Outcome, SampledOutcome
from salessim.errors import PlanError, listed
from salessim.pay.labels import Period, period_of, periods_of
from salessim.pay.payout import Payout, pay_out, team_of
from salessim.pay.plan import MONTHS, PayPeriod, PayPlan
from salessim.pay.trace import Deal, PayTrace, periods_to_date, qualifies, trace
from salessim.periods import MONTH_OF_WEEK, WEEKS_PER_QUARTER
from salessim.plans import QuotaPlan, monthly_quotas, quotas

__all__ = ["PastBookings", "past_bookings", "past_deals", "pay_outcome", "pay_past", "trace_past"]

FloatArray = npt.NDArray[np.float64]

_DAYS_PER_MONTH = 365.25 / 12


def pay_outcome(
    plan: PayPlan,
    outcome: Outcome,
    quota_plan: QuotaPlan,
    *,
    spif_shares: dict[str, float] | None = None,
    churned_share: float = 0.0,
) -> Payout:
    """Score a pay plan on simulated bookings with the quotas of a quota plan.

    Reps who are on the payroll for part of a quarter get that share of base, target variable pay and quota.

    Args:
        plan: the pay plan.
        outcome: trials of the engine "thinning"; for a plan by month simulated with ``by_month=True``.
        quota_plan: gives the quotas; NaN where it asks for none.
        spif_shares: share of won deals that qualify for a SPIF, by its name.
        churned_share: share of commission whose customers leave within the clawback window.

    Returns:
        Axes (trial, rep, period). A plan by year adds up four quarters each.

    Raises:
        PlanError: an exact outcome (it has no trials), a monthly plan on quarters, roles that the plan
        does not pay.

    >>> from salessim.engine import simulate
    >>> from salessim.library import example_plan, example_scenario
    >>> from salessim.pay import load_plan
    >>> outcome = simulate(example_scenario(), engine="thinning", trials=200, seed=1)
    >>> pay_outcome(load_plan("50-50-accelerator"), outcome, example_plan()).total.shape
    (200, 12, 4)
    """
    if not isinstance(outcome, SampledOutcome):
        raise PlanError(
            "pay is not linear in bookings and needs trials; this outcome was solved without: "
            "simulate with engine='thinning'"
        )
    scenario = outcome.scenario
    present = scenario.headcount().reshape(len(outcome.reps), -1, WEEKS_PER_QUARTER)  # (rep, quarter, week)
    quarters = scenario.calendar.periods()
    labels: list[str] | None = list(outcome.periods)
    if plan.period == "month":
        if not outcome.months:
            raise PlanError(
                f"plan '{plan.name}' pays by month, and this simulation kept quarters only: simulate with "
                "by_month=True, or settle the same plan by quarter with plan.paid_by('quarter')"
            )
        labels = list(outcome.months)
        asked = monthly_quotas(quota_plan, scenario).to_numpy(dtype=np.float64)
        bookings = np.asarray(outcome.bookings_by_month)
        won = np.asarray(outcome.won_by_month, dtype=np.float64)
        weeks_of = np.eye(3)[list(MONTH_OF_WEEK)]  # (week, month)
        employed = (present @ (weeks_of / weeks_of.sum(axis=0))).reshape(len(present), -1)
        first_days = [Period.parse(label).first_day for label in labels]
    else:
        asked = quotas(quota_plan, scenario).to_numpy(dtype=np.float64)
        bookings, won = np.asarray(outcome.bookings), np.asarray(outcome.won, dtype=np.float64)
        employed = present.mean(axis=2)
        first_days = [quarter.start for quarter in quarters]
    if plan.period == "year":
        if len(quarters) % 4:
            raise PlanError(
                f"plan '{plan.name}' pays by year; the horizon has {len(quarters)} quarters, not whole years"
            )
        fiscal = quarters[0].number == 1
        labels = [str(quarter.year) for quarter in quarters[::4]] if fiscal else None
        bookings, won = _by_year(bookings), _by_year(won)
        total = _by_year(np.nan_to_num(asked))
        asked = np.where(total > 0, total, np.nan)
        employed = _by_year(employed) / 4
        first_days = first_days[::4]
    team = scenario.team()
    managers = {rep.manager for rep in team}
    tenure = [
        [np.inf if rep.start is None else (day - rep.start).days / _DAYS_PER_MONTH for day in first_days]
        for rep in team
    ]
    return pay_out(
        plan,
        bookings,
        asked,
        roles=[rep.role for rep in team],
        reps=outcome.reps,
        periods=labels,
        won=won,
        spif_shares=spif_shares,
        churned_share=churned_share,
        employed=employed,
        tenure_months=tenure,
        # a manager leads those who report to her; anybody else belongs to the team of the own manager
        teams=[rep.name if rep.name in managers else rep.manager for rep in team],
        currency=scenario.currency,
        fiscal_year_starts_in_month=scenario.calendar.fiscal_year_starts_in_month,
    )


def past_deals(tables: Tables) -> list[Deal]:
    """The won deals of an export, for :func:`salessim.pay.trace`, in the order in which they closed.

    Deals without a seller or an amount are left out; :func:`past_bookings` counts them in its notes. An
    export says nothing of churn or of further reps in a deal.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> deals = past_deals(read(example_crm()))
    >>> deals[0].closed <= deals[-1].closed, deals[0].churned
    (True, None)
    """
    won = _won(tables)
    won = won[won["rep"].notna() & won["amount"].notna()].sort_values(["closed", "opportunity_id"])
    columns = (won[name].tolist() for name in ("opportunity_id", "rep", "closed", "amount", "product"))
    return [
        Deal(
            deal_id=str(deal_id),
            rep=str(rep),
            closed=closed.date(),
            amount=Decimal(str(round(amount, 2))),
            product=None if pd.isna(product) else str(product),
        )
        for deal_id, rep, closed, amount, product in zip(*columns, strict=True)
    ]


@dataclass(frozen=True)
class PastBookings:
    """What an export says about bookings and quotas; arrays (rep, period), amounts in ``currency``."""

    reps: tuple[str, ...]
    roles: tuple[str | None, ...]
    """Role of each rep; None: the export has none."""
    managers: tuple[str, ...]
    periods: tuple[str, ...]
    bookings: FloatArray
    won: FloatArray
    quotas: FloatArray
    """NaN: no quota in that period."""
    employed: FloatArray
    """Share of the period's days between start and end of the rep; 1 where the export has neither."""
    tenure_months: FloatArray
    """Months of tenure at the beginning of the period; infinite where the start is unknown."""
    currency: str
    fiscal_year_starts_in_month: int
    notes: tuple[str, ...]
    """Reps without quota, deals without seller and whatever else a reader must know."""


def past_bookings(
    tables: Tables, *, period: PayPeriod = "quarter", periods: Sequence[str] | None = None
) -> PastBookings:
    """Bookings and quotas of past periods by rep, from an export.

    Bookings are won deals by the day they closed. Quotas of longer periods are split evenly, those of shorter
    ones added up. Reps are those with a deal won or a quota in these periods.

    Args:
        tables: the export.
        period: month, quarter or year.
        periods: labels; left out: all complete ones, from the first with a quota (a deal won, where nobody
            has one) to the day of the export.

    Raises:
        PlanError: no complete period, labels of another kind, nobody with a deal or quota.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> past = past_bookings(read(example_crm()), periods=["2025Q1", "2025Q2"])
    >>> past.bookings.shape == past.quotas.shape, past.periods
    (True, ('2025Q1', '2025Q2'))
    """
    month = tables.fiscal_year_starts_in_month
    won = _won(tables)
    asked = tables.quotas[tables.quotas["quota"] > 0]
    when = (
        _complete(tables, won, asked, period)
        if periods is None
        else periods_of(periods, period, plan="past bookings", fiscal_year_starts_in_month=month)
    )
    place = {chosen: number for number, chosen in enumerate(when)}
    owned = won[won["rep"].notna() & won["amount"].notna()]
    cell = [
        place.get(period_of(day.date(), period, fiscal_year_starts_in_month=month)) for day in owned["closed"]
    ]
    owned = owned.assign(cell=pd.array(cell, dtype="Int64")).dropna(subset=["cell"])
    fields = (asked[name].tolist() for name in ("rep", "period", "quota"))
    quota_cells = [
        (str(rep), place[part], amount * share)
        for rep, label, amount in zip(*fields, strict=True)
        for part, share in _parts(Period.parse(label, fiscal_year_starts_in_month=month), period)
        if part in place
    ]
    reps = sorted({*owned["rep"], *(rep for rep, _, _ in quota_cells)})
    if not reps:
        raise PlanError(f"nobody has a deal won or a quota in {when[0]} to {when[-1]}")
    row_of = {rep: number for number, rep in enumerate(reps)}
    shape = (len(reps), len(when))
    bookings, count, quota = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    rows, columns = owned["rep"].map(row_of).to_numpy(), owned["cell"].to_numpy(dtype=np.intp)
    np.add.at(bookings, (rows, columns), owned["amount"].to_numpy(dtype=np.float64))
    np.add.at(count, (rows, columns), 1.0)
    for rep, column, amount in quota_cells:
        quota[row_of[rep], column] += amount
    known = tables.reps.set_index("rep").reindex(reps)
    employed, tenure = _on_the_payroll(known, when)
    quota = np.where(quota > 0, quota, np.nan)
    return PastBookings(
        reps=tuple(reps),
        roles=tuple(None if pd.isna(role) else str(role) for role in known["role"]),
        managers=tuple("" if pd.isna(name) else str(name) for name in known["manager"]),
        periods=tuple(map(str, when)),
        bookings=bookings,
        won=count,
        quotas=quota,
        employed=employed,
        tenure_months=tenure,
        currency=tables.currency,
        fiscal_year_starts_in_month=month,
        notes=tuple(_past_notes(tables, won, when, reps, quota, employed, bookings)),
    )


def pay_past(
    plan: PayPlan,
    tables: Tables,
    *,
    periods: Sequence[str] | None = None,
    role: str | None = None,
    churned_share: float = 0.0,
) -> Payout:
    """What a plan would have paid on the bookings and quotas of past periods.

    SPIFs are counted deal by deal, for own deals. Reps whose role the export leaves open are paid as
    ``role``; a plan with a single role pays everybody without a role by it. Besides the reps of
    :func:`past_bookings`, those are paid who have neither a deal nor a quota of their own but a role paid on
    the team, and a team with one; the notes name them.

    Args:
        plan: the pay plan.
        tables: the export.
        periods: labels by the plan's period; left out: all complete ones.
        role: role of reps whose role is missing.
        churned_share: share of commission whose customers left within the clawback window.

    Raises:
        PlanError: a role that the plan does not pay, reps without role, what :func:`past_bookings` refuses.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> from salessim.pay import load_plan
    >>> paid = pay_past(load_plan("50-50-accelerator"), read(example_crm()), periods=["2025Q3", "2025Q4"])
    >>> paid.total.shape[-1], paid.trials, paid.currency
    (2, 1, 'EUR')
    """
    past = _with_leads(past_bookings(tables, period=plan.period, periods=periods), plan, tables)
    roles = _paid_as(plan, past, role, needed=past.reps)
    missing = [rep for rep, known in zip(past.reps, past.roles, strict=True) if known is None]
    notes = list(past.notes)
    if missing:
        paid_as = roles[past.reps.index(missing[0])]
        notes.append(f"the export has no role for {listed(missing)}: paid as {paid_as}")
    paid = pay_out(
        plan,
        past.bookings,
        past.quotas,
        roles=roles,
        reps=past.reps,
        periods=past.periods,
        won=past.won,
        spif_deals=_spif_deals(plan, roles, past, tables),
        churned_share=churned_share,
        employed=past.employed,
        tenure_months=past.tenure_months,
        teams=_teams(past.reps, past.managers, tables),
        currency=past.currency,
        fiscal_year_starts_in_month=past.fiscal_year_starts_in_month,
    )
    return paid.with_notes(notes)


def trace_past(
    plan: PayPlan,
    tables: Tables,
    *,
    rep: str,
    period: str,
    role: str | None = None,
    quota: float | None = None,
) -> PayTrace:
    """Where a rep's pay of a past period comes from, deal by deal, to the cent.

    Who is paid on the team is traced on the deals and the quota of the same members as in :func:`pay_past`.

    Args:
        plan: the pay plan.
        tables: the export, with the deals and quotas of the period (and, where the plan is cumulative or has
            a recoverable draw, of those before it).
        rep: name of the rep.
        period: label by the plan's period.
        role: role of reps whose role is missing.
        quota: stands in for every period of a rep for which the export has no quota, in currency.

    Raises:
        PlanError: nobody of that name has a deal, a quota or a team then, a role that the plan does not pay.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> from salessim.pay import load_plan
    >>> paid = trace_past(load_plan("flat-rate"), read(example_crm()), rep="Anna Acorn", period="2025Q3")
    >>> paid.quota, paid.total == sum(row.amount for row in paid.rows)
    (Decimal('115000.00'), True)
    """
    month = tables.fiscal_year_starts_in_month
    asked = periods_of([period], plan.period, plan=plan.name, fiscal_year_starts_in_month=month)[0]
    labels = [str(one) for one in periods_to_date(plan, asked)]
    past = _with_leads(past_bookings(tables, period=plan.period, periods=labels), plan, tables)
    if rep not in past.reps:
        raise PlanError(f"rep is '{rep}'; a deal won or a quota up to {period} have {listed(past.reps)}")
    row = past.reps.index(rep)
    paid_as = _paid_as(plan, past, role, needed=[rep])[row]
    terms, deals, known = plan.role(paid_as), past_deals(tables), past.quotas[row]
    if terms.paid_on == "team":
        members, known = team_of(
            row,
            reps=past.reps,
            teams=_teams(past.reps, past.managers, tables),
            on_team=[
                plan.role(name).paid_on == "team" for name in _paid_as(plan, past, role, needed=past.reps)
            ],
            quotas=past.quotas,
        )
        counted = {rep, *(past.reps[member] for member in members)}
        deals = [deal for deal in deals if deal.rep in counted]
    asked_for = {
        label: quota if np.isnan(known_quota) else float(known_quota)
        for label, known_quota in zip(labels, known, strict=True)
    }
    tenure = float(past.tenure_months[row, -1])
    return trace(
        plan,
        deals,
        rep=rep,
        role=paid_as,
        period=period,
        quota=asked_for if plan.cumulative_within else asked_for[labels[-1]],
        employed={label: float(e) for label, e in zip(labels, past.employed[row], strict=True)},
        tenure_months=None if np.isinf(tenure) else tenure,
        draw_balance=_draw_balance(plan, tables, rep, asked, paid_as) if terms.draw else 0,
        currency=tables.currency,
        fiscal_year_starts_in_month=month,
    )


def _paid_as(plan: PayPlan, past: PastBookings, role: str | None, *, needed: Sequence[str]) -> list[str]:
    """Role of each rep, ``role`` or the plan's only one where the export has none; "" for reps not needed."""
    default = role or (plan.roles[0].role if len(plan.roles) == 1 else None)
    known = dict(zip(past.reps, past.roles, strict=True))
    missing = [rep for rep in needed if known[rep] is None]
    if missing and default is None:
        raise PlanError(
            f"plan '{plan.name}' pays {listed([r.role for r in plan.roles])}; the export has no role for "
            f"{listed(missing)}; say role=…"
        )
    return [found or default or "" for found in known.values()]


def _teams(reps: Sequence[str], managers: Sequence[str], tables: Tables) -> list[str]:
    """A manager leads those who report to her; anybody else belongs to the team of the own manager.

    Who is a manager is read from the whole export, so that a rep is in one team in all periods.
    """
    leads = set(tables.reps["manager"].dropna())
    return [rep if rep in leads else manager for rep, manager in zip(reps, managers, strict=True)]


def _with_leads(past: PastBookings, plan: PayPlan, tables: Tables) -> PastBookings:
    """The same with those who are paid on a team of theirs without a deal or quota of their own."""
    on_team = [pay.role for pay in plan.roles if pay.paid_on == "team"]
    month = past.fiscal_year_starts_in_month
    when = [Period.parse(label, fiscal_year_starts_in_month=month) for label in past.periods]
    teams = _teams(past.reps, past.managers, tables)
    with_sellers = {team for team, role in zip(teams, past.roles, strict=True) if role not in on_team}
    known = tables.reps.set_index("rep").sort_index()
    managers = known["manager"].fillna("").astype(str)
    team = pd.Series(_teams(known.index.tolist(), managers.tolist(), tables), index=known.index)
    employed, tenure = _on_the_payroll(known, when)
    added = np.asarray(
        known["role"].isin(on_team) & team.isin(with_sellers) & ~known.index.isin(past.reps)
    ) & employed.any(axis=1)
    if not added.any():
        return past
    names = known.index[added].tolist()
    nothing = np.zeros((len(names), len(when)))
    return replace(
        past,
        reps=(*past.reps, *names),
        roles=(*past.roles, *known["role"][added].tolist()),
        managers=(*past.managers, *managers[added].tolist()),
        bookings=np.vstack([past.bookings, nothing]),
        won=np.vstack([past.won, nothing]),
        quotas=np.vstack([past.quotas, np.full_like(nothing, np.nan)]),
        employed=np.vstack([past.employed, employed[added]]),
        tenure_months=np.vstack([past.tenure_months, tenure[added]]),
        notes=(*past.notes, f"paid on the team, without a deal or quota of their own: {listed(names)}"),
    )


def _on_the_payroll(known: pd.DataFrame, when: Sequence[Period]) -> tuple[FloatArray, FloatArray]:
    """Share of each period on the payroll and months of tenure at its beginning, shape (rep, period)."""
    shape = (len(known), len(when))
    employed = [
        [one.share_between(_day(start), _day(end)) for one in when]
        for start, end in zip(known["start"], known["end"], strict=True)
    ]
    tenure = [
        [np.inf if pd.isna(start) else (one.first_day - start.date()).days / _DAYS_PER_MONTH for one in when]
        for start in known["start"]
    ]
    return np.array(employed).reshape(shape), np.array(tenure).reshape(shape)


def _draw_balance(plan: PayPlan, tables: Tables, rep: str, asked: Period, role: str) -> float:
    """Advances that the rep has not yet paid back when the period begins."""
    earlier = [
        label for label in past_bookings(tables, period=plan.period).periods
        if Period.parse(label, fiscal_year_starts_in_month=tables.fiscal_year_starts_in_month) < asked
    ]  # fmt: skip
    if not earlier:
        return 0.0
    before = pay_past(plan, tables, periods=earlier, role=role)
    return float(before.draw_balance[before.reps.index(rep), -1]) if rep in before.reps else 0.0


def _spif_deals(
    plan: PayPlan, roles: Sequence[str], past: PastBookings, tables: Tables
) -> dict[str, FloatArray] | None:
    """Deals that qualify, by name of the SPIF; None: the plan has no SPIFs."""
    names = [spif.name for role in plan.roles for spif in role.spifs]
    if not names:
        return None
    counts = {name: np.zeros(past.bookings.shape) for name in names}
    row_of = {rep: number for number, rep in enumerate(past.reps)}
    column_of = {label: number for number, label in enumerate(past.periods)}
    for deal in past_deals(tables):
        closed_in = period_of(
            deal.closed, plan.period, fiscal_year_starts_in_month=past.fiscal_year_starts_in_month
        )
        column = column_of.get(str(closed_in))
        if column is None:
            continue
        row = row_of[deal.rep]
        for spif in plan.role(roles[row]).spifs:
            counts[spif.name][row, column] += qualifies(deal, spif)
    return counts


def _by_year(amounts: FloatArray) -> FloatArray:
    """Sums of four quarters each, on the last axis."""
    summed: FloatArray = amounts.reshape(*amounts.shape[:-1], -1, 4).sum(axis=-1)
    return summed


def _won(tables: Tables) -> pd.DataFrame:
    return tables.opportunities[tables.opportunities["status"] == "won"]


def _day(moment: pd.Timestamp) -> date | None:
    return None if pd.isna(moment) else moment.date()


def _parts(asked: Period, kind: PayPeriod) -> list[tuple[Period, float]]:
    """The periods of a kind that a quota belongs to, with the share that each gets."""
    first = period_of(asked.first_day, kind, fiscal_year_starts_in_month=asked.fiscal_year_starts_in_month)
    count = max(MONTHS[asked.kind] // MONTHS[kind], 1)
    return [(first.shift(k), 1 / count) for k in range(count)]


def _complete(tables: Tables, won: pd.DataFrame, asked: pd.DataFrame, kind: PayPeriod) -> list[Period]:
    """All complete periods, from the first with a quota (or a deal won) to the day of the export."""
    month = tables.fiscal_year_starts_in_month
    if len(asked):
        days = [
            Period.parse(x, fiscal_year_starts_in_month=month).first_day for x in asked["period"].unique()
        ]
        first = period_of(min(days), kind, fiscal_year_starts_in_month=month)
    elif len(won):
        first = period_of(won["closed"].min().date(), kind, fiscal_year_starts_in_month=month)
    else:
        raise PlanError("the export has neither quotas nor deals won")
    found = []
    while first.last_day <= tables.as_of:
        found.append(first)
        first = first.shift(1)
    if not found:
        raise PlanError(
            f"no {kind} is complete on {tables.as_of}, the day of the export; the first is {first}"
        )
    return found


def _past_notes(
    tables: Tables,
    won: pd.DataFrame,
    when: Sequence[Period],
    reps: Sequence[str],
    quota: FloatArray,
    employed: FloatArray,
    bookings: FloatArray,
) -> list[str]:
    notes = []
    closed_within = won["closed"].between(pd.Timestamp(when[0].first_day), pd.Timestamp(when[-1].last_day))
    lost = won[closed_within & (won["rep"].isna() | won["amount"].isna())]
    if len(lost):
        notes.append(f"{len(lost)} deals won have no seller or no amount and earn nobody anything")
    never = [rep for rep, row in zip(reps, quota, strict=True) if np.isnan(row).all()]
    if never:
        notes.append(f"no quota in any of these periods: {listed(never)}")
    outside = (bookings > 0) & (employed == 0)
    if outside.any():
        named = [rep for rep, row in zip(reps, outside, strict=True) if row.any()]
        notes.append(f"deals closed before the start or after the end of {listed(named)}")
    if when[-1].last_day > tables.as_of:
        notes.append(f"{when[-1]} is not complete: the export is of {tables.as_of}")
    return notes
