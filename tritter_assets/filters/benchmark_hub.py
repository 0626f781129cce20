"""Brings a benchmark from its dataset repository on the Hub, once.

The rows of its Parquet or JSON-lines files become one file of JSON lines in the cache, with the
commit and the SHA-256 of that file beside it. Where the policy pins no commit, the newest one is
asked for once: what is in the cache stays what verdicts are made from until it is cleared.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tritter_assets.errors import ContractViolation, UpstreamChanged

if TYPE_CHECKING:
    from tritter_assets.sources.hub_client import HubClient
    from tritter_assets.sources.loader import UpstreamFile

_KEYS = {"repo", "revision", "files", "sha256"}
_MAX_BYTES = 256 << 20
"""DS-1000, the largest of the three, has 3 MB: a file of another size is another thing."""


def stored_sha256(name: str, origin: Mapping[str, Any], cache: Path) -> str | None:
    """Returns the hash of what is in the cache, or None where there is nothing of this origin."""
    try:
        note = json.loads(_note(name, cache).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    same = note.get("origin") == _plain(name, origin) and _rows(name, cache).is_file()
    return str(note["sha256"]) if same else None


def hub_rows(
    name: str, origin: Mapping[str, Any], cache: Path, client: HubClient | None = None
) -> bytes:
    """Returns the benchmark as JSON lines, from the cache or from the Hub.

    Raises:
        UpstreamUnavailable: the Hub does not answer, or the repository is not open to us.
        UpstreamChanged: the content is not what the policy pins, or not what was stored.
    """
    from tritter_assets.sources.hub_client import HubClient

    facts = _plain(name, origin)
    known = stored_sha256(name, origin, cache)
    if known is not None:
        content = _rows(name, cache).read_bytes()
        _same(name, hashlib.sha256(content).hexdigest(), known, "was stored with")
        return content
    client = client or HubClient()
    listing = client.listing(facts["repo"], facts["revision"] or "unpinned", None, cache)
    wanted = [
        file
        for file in listing.files
        if any(fnmatch(file.name, pattern) for pattern in facts["files"])
    ]
    if not wanted:
        raise UpstreamChanged(
            f"hub {facts['repo']}@{listing.revision}: no file is like {facts['files']}; it has "
            f"{[file.name for file in listing.files][:8]}. Correct "
            f"stages.decontamination.benchmarks.{name}.hub.files"
        )
    content = b"".join(_lines(client, facts["repo"], listing.revision, file) for file in wanted)
    found = hashlib.sha256(content).hexdigest()
    if facts["sha256"]:
        _same(name, found, facts["sha256"], "is pinned to")
    note = {"origin": facts, "revision": listing.revision, "sha256": found}
    _write(_rows(name, cache), content)
    _write(_note(name, cache), json.dumps(note, sort_keys=True).encode())
    return content


def _lines(client: HubClient, repo: str, revision: str, file: UpstreamFile) -> bytes:
    import polars as pl

    if file.size_bytes > _MAX_BYTES:
        raise UpstreamChanged(
            f"hub {repo}@{revision}: {file.name} has {file.size_bytes} bytes, which no benchmark "
            f"has; the limit is {_MAX_BYTES}"
        )
    with client.open(repo, revision, file) as opened:
        raw = opened.read()
    if file.name.endswith(".parquet"):
        rows = pl.read_parquet(raw).to_dicts()
        return b"".join(json.dumps(row, default=str).encode() + b"\n" for row in rows)
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    return raw.rstrip(b"\n") + b"\n"


def _plain(name: str, origin: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(origin) - _KEYS)
    if unknown or not origin.get("repo") or not origin.get("files"):
        raise ContractViolation(
            f"policy/filters.yaml: stages.decontamination.benchmarks.{name}.hub: unknown keys "
            f"{unknown}; it takes repo, files (patterns of names), revision and sha256"
        )
    return {
        "repo": str(origin["repo"]),
        "files": [str(pattern) for pattern in origin["files"]],
        "revision": origin.get("revision"),
        "sha256": origin.get("sha256"),
    }


def _same(name: str, found: str, wanted: str, what: str) -> None:
    if found != wanted:
        raise UpstreamChanged(
            f"benchmark {name} has SHA-256 {found} and {what} {wanted}; look at what changed, then "
            f"correct the pin or delete benchmarks/{name}.* from the cache"
        )


def _rows(name: str, cache: Path) -> Path:
    return cache / "benchmarks" / f"{name}.jsonl"


def _note(name: str, cache: Path) -> Path:
    return cache / "benchmarks" / f"{name}.json"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{uuid4().hex}.partial")
    partial.write_bytes(content)
    os.replace(partial, path)
