"""What changed in the pipeline between two exports: deals by kind of change, and a bridge that adds up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from salessim import formats
from salessim.crm import ledger as ledgers
from salessim.crm.canonical import Tables
from salessim.errors import DataError, ParameterError, listed

__all__ = ["BRIDGE_STEPS", "KINDS", "NOT_GIVEN", "Changes", "changes_between", "changes_in"]

#: Kinds of change; a deal can have several, such as one that moved forward and was resized.
KINDS = (
    "new",
    "reopened",
    "moved forward",
    "moved back",
    "resized",
    "slipped",
    "pulled in",
    "reassigned",
    "won",
    "lost",
    "vanished",
)
#: Steps of the bridge between the pipeline at the start and at the end.
BRIDGE_STEPS = ("start", "new", "reopened", "resized", "won", "lost", "vanished", "end")

#: Rep of deals that have none.
NOT_GIVEN = "not given"

_COLUMNS = (
    "kind",
    "opportunity_id",
    "account",
    "rep",
    "rep_before",
    "stage_before",
    "stage_after",
    "amount_before",
    "amount_after",
    "expected_close_before",
    "expected_close_after",
    "pipeline_effect",
)
_NEEDED = ("opportunity_id", "rep", "stage", "status", "amount", "expected_close")


@dataclass(frozen=True, eq=False)
class Changes:
    """What happened to the pipeline between two exports.

    - ``table``: one row per deal and kind (:data:`KINDS`, in that order): kind, opportunity_id, account, rep
      (the one who has it now; of a vanished deal the last), rep_before, stage_before, stage_after,
      amount_before, amount_after (currency; NaN: none known), expected_close_before, expected_close_after,
      pipeline_effect (currency: by how much this row changes the value of the open pipeline).
    - ``bridge``: one row per step (:data:`BRIDGE_STEPS`): step, value (currency), deals (open at start and
      end; those that came, changed or went in between) and without_amount, those of them that count as 0
      because no amount is known. start + all steps = end, in whole cents.
    - ``by_rep``: the same for each rep, by rep: the values of the steps, with reassigned before end, what
      came from and went to others.

    The pipeline is the value of all open deals. A deal that came and was closed between the two exports was
    never in it: it is new and won (or lost), without an effect. ``since`` and ``until`` are the days of the
    two exports, None where they are not known; ``currency`` is XXX where none is.
    """

    table: pd.DataFrame
    bridge: pd.DataFrame
    by_rep: pd.DataFrame
    since: date | None = None
    until: date | None = None
    currency: str = formats.NO_CURRENCY


def changes_between(
    before: Tables | pd.DataFrame, after: Tables | pd.DataFrame, *, stages: Sequence[str] = ()
) -> Changes:
    """Compare two exports of the same CRM, deal by deal.

    Each is a :class:`Tables` or a frame like its ``opportunities`` (as :func:`salessim.crm.ledger.snapshot`
    gives). ``stages`` are the open stages in order; left out, they come from the tables, or from the ordered
    categories of the frames; a stage that only the earlier export has keeps its place among the others.

    A deal *moved* if it was and is open in another stage; *slipped* or was *pulled in* if its expected close
    is later or earlier; was *resized* if its amount differs (a first amount counts from 0); *reopened* if it
    was closed and is open; *vanished* if the later export does not have it: it was deleted or merged in the
    CRM, not exported, or rejected by the import. A closed deal that changed its status or amount is named
    too, with no effect.

    Raises:
        ParameterError: deals are in stages whose order is not known, or the later export comes first.
        DataError: a frame lacks a column or has a deal twice; the currencies differ.

    >>> columns = ["opportunity_id", "rep", "stage", "status", "amount", "expected_close"]
    >>> last = pd.DataFrame([["D1", "Rep Alpha", "cold", "open", 500.0, pd.Timestamp("2026-07-01")],
    ...                      ["D2", "Rep Beta", "warm", "open", 900.0, pd.NaT]], columns=columns)
    >>> this = pd.DataFrame([["D1", "Rep Alpha", "warm", "open", 650.0, pd.Timestamp("2026-09-01")],
    ...                      ["D2", "Rep Beta", "won", "won", 850.0, pd.NaT],
    ...                      ["D3", "Rep Beta", "cold", "open", 120.0, pd.NaT]], columns=columns)
    >>> week = changes_between(last, this, stages=["cold", "warm"])
    >>> week.table[["kind", "opportunity_id", "stage_before", "stage_after", "pipeline_effect"]]
                kind opportunity_id stage_before stage_after  pipeline_effect
    0            new             D3          NaN        cold            120.0
    1  moved forward             D1         cold        warm              0.0
    2        resized             D1         cold        warm            150.0
    3        slipped             D1         cold        warm              0.0
    4            won             D2         warm         won           -900.0
    >>> week.bridge.set_index("step")["value"].to_dict()  # doctest: +NORMALIZE_WHITESPACE
    {'start': 1400.0, 'new': 120.0, 'reopened': 0.0, 'resized': 150.0, 'won': -900.0, 'lost': 0.0,
     'vanished': 0.0, 'end': 770.0}
    """
    currencies = [side.currency for side in (before, after) if isinstance(side, Tables)]
    if len(set(currencies)) > 1:
        raise DataError(
            f"the exports are in {listed(currencies)}; amounts of different currencies cannot be compared"
        )
    if isinstance(before, Tables) and isinstance(after, Tables) and before.as_of > after.as_of:
        raise ParameterError(
            f"the export before is of {before.as_of}, the one after of {after.as_of}; "
            "give the earlier one first"
        )
    order = list(stages) or _merged_order(_stages_of(before), _stages_of(after))
    pairs = _pairs(_deals_of(before, "earlier"), _deals_of(after, "later"), order)
    effects = _effects(pairs)
    return Changes(
        table=_table(pairs, effects),
        bridge=_bridge(pairs, effects),
        by_rep=_by_rep(pairs, effects),
        since=before.as_of if isinstance(before, Tables) else None,
        until=after.as_of if isinstance(after, Tables) else None,
        currency=currencies[0] if currencies else formats.NO_CURRENCY,
    )


def changes_in(ledger: str | Path, *, since: date | None = None, until: date | None = None) -> Changes:
    """Compare two snapshots of a ledger: by default the latest and the one before it.

    ``until`` is the day of the later snapshot (None: the latest), ``since`` that of the earlier one (None:
    the last before ``until``).

    Raises:
        DataError: the ledger has no snapshot of a day that is named, or none to compare with.
    """
    kept = ledgers.contents(ledger)
    known = [day.date() for day in kept["day"]]
    last = until or known[-1]
    earlier = [day for day in known if day < last]
    first = since or (earlier[-1] if earlier else None)
    if first is None:
        raise DataError(
            f"the ledger has no snapshot before {last} to compare it with; it has {listed(known[::-1])}. "
            "Record the next export when it is there"
        )
    if first >= last:
        raise DataError(f"since is {first}; it must lie before {last}")
    found = changes_between(ledgers.snapshot(ledger, first), ledgers.snapshot(ledger, last))
    return replace(found, since=first, until=last, currency=str(kept["currency"].iloc[-1]))


# --- the two sides --------------------------------------------------------------------------------


def _stages_of(side: Tables | pd.DataFrame) -> tuple[str, ...]:
    if isinstance(side, Tables):
        return side.stages
    stage = side["stage"] if "stage" in side else pd.Series(dtype=object)
    if isinstance(stage.dtype, pd.CategoricalDtype) and stage.cat.ordered:
        return tuple(str(name) for name in stage.cat.categories if name not in ("won", "lost"))
    return ()


def _merged_order(before: Sequence[str], after: Sequence[str]) -> list[str]:
    """The later order, with each stage that only the earlier one has behind the one it stood behind."""
    order = list(after)
    for place, name in enumerate(before):
        if name not in order:
            order.insert(order.index(before[place - 1]) + 1 if place else 0, name)
    return order


def _deals_of(side: Tables | pd.DataFrame, which: str) -> pd.DataFrame:
    deals = side.opportunities if isinstance(side, Tables) else side
    if missing := [name for name in _NEEDED if name not in deals]:
        raise DataError(f"the {which} export lacks {listed(missing)}; needed are {listed(_NEEDED)}")
    twice = deals.loc[deals["opportunity_id"].duplicated(), "opportunity_id"]
    if len(twice):
        raise DataError(f"the {which} export has deals more than once: {listed(list(twice.unique()))}")
    chosen = deals[list(_NEEDED)].assign(account=deals.get("account"), stage=deals["stage"].astype("object"))
    # whole cents, so that sums are exact; an amount that is not known counts as nothing
    return chosen.assign(cents=(chosen["amount"].fillna(0.0) * 100).round().astype("int64"))


def _pairs(before: pd.DataFrame, after: pd.DataFrame, order: Sequence[str]) -> pd.DataFrame:
    """One row per deal of either side, with both states beside each other and their cents in the pipeline."""
    both = before.merge(after, on="opportunity_id", how="outer", suffixes=("_before", "_after"))
    rank = {name: place for place, name in enumerate(order)}
    for side in ("before", "after"):
        is_open = both[f"status_{side}"] == "open"
        unknown = sorted(set(both.loc[is_open, f"stage_{side}"].dropna()) - set(rank))
        if unknown:
            raise ParameterError(
                f"the order of the stages {listed(unknown)} is not known; known are {listed(order)}. "
                "Name all open stages in order (stages)"
            )
        both[f"open_{side}"] = is_open
        both[f"rank_{side}"] = both[f"stage_{side}"].map(rank).astype("float64")
        both[f"cents_{side}"] = both[f"cents_{side}"].fillna(0).astype("int64").where(is_open, 0)
    there_before, there_after = both["status_before"].notna(), both["status_after"].notna()
    both["rep"] = both["rep_after"].where(there_after, both["rep_before"])
    both["account"] = both["account_after"].where(there_after, both["account_before"])
    return both.assign(there_before=there_before, there_after=there_after)


# --- kinds and effects ----------------------------------------------------------------------------


def _kinds(pairs: pd.DataFrame) -> dict[str, pd.Series]:
    """For each kind, which deals it happened to."""
    was_open, is_open = pairs["open_before"], pairs["open_after"]
    stayed = was_open & is_open
    both = pairs["there_before"] & pairs["there_after"]
    close_before, close_after = pairs["expected_close_before"], pairs["expected_close_after"]
    amount_before, amount_after = pairs["amount_before"], pairs["amount_after"]
    same_amount = (amount_before == amount_after) | (amount_before.isna() & amount_after.isna())
    same_status = pairs["status_before"] == pairs["status_after"]
    same_rep = (pairs["rep_before"] == pairs["rep_after"]) | (
        pairs["rep_before"].isna() & pairs["rep_after"].isna()
    )
    return {
        "new": ~pairs["there_before"],
        "reopened": both & ~was_open & is_open,
        "moved forward": stayed & (pairs["rank_after"] > pairs["rank_before"]),
        "moved back": stayed & (pairs["rank_after"] < pairs["rank_before"]),
        "resized": both & same_status & ~same_amount,
        "slipped": stayed & (close_after > close_before),
        "pulled in": stayed & (close_after < close_before),
        "reassigned": both & ~same_rep,
        "won": (pairs["status_after"] == "won") & ~same_status,
        "lost": (pairs["status_after"] == "lost") & ~same_status,
        "vanished": ~pairs["there_after"],
    }


def _effects(pairs: pd.DataFrame) -> dict[str, tuple[pd.Series, pd.Series]]:
    """For each kind, which deals it happened to, and by how many cents that changed the pipeline."""
    change = pairs["cents_after"] - pairs["cents_before"]
    # a deal changes the pipeline by one kind only: it came, it went, or it stayed and was resized
    moving = ("new", "reopened", "resized", "won", "lost", "vanished")
    return {
        kind: (happened, change.where(happened, 0) if kind in moving else change * 0)
        for kind, happened in _kinds(pairs).items()
    }


def _table(pairs: pd.DataFrame, effects: dict[str, tuple[pd.Series, pd.Series]]) -> pd.DataFrame:
    parts = [
        pairs[happened].assign(kind=kind, pipeline_effect=cents[happened] / 100)
        for kind, (happened, cents) in effects.items()
    ]
    return pd.concat(parts, ignore_index=True)[list(_COLUMNS)]


def _bridge(pairs: pd.DataFrame, effects: dict[str, tuple[pd.Series, pd.Series]]) -> pd.DataFrame:
    was_open, is_open = pairs["open_before"], pairs["open_after"]
    nothing_before, nothing_after = pairs["amount_before"].isna(), pairs["amount_after"].isna()
    # the amount that a step adds to the pipeline, or takes from it, is that after or before it
    unknown = {"new": is_open & nothing_after, "reopened": nothing_after, "resized": is_open & nothing_after}
    rows = [("start", int(pairs["cents_before"].sum()), was_open, was_open & nothing_before)]
    for step in BRIDGE_STEPS[1:-1]:
        happened, cents = effects[step]
        rows.append(
            (step, int(cents.sum()), happened, unknown.get(step, was_open & nothing_before) & happened)
        )
    rows.append(("end", int(pairs["cents_after"].sum()), is_open, is_open & nothing_after))
    return pd.DataFrame(
        [(step, cents / 100, int(deals.sum()), int(blank.sum())) for step, cents, deals, blank in rows],
        columns=["step", "value", "deals", "without_amount"],
    )


def _by_rep(pairs: pd.DataFrame, effects: dict[str, tuple[pd.Series, pd.Series]]) -> pd.DataFrame:
    pairs = pairs.assign(
        rep=pairs["rep"].fillna(NOT_GIVEN),
        rep_before=pairs["rep_before"].fillna(NOT_GIVEN).where(pairs["there_before"]),
        rep_after=pairs["rep_after"].fillna(NOT_GIVEN).where(pairs["there_after"]),
    )
    reps = sorted({*pairs["rep_before"].dropna(), *pairs["rep_after"].dropna()})
    handed_over = effects["reassigned"][0]
    given = pairs["cents_before"].where(handed_over, 0)

    def cents_by(rep: str, cents: pd.Series) -> pd.Series:
        return cents.groupby(pairs[rep]).sum().reindex(reps, fill_value=0)

    columns = {"start": cents_by("rep_before", pairs["cents_before"])}
    columns |= {step: cents_by("rep", effects[step][1]) for step in BRIDGE_STEPS[1:-1]}
    columns["reassigned"] = cents_by("rep_after", given) - cents_by("rep_before", given)
    columns["end"] = cents_by("rep_after", pairs["cents_after"])
    return (pd.DataFrame(columns).astype(np.float64) / 100).rename_axis("rep").reset_index()
