"""Pairs of Rust and Python: CPU time of `pair_interop`, and what it finds per repository.

No other tool makes such pairs, so the peer is a floor: parsing the same files once with
tree-sitter, which any such tool must do. The default input is the Rust and Python of the PyO3
packages of the starter contracts, unfiltered; `BENCH_CORPUS` replaces it.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from tritter_assets.dedup.index import ShardInput
from tritter_assets.functions.grammar import parse
from tritter_assets.functions.interop import TABLE, TAGS, pair_interop
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.record import DOCUMENT_SCHEMA, content_sha256
from tritter_assets.settings import load_settings
from tritter_assets.sources.loader import LoaderContext
from tritter_assets.sources.sdist import SdistLoader
from tritter_assets_tests.benchmarks.harness import CACHE, ROOT, report


def main() -> None:
    """Runs the bench."""
    named = os.environ.get("BENCH_CORPUS")
    frame = pl.read_parquet(named) if named else _starter()
    code = frame.filter(pl.col("language").str.to_lowercase().is_in(["rust", "python"]))
    texts = code.select("language", "content").rows()
    total = sum(len(text.encode("utf-8", "surrogatepass")) for _, text in texts)
    started = time.process_time()
    for language, text in texts:
        parse(language.lower(), text.encode("utf-8", "surrogatepass"))
    floor = time.process_time() - started
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake.at(Path(folder))
        rows = [_document(row) for row in code.iter_rows(named=True)]
        lake.write(
            "filtered/bench",
            pa.Table.from_pylist(rows, schema=DOCUMENT_SCHEMA),
            DOCUMENT_SCHEMA,
            fingerprint=fingerprint_of("bench"),
            partition={"shard": "000"},
        )
        started = time.process_time()
        found = pair_interop(
            lake,
            [ShardInput(source="bench", shard="000", priority=1)],
            fingerprint_of_shard=lambda item: fingerprint_of(item.source),
        )
        ours = time.process_time() - started
        by_repo = lake.scan(TABLE).group_by("repo").len().sort("repo").collect()
    report(
        "interop_pairs",
        total / 1e6 / ours,
        "MB per CPU second",
        {"one tree-sitter parse": total / 1e6 / floor},
        floor / ours,
        num_documents=found.num_documents,
        num_exports=found.num_exports,
        num_pairs=found.num_pairs,
        pairs_by_repo=dict(by_repo.iter_rows()),
        skipped=dict(found.skipped),
    )


def _document(row: dict[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = dict.fromkeys(DOCUMENT_SCHEMA.names)
    whole.update({name: row[name] for name in ("id", "repo", "path", "language", "content")})
    whole.update(
        source="bench", shard="000", revision="1", modality="code", generator="human",
        content_sha256=content_sha256(row["content"]), content_bytes=len(row["content"]),
        license_concluded="MIT", license_method="license_file", license_confidence=0.9,
        license_evidence="[]", license_wrapper="NONE", access_terms="public_index",
    )  # fmt: skip
    return whole


def _starter() -> pl.DataFrame:
    """The files of the PyO3 packages, read as ingest reads them."""
    context = LoaderContext(cache=CACHE, project_root=ROOT)
    loader = SdistLoader()
    frames = []
    for contract in load_settings(ROOT).catalog().active_sources():
        if contract.origin.kind == "sdist" and TAGS & set(contract.tags):
            frames += loader.read(contract, loader.plan(contract, context), context)
    rows = pl.concat([frame.select("repo", "path", "language", "content") for frame in frames])
    return rows.with_row_index("number").select(
        pl.format("{}", pl.col("number")).alias("id"), "repo", "path", "language", "content"
    )


if __name__ == "__main__":
    main()
