"""The re-qualification audit [A4]: every open deal is put where its evidence puts it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.audit.ladders import Ladder, ladders_of
from salessim.audit.proofs import Proofs, prove
from salessim.audit.sheet import NEXT_STEP, EvidenceSheet
from salessim.crm import Tables
from salessim.errors import DataError, ParameterError
from salessim.model import Criterion, Scenario

__all__ = ["PURCHASE_WITHIN_DAYS", "STALE_AFTER_DAYS", "Audit", "audit"]

Floats = npt.NDArray[np.float64]

#: Two months: a deal is a potential deal only if the customer buys within them [A3].
PURCHASE_WITHIN_DAYS = 61
#: A quarter: evidence that was not asked for again since then counts no more.
STALE_AFTER_DAYS = 90
#: A deal that is open for longer than this share of the closed deals ever took is as good as dead.
_NEARLY_ALL = 0.99
_FEW_CLOSED = 20

_DEAL_COLUMNS = (
    "opportunity_id", "name", "account", "rep", "segment", "claimed_stage", "evidenced_stage", "move",
    "cold", "dead", "missing", "missing_later", "why", "to_do", "days_until_stale", "amount",
    "amount_is_typical", "claimed_chance", "evidenced_chance", "claimed_weighted", "evidenced_weighted",
    "next_step", "next_step_date", "purchase_date",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Audit:
    """What the open pipeline is worth once every deal stands where its evidence puts it.

    - ``deals``: one row per open deal, the largest first: opportunity_id, name, account, rep, segment,
      claimed_stage (the CRM's), evidenced_stage (the first whose exit criteria are not all evidenced), move
      (``back``, ``stays`` or ``forward``), cold (it fell back to where nothing is known), dead (open for
      longer than nearly every deal that ever closed), missing (criteria that keep it in the evidenced stage),
      missing_later (those of the stages between there and the claimed one), why (what is wrong with each),
      to_do (the step that fills the first gap), days_until_stale (until the first thing that counts today
      counts no more; 0 for a dead deal, NaN where nothing ages), amount (in ``currency``), amount_is_typical
      (the CRM has none: the segment's average stands in), chance to be won and amount × chance by claimed
      and by evidenced stage (a dead deal has no chance until somebody has asked), and what is agreed:
      next_step, next_step_date, purchase_date (as the customer says it).
    - ``evidence``: one row per open deal and criterion: opportunity_id, criterion, state (``evidenced``,
      ``missing``, ``not checked``: there is no place where evidence could stand), noted (its day, NaT),
      runs_out (last day on which it counts, NaT), why.
    - ``dates_kept``: whether the export (or the sheet) has dates of next steps, and of purchases.
    - ``criteria``: what was asked. ``stages``: all stages, first to last. ``unchecked``: criteria for which
      nothing can be said of any deal. ``unknown``: rows of the team's sheet that are no open deal:
      opportunity_id, row, why.
    - ``dead_after_days``: NaN where too few deals are closed. ``notes``: what was assumed.
    """

    deals: pd.DataFrame
    evidence: pd.DataFrame
    criteria: tuple[Criterion, ...]
    stages: tuple[str, ...]
    unchecked: tuple[str, ...]
    unknown: pd.DataFrame
    dates_kept: tuple[bool, bool]
    on: date
    currency: str
    purchase_within_days: int
    stale_after_days: int
    dead_after_days: float
    notes: tuple[str, ...]

    def by_stage(self) -> pd.DataFrame:
        """The pipeline before and after, by stage: deals, value and weighted value; the totals agree.

        One row per stage in order: stage, deals_before, value_before, weighted_before, deals_after,
        value_after, weighted_after (NaN: no chance is known). Deals and value add up to the same before and
        after.
        """
        parts = {}
        for when, which in (("before", "claimed"), ("after", "evidenced")):
            grouped = self.deals.groupby(f"{which}_stage")
            parts[f"deals_{when}"] = grouped.size()
            parts[f"value_{when}"] = grouped["amount"].sum()
            parts[f"weighted_{when}"] = grouped[f"{which}_weighted"].sum(min_count=1)
        table = pd.DataFrame(parts).reindex(list(self.stages))
        for when in ("before", "after"):  # a stage without deals is worth nothing; unknown chances stay NaN
            columns = [f"{kind}_{when}" for kind in ("deals", "value", "weighted")]
            table.loc[table[columns[0]].isna(), columns] = 0.0
        table = table.astype({"deals_before": "int64", "deals_after": "int64"})
        return table.rename_axis("stage").reset_index()

    def by_rep(self) -> pd.DataFrame:
        """The pipeline before and after, by rep, the one who loses most weighted value first.

        One row per rep: rep, deals, moved_back, cold, value, value_in_place (of the deals that stand where
        they claim, or further), share_in_place (by value), weighted_before, weighted_after.
        """
        deals = self.deals.assign(
            moved_back=self.deals["move"] == "back",
            in_place=self.deals["amount"].where(self.deals["move"] != "back", 0.0),
        )
        grouped = deals.groupby(deals["rep"].fillna("nobody"))
        table = pd.DataFrame(
            {
                "deals": grouped.size(),
                "moved_back": grouped["moved_back"].sum(),
                "cold": grouped["cold"].sum(),
                "value": grouped["amount"].sum(),
                "value_in_place": grouped["in_place"].sum(),
                "weighted_before": grouped["claimed_weighted"].sum(min_count=1),
                "weighted_after": grouped["evidenced_weighted"].sum(min_count=1),
            }
        )
        table.insert(5, "share_in_place", table["value_in_place"] / table["value"].where(table["value"] > 0))
        lost = (table["weighted_before"] - table["weighted_after"]).sort_values(
            ascending=False, kind="stable"
        )
        return table.loc[lost.index].rename_axis("rep").reset_index()

    def to_requalify(self) -> pd.DataFrame:
        """The deals that claim more than is evidenced, the largest first; columns as ``deals``."""
        return self.deals[self.deals["move"] == "back"].reset_index(drop=True)

    def criterion(self, name: str) -> Criterion:
        """One of the criteria by name."""
        return next(criterion for criterion in self.criteria if criterion.name == name)


def audit(
    tables: Tables,
    scenario: Scenario,
    *,
    on: date | None = None,
    evidence: EvidenceSheet | None = None,
    calibrated: Scenario | None = None,
    purchase_within_days: int = PURCHASE_WITHIN_DAYS,
    stale_after_days: int = STALE_AFTER_DAYS,
) -> Audit:
    """Put every open deal into the stage that its evidence supports, and say what is missing [A3, A4].

    A deal stands in the first stage whose exit criteria are not all evidenced. The criterion *next step* is
    proven by dates: a next step that is still to come, and a purchase within two months. Other criteria are
    proven by the evidence in the CRM or in the team's sheet, which has the last word on the deals and
    criteria in it; *MQL contract* and *SQL contract* by the fields of the deal's lead [A9]. A criterion for
    which neither has any evidence of any deal is not held against anybody. A deal that is open for longer
    than nearly every deal that ever closed goes back to the start.

    Args:
        tables: the export.
        scenario: stages with their exit criteria, and contracts. Where it has none for the CRM's stages, the
            field's criteria are spread over them; ``notes`` say so.
        on: the day of the audit; None: the day of the export.
        evidence: what the team wrote (:func:`read_evidence_sheet`).
        calibrated: where chances and typical amounts come from; None: the scenario.
        purchase_within_days: how near the purchase must be.
        stale_after_days: how long dated evidence counts.

    Raises:
        ParameterError: a number of days is below 1.
        DataError: there are no open deals.

    >>> from salessim.crm import read
    >>> from salessim.library import example_crm, example_scenario
    >>> found = audit(read(example_crm()), example_scenario())
    >>> found.deals["move"].value_counts().index[0], found.unchecked
    ('stays', ('signature',))
    """
    for name, days in (
        ("purchase_within_days", purchase_within_days),
        ("stale_after_days", stale_after_days),
    ):
        if days < 1:
            raise ParameterError(f"{name} is {days}; it must be 1 or more")
    day = on or tables.as_of
    deals = tables.opportunities[tables.opportunities["status"] == "open"].reset_index(drop=True)
    if deals.empty:
        raise DataError("the export has no open deals, so there is nothing to re-qualify")
    ladders, criteria, notes = ladders_of(tables, scenario, calibrated)
    proofs = prove(
        tables,
        deals,
        [criterion.name for criterion in criteria],
        on=day,
        contracts=scenario.contracts,
        purchase_within_days=purchase_within_days,
        stale_after_days=stale_after_days,
        sheet=evidence,
    )
    unchecked = tuple(
        name for name, checked in zip(proofs.criteria, proofs.checked.T, strict=True) if not checked.any()
    )
    if evidence is not None:
        strange = [
            name
            for name in evidence.criteria
            if name.casefold() not in {c.casefold() for c in proofs.criteria}
        ]
        if strange:
            notes.append(
                f"{evidence.name}: columns that are no criterion were not used: " + ", ".join(strange)
            )
    age = (pd.Timestamp(day) - deals["created"]).dt.days.to_numpy(dtype=np.float64)
    dead, dead_after_days, age_left = _dead(tables, age)
    amount, is_typical = _amounts(tables, deals, calibrated or scenario)
    if is_typical.any():
        number = int(is_typical.sum())
        notes.append(
            f"{number:,} open {'deal has' if number == 1 else 'deals have'} no amount; "
            "the average of the segment stands in"
        )
    standing = _standing(deals, ladders, proofs, dead, age, criteria)
    ends = np.where(standing.supports, proofs.runs_out, np.datetime64("NaT", "D"))
    stale = np.fmin(
        (np.fmin.reduce(ends, axis=1) - np.datetime64(day, "D")).astype("timedelta64[D]"), age_left
    )
    days_left = np.where(np.isnat(stale), np.nan, stale.astype("int64").astype(np.float64))
    table = deals[["opportunity_id", "name", "account", "rep", "segment"]].assign(
        claimed_stage=standing.claimed,
        evidenced_stage=standing.evidenced,
        move=standing.move,
        cold=standing.cold,
        dead=dead,
        missing=standing.missing,
        missing_later=standing.missing_later,
        why=standing.why,
        to_do=standing.to_do,
        days_until_stale=np.where(dead, 0.0, days_left),
        amount=amount,
        amount_is_typical=is_typical,
        claimed_chance=standing.claimed_chance,
        evidenced_chance=np.where(dead, 0.0, standing.evidenced_chance),
    )
    table = table.join(proofs.agreed)
    table["claimed_weighted"] = table["amount"] * table["claimed_chance"]
    table["evidenced_weighted"] = table["amount"] * table["evidenced_chance"]
    table = table.sort_values(["amount", "opportunity_id"], ascending=[False, True], ignore_index=True)
    return Audit(
        deals=table[list(_DEAL_COLUMNS)],
        evidence=_long(deals, proofs),
        criteria=criteria,
        stages=_all_stages(ladders),
        unchecked=unchecked,
        unknown=_unknown(tables, evidence),
        dates_kept=(
            bool(proofs.agreed["next_step_date_checked"].any()),
            bool(proofs.agreed["purchase_date_checked"].any()),
        ),
        on=day,
        currency=tables.currency,
        purchase_within_days=purchase_within_days,
        stale_after_days=stale_after_days,
        dead_after_days=dead_after_days,
        notes=(*notes, *proofs.notes),
    )


@dataclass(frozen=True, eq=False)
class _Standing:
    """Where each deal stands; arrays of shape (deals,), supports (deals, criteria)."""

    claimed: npt.NDArray[np.object_]
    evidenced: npt.NDArray[np.object_]
    move: npt.NDArray[np.object_]
    cold: npt.NDArray[np.bool_]
    missing: npt.NDArray[np.object_]
    missing_later: npt.NDArray[np.object_]
    why: npt.NDArray[np.object_]
    to_do: npt.NDArray[np.object_]
    claimed_chance: Floats
    evidenced_chance: Floats
    supports: npt.NDArray[np.bool_]


def _standing(
    deals: pd.DataFrame,
    ladders: Mapping[str, Ladder],
    proofs: Proofs,
    dead: npt.NDArray[np.bool_],
    age: Floats,
    criteria: Sequence[Criterion],
) -> _Standing:
    size = len(deals)
    place_of = {name: place for place, name in enumerate(proofs.criteria)}
    claimed, evidenced, move, why, to_do, missing, missing_later = (
        np.full(size, None, dtype=object) for _ in range(7)
    )
    cold = np.zeros(size, dtype=bool)
    before, after = np.full(size, np.nan), np.full(size, np.nan)
    supports = np.zeros(proofs.proven.shape, dtype=bool)
    lacking = proofs.checked & ~proofs.proven
    stages, segments = deals["stage"].tolist(), deals["segment"].tolist()
    asked = {
        name: [[place_of[criterion] for criterion in rung.exit_criteria] for rung in ladder.rungs]
        for name, ladder in ladders.items()
    }
    for deal in range(size):
        ladder, exits = ladders[segments[deal]], asked[segments[deal]]
        start = ladder.place(stages[deal]) or 0
        stands = next((rung for rung in range(start) if lacking[deal, exits[rung]].any()), start)
        if dead[deal]:
            stands = 0
        elif stands == start:
            # forward only on what is really evidenced, never on what nobody can check
            while stands < len(exits) - 1 and exits[stands] and proofs.proven[deal, exits[stands]].all():
                stands += 1
        claims, finds = ladder.rungs[start], ladder.rungs[stands]
        claimed[deal], evidenced[deal] = claims.stage, finds.stage
        before[deal], after[deal] = claims.chance, finds.chance
        back = stands < start or dead[deal]
        move[deal] = "back" if back else "forward" if stands > start else "stays"
        cold[deal] = back and (finds.is_cold or stands == 0)
        own = [place for place in exits[stands] if lacking[deal, place]]
        later = [place for rung in exits[stands + 1 : start] for place in rung if lacking[deal, place]]
        missing[deal] = tuple(proofs.criteria[place] for place in own)
        missing_later[deal] = tuple(proofs.criteria[place] for place in later)
        said = [_said(proofs, deal, place) for place in (*own, *later)]
        why[deal] = "; ".join([f"open for {age[deal]:,.0f} days"] * bool(dead[deal]) + said)
        first = own or [place for place in exits[stands] if not proofs.proven[deal, place]]
        to_do[deal] = _to_do(
            proofs, deal, criteria[first[0]] if first else None, finds.stage, dead=bool(dead[deal])
        )
        supports[deal, [place for rung in exits[: stands + 1] for place in rung]] = True
    return _Standing(
        claimed, evidenced, move, cold, missing, missing_later, why, to_do, before, after, supports
    )


def _said(proofs: Proofs, deal: int, place: int) -> str:
    """What is wrong with a criterion; dates and leads speak for themselves."""
    name, why = proofs.criteria[place], proofs.why[deal, place]
    plain = name.casefold() == NEXT_STEP or name.casefold().endswith(" contract")
    return str(why) if plain else f"{name}: {why}"


def _to_do(proofs: Proofs, deal: int, criterion: Criterion | None, stage: str, *, dead: bool) -> str:
    """The step that fills the first gap, as something to do."""
    if dead:
        return "Ask whether they still want to buy, and by when; if not, close it as lost"
    if criterion is None:
        return f"Nothing is missing to leave '{stage}': move it on, or name the next step"
    later, why = proofs.later[deal], proofs.why[deal, proofs.criteria.index(criterion.name)]
    if criterion.name.casefold() == NEXT_STEP:
        if not np.isnat(later):
            return f"Put it in nurture: the customer buys on {later}; ask again two months before"
        return "Agree a next step with its date, and ask when they buy" + (f" ({why})" if why else "")
    if criterion.name.casefold().endswith(" contract"):
        return f"Complete the lead in the CRM ({why})" if why else "Complete the lead in the CRM"
    question = criterion.question[:1].lower() + criterion.question[1:]
    return f"Find out: {question}"


def _dead(tables: Tables, age: Floats) -> tuple[npt.NDArray[np.bool_], float, npt.NDArray[np.timedelta64]]:
    """Deals that are older than nearly every deal that closed, from which age on, and the days left."""
    closed = tables.opportunities[tables.opportunities["status"] != "open"]
    took = (closed["closed"] - closed["created"]).dt.days.dropna()
    left = np.full(len(age), np.timedelta64("NaT", "D"))
    if len(took) < _FEW_CLOSED:
        return np.zeros(len(age), dtype=bool), float("nan"), left
    limit = float(took.quantile(_NEARLY_ALL, interpolation="higher"))
    known = np.isfinite(age)
    left[known] = (limit - age[known]).astype("timedelta64[D]")
    return age > limit, limit, left


def _amounts(tables: Tables, deals: pd.DataFrame, scenario: Scenario) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Amounts of the open deals, and which of them are the segment's average."""
    won = tables.opportunities[tables.opportunities["status"] == "won"]
    expected = pd.Series({part.name: part.deal_size.moments()[0] for part in scenario.segments}, dtype=float)
    typical = won.groupby("segment")["amount"].mean().combine_first(expected)
    overall = float(won["amount"].mean()) if won["amount"].notna().any() else float(expected.mean())
    given = deals["amount"].to_numpy(dtype=np.float64)
    stand_in = deals["segment"].map(typical).fillna(overall).to_numpy(dtype=np.float64)
    missing = np.isnan(given)
    return np.where(missing, stand_in, given), missing


def _long(deals: pd.DataFrame, proofs: Proofs) -> pd.DataFrame:
    size, number = proofs.proven.shape
    state = np.where(proofs.proven, "evidenced", np.where(proofs.checked, "missing", "not checked"))
    return pd.DataFrame(
        {
            "opportunity_id": np.repeat(deals["opportunity_id"].to_numpy(), number),
            "criterion": np.tile(np.array(proofs.criteria, dtype=object), size),
            "state": state.ravel(),
            "noted": pd.Series(proofs.noted.ravel().astype("datetime64[ns]")),
            "runs_out": pd.Series(proofs.runs_out.ravel().astype("datetime64[ns]")),
            "why": np.where(proofs.checked, proofs.why, "not in the export").ravel(),
        }
    )


def _all_stages(ladders: Mapping[str, Ladder]) -> tuple[str, ...]:
    """The stages of all segments in one order: those of the longest ladder, others after the one before."""
    order: list[str] = []
    for ladder in sorted(ladders.values(), key=lambda one: -len(one.rungs)):
        at = 0
        for rung in ladder.rungs:
            if rung.stage in order:
                at = order.index(rung.stage) + 1
            else:
                order.insert(at, rung.stage)
                at += 1
    return tuple(order)


def _unknown(tables: Tables, sheet: EvidenceSheet | None) -> pd.DataFrame:
    names = ["opportunity_id", "row", "why"]
    if sheet is None:
        return pd.DataFrame(columns=names)
    status = tables.opportunities.set_index("opportunity_id")["status"]
    found = sheet.rows.index.to_series().map(status)
    lines = [
        [number, row, "not in the export" if pd.isna(state) else f"{state} by now"]
        for number, row, state in zip(sheet.rows.index, sheet.rows.tolist(), found, strict=True)
        if state != "open"
    ]
    return pd.DataFrame(lines, columns=names)
