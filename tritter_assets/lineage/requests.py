"""One removal request as a person states it: its kinds, its values, its identity."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tritter_assets.errors import ContractViolation
from tritter_assets.lake import fingerprint_of
from tritter_assets.removal import FOLLOWS, RemovalKind

_REQUESTED_AT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_VALUE = {
    RemovalKind.REPO: (
        re.compile(r"[^\s:]+"),
        "the repository as its rows name it, e.g. owner/name, or its address",
    ),
    RemovalKind.OWNER: (re.compile(r"[^\s/:]+"), "an owner as its rows name it, e.g. owner"),
    RemovalKind.AUTHOR: (re.compile(r"[^@\s]+@[^@\s]+"), "an e-mail address"),
    RemovalKind.SHA256: (re.compile(r"[0-9a-f]{64}"), "64 hexadecimal digits"),
    RemovalKind.SWHID: (
        re.compile(r"swh:1:cnt:[0-9a-f]{40}"),
        "swh:1:cnt: and 40 digits; for a directory, revision or origin use the kind repo",
    ),
    RemovalKind.ID: (re.compile(r"[0-9a-f]{32}"), "the 32 hexadecimal digits of a document id"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request whose values were checked; build it with `make_request`."""

    kind: RemovalKind
    value: str
    reason: str
    requested_at: str
    """ISO 8601 in UTC."""

    @property
    def request(self) -> str:
        """The id: the same kind and value are the same request, whoever asks and when."""
        return request_id(self.kind, self.value)

    def row(self) -> dict[str, str]:
        """Returns the request as a row of `removals`."""
        return {
            "request": self.request,
            "kind": self.kind.value,
            "value": self.value,
            "requested_at": self.requested_at,
            "reason": self.reason,
        }


def request_id(kind: str, value: str) -> str:
    """Returns the id of a request."""
    return fingerprint_of("removal", kind, value.lower())


def make_request(kind: str, value: str, reason: str, requested_at: str) -> Request:
    """Checks a request and brings its value into the form in which rows are compared.

    Args:
        kind: A `RemovalKind`.
        value: What is to be forgotten. An address of a repository becomes owner/name; the
            qualifiers of an SWHID (`;origin=...`) are left out.
        reason: Why, in the requester's words; shown in reports.
        requested_at: ISO 8601 in UTC, e.g. `2026-11-24T06:00:00Z`.

    Raises:
        ContractViolation: the kind is unknown, or the value is not one of that kind.
    """
    if kind not in list(RemovalKind):
        raise ContractViolation(
            f"removal kind {kind!r} is unknown: use one of {[k.value for k in RemovalKind]}"
        )
    known = RemovalKind(kind)
    pattern, expected = _VALUE[known]
    found = _plain(known, value.strip())
    if not pattern.fullmatch(found):
        raise ContractViolation(f"removal value {value!r} is no {kind}: give {expected}")
    if not reason.strip():
        raise ContractViolation("removal reason '' is empty: say why, it is shown in reports")
    if reason.strip().startswith(FOLLOWS):
        raise ContractViolation(f"removal reason {reason!r} begins like one of our own: reword it")
    if not _REQUESTED_AT.fullmatch(requested_at):
        raise ContractViolation(
            f"requested_at {requested_at!r} is not ISO 8601 in UTC: write 2026-11-24T06:00:00Z"
        )
    return Request(kind=known, value=found, reason=reason.strip(), requested_at=requested_at)


def _plain(kind: RemovalKind, value: str) -> str:
    if kind in (RemovalKind.SHA256, RemovalKind.SWHID, RemovalKind.ID):
        return value.partition(";")[0].lower()
    if kind is not RemovalKind.REPO:
        return value
    scp = re.fullmatch(r"[\w.\-]+@[\w.\-]+:(.+)", value)  # git@github.com:owner/name.git
    if scp:
        value = scp.group(1)
    elif "://" in value:
        parts = [part for part in urlsplit(value).path.split("/") if part]
        value = "/".join(parts[:2])
    return value.rstrip("/").removesuffix(".git")
