"""Part 3 of the summary of training content: what was done with the data before training."""

from __future__ import annotations

from tritter_assets.compliance.data_facts import DataFacts
from tritter_assets.compliance.eu_form import Part, Section, computed, optional, stated
from tritter_assets.compliance.funnel import measure_funnel
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.provider import Provider
from tritter_assets.lake import Lake
from tritter_assets.lake.removals import read_removals
from tritter_assets.verdict import Stage


def processing_part(lake: Lake, facts: DataFacts, catalog: Catalog, provider: Provider) -> Part:
    """Fills part 3 of the template."""
    removed = measure_funnel(lake).total.removed
    removals = read_removals(lake)
    asked = {
        f"by {kind}": int(number)
        for kind, number in removals.group_by("kind").len().sort("kind").iter_rows()
    }
    known = catalog.policy.obligations
    rights = [
        stated(
            "code_of_practice",
            "Are you a Signatory to the Code of Practice for general-purpose AI models that "
            "includes commitments to respect reservations of rights from the TDM exception or "
            "limitation?",
            provider.code_of_practice,
            "code_of_practice",
        ),
        computed(
            "measures",
            "Measures implemented before model training to respect reservations of rights from "
            "the TDM exception or limitation",
            "The exception is not relied on: a document trains only under a licence that was "
            f"concluded for it and that the policy admits (use profile "
            f"{catalog.profile.use_profile!r}). Opt-out lists and removal requests are applied to "
            "every document and followed to its copies and to rows derived from it.",
        ),
        computed("refused", "Documents refused by licence", removed.get(Stage.LICENSE, 0)),
        computed("opt_out", "Documents removed on request", removed.get(Stage.OPT_OUT, 0)),
        computed("requests", "Removal requests in force", asked or "None."),
    ]
    illegal = [
        computed(
            "measures",
            "General description of measures taken",
            "Malware is found by signatures and dropped. Secrets and personal data are found by "
            "pattern and redacted, or their document is dropped. Benchmarks are removed.",
        ),
        computed(
            "dropped",
            "Documents dropped",
            {
                stage.value.replace("_", " "): removed.get(stage, 0)
                for stage in (Stage.MALWARE, Stage.SECRETS, Stage.PII)
            },
        ),
        *optional(
            "stated",
            "Further measures, as the provider describes them",
            provider.illegal_content_measures,
            "illegal_content_measures",
        ),
    ]
    other = [
        computed(
            "removed",
            "Duplicates and benchmark overlap removed (documents)",
            {
                stage.value.replace("_", " "): removed.get(stage, 0)
                for stage in (
                    Stage.EXACT_DUPLICATE,
                    Stage.NEAR_DUPLICATE,
                    Stage.SEMANTIC_DUPLICATE,
                    Stage.DECONTAMINATION,
                )
            },
        ),
        computed(
            "obligations_of_mixes",
            "What the licences of the rows ask, by mix (rows)",
            [
                {
                    "mix": mix.phase,
                    "obligation": known[key].title if key in known else key,
                    "rows": rows,
                }
                for mix in facts.mixes
                for key, rows in mix.obligations.items()
            ],
        ),
        computed(
            "obligations_of_checkpoints",
            "What the licences of the documents ask that each model version read, its ancestors' "
            "included",
            [
                {
                    "model": model.asset,
                    "obligation": known[key].title if key in known else key,
                    "documents": number,
                }
                for model in facts.models
                for key, number in model.joined("obligations").items()
            ],
        ),
        *optional("comments", "Additional comments", provider.comments, "comments"),
    ]
    sections = [
        Section(
            number="3.1",
            title="Respect of reservation of rights from text and data mining exception or "
            "limitation",
            fields=rights,
        ),
        Section(number="3.2", title="Removal of illegal content", fields=illegal),
        Section(number="3.3", title="Other information", fields=other),
    ]
    return Part(number="3", title="Data processing aspects", sections=sections)
