"""Answers about scenarios: what one brings, which of two is better, what a sweep found; and chapter 5, which
structure of a team books most on the same demand."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from salessim import formats, library
from salessim.briefing.prepared import Briefing, bullets
from salessim.engine import HORIZON, Engine, Outcome
from salessim.engine.flow import FlowOutcome
from salessim.errors import ParameterError, ScenarioError, listed
from salessim.intervals import wilson
from salessim.model import Capacity, Scenario
from salessim.periods import WEEKS_PER_QUARTER
from salessim.plans import QuotaPlan, quotas
from salessim.studies import OUTCOME_MEASURES, Comparison, Grid, expected
from salessim.studies.customers import RecurringRevenue, base_yield, cac_payback, recurring_revenue
from salessim.studies.outcome_measures import simulated
from salessim.studies.structures import (
    CAPACITY_FACTORS,
    StructureComparison,
    compare_structures,
    value_of_qualification,
)

__all__ = [
    "QUALIFICATION_STEPS",
    "STRUCTURE_STEPS",
    "CustomersReport",
    "QualificationReport",
    "StructuresReport",
    "base_table",
    "bottleneck_findings",
    "bottleneck_sentence",
    "bottlenecks",
    "bottlenecks_table",
    "comparison_text",
    "customers_findings",
    "customers_table",
    "grid_named",
    "payback_table",
    "prepare_customers",
    "prepare_qualification",
    "prepare_structures",
    "qualification_findings",
    "qualification_table",
    "revenue_frame",
    "scenario_named",
    "simulation_text",
    "structure_chapter_findings",
    "structures_findings",
    "structures_table",
    "sweep_text",
    "use_of_capacity",
]

#: Name of the example company's scenario, and of its grid, on the command line.
EXAMPLE = "example"
#: Shipped scenarios of which qualification, and the customers of today, are shown.
QUALIFICATION, CUSTOMERS = "qualification", "existing-customers"
#: A role is short of capacity where so much of its leads is lost, or so much of its limit is in use.
LOST_IS_MUCH, USE_IS_MUCH = 0.01, 0.85
#: What :func:`prepare_structures` and :func:`prepare_qualification` do, step by step.
STRUCTURE_STEPS = ("simulating the structures", "comparing the best two")
QUALIFICATION_STEPS = tuple(
    "simulating without any limit" if math.isinf(factor) else f"simulating {factor:g} × the capacity"
    for factor in CAPACITY_FACTORS
)
#: Rows of a sweep that are shown from either end, and different refusals.
SHOWN_ROWS, SHOWN_REFUSALS = 3, 3


def scenario_named(name: str) -> Scenario:
    """A scenario by the path of its file, the name of a shipped structure, or "example".

    Raises:
        ScenarioError: no such file and no such name, or a fault in the file.

    >>> scenario_named("example").made_up
    True
    """
    if name == EXAMPLE:
        return library.example_scenario()
    if Path(name).exists() or Path(name).suffix in (".yaml", ".yml"):
        return Scenario.load(name)
    if name not in library.structures():
        raise ScenarioError(
            f"'{name}' is no file and no shipped scenario; shipped are "
            f"{listed([EXAMPLE, *library.structures()])}"
        )
    return library.load_structure(name)


# --- one scenario ------------------------------------------------------------------------------------------


def simulation_text(
    scenario: Scenario,
    *,
    plan: QuotaPlan | None = None,
    engine: str = "auto",
    trials: int = 10_000,
    seed: int = 1,
) -> str:
    """What a scenario brings: bookings by quarter, plan and quotas, leads lost, use of capacity (Markdown).

    Args:
        scenario: the world.
        plan: quotas and team plan; None: neither is judged.
        engine: "auto", "exact", "thinning" or "flow".
        trials, seed: of a simulation; the exact engine needs neither.

    Raises:
        EngineError: the engine is not valid for the scenario. PlanError: the plan does not fit it.
    """
    if plan is not None:
        quotas(plan, scenario)  # a plan that does not fit is refused before the work, not after it
    chosen: Engine = engine  # type: ignore[assignment]  # simulate refuses what it does not know
    outcome = simulated(scenario, plan=plan, engine=chosen, trials=trials, seed=seed)
    low, high = outcome.team_quantiles([0.1, 0.9], HORIZON)
    money = _short(scenario.currency)
    mean = float(outcome.expected_bookings(HORIZON).sum())
    lines = [
        f"**'{scenario.name}' is expected to book {money(mean)} {_from_to(outcome)}** (P10 to P90: "
        f"{money(low)} to {money(high)}).",
        "The scenario is taken as it is written: nothing in it is calibrated from an export here.",
    ]
    if plan is not None:
        lines.append(_plan_sentence(outcome, plan))
    roles = use_of_capacity(outcome)
    if len(roles):
        lines.append(bottleneck_sentence(roles))
    lines.append(_engine_sentence(outcome))
    if scenario.made_up:
        lines.append("The scenario is made up.")
    parts = [bullets(lines), _quarters_table(outcome, plan)]
    if len(roles):
        parts.append(_roles_table(roles))
    return "\n\n".join(parts)


def use_of_capacity(outcome: Outcome) -> pd.DataFrame:
    """How busy each role is over all simulated quarters [A6].

    Returns:
        One row per role in the order of the scenario, without rows where the outcome is not of the flow
        engine: role, people (mean number of people who are to be there), limit (of one of them, in words),
        used (mean share of the limit in use; NaN: no limit), used_p10 and used_p90 (80 % range over trials),
        waiting (mean number of leads that wait), leads (mean number that arrived: new, handed over or back
        from nurture), lost (mean number turned away or out of patience), lost_share (lost ÷ leads; NaN: no
        leads).

    >>> from salessim.engine import simulate
    >>> outcome = simulate(library.example_scenario(), engine="flow", trials=20)
    >>> use_of_capacity(outcome)[["role", "limit", "lost"]].to_numpy().tolist()
    [['account executive', 'no limit', 0.0]]
    """
    columns = [
        "role", "people", "limit", "used", "used_p10", "used_p90", "waiting", "leads", "lost", "lost_share",
    ]  # fmt: skip
    if not isinstance(outcome, FlowOutcome):
        return pd.DataFrame(columns=columns)
    scenario = outcome.scenario
    role_of = np.array([rep.role for rep in scenario.team()])
    weeks = scenario.headcount()  # (rep, week)
    rows = []
    for role in scenario.roles:
        mine = role_of == role.name
        present = float(weeks[mine].sum())
        if present == 0:
            continue
        # weeks in which nobody is to be there are not idle ones
        used = outcome.used[:, mine].sum(axis=(1, 2)) * (WEEKS_PER_QUARTER / present)
        leads = float(outcome.leads[:, mine].sum(axis=(1, 2)).mean())
        lost = float((outcome.turned_away + outcome.gave_up)[:, mine].sum(axis=(1, 2)).mean())
        low, high = np.quantile(used, [0.1, 0.9])
        rows.append(
            [
                role.name,
                present / weeks.shape[1],
                _limit_in_words(role.capacity),
                float(used.mean()),
                float(low),
                float(high),
                float(outcome.waiting[:, mine].sum(axis=1).mean()),
                leads,
                lost,
                lost / leads if leads else math.nan,
            ]
        )
    return pd.DataFrame(rows, columns=columns)


def bottleneck_sentence(roles: pd.DataFrame) -> str:
    """Where leads are lost or wait, in a sentence (Markdown), from :func:`use_of_capacity`."""
    limited = roles[roles["used"].notna()]
    if limited.empty:
        return "No role has a limit of what its people can work on."
    busiest = limited.iloc[int(limited["used"].argmax())]
    worst = limited.iloc[int(limited["lost"].argmax())]
    row = worst if worst["lost_share"] >= LOST_IS_MUCH else busiest
    what = (
        f"{formats.percent(row['used'])} of their capacity is in use, {formats.count(round(row['waiting']))} "
        f"leads wait in a mean week, and {formats.percent(row['lost_share'])} of "
        f"{formats.count(round(row['leads']))} are lost"
    )
    if row["lost_share"] >= LOST_IS_MUCH or row["used"] >= USE_IS_MUCH:
        return f"**The bottleneck is the role '{row['role']}'**: {what}."
    return f"No role is at its limit; the busiest is '{row['role']}': {what}."


def _limit_in_words(limit: Capacity | None) -> str:
    if limit is None:
        return "no limit"
    if limit.open_deals is not None:
        return f"{limit.open_deals} open {'deal' if limit.open_deals == 1 else 'deals'}"
    return f"{limit.hours_per_week:g} hours a week"


def _plan_sentence(outcome: Outcome, plan: QuotaPlan) -> str:
    scenario = outcome.scenario
    share, _ = expected(outcome, "share_attaining", plan=plan, period=HORIZON)
    who = f"{formats.percent(share)} of those who carry a quota are expected to make it {_from_to(outcome)}"
    if plan.annual_team_plan is None:
        return f"By the quota plan '{plan.name}', {who}; it states no plan of the team."
    chance = _chance_of_plan(outcome, plan, HORIZON)
    wanted = _short(scenario.currency)(plan.team_plan(scenario, HORIZON))
    return (
        f"**The team makes its plan of {wanted} with a chance of {chance}**; by the quota plan "
        f"'{plan.name}', {who}."
    )


def _chance_of_plan(outcome: Outcome, plan: QuotaPlan, period: str) -> str:
    """The chance of the team plan, with what the number of trials leaves open."""
    chance, _ = expected(outcome, "plan_made", plan=plan, period=period)
    if outcome.trials is None:
        return formats.percent(chance)
    _, low, high = (float(part) for part in wilson(chance * outcome.trials, outcome.trials))
    return f"{formats.percent(chance)} ({formats.span(low, high, 'share')})"


def _engine_sentence(outcome: Outcome) -> str:
    drawn = "" if outcome.trials is None else f"; {outcome.trials:,} trials, seed {outcome.seed}"
    return f"Engine '{outcome.engine}': {outcome.why}{drawn}."


def _quarters_table(outcome: Outcome, plan: QuotaPlan | None) -> str:
    header = ["team bookings", "P10", "P50", "P90"]
    states_plan = plan is not None and plan.annual_team_plan is not None
    header += ["chance of the team plan"] if states_plan else []
    header += ["reps who make quota"] if plan is not None else []
    flow = isinstance(outcome, FlowOutcome)
    header += ["leads lost", "people who left"] if flow else []
    rows: list[list[object]] = []
    for period in (*outcome.periods, HORIZON):
        amounts = outcome.team_quantiles([0.1, 0.5, 0.9], period)
        row: list[object] = ["all quarters" if period == HORIZON else period]
        row += [formats.money(float(amount), outcome.scenario.currency) for amount in amounts]
        if plan is not None and states_plan:
            row.append(_chance_of_plan(outcome, plan, period))
        if plan is not None:
            share, _ = expected(outcome, "share_attaining", plan=plan, period=period)
            row.append(formats.percent(share))
        if flow:
            for measure in ("leads_lost", "departures"):
                row.append(formats.count(expected(outcome, measure, period=period)[0]))
        rows.append(row)
    return formats.table(header, rows)


def _roles_table(roles: pd.DataFrame) -> str:
    header = ["role", "people", "limit of one", "in use", "P10 to P90", "waiting", "leads", "lost"]
    rows = [
        [
            row["role"],
            formats.count(round(row["people"], 1)),
            row["limit"],
            formats.percent(row["used"]),
            formats.span(row["used_p10"], row["used_p90"], "share"),
            formats.count(round(row["waiting"], 1)),
            formats.count(round(row["leads"])),
            f"{formats.count(round(row['lost'], 1))} ({formats.percent(row['lost_share'], digits=1)})",
        ]
        for row in roles.to_dict("records")
    ]
    return formats.table(header, rows)


# --- two scenarios -----------------------------------------------------------------------------------------


def comparison_text(found: Comparison) -> str:
    """Which of two scenarios books more, by how much and how surely; then every measure (Markdown)."""
    a, b = _told_apart(found.a, found.b)
    money = _short(found.currency)
    bookings = found.table.set_index("measure").to_dict("index")["team_bookings"]
    gap, low, high = (float(bookings[name]) for name in ("difference", "difference_p10", "difference_p90"))
    word = "more" if gap >= 0 else "less"
    luck = _signed_range(low, high, found.currency)
    known = _signed_range(
        float(bookings["difference_low"]), float(bookings["difference_high"]), found.currency
    )
    chance = float(bookings["chance_b_beats_a"])
    when = "over all simulated quarters" if found.period == HORIZON else f"in {found.period}"
    if gap == 0 and low == high == 0:
        first = (
            f"**'{b}' books exactly as much as '{a}'** {when}, in each of {found.trials:,} simulated "
            "years on the same luck."
        )
    else:
        first = (
            f"**'{b}' books {money(abs(gap))} {word} than '{a}'** {when} (80 % range {luck}), and is ahead "
            f"in {_sure(chance)} of {found.trials:,} simulated years on the same luck. The "
            f"mean difference lies between {known.replace(' to ', ' and ')}."
        )
    pairing = (
        f"Both lived through the same luck (seed {found.seed}), so that what they share drops out; "
        f"{found.why}."
    )
    header = ["measure", a, b, "difference", "80 % range", "the second is better in"]
    rows = [
        [
            row["label"],
            _value(row["mean_a"], row["unit"], found.currency),
            _value(row["mean_b"], row["unit"], found.currency),
            _signed(row["difference"], row["unit"], found.currency),
            # a plan is made or not: that has neither a range nor a better trial
            formats.MISSING
            if row["unit"] == "chance"
            else _signed_span(row["difference_p10"], row["difference_p90"], row["unit"], found.currency),
            formats.MISSING if row["unit"] == "chance" else _sure(row["chance_b_beats_a"]),
        ]
        for row in found.table.to_dict("records")
    ]
    return f"{bullets([first, pairing])}\n\n{formats.table(header, rows)}"


def _told_apart(a: str, b: str) -> tuple[str, str]:
    return (a, b) if a != b else (f"{a} (first)", f"{b} (second)")


def _value(value: float, unit: str, currency: str) -> str:
    if unit == "chance":
        return formats.percent(value, digits=1)
    return formats.figure(value, unit, currency)


def _signed(value: float, unit: str, currency: str) -> str:
    """A change with its sign; shares change by points."""
    if not math.isfinite(value):
        return formats.MISSING
    if unit in ("share", "chance"):
        written, zero = f"{abs(value) * 100:.1f} points", "0.0 points"
    else:
        written, zero = _value(abs(value), unit, currency), _value(0.0, unit, currency)
    return written if written == zero else f"{'+' if value > 0 else '−'}{written}"


def _signed_span(low: float, high: float, unit: str, currency: str) -> str:
    if not (math.isfinite(low) and math.isfinite(high)):
        return formats.MISSING
    return f"{_signed(low, unit, currency)} to {_signed(high, unit, currency)}"


# --- many scenarios ----------------------------------------------------------------------------------------


def grid_named(name: str) -> Grid:
    """A grid by the path of its file, or that of the example company ("example").

    Raises:
        ScenarioError: no such file and no such name, or a fault in the file.

    >>> grid_named("example").scenario.made_up
    True
    """
    if name != EXAMPLE and not Path(name).exists() and Path(name).suffix not in (".yaml", ".yml"):
        raise ScenarioError(f"'{name}' is no file and no shipped grid; shipped is '{EXAMPLE}'")
    return Grid.load(library.EXAMPLE / "grid.yaml" if name == EXAMPLE else name)


def sweep_text(table: pd.DataFrame, *, grid: Grid, folder: Path | str) -> str:
    """Where the results of a sweep lie, its best and worst scenarios, and what was refused (Markdown).

    Args:
        table: what :func:`salessim.studies.sweep` returned.
        grid: the grid that was swept.
        folder: where results were kept.
    """
    refused = table[table["error"] != ""]
    solved = table[table["error"] == ""]
    engines = " and ".join(
        f"{len(rows):,} by the engine '{engine}'" for engine, rows in solved.groupby("engine", sort=True)
    )
    lines = [
        f"**{len(solved):,} of {len(table):,} scenarios of '{grid.name}' are worked out**"
        + (f" ({engines})." if engines else "."),
        f"All results: {Path(folder) / 'results.parquet'}",
    ]
    if len(refused):
        counts = refused["error"].value_counts(sort=True)
        number = "1 scenario was" if len(refused) == 1 else f"{len(refused):,} scenarios were"
        lines.append(f"{number} refused by the model; figures are empty there:")
        lines += [f"  {times:,} × {error}" for error, times in counts.head(SHOWN_REFUSALS).items()]
        if len(counts) > SHOWN_REFUSALS:
            lines.append(f"  … and {len(counts) - SHOWN_REFUSALS} more reasons (column 'error')")
    ranked = solved.sort_values("team_bookings", ascending=False, kind="stable")
    few = len(ranked) <= 2 * SHOWN_ROWS
    best = ranked if few else ranked.head(SHOWN_ROWS)
    parts = [bullets(lines)]
    if len(best):
        parts.append(_ranked("Most bookings first" if few else "Most bookings", best, grid))
    if not few:
        parts.append(_ranked("Fewest bookings", ranked.tail(SHOWN_ROWS), grid))
    return "\n\n".join(parts)


def _ranked(title: str, rows: pd.DataFrame, grid: Grid) -> str:
    dimensions = list(grid.coordinates().columns)
    others = [
        measure
        for measure in OUTCOME_MEASURES.values()
        if measure.name in rows and measure.name != "team_bookings"
    ]
    currency = grid.scenario.currency
    header = [
        "point", *dimensions, "bookings", "P10 to P90", *(measure.label.lower() for measure in others),
    ]  # fmt: skip
    cells = [
        [
            point,
            *(_coordinate(row[name]) for name in dimensions),
            formats.money(float(row["team_bookings"]), currency),
            formats.span(float(row["team_bookings_p10"]), float(row["team_bookings_p90"]), "money", currency),
            *(_value(float(row[measure.name]), measure.unit, currency) for measure in others),
        ]
        for point, row in rows.iterrows()
    ]
    return f"**{title}**\n\n{formats.table(header, cells)}"


def _coordinate(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else "as it is"
    return str(value) if value != "" else "as it is"


# --- structures --------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class StructuresReport:
    """Structures of a team on the same demand, and how sure it is which one books most."""

    comparison: StructureComparison
    next_best: StructureComparison | None
    """The structure that books second most, and the one that books most, compared directly; None: there is
    only one."""
    made_up: tuple[str, ...]
    """Names of the structures that are invented."""
    left_out: str
    """Why the report's own company is not among them; "": it is, or there is none."""
    hand_over: frozenset[tuple[str, str]] = frozenset()
    """Structures with a role of theirs that works deals and never wins one: it hands them over."""

    @property
    def best(self) -> str:
        """Name of the structure with the highest expected bookings."""
        return _by_bookings(self.comparison)[-1]

    @property
    def second(self) -> str:
        """Name of the structure that books second most; "" where there is only one."""
        return _by_bookings(self.comparison)[-2] if self.next_best else ""

    @property
    def chance_ahead(self) -> float:
        """Chance that the best structure books more than the next; NaN where there is none."""
        if self.next_best is None:
            return math.nan
        return float(self.next_best.table["chance_to_beat_first"].iloc[-1])


