"""The coverage table against the contracts, the report's names, and the tests it points to."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tritter_assets.contracts.catalog import Catalog, load_catalog
from tritter_assets.contracts.coverage import Coverage, load_coverage, source_rows
from tritter_assets.contracts.yaml_file import ContractProblems
from tritter_assets.licensing.admit import EVALUATION_SPLITS, admit
from tritter_assets.licensing.expression import normalize
from tritter_assets.verdict import Action
from tritter_assets_tests.corpus import REPOSITORY
from tritter_assets_tests.sources.upstream_rows import CASES

ROOT = REPOSITORY / "data_contracts"
TESTS = REPOSITORY / "tritter_assets_tests"
NAMED = """
bigcode/the-stack-v2-dedup
HuggingFaceTB/stack-edu
bigcode/starcoderdata
codeparrot/github-jupyter-text-code-pairs
bigcode/jupyter-code-text-pairs
codeparrot/github-jupyter-code-to-text
HuggingFaceTB/issues-kaggle-notebooks
bigcode/self-oss-instruct-sc2-exec-filter-500k-raw
glaiveai/glaive-code-assistant-v3
bigcode/python-stack-v1-functions-filtered
Fortytwo-Network/Strandset-Rust-v1
code-search-net/code_search_net
Nan-Do/code-search-net-python
google/code_x_glue_
google/code_x_glue_cc_clone_detection_poj104
Samip/Scotch
py_ast
jugalgajjar/MultiLang-Code-Parser-Dataset
Code2Seq
pwc-archive/
allenai/s2orc
CShorten/ML-ArXiv-Papers
HuggingFaceM4/WebSight
WebCode2M
HuggingFaceM4/OBELICS
lmms-lab/DocVQA
google-research-datasets/screen_annotation
bigcode/commitpack
CodeReviewer
CoNaLa
Wikipedia
OpenWebMath
Magicoder-OSS-Instruct-75K
Magicoder-Evol-Instruct-110K
CodeAlpaca-20K
WizardCoder
OpenCodeInterpreter
BigCloneBench
PyO3
tokenizers
tiktoken
docs.rs
PyTorch
TensorFlow
Transformers
scikit-learn
JAX/Flax
The Rust Book
Rust by Example
The Rustonomicon
Standard library docs
""".strip().splitlines()
"""Every source that the report names, as it writes them."""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog(ROOT, profile_name="workstation")


@pytest.fixture(scope="module")
def table() -> tuple[Coverage, ...]:
    return load_coverage(ROOT / "coverage.yaml")


def test_every_name_of_the_report_has_a_row(table: tuple[Coverage, ...]) -> None:
    written = [row.name for row in table]
    assert [name for name in NAMED if not any(name in row for row in written)] == []
    assert len(set(written)) == len(written)


def test_every_contract_stands_in_one_row(table: tuple[Coverage, ...], catalog: Catalog) -> None:
    listed = [name for row in table for name in row.contracts]
    assert sorted(listed) == sorted(set(listed))
    assert sorted(listed) == sorted(catalog.sources)


def test_rows_and_contracts_agree(table: tuple[Coverage, ...], catalog: Catalog) -> None:
    for row in table:
        for name in row.contracts:
            contract = catalog.sources[name]
            assert contract.origin.kind == row.loader, name
            assert (contract.refusal is not None) == (row.status == "refused"), name
            assert row.tier in (None, contract.tier), name
            assert contract.licence.claimed, name
            assert contract.licence.found, name
            assert contract.licence.evidence, name
            assert contract.licence.as_of is not None, name
            assert contract.licence.content, name
            assert contract.licence.wrapper, name
            assert contract.licence.access_terms in catalog.policy.access_terms, name
            assert contract.licence.generator in catalog.policy.generators, name
            if row.loader == "hub":
                assert contract.columns, name
                assert contract.upstream_schema, name


def test_every_row_points_to_a_test_that_runs_its_contracts(table: tuple[Coverage, ...]) -> None:
    for row in table:
        file, _, function = row.tested.partition("::")
        source = (TESTS / file).read_text(encoding="utf-8")
        assert re.search(rf"^def {function}\(", source, re.MULTILINE), row.tested
        if function == "test_rows_of_the_contract":
            assert set(row.contracts) <= set(CASES), row.name


def test_research_sources_pass_no_other_profile(
    table: tuple[Coverage, ...], catalog: Catalog
) -> None:
    found = [name for row in table if row.status == "research" for name in row.contracts]
    assert "multilang_code_parser" in found
    for name in found:
        licence = catalog.sources[name].licence
        judged = {
            profile: admit(
                concluded=normalize(licence.content, catalog.policy),
                wrapper=normalize(licence.wrapper, catalog.policy),
                access_terms="none",  # as after a signed decision
                generator=licence.generator,
                method="wrapper",
                confidence=0.6,
                split="train",
                policy=catalog.policy,
                use_profile=profile,
            ).action
            for profile in ("strict", "brief", "research")
        }
        assert judged["research"] is Action.KEEP, name
        assert judged["strict"] is not Action.KEEP, name
        assert judged["brief"] is not Action.KEEP, name


def test_evaluation_splits_are_not_asked_for(catalog: Catalog) -> None:
    """Only DocVQA, which has no other split, is read as one that every gate refuses."""
    held = {
        name
        for name, contract in catalog.sources.items()
        if getattr(contract.origin, "split", "train") in EVALUATION_SPLITS
    }
    assert held == {"docvqa"}


def test_the_table_prints_claim_and_finding(table: tuple[Coverage, ...], catalog: Catalog) -> None:
    rows = {row["contract"]: row for row in source_rows(catalog, table)}
    assert set(rows) == set(catalog.sources)
    conala = rows["conala_curated"]
    assert (conala["loader"], conala["pinned"], conala["status"]) == ("hub", True, "loads")
    assert conala["claimed"] == "Inherits CC-BY-SA"
    assert conala["found"].startswith("Tagged MIT")
    assert rows["stack_edu_rust"]["content"] == "row: detected_licenses"
    assert rows["stack_edu_rust"]["loader"] == "hub+swh"
    assert rows["codereviewer_quality"]["pinned"] is False
    assert rows["big_clone_bench"]["refused_by"].startswith("CC-BY-NC-ND")


def test_a_wrong_table_names_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "coverage.yaml"
    path.write_text(
        "sources:\n"
        "  - name: One\n"
        "    contracts: [one]\n"
        "    loader: hub\n"
        "    status: load\n"
        "    tested: a::b\n"
        "    teir: 1\n",
        encoding="utf-8",
    )
    with pytest.raises(ContractProblems) as raised:
        load_coverage(path)
    assert [problem.line for problem in raised.value.problems] == [5, 7]
    assert "did you mean 'loads'" in str(raised.value)
