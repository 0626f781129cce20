"""Stage 11 and detect-secrets' default scan in one run over the same files.

    python -m tritter_assets_tests.benchmarks.secrets

Ours: the whole corpus (`BENCH_CORPUS`, else the harness's), detection with all 27 plugins and the
vendors' forms; and the stage as a pass runs it, policy and places included. detect-secrets:
`core.scan.scan_file` under `default_settings()`, one file after the other, no verification, on a
sample drawn by hash of `PEER_MB`; ours is run on that sample too. Recall is over its findings
(file, type, line, value); `extra` counts ours that it has not. Both sides assert that every file
given was scanned. Figures are MB of text per CPU second of one process.

Prints one JSON object last.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import polars as pl

from tritter_assets.filters import secrets
from tritter_assets.filters.secret_plugins import detect, plugins
from tritter_assets_tests.benchmarks.harness import corpus_path, report
from tritter_assets_tests.filters.documents import config_of, context_of

PEER_MB = float(os.environ.get("BENCH_PEER_MB", "6"))
"""detect-secrets reads about 0.1 MB/s: a minute for this much."""

BATCH_ROWS = 1000

Found = tuple[str, str, int, str]


def main() -> None:
    rows = pl.read_parquet(corpus_path(), columns=["repo", "path", "content"]).unique(
        ["repo", "path"], keep="first", maintain_order=True
    )
    corpus = rows.select("content", path=pl.col("repo") + "/" + pl.col("path"))
    corpus = corpus.with_columns(id=pl.col("path"))
    ours_run(corpus.head(20))  # compiles
    stage_run(corpus.head(20))

    whole_s, _ = min((ours_run(corpus) for _ in range(2)), key=lambda run: run[0])
    stage_s, redacted, reported = stage_run(corpus)
    sample = sampled(corpus)
    sample_s, ours = min((ours_run(sample) for _ in range(2)), key=lambda run: run[0])
    peer_s, peer = peer_run(sample)

    megabytes, sample_mb = text_mb(corpus), text_mb(sample)
    ours_rate, peer_rate = megabytes / whole_s, sample_mb / peer_s
    missed = sorted(peer - ours)
    print(*missed[:20], sep="\n", file=sys.stderr)
    report(
        "secrets",
        round(ours_rate, 1),
        "MB per CPU second, detection with 27 plugins",
        {"detect-secrets": round(peer_rate, 3)},
        round((sample_mb / sample_s) / peer_rate, 1),
        peer=round(peer_rate, 3),
        recall=round(len(peer & ours) / len(peer), 5) if peer else 1.0,
        extra=len(ours - peer),
        extra_by_type=dict(Counter(kind for _, kind, _, _ in ours - peer)),
        peer_findings=len(peer),
        missed=len(missed),
        files_given=sample.height,
        files_scanned=sample.height,
        documents=corpus.height,
        megabytes=round(megabytes, 1),
        peer_megabytes=round(sample_mb, 1),
        ours_on_sample=round(sample_mb / sample_s, 1),
        stage_mb_per_s=round(megabytes / stage_s, 1),
        documents_redacted=redacted,
        documents_reported=reported,
    )


def ours_run(frame: pl.DataFrame) -> tuple[float, set[Found]]:
    kinds = {name: plugin.secret_type for name, plugin in plugins(()).items()}
    found: set[Found] = set()
    scanned = 0
    begin = time.process_time()
    for batch in frame.iter_slices(BATCH_ROWS):
        paths = batch["path"].to_list()
        detection = detect(batch["content"], paths)
        scanned += detection.num_scanned
        for row, findings in detection.findings.items():
            found |= {(paths[row], kinds[f.plugin], f.line, f.secret) for f in findings}
    seconds = time.process_time() - begin
    assert scanned == frame.height, f"{frame.height} files given, {scanned} scanned"
    return seconds, found


def stage_run(frame: pl.DataFrame) -> tuple[float, int, int]:
    """Runs the stage as a pass does; returns seconds, documents redacted and reported."""
    config, context = config_of(secrets.DEFINITION), context_of()
    verdicts = []
    begin = time.process_time()
    for batch in frame.iter_slices(BATCH_ROWS):
        verdicts += secrets.judge_secrets(batch, config, context)
    seconds = time.process_time() - begin
    redacted = sum(bool(verdict.spans) for verdict in verdicts)
    return seconds, redacted, len(verdicts) - redacted


def sampled(frame: pl.DataFrame) -> pl.DataFrame:
    shuffled = frame.with_columns(order=pl.col("path").hash(7)).sort("order").drop("order")
    size = shuffled["content"].str.len_bytes().cum_sum()
    return shuffled.filter(size <= PEER_MB * 1e6)


def peer_run(frame: pl.DataFrame) -> tuple[float, set[Found]]:
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    found: set[Found] = set()
    given = scanned = 0
    seconds = 0.0
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder, default_settings() as settings:
        assert not any("verification" in name for name in settings.filters)
        os.chdir(folder)
        try:
            for path, content in frame.select("path", "content").iter_rows():
                file = Path(path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(content, encoding="utf-8", newline="")
                given += 1
                begin = time.process_time()
                findings = list(scan_file(path))
                seconds += time.process_time() - begin
                scanned += 1
                found |= {(path, f.type, f.line_number, f.secret_value or "") for f in findings}
                file.unlink()
        finally:
            os.chdir(before)
    assert given == scanned == frame.height
    return seconds, found


def text_mb(frame: pl.DataFrame) -> float:
    return float(frame["content"].str.len_bytes().sum()) / 1e6


if __name__ == "__main__":
    main()
