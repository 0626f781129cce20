"""No edit of the policy widens what `strict` admits, unless a person signed for it."""

from __future__ import annotations

import functools
import json
import random
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tritter_assets.contracts.policy import Policy, load_policy
from tritter_assets.contracts.policy_names import SECTIONS
from tritter_assets.contracts.source import LicenceFacts, SdistOrigin, SourceContract
from tritter_assets.contracts.yaml_file import ContractProblems
from tritter_assets.licensing.admit import admit_frame
from tritter_assets.licensing.conclude import Concluder
from tritter_assets.licensing.repo_evidence import RepoEvidence
from tritter_assets.record import Modality
from tritter_assets_tests.contracts.edited_policy import DECISION, FOLDER, TODAY, edited

EDITABLE = ("categories", "obligations", "generators", "access_terms", "use_profiles", "aliases")
NAMES = {
    section: sorted(map(str, yaml.safe_load((FOLDER / "aliases.yaml").read_text())[section]))
    for section in SECTIONS
}
SAID = (
    *("proprietary", "all rights reserved", "commercial", "gplv3", "gnu gpl v3", "bsd", "apache"),
    *("see LICENSE", "our own terms", "GPL-3.0-only", "MPL-2.0", "CC-BY-4.0", "MIT", "JSON", "mit"),
    *("LicenseRef-Proprietary", "NONE", "any-OSI", "3D-Slicer-1.0", "the mit license", "expat"),
    *(
        "GPL-2.0-only OR MIT",
        "MIT OR our own terms",
        "MIT AND GPL-3.0-only",
        "apache 2.0",
        "MIT, proprietary",
        "mit/our own terms",
    ),
)
MIT_HEADER = "# SPDX-License-Identifier: MIT\nx = 1\n"
BARE = "x = 1\n"


@functools.cache
def _world() -> tuple[pl.DataFrame, dict[str, RepoEvidence]]:
    """Documents that say every sort of thing in every way, and what their repositories say."""
    rows: list[tuple[str, str | None, str]] = []
    repositories: dict[str, RepoEvidence] = {}

    def add(declared: str | None, content: str, **evidence: Any) -> None:
        repo = f"r{len(rows):04d}"
        rows.append((repo, declared, content))
        if evidence:
            repositories[repo] = RepoEvidence(repo=repo, **evidence)

    for name in (*SAID, *NAMES["hub_tags"], *NAMES["free_text"]):
        add(name, BARE)
        add(None, BARE, metadata=(("license", name),))
    for name in SAID:
        add(name, MIT_HEADER)
        add("MIT", BARE, metadata=(("license_expression", name),))
        add(None, MIT_HEADER, metadata=(("license", name),))
        add("Apache-2.0", BARE, metadata=(("license", name),))
        add(None, BARE, metadata=(("license", "MIT"), ("classifier", f"License :: {name}")))
    for name in (*SAID, *NAMES["classifiers"], *NAMES["dep5"]):
        add(None, BARE, metadata=(("classifier", f"License :: OSI Approved :: {name}"),))
    for name in (*SAID, *NAMES["dep5"], *NAMES["classifiers"]):
        stanza = f"\n\nFiles: *\nCopyright: 2024 A\nLicense: {name}\n"
        form = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
        add(None, BARE, dep5=form + stanza)
    frame = pl.DataFrame(rows, schema=["repo", "license_declared", "content"], orient="row")
    return frame.with_columns(id=pl.col("repo"), path=pl.lit("a.py")), repositories


def _source(**licence: str) -> SourceContract:
    return SourceContract(
        id="s", title="s", description="s", owner="team:tests", tier=1, priority=10,
        modality=Modality.CODE, languages=("Python",), profiles=("starter",),
        origin=SdistOrigin(package="s", version="1", sha256="ab" * 32), columns={},
        licence=LicenceFacts(as_of=date(2026, 11, 1), **licence), num_shards=1,
    )  # fmt: skip


