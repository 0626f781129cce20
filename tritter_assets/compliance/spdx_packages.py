"""The packages of the bill of materials: sources, mixes, held-out sets and checkpoints.

| element | what it is | related by |
|---|---|---|
| `dataset_DatasetPackage` source | what a mix takes rows from | |
| `dataset_DatasetPackage` mix | what a phase trains on | `descendantOf` its sources |
| `dataset_DatasetPackage` held-out set | documents of a mix that no phase trains on | `descendantOf` its mix |
| `ai_AIPackage` | a checkpoint | `trainedOn` every mix it or an ancestor read, `testedOn` the held-out set, `descendantOf` its parent |
"""  # noqa: E501

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tritter_assets.compliance.data_facts import DataFacts, MixFacts, SourceFacts, conjunction
from tritter_assets.compliance.model_facts import ModelFacts
from tritter_assets.compliance.spdx_graph import NO_ASSERTION, SpdxGraph, moment
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.provider import Provider
from tritter_assets.contracts.source import FileOrigin, HubOrigin, SdistOrigin
from tritter_assets.lake import fingerprint_of
from tritter_assets.licensing.expression import NONE, canonical
from tritter_assets.record import HUMAN, Modality

_TYPES = {
    Modality.CODE: "text",
    Modality.TEXT: "text",
    Modality.INSTRUCTION: "text",
    Modality.PREFERENCE: "text",
    Modality.IMAGE: "image",
    Modality.AUDIO: "audio",
}
_NOWHERE = "https://spdx.org/rdf/3.0.1/terms/NoAssertion"
_LISTED = 12
_PREPROCESSING = (
    "filters by language, licence, extension and length",
    "exact and near duplicate removal with verified pairs",
    "filters for generated code, comment ratio, personal data, secrets and malware",
    "opt-out and removal requests",
    "removal of benchmarks and their solutions",
)
_ANONYMIZATION = (
    "personal data and secrets are found by pattern and replaced by a placeholder, or their "
    "document is dropped; names of persons are not searched for",
)
_USE = "training of language models, under the licences of the rows"


def build_bom(facts: DataFacts, catalog: Catalog, provider: Provider) -> bytes:
    """Returns the JSON-LD document in UTF-8."""
    versions = [mix.data_version for mix in facts.mixes]
    identity = fingerprint_of(versions, [model.data_version for model in facts.models])
    publisher = provider.name or "the operator of this lake"
    graph = SpdxGraph(identity, facts.as_of, publisher)
    weights = _expression(provider.weights_license) or NO_ASSERTION
    return _Packages(graph, facts, catalog, weights).document()


