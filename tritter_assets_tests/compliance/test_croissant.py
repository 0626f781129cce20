"""The Croissant metadata: validated, complete, and every record set loads with mlcroissant."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import mlcroissant
import pytest

from tritter_assets.compliance import croissant
from tritter_assets.compliance.croissant import validate, write_croissant
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets_tests.compliance.paper import read_json, write
from tritter_assets_tests.lineage import small_lake as small

ASSET = "compliance/croissant"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    lake = small.build(tmp_path_factory.mktemp("lake"))
    write(lake, write_croissant)
    return lake


def dataset(lake: Lake) -> Any:
    return mlcroissant.Dataset(jsonld=str(ArtifactStore(lake).open_local(ASSET, "croissant.json")))


def test_every_record_set_loads(lake: Lake) -> None:
    found = dataset(lake)
    assert [r.id for r in found.metadata.record_sets] == [
        "sources",
        "mixes",
        "checkpoints",
        "phase1_base",
    ]
    sources = {row["sources/id"]: row for row in found.records("sources")}
    assert sources[b"alpha"]["sources/license_concluded"] == b"MIT"
    assert sources[b"alpha"]["sources/sha256"] == b"ab" * 32
    assert sources[b"beta"]["sources/tokens"] == 80
    rows = {row["phase1_base/id"].decode(): row for row in found.records("phase1_base")}
    assert set(rows) == {d["id"] for d in (small.KEPT, small.OTHER, small.SYNTHETIC)}
    kept = rows[small.KEPT["id"]]
    assert kept["phase1_base/content_sha256"].decode() == small.KEPT["content_sha256"]
    assert kept["phase1_base/obligations"] == b"attribution notice_text"
    assert kept["phase1_base/estimated_tokens"] == 300


def test_obligations_are_joined_over_a_mix_and_over_a_checkpoint(lake: Lake) -> None:
    found = dataset(lake)
    (mix,) = found.records("mixes")
    (read,) = found.records("checkpoints")
    assert mix["mixes/obligations"] == read["checkpoints/obligations"] == b"attribution notice_text"
    assert read["checkpoints/documents"] == 3
    assert read["checkpoints/license_concluded"] == b"Apache-2.0 AND MIT"


def test_checksums_and_responsible_ai_are_there(lake: Lake) -> None:
    document = read_json(lake, ASSET, "croissant.json")
    for file in document["distribution"]:
        content = ArtifactStore(lake).open_local(ASSET, file["contentUrl"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["contentSize"] == f"{len(content)} B"
    metadata = dataset(lake).metadata
    assert metadata.data_biases == ["phase1_base: tokens by language: Python 100 %"]
    assert metadata.personal_sensitive_information
    assert "loader checks their hashes" in metadata.data_collection
    assert set(metadata.license) == {
        "https://spdx.org/licenses/Apache-2.0.html",
        "https://spdx.org/licenses/MIT.html",
    }


def test_a_large_mix_points_to_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = small.build(tmp_path)
    monkeypatch.setattr(croissant, "MAX_ROWS", 2)
    summary = write(lake, write_croissant)
    assert "phase1_base.parquet" not in summary.files
    files = {f["@id"]: f for f in read_json(lake, ASSET, "croissant.json")["distribution"]}
    assert files["phase1_base-files"]["includes"] == "mix/phase1_base/*.parquet"


def test_invalid_metadata_is_refused(lake: Lake, tmp_path: Path) -> None:
    document = read_json(lake, ASSET, "croissant.json")
    document["recordSet"][0]["field"][0]["source"]["fileObject"]["@id"] = "gone.csv"
    with pytest.raises(ContractViolation, match="gone"):
        validate(document, tmp_path)
