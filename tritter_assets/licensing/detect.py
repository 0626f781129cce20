"""Which licences a text holds: a LICENSE file, whole or several joined, edited or re-wrapped.

Algorithm. The text becomes words, words become 3-grams. Per template of the SPDX list (650, plus
variants without appendix) the densest window of template-length in the text is found; its score is
the Sorensen-Dice overlap. The best template at or above 0.9 is taken, its window is masked, and the
search goes on: so concatenated files give all their parts. Ties go to the longer template, hence
BSD-3-Clause before BSD-2-Clause. What no template covers is then searched for words that limit the
use, name copyleft or grant rights: a text with an unread part is unknown, never permissive.

Cost: about 0.5 s once for the index, then 2-10 ms for a new text and 20 us for one seen before.
Blind spots: "only" and "or later" of the GNU licences cannot be told from their texts ("only" is
concluded); translations; pictures of licences.
"""

from __future__ import annotations

import functools
import hashlib
import html
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from tritter_assets.contracts.policy_model import scancode_category
from tritter_assets.licensing.alignment import LIMITING
from tritter_assets.licensing.expression import join_and, join_or, license_ids
from tritter_assets.licensing.notice import (
    RESTRICTIVE,
    guard_words,
    names_copyleft,
    read_notice,
)
from tritter_assets.licensing.templates import GRAM, TemplateIndex, template_index
from tritter_assets.licensing.words import license_words
from tritter_assets.record import NOASSERTION

STAGE_VERSION = "2"  # near texts are aligned word by word, LGPL-3.0 alone is known, markup is read

_MAX_WORDS = 60_000
_MAX_PARTS = 40
_VERBATIM = 0.985
_NOTICE_WORDS = 600
_OPENING_WORDS = 150
"""A choice between two texts is offered in a few lines above them; longer openings are history."""

_MARKUP = re.compile(
    r"&(?:[lg]t|amp|quot|nbsp|copy|[lr][sd]quo|#x?[0-9a-fA-F]{2,4});|</?p>|<br ?/?>"
)
_TAG = re.compile(
    r"</?(?:a|b|body|blockquote|br|center|code|div|em|font|h[1-6]|head|hr|html|i|li|meta|ol|p|pre|"
    r"span|strong|sup|table|tbody|td|th|title|tr|tt|u|ul)\b[^<>]*>",
    re.I,
)
_LAST_LATIN = "\u024f"
_FOREIGN_LETTERS = 400
"""Names of holders are shorter; a translated licence is longer and cannot be read here."""
_BILINGUAL = ("mulan", "taiwan")
"""Licences that SPDX prints in Chinese and English, one below the other."""
_PUBLIC_DOMAIN_WORDS = 120
"""In a longer text "is in the public domain" speaks of something that the text deals with."""

_KNOWN_AS = {"BSD-3-Clause-Tso": "BSD-3-Clause", "X11-no-permit-persons": "X11"}
"""Ids that license-expression 30.4.4 lacks: the same terms, a word or a sentence different."""

_ALTERNATIVE = re.compile(
    r"\balternatively (?:this|the) \w+(?: \w+){0,3} may be (?:used|(?:re)?distributed|modified)"
    r" under (?:the terms of )?(?:version \d of )?the gnu (?:lesser |library )?general public"
    r" license(?: \w+){0,90}?"
    r"(?: bsdstyle copyright|(?= (?:this|the) software is provided)|(?= no warranty))"
)
"""The old offer of the GPL between the terms and the disclaimer of a BSD text."""
_LLVM = re.compile(
    r"llvm exceptions? to the apache 2 0 license .{0,1400}?with respect to the combined software"
)
_GRANT = re.compile(
    r"\bpermission (?:is|to use|is hereby)\b.{0,80}\b(?:granted|use copy)|"
    r"redistribution and use in|"
    r"\bhereby grants? (?:you|to)|\bgrants? you a (?:world|non)|\byou (?:may|can) (?:use|copy|"
    r"redistribute) (?:this|the) (?:software|code|file|program)"
)
_CHOICE = re.compile(
    r"\b(?:under|of|with) either\b|\bat your (?:option|choice)\b|\byour choice\b|\bdual ?licens|"
    r"\bone or the other of th"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One licence text found inside a text."""

    spdx: str
    score: float


@dataclass(frozen=True, slots=True)
class Identification:
    """What a text holds."""

    spdx: str
    """SPDX expression, or NOASSERTION."""
    confidence: float
    method: str
    """`template`, `notice`, `guard` (a part takes rights away or grants unread ones) or `none`."""
    parts: tuple[Part, ...] = ()
    note: str = ""


_PUBLIC_DOMAIN = "LicenseRef-scancode-public-domain"
_UNKNOWN = Identification(NOASSERTION, 0.0, "none")


def identify_text(text: str) -> Identification:
    """Identifies the licences of a text.

    Args:
        text: A licence file, a header block, a notice.

    Returns:
        The identification; the same for every text of the same words.
    """
    return _by_digest(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), _Text(text))


class _Text:
    """Carries a text past the cache without being part of the key."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __hash__(self) -> int:
        return 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Text)


@functools.lru_cache(maxsize=50_000)
def _by_digest(_: bytes, text: _Text) -> Identification:
    value = text.value
    if _MARKUP.search(value):
        value = html.unescape(_TAG.sub(" ", value))
    low = value.lower()
    bilingual = any(name in low for name in _BILINGUAL)
    foreign = 0 if low.isascii() else sum(map(_LAST_LATIN.__lt__, value))
    if not bilingual and foreign > _FOREIGN_LETTERS:
        return Identification(
            NOASSERTION, 0.4, "guard", (), "holds a passage that is not in Latin letters"
        )
    return _by_words(" ".join(license_words(value)))


