"""Make the sample exports: one small made-up company, written the way each CRM writes its export.

    python -m salessim.library.samples FOLDER

writes all of them: headers, stages, sources, industries, ids, dates, money and encodings as the CRM has them.
Whichever of them is read, the same tables come out. Same program, same content.
"""

from __future__ import annotations

import io
import sys
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from salessim.engine.streams import generator
from salessim.errors import ParameterError, listed
from salessim.library.company import _FIRST, _SECOND

__all__ = ["SAMPLES", "sample", "sample_files", "samples"]

#: Folder of the shipped samples, one folder each.
SAMPLES = Path(__file__).parent / "samples"

_SEED = 20260703
_FIRST_DAY, _LAST_DAY = date(2025, 7, 1), date(2026, 6, 30)
_DEALS, _LEADS, _ACCOUNTS, _FIRMS = 60, 150, 30, 90
_DEALS_FROM_LEADS = 48
_REPS = (  # rep, manager, region, role, share of the leads, quarterly quota
    ("Oskar Oak", "", "South", "head of sales", 0.08, 10_000),
    ("Marta Maple", "Oskar Oak", "North", "team lead", 0.14, 20_000),
    ("Anna Acorn", "Marta Maple", "North", "account executive", 0.28, 30_000),
    ("Ben Birch", "Marta Maple", "North", "account executive", 0.26, 30_000),
    ("Clara Cedar", "Oskar Oak", "South", "account executive", 0.24, 30_000),
)
_QUARTERS = ("2025Q3", "2025Q4", "2026Q1", "2026Q2")
_OPEN_STAGES = ("qualification", "needs analysis", "proposal", "negotiation")
_STAGES = (*_OPEN_STAGES, "won", "lost")
_PROBABILITY = dict(zip(_STAGES, (20, 40, 60, 80, 100, 0), strict=True))
_MEAN_DAYS = (14, 18, 16, 14)  # in each open stage
_MOVES_ON = (0.92, 0.9, 0.88, 0.8)
_SOURCES = {"website": 0.4, "referral": 0.25, "trade show": 0.2, "advertising": 0.15}
_INDUSTRIES = ("banking", "education", "electronics", "insurance")
_POSITIONS = ("head of purchasing", "managing director", "operations manager", "technical director")
_LINES = ("balances", "centrifuges", "microscopes", "pumps")

# the same words in several CRMs
_ENGLISH_STAGES = (
    "Qualification",
    "Needs Analysis",
    "Proposal/Price Quote",
    "Negotiation/Review",
    "Closed Won",
    "Closed Lost",
)
_ENGLISH_INDUSTRIES = ("Banking", "Education", "Electronics", "Insurance")
_POLISH_INDUSTRIES = ("Bankowość", "Edukacja", "Elektronika", "Ubezpieczenia")


# --- the company ----------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Company:
    """Rows by canonical name; days are moments (somebody clicked at that hour) or None, money is a float."""

    deals: pd.DataFrame
    leads: pd.DataFrame
    accounts: pd.DataFrame
    history: pd.DataFrame
    reps: pd.DataFrame
    quotas: pd.DataFrame


@cache
def _company() -> _Company:
    random = generator(_SEED, "samples")
    names = [f"{first} {second} Ltd" for first in _FIRST for second in _SECOND]
    firms = [
        (names[i], str(random.choice(_INDUSTRIES)), str(random.integers(12, 900)))
        for i in random.permutation(len(names))[:_FIRMS]
    ]
    reps, shares = [rep[0] for rep in _REPS], [rep[4] for rep in _REPS]
    days = (_LAST_DAY - _FIRST_DAY).days
    began = sorted(int(day) for day in random.integers(0, days, _LEADS - 1))
    leads: list[dict[str, Any]] = []
    for number, day in enumerate([*began, days], start=2001):  # the last one on the day of the export
        mql = day + int(random.integers(1, 6))
        sql = mql + int(random.integers(1, 9))
        is_mql = random.random() < 0.65 and mql <= days
        is_sql = is_mql and random.random() < 0.75 and sql <= days
        # customers are among the accounts; other leads come from anywhere
        company, industry, size = firms[int(random.integers(0, _ACCOUNTS if is_sql else _FIRMS))]
        leads.append(
            {
                "lead_id": str(number),
                "source": str(random.choice(list(_SOURCES), p=list(_SOURCES.values()))),
                "rep": str(random.choice(reps, p=shares)),
                "created": _moment(day, number),
                "mql": _moment(mql, number) if is_mql else None,
                "sql": _moment(sql, number) if is_sql else None,
                "sql_day": sql if is_sql else None,
                "company": company,
                "industry": industry,
                "company_size": size,
                "position": str(random.choice(_POSITIONS)),
                "contact": f"Buyer {number}",
                "email": f"b{number}@example.org",
                "opportunity_id": "",
            }
        )
    qualified = [lead for lead in leads if lead["sql_day"] is not None]
    born = [qualified[i] for i in random.permutation(len(qualified))[:_DEALS_FROM_LEADS]]
    starts: list[tuple[int, dict[str, Any] | None]] = [(lead["sql_day"], lead) for lead in born]
    starts += [(int(day), None) for day in random.integers(0, days - 3, _DEALS - len(born))]
    deals: list[dict[str, object]] = []
    history: list[dict[str, object]] = []
    for number, (start, lead) in enumerate(sorted(starts, key=lambda each: each[0]), start=1001):
        name = str(number)
        path, day, stage = [], start, "lost"
        for stage, mean_days, moves_on in zip(_OPEN_STAGES, _MEAN_DAYS, _MOVES_ON, strict=True):
            path.append((stage, day))
            day += 2 + int(random.poisson(mean_days))
            if day > days:
                break
            if random.random() > moves_on:
                stage = "lost"
                path.append((stage, day))
                break
        else:
            stage = "won"
            path.append((stage, day))
        is_open = stage in _OPEN_STAGES
        ends = days + 7 + int(random.integers(0, 60)) if is_open else day
        account = lead["company"] if lead else firms[int(random.integers(0, _ACCOUNTS))][0]
        if lead:
            lead["opportunity_id"] = name
        deals.append(
            {
                "opportunity_id": name,
                "name": f"{str(account).removesuffix(' Ltd')}, {random.choice(_LINES)}",
                "rep": lead["rep"] if lead else str(random.choice(reps, p=shares)),
                "account": account,
                "source": lead["source"] if lead else str(random.choice(list(_SOURCES))),
                "stage": stage,
                "last_open_stage": [each for each, _ in path if each in _OPEN_STAGES][-1],
                "status": "open" if is_open else stage,
                "created": _moment(start, number),
                "closed": None if is_open else _moment(ends, number),
                "expected_close": _moment(ends, number),
                "amount": round(float(random.lognormal(9.4, 0.6)), 1),
                "probability": _PROBABILITY[stage],
                "currency": "EUR",
            }
        )
        history += [
            {"opportunity_id": name, "stage": stage, "entered": _moment(day, number)} for stage, day in path
        ]
    accounts = [
        {"account": account, "industry": industry} for account, industry, _ in sorted(firms[:_ACCOUNTS])
    ]
    return _Company(
        pd.DataFrame(deals),
        pd.DataFrame(leads).drop(columns="sql_day"),
        pd.DataFrame(accounts),
        pd.DataFrame(history),
        pd.DataFrame([rep[:4] for rep in _REPS], columns=["rep", "manager", "region", "role"]),
        pd.DataFrame(
            [(rep[0], quarter, rep[5]) for quarter in _QUARTERS for rep in _REPS],
            columns=["rep", "period", "quota"],
        ),
    )


