"""Licence families: coarse enough that copies under MIT and Apache-2.0 do not conflict.

The same content under two families is a question for a person: one of the two claims is wrong, or
the holder licensed twice. Choosing the more permissive copy would launder the licence, so such
content is quarantined.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import Any

from tritter_assets.contracts.policy_model import scancode_category
from tritter_assets.record import NOASSERTION


class LicenseFamily(IntEnum):
    """Families by how much they ask for; the order decides AND (greatest) and OR (smallest)."""

    PERMISSIVE = 0
    WEAK_COPYLEFT = 1
    COPYLEFT = 2
    UNKNOWN = 3
    """Also everything that is not open: proprietary, source-available, unstated."""


_FAMILY_OF_CATEGORY = {
    "Permissive": LicenseFamily.PERMISSIVE,
    "Public Domain": LicenseFamily.PERMISSIVE,
    "Copyleft Limited": LicenseFamily.WEAK_COPYLEFT,
    "Copyleft": LicenseFamily.COPYLEFT,
}


@cache
def license_family(expression: str) -> LicenseFamily:
    """Returns the family of an SPDX expression; what cannot be read is UNKNOWN.

    `MIT OR GPL-2.0-only` is permissive (the licensee chooses), `MIT AND GPL-2.0-only` is copyleft.
    """
    if expression in ("", NOASSERTION, "NONE"):
        return LicenseFamily.UNKNOWN
    from license_expression import ExpressionError, Licensing

    try:
        parsed = Licensing().parse(expression)
    except (ExpressionError, ValueError):
        return LicenseFamily.UNKNOWN
    return _family(parsed)


def _family(node: Any) -> LicenseFamily:
    parts = getattr(node, "args", ())
    if parts:
        families = [_family(part) for part in parts]
        return min(families) if type(node).__name__ == "OR" else max(families)
    symbol = getattr(node, "license_symbol", node)  # `GPL-2.0-only WITH x` counts as its licence
    return _FAMILY_OF_CATEGORY.get(scancode_category(str(symbol.key)), LicenseFamily.UNKNOWN)
