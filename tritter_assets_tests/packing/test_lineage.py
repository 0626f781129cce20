from __future__ import annotations

from pathlib import Path

import pytest

from tritter_assets.errors import LakeCorruption, MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.packing.lineage import locate
from tritter_assets.packing.pack import pack_phase
from tritter_assets.packing.tokenizer import load_tokenizer, train_tokenizer
from tritter_assets_tests.mixes.lake_of_rows import FINGERPRINT, code, write_filtered
from tritter_assets_tests.packing.small_mix import build, mixed_rows, preference


@pytest.mark.parametrize("fim_rate", [0.0, 1.0])
def test_every_token_leads_back_to_its_characters(
    lake: Lake, tmp_path: Path, fim_rate: float
) -> None:
    rows = mixed_rows()
    catalog = build(lake, tmp_path, rows, fim_rate=fim_rate)
    pack_phase(lake, "phase1_base", 64, catalog=catalog, fingerprint=FINGERPRINT)
    tokenizer = load_tokenizer(lake)
    by_id = {row["id"]: row for row in rows}
    packed = lake.scan("packed/phase1_base_64").collect()
    for sequence in packed.sample(12, seed=1).iter_rows(named=True):
        for offset in range(0, len(sequence["tokens"]), 13):
            origin = locate(
                lake, "packed/phase1_base_64", sequence["id"], offset, tokenizer=tokenizer
            )
            token = sequence["tokens"][offset]
            if origin.column is None:
                assert tokenizer.token_to_id(origin.text) == token
                assert origin.char_start == origin.char_end
                continue
            text = by_id[origin.doc_id][origin.column][origin.char_start : origin.char_end]
            assert text == origin.text
            piece = tokenizer.decode([token])
            assert piece == text or "\ufffd" in piece
            assert origin.table == f"filtered/{origin.source}"


def test_the_rejected_answer_has_its_own_way_back(lake: Lake, tmp_path: Path) -> None:
    rows = [preference(number, rejected=f"never {number}") for number in range(6)]
    rows.append(preference(99, chosen="long " * 200))
    catalog = build(lake, tmp_path, rows)
    pack_phase(lake, "phase1_base", 64, catalog=catalog, fingerprint=FINGERPRINT)
    for sequence in lake.scan("packed/phase1_base_64").collect().iter_rows(named=True):
        last = len(sequence["rejected_tokens"]) - 2
        origin = locate(lake, "packed/phase1_base_64", sequence["id"], last, rejected=True)
        assert origin.column == "rejected"
        origin = locate(lake, "packed/phase1_base_64", sequence["id"], 1)
        assert origin.column in ("instruction", "chosen")


def test_unknown_places_are_said_to_be_unknown(lake: Lake, tmp_path: Path) -> None:
    catalog = build(lake, tmp_path, code("a", 5), vocab_size=300)
    pack_phase(lake, "phase1_base", 64, catalog=catalog, fingerprint=FINGERPRINT)
    table = "packed/phase1_base_64"
    first = lake.scan(table).collect().row(0, named=True)
    with pytest.raises(MissingProvenance, match="holds no sequence"):
        locate(lake, table, "nothing", 0)
    with pytest.raises(MissingProvenance, match="not a token 64"):
        locate(lake, table, first["id"], 64)
    with pytest.raises(MissingProvenance, match="not a token 0"):
        locate(lake, table, first["id"], 0, rejected=True)


def test_an_answer_is_proved_or_not_given(lake: Lake, tmp_path: Path) -> None:
    rows = code("a", 30)
    catalog = build(lake, tmp_path, rows, vocab_size=270)
    pack_phase(lake, "phase1_base", 64, catalog=catalog, fingerprint=FINGERPRINT)
    table = "packed/phase1_base_64"
    first = lake.scan(table).collect().row(0, named=True)
    train_tokenizer(lake, phases=["phase1_base"], vocab_size=300, fingerprint=FINGERPRINT)
    with pytest.raises(LakeCorruption, match="the tokenizer or the row changed"):
        locate(lake, table, first["id"], 0)
    write_filtered(lake, [])
    for row in rows:
        row["id"] = row["id"][::-1]
    write_filtered(lake, rows)
    with pytest.raises(MissingProvenance, match="any more"):
        locate(lake, table, first["id"], 0)
