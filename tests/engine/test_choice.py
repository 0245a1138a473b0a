"""Which engine is taken, why, and what is said about scenarios that cannot be."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import nbinom, poisson

from salessim.engine import HORIZON, simulate
from salessim.errors import EngineError, ScenarioError
from salessim.library import example_scenario
from salessim.model import (
    Behaviours,
    Calendar,
    Capacity,
    DealSize,
    LeaveAfterMisses,
    Market,
    OpenDeal,
    PullForward,
    PushBack,
    Ramp,
    Rep,
    Role,
    Scenario,
    Segment,
    Source,
    Stage,
)
from tests.worlds import changed, one_stage_world, reference_world, with_leads

LEADS, DWELL, WEEKS = 2.0, 4.0, 13


def limited(world: Scenario, capacity: Capacity | None, **parts: object) -> Scenario:
    """The world with a limit for everybody."""
    roles = tuple(role.model_copy(update={"capacity": capacity, **parts}) for role in world.roles)
    return changed(world, roles=roles)


def desk(*, skill_cv: float = 0.0, **parts: object) -> Scenario:
    """One rep whose open deals can be worked out by hand: leads stay four weeks in the mean."""
    world = one_stage_world(leads_per_week=LEADS, dwell=DWELL, skill_cv=skill_cv)
    return changed(world, **parts)


def mean_open() -> float:
    """Expected open deals at the end of the last week, when they are most."""
    return LEADS * sum((1 - 1 / DWELL) ** week for week in range(WEEKS))


def first_harmless(chance_at_least: object) -> int:
    """Smallest limit that an unlimited rep reaches with a chance below 0.01."""
    return next(k for k in range(1, 1_000) if chance_at_least(k) < 0.01)  # type: ignore[operator]


# --- which engine -----------------------------------------------------------------------------------------


def test_the_exact_engine_is_taken_where_nothing_binds() -> None:
    for world in (one_stage_world(), reference_world(reps=3, newcomers=1), example_scenario()):
        outcome = simulate(world)
        assert outcome.engine == "exact"
        assert outcome.trials is None
        assert outcome.why.strip()


@pytest.mark.parametrize("surplus", ["waits", "lost"])
def test_a_limit_binds_where_an_unlimited_rep_would_reach_it_once_in_a_hundred(surplus: str) -> None:
    harmless = first_harmless(lambda k: poisson.sf(k - 1, mean_open()))
    for limit, engine in ((harmless + 1, "exact"), (harmless - 1, "flow"), (3, "flow"), (500, "exact")):
        capacity = Capacity(open_deals=limit, surplus=surplus)
        assert simulate(limited(desk(), capacity), trials=50).engine == engine, limit


def test_what_differs_between_sellers_counts_for_the_limit() -> None:
    """With skills that differ, open deals are negative binomial: a limit binds that would not otherwise."""
    cv = 0.6
    number = 1 / cv**2
    alike = first_harmless(lambda k: poisson.sf(k - 1, mean_open()))
    differ = first_harmless(lambda k: nbinom.sf(k - 1, number, number / (number + mean_open())))
    assert differ > alike + 5
    between = Capacity(open_deals=(alike + differ) // 2)
    assert simulate(limited(desk(), between), trials=50).engine == "exact"
    assert simulate(limited(desk(skill_cv=cv), between), trials=50).engine == "flow"
    beyond = Capacity(open_deals=differ + 2)
    assert simulate(limited(desk(skill_cv=cv), beyond), trials=50).engine == "exact"


def test_the_reason_names_the_limit_and_who_reaches_it() -> None:
    why = simulate(limited(desk(), Capacity(open_deals=5)), trials=50).why
    assert "AE" in why or "rep 0" in why
    assert "open deals" in why
    harmless = simulate(limited(desk(), Capacity(open_deals=500)))
    assert harmless.engine == "exact"
    assert harmless.why != why


def test_hours_bind_like_deals() -> None:
    world = desk()
    stage = world.segments[0].stages[0].model_copy(update={"hours_per_week": 2.0})
    world = changed(world, segments=(world.segments[0].model_copy(update={"stages": (stage,)}),))
    harmless = first_harmless(lambda k: poisson.sf(k - 1, mean_open()))
    tight, wide = (Capacity(hours_per_week=2.0 * k) for k in (harmless // 2, harmless + 5))
    assert simulate(limited(world, tight), trials=50).engine == "flow"
    assert simulate(limited(world, wide), trials=50).engine == "exact"


def test_a_limit_that_ramps_binds_while_a_newcomer_is_new() -> None:
    """Half the leads and half a desk are not the same: luck is larger in proportion."""
    harmless = first_harmless(lambda k: poisson.sf(k - 1, mean_open()))
    world = desk(reps=(Rep(name="rep 0", role="AE", start=date(2026, 1, 1)),))
    ramp = Ramp(by_month=(0.5, 0.5, 0.5))
    capacity = Capacity(open_deals=harmless, ramps=False)
    ramps = capacity.model_copy(update={"ramps": True})
    assert simulate(limited(world, capacity, ramp=ramp), trials=50).engine == "exact"
    assert simulate(limited(world, ramps, ramp=ramp), trials=50).engine == "flow"


def test_listed_deals_fill_the_desk() -> None:
    listed = (OpenDeal(rep="rep 0", segment="all", stage="open", weeks_in_stage=0, deals=40),)
    capacity = Capacity(open_deals=30)
    assert simulate(limited(desk(), capacity), trials=50).engine == "exact"
    assert simulate(limited(desk(pipeline=listed), capacity), trials=50).engine == "flow"
    # skill brings leads; deals that are there are there
    unskilled = (Rep(name="rep 0", role="AE", skill_mean=0.1),)
    world = desk(pipeline=listed, reps=unskilled)
    assert simulate(limited(world, capacity), trials=50).engine == "flow"


def relay(**engineer: object) -> Scenario:
    stages = (
        Stage(name="reached", conversion=0.5, dwell_weeks=2.0, role="SDR"),
        Stage(name="sold", conversion=0.5, dwell_weeks=2.0, role="AE"),
    )
    web = Source(name="web", kind="inbound", leads_per_week=4.0)
    return Scenario(
        name="relay",
        currency="EUR",
        calendar=Calendar(first_quarter="2026Q1", quarters=1),
        segments=(
            Segment(name="all", stages=stages, sources=(web,), deal_size=DealSize(mean=1_000.0, cv=0.0)),
        ),
        roles=(Role(name="SDR"), Role(name="AE")),
        reps=(Rep(name="one", role="SDR"), Rep(name="two", role="AE")),
    )


def test_hand_over_needs_the_flow_engine() -> None:
    outcome = simulate(relay(), trials=50)
    assert outcome.engine == "flow"
    assert "hand" in outcome.why


def test_one_role_for_all_stages_is_no_hand_over() -> None:
    world = relay()
    stages = tuple(stage.model_copy(update={"role": "AE"}) for stage in world.segments[0].stages)
    segments = (world.segments[0].model_copy(update={"stages": stages}),)
    assert simulate(changed(world, segments=segments)).engine == "exact"


def test_attrition_needs_the_flow_engine() -> None:
    roles = (Role(name="AE", attrition_per_year=0.3, backfill_weeks=4),)
    outcome = simulate(desk(roles=roles), trials=50)
    assert outcome.engine == "flow"
    assert "leave" in outcome.why or "attrition" in outcome.why


BEHAVIOURS = {
    "pull_forward": Behaviours(pull_forward=PullForward(share=0.5)),
    "push_back": Behaviours(push_back=PushBack(share=0.5)),
    "leave_after_misses": Behaviours(leave_after_misses=LeaveAfterMisses()),
}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_behaviours_need_the_flow_engine_and_quotas(name: str) -> None:
    world = desk(behaviours=BEHAVIOURS[name])
    outcome = simulate(world, trials=50, quotas=np.full((1, 1), 50_000.0))
    assert outcome.engine == "flow"
    assert "quota" in outcome.why
    for engine in ("auto", "flow"):
        with pytest.raises(EngineError, match=r"behaviours.*quota of each rep and quarter"):
            simulate(world, trials=50, engine=engine)


@pytest.mark.parametrize("engine", ["exact", "thinning"])
@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (limited(desk(), Capacity(open_deals=3)), "limit of 3 open deals"),
        (relay(), "handed over"),
        (desk(roles=(Role(name="AE", attrition_per_year=0.3),)), "leave"),
        (desk(behaviours=BEHAVIOURS["push_back"]), "quota"),
    ],
    ids=["limit", "hand-over", "attrition", "behaviours"],
)
def test_an_engine_that_is_not_valid_is_refused(engine: str, world: Scenario, reason: str) -> None:
    with pytest.raises(EngineError, match=f"{engine} engine is not valid.*{reason}"):
        simulate(world, engine=engine)  # type: ignore[arg-type]


def test_unknown_engines_and_impossible_numbers_are_refused() -> None:
    with pytest.raises(EngineError, match="flow"):
        simulate(desk(), engine="guess")  # type: ignore[arg-type]
    with pytest.raises(EngineError, match="trials"):
        simulate(desk(), engine="flow", trials=0)
    with pytest.raises(EngineError, match="quotas"):
        simulate(
            desk(behaviours=BEHAVIOURS["push_back"]), engine="flow", trials=5, quotas=np.full((3, 1), 1.0)
        )


def test_all_engines_agree_where_all_are_valid() -> None:
    world = desk(market=Market(skill_cv=0.3, shock_cv=0.1))
    exact = simulate(world).expected_bookings(HORIZON)
    for engine in ("thinning", "flow"):
        counted = simulate(world, engine=engine, trials=20_000)
        spread = (counted.rep_quantiles([0.84], HORIZON) - counted.rep_quantiles([0.16], HORIZON))[0] / 2
        assert np.abs(counted.expected_bookings(HORIZON) - exact).max() < 4 * spread.max() / np.sqrt(20_000)


# --- scenarios that cannot be -----------------------------------------------------------------------------

GOOD = """
name: good
currency: EUR
calendar: {{first_quarter: 2026Q1, quarters: 1}}
segments:
  - name: all
    stages:
      - {{name: early, conversion: 0.5, dwell_weeks: 2, {early}}}
      - {{name: late, {late}, dwell_weeks: 2, {more}}}
    sources: [{{name: calls, kind: self-sourced, leads_per_week: {leads}}}]
    deal_size: {{mean: 1000, cv: 0}}
    {segment}
