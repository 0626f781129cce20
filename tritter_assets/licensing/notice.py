"""Short licence notices: what "licensed under the ..." in a header or a small LICENSE file says.

Works on words (see `words.py`), so wrapping and comment signs do not matter. Copyleft is looked
for first and always kept; words that limit the use without naming a licence make it unknown.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tritter_assets.contracts.policy_model import scancode_category
from tritter_assets.licensing.expression import join_and, join_or
from tritter_assets.licensing.gnu import gnu_licences
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
    r"\b(?:gpl|gnu (?:general public license|gpl)) ?compatible|compatible (?:with|to) (?:\w+ )?"
    r"(?:gnu )?(?:gpl|general public license)|not (?:under )?(?:the )?gpl\b|"
    # The history section of Python's licence, which Celery and others took for their own.
    r"(?:doesnt|does not) mean that were distributing \w+ under the gpl|"
    r"(?:all python licenses|the \w+ license) unlike the gpl|"
    r"other software that is released under the gpl(?: the others dont|(?= it does not mean))"
)
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
            # "the MIT Press" and "the Expat library" are no licences; "MIT or Apache" names one.
            r"\b(?:under|under (?:the|an?|either(?: the)?)|licenses?|either) (?:mit|expat)\b"
            r"(?! press\b)|\b(?:mit|expat) (?:style )?licen[sc](?:e[sd]?|ing)\b(?! style)|^mit$|"
            r"\bor (?:the )?mit\b(?= license|$| at your| http| terms)|\bmit (?:or|and|gpl)"
            r"(?= (?:the )?(?:apache|gpl|lgpl|gnu|bsd|psf|unlicense|zlib|isc|mpl|boost|2|v2)|2\b)|"
            r"\bof (?:the )?(?:mit|expat) (?:or|and) (?:the )?(?:apache|gnu|l?gpl|bsd)\b",
        ),
        (
            "BSD-3-Clause",
            r"\b(?:3|three) ?clause (?:modified |new |revised )?bsd\b|"
            r"\b(?:new|modified|revised) ?bsd\b|\bbsd ?(?:3|three) ?clause\b|\bbsd3\b",
        ),
        (
            "BSD-2-Clause",
            r"\b(?:2|two) ?clause (?:simplified )?bsd\b|\bsimplified ?bsd\b|"
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
_RESTRICTIVE_BY_HINT: dict[str, re.Pattern[str]] = {
    hint: re.compile(r"\b(?:" + "|".join(p for h, p in _RESTRICTIVE if h == hint) + r")\b")
    for hint in dict.fromkeys(hint for hint, _ in _RESTRICTIVE)
}
_COPYLEFT_HINTS = (
    "affero", "public license", "gpl", "copyleft", "mpl", "epl", "distribution license",
    "european union", "eupl", "alike", "cc by sa", "open database", "odbl", "sleepycat", "osl",
    "reciprocal", "gnu free",
)  # fmt: skip
"""Pieces one of which `COPYLEFT` cannot match without."""
_ANY_HINT = tuple({hint.strip() for hint in (*_BY_HINT, *_COPYLEFT_HINTS, *_RESTRICTIVE_BY_HINT)})
_CHOICE = re.compile(
    r"\b(?:under|of|with|to) either\b|\beither (?:of|the|an?|under)\b|\byour (?:option|choice)\b|"
    r"\bdual ?licen(?:sed|sing)\b|\bdual ?license (?:under|of|mit|bsd|gpl|lgpl|apache)\b|"
    r"\balternatively (?:this|the contents of this)\b|\byou (?:may|can) choose\b"
)
_ANY_BSD = re.compile(r"\bbsd(?:style)?\b")
"""In an offer of several licences "the BSD licence" names one, though not which of its versions."""
_LATER_GRANT = re.compile(
    r"\beither (?:version|v) ?\d[ \d]*(?:of the license )?(?:or )?(?:at your option )?"
    r"(?:any later version)?|\b(?:or )?at your option any later version|"
    r"\beither expressed or implied|\beither express or implied"
)
"""The GNU notices' own "either" and "at your option" say nothing of a choice of licences."""
_OR = re.compile(r"\bor\b")
_OFFER = 240
"""Characters within which the licences of one offer, and its words of choice, stand together."""


_COPYLEFT_CATEGORIES = ("Copyleft", "Copyleft Limited")


