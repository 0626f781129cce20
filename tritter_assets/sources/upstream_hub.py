"""Looks at a dataset repository of the Hub: its gate, its card at a commit, a data file's columns.

The licence tag is read from the card's own header rather than from the Hub's index of tags, so that
it is a function of the bytes that `readme_sha256` names. What a commit holds cannot change; its
gate can, and is a fact of the day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import yaml

from tritter_assets.contracts.parse_source import UNPINNED
from tritter_assets.contracts.source import GATES, NOTHING, HubOrigin, SourceContract
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.hub_client import HubClient, Listing, explained
from tritter_assets.sources.hub_files import choose_files
from tritter_assets.sources.loader import LoaderContext
from tritter_assets.sources.upstream import (
    CHANGED,
    GONE,
    OK,
    REVISION_GONE,
    Observation,
    UpstreamFacts,
)
from tritter_assets.sources.upstream_columns import columns_of

_WANTED: Any = ["sha", "gated", "lastModified", "cardData"]


@dataclass(frozen=True, slots=True)
class _Repository:
    commit: str
    gate: str
    last_modified: str
    license_tag: str
    """Of the Hub's own copy of the card's header."""


class _NoFiles(UpstreamUnavailable):
    """The commit holds nothing that the contract's config or folder names."""


def look_at_hub_pin(contract: SourceContract, context: LoaderContext) -> UpstreamFacts:
    """Returns the facts of the commit that a contract reads; of `main` while it pins none.

    Raises:
        UpstreamUnavailable: the repository or the commit cannot be read.
    """
    origin = _origin(contract)
    client = HubClient()
    wanted = _branch(origin) if origin.revision == UNPINNED else origin.revision
    with explained(origin.repo, wanted):
        repository = _ask(client, origin.repo, wanted)
    return _facts(contract, client, repository, context)


def look_at_hub_now(
    contract: SourceContract,
    context: LoaderContext,
    used: Observation | None,
    ref: str | None = None,
) -> UpstreamFacts:
    """Returns the facts of a branch as it is today, and whether the commit in use still exists.

    A repository that is not there any more is a finding, not a failure.

    Args:
        contract: The source.
        context: For the cache of listings.
        used: What is known of the commit that the lake's rows came from.
        ref: Branch, tag or commit to look at; None: the branch of the contract.

    Raises:
        UpstreamUnavailable: no answer, or none that this account may read.
    """
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    origin = _origin(contract)
    client = HubClient()
    ref = ref or _branch(origin)
    with explained(origin.repo, ref):
        try:
            repository = _ask(client, origin.repo, ref)
        except GatedRepoError:  # it is there, behind its gate
            raise
        except RepositoryNotFoundError:
            if used is None:
                raise
            note = f"{origin.repo} is no longer on the Hub, or is private now"
            return replace(used.facts, status=GONE, note=note)
    if used is not None and used.facts.revision == repository.commit:
        return replace(
            used.facts,
            gate=repository.gate,
            last_modified=repository.last_modified,
            newest=repository.commit,
        )
    try:
        facts = _facts(contract, client, repository, context)
    except _NoFiles as error:
        facts = replace(_known(repository), status=CHANGED, note=str(error))
    except UpstreamUnavailable as error:
        if repository.gate == NOTHING or used is None:
            raise
        # Behind a gate that this account has not passed: what the Hub itself says must do.
        facts = replace(_known(repository), note=str(error))
    if facts.status != OK:
        return facts
    pinned = used.facts.revision if used is not None else origin.revision
    if pinned != UNPINNED and not _has(client, origin.repo, pinned):
        note = f"{origin.repo} has no commit {pinned} any more: its history was rewritten"
        return replace(facts, status=REVISION_GONE, note=note)
    return facts


def _facts(
    contract: SourceContract, client: HubClient, repository: _Repository, context: LoaderContext
) -> UpstreamFacts:
    origin = replace(_origin(contract), revision=repository.commit)
    listing = client.listing(origin.repo, repository.commit, origin.data_dir, context.cache)
    try:
        files = choose_files(listing, origin)
    except UpstreamUnavailable as error:
        raise _NoFiles(str(error)) from None
    with client.open(origin.repo, repository.commit, files[0]) as stream:
        columns = columns_of(stream, files[0].name, origin.file_format, context)
    return UpstreamFacts(
        revision=repository.commit,
        license_tag=card_license(listing.readme),
        gate=repository.gate,
        readme_sha256=_card_sha256(listing),
        columns=columns,
        num_files=len(files),
        size_bytes=sum(file.size_bytes for file in files),
        last_modified=repository.last_modified,
        status=OK,
        newest=repository.commit,
    )


def _known(repository: _Repository) -> UpstreamFacts:
    """What is known of a commit whose files cannot be read."""
    return UpstreamFacts(
        revision=repository.commit,
        license_tag=repository.license_tag,
        gate=repository.gate,
        last_modified=repository.last_modified,
        newest=repository.commit,
    )


def card_license(readme: str) -> str:
    """Returns the licence tags of a dataset card's header, joined; `none` when it has none."""
    head = readme[3:].split("\n---", 1)[0] if readme.startswith("---") else ""
    try:
        card = yaml.safe_load(head)
    except yaml.YAMLError:
        card = None
    return _license_of(card if isinstance(card, dict) else {})


def _license_of(card: Mapping[str, Any]) -> str:
    tags = card.get("license") or []
    tags = [tags] if isinstance(tags, str) else tags
    found = sorted({str(tag).strip().lower() for tag in tags if str(tag).strip()})
    name = str(card.get("license_name") or "").strip()
    if name and found == ["other"]:
        return f"other ({name})"
    return ", ".join(found) or NOTHING


def _card_sha256(listing: Listing) -> str:
    if not listing.readme:
        return NOTHING
    return hashlib.sha256(listing.readme.encode()).hexdigest()


def _ask(client: HubClient, repo: str, revision: str) -> _Repository:
    from huggingface_hub import HfApi

    api = HfApi(endpoint=client.address, token=client.token)
    # Without `expand` the answer lists every file: tens of megabytes for the large sets.
    info = api.dataset_info(repo, revision=revision, expand=_WANTED)
    gate = str(info.gated or NOTHING).lower()
    if not info.sha:
        raise UpstreamUnavailable(f"hub {repo}@{revision}: the answer names no commit")
    changed = info.last_modified
    return _Repository(
        commit=info.sha,
        gate=gate if gate in GATES else "manual",
        last_modified=changed.strftime("%Y-%m-%dT%H:%M:%SZ") if changed else "",
        license_tag=_license_of(info.card_data.to_dict()) if info.card_data else "",
    )


def _has(client: HubClient, repo: str, commit: str) -> bool:
    from huggingface_hub.errors import RevisionNotFoundError

    with explained(repo, commit):
        try:
            _ask(client, repo, commit)
        except RevisionNotFoundError:
            return False
    return True


def _branch(origin: HubOrigin) -> str:
    return origin.branch or "main"


def _origin(contract: SourceContract) -> HubOrigin:
    assert isinstance(contract.origin, HubOrigin)
    return contract.origin
