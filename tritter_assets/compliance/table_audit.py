"""The licence audit of one table, checkpoint or export, and which of them a lake holds.

| stage | judged are | a problem is |
|---|---|---|
| raw | its documents | no provenance, or a source that is refused or not in the catalogue |
| filtered, functions, synthetic | their documents | also a row that is not admitted |
| mix | the stored rows it names | also no such row, another licence, upstream's terms moved; what the gate would not let in now |
| packed | the documents of its segments | the same, and a document that the mix does not hold |
| checkpoint | the documents it and its ancestors read | as for a mix, without the gate |
| export | what the checkpoint that it was made from read | the same, and another checkpoint |

Raw holds refused rows by design; they are counted there. Nothing is taken from the stages before:
every row is looked up in its own table and judged by the policy as it is today.
"""  # noqa: E501 - a table

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from tritter_assets.compliance.licensed_rows import (
    NO_MORE,
    document_groups,
    few_examples,
    judged,
    mix_references,
    packed_references,
    reference_groups,
    seen_references,
)
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.contracts.policy import Policy
from tritter_assets.contracts.profile import Profile
from tritter_assets.errors import TritterError
from tritter_assets.lake import ArtifactStore, Lake
from tritter_assets.lineage.checkpoints import checkpoints, packed_rows, seen_documents
from tritter_assets.lineage.inventory import phase_of_packed, tables_under
from tritter_assets.mixes.gate import Gated, admitted_rows
from tritter_assets.sources.drift import blocked_sources
from tritter_assets.verdict import Reason

STAGES: Mapping[str, str] = {
    "raw": "raw",
    "filtered": "filtered",
    "functions": "functions",
    "synthetic": "synthetic",
    "mix": "mix",
    "packed": "packed",
    "model": "checkpoint",
    "export": "export",
}
"""First part of a table's name -> its stage, in the order data flows."""

TRAINED = ("mix", "packed", "checkpoint", "export")
"""Stages that hold what is trained on: one row that is not admitted fails the whole audit."""

