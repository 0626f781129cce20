"""Croissant metadata (JSON-LD) of the mixes, validated with mlcroissant before it is stored.

| file | content |
|---|---|
| croissant.json | the metadata: Croissant 1.0 with the fields of its responsible-AI extension |
| sources.csv, mixes.csv, checkpoints.csv | what the data are made of, see `croissant_tables` |
| <phase>.parquet | the rows of a mix, without content |
| croissant.html | the same for a person |

Every file is part of the set, with its true checksum, so all record sets load with any Croissant
reader. The rows of a mix of more than a million are described as a file set over its Delta table
instead; that table's log says which of its files are current.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tritter_assets.compliance import html
from tritter_assets.compliance.croissant_tables import (
    CHECKPOINT_FIELDS,
    MAX_ROWS,
    MIX_FIELDS,
    ROW_FIELDS,
    SOURCE_FIELDS,
    as_csv,
    checkpoint_rows,
    mix_rows,
    source_rows,
    write_rows,
)
from tritter_assets.compliance.data_facts import DataFacts, read_data_facts
from tritter_assets.compliance.report import ReportSummary, as_json, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.provider import Provider, read_provider
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake

STAGE_VERSION = "2"
"""2: rows of the mixes and what checkpoints read, with checksums; responsible-AI fields."""

ASSET = "compliance/croissant"

NAME = "tritter-training-mixes"
CONFORMS_TO = ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"]

_PIN = ("id", "title", "origin", "revision", "sha256")
_CSV = "text/csv"
_PARQUET = "application/x-parquet"
_RESPONSIBLE_AI = {
    "rai:dataCollection": "Rows are read from the pinned upstream files listed under 'sources'; a "
    "loader checks their hashes, and nothing downloaded is executed.",
    "rai:dataCollectionType": ["Secondary data analysis", "Software collection"],
    "rai:dataCollectionRawData": "Published packages, repositories and data sets, as pinned.",
    "rai:dataPreprocessingProtocol": [
        "Filter stages write one verdict for each document and stage; redactions are applied once.",
        "Exact and near duplicates are removed with stored evidence.",
        "Benchmarks and their solutions are removed.",
    ],
    "rai:dataAnnotationProtocol": "No person annotates. Licences are concluded from each row's own "
    "evidence, with a method and a confidence.",
    "rai:machineAnnotationTools": ["licence detection of this project", "language by go-enry"],
    "rai:dataUseCases": ["Training of language models of code, under the licences of the rows"],
    "rai:dataLimitations": [
        "Detection of licences, personal data, secrets and malware is by evidence and pattern; "
        "none of it is perfect.",
        "The natural language of comments and documentation is not measured.",
    ],
    "rai:personalSensitiveInformation": [
        "Personal data and secrets are found by pattern and redacted; names of persons are not "
        "searched for.",
    ],
    "rai:dataSocialImpact": "Authors can have their work removed; a request reaches copies and "
    "rows derived from it.",
    "rai:dataReleaseMaintenancePlan": "Mixes are rebuilt when a source, a policy or a removal "
    "request changes; 'data_version' says which version this is.",
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
    sources, mixes, models = source_rows(facts), mix_rows(facts), checkpoint_rows(facts)
    with tempfile.TemporaryDirectory(prefix="tritter-croissant-") as name:
        folder = Path(name)
        for file, content in {
            "sources.csv": as_csv(sources, SOURCE_FIELDS),
            "mixes.csv": as_csv(mixes, MIX_FIELDS),
            "checkpoints.csv": as_csv(models, CHECKPOINT_FIELDS),
        }.items():
            (folder / file).write_bytes(content)
        for mix in facts.mixes:
            if mix.rows <= MAX_ROWS:
                write_rows(lake, mix.phase, folder)
        files = {path.name: path for path in sorted(folder.iterdir())}
        document = describe(facts, files, read_provider(catalog.root))
        warnings = validate(document, folder)
        page = html.page(
            "Croissant metadata of the training mixes",
            html.paragraph(str(document["description"])),
            html.definitions(
                {
                    "Licences of the rows": list(facts.licences()) or "none",
                    "Version": document["version"],
                    "Facts as of": document["datePublished"],
                }
            ),
            html.heading("Mixes"),
            html.records(mixes),
            html.heading("What checkpoints read"),
            html.records(models, caption="Phase by phase, ancestors included"),
            html.heading("Sources"),
            html.records([_without(row, "sha256", "title", "origin") for row in sources]),
            html.records([{k: row[k] for k in _PIN} for row in sources], caption="Pins"),
            html.heading("Responsible AI"),
            html.definitions(_readable(_RESPONSIBLE_AI | _biases(facts))),
            html.heading("Files"),
            html.records(_listed(document)),
        )
        return store_report(
            lake,
            ASSET,
            {"croissant.json": as_json(document), "croissant.html": page, **files},
            fingerprint=fingerprint,
            passed=True,
            headline=f"{len(mixes)} mixes from {len(sources)} sources; valid Croissant 1.0",
            counts={"mixes": len(mixes), "sources": len(sources), "warnings": len(warnings)},
            warnings=warnings,
            tables={"mixes": markdown_table(mixes)},
        )


def describe(facts: DataFacts, files: Mapping[str, Path], provider: Provider) -> dict[str, Any]:
    """Returns the JSON-LD document; `files` are those beside it."""
    distribution = [_file_object(name, path) for name, path in files.items()]
    record_sets = [
        _record_set("sources", "sources.csv", SOURCE_FIELDS, key="id"),
        _record_set("mixes", "mixes.csv", MIX_FIELDS, key="phase"),
        _record_set("checkpoints", "checkpoints.csv", CHECKPOINT_FIELDS),
    ]
    for mix in facts.mixes:
        file = f"{mix.phase}.parquet"
        if file not in files:
            file = f"{mix.phase}-files"
            distribution.append(_file_set(file, mix.phase, mix.data_version))
        record_sets.append(_record_set(mix.phase, file, ROW_FIELDS, key="id"))
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
        "url": provider.website or "urn:tritter-assets:mix",
        "version": f"0.0.0+{version[:12]}",
        "datePublished": facts.as_of.isoformat(),
        "creator": {
            "@type": "sc:Organization",
            "name": provider.name or "the operator of this lake",
        },
        "citeAs": "Cite the sources listed in the record set 'sources'.",
        "keywords": ["code", "licence", "provenance"],
        **_RESPONSIBLE_AI,
        **_biases(facts),
        "distribution": distribution,
        "recordSet": record_sets,
    }


def _biases(facts: DataFacts) -> dict[str, list[str]]:
    """What there is most of: the bias that the tables can show."""
    found = []
    for mix in facts.mixes:
        total = max(sum(mix.language_tokens.values()), 1)
        shares = [f"{k} {100 * n / total:.0f} %" for k, n in list(mix.language_tokens.items())[:5]]
        found.append(f"{mix.phase}: tokens by language: {', '.join(shares) or 'none'}")
    return {"rai:dataBiases": found}


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in names}


def _readable(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The names of the extension as words: `rai:dataUseCases` as `Data use cases`."""
    words = {}
    for name, value in fields.items():
        text = "".join(f" {c.lower()}" if c.isupper() else c for c in name.removeprefix("rai:"))
        words[text.capitalize()] = html.listing(value) if isinstance(value, list) else value
    return words


