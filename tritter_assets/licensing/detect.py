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
import lzma
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tritter_assets.contracts.policy_model import scancode_category
from tritter_assets.licensing.expression import join_and, join_or, license_ids
from tritter_assets.licensing.notice import (
    RESTRICTIVE,
    guard_words,
    names_copyleft,
    read_notice,
)
from tritter_assets.licensing.words import license_words
from tritter_assets.record import NOASSERTION

STAGE_VERSION = "1"

THRESHOLD = 0.9
"""Least Dice score at which a template counts as present."""

_TIE = 0.015
_GRAM = 3
_MAX_WORDS = 60_000
_MAX_PARTS = 40
_MAX_CANDIDATES = 48
_NOTICE_WORDS = 600
_OPENING_WORDS = 150
"""A choice between two texts is offered in a few lines above them; longer openings are history."""
_BITS = 21
_MASK_GAP = np.uint64(0)

_VARIANT_CUTS = (
    "accepting any such warranty or additional liability",
    "end of terms and conditions",
    "exhibit a source code form license notice",
    "creative commons is not a party to its public licenses",
    "creative commons may be contacted at",
)
"""Many files stop where the terms end and leave the appendix out."""
_VARIANT_STARTS = ("statement of purpose", "by exercising the licensed rights")

_REQUIRED = {
    "Pixar": "modified apache",
    "BSD-3-Clause-No-Nuclear-License": "nuclear",
    "BSD-3-Clause-No-Nuclear-License-2014": "nuclear",
    "BSD-3-Clause-No-Nuclear-Warranty": "nuclear",
    "BSD-3-Clause-No-Military-License": "military",
    "BSD-3-Clause-Open-MPI": "patent",
}
"""Look-alikes count only where their distinctive word stands in the text."""

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
    r"\b(?:under|of|with) either\b|\bat your (?:option|choice)\b|\byour choice\b|\bdual ?licens"
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
    return _by_words(" ".join(license_words(text.value)))


@functools.lru_cache(maxsize=20_000)
def _by_words(joined: str) -> Identification:
    words = joined.split()
    if len(words) < _GRAM or len(words) > _MAX_WORDS:
        return _identify_short(joined)
    index = template_index()
    grams = index.grams(words)
    parts, spans = _parts(index, grams, joined)
    if not parts:
        return _identify_short(joined)
    return _conclude(words, parts, spans)


def _identify_short(joined: str) -> Identification:
    notice = read_notice(joined) if joined.count(" ") < _NOTICE_WORDS else None
    if notice is None:
        return _UNKNOWN
    if _GRANT.search(joined) and not any(map(_is_copyleft, license_ids(notice.expression))):
        return Identification(
            NOASSERTION, 0.4, "guard", (), "names a licence over a text that is not that licence's"
        )
    return Identification(notice.expression, notice.confidence, "notice")


def _parts(
    index: TemplateIndex, grams: Any, joined: str
) -> tuple[list[Part], list[tuple[int, int]]]:
    """Returns the parts found and their half-open word spans."""
    parts: list[Part] = []
    spans: list[tuple[int, int]] = []
    grams = grams.copy()
    while len(parts) < _MAX_PARTS:
        best = index.best(grams, joined)
        if best is None:
            break
        spdx, score, start, end = best
        parts.append(Part(spdx, round(score, 4)))
        spans.append((start, end + _GRAM - 1))
        grams[max(0, start - _GRAM + 1) : end + _GRAM - 1] = _MASK_GAP
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
    if _limits_beyond(words, parts):
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


def _is_copyleft(spdx: str) -> bool:
    return scancode_category(spdx) not in ("Permissive", "Public Domain")


