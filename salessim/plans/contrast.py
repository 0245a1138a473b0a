"""What is wrong with a quota plan, by name [B2]: from attainment by rep and of the team to one of five cases.

Half the team plan made with a fifth of the reps on quota, and half the team plan made with all reps on
quota, are both wrong plans, for opposite reasons. :func:`contrast` names the case of one past period,
:func:`contrast_law` tells how probable each case is in a simulated one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim import formats
from salessim.documents import Part
from salessim.engine import Outcome, SampledOutcome, simulate
from salessim.errors import PlanError, listed
from salessim.intervals import wilson
from salessim.model import Share
from salessim.plans.quota import BAND, QuotaPlan, period_quotas

__all__ = [
    "CASES",
    "Case",
    "Concentration",
    "Contrast",
    "ContrastLaw",
    "Thresholds",
    "concentration",
    "contrast",
    "contrast_law",
]

FloatArray = npt.NDArray[np.float64]

Case = Literal["healthy", "too hard", "too easy", "few carry the team", "quotas do not add up to the plan"]

#: The five cases of [B2].
CASES: tuple[Case, ...] = get_args(Case)

#: Shares that should be equal may differ by rounding.
TOLERANCE = 1e-9


class Thresholds(Part):
    """Where one case of [B2] ends and the next begins; the share of reps on quota has the band for that.

    >>> Thresholds().top_fifth_excess
    0.2
    """

    plan_missed_below: Share = 0.90
    """Team attainment below which the team plan counts as missed by more than a little. A plan that is
    expected to be met just so is missed by some per cent in every second period."""
    top_fifth_excess: Share = 0.20
    """Few carry the team where the top fifth of reps hold so much more of the bookings than of the quotas
    (0.20: twenty points). With equal quotas 20 points more mean 40 % of the bookings: what a fifth of the
    reps bring at least when they alone make quota and the team books half of what is asked [B2]."""


@dataclass(frozen=True)
class Concentration:
    """How much the bookings hang on few reps."""

    top_fifth_share: float
    """Share of bookings from the fifth of reps who book most; 0.2: all book alike. NaN: nothing booked."""
    gini: float
    """Gini coefficient: 0: all book alike; (n − 1)/n: one books all. NaN: nothing booked."""
    n: int
    """Reps counted."""
    left_out: int
    """Reps left out because their bookings are not known (NaN)."""
    negative: int
    """Reps with negative bookings (credit notes), counted as zero here."""


def concentration(bookings: npt.ArrayLike) -> Concentration:
    """How much of the bookings comes from the fifth of reps who book most, and how unequal bookings are.

    A fifth of 7 reps is 1.4 reps: the best rep counts whole and the second with 0.4. So equal bookings give
    0.2 for any number of reps.

    Args:
        bookings: bookings of each rep, in any one currency, shape (reps,). NaN (not known) is left out and
            counted in ``left_out``; negative bookings count as zero.

    Returns:
        Share of the top fifth, Gini coefficient (mean absolute difference ÷ twice the mean, not corrected
        for small n) and number of reps; NaN where the total is zero.

    Raises:
        PlanError: bookings are not a list of finite numbers or NaN.

    >>> few = concentration([400.0, 100.0, 100.0, 100.0, 100.0, 100.0, 100.0])
    >>> round(few.top_fifth_share, 3), round(few.gini, 3), few.n  # (400 + 0.4 · 100) ÷ 1000
    (0.44, 0.257, 7)
    """
    values = _amounts(bookings, "bookings")
    known = values[~np.isnan(values)]
    share, gini, _ = _top_fifth(known[None, :], np.ones(len(known)))
    return Concentration(
        top_fifth_share=float(share[0]),
        gini=float(gini[0]),
        n=len(known),
        left_out=len(values) - len(known),
        negative=int((known < 0).sum()),
    )


@dataclass(frozen=True)
class Contrast:
    """The case that a quota plan is, with the figures it was read from; shares are fractions."""

    case: Case
    """Name of the case."""
    evidence: str
    """The figures in one sentence."""
    change: str
    """What to change, in one sentence."""
    remarks: tuple[str, ...]
    """How sure the name is, and what was left out; empty: nothing to add."""
    reps: int
    """Reps with a quota and known bookings."""
    attaining: int
    """Reps who made quota (bookings at least the quota)."""
    share_attaining: float
    share_low: float
    """Low end of Wilson's 80 % interval of the share: what the same quotas may give without this luck."""
    share_high: float
    """High end of it."""
    team_attainment: float
    """Bookings of all reps ÷ team plan; NaN: no team plan stated."""
    attainment_of_quotas: float
    """Bookings of the reps with a quota ÷ the sum of their quotas."""
    over_assignment: float
    """Sum of quotas ÷ team plan − 1 [B6]; NaN: no team plan stated."""
    concentration: Concentration
    """Bookings of the reps with a quota."""
    top_fifth_of_quotas: float
    """Share of the quotas that the top fifth of reps (by bookings) hold; 0.2 where quotas are equal."""
    band: tuple[float, float]
    thresholds: Thresholds


