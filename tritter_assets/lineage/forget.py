"""Removal requests: taking them in, what they touch, and the proof that it is gone.

A request is a row of `removals`. Filters, mixes and packers read that table, so re-materialising
what went stale is what removes the rows; this module never edits data tables itself.

A request is followed by further rows of its own: one `sha256` row per content it names, so that a
copy which a later source brings is refused as well, and one `id` row per near copy known now,
because the near index forgets the pair as soon as the named document has left it. Rows that follow
are recognised by their reason and are never followed in turn.

Blind spot: a near copy that arrives only after the named document has left the index is not
recognised, because nothing is kept of the removed text but its hash.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.lake.removals import read_removals
from tritter_assets.lineage.checkpoints import Exposure, exposures
from tritter_assets.lineage.coverage import (
    Coverage,
    coverage,
    near_mates,
)
from tritter_assets.lineage.inventory import tables_under
from tritter_assets.lineage.where import Location, locate
from tritter_assets.removal import REMOVAL_SCHEMA, REMOVALS_TABLE, RemovalKind, covered_by

MARKS_TABLE = "removal_marks"
MARK_SCHEMA = pa.schema(
    [
        pa.field("asset", pa.string(), nullable=False),
        pa.field("data_version", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("num_documents", pa.int64(), nullable=False),
        pa.field("through", pa.list_(pa.string()), nullable=False),
        pa.field("requested_at", pa.string(), nullable=False),
    ]
)
"""Checkpoints that saw removed documents. A row outlives the checkpoint: it names the data version,
so a retrained model of the same asset key is not marked. `requested_at` is the newest request's."""

CONTAINS_REMOVED = "contains_removed"
MAY_CONTAIN_REMOVED = "may_contain_removed"

