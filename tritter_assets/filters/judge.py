"""One streaming pass over a shard: every stage, in the brief's order, on what is still alive.

Input `raw/<source>[shard]` and its ledger `skipped/<source>[shard]`, output
`verdicts/<source>[shard]` (`verdict.VERDICT_SCHEMA`). What a
stage drops or quarantines is not shown to later stages, unless `run_all_stages` is set for
study. Each document gets exactly one terminal row. Memory is one batch of documents (row groups of
32 MiB) and the shard's verdicts; cost is linear in the content.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata
from pathlib import Path
from time import perf_counter
from typing import Any

import polars as pl
import pyarrow as pa

from tritter_assets.contracts.policy_model import Policy
from tritter_assets.contracts.profile import Profile
from tritter_assets.contracts.source import SourceContract
from tritter_assets.errors import MissingProvenance
from tritter_assets.filters import (
    comment_ratio,
    decontamination,
    extension,
    generated,
    language,
    language_specific,
    length,
    license_gate,
    malware,
    opt_out,
    pii,
    secrets,
)
from tritter_assets.filters.context import (
    benchmarks_at_hand,
    load_benchmarks,
    make_context,
    malware_rules_of,
    policy_folder_of,
    secret_formats_of,
)
from tritter_assets.filters.contract import (
    DOCUMENT_COLUMNS,
    JudgeContext,
    StageDefinition,
)
from tritter_assets.filters.thresholds import FilterSettings
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.sources.ledger import LEDGER_VERSION, read_ledger
from tritter_assets.verdict import (
    STAGE_NUMBER,
    VERDICT_SCHEMA,
    Action,
    Reason,
    Stage,
    Verdict,
)

STAGES: tuple[StageDefinition, ...] = (
    language.DEFINITION,
    license_gate.DEFINITION,
    extension.DEFINITION,
    length.DEFINITION,
    language_specific.DEFINITION,
    generated.DEFINITION,
    comment_ratio.DEFINITION,
    pii.DEFINITION,
    secrets.DEFINITION,
    malware.DEFINITION,
    opt_out.DEFINITION,
    decontamination.DEFINITION,
)
"""Stages of the pass. 5, 6 and 15 are the global indexes, which run after it."""

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

_TERMINAL = (Action.DROP, Action.QUARANTINE)
_DECIDING_PACKAGES = ("enry-python", "presidio-analyzer", "tldextract", "detect-secrets", "yara-x")
_BATCH_BYTES = 16 << 20
_SPANS = pl.Schema(VERDICT_SCHEMA)["spans"]


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

    Raises:
        MissingProvenance: two documents of the shard share an id.
    """
    context = make_context(contract, policy, profile, removals, cache=cache)
    timer: dict[str, float] = defaultdict(float)
    tables: list[pa.Table] = []
    reasons: Counter[str] = Counter()
    redactions: Counter[str] = Counter()
    seen: set[str] = set()
    num_documents, num_kept, content_bytes = 0, 0, 0
    partition = {"shard": shard}
    columns = [*DOCUMENT_COLUMNS, "shard"]
    for batch in lake.batches(f"raw/{source}", partition=partition, columns=columns):
        for frame in _bounded(pl.DataFrame(batch)):
            rows = judge_frame(frame, context, timer=timer)
            ids = set(frame["id"])
            if len(ids) != frame.height or not seen.isdisjoint(ids):
                raise MissingProvenance(
                    f"raw/{source} shard {shard} holds an id twice: ingest the shard again"
                )
            seen |= ids
            num_documents += frame.height
            content_bytes += int(frame["content"].str.len_bytes().sum())
            for row in rows:
                if row["terminal"]:
                    kept = row["action"] == Action.KEEP.value
                    num_kept += kept
                    reasons["passed" if kept else f"{row['stage']}/{row['reason']}"] += 1
                elif row["action"] == Action.REDACT.value:
                    redactions[row["reason"]] += len(row["spans"])
            tables.append(_to_table(rows, source, shard))
    skipped = _skipped(read_ledger(lake, source, shard))
    tables.append(skipped)
    everything = pa.concat_tables(tables)
    ordered = everything.sort_by(
        [("id", "ascending"), ("stage_number", "ascending"), ("reason", "ascending")]
    )
    lake.write(
        f"verdicts/{source}", ordered, VERDICT_SCHEMA, fingerprint=fingerprint, partition=partition
    )
    index = context.benchmarks
    return JudgeReport(
        source=source,
        shard=shard,
        num_documents=num_documents,
        num_skipped=skipped.num_rows,
        num_kept=num_kept,
        content_bytes=content_bytes,
        terminal_by_reason=dict(sorted(reasons.items())),
        redactions_by_reason=dict(sorted(redactions.items())),
        benchmarks_checked=dict(index.num_items) if index else {},
        benchmarks_not_checked=dict(index.not_checked) if index else {},
        seconds_by_stage={name: round(seconds, 3) for name, seconds in sorted(timer.items())},
    )


