"""Files that are not rows (tokenizers, checkpoints, exports, reports), kept beside the tables.

An artifact set has an address made from its content, so a set is never half replaced; the manifest
is a Delta table of the asset's name, committed after the files are in place. The manifest's rows
give each file's SHA-256, and every read checks it.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from tritter_assets.errors import LakeCorruption
from tritter_assets.lake.states import PartitionState
from tritter_assets.lake.table import Lake

MANIFEST_SCHEMA = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("size_bytes", pa.int64(), nullable=False),
        pa.field("facts", pa.string(), nullable=False),
    ]
)
"""`path` is relative to `_artifacts`; `facts` is JSON, the same for all files of a set."""

_COPY_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of an artifact set."""

    name: str
    path: str
    sha256: str
    size_bytes: int


class ArtifactStore:
    """Stores and opens artifact sets of a lake; `cache` holds copies of remote files."""

    def __init__(self, lake: Lake, cache: Path | None = None) -> None:
        self._lake = lake
        self._cache = cache

    def put(
        self,
        asset: str,
        files: Mapping[str, Path],
        *,
        fingerprint: str,
        facts: Mapping[str, Any] | None = None,
    ) -> PartitionState:
        """Copies files into the lake, then commits their manifest as the table `asset`."""
        digests = {name: _sha256(path) for name, path in sorted(files.items())}
        address = hashlib.sha256(json.dumps(digests).encode()).hexdigest()[:16]
        filesystem = self._lake.location.filesystem("_artifacts")
        rows = []
        for name, digest in digests.items():
            target = f"{asset}/{address}/{name}"
            filesystem.create_dir(target.rsplit("/", 1)[0], recursive=True)
            with files[name].open("rb") as source, filesystem.open_output_stream(target) as sink:
                while chunk := source.read(_COPY_BYTES):
                    sink.write(chunk)
            rows.append(
                {
                    "name": name,
                    "path": target,
                    "sha256": digest,
                    "size_bytes": files[name].stat().st_size,
                    "facts": json.dumps(dict(facts or {}), sort_keys=True, default=str),
                }
            )
        manifest = pa.Table.from_pylist(rows, schema=MANIFEST_SCHEMA)
        return self._lake.write(asset, manifest, MANIFEST_SCHEMA, fingerprint=fingerprint)

    def list(self, asset: str) -> dict[str, Artifact]:
        """Returns the files of an artifact set by name."""
        rows = self._lake.scan(asset).select("name", "path", "sha256", "size_bytes").collect()
        return {row["name"]: Artifact(**row) for row in rows.iter_rows(named=True)}

    def facts(self, asset: str) -> dict[str, Any]:
        """Returns the facts stored with an artifact set."""
        return json.loads(self._lake.scan(asset).select(pl.col("facts").first()).collect().item())

    def open_local(self, asset: str, name: str) -> Path:
        """Returns a path of this machine that holds the file, fetched if the lake is remote.

        Raises:
            LakeCorruption: the set has no such file, or its bytes are not what was committed.
        """
        found = self.list(asset)
        if name not in found:
            raise LakeCorruption(f"{asset} holds {sorted(found)}, not {name!r}")
        artifact = found[name]
        location = self._lake.location
        if location.is_local:
            path = Path(location.uri("_artifacts")) / artifact.path
        else:
            if self._cache is None:
                raise LakeCorruption(f"{asset}/{name} is remote and no cache folder was given")
            path = self._cache / artifact.path
            if not path.exists() or _sha256(path) != artifact.sha256:
                path.parent.mkdir(parents=True, exist_ok=True)
                filesystem = location.filesystem("_artifacts")
                with filesystem.open_input_file(artifact.path) as source, path.open("wb") as sink:
                    shutil.copyfileobj(source, sink, _COPY_BYTES)
        if not path.exists() or _sha256(path) != artifact.sha256:
            raise LakeCorruption(
                f"{asset}/{name} at {path} is missing or altered: materialise {asset!r} again"
            )
        return path


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while chunk := source.read(_COPY_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
