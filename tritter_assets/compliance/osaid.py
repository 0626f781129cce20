"""Data information as the Open Source AI Definition 1.0 asks for it.

| file | content |
|---|---|
| osaid.json | what a skilled person needs to build a substantially equivalent system |
| osaid.html | the same for a person |

The definition wants three things of the data: a complete description of all that was used
(provenance, scope and characteristics, how obtained and selected, labelling, processing and
filtering), a list of all that is publicly available and where to get it, and a list of all that can
be obtained from third parties. Data that can be had from nobody is described and counted apart.

The report fails when a source that trains has no address or no pin, or a document that a checkpoint
read can no longer be described: then the description is not complete.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from tritter_assets.compliance.data_facts import DataFacts, MixFacts, SourceFacts, read_data_facts
from tritter_assets.compliance.funnel import measure_funnel
from tritter_assets.compliance.model_facts import ModelFacts
from tritter_assets.compliance.osaid_page import osaid_page
from tritter_assets.compliance.report import ReportSummary, as_json, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.mix import Mix
from tritter_assets.contracts.provider import Provider, read_provider
from tritter_assets.contracts.source import FileOrigin, HubOrigin
from tritter_assets.lake import Lake

STAGE_VERSION = "1"
ASSET = "compliance/osaid"

DEFINITION = "Open Source AI Definition 1.0, Data Information"

PUBLIC = "publicly available"
THIRD_PARTY = "obtainable from a third party"
UNSHAREABLE = "not obtainable"

_LABELLING = {
    "Licences": "Concluded for each document from its own evidence (row column, SPDX header, "
    "header notice, licence files, package metadata, DEP-5), with method, confidence and evidence "
    "stored on the row; no person labels.",
    "Languages and quality": "Detected by programs from path and content.",
    "Instructions": "Taken from upstream rows, or made by rules from documented functions and "
    "pages.",
    "Preferences": "The better answer is upstream's, or the original where a rule made the other "
    "one worse in a known way.",
}
_SELECTION = (
    "A document stands in a mix when its licence, wrapper, access terms and generator are "
    "admitted, it survived every filter and is the survivor of its duplicate cluster. A component "
    "takes documents by a hash of (id, seed) against a rate, so the same inputs give the same mix."
)


def code_version() -> str:
    """Returns the version of this report."""
    return STAGE_VERSION


def write_osaid(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the data information as the artifact set `compliance/osaid`.

    Raises:
        ContractProblems: `policy/provider.yaml` is wrong.
    """
    provider = read_provider(catalog.root)
    facts = read_data_facts(lake, catalog)
    if facts.models:
        facts = facts.trained()
    sources = [_source(source, provider, catalog) for source in facts.trained_sources]
    groups = {
        kind: [row for row in sources if row["availability"] == kind]
        for kind in (PUBLIC, THIRD_PARTY, UNSHAREABLE)
    }
    problems = _problems(facts)
    document = {
        "definition": DEFINITION,
        "provider": provider.name,
        "code": {"package": "tritter-assets", "version": version("tritter-assets")},
        "description": {
            "provenance": sources,
            "scope_and_characteristics": [_scope(mix) for mix in facts.mixes],
            "selection": {
                "rule": _SELECTION,
                "use_profile": catalog.profile.use_profile,
                "policy_digest": catalog.policy.digest,
                "mixes": [
                    _recipe(catalog.mixes[mix.phase], mix)
                    for mix in facts.mixes
                    if mix.phase in catalog.mixes
                ],
            },
            "labelling": _LABELLING,
            "processing_and_filtering": _filtering(lake),
        },
        "publicly_available": [_where(row) for row in groups[PUBLIC]],
        "obtainable_from_third_parties": [_where(row) for row in groups[THIRD_PARTY]],
        "not_obtainable": [_where(row) for row in groups[UNSHAREABLE]],
        "training": [line for model in facts.models for line in _training(model)],
        "obligations": _obligations(facts, catalog),
        "problems": problems,
    }
    headline = ", ".join(f"{len(rows)} sources {kind}" for kind, rows in groups.items())
    return store_report(
        lake,
        ASSET,
        {"osaid.json": as_json(document), "osaid.html": osaid_page(document, headline)},
        fingerprint=fingerprint,
        passed=not problems,
        headline=headline,
        counts={kind.replace(" ", "_"): len(rows) for kind, rows in groups.items()},
        problems=problems,
        tables={"sources": markdown_table([_where(row) for row in sources])},
    )


