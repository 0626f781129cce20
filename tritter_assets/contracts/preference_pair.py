"""`preference_pair` of a source contract: how upstream says which of its answers is the better one.

```yaml
- property: preference_pair        # two columns and a number: below `neutral` the first is better
  value: {first: response1, second: response2, score: overall_preference}

- property: preference_pair        # a list of answers, each with a rank: the lowest is the best
  value: {answers: prompt.replies, text: text, rank: rank, skip_when: [deleted, synthetic]}
```

The pair is mapped as the columns `pair.chosen` and `pair.rejected`. A row without a judgement, or
with a tie, has no pair and is counted as `not_selected`.
"""

from __future__ import annotations

from dataclasses import dataclass

from tritter_assets.contracts.fields import FieldReader

PAIR = "pair"
"""The name under which `columns` refers to the pair."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePair:
    """Either `first`, `second` and `score`, or `answers`, `text` and `rank`; dotted paths."""

    first: str | None = None
    second: str | None = None
    score: str | None = None
    """A number: below `neutral` the first is better, above it the second, at it there is a tie."""
    neutral: float = 0.0
    """0.5 where upstream writes 0 for the first and 1 for the second."""
    answers: str | None = None
    text: str | None = None
    """Inside an answer."""
    rank: str | None = None
    """Inside an answer; the best has the lowest."""
    skip_when: tuple[str, ...] = ()
    """Flags inside an answer; one that is true takes the answer out."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Paths into the upstream row."""
        named = (self.answers,) if self.answers else (self.first, self.second, self.score)
        return tuple(name for name in named if name)


def parse_preference_pair(reader: FieldReader) -> PreferencePair | None:
    """Reads the custom property; problems go to the reader."""
    found = reader.record(PreferencePair)
    if found is None:
        return None
    signed, ranked = (
        (found.first, found.second, found.score),
        (
            found.answers,
            found.text,
            found.rank,
        ),
    )
    if not (all(signed) and not any(ranked)) and not (all(ranked) and not any(signed)):
        reader.problem(
            "first",
            "does not make a pair",
            "write first, second and score, or answers, text and rank",
        )
        return None
    return found
