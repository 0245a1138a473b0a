"""Random numbers inside compiled loops: uniforms keyed by what they are for, turned into counts and amounts.

A uniform is a function of a key (seed and name of the stream) and a counter: no state, so any trial, rep and
week can be drawn alone, in any order and by any thread, and always gives the same number (SplitMix64, Steele,
Lea and Flood 2014). Counts and amounts come from inverse distribution functions, so that a slightly larger
mean gives the same or a slightly larger count.

Compiled by numba and kept between runs; importing this module loads numba, so engines import it when they
run.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable

import numba
import numpy as np
import numpy.typing as npt
from scipy.special import gammaincinv, ndtr

__all__ = [
    "gamma_quantile",
    "gamma_table",
    "key_of",
    "mixed",
    "normal_quantile",
    "poisson_quantile",
    "quantile_table",
    "table_quantile",
    "uniform",
]

FloatArray = npt.NDArray[np.float64]

compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
inlined = numba.njit(cache=True, nogil=True, error_model="numpy", inline="always")

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
FIRST, SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFTS = tuple(np.uint64(n) for n in (30, 27, 31))
TO_UNIT = 1.0 / (1 << 52)
#: 0 and then 1 ÷ 1, 1 ÷ 2, …: dividing in a loop is slower than multiplying.
RECIPROCALS = np.append(0.0, 1.0 / np.arange(1, 129))
#: Chances above count as this one: the terms of a Poisson law add up to 1 only up to rounding.
NEARLY_ONE = 1.0 - 1e-12

#: Standard normal scores at which quantiles of a gamma law are tabled, and how many steps lie between.
TABLE_END, TABLE_STEPS = 8.5, 4352

#: A quantile table halves the smaller tail again and again (52 times, down to the smallest uniform) and cuts
#: each halving into eight pieces; a piece is a polynomial of degree 7.
PIECES = 52 * 8
SMALLEST, BELOW_HALF = 2.0**-53, 0.5 - 2.0**-54
#: Bits of a float below those that say which piece; those of the first piece, just below a half.
PIECE_BITS = 49
WITHIN_PIECE, PIECE_UNIT = (1 << PIECE_BITS) - 1, 1.0 / (1 << PIECE_BITS)
FIRST_PIECE = (1022 << 3) - 1


def key_of(seed: int, *name: object) -> np.uint64:
    """Key of the stream with this name.

    >>> bool(key_of(1, "wins", "Rep 1") == key_of(1, "wins", "Rep 1"))
    True
    >>> bool(key_of(1, "a") == key_of(1, "b"))
    False
    """
    text = "\x1f".join(str(part) for part in (seed, *name))
    return np.uint64(int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little"))


@compiled
def mixed(key: np.uint64, counter: int) -> np.uint64:
    """A key for one of many alike, such as a trial: the counter's place in the stream."""
    # also a key that came back from Python as an int: int and uint64 would add up to a float
    z = np.uint64(key) + (np.uint64(counter) + np.uint64(1)) * GOLDEN
    z = (z ^ (z >> SHIFTS[0])) * FIRST
    z = (z ^ (z >> SHIFTS[1])) * SECOND
    return z ^ (z >> SHIFTS[2])


@compiled
def uniform(key: np.uint64, counter: int) -> float:
    """Number of a stream at a place, uniform strictly between 0 and 1.

    >>> 0 < uniform(key_of(1, "luck"), 0) < 1
    True
    """
    # 52 bits and a half: neither 0 nor 1 can come out, and 1 - u is exact
    return (float(mixed(key, counter) >> np.uint64(12)) + 0.5) * TO_UNIT


@compiled
def normal_quantile(chance: float) -> float:
    """Quantile of the standard normal law (Wichura 1988, AS 241), to about 1e-15.

    >>> round(normal_quantile(0.975), 12)
    1.95996398454
    """
    q = chance - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        top = (((((((2509.0809287301226727 * r + 33430.575583588128105) * r + 67265.770927008700853) * r
            + 45921.953931549871457) * r + 13731.693765509461125) * r + 1971.5909503065514427) * r
            + 133.14166789178437745) * r + 3.387132872796366608)  # fmt: skip
        bottom = (((((((5226.495278852545925 * r + 28729.085735721942674) * r + 39307.89580009271061) * r
            + 21213.794301586595867) * r + 5394.1960214247511077) * r + 687.1870074920579083) * r
            + 42.313330701600911252) * r + 1.0)  # fmt: skip
        return q * top / bottom
    r = math.sqrt(-math.log(chance if q < 0 else 1.0 - chance))
    if r <= 5.0:
        r -= 1.6
        top = (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r
            + 0.24178072517745061177) * r + 1.27045825245236838258) * r + 3.64784832476320460504) * r
            + 5.7694972214606914055) * r + 4.6303378461565452959) * r + 1.42343711074968357734)  # fmt: skip
        bottom = (((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r
            + 0.0151986665636164571966) * r + 0.14810397642748007459) * r + 0.68976733498510000455) * r
            + 1.6763848301838038494) * r + 2.05319162663775882187) * r + 1.0)  # fmt: skip
    else:
        r -= 5.0
        top = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
            + 0.0012426609473880784386) * r + 0.026532189526576123093) * r + 0.29656057182850489123) * r
            + 1.7848265399172913358) * r + 5.4637849111641143699) * r + 6.6579046435011037772)  # fmt: skip
        bottom = (((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r
            + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r + 0.0148753612908506148525) * r
            + 0.13692988092273580531) * r + 0.59983220655588793769) * r + 1.0)  # fmt: skip
    return math.copysign(top / bottom, q)


