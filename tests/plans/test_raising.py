"""The rule that raises the bar: by hand on history, and its laboratory against slow loops and fresh luck."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from salessim.documents import dump_yaml, load_yaml, validated
from salessim.engine import SampledOutcome, simulate
from salessim.errors import PlanError
from salessim.model import Calendar, DealSize, Market, Rep, Scenario, Source
from salessim.plans import QuotaPlan, quota_for_share
from salessim.plans.raising import (
    MARGINS,
    MarginIs,
    RaiseRule,
    RuleLaboratory,
    apply_rule,
    rule_laboratory,
    threshold_for,
    trusted_sizes,
)
from tests.worlds import changed, one_stage_world, reference_world

ALL, THOSE, TEAM = MARGINS


def rule(**settings: object) -> RaiseRule:
    return RaiseRule.model_validate(settings)


# ---- the rule on history


def test_the_three_readings_of_by_25_percent_on_average_differ() -> None:
    quotas = np.array([[100.0], [100.0], [100.0], [100.0], [1000.0]])
    cases = {
        # four small territories far above quota, the large one just above: not much of a team total
        (True, True, False): [140.0, 140.0, 140.0, 140.0, 1010.0],
        # the large one far above, the small ones just above
        (False, False, True): [101.0, 101.0, 101.0, 101.0, 1500.0],
        # those who exceed do so by 30 %, but one of five booked nothing
        (False, True, False): [130.0, 130.0, 130.0, 0.0, 1300.0],
        (True, True, True): [130.0, 130.0, 130.0, 130.0, 1300.0],
        (False, False, False): [110.0, 110.0, 110.0, 110.0, 1100.0],
    }
    for wanted, bookings in cases.items():
        row = apply_rule(RaiseRule(), np.array(bookings)[:, None], quotas).iloc[0]
        found = (row["meets_mean_all"], row["meets_mean_of_those"], row["meets_team_total"])
        assert found == wanted, bookings
    row = apply_rule(RaiseRule(), np.array([[130.0], [130.0], [130.0], [0.0], [1300.0]]), quotas).iloc[0]
    assert row[["reps", "exceeding"]].tolist() == [5, 4]
    assert row["share_exceeding"] == 0.8
    assert row["mean_all"] == pytest.approx(1.04)
    assert row["mean_of_those"] == pytest.approx(1.30)
    assert row["team_total"] == pytest.approx(1690 / 1400)


def test_it_fires_at_the_end_of_every_run_long_enough() -> None:
    strong, weak = [130.0] * 5, [130.0] * 3 + [90.0] * 2
    quarters = [strong, weak, strong, strong, strong, weak]
    table = apply_rule(RaiseRule(), np.array(quarters).T, np.full((5, 6), 100.0))
    assert table["period"].tolist() == ["1", "2", "3", "4", "5", "6"]
    assert table["meets"].tolist() == [True, False, True, True, True, False]
    assert table["fires"].tolist() == [False, False, False, True, True, False]
    three = apply_rule(rule(quarters_in_a_row=3), np.array(quarters).T, np.full((5, 6), 100.0))
    assert three["fires"].tolist() == [False] * 4 + [True, False]
    one = apply_rule(rule(quarters_in_a_row=1), np.array(quarters).T, np.full((5, 6), 100.0))
    assert one["fires"].tolist() == one["meets"].tolist()
    seven = apply_rule(rule(quarters_in_a_row=7), np.array(quarters).T, np.full((5, 6), 100.0))
    assert not seven["fires"].any()


def test_exceed_is_strict_and_the_thresholds_are_reached_with_at_least() -> None:
    quotas = np.full((5, 1), 100.0)
    at_quota = apply_rule(rule(margin=0.0), [[100.0]] * 5, quotas)
    assert at_quota["exceeding"].tolist() == [0]
    assert math.isnan(at_quota["mean_of_those"].iloc[0])
    assert not at_quota.filter(like="meets").to_numpy().any()
    # exactly 80 % of the team, exactly 25 % on average
    assert apply_rule(RaiseRule(), [[131.25]] * 4 + [[100.0]], quotas)["meets"].tolist() == [True]
    assert apply_rule(RaiseRule(), [[131.24]] * 4 + [[100.0]], quotas)["meets"].tolist() == [False]
    assert apply_rule(rule(share_of_team=0.81), [[131.25]] * 4 + [[100.0]], quotas)["meets"].tolist() == [
        False
    ]


def test_who_has_no_quota_does_not_count_and_a_quarter_without_any_breaks_the_run() -> None:
    nan = math.nan
    quotas = np.array([[100.0, nan, 100.0], [100.0, nan, 100.0], [nan, nan, 0.0]])
    bookings = np.array([[140.0, 140.0, 140.0], [140.0, 140.0, 140.0], [0.0, 900.0, 900.0]])
    table = apply_rule(RaiseRule(), bookings, quotas)
    assert table["reps"].tolist() == [2, 0, 2]
    assert table["meets"].tolist() == [True, False, True]
    assert not table["fires"].any()
    assert table.loc[1, ["share_exceeding", "mean_all", "mean_of_those", "team_total"]].isna().all()


def test_unknown_bookings_are_counted_as_unknown() -> None:
    table = apply_rule(RaiseRule(), [[140.0], [math.nan]], [[100.0], [100.0]])
    assert table[["reps", "unknown", "exceeding"]].to_numpy().tolist() == [[1, 1, 1]]


def test_frames_are_matched_by_the_labels_of_the_quotas() -> None:
    quotas = pd.DataFrame({"2026Q1": [100.0, 50.0], "2026Q2": [100.0, 50.0]}, index=["Ann", "Bob"])
    bookings = pd.DataFrame(
        {"2026Q2": [70.0, 150.0, 1.0], "2026Q1": [10.0, 200.0, 1.0]}, index=["Bob", "Ann", "Zoe"]
    )
    table = apply_rule(RaiseRule(), bookings, quotas)
    assert table["period"].tolist() == ["2026Q1", "2026Q2"]
    assert table["exceeding"].tolist() == [1, 2]
    assert table["team_total"].tolist() == pytest.approx([210 / 150, 220 / 150])


@pytest.mark.parametrize(
    ("bookings", "quotas", "text"),
    [
        ([[1.0]], [[1.0, 2.0]], "give the same"),
        ([1.0], [1.0], "reps × quarters"),
        ([[1.0]], [[-1.0]], "'-1' is below zero"),
        ([[math.inf]], [[1.0]], "finite"),
        ([["much"]], [[1.0]], "numbers"),
        (
            pd.DataFrame([[1.0], [2.0]], index=["Ann", "Ann"]),
            pd.DataFrame([[1.0]], index=["Ann"]),
            "'Ann' stand",
        ),
    ],
)
def test_history_that_does_not_fit_is_refused(bookings: object, quotas: object, text: str) -> None:
    with pytest.raises(PlanError, match=text):
        apply_rule(RaiseRule(), bookings, quotas)  # type: ignore[arg-type]


def test_a_rule_is_a_document() -> None:
    wanted = rule(quarters_in_a_row=3, margin=0.4, margin_is=TEAM)
    written = dump_yaml(wanted.model_dump(mode="json"))
    data = load_yaml(written, where="rule.yaml", error=PlanError)
    assert validated(RaiseRule, data, where="rule.yaml", error=PlanError) == wanted
    with pytest.raises(PlanError, match=r"rule\.yaml: share_of_team is 80; .*fraction"):
        validated(RaiseRule, {"share_of_team": 80}, where="rule.yaml", error=PlanError)


# ---- the laboratory


def slow_fires(
    tried: RaiseRule, bookings: list[list[float]], quotas: list[float], margin_is: MarginIs
) -> bool:
    """One history (quarter by rep) in plain loops, as the field's sentence says it."""
    run = 0
    for amounts in bookings:
        attained = [amount / quota for amount, quota in zip(amounts, quotas, strict=True)]
        those = [x for x in attained if x > 1]
        if margin_is == ALL:
            average = sum(attained) / len(attained)
        elif margin_is == THOSE:
            average = sum(those) / len(those) if those else 0.0
        else:
            average = sum(amounts) / sum(quotas)
        good = len(those) >= tried.share_of_team * len(attained) - 1e-9 and average >= 1 + tried.margin - 1e-9
        run = run + 1 if good else 0
        if run == tried.quarters_in_a_row:
            return True
    return False


