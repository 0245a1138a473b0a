"""Open a finished report in headless Chromium, the way a reader does: from a folder, without a network."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

LOCAL = ("file:", "data:", "blob:")

PHONE = {"width": 390, "height": 844}

# What a loaded page tells about itself.
INSPECT = """() => ({
  broken_images: [...document.images].filter((i) => !i.complete || i.naturalWidth === 0).map((i) => i.src),
  links: [...document.querySelectorAll("a[href], area[href]")].map((a) => a.href),
  ids: [...document.querySelectorAll("[id]")].map((e) => e.id),
  too_wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  heading: document.querySelector("h1")?.textContent ?? "",
})"""


def skip_or_fail(reason: str) -> None:
    """Skip a test whose tool is missing; fail it where SALESSIM_REQUIRE_ALL=1 forbids that."""
    if os.environ.get("SALESSIM_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason} (SALESSIM_REQUIRE_ALL=1)")
    pytest.skip(reason)


def chromium() -> Path:
    """The path of Chromium: SALESSIM_CHROMIUM, else the one on the PATH; skips the test if there is none."""
    wanted = os.environ.get("SALESSIM_CHROMIUM")
    found = wanted or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if not found or not Path(found).is_file():
        skip_or_fail(f"no Chromium ({wanted or 'apt-get install chromium'}); SALESSIM_CHROMIUM can name one")
    return Path(str(found))


def check_site(index: Path, *, search_for: str | None = None) -> list[str]:
    """Open every page of a report from ``file://`` and return what is wrong with it; empty when all is well.

    Checks: console errors, requests that leave the machine, pictures that do not load, links and anchors
    within the report that lead nowhere, pages wider than a phone, and that search finds ``search_for``
    (left out: the longest word of a page heading).
    """
    from playwright.sync_api import sync_playwright

    root = index.resolve().parent
    pages = sorted(root.rglob("*.html"))
    problems: list[str] = [] if index.resolve() in pages else [f"{index}: there is no such page"]
    seen: dict[Path, dict[str, list[str]]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        tab = browser.new_page(viewport=PHONE)
        here = ""

        def report(problem: str) -> None:
            problems.append(f"{here}: {problem}")

        tab.on("console", lambda message: message.type == "error" and report(f"console: {message.text}"))
        tab.on("pageerror", lambda error: report(f"script: {error}"))
        # what is still loading when the next page is opened is cut off by the browser, not broken
        tab.on(
            "requestfailed",
            lambda r: r.failure == "net::ERR_ABORTED" or report(f"does not load: {unquote(r.url)}"),
        )
        tab.on("request", lambda r: r.url.startswith(LOCAL) or report(f"leaves the machine: {r.url}"))
        for path in pages:
            here = path.relative_to(root).as_posix()
            tab.goto(path.as_uri(), wait_until="load")
            state = tab.evaluate(INSPECT)
            for image in state["broken_images"]:
                report(f"picture does not load: {unquote(image)}")
            if state["too_wide"] > 0:
                report(f"is {state['too_wide']} px wider than a phone")
            seen[path] = state
        words = re.findall(r"[A-Za-z]{4,}", " ".join(str(state["heading"]) for state in seen.values()))
        word = search_for or max((w for w in words if w != "Search"), key=len)
        here = "search.html"
        tab.goto(f"{(root / here).as_uri()}?q={word}", wait_until="load")
        try:
            tab.wait_for_selector("#search-results li a", timeout=5_000)
        except Exception:
            report(f"search does not find '{word}'")
        browser.close()
    for path, state in seen.items():
        here = path.relative_to(root).as_posix()
        for link in state["links"]:
            address, anchor = urldefrag(link)
            if urlsplit(address).scheme != "file":
                continue
            target = Path(unquote(urlsplit(address).path))
            if not target.is_file():
                problems.append(f"{here}: link leads nowhere: {unquote(address)}")
            elif anchor and target in seen and unquote(anchor) not in seen[target]["ids"]:
                problems.append(
                    f"{here}: there is no #{unquote(anchor)} in {target.relative_to(root).as_posix()}"
                )
    return problems
