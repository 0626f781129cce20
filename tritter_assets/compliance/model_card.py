"""The model card: what the newest checkpoint is, what it was trained on, and under which duties.

`README.md` has the front matter the Hub reads. The licence of the weights is the publisher's to
choose; the card says `other` and points to the notice, because the rows' licences and obligations
are facts and a licence for the whole would be a claim.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import yaml

from tritter_assets.compliance import html
from tritter_assets.compliance.data_facts import DataFacts, read_data_facts
from tritter_assets.compliance.license_audit import LicenseAudit, audit
from tritter_assets.compliance.plots import line_plot
from tritter_assets.compliance.report import ReportSummary, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lineage.checkpoints import Checkpoint
from tritter_assets.lineage.marks import marks

STAGE_VERSION = "1"
ASSET = "export/model_card"

_FRONT_LANGUAGES = {"English": "en", "Markdown": "en", "reStructuredText": "en"}
_ARCHITECTURE = (
    "hidden_size",
    "intermediate_size",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "vocab_size",
)


def code_version() -> str:
    """Returns the version of this report."""
    return STAGE_VERSION


def write_model_card(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the card as the artifact set `export/model_card`.

    Raises:
        MissingProvenance: the lake holds no checkpoint.
    """
    facts = read_data_facts(lake, catalog)
    if not facts.models:
        raise MissingProvenance(
            "the lake holds no model/*, so there is nothing to describe: train a phase first"
        )
    facts = _trained(facts)
    model = facts.models[-1]
    marked = [
        row
        for row in marks(lake).to_dicts()
        if (row["asset"], row["data_version"]) in {(m.asset, m.data_version) for m in facts.models}
    ]
    training = [_training_row(line) for line in facts.models]
    data = [
        {
            "mix": mix.phase,
            "rows": mix.rows,
            "estimated_tokens": mix.tokens,
            "sources": len(mix.sources),
            "licences": len(mix.licences),
        }
        for mix in facts.mixes
    ]
    plots = _loss_plot(lake, facts)
    audited = audit(lake, catalog)
    text = _readme(
        model,
        facts,
        catalog,
        training=training,
        data=data,
        marked=marked,
        audited=audited,
        has_plot=bool(plots),
    )
    headline = (
        f"{model.asset}: held-out loss {_number(model.facts.get('heldout_loss_before'))} -> "
        f"{_number(model.facts.get('heldout_loss_after'))}"
    )
    problems = [
        f"{row['asset']} {row['data_version']}: {row['status']}: train it again before publishing"
        for row in marked
    ]
    problems.extend(audited.problems)
    return store_report(
        lake,
        ASSET,
        {
            "README.md": text.encode(),
            "model_card.html": _page(model, facts, training, data, marked),
        },
        fingerprint=fingerprint,
        passed=not problems,
        headline=headline,
        counts={"phases": len(training), "sources": len(facts.trained_sources)},
        problems=problems,
        tables={"training": markdown_table(training), "data": markdown_table(data)},
        plots=plots,
    )


def _trained(facts: DataFacts) -> DataFacts:
    """Leaves out mixes that no checkpoint was trained on, and their rows in the sources."""
    phases = {model.asset.removeprefix("model/") for model in facts.models}
    sources = [
        dataclasses.replace(
            source,
            mix_rows={p: n for p, n in source.mix_rows.items() if p in phases},
            mix_tokens={p: n for p, n in source.mix_tokens.items() if p in phases},
        )
        for source in facts.sources
    ]
    mixes = [mix for mix in facts.mixes if mix.phase in phases]
    return dataclasses.replace(facts, sources=sources, mixes=mixes)


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, (int, float)) else "unknown"


def _training_row(model: Checkpoint) -> dict[str, Any]:
    facts = model.facts
    return {
        "phase": model.asset.removeprefix("model/"),
        "objective": facts.get("objective"),
        "steps": facts.get("steps"),
        "trained_tokens": facts.get("trained_tokens"),
        "documents_read": facts.get("documents_read"),
        "heldout_loss_before": _rounded(facts.get("heldout_loss_before")),
        "heldout_loss_after": _rounded(facts.get("heldout_loss_after")),
    }


def _rounded(value: Any) -> float | None:
    return round(value, 4) if isinstance(value, (int, float)) else None


def _architecture(model: Checkpoint) -> dict[str, Any]:
    recipe = model.facts.get("recipe")
    known = recipe if isinstance(recipe, dict) else {}
    numbers = {key: known[key] for key in _ARCHITECTURE if key in known}
    for key in ("ternary_parameters", "float_parameters", "context_tokens"):
        if key in model.facts:
            numbers[key] = model.facts[key]
    return numbers


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
            series[model.asset.removeprefix("model/")] = points
    if not series:
        return {}
    plot = line_plot(series, title="Held-out loss", x="step", y="loss (nats per target token)")
    return {"heldout_loss": plot}


