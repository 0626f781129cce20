"""The tables that travel with the Croissant metadata, and how each is described.

| file | a row is |
|---|---|
| sources.csv | a source: where it is, its pin, its licence axes, rows and tokens that train |
| mixes.csv | a mix: rows, tokens, licences, obligations, data version |
| checkpoints.csv | what one phase of a checkpoint's line read, and what that owes |
| <phase>.parquet | a row of a mix, without its content |
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.compliance.data_facts import DataFacts, MixFacts, SourceFacts, conjunction
from tritter_assets.compliance.model_facts import ModelFacts, PhaseUse
from tritter_assets.lake import Lake

MAX_ROWS = 1_000_000
"""Rows of a mix (about 150 bytes each) up to which they travel with the metadata; beyond, the
metadata points to the Delta table, because a copy would be as large as the table."""

SOURCE_FIELDS = {
    "id": ("sc:Text", "Source id"),
    "title": ("sc:Text", "Name of the source"),
    "address": ("sc:URL", "Where its files are"),
    "revision": ("sc:Text", "Pinned version, commit or versions"),
    "sha256": ("sc:Text", "SHA-256 of the pinned file, where there is one file"),
    "origin": ("sc:Text", "Kind of origin: sdist, hub, git, crate, http or file"),
    "license_claimed": ("sc:Text", "What upstream claims of the whole"),
    "license_wrapper": ("sc:Text", "Licence of the data set or database as a whole"),
    "license_concluded": ("sc:Text", "Conjunction of the licences concluded for its rows"),
    "access_terms": ("sc:Text", "What had to be agreed to in order to get it"),
    "generator": ("sc:Text", "Who or what wrote it"),
    "rows": ("sc:Integer", "Rows in the mixes"),
    "tokens": ("sc:Integer", "Estimated tokens in the mixes, every epoch counted"),
}
MIX_FIELDS = {
    "phase": ("sc:Text", "Phase that trains on the mix"),
    "title": ("sc:Text", "Name of the mix"),
    "rows": ("sc:Integer", "Rows"),
    "tokens": ("sc:Integer", "Estimated tokens, every epoch counted"),
    "license_concluded": ("sc:Text", "Conjunction of the licences concluded for its rows"),
    "obligations": ("sc:Text", "Obligations joined over its rows"),
    "data_version": ("sc:Text", "Version of the stored table"),
}
CHECKPOINT_FIELDS = {
    "model": ("sc:Text", "Checkpoint"),
    "data_version": ("sc:Text", "Version of the checkpoint"),
    "phase": ("sc:Text", "Phase whose mix was read, by the checkpoint or an ancestor"),
    "mix_data_version": ("sc:Text", "Version of the mix that was read"),
    "documents": ("sc:Integer", "Documents read"),
    "license_concluded": ("sc:Text", "Conjunction of the licences of the documents read"),
    "obligations": ("sc:Text", "Obligations joined over the documents read"),
}
ROW_FIELDS = {
    "id": ("sc:Text", "Document id: hash of source, repository, path and content"),
    "source": ("sc:Text", "Source id, see the record set 'sources'"),
    "repo": ("sc:Text", "Repository or package the document comes from"),
    "component": ("sc:Text", "Component of the mix that took the document"),
    "modality": ("sc:Text", "What the document trains"),
    "language": ("sc:Text", "Programming or natural language"),
    "content_sha256": ("sc:Text", "SHA-256 of the content after redaction"),
    "license_concluded": ("sc:Text", "SPDX expression concluded for this document"),
    "obligations": ("sc:Text", "Obligations of this document, separated by spaces"),
    "generator": ("sc:Text", "Who or what wrote the document"),
    "estimated_tokens": ("sc:Integer", "Estimated tokens of one epoch"),
    "epochs": ("sc:Integer", "Times the document is used"),
}


def source_rows(facts: DataFacts) -> list[dict[str, Any]]:
    """Rows of sources.csv."""
    return [_source_row(source) for source in facts.trained_sources]


def mix_rows(facts: DataFacts) -> list[dict[str, Any]]:
    """Rows of mixes.csv."""
    return [_mix_row(mix) for mix in facts.mixes]


def checkpoint_rows(facts: DataFacts) -> list[dict[str, Any]]:
    """Rows of checkpoints.csv."""
    return [_checkpoint_row(model, use) for model in facts.models for use in model.phases]


def as_csv(rows: Sequence[Mapping[str, Any]], fields: Mapping[str, tuple[str, str]]) -> bytes:
    """Returns a CSV file in UTF-8 with a header."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def write_rows(lake: Lake, phase: str, folder: Path) -> Path:
    """Writes the rows of one mix, sorted by id, as Parquet."""
    path = folder / f"{phase}.parquet"
    rows = lake.scan(f"mix/{phase}").with_columns(pl.col("obligations").list.sort().list.join(" "))
    rows.select(list(ROW_FIELDS)).sort("id").sink_parquet(path, maintain_order=True)
    return path


def _source_row(source: SourceFacts) -> dict[str, Any]:
    contract = source.contract
    licence = contract.licence if contract else None
    return {
        "id": source.id,
        "title": source.title,
        "address": source.address,
        "revision": source.revision,
        "sha256": source.digest,
        "origin": contract.origin.kind if contract else "",
        "license_claimed": licence.claimed if licence else "",
        "license_wrapper": licence.wrapper if licence else "NOASSERTION",
        "license_concluded": conjunction(source.licences),
        "access_terms": licence.access_terms if licence else "",
        "generator": licence.generator if licence else "",
        "rows": sum(source.mix_rows.values()),
        "tokens": sum(source.mix_tokens.values()),
    }


def _mix_row(mix: MixFacts) -> dict[str, Any]:
    return {
        "phase": mix.phase,
        "title": mix.title,
        "rows": mix.rows,
        "tokens": mix.tokens,
        "license_concluded": conjunction(mix.licences),
        "obligations": " ".join(sorted(mix.obligations)),
        "data_version": mix.data_version,
    }


def _checkpoint_row(model: ModelFacts, use: PhaseUse) -> dict[str, Any]:
    return {
        "model": model.asset,
        "data_version": model.data_version,
        "phase": use.phase,
        "mix_data_version": use.mix_data_version,
        "documents": use.counts.documents,
        "license_concluded": conjunction(use.counts.licences),
        "obligations": " ".join(sorted(use.counts.obligations)),
    }