AROUND: tuple[dict[str, str], ...] = (
    {"wrapper": "NOASSERTION", "access_terms": "public_index", "generator": "human"},
    {"wrapper": "our own terms", "access_terms": "none", "generator": "rule_based"},
    {"wrapper": "CC-BY-4.0", "access_terms": "none", "generator": "human"},
    {"wrapper": "MIT", "access_terms": "stack_v2_terms", "generator": "human"},
    {"wrapper": "MIT", "access_terms": "unknown", "generator": "human"},
    {"wrapper": "MIT", "access_terms": "none", "generator": "starcoder2"},
    {"wrapper": "MIT", "access_terms": "none", "generator": "gpt_4"},
    {"wrapper": "MIT", "access_terms": "none", "generator": "undisclosed"},
    {"wrapper": "MIT", "access_terms": "none", "generator": "human", "content": "MIT"},
)


def admitted(policy: Policy, use_profile: str = "strict") -> set[tuple[int, str]]:
    """Concludes and judges every document of every source: those that may train."""
    frame, evidence = _world()
    found: set[tuple[int, str]] = set()
    for number, licence in enumerate(AROUND):
        # The documents are the same each time; the facts around them need only some of them.
        rows = frame if number == 0 else frame[:: 7 + number]
        concluded = Concluder(policy, _source(**licence), evidence).conclude(rows)
        judged = admit_frame(concluded, policy, use_profile).filter(pl.col("action") == "keep")
        found |= {(number, row) for row in judged["id"]}
    return found


@functools.cache
def _before() -> frozenset[tuple[int, str]]:
    return frozenset(admitted(load_policy(FOLDER, today=TODAY)))


Atom = tuple[str, Any]
"""(file, what to do): data, so that a failing edit can be read."""


def _apply(data: Any, edit: Any) -> None:
    what, *rest = edit
    if what == "name":
        section, name, target = rest
        data[section][name] = target
    elif what == "unname":
        section, name = rest
        data[section].pop(name, None)
    elif what == "move":
        spdx, category = rest
        for entry in data["categories"].values():
            if spdx in entry["licenses"]:
                entry["licenses"].remove(spdx)
        data["categories"][category]["licenses"].append(spdx)
    elif what == "set":
        *path, key, value = rest
        for step in path:
            data = data[step]
        data[key] = value
    elif what == "extend":
        *path, value = rest
        for step in path:
            data = data[step]
        data.append(value)
    elif what == "anything":
        _scramble(data, random.Random(rest[0]))


def _scramble(data: Any, chance: random.Random) -> None:
    """Changes one place, anywhere in the file, to something found elsewhere in it."""
    places = list(_places(data))
    holder, key = chance.choice(places)
    other, name = chance.choice(places)
    what = chance.choice(["replace", "remove", "rename", "false", "zero"])
    if what == "remove":
        holder.pop(key)
    elif what == "rename" and isinstance(holder, dict):
        holder[str(name)] = holder.pop(key)
    else:
        copy = json.loads(json.dumps(other[name], default=str))
        holder[key] = {"false": False, "zero": 0}.get(what, copy)


def _places(data: Any) -> list[tuple[Any, Any]]:
    keys = list(data) if isinstance(data, dict) else range(len(data))
    found = [(data, key) for key in keys]
    for key in keys:
        if isinstance(data[key], dict | list):
            found += _places(data[key])
    return found


