"""What a pay plan costs, whom it pays, and how two plans differ on the same luck.

Ranges over trials are 80 % ranges (P10 to P90); a mean over trials has an 80 % interval of its own. One trial
(real bookings) is a fact: it has no range, and its P10 and P90 are NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.errors import PlanError
from salessim.intervals import Z
from salessim.pay.payout import Payout, measured
from salessim.pay.plan import PayPlan, RolePay
from salessim.pay.schedule import accelerators, compiled, rate_before_quota

__all__ = [
    "AcceleratorCost",
    "Distribution",
    "PayCosts",
    "PayDifference",
    "accelerator_cost",
    "compare_plans",
    "earnings_curve",
    "has_accelerators",
    "pay_at",
    "pay_costs",
    "without_accelerators",
]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Distribution:
    """How a figure spreads over trials; trials where it is undefined (NaN) are left out.

    >>> spread = Distribution.of(np.array([1.0, 2.0, 3.0, np.nan]))
    >>> spread.mean, spread.p50, spread.n
    (2.0, 2.0, 3)
    """

    mean: float
    p10: float
    p50: float
    p90: float
    p99: float
    n: int
    """Number of trials that count; 1: a fact, without range."""
    standard_error: float
    """Of the mean, from sampling trials; NaN below two trials."""

    @property
    def mean_low(self) -> float:
        """Lower end of the 80 % interval of the mean."""
        return self.mean - Z * self.standard_error

    @property
    def mean_high(self) -> float:
        """Upper end of the 80 % interval of the mean."""
        return self.mean + Z * self.standard_error

    @classmethod
    def of(cls, values: FloatArray) -> Distribution:
        """The distribution of values, one per trial."""
        known = values[~np.isnan(values)]
        nan = float("nan")
        if known.size == 0:
            return cls(nan, nan, nan, nan, nan, 0, nan)
        mean = float(known.mean())
        if known.size == 1:
            return cls(mean, nan, mean, nan, nan, 1, nan)
        p10, p50, p90, p99 = (float(x) for x in np.quantile(known, [0.1, 0.5, 0.9, 0.99]))
        error = float(known.std(ddof=1)) / known.size**0.5
        return cls(mean, p10, p50, p90, p99, int(known.size), error)


def pay_at(
    plan: PayPlan,
    *,
    annual_quota: float | Mapping[str, float],
    attainments: Sequence[float] = (0.5, 0.75, 1.0, 1.25, 1.5),
) -> pd.DataFrame:
    """What each role earns in a year at even attainment: the table that a pay plan is explained with.

    Args:
        plan: the pay plan.
        annual_quota: quota per year in currency; one number, or one per role (a role left out carries none).
        attainments: bookings ÷ quota, the same in every period of the year.

    Returns:
        One row per role and attainment: role, attainment, bookings (per year, in currency), commission, total
        (base + commission; SPIFs, draws and clawbacks depend on deals and are left out), effective_rate
        (commission ÷ bookings; NaN without bookings), share_of_ote (total ÷ OTE). A role without quota has
        one row, with NaN where a figure needs a quota.

    >>> from salessim.pay import load_plan
    >>> table = pay_at(load_plan("50-50-accelerator"), annual_quota=500_000.0)
    >>> table[["attainment", "commission", "total", "share_of_ote"]].round(3).values.tolist()[2:4]
    [[1.0, 50000.0, 100000.0, 1.0], [1.25, 68750.0, 118750.0, 1.188]]
    """
    rows = []
    for role in plan.roles:
        quota = _annual_quota(plan, role, annual_quota)
        if quota is None:
            commission = {"none": 0.0, "target": role.target_variable, "first_tier": np.nan}[
                role.without_quota
            ]
            reached, amounts = np.array([np.nan]), np.array([commission])
        else:
            reached = np.asarray(attainments, dtype=np.float64)
            if not (reached >= 0).all():
                raise PlanError(f"attainments are {list(attainments)}; write shares of quota of zero or more")
            amounts = _annual_commission(role, reached, quota)
        bookings = reached * (np.nan if quota is None else quota)
        with np.errstate(divide="ignore", invalid="ignore"):
            effective = np.where(bookings > 0, amounts / bookings, np.nan)
        rows.append(
            pd.DataFrame(
                {
                    "role": role.role,
                    "attainment": reached,
                    "bookings": bookings,
                    "commission": amounts,
                    "total": role.annual_base + amounts,
                    "effective_rate": effective,
                    "share_of_ote": (role.annual_base + amounts) / role.on_target_earnings,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)


def earnings_curve(plan: PayPlan, *, role: str, annual_quota: float, up_to: float = 2.0) -> pd.DataFrame:
    """Annual pay against attainment, exact at every corner, for a chart.

    Args:
        plan: the pay plan.
        role: role whose pay is drawn.
        annual_quota: quota per year, in currency.
        up_to: last attainment.

    Returns:
        Rows rise with attainment: attainment, bookings, pay (base + commission per year), marginal_rate
        (share of the next unit of bookings that is paid). At a cliff two rows share an attainment.

    >>> from salessim.pay import load_plan
    >>> curve = earnings_curve(load_plan("50-50-accelerator"), role="account executive", annual_quota=5e5)
    >>> curve[["attainment", "pay", "marginal_rate"]].round(3).values.tolist()[:2]
    [[0.0, 50000.0, 0.1], [1.0, 100000.0, 0.15]]
    """
    pay = plan.role(role)
    if not annual_quota > 0 or not up_to > 0:
        raise PlanError(f"annual_quota is {annual_quota:g} and up_to {up_to:g}; both must be above zero")
    schedule = compiled(pay)
    target = pay.target_variable
    values = target * schedule.multiple_values + annual_quota * schedule.rate_values
    slopes = target * schedule.multiple_slopes + annual_quota * schedule.rate_slopes
    jumps = target * schedule.multiple_jumps + annual_quota * schedule.rate_jumps
    most = np.inf if pay.cap is None else pay.cap * target
    ends = np.append(schedule.starts[1:], np.inf)
    points: list[tuple[float, float, float]] = []
    for start, end, value, slope, jump in zip(schedule.starts, ends, values, slopes, jumps, strict=True):
        if start > up_to:
            break
        if jump and min(value - jump, most) != min(value, most):
            points.append((start, min(value - jump, most), points[-1][2]))
        points.append((start, min(value, most), slope if value < most else 0.0))
        if slope > 0 and value < most:
            capped = start + (most - value) / slope
            if capped < min(end, up_to):
                points.append((capped, most, 0.0))
    if points[-1][0] < up_to:
        attainment, value, slope = points[-1]
        points.append((up_to, min(value + slope * (up_to - attainment), most), slope))
    table = pd.DataFrame(points, columns=["attainment", "pay", "marginal_rate"])
    table["pay"] += pay.annual_base
    table["marginal_rate"] /= annual_quota
    table.insert(1, "bookings", table["attainment"] * annual_quota)
    return table


@dataclass(frozen=True)
class PayCosts:
    """What a plan costs over all periods of a payout; amounts in ``currency``, shares as fractions."""

    plan: str
    currency: str
    periods: tuple[str, ...]
    trials: int
    total: Distribution
    """Base and variable pay of the team."""
    variable: Distribution
    """Pay beyond base."""
    cost_of_sales: Distribution
    """Total pay ÷ bookings; trials without bookings are left out."""
    effective_rate: Distribution
    """Variable pay ÷ bookings."""
    share_at_ote: Distribution
    """Share of reps who earn at least their OTE."""
    top_pay: Distribution
    """Pay of the highest-paid rep of each trial."""
    top_share: Distribution
    """Share of the team's variable pay that goes to the rep with the most; trials without are left out."""
    reps: pd.DataFrame
    """rep, role, on_target_earnings (over the periods, by the time on the payroll), mean, p10, p50, p90 (pay;
    ranges NaN for one trial), chance_of_ote (share of trials in which pay reaches OTE)."""
    notes: tuple[str, ...]


