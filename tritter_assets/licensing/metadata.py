"""Package metadata: the PEP 639 expression, else the License field, else trove classifiers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tritter_assets.contracts.policy_model import Policy
from tritter_assets.licensing.detect import identify_text
from tritter_assets.licensing.expression import join_and, license_ids, normalize
from tritter_assets.record import NOASSERTION


@dataclass(frozen=True, slots=True)
class MetadataFinding:
    """What the metadata of a package concludes."""

    expression: str
    kind: str
    value: str
    confidence: float


def read_metadata(metadata: Sequence[tuple[str, str]], policy: Policy) -> MetadataFinding | None:
    """Reads the three encodings, the most exact first.

    A later encoding is read only when the earlier says nothing that can be read. Several
    classifiers mean AND, because nothing says that one may choose.

    Args:
        metadata: (kind, value); kind is `license_expression`, `license` or `classifier`.
        policy: Supplies the aliases.

    Returns:
        The finding, or None when there is no metadata on the licence. Metadata that cannot be read
        gives NOASSERTION.
    """
    by_kind: dict[str, list[str]] = {}
    for kind, value in metadata:
        if value.strip():
            by_kind.setdefault(kind, []).append(value.strip())
    expressions = by_kind.get("license_expression", [])
    if expressions:
        expression = join_and(normalize(value, policy) for value in expressions)
        return MetadataFinding(expression, "license_expression", expressions[0][:200], 0.95)
    fields = by_kind.get("license", [])
    read = join_and(_read_field(value, policy) for value in fields)
    classifiers = [
        value for value in by_kind.get("classifier", []) if value.startswith("License ::")
    ]
    # "License :: OSI Approved" alone is a heading, not a licence.
    named = [value for value in classifiers if value.count("::") > 1 or "Approved" not in value]
    classified = join_and(normalize(value, policy) for value in named)
    if read != NOASSERTION:
        confidence = 0.9
        if classified != NOASSERTION and set(license_ids(classified)) - set(license_ids(read)):
            # The field says BSD, a classifier GPL: both are the package's own words.
            return MetadataFinding(join_and([read, classified]), "license", fields[0][:200], 0.7)
        return MetadataFinding(read, "license", fields[0][:200], confidence)
    if classified != NOASSERTION:
        return MetadataFinding(classified, "classifier", named[0][:200], 0.85)
    if fields or named:
        return MetadataFinding(NOASSERTION, "license", (fields + named)[0][:200], 0.0)
    return None


def _read_field(value: str, policy: Policy) -> str:
    if "\n" in value or len(value) > 200:  # the whole text, as older packages do
        found = identify_text(value)
        return found.spdx if found.confidence >= 0.8 else NOASSERTION
    return normalize(value, policy)
