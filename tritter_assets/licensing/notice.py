"""Short licence notices: what "licensed under the ..." in a header or a small LICENSE file says.

Works on words (see `words.py`), so wrapping and comment signs do not matter. Copyleft is looked
for first and always kept; words that limit the use without naming a licence make it unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tritter_assets.contracts.policy_model import scancode_category
from tritter_assets.licensing.expression import join_and, join_or
from tritter_assets.record import NOASSERTION

_RESTRICTIVE: tuple[tuple[str, str], ...] = (
    ("confidential", r"proprietary and confidential"),
    ("confidential", r"confidential and proprietary"),
    ("confidential", r"confidential information"),
    ("strictly", r"strictly (?:confidential|prohibited)"),
    ("commons clause", r"commons clause"),
    ("commercial", r"\w*non ?commercial"),
    (
        " only",
        r"for (?:academic|research|personal|evaluation)(?: and \w+)? (?:use|purposes?) only",
    ),
    ("commercial", r"not (?:be )?(?:for|used for) (?:any )?commercial"),
    ("commercial", r"no commercial"),
    ("not evil", r"good not evil"),
    ("deriv", r"\w*no ?deriv(?:s|ative|atives)?"),
    ("responsible ai", r"responsible ai license"),
    ("openrail", r"openrail"),
    ("unpublished", r"unpublished work"),
    (
        "may not be",
        r"may not be (?:copied|reproduced|distributed|disclosed)"
        r"(?!.{0,60}\bexcept (?:according|in compl|as))",
    ),
    ("trade secret", r"trade secrets?"),
    ("express written", r"without the express written"),
    ("business source", r"business source license"),
    ("server side public", r"server side public license"),
    ("elastic license", r"elastic license"),
    ("polyform", r"polyform"),
    ("unauthori", r"unauthori[sz]ed copying"),
)
"""(piece without which the pattern cannot match, pattern)."""

RESTRICTIVE = re.compile(r"\b(?:" + "|".join(pattern for _, pattern in _RESTRICTIVE) + r")\b")
"""Words that take away what an open licence gives; they never pass as permissive."""

COPYLEFT = re.compile(
    r"\b(?:affero|(?:general|lesser|library) public license|(?:a|l)?gpl(?:v?[123]\w*)?|copyleft|"
    r"mozilla public license|mpl ?v?[12]|eclipse public license|epl ?v?[12]|"
    r"common development and distribution license|cddl|european union public license|eupl|"
    r"\w*share ?alike|cc by sa|open database license|odbl|sleepycat|osl ?[23]|reciprocal public|"
    r"gnu free documentation)\b"
)
"""Names of copyleft licences; `GPL compatible` alone is not one, see `names_copyleft`."""

_COMPATIBLE = re.compile(
    r"\b(?:gpl|gnu (?:general public license|gpl)) ?compatible|compatible (?:with|to) (?:the )?"
    r"(?:gnu )?(?:gpl|general public license)|not (?:under )?(?:the )?gpl\b|"
    # The history section of every copy of Python's licence.
    r"doesnt mean that were distributing python under the gpl|all python licenses unlike the gpl|"
    r"software that is released under the gpl the others dont"
)
_GNU_LONG = re.compile(
    r"\b(?:gnu (?P<kind>affero |lesser |library )?(?:general )?public license"
    r"|(?P<bare>affero |lesser |library )?general public license"
    r"|(?P<short>agpl|lgpl|gpl))(?P<tail>.{0,260})"
)
_GNU_VERSION = re.compile(r"^[^.]{0,80}?\b(?:version |v|ver )?([123])(?: ([01]))?\b|^ ?v?([123])\b")
_GNU_BEFORE = re.compile(r"\bversion ([123])(?: ([01]))?(?: only)? of the $")
_LATER = re.compile(r"\bor (?:at your option )?(?:any |a )?later\b|\bany later version\b|\d plus\b")

_SIMPLE: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (spdx, re.compile(pattern))
    for spdx, pattern in (
        ("MPL-2.0", r"\bmozilla public license(?: v| version| ver)? ?2|\bmpl ?v?2\b"),
        ("MPL-1.1", r"\bmozilla public license(?: v| version)? ?1 1|\bmpl ?1 1\b"),
        ("EPL-2.0", r"\beclipse public license(?: v| version)? ?2|\bepl ?v?2\b"),
        ("EPL-1.0", r"\beclipse public license(?: v| version)? ?1|\bepl ?v?1\b"),
        ("CDDL-1.0", r"\bcommon development and distribution license|\bcddl\b"),
        ("EUPL-1.2", r"\beuropean union public license|\beupl\b"),
        ("CC-BY-NC-4.0", r"\bcreative commons attribution ?non ?commercial|\bcc by nc\b"),
        ("CC-BY-ND-4.0", r"\bcreative commons attribution ?no ?derivatives?|\bcc by nd\b"),
        (
            "CC-BY-SA-4.0",
            r"\bcreative commons attribution ?share ?alike(?: \w+){0,4}? 4|\bcc by sa 4\b",
        ),
        ("CC-BY-SA-3.0", r"\bcreative commons attribution ?share ?alike(?! \d|.{0,40} 4)|"
                         r"\bcc by sa (?!4)"),
        ("CC-BY-4.0", r"\bcreative commons attribution(?! ?(?:share|non|no ?der))(?: \w+){0,4}? 4|"
                      r"\bcc by 4\b"),
        ("CC0-1.0", r"\bcc0\b|\bcreative commons (?:zero|cc0)"),
        (
            "Apache-2.0 WITH LLVM-exception",
            r"\bapache license (?:v|version )?2 ?0? with llvm exceptions?",
        ),
        (
            "Apache-2.0",
            r"\bapache (?:software )?license(?: v| version)? ?2\b(?! ?0? with llvm)|\bapache ?v?2"
            r"(?: 0)?(?: software)?(?: license|d\b|\b(?! with))|\blicensed under (?:the )?apache 2",
        ),
        (
            "MIT",
            r"\b(?:the |under |under an? |license )(?:mit|expat)\b(?: license)?|"
            r"\b(?:mit|expat) (?:style )?license[sd]?\b(?! style)|^mit$|^license mit\b",
        ),
        (
            "BSD-3-Clause",
            r"\b(?:3|three) ?clause (?:modified |new |revised )?bsd\b|"
            r"\b(?:new|modified|revised) bsd\b|\bbsd ?(?:3|three) ?clause\b|\bbsd3\b",
        ),
        (
            "BSD-2-Clause",
            r"\b(?:2|two) ?clause (?:simplified )?bsd\b|\bsimplified bsd\b|"
            r"\bbsd ?(?:2|two) ?clause\b|\bbsd2\b|\bfreebsd license\b",
        ),
        ("ISC", r"\bisc license|\blicensed under (?:the )?isc\b|^license isc\b"),
        ("Zlib", r"\bzlib(?: libpng)? license|\blicensed under (?:the )?zlib\b"),
        ("BSL-1.0", r"\bboost software license"),
        ("Unlicense", r"\bthe unlicense\b|\bunlicense (?:license|org)\b"),
        ("PSF-2.0", r"\blicensed to psf under a contributor agreement|\bpsf license\b|"
                    r"\bpython software foundation license"),
        (
            "LicenseRef-scancode-public-domain",
            r"\b(?:is|are|been|be|hereby) (?:placed|put|released|dedicated)? ?"
            r"(?:in|into|to) the public domain\b|\breleased (?:in|into|to) the public domain\b|"
            r"^public domain\b|^license public domain\b",
        ),
    )
)  # fmt: skip
_CREATIVE = (" creative commons", " cc by")
_HINTS: dict[str, tuple[str, ...]] = {
    "MPL-2.0": (" mozilla", " mpl"),
    "MPL-1.1": (" mozilla", " mpl"),
    "EPL-2.0": (" eclipse", " epl"),
    "EPL-1.0": (" eclipse", " epl"),
    "CDDL-1.0": (" common development", " cddl"),
    "EUPL-1.2": (" european union", " eupl"),
    "CC-BY-NC-4.0": _CREATIVE,
    "CC-BY-ND-4.0": _CREATIVE,
    "CC-BY-SA-4.0": _CREATIVE,
    "CC-BY-SA-3.0": _CREATIVE,
    "CC-BY-4.0": _CREATIVE,
    "CC0-1.0": (" cc0", " creative commons"),
    "Apache-2.0 WITH LLVM-exception": (" apache",),
    "Apache-2.0": (" apache",),
    "MIT": (" mit", " expat"),
    "BSD-3-Clause": ("bsd",),
    "BSD-2-Clause": ("bsd",),
    "ISC": (" isc",),
    "Zlib": (" zlib",),
    "BSL-1.0": (" boost",),
    "Unlicense": (" unlicense",),
    "PSF-2.0": (" psf", " python software foundation"),
    "LicenseRef-scancode-public-domain": ("public domain",),
}
"""Pieces one of which a pattern of `_SIMPLE` cannot match without; a blank stands for a word's
start. Measured on 2,589 headers: a sixth of the time of running every pattern."""

_BY_HINT = {
    hint: tuple((spdx, pattern) for spdx, pattern in _SIMPLE if hint in _HINTS[spdx])
    for hint in dict.fromkeys(hint for hints in _HINTS.values() for hint in hints)
}
_RESTRICTIVE_BY_HINT = {
    hint: re.compile(r"\b(?:" + "|".join(p for h, p in _RESTRICTIVE if h == hint) + r")\b")
    for hint in dict.fromkeys(hint for hint, _ in _RESTRICTIVE)
}
_CHOICE = re.compile(
    r"\b(?:under|of|with|to) either\b|\beither (?:of|the|an?|under)\b|\byour (?:option|choice)\b|"
    r"\bdual ?licens|\balternatively this\b|\byou may choose\b"
)
_LATER_GRANT = re.compile(
    r"\beither (?:version|v) ?\d[ \d]*(?:of the license )?(?:or )?(?:at your option )?"
    r"(?:any later version)?|\b(?:or )?at your option any later version|"
    r"\beither expressed or implied|\beither express or implied"
)
"""The GNU notices' own "either" and "at your option" say nothing of a choice of licences."""
_OR = re.compile(r"\bor\b")


