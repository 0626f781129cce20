"""Reads the custom property `upstream`: what upstream said when a person last looked.

It decides nothing about the rows, so it is no part of the contract's identity: writing it makes
nothing stale.
"""

from __future__ import annotations

import re

from tritter_assets.contracts.fields import FieldReader
from tritter_assets.contracts.odcs import LOGICAL_TYPES
from tritter_assets.contracts.source import GATES, UpstreamClaim

_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_upstream(reader: FieldReader) -> UpstreamClaim:
    """Reads the mapping; what is wrong in it becomes problems of the reader."""
    sha256 = reader.text("readme_sha256", "")
    if sha256 and not _SHA256.fullmatch(sha256):
        reader.problem(
            "readme_sha256", f"is {sha256!r}", "write the 64 lower-case hex digits of the file"
        )
    columns = reader.mapping("columns", {})
    for name, kind in columns.items():
        if kind not in LOGICAL_TYPES:
            known = ", ".join(LOGICAL_TYPES)
            reader.problem("columns", f"{name} has the type {kind!r}", f"use one of {known}")
    claim = UpstreamClaim(
        licence_tag=reader.text("licence_tag", ""),
        gated=reader.choice("gated", GATES, ""),
        readme_sha256=sha256,
        columns={str(name): str(kind) for name, kind in columns.items()},
        as_of=reader.day("as_of", None),
    )
    reader.done()
    return claim
