"""Verdicts: what each filter stage says of a document, why, and in which version of the stage.

A filter never deletes. It returns verdict rows; `filters.apply` reads them once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa


class Action(StrEnum):
    """What a verdict asks `filters.apply` to do with its document."""

    KEEP = "keep"
    DROP = "drop"
    REDACT = "redact"
    QUARANTINE = "quarantine"


class Stage(StrEnum):
    """The fifteen stages of the brief, in its order, after what ingestion could not read."""

    INGEST = "ingest"
    LANGUAGE = "language"
    LICENSE = "license"
    EXTENSION = "extension"
    LENGTH = "length"
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    LANGUAGE_SPECIFIC = "language_specific"
    GENERATED = "generated"
    COMMENT_RATIO = "comment_ratio"
    PII = "pii"
    SECRETS = "secrets"
    MALWARE = "malware"
    OPT_OUT = "opt_out"
    DECONTAMINATION = "decontamination"
    SEMANTIC_DUPLICATE = "semantic_duplicate"


STAGE_NUMBER: dict[Stage, int] = {stage: number for number, stage in enumerate(Stage)}


class Reason(StrEnum):
    """Every reason a verdict may give; a new reason is a new line here and nowhere else."""

    PASSED = "passed"
    # 0 ingest: the values of `sources.loader.SkipReason`
    BINARY = "binary"
    UNDECODABLE = "undecodable"
    EMPTY = "empty"
    MALFORMED_ROW = "malformed_row"
    LINK = "link"
    BLOB_MISSING = "blob_missing"
    BLOB_REFUSED = "blob_refused"
    BLOB_DAMAGED = "blob_damaged"
    BLOB_HASH_MISMATCH = "blob_hash_mismatch"
    # 1 language
    LANGUAGE_UNKNOWN = "language_unknown"
    LANGUAGE_MISMATCH = "language_mismatch"
    LANGUAGE_NOT_WANTED = "language_not_wanted"
    BINARY_CONTENT = "binary_content"
    # 2 license
    LICENSE_UNKNOWN = "license_unknown"
    LICENSE_NOT_ADMITTED = "license_not_admitted"
    LICENSE_CONFLICT = "license_conflict"
    WRAPPER_NOT_ADMITTED = "wrapper_not_admitted"
    ACCESS_NOT_AGREED = "access_not_agreed"
    GENERATOR_NOT_ADMITTED = "generator_not_admitted"
    GENERATOR_UNKNOWN = "generator_unknown"
    PROVENANCE_MISSING = "provenance_missing"
    EVALUATION_SPLIT = "evaluation_split"
    # 3 extension
    DATA_OR_CONFIG_FILE = "data_or_config_file"
    EXTENSION_NOT_WANTED = "extension_not_wanted"
    # 4 length
    TOO_FEW_LINES = "too_few_lines"
    TOO_MANY_LINES = "too_many_lines"
    AVERAGE_LINE_TOO_LONG = "average_line_too_long"
    LINE_TOO_LONG = "line_too_long"
    TOO_FEW_ALPHANUMERIC = "too_few_alphanumeric"
    TOO_LARGE = "too_large"
    EMPTY_CONTENT = "empty_content"
    # 5, 6, 15 duplicates
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    SEMANTIC_DUPLICATE = "semantic_duplicate"
    CLUSTER_LICENSE_CONFLICT = "cluster_license_conflict"
    # 7 language-specific
    LITTLE_VISIBLE_TEXT = "little_visible_text"
    DATA_TOO_SHORT = "data_too_short"
    DATA_TOO_LONG = "data_too_long"
    # 8 generated
    LOCK_FILE = "lock_file"
    MINIFIED = "minified"
    GENERATED_MARKER = "generated_marker"
    VENDORED = "vendored"
    # 9 comment ratio
    TOO_FEW_COMMENTS = "too_few_comments"
    TOO_MANY_COMMENTS = "too_many_comments"
    # 10 PII
    EMAIL_ADDRESS = "email_address"
    IP_ADDRESS = "ip_address"
    CREDIT_CARD = "credit_card"
    IBAN = "iban"
    NATIONAL_ID = "national_id"
    CRYPTO_WALLET = "crypto_wallet"
    PHONE_NUMBER = "phone_number"
    PERSON_NAME = "person_name"
    # 11 secrets
    SECRET = "secret"
    SECRET_CANDIDATE = "secret_candidate"
    # 12 malware
    MALWARE_RULE = "malware_rule"
    # 13 opt-out
    OPTED_OUT = "opted_out"
    # 14 decontamination
    BENCHMARK_OVERLAP = "benchmark_overlap"
    # any stage
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters of `content`, and what `apply` writes in its place."""

    start: int
    end: int
    replacement: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one stage says of one document; a stage that is silent has passed it."""

    id: str
    stage: Stage
    action: Action
    reason: Reason
    score: float | None = None
    evidence: str = ""
    """A short text or a position that lets a person check the verdict; never a secret itself."""
    spans: tuple[Span, ...] = field(default=())


VERDICT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("stage", pa.string(), nullable=False),
        pa.field("stage_number", pa.int8(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("terminal", pa.bool_(), nullable=False),
        pa.field("score", pa.float32()),
        pa.field("evidence", pa.string(), nullable=False),
        pa.field(
            "spans",
            pa.list_(
                pa.struct(
                    [
                        pa.field("start", pa.int32(), nullable=False),
                        pa.field("end", pa.int32(), nullable=False),
                        pa.field("replacement", pa.string(), nullable=False),
                    ]
                )
            ),
        ),
        pa.field("stage_version", pa.string(), nullable=False),
    ]
)
"""Rows of `verdicts/*`, ordered by (id, stage_number).

Every document has exactly one `terminal` row: the stage that dropped or quarantined it, or, for a
document that passed, `keep`/`passed` at the last stage run. Redactions are further rows that are
not terminal. So a funnel is one group-by over terminal rows and the table has no silent document.
Rows of stage `ingest` are not terminal either: they stand for files and rows of upstream that never
became documents, one for each row of `skipped/*`, whose id they carry.
"""