def prepare_structures(
    *,
    scenarios: str = "",
    own: Briefing | None = None,
    trials: int = 500,
    seed: int = 1,
    step: Callable[[str], None] = lambda name: None,
) -> StructuresReport:
    """Compare structures of a team on the same demand [D2].

    Args:
        scenarios: paths of scenarios, or names of shipped ones, with commas between; "" for the shipped three
            acts of a growing team.
        own: the report whose company is compared as well, before the others, where it faces the same demand.
        trials: simulated horizons of each structure.
        seed: seed of the simulation.
        step: told the name of each of the :data:`STRUCTURE_STEPS` when it begins, for a progress bar.

    Raises:
        ScenarioError: a file at fault, or scenarios that do not face the same demand. ParameterError: two
        scenarios of one name.
    """
    names = [part.strip() for part in scenarios.split(",") if part.strip()] or list(_acts())
    chosen: dict[str, Scenario] = {}
    for name in names:
        scenario = scenario_named(name)
        if scenario.name in chosen:
            raise ParameterError(
                f"scenarios: the name '{scenario.name}' stands twice; give each scenario a name of its own"
            )
        chosen[scenario.name] = scenario
    left_out = ""
    step(STRUCTURE_STEPS[0])
    if own is None:
        found = compare_structures(chosen, trials=trials, seed=seed)
    else:
        with_own = {own.scenario.name: own.scenario, **chosen}
        try:
            found = compare_structures(with_own, trials=trials, seed=seed)
        except ScenarioError as difference:
            others = next(iter(chosen.values()))
            why = _not_comparable(own.scenario, others, difference)
            left_out = f"{own.scenario.name} is not among them: {why}"
            found = compare_structures(chosen, trials=trials, seed=seed)
        else:
            chosen = with_own
    last_two = _by_bookings(found)[-2:]
    step(STRUCTURE_STEPS[1])
    return StructuresReport(
        comparison=found,
        next_best=compare_structures({name: chosen[name] for name in last_two}, trials=trials, seed=seed)
        if len(last_two) == 2
        else None,
        made_up=tuple(name for name, scenario in chosen.items() if scenario.made_up),
        left_out=left_out,
        hand_over=frozenset((name, role) for name, world in chosen.items() for role in _hand_over(world)),
    )