_TARGETS = st.sampled_from(
    ["MIT", "Apache-2.0", "mit", "MIT OR GPL-3.0-only", "BSD-3-Clause AND MIT", "CC0-1.0", "MIT-0",
     "BSD-2-Clause-FreeBSD", "Apache-2.0 WITH LLVM-exception", "CC-BY-4.0", "NOASSERTION"]
)  # fmt: skip
_ANY_NAME = st.sampled_from([*SAID, *(name for names in NAMES.values() for name in names)])
_IDS = st.sampled_from(
    ["CC-BY-4.0", "C-UDA-1.0", "JSON", "CC-BY-SA-4.0", "GPL-3.0-only", "MPL-2.0", "3D-Slicer-1.0",
     "LicenseRef-Proprietary", "NOASSERTION", "NONE", "any-OSI"]
)  # fmt: skip
_CATEGORIES = st.sampled_from(
    ["permissive", "public_domain", "open_data", "share_alike", "weak_copyleft", "unreviewed"]
)
_STRICT = ("use_profiles", "strict")
ATOMS: st.SearchStrategy[Atom] = st.one_of(
    st.tuples(
        st.just("aliases"),
        st.one_of(
            st.tuples(st.just("name"), st.sampled_from(SECTIONS), _ANY_NAME, _TARGETS),
            st.tuples(st.just("unname"), st.sampled_from(SECTIONS), _ANY_NAME),
        ),
    ),
    st.tuples(
        st.just("categories"),
        st.one_of(
            st.tuples(st.just("move"), _IDS, _CATEGORIES),
            st.tuples(
                st.just("set"), st.just("categories"), _CATEGORIES, st.just("lane"),
                st.sampled_from(["open", "share_alike", "closed"]),
            ),
            st.tuples(
                st.just("set"), st.just("fallback"), st.sampled_from(["Copyleft", "Permissive"]),
                _CATEGORIES,
            ),
        ),
    ),
    st.tuples(
        st.just("generators"),
        st.one_of(
            st.tuples(
                st.just("set"), st.just("generators"),
                st.sampled_from(["gpt_4", "starcoder2", "undisclosed", "human"]),
                st.just({"class": "human", "title": "x"}),
            ),
            st.tuples(
                st.just("set"), st.just("classes"), st.sampled_from(["closed_api", "human"]),
                st.just("rank"), st.integers(0, 9),
            ),
        ),
    ),
    st.tuples(
        st.just("access_terms"),
        st.tuples(
            st.just("set"), st.just("access_terms"),
            st.sampled_from(["stack_v2_terms", "hub_gate", "unknown"]),
            st.just("needs_acceptance"), st.just(False),
        ),
    ),
    st.tuples(
        st.just("use_profiles"),
        st.one_of(
            st.tuples(
                st.just("extend"), *map(st.just, _STRICT), st.just("admit_generator_classes"),
                st.sampled_from(["open_rail", "closed_api", "undisclosed"]),
            ),
            st.tuples(
                st.just("extend"), *map(st.just, _STRICT), st.just("admit_methods"),
                st.sampled_from(["wrapper", "none"]),
            ),
            st.tuples(
                st.just("extend"), *map(st.just, _STRICT), st.just("admit_categories"), _CATEGORIES
            ),
            st.tuples(
                st.just("set"), *map(st.just, _STRICT), st.just("min_confidence"), st.floats(0, 1)
            ),
            st.tuples(
                st.just("set"), *map(st.just, _STRICT), st.just("unknown_wrapper"),
                st.sampled_from(["warn", "quarantine"]),
            ),
        ),
    ),
    st.tuples(
        st.sampled_from(EDITABLE), st.tuples(st.just("anything"), st.integers(0, 1 << 30))
    ),
)  # fmt: skip

UNSIGNED: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.sampled_from(
        [
            {"subject": "CC-BY-4.0", "use_profiles": ["strict"], "expires": date(2026, 11, 23)},
            {"subject": "CC-BY-4.0", "use_profiles": ["strict"], "when": date(2026, 11, 25)},
            {"subject": "GPL-3.0-only", "use_profiles": ["strict"], "who": None},
            {"subject": "GPL-3.0-only", "use_profiles": ["brief"]},
            {"kind": "admit_generator", "subject": "starcoder2"},
            {"kind": "accept_access", "subject": "stack_v2_terms", "use_profiles": ["research"]},
        ]
    )
)
COUNTS = {"loaded": 0, "refused": 0}


def _edit_files(folder: Path, atoms: list[Atom], decision: dict[str, Any] | None) -> None:
    for name in {name for name, _ in atoms}:
        path = folder / f"{name}.yaml"
        data = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
        for file, edit in atoms:
            if file == name:
                try:
                    _apply(data, edit)
                except (KeyError, AttributeError, TypeError, IndexError):
                    continue  # an edit before took its place away
        path.write_text(json.dumps(data, default=str), "utf-8")  # JSON is YAML, and faster to write
    if decision is not None:
        text = yaml.safe_dump({"decisions": [DECISION | decision]})
        (folder / "decisions.yaml").write_text(text, "utf-8")


