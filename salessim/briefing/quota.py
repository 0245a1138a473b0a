"""Chapter 2: what quotas sellers can make, and whether the company makes its plan."""

from __future__ import annotations

import math

import numpy as np

from salessim import formats
from salessim.briefing.prepared import Briefing, bullets
from salessim.calibrate import LEVEL, Parameter
from salessim.engine import simulate
from salessim.errors import PlanError
from salessim.model import Scenario
from salessim.plans import MIDDLE, plan_for_share, quota_weights, score

__all__ = ["assumptions", "quota_findings", "quota_texts", "quotas_by_quarter", "robustness"]


def quota_findings(briefing: Briefing) -> str:
    """The quota plan in sentences (Markdown): is it right, what would be, will the company make its plan."""
    b, asked, advised = briefing, briefing.asked, briefing.advised
    low, high = asked.band
    band = f"{low * 100:.0f}–{high * 100:.0f} %"
    lines = []
    if b.plan_given:
        verdict = (
            "too hard"
            if asked.expected_share < low
            else "too easy"
            if asked.expected_share > high
            else "right"
        )
        lines.append(
            f"**The plan “{b.plan.name}” is {verdict} for {b.upcoming}**: with {b.money(asked.full_quota)} "
            f"for a fully ramped rep, {formats.percent(asked.expected_share)} of {len(asked.reps)} reps are "
            f"expected to make quota (in 8 of 10 cases {formats.percent(asked.share_low)} to "
            f"{formats.percent(asked.share_high)}); aimed at are {band}. The share lands there with "
            f"probability {formats.percent(asked.probability_band)}."
        )
    lines.append(
        f"**A quota of {b.money(advised.full_quota)} is one that {formats.percent(advised.expected_share)} "
        f"are expected to make** in {b.upcoming}. Even then the share lands in {band} only with probability "
        f"{formats.percent(advised.probability_band)}: a team of {len(advised.reps)} is small, and luck "
        f"moves the share from {formats.percent(advised.share_low)} to {formats.percent(advised.share_high)}."
    )
    plan = b.money(asked.team_plan)
    source = "the company's plan" if b.plan_given else f"as much as {b.quarter} booked (no plan was given)"
    if math.isfinite(asked.team_plan):
        lines.append(
            f"**The team books {plan} or more, {source}, with probability "
            f"{formats.percent(asked.probability_team_plan)}**: {b.money(asked.expected_bookings)} are "
            f"expected, {b.money(asked.bookings_p10)} to {b.money(asked.bookings_p90)} in 8 of 10 cases."
        )
        lines.append(_coverage(b))
    return bullets(lines)


def _coverage(briefing: Briefing) -> str:
    b, advised = briefing, briefing.advised
    total = f"The recommended quotas add up to {b.money(advised.sum_of_quotas)}"
    if advised.over_assignment >= 0:
        return (
            f"{total}, {formats.percent(advised.over_assignment)} more than the team plan (over-assignment)."
        )
    return (
        f"**{total}, {formats.percent(-advised.over_assignment)} less than the team plan.** The plan then "
        "rests on those who beat their quota; to close the gap without asking for more than 60–75 % can "
        "make, it takes more reps, more leads, or better conversion."
    )


def quotas_by_quarter(briefing: Briefing) -> str:
    """The recommended level in every simulated quarter (Markdown table)."""
    rows = []
    for period in briefing.outcome.periods:
        try:
            plan = plan_for_share(briefing.outcome, plan=briefing.plan, period=period, share=MIDDLE)
        except PlanError as problem:
            rows.append([period, str(problem), "", "", "", "", ""])
            continue
        asked, advised = (score(briefing.outcome, p, period=period) for p in (briefing.plan, plan))
        rows.append(
            [
                period,
                formats.money(asked.full_quota, briefing.currency),
                formats.percent(asked.expected_share),
                formats.money(advised.full_quota, briefing.currency),
                formats.percent(advised.probability_band),
                formats.money(asked.team_plan, briefing.currency),
                formats.percent(asked.probability_team_plan),
            ]
        )
    header = [
        "quarter",
        "quota in the plan",
        "expected to make it",
        f"quota for {formats.percent(MIDDLE, digits=1)}",
    ]
    header += ["chance of landing in the band", "team plan", "chance of the team plan"]
    return formats.table(header, rows)


def quota_texts(briefing: Briefing) -> dict[str, object]:
    """Figures of the recommended plan as texts, for pages of the sales book; None: no such figure."""
    b, s = briefing, briefing.advised
    plan = None
    if math.isfinite(s.team_plan):
        chance, amount = formats.percent(s.probability_team_plan), formats.money(s.team_plan, b.currency)
        plan = f"{chance} for a team plan of {amount} in {b.upcoming}"
    return {
        "recommended_quota": f"{formats.money(s.full_quota, b.currency)} for {b.upcoming}",
        "expected_share": f"{formats.percent(s.expected_share)} (n = {len(s.reps)} reps)",
        "probability_band": formats.percent(s.probability_band),
        "probability_plan": plan,
        "over_assignment": formats.percent(s.over_assignment, digits=1) if plan else None,
    }


