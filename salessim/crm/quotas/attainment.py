"""Attainment: bookings beside quotas per rep and period, and the share that attained beside the band."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Literal

import numpy as np
import pandas as pd

from salessim import formats
from salessim.crm.canonical import Tables
from salessim.crm.convert import read_dates
from salessim.crm.coverage import left_cut
from salessim.crm.quotas.files import QuotaFile
from salessim.crm.quotas.labels import DATE_FORMATS, days_of, frequency_of, ordinal, period_of
from salessim.crm.quotas.rollups import rollups_of_hierarchy
from salessim.crm.quotas.rules import SLIPPED_DIGIT
from salessim.errors import DataError, listed
from salessim.intervals import wilson

__all__ = [
    "ATTAINMENT_COLUMNS",
    "attainment",
    "attainment_by_period",
    "attainment_of",
    "managers_with_team_quota",
]

#: Columns of the table that :func:`attainment` returns.
ATTAINMENT_COLUMNS = ("rep", "period", "quota", "bookings", "attainment", "note")


_BY_PERIOD_COLUMNS = (
    "period", "reps", "attaining", "share", "low", "high", "mean_attainment", "median_attainment", "in_band",
    "note",
)  # fmt: skip


_NO_SALES_MARK = "no sales recorded"
_NO_SALES = f"{_NO_SALES_MARK}: not employed, not yet, or missing data?"
_NO_SALES_EVER = f"{_NO_SALES_MARK} under this id at all: not employed, not yet, missing data, or another id?"
_NO_QUOTA = "bookings without a quota in this period"
_NO_QUOTA_EVER = "bookings of an id that no id of the quotas is matched to"
_NOT_IN_PEOPLE = "not matched: no sales id is known for this id, so its bookings are unknown"
_NOBODY_MATCHES = "not matched: no id of the quotas is an id of the sales (give people: quota id → sales id)"
_ROLLUP_NOTE = "suspected roll-up: own bookings against a team's quota are not judged"
_SLIPPED_NOTE = "the quota may have a slipped digit"
_ZERO_NOTE = "a quota of zero has no attainment"
# quotas in thousands beside bookings in full are off by about 1,000; half of that on a log scale is enough
_LOOKS_LIKE_THOUSANDS = 100.0
_MOST_GRACE_DAYS = 7
_FEW_REPS = 10


def attainment(
    quotas: QuotaFile | pd.DataFrame,
    sales: pd.DataFrame,
    *,
    people: Mapping[str, str] | None = None,
    covers: tuple[date, date] | None = None,
    fiscal_year_starts_in_month: int = 1,
) -> pd.DataFrame:
    """Bookings beside quota for each rep and period, with a note on everything that keeps them apart.

    ``quotas`` is a quota file, or a table rep, period, quota; ``sales`` a table rep, date, amount with a line
    per order, order line or deal, in the currency of the quotas. Where the two call people differently,
    ``people`` maps ids of the quotas to ids of the sales; a rep who is not in it is not matched. Ids are
    compared as text. ``covers`` is the first and last day that the sales cover; without it, from the first to
    the last day with sales.

    Returns rep (id of the quotas; of the sales where there is no other), period, quota (NaN: none), bookings,
    attainment and note, ordered by period and rep. Attainment, bookings ÷ quota as a fraction, is NaN where
    it is undefined or not judged: no quota, a quota of zero, a period that the sales cover not at all or in
    part, an id that cannot be matched, a suspected roll-up. Bookings are NaN where nothing is known of them,
    which is not the same as zero; a matched rep without sales in a covered period has 0 of both, and a note.

    Raises:
        DataError: a column is missing, an id or amount is none, or two quota ids map to one sales id.

    >>> quotas = pd.DataFrame({"rep": ["Ann", "Bo"], "period": "2026-01", "quota": [100.0, 80.0]})
    >>> sales = pd.DataFrame(
    ...     {"rep": ["Ann", "Ann", "Cy"], "date": ["2026-01-01", "2026-01-31", "2026-01-12"], "amount": 45.0}
    ... )
    >>> attainment(quotas, sales)[["rep", "quota", "bookings", "attainment"]]
       rep  quota  bookings  attainment
    0  Ann  100.0      90.0         0.9
    1   Bo   80.0       0.0         0.0
    2   Cy    NaN      45.0         NaN
    """
    table = quotas.quotas if isinstance(quotas, QuotaFile) else quotas
    asked = _checked(table, ("rep", "period", "quota"), what="quotas")
    sold = _checked(sales, ("rep", "date", "amount"), what="sales")
    if asked.empty:
        raise DataError("quotas: there are none, so there is no attainment")
    if asked.duplicated(["rep", "period"]).any():
        twice = asked[asked.duplicated(["rep", "period"])].iloc[0]
        raise DataError(f"quotas: rep {twice['rep']!r} has more than one quota in {twice['period']}")
    frequency = frequency_of(asked["period"].unique(), what="quotas")
    sold["date"] = _sale_days(sold["date"])
    first, last, grace = _covered(sold["date"], covers)
    starts = fiscal_year_starts_in_month
    known = {day: period_of(day.date(), frequency, starts) for day in sold["date"].unique()}
    sold["period"] = sold["date"].map(known)
    seen = set(sold["rep"])
    if people is not None:
        sales_ids = {str(quota_id): str(sales_id) for quota_id, sales_id in people.items()}
        doubled = [one for one, often in Counter(sales_ids.values()).items() if often > 1]
        if doubled:
            raise DataError(f"people: several quota ids map to the same sales id: {listed(doubled)}")
        unmatched, why_unmatched = set(asked["rep"]) - set(sales_ids), _NOT_IN_PEOPLE
    else:
        sales_ids = {rep: rep for rep in asked["rep"]}
        nobody = not seen & set(asked["rep"])
        unmatched, why_unmatched = (set(asked["rep"]) if nobody else set()), _NOBODY_MATCHES
    quota_ids = {sales_id: rep for rep, sales_id in sales_ids.items()}
    booked = sold.groupby(["rep", "period"])["amount"].sum().rename("bookings").reset_index()
    is_matched = booked["rep"].isin(list(quota_ids))
    # an id of the sales that nobody is matched to may be spelt like an id of the quotas: kept apart
    strangers = booked[~is_matched].assign(quota=math.nan, stranger=True)
    matched = booked[is_matched].copy()
    matched["rep"] = pd.Series(
        [quota_ids[rep] for rep in matched["rep"]], index=matched.index, dtype="object"
    )
    beside = asked[["rep", "period", "quota"]].merge(matched, on=["rep", "period"], how="outer")
    merged = pd.concat([beside.assign(stranger=False), strangers], ignore_index=True)
    rollups = set(quotas.rollups["rep"]) if isinstance(quotas, QuotaFile) else set()
    slipped = _slipped_of(quotas)
    spans = {period: days_of(period, starts) for period in merged["period"].unique()}
    lines = []
    fields = ["rep", "period", "quota", "bookings", "stranger"]
    for rep, period, quota, bookings, stranger in merged[fields].itertuples(index=False, name=None):
        start, end = spans[period]
        notes = []
        judged = True
        if end < first or start > last:
            notes.append(f"no sales data for this period (the sales cover {first} to {last})")
            judged = False
        elif start < first - grace or end > last + grace:
            notes.append(f"the sales cover only part of this period ({first} to {last}): not judged")
            judged = False
        if math.isnan(quota):
            notes.append(_NO_QUOTA_EVER if stranger else _NO_QUOTA)
        else:
            if rep in unmatched:
                notes.append(why_unmatched)
                judged = False
            elif math.isnan(bookings) and judged:
                bookings = 0.0
                notes.append(_NO_SALES if sales_ids[rep] in seen else _NO_SALES_EVER)
            if rep in rollups:
                notes.append(_ROLLUP_NOTE)
                judged = False
            if quota == 0:
                notes.append(_ZERO_NOTE)
            if (rep, period) in slipped:
                notes.append(_SLIPPED_NOTE)
        share = bookings / quota if judged and quota > 0 else math.nan
        lines.append((rep, period, quota, bookings, share, "; ".join(notes)))
    result = pd.DataFrame(lines, columns=list(ATTAINMENT_COLUMNS))
    _note_thousands(result)
    order = result["period"].map({period: ordinal(period) for period in spans})
    return (
        result.assign(order=order)
        .sort_values(["order", "rep"])[list(ATTAINMENT_COLUMNS)]
        .reset_index(drop=True)
    )


def _checked(table: pd.DataFrame, columns: Sequence[str], *, what: str) -> pd.DataFrame:
    lacking = [column for column in columns if column not in table.columns]
    if lacking:
        raise DataError(f"{what}: column {listed(lacking)} is missing; it has {listed(list(table.columns))}")
    found = table[list(columns)].copy()
    numbers = columns[-1]
    if pd.api.types.is_float_dtype(found["rep"]):
        raise DataError(f"{what}: rep holds numbers with decimals; read ids as text, or 0071 becomes 71.0")
    if found["rep"].isna().any():
        raise DataError(f"{what}: rep is blank in {int(found['rep'].isna().sum()):,} rows")
    found["rep"] = found["rep"].astype(str).astype("object")
    amounts = pd.to_numeric(found[numbers], errors="coerce")
    if not np.isfinite(amounts).all():
        row = found[~np.isfinite(amounts)].iloc[0]
        shown = repr(row[numbers]) if isinstance(row[numbers], str) else row[numbers]
        raise DataError(f"{what}: {numbers} of rep {row['rep']!r} is {shown}; it must be a number")
    found[numbers] = amounts.astype("float64")
    return found


def _sale_days(days: pd.Series[Any]) -> pd.Series[pd.Timestamp]:
    if pd.api.types.is_datetime64_any_dtype(days):
        found = pd.to_datetime(days).dt.tz_localize(None).dt.normalize()
    else:
        found = read_dates(days.astype(str), formats=DATE_FORMATS)
    if found.isna().any():
        raise DataError(f"sales: date is {days[found.isna()].iloc[0]!r}; write days as 2026-01-31")
    return found


def _covered(days: pd.Series[pd.Timestamp], covers: tuple[date, date] | None) -> tuple[date, date, timedelta]:
    """First and last day covered, and how far a period may reach beyond them and still count as covered."""
    if covers is not None:
        return covers[0], covers[1], timedelta(0)
    if days.empty:
        raise DataError("sales: there are none; give covers (first and last day) if nothing was sold")
    distinct = np.sort(days.unique())
    # days without sales at the edge are no hole in the data when such gaps occur inside, too
    gaps = np.diff(distinct).astype("timedelta64[D]").astype(int)
    grace = min(int(gaps.max()) - 1, _MOST_GRACE_DAYS) if len(gaps) else 0
    return days.min().date(), days.max().date(), timedelta(days=grace)


def _slipped_of(quotas: QuotaFile | pd.DataFrame) -> set[tuple[str, str]]:
    if not isinstance(quotas, QuotaFile):
        return set()
    found = quotas.notes[quotas.notes["rule"] == SLIPPED_DIGIT]
    return set(zip(found["rep"], found["period"], strict=True))


def _note_thousands(result: pd.DataFrame) -> None:
    both = result[(result["quota"] > 0) & (result["bookings"] > 0)]
    ratio = float((both["bookings"] / both["quota"]).median()) if len(both) else 0.0
    if ratio < _LOOKS_LIKE_THOUSANDS:
        return
    note = (
        f"bookings are about {ratio:,.0f} times the quotas: not judged, are the quotas in thousands "
        "(unit=1000)?"
    )
    _not_judged(result, result["quota"].notna(), note)


def _not_judged(table: pd.DataFrame, rows: pd.Series[bool], note: str) -> None:
    table.loc[rows, "attainment"] = math.nan
    table.loc[rows, "note"] = [f"{note}; {own}" if own else note for own in table.loc[rows, "note"]]


def attainment_by_period(table: pd.DataFrame, *, band: tuple[float, float] = (0.60, 0.75)) -> pd.DataFrame:
    """How many reps made quota in each period, how sure that share is, and whether it lies in the band.

    ``table`` is what :func:`attainment` returns; rows without attainment are not counted. Returns one row per
    period with a quota: period, reps (judged), attaining (attainment of 1 or more), share, low and high (80 %
    Wilson interval of the share), mean_attainment and median_attainment (of reps), in_band (the share itself;
    False when nobody was judged) and note. NaN: nobody was judged, and the note says why. The default band is
    "everyone wins" [B1]. With few reps the interval covers the whole band: one quarter then proves nothing.

    >>> rows = [("R%d" % n, "2026Q1", 100.0, 100.0 * (n < 7), float(n < 7), "") for n in range(10)]
    >>> found = attainment_by_period(pd.DataFrame(rows, columns=ATTAINMENT_COLUMNS))
    >>> found[["reps", "attaining", "share", "in_band"]].values.tolist()
    [[10, 7, 0.7, True]]
    >>> found["note"].iat[0]
    '10 reps: too few to judge, the 80 % interval 50 % to 85 % covers the whole band'
    """
    lower, upper = band
    if not 0 <= lower < upper <= 1:
        raise DataError(f"band is {lower:g} to {upper:g}; it must rise and lie within 0 to 1")
    lines = []
    for period, rows in table[table["quota"].notna()].groupby("period", sort=False):
        judged = rows["attainment"].dropna()
        reps, attaining = len(judged), int((judged >= 1).sum())
        if not reps:
            reasons = Counter(part for note in rows["note"] for part in note.split("; ") if part)
            why = reasons.most_common(1)[0][0] if reasons else "no attainment"
            lines.append(
                (period, 0, 0, *[math.nan] * 5, False, f"{len(rows)} with quota, nobody judged: {why}")
            )
            continue
        low, high = (float(end) for end in wilson(attaining, reps)[1:])
        share = attaining / reps
        span = f"the 80 % interval {formats.percent(low)} to {formats.percent(high)}"
        people = f"{reps} rep{'' if reps == 1 else 's'}"
        if low < lower and high > upper:
            note = f"{people}: too few to judge, {span} covers the whole band"
        elif reps < _FEW_REPS:
            note = f"{people}: too few to judge, {span}"
        elif high < lower or low > upper:
            note = f"{'below' if high < lower else 'above'} the band, {span}"
        elif lower <= low and high <= upper:
            note = f"in the band, {span}"
        else:
            note = f"may lie in the band or {'below' if low < lower else 'above'} it, {span}"
        if len(rows) > reps:
            note += f"; {len(rows) - reps} more with quota not judged"
        idle = int(rows["note"][rows["attainment"].notna()].str.contains(_NO_SALES_MARK, regex=False).sum())
        if idle:
            note += f"; {idle} without any sales counted as not attaining"
        lines.append(
            (
                period, reps, attaining, share, low, high, float(judged.mean()),
                float(judged.median()), lower <= share <= upper, note,
            )
        )  # fmt: skip
    return pd.DataFrame(lines, columns=list(_BY_PERIOD_COLUMNS))


def attainment_of(tables: Tables, *, by: Literal["quarter", "year"] = "quarter") -> pd.DataFrame:
    """Attainment per rep and fiscal quarter (or year) of a CRM export: deals by close date beside quotas.

    The table of :func:`attainment`. Quarters that the export covers only in part, since it is cut off on the
    left (see :func:`salessim.crm.left_cut`) or was taken before their end, are noted and not judged; so are
    managers whose quota is that of a team. A year adds the quarters of a rep that have a quota (the note says
    when they are fewer than four) and is judged when it is over and each of them is.

    Raises:
        DataError: the export has no quotas.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> found = attainment_of(read(example_crm()))
    >>> list(found.columns), bool(found["attainment"].notna().any())
    (['rep', 'period', 'quota', 'bookings', 'attainment', 'note'], True)
    """
    if tables.quotas.empty:
        raise DataError("the export has no quotas: add a table rep, period, quota")
    starts = tables.fiscal_year_starts_in_month
    cut = left_cut(tables)
    deals = tables.opportunities
    won = deals[(deals["status"] == "won") & deals["rep"].notna()]
    begins = cut.first_complete_quarter.start if cut.first_complete_quarter else tables.as_of
    table = attainment(
        tables.quotas,
        pd.DataFrame({"rep": won["rep"], "date": won["closed"], "amount": won["amount"]}),
        people={rep: rep for rep in tables.quotas["rep"]},
        covers=(begins, tables.as_of),
        fiscal_year_starts_in_month=starts,
    )
    of_team = table["rep"].isin(managers_with_team_quota(tables))
    _not_judged(table, of_team & table["quota"].notna(), _ROLLUP_NOTE)
    return table if by == "quarter" else _by_year(table, begins, tables.as_of, starts)


def managers_with_team_quota(tables: Tables) -> tuple[str, ...]:
    """Managers of an export whose quota is that of their team, in order: adding it up would count it twice.

    Told by the table of reps, as in :func:`attainment_of`: a manager whose quota is at least that of each of
    their people. Empty where the export has no quotas or no managers.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> managers_with_team_quota(read(example_crm()))
    ()
    """
    reps = tables.reps.dropna(subset=["rep", "manager"])
    if tables.quotas.empty or reps.empty:
        return ()
    found = rollups_of_hierarchy(
        tables.quotas.pivot(index="period", columns="rep", values="quota"),
        frequency="quarter",
        managers=dict(zip(reps["rep"], reps["manager"], strict=True)),
    )
    return tuple(sorted(rep for rep, *_ in found))


def _by_year(table: pd.DataFrame, begins: date, as_of: date, starts: int) -> pd.DataFrame:
    lines = []
    years = table["period"].str[:4]
    for (year, rep), rows in table.groupby([years, "rep"], sort=True):
        asked = rows[rows["quota"].notna()]
        notes = list(dict.fromkeys(part for note in rows["note"] for part in note.split("; ") if part))
        if asked.empty:
            lines.append((rep, year, math.nan, rows["bookings"].sum(), math.nan, "; ".join(notes)))
            continue
        if len(asked) < 4:
            notes.append(f"quota in {len(asked)} of 4 quarters")
        start, end = days_of(str(year), starts)
        whole = begins <= start and end <= as_of
        if not whole:
            notes.insert(0, f"the export covers only part of this year ({begins} to {as_of}): not judged")
        quota, bookings = asked["quota"].sum(), asked["bookings"].sum(min_count=len(asked))
        judged = whole and asked["attainment"].notna().all() and quota > 0
        lines.append((rep, year, quota, bookings, bookings / quota if judged else math.nan, "; ".join(notes)))
    return pd.DataFrame(lines, columns=list(ATTAINMENT_COLUMNS))
