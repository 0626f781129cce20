from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tritter_assets.functions.extract import extract_functions
from tritter_assets.lake import Lake
from tritter_assets.packing.render import render
from tritter_assets.record import DOCUMENT_SCHEMA
from tritter_assets.synthetic.registry import GENERATORS
from tritter_assets_tests.functions.filtered_lake import document, fingerprint, lake_of

PYTHON = '''class Shape:
    """A shape."""

    def __init__(self, sides):
        self.sides = sides
        self.check()

    def check(self):
        """Raises when the shape has fewer than three sides, which no polygon can have."""
        if self.sides < 3:
            raise ValueError(count(self.sides))
        return True


def count(n):
    """Spells the number of sides as a text that a person can read.

    Args:
        n: A number.
    """
    total = n + 1
    return str(total)
'''
RUST = """/// Adds two numbers and wraps around when the sum does not fit into a byte.
pub fn add(a: u8, b: u8) -> u8 {
    let sum = a.wrapping_add(b);
    if sum < 3 { helper(sum) } else { sum }
}

fn helper(x: u8) -> u8 {
    let y = x + 1;
    add(y, 1)
}
"""
STYLED = '''def merge(parts: list[str], limit: int) -> str:
    """Joins the longest parts of a text until the limit on characters is reached.

    Args:
        parts: Pieces of a text.
        limit: In characters.
    """
    # The longest first.
    chosen_parts = sorted(parts, key=len, reverse=True)
    joined_text = " ".join(chosen_parts)
    settings = yaml.safe_load(joined_text)
    return joined_text[:limit]
'''
GUIDE = """# Guide

## How parts are merged

The longest part comes first, then the others in order of length. Parts that do not fit are left
out. The result is never longer than the limit, and it may be empty when nothing fits into it at
all. Whoever wants all parts must leave the limit out.
"""
FIX = {
    "modality": "instruction",
    "instruction": "Fix crash on empty shapes",
    "response": PYTHON,
    "rejected": PYTHON.replace("    total = n + 1\n", "    total = n\n"),
}
DOCUMENTS = [
    document("shape.py", PYTHON, "python"),
    document("lib.rs", RUST, "rust", license_concluded="MIT OR Apache-2.0"),
    document("tainted.py", PYTHON.replace("Shape", "Figure"), "python", shard="001",
             generator="starcoder2", derived_from=["f" * 32]),
    *(
        document(f"{name}_{generator}", content, language, generator=generator, **columns)
        for generator in ("human", "starcoder2")
        for name, content, language, columns in (
            ("styled.py", STYLED, "python", {}),
            ("guide.md", GUIDE, "markdown", {"modality": "text"}),
            ("fix.py", f"Fix\n\n{PYTHON}", "python", FIX),
        )
    ),
]  # fmt: skip


def generate(root: Path, name: str, documents: list[dict[str, Any]]) -> tuple[Lake, list[Any]]:
    lake, inputs = lake_of(root, documents)
    for language in ("python", "rust"):
        extract_functions(lake, language, inputs, fingerprint_of_shard=fingerprint)
    generator = GENERATORS[name]
    report = generator.generate(lake, inputs, fingerprint_of_shard=fingerprint)
    rows = lake.scan(f"synthetic/{name}").collect().sort("id").to_dicts()
    assert report.num_rows == len(rows) > 0
    again = generator.generate(lake, inputs, fingerprint_of_shard=fingerprint)
    assert again.num_fresh == len(inputs)
    return lake, rows


@pytest.mark.parametrize("name", GENERATORS)
def test_rows_inherit_licence_and_taint(tmp_path: Path, name: str) -> None:
    lake, rows = generate(tmp_path, name, DOCUMENTS)
    parents = {row["id"]: row for row in DOCUMENTS}
    assert set(lake.scan(f"synthetic/{name}").collect_schema().names()) == set(
        DOCUMENT_SCHEMA.names
    )
    for row in rows:
        (origin,) = set(row["derived_from"]) & set(parents)
        parent = parents[origin]
        assert row["license_concluded"] == parent["license_concluded"]
        assert row["license_method"] == "inherited"
        assert row["owner"] == "acme"
        expected = "rule_based" if parent["generator"] == "human" else parent["generator"]
        assert row["generator"] == expected
        assert set(parent["derived_from"] or ()) <= set(row["derived_from"])
        assert row["instruction"] in row["content"]
    assert {row["generator"] for row in rows} >= {"starcoder2", "rule_based"}


