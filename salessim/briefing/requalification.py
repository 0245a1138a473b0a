"""Chapter 9: what the open pipeline is worth once every deal stands where its evidence puts it [A3, A4]."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from salessim import formats
from salessim.audit import (
    PURCHASE_WITHIN_DAYS,
    STALE_AFTER_DAYS,
    Audit,
    audit,
    audit_workbook,
    read_evidence_sheet,
)
from salessim.briefing.prepared import Briefing, bullets
from salessim.calibrate.criteria import (
    EVIDENCED,
    NOT_EVIDENCED,
    CriteriaEffects,
    criteria_effects,
    criteria_from_tables,
)
from salessim.errors import DataError
from salessim.intervals import LEVEL
from salessim.library import example_scenario
from salessim.model import Scenario

__all__ = [
    "CriteriaFindings",
    "audited",
    "criteria_findings",
    "criteria_table",
    "going_stale_table",
    "prepare_criteria",
    "requalification_deals",
    "requalification_findings",
    "requalification_reps",
    "requalification_stages",
    "requalification_text",
    "write_audit",
]

#: Deals listed in a chapter; the workbook has all.
_MOST = 12
#: Why the weighted value differs from that of the pipeline chapter.
_BASIS = (
    "The chance is that of the stage; the pipeline chapter also counts how long deals have been open, so its "
    "figure differs."
)
#: What runs out within so many days is worth a call now.
_SOON = 14


def audited(
    briefing: Briefing,
    *,
    scenario: str = "",
    evidence: str = "",
    purchase_within_days: int = PURCHASE_WITHIN_DAYS,
    stale_after_days: int = STALE_AFTER_DAYS,
) -> Audit:
    """The re-qualification audit of a report's open deals.

    Args:
        briefing: the report; its calibrated scenario gives the chances.
        scenario: path of the scenario whose stages and criteria are asked for; "" for none, except that the
            example company brings its own.
        evidence: path of the sheet that the team filled in (.xlsx or .csv); "" for none.
        purchase_within_days: a purchase later than that makes no potential deal.
        stale_after_days: older evidence counts no more.

    Raises:
        SalessimError: anything in the input that must be changed.
    """
    return audit(
        briefing.tables,
        _definitions(briefing, scenario),
        evidence=read_evidence_sheet(evidence) if evidence else None,
        calibrated=briefing.scenario,
        purchase_within_days=purchase_within_days,
        stale_after_days=stale_after_days,
    )


def write_audit(found: Audit, path: str | Path) -> Path:
    """Write the workbook to work through with the team, and return its path."""
    return audit_workbook(found, path)


def _definitions(briefing: Briefing, scenario: str) -> Scenario:
    """The scenario whose stages have the exit criteria; a calibrated one only knows what the CRM knows."""
    if scenario:
        return Scenario.load(scenario)
    own = example_scenario()
    is_example = briefing.scenario.made_up and briefing.scenario.name == own.name
    return own if is_example else briefing.scenario


def requalification_text(found: Audit) -> str:
    """The audit for the command line: findings, the pipeline before and after, deals, reps (Markdown)."""
    return "\n\n".join(
        [
            requalification_findings(found),
            requalification_stages(found),
            requalification_deals(found),
            requalification_reps(found),
        ]
    )


def requalification_findings(found: Audit) -> str:
    """The audit in sentences (Markdown): how much is where it claims to be, what is cold, what is next."""
    deals = found.deals
    value, back = float(deals["amount"].sum()), deals[deals["move"] == "back"]
    in_place = value - float(back["amount"].sum())
    before = float(deals["claimed_weighted"].sum(min_count=1))
    after = float(deals["evidenced_weighted"].sum(min_count=1))
    share = formats.percent(in_place / value if value else math.nan)
    lines = [
        f"**{_ground(found)}{share} of the open pipeline's value is where it claims to be** "
        f"({_money(found, in_place)} of {_money(found, value)}, on {found.on}); "
        f"{_of(len(back), len(deals))} {'claims' if len(back) == 1 else 'claim'} more than is evidenced.",
        _weighted(found, before, after),
    ]
    lines += _cold(found)
    lines += _first_gap(back)
    forward = deals[deals["move"] == "forward"]
    if len(forward):
        one = len(forward) == 1
        lines.append(
            f"{_number(len(forward))} worth {_money(found, float(forward['amount'].sum()))} "
            f"{'has' if one else 'have'} more evidence than {'its' if one else 'their'} stage asks for: move "
            f"{'it' if one else 'them'} on."
        )
    lines += _rep(found, before - after)
    soon = _going_stale(found)
    if len(soon):
        lines.append(
            f"{_number(len(soon))} worth {_money(found, float(soon['amount'].sum()))} "
            f"{'needs' if len(soon) == 1 else 'need'} a new date or new evidence within {_SOON} days, or "
            f"{'falls' if len(soon) == 1 else 'fall'} back."
        )
    lines += _limits(found)
    return bullets(lines)


def _ground(found: Audit) -> str:
    """What the verdict rests on, where the export tells of few criteria; "" where it tells of most."""
    asked = len(found.criteria)
    told = asked - len(found.unchecked)
    if not told:
        return "Judged by age alone, "
    return f"Judged by {told} of {asked} criteria, " if told < asked / 2 else ""


def _weighted(found: Audit, before: float, after: float) -> str:
    if math.isnan(before):
        return "What the pipeline is worth by its chance to be won cannot be said: no chance is known."
    text = f"Weighted by its chance to be won, the pipeline is worth **{_money(found, after)}**"
    if not before > 0 or abs(after / before - 1) < 0.005:
        return f"{text}, as much as the CRM claims. {_BASIS}"
    way = "less" if after < before else "more"
    return f"{text}, not {_money(found, before)}: {formats.percent(abs(after / before - 1))} {way}. {_BASIS}"


def _cold(found: Audit) -> list[str]:
    cold = found.deals[found.deals["cold"] & ~found.deals["dead"]]
    dead = found.deals[found.deals["dead"]]
    lines = []
    if len(cold):
        first = cold.iloc[0]
        lacks = [*first["missing"], *first["missing_later"]]
        lines.append(
            f"**{_number(len(cold))} worth {_money(found, float(cold['amount'].sum()))} "
            f"{'is' if len(cold) == 1 else 'are'} cold**, the largest *{_named(first)}* "
            f"({_money(found, float(first['amount']))}, {first['rep']}): it claims *{first['claimed_stage']}*"
            + (f", its next step reads “{first['next_step']}”" if isinstance(first["next_step"], str) else "")
            + f", and there is no proof of: {', '.join(lacks)}."
        )
    if len(dead):
        lines.append(
            f"**{_number(len(dead))} worth {_money(found, float(dead['amount'].sum()))} "
            f"{'is' if len(dead) == 1 else 'are'} as good as dead**: open for more than "
            f"{found.dead_after_days:.0f} days, longer than 99 % of the deals that ever closed. Counted "
            "with no chance until somebody has asked."
        )
    return lines


def _first_gap(back: pd.DataFrame) -> list[str]:
    gaps = back.loc[back["missing"].map(len) > 0]
    if gaps.empty:
        return []
    first = gaps["missing"].str[0]
    worth = gaps.groupby(first)["amount"].agg(["size", "sum"]).sort_values(["size", "sum"], ascending=False)
    name, row = str(worth.index[0]), worth.iloc[0]
    return [
        f"The gap to fill first is most often *{name}*: {formats.count(row['size'])} of the "
        f"{_number(len(back))} that moved back {'lacks' if row['size'] == 1 else 'lack'} it."
    ]


def _rep(found: Audit, lost: float) -> list[str]:
    reps = found.by_rep()
    if len(reps) < 2 or not lost > 0:
        return []
    top = reps.iloc[0]
    drop = float(top["weighted_before"] - top["weighted_after"])
    return [
        f"The largest difference is with {top['rep']}: {_money(found, drop)} of weighted value less, "
        f"{formats.percent(float(top['share_in_place']))} of {_money(found, float(top['value']))} in place. "
        "It is a list to work through together, not a ranking."
    ]


def _limits(found: Audit) -> list[str]:
    """What the export cannot tell, and what was assumed."""
    lines = []
    asked = [criterion.name for criterion in found.criteria]
    if set(found.unchecked) == set(asked):
        lines.append(
            f"**The export has no evidence of any criterion** ({', '.join(asked)}), nor dates of next steps "
            "or purchases. Only the age of the deals could be judged, so the true picture is no better than "
            "this one: hand out the audit sheet (`salessim audit --out audit.xlsx`), fill it in, and read it "
            "back with `--evidence`."
        )
    elif found.unchecked:
        names = ", ".join(f"*{name}*" for name in found.unchecked)
        lines.append(f"Nothing in the export tells of {names}, which is held against no deal.")
    lines += [f"{note[:1].upper()}{note[1:]}." for note in found.notes]
    if len(found.unknown):
        rows = [
            f"{row.opportunity_id} (row {row.row}: {row.why})" for row in found.unknown.head(5).itertuples()
        ]
        more = f" and {len(found.unknown) - 5} more" if len(found.unknown) > 5 else ""
        lines.append(f"The sheet has deals that are not open: {', '.join(rows)}{more}.")
    return lines


def requalification_stages(found: Audit) -> str:
    """The pipeline before and after, by stage, with totals (Markdown table)."""
    stages = found.by_stage()
    total = stages.drop(columns="stage").sum(min_count=1)
    rows = [
        [
            name,
            *[
                formats.count(row[f"deals_{when}"])
                if kind == "deals"
                else _money(found, float(row[f"{kind}_{when}"]))
                for when in ("before", "after")
                for kind in ("deals", "value", "weighted")
            ],
        ]
        for name, row in [*stages.set_index("stage").iterrows(), ("**all stages**", total)]
    ]
    header = [
        "stage", "deals claimed", "value claimed", "weighted claimed",
        "deals evidenced", "value evidenced", "weighted evidenced",
    ]  # fmt: skip
    return formats.table(header, rows)


def requalification_deals(found: Audit, *, most: int = _MOST) -> str:
    """The deals that claim more than is evidenced, the largest first, with what to do (Markdown table).

    An amount behind ``≈`` is the average of the segment, since the CRM has none.
    """
    deals = found.to_requalify()
    if deals.empty:
        return "No open deal claims more than is evidenced."
    rows = [
        [
            f"{_named(row)}, {row['rep']}",
            _amount(found, row),
            f"{row['claimed_stage']} → {row['evidenced_stage']}",
            row["why"],
            row["to_do"],
            _days(row["days_until_stale"]),
        ]
        for row in deals.head(most).to_dict("records")
    ]
    header = [
        "deal, rep",
        "amount",
        "claimed → evidenced",
        "what is missing",
        "next step",
        "days until stale",
    ]
    table = formats.table(header, rows)
    rest = deals.iloc[most:]
    if rest.empty:
        return table
    return (
        f"{table}\n\n… and {_number(len(rest))} more, worth {_money(found, float(rest['amount'].sum()))} "
        "together; the audit sheet (`salessim audit --out audit.xlsx`) lists all."
    )


def requalification_reps(found: Audit) -> str:
    """The pipeline before and after, by rep, with totals (Markdown table)."""
    reps = found.by_rep()
    total = reps.drop(columns="rep").sum(min_count=1)
    total["share_in_place"] = total["value_in_place"] / total["value"] if total["value"] else math.nan
    rows = [
        [
            name,
            formats.count(row["deals"]),
            formats.count(row["moved_back"]),
            formats.count(row["cold"]),
            _money(found, float(row["value"])),
            formats.percent(float(row["share_in_place"])),
            _money(found, float(row["weighted_before"])),
            _money(found, float(row["weighted_after"])),
        ]
        for name, row in [*reps.set_index("rep").iterrows(), ("**all reps**", total)]
    ]
    header = [
        "rep",
        "open deals",
        "moved back",
        "cold or dead",
        "value",
        "in place",
        "weighted claimed",
        "weighted evidenced",
    ]
    return formats.table(header, rows)


def going_stale_table(found: Audit, *, most: int = _MOST) -> str:
    """The deals whose evidence runs out soon, the next first (Markdown table)."""
    soon = _going_stale(found)
    if soon.empty:
        return f"No evidence runs out within {_SOON} days."
    rows = [
        [
            _named(row),
            row["rep"],
            _amount(found, row),
            row["evidenced_stage"],
            _days(row["days_until_stale"]),
            row["next_step"] if isinstance(row["next_step"], str) else formats.MISSING,
        ]
        for row in soon.head(most).to_dict("records")
    ]
    header = ["deal", "rep", "amount", "stage", "days until stale", "next step agreed"]
    rest = len(soon) - most
    return formats.table(header, rows) + (f"\n\n… and {_number(rest)} more." if rest > 0 else "")


@dataclass(frozen=True, eq=False)
class CriteriaFindings:
    """What closed deals tell of each criterion: the estimate, or in ``why_not`` why there is none."""

    effects: CriteriaEffects | None
    why_not: str

    @property
    def levels(self) -> pd.DataFrame:
        """The levels as the chart takes them, the criterion that moves most first; empty: no estimate."""
        if self.effects is None:
            return pd.DataFrame(
                columns=["criterion", "level", "n", "change", "change_low", "change_high", "could_be_luck"]
            )
        order = {name: place for place, name in enumerate(self.effects.criteria["criterion"])}
        return self.effects.levels.sort_values(
            "criterion", key=lambda names: names.map(order), kind="stable", ignore_index=True
        )


def prepare_criteria(briefing: Briefing) -> CriteriaFindings:
    """How much each criterion moves the chance to win, from the export's own closed deals."""
    frame = criteria_from_tables(briefing.tables)
    criteria = [str(name) for name in frame.columns[4:]]
    if not criteria:
        return CriteriaFindings(
            None,
            "The export has no evidence of closed deals, so it cannot tell which criterion matters. Once "
            "evidence is kept in the CRM for a quarter or two, this chapter answers it.",
        )
    try:
        return CriteriaFindings(criteria_effects(frame, won="won", criteria=criteria), "")
    except DataError as fault:
        return CriteriaFindings(None, f"Which criterion matters cannot be told: {fault}.")


