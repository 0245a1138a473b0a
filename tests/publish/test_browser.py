"""The finished report in a real browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import browser

pytestmark = pytest.mark.browser


def test_every_page_opens_without_a_network(report: Path) -> None:
    assert browser.check_site(report / "index.html", search_for="glossary") == []


def test_a_broken_site_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text(
        "<h1>Broken</h1><img src='missing.png'><a href='gone.html'>a</a><a href='#nowhere'>b</a>"
        "<script src='http://127.0.0.1:9/tracker.js'></script><script>missing.call()</script>"
        "<div style='width: 900px'>wide</div>"
    )
    (tmp_path / "search.html").write_text("<h1>Search</h1><ul id='search-results'></ul>")
    found = "\n".join(browser.check_site(tmp_path / "index.html"))
    for problem in (
        "index.html: picture does not load",
        "index.html: link leads nowhere",
        "index.html: there is no #nowhere in index.html",
        "index.html: leaves the machine: http://127.0.0.1:9/tracker.js",
        "index.html: script: missing is not defined",
        "px wider than a phone",
        "search does not find 'Broken'",
    ):
        assert problem in found


def test_figures_stand_under_each_other(report: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser.chromium(), args=browser.FLAGS)
        tab = chromium.new_page()
        tab.goto((report / "notebooks" / "01-pipeline.html").as_uri())
        aligned = tab.eval_on_selector_all(
            "table.dataframe tbody tr:first-child > *",
            "cells => cells.map(c => getComputedStyle(c).textAlign)",
        )
        fonts = tab.evaluate(
            "async () => { await document.fonts.ready; return document.fonts.check('16px Fira Sans') }"
        )
        chromium.close()
    assert aligned == ["right", "left", "right"]  # row number, segment, money
    assert fonts


def test_no_chromium_is_a_skip_or_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESSIM_CHROMIUM", str(tmp_path / "no-such-browser"))
    monkeypatch.delenv("SALESSIM_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no Chromium"):
        browser.chromium()
    monkeypatch.setenv("SALESSIM_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="no Chromium"):
        browser.chromium()