def contrast(
    bookings: npt.ArrayLike,
    quotas: npt.ArrayLike,
    *,
    team_plan: float | None = None,
    band: tuple[float, float] = BAND,
    thresholds: Thresholds = Thresholds(),  # noqa: B008  # frozen
) -> Contrast:
    """Name what is right or wrong with the quotas of one period [B2].

    The case is read from the top of this table; every period falls into exactly one row:

    ===  =====================  =====================  ====================  ================================
    row  share on quota         team plan              top fifth of reps     case
    ===  =====================  =====================  ====================  ================================
    1    in or above the band   missed                 any                   quotas do not add up to the plan
    2    above the band         made, or none stated   any                   too easy
    3    in the band            made, or none stated   any                   healthy
    4    below the band         any                    hold 20 points more   few carry the team
    5    below the band         any                    less than that        too hard
    ===  =====================  =====================  ====================  ================================

    "Missed" and "20 points more" are :class:`Thresholds`. Row 1 comes before rows 2 and 3: reps who make
    their quotas while the company misses its plan have the wrong quotas, however many they are. Row 4 comes
    before row 5: lower quotas for all would not help a team that lives on a few.

    The interval of the share takes reps for independent of each other; a good or bad quarter of the whole
    market makes it wider. :func:`contrast_law` has that in it.

    Args:
        bookings: of each rep in the period, in currency, shape (reps,); NaN: not known.
        quotas: of each rep, same order, or both as pandas Series by rep, which are then matched by name.
            NaN or 0: no quota; the bookings count for the team plan and nothing else.
        team_plan: bookings that the company planned with; None: not stated, then row 1 cannot be told.
        band: share of reps that should make quota, from and to [B1].
        thresholds: where a case begins.

    Raises:
        PlanError: nobody carries a quota; a quota is negative; an amount is infinite; the numbers of
            bookings and quotas differ.

    >>> few = contrast([150.0, 100.0] + [31.25] * 8, [100.0] * 10, team_plan=1000.0)
    >>> few.case, few.team_attainment, few.share_attaining
    ('few carry the team', 0.5, 0.2)
    >>> contrast([50.0] * 10, [50.0] * 10, team_plan=1000.0).case  # the same half of the plan
    'quotas do not add up to the plan'
    """
    asked_of_team = _team_plan(team_plan)
    if not 0 <= band[0] < band[1] <= 1:
        raise PlanError(
            f"band is {band[0]:g} to {band[1]:g}; it must rise within 0 to 1, such as 0.6 to 0.75"
        )
    booked, asked = _paired(bookings, quotas)
    held = asked > 0
    counted = held & ~np.isnan(booked)
    if not counted.any():
        raise PlanError("no rep has both a quota above zero and known bookings; there is nothing to compare")
    figures = _figures(booked[None, :], asked, counted, asked_of_team)
    case = CASES[int(_cases(figures, band, thresholds)[0])]
    reps, attaining = int(counted.sum()), int((booked[counted] >= asked[counted]).sum())
    low, high = _wilson(attaining, reps)
    found = Contrast(
        case=case,
        evidence="",
        change="",
        remarks=(),
        reps=reps,
        attaining=attaining,
        share_attaining=attaining / reps,
        share_low=low,
        share_high=high,
        team_attainment=float(figures.team[0]),
        attainment_of_quotas=float(booked[counted].sum() / asked[counted].sum()),
        over_assignment=float(asked[held].sum() / asked_of_team - 1),
        concentration=concentration(booked[counted]),
        top_fifth_of_quotas=float(figures.top_quotas[0]),
        band=band,
        thresholds=thresholds,
    )
    left_out = int((held & np.isnan(booked)).sum())
    return replace(
        found, evidence=_evidence(found), change=_change(found), remarks=_remarks(found, left_out=left_out)
    )


