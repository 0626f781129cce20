"""Pins a source to what upstream has now, and writes down what upstream said of it.

| origin | what is pinned | what is written down |
|---|---|---|
| hub | the newest commit of a branch, or another ref | licence tag, gate, README hash, columns |
| sdist | the newest release not withdrawn, and its hash | licence of its metadata |
| git | the commit that HEAD, a branch or a tag names | - |
| http | the SHA-256 of a download made now | - |

A pin that would change the licence tag, the gate, a mapped column or the bytes of a file that was
pinned before is refused until a person accepts it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.edit_source import edited_text, write_edited
from tritter_assets.contracts.fields import did_you_mean
from tritter_assets.contracts.parse_source import UNPINNED
from tritter_assets.contracts.source import (
    NOTHING,
    FileOrigin,
    GitOrigin,
    HttpOrigin,
    HubOrigin,
    SdistOrigin,
    SourceContract,
    UpstreamClaim,
)
from tritter_assets.errors import ContractViolation, TritterError, UpstreamUnavailable
from tritter_assets.lake import Lake
from tritter_assets.sources.drift import Level, assess
from tritter_assets.sources.loader import LoaderContext
from tritter_assets.sources.upstream import (
    MAIN,
    Observation,
    UpstreamFacts,
    pinned_revision,
    read_observations,
)
from tritter_assets.sources.upstream_columns import NO_VALUE


class PinStatus(StrEnum):
    """What became of a pin."""

    CURRENT = "current"
    AVAILABLE = "available"
    """Upstream has something else than what is pinned; nothing was written."""
    WRITTEN = "written"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pin:
    """What upstream says of one source now, and what was done about it."""

    source: str
    status: PinStatus
    pinned: str
    upstream: str = ""
    license_tag: str = ""
    gate: str = ""
    readme_sha256: str = ""
    differences: tuple[str, ...] = ()
    """One line per field that is not what the contract says."""
    message: str = ""
    diff: str = ""
    """Unified diff of the contract, written or not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Request:
    """What every pin of one call is given."""

    catalog: Catalog
    lake: Lake
    context: LoaderContext
    now: datetime
    ref: str | None
    write: bool
    accept: bool


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A pin before anybody judged it."""

    revision: str
    origin: dict[str, str]
    facts: UpstreamFacts
    problems: tuple[str, ...] = ()
    """What a person must accept."""
    notes: tuple[str, ...] = ()
    says_more: bool = True
    """Whether the facts say anything that the pin itself does not."""


def pin_sources(
    catalog: Catalog,
    lake: Lake,
    names: Sequence[str],
    *,
    cache: Path,
    ref: str | None = None,
    write: bool = False,
    accept: bool = False,
    now: datetime | None = None,
) -> list[Pin]:
    """Asks upstream, compares with the contract, and with `write` pins.

    Args:
        catalog: The contracts.
        lake: For what was observed before; it is not written.
        names: Sources; none means the Hub's of the profile, and all that pin nothing yet.
        cache: Folder of downloads and listings.
        ref: Branch, tag or commit instead of the newest.
        write: Edit the contracts in place.
        accept: Write although the licence tag, gate, a mapped column or pinned bytes changed.
        now: Date of the observation.

    Raises:
        ContractViolation: a name is no source.
    """
    request = _Request(
        catalog=catalog,
        lake=lake,
        context=LoaderContext(cache=cache, project_root=catalog.root.parent),
        now=now or datetime.now(UTC),
        ref=ref,
        write=write,
        accept=accept,
    )
    return [_pin(contract, request) for contract in _chosen(catalog, names)]


def _chosen(catalog: Catalog, names: Sequence[str]) -> list[SourceContract]:
    for name in names:
        if name not in catalog.sources:
            wrong = catalog.problems.get(name)
            if wrong:
                raise ContractViolation("\n".join(str(problem) for problem in wrong))
            raise ContractViolation(
                f"{name!r} is no source: {did_you_mean(name, catalog.sources.keys())}"
            )
    if names:
        return [catalog.sources[name] for name in dict.fromkeys(names)]
    return [
        contract
        for contract in catalog.active_sources()
        if isinstance(contract.origin, HubOrigin)
        or (pinned_revision(contract) == UNPINNED and not isinstance(contract.origin, FileOrigin))
    ]


def _pin(contract: SourceContract, request: _Request) -> Pin:
    pinned = pinned_revision(contract)
    try:
        wanted = _ASK[contract.origin.kind](contract, request)
        claim = _claim(wanted.facts, request.now) if wanted.says_more else None
        text = edited_text(contract.file, wanted.origin, claim)
        before = contract.file.read_text(encoding="utf-8")
        found = Pin(
            source=contract.id,
            status=PinStatus.AVAILABLE,
            pinned=pinned,
            upstream=wanted.revision,
            license_tag=wanted.facts.license_tag,
            gate=wanted.facts.gate,
            readme_sha256=wanted.facts.readme_sha256,
            differences=(*wanted.problems, *wanted.notes),
            diff=_diff(contract.file, before, text),
        )
        if pinned == wanted.revision and _says_the_same(contract, claim):
            return replace(found, status=PinStatus.CURRENT, diff="")
        if wanted.problems and not request.accept:
            message = "look at upstream and the terms; --accept pins it all the same"
            return replace(found, status=PinStatus.REFUSED, message=message)
        if not request.write:
            return replace(found, message="--write pins it")
        write_edited(contract, text)
        return replace(found, status=PinStatus.WRITTEN)
    except TritterError as error:
        return Pin(source=contract.id, status=PinStatus.FAILED, pinned=pinned, message=str(error))


def _says_the_same(contract: SourceContract, claim: UpstreamClaim | None) -> bool:
    if claim is None:
        return True
    return contract.upstream is not None and replace(contract.upstream, as_of=None) == replace(
        claim, as_of=None
    )


def _claim(facts: UpstreamFacts, now: datetime) -> UpstreamClaim | None:
    if not facts.license_tag:
        return None
    return UpstreamClaim(
        licence_tag=facts.license_tag,
        gated=facts.gate,
        readme_sha256="" if facts.readme_sha256 == NOTHING else facts.readme_sha256,
        columns={name: kind for name, kind in facts.columns.items() if kind != NO_VALUE},
        as_of=now.date(),
    )


def _diff(path: Path, before: str, after: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), path.name, path.name, lineterm="", n=1
    )
    return "\n".join(lines)


def stopped(pins: Sequence[Pin]) -> bool:
    """Whether a pin was refused or could not be made."""
    return any(pin.status in (PinStatus.REFUSED, PinStatus.FAILED) for pin in pins)


# -- one question per kind of origin -------------------------------------------------------------


def _ask_hub(contract: SourceContract, request: _Request) -> _Wanted:
    from tritter_assets.sources.upstream_hub import look_at_hub_now

    facts = look_at_hub_now(contract, request.context, None, request.ref)
    seen = Observation(MAIN, request.now.strftime("%Y-%m-%dT%H:%M:%SZ"), facts)
    earlier = [o for o in read_observations(request.lake, contract.id) if o.observer != MAIN]
    found = assess(
        contract, [*earlier, seen], request.catalog.policy, request.catalog.profile.use_profile
    )
    # The pin itself settles which revision the shards are read at.
    told = [d for d in found.drifts if d.field not in ("pin", "shards", "newer revision")]
    lines = {
        d: f"{d.level}: {d.field}: {d.baseline or '-'} -> {d.today or d.used}: {d.note}"
        for d in told
    }
    return _Wanted(
        facts.revision,
        {"revision": facts.revision},
        facts,
        tuple(line for d, line in lines.items() if d.level is Level.ERROR),
        tuple(line for d, line in lines.items() if d.level is not Level.ERROR),
    )


def _ask_sdist(contract: SourceContract, request: _Request) -> _Wanted:
    from tritter_assets.sources.package_index import configured_index, project_files
    from tritter_assets.sources.sdist import releases
    from tritter_assets.sources.upstream_observe import sdist_facts

    origin = contract.origin
    assert isinstance(origin, SdistOrigin)
    listed = releases(origin.package, project_files(configured_index(), origin.package))
    live = [version for version, file in listed.items() if file.yanked is None]
    version = request.ref or (live[-1] if live else "")
    file = listed.get(version)
    if file is None or not file.sha256:
        raise UpstreamUnavailable(
            f"sdist {origin.package}: the index lists no source archive of version "
            f"{version or '-'} with a SHA-256; it has {', '.join(live[-5:]) or 'none'}"
        )
    before = sdist_facts(origin, request.context)
    facts = sdist_facts(replace(origin, version=version, sha256=file.sha256), request.context)
    was = contract.upstream.licence_tag if contract.upstream else before.license_tag
    problems = []
    if facts.license_tag != was:
        problems.append(f"error: licence: {was} -> {facts.license_tag}")
    if version == origin.version and file.sha256.lower() != origin.sha256:
        problems.append(f"error: the index has other bytes of {version}: {file.sha256}")
    fields = {"version": version, "sha256": file.sha256.lower()}
    moves = version != origin.version or bool(problems)
    return _Wanted(version, fields, replace(facts, gate=""), tuple(problems), says_more=moves)


def _ask_git(contract: SourceContract, request: _Request) -> _Wanted:
    from tritter_assets.sources.git import remote_refs

    origin = contract.origin
    assert isinstance(origin, GitOrigin)
    refs = remote_refs(origin)
    name = request.ref or origin.tag or "HEAD"
    if name not in refs:
        raise UpstreamUnavailable(
            f"git {origin.url}: no branch or tag {name!r}: {did_you_mean(name, refs)}"
        )
    commit = refs[name]
    problems = ()
    if name == origin.tag and commit != origin.commit:
        problems = (f"error: the tag {name} moved: {origin.commit} -> {commit}",)
    fields = {"commit": commit} | ({"tag": name} if origin.tag is not None else {})
    note = "info: git states no licence; every file is judged by what the commit holds"
    return _Wanted(commit, fields, UpstreamFacts(revision=commit), problems, (note,))


def _ask_http(contract: SourceContract, request: _Request) -> _Wanted:
    from tritter_assets.sources.http import HttpLoader

    origin = contract.origin
    assert isinstance(origin, HttpOrigin)
    sha256 = HttpLoader().fetch_unpinned(origin, request.context)
    problems = ()
    if origin.sha256 not in (UNPINNED, sha256):
        problems = (f"error: {origin.url} gives other bytes: {origin.sha256} -> {sha256}",)
    return _Wanted(sha256, {"sha256": sha256}, UpstreamFacts(revision=sha256), problems)


def _ask_nothing(contract: SourceContract, request: _Request) -> _Wanted:
    ways = {
        "crate": "its crates are pinned one by one: `make pin-crates CRATES=...` makes the entries",
        "file": "a local file has no upstream: its digest is taken whenever it is read",
    }
    del request
    why = ways.get(contract.origin.kind, f"origins of kind {contract.origin.kind} have no pin")
    raise ContractViolation(f"source {contract.id}: {why}")


_ASK: dict[str, Callable[[SourceContract, _Request], _Wanted]] = {
    "hub": _ask_hub,
    "sdist": _ask_sdist,
    "git": _ask_git,
    "http": _ask_http,
    "crate": _ask_nothing,
    "file": _ask_nothing,
}