def _hand_over(scenario: Scenario) -> set[str]:
    """Roles that work stages, but in no segment the last one, in which deals are won."""
    working = {stage.role for segment in scenario.segments for stage in segment.stages if stage.role}
    return working - {segment.stages[-1].role for segment in scenario.segments if segment.stages[-1].role}


def _not_comparable(own: Scenario, others: Scenario, difference: ScenarioError) -> str:
    """Why the report's own company does not stand beside the others, in words."""
    if own.currency != others.currency:
        return f"its amounts are in {own.currency}, theirs in {others.currency}"
    spans = [
        f"{quarters[0]} to {quarters[-1]}"
        for quarters in (scenario.calendar.periods() for scenario in (own, others))
    ]
    if spans[0] != spans[1]:
        return f"it covers {spans[0]}, they cover {spans[1]}"
    return str(difference)


def _acts() -> list[str]:
    return [name for name in library.structures() if name.startswith("act")]


def _by_bookings(found: StructureComparison) -> list[str]:
    return list(found.table.sort_values("bookings_mean", kind="stable")["structure"])


def structure_chapter_findings(
    structures: StructuresReport, qualified: QualificationReport, customers: CustomersReport
) -> str:
    """The chapter in a few sentences (Markdown): the best structure, where it is short, what qualification is
    worth, what the customers of today yield."""
    trials = structures.comparison.trials
    lines = [
        f"The engine of this chapter is 'flow', week by week, with {trials:,} simulated years of each "
        "scenario, whatever engine works out the forecast of the report; what customers yield and payback "
        "are expected values.",
        *_best_lines(structures),
        *_unworked_lines(structures),
        _bottleneck_of(structures.comparison, structures.best),
        *_qualification_lines(qualified)[:2],
        *_customers_lines(customers)[:2],
    ]
    scenarios = (
        *structures.made_up,
        *(r.scenario.name for r in (qualified, customers) if r.scenario.made_up),
    )
    return bullets([*_made_up(scenarios), *lines, *_left_out(structures)])


