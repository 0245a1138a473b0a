"""Chapter 6: what the pay plan costs, whom it pays, and what its accelerators would have to bring."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import pandas as pd

from salessim import formats, pay, plans
from salessim.briefing.prepared import Briefing, bullets, reps
from salessim.engine import SampledOutcome, simulate
from salessim.errors import ParameterError, PlanError, listed
from salessim.pay import PayCosts, Payout, PayPlan, PayRow, RolePay

__all__ = [
    "PayReport",
    "earnings",
    "ote",
    "past_costs",
    "pay_by_rep",
    "pay_costs_frame",
    "pay_findings",
    "pay_plan_text",
    "pay_table",
    "pay_texts",
    "pay_trace",
    "pay_warnings",
    "prepare_pay",
    "quota_and_pay",
    "shipped_pay_plans",
    "tradeoff_with_pay",
]

#: The shipped plan that stands in where none is given, and the OTE that it is fitted to: the middle of the
#: field's quota : OTE ratios.
STAND_IN = "50-50-accelerator"
QUOTA_TO_OTE = 5.0
#: Trials on which the levels of a quota curve are paid; the curve is smooth, and its luck is shared.
CURVE_TRIALS = 1000
#: A trace with more steps than this may be shown rule by rule.
MOST_STEPS = 30
#: Trials from which on one case in a hundred can be told.
FEWEST_FOR_RARE = 1000


@dataclass(frozen=True, eq=False)
class PayReport:
    """A pay plan, and perhaps another, scored on the quotas and the luck of one report."""

    briefing: Briefing
    plan: PayPlan
    other: PayPlan | None
    """The plan it is compared with; None: none."""
    payout: Payout
    """By the recommended quotas, over all simulated quarters; axes (trial, rep, period)."""
    other_payout: Payout | None
    gross_margin: float
    notes: tuple[str, ...]
    """What was assumed on the way."""

    @functools.cached_property
    def costs(self) -> PayCosts:
        """What the plan costs, and who earns it."""
        return pay.pay_costs(self.payout)

    @functools.cached_property
    def other_costs(self) -> PayCosts | None:
        """The same of the other plan."""
        return pay.pay_costs(self.other_payout) if self.other_payout else None

    @property
    def annual_quota(self) -> dict[str, float]:
        """Recommended quota of a fully ramped rep per year, by role that carries one."""
        return _annual_quota(self.briefing)

    @property
    def span(self) -> str:
        """The quarters that are paid, for a sentence."""
        periods = self.briefing.outcome.periods
        return f"{periods[0]} to {periods[-1]}" if len(periods) > 1 else periods[0]


def prepare_pay(
    briefing: Briefing,
    *,
    pay_plan: str = "",
    compare: str = "",
    gross_margin: float = 0.7,
    trials: int = 4000,
    seed: int = 1,
) -> PayReport:
    """Score a pay plan, and one to compare it with, on simulated quarters with the recommended quotas.

    Args:
        briefing: the report.
        pay_plan: path of a pay plan (.yaml) or name of a shipped one; "" for a 50/50 plan with accelerators.
            A shipped plan is a pattern: its OTE is set to a fifth of the recommended annual quota, and it
            pays every role of the team alike.
        compare: likewise; "" for none.
        gross_margin: share of extra bookings that is left before sales pay, for the worth of accelerators.
        trials: simulated horizons that are paid.
        seed: seed of the simulation.

    Raises:
        PlanError: a fault in a plan, or a role of the team that it does not pay.
    """
    if not 0 < gross_margin <= 1:
        raise ParameterError(f"gross_margin is {gross_margin!r}; write a share such as 0.7 for 70 %")
    chosen, note = _chosen(briefing, pay_plan or STAND_IN, given=bool(pay_plan))
    other, other_note = _chosen(briefing, compare, given=True) if compare else (None, "")
    monthly = "month" in {chosen.period, other.period if other else ""}
    outcome = simulate(briefing.scenario, engine="thinning", trials=trials, seed=seed, by_month=monthly)
    return PayReport(
        briefing=briefing,
        plan=chosen,
        other=other,
        payout=_paid(chosen, outcome, briefing),
        other_payout=_paid(other, outcome, briefing) if other else None,
        gross_margin=gross_margin,
        notes=tuple(text for text in (note, other_note) if text),
    )


def _paid(plan: PayPlan, outcome: object, briefing: Briefing) -> Payout:
    assert isinstance(outcome, SampledOutcome)
    return pay.pay_outcome(plan, outcome, briefing.recommended)


def _annual_quota(briefing: Briefing) -> dict[str, float]:
    annual = briefing.recommended.annual_quota
    roles = list(dict.fromkeys(rep.role for rep in briefing.scenario.team()))
    if isinstance(annual, dict):
        return {role: annual[role] for role in roles if role in annual}
    return dict.fromkeys(roles, annual)


def _chosen(briefing: Briefing, name: str, *, given: bool) -> tuple[PayPlan, str]:
    """The plan by its name or path, and what had to be assumed for it."""
    plan = pay.load_plan(name)
    roles = list(dict.fromkeys(rep.role for rep in briefing.scenario.team()))
    if name not in pay.shipped_plans():
        paid = [role.role for role in plan.roles]
        if missing := [role for role in roles if role not in paid]:
            raise PlanError(f"{name}: pays {listed(paid)}; the team also has {listed(missing)}")
        if plan.currency and plan.currency != briefing.currency:
            raise PlanError(f"{name}: currency is {plan.currency}; the bookings are in {briefing.currency}")
        return plan, ""
    quotas = _annual_quota(briefing)
    largest = max(quotas.values())
    ote = {role: float(f"{quotas.get(role, largest) / QUOTA_TO_OTE:.2g}") for role in roles}
    fitted = fitted_to(plan, on_target_earnings=ote)
    what = f"the shipped plan “{plan.name}”" if given else f"no pay plan was given; “{plan.name}” stands in"
    amounts = ", ".join(
        f"{briefing.money(ote[role])} for a quota of {briefing.money(quota)} ({role})"
        for role, quota in quotas.items()
    )
    others = [role.role for role in plan.roles if role.role not in roles]
    extra = f"; nobody in the team is {listed(others)}, who are not costed" if len(plan.roles) > 1 else ""
    return fitted, (
        f"{what}: its OTE is set to a fifth of the recommended annual quota: {amounts} (field norm: quota 4 "
        f"to 6 × OTE), its SPIFs and draws in step{extra}"
    )


def fitted_to(plan: PayPlan, *, on_target_earnings: Mapping[str, float]) -> PayPlan:
    """A shipped plan as a pattern: paid to each role, all amounts in step with the OTE of the role.

    >>> fitted = fitted_to(pay.load_plan("ramp-draw"), on_target_earnings={"AE": 50_000.0})
    >>> fitted.roles[0].role, fitted.roles[0].on_target_earnings
    ('AE', 50000.0)
    """
    own = {role.role: role for role in plan.roles}
    paid = []
    for name, wanted in on_target_earnings.items():
        role = own.get(name, plan.roles[0])
        factor = wanted / role.on_target_earnings
        spifs = tuple(
            spif.model_copy(
                update={
                    "amount_per_deal": spif.amount_per_deal * factor,
                    "minimum_deal_amount": spif.minimum_deal_amount * factor,
                }
            )
            for spif in role.spifs
        )
        draw = role.draw and role.draw.model_copy(
            update={"amount_per_month": role.draw.amount_per_month * factor}
        )
        paid.append(
            role.model_copy(
                update={
                    "role": name,
                    "on_target_earnings": role.on_target_earnings * factor,
                    "spifs": spifs,
                    "draw": draw,
                }
            )
        )
    return plan.model_copy(update={"roles": tuple(paid), "splits": {}})


def pay_findings(report: PayReport) -> str:
    """What the plan costs and what it does, in sentences (Markdown)."""
    b, costs = report.briefing, report.costs
    low, high, norm = costs.total.p10, costs.total.p90, pay.FIELD_NORMS["cost_of_sales"]
    at_ote, top = costs.share_at_ote, costs.top_share
    enough = costs.trials >= FEWEST_FOR_RARE
    rare = f", in one of a hundred cases more than {b.money(costs.top_pay.p99)}" if enough else ""
    lines = [
        f"**“{report.plan.name}” costs {b.money(costs.total.p50)} from {report.span}** ({b.money(low)} to "
        f"{b.money(high)} in 8 of 10 cases, {formats.count(costs.trials)} trials): "
        f"{formats.percent(costs.cost_of_sales.p50, digits=1)} of bookings, "
        f"{formats.percent(costs.cost_of_sales.p10, digits=1)} to "
        f"{formats.percent(costs.cost_of_sales.p90, digits=1)} (in the field about "
        f"{formats.percent(norm.low, digits=1)} of revenue, all sales pay: {norm.cited()}).",
        f"**{formats.percent(at_ote.mean)} of {reps(len(costs.reps))} are expected to earn their OTE or "
        f"more** ({formats.percent(at_ote.p10)} to {formats.percent(at_ote.p90)}). The best-paid rep earns "
        f"{b.money(costs.top_pay.p50)}{rare}, "
        f"and takes {formats.percent(top.p50)} of all variable pay.",
        *_accelerators(report),
        *_comparison(report),
        *_asymmetry(report),
    ]
    return bullets([*lines, *(f"Assumed: {note}." for note in report.notes)])


def _accelerators(report: PayReport) -> list[str]:
    b = report.briefing
    found = pay.accelerator_cost(report.payout, gross_margin=report.gross_margin)
    if not pay.has_accelerators(report.plan):
        return ["The plan has no accelerators: whoever reaches quota earns no higher rate beyond it [B4]."]
    if not found.cost.mean > 0:
        return ["The plan's accelerators cost nothing here: nobody gets to them, or the cap swallows them."]
    worth = (
        f"they would have to bring {b.money(found.extra_bookings_at_margin)} more bookings "
        f"({formats.percent(found.extra_share_at_margin, digits=1)})"
        if math.isfinite(found.extra_bookings_at_margin)
        else "no amount of extra bookings pays for them"
    )
    return [
        f"**Accelerators cost {b.money(found.cost.mean)}** ({b.money(found.cost.p10)} to "
        f"{b.money(found.cost.p90)}), {formats.percent(found.share_of_variable)} of variable pay, on "
        f"bookings that come anyway. At a gross margin of {formats.percent(report.gross_margin)}, {worth} "
        "to pay for themselves. Whether pay makes people sell more is not in the model."
    ]


def _comparison(report: PayReport) -> list[str]:
    if report.other_payout is None:
        return []
    b, found = report.briefing, pay.compare_plans(report.payout, report.other_payout)
    gap = found.difference
    word, sign = ("more", 1) if gap.mean >= 0 else ("less", -1)
    known = sorted((sign * gap.mean_low, sign * gap.mean_high))
    luck = sorted((sign * gap.p10, sign * gap.p90))
    return [
        f"**“{found.plan_b}” would cost {b.money(abs(gap.mean))} {word} on the same luck** (mean, known to "
        f"{b.money(known[0])} to {b.money(known[1])}; {b.money(luck[0])} to {b.money(luck[1])} {word} in 8 "
        f"of 10 cases). It is the dearer plan with probability "
        f"{formats.percent(found.probability_b_costs_more)}; on average {reps(found.gain)} would earn more "
        f"and {formats.count(found.lose)} less."
    ]


def _asymmetry(report: PayReport) -> list[str]:
    """What a quota that is set ten percent too low or too high costs in pay."""
    b, curve = report.briefing, _levels(report, (0.9, 1.0, 1.1))
    low, middle, high = curve["pay"]
    if low - high < 1:  # a plan that does not look at quotas
        return []
    return [
        f"**A quota set 10 % too low costs {b.money(low - middle)} more pay; one 10 % too high saves "
        f"{b.money(middle - high)}** (means, on the same luck)."
    ]


def _levels(report: PayReport, factors: Sequence[float]) -> pd.DataFrame:
    """Pay over all simulated quarters with the recommended quotas times each factor, on shared trials."""
    first, rows = report.payout.inputs, []
    for factor in factors:
        paid = pay.pay_out(
            report.plan,
            first.bookings[:CURVE_TRIALS],
            first.quotas * factor,
            roles=first.roles,
            reps=first.reps,
            periods=first.periods,
            won=None if first.won is None else first.won[:CURVE_TRIALS],
            spif_shares=first.spif_shares,
            churned_share=first.churned_share,
            employed=first.employed,
            tenure_months=first.tenure_months,
            teams=first.teams,
            currency=first.currency,
            fiscal_year_starts_in_month=first.fiscal_year_starts_in_month,
        )
        costs = pay.pay_costs(paid)
        share = costs.cost_of_sales
        rows.append([costs.total.mean, share.p50, share.p10, share.p90])
    columns = ["pay", "pay_cost_share", "pay_cost_low", "pay_cost_high"]
    return pd.DataFrame(rows, columns=columns, index=pd.Index(factors, name="factor"))


def tradeoff_with_pay(report: PayReport) -> pd.DataFrame:
    """What higher and lower quotas would mean for reps, company and pay, for
    :func:`salessim.charts.quota_tradeoff`: the columns of :func:`salessim.plans.tradeoff`, probability_plan
    (chance of the team plan; NaN: not stated), and pay_cost_share, pay_cost_low, pay_cost_high (P50, P10 and
    P90 of base and variable pay ÷ bookings over all simulated quarters)."""
    b = report.briefing
    curve = plans.tradeoff(b.outcome, b.recommended, period=b.quota_period)
    factors = (curve["quota"] / b.advised.full_quota).tolist()
    costs = _levels(report, factors).drop(columns="pay").reset_index(drop=True)
    return pd.concat([curve.assign(probability_plan=b.advised.probability_team_plan), costs], axis=1)


def pay_table(report: PayReport) -> str:
    """What a rep earns at which attainment in a year (Markdown table), by each plan."""
    rows = []
    for plan in (report.plan, report.other):
        if plan is None:
            continue
        table = pay.pay_at(plan, annual_quota=report.annual_quota)
        for row in table[table["attainment"].notna()].to_dict("records"):
            rows.append(
                [
                    plan.name if len(report.annual_quota) == 1 else f"{plan.name}, {row['role']}",
                    formats.percent(row["attainment"]),
                    *(f"{row[name]:,.0f}" for name in ("bookings", "commission", "total")),
                    formats.percent(row["effective_rate"], digits=1),
                    formats.percent(row["share_of_ote"]),
                ]
            )
    unit = _unit(report.briefing)
    header = ["plan", "attainment", f"bookings{unit}", f"commission{unit}", f"pay{unit}"]
    return formats.table([*header, "effective rate", "of OTE"], rows) + (
        "\n\nPer year, at the same attainment in every period; SPIFs, draws and clawbacks depend on deals "
        "and are left out. *effective rate*: commission ÷ bookings."
    )


def _unit(briefing: Briefing) -> str:
    return "" if briefing.currency == formats.NO_CURRENCY else f", {briefing.currency}"


def earnings(report: PayReport) -> pd.DataFrame:
    """Pay against attainment for the role with the most reps, for :func:`salessim.charts.earnings_curve`:
    columns attainment, pay (per year), marginal_rate, plan."""
    annual, role = report.annual_quota, _largest_role(report)
    frames = [
        pay.earnings_curve(plan, role=role, annual_quota=annual[role]).assign(plan=plan.name)
        for plan in (report.plan, report.other)
        if plan is not None
    ]
    return pd.concat(frames, ignore_index=True)


def ote(report: PayReport) -> float:
    """OTE of the role whose earnings are drawn, per year in currency."""
    return report.plan.role(_largest_role(report)).on_target_earnings


def _largest_role(report: PayReport) -> str:
    """The role that carries quotas and has the most reps."""
    team = pd.Series([rep.role for rep in report.briefing.scenario.team()])
    return str(team[team.isin(list(report.annual_quota))].mode().iloc[0])


def pay_costs_frame(report: PayReport) -> pd.DataFrame:
    """Cost of each plan (columns plan, p10, p50, p90, share_p50), as the chart of pay costs wants it."""
    rows = [
        [c.plan, c.total.p10, c.total.p50, c.total.p90, c.cost_of_sales.p50]
        for c in (report.costs, report.other_costs)
        if c is not None
    ]
    return pd.DataFrame(rows, columns=["plan", "p10", "p50", "p90", "share_p50"])


def pay_by_rep(report: PayReport) -> str:
    """What each rep may earn over the simulated quarters (Markdown table), by the recommended quotas."""
    rows = [
        [
            row["rep"],
            f"{row['on_target_earnings']:,.0f}",
            f"{row['p50']:,.0f}",
            f"{row['p10']:,.0f} to {row['p90']:,.0f}",
            formats.percent(row["chance_of_ote"]),
        ]
        for row in report.costs.reps.sort_values("mean", ascending=False).to_dict("records")
    ]
    unit = _unit(report.briefing)
    header = ["rep", f"OTE{unit}", f"pay (P50){unit}", "P10 to P90", "chance of OTE"]
    return formats.table(header, rows) + f"\n\nOver {report.span}; OTE for the time on the payroll."


def pay_warnings(report: PayReport) -> str:
    """What a reader must know before signing (Markdown): cliffs, and what lies outside the field's norms."""
    lines = []
    for plan in (report.plan, report.other):
        if plan is not None:
            found = [*plan.warnings(), *pay.field_warnings(plan, annual_quota=report.annual_quota)]
            lines += [f"“{plan.name}”: {text}" for text in found]
    notes = list(dict.fromkeys((*report.payout.notes, *(report.other_payout or report.payout).notes)))
    nothing = [
        "No cliff, and pay never falls as bookings rise; quota ÷ OTE, pay mix, accelerators, cap and "
        "clawback lie inside what the field quotes."
    ]
    return bullets([*(lines or nothing), *notes])