@dataclass(frozen=True)
class ContrastLaw:
    """How probable each case of [B2] is for a quota plan in one simulated period."""

    period: str
    table: pd.DataFrame
    """One row per case in the order of :data:`CASES`: case, probability, low, high (80 % interval of the
    simulation)."""
    trials: int
    seed: int
    team_plan: float
    """Planned bookings; NaN: not stated, then "quotas do not add up to the plan" has probability 0."""

    @property
    def most_probable(self) -> Case:
        """The case with the highest probability."""
        return CASES[int(self.table["probability"].to_numpy().argmax())]


def contrast_law(
    outcome: Outcome,
    plan: QuotaPlan,
    period: str,
    *,
    thresholds: Thresholds = Thresholds(),  # noqa: B008  # frozen
    trials: int = 4_000,
    seed: int = 1,
) -> ContrastLaw:
    """How probable each case of [B2] is when a plan meets the luck of one period.

    Every trial is judged like a real period, by the table of :func:`contrast`, with the band and the team
    plan of the quota plan. It also tells how much a name given to a real period is worth: a plan that is
    right on average may look like three other cases by luck alone.

    Args:
        outcome: what the team may book. A simulated outcome is judged on its own trials; for an exact one,
            which has none, its scenario is simulated.
        plan: the quotas.
        period: a quarter of the scenario, or "horizon".
        thresholds: where a case begins.
        trials: simulated horizons, for an exact outcome.
        seed: of the simulation, for an exact outcome.

    Raises:
        EngineError: unknown period. PlanError: nobody carries a quota in the period.

    >>> from salessim.engine import simulate
    >>> from salessim.library import example_plan, example_scenario
    >>> law = contrast_law(simulate(example_scenario()), example_plan(), "2026Q3", trials=400)
    >>> float(law.table["probability"].sum().round(6))
    1.0
    """
    chosen = outcome.quarters_of(period)
    asked = period_quotas(plan, outcome.scenario, period)
    counted = np.isfinite(asked)
    if not counted.any():
        raise PlanError(f"plan '{plan.name}': nobody carries a quota in {period}")
    sampled = outcome
    if not isinstance(sampled, SampledOutcome):
        sampled = simulate(outcome.scenario, engine="thinning", trials=trials, seed=seed)
    assert isinstance(sampled, SampledOutcome)  # what the thinning engine returns
    team_plan = plan.team_plan(outcome.scenario, period)
    booked = sampled.bookings[:, :, chosen].sum(axis=2)
    found = _cases(_figures(booked, asked, counted, team_plan), plan.target_band, thresholds)
    number = np.bincount(found, minlength=len(CASES))
    ends = [_wilson(int(k), len(found)) for k in number]
    table = pd.DataFrame(
        {
            "case": list(CASES),
            "probability": number / len(found),
            "low": [low for low, _ in ends],
            "high": [high for _, high in ends],
        }
    )
    assert sampled.seed is not None
    return ContrastLaw(period=period, table=table, trials=len(found), seed=sampled.seed, team_plan=team_plan)


@dataclass(frozen=True)
class _Figures:
    """What a case is read from, for each trial (or the one real period); shape (trials,)."""

    share: FloatArray  # share of reps on quota
    team: FloatArray  # bookings of all ÷ team plan; NaN: no plan
    top: FloatArray  # share of bookings from the top fifth; NaN: nothing booked
    top_quotas: FloatArray  # share of the quotas that they hold


def _figures(
    booked: FloatArray, asked: FloatArray, counted: npt.NDArray[np.bool_], team_plan: float
) -> _Figures:
    """Figures of bookings (trial, rep) against quotas (rep,); reps not counted matter to the plan only."""
    mine, theirs = booked[:, counted], asked[counted]
    top, _, top_quotas = _top_fifth(mine, theirs)
    return _Figures(
        share=(mine >= theirs).mean(axis=1),
        team=np.nansum(booked, axis=1) / team_plan,
        top=top,
        top_quotas=top_quotas,
    )


