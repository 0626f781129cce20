"""The near index by the local engine and by Daft, over one lake: what set-wise frames cost.

    .venv-cluster/bin/python -m tritter_assets_tests.benchmarks.cluster_near CORPUS.parquet [RAY]

The corpus has columns id, repo, path, content. With the address of a Ray cluster, the frames run
there, and CPU seconds are those of this process alone; without, Daft runs natively and all figures
are CPU seconds of the whole work, bands to committed index: of all shards but the last at once, of
the last one added, and of the exact index over all. Signing is measured on its own.

Prints one JSON object last.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.cluster.engine import DaftEngine, Engine, LocalEngine
from tritter_assets.cluster.index_update import IndexUpdate
from tritter_assets.dedup.index import EXACT_INDEX, NEAR_INDEX, inputs_version
from tritter_assets.dedup.near import NEAR_PAIRS
from tritter_assets.dedup.signatures import sign_shard
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets_tests.dedup.corpus import Doc, inputs_of, write_filtered

SHARDS = 32
STEPS = (
    ("batch", NEAR_INDEX, SHARDS - 1),
    ("one_more", NEAR_INDEX, SHARDS),
    ("exact", EXACT_INDEX, SHARDS),
)
TABLES = (EXACT_INDEX, NEAR_PAIRS, NEAR_INDEX)


def main() -> None:
    address = sys.argv[2] if len(sys.argv) > 2 else None
    rows = pl.read_parquet(sys.argv[1], columns=["id", "repo", "path", "content"])
    # Shuffled, so that the last shard has copies in the others.
    rows = rows.unique("id", keep="first", maintain_order=True).sample(
        fraction=1.0, shuffle=True, seed=7
    )
    found: dict[str, Any] = {
        "documents": rows.height,
        "megabytes": round(float(rows["content"].str.len_bytes().sum()) / 1e6, 1),
        "runner": "ray" if address else "native",
    }
    engines: dict[str, Engine] = {"local": LocalEngine(), "daft": DaftEngine(address)}
    versions = []
    with tempfile.TemporaryDirectory() as folder:
        for name, engine in engines.items():
            lake = Lake.at(Path(folder) / name)
            _write(lake, rows)
            found[f"{name}_sign_cpu_s"] = _cpu(lambda lake=lake: _sign(lake))[0]
            for step, index, shards in STEPS:
                cpu, wall, report = _cpu(
                    lambda engine=engine, lake=lake, index=index, shards=shards: (
                        engine.update_index(lake, _update(lake, index, shards))
                    )
                )
                found |= {f"{name}_{step}_cpu_s": cpu, f"{name}_{step}_wall_s": wall}
                found[f"{name}_{step}_details"] = dict(report.details)
            versions.append([_version(lake, table) for table in TABLES])
    found["same_tables"] = versions[0] == versions[1]
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(json.dumps(found, default=str))


def _write(lake: Lake, rows: pl.DataFrame) -> None:
    size = -(-rows.height // SHARDS)
    for number in range(SHARDS):
        documents = [
            Doc(row["id"], row["content"], repo=row["repo"], path=row["path"])
            for row in rows.slice(number * size, size).iter_rows(named=True)
        ]
        write_filtered(lake, "corpus", f"{number:03d}", documents)


def _sign(lake: Lake) -> None:
    for number in range(SHARDS):
        sign_shard(lake, "corpus", f"{number:03d}", fingerprint="b" * 15)


def _update(lake: Lake, index: str, shards: int) -> IndexUpdate:
    inputs = inputs_of([("corpus", f"{number:03d}") for number in range(shards)])
    return IndexUpdate(
        index=index,
        inputs=tuple(inputs),
        memory_limit_bytes=1 << 30,
        fingerprint=fingerprint_of(inputs_version(lake, inputs)),
    )


def _version(lake: Lake, table: str) -> str:
    state = lake.state(table)
    return "" if state is None else state.data_version


def _cpu(work: Callable[[], Any]) -> tuple[float, float, Any]:
    cpu, wall = time.process_time(), time.perf_counter()
    found = work()
    return round(time.process_time() - cpu, 2), round(time.perf_counter() - wall, 2), found


if __name__ == "__main__":
    main()
