"""The team in the history: who worked when, how much reps differ, and what each is known to be worth."""

from __future__ import annotations

import math
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.calibrate.estimates import Notes, Parameter, Spread, extra_spread
from salessim.calibrate.ramps import Ramps
from salessim.crm import Tables
from salessim.errors import DataError
from salessim.intervals import LEVEL
from salessim.model import Hire, Ramp, Rep, Scenario
from salessim.periods import WEEKS_PER_QUARTER, Quarter, quarter_of

__all__ = [
    "created_by_owner",
    "exposure_of",
    "focus_of",
    "hires_of",
    "reps_of",
    "skill_of",
    "skill_spread",
]

FloatArray = npt.NDArray[np.float64]

#: Fewer reps do not tell a spread between them.
FEWEST_REPS = 3
#: Spreads between reps (cv) over which a rep's skill is averaged, and how wide a spread is plausible before
#: anything is seen: half of all teams below 0.34, one in ten above 0.82 (half-normal).
SPREADS = np.linspace(0.02, 1.5, 38)
PLAUSIBLE_SPREAD = 0.5
#: Who joined this close to a planned date is taken to be the planned hire.
HIRE_GRACE = timedelta(weeks=4)


def created_by_owner(tables: Tables, seen: pd.DataFrame, notes: Notes) -> pd.DataFrame:
    """The deals that were created after their owner had started; the others were handed over.

    Raises:
        DataError: where that leaves none, or a rep's end lies before the start.
    """
    wrong = tables.reps[tables.reps["end"] < tables.reps["start"]]
    if len(wrong):
        first = wrong.iloc[0]
        raise DataError(
            f"rep {first['rep']!r}: end {first['end'].date()} is before start {first['start'].date()}; "
            "correct one of the two in the table of reps"
        )
    joined = seen["rep"].map(tables.reps.set_index("rep")["start"])
    inherited = seen["created"] < joined
    if inherited.all():
        raise DataError(
            f"all {len(seen):,} opportunities were created before the start of the rep who owns them; "
            "calibration needs reps who created deals themselves: check the start dates of the reps"
        )
    if inherited.any():
        reps = sorted(seen.loc[inherited, "rep"].unique())
        number = int(inherited.sum())
        what = (
            "1 opportunity was created before its owner"
            if number == 1
            else f"{number:,} opportunities were created before their owner"
        )
        notes.warnings.append(f"{what} started, and handed over: not counted as the work of {_named(reps)}")
    return seen[~inherited]


def exposure_of(
    tables: Tables, made: pd.DataFrame, start: date, end: date, ramps: Ramps, notes: Notes
) -> pd.DataFrame:
    """Ramped weeks that each selling rep worked in each quarter of the window, (rep, quarter).

    ``made`` are the deals that reps created. Reps without any are left out, unless they started lately.
    ``attrs`` of the table: "whole" says which quarters the window covers in full, "gone" names the reps
    who no longer sell: by their end date, or by a silence that luck does not explain; "until" gives the last
    deal of those.

    Raises:
        DataError: where nobody worked a productive week.
    """
    month = tables.fiscal_year_starts_in_month
    first, last = (quarter_of(day, fiscal_year_starts_in_month=month) for day in (start, end))
    quarters = [first]
    while quarters[-1] < last:
        quarters.append(quarters[-1].shift(1))
    begins, ends, roles = (tables.reps.set_index("rep")[column] for column in ("start", "end", "role"))
    dates = made.groupby("rep")["created"].agg(["max", "count"])
    new = [rep for rep in begins.index if rep not in dates.index and _is_new(tables, rep, end, ramps)]
    without = sorted(set(tables.reps["rep"]) - set(dates.index) - set(new))
    if without:
        notes.warnings.append(
            f"{_reps_who(len(without))} created no deal from {start} on, left out: {_named(without)}"
        )
    if new:
        notes.warnings.append(
            f"{_reps_who(len(new))} started lately and created no deal yet, taken as average: {_named(new)}"
        )
    rows, silent = {}, {}
    for rep in sorted([*dates.index, *new]):
        joined = begins.get(rep)
        from_day = start if joined is None or pd.isna(joined) else max(start, joined.date())
        left = ends.get(rep)
        to_day = end if left is None or pd.isna(left) else min(end, left.date())
        if rep in dates.index:
            latest, count = dates.loc[rep]
            gap = (pd.Timestamp(to_day) - latest).days
            busy = max((latest.date() - from_day).days, 1)
            if gap > 30 and count * gap / busy > 7:  # so long a silence has a chance below 1 in 1,000
                silent[str(rep)] = latest
                to_day = latest.date()
        ramp = ramps.of(roles.get(rep))
        rows[str(rep)] = [
            _weeks(q, from_day, to_day, None if pd.isna(joined) else joined, ramp) for q in quarters
        ]
    if silent:
        notes.warnings.append(
            f"{_reps_who(len(silent))} stopped creating deals before {end}, taken as gone: "
            + ", ".join(silent)
        )
    table = pd.DataFrame(rows, index=[str(q) for q in quarters]).T
    table.index.name = "rep"
    if not table.to_numpy().sum() > 0:
        raise DataError(
            f"no rep who created deals worked a productive week from {start} to {end}; check the owners "
            "of the opportunities, and start and end dates of the reps"
        )
    table.attrs["whole"] = [q.start >= start and q.end <= end for q in quarters]
    table.attrs["until"] = silent
    table.attrs["gone"] = [*silent] + [str(r) for r in ends.index[ends.notna() & (ends <= pd.Timestamp(end))]]
    return table


