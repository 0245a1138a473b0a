"""Exports drawn at random for tests: every table filled, with gaps, odd dates and repeated stages."""

from __future__ import annotations

from datetime import date
from typing import Any, cast

import numpy as np
import pandas as pd

from salessim.crm import Tables
from salessim.crm.canonical import SPECS, empty

STAGES = ("cold", "warm", "closing")


def frame(table: str, columns: dict[str, Any]) -> pd.DataFrame:
    """Columns as a canonical table: missing ones are filled, types are those of the import."""
    blank = empty(table)
    size = len(next(iter(columns.values())))
    made = pd.DataFrame({name: columns.get(name, [None] * size) for name in blank.columns})
    dates = SPECS[table].of_kind("date")
    return made.assign(
        **{
            name: pd.to_datetime(made[name]) if name in dates else made[name].astype(blank[name].dtype)
            for name in blank.columns
        }
    )


def random_export(seed: int, *, deals: int = 400, starts: int = 1, as_of: date = date(2026, 6, 30)) -> Tables:
    """Tables as the import makes them, drawn at random; two years of deals, half of them with a history."""
    rng = np.random.default_rng(seed)

    def picked(names: list[str | None], size: int) -> np.ndarray[Any, np.dtype[np.object_]]:
        return np.array(names, dtype=object)[rng.integers(0, len(names), size)]

    def days(size: int, first: str, span: int) -> np.ndarray[Any, np.dtype[np.datetime64]]:
        return np.datetime64(first, "D") + rng.integers(0, span, size)

    last = np.datetime64(as_of, "D")
    created = days(deals, "2024-07-01", 720)
    cycle = rng.integers(0, 150, deals)
    # a first or last day of a quarter is where a day too many or too few shows
    edges = np.array(["2025-12-31", "2026-01-01", "2026-03-31", "2026-04-01"], dtype="datetime64[D]")
    created[:32] = np.resize(edges, 32)[: len(created[:32])]
    cycle[:16] = 0
    closed = created + np.where(rng.random(deals) < 0.05, 3000, cycle)  # some are never closed
    status = np.where(closed > last, "open", np.where(rng.random(deals) < 0.45, "won", "lost"))
    reach = np.where(status == "won", 3, rng.integers(1, 4, deals))
    amount = np.round(np.exp(rng.normal(4, 1, deals)), 2)
    blank = rng.random(deals) < 0.15
    identifiers = np.array([f"O{number}" for number in range(deals)], dtype=object)
    stage = np.where(status == "open", np.array(STAGES)[reach - 1], status)
    opportunities = {
        "opportunity_id": identifiers,
        "rep": picked(["Ada", "Bo", "Cy", "Di"], deals),
        "account": picked([*(f"Account {number}" for number in range(40)), None], deals),
        "product": picked(["Basic", "Plus", None], deals),
        "segment": picked(["SMB", "mid-market"], deals),
        "source": picked(["web", "fair", "referral", None], deals),
        "stage": stage,
        "status": status,
        "created": np.where(blank & (status == "open"), np.datetime64("NaT"), created),
        "closed": np.where(status == "open", np.datetime64("NaT"), closed),
        "expected_close": np.where(
            np.arange(deals) % 7 == 0,
            last,  # due on the day of the export: not late yet
            np.where(rng.random(deals) < 0.3, np.datetime64("NaT"), closed - 10),
        ),
        "amount": np.where((status == "lost") | (blank & (status == "open")), np.nan, amount),
        "list_price": np.where(rng.random(deals) < 0.2, np.nan, np.round(amount * 1.1)),
        "row": np.arange(2, deals + 2),
    }
    visits = [
        (identifiers[deal], STAGES[step], created[deal] + step * 9)
        for deal in range(0, deals, 2)
        for step in range(reach[deal])
        if rng.random() < 0.9
    ]
    visits += [(key, "cold", day + 4) for key, _, day in visits[::7]]
    history = pd.DataFrame(visits, columns=["opportunity_id", "stage", "entered"]).drop_duplicates()
    linked = rng.random(deals) < 0.3
    arrived = days(deals, "2024-07-01", 720)
    mql = np.where(rng.random(deals) < 0.5, arrived + rng.integers(0, 30, deals), np.datetime64("NaT"))
    leads = {
        "lead_id": np.array([f"L{number}" for number in range(deals)], dtype=object),
        "source": opportunities["source"],
        "segment": opportunities["segment"],
        "rep": opportunities["rep"],
        "created": arrived,
        "mql": mql,
        "sql": np.where(linked | (rng.random(deals) < 0.2), mql + 9, np.datetime64("NaT")),
        "opportunity_id": np.where(linked, identifiers, None),
    }
    reps = {
        "rep": np.array(["Ada", "Bo", "Cy", "Di", "Ed"], dtype=object),
        "manager": np.array(["Mo", "Mo", "Nu", "Nu", "Nu"], dtype=object),
        "region": np.array(["North", "South", "South", None, "North"], dtype=object),
    }
    quotas = [
        (rep, f"{year}Q{number}", float(rng.integers(0, 5) * 200))
        for rep in ("Ada", "Bo", "Cy", "Ed")
        for year in (2025, 2026, 2027)
        for number in (1, 2, 3, 4)
    ]
    return Tables(
        opportunities=frame("opportunities", opportunities),
        reps=frame("reps", reps),
        accounts=empty("accounts"),
        leads=frame("leads", leads),
        stage_history=frame("stage_history", {name: history[name].to_numpy() for name in history}),
        quotas=frame("quotas", dict(zip(("rep", "period", "quota"), zip(*quotas, strict=True), strict=True))),
        as_of=as_of,
        currency="EUR",
        quality=cast(Any, None),
        files=(),
        column_map="test",
        stages=STAGES,
        fiscal_year_starts_in_month=starts,
    )
