"""One streaming pass over a shard: every stage, in the brief's order, on what is still alive.

Input `raw/<source>[shard]` and its ledger `skipped/<source>[shard]`, output
`verdicts/<source>[shard]` (`verdict.VERDICT_SCHEMA`), ordered by (id, stage_number). Each document
gets exactly one terminal row.

Cost is linear in the content. Memory does not grow with it where raw is ordered by id, as ingestion
leaves it: a few pieces of 16 MiB, their verdicts, and the ids (32 bytes a document). With `workers`
pieces are judged by several processes; what is stored is the same, byte for byte.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path

import polars as pl
import pyarrow as pa

from tritter_assets.contracts.policy_model import Policy
from tritter_assets.contracts.profile import Profile
from tritter_assets.contracts.source import SourceContract
from tritter_assets.errors import MissingProvenance
from tritter_assets.filters.context import (
    benchmarks_at_hand,
    clamav_of,
    load_benchmarks,
    make_context,
    malware_rules_of,
    policy_folder_of,
    secret_formats_of,
)
from tritter_assets.filters.contract import DOCUMENT_COLUMNS
from tritter_assets.filters.pass_workers import judge_pieces, workers_for
from tritter_assets.filters.pieces import JudgedPiece, PassInputs, cut
from tritter_assets.filters.run_stages import STAGES, judge_frame
from tritter_assets.filters.thresholds import FilterSettings
from tritter_assets.filters.verdict_rows import merged, ordered, skipped_table
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.sources.ledger import read_ledger
from tritter_assets.verdict import VERDICT_SCHEMA

__all__ = [
    "STAGES",
    "JudgeReport",
    "benchmarks_at_hand",
    "code_version",
    "judge_frame",
    "judge_shard",
    "load_benchmarks",
    "make_context",
]

PASS_VERSION = "2"
"""2: what ingestion skipped has a verdict."""

_DECIDING_PACKAGES = ("enry-python", "presidio-analyzer", "tldextract", "detect-secrets", "yara-x")


@dataclass(frozen=True, kw_only=True, slots=True)
class JudgeReport:
    """What the pass did; becomes the asset's metadata."""

    source: str
    shard: str
    num_documents: int
    num_skipped: int
    """Files and rows of upstream that never became documents."""
    num_kept: int
    content_bytes: int
    terminal_by_reason: Mapping[str, int]
    """`stage/reason` -> documents; `passed` counts those kept."""
    redactions_by_reason: Mapping[str, int]
    """Reason -> spans."""
    benchmarks_checked: Mapping[str, int]
    benchmarks_not_checked: Mapping[str, str]
    malware_scanners: Mapping[str, str]
    """Scanner -> rule files or signatures, and the age of these; `off` where it is turned off."""
    seconds_by_stage: Mapping[str, float] = field(default_factory=dict)
    """Wall seconds; for people, not part of any identity."""


def judge_shard(
    lake: Lake,
    source: str,
    shard: str,
    *,
    contract: SourceContract,
    policy: Policy,
    profile: Profile,
    removals: pl.DataFrame,
    fingerprint: str,
    cache: Path | None = None,
    workers: int = 1,
) -> JudgeReport:
    """Writes the verdicts of one shard.

    Args:
        lake: Holds `raw/<source>`; `verdicts/<source>` is written to it.
        source: Source id.
        shard: Partition key.
        contract: Contract of the source: wanted languages, tags.
        policy: Thresholds, licence policy, standing opt-outs.
        profile: Use profile of the licence gate, and overrides of thresholds.
        removals: Rows of the table `removals`.
        fingerprint: What the verdicts are made from, computed by the caller.
        cache: Folder of verified downloads (benchmark archives); the project's by default.
        workers: Most processes to use; what is stored does not depend on it.

    Raises:
        MissingProvenance: two documents of the shard share an id.
        WorkerLost: a worker process ended before it answered; nothing was stored.
    """
    inputs = PassInputs(
        source=source,
        shard=shard,
        contract=contract,
        policy=policy,
        profile=profile,
        removals=removals,
        cache=cache,
    )
    counts = _Counts()
    partition = {"shard": shard}
    is_ordered, content_bytes = _measure(lake, source, shard)
    skipped = skipped_table(read_ledger(lake, source, shard))
    columns = [*DOCUMENT_COLUMNS, "shard"]
    batches = lake.batches(f"raw/{source}", partition=partition, columns=columns)
    judged = judge_pieces(cut(batches), inputs, workers_for(content_bytes, workers))
    rows = _in_order(counts.watch(judged), skipped)
    if not is_ordered:
        rows = iter([ordered(pa.concat_tables(rows))])
    lake.write(
        f"verdicts/{source}",
        (batch for table in rows for batch in table.to_batches()),
        VERDICT_SCHEMA,
        fingerprint=fingerprint,
        partition=partition,
    )
    context = make_context(contract, policy, profile, removals, cache=cache)
    index = context.benchmarks
    clamav = clamav_of(context.settings)
    return JudgeReport(
        source=source,
        shard=shard,
        num_documents=counts.num_documents,
        num_skipped=skipped.num_rows,
        num_kept=counts.reasons["passed"],
        content_bytes=counts.content_bytes,
        terminal_by_reason=dict(sorted(counts.reasons.items())),
        redactions_by_reason=dict(sorted(counts.redactions.items())),
        benchmarks_checked=dict(index.num_items) if index else {},
        benchmarks_not_checked=dict(index.not_checked) if index else {},
        malware_scanners={
            "yara": f"{len(context.malware_rules)} rule files",
            "clamav": clamav.describe(datetime.now(UTC)) if clamav else "off",
        },
        seconds_by_stage={
            name: round(seconds, 3) for name, seconds in sorted(counts.seconds.items())
        },
    )