@compiled
def poisson_quantile(chance: float, mean: float) -> int:
    """Smallest count whose chance not to be exceeded is above ``chance`` (to about 1e-12); monotone in both.

    >>> poisson_quantile(0.5, 3.0), poisson_quantile(0.999, 3.0), poisson_quantile(0.5, 800.0)
    (3, 10, 800)
    """
    if mean <= 0.0:
        return 0
    chance = min(chance, NEARLY_ONE)
    start = 0
    if mean > 30.0:
        start = int(max(mean + math.sqrt(mean) * normal_quantile(max(chance, SMALLEST)), 0.0))
    if start < 30:
        return poisson_from_zero(chance, mean)
    # begin close to the answer, with a term by Stirling's series: no digits are lost where counts are large
    count = start
    excess = (count - mean) / mean
    series = (1.0 - (1.0 / 30.0 - 1.0 / (105.0 * count**2)) / count**2) / (12.0 * count)
    term = math.exp(mean * (excess - (1.0 + excess) * math.log1p(excess)) - series)
    term /= math.sqrt(2.0 * math.pi * count)
    below = poisson_below(count, mean, term)
    while count > 0 and below - term > chance:
        below -= term
        term *= count / mean
        count -= 1
    while below <= chance and (term > 1e-18 or count < mean):
        count += 1
        term *= mean / count
        below += term
    return count


@compiled
def poisson_from_zero(chance: float, mean: float) -> int:
    """Poisson quantile by adding up all terms; eight at a time, since a loop that may end at every step costs
    a wrong guess of the processor nearly always."""
    term = math.exp(-mean)
    below = term
    count = 1 if below <= chance else 0
    last = 0
    while below <= chance and last < len(RECIPROCALS) - 8:
        for _ in range(8):
            last += 1
            term *= mean * RECIPROCALS[last]
            below += term
            count += 1 if below <= chance else 0
    return count


@compiled
def poisson_below(count: int, mean: float, term: float) -> float:
    """Chance of at most ``count``, by summing terms downwards from that of ``count``."""
    total = 0.0
    k = count
    while term > 1e-18 * total:
        total += term
        if k == 0:
            break
        term *= k / mean
        k -= 1
    return total


def quantile_table(
    lower: Callable[[FloatArray], FloatArray], upper: Callable[[FloatArray], FloatArray]
) -> FloatArray:
    """Table of any smooth law, to be read by :func:`table_quantile`; shape (2, pieces, 8).

    Args:
        lower: quantiles at chances p, for p up to a half.
        upper: quantiles at chances 1 - p, for p up to a half; apart, so that small p keep their digits.
    """
    places = (1 - np.cos(np.pi * np.arange(8) / 7)) / 2  # both ends among them: pieces meet
    halving, piece = np.divmod(np.arange(PIECES)[:, None], 8)
    chances = 2.0 ** -(halving + 2) * (1 + (7 - piece + places) / 8)
    powers = np.vander(places, increasing=True)
    return np.stack([np.linalg.solve(powers, law(chances).T).T for law in (lower, upper)])


@compiled
def table_quantile(table: FloatArray, chance: float) -> float:
    """Quantile of the law of a table; correct to about twelve digits for a lognormal law.

    >>> from scipy.special import ndtri
    >>> table = quantile_table(lambda p: np.exp(ndtri(p)), lambda p: np.exp(-ndtri(p)))
    >>> bool(abs(table_quantile(table, 0.975) / np.exp(ndtri(0.975)) - 1) < 1e-12)
    True
    """
    side = 1 if chance > 0.5 else 0
    tail = min(max(1.0 - chance if side else chance, SMALLEST), BELOW_HALF)
    # the leading bits of a float are its halving and its piece, the others its place within the piece
    bits = np.float64(tail).view(np.int64)
    piece = FIRST_PIECE - (bits >> PIECE_BITS)
    t = float(bits & WITHIN_PIECE) * PIECE_UNIT
    total = table[side, piece, 7]
    for power in range(6, -1, -1):
        total = total * t + table[side, piece, power]
    return float(total)


def gamma_table(shape: float) -> FloatArray:
    """Quantiles of a gamma law with mean 1 on an even grid of standard normal scores, shape (points,)."""
    scores = np.linspace(-TABLE_END, TABLE_END, TABLE_STEPS + 1)
    return np.asarray(gammaincinv(shape, ndtr(scores)) / shape)


@compiled
def gamma_quantile(table: FloatArray, chance: float) -> float:
    """Quantile of the gamma law of a table: cubic between its points, correct to about eight digits.

    >>> from scipy.special import gammaincinv
    >>> bool(abs(gamma_quantile(gamma_table(16.0), 0.3) / (gammaincinv(16.0, 0.3) / 16.0) - 1) < 1e-8)
    True
    """
    place = (normal_quantile(chance) + TABLE_END) * (TABLE_STEPS / (2 * TABLE_END))
    left = min(max(int(place), 1), TABLE_STEPS - 2)
    t = place - left
    a, b, c, d = table[left - 1], table[left], table[left + 1], table[left + 2]
    # Lagrange through four neighbours
    return float(
        -a * t * (t - 1) * (t - 2) / 6
        + b * (t + 1) * (t - 1) * (t - 2) / 2
        - c * (t + 1) * t * (t - 2) / 2
        + d * (t + 1) * t * (t - 1) / 6
    )
