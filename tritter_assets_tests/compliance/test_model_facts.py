"""What checkpoints read: through ancestors, through time travel, and failing closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tritter_assets.compliance import model_facts
from tritter_assets.compliance.model_facts import ModelFacts, read_model_facts
from tritter_assets.lake import Lake
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.packing.pack import PACKED_SCHEMA
from tritter_assets_tests.lineage import small_lake as small


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return small.build(tmp_path / "lake")


def second_phase(lake: Lake, root: Path, *, seen: bool = True) -> None:
    other = small.mix_row(small.OTHER, "filtered/beta", 50, obligations=["attribution", "patent"])
    small.write(lake, "mix/phase2_domain", [other], MIX_SCHEMA)
    packed = "packed/phase2_domain_256"
    rows = [small.packed_row(lake, 0, [(small.OTHER, "filtered/beta", 50)])]
    small.write(lake, packed, rows, PACKED_SCHEMA)
    small.write_model(lake, root, "phase2_domain", packed, "model/phase1_base", seen=seen)


def models(lake: Lake) -> dict[str, ModelFacts]:
    return {model.phase: model for model in read_model_facts(lake)}


def test_obligations_are_joined_over_the_whole_line(lake: Lake, tmp_path: Path) -> None:
    second_phase(lake, tmp_path)
    found = models(lake)
    assert list(found) == ["phase1_base", "phase2_domain"]
    line = found["phase2_domain"]
    assert [(use.phase, use.model, use.counts.documents, use.tokens) for use in line.phases] == [
        ("phase1_base", "model/phase1_base", 3, 296),
        ("phase2_domain", "model/phase2_domain", 1, 50),
    ]
    assert line.joined("obligations") == {"attribution": 4, "notice_text": 3, "patent": 1}
    assert line.joined("licences") == {"Apache-2.0": 2, "MIT": 2}
    assert line.certain
    assert "patent" not in found["phase1_base"].joined("obligations")


def test_a_mix_rebuilt_since_is_read_as_it_was_trained_on(lake: Lake, tmp_path: Path) -> None:
    trained = lake.state("mix/phase1_base")
    assert trained is not None
    small.write_model(
        lake,
        tmp_path,
        "phase1_base",
        "packed/phase1_base_256",
        None,
        mix_data_version=trained.data_version,
    )
    small.write(
        lake, "mix/phase1_base", [small.mix_row(small.OTHER, "filtered/beta", 80)], MIX_SCHEMA
    )
    (use,) = models(lake)["phase1_base"].phases
    assert use.mix_replaced
    assert use.unaccounted == 0
    assert use.counts.licences == {"MIT": 2, "Apache-2.0": 1}


def test_documents_that_no_version_holds_fail_closed(lake: Lake) -> None:
    # The checkpoint names no version of its mix, and the mix has lost two of its documents.
    small.write(
        lake, "mix/phase1_base", [small.mix_row(small.OTHER, "filtered/beta", 80)], MIX_SCHEMA
    )
    (use,) = models(lake)["phase1_base"].phases
    assert use.unaccounted == 2
    assert use.counts.documents == 3
    assert use.counts.obligations["unknown"] == 2
    assert use.counts.licences["NOASSERTION"] == 2


def test_a_checkpoint_that_does_not_say_is_taken_to_have_read_everything(
    lake: Lake, tmp_path: Path
) -> None:
    second_phase(lake, tmp_path, seen=False)
    line = models(lake)["phase2_domain"]
    assert not line.certain
    assert [(u.phase, u.counts.documents, u.tokens) for u in line.phases] == [
        ("phase1_base", 3, None),
        ("phase2_domain", 1, None),
    ]


def test_slices_of_a_large_join_add_up(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = models(lake)["phase1_base"]
    monkeypatch.setattr(model_facts, "SLICE_ROWS", 1)
    assert models(lake)["phase1_base"] == whole


def test_held_out_documents_are_counted_apart(lake: Lake, tmp_path: Path) -> None:
    heldout = small.packed_row(lake, 2, [(small.OTHER, "filtered/beta", 20)], split="heldout")
    small.write(lake, "packed/phase1_base_256", [*small.packed_rows(lake), heldout], PACKED_SCHEMA)
    small.write_model(lake, tmp_path, "phase1_base", "packed/phase1_base_256", None)
    model = models(lake)["phase1_base"]
    assert model.heldout.documents == 1
    assert model.heldout.licences == {"Apache-2.0": 1}