def structures_findings(report: StructuresReport) -> str:
    """Which structure books most on the same demand, how surely, and where each is short (Markdown)."""
    lines = [*_best_lines(report), *_bottleneck_lines(report)]
    return bullets([*_made_up(report.made_up), *lines, *_left_out(report)])


def bottleneck_findings(report: StructuresReport) -> str:
    """Where each structure loses most of its leads, and which segments nobody works (Markdown)."""
    return bullets(_bottleneck_lines(report))


def _best_lines(report: StructuresReport) -> list[str]:
    found = report.comparison
    money = _short(found.currency)
    best = found.table.set_index("structure").to_dict("index")[report.best]
    where = "In the made-up example, " if report.best in report.made_up else ""
    lines = [
        f"{where}**'{report.best}' {_books_most(report)}{money(best['bookings_mean'])} expected** "
        f"({money(best['bookings_p10'])} to {money(best['bookings_p90'])} in 8 of 10 cases), "
        f"{money(best['bookings_per_head'])} for each of {formats.count(round(best['heads'], 1))} people."
    ]
    if report.next_best is not None:
        pair = report.next_best.table.iloc[-1]
        luck = _signed_range(pair["difference_p10"], pair["difference_p90"], found.currency)
        known = formats.span(pair["chance_low"], pair["chance_high"], "share")
        lines.append(
            f"On the same demand that is {money(pair['difference'])} more than '{report.second}' (80 % range "
            f"{luck}); it is ahead in {_sure(report.chance_ahead)} of {found.trials:,} simulated years on "
            f"the same luck ({known})."
        )
    return lines


