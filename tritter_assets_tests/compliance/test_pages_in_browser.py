"""Opens every report page in Chromium: it must render alone, offline and without errors."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tritter_assets.compliance.croissant import write_croissant
from tritter_assets.compliance.dataset_cards import write_dataset_cards
from tritter_assets.compliance.eu_summary import write_eu_summary
from tritter_assets.compliance.funnel import write_funnel
from tritter_assets.compliance.license_audit import write_license_audit
from tritter_assets.compliance.model_card import write_model_card
from tritter_assets.compliance.notice import write_notice
from tritter_assets.compliance.osaid import write_osaid
from tritter_assets.compliance.retention import write_retention
from tritter_assets.compliance.spdx_bom import write_spdx_bom
from tritter_assets.lake import ArtifactStore
from tritter_assets_tests.lineage import small_lake as small

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
REPORTS = (
    write_license_audit,
    write_notice,
    write_croissant,
    write_spdx_bom,
    write_eu_summary,
    write_osaid,
    write_dataset_cards,
    write_funnel,
    write_retention,
    write_model_card,
)
_FITS = "document.documentElement.scrollWidth <= window.innerWidth"
_CLIPPED = """[...document.querySelectorAll('td, dd, dt, p, li, h1, h2, h3, caption')]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.textContent.slice(0, 60))"""


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
def test_pages_stand_alone(tmp_path: Path) -> None:
    from playwright.sync_api import sync_playwright

    lake = small.build(tmp_path)
    catalog = small.full_catalog()
    summaries = [report(lake, catalog=catalog, fingerprint=small.FINGERPRINT) for report in REPORTS]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        narrow = browser.new_page(viewport={"width": 390, "height": 844})
        asked: list[str] = []
        errors: list[str] = []
        for tab in (page, narrow):
            tab.on("request", lambda request: asked.append(request.url))
            tab.on("console", lambda message: errors.append(message.text))
            tab.on("pageerror", lambda error: errors.append(str(error)))
        for summary in summaries:
            for name in (n for n in summary.files if n.endswith(".html")):
                path = ArtifactStore(lake).open_local(summary.asset, name)
                page.goto(path.as_uri())
                assert page.locator("h1").count() == 1
                assert page.evaluate("document.documentElement.lang") == "en"
                unlabelled = page.locator("img:not([alt]), th:not([scope])")
                assert unlabelled.count() == 0
                # Headings are listed where a page has several, and every entry leads somewhere.
                for target in page.locator("nav a").all():
                    assert page.locator(str(target.get_attribute("href"))).count() >= 1
                narrow.goto(path.as_uri())
                for tab in (page, narrow):
                    assert tab.evaluate(_FITS), f"{name} is wider than the window"
                    assert tab.evaluate(_CLIPPED) == [], f"{name} clips text"
        browser.close()
    assert errors == []
    assert all(url.startswith(("file:", "data:")) for url in asked)
