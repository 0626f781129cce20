"""The document row: one Arrow schema for code, text, instruction, preference, image and audio rows.

Licence facts stand on four axes that are never folded into one another: what the content says of
itself (`license_declared`, `license_concluded`), what the dataset around it says
(`license_wrapper`), what one agreed to in order to get it (`access_terms`), and who or what wrote
it (`generator`).
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

import pyarrow as pa

NOASSERTION = "NOASSERTION"
"""SPDX's word for "we do not know": it never passes a licence gate."""

HUMAN = "human"
"""`generator` of a row that a person wrote."""


class Modality(StrEnum):
    """What a row trains: decides which filters and which packer it meets."""

    CODE = "code"
    TEXT = "text"
    INSTRUCTION = "instruction"
    PREFERENCE = "preference"
    IMAGE = "image"
    AUDIO = "audio"


class LicenseMethod(StrEnum):
    """How `license_concluded` was reached, cheapest evidence first."""

    DECLARED_COLUMN = "declared_column"
    SPDX_HEADER = "spdx_header"
    HEADER_NOTICE = "header_notice"
    LICENSE_FILE = "license_file"
    PACKAGE_METADATA = "package_metadata"
    DEP5 = "dep5"
    WRAPPER = "wrapper"
    INHERITED = "inherited"
    DECISION = "decision"
    NONE = "none"


DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("repo", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("revision", pa.string(), nullable=False),
        pa.field("url", pa.string()),
        pa.field("language", pa.string()),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("split", pa.string()),
        pa.field("content", pa.large_string(), nullable=False),
        pa.field("content_sha256", pa.string(), nullable=False),
        pa.field("content_bytes", pa.int64(), nullable=False),
        pa.field("license_declared", pa.string()),
        pa.field("license_concluded", pa.string(), nullable=False),
        pa.field("license_method", pa.string(), nullable=False),
        pa.field("license_confidence", pa.float32(), nullable=False),
        pa.field("license_evidence", pa.string(), nullable=False),
        pa.field("license_wrapper", pa.string(), nullable=False),
        pa.field("access_terms", pa.string(), nullable=False),
        pa.field("generator", pa.string(), nullable=False),
        pa.field("attribution", pa.string()),
        pa.field("owner", pa.string()),
        pa.field("author_emails", pa.list_(pa.string())),
        pa.field("derived_from", pa.list_(pa.string())),
        pa.field("quality_score", pa.float32()),
        pa.field("instruction", pa.large_string()),
        pa.field("response", pa.large_string()),
        pa.field("chosen", pa.large_string()),
        pa.field("rejected", pa.large_string()),
        pa.field("image", pa.large_binary()),
        pa.field("audio", pa.large_binary()),
    ]
)
"""Columns of `raw/*`, `filtered/*`, `functions/*` and `synthetic/*`.

`license_evidence` is a JSON list of {"method", "value", "where", "confidence"}; `owner` and
`author_emails` are the opt-out keys; `derived_from` lists the ids a synthetic or extracted row was
made from. For instruction and preference rows `content` holds the prompt and its answer or
answers joined, so that every filter and index sees the whole text.
"""


def document_id(source: str, repo: str, path: str, content: str) -> str:
    """Returns the 32-hex-digit id of a document, stable across runs, machines and shard counts."""
    return place_id(source, repo, path, content_sha256(content))


def place_id(source: str, repo: str, path: str, sha256: str) -> str:
    """Returns the id of the document with this content hash: a text is read once for both."""
    key = "\0".join((source, repo, path, sha256))
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def content_sha256(content: str) -> str:
    """Returns the SHA-256 of the content's UTF-8 bytes, in hex."""
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()
