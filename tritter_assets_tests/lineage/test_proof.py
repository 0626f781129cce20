"""The proof of absence looks at what is stored, whatever rows say of themselves."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.lake import Lake
from tritter_assets.lineage.forget import git_blob_sha1, request_removal
from tritter_assets.lineage.proof import AbsenceProof, prove_absence
from tritter_assets.packing.pack import PACKED_SCHEMA
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets_tests.lineage import small_lake as small

AT = "2026-11-24T06:00:00Z"
SHARD = {"shard": "000"}
PLACE = {"source": "beta", "shard": "000"}


def _text(seed: int, num_words: int = 400) -> str:
    draw = random.Random(seed)
    words = [f"{draw.choice('abcdefgh')}{draw.randrange(4000)}" for _ in range(num_words)]
    return "\n".join(" ".join(words[at : at + 6]) for at in range(0, num_words, 6))


SECRET = small.row("alpha", "gone/away", "src/a.py", _text(1))
STAYS = small.row("beta", "dora/other", "b.py", _text(2))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Two documents; one was asked to be forgotten, and everything was made again without it."""
    lake = Lake.at(tmp_path)
    small.write(lake, "raw/alpha", [SECRET], DOCUMENT_SCHEMA, SHARD)
    small.write(lake, "raw/beta", [STAYS], DOCUMENT_SCHEMA, SHARD)
    small.write(lake, "filtered/beta", [STAYS], DOCUMENT_SCHEMA, SHARD)
    small.write(
        lake, "mix/phase1_base", [small.mix_row(STAYS, "filtered/beta", 80)], small.MIX_SCHEMA
    )
    small.train_tokenizer(
        lake, phases=["phase1_base"], vocab_size=280, fingerprint=small.FINGERPRINT
    )
    _pack(lake, [(STAYS, "filtered/beta", 300)])
    request_removal(lake, "repo", "gone/away", "asked", AT)
    return lake


def _pack(lake: Lake, *sequences: list[tuple[dict[str, Any], str, int]], **fields: Any) -> None:
    rows = [small.packed_row(lake, n, parts, **fields) for n, parts in enumerate(sequences)]
    small.write(lake, "packed/phase1_base_256", rows, PACKED_SCHEMA)


def _failing(lake: Lake) -> set[tuple[str, str]]:
    proof = prove_absence(lake, small.CATALOG)
    return {(test, place.table) for test, places in proof.remaining.items() for place in places}


def test_what_remains_of_others_is_no_trace(lake: Lake) -> None:
    proof = prove_absence(lake, small.CATALOG)
    assert proof.passed, proof.problems
    assert proof.num_documents == 1
    assert proof.num_upstream == 1
    assert proof.searched_bytes > len(STAYS["content"])


def test_a_text_under_another_name_and_hash_is_found(lake: Lake) -> None:
    lie = STAYS | {"id": "e" * 32, "path": "c.py", "content": SECRET["content"]}
    small.write(lake, "filtered/beta", [STAYS, lie], DOCUMENT_SCHEMA, SHARD)
    assert _failing(lake) == {("content", "filtered/beta"), ("mislabelled", "filtered/beta")}


def test_a_passage_in_a_function_or_an_answer_is_found(lake: Lake) -> None:
    lines = SECRET["content"].splitlines()
    passage = "\n".join(f"        # {line}" for line in lines[20:30])
    child = small.row("beta", "dora/other", "b.py", passage, derived_from=[STAYS["id"]])
    few_words = {"name": "f", "qualified_name": "f", "docstring": None}
    function = child | few_words | {"start_line": 1, "end_line": 9}
    small.write(lake, "functions/python", [function], small.FUNCTION_SCHEMA, PLACE)
    answer = small.row(
        "beta", "synthetic/mutation_pairs", "1", "Mend it.", derived_from=[STAYS["id"]],
        modality="preference", instruction="Mend it.", chosen="No.", rejected=passage,
    )  # fmt: skip
    small.write(lake, "synthetic/mutation_pairs", [answer], DOCUMENT_SCHEMA, PLACE)
    assert _failing(lake) == {("text", "functions/python"), ("text", "synthetic/mutation_pairs")}


def test_packed_tokens_are_read_and_not_their_segments(lake: Lake) -> None:
    lie = SECRET | {"id": STAYS["id"], "source": "beta"}
    _pack(lake, [(STAYS, "filtered/beta", 100), (lie, "filtered/beta", 400)])
    assert _failing(lake) == {("text", "packed/phase1_base_256")}


