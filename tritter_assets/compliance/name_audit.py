"""compliance/name_audit: how often people are named in what the filters kept, by a fixed sample.

Names have no form. A model reads the comments, docstrings and prose of a sample of each source:
the documents whose hash with the policy's seed is smallest. What is published is an estimate with
a 95 % interval (Wilson), labelled as one, and examples by salted hash. Nothing is redacted.

Blind spots: the model's own errors are in the estimate, and a first or last name alone is not
counted (`looks_like_a_name`; what it refuses is published as `person_unlikely`); languages without
a grammar and very long files are counted as not read.
"""

from __future__ import annotations

import hashlib
import heapq
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import sqrt
from pathlib import Path
from typing import Any

import polars as pl

from tritter_assets.compliance import html
from tritter_assets.compliance.name_models import (
    ModelAbsent,
    NameModel,
    load_spacy,
    load_token_classifier,
)
from tritter_assets.compliance.prose import Passage, passages
from tritter_assets.compliance.report import ReportSummary, as_json, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.yaml_file import YamlFile
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake, fingerprint_of

STAGE_VERSION = "1"
ASSET = "compliance/name_audit"
SAMPLED = "Estimates from a fixed sample, read by a model that errs; not a count of names."

_SETTINGS = frozenset(
    "documents_per_source seed max_chars_per_document examples spacy token_classifier".split()  # noqa: SIM905
)
_Z95 = 1.96
_NAME_WORD = re.compile(
    r"(?:Mc|Mac|O['\u2019])?[^\W\d_a-z][^\W\d_A-Z]+(?:-[^\W\d_a-z][^\W\d_A-Z]+)?|[^\W\d_a-z]\."
)


@dataclass(kw_only=True, slots=True)
class SourceAudit:
    """What one model found in the sample of one source."""

    source: str
    model: str
    documents: int
    """Documents of the source."""
    sampled: int
    read: int = 0
    """Of the sample, those whose language is read."""
    with_names: int = 0
    """Of those read, those with a name of a person."""
    by_label: Counter[str] = field(default_factory=Counter)
    examples: list[dict[str, Any]] = field(default_factory=list)

    def row(self) -> dict[str, Any]:
        """Returns the line of the report."""
        low, high = wilson(self.with_names, self.read)
        return {
            "source": self.source,
            "model": self.model,
            "documents": self.documents,
            "sampled": self.sampled,
            "read": self.read,
            "with_names": self.with_names,
            "rate": round(self.with_names / self.read, 4) if self.read else None,
            "low_95": None if low is None else round(low, 4),
            "high_95": None if high is None else round(high, 4),
            **{f"num_{label}": number for label, number in sorted(self.by_label.items())},
        }


def read_settings(catalog: Catalog) -> Mapping[str, Any]:
    """Reads `policy/name_audit.yaml`.

    Raises:
        ContractViolation: a setting is missing or not known.
    """
    path = catalog.root / "policy" / "name_audit.yaml"
    if not path.exists():
        raise ContractViolation(f"{path}: no such file; the audit's settings stand there")
    found = YamlFile(path).data
    if set(found) != _SETTINGS:
        raise ContractViolation(
            f"{path}: has {sorted(found)}, and the audit takes {sorted(_SETTINGS)}"
        )
    return found


def models_of(settings: Mapping[str, Any], project_root: Path) -> list[NameModel | ModelAbsent]:
    """Loads the models that are at hand, and says why the others are not."""
    return [
        load_spacy(settings["spacy"]),
        load_token_classifier(settings["token_classifier"], project_root),
    ]


def wilson(hits: int, trials: int) -> tuple[float | None, float | None]:
    """Returns the 95 % interval of a share; (None, None) of nothing."""
    if not trials:
        return None, None
    share, z2 = hits / trials, _Z95 * _Z95
    centre = share + z2 / (2 * trials)
    spread = _Z95 * sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    return max((centre - spread) / (1 + z2 / trials), 0.0), (centre + spread) / (1 + z2 / trials)


def looks_like_a_name(text: str) -> bool:
    """Says whether a model's person has the form of a name: 2 to 4 capitalised words or initials.

    In comments spaCy's small model takes `Args`, `Mypy` and `JSON` for people: of 40 of its
    findings in Python packages, read by hand, 5 were people. Of 40 of this form, 28 were, and 3
    were made up (`John Doe`).
    """
    words = text.split()
    return 2 <= len(words) <= 4 and all(_NAME_WORD.fullmatch(word) for word in words)


def sample_ids(ids: Sequence[str], seed: int, number: int) -> list[str]:
    """Returns the ids whose hash with the seed is smallest, whatever their order."""
    return heapq.nsmallest(
        number, ids, key=lambda row_id: hashlib.sha256(f"{seed}:{row_id}".encode()).digest()
    )