def pay_costs(payout: Payout, bookings: npt.ArrayLike | None = None) -> PayCosts:
    """What the plan costs, what share of bookings that is, and who earns it.

    Args:
        payout: a plan scored on bookings.
        bookings: bookings of the company in currency, axes (…, rep, period) or (…, period) with the trials of
            the payout; left out: the bookings that were credited (which counts a deal twice where two reps
            are credited with it).

    Raises:
        PlanError: bookings of another number of trials.

    >>> from salessim.pay import load_plan, pay_out
    >>> plan = load_plan("50-50-accelerator")
    >>> paid = pay_out(plan, [[[125_000.0]], [[62_500.0]]], [[125_000.0]], roles=["account executive"])
    >>> costs = pay_costs(paid)
    >>> costs.total.mean, costs.share_at_ote.mean, costs.cost_of_sales.n
    (21875.0, 0.5, 2)
    """
    pay = _by_trial_and_rep(payout.total)
    variable = _by_trial_and_rep(payout.variable)
    trials, reps = pay.shape
    booked = np.asarray(payout.inputs.bookings if bookings is None else bookings, dtype=np.float64)
    if booked.size % trials or (
        booked.ndim > 1 and int(np.prod(booked.shape[: payout.total.ndim - 2])) != trials
    ):
        raise PlanError(f"bookings has the shape {booked.shape}; the payout has {payout.total.shape}")
    company = booked.reshape(trials, -1).sum(axis=1)
    ote = payout.on_target_earnings.sum(axis=1)
    counted = ote > 0
    made = pay >= ote * (1 - 1e-9)
    total, paid = pay.sum(axis=1), variable.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        cost_of_sales = np.where(company > 0, total / company, np.nan)
        effective = np.where(company > 0, paid / company, np.nan)
        top_share = np.where(paid > 0, variable.max(axis=1) / paid, np.nan)
        at_ote = made[:, counted].mean(axis=1) if counted.any() else np.full(trials, np.nan)
    low, middle, high = np.quantile(pay, [0.1, 0.5, 0.9], axis=0)
    unknown = np.full(reps, np.nan)
    return PayCosts(
        plan=payout.plan.name,
        currency=payout.currency,
        periods=payout.periods,
        trials=trials,
        total=Distribution.of(total),
        variable=Distribution.of(paid),
        cost_of_sales=Distribution.of(cost_of_sales),
        effective_rate=Distribution.of(effective),
        share_at_ote=Distribution.of(at_ote),
        top_pay=Distribution.of(pay.max(axis=1)),
        top_share=Distribution.of(top_share),
        reps=pd.DataFrame(
            {
                "rep": payout.reps,
                "role": payout.roles,
                "on_target_earnings": ote,
                "mean": pay.mean(axis=0),
                "p10": low if trials > 1 else unknown,
                "p50": middle,
                "p90": high if trials > 1 else unknown,
                "chance_of_ote": np.where(counted, made.mean(axis=0), np.nan),
            }
        ),
        notes=payout.notes,
    )


