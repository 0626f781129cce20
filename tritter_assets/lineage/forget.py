"""Removal requests: taking them in, and what they touch.

A request is a row of `removals`. Filters, mixes and packers read that table, so re-materialising
what went stale is what removes the rows; `purge.py` takes them out of `raw` and out of old files,
and `proof.py` shows that they are gone. The steps here, each of which may be the last before a
power cut, because asking again does what is missing:

1. the request and all that follows from it, in one commit (see `removal.py`);
2. a tombstone for each document that it covers (see `tombstones.py`);
3. a mark on each checkpoint that saw one.

An SWHID names a content by its git hash, which no table holds: it is looked for in the stored texts
once, and becomes a request for their SHA-256.

Blind spot: a near copy that arrives only after the named document has left the index is refused by
no filter; the proof of absence finds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import Lake
from tritter_assets.lake.removals import append_rows, read_removals
from tritter_assets.lineage.checkpoints import Exposure, exposures
from tritter_assets.lineage.coverage import Coverage, coverage, near_mates
from tritter_assets.lineage.inventory import tables_under
from tritter_assets.lineage.marks import mark_checkpoints
from tritter_assets.lineage.requests import Request, make_request, request_id
from tritter_assets.lineage.tombstones import entomb, read_tombstones
from tritter_assets.lineage.where import Location, locate
from tritter_assets.removal import (
    FOLLOWS,
    LISTED,
    REMOVAL_SCHEMA,
    REMOVALS_TABLE,
    RemovalKind,
    covers_alone,
)

_NAMED_BY_SWHID = "has the content of "


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalReport:
    """What requests added."""

    requests: tuple[str, ...]
    num_new: int
    """Requests that nobody had made before."""
    num_followers: int
    """Rows added for the contents they name and for their near copies."""
    num_tombstones: int
    num_documents: int
    """Documents that all requests cover now."""
    marked: tuple[Exposure, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AffectedReport:
    """Everything that holds what the requests cover."""

    covered: Coverage
    locations: tuple[Location, ...]
    checkpoints: tuple[Exposure, ...]


def request_removal(
    lake: Lake, kind: str, value: str, reason: str, requested_at: str
) -> RemovalReport:
    """Adds one request; see `make_request` for the arguments and `request_removals`."""
    return request_removals(lake, [make_request(kind, value, reason, requested_at)])


def request_removals(lake: Lake, requests: Sequence[Request]) -> RemovalReport:
    """Adds requests to `removals` and all that they entail; asking twice changes nothing.

    With no requests it does what is missing for those made before: a copy that came since, a step
    that a killed process did not reach. Cost: one scan of the key columns of the lake, however many
    requests there are, and one of the stored texts if an SWHID is among the new ones.
    """
    stored = read_removals(lake)
    asked_before = set(stored.filter(~covers_alone())["request"])
    rows = {r.request: r.row() for r in requests if r.request not in asked_before}
    unresolved = [
        *stored.filter(kind=RemovalKind.SWHID).to_dicts(),
        *(row for row in rows.values() if row["kind"] == RemovalKind.SWHID),
    ]
    resolved = [r for r in _by_swhid(lake, unresolved) if r["request"] not in asked_before]
    new = _frame([*rows.values(), *resolved])
    known = pl.concat([stored.join(new, on="request", how="anti"), new]).sort("request")
    covered = coverage(lake, known)
    followers = missing_followers(lake, known, covered)
    added = pl.concat([new, followers])
    if not added.is_empty():
        append_rows(lake, REMOVALS_TABLE, added.to_arrow().cast(REMOVAL_SCHEMA))
        covered = coverage(lake, pl.concat([known, followers]))
    num_tombstones = entomb(lake, covered)
    seen = exposures(lake, _all_ids(lake, covered))
    if seen:
        mark_checkpoints(lake, seen, str(known["requested_at"].max()))
    return RemovalReport(
        requests=tuple(request.request for request in requests),
        num_new=len(rows),
        num_followers=followers.height,
        num_tombstones=num_tombstones,
        num_documents=covered.documents.height,
        marked=seen,
    )


def standing_requests(lake: Lake, catalog: Catalog) -> pl.DataFrame:
    """Returns the requests of the lake and those that stand in the policy's opt-out list."""
    asked = read_removals(lake)
    listed = _frame(
        {
            "request": request_id(kind, value),
            "kind": kind,
            "value": value,
            "requested_at": "",
            "reason": LISTED,
        }
        for kind, values in sorted(catalog.policy.opt_out.items())
        for value in values
    )
    return pl.concat([asked, listed]).unique("request", keep="first").sort("request")