_COPYLEFT_CATEGORIES = ("Copyleft", "Copyleft Limited")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notice says. `expression` is NOASSERTION when it takes rights away without a name."""

    expression: str
    confidence: float


def read_notice(text: str) -> Notice | None:
    """Reads a notice.

    Args:
        text: Words joined by one blank, as `license_words` gives them; a few hundred at most.

    Returns:
        The notice, or None when the words name no licence.
    """
    padded = f" {text}"
    found = {
        spdx
        for hint in [hint for hint in _BY_HINT if hint in padded]
        for spdx, pattern in _BY_HINT[hint]
        if pattern.search(text)
    }
    if "gpl" in text or "public license" in text:
        found |= _gnu(text)
    limits = [hint for hint in _RESTRICTIVE_BY_HINT if hint in padded]
    restricts = any(_RESTRICTIVE_BY_HINT[hint].search(text) for hint in limits)
    if restricts and not any("-NC-" in f or "-ND-" in f for f in found):
        return Notice(NOASSERTION, 0.9)
    if not found:
        return Notice(NOASSERTION, 0.8) if names_copyleft(text) else None
    if len(found) == 1:
        return Notice(next(iter(found)), 0.9)
    if _CHOICE.search(_LATER_GRANT.sub(" ", text)) or (len(found) == 2 and _between(text, found)):
        return Notice(join_or(found), 0.9)
    return Notice(join_and(found), 0.85)


def names_copyleft(text: str) -> bool:
    """Whether words name a copyleft licence; that something is compatible with one does not."""
    return COPYLEFT.search(_COMPATIBLE.sub(" ", text)) is not None


def guard_words(text: str) -> set[str]:
    """Returns the words of a text that limit its use or name copyleft."""
    plain = _COMPATIBLE.sub(" ", text)
    return {
        match.group().replace(" ", "")
        for pattern in (RESTRICTIVE, COPYLEFT)
        for match in pattern.finditer(plain)
    }


def _between(text: str, found: set[str]) -> bool:
    """Whether two simple notices stand on either side of a lone "or", close together."""
    spans = sorted(
        match.span()
        for spdx, pattern in _SIMPLE
        if spdx in found and (match := pattern.search(text))
    )
    if len(spans) != 2 or any(scancode_category(f) in _COPYLEFT_CATEGORIES for f in found):
        return False
    gap = text[spans[0][1] : spans[1][0]]
    return len(gap) < 160 and _OR.search(gap) is not None and " and " not in gap


def _gnu(text: str) -> set[str]:
    text = _COMPATIBLE.sub(" ", text)
    found: set[str] = set()
    for match in _GNU_LONG.finditer(text):
        kind = (match["kind"] or match["bare"] or "").strip()
        short = match["short"] or ""
        family = "GPL"
        if kind == "affero" or short == "agpl":
            family = "AGPL"
        elif kind in ("lesser", "library") or short == "lgpl":
            family = "LGPL"
        tail = match["tail"]
        before = _GNU_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
        version = before or _GNU_VERSION.search(tail)
        digits = [group for group in version.groups() if group] if version else []
        number = ".".join(digits) if len(digits) > 1 else f"{digits[0]}.0" if digits else ""
        later = _LATER.search(tail) is not None
        found.add(_gnu_id(family, number, later=later))
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


def _gnu_id(family: str, number: str, *, later: bool) -> str:
    suffix = "or-later" if later else "only"
    if not number:
        return {"GPL": "GPL-1.0", "LGPL": "LGPL-2.0", "AGPL": "AGPL-1.0"}[family] + "-or-later"
    known = {"GPL": ("1.0", "2.0", "3.0"), "LGPL": ("2.0", "2.1", "3.0"), "AGPL": ("1.0", "3.0")}
    return f"{family}-{number if number in known[family] else known[family][-1]}-{suffix}"