def test_a_rejected_answer_in_packed_tokens_is_found(lake: Lake) -> None:
    pair = small.packed_row(lake, 0, [(SECRET, "filtered/beta", 400)])
    kept = small.packed_row(lake, 0, [(STAYS, "filtered/beta", 100)])
    row = kept | {"rejected_tokens": pair["tokens"], "rejected_loss_mask": pair["loss_mask"]}
    small.write(lake, "packed/phase1_base_256", [row], PACKED_SCHEMA)
    assert _failing(lake) == {("text", "packed/phase1_base_256")}


def test_one_changed_word_does_not_make_a_trace(lake: Lake) -> None:
    """Whatever a generator writes into a remaining text may by chance be what a removed one had."""
    words = SECRET["content"].split()
    other = small.row(
        "beta", "dora/other", "e.py", " ".join([*words[100:119], "x", *words[120:139]])
    )
    small.write(lake, "raw/beta", [STAYS, other], DOCUMENT_SCHEMA, SHARD)
    small.write(lake, "filtered/beta", [STAYS, other], DOCUMENT_SCHEMA, SHARD)
    changed = " ".join(words[100:139])
    child = small.row("beta", "dora/other", "1", changed, derived_from=[other["id"]])
    small.write(lake, "synthetic/mutation_pairs", [child], DOCUMENT_SCHEMA, PLACE)
    assert _failing(lake) == set()


def test_a_passage_that_a_remaining_document_has_too_is_no_trace(lake: Lake) -> None:
    shared = "\n".join(SECRET["content"].splitlines()[:20])
    other = small.row("beta", "dora/other", "d.py", shared + "\n" + _text(3))
    small.write(lake, "filtered/beta", [STAYS, other], DOCUMENT_SCHEMA, SHARD)
    child = small.row("beta", "dora/other", "d.py", shared, derived_from=[other["id"]])
    small.write(lake, "synthetic/docs_pairs", [child], DOCUMENT_SCHEMA, PLACE)
    assert prove_absence(lake, small.CATALOG).passed


def test_a_near_copy_that_comes_late_is_found_and_can_be_forgotten(lake: Lake) -> None:
    changed = SECRET["content"].replace(SECRET["content"].splitlines()[9], "other words here")
    late = small.row("beta", "zed/late", "late.py", changed)
    small.write(lake, "raw/beta", [STAYS, late], DOCUMENT_SCHEMA, SHARD)
    small.write(lake, "filtered/beta", [STAYS, late], DOCUMENT_SCHEMA, SHARD)
    proof = prove_absence(lake, small.CATALOG)
    assert proof.near_ids == (late["id"],)
    assert "tritter forget --id ID" in proof.problems[0]
    request_removal(lake, "id", late["id"], "near copy of a forgotten text", AT)
    small.write(lake, "filtered/beta", [STAYS], DOCUMENT_SCHEMA, SHARD)
    assert prove_absence(lake, small.CATALOG).passed


def test_a_git_hash_finds_a_content_that_comes_later(lake: Lake) -> None:
    new = small.row("beta", "zed/new", "new.py", _text(7))
    swhid = f"swh:1:cnt:{git_blob_sha1(new['content'])};origin=https://example.org/zed/new"
    request_removal(lake, "swhid", swhid, "asked", AT)
    for table in ("raw/beta", "filtered/beta"):
        small.write(lake, table, [STAYS, new], DOCUMENT_SCHEMA, SHARD)
    assert _failing(lake) == {("content", "filtered/beta")}
    assert request_removal(lake, "swhid", swhid, "asked", AT).num_documents == 2


def test_a_mix_row_without_its_text_and_a_copy_without_follower_are_no_proof(lake: Lake) -> None:
    small.write(lake, "filtered/beta", [], DOCUMENT_SCHEMA, SHARD)
    copy = small.row("gamma", "gone/away", "late.py", _text(9))
    small.write(lake, "raw/gamma", [copy], DOCUMENT_SCHEMA, SHARD)
    proof: AbsenceProof = prove_absence(lake, small.CATALOG)
    assert set(proof.remaining) == {"unproved"}
    assert "tritter forget --complete" in proof.further[0]


def test_packed_tokens_without_a_tokenizer_are_no_proof(lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "tokenizer").rename(tmp_path / "elsewhere")
    proof = prove_absence(lake, small.CATALOG)
    assert not proof.passed
    assert "no tokenizer" in proof.further[0]