def test_the_laboratory_agrees_with_slow_loops_over_a_world_made_by_hand() -> None:
    today = one_stage_world(
        reps=4, leads_per_week=0.9, skill_cv=0.3, shock_cv=0.2, size=DealSize(mean=1e4, cv=0.8)
    )
    tried = rule(share_of_team=0.7, margin=0.3, quarters_in_a_row=2)
    lab = rule_laboratory(
        today, rule=tried, team_sizes=(3, 6), improvements=(0.25,), quarters=5, trials=200, seed=11
    )
    steady = changed(
        today,
        calendar=Calendar(first_quarter="2026Q1", quarters=5, quarters_before=8),
        reps=tuple(Rep(name=f"rep {k + 1}", role="AE") for k in range(6)),
    )
    quota = quota_for_share(
        simulate(steady), plan=QuotaPlan(name="any", annual_quota=1.0), period="2026Q3", share=0.7
    )
    for gain in (0.0, 0.25):
        segment = steady.segments[0]
        more = Source(name="leads", kind="self-sourced", leads_per_week=0.9 * (1 + gain))
        world = changed(steady, segments=(segment.model_copy(update={"sources": (more,)}),))
        outcome = simulate(world, engine="thinning", trials=200, seed=11)
        assert isinstance(outcome, SampledOutcome)
        for size in (3, 6):
            for margin_is in MARGINS:
                slow = [
                    slow_fires(tried, history[:size].T.tolist(), [quota] * size, margin_is)
                    for history in outcome.bookings
                ]
                row = lab.table.query("reps == @size and improvement == @gain and margin_is == @margin_is")
                assert row["fires"].tolist() == [sum(slow) / 200]
                assert 0 < sum(slow) < 200