def _books_most(report: StructuresReport) -> str:
    """Up to the amount: whether it books most, or only probably, or there is nothing to compare it with."""
    if report.next_best is None:
        return "books "
    pair = report.next_best.table.iloc[-1]
    unsure = pair["difference_p10"] <= 0 <= pair["difference_p90"]
    return "probably books most: " if unsure else "books most: "


def _bottleneck_lines(report: StructuresReport) -> list[str]:
    table = report.comparison.table
    lines = [_bottleneck_of(report.comparison, name) for name in table["structure"]]
    return [*lines, *_unworked_lines(report)]


def _unworked_lines(report: StructuresReport) -> list[str]:
    """Leads that a structure leaves alone, and that its bookings are therefore short of."""
    unworked = [
        f"{formats.count(round(row['leads_nobody_works']))} leads of '{row['structure']}'"
        for row in report.comparison.table.to_dict("records")
        if row["leads_nobody_works"] > 0
    ]
    if not unworked:
        return []
    return [
        f"Nobody works {' and '.join(unworked)}: no seat has their segment, and its bookings "
        "are without them."
    ]


def _made_up(names: Sequence[str]) -> list[str]:
    if not names:
        return []
    verb = "is" if len(names) == 1 else "are"
    what = "it shows" if len(names) == 1 else "they show"
    return [
        f"**Made up {verb} {listed(names)}**: {what} what the simulator can compare, and no finding about "
        "anybody's company."
    ]


def _example(scenario: Scenario, words: str) -> str:
    """The beginning of a sentence, which says so where the scenario is made up: it is nobody's company."""
    return f"In the made-up example, {words}" if scenario.made_up else words[0].upper() + words[1:]


def _left_out(report: StructuresReport) -> list[str]:
    return [f"{report.left_out}."] if report.left_out else []


def _bottleneck_of(found: StructureComparison, structure: str) -> str:
    desks = found.by_role[found.by_role["structure"] == structure]
    limited = desks[desks["used"].notna()]
    if limited.empty:
        return f"'{structure}' has no limit of what its people can work on."
    worst = limited.iloc[int(limited["leads_lost"].argmax())]
    lost = worst["leads_lost"] / worst["arrivals"] if worst["arrivals"] > 0 else 0.0
    if lost < LOST_IS_MUCH:
        worst = limited.iloc[int(limited["used"].argmax())]
        return (
            f"'{structure}' is short of nobody: the busiest, the {_desk(worst)}, has "
            f"{formats.percent(worst['used'])} of its capacity in use."
        )
    return (
        f"'{structure}' loses most leads at the {_desk(worst)}: {formats.percent(lost)} of "
        f"{formats.count(round(worst['arrivals']))} ({formats.percent(worst['used'])} of the capacity in "
        f"use, {formats.count(round(worst['waiting']))} waiting in a mean week)."
    )


def _desk(row: Mapping[Hashable, Any] | pd.Series) -> str:
    """A role with what it works on, where that is not everything."""
    return str(row["role"]) if row["segments"] == "all" else f"{row['role']} ({row['segments']})"


def structures_table(report: StructuresReport) -> str:
    """The structures side by side (Markdown table), one column each."""
    found = report.comparison
    money = _short("")
    written: tuple[tuple[str, Callable[[dict[Hashable, Any]], str]], ...] = (
        (f"expected bookings{_in(found.currency)}", lambda row: money(row["bookings_mean"])),
        ("P10 to P90", lambda row: f"{money(row['bookings_p10'])} to {money(row['bookings_p90'])}"),
        ("against the first", lambda row: _signed_money(row["difference"], "")),
        ("ahead of the first in", lambda row: formats.percent(row["chance_to_beat_first"])),
        ("people", lambda row: formats.count(round(row["heads"], 1))),
        ("bookings per head", lambda row: money(row["bookings_per_head"])),
        ("new leads", lambda row: formats.count(round(row["new_leads"]))),
        ("leads that nobody works", lambda row: formats.count(round(row["leads_nobody_works"]))),
        ("cost of leads", lambda row: money(row["cost_of_leads"])),
        ("leads lost on the way", lambda row: formats.percent(row["leads_lost_share"])),
        ("won deals", lambda row: formats.count(round(row["won_deals"]))),
        ("mean deal", lambda row: money(row["average_deal_size"])),
        ("people who left", lambda row: formats.count(round(row["departures"], 1))),
    )
    columns = found.table.to_dict("records")
    rows = [[label, *(write(column) for column in columns)] for label, write in written]
    return formats.table(["", *found.table["structure"]], rows)


