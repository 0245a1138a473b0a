"""Deal sizes: a lognormal law where it fits, else the observed amounts, with honest intervals for both."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from salessim.calibrate.estimates import Notes, Parameter, student
from salessim.formats import percent
from salessim.intervals import LEVEL
from salessim.model import DealSize

__all__ = ["FEWEST_WON", "WIDEST_LOGNORMAL", "SizeLaw", "deal_size_of"]

FloatArray = npt.NDArray[np.float64]

#: Amounts that an observed deal-size law is condensed to, each the mean of as many deals.
MOST_AMOUNTS = 100
#: Fewer won deals than this do not tell a law of deal sizes.
FEWEST_WON = 5
#: Fewer won deals than this are too few to refuse a lognormal law.
FEWEST_TESTED = 8
#: Chance by which a lognormal law is refused although it holds (Lilliefors' test on the logarithms).
REFUSED = 0.05
#: Smallest chance in the table of that test.
LEAST_TABLED = 0.001
#: Skewness of observed amounts, in √n, above which Student's interval of their mean holds far too seldom: of
#: amounts with a Pareto law (index 1.5) in 46 to 57 % of samples of 12 to 150.
MOST_SKEWNESS = 0.4
#: Spread between deals (cv) that is assumed where one won deal cannot tell.
ASSUMED_SIZE_CV = 1.0
#: Widest lognormal law (standard deviation of the logarithms, cv 7): the mean of a wider one would rest on
#: deals larger than any that were seen.
WIDEST_LOGNORMAL = 2.0


@dataclass(frozen=True)
class SizeLaw:
    """What is known of the size of a segment's deals: the law, and what it was estimated from.

    ``spread`` is the standard deviation of the logarithms of ``n`` amounts (NaN: the law is not lognormal),
    ``chance`` that of a worse fit by luck if it were lognormal (NaN: too few deals to test).
    """

    segment: str
    size: DealSize
    n: int
    spread: float
    chance: float
    verdict: str


def deal_size_of(segment: str, won: FloatArray, notes: Notes) -> SizeLaw:
    """The law of the amounts of won deals, with mean and cv as parameters in ``notes``.

    Lognormal where Lilliefors' test on the logarithms does not refuse it (5 %), with Cox's interval for the
    mean and that of a normal law's variance for the cv. Else the observed amounts, with Student's interval
    for the mean and a jackknife interval for the cv. Fewer than five deals tell no law: their plain mean and
    spread, without an interval.

    >>> law = deal_size_of("SMB", np.array([900.0, 1000.0, 1100.0, 1300.0, 800.0]), Notes())
    >>> law.verdict
    'lognormal'
    """
    n, mean = len(won), float(won.mean())
    deviation = float(won.std(ddof=1)) if n > 1 else math.nan
    limits = cv_limits = (math.nan, math.nan)
    logs = np.log(won[won > 0])
    spread = float(logs.std(ddof=1)) if len(logs) > 1 else 0.0
    chance, fits = math.nan, len(logs) == n and spread < WIDEST_LOGNORMAL
    if fits and n >= FEWEST_TESTED and spread > 0:
        from statsmodels.stats.diagnostic import lilliefors

        chance = float(lilliefors(logs, dist="norm")[1])
        fits = chance >= REFUSED
    if n < FEWEST_WON:
        cv = deviation / mean if n > 1 else ASSUMED_SIZE_CV
        size, note = DealSize(mean=mean, cv=cv), "too few won deals for an interval"
        note += "" if n > 1 else "; the spread is assumed"
        spread = math.nan
    elif fits:
        mean = math.exp(float(logs.mean()) + spread**2 / 2)
        # Cox's interval for the mean of a lognormal law
        error = student(n - 1) * math.sqrt(spread**2 / n + spread**4 / (2 * (n - 1)))
        limits, cv_limits = (mean * math.exp(-error), mean * math.exp(error)), _cv_limits(spread, n)
        cv = math.sqrt(math.expm1(spread**2))
        size, note = DealSize(mean=mean, cv=cv), "lognormal"
    else:
        error = student(n - 1) * deviation / math.sqrt(n)
        limits, cv = (max(mean - error, 0.0), mean + error), deviation / mean if mean else 0.0
        cv_limits = _observed_cv_limits(won)
        size, note = _observed(won), "observed amounts (a lognormal law does not fit)"
        if _skewness(won) > MOST_SKEWNESS * math.sqrt(n):
            part = percent(float(won.max() / won.sum()))
            notes.warnings.append(
                f"segment '{segment}': the largest of {n:,} won deals makes {part} of their value: the mean "
                "deal size rests on a few deals, and is less sure than its interval says"
            )
        spread = math.nan
    notes.parameters.append(Parameter("mean deal size", segment, mean, *limits, n, "money", note))
    notes.parameters.append(Parameter("cv of deal size", segment, cv, *cv_limits, n, "cv", note))
    if n < 2 * FEWEST_WON:
        notes.warnings.append(f"segment '{segment}': deal size from {n} won deals only")
    verdict = note
    if math.isfinite(chance):
        found = (
            f"{percent(chance, digits=1)}"
            if chance > LEAST_TABLED
            else f"at most {percent(LEAST_TABLED, digits=1)}"
        )
        verdict += (
            f": amounts that follow such a law differ from it this much in {found} of cases (Lilliefors' "
            f"test; refused below {percent(REFUSED)})"
        )
    return SizeLaw(segment, size, n, spread, chance, verdict)


def _cv_limits(spread: float, n: int) -> tuple[float, float]:
    from scipy.stats import chi2

    low, high = (spread**2 * (n - 1) / chi2.ppf(p, n - 1) for p in ((1 + LEVEL) / 2, (1 - LEVEL) / 2))
    return math.sqrt(math.expm1(low)), math.sqrt(math.expm1(high))


def _observed_cv_limits(won: FloatArray) -> tuple[float, float]:
    """Jackknife interval of the logarithm of the cv; NaN where all amounts are alike."""
    n = len(won)
    total, squares = won.sum() - won, (won**2).sum() - won**2  # each deal left out once
    mean = total / (n - 1)
    variance = (squares - (n - 1) * mean**2) / (n - 2)
    if not (variance > 0).all() or not (mean > 0).all():
        return math.nan, math.nan
    logs = np.log(np.sqrt(variance) / mean)
    error = student(n - 1) * math.sqrt((n - 1) / n * float(((logs - logs.mean()) ** 2).sum()))
    cv = float(won.std(ddof=1) / won.mean())
    return cv * math.exp(-error), cv * math.exp(error)


def _skewness(won: FloatArray) -> float:
    apart = won - won.mean()
    spread = float((apart**2).mean())
    return float((apart**3).mean()) / spread**1.5 if spread > 0 else 0.0


def _observed(won: FloatArray) -> DealSize:
    """Observed amounts with their shares; many different ones are condensed to groups that keep the mean."""
    amounts, counts = np.unique(won, return_counts=True)
    if len(amounts) > MOST_AMOUNTS:
        groups = np.array_split(np.sort(won), MOST_AMOUNTS)
        amounts, counts = np.array([group.mean() for group in groups]), np.array([len(g) for g in groups])
        amounts, where = np.unique(np.round(amounts, 4), return_inverse=True)
        counts = np.bincount(where, weights=counts)
    return DealSize(amounts=tuple(amounts.tolist()), shares=tuple((counts / counts.sum()).tolist()))
