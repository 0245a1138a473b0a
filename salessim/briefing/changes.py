"""The weekly status in words: what the week did to the pipeline, by kind of change, by rep, deal by deal."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from salessim import formats
from salessim.briefing.prepared import bullets
from salessim.crm.changes import BRIDGE_STEPS, KINDS, Changes

__all__ = [
    "changes_by_kind_table",
    "changes_by_rep_table",
    "changes_findings",
    "changes_text",
    "deals_to_discuss",
]

#: Deals that are named, of each sort.
NAMED = 5
#: So often a deal has slipped when it is talked about.
SLIPPED_OFTEN = 2
_STEPS = BRIDGE_STEPS[1:-1]


def changes_text(changes: Changes, *, currency: str | None = None, slips: pd.DataFrame | None = None) -> str:
    """What changed since the export before, for the weekly status meeting [F1] (Markdown).

    The answer first, then tables by kind and by rep, then the deals worth talking about. ``currency`` (None:
    that of the changes) is an ISO code; ``slips`` are all slips so far, as
    :func:`salessim.crm.ledger.slips_of` gives them; without them nobody is named for slipping again.

    >>> from salessim.crm.changes import changes_between
    >>> columns = ["opportunity_id", "rep", "stage", "status", "amount", "expected_close"]
    >>> last = pd.DataFrame([["D1", "Rep Alpha", "cold", "open", 500.0, pd.NaT],
    ...                      ["D2", "Rep Alpha", "cold", "open", 900.0, pd.NaT]], columns=columns)
    >>> text = changes_text(changes_between(last, last[:1], stages=["cold"]), currency="EUR")
    >>> print(text.replace(". ", ".\\n").splitlines()[1])
    What did it: vanished −EUR 900 (1 deal).
    """
    money = changes.currency if currency is None else currency
    parts = [changes_findings(changes, currency=money)]
    if len(changes.table):
        parts += [
            "**By kind of change**",
            changes_by_kind_table(changes, currency=money),
            "**By rep**",
            changes_by_rep_table(changes, currency=money),
        ]
    if lines := deals_to_discuss(changes, currency=money, slips=slips):
        parts += ["**Deals to talk about**", bullets(lines)]
    return "\n\n".join(parts)


def changes_findings(changes: Changes, *, currency: str) -> str:
    """The week in two or three sentences: from which value to which, what did it, and what is not known."""
    bridge = changes.bridge.set_index("step")
    start, end = (float(bridge["value"][step]) for step in ("start", "end"))
    when = f"From {changes.since} to {changes.until}" if changes.since else "Between the two exports"
    moved = _moved(start, end)
    text = (
        f"**{when} the open pipeline {moved}**, from {formats.money(start, currency)} "
        f"({_deals(bridge['deals']['start'])}) to {formats.money(end, currency)} "
        f"({_deals(bridge['deals']['end'])})."
    )
    causes = [
        f"{step} {_change(float(bridge['value'][step]), currency)} ({_counted(bridge, step)})"
        for step in _STEPS
        if bridge["deals"][step]
    ]
    if causes:
        text += f" What did it: {_joined(causes)}."
    else:
        text += " No deal came, went or changed its amount."
    without = int(bridge["without_amount"]["end"])
    if without:
        text += (
            f" {formats.count(without)} of the {_deals(bridge['deals']['end'], 'open deal')} "
            f"{'has no amount and counts' if without == 1 else 'have no amount and count'} as 0."
        )
    return text


def changes_by_kind_table(changes: Changes, *, currency: str) -> str:
    """How many deals each kind of change happened to, and what it did to the value (Markdown table)."""
    found = changes.table.groupby("kind")["pipeline_effect"].agg(["size", "sum"])
    rows = [
        [
            kind,
            formats.count(int(found["size"][kind])),
            _change(float(found["sum"][kind]), currency) if kind in _STEPS else formats.MISSING,
        ]
        for kind in KINDS
        if kind in found.index
    ]
    return formats.table(["change", "deals", "value of the pipeline"], rows)


def changes_by_rep_table(changes: Changes, *, currency: str) -> str:
    """The bridge of each rep with an open deal (Markdown table); columns without any change are left out."""
    frame = changes.by_rep[(changes.by_rep.drop(columns="rep") != 0).any(axis=1)]
    if frame.empty:
        return "No rep's pipeline has a value."
    between = [name for name in (*_STEPS, "reassigned") if (frame[name] != 0).any()]
    rows = [
        [
            row["rep"],
            formats.money(row["start"], currency),
            *(_change(row[name], "") if row[name] else "" for name in between),
            formats.money(row["end"], currency),
        ]
        for row in frame.to_dict("records")
    ]
    return formats.table(["rep", "start", *between, "end"], rows)


def deals_to_discuss(
    changes: Changes, *, currency: str, slips: pd.DataFrame | None = None
) -> tuple[str, ...]:
    """Sentences on the deals of the week: slipped again, largest changes, gone from the CRM."""
    table, lines = changes.table, []
    if slips is not None and len(slips):
        often = slips.groupby("opportunity_id").agg(times=("days", "size"), days=("days", "sum"))
        often = often[often["times"] >= SLIPPED_OFTEN]
        again = table[(table["kind"] == "slipped") & table["opportunity_id"].isin(often.index)]
        for row in _largest(again, "amount_after"):
            times, days = (int(often[name][row["opportunity_id"]]) for name in ("times", "days"))
            lines.append(
                f"{_who(row)} slipped for the {_ordinal(times)} time, now to "
                f"{row['expected_close_after'].date()}: {formats.days(days)} in all"
                f"{_worth(row['amount_after'], currency)}."
            )
        lines += _rest(again, "slipped again")
    moved = table[(table["pipeline_effect"] != 0) & (table["kind"] != "vanished")]
    for row in _largest(moved, "pipeline_effect"):
        lines.append(_moved_sentence(row, currency))
    vanished = table[(table["kind"] == "vanished") & ~table["stage_before"].isin(["won", "lost"])]
    for row in _largest(vanished, "amount_before"):
        lines.append(
            f"{_who(row)} is no longer in the CRM, though it was open in stage {row['stage_before']}"
            f"{_worth(row['amount_before'], currency)}: deleted, merged, not exported, or rejected by the "
            "import?"
        )
    return (*lines, *_rest(vanished, "vanished from the CRM"))


def _moved_sentence(row: dict[str, Any], currency: str) -> str:
    who, stage, was_in = _who(row), row["stage_after"], row["stage_before"]
    before, after = (formats.money(row[name], currency) for name in ("amount_before", "amount_after"))
    if row["kind"] == "resized":
        if before == formats.MISSING:
            return f"{who} got its first amount: {after}, in stage {stage}."
        if after == formats.MISSING:
            return f"{who} no longer has an amount, in stage {stage}: it was {before}."
    return {
        "new": f"{who} is new: {after}, in stage {stage}.",
        "reopened": f"{who} was {was_in} and is open again: {after}, in stage {stage}.",
        "resized": f"{who} went from {before} to {after}, in stage {stage}.",
        "won": f"{who} was won from stage {was_in}: {before} expected, {after} booked.",
        "lost": f"{who} was lost in stage {was_in}: {before}.",
    }[str(row["kind"])]


def _largest(rows: pd.DataFrame, by: str) -> list[dict[str, Any]]:
    order = rows[by].abs().sort_values(ascending=False, kind="stable", na_position="last").index
    found: list[Any] = rows.loc[order[:NAMED]].to_dict("records")
    return found


def _rest(rows: pd.DataFrame, what: str) -> list[str]:
    more = len(rows) - NAMED
    return [f"{_deals(more, 'more deal')} {what}."] if more > 0 else []


def _who(row: dict[str, Any]) -> str:
    about = [str(row[name]) for name in ("account", "rep") if not pd.isna(row[name])]
    return f"**{row['opportunity_id']}**" + (f" ({', '.join(about)})" if about else "")


def _worth(amount: float, currency: str) -> str:
    return f", worth {formats.money(amount, currency)}" if math.isfinite(amount) else ""


def _moved(start: float, end: float) -> str:
    part = end / start - 1 if start else math.nan
    if not math.isfinite(part):
        return "stayed without a value" if end == start else "got its first value"
    if abs(part) < 0.005:
        return "held level"
    return f"{'rose' if part > 0 else 'fell'} {formats.percent(abs(part))}"


def _change(value: float, currency: str) -> str:
    if not value:
        return "±0"
    return f"{'+' if value > 0 else '−'}{formats.money(abs(value), currency)}"


def _counted(bridge: pd.DataFrame, step: str) -> str:
    without = int(bridge["without_amount"][step])
    more = f", {formats.count(without)} without an amount" if without else ""
    return f"{_deals(bridge['deals'][step])}{more}"


def _deals(number: float, thing: str = "deal") -> str:
    return f"{formats.count(number)} {thing}{'' if number == 1 else 's'}"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
