"""Column maps: what a user may write, and what is refused with which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from salessim.crm import read_map, shipped_maps
from salessim.crm.canonical import SPECS
from salessim.errors import DataError

GOOD = """
name: our_crm
stages: {Talk: open, Yes: won, No: lost}
tables:
  opportunities:
    file: deals.csv
    columns: {opportunity_id: Id, rep: Owner, stage: Stage, created: Start, closed: End, amount: Value}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "our map.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(DataError) as caught:
        read_map(write(tmp_path, text))
    return str(caught.value)


def test_a_minimal_map_has_the_documented_defaults(tmp_path: Path) -> None:
    column_map = read_map(write(tmp_path, GOOD))
    assert column_map.open_stages == ("Talk",)
    assert column_map.currency == "XXX"
    assert column_map.dates == ["ISO"]
    (numbers,) = column_map.numbers
    assert (numbers.decimal, numbers.thousands) == (".", "")


def test_words_like_no_and_yes_stay_words(tmp_path: Path) -> None:
    assert list(read_map(write(tmp_path, GOOD)).stages) == ["Talk", "Yes", "No"]


@pytest.mark.parametrize("name", shipped_maps())
def test_shipped_maps_are_valid_and_carry_their_own_name(name: str) -> None:
    assert read_map(name).name == name


def test_plain_format_has_canonical_headers() -> None:
    for name, table in read_map("salessim_csv").tables.items():
        assert [[column] for column in table.columns] == list(table.columns.values())
        returned = set(SPECS[name].canonical_columns) - set(SPECS[name].derived)
        assert set(table.columns) == returned - {"status"}


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("name: our_crm", "name: our_crm\nname: again", "duplicate key"),
        ("name: our_crm", "nome: our_crm", "unknown key 'nome'; allowed: 'name', 'description'"),
        ("name: our_crm", "name: our_crm\ncurrency: euro", "currency is 'euro'"),
        ("name: our_crm", "name: our_crm\nencoding: cp9999", "no such encoding"),
        ("{Talk: open,", "{Talk: ,", "stages.Talk is None; Input should be 'open', 'won' or 'lost'"),
        ("{Talk: open,", "{Talk: maybe,", "stages.Talk is 'maybe'"),
        ("Yes: won, ", "", "stages: none has status 'won'"),
        ("amount: Value", "amout: Value", "'amout' is no canonical column; allowed: 'opportunity_id'"),
        (", amount: Value", "", "tables.opportunities.columns lacks 'amount'"),
        ("  opportunities:", "  deals:", "tables: 'opportunities' must be there; found 'deals'"),
        ("    file: deals.csv", "    file: deals.csv\n    fil: x", "unknown key 'tables.opportunities.fil'"),
        ("    file: deals.csv", "    file: deals.csv\n    optional: [rep]", "'rep' cannot be optional"),
        ("    file: deals.csv", "    file: deals.csv\n    optional: [source]", "'source' is not among"),
        ("    file: deals.csv", "    file: deals.csv\n    required: false", "without deals cannot be read"),
        (
            "    file: deals.csv",
            "    file: deals.csv\n    constants: {rep: Ann}",
            "in columns and in constants",
        ),
        (
            "    file: deals.csv",
            "    file: deals.csv\n    corrections: {amount: {a: b}}",
            "'amount' holds no words",
        ),
        ("name: our_crm", "name: our_crm\nsegment_from: products.segment", "no table of this map supplies"),
        ("name: our_crm", "name: our_crm\ndates: ['%H:%M']", "'%H:%M' is no date format"),
        (
            "name: our_crm",
            "name: our_crm\ndates: ['%d/%m/%Y', '%m/%d/%Y']",
            "read the same text as different days",
        ),
        (
            "name: our_crm",
            "name: our_crm\nnumbers: {decimal: ',', thousands: ','}",
            "decimal and thousands are both ','",
        ),
        (
            "name: our_crm",
            "name: our_crm\nnumbers: {decimals: ','}",
            "unknown key 'numbers.decimals'; allowed",
        ),
        ("name: our_crm", "name: our_crm\nstatuses: {O: open, W: won, L: lost}", "'Yes', 'No' must be open"),
        ("tables:", "tables: [", "line"),
        ("{Talk: open,", "{Talk: {status: open, named: x},", "unknown key 'stages.Talk.named'; allowed"),
        ("Yes: won,", "Yes: {status: won, called: deal},", "closed deals are called won or lost"),
        ("{Talk: open,", "{Talk: open, TALK: won,", "'Talk' and 'TALK' are one word with two meanings"),
        (
            "name: our_crm",
            "name: our_crm\nother_stages: guess",
            "should be 'refuse', 'open' or 'by words'",
        ),
        ("name: our_crm", "name: our_crm\ncurrency_words: {zł: zloty}", "currency_words.zł is 'zloty'"),
        ("rep: Owner", "rep: []", "tables.opportunities.columns.rep is []"),
        ("    file: deals.csv", "    file: []", "tables.opportunities.file is []"),
        (
            "    file: deals.csv",
            "    lookups: {rep: {table: users, key: Id, value: Name}}",
            "lookups.rep.table is 'users'; it must be one of lookup_files: (none)",
        ),
        (
            "    file: deals.csv",
            "    lookups: {amount: {table: users, key: Id, value: Name}}",
            "'amount' holds no words",
        ),
        ("    file: deals.csv", "    lookups: {rep: {tabel: users}}", "unknown key"),
        ("    file: deals.csv", "    translations: {ammount: {a: b}}", "'ammount' is no canonical column"),
        ("    file: deals.csv", "    row_ids: true", "which the map must not fill"),
        (
            "name: our_crm",
            "name: our_crm\ndates: [ISO, '%d/%m/%Y | %H']",
            "'%H' is no date format",
        ),
        (
            "tables:",
            "tables:\n  reps: {columns: {rep: R}, evidence: {pain: P}}",
            "only opportunities have evidence columns",
        ),
    ],
)
def test_a_wrong_map_is_refused_with_the_place_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, says: str
) -> None:
    assert old in GOOD
    text = refusal(tmp_path, GOOD.replace(old, new, 1))
    assert "our map.yaml" in text
    assert says in text


