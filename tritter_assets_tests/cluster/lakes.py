"""A small lake with exact copies, near copies, licence conflicts and unique documents."""

from __future__ import annotations

import random
from pathlib import Path

import polars as pl

from tritter_assets.cluster.engine import Engine
from tritter_assets.cluster.index_update import IndexUpdate
from tritter_assets.dedup.band_table import NEAR_BANDS
from tritter_assets.dedup.index import NEAR_INDEX, IndexReport, ShardInput
from tritter_assets.lake import Lake
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, sign, text, write_filtered

SHARDS = ("000", "001", "002")
INPUTS = inputs_of([("one", shard) for shard in SHARDS] + [("two", "000")], {"one": 3, "two": 7})
NEAR_TABLES = ("dedup/near_pairs", "dedup/near_index")
FINGERPRINT = "a" * 15
THRESHOLD = 0.7


def documents(seed: int, count: int = 50) -> list[Doc]:
    draw = random.Random(seed)
    return [
        Doc(
            f"{draw.getrandbits(128):032x}",
            text(draw.randrange(40), edits=draw.sample(range(60), draw.randrange(3))),
            license=draw.choice(["MIT", "MIT", "MIT", "MIT", "MIT", "GPL-3.0-only"]),
        )
        for _ in range(count)
    ]


def write_lake(
    root: str | Path, *, signed: bool = True, options: dict[str, str] | None = None
) -> Lake:
    lake = Lake.at(root, options)
    for number, item in enumerate(INPUTS):
        (sign if signed else write_filtered)(lake, item.source, item.shard, documents(number))
    return lake


def update(
    engine: Engine, lake: Lake, inputs: list[ShardInput] | None = None, index: str = NEAR_INDEX
) -> IndexReport:
    return engine.update_index(lake, update_of(inputs or INPUTS, index))


def update_of(inputs: list[ShardInput], index: str = NEAR_INDEX) -> IndexUpdate:
    return IndexUpdate(
        index=index,
        inputs=tuple(inputs),
        threshold=THRESHOLD,
        memory_limit_bytes=256 << 20,
        fingerprint=FINGERPRINT,
    )


def rows(lake: Lake, table: str) -> pl.DataFrame:
    frame = lake.scan(table).collect()
    return frame.sort(*(["id_a", "id_b"] if "id_a" in frame.columns else ["cluster_id", "id"]))


def assert_same(one: Lake, two: Lake, tables: tuple[str, ...] = NEAR_TABLES) -> None:
    for table in tables:
        assert rows(one, table).height
        assert rows(one, table).equals(rows(two, table)), table
        states = [lake.state(table) for lake in (one, two)]
        assert states[0] is not None
        assert states[1] is not None
        assert states[0].data_version == states[1].data_version
        assert states[0].fingerprint == states[1].fingerprint
    assert bands_of(one) == bands_of(two)


def bands_of(lake: Lake) -> dict[tuple[str, ...], tuple[int, str, str]]:
    """What the table of bands has of each shard: number of rows, fingerprint, data version."""
    return {
        tuple(state.partition.values()): (state.num_rows, state.fingerprint, state.data_version)
        for state in lake.states(NEAR_BANDS)
    }
