"""Chapter 2: what quotas sellers can make, and whether the company makes its plan."""

from __future__ import annotations

import itertools
import math
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim import formats, measures
from salessim.briefing.fairness import fairness
from salessim.briefing.prepared import Briefing, bullets, reps
from salessim.calibrate import LEVEL, Parameter
from salessim.engine import HORIZON, simulate
from salessim.errors import PlanError
from salessim.model import Scenario
from salessim.plans import MIDDLE, Lever, QuotaScore, plan_for_share, quota_weights, quotas, score, with_lever

__all__ = ["assumptions", "quota_findings", "quota_list", "quota_texts", "quotas_by_quarter", "robustness"]

#: A probability from which on landing in the band is the rule.
LIKELY = 0.8
#: A chance from which on a result is nearly certain.
CERTAIN = 0.95
#: Chance of the team plan from which on quotas below it are a choice, not a gap.
SAFE_PLAN = 0.7
#: Kinds of estimates that are moved to the ends of their intervals, and what the table calls them.
ESTIMATED: tuple[Lever, ...] = ("leads", "win rate", "deal size")
NAMES = {"win rate": "conversion"}
#: Up to so many reps the luck of single deals moves the share of those who make quota a lot.
SMALL_TEAM = 50


def quota_findings(briefing: Briefing) -> str:
    """The quota plan in sentences (Markdown): is it right, what would be, will the company make its plan."""
    b, asked = briefing, briefing.asked
    low, high = asked.band
    lines = [*_attained(b), *_too_short(b)]
    if b.plan_given:
        verdict = (
            "too hard"
            if asked.expected_share < low
            else "too easy"
            if asked.expected_share > high
            else "right"
        )
        lines.append(
            f"**The plan “{b.plan.name}” is {verdict} for {b.quota_period_name}**: with "
            f"{_asked_of(b)}, {formats.percent(asked.expected_share)} of "
            f"{reps(len(asked.reps))} are expected to make quota (in 8 of 10 cases "
            f"{formats.percent(asked.share_low)} to {formats.percent(asked.share_high)}); aimed at are "
            f"{band_of(asked)}. The share lands there with probability "
            f"{formats.percent(asked.probability_band)}."
        )
    if b.quota_found:
        lines.append(_advice(b))
        lines += _territory(b)
    if math.isfinite(asked.team_plan):
        times = "four times what" if b.quota_period == HORIZON else "as much as"
        booked = f"{times} {b.quarter} booked"
        source = "the company's plan" if b.plan_given else f"{booked} (no plan was given)"
        lines.append(
            f"**The team books {b.money(asked.team_plan)} or more in {b.quota_period_name}, {source}, with "
            f"probability {formats.percent(asked.probability_team_plan)}**: "
            f"{b.money(asked.expected_bookings)} are expected, {b.money(asked.bookings_p10)} to "
            f"{b.money(asked.bookings_p90)} in 8 of 10 cases."
        )
        if b.quota_found:
            lines.append(_coverage(b))
    return bullets(lines)


def _asked_of(briefing: Briefing) -> str:
    """What the plan asks of reps in the quota period, for a sentence."""
    asked = briefing.asked
    if not briefing.plan.quotas_by_rep:
        return f"{briefing.money(asked.full_quota)} for a fully ramped rep"
    low, high = asked.reps["quota"].min(), asked.reps["quota"].max()
    return f"quotas of {briefing.money(low)} to {briefing.money(high)} from rep to rep"


def _attained(briefing: Briefing) -> list[str]:
    """How many made quota in the reported quarter; empty: the export has no quotas for it."""
    share = measures.measure("share_attaining", briefing.tables, quarter=briefing.quarter).iloc[0]
    if not math.isfinite(share["value"]):
        return []
    team = measures.measure("team_attainment", briefing.tables, quarter=briefing.quarter).iloc[0]
    number = int(share["n"])
    left = (briefing.quarter.end - briefing.tables.as_of).days
    made = "made quota" if briefing.quarter_is_over else "have made quota so far"
    so_far = "" if briefing.quarter_is_over else f", {left} days before its end"
    return [
        f"**{round(share['value'] * number)} of {reps(number)} {made} in {briefing.quarter}{so_far}** "
        f"({formats.percent(share['value'])}, {formats.percent(LEVEL)} interval "
        f"{formats.span(share['low'], share['high'], 'share')}); the team booked "
        f"{formats.percent(team['value'])} of the sum of its quotas."
    ]