def bottlenecks(report: StructuresReport) -> pd.DataFrame:
    """Use of capacity by structure, role and segment worked, for
    :func:`salessim.charts.structure_bottlenecks`: columns structure, desk (role, with the segments where
    those are not all), people, used (share; NaN: no limit), waiting, lost_share (NaN: no lead came)."""
    found = report.comparison.by_role
    arrivals = found["arrivals"].where(found["arrivals"] > 0)
    return pd.DataFrame(
        {
            "structure": found["structure"],
            "desk": [_desk(row) for _, row in found.iterrows()],
            "people": found["heads"],
            "used": found["used"],
            "waiting": found["waiting"],
            "lost_share": found["leads_lost"] / arrivals,
        }
    )


def bottlenecks_table(report: StructuresReport) -> str:
    """What every role of every structure gets, loses and wins (Markdown table)."""
    header = [
        "role", "people", "leads", "lost", "waiting", "in use", "won deals",
        f"bookings{_in(report.comparison.currency)}", "who left",
    ]  # fmt: skip
    rows: list[list[object]] = []
    structure = ""
    for row in report.comparison.by_role.to_dict("records"):
        if row["structure"] != structure:
            structure = str(row["structure"])
            rows.append([f"**{structure}**", *[""] * (len(header) - 1)])
        hands_over = (structure, row["role"]) in report.hand_over
        rows.append(
            [
                _desk(row),
                formats.count(round(row["heads"], 1)),
                formats.count(round(row["arrivals"])),
                formats.count(round(row["leads_lost"])),
                formats.count(round(row["waiting"], 1)),
                formats.percent(row["used"]),
                "hands over" if hands_over else formats.count(round(row["won_deals"])),
                formats.MISSING if hands_over else formats.money(row["bookings"], "", short=True),
                formats.count(round(row["departures"], 1)),
            ]
        )
    return formats.table(header, rows)


# --- qualification -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class QualificationReport:
    """What qualifying leads is worth to one team, at several capacities."""

    scenario: Scenario
    table: pd.DataFrame
    """See :func:`salessim.studies.value_of_qualification`."""


def prepare_qualification(
    *, scenario: str = "", trials: int = 500, seed: int = 1, step: Callable[[str], None] = lambda name: None
) -> QualificationReport:
    """Work out what qualification is worth [A6].

    Args:
        scenario: path of a scenario that qualifies, or name of a shipped one; "" for the shipped one.
        trials: simulated horizons of each case.
        seed: seed of the simulation.
        step: told the name of each of the :data:`QUALIFICATION_STEPS` when it begins, for a progress bar.

    Raises:
        ScenarioError: a file at fault, no stage that qualifies, or no limit to what people can work on.
    """
    chosen = scenario_named(scenario or QUALIFICATION)
    tables = []
    for name, factor in zip(QUALIFICATION_STEPS, CAPACITY_FACTORS, strict=True):
        step(name)
        tables.append(value_of_qualification(chosen, capacity_factors=(factor,), trials=trials, seed=seed))
    return QualificationReport(chosen, pd.concat(tables, ignore_index=True))


def qualification_findings(report: QualificationReport) -> str:
    """What qualification is worth at today's capacity, and what becomes of that as capacity grows
    (Markdown)."""
    made_up = (report.scenario.name,) if report.scenario.made_up else ()
    return bullets([*_made_up(made_up), *_qualification_lines(report)])


def _qualification_lines(report: QualificationReport) -> list[str]:
    table, currency = report.table, report.scenario.currency
    money = _short(currency)
    today = table.iloc[int((table["capacity_factor"] - 1).abs().argmin())]
    largest = table.iloc[int(table["capacity_factor"].argmax())]
    gain, end = float(today["difference"]), float(largest["difference"])
    luck = _signed_range(today["difference_p10"], today["difference_p90"], currency)
    today_in = _example(report.scenario, "at today's capacity")
    lines = [
        f"**{today_in} qualification {_brings(gain, money)}** (80 % range {luck}; it pays in "
        f"{_sure(today['chance_it_pays'])} of {int(today['trials']):,} simulated years on the same luck): "
        f"{money(today['bookings_with'])} with it, {money(today['bookings_without'])} where every lead is "
        "chased."
    ]
    where = _capacity_words(float(largest["capacity_factor"]))
    if gain <= 0:
        lines.append("Capacity is not short enough for the step to pay for what it stops by mistake.")
    elif largest["difference_low"] <= 0:
        cost = largest["difference_high"] < 0
        lines.append(
            f"**That {'turns into a cost' if cost else 'vanishes'} as capacity grows: {where} it "
            f"{_brings(end, money)}**{_pays_until(table)}. What is left of the step are the good leads that "
            "it stops by mistake, and the time it takes [A6]."
        )
    else:
        lines.append(
            f"{where.capitalize()} it {_brings(end, money)}: what rests in nurture and comes back is part of "
            "it, and does not depend on capacity."
        )
    if math.isfinite(today["win_rate_qualified"]) and math.isfinite(today["win_rate_all"]):
        lines.append(
            f"Of the leads that are sent on {formats.percent(today['win_rate_qualified'], digits=1)} are "
            f"won, of all leads {formats.percent(today['win_rate_all'], digits=1)}: only the denominator "
            "shrinks, so the first rate alone proves nothing."
        )
    return lines


