"""How demand moves: season, growth, the shocks that all sellers share, and how long a shock lasts.

Counts of new opportunities by quarter, relative to what the people at work would have found in a steady
market, are fitted on a logarithmic scale. Season and growth are kept only where they are more than luck and
shocks explain, and a season is drawn towards none; what is left between quarters is the market shock.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.calibrate.estimates import (
    NormalFit,
    Notes,
    Parameter,
    Spread,
    extra_spread,
    rounded,
    weighted_fit,
)
from salessim.formats import percent
from salessim.intervals import LEVEL
from salessim.model import Seasonality
from salessim.periods import Quarter

__all__ = ["STEADY", "Pattern", "Shock", "pattern_of", "pattern_of_segment", "shock_of"]

FloatArray = npt.NDArray[np.float64]

#: Spread of demand between quarters that is assumed where the history is too short to tell.
ASSUMED_SHOCK_CV = 0.10
#: Fewer full quarters do not tell a spread between quarters.
FEWEST_FOR_SHOCK = 3
#: Season, growth and persistence need two years: a rising half-year may be a season, and the other way round.
FEWEST_QUARTERS = 8
#: In quarters with fewer opportunities, the logarithm of a count is too far from a normal law.
FEWEST_PER_QUARTER = 5
#: Season and growth are kept where luck makes them as large with a chance below this.
MORE_THAN_LUCK = 0.05
#: Columns of the design: level, season (three contrasts), growth.
_SEASON, _GROWTH = (1, 2, 3), 4
#: Of a quarter's shock, what may be left in the next.
_PERSISTENCE = np.arange(20) / 20


@dataclass(frozen=True)
class Pattern:
    """Season and growth of demand, as a scenario holds them.

    ``season`` are factors of fiscal quarters 1 to 4 with mean 1, ``growth_per_year`` a share.
    """

    season: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    growth_per_year: float = 0.0

    def factors(self, quarters: Sequence[Quarter], *, first: Quarter) -> FloatArray:
        """Demand of each quarter relative to a mean quarter at the pace of ``first``, shape (quarters,).

        >>> growing = Pattern(growth_per_year=0.21)
        >>> growing.factors([Quarter(2025, 1)], first=Quarter(2025, 3)).round(4).tolist()
        [0.9091]
        """
        season = np.array([self.season[quarter.number - 1] for quarter in quarters])
        years = np.array([_index(quarter) - _index(first) for quarter in quarters]) / 4
        return np.asarray(season * (1 + self.growth_per_year) ** years)

    def seasonality(self, by_month: tuple[float, float, float]) -> Seasonality:
        """The pattern with a rhythm within the quarter, as a part of a scenario."""
        return Seasonality(
            by_quarter=self.season, by_month_of_quarter=by_month, growth_per_year=self.growth_per_year
        )


#: Neither season nor growth.
STEADY = Pattern()


@dataclass(frozen=True, eq=False)
class Shock:
    """What is known of the shocks between quarters: their spread, and how much of one lasts into the next."""

    spread: Spread
    persistence: float


def pattern_of(volume: pd.DataFrame, quarters: Sequence[Quarter], notes: Notes) -> Pattern:
    """Season and growth of the whole company's demand, with intervals in ``notes``.

    Args:
        volume: by quarter: ``made`` (new opportunities), ``expected`` (in a steady market), ``whole``.
        quarters: the quarters of the rows.
        notes: parameters and warnings go here.
    """
    used = volume["whole"].to_numpy(bool)
    seen = [quarter for quarter, whole in zip(quarters, used, strict=True) if whole]
    made, expected = (volume[column].to_numpy(float)[used] for column in ("made", "expected"))
    why = _why_not(seen, made, expected)
    if why:
        notes.parameters.append(
            Parameter("growth of demand", "", 0.0, math.nan, math.nan, len(seen), "share per year", why)
        )
        notes.warnings.append(f"{why}: season and growth of demand are unknown, and none is assumed")
        return STEADY
    return _pattern("", seen, np.log(made / expected), 1 / made, made, notes)


def pattern_of_segment(
    segment: str, own: pd.DataFrame, all_of_it: pd.DataFrame, quarters: Sequence[Quarter], company: Pattern,
    notes: Notes,
) -> Pattern:  # fmt: skip
    """The pattern of a segment: that of the company, unless its share of it moves by more than luck.

    Arguments as those of :func:`pattern_of`, for the segment and for all segments together. A share is free
    of the shocks that all segments have in common.
    """
    used = own["whole"].to_numpy(bool)
    seen = [quarter for quarter, whole in zip(quarters, used, strict=True) if whole]
    made, expected = (own[column].to_numpy(float)[used] for column in ("made", "expected"))
    total, of_all = (all_of_it[column].to_numpy(float)[used] for column in ("made", "expected"))
    if _why_not(seen, made, expected) or (total - made < 1).any():
        return company
    # the segment against the others: both counts are luck
    others, of_others = total - made, np.maximum(of_all - expected, 1e-12)
    apart = np.log(made / expected) - np.log(others / of_others)
    fit = weighted_fit(_design(seen), apart, 1 / made + 1 / others)
    parts = [part for part in (_SEASON, (_GROWTH,)) if fit.chance_of_luck(part) < MORE_THAN_LUCK / 2]
    if not parts:
        return company
    ratio = np.log(made / expected) - np.log(company.factors(seen, first=seen[0]))
    found = _pattern(segment, seen, ratio, 1 / made, made, notes, keep=parts)
    season = np.array(found.season) * np.array(company.season)
    growth = (1 + found.growth_per_year) * (1 + company.growth_per_year) - 1
    return Pattern(_mean_one(season), rounded(growth))


def shock_of(volume: pd.DataFrame, quarters: Sequence[Quarter], pattern: Pattern, notes: Notes) -> Shock:
    """Spread of demand between quarters beyond luck, season and growth, and how much of it lasts.

    Arguments as those of :func:`pattern_of`. Quarters that the window covers only in part do not tell.
    """
    whole = volume["whole"].to_numpy(bool)
    seen = [quarter for quarter, is_whole in zip(quarters, whole, strict=True) if is_whole]
    made = volume["made"].to_numpy(float)[whole]
    expected = volume["expected"].to_numpy(float)[whole]
    steady = pattern == STEADY
    if seen:
        expected = expected * pattern.factors(seen, first=seen[0])
    fitted = 3 * (pattern.season != STEADY.season) + (pattern.growth_per_year != 0)
    free = len(seen) - 1 - fitted
    if len(seen) < FEWEST_FOR_SHOCK:
        cv, low, high = ASSUMED_SHOCK_CV, math.nan, math.nan
        note = f"{len(seen)} full quarters cannot tell; assumed"
        notes.warnings.append(
            f"only {len(seen)} full quarters of history: the spread of demand between quarters cannot be "
            f"estimated and is assumed to be {percent(ASSUMED_SHOCK_CV)}"
        )
        free = 0
    else:
        cv, low, high = extra_spread(made, lambda cv: _levelled(made, expected, cv), free)
        note = "season and growth are in it" if steady else "beyond season and growth"
        note += "" if len(seen) >= FEWEST_QUARTERS else f"; {len(seen)} quarters tell little"
    cv = min(cv, 2.0)
    notes.parameters.append(
        Parameter("market shock between quarters", "", cv, low, high, len(seen), "cv", note)
    )
    persistence = _persistence(made, expected, cv, notes) if free else _unknown(len(seen), notes)
    return Shock(Spread(cv, made, lambda cv: _levelled(made, expected, cv), free), persistence)


def _levelled(made: FloatArray, expected: FloatArray, cv: float) -> FloatArray:
    """Expected counts with the level that fits best, given a spread between quarters."""
    rate = made.sum() / max(expected.sum(), 1e-300)
    weight = 1 / (1 + expected * rate * cv**2)
    return np.asarray(expected * float((made * weight).sum() / max((expected * weight).sum(), 1e-300)))


def _why_not(seen: Sequence[Quarter], made: FloatArray, expected: FloatArray) -> str:
    if len(seen) < FEWEST_QUARTERS:
        return f"{len(seen)} full quarters of history, {FEWEST_QUARTERS} are needed"
    if min(made.min(), expected.min()) < FEWEST_PER_QUARTER:
        return f"a quarter with {made.min():,.0f} opportunities, {FEWEST_PER_QUARTER} are needed in each"
    if seen[-1] != seen[0].shift(len(seen) - 1):
        return "full quarters that do not follow each other"
    return ""


def _design(quarters: Sequence[Quarter]) -> FloatArray:
    """Level, season of quarters 1 to 3 (that of the fourth is minus their sum), years; (quarters, 5)."""
    number = np.array([quarter.number for quarter in quarters])
    season = [(number == k).astype(float) - (number == 4) for k in (1, 2, 3)]
    years = np.array([_index(quarter) for quarter in quarters]) / 4
    return np.column_stack([np.ones(len(number)), *season, years - years.mean()])


def _pattern(
    segment: str, quarters: Sequence[Quarter], logs: FloatArray, variance: FloatArray, made: FloatArray,
    notes: Notes, *, keep: Sequence[tuple[int, ...]] | None = None,
) -> Pattern:  # fmt: skip
    """Fit, report and decide; ``keep``: parts that are kept whatever this fit says of luck."""
    design = _design(quarters)
    fit = weighted_fit(design, logs, variance)
    parts: tuple[tuple[int, ...], ...] = (_SEASON, (_GROWTH,))
    kept = [part for part in parts if fit.chance_of_luck(part) < MORE_THAN_LUCK] if keep is None else [*keep]
    beside = " ÷ that of the company" if segment else ""
    # a season that is more than luck is drawn towards none by the share of it that luck makes
    luck = 1.0
    effects = np.append(fit.values[list(_SEASON)], -fit.values[list(_SEASON)].sum())
    if _SEASON in kept:
        chosen = list(_SEASON)
        inner = np.linalg.solve(fit.covariance[np.ix_(chosen, chosen)], fit.values[chosen])
        luck = min(3 / max(float(fit.values[chosen] @ inner), 1e-300), 1.0)
    season = _mean_one(np.exp(effects * (1 - luck)))
    for number in range(4):
        weights = np.zeros(5)
        weights[list(_SEASON)] = -1.0 if number == 3 else np.eye(3)[number]
        half = fit.half_width(weights)
        value = math.exp(effects[number]) / float(np.exp(effects).mean())
        used = (
            f"{season[number]:.2f} is used, drawn towards 1"
            if _SEASON in kept
            else "no more than luck: not used"
        )
        n = int(sum(m for m, q in zip(made, quarters, strict=True) if q.number == number + 1))
        name = f"demand in fiscal quarter {number + 1} ÷ mean quarter{beside}"
        notes.parameters.append(
            Parameter(name, segment, value, value * math.exp(-half), value * math.exp(half), n, "ratio", used)
        )
    growth, half = _growth(fit)
    if (_GROWTH,) in kept:
        used_growth, note = rounded(math.expm1(growth)), "used"
    else:
        used_growth, note = 0.0, "no more than luck: not used"
        if not segment:
            notes.warnings.append(
                f"{len(quarters)} quarters show no growth beyond luck and shocks (80 % interval "
                f"{percent(math.expm1(growth - half))} to {percent(math.expm1(growth + half))} a year): "
                "none is assumed"
            )
    notes.parameters.append(
        Parameter(
            f"growth of demand{beside}", segment, math.expm1(growth), math.expm1(growth - half),
            math.expm1(growth + half), len(quarters), "share per year", note,
        )
    )  # fmt: skip
    return Pattern(season if _SEASON in kept else STEADY.season, min(used_growth, 10.0))


def _growth(fit: NormalFit) -> tuple[float, float]:
    return float(fit.values[_GROWTH]), fit.half_width(np.eye(5)[_GROWTH])


def _mean_one(factors: FloatArray) -> tuple[float, float, float, float]:
    first, second, third, fourth = (rounded(float(factor)) for factor in factors / factors.mean())
    return first, second, third, fourth


def _index(quarter: Quarter) -> int:
    return 4 * quarter.year + quarter.number


def _unknown(quarters: int, notes: Notes, why: str = "") -> float:
    note = why or f"{quarters} full quarters, {FEWEST_QUARTERS} are needed: unknown, none is assumed"
    notes.parameters.append(
        Parameter(
            "persistence of the market shock", "", 0.0, math.nan, math.nan, quarters, "correlation", note
        )
    )
    return 0.0


def _persistence(made: FloatArray, expected: FloatArray, cv: float, notes: Notes) -> float:
    """Correlation of neighbouring quarters' shocks by restricted likelihood, with its profile interval."""
    n = len(made)
    if n < FEWEST_QUARTERS:
        return _unknown(n, notes)
    if min(made.min(), expected.min()) < FEWEST_PER_QUARTER:
        few = f"a quarter with {made.min():,.0f} opportunities, {FEWEST_PER_QUARTER} are needed in each"
        return _unknown(n, notes, f"{few}: unknown, none is assumed")
    if cv == 0:
        return _unknown(n, notes, "no shock beyond luck: unknown, none is assumed")
    apart = np.abs(np.arange(n)[:, None] - np.arange(n))
    spreads = np.geomspace(0.02, 1.0, 25)
    # (persistence, spread, quarter, quarter)
    covariance = np.diag(1 / made) + spreads[:, None, None] ** 2 * _PERSISTENCE[:, None, None, None] ** apart
    profile = _likelihood(np.log(made / expected), covariance).max(axis=1)
    from scipy.stats import chi2

    inside = _PERSISTENCE[2 * (profile.max() - profile) <= chi2.ppf(LEVEL, 1)]
    best = float(_PERSISTENCE[int(profile.argmax())])
    certain = 2 * (profile.max() - profile[0]) > chi2.ppf(1 - 2 * MORE_THAN_LUCK, 1)
    note = "used" if certain else "no more than luck: not used"
    notes.parameters.append(
        Parameter(
            "persistence of the market shock", "", best, float(inside.min()), float(inside.max()), n,
            "correlation", f"{note}; {n} quarters tell little" if n < 2 * FEWEST_QUARTERS else note,
        )
    )  # fmt: skip
    return best if certain else 0.0


def _likelihood(logs: FloatArray, covariance: FloatArray) -> FloatArray:
    """Restricted log-likelihood of normal observations with an unknown level, for each covariance matrix."""
    inverse = np.linalg.inv(covariance)
    by_row = inverse.sum(axis=-1)
    weight = by_row.sum(axis=-1)
    away = logs - (by_row @ logs / weight)[..., None]
    distance = (away[..., None, :] @ inverse @ away[..., None])[..., 0, 0]
    return np.asarray(-0.5 * (np.linalg.slogdet(covariance)[1] + np.log(weight) + distance))
