"""The bill of materials: SPDX 3.0.1 JSON-LD with the Dataset and AI profiles.

One `dataset_DatasetPackage` per source that a mix uses and one per mix, one `ai_AIPackage` per
checkpoint. Mixes descend from sources, models are `trainedOn` the mix of their phase and descend
from their parent. Each package has exactly one declared and one concluded licence, as the profile
asks. Built with the model's own bindings, which check every type and cardinality, and read back
before it is stored. `builtTime` and `releaseTime` are the day the contract's facts were read.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from tritter_assets.compliance import html
from tritter_assets.compliance.data_facts import (
    DataFacts,
    MixFacts,
    SourceFacts,
    conjunction,
    read_data_facts,
)
from tritter_assets.compliance.report import ReportSummary, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.source import HubOrigin, SdistOrigin
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.lineage.checkpoints import Checkpoint
from tritter_assets.record import Modality

STAGE_VERSION = "1"
ASSET = "compliance/spdx_bom"

_TYPES = {
    Modality.CODE: "text",
    Modality.TEXT: "text",
    Modality.INSTRUCTION: "text",
    Modality.PREFERENCE: "text",
    Modality.IMAGE: "image",
    Modality.AUDIO: "audio",
}


def code_version() -> str:
    """Returns the version of this report."""
    return STAGE_VERSION


def write_spdx_bom(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the bill of materials as the artifact set `compliance/spdx_bom`.

    Raises:
        ContractViolation: the document does not satisfy the SPDX model; nothing is stored.
    """
    facts = read_data_facts(lake, catalog)
    document = build_bom(facts, catalog)
    count = validate(document)
    packages = [
        *({"package": s.id, "kind": "source", "licence": conjunction(s.licences)}
          for s in facts.trained_sources),
        *({"package": m.phase, "kind": "mix", "licence": conjunction(m.licences)}
          for m in facts.mixes),
        *({"package": m.asset, "kind": "model", "licence": "NOASSERTION"} for m in facts.models),
    ]  # fmt: skip
    headline = f"{len(packages)} packages, {count} SPDX elements; valid SPDX 3.0.1"
    page = html.page(
        "Bill of materials (SPDX 3.0.1)",
        html.paragraph(headline + "."),
        html.records(packages, caption="Packages and concluded licences"),
    )
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


def build_bom(facts: DataFacts, catalog: Catalog) -> bytes:
    """Returns the JSON-LD document in UTF-8."""
    return _Builder(facts, catalog).document()