def qualification_table(report: QualificationReport) -> str:
    """Bookings with and without qualification at each capacity (Markdown table)."""
    money = _short("")
    header = [
        "capacity of each person", f"bookings with it{_in(report.scenario.currency)}", "every lead chased",
        "difference", "80 % range", "it pays in", "leads lost with", "leads lost without",
    ]  # fmt: skip
    rows = [
        [
            _capacity_words(row["capacity_factor"]),
            money(row["bookings_with"]),
            money(row["bookings_without"]),
            _signed_money(row["difference"], ""),
            _signed_range(row["difference_p10"], row["difference_p90"], ""),
            formats.percent(row["chance_it_pays"]),
            formats.count(round(row["leads_lost_with"])),
            formats.count(round(row["leads_lost_without"])),
        ]
        for row in report.table.to_dict("records")
    ]
    return formats.table(header, rows)


def _pays_until(table: pd.DataFrame) -> str:
    """From which capacity on the step brings nothing, in words; "" where it always brings something."""
    ranked = table.sort_values("capacity_factor")
    pays = ranked["difference"].to_numpy() > 0
    if pays[-1]:
        return ""
    first = 0 if not pays.any() else int(np.flatnonzero(pays)[-1]) + 1
    factor = float(ranked["capacity_factor"].iloc[first])
    if math.isinf(factor):
        return f"; up to {ranked['capacity_factor'].iloc[first - 1]:g} × today's capacity it still pays"
    return f"; from {factor:g} × today's capacity on it no longer pays"


def _brings(gain: float, money: Callable[[float], str]) -> str:
    return f"brings {money(gain)}" if gain >= 0 else f"costs {money(-gain)}"


def _capacity_words(factor: float) -> str:
    if math.isinf(factor):
        return "without any limit"
    return "as today" if factor == 1 else f"{factor:g} × today's"


# --- existing customers ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CustomersReport:
    """What the customers of today yield, what churn takes, and when a new customer has paid for itself."""

    scenario: Scenario
    revenue: RecurringRevenue
    base: pd.DataFrame
    """See :func:`salessim.studies.base_yield`."""
    payback: pd.DataFrame
    """See :func:`salessim.studies.cac_payback`."""
    gross_margin: float

    @property
    def segment(self) -> str:
        """The segment that stands for all: "all" where there are several with customers."""
        return str(self.revenue.table["segment"].iloc[-1])


def prepare_customers(
    *, scenario: str = "", gross_margin: float = 0.75, trials: int = 500, seed: int = 1
) -> CustomersReport:
    """Work out recurring revenue with and without churn, what the base yields, and payback [H1, H2].

    Args:
        scenario: path of a scenario with the customers of a segment, or name of a shipped one; "" for the
            shipped one.
        gross_margin: share of revenue that is left after the cost of serving a customer.
        trials: simulated horizons.
        seed: seed of the simulation.

    Raises:
        ScenarioError: a file at fault, or no segment that states its customers. ParameterError: the margin.
    """
    chosen = scenario_named(scenario or CUSTOMERS)
    return CustomersReport(
        scenario=chosen,
        payback=cac_payback(chosen, gross_margin=gross_margin),
        base=base_yield(chosen),
        revenue=recurring_revenue(chosen, trials=trials, seed=seed),
        gross_margin=gross_margin,
    )


def revenue_frame(report: CustomersReport) -> pd.DataFrame:
    """Annual recurring revenue at the end of each quarter, for :func:`salessim.charts.recurring_revenue`:
    columns quarter ("today" first), and with_churn and without_churn (means), each also with _p10 and _p90.
    """
    own = report.revenue.table[report.revenue.table["segment"] == report.segment]
    at = own.set_index(["figure", "quarter"])
    quarters = list(dict.fromkeys(own["quarter"]))
    begin = float(at.loc[("revenue_begin", quarters[0]), "mean"])
    rows: list[dict[str, object]] = [{"quarter": "today"}]
    for case in ("with_churn", "without_churn"):
        rows[0] |= dict.fromkeys([case, f"{case}_p10", f"{case}_p90"], begin)
    for quarter in quarters:
        row: dict[str, object] = {"quarter": quarter}
        for case, figure in (("with_churn", "revenue_end"), ("without_churn", "revenue_end_without_churn")):
            for end, column in (("", "mean"), ("_p10", "p10"), ("_p90", "p90")):
                row[f"{case}{end}"] = float(at.loc[(figure, quarter), column])
        rows.append(row)
    return pd.DataFrame(rows)


def customers_findings(report: CustomersReport) -> str:
    """What the base yields, what churn takes, and payback, in sentences (Markdown)."""
    made_up = (report.scenario.name,) if report.scenario.made_up else ()
    return bullets([*_made_up(made_up), *_customers_lines(report)])


def _customers_lines(report: CustomersReport) -> list[str]:
    money = _short(report.scenario.currency)
    own = report.revenue.table[report.revenue.table["segment"] == report.segment]
    last = str(own["quarter"].iloc[-1])
    end = own[own["quarter"] == last].set_index("figure").to_dict("index")
    missing, revenue = end["revenue_missing"], end["revenue_end"]
    lines = [
        f"**{_example(report.scenario, 'churn')} costs {money(missing['mean'])} of annual recurring revenue "
        f"by the end of {last}** "
        f"({money(missing['p10'])} to {money(missing['p90'])} in 8 of 10 cases): {money(revenue['mean'])} "
        f"instead of {money(end['revenue_end_without_churn']['mean'])}.",
        *_base_sentences(report),
        *_payback_sentences(report),
    ]
    if report.revenue.left_out:
        lines.append(f"Left out, since they state no customers: {listed(report.revenue.left_out)}.")
    return lines


