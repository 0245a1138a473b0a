"""The array implementation and the deal-by-deal one agree to the cent on random plans."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from random import Random

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from salessim.pay import Clawback, Deal, Draw, PayPlan, RolePay, Spif, Tier, pay_out, trace
from salessim.pay.labels import Period
from salessim.pay.plan import MONTHS
from salessim.pay.trace import qualifies

HALF_CENT = 0.005 + 1e-6
QUIET = settings(deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def cents(low: int, high: int) -> st.SearchStrategy[Decimal]:
    """Amounts in cents; often round ones, so that steps are hit exactly."""
    exact = st.integers(low * 100, high * 100).map(lambda number: Decimal(number) / 100)
    return st.one_of(exact, st.integers(low // 1000, high // 1000).map(lambda number: Decimal(number * 1000)))


def random_role(chance: Random) -> RolePay:
    """Any role that a plan may hold: up to five tiers, marginal or retroactive, multiples or rates."""
    starts = [0.0, *sorted({chance.randint(5, 250) / 100 for _ in range(chance.randint(0, 4))})]
    tiers = []
    for start in starts:
        retroactive = chance.random() < 0.2
        if chance.random() < 0.75:
            tiers.append(Tier(starts_at=start, multiple=chance.randint(0, 60) / 20, retroactive=retroactive))
        else:
            tiers.append(Tier(starts_at=start, rate=chance.randint(0, 60) / 200, retroactive=retroactive))
    return RolePay(
        role="AE",
        on_target_earnings=float(chance.randint(20_000, 400_000)),
        base_share=chance.randint(0, 95) / 100,
        tiers=tuple(tiers),
        threshold=chance.choice([0.0, chance.randint(1, 120) / 100, chance.choice(starts)]),
        threshold_counts_from=chance.choice(["threshold", "first_unit"]),
        cap=chance.choice([None, chance.randint(0, 300) / 100]),
        without_quota=chance.choice(["none", "target"] + ["first_tier"] * (tiers[0].rate is not None)),
    )


def random_plan(chance: Random, *, cumulative: bool = False) -> PayPlan:
    period = chance.choice(["month", "quarter"] if cumulative else ["month", "quarter", "year"])
    within = chance.choice(["quarter", "year"] if period == "month" else ["year"])
    return PayPlan(
        name="random",
        period=period,
        cumulative_within=within if cumulative else None,
        roles=(random_role(chance),),
    )


# drawn from a seed: five times as fast as field by field, for plans by the thousand
SEEDS = st.integers(0, 2**32).map(Random)
ROLES = SEEDS.map(random_role)
PLANS = SEEDS.map(random_plan)
CUMULATIVE_PLANS = SEEDS.map(lambda chance: random_plan(chance, cumulative=True))
SHARES = st.integers(0, 100).map(lambda number: number / 100)


def deal(number: int, period: Period, offset: int, amount: Decimal, **more: object) -> Deal:
    closed = period.first_day + timedelta(days=offset % period.days)
    return Deal(f"{period}-{number}", rep="Ada", closed=closed, amount=amount, **more)  # type: ignore[arg-type]


AMOUNTS = st.lists(st.tuples(st.integers(0, 400), cents(0, 200_000)), max_size=5)


def first_period(plan: PayPlan) -> Period:
    return Period(date(2026, 1, 1), plan.period)


@settings(QUIET, max_examples=900)
@given(plan=PLANS, amounts=AMOUNTS, quota=st.one_of(st.none(), cents(1_000, 300_000)))
def test_both_pay_the_same_commission(
    plan: PayPlan, amounts: list[tuple[int, Decimal]], quota: Decimal | None
) -> None:
    period = first_period(plan)
    deals = [deal(number, period, offset, amount) for number, (offset, amount) in enumerate(amounts)]
    exact = trace(plan, deals, rep="Ada", role="AE", period=str(period), quota=quota)
    booked = float(sum((one.amount for one in deals), Decimal(0)))
    paid = pay_out(
        plan, [[booked]], [[np.nan if quota is None else float(quota)]], roles=["AE"], periods=[str(period)]
    )
    assert abs(float(paid.commission[0, 0]) - float(exact.paid("commission"))) <= HALF_CENT
    assert abs(float(paid.base[0, 0]) - float(exact.paid("base"))) <= HALF_CENT
    assert abs(float(paid.total[0, 0]) - float(exact.total)) <= 2 * HALF_CENT
    assert exact.total == sum(row.amount for row in exact.rows)
    assert all(row.amount == round(row.amount, 2) for row in exact.rows)


@settings(QUIET, max_examples=250)
@given(
    plan=CUMULATIVE_PLANS,
    booked=st.lists(cents(0, 300_000), min_size=1, max_size=6),
    asked=st.lists(st.one_of(st.none(), cents(1_000, 200_000)), min_size=6, max_size=6),
)
def test_both_pay_the_same_to_date(plan: PayPlan, booked: list[Decimal], asked: list[Decimal | None]) -> None:
    first = first_period(plan)
    when = [first.shift(k) for k in range(len(booked))]
    quotas = {str(period): quota for period, quota in zip(when, asked, strict=False)}
    deals = [deal(0, period, 3, amount) for period, amount in zip(when, booked, strict=True)]
    paid = pay_out(
        plan,
        [[float(amount) for amount in booked]],
        [[np.nan if quota is None else float(quota) for quota in quotas.values()]],
        roles=["AE"],
        periods=[str(period) for period in when],
    )
    difference = 0.0
    for number, period in enumerate(when):
        exact = trace(plan, deals, rep="Ada", role="AE", period=str(period), quota=quotas)
        if period.place_in(plan.cumulative_within or "year") == 0:
            difference = 0.0
        # to date, what was paid differs by a rounding of the latest due amount, and of each guarantee
        difference += float(exact.paid("commission")) - float(paid.commission[0, number])
        assert abs(difference) <= HALF_CENT * (1 + sum(quota is None for quota in quotas.values()))
        assert np.isclose(exact.attainment, paid.attainment[0, number], equal_nan=True)


@settings(QUIET, max_examples=250)
@given(
    role=ROLES,
    draw=st.builds(
        Draw,
        amount_per_month=st.integers(100, 8_000).map(float),
        recoverable=st.booleans(),
        lasts_months=st.one_of(st.none(), st.integers(1, 12)),
    ),
    tenure=st.one_of(st.none(), st.integers(-3, 12)),
    share=SHARES,
    months=st.lists(st.tuples(cents(0, 60_000), st.booleans()), min_size=1, max_size=6),
    quota=cents(10_000, 60_000),
)
def test_both_draw_the_same_on_what_a_clawback_leaves(
    role: RolePay,
    draw: Draw,
    tenure: int | None,
    share: float,
    months: list[tuple[Decimal, bool]],
    quota: Decimal,
) -> None:
    pay = role.model_copy(update={"draw": draw, "clawback": Clawback(window_days=30, share=share)})
    plan = PayPlan(name="random", period="month", roles=(pay,))
    booked = [amount for amount, _ in months]
    left = [leaves for _, leaves in months]
    when = [Period(date(2026, 1, 1), "month").shift(k) for k in range(len(booked))]
    start = np.inf if tenure is None else float(tenure)
    paid = pay_out(
        plan,
        [[float(amount) for amount in booked]],
        np.full((1, len(booked)), float(quota)),
        roles=["AE"],
        tenure_months=start + np.arange(len(booked))[None, :] * MONTHS["month"],
        churned_share=[np.array(left, dtype=float)],
    )
    balance = Decimal(0)
    for number, (period, amount) in enumerate(zip(when, booked, strict=True)):
        one = deal(0, period, 3, amount)
        exact = trace(
            plan,
            [replace(one, churned=one.closed + timedelta(days=20)) if left[number] else one],
            rep="Ada",
            role="AE",
            period=str(period),
            quota=quota,
            tenure_months=None if tenure is None else tenure + number,
            draw_balance=balance,
        )
        balance = exact.draw_balance
        drawn = float(paid.draw_advance[0, number] - paid.draw_recovered[0, number])
        # a commission and a clawback are rounded each month
        assert abs(drawn - float(exact.paid("draw"))) <= (2 * number + 3) * HALF_CENT
        assert abs(float(paid.draw_balance[0, number]) - float(balance)) <= (2 * number + 2) * HALF_CENT
        assert abs(float(paid.total[0, number]) - float(exact.total)) <= (2 * number + 4) * HALF_CENT
        assert exact.total >= exact.paid("base")
        assert paid.total[0, number] >= paid.base[0, number] - 1e-9


@settings(QUIET, max_examples=200)
@given(
    role=ROLES,
    clawback=st.builds(Clawback, window_days=st.integers(1, 365), share=SHARES),
    amounts=st.lists(
        st.tuples(
            cents(0, 90_000), st.one_of(st.none(), st.integers(0, 400)), st.sampled_from(["a", "b", None])
        ),
        max_size=6,
    ),
    quota=cents(10_000, 200_000),
    spif=st.builds(
        Spif,
        name=st.just("bonus"),
        amount_per_deal=st.integers(1, 2_000).map(float),
        product=st.sampled_from([None, "a"]),
        minimum_deal_amount=st.integers(0, 50_000).map(float),
        first_day=st.sampled_from([None, date(2026, 1, 3)]),
    ),
)
def test_spifs_and_clawback_reconcile(
    role: RolePay,
    clawback: Clawback,
    amounts: list[tuple[Decimal, int | None, str | None]],
    quota: Decimal,
    spif: Spif,
) -> None:
    pay = role.model_copy(update={"clawback": clawback, "spifs": (spif,)})
    plan = PayPlan(name="random", roles=(pay,))
    period = first_period(plan)
    deals = []
    for number, (amount, days, product) in enumerate(amounts):
        one = deal(number, period, number, amount, product=product)
        left = None if days is None else one.closed + timedelta(days=days)
        deals.append(Deal(one.deal_id, "Ada", one.closed, amount, product, left))
    exact = trace(plan, deals, rep="Ada", role="AE", period="2026Q1", quota=quota)
    parts = ("base", "commission", "spif", "draw", "clawback")
    assert exact.total == sum((exact.paid(part) for part in parts), Decimal(0))
    soon = {
        one.deal_id
        for one in deals
        if one.churned and (one.churned - one.closed).days <= clawback.window_days
    }
    earned = {
        name: sum(float(row.amount) for row in exact.rows if row.part == "commission" and row.deal_id == name)
        for name in soon
    }
    commission = float(exact.paid("commission"))
    taken = clawback.share * min(sum(max(amount, 0.0) for amount in earned.values()), commission)
    assert abs(-float(exact.paid("clawback")) - taken) <= 0.011 * (1 + len(deals))
    booked = float(sum((one.amount for one in deals), Decimal(0)))
    share = sum(earned.values()) / commission if commission > 0 else 0.0
    paid = pay_out(
        plan,
        [[booked]],
        [[float(quota)]],
        roles=["AE"],
        spif_deals={"bonus": [[sum(qualifies(one, spif) for one in deals)]]},
        churned_share=min(max(share, 0.0), 1.0),
    )
    assert float(paid.spif[0, 0]) == float(exact.paid("spif"))
    if not any("fall" in text for text in plan.warnings()):
        assert abs(float(paid.clawback[0, 0]) + float(exact.paid("clawback"))) <= 0.011 * (1 + len(deals))
    total = paid.base + paid.commission + paid.spif + paid.draw_advance - paid.draw_recovered - paid.clawback
    np.testing.assert_allclose(paid.total, total, rtol=0, atol=1e-9)


@settings(QUIET, max_examples=350)
@given(
    role=ROLES, quota=st.integers(1_000, 300_000), low=st.integers(0, 400_000), more=st.integers(0, 100_000)
)
def test_pay_never_falls_unless_the_plan_says_so(role: RolePay, quota: int, low: int, more: int) -> None:
    plan = PayPlan(name="random", period="year", roles=(role,))
    paid = pay_out(plan, [[low], [low + more]], [[quota], [quota]], roles=["AE", "AE"]).commission[:, 0]
    says_so = any("fall" in text for text in plan.warnings())
    assert says_so or paid[1] >= paid[0] - 1e-6


@settings(QUIET, max_examples=350)
@given(role=ROLES, quota=st.integers(1_000, 300_000))
def test_no_cliff_unless_the_plan_says_so(role: RolePay, quota: int) -> None:
    plan = PayPlan(name="random", period="year", roles=(role,))
    steps = sorted({role.threshold, *(tier.starts_at for tier in role.tiers)} - {0.0})
    places = np.array([[step * quota * (1 + side * 1e-9)] for step in steps for side in (-1, 1)] or [[0.0]])
    paid = pay_out(plan, places, np.full_like(places, quota), roles=["AE"] * len(places)).commission[:, 0]
    jumps = np.diff(paid)[::2]
    allowed = 1e-8 * (4 * role.on_target_earnings + quota) * 3
    warned = [text for text in plan.warnings() if "retroactive" in text or "first unit" in text]
    assert warned or (np.abs(jumps) <= allowed).all()
    retroactive = any(tier.retroactive for tier in role.tiers)
    assert not warned or retroactive or role.threshold_counts_from == "first_unit"
