"""The audit of each stage, and each failing where it should."""

from __future__ import annotations

import dataclasses
import functools
import json
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tritter_assets.compliance.table_audit import (
    Auditor,
    TableAudit,
    audited_tables,
    examples,
)
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.policy import load_policy
from tritter_assets.contracts.source import Refusal
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lineage.forget import request_removal
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.packing.pack import PACKED_SCHEMA
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets_tests.contracts.edited_policy import DECISION, edited
from tritter_assets_tests.lineage import small_lake as small

SHARD = {"shard": "000"}
PACKED = "packed/phase1_base_256"
MODEL = "model/phase1_base"
EXPORT = "export/safetensors"


def write_export(lake: Lake, root: Path) -> None:
    state = lake.state(MODEL)
    assert state is not None
    (root / "model.safetensors").write_bytes(b"weights")
    facts = {"model_table": MODEL, "model_data_version": state.data_version}
    files = {"model.safetensors": root / "model.safetensors"}
    ArtifactStore(lake).put(EXPORT, files, fingerprint="0" * 15, facts=facts)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("built")
    write_export(small.build(root), root)
    return root


@pytest.fixture
def lake(built: Path, tmp_path: Path) -> Lake:
    return Lake.at(shutil.copytree(built, tmp_path / "lake"))


full_catalog = functools.cache(small.full_catalog)


def audit(lake: Lake, table: str, catalog: Catalog | None = None) -> TableAudit:
    mixes = (table,) if table.startswith("mix/") else ()
    return Auditor(lake, catalog or full_catalog(), mixes=mixes).audit(table)


def test_every_stage_is_audited_and_sound(lake: Lake) -> None:
    tables = list(audited_tables(lake))
    assert [table.split("/")[0] for table in tables] == [
        "raw", "raw", "filtered", "filtered", "functions", "synthetic", "mix", "packed", "model",
        "export",
    ]  # fmt: skip
    auditor = Auditor(lake, full_catalog())
    for table in tables:
        found = auditor.audit(table)
        assert found.problems == (), table
        assert found.rows == (2 if table == "raw/alpha" else found.rows)
        assert sum(line["token_share"] for line in found.licences()) == pytest.approx(1, abs=1e-3)
        assert 0 < len(examples(lake, found)) <= 10


def test_raw_counts_what_is_refused_and_does_not_fail(lake: Lake) -> None:
    found = audit(lake, "raw/alpha")
    assert (found.rows, found.refused) == (2, 1)
    shown = {line["license_concluded"]: line for line in found.licences()}
    assert shown["GPL-3.0-only"]["action"] == "drop"
    assert shown["GPL-3.0-only"]["reason"] == "license_not_admitted"
    share = len(small.GPL["content"]) / (len(small.GPL["content"]) + len(small.BODY))
    assert shown["GPL-3.0-only"]["token_share"] == pytest.approx(share, abs=0.01)


def test_ten_examples_show_the_refused_first_with_evidence(lake: Lake) -> None:
    rows = [small.row("alpha", f"a/r{i}", "m.py", f"x = {i}\n") for i in range(30)]
    small.write(lake, "raw/alpha", [*rows, small.GPL], DOCUMENT_SCHEMA, SHARD)
    found = examples(lake, audit(lake, "raw/alpha"))
    assert len(found) == 10
    assert found[0]["id"] == small.GPL["id"]
    assert json.loads(found[0]["license_evidence"])[0]["method"] == "license_file"
    assert {"repo", "path", "revision", "license_method"} <= set(found[0])


