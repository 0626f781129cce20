"""Looks at upstream as it is today, one function per kind of origin.

What is pinned by a hash (archives, crates, files, git commits) cannot change under the contract.
What can: whether upstream still has it, has withdrawn it, or has something newer.
"""

from __future__ import annotations

from dataclasses import replace

from tritter_assets.contracts.crate_origin import CrateOrigin
from tritter_assets.contracts.source import (
    NOTHING,
    GitOrigin,
    HttpOrigin,
    HubOrigin,
    SdistOrigin,
    SourceContract,
)
from tritter_assets.sources.download import RetryPolicy, get_response
from tritter_assets.sources.http import WAY_OUT
from tritter_assets.sources.loader import LoaderContext
from tritter_assets.sources.upstream import (
    CHANGED,
    REVISION_GONE,
    YANKED,
    Observation,
    UpstreamFacts,
    pinned_revision,
)
from tritter_assets.sources.upstream_crates import look_at_crates
from tritter_assets.sources.upstream_hub import look_at_hub_now

_PATIENCE = RetryPolicy(attempts=3)
"""A look that fails tonight is made again tomorrow; offline, sixty of them must end soon."""


def look(
    contract: SourceContract, context: LoaderContext, *, used: Observation | None
) -> UpstreamFacts:
    """Returns the facts of upstream as it is today.

    Args:
        contract: The source, at the revision the lake keeps.
        context: For caches.
        used: What the lake knows of that revision, if anything.

    Raises:
        UpstreamUnavailable: upstream gives no answer.
    """
    match contract.origin:
        case HubOrigin():
            return look_at_hub_now(contract, context, used)
        case SdistOrigin():
            return _sdist_now(contract.origin, context)
        case GitOrigin():
            return _git_now(contract.origin)
        case HttpOrigin():
            return _http_now(contract.origin)
        case CrateOrigin():
            return look_at_crates(contract.origin, pinned_revision(contract), retries=_PATIENCE)
        case _:
            return UpstreamFacts(revision=pinned_revision(contract))


def sdist_facts(origin: SdistOrigin, context: LoaderContext) -> UpstreamFacts:
    """Returns what a pinned source archive says of itself, downloading it when it is not cached."""
    from tritter_assets.sources.sdist import SdistLoader

    info, members = SdistLoader().describe(origin, context)
    said = sorted({value for _, value in info.metadata})
    expression = [value for kind, value in info.metadata if kind == "license_expression"]
    # Some projects put the whole licence text there: its first line is what names it.
    tag = "; ".join(" ".join(v.split("\n", 1)[0].split())[:80] for v in (expression or said))
    return UpstreamFacts(
        revision=origin.version,
        license_tag=tag or NOTHING,
        gate=NOTHING,
        num_files=len(members),
        size_bytes=sum(member.size_bytes for member in members),
        newest=origin.version,
    )


def _sdist_now(origin: SdistOrigin, context: LoaderContext) -> UpstreamFacts:
    from tritter_assets.sources.package_index import configured_index, project_files
    from tritter_assets.sources.sdist import releases

    listed = releases(
        origin.package, project_files(configured_index(), origin.package, retries=_PATIENCE)
    )
    live = [version for version, file in listed.items() if file.yanked is None]
    facts = replace(sdist_facts(origin, context), newest=live[-1] if live else "")
    found = listed.get(origin.version)
    what = f"{origin.package} {origin.version}"
    if found is None:
        return replace(facts, status=REVISION_GONE, note=f"the index no longer lists {what}")
    if found.sha256 and found.sha256.lower() != origin.sha256:
        note = f"the index lists {what} with SHA-256 {found.sha256}, not the pinned one"
        return replace(facts, status=CHANGED, note=note)
    if found.yanked is not None:
        return replace(facts, status=YANKED, note=f"{what} was withdrawn: {found.yanked or '-'}")
    return facts


def _git_now(origin: GitOrigin) -> UpstreamFacts:
    from tritter_assets.sources.git import remote_refs

    refs = remote_refs(origin)
    facts = UpstreamFacts(revision=origin.commit, newest=refs.get("HEAD", ""))
    if origin.tag is None or refs.get(origin.tag) == origin.commit:
        return facts
    if origin.tag not in refs:
        note = f"{origin.url} has no tag {origin.tag} any more"
        return replace(facts, status=REVISION_GONE, note=note)
    note = f"the tag {origin.tag} names the commit {refs[origin.tag]} now"
    return replace(facts, status=CHANGED, note=note)


def _http_now(origin: HttpOrigin) -> UpstreamFacts:
    response = get_response(
        origin.url,
        headers={"Accept-Encoding": "identity"},
        stream=True,
        retries=_PATIENCE,
        what=f"file {origin.url}",
        way_out=WAY_OUT,
    )
    response.close()
    base = UpstreamFacts(revision=origin.sha256)
    if not response.ok:
        note = f"{origin.url} answers HTTP {response.status_code}"
        return replace(base, status=REVISION_GONE, note=note)
    return replace(
        base,
        size_bytes=int(response.headers.get("Content-Length") or 0),
        last_modified=response.headers.get("Last-Modified", ""),
    )
