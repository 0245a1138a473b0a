"""Raising the bar [B3]: the rule that says when quotas are due for revision, on history and in a laboratory.

The rule of the field: if two quarters in a row 80 % of the team exceed quota, and by 25 % on average, raise
the team plan. "By 25 % on average" has three readings, which differ; :func:`apply_rule` shows all three on
past quarters. A rule can also fire by luck: :func:`rule_laboratory` simulates a steady team, once as it is
and once truly better, and counts. :func:`trusted_sizes` says which teams may trust the rule,
:func:`threshold_for` gives one that fires by luck as seldom as one likes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from pydantic import Field

from salessim import formats
from salessim.documents import Part
from salessim.engine import SampledOutcome, simulate
from salessim.errors import PlanError, listed
from salessim.intervals import wilson
from salessim.model import NonNegative, Rep, Scenario, Seasonality, Share, Source, Whole
from salessim.plans.levers import with_lever
from salessim.plans.quota import QuotaPlan, quota_for_share, quotas

__all__ = [
    "MARGINS",
    "MarginIs",
    "QuarterFigures",
    "RaiseRule",
    "RuleLaboratory",
    "ThresholdAdvice",
    "apply_rule",
    "rule_laboratory",
    "threshold_for",
    "trusted_sizes",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MarginIs = Literal["mean attainment of all", "mean attainment of those who exceed", "team total"]

#: The three readings of "exceed by 25 % on average".
MARGINS: tuple[MarginIs, ...] = get_args(MarginIs)

#: Columns that the readings have in the table of :func:`apply_rule`.
COLUMNS: dict[MarginIs, str] = {
    "mean attainment of all": "mean_all",
    "mean attainment of those who exceed": "mean_of_those",
    "team total": "team_total",
}

#: Shares and attainments that should be equal may differ by rounding.
TOLERANCE = 1e-9

#: Quarters of selling before the first one that is looked at, so that the pipeline is full: the longest
#: run-up that a calendar allows.
RUN_UP = 8


class RaiseRule(Part):
    """When quotas are due for revision [B3].

    A rep exceeds quota with bookings strictly above it; the share of the team and the margin are reached with
    at least the figure given here.

    >>> RaiseRule().share_of_team, RaiseRule(margin_is="team total").margin
    (0.8, 0.25)
    """

    quarters_in_a_row: Annotated[Whole, Field(ge=1, le=20, json_schema_extra={"unit": "quarters"})] = 2
    """How many quarters without a break both conditions must hold."""
    share_of_team: Share = 0.80
    """Share of the reps with a quota who exceed it, at least."""
    margin: NonNegative = 0.25
    """By how much quota is exceeded on average, at least; 0.25: attainment of 125 %."""
    margin_is: MarginIs = "mean attainment of all"
    """What "on average" means. mean attainment of all: the mean of bookings ÷ quota over all reps with a
    quota; mean attainment of those who exceed: the same over the reps above quota only; team total: the
    bookings of the reps with a quota ÷ the sum of their quotas."""


@dataclass(frozen=True)
class QuarterFigures:
    """What the rule looks at, by quarter; arrays of the shape (…, quarters), attainments with 1 for quota."""

    reps: FloatArray
    """Reps with a quota and known bookings."""
    exceeding: FloatArray
    """Reps with bookings above quota."""
    mean_all: FloatArray
    """Mean attainment of all; NaN: nobody counts."""
    mean_of_those: FloatArray
    """Mean attainment of those who exceed; NaN: nobody does."""
    team_total: FloatArray
    """Bookings ÷ sum of quotas; NaN: nobody counts."""

    @property
    def share_exceeding(self) -> FloatArray:
        """Share of the reps who exceed; NaN: nobody counts."""
        return self.exceeding / np.where(self.reps > 0, self.reps, np.nan)

    def attainment(self, margin_is: MarginIs) -> FloatArray:
        """Average attainment in one of the three readings."""
        return np.asarray(getattr(self, COLUMNS[margin_is]))


def apply_rule(
    rule: RaiseRule,
    bookings: pd.DataFrame | npt.ArrayLike,
    quotas: pd.DataFrame | npt.ArrayLike,
) -> pd.DataFrame:
    """Whether the rule fires on past quarters, in all three readings side by side.

    Args:
        rule: the thresholds.
        bookings: in currency, reps × quarters, oldest quarter first. Two DataFrames are matched by the labels
            of ``quotas`` (rows reps, columns quarters); arrays by position.
        quotas: in the same shape. NaN or 0: no quota, the rep does not count in that quarter.

    Returns:
        One row per quarter: period, reps (with a quota and known bookings), unknown (reps with a quota whose
        bookings are NaN; they do not count), exceeding, share_exceeding, mean_all, mean_of_those, team_total
        (attainments, 1 is quota; NaN where nobody counts), then by reading meets_… (both conditions hold in
        this quarter) and fires_… (they have held for ``quarters_in_a_row`` up to this quarter), and last
        meets and fires for the reading of the rule. A quarter in which nobody counts breaks the run.

    Raises:
        PlanError: shapes differ, labels stand twice, a quota is negative or an amount infinite.

    >>> table = apply_rule(RaiseRule(), [[130, 150], [120, 101], [126, 140]], [[100, 100]] * 3)
    >>> table[["share_exceeding", "mean_all", "meets", "fires"]].round(3).values.tolist()
    [[1.0, 1.253, True, False], [1.0, 1.303, True, True]]
    """
    booked, asked, periods = _history(bookings, quotas)
    figures = _figures(booked, asked)
    table = pd.DataFrame(
        {
            "period": periods,
            "reps": figures.reps.astype(int),
            "unknown": ((asked > 0) & np.isnan(booked)).sum(axis=0),
            "exceeding": figures.exceeding.astype(int),
            "share_exceeding": figures.share_exceeding,
            **{column: figures.attainment(margin_is) for margin_is, column in COLUMNS.items()},
        }
    )
    for margin_is, column in COLUMNS.items():
        table[f"meets_{column}"] = _meets(rule, figures, margin_is)
    for margin_is, column in COLUMNS.items():
        table[f"fires_{column}"] = _fires(rule, figures, margin_is)
    table["meets"] = table[f"meets_{COLUMNS[rule.margin_is]}"]
    table["fires"] = table[f"fires_{COLUMNS[rule.margin_is]}"]
    return table


@dataclass(frozen=True)
class RuleLaboratory:
    """How often the rule fires for a team that did not change, and for one that truly became better."""

    rule: RaiseRule
    team: Literal["typical", "own"]
    quarters: int
    """Length of a history."""
    share: float
    """Chance of a rep to make quota that the quotas were set for."""
    trials: int
    """Simulated histories for each improvement."""
    seed: int
    table: pd.DataFrame
    """One row per team size, improvement and reading: reps, improvement (0: did not change), margin_is, fires
    (share of histories in which the rule fires at least once), low, high (80 % interval of the simulation),
    histories (sample size), expected_share (of reps who make quota), expected_margin (mean of the attainment
    in this reading, less 1), expected_meets (share of quarters that meet both conditions)."""
    notes: tuple[str, ...]
    """What the laboratory assumes, and what is odd about its figures."""
    figures: dict[tuple[int, float], QuarterFigures] = field(repr=False)
    """Figures by team size and improvement, arrays of the shape (trials, quarters)."""


def rule_laboratory(
    scenario: Scenario,
    *,
    rule: RaiseRule = RaiseRule(),  # noqa: B008  # frozen
    team_sizes: Sequence[int] = (5, 10, 20, 40, 80),
    improvements: Sequence[float] = (0.0, 0.1, 0.2, 0.3),
    quarters: int = 8,
    share: float = 0.70,
    team: Literal["typical", "own"] = "typical",
    plan: QuotaPlan | None = None,
    trials: int = 4_000,
    seed: int = 1,
    step: Callable[[str], None] = lambda name: None,
) -> RuleLaboratory:
    """Try the rule on simulated histories: how often does it fire by luck, and how often when it should?

    The world is a steady one made from the scenario: its segments, deal sizes, market shocks and spread of
    skill; every rep fully ramped, leads per rep as today (inbound leads are dealt out, so that the size of
    the team does not change a rep's world), no season, no known pipeline but a full one, no doubt about the
    level of the market (quotas are to be right). Quotas are those that ``share`` of the reps make in each
    quarter of that world, solved exactly; they stay for all quarters, as nobody has raised them yet. A team
    that is better by 20 % gets 20 % more leads, and so wins 20 % more deals, from before the first quarter.

    All improvements and all sizes run on the same luck: a small team is the first reps of the large one.

    Args:
        scenario: the world to start from.
        rule: the thresholds to try; its reading matters to :func:`trusted_sizes` and for notes only, as the
            table has all three.
        team_sizes: numbers of reps to try (team "typical").
        improvements: shares by which the team became better; 0 is always tried.
        quarters: length of a history.
        share: chance of making quota that quotas are set for, before the improvement.
        team: "typical": sizes are made up of typical reps, each with the leads of an average rep and a skill
            that is drawn; "own": the reps of the scenario as they are, with what is known of their skill and
            segments, fully ramped, as the only size.
        plan: with team "own": their quotas, fully ramped, in the mean quarter of this plan; left out: each
            rep's own quota that the rep makes with the chance ``share``.
        trials: simulated histories per improvement.
        seed: of the simulation.
        step: told what begins, for a progress bar.

    Returns:
        Table, notes and the figures behind them. In a typical team all quotas are equal, so that "mean
        attainment of all" and "team total" are the same there. More wins can never stop the rule from firing
        in these two readings; in "mean attainment of those who exceed" they can, since a rep who comes to lie
        just above quota lowers that mean.

    Raises:
        PlanError: arguments out of range, or no quota above zero is made by so many.

    >>> from salessim.library import example_scenario
    >>> lab = rule_laboratory(example_scenario(), team_sizes=(5, 20), improvements=(0.2,), trials=200)
    >>> by_luck = lab.table.query("improvement == 0 and margin_is == 'team total'").set_index("reps")["fires"]
    >>> bool(by_luck[5] > by_luck[20])
    True
    """
    sizes = _checked(rule, team_sizes, improvements, quarters, share, team, plan)
    gains = sorted({0.0, *map(float, improvements)})
    step("setting quotas")
    if team == "own":
        reps = _today(scenario)
        sizes = [len(reps)]
    else:
        reps = _typical(scenario, size=max(sizes))
    steady = _steady(scenario, reps, quarters)
    amounts = _rep_quotas(steady, share) if plan is None else _plan_quotas(scenario, steady, plan)
    figures: dict[tuple[int, float], QuarterFigures] = {}
    rows = []
    for gain in gains:
        step(f"simulating a team {formats.percent(gain)} better" if gain else "simulating the steady team")
        outcome = simulate(
            with_lever(steady, lever="leads", change=gain), engine="thinning", trials=trials, seed=seed
        )
        assert isinstance(outcome, SampledOutcome)  # what the thinning engine returns
        for size in sizes:
            booked, asked = outcome.bookings[:, :size], amounts[:size]
            figures[size, gain] = _figures(booked, asked)
            made = float((booked >= asked)[:, np.isfinite(asked)].mean())
            rows += [_row(rule, size, gain, figures[size, gain], margin_is, made) for margin_is in MARGINS]
    table = pd.DataFrame(rows).sort_values(["reps", "improvement"], kind="stable", ignore_index=True)
    return RuleLaboratory(
        rule=rule,
        team=team,
        quarters=quarters,
        share=share,
        trials=trials,
        seed=seed,
        table=table,
        notes=tuple(_notes(scenario, steady, rule, share, table, figures)),
        figures=figures,
    )


def trusted_sizes(lab: RuleLaboratory, *, false_alarm: float = 0.10) -> pd.DataFrame:
    """Which team sizes may trust the rule: from where on it seldom fires by luck.

    Args:
        lab: what was tried.
        false_alarm: share of histories of an unchanged team in which the rule may fire.

    Returns:
        One row per reading: margin_is, from_reps (smallest size tried from which on the rule fires by luck in
        at most that share of histories, for this and all larger sizes; NaN: none), fires_by_luck (at that
        size; NaN: none), sentence (with what the rule then notices: a rule that never fires is no use).

    >>> from salessim.library import example_scenario
    >>> lab = rule_laboratory(example_scenario(), team_sizes=(5,), improvements=(), trials=200)
    >>> trusted_sizes(lab)["from_reps"].tolist()
    [nan, nan, nan]
    """
    _check_false_alarm(false_alarm)
    rows = []
    for margin_is in MARGINS:
        mine = lab.table[lab.table["margin_is"] == margin_is]
        lucky = mine[mine["improvement"] == 0].sort_values("reps")
        holds = (lucky["fires"] <= false_alarm).to_numpy()[::-1].cumprod()[::-1].astype(bool)
        trusted = lucky[holds]
        sizes, rates = lucky["reps"].tolist(), [formats.percent(rate) for rate in lucky["fires"]]
        often = f"{formats.percent(false_alarm)} of histories of {lab.quarters} quarters"
        if trusted.empty:
            who = "No team size tried may" if len(sizes) > 1 else f"A team of {_reps(sizes[0])} may not"
            found = " and ".join(f"{rates[k]} with {_reps(sizes[k])}" for k in sorted({0, len(sizes) - 1}))
            sentence = (
                f"{who} trust the rule ({margin_is}): by luck it should fire in at most {often}, and does in "
                f"{found}."
            )
        else:
            smallest = int(trusted["reps"].iloc[0])
            name = _reps(smallest)
            who = f"Teams of {name} and more" if len(sizes) > 1 else f"A team of {name}"
            noticed = _noticed(mine[mine["reps"] == smallest])
            sentence = (
                f"{who} may trust the rule ({margin_is}): by luck it fires in at most {often}{noticed}."
            )
        rows.append(
            {
                "margin_is": margin_is,
                "from_reps": float("nan") if trusted.empty else float(trusted["reps"].iloc[0]),
                "fires_by_luck": float("nan") if trusted.empty else float(trusted["fires"].iloc[0]),
                "sentence": sentence,
            }
        )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class ThresholdAdvice:
    """A rule that fires by luck no more often than was asked, and what it then notices."""

    rule: RaiseRule
    """The rule of the laboratory with the smallest such margin (whole per cent)."""
    reps: int
    false_alarm: float
    """Share of histories of an unchanged team in which a rule may fire, as asked."""
    table: pd.DataFrame
    """One row per lever (margin or share_of_team: what was moved, the other stays), reading and improvement:
    lever, margin_is, share_of_team, margin, improvement (0: by luck), fires, low, high (80 % interval of the
    simulation), histories. NaN: even if all reps must exceed, the rule fires by luck more often."""
    sentence: str
    """The advice."""


def threshold_for(
    lab: RuleLaboratory, *, reps: int, false_alarm: float = 0.10, margin_is: MarginIs | None = None
) -> ThresholdAdvice:
    """The smallest thresholds with which the rule fires by luck in at most a stated share of histories.

    Nothing is simulated anew. A history fires with margin m exactly where m is at most its *run statistic*:
    the largest, over all runs of ``quarters_in_a_row`` quarters in which the share of the team is met, of the
    smallest margin in the run. The threshold is a quantile of that statistic over the unchanged histories.
    The same with share and margin exchanged gives the smallest share of the team for the rule's margin.

    Args:
        lab: the histories.
        reps: a team size of the laboratory.
        false_alarm: share of histories of an unchanged team in which the rule may fire.
        margin_is: reading to advise on; left out: that of the laboratory's rule.

    Raises:
        PlanError: the size was not tried, or false_alarm is not between 0 and 1.

    >>> from salessim.library import example_scenario
    >>> lab = rule_laboratory(example_scenario(), team_sizes=(10,), improvements=(0.3,), trials=200)
    >>> bool(threshold_for(lab, reps=10).rule.margin > lab.rule.margin)
    True
    """
    _check_false_alarm(false_alarm)
    gains = [gain for size, gain in lab.figures if size == reps]
    if not gains:
        sizes = sorted({size for size, _ in lab.figures})
        raise PlanError(f"reps is {reps}; the laboratory tried {listed(sizes)}")
    chosen = margin_is or lab.rule.margin_is
    rows: list[dict[str, object]] = []
    advised: RaiseRule | None = None
    for reading in MARGINS:
        rule = lab.rule.model_copy(update={"margin_is": reading})
        by_margin = _smallest_margin(rule, lab.figures[reps, 0.0], false_alarm)
        by_share = _smallest_share(rule, lab.figures[reps, 0.0], false_alarm)
        if reading == chosen:
            advised = by_margin
        for lever, moved in (("margin", by_margin), ("share_of_team", by_share)):
            for gain in gains:
                counted = (
                    {"fires": np.nan, "low": np.nan, "high": np.nan, "histories": lab.trials}
                    if moved is None
                    else _share_firing(moved, lab.figures[reps, gain])
                )
                rows.append(
                    {
                        "lever": lever,
                        "margin_is": reading,
                        "share_of_team": np.nan if moved is None else moved.share_of_team,
                        "margin": rule.margin if moved is None else moved.margin,
                        "improvement": gain,
                    }
                    | counted
                )
    if advised is None:
        raise PlanError(f"margin_is is {margin_is!r}; it must be one of {listed(MARGINS)}")
    table = pd.DataFrame(rows)
    mine = table[(table["lever"] == "margin") & (table["margin_is"] == chosen)]
    needed = f"ask for a margin of {formats.percent(advised.margin)} ({chosen})"
    if advised.margin == 0:
        needed = "no margin is needed"
    return ThresholdAdvice(
        rule=advised,
        reps=reps,
        false_alarm=false_alarm,
        table=table,
        sentence=(
            f"With {_reps(reps)}, {formats.percent(advised.share_of_team)} of the team and "
            f"{_in_a_row(advised)}, {needed}: by luck the rule then "
            f"fires in at most {formats.percent(false_alarm)} of histories of {lab.quarters} "
            f"quarters{_noticed(mine)}."
        ),
    )


def _reps(number: int) -> str:
    return f"{formats.count(number)} {'rep' if number == 1 else 'reps'}"


def _in_a_row(rule: RaiseRule) -> str:
    return "1 quarter" if rule.quarters_in_a_row == 1 else f"{rule.quarters_in_a_row} quarters in a row"


def _smallest_margin(rule: RaiseRule, figures: QuarterFigures, false_alarm: float) -> RaiseRule:
    enough = figures.share_exceeding >= rule.share_of_team - TOLERANCE
    statistic = _run_statistic(figures.attainment(rule.margin_is) - 1, enough, rule.quarters_in_a_row)
    limit = _must_not_fire(statistic, false_alarm)
    # the next whole per cent above the limit; below zero the share of the team is condition enough
    margin = max(np.floor(limit * 100 + 1e-6) + 1, 0.0) / 100
    return rule.model_copy(update={"margin": float(margin)})


def _smallest_share(rule: RaiseRule, figures: QuarterFigures, false_alarm: float) -> RaiseRule | None:
    """None: the rule fires too often even where all reps must exceed."""
    enough = figures.attainment(rule.margin_is) >= 1 + rule.margin - TOLERANCE
    statistic = _run_statistic(figures.share_exceeding, enough, rule.quarters_in_a_row)
    limit = _must_not_fire(statistic, false_alarm)
    reps = figures.reps.max()
    share = max(np.round(limit * reps) + 1, 0.0) / reps  # one more rep than at the limit
    return None if share > 1 + TOLERANCE else rule.model_copy(update={"share_of_team": float(share)})


def _run_statistic(values: FloatArray, holds: BoolArray, in_a_row: int) -> FloatArray:
    """Largest value v of each history such that some run of quarters has values of at least v and holds."""
    windows = np.lib.stride_tricks.sliding_window_view(
        np.where(holds & ~np.isnan(values), values, -np.inf), in_a_row, axis=-1
    )
    return np.asarray(windows.min(axis=-1).max(axis=-1))


def _must_not_fire(statistic: FloatArray, false_alarm: float) -> float:
    """Largest statistic of a history that must not fire if only a share of all may."""
    falling = np.sort(statistic)[::-1]
    return float(falling[int(np.floor(false_alarm * len(falling) + TOLERANCE))])


def _figures(booked: FloatArray, asked: FloatArray) -> QuarterFigures:
    """Figures of bookings (…, rep, quarter) against quotas (rep, quarter)."""
    counted = (asked > 0) & ~np.isnan(booked)
    attained = np.where(counted, booked / np.where(asked > 0, asked, np.nan), 0.0)
    above = counted & (booked > asked)
    reps, exceeding = counted.sum(axis=-2), above.sum(axis=-2)
    with np.errstate(divide="ignore", invalid="ignore"):
        return QuarterFigures(
            reps=reps.astype(float),
            exceeding=exceeding.astype(float),
            mean_all=attained.sum(axis=-2) / reps,
            mean_of_those=np.where(above, attained, 0.0).sum(axis=-2) / exceeding,
            team_total=(
                np.where(counted, booked, 0.0).sum(axis=-2) / np.where(counted, asked, 0.0).sum(axis=-2)
            ),
        )


def _meets(rule: RaiseRule, figures: QuarterFigures, margin_is: MarginIs) -> BoolArray:
    """Whether both conditions hold in a quarter; a quarter in which nobody counts (NaN) meets neither."""
    return np.asarray(
        (figures.share_exceeding >= rule.share_of_team - TOLERANCE)
        & (figures.attainment(margin_is) >= 1 + rule.margin - TOLERANCE)
    )


def _fires(rule: RaiseRule, figures: QuarterFigures, margin_is: MarginIs) -> BoolArray:
    """Whether the conditions have held for enough quarters in a row up to each quarter."""
    meets = _meets(rule, figures, margin_is)
    before = np.zeros((*meets.shape[:-1], rule.quarters_in_a_row - 1), dtype=bool)
    padded = np.concatenate([before, meets], axis=-1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, rule.quarters_in_a_row, axis=-1)
    return np.asarray(windows.all(axis=-1))


def _share_firing(rule: RaiseRule, figures: QuarterFigures) -> dict[str, object]:
    """Share of histories in which the rule fires at least once, with its interval and sample size."""
    fires = np.asarray(_fires(rule, figures, rule.margin_is).any(axis=-1))
    share, low, high = wilson(fires.sum(), len(fires))
    return {
        "fires": float(share),
        "low": float(low),
        "high": float(high),
        "histories": len(fires),
    }


def _row(
    rule: RaiseRule, reps: int, gain: float, figures: QuarterFigures, margin_is: MarginIs, made: float
) -> dict[str, object]:
    read = rule.model_copy(update={"margin_is": margin_is})
    attained = figures.attainment(margin_is)
    known = attained[~np.isnan(attained)]  # nobody may ever exceed
    return (
        {"reps": reps, "improvement": gain, "margin_is": margin_is}
        | _share_firing(read, figures)
        | {
            "expected_share": made,
            "expected_margin": float(known.mean()) - 1 if known.size else float("nan"),
            "expected_meets": float(_meets(read, figures, margin_is).mean()),
        }
    )


def _today(scenario: Scenario) -> tuple[Rep, ...]:
    """Today's reps who get leads, or the hires where there are none; all fully ramped, and they stay."""
    names = {segment.name for segment in scenario.segments}
    sellers = [
        rep.model_copy(update={"start": None, "end": None})
        for rep in scenario.reps or scenario.team()
        if rep.segments is None or any(rep.segments.get(name, 0.0) > 0 for name in names)
    ]
    if not sellers:
        raise PlanError(f"scenario '{scenario.name}': no rep gets leads in any segment")
    return tuple(sellers)


def _typical(scenario: Scenario, *, size: int) -> tuple[Rep, ...]:
    """Reps who get leads like the average of today's and whose skill is drawn."""
    today = _today(scenario)
    leads = {
        segment.name: sum(_focus(rep, segment.name) for rep in today) / len(today)
        for segment in scenario.segments
    }
    return tuple(Rep(name=f"rep {k + 1}", role=today[0].role, segments=leads) for k in range(size))


def _focus(rep: Rep, segment: str) -> float:
    return 1.0 if rep.segments is None else rep.segments.get(segment, 0.0)


def _steady(scenario: Scenario, reps: tuple[Rep, ...], quarters: int) -> Scenario:
    """The scenario without anything that changes over time, and with leads that belong to a rep."""
    today = _today(scenario)
    segments = []
    for segment in scenario.segments:
        everyone = sum(_focus(rep, segment.name) for rep in today)
        leads = sum(
            source.leads_per_week / (everyone or 1.0) if source.kind == "inbound" else source.leads_per_week
            for source in segment.sources
        )
        source = Source(name="leads of a rep", kind="self-sourced", leads_per_week=leads)
        segments.append(segment.model_copy(update={"sources": (source,), "seasonality": Seasonality()}))
    calendar = scenario.calendar.model_copy(update={"quarters": quarters, "quarters_before": RUN_UP})
    return scenario.model_copy(
        update={
            "calendar": calendar,
            "segments": tuple(segments),
            "reps": reps,
            "hires": (),
            "pipeline": (),
            "market": scenario.market.model_copy(update={"level_cv": 0.0}),
        }
    )


def _rep_quotas(steady: Scenario, share: float) -> FloatArray:
    """Quota that each rep makes with the chance ``share``, to the cent, shape (rep, quarter)."""
    level = QuotaPlan(name="steady", annual_quota=1.0)
    solved: dict[str, list[float]] = {}
    amounts = []
    for rep in steady.reps:
        alike = rep.model_copy(update={"name": "rep"}).model_dump_json()
        if alike not in solved:
            alone = simulate(steady.model_copy(update={"reps": (rep,)}), engine="exact")
            try:
                solved[alike] = [
                    quota_for_share(alone, plan=level, period=period, share=share) for period in alone.periods
                ]
            except PlanError as failure:
                raise PlanError(f"rep '{rep.name}': {failure}") from None
        amounts.append(solved[alike])
    # to the cent, as a quota is written: where deals come in fixed amounts the solved quota lies a hair below
    # such an amount, and who books exactly that amount would seem to exceed it
    return np.round(amounts, 2)


def _plan_quotas(scenario: Scenario, steady: Scenario, plan: QuotaPlan) -> FloatArray:
    """Quota of each fully ramped rep in the mean quarter of a plan, shape (rep, quarter); NaN: none."""
    names = {rep.name for rep in steady.reps}
    even = plan.model_copy(
        update={
            "quarter_shares": (0.25, 0.25, 0.25, 0.25),
            "quotas_by_rep": {rep: own for rep, own in plan.quotas_by_rep.items() if rep in names},
        }
    )
    # quotas set rep by rep stand for the quarters of the scenario, not for those of the laboratory
    table = quotas(even, steady.model_copy(update={"calendar": scenario.calendar}))
    amounts = table.mean(axis=1).to_numpy()
    if not np.isfinite(amounts).any():
        raise PlanError(f"plan '{plan.name}': nobody in scenario '{steady.name}' carries a quota")
    return np.repeat(amounts[:, None], steady.calendar.quarters, axis=1)


def _notes(
    scenario: Scenario,
    steady: Scenario,
    rule: RaiseRule,
    share: float,
    table: pd.DataFrame,
    figures: dict[tuple[int, float], QuarterFigures],
) -> list[str]:
    notes = [
        f"Steady world made from '{scenario.name}': all reps fully ramped, leads per rep as today, no "
        "season, a full pipeline; quotas stay for all quarters."
    ]
    if scenario.market.level_cv > 0:
        notes.append("The doubt about the level of the market is left out: here the quotas are known to fit.")
    largest = int(table["reps"].max())
    unchanged = figures[largest, 0.0]
    attained = unchanged.attainment(rule.margin_is)
    easy = float((attained >= 1 + rule.margin).mean())
    if easy > 0.75:
        mean = float(np.nanmean(attained)) - 1
        notes.append(
            f"With {_reps(largest)}, unchanged, the margin of {formats.percent(rule.margin)} "
            f"({rule.margin_is}) is met in {formats.percent(easy)} of quarters and is "
            f"{formats.percent(mean)} on average, so that the share of the team decides: a quota that most "
            "reps make lies well below what they book on average."
        )
    equal = (table["margin_is"] == "mean attainment of all").to_numpy()
    total = (table["margin_is"] == "team total").to_numpy()
    if np.allclose(table.loc[equal, "expected_margin"], table.loc[total, "expected_margin"]):
        notes.append("All quotas are equal, so that mean attainment of all and team total are the same.")
    made = float(
        table.loc[(table["reps"] == largest) & (table["improvement"] == 0), "expected_share"].iloc[0]
    )
    above = float(np.nanmean(unchanged.share_exceeding))
    if abs(made - share) > 0.02:
        notes.append(
            f"The quotas are made by {formats.percent(made)} of the reps, not by {formats.percent(share)}: "
            "what the rule does here says as much about the quotas as about luck."
        )
    if made - above > 0.01:
        notes.append(
            f"Deals come in fixed amounts: {formats.percent(made)} of reps make quota but only "
            f"{formats.percent(above)} exceed it, which is what the rule counts."
        )
    alone = simulate(steady, engine="exact")
    first, last = (alone.expected_bookings(alone.periods[k]).sum() for k in (0, -1))
    if abs(last / first - 1) > 0.01:
        notes.append(
            f"Deals take so long that the pipeline is still filling: the last quarter has "
            f"{formats.percent(last / first - 1)} more bookings than the first."
        )
    return notes


def _noticed(rows: pd.DataFrame) -> str:
    """ ", and in … when …": what a rule notices of a true improvement; empty where none was tried."""
    better = rows[rows["improvement"] > 0].sort_values("improvement")
    if better.empty:
        return ""
    shares = ", ".join(formats.percent(x) for x in better["fires"])
    gains = ", ".join(formats.percent(x) for x in better["improvement"])
    return f", and in {shares} when the team is truly {gains} better"


def _checked(
    rule: RaiseRule,
    team_sizes: Sequence[int],
    improvements: Sequence[float],
    quarters: int,
    share: float,
    team: str,
    plan: QuotaPlan | None,
) -> list[int]:
    """Team sizes, rising; PlanError for anything out of range."""
    if team not in ("typical", "own"):
        raise PlanError(f"team is {team!r}; it must be 'typical' or 'own'")
    if plan is not None and team != "own":
        raise PlanError(f"plan '{plan.name}' goes with team 'own'; a typical team gets the quotas of `share`")
    if not 0 < share < 1:
        raise PlanError(f"share is {share!r}; it must lie between 0 and 1, such as 0.7")
    if not rule.quarters_in_a_row <= quarters <= 20:
        raise PlanError(f"quarters is {quarters}; it must be {rule.quarters_in_a_row} (in a row) to 20")
    sizes = sorted(set(team_sizes))
    if not sizes or sizes[0] < 1:
        raise PlanError(f"team_sizes is {tuple(team_sizes)}; give one or more sizes of 1 rep or more")
    wrong = [gain for gain in improvements if not 0 <= gain < float("inf")]
    if wrong:
        raise PlanError(f"improvements: {listed(wrong)}; they must be 0 or more, such as 0.2")
    return sizes


def _check_false_alarm(false_alarm: float) -> None:
    if not 0 < false_alarm < 1:
        raise PlanError(f"false_alarm is {false_alarm!r}; it must lie between 0 and 1, such as 0.1")


def _history(
    bookings: pd.DataFrame | npt.ArrayLike, quotas: pd.DataFrame | npt.ArrayLike
) -> tuple[FloatArray, FloatArray, list[str]]:
    """Bookings and quotas as arrays (rep, quarter) in one order, and the names of the quarters."""
    if isinstance(bookings, pd.DataFrame) and isinstance(quotas, pd.DataFrame):
        for what, table in (("bookings", bookings), ("quotas", quotas)):
            for labels, kind in ((table.index, "reps"), (table.columns, "quarters")):
                if not labels.is_unique:
                    twice = listed(list(labels[labels.duplicated()].unique()))
                    raise PlanError(f"{what}: the {kind} {twice} stand more than once")
        bookings = bookings.reindex(index=quotas.index, columns=quotas.columns)
    labelled = quotas if isinstance(quotas, pd.DataFrame) else bookings
    booked, asked = _amounts(bookings, "bookings"), _amounts(quotas, "quotas")
    if booked.shape != asked.shape:
        raise PlanError(f"bookings have the shape {booked.shape}, quotas {asked.shape}; give the same")
    if (asked < 0).any():
        raise PlanError(
            f"quotas: {listed([f'{x:g}' for x in asked[asked < 0]])} is below zero; write 0 for none"
        )
    if isinstance(labelled, pd.DataFrame):
        return booked, asked, [str(name) for name in labelled.columns]
    return booked, asked, [str(k + 1) for k in range(asked.shape[1])]


def _amounts(values: pd.DataFrame | npt.ArrayLike, what: str) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as failure:
        raise PlanError(f"{what} must be numbers, reps × quarters ({failure})") from failure
    if array.ndim != 2:
        raise PlanError(f"{what} must be reps × quarters; they have {array.ndim} dimension(s)")
    if np.isinf(array).any():
        raise PlanError(
            f"{what} must be finite, or NaN where not known; {int(np.isinf(array).sum())} are not"
        )
    return array
