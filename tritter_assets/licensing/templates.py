"""The SPDX templates as an index of 3-grams, and the stretch of a text that a template covers best.

A text becomes numbers of words, these become packed 3-grams. A template is a candidate when enough
of its own grams stand in the text; the densest window of its length is then found with sums over
the gram hits, and scored by the Sorensen-Dice overlap as multisets. What comes near, but not to the
threshold, is aligned word by word (`alignment.py`).

Cost: the index takes 0.5 s once and 12 MB; a look-up 1-3 ms, 5 ms more where words are aligned.
"""

from __future__ import annotations

import functools
import lzma
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tritter_assets.licensing.alignment import MAX_WORDS, agreement
from tritter_assets.licensing.notice import guard_words

GRAM = 3
"""Words that stand together in the index."""
THRESHOLD = 0.9
"""Least score at which a template counts as present."""

_NEAR = 0.72
"""Least share of a template's grams, and least Dice score, at which words are aligned."""
_MAX_NEAR = 6
_MARGIN_WORDS = 12
_TIE = 0.015
_A_CLAUSE_MORE = 1.08
_MAX_CANDIDATES = 48
_BITS = 21

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


@dataclass(frozen=True, slots=True)
class Match:
    """A template and the half-open stretch of words that it covers."""

    spdx: str
    score: float
    start: int
    end: int
    size: int
    """3-grams of the template; of two that fit equally the longer one is meant."""
    exact: bool
    """False when the words were aligned because too many 3-grams differ."""


@dataclass(frozen=True, slots=True)
class _Text:
    """The grams of a text, and the same as sorted distinct grams with the place of each."""

    grams: Any
    present: Any
    places: Any


class TemplateIndex:
    """The templates as sorted arrays of 3-grams: about 12 MB, built once."""

    def __init__(self, templates: dict[str, str]) -> None:
        self._templates = templates
        self._guards: dict[str, set[str]] = {}
        self._ids: list[str] = []
        self._sizes: list[int] = []
        self._own: list[Any] = []
        self._variants: list[list[str]] = []
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
            grams = packed[start : start + max(0, len(words) - GRAM + 1)]
            start += len(words) + 1
            if len(grams) >= 12:  # shorter texts ("Fair", "any-OSI") match anything
                self._ids.append(spdx)
                self._variants.append(words)
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
        if len(array) < GRAM:
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

    def best(self, grams: Any, words: list[str], joined: str) -> Match | None:
        """Returns the best template's place among the words, or None below the threshold.

        Args:
            grams: As `grams` gives them, 0 where they are covered already.
            words: The words, empty where they are covered already.
            joined: All words of the text; look-alikes ask it for their distinctive word.
        """
        text = _Text(grams, *np.unique(grams, return_inverse=True))
        contained = self._contained(text)
        if contained is None:
            return None
        candidates = np.flatnonzero(contained >= _NEAR)
        candidates = np.array(
            [c for c in candidates if _REQUIRED.get(self._ids[c], "") in joined], np.int64
        )
        candidates = candidates[np.argsort(-contained[candidates], kind="stable")]
        far = contained[candidates] >= THRESHOLD * 0.85
        whole = [self._window(text, int(c), THRESHOLD) for c in candidates[far][:_MAX_CANDIDATES]]
        scored = [match for match in whole if match is not None]
        if not scored:
            near = (self._aligned(text, words, int(c)) for c in candidates[:_MAX_NEAR])
            scored = [match for match in near if match is not None]
        if not scored:
            return None
        best = min(scored, key=lambda match: (-match.score, len(match.spdx), match.spdx))
        # A text that holds a clause more contains the shorter one, too, and is nearly as like it.
        longer = [
            match
            for match in scored
            if match.score >= best.score - _TIE and match.size > best.size * _A_CLAUSE_MORE
        ]
        return max(longer, key=lambda match: (match.size, match.score)) if longer else best

    def words_of(self, spdx: str) -> list[str]:
        """Returns the words of a template."""
        return self._templates[spdx].split()

    def _contained(self, text: _Text) -> Any:
        """Returns the share of each template's grams that stand in the text; None if none does."""
        present = text.present[text.present != 0]
        at = np.searchsorted(self._keys, present)
        at[at == len(self._keys)] = 0
        at = at[self._keys[at] == present]
        starts, lengths = self._starts[at], self._ends[at] - self._starts[at]
        if lengths.sum() == 0:
            return None
        offsets = np.repeat(starts - np.append(0, lengths.cumsum()[:-1]), lengths)
        owners = self._owners[offsets + np.arange(lengths.sum())]
        return np.bincount(owners, minlength=len(self._own)) / self._unique_sizes

    def _aligned(self, text: _Text, words: list[str], which: int) -> Match | None:
        if self._sizes[which] > MAX_WORDS:
            return None
        near = self._window(text, which, _NEAR)
        if near is None:
            return None
        start = max(0, near.start - _MARGIN_WORDS)
        end = min(len(words), near.end + _MARGIN_WORDS)
        found = agreement(self._variants[which], words[start:end])
        if found is None:
            return None
        return Match(
            near.spdx, found.score, start + found.start, start + found.end, near.size, exact=False
        )

    def _window(self, text: _Text, which: int, least: float) -> Match | None:
        grams, size, own = text.grams, self._sizes[which], self._own[which]
        # Both sides are sorted once; `np.isin` sorts anew, which was two thirds of a new text.
        hit = (own[np.searchsorted(own[:-1], text.present)] == text.present)[text.places]
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
            if 2 * min(len(matched), size) / (size + high - low) < max(best[0], least):
                continue
            # As multisets: the start of a second copy must not stand in for a missing end.
            inside, counts = np.unique(grams[low:high][hit[low:high]], return_counts=True)
            known = self._counts[which][np.searchsorted(self._own[which], inside)]
            score = 2 * int(np.minimum(counts, known).sum()) / (size + high - low)
            best = max(best, (score, low, high), key=lambda entry: entry[0])
        score, low, high = best
        if score < least:
            return None
        return Match(self._ids[which], score, low, high + GRAM - 1, size, exact=True)


_LGPL_3_ENDS_BEFORE = "gnu general public license version 3 29 june 2007"
"""SPDX prints the GPL below the LGPL; most files hold the LGPL alone."""


def _variants(text: str) -> list[list[str]]:
    """Returns the words of a template and of what people leave of it."""
    texts = [text]
    for cut in _VARIANT_CUTS:
        at = text.find(cut)
        if at > len(text) // 3:
            texts.append(text[: at + len(cut)])
    if text.startswith("gnu lesser general public license version 3"):
        texts.append(text[: text.find(_LGPL_3_ENDS_BEFORE)])
    for begin in _VARIANT_STARTS:
        texts += [part[part.find(begin) :] for part in texts if begin in part]
    return [part.split() for part in dict.fromkeys(texts)]


@functools.cache
def template_index() -> TemplateIndex:
    """Returns the index over `spdx_templates.tsv.xz`, built on first use."""
    path = Path(__file__).with_name("spdx_templates.tsv.xz")
    lines = lzma.decompress(path.read_bytes()).decode("ascii").split("\n")
    return TemplateIndex(dict(line.split("\t") for line in lines if line))
