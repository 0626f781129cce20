from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.errors import LicenseRefused, MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.mixes import gate
from tritter_assets.packing.pack import PACKED_SCHEMA, code_version, pack_phase
from tritter_assets.packing.tokenizer import load_tokenizer
from tritter_assets_tests.mixes.lake_of_rows import (
    FINGERPRINT,
    code,
    request_removal,
    write_filtered,
)
from tritter_assets_tests.packing.small_mix import (
    SPECIAL_TEXT,
    build,
    instruction,
    mixed_rows,
    preference,
)


def _pack(lake: Lake, catalog: Any, context: int = 64) -> tuple[Any, list[dict[str, Any]]]:
    report = pack_phase(lake, "phase1_base", context, catalog=catalog, fingerprint=FINGERPRINT)
    return report, lake.scan(f"packed/phase1_base_{context}").collect().to_dicts()


def _streams(rows: list[dict[str, Any]]) -> dict[str, dict[int, tuple[int, int]]]:
    """Document -> place in its stream -> (token, loss), put together from all segments."""
    found: dict[str, dict[int, tuple[int, int]]] = defaultdict(dict)
    for row in rows:
        for segment in row["segments"]:
            run = range(segment["token_start"], segment["token_end"])
            for offset, place in enumerate(run):
                at = segment["doc_token_start"] + offset
                assert at not in found[segment["doc_id"]]
                found[segment["doc_id"]][at] = (row["tokens"][place], row["loss_mask"][place])
    return found


def test_every_document_can_be_read_back_from_its_segments(lake: Lake, tmp_path: Path) -> None:
    rows = mixed_rows()
    report, packed = _pack(lake, build(lake, tmp_path, rows))
    tokenizer = load_tokenizer(lake)
    streams = _streams(packed)
    assert set(streams) == {row["id"] for row in rows}
    for row in rows:
        stream = streams[row["id"]]
        ids = [stream[place][0] for place in range(len(stream))]
        loss = [stream[place][1] for place in range(len(stream))]
        assert ids[-1] == 0
        if row["modality"] == "instruction":
            answer = ids.index(tokenizer.token_to_id("<|assistant|>"))
            assert ids[0] == tokenizer.token_to_id("<|user|>")
            assert tokenizer.decode(ids[1:answer]) == row["instruction"]
            assert tokenizer.decode(ids[answer + 1 : -1]) == row["response"]
            assert loss == [0] * (answer + 1) + [1] * (len(ids) - answer - 1)
        else:
            assert tokenizer.decode(ids[:-1]) == row["content"]
            assert set(loss) == {1}
            assert 0 not in ids[:-1]
    assert report.lost_tokens == 0
    assert sum(report.tokens.values()) == report.document_tokens
    assert sum(report.documents.values()) == len(rows)
    assert report.num_sequences == len(packed)


def test_sequences_are_full_ordered_and_split(lake: Lake, tmp_path: Path) -> None:
    report, packed = _pack(lake, build(lake, tmp_path, mixed_rows()))
    assert list(packed[0]) == PACKED_SCHEMA.names
    assert [row["position"] for row in packed] == list(range(len(packed)))
    assert len({row["id"] for row in packed}) == len(packed)
    splits = [row["split"] for row in packed]
    assert splits == sorted(splits, reverse=True)
    assert report.sequences == {
        "train": splits.count("train"),
        "heldout": splits.count("heldout"),
    }
    held = {s["doc_id"] for row in packed if row["split"] == "heldout" for s in row["segments"]}
    train = {s["doc_id"] for row in packed if row["split"] == "train" for s in row["segments"]}
    assert held
    assert not held & train
    for row in packed:
        assert 0 < len(row["tokens"]) == len(row["loss_mask"]) <= 64
        assert row["rejected_tokens"] is None
        assert row["segments"][0]["token_start"] == 0
        assert row["segments"][-1]["token_end"] == len(row["tokens"])


def test_packing_again_gives_the_same_content(lake: Lake, tmp_path: Path) -> None:
    catalog = build(lake, tmp_path, mixed_rows())
    first, _ = _pack(lake, catalog)
    second, _ = _pack(lake, catalog)
    assert first == second


def test_shard_layout_changes_nothing_but_the_shard(tmp_path: Path) -> None:
    found = []
    for name, shards in (("one", 1), ("three", 3)):
        lake = Lake.at(tmp_path / name)
        rows = mixed_rows()
        for number, row in enumerate(rows):
            row["shard"] = f"{number % shards:03d}"
        _, packed = _pack(lake, build(lake, tmp_path, rows))
        for row in packed:
            for segment in row["segments"]:
                del segment["shard"]
        found.append(packed)
    assert found[0] == found[1]


def test_repeated_documents_stand_once_per_epoch_and_held_out_ones_once(
    lake: Lake, tmp_path: Path
) -> None:
    rows = code("a", 40)
    _, packed = _pack(lake, build(lake, tmp_path, rows, epochs=3))
    counts: dict[str, int] = defaultdict(int)
    split = {}
    for row in packed:
        for segment in row["segments"]:
            counts[segment["doc_id"]] += segment["doc_token_start"] == 0
            split[segment["doc_id"]] = row["split"]
    assert {(split[doc], count) for doc, count in counts.items()} == {
        ("train", 3),
        ("heldout", 1),
    }


