"""Turns Software Heritage blob ids into text from the archive's public S3 bucket.

Blobs are gzip objects under `content/<id>`. Each is checked against its id, which is the SHA-1 of
its git blob form or of its bytes (both are in use), then decoded by the row's `src_encoding`. A
blob that is missing, refused, damaged or wrong is one skipped row with its reason, in the ledger; a
store that fails or refuses altogether fails the shard, so that no run passes with silent losses.

Cost per blob, network included: 0.15 ms of CPU at 11 KB, half of it unpacking, decoding and
mapping. Memory: a window of rows, one unpacked blob, and `BlobStore.buffer_bytes` of packed ones
plus what a connection reads at once (256 KB each). The order of documents is that of the rows,
whatever the order of answers.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.loader import LoaderContext, SkipReason
from tritter_assets.sources.mapping import BLOB_COLUMN, ENCODING_COLUMN, ColumnMapping, RowFacts
from tritter_assets.sources.swh_fetch import BlobFetcher
from tritter_assets.sources.swh_store import BlobStore, refused_access
from tritter_assets.sources.text import decode_text

_BLOB_ID = re.compile(r"[0-9a-f]{40}")
_GZIP_BITS = 31
_REFUSED_IN_A_ROW = 64
"""After so many refusals and no success it is our access that is refused, not these blobs."""

_REFUSED_AT_LEAST = 4
"""Refusals that mean the same when they are all that a part of a file gave."""

_Row = tuple[int, Mapping[str, Any]]


def swh_documents(
    rows: Iterable[_Row],
    mapping: ColumnMapping,
    facts: RowFacts,
    store: BlobStore,
    context: LoaderContext,
) -> Iterator[dict[str, Any]]:
    """Streams documents in the order of `rows`, fetching ahead in parallel.

    Raises:
        UpstreamUnavailable: the store still fails after the last attempt, or refuses every blob.
    """
    limit = context.limits.document_bytes
    column = mapping.blob_column or BLOB_COLUMN
    num_refused, num_read = 0, 0
    for number, row, blob_id, found in _fetched(rows, column, store, limit):
        if found is SkipReason.BLOB_REFUSED:
            num_refused += 1
            if num_refused >= _REFUSED_IN_A_ROW and not num_read:
                raise UpstreamUnavailable(refused_access(store, f"the first {num_refused}"))
        content = found if isinstance(found, SkipReason) else unpack(found, blob_id, limit)
        num_read += isinstance(content, bytes)
        document = _document(content, row, number, mapping=mapping, facts=facts, context=context)
        if isinstance(document, SkipReason):
            context.skips.add(
                document,
                f"{facts.file}#{number} blob {blob_id}",
                repo=_stated(row, mapping, "repo"),
                path=_stated(row, mapping, "path"),
                revision=facts.revision,
            )
        else:
            yield document
    if num_refused >= _REFUSED_AT_LEAST and not num_read:
        raise UpstreamUnavailable(refused_access(store, f"all {num_refused} of {facts.file}"))


def _document(
    content: bytes | SkipReason,
    row: Mapping[str, Any],
    number: int,
    *,
    mapping: ColumnMapping,
    facts: RowFacts,
    context: LoaderContext,
) -> dict[str, Any] | SkipReason:
    if isinstance(content, SkipReason):
        return content
    decoded = decode_text(content, row.get(ENCODING_COLUMN))
    if isinstance(decoded, SkipReason):
        return decoded
    document = mapping.document(row, number, facts, content=decoded.text)
    if not isinstance(document, SkipReason):
        context.encodings[decoded.encoding] += 1
    return document


def _stated(row: Mapping[str, Any], mapping: ColumnMapping, name: str) -> str | None:
    path = mapping.paths.get(name, ())
    value = row.get(path[0]) if len(path) == 1 else None
    return value if isinstance(value, str) else None


def _fetched(
    rows: Iterable[_Row], column: str, store: BlobStore, limit: int
) -> Iterator[tuple[int, Mapping[str, Any], str, bytes | SkipReason]]:
    """Yields (row number, row, blob id, packed blob or why there is none), in order."""
    source = iter(rows)
    waiting: deque[tuple[int, Mapping[str, Any], str]] = deque()
    with BlobFetcher(store, _packed_limit(limit)) as fetcher:
        while True:
            if len(waiting) <= fetcher.window // 2:
                more = [
                    (number, row, _blob_id(row.get(column)))
                    for number, row in islice(source, fetcher.window - len(waiting))
                ]
                waiting.extend(more)
                ids = [blob_id for _, _, blob_id in more if _BLOB_ID.fullmatch(blob_id)]
                if ids:
                    fetcher.ask(ids)
            if not waiting:
                return
            number, row, blob_id = waiting.popleft()
            known = _BLOB_ID.fullmatch(blob_id)
            yield number, row, blob_id, fetcher.take() if known else SkipReason.MALFORMED_ROW


def _blob_id(value: object) -> str:
    return str(value or "").lower().removeprefix("swh:1:cnt:")


def _packed_limit(limit: int) -> int:
    """What gzip can make of `limit` bytes that do not compress, with room for its header."""
    return limit + limit // 1000 + 4096


def unpack(packed: bytes, blob_id: str, max_bytes: int) -> bytes | SkipReason:
    """Returns the verified bytes of a gzip object, never more than `max_bytes` of them."""
    inflater = zlib.decompressobj(_GZIP_BITS)
    try:
        content = inflater.decompress(packed, max_bytes + 1)
    except zlib.error:
        return SkipReason.BLOB_DAMAGED
    if len(content) > max_bytes:
        return SkipReason.TOO_LARGE
    if not inflater.eof:
        return SkipReason.BLOB_DAMAGED
    git = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    git.update(content)
    if git.hexdigest() == blob_id:
        return content
    plain = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return content if plain == blob_id else SkipReason.BLOB_HASH_MISMATCH


__all__ = ["BLOB_COLUMN", "ENCODING_COLUMN", "BlobStore", "swh_documents", "unpack"]
