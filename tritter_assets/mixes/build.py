"""Builds `mix/<phase>`: the rows of one training phase, and how often each is used.

    in    the gate's admitted rows (metadata only), the mix file, the profile's token budget
    out   mix/<phase>, one row per document, sorted by id

A row's membership depends on its id, the mix's seed and its component's threshold. Estimated
tokens are bytes over the profile's `bytes_per_token`; the packed table has the measured figure.
Cost: one pass over metadata columns. Content is never read.

Blind spot: two components that both want a scarce row split it by weight; a person who wants one
of them to have it must say so in the selectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import polars as pl
import pyarrow as pa

from tritter_assets.contracts.mix import Mix
from tritter_assets.contracts.profile import Profile
from tritter_assets.dedup.index import INDEXES
from tritter_assets.dedup.survivors import require_current
from tritter_assets.errors import ContractViolation, MixInfeasible
from tritter_assets.lake import Lake, fingerprint_of
from tritter_assets.mixes.feasibility import Feasibility, Pool, assess
from tritter_assets.mixes.gate import GATE_VERSION, admitted_rows
from tritter_assets.mixes.sample import calibrate, salt_of, sample_hash
from tritter_assets.mixes.select import assign, replayed_ids, row_tables

if TYPE_CHECKING:
    from tritter_assets.contracts.catalog import Catalog

STAGE_VERSION = "1"

SAME_CONTENT = "same_content"
"""Why a row is not among the candidates although the gate let it through."""

MIX_SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("table", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("shard", pa.string(), nullable=False),
        pa.field("component", pa.string(), nullable=False),
        pa.field("modality", pa.string(), nullable=False),
        pa.field("language", pa.string()),
        pa.field("repo", pa.string(), nullable=False),
        pa.field("content_sha256", pa.string(), nullable=False),
        pa.field("estimated_tokens", pa.int64(), nullable=False),
        pa.field("epochs", pa.int32(), nullable=False),
        pa.field("license_concluded", pa.string(), nullable=False),
        pa.field("obligations", pa.list_(pa.string()), nullable=False),
        pa.field("generator", pa.string(), nullable=False),
        pa.field("group_id", pa.string(), nullable=False),
    ]
)
"""Columns of `mix/<phase>`. `group_id` is what the held-out split keeps together: the duplicate
cluster, or else the document, that the row or the ancestor that is held out first belongs to."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentReport:
    """What one component took."""

    component: str
    taken_rows: int
    taken_tokens: int
    """Estimated tokens, every epoch counted."""
    max_epochs: int
    """Most times that one row is used."""
    licences: Mapping[str, int]
    """Concluded expression -> rows."""
    obligations: Mapping[str, int]
    """Obligation -> rows that carry it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class MixReport:
    """What a mix holds, and how it was supplied."""

    phase: str
    num_rows: int
    num_tokens: int
    feasibility: Feasibility
    components: tuple[ComponentReport, ...]
    excluded: Mapping[str, int]
    """Why the gate held rows back -> rows."""
    missing_tables: tuple[str, ...]
    """Tables that the mix may read and that do not exist."""
    data_version: str = ""

    @property
    def feasible(self) -> bool:
        """False when the mix may not be trained on."""
        return self.feasibility.feasible

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know before training."""
        return self.feasibility.warnings


def code_version(mix: Mix, *, profile: Profile, policy_digest: str) -> str:
    """Returns the version of everything but data that decides what the mix holds."""
    digest = fingerprint_of(
        mix.digest,
        GATE_VERSION,
        profile.use_profile,
        profile.bytes_per_token,
        profile.mix_tokens.get(mix.phase),
        policy_digest,
    )
    return f"{STAGE_VERSION}.{digest}"


