"""Word by word: whether a stretch of text is a licence's text with another holder's name in it.

The 3-grams of `templates.py` lose three grams for each changed word, so a BSD text that names its
holder four times falls below the threshold. Here the two are aligned word by word. What may differ
is small: no run of more than a dozen words may be lost or put in, and the words that turn a
permission into a limit ("not", "only", "commercial", "fee") must stand in both equally often.

Cost: 1-3 ms for a text of 200-400 words; only texts that come near a template are aligned.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise

LEAST = 0.9
"""Least share of words in common."""
MAX_WORDS = 3_000
"""Longer licences name no holder within; aligning one would take 100 ms and more."""

_MAX_LOST = 10
_MAX_PUT_IN = 16
# fmt: off
LIMITING = frozenset({
    "fee", "fees", "royalty", "royalties", "charge", "charged", "commercial", "noncommercial",
    "noncommercially", "commercially", "sell", "sold", "selling", "sale", "military", "nuclear",
    "weapons", "evil", "prohibited", "forbidden", "restricted", "disallowed", "educational",
    "academic", "research", "personal", "internal", "evaluation", "ethical", "unethical",
})
"""Words that speak of a use: an edit that adds one may have taken it away."""
_TURNING = LIMITING | {
    "not", "no", "non", "nor", "neither", "only", "except", "unless", "without", "cannot", "never",
    "must", "patent", "patents", "derivative", "derivatives", "gpl", "copyleft",
}
# fmt: on
_SAME = {"neither": "not", "nor": "not", "no": "not", "cannot": "not"}
"""`the name of X may not be used` and `neither the name of X nor the names of ...` say the same."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a stretch of words agrees with a template."""

    score: float
    """Twice the words in common over all words of both."""
    start: int
    end: int
    """First and past-the-last word of the stretch that the template covers."""


def agreement(own: Sequence[str], words: Sequence[str]) -> Agreement | None:
    """Aligns a template with a stretch of text.

    Args:
        own: Words of the template.
        words: Words of the stretch, with a few more on either side.

    Returns:
        The agreement, or None when too much differs or a turning word does.
    """
    matcher = SequenceMatcher(None, own, words, autojunk=False)
    blocks = [block for block in matcher.get_matching_blocks() if block.size]
    if not blocks:
        return None
    start, end = blocks[0].b, blocks[-1].b + blocks[-1].size
    common = sum(block.size for block in blocks)
    score = 2 * common / (len(own) + end - start)
    lost = [blocks[0].a, len(own) - blocks[-1].a - blocks[-1].size]
    put_in = [0]
    for one, other in pairwise(blocks):
        lost.append(other.a - one.a - one.size)
        put_in.append(other.b - one.b - one.size)
    if score < LEAST or max(lost) > _MAX_LOST or max(put_in) > _MAX_PUT_IN:
        return None
    if _turning(own) != _turning(words[start:end]):
        return None
    return Agreement(score, start, end)


def _turning(words: Sequence[str]) -> Counter[str]:
    """Counts the words that can turn a permission into a limit.

    "not limited to" limits nothing, and "even if not advised" disclaims only.
    """
    return Counter(
        _SAME.get(word, word)
        for word, following in zip(words, (*words[1:], ""), strict=True)
        if word in _TURNING and word != "nor" and following not in ("limited", "advised")
    )
