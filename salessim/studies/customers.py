"""Existing customers: recurring revenue with churn, what the base would yield, and payback [H1, H2].

The amount of a won deal counts as the customer's annual recurring revenue. A deal of a source of the kind
"existing customers" is expansion: it adds revenue to today's customers; any other win is a new customer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim import formats
from salessim.engine import needs_flow, simulate_flow, win_law
from salessim.engine.customers import customers_leaving
from salessim.engine.rates import leads_by_source
from salessim.errors import EngineError, ParameterError, ScenarioError
from salessim.model import DealSize, Rep, Scenario, Segment
from salessim.periods import WEEKS_PER_QUARTER

__all__ = [
    "REVENUE_FIGURES",
    "RecurringRevenue",
    "base_yield",
    "cac_payback",
    "payback_months",
    "recurring_revenue",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Figures of :class:`RecurringRevenue` in their order: label and unit.
REVENUE_FIGURES: Mapping[str, tuple[str, str]] = {
    "customers_begin": ("Customers at the beginning", "count"),
    "customers_churned": ("Customers who left", "count"),
    "customers_new": ("New customers", "count"),
    "customers_end": ("Customers at the end", "count"),
    "revenue_begin": ("Recurring revenue at the beginning", "money"),
    "revenue_churned": ("Churned", "money"),
    "revenue_expansion": ("Expansion", "money"),
    "revenue_new": ("New customers' revenue", "money"),
    "revenue_end": ("Recurring revenue at the end", "money"),
    "revenue_end_without_churn": ("At the end, had nobody left", "money"),
    "revenue_missing": ("Missing at the end because of churn", "money"),
}
EVERY_SEGMENT = "all"

NEW, EXISTING = "new business", "existing customers"
#: What the field says: win chance of existing and of new customers, how much shorter the cycle [H1].
H1_EXISTING, H1_NEW, H1_SHORTER = (0.60, 0.70), (0.03, 0.10), (6.0, 8.0)
#: Months after which one customer is in profit [H2].
H2_PAYBACK_MONTHS = (9.0, 12.0)
#: How far the time from lead to win is looked at.
LONGEST_CYCLE = 520

_UNCOUNTED, _ONE_EACH = DealSize(amounts=(0.0,)), DealSize(amounts=(1.0,))


@dataclass(frozen=True)
class RecurringRevenue:
    """Customers and annual recurring revenue quarter by quarter, with the customers who leave [H2]."""

    table: pd.DataFrame
    """One row per segment (and "all" where there are several), quarter and figure: segment, quarter, figure
    (a key of :data:`REVENUE_FIGURES`), label, unit ("count" or "money": annual recurring revenue, in
    currency), mean, p10, p50, p90 over trials."""
    left_out: tuple[str, ...]
    """Segments that state no customers: their wins are in none of the figures."""
    currency: str
    trials: int
    seed: int


def recurring_revenue(scenario: Scenario, *, trials: int = 2_000, seed: int = 1) -> RecurringRevenue:
    """What recurring revenue becomes while customers are won, grow and leave, and what it would be had
    nobody left [H1, H2].

    In each quarter, each customer who is there at its beginning leaves with chance 1 − (1 − churn per
    year)^(1/4), new customers at the same rate from the quarter after they were won. End = beginning −
    churned + expansion + new. Customers are followed in groups: those of today (with all expansion), and
    those won in each quarter; who leaves takes the mean revenue of the group along, so that the spread
    between customers of one group is not in the ranges.

    Wins by segment and kind of source come from the flow engine, so capacity, hand-over and people who leave
    are in them. A segment is split in two, with the same stages, for new business and expansion; the whole
    team is then simulated several times on one seed, and each time books only what is asked for: exact in
    law, whether or not capacity binds. Expansion leads shrink with the customers who are expected to be left,
    not with those of the trial.

    Args:
        scenario: a world with the customers of at least one segment.
        trials: simulated horizons.
        seed: seed of the random streams; with churn and without run on the same luck.

    Raises:
        ScenarioError: no segment states its customers. EngineError: fewer than 1 trial, or behaviours, which
        need quotas.

    >>> from salessim.library import load_structure
    >>> found = recurring_revenue(load_structure("existing-customers"), trials=50)
    >>> end = found.table.set_index(["segment", "quarter", "figure"]).loc[("SMB", "2027Q4")]
    >>> bool(end.loc["revenue_end", "p50"] < end.loc["revenue_end_without_churn", "p50"])
    True
    """
    with_customers = [segment for segment in scenario.segments if segment.customers is not None]
    if not with_customers:
        raise ScenarioError(
            f"scenario '{scenario.name}': no segment states its customers; give customers with count, "
            "annual_revenue and churn_per_year"
        )
    if trials < 1:
        raise EngineError(f"trials is {trials}; it must be at least 1")
    quarters = [str(quarter) for quarter in scenario.calendar.periods()]
    split, loyal = _split(scenario), _split(_without_churn(scenario))

    def booked(world: Scenario, sizes: Mapping[str, DealSize]) -> FloatArray:
        outcome = simulate_flow(_booking_only(world, sizes), trials=trials, seed=seed)
        return np.asarray(outcome.bookings.sum(axis=1))  # (trial, quarter)

    by_segment = {
        segment.name: _followed(segment, booked, split, loyal, quarters=quarters, seed=seed)
        for segment in with_customers
    }
    if len(by_segment) > 1:
        by_segment[EVERY_SEGMENT] = {
            figure: sum((own[figure] for own in by_segment.values()), np.zeros(()))
            for figure in REVENUE_FIGURES
        }
    rows = [
        {
            "segment": name,
            "quarter": quarter,
            "figure": figure,
            "label": label,
            "unit": unit,
            "mean": float(figures[figure][:, q].mean()),
            **{
                f"p{100 * level:.0f}": float(np.quantile(figures[figure][:, q], level))
                for level in (0.1, 0.5, 0.9)
            },
        }
        for name, figures in by_segment.items()
        for q, quarter in enumerate(quarters)
        for figure, (label, unit) in REVENUE_FIGURES.items()
    ]
    return RecurringRevenue(
        table=pd.DataFrame(rows),
        left_out=tuple(segment.name for segment in scenario.segments if segment.customers is None),
        currency=scenario.currency,
        trials=trials,
        seed=seed,
    )


def _followed(
    segment: Segment,
    booked: Callable[[Scenario, Mapping[str, DealSize]], FloatArray],
    split: Scenario,
    loyal: Scenario,
    *,
    quarters: list[str],
    seed: int,
) -> dict[str, FloatArray]:
    """Figures of one segment, (trial, quarter) each."""
    assert segment.customers is not None  # asked for by who calls
    churn, size = segment.customers.churn_per_year, segment.deal_size
    expands = any(source.kind == EXISTING for source in segment.sources)
    new = booked(split, {segment.name: size})
    # the marker amounts are whole numbers, so their sums are exact
    won = booked(split, {segment.name: _ONE_EACH}).astype(np.int64)
    expansion = booked(split, {_expansion_of(segment): size}) if expands else np.zeros_like(new)
    never_left = new + expansion
    if churn and expands:
        never_left = booked(loyal, {segment.name: size, _expansion_of(segment): size})

    trials = len(new)
    found = {figure: np.zeros((trials, len(quarters))) for figure in REVENUE_FIGURES}
    # groups of customers: those of today, then those won in each quarter
    count = np.zeros((trials, len(quarters) + 1), dtype=np.int64)
    revenue = np.zeros((trials, len(quarters) + 1))
    count[:, 0] = segment.customers.count
    revenue[:, 0] = segment.customers.count * segment.customers.annual_revenue
    without = revenue[:, 0].copy()
    for q, quarter in enumerate(quarters):
        found["customers_begin"][:, q] = count.sum(axis=1)
        found["revenue_begin"][:, q] = revenue.sum(axis=1)
        for group in range(q + 1):
            there = count[:, group]
            since = "today" if group == 0 else quarters[group - 1]
            left = customers_leaving(
                there, churn_per_year=churn, seed=seed, name=(segment.name, since, quarter)
            )
            # where nobody of a group is left, nothing of its revenue is
            share = np.where(there > 0, left / np.maximum(there, 1), 1.0)
            found["customers_churned"][:, q] += left
            found["revenue_churned"][:, q] += share * revenue[:, group]
            revenue[:, group] *= 1 - share
            count[:, group] -= left
        count[:, q + 1], revenue[:, q + 1] = won[:, q], new[:, q]
        revenue[:, 0] += expansion[:, q]
        without += never_left[:, q]
        found["customers_new"][:, q] = won[:, q]
        found["customers_end"][:, q] = count.sum(axis=1)
        found["revenue_expansion"][:, q], found["revenue_new"][:, q] = expansion[:, q], new[:, q]
        found["revenue_end"][:, q] = revenue.sum(axis=1)
        found["revenue_end_without_churn"][:, q] = without
        found["revenue_missing"][:, q] = without - found["revenue_end"][:, q]
    return found


def _expansion_of(segment: Segment) -> str:
    return f"{segment.name} (existing customers)"


def _without_churn(scenario: Scenario) -> Scenario:
    """The same world where no customer ever leaves."""
    segments = tuple(
        segment
        if segment.customers is None
        else segment.model_copy(
            update={"customers": segment.customers.model_copy(update={"churn_per_year": 0.0})}
        )
        for segment in scenario.segments
    )
    return scenario.model_copy(update={"segments": segments})


def _split(scenario: Scenario) -> Scenario:
    """The same world with the existing customers of each segment as a segment of their own."""
    segments: list[Segment] = []
    parts: dict[str, str] = {}
    for segment in scenario.segments:
        existing = tuple(source for source in segment.sources if source.kind == EXISTING)
        if not existing or segment.customers is None:
            segments.append(segment)
            continue
        others = tuple(source for source in segment.sources if source.kind != EXISTING)
        parts[segment.name] = _expansion_of(segment)
        segments.append(segment.model_copy(update={"sources": others}))
        segments.append(segment.model_copy(update={"name": parts[segment.name], "sources": existing}))

    def focus(segments_of: dict[str, float] | None) -> dict[str, float] | None:
        if segments_of is None:
            return None
        return segments_of | {parts[name]: value for name, value in segments_of.items() if name in parts}

    def working_both(rep: Rep) -> Rep:
        return rep.model_copy(update={"segments": focus(rep.segments)})

    return scenario.model_copy(
        update={
            "segments": tuple(segments),
            "reps": tuple(working_both(rep) for rep in scenario.reps),
            "hires": tuple(
                hire.model_copy(update={"segments": focus(hire.segments)}) for hire in scenario.hires
            ),
        }
    )


def _booking_only(scenario: Scenario, sizes: Mapping[str, DealSize]) -> Scenario:
    """The same world in which all deals are worked as ever, but only those of some segments bring an amount:
    what a deal is worth changes nothing about the work."""
    segments = tuple(
        segment.model_copy(update={"deal_size": sizes.get(segment.name, _UNCOUNTED)})
        for segment in scenario.segments
    )
    counted = {name for name, size in sizes.items() if size == _ONE_EACH}
    pipeline = tuple(
        deal
        if deal.segment in sizes and deal.segment not in counted
        else deal.model_copy(update={"amount": 1.0 if deal.segment in counted else 0.0})
        for deal in scenario.pipeline
    )
    return scenario.model_copy(update={"segments": segments, "pipeline": pipeline})


def base_yield(scenario: Scenario) -> pd.DataFrame:
    """What sales to existing customers would yield beside new business: chance to win, cycle, bookings [H1].

    Expected values from the funnels, as if every lead found room and nobody in the team left; open deals
    listed under pipeline are not in them.

    Returns:
        One row per segment and kind ("new business", "existing customers"): segment, kind, leads (expected
        in the horizon), win_chance (lead to win, for the mix of sources), mean_weeks_to_win (of those that
        are won), won_deals and bookings (expected to close in the horizon, with leads of the quarters
        before), cost_of_leads (NaN: the cost of a source is not known), times_shorter (cycle of new business
        ÷ this cycle; NaN for new business), note (warnings where figures lie outside what the field reports,
        what is missing, and whether capacity binds; empty: nothing to say). NaN: no leads, or none is won. A
        segment without customers and without sources of that kind has no row of existing customers.

    >>> from salessim.library import load_structure
    >>> found = base_yield(load_structure("existing-customers")).set_index("kind")
    >>> found["win_chance"].round(3).to_dict()
    {'new business': 0.064, 'existing customers': 0.643}
    >>> float(found.loc["existing customers", "times_shorter"].round(1))
    7.0
    """
    before = len(scenario.calendar.worked_periods()) - scenario.calendar.quarters
    skill = np.array([rep.skill_mean for rep in scenario.team()])
    flow, why = needs_flow(scenario)
    rows = []
    for segment, by_rep in zip(scenario.segments, leads_by_source(scenario), strict=True):
        arrivals = [skill @ leads for leads in by_rep]  # (week,) for each source
        pooled = {
            kind: _pooled(segment, arrivals, existing=kind == EXISTING, first_week=before * WEEKS_PER_QUARTER)
            for kind in (NEW, EXISTING)
        }
        new, existing = pooled[NEW], pooled[EXISTING]
        new["times_shorter"] = math.nan
        weeks = existing["mean_weeks_to_win"]
        existing["times_shorter"] = new["mean_weeks_to_win"] / weeks if weeks > 0 else math.nan
        asked = any(source.kind == EXISTING for source in segment.sources)
        room = [f"expected without limits, although {why}"] if flow else []
        rows.append({"segment": segment.name, "kind": NEW, **new, "note": "; ".join(_on_new(new) + room)})
        if asked:
            note = "; ".join(_on_existing(existing) + room)
            rows.append({"segment": segment.name, "kind": EXISTING, **existing, "note": note})
        elif segment.customers is not None and segment.customers.count:
            note = (
                f"nothing is sold to {formats.count(segment.customers.count)} customers: give a source of "
                f"the kind '{EXISTING}' to see what they would yield"
            )
            rows.append({"segment": segment.name, "kind": EXISTING, **existing, "note": note})
    return pd.DataFrame(rows)


def _pooled(
    segment: Segment, arrivals: list[FloatArray], *, existing: bool, first_week: int
) -> dict[str, float]:
    """Expected leads, wins and bookings of the sources of one kind."""
    leads, wins, wins_sometime, weeks_to_win, cost = 0.0, 0.0, 0.0, 0.0, 0.0
    for source, weekly in zip(segment.sources, arrivals, strict=False):
        if (source.kind == EXISTING) is not existing:
            continue
        law = win_law(segment, source, weeks=LONGEST_CYCLE)
        own = float(weekly[first_week:].sum())
        leads += own
        wins += float(np.convolve(weekly, law)[first_week : len(weekly)].sum())
        wins_sometime += own * float(law.sum())
        weeks_to_win += own * float(law @ np.arange(len(law)))
        cost += own * (math.nan if source.cost_per_lead is None else source.cost_per_lead)
    return {
        "leads": leads,
        "win_chance": wins_sometime / leads if leads else math.nan,
        "mean_weeks_to_win": weeks_to_win / wins_sometime if wins_sometime else math.nan,
        "won_deals": wins,
        "bookings": wins * segment.deal_size.moments()[0],
        "cost_of_leads": cost,
    }


def _on_new(figures: Mapping[str, float]) -> list[str]:
    return _outside(
        "new leads convert at", figures["win_chance"], H1_NEW, "the field reports 3 to 10 % for new ones [H1]"
    )


def _on_existing(figures: Mapping[str, float]) -> list[str]:
    notes = _outside(
        "leads from existing customers convert at",
        figures["win_chance"],
        H1_EXISTING,
        "the field reports 60 to 70 % [H1]",
    )
    shorter, (low, high) = figures["times_shorter"], H1_SHORTER
    if not math.isnan(shorter) and not low <= round(shorter, 6) <= high:
        notes.append(
            f"the cycle is {formats.ratio(shorter)} shorter than that of new business; "
            "the field reports 6 to 8 times [H1]"
        )
    return notes


def _outside(what: str, share: float, allowed: tuple[float, float], field: str) -> list[str]:
    if math.isnan(share) or allowed[0] <= round(share, 6) <= allowed[1]:
        return []
    return [f"{what} {formats.percent(share, digits=1)}; {field}"]


def payback_months(
    cost_per_win: float, *, annual_revenue: float, gross_margin: float, churn_per_year: float = 0.0
) -> float:
    """Months until the margin on a new customer has paid for winning it [H2].

    Each month brings annual revenue × gross margin ÷ 12 from every customer who is still there. With a share
    s = (1 − churn per year)^(1/12) staying each month, n months have brought m (1 − sⁿ) ÷ (1 − s); that is
    set equal to the cost and solved for n. Without churn n = cost ÷ m. Money later is worth as much as now.

    Args:
        cost_per_win: what winning one customer costs, in currency; NaN: not known.
        annual_revenue: recurring revenue of one customer in a year, in currency.
        gross_margin: share of revenue that is left after the cost of serving it, above 0 and at most 1.
        churn_per_year: share of customers who leave within a year, below 1.

    Returns:
        Months; infinite where the customers have left before they have paid; NaN: the cost is not known.

    Raises:
        ParameterError: a figure outside what is allowed.

    >>> round(payback_months(6_000, annual_revenue=10_000, gross_margin=0.75), 2)
    9.6
    >>> round(payback_months(6_000, annual_revenue=10_000, gross_margin=0.75, churn_per_year=0.2), 2)
    10.47
    """
    if cost_per_win < 0 or not annual_revenue >= 0:
        raise ParameterError(
            f"cost_per_win is {cost_per_win!r} and annual_revenue is {annual_revenue!r}; "
            "both must be 0 or more"
        )
    if not 0 < gross_margin <= 1:
        raise ParameterError(f"gross_margin is {gross_margin!r}; it must be above 0 and at most 1")
    if not 0 <= churn_per_year < 1:
        raise ParameterError(f"churn_per_year is {churn_per_year!r}; it must be at least 0 and below 1")
    if math.isnan(cost_per_win) or cost_per_win == 0:
        return cost_per_win
    monthly = annual_revenue * gross_margin / 12
    if monthly == 0:
        return math.inf
    stays = (1 - churn_per_year) ** (1 / 12)
    if stays == 1:
        return cost_per_win / monthly
    left = 1 - cost_per_win * (1 - stays) / monthly  # share of customers there when the cost is covered
    return math.log(left) / math.log(stays) if left > 0 else math.inf


def cac_payback(scenario: Scenario, *, gross_margin: float) -> pd.DataFrame:
    """Cost of winning a customer by source, and the month in which it has paid for itself [H2].

    Cost per win = cost per lead ÷ chance that a lead is won. Pay of sellers is not in it, nor leads that find
    no room. The revenue of a customer is the mean deal size, as recurring revenue; churn is that of the
    segment (0 where it states no customers). Sources of existing customers win no new customer and are left
    out.

    Args:
        scenario: the funnels and costs per lead.
        gross_margin: share of revenue that is left after the cost of serving it, above 0 and at most 1.

    Returns:
        One row per segment and source: segment, source, win_chance, cost_per_lead, cost_per_win,
        annual_revenue, churn_per_year, payback_months (infinite: never), note (empty, or how it compares with
        the 9 to 12 months of the field). NaN: the cost of a lead is not known, or no lead is ever won.

    Raises:
        ParameterError: the margin is not allowed.

    >>> from salessim.library import load_structure
    >>> found = cac_payback(load_structure("existing-customers"), gross_margin=0.75)
    >>> found[["source", "cost_per_win", "payback_months"]].round(1).to_numpy().tolist()
    [['inbound', 7031.2, 9.8]]
    """
    rows = []
    for segment in scenario.segments:
        churn = 0.0 if segment.customers is None else segment.customers.churn_per_year
        revenue = segment.deal_size.moments()[0]
        for source in segment.sources:
            if source.kind == EXISTING:
                continue
            chance = float(segment.close_probabilities(source)[0])
            cost = math.nan if source.cost_per_lead is None else source.cost_per_lead
            per_win = cost / chance if chance > 0 else math.nan
            # where every customer leaves within the year, the rate by month has no meaning
            months = (
                payback_months(
                    per_win, annual_revenue=revenue, gross_margin=gross_margin, churn_per_year=churn
                )
                if churn < 1
                else math.nan
            )
            rows.append(
                {
                    "segment": segment.name,
                    "source": source.name,
                    "win_chance": chance,
                    "cost_per_lead": cost,
                    "cost_per_win": per_win,
                    "annual_revenue": revenue,
                    "churn_per_year": churn,
                    "payback_months": months,
                    "note": _on_payback(months),
                }
            )
    columns = ["segment", "source", "win_chance", "cost_per_lead", "cost_per_win", "annual_revenue"]
    return pd.DataFrame(rows, columns=[*columns, "churn_per_year", "payback_months", "note"])


def _on_payback(months: float) -> str:
    low, high = H2_PAYBACK_MONTHS
    if math.isnan(months) or low <= months <= high:
        return ""
    if months < low:
        return "sooner than the 9 to 12 months that the field reports [H2]; only the cost of leads is counted"
    return "later than the 9 to 12 months that the field reports [H2]"