_FOLLOWS = "follows request "
_REQUESTED_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_VALUE = {
    RemovalKind.REPO: (re.compile(r"\S+"), "the repository as its rows name it, e.g. owner/name"),
    RemovalKind.OWNER: (re.compile(r"\S+"), "an owner as its rows name it, e.g. owner"),
    RemovalKind.AUTHOR: (re.compile(r"[^@\s]+@[^@\s]+"), "an e-mail address"),
    RemovalKind.SHA256: (re.compile(r"[0-9a-fA-F]{64}"), "64 hexadecimal digits"),
    RemovalKind.SWHID: (re.compile(r"swh:1:cnt:[0-9a-f]{40}"), "swh:1:cnt: and 40 digits"),
    RemovalKind.ID: (re.compile(r"[0-9a-f]{32}"), "the 32 hexadecimal digits of a document id"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RemovalReport:
    """What a request added."""

    request: str
    is_new: bool
    num_followers: int
    """Rows added for the contents it names and for their near copies."""
    num_documents: int
    """Documents that all requests cover now."""
    marked: tuple[Exposure, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AffectedReport:
    """Everything that holds what the requests cover."""

    covered: Coverage
    locations: tuple[Location, ...]
    checkpoints: tuple[Exposure, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AbsenceProof:
    """Whether covered rows remain downstream, by id, by content and by the requests themselves."""

    passed: bool
    num_requests: int
    num_documents: int
    remaining: Mapping[str, tuple[Location, ...]]
    """Test (`id`, `content`, `request`) -> partitions that fail it."""
    checkpoints: tuple[Exposure, ...]
    """Checkpoints that saw covered documents; they do not fail the proof, they are marked."""

    @property
    def problems(self) -> tuple[str, ...]:
        """One line per partition that still holds covered rows."""
        return tuple(
            f"{place.table} {dict(place.partition)}: {place.num_rows} covered rows remain "
            f"(by {test}): materialise {place.table!r} again"
            for test, places in self.remaining.items()
            for place in places
        )


def request_id(kind: str, value: str) -> str:
    """Returns the id of a request: the same kind and value are the same request."""
    return fingerprint_of("removal", kind, value.lower())


def request_removal(
    lake: Lake, kind: str, value: str, reason: str, requested_at: str
) -> RemovalReport:
    """Adds a request to `removals`; asking twice changes nothing.

    Args:
        lake: The lake whose data is to be removed.
        kind: A `RemovalKind`.
        value: What is to be forgotten.
        reason: Why, in the requester's words; shown in reports.
        requested_at: ISO 8601 in UTC, e.g. `2026-11-24T06:00:00Z`.

    Raises:
        ContractViolation: the kind is unknown, or the value is not one of that kind.
    """
    known = _check(kind, value, reason, requested_at)
    value = value.strip()
    row = {
        "request": request_id(known, value),
        "kind": known.value,
        "value": value,
        "requested_at": requested_at,
        "reason": reason.strip(),
    }
    removals = read_removals(lake)
    earlier = removals.filter(pl.col("request") == row["request"])
    is_new = earlier.is_empty() or earlier["reason"][0].startswith(_FOLLOWS)
    if is_new:
        kept = removals.filter(pl.col("request") != row["request"])
        removals = pl.concat([kept, pl.DataFrame([row], schema=kept.schema)])
    followed = _follow(lake, removals)
    if is_new or followed.height > removals.height:
        _write(lake, followed)
    covered = coverage(lake, followed)
    return RemovalReport(
        request=row["request"],
        is_new=is_new,
        num_followers=followed.height - removals.height,
        num_documents=covered.documents.height,
        marked=_mark(lake, covered, followed),
    )


def standing_requests(lake: Lake, catalog: Catalog) -> pl.DataFrame:
    """Returns the requests of the lake and those that stand in the policy's opt-out list."""
    asked = read_removals(lake)
    listed = [
        {
            "request": request_id(kind, value),
            "kind": kind,
            "value": value,
            "requested_at": "",
            "reason": "opt-out list of the policy",
        }
        for kind, values in sorted(catalog.policy.opt_out.items())
        for value in values
    ]
    more = pl.DataFrame(listed, schema=asked.schema)
    return pl.concat([asked, more]).unique("request", keep="first").sort("request")


def affected(lake: Lake, catalog: Catalog) -> AffectedReport:
    """Returns the documents covered by all requests, where they are, and who trained on them."""
    covered = coverage(lake, standing_requests(lake, catalog))
    return AffectedReport(
        covered=covered,
        locations=locate(lake, covered.ids),
        checkpoints=exposures(lake, covered.ids),
    )


def preview_removal(lake: Lake, kind: str, value: str) -> AffectedReport:
    """Returns what a request would cover, alone and without recording it.

    Raises:
        ContractViolation: the kind is unknown, or the value is not one of that kind.
    """
    known = _check(kind, value, "preview", "1970-01-01T00:00:00Z")
    row = {
        "request": request_id(known, value.strip()),
        "kind": known.value,
        "value": value.strip(),
        "requested_at": "1970-01-01T00:00:00Z",
        "reason": "preview",
    }
    covered = coverage(lake, pl.DataFrame([row]))
    return AffectedReport(
        covered=covered,
        locations=locate(lake, covered.ids),
        checkpoints=exposures(lake, covered.ids),
    )


def prove_absence(lake: Lake, catalog: Catalog) -> AbsenceProof:
    """Checks that no covered row remains downstream of `raw`.

    Three tests: no row whose id is covered (or that was made from one), no row whose content hash
    is that of a covered document, and no row that a request matches directly.
    """
    removals = standing_requests(lake, catalog)
    covered = coverage(lake, removals)
    digests = pl.concat(
        [
            covered.whole["content_sha256"],
            removals.filter(pl.col("kind") == RemovalKind.SHA256)["value"].str.to_lowercase(),
        ]
    ).unique()
    remaining: dict[str, tuple[Location, ...]] = {}
    if not removals.is_empty():
        remaining = {
            "id": locate(lake, covered.ids),
            "content": _matching(
                lake,
                ("filtered", "signatures", "functions", "synthetic", "mix"),
                pl.col("content_sha256").is_in(digests.implode()),
            ),
            "request": _matching(
                lake, ("filtered", "functions", "synthetic"), covered_by(removals)
            ),
        }
    return AbsenceProof(
        passed=not any(remaining.values()),
        num_requests=removals.height,
        num_documents=covered.documents.height,
        remaining={test: places for test, places in remaining.items() if places},
        checkpoints=exposures(lake, covered.ids),
    )


def _matching(lake: Lake, stages: tuple[str, ...], condition: pl.Expr) -> tuple[Location, ...]:
    found = []
    for stage in stages:
        for table in tables_under(lake, stage):
            keys = ["source", "shard"]
            rows = lake.scan(table).filter(condition).group_by(keys).agg(num_rows=pl.len())
            found.extend(
                Location(
                    table=table,
                    partition={key: row[key] for key in keys},
                    num_rows=row["num_rows"],
                )
                for row in rows.sort(keys).collect(engine="streaming").iter_rows(named=True)
            )
    return tuple(found)


def _check(kind: str, value: str, reason: str, requested_at: str) -> RemovalKind:
    if kind not in list(RemovalKind):
        raise ContractViolation(
            f"removal kind {kind!r} is unknown: use one of {[k.value for k in RemovalKind]}"
        )
    pattern, expected = _VALUE[RemovalKind(kind)]
    if not pattern.fullmatch(value.strip()):
        raise ContractViolation(f"removal value {value!r} is no {kind}: give {expected}")
    if not reason.strip():
        raise ContractViolation("removal reason '' is empty: say why, it is shown in reports")
    if not _REQUESTED_AT.fullmatch(requested_at):
        raise ContractViolation(
            f"requested_at {requested_at!r} is not ISO 8601 in UTC: write 2026-11-24T06:00:00Z"
        )
    return RemovalKind(kind)


def _follow(lake: Lake, removals: pl.DataFrame) -> pl.DataFrame:
    """Adds the rows that follow from the requests people made."""
    asked = removals.filter(~pl.col("reason").str.starts_with(_FOLLOWS)).sort("request")
    rows: list[dict[str, str]] = []
    for request in asked.iter_rows(named=True):
        covered = coverage(lake, asked.filter(pl.col("request") == request["request"]))
        origin = covered.documents.filter(pl.col("how") == "named")
        large = covered.whole.filter(pl.col("how") == "named")
        rows.extend(
            _follower(request, RemovalKind.SHA256, digest, "its content")
            for digest in large["content_sha256"].unique().sort()
        )
        mates = near_mates(lake, origin["id"]).sort("id", "of").unique("id", maintain_order=True)
        rows.extend(
            _follower(request, RemovalKind.ID, mate["id"], f"near copy of {mate['of']}")
            for mate in mates.iter_rows(named=True)
        )
    followers = pl.DataFrame(rows, schema=removals.schema)
    return pl.concat([removals, followers]).unique("request", keep="first", maintain_order=True)


def _follower(
    request: Mapping[str, str], kind: RemovalKind, value: str, why: str
) -> dict[str, str]:
    return {
        "request": request_id(kind, value),
        "kind": kind.value,
        "value": value,
        "requested_at": request["requested_at"],
        "reason": f"{_FOLLOWS}{request['request']}: {why}",
    }


def _write(lake: Lake, removals: pl.DataFrame) -> None:
    rows = removals.sort("request")
    lake.write(
        REMOVALS_TABLE,
        rows.to_arrow(),
        REMOVAL_SCHEMA,
        fingerprint=fingerprint_of("removals", rows.rows()),
    )


def _mark(lake: Lake, covered: Coverage, removals: pl.DataFrame) -> tuple[Exposure, ...]:
    seen = exposures(lake, covered.ids)
    if not seen:
        return ()
    latest = str(removals["requested_at"].max())
    rows = pl.DataFrame(
        [
            {
                "asset": mark.asset,
                "data_version": mark.data_version,
                "status": CONTAINS_REMOVED if mark.through else MAY_CONTAIN_REMOVED,
                "num_documents": mark.num_documents,
                "through": list(mark.through),
                "requested_at": latest,
            }
            for mark in seen
        ],
        schema_overrides={"through": pl.List(pl.String)},
    )
    if lake.exists(MARKS_TABLE):
        rows = pl.concat([rows, lake.scan(MARKS_TABLE).collect().select(rows.columns)])
    rows = rows.unique(["asset", "data_version"], keep="first").sort("asset", "data_version")
    fingerprint = fingerprint_of("removal_marks", rows.to_dicts())
    if not lake.is_fresh(MARKS_TABLE, fingerprint):
        lake.write(MARKS_TABLE, rows.to_arrow(), MARK_SCHEMA, fingerprint=fingerprint)
    return seen


def marks(lake: Lake) -> pl.DataFrame:
    """Returns the marked checkpoints (columns of `MARK_SCHEMA`), sorted by asset."""
    if not lake.exists(MARKS_TABLE):
        empty = pl.from_arrow(MARK_SCHEMA.empty_table())
        assert isinstance(empty, pl.DataFrame)
        return empty
    return lake.scan(MARKS_TABLE).sort("asset", "data_version").collect()