def test_preference_rows_become_pairs_with_one_prompt(lake: Lake, tmp_path: Path) -> None:
    rows = [preference(number) for number in range(8)]
    rows.append(preference(99, chosen="long " * 200, rejected="short"))
    report, packed = _pack(lake, build(lake, tmp_path, rows))
    tokenizer = load_tokenizer(lake)
    assistant = tokenizer.token_to_id("<|assistant|>")
    by_id = {row["id"]: row for row in rows}
    assert len(packed) == len(rows)
    for row in packed:
        (segment,) = row["segments"]
        document = by_id[segment["doc_id"]]
        chosen, rejected = row["tokens"], row["rejected_tokens"]
        answer = chosen.index(assistant)
        assert chosen[: answer + 1] == rejected[: answer + 1]
        assert row["loss_mask"][: answer + 1] == [0] * (answer + 1)
        assert set(row["loss_mask"][answer + 1 :]) == {1}
        assert set(row["rejected_loss_mask"][answer + 1 :]) == {1}
        assert tokenizer.decode(rejected[answer + 1 : -1]) == document["rejected"]
        assert len(chosen) <= 64
        if document["chosen"].startswith("long"):
            assert segment["doc_token_start"] > 0
            assert answer == 0
        else:
            assert tokenizer.decode(chosen[answer + 1 : -1]) == document["chosen"]
    assert report.truncated_pairs == 1
    assert report.lost_tokens > 0


def test_a_pair_that_differs_only_beyond_the_context_is_left_out(
    lake: Lake, tmp_path: Path
) -> None:
    # All rows of one split may go.
    lonely = [preference(98, chosen="a " * 300 + "b", rejected="a " * 300 + "c")]
    report, packed = _pack(lake, build(lake, tmp_path, lonely, vocab_size=300))
    assert (report.indistinct_pairs, packed) == (1, [])
    rows = [preference(number) for number in range(6)]
    far = preference(99, chosen="same " * 200 + "good", rejected="same " * 200 + "bad")
    report, packed = _pack(lake, build(lake, tmp_path, [*rows, far]))
    assert report.indistinct_pairs == 1
    assert {row["segments"][0]["doc_id"] for row in packed} == {row["id"] for row in rows}


def test_a_removal_after_the_mix_takes_effect_here(lake: Lake, tmp_path: Path) -> None:
    rows = mixed_rows()
    catalog = build(lake, tmp_path, rows)
    _, before = _pack(lake, catalog)
    request_removal(lake, "id", rows[0]["id"])
    report, after = _pack(lake, catalog)
    assert report.excluded == {"removal_requested": 1}
    assert set(_streams(after)) == set(_streams(before)) - {rows[0]["id"]}


def test_a_licence_that_is_not_admitted_any_more_stops_the_pack(
    lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = build(lake, tmp_path, mixed_rows())
    admit = gate.admit_frame

    def stricter(frame: Any, policy: Any, use_profile: str) -> Any:
        return admit(frame.with_columns(license_concluded=None), policy, use_profile)

    monkeypatch.setattr(gate, "admit_frame", stricter)
    with pytest.raises(LicenseRefused, match="not admitted any more"):
        _pack(lake, catalog)


def test_content_that_is_not_the_mixs_stops_the_pack(lake: Lake, tmp_path: Path) -> None:
    rows = code("a", 5)
    catalog = build(lake, tmp_path, rows)
    rows[0]["content"] += "# another\n"
    write_filtered(lake, rows)
    with pytest.raises(MissingProvenance, match="is not what the mix recorded"):
        _pack(lake, catalog)
    write_filtered(lake, rows[1:])
    with pytest.raises(MissingProvenance, match="gone"):
        _pack(lake, catalog)


def test_text_that_spells_a_special_token_stays_text(lake: Lake, tmp_path: Path) -> None:
    rows = mixed_rows()
    _, packed = _pack(lake, build(lake, tmp_path, rows))
    special = next(row for row in rows if row["path"] == "special.py")
    stream = _streams(packed)[special["id"]]
    assert sum(token == 0 for token, _ in stream.values()) == 1
    assert SPECIAL_TEXT in special["content"]


def test_filling_in_the_middle_keeps_every_character(lake: Lake, tmp_path: Path) -> None:
    rows = [*code("a", 40), instruction(1)]
    _, packed = _pack(lake, build(lake, tmp_path, rows, fim_rate=1.0))
    tokenizer = load_tokenizer(lake)
    prefix, suffix, middle = (
        tokenizer.token_to_id(f"<|fim_{name}|>") for name in ("prefix", "suffix", "middle")
    )
    num_cut = 0
    contents = {row["id"]: row for row in rows}
    for doc_id, stream in _streams(packed).items():
        ids = [stream[place][0] for place in range(len(stream))]
        if prefix not in ids:
            continue
        num_cut += 1
        a, b = ids.index(suffix), ids.index(middle)
        before, after, between = ids[1:a], ids[a + 1 : b], ids[b + 1 : -1]
        text = "".join(tokenizer.decode(part) for part in (before, between, after))
        assert text == contents[doc_id]["content"]
    assert num_cut >= 30


def test_code_version_follows_context_and_policy(lake: Lake, tmp_path: Path) -> None:
    catalog = build(lake, tmp_path, code("a", 3), vocab_size=300)
    first = code_version("phase1_base", 64, catalog)
    assert first != code_version("phase1_base", 128, catalog)
    catalog.policy.digest = "another"
    assert first != code_version("phase1_base", 64, catalog)
