"""The quality rules: one function each, with what it means and what to do about it.

A rule looks at one table at a time and yields, per field, the rows it hits with the text to show for each.
To add one, write a function here under ``@_rule``; the import, the quality report and its summary pick it
up.

Rejecting rules run in the order written here and each sees only rows that no earlier rule rejected, so
every rejected row has one reason (all its unreadable fields count as one). Suspicious rules run last, on
rows that are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import pandas as pd

from salessim.crm.canonical import SPECS
from salessim.crm.quality import Severity
from salessim.errors import ParameterError
from salessim.periods import Quarter

__all__ = ["MALFORMED", "RULES", "Rule", "View", "period_labels"]


@dataclass(frozen=True, eq=False)
class View:
    """What a rule may look at: one table in three states with the same row index, and the rest of the export.

    ``raw`` has the cells as they stand in the file, ``text`` with blanks stripped, declared corrections
    made and words for "nothing" removed, ``rows`` with dates and numbers read. All three have canonical
    column names, and ``raw`` and ``text`` only those columns that the export has. ``tables`` holds ``rows``
    of all tables that the export has; it is empty and ``as_of`` None while rows are still being rejected.
    """

    table: str
    currency: str
    raw: pd.DataFrame
    text: pd.DataFrame
    rows: pd.DataFrame
    tables: Mapping[str, pd.DataFrame]
    as_of: date | None

    def has(self, *columns: str) -> bool:
        """Whether the export has these columns of the table."""
        return all(column in self.text.columns for column in columns)

    def shown(self, column: str, mask: pd.Series[bool]) -> pd.Series[str]:
        """The cells of a column as they stand in the file, for the rows of the mask; blank ones as ``""``."""
        return self.raw.loc[mask, column].fillna("")

    def changed(self, column: str) -> pd.Series[bool]:
        """Where the text in use is not what stands in the file."""
        return self.text[column].notna() & (self.text[column] != self.raw[column])

    @property
    def export_day(self) -> pd.Timestamp:
        """The day on which the export was taken; only suspicious rules may ask."""
        if self.as_of is None:
            raise LookupError("the day of the export is not known while rows are still being rejected")
        return pd.Timestamp(self.as_of)


Hits: TypeAlias = "Iterable[tuple[str, pd.Series[str]]]"


@dataclass(frozen=True)
class Rule:
    """One kind of fault: in which tables, how bad it is, what it means and what to do about it.

    >>> rule = RULES["stale open deal"]
    >>> rule.severity, rule.tables
    ('suspicious', ('opportunities',))
    >>> print(rule.meaning)
    The deal is open for longer than any deal in this export ever took to be won or lost.
    """

    name: str
    tables: tuple[str, ...]
    severity: Severity
    meaning: str
    what_to_do: str
    find: Callable[[View], Hits]


_RULES: dict[str, Rule] = {}
_ALL = tuple(SPECS)
_DEALS = ("opportunities",)


def _rule(
    name: str, *, tables: tuple[str, ...], severity: Severity, meaning: str, what_to_do: str
) -> Callable[[Callable[[View], Hits]], Callable[[View], Hits]]:
    def register(find: Callable[[View], Hits]) -> Callable[[View], Hits]:
        _RULES[name] = Rule(name, tables, severity, meaning, what_to_do, find)
        return find

    return register


# --- rejected: the row is in no figure ------------------------------------------------------------


@_rule(
    "malformed record",
    tables=_ALL,
    severity="rejected",
    meaning="The record has more or fewer fields than the header, or a quote in it is not closed.",
    what_to_do="Put quotes around texts that contain the delimiter or a quote, and export again.",
)
def _malformed(view: View) -> Hits:
    return ()  # found while the file is split into records, before there is a table to look at


@_rule(
    "date not readable",
    tables=_ALL,
    severity="rejected",
    meaning="A date fits none of the date formats of the column map.",
    what_to_do="Correct the date in the CRM, or add its format under 'dates' in the column map.",
)
def _date_not_readable(view: View) -> Hits:
    for column in SPECS[view.table].of_kind("date"):
        if view.has(column):
            yield column, view.shown(column, view.text[column].notna() & view.rows[column].isna())


@_rule(
    "amount not readable",
    tables=_ALL,
    severity="rejected",
    meaning="An amount is no number in the number format of the column map.",
    what_to_do="Correct the amount in the CRM, or the decimal and thousands signs in the column map.",
)
def _amount_not_readable(view: View) -> Hits:
    for column in SPECS[view.table].of_kind("money"):
        if view.has(column):
            yield column, view.shown(column, view.text[column].notna() & view.rows[column].isna())


@_rule(
    "quota period not readable",
    tables=("quotas",),
    severity="rejected",
    meaning="Quotas are kept by fiscal quarter, written like 2017Q3.",
    what_to_do="Write the period as year and quarter, for example 2017Q3.",
)
def _quota_period(view: View) -> Hits:
    yield "period", view.shown("period", view.text["period"].notna() & view.rows["period"].isna())


@_rule(
    "no id",
    tables=_ALL,
    severity="rejected",
    meaning="What identifies the row is blank, so nothing can refer to it.",
    what_to_do="Fill in the blank field in the CRM.",
)
def _no_id(view: View) -> Hits:
    for column in SPECS[view.table].key:
        yield column, view.shown(column, view.rows[column].isna())


@_rule(
    "deal without a stage",
    tables=_DEALS,
    severity="rejected",
    meaning="Without a stage it is unknown whether the deal is open, won or lost.",
    what_to_do="Set the stage in the CRM.",
)
def _no_stage(view: View) -> Hits:
    yield "stage", view.shown("stage", view.rows["stage"].isna() & view.text["stage"].isna())
    if view.has("status"):
        yield "status", view.shown("status", view.rows["status"].isna())


@_rule(
    "closed deal without a close date",
    tables=_DEALS,
    severity="rejected",
    meaning="A won or lost deal that no quarter can claim.",
    what_to_do="Enter the day on which the deal was won or lost.",
)
def _closed_without_date(view: View) -> Hits:
    yield "closed", view.shown("closed", (view.rows["status"] != "open") & view.rows["closed"].isna())


@_rule(
    "closed before it was created",
    tables=_DEALS,
    severity="rejected",
    meaning="The close date lies before the created date, so one of the two is wrong.",
    what_to_do="Correct whichever date is wrong.",
)
def _closed_before_created(view: View) -> Hits:
    deals = view.rows
    mask = (deals["status"] != "open") & (deals["closed"] < deals["created"])
    yield "closed", view.shown("closed", mask) + ", created " + view.shown("created", mask)


@_rule(
    "won deal without an amount",
    tables=_DEALS,
    severity="rejected",
    meaning="A won deal whose amount is blank or negative; it would distort every money figure.",
    what_to_do="Enter what the deal was won for.",
)
def _won_without_amount(view: View) -> Hits:
    amount = view.rows["amount"]
    yield "amount", view.shown("amount", (view.rows["status"] == "won") & (amount.isna() | (amount < 0)))


@_rule(
    "amount in another currency",
    tables=_DEALS,
    severity="rejected",
    meaning="The deal's currency is not that of the column map; two currencies cannot be added.",
    what_to_do="Export amounts in one currency, or convert them before the import.",
)
def _other_currency(view: View) -> Hits:
    if view.has("currency"):
        currency = view.rows["currency"]
        yield "currency", view.shown("currency", currency.notna() & (currency.str.upper() != view.currency))


@_rule(
    "quota without an amount",
    tables=("quotas",),
    severity="rejected",
    meaning="The quota is blank or negative.",
    what_to_do="Enter the quota; leave the row out if the seller had none.",
)
def _quota_without_amount(view: View) -> Hits:
    quota = view.rows["quota"]
    yield "quota", view.shown("quota", quota.isna() | (quota < 0))


def _first_of_key(view: View) -> pd.DataFrame:
    """For each row that repeats an earlier row's id: the index label of that first row."""
    keys = view.rows[list(SPECS[view.table].key)]
    repeated = keys.duplicated(keep="first")
    if not repeated.any():
        return pd.DataFrame({"first": pd.Series(dtype="int64")})
    labels = pd.Series(keys.index, index=keys.index)
    firsts = labels.groupby([keys[column] for column in keys.columns], sort=False).transform("first")
    return pd.DataFrame({"first": firsts[repeated]})