def _moment(day: int, number: int) -> datetime:
    minutes = 8 * 60 + number * 37 % (9 * 60)
    return datetime.combine(_FIRST_DAY, datetime.min.time()) + timedelta(days=day, minutes=minutes)


# --- how a CRM writes it --------------------------------------------------------------------------


def _typed(value: object) -> object:
    """As a spreadsheet or Parquet holds it: moments and numbers stay what they are."""
    return value


def _plain(value: float) -> str:
    return f"{value:.2f}"


def _grouped(value: float) -> str:
    return f"{value:,.2f}"


def _decimal_comma(value: float, *, blank: str = "\u00a0", sign: str = "") -> str:
    return f"{value:,.2f}".replace(",", blank).replace(".", ",") + sign


def _midnight(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, moment.day)


def _written(pattern: str) -> Callable[[datetime], str]:
    return lambda moment: moment.strftime(pattern)


_ISO_MOMENT, _ISO_DAY = _written("%Y-%m-%d %H:%M:%S"), _written("%Y-%m-%d")


@dataclass(frozen=True)
class _Words:
    """How one CRM says things: words in the order of the constants above, moments and money as written.

    ``history_moment`` is for a stage history that the CRM does not export and a user wrote down.
    """

    stages: Sequence[str] = _STAGES
    sources: Sequence[str] = tuple(_SOURCES)
    industries: Sequence[str] = _INDUSTRIES
    statuses: Sequence[str] = ("Open", "Won", "Lost")
    moment: Callable[[datetime], object] = _ISO_MOMENT
    day: Callable[[datetime], object] = _ISO_DAY
    money: Callable[[float], object] = _plain
    currency: str = "EUR"
    history_moment: Callable[[datetime], object] = _ISO_DAY


def _said(company: _Company, words: _Words) -> dict[str, pd.DataFrame]:
    """The tables in the words of a CRM; ``created_day`` and the like are the moments without a time."""
    stages = dict(zip(_STAGES, words.stages, strict=True))
    sources = dict(zip(_SOURCES, words.sources, strict=True))
    industries = dict(zip(_INDUSTRIES, words.industries, strict=True))
    statuses = dict(zip(("open", "won", "lost"), words.statuses, strict=True))

    def said(frame: pd.DataFrame, *, moment: Callable[[datetime], object] = words.moment) -> pd.DataFrame:
        made: dict[str, list[object]] = {}
        for name in frame.columns:
            values = frame[name].tolist()
            if name in ("created", "closed", "expected_close", "mql", "sql", "entered"):
                known = [None if pd.isna(value) else value.to_pydatetime() for value in values]
                made[name] = ["" if value is None else moment(value) for value in known]
                made[f"{name}_day"] = ["" if value is None else words.day(value) for value in known]
            elif name == "amount":
                made[name] = [words.money(value) for value in values]
            else:
                translated = {"stage": stages, "last_open_stage": stages, "source": sources}.get(name, {})
                translated = {"industry": industries, "status": statuses}.get(name, translated)
                made[name] = [translated.get(str(value), value) for value in values]
        return pd.DataFrame(made, dtype="object")

    return {
        "deals": said(company.deals).assign(currency=words.currency),
        "leads": said(company.leads),
        "accounts": said(company.accounts),
        "history": said(company.history, moment=words.history_moment),
        "reps": said(company.reps),
        "quotas": said(company.quotas),
    }


def _picked(table: pd.DataFrame, columns: Mapping[str, str]) -> pd.DataFrame:
    """A table with the headers of a CRM: header → field of ours; ``=text`` is that text in every row."""
    return pd.DataFrame(
        {
            header: field[1:] if field.startswith("=") else table[field].to_list()
            for header, field in columns.items()
        },
        index=table.index,
    )


_PLAIN_REPS = {"rep": "rep", "manager": "manager", "region": "region", "role": "role"}
_PLAIN_QUOTAS = {"rep": "rep", "period": "period", "quota": "quota"}
_PLAIN_HISTORY = {"opportunity_id": "opportunity_id", "stage": "stage", "entered": "entered"}


def _csv(
    table: pd.DataFrame,
    *,
    delimiter: str = ",",
    encoding: str = "utf-8",
    line_end: str = "\r\n",
    quote: bool = False,
) -> bytes:
    text = table.to_csv(index=False, sep=delimiter, lineterminator=line_end, quoting=1 if quote else 0)
    return str(text).encode(encoding)


def _excel(sheets: Mapping[str, pd.DataFrame]) -> bytes:
    file = io.BytesIO()
    with pd.ExcelWriter(file, engine="xlsxwriter", datetime_format="yyyy-mm-dd hh:mm") as writer:
        writer.book.set_properties({"created": datetime(2026, 7, 1)})
        for name, table in sheets.items():
            table.replace("", None).to_excel(writer, sheet_name=name, index=False)
    return file.getvalue()


def _zip(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=(2026, 7, 1, 0, 0, 0))
            archive.writestr(entry, content, compress_type=zipfile.ZIP_DEFLATED)
    return file.getvalue()


