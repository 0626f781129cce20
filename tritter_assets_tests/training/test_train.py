from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from tritter_assets.errors import ContractViolation, MissingProvenance, TrainingFailed
from tritter_assets.lake import ArtifactStore, Lake, fingerprint_of
from tritter_assets.training.ancestry import SEEN_FILE
from tritter_assets.training.seen import checkpoints_that_saw
from tritter_assets.training.train import LOG_FILE, code_version, train_phase
from tritter_assets_tests.training.rows import RECIPE, put_packed, put_tokenizer

FINGERPRINT = fingerprint_of("test")


def _lake(root: Path) -> Lake:
    lake = Lake.at(root / "lake")
    put_tokenizer(lake)
    put_packed(lake, "phase1_base")
    return lake


def _train(lake: Lake, phase: str = "phase1_base", **options):
    options = {"recipe": RECIPE, "parent": None, "packed_table": f"packed/{phase}_32"} | options
    return train_phase(lake, phase, fingerprint=FINGERPRINT, **options)


def _bytes(lake: Lake, table: str = "model/phase1_base") -> dict[str, str]:
    return {name: a.sha256 for name, a in ArtifactStore(lake).list(table).items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    lake = _lake(tmp_path_factory.mktemp("trained"))
    return lake, _train(lake)


def test_it_learns_and_says_so(trained):
    lake, report = trained
    assert report.loss_after < report.loss_before - 0.5
    assert report.flipped_share > 0
    assert not report.alarms
    log = json.loads(ArtifactStore(lake).open_local(report.table, LOG_FILE).read_text())
    assert log == report.log
    assert [entry["step"] for entry in log["steps"]] == list(range(1, 13))
    assert {e["step"] for e in log["evaluations"]} == {0, 12}
    assert all(0 < share < 1 for share in report.zero_fraction.values())


def test_facts_carry_the_lineage(trained):
    lake, report = trained
    facts = ArtifactStore(lake).facts(report.table)
    packed = lake.state("packed/phase1_base_32")
    assert packed is not None
    assert facts["packed_table"] == "packed/phase1_base_32"
    assert facts["packed_data_version"] == packed.data_version
    tokenizer = ArtifactStore(lake).list("tokenizer")["tokenizer.json"]
    assert facts["tokenizer_sha256"] == tokenizer.sha256
    assert facts["recipe"] == dataclasses.asdict(RECIPE)
    assert facts["num_threads"] == 2
    assert set(facts["library_versions"]) >= {"torch", "transformers"}
    assert facts["trained_sequences"] == 48
    assert facts["trained_tokens"] == 48 * 32


def test_seen_documents_are_those_of_the_rows_read(trained):
    lake, report = trained
    seen = pl.read_parquet(ArtifactStore(lake).open_local(report.table, SEEN_FILE))
    # 12 steps of 4 over 35 training rows: every training row once or twice, no held-out row.
    assert seen["tokens"].sum() == 48 * 32
    assert set(seen["phase"]) == {"phase1_base"}
    assert seen.filter(pl.col("doc_id") == "doc007a").is_empty()
    assert checkpoints_that_saw(lake, ["doc003b"]).keys() == {"model/phase1_base"}
    assert checkpoints_that_saw(lake, ["doc007a"]) == {}


def test_training_again_gives_the_same_bytes_and_packing_changes_nothing(trained, tmp_path):
    lake, report = trained
    before = _bytes(lake)
    other = _lake(tmp_path)
    packed = _train(other, packed=True)
    assert packed.packed
    assert _bytes(other) == before
    assert packed.data_version == report.data_version


KILLED = """
import os, signal, sys
from pathlib import Path
from tritter_assets.lake import Lake
from tritter_assets_tests.training.test_train import _train
def progress(step, measured):
    if step == 7:
        os.kill(os.getpid(), signal.SIGKILL)
_train(Lake.at(sys.argv[1]), work_dir=Path(sys.argv[2]), progress=progress,
       checkpoint_every_steps=3, packed=sys.argv[3] == "packed")
"""


@pytest.mark.parametrize("mode", ["plain", "packed"])
def test_killed_run_goes_on_and_ends_bit_identical(trained, tmp_path, mode):
    lake = _lake(tmp_path)
    work = tmp_path / "work"
    command = [sys.executable, "-c", KILLED, str(tmp_path / "lake"), str(work), mode]
    ended = subprocess.run(command, check=False, cwd=Path(__file__).parents[2])
    assert ended.returncode == -9
    assert not lake.exists("model/phase1_base")
    report = _train(lake, work_dir=work, checkpoint_every_steps=3, packed=mode == "packed")
    assert report.resumed_from_step == 6
    assert _bytes(lake) == _bytes(trained[0])
    assert not [path for path in work.rglob("*") if path.is_file()]


def test_instruct_then_align_go_on_from_the_parent(trained):
    lake, base = trained
    put_packed(lake, "phase3_instruct")
    put_packed(lake, "phase4_align", pairs=True)
    gentle = dataclasses.replace(RECIPE, learning_rate=1e-3)
    instruct = _train(lake, "phase3_instruct", recipe=gentle, parent="phase1_base")
    assert instruct.loss_before < base.loss_before - 0.5
    assert instruct.loss_after < instruct.loss_before
    align = _train(lake, "phase4_align", recipe=gentle, parent="model/phase3_instruct")
    assert align.objective == "dpo_sigmoid"
    assert align.loss_before == pytest.approx(0.693147, abs=1e-6)
    assert align.loss_after < align.loss_before
    assert align.log["steps"][0]["loss"] == pytest.approx(0.693147, abs=1e-6)
    assert [a["table"] for a in align.facts["ancestry"]] == [
        "model/phase1_base",
        "model/phase3_instruct",
    ]
    seen = pl.read_parquet(ArtifactStore(lake).open_local(align.table, SEEN_FILE))
    assert set(seen["phase"]) == {"phase1_base", "phase3_instruct", "phase4_align"}


def test_a_longer_context_is_reached_by_yarn(trained):
    lake, _ = trained
    table = put_packed(lake, "phase2_domain", context=64)
    report = _train(lake, "phase2_domain", packed_table=table, parent="phase1_base")
    config = json.loads(ArtifactStore(lake).open_local(report.table, "config.json").read_text())
    assert config["max_position_embeddings"] == 64
    assert config["rope_parameters"] == {
        "rope_type": "yarn",
        "rope_theta": 10000.0,
        "factor": 2.0,
        "original_max_position_embeddings": 32,
    }
    assert report.loss_after < report.loss_before


def test_refusals_say_what_to_do(trained, tmp_path):
    lake, _ = trained
    bare = Lake.at(tmp_path / "bare")
    put_packed(bare, "phase1_base")
    with pytest.raises(MissingProvenance, match="tokenizer"):
        _train(bare)
    with pytest.raises(ContractViolation, match="phase9"):
        _train(lake, "phase9")
    put_packed(lake, "phase4_align", pairs=True)
    with pytest.raises(ContractViolation, match="compares a model with its parent"):
        _train(lake, "phase4_align")
    wide = dataclasses.replace(RECIPE, hidden_size=64)
    with pytest.raises(ContractViolation, match="hidden_size=64"):
        _train(lake, recipe=wide, parent="phase1_base")
    with pytest.raises(ContractViolation, match="vocab_size"):
        _train(lake, recipe=dataclasses.replace(RECIPE, vocab_size=100))
    with pytest.raises(TrainingFailed, match="float32_adam"):
        _train(lake, memory_budget_bytes=1 << 20)
    with pytest.raises(TrainingFailed, match="learning_rate"):
        _train(lake, recipe=dataclasses.replace(RECIPE, learning_rate=1e30))


def test_a_run_that_changes_no_code_raises_the_alarm(tmp_path):
    lake = _lake(tmp_path)
    report = _train(lake, recipe=dataclasses.replace(RECIPE, learning_rate=1e-12, steps=3))
    assert report.flipped_share == 0
    assert "no ternary code changed" in report.alarms[0]


def test_code_version_follows_the_recipe():
    assert code_version(RECIPE) == code_version(dataclasses.replace(RECIPE))
    assert code_version(RECIPE) != code_version(dataclasses.replace(RECIPE, seed=1))
