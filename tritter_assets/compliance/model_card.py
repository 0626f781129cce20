"""The model card: what the newest checkpoint is, what it was trained on, and under which duties.

| file | content |
|---|---|
| README.md | front matter that the Hub reads, then the card |
| model_card.html | the same for a person |

The licence of the weights is the publisher's to choose (`policy/provider.yaml`); until they do, the
card says `other` and points to the notice, because the rows' licences and obligations are facts and
a licence for the whole would be a claim. Data, licences and obligations are of the documents that
the checkpoint and its ancestors read, phase by phase.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tritter_assets.compliance import html
from tritter_assets.compliance.data_facts import DataFacts, read_data_facts
from tritter_assets.compliance.hub_card import card_languages, hub_datasets, render_card
from tritter_assets.compliance.license_audit import LicenseAudit, audit
from tritter_assets.compliance.model_card_tables import CardTables, card_tables
from tritter_assets.compliance.model_facts import ModelFacts
from tritter_assets.compliance.plots import line_plot
from tritter_assets.compliance.report import ReportSummary, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.provider import Provider, read_provider
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lineage.marks import marks

STAGE_VERSION = "2"
"""2: what each phase read and owes; the licence of the weights as the provider states it."""

ASSET = "export/model_card"

_WHAT = (
    "A decoder-only transformer with ternary (BitNet b1.58) weights, trained in the phases below "
    "on documents whose licence is concluded row by row."
)
_HELDOUT = (
    "Held-out documents are whole duplicate clusters that no phase trains on; loss is in nats per "
    "target token (phase 4: the preference loss)."
)
_LIMITS = (
    "The weights may reproduce passages of their training data; check output against the sources' "
    "licences.",
    "Detection of licences, personal data, secrets and malware is by evidence and pattern; none of "
    "it is perfect.",
    "No safety evaluation was made. Small models of this kind are for study.",
)
_LISTED = 200


def code_version() -> str:
    """Returns the version of this report."""
    return STAGE_VERSION


def write_model_card(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the card as the artifact set `export/model_card`.

    Raises:
        MissingProvenance: the lake holds no checkpoint.
        ContractProblems: `policy/provider.yaml` is wrong.
        ContractViolation: the Hub would refuse the card; nothing is stored.
    """
    facts = read_data_facts(lake, catalog)
    if not facts.models:
        raise MissingProvenance(
            "the lake holds no model/*, so there is nothing to describe: train a phase first"
        )
    provider = read_provider(catalog.root)
    facts = facts.trained()
    model = facts.models[-1]
    tables = card_tables(model, facts, catalog)
    versions = {(m.asset, m.data_version) for m in facts.models}
    marked = [m for m in marks(lake).to_dicts() if (m["asset"], m["data_version"]) in versions]
    plots = _loss_plot(lake, facts)
    audited = audit(lake, catalog)
    problems = [
        f"{row['asset']} {row['data_version']}: {row['status']}: train it again before publishing"
        for row in marked
    ]
    problems.extend(audited.problems)
    text = render_card(
        _front_matter(model, facts, provider),
        _body(model, tables, marked, audited, provider, has_plot=bool(plots)),
        catalog.root,
    )
    before, after = (
        _number(model.facts.get(f"heldout_loss_{when}")) for when in ("before", "after")
    )
    return store_report(
        lake,
        ASSET,
        {
            "README.md": text.encode(),
            "model_card.html": _page(
                model, tables, marked=marked, audited=audited, provider=provider, plots=plots
            ),
        },
        fingerprint=fingerprint,
        passed=not problems,
        headline=f"{model.asset}: held-out loss {before} -> {after}",
        counts={"phases": len(model.phases), "sources": len(tables.sources)},
        problems=problems,
        warnings=[] if provider.weights_license else [_unlicensed()],
        tables={
            "training": markdown_table(tables.training),
            "data": markdown_table(tables.data),
            "obligations": markdown_table(tables.obligations),
        },
        plots=plots,
    )


def _unlicensed() -> str:
    return "the weights have no licence: state it as 'weights_license' in policy/provider.yaml"


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, (int, float)) else "unknown"


def _loss_plot(lake: Lake, facts: DataFacts) -> dict[str, bytes]:
    series = {}
    for model in facts.models:
        if "training_log.json" not in ArtifactStore(lake).list(model.asset):
            continue
        log = _read_log(lake, model.asset)
        points = [
            (float(entry["step"]), float(entry["heldout_loss"]))
            for entry in log.get("evaluations", [])
            if "step" in entry and "heldout_loss" in entry
        ]
        if points:
            series[model.phase] = points
    if not series:
        return {}
    plot = line_plot(series, title="Held-out loss", x="step", y="loss (nats per target token)")
    return {"heldout_loss": plot}


def _read_log(lake: Lake, asset: str) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory(prefix="tritter-log-") as folder:
        store = ArtifactStore(lake, cache=Path(folder))
        return json.loads(store.open_local(asset, "training_log.json").read_text("utf-8"))


