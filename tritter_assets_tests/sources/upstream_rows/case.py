"""What a case holds, and writers of upstream's file formats."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
"""How the Hub stores pictures."""

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c6360000002000001000505a27a0000000049454e44ae426082"
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Upstream's files and the documents that they become."""

    files: Mapping[str, bytes]
    """Path in the repository -> bytes; for an address, the one file there."""
    rows: Sequence[Row]
    """The documents, sorted by path: every checked column that is not in `common` and not null."""
    common: Row = field(default_factory=dict)
    """Columns with the same value in every row."""
    skipped: Mapping[str, int] = field(default_factory=dict)
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    """Blob id -> content in the archive of Software Heritage."""
    card: str = ""
    """README.md of the repository: its `configs` choose the files."""


def parquet(columns: Sequence[tuple[str, pa.DataType]], rows: Sequence[Row]) -> bytes:
    """Writes rows under an exact schema; a column that a row lacks is null."""
    out = io.BytesIO()
    schema = pa.schema(list(columns))
    full = [{name: row.get(name) for name in schema.names} for row in rows]
    pq.write_table(pa.Table.from_pylist(full, schema=schema), out)
    return out.getvalue()


def jsonl(rows: Sequence[Row]) -> bytes:
    """Writes one JSON object per line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def git_blob_id(content: bytes) -> str:
    """Returns the git id of a blob: what Software Heritage calls a content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def card(*configs: tuple[str, Mapping[str, str]]) -> str:
    """Returns a dataset card whose configs name the files of each split."""
    lines = ["---", "configs:"]
    for name, splits in configs:
        lines += [f"- config_name: {name}", "  data_files:"]
        for split, path in splits.items():
            lines += [f"  - split: {split}", f"    path: {path}"]
    return "\n".join([*lines, "---", "# Data", ""])