def quota_and_pay(report: PayReport) -> str:
    """Quota and OTE side by side (Markdown table), by role."""
    rows = []
    for role, quota in report.annual_quota.items():
        for plan in (report.plan, report.other):
            if plan is not None:
                rows.append(_ratio(plan, plan.role(role), quota, report.briefing.currency))
    header = ["role", "plan", "annual quota", "OTE", "base : variable", "quota ÷ OTE", "base rate"]
    return formats.table(header, rows)


def _ratio(plan: PayPlan, role: RolePay, quota: float, currency: str) -> list[str]:
    mix = f"{role.base_share * 100:.0f} : {(1 - role.base_share) * 100:.0f}"
    return [
        role.role,
        plan.name,
        formats.money(quota, currency),
        formats.money(role.on_target_earnings, currency),
        mix,
        formats.ratio(quota / role.on_target_earnings),
        formats.percent(role.target_variable / quota, digits=1),
    ]


def past_costs(report: PayReport) -> str:
    """What the plan would have cost on past bookings and quotas (Markdown table), by quarter or by year:
    facts, as far as other pay would not have changed what was sold."""
    b = report.briefing
    if b.tables.quotas.empty:
        return "The export has no quotas, so what the plan would have paid in the past cannot be said."
    plan = report.plan if report.plan.period != "month" else report.plan.paid_by("quarter")
    only = plan.roles[0].role
    try:
        paid = pay.pay_past(plan, b.tables, role=only)
    except PlanError as problem:
        return f"What the plan would have paid in the past cannot be said: {problem}."
    rows = []
    for column, period in enumerate(paid.periods):
        pay_of, booked = paid.total[..., column].ravel(), float(paid.inputs.bookings[..., column].sum())
        target = paid.on_target_earnings[:, column]
        there = target > 0
        made = int((pay_of[there] >= target[there] * (1 - 1e-9)).sum())
        rows.append(
            [
                period,
                b.money(float(pay_of.sum())),
                b.money(booked),
                formats.percent(float(pay_of.sum()) / booked if booked else math.nan, digits=1),
                f"{made} of {int(there.sum())}",
                b.money(float(pay_of.max())),
            ]
        )
    header = ["period", "pay", "bookings", "pay ÷ bookings", "earned OTE", "best-paid rep"]
    notes = f"\n\n{bullets(paid.notes)}" if paid.notes else ""
    return formats.table(header, rows) + (
        "\n\nOn the bookings and quotas of the export, as if people had sold the same." + notes
    )


