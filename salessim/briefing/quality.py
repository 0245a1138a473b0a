"""Chapter 7: how far an export can be trusted, what each fault costs, and what to repair first."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from salessim import formats
from salessim.briefing.export import read_export, scenario_of
from salessim.briefing.prepared import bullets
from salessim.crm import Tables
from salessim.crm.contracts import contracts_kept
from salessim.intervals import LEVEL
from salessim.model import DEFAULT_CONTRACTS, Contract
from salessim.periods import Quarter

__all__ = [
    "CheckedExport",
    "check_export",
    "contracts_table",
    "data_quality",
    "deal_values",
    "missing_table",
    "quality_contracts",
    "quality_counts_table",
    "quality_findings",
    "quality_notes",
    "quality_repairs",
    "quality_repairs_table",
    "quality_trust",
    "quality_trust_table",
]

# Up to this share of its value on suspicious rows a figure can be trusted; above the second it cannot.
_TRUSTED, _DOUBTED = 0.05, 0.20
# Copies of a record that is kept cost nothing.
_FREE = ("exact duplicate",)


@dataclass(frozen=True, eq=False)
class CheckedExport:
    """An export to be judged: its tables with their quality report, and the contracts for MQL and SQL.

    >>> check_export(crm_folder="example").tables.column_map
    'salessim_csv'
    """

    tables: Tables
    contracts: tuple[Contract, ...]


def check_export(
    *, crm_folder: str, column_map: str = "", as_of: str = "", scenario: str = ""
) -> CheckedExport:
    """Read an export to judge its quality; no calibration, no simulation.

    Args:
        crm_folder: what :func:`salessim.briefing.read_export` takes: "example", folder, file, URL, crm.yaml.
        column_map: name of a shipped column map or path of your own; "" detects it.
        as_of: day the export was taken (2026-06-30); "" takes the latest day in it.
        scenario: path of a scenario with contracts, exchange rates and fiscal year; "" for the usual ones.

    Raises:
        SalessimError: anything in the input that must be changed.
    """
    base = scenario_of(crm_folder, scenario)
    month = base.calendar.fiscal_year_starts_in_month if base else 1
    tables = read_export(
        crm_folder, column_map=column_map, as_of=as_of, fiscal_year_starts_in_month=month, base=base
    )
    return CheckedExport(tables, base.contracts if base else DEFAULT_CONTRACTS)


def data_quality(tables: Tables) -> str:
    """What is wrong with an export (Markdown): counts that reconcile, one line per rule, then remarks."""
    report = tables.quality
    counts = quality_counts_table(tables)
    summary = report.summary()
    if summary.empty:
        return counts + "\n\nNo fault was found in any row."
    rules = formats.table(
        ["what", "severity", "rows", "for example", "what to do"],
        [
            [row["rule"], row["severity"], formats.count(row["rows"]), row["example"], row["what_to_do"]]
            for row in summary.to_dict("records")
        ],
    )
    missing = [str(finding) for finding in report.findings["finding"]]
    remarks = f"\n\n{bullets([*missing, *report.notes])}" if missing or report.notes else ""
    return f"{counts}\n\n{rules}{remarks}"


def quality_counts_table(tables: Tables) -> str:
    """Records read, kept and rejected by file: read = kept + rejected (Markdown)."""
    columns = ["table", "file", "read", "kept", "rejected", "repaired", "suspicious"]
    rows = [
        [table.replace("_", " "), file, *(formats.count(number) for number in numbers)]
        for table, file, *numbers in tables.quality.counts[columns].itertuples(index=False, name=None)
    ]
    return formats.table(columns, rows)


# --- what the values rest on ----------------------------------------------------------------------


def deal_values(tables: Tables) -> pd.Series:
    """What each deal is worth: its amount, where an open one has none the average deal of its segment.

    Indexed as ``tables.opportunities``, in its currency; 0 where nothing is known.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> bool((deal_values(read(example_crm())) >= 0).all())
    True
    """
    deals = tables.opportunities
    won = deals[deals["status"] == "won"]
    average = deals["segment"].map(won.groupby("segment")["amount"].mean()).fillna(won["amount"].mean())
    value = deals["amount"].where(deals["status"] != "open", deals["amount"].fillna(average))
    return value.fillna(0.0).astype("float64")


def _suspicious(tables: Tables) -> pd.Series:
    issues = tables.quality.issues
    keys = issues.loc[
        (issues["table"] == "opportunities") & (issues["severity"] == "suspicious"), "key"
    ].unique()
    return tables.opportunities["opportunity_id"].isin(keys)


def quality_trust(tables: Tables, *, quarter: str = "") -> pd.DataFrame:
    """Return which part of each value rests on deals with a suspicious row.

    An open deal without an amount counts with the average deal of its segment.

    Args:
        tables: the export.
        quarter: a quarter whose bookings are shown as well, such as "2026Q2"; "" for none.

    Returns:
        One row per value: what, deals, suspicious_deals, value, suspicious_value (currency) and share
        (of the value; NaN without any value).

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> quality_trust(read(example_crm()), quarter="2026Q2")["what"].tolist()
    ['bookings of 2026Q2', 'all bookings', 'open pipeline']
    """
    deals, value, doubted = tables.opportunities, deal_values(tables), _suspicious(tables)
    groups = {"all bookings": deals["status"] == "won", "open pipeline": deals["status"] == "open"}
    if quarter:
        chosen = Quarter.parse(quarter, fiscal_year_starts_in_month=tables.fiscal_year_starts_in_month)
        first, after = pd.Timestamp(chosen.start), pd.Timestamp(chosen.shift(1).start)
        in_quarter = groups["all bookings"] & (deals["closed"] >= first) & (deals["closed"] < after)
        groups = {f"bookings of {chosen}": in_quarter} | groups
    rows = []
    for what, mine in groups.items():
        total, part = float(value[mine].sum()), float(value[mine & doubted].sum())
        share = part / total if total > 0 else math.nan
        rows.append((what, int(mine.sum()), int((mine & doubted).sum()), total, part, share))
    return pd.DataFrame(
        rows, columns=["what", "deals", "suspicious_deals", "value", "suspicious_value", "share"]
    )


def quality_repairs(tables: Tables) -> pd.DataFrame:
    """Return every rule that hit deals, with the value that its repair makes sure, largest first.

    The value is that of the deals concerned: what a won deal booked, what an open one is worth (its amount,
    else the average deal of its segment). Rejected deals, whose amounts are in no figure, count with the
    average deal; of duplicates only those that contradict each other. One deal can stand under several rules,
    so the values do not add up.

    Returns:
        rule, severity, rows, value (currency), assumed (True where averages stand for amounts), what_to_do.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm
    >>> list(quality_repairs(read(example_crm())).columns)
    ['rule', 'severity', 'rows', 'value', 'assumed', 'what_to_do']
    """
    issues = tables.quality.issues
    issues = issues[
        (issues["table"] == "opportunities")
        & (issues["severity"] != "repaired")
        & ~issues["rule"].isin(_FREE)
    ]
    deals = tables.opportunities
    worth = pd.Series(deal_values(tables).to_numpy(), index=deals["opportunity_id"])
    guessed = pd.Series(
        ((deals["status"] == "open") & deals["amount"].isna()).to_numpy(), index=deals["opportunity_id"]
    )
    average = float(deals.loc[deals["status"] == "won", "amount"].mean())
    rows = []
    for rule, found in issues.groupby("rule", sort=False):
        lines = found.drop_duplicates(["file", "row"])
        if lines["severity"].iat[0] == "rejected":
            value, assumed = len(lines) * (average if math.isfinite(average) else 0.0), True
        else:
            keys = lines["key"].unique()
            value, assumed = float(worth.reindex(keys).sum()), bool(guessed.reindex(keys).eq(True).any())
        what_to_do = lines["what_to_do"].iat[0]
        rows.append((rule, lines["severity"].iat[0], len(lines), value, assumed, what_to_do))
    table = pd.DataFrame(rows, columns=["rule", "severity", "rows", "value", "assumed", "what_to_do"])
    return table.sort_values("value", ascending=False, kind="stable", ignore_index=True)


def quality_trust_table(tables: Tables, *, quarter: str = "") -> str:
    """Which part of each value rests on suspicious rows (Markdown)."""
    rows = [
        [
            row["what"],
            formats.count(row["deals"]),
            formats.money(row["value"], tables.currency),
            formats.count(row["suspicious_deals"]),
            formats.money(row["suspicious_value"], tables.currency),
            formats.percent(row["share"]),
        ]
        for row in quality_trust(tables, quarter=quarter).to_dict("records")
    ]
    return formats.table(["", "deals", "value", "suspicious deals", "value on them", "share"], rows)


def quality_repairs_table(tables: Tables) -> str:
    """Every rule that hit, the value it touches, an example and what to do, costly ones first (Markdown)."""
    summary = tables.quality.summary()
    if summary.empty:
        return "No fault was found in any row."
    cost = quality_repairs(tables).set_index("rule")
    summary = summary.assign(value=summary["rule"].map(cost["value"]))
    summary = summary.sort_values("value", ascending=False, kind="stable", na_position="last")
    rows = [
        [
            row["rule"],
            f"{formats.count(row['rows'])} {row['severity']}",
            _cost(row["rule"], cost, tables.currency),
            row["example"],
            row["what_to_do"],
        ]
        for row in summary.to_dict("records")
    ]
    return formats.table(["what", "rows", "value touched", "for example", "what to do"], rows)


def _cost(rule: str, cost: pd.DataFrame, currency: str) -> str:
    if rule not in cost.index:
        return formats.MISSING
    return ("≈ " if cost["assumed"][rule] else "") + formats.money(
        float(cost["value"][rule]), currency, short=True
    )


# --- contracts, gaps, how it was read -------------------------------------------------------------


def quality_contracts(
    tables: Tables,
    *,
    contracts: Sequence[Contract] = DEFAULT_CONTRACTS,
    stage: Literal["MQL", "SQL"] = "MQL",
    by: Literal["source", "rep"] = "source",
) -> pd.DataFrame:
    """Return how many MQL or SQL of each source or rep keep their contract, columns as for
    :func:`salessim.charts.contracts_by_group`: the group, value (share), low, high, n.
    """
    kept = contracts_kept(tables, contracts=contracts, by=by)
    return kept[kept["stage"] == stage].rename(columns={"share": "value"})[[by, "value", "low", "high", "n"]]


def contracts_table(tables: Tables, *, contracts: Sequence[Contract] = DEFAULT_CONTRACTS) -> str:
    """The contracts between marketing and sales by source and by rep [A9]: who keeps them (Markdown).

    One row per source and per rep; of the stages only those for which there is a contract.
    """
    parts = [contracts_kept(tables, contracts=contracts, by=by).rename(columns={by: "group"})
             for by in ("source", "rep")]  # fmt: skip
    stages = [stage for stage in ("MQL", "SQL") if any((part["stage"] == stage).any() for part in parts)]
    if not stages:
        return "No lead is an MQL or SQL whose contract could be checked."
    rows = []
    for part in parts:
        for group, own in part.groupby("group", sort=False):
            by_stage = {row["stage"]: row for row in own.to_dict("records")}
            kept = [cell for stage in stages for cell in _kept(by_stage.get(stage))]
            lacking = by_stage.get(stages[0], {}).get("most_missing") or formats.MISSING
            rows.append([group, *kept, str(lacking).replace("_", " ")])
    interval = f"{formats.percent(LEVEL)} interval"
    header = [name for stage in stages for name in (f"{stage} kept", interval)]
    return formats.table(["source or rep", *header, f"{stages[0]} lacks most"], rows)


def _kept(row: Mapping[Hashable, Any] | None) -> list[str]:
    """Share of the leads of a group that keep a contract, and its interval."""
    if row is None:
        return [formats.MISSING] * 2
    return [
        f"{formats.percent(row['share'])} of {formats.count(row['n'])}",
        f"{formats.percent(row['low'])} to {formats.percent(row['high'])}",
    ]


def missing_table(tables: Tables) -> str:
    """What the export lacks as a whole, which figures can therefore not be given, what to do (Markdown)."""
    found = tables.quality.findings
    if found.empty:
        return "Nothing is missing: every figure that the product knows can be given from this export."
    return formats.table(
        ["what is missing, and what that costs", "what to do"],
        found[["finding", "what_to_do"]].to_numpy().tolist(),
    )


def quality_notes(tables: Tables) -> str:
    """Which column map was used and why, in which currency, and what else was done on the way (Markdown)."""
    reason = tables.column_map_reason
    currency = (
        "The export names no currency."
        if tables.currency == formats.NO_CURRENCY
        else f"All amounts are in {tables.currency}."
    )
    return bullets([f"{reason[:1].upper()}{reason[1:]}.", currency, *tables.quality.notes])


def quality_findings(tables: Tables, *, quarter: str = "") -> str:
    """Can the figures be trusted, and which three repairs pay most? In sentences (Markdown)."""
    counts = tables.quality.counts
    read, rejected = int(counts["read"].sum()), int(counts["rejected"].sum())
    trust = quality_trust(tables, quarter=quarter).set_index("what")
    lines = [_verdict(trust, tables.currency)]
    lines.append(
        f"**{formats.count(read - rejected)} of {formats.count(read)} records are kept**; "
        + (
            f"{formats.count(rejected)} {'is' if rejected == 1 else 'are'} rejected, each listed with the "
            f"reason{_rejected_deals(tables)}."
            if rejected
            else "none is rejected."
        )
    )
    repairs = quality_repairs(tables).head(3).to_dict("records")
    if repairs:
        many = "The repair that pays" if len(repairs) == 1 else f"The {len(repairs)} repairs that pay"
        named = [
            f"   {place}. *{row['rule']}* ({formats.count(row['rows'])} "
            f"{'row' if row['rows'] == 1 else 'rows'}, {'about ' if row['assumed'] else ''}"
            f"{formats.money(row['value'], tables.currency, short=True)}): {row['what_to_do']}"
            for place, row in enumerate(repairs, start=1)
        ]
        lines.append("\n".join([f"**{many} most**, by the value of the deals they touch:", *named]))
    gaps = tables.quality.findings["rule"].drop_duplicates().tolist()
    if gaps:
        lines.append(
            f"**What the export lacks as a whole**: {'; '.join(gaps)}. Which figures that costs stands under "
            "*What is missing*."
        )
    return bullets(lines)


def _rejected_deals(tables: Tables) -> str:
    """What rejected deals, copies apart, may be worth; they are in no figure."""
    repairs = quality_repairs(tables)
    lost = repairs[repairs["severity"] == "rejected"]
    deals = int(lost["rows"].sum())
    if not deals:
        return ""
    value = formats.money(float(lost["value"].sum()), tables.currency, short=True)
    whose = "a deal that is" if deals == 1 else f"{formats.count(deals)} deals that are"
    return f"; among them {whose} in no figure, at the average deal worth about {value}"


def _verdict(trust: pd.DataFrame, currency: str) -> str:
    """One sentence for bookings and one for the pipeline: can they be trusted?"""
    said = []
    for what in ("all bookings", "open pipeline"):
        share, total = float(trust["share"][what]), float(trust["value"][what])
        name = "bookings" if what == "all bookings" else "the open pipeline"
        if not math.isfinite(share):
            said.append(f"there is no value of {name} to judge")
            continue
        level = int(np.digitize(share, [_TRUSTED, _DOUBTED], right=True))
        verb = ("can be trusted", "can be used with care", "cannot be trusted as it stands")[level]
        if name == "bookings":
            verb = verb.replace("it stands", "they stand")
        part = formats.percent(share, digits=int(share < 0.01)) if share else "nothing"
        said.append(
            f"{name} {verb}: {part} of {formats.money(total, currency, short=True)} rests on suspicious rows"
        )
    text = "; ".join(said)
    return f"**{text[:1].upper()}{text[1:]}.** Up to 5 % we call trusted, above 20 % not."
