"""The licence audit shows what is claimed of a source beside what was found."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from tritter_assets.compliance import license_audit
from tritter_assets.compliance.license_audit import write_license_audit
from tritter_assets.contracts.catalog import Catalog, load_catalog
from tritter_assets.lake import ArtifactStore
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.lineage import small_lake as small


def _catalog() -> Catalog:
    real = load_catalog(REPOSITORY / "data_contracts", profile_name="workstation")
    mine = small.full_catalog()
    (first, *_) = sorted(mine.sources)
    licence = dataclasses.replace(
        mine.sources[first].licence, claimed="MIT", found="One file is GPL", evidence="LICENSE"
    )
    changed = dataclasses.replace(mine.sources[first], licence=licence)
    return dataclasses.replace(mine, sources={**real.sources, **mine.sources, first: changed})


def test_claim_and_finding_stand_side_by_side(tmp_path: Path) -> None:
    lake, catalog = small.build(tmp_path), _catalog()
    write_license_audit(lake, catalog=catalog, fingerprint=small.FINGERPRINT)
    store = ArtifactStore(lake)
    document = json.loads(
        store.open_local("compliance/license_audit", "license_audit.json").read_text()
    )
    by_source = {row["source"]: row for row in document["claims"]}
    assert by_source["docvqa"]["claimed"] == "Apache-2.0"
    assert by_source["docvqa"]["found"].startswith("Has no train split")
    assert by_source["docvqa"]["rows"] == 0
    assert by_source["code_alpaca_20k"]["refused_by"].startswith("OpenAI terms of use")
    (loaded,) = [row for row in document["claims"] if row["rows"]]
    assert (loaded["claimed"], loaded["found"]) == ("MIT", "One file is GPL")
    assert set(by_source) >= {name for name in catalog.sources if name.startswith("stack_edu_")}
    page = store.open_local("compliance/license_audit", "license_audit.html").read_text()
    assert "Claimed and found" in page
    assert "One file is GPL" in page


def test_another_finding_makes_the_audit_stale() -> None:
    catalog = _catalog()
    licence = dataclasses.replace(catalog.sources["docvqa"].licence, found="Something else")
    docvqa = dataclasses.replace(catalog.sources["docvqa"], licence=licence)
    other = dataclasses.replace(catalog, sources={**catalog.sources, "docvqa": docvqa})
    assert license_audit.code_version(other) != license_audit.code_version(catalog)
