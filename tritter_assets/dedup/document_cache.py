"""What an index knows of its documents, by content: a local database that can always be remade.

The tables of the lake are the record. This cache holds what they say in an order that lets an
update look up single contents: where a content stands, what it is paired with, which cluster it
is in. It is written in one transaction that ends after the last commit to the lake, and names the
table versions it fits; killed before, or with tables it does not know, it is made again from the
signatures, which costs time and nothing else.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tritter_assets.dedup.band_runs import Run

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE shards (number INTEGER PRIMARY KEY, source TEXT, shard TEXT, data_version TEXT,
    first INTEGER, last INTEGER);
CREATE TABLE documents (number INTEGER PRIMARY KEY, content INTEGER, identity INTEGER,
    shard INTEGER, id TEXT, repo TEXT, path TEXT, license_concluded TEXT, content_sha256 BLOB,
    normalized_sha256 BLOB, num_shingles INTEGER);
CREATE INDEX documents_content ON documents (content);
CREATE INDEX documents_identity ON documents (identity);
CREATE TABLE pairs (a INTEGER, b INTEGER, jaccard REAL, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE same_id (a INTEGER, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE members (content INTEGER PRIMARY KEY, cluster_id TEXT, first_id TEXT);
CREATE TABLE tallies (cluster_id TEXT, source TEXT, action TEXT, documents INTEGER,
    PRIMARY KEY (cluster_id, source, action)) WITHOUT ROWID;
CREATE TABLE totals (source TEXT, action TEXT, documents INTEGER, PRIMARY KEY (source, action));
CREATE TABLE dead (content INTEGER PRIMARY KEY);
CREATE TABLE runs (name TEXT PRIMARY KEY, num_entries INTEGER);
"""
_DIGESTS = ("content_sha256", "normalized_sha256")
_STORED = ("id", "content", "repo", "path", "license_concluded", *_DIGESTS, "num_shingles")
_CACHE_KIB = 32 << 10
_PAIRS_AT_ONCE = 1 << 16

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


