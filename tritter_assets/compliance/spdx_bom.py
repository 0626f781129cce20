"""The bill of materials: SPDX 3.0.1 JSON-LD with the Dataset and AI profiles.

| file | content |
|---|---|
| spdx_bom.json | the document: see `spdx_packages` for what is related to what |
| spdx_bom.html | its packages, what each checkpoint was trained on, and what is owed |

Each package has exactly one declared and one concluded licence, as the profiles ask. Built with the
model's own bindings, which check every type and cardinality, and read back before it is stored; the
tests validate it against the published JSON schema as well. `builtTime` and `releaseTime` are the
day the contracts' facts were read.
"""

from __future__ import annotations

import io
from typing import Any

from tritter_assets.compliance import html
from tritter_assets.compliance.data_facts import DataFacts, conjunction, read_data_facts
from tritter_assets.compliance.report import ReportSummary, markdown_table, store_report
from tritter_assets.compliance.spdx_packages import build_bom, declared_licence
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.provider import read_provider
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake

STAGE_VERSION = "2"
"""2: held-out sets, every mix a checkpoint read, obligations of both."""

ASSET = "compliance/spdx_bom"


def code_version() -> str:
    """Returns the version of this report."""
    return STAGE_VERSION


def write_spdx_bom(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the bill of materials as the artifact set `compliance/spdx_bom`.

    Raises:
        ContractViolation: the document does not satisfy the SPDX model; nothing is stored.
    """
    facts = read_data_facts(lake, catalog)
    document = build_bom(facts, catalog, read_provider(catalog.root))
    count = validate(document)
    packages = _packages(facts)
    headline = f"{len(packages)} packages, {count} SPDX elements; valid SPDX 3.0.1"
    page = _page(facts, headline, packages)
    return store_report(
        lake,
        ASSET,
        {"spdx_bom.json": document, "spdx_bom.html": page},
        fingerprint=fingerprint,
        passed=True,
        headline=headline,
        counts={"packages": len(packages), "elements": count},
        tables={"packages": markdown_table(packages)},
    )


def _packages(facts: DataFacts) -> list[dict[str, Any]]:
    found = [
        ("source", s.id, declared_licence(s), conjunction(s.licences))
        for s in facts.trained_sources
    ]
    found += [("mix", mix.phase, "", conjunction(mix.licences)) for mix in facts.mixes]
    found += [
        ("held-out set", model.phase, "", conjunction(model.heldout.licences))
        for model in facts.models
        if model.heldout.documents
    ]
    found += [("model", model.asset, "", "") for model in facts.models]
    return [
        {
            "kind": kind,
            "package": name,
            "declared_licence": declared or "NOASSERTION",
            "concluded_licence": concluded or "NOASSERTION",
        }
        for kind, name, declared, concluded in found
    ]


def validate(document: bytes) -> int:
    """Reads the document with the bindings and returns its number of objects.

    Raises:
        ContractViolation: a type, a value or a cardinality is wrong, or a link leads nowhere.
    """
    from spdx_python_model import v3_0_1 as spdx

    objects = spdx.SHACLObjectSet()
    try:
        spdx.JSONLDDeserializer().read(io.BytesIO(document), objects)
        missing = objects.link()
        # Encoding checks the cardinalities that reading does not.
        spdx.JSONLDSerializer().write(objects, io.BytesIO())
    except (ValueError, TypeError, KeyError) as error:
        raise ContractViolation(f"the SPDX document is not valid: {error}") from None
    if missing:
        raise ContractViolation(f"the SPDX document links to what it lacks: {sorted(missing)[:5]}")
    return sum(1 for _ in objects.foreach())


def _page(facts: DataFacts, headline: str, packages: list[dict[str, Any]]) -> bytes:
    models = [
        {
            "model": model.asset,
            "phase": use.phase,
            "trained_on": f"mix {use.phase}, data version {use.mix_data_version}",
            "documents": use.counts.documents,
            "tokens": use.tokens,
            "distinct_licences": len(use.counts.licences),
        }
        for model in facts.models
        for use in model.phases
    ]
    owed = [
        {"package": name, "obligation": key, "documents": number}
        for name, obligations in (
            *((f"mix/{mix.phase}", mix.obligations) for mix in facts.mixes),
            *((model.asset, model.joined("obligations")) for model in facts.models),
        )
        for key, number in obligations.items()
    ]
    return html.page(
        "Bill of materials (SPDX 3.0.1)",
        html.paragraph(headline + "."),
        html.paragraph(
            "The document itself is spdx_bom.json. A concluded licence of a data set is the "
            "conjunction of its rows' licences; of weights none is concluded, because none "
            "follows from the licences of rows."
        ),
        html.heading("Packages"),
        html.records(packages, caption="Packages and licences"),
        html.heading("What each checkpoint was trained on"),
        html.records(models, caption="Phase by phase, ancestors included"),
        html.heading("Obligations"),
        html.records(owed, caption="Joined over each mix and over all that a checkpoint read"),
    )
