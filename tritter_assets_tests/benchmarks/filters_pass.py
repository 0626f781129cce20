"""The whole pass of stages 1-14 over shards of a lake: speed, scaling, memory.

    make bench NAME=filters_pass

Each run is a process of its own that judges one shard of raw, reading and writing included. Figures
are MB of text per CPU second of that process and its workers, `scaling` is wall time with one
worker over wall time with two (on a machine that does nothing else), memory is the peak resident
set of any one process. `ours` leaves out what a process costs to start (`start_cpu_seconds`, a
shard of 1 MB), which a shard pays once.

- `corpus`: the first `PASS_MB` (100) of the corpus, with one worker and with two
- `large`: a shard of `PASS_LARGE_MB` (2000): the corpus over and over, each copy under another id
- `long_line`: one document that is a single line of 100 MB

The peer is what the brief's tools cost when each is simply run on every file: go-enry, presidio's
six pattern recognisers, detect-secrets, on a sample drawn evenly over the corpus; licences, sizes,
comments and decontamination cost it nothing.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from tritter_assets.contracts.policy import load_policy
from tritter_assets.lake import Lake
from tritter_assets.record import DOCUMENT_SCHEMA, content_sha256
from tritter_assets_tests.benchmarks.harness import CACHE, ROOT, corpus_path, report
from tritter_assets_tests.filters.documents import POLICY, PROFILE
from tritter_assets_tests.filters.test_pass import CONTRACT, NO_REMOVALS

MEGABYTES = int(os.environ.get("PASS_MB", "100"))
LARGE_MEGABYTES = int(os.environ.get("PASS_LARGE_MB", "2000"))
SAMPLE_BYTES = 1_500_000


def main() -> None:
    if len(sys.argv) > 1:
        _judge(sys.argv[1], sys.argv[2], int(sys.argv[3]))
        return
    with tempfile.TemporaryDirectory() as folder:
        _store(folder, "corpus", _corpus(MEGABYTES))
        _store(folder, "long_line", iter([_rows([("long", "a.py", "python", "x" * 100_000_000)])]))
        _store(folder, "tiny", _corpus(1))
        _run(folder, "tiny", 1)  # compiles
        start = _run(folder, "tiny", 1)
        one, two = _run(folder, "corpus", 1), _run(folder, "corpus", 2)
        assert one["data_version"] == two["data_version"]
        long_line = _run(folder, "long_line", 1)
        large: dict[str, Any] = {}
        if LARGE_MEGABYTES:
            _store(folder, "large", _corpus(LARGE_MEGABYTES))
            large = _run(folder, "large", 2)
    peers = _peers()
    ours = (one["megabytes"] - start["megabytes"]) / (one["cpu_seconds"] - start["cpu_seconds"])
    report(
        "filters_pass",
        round(ours, 1),
        "MB per CPU second",
        {name: round(speed, 3) for name, speed in peers.items()},
        round(ours / peers["the brief's tools, run plainly"], 1),
        scaling=round(one["wall_seconds"] / two["wall_seconds"], 2),
        start_cpu_seconds=start["cpu_seconds"],
        one_worker=one,
        two_workers=two,
        large=large,
        long_line=long_line,
    )


def _run(folder: str, shard: str, workers: int) -> dict[str, Any]:
    command = [sys.executable, "-m", __spec__.name, folder, shard, str(workers)]  # type: ignore[union-attr]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return json.loads(done.stdout.splitlines()[-1])


def _judge(folder: str, shard: str, workers: int) -> None:
    from tritter_assets.filters import pass_workers
    from tritter_assets.filters.judge import judge_shard

    if workers > 1:
        pass_workers.BYTES_PER_WORKER = 1
    lake = Lake.at(folder)
    begin = time.perf_counter()
    found = judge_shard(
        lake,
        "demo",
        shard,
        contract=replace(CONTRACT, languages=()),
        policy=load_policy(POLICY),
        profile=PROFILE,
        removals=NO_REMOVALS,
        fingerprint="2" * 15,
        cache=CACHE,
        workers=workers,
    )
    wall = time.perf_counter() - begin
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    state = lake.state("verdicts/demo", {"shard": shard})
    assert state is not None
    result = {
        "megabytes": round(found.content_bytes / 1e6, 1),
        "documents": found.num_documents,
        "kept": found.num_kept,
        "workers": workers,
        "wall_seconds": round(wall, 2),
        "cpu_seconds": round(sum(u.ru_utime + u.ru_stime for u in usage), 2),
        "peak_mb_of_caller": usage[0].ru_maxrss // 1024,
        "peak_mb_of_a_worker": usage[1].ru_maxrss // 1024 if workers > 1 else None,
        "seconds_by_stage": found.seconds_by_stage,
        "data_version": state.data_version,
    }
    print(json.dumps(result))


def _corpus(megabytes: int) -> Iterator[pa.RecordBatch]:
    """Yields documents in the order of their ids, copies of the corpus one after the other."""
    source = pl.read_parquet(corpus_path(), columns=["path", "language", "content"])
    left, copy = megabytes * 1_000_000, 0
    while left > 0:
        for start in range(0, source.height, 2000):
            rows = []
            for number, row in enumerate(source.slice(start, 2000).iter_rows(), start):
                if left <= 0:
                    break
                left -= len(row[2].encode())
                rows.append((f"{copy:06d}-{number:08d}", *row))
            if rows:
                yield _rows(rows)
        copy += 1


def _rows(rows: list[tuple[str, str, str, str]]) -> pa.RecordBatch:
    ids, paths, languages, contents = zip(*rows, strict=True)
    fixed = {
        "source": "demo", "repo": "o/r", "revision": "1", "modality": "code", "generator": "human",
        "license_concluded": "MIT", "license_method": "license_file", "license_wrapper": "MIT",
        "access_terms": "none", "license_evidence": "[]", "owner": "o",
    }  # fmt: skip
    columns: dict[str, Any] = {name: [value] * len(rows) for name, value in fixed.items()} | {
        "id": ids,
        "path": paths,
        "language": languages,
        "content": contents,
        "license_confidence": [1.0] * len(rows),
        "content_sha256": [content_sha256(text) for text in contents],
        "content_bytes": [len(text.encode()) for text in contents],
    }
    return pa.RecordBatch.from_pydict(
        {field.name: pa.array(columns.get(field.name, [None] * len(rows)), field.type)
         for field in DOCUMENT_SCHEMA if field.name != "shard"}
    )  # fmt: skip


def _store(folder: str, shard: str, batches: Iterator[pa.RecordBatch]) -> None:
    named = (
        batch.append_column("shard", pa.array([shard] * batch.num_rows, pa.string()))
        for batch in batches
    )
    Lake.at(folder).write(
        "raw/demo", named, DOCUMENT_SCHEMA, fingerprint="1" * 15, partition={"shard": shard}
    )


def _peers() -> dict[str, float]:
    """MB per CPU second of each tool the brief names, on the same sample."""
    rows = _sample()
    megabytes = sum(len(content.encode()) for _, content in rows) / 1e6
    seconds = {"enry": _enry(rows), "presidio": _presidio(rows), "detect-secrets": _secrets(rows)}
    speeds = {name: megabytes / used for name, used in seconds.items()}
    return speeds | {"the brief's tools, run plainly": megabytes / sum(seconds.values())}


def _sample() -> list[tuple[str, str]]:
    frame = pq.read_table(corpus_path(), columns=["path", "content"]).to_pylist()
    step = max(1, sum(len(row["content"]) for row in frame) // SAMPLE_BYTES)
    return [(row["path"], row["content"]) for row in frame[::step]]


def _enry(rows: list[tuple[str, str]]) -> float:
    import enry

    begin = time.process_time()
    for path, content in rows:
        data = content.encode()
        enry.get_language(path, data)
        enry.is_generated(path, data)
        enry.is_vendor(path)
    return time.process_time() - begin


def _presidio(rows: list[tuple[str, str]]) -> float:
    from presidio_analyzer import predefined_recognizers as known

    recognizers = [
        known.EmailRecognizer(), known.IpRecognizer(), known.CreditCardRecognizer(),
        known.IbanRecognizer(), known.UsSsnRecognizer(), known.CryptoRecognizer(),
    ]  # fmt: skip
    begin = time.process_time()
    for _, content in rows:
        for recognizer in recognizers:
            recognizer.analyze(content, recognizer.supported_entities)
    return time.process_time() - begin


def _secrets(rows: list[tuple[str, str]]) -> float:
    from detect_secrets.core.secrets_collection import SecretsCollection
    from detect_secrets.settings import default_settings

    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, (path, content) in enumerate(rows):
            file = Path(folder) / f"{number}_{path.rsplit('/', 1)[-1]}"
            file.write_text(content, "utf-8")
            files.append(str(file))
        begin = time.process_time()
        with default_settings():
            secrets = SecretsCollection()
            for file in files:
                secrets.scan_file(file)
        return time.process_time() - begin


if __name__ == "__main__":
    main()