class DocumentCache:
    """One open transaction on the cache of one index; `commit` keeps it, `close` alone does not.

    Args:
        folder: Where the database is.
        fits: What the cache must have been made from (code, layout, table versions); with
            anything else stored it is emptied.
    """

    def __init__(self, folder: Path, fits: Mapping[str, Any]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "documents.sqlite"
        self._connection = self._connect()
        try:
            stored = self._meta("fits")
        except sqlite3.DatabaseError:  # none yet, or not readable any more: it is only a cache
            stored = None
        wanted = _canonical(fits)
        self.is_new = stored != wanted
        if self.is_new:
            self._connection.close()
            for file in folder.glob("documents.sqlite*"):
                file.unlink()
            self._connection = self._connect()
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.split(";"):
                self._connection.execute(statement)
        else:
            self._connection.execute("BEGIN IMMEDIATE")
        self._shards = {
            (source, shard): (number, version, first, last)
            for number, source, shard, version, first, last in self._all("SELECT * FROM shards")
        }
        self._priorities: dict[str, int] = {}

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._file, isolation_level=None, timeout=60)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA temp_store = MEMORY")
        return connection

    def commit(self, fits: Mapping[str, Any]) -> None:
        """Keeps what was done, as fitting these table versions."""
        self._connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('fits', ?)", (_canonical(fits),)
        )
        self._connection.execute("COMMIT")

    def close(self) -> None:
        """Closes the database; what was not committed is forgotten."""
        self._connection.close()

    # -- shards and documents --------------------------------------------------------------------

    def set_priorities(self, priorities: Mapping[str, int]) -> bool:
        """Takes the priority of each source; returns whether a known one has changed."""
        stored = json.loads(self._meta("priorities") or "{}")
        changed = any(priorities.get(source, value) != value for source, value in stored.items())
        self._priorities = {**stored, **priorities}
        self._connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('priorities', ?)", (_canonical(self._priorities),)
        )
        return changed

    def shard_versions(self) -> dict[tuple[str, str], str]:
        """Returns the data version that each shard's documents were taken from."""
        return {key: version for key, (_, version, _, _) in self._shards.items()}

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

    # -- pairs and clusters ----------------------------------------------------------------------

    def add_pairs(self, pairs: pl.DataFrame) -> None:
        """Takes verified pairs: columns left, right, jaccard."""
        for some in pairs.select("left", "right", "jaccard").iter_slices(_PAIRS_AT_ONCE):
            rows = some.rows()
            added = self._connection.executemany(
                "INSERT OR IGNORE INTO pairs VALUES (?1, ?2, ?3)", rows
            ).rowcount
            self._connection.executemany("INSERT OR IGNORE INTO pairs VALUES (?2, ?1, ?3)", rows)
            self._count("pairs", max(added, 0))

    def bury(self, contents: pl.Series) -> None:
        """Notes that contents are gone and may have entries in runs."""
        self._want(contents)
        self._connection.execute("INSERT OR IGNORE INTO dead SELECT value FROM wanted")

    def drop_pairs(self, contents: pl.Series) -> pl.Series:
        """Takes all pairs of contents out; returns the contents at their other ends."""
        self._want(contents)
        ends = self._all("SELECT a, b FROM wanted CROSS JOIN pairs ON a = value")
        gone = {(min(a, b), max(a, b)) for a, b in ends}
        self._connection.executemany("DELETE FROM pairs WHERE a = ?1 AND b = ?2", gone)
        self._connection.executemany("DELETE FROM pairs WHERE a = ?2 AND b = ?1", gone)
        self._count("pairs", -len(gone))
        return pl.Series([b for _, b in ends], dtype=pl.Int64).unique()

    def revive(self, contents: pl.Series) -> None:
        """Notes that contents are there (again)."""
        self._want(contents)
        self._connection.execute("DELETE FROM dead WHERE content IN (SELECT value FROM wanted)")

    def forget_dead(self) -> None:
        """Notes that no run has entries of contents that are gone."""
        self._connection.execute("DELETE FROM dead")

    def dead(self) -> np.ndarray:
        """Returns the contents that are gone and may have entries in runs, sorted."""
        found = self._contents("SELECT content FROM dead ORDER BY content")
        return found.to_numpy()

    @property
    def num_pairs(self) -> int:
        """Returns how many pairs there are."""
        return int(self._meta("pairs") or 0)

    def pairs(self, contents: pl.Series | None) -> pl.DataFrame:
        """Returns the pairs (left < right, jaccard) of whole components, sorted."""
        if contents is None:
            rows = self._all("SELECT a, b, jaccard FROM pairs WHERE a < b ORDER BY a, b")
        else:
            self._want(contents)
            rows = self._all(
                "SELECT a, b, jaccard FROM wanted CROSS JOIN pairs ON a = value "
                "WHERE a < b ORDER BY a, b"
            )
        schema = {"left": pl.Int64, "right": pl.Int64, "jaccard": pl.Float32}
        return pl.DataFrame(rows, schema=schema, orient="row")

    def closure(self, contents: pl.Series) -> pl.Series:
        """Returns all contents that pairs, or one id under two contents, tie to the given ones."""
        found = frontier = contents.unique()
        while len(frontier):
            self._want(frontier)
            reached = self._contents(
                "SELECT b FROM wanted CROSS JOIN pairs ON a = value "
                "UNION SELECT b FROM wanted CROSS JOIN same_id ON a = value"
            )
            frontier = reached.filter(~reached.is_in(found.implode()))
            found = pl.concat([found, frontier])
        return found

    def old_clusters(self, contents: pl.Series) -> tuple[pl.Series, pl.Series]:
        """Returns the cluster ids and the first ids that contents had after the last update."""
        self._want(contents)
        rows = self._all(
            "SELECT cluster_id, first_id FROM wanted CROSS JOIN members ON content = value"
        )
        return (
            pl.Series([row[0] for row in rows], dtype=pl.String).drop_nulls().unique(),
            pl.Series([row[1] for row in rows], dtype=pl.String).unique(),
        )

    def set_clusters(
        self, contents: pl.Series | None, members: pl.DataFrame, rows: pl.DataFrame
    ) -> None:
        """Puts new clusters in place of those that contents (None: all) had.

        Args:
            contents: Every content that was solved again or is gone.
            members: Columns content, cluster_id, first_id.
            rows: Index rows of the new clusters.
        """
        run, many = self._connection.execute, self._connection.executemany
        if contents is None:
            for table in ("members", "tallies", "totals"):
                run(f"DELETE FROM {table}")
            self._count("clusters", -int(self._meta("clusters") or 0))
        else:
            old, _ = self.old_clusters(contents)
            run("DELETE FROM members WHERE content IN (SELECT value FROM wanted)")
            gone = [(cluster,) for cluster in old.to_list()]
            many(
                "INSERT INTO totals SELECT source, action, -documents FROM tallies"
                " WHERE cluster_id = ?"
                " ON CONFLICT DO UPDATE SET documents = documents + excluded.documents",
                gone,
            )
            many("DELETE FROM tallies WHERE cluster_id = ?", gone)
            self._count("clusters", -len(old))
        many("INSERT INTO members VALUES (?, ?, ?)", members.rows())
        counted = rows.group_by("cluster_id", "source", "action").agg(documents=pl.len())
        many("INSERT INTO tallies VALUES (?, ?, ?, ?)", counted.rows())
        totals = counted.group_by("source", "action").agg(pl.col("documents").sum())
        many(
            "INSERT INTO totals VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET documents = documents + excluded.documents",
            totals.rows(),
        )
        self._count("clusters", rows["cluster_id"].n_unique())

    def totals(self) -> tuple[int, dict[tuple[str, str], int]]:
        """Returns the number of clusters, and of documents by (source, action)."""
        counts = {(s, a): n for s, a, n in self._all("SELECT * FROM totals ORDER BY 1, 2") if n}
        return int(self._meta("clusters") or 0), counts

    # -- runs ------------------------------------------------------------------------------------

    def runs(self) -> list[Run]:
        """Returns the band runs that belong to this state."""
        return [Run(*row) for row in self._all("SELECT * FROM runs ORDER BY name")]

    def set_runs(self, runs: Iterable[Run]) -> None:
        """Records the band runs of the new state."""
        self._connection.execute("DELETE FROM runs")
        self._connection.executemany(
            "INSERT INTO runs VALUES (?, ?)", [(run.name, run.num_entries) for run in runs]
        )

    # -- parts -----------------------------------------------------------------------------------

    def _want(self, values: pl.Series) -> None:
        run = self._connection.execute
        run("CREATE TEMP TABLE IF NOT EXISTS wanted (value INTEGER PRIMARY KEY)")
        run("DELETE FROM wanted")
        ordered = values.unique().sort().to_list()
        self._connection.executemany("INSERT INTO wanted VALUES (?)", [(v,) for v in ordered])

    def _frame(
        self, where: str, values: Sequence[Any], further: tuple[str, ...] = ()
    ) -> pl.DataFrame:
        columns = [*_STORED, *further]
        rows = self._all(f"SELECT {', '.join(columns)} FROM documents {where}", values)
        kinds: dict[str, Any] = {**DOCUMENT_SCHEMA, **dict.fromkeys(_DIGESTS, pl.Binary)}
        kinds |= dict.fromkeys(further, pl.Int64)
        frame = pl.DataFrame(rows, schema={name: kinds[name] for name in columns}, orient="row")
        return frame.with_columns(pl.col(name).bin.encode("hex") for name in _DIGESTS)

    def _contents(self, statement: str) -> pl.Series:
        return pl.Series([row[0] for row in self._all(statement)], dtype=pl.Int64)

    def _count(self, name: str, change: int) -> None:
        total = int(self._meta(name) or 0) + change
        self._connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, str(total)))

    def _meta(self, name: str) -> str | None:
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        return self._connection.execute(statement, values).fetchall()

    def _one(self, statement: str) -> int:
        return self._connection.execute(statement).fetchone()[0]


def _identity() -> pl.Expr:
    """Returns 63 bits of a hash of the id."""
    return (pl.col("id").hash(seed=17) & ((1 << 63) - 1)).cast(pl.Int64)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
