"""The Dagster UI over a small project, as a person sees it: groups, licences, a plot, a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tritter_assets.defs.stage import Group
from tritter_assets.settings import Settings
from tritter_assets_tests.defs.browser import CHROMIUM, Tab, dagster_dev, open_tab, wait_for
from tritter_assets_tests.defs.project import dagster, make_settings

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("browser"),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium (the command `chromium`) is missing"),
]

_PER_SOURCE = "raw/{0},verdicts/{0},filtered/{0},signatures/{0}"
_WHOLE = (
    "dedup/exact_index,dedup/near_index,dedup/semantic_index,functions/python,functions/rust,"
    "synthetic/docstring_instruct,synthetic/mutation_pairs,synthetic/class_diagram,"
    "synthetic/call_graph,mix/phase1_base"
)
_RUN_SECONDS = 120


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A project up to its first mix; one shard of small_mirror is left for the UI to make."""
    folder = tmp_path_factory.mktemp("ui") / "project"
    settings = make_settings(folder, num_shards=2)
    for selection in (
        (_PER_SOURCE.format("small_code"), "--partition-range", "000...001"),
        (_PER_SOURCE.format("small_mirror"), "--partition", "000"),
        (_WHOLE,),
    ):
        dagster(
            folder,
            *("asset", "materialize", "-m", "tritter_assets.definitions", "--select"),
            *selection,
        )
    return settings


@pytest.fixture(scope="module")
def tab(settings: Settings) -> Iterator[Tab]:
    """A browser tab on the project's server, the welcome closed."""
    with dagster_dev(settings.project_root) as base, open_tab(base) as tab:
        tab.page.goto(base + "/asset-groups")
        tab.page.get_by_role("button", name="Skip").click()
        yield tab


def test_groups_stand_in_the_order_data_flows(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    page.goto(tab.base + "/asset-groups")
    names = page.get_by_text(re.compile(r"^g\d\d_\w+$"))
    page.get_by_text(Group.COMPLIANCE.value, exact=True).first.wait_for()
    tab.shoot(tmp_path / "asset_groups.png")
    left = page.evaluate("window.innerWidth / 3")
    boxes = [(name.inner_text(), name.bounding_box()) for name in names.all()]
    listed = sorted((box["y"], name) for name, box in boxes if box and box["x"] < left)
    assert list(dict.fromkeys(name for _, name in listed)) == [group.value for group in Group]


def test_a_filtered_asset_shows_its_licences(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    page.goto(tab.base + "/assets/filtered/small_code")
    page.get_by_text("Documents of small code that every filter kept").wait_for()
    tab.shoot(tmp_path / "filtered_small_code.png")
    counts = page.get_by_role("row").filter(has_text="tritter/licenses").locator("table tr")
    counts.first.scroll_into_view_if_needed()
    tab.shoot(tmp_path / "filtered_small_code_licences.png")
    cells = [row.locator("th, td").all_inner_texts() for row in counts.all()]
    assert [cell.strip() for cell in cells[0]] == ["license concluded", "rows", "bytes"]
    licences = {row[0].strip(): int(row[1]) for row in cells[1:]}
    assert {"MIT", "Apache-2.0"} <= set(licences)
    assert not any("GPL" in name or "NC" in name for name in licences)
    for key, value in {
        "tritter/license_content": "NOASSERTION",
        "tritter/license_wrapper": "CC0-1.0",
        "tritter/license_evidence": "written for the tests",
    }.items():
        assert value in page.get_by_role("row").filter(has_text=key).inner_text()


def test_a_mix_shows_a_plot(tab: Tab, tmp_path: Path) -> None:
    page = tab.page
    page.goto(tab.base + "/assets/mix/phase1_base?view=events")
    page.get_by_text("tritter/plot", exact=True).wait_for()
    tab.shoot(tmp_path / "phase1_base_events.png")
    page.get_by_text("[Show Markdown]").first.click()
    plot = page.locator('img[src^="data:image/png"]')
    plot.wait_for()
    width = wait_for(
        lambda: plot.evaluate("image => image.naturalWidth") or None, seconds=10, what="the plot"
    )
    tab.shoot(tmp_path / "phase1_base_plot.png")
    assert width > 300
    assert plot.get_attribute("alt")


def test_a_missing_shard_is_made_from_the_page(
    tab: Tab, settings: Settings, tmp_path: Path
) -> None:
    page, lake, shard = tab.page, settings.lake(), {"shard": "001"}
    assert lake.state("raw/small_mirror", shard) is None
    page.goto(tab.base + "/assets/raw/small_mirror")
    page.get_by_role("button", name="Materialize").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Missing", exact=True).click()
    launch = dialog.get_by_role("button", name="Launch 1 run")
    launch.wait_for()
    tab.shoot(tmp_path / "small_mirror_dialog.png")
    assert "001" in dialog.inner_text()
    launch.click()
    launched = page.get_by_text(re.compile("Launched run"))
    launched.wait_for()
    tab.shoot(tmp_path / "small_mirror_launched.png")
    page.get_by_role("link", name="View", exact=True).or_(
        page.get_by_role("button", name="View", exact=True)
    ).first.click()
    wait_for(lambda: lake.state("raw/small_mirror", shard), seconds=_RUN_SECONDS, what="shard 001")
    page.get_by_text("Success", exact=True).first.wait_for()
    tab.shoot(tmp_path / "run.png")
    page.goto(tab.base + "/assets/raw/small_mirror?view=partitions&partition=001")
    page.get_by_text("Materialized (2)").wait_for()
    page.get_by_text("tritter/fingerprint", exact=True).scroll_into_view_if_needed()
    tab.shoot(tmp_path / "small_mirror_partitions.png")


def test_the_pages_stayed_on_this_machine_and_did_not_break(tab: Tab) -> None:
    assert tab.strangers == []
    assert tab.errors == []
