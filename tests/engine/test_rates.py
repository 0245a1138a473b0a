"""The rate layer: open deals by stage and age, leads by rep and week."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from salessim.engine.rates import weekly_leads, win_chances
from salessim.model import DealSize, Hire, Segment, Source, Stage
from tests.worlds import changed, one_stage_world


def funnel() -> Segment:
    stages = (
        Stage(name="early", conversion=0.5, dwell_weeks=(0.0, 0.5, 0.5), lost_dwell_weeks=3.0),
        Stage(name="late", conversion=0.8, dwell_weeks=(0.0, 1.0)),
    )
    return Segment(name="all", stages=stages, sources=(), deal_size=DealSize(mean=1.0, cv=0.0))


def test_a_fresh_deal_has_the_close_probability_of_its_stage() -> None:
    assert win_chances(funnel(), stage="early", weeks_in_stage=0, weeks=50).sum() == pytest.approx(0.4)
    assert win_chances(funnel(), stage="late", weeks_in_stage=0, weeks=50).sum() == pytest.approx(0.8)


def test_a_deal_older_than_any_that_moved_on_is_worth_nothing_in_any_stage() -> None:
    """Lost deals linger longer than deals that move on: an old deal can only be lost."""
    for weeks in (2, 3, 40):
        assert win_chances(funnel(), stage="early", weeks_in_stage=weeks, weeks=20).sum() == 0


def test_inbound_leads_are_shared_and_self_sourced_ones_grow_with_the_team() -> None:
    world = one_stage_world(reps=2)
    sources = (
        Source(name="web", kind="inbound", leads_per_week=10.0),
        Source(name="calls", kind="self-sourced", leads_per_week=3.0),
    )
    segments = (world.segments[0].model_copy(update={"sources": sources}),)
    before = weekly_leads(changed(world, segments=segments))
    hired = changed(world, segments=segments, hires=(Hire(role="AE", start=date(2026, 1, 1), count=2),))
    after = weekly_leads(hired)
    assert before.sum(axis=0)[0] == pytest.approx(np.full(13, 10 + 2 * 3))
    assert after.sum(axis=0)[0] == pytest.approx(np.full(13, 10 + 4 * 3))


def test_nobody_at_work_means_no_leads() -> None:
    world = one_stage_world(reps=1, quarters=2)
    segments = (
        world.segments[0].model_copy(
            update={"sources": (Source(name="web", kind="inbound", leads_per_week=10.0),)}
        ),
    )
    reps = (world.reps[0].model_copy(update={"end": date(2026, 3, 31)}),)
    leads = weekly_leads(changed(world, segments=segments, reps=reps))
    assert leads[0, 0].tolist() == [10.0] * 13 + [0.0] * 13
