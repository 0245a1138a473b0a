"""Where a number comes from, and what changed between two sets of quotas [B5]."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from salessim.allocation.cascade import Allocation
from salessim.allocation.cents import add_share, money_text
from salessim.errors import PlanError, listed
from salessim.formats import percent

__all__ = ["differences", "trace"]

_NO_PERIOD = "all"


def trace(allocation: Allocation, name: str, *, period: str | None = None) -> pd.DataFrame:
    """Every step from the company's plan to one number, so that its owner can follow it.

    Args:
        allocation: the quotas.
        name: a rep, or a manager (the trace then ends with what the manager is asked for).
        period: a quarter of the allocation; None: the year.

    Returns:
        One row per step in order: step, node, rule (company plan, over-assignment, pins, share, target, pin,
        limit, quarter, relief, open seat, taken over, roll-up, quota), basis (the figure that the rule starts
        from: a weight for a share, else an amount), share (that the rule applies; NaN where it applies
        none), amount (after the step), cents, sentence. The last row is the quota.

    Raises:
        PlanError: nobody of that name, or an unknown period.

    >>> from salessim.allocation import Hierarchy, allocate
    >>> team = Hierarchy.from_table(pd.DataFrame({
    ...     "name": ["Acme", "Ann", "Bo"], "parent": ["", "Acme", "Acme"], "history": [None, 300.0, 100.0],
    ... }))
    >>> plan = allocate(team, 1_000_000, over_assignment=0.1, currency="EUR")
    >>> for sentence in trace(plan, "Ann")["sentence"]:
    ...     print(sentence)
    The plan of 'Acme' is EUR 1,000,000.00.
    'Acme' hands out 10.0 % more than it carries: EUR 1,100,000.00.
    'Ann' has 300 of the 400 history under 'Acme': 75.0 %, EUR 825,000.00.
    The quota of 'Ann' is EUR 825,000.00.
    """
    if period is not None and period not in allocation.periods:
        raise PlanError(f"period is {period!r}; the allocation has {listed(allocation.periods)}")
    steps = _Steps(allocation)
    node = allocation.hierarchy
    way = node.path(name)
    plan = int(allocation.assigned_cents[0])
    steps.add(
        0, "company plan", float("nan"), plan, f"The plan of '{node.names[0]}' is {steps.text(plan)}.", plan
    )
    for up, at in pairwise(way):
        _handed_down(steps, allocation, up, at)
    at = way[-1]
    reached = int(allocation.assigned_cents[at])
    if not node.leaf[at]:
        if period is None:
            last = reached
        else:
            last = int(allocation.quarter_cents[at, allocation.periods.index(period)])
            steps.add(
                at,
                "roll-up",
                float("nan"),
                last,
                f"The quotas of the people below '{name}' add up to {steps.text(last)} in {period}.",
                reached,
            )
    else:
        last = _over_the_year(steps, allocation, at, period)
    when = period or (str(allocation.year) if allocation.year else "")
    for_when = f" for {when}" if when else ""
    steps.add(
        at, "quota", float("nan"), last, f"The quota of '{name}'{for_when} is {steps.text(last)}.", last
    )
    return steps.table()


def differences(
    before: Allocation | pd.DataFrame, after: Allocation | pd.DataFrame, *, by_period: bool = False
) -> pd.DataFrame:
    """What changed between two sets of quotas, rep by rep, and why as far as the allocations tell.

    Args:
        before: an allocation, or a long table with the columns rep, quota and (optionally) period.
        after: the same of the newer set.
        by_period: one row per rep and period instead of the sum over all periods of each set.

    Returns:
        One row per rep, the largest change first: rep, (period,) status (same, changed, added, removed),
        old_quota and new_quota (NaN: not in that set), change (added and removed reps with their full
        amount), change_share (÷ old; NaN without an old quota above zero), reason (sentences; "" where a set
        is only a table). Changes add up to the difference of the totals.

    Raises:
        PlanError: a table lacks a column, a quota is missing or negative, or a rep has two in a period.

    >>> old = pd.DataFrame({"rep": ["Ann", "Bo"], "quota": [100.0, 80.0]})
    >>> new = pd.DataFrame({"rep": ["Ann", "Cy"], "quota": [120.0, 70.0]})
    >>> differences(old, new)[["rep", "status", "change"]].values.tolist()
    [['Bo', 'removed', -80.0], ['Cy', 'added', 70.0], ['Ann', 'changed', 20.0]]
    """
    keys = ["rep", "period"] if by_period else ["rep"]
    old = _cents_by(before, keys, "before")
    new = _cents_by(after, keys, "after")
    both = pd.concat([old.rename("old"), new.rename("new")], axis=1)
    # pandas turns whole numbers with gaps into doubles, which hold cents exactly up to LARGEST
    change = both["new"].fillna(0.0) - both["old"].fillna(0.0)
    status = np.select(
        [both["old"].isna(), both["new"].isna(), change == 0], ["added", "removed", "same"], "changed"
    )
    table = both.index.to_frame(index=False)
    table["status"] = status
    table["old_quota"] = both["old"].to_numpy() / 100
    table["new_quota"] = both["new"].to_numpy() / 100
    table["change"] = change.to_numpy() / 100
    earlier = both["old"].where(both["old"] > 0).to_numpy()
    table["change_share"] = change.to_numpy() / earlier
    table["reason"] = ""
    if isinstance(before, Allocation) and isinstance(after, Allocation):
        reasons = _reasons(before, after, sorted(set(table.loc[table["status"] != "same", "rep"])))
        table["reason"] = [
            reasons.get(rep, "") if state != "same" else ""
            for rep, state in zip(table["rep"], table["status"], strict=True)
        ]
    table["size"] = -table["change"].abs()
    return table.sort_values(["size", *keys], kind="stable", ignore_index=True).drop(columns="size")


class _Steps:
    """Rows of a trace as they are found."""

    def __init__(self, allocation: Allocation) -> None:
        self.allocation = allocation
        self.rows: list[dict[str, object]] = []

    def text(self, cents: int) -> str:
        return money_text(cents, self.allocation.currency)

    def add(self, at: int, rule: str, share: float, cents: int, sentence: str, basis: float) -> None:
        self.rows.append(
            {
                "step": len(self.rows) + 1,
                "node": self.allocation.hierarchy.names[at],
                "rule": rule,
                "basis": float(basis) / (1 if rule == "share" else 100),
                "share": share,
                "amount": cents / 100,
                "cents": cents,
                "sentence": sentence,
            }
        )

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)


def _handed_down(steps: _Steps, allocation: Allocation, up: int, at: int) -> None:
    """From what a node carries to what one of those below is asked for."""
    node = allocation.hierarchy
    manager, name = node.names[up], node.names[at]
    carries, asked = int(allocation.assigned_cents[up]), int(allocation.assigned_cents[at])
    added = float(allocation.added[up])
    handed = int(add_share(allocation.assigned_cents[[up]], allocation.added[[up]])[0])
    if added:
        more = percent(added, digits=1)
        sentence = f"'{manager}' hands out {more} more than it carries: {steps.text(handed)}."
        steps.add(up, "over-assignment", added, handed, sentence, carries)
    own = asked / handed if handed else float("nan")
    if name in allocation.pins:
        pin = steps.text(allocation.pins[name])
        sentence = (
            f"'{name}' is pinned at {pin}."
            if allocation.pins_in == "assigned"
            else f"'{name}' is pinned at {pin} of the plan; with over-assignment that is {steps.text(asked)}."
        )
        steps.add(at, "pin", own, asked, sentence, handed)
        return
    if allocation.held[at]:
        cents = asked if allocation.pins_in == "assigned" else int(allocation.base_cents[at])
        side = "lowest" if cents == allocation.limits[name][0] else "highest"
        sentence = f"'{name}' is held at the {side} amount for it, {steps.text(cents)}"
        sentence += (
            "." if cents == asked else f" of the plan; with over-assignment that is {steps.text(asked)}."
        )
        steps.add(at, "limit", own, asked, sentence, handed)
        return
    siblings = np.flatnonzero(node.parent == up)
    pinned = [
        int(other) for other in siblings if node.names[other] in allocation.pins or allocation.held[other]
    ]
    left = handed - int(allocation.assigned_cents[pinned].sum())
    if pinned:
        who, taken = listed([node.names[other] for other in pinned]), steps.text(handed - left)
        how = "held" if allocation.held[pinned].any() else "pinned"
        fixed = f"{who} is {how} at {taken}" if len(pinned) == 1 else f"{who} are {how} at {taken} together"
        sentence = f"{fixed}; {steps.text(left)} are left for the others."
        steps.add(up, "pins", left / handed if handed else float("nan"), left, sentence, handed)
    if name in allocation.targets:
        sentence = f"'{name}' has a target of {steps.text(allocation.targets[name])}"
        sentence += "." if asked == allocation.targets[name] else f", and is asked for {steps.text(asked)}."
        steps.add(at, "target", own, asked, sentence, handed)
        return
    sharing = [int(other) for other in siblings if other not in pinned]
    weight, total = float(allocation.weight[at]), float(allocation.weight[sharing].sum())
    share = weight / total
    parts = []
    for column, part in allocation.by.items():
        figure = allocation.figures[column]
        of_all = f"{figure[at]:,.10g} of the {figure[sharing].sum():,.10g} {column}"
        parts.append(of_all if part == 1 else f"{of_all} (counting {percent(part)})")
    under = f"of those who share the rest under '{manager}'" if pinned else f"under '{manager}'"
    sentence = f"'{name}' has {', '.join(parts)} {under}: {percent(share, digits=1)}, {steps.text(asked)}."
    steps.add(at, "share", share, asked, sentence, weight)


def _over_the_year(steps: _Steps, allocation: Allocation, at: int, period: str | None) -> int:
    """From what a rep is asked for to the quota of the year or a quarter, which is returned."""
    name = allocation.hierarchy.names[at]
    columns = slice(None) if period is None else [allocation.periods.index(period)]
    full = allocation.full_cents[at, columns]
    now = int(full.sum())
    year = int(allocation.assigned_cents[at])
    if period is not None:
        share = now / year if year else float("nan")
        sentence = f"{period} takes {percent(share, digits=1)} of the year: {steps.text(now)}."
        steps.add(at, "quarter", share, now, sentence, year)
    relieved = int(allocation.relieved_cents[at, columns].sum())
    vacant = int(allocation.vacant_cents[at, columns].sum())
    ramp = relieved - vacant
    for rule, less, why in (
        ("relief", ramp, "by ramp and presence '{name}' carries {text} less: {now}."),
        ("open seat", vacant, "nobody sits on '{name}' yet; {text} are not asked of the seat: {now}."),
    ):
        if less:
            before, now = now, now - less
            told = why.format(name=name, text=steps.text(less), now=steps.text(now))
            steps.add(at, rule, -less / before, now, told[0].upper() + told[1:], before)
    more = int(allocation.taken_over_cents[at, columns].sum())
    if more:
        before, now = now, now + more
        sentence = f"'{name}' takes over {steps.text(more)} from others who are relieved: {steps.text(now)}."
        steps.add(at, "taken over", more / before if before else float("nan"), now, sentence, before)
    return now


def _cents_by(quotas: Allocation | pd.DataFrame, keys: list[str], which: str) -> pd.Series[float]:
    """Quotas in cents by rep (and period)."""
    if isinstance(quotas, Allocation):
        rows = quotas.by_quarter[quotas.by_quarter["leaf"]]
        # a quarter without a quota is no row, as in a file; a rep without any stays, with zero
        if "period" in keys:
            rows = rows[rows["quota_cents"] > 0]
        table = pd.DataFrame({"rep": rows["name"], "period": rows["period"], "cents": rows["quota_cents"]})
    else:
        wanted = [*keys, "quota"]
        lacking = [column for column in wanted if column not in quotas.columns]
        if lacking:
            raise PlanError(
                f"{which}: the table lacks the columns {listed(lacking)}; "
                f"it has {listed(list(quotas.columns))}"
            )
        value = pd.to_numeric(quotas["quota"], errors="coerce")
        bad = ~(np.isfinite(value) & (value >= 0))
        if bad.any():
            names = list(dict.fromkeys(quotas.loc[bad, "rep"].astype(str)))
            raise PlanError(f"{which}: the quota of {listed(names)} is missing, negative or no number")
        table = pd.DataFrame(
            {
                "rep": quotas["rep"].astype(str),
                "period": quotas["period"].astype(str) if "period" in quotas.columns else _NO_PERIOD,
                "cents": np.rint(value * 100).astype(np.int64),
            }
        )
    twice = table[table.duplicated(["rep", "period"])]
    if len(twice):
        raise PlanError(f"{which}: more than one quota in a period for {listed(sorted(set(twice['rep'])))}")
    return table.groupby(keys, sort=True)["cents"].sum().astype(np.float64)


def _reasons(before: Allocation, after: Allocation, reps: list[str]) -> dict[str, str]:
    """Which of the things that make a quota are not what they were, per rep."""
    old_at = {name: at for at, name in enumerate(before.hierarchy.names)}
    new_at = {name: at for at, name in enumerate(after.hierarchy.names)}
    old_table, new_table = (_plain(a) for a in (before, after))
    found: dict[str, str] = {}
    plans = int(before.assigned_cents[0]), int(after.assigned_cents[0])
    for rep in reps:
        if rep not in old_at or rep not in new_at:
            found[rep] = "not in the earlier set" if rep in new_at else "not in the later set"
            continue
        old, new = old_at[rep], new_at[rep]
        told = []
        if plans[0] != plans[1]:
            told.append(f"plan {_from_to(before, after, *plans)}")
        lines = tuple(
            a.hierarchy.names[a.hierarchy.parent[at]] if at else "" for a, at in ((before, old), (after, new))
        )
        if lines[0] != lines[1]:
            told.append(f"reports to '{lines[1]}' (was '{lines[0]}')")
        pins = before.pins.get(rep), after.pins.get(rep)
        if pins[0] != pins[1] or (pins[0] is not None and before.pins_in != after.pins_in):
            if pins[1] is None:
                told.append("pin dropped")
            else:
                told.append(f"pinned at {money_text(pins[1], after.currency)}")
        if after.held[new]:
            told.append("held at a limit")
        over = old_table["over_assignment"][old], new_table["over_assignment"][new]
        if abs(over[0] - over[1]) > 1e-12:
            told.append(f"over-assignment {_shares_text(*over)}")
        shares = before.base_cents[old] / plans[0], after.base_cents[new] / plans[1]
        # a cent of rounding is no reason
        if abs(shares[0] - shares[1]) * max(plans) > 2 * before.hierarchy.levels and pins == (None, None):
            told.append(f"share of the plan {_shares_text(*shares)}{_why_share(before, after, old, new)}")
        for column, label in (("relieved", "relief"), ("taken", "taken over from others")):
            cents = int(old_table[column][old]), int(new_table[column][new])
            if cents[0] != cents[1]:
                told.append(f"{label} {_from_to(before, after, *cents)}")
        found[rep] = "; ".join(told) or "rounding"
    return found


def _plain(allocation: Allocation) -> dict[str, npt.NDArray[np.generic]]:
    return {
        "over_assignment": allocation.table["over_assignment"].to_numpy(),
        "relieved": allocation.relieved_cents.sum(axis=1),
        "taken": allocation.taken_over_cents.sum(axis=1),
    }


def _why_share(before: Allocation, after: Allocation, old: int, new: int) -> str:
    """Why the share changed: own weight, or what others have or are pinned at."""
    if dict(before.by) != dict(after.by):
        return f" (by {', '.join(after.by)} instead of {', '.join(before.by)})"
    moved = [
        f"{column} {before.figures[column][old]:,.10g} → {after.figures[column][new]:,.10g}"
        for column in after.by
        if before.figures[column][old] != after.figures[column][new]
    ]
    if moved:
        return f" ({', '.join(moved)})"
    if dict(before.limits) != dict(after.limits):
        return " (limits)"
    return " (pins of others)" if dict(before.pins) != dict(after.pins) else " (weights of others)"


def _shares_text(old: float, new: float) -> str:
    """Two shares with as many digits as it takes to tell them apart."""
    for digits in range(1, 7):
        texts = percent(float(old), digits=digits), percent(float(new), digits=digits)
        if texts[0] != texts[1]:
            break
    return f"{texts[0]} → {texts[1]}"


def _from_to(before: Allocation, after: Allocation, old: int, new: int) -> str:
    return f"{money_text(old, before.currency)} → {money_text(new, after.currency)}"