@pytest.fixture(scope="module")
def lab() -> RuleLaboratory:
    return rule_laboratory(reference_world(reps=6, newcomers=2), team_sizes=(5, 10, 40), trials=1_000, seed=1)


def test_the_table_of_the_laboratory(lab: RuleLaboratory) -> None:
    assert list(lab.table) == [
        *("reps", "improvement", "margin_is", "fires", "low", "high", "histories"),
        *("expected_share", "expected_margin", "expected_meets"),
    ]
    assert len(lab.table) == 3 * 4 * 3
    assert (lab.table["histories"] == 1_000).all()
    assert ((lab.table["low"] <= lab.table["fires"]) & (lab.table["fires"] <= lab.table["high"])).all()
    unchanged = lab.table[lab.table["improvement"] == 0]
    assert unchanged["expected_share"].tolist() == pytest.approx([0.7] * 9, abs=0.012)


def test_a_better_team_fires_more_and_a_larger_one_less_by_luck(lab: RuleLaboratory) -> None:
    for margin_is in (ALL, TEAM):
        for reps in (5, 10, 40):
            before = np.zeros(1_000, dtype=bool)
            for gain in (0.0, 0.1, 0.2, 0.3):
                figures = lab.figures[reps, gain]
                good = (figures.share_exceeding >= 0.8) & (figures.attainment(margin_is) >= 1.25)
                fires = (good[:, 1:] & good[:, :-1]).any(axis=1)
                assert fires[before].all()  # on the same luck: history by history
                before = fires
    lucky = lab.table[(lab.table["improvement"] == 0) & (lab.table["margin_is"] == ALL)]
    assert all(small > large + 0.1 for small, large in pairwise(lucky["fires"]))