def judge_frame(
    frame: pl.DataFrame, context: JudgeContext, *, timer: dict[str, float] | None = None
) -> list[dict[str, Any]]:
    """Judges documents and returns rows of `VERDICT_SCHEMA` (source and shard left to the caller).

    Args:
        frame: Columns of `contract.DOCUMENT_COLUMNS`.
        context: Made by `make_context`.
        timer: When given, wall seconds per stage are added to it.
    """
    verdicts: list[Verdict] = []
    settled: set[str] = set()
    alive = frame
    last = STAGES[-1].stage
    for definition in STAGES:
        begin = perf_counter()
        found = _run_stage(definition, alive, context)
        if timer is not None:
            timer[definition.stage.value] += perf_counter() - begin
        verdicts += found
        stopped = {v.id for v in found if v.action in _TERMINAL}
        settled |= stopped
        if definition.stage is Stage.LENGTH:
            # Whatever is set, nothing unbounded goes further.
            size = pl.col("content").str.len_bytes()
            alive = alive.filter(size <= context.settings.max_document_bytes)
        if stopped and not context.settings.run_all_stages:
            alive = alive.filter(~pl.col("id").is_in(list(stopped)))
    return _rows(frame["id"].to_list(), verdicts, last)


def _run_stage(
    definition: StageDefinition, frame: pl.DataFrame, context: JudgeContext
) -> list[Verdict]:
    """Runs a stage on groups of documents that share one config."""
    verdicts: list[Verdict] = []
    if frame.is_empty():
        return verdicts
    groups: dict[Any, list[tuple[str, str | None]]] = {}
    configs: dict[Any, Any] = {}
    for modality, tongue in frame.select("modality", "language").unique().iter_rows():
        config = context.settings.resolve(
            definition.stage,
            definition.config,
            modality=modality,
            language=tongue,
            source=context.source,
            tags=context.tags,
        )
        if config is not None:
            key = repr(config)
            configs[key] = config
            groups.setdefault(key, []).append((modality, tongue))
    for key in sorted(groups):
        pairs = pl.DataFrame(
            groups[key],
            schema={"modality": pl.String, "language": pl.String},
            orient="row",
        )
        part = frame
        if len(groups) > 1 or pairs.height < _num_pairs(frame):
            part = frame.join(pairs, on=["modality", "language"], how="semi", nulls_equal=True)
        verdicts += _guarded(definition, part, configs[key], context)
    return verdicts


def _num_pairs(frame: pl.DataFrame) -> int:
    return frame.select("modality", "language").n_unique()