@dataclass(frozen=True)
class PayDifference:
    """Plan b less plan a on the same trials; amounts in ``currency`` over all periods."""

    plan_a: str
    plan_b: str
    currency: str
    trials: int
    difference: Distribution
    """Total cost of b − a per trial: P10 to P90 is the range of luck, ``mean_low`` to ``mean_high`` how well
    the mean is known."""
    probability_b_costs_more: float
    """Share of trials in which b costs more by at least a cent."""
    gain: int
    """Reps who earn more by b on average, by at least a cent."""
    lose: int
    """Reps who earn less by b on average, by at least a cent."""
    reps: pd.DataFrame
    """rep, role, mean_a, mean_b, mean_difference (b − a), p10, p90 (of the difference; NaN for one trial),
    chance_gains (share of trials in which b pays the rep more)."""


def compare_plans(a: Payout, b: Payout) -> PayDifference:
    """Compare two plans on the same luck: trial by trial, so that luck itself cancels out.

    Raises:
        PlanError: different reps, trials or bookings, another currency, or another length of time.

    >>> from salessim.pay import load_plan, pay_out
    >>> paid = pay_out(load_plan("flat-rate"), [[187_500.0]], [[125_000.0]], roles=["account executive"])
    >>> round(compare_plans(paid, paid.by_plan(load_plan("50-50-accelerator"))).difference.mean, 2)
    4687.5
    """
    where = f"plans '{a.plan.name}' and '{b.plan.name}'"
    if a.reps != b.reps:
        raise PlanError(f"{where} were scored on different reps")
    if a.trials != b.trials:
        raise PlanError(f"{where} were scored on {a.trials} and {b.trials} trials; compare the same ones")
    if a.currency != b.currency:
        raise PlanError(f"{where} pay in {a.currency} and {b.currency}")
    if len(a.periods) * b.plan.periods_per_year != len(b.periods) * a.plan.periods_per_year:
        raise PlanError(
            f"{where} were scored on {len(a.periods)} {a.plan.period}s and {len(b.periods)} {b.plan.period}s"
        )
    if not np.allclose(_by_trial_and_rep(a.inputs.bookings), _by_trial_and_rep(b.inputs.bookings), atol=0.01):
        raise PlanError(f"{where} were scored on different bookings; score the second with a.by_plan(plan)")
    first, second = _by_trial_and_rep(a.total), _by_trial_and_rep(b.total)
    each = second - first
    team = each.sum(axis=1)
    mean = each.mean(axis=0)
    low, high = np.quantile(each, [0.1, 0.9], axis=0)
    unknown = np.full(len(a.reps), np.nan)
    return PayDifference(
        plan_a=a.plan.name,
        plan_b=b.plan.name,
        currency=a.currency,
        trials=a.trials,
        difference=Distribution.of(team),
        probability_b_costs_more=float((team >= 0.01).mean()),
        gain=int((mean >= 0.01).sum()),
        lose=int((mean <= -0.01).sum()),
        reps=pd.DataFrame(
            {
                "rep": a.reps,
                "role": a.roles,
                "mean_a": first.mean(axis=0),
                "mean_b": second.mean(axis=0),
                "mean_difference": mean,
                "p10": low if a.trials > 1 else unknown,
                "p90": high if a.trials > 1 else unknown,
                "chance_gains": (each >= 0.01).mean(axis=0),
            }
        ),
    )