def _source(source: SourceFacts, provider: Provider, catalog: Catalog) -> dict[str, Any]:
    contract = source.contract
    licence = contract.licence if contract else None
    return {
        "source": source.id,
        "title": source.title,
        "description": contract.description if contract else "",
        "availability": _availability(source, provider, catalog),
        "address": source.address,
        "revision": source.revision,
        "sha256": source.digest,
        "how_obtained": _how(source),
        "license_claimed": licence.claimed if licence else "",
        "license_found": licence.found if licence else "",
        "license_of_the_whole": licence.wrapper if licence else "NOASSERTION",
        "access_terms": licence.access_terms if licence else "",
        "generator": licence.generator if licence else "",
        "facts_as_of": source.as_of.isoformat(),
        "documents_fetched": source.raw_rows,
        "rows_that_train": sum(source.mix_rows.values()),
        "estimated_tokens": sum(source.mix_tokens.values()),
        "licences_of_the_rows": source.licences,
    }


def _availability(source: SourceFacts, provider: Provider, catalog: Catalog) -> str:
    if source.contract is None:
        return UNSHAREABLE
    origin = source.contract.origin
    if isinstance(origin, FileOrigin):
        bought = provider.local_sources.get(source.id) in ("licensed", "private")
        return THIRD_PARTY if bought else UNSHAREABLE
    terms = catalog.policy.access_terms.get(source.contract.licence.access_terms)
    agreement = terms is None or terms.needs_acceptance
    gated = isinstance(origin, HubOrigin) and origin.gated
    return THIRD_PARTY if gated or agreement else PUBLIC


def _how(source: SourceFacts) -> str:
    origin = source.contract.origin if source.contract else None
    if origin is None:
        return "its contract has left the catalogue"
    include = ", ".join(getattr(origin, "include", ()) or getattr(origin, "data_files", ()))
    exclude = ", ".join(getattr(origin, "exclude", ()))
    text = f"origin {origin.kind}"
    if include:
        text += f", files {include}"
    return text + (f", without {exclude}" if exclude else "")


def _where(row: dict[str, Any]) -> dict[str, Any]:
    keys = ("title", "address", "revision", "sha256", "license_claimed", "rows_that_train")
    return {key: row[key] for key in keys}


def _scope(mix: MixFacts) -> dict[str, Any]:
    return {
        "mix": mix.phase,
        "title": mix.title,
        "rows": mix.rows,
        "estimated_tokens": mix.unique_tokens,
        "estimated_tokens_with_epochs": mix.tokens,
        "modalities": mix.modalities,
        "languages": mix.languages,
        "generators": mix.generators,
        "licences": mix.licences,
        "data_version": mix.data_version,
    }


def _recipe(mix: Mix, facts: MixFacts) -> dict[str, Any]:
    return {
        "mix": mix.phase,
        "seed": mix.seed,
        "unit": mix.unit.value,
        "components": [
            {
                "component": component.name,
                "title": component.title,
                "weight": component.weight,
                "max_epochs": component.max_epochs,
                "rows_taken": facts.components.get(component.name, 0),
            }
            for component in mix.components
        ],
    }


def _filtering(lake: Lake) -> list[dict[str, Any]]:
    total = measure_funnel(lake).total
    before, steps = total.raw, []
    for step, left in total.steps():
        steps.append({"step": step, "documents_left": left, "removed": before - left})
        before = left
    return steps


def _training(model: ModelFacts) -> list[dict[str, Any]]:
    recipe = model.facts.get("recipe")
    seed = recipe.get("seed") if isinstance(recipe, dict) else None
    return [
        {
            "model": model.asset,
            "phase": use.phase,
            "mix_data_version": use.mix_data_version,
            "documents_read": use.counts.documents,
            "tokens_read": use.tokens,
            "steps": model.facts.get("steps") if use.model == model.asset else None,
            "seed": seed if use.model == model.asset else None,
        }
        for use in model.phases
    ]


def _obligations(facts: DataFacts, catalog: Catalog) -> list[dict[str, Any]]:
    known = catalog.policy.obligations
    joined = [
        *((f"mix/{mix.phase}", mix.obligations) for mix in facts.mixes),
        *((model.asset, model.joined("obligations")) for model in facts.models),
    ]
    return [
        {
            "of": name,
            "obligation": known[key].title if key in known else key,
            "documents": number,
        }
        for name, obligations in joined
        for key, number in obligations.items()
    ]


def _problems(facts: DataFacts) -> list[str]:
    found = []
    for source in facts.trained_sources:
        if source.contract is None:
            found.append(
                f"{source.id} trains and has left the catalogue: restore its contract, or "
                "materialise the mixes without it"
            )
        elif not isinstance(source.contract.origin, FileOrigin) and not (
            source.digest or source.revision not in ("", "unpinned")
        ):
            found.append(f"{source.id} trains and is not pinned: `tritter pin {source.id} --write`")
    for model in facts.models:
        found.extend(
            f"{model.asset} read {use.unaccounted} documents of {use.phase} whose rows are kept in "
            "no version of the mix: they cannot be described; train it again"
            for use in model.phases
            if use.unaccounted
        )
    return found
