"""Checks of stages. Each reads stored tables only, so it says the same whenever it is run.

A failed blocking check stops its own run. It is not the control: mixes and packers verify licences,
removals and indexes again themselves, from the same tables.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from tritter_assets.contracts.quality import check_table
from tritter_assets.contracts.source import SourceContract
from tritter_assets.contracts.table import TableContract
from tritter_assets.defs.stage import CheckOutcome, Platform, StageCheck
from tritter_assets.errors import TritterError
from tritter_assets.verdict import Stage

_EXAMPLES = 10
_SAMPLED_SEQUENCES = 6
_FILTER_BANDS = ("license", "basic", "quality")


def quality_check(contract: SourceContract) -> StageCheck:
    """The quality rules of the source's contract, over the shards of the run."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        rows = _rows(platform, f"raw/{contract.id}", shards)
        results = check_table(rows, contract.quality)
        failed = [result.message for result in results if not result.passed]
        return CheckOutcome(
            passed=not failed, facts={"rules": len(results), "failed": failed[:_EXAMPLES]}
        )

    return StageCheck(
        name="contract_quality",
        description=f"Quality rules of {contract.file.name}: "
        + "; ".join(rule.name for rule in contract.quality),
        evaluate=evaluate,
    )


def table_contract_check(contract: TableContract, table: str, schema: pa.Schema) -> StageCheck:
    """The rules of the contract of our own table: columns, required values, closed enums."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        rows = _rows(platform, table, shards)
        failed = [
            result.message for result in check_table(rows, contract.quality) if not result.passed
        ]
        failed += contract.differences(schema)
        return CheckOutcome(
            passed=not failed,
            facts={"rules": len(contract.quality), "failed": failed[:_EXAMPLES]},
        )

    return StageCheck(
        name="table_contract",
        description=f"Columns and quality rules of {contract.file.name}.",
        evaluate=evaluate,
    )


def every_document_judged_check(source: str) -> StageCheck:
    """Each raw document has exactly one terminal verdict."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        raw = _rows(platform, f"raw/{source}", shards).select("id").collect()
        terminal = (
            _rows(platform, f"verdicts/{source}", shards)
            .filter(pl.col("terminal"))
            .select("id")
            .collect()
        )
        unjudged = raw.join(terminal, on="id", how="anti").height
        unknown = terminal.join(raw, on="id", how="anti").height
        repeated = terminal.height - terminal["id"].n_unique()
        return CheckOutcome(
            passed=not (unjudged or unknown or repeated),
            facts={
                "documents": raw.height,
                "without_verdict": unjudged,
                "verdicts_without_document": unknown,
                "repeated_terminal_verdicts": repeated,
            },
        )

    return StageCheck(
        name="every_document_judged",
        description="Scanned documents equal given documents: none is skipped in silence.",
        evaluate=evaluate,
    )


def retention_check(source: str) -> StageCheck:
    """Retention per stage against the bands one expects; outside them warns."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        from tritter_assets.compliance.funnel import SourceFunnel
        from tritter_assets.compliance.retention import measure_retention

        counts = (
            _rows(platform, f"verdicts/{source}", shards)
            .filter(pl.col("terminal"))
            .group_by("stage", "action")
            .len()
            .collect()
        )
        removed = counts.filter(pl.col("action") != "keep").group_by("stage").agg(pl.sum("len"))
        documents = int(counts["len"].sum())
        kept = documents - int(removed["len"].sum())
        line = SourceFunnel(
            source=source,
            raw=documents,
            removed={Stage(stage): number for stage, number in removed.iter_rows()},
            filtered=kept,
            survivors=kept,
            mix_rows={},
            mix_tokens={},
        )
        found = [r for r in measure_retention([line]) if r.group in _FILTER_BANDS]
        outside = [r for r in found if r.status in ("below", "above")]
        steps, before = [], documents
        for step, left in line.steps():
            if left != before:
                steps.append(f"{step}: {before} -> {left}")
            before = left
        return CheckOutcome(
            passed=not outside,
            summary="; ".join(
                f"{r.group} kept {r.share:.1%}, {r.status} {r.low:.0%}-{r.high:.0%}"
                for r in outside
            ),
            facts={
                r.group: f"{r.share:.1%} kept, {r.low:.0%}-{r.high:.0%} expected"
                for r in found
                if r.share is not None and r.low is not None and r.high is not None
            }
            | {"funnel": steps},
        )

    return StageCheck(
        name="retention_in_expected_bands",
        description="License filtering 30-50 %, basic filters 80-90 %, quality 70-85 %: outside "
        "these a person should look at the funnel.",
        evaluate=evaluate,
        blocking=False,
    )


def no_source_wiped_out_check() -> StageCheck:
    """An index that drops more than nine tenths of a source is suspect."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        from tritter_assets.dedup.stats import retention_by_source
        from tritter_assets.defs.shards import signed_shards

        del shards
        kept = retention_by_source(platform.lake, signed_shards(platform))
        wiped = kept.filter(pl.col("alarm")).sort("documents", "source", descending=[True, False])
        named = [
            f"{row['source']} keeps {row['kept']:,} of {row['documents']:,} documents"
            for row in wiped.head(_EXAMPLES).iter_rows(named=True)
        ]
        if wiped.height > len(named):
            named.append(f"{wiped.height - len(named)} more")
        return CheckOutcome(
            passed=wiped.is_empty(),
            summary=f"{'; '.join(named)}: a copy of other sources, or a fault" if named else "",
            facts={
                "kept_share": dict(kept.select("source", "retention").iter_rows()),
                "wiped_out": wiped["source"].to_list(),
            },
        )

    return StageCheck(
        name="no_source_wiped_out",
        description="No source loses more than 90 % of its documents to the duplicate indexes.",
        evaluate=evaluate,
        blocking=False,
    )