def test_statuses_need_a_status_column(tmp_path: Path) -> None:
    text = GOOD.replace(
        "{Talk: open, Yes: won, No: lost}", "{Talk: open}\nstatuses: {O: open, W: won, L: lost}"
    )
    assert "belong together" in refusal(tmp_path, text)


def test_an_empty_map_is_refused(tmp_path: Path) -> None:
    assert "no keys found" in refusal(tmp_path, "# nothing\n")


def test_a_missing_map_names_the_shipped_ones() -> None:
    with pytest.raises(DataError, match="shipped: 'amocrm', 'bitrix24'"):
        read_map("nowhere.yaml")


def test_headers_may_have_alternatives_and_tables_no_file(tmp_path: Path) -> None:
    text = GOOD.replace("    file: deals.csv\n", "").replace("rep: Owner", "rep: [Owner, Seller]")
    table = read_map(write(tmp_path, text)).tables["opportunities"]
    assert table.file is None
    assert table.found(["id", "SELLER", "Stage"]) == {
        "opportunity_id": "id",
        "rep": "SELLER",
        "stage": "Stage",
    }
    assert table.lacking(["Id", "Stage", "Start", "End", "Value"]) == ["Owner or Seller"]


def test_stages_are_called_by_one_vocabulary(tmp_path: Path) -> None:
    stages = (
        "{Rozmowa: {status: open, called: talk}, Gespräch: {status: open, called: talk}, Yes: won, No: lost}"
    )
    column_map = read_map(write(tmp_path, GOOD.replace("{Talk: open, Yes: won, No: lost}", stages)))
    assert column_map.open_stages == ("talk",)
    assert column_map.stage_meanings["gespräch"] == ("open", "talk")
    assert column_map.stage_meanings["yes"] == ("won", "won")


def test_other_stages_stand_for_open_ones(tmp_path: Path) -> None:
    text = GOOD.replace("{Talk: open, Yes: won, No: lost}", "{Yes: won, No: lost}\nother_stages: open")
    assert read_map(write(tmp_path, text)).open_stages == ()
