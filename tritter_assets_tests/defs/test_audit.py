"""What is trained on and exported is audited where it is used, in any run."""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tritter_assets.defs.audit import audit_everything, license_audit_check, require_admitted
from tritter_assets.errors import LicenseRefused
from tritter_assets.lake import Lake
from tritter_assets.packing.pack import PACKED_SCHEMA
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets_tests.lineage import small_lake as small

PACKED = "packed/phase1_base_256"
MODEL = "model/phase1_base"
catalog = functools.cache(small.full_catalog)


@pytest.fixture
def platform(tmp_path: Path) -> Any:
    return SimpleNamespace(lake=small.build(tmp_path), catalog=catalog())


def test_what_is_sound_may_be_used(platform: Any) -> None:
    require_admitted(platform, PACKED)
    require_admitted(platform, MODEL)


def test_nothing_is_trained_on_a_packed_table_that_names_a_refused_document(platform: Any) -> None:
    lake: Lake = platform.lake
    rows = [*small.packed_rows(lake), small.packed_row(lake, 2, [(small.GPL, "raw/alpha", 30)])]
    small.write(lake, PACKED, rows, PACKED_SCHEMA)
    with pytest.raises(LicenseRefused, match=r"packed/phase1_base_256.* under GPL-3\.0-only"):
        require_admitted(platform, PACKED)


def test_a_checkpoint_that_read_what_is_refused_now_is_not_exported(platform: Any) -> None:
    rows = [small.NEAR, small.EXACT, small.OTHER | {"license_concluded": "NOASSERTION"}]
    small.write(platform.lake, "filtered/beta", rows, DOCUMENT_SCHEMA, {"shard": "000"})
    with pytest.raises(LicenseRefused, match=r"model/phase1_base .* \(license_unknown\)"):
        require_admitted(platform, MODEL)


def test_the_job_audits_tables_whose_source_left_the_catalogue_too(platform: Any) -> None:
    outcomes, problems = audit_everything(platform, {"mix/phase1_base", "raw/alpha"})
    assert set(outcomes) == {"mix/phase1_base", "raw/alpha"}
    assert all(outcome.passed for outcome in outcomes.values())
    assert problems == []
    stray = small.row("gone", "old/source", "a.py", "x = 1\n")
    small.write(platform.lake, "raw/gone", [stray], DOCUMENT_SCHEMA, {"shard": "000"})
    outcomes, problems = audit_everything(platform, {"mix/phase1_base"})
    assert outcomes["mix/phase1_base"].passed
    (problem,) = problems
    assert "rows of gone come from a source that is not in the catalogue" in problem


def test_the_check_of_a_table_that_was_never_made_says_so(platform: Any) -> None:
    outcome = license_audit_check("functions/rust").evaluate(platform, ())
    assert outcome.passed
    assert outcome.facts == {"rows": 0}
