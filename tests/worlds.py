"""Small worlds that several tests look at."""

from __future__ import annotations

from datetime import date

from salessim.model import (
    Calendar,
    DealSize,
    Market,
    Ramp,
    Rep,
    Role,
    Scenario,
    Segment,
    Source,
    Stage,
)


def reference_world(*, reps: int = 50, newcomers: int = 10) -> Scenario:
    """The reference workload W1: 50 reps, ten of them new with a 26-week linear ramp, 52 weeks."""
    funnel = zip((0.30, 0.55, 0.60, 0.65, 0.75), (2.0, 3.0, 4.0, 3.0, 2.0), strict=True)
    stages = tuple(
        Stage(name=f"stage {k}", conversion=share, dwell_weeks=weeks)
        for k, (share, weeks) in enumerate(funnel)
    )
    leads = Source(name="leads", kind="self-sourced", leads_per_week=12.0)
    size = DealSize(mean=20_000.0, cv=1.0)
    return Scenario(
        name="W1",
        currency="EUR",
        calendar=Calendar(first_quarter="2026Q1"),
        segments=(Segment(name="all", stages=stages, sources=(leads,), deal_size=size),),
        roles=(Role(name="AE", ramp=Ramp(linear_weeks=26.0)),),
        reps=tuple(
            Rep(name=f"rep {k}", role="AE", start=None if k < reps - newcomers else date(2026, 1, 1))
            for k in range(reps)
        ),
        market=Market(shock_cv=0.10, skill_cv=0.25),
    )


def one_stage_world(
    *,
    reps: int = 1,
    leads_per_week: float = 1.0,
    conversion: float = 0.5,
    size: DealSize | None = None,
    skill_cv: float = 0.0,
    shock_cv: float = 0.0,
    level_cv: float = 0.0,
    quarters: int = 1,
    dwell: float | tuple[float, ...] = (1.0,),
) -> Scenario:
    """Reps alike, one stage, deals that close in the week of their arrival: numbers can be had by hand."""
    stage = Stage(name="open", conversion=conversion, dwell_weeks=dwell)
    source = Source(name="leads", kind="self-sourced", leads_per_week=leads_per_week)
    segment = Segment(
        name="all", stages=(stage,), sources=(source,), deal_size=size or DealSize(mean=10_000.0, cv=0.0)
    )
    return Scenario(
        name="one stage",
        currency="EUR",
        calendar=Calendar(first_quarter="2026Q1", quarters=quarters),
        segments=(segment,),
        roles=(Role(name="AE"),),
        reps=tuple(Rep(name=f"rep {k}", role="AE") for k in range(reps)),
        market=Market(shock_cv=shock_cv, skill_cv=skill_cv, level_cv=level_cv),
    )


def changed(scenario: Scenario, **parts: object) -> Scenario:
    """The scenario with some of its fields replaced, checked again."""
    return Scenario.model_validate({**dict(scenario), **parts})


def with_leads(scenario: Scenario, factor: float) -> Scenario:
    """The scenario with all leads multiplied."""
    segments = tuple(
        segment.model_copy(
            update={
                "sources": tuple(
                    source.model_copy(update={"leads_per_week": source.leads_per_week * factor})
                    for source in segment.sources
                )
            }
        )
        for segment in scenario.segments
    )
    return changed(scenario, segments=segments)


def with_conversion(scenario: Scenario, stage: int, conversion: float) -> Scenario:
    """The scenario with one conversion of its first segment replaced."""
    segment = scenario.segments[0]
    stages = list(segment.stages)
    stages[stage] = stages[stage].model_copy(update={"conversion": conversion})
    segments = (segment.model_copy(update={"stages": tuple(stages)}), *scenario.segments[1:])
    return changed(scenario, segments=segments)