@dataclass(frozen=True)
class AcceleratorCost:
    """What accelerators cost on bookings that come anyway, and what they must bring to pay for themselves."""

    plan: str
    currency: str
    cost: Distribution
    """Total pay less that of the same plan without accelerators [B4], per trial. It is 0 for a plan without,
    and for one whose accelerators nobody reached or a cap cuts off: :func:`has_accelerators` tells which."""
    share_of_variable: float
    """Mean cost ÷ mean variable pay."""
    rate_above_quota: float
    """Pay on a further unit of bookings above quota, on average over the bookings above quota; NaN: nobody
    gets above quota."""
    gross_margin: float
    """The margin on extra bookings that was assumed, a fraction."""
    extra_bookings_at_margin: float
    """Extra bookings above quota that pay for the accelerators: cost ÷ (gross margin − rate above quota);
    infinite where the margin does not exceed the rate."""
    extra_bookings_same_cost_of_sales: float
    """Extra bookings above quota that bring cost of sales back to what it is without accelerators: cost ÷
    (cost of sales without accelerators − rate above quota); infinite where the rate is no lower."""
    extra_share_at_margin: float
    """``extra_bookings_at_margin`` ÷ mean bookings."""
    extra_share_same_cost_of_sales: float
    """``extra_bookings_same_cost_of_sales`` ÷ mean bookings."""


