from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tritter_assets.contracts.parse_source import parse_source
from tritter_assets.contracts.source import GitOrigin, HubOrigin, SdistOrigin
from tritter_assets.contracts.yaml_file import ContractProblems

GOOD = """\
apiVersion: v3.1.0
kind: DataContract
id: tiny
name: Tiny
version: 1.0.0
status: active
description:
  purpose: A package for tests.
team:
  name: data
tags: [code]
schema:
  - name: documents
    quality:
      - {name: has_rows, metric: rowCount, mustBeGreaterThan: 0}
    properties:
      - name: path
        logicalType: string
      - name: content
        logicalType: string
        required: true
        quality:
          - {name: content_known, metric: missingValues, mustBe: 0}
customProperties:
  - property: origin
    value:
      kind: sdist
      package: tiny
      version: 1.0.0
      sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
      exclude: [vendored/**]
  - property: licence
    value: {access_terms: public_index, claimed: MIT, as_of: 2026-11-24}
  - property: tier
    value: 3
  - property: priority
    value: 20
  - property: modality
    value: code
  - property: languages
    value: [python]
  - property: profiles
    value: [starter]
  - property: shards
    value: 2
"""


def write(folder: Path, text: str, name: str = "tiny") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(text)
    return path


def problems_of(path: Path) -> dict[str, tuple[int, str, str]]:
    with pytest.raises(ContractProblems) as caught:
        parse_source(path)
    return {p.field: (p.line, p.message, p.fix) for p in caught.value.problems}


def test_reads_every_part(tmp_path: Path) -> None:
    contract = parse_source(write(tmp_path, GOOD))
    assert contract.title == "Tiny"
    assert contract.owner == "team:data"
    assert contract.shards == ("000", "001")
    assert isinstance(contract.origin, SdistOrigin)
    assert contract.origin.include == ("**",)
    assert contract.origin.exclude == ("vendored/**",)
    assert contract.licence.content == "NOASSERTION"
    assert [(r.name, r.column, r.must_be) for r in contract.quality] == [
        ("has_rows", None, "mustBeGreaterThan"),
        ("content_known", "content", "mustBe"),
    ]
    assert [c.name for c in contract.upstream_schema if c.required] == ["content"]


def test_reports_every_problem_with_line_and_fix(tmp_path: Path) -> None:
    text = (
        GOOD.replace("status: active", "status: activ")
        .replace("kind: sdist", "kind: sdits")
        .replace("access_terms:", "acess_terms:")
        .replace("value: 3", "value: three")
        .replace("[starter]", "[starterr]")
        .replace("  - property: shards", "  - property: shard")
        .replace("metric: rowCount", "metric: rowCuont")
    )
    found = problems_of(write(tmp_path, text))
    assert found["status"][0] == 6
    assert found["origin.kind"] == (27, "is 'sdits'", "did you mean 'sdist'?")
    assert found["licence.acess_terms"][2] == "did you mean 'access_terms'?"
    assert found["tier"][0] == 35
    assert found["profiles"][2] == "did you mean 'starter'?"
    assert found["shards"][1] == "is missing"
    assert found["shard"][2] == "did you mean 'shards'?"
    assert found["schema.0.quality.0.metric"][2] == "did you mean 'rowCount'?"


@pytest.mark.parametrize(
    ("change", "field", "fix"),
    [
        (lambda t: t.replace("id: tiny", "id: Tiny|x"), "id", "id: tiny"),
        (lambda t: t.replace("tags: [code]", "tagz: [code]"), "tagz", "tags"),
        (lambda t: t.replace("0123456789abcdef", "0123ab"), "origin.sha256", "64"),
        (lambda t: t.replace("0123456789abcdef", "123"), "origin.sha256", "quote it"),
        (lambda t: t.replace("  name: data", "  description: us"), "team", "team"),
        (lambda t: t.replace("value: code", "value: codes"), "modality", "code"),
        (lambda t: t.replace("v3.1.0", "v2.0.0"), "apiVersion", "v3.1.0"),
        (lambda t: t.replace("logicalType: string", "logicalType: strnig"),
         "schema.0.properties.0.logicalType", "string"),
        (lambda t: t.replace("mustBe: 0", "mustBe: none"),
         "schema.0.properties.1.quality.0", "one number"),
        (lambda t: t.replace("value: 2\n", "value: 0\n"), "shards", "1"),
        (lambda t: t.replace("tags: [code]", "tags: 3"), "tags", "documentation"),
        (lambda t: t + "bad: [", "file", "syntax"),
        (lambda t: t + "id: tiny\n", "file", "syntax"),
    ],
)  # fmt: skip
def test_problem(tmp_path: Path, change: Callable[[str], str], field: str, fix: str) -> None:
    found = problems_of(write(tmp_path, change(GOOD)))
    assert field in found
    assert fix in found[field][2]


