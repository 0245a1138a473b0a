"""The sample exports: one company in nineteen exports, read into the same tables bit for bit."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import salessim.crm
from salessim.crm import Tables, read, read_map, shipped_maps
from salessim.crm.columnmap import word_key
from salessim.crm.detect import fit
from salessim.crm.sources import open_export
from salessim.crm.textfiles import header_key
from salessim.errors import DataError, ParameterError
from salessim.library.samples import SAMPLES, sample, sample_files, samples

MAPS = Path(salessim.crm.__file__).parent / "maps"
TABLES = ("opportunities", "reps", "accounts", "leads", "stage_history", "quotas", "evidence")
#: The four stages that all samples use, in order.
STAGES = ("qualification", "needs analysis", "proposal", "negotiation")
#: Maps of a CRM, which speak one vocabulary; the others keep the words of the export.
CRM_MAPS = tuple(name for name in shipped_maps() if name not in ("salessim_csv", "maven_crm"))


def map_of(name: str) -> str:
    if name.startswith("generic"):
        return "salessim_csv"
    return name.removesuffix("_en").removesuffix("_pl").removesuffix("_ru")


@pytest.fixture(scope="module")
def imported() -> Mapping[str, Tables]:
    return {name: read(sample(name)) for name in samples()}


# --- what comes out -------------------------------------------------------------------------------


def test_every_crm_map_has_a_sample() -> None:
    assert {map_of(name) for name in samples()} == {*CRM_MAPS, "salessim_csv"}


@pytest.mark.parametrize("name", samples())
def test_a_sample_is_recognised_and_the_reason_says_why(name: str, imported: Mapping[str, Tables]) -> None:
    tables = imported[name]
    assert tables.column_map == map_of(name)
    assert f"'{map_of(name)}' was detected" in tables.column_map_reason
    signature = read_map(map_of(name)).signature
    assert all(any(name in tables.column_map_reason for name in names) for names in signature[:3])


@pytest.mark.parametrize("name", samples())
@pytest.mark.parametrize("table", TABLES)
def test_every_sample_gives_the_same_tables(name: str, table: str, imported: Mapping[str, Tables]) -> None:
    expected = getattr(imported["generic_csv"], table)
    assert_frame_equal(getattr(imported[name], table), expected, check_exact=True, check_names=True)


@pytest.mark.parametrize("name", samples())
def test_every_sample_has_the_same_frame_around_the_tables(name: str, imported: Mapping[str, Tables]) -> None:
    tables = imported[name]
    assert tables.stages == STAGES
    assert (tables.currency, tables.as_of) == ("EUR", date(2026, 6, 30))


@pytest.mark.parametrize("name", samples())
def test_nothing_is_wrong_with_a_sample_and_every_record_is_accounted_for(
    name: str, imported: Mapping[str, Tables]
) -> None:
    quality = imported[name].quality
    assert quality.issues.empty, quality.issues.to_string()
    kept = quality.counts.set_index("table")[["read", "kept", "rejected"]]
    assert kept["kept"].to_dict() == {
        "opportunities": 60,
        "reps": 5,
        "accounts": 30,
        "leads": 150,
        "stage_history": len(imported[name].stage_history),
        "quotas": 20,
    }
    assert (kept["read"] == kept["kept"]).all()


def test_the_company_is_worth_looking_at(imported: Mapping[str, Tables]) -> None:
    tables = imported["generic_csv"]
    deals = tables.opportunities
    assert deals["status"].value_counts().min() >= 10
    assert set(deals.loc[deals["status"] == "open", "stage"]) == set(STAGES)
    assert deals["source"].nunique() == 4
    assert set(deals["rep"]) == set(tables.reps["rep"])
    assert set(deals["account"]) <= set(tables.accounts["account"])
    assert set(tables.stage_history["opportunity_id"]) == set(deals["opportunity_id"])
    assert set(tables.stage_history["stage"]) == {*STAGES, "won", "lost"}
    assert tables.leads["mql"].notna().sum() > tables.leads["sql"].notna().sum() > 40
    assert tables.leads["opportunity_id"].dropna().isin(deals["opportunity_id"]).all()


def test_the_tables_say_what_stands_in_the_plain_files(imported: Mapping[str, Tables]) -> None:
    written = pd.read_csv(SAMPLES / "generic_csv" / "opportunities.csv", dtype={"opportunity_id": str})
    deals = imported["bitrix24"].opportunities
    won = written[written["stage"] == "won"]
    assert deals.loc[deals["status"] == "won", "amount"].tolist() == won["amount"].tolist()
    assert deals["created"].dt.strftime("%Y-%m-%d").tolist() == written["created"].tolist()
    assert deals["source"].tolist() == written["source"].tolist()
    assert deals["row"].tolist() == list(range(2, 62))


@pytest.mark.parametrize("name", ["bitrix24"])
def test_contacts_of_leads_are_dropped_unless_asked_for(name: str, imported: Mapping[str, Tables]) -> None:
    assert set(imported[name].leads["email"]) == {"given"}
    asked = read(sample(name), personal_data=True)
    assert asked.leads["email"].str.endswith("@example.org").all()


@pytest.mark.parametrize("name", samples())
def test_a_sample_fits_no_other_map(name: str) -> None:
    export = open_export(sample(name))
    fitting = {candidate for candidate in shipped_maps() if not fit(export, read_map(candidate)).problem}
    assert fitting == {map_of(name)}


# --- the shipped files ----------------------------------------------------------------------------


def content(name: str, data: bytes) -> object:
    """What a file says; an archive or a workbook may be packed in other ways and say the same."""
    if name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {member: archive.read(member) for member in archive.namelist()}
    if name.endswith(".xlsx"):
        sheets = pd.read_excel(io.BytesIO(data), sheet_name=None, header=None, engine="calamine")
        return {sheet: table.to_csv() for sheet, table in sheets.items()}
    if name.endswith(".parquet"):
        table = pd.read_parquet(io.BytesIO(data))
        return table.dtypes.astype(str).to_dict(), table.to_csv()
    return data


@pytest.mark.parametrize("name", samples())
def test_the_shipped_files_are_what_the_writer_writes(name: str) -> None:
    shipped = {path.name: path.read_bytes() for path in sorted((SAMPLES / name).iterdir())}
    made = sample_files(name)
    assert sorted(shipped) == sorted(made)
    for file, data in made.items():
        assert content(file, shipped[file]) == content(file, data), file


def test_the_samples_are_small() -> None:
    assert sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file()) < 600_000
    assert sorted(path.name for path in SAMPLES.iterdir()) == sorted(samples())


def test_encodings_and_formats_are_those_of_the_crm() -> None:
    assert "Стадия сделки" in (SAMPLES / "bitrix24" / "DEAL.csv").read_bytes().decode("cp1251")
    assert (SAMPLES / "amocrm" / "amocrm_export_leads.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert "Etap sprzedaży" in (SAMPLES / "vtiger_pl" / "Potentials.csv").read_bytes().decode("cp1250")
    with zipfile.ZipFile(sample("livespace")) as archive:
        assert archive.read("szanse.txt").decode("utf-16").splitlines()[0].split("\t")[0] == "ID szansy"
    first = pd.read_csv(SAMPLES / "salesforce" / "Opportunity.csv").iloc[0]
    assert len(first["Id"]) == 18
    assert first["CreatedDate"].endswith("Z")


def test_an_unknown_sample_is_refused() -> None:
    with pytest.raises(ParameterError, match="sample is 'zoho'; it must be one of 'amocrm'"):
        sample("zoho")


# --- the maps -------------------------------------------------------------------------------------

#: Stages that the vendors set up, by map; the last ones are won and lost.
VENDOR_STAGES = {
    "salesforce": "Prospecting|Qualification|Needs Analysis|Value Proposition|Id. Decision Makers|"
    "Perception Analysis|Proposal/Price Quote|Negotiation/Review|Closed Won|Closed Lost",
    "hubspot": "appointmentscheduled|qualifiedtobuy|presentationscheduled|decisionmakerboughtin|contractsent|"
    "closedwon|closedlost",
    "pipedrive": "Qualified|Contact Made|Demo Scheduled|Proposal Made|Negotiations Started",
    "dynamics_365": "Qualify|Develop|Propose|Close",
    "bitrix24": "Новая|Подготовка документов|Счёт на предоплату|В работе|Финальный счёт|Сделка успешна|"
    "Сделка провалена",
    "amocrm": "Неразобранное|Первичный контакт|Переговоры|Принимают решение|Согласование договора|"
    "Успешно реализовано|Закрыто и не реализовано",
    "vtiger": "Nowa sprzedaż|Rozpoznanie|Analizy wymagań|Wstępna Wycena|Podejmowanie decyzji|Analiza potrzeb|"
    "Oferta cenowa|Negocjacje|Zakończone sukcesem|Zakończone porażką|Переговоры|Оценка|Предложение|"
    "Закрыта удачно|Закрыта неудачно|Prospecting|Closed Won|Closed Lost",
    "espocrm": "I Spotkanie|Kwalifikacja|Dodatkowa Analiza|Oferta Produktowa|Oferta Cenowa|Negocjacje|"
    "Zakończone Wygrane|Zakończone Przegrane|Привлечение клиента|Оценка возможности|Закрыто - Успех|"
    "Закрыто - Провал|Prospecting|Closed Won|Closed Lost",
    "yetiforce": "Wersja robocza|Zapytanie ofertowe|Kalkulacja|Oferta|Negocjacje|Oczekiwanie na decyzje|"
    "Zamówienie|Realizacja|Fakturowanie|Sprzedaż zakończona|Sprzedaż nieudana|Sprzedaż anulowana",
    "suitecrm": "Prospecting|Qualification|Closed Won|Closed Lost|Wstępna analiza|Klasyfikacja klienta|"
    "Propozycja cenowa|Zakończone sukcesem|Zakończone porażką",
    "livespace": "Kwalifikacja|Analiza potrzeb|Oferta|Negocjacje",
}
#: Headers of deals in the vendors' exports for which the tables have a column.
VENDOR_HEADERS = {
    "salesforce": "Id|OpportunityId|Name|Amount|CurrencyIsoCode|StageName|OwnerId|CreatedDate|CloseDate|"
    "Probability|LeadSource|AccountId",
    "hubspot": "Record ID|Deal Name|Amount|Currency|Deal Stage|Deal owner|Create Date|Close Date|"
    "Deal probability|"
    "Original Source|Associated Company|Closed Lost Reason",
    "pipedrive": "Deal - ID|Deal - Pipedrive System ID|Deal - Title|Deal - Value|Deal - Currency|"
    "Deal - Currency of value|Deal - Stage|Deal - Stage (pipeline)|Deal - Status|Deal - Owner|"
    "Deal - Deal created|Deal - Expected close date|Deal - Won time|Deal - Lost time|Deal - Closed on|"
    "Deal - Probability|Deal - Source channel|Organization|Deal - Organization|Deal - Lost reason",
    "dynamics_365": "(Do Not Modify) Opportunity|Topic|Est. Revenue|Actual Revenue|Currency|Sales Stage|"
    "Pipeline Phase|Status|Owner|Created On|Est. Close Date|Actual Close Date|Probability|"
    "Lead Source|Account",
    "bitrix24": "ID|Название|Название сделки|Сумма|Валюта|Стадия сделки|Ответственный|Дата создания|"
    "Дата начала|"
    "Предполагаемая дата закрытия|Дата завершения|Вероятность|Источник|Компания|OWNER_ID|STAGE_ID|"
    "CREATED_TIME",
    "amocrm": "ID|Название сделки|Бюджет|Бюджет ₽|Бюджет руб|Этап сделки|Этап|Статус|Ответственный|"
    "Дата создания|"
    "Создана|Дата закрытия|Закрыта|utm_source|Компания",
    "vtiger": "Numer Szansy Sprzedaży|Szansa Sprzedaży|Wartość|Etap sprzedaży|Przypisany|"
    "Oczekuje się, że zakończy się|Prawdopodobieństwo sukcesu|Kampania reklamowa|Nazwa organizacji|Сделка №|"
    "Сделка|Сумма|Стадия|Ответственный|Вероятность (%)|Кампания источник|Название организации",
    "espocrm": "Imię|Имя|Wartość|Сумма|Estap|Стадия|Data Zamknięcia|Дата закрытия|Prawdopodobieństwo, %|"
    "Вероятность успеха, %|Zródło Potencjalnego Kontaktu|Лид|Konto|Организация",
    "yetiforce": "Numer|Temat|Szacowana wartość|Rzeczywista sprzedaż|Status|Czas rozpoczęcia|"
    "Szacowany termin|"
    "Rzeczywisty termin|Czas zamknięcia|Prawdopodobieństwo|Źródło pozyskania",
    "suitecrm": "Nazwa Szansy sprzedaży|Kwota|Waluta|Etap sprzedaży|Użytkownik Przypisany|"
    "Oczekiwana data zamknięcia|Szansa sukcesu(%)|Prawdopodobieństwo (%)|Źródło pozyskania|Nazwa kontrahenta",
}


@pytest.mark.parametrize("name", CRM_MAPS)
def test_the_stages_that_vendors_set_up_are_known_under_one_vocabulary(name: str) -> None:
    column_map = read_map(name)
    meanings = column_map.stage_meanings
    assert not [stage for stage in VENDOR_STAGES[name].split("|") if word_key(stage) not in meanings]
    called = [name for status, name in meanings.values() if status == "open"]
    assert all(name == name.lower() and name.isascii() for name in called)
    shared = [stage for stage in column_map.open_stages if stage in STAGES]
    assert tuple(shared) == STAGES


@pytest.mark.parametrize("name", VENDOR_HEADERS)
def test_the_headers_that_vendors_write_are_known(name: str) -> None:
    known = {header_key(header) for header in read_map(name).headers}
    assert not [header for header in VENDOR_HEADERS[name].split("|") if header_key(header) not in known]


@pytest.mark.parametrize("name", CRM_MAPS)
def test_a_map_says_how_to_export_and_what_is_not_verified(name: str) -> None:
    column_map = read_map(name)
    text = (MAPS / f"{name}.yaml").read_text(encoding="utf-8")
    comment = text[: text.index("\nname:")]
    assert all(line.startswith("#") for line in comment.splitlines())
    for said in ("How to get the files", "unverified", "Stages of your own", "tages"):
        assert said in comment
    known = {header_key(header) for header in column_map.headers}
    words = {word_key(word) for word in [*column_map.stages, *(column_map.statuses or {})]}
    for table in column_map.tables.values():
        words |= {word_key(word) for each in table.translations.values() for word in each}
    stray = [w for w in column_map.unverified if header_key(w) not in known and word_key(w) not in words]
    assert not stray, "under unverified but nowhere in the map"


# --- what users do with them ----------------------------------------------------------------------


def test_salesforce_without_numbers_of_its_own_is_linked_by_ids(tmp_path: Path) -> None:
    for file, data in sample_files("salesforce").items():
        table = pd.read_csv(io.BytesIO(data), dtype=str)
        table.drop(columns=["Deal_Number__c", "Lead_Number__c"], errors="ignore").to_csv(
            tmp_path / file, index=False
        )
    tables = read(tmp_path)
    assert tables.quality.issues.empty
    assert tables.opportunities["opportunity_id"].str.len().eq(18).all()
    assert set(tables.stage_history["opportunity_id"]) == set(tables.opportunities["opportunity_id"])
    assert tables.leads["opportunity_id"].dropna().isin(tables.opportunities["opportunity_id"]).all()
    assert set(tables.opportunities["rep"]) == set(tables.reps["rep"])


def test_the_date_of_a_lost_deal_stands_where_that_of_a_won_one_is_blank(tmp_path: Path) -> None:
    (tmp_path / "deals.csv").write_text(
        "Deal - ID;Deal – Title*;Deal - Owner;Deal - Stage;Deal - Status;Deal - Deal created;Deal - Won time;"
        "Deal - Lost time;Deal - Value\n"
        "1;A;Rep Alpha;Qualified;Won;2026-01-05;2026-02-20;;1200\n"
        "2;B;Rep Alpha;Qualified;Lost;2026-01-07;;2026-03-01;500\n"
        "3;C;Rep Beta;Proposal Made;Open;2026-02-01;;;800\n",
        encoding="utf-8",
    )
    tables = read(tmp_path)
    closed = tables.opportunities["closed"].dt.strftime("%m-%d").fillna("")
    assert closed.tolist() == ["02-20", "03-01", ""]
    assert tables.opportunities["name"].tolist() == ["A", "B", "C"]
    assert tables.stages == ("qualification", "proposal")[1:]


def test_blanks_can_only_be_filled_in_columns_of_the_map(tmp_path: Path) -> None:
    text = (MAPS / "pipedrive.yaml").read_text(encoding="utf-8")
    own = tmp_path / "own.yaml"
    own.write_text(text.replace("      closed: Deal - Lost time", "      list_price: Deal - Price"))
    with pytest.raises(DataError, match="blanks_from: 'list_price' is not among its columns"):
        read_map(own)


def test_stages_of_ones_own_are_taken_by_their_words_and_listed(
    imported: Mapping[str, Tables], tmp_path: Path
) -> None:
    words = {
        "Negocjacje": "Demo",
        "Zakończone sukcesem": "Wygrana partner",
        "Zakończone porażką": "Deal przegrany",
    }
    for file, data in sample_files("vtiger_pl").items():
        text = data.decode("cp1250")
        for vendor, own in words.items():
            text = text.replace(vendor, own)
        (tmp_path / file).write_bytes(text.encode("cp1250"))
    tables = read(tmp_path)
    assert tables.stages == (*STAGES[:3], "Demo")
    before = imported["vtiger_pl"].opportunities
    assert tables.opportunities["status"].tolist() == before["status"].tolist()
    told = tables.quality.issues.set_index("rule").loc["unknown stage word", "value"]
    said = " ".join(told)
    for text in ("Demo, taken as open", "Wygrana partner, taken as won", "Deal przegrany, taken as lost"):
        assert text in said


def test_a_stage_of_its_own_is_kept_where_a_column_tells_won_and_lost(
    imported: Mapping[str, Tables], tmp_path: Path
) -> None:
    with zipfile.ZipFile(sample("livespace")) as archive:
        for member in archive.namelist():
            codec = "utf-16" if member.endswith(".txt") else "utf-8"
            text = archive.read(member).decode(codec).replace("Negocjacje", "Umowa")
            (tmp_path / member).write_bytes(text.encode(codec))
    tables = read(tmp_path)
    assert tables.stages == (*STAGES[:3], "Umowa")
    before = imported["livespace"].opportunities
    assert tables.opportunities["status"].tolist() == before["status"].tolist()
    unlisted = tables.quality.issues
    assert set(unlisted["rule"]) == {"unknown stage word"}
