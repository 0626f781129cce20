"""Shards come, change and go, engines take turns, runs are killed: the tables are a batch run's."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tritter_assets.cluster import band_groups, band_pairs, candidates
from tritter_assets.cluster import near as cluster_near
from tritter_assets.cluster.engine import DaftEngine, Engine, LocalEngine
from tritter_assets.dedup import crowds, near
from tritter_assets.dedup.index import (
    EXACT_INDEX,
    NEAR_INDEX,
    IndexReport,
    ShardInput,
    inputs_version,
)
from tritter_assets.dedup.near import NEAR_PAIRS
from tritter_assets.dedup.survivors import dropped_ids
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets_tests.cluster.lakes import bands_of, rows, update_of
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text

pytestmark = pytest.mark.timeout(600)

SHARDS = [("a", "000"), ("a", "001"), ("b", "000"), ("b", "001")]
DAFT, LOCAL = DaftEngine(None), LocalEngine()
STEPS = 5


def documents(draw: random.Random, shard: tuple[str, str], *, renames: bool) -> list[Doc]:
    found = {}
    for _ in range(draw.randrange(9)):
        # Two families of texts, most pairs of which are near copies: crowds lose some of them.
        seed, edit, copyleft = draw.randrange(2), draw.randrange(12), draw.random() < 0.1
        # `renamed` makes the same id carry another content in time, `moved` at the same time.
        kind = draw.choice(["", "", "renamed", "moved"]) if renames else ""
        identity = fingerprint_of(
            shard[0] if kind == "moved" else shard, seed, "" if kind else edit, copyleft
        )
        found[identity] = Doc(
            identity,
            text(seed, edits=(9 * edit, 40 + 7 * (edit % 4)), count=120),
            license="GPL-3.0-only" if copyleft else "MIT",
            path=f"{draw.randrange(3)}.py",
        )
    return list(found.values())


def run(engine: Engine, lake: Lake, inputs: list[ShardInput], index: str) -> IndexReport:
    made_from = fingerprint_of(near.code_version(0.7), inputs_version(lake, inputs))
    return engine.update_index(lake, replace(update_of(inputs, index), fingerprint=made_from))


def killed_before(number: int) -> Callable[..., Any]:
    """Returns a `Lake.write` that ends the run at its n-th call."""
    real, left = Lake.write, [number]

    def write(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise KeyboardInterrupt
        return real(*args, **options)

    return write


def assert_batch(
    lake: Lake, state: dict[tuple[str, str], list[Doc]], folder: Path, **order
) -> None:
    batch = Lake.at(folder)
    for shard, docs in state.items():
        sign(batch, *shard, docs)
    inputs = inputs_of(reversed(list(state)), order)
    run(LOCAL, batch, inputs, NEAR_INDEX)
    for table in (NEAR_PAIRS, NEAR_INDEX):
        assert rows(lake, table).equals(rows(batch, table)), table
        ours, theirs = lake.state(table), batch.state(table)
        assert ours is not None
        assert theirs is not None
        assert ours.data_version == theirs.data_version
        assert ours.fingerprint == theirs.fingerprint
    assert bands_of(lake) == bands_of(batch)
    assert dropped_ids(lake).equals(dropped_ids(batch))


def crowds_of(crowd: int, hubs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (near, crowds, candidates, band_pairs):
        monkeypatch.setattr(module, "CROWD", crowd)
    for module in (crowds, band_groups):
        monkeypatch.setattr(module, "NUM_HUBS", hubs)


@pytest.mark.parametrize("seed", range(6))
def test_any_sequence_ends_where_a_batch_run_does(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw = random.Random(seed)
    crowd, hubs = [(128, 32), (1, 1), (3, 2)][seed % 3]
    crowds_of(crowd, hubs, monkeypatch)
    looked_up = []
    monkeypatch.setattr(
        cluster_near,
        "new_candidates",
        lambda *args: looked_up.append(candidates.new_candidates(*args)) or looked_up[-1],
    )
    lake = Lake.at(tmp_path / "lake")
    state: dict[tuple[str, str], list[Doc]] = {}
    for number in range(STEPS):
        for shard in draw.sample(SHARDS, draw.randrange(1, 3)):
            if shard in state and draw.random() < 0.3 and len(state) > 1:
                del state[shard]
            else:
                state[shard] = documents(draw, shard, renames=seed > 3)
                sign(lake, *shard, state[shard])
        order = {"a": 1, "b": 0 if seed == 2 and number > 2 else 2}
        inputs = inputs_of(state, order)
        if draw.random() < 0.3:
            with monkeypatch.context() as killing, suppress(KeyboardInterrupt):
                killing.setattr(Lake, "write", killed_before(draw.randrange(4)))
                run(DAFT, lake, inputs, NEAR_INDEX)
        report = run(draw.choice([DAFT, DAFT, DAFT, LOCAL]), lake, inputs, NEAR_INDEX)
        assert_batch(lake, state, tmp_path / f"batch-{number}", **order)
        index, pairs = rows(lake, NEAR_INDEX), rows(lake, NEAR_PAIRS)
        assert report.num_members == index.height
        assert report.num_clusters == index["cluster_id"].n_unique()
        assert report.num_dropped == index.filter(pl.col("action") == "drop").height
        between = pairs.filter(pl.col("content_a") != pl.col("content_b"))
        assert report.details["pairs"] == between.height
    assert looked_up, "no update went on from the one before"


def test_a_pair_that_a_hub_kept_apart_is_found_when_the_hub_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowds_of(2, 1, monkeypatch)
    # The first text shares each band that the other two share, 12 of them.
    hub, one, two = (
        Doc(digit * 32, text(0, edits=edits), path=f"{digit}.py")
        for digit, edits in (("1", ()), ("2", (1,)), ("3", (57,)))
    )
    state = {("a", "000"): [hub], ("b", "000"): [one, two]}
    lake = Lake.at(tmp_path / "lake")
    for shard, docs in state.items():
        sign(lake, *shard, docs)
    assert run(DAFT, lake, inputs_of(state), NEAR_INDEX).details["pairs"] == 2
    del state["a", "000"]
    report = run(DAFT, lake, inputs_of(state), NEAR_INDEX)
    assert (report.details["shards_removed"], report.details["pairs_computed"]) == (1, 1)
    assert_batch(lake, state, tmp_path / "batch")


@pytest.mark.parametrize("seed", range(2))
def test_the_exact_index_is_that_of_the_local_engine(seed: int, tmp_path: Path) -> None:
    draw = random.Random(seed)
    ours, theirs = Lake.at(tmp_path / "daft"), Lake.at(tmp_path / "local")
    for shard in SHARDS:
        docs = documents(draw, shard, renames=True)
        for lake in (ours, theirs):
            sign(lake, *shard, docs)
    for shards in (SHARDS, SHARDS[1:]):
        inputs = inputs_of(shards, {"a": 2, "b": 1})
        reports = [run(e, k, inputs, EXACT_INDEX) for e, k in ((DAFT, ours), (LOCAL, theirs))]
        assert rows(ours, EXACT_INDEX).equals(rows(theirs, EXACT_INDEX))
        assert reports[0].num_members > 0
        details = [replace(report, details={}) for report in reports]
        assert details[0] == details[1]
        states = [lake.state(EXACT_INDEX) for lake in (ours, theirs)]
        assert states[0] is not None
        assert states[1] is not None
        assert states[0].data_version == states[1].data_version
