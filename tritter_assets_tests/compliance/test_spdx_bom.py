"""The bill of materials against the SPDX 3.0.1 model: bindings, JSON schema and SHACL shapes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.compliance.data_facts import read_data_facts
from tritter_assets.compliance.spdx_bom import validate, write_spdx_bom
from tritter_assets.compliance.spdx_packages import build_bom
from tritter_assets.contracts.provider import Provider
from tritter_assets.errors import ContractViolation
from tritter_assets.lake import Lake
from tritter_assets_tests.compliance.paper import STATED, catalog_with_provider, read_json, write
from tritter_assets_tests.lineage import small_lake as small

ASSET = "compliance/spdx_bom"
MODEL = os.environ.get("TRITTER_SPDX_MODEL", "")
"""Folder of spdx-model.ttl and spdx-context.jsonld of SPDX 3.0.1, which no package ships."""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Two phases and a held-out document, with the document written; no test changes the tables."""
    tmp_path = tmp_path_factory.mktemp("spdx")
    lake = small.build(tmp_path / "lake")
    heldout = small.packed_row(lake, 2, [(small.OTHER, "filtered/beta", 20)], split="heldout")
    small.write(
        lake, "packed/phase1_base_256", [*small.packed_rows(lake), heldout], small.PACKED_SCHEMA
    )
    small.write_model(lake, tmp_path, "phase1_base", "packed/phase1_base_256", None)
    small.write(lake, "mix/phase2_domain", [small.mix_row(small.KEPT, "filtered/alpha", 30)],
                small.MIX_SCHEMA)  # fmt: skip
    rows = [small.packed_row(lake, 0, [(small.KEPT, "filtered/alpha", 30)])]
    small.write(lake, "packed/phase2_domain_256", rows, small.PACKED_SCHEMA)
    small.write_model(
        lake, tmp_path, "phase2_domain", "packed/phase2_domain_256", "model/phase1_base"
    )
    write(lake, write_spdx_bom)
    return lake


class Graph:
    """The stored document by the last part of its ids."""

    def __init__(self, lake: Lake) -> None:
        self.document: dict[str, Any] = read_json(lake, ASSET, "spdx_bom.json")
        elements = self.document["@graph"]
        self.by_id = {self.short(e["spdxId"]): e for e in elements if "spdxId" in e}
        self.relations: dict[str, dict[str, list[str]]] = {}
        for e in elements:
            if e["type"] == "Relationship":
                to = [self.short(target) for target in e["to"]]
                self.relations.setdefault(e["relationshipType"], {})[self.short(e["from"])] = to

    @staticmethod
    def short(name: str) -> str:
        return name.rsplit(":bom:", 1)[-1].partition(":")[2] or name

    def packages(self) -> dict[str, dict[str, Any]]:
        kinds = ("dataset_DatasetPackage", "ai_AIPackage")
        return {name: e for name, e in self.by_id.items() if e["type"] in kinds}


def test_models_are_linked_to_every_mix_they_read(lake: Lake) -> None:
    graph = Graph(lake)
    assert graph.relations["trainedOn"] == {
        "model:phase1_base": ["mix:phase1_base"],
        "model:phase2_domain": ["mix:phase1_base", "mix:phase2_domain"],
    }
    assert graph.relations["testedOn"] == {"model:phase1_base": ["heldout:phase1_base"]}
    assert graph.relations["descendantOf"] == {
        "mix:phase1_base": ["source:alpha", "source:beta"],
        "mix:phase2_domain": ["source:alpha"],
        "heldout:phase1_base": ["mix:phase1_base"],
        "model:phase2_domain": ["model:phase1_base"],
    }


