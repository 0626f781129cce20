"""The tables of a model card, the same for its Markdown and its page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tritter_assets.compliance.data_facts import DataFacts
from tritter_assets.compliance.model_facts import ModelFacts
from tritter_assets.contracts.catalog import Catalog

_ARCHITECTURE = (
    "hidden_size",
    "intermediate_size",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "vocab_size",
)

Rows = list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class CardTables:
    """Tables of one checkpoint; each is a list of mappings that share their keys."""

    architecture: Rows
    training: Rows
    data: Rows
    """What each phase of its line read."""
    sources: Rows
    licences: Rows
    """Licences of the documents read, over its whole line."""
    obligations: Rows
    obligations_by_phase: Rows


def card_tables(model: ModelFacts, facts: DataFacts, catalog: Catalog) -> CardTables:
    """Fills the tables for `model`, from facts of what was trained on."""
    line = {use.model for use in model.phases}
    known = catalog.policy.obligations
    owed = model.joined("obligations")
    return CardTables(
        architecture=[{"parameter": k, "value": str(v)} for k, v in _architecture(model).items()],
        training=[_training_row(m) for m in facts.models if m.asset in line],
        data=[
            {
                "phase": use.phase,
                "mix_data_version": use.mix_data_version,
                "documents_read": use.counts.documents,
                "tokens_read": use.tokens,
                "sources": len(use.counts.sources),
                "licences": len(use.counts.licences),
                "not_described": use.unaccounted,
            }
            for use in model.phases
        ],
        sources=_sources(model, facts),
        licences=[{"licence": k, "documents": n} for k, n in _largest(model.joined("licences"))],
        obligations=[
            {
                "obligation": key,
                "means": known[key].title if key in known else "",
                "discharged_by": known[key].discharged_by if key in known else "",
                "documents": number,
            }
            for key, number in owed.items()
        ],
        obligations_by_phase=[
            {"obligation": key, **{u.phase: u.counts.obligations.get(key, 0) for u in model.phases}}
            for key in owed
        ],
    )


def _sources(model: ModelFacts, facts: DataFacts) -> Rows:
    read = model.joined("sources")
    return [
        {
            "source": source.id,
            "title": source.title,
            "address": source.address,
            "revision": source.revision,
            "documents_read": read[source.id],
            "licences": ", ".join(source.licences),
        }
        for source in facts.sources
        if source.id in read
    ]


def _training_row(model: ModelFacts) -> dict[str, Any]:
    facts = model.facts
    return {
        "phase": model.phase,
        "objective": facts.get("objective"),
        "steps": facts.get("steps"),
        "trained_tokens": facts.get("trained_tokens"),
        "heldout_documents": model.heldout.documents,
        "heldout_loss_before": _rounded(facts.get("heldout_loss_before")),
        "heldout_loss_after": _rounded(facts.get("heldout_loss_after")),
    }


def _rounded(value: Any) -> float | None:
    return round(value, 4) if isinstance(value, (int, float)) else None


def _architecture(model: ModelFacts) -> dict[str, Any]:
    recipe = model.facts.get("recipe")
    known = recipe if isinstance(recipe, dict) else {}
    numbers = {key: known[key] for key in _ARCHITECTURE if key in known}
    for key in ("ternary_parameters", "float_parameters", "context_tokens"):
        if key in model.facts:
            numbers[key] = model.facts[key]
    return numbers


def _largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))
