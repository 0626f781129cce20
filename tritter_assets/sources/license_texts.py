r"""The licence texts of the repositories of one shard, as their own files have them.

Output `license_texts/<source>[shard]`, sorted by id:

| column | what |
|---|---|
| id | hash of source, repo and path; never the id of a document |
| source, shard, repo | as in `raw/<source>` |
| path | of the file inside the repository |
| sha256 | of `text` |
| text | the file, line ends as `\n` and none after the last line |

A notice has to reproduce these: the text of a licence names its holder. A repository is listed when
a row of it is read. Like the ledger beside it, the table is written just before the raw commit and
with its fingerprint, and a shard without texts has no partition. Memory: 32 MiB, then sorted
through temporary files.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from tritter_assets.lake import Lake
from tritter_assets.record import document_id
from tritter_assets.sources.sorting import DocumentSorter

if TYPE_CHECKING:
    from tritter_assets.licensing.repo_evidence import RepoEvidence

LICENSE_TEXT_SCHEMA = pa.schema(
    [
        pa.field(name, pa.string(), nullable=False)
        for name in ("id", "source", "shard", "repo", "path", "sha256")
    ]
    + [pa.field("text", pa.large_string(), nullable=False)]
)

_MEMORY_BYTES = 32 << 20
_FRAME_SCHEMA = dict.fromkeys(LICENSE_TEXT_SCHEMA.names, pl.String)
_MANIFEST = "SPDX-License-Identifier:"
"""What evidence holds of a manifest: a line of ours, not a text of theirs."""


def license_text_table(source: str) -> str:
    """Returns the name of a source's table of licence texts."""
    return f"license_texts/{source}"


class LicenseTexts:
    """Takes frames as they are read, and keeps the texts of the repositories that they name."""

    def __init__(
        self, source: str, shard: str, evidence: Mapping[str, RepoEvidence], spill: Path
    ) -> None:
        self._source = source
        self._shard = shard
        self._evidence = evidence
        self._sorter = DocumentSorter(spill / "license_texts", _MEMORY_BYTES, ())
        self._seen: set[str] = set()
        self._num_rows = 0

    def add(self, frame: pl.DataFrame) -> None:
        """Takes the repositories of a frame."""
        if not self._evidence:
            return
        for repo in frame["repo"].unique().sort().to_list():
            if repo in self._seen or repo not in self._evidence:
                continue
            self._seen.add(repo)
            self._add(self._evidence[repo])

    def write(self, lake: Lake, fingerprint: str) -> None:
        """Replaces the shard's partition of `license_texts/<source>`."""
        table, partition = license_text_table(self._source), {"shard": self._shard}
        if not self._num_rows and lake.state(table, partition) is None:
            return
        lake.write(
            table,
            (batch.select(LICENSE_TEXT_SCHEMA.names) for batch in self._sorter.batches()),
            LICENSE_TEXT_SCHEMA,
            fingerprint=fingerprint,
            partition=partition,
        )

    def close(self) -> None:
        """Removes temporary files."""
        self._sorter.close()

    def _add(self, evidence: RepoEvidence) -> None:
        rows: list[tuple[str, ...]] = []
        files = list(evidence.license_files)
        if evidence.dep5:
            files.append(("debian/copyright", evidence.dep5))
        for path, found in sorted(dict(files).items()):
            text = _plain(found)
            if not text or (text.startswith(_MANIFEST) and "\n" not in text):
                continue
            digest = sha256(text.encode()).hexdigest()
            # No path of a document begins with NUL, so no document has this id.
            row_id = document_id(self._source, evidence.repo, f"\0{path}", "")
            rows.append((row_id, self._source, self._shard, evidence.repo, path, digest, text))
        if rows:
            frame = pl.DataFrame(rows, schema=_FRAME_SCHEMA, orient="row")
            size = pl.col("text").str.len_bytes().cast(pl.Int64).alias("content_bytes")
            self._sorter.add(frame.with_columns(size))
            self._num_rows += len(rows)


def _plain(text: str) -> str:
    storable = text.encode("utf-8", "backslashreplace").decode("utf-8")
    lines = storable.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")