def _listed(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"file": f["name"], "size": f.get("contentSize", ""), "sha256": f.get("sha256", "")}
        for f in document["distribution"]
    ]


def _file_object(name: str, path: Path) -> dict[str, Any]:
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": _PARQUET if name.endswith(".parquet") else _CSV,
        "sha256": digest,
    }


def _file_set(name: str, phase: str, data_version: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": f"Data files of the Delta table mix/{phase}, data version {data_version}; "
        "its log says which are current.",
        "encodingFormat": _PARQUET,
        "includes": f"mix/{phase}/*.parquet",
    }


def _license_url(key: str) -> str:
    simple = key.replace(".", "").replace("-", "").isalnum()
    listed = simple and key != "NOASSERTION" and not key.startswith("LicenseRef-")
    return f"https://spdx.org/licenses/{key}.html" if listed else key


def _record_set(
    name: str, file: str, fields: Mapping[str, tuple[str, str]], *, key: str = ""
) -> dict[str, Any]:
    container = "fileSet" if file.endswith("-files") else "fileObject"
    found: dict[str, Any] = {"@type": "cr:RecordSet", "@id": name, "name": name}
    if key:
        found["key"] = {"@id": f"{name}/{key}"}
    found["field"] = [
        {
            "@type": "cr:Field",
            "@id": f"{name}/{column}",
            "name": column,
            "description": description,
            "dataType": data_type,
            "source": {container: {"@id": file}, "extract": {"column": column}},
        }
        for column, (data_type, description) in fields.items()
    ]
    return found


def validate(document: Mapping[str, Any], folder: Path) -> list[str]:
    """Validates with mlcroissant and returns its warnings.

    Args:
        document: The metadata.
        folder: Where the files are that it describes.

    Raises:
        ContractViolation: the metadata has errors.
    """
    import mlcroissant

    path = folder / ".croissant.json"
    path.write_text(json.dumps(document), "utf-8")
    try:
        dataset = mlcroissant.Dataset(jsonld=str(path))
    except mlcroissant.ValidationError as error:
        raise ContractViolation(
            f"the Croissant metadata is not valid: {error}: correct compliance/croissant.py"
        ) from None
    finally:
        path.unlink()
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
