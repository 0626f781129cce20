"""The real contracts and the real policy engine behind the gate."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritter_assets.contracts.catalog import load_catalog
from tritter_assets.contracts.mix import PHASES
from tritter_assets.functions.extract import LANGUAGES
from tritter_assets.lake import Lake
from tritter_assets.licensing.admit import admit_frame
from tritter_assets.mixes import gate
from tritter_assets.mixes.build import choose_rows, input_tables
from tritter_assets.mixes.select import row_tables, selected_sources
from tritter_assets.synthetic.registry import GENERATORS
from tritter_assets_tests.mixes.lake_of_rows import code, write_filtered, write_indexes

CONTRACTS = Path(__file__).parents[2] / "data_contracts"


@pytest.mark.parametrize("profile", ["starter", "workstation", "cluster"])
def test_every_phase_names_its_tables_in_every_profile(profile: str) -> None:
    catalog = load_catalog(CONTRACTS, profile_name=profile)
    assert list(catalog.mixes) == list(PHASES)
    for phase in PHASES:
        tables = input_tables(catalog.mixes[phase], catalog)
        assert set(row_tables(catalog.mixes[phase], catalog)) <= set(tables)
        assert {"dedup/exact_index", "dedup/near_index"} <= set(tables)


def test_every_derived_table_is_one_that_something_makes() -> None:
    catalog = load_catalog(CONTRACTS)
    for mix in catalog.mixes.values():
        for table in row_tables(mix, catalog):
            room, name = table.split("/")
            known = {"synthetic": GENERATORS, "functions": (*LANGUAGES, "interop")}.get(room)
            assert known is None or name in known, table


def test_the_workstation_supplies_every_component_of_phase_1_from_contracts() -> None:
    catalog = load_catalog(CONTRACTS, profile_name="workstation")
    for component in catalog.mixes["phase1_base"].components:
        assert selected_sources(component.select, catalog), component.name


def test_the_real_policy_decides(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "admit_frame", admit_frame)
    catalog = load_catalog(CONTRACTS)
    good = code("tokenizers", 20, license_concluded="Apache-2.0", license_method="license_file")
    unknown = code(
        "tokenizers", 3, start=50, license_concluded="NOASSERTION", license_method="none"
    )
    write_filtered(lake, [*good, *unknown])
    write_indexes(lake)
    rows, report = choose_rows(lake, catalog.mixes["phase1_base"], catalog=catalog)
    assert set(rows["id"]) == {row["id"] for row in good}
    assert sum(report.excluded.values()) == 3
    assert report.feasible