LICENCES = ("license_concluded", "action", "reason")
_MISSING = "(row not found)"
_JUDGED = (
    Reason.EVALUATION_SPLIT,
    Reason.LICENSE_UNKNOWN,
    Reason.LICENSE_NOT_ADMITTED,
    Reason.LICENSE_CONFLICT,
    Reason.WRAPPER_NOT_ADMITTED,
    Reason.ACCESS_NOT_AGREED,
    Reason.GENERATOR_UNKNOWN,
    Reason.GENERATOR_NOT_ADMITTED,
)
"""Reasons of the gate that the audit finds itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableAudit:
    """What one table says under the active use profile."""

    stage: str
    table: str
    found: pl.DataFrame
    """The judged groups: columns of `reference_groups` and of `judged`."""
    problems: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return int(self.found["rows"].sum())

    @property
    def tokens(self) -> int:
        """Tokens of the table: packed or read ones; of documents, an estimate from their bytes."""
        return int(self.found["tokens"].sum())

    @property
    def refused(self) -> int:
        """Rows that the policy does not admit."""
        return int(self.found.filter(pl.col("action") != "keep")["rows"].sum())

    def licences(self) -> list[dict[str, Any]]:
        """Rows, tokens and share of tokens by licence, action and reason; largest first."""
        total = max(self.tokens, 1)
        return (
            self.found.with_columns(pl.col("license_concluded").fill_null(_MISSING))
            .group_by(LICENCES)
            .agg(pl.col("rows", "tokens").sum())
            .with_columns(token_share=(pl.col("tokens") / total).round(4))
            .sort("tokens", *LICENCES, descending=[True, False, False, False])
            .to_dicts()
        )


class Auditor:
    """Audits the tables of one lake; what several tables need is read once."""

    def __init__(self, lake: Lake, catalog: Catalog, *, mixes: Sequence[str] | None = None) -> None:
        """Reads nothing yet.

        Args:
            lake: The stored tables.
            catalog: The policy, the use profile and the sources that are known.
            mixes: The mixes that will be asked for; all of the lake if not given. The gate runs
                once, over what these name.
        """
        self._lake = lake
        self._catalog = catalog
        self._mixes = mixes

    def audit(self, table: str, *, shards: Sequence[str] = ()) -> TableAudit:
        """Judges every row of a table, or of what a checkpoint or an export was made from.

        Args:
            table: A table whose first part is a key of `STAGES`.
            shards: Of a document table: only these; all when empty.
        """
        stage = stage_of(table)
        profile = self._catalog.profile
        groups = with_tokens(table_groups(self._lake, table, shards=shards), profile)
        found = judged(groups, self._catalog.policy, profile.use_profile)
        drifted = self._drifted if stage in TRAINED else {}
        problems = _problems(found, stage, table, self._catalog, drifted)
        if stage == "mix":
            problems += self._gate_problems(table)
        elif stage == "packed":
            problems += _not_in_mix(self._lake, table)
        elif stage == "export":
            problems += _other_checkpoint(self._lake, table)
        return TableAudit(stage=stage, table=table, found=found, problems=tuple(problems))

    @cached_property
    def _drifted(self) -> dict[str, str]:
        return blocked_sources(self._lake, self._catalog)

    @cached_property
    def _gated(self) -> Gated | TritterError:
        mixes = tables_under(self._lake, "mix") if self._mixes is None else self._mixes
        origins = {
            origin
            for mix in mixes
            for origin in self._lake.scan(mix).select(pl.col("table").unique()).collect()["table"]
        }
        try:
            return admitted_rows(self._lake, sorted(origins), catalog=self._catalog)
        except TritterError as error:
            return error

    def _gate_problems(self, mix: str) -> list[str]:
        """What the gate, run again now, does not let into a mix: duplicates, removals, verdicts."""
        gated = self._gated
        if isinstance(gated, TritterError):
            return [f"mix {mix}: the gate cannot prove its rows: {gated}"]
        rows = self._lake.scan(mix).select("id", "table").collect()
        refused = rows.join(gated.rows.select("id", "table"), on=["id", "table"], how="anti")
        told = [*(reason.value for reason in _JUDGED), *self._drifted.values()]
        reasons = (
            refused.join(gated.excluded, on=["id", "table"], how="left")
            .with_columns(pl.col("reason").fill_null("no stored row"))
            .filter(~pl.col("reason").is_in(told))
        )
        return [
            f"mix {mix}: {held.height} rows are held back by the gate ({reason}), e.g. "
            f"{held['id'].min()!r}: materialise {mix!r} again"
            for (reason,), held in sorted(
                reasons.group_by("reason"), key=lambda part: str(part[0][0])
            )
        ]


def examples(lake: Lake, found: TableAudit, *, shards: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Returns up to ten rows with their evidence: those that are not admitted come first."""
    return few_examples(lake, found.found, shards=shards)


def policy_problems(policy: Policy) -> Iterator[str]:
    """Yields what is wrong with the policy itself, such as a decision that has expired."""
    for problem in policy.problems:
        place = f"{problem.file.name}:{problem.line}: {problem.field}"
        yield f"policy {place}: {problem.message}: {problem.fix}"


def audited_tables(lake: Lake) -> Iterator[str]:
    """Yields every table, checkpoint and export that the audit judges, in the order data flows."""
    for folder in STAGES:
        for table in tables_under(lake, folder):
            if folder != "export" or _is_model(lake, table):
                yield table


def with_tokens(groups: pl.DataFrame, profile: Profile) -> pl.DataFrame:
    """Adds `tokens` to groups of documents: an estimate from their bytes."""
    if "tokens" in groups.columns:
        return groups
    estimate = (pl.col("bytes") / profile.bytes_per_token).round().cast(pl.Int64)
    return groups.with_columns(tokens=estimate)


def stage_of(table: str) -> str:
    """Returns the stage of an audited table."""
    return STAGES[table.split("/", 1)[0]]


def table_groups(
    lake: Lake, table: str, *, shards: Sequence[str] = (), also: Mapping[str, pl.Expr] = NO_MORE
) -> pl.DataFrame:
    """Returns the rows of an audited table by licence facts, as `reference_groups` does.

    Document tables lack `tokens`.
    """
    stage = stage_of(table)
    if stage not in TRAINED:
        documents = document_groups(lake, table, shards, also=also)
        return documents.with_columns(found=pl.lit(value=True), differs=pl.lit(value=False))
    if stage == "mix":
        references = mix_references(lake, table)
    elif stage == "packed":
        references = packed_references(lake.scan(table))
    elif stage == "checkpoint":
        references = _read_by(lake, table)
    else:
        references = _read_by(lake, str(ArtifactStore(lake).facts(table).get("model_table")))
    return reference_groups(lake, references, also=also)


