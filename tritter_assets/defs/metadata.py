"""Turns reports and stored tables into Dagster metadata."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg
import polars as pl
import pyarrow as pa

from tritter_assets.contracts.table import TableContract
from tritter_assets.lake import Lake, PartitionState

_MAX_LICENSES = 20
_SHOWN_ELSEWHERE = frozenset({"source", "shard", "num_rows", "licenses", "data_version"})
"""Report fields that the licence table, the row count and the versions already show."""
_SCHEMAS: dict[tuple[int, str], dg.TableSchema] = {}
"""By identity: schemas are module constants, and hashing one costs as much as describing it."""
_MAX_LINEAGE_INPUTS = 24


def table_schema(schema: pa.Schema, contract: TableContract | None) -> dg.TableSchema:
    """Describes an Arrow schema for the catalogue; one description for all assets that share it."""
    key = (id(schema), contract.id if contract is not None else "")
    if key not in _SCHEMAS:
        columns = contract.columns if contract is not None else ()
        _SCHEMAS[key] = _describe(schema, {c.name: c.description for c in columns})
    return _SCHEMAS[key]


def _describe(schema: pa.Schema, descriptions: Mapping[str, str]) -> dg.TableSchema:
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=field.name,
                type=str(field.type),
                description=descriptions.get(field.name) or None,
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in schema
        ]
    )


def column_lineage(
    schema: pa.Schema, inputs: Mapping[str, pa.Schema]
) -> dg.TableColumnLineage | None:
    """Traces each column to the columns of the same name in the inputs.

    Row-level lineage (which document a row came from) is stored in the tables themselves; this is
    what the catalogue draws. Fan-in over more than a few dozen inputs is cut to the first ones,
    because the record is written with every materialisation.
    """
    chosen = sorted(inputs.items())[:_MAX_LINEAGE_INPUTS]
    deps = {
        field.name: [
            dg.TableColumnDep(asset_key=dg.AssetKey(key.split("/")), column_name=field.name)
            for key, upstream in chosen
            if field.name in upstream.names
        ]
        for field in schema
    }
    deps = {column: found for column, found in deps.items() if found}
    return dg.TableColumnLineage(deps_by_column=deps) if deps else None


def report_metadata(report: Any) -> dict[str, Any]:
    """Turns a room's report (a dataclass or a mapping) into metadata, one entry per field."""
    fields = _plain(report) if report is not None else {}
    return {
        f"tritter/{name}": _metadata_value(value)
        for name, value in fields.items()
        if name not in _SHOWN_ELSEWHERE and value not in (None, "", [], {})
    }


def _metadata_value(value: Any) -> Any:
    if isinstance(value, bool | int | float | str):
        return value
    return dg.MetadataValue.json(json.loads(json.dumps(_plain(value), default=str)))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return value


def state_metadata(states: Iterable[PartitionState], *, partitioned: bool) -> dict[str, Any]:
    """Row count, bytes and versions of what is stored."""
    states = list(states)
    rows = sum(state.num_rows for state in states)
    return {
        "dagster/partition_row_count" if partitioned else "dagster/row_count": rows,
        "tritter/stored_bytes": sum(state.size_bytes for state in states),
        "tritter/fingerprint": states[0].fingerprint if len(states) == 1 else "per partition",
        "tritter/table_version": max((state.table_version for state in states), default=0),
    }


def license_counts(
    lake: Lake, table: str, partition: Mapping[str, str], schema: pa.Schema
) -> dict[str, Any]:
    """Counts documents and bytes by concluded licence, as a Markdown table."""
    if "license_concluded" not in schema.names:
        return {}
    size = "content_bytes" if "content_bytes" in schema.names else None
    frame = lake.scan(table)
    for column, value in partition.items():
        frame = frame.filter(pl.col(column) == value)
    measures = [pl.len().alias("rows")]
    if size:
        measures.append(pl.col(size).sum().alias("bytes"))
    counts = (
        frame.group_by("license_concluded")
        .agg(*measures)
        .sort(["rows", "license_concluded"], descending=[True, False])
        .collect()
    )
    if counts.is_empty():
        return {}
    lines = ["| license concluded | rows |" + (" bytes |" if size else ""), "|---|---|"]
    lines[1] += "---|" if size else ""
    lines += [
        "| " + " | ".join(str(cell) for cell in row) + " |"
        for row in counts.head(_MAX_LICENSES).iter_rows()
    ]
    return {
        "tritter/licenses": dg.MetadataValue.md("\n".join(lines)),
        "tritter/num_licenses": counts.height,
    }