def _is_new(tables: Tables, rep: str, end: date, ramps: Ramps) -> bool:
    """Whether a rep joined within ramp and one quarter before the end of the window, and is still there."""
    row = tables.reps.set_index("rep").loc[rep]
    if pd.isna(row["start"]) or row["end"] <= pd.Timestamp(end):
        return False
    weeks = ramps.of(row["role"]).weeks_to_full() + WEEKS_PER_QUARTER
    return end - timedelta(weeks=weeks) <= row["start"].date() <= end


def _named(reps: list[str]) -> str:
    return ", ".join(reps[:8]) + (" …" if len(reps) > 8 else "")


def _reps_who(number: int) -> str:
    return "1 rep" if number == 1 else f"{number} reps"


def _weeks(quarter: Quarter, start: date, end: date, joined: pd.Timestamp | None, ramp: Ramp) -> float:
    """Ramped weeks worked within a quarter."""
    first, last = max(quarter.start, start), min(quarter.end, end)
    days = (last - first).days + 1
    if days <= 0:
        return 0.0
    if joined is None:
        return days / 7
    tenure = (np.arange(days) + (first - joined.date()).days) // 7
    return float(ramp.productivity(tenure).sum() / 7)


def skill_spread(counts: pd.DataFrame, exposure: pd.DataFrame, notes: Notes) -> Spread:
    """Spread between reps (cv) of the opportunities that they create, beyond luck.

    ``counts`` and ``exposure`` are (rep, quarter): opportunities, and the ramped weeks they were made in.
    """
    n, weeks = counts.to_numpy(float), exposure.to_numpy(float)

    def by_rep(cv: float) -> FloatArray:
        # quarters differ for all reps alike: expect each rep's share of every quarter
        level = n.sum(axis=0) / np.where(weeks.sum(axis=0) > 0, weeks.sum(axis=0), 1)
        raw = weeks @ level
        weight = 1 / (1 + raw * cv**2)
        return np.asarray(raw * float((n.sum(axis=1) * weight).sum() / max((raw * weight).sum(), 1e-300)))

    reps = int((weeks.sum(axis=1) > 0).sum())
    if reps >= FEWEST_REPS:
        skill, low, high = extra_spread(n.sum(axis=1), by_rep, reps - 1)
        note = "" if reps >= 8 else f"{reps} reps tell little about a spread"
    else:
        skill, low, high = 0.0, math.nan, math.nan
        note = f"{reps} reps cannot tell a spread; assumed 0"
        notes.warnings.append(f"{note}: reps are taken to be alike")
    notes.parameters.append(Parameter("skill spread between reps", "", skill, low, high, reps, "cv", note))
    return Spread(skill, n.sum(axis=1), by_rep, reps - 1 if reps >= FEWEST_REPS else 0)