def accelerator_cost(payout: Payout, *, gross_margin: float) -> AcceleratorCost:
    """What a plan's accelerators cost, and how much more must be sold for them to be worth it.

    The simulator does not know how pay changes effort. So this turns the question round: on bookings that do
    not react, accelerators cost C; X more above quota earn X × (gross margin − r), where r is what is paid on
    a unit above quota; they break even at X = C ÷ (gross margin − r). In the same way cost of sales returns
    to its level k without accelerators when (pay + X × r) ÷ (bookings + X) = k, so that X = C ÷ (k − r).

    What an accelerator is: see :func:`without_accelerators`. Where a plan mixes multiples and rates, they are
    compared for each rep by target variable pay and quota of all periods together.

    Args:
        payout: the plan with its accelerators, scored.
        gross_margin: share of extra bookings left before sales pay, a fraction between 0 and 1.

    >>> from salessim.pay import load_plan, pay_out
    >>> paid = pay_out(load_plan("50-50-accelerator"), [[156_250.0]], [[125_000.0]],
    ...                roles=["account executive"])
    >>> cost = accelerator_cost(paid, gross_margin=0.7)
    >>> cost.cost.mean, round(cost.rate_above_quota, 3), round(cost.extra_bookings_at_margin)
    (1562.5, 0.15, 2841)
    """
    if not 0 < gross_margin <= 1:
        raise PlanError(f"gross_margin is {gross_margin!r}; write a share above 0, such as 0.7 for 70 %")
    plain = _total_without_accelerators(payout)
    cost = _by_trial_and_rep(payout.total).sum(axis=1) - _by_trial_and_rep(plain).sum(axis=1)
    own_quota = np.where(np.isnan(payout.inputs.quotas), np.inf, payout.inputs.quotas)
    own = np.array([payout.plan.role(role).paid_on == "own" for role in payout.roles])[:, None]
    held = np.where(own, np.minimum(payout.inputs.bookings, own_quota), payout.inputs.bookings)
    at_quota = _with_bookings(payout, held)
    above = float((payout.inputs.bookings - held).sum())
    rate = float((payout.commission - at_quota.commission).sum()) / above if above > 0 else float("nan")
    spread = Distribution.of(cost)
    booked = float(payout.inputs.bookings.sum()) / payout.trials
    plain_ratio = float(plain.sum()) / payout.trials / booked if booked > 0 else float("nan")
    variable = float(payout.variable.sum()) / payout.trials
    at_margin = _break_even(spread.mean, gross_margin - rate)
    at_ratio = _break_even(spread.mean, plain_ratio - rate)
    return AcceleratorCost(
        plan=payout.plan.name,
        currency=payout.currency,
        cost=spread,
        share_of_variable=spread.mean / variable if variable > 0 else float("nan"),
        rate_above_quota=rate,
        gross_margin=gross_margin,
        extra_bookings_at_margin=at_margin,
        extra_bookings_same_cost_of_sales=at_ratio,
        extra_share_at_margin=at_margin / booked if booked > 0 else float("nan"),
        extra_share_same_cost_of_sales=at_ratio / booked if booked > 0 else float("nan"),
    )


def has_accelerators(plan: PayPlan, *, annual_quota: float | Mapping[str, float] | None = None) -> bool:
    """Whether a plan pays a higher rate from quota on; its cost may be 0 all the same (cap, nobody at quota).

    Args:
        plan: the pay plan.
        annual_quota: as in :func:`without_accelerators`.

    >>> from salessim.pay import load_plan
    >>> has_accelerators(load_plan("50-50-accelerator")), has_accelerators(load_plan("threshold-and-cap"))
    (True, False)
    """
    return any(
        accelerators(role, annual_quota=_annual_quota(plan, role, annual_quota)) for role in plan.roles
    )