class _Counts:
    """What passes by, counted for the report."""

    def __init__(self) -> None:
        self.num_documents = 0
        self.content_bytes = 0
        self.reasons: Counter[str] = Counter()
        self.redactions: Counter[str] = Counter()
        self.seconds: dict[str, float] = {}

    def watch(self, pieces: Iterable[JudgedPiece]) -> Iterator[JudgedPiece]:
        """Counts pieces and hands them on."""
        for piece in pieces:
            self.num_documents += piece.num_documents
            self.content_bytes += piece.content_bytes
            self.reasons += piece.terminal_by_reason
            self.redactions += piece.redactions_by_reason
            for name, seconds in piece.seconds_by_stage.items():
                self.seconds[name] = self.seconds.get(name, 0.0) + seconds
            yield piece


def _measure(lake: Lake, source: str, shard: str) -> tuple[bool, int]:
    """Returns whether the shard is ordered by id, and its bytes of content.

    Raises:
        MissingProvenance: two documents share an id.
    """
    rows = lake.scan(f"raw/{source}").filter(pl.col("shard") == shard)
    found = rows.select("id", "content_bytes").collect()
    ids = found["id"]
    is_ordered = ids.is_sorted()
    doubles = (ids == ids.shift(1)).any() if is_ordered else ids.is_duplicated().any()
    if doubles:
        raise MissingProvenance(
            f"raw/{source} shard {shard} holds an id twice: ingest the shard again"
        )
    return is_ordered, int(found["content_bytes"].sum())


def _in_order(pieces: Iterable[JudgedPiece], skipped: pa.Table) -> Iterator[pa.Table]:
    """Yields verdicts in the order of their ids, those of skipped files in their places.

    Pieces of an ordered shard follow one another, so only one is held at a time.
    """
    ids = skipped.column("id").to_pylist()
    start = 0
    for piece in pieces:
        end = bisect_right(ids, piece.last_id, lo=start)
        yield merged(piece.table, skipped.slice(start, end - start))
        start = end
    if start < len(ids):
        yield skipped.slice(start)


def code_version(contract: SourceContract | None, policy: Policy, profile: Profile) -> str:
    """Returns the version of the whole pass for a source: every literal that changes a verdict."""
    settings = FilterSettings(policy.filters, profile.filters)
    folder = policy_folder_of(contract)
    rules = malware_rules_of(settings, folder)
    formats = secret_formats_of(folder)
    clamav = clamav_of(settings)
    digest = fingerprint_of(
        [(definition.stage.value, definition.version) for definition in STAGES],
        settings.digest,
        [(path.name, path.read_text("utf-8")) for path in rules],
        [clamav.engine, clamav.digest] if clamav else [],
        formats.read_text("utf-8") if formats else "",
        policy.opt_out,
        policy.admission_digest,
        profile.use_profile,
        sorted(contract.languages) if contract else [],
        sorted(contract.tags) if contract else [],
        contract.id if contract else "",
        _package_versions(),
    )
    return f"{PASS_VERSION}.{digest}"


@cache
def _package_versions() -> list[tuple[str, str]]:
    """Versions of the packages whose rules decide; read once, each costs a millisecond."""
    return [(name, metadata.version(name)) for name in _DECIDING_PACKAGES]
