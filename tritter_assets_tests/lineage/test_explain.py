from __future__ import annotations

import json
from pathlib import Path

import pytest

from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.lineage.explain import explain, explain_document
from tritter_assets.lineage.forget import request_removal
from tritter_assets.lineage.inventory import data_files
from tritter_assets.lineage.subject import SequenceSubject, find_subject
from tritter_assets.packing.pack import PACKED_SCHEMA
from tritter_assets.packing.tokens import ASSISTANT, END_OF_TEXT, USER
from tritter_assets.sources.upstream import Observation, UpstreamFacts, record
from tritter_assets_tests.lineage import small_lake as small


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small.build(tmp_path)


def test_a_document_is_explained_from_source_to_checkpoint(lake: Lake) -> None:
    found = explain_document(lake, small.KEPT["id"], small.full_catalog())
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
    found = explain_document(lake, small.KEPT["id"], small.full_catalog())
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
    found = explain_document(lake, "eve/tool:tool.py", small.full_catalog())
    assert [(v["stage"], v["reason"]) for v in found.verdicts] == [
        ("license", "license_not_admitted")
    ]
    assert found.admission["action"] == "drop"
    assert found.mixes == []


def test_a_derived_row_names_its_parents(lake: Lake) -> None:
    found = explain_document(lake, small.SYNTHETIC["id"], small.full_catalog())
    assert [(p["id"], p["table"]) for p in found.parents] == [
        (small.FUNCTION["id"], "functions/python")
    ]


def test_requests_that_cover_it_are_listed(lake: Lake) -> None:
    request_removal(lake, "owner", "ada", "asked", "2026-11-24T06:00:00Z")
    found = explain_document(lake, small.KEPT["id"], small.full_catalog())
    assert {r["kind"] for r in found.removals} == {"owner", "sha256"}
    assert found.checkpoints[0]["status"] == "contains_removed"


def test_the_same_path_in_two_sources_asks_for_one(lake: Lake) -> None:
    twin = small.row("gamma", "ada/engine", "src/engine.py", "other = 1\n")
    small.write(lake, "raw/gamma", [twin], small.DOCUMENT_SCHEMA, {"shard": "000"})
    with pytest.raises(MissingProvenance, match="2 documents, ask for one"):
        explain_document(lake, "ada/engine:src/engine.py", small.full_catalog())
    assert explain_document(lake, twin["id"], small.full_catalog()).source["contract"] == (
        "not in the catalogue"
    )


def _packed_file(lake: Lake) -> str:
    return data_files(lake, "packed/phase1_base_256")[0]


def test_an_offset_into_a_packed_file_is_a_token_of_a_document(lake: Lake) -> None:
    name = _packed_file(lake)
    catalog = small.full_catalog()
    root = lake.location.uri("packed/phase1_base_256")
    for file in (name, f"packed/phase1_base_256/{name}", f"{root}/{name}"):
        found = explain_document(lake, f"{file}:199", catalog)
        assert found.token is not None
        assert (found.document["id"], found.token["token"]) == (small.KEPT["id"], 199)
        assert small.KEPT["content"][found.token["char_start"] :].startswith(found.token["text"])
    # 256 tokens stand in the first sequence: 200 of one document, 56 of another.
    other = explain_document(lake, f"{name}:200", catalog)
    assert other.document["id"] == small.OTHER["id"]
    second = find_subject(lake, f"{name}:{256 + 39}")
    assert isinstance(second, SequenceSubject)
    assert (second.sequence, second.token) == (f"{1:032x}", 39)
    with pytest.raises(MissingProvenance, match="296 tokens in 2 sequences, not a token 296"):
        explain(lake, f"{name}:296", catalog)


def test_an_offset_into_another_file_is_a_row(lake: Lake) -> None:
    file = data_files(lake, "raw/beta")[0]
    ids = sorted(row["id"] for row in (small.NEAR, small.EXACT, small.OTHER))
    for row, doc_id in enumerate(ids):
        found = explain_document(lake, f"{file}:{row}", small.full_catalog())
        assert found.document["id"] == doc_id
    with pytest.raises(MissingProvenance, match="holds 3 rows, not a row 3"):
        explain(lake, f"{file}:3", small.full_catalog())


def test_a_sequence_says_whose_text_it_is_on_what_terms_and_who_read_it(lake: Lake) -> None:
    for what in (f"packed/phase1_base_256:{0:032x}", f"{0:032x}"):
        found = explain(lake, what, small.full_catalog()).as_dict()
        assert (found["sequence"]["num_tokens"], found["sequence"]["split"]) == (256, "train")
        assert [(d["doc_id"], d["license_concluded"], d["repo"]) for d in found["documents"]] == [
            (small.KEPT["id"], "MIT", "ada/engine"),
            (small.OTHER["id"], "Apache-2.0", "dora/other"),
        ]
        assert found["licences"] == [
            {"license": "Apache-2.0", "tokens": 56},
            {"license": "MIT", "tokens": 200},
        ]
        assert found["obligations"] == ["attribution", "notice_text"]
        assert [c["asset"] for c in found["checkpoints"]] == ["model/phase1_base"]
        json.dumps(found)