class _Packages:
    """Adds the packages of one lake to one graph."""

    def __init__(self, graph: SpdxGraph, facts: DataFacts, catalog: Catalog, weights: str) -> None:
        self.graph = graph
        self.spdx = graph.spdx
        self.facts = facts
        self.obligations = catalog.policy.obligations
        self.weights = weights

    def document(self) -> bytes:
        graph = self.graph
        sources = {source.id: self._source(source) for source in self.facts.trained_sources}
        mixes: dict[str, Any] = {}
        for mix in self.facts.mixes:
            mixes[mix.phase] = self._mix(mix)
            parents = [sources[name] for name in sorted(mix.sources) if name in sources]
            graph.relate(mixes[mix.phase], "descendantOf", parents)
        models: dict[str, Any] = {}
        for model in self.facts.models:
            package = self._model(model)
            models[model.asset] = package
            read = [mixes[use.phase] for use in model.phases if use.phase in mixes]
            graph.relate(package, "trainedOn", read)
            if model.heldout.documents:
                heldout = self._heldout(model)
                graph.relate(package, "testedOn", [heldout])
                if model.phase in mixes:
                    graph.relate(heldout, "descendantOf", [mixes[model.phase]])
            if model.parent in models:
                graph.relate(package, "descendantOf", [models[model.parent]])
        roots = [*models.values()] or [*mixes.values()]
        return graph.document("Training data and models", roots)

    def _dataset(self, key: str, name: str, modalities: list[str], **values: Any) -> Any:
        spdx = self.spdx
        package = self.graph.element(
            spdx.dataset_DatasetPackage,
            key,
            name=name,
            software_primaryPurpose=spdx.software_SoftwarePurpose.data,
            dataset_intendedUse=_USE,
            dataset_hasSensitivePersonalInformation=spdx.PresenceType.noAssertion,
            **values,
        )
        for kind in modalities:
            package.dataset_datasetType.append(getattr(spdx.dataset_DatasetType, kind))
        return package

    def _source(self, source: SourceFacts) -> Any:
        spdx, contract = self.spdx, source.contract
        upstream = self.graph.element(
            spdx.Organization, f"agent:{source.id}", name=f"upstream of {source.id}"
        )
        levels = spdx.dataset_ConfidentialityLevelType
        package = self._dataset(
            f"source:{source.id}",
            source.title,
            [_TYPES[contract.modality if contract else Modality.TEXT]],
            description=contract.description if contract else None,
            software_packageVersion=source.revision or None,
            software_downloadLocation=source.address or _NOWHERE,
            builtTime=moment(source.as_of),
            releaseTime=moment(source.as_of),
            dataset_datasetSize=source.raw_bytes,
            dataset_dataCollectionProcess="Read from the pinned upstream files by a loader that "
            "checks their hashes; nothing downloaded is executed.",
            dataset_datasetUpdateMechanism="A new revision is pinned by a person; drift of "
            "upstream's licence or gate holds the source back.",
            dataset_datasetAvailability=self._availability(source),
            dataset_confidentialityLevel=getattr(levels, _confidentiality(source)),
        )
        package.originatedBy.append(upstream)
        for name, counts in (
            ("licence", source.licences),
            ("mix", source.mix_rows),
        ):
            package.dataset_knownBias.append(f"rows that train, by {name}: {_listed(counts)}")
        if source.digest:
            package.verifiedUsing.append(
                spdx.Hash(algorithm=spdx.HashAlgorithm.sha256, hashValue=source.digest)
            )
        if contract and isinstance(contract.origin, SdistOrigin):
            name = contract.origin.package.lower()
            package.software_packageUrl = f"pkg:pypi/{name}@{contract.origin.version}"
        self.graph.license(package, declared_licence(source), conjunction(source.licences))
        return package

    def _availability(self, source: SourceFacts) -> Any:
        origin = source.contract.origin if source.contract else None
        kinds = self.spdx.dataset_DatasetAvailabilityType
        gated = isinstance(origin, HubOrigin) and origin.gated
        return kinds.registration if gated else kinds.directDownload

    def _mix(self, mix: MixFacts) -> Any:
        spdx = self.spdx
        levels = spdx.dataset_ConfidentialityLevelType
        sources = [s for s in self.facts.trained_sources if s.id in mix.sources]
        worst = max((_confidentiality(s) for s in sources), key=_LEVELS.index, default="clear")
        package = self._dataset(
            f"mix:{mix.phase}",
            mix.title,
            _dataset_types(mix.modalities),
            software_packageVersion=mix.data_version,
            software_downloadLocation=f"urn:tritter-assets:mix/{mix.phase}",
            software_attributionText=self._owed(mix.obligations),
            builtTime=moment(self.facts.as_of),
            releaseTime=moment(self.facts.as_of),
            comment=f"{mix.rows} rows, {mix.tokens} estimated tokens",
            dataset_dataCollectionProcess="Drawn from the survivors of its sources by a hash of "
            "each document's id.",
            dataset_datasetAvailability=spdx.dataset_DatasetAvailabilityType.directDownload,
            dataset_confidentialityLevel=getattr(levels, worst),
        )
        package.originatedBy.append(self.graph.publisher)
        package.dataset_dataPreprocessing.extend(_PREPROCESSING)
        package.dataset_anonymizationMethodUsed.extend(_ANONYMIZATION)
        written = {key: rows for key, rows in mix.generators.items() if key != HUMAN}
        for name, counts in (
            ("licence", mix.licences),
            ("language", mix.languages),
            ("generator other than people", written),
        ):
            package.dataset_knownBias.append(f"rows by {name}: {_listed(counts)}")
        self.graph.license(package, NO_ASSERTION, conjunction(mix.licences))
        return package

    def _heldout(self, model: ModelFacts) -> Any:
        package = self._dataset(
            f"heldout:{model.phase}",
            f"Held-out documents of {model.phase}",
            ["text"],
            software_packageVersion=str(model.facts.get("packed_data_version") or "unknown"),
            software_downloadLocation=f"urn:tritter-assets:{model.facts.get('packed_table')}",
            builtTime=moment(self.facts.as_of),
            releaseTime=moment(self.facts.as_of),
            comment=f"{model.heldout.documents} documents",
            dataset_dataCollectionProcess="Whole duplicate clusters chosen by a hash; neither a "
            "copy nor a row derived from them is in the training split of any phase.",
        )
        package.originatedBy.append(self.graph.publisher)
        self.graph.license(package, NO_ASSERTION, conjunction(model.heldout.licences))
        return package

    def _model(self, model: ModelFacts) -> Any:
        spdx, facts = self.spdx, model.facts
        package = self.graph.element(
            spdx.ai_AIPackage,
            model.asset.replace("/", ":"),
            name=model.asset,
            software_packageVersion=model.data_version,
            software_downloadLocation=f"urn:tritter-assets:{model.asset}",
            software_primaryPurpose=spdx.software_SoftwarePurpose.model,
            software_attributionText=self._owed(model.joined("obligations")),
            builtTime=moment(self.facts.as_of),
            releaseTime=moment(self.facts.as_of),
            comment="Licences of the documents read, its ancestors' included: "
            + conjunction(model.joined("licences")),
            ai_informationAboutTraining=_training(model),
            ai_limitation="trained on the listed mixes only; not evaluated for safety; may "
            "reproduce passages of its training data",
            ai_autonomyType=spdx.PresenceType.no,
            ai_useSensitivePersonalInformation=spdx.PresenceType.noAssertion,
        )
        package.suppliedBy = self.graph.publisher
        package.originatedBy.append(self.graph.publisher)
        package.ai_typeOfModel.append("decoder-only transformer with ternary weights")
        package.ai_domain.append("software engineering")
        package.ai_modelDataPreprocessing.extend(_PREPROCESSING)
        recipe = facts.get("recipe")
        for key, value in sorted((recipe if isinstance(recipe, dict) else {}).items()):
            package.ai_hyperparameter.append(spdx.DictionaryEntry(key=key, value=str(value)))
        for key in ("heldout_loss_before", "heldout_loss_after"):
            if facts.get(key) is not None:
                package.ai_metric.append(spdx.DictionaryEntry(key=key, value=f"{facts[key]:.4f}"))
        # No licence of weights follows from licences of rows, and a person has to choose one.
        self.graph.license(package, self.weights, NO_ASSERTION)
        return package

    def _owed(self, obligations: Mapping[str, int]) -> list[str]:
        known = self.obligations
        return [
            f"{known[key].title if key in known else key} ({key}: {number} documents)"
            for key, number in obligations.items()
        ]