def _front_matter(model: ModelFacts, facts: DataFacts, provider: Provider) -> Any:
    from huggingface_hub import EvalResult, ModelCardData

    licence = provider.weights_license or "other"
    named = licence == "other"
    results = [
        EvalResult(
            task_type="text-generation",
            task_name="Held-out documents",
            dataset_type=f"heldout-{model.phase}",
            dataset_name=f"held-out documents of {model.phase}",
            metric_type="loss",
            metric_name="held-out loss",
            metric_value=round(loss, 4),
        )
        for loss in [model.facts.get("heldout_loss_after")]
        if isinstance(loss, (int, float))
    ]
    return ModelCardData(
        library_name="transformers",
        pipeline_tag="text-generation",
        license=licence,
        license_name=(provider.weights_license_name or "see-notice") if named else None,
        license_link=(provider.weights_license_link or "NOTICE.txt") if named else None,
        language=card_languages(model.joined("languages").keys()),
        datasets=hub_datasets([s.address for s in facts.trained_sources]) or None,
        tags=["bitnet", "ternary", "code"],
        model_name=model.asset if results else None,
        eval_results=results or None,
    )


def _body(
    model: ModelFacts,
    tables: CardTables,
    marked: Sequence[Mapping[str, Any]],
    audited: LicenseAudit,
    provider: Provider,
    *,
    has_plot: bool,
) -> str:
    lines = [
        f"# {model.asset}\n",
        _WHAT,
        f"\nPublished by {provider.name}: {provider.contact}" if provider.name else "",
        f"\nIntended use: {provider.intended_use}" if provider.intended_use else "",
        "\n## Architecture\n",
        markdown_table(tables.architecture),
        "\n## Training\n",
        markdown_table(tables.training),
        f"\n{_HELDOUT}",
        "\n![Held-out loss](heldout_loss.png)" if has_plot else "",
        "\n## Training data\n",
        _seen_sentence(model),
        "\n" + markdown_table(tables.data),
        "\n### Sources\n",
        markdown_table(tables.sources, limit=_LISTED),
        "\n### Licences of the documents\n",
        markdown_table(tables.licences),
        f"\n{_audit_sentence(audited)}",
        "\n## Obligations\n",
        "Joined over every document that this checkpoint and its ancestors read:\n",
        markdown_table(tables.obligations),
        "\nDocuments that owe it, by phase:\n",
        markdown_table(tables.obligations_by_phase),
        "\nCopyright lines and licence texts are in `NOTICE.txt`.",
        "\n## Removal requests\n",
        "\n".join(f"- {line}" for line in _marks(marked)) or _UNMARKED,
        "\n## Limits\n",
        "\n".join(f"- {line}" for line in _LIMITS) + "\n",
    ]
    return "\n".join(line for line in lines if line)


_UNMARKED = "No checkpoint in this line is known to have seen a document that was since removed."


def _marks(marked: Sequence[Mapping[str, Any]]) -> list[str]:
    return [f"{row['asset']} {row['data_version']}: {row['status']}" for row in marked]


def _seen_sentence(model: ModelFacts) -> str:
    if model.certain:
        return "What each phase read, from the checkpoint's own record, ancestors included."
    return "**The checkpoint does not say what it read: the mixes of its line are counted whole.**"


def _audit_sentence(audited: LicenseAudit) -> str:
    policy = f"use profile `{audited.use_profile}`, policy `{audited.policy_digest}`"
    if audited.passed:
        return f"Every row was verified again when this card was written ({policy})."
    return (
        f"**The licence audit failed ({policy}): {len(audited.problems)} problems, the first: "
        f"{audited.problems[0]}. Do not publish.**"
    )


def _page(
    model: ModelFacts,
    tables: CardTables,
    *,
    marked: Sequence[Mapping[str, Any]],
    audited: LicenseAudit,
    provider: Provider,
    plots: Mapping[str, bytes],
) -> bytes:
    weights = provider.weights_license_name or provider.weights_license
    return html.page(
        f"Model card: {model.asset}",
        html.verdict_badge(audited.passed, "licence audit of everything that trains"),
        html.verdict_badge(not marked, "; ".join(_marks(marked)) if marked else _UNMARKED),
        html.paragraph(_WHAT),
        html.definitions(
            {
                "Published by": provider.name or html.tag("not stated", is_open=True),
                "Contact": provider.contact or html.tag("not stated", is_open=True),
                "Licence of the weights": weights
                or html.joined(html.tag("not stated", is_open=True), _unlicensed()),
                "Intended use": provider.intended_use or "study; see the limits",
                "Data version": model.data_version,
            }
        ),
        html.heading("Architecture"),
        html.records(tables.architecture),
        html.heading("Training"),
        html.records(tables.training),
        html.paragraph(_HELDOUT),
        *(html.image(png, alternative="Held-out loss by step") for png in plots.values()),
        html.heading("Training data"),
        html.paragraph(_seen_sentence(model).strip("*")),
        html.records(tables.data, caption="What each phase read"),
        html.records(tables.sources, caption="Sources"),
        html.records(tables.licences, caption="Licences of the documents"),
        html.heading("Obligations"),
        html.records(tables.obligations, caption="Joined over all that the checkpoint read"),
        html.records(tables.obligations_by_phase, caption="Documents that owe it, by phase"),
        html.heading("Limits"),
        html.listing(_LIMITS),
    )
