"""What an index knows of its documents: where a content stands, and what its documents say.

See `cache_database.py` for what a cache is, and `cluster_cache.py` for what is kept of clusters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.dedup.cache_database import canonical
from tritter_assets.dedup.cluster_cache import ClusterCache
from tritter_assets.dedup.license_family import LicenseFamilies
from tritter_assets.dedup.text_store import TextStore

_DIGESTS = ("content_sha256", "normalized_sha256")
_STORED = ("id", "content", "repo", "path", "license_concluded", *_DIGESTS, "num_shingles")

DOCUMENT_SCHEMA = {
    "id": pl.String,
    "content": pl.Int64,
    "repo": pl.String,
    "path": pl.String,
    "license_concluded": pl.String,
    "content_sha256": pl.String,
    "normalized_sha256": pl.String,
    "num_shingles": pl.Int32,
}
"""Columns of the documents that `replace_shard` takes and `documents` returns."""


class DocumentCache(ClusterCache):
    """The cache of one index; see `CacheDatabase` for its arguments and its one transaction."""

    def __init__(self, folder: Path, fits: Callable[[Any], bool]) -> None:
        super().__init__(folder, fits)
        self.texts = TextStore(self._connection)
        self._shards = {
            (source, shard): (number, version, first, last)
            for number, source, shard, version, first, last in self._all("SELECT * FROM shards")
        }
        self._priorities: dict[str, int] = {}
        self.families: LicenseFamilies | None = None

    def set_priorities(self, priorities: Mapping[str, int]) -> bool:
        """Takes the priority of each source; returns whether a known one has changed."""
        stored = json.loads(self._meta("priorities") or "{}")
        changed = any(priorities.get(source, value) != value for source, value in stored.items())
        self._priorities = {**stored, **priorities}
        self._connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('priorities', ?)", (canonical(self._priorities),)
        )
        return changed

    def set_families(self, families: LicenseFamilies | None) -> bool:
        """Takes the licence families to judge by; returns whether others were known."""
        self.families, digest = families, families.digest if families else ""
        changed = self._meta("families") != digest
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES ('families', ?)", (digest,))
        return changed

    def shard_versions(self) -> dict[tuple[str, str], str]:
        """Returns the data version that each shard's documents were taken from."""
        return {key: version for key, (_, version, _, _) in self._shards.items()}

    def num_documents_of(self, shard: tuple[str, str]) -> int:
        """Returns how many documents a known shard has here."""
        _, _, first, last = self._shards[shard]
        return last - first + 1

    def replace_shard(
        self, key: tuple[str, str], data_version: str | None, rows: pl.DataFrame
    ) -> pl.Series:
        """Puts rows of `DOCUMENT_SCHEMA` in place of a shard's; no version takes the shard out.

        Returns:
            The contents some document of which came, went or changed.
        """
        number, _, first, last = self._shards.get(key, (None, "", 0, -1))
        old = self._frame("WHERE number BETWEEN ? AND ?", (first, last))
        self._connection.execute(
            "DELETE FROM documents WHERE number BETWEEN ? AND ?", (first, last)
        )
        if number is not None:
            self._connection.execute("DELETE FROM shards WHERE number = ?", (number,))
            del self._shards[key]
        rows = rows.select(list(DOCUMENT_SCHEMA)).cast(DOCUMENT_SCHEMA)  # pyright: ignore[reportArgumentType]
        if data_version is not None:
            self._insert(key, data_version, rows)
        names = list(DOCUMENT_SCHEMA)
        came = rows.join(old, on=names, how="anti", nulls_equal=True)
        went = old.join(rows, on=names, how="anti", nulls_equal=True)
        return pl.concat([came["content"], went["content"]]).unique()

    def _insert(self, key: tuple[str, str], data_version: str, rows: pl.DataFrame) -> None:
        start = 1 + self._one("SELECT coalesce(max(number), 0) FROM documents")
        number = 1 + self._one("SELECT coalesce(max(number), 0) FROM shards")
        end = start + rows.height - 1
        self._connection.execute(
            "INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?)", (number, *key, data_version, start, end)
        )
        self._shards[key] = (number, data_version, start, end)
        stored = rows.with_columns(
            *(pl.col(name).str.decode("hex") for name in _DIGESTS),
            number=pl.int_range(start, end + 1),
            identity=_identity(),
            shard=pl.lit(number),
        ).select("number", "content", "identity", "shard", "id", *_STORED[2:])
        self._note_same_ids(stored)
        self._connection.executemany(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", stored.rows()
        )

    def _note_same_ids(self, stored: pl.DataFrame) -> None:
        """Ties contents that one id carries: a document counts once, so they go together."""
        self._want(stored["identity"])
        known = pl.DataFrame(
            # `CROSS JOIN` keeps the order of the tables: the other one reads all documents.
            self._all(
                "SELECT identity, content FROM wanted CROSS JOIN documents ON identity = value"
            ),
            schema={"identity": pl.Int64, "content": pl.Int64},
            orient="row",
        )
        every = pl.concat([known, stored.select("identity", "content")]).unique()
        repeated = every.filter(pl.len().over("identity") > 1)
        tied = repeated.join(repeated, on="identity").filter(
            pl.col("content") != pl.col("content_right")
        )
        self._connection.executemany(
            "INSERT OR IGNORE INTO same_id VALUES (?, ?)",
            tied.select("content", "content_right").rows(),
        )

    def clustered(self, contents: pl.Series | None) -> pl.Series:
        """Returns those of the contents (None: of all) that have a pair or a second document."""
        if contents is None:
            return self._contents(
                "SELECT a FROM pairs UNION "
                "SELECT content FROM documents GROUP BY content HAVING count(*) > 1"
            )
        self._want(contents)
        return self._contents(
            "SELECT value FROM wanted WHERE EXISTS (SELECT 1 FROM pairs WHERE a = value) "
            "OR (SELECT count(*) FROM documents WHERE content = value) > 1"
        )

    def documents(self, contents: pl.Series) -> pl.DataFrame:
        """Returns the documents of contents: `DOCUMENT_SCHEMA`, source, shard, priority."""
        self._want(contents)
        where = "WHERE content IN (SELECT value FROM wanted)"
        frame = self._frame(where, (), ("shard",))
        shards = pl.DataFrame(
            [
                (number, source, shard, self._priorities[source])
                for (source, shard), (number, _, _, _) in self._shards.items()
            ],
            schema={
                "number": pl.Int64,
                "source": pl.String,
                "name": pl.String,
                "priority": pl.Int64,
            },
            orient="row",
        )
        return (
            frame.join(shards, left_on="shard", right_on="number", maintain_order="left")
            .drop("shard")
            .rename({"name": "shard"})
        )

    def present(self, contents: pl.Series) -> pl.Series:
        """Returns those of the contents that some document has."""
        self._want(contents)
        return self._contents(
            "SELECT value FROM wanted WHERE EXISTS "
            "(SELECT 1 FROM documents WHERE content = wanted.value)"
        )

    def _frame(
        self, where: str, values: Sequence[Any], further: tuple[str, ...] = ()
    ) -> pl.DataFrame:
        columns = [*_STORED, *further]
        rows = self._all(f"SELECT {', '.join(columns)} FROM documents {where}", values)
        kinds: dict[str, Any] = {**DOCUMENT_SCHEMA, **dict.fromkeys(_DIGESTS, pl.Binary)}
        kinds |= dict.fromkeys(further, pl.Int64)
        frame = pl.DataFrame(rows, schema={name: kinds[name] for name in columns}, orient="row")
        return frame.with_columns(pl.col(name).bin.encode("hex") for name in _DIGESTS)


def _identity() -> pl.Expr:
    """Returns 63 bits of a hash of the id."""
    return (pl.col("id").hash(seed=17) & ((1 << 63) - 1)).cast(pl.Int64)
