"""The proof that what was to be forgotten is gone from everything downstream of `verdicts`.

| test | what may not remain |
|---|---|
| id | a row that is, was made from, or packs a covered document |
| request | a row that a request matches directly |
| content | a row whose content, hashed again, is that of a covered document |
| near_copy | a filtered document that a removed one was changed into |
| text | a function, synthetic row or packed text with a passage of a removed document |
| mislabelled | a row whose content is not what its hash says, of which nothing can be proved |
| unproved | a row of a mix whose text is not stored |

Checkpoints are not among them: they are marked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import polars as pl

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import Lake
from tritter_assets.lake.removals import read_removals
from tritter_assets.lineage.checkpoints import Exposure, exposures
from tritter_assets.lineage.content_search import Place, Sought, search_contents
from tritter_assets.lineage.coverage import Coverage, coverage
from tritter_assets.lineage.forget import missing_followers, standing_requests
from tritter_assets.lineage.inventory import DOCUMENT_STAGES, tables_under
from tritter_assets.lineage.tombstones import read_tombstones
from tritter_assets.lineage.where import Location, locate
from tritter_assets.removal import LISTED, RemovalKind, covered_by

_WAY_OUT = {
    "near_copy": "forget them too: `tritter forget --id ID`",
    "mislabelled": "materialise {table!r} again, nothing can be proved of it",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class AbsenceProof:
    """Whether covered rows remain downstream."""

    passed: bool
    num_requests: int
    num_documents: int
    remaining: Mapping[str, tuple[Location, ...]]
    """Test -> partitions that fail it."""
    checkpoints: tuple[Exposure, ...]
    """Checkpoints that saw covered documents; they do not fail the proof, they are marked."""
    num_upstream: int
    """Covered rows that `raw` still holds; `tritter forget --purge` takes them out."""
    searched_bytes: int = 0
    """Text that was read."""
    near_ids: tuple[str, ...] = ()
    """Documents that fail the test `near_copy`."""
    further: tuple[str, ...] = field(default=())
    """What else stands against the proof."""

    @property
    def problems(self) -> tuple[str, ...]:
        """One line per partition that still holds covered rows, and what else is wrong."""
        lines = [
            f"{place.table} {dict(place.partition)}: {place.num_rows} covered rows remain "
            f"(by {test}): "
            + _WAY_OUT.get(test, "materialise {table!r} again").format(table=place.table)
            for test, places in self.remaining.items()
            for place in places
        ]
        return (*lines, *self.further)


def prove_absence(lake: Lake, catalog: Catalog) -> AbsenceProof:
    """Checks that no covered row and no removed text remains downstream of `verdicts`."""
    removals = standing_requests(lake, catalog)
    if removals.is_empty():
        return AbsenceProof(
            passed=True, num_requests=0, num_documents=0, remaining={}, checkpoints=(),
            num_upstream=0,
        )  # fmt: skip
    covered = coverage(lake, removals)
    asked = removals.filter(pl.col("reason") != LISTED)
    asked_for = covered if asked.height == removals.height else coverage(lake, asked)
    stones = read_tombstones(lake)
    ids = pl.concat([covered.ids, stones["id"]]).unique().sort()
    sought = _sought(removals, covered, stones, ids)
    found = search_contents(lake, sought)
    tests = {
        "id": locate(lake, ids),
        "request": _matching(lake, ("filtered", "functions", "synthetic"), covered_by(removals)),
        "content": (
            *_locations(found.content),
            *_matching(
                lake, ("signatures", "mix"), pl.col("content_sha256").is_in(sorted(sought.digests))
            ),
        ),
        "near_copy": _locations(found.near_copy),
        "text": _locations(found.text),
        "mislabelled": _locations(found.mislabelled),
        "unproved": _unproved_mix_rows(lake),
    }
    remaining = {test: places for test, places in tests.items() if places}
    further = (*found.unreadable, *_unfinished(lake, asked_for, stones))
    upstream = covered.documents.filter(pl.col("id").is_in(_raw_ids(lake, ids).implode()))
    return AbsenceProof(
        passed=not remaining and not further,
        num_requests=removals.height,
        num_documents=len(ids),
        remaining=remaining,
        checkpoints=exposures(lake, ids),
        num_upstream=upstream.height,
        searched_bytes=found.searched_bytes,
        near_ids=tuple(sorted(found.near_ids)),
        further=further,
    )


def _sought(
    removals: pl.DataFrame, covered: Coverage, stones: pl.DataFrame, ids: pl.Series
) -> Sought:
    # A row without runs is a child or too short to be anybody's own text.
    texts = stones.filter(pl.col("num_runs") > 0)
    by_kind = {
        kind: removals.filter(kind=kind)["value"].str.to_lowercase().to_list()
        for kind in (RemovalKind.SHA256, RemovalKind.SWHID)
    }
    digests = [*covered.whole["digests"].explode().drop_nulls(), *texts["digests"].explode()]
    return Sought(
        ids=frozenset(ids),
        digests=frozenset([*digests, *by_kind[RemovalKind.SHA256]]),
        git_digests=frozenset(v.rpartition(":")[2] for v in by_kind[RemovalKind.SWHID]),
        documents=texts,
    )


def _unfinished(lake: Lake, covered: Coverage, stones: pl.DataFrame) -> list[str]:
    """What a request still lacks, because its process was killed or a copy came since."""
    removals = read_removals(lake)
    if removals.is_empty():
        return []
    followers = missing_followers(lake, removals, covered).height
    tombstones = covered.documents.join(stones, on="id", how="anti").height
    if not followers and not tombstones:
        return []
    return [
        f"{followers} rows that follow from requests and {tombstones} tombstones are missing: "
        "run `tritter forget --complete`"
    ]


def _raw_ids(lake: Lake, ids: pl.Series) -> pl.Series:
    frames = [
        lake.scan(table).filter(pl.col("id").is_in(ids.implode())).select("id").collect()
        for table in tables_under(lake, DOCUMENT_STAGES[0])
    ]
    return pl.concat([pl.DataFrame(schema={"id": pl.String}), *frames])["id"].unique()


def _locations(rows: Counter[Place]) -> tuple[Location, ...]:
    return tuple(
        Location(table=table, partition=dict(partition), num_rows=number)
        for (table, partition), number in sorted(rows.items())
        if number
    )


def _unproved_mix_rows(lake: Lake) -> tuple[Location, ...]:
    """Rows of mixes that no table holds as they say: their text was not looked at."""
    found = []
    for mix in tables_under(lake, "mix"):
        said = lake.scan(mix).select("id", "table", "content_sha256").collect()
        lost = 0
        for (table,), rows in said.partition_by("table", as_dict=True).items():
            if not lake.exists(str(table)):
                lost += rows.height
                continue
            stored = lake.scan(str(table)).select("id", "content_sha256").collect()
            lost += rows.join(stored, on=["id", "content_sha256"], how="anti").height
        if lost:
            found.append(Location(table=mix, partition={}, num_rows=lost))
    return tuple(found)


def _matching(lake: Lake, stages: tuple[str, ...], condition: pl.Expr) -> tuple[Location, ...]:
    keys = ["source", "shard"]
    found = []
    for stage in stages:
        for table in tables_under(lake, stage):
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