def _differing(view: View, repeats: pd.DataFrame) -> pd.Series[str]:
    """For each repeating row the names of the fields in which it differs from the first row of its id."""
    texts = [""] * len(repeats)
    for column in view.text.columns:
        own = view.text.loc[repeats.index, column].fillna("").to_numpy()
        first = view.text.loc[repeats["first"], column].fillna("").to_numpy()
        texts = [f"{t}, {column}" if d else t for t, d in zip(texts, own != first, strict=True)]
    return pd.Series(texts, index=repeats.index, dtype="object").str.removeprefix(", ")


def _key_field(view: View) -> str:
    return " / ".join(SPECS[view.table].key)


@_rule(
    "exact duplicate",
    tables=_ALL,
    severity="rejected",
    meaning="The same record is there more than once; the first one is kept.",
    what_to_do="Nothing is lost; remove the copy from the CRM or from the export.",
)
def _exact_duplicate(view: View) -> Hits:
    repeats = _first_of_key(view)
    same = repeats[_differing(view, repeats) == ""]
    rows = view.raw.loc[same["first"], "row"].astype(str).to_numpy()
    yield _key_field(view), "same as row " + pd.Series(rows, index=same.index, dtype="object")


@_rule(
    "conflicting duplicate",
    tables=_ALL,
    severity="rejected",
    meaning="Records with the same id contradict each other; the first is kept, later ones are not.",
    what_to_do="Decide which record is right and delete the other.",
)
def _conflicting_duplicate(view: View) -> Hits:
    repeats = _first_of_key(view)  # exact copies are gone by now
    rows = view.raw.loc[repeats["first"], "row"].astype(str).to_numpy()
    kept = pd.Series(rows, index=repeats.index, dtype="object")
    yield _key_field(view), "contradicts row " + kept + " in " + _differing(view, repeats)