def skill_of(counts: pd.DataFrame, exposure: pd.DataFrame) -> pd.DataFrame:
    """What is known of each rep's skill, relative to the average of the team (partial pooling).

    Given how much reps differ (cv), skills are gamma and counts Poisson, so that what is known is gamma too:
    mean (1/cv² + made) ÷ (1/cv² + expected). It is averaged over the spreads between reps by how well each
    explains the counts, so that an estimate of 0 is not taken for certainty. The team's own level is known
    much better than a rep's share of it, and is not part of a skill.

    Returns:
        One row per rep: made (opportunities), expected (of an average rep in his weeks), raw (their ratio),
        mean (pooled), cv, low and high (80 % interval; NaN with fewer than three reps).

    >>> weeks = pd.DataFrame({"2026Q1": [13.0, 13.0, 13.0]}, index=["A", "B", "C"])
    >>> counts = pd.DataFrame({"2026Q1": [40.0, 25.0, 10.0]}, index=["A", "B", "C"])
    >>> skill_of(counts, weeks)[["raw", "mean"]].round(2).values.tolist()
    [[1.6, 1.51], [1.0, 1.0], [0.4, 0.49]]
    """
    from scipy.special import gammaincinv, gammaln

    level = counts.sum(axis=0) / exposure.sum(axis=0).where(exposure.sum(axis=0) > 0, 1)
    expected = (exposure @ level).to_numpy(float)
    made = counts.sum(axis=1).to_numpy(float)
    expected = expected * made.sum() / expected.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = np.where(expected > 0, made / expected, np.nan)
    if (expected > 0).sum() < FEWEST_REPS:
        mean, variance = np.ones(len(made)), np.zeros(len(made))
    else:
        shape = 1 / SPREADS[:, None] ** 2  # (spread, 1)
        # negative binomial counts, and what an unknown level costs
        likelihood = (
            gammaln(shape + made)
            - gammaln(shape)
            + shape * np.log(shape)
            - (shape + made) * np.log(shape + expected)
        ).sum(axis=1) + np.log(np.maximum(expected, 1e-300)) @ made
        likelihood -= 0.5 * np.log((expected * shape / (expected + shape)).sum(axis=1))
        weight = np.exp(likelihood - likelihood.max() - (SPREADS / PLAUSIBLE_SPREAD) ** 2 / 2)
        weight /= weight.sum()
        means = (shape + made) / (shape + expected)  # (spread, rep)
        variances = means / (shape + expected)
        # relative to the average of the team, of which the rep is a part
        part = expected / expected.sum()
        variances = variances * (1 - 2 * part) + (variances @ part**2)[:, None]
        mean = weight @ means
        mean = mean / float(part @ mean)
        variance = weight @ (variances + (means - weight @ means) ** 2)
    cv = np.sqrt(variance) / mean
    shapes = 1 / np.maximum(cv, 1e-6) ** 2
    low, high = (mean * gammaincinv(shapes, chance) / shapes for chance in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    known = (expected > 0).sum() >= FEWEST_REPS
    return pd.DataFrame(
        {
            "made": made.astype(int), "expected": expected, "raw": raw, "mean": mean, "cv": cv,
            "low": low if known else math.nan, "high": high if known else math.nan,
        },
        index=exposure.index,
    )  # fmt: skip


def focus_of(made: pd.DataFrame, weeks: pd.Series, skill: pd.Series, notes: Notes) -> pd.DataFrame | None:
    """Leads per segment of each rep relative to the team's rate, shrunk towards its mix; None: no difference.

    The shrinkage is that of a Dirichlet law whose concentration makes the chi-square statistic of the
    rep × segment table what it is. Each segment is then scaled so that ``weeks`` · ``skill`` · focus of the
    reps adds up to their weeks: leads per week are per average rep, so the team finds as many as it did.
    Reps without deals are average.
    """
    from scipy.stats import chi2

    table = pd.crosstab(made["rep"], made["segment"])
    if table.shape[1] < 2:
        return None
    n = table.to_numpy(float)
    share = n.sum(axis=0) / n.sum()
    expected = n.sum(axis=1, keepdims=True) * share
    free = (n.shape[0] - 1) * (n.shape[1] - 1)
    statistic = float(((n - expected) ** 2 / expected).sum())
    if free == 0 or chi2.sf(statistic, free) > 0.05:
        return None
    mean_size = float((n.sum(axis=1) ** 2).sum() / n.sum())
    excess = (statistic / free - 1) / max(mean_size - 1, 1e-9)
    concentration = max(1 / min(max(excess, 1e-6), 1.0) - 1, 0.0)
    mix = (n + concentration * share) / (n.sum(axis=1, keepdims=True) + concentration) / share
    worked = weeks.reindex(table.index).to_numpy(float)
    reach = (worked * skill.reindex(table.index).to_numpy(float)) @ mix
    notes.warnings.append(
        "reps work different mixes of segments (more than luck explains): their mixes are kept, drawn "
        "towards the team's where a rep has few deals"
    )
    focus = pd.DataFrame(
        mix * np.where(reach > 0, worked.sum() / np.where(reach > 0, reach, 1.0), 1.0),
        index=table.index,
        columns=table.columns,
    )
    return focus.reindex(weeks.index, fill_value=1.0)


def reps_of(
    tables: Tables,
    exposure: pd.DataFrame,
    skill: pd.DataFrame,
    focus: pd.DataFrame | None,
    base: Scenario | None,
) -> tuple[Rep, ...]:
    """Everybody who worked in the window with what is known of them; who is gone has an end."""
    known = tables.reps.set_index("rep")
    roles = {role.name for role in base.roles} if base else set()
    team = []
    for rep in exposure.index:
        row = known.loc[rep] if rep in known.index else pd.Series(dtype=object)
        role = _text(row.get("role")) or "account executive"
        joined, left = row.get("start"), exposure.attrs["until"].get(rep, row.get("end"))
        team.append(
            Rep(
                name=rep,
                role=role if role in roles or not base else base.roles[0].name,
                manager=_text(row.get("manager")),
                region=_text(row.get("region")),
                start=None if joined is None or pd.isna(joined) else joined.date(),
                end=None if left is None or pd.isna(left) else left.date(),
                segments=None
                if focus is None
                else {str(k): round(float(v), 4) for k, v in focus.loc[rep].items()},
                skill_mean=round(float(skill.loc[rep, "mean"]), 6),
                skill_cv=round(float(skill.loc[rep, "cv"]), 6),
            )
        )
    return tuple(team)


def hires_of(tables: Tables, base: Scenario | None, first: Quarter, notes: Notes) -> tuple[Hire, ...]:
    """Planned hires of the base scenario that are still to come, less those whom the export already has.

    A rep of the role who started within four weeks of the planned date is the planned hire. Who should have
    started before the new horizon and is not found is named in a warning.
    """
    waiting = tables.reps[tables.reps["start"].notna()]
    planned = []
    for hire in sorted(base.hires, key=lambda hire: hire.start) if base else ():
        near = (waiting["start"] - pd.Timestamp(hire.start)).abs() <= HIRE_GRACE
        found = waiting[near & (waiting["role"].isna() | (waiting["role"] == hire.role))][: hire.count]
        waiting = waiting.drop(found.index)
        missing = hire.count - len(found)
        if not missing:
            continue
        if hire.start >= first.start:
            planned.append(hire.model_copy(update={"count": missing}))
        else:
            who = "planned hire" if missing == 1 else f"{missing} planned hires"
            notes.warnings.append(
                f"{who} ({hire.role}, {hire.start}) should have started by now and "
                f"{'is' if missing == 1 else 'are'} not in the export: not in tomorrow's team"
            )
    return tuple(planned)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