def _base_sentences(report: CustomersReport) -> list[str]:
    money, base = _short(report.scenario.currency), report.base
    there = base[base["kind"] == "existing customers"]
    if there.empty or not there["leads"].sum():
        return ["Nothing is sold to the customers of today: what they would yield is not in the scenario."]
    total = float(base["bookings"].sum())
    lines = [
        f"**{_example(report.scenario, 'the customers of today')} yield {money(there['bookings'].sum())} of "
        f"{money(total)} expected bookings ({formats.percent(there['bookings'].sum() / total)}) from "
        f"{formats.percent(there['leads'].sum() / base['leads'].sum())} of the leads.**"
    ]
    for segment, rows in base.groupby("segment", sort=False):
        kinds = rows.set_index("kind").to_dict("index")
        new, existing = (kinds.get(kind, {"leads": 0.0}) for kind in ("new business", "existing customers"))
        if new["leads"] > 0 and existing["leads"] > 0:
            lines.append(
                f"'{segment}': {formats.percent(existing['win_chance'])} of their leads are won, against "
                f"{formats.percent(new['win_chance'], digits=1)} of new ones, in a cycle "
                f"{formats.ratio(existing['times_shorter'])} shorter (the field: 60 to 70 % against 3 to "
                "10 %, 6 to 8 × shorter [H1])."
            )
    return lines


def _payback_sentences(report: CustomersReport) -> list[str]:
    known = report.payback[report.payback["payback_months"].notna()]
    if known.empty:
        return []
    worst = known.iloc[int(known["payback_months"].argmax())]
    months = float(worst["payback_months"])
    when = "never pays for itself" if math.isinf(months) else f"has paid for itself after {months:.1f} months"
    return [
        f"{_example(report.scenario, 'a customer')} from {worst['source']} ('{worst['segment']}') costs "
        f"{_short(report.scenario.currency)(worst['cost_per_win'])} in leads and {when}, at a gross margin "
        f"of {formats.percent(report.gross_margin)}"
        + (" (the slowest of the sources)" if len(known) > 1 else "")
        + ". That is the cost of leads only; with pay it is longer, so the field's 9 to 12 months [H2], "
        "which count both, do not compare with it."
    ]


def customers_table(report: CustomersReport) -> str:
    """Customers and recurring revenue by quarter (Markdown table): means, and the range at the end."""
    own = report.revenue.table[report.revenue.table["segment"] == report.segment]
    quarters = list(dict.fromkeys(own["quarter"]))
    money = _short("")
    rows = []
    for label, figures in own.groupby("label", sort=False):
        unit = str(figures["unit"].iloc[0])
        at = figures.set_index("quarter")

        def written(value: float, unit: str = unit) -> str:
            return money(value) if unit == "money" else formats.count(round(value, 1))

        last = at.loc[quarters[-1]]
        spread = f"{written(last['p10'])} to {written(last['p90'])}"
        rows.append([label, *(written(float(at.loc[quarter, "mean"])) for quarter in quarters), spread])
    header = [f"means{_in(report.revenue.currency)}", *quarters, f"P10 to P90 in {quarters[-1]}"]
    return formats.table(header, rows)


def base_table(report: CustomersReport) -> str:
    """New business beside what the customers of today yield (Markdown table)."""
    money = _short(report.scenario.currency)
    header = [
        "segment", "kind", "leads", "won", "weeks to win", "won deals", "bookings", "cost of leads", "note",
    ]  # fmt: skip
    rows = [
        [
            row["segment"],
            row["kind"],
            formats.count(round(row["leads"])),
            formats.percent(row["win_chance"], digits=1),
            formats.count(round(row["mean_weeks_to_win"], 1)),
            formats.count(round(row["won_deals"], 1)),
            money(row["bookings"]),
            money(row["cost_of_leads"]),
            row["note"],
        ]
        for row in report.base.to_dict("records")
    ]
    return formats.table(header, rows)


def payback_table(report: CustomersReport) -> str:
    """What winning a customer costs by source, and when it has paid for itself (Markdown table)."""
    money = _short(report.scenario.currency)
    header = [
        "segment",
        "source",
        "won",
        "cost of a win",
        "revenue a year",
        "churn",
        "months, leads only",
        "note",
    ]
    rows = [
        [
            row["segment"],
            row["source"],
            formats.percent(row["win_chance"], digits=1),
            money(row["cost_per_win"]),
            money(row["annual_revenue"]),
            formats.percent(row["churn_per_year"]),
            "never" if math.isinf(row["payback_months"]) else formats.count(round(row["payback_months"], 1)),
            row["note"],
        ]
        for row in report.payback.to_dict("records")
    ]
    return formats.table(header, rows)


# --- words -------------------------------------------------------------------------------------------------


def _short(currency: str) -> Callable[[float], str]:
    return lambda amount: formats.money(float(amount), currency, short=True)


def _from_to(outcome: Outcome) -> str:
    first, last = outcome.periods[0], outcome.periods[-1]
    return f"from {first} to {last}" if first != last else f"in {first}"


def _sure(chance: float) -> str:
    """A chance that was counted; over 99 % is not called certain."""
    if 0.995 <= chance < 1:
        return "over 99 %"
    return "under 1 %" if 0 < chance < 0.005 else formats.percent(chance)


def _signed_money(amount: float, currency: str) -> str:
    """A change of money, short, with its sign."""
    if not math.isfinite(amount):
        return formats.MISSING
    written = formats.money(abs(amount), currency, short=True)
    if formats.money(0.0, currency) == written:
        return written
    return f"{'+' if amount > 0 else '−'}{written}"


def _signed_range(low: float, high: float, currency: str) -> str:
    """A range of changes of money, short, with their signs."""
    return f"{_signed_money(float(low), currency)} to {_signed_money(float(high), currency)}"


def _in(currency: str) -> str:
    """The currency at the end of a column's head; nothing where there is none."""
    return "" if currency == formats.NO_CURRENCY else f", {currency}"
