"""Arrays: what fits together, what is refused, and what the numbers of a whole team must satisfy."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from salessim.errors import PlanError
from salessim.pay import Clawback, Deal, Draw, PayPlan, RolePay, Spif, Tier, load_plan, pay_out, trace

AE = "account executive"
PLAN = load_plan("50-50-accelerator")


def changed(plan: PayPlan, **fields: object) -> PayPlan:
    """The plan with fields of its only role replaced."""
    return plan.model_copy(update={"roles": (plan.roles[0].model_copy(update=fields),)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"roles": ["SDR"]},
            r"plan '50/50 with accelerators' has no pay for the role 'SDR'; it pays 'account",
        ),
        ({"roles": [AE, AE]}, "roles has 2 entries; bookings has 1"),
        ({"periods": ["2026-01", "2026-02"]}, r"pays by quarter and needs quarters such as '2026Q3'"),
        ({"periods": ["2026Q1"]}, "periods has 1 entries; bookings has 2"),
        (
            {"bookings": [[1.0, -2.0]]},
            "bookings of rep 'rep 1' in period 2 is -2; write amounts of zero or more",
        ),
        ({"bookings": [[np.nan, 2.0]]}, "bookings of rep 'rep 1' in period 1 is nan"),
        ({"bookings": [1.0, 2.0]}, r"bookings has the shape \(2,\); its last axes are rep and period"),
        (
            {"quotas": [[0.0, 1.0]]},
            "quotas of rep 'rep 1' in period 1 is 0; write amounts above zero, or NaN",
        ),
        ({"quotas": [[1.0, 1.0, 1.0]]}, r"quotas has the shape \(1, 3\); bookings has \(1, 2\)"),
        ({"employed": 1.5}, "employed of rep 'rep 1' in period 1 is 1.5; write shares from 0 to 1"),
        ({"churned_share": -0.1}, "churned_share of rep 'rep 1' in period 1 is -0.1"),
        ({"spif_shares": {"bonus": 2.0}}, r"spif_shares\['bonus'\] is 2"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: dict[str, object], message: str) -> None:
    given = {"bookings": [[1.0, 2.0]], "quotas": [[1.0, 1.0]], "roles": [AE]} | arguments
    with pytest.raises(PlanError, match=message):
        pay_out(PLAN, **given)  # type: ignore[arg-type]


def test_needed_arguments_are_asked_for() -> None:
    spif = changed(PLAN, spifs=(Spif(name="bonus", amount_per_deal=100.0),))
    with pytest.raises(PlanError, match=r"has SPIFs, paid per deal; won .* is missing"):
        pay_out(spif, [[1.0]], [[1.0]], roles=[AE])
    draw = changed(PLAN, draw=Draw(amount_per_month=1000.0, lasts_months=3))
    with pytest.raises(PlanError, match="a draw for 3 months of tenure; tenure_months is missing"):
        pay_out(draw, [[1.0]], [[1.0]], roles=[AE])
    dated = changed(PLAN, spifs=(Spif(name="bonus", amount_per_deal=1.0, last_day=date(2026, 1, 1)),))
    with pytest.raises(PlanError, match=r"runs between days; periods .* is missing"):
        pay_out(dated, [[1.0]], [[1.0]], roles=[AE], won=[[1]])
    with pytest.raises(PlanError, match="pays in EUR; the bookings are in USD"):
        pay_out(PLAN.model_copy(update={"currency": "EUR"}), [[1.0]], [[1.0]], roles=[AE], currency="USD")


def test_a_missing_quota_never_pays_nan() -> None:
    bookings, quotas = [[100_000.0, 50_000.0]], [[np.nan, 125_000.0]]
    for setting, first in (("none", 0.0), ("target", 12_500.0)):
        paid = pay_out(changed(PLAN, without_quota=setting), bookings, quotas, roles=[AE])
        assert paid.commission.tolist() == [[first, 5_000.0]]
        assert np.isnan(paid.attainment).tolist() == [[True, False]]
        assert "1 of 2 rep-quarters have no quota" in paid.notes[0]


def test_time_on_the_payroll_counts() -> None:
    paid = pay_out(PLAN, [[62_500.0]], [[62_500.0]], roles=[AE], employed=0.5)
    # half a quarter, half the quota, half the target: the base rate is the same 10 %
    assert (paid.base[0, 0], paid.commission[0, 0]) == (6_250.0, 6_250.0)
    assert paid.on_target_earnings.tolist() == [[12_500.0]]


def test_spifs_count_won_deals_by_share_and_days() -> None:
    spif = Spif(name="bonus", amount_per_deal=100.0, expected_share=0.5, first_day=date(2026, 2, 15))
    plan = changed(PLAN, spifs=(spif,))
    given = {"roles": [AE], "periods": ["2026Q1", "2026Q2"], "won": [[10, 10]]}
    paid = pay_out(plan, [[1.0, 1.0]], [[1.0, 1.0]], **given)  # type: ignore[arg-type]
    np.testing.assert_allclose(paid.spif, [[10 * 100 * 0.5 * 45 / 90, 500.0]])
    other = pay_out(plan, [[1.0, 1.0]], [[1.0, 1.0]], spif_shares={"bonus": 1.0}, **given)  # type: ignore[arg-type]
    np.testing.assert_allclose(other.spif, 2 * paid.spif)
    exact = pay_out(plan, [[1.0, 1.0]], [[1.0, 1.0]], spif_deals={"bonus": [[3, 1]]}, **given)  # type: ignore[arg-type]
    np.testing.assert_allclose(exact.spif, [[300.0, 100.0]])


def test_a_recoverable_draw_as_xactly_explains_it() -> None:
    # draw 1,500; August earns 500 and September 3,000: paid 1,500 and 2,000; not recoverable: 1,500 and 3,000
    for recoverable, september in ((True, 2_000.0), (False, 3_000.0)):
        seller = RolePay(
            role=AE,
            on_target_earnings=36_000.0,
            base_share=0.0,
            tiers=(Tier(starts_at=0.0, rate=0.1),),
            draw=Draw(amount_per_month=1_500.0, recoverable=recoverable),
        )
        plan = PayPlan(name="draw", period="month", roles=(seller,))
        paid = pay_out(plan, [[5_000.0, 30_000.0]], [[20_000.0, 20_000.0]], roles=[AE])
        np.testing.assert_allclose(paid.total, [[1_500.0, september]])
        np.testing.assert_allclose(paid.draw_balance, [[1_000.0 * recoverable, 0.0]])


def test_a_draw_is_a_floor_under_commission_net_of_clawback() -> None:
    def both(draw: Draw, *, tenure: float, owed: float, churned: list[bool]) -> list[dict[str, float]]:
        """Deals of 40,000 and 10,000 at 10 %; by arrays (after a quarter that left ``owed``) and by trace."""
        plan = changed(
            PLAN, tiers=(Tier(starts_at=0.0, rate=0.1),), draw=draw, clawback=Clawback(window_days=90)
        )
        amounts = [40_000, 10_000]
        lost = sum(amount for amount, left in zip(amounts, churned, strict=True) if left)
        before = 10 * (3 * draw.amount_per_month - owed)  # bookings that leave this advance
        paid = pay_out(
            plan,
            [[before, 50_000.0]],
            [[125_000.0, 125_000.0]],
            roles=[AE],
            churned_share=[[0.0, lost / 50_000]],
            tenure_months=[[tenure - 3, tenure]],
        )
        deals = [
            Deal(
                f"D{k}",
                "Ada",
                date(2026, 4, 2 + k),
                Decimal(amount),
                churned=date(2026, 5, 1) if left else None,
            )
            for k, (amount, left) in enumerate(zip(amounts, churned, strict=True))
        ]
        exact = trace(
            plan,
            deals,
            rep="Ada",
            role=AE,
            period="2026Q2",
            quota=125_000,
            tenure_months=tenure,
            draw_balance=owed if draw.recoverable else 0,
        )
        return [
            {
                "draw": float(paid.draw_advance[0, 1] - paid.draw_recovered[0, 1]),
                "clawback": -float(paid.clawback[0, 1]),
                "balance": float(paid.draw_balance[0, 1]),
                "total": float(paid.total[0, 1]),
            },
            {
                "draw": float(exact.paid("draw")),
                "clawback": float(exact.paid("clawback")),
                "balance": float(exact.draw_balance),
                "total": float(exact.total),
            },
        ]

    # 5,000 earned and clawed back, 2,000 owed from a draw that has ended: nothing is left to recover from
    ended = Draw(amount_per_month=1_000.0, lasts_months=3)
    wanted = {"draw": 0.0, "clawback": -5_000.0, "balance": 2_000.0, "total": 12_500.0}
    assert both(ended, tenure=3, owed=2_000.0, churned=[True, True]) == [pytest.approx(wanted)] * 2
    # 1,000 is left of it: it goes to the advance, and pay to base
    wanted = {"draw": -1_000.0, "clawback": -4_000.0, "balance": 1_000.0, "total": 12_500.0}
    assert both(ended, tenure=3, owed=2_000.0, churned=[True, False]) == [pytest.approx(wanted)] * 2
    # 4,000 of 5,000 clawed back: a guarantee of 3,000 still holds
    guarantee = Draw(amount_per_month=1_000.0, recoverable=False)
    wanted = {"draw": 2_000.0, "clawback": -4_000.0, "balance": 0.0, "total": 15_500.0}
    assert both(guarantee, tenure=3, owed=2_000.0, churned=[True, False]) == [pytest.approx(wanted)] * 2
    # and a recoverable one is advanced, and owed
    wanted = {"draw": 2_000.0, "clawback": -4_000.0, "balance": 4_000.0, "total": 15_500.0}
    found = both(Draw(amount_per_month=1_000.0), tenure=3, owed=2_000.0, churned=[True, False])
    assert found == [pytest.approx(wanted)] * 2
    # 1,000 clawed back: 4,000 less the floor leaves 1,000 to recover
    wanted = {"draw": -1_000.0, "clawback": -1_000.0, "balance": 1_000.0, "total": 15_500.0}
    found = both(Draw(amount_per_month=1_000.0), tenure=3, owed=2_000.0, churned=[False, True])
    assert found == [pytest.approx(wanted)] * 2


def test_a_manager_is_paid_on_the_own_team() -> None:
    plan = load_plan("account-team")
    roles = [AE, AE, "sales manager", AE, "sales manager"]
    bookings = np.array([[100.0], [200.0], [0.0], [400.0], [0.0]]) * 1_000
    quotas = np.array([[150.0], [150.0], [np.nan], [500.0], [800.0]]) * 1_000
    paid = pay_out(plan, bookings, quotas, roles=roles, teams=["a", "a", "a", "b", "b"])
    assert paid.bookings[[2, 4], 0].tolist() == [300_000.0, 400_000.0]
    # without a quota of her own the first manager carries the sum of her team's
    assert paid.quota[[2, 4], 0].tolist() == [300_000.0, 800_000.0]
    assert paid.commission[2, 0] == pytest.approx(16_000.0)
    with pytest.raises(PlanError, match="rep 'rep 2' is paid on the team 'b', which has nobody paid on own"):
        pay_out(plan, bookings[:2], quotas[:2], roles=[AE, "sales manager"], teams=["a", "b"])


def test_a_year_that_begins_before_the_first_period_is_noted() -> None:
    plan = load_plan("year-to-date")
    paid = pay_out(
        plan, [[1.0, 1.0, 1.0]], [[1.0, 1.0, 1.0]], roles=[AE], periods=["2026Q3", "2026Q4", "2027Q1"]
    )
    assert "attainment adds up from 2026Q3" in paid.notes[0]
    assert paid.quota.tolist() == [[1.0, 2.0, 1.0]]


def test_roles_may_be_mixed_and_order_does_not_matter() -> None:
    plan = load_plan("account-team")
    roles = np.array([AE, "sales engineer", AE])
    bookings = np.array([[[90_000.0], [50_000.0], [150_000.0]], [[10_000.0], [0.0], [500_000.0]]])
    quotas = np.array([[125_000.0], [100_000.0], [100_000.0]])
    paid = pay_out(plan, bookings, quotas, roles=roles.tolist())
    for order in ([2, 1, 0], [1, 0, 2]):
        again = pay_out(plan, bookings[:, order], quotas[order], roles=roles[order].tolist())
        np.testing.assert_array_equal(again.total, paid.total[:, order])
    alone = pay_out(plan, bookings[:, [1]], quotas[[1]], roles=["sales engineer"])
    np.testing.assert_array_equal(alone.total, paid.total[:, [1]])


def test_a_trace_asks_for_what_it_needs() -> None:
    plan = load_plan("year-to-date")
    with pytest.raises(PlanError, match=r"is cumulative: give quota by period, 2026Q1 to 2026Q3"):
        trace(plan, [], rep="Ada", role=AE, period="2026Q3", quota=1000)
    with pytest.raises(
        PlanError, match=r"quota of 2026Q1 is missing; pay of 2026Q2 is measured on 2026Q1 to 2026Q2"
    ):
        trace(plan, [], rep="Ada", role=AE, period="2026Q2", quota={"2026Q2": 1000})
    bad = Deal("D7", rep="Ada", closed=date(2026, 1, 2), amount=Decimal(-5))
    with pytest.raises(PlanError, match="deal 'D7': amount is -5"):
        trace(PLAN, [bad], rep="Ada", role=AE, period="2026Q1", quota=1000)


def test_thirds_of_a_cent_do_not_get_lost() -> None:
    # target 100 a quarter on a quota of 3 deals alike: 33.333… each, and 100.00 together
    seller = RolePay(role=AE, on_target_earnings=800.0, base_share=0.5)
    deals = [Deal(f"D{k}", rep="Ada", closed=date(2026, 1, k + 1), amount=Decimal(1000)) for k in range(3)]
    paid = trace(PayPlan(name="x", roles=(seller,)), deals, rep="Ada", role=AE, period="2026Q1", quota=3000)
    assert [str(row.amount) for row in paid.rows] == ["100.00", "33.33", "33.34", "33.33"]
    assert str(paid.total) == "200.00"
    assert list(paid.to_frame().columns) == ["part", "what", "deal_id", "basis", "rate", "amount"]