def test_a_checkpoint_says_what_it_read_and_that_some_of_it_was_removed(lake: Lake) -> None:
    found = explain(lake, "model/phase1_base", small.full_catalog()).as_dict()
    assert found["trained_on"][0]["is_current"]
    assert found["sources"] == [
        {"phase": "phase1_base", "source": "alpha", "documents": 2, "tokens": 240},
        {"phase": "phase1_base", "source": "beta", "documents": 1, "tokens": 56},
    ]
    assert {row["license_concluded"]: row["tokens"] for row in found["licences"]} == {
        "MIT": 240,
        "Apache-2.0": 56,
    }
    assert found["obligations"] == ["attribution", "notice_text"]
    assert found["removals"] == []
    request_removal(lake, "owner", "ada", "asked", "2026-11-24T06:00:00Z")
    after = explain(lake, "model/phase1_base", small.full_catalog()).as_dict()
    assert [mark["status"] for mark in after["removals"]] == ["contains_removed"]
    json.dumps(after)
    with pytest.raises(MissingProvenance, match="no document"):
        explain_document(lake, "model/phase1_base", small.full_catalog())


def test_the_first_digits_of_an_id_are_enough_while_they_are_one_documents(lake: Lake) -> None:
    found = explain_document(lake, small.OTHER["id"][:8], small.full_catalog())
    assert found.document["id"] == small.OTHER["id"]
    twin = small.OTHER | {"id": small.OTHER["id"][:10] + "f" * 22, "path": "twin.py"}
    small.write(lake, "raw/gamma", [twin], small.DOCUMENT_SCHEMA, {"shard": "000"})
    with pytest.raises(MissingProvenance, match="is 2 documents, ask for one") as caught:
        explain(lake, small.OTHER["id"][:8], small.full_catalog())
    assert "filtered/beta, raw/beta" in str(caught.value)
    assert "raw/gamma" in str(caught.value)


def test_a_document_that_was_removed_says_so(lake: Lake) -> None:
    request = request_removal(lake, "owner", "dora", "asked", "2026-11-24T06:00:00Z").requests[0]
    left = [small.NEAR, small.EXACT]
    for table in ("raw/beta", "filtered/beta"):
        small.write(lake, table, left, small.DOCUMENT_SCHEMA, {"shard": "000"})
    with pytest.raises(MissingProvenance, match=f"of beta was removed by request {request}"):
        explain(lake, small.OTHER["id"], small.full_catalog())


def test_a_rejected_answer_has_tokens_of_its_own(lake: Lake) -> None:
    pair = small.row(
        "alpha", "synthetic/style_pairs", "1", "Q\nGood one.", modality="preference",
        instruction="Q", chosen="Good one.", rejected="Bad one.", derived_from=[small.KEPT["id"]],
    )  # fmt: skip
    place = {"source": "alpha", "shard": "000"}
    small.write(lake, "synthetic/style_pairs", [pair], small.DOCUMENT_SCHEMA, place)
    tokenizer = small.load_tokenizer(lake)
    names = (USER, ASSISTANT, END_OF_TEXT)
    special = {text: tokenizer.token_to_id(text) or 0 for text in names}

    def stream(answer: str) -> list[int]:
        parts = [tokenizer.encode(t, add_special_tokens=False).ids for t in ("Q", answer)]
        return [special[USER], *parts[0], special[ASSISTANT], *parts[1], special[END_OF_TEXT]]

    row = small.packed_row(lake, 0, [(pair, "synthetic/style_pairs", 1)])
    chosen, rejected = stream("Good one."), stream("Bad one.")
    row |= {"tokens": chosen, "rejected_tokens": rejected, "loss_mask": [1] * len(chosen)}
    row["rejected_loss_mask"] = [1] * len(rejected)
    row["segments"][0]["token_end"] = len(chosen)
    small.write(lake, "packed/phase4_align_256", [row], PACKED_SCHEMA)
    what = f"packed/phase4_align_256:{row['id']}"
    texts = [
        (explain_document(lake, f"{what}@{side}3", small.full_catalog()).token or {})["text"]
        for side in ("", "r")
    ]
    assert [text[0] for text in texts] == ["G", "B"]
    with pytest.raises(MissingProvenance, match="tokens, not a token"):
        explain_document(lake, f"{what}@r{len(rejected)}", small.full_catalog())


def test_a_checkpoint_without_a_list_says_what_its_packed_table_held(
    lake: Lake, tmp_path: Path
) -> None:
    small.write_model(lake, tmp_path, "phase1_base", "packed/phase1_base_256", None, seen=False)
    found = explain_document(lake, small.KEPT["id"], small.full_catalog())
    assert found.checkpoints[0]["saw_it"] == "yes, model/phase1_base"
    small.write(lake, "packed/phase1_base_256", [], PACKED_SCHEMA)
    for path in (tmp_path / "packed" / "phase1_base_256").glob("*.parquet"):
        path.unlink()  # as a purge does
    found = explain_document(lake, small.KEPT["id"], small.full_catalog())
    assert found.checkpoints[0]["saw_it"] == "unknown"


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("nonsense", "neither a document id"),
        ("f" * 32, "no document"),
        ("ada/engine:nope.py", "no raw table holds"),
        ("packed/phase1_base_256:xyz", "names no sequence or token"),
        ("packed/phase9_256:" + "f" * 32, "it holds .'packed/phase1_base_256'"),
        (f"packed/phase1_base_256:{0:032x}@999", "has 256 tokens, not a token 999"),
        ("part-none.parquet:3", "no data file of a packed or document table"),
        ("model/phase9", "it holds .'model/phase1_base'"),
        ("packed/phase1_base_256:" + "f" * 32 + "@0", "no sequence"),
    ],
)
def test_what_cannot_be_answered_says_so(lake: Lake, what: str, words: str) -> None:
    with pytest.raises(MissingProvenance, match=words):
        explain(lake, what, small.full_catalog())