def _guarded(
    definition: StageDefinition, frame: pl.DataFrame, config: Any, context: JudgeContext
) -> list[Verdict]:
    """Runs a stage; when it fails, finds the documents it fails on and quarantines them.

    A stage that fails on every document is a defect of the stage, and its error is raised.
    """
    try:
        return definition.judge(frame, config, context)
    except (UnicodeError, ValueError, OverflowError, RecursionError, pl.exceptions.PolarsError):
        if frame.height == 1:
            raise
    verdicts: list[Verdict] = []
    failed = 0
    last: Exception | None = None
    for number in range(frame.height):
        one = frame.slice(number, 1)
        try:
            verdicts += definition.judge(one, config, context)
        except (
            UnicodeError, ValueError, OverflowError, RecursionError, pl.exceptions.PolarsError
        ) as error:  # fmt: skip
            failed, last = failed + 1, error
            verdicts.append(
                Verdict(
                    one["id"][0],
                    definition.stage,
                    Action.QUARANTINE,
                    Reason.UNREADABLE,
                    None,
                    f"{definition.stage} failed: {type(error).__name__}",
                )
            )
    if failed == frame.height and last is not None:
        raise last
    return verdicts


def _rows(ids: Sequence[str], verdicts: Sequence[Verdict], last: Stage) -> list[dict[str, Any]]:
    versions = {definition.stage: definition.version for definition in STAGES}
    ordered = sorted(verdicts, key=lambda v: STAGE_NUMBER[v.stage])
    done: set[str] = set()
    rows: list[dict[str, Any]] = []
    for verdict in ordered:
        terminal = verdict.action in _TERMINAL and verdict.id not in done
        if terminal:
            done.add(verdict.id)
        rows.append(_row(verdict, terminal, versions[verdict.stage]))
    for row_id in ids:
        if row_id not in done:
            kept = Verdict(row_id, last, Action.KEEP, Reason.PASSED)
            rows.append(_row(kept, True, versions[last]))
    return rows


def _row(verdict: Verdict, terminal: bool, version: str) -> dict[str, Any]:
    return {
        "id": verdict.id,
        "stage": verdict.stage.value,
        "stage_number": STAGE_NUMBER[verdict.stage],
        "action": verdict.action.value,
        "reason": verdict.reason.value,
        "terminal": terminal,
        "score": verdict.score,
        "evidence": verdict.evidence,
        "spans": [
            {"start": span.start, "end": span.end, "replacement": span.replacement}
            for span in verdict.spans
        ],
        "stage_version": version,
    }


def _to_table(rows: list[dict[str, Any]], source: str, shard: str) -> pa.Table:
    return pa.Table.from_pylist(
        [{**row, "source": source, "shard": shard} for row in rows], schema=VERDICT_SCHEMA
    )


def _skipped(ledger: pl.DataFrame) -> pa.Table:
    """Verdicts of what ingestion could not read."""
    rows = ledger.select(
        "id",
        "source",
        "shard",
        "reason",
        stage=pl.lit(Stage.INGEST.value),
        stage_number=pl.lit(STAGE_NUMBER[Stage.INGEST], pl.Int8),
        action=pl.lit(Action.DROP.value),
        terminal=pl.lit(value=False),
        score=pl.lit(None, pl.Float32),
        evidence=pl.col("detail"),
        spans=pl.lit([], _SPANS),
        stage_version=pl.lit(LEDGER_VERSION),
    )
    return rows.select(VERDICT_SCHEMA.names).to_arrow().cast(VERDICT_SCHEMA)


def _bounded(frame: pl.DataFrame) -> list[pl.DataFrame]:
    """Cuts a batch so that a piece holds about `_BATCH_BYTES` of content."""
    pieces: list[pl.DataFrame] = []
    start, size = 0, 0
    for number, length_bytes in enumerate(frame["content"].str.len_bytes()):
        if size and size + length_bytes > _BATCH_BYTES:
            pieces.append(frame.slice(start, number - start))
            start, size = number, 0
        size += length_bytes
    pieces.append(frame.slice(start))
    return [piece for piece in pieces if not piece.is_empty()]


def code_version(contract: SourceContract | None, policy: Policy, profile: Profile) -> str:
    """Returns the version of the whole pass for a source: every literal that changes a verdict."""
    settings = FilterSettings(policy.filters, profile.filters)
    folder = policy_folder_of(contract)
    rules = malware_rules_of(settings, folder)
    formats = secret_formats_of(folder)
    digest = fingerprint_of(
        [(definition.stage.value, definition.version) for definition in STAGES],
        settings.digest,
        [(path.name, path.read_text("utf-8")) for path in rules],
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