def test_every_package_has_what_its_profile_requires(lake: Lake) -> None:
    graph = Graph(lake)
    packages = graph.packages()
    assert len(packages) == 7
    for kind in ("hasDeclaredLicense", "hasConcludedLicense"):
        assert {name: len(to) for name, to in graph.relations[kind].items()} == dict.fromkeys(
            packages, 1
        )
    for name, package in packages.items():
        for field in ("software_downloadLocation", "software_primaryPurpose", "releaseTime"):
            assert package[field], f"{name} lacks {field}"
        if package["type"] == "ai_AIPackage":
            assert package["suppliedBy"]
            continue
        for field in ("originatedBy", "builtTime", "dataset_datasetType",
                      "dataset_dataCollectionProcess", "dataset_intendedUse",
                      "dataset_hasSensitivePersonalInformation"):  # fmt: skip
            assert package[field], f"{name} lacks {field}"
        if not name.startswith("heldout:"):
            assert package["dataset_knownBias"]
            assert package["dataset_confidentialityLevel"] == "clear"
    alpha = packages["source:alpha"]
    assert alpha["software_packageUrl"] == "pkg:pypi/alpha@1.0.0"
    assert alpha["verifiedUsing"][0]["hashValue"] == "ab" * 32


def test_obligations_are_joined_over_mix_and_checkpoint(lake: Lake) -> None:
    packages = Graph(lake).packages()
    assert any("(attribution: 3 documents)" in t
               for t in packages["mix:phase1_base"]["software_attributionText"])  # fmt: skip
    # Three documents of the first phase, one of the second.
    assert any("(attribution: 4 documents)" in t
               for t in packages["model:phase2_domain"]["software_attributionText"])  # fmt: skip
    read = packages["model:phase2_domain"]["ai_informationAboutTraining"]
    assert "phase1_base (model/phase1_base): 3 documents" in read
    assert "phase2_domain (model/phase2_domain): 1 documents" in read


def test_the_provider_signs_and_licenses_the_weights(tmp_path: Path) -> None:
    lake = small.build(tmp_path / "lake")
    write(lake, write_spdx_bom, catalog_with_provider(tmp_path, STATED))
    graph = Graph(lake)
    assert graph.by_id["agent:publisher"]["name"] == "Example Models Ltd"
    (licence,) = graph.relations["hasDeclaredLicense"]["model:phase1_base"]
    assert graph.by_id[licence]["simplelicensing_licenseExpression"] == "Apache-2.0"


def test_the_document_satisfies_the_published_json_schema(lake: Lake) -> None:
    import jsonschema
    import lib4sbom

    schema = Path(str(lib4sbom.__file__)).parent / "schemas" / "spdx" / "3.0-schema.json"
    validator = jsonschema.Draft202012Validator(json.loads(schema.read_text()))
    document = Graph(lake).document
    assert [error.message for error in validator.iter_errors(document)] == []
    for element in document["@graph"]:
        element.pop("dataset_datasetType", None)
    assert list(validator.iter_errors(document))


@pytest.mark.skipif(not MODEL, reason="TRITTER_SPDX_MODEL names no folder with the SPDX model")
def test_the_document_satisfies_the_shapes_of_the_model(lake: Lake) -> None:
    import pyshacl
    import rdflib

    shapes = rdflib.Graph().parse(Path(MODEL) / "spdx-model.ttl")
    context = json.loads((Path(MODEL) / "spdx-context.jsonld").read_text())

    def conforms(document: dict[str, Any]) -> bool:
        data = rdflib.Graph().parse(data=json.dumps(document | context), format="json-ld")
        return bool(pyshacl.validate(data, shacl_graph=shapes, ont_graph=shapes)[0])

    document = Graph(lake).document
    assert conforms(document)
    for element in document["@graph"]:
        element.pop("relationshipType", None)
    assert not conforms(document)


def test_an_invalid_document_is_refused(lake: Lake) -> None:
    catalog = small.full_catalog()
    document = build_bom(read_data_facts(lake, catalog), catalog, Provider())
    broken: dict[str, Any] = json.loads(document)
    for element in broken["@graph"]:
        element.pop("dataset_datasetType", None)
    with pytest.raises(ContractViolation, match="datasetType"):
        validate(json.dumps(broken).encode())
