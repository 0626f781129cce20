from __future__ import annotations

import json
from pathlib import Path

import pytest

from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.lineage.explain import explain
from tritter_assets.lineage.forget import request_removal
from tritter_assets.sources.upstream import Observation, UpstreamFacts, record
from tritter_assets_tests.lineage import small_lake as small


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small.build(tmp_path)


def test_a_document_is_explained_from_source_to_checkpoint(lake: Lake) -> None:
    found = explain(lake, small.KEPT["id"], small.full_catalog())
    assert found.document["tables"] == ["raw/alpha", "filtered/alpha"]
    assert found.source["origin"]["package"] == "alpha"
    assert found.licence["evidence"][0]["where"] == "LICENSE"
    assert (found.admission["action"], found.admission["use_profile"]) == ("keep", "brief")
    assert [v["reason"] for v in found.verdicts] == ["passed"]
    assert [c["index"] for c in found.clusters] == ["dedup/exact_index", "dedup/near_index"]
    assert {c["id"] for c in found.near_copies} == {small.NEAR["id"], small.EXACT["id"]}
    assert found.children == [{"table": "functions/python", "id": small.FUNCTION["id"]}]
    assert [m["mix"] for m in found.mixes] == ["mix/phase1_base"]
    assert (found.packed[0]["num_sequences"], found.packed[0]["num_tokens"]) == (1, 200)
    assert [(c["asset"], c["tokens"], c["status"]) for c in found.checkpoints] == [
        ("model/phase1_base", 200, "clean")
    ]
    assert found.removals == []
    json.dumps(found.as_dict())


def test_what_upstream_said_is_part_of_the_source(lake: Lake) -> None:
    facts = UpstreamFacts(revision="1" * 40, license_tag="mit", gate="none", readme_sha256="ab")
    record(lake, "alpha", facts.revision, Observation("", "2026-11-24T00:00:00Z", facts))
    found = explain(lake, small.KEPT["id"], small.full_catalog())
    assert found.source["upstream"] == [
        {
            "observed_at": "2026-11-24T00:00:00Z",
            "revision": "1" * 40,
            "license_tag": "mit",
            "gate": "none",
            "readme_sha256": "ab",
            "status": "ok",
        }
    ]


def test_a_dropped_document_says_why(lake: Lake) -> None:
    found = explain(lake, "eve/tool:tool.py", small.full_catalog())
    assert [(v["stage"], v["reason"]) for v in found.verdicts] == [
        ("license", "license_not_admitted")
    ]
    assert found.admission["action"] == "drop"
    assert found.mixes == []


def test_a_derived_row_names_its_parents(lake: Lake) -> None:
    found = explain(lake, small.SYNTHETIC["id"], small.full_catalog())
    assert [(p["id"], p["table"]) for p in found.parents] == [
        (small.FUNCTION["id"], "functions/python")
    ]


def test_requests_that_cover_it_are_listed(lake: Lake) -> None:
    request_removal(lake, "owner", "ada", "asked", "2026-11-24T06:00:00Z")
    found = explain(lake, small.KEPT["id"], small.full_catalog())
    assert {r["kind"] for r in found.removals} == {"owner", "sha256"}
    assert found.checkpoints[0]["status"] == "contains_removed"


def test_the_same_path_in_two_sources_asks_for_one(lake: Lake) -> None:
    twin = small.row("gamma", "ada/engine", "src/engine.py", "other = 1\n")
    small.write(lake, "raw/gamma", [twin], small.DOCUMENT_SCHEMA, {"shard": "000"})
    with pytest.raises(MissingProvenance, match="2 documents, ask for one"):
        explain(lake, "ada/engine:src/engine.py", small.full_catalog())
    assert explain(lake, twin["id"], small.full_catalog()).source["contract"] == (
        "not in the catalogue"
    )


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nonsense", "neither a document id"),
        ("f" * 32, "no document"),
        ("ada/engine:nope.py", "no raw table holds"),
        ("packed/phase1_base_256:xyz", "names no token"),
        ("packed/phase1_base_256:" + "f" * 32 + "@0", "no sequence"),
    ],
)
def test_what_cannot_be_answered_says_so(lake: Lake, what: str, words: str) -> None:
    with pytest.raises(MissingProvenance, match=words):
        explain(lake, what, small.full_catalog())
