"""The GNU licences of a notice: family, version, and whether a later one may be taken."""

from __future__ import annotations

import re

_GNU_LONG = re.compile(
    r"\b(?:gnu (?P<kind>affero |lesser |library )?(?:general )?public license"
    r"|(?P<bare>affero |lesser |library )?general public license"
    r"|(?P<short>agpl|lgpl|gpl))(?P<tail>.{0,260})"
)
_GNU_NEXT = re.compile(
    r"\b(?P<kind>affero |lesser |library )?"
    r"(?:general public license|(?P<short>agpl|lgpl|gpl))(?: ?(?:version|v))? ?"
    r"(?P<version>[123])(?: (?P<minor>[01]))?\b"
    r"(?P<later>(?: of the license)? or (?:at your option )?(?:any )?later| plus)?"
)
"""A version right behind the name: what the tail of another licence's mention may hold."""
_GNU_VERSION = re.compile(r"^[^.]{0,80}?\b(?:version |v|ver )?([123])(?: ([01]))?\b|^ ?v?([123])\b")
_GNU_BEFORE = re.compile(r"\bversion ([123])(?: ([01]))?(?: only)? of the $")
_LATER = re.compile(r"\bor (?:at your option )?(?:any |a )?later\b|\bany later version\b|\d plus\b")


def gnu_licences(text: str) -> set[str]:
    """Returns the SPDX ids of the GNU licences that a notice names.

    Args:
        text: Words joined by one blank, without what says that something is GPL compatible.
    """
    found: set[str] = set()
    for match in _GNU_LONG.finditer(text):
        family = _gnu_family(match["kind"] or match["bare"], match["short"])
        tail = match["tail"]
        before = _GNU_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
        version = before or _GNU_VERSION.search(tail)
        digits = [group for group in version.groups() if group] if version else []
        number = ".".join(digits) if len(digits) > 1 else f"{digits[0]}.0" if digits else ""
        later = _LATER.search(tail) is not None
        found.add(_gnu_id(family, number, later=later))
    for match in _GNU_NEXT.finditer(text):
        family = _gnu_family(match["kind"], match["short"])
        if not any(spdx.startswith(f"{family}-") for spdx in found):
            number = f"{match['version']}.{match['minor'] or '0'}"
            found.add(_gnu_id(family, number, later=match["later"] is not None))
    # "GPL" named again without a version says nothing new beside a versioned mention.
    bare = {"GPL-1.0-or-later", "LGPL-2.0-or-later", "AGPL-1.0-or-later"}
    precise = {spdx for spdx in found if spdx not in bare}
    families = {spdx.split("-")[0] for spdx in precise}
    if families:
        # A notice of the LGPL or AGPL often calls it "the General Public License" further down.
        found = precise | {s for s in found & bare if s.split("-")[0] not in (*families, "GPL")}
    elif len(found) > 1:
        found -= {"GPL-1.0-or-later"}
    by_family: dict[str, set[str]] = {}
    for spdx in found:
        by_family.setdefault(spdx.split("-")[0], set()).add(spdx)
    # "version 2 ... or later" is one grant although the phrase stands behind each mention.
    result: set[str] = set()
    for spdx_ids in by_family.values():
        only = {s for s in spdx_ids if f"{s.removesuffix('-only')}-or-later" in spdx_ids}
        result |= spdx_ids - only
    return result


def _gnu_family(kind: str | None, short: str | None) -> str:
    kind = (kind or "").strip()
    if kind == "affero" or short == "agpl":
        return "AGPL"
    return "LGPL" if kind in ("lesser", "library") or short == "lgpl" else "GPL"


def _gnu_id(family: str, number: str, *, later: bool) -> str:
    suffix = "or-later" if later else "only"
    if not number:
        return {"GPL": "GPL-1.0", "LGPL": "LGPL-2.0", "AGPL": "AGPL-1.0"}[family] + "-or-later"
    known = {"GPL": ("1.0", "2.0", "3.0"), "LGPL": ("2.0", "2.1", "3.0"), "AGPL": ("1.0", "3.0")}
    return f"{family}-{number if number in known[family] else known[family][-1]}-{suffix}"