@pytest.mark.parametrize("table", ["filtered/beta", "functions/python", "synthetic/docstring"])
def test_a_refused_document_fails_its_own_table(lake: Lake, table: str) -> None:
    refused = {"license_concluded": "GPL-3.0-only"}
    rows, schema, partition = {
        "filtered/beta": ([small.OTHER | refused], DOCUMENT_SCHEMA, SHARD),
        "functions/python": (
            [small.FUNCTION | refused], small.FUNCTION_SCHEMA, {"source": "alpha", "shard": "000"},
        ),
        "synthetic/docstring": (
            [small.SYNTHETIC | refused], DOCUMENT_SCHEMA, {"source": "alpha", "shard": "000"},
        ),
    }[table]  # fmt: skip
    small.write(lake, table, rows, schema, partition)
    (problem,) = audit(lake, table).problems
    assert "under GPL-3.0-only are not admitted (license_not_admitted)" in problem


def test_a_refused_row_slipped_into_a_mix_is_found(lake: Lake) -> None:
    """The mix names the GPL document of raw under a licence that is not its own."""
    slipped = small.mix_row(small.GPL, "raw/alpha", 10, license_concluded="MIT")
    small.write(lake, "mix/phase1_base", [*small.mix_rows(), slipped], MIX_SCHEMA)
    found = audit(lake, "mix/phase1_base")
    assert found.refused == 1
    assert "1 rows of alpha under GPL-3.0-only are not admitted" in "\n".join(found.problems)
    assert "were taken under another licence than GPL-3.0-only" in "\n".join(found.problems)
    assert examples(lake, found)[0]["id"] == small.GPL["id"]


def test_a_dropped_duplicate_slipped_into_a_mix_is_found_by_the_gate(lake: Lake) -> None:
    slipped = small.mix_row(small.NEAR, "filtered/beta", 10)
    small.write(lake, "mix/phase1_base", [*small.mix_rows(), slipped], MIX_SCHEMA)
    (problem,) = audit(lake, "mix/phase1_base").problems
    assert "1 rows are held back by the gate (near_duplicate)" in problem


def test_a_forgotten_row_in_a_mix_is_found_by_the_gate(lake: Lake) -> None:
    request_removal(lake, "owner", "dora", "asked", "2026-11-24T06:00:00Z")
    problems = audit(lake, "mix/phase1_base").problems
    assert any("held back by the gate (removal_requested)" in problem for problem in problems)


def test_a_packed_table_whose_lineage_names_a_refused_document_fails(lake: Lake) -> None:
    slipped = small.packed_row(lake, 2, [(small.GPL, "raw/alpha", 30)])
    small.write(lake, PACKED, [*small.packed_rows(lake), slipped], PACKED_SCHEMA)
    found = audit(lake, PACKED)
    text = "\n".join(found.problems)
    assert "1 rows of alpha under GPL-3.0-only are not admitted" in text
    assert "1 documents are not in mix/phase1_base" in text
    shown = {line["license_concluded"]: line["token_share"] for line in found.licences()}
    assert shown["GPL-3.0-only"] == round(30 / 326, 4)


def test_a_packed_document_that_its_mix_no_longer_holds_fails(lake: Lake) -> None:
    small.write(lake, "mix/phase1_base", small.mix_rows()[:2], MIX_SCHEMA)
    (problem,) = audit(lake, PACKED).problems
    assert "1 documents are not in mix/phase1_base" in problem


@pytest.mark.parametrize("table", [MODEL, EXPORT])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"license_concluded": "GPL-3.0-only"}, "under GPL-3.0-only are not admitted"),
        ({"generator": "gpt_4"}, "are not admitted (generator_not_admitted)"),
    ],
)
def test_a_checkpoint_whose_mix_was_refused_afterwards_fails_and_its_export_too(
    lake: Lake, table: str, change: dict[str, str], words: str
) -> None:
    rows = [small.NEAR, small.EXACT, small.OTHER | change]
    small.write(lake, "filtered/beta", rows, DOCUMENT_SCHEMA, SHARD)
    # The mix and the pack are made again without the row; the checkpoint has read it.
    left = [row for row in small.mix_rows() if row["id"] != small.OTHER["id"]]
    small.write(lake, "mix/phase1_base", left, MIX_SCHEMA)
    small.write(
        lake,
        PACKED,
        [small.packed_row(lake, 0, [(small.KEPT, "filtered/alpha", 200)])],
        PACKED_SCHEMA,
    )
    assert audit(lake, "mix/phase1_base").problems == ()
    assert audit(lake, PACKED).problems == ()
    (problem,) = audit(lake, table).problems
    assert words in problem
    assert problem.startswith("checkpoint" if table == MODEL else "export")