def without_accelerators(
    plan: PayPlan, *, annual_quota: float | Mapping[str, float] | None = None
) -> PayPlan:
    """The same plan with its accelerators held to the rate just below 100 % attainment.

    An accelerator is a tier from 100 % attainment on whose rate is above the rate just below 100 %; a rate
    that stays or falls at quota is none, whatever its multiple, and remains. A retroactive accelerator no
    longer reaches back. The rate just below 100 % is that of the tiers, also where a threshold holds it back.

    Args:
        plan: the pay plan.
        annual_quota: quota per year in currency, one number or one per role: a tier written as a rate is
            compared with one written as a multiple by the base commission rate, target variable pay ÷ quota.
            Left out: such a tier counts as an accelerator.

    >>> from salessim.pay import load_plan
    >>> [tier.multiple for tier in without_accelerators(load_plan("50-50-accelerator")).roles[0].tiers]
    [1.0, 1.0, 1.0, 1.0]
    """
    roles = tuple(_held(role, _annual_quota(plan, role, annual_quota)) for role in plan.roles)
    return plan.model_copy(update={"name": f"{plan.name}, without accelerators", "roles": roles})


def _held(role: RolePay, annual_quota: float | None) -> RolePay:
    before, faster = rate_before_quota(role), accelerators(role, annual_quota=annual_quota)
    as_before = {"multiple": before.multiple, "rate": before.rate, "retroactive": False}
    tiers = tuple(tier.model_copy(update=as_before) if tier in faster else tier for tier in role.tiers)
    return role.model_copy(update={"tiers": tiers})


def _total_without_accelerators(payout: Payout) -> FloatArray:
    """Total pay without accelerators, each rep by the rates that the own quota makes of multiples."""
    _, quotas = measured(payout.inputs, payout.plan)
    known = np.isfinite(quotas)
    others = tuple(axis for axis in range(quotas.ndim) if axis != quotas.ndim - 2)
    asked = np.where(known, quotas, 0.0).sum(axis=others)
    target = np.where(known, payout.target_variable, 0.0).sum(axis=others)
    total = np.empty(payout.total.shape)
    scored: dict[RolePay, FloatArray] = {}
    for row, name in enumerate(payout.roles):
        # the quota of a year, of a rep who is there all year
        usable = asked[row] > 0 and target[row] > 0
        yearly = {name: asked[row] * payout.plan.role(name).target_variable / target[row]} if usable else {}
        plan = without_accelerators(payout.plan, annual_quota=yearly)
        held = plan.role(name)
        if held not in scored:
            scored[held] = payout.by_plan(plan).total
        total[..., row, :] = scored[held][..., row, :]
    return total


def _with_bookings(payout: Payout, bookings: FloatArray) -> Payout:
    return replace(payout, inputs=replace(payout.inputs, bookings=bookings)).by_plan(payout.plan)


def _break_even(cost: float, gain_per_unit: float) -> float:
    if np.isnan(cost) or np.isnan(gain_per_unit):
        return float("nan")
    if abs(cost) < 0.005:
        return 0.0
    return cost / gain_per_unit if gain_per_unit > 0 else float("inf")


def _annual_quota(
    plan: PayPlan, role: RolePay, annual_quota: float | Mapping[str, float] | None
) -> float | None:
    if isinstance(annual_quota, Mapping):
        for name in annual_quota:
            plan.role(name)
        quota = annual_quota.get(role.role)
    else:
        quota = annual_quota
    if quota is not None and not quota > 0:
        raise PlanError(f"annual_quota of '{role.role}' is {quota:g}; it must be above zero")
    return quota


def _annual_commission(role: RolePay, attainment: FloatArray, quota: float) -> FloatArray:
    size = np.ones_like(attainment)
    return compiled(role).commission(
        attainment, quota=quota * size, target_variable=role.target_variable * size
    )


def _by_trial_and_rep(amounts: FloatArray) -> FloatArray:
    """Sums over periods, shape (trials, reps)."""
    summed: FloatArray = amounts.sum(axis=-1)
    return summed.reshape(-1, summed.shape[-1])