HUB = GOOD.replace(
    """\
      kind: sdist
      package: tiny
      version: 1.0.0
      sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
      exclude: [vendored/**]
""",
    """\
      kind: hub
      repo: acme/tiny
      revision: unpinned
  - property: columns
    value: {content: content, path: path}
""",
)


def test_a_field_of_the_wrong_type_hides_no_other(tmp_path: Path) -> None:
    text = GOOD.replace("tags: [code]", "tags: 3").replace("value: code", "value: codes")
    assert {"tags", "modality"} <= set(problems_of(write(tmp_path, text)))


def test_hub_columns_must_be_upstream_columns(tmp_path: Path) -> None:
    assert isinstance(parse_source(write(tmp_path, HUB)).origin, HubOrigin)
    found = problems_of(write(tmp_path, HUB.replace("path: path", "path: pathh")))
    assert "did you mean 'path'" in found["columns"][2]
    found = problems_of(write(tmp_path, HUB.replace("path: path", "pth: path")))
    assert "did you mean 'path'" in found["columns"][2]
    found = problems_of(write(tmp_path, HUB.replace("unpinned", "main")))
    assert "unpinned" in found["origin.revision"][2]


GIT = GOOD.replace(
    """\
      kind: sdist
      package: tiny
      version: 1.0.0
      sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
      exclude: [vendored/**]
""",
    f"""\
      kind: git
      url: https://github.com/acme/tiny
      commit: {"a" * 40}
""",
)
CLEAN = "  - property: text\n    value: {clean: documentation}\n"


def test_files_may_be_cleaned(tmp_path: Path) -> None:
    plain, clean = (parse_source(write(tmp_path, text)) for text in (GIT, GIT + CLEAN))
    assert (plain.clean, clean.clean) == (None, "documentation")
    assert plain.digest != clean.digest


def test_a_tag_is_a_way_to_the_commit_and_no_identity(tmp_path: Path) -> None:
    tagged = GIT.replace("      commit:", "      tag: v1.0\n      commit:")
    found = parse_source(write(tmp_path, tagged))
    assert isinstance(found.origin, GitOrigin)
    assert found.origin.tag == "v1.0"
    assert found.digest == parse_source(write(tmp_path, GIT)).digest


@pytest.mark.parametrize(
    ("text", "field", "fix"),
    [
        (GIT + CLEAN.replace("documentation", "documentaton"), "text.clean", "documentation"),
        (GIT + CLEAN.replace("clean", "cleaned"), "text.cleaned", "clean"),
        (GOOD + CLEAN, "text.clean", "git repository"),
    ],
)
def test_a_wrong_cleaning_is_told(tmp_path: Path, text: str, field: str, fix: str) -> None:
    assert fix in problems_of(write(tmp_path, text))[field][2]


def test_digest_ignores_prose_and_follows_identity(tmp_path: Path) -> None:
    digest = parse_source(write(tmp_path, GOOD)).digest
    prose = (
        GOOD.replace("A package for tests.", "Other words.")
        .replace("name: data", "name: others")
        .replace("claimed: MIT", "claimed: BSD")
        .replace("value: 20", "value: 21")
        .replace("[starter]", "[cluster]")
    )
    assert parse_source(write(tmp_path, prose)).digest == digest
    for old, new in (("1.0.0\n      sha", "1.0.1\n      sha"), ("vendored", "vendor"),
                     ("value: 2\n", "value: 3\n"), ("[python]", "[rust]"),
                     ("{access_terms", "{content: MIT, access_terms")):  # fmt: skip
        changed = GOOD.replace(old, new)
        assert changed != GOOD
        assert parse_source(write(tmp_path, changed)).digest != digest


def test_rules_on_upstream_columns_check_document_columns(tmp_path: Path) -> None:
    text = HUB.replace("name: content\n", "name: body\n").replace(
        "content: content", "content: body"
    )
    contract = parse_source(write(tmp_path, text))
    assert contract.quality[1].column == "content"