def input_tables(mix: Mix, catalog: Catalog) -> tuple[str, ...]:
    """Returns every lake table that building the mix may read, sorted: the asset's upstream."""
    tables = set(row_tables(mix, catalog))
    filtered = {table for table in tables if table.startswith("filtered/")}
    if tables - filtered:
        filtered |= {f"filtered/{contract.id}" for contract in catalog.active_sources()}
    tables |= filtered
    tables |= {table.replace("filtered/", "verdicts/", 1) for table in filtered}
    tables |= {f"mix/{phase}" for phase in mix.replayed_phases}
    return tuple(sorted({*tables, *INDEXES}))


def choose_rows(lake: Lake, mix: Mix, *, catalog: Catalog) -> tuple[pl.DataFrame, MixReport]:
    """Chooses the rows of a mix without writing them: what `plan` shows and `build_mix` writes.

    Returns:
        The rows of `MIX_SCHEMA`, sorted by id, and the report (its `data_version` is empty).

    Raises:
        MissingProvenance: see `gate.admitted_rows` and `select.replayed_ids`.
        ContractViolation: the profile gives the phase no tokens.
    """
    wanted = catalog.profile.mix_tokens.get(mix.phase, 0)
    if wanted <= 0:
        raise ContractViolation(
            f"profile {catalog.profile.name!r} sets no mix_tokens for {mix.phase}: add "
            f"'mix_tokens: {{{mix.phase}: <tokens>}}'"
        )
    tables = row_tables(mix, catalog)
    gated = admitted_rows(lake, tables, catalog=catalog)
    # Functions and what is made from them are not in the duplicate indexes: the same helper copied
    # into ten files is one row here, and cannot stand on both sides of the held-out split.
    distinct = gated.rows.sort("id").unique("content_sha256", keep="first", maintain_order=True)
    copies = gated.rows.height - distinct.height
    excluded = gated.excluded_by_reason() | ({SAME_CONTENT: copies} if copies else {})
    per_token = catalog.profile.bytes_per_token
    rows = distinct.with_columns(
        estimated_tokens=(pl.col("content_bytes") / per_token).ceil().cast(pl.Int64).clip(1)
    )
    rows, feasibility = _supply(rows, mix, catalog, replayed_ids(lake, mix), wanted)
    taken = _draw(rows, mix, feasibility)
    report = MixReport(
        phase=mix.phase,
        num_rows=taken.height,
        num_tokens=int((taken["estimated_tokens"] * taken["epochs"]).sum() or 0),
        feasibility=feasibility,
        components=tuple(_report(taken, component.name) for component in mix.components),
        excluded=dict(sorted(excluded.items())),
        missing_tables=tuple(table for table in tables if not lake.exists(table)),
    )
    return taken, report


def build_mix(
    lake: Lake,
    mix: Mix,
    *,
    catalog: Catalog,
    fingerprint: str,
    expected_indexes: Mapping[str, str] | None = None,
) -> MixReport:
    """Writes `mix/<phase>`.

    Args:
        lake: The lake.
        mix: The mix.
        catalog: For the active sources, the policy and the profile's budget.
        fingerprint: Of `code_version` and the data versions of `input_tables`.
        expected_indexes: Duplicate index -> fingerprint it must have been built with.

    Raises:
        MixInfeasible: a component is over its cap and its file does not allow redistribution, or
            no component has a row. The message is the feasibility report; nothing is written.
        MissingProvenance: a row cannot be proved, or an index is out of date.
    """
    if expected_indexes:
        require_current(lake, expected_indexes)
    rows, report = choose_rows(lake, mix, catalog=catalog)
    if not report.feasible:
        reasons = report.warnings or ("no component has an admitted row",)
        raise MixInfeasible(
            f"mix/{mix.phase} cannot supply {report.feasibility.wanted_tokens} tokens:\n  "
            + "\n  ".join(reasons)
            + "\nAdd sources, raise max_epochs, lower the profile's mix_tokens, or set "
            "when_unavailable: redistribute"
        )
    table = rows.to_arrow()
    state = lake.write(
        f"mix/{mix.phase}",
        table,
        MIX_SCHEMA,
        fingerprint=fingerprint,
        commit_metadata={"tokens": report.num_tokens, "components": len(report.components)},
    )
    return replace(report, data_version=state.data_version)


