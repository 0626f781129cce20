"""What upstream says of a source (revision, licence tag, gate, card, columns), kept in the lake.

Table `upstream/<source>`, one partition per observer, a row per change, never deleted:

    observer     `main` for a look at upstream as it is today, else the revision that was read
    observed_at  ISO 8601 in UTC: when these facts were first seen; a later look that finds the
                 same facts writes nothing
    the rest     the fields of `UpstreamFacts`; `columns` as JSON

A shard of a Hub source has its facts committed before its rows, so no row stands in `raw/<source>`
whose revision, card and licence tag are not on record. Shards of one revision share one
observation: the second shard asks upstream nothing, and the table stays a few rows however many
shards there are. What is pinned by a hash needs no record.

An unpinned source keeps the revision of its first listing: every later shard is read at that
revision until a person pins another, so shards of different days never mix two revisions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tritter_assets.contracts.parse_source import UNPINNED
from tritter_assets.contracts.source import HubOrigin, SourceContract
from tritter_assets.errors import LakeCorruption
from tritter_assets.lake import Lake, fingerprint_of

MAIN = "main"
"""Observer of upstream as it is today."""

OK, YANKED, GONE, REVISION_GONE, CHANGED = "ok", "yanked", "gone", "revision_gone", "changed"
"""Values of `UpstreamFacts.status`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UpstreamFacts:
    """One look at upstream. An empty text means that this kind of origin does not say."""

    revision: str = ""
    """Commit, version or hash that the other fields describe."""
    license_tag: str = ""
    """As upstream writes it; `none` when there is a card or metadata without one."""
    gate: str = ""
    """`none`, `auto` or `manual`."""
    readme_sha256: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Upstream column -> ODCS logical type, from a data file's own schema or its first rows."""
    num_files: int = 0
    size_bytes: int = 0
    last_modified: str = ""
    status: str = OK
    note: str = ""
    """What the status means here, for people."""
    newest: str = ""
    """Newest revision or version that upstream has."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Facts, who saw them and when they were first seen."""

    observer: str
    observed_at: str
    facts: UpstreamFacts


UPSTREAM_SCHEMA = pa.schema(
    [
        pa.field("observer", pa.string(), nullable=False),
        pa.field("observed_at", pa.string(), nullable=False),
        *(
            pa.field(f.name, pa.int64() if f.type == "int" else pa.string(), nullable=False)
            for f in fields(UpstreamFacts)
        ),
    ]
)


def upstream_table(source: str) -> str:
    """Name of the table of a source's observations."""
    return f"upstream/{source}"


def read_observations(lake: Lake, source: str) -> tuple[Observation, ...]:
    """Returns all observations of a source, the oldest first."""
    table = upstream_table(source)
    if not lake.exists(table):
        return ()
    rows = lake.scan(table).sort("observed_at", "observer").collect()
    return tuple(_observation(row) for row in rows.iter_rows(named=True))


def on_record(lake: Lake, source: str) -> dict[str, Any]:
    """Returns what an explanation shows of a source's upstream; nothing when nobody looked."""
    shown = ("revision", "license_tag", "gate", "readme_sha256", "status", "note")
    seen = [
        {"observed_at": o.observed_at, **{n: v for n in shown if (v := getattr(o.facts, n))}}
        for o in read_observations(lake, source)
    ]
    return {"upstream": seen} if seen else {}


def latest(observations: tuple[Observation, ...]) -> dict[str, Observation]:
    """Returns the newest observation of each observer."""
    return {found.observer: found for found in observations}


def record(lake: Lake, source: str, observer: str, seen: Observation) -> bool:
    """Adds facts to an observer's partition; False when they are what it holds already."""
    earlier = _held_by(lake, source, observer)
    if earlier and earlier[-1].facts == seen.facts:
        return False
    rows = [*earlier, replace(seen, observer=observer)]
    try:
        lake.write(
            upstream_table(source),
            pa.Table.from_pylist([_row(row) for row in rows], schema=UPSTREAM_SCHEMA),
            UPSTREAM_SCHEMA,
            fingerprint=fingerprint_of(source, [asdict(row) for row in rows]),
            partition={"observer": observer},
        )
    except LakeCorruption:  # another shard saw the same a moment earlier or later
        now = _held_by(lake, source, observer)
        if not now or now[-1].facts != seen.facts:
            raise
    return True