def audit_documents(
    source: str,
    documents: pl.DataFrame,
    num_documents: int,
    model: NameModel,
    settings: Mapping[str, Any],
) -> SourceAudit:
    """Reads a sample (columns id, language, content) with one model."""
    audit = SourceAudit(
        source=source, model=model.title, documents=num_documents, sampled=documents.height
    )
    read: list[tuple[str, Passage]] = []
    for row_id, language, content in documents.sort("id").iter_rows():
        found = passages(content, language, max_chars=int(settings["max_chars_per_document"]))
        if found is not None:
            audit.read += 1
            read += ((row_id, passage) for passage in found)
    named: set[str] = set()
    names_of = model.find([passage.text for _, passage in read])
    for (row_id, passage), names in zip(read, names_of, strict=True):
        for name in names:
            text = passage.text[name.start : name.end].split("\n")[0]
            likely = name.label != "person" or looks_like_a_name(text)
            audit.by_label[name.label if likely else "person_unlikely"] += 1
            if name.label == "person" and likely:
                named.add(row_id)
                salted = f"{row_id}\0{text}"
                audit.examples.append(
                    {
                        "document": row_id,
                        "line": passage.line + passage.text.count("\n", 0, name.start),
                        "name_sha256": hashlib.sha256(salted.encode()).hexdigest()[:16],
                    }
                )
    audit.with_names = len(named)
    return audit


def write_name_audit(
    lake: Lake, *, catalog: Catalog, fingerprint: str, models: Sequence[Any] | None = None
) -> ReportSummary:
    """Writes the audit as the artifact set `compliance/name_audit`; it only warns.

    Args:
        lake: Holds `filtered/*`.
        catalog: Its active sources are sampled.
        fingerprint: What the report is made from.
        models: Models to read with; those of the policy if not given.
    """
    settings = read_settings(catalog)
    loaded = models_of(settings, catalog.root.parent) if models is None else models
    absent = [model for model in loaded if isinstance(model, ModelAbsent)]
    audits = [
        audit
        for contract in catalog.active_sources()
        if lake.exists(f"filtered/{contract.id}")
        for audit in _audit_source(
            lake, contract.id, [m for m in loaded if isinstance(m, NameModel)], settings
        )
    ]
    rows = [audit.row() for audit in audits]
    not_run = [f"{model.title}: not run: {model.reason}" for model in absent]
    sampled = sum(audit.read for audit in audits)
    named = sum(audit.with_names for audit in audits)
    if len(absent) == len(loaded):
        headline = f"not run: {absent[0].reason}"
    else:
        headline = f"{named} of {sampled} sampled documents name a person, by the models' reading"
    examples = [
        {"source": audit.source, "model": audit.model} | example
        for audit in audits
        for example in audit.examples
    ]
    shown = heapq.nsmallest(
        int(settings["examples"]), examples, key=lambda e: (e["name_sha256"], e["document"])
    )
    page = html.page(
        "Names in a sample",
        html.paragraph(headline + "."),
        html.paragraph(SAMPLED),
        html.listing(not_run),
        html.heading("By source"),
        html.records(rows, caption="Sampled documents that name a person"),
        html.heading("Examples, by salted hash"),
        html.records(shown, caption="Examples"),
    )
    facts = {"note": SAMPLED, "not_run": not_run, "sources": rows, "examples": shown}
    return store_report(
        lake,
        ASSET,
        {"name_audit.json": as_json(facts), "name_audit.html": page},
        fingerprint=fingerprint,
        passed=True,
        headline=headline,
        counts={"sampled_documents_read": sampled, "sampled_documents_with_names": named},
        warnings=not_run,
        tables={"names_in_a_sample": markdown_table(rows)},
    )


def _audit_source(
    lake: Lake, source: str, models: Sequence[NameModel], settings: Mapping[str, Any]
) -> list[SourceAudit]:
    if not models:
        return []
    table = lake.scan(f"filtered/{source}")
    ids = table.select("id").collect()["id"].to_list()
    chosen = sample_ids(ids, int(settings["seed"]), int(settings["documents_per_source"]))
    documents = table.filter(pl.col("id").is_in(chosen)).select("id", "language", "content")
    frame = documents.collect()
    return [audit_documents(source, frame, len(ids), model, settings) for model in models]


def models_at_hand(catalog: Catalog) -> str:
    """Returns what the audit depends on beside its tables: settings and models present."""
    settings = read_settings(catalog)
    folder = settings["token_classifier"]["folder"]
    weights = catalog.root.parent / str(folder) / "model.safetensors" if folder else None
    state = weights.stat().st_size if weights and weights.is_file() else None
    return fingerprint_of(
        settings, _installed(str(settings["spacy"]["package"])), _installed("spacy"), state
    )


def _installed(package: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