def mix_feasible_check(phase: str) -> StageCheck:
    """The mix has its tokens without passing a cap; what was redistributed is shown."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        del shards
        wanted = platform.catalog.profile.mix_tokens.get(phase, 0)
        mix = platform.catalog.mixes[phase]
        taken = (
            platform.lake.scan(f"mix/{phase}")
            .group_by("component")
            .agg(
                tokens=(pl.col("estimated_tokens") * pl.col("epochs")).sum(),
                epochs=pl.col("epochs").max(),
            )
            .collect()
        )
        caps = {component.name: component.max_epochs for component in mix.components}
        over = [
            row
            for row in taken.iter_rows(named=True)
            if row["epochs"] > math.ceil(caps[row["component"]])
        ]
        tokens = int(taken["tokens"].sum() or 0)
        return CheckOutcome(
            passed=not over and tokens > 0,
            facts={
                "wanted_tokens": wanted,
                "taken_tokens": tokens,
                "components_without_supply": sorted(caps.keys() - set(taken["component"])),
                "over_cap": over,
            },
        )

    return StageCheck(
        name="mix_within_caps",
        description="No row is used more often than its component's cap on epochs allows.",
        evaluate=evaluate,
    )


def packed_lineage_check(table: str) -> StageCheck:
    """Sampled tokens lead back to the characters they were made from."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        from tritter_assets.packing.lineage import locate
        from tritter_assets.packing.tokenizer import load_tokenizer

        del shards
        tokenizer = load_tokenizer(platform.lake)
        rows = platform.lake.scan(table).select("id", pl.col("tokens").list.len()).collect()
        sample = rows.sort("id").head(_SAMPLED_SEQUENCES)
        failures: list[str] = []
        for sequence, num_tokens in sample.iter_rows():
            for offset in sorted({0, num_tokens // 2, num_tokens - 1}):
                try:
                    locate(platform.lake, table, sequence, offset, tokenizer=tokenizer)
                except TritterError as error:
                    failures.append(f"{sequence}@{offset}: {error}")
        return CheckOutcome(
            passed=not failures,
            facts={
                "sequences": rows.height,
                "sampled": sample.height,
                "failures": failures[:_EXAMPLES],
            },
        )

    return StageCheck(
        name="tokens_trace_to_documents",
        description="Sampled tokens, decoded, equal the text at the place their segment names.",
        evaluate=evaluate,
    )


def loss_fell_check(phase: str) -> StageCheck:
    """Held-out loss after training is below the loss before it."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        del shards
        facts = platform.artifacts.facts(f"model/{phase}")
        before, after = facts["heldout_loss_before"], facts["heldout_loss_after"]
        return CheckOutcome(
            passed=after < before, facts={"heldout_before": before, "heldout_after": after}
        )

    return StageCheck(
        name="heldout_loss_fell",
        description="Loss on held-out sequences is lower after this phase than before it.",
        evaluate=evaluate,
    )


def report_passed_check(asset: str, name: str, description: str) -> StageCheck:
    """A compliance report's own verdict, as it stands in the stored report."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        del shards
        facts = platform.artifacts.facts(asset)
        return CheckOutcome(
            passed=bool(facts["passed"]),
            facts={"headline": facts["headline"], **facts.get("counts", {})},
        )

    return StageCheck(name=name, description=description, evaluate=evaluate)


def provider_stated_check() -> StageCheck:
    """What only the provider can say in the papers is said; warns and names what is not."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        from tritter_assets.contracts.provider import FILE, read_provider

        del shards
        missing = read_provider(platform.catalog.root).missing()
        return CheckOutcome(
            passed=not missing,
            warns_only=True,
            summary=f"not stated in policy/{FILE}: {', '.join(missing)}" if missing else "",
            facts={"missing": list(missing)},
        )

    return StageCheck(
        name="provider_stated",
        description="Every field of the papers that only the provider can state is stated.",
        evaluate=evaluate,
        blocking=False,
    )


def forgotten_is_absent_check() -> StageCheck:
    """Nothing that a removal request covers remains downstream of raw, by what is stored."""

    def evaluate(platform: Platform, shards: Sequence[str]) -> CheckOutcome:
        from tritter_assets.lineage.proof import prove_absence

        del shards
        proof = prove_absence(platform.lake, platform.catalog)
        return CheckOutcome(
            passed=proof.passed,
            facts={
                "requests": proof.num_requests,
                "documents": proof.num_documents,
                "remaining": list(proof.problems)[:_EXAMPLES],
                "checkpoints_that_saw_them": [str(e) for e in proof.checkpoints],
                "searched_bytes": proof.searched_bytes,
                "rows_still_in_raw": proof.num_upstream,
                "near_copies_to_forget": list(proof.near_ids)[:_EXAMPLES],
            },
        )

    return StageCheck(
        name="forgotten_is_absent",
        description="Documents covered by removal requests are absent by id, by content hashed "
        "again, and by every run of their words, in packed tokens too.",
        evaluate=evaluate,
    )


def _rows(platform: Platform, table: str, shards: Sequence[str]) -> pl.LazyFrame:
    frame = platform.lake.scan(table)
    return frame.filter(pl.col("shard").is_in(list(shards))) if shards else frame