def test_the_first_estimate_of_the_field_holds(lab: RuleLaboratory) -> None:
    """Quotas right for 70 %, ten reps, eight quarters: by luck it fires in about half of all histories."""
    for margin_is in MARGINS:
        row = lab.table[(lab.table["reps"] == 10) & (lab.table["margin_is"] == margin_is)].iloc[0]
        assert row["improvement"] == 0
        assert 0.45 < row["fires"] < 0.65


def test_a_margin_that_is_met_anyway_is_said(lab: RuleLaboratory) -> None:
    row = lab.table[(lab.table["reps"] == 40) & (lab.table["improvement"] == 0)].iloc[0]
    assert row["expected_margin"] > 0.4  # the mean lies far above the quota that 70 % make
    assert any("the share of the team decides" in note for note in lab.notes)
    assert any("All quotas are equal" in note for note in lab.notes)


def test_the_same_seed_gives_the_same_laboratory() -> None:
    world = one_stage_world(reps=2, leads_per_week=1.0, shock_cv=0.1)
    told: list[str] = []
    first, second, other = (
        rule_laboratory(
            world, team_sizes=(4, 2), improvements=(0.2, 0.0), trials=100, seed=seed, step=told.append
        )
        for seed in (1, 1, 2)
    )
    pd.testing.assert_frame_equal(first.table, second.table)
    assert not first.table["fires"].equals(other.table["fires"])
    assert first.table["reps"].is_monotonic_increasing
    assert told[:3] == ["setting quotas", "simulating the steady team", "simulating a team 20 % better"]


def test_the_world_of_a_rep_does_not_depend_on_the_size_of_the_team() -> None:
    own = one_stage_world(reps=5, leads_per_week=1.2, shock_cv=0.1)
    segment = own.segments[0]
    shared = Source(name="web", kind="inbound", leads_per_week=6.0)  # 1.2 for each of five
    inbound = changed(own, segments=(segment.model_copy(update={"sources": (shared,)}),))
    labs = [rule_laboratory(world, team_sizes=(3, 12), trials=100) for world in (own, inbound)]
    pd.testing.assert_frame_equal(labs[0].table, labs[1].table)


def test_season_newcomers_hires_and_doubt_are_left_out() -> None:
    plain = reference_world(reps=4, newcomers=0)
    season = plain.segments[0].seasonality.model_copy(update={"by_quarter": (0.5, 1.5, 0.5, 1.5)})
    busy = changed(
        reference_world(reps=4, newcomers=2),
        segments=(plain.segments[0].model_copy(update={"seasonality": season}),),
        market=plain.market.model_copy(update={"level_cv": 0.3}),
    )
    labs = [rule_laboratory(world, team_sizes=(4,), trials=100) for world in (plain, busy)]
    pd.testing.assert_frame_equal(labs[0].table, labs[1].table)
    assert any("doubt" in note for note in labs[1].notes)


def specialists() -> Scenario:
    world = one_stage_world(reps=3, leads_per_week=2.0, skill_cv=0.3)
    reps = (
        Rep(name="half", role="AE", segments={"all": 0.5}),
        Rep(name="star", role="AE", skill_mean=1.5, skill_cv=0.1),
        Rep(name="engineer", role="AE", segments={}),
    )
    return changed(world, reps=reps, market=Market(skill_cv=0.3, shock_cv=0.1))


def test_the_own_team_has_a_quota_for_each_rep() -> None:
    lab = rule_laboratory(specialists(), team="own", trials=2_000, quarters=4, improvements=())
    assert set(lab.table["reps"]) == {2}  # who gets no leads is not in the team
    assert lab.table["expected_share"].iloc[0] == pytest.approx(0.70, abs=0.02)
    # deals of 10,000 each: who books exactly the quota makes it and does not exceed it
    above = lab.figures[2, 0.0].share_exceeding.mean()
    assert above < 0.65
    assert any("fixed amounts" in note for note in lab.notes)


