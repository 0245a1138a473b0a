"""Make the CRM export of a made-up company: a simulated history, written the way a real CRM would, with dirt.

    python -m salessim.library.company FOLDER

writes the export that ships as the example. Same scenario and seed, same files, byte for byte.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from salessim.engine import History, simulate_history
from salessim.engine.streams import generator
from salessim.model import Scenario

__all__ = ["EXAMPLE_SEED", "company_export", "example_export"]

#: Seed of the shipped example export.
EXAMPLE_SEED = 20260630

FIRST_QUARTER, QUARTERS = "2025Q1", 6
QUARTERS_BEFORE = 3  # what was still open when the made-up CRM went live was entered into it
HISTORIC_QUOTA = 115_000  # per full quarter, what the made-up company asked for so far

_FIRST = """
Amber Azure Brass Bright Cobalt Copper Crimson Crystal Dusky Emerald Fallow Golden Granite Hollow
Indigo Ivory Jade Lilac Marble Misty Ochre Opal Pearl Quiet Russet Saffron Scarlet Silver Tawny
Velvet
""".split()
_SECOND = """
Anvil Badger Beacon Comet Dragon Falcon Gryphon Harbour Heron Kettle Lantern Meadow Otter Pelican
Phoenix Puffin Quarry Raven Teapot Unicorn
""".split()
_INDUSTRIES = ("pharma", "food", "chemicals", "research", "education")
_SIZES = ((50, "under 50"), (250, "50 to 249"), (float("inf"), "250 and more"))
_POSITIONS = (
    "Head of Laboratory",
    "Quality Manager",
    "Purchasing Manager",
    "Managing Director",
    "Technician",
)

#: What stands in the CRM as proof of a criterion.
_PROOFS = {
    "decision maker": (
        "Head of Laboratory decides",
        "Managing Director decides",
        "board decides in its meeting",
    ),
    "pain": ("failed audit", "results come too late", "instrument out of order", "records kept by hand"),
    "fit": ("requirements answered", "test run passed", "integration checked"),
    "value": ("saves one technician day a week", "pays back in two years", "customer's own estimate"),
    "next step": ("agreed with the customer",),
}
#: Share of won and of lost deals with proof of a criterion.
_PROVEN = {
    "decision maker": (0.86, 0.55),
    "pain": (0.82, 0.60),
    "fit": (0.74, 0.62),
    "value": (0.72, 0.45),
    "next step": (0.90, 0.66),
}
_STEPS = ("demonstration", "site visit", "test run", "meeting on the offer", "talk with purchasing")
#: Share of open deals that claim a stage which their evidence does not support; dates and leads add to it.
_HOLLOW = 0.16
#: Share of MQL that carry the agreed fields, by source.
_CONTRACT_KEPT = {"website": 0.72, "referral": 0.88, "outbound": 0.93, "trade show": 0.58}


def company_export(scenario: Scenario, history: History, *, seed: int, dirt: bool) -> dict[str, str]:
    """Write a history as CSV files in the ``salessim_csv`` format.

    Args:
        scenario: the made-up company; deals enter ``opportunities.csv`` with their first stage that counts
            as an opportunity, earlier stages are told by the dates in ``leads.csv``.
        history: simulated deals; those closed before the first quarter of the calendar (when the CRM went
            live) are not in it, nor are leads from before.
        seed: seed for accounts, and for where the dirt is.
        dirt: with the faults of a real export: duplicates, missing and impossible dates, typos, amounts
            that are none, a stale pipeline, a seller without deals.

    Returns:
        File name to text.
    """
    random = generator(seed, "export")
    first = {
        segment.name: next(stage.name for stage in segment.stages if stage.counts_as == "opportunity")
        for segment in scenario.segments
    }
    called = {stage.name: stage.counts_as for segment in scenario.segments for stage in segment.stages}
    deals = history.deals.set_index("deal")
    entered = history.stages.pivot_table(index="deal", columns="stage", values="entered", aggfunc="first")
    entered = entered.reindex(deals.index)
    begins = pd.Series(
        [entered.at[deal, first[segment]] for deal, segment in deals["segment"].items()], index=deals.index
    )
    live = np.datetime64(scenario.calendar.periods()[0].start)
    kept = begins.notna() & (deals["closed"].isna() | (deals["closed"] >= live))
    opportunities = deals[kept].assign(began=begins)
    opportunities = opportunities.sort_values("began", kind="stable")
    opportunities["opportunity_id"] = [f"O{number:05d}" for number in range(1, len(opportunities) + 1)]
    names = [f"{a} {b} Ltd" for a in _FIRST for b in _SECOND]
    customers = [names[i] for i in random.permutation(len(names))[: max(len(opportunities) // 3, 1)]]
    opportunities["account"] = random.choice(np.array(customers, dtype=object), len(opportunities))
    closed = opportunities["status"] != "open"
    stage = opportunities["stage"].where(~closed, opportunities["status"])
    amount = opportunities["amount"].round(-1).where(opportunities["status"] != "lost")
    expected = (opportunities["began"] + pd.to_timedelta(42, unit="D")).where(~closed)
    table = pd.DataFrame(
        {
            "opportunity_id": opportunities["opportunity_id"],
            "name": opportunities["account"].str.removesuffix(" Ltd") + ", " + opportunities["segment"],
            "rep": opportunities["rep"],
            "account": opportunities["account"],
            "segment": opportunities["segment"],
            "source": opportunities["source"],
            "stage": stage,
            "created": _dates(opportunities["began"]),
            "closed": _dates(opportunities["closed"]),
            "expected_close": _dates(expected),
            "amount": amount.map("{:.0f}".format).where(amount.notna(), ""),
        }
    )
    soiled = _soiled(table, history.as_of, random) if dirt else table
    accounts = pd.DataFrame(
        {
            "account": sorted(customers),
            "industry": random.choice(_INDUSTRIES, len(customers)),
            "employees": random.integers(12, 900, len(customers)),
        }
    )
    steps, evidence = _qualification(scenario, opportunities, history.as_of, seed)
    leads = _leads(deals[deals["created"] >= live], entered, called, opportunities["opportunity_id"])
    files = {
        "opportunities.csv": _csv(soiled.merge(steps, on="opportunity_id", how="left")),
        "reps.csv": _csv(_reps(scenario, history.as_of, dirt=dirt)),
        "accounts.csv": _csv(accounts),
        "leads.csv": _csv(_with_contract_fields(leads, opportunities, accounts, names, seed)),
        "stage_history.csv": _csv(_stage_history(history, called, opportunities["opportunity_id"])),
        "quotas.csv": _csv(_quotas(scenario, history.as_of)),
        "evidence.csv": _csv(evidence),
    }
    return files


def example_export() -> dict[str, str]:
    """The shipped export: the example company's six quarters up to 30 June 2026."""
    from salessim.library import example_scenario

    scenario = example_scenario()
    calendar = scenario.calendar.model_copy(
        update={"first_quarter": FIRST_QUARTER, "quarters": QUARTERS, "quarters_before": QUARTERS_BEFORE}
    )
    past = scenario.model_copy(update={"calendar": calendar, "hires": ()})
    history = simulate_history(past, seed=EXAMPLE_SEED)
    return company_export(past, history, seed=EXAMPLE_SEED, dirt=True)