def affected(lake: Lake, catalog: Catalog) -> AffectedReport:
    """Returns the documents covered by all requests, where they are, and who trained on them."""
    covered = coverage(lake, standing_requests(lake, catalog))
    ids = _all_ids(lake, covered)
    return AffectedReport(
        covered=covered, locations=locate(lake, ids), checkpoints=exposures(lake, ids)
    )


def preview_removal(lake: Lake, kind: str, value: str) -> AffectedReport:
    """Returns what a request would cover, alone and without recording it.

    Raises:
        ContractViolation: the kind is unknown, or the value is not one of that kind.
    """
    row = make_request(kind, value, "preview", "1970-01-01T00:00:00Z").row()
    covered = coverage(lake, _frame([row, *_by_swhid(lake, [row])]))
    return AffectedReport(
        covered=covered,
        locations=locate(lake, covered.ids),
        checkpoints=exposures(lake, covered.ids),
    )


def _all_ids(lake: Lake, covered: Coverage) -> pl.Series:
    """Ids that are covered now, and those that were when a request was made."""
    return pl.concat([covered.ids, read_tombstones(lake)["id"]]).unique().sort()


def _frame(rows: object) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=pl.Schema(REMOVAL_SCHEMA))  # pyright: ignore


def _by_swhid(lake: Lake, rows: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    """Returns a request by SHA-256 for each stored text that one of the SWHIDs names."""
    asked = {row["value"].rpartition(":")[2]: row for row in rows if row["kind"] == "swhid"}
    found: dict[str, dict[str, str]] = {}
    if not asked:
        return []
    for table in tables_under(lake, "raw"):
        for batch in lake.batches(table, columns=["content", "content_sha256"]):
            for digest, sha256 in _git_digests(batch):
                row = asked.get(digest)
                if row is not None:
                    request = request_id(RemovalKind.SHA256, sha256)
                    reason = f"{row['reason']} ({_NAMED_BY_SWHID}{row['value']})"
                    kind = RemovalKind.SHA256.value
                    new = {"request": request, "kind": kind, "value": sha256, "reason": reason}
                    found[request] = {**row, **new}
    return [row for _, row in sorted(found.items())]


def _git_digests(batch: pa.RecordBatch) -> list[tuple[str, str]]:
    pairs = zip(batch.column("content"), batch.column("content_sha256"), strict=True)
    return [(git_blob_sha1(text.as_py()), sha256.as_py()) for text, sha256 in pairs]


def git_blob_sha1(content: str) -> str:
    """Returns the SHA-1 of a content as a git blob, which is the hash in its SWHID."""
    data = content.encode("utf-8", "surrogatepass")
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def missing_followers(lake: Lake, removals: pl.DataFrame, covered: Coverage) -> pl.DataFrame:
    """Returns the rows that follow from `removals`, which cover `covered`, and are not there."""
    made = {r["request"]: r for r in removals.filter(~covers_alone()).to_dicts()}
    asked_for = pl.col("request").is_not_null()
    named = covered.documents.filter(asked_for)
    large = covered.whole.filter(asked_for)
    claims: list[tuple[str, RemovalKind, str, str]] = [
        (request, RemovalKind.SHA256, digest, "its content")
        for request, digest in large.select("request", "digests").explode("digests").iter_rows()
    ]
    of = dict(named.select("id", "request").iter_rows())
    mates = near_mates(lake, named["id"]).unique("id", keep="first", maintain_order=True)
    mates = mates.filter(~pl.col("id").is_in(list(of)))
    origin = dict(mates.select("id", "of").iter_rows())
    claims += [
        (of[origin[mate]], RemovalKind.ID, mate, f"near copy of {origin[mate]}") for mate in origin
    ]
    texts = covered.whole.filter(pl.col("id").is_in(list(origin))).select("id", "digests")
    claims += [
        (of[origin[mate]], RemovalKind.SHA256, digest, f"content of a near copy of {origin[mate]}")
        for mate, digest in texts.explode("digests").iter_rows()
    ]
    known = set(removals["request"])
    found: dict[str, dict[str, str]] = {}
    for request, kind, value, why in sorted(claims):
        name = request_id(kind, value)
        if name not in known and name not in found:
            found[name] = {
                "request": name,
                "kind": kind.value,
                "value": value,
                "requested_at": made[request]["requested_at"],
                "reason": f"{FOLLOWS}{request}: {why}",
            }
    return _frame(row for _, row in sorted(found.items()))