class TemplateIndex:
    """The templates as sorted arrays of 3-grams: about 12 MB, built once."""

    def __init__(self, templates: dict[str, str]) -> None:
        self._templates = templates
        self._guards: dict[str, set[str]] = {}
        self._ids: list[str] = []
        self._sizes: list[int] = []
        self._own: list[Any] = []
        self._counts: list[Any] = []
        variants = [(spdx, words) for spdx, text in templates.items() for words in _variants(text)]
        # A variant is followed by a gap, so that all grams can be packed at once.
        stream = [word for _, words in variants for word in (*words, "")]
        distinct = dict.fromkeys(stream)
        del distinct[""]
        self._vocabulary = dict(zip(distinct, range(1, len(distinct) + 1), strict=True))
        numbers = {"": 0, **self._vocabulary}
        packed = self._pack(list(map(numbers.__getitem__, stream)))
        start = 0
        for spdx, words in variants:
            grams = packed[start : start + max(0, len(words) - _GRAM + 1)]
            start += len(words) + 1
            if len(grams) >= 12:  # shorter texts ("Fair", "any-OSI") match anything
                self._ids.append(spdx)
                self._sizes.append(len(grams))
                own, counts = np.unique(grams, return_counts=True)
                self._own.append(own)
                self._counts.append(counts)
        owners = np.repeat(np.arange(len(self._own), dtype=np.int32), [len(o) for o in self._own])
        everything = np.concatenate(self._own)
        order = np.argsort(everything, kind="stable")
        self._owners = owners[order]
        self._keys, self._starts = np.unique(everything[order], return_index=True)
        self._ends = np.append(self._starts[1:], len(everything))
        self._unique_sizes = np.array([len(own) for own in self._own], np.float64)

    @staticmethod
    def _pack(numbers: list[int]) -> Any:
        array = np.array(numbers, np.uint64)
        if len(array) < _GRAM:
            return np.zeros(0, np.uint64)
        one, two, three = array[:-2], array[1:-1], array[2:]
        packed = (one << np.uint64(2 * _BITS)) | (two << np.uint64(_BITS)) | three
        packed[(one == 0) | (two == 0) | (three == 0)] = 0
        return packed

    def guard_words(self, spdx: str) -> set[str]:
        """Returns the limiting words that a template itself has."""
        if spdx not in self._guards:
            self._guards[spdx] = guard_words(self._templates[spdx])
        return self._guards[spdx]

    def grams(self, words: list[str]) -> Any:
        """Returns the packed 3-grams of words; 0 where a word is in no template."""
        get = self._vocabulary.get
        return self._pack([get(word, 0) for word in words])

    def best(self, grams: Any, joined: str) -> tuple[str, float, int, int] | None:
        """Returns (id, score, start, end in grams) of the best template, or None below 0.9."""
        present = np.unique(grams[grams != 0])
        if len(present) == 0:
            return None
        at = np.searchsorted(self._keys, present)
        at[at == len(self._keys)] = 0
        at = at[self._keys[at] == present]
        starts, lengths = self._starts[at], self._ends[at] - self._starts[at]
        if lengths.sum() == 0:
            return None
        offsets = np.repeat(starts - np.append(0, lengths.cumsum()[:-1]), lengths)
        owners = self._owners[offsets + np.arange(lengths.sum())]
        contained = np.bincount(owners, minlength=len(self._own)) / self._unique_sizes
        candidates = np.flatnonzero(contained >= THRESHOLD * 0.85)
        candidates = np.array(
            [c for c in candidates if _REQUIRED.get(self._ids[c], "") in joined], np.int64
        )
        candidates = candidates[np.argsort(-contained[candidates], kind="stable")]
        scored = [
            (*self._window(grams, int(which)), int(which)) for which in candidates[:_MAX_CANDIDATES]
        ]
        scored = [entry for entry in scored if entry[0] >= THRESHOLD]
        if not scored:
            return None
        top = max(entry[0] for entry in scored)
        score, start, end, which = max(
            (entry for entry in scored if entry[0] >= top - _TIE),
            key=lambda entry: (self._sizes[entry[3]], entry[0], self._ids[entry[3]]),
        )
        return self._ids[which], float(score), start, end

    def _window(self, grams: Any, which: int) -> tuple[float, int, int]:
        size = self._sizes[which]
        hit = np.isin(grams, self._own[which])
        total = np.concatenate([[0], hit.cumsum()])
        best = (0.0, 0, 0)
        for stretch in (1.0, 1.1, 1.25):
            length = min(len(grams), int(size * stretch) + 1)
            inside = total[length:] - total[:-length]
            start = int(inside.argmax())
            matched = np.flatnonzero(hit[start : start + length])
            if len(matched) == 0:
                continue
            low, high = start + int(matched[0]), start + int(matched[-1]) + 1
            if 2 * min(len(matched), size) / (size + high - low) < max(best[0], THRESHOLD):
                continue
            # As multisets: the start of a second copy must not stand in for a missing end.
            inside, counts = np.unique(grams[low:high][hit[low:high]], return_counts=True)
            known = self._counts[which][np.searchsorted(self._own[which], inside)]
            score = 2 * int(np.minimum(counts, known).sum()) / (size + high - low)
            best = max(best, (score, low, high), key=lambda entry: entry[0])
        return best


def _variants(text: str) -> list[list[str]]:
    """Returns the words of a template and of what people leave of it."""
    texts = [text]
    for cut in _VARIANT_CUTS:
        at = text.find(cut)
        if at > len(text) // 3:
            texts.append(text[: at + len(cut)])
    for begin in _VARIANT_STARTS:
        texts += [part[part.find(begin) :] for part in texts if begin in part]
    return [part.split() for part in dict.fromkeys(texts)]


@functools.cache
def template_index() -> TemplateIndex:
    """Returns the index over `spdx_templates.tsv.xz`, built on first use."""
    path = Path(__file__).with_name("spdx_templates.tsv.xz")
    lines = lzma.decompress(path.read_bytes()).decode("ascii").split("\n")
    return TemplateIndex(dict(line.split("\t") for line in lines if line))