def test_the_own_team_with_the_quotas_of_a_plan() -> None:
    low, high = (
        rule_laboratory(
            specialists(),
            team="own",
            plan=QuotaPlan(name="plan", annual_quota=amount, quarter_shares=(0.1, 0.2, 0.3, 0.4)),
            trials=300,
        )
        for amount in (200_000.0, 800_000.0)
    )
    assert (low.table["expected_share"] > high.table["expected_share"]).all()
    assert any("not by 70 %" in note for note in high.notes)
    assert low.table["fires"].iloc[0] > high.table["fires"].iloc[0]


def test_quotas_set_rep_by_rep_are_the_own_quotas() -> None:
    plan = QuotaPlan(
        name="set",
        annual_quota=1.0,
        quotas_by_rep={"half": {"2026Q1": 1e9}, "star": {"2026Q1": 1e9}, "engineer": {"2026Q1": 5.0}},
    )
    tried = rule_laboratory(specialists(), team="own", plan=plan, trials=50)
    assert (tried.table["fires"] == 0).all()
    assert (tried.table["expected_share"] == 0).all()
    assert tried.table.loc[tried.table["margin_is"] == THOSE, "expected_margin"].isna().all()


def test_trusted_sizes(lab: RuleLaboratory) -> None:
    strict, loose = (trusted_sizes(lab, false_alarm=share) for share in (0.05, 0.30))
    assert strict["margin_is"].tolist() == list(MARGINS)
    assert strict["from_reps"].isna().all()
    assert strict["sentence"].str.startswith("No team size tried may trust the rule").all()
    assert loose["from_reps"].tolist() == [40.0] * 3
    rates = lab.table[(lab.table["reps"] == 40) & (lab.table["improvement"] == 0)]["fires"]
    assert loose["fires_by_luck"].tolist() == rates.tolist()
    assert "Teams of 40 reps and more may trust the rule" in loose["sentence"].iloc[0]
    assert "10 %, 20 %, 30 % better" in loose["sentence"].iloc[0]


@pytest.mark.parametrize("margin_is", MARGINS)
def test_the_threshold_is_the_smallest_that_holds_the_false_alarm(
    lab: RuleLaboratory, margin_is: MarginIs
) -> None:
    advice = threshold_for(lab, reps=10, false_alarm=0.15, margin_is=margin_is)
    assert advice.rule.margin_is == margin_is
    assert advice.rule.share_of_team == lab.rule.share_of_team

    def by_luck(margin: float) -> float:
        figures = lab.figures[10, 0.0]
        good = (figures.share_exceeding >= 0.8) & (figures.attainment(margin_is) >= 1 + margin)
        return float((good[:, 1:] & good[:, :-1]).any(axis=1).mean())

    assert by_luck(advice.rule.margin) <= 0.15 < by_luck(advice.rule.margin - 0.01)
    mine = advice.table.query("lever == 'margin' and margin_is == @margin_is")
    assert mine["fires"].iloc[0] == by_luck(advice.rule.margin)
    assert mine["fires"].is_monotonic_increasing
    assert f"a margin of {advice.rule.margin:.0%}".replace("%", " %") in advice.sentence


def test_the_threshold_holds_on_fresh_luck(lab: RuleLaboratory) -> None:
    advice = threshold_for(lab, reps=10, false_alarm=0.10)
    fresh = rule_laboratory(
        reference_world(reps=6, newcomers=2),
        rule=advice.rule,
        team_sizes=(10,),
        improvements=(),
        trials=2_000,
        seed=77,
    )
    found = fresh.table.loc[fresh.table["margin_is"] == advice.rule.margin_is, "fires"].iloc[0]
    # four standard errors of a share of 10 %, from 1,000 histories here and 2,000 there
    assert found == pytest.approx(0.10, abs=4 * (0.09 / 1_000 + 0.09 / 2_000) ** 0.5)
    assert found < 0.25 < lab.table["fires"].iloc[0]


