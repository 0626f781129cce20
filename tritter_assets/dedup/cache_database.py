"""The local database under the cache of an index: one transaction, lost or kept as a whole.

The tables of the lake are the record. The cache holds what they say in an order that lets an
update look up single contents. It is written in one transaction that ends after the last commit to
the lake, and names the table versions it fits; killed before, or with tables it does not know, it
is made again from the signatures, which costs time and nothing else.

What has an entry per document lies in sorted runs (`sorted_runs.py`) beside the database, which
names those that count: they change in the same transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from tritter_assets.dedup.memory import DEFAULT_MEMORY_LIMIT_BYTES
from tritter_assets.dedup.sorted_runs import Run, SortedRuns, are_whole

Runs = TypeVar("Runs", bound=SortedRuns)

_TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE shards (number INTEGER PRIMARY KEY, source TEXT, shard TEXT, data_version TEXT,
    first INTEGER, last INTEGER);
CREATE TABLE documents (number INTEGER PRIMARY KEY, content INTEGER, shard INTEGER, id TEXT,
    repo TEXT, path TEXT, license_concluded TEXT, content_sha256 BLOB, normalized_sha256 BLOB,
    num_shingles INTEGER);
CREATE TABLE pairs (a INTEGER, b INTEGER, jaccard REAL, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE same_id (a INTEGER, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE members (content INTEGER PRIMARY KEY, cluster_id TEXT, first_id TEXT);
CREATE TABLE tallies (cluster_id TEXT, source TEXT, action TEXT, documents INTEGER,
    PRIMARY KEY (cluster_id, source, action)) WITHOUT ROWID;
CREATE TABLE totals (source TEXT, action TEXT, documents INTEGER, PRIMARY KEY (source, action));
CREATE TABLE dead (content INTEGER PRIMARY KEY);
CREATE TABLE text_blocks (number INTEGER PRIMARY KEY, contents BLOB, sizes BLOB, packed BLOB);
CREATE TABLE runs (kind TEXT, name TEXT, num_entries INTEGER, PRIMARY KEY (kind, name));
"""
CACHE_VERSION = "3"
"""3: entries of documents in sorted runs. A cache of another version is made anew."""

_CACHE_KIB = 32 << 10
_MAPPED_BYTES = 1 << 40
"""Pages are looked at where they lie: 25 ms of 250 look-ups in 250,000 documents became 13."""


class CacheDatabase:
    """One open transaction on the cache of one index; `commit` keeps it, `close` alone does not.

    Args:
        folder: Where the database is.
        fits: Says of what the cache was made from (as `commit` took it) whether that will do;
            otherwise the cache is emptied.
    """

    def __init__(self, folder: Path, fits: Callable[[Any], bool]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._file = folder / "documents.sqlite"
        self._runs: dict[str, SortedRuns] = {}
        self._connection = sqlite3.connect(self._file, isolation_level=None, timeout=60)
        stored = self._stored()
        self.is_new = (
            stored is None or not fits(json.loads(stored)) or not self._has_its_runs_whole()
        )
        if self.is_new:
            self._connection.close()
            for file in folder.glob("documents.sqlite*"):
                file.unlink()
            self._connection = sqlite3.connect(self._file, isolation_level=None, timeout=60)
            self._prepare()
            self._connection.execute("BEGIN IMMEDIATE")
            for statement in _TABLES.split(";"):
                self._connection.execute(statement)
        else:
            self._connection.execute("BEGIN IMMEDIATE")

    def _stored(self) -> str | None:
        """Returns what the database says it fits; None when it is new, or not readable any more."""
        try:
            self._prepare()
            return self._meta("fits")
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                raise
            return None

    def _prepare(self) -> None:
        run = self._connection.execute
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = NORMAL")
        run(f"PRAGMA cache_size = -{_CACHE_KIB}")
        run(f"PRAGMA mmap_size = {_MAPPED_BYTES}")
        run("PRAGMA temp_store = MEMORY")
        # What a removal takes out does not stay behind in free pages.
        run("PRAGMA main.secure_delete = ON")

    def commit(self, fits: Mapping[str, Any]) -> None:
        """Keeps what was done, as fitting these table versions."""
        self._connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('fits', ?)", (canonical(fits),)
        )
        self._connection.execute("DELETE FROM runs")
        self._connection.executemany(
            "INSERT INTO runs VALUES (?, ?, ?)",
            [(kind, r.name, r.num_entries) for kind, held in self._runs.items() for r in held.runs],
        )
        self._connection.execute("COMMIT")
        for runs in self._runs.values():
            runs.sweep()

    def open_runs(
        self, kind: type[Runs], name: str, memory_limit_bytes: int = DEFAULT_MEMORY_LIMIT_BYTES
    ) -> Runs:
        """Opens runs that belong to this cache; `commit` keeps them as they are then."""
        runs = kind(self._folder / name, self._kept_runs(name), memory_limit_bytes)
        self._runs[name] = runs
        return runs

    def _kept_runs(self, name: str) -> list[Run]:
        stored = self._all("SELECT name, num_entries FROM runs WHERE kind = ? ORDER BY 1", (name,))
        return [Run(*row) for row in stored]

    def _has_its_runs_whole(self) -> bool:
        """Looks at the files: the machine may have stopped after `commit`, before they were out."""
        names = [row[0] for row in self._all("SELECT DISTINCT kind FROM runs")]
        return all(are_whole(self._folder / name, self._kept_runs(name)) for name in names)

    def close(self) -> None:
        """Closes the database; what was not committed is forgotten."""
        self._connection.close()

    # -- statements -------------------------------------------------------------------------------

    def _want(self, values: pl.Series) -> None:
        run = self._connection.execute
        run("CREATE TEMP TABLE IF NOT EXISTS wanted (value INTEGER PRIMARY KEY)")
        run("DELETE FROM wanted")
        ordered = values.unique().sort().to_list()
        self._connection.executemany("INSERT INTO wanted VALUES (?)", [(v,) for v in ordered])

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


def canonical(value: Any) -> str:
    """Returns JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))