def pay_trace(report: PayReport, *, rep: str = "", period: str = "", every_deal: bool = True) -> str:
    """Where a rep's pay of a past period comes from (Markdown): each deal, tier, rate and amount.

    Args:
        report: the pay plan and the export.
        rep: name of the rep; "" for the one who booked most in the period.
        period: label by the plan's period ("2026Q2", "2026-05", "2026"); "" for the last one in the reported
            quarter.
        every_deal: False: of a long trace the deals of each rule are added up.

    Raises:
        PlanError: nobody of that name booked or carried a quota in the period.
    """
    b, plan = report.briefing, report.plan
    label = period or _last_period(report)
    past = pay.past_bookings(b.tables, period=plan.period, periods=[label])
    if rep and rep not in past.reps:
        raise PlanError(f"rep is '{rep}'; in {label} a deal or a quota have {listed(past.reps)}")
    booked = past.bookings.sum(axis=1)
    place = past.reps.index(rep) if rep else int(booked.argmax())
    name = past.reps[place]
    role = past.roles[place] or plan.roles[0].role
    notes = [f"Assumed: {note}." for note in report.notes[:1]]
    stand_in = None
    if b.tables.quotas.empty:
        stand_in = report.annual_quota.get(role, math.nan) / plan.periods_per_year
        notes.append(
            f"Assumed: a quota of {formats.money(stand_in, b.currency)}, the recommended annual one divided "
            f"by {plan.periods_per_year}; the export has no quotas."
        )
    found = pay.trace_past(plan, b.tables, rep=name, period=label, role=role, quota=stand_in)
    steps = found.rows
    if not every_deal and len(steps) > MOST_STEPS:
        steps = _by_rule(steps)
        notes.append("Deals are added up by rule here; `salessim pay trace` shows every deal.")
    rows = []
    for row in steps:
        rate = "–" if row.rate is None else f"{float(row.rate):.4%}".replace("%", " %")
        basis = "–" if row.basis is None else f"{row.basis:,.2f}"
        rows.append([row.part, row.what, row.deal_id or "–", basis, rate, f"{row.amount:,.2f}"])
    rows.append(["**total**", "", "", "", "", f"**{found.total:,.2f}**"])
    quota = "no quota" if found.quota is None else f"quota {formats.money(float(found.quota), b.currency)}"
    attained = "" if math.isnan(found.attainment) else f", attainment {formats.percent(found.attainment)}"
    span = f" (both {plan.cumulative_within} to date)" if plan.cumulative_within else ""
    unit = "" if b.currency == formats.NO_CURRENCY else f" ({b.currency})"
    return (
        f"**{name}, {role}, {label}**: {quota}, booked {formats.money(float(found.bookings), b.currency)}"
        f"{attained}{span}.\n\n"
        + "".join(f"{note}\n\n" for note in notes)
        + formats.table(["part", "rule", "deal", f"basis{unit}", "rate", f"amount{unit}"], rows)
    )