@settings(max_examples=50, deadline=None)
@given(atoms=st.lists(ATOMS, min_size=1, max_size=4), decision=st.none() | UNSIGNED)
@example(atoms=[("aliases", ("name", "free_text", "proprietary", "MIT"))], decision=None)
@example(atoms=[("aliases", ("name", "free_text", "our own terms", "MIT"))], decision=None)
@example(atoms=[("aliases", ("name", "free_text", "our own terms", "mit"))], decision=None)
@example(atoms=[("aliases", ("name", "classifiers", "expat", "MIT"))], decision=None)
@example(atoms=[("aliases", ("name", "hub_tags", "bsd", "BSD-3-Clause"))], decision=None)
@example(
    atoms=[("aliases", ("name", "hub_tags", "our own terms", "GPL-3.0-only"))],
    decision={"subject": "GPL-3.0-only", "use_profiles": ["brief"]},
)
@example(atoms=[("aliases", ("unname", "free_text", "proprietary"))], decision=None)
@example(atoms=[("aliases", ("unname", "free_text", "apache 2.0"))], decision=None)
@example(atoms=[("aliases", ("name", "free_text", "our own terms", "CC-BY-4.0"))], decision=None)
@example(
    atoms=[("aliases", ("name", "free_text", "mit and gpl-3.0-only", "NOASSERTION"))],
    decision=None,
)
@example(atoms=[("categories", ("move", "GPL-3.0-only", "share_alike"))], decision=None)
@example(
    atoms=[("categories", ("set", "categories", "copyleft", "lane", "share_alike"))], decision=None
)
def test_no_edit_of_the_policy_widens_strict(
    tmp_path_factory: pytest.TempPathFactory, atoms: list[Atom], decision: dict[str, Any] | None
) -> None:
    folder = edited(tmp_path_factory.getbasetemp() / "edits")
    _edit_files(folder, atoms, decision)
    try:
        policy = load_policy(folder, today=TODAY)
    except ContractProblems:
        COUNTS["refused"] += 1
        return
    COUNTS["loaded"] += 1
    assert admitted(policy) <= _before()


def test_the_property_looked_at_policies_that_load() -> None:
    """Runs after it: most edits are valid YAML with a meaning, not noise that never loads."""
    assert COUNTS["loaded"] > COUNTS["refused"]


@pytest.mark.parametrize("section", SECTIONS)
def test_a_name_widens_strict_only_when_it_is_signed(tmp_path: Path, section: str) -> None:
    folder = edited(tmp_path)
    _edit_files(folder, [("aliases", ("name", section, "our own terms", "MIT"))], None)
    policy = load_policy(folder, today=TODAY)
    (problem,) = policy.problems
    assert problem.field == f"{section}.our own terms"
    assert "it means NOASSERTION" in problem.message
    subject = f"{section}: our own terms = MIT"
    assert repr(subject) in problem.fix
    assert admitted(policy) == _before()

    signed = {"kind": "admit_name", "subject": subject, "use_profiles": ["strict", "brief"]}
    _edit_files(folder, [], signed)
    policy = load_policy(folder, today=TODAY)
    assert policy.problems == ()
    # A word that is read where nothing was can also start a dispute, so this is no superset.
    assert admitted(policy) - _before()
    expired = load_policy(folder, today=date(2028, 1, 1))
    assert admitted(expired) == _before()
    assert expired.conclusion_digest == load_policy(FOLDER, today=TODAY).conclusion_digest


def test_a_reviewed_name_cannot_be_taken_out_or_renamed(tmp_path: Path) -> None:
    """With `gplv3` unread, nothing would dispute the MIT that another part of a package claims."""
    folder = edited(tmp_path)
    _edit_files(
        folder,
        [
            ("aliases", ("unname", "free_text", "gplv3")),
            ("aliases", ("name", "free_text", "gplv2", "GPL-2.0-or-later")),
        ],
        None,
    )
    policy = load_policy(folder, today=TODAY)
    assert policy.aliases["gplv3"] == "GPL-3.0-only"
    assert policy.aliases["gplv2"] == "GPL-2.0-only"
    assert {problem.field for problem in policy.problems} == {"free_text", "free_text.gplv2"}
    assert admitted(policy) == _before()


def test_an_alias_cannot_rename_what_sounds_closed(tmp_path: Path) -> None:
    folder = edited(tmp_path)
    _edit_files(folder, [("aliases", ("name", "free_text", "gplv3", "MIT"))], None)
    with pytest.raises(ContractProblems, match="sounds closed"):
        load_policy(folder, today=TODAY)


def test_an_alias_must_lead_to_an_spdx_id(tmp_path: Path) -> None:
    folder = edited(tmp_path)
    _edit_files(folder, [("aliases", ("name", "free_text", "expat", "mit"))], None)
    with pytest.raises(ContractProblems, match="'mit' is not an SPDX id"):
        load_policy(folder, today=TODAY)