def _read_by(lake: Lake, model: str) -> pl.LazyFrame:
    checkpoint = next((c for c in checkpoints(lake) if c.asset == model), None)
    seen = None if checkpoint is None else seen_documents(lake, model)
    if seen is not None:
        return seen_references(seen)
    packed = None if checkpoint is None else packed_rows(lake, checkpoint)
    if packed is not None:
        return packed_references(packed)
    # Nothing says what it read: a reference that no table can answer fails closed.
    return pl.LazyFrame(
        [{"id": "", "table": (checkpoint and checkpoint.packed_table) or "packed",
          "source": "(unknown)", "shard": "", "tokens": 0, "stated": None}],
        schema_overrides={"stated": pl.String},
    )  # fmt: skip


def _is_model(lake: Lake, table: str) -> bool:
    return "model_table" in ArtifactStore(lake).facts(table)


def _other_checkpoint(lake: Lake, table: str) -> list[str]:
    facts = ArtifactStore(lake).facts(table)
    state = lake.state(str(facts.get("model_table")))
    made_from, stands = facts.get("model_data_version"), state and state.data_version
    if made_from == stands:
        return []
    return [
        f"export {table}: made from {facts.get('model_table')} as it was at {made_from}, and the "
        f"lake holds {stands}: what that one read cannot be shown; materialise {table!r} again"
    ]


def _not_in_mix(lake: Lake, table: str) -> list[str]:
    mix = f"mix/{phase_of_packed(table)}"
    if not lake.exists(mix):
        return [f"packed {table}: {mix} is not in the lake: materialise {mix!r}, then {table!r}"]
    held = lake.scan(mix).select("id", "table")
    packed = packed_references(lake.scan(table)).select("id", "table")
    stray = packed.join(held, on=["id", "table"], how="anti").collect(engine="streaming")
    if stray.is_empty():
        return []
    return [
        f"packed {table}: {stray.height} documents are not in {mix}, e.g. {stray['id'].min()!r}: "
        f"materialise {table!r} again"
    ]


def _problems(
    found: pl.DataFrame, stage: str, table: str, catalog: Catalog, drifted: Mapping[str, str]
) -> list[str]:
    """One line for each source and kind of problem, with the number of rows and an example."""
    refused = {name for name, source in catalog.sources.items() if source.refusal is not None}
    counts: dict[tuple[str, str, str], tuple[int, str]] = {}

    def add(row: Mapping[str, Any], rows: int, what: str, remedy: str) -> None:
        key = (row["source"], what, remedy)
        before, example = counts.get(key, (0, ""))
        ids = [example] if example else list(row["examples"])
        counts[key] = (before + rows, min(ids, default=""))

    again = f"materialise {table!r} again"
    for row in found.iter_rows(named=True):
        if not row["found"]:
            add(row, row["rows"], f"of {row['table']} have no stored row", again)
            continue
        licence = row["license_concluded"]
        if row["action"] != "keep" and stage != "raw":
            add(row, row["rows"], f"under {licence} are not admitted ({row['reason']})", again)
        if row["differs"]:
            add(row, row["rows"], f"were taken under another licence than {licence}", again)
        if row["unproven"]:
            add(row, row["unproven"], "lack repository, path or revision", "ingest them again")
        if row["source"] in drifted:
            add(row, row["rows"], "may be under other terms now", drifted[row["source"]])
        if row["source"] in refused:
            add(row, row["rows"], "come from a source that the catalogue refuses", again)
        elif row["source"] not in catalog.sources:
            add(row, row["rows"], "come from a source that is not in the catalogue", again)
    return [
        f"{stage} {table}: {rows} rows of {source} {what}, e.g. {example!r}: {remedy}"
        for (source, what, remedy), (rows, example) in sorted(counts.items())
    ]