def pay_texts(report: PayReport) -> dict[str, object]:
    """Figures of the pay plan as texts, for pages of the sales book."""
    b, costs = report.briefing, report.costs
    found = pay.accelerator_cost(report.payout, gross_margin=report.gross_margin)
    ratios = [
        quota / report.plan.role(role).on_target_earnings for role, quota in report.annual_quota.items()
    ]
    return {
        "pay_plan_name": report.plan.name
        + ("" if not report.notes else " (a stand-in, see the pay chapter)"),
        "pay_cost": (
            f"{b.money(costs.total.p50)} from {report.span} ({b.money(costs.total.p10)} to "
            f"{b.money(costs.total.p90)} in 8 of 10 cases)"
        ),
        "cost_of_sales": f"{formats.percent(costs.cost_of_sales.p50, digits=1)} of bookings",
        "share_at_ote": f"{formats.percent(costs.share_at_ote.mean)} (n = {reps(len(costs.reps))})",
        "quota_to_ote": " and ".join(dict.fromkeys(formats.ratio(ratio) for ratio in ratios)),
        "accelerator_cost": b.money(found.cost.mean)
        if pay.has_accelerators(report.plan)
        else "nothing (there are none)",
    }


def shipped_pay_plans() -> str:
    """The pay plans that ship with the product (Markdown table), with who describes such a plan."""
    rows = []
    for name in pay.shipped_plans():
        plan = pay.load_plan(name)
        source = "–" if plan.source is None else f"{plan.source.who} (grade {plan.source.grade})"
        rows.append([name, " ".join(plan.description.split()), plan.period, source])
    return formats.table(["name", "what it does", "paid by", "source"], rows)