@pytest.mark.parametrize("name", GENERATORS)
def test_same_rows_in_any_order(tmp_path: Path, name: str) -> None:
    versions = []
    for seed in range(2):
        documents = DOCUMENTS[:]
        random.Random(seed).shuffle(documents)
        lake, _ = generate(tmp_path / str(seed), name, documents)
        versions.append([state.data_version for state in lake.states(f"synthetic/{name}")])
    assert versions[0] == versions[1]


PAIRS = ("mutation_pairs", "style_pairs", "safety_pairs", "commit_pairs", "docs_pairs")


@pytest.mark.parametrize("name", PAIRS)
def test_pairs_are_rows_that_preference_training_takes(tmp_path: Path, name: str) -> None:
    _, rows = generate(tmp_path, name, DOCUMENTS)
    for row in rows:
        assert row["modality"] == "preference"
        assert row["chosen"] != row["rejected"]
        assert row["content"] == f"{row['instruction']}\n\n{row['chosen']}"
        parts = [render(row, answer=answer) for answer in ("chosen", "rejected")]
        assert parts[0][:3] == parts[1][:3]
        inherited = json.loads(row["license_evidence"])[0]
        assert inherited["where"] in row["derived_from"]
        assert inherited["value"] == row["license_concluded"] == "MIT" or row["path"] == "lib.rs"


@pytest.mark.parametrize("name", PAIRS)
def test_a_pair_goes_with_its_parent(tmp_path: Path, name: str) -> None:
    _, rows = generate(tmp_path / "all", name, DOCUMENTS)
    gone = next(row["id"] for row in DOCUMENTS if row["id"] in rows[0]["derived_from"])
    kept = [row for row in DOCUMENTS if row["id"] != gone]
    _, after = generate(tmp_path / "less", name, kept)
    assert after == [row for row in rows if gone not in row["derived_from"]]


def test_docstring_instruct_asks_for_what_the_author_wrote(tmp_path: Path) -> None:
    _, rows = generate(tmp_path, "docstring_instruct", DOCUMENTS[:2])
    assert len(rows) == 3
    count = next(row for row in rows if "`count`" in row["instruction"])
    assert "Spells the number of sides" in count["instruction"]
    assert "Args" not in count["instruction"]
    assert count["response"].startswith("```python\ndef count(n):")
    assert count["modality"] == "instruction"


def test_mutation_pairs_differ_by_one_named_fault(tmp_path: Path) -> None:
    _, rows = generate(tmp_path, "mutation_pairs", DOCUMENTS)
    for row in rows:
        fault = json.loads(row["license_evidence"])[1]
        assert fault["method"] == "mutation"
        assert row["chosen"] != row["rejected"]
        assert row["chosen"] in row["content"]
        before = fault["where"].split(": ", 1)[1].split(" -> ")[0]
        assert before.split("...")[0].split()[0] in row["chosen"]


def test_class_diagram(tmp_path: Path) -> None:
    _, rows = generate(tmp_path, "class_diagram", DOCUMENTS[:1])
    assert rows[0]["response"] == (
        "```mermaid\nclassDiagram\n    class Shape {\n        +sides\n        +__init__(sides)\n"
        "        +check()\n    }\n```"
    )


def test_call_graph(tmp_path: Path) -> None:
    _, rows = generate(tmp_path, "call_graph", DOCUMENTS[:2])
    answers = {row["path"]: row["response"] for row in rows}
    assert answers["shape.py"] == "Shape.__init__ -> Shape.check\nShape.check -> count"
    assert answers["lib.rs"] == "add -> helper\nhelper -> add"


@pytest.mark.parametrize("name", GENERATORS)
def test_registry_is_complete(name: str) -> None:
    generator = GENERATORS[name]
    assert generator.name == name
    assert generator.code_version() == generator.code_version()
    assert generator.inputs
