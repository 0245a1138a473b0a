"""Structures: who works what, compared on the same demand [D2]; and what qualifying leads is worth [A6].

A structure is a scenario: roles, hand-overs, which seats work which segments, whether leads are qualified.
Structures are compared where the market and the inbound leads are the same, so that organisation alone makes
the difference; leads that a structure finds by itself (self-sourced) belong to the structure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.engine import HORIZON, simulate_flow, without_limits
from salessim.engine.rates import focus_of, source_rates
from salessim.errors import EngineError, ScenarioError
from salessim.intervals import Z, wilson
from salessim.model import Capacity, Qualification, Ramp, Scenario, Segment, Source, Stage
from salessim.periods import WEEKS_PER_QUARTER
from salessim.studies.hiring import expected_capacity

__all__ = ["CAPACITY_FACTORS", "StructureComparison", "compare_structures", "value_of_qualification"]

FloatArray = npt.NDArray[np.float64]

#: Hours (or open deals) relative to today's at which qualification is valued; infinite: no limit at all.
CAPACITY_FACTORS = (0.5, 0.75, 1.0, 1.5, 2.0, 4.0, math.inf)
#: How a desk that works every segment is called in tables.
EVERY_SEGMENT = "all"


@dataclass(frozen=True)
class StructureComparison:
    """Structures side by side on the same demand; amounts in ``currency``."""

    table: pd.DataFrame
    """One row per structure, in the order given: structure (its name in the mapping), heads (mean number of
    people present, with leavers and backfill), new_leads (expected, inbound and self-sourced),
    leads_nobody_works (expected leads of segments in which no seat works; not part of new_leads),
    bookings_mean, bookings_p10, bookings_p90, bookings_error (one standard error of the mean), won_deals
    (mean), average_deal_size (bookings ÷ won deals; NaN: none is won), leads_turned_away, leads_gave_up,
    leads_lost_share (both ÷ all arrivals at a desk: new, handed over and back from nurture; NaN: none
    arrives), capacity_used (mean share of the limits in use; NaN: no limits), bookings_per_head (mean
    bookings ÷ heads; NaN: nobody is there), cost_of_leads (of all new leads and those that nobody works; NaN:
    the cost of a source is not known), departures, then against the first structure on the same luck:
    difference (mean), difference_p10 and difference_p90 (80 % range over trials), difference_error (one
    standard error), chance_to_beat_first (ties count half) with its interval chance_low and chance_high. NaN
    in the row of the first."""
    by_role: pd.DataFrame
    """One row per structure, role and what the seats of it work on: structure, role, segments ("all", or the
    segments named in the seats), seats, heads, arrivals, leads_lost (turned away and gave up), open_deals and
    waiting (mean numbers of all these seats together), used (mean share of the limit; NaN: no limit),
    won_deals and bookings (of deals that are won at these desks), departures."""
    period: str
    currency: str
    trials: int
    seed: int


def compare_structures(
    scenarios: Mapping[str, Scenario], *, period: str = HORIZON, trials: int = 4_000, seed: int = 1
) -> StructureComparison:
    """What each way to organise a team makes of the same demand [D2]: generalists against specialists.

    All are simulated week by week on one seed: the same market, and the same skill of seats that have the
    same name. What differs in the day-to-day luck of deals stays in the ranges.

    Args:
        scenarios: the structures by the name to show; differences are against the first. They must have the
            same currency, calendar, market, and for each segment the same inbound leads and season; a
            segment that a structure does not work is listed all the same, and left out in its seats. Stages,
            conversions, deal sizes and self-sourced leads may differ: they belong to the structure.
        period: a quarter of the scenarios, or "horizon".
        trials: simulated horizons, at least 2.
        seed: seed of the random streams.

    Raises:
        ScenarioError: no scenarios, or scenarios that are not comparable. EngineError: unknown period, or
        fewer than 2 trials.

    >>> from salessim.library import load_structure
    >>> acts = {name: load_structure(name) for name in ("act-1-generalists", "act-3-specialists")}
    >>> found = compare_structures(acts, trials=100).table.set_index("structure")
    >>> bool(found.loc["act-3-specialists", "chance_to_beat_first"] > 0.9)
    True
    """
    if not scenarios:
        raise ScenarioError("there is no structure to compare; give one scenario or more, by name")
    if trials < 2:
        raise EngineError(f"trials is {trials}; a comparison needs 2 or more")
    first = next(iter(scenarios.values()))
    for scenario in scenarios.values():
        _same_demand(first, scenario)
    rows, desks, first_bookings = [], [], None
    for name, scenario in scenarios.items():
        outcome = simulate_flow(scenario, trials=trials, seed=seed)
        quarters = outcome.quarters_of(period)
        figures = {
            figure: np.asarray(getattr(outcome, figure)[:, :, quarters], dtype=np.float64)
            for figure in ("bookings", "won", "leads", "turned_away", "gave_up", "departures")
        }
        levels = {figure: getattr(outcome, figure)[:, :, quarters] for figure in _LEVELS}
        bookings = figures["bookings"].sum(axis=(1, 2))
        against = bookings if first_bookings is None else first_bookings
        people = _people(scenario, quarters)
        rows.append(
            {
                "structure": name,
                **_structure_row(scenario, figures, levels, people=people.sum(), quarters=quarters),
                **_paired(bookings - against, itself=first_bookings is None),
            }
        )
        desks += [{"structure": name, **row} for row in _desk_rows(scenario, figures, levels, people=people)]
        first_bookings = against
    return StructureComparison(
        table=pd.DataFrame(rows),
        by_role=pd.DataFrame(desks),
        period=period,
        currency=first.currency,
        trials=trials,
        seed=seed,
    )


#: What the flow engine knows as a mean over the weeks of a quarter.
_LEVELS = ("open_deals", "waiting", "used")


def _same_demand(first: Scenario, other: Scenario) -> None:
    """Refuse a structure that does not face the demand of the first; ScenarioError says what differs."""
    for what, one, two in (
        ("currency", first.currency, other.currency),
        ("calendar", *(_quarters_covered(world) for world in (first, other))),
        ("market", first.market, other.market),
        ("segments", *({segment.name for segment in world.segments} for world in (first, other))),
    ):
        if one != two:
            raise ScenarioError(
                f"{what} differs between scenario '{first.name}' ({one}) and '{other.name}' ({two}); "
                "structures are compared on the same demand"
            )
    for segment in first.segments:
        one_demand, two_demand = (_inbound(world.segment(segment.name)) for world in (first, other))
        if not math.isclose(one_demand, two_demand) or (
            segment.seasonality != other.segment(segment.name).seasonality
        ):
            raise ScenarioError(
                f"segment '{segment.name}' has {one_demand:g} inbound leads per week in scenario "
                f"'{first.name}' and {two_demand:g} in '{other.name}', or another season; "
                "structures are compared on the same demand"
            )


def _quarters_covered(scenario: Scenario) -> str:
    """What a calendar covers, in words."""
    quarters, before = scenario.calendar.periods(), scenario.calendar.quarters_before
    earlier = f", with {before} quarters before" if before else ""
    month = scenario.calendar.fiscal_year_starts_in_month
    return f"{quarters[0]} to {quarters[-1]} of fiscal years from month {month}{earlier}"


def _inbound(segment: Segment) -> float:
    return sum(source.leads_per_week for source in segment.sources if source.kind != "self-sourced")


def _people(scenario: Scenario, quarters: list[int]) -> FloatArray:
    """Mean number of people present in each seat, with leavers and backfill, (reps,)."""
    # somebody who is there counts as one, whatever ramp and training leave of the productivity
    full = tuple(role.model_copy(update={"ramp": Ramp()}) for role in scenario.roles)
    present = expected_capacity(scenario.model_copy(update={"roles": full, "trainings": ()}))
    return np.asarray(_weeks(present, quarters).mean(axis=1))


def _weeks(values: FloatArray, quarters: list[int]) -> FloatArray:
    """The weeks of some quarters of the horizon out of all of them, (…, weeks)."""
    by_quarter = values.reshape(*values.shape[:-1], -1, WEEKS_PER_QUARTER)
    return np.asarray(by_quarter[..., quarters, :].reshape(*values.shape[:-1], -1))


def _new_leads(scenario: Scenario, quarters: list[int]) -> list[tuple[Segment, Source, float, bool]]:
    """Expected leads of every source over some quarters, and whether anybody works them."""
    working = expected_capacity(scenario)
    skill = np.array([rep.skill_mean for rep in scenario.team()])
    found = []
    for segment in scenario.segments:
        focus = focus_of(scenario, segment)
        for source, rate in zip(segment.sources, source_rates(scenario, segment), strict=True):
            horizon = rate[-working.shape[1] :]
            hands = focus @ working  # (week,)
            if source.kind == "self-sourced":
                leads = horizon * ((focus * skill) @ working)
            else:  # the rates are shared by capacity, and a skilled rep gets more out of a share
                shares = (focus * skill) @ working / np.where(hands > 0, hands, 1.0)
                leads = horizon * (shares if focus.any() else 1.0)
            found.append((segment, source, float(_weeks(leads, quarters).sum()), bool(focus.any())))
    return found


def _structure_row(
    scenario: Scenario,
    figures: Mapping[str, FloatArray],
    levels: Mapping[str, FloatArray],
    *,
    people: float,
    quarters: list[int],
) -> dict[str, float]:
    trials = len(figures["won"])
    bookings = figures["bookings"].sum(axis=(1, 2))
    mean = {figure: float(values.sum() / trials) for figure, values in figures.items()}
    p10, p90 = (float(value) for value in np.quantile(bookings, [0.1, 0.9]))
    leads = _new_leads(scenario, quarters)
    costs = [math.nan if source.cost_per_lead is None else source.cost_per_lead for _, source, _, _ in leads]
    return {
        "heads": people,
        "new_leads": sum(number for *_, number, worked in leads if worked),
        "leads_nobody_works": sum(number for *_, number, worked in leads if not worked),
        "bookings_mean": mean["bookings"],
        "bookings_p10": p10,
        "bookings_p90": p90,
        "bookings_error": float(bookings.std(ddof=1) / math.sqrt(trials)),
        "won_deals": mean["won"],
        "average_deal_size": _ratio(mean["bookings"], mean["won"]),
        "leads_turned_away": mean["turned_away"],
        "leads_gave_up": mean["gave_up"],
        "leads_lost_share": _ratio(mean["turned_away"] + mean["gave_up"], mean["leads"]),
        "capacity_used": _mean_used(levels["used"]),
        "bookings_per_head": _ratio(mean["bookings"], people),
        "cost_of_leads": sum(cost * number for cost, (*_, number, _) in zip(costs, leads, strict=True)),
        "departures": mean["departures"],
    }


def _desk_rows(
    scenario: Scenario,
    figures: Mapping[str, FloatArray],
    levels: Mapping[str, FloatArray],
    *,
    people: FloatArray,
) -> list[dict[str, object]]:
    """Figures by role and by what its seats work on."""
    desks: dict[tuple[str, str], list[int]] = {}
    for seat, rep in enumerate(scenario.team()):
        worked = [name for name, focus in (rep.segments or {}).items() if focus > 0]
        works = EVERY_SEGMENT if rep.segments is None else ", ".join(worked)
        desks.setdefault((rep.role, works), []).append(seat)
    rows: list[dict[str, object]] = []
    for (role, works), seats in desks.items():
        mean = {figure: float(values[:, seats].sum(axis=(1, 2)).mean()) for figure, values in figures.items()}
        together = {name: float(values[:, seats].sum(axis=1).mean()) for name, values in levels.items()}
        rows.append(
            {
                "role": role,
                "segments": works,
                "seats": len(seats),
                "heads": float(people[seats].sum()),
                "arrivals": mean["leads"],
                "leads_lost": mean["turned_away"] + mean["gave_up"],
                "open_deals": together["open_deals"],
                "waiting": together["waiting"],
                "used": _mean_used(levels["used"][:, seats]),
                "won_deals": mean["won"],
                "bookings": mean["bookings"],
                "departures": mean["departures"],
            }
        )
    return rows


def _mean_used(used: FloatArray) -> float:
    limited = np.isfinite(used)
    return float(used[limited].mean(dtype=np.float64)) if limited.any() else math.nan


def _ratio(over: float, under: float) -> float:
    return over / under if under > 0 else math.nan


def _paired(difference: FloatArray, *, itself: bool) -> dict[str, float]:
    """A difference trial by trial: its mean, range, sampling error, and the chance that it is a gain."""
    names = ("difference", "difference_p10", "difference_p90", "difference_error")
    if itself:
        return dict.fromkeys((*names, "chance_to_beat_first", "chance_low", "chance_high"), math.nan)
    chance, low, high = _chance_of_gain(difference)
    p10, p90 = np.quantile(difference, [0.1, 0.9])
    error = difference.std(ddof=1) / math.sqrt(len(difference))
    values = (float(difference.mean()), float(p10), float(p90), float(error))
    return {
        **dict(zip(names, values, strict=True)),
        "chance_to_beat_first": chance,
        "chance_low": low,
        "chance_high": high,
    }


def _chance_of_gain(difference: FloatArray) -> tuple[float, float, float]:
    gains = float((difference > 0).sum() + 0.5 * (difference == 0).sum())
    share, low, high = (float(part) for part in wilson(gains, len(difference)))
    return share, low, high


def value_of_qualification(
    scenario: Scenario,
    *,
    capacity_factors: Sequence[float] = CAPACITY_FACTORS,
    period: str = HORIZON,
    trials: int = 2_000,
    seed: int = 1,
) -> pd.DataFrame:
    """What it is worth to qualify leads, at several capacities of the same people [A6].

    With finite hours, chasing leads that are not ready costs the good ones their place. With hours without
    end and at no cost it would be right to chase every lead: then all that is left of the step are the ready
    leads that it stops by mistake and the time it takes, so the difference turns to zero or below. Where the
    stopped leads rest in nurture and come back ready, what nurture brings is part of the difference, and does
    not vanish.

    Without qualification the step lets every lead pass at once (sensitivity 1, specificity 0, no time).
    The stage is kept, rather than taken out, so that roles, hand-overs, leads and with them the luck stay
    those of the team as it is; people who do nothing but qualify have then nothing to do. Both cases run on
    the same seed and are compared trial by trial.

    Args:
        scenario: a world with at least one stage that qualifies, and at least one role with a capacity.
        capacity_factors: the limit of every role relative to today's, more than 0; infinite: no limits. A
            limit on open deals is rounded, and at least 1.
        period: a quarter of the scenario, or "horizon".
        trials: simulated horizons for each case, at least 2.
        seed: seed of the random streams.

    Returns:
        One row per factor: capacity_factor, bookings_with and bookings_without (means, in currency),
        bookings_with_p10, bookings_with_p90, bookings_without_p10, bookings_without_p90, difference (mean of
        with − without), difference_p10 and difference_p90 (80 % range over trials), difference_low and
        difference_high (80 % interval of the mean), chance_it_pays (ties count half) with chance_low and
        chance_high, leads_lost_with and leads_lost_without (mean number turned away or given up for want of
        room), won_per_lead_with and won_per_lead_without (won deals ÷ new leads of the period), then two
        figures of the funnel alone, with the step and for leads that find room: win_rate_qualified (won ÷
        leads that the step sends on, or that come back from nurture behind it) and win_rate_all (won ÷ all
        leads that come to the step), of the segments that qualify; trials. NaN: no leads, or none is sent
        on.

    Raises:
        ScenarioError: nothing qualifies, or no role has a capacity. EngineError: a factor that is not above
        0, an unknown period, or fewer than 2 trials.

    >>> from salessim.library import load_structure
    >>> team = load_structure("qualification")
    >>> found = value_of_qualification(team, capacity_factors=(1.0, float("inf")), trials=200)
    >>> (found["difference"] > 0).tolist()
    [True, False]
    """
    if not any(_qualifies(segment) for segment in scenario.segments):
        raise ScenarioError(
            f"scenario '{scenario.name}': no stage qualifies; give one sensitivity and specificity"
        )
    if not any(role.capacity for role in scenario.roles):
        raise ScenarioError(
            f"scenario '{scenario.name}': no role has a capacity; qualification has a value of its own only "
            "where there are not hours for every lead"
        )
    if trials < 2:
        raise EngineError(f"trials is {trials}; a comparison needs 2 or more")
    for factor in capacity_factors:
        if not factor > 0:
            raise EngineError(f"capacity_factors has {factor!r}; each must be above 0 (infinite: no limit)")
    chasing = _chasing_everything(scenario)
    qualified, everything = _funnel_win_rates(scenario)
    rows = []
    for factor in capacity_factors:
        totals: list[FloatArray] = []
        figures: dict[str, float] = {}
        for case, world in (("with", scenario), ("without", chasing)):
            outcome = simulate_flow(_with_capacity(world, factor), trials=trials, seed=seed)
            quarters = outcome.quarters_of(period)
            bookings = outcome.bookings[:, :, quarters].sum(axis=(1, 2))
            lost = outcome.turned_away[:, :, quarters] + outcome.gave_up[:, :, quarters]
            leads = sum(number for *_, number, worked in _new_leads(world, quarters) if worked)
            p10, p90 = np.quantile(bookings, [0.1, 0.9])
            figures |= {
                f"bookings_{case}": float(bookings.mean()),
                f"bookings_{case}_p10": float(p10),
                f"bookings_{case}_p90": float(p90),
                f"leads_lost_{case}": float(lost.sum() / trials),
                f"won_per_lead_{case}": _ratio(float(outcome.won[:, :, quarters].sum() / trials), leads),
            }
            totals.append(bookings)
        difference = totals[0] - totals[1]
        error = float(difference.std(ddof=1) / math.sqrt(trials))
        p10, p90 = np.quantile(difference, [0.1, 0.9])
        chance, low, high = _chance_of_gain(difference)
        rows.append(
            {
                "capacity_factor": float(factor),
                **figures,
                "difference": float(difference.mean()),
                "difference_p10": float(p10),
                "difference_p90": float(p90),
                "difference_low": float(difference.mean()) - Z * error,
                "difference_high": float(difference.mean()) + Z * error,
                "chance_it_pays": chance,
                "chance_low": low,
                "chance_high": high,
                "win_rate_qualified": qualified,
                "win_rate_all": everything,
                "trials": trials,
            }
        )
    return pd.DataFrame(rows, columns=_QUALIFICATION_COLUMNS)


_QUALIFICATION_COLUMNS = [
    "capacity_factor",
    "bookings_with",
    "bookings_without",
    "difference",
    "difference_p10",
    "difference_p90",
    "difference_low",
    "difference_high",
    "chance_it_pays",
    "chance_low",
    "chance_high",
    "bookings_with_p10",
    "bookings_with_p90",
    "bookings_without_p10",
    "bookings_without_p90",
    "leads_lost_with",
    "leads_lost_without",
    "won_per_lead_with",
    "won_per_lead_without",
    "win_rate_qualified",
    "win_rate_all",
    "trials",
]


def _qualifies(segment: Segment) -> bool:
    return any(stage.qualification is not None for stage in segment.stages)


def _with_capacity(scenario: Scenario, factor: float) -> Scenario:
    """The same people with more or fewer hours (or open deals) each."""
    if math.isinf(factor):
        return without_limits(scenario)

    def scaled(limit: Capacity) -> Capacity:
        deals, hours = limit.open_deals, limit.hours_per_week
        # a thought experiment: more hours than a week has are allowed here
        return limit.model_copy(
            update={
                "open_deals": None if deals is None else max(1, round(deals * factor)),
                "hours_per_week": None if hours is None else hours * factor,
            }
        )

    roles = tuple(
        role if role.capacity is None else role.model_copy(update={"capacity": scaled(role.capacity)})
        for role in scenario.roles
    )
    return scenario.model_copy(update={"roles": roles})


def _chasing_everything(scenario: Scenario) -> Scenario:
    """The same world where every stage that qualifies lets all leads pass at once."""
    segments = tuple(
        segment.model_copy(
            update={
                "stages": tuple(
                    stage if stage.qualification is None else _letting_pass(segment, k)
                    for k, stage in enumerate(segment.stages)
                )
            }
        )
        for segment in scenario.segments
    )
    return scenario.model_copy(update={"segments": segments})


def _letting_pass(segment: Segment, k: int) -> Stage:
    stage = segment.stages[k]
    following = [later for later in segment.stages[k + 1 :] if later.qualification is None][:1]
    # no time is spent here, but room is asked for at this door: it must be the room of the stage that the
    # lead is going to be in; where another role takes over, that role asks for it
    hours = following[0].hours_per_week if following and following[0].role == stage.role else 0.0
    return stage.model_copy(
        update={
            "qualification": Qualification(sensitivity=1.0, specificity=0.0, stopped="lost"),
            "dwell_weeks": (1.0,),
            "lost_dwell_weeks": None,
            "hours_per_week": hours,
        }
    )


def _funnel_win_rates(scenario: Scenario) -> tuple[float, float]:
    """Won ÷ leads that the (last) qualification sends on, and won ÷ leads that come to the first one."""
    came, sent, won = 0.0, 0.0, 0.0
    quarters = list(range(scenario.calendar.quarters))
    for segment, source, leads, worked in _new_leads(scenario, quarters):
        if not worked or not _qualifies(segment):
            continue
        number = len(segment.stages)
        checks = [k for k, stage in enumerate(segment.stages) if stage.qualification is not None]
        chain, visits = segment.journey(source), segment.visits(source)
        last = checks[-1]
        onward = 2 * number + 1 if last == number - 1 else last + 1
        offset = 0 if last == number - 1 else number
        sent += leads * float(
            visits[last] * chain[last, onward] + visits[number + last] * chain[number + last, onward + offset]
        )
        if segment.nurture is not None:
            back_to = segment.nurture.returns_to
            if back_to is not None and segment.stage_index(back_to) > last:  # they need not be checked again
                sent += leads * float(visits[2 * number] * segment.nurture.return_share)
        came += leads * float(visits[checks[0]] + visits[number + checks[0]])
        won += leads * float(visits @ chain[:, -2])
    return _ratio(won, sent), _ratio(won, came)
