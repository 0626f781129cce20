"""Croissant 1.0 metadata (JSON-LD) of the mixes, validated with mlcroissant before it is stored.

| file | content |
|---|---|
| croissant.json | the metadata |
| sources.csv | one row per source: address, revision, licence axes, rows and tokens by mix |
| mixes.csv | one row per mix: rows, tokens, data version |
| croissant.html | the same for a person |

The two CSV files are part of the set, with true checksums, so the record sets `sources` and `mixes`
load with any Croissant reader. The rows of a mix are described as a file set over its Delta
table; that table's log says which of its files are current, and the lake's data version, given in
`mixes`, says what they hold.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tritter_assets.compliance import html
from tritter_assets.compliance.data_facts import (
    DataFacts,
    MixFacts,
    SourceFacts,
    conjunction,
    read_data_facts,
)
from tritter_assets.compliance.report import ReportSummary, as_json, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake

STAGE_VERSION = "1"
ASSET = "compliance/croissant"

NAME = "tritter-training-mixes"
CONFORMS_TO = "http://mlcommons.org/croissant/1.0"

_MIX_FIELDS = {
    "id": ("sc:Text", "Document id: hash of source, repository, path and content"),
    "source": ("sc:Text", "Source id, see the record set 'sources'"),
    "repo": ("sc:Text", "Repository or package the document comes from"),
    "component": ("sc:Text", "Component of the mix that took the document"),
    "language": ("sc:Text", "Programming or natural language"),
    "content_sha256": ("sc:Text", "SHA-256 of the content after redaction"),
    "license_concluded": ("sc:Text", "SPDX expression concluded for this document"),
    "generator": ("sc:Text", "Who or what wrote the document"),
    "estimated_tokens": ("sc:Integer", "Estimated tokens of one epoch"),
    "epochs": ("sc:Integer", "Times the document is used"),
}


def code_version() -> str:
    """Returns the version of this report."""
    return STAGE_VERSION


def write_croissant(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the metadata as the artifact set `compliance/croissant`.

    Raises:
        ContractViolation: mlcroissant finds an error in the metadata; nothing is stored.
    """
    facts = read_data_facts(lake, catalog)
    sources = [_source_row(source) for source in facts.trained_sources]
    mixes = [_mix_row(mix) for mix in facts.mixes]
    tables = {
        "sources.csv": _csv(sources, _SOURCE_FIELDS),
        "mixes.csv": _csv(mixes, _MIX_ROW_FIELDS),
    }
    document = describe(facts, tables)
    warnings = validate(document, tables)
    headline = f"{len(mixes)} mixes from {len(sources)} sources; valid Croissant 1.0"
    page = html.page(
        "Croissant metadata of the training mixes",
        html.paragraph(str(document["description"])),
        html.definitions(
            {
                "Licence": document["license"],
                "Version": document["version"],
                "Facts as of": document["datePublished"],
            }
        ),
        html.heading("Mixes"),
        html.records(mixes),
        html.heading("Sources"),
        html.records(sources),
    )
    return store_report(
        lake,
        ASSET,
        {"croissant.json": as_json(document), "croissant.html": page, **tables},
        fingerprint=fingerprint,
        passed=True,
        headline=headline,
        counts={"mixes": len(mixes), "sources": len(sources), "warnings": len(warnings)},
        warnings=warnings,
        tables={"mixes": markdown_table(mixes)},
    )


_SOURCE_FIELDS = {
    "id": "sc:Text",
    "title": "sc:Text",
    "address": "sc:URL",
    "revision": "sc:Text",
    "sha256": "sc:Text",
    "license_wrapper": "sc:Text",
    "license_concluded": "sc:Text",
    "access_terms": "sc:Text",
    "rows": "sc:Integer",
    "tokens": "sc:Integer",
}
_MIX_ROW_FIELDS = {
    "phase": "sc:Text",
    "title": "sc:Text",
    "rows": "sc:Integer",
    "tokens": "sc:Integer",
    "license_concluded": "sc:Text",
    "obligations": "sc:Text",
    "data_version": "sc:Text",
}


