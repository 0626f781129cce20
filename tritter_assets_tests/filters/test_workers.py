"""Several processes judge a shard as one does, and a killed one leaves nothing behind."""

from __future__ import annotations

import io
import pickle
from dataclasses import replace

import polars as pl
import pytest

from tritter_assets.contracts.policy import load_policy
from tritter_assets.errors import WorkerLost
from tritter_assets.filters import judge, pass_workers, pieces
from tritter_assets.lake import Lake
from tritter_assets_tests.filters.documents import GOOD, POLICY, PROFILE, document
from tritter_assets_tests.filters.test_pass import (
    CONTRACT,
    NO_REMOVALS,
    ROWS,
    store,
)

LIGHT = replace(PROFILE, filters={"decontamination": {"enabled": False}, "pii": {"enabled": False}})
"""Without the stages whose libraries take seconds to load in every process."""
KEY = 'key = "AKIA' + 'IOSFODNN7QWERTYU"\n'
DOCUMENTS = [*ROWS, *(document(f"{GOOD}x = {n}\n{KEY}", f"{n}.py") for n in range(6))]


def run(lake, workers):
    store(lake, DOCUMENTS)
    report = judge.judge_shard(
        lake, "demo", "000", contract=CONTRACT, policy=load_policy(POLICY),
        profile=LIGHT, removals=NO_REMOVALS, fingerprint="2" * 15, workers=workers,
    )  # fmt: skip
    return report, lake.state("verdicts/demo", {"shard": "000"})


@pytest.fixture
def _tiny_pieces(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_BYTES", 4000)
    monkeypatch.setattr(pass_workers, "BYTES_PER_WORKER", 1)


@pytest.mark.usefixtures("_tiny_pieces")
def test_workers_store_the_same_and_a_killed_one_stores_nothing(tmp_path, monkeypatch):
    alone, one = run(Lake.at(tmp_path / "one"), 1)
    start = pass_workers._start
    with monkeypatch.context() as patch:

        def killed(inputs):
            process = start(inputs)
            process.kill()
            return process

        patch.setattr(pass_workers, "_start", killed)
        with pytest.raises(WorkerLost, match=r"worker \d+ ended with code -9 .* `workers`"):
            run(Lake.at(tmp_path / "two"), 2)
        assert Lake.at(tmp_path / "two").state("verdicts/demo", {"shard": "000"}) is None
    together, two = run(Lake.at(tmp_path / "two"), 2)
    assert two.data_version == one.data_version
    assert together.terminal_by_reason == alone.terminal_by_reason
    assert together.redactions_by_reason == alone.redactions_by_reason
    assert together.redactions_by_reason
    assert together.num_documents == len(DOCUMENTS)


def test_an_error_of_a_worker_is_raised_as_it_is():
    pipe = io.BytesIO()
    pass_workers._send(pipe, ValueError("no"))
    pipe.seek(0)
    answer = pass_workers._receive(pipe)
    assert isinstance(answer, ValueError)
    assert str(answer) == "no"
    with pytest.raises(EOFError):
        pass_workers._receive(pipe)


def test_small_shards_start_no_worker():
    assert pass_workers.workers_for(10 << 20, 32) == 1
    assert pass_workers.workers_for(300 << 20, 32) == 3
    assert pass_workers.workers_for(300 << 20, 2) == 2
    assert pass_workers.workers_for(0, 8) == 1


def test_pieces_keep_order_and_bounds(monkeypatch):
    monkeypatch.setattr(pieces, "PIECE_BYTES", 100)
    monkeypatch.setattr(pieces, "PIECE_ROWS", 4)
    sizes = [90, 20, 30, 300, 1, 1, 1, 1, 1, 60, 60]
    frame = pl.DataFrame({"content": ["x" * size for size in sizes]})
    for rows in (1, 3, 100):
        found = list(pieces.cut(frame.to_arrow().to_batches(max_chunksize=rows)))
        assert [list(f["content"].str.len_bytes()) for f in found] == [
            [90], [20, 30], [300], [1, 1, 1, 1], [1, 60], [60],
        ]  # fmt: skip
    assert list(pieces.cut([])) == []


def test_inputs_travel(tmp_path):
    inputs = pieces.PassInputs(
        source="demo", shard="000", contract=CONTRACT, policy=load_policy(POLICY),
        profile=LIGHT, removals=NO_REMOVALS, cache=tmp_path,
    )  # fmt: skip
    assert pickle.loads(pickle.dumps(inputs)).policy == inputs.policy
