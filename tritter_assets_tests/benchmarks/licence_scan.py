"""Licence scanning at speed: headers of files, and whole licence texts.

    python -m tritter_assets_tests.benchmarks.licence_scan [CORPUS.parquet]

Headers: `scan_headers` over the corpus in frames of 2,000 rows, as `conclude` calls it during
ingestion: whole contents are given, tags, notices and copyright lines come back. Nothing is
remembered from an earlier run; best of three. Only the first 4,096 characters of a file are looked
at, so there are two rates: `header_mb_per_cpu_s` over the bytes of the files, and
`header_mb_per_cpu_s_looked_at` over the bytes that were looked at. `conclude_mb_per_cpu_s` is the
whole conclusion of each row, headers included. The peer is the extraction of reuse (SPDX tags and
copyright lines, no notices), given the same heads.

Texts: the licence files of the packages installed here, byte-distinct. `ours` is the rate for a
text whose hash was met before, `new_per_cpu_s` that of one never met; the peer is askalono's Python
binding, called on every `ASKALONO_EVERY`th of the same texts, its templates loaded before.
`same_as_askalono` is the share of those where both name the same one licence. All rates are
per CPU second, all threads counted. `rss` is the peak in MB, the corpus included.

Prints one JSON object last.
"""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Callable
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.contracts.source import SdistOrigin
from tritter_assets.licensing import detect, grants, header
from tritter_assets.licensing.conclude import Concluder
from tritter_assets.licensing.header import HEADER_CHARACTERS, HeaderFinding, scan_headers
from tritter_assets.settings import load_settings
from tritter_assets.sources.text import Decoded, decode_text
from tritter_assets_tests.benchmarks.harness import ROOT, corpus_path, report
from tritter_assets_tests.benchmarks.peers.environments import Peer, measure_peer

CORPUS_MB = 300.0
"""Read of the corpus: its first documents up to this size."""
ROWS = 2_000
PEER_MB = 40.0
ASKALONO_EVERY = 8
REPEATS = 200
_NAMES = ("license", "licence", "copying", "notice", "unlicense")


def main() -> None:
    named = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    frame = read_corpus(Path(named[0]) if named else corpus_path())
    contents = frame["content"]
    frames = [frame.slice(at, ROWS) for at in range(0, frame.height, ROWS)]
    megabytes = int(contents.str.len_bytes().sum()) / 1e6
    heads = contents.str.slice(0, HEADER_CHARACTERS)
    looked_at = int(heads.str.len_bytes().sum()) / 1e6
    index_s, _ = timed(detect.template_index)

    header_s, found = best_cold(
        lambda: [f for part in frames for f in scan_headers(part["content"])]
    )
    catalog = load_settings(ROOT, {}).catalog()
    contract = next(c for c in catalog.active_sources() if isinstance(c.origin, SdistOrigin))
    conclude_s, _ = best_cold(
        lambda: [Concluder(catalog.policy, contract, {}).conclude(part) for part in frames]
    )
    reuse = measure_peer(Peer(name="reuse", megabytes=PEER_MB), heads.to_arrow())
    texts = license_texts()
    new_s, ours = timed(lambda: [detect.identify_text(text) for text in texts])
    repeat_s, _ = timed(
        lambda: [detect.identify_text(text) for _ in range(REPEATS) for text in texts]
    )
    sample = range(0, len(texts), ASKALONO_EVERY)
    askalono = import_module("askalono")
    askalono.identify(texts[0])
    peer_s, theirs = timed(lambda: [askalono.identify(texts[at]).name for at in sample])

    repeated, rate = len(texts) * REPEATS / repeat_s, len(sample) / peer_s
    report(
        "licence_scan",
        round(repeated),
        "licence texts identified per CPU second, met before",
        {"askalono": round(rate, 2)},
        round(repeated / rate),
        new_per_cpu_s=round(len(texts) / new_s, 1),
        ratio_new=round(len(texts) / new_s / rate, 1),
        same_as_askalono=round(
            sum(same(ours[at].spdx, name) for at, name in zip(sample, theirs, strict=True))
            / len(sample),
            3,
        ),
        texts=len(texts),
        index_s=round(index_s, 2),
        header_mb_per_cpu_s=round(megabytes / header_s, 1),
        header_mb_per_cpu_s_looked_at=round(looked_at / header_s, 1),
        header_us_per_file=round(header_s / frame.height * 1e6, 1),
        conclude_mb_per_cpu_s=round(megabytes / conclude_s, 1),
        header_peers_looked_at={} if reuse.skipped else {"reuse": round(reuse.rate, 1)},
        header_peer_details=reuse.skipped or {"version": reuse.version, **(reuse.counts or {})},
        found=counts(found),
        files=frame.height,
        megabytes=round(megabytes, 1),
        looked_at_mb=round(looked_at, 1),
        rss=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    )


def read_corpus(path: Path) -> pl.DataFrame:
    frame = pl.read_parquet(path)
    if "repo" not in frame.columns:
        frame = frame.with_columns(pl.lit("corpus").alias("repo"))
    frame = frame.select("repo", "path", pl.col("content").cast(pl.String))
    size = pl.col("content").str.len_bytes().cast(pl.Int64).cum_sum()
    return frame.filter(size <= CORPUS_MB * 1e6)


def best_cold(work: Callable[[], Any]) -> tuple[float, Any]:
    """Best of three, each with nothing remembered."""
    runs = []
    for _ in range(3):
        for cached in (*vars(header).values(), *vars(grants).values(), *vars(detect).values()):
            if hasattr(cached, "cache_clear") and cached is not detect.template_index:
                cached.cache_clear()
        runs.append(timed(work))
    return min(runs, key=lambda run: run[0])


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def license_texts() -> list[str]:
    """The licence files of the installed packages, each text once, in order of name and path."""
    found: dict[str, None] = {}
    for package in sorted(metadata.distributions(), key=lambda d: d.metadata["Name"]):
        for entry in sorted(package.files or (), key=str):
            if ".dist-info/" in str(entry) and entry.name.lower().startswith(_NAMES):
                path = Path(str(entry.locate()))
                decoded = decode_text(path.read_bytes()) if path.is_file() else None
                if isinstance(decoded, Decoded):
                    found[decoded.text] = None
    return list(found)


def same(spdx: str, name: str) -> bool:
    """Whether both name one licence; texts do not say "only" or "or later"."""
    return bare(spdx) == bare(name)


def bare(spdx: str) -> str:
    return spdx.removesuffix("-only").removesuffix("-or-later")


def counts(found: list[HeaderFinding | None]) -> dict[str, int]:
    """Files by what their header says."""
    tally: dict[str, int] = {}
    for finding in found:
        kind = "nothing" if finding is None else finding.method.value
        if finding is not None and finding.expression is None:
            kind = "copyright_only"
        tally[kind] = tally.get(kind, 0) + 1
    return tally


if __name__ == "__main__":
    main()