# --- repaired: the row is kept, changed as the column map declares --------------------------------


@_rule(
    "misspelt value",
    tables=_ALL,
    severity="repaired",
    meaning="A value is corrected as the column map declares.",
    what_to_do="Correct the spelling in the CRM, so that lists and filters there agree with the report.",
)
def _misspelt(view: View) -> Hits:
    for column in SPECS[view.table].of_kind("text"):
        if view.has(column):
            text = view.text[column][view.changed(column)]
            stripped = view.raw.loc[text.index, column].str.strip()
            yield column, (stripped + " → " + text)[stripped != text]


@_rule(
    "blanks around a value",
    tables=_ALL,
    severity="repaired",
    meaning="A value begins or ends with blanks, which would make it a different value.",
    what_to_do="Nothing is lost; trim the field in the CRM to keep its lists clean.",
)
def _blanks(view: View) -> Hits:
    for column in SPECS[view.table].columns:
        if view.has(column):
            raw = view.raw[column][view.changed(column)]
            stripped = raw.str.strip()
            yield column, ("'" + raw + "' → '" + stripped + "'")[stripped != raw]


# --- suspicious: the row is kept as it is ---------------------------------------------------------


@_rule(
    "stale open deal",
    tables=_DEALS,
    severity="suspicious",
    meaning="The deal is open for longer than any deal in this export ever took to be won or lost.",
    what_to_do="Close it as lost, or qualify it again with a dated next step; it inflates the pipeline.",
)
def _stale(view: View) -> Hits:
    deals = view.rows
    closed = deals[deals["status"] != "open"]
    longest_days = (
        closed["closed"] - closed["created"]
    ).dt.days.max()  # NaN without closed deals: none is stale
    age_days = (view.export_day - deals["created"]).dt.days
    ages = age_days[(deals["status"] == "open") & (age_days > longest_days)].astype("int64")
    created = deals.loc[ages.index, "created"].dt.strftime("%Y-%m-%d")
    if len(ages):
        longest = f" days open; no deal took longer than {longest_days:.0f} to close"
        yield "created", created + ", " + ages.astype(str) + longest


@_rule(
    "open deal without an account",
    tables=_DEALS,
    severity="suspicious",
    meaning="Nobody wrote down who the customer is.",
    what_to_do="Name the account, or take the deal out of the pipeline.",
)
def _open_without_account(view: View) -> Hits:
    if view.has("account"):
        mask = (view.rows["status"] == "open") & view.rows["account"].isna()
        yield "account", view.shown("account", mask)


@_rule(
    "closed deal without an account",
    tables=_DEALS,
    severity="suspicious",
    meaning="The deal is missing from every figure by account.",
    what_to_do="Name the account.",
)
def _closed_without_account(view: View) -> Hits:
    if view.has("account"):
        mask = (view.rows["status"] != "open") & view.rows["account"].isna()
        yield "account", view.shown("account", mask)