def _territory(briefing: Briefing) -> list[str]:
    """Whether equal quotas meet very unequal reps [B2, B5]; empty: they do not."""
    chances = briefing.advised.reps["chance"]
    sure, never = int((chances > CERTAIN).sum()), int((chances < 1 - CERTAIN).sum())
    uneven = sure > 0 and never > 0 and sure + never >= len(chances) / 4
    if len(chances) < 4 or not uneven or not briefing.one_quota:
        return []
    return [
        f"**Who makes it is mostly decided beforehand**: {sure} of {len(chances)} are nearly certain to make "
        f"this quota (over {formats.percent(CERTAIN)}), {never} nearly certain to miss it. One quota "
        "for all cannot be fair here. Set quotas by potential, or move leads."
    ]


def _too_short(briefing: Briefing) -> list[str]:
    """Why quotas are not set for the coming quarter; empty: they are."""
    b = briefing
    if b.quota_period != HORIZON:
        return []
    aim = f"a quota that {formats.percent(MIDDLE, digits=1)} make"
    weights = quota_weights(b.plan, b.scenario, b.upcoming)
    if np.isfinite(weights).any():
        some = formats.percent(b.outcome.share_at_least(weights, 1e-9, b.upcoming))
        why = f"A quarter is too short for {aim}: only {some} of reps are expected to book anything in it"
    else:
        why = f"Nobody carries a quota in {b.upcoming}"
    if b.quota_found:
        return [f"**{why}.** Quotas are set for {_together(b)} instead."]
    weights = quota_weights(b.plan, b.scenario, HORIZON)
    some = formats.percent(b.outcome.share_at_least(weights, 1e-9, HORIZON))
    text = (
        f"**There is no quota to recommend.** {why}. Over {_together(b)} {some} are expected to book "
        "anything, which is too few as well. "
    )
    if b.advised.expected_bookings < 1:
        return [text + "The team is expected to book nothing."]
    return [
        text + f"Tables and charts that need a quota take one of {b.money(b.advised.full_quota)} for a fully "
        "ramped rep, with which all quotas together are what the team is expected to book."
    ]


def _together(briefing: Briefing) -> str:
    number = len(briefing.outcome.periods)
    return f"the {number} quarters {briefing.quota_period_name} together"


def _advice(briefing: Briefing) -> str:
    """The recommended quota, and how often the share of reps lands in the band under it."""
    b, advised = briefing, briefing.advised
    number, band = len(advised.reps), band_of(advised)
    moves = f"from {formats.percent(advised.share_low)} to {formats.percent(advised.share_high)}"
    chance = formats.percent(advised.probability_band)
    if b.one_quota:
        what = f"A quota of {b.money(advised.full_quota)} is one that"
    else:
        factor = advised.full_quota / b.asked.full_quota
        low, high = advised.reps["quota"].min(), advised.reps["quota"].max()
        what = (
            f"The plan's quotas times {factor:.2f}, {b.money(low)} to {b.money(high)} from rep to rep, are "
            "ones that"
        )
    made = formats.percent(advised.expected_share)
    text = f"**{what} {made} are expected to make** in {b.quota_period_name}. "
    if not _lands(number, advised.band):
        smallest = next(n for n in itertools.count(1) if _lands(n, advised.band))
        return text + (
            f"With {reps(number)} the share cannot land in {band}: that takes at least {reps(smallest)}."
            if number < smallest
            else f"With {reps(number)} the share cannot land in {band}: one rep more or less skips it."
        )
    if advised.probability_band >= LIKELY:
        return f"{text}The share lands in {band} with probability {chance} (in 8 of 10 cases {moves})."
    small = f"a team of {number} is small, and " if number <= SMALL_TEAM else ""
    return (
        f"{text}Even then the share lands in {band} only with probability {chance}: {small}luck moves it "
        f"{moves}."
    )


def _lands(number: int, band: tuple[float, float]) -> bool:
    """Whether a share of so many reps can lie in the band."""
    return any(band[0] - 1e-9 <= k / number <= band[1] + 1e-9 for k in range(number + 1))


def band_of(scored: QuotaScore) -> str:
    """The band of a score for a sentence: "60–75 %"."""
    low, high = scored.band
    return f"{low * 100:.3g}–{high * 100:.3g} %"


