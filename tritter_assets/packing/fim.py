"""Filling in the middle: where a code document is cut, decided by its id alone.

Prefix-suffix-middle order, cuts at uniformly drawn characters (Bavarian et al. 2022, section 3).
"""

from __future__ import annotations

from dataclasses import dataclass

import xxhash

from tritter_assets.mixes.sample import HASH_MAX, salt_of

_LEAST_CHARS = 16
"""Shorter documents are left whole."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Half-open range of characters that is moved to the end."""

    start: int
    end: int


def fim_cut(doc_id: str, num_chars: int) -> Cut | None:
    """Returns where a document is cut, or None when it is too short."""
    if num_chars < _LEAST_CHARS:
        return None
    places = sorted(
        xxhash.xxh3_64_intdigest(doc_id.encode(), seed=salt_of("fim", side)) % (num_chars + 1)
        for side in (0, 1)
    )
    return Cut(places[0], places[1])


def takes_fim(doc_id: str, rate: float) -> bool:
    """True when a document is among the part `rate` that is cut."""
    chance = xxhash.xxh3_64_intdigest(doc_id.encode(), seed=salt_of("fim", "rate"))
    return chance < rate * (HASH_MAX + 1)