@dataclass(frozen=True, slots=True)
class Notice:
    """What a notice says. `expression` is NOASSERTION when it takes rights away without a name."""

    expression: str
    confidence: float
    exact: bool = True
    """False when it says "BSD" and not which: `BSD-3-Clause` then stands for any of them."""


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
        found |= gnu_licences(without_compatible(text))
    limits = [hint for hint in _RESTRICTIVE_BY_HINT if hint in padded]
    restricts = any(_RESTRICTIVE_BY_HINT[hint].search(text) for hint in limits)
    if restricts and not any("-NC-" in f or "-ND-" in f for f in found):
        return Notice(NOASSERTION, 0.9)
    if not found:
        return Notice(NOASSERTION, 0.8) if names_copyleft(text) else None
    if len(found) == 1 and _offers_bsd(text, found):
        return Notice(join_or([*found, "BSD-3-Clause"]), 0.85, exact=False)
    if len(found) == 1:
        return Notice(next(iter(found)), 0.9)
    if _is_choice(text, found):
        return Notice(join_or(found), 0.9)
    return Notice(join_and(found), 0.85)


def name_spans(text: str) -> list[tuple[int, int]]:
    """Returns where words name a licence that a notice can give."""
    padded = f" {text}"
    patterns = [pattern for hint in _BY_HINT if hint in padded for _, pattern in _BY_HINT[hint]]
    if any(hint in text for hint in _COPYLEFT_HINTS):
        patterns.append(COPYLEFT)
    found = {match.span() for pattern in patterns for match in pattern.finditer(text)}
    return sorted(found)


def limit_spans(text: str) -> list[tuple[int, int]]:
    """Returns where words take away what an open licence gives."""
    patterns = [_RESTRICTIVE_BY_HINT[hint] for hint in _RESTRICTIVE_BY_HINT if hint in text]
    return sorted({match.span() for pattern in patterns for match in pattern.finditer(text)})


def may_name(text: str) -> bool:
    """Whether lower-case text may name a licence or limit the use: cheap, and wrong to one side."""
    padded = f" {text}"
    return any(map(padded.__contains__, _ANY_HINT))


def names_copyleft(text: str) -> bool:
    """Whether words name a copyleft licence; that something is compatible with one does not."""
    return COPYLEFT.search(without_compatible(text)) is not None


def without_compatible(text: str) -> str:
    """Returns the words without what says that something is compatible with a licence."""
    return _COMPATIBLE.sub(" ", text)


def guard_words(text: str) -> set[str]:
    """Returns the words of a text that limit its use or name copyleft."""
    plain = without_compatible(text)
    return {
        match.group().replace(" ", "")
        for pattern in (RESTRICTIVE, COPYLEFT)
        for match in pattern.finditer(plain)
    }


def _is_choice(text: str, found: set[str]) -> bool:
    """Whether the licences found are offered as alternatives."""
    if len(found) == 2 and _between(text, found):
        return True
    plain = _LATER_GRANT.sub(" ", text)
    choices = [match.start() for match in _CHOICE.finditer(plain)]
    if not choices or len({_shares_alike(spdx) for spdx in found}) == 1:
        return bool(choices)
    # Only an offer that holds both kinds can free a file from the one that shares alike.
    names = [(start, COPYLEFT.match(plain, start)) for start, _ in name_spans(plain)]
    return any(
        any(abs(place - at) < _OFFER and closed for place, closed in names)
        and any(abs(place - at) < _OFFER and not closed for place, closed in names)
        for at in choices
    )


def _offers_bsd(text: str, found: set[str]) -> bool:
    """Whether "the BSD licence" is offered beside the one licence found, a few words apart."""
    if "bsd" not in text or any(spdx.startswith("BSD-") for spdx in found):
        return False
    plain = _LATER_GRANT.sub(" ", without_compatible(text))
    choices = [match.start() for match in _CHOICE.finditer(plain)]
    others = [start for start, _ in name_spans(plain)]
    return any(
        any(abs(match.start() - at) < _OFFER for at in choices)
        and any(abs(match.start() - at) < _OFFER for at in others)
        for match in _ANY_BSD.finditer(plain)
    )


def _shares_alike(spdx: str) -> bool:
    return scancode_category(spdx) in _COPYLEFT_CATEGORIES


def _between(text: str, found: set[str]) -> bool:
    """Whether two simple notices stand on either side of a lone "or", close together."""
    spans = sorted(
        match.span()
        for spdx, pattern in _SIMPLE
        if spdx in found and (match := pattern.search(text))
    )
    if len(spans) != 2 or any(map(_shares_alike, found)):
        return False
    gap = text[spans[0][1] : spans[1][0]]
    return len(gap) < 160 and _OR.search(gap) is not None and " and " not in gap
