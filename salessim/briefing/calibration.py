"""Whether the calibrated scenario can be trusted: the past beside what it says of it, and every estimate."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from salessim import formats
from salessim.briefing.prepared import Briefing, bullets
from salessim.calibrate import LEVEL, PosteriorCheck, posterior_check
from salessim.model import DealSize
from salessim.periods import WEEKS_PER_QUARTER

__all__ = [
    "calibration_findings",
    "calibration_warnings",
    "check_past",
    "check_table",
    "deal_size_curves",
    "demand_note",
    "parameters_table",
    "posterior_ranges",
    "ramp_curve_used",
    "ramp_note",
    "sizes_table",
    "skills_note",
    "source_effects_table",
]

#: With fewer quarters, how often a range held proves nothing.
FEW_QUARTERS = 8
#: A number of held ranges that luck brings more seldom speaks against the ranges.
SELDOM = 0.05
#: Segments whose deal sizes are drawn, those with most won value first.
MOST_SEGMENTS = 4
WEEKS_PER_MONTH = 52 / 12
#: What the two views of the past are called.
_VIEWS = {"back-test": "back-test", "in-sample": "in hindsight"}
#: Units that are written as percent.
PERCENT = ("share", "cv", "share per year")


def check_past(briefing: Briefing, *, quarters: int = 8) -> PosteriorCheck:
    """Put past quarters beside what the scenario says of them, and what the method would have said.

    Roles, ramps and who brings the leads are today's in both; all else in the back-test is estimated from
    what was known when the quarter began.

    >>> from salessim.briefing import prepare
    >>> report = prepare(crm_folder="example", quarter="2026Q2")
    >>> sorted(check_past(report, quarters=1).quarters["view"].unique())
    ['back-test', 'in-sample']
    """
    tables = replace(briefing.tables, as_of=briefing.calibration.window[1])
    return posterior_check(
        tables, base=briefing.scenario, quarters=quarters, calibration=briefing.calibration
    )


def calibration_findings(briefing: Briefing, check: PosteriorCheck) -> str:
    """Can this scenario be trusted? In how many past quarters its range held, and what nobody can know
    (Markdown list)."""
    lines = [*_verdict(briefing, check)]
    lean = _lean(check)
    if lean:
        lines.append(lean)
    unsure = _widest(briefing)
    if unsure:
        lines.append(unsure)
    assumed = [p for p in briefing.calibration.parameters if _is_assumed(p.low, p.name)]
    if assumed:
        named = "; ".join(
            f"{_named(p.name, p.segment)} {_figure(p.value, p.unit, briefing.currency)} ({p.note})"
            for p in assumed[:6]
        )
        more = f"; and {len(assumed) - 6} more" if len(assumed) > 6 else ""
        lines.append(f"**Assumed, because the data cannot tell**: {named}{more}.")
    warnings = len(briefing.calibration.warnings)
    if warnings:
        noun = "warning about the data stands" if warnings == 1 else "warnings about the data stand"
        lines.append(f"{warnings} {noun} at the end of this chapter.")
    return bullets(lines)


def _verdict(briefing: Briefing, check: PosteriorCheck) -> list[str]:
    from scipy.stats import binom

    rows = check.coverage().to_dict("records")
    back, known = (
        next(row for row in rows if (row["view"], row["measure"]) == (view, "bookings"))
        for view in ("back-test", "in-sample")
    )
    level = formats.percent(LEVEL)
    if not back["quarters"] and not known["quarters"]:
        return [
            "**Nobody can say yet whether this scenario can be trusted**: the export covers no whole quarter "
            "that it could be held against."
        ]
    if not back["quarters"]:
        return [
            f"**The scenario tells the {_quarters(known['quarters'])} that it was made from** in "
            f"{known['held']:.0f}; no quarter has enough history before it for a back-test, so nothing yet "
            "says how good its forecasts are."
        ]
    held, tested = f"{back['held']:.0f}", _quarters(back["quarters"])
    could_be = formats.span(back["low"], back["high"], "share")
    by_luck = binom(back["quarters"], LEVEL)  # how many would hold, were the ranges right
    if by_luck.sf(back["held"] - 1) < SELDOM:
        answer = "**Its ranges are wider than need be**"
    elif by_luck.cdf(back["held"]) < SELDOM:
        answer = "**Do not rely on its ranges: they are too narrow, or the market has changed**"
    elif back["quarters"] < FEW_QUARTERS:
        answer = "**Nothing speaks against this scenario, and little can speak for it yet**"
    else:
        answer = "**The scenario can be trusted as far as its ranges go**"
    few = " So few quarters can disprove a method, not prove it." if back["quarters"] < FEW_QUARTERS else ""
    lines = [
        f"{answer}: given only what was known when each quarter began, the {level} range of bookings held in "
        f"{held} of {tested} (in the long run that could be {could_be}; {level} are meant).{few}"
    ]
    if known["quarters"]:
        told = f"{known['held']:.0f} of {_quarters(known['quarters'])}"
        lines.append(f"In hindsight, made from the whole history, its range holds {told}.")
    tried = check.quarters
    missed = tried[(tried["view"] == "back-test") & (tried["measure"] == "bookings") & ~tried["inside"]]
    if len(missed):
        named = ", ".join(
            f"{row['quarter']} ({briefing.money(row['actual'])} against {briefing.money(row['p10'])} to "
            f"{briefing.money(row['p90']).removeprefix(briefing.currency + ' ')})"
            for row in missed.to_dict("records")
        )
        lines.append(f"Outside the range: {named}.")
    return lines


def _lean(check: PosteriorCheck) -> str:
    """Whether forecasts were too high or too low more often than luck makes them (sign test)."""
    from scipy.stats import binomtest

    rows = check.quarters
    places = rows.loc[(rows["view"] == "back-test") & (rows["measure"] == "bookings"), "percentile"]
    below = int((places < 0.5).sum())
    if len(places) < 5 or binomtest(below, len(places)).pvalue >= 0.1:
        return ""
    side, way = ("below", "high") if below > len(places) / 2 else ("above", "low")
    number = max(below, len(places) - below)
    return (
        f"Bookings came out {side} the middle of the forecast in {number} of {len(places)} quarters: "
        f"it leans {way}."
    )


def _widest(briefing: Briefing) -> str:
    """The estimates that leave most open, relative to their size."""
    found = [
        (math.log(p.high / p.low), p)
        for p in briefing.calibration.parameters
        if math.isfinite(p.low) and p.low > 0 and p.unit in ("share", "money", "per rep and week")
    ]
    if not found:
        return ""
    widest = sorted(found, key=lambda each: -each[0])[:3]
    named = "; ".join(
        f"{_named(p.name, p.segment)} {_interval(p.low, p.high, p.unit, briefing.currency)} "
        f"(n = {formats.count(p.n)})"
        for _, p in widest
    )
    return f"Least sure among what bookings are made of: {named}."


def posterior_ranges(check: PosteriorCheck, *, measure: str = "bookings") -> pd.DataFrame:
    """Ranges of past quarters for a chart: quarter, view, p10, p50, p90, actual, inside."""
    rows = check.quarters[check.quarters["measure"] == measure]
    return rows.drop(columns=["measure", "percentile"]).reset_index(drop=True)


def check_table(briefing: Briefing, check: PosteriorCheck) -> str:
    """How often the range held by measure, and where each quarter fell (Markdown)."""
    coverage = [
        [
            row["measure"], _VIEWS[row["view"]], f"{row['held']} of {row['quarters']}",
            formats.percent(row["share"]), formats.span(row["low"], row["high"], "share"),
        ]
        for row in check.coverage().to_dict("records")
        if row["quarters"]
    ]  # fmt: skip
    held = formats.table(
        ["measure", "view", f"{formats.percent(LEVEL)} range held", "share", "interval"], coverage
    )
    rows = []
    places: dict[tuple[str, str, str], float] = {}
    actual: dict[tuple[str, str], float] = {}
    for row in check.quarters.to_dict("records"):
        places[row["quarter"], row["measure"], row["view"]] = float(row["percentile"])
        actual[row["quarter"], row["measure"]] = float(row["actual"])
    measures = ("bookings", "won deals", "new opportunities")
    for quarter in dict.fromkeys(check.quarters["quarter"]):
        cells: list[object] = [quarter]
        for measure in measures:
            number = actual[quarter, measure]
            cells.append(briefing.money(number) if measure == "bookings" else formats.count(number))
            both = " · ".join(_place(places.get((quarter, measure, view), math.nan)) for view in _VIEWS)
            cells.append(both.replace(" ", "\N{NO-BREAK SPACE}"))
        rows.append(cells)
    header = ["quarter"]
    for measure in measures:
        header += [measure, "fell at"]
    text = (
        f"{held}\n\nWhere the actual figures fell, in the back-test · in hindsight (10 % means: in one of "
        f"ten cases it would have been less):\n\n{formats.table(header, rows)}"
    )
    if check.left_out:
        text += f"\n\nNot checked: {'; '.join(check.left_out)}."
    return text


def _place(percentile: float) -> str:
    if not math.isfinite(percentile):
        return formats.MISSING
    if percentile < 0.01:
        return "< 1 %"
    return "> 99 %" if percentile > 0.99 else formats.percent(percentile)


def parameters_table(briefing: Briefing) -> str:
    """Every parameter with its interval, sample size and note (Markdown table); skills and sources apart."""
    currency = briefing.currency
    rows = [
        [
            p.segment or "all",
            p.name,
            _figure(p.value, p.unit, currency),
            _interval(p.low, p.high, p.unit, currency),
            formats.count(p.n),
            p.note,
        ]
        for p in sorted(briefing.calibration.parameters, key=lambda p: p.segment)
    ]
    first, last = briefing.calibration.window
    table = formats.table(
        ["segment", "estimate", "value", f"{formats.percent(LEVEL)} interval", "n", "note"], rows
    )
    return (
        f"History from {first} to {last}. No interval: the data cannot tell, and the value is assumed.\n\n"
        f"{table}\n\n*cv*: standard deviation ÷ mean."
    )


def skills_note(briefing: Briefing) -> str:
    """What the skills of reps say, and how far they can be told apart (Markdown)."""
    skills = briefing.calibration.evidence.skills
    told = skills[skills["low"].notna()]
    if told.empty:
        return "Too few reps to tell skill from luck: all are taken to be alike."
    better, worse = told[told["low"] > 1], told[told["high"] < 1]
    drawn = told[np.isfinite(told["raw"])]
    most = (drawn["pooled"] - drawn["raw"]).abs().idxmax()
    rep = drawn.loc[most]
    lines = [
        f"Of {len(told)} reps, {len(better)} create more opportunities than the team's average by more than "
        f"luck, and {len(worse)} fewer; the others cannot be told from it.",
        f"Drawn furthest towards the team: {rep['rep']}, from {rep['raw']:.2f} to {rep['pooled']:.2f} "
        f"({formats.count(rep['made'])} opportunities).",
    ]
    return bullets(lines)


def ramp_curve_used(briefing: Briefing) -> pd.DataFrame:
    """Productivity that the scenario uses by month of tenure, of the first role: month, share."""
    ramp = briefing.scenario.roles[0].ramp
    evidence = briefing.calibration.evidence.ramp
    months = max(int(evidence["month"].max()) if len(evidence) else 0, 9)
    weeks = np.arange(math.ceil(months * WEEKS_PER_MONTH))
    month = np.floor(weeks / WEEKS_PER_MONTH).astype(int)
    level = ramp.productivity(weeks)
    share = [float(level[month == k].mean()) for k in range(months)]
    return pd.DataFrame({"month": np.arange(1, months + 1), "share": share})


def ramp_note(briefing: Briefing) -> str:
    """How many weeks newcomers took, or why nobody can say (a sentence)."""
    weeks = briefing.calibration.parameter("weeks to full productivity")
    used = briefing.scenario.roles[0].ramp.weeks_to_full()
    if not math.isfinite(weeks.low):
        return f"The ramp is an assumption ({used} weeks to 95 %): {weeks.note}."
    return (
        f"Newcomers took {weeks.value:.0f} weeks ({weeks.low:.0f} to {weeks.high:.0f}; {weeks.note}, "
        f"{formats.count(weeks.n)} opportunities) to a full pace; the scenario reaches 95 % after {used} "
        "weeks."
    )


def deal_size_curves(briefing: Briefing) -> pd.DataFrame:
    """Share of deals up to an amount, observed and by the law that is used: segment, amount, observed, law.

    Segments with most won value first, four at most; those of fewer than five deals are left out.
    """
    evidence = briefing.calibration.evidence
    amounts = evidence.amounts[evidence.amounts["amount"] > 0]
    value = amounts.groupby("segment")["amount"].agg(["sum", "size"])
    value = value[value["size"] >= 5].sort_values("sum", ascending=False)
    parts = []
    for name in value.index[:MOST_SEGMENTS]:
        own = np.sort(amounts.loc[amounts["segment"] == name, "amount"].to_numpy(float))
        places = (np.arange(len(own)) + 0.5) / len(own)
        law = _below(briefing.scenario.segment(str(name)).deal_size, own)
        parts.append(pd.DataFrame({"segment": name, "amount": own, "observed": places, "law": law}))
    if not parts:
        return pd.DataFrame(columns=["segment", "amount", "observed", "law"])
    return pd.concat(parts, ignore_index=True)


def _below(size: DealSize, amounts: np.ndarray) -> np.ndarray:
    """Share of deals up to each amount by a law; jumps count half."""
    from scipy.special import ndtr

    if size.mean is not None and size.cv:
        spread = math.sqrt(math.log1p(size.cv**2))
        return np.asarray(ndtr((np.log(amounts / size.mean) + spread**2 / 2) / spread))
    values = np.array([size.mean]) if size.mean is not None else np.asarray(size.amounts)
    weights = np.ones(1) if size.mean is not None else size.weights()
    below = (values < amounts[:, None]) @ weights
    return np.asarray(below + (values == amounts[:, None]) @ weights / 2)


def sizes_table(briefing: Briefing) -> str:
    """Which law of deal sizes is used in each segment, and what the test says (Markdown table)."""
    rows = [
        [
            row["segment"], row["law"], formats.money(row["mean"], briefing.currency),
            formats.percent(row["cv"]), formats.count(row["n"]), row["verdict"],
        ]
        for row in briefing.calibration.evidence.sizes.to_dict("records")
    ]  # fmt: skip
    return formats.table(["segment", "curve", "mean", "spread (cv)", "won deals", "test"], rows)


def demand_note(briefing: Briefing) -> str:
    """What is known of season, growth and shocks (Markdown list)."""
    calibration = briefing.calibration
    lines = []
    season = [
        p for p in calibration.parameters if p.name.startswith("demand in fiscal quarter") and not p.segment
    ]
    growth = calibration.parameter("growth of demand")
    if season:
        named = ", ".join(
            f"Q{k + 1} {p.value:.2f} ({p.low:.2f} to {p.high:.2f})" for k, p in enumerate(season)
        )
        used = briefing.scenario.segments[0].seasonality.by_quarter
        note = season[0].note
        if "not used" not in note:
            note = (
                f"more than luck; drawn towards 1: {', '.join(f'{factor:.2f}' for factor in used)} are used"
            )
        lines.append(f"Season ÷ mean quarter: {named}; {note}.")
    if math.isfinite(growth.low):
        lines.append(
            f"Growth: {formats.percent(growth.value, digits=1)} a year "
            f"({formats.span(growth.low, growth.high, 'share')}); {growth.note}."
        )
    else:
        lines.append(f"Season and growth: unknown ({growth.note}); none is assumed.")
    for name, text in (
        ("market shock between quarters", "What is left between quarters, beyond luck (cv)"),
        ("persistence of the market shock", "How much of it lasts into the next quarter (correlation)"),
    ):
        p = calibration.parameter(name)
        interval = f" ({_interval(p.low, p.high, p.unit, '')})" if math.isfinite(p.low) else ""
        lines.append(f"{text}: {_figure(p.value, p.unit, '')}{interval}; {p.note}.")
    return bullets(lines)


def source_effects_table(briefing: Briefing) -> str:
    """What differs between sources, and what of it is more than luck (Markdown table)."""
    sources = briefing.calibration.evidence.sources
    if sources.empty or not np.isfinite(sources["ratio"]).any():
        return "The export does not tell sources apart: too few deals of each, or no sources at all."
    rows = []
    for (segment, source), own in sources.groupby(["segment", "source"], sort=False):
        first = own.iloc[0]
        cells = [segment, source, f"{first['kind']} ({first['why']})", formats.count(first["deals"])]
        for row in own.to_dict("records"):
            text = formats.MISSING
            if math.isfinite(row["ratio"]):
                text = f"{row['ratio']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
                if row["used"] != 1 and row["measure"] != "deal size":
                    text += f", used: {row['used']:.2f}"
            cells.append(text)
        rows.append(cells)
    table = formats.table(
        ["segment", "source", "who brings the leads", "deals", "win rate", "cycle", "deal size"], rows
    )
    return (
        f"{table}\n\nRelative to the segment (1.00), with {formats.percent(LEVEL)} intervals. *used*: "
        "the sources of the segment differ by more than luck, and the scenario takes the figure, drawn "
        "towards 1; all others count as 1. Deal sizes belong to segments in the scenario, and are shown only."
    )


def calibration_warnings(briefing: Briefing) -> str:
    """What the data cannot tell, as calibration found it (Markdown list)."""
    found = briefing.calibration.warnings
    return bullets([f"{text[:1].upper()}{text[1:]}." for text in found]) if found else "None."


def _quarters(number: float) -> str:
    return "1 past quarter" if number == 1 else f"{number:.0f} past quarters"


def _is_assumed(low: float, name: str) -> bool:
    return not math.isfinite(low) and not name.startswith("doubt about")


def _named(name: str, segment: str) -> str:
    return f"{name} ({segment})" if segment else name


def _figure(value: float, unit: str, currency: str) -> str:
    if not math.isfinite(value):
        return formats.MISSING
    if unit == "money":
        return formats.money(value, currency)
    if unit in PERCENT:
        return formats.percent(value, digits=1)
    if unit == "weeks":
        return f"{value:.0f} weeks" if value >= WEEKS_PER_QUARTER else f"{value:.1f} weeks"
    if unit in ("ratio", "correlation"):
        return f"{value:.2f}"
    return f"{value:.3g}"


def _interval(low: float, high: float, unit: str, currency: str) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return formats.MISSING
    first, last = (_figure(end, unit, currency) for end in (low, high))
    return f"{first.removesuffix(' weeks')} to {last.removeprefix(currency + ' ') if currency else last}"