def _coverage(briefing: Briefing) -> str:
    b, advised = briefing, briefing.advised
    total = f"The recommended quotas add up to {b.money(advised.sum_of_quotas)}"
    if advised.over_assignment >= 0:
        return (
            f"{total}, {formats.percent(advised.over_assignment)} more than the team plan (over-assignment)."
        )
    if advised.probability_team_plan >= SAFE_PLAN:
        return (
            f"**{total}, {formats.percent(-advised.over_assignment)} less than the team plan**, and still "
            f"the team meets it with probability {formats.percent(advised.probability_team_plan)}: those "
            "above quota carry it. Such under-assignment is unusual; check that you want it."
        )
    return (
        f"**{total}, {formats.percent(-advised.over_assignment)} less than the team plan.** The plan then "
        f"rests on those who beat their quota; to close the gap without asking for more than "
        f"{band_of(advised)} can make, it takes more reps, more leads, or better conversion."
    )


def quotas_by_quarter(briefing: Briefing) -> str:
    """The recommended level in every simulated quarter (Markdown table), with the reason where there is none;
    a last row has all quarters together where quotas are set for them."""
    rows = [_row(briefing, period, period) for period in briefing.outcome.periods]
    if briefing.quota_period == HORIZON:
        rows.append(_row(briefing, HORIZON, briefing.quota_period_name))
    given = "plan" if briefing.plan_given else "now"
    middle = formats.percent(MIDDLE, digits=1)
    header = ["quarter", f"{given}: quota", f"{given}: make it", f"{given}: in the band"]
    header += [f"quota for {middle}", f"{middle}: in the band", "chance of the team plan"]
    unequal = "" if briefing.one_quota else " *quota*: the highest, the others in the plan's relation to it."
    note = "" if briefing.plan_given else f"\n\nNo team plan was given: {_stand_in(briefing)}."
    return (
        formats.table(header, rows) + "\n\n*Make it*: expected share of reps who make quota; *in the band*: "
        f"chance that the share lands in {band_of(briefing.asked)}.{unequal}{note}"
    )


def _stand_in(briefing: Briefing) -> str:
    if not math.isfinite(briefing.asked.team_plan):
        return "none is judged"
    return f"what {briefing.quarter} booked stands in for it"


def _row(briefing: Briefing, period: str, name: str) -> list[object]:
    b = briefing
    try:
        asked = score(b.outcome, b.plan, period=period)
    except PlanError:  # of a plan that asks somebody for something in another quarter
        return [name, "nobody carries a quota", "", "", "", "", ""]
    try:
        plan = plan_for_share(b.outcome, plan=b.plan, period=period, share=MIDDLE)
    except PlanError:
        advice = [f"none: fewer than {formats.percent(MIDDLE, digits=1)} are expected to book anything", ""]
    else:
        advised = score(b.outcome, plan, period=period)
        advice = [formats.money(advised.full_quota, b.currency), formats.percent(advised.probability_band)]
    stated = math.isfinite(asked.team_plan)
    return [
        name,
        formats.money(asked.full_quota, b.currency),
        formats.percent(asked.expected_share),
        formats.percent(asked.probability_band),
        *advice,
        f"{formats.percent(asked.probability_team_plan)} ({b.money(asked.team_plan)})"
        if stated
        else "not stated",
    ]


def quota_list(briefing: Briefing) -> pd.DataFrame:
    """The recommended quotas of all simulated quarters as a list: rep, period, quota (currency, whole cents);
    quarters without a quota are left out."""
    table = quotas(briefing.recommended, briefing.scenario).round(2)
    long = table.reset_index().melt("rep", var_name="period", value_name="quota").dropna()
    return long.sort_values(["rep", "period"], ignore_index=True)


def quota_texts(briefing: Briefing) -> dict[str, object]:
    """Figures of the recommended plan as texts, for pages of the sales book; None: no such figure."""
    b, s = briefing, briefing.advised
    plan = None
    if math.isfinite(s.team_plan):
        chance, amount = formats.percent(s.probability_team_plan), formats.money(s.team_plan, b.currency)
        plan = f"{chance} for a team plan of {amount} in {b.quota_period_name}"
        if not b.plan_given:
            plan += f" (no plan was given; {_stand_in(b)})"
    texts: dict[str, object] = {
        "recommended_quota": f"{formats.money(s.full_quota, b.currency)} for {b.quota_period_name}",
        "expected_share": f"{formats.percent(s.expected_share)} (n = {reps(len(s.reps))})",
        "probability_band": formats.percent(s.probability_band),
        "probability_plan": plan,
        "over_assignment": _over(s.over_assignment) if plan else None,
        "chance_range": (
            f"{formats.percent(s.reps['chance'].min())} to {formats.percent(s.reps['chance'].max())}"
        ),
        "engine_note": f"The {b.outcome.engine} engine; {b.outcome.why}",
        "luck_share": _shares_of_causes(b),
    }
    return texts if b.quota_found else dict.fromkeys(texts)