def test_a_source_that_is_refused_afterwards_fails_every_stage_that_holds_it(lake: Lake) -> None:
    catalog = full_catalog()
    refused = dataclasses.replace(
        catalog.sources["beta"], refusal=Refusal(clause="a", reason="generated by a closed model")
    )
    catalog = dataclasses.replace(catalog, sources={**catalog.sources, "beta": refused})
    failing = [
        table
        for table in audited_tables(lake)
        if any("the catalogue refuses" in p for p in audit(lake, table, catalog).problems)
    ]
    assert failing == [
        "raw/beta", "filtered/beta", "mix/phase1_base", PACKED, MODEL, EXPORT,
    ]  # fmt: skip


def test_an_export_of_a_checkpoint_that_was_replaced_fails(lake: Lake, tmp_path: Path) -> None:
    small.write(lake, PACKED, small.packed_rows(lake)[:1], PACKED_SCHEMA)
    small.write_model(lake, tmp_path, "phase1_base", PACKED, None)
    (problem,) = audit(lake, EXPORT).problems
    assert "made from model/phase1_base as it was at" in problem
    write_export(lake, tmp_path)
    assert audit(lake, EXPORT).problems == ()


def test_a_decision_expires_into_failure(lake: Lake, tmp_path: Path) -> None:
    """While it holds, MPL rows are sound at every stage; a day after, all that hold them fail."""
    mpl = small.OTHER | {"license_concluded": "MPL-2.0", "license_declared": "MPL-2.0"}
    small.write(lake, "raw/beta", [small.NEAR, small.EXACT, mpl], DOCUMENT_SCHEMA, SHARD)
    small.write(lake, "filtered/beta", [small.NEAR, small.EXACT, mpl], DOCUMENT_SCHEMA, SHARD)
    rows = [
        row | ({"license_concluded": "MPL-2.0"} if row["id"] == mpl["id"] else {})
        for row in small.mix_rows()
    ]
    small.write(lake, "mix/phase1_base", rows, MIX_SCHEMA)
    folder = edited(tmp_path, decisions=lambda data: data.update(decisions=[DECISION]))

    def failing(year: int) -> list[str]:
        policy = load_policy(folder, today=DECISION["expires"].replace(year=year))  # type: ignore[union-attr]
        catalog: Any = dataclasses.replace(full_catalog(), policy=policy)
        return [table for table in audited_tables(lake) if audit(lake, table, catalog).problems]

    assert failing(2027) == []
    assert failing(2028) == ["filtered/beta", "mix/phase1_base", PACKED, MODEL, EXPORT]


def test_only_the_shards_of_a_run_are_audited(lake: Lake) -> None:
    other = small.GPL | {"shard": "001"}
    small.write(lake, "filtered/alpha", [other], DOCUMENT_SCHEMA, {"shard": "001"})
    auditor = Auditor(lake, full_catalog())
    assert auditor.audit("filtered/alpha", shards=["000"]).problems == ()
    assert auditor.audit("filtered/alpha", shards=["001"]).refused == 1
    assert auditor.audit("filtered/alpha").refused == 1


def test_a_row_that_is_not_stored_stands_among_the_examples(lake: Lake) -> None:
    small.write(lake, "filtered/beta", [small.NEAR], DOCUMENT_SCHEMA, SHARD)
    found = audit(lake, MODEL)
    assert examples(lake, found)[0]["id"] == small.OTHER["id"]
    assert examples(lake, found)[0]["reason"] == "provenance_missing"
    assert found.found.filter(~pl.col("found"))["rows"].sum() == 1
