"""The commission schedule of a role as a piecewise linear function of attainment.

Tiers, threshold and cap are compiled once to starts, slopes and jumps; whole arrays are then scored by a few
passes. Attainment a, quota q and target variable pay t of the same time give

    commission = min( t × M(a) + q × R(a),  cap × t )

where M adds up the tiers written as multiples and R those written as rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from salessim.formats import percent

if TYPE_CHECKING:
    from salessim.pay.plan import RolePay, Tier

__all__ = ["Schedule", "accelerators", "compiled", "rate_before_quota", "schedule_warnings"]

FloatArray = npt.NDArray[np.float64]

#: Attainment this close below a step counts as having reached it: two amounts in cents that differ do so by
#: more, and a quotient of floats that should equal the step may fall short by less.
REACHED = 1 - 1e-12
#: Cells scored at once, few enough to stay in the processor's cache.
_BLOCK = 32_768


@dataclass(frozen=True)
class Schedule:
    """Starts of the steps, shape (steps,), and what changes there; the first start is 0.

    ``multiple_*`` are in target variable pay, ``rate_*`` in quotas: slopes per unit of attainment that hold
    from the step on, values at the step itself, jumps from just below to the step.
    """

    starts: FloatArray
    multiple_slopes: FloatArray
    multiple_values: FloatArray
    multiple_jumps: FloatArray
    rate_slopes: FloatArray
    rate_values: FloatArray
    rate_jumps: FloatArray
    cap: float | None

    def commission(
        self, attainment: FloatArray, *, quota: FloatArray, target_variable: FloatArray
    ) -> FloatArray:
        """Commission in currency, the shape of ``attainment``; the others must broadcast to it.

        Attainment, quota and target variable pay belong to the same time and hold no NaN.
        """
        shape = attainment.shape
        by_target = self._has(self.multiple_slopes, self.multiple_jumps)
        by_quota = self._has(self.rate_slopes, self.rate_jumps)
        total = np.zeros(shape)
        if by_target:
            total = _piecewise(attainment, self.starts, self.multiple_slopes, self.multiple_jumps)
            total *= target_variable
        if by_quota:
            total += _piecewise(attainment, self.starts, self.rate_slopes, self.rate_jumps) * quota
        if self.cap is not None:
            np.minimum(total, self.cap * target_variable, out=total)
        return total

    @staticmethod
    def _has(slopes: FloatArray, jumps: FloatArray) -> bool:
        return bool(slopes.any() or jumps.any())


def compiled(role: RolePay) -> Schedule:
    """Compile the tiers and the threshold of a role.

    A threshold that counts from itself lowers every rate below it to nothing, and retroactive tiers reach
    back to it; one that counts from the first unit is a jump.
    """
    counted_from = role.threshold if role.threshold_counts_from == "threshold" else 0.0
    starts, slopes, values = [], [], []  # slopes and values as pairs (multiple, rate)
    slope, value = np.zeros(2), np.zeros(2)
    if counted_from > 0:
        starts.append(0.0)
        slopes.append(slope)
        values.append(value)
    for number, tier in enumerate(role.tiers):
        ends_at = role.tiers[number + 1].starts_at if number + 1 < len(role.tiers) else np.inf
        if ends_at <= counted_from:
            continue
        start = max(tier.starts_at, counted_from)
        value = value + slope * (start - starts[-1]) if starts else value
        slope = np.array([tier.multiple or 0.0, tier.rate or 0.0])
        if tier.retroactive:
            value = slope * (start - counted_from)
        starts.append(start)
        slopes.append(slope)
        values.append(value)
    if role.threshold_counts_from == "first_unit" and role.threshold > 0:
        starts, slopes, values = _held_back(starts, slopes, values, role.threshold)
    at, slope_table, value_table = np.array(starts), np.array(slopes), np.array(values)
    reached = np.zeros_like(value_table)
    reached[1:] = value_table[:-1] + slope_table[:-1] * np.diff(at)[:, None]
    jumps = value_table - reached
    jumps[np.abs(jumps) < 1e-12 * (1 + np.abs(value_table))] = 0.0  # rounding is not a cliff
    return Schedule(
        starts=at,
        multiple_slopes=slope_table[:, 0],
        multiple_values=value_table[:, 0],
        multiple_jumps=jumps[:, 0],
        rate_slopes=slope_table[:, 1],
        rate_values=value_table[:, 1],
        rate_jumps=jumps[:, 1],
        cap=role.cap,
    )


def _held_back(
    starts: list[float], slopes: list[FloatArray], values: list[FloatArray], threshold: float
) -> tuple[list[float], list[FloatArray], list[FloatArray]]:
    """Nothing below the threshold; from it on the schedule as it is."""
    last = max(k for k, start in enumerate(starts) if start <= threshold)
    value = values[last] + slopes[last] * (threshold - starts[last])
    zero = np.zeros(2)
    return (
        [0.0, threshold, *starts[last + 1 :]],
        [zero, slopes[last], *slopes[last + 1 :]],
        [zero, value, *values[last + 1 :]],
    )


def _piecewise(x: FloatArray, starts: FloatArray, slopes: FloatArray, jumps: FloatArray) -> FloatArray:
    """Sum over the steps of change of slope × what lies above the step, plus the jumps reached."""
    changes = np.diff(slopes, prepend=0.0)
    source = np.ascontiguousarray(x).reshape(-1)
    result = np.empty_like(source)
    above = np.empty(min(_BLOCK, source.size))
    for first in range(0, source.size, _BLOCK):
        part = source[first : first + _BLOCK]
        total = result[first : first + _BLOCK]
        room = above[: part.size]
        np.multiply(part, changes[0], out=total)  # the first step starts at 0
        for start, change, jump in zip(starts[1:], changes[1:], jumps[1:], strict=True):
            if change:
                np.subtract(part, start, out=room)
                np.maximum(room, 0.0, out=room)
                room *= change
                total += room
            if jump:
                np.add(total, jump, out=total, where=part >= start * REACHED)
    return result.reshape(x.shape)


def rate_before_quota(role: RolePay) -> Tier:
    """The tier whose rate holds just below 100 % attainment (a threshold is left aside)."""
    return [tier for tier in role.tiers if tier.starts_at < 1][-1]


def accelerators(role: RolePay, *, annual_quota: float | None) -> list[Tier]:
    """The tiers from 100 % attainment on whose rate is above the rate just below 100 %.

    That is what the field calls an accelerator: a rate that falls at quota is none, whatever its multiple. A
    multiple and a rate are compared by the base commission rate, target variable pay ÷ quota; without a quota
    they cannot be, and a tier written in the other way counts as an accelerator.
    """
    before = rate_before_quota(role)

    def amount(tier: Tier) -> float:
        return (tier.multiple if tier.rate is None else tier.rate) or 0.0

    def share(tier: Tier, quota: float) -> float:
        return tier.rate if tier.rate is not None else amount(tier) * role.target_variable / quota

    def above(tier: Tier) -> bool:
        if amount(tier) == 0 or amount(before) == 0 or (tier.rate is None) == (before.rate is None):
            return amount(tier) > 0 if amount(before) == 0 else amount(tier) > amount(before)
        # rates that are meant to be equal may differ by a rounding
        return annual_quota is None or share(tier, annual_quota) > share(before, annual_quota) * (1 + 1e-9)

    return [tier for tier in role.tiers if tier.starts_at >= 1 and above(tier)]


def schedule_warnings(role: RolePay) -> list[str]:
    """Cliffs, pay that may fall, and a target that is not OTE, one sentence each.

    Raises nothing; see :meth:`salessim.pay.PayPlan.warnings`.
    """
    schedule = compiled(role)
    found = []
    for start, by_target, by_quota in zip(
        schedule.starts[1:], schedule.multiple_jumps[1:], schedule.rate_jumps[1:], strict=True
    ):
        if not (by_target or by_quota):
            continue
        at_threshold = role.threshold_counts_from == "first_unit" and start == role.threshold
        reason = "threshold counts from the first unit" if at_threshold else "tier is retroactive"
        parts = [
            f"{percent(abs(size))} of {unit}"
            for size, unit in ((by_target, "target variable pay"), (by_quota, "quota"))
            if size
        ]
        if min(by_target, by_quota) < 0 < max(by_target, by_quota):
            change = (
                f"may fall or jump (one rate is a multiple, the other a share: {' against '.join(parts)})"
            )
        elif min(by_target, by_quota) < 0:
            change = f"falls by {' and '.join(parts)}"
        else:
            change = f"jumps by {' and '.join(parts)}"
        found.append(f"{role.role}: pay {change} at {percent(start)} attainment ({reason})")
    if not schedule.rate_slopes.any() and role.target_variable > 0:
        at_target = float(schedule.commission(np.ones(1), quota=np.ones(1), target_variable=np.ones(1))[0])
        if abs(at_target - 1) > 1e-9:
            found.append(
                f"{role.role}: at 100 % attainment commission is {percent(at_target)} of target variable "
                "pay, so that quota does not earn OTE"
            )
    if role.cap is not None and role.cap < 1:
        found.append(f"{role.role}: the cap is {percent(role.cap)} of target variable pay, below OTE")
    return found