def assumptions(briefing: Briefing) -> str:
    """What the simulation assumes, each estimate with its interval and sample size (Markdown)."""
    calibration = briefing.calibration
    rows = [
        [
            p.name if not p.segment else f"{p.segment}: {p.name}",
            _estimate(p, p.value, briefing.currency),
            _interval(p, briefing.currency),
            formats.count(p.n),
            p.note,
        ]
        for p in calibration.parameters
    ]
    table = formats.table(["estimate", "value", f"{formats.percent(LEVEL)} interval", "n", "note"], rows)
    first, last = calibration.window
    warnings = bullets(calibration.warnings) if calibration.warnings else "None."
    return (
        f"History from {first} to {last}. Engine: {briefing.outcome.engine} ({briefing.outcome.why}).\n\n"
        f"{table}\n\nDoubts:\n\n{warnings}"
    )


def _estimate(parameter: Parameter, value: float, currency: str) -> str:
    if parameter.unit == "money":
        return formats.money(value, currency)
    if parameter.unit in ("share", "cv"):
        return formats.percent(value, digits=1)
    if parameter.unit == "weeks":
        return f"{value:.0f} weeks"
    return f"{value:.3g}"


def _interval(parameter: Parameter, currency: str) -> str:
    if not math.isfinite(parameter.low):
        return formats.MISSING
    low, high = (_estimate(parameter, end, currency) for end in (parameter.low, parameter.high))
    return f"{low.removesuffix(' weeks')} to {high.removeprefix(currency + ' ')}"


def robustness(briefing: Briefing) -> str:
    """How the answer moves when an estimate is at an end of its interval (Markdown table).

    One kind of estimate at a time: leads, conversion or deal size of all segments move together by the
    relative half-width of their intervals, weighted by expected bookings.
    """
    b, base = briefing, briefing.advised
    weights = quota_weights(b.recommended, b.scenario, b.upcoming)
    rows = [["all as estimated", b.money(base.expected_bookings), formats.percent(base.expected_share)]]
    for kind in ("leads", "conversion", "deal size"):
        width = _relative_width(b, kind)
        for sign in (-1, 1):
            changed = simulate(_scaled(b.scenario, kind, 1 + sign * width))
            bookings = float(changed.expected_bookings(b.upcoming).sum())
            share = changed.share_at_least(weights, base.full_quota, b.upcoming)
            label = f"{kind} {sign * width * 100:+.0f} %"
            rows.append([label, b.money(bookings), formats.percent(share)])
    return formats.table(
        ["estimate", f"expected bookings in {b.upcoming}", "expected share making quota"], rows
    )


def _relative_width(briefing: Briefing, kind: str) -> float:
    """Relative half-width of the 80 % interval of one kind of estimate over the whole team."""
    weights, widths = [], []
    for segment in briefing.scenario.segments:
        found = [
            p
            for p in briefing.calibration.parameters
            if p.segment == segment.name and math.isfinite(p.low) and p.value > 0 and _kind(p) == kind
        ]
        # errors of the stages of a funnel are independent
        widths.append(math.sqrt(sum(((p.high - p.low) / (2 * p.value)) ** 2 for p in found)))
        leads = sum(source.leads_per_week for source in segment.sources)
        weights.append(leads * segment.close_probabilities()[0] * segment.deal_size.moments()[0])
    share = np.array(weights) / sum(weights)
    if kind == "leads":
        return float(share @ np.array(widths))  # the market moves all segments together
    return float(np.sqrt((share * np.array(widths)) ** 2 @ np.ones(len(share))))


def _kind(parameter: Parameter) -> str:
    if parameter.unit == "per rep and week":
        return "leads"
    return {"share": "conversion", "money": "deal size"}.get(parameter.unit, "")


def _scaled(scenario: Scenario, kind: str, factor: float) -> Scenario:
    """The scenario with one kind of parameter of all segments multiplied by a factor."""
    segments = []
    for segment in scenario.segments:
        if kind == "leads":
            sources = tuple(
                source.model_copy(update={"leads_per_week": source.leads_per_week * factor})
                for source in segment.sources
            )
            segments.append(segment.model_copy(update={"sources": sources}))
        elif kind == "conversion":
            each = factor ** (1 / len(segment.stages))
            stages = tuple(
                stage.model_copy(update={"conversion": min(c * each, 1.0), "close_probability": None})
                for stage, c in zip(segment.stages, segment.conversions(), strict=True)
            )
            segments.append(segment.model_copy(update={"stages": stages}))
        else:
            size = segment.deal_size
            update: dict[str, object] = {"amounts": tuple(amount * factor for amount in size.amounts)}
            if size.mean is not None:
                update["mean"] = size.mean * factor
            segments.append(segment.model_copy(update={"deal_size": size.model_copy(update=update)}))
    return scenario.model_copy(update={"segments": tuple(segments)})
