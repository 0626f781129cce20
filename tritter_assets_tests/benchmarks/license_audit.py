"""The licence audit and its diff over a million rows: seconds and memory.

A lake is made of raw and filtered documents in shards, a mix of the admitted ones and a packed
table of all of the mix: 40 documents a repository, nine licences, evidence that differs from one
repository to the next. Contents are short, because an audit never reads them. Measured, each in a
process of its own: the audit of everything, a diff to another use profile, and a diff in which 50
names mean something else (the only one that reads evidence). `BENCH_ROWS` sets the number of raw
rows. There is no peer: no other tool judges stored rows twice.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from tritter_assets.compliance.audit_diff import audit_diff
from tritter_assets.compliance.license_audit import audit
from tritter_assets.contracts.catalog import load_catalog
from tritter_assets.dedup.index import INDEX_SCHEMA
from tritter_assets.lake import Lake
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.packing.pack import PACKED_SCHEMA
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.verdict import VERDICT_SCHEMA
from tritter_assets_tests.benchmarks.harness import ROOT, report

NUM_ROWS = int(os.environ.get("BENCH_ROWS", "1000000"))
SHARD_ROWS = 50_000
SOURCE = "tiktoken"
FINGERPRINT = "0" * 15
LICENCES = (
    *(("MIT", 0.45), ("Apache-2.0", 0.2), ("BSD-3-Clause", 0.12), ("ISC", 0.03)),
    *(("MIT OR Apache-2.0", 0.05), ("GPL-3.0-only", 0.06), ("MPL-2.0", 0.02)),
    *(("NOASSERTION", 0.05), ("CC-BY-4.0", 0.02)),
)
ADMITTED = ("MIT", "Apache-2.0", "BSD-3-Clause", "ISC", "MIT OR Apache-2.0", "CC-BY-4.0")


def _documents(start: int, count: int, shard: str) -> pl.DataFrame:
    chance = random.Random(start)
    names, weights = zip(*LICENCES, strict=True)
    rows: dict[str, list[Any]] = {name: [None] * count for name in DOCUMENT_SCHEMA.names}
    for place, licence in enumerate(chance.choices(names, weights, k=count)):
        number = start + place
        repo = f"owner{number // 400}/repo{number // 40}"
        method = "none" if licence == "NOASSERTION" else chance.choice(["license_file", "dep5"])
        said = [
            {"method": "declared_column", "value": f"Terms {number // 40}", "where": "row",
             "confidence": 0.9},
            {"method": "license_file", "value": licence, "where": f"{repo}/LICENSE",
             "confidence": 0.97},
        ]  # fmt: skip
        values = {
            "id": f"{chance.getrandbits(128):032x}", "source": SOURCE, "shard": shard,
            "repo": repo, "path": f"src/file{number}.py", "revision": "1", "language": "python",
            "modality": "code", "content": f"x = {number}\n",
            "content_sha256": f"{chance.getrandbits(256):064x}",
            "content_bytes": chance.randrange(200, 20_000), "license_concluded": licence,
            "license_declared": licence, "license_method": method,
            "license_confidence": chance.choice([0.6, 0.85, 0.9, 0.97]),
            "license_evidence": json.dumps(said), "license_wrapper": "NONE",
            "access_terms": "public_index", "generator": "human",
        }  # fmt: skip
        for name, value in values.items():
            rows[name][place] = value
    return pl.DataFrame(rows, schema=pl.DataFrame(pa.Table.from_pylist([], DOCUMENT_SCHEMA)).schema)


def _write(lake: Lake, table: str, rows: pa.Table, schema: pa.Schema, **partition: str) -> None:
    rows = rows.select(schema.names).cast(schema)
    lake.write(table, rows, schema, fingerprint=FINGERPRINT, partition=partition)


def _build(lake: Lake) -> None:
    kept: list[pl.DataFrame] = []
    for number, start in enumerate(range(0, NUM_ROWS, SHARD_ROWS)):
        shard = f"{number:03d}"
        rows = _documents(start, min(SHARD_ROWS, NUM_ROWS - start), shard).sort("id")
        admitted = rows.filter(pl.col("license_concluded").is_in(ADMITTED))
        _write(lake, f"raw/{SOURCE}", rows.to_arrow(), DOCUMENT_SCHEMA, shard=shard)
        _write(lake, f"filtered/{SOURCE}", admitted.to_arrow(), DOCUMENT_SCHEMA, shard=shard)
        verdicts = admitted.select("id", "source", "shard").with_columns(
            stage=pl.lit("semantic_duplicate"), stage_number=pl.lit(15, pl.Int32),
            action=pl.lit("keep"), reason=pl.lit("passed"), terminal=pl.lit(value=True),
            score=pl.lit(None, pl.Float32), evidence=pl.lit(""), spans=pl.lit(None),
            stage_version=pl.lit("1"),
        )  # fmt: skip
        empty = pa.Table.from_pylist([], VERDICT_SCHEMA)
        arrow = verdicts.drop("spans").to_arrow()
        spans = pa.nulls(arrow.num_rows, empty.schema.field("spans").type)
        _write(
            lake, f"verdicts/{SOURCE}", arrow.append_column("spans", spans), VERDICT_SCHEMA,
            shard=shard,
        )  # fmt: skip
        kept.append(admitted.drop("content", "license_evidence"))
    for name in ("exact", "near"):
        _write(lake, f"dedup/{name}_index", pa.Table.from_pylist([], INDEX_SCHEMA), INDEX_SCHEMA)
    mix = pl.concat(kept).sort("id")
    rows = mix.with_columns(
        table=pl.lit(f"filtered/{SOURCE}"), component=pl.lit("python"),
        estimated_tokens=pl.col("content_bytes") // 3, epochs=pl.lit(1),
        obligations=pl.lit(["attribution"]), group_id="id",
    )  # fmt: skip
    _write(lake, "mix/phase1_base", rows.to_arrow(), MIX_SCHEMA)
    _write(lake, "packed/phase1_base_2048", _packed(mix), PACKED_SCHEMA)


def _packed(mix: pl.DataFrame, per_sequence: int = 8) -> pa.Table:
    segment = pl.struct(
        doc_id="id", table=pl.lit(f"filtered/{SOURCE}"), source="source", shard="shard",
        token_start=(pl.col("place") % per_sequence * 256).cast(pl.Int32),
        token_end=(pl.col("place") % per_sequence * 256 + 256).cast(pl.Int32),
        doc_token_start=pl.lit(0, pl.Int32),
    )  # fmt: skip
    packed = (
        mix.with_row_index("place")
        .with_columns(segments=segment, position=pl.col("place") // per_sequence)
        .group_by("position", maintain_order=True)
        .agg("segments")
        .with_columns(
            id=pl.format("{}", pl.col("position")).str.zfill(32), split=pl.lit("train"),
            tokens=pl.lit([0]), loss_mask=pl.lit([1]), rejected_tokens=pl.lit(None),
            rejected_loss_mask=pl.lit(None),
        )
    )  # fmt: skip
    return packed.select(PACKED_SCHEMA.names).to_arrow()


def _measure(root: str, what: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", __spec__.name, root, what],
        check=True, capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1])


def _work(root: str, what: str) -> None:
    lake = Lake.at(Path(root))
    catalog = load_catalog(ROOT / "data_contracts")
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    if what == "audit":
        found = audit(lake, catalog)
        shown: Any = {"problems": len(found.problems), "judged": int(found.rows["rows"].sum())}
    elif what == "profile":
        diff = audit_diff(lake, catalog, use_profile="strict")
        shown = {"lost": sum(row["rows_lost"] for row in diff.totals)}
    else:
        policy = catalog.policy
        names = {f"terms {number}": "MIT" for number in range(50)}
        other = dataclasses.replace(
            policy, aliases={**policy.aliases, **names}, conclusion_digest="other"
        )
        diff = audit_diff(lake, catalog, policy=other)
        shown = {"uncertain": sum(row["rows"] for row in diff.uncertain), "names": len(diff.names)}
    after = resource.getrusage(resource.RUSAGE_SELF)
    # Not ru_maxrss: that keeps what the process weighed before it became this program.
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds = round(time.perf_counter() - started, 2)
    peak_mb = round(int(status["VmHWM"].split()[0]) / 1024)
    print(json.dumps({"seconds": seconds, "cpu_s": round(cpu, 2), "peak_rss_mb": peak_mb} | shown))


def main() -> None:
    """Builds the lake and measures each in its own process."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_TMP")) as root:
        _build(Lake.at(Path(root)))
        figures = {what: _measure(root, what) for what in ("audit", "profile", "names")}
    report(
        "license_audit", figures["profile"]["cpu_s"], "cpu_s_of_a_diff", {}, None,
        raw_rows=NUM_ROWS, **figures,
    )  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _work(*sys.argv[1:])
    else:
        main()
