"""Every measure that is a count, sum, share, mean or median, against SQL that knows nothing of our code."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import date

import duckdb
import pytest

from salessim import crm, measures
from salessim.periods import Quarter
from tests.measures.exports import random_export

SPLITS = (None, "rep", "segment", "product")

# Placeholders: {g} the group of deals, {l} that of leads, {q} that of quotas; {in_created}
# … are conditions on the period. Open deals are those of the day of the export, $as_of.
DEALS = "opportunities o left join reps r using (rep)"
VALUE = "coalesce(o.amount, o.list_price)"
AGE = "date_diff('day', o.created, $as_of)"
CYCLE = "date_diff('day', o.created, o.closed)"
WON = "o.status = 'won' and {in_closed}"
CLOSED = "o.status <> 'open' and {in_closed}"
OPEN = "o.status = 'open' and o.created is not null"


def of_deals(value: str, where: str) -> str:
    return f"select {{g}} as g, {value} as v from {DEALS} where {where} group by 1"


def of_largest(most: int, value: str, where: str) -> str:
    return f"""
        with ranked as (
            select {{g}} as g, {value} as v, row_number() over (partition by {{g}} order by {value} desc) as k
            from {DEALS} where {where} and {value} is not null
        )
        select g, sum(v) filter (k <= {most}) / nullif(sum(v), 0) as v from ranked group by 1"""


def of_largest_owner(column: str) -> str:
    return f"""
        with sums as (
            select {{g}} as g, o.{column} as owner, sum(o.amount) as v from {DEALS} where {WON} group by 1, 2
        )
        select g, max(v) filter (owner is not null) / nullif(sum(v), 0) as v from sums group by 1"""


def older_than(limit: str) -> str:
    return f"""
        with cycles as (
            select list_sort(list({CYCLE})) as days from opportunities o
            where o.status <> 'open' and o.created is not null
        )
        select {{g}} as g, avg(({AGE} > (select {limit} from cycles))::int) as v from {DEALS}
        where {OPEN} group by 1"""


def of_leads(value: str, column: str) -> str:
    return f"""
        select {{l}} as g, {value} as v from leads l left join opportunities o using (opportunity_id)
        where {{in_lead_{column}}} group by 1"""


QUERIES = {
    "won_value": of_deals("coalesce(sum(o.amount), 0)", WON),
    "won_count": of_deals("count(*)", WON),
    "lost_count": of_deals("count(*)", "o.status = 'lost' and {in_closed}"),
    "closed_count": of_deals("count(*)", CLOSED),
    "new_opportunities": of_deals("count(*)", "{in_created}"),
    "win_rate": of_deals("avg((o.status = 'won')::int)", "{in_created}"),
    "win_rate_closed": of_deals("avg((o.status = 'won')::int)", CLOSED),
    "win_rate_by_value": of_deals(
        f"""case when count(*) filter (o.status = 'lost') = 0 or count({VALUE}) filter (o.status = 'lost') > 0
            then coalesce(sum({VALUE}) filter (o.status = 'won'), 0) / nullif(sum({VALUE}), 0) end""",
        CLOSED,
    ),
    "sales_cycle_days": of_deals(f"avg({CYCLE})", CLOSED),
    "sales_cycle_median_days": of_deals(f"median({CYCLE})", CLOSED),
    "sales_cycle_won_median_days": of_deals(f"median({CYCLE})", WON),
    "average_deal_size": of_deals("avg(o.amount)", WON),
    "median_deal_size": of_deals("median(o.amount)", WON),
    "deal_size_weighted_by_segment": f"""
        with mix as (
            select segment, count(*) as deals from opportunities where status = 'won' and amount is not null
            group by 1
        ), sizes as (
            select {{g}} as g, o.segment, avg(o.amount) as size from {DEALS}
            where {WON} and o.amount is not null group by 1, 2
        )
        select g, sum(size * deals) / sum(deals) as v from sizes join mix using (segment) group by 1""",
    "open_opportunities": of_deals("count(*)", OPEN),
    "pipeline_value": f"""
        with sizes as (select {{g}} as g, avg(o.amount) as size from {DEALS} where {WON} group by 1)
        select {{g}} as g, count(*) * any_value(size) as v from {DEALS} left join sizes on sizes.g = {{g}}
        where {OPEN} group by 1""",
    "pipeline_amount": of_deals(f"sum({VALUE})", OPEN),
    "dead_pipeline_share": older_than("days[-1]"),
    "stale_pipeline_share": older_than("days[1 + ceil(0.99 * (len(days) - 1))::int]"),
    "slipped_share": of_deals(
        "avg((o.expected_close < $as_of)::int)", "o.status = 'open' and o.expected_close is not null"
    ),
    "source_concentration": of_largest_owner("source"),
    "account_concentration": of_largest_owner("account"),
    "largest_deal_share": of_largest(1, "o.amount", WON),
    "five_largest_deals_share": of_largest(5, "o.amount", WON),
    "effective_deals_won": of_deals("sum(o.amount) ** 2 / nullif(sum(o.amount ** 2), 0)", WON),
    "open_largest_deal_share": of_largest(1, VALUE, OPEN),
    "open_five_largest_deals_share": of_largest(5, VALUE, OPEN),
    "effective_open_deals": of_deals(f"sum({VALUE}) ** 2 / nullif(sum(({VALUE}) ** 2), 0)", OPEN),
    "customer_lifetime_value": f"""
        with revenue as (
            select {{g}} as g, sum(o.amount) as v from {DEALS}
            where o.status = 'won' and o.account is not null and o.closed < $after group by 1, o.account
        )
        select g, avg(v) as v from revenue group by 1""",
    "leads": of_leads("count(*)", "created"),
    "mql_count": of_leads("count(*)", "mql"),
    "sql_count": of_leads("count(*)", "sql"),
    "lead_to_mql": of_leads("avg((l.mql is not null)::int)", "created"),
    "mql_to_sql": of_leads("avg((l.sql is not null)::int)", "mql"),
    "sql_to_opportunity": of_leads("avg((l.opportunity_id is not null)::int)", "sql"),
    "lead_to_opportunity": of_leads("avg((l.opportunity_id is not null)::int)", "created"),
    "lead_to_won": of_leads("avg(coalesce(o.status = 'won', false)::int)", "created"),
    "value_per_lead": of_leads(
        "avg(case when o.status = 'won' then coalesce(o.amount, 0) else 0 end)", "created"
    ),
    "share_attaining": """
        select {q} as g, avg((coalesce(b.v, 0) >= q.quota)::int) as v from asked q left join booked b
        on b.rep = q.rep and b.starts = q.starts where q.starts in $quarters group by 1""",
    "team_attainment": """
        select {q} as g, sum(coalesce(b.v, 0)) / sum(q.quota) as v from asked q left join booked b
        on b.rep = q.rep and b.starts = q.starts where q.starts in $quarters group by 1""",
    "linearity_last_month": f"""
        select {{g}} as g, coalesce(sum(o.amount) filter ((month(o.closed) - $starts + 12) % 3 = 2), 0)
            / nullif(sum(o.amount), 0) as v
        from {DEALS} where {WON} and fiscal_quarter(o.closed) in $quarters group by 1""",
}  # fmt: skip
NOT_SQL = {"new_against_expected", "pipeline_coverage", "stage_conversion", "stage_days"}


class Oracle:
    """An export in DuckDB."""

    def __init__(self, tables: crm.Tables) -> None:
        self.tables = tables
        self.base = duckdb.connect(":memory:")
        self.base.execute("set threads = 1")
        for name in ("opportunities", "leads", "reps", "quotas"):
            self.base.register("given", getattr(tables, name))
            self.base.execute(f"create temp table {name} as select * from given")
        month = tables.fiscal_year_starts_in_month
        self.base.execute(
            f"create macro fiscal_quarter(day) as "
            f"date_trunc('quarter', day - interval {month - 1} month) + interval {month - 1} month"
        )
        self.base.execute(
            "create temp table booked as select rep, fiscal_quarter(closed) as starts, sum(amount) as v "
            "from opportunities where status = 'won' group by 1, 2"
        )
        shift = 0 if month == 1 else 12
        self.base.execute(
            "create temp table asked as select rep, quota, make_date(period[:4]::int, 1, 1) "
            f"+ to_months(3 * (period[6:]::int - 1) + {month - 1 - shift}) as starts "
            "from quotas where quota > 0"
        )

    def figures(self, name: str, quarter: Quarter | None, by: str | None) -> dict[str, float]:
        """Value by group; groups without rows are not in it."""
        first, after = (
            (quarter.start, quarter.shift(1).start) if quarter else (date(1900, 1, 1), date(2199, 1, 1))
        )
        inside = "{0} >= $first and {0} < $after".format
        text = QUERIES[name].format(
            g=f"coalesce(o.{by}, '(not stated)')" if by else "'all'",
            l=f"coalesce(l.{by}, '(not stated)')" if by else "'all'",
            q=f"coalesce(q.{by}, '(not stated)')" if by else "'all'",
            in_created=inside("o.created"),
            in_closed=inside("o.closed"),
            **{f"in_lead_{column}": inside(f"l.{column}") for column in ("created", "mql", "sql")},
        )
        needed = {
            "first": first,
            "after": after,
            "as_of": self.tables.as_of,
            "quarters": [quarter.start] if quarter else self.complete_quarters(),
            "starts": self.tables.fiscal_year_starts_in_month,
        }
        used = {key: value for key, value in needed.items() if f"${key}" in text}
        rows = self.base.execute(text, used).fetchall()
        return {str(group): math.nan if value is None else float(value) for group, value in rows}

    def complete_quarters(self) -> list[date]:
        begins = measures.left_cut(self.tables).first_complete_quarter
        quarters = measures.available_quarters(self.tables)
        assert begins is not None
        return [q.start for q in quarters if begins <= q and q.end <= self.tables.as_of]


def compared(tables: crm.Tables, *, splits: Sequence[str | None]) -> Iterator[str]:
    """Compare each measure by each split; give the names of the measures that had something to compare."""
    oracle = Oracle(tables)
    # not the last one: a day too many at its end would find nothing
    quarter = [q for q in measures.available_quarters(tables) if q.end <= tables.as_of][-2]
    for name, entry in measures.CATALOGUE.items():
        if name in NOT_SQL:
            continue
        for by in splits:
            for asked in (None, quarter):
                found = measures.measure(name, tables, quarter=asked, by=by)
                unknown = (
                    found["note"].iloc[0].startswith("the export has no") and found["value"].isna().all()
                )
                if unknown or (by is not None and by not in entry.cuts):
                    assert found["value"].isna().all()
                    continue
                ours = dict(zip(found[by] if by else ["all"], found["value"].astype(float), strict=True))
                theirs = oracle.figures(name, asked, by)
                nothing = 0.0 if entry.unit in ("count", "money") and "effective" not in name else math.nan
                if any(word in name for word in ("size", "lifetime", "per_lead")):
                    nothing = math.nan
                assert set(theirs) <= set(ours), (name, by, asked)
                for group, value in ours.items():
                    wanted = theirs.get(group, nothing)
                    if name == "pipeline_value" and group not in theirs:
                        assert math.isnan(value) or value == 0
                        continue
                    assert value == pytest.approx(wanted, rel=1e-9, abs=1e-9, nan_ok=True), (
                        name,
                        by,
                        asked,
                        group,
                    )
                if any(math.isfinite(value) and value for value in theirs.values()):
                    yield name


def test_every_measure_is_compared_or_known_not_to_be_sql() -> None:
    assert set(QUERIES) | NOT_SQL == set(measures.CATALOGUE)


def test_the_example_company_agrees_with_sql(example: crm.Tables) -> None:
    names = set(compared(example, splits=(None, "source")))
    assert {"won_value", "median_deal_size", "lead_to_won", "share_attaining"} <= names


def test_real_data_agree_with_sql(maven: crm.Tables) -> None:
    names = set(compared(maven, splits=(None, "rep")))
    assert {"won_value", "win_rate_by_value", "dead_pipeline_share", "customer_lifetime_value"} <= names


@pytest.mark.parametrize(("seed", "starts", "splits"), [(1, 1, SPLITS), (2, 4, (None, "source"))])
def test_random_exports_agree_with_sql(seed: int, starts: int, splits: Sequence[str | None]) -> None:
    assert set(compared(random_export(seed, starts=starts), splits=splits)) == set(QUERIES)
