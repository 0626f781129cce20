from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tritter_assets.dedup.index import ShardInput
from tritter_assets.errors import ContractViolation, MissingProvenance
from tritter_assets.functions.extract import FUNCTION_SCHEMA, code_version, extract_functions
from tritter_assets_tests.functions.filtered_lake import document, fingerprint, lake_of
from tritter_assets_tests.functions.test_outline import PYTHON, RUST

DOCUMENTS = [
    document("a/paths.py", PYTHON.decode(), "Python"),
    document("src/lib.rs", RUST.decode(), "rust", license_concluded="Apache-2.0"),
    document("b.py", "def f(x):\n    return x + 1111\n", "python", shard="001",
             generator="starcoder2", derived_from=["0" * 32]),
    document("README.md", "# f\n", "markdown", modality="text"),
]  # fmt: skip


def test_functions_inherit_and_point_back(tmp_path: Path) -> None:
    lake, inputs = lake_of(tmp_path, DOCUMENTS)
    report = extract_functions(lake, "python", inputs, fingerprint_of_shard=fingerprint)
    assert (report.num_documents, report.num_functions, report.num_documented) == (2, 4, 2)
    rows = lake.scan("functions/python").collect().sort("path", "start_line").to_dicts()
    join, _, _, tainted = rows
    assert join["path"] == "a/paths.py"
    assert join["license_concluded"] == "MIT"
    assert join["license_method"] == "inherited"
    assert join["derived_from"] == [DOCUMENTS[0]["id"]]
    assert json.loads(join["license_evidence"])[0]["where"] == DOCUMENTS[0]["id"]
    assert join["author_emails"] == ["a@example.com"]
    assert tainted["generator"] == "starcoder2"
    assert tainted["derived_from"] == sorted(["0" * 32, DOCUMENTS[2]["id"]])
    lines = DOCUMENTS[0]["content"].split("\n")
    assert "\n".join(lines[join["start_line"] - 1 : join["end_line"]]) == join["content"]
    assert set(FUNCTION_SCHEMA.names) == set(lake.scan("functions/python").collect_schema().names())


def test_fresh_shards_are_left_alone_and_order_does_not_matter(tmp_path: Path) -> None:
    states = []
    for number in range(2):
        documents = DOCUMENTS[:]
        random.Random(number).shuffle(documents)
        lake, inputs = lake_of(tmp_path / str(number), documents)
        extract_functions(lake, "python", inputs[::-1], fingerprint_of_shard=fingerprint)
        states.append([state.data_version for state in lake.states("functions/python")])
        again = extract_functions(lake, "python", inputs, fingerprint_of_shard=fingerprint)
        assert (again.num_fresh, again.num_functions) == (2, 0)
    assert states[0] == states[1]


def test_rows_are_sorted_by_id(tmp_path: Path) -> None:
    lake, inputs = lake_of(tmp_path, DOCUMENTS)
    extract_functions(lake, "rust", inputs, fingerprint_of_shard=fingerprint)
    ids = [i for batch in lake.batches("functions/rust") for i in batch.column("id").to_pylist()]
    assert ids == sorted(ids)
    assert len(ids) == 2


def test_duplicates_give_no_functions(tmp_path: Path) -> None:
    lake, inputs = lake_of(tmp_path, DOCUMENTS)
    report = extract_functions(
        lake, "python", inputs, fingerprint_of_shard=fingerprint,
        dropped=frozenset({DOCUMENTS[0]["id"]}),
    )  # fmt: skip
    assert report.num_functions == 1
    assert report.skipped["duplicate_document"] == 1


def test_refuses_what_it_cannot_prove(tmp_path: Path) -> None:
    lake, _ = lake_of(tmp_path, DOCUMENTS)
    missing = [ShardInput(source="src", shard="777", priority=1)]
    with pytest.raises(MissingProvenance, match="777"):
        extract_functions(lake, "python", missing, fingerprint_of_shard=fingerprint)
    with pytest.raises(ContractViolation, match="cobol"):
        extract_functions(lake, "cobol", [], fingerprint_of_shard=fingerprint)


def test_code_version_is_stable_and_differs_by_language() -> None:
    assert code_version("python") == code_version("python")
    assert code_version("python") != code_version("rust")