def _read_log(lake: Lake, asset: str) -> Mapping[str, Any]:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(prefix="tritter-log-") as folder:
        store = ArtifactStore(lake, cache=Path(folder))
        return json.loads(store.open_local(asset, "training_log.json").read_text("utf-8"))


def _front_matter(facts: DataFacts) -> str:
    languages: dict[str, int] = {}
    for mix in facts.mixes:
        for language in mix.languages:
            languages[_FRONT_LANGUAGES.get(language, "code")] = 1
    hub = [
        source.address.removeprefix("https://huggingface.co/datasets/")
        for source in facts.trained_sources
        if source.address.startswith("https://huggingface.co/datasets/")
    ]
    front = {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": "other",
        "license_name": "see-notice",
        "license_link": "NOTICE.txt",
        "language": sorted(languages) or ["code"],
        "tags": ["bitnet", "ternary", "code"],
    }
    if hub:
        front["datasets"] = sorted(hub)
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True)


def _readme(
    model: Checkpoint,
    facts: DataFacts,
    catalog: Catalog,
    *,
    training: list[dict[str, Any]],
    data: list[dict[str, Any]],
    marked: list[dict[str, Any]],
    audited: LicenseAudit,
    has_plot: bool,
) -> str:
    sources = [
        {
            "source": source.id,
            "title": source.title,
            "revision": source.revision,
            "rows": sum(source.mix_rows.values()),
            "estimated_tokens": sum(source.mix_tokens.values()),
            "licences": ", ".join(source.licences),
        }
        for source in facts.trained_sources
    ]
    known = catalog.policy.obligations
    obligations = [
        {
            "obligation": key,
            "means": known[key].title if key in known else "",
            "discharged_by": known[key].discharged_by if key in known else "",
            "rows": rows,
        }
        for key, rows in facts.obligations().items()
    ]
    licences = [{"licence": key, "rows": rows} for key, rows in _largest(facts.licences())]
    architecture = [{"parameter": k, "value": str(v)} for k, v in _architecture(model).items()]
    lines = [
        f"---\n{_front_matter(facts)}---\n",
        f"# {model.asset}\n",
        "A decoder-only transformer with ternary (BitNet b1.58) weights, trained in the phases "
        "below on documents whose licence is concluded row by row.\n",
        "## Architecture\n",
        markdown_table(architecture),
        "\n## Training\n",
        markdown_table(training),
        "\nHeld-out documents are whole duplicate clusters that no phase trains on; loss is in "
        "nats per target token (phase 4: the preference loss).",
        "\n![Held-out loss](heldout_loss.png)" if has_plot else "",
        "\n## Training data\n",
        markdown_table(data),
        "\n### Sources\n",
        markdown_table(sources, limit=200),
        "\n### Licences of the rows\n",
        markdown_table(licences),
        f"\n{_audit_sentence(audited)}",
        "\n## Obligations\n",
        markdown_table(obligations),
        "\nCopyright lines and licence texts are in `NOTICE.txt`.",
        "\n## Removal requests\n",
        "\n".join(f"- {row['asset']} {row['data_version']}: {row['status']}" for row in marked)
        or "No checkpoint in this line is known to have seen a document that was since removed.",
        "\n## Limits\n",
        "- The weights may reproduce passages of their training data; check output against the "
        "sources' licences.\n"
        "- Detection of licences, personal data, secrets and malware is by evidence and pattern; "
        "none of it is perfect.\n"
        "- No safety evaluation was made. Small models of this kind are for study.\n",
    ]
    return "\n".join(line for line in lines if line)


def _audit_sentence(audited: LicenseAudit) -> str:
    policy = f"use profile `{audited.use_profile}`, policy `{audited.policy_digest}`"
    if audited.passed:
        return f"Every row was verified again when this card was written ({policy})."
    return (
        f"**The licence audit failed ({policy}): {len(audited.problems)} problems, the first: "
        f"{audited.problems[0]}. Do not publish.**"
    )


def _largest(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _page(
    model: Checkpoint,
    facts: DataFacts,
    training: list[dict[str, Any]],
    data: list[dict[str, Any]],
    marked: list[dict[str, Any]],
) -> bytes:
    return html.page(
        f"Model card: {model.asset}",
        html.verdict_badge(not marked, "no checkpoint of this line is marked"
                           if not marked else "a checkpoint saw documents that were removed"),
        html.heading("Architecture"),
        html.definitions(_architecture(model)),
        html.heading("Training"),
        html.records(training),
        html.heading("Training data"),
        html.records(data),
        html.heading("Licences of the rows"),
        html.table(["licence", "rows"], _largest(facts.licences())),
        html.heading("Obligations"),
        html.table(["obligation", "rows"], facts.obligations().items()),
    )  # fmt: skip
