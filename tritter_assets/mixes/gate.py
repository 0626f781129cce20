"""The gate in front of mixes and packs: every row proved again from stored tables.

Nothing is taken on trust from the stages before: a Dagster check is display, this is the control.

    in    filtered/<source>, functions/<language>, synthetic/<generator>: metadata, no content
    also  verdicts/<source>, dedup/*_index, removals, the policy
    out   rows that may train, with obligations and the group they must not be parted from;
          rows that may not, with the reason

A filtered row passes when no removal covers it, its verdicts end in `keep`, no duplicate index
drops it, upstream has not changed its licence or gate (see `sources/drift.py`), and the active use
profile admits its four licence axes. A derived row passes when no
removal covers it, its own axes are admitted, and every row it was derived from passed. A row whose
verdicts or parents cannot be shown is not skipped: it raises.

Cost: one pass over metadata columns of the tables asked for; with derived tables, over those of
every active source. Memory holds the metadata of the largest table and the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from tritter_assets.dedup.survivors import dropped_ids
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.lake.removals import read_removals
from tritter_assets.licensing.admit import admit_frame
from tritter_assets.mixes.sample import HELDOUT_SALT, sample_hash
from tritter_assets.removal import covered_by
from tritter_assets.sources.drift import blocked_sources
from tritter_assets.verdict import Action

if TYPE_CHECKING:
    from tritter_assets.contracts.catalog import Catalog

GATE_VERSION = "3"
"""2: sources whose licence tag or gate changed upstream are held back."""

METADATA_COLUMNS = (
    "id",
    "source",
    "shard",
    "repo",
    "path",
    "revision",
    "language",
    "modality",
    "split",
    "content_sha256",
    "content_bytes",
    "license_concluded",
    "license_method",
    "license_confidence",
    "license_wrapper",
    "access_terms",
    "generator",
    "owner",
    "author_emails",
    "derived_from",
    "quality_score",
)
"""What the gate reads of a document row: all it needs to judge, nothing it would have to load."""

REMOVAL_REQUESTED = "removal_requested"
PARENT_NOT_ADMITTED = "parent_not_admitted"
SOURCE_NOT_ACTIVE = "source_not_active"

_REQUIRED_INDEXES = ("dedup/exact_index", "dedup/near_index")
_GATED_COLUMNS = (
    "id",
    "table",
    "source",
    "shard",
    "repo",
    "path",
    "language",
    "modality",
    "content_sha256",
    "content_bytes",
    "license_concluded",
    "generator",
    "quality_score",
    "obligations",
    "group_id",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gated:
    """What the gate let through, and what it held back."""

    rows: pl.DataFrame
    """Admitted rows: the columns of a mix's candidates. `group_id` is the duplicate cluster, or
    else the document, that the row or the ancestor that is held out first belongs to."""
    excluded: pl.DataFrame
    """id, table, reason."""

    def excluded_by_reason(self) -> dict[str, int]:
        """Returns the number of rows held back for each reason."""
        counts = self.excluded.group_by("reason").len().sort("reason")
        return dict(counts.iter_rows())


def admitted_rows(lake: Lake, tables: Sequence[str], *, catalog: Catalog) -> Gated:
    """Runs the gate over tables.

    Args:
        lake: The lake.
        tables: `filtered/*`, `functions/*` and `synthetic/*` tables; one that does not exist
            supplies no rows.
        catalog: For the active sources, the policy and the use profile.

    Raises:
        MissingProvenance: a filtered row without a terminal `keep` verdict, a derived row without
            parents, or no duplicate index to consult.
    """
    return _Gate(lake, catalog).run(tables)


class _Gate:
    def __init__(self, lake: Lake, catalog: Catalog) -> None:
        self._lake = lake
        self._catalog = catalog
        self._removals = read_removals(lake)
        self._active = {contract.id for contract in catalog.active_sources()}
        self._drifted = blocked_sources(lake, catalog)
        for index in _REQUIRED_INDEXES:
            if not lake.exists(index):
                raise MissingProvenance(
                    f"{index} is not in the lake, so no row can be shown to be the only copy: "
                    f"materialise {index!r} first"
                )
        self._dropped = dropped_ids(lake).select("id", pl.col("reason")).unique("id", keep="first")
        self._clusters = (
            lake.scan("dedup/near_index").select("id", "cluster_id").unique("id").collect()
        )
        self._rows: list[pl.DataFrame] = []
        self._excluded: list[pl.DataFrame] = []

    def run(self, tables: Sequence[str]) -> Gated:
        wanted = set(tables)
        derived = sorted(t for t in wanted if not t.startswith("filtered/"))
        filtered = {t for t in wanted if t.startswith("filtered/")}
        if derived:
            filtered |= {f"filtered/{source}" for source in self._active}
            derived = sorted({*derived, *self._function_tables()})
        for table in sorted(filtered):
            if self._lake.exists(table):
                self._filtered(table)
        self._derived([table for table in derived if self._lake.exists(table)])
        rows = self._rows or [pl.DataFrame(schema=_gated_schema())]
        excluded = self._excluded or [
            pl.DataFrame(schema={"id": pl.String, "table": pl.String, "reason": pl.String})
        ]
        asked = pl.col("table").is_in(sorted(wanted))
        return Gated(
            rows=pl.concat(rows).filter(asked).sort("id"),
            excluded=pl.concat(excluded).filter(asked).sort("table", "id"),
        )

    def _function_tables(self) -> list[str]:
        """Tables that may hold the parents of synthetic rows."""
        return [f"functions/{language}" for language in _function_languages()]

    def _read(self, table: str) -> pl.DataFrame:
        return (
            self._lake.scan(table)
            .select(*METADATA_COLUMNS)
            .with_columns(table=pl.lit(table))
            .collect()
        )

    # -- filtered rows ---------------------------------------------------------------------------

    def _filtered(self, table: str) -> None:
        source = table.removeprefix("filtered/")
        rows = self._read(table)
        self._require_keep(rows, table, f"verdicts/{source}")
        if source not in self._active:
            self._exclude(rows, SOURCE_NOT_ACTIVE)
            return
        if source in self._drifted:
            self._exclude(rows, self._drifted[source])
            return
        rows = self._without_removals(rows)
        rows = rows.join(self._dropped, on="id", how="left", maintain_order="left")
        self._exclude(rows.filter(pl.col("reason").is_not_null()))
        rows = rows.filter(pl.col("reason").is_null()).drop("reason")
        grouped = rows.join(self._clusters, on="id", how="left", maintain_order="left")
        rows = grouped.with_columns(group_id=pl.coalesce("cluster_id", "id")).drop("cluster_id")
        self._admit(rows)

    def _require_keep(self, rows: pl.DataFrame, table: str, verdicts: str) -> None:
        if rows.is_empty():
            return
        if not self._lake.exists(verdicts):
            raise MissingProvenance(
                f"{table} holds {rows.height} rows and {verdicts} does not exist: "
                f"materialise {verdicts!r}, then {table!r}"
            )
        kept = (
            self._lake.scan(verdicts)
            .filter(pl.col("terminal"), pl.col("action") == Action.KEEP)
            .select("id")
            .collect()
        )
        unproved = rows.select("id").join(kept, on="id", how="anti")
        if not unproved.is_empty():
            raise MissingProvenance(
                f"{unproved.height} rows of {table} have no terminal 'keep' in {verdicts}, the "
                f"first is {unproved['id'].min()}: the verdicts changed after the rows were "
                f"written; materialise {table!r} again"
            )

    # -- derived rows ----------------------------------------------------------------------------

    def _derived(self, tables: Sequence[str]) -> None:
        """Admits rows generation by generation, until no row finds its parents any more."""
        pending: list[pl.DataFrame] = []
        for table in tables:
            rows = self._read(table)
            orphans = rows.filter(pl.col("derived_from").list.len().fill_null(0) == 0)
            if not orphans.is_empty():
                raise MissingProvenance(
                    f"{orphans.height} rows of {table} do not say what they were derived from, "
                    f"the first is {orphans['id'].min()}: the stage that wrote {table!r} must set "
                    "derived_from; materialise it again"
                )
            inactive = ~pl.col("source").is_in(sorted(self._active))
            self._exclude(rows.filter(inactive), SOURCE_NOT_ACTIVE)
            rows = rows.filter(~inactive)
            for source, why in self._drifted.items():
                self._exclude(rows.filter(source=source), why)
            rows = rows.filter(~pl.col("source").is_in(sorted(self._drifted)))
            pending.append(self._without_removals(rows))
        while pending:
            known = pl.concat(
                [
                    pl.DataFrame(schema={"id": pl.String, "group_id": pl.String}),
                    *(rows.select("id", "group_id") for rows in self._rows),
                ]
            )
            waiting: list[pl.DataFrame] = []
            progress = 0
            for rows in pending:
                complete = _with_parents(rows, known)
                progress += complete.height
                self._admit(complete)
                waiting.append(rows.join(complete.select("id"), on="id", how="anti"))
            pending = [rows for rows in waiting if not rows.is_empty()]
            if not progress:
                break
        for rows in pending:
            self._exclude(rows, PARENT_NOT_ADMITTED)

    # -- both ------------------------------------------------------------------------------------

    def _without_removals(self, rows: pl.DataFrame) -> pl.DataFrame:
        if rows.is_empty() or self._removals.is_empty():
            return rows
        flagged = rows.with_columns(_covered=covered_by(self._removals))
        self._exclude(flagged.filter("_covered"), REMOVAL_REQUESTED)
        return flagged.filter(~pl.col("_covered")).drop("_covered")

    def _admit(self, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        admissions = admit_frame(rows, self._catalog.policy, self._catalog.profile.use_profile)
        judged = rows.join(
            admissions.select("id", "action", "reason", "obligations"),
            on="id",
            how="left",
            maintain_order="left",
        )
        admitted = (pl.col("action") == Action.KEEP).fill_null(value=False)
        self._exclude(judged.filter(~admitted))
        self._rows.append(judged.filter(admitted).select(*_GATED_COLUMNS).cast(_gated_schema()))

    def _exclude(self, rows: pl.DataFrame, reason: str | None = None) -> None:
        if rows.is_empty():
            return
        why = pl.col("reason").cast(pl.String) if reason is None else pl.lit(reason)
        self._excluded.append(rows.select("id", "table", why.alias("reason")))


def _with_parents(rows: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """Returns the rows all of whose parents are known, with the group of one of them.

    Of several groups it is the one that the held-out split takes first: a row made from a document
    that is kept out of training is kept out with it.
    """
    parents = rows.select("id", parent="derived_from").explode("parent")
    found = parents.join(known.rename({"id": "parent"}), on="parent", how="left")
    complete = (
        found.with_columns(held=sample_hash(found["group_id"].fill_null(""), HELDOUT_SALT))
        .sort("held", "group_id")
        .group_by("id")
        .agg(pl.col("group_id").is_not_null().all().alias("all"), pl.col("group_id").first())
        .filter("all")
        .drop("all")
    )
    return rows.join(complete, on="id", how="inner", maintain_order="left")


def _gated_schema() -> pl.Schema:
    special = {
        "content_bytes": pl.Int64(),
        "quality_score": pl.Float32(),
        "obligations": pl.List(pl.String),
    }
    return pl.Schema({name: special.get(name, pl.String()) for name in _GATED_COLUMNS})


def _function_languages() -> tuple[str, ...]:
    from tritter_assets.functions.extract import LANGUAGES

    return tuple(LANGUAGES)