def _dates(column: pd.Series) -> pd.Series:
    return pd.Series(column.dt.strftime("%Y-%m-%d").fillna(""))


def _csv(table: pd.DataFrame) -> str:
    return str(table.to_csv(index=False, lineterminator="\n"))


def _reps(scenario: Scenario, as_of: date, *, dirt: bool) -> pd.DataFrame:
    rows = [
        [rep.name, rep.manager, rep.region, rep.role, rep.start or "", rep.end or ""]
        for rep in scenario.team()
        if rep.start is None or rep.start <= as_of
    ]
    if dirt:  # somebody who has a CRM seat and no deals
        rows.append(["Karol Kapok", "Oskar Oak", "South", "sales operations", "", ""])
    return pd.DataFrame(rows, columns=["rep", "manager", "region", "role", "start", "end"])


def _leads(
    deals: pd.DataFrame, entered: pd.DataFrame, called: Mapping[str, str], opportunity: pd.Series
) -> pd.DataFrame:
    def first_entry(kind: str) -> pd.Series:
        names = [name for name, counts_as in called.items() if counts_as == kind and name in entered]
        return entered.loc[deals.index, names].min(axis=1)

    qualified = first_entry("MQL")
    return pd.DataFrame(
        {
            "lead_id": [f"L{number + 1:05d}" for number in range(len(deals))],
            "source": deals["source"],
            "segment": deals["segment"],
            # a lead is given to a rep when marketing has qualified it
            "rep": deals["rep"].where(qualified.notna(), ""),
            "created": _dates(deals["created"]),
            "mql": _dates(qualified),
            "sql": _dates(first_entry("SQL")),
            "opportunity_id": opportunity.reindex(deals.index).fillna(""),
        }
    )