def _source_row(source: SourceFacts) -> dict[str, Any]:
    licence = source.contract.licence if source.contract else None
    return {
        "id": source.id,
        "title": source.title,
        "address": source.address,
        "revision": source.revision,
        "sha256": source.digest,
        "license_wrapper": licence.wrapper if licence else "NOASSERTION",
        "license_concluded": conjunction(source.licences),
        "access_terms": licence.access_terms if licence else "",
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


def describe(facts: DataFacts, tables: Mapping[str, bytes]) -> dict[str, Any]:
    """Returns the JSON-LD document; `tables` are the CSV files beside it."""
    distribution: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{len(content)} B",
            "encodingFormat": "text/csv",
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        for name, content in tables.items()
    ]
    record_sets = [
        _record_set("sources", "sources.csv", "cr:FileObject", _SOURCE_FIELDS),
        _record_set("mixes", "mixes.csv", "cr:FileObject", _MIX_ROW_FIELDS),
    ]
    for mix in facts.mixes:
        files = f"{mix.phase}-files"
        distribution.append(
            {
                "@type": "cr:FileSet",
                "@id": files,
                "name": files,
                "description": f"Data files of the Delta table mix/{mix.phase}, data version "
                f"{mix.data_version}; its log says which are current.",
                "encodingFormat": "application/x-parquet",
                "includes": f"mix/{mix.phase}/*.parquet",
            }
        )
        types = {name: kind for name, (kind, _) in _MIX_FIELDS.items()}
        texts = {name: text for name, (_, text) in _MIX_FIELDS.items()}
        record_sets.append(_record_set(mix.phase, files, "cr:FileSet", types, texts))
    version = hashlib.sha256("".join(m.data_version for m in facts.mixes).encode()).hexdigest()
    licences = sorted({_license_url(key) for key in facts.licences()}) or ["NOASSERTION"]
    return {
        "@context": _context(),
        "@type": "sc:Dataset",
        "name": NAME,
        "conformsTo": CONFORMS_TO,
        "description": "Training mixes of documents whose licence is concluded row by row. "
        "Each document keeps its own licence; no licence is granted on the whole. "
        "Obligations joined over all rows: "
        + (", ".join(facts.obligations()) or "none")
        + ". Attribution is in the NOTICE of the same lake.",
        "license": licences,
        "url": "https://schema.org/Dataset",
        "version": f"0.0.0+{version[:12]}",
        "datePublished": facts.as_of.isoformat(),
        "creator": {"@type": "sc:Organization", "name": "the operator of this lake"},
        "citeAs": "Cite the sources listed in the record set 'sources'.",
        "keywords": ["code", "licence", "provenance"],
        "rai:dataCollection": "Rows are read from the pinned upstream files listed under "
        "'sources'; see the asset graph.",
        "rai:dataPreprocessingProtocol": "Fifteen filter stages write verdicts; redactions are "
        "applied once; exact and near duplicates are removed with stored evidence.",
        "rai:personalSensitiveInformation": "Personal data and secrets are detected by pattern "
        "and redacted; removal requests propagate to copies and derived rows.",
        "distribution": distribution,
        "recordSet": record_sets,
    }


def _license_url(key: str) -> str:
    simple = key.replace(".", "").replace("-", "").isalnum() and key != "NOASSERTION"
    return f"https://spdx.org/licenses/{key}.html" if simple else key


def _record_set(
    name: str,
    file: str,
    kind: str,
    fields: Mapping[str, str],
    texts: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    container = "fileObject" if kind == "cr:FileObject" else "fileSet"
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "description": (texts or {}).get(column, column.replace("_", " ")),
                "dataType": data_type,
                "source": {container: {"@id": file}, "extract": {"column": column}},
            }
            for column, data_type in fields.items()
        ],
    }


def validate(document: Mapping[str, Any], tables: Mapping[str, bytes]) -> list[str]:
    """Validates with mlcroissant and returns its warnings.

    Raises:
        ContractViolation: the metadata has errors.
    """
    import mlcroissant

    with tempfile.TemporaryDirectory(prefix="tritter-croissant-") as folder:
        for name, content in tables.items():
            (Path(folder) / name).write_bytes(content)
        path = Path(folder) / "croissant.json"
        path.write_text(json.dumps(document), "utf-8")
        try:
            dataset = mlcroissant.Dataset(jsonld=str(path))
        except mlcroissant.ValidationError as error:
            raise ContractViolation(
                f"the Croissant metadata is not valid: {error}: correct compliance/croissant.py"
            ) from None
        return sorted(str(warning) for warning in dataset.metadata.ctx.issues.warnings)


def _context() -> dict[str, Any]:
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "citeAs": "cr:citeAs",
        "column": "cr:column",
        "conformsTo": "dct:conformsTo",
        "cr": "http://mlcommons.org/croissant/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "equivalentProperty": "cr:equivalentProperty",
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "extract": "cr:extract",
        "field": "cr:field",
        "fileObject": "cr:fileObject",
        "fileProperty": "cr:fileProperty",
        "fileSet": "cr:fileSet",
        "format": "cr:format",
        "includes": "cr:includes",
        "isLiveDataset": "cr:isLiveDataset",
        "jsonPath": "cr:jsonPath",
        "key": "cr:key",
        "md5": "cr:md5",
        "parentField": "cr:parentField",
        "path": "cr:path",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "recordSet": "cr:recordSet",
        "references": "cr:references",
        "regex": "cr:regex",
        "repeated": "cr:repeated",
        "replace": "cr:replace",
        "samplingRate": "cr:samplingRate",
        "sc": "https://schema.org/",
        "separator": "cr:separator",
        "source": "cr:source",
        "subField": "cr:subField",
        "transform": "cr:transform",
    }


def _csv(rows: Sequence[Mapping[str, Any]], fields: Mapping[str, str]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(fields), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