def test_the_share_of_the_team_is_the_other_lever(lab: RuleLaboratory) -> None:
    table = threshold_for(lab, reps=10, false_alarm=0.10).table
    share = table[(table["lever"] == "share_of_team") & (table["margin_is"] == ALL)]
    assert share["share_of_team"].tolist() == [1.0] * 4  # nine of ten would fire too often
    assert share["fires"].iloc[0] <= 0.10
    assert (share["margin"] == 0.25).all()
    nine = rule_laboratory(
        reference_world(reps=6, newcomers=2), rule=rule(share_of_team=0.9), team_sizes=(10,), trials=1_000
    )
    assert nine.table["fires"].iloc[0] > 0.10
    hopeless = threshold_for(lab, reps=5, false_alarm=0.001).table
    asked = hopeless[hopeless["lever"] == "share_of_team"]
    assert asked[["share_of_team", "fires", "low", "high"]].isna().all(axis=None)


def test_where_the_share_alone_is_enough_no_margin_is_asked() -> None:
    tried = rule(share_of_team=1.0, quarters_in_a_row=3)
    lab = rule_laboratory(reference_world(reps=2, newcomers=0), rule=tried, team_sizes=(20,), trials=200)
    advice = threshold_for(lab, reps=20)
    assert advice.rule.margin == 0
    assert "no margin is needed" in advice.sentence


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"share": 1.0}, "share is 1"),
        ({"team_sizes": ()}, "team_sizes"),
        ({"team_sizes": (0, 5)}, "team_sizes"),
        ({"improvements": (-0.1,)}, "improvements"),
        ({"quarters": 1}, "quarters is 1; it must be 2"),
        ({"quarters": 21}, "quarters is 21"),
        ({"team": "mine"}, "team is 'mine'"),
        ({"plan": QuotaPlan(name="flat", annual_quota=1.0)}, "plan 'flat' goes with team 'own'"),
    ],
)
def test_what_the_laboratory_refuses(arguments: dict[str, object], text: str) -> None:
    with pytest.raises(PlanError, match=text):
        rule_laboratory(one_stage_world(), **arguments)  # type: ignore[arg-type]


def test_worlds_without_a_quota_to_make_are_refused() -> None:
    with pytest.raises(PlanError, match=r"rep 'rep 1': .*no quota above zero"):
        rule_laboratory(one_stage_world(leads_per_week=0.01), team_sizes=(2,))
    idle = changed(one_stage_world(), reps=(Rep(name="engineer", role="AE", segments={}),))
    with pytest.raises(PlanError, match="no rep gets leads"):
        rule_laboratory(idle, team_sizes=(2,))
    nobody = QuotaPlan(name="SDR", annual_quota={})
    with pytest.raises(PlanError, match="plan 'SDR': nobody"):
        rule_laboratory(one_stage_world(leads_per_week=2.0), team="own", plan=nobody)


def test_advice_is_asked_for_what_was_tried(lab: RuleLaboratory) -> None:
    with pytest.raises(PlanError, match="reps is 7; the laboratory tried '5', '10', '40'"):
        threshold_for(lab, reps=7)
    with pytest.raises(PlanError, match="false_alarm is 10"):
        threshold_for(lab, reps=5, false_alarm=10)
    with pytest.raises(PlanError, match="false_alarm is 0"):
        trusted_sizes(lab, false_alarm=0)
    with pytest.raises(PlanError, match="margin_is is 'median'"):
        threshold_for(lab, reps=5, margin_is="median")  # type: ignore[arg-type]


def test_long_cycles_are_noted_where_the_pipeline_is_still_filling() -> None:
    slow = one_stage_world(leads_per_week=2.0, dwell=150.0)
    assert any("still filling" in note for note in rule_laboratory(slow, team_sizes=(2,), trials=50).notes)
    quick = one_stage_world(leads_per_week=2.0, dwell=10.0)
    assert not any("filling" in note for note in rule_laboratory(quick, team_sizes=(2,), trials=50).notes)