@functools.lru_cache(maxsize=20_000)
def _by_words(joined: str) -> Identification:
    offer = _ALTERNATIVE.search(joined)
    if offer is not None:
        return _offered(joined[: offer.start()] + joined[offer.end() :], offer.group())
    words = joined.split()
    if len(words) < GRAM or len(words) > _MAX_WORDS:
        return _identify_short(joined)
    index = template_index()
    grams = index.grams(words)
    parts, spans = _parts(index, grams, words)
    if not parts:
        return _identify_short(joined)
    return _conclude(words, parts, spans)


def _offered(terms: str, offer: str) -> Identification:
    """Joins a permissive text with the copyleft licence that it offers instead."""
    found, instead = _by_words(terms), read_notice(offer)
    if found.spdx == NOASSERTION or instead is None or instead.expression == NOASSERTION:
        return Identification(NOASSERTION, 0.4, "guard", found.parts, "offers what cannot be read")
    both = join_or([found.spdx, instead.expression])
    return Identification(both, found.confidence, found.method, found.parts)


def _identify_short(joined: str) -> Identification:
    notice = read_notice(joined) if joined.count(" ") < _NOTICE_WORDS else None
    if notice is None:
        return _UNKNOWN
    if notice.expression == _PUBLIC_DOMAIN and joined.count(" ") > _PUBLIC_DOMAIN_WORDS:
        return _UNKNOWN
    if _GRANT.search(joined) and not any(map(_is_copyleft, license_ids(notice.expression))):
        return Identification(
            NOASSERTION, 0.4, "guard", (), "names a licence over a text that is not that licence's"
        )
    return Identification(notice.expression, notice.confidence, "notice")


def _parts(
    index: TemplateIndex, grams: Any, words: list[str]
) -> tuple[list[Part], list[tuple[int, int]]]:
    """Returns the parts found and their half-open word spans."""
    parts: list[Part] = []
    spans: list[tuple[int, int]] = []
    grams, left, joined = grams.copy(), list(words), " ".join(words)
    while len(parts) < _MAX_PARTS:
        best = index.best(grams, left, joined)
        if best is None:
            break
        parts.append(Part(_KNOWN_AS.get(best.spdx, best.spdx), round(best.score, 4)))
        spans.append((best.start, best.end))
        grams[max(0, best.start - GRAM + 1) : best.end] = 0
        left[best.start : best.end] = [""] * (best.end - best.start)
    return parts, spans


def _conclude(words: list[str], parts: list[Part], spans: list[tuple[int, int]]) -> Identification:
    first = min(start for start, _ in spans)
    covered = np.zeros(len(words), bool)
    for start, end in spans:
        covered[start:end] = True
    rest = " ".join(word for word, hidden in zip(words, covered, strict=True) if not hidden)
    names = {part.spdx for part in parts}
    rest, exceptions = _LLVM.subn(" ", rest)
    if exceptions and "Apache-2.0" in names:
        names = names - {"Apache-2.0"} | {"Apache-2.0 WITH LLVM-exception"}
    ids = sorted(names)
    found = tuple(sorted(parts, key=lambda part: part.spdx))
    confidence = min(part.score for part in parts)
    if RESTRICTIVE.search(rest):
        return Identification(
            NOASSERTION, 0.4, "guard", found, "beside the text stand words that limit the use"
        )
    if names_copyleft(rest) and not any(_is_copyleft(part.spdx) for part in parts):
        # A copyleft notice beside a permissive text: both apply, if the notice can be read at all.
        notice = read_notice(rest) if rest.count(" ") < _NOTICE_WORDS else None
        if notice is None or not any(map(_is_copyleft, license_ids(notice.expression))):
            return Identification(
                NOASSERTION, 0.4, "guard", found, "beside the text a copyleft licence is named"
            )
        both = join_and([*ids, *license_ids(notice.expression)])
        return Identification(both, min(confidence, 0.8), "notice", found)
    if _limits_beyond(words, parts) or _adds_limits(words, parts, spans):
        return Identification(
            NOASSERTION,
            0.4,
            "guard",
            found,
            "limits the use in words that its licence does not have",
        )
    if _GRANT.search(rest):
        return Identification(
            NOASSERTION, 0.4, "guard", found, "a part grants rights in words that are not SPDX"
        )
    opening = " ".join(words[: first if first <= _OPENING_WORDS else 0])
    join = join_or if len(ids) == 2 and _CHOICE.search(opening) else join_and
    return Identification(join(ids), confidence, "template", found)


def _limits_beyond(words: list[str], parts: list[Part]) -> bool:
    """Whether a text limits or shares alike in words that its permissive templates do not have.

    Near-identical families need it: an edited CC-BY-SA text is 0.97 CC-BY.
    """
    if any(_is_copyleft(part.spdx) for part in parts):
        return False
    text = _LLVM.sub(" ", " ".join(words))
    own: set[str] = set()
    for part in parts:
        own |= template_index().guard_words(part.spdx)
    return not guard_words(text) <= own


def _adds_limits(words: list[str], parts: list[Part], spans: list[tuple[int, int]]) -> bool:
    """Whether a permissive text was edited so that it speaks of a use that it did not speak of."""

    def limits(of: list[str]) -> Counter[str]:
        return Counter(word for word in of if word in LIMITING)

    return any(
        (limits(words[start:end]) - limits(template_index().words_of(part.spdx))).total() > 0
        for part, (start, end) in zip(parts, spans, strict=True)
        if part.score < _VERBATIM and not _is_copyleft(part.spdx)
    )


def _is_copyleft(spdx: str) -> bool:
    return scancode_category(spdx) not in ("Permissive", "Public Domain")