def _cases(figures: _Figures, band: tuple[float, float], thresholds: Thresholds) -> npt.NDArray[np.intp]:
    """Position in CASES for each trial: the table of :func:`contrast`, row by row."""
    below = figures.share < band[0] - TOLERANCE
    above = figures.share > band[1] + TOLERANCE
    missed = figures.team < thresholds.plan_missed_below - TOLERANCE  # never, without a plan (NaN)
    few = figures.top - figures.top_quotas >= thresholds.top_fifth_excess - TOLERANCE
    named: list[tuple[npt.NDArray[np.bool_], Case]] = [
        (~below & missed, "quotas do not add up to the plan"),
        (above, "too easy"),
        (~below, "healthy"),
        (few, "few carry the team"),
    ]
    places = [np.full(len(below), CASES.index(case)) for _, case in named]
    return np.asarray(
        np.select([rows for rows, _ in named], places, default=CASES.index("too hard")), dtype=np.intp
    )


def _top_fifth(booked: FloatArray, asked: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Share of bookings from the top fifth, Gini, and the share of the quotas that the top fifth hold.

    ``booked`` has the shape (trial, rep), ``asked`` (rep,); the result has (trial,). Among reps who book the
    same, those with the smaller quota come first, so that the order of the reps changes nothing.
    """
    reps = len(asked)
    if reps == 0:
        nothing = np.full(len(booked), np.nan)
        return nothing, nothing, nothing
    by_quota = np.argsort(asked, kind="stable")
    amounts, held = np.maximum(booked[:, by_quota], 0.0), asked[by_quota]
    order = np.argsort(-amounts, axis=1, kind="stable")
    ranked = np.take_along_axis(amounts, order, axis=1)  # highest first
    weight = np.clip(reps / 5 - np.arange(reps), 0.0, 1.0)
    total = np.where(ranked.sum(axis=1) > 0, ranked.sum(axis=1), np.nan)
    gini = ranked @ (reps - 1 - 2 * np.arange(reps)) / (reps * total)
    return ranked @ weight / total, gini, held[order] @ weight / held.sum()


def _wilson(successes: int, n: int) -> tuple[float, float]:
    _, low, high = wilson(successes, n)
    return float(low), float(high)


def _evidence(found: Contrast) -> str:
    parts = [
        f"{found.attaining} of {_reps(found.reps)} made quota ({formats.percent(found.share_attaining)}, "
        f"80 % interval {_range(found.share_low, found.share_high)}; wanted are {_range(*found.band)})"
    ]
    if np.isnan(found.team_attainment):
        parts.append(f"they booked {formats.percent(found.attainment_of_quotas)} of the sum of their quotas")
    else:
        parts.append(
            f"the team booked {formats.percent(found.team_attainment)} of its plan with quotas that add up "
            f"to {formats.percent(1 + found.over_assignment)} of it"
        )
    if np.isnan(found.concentration.top_fifth_share):
        parts.append("and nothing was booked by reps with a quota")
    else:
        parts.append(
            f"and the top fifth of reps brought {formats.percent(found.concentration.top_fifth_share)} of "
            f"the bookings on {formats.percent(found.top_fifth_of_quotas)} of the quotas "
            f"(Gini {found.concentration.gini:.2f})"
        )
    return ", ".join(parts) + "."


def _change(found: Contrast) -> str:
    wanted = _range(*found.band)
    if found.case == "quotas do not add up to the plan":
        if found.over_assignment < -TOLERANCE:
            return (
                "Bring quotas and team plan together: ask more where quotas are easily made, and else "
                "add reps or leads, or lower the plan, since selling to quota cannot make it."
            )
        return (
            "Plan with more over-assignment or help those far below quota, since what they miss is more than "
            "the quotas add up to above the plan."
        )
    return {
        "healthy": "Keep the quotas, and show every rep the chance of making the next one.",
        "too easy": (
            f"Raise the quotas, and the team plan with them, to a level that {wanted} of the reps make: "
            "quotas this low leave growth on the table."
        ),
        "few carry the team": (
            "Do not lower all quotas alike: set them by the potential of each territory, and bring to the "
            "others what the top fifth do differently."
        ),
        "too hard": (
            f"Lower the quotas to a level that {wanted} of the reps make, or earn the present ones with more "
            "leads, better conversion or more reps: sellers who miss quarter after quarter give up."
        ),
    }[found.case]


def _remarks(found: Contrast, *, left_out: int) -> tuple[str, ...]:
    remarks = []
    k, n = found.attaining, found.reps
    low, high = found.band
    shares = np.arange(n + 1) / n
    places = [
        name
        for name, reached in (
            ("below", found.share_low < low),
            ("in", found.share_low <= high and found.share_high >= low),
            ("above", found.share_high > high),
        )
        if reached
    ]
    here = "below" if found.share_attaining < low - TOLERANCE else "above"
    if low - TOLERANCE <= found.share_attaining <= high + TOLERANCE:
        here = "in"
    others = [name for name in places if name != here]
    if here != "in" and "in" in others:
        remarks.append(
            f"{k} of {n} cannot be told from the band: with so few reps, a plan that {_range(low, high)} "
            "make gives such a result by luck."
        )
    elif here == "in" and others:
        remarks.append(
            f"{k} of {n} lies in the band, but so few reps cannot tell whether the plan does: it may be "
            f"{' or '.join(others)} it."
        )
    if not ((shares >= low - TOLERANCE) & (shares <= high + TOLERANCE)).any():
        remarks.append(f"With {_reps(n)} no number of them lies in the band; judge over several periods.")
    if np.isnan(found.team_attainment):
        remarks.append("No team plan is stated: whether the quotas add up to it cannot be told.")
    elif found.case in ("healthy", "too easy") and found.team_attainment < 1:
        remarks.append(
            f"The team missed its plan by {formats.percent(1 - found.team_attainment)}, a little only."
        )
    elif (
        found.case == "too hard"
        and found.over_assignment < -TOLERANCE
        and found.team_attainment < found.thresholds.plan_missed_below
    ):
        remarks.append(
            "The quotas are too hard and do not even add up to the plan: the team is too small for it."
        )
    elif found.case == "too hard" and found.team_attainment >= 1:
        remarks.append(
            "The team plan was made all the same: the quotas add up to "
            f"{formats.percent(1 + found.over_assignment)} of it."
        )
    excess = found.concentration.top_fifth_share - found.top_fifth_of_quotas
    if found.case != "few carry the team" and excess >= found.thresholds.top_fifth_excess - TOLERANCE:
        remarks.append("The bookings hang on few reps, whatever the share on quota says.")
    if left_out:
        remarks.append(f"{left_out} rep(s) with a quota left out: their bookings are not known.")
    if found.concentration.negative:
        remarks.append(
            f"{found.concentration.negative} rep(s) with negative bookings count as zero in the top fifth "
            "and in Gini's coefficient."
        )
    return tuple(remarks)


def _reps(number: int) -> str:
    return "1 rep" if number == 1 else f"{number} reps"


def _range(low: float, high: float) -> str:
    return f"{formats.percent(low)} to {formats.percent(high)}"


def _team_plan(team_plan: float | None) -> float:
    if team_plan is None or np.isnan(team_plan):
        return float("nan")
    if not 0 < team_plan < float("inf"):
        raise PlanError(f"team_plan is {team_plan!r}; it must be above zero, or None where none is stated")
    return float(team_plan)


def _paired(bookings: npt.ArrayLike, quotas: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Bookings and quotas as arrays in one order; NaN where a rep is missing from one of two Series."""
    if isinstance(bookings, pd.Series) and isinstance(quotas, pd.Series):
        for what, series in (("bookings", bookings), ("quotas", quotas)):
            if not series.index.is_unique:
                twice = listed(list(series.index[series.index.duplicated()].unique()))
                raise PlanError(f"{what}: {twice} stands more than once; give one figure per rep")
        names = quotas.index.union(bookings.index, sort=False)
        bookings, quotas = bookings.reindex(names), quotas.reindex(names)
    booked, asked = _amounts(bookings, "bookings"), _amounts(quotas, "quotas")
    if len(booked) != len(asked):
        raise PlanError(f"there are {len(booked)} bookings for {len(asked)} quotas; give one of each per rep")
    if (asked < 0).any():
        raise PlanError(
            f"quotas: {listed([f'{x:g}' for x in asked[asked < 0]])} is below zero; it must not be"
        )
    return booked, asked


def _amounts(values: npt.ArrayLike, what: str) -> FloatArray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as failure:
        raise PlanError(f"{what} must be numbers, one per rep ({failure})") from failure
    if array.ndim != 1:
        raise PlanError(f"{what} must be one number per rep; they have {array.ndim} dimensions")
    if np.isinf(array).any():
        raise PlanError(
            f"{what} must be finite, or NaN where not known; {int(np.isinf(array).sum())} are not"
        )
    return array
