"""Looks at the registry behind pinned crates: is each version still there, and not withdrawn?

One request per crate. The bytes are pinned by their hash, so what a registry says of them changes
no row; it says whether their authors still stand by them.
"""

from __future__ import annotations

import json

from tritter_assets.contracts.crate_origin import CrateOrigin, CratePin
from tritter_assets.errors import UpstreamUnavailable
from tritter_assets.sources.crate_index import CRATES_IO_INDEX, index_path
from tritter_assets.sources.download import DEFAULT_RETRIES, RetryPolicy, get_response, masked
from tritter_assets.sources.upstream import CHANGED, OK, REVISION_GONE, YANKED, UpstreamFacts

_WAY_OUT = "check the network; nothing was recorded"
_ABSENT = frozenset({404, 410, 451})
"""A sparse index answers one of these for a crate that it does not have."""


def look_at_crates(
    origin: CrateOrigin,
    revision: str,
    *,
    index: str = CRATES_IO_INDEX,
    retries: RetryPolicy = DEFAULT_RETRIES,
) -> UpstreamFacts:
    """Returns the worst that the registry says of any pinned crate, and of which.

    Args:
        origin: The pinned crates.
        revision: Name of the pins as a whole.
        index: Address of a sparse index.
        retries: How patiently to ask.

    Raises:
        UpstreamUnavailable: the index gives no answer.
    """
    found: dict[str, list[str]] = {}
    for pin in origin.crates:
        status = _status(pin, index, retries)
        found.setdefault(status, []).append(f"{pin.name} {pin.version}")
    for status in (CHANGED, REVISION_GONE, YANKED):
        if status in found:
            note = f"{index}: {status.replace('_', ' ')}: {', '.join(found[status])}"
            return UpstreamFacts(revision=revision, status=status, note=note)
    return UpstreamFacts(revision=revision)


def _status(pin: CratePin, index: str, retries: RetryPolicy) -> str:
    url = f"{index.rstrip('/')}/{index_path(pin.name)}"
    what = f"crate {pin.name} in the index {masked(index)}"
    response = get_response(url, retries=retries, what=what, way_out=_WAY_OUT)
    if response.status_code in _ABSENT:
        return REVISION_GONE
    if not response.ok:
        raise UpstreamUnavailable(f"{what}: HTTP {response.status_code}; {_WAY_OUT}")
    try:
        entries = [json.loads(line) for line in response.text.splitlines() if line.strip()]
        versions = {str(entry["vers"]): entry for entry in entries}
        entry = versions.get(pin.version)
        if entry is None:
            return REVISION_GONE
        if entry["cksum"] != pin.sha256:
            return CHANGED
        return YANKED if entry.get("yanked", False) else OK
    except (ValueError, KeyError, TypeError):
        raise UpstreamUnavailable(f"{what} gives no sparse index; {_WAY_OUT}") from None