def _supply(
    rows: pl.DataFrame,
    mix: Mix,
    catalog: Catalog,
    replayed: Mapping[str, pl.DataFrame],
    wanted: int,
) -> tuple[pl.DataFrame, Feasibility]:
    """Assigns rows to components, opening stand-ins only where those before them fall short."""
    opened = dict.fromkeys((component.name for component in mix.components), 0)
    while True:
        chosen = assign(rows, mix, catalog, opened=opened, replayed=replayed)
        assigned = rows.with_columns(chosen)
        feasibility = assess(mix, _pools(assigned, opened), wanted)
        short = {
            line.component
            for line in feasibility.components
            if line.supply_tokens + 1 < line.wanted_tokens
        }
        more = [
            component.name
            for component in mix.components
            if component.name in short and opened[component.name] < len(component.alternatives)
        ]
        if not more:
            return assigned.filter(pl.col("component").is_not_null()), feasibility
        for name in more:
            opened[name] += 1


def _pools(rows: pl.DataFrame, opened: Mapping[str, int]) -> dict[str, Pool]:
    totals = (
        rows.filter(pl.col("component").is_not_null())
        .group_by("component", "source")
        .agg(pl.len().alias("rows"), pl.col("estimated_tokens").sum().alias("tokens"))
        .sort("component", "source")
    )
    found: dict[str, Pool] = {}
    for name, stand_ins in opened.items():
        part = totals.filter(pl.col("component") == name)
        found[name] = Pool(
            rows_by_source=dict(part.select("source", "rows").iter_rows()),
            tokens_by_source=dict(part.select("source", "tokens").iter_rows()),
            stand_ins=stand_ins,
        )
    return found


def _draw(rows: pl.DataFrame, mix: Mix, feasibility: Feasibility) -> pl.DataFrame:
    taken = [pl.DataFrame(schema=_polars_schema())]
    targets = {line.component: line for line in feasibility.components}
    for component in mix.components:
        pool = rows.filter(pl.col("component") == component.name)
        line = targets[component.name]
        capped = component.max_source_fraction < 1
        parts = (
            [(pool.filter(pl.col("source") == s), t) for s, t in line.target_by_source.items()]
            if capped
            else [(pool, line.target_tokens)]
        )
        for part, target in parts:
            if part.is_empty() or target <= 0:
                continue
            hashes = sample_hash(part["id"], salt_of("draw", mix.phase, mix.seed))
            draw = calibrate(hashes, part["estimated_tokens"], target)
            drawn = part.with_columns(draw.epochs(hashes)).filter(pl.col("epochs") > 0)
            taken.append(drawn.select(*MIX_SCHEMA.names).cast(_polars_schema()))
    return pl.concat(taken).sort("id")


def _report(taken: pl.DataFrame, name: str) -> ComponentReport:
    part = taken.filter(pl.col("component") == name)
    licences = part.group_by("license_concluded").len().sort("license_concluded")
    obligations = (
        part.select("obligations").explode("obligations").drop_nulls().group_by("obligations").len()
    ).sort("obligations")
    epochs = part["epochs"].max()
    return ComponentReport(
        component=name,
        taken_rows=part.height,
        taken_tokens=int((part["estimated_tokens"] * part["epochs"]).sum() or 0),
        max_epochs=int(epochs) if isinstance(epochs, int) else 0,
        licences=dict(licences.iter_rows()),
        obligations=dict(obligations.iter_rows()),
    )


def _polars_schema() -> pl.Schema:
    special = {
        "estimated_tokens": pl.Int64(),
        "epochs": pl.Int32(),
        "obligations": pl.List(pl.String),
    }
    return pl.Schema({name: special.get(name, pl.String()) for name in MIX_SCHEMA.names})