def _zipped(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {"export.zip": _zip(files)}


def _own_files(
    said: Mapping[str, pd.DataFrame], *, history: bool = False, reps: bool = True
) -> dict[str, bytes]:
    """What no CRM exports and a user writes down: quotas, mostly also sellers and the stage history."""
    files = {"quotas.csv": _csv(_picked(said["quotas"], _PLAIN_QUOTAS))}
    if reps:
        files["reps.csv"] = _csv(_picked(said["reps"], _PLAIN_REPS))
    if history:
        files["stage_history.csv"] = _csv(_picked(said["history"], _PLAIN_HISTORY))
    return files


def _salesforce_id(prefix: str, number: int) -> str:
    """An id of 15 characters and the three that say which of them are capitals."""
    short = f"{prefix}Qz00000{number:05d}"
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
    blocks = [short[start : start + 5] for start in (0, 5, 10)]
    return short + "".join(letters[sum(c.isupper() << i for i, c in enumerate(block))] for block in blocks)


def _guid(kind: str, number: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://salessim.example/{kind}/{number}"))


# --- one function for each sample -----------------------------------------------------------------


def _salesforce(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=_ENGLISH_STAGES,
        sources=("Web", "Word of mouth", "Trade Show", "Advertisement"),
        industries=_ENGLISH_INDUSTRIES,
        moment=_written("%Y-%m-%dT%H:%M:%S.000Z"),
        history_moment=_written("%Y-%m-%dT%H:%M:%S.000Z"),
    )
    said = _said(company, words)
    users = {rep: _salesforce_id("005", 10 + row) for row, rep in enumerate(said["reps"]["rep"])}
    accounts = {
        name: _salesforce_id("001", 100 + row) for row, name in enumerate(said["accounts"]["account"])
    }
    ids = {number: _salesforce_id("006", int(number)) for number in said["deals"]["opportunity_id"]}
    deals = said["deals"].assign(
        id=said["deals"]["opportunity_id"].map(ids),
        rep=said["deals"]["rep"].map(users),
        account=said["deals"]["account"].map(accounts),
    )
    history = said["history"].assign(
        id=[_salesforce_id("008", 5000 + row) for row in range(len(said["history"]))],
        opportunity_id=said["history"]["opportunity_id"].map(ids),
    )
    leads = said["leads"].assign(
        id=[_salesforce_id("00Q", int(number)) for number in said["leads"]["lead_id"]],
        rep=said["leads"]["rep"].map(users),
        opportunity_id=said["leads"]["opportunity_id"].map(ids).fillna(""),
    )
    people = said["reps"].assign(
        id=said["reps"]["rep"].map(users), manager=said["reps"]["manager"].map(users).fillna("")
    )
    return {
        "Opportunity.csv": _csv(
            _picked(
                deals,
                {
                    "Id": "id",
                    "AccountId": "account",
                    "Name": "name",
                    "StageName": "stage",
                    "Amount": "amount",
                    "Probability": "probability",
                    "CloseDate": "expected_close_day",
                    "LeadSource": "source",
                    "OwnerId": "rep",
                    "CurrencyIsoCode": "currency",
                    "CreatedDate": "created",
                    "Deal_Number__c": "opportunity_id",
                },
            ),
            quote=True,
        ),
        "OpportunityHistory.csv": _csv(
            _picked(
                history,
                {
                    "Id": "id",
                    "OpportunityId": "opportunity_id",
                    "StageName": "stage",
                    "CreatedDate": "entered",
                },
            ),
            quote=True,
        ),
        "Lead.csv": _csv(
            _picked(
                leads,
                {
                    "Id": "id",
                    "Name": "contact",
                    "Title": "position",
                    "Company": "company",
                    "Email": "email",
                    "LeadSource": "source",
                    "Industry": "industry",
                    "NumberOfEmployees": "company_size",
                    "OwnerId": "rep",
                    "CreatedDate": "created",
                    "ConvertedOpportunityId": "opportunity_id",
                    "MQL_Date__c": "mql_day",
                    "SQL_Date__c": "sql_day",
                    "Lead_Number__c": "lead_id",
                },
            ),
            quote=True,
        ),
        "Account.csv": _csv(
            _picked(
                said["accounts"].assign(id=said["accounts"]["account"].map(accounts)),
                {"Id": "id", "Name": "account", "Industry": "industry"},
            ),
            quote=True,
        ),
        "User.csv": _csv(
            _picked(
                people,
                {"Id": "id", "Name": "rep", "Title": "role", "Division": "region", "ManagerId": "manager"},
            ),
            quote=True,
        ),
        **_own_files(said, reps=False),
    }


def _hubspot(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=("Qualified To Buy", "Needs analysis", "Proposal", "Negotiation", "Closed won", "Closed lost"),
        sources=("Website", "Referral", "Trade show", "Advertising"),
        industries=("BANKING", "EDUCATION_MANAGEMENT", "ELECTRICAL_ELECTRONIC_MANUFACTURING", "INSURANCE"),
        moment=_written("%Y-%m-%d %H:%M"),
        history_moment=_written("%Y-%m-%d %H:%M"),
    )
    said = _said(company, words)
    internal = {"Qualified To Buy": "qualifiedtobuy", "Closed won": "closedwon", "Closed lost": "closedlost"}
    history = said["history"].assign(stage=said["history"]["stage"].replace(internal))
    return _zipped(
        {
            "deals.csv": _csv(
                _picked(
                    said["deals"],
                    {
                        "Record ID": "opportunity_id",
                        "Deal Name": "name",
                        "Deal Stage": "stage",
                        "Pipeline": "=Sales Pipeline",
                        "Amount": "amount",
                        "Currency": "currency",
                        "Close Date": "expected_close",
                        "Create Date": "created",
                        "Deal owner": "rep",
                        "Associated Company": "account",
                        "Deal probability": "probability",
                        "Lead Source": "source",
                    },
                )
            ),
            "deal stages.csv": _csv(
                _picked(
                    history, {"Record ID": "opportunity_id", "Deal Stage": "stage", "Date entered": "entered"}
                )
            ),
            "contacts.csv": _csv(
                _picked(
                    said["leads"],
                    {
                        "Record ID": "lead_id",
                        "Last Name": "contact",
                        "Email": "email",
                        "Job Title": "position",
                        "Company Name": "company",
                        "Industry": "industry",
                        "Company size": "company_size",
                        "Contact owner": "rep",
                        "Create Date": "created",
                        "Became a Marketing Qualified Lead Date": "mql",
                        "Became a Sales Qualified Lead Date": "sql",
                        "Lead Source": "source",
                        "Associated Deal IDs": "opportunity_id",
                    },
                )
            ),
            "companies.csv": _csv(
                _picked(said["accounts"], {"Company name": "account", "Industry": "industry"})
            ),
            **_own_files(said),
        }
    )


def _pipedrive(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=("Qualified", "Needs Analysis", "Proposal Made", "Negotiations Started", "Won", "Lost"),
        sources=("Website", "Referral", "Trade show", "Advertising"),
        industries=_ENGLISH_INDUSTRIES,
        money=_typed,
    )
    said = _said(company, words)
    status = said["deals"]["status"]
    numbered = said["deals"].assign(
        number=said["deals"]["opportunity_id"].astype(int),
        won_time=said["deals"]["closed"].where(status == "Won", ""),
        lost_time=said["deals"]["closed"].where(status == "Lost", ""),
    )
    history = said["history"].assign(number=said["history"]["opportunity_id"].astype(int))
    workbook = _excel(
        {
            "Deals": _picked(
                numbered,
                {
                    "Deal - ID": "number",
                    "Deal - Title": "name",
                    "Deal - Value": "amount",
                    "Deal - Currency": "currency",
                    "Deal - Organization": "account",
                    "Deal - Stage": "last_open_stage",
                    "Deal - Pipeline": "=Sales pipeline",
                    "Deal - Status": "status",
                    "Deal - Owner": "rep",
                    "Deal - Probability": "probability",
                    "Deal - Lead Source": "source",
                    "Deal - Deal created": "created",
                    "Deal - Won time": "won_time",
                    "Deal - Lost time": "lost_time",
                    "Deal - Expected close date": "expected_close_day",
                },
            ),
            "Deal stages": _picked(
                history, {"Deal - ID": "number", "Deal - Stage": "stage", "Stage entered": "entered_day"}
            ),
            "Leads": _picked(
                said["leads"],
                {
                    "Lead - ID": "lead_id",
                    "Lead - Owner": "rep",
                    "Lead - Lead created": "created",
                    "Lead - Lead Source": "source",
                    "Lead - MQL date": "mql_day",
                    "Lead - SQL date": "sql_day",
                    "Lead - Deal ID": "opportunity_id",
                    "Lead - Contact person": "contact",
                    "Person - Job title": "position",
                    "Person - Email - Work": "email",
                    "Lead - Organization": "company",
                    "Organization - Industry": "industry",
                    "Organization - Number of employees": "company_size",
                },
            ),
            "Organizations": _picked(
                said["accounts"], {"Organization - Name": "account", "Organization - Industry": "industry"}
            ),
        }
    )
    return {"pipedrive.xlsx": workbook, **_own_files(said)}


def _dynamics_365(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=("Qualify", "Develop", "Propose", "Close", "Won", "Lost"),
        sources=("Web", "Word of Mouth", "Trade Show", "Advertisement"),
        industries=_ENGLISH_INDUSTRIES,
        moment=_typed,
        day=_midnight,
        money=_typed,
        currency="Euro",
        history_moment=_typed,
    )
    said = _said(company, words)
    won = said["deals"]["status"] == "Won"
    deals = said["deals"].assign(
        guid=[_guid("opportunity", number) for number in said["deals"]["opportunity_id"]],
        # what a deal was won for is not what it was expected to bring
        actual=said["deals"]["amount"].where(won, ""),
        estimate=[
            round(1.1 * amount, -2) if is_won else amount
            for amount, is_won in zip(said["deals"]["amount"], won, strict=True)
        ],
    )
    leads = said["leads"].assign(guid=[_guid("lead", number) for number in said["leads"]["lead_id"]])
    accounts = said["accounts"].assign(guid=[_guid("account", name) for name in said["accounts"]["account"]])
    views = {
        "All Opportunities.xlsx": _picked(
            deals,
            {
                "(Do Not Modify) Opportunity": "guid",
                "(Do Not Modify) Modified On": "expected_close",
                "Deal Number": "opportunity_id",
                "Topic": "name",
                "Account": "account",
                "Est. Close Date": "expected_close_day",
                "Actual Close Date": "closed_day",
                "Est. Revenue": "estimate",
                "Actual Revenue": "actual",
                "Currency": "currency",
                "Sales Stage": "last_open_stage",
                "Status": "status",
                "Probability": "probability",
                "Lead Source": "source",
                "Owner": "rep",
                "Created On": "created",
            },
        ),
        "Stage History.xlsx": _picked(
            said["history"], {"Opportunity": "opportunity_id", "Stage": "stage", "Changed On": "entered"}
        ),
        "All Leads.xlsx": _picked(
            leads,
            {
                "(Do Not Modify) Lead": "guid",
                "Lead Number": "lead_id",
                "Name": "contact",
                "Job Title": "position",
                "Company Name": "company",
                "Industry": "industry",
                "No. of Employees": "company_size",
                "Email": "email",
                "Lead Source": "source",
                "Owner": "rep",
                "Created On": "created",
                "MQL Date": "mql_day",
                "SQL Date": "sql_day",
                "Deal Number": "opportunity_id",
            },
        ),
        "Active Accounts.xlsx": _picked(
            accounts, {"(Do Not Modify) Account": "guid", "Account Name": "account", "Industry": "industry"}
        ),
        "Enabled Users.xlsx": _picked(
            said["reps"],
            {"Full Name": "rep", "Title": "role", "Business Unit": "region", "Manager": "manager"},
        ),
    }
    books = {name: _excel({name.removesuffix(".xlsx"): view}) for name, view in views.items()}
    return {**books, **_own_files(said, reps=False)}


def _bitrix24(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=(
            "Квалификация",
            "Выявление потребностей",
            "Коммерческое предложение",
            "Переговоры",
            "Сделка успешна",
            "Сделка провалена",
        ),
        sources=("Веб-сайт", "По рекомендации", "Выставка", "Реклама"),
        industries=("Банковские услуги", "Образование", "Электроника", "Страхование"),
        moment=_written("%d.%m.%Y %H:%M:%S"),
        day=_written("%d.%m.%Y"),
        money=lambda value: _decimal_comma(value, sign="\u00a0€"),
        currency="Евро",
        history_moment=_written("%Y-%m-%dT%H:%M:%S+03:00"),
    )
    said = _said(company, words)
    history = said["history"].assign(
        id=range(9001, 9001 + len(said["history"])),
        stage=said["history"]["stage"].replace({"Сделка успешна": "WON", "Сделка провалена": "LOSE"}),
    )

    def semicolons(table: pd.DataFrame) -> bytes:
        return _csv(table, delimiter=";", encoding="cp1251")

    return {
        "DEAL.csv": semicolons(
            _picked(
                said["deals"],
                {
                    "ID": "opportunity_id",
                    "Воронка": "=Общая",
                    "Стадия сделки": "stage",
                    "Название сделки": "name",
                    "Компания": "account",
                    "Сумма": "amount",
                    "Валюта": "currency",
                    "Вероятность": "probability",
                    "Ответственный": "rep",
                    "Источник": "source",
                    "Дата создания": "created",
                    "Предполагаемая дата закрытия": "expected_close_day",
                    "Дата завершения": "closed",
                },
            )
        ),
        "stagehistory.csv": _csv(
            _picked(
                history,
                {
                    "ID": "id",
                    "OWNER_ID": "opportunity_id",
                    "STAGE_ID": "stage",
                    "CREATED_TIME": "entered",
                },
            )
        ),
        "LEAD.csv": semicolons(
            _picked(
                said["leads"],
                {
                    "ID": "lead_id",
                    "Название компании": "company",
                    "Фамилия": "contact",
                    "Должность": "position",
                    "Рабочий e-mail": "email",
                    "Сфера деятельности": "industry",
                    "Кол-во сотрудников": "company_size",
                    "Источник": "source",
                    "Ответственный": "rep",
                    "Дата создания": "created",
                    "Дата MQL": "mql_day",
                    "Дата SQL": "sql_day",
                    "ID сделки": "opportunity_id",
                },
            )
        ),
        "COMPANY.csv": semicolons(
            _picked(said["accounts"], {"Название компании": "account", "Сфера деятельности": "industry"})
        ),
        **_own_files(said),
    }


def _amocrm(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=(
            "Квалификация",
            "Выявление потребностей",
            "Коммерческое предложение",
            "Переговоры",
            "Успешно реализовано",
            "Закрыто и не реализовано",
        ),
        sources=("Веб-сайт", "Рекомендация", "Выставка", "Реклама"),
        industries=("Банки", "Образование", "Электроника", "Страхование"),
        moment=_written("%d.%m.%Y %H:%M:%S"),
        day=_written("%d.%m.%Y"),
        money=lambda value: _decimal_comma(value, blank=" ", sign=" €"),
    )
    said = _said(company, words)

    def marked(table: pd.DataFrame) -> bytes:
        return _csv(table, delimiter=";", encoding="utf-8-sig")

    return {
        "amocrm_export_leads.csv": marked(
            _picked(
                said["deals"],
                {
                    "ID": "opportunity_id",
                    "Название сделки": "name",
                    "Бюджет": "amount",
                    "Ответственный": "rep",
                    "Дата создания": "created",
                    "Дата закрытия": "closed",
                    "Планируемая дата закрытия": "expected_close_day",
                    "Этап сделки": "stage",
                    "Воронка": "=Воронка",
                    "Компания": "account",
                    "Источник сделки": "source",
                },
            )
        ),
        "amocrm_export_contacts.csv": marked(
            _picked(
                said["leads"],
                {
                    "ID": "lead_id",
                    "Полное имя контакта": "contact",
                    "Компания": "company",
                    "Ответственный": "rep",
                    "Дата создания контакта": "created",
                    "Должность": "position",
                    "Рабочий email": "email",
                    "Отрасль": "industry",
                    "Кол-во сотрудников": "company_size",
                    "Источник контакта": "source",
                    "Дата MQL": "mql_day",
                    "Дата SQL": "sql_day",
                    "ID сделки": "opportunity_id",
                },
            )
        ),
        "amocrm_export_companies.csv": marked(
            _picked(said["accounts"], {"Название компании": "account", "Отрасль": "industry"})
        ),
        **_own_files(said, history=True),
    }


def _vtiger(
    company: _Company,
    words: _Words,
    headers: Mapping[str, Mapping[str, str]],
    *,
    delimiter: str,
    encoding: str,
) -> dict[str, bytes]:
    said = _said(company, words)
    files = {"Potentials.csv": "deals", "Leads.csv": "leads", "Accounts.csv": "accounts"}
    return {
        **{
            file: _csv(_picked(said[table], headers[table]), delimiter=delimiter, encoding=encoding)
            for file, table in files.items()
        },
        **_own_files(said, history=True),
    }


def _vtiger_en(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=(
            "Qualification",
            "Needs Analysis",
            "Proposal or Price Quote",
            "Negotiation or Review",
            "Closed Won",
            "Closed Lost",
        ),
        sources=("Web Site", "Word of mouth", "Trade Show", "Advertisement"),
        industries=_ENGLISH_INDUSTRIES,
        moment=_written("%m-%d-%Y %H:%M:%S"),
        day=_written("%m-%d-%Y"),
        money=lambda value: f"€{_grouped(value)}",
    )
    headers = {
        "deals": {
            "Potential Name": "name",
            "Potential No": "opportunity_id",
            "Amount": "amount",
            "Related To": "account",
            "Expected Close Date": "expected_close_day",
            "Lead Source": "source",
            "Assigned To": "rep",
            "Sales Stage": "stage",
            "Created Time": "created",
            "Probability": "probability",
        },
        "leads": {
            "Lead No": "lead_id",
            "Last Name": "contact",
            "Company": "company",
            "Designation": "position",
            "Email": "email",
            "Lead Source": "source",
            "Industry": "industry",
            "No Of Employees": "company_size",
            "Assigned To": "rep",
            "Created Time": "created",
            "MQL Date": "mql_day",
            "SQL Date": "sql_day",
            "Opportunity Number": "opportunity_id",
        },
        "accounts": {"Account Name": "account", "Industry": "industry"},
    }
    return _zipped(_vtiger(company, words, headers, delimiter=",", encoding="utf-8"))


def _vtiger_pl(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=(
            "Rozpoznanie",
            "Analizy wymagań",
            "Oferta cenowa",
            "Negocjacje",
            "Zakończone sukcesem",
            "Zakończone porażką",
        ),
        sources=("Strona WWW", "Polecenie", "Targi", "Reklama"),
        industries=("Bank", "Edukacja", "Elektroniczna", "Ubezpieczenia"),
        moment=_written("%d-%m-%Y %H:%M:%S"),
        day=_written("%d-%m-%Y"),
        money=lambda value: _decimal_comma(value, blank=" ", sign=" €"),
    )
    headers = {
        "deals": {
            "Nazwa Szansy Sprzedaży": "name",
            "Numer Szansy Sprzedaży": "opportunity_id",
            "Wartość": "amount",
            "Nazwa organizacji": "account",
            "Planowana data zakończenia": "expected_close_day",
            "Źródło pozyskania": "source",
            "Przydzielone do": "rep",
            "Etap sprzedaży": "stage",
            "Czas utworzenia": "created",
            "Prawdopodobieństwo sukcesu": "probability",
        },
        "leads": {
            "Numer Potencjalnego Klienta": "lead_id",
            "Nazwisko": "contact",
            "Nazwa firmy": "company",
            "Stanowisko": "position",
            "Podstawowy Adres E-Mail": "email",
            "Źródło pozyskania": "source",
            "Branża": "industry",
            "Liczba pracowników": "company_size",
            "Przydzielone do": "rep",
            "Czas utworzenia": "created",
            "Data MQL": "mql_day",
            "Data SQL": "sql_day",
            "Numer szansy": "opportunity_id",
        },
        "accounts": {"Nazwa Kontrahenta": "account", "Branża": "industry"},
    }
    return _vtiger(company, words, headers, delimiter=";", encoding="cp1250")


def _vtiger_ru(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=(
            "Оценка",
            "Нуждается в анализе",
            "Ценовое предложение",
            "Переговоры или отзыв",
            "Закрыта удачно",
            "Закрыта неудачно",
        ),
        sources=("Веб-сайт", "По наслышке", "Выставка", "Реклама"),
        industries=("Банкинг", "Образование", "Электроника", "Страхование"),
        moment=_written("%d.%m.%Y %H:%M:%S"),
        day=_written("%d.%m.%Y"),
        money=lambda value: _decimal_comma(value, sign="\u00a0€"),
    )
    headers = {
        "deals": {
            "Сделка": "name",
            "Сделка №": "opportunity_id",
            "Сумма": "amount",
            "Название организации": "account",
            "Ожидаемая дата закрытия": "expected_close_day",
            "Источник Обращения": "source",
            "Ответственный": "rep",
            "Стадия": "stage",
            "Создано": "created",
            "Вероятность (%)": "probability",
        },
        "leads": {
            "Обращение №": "lead_id",
            "Фамилия": "contact",
            "Организация": "company",
            "Должность": "position",
            "Основной адрес электронной почты": "email",
            "Источник Обращения": "source",
            "Отрасль": "industry",
            "Кол-во сотрудников": "company_size",
            "Ответственный": "rep",
            "Создано": "created",
            "Дата MQL": "mql_day",
            "Дата SQL": "sql_day",
            "Номер сделки": "opportunity_id",
        },
        "accounts": {"Контрагент": "account", "Отрасль": "industry"},
    }
    return _zipped(_vtiger(company, words, headers, delimiter=";", encoding="utf-8"))


def _espocrm_en(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=_ENGLISH_STAGES,
        sources=("Web Site", "Referral", "Trade Show", "Advertisement"),
        industries=_ENGLISH_INDUSTRIES,
    )
    said = _said(company, words)
    tables = {
        "Export_Opportunity.csv": _picked(
            said["deals"],
            {
                "number": "opportunity_id",
                "name": "name",
                "accountName": "account",
                "stage": "stage",
                "amount": "amount",
                "amountCurrency": "currency",
                "probability": "probability",
                "leadSource": "source",
                "closeDate": "expected_close_day",
                "createdAt": "created",
                "assignedUserName": "rep",
            },
        ),
        "Export_Lead.csv": _picked(
            said["leads"],
            {
                "number": "lead_id",
                "lastName": "contact",
                "title": "position",
                "source": "source",
                "industry": "industry",
                "numberOfEmployees": "company_size",
                "accountName": "company",
                "emailAddress": "email",
                "createdAt": "created",
                "assignedUserName": "rep",
                "mqlDate": "mql_day",
                "sqlDate": "sql_day",
                "opportunityNumber": "opportunity_id",
            },
        ),
        "Export_Account.csv": _picked(said["accounts"], {"name": "account", "industry": "industry"}),
    }
    files = {name: _csv(table, line_end="\n") for name, table in tables.items()}
    return _zipped({**files, **_own_files(said, history=True)})


def _espocrm_pl(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=(
            "Kwalifikacja",
            "Dodatkowa Analiza",
            "Oferta Cenowa",
            "Negocjacje",
            "Zakończone Wygrane",
            "Zakończone Przegrane",
        ),
        sources=("Stwona Internetowa", "Polecenie", "Targi", "Reklama"),
        industries=_POLISH_INDUSTRIES,
        money=lambda value: _decimal_comma(value, blank=" ", sign=" EUR"),
    )
    said = _said(company, words)
    books = {
        "Export_Opportunity.xlsx": _picked(
            said["deals"],
            {
                "Numer": "opportunity_id",
                "Imię": "name",
                "Konto": "account",
                "Estap": "stage",
                "Wartość": "amount",
                "Prawdopodobieństwo, %": "probability",
                "Zródło Potencjalnego Kontaktu": "source",
                "Data Zamknięcia": "expected_close_day",
                "Utworzony": "created",
                "Przypisany użytkownik": "rep",
            },
        ),
        "Export_Lead.xlsx": _picked(
            said["leads"],
            {
                "Numer": "lead_id",
                "Nazwisko": "contact",
                "Tytuł": "position",
                "Źródło": "source",
                "Branża": "industry",
                "Liczba pracowników": "company_size",
                "Nazwa Konta": "company",
                "E-mail": "email",
                "Utworzony": "created",
                "Przypisany użytkownik": "rep",
                "Data MQL": "mql_day",
                "Data SQL": "sql_day",
                "Numer szansy": "opportunity_id",
            },
        ),
        "Export_Account.xlsx": _picked(said["accounts"], {"Imię": "account", "Branża": "industry"}),
    }
    return {
        **{name: _excel({"Export": table}) for name, table in books.items()},
        **_own_files(said, history=True),
    }


def _espocrm_ru(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=(
            "Оценка возможности",
            "Требует анализа",
            "Отправлено предложение/оферта",
            "Согласование/рассмотрение",
            "Закрыто - Успех",
            "Закрыто - Провал",
        ),
        sources=("Web Site", "Рекомендация", "Выставка", "Реклама"),
        industries=("Банковское дело", "Образование", "Электроника", "Страхование"),
        moment=_typed,
        day=_midnight,
        money=lambda value: f"{_grouped(value)} €",
    )
    said = _said(company, words)
    books = {
        "Export_Opportunity.xlsx": _picked(
            said["deals"],
            {
                "Номер": "opportunity_id",
                "Имя": "name",
                "Организация": "account",
                "Стадия": "stage",
                "Сумма": "amount",
                "Вероятность успеха, %": "probability",
                "Лид": "source",
                "Дата закрытия": "expected_close_day",
                "Создан в": "created",
                "Выбранный пользователь": "rep",
            },
        ),
        "Export_Lead.xlsx": _picked(
            said["leads"],
            {
                "Номер": "lead_id",
                "Фамилия": "contact",
                "Должность": "position",
                "Источник": "source",
                "Отрасль": "industry",
                "Кол-во сотрудников": "company_size",
                "Название организации": "company",
                "E-mail": "email",
                "Создан в": "created",
                "Выбранный пользователь": "rep",
                "Дата MQL": "mql_day",
                "Дата SQL": "sql_day",
                "Номер возможности": "opportunity_id",
            },
        ),
        "Export_Account.xlsx": _picked(said["accounts"], {"Имя": "account", "Промышленность": "industry"}),
    }
    return {
        **{name: _excel({"Export": table}) for name, table in books.items()},
        **_own_files(said, history=True),
    }


def _yetiforce(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=(
            "Kwalifikacja",
            "Karta wymagań",
            "Oferta",
            "Negocjacje",
            "Sprzedaż zakończona",
            "Sprzedaż nieudana",
        ),
        sources=("Strona WWW", "Z polecenia", "Targi", "Reklama"),
        industries=_POLISH_INDUSTRIES,
        money=lambda value: _decimal_comma(value, blank=" ", sign=" €"),
    )
    said = _said(company, words)
    tables = {
        "SSalesProcesses.csv": _picked(
            said["deals"],
            {
                "Numer": "opportunity_id",
                "Temat": "name",
                "Kontrahent": "account",
                "Szacowana wartość": "amount",
                "Szacowany termin": "expected_close_day",
                "Prawdopodobieństwo": "probability",
                "Źródło pozyskania": "source",
                "Status": "stage",
                "Właściciel rekordu": "rep",
                "Czas utworzenia": "created",
                "Czas zamknięcia": "closed",
            },
        ),
        "Leads.csv": _picked(
            said["leads"],
            {
                "Nr": "lead_id",
                "Nazwa leada": "company",
                "Osoba kontaktowa": "contact",
                "Stanowisko": "position",
                "Mail podstawowy": "email",
                "Źródło pozyskania": "source",
                "Branża": "industry",
                "Wielkość": "company_size",
                "Właściciel rekordu": "rep",
                "Czas utworzenia": "created",
                "Data MQL": "mql_day",
                "Data SQL": "sql_day",
                "Numer szansy": "opportunity_id",
            },
        ),
        "Accounts.csv": _picked(said["accounts"], {"Nazwa kontrahenta": "account", "Branża": "industry"}),
    }
    files = {name: _csv(table) for name, table in tables.items()}
    return _zipped({**files, **_own_files(said, history=True)})


def _suitecrm_en(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=_ENGLISH_STAGES,
        sources=("Web Site", "Word of mouth", "Trade Show", "Advertisement"),
        industries=_ENGLISH_INDUSTRIES,
        moment=_written("%m/%d/%Y %H:%M"),
        day=_written("%m/%d/%Y"),
        money=lambda value: f"€{_grouped(value)}",
        currency="Euro",
    )
    said = _said(company, words)
    deals = said["deals"].assign(
        guid=[_guid("opportunity", number) for number in said["deals"]["opportunity_id"]]
    )
    leads = said["leads"].assign(guid=[_guid("lead", number) for number in said["leads"]["lead_id"]])
    tables = {
        "Opportunities.csv": _picked(
            deals,
            {
                "Opportunity Name": "name",
                "ID": "guid",
                "Opportunity Number": "opportunity_id",
                "Account Name": "account",
                "Opportunity Amount": "amount",
                "Currency": "currency",
                "Expected Close Date": "expected_close_day",
                "Sales Stage": "stage",
                "Probability (%)": "probability",
                "Lead Source": "source",
                "Assigned User": "rep",
                "Date Created": "created",
            },
        ),
        "Leads.csv": _picked(
            leads,
            {
                "ID": "guid",
                "Lead Number": "lead_id",
                "Last Name": "contact",
                "Title": "position",
                "Account Name": "company",
                "Industry": "industry",
                "Employees": "company_size",
                "Email Address": "email",
                "Lead Source": "source",
                "Assigned User": "rep",
                "Date Created": "created",
                "MQL Date": "mql_day",
                "SQL Date": "sql_day",
                "Opportunity Number": "opportunity_id",
            },
        ),
        "Accounts.csv": _picked(said["accounts"], {"Name": "account", "Industry": "industry"}),
    }
    files = {name: _csv(table) for name, table in tables.items()}
    return _zipped({**files, **_own_files(said, history=True)})


def _suitecrm_pl(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=(
            "Klasyfikacja klienta",
            "Wymagana analiza",
            "Propozycja cenowa",
            "Negocjacje",
            "Zakończone sukcesem",
            "Zakończone porażką",
        ),
        sources=("Ze strony WWW", "Z polecenia", "Uczestnik prezentacji", "Reklama"),
        industries=("Bankowość", "Edukacja, szkolnictwo", "Branża elektroniczna", "Ubezpieczenia"),
        moment=_written("%d.%m.%Y %H:%M"),
        day=_written("%d.%m.%Y"),
        money=lambda value: _decimal_comma(value, blank=" ", sign=" €"),
        currency="Euro",
    )
    said = _said(company, words)
    tables = {
        "Szanse.csv": _picked(
            said["deals"],
            {
                "Nazwa szansy sprzedaży": "name",
                "Numer szansy sprzedaży": "opportunity_id",
                "Nazwa kontrahenta": "account",
                "Kwota szansy sprzedaży": "amount",
                "Waluta": "currency",
                "Oczekiwana data zamknięcia": "expected_close_day",
                "Etap sprzedaży": "stage",
                "Szansa sukcesu(%)": "probability",
                "Źródło pozyskania": "source",
                "Przydzielony użytkownik": "rep",
                "Data utworzenia": "created",
            },
        ),
        "Potencjalni.csv": _picked(
            said["leads"],
            {
                "Numer potencjalnego klienta": "lead_id",
                "Nazwisko": "contact",
                "Stanowisko": "position",
                "Nazwa kontrahenta": "company",
                "Branża": "industry",
                "Liczba pracowników": "company_size",
                "Adres e-mail": "email",
                "Źródło pozyskania": "source",
                "Przydzielony użytkownik": "rep",
                "Data utworzenia": "created",
                "Data MQL": "mql_day",
                "Data SQL": "sql_day",
                "Numer szansy sprzedaży": "opportunity_id",
            },
        ),
        "Kontrahenci.csv": _picked(said["accounts"], {"Nazwa": "account", "Branża": "industry"}),
    }
    files = {name: _csv(table, delimiter=";", encoding="cp1250") for name, table in tables.items()}
    return _zipped({**files, **_own_files(said, history=True)})


def _livespace(company: _Company) -> dict[str, bytes]:
    words = _Words(
        stages=("Kwalifikacja", "Analiza potrzeb", "Oferta", "Negocjacje", "Wygrana", "Przegrana"),
        sources=("Strona WWW", "Polecenie", "Targi", "Reklama"),
        industries=_POLISH_INDUSTRIES,
        statuses=("Otwarta", "Wygrana", "Przegrana"),
        moment=_written("%d.%m.%Y %H:%M"),
        day=_written("%d.%m.%Y"),
        money=lambda value: _decimal_comma(value, sign="\u00a0EUR"),
    )
    said = _said(company, words)
    tables = {
        "szanse.txt": _picked(
            said["deals"],
            {
                "ID szansy": "opportunity_id",
                "Nazwa szansy": "name",
                "Firma": "account",
                "Właściciel": "rep",
                "Etap": "last_open_stage",
                "Status": "status",
                "Wartość": "amount",
                "Źródło": "source",
                "Data dodania": "created",
                "Przewidywana data zamknięcia": "expected_close_day",
                "Data zamknięcia": "closed_day",
            },
        ),
        "osoby.txt": _picked(
            said["leads"],
            {
                "ID osoby": "lead_id",
                "Nazwisko": "contact",
                "Firma": "company",
                "Stanowisko": "position",
                "E-mail": "email",
                "Branża": "industry",
                "Liczba pracowników": "company_size",
                "Źródło": "source",
                "Właściciel": "rep",
                "Data dodania": "created",
                "Data MQL": "mql_day",
                "Data SQL": "sql_day",
                "ID szansy": "opportunity_id",
            },
        ),
        "firmy.txt": _picked(said["accounts"], {"Nazwa firmy": "account", "Branża": "industry"}),
    }
    files = {name: _csv(table, delimiter="\t", encoding="utf-16") for name, table in tables.items()}
    return _zipped({**files, **_own_files(said, history=True)})


def _generic(company: _Company, words: _Words) -> dict[str, pd.DataFrame]:
    said = _said(company, words)
    deals = (
        "opportunity_id name rep account source stage "
        "created_day closed_day expected_close_day amount".split()
    )
    leads = (
        "lead_id source rep created_day mql_day sql_day opportunity_id "
        "company industry company_size position contact email".split()
    )
    return {
        "opportunities": _picked(said["deals"], {name.removesuffix("_day"): name for name in deals}),
        "leads": _picked(said["leads"], {name.removesuffix("_day"): name for name in leads}),
        "accounts": _picked(said["accounts"], {"account": "account", "industry": "industry"}),
        "stage_history": _picked(said["history"], _PLAIN_HISTORY),
        "reps": _picked(said["reps"], _PLAIN_REPS),
        "quotas": _picked(said["quotas"], _PLAIN_QUOTAS),
    }


def _generic_csv(company: _Company) -> dict[str, bytes]:
    return {f"{name}.csv": _csv(table, line_end="\n") for name, table in _generic(company, _Words()).items()}


def _generic_zip(company: _Company) -> dict[str, bytes]:
    return _zipped(_generic_csv(company))


def _generic_parquet(company: _Company) -> dict[str, bytes]:
    words = _Words(moment=_typed, day=_midnight, money=_typed, history_moment=_midnight)
    files = {}
    for name, table in _generic(company, words).items():
        typed = table.replace("", None).infer_objects()
        if name == "opportunities":
            typed["opportunity_id"] = typed["opportunity_id"].astype("int64")
        if name == "leads":
            typed["opportunity_id"] = typed["opportunity_id"].astype("Int64")
        file = io.BytesIO()
        typed.to_parquet(file, index=False)
        files[f"{name}.parquet"] = file.getvalue()
    return files


_MAKERS: Mapping[str, Callable[[_Company], dict[str, bytes]]] = {
    "amocrm": _amocrm,
    "bitrix24": _bitrix24,
    "dynamics_365": _dynamics_365,
    "espocrm_en": _espocrm_en,
    "espocrm_pl": _espocrm_pl,
    "espocrm_ru": _espocrm_ru,
    "generic_csv": _generic_csv,
    "generic_parquet": _generic_parquet,
    "generic_zip": _generic_zip,
    "hubspot": _hubspot,
    "livespace": _livespace,
    "pipedrive": _pipedrive,
    "salesforce": _salesforce,
    "suitecrm_en": _suitecrm_en,
    "suitecrm_pl": _suitecrm_pl,
    "vtiger_en": _vtiger_en,
    "vtiger_pl": _vtiger_pl,
    "vtiger_ru": _vtiger_ru,
    "yetiforce": _yetiforce,
}


# --- the samples ----------------------------------------------------------------------------------


def samples() -> tuple[str, ...]:
    """Names of the shipped sample exports, one for each CRM and language (made up, all the same company).

    >>> samples()[:4]
    ('amocrm', 'bitrix24', 'dynamics_365', 'espocrm_en')
    """
    return tuple(_MAKERS)


def sample(name: str) -> Path:
    """Where a sample export lies: a folder, or the zip if it is one; ParameterError where there is none.

    >>> sample("salesforce").name, sample("generic_zip").name
    ('salesforce', 'export.zip')
    """
    if name not in _MAKERS:
        raise ParameterError(f"sample is {name!r}; it must be one of {listed(samples(), most=30)}")
    archive = SAMPLES / name / "export.zip"
    return archive if archive.is_file() else SAMPLES / name


def sample_files(name: str) -> dict[str, bytes]:
    """The files of a sample, made anew: file name to content; ParameterError where there is no such sample.

    >>> sorted(sample_files("salesforce"))[:3]
    ['Account.csv', 'Lead.csv', 'Opportunity.csv']
    """
    if name not in _MAKERS:
        raise ParameterError(f"sample is {name!r}; it must be one of {listed(samples(), most=30)}")
    return _MAKERS[name](_company())


def main(folder: str) -> None:
    for name in samples():
        place = Path(folder, name)
        place.mkdir(parents=True, exist_ok=True)
        for file, content in sample_files(name).items():
            (place / file).write_bytes(content)


if __name__ == "__main__":
    main(sys.argv[1])
