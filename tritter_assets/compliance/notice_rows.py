"""What a notice is made of, gathered from the lake and sorted outside memory.

Copyright lines are those of the rows behind all mixes. Licence texts are the files of the same
repositories (`license_texts/<source>`) that cover one of these rows: those at the root, those in a
folder that holds one. DuckDB joins, sorts and deduplicates on disk; entries and texts stream by, so
memory is bounded by the limit whatever the number of repositories. Texts are kept once per hash.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from tritter_assets.lake import Lake
from tritter_assets.lineage.inventory import DOCUMENT_STAGES, tables_under
from tritter_assets.sources.sorting import DocumentSorter

MAX_LINE_CHARS = 500

_BATCH_ROWS = 10_000
_TEXT_ROWS = 256
_SORTED_BYTES = 64 << 20
_ORIGIN_COLUMNS = ("id", "source", "repo", "path", "revision", "license_concluded", "attribution")
_MIN_MEMORY_BYTES = 256 << 20
_FOLDER = r"regexp_replace({path}, '/?[^/]*$', '')"
_COVERED = r"regexp_replace(regexp_replace({path}, '/?[^/]*$', ''), '(^|/)licen[cs]es?$', '', 'i')"
"""The folder that a licence file covers; those in a folder of licences cover the one above it."""


@dataclass(slots=True)
class Entry:
    """The notice of one repository."""

    source: str
    repo: str
    revisions: list[str] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    """(path, hash of the text) of its licence files."""


@dataclass(frozen=True, slots=True)
class OwnText:
    """The text of licence files found in repositories."""

    sha256: str
    repositories: int
    text: str


class NoticeRows:
    """The rows of a notice in a DuckDB file of their own."""

    def __init__(self, lake: Lake, folder: Path, memory_limit_bytes: int) -> None:
        """Gathers everything; `missing` says what could not be found.

        Args:
            lake: Where the mixes and their origin tables are.
            folder: Where the database and its spilled rows go.
            memory_limit_bytes: Of the profile; DuckDB takes a quarter, what passes by as much.
        """
        import duckdb

        self._lake = lake
        self._folder = folder
        self._connection: Any = duckdb.connect(str(folder / "notice.duckdb"))
        limit = max(memory_limit_bytes // 4, _MIN_MEMORY_BYTES)
        self._run(f"SET memory_limit = '{limit >> 20}MiB'")
        self._run(f"SET temp_directory = '{folder / 'spill'}'")
        self._run("SET preserve_insertion_order = false")
        self._run(
            "CREATE TABLE lines (source TEXT, repo TEXT, revision TEXT, licence TEXT, line TEXT)"
        )
        self._run("CREATE TABLE folders (source TEXT, repo TEXT, folder TEXT)")
        self._run(
            "CREATE TABLE files "
            '(source TEXT, repo TEXT, path TEXT, sha256 TEXT, covers TEXT, "table" TEXT, id TEXT)'
        )
        for table in tables_under(lake, "license_texts"):
            self._add_files(table)
        self._run(
            "CREATE TABLE nested AS SELECT DISTINCT source, repo FROM files WHERE covers <> ''"
        )
        self.missing: list[tuple[str, str, int]] = []
        """(mix, table, number of rows of the mix that the table does not hold)."""
        for mix in tables_under(lake, "mix"):
            self._add_mix(mix)
        self._run(
            """
            CREATE TABLE used AS
            SELECT source, repo, path, sha256, "table", id FROM files f
            SEMI JOIN (SELECT DISTINCT source, repo FROM lines) l USING (source, repo)
            WHERE covers = '' OR EXISTS (
                SELECT 1 FROM folders d WHERE d.source = f.source AND d.repo = f.repo
                AND (d.folder = f.covers OR starts_with(d.folder, f.covers || '/')))
            """
        )

    def close(self) -> None:
        """Closes the database."""
        self._connection.close()

    def entries(self) -> Iterator[Entry]:
        """Yields the repositories, sorted by source and name."""
        texts = _Ahead(self._stream("SELECT source, repo, path, sha256 FROM used ORDER BY ALL"))
        lines = self._stream(
            f"""
            SELECT DISTINCT source, repo, revision, licence,
                   left(trim(regexp_replace(line, '[[:cntrl:]]+', ' ', 'g')), {MAX_LINE_CHARS})
            FROM lines ORDER BY ALL
            """
        )
        for (source, repo), group in groupby(lines, key=lambda row: (row[0], row[1])):
            revisions: dict[str, None] = {}
            licences: set[str] = set()
            found: set[str] = set()
            for _, _, revision, licence, line in group:
                revisions[revision] = None
                licences.add(licence)
                if line:
                    found.add(line)
            files = texts.of(source, repo)
            yield Entry(source, repo, list(revisions), sorted(licences), sorted(found), files)

    def texts(self) -> Iterator[OwnText]:
        """Yields each licence text once, sorted by hash."""
        sorter = DocumentSorter(self._folder / "texts", _SORTED_BYTES, ())
        try:
            for table in tables_under(self._lake, "license_texts"):
                for batch in self._texts_of(table):
                    size = pl.col("text").str.len_bytes().cast(pl.Int64)
                    sorter.add(pl.DataFrame(batch).with_columns(content_bytes=size))
            users = self._stream(
                "SELECT sha256, count(DISTINCT (source, repo)) FROM used GROUP BY 1 ORDER BY 1"
            )
            rows = (row for batch in sorter.batches() for row in batch.to_pylist())
            for row, (_, repositories) in zip(rows, users, strict=True):
                yield OwnText(row["id"], int(repositories), row["text"])
        finally:
            sorter.close()

    def _texts_of(self, table: str) -> Iterator[pa.RecordBatch]:
        """Yields (id, text) of the texts that this table is the first to hold; id is the hash."""
        with self._origin(table, ["id", "sha256", "text"], _TEXT_ROWS):
            # Only ids are joined; the texts pass by.
            rows = self._connection.sql(
                """
                SELECT o.sha256 AS id, o.text FROM origin o
                SEMI JOIN (SELECT "table", min(id) AS id FROM used GROUP BY sha256, "table"
                           QUALIFY "table" = min("table") OVER (PARTITION BY sha256)) u
                  ON o.id = u.id AND u."table" = ?
                """,
                params=[table],
            )
            yield from rows.to_arrow_reader(_TEXT_ROWS)

    def _run(self, statement: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values or []).fetchall()

    def _stream(self, query: str) -> Iterator[tuple[Any, ...]]:
        cursor = self._connection.cursor()
        cursor.execute(query)
        while batch := cursor.fetchmany(_BATCH_ROWS):
            yield from batch

    @contextmanager
    def _origin(self, table: str, columns: list[str], rows: int = _BATCH_ROWS) -> Iterator[None]:
        """Makes a table of the lake readable as `origin`, once; its rows are not held."""
        schema = pa.schema([self._lake.dataset(table).schema.field(name) for name in columns])
        batches = self._lake.batches(table, columns=columns, batch_rows=rows)
        self._connection.register("origin", pa.RecordBatchReader.from_batches(schema, batches))
        try:
            yield
        finally:
            self._connection.unregister("origin")

    def _add_files(self, table: str) -> None:
        with self._origin(table, ["source", "repo", "path", "sha256", "id"]):
            self._run(
                "INSERT INTO files SELECT source, repo, path, sha256, "
                f"{_COVERED.format(path='path')}, ?, id FROM origin",
                [table],
            )

    def _add_mix(self, mix: str) -> None:
        with self._origin(mix, ["table", "id", "source"]):
            self._run("CREATE OR REPLACE TABLE trained AS FROM origin")
        for (table,) in self._run('SELECT DISTINCT "table" FROM trained ORDER BY 1'):
            rows = self._add_table(table)
            if rows:
                self.missing.append((mix, table, rows))

    def _add_table(self, table: str) -> int:
        """Adds the lines of one origin table; returns how many mix rows it does not hold."""
        if table.split("/", 1)[0] not in DOCUMENT_STAGES or not self._lake.exists(table):
            query = 'SELECT count(*) FROM trained WHERE "table" = ?'
            return int(self._run(query, [table])[0][0])
        with self._origin(table, list(_ORIGIN_COLUMNS)):
            self._run(
                """
                CREATE OR REPLACE TABLE here AS SELECT * FROM origin o
                SEMI JOIN (SELECT id, source FROM trained WHERE "table" = ?) t
                  ON o.id = t.id AND o.source = t.source
                """,
                [table],
            )
        self._run(
            """
            INSERT INTO lines SELECT DISTINCT source, repo, revision, license_concluded,
                   unnest(string_split(coalesce(attribution, ''), chr(10)))
            FROM here
            """
        )
        self._run(
            f"""
            INSERT INTO folders SELECT DISTINCT source, repo, {_FOLDER.format(path="path")}
            FROM here SEMI JOIN nested USING (source, repo) WHERE contains(path, '/')
            """
        )
        absent = self._run(
            """
            SELECT count(*) FROM (SELECT id, source FROM trained WHERE "table" = ?)
            ANTI JOIN here USING (id, source)
            """,
            [table],
        )
        return int(absent[0][0])


class _Ahead:
    """Gives the files of one repository after another, from rows sorted like the repositories."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self._next = next(rows, None)

    def of(self, source: str, repo: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        while self._next is not None and self._next[:2] <= (source, repo):
            if self._next[:2] == (source, repo):
                found.append((self._next[2], self._next[3]))
            self._next = next(self._rows, None)
        return found
