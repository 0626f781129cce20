"""What an index knows of its clusters, by content: pairs, members and counts."""

from __future__ import annotations

import numpy as np
import polars as pl

from tritter_assets.dedup.cache_database import CacheDatabase

_PAIRS_AT_ONCE = 1 << 16


class ClusterCache(CacheDatabase):
    """The part of a cache that speaks of contents alone."""

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
