"""The weekly status in words: the answer first, figures that agree with the bridge, deals by name."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from salessim.briefing.changes import NAMED, changes_text, deals_to_discuss
from salessim.crm import ledger
from salessim.crm.changes import changes_between, changes_in
from tests.deals import Deal, deal, tables


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three weeks, in which D1 slips twice, D2 is won, D3 vanishes and D4 comes and gets its first amount."""
    where = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    weeks: list[list[Deal]] = [
        [deal("D1", "warm", 5000, expected_close="2026-06-30", account="Amber Ltd"), deal("D2", "warm", 900)],
        [
            deal("D1", "warm", 5000, expected_close="2026-07-31", account="Amber Ltd"),
            deal("D2", "warm", 900),
            deal("D3", "cold", 300, rep=None),
            deal("D4", "cold"),
        ],
        [
            deal("D1", "cold", 4000, expected_close="2026-09-30", account="Amber Ltd"),
            deal("D2", "won", 850),
            deal("D4", "cold", 70),
            deal("D5", "cold", rep="Rep | Beta"),
        ],
    ]
    for number, deals in enumerate(weeks):
        ledger.record(where, tables(deals, f"2026-06-{1 + 7 * number:02d}"))
    return where


def test_the_week_is_told_from_the_answer_to_the_deals(path: Path) -> None:
    text = changes_text(changes_in(path), slips=ledger.slips_of(path))
    assert text.splitlines()[0] == (
        "**From 2026-06-08 to 2026-06-15 the open pipeline fell 34 %**, from EUR 6,200 (4 deals) to "
        "EUR 4,070 (3 deals). What did it: new ±0 (1 deal, 1 without an amount), resized −EUR 930 (2 deals), "
        "won −EUR 900 (1 deal) and vanished −EUR 300 (1 deal). 1 of the 3 open deals has no amount and "
        "counts as 0."
    )
    assert "| resized | 2 | −EUR 930 |" in text
    assert "| moved back | 1 | – |" in text
    assert "| Rep Alpha | EUR 5,900 | −930 | −900 |  | EUR 4,070 |" in text
    assert "| not given | EUR 300 |  |  | −300 | EUR 0 |" in text
    assert text.split("**Deals to talk about**\n\n")[1].splitlines() == [
        "- **D1** (Amber Ltd, Rep Alpha) slipped for the second time, now to 2026-09-30: 92 days in all, "
        "worth EUR 4,000.",
        "- **D1** (Amber Ltd, Rep Alpha) went from EUR 5,000 to EUR 4,000, in stage cold.",
        "- **D2** (Rep Alpha) was won from stage warm: EUR 900 expected, EUR 850 booked.",
        "- **D4** (Rep Alpha) got its first amount: EUR 70, in stage cold.",
        "- **D3** is no longer in the CRM, though it was open in stage cold, worth EUR 300: deleted, "
        "merged, not exported, or rejected by the import?",
    ]


def test_only_who_slipped_again_this_week_is_named_for_it(path: Path) -> None:
    slips = ledger.slips_of(path)
    assert not any("time" in line for line in deals_to_discuss(changes_in(path), currency="EUR"))
    from_first = changes_in(path, since=ledger.days(path)[0], until=ledger.days(path)[1])
    once = slips[slips["seen_on"] <= pd.Timestamp("2026-06-08")]
    assert not any("time" in line for line in deals_to_discuss(from_first, currency="EUR", slips=once))


def test_many_deals_are_counted_instead_of_named() -> None:
    many = [deal(f"D{i:02}", "cold", 100.0 * i) for i in range(1, 31)]
    lines = deals_to_discuss(
        changes_between(tables(many, "2026-06-01"), tables([], "2026-06-08")), currency="EUR"
    )
    assert len(lines) == NAMED + 1
    assert lines[0].startswith("**D30** (Rep Alpha) is no longer in the CRM")
    assert lines[-1] == "25 more deals vanished from the CRM."


def test_a_quiet_week_and_an_empty_pipeline_are_said() -> None:
    quiet = tables([deal("D1", "cold", 500, rep="Rep | Beta")], "2026-06-01")
    text = changes_text(changes_between(quiet, quiet), currency="")
    assert text == (
        "**From 2026-06-01 to 2026-06-01 the open pipeline held level**, from 500 (1 deal) to 500 (1 deal). "
        "No deal came, went or changed its amount."
    )
    nothing = changes_text(changes_between(tables([], "2026-06-01"), quiet), currency="EUR")
    assert "got its first value**, from EUR 0 (0 deals) to EUR 500 (1 deal)" in nothing
    assert r"Rep \| Beta" in nothing
    unknown = tables([deal("D1")], "2026-06-01")
    assert "stayed without a value" in changes_text(changes_between(unknown, unknown))