class _Builder:
    """Holds the elements of one document."""

    def __init__(self, facts: DataFacts, catalog: Catalog) -> None:
        from spdx_python_model import v3_0_1

        self.spdx: Any = v3_0_1
        self.facts = facts
        self.catalog = catalog
        versions = [mix.data_version for mix in facts.mixes]
        identity = fingerprint_of(versions, [model.data_version for model in facts.models])
        self.namespace = f"urn:tritter-assets:bom:{identity}:"
        self.objects: Any = self.spdx.SHACLObjectSet()
        self.elements: list[Any] = []
        self.licences: dict[str, Any] = {}
        self.created = self.spdx.CreationInfo(
            specVersion="3.0.1", created=_moment(facts.as_of), comment="Dated by the newest "
            "contract in use, so that the same data gives the same document."
        )  # fmt: skip
        self.created.set_id("_:created")
        self.operator = self._element(
            self.spdx.Organization, "agent:operator", name="the operator of this lake"
        )
        self.created.createdBy.append(self.operator)

    def document(self) -> bytes:
        """Builds everything and writes it."""
        spdx = self.spdx
        sources = {s.id: self._source(s) for s in self.facts.trained_sources}
        mixes = {}
        for mix in self.facts.mixes:
            package = self._mix(mix)
            mixes[mix.phase] = package
            parents = [sources[name] for name in sorted(mix.sources) if name in sources]
            if parents:
                self._relate(package, "descendantOf", parents)
        models: dict[str, Any] = {}
        for model in self.facts.models:
            package = self._model(model)
            models[model.asset] = package
            phase = str(model.facts.get("phase", model.asset.removeprefix("model/")))
            if phase in mixes:
                self._relate(package, "trainedOn", [mixes[phase]])
            if model.parent in models:
                self._relate(package, "descendantOf", [models[model.parent]])
        roots = [*models.values()] or [*mixes.values()] or [self.operator]
        document = spdx.SpdxDocument(name="Training data and models", creationInfo=self.created)
        document.set_id(f"{self.namespace}document")
        document.rootElement.extend(roots)
        document.element.extend(self.elements)
        profiles = spdx.ProfileIdentifierType
        document.profileConformance.extend(
            [profiles.core, profiles.software, profiles.simpleLicensing, profiles.dataset,
             profiles.ai]
        )  # fmt: skip
        self.objects.add(document)
        buffer = io.BytesIO()
        try:
            spdx.JSONLDSerializer().write(self.objects, buffer, indent=2)
        except (ValueError, TypeError) as error:
            raise ContractViolation(f"the SPDX document is not valid: {error}") from None
        return buffer.getvalue() + b"\n"

    def _element(self, kind: Any, key: str, **values: Any) -> Any:
        stated = {name: value for name, value in values.items() if value is not None}
        element = kind(creationInfo=self.created, **stated)
        element.set_id(self.namespace + key)
        self.objects.add(element)
        self.elements.append(element)
        return element

    def _relate(self, subject: Any, kind: str, objects: list[Any]) -> None:
        number = sum(1 for e in self.elements if isinstance(e, self.spdx.Relationship))
        relation = self._element(
            self.spdx.Relationship,
            f"relationship:{number:04d}",
            relationshipType=getattr(self.spdx.RelationshipType, kind),
            from_=subject,
        )
        relation.to.extend(objects)

    def _licensed(self, package: Any, declared: str, concluded: str) -> None:
        self._relate(package, "hasDeclaredLicense", [self._licence(declared)])
        self._relate(package, "hasConcludedLicense", [self._licence(concluded)])

    def _licence(self, expression: str) -> Any:
        if expression in ("NOASSERTION", ""):
            return self.spdx.expandedlicensing_IndividualLicensingInfo.NoAssertionLicense
        if expression not in self.licences:
            self.licences[expression] = self._element(
                self.spdx.simplelicensing_LicenseExpression,
                f"licence:{fingerprint_of(expression)}",
                simplelicensing_licenseExpression=expression,
            )
        return self.licences[expression]

    def _source(self, source: SourceFacts) -> Any:
        spdx, contract = self.spdx, source.contract
        upstream = self._element(
            spdx.Organization, f"agent:{source.id}", name=f"upstream of {source.id}"
        )
        package = self._element(
            spdx.dataset_DatasetPackage,
            f"source:{source.id}",
            name=source.title,
            description=contract.description if contract else None,
            software_packageVersion=source.revision or None,
            software_downloadLocation=source.address
            or "https://spdx.org/rdf/3.0.1/terms/NoAssertion",
            software_primaryPurpose=spdx.software_SoftwarePurpose.data,
            builtTime=_moment(source.as_of),
            releaseTime=_moment(source.as_of),
            dataset_datasetSize=source.raw_bytes,
            dataset_dataCollectionProcess="Read from the pinned upstream files by a loader that "
            "checks their hashes; nothing downloaded is executed.",
            dataset_hasSensitivePersonalInformation=spdx.PresenceType.noAssertion,
            dataset_intendedUse="training of language models, under the licences of its rows",
            dataset_datasetAvailability=self._availability(source),
        )
        package.originatedBy.append(upstream)
        modality = contract.modality if contract else Modality.TEXT
        package.dataset_datasetType.append(getattr(spdx.dataset_DatasetType, _TYPES[modality]))
        if source.digest:
            package.verifiedUsing.append(
                spdx.Hash(algorithm=spdx.HashAlgorithm.sha256, hashValue=source.digest)
            )
        if contract and isinstance(contract.origin, SdistOrigin):
            name = contract.origin.package.lower()
            package.software_packageUrl = f"pkg:pypi/{name}@{contract.origin.version}"
        declared = contract.licence.wrapper if contract else "NOASSERTION"
        self._licensed(package, declared, conjunction(source.licences))
        return package

    def _availability(self, source: SourceFacts) -> Any:
        origin = source.contract.origin if source.contract else None
        kinds = self.spdx.dataset_DatasetAvailabilityType
        return kinds.registration if isinstance(origin, HubOrigin) and origin.gated else (
            kinds.directDownload
        )  # fmt: skip

    def _mix(self, mix: MixFacts) -> Any:
        spdx = self.spdx
        package = self._element(
            spdx.dataset_DatasetPackage,
            f"mix:{mix.phase}",
            name=mix.title,
            software_packageVersion=mix.data_version,
            software_downloadLocation=f"urn:tritter-assets:mix/{mix.phase}",
            software_primaryPurpose=spdx.software_SoftwarePurpose.data,
            software_attributionText=[
                f"{key}: {rows} rows" for key, rows in mix.obligations.items()
            ],
            builtTime=_moment(self.facts.as_of),
            releaseTime=_moment(self.facts.as_of),
            comment=f"{mix.rows} rows, {mix.tokens} estimated tokens",
            dataset_dataCollectionProcess="Drawn from the survivors of its sources by a hash of "
            "each document's id.",
            dataset_hasSensitivePersonalInformation=spdx.PresenceType.noAssertion,
            dataset_intendedUse="training of language models, under the licences of its rows",
            dataset_datasetAvailability=spdx.dataset_DatasetAvailabilityType.directDownload,
        )
        package.originatedBy.append(self.operator)
        package.dataset_datasetType.append(spdx.dataset_DatasetType.text)
        package.dataset_dataPreprocessing.extend(
            [
                "language, licence, extension and length filters",
                "exact and near duplicate removal with verified pairs",
                "generated-code, comment-ratio, personal-data, secret and malware filters",
                "opt-out and removal requests; benchmark decontamination",
            ]
        )
        for name, counts in (
            ("licence", mix.licences),
            ("language", mix.languages),
            ("generator", mix.generators),
        ):
            package.dataset_knownBias.append(f"rows by {name}: {_listed(counts)}")
        self._licensed(package, "NOASSERTION", conjunction(mix.licences))
        return package

    def _model(self, model: Checkpoint) -> Any:
        spdx, facts = self.spdx, model.facts
        package = self._element(
            spdx.ai_AIPackage,
            model.asset.replace("/", ":"),
            name=model.asset,
            software_packageVersion=model.data_version,
            software_downloadLocation=f"urn:tritter-assets:{model.asset}",
            software_primaryPurpose=spdx.software_SoftwarePurpose.model,
            builtTime=_moment(self.facts.as_of),
            releaseTime=_moment(self.facts.as_of),
            ai_informationAboutTraining=f"{facts.get('steps', 'unknown')} steps, "
            f"{facts.get('trained_tokens', 'unknown')} tokens, objective "
            f"{facts.get('objective', 'unknown')}",
            ai_limitation="trained on the listed mixes only; not evaluated for safety",
            ai_autonomyType=spdx.PresenceType.no,
            ai_useSensitivePersonalInformation=spdx.PresenceType.noAssertion,
        )
        package.suppliedBy = self.operator
        package.originatedBy.append(self.operator)
        package.ai_typeOfModel.append("decoder-only transformer with ternary weights")
        package.ai_domain.append("software engineering")
        recipe = facts.get("recipe")
        for key, value in sorted((recipe if isinstance(recipe, dict) else {}).items()):
            package.ai_hyperparameter.append(spdx.DictionaryEntry(key=key, value=str(value)))
        for key in ("heldout_loss_before", "heldout_loss_after"):
            if facts.get(key) is not None:
                package.ai_metric.append(spdx.DictionaryEntry(key=key, value=f"{facts[key]:.4f}"))
        self._licensed(package, "NOASSERTION", "NOASSERTION")
        return package


def _moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{key} {number}" for key, number in list(counts.items())[:12]) or "none"
