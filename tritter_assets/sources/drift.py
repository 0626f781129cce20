"""What upstream says against what the contract says it said: the differences and what they mean.

| what differs | level |
|---|---|
| licence tag, gate, repository gone, pinned bytes changed | error |
| the contract's licence or gate contradicts what is found | error |
| a mapped column is missing or has another type | error |
| an unpinned source was read at two revisions | error |
| README text, another column, release withdrawn, revision gone | warning |
| the contract pins no revision | warning |
| a newer revision: warning where the access terms ask for the newest one, otherwise | info |

The baseline of a field is the contract's `upstream`, and where that is silent the oldest
observation in the lake. Both the revision in use and upstream as it was last seen are held against
it. Everything is read from stored observations: the answer is the same whenever it is asked for.

A person accepts a difference by writing it into the contract (`tritter pin SOURCE --write
--accept`), or by a decision of kind `accept_upstream` whose subject names exactly these
differences: any further change makes another subject.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from tritter_assets.contracts.parse_source import UNPINNED
from tritter_assets.contracts.policy_model import DecisionKind, Policy
from tritter_assets.contracts.source import (
    NOTHING,
    HttpOrigin,
    HubOrigin,
    SourceContract,
    UpstreamClaim,
)
from tritter_assets.lake import Lake
from tritter_assets.licensing.expression import NONE, normalize
from tritter_assets.record import NOASSERTION
from tritter_assets.sources.mapping import ColumnMapping
from tritter_assets.sources.upstream import (
    CHANGED,
    GONE,
    MAIN,
    OK,
    REVISION_GONE,
    YANKED,
    Observation,
    latest,
    pinned_revision,
    read_observations,
)
from tritter_assets.sources.upstream_columns import NO_VALUE

if TYPE_CHECKING:
    from tritter_assets.contracts.catalog import Catalog

NEWEST_REQUIRED = frozenset({"stack_v1_terms", "stack_v2_terms"})
"""Access terms that ask for the newest usable version: what was taken out must go here too."""

_ABSENT = "absent"
_HASH = re.compile(r"\b(?:[0-9a-f]{40}|[0-9a-f]{64})\b")


class Level(StrEnum):
    """How much a difference matters."""

    ERROR = "error"
    WARN = "warning"
    INFO = "info"


_STATUS_LEVELS = {
    GONE: Level.ERROR,
    CHANGED: Level.ERROR,
    REVISION_GONE: Level.WARN,
    YANKED: Level.WARN,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Drift:
    """One field that upstream, the lake and the contract do not agree on."""

    field: str
    baseline: str
    used: str
    """At the revision that the lake's rows come from."""
    today: str
    """On upstream as it was last seen."""
    level: Level
    note: str
    rights: bool = False
    """It is about what we may do with the rows, so mixes refuse them until it is accepted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Assessment:
    """All differences of a source, the worst first."""

    source: str
    drifts: tuple[Drift, ...]
    subject: str
    """Names the errors to a decision of kind `accept_upstream`; empty when there is none."""
    accepted_by: str
    """Who accepted them and until when; empty when nobody did."""
    looked_at: str
    """When upstream was first seen to say what it says now; empty when nobody looked yet."""
    read_at: str
    """When the revision in use was first seen; empty when it was not."""

    @property
    def errors(self) -> tuple[Drift, ...]:
        """Errors that nobody accepted."""
        return self._at(Level.ERROR) if not self.accepted_by else ()

    @property
    def warnings(self) -> tuple[Drift, ...]:
        """Warnings."""
        return self._at(Level.WARN)

    @property
    def blocking(self) -> tuple[Drift, ...]:
        """Errors over rights: no mix takes a row of the source while one stands."""
        return tuple(drift for drift in self.errors if drift.rights)

    def _at(self, level: Level) -> tuple[Drift, ...]:
        return tuple(drift for drift in self.drifts if drift.level is level)

    def summary(self) -> str:
        """Says in one item per difference what it is, and at the end the way out; Markdown."""
        shown = [d for d in self.drifts if d.level is not Level.INFO]
        if not shown:
            return self._nothing_to_tell()
        lines = [f"- {d.level}: {d.field}: {_sentence(d)}" for d in shown]
        if self.accepted_by:
            lines.append(f"\nThe errors are accepted by {self.accepted_by}.")
        elif self.errors:
            lines.append(
                f"\nWay out: look at upstream, then `tritter pin {self.source} --write --accept`, "
                f"or sign a decision of kind {DecisionKind.ACCEPT_UPSTREAM} with the subject "
                f"{self.subject} in policy/decisions.yaml."
            )
        return "\n".join(lines)

    def _nothing_to_tell(self) -> str:
        if self.looked_at:
            return f"Upstream says what the contract says (first seen {self.looked_at})."
        if self.read_at:
            return (
                f"The revision read on {self.read_at} says what the contract says; upstream was "
                "not looked at since: the job observe_upstream does."
            )
        return "Nobody has looked at upstream yet: the job observe_upstream does."

    def table(self) -> str:
        """Returns the differences as a Markdown table."""
        lines = [
            "| level | field | contract or first look | revision in use | upstream today | note |",
            "|---|---|---|---|---|---|",
        ]
        for drift in self.drifts:
            cells = (
                drift.level, drift.field, drift.baseline, drift.used, drift.today, drift.note,
            )  # fmt: skip
            shown = (_short(cell).replace("|", "/") or "-" for cell in cells)
            lines.append(f"| {' | '.join(shown)} |")
        return "\n".join(lines)


def assess(
    contract: SourceContract,
    observations: Sequence[Observation],
    policy: Policy,
    use_profile: str,
) -> Assessment:
    """Compares the contract with all that was observed of its upstream.

    Args:
        contract: The source.
        observations: Of `read_observations`, the oldest first.
        policy: Supplies licence names, access terms and decisions.
        use_profile: Decisions of other use profiles do not count.
    """
    compared = _Comparison(contract, tuple(observations), policy) if observations else None
    found = sorted(
        compared.drifts() if compared else (),
        key=lambda drift: (list(Level).index(drift.level), drift.field),
    )
    errors = [
        (drift.field, drift.used, drift.today) for drift in found if drift.level is Level.ERROR
    ]
    subject = accepted_by = ""
    if errors:
        named = hashlib.sha256(json.dumps(errors).encode()).hexdigest()[:12]
        subject = f"{contract.id}@{named}"
        accepted_by = next(
            (
                f"{decision.who} until {decision.expires} (decision {decision.id})"
                for decision in policy.decisions
                if decision.kind is DecisionKind.ACCEPT_UPSTREAM
                and decision.subject == subject
                and decision.applies_to(use_profile)
            ),
            "",
        )
    main, used = (compared.main, compared.used) if compared else (None, None)
    return Assessment(
        source=contract.id,
        drifts=tuple(found),
        subject=subject,
        accepted_by=accepted_by,
        looked_at=main.observed_at if main else "",
        read_at=used.observed_at if used else "",
    )


class _Comparison:
    def __init__(
        self, contract: SourceContract, observations: tuple[Observation, ...], policy: Policy
    ) -> None:
        self.contract = contract
        self.policy = policy
        self.claim = contract.upstream or UpstreamClaim()
        self.first = observations[0]
        held = latest(observations)
        self.main = held.get(MAIN)
        self.pin = pinned_revision(contract)
        read = [o for o in observations if o.observer != MAIN]
        self.revisions = tuple(dict.fromkeys(o.facts.revision for o in read))
        if self.pin != UNPINNED:
            read = [o for o in read if o.facts.revision == self.pin]
        self.used = read[0] if read else None

    def drifts(self) -> Iterator[Drift]:
        yield from self._status()
        yield from self._revision()
        yield from self._license()
        yield from self._gate()
        readme = self.claim.readme_sha256 or self.first.facts.readme_sha256
        yield from self._field("readme_sha256", "README", readme, Level.WARN, "the card changed")
        yield from self._columns()
        if isinstance(self.contract.origin, HttpOrigin):
            note = "the address serves another file; the pinned one is known by its hash"
            size = str(self.first.facts.size_bytes)
            yield from self._field("size_bytes", "size", size, Level.WARN, note)

    def _status(self) -> Iterator[Drift]:
        facts = self.main.facts if self.main else None
        if facts is None or facts.status == OK:
            return
        yield Drift(
            field="repository" if facts.status == GONE else "revision",
            baseline=self.pin,
            used=self.used.facts.revision if self.used else "",
            today=facts.status.replace("_", " "),
            level=_STATUS_LEVELS.get(facts.status, Level.ERROR),
            note=facts.note,
            rights=facts.status == GONE,
        )

    def _revision(self) -> Iterator[Drift]:
        used = self.used.facts.revision if self.used else ""
        if not used and self.pin != UNPINNED and not isinstance(self.contract.origin, HubOrigin):
            used = self.pin  # a hash or a commit: the rows can come from nothing else
        today = self.main.facts.newest if self.main else ""
        fix = f"`tritter pin {self.contract.id} --write`, then materialise all shards"
        if self.pin == UNPINNED:
            if len(self.revisions) > 1:
                yield Drift(
                    field="shards",
                    baseline=used,
                    used=", ".join(self.revisions),
                    today=today,
                    level=Level.ERROR,
                    note=f"shards were read at more than one revision: {fix}",
                )
            yield Drift(
                field="pin",
                baseline=UNPINNED,
                used=used,
                today=today,
                level=Level.WARN,
                note=f"all shards are read at the first listing's revision; pin it: {fix}"
                if isinstance(self.contract.origin, HubOrigin)
                else f"nothing is read before it is pinned: {fix}",
            )
        if used and today and today != used:
            terms = self.policy.access_terms.get(self.contract.licence.access_terms)
            must = self.contract.licence.access_terms in NEWEST_REQUIRED
            clause = terms.title if terms is not None else ""
            yield Drift(
                field="newer revision",
                baseline=self.pin,
                used=used,
                today=today,
                level=Level.WARN if must else Level.INFO,
                note=f"the access terms ask for the newest usable version ({clause})"
                if must
                else "nothing asks you to move",
            )

    def _license(self) -> Iterator[Drift]:
        base = self.claim.licence_tag or self.first.facts.license_tag
        note = "upstream's licence is not what it was when its terms were read"
        yield from self._field("license_tag", "licence tag", base, Level.ERROR, note, rights=True)
        facts = self.used or self.main
        claimed = self._claimed()
        if claimed is None or facts is None:
            return
        tag = facts.facts.license_tag
        meant = normalize(tag, self.policy) if tag != NOTHING else NOASSERTION
        if meant == claimed or not tag:
            return
        silent = meant in (NOASSERTION, NONE)
        # Pinned with this tag, somebody has seen that the contract says something else.
        seen = self.claim.licence_tag == tag
        yield Drift(
            field="licence claim",
            baseline=claimed,
            used=tag,
            today=self.main.facts.license_tag if self.main else "",
            level=Level.INFO if seen else Level.WARN if silent else Level.ERROR,
            note="no tag confirms the contract's licence"
            if silent
            else f"the tag means {meant}; correct `licence` of the contract",
            rights=not silent and not seen,
        )

    def _claimed(self) -> str | None:
        """The licence that the contract gives the data set as a whole, if it gives one."""
        if not isinstance(self.contract.origin, HubOrigin):
            return None  # of an archive each file's licence is concluded from the archive itself
        licence = self.contract.licence
        for expression in (licence.wrapper, licence.content):
            if expression not in (NOASSERTION, NONE):
                return normalize(expression, self.policy)
        return None

    def _gate(self) -> Iterator[Drift]:
        base = self.claim.gated or self.first.facts.gate
        note = "who may read it, or on what terms, changed"
        yield from self._field("gate", "gate", base, Level.ERROR, note, rights=True)
        origin = self.contract.origin
        facts = self.main or self.used
        if self.claim.gated or facts is None or not isinstance(origin, HubOrigin):
            return
        gate = facts.facts.gate
        if gate and origin.gated != (gate != NOTHING):
            opened = gate == NOTHING
            yield Drift(
                field="gate claim",
                baseline=f"gated: {str(origin.gated).lower()}",
                used=self.used.facts.gate if self.used else "",
                today=gate,
                level=Level.WARN if opened else Level.ERROR,
                note="correct `gated` of the contract"
                + ("" if opened else " and name the terms in `licence.access_terms`"),
                rights=not opened,
            )

    def _field(
        self, name: str, title: str, baseline: str, level: Level, note: str, *, rights: bool = False
    ) -> Iterator[Drift]:
        used = _value(self.used, name)
        today = _value(self.main, name)
        if baseline and any(value not in ("", baseline) for value in (used, today)):
            yield Drift(
                field=title, baseline=baseline, used=used, today=today, level=level, note=note,
                rights=rights,
            )  # fmt: skip

    def _columns(self) -> Iterator[Drift]:
        base = dict(self.claim.columns or self.first.facts.columns)
        if not base:
            return
        mapped = set(_mapped(self.contract))
        looks = [o.facts.columns if o is not None else {} for o in (self.used, self.main)]
        for name in sorted(set(base).union(*looks)):
            was = base.get(name, _ABSENT)
            now = [look.get(name, _ABSENT) if look else "" for look in looks]
            if all(value in ("", was, NO_VALUE) or was == NO_VALUE for value in now):
                continue
            new = was == _ABSENT
            matters = name in mapped and not new
            yield Drift(
                field=f"column {name}",
                baseline=was,
                used=now[0],
                today=now[1],
                level=Level.ERROR if matters else Level.WARN,
                note="mapped by the contract"
                if matters
                else "new, not mapped"
                if new
                else "not mapped",
            )


def blocked_sources(lake: Lake, catalog: Catalog) -> dict[str, str]:
    """Returns the active sources whose rights changed upstream and why no mix may take them.

    From stored observations; a source that was never observed costs one look for its table.
    """
    blocked: dict[str, str] = {}
    for contract in catalog.active_sources():
        seen = read_observations(lake, contract.id)
        if not seen:
            continue
        found = assess(contract, seen, catalog.policy, catalog.profile.use_profile)
        if found.blocking:
            what = ", ".join(drift.field for drift in found.blocking)
            blocked[contract.id] = (
                f"upstream_drift of {contract.id} ({what}): look at upstream, then `tritter pin "
                f"{contract.id} --write --accept` or sign {found.subject}"
            )
    return blocked


def _mapped(contract: SourceContract) -> tuple[str, ...]:
    mapping = ColumnMapping.of(contract)
    origin = contract.origin
    if isinstance(origin, HubOrigin) and origin.content_from == "swh":
        mapping = mapping.for_blobs()
    row_filter = contract.row_filter
    filtered = row_filter.columns if row_filter is not None else ()
    return (*mapping.upstream_columns, *(path.split(".", 1)[0] for path in filtered))


def _value(seen: Observation | None, name: str) -> str:
    return str(getattr(seen.facts, name)) if seen is not None else ""


def _sentence(drift: Drift) -> str:
    parts = [f"{drift.baseline or 'nothing'} in the contract or at the first look"]
    if drift.used not in ("", drift.baseline):
        parts.append(f"{drift.used} at the revision in use")
    if drift.today not in ("", drift.baseline):
        parts.append(f"{drift.today} upstream today")
    return f"{_short(', '.join(parts))}: {drift.note}"


def _short(text: str) -> str:
    """Cuts commits and hashes to what people compare."""
    return _HASH.sub(lambda found: found.group()[:12], text)
