"""Suspected roll-ups: quotas of managers that add up those of others, and the quotas that may be added up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim import formats
from salessim.crm.quotas.files import QuotaFile
from salessim.crm.quotas.labels import Frequency

__all__ = [
    "MOST_SEARCHED",
    "AddableQuotas",
    "Rollup",
    "rollups_of_hierarchy",
    "suspected_rollups",
    "without_rollups",
]

Floats: TypeAlias = npt.NDArray[np.float64]

_LEADS = 0.8
_EXACT = 0.01
_EXACT_SHARE = 0.8
_CLOSE = 0.20
_CLOSE_SHARE = 2 / 3
_PERIODS_FOR_EXACT = 4
_PERIODS_FOR_CLOSE = 12
_OTHERS_FOR_CLOSE = 5
_MEMBERS_FOR_CLOSE = 3
_TIMES_USUAL = 4.0
_TIMES_LARGEST = 1.5
#: The search compares everybody with everybody; beyond this a hierarchy has to say who manages whom.
MOST_SEARCHED = 400

#: One suspected roll-up: rep, members, basis, evidence.
Rollup: TypeAlias = "tuple[str, tuple[str, ...], str, str]"


def suspected_rollups(
    matrix: pd.DataFrame, *, slipped: pd.DataFrame, frequency: Frequency, managers: Mapping[str, str]
) -> pd.DataFrame:
    """Return who seems to have the quota of a team: rep, members, basis and evidence, as in a quota file.

    ``matrix`` has quotas as period × rep (NaN: none), ``slipped``, in the same shape, where one may have a
    slipped digit and is left out; ``managers`` maps reps to their managers. What the hierarchy shows comes
    first; people outside it are searched unless there are more than :data:`MOST_SEARCHED` reps.

    >>> matrix = pd.DataFrame({"Ann": [100.0, 120.0], "Bo": [80.0, 90.0], "Cy": [180.0, 210.0]})
    >>> found = suspected_rollups(
    ...     matrix, slipped=matrix < 0, frequency="quarter", managers={"Ann": "Cy", "Bo": "Cy"}
    ... )
    >>> found[["rep", "members", "basis"]].values.tolist()
    [['Cy', ('Ann', 'Bo'), 'hierarchy']]
    """
    by_hierarchy = rollups_of_hierarchy(matrix, frequency=frequency, managers=managers)
    searched = _rollups_by_search(matrix, slipped=slipped, frequency=frequency, managers=managers)
    known = {rep for rep, *_ in by_hierarchy}
    lines = [*by_hierarchy, *(line for line in searched if line[0] not in known)]
    return pd.DataFrame(lines, columns=["rep", "members", "basis", "evidence"])


def rollups_of_hierarchy(
    matrix: pd.DataFrame, *, frequency: Frequency, managers: Mapping[str, str]
) -> list[Rollup]:
    """Managers whose quota is at least that of each of their people: a team's quota, not a seller's own.

    ``matrix`` and ``managers`` as for :func:`suspected_rollups`.

    >>> matrix = pd.DataFrame({"Ann": [100.0], "Bo": [80.0], "Cy": [90.0]})
    >>> rollups_of_hierarchy(matrix, frequency="year", managers={"Ann": "Cy", "Bo": "Cy"})
    []
    """
    found: list[Rollup] = []
    for manager in matrix:
        members = tuple(str(rep) for rep in matrix if managers.get(str(rep)) == manager and rep != manager)
        both = matrix[manager].notna() & matrix[list(members)].notna().any(axis=1)
        if not members or not both.any():
            continue
        own, theirs = matrix[manager][both], matrix.loc[both, list(members)]
        leads = own >= theirs.max(axis=1)
        if leads.mean() >= _LEADS:
            share = float((own / theirs.sum(axis=1)).median())
            found.append(
                (
                    str(manager),
                    members,
                    "hierarchy",
                    f"manages {len(members)} with quotas, is at least each of theirs in {int(leads.sum())} "
                    f"of {int(both.sum())} {frequency}s, and {formats.percent(share)} of their sum "
                    "(median)",
                )
            )
    return found


def _rollups_by_search(
    matrix: pd.DataFrame, *, slipped: pd.DataFrame, frequency: Frequency, managers: Mapping[str, str]
) -> list[Rollup]:
    """People outside the hierarchy whose quotas are the sum of others' over many periods.

    Members are sought among people with a smaller total. A sum that holds to the percent is evidence when it
    is the sum of everybody who is no roll-up, or when chance cannot explain it. A sum that holds within a
    fifth could be found for many, so it counts only over many periods and for people who stand out: well
    above everybody who is no roll-up, and a multiple of the usual quota. Somebody who sells that much more
    than all others looks the same; a hierarchy settles it.
    """
    if not 3 <= matrix.shape[1] <= MOST_SEARCHED:
        return []
    placed = {*managers, *managers.values()}
    totals = matrix.sum().sort_values(kind="stable")
    logs = matrix.where(matrix > 0).map(math.log, na_action="ignore").astype("float64")
    season = (logs - logs.mean()).median(axis=1)
    found: dict[str, Rollup] = {}
    close_only: set[str] = set()
    for rep in totals.index:
        target = matrix[rep].mask(slipped[rep])
        target = target[target > 0]
        quotas = matrix.loc[target.index, totals.index[totals < totals[rep]]].fillna(0.0)
        quotas = quotas.loc[:, quotas.any()]
        if rep in placed or len(target) < _PERIODS_FOR_EXACT or quotas.shape[1] < 2:
            continue
        sellers = quotas.drop(columns=[name for name in quotas if name in found])
        fit = _Fit(target, sellers)
        everybody = sellers.shape[1] >= 3 and fit.share_within(_EXACT) >= _EXACT_SHARE
        if not everybody:
            fit = _Fit(target, quotas.loc[:, _members(target.to_numpy(), quotas.to_numpy())])
        if fit.parts.shape[1] < 2:
            continue
        own_course = float((logs[rep] - season)[target.index].std(ddof=0))
        if everybody or (
            fit.share_within(_EXACT) >= _EXACT_SHARE
            and _beyond_chance(quotas.shape[1], periods=len(target), off=fit.typical, own_course=own_course)
        ):
            within, stands_out = _EXACT, ""
        else:
            times_largest = (target / sellers.max(axis=1)).to_numpy()
            times_usual = (target / sellers.where(sellers > 0).median(axis=1)).to_numpy()
            if not (
                fit.share_within(_CLOSE) >= _CLOSE_SHARE
                and fit.parts.shape[1] >= _MEMBERS_FOR_CLOSE
                and len(target) >= _PERIODS_FOR_CLOSE
                and sellers.shape[1] >= _OTHERS_FOR_CLOSE
                and (times_largest >= 1).mean() >= _LEADS
                and np.median(times_largest) >= _TIMES_LARGEST
                and np.median(times_usual) >= _TIMES_USUAL
            ):
                continue
            close_only.add(str(rep))
            within = _CLOSE
            stands_out = (
                f"; typically {np.median(times_largest):.2g} times the largest and "
                f"{np.median(times_usual):.2g} times the median quota of those who are no roll-ups"
            )
        members = tuple(str(name) for name in fit.parts)
        slips = int(slipped[rep].sum())
        left_out = f"; {slips} suspected slipped digit{'' if slips == 1 else 's'} left out" if slips else ""
        evidence = (
            f"equals the sum of {len(members)} others ({', '.join(members)}) within "
            f"{formats.percent(within)} in {int((fit.off <= within).sum())} of {len(target)} "
            f"{frequency}s (median deviation {formats.percent(float(np.median(fit.off)))})"
            f"{stands_out}{left_out}"
        )
        found[str(rep)] = (str(rep), members, "search", evidence)
    # somebody above them who is no roll-up: then they do not stand out after all
    highest_seller = max((total for rep, total in totals.items() if rep not in found), default=0.0)
    kept = [line for rep, line in found.items() if rep not in close_only or totals[rep] > highest_seller]
    return kept[::-1]


class _Fit:
    """How far the sum of ``parts`` (period × member) is off the target, relative, in each period."""

    def __init__(self, target: pd.Series[float], parts: pd.DataFrame) -> None:
        self.parts = parts
        self.off: Floats = np.abs(parts.sum(axis=1).to_numpy() / target.to_numpy() - 1)
        # quotas in whole thousands agree to the last digit more easily than quotas in cents
        step = math.gcd(*(round(100 * quota) for quota in target)) / 100
        half_a_step = step / 2 / float(target.median())
        #: What most periods are within: as close as the sum gets, but for the rounding of the target.
        self.typical = max(float(np.quantile(self.off, _EXACT_SHARE)), half_a_step)

    def share_within(self, tolerance: float) -> float:
        return float((self.off <= tolerance).mean())


def _beyond_chance(others: int, *, periods: int, off: float, own_course: float) -> bool:
    """Whether a sum that close says something, given that any of 2^others sets of people might agree.

    ``off`` is what most periods are within, ``own_course`` the standard deviation of the log quota around the
    season that all share. A set of people that has nothing to do with the target comes that close about as
    often as a normal deviate of that size does; with flat or proportional quotas (no course of its own) it
    always does.
    """
    hit = min(2 * off / math.sqrt(2 * math.pi) / max(own_course, 1e-9), 1.0)
    return others * math.log(2) + periods * _EXACT_SHARE * math.log(max(hit, 1e-9)) < math.log(0.01)


def _members(target: Floats, quotas: Floats) -> npt.NDArray[np.bool_]:
    """Which columns of quotas (period, other) add up to the target best, by mean relative deviation.

    Starts from non-negative least squares and from nobody, then adds and removes one at a time while that
    helps. Deviations count up to 1, so that single wrong quotas do not decide.
    """
    from scipy.optimize import nnls

    scaled = quotas / target[:, None]
    weights, _ = nnls(scaled, np.ones(len(target)), maxiter=10 * max(quotas.shape))

    def loss(sums: Floats) -> Floats:
        missed: Floats = np.minimum(np.abs(sums - 1), 1.0).mean(axis=0)
        return missed

    best, best_loss = np.zeros(quotas.shape[1], dtype=bool), math.inf
    for start in (weights > 0.5, np.zeros(quotas.shape[1], dtype=bool)):
        chosen = start.copy()
        current = float(loss(scaled[:, chosen].sum(axis=1)))
        while True:
            changed = scaled[:, chosen].sum(axis=1)[:, None] + np.where(chosen, -scaled, scaled)
            losses = loss(changed)
            flip = int(np.argmin(losses))
            if losses[flip] >= current - 1e-12:
                break
            chosen[flip] = ~chosen[flip]
            current = float(losses[flip])
        if current < best_loss:
            best, best_loss = chosen, current
    return best


@dataclass(frozen=True, eq=False)
class AddableQuotas:
    """The quotas that may be added up, and what double counting would have done to the total.

    ``quotas`` has the columns of :attr:`QuotaFile.quotas`, ``left_out`` the suspected roll-ups.
    ``by_period`` has period, with_rollups and without_rollups (sums in the file's currency); ``note`` says it
    in a sentence.
    """

    quotas: pd.DataFrame
    left_out: tuple[str, ...]
    total_with_rollups: float
    total_without_rollups: float
    by_period: pd.DataFrame
    note: str


def without_rollups(quota_file: QuotaFile) -> AddableQuotas:
    """Leave out suspected roll-ups, so that a sum of quotas counts every quota once.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from salessim.crm import read_quotas
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "targets.csv")
    ...     _ = path.write_text("Seller,2026Q1,2026Q2\\nAnn,100,120\\nBo,80,90\\nCy,180,210\\n")
    ...     found = read_quotas(path, managers={"Ann": "Cy", "Bo": "Cy"})
    >>> without_rollups(found).note
    'quotas add up to 390 without 1 suspected roll-up (Cy); with it they would be 780, 100 % more'
    """
    reps = tuple(quota_file.rollups["rep"])
    every = quota_file.quotas
    kept = every[~every["rep"].isin(reps)]
    sums = pd.DataFrame(
        {
            "with_rollups": every.groupby("period")["quota"].sum(),
            "without_rollups": kept.groupby("period")["quota"].sum(),
        }
    )
    total, alone = float(every["quota"].sum()), float(kept["quota"].sum())
    written = formats.money(alone, quota_file.currency)
    if not reps:
        note = f"quotas add up to {written}; no roll-up is suspected among them"
    else:
        more = f", {formats.percent(total / alone - 1)} more" if alone else ""
        one = len(reps) == 1
        note = (
            f"quotas add up to {written} without {len(reps)} suspected roll-up{'' if one else 's'} "
            f"({', '.join(reps)}); with {'it' if one else 'them'} they would be "
            f"{formats.money(total, quota_file.currency)}{more}"
        )
    by_period = sums.fillna(0.0).rename_axis("period").reset_index()
    return AddableQuotas(kept.reset_index(drop=True), reps, total, alone, by_period, note)