def _shares_of_causes(briefing: Briefing) -> str:
    mean = fairness(briefing)[["luck", "territory", "skill", "market"]].mean().sort_values(ascending=False)
    return ", ".join(f"{name} {formats.percent(share)}" for name, share in mean.items())


def _over(over_assignment: float) -> str:
    size = formats.percent(abs(over_assignment), digits=1)
    return f"{size} above the team plan" if over_assignment >= 0 else f"{size} below the team plan"


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
        f"History from {first} to {last}. Doubts first:\n\n{warnings}\n\n{table}\n\n"
        f"*cv*: standard deviation ÷ mean. Engine: {briefing.outcome.engine} ({briefing.outcome.why})."
    )


def _estimate(parameter: Parameter, value: float, currency: str) -> str:
    if parameter.unit == "money":
        return formats.money(value, currency)
    if parameter.unit in ("share", "cv"):
        return formats.percent(value, digits=1)
    if parameter.unit == "weeks":
        return "1 week" if round(value) == 1 else f"{value:.0f} weeks"
    return f"{value:.3g}"


def _interval(parameter: Parameter, currency: str) -> str:
    if not math.isfinite(parameter.low):
        return formats.MISSING
    low, high = (_estimate(parameter, end, currency) for end in (parameter.low, parameter.high))
    return f"{low.removesuffix(' weeks').removesuffix(' week')} to {high.removeprefix(currency + ' ')}"


def robustness(briefing: Briefing) -> str:
    """How the answer moves when an estimate is at an end of its interval (Markdown table).

    One kind of estimate at a time: leads, conversion or deal size of all segments move together, by a factor
    that is made of the relative ends of their intervals, weighted by expected bookings. A kind without an
    interval has no row.
    """
    b, base, period = briefing, briefing.advised, briefing.quota_period
    weights = quota_weights(b.recommended, b.scenario, period)
    level = _expected_per_week(b.scenario).sum()
    rows = [["all as estimated", b.money(base.expected_bookings), formats.percent(base.expected_share)]]
    for kind in ESTIMATED:
        for end in ("low", "high"):
            distance = _log_distance(b, kind, end)
            if distance == 0:
                continue
            change = math.expm1(-distance if end == "low" else distance)
            scenario = with_lever(b.scenario, lever=kind, change=change)
            changed = simulate(scenario)
            bookings = float(changed.expected_bookings(period).sum())
            share = changed.share_at_least(weights, base.full_quota, period)
            # a conversion ends at 100 %, so that the change may be smaller than the one asked for
            change = _expected_per_week(scenario).sum() / level - 1
            rows.append(
                [f"{NAMES.get(kind, kind)} {change * 100:+.0f} %", b.money(bookings), formats.percent(share)]
            )
    return formats.table(
        ["estimate", f"expected bookings in {b.quota_period_name}", "expected share making quota"], rows
    )


def _expected_per_week(scenario: Scenario) -> npt.NDArray[np.float64]:
    """Value that the new leads of a week will bring in the end, by segment."""
    return np.array(
        [
            sum(source.leads_per_week for source in segment.sources)
            * segment.close_probabilities()[0]
            * segment.deal_size.moments()[0]
            for segment in scenario.segments
        ]
    )


def _log_distance(briefing: Briefing, kind: Lever, end: Literal["low", "high"]) -> float:
    """Log-ratio between one kind of estimate and an end of its interval, over the whole team."""
    distances = []
    for segment in briefing.scenario.segments:
        squares = 0.0
        for p in briefing.calibration.parameters:
            if p.segment != segment.name or _kind(p) != kind or not 0 < p.value <= p.high < math.inf:
                continue
            # an interval that reaches down to nothing has no ratio at its low end: as far as the high one
            ratio = p.value / p.low if end == "low" and p.low > 0 else p.high / p.value
            squares += math.log(ratio) ** 2  # errors of the stages of a funnel are independent
        distances.append(math.sqrt(squares))
    weights = _expected_per_week(briefing.scenario)
    if not weights.any():
        return 0.0
    parts = weights / weights.sum() * np.array(distances)
    # the market moves the leads of all segments together
    return float(parts.sum() if kind == "leads" else np.sqrt((parts**2).sum()))


def _kind(parameter: Parameter) -> Lever | None:
    if parameter.unit == "per rep and week":
        return "leads"
    kinds: dict[str, Lever] = {"share": "win rate", "money": "deal size"}
    return kinds.get(parameter.unit)
