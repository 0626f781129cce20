"""What an index knows of its documents: where a content stands, and what its documents say.

See `cache_database.py` for what a cache is, and `cluster_cache.py` for what is kept of clusters.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from tritter_assets.dedup.cache_database import canonical
from tritter_assets.dedup.cluster_cache import ClusterCache
from tritter_assets.dedup.license_family import LicenseFamilies
from tritter_assets.dedup.sorted_runs import SortedRuns, keys_of
from tritter_assets.dedup.text_store import TextStore

_DIGESTS = ("content_sha256", "normalized_sha256")
_OF_NUMBER = "documents ON number = value"
"""After `CROSS JOIN`, which keeps the order of the tables: the other one reads all documents."""
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
        self.texts = TextStore(self._connection, self.open_runs(SortedRuns, "texts"))
        self._by_content = self.open_runs(SortedRuns, "contents")
        self._by_identity = self.open_runs(SortedRuns, "identities")
        self._pending: list[pl.DataFrame] = []
        self._shards = {
            (source, shard): (number, version, first, last)
            for number, source, shard, version, first, last in self._all("SELECT * FROM shards")
        }
        self._ranges: np.ndarray | None = None
        self._priorities: dict[str, int] = {}
        self.families: LicenseFamilies | None = None

    def commit(self, fits: Mapping[str, Any]) -> None:
        """Keeps what was done, as fitting these table versions."""
        self._enter_pending()
        self.texts.settle(self.dead())
        super().commit(fits)

    def forget_dead(self) -> None:
        """Notes that no run of bands has entries of contents that are gone."""
        self.texts.sweep(self.dead())
        super().forget_dead()

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

        Looking up a content or a document after it writes a run: replace many before.

        Returns:
            The contents some document of which came, went or changed.
        """
        number, _, first, last = self._shards.get(key, (None, "", 0, -1))
        old = self._frame("documents WHERE number BETWEEN ? AND ?", (first, last))
        self._connection.execute(
            "DELETE FROM documents WHERE number BETWEEN ? AND ?", (first, last)
        )
        self._ranges = None
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
        # Numbers are not used again: runs still have those of documents that are gone.
        start = 1 + int(self._meta("last_document") or 0)
        number = 1 + self._one("SELECT coalesce(max(number), 0) FROM shards")
        end = start + rows.height - 1
        self._connection.execute(
            "INSERT INTO shards VALUES (?, ?, ?, ?, ?, ?)", (number, *key, data_version, start, end)
        )
        self._connection.execute(
            "INSERT OR REPLACE INTO meta VALUES ('last_document', ?)", (str(end),)
        )
        self._shards[key] = (number, data_version, start, end)
        stored = rows.with_columns(
            *(pl.col(name).str.decode("hex") for name in _DIGESTS),
            number=pl.int_range(start, end + 1),
            shard=pl.lit(number),
        ).select("number", "content", "shard", "id", *_STORED[2:])
        self._connection.executemany(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", stored.rows()
        )
        self._pending.append(stored.select("number", "content", identity=_identity()))

    def _enter_pending(self) -> None:
        """Puts documents that came since the last look-up into the runs, in one go."""
        if not self._pending:
            return
        came = pl.concat(self._pending)
        self._pending = []
        self._note_same_ids(came)
        for runs, name in ((self._by_content, "content"), (self._by_identity, "identity")):
            runs.add(keys_of(came[name]), came["number"].to_numpy())
            runs.settle(lambda _, numbers: self._are_there(numbers))

    def _are_there(self, numbers: np.ndarray) -> np.ndarray:
        """True where a document number is of a shard as it is now."""
        if self._ranges is None:
            # A range below all others spares the case of a number before the first.
            held = sorted((first, last) for _, _, first, last in self._shards.values())
            self._ranges = np.array([(0, 0), *held], dtype=np.int64).T
        firsts, lasts = self._ranges
        return numbers <= lasts[np.searchsorted(firsts, numbers, "right") - 1]

    def _numbers(self, runs: SortedRuns, keys: pl.Series) -> pl.DataFrame:
        """Returns key and number of the documents there are with one of the keys."""
        self._enter_pending()
        found, numbers = runs.find(np.unique(keys_of(keys)))
        there = self._are_there(numbers)
        return pl.DataFrame(
            {"key": found[there].view(np.int64), "number": numbers[there]},
            schema={"key": pl.Int64, "number": pl.Int64},
        )

    def _note_same_ids(self, came: pl.DataFrame) -> None:
        """Ties contents that one id carries: a document counts once, so they go together."""
        held = self._numbers(self._by_identity, came["identity"])
        every = pl.concat([held, came.select(key="identity", number="number")])
        repeated = every.filter(pl.len().over("key") > 1)
        self._want(repeated["number"])
        contents = pl.DataFrame(
            self._all(f"SELECT number, content FROM wanted CROSS JOIN {_OF_NUMBER}"),
            schema={"number": pl.Int64, "content": pl.Int64},
            orient="row",
        )
        named = repeated.join(contents, on="number").select("key", "content").unique()
        tied = named.join(named, on="key").filter(pl.col("content") != pl.col("content_right"))
        self._connection.executemany(
            "INSERT OR IGNORE INTO same_id VALUES (?, ?)",
            tied.select("content", "content_right").rows(),
        )

    def clustered(self, contents: pl.Series | None) -> pl.Series:
        """Returns those of the contents (None: of all) that have a pair or a second document."""
        if contents is None:
            paired = self._contents("SELECT DISTINCT a FROM pairs")
            return pl.concat([paired, *self._all_copied()]).unique()
        self._want(contents)
        paired = self._contents(
            "SELECT value FROM wanted WHERE EXISTS (SELECT 1 FROM pairs WHERE a = value)"
        )
        return pl.concat([paired, _copied(self._numbers(self._by_content, contents))]).unique()

    def _all_copied(self) -> Iterator[pl.Series]:
        self._enter_pending()
        for keys, numbers in self._by_content.repeated():
            there = self._are_there(numbers)
            yield _copied(pl.DataFrame({"key": keys[there].view(np.int64)}))

    def documents(self, contents: pl.Series) -> pl.DataFrame:
        """Returns the documents of contents: `DOCUMENT_SCHEMA`, source, shard, priority."""
        self._want(self._numbers(self._by_content, contents)["number"])
        frame = self._frame(f"wanted CROSS JOIN {_OF_NUMBER}", (), ("shard",))
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
        return self._numbers(self._by_content, contents)["key"].unique()

    def _frame(
        self, source: str, values: Sequence[Any], further: tuple[str, ...] = ()
    ) -> pl.DataFrame:
        columns = [*_STORED, *further]
        rows = self._all(f"SELECT {', '.join(columns)} FROM {source}", values)
        kinds: dict[str, Any] = {**DOCUMENT_SCHEMA, **dict.fromkeys(_DIGESTS, pl.Binary)}
        kinds |= dict.fromkeys(further, pl.Int64)
        frame = pl.DataFrame(rows, schema={name: kinds[name] for name in columns}, orient="row")
        return frame.with_columns(pl.col(name).bin.encode("hex") for name in _DIGESTS)


def _identity() -> pl.Expr:
    """Returns 63 bits of a hash of the id."""
    return (pl.col("id").hash(seed=17) & ((1 << 63) - 1)).cast(pl.Int64)


def _copied(documents: pl.DataFrame) -> pl.Series:
    """Returns the keys that more than one row has."""
    return documents.group_by("key").len().filter(pl.col("len") > 1)["key"]