def criteria_findings(found: CriteriaFindings) -> str:
    """What moves the chance to win, in sentences, with how far it can be trusted (Markdown)."""
    effects = found.effects
    if effects is None:
        return found.why_not
    with_evidence = effects.levels[effects.levels["level"] == EVIDENCED].to_dict("records")
    sure = [row for row in with_evidence if row["change_low"] > 0]
    sure.sort(key=lambda row: -row["change"])
    if sure:
        names = [f"*{row['criterion']}* ({100 * row['change']:+.0f} points)" for row in sure]
        lines = [
            f"**With evidence, the chance to win is higher for {_listed(names)}**, each with the other "
            f"criteria being equal, against the average of {formats.count(effects.n)} closed deals, "
            f"{formats.percent(effects.won / effects.n)} of which were won."
        ]
    else:
        lines = ["**No criterion raises the chance to win by more than luck explains.**"]
    if unsure := [f"*{row['criterion']}*" for row in with_evidence if row["could_be_luck"]]:
        lines.append(f"What {_listed(unsure)} shows could be luck.")
    told = effects.prediction
    verdict = (
        "better than somebody who knows only the share won"
        if told.better_than_base
        else "not surely better than somebody who knows only the share won"
    )
    lines.append(
        f"Deals that were not used for the estimate are predicted {verdict}: of a won and a lost deal, the "
        f"won one is rated higher in {formats.percent(told.auc)} of all pairs (guessing: 50 %)."
    )
    lines.append(
        "A deal that goes well anyway collects more evidence on its way: read this as what to look at first, "
        "not as what evidence by itself would bring."
    )
    return bullets(lines)