def _qualification(
    scenario: Scenario, opportunities: pd.DataFrame, as_of: date, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Next steps of open deals, and the evidence for each criterion, from a stream of their own.

    About a third of the open deals claim more than is known; the largest one about to close is the deal with
    a test run and an offer under review of which nobody knows who asked for it, why, or who decides.
    """
    random = generator(seed, "evidence")
    today = pd.Timestamp(as_of)
    stages = {segment.name: segment.stages for segment in scenario.segments}
    last = {name: own[-1].name for name, own in stages.items()}
    is_open = opportunities["status"] == "open"
    closing = opportunities[is_open & (opportunities["stage"] == opportunities["segment"].map(last))]
    cold = closing["amount"].idxmax() if len(closing) else None
    steps, rows = [], []
    for deal, row in opportunities.iterrows():
        chances = random.random(12)  # as many for every deal, so that one deal's story moves no other's
        days = random.integers(0, 1_000_000, 12)
        number, began = row["opportunity_id"], row["began"]
        proven, next_step_gap = set(), False
        if row["status"] != "open":
            lost = int(row["status"] == "lost")
            proven = {
                name for name, chance in zip(_PROVEN, chances, strict=False) if chance < _PROVEN[name][lost]
            }
        else:
            own = [stage.name for stage in stages[row["segment"]]].index(row["stage"])
            supposed = [
                name
                for stage in stages[row["segment"]][:own]
                for name in stage.exit_criteria
                if name in _PROVEN
            ]
            proven = set(supposed)
            hollow = bool(supposed) and (chances[6] < _HOLLOW or deal == cold)
            if hollow:
                gap = supposed[int(days[6]) % len(supposed)]
                after = supposed[supposed.index(gap) :]
                proven -= {name for name, chance in zip(after, chances, strict=False) if chance < 0.5} | {gap}
            else:
                now = stages[row["segment"]][own].exit_criteria
                proven |= {
                    name
                    for name, chance in zip(now, chances, strict=False)
                    if name in _PROVEN and chance < 0.4
                }
            if deal == cold:
                proven &= {"fit"}
            next_step_gap = "next step" not in proven
            steps.append([number, *_next_step(deal == cold, next_step_gap, chances, days, today)])
        end = min(today, row["closed"]) if row["status"] != "open" else today
        for place, name in enumerate(_PROOFS):
            if name in proven and not (name == "next step" and row["status"] == "open"):
                # evidence of open deals is fresh: it was asked for again within the last ten weeks
                since = began if row["status"] != "open" else max(began, today - pd.Timedelta(days=70))
                noted = since + pd.Timedelta(days=int(days[place]) % (max((end - since).days, 0) + 1))
                proof = _PROOFS[name][int(days[place]) % len(_PROOFS[name])]
                rows.append([number, name, proof, noted.strftime("%Y-%m-%d")])
    return (
        pd.DataFrame(steps, columns=["opportunity_id", "next_step", "next_step_date", "purchase_date"]),
        pd.DataFrame(rows, columns=["opportunity_id", "criterion", "evidence", "noted"]),
    )


def _next_step(
    cold: bool, gap: bool, chances: np.ndarray, days: np.ndarray, today: pd.Timestamp
) -> tuple[str, str, str]:
    """What is agreed with a customer: step, its date, day of the purchase; where a gap is, one is wrong."""
    if cold:
        return "test run done, offer under review", "", ""
    ahead, until = 1 + int(days[7]) % 21, 10 + int(days[8]) % 50
    if gap and chances[7] < 0.4:
        ahead = -5 - int(days[7]) % 60
    elif gap and chances[7] < 0.7:
        until = 75 + int(days[8]) % 150
    elif gap:
        return "to be agreed", "", ""
    step = _STEPS[int(days[9]) % len(_STEPS)]
    dates = [
        (today + pd.Timedelta(days=number)).strftime("%Y-%m-%d") for number in (ahead, max(until, ahead))
    ]
    return step, dates[0], dates[1]


def _with_contract_fields(
    leads: pd.DataFrame, opportunities: pd.DataFrame, accounts: pd.DataFrame, names: list[str], seed: int
) -> pd.DataFrame:
    """The fields that marketing and sales agreed on [A9], from a stream of their own; not all are filled."""
    random = generator(seed, "contracts")
    number = len(leads)
    known = opportunities.set_index("opportunity_id")["account"].reindex(leads["opportunity_id"]).to_numpy()
    linked = pd.notna(known)
    facts = accounts.set_index("account").reindex(known)
    company = np.where(linked, known, random.choice(np.array(names, dtype=object), number))
    employees = np.where(linked, facts["employees"], random.integers(12, 900, number))
    fields = pd.DataFrame(
        {
            "company": company,
            "industry": np.where(linked, facts["industry"], random.choice(_INDUSTRIES, number)),
            "company_size": [next(word for most, word in _SIZES if size < most) for size in employees],
            "position": random.choice(_POSITIONS, number),
            "contact": "yes",
        }
    )
    # sales fills in what is missing before a lead becomes an opportunity; hardly ever all of it
    kept = np.where(linked, 0.98, leads["source"].map(_CONTRACT_KEPT).fillna(0.8))
    lacks = random.random((number, fields.shape[1])) < [0.15, 0.35, 0.45, 0.45, 0.25]
    first = random.choice(fields.shape[1], number, p=[0.05, 0.2, 0.3, 0.35, 0.1])
    lacks[np.arange(number), first] = True  # who breaks the contract lacks one field at least
    lacks &= (random.random(number) >= kept)[:, None]
    unchecked = (leads["mql"] == "").to_numpy()[
        :, None
    ]  # nobody asked yet: an address, now and then a company
    lacks |= unchecked & (random.random(lacks.shape) < [0.6, 0.9, 0.97, 0.97, 0.6])
    return pd.concat([leads.reset_index(drop=True), fields.mask(lacks, "")], axis=1)


def _stage_history(history: History, called: Mapping[str, str], opportunity: pd.Series) -> pd.DataFrame:
    told = (history.stages["stage"].map(called) == "opportunity") & history.stages["deal"].isin(
        opportunity.index
    )
    rows = history.stages[told]
    rows = rows.assign(opportunity_id=rows["deal"].map(opportunity)).sort_values(
        ["opportunity_id", "entered"], kind="stable"
    )
    return pd.DataFrame(
        {"opportunity_id": rows["opportunity_id"], "stage": rows["stage"], "entered": _dates(rows["entered"])}
    )


def _quotas(scenario: Scenario, as_of: date) -> pd.DataFrame:
    rows = []
    for quarter in scenario.calendar.periods():
        relief = scenario.capacity([quarter]).mean(axis=1)
        rows += [
            [rep.name, str(quarter), int(round(HISTORIC_QUOTA * level, -2))]
            for rep, level in zip(scenario.team(), relief, strict=True)
            if level > 0.2 and quarter.start <= as_of
        ]
    return pd.DataFrame(rows, columns=["rep", "period", "quota"])


def _soiled(clean: pd.DataFrame, as_of: date, random: np.random.Generator) -> pd.DataFrame:
    """Put the faults of a real export into a table of opportunities; each kind into rows of its own."""
    table = clean.reset_index(drop=True).copy()
    is_open = ~table["stage"].isin(["won", "lost"])
    free = {
        True: list(random.permutation(np.flatnonzero(is_open))),
        False: list(random.permutation(np.flatnonzero(~is_open))),
        "won": [],
    }
    free["won"] = [row for row in free[False] if table.at[row, "stage"] == "won"]

    def take(kind: bool | str, number: int) -> list[int]:
        taken = [int(row) for row in free[kind][:number]]
        for key in free:
            free[key] = [row for row in free[key] if row not in taken]
        return taken

    table.loc[take(True, 5), "account"] = ""
    table.loc[take(True, 6), "amount"] = ""
    old = (pd.Timestamp(as_of) - pd.to_timedelta(np.array([400, 430, 460, 480]), unit="D")).strftime(
        "%Y-%m-%d"
    )
    table.loc[take(True, 4), "created"] = old  # deals that nobody dared to close
    table.loc[take(True, 2), "created"] = ""
    table.loc[take(False, 3), "closed"] = ""
    table.loc[take("won", 1), "amount"] = "tbd"
    table.loc[take("won", 1), "amount"] = "-1200"
    table.loc[take(False, 1), "closed"] = "2026-02-30"
    backwards = take(False, 2)
    table.loc[backwards, ["created", "closed"]] = table.loc[backwards, ["closed", "created"]].to_numpy()
    spaced = take(True, 2)
    table.loc[spaced, "account"] = "  " + table.loc[spaced, "account"] + " "
    typo = take(True, 1)
    table.loc[typo, "account"] = table.loc[typo, "account"].str.replace(" Ltd", " Lmtd")
    twice = table.loc[take(True, 3)]
    conflicting = table.loc[take(True, 1)].assign(stage="lost", closed=as_of.isoformat(), amount="")
    return pd.concat([table, twice, conflicting], ignore_index=True)


def main(folder: str) -> None:
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, text in example_export().items():
        (target / name).write_text(text, encoding="utf-8", newline="")


if __name__ == "__main__":
    main(sys.argv[1])
