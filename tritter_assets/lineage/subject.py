"""What somebody asks an explanation of, found in the lake.

| written as | is |
|---|---|
| 32 hexadecimal digits, or the first 6 and more | a document, what ingestion skipped, a sequence |
| `<repo>:<path>` | a document, or what ingestion skipped |
| `packed/<phase>_<context>:<sequence>` | a packed sequence |
| `packed/<phase>_<context>:<sequence>@<token>` | one token; `@r<token>` of a rejected answer |
| `<file>.parquet:<offset>` | in a packed file its token number `<offset>`, else a row; from 0 |
| `model/<phase>` | a checkpoint |
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.lineage.inventory import DOCUMENT_STAGES, data_files, tables_under
from tritter_assets.lineage.tombstones import read_tombstones

_LISTED = 10
_DIGITS = re.compile(r"[0-9a-f]{6,32}")
_PACKED = re.compile(r"(packed/[\w.\-]+):([0-9a-f]{6,32})(?:@(r?)(\d+))?")
_FILE = re.compile(r"(?:.*/)?([\w.\-]+\.parquet):(\d+)", re.DOTALL)
_CHECKPOINT = re.compile(r"model/[\w.\-]+")


@dataclass(frozen=True, kw_only=True, slots=True)
class DocumentSubject:
    """A document, or something that ingestion did not read."""

    doc_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SequenceSubject:
    """A packed sequence, or one token of it."""

    table: str
    sequence: str
    token: int | None
    """0 is the first token; None asks for the whole sequence."""
    rejected: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckpointSubject:
    """A stored model."""

    asset: str


Subject = DocumentSubject | SequenceSubject | CheckpointSubject


def find_subject(lake: Lake, what: str) -> Subject:
    """Returns what is asked for.

    Raises:
        MissingProvenance: nothing answers to `what`, or several things do; the message lists them.
    """
    if packed := _PACKED.fullmatch(what):
        table, digits, rejected, token = packed.groups()
        number = None if token is None else int(token)
        sequence = _sequence(lake, table, digits)
        return SequenceSubject(
            table=table, sequence=sequence, token=number, rejected=bool(rejected)
        )
    if file := _FILE.fullmatch(what):
        return _in_file(lake, file.group(1), int(file.group(2)))
    if _CHECKPOINT.fullmatch(what):
        known = tables_under(lake, "model")
        if what not in known:
            raise MissingProvenance(f"no checkpoint {what!r} in the lake: it holds {list(known)}")
        return CheckpointSubject(asset=what)
    if _DIGITS.fullmatch(what):
        return _by_digits(lake, what)
    if what.startswith("packed/"):
        raise MissingProvenance(
            f"{what!r} names no sequence or token: write packed/<phase>_<context>:<sequence id>, "
            "with @<token> behind it for one token"
        )
    return DocumentSubject(doc_id=_by_path(lake, what))


def _by_digits(lake: Lake, digits: str) -> Subject:
    match = pl.col("id") == digits if len(digits) == 32 else pl.col("id").str.starts_with(digits)
    found: dict[str, Subject] = {}
    places: dict[str, set[str]] = {}
    for doc_id, table in _ids(lake, (*DOCUMENT_STAGES, "skipped"), match):
        found[doc_id] = DocumentSubject(doc_id=doc_id)
        places.setdefault(doc_id, set()).add(table)
    for sequence, table in _ids(lake, ("packed",), match):
        found[f"{table}:{sequence}"] = SequenceSubject(table=table, sequence=sequence, token=None)
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        names = [f"{name} ({', '.join(sorted(places.get(name, ('sequence',))))})" for name in found]
        raise MissingProvenance(_several(digits, names))
    gone = read_tombstones(lake).filter(match)
    if gone.is_empty():
        raise MissingProvenance(
            f"no document or sequence {digits} in raw, skipped, filtered, functions, synthetic or "
            "packed tables: check it, digit by digit; an id of another lake or an earlier pack is "
            "not known here"
        )
    row = gone.row(0, named=True)
    by = f"request {row['request']}" if row["request"] else f"a request, as {row['how']}"
    raise MissingProvenance(
        f"document {row['id']} of {row['source']} was removed by {by}: no table holds it any more; "
        "`tritter forget` lists the requests"
    )


def _by_path(lake: Lake, what: str) -> str:
    repo, colon, path = what.partition(":")
    if not colon or not path:
        raise MissingProvenance(
            f"{what!r} is neither a document id (32 hexadecimal digits, or the first 6 and more), "
            "<repo>:<path>, packed/<phase>_<context>:<sequence id>@<token>, "
            "<file>.parquet:<offset> nor model/<phase>"
        )
    condition = (pl.col("repo") == repo) & (pl.col("path") == path)
    found = set(_ids(lake, ("raw",), condition)) or set(_ids(lake, ("skipped",), condition))
    ids = sorted({doc_id for doc_id, _ in found})
    if len(ids) == 1:
        return ids[0]
    if not ids:
        raise MissingProvenance(
            f"no raw table holds {path!r} of repository {repo!r}, nor does a list of skipped "
            "rows: check both, letter by letter"
        )
    raise MissingProvenance(_several(what, [f"{name} ({table})" for name, table in sorted(found)]))


def _several(what: str, names: list[str], kind: str = "documents") -> str:
    listed = ", ".join(sorted(names)[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{what!r} is {len(names)} {kind}, ask for one: {listed}{more}"


def _ids(lake: Lake, stages: tuple[str, ...], condition: pl.Expr) -> Iterator[tuple[str, str]]:
    """Yields (id, table) of matching rows."""
    for stage in stages:
        for table in tables_under(lake, stage):
            rows = lake.scan(table).filter(condition).select("id").unique().sort("id")
            for (doc_id,) in rows.collect(engine="streaming").iter_rows():
                yield doc_id, table


def _sequence(lake: Lake, table: str, digits: str) -> str:
    if not lake.exists(table):
        known = list(tables_under(lake, "packed"))
        raise MissingProvenance(f"no table {table!r} in the lake: it holds {known}")
    rows = lake.scan(table).filter(pl.col("id").str.starts_with(digits)).select("id").collect()
    ids = rows["id"].unique().sort().to_list()
    if len(ids) == 1:
        return ids[0]
    if ids:
        raise MissingProvenance(
            _several(f"{table}:{digits}", ids).replace("documents", "sequences")
        )
    raise MissingProvenance(
        f"{table} holds no sequence {digits!r}: it may have been packed again; `tritter explain` "
        "of a document lists the sequences that hold it now"
    )


def _in_file(lake: Lake, name: str, offset: int) -> Subject:
    for stage in ("packed", *DOCUMENT_STAGES):
        for table in tables_under(lake, stage):
            paths = [p for p in data_files(lake, table) if p.rsplit("/", 1)[-1] == name]
            if paths:
                return _in_data_file(lake, table, paths[0], offset)
    raise MissingProvenance(
        f"{name} is no data file of a packed or document table as it stands now: the table was "
        "written again since, or the file is of another lake"
    )


def _in_data_file(lake: Lake, table: str, path: str, offset: int) -> Subject:
    packed = table.startswith("packed/")
    with lake.location.filesystem(table).open_input_file(path) as file:
        columns = ["id", "tokens"] if packed else ["id"]
        rows = pl.DataFrame(pq.ParquetFile(file).read(columns=columns))
    if not packed:
        if offset >= rows.height:
            raise MissingProvenance(f"{table}/{path} holds {rows.height} rows, not a row {offset}")
        return DocumentSubject(doc_id=rows["id"][offset])
    ends = rows["tokens"].list.len().cum_sum()
    total = int(ends[-1]) if rows.height else 0
    if offset >= total:
        raise MissingProvenance(
            f"{table}/{path} holds {total} tokens in {rows.height} sequences, not a token {offset}"
        )
    row = int((ends <= offset).sum())
    token = offset - (int(ends[row - 1]) if row else 0)
    return SequenceSubject(table=table, sequence=rows["id"][row], token=token)