def criteria_table(found: CriteriaFindings) -> str:
    """Each criterion with and without evidence, with intervals (Markdown table), or that there is none."""
    if found.effects is None:
        return "There is no estimate to list."
    rows = []
    for name, own in found.levels.groupby("criterion", sort=False):
        both = {row["level"]: row for row in own.to_dict("records")}
        cells: list[object] = [name]
        for level in (EVIDENCED, NOT_EVIDENCED):
            row = both[level]
            cells += [
                f"{formats.percent(row['won'] / row['n'])} of {formats.count(row['n'])}",
                _points(row["change"]) + f" ({_points(row['change_low'])} to {_points(row['change_high'])})",
            ]
        cells.append("could be luck" if both[EVIDENCED]["could_be_luck"] else "beyond luck")
        rows.append(cells)
    points = f"points ({formats.percent(LEVEL)} interval)"
    header = ["criterion", "won with evidence", points, "won without", points, "verdict"]
    return formats.table(header, rows)


def _going_stale(found: Audit) -> pd.DataFrame:
    deals = found.deals[(found.deals["days_until_stale"] <= _SOON) & ~found.deals["dead"]]
    return deals.sort_values(["days_until_stale", "amount"], ascending=[True, False], kind="stable")


def _money(found: Audit, amount: float) -> str:
    return formats.money(amount, found.currency, short=True)


def _amount(found: Audit, row: Mapping[Any, Any]) -> str:
    return ("≈ " if row["amount_is_typical"] else "") + _money(found, float(row["amount"]))


def _named(row: Mapping[Any, Any] | pd.Series) -> str:
    name = next((row[key] for key in ("name", "account") if isinstance(row[key], str)), "")
    return f"{name} ({row['opportunity_id']})" if name else str(row["opportunity_id"])


def _days(days: float) -> str:
    return formats.count(days) if math.isfinite(days) else formats.MISSING


def _number(deals: int) -> str:
    return f"{formats.count(deals)} {'deal' if deals == 1 else 'deals'}"


def _of(some: int, whole: int) -> str:
    return f"{formats.count(some)} of {_number(whole)}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _points(change: float) -> str:
    return f"{100 * change:+.0f}"
