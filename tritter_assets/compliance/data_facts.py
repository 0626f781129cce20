"""What the published papers say of sources, mixes and models: one reading of the stored tables.

Croissant, the bill of materials, the training-data summary, the data information and the cards all
start from `read_data_facts`, so they cannot contradict one another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

import polars as pl

from tritter_assets.compliance.model_facts import (
    ModelFacts,
    joined,
    phase_position,
    read_model_facts,
)
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.crate_origin import CrateOrigin
from tritter_assets.contracts.parse_source import UNPINNED
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
from tritter_assets.licensing.expression import join_and
from tritter_assets.lineage.inventory import tables_under

_REVISIONS = 5
"""Revisions of one unpinned source that are named; more of them pin nothing."""

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
    phase_licences: Mapping[str, Mapping[str, int]]
    """Phase -> concluded expression -> rows."""

    @property
    def licences(self) -> dict[str, int]:
        """Concluded expression -> rows, over the phases of `mix_rows`; most rows first."""
        total = joined(self.phase_licences.get(phase, {}) for phase in self.mix_rows)
        return dict(sorted(total.items(), key=lambda item: (-item[1], item[0])))

    @property
    def title(self) -> str:
        """The contract's title, or the id."""
        return self.contract.title if self.contract else self.id

    @property
    def domain(self) -> str:
        """The host its files are fetched from; empty for a local file."""
        return urlsplit(self.address).hostname or ""

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
    unique_tokens: int
    """Estimated, every row counted once."""
    licences: Mapping[str, int]
    """Concluded expression -> rows."""
    obligations: Mapping[str, int]
    generators: Mapping[str, int]
    modalities: Mapping[str, int]
    languages: Mapping[str, int]
    language_tokens: Mapping[str, int]
    """Language -> estimated tokens, every row counted once."""
    made_here: Mapping[str, int]
    """Generator -> rows of `synthetic/*` and `functions/*`: what this project derived itself."""
    components: Mapping[str, int]
    """Component -> rows it took."""
    sources: Mapping[str, int]
    data_version: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DataFacts:
    """Everything, in a fixed order."""

    sources: Sequence[SourceFacts]
    mixes: Sequence[MixFacts]
    models: Sequence[ModelFacts]
    """Every checkpoint with what it and its ancestors read, in the order of the phases."""

    @property
    def as_of(self) -> date:
        """The newest date of any contract in use: what the papers are dated by."""
        return max((source.as_of for source in self.sources), default=UNDATED)

    @property
    def trained_sources(self) -> Sequence[SourceFacts]:
        """The sources that a mix holds rows of."""
        return [source for source in self.sources if source.mix_rows]

    def trained(self) -> DataFacts:
        """Leaves out mixes that no checkpoint was trained on, and their rows in the sources."""
        phases = {use.phase for model in self.models for use in model.phases}
        sources = [
            dataclasses.replace(
                source,
                mix_rows={p: n for p, n in source.mix_rows.items() if p in phases},
                mix_tokens={p: n for p, n in source.mix_tokens.items() if p in phases},
            )
            for source in self.sources
        ]
        mixes = [mix for mix in self.mixes if mix.phase in phases]
        return dataclasses.replace(self, sources=sources, mixes=mixes)

    def obligations(self) -> dict[str, int]:
        """Obligation -> rows, joined over all mixes."""
        return joined(mix.obligations for mix in self.mixes)

    def licences(self) -> dict[str, int]:
        """Concluded expression -> rows, over all mixes."""
        return joined(mix.licences for mix in self.mixes)


def read_data_facts(lake: Lake, catalog: Catalog) -> DataFacts:
    """Reads the stored tables once. Cost: group-bys over the mixes and raw sizes, no content."""
    mixes, by_source = [], []
    for table in sorted(tables_under(lake, "mix"), key=phase_position):
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
        models=read_model_facts(lake),
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


def _counts(frame: pl.DataFrame, column: str, *, of: str = "rows") -> dict[str, int]:
    named = frame.with_columns(pl.col(column).fill_null("(none)"))
    grouped = named.group_by(column).agg(pl.sum(of)).sort(of, column, descending=[True, False])
    return {str(key): int(number) for key, number in grouped.iter_rows()}


def _mix_facts(lake: Lake, catalog: Catalog, table: str, phase: str) -> MixFacts:
    keys = (
        "source",
        "license_concluded",
        "generator",
        "modality",
        "language",
        "component",
        "obligations",
        pl.col("table").str.starts_with("filtered/").not_().alias("derived"),
    )
    grouped = (
        lake.scan(table)
        .group_by(keys)
        .agg(
            rows=pl.len().cast(pl.Int64),
            tokens=(pl.col("estimated_tokens") * pl.col("epochs")).sum(),
            unique_tokens=pl.col("estimated_tokens").sum(),
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
        unique_tokens=int(grouped["unique_tokens"].sum()),
        licences=_counts(grouped, "license_concluded"),
        obligations=dict(sorted(_counts(obligations, "obligations").items())),
        generators=_counts(grouped, "generator"),
        modalities=_counts(grouped, "modality"),
        languages=_counts(grouped, "language"),
        language_tokens=_counts(grouped, "language", of="unique_tokens"),
        components=_counts(grouped, "component"),
        made_here=_counts(grouped.filter(pl.col("derived")), "generator"),
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
        if revision == UNPINNED:  # what was read is known all the same: each row says it
            read = lake.scan(raw).select(pl.col("revision").unique()).collect()["revision"]
            revision = ", ".join(sorted(read)) if 0 < len(read) <= _REVISIONS else UNPINNED
    mine = used.filter(pl.col("source") == name)
    phases = mine.group_by("phase").agg(pl.sum("rows"), pl.sum("tokens")).sort("phase")
    return SourceFacts(
        id=name,
        contract=contract,
        address=address,
        revision=revision,
        digest="" if digest == UNPINNED else digest,
        raw_rows=rows,
        raw_bytes=size,
        mix_rows=dict(phases.select("phase", "rows").iter_rows()),
        mix_tokens=dict(phases.select("phase", "tokens").iter_rows()),
        phase_licences={
            str(phase): _counts(rows, "license_concluded")
            for (phase,), rows in mine.partition_by("phase", as_dict=True).items()
        },
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
    """Joins concluded expressions with AND; NOASSERTION when there are none or one is not known."""
    return join_and(licences)