def _held_by(lake: Lake, source: str, observer: str) -> list[Observation]:
    return [found for found in read_observations(lake, source) if found.observer == observer]


def observe_now(contract: SourceContract, lake: Lake, *, cache: Path, project_root: Path,
                now: datetime | None = None) -> Observation:  # fmt: skip
    """Looks at upstream as it is today and records what it says.

    Raises:
        UpstreamUnavailable: upstream gives no answer; nothing is recorded.
    """
    from tritter_assets.sources.loader import LoaderContext
    from tritter_assets.sources.upstream_observe import look

    context = LoaderContext(cache=cache, project_root=project_root)
    held = latest(read_observations(lake, contract.id))
    used = _used(at_kept_revision(lake, contract), held)
    seen = Observation(MAIN, _stamp(now), look(contract, context, used=used))
    record(lake, contract.id, MAIN, seen)
    return seen


def settle(contract: SourceContract, lake: Lake, *, cache: Path, project_root: Path,
           now: datetime | None = None) -> tuple[SourceContract, Observation]:  # fmt: skip
    """Records what the Hub says of the revision that a shard is about to be read at.

    Returns:
        The contract with that revision in place of `unpinned`, and what is on record of it.

    Raises:
        UpstreamUnavailable: upstream cannot say; the shard must not be read then.
    """
    from tritter_assets.sources.loader import LoaderContext
    from tritter_assets.sources.upstream_hub import look_at_hub_pin

    settled = at_kept_revision(lake, contract)
    held = _used(settled, latest(read_observations(lake, contract.id)))
    if held is None:
        context = LoaderContext(cache=cache, project_root=project_root)
        facts = look_at_hub_pin(settled, context)
        held = Observation(facts.revision, _stamp(now), facts)
        record(lake, contract.id, facts.revision, held)
    return _at(settled, held.facts.revision), held


def at_kept_revision(lake: Lake, contract: SourceContract) -> SourceContract:
    """Replaces `unpinned` by the revision of the first listing, once there was one."""
    origin = contract.origin
    if not isinstance(origin, HubOrigin) or origin.revision != UNPINNED:
        return contract
    read = [o for o in read_observations(lake, contract.id) if o.observer != MAIN]
    return _at(contract, read[0].facts.revision) if read else contract


def pinned_revision(contract: SourceContract) -> str:
    """What the contract pins: a commit, a version or a hash; `unpinned` when it pins nothing."""
    origin: Any = contract.origin
    for name in ("revision", "commit", "version", "sha256"):
        value = getattr(origin, name, None)
        if value:
            return str(value)
    crates = getattr(origin, "crates", ())
    return fingerprint_of([asdict(pin) for pin in crates]) if crates else UNPINNED


def _at(contract: SourceContract, revision: str) -> SourceContract:
    origin = contract.origin
    if isinstance(origin, HubOrigin) and origin.revision == UNPINNED:
        return replace(contract, origin=replace(origin, revision=revision))
    return contract


def _used(contract: SourceContract, held: Mapping[str, Observation]) -> Observation | None:
    """The observation of the revision that the contract reads, if it was read."""
    return held.get(pinned_revision(contract))


def _stamp(now: datetime | None) -> str:
    return (now or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def _row(seen: Observation) -> dict[str, Any]:
    row = asdict(seen.facts) | {"observer": seen.observer, "observed_at": seen.observed_at}
    return row | {"columns": json.dumps(dict(seen.facts.columns), sort_keys=True)}


def _observation(row: dict[str, Any]) -> Observation:
    facts = {f.name: row[f.name] for f in fields(UpstreamFacts)}
    facts["columns"] = json.loads(facts["columns"])
    return Observation(row["observer"], row["observed_at"], UpstreamFacts(**facts))
