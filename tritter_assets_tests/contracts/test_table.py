from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tritter_assets.contracts.table import TableContract, parse_table
from tritter_assets.contracts.yaml_file import ContractProblems
from tritter_assets.dedup.index import INDEX_SCHEMA
from tritter_assets.dedup.signatures import SIGNATURE_SCHEMA
from tritter_assets.functions.extract import FUNCTION_SCHEMA
from tritter_assets.mixes.build import MIX_SCHEMA
from tritter_assets.packing.sequences import PACKED_SCHEMA
from tritter_assets.record import DOCUMENT_SCHEMA, LicenseMethod, Modality
from tritter_assets.removal import REMOVAL_SCHEMA, RemovalKind
from tritter_assets.verdict import VERDICT_SCHEMA, Action, Reason, Stage

FOLDER = Path(__file__).parents[2] / "data_contracts" / "tables"
SCHEMAS = {
    "document": DOCUMENT_SCHEMA,
    "function": FUNCTION_SCHEMA,
    "verdict": VERDICT_SCHEMA,
    "signature": SIGNATURE_SCHEMA,
    "index": INDEX_SCHEMA,
    "mix": MIX_SCHEMA,
    "packed": PACKED_SCHEMA,
    "removal": REMOVAL_SCHEMA,
}


def load(name: str) -> TableContract:
    return parse_table(FOLDER / f"{name}.yaml")


def test_every_file_has_a_schema() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_promise_and_code_agree(name: str) -> None:
    contract = load(name)
    assert list(contract.differences(SCHEMAS[name])) == []
    assert [column.name for column in contract.columns] == SCHEMAS[name].names
    assert all(column.description for column in contract.columns)


@pytest.mark.parametrize(
    ("table", "rule", "values"),
    [
        ("verdict", "action_known", Action),
        ("verdict", "reason_known", Reason),
        ("verdict", "stage_known", Stage),
        ("index", "reason_known", Reason),
        ("document", "modality_known", Modality),
        ("document", "license_method_known", LicenseMethod),
        ("removal", "kind_known", RemovalKind),
    ],
)
def test_closed_lists_agree(table: str, rule: str, values: type) -> None:
    (found,) = [r for r in load(table).quality if r.name == rule]
    assert set(found.valid_values) == {str(value) for value in values}  # type: ignore[attr-defined]


def test_covers_lake_tables() -> None:
    assert load("document").covers("raw/tiktoken")
    assert load("document").covers("synthetic/mutation_pairs")
    assert not load("document").covers("functions/rust")
    assert load("packed").covers("packed/phase1_base_256")


def test_differences_are_named() -> None:
    schema = pa.schema([pa.field("request", pa.int64()), pa.field("extra", pa.string())])
    found = "\n".join(load("removal").differences(schema))
    for part in ("'extra' is not in", "'value' is promised", "'request' is int64", "may be null"):
        assert part in found


def test_problems_are_collected(tmp_path: Path) -> None:
    text = (FOLDER / "removal.yaml").read_text()
    path = tmp_path / "removal.yaml"
    path.write_text(
        text.replace("applies_to", "aplies_to")
        .replace("logicalType: string", "logicalType: strnig", 1)
        .replace("metric: duplicateValues", "metric: duplicates")
    )
    with pytest.raises(ContractProblems) as caught:
        parse_table(path)
    assert len(caught.value.problems) == 3
    assert all("did you mean" in problem.fix for problem in caught.value.problems)