roles: [{{name: AE, {role}}}, {{name: SDR}}]
reps: [{{name: Rep 1, role: AE}}, {{name: Rep 2, role: {second}}}]
hires: [{hire}]
market: {{{market}}}
"""


def written(**parts: str) -> str:
    standard = {
        "early": "role: AE",
        "late": "conversion: 0.5",
        "more": "role: AE",
        "leads": "2.0",
        "segment": "",
        "role": "hiring_lead_weeks: 0",
        "second": "SDR",
        "hire": "",
        "market": "",
    }
    return GOOD.format(**{**standard, **parts})


def test_the_scenario_that_the_others_spoil_is_good() -> None:
    assert simulate(Scenario.from_yaml(written())).expected_bookings(HORIZON).sum() > 0


BAD = {
    "negative capacity": ({"role": "capacity: {open_deals: -3}"}, r"capacity.open_deals.*-3"),
    "no capacity at all": ({"role": "capacity: {open_deals: 0}"}, r"capacity.open_deals"),
    "negative hours": ({"role": "capacity: {hours_per_week: -1.0}"}, r"capacity.hours_per_week.*-1"),
    "two limits": (
        {"role": "capacity: {hours_per_week: 9.0, open_deals: 3}"},
        r"capacity.*open_deals or hours_per_week",
    ),
    "hours without hours of stages": ({"role": "capacity: {hours_per_week: 30.0}"}, r"hours_per_week"),
    "patience below nothing": (
        {"role": "capacity: {open_deals: 3, leave_per_week: -0.1}"},
        r"capacity.leave_per_week",
    ),
    "everybody leaves": ({"role": "attrition_per_year: 1.0"}, r"attrition_per_year.*1"),
    "a role that nobody has": ({"early": "role: SDR", "second": "AE"}, r"stages\[0\] 'early'.*'SDR'"),
    "an unknown role": ({"early": "role: CEO"}, r"stages\[0\] 'early'.*CEO"),
    "a stage without role among others": ({"early": "hours_per_week: 1.0"}, r"'early' has no role"),
    "a stage that nothing leaves": (
        {"late": "conversion: 0.0", "more": "role: AE, back: {late: 1.0}"},
        r"stages\[1\] 'late'.*gets out",
    ),
    "back to an unknown stage": ({"more": "role: AE, back: {never: 0.1}"}, r"stages\[1\] 'late'.*'never'"),
    "back to a later stage": ({"early": "role: AE, back: {late: 0.1}"}, r"stages\[0\] 'early'.*'late'"),
    "back to another role": (
        {"early": "role: SDR", "more": "role: AE, back: {early: 0.1}"},
        r"stages\[1\] 'late'.*another role",
    ),
    "more than all leave": ({"more": "role: AE, back: {early: 0.7}"}, r"stages\[1\] 'late'.*1.2"),
    "nurture that is not described": ({"more": "role: AE, nurture: 0.2"}, r"stages\[1\] 'late'.*nurture"),
    "nurture that returns nowhere": (
        {"segment": "nurture: {mean_weeks: 4.0, return_share: 0.5, returns_to: never}"},
        r"nurture.returns_to.*'never'",
    ),
    "a hire before the scenario": (
        {"hire": "{role: AE, start: 2025-06-01}"},
        r"hires\[0\].start.*2025-06-01",
    ),
    "a hire for an unknown role": ({"hire": "{role: CEO, start: 2026-02-01}"}, r"hires\[0\].role.*CEO"),
    "negative leads": ({"leads": "-2.0"}, r"leads_per_week.*-2"),
    "leads that are no number": ({"leads": ".nan"}, r"leads_per_week"),
    "a shock that never ends": ({"market": "shock_persistence: 1.0"}, r"shock_persistence.*1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_scenarios_are_refused_with_field_and_value(name: str) -> None:
    parts, message = BAD[name]
    with pytest.raises(ScenarioError, match=message) as caught:
        Scenario.from_yaml(written(**parts), where="bad.yaml")
    assert "bad.yaml" in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_hand_over_that_comes_back_is_refused() -> None:
    stages = [
        Stage(name=name, conversion=0.5, role=role)
        for name, role in (("one", "SDR"), ("two", "AE"), ("three", "SDR"))
    ]
    with pytest.raises(ValidationError, match=r"stages\[2\] 'three'.*comes back to role 'SDR'"):
        Segment(name="all", stages=tuple(stages), sources=(), deal_size=DealSize(mean=1.0, cv=0.0))


def test_segments_may_hand_over_in_opposite_directions() -> None:
    """One segment goes from SDR to AE, another from AE to SDR: no deal goes in a circle."""
    world = relay()
    first = world.segments[0]
    turned = tuple(
        stage.model_copy(update={"role": role})
        for stage, role in zip(first.stages, ("AE", "SDR"), strict=True)
    )
    second = first.model_copy(update={"name": "other", "stages": turned})
    one = simulate(world, trials=4_000).expected_bookings(HORIZON)
    two = simulate(changed(world, segments=(first, second)), trials=4_000).expected_bookings(HORIZON)
    assert one[0] == 0
    assert two == pytest.approx([one[1], one[1]], rel=0.04)


@pytest.mark.parametrize("engine", ["auto", "exact", "thinning", "flow"])
def test_no_leads_mean_a_correct_zero(engine: str) -> None:
    world = with_leads(desk(skill_cv=0.2), 0.0)
    outcome = simulate(world, engine=engine, trials=40)  # type: ignore[arg-type]
    assert outcome.expected_bookings(HORIZON).tolist() == [0.0]
    assert outcome.chance_at_least([1.0], HORIZON).tolist() == [0.0]
    assert outcome.rep_quantiles([0.1, 0.9], HORIZON).tolist() == [[0.0], [0.0]]
    assert outcome.team_quantiles([0.1, 0.9], HORIZON).tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "world",
    [
        limited(desk(), Capacity(open_deals=3)),
        relay(),
        desk(roles=(Role(name="AE", attrition_per_year=0.3),)),
    ],
    ids=["limit", "hand-over", "attrition"],
)
def test_no_leads_mean_zero_with_a_limit_hand_over_and_attrition(world: Scenario) -> None:
    outcome = simulate(with_leads(world, 0.0), trials=40)
    expected = outcome.expected_bookings(HORIZON)
    assert expected.tolist() == [0.0] * len(expected)
    assert outcome.team_quantiles([0.5], HORIZON).tolist() == [0.0]


def test_a_team_that_is_not_there_yet_books_nothing_and_nothing_is_nan() -> None:
    late = (Rep(name="rep 0", role="AE", start=date(2026, 3, 28)),)
    world = limited(desk(reps=late), Capacity(open_deals=3))
    outcome = simulate(world, engine="flow", trials=40)
    assert np.isfinite(outcome.expected_bookings(HORIZON)).all()
    assert outcome.expected_bookings(HORIZON).sum() < 20_000