def declared_licence(source: SourceFacts) -> str:
    """What upstream declares: the wrapper's licence, or else the claim, if it is an expression."""
    if source.contract is None:
        return NO_ASSERTION
    licence = source.contract.licence
    return next(
        (found for found in map(_expression, (licence.wrapper, licence.claimed)) if found),
        NO_ASSERTION,
    )


def _expression(text: str) -> str:
    """The text as an SPDX expression, or nothing."""
    found = canonical(text) if text else None
    return "" if found in (None, NO_ASSERTION, NONE) else str(found)


_LEVELS = ("clear", "green", "amber", "red")
"""From free to distribute to named recipients only."""


def _confidentiality(source: SourceFacts) -> str:
    """Public files are clear, those behind a gate green, local files amber."""
    origin = source.contract.origin if source.contract else None
    if isinstance(origin, HubOrigin) and origin.gated:
        return "green"
    return "amber" if origin is None or isinstance(origin, FileOrigin) else "clear"


def _dataset_types(modalities: Mapping[str, int]) -> list[str]:
    types = {_TYPES[Modality(key)] if key in set(Modality) else "other" for key in modalities}
    return sorted(types) or ["text"]


def _training(model: ModelFacts) -> str:
    facts = model.facts
    lines = [
        f"{facts.get('steps', 'unknown')} steps, {facts.get('trained_tokens', 'unknown')} tokens, "
        f"objective {facts.get('objective', 'unknown')}"
    ]
    for use in model.phases:
        read = "all" if use.tokens is None else f"{use.tokens} tokens"
        lines.append(f"{use.phase} ({use.model}): {use.counts.documents} documents, {read}")
    return "; ".join(lines)


def _listed(counts: Mapping[str, int]) -> str:
    shown = list(counts.items())[:_LISTED]
    more = f" and {len(counts) - _LISTED} more" if len(counts) > _LISTED else ""
    return (", ".join(f"{key} {number}" for key, number in shown) or "none") + more
