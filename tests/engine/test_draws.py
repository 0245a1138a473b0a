"""Random numbers of the compiled engines: the laws they follow, and that they are monotone and unrelated."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import gammainccinv, gammaincinv, ndtri
from scipy.stats import kstest, poisson

from salessim.engine.draws import (
    gamma_quantile,
    gamma_table,
    key_of,
    mixed,
    normal_quantile,
    poisson_quantile,
    quantile_table,
    table_quantile,
    uniform,
)

SMALLEST = 2.0**-53
MANY = 40_000


def many(key: np.uint64, number: int = MANY) -> npt.NDArray[np.float64]:
    key = np.uint64(key)  # compiled functions give Python an int
    return np.array([uniform(key, counter) for counter in range(number)])


# --- uniforms ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [key_of(1, "wins", "rep 1"), mixed(key_of(1, "size"), 17), np.uint64(0)])
def test_uniforms_have_the_moments_and_the_law_of_uniforms(key: np.uint64) -> None:
    numbers = many(key)
    error = 1 / np.sqrt(MANY)
    assert abs(numbers.mean() - 1 / 2) < 4 * error * np.sqrt(1 / 12)
    assert abs(numbers.var() - 1 / 12) < 4 * error * np.sqrt(1 / 180)
    assert kstest(numbers, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("lag", [1, 2, 7, 512])
def test_neighbouring_numbers_are_unrelated(lag: int) -> None:
    numbers = many(key_of(1, "wins", "rep 1"))
    assert abs(np.corrcoef(numbers[lag:], numbers[:-lag])[0, 1]) < 4 / np.sqrt(MANY - lag)


@pytest.mark.parametrize(
    "other",
    [
        key_of(1, "wins", "rep 2"),
        key_of(2, "wins", "rep 1"),
        key_of(1, "wins", "rep", "1"),
        mixed(key_of(1, "wins", "rep 1"), 0),
        np.uint64(key_of(1, "wins", "rep 1") + np.uint64(1)),
    ],
)
def test_two_keys_are_unrelated(other: np.uint64) -> None:
    one, two = many(key_of(1, "wins", "rep 1")), many(other)
    assert abs(np.corrcoef(one, two)[0, 1]) < 4 / np.sqrt(MANY)
    table = np.histogram2d(one, two, bins=8, range=[[0, 1], [0, 1]])[0]
    assert ((table - MANY / 64) ** 2).sum() / (MANY / 64) < 63 + 4 * np.sqrt(2 * 63)  # chi-squared, 63 cells


def test_a_key_that_went_through_python_is_the_same_key() -> None:
    key = np.uint64(17)
    assert [uniform(int(key), counter) for counter in range(5)] == many(key, 5).tolist()


def test_a_number_depends_on_its_key_and_place_alone() -> None:
    key = key_of(3, "skill")
    forwards, backwards = many(key, 100), [uniform(key, counter) for counter in reversed(range(100))]
    assert forwards.tolist() == backwards[::-1]
    assert len(set(forwards)) == 100


def test_a_uniform_and_its_opposite_are_exact() -> None:
    """Antithetic trials use 1 - u: nothing is rounded, and neither 0 nor 1 comes out."""
    numbers = many(key_of(9, "edge"))
    assert (1 - (1 - numbers) == numbers).all()
    assert ((numbers > 0) & (numbers < 1)).all()
    assert (numbers * 2**53 == np.round(numbers * 2**53)).all()


# --- normal ------------------------------------------------------------------------------------------------


def test_normal_quantiles_agree_with_scipy_from_end_to_end() -> None:
    tails = np.concatenate([10.0 ** -np.linspace(0.31, 15.9, 400), [SMALLEST, 0.075, 0.0749999, 0.425]])
    for chance in np.concatenate([tails, np.linspace(0.001, 0.999, 999)]):
        assert normal_quantile(chance) == pytest.approx(ndtri(chance), rel=2e-14, abs=1e-15)
        assert normal_quantile(1 - chance) == pytest.approx(ndtri(1 - chance), rel=2e-14, abs=1e-15)
    assert normal_quantile(0.5) == 0


# --- Poisson -----------------------------------------------------------------------------------------------


@given(
    chance=st.floats(SMALLEST, 1 - 1e-12),
    mean=st.one_of(st.floats(0, 60), st.floats(25, 35), st.floats(60, 20_000)),
)
@settings(max_examples=400, deadline=None)
def test_counts_are_the_inverse_of_the_poisson_law(chance: float, mean: float) -> None:
    """The count of a uniform u is the smallest k whose distribution function exceeds u."""
    count = poisson_quantile(chance, mean)
    slack = 1e-12
    assert poisson.cdf(count, mean) >= chance * (1 - slack) - slack * 1e-3
    assert count == 0 or poisson.cdf(count - 1, mean) <= chance + slack


@pytest.mark.parametrize("mean", [0.02, 3.0, 29.99, 30.01, 64.0, 500.0, 1e6])
def test_counts_agree_with_scipy(mean: float) -> None:
    chances = np.concatenate([np.linspace(0.0005, 0.9995, 200), 10.0 ** -np.arange(4, 13)])
    assert [poisson_quantile(chance, mean) for chance in chances] == poisson.ppf(chances, mean).tolist()


def test_nothing_expected_is_nothing_counted() -> None:
    assert poisson_quantile(1 - SMALLEST, 0.0) == 0
    assert poisson_quantile(1 - SMALLEST, 1e-300) == 0
    assert poisson_quantile(0.5, 1e-9) == 0
    assert poisson_quantile(1 - 1e-12, 1e-9) == 1


@pytest.mark.parametrize("mean", [0.5, 8.0, 31.0, 1000.0, 1e6])
def test_the_last_chances_give_counts_in_reach(mean: float) -> None:
    low, high = poisson_quantile(SMALLEST, mean), poisson_quantile(1 - SMALLEST, mean)
    assert 0 <= low <= mean + 1
    assert abs(low - poisson.ppf(SMALLEST, mean)) <= 1
    assert mean <= high < mean + 9 * math.sqrt(mean) + 20


@given(
    chance=st.floats(SMALLEST, 1 - 1e-9),
    mean=st.one_of(st.floats(0, 40), st.floats(40, 3_000)),
    more=st.floats(1e-6, 0.5),
)
@settings(max_examples=400, deadline=None)
def test_counts_are_monotone_in_mean_and_chance(chance: float, mean: float, more: float) -> None:
    count = poisson_quantile(chance, mean)
    assert poisson_quantile(chance, mean * (1 + more)) >= count
    assert poisson_quantile(chance + (1 - chance) * more, mean) >= count


def test_counts_are_monotone_where_the_method_changes() -> None:
    means = np.concatenate([np.linspace(29.9, 30.1, 101), np.linspace(31, 120, 101)])
    for chance in (SMALLEST, 1e-9, 1e-4, 0.02, 0.3, 0.5, 0.9, 0.999, 1 - 1e-9):
        assert (np.diff([poisson_quantile(chance, mean) for mean in means]) >= 0).all()


# --- gamma, and tables of any law --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [0.3, 1.0, 4.0, 16.0, 400.0, 1e4])
def test_gamma_quantiles_agree_with_scipy_and_rise(shape: float) -> None:
    table = gamma_table(shape)
    chances = np.sort(np.concatenate([np.linspace(0.001, 0.999, 997), 10.0 ** -np.linspace(3, 12, 60)]))
    drawn = np.array([gamma_quantile(table, chance) for chance in chances])
    assert drawn == pytest.approx(gammaincinv(shape, chances) / shape, rel=2e-7, abs=1e-9)
    assert (np.diff(drawn) >= 0).all()
    tails = 10.0 ** -np.linspace(3, 12, 60)
    high = np.array([gamma_quantile(table, 1 - tail) for tail in tails])
    assert high == pytest.approx(gammainccinv(shape, tails) / shape, rel=1e-5)
    assert (np.diff(high) > 0).all()


@pytest.mark.parametrize("shape", [0.3, 16.0, 1e4])
def test_the_last_gamma_quantiles_are_finite_and_not_negative(shape: float) -> None:
    table = gamma_table(shape)
    low, high = gamma_quantile(table, SMALLEST), gamma_quantile(table, 1 - SMALLEST)
    assert 0 <= low < 1 < high < math.inf


@pytest.mark.parametrize("spread", [0.3, 0.83, 1.7, 3.0])
def test_table_quantiles_agree_with_a_lognormal_law_from_end_to_end(spread: float) -> None:
    table = quantile_table(lambda p: np.exp(spread * ndtri(p)), lambda p: np.exp(-spread * ndtri(p)))
    tails = np.concatenate([10.0 ** -np.linspace(0.302, 15.9, 500), 2.0 ** -np.arange(1, 54)])
    tails = np.sort(np.concatenate([tails, np.linspace(0.01, 0.4999, 500)]))
    low = np.array([table_quantile(table, tail) for tail in tails])
    assert low == pytest.approx(np.exp(spread * ndtri(tails)), rel=1e-10)
    chances = np.sort(1 - tails)
    high = np.array([table_quantile(table, chance) for chance in chances])
    assert high == pytest.approx(np.exp(spread * ndtri(chances)), rel=1e-10)
    assert (np.diff(low) >= 0).all()
    assert (np.diff(high) >= 0).all()
    assert low[-1] == pytest.approx(high[0], rel=1e-10)


def test_pieces_of_a_table_meet() -> None:
    table = quantile_table(ndtri, lambda p: -ndtri(p))
    for edge in (0.25, 0.28125, 0.125, 2.0**-20, 0.75, 0.96875):
        below, at = table_quantile(table, np.nextafter(edge, 0)), table_quantile(table, edge)
        assert below == pytest.approx(at, rel=1e-12)
        assert at == pytest.approx(ndtri(edge), rel=1e-11)
