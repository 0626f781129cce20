"""Labels nobody here wrote: licence files of installed packages against their own metadata."""

from __future__ import annotations

from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

from tritter_assets.contracts.policy import Policy
from tritter_assets.licensing.expression import leaves, parse
from tritter_assets.licensing.metadata import read_metadata
from tritter_assets.licensing.repo_evidence import RepoEvidence
from tritter_assets.licensing.repository import RepositoryLicences

_NAMES = ("LICEN", "COPYING", "NOTICE")


def _evidence(package: Distribution) -> RepoEvidence:
    files: list[tuple[str, str]] = []
    for file in package.files or ():
        if not (
            file.parts[0].endswith(".dist-info") and any(n in file.name.upper() for n in _NAMES)
        ):
            continue
        path = "/".join(file.parts[1:]).removeprefix("licenses/")
        files.append((path, Path(str(file.locate())).read_text("utf-8", "replace")))
    return RepoEvidence(repo=package.name, license_files=tuple(sorted(files)))


def _label(package: Distribution, policy: Policy) -> str:
    meta = package.metadata
    entries = [("license_expression", v) for v in meta.get_all("License-Expression") or ()]
    entries += [("license", v) for v in meta.get_all("License") or () if v != "UNKNOWN"]
    entries += [("classifier", v) for v in meta.get_all("Classifier") or ()]
    found = read_metadata(entries, policy)
    return found.expression if found else "NOASSERTION"


def _is_open(expression: str, policy: Policy) -> bool:
    return all(policy.category_of(leaf.spdx).lane == "open" for leaf in leaves(parse(expression)))


def test_precision_and_recall_over_permissive_packages(policy: Policy) -> None:
    truth: dict[str, bool] = {}
    found: dict[str, bool] = {}
    for package in distributions():
        evidence, label = _evidence(package), _label(package, policy)
        if not evidence.license_files or label == "NOASSERTION" or package.name == "tritter-assets":
            continue
        files = RepositoryLicences(evidence, policy).folder("module.py").files or "NOASSERTION"
        truth[package.name] = _is_open(label, policy)
        found[package.name] = files != "NOASSERTION" and _is_open(files, policy)
    if len(truth) < 80:
        pytest.skip(f"only {len(truth)} labelled packages are installed")
    wrong = sorted(name for name in truth if found[name] and not truth[name])
    missed = sorted(name for name in truth if truth[name] and not found[name])
    assert wrong == []
    assert len(missed) / sum(truth.values()) < 0.06, missed