@_rule(
    "open deal without an amount",
    tables=_DEALS,
    severity="suspicious",
    meaning="The expected amount is blank, zero or negative, so the deal is valued at the average deal size.",
    what_to_do="Enter an expected amount once the deal is qualified.",
)
def _open_without_amount(view: View) -> Hits:
    mask = (view.rows["status"] == "open") & ~(view.rows["amount"] > 0)
    yield "amount", view.shown("amount", mask)


@_rule(
    "deal without a created date",
    tables=_DEALS,
    severity="suspicious",
    meaning="Its age is unknown, and no quarter counts it as created.",
    what_to_do="Let the CRM set the created date itself, at the first contact.",
)
def _no_created(view: View) -> Hits:
    yield "created", view.shown("created", view.rows["created"].isna())


@_rule(
    "deal without a seller",
    tables=_DEALS,
    severity="suspicious",
    meaning="The deal counts for the team and for no seller.",
    what_to_do="Assign the deal to a seller.",
)
def _no_rep(view: View) -> Hits:
    yield "rep", view.shown("rep", view.rows["rep"].isna())


@_rule(
    "deal without a segment",
    tables=_DEALS,
    severity="suspicious",
    meaning="The export has segments, this deal has none; it is shown under 'not given'.",
    what_to_do="Set the segment, or the product it follows from.",
)
def _no_segment(view: View) -> Hits:
    segment = view.rows["segment"]
    if segment.notna().any():
        mask = segment.isna()
        yield "segment", pd.Series("", index=segment.index[mask], dtype="object")


@_rule(
    "won deal with amount 0",
    tables=_DEALS,
    severity="suspicious",
    meaning="A win that brought nothing lowers the average deal size.",
    what_to_do="Enter what the deal was won for, or mark it as a trial or a gift.",
)
def _won_for_nothing(view: View) -> Hits:
    mask = (view.rows["status"] == "won") & (view.rows["amount"] == 0)
    yield "amount", view.shown("amount", mask)


@_rule(
    "open deal with a close date",
    tables=_DEALS,
    severity="suspicious",
    meaning="An open deal cannot have been closed; the date is read as its expected close unless it has one.",
    what_to_do="Set the stage to won or lost if the deal is closed; else clear the date.",
)
def _open_with_closed(view: View) -> Hits:
    deals = view.rows
    mask = (
        (deals["status"] == "open") & deals["closed"].notna() & (deals["closed"] != deals["expected_close"])
    )
    yield "closed", view.shown("closed", mask)


@_rule(
    "expected close has passed",
    tables=_DEALS,
    severity="suspicious",
    meaning="The deal is open although the day on which it should have closed is over.",
    what_to_do="Agree a new date with the customer, or close the deal.",
)
def _expected_close_passed(view: View) -> Hits:
    expected = view.rows["expected_close"].fillna(view.rows["closed"])
    mask = (view.rows["status"] == "open") & (expected < view.export_day)
    yield "expected_close", expected[mask].dt.strftime("%Y-%m-%d")


@_rule(
    "created after the export",
    tables=("opportunities", "leads"),
    severity="suspicious",
    meaning="The created date lies after the day on which the export was taken.",
    what_to_do="Correct the date, or tell the import the right day of the export (as_of).",
)
def _created_in_future(view: View) -> Hits:
    yield "created", view.shown("created", view.rows["created"] > view.export_day)


@_rule(
    "closed after the export",
    tables=_DEALS,
    severity="suspicious",
    meaning="The close date lies after the day on which the export was taken.",
    what_to_do="Correct the date, or tell the import the right day of the export (as_of).",
)
def _closed_in_future(view: View) -> Hits:
    mask = (view.rows["status"] != "open") & (view.rows["closed"] > view.export_day)
    yield "closed", view.shown("closed", mask)


@_rule(
    "possible duplicate",
    tables=_DEALS,
    severity="suspicious",
    meaning="Another deal has the same account, product, seller and created date under a different id.",
    what_to_do="Merge the two if they are one deal; both are counted until then.",
)
def _possible_duplicate(view: View) -> Hits:
    alike = ["account", "product", "rep", "created"]
    if view.has(*alike):
        known = view.rows[view.rows[alike].notna().all(axis="columns")]
        repeats = known[known.duplicated(alike, keep="first")]
        firsts = known.drop_duplicates(alike)[[*alike, "opportunity_id"]]
        twins = repeats[alike].merge(firsts, on=alike, how="left")["opportunity_id"].to_numpy()
        yield "opportunity_id", "like " + pd.Series(twins, index=repeats.index, dtype="object")