def pay_plan_text(name: str, *, annual_quota: float) -> str:
    """A pay plan for people (Markdown): pay at 50 to 150 % of quota, what to know, and its YAML.

    Args:
        name: a shipped plan, or the path of one.
        annual_quota: quota of a rep per year, in the plan's currency.
    """
    if not annual_quota > 0:
        raise ParameterError(f"annual_quota is {annual_quota!r}; it must be an amount above 0")
    plan = pay.load_plan(name)
    currency = plan.currency or formats.NO_CURRENCY
    rows = [
        [
            row["role"],
            formats.percent(row["attainment"]),
            formats.money(row["bookings"], currency),
            formats.money(row["commission"], currency),
            formats.money(row["total"], currency),
            formats.percent(row["effective_rate"], digits=1),
        ]
        for row in pay.pay_at(plan, annual_quota=annual_quota).to_dict("records")
    ]
    known = [*plan.warnings(), *pay.field_warnings(plan, annual_quota=annual_quota)]
    table = formats.table(["role", "attainment", "bookings", "commission", "pay", "effective rate"], rows)
    return "\n\n".join([f"**{plan.name}**: {plan.description}", table, bullets(known), plan.to_yaml()])


def _by_rule(steps: Sequence[PayRow]) -> tuple[PayRow, ...]:
    """The steps of a trace with the deals of each rule and rate added up."""
    groups: dict[tuple[object, ...], list[PayRow]] = {}
    for row in steps:
        groups.setdefault((row.part, row.what, row.rate), []).append(row)
    return tuple(
        found[0]
        if len(found) == 1
        else replace(
            found[0],
            deal_id=f"{len(found)} deals",
            basis=None
            if found[0].basis is None
            else sum((row.basis or Decimal(0) for row in found), Decimal(0)),
            amount=sum((row.amount for row in found), Decimal(0)),
        )
        for found in groups.values()
    )


def _last_period(report: PayReport) -> str:
    quarter = report.briefing.quarter
    if report.plan.period == "month":
        return quarter.months()[-1]
    return str(quarter.year) if report.plan.period == "year" else str(quarter)
