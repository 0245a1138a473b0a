"""The quality rules: one function each, with what it means and what to do about it.

A rule looks at one table at a time and yields, per field, the rows it hits with the text to show for each.
To add one, write a function here under ``@_rule``; the import, the quality report and its summary pick it
up. What is wrong with an export as a whole is found by the rules of :mod:`salessim.crm.gaps`.

Rejecting rules run in the order written here and each sees only rows that no earlier rule rejected, so
every rejected row has one reason (all its unreadable fields count as one). Suspicious rules run last, on
rows that are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeAlias

import pandas as pd

from salessim.crm.canonical import SPECS
from salessim.crm.contracts import contract_gaps
from salessim.crm.convert import FIRST_DAY, LAST_DAY, as_objects, row_keys, shown
from salessim.crm.names import near_names
from salessim.crm.quality import Severity
from salessim.errors import ParameterError
from salessim.model import Contract
from salessim.periods import Quarter

__all__ = ["MALFORMED", "NO_RATE", "RULES", "Marks", "Rule", "View", "period_labels"]

# An amount this many times the median is a typing error or a deal to look at by name; a median of fewer
# amounts says little.
_OUTLIER, _OUTLIER_FROM = 1_000, 20


@dataclass(frozen=True, eq=False)
class Marks:
    """What cleaning did to the cells of one table, for the rules that report it; by canonical column.

    ``padded`` columns have cells with blanks around them. ``corrected`` says per row what a declared
    correction changed (``GTXPro → GTX Pro``), ``not_found`` is True where an id has no name in the linked
    file. ``unlisted_stages`` are stage words that the column map does not know, with the
    status that they are taken for.
    """

    padded: tuple[str, ...] = ()
    corrected: Mapping[str, pd.Series[Any]] = field(default_factory=dict)
    not_found: Mapping[str, pd.Series[bool]] = field(default_factory=dict)
    unlisted_stages: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class View:
    """What a rule may look at: one table in three states with the same row index, and the rest of the export.

    ``raw`` has the cells as they stand in the file (personal ones as "given"), ``text`` with blanks stripped,
    ids looked up, declared corrections and translations made and words for "nothing" removed, ``rows`` with
    dates and numbers read. All three have canonical column names, and ``raw`` and ``text`` only those columns
    that the export has. Texts are categories, so that a test on a million rows is one on their distinct
    words.

    ``tables`` holds ``rows`` of all tables that the export has; it is empty and ``as_of`` None while rows are
    still being rejected.
    """

    table: str
    raw: pd.DataFrame
    text: pd.DataFrame
    rows: pd.DataFrame
    marks: Marks = field(default_factory=Marks)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    as_of: date | None = None
    contracts: tuple[Contract, ...] = ()

    def has(self, *columns: str) -> bool:
        """Whether the export has these columns of the table."""
        return all(column in self.text.columns for column in columns)

    def shown(self, column: str, mask: pd.Series[bool]) -> pd.Series[str]:
        """The cells of a column as they stand in the file, for the rows of the mask; blank ones as ``""``."""
        return shown(self.raw.loc[mask, column]) if mask.any() else _NOTHING

    @property
    def export_day(self) -> pd.Timestamp:
        """The day on which the export was taken; only suspicious rules may ask."""
        if self.as_of is None:
            raise LookupError("the day of the export is not known while rows are still being rejected")
        return pd.Timestamp(self.as_of)


_NOTHING: pd.Series[str] = pd.Series([], index=pd.Index([], dtype="int64"), dtype="object")
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
    meaning=(
        "A date fits none of the date formats of the column map, or lies outside "
        f"{FIRST_DAY.year} to {LAST_DAY.year}."
    ),
    what_to_do="Correct the date in the CRM, or add its format under 'dates' in the column map.",
)
def _date_not_readable(view: View) -> Hits:
    for column in SPECS[view.table].of_kind("date"):
        if view.has(column) and column not in _PLANNED:
            yield column, view.shown(column, _unreadable(view, column))


def _unreadable(view: View, column: str) -> pd.Series[bool]:
    return view.text[column].notna() & view.rows[column].isna()


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
            yield column, view.shown(column, _unreadable(view, column))


@_rule(
    "quota period not readable",
    tables=("quotas",),
    severity="rejected",
    meaning="Quotas are kept by fiscal quarter, written like 2017Q3.",
    what_to_do="Write the period as year and quarter, for example 2017Q3.",
)
def _quota_period(view: View) -> Hits:
    yield "period", view.shown("period", _unreadable(view, "period"))


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
    if mask.any():
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
    "no exchange rate for the day",
    tables=("opportunities", "quotas"),
    severity="rejected",
    meaning="The amount is in another currency, and the exchange rates begin after its day.",
    what_to_do="Add a rate to the file of exchange rates that holds from an earlier day on.",
)
def _no_rate(view: View) -> Hits:
    return ()  # found while amounts are converted, once the day of the export is known


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
    key = list(SPECS[view.table].key)
    involved = view.rows.loc[row_keys(view.rows, key).duplicated(keep=False), key]
    if involved.empty:
        return pd.DataFrame({"first": pd.Series(dtype="int64")})
    involved = involved.apply(lambda column: as_objects(column) if column.dtype == "category" else column)
    labels = pd.Series(involved.index, index=involved.index)
    firsts = labels.groupby([involved[column] for column in key], sort=False).transform("first")
    return pd.DataFrame({"first": firsts[involved.duplicated(keep="first")]})


def _differing(view: View, repeats: pd.DataFrame) -> pd.Series[str]:
    """For each repeating row the names of the fields in which it differs from the first row of its id."""
    texts = [""] * len(repeats)
    for column in view.text.columns if len(repeats) else ():
        own = shown(view.text.loc[repeats.index, column]).to_numpy()
        first = shown(view.text.loc[repeats["first"], column]).to_numpy()
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
    for column, changes in view.marks.corrected.items():
        changed = changes.loc[view.rows.index]
        yield column, as_objects(changed[changed.notna()])


@_rule(
    "blanks around a value",
    tables=_ALL,
    severity="repaired",
    meaning="A value begins or ends with blanks, which would make it a different value.",
    what_to_do="Nothing is lost; trim the field in the CRM to keep its lists clean.",
)
def _blanks(view: View) -> Hits:
    for column in view.marks.padded:
        raw = view.raw[column]
        words = raw.cat.categories
        padded = raw.isin(words[words.str.strip() != words]) & view.text[column].notna()
        cells = view.shown(column, padded)
        yield column, "'" + cells + "' → '" + cells.str.strip() + "'"


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
    if not view.has(*alike):
        return
    known = view.rows[alike].notna().all(axis="columns")
    involved = view.rows[known & row_keys(view.rows, alike).duplicated(keep=False)]
    if involved.empty:
        return
    same = involved.assign(**{name: as_objects(involved[name]) for name in ("account", "product", "rep")})
    first = same.groupby(alike, sort=False)["opportunity_id"].transform("first")
    repeats = same.duplicated(alike, keep="first")
    yield "opportunity_id", "like " + first[repeats].astype("object")


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


_PLANNED = ("expected_close", "next_step_date", "purchase_date", "noted")


@_rule(
    "planned date not readable",
    tables=("opportunities", "evidence"),
    severity="suspicious",
    meaning="A date of something planned or noted is no date; the row counts without it.",
    what_to_do="Enter a date rather than words; put what else there is to say into a text field.",
)
def _planned_not_readable(view: View) -> Hits:
    for column in _PLANNED:
        if column in SPECS[view.table].columns and view.has(column):
            yield column, view.shown(column, _unreadable(view, column))


@_rule(
    "unknown stage word",
    tables=("opportunities", "stage_history"),
    severity="suspicious",
    meaning="The column map does not list this stage; it is taken as open, won or lost by its words.",
    what_to_do="List the word under 'stages' in the column map, with its status and its place.",
)
def _stage_unknown(view: View) -> Hits:
    for word, status in view.marks.unlisted_stages.items():
        rows = view.text.index[view.text["stage"] == word]
        if len(rows):
            plural = "" if len(rows) == 1 else "s"
            said = f"{word}, taken as {status} ({len(rows):,} row{plural})"
            yield "stage", pd.Series([said], index=rows[:1], dtype="object")


@_rule(
    "id without a name",
    tables=_ALL,
    severity="suspicious",
    meaning="The linked file has no name for this id; the id itself is used as the name.",
    what_to_do="Export the linked file in full, with users and accounts that are no longer active.",
)
def _id_not_found(view: View) -> Hits:
    for column, lacking in view.marks.not_found.items():
        yield column, view.shown(column, lacking.loc[view.rows.index])


#: Columns of names in each table, and the table whose list of them counts as right.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "opportunities": ("product", "segment", "source", "account", "rep"),
    "leads": ("source", "segment", "rep", "industry"),
    "accounts": ("account", "industry", "region"),
    "products": ("product", "segment"),
    "reps": ("rep", "manager", "region", "role"),
}
_LISTS = {"product": "products", "account": "accounts", "rep": "reps"}
# People may well have names that differ in one letter.
_PEOPLE = ("rep", "manager")


@_rule(
    "possible misspelling",
    tables=tuple(_NAMES),
    severity="suspicious",
    meaning="Another name differs only in blanks, capitals, punctuation or a letter: one thing counts twice.",
    what_to_do="Correct it in the CRM, or declare the right spelling under 'corrections' in the column map.",
)
def _near_names(view: View) -> Hits:
    for column in _NAMES[view.table]:
        if not view.has(column):
            continue
        counted = view.rows[column].value_counts()
        counts = {str(name): int(rows) for name, rows in counted.items() if rows}
        source = _LISTS.get(column, "")
        listed_names = set()
        if source != view.table and source in view.tables:
            listed_names = set(view.tables[source][column].dropna().unique())
        wrong = near_names(counts, listed=listed_names, by_letter=column not in _PEOPLE)
        cells = view.rows[column][view.rows[column].isin(list(wrong))]
        if len(cells):
            names = as_objects(cells)
            yield column, names + ", like " + names.map(wrong)


@_rule(
    "stage entered before the deal was created",
    tables=("stage_history",),
    severity="suspicious",
    meaning="The stage history goes back before the deal; times in stages are wrong.",
    what_to_do="Correct the created date of the deal, or the day of the stage.",
)
def _before_created(view: View) -> Hits:
    created = _of_deal(view, "created")
    mask = view.rows["entered"] < created
    if mask.any():
        days = created[mask].dt.strftime("%Y-%m-%d").astype("object")
        yield "entered", view.shown("entered", mask) + ", created " + days


@_rule(
    "stage entered after the deal was closed",
    tables=("stage_history",),
    severity="suspicious",
    meaning="The stage history goes on after the close: the close date is wrong, or the deal is alive.",
    what_to_do="Correct the close date, or open the deal again.",
)
def _after_closed(view: View) -> Hits:
    deals = view.tables["opportunities"]
    closed = _of_deal(view, "closed", only=deals["status"] != "open")
    mask = view.rows["entered"] > closed
    if mask.any():
        days = closed[mask].dt.strftime("%Y-%m-%d").astype("object")
        yield "entered", view.shown("entered", mask) + ", closed " + days


def _of_deal(view: View, column: str, *, only: pd.Series[bool] | None = None) -> pd.Series[pd.Timestamp]:
    """A date of the deal that each row belongs to; NaT where the deal is not known."""
    deals = view.tables["opportunities"]
    kept = deals if only is None else deals[only]
    days = pd.Series(kept[column].to_numpy(), index=as_objects(kept["opportunity_id"]))
    return pd.Series(pd.to_datetime(view.rows["opportunity_id"].map(days)), index=view.rows.index)


@_rule(
    "next step of a closed deal",
    tables=_DEALS,
    severity="suspicious",
    meaning="The deal is won or lost, and its next step lies ahead: it may have been closed too early.",
    what_to_do="Open the deal again, or clear the next step.",
)
def _next_step_of_closed(view: View) -> Hits:
    if view.has("next_step_date"):
        mask = (view.rows["status"] != "open") & (view.rows["next_step_date"] > view.export_day)
        yield "next_step_date", view.shown("next_step_date", mask)


@_rule(
    "amount out of all proportion",
    tables=_DEALS,
    severity="suspicious",
    meaning=f"The amount is more than {_OUTLIER:,} times the median; it outweighs all other deals.",
    what_to_do="Check for a decimal sign or currency gone wrong; correct the amount.",
)
def _outlier(view: View) -> Hits:
    amounts = view.rows["amount"][(view.rows["amount"] > 0) & (view.rows["status"] != "lost")]
    if len(amounts) >= _OUTLIER_FROM:
        mask = (view.rows["amount"] > _OUTLIER * amounts.median()) & (view.rows["status"] != "lost")
        yield "amount", view.shown("amount", mask)


@_rule(
    "probability outside 0 to 100",
    tables=_DEALS,
    severity="suspicious",
    meaning="A chance to be won is a percentage; this one is no number or out of range.",
    what_to_do="Enter the chance in percent, or leave it to the stage.",
)
def _probability(view: View) -> Hits:
    if view.has("probability"):
        outside = ~view.rows["probability"].between(0, 100)
        yield "probability", view.shown("probability", view.text["probability"].notna() & outside)


@_rule(
    "amount without a currency",
    tables=_DEALS,
    severity="suspicious",
    meaning="Other deals say in which currency their amount is; this one is taken to be in that of reports.",
    what_to_do="Set the currency of the deal.",
)
def _no_currency(view: View) -> Hits:
    currency = view.rows["currency"]
    if currency.notna().any() and view.has("currency"):
        yield "currency", view.shown("currency", currency.isna() & view.rows["amount"].notna())


@_rule(
    "lead breaks the contract",
    tables=("leads",),
    severity="suspicious",
    meaning="The lead counts as MQL or SQL and lacks fields that marketing and sales have agreed on.",
    what_to_do="Fill in the missing fields, or take the lead back a step.",
)
def _contract_broken(view: View) -> Hits:
    gaps = contract_gaps(view.rows, contracts=view.contracts)
    if len(gaps):
        missing = gaps["missing"].map(lambda fields: ", ".join(fields))
        lines = gaps["stage"] + " without " + missing
        # one line for a lead that breaks both contracts
        yield "contract", lines.groupby(level=0).agg("; ".join).astype("object")


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
    return periods.astype("object").map(known).astype("object")


#: All rules by name, in the order in which they are applied.
RULES: Mapping[str, Rule] = _RULES
#: The rule under which the file reader reports what it could not split into fields.
MALFORMED: Rule = _RULES["malformed record"]
#: The rule under which the conversion of currencies reports amounts that it has no rate for.
NO_RATE: Rule = _RULES["no exchange rate for the day"]