def _unknown(view: View, column: str, table: str) -> pd.Series[bool]:
    values = view.rows[column]
    return values.notna() & ~values.isin(view.tables[table][column])


@_rule(
    "product not in the products table",
    tables=_DEALS,
    severity="suspicious",
    meaning="The deal has no list price, and perhaps a misspelt product.",
    what_to_do="Add the product to the price list, or declare the right spelling in the column map.",
)
def _product_unknown(view: View) -> Hits:
    if view.has("product") and "products" in view.tables:
        yield "product", view.shown("product", _unknown(view, "product", "products"))


@_rule(
    "seller not in the reps table",
    tables=("opportunities", "leads", "quotas"),
    severity="suspicious",
    meaning="The seller is counted, without manager and region.",
    what_to_do="Add the seller (also one who has left) to the list of sellers.",
)
def _rep_unknown(view: View) -> Hits:
    if view.has("rep") and "reps" in view.tables:
        yield "rep", view.shown("rep", _unknown(view, "rep", "reps"))


@_rule(
    "account not in the accounts table",
    tables=_DEALS,
    severity="suspicious",
    meaning="The deal is counted, without industry and size of its account.",
    what_to_do="Add the account, or correct its name in the deal.",
)
def _account_unknown(view: View) -> Hits:
    if view.has("account") and "accounts" in view.tables:
        yield "account", view.shown("account", _unknown(view, "account", "accounts"))


@_rule(
    "seller without any deal",
    tables=("reps",),
    severity="suspicious",
    meaning="A seller in the list who never had a deal: new, gone, or not a seller.",
    what_to_do="Give start and end dates, or take the name off the list; quotas must not count on it.",
)
def _rep_without_deals(view: View) -> Hits:
    yield "rep", view.shown("rep", ~view.rows["rep"].isin(view.tables["opportunities"]["rep"]))


@_rule(
    "number of employees not readable",
    tables=("accounts",),
    severity="suspicious",
    meaning="The account is kept without its size.",
    what_to_do="Enter a number rather than a range or a word.",
)
def _employees_not_readable(view: View) -> Hits:
    if view.has("employees"):
        mask = view.text["employees"].notna() & view.rows["employees"].isna()
        yield "employees", view.shown("employees", mask)


@_rule(
    "lead dates out of order",
    tables=("leads",),
    severity="suspicious",
    meaning="A lead is created first, then an MQL, then an SQL; here a later step has the earlier date.",
    what_to_do="Correct the dates.",
)
def _lead_order(view: View) -> Hits:
    leads = view.rows
    for earlier, later in (("created", "mql"), ("created", "sql"), ("mql", "sql")):
        mask = leads[later] < leads[earlier]
        if mask.any():
            yield later, view.shown(later, mask) + f", {earlier} " + view.shown(earlier, mask)


@_rule(
    "refers to an unknown deal",
    tables=("leads", "stage_history"),
    severity="suspicious",
    meaning="The deal it belongs to is not among those kept from this export.",
    what_to_do="Export all deals of the period, or look for the deal among the rejected rows.",
)
def _deal_unknown(view: View) -> Hits:
    if view.has("opportunity_id"):
        yield (
            "opportunity_id",
            view.shown("opportunity_id", _unknown(view, "opportunity_id", "opportunities")),
        )


def period_labels(periods: pd.Series[str]) -> pd.Series[str]:
    """Return quarter labels in their one spelling (``2017-q3`` → ``2017Q3``), missing where it is no quarter.

    >>> period_labels(pd.Series(["2017-q3", "Q3", None])).tolist()
    ['2017Q3', None, nan]
    """

    def label(period: str) -> str | None:
        try:
            return str(Quarter.parse(period))
        except ParameterError:
            return None

    known = {period: label(period) for period in periods.dropna().unique()}
    return periods.map(known).astype("object")


#: All rules by name, in the order in which they are applied.
RULES: Mapping[str, Rule] = _RULES
#: The rule under which the file reader reports what it could not split into fields.
MALFORMED: Rule = _RULES["malformed record"]
