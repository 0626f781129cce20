"""The funnel: how many documents each stage took out, per source and in all, down to mix tokens.

Read from terminal verdicts (one per document), the duplicate indexes and the mixes. A document
that several indexes drop counts at the first: exact, near, semantic. Files and rows that ingestion
could not read stand beside the funnel as `skipped`, with their reasons: they never were documents.

The report fails when the steps do not add up: a raw document without a verdict, or a filtered table
that holds other documents than the verdicts kept.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from tritter_assets.compliance import html
from tritter_assets.compliance.plots import bar_plot
from tritter_assets.compliance.report import ReportSummary, as_json, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import Lake
from tritter_assets.lineage.inventory import tables_under
from tritter_assets.verdict import STAGE_NUMBER, Stage

STAGE_VERSION = "2"
"""2: shows what ingestion skipped."""
ASSET = "compliance/funnel"

ALL = "(all)"
"""Stands for the sum over sources."""

_INDEX_STAGES = (Stage.EXACT_DUPLICATE, Stage.NEAR_DUPLICATE, Stage.SEMANTIC_DUPLICATE)
_INDEXES = {
    Stage.EXACT_DUPLICATE: "dedup/exact_index",
    Stage.NEAR_DUPLICATE: "dedup/near_index",
    Stage.SEMANTIC_DUPLICATE: "dedup/semantic_index",
}
FILTER_STAGES = tuple(s for s in Stage if s not in (Stage.INGEST, *_INDEX_STAGES))


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFunnel:
    """The funnel of one source, or of all."""

    source: str
    raw: int
    removed: Mapping[Stage, int]
    """Stage -> documents it dropped or quarantined."""
    filtered: int
    survivors: int
    mix_rows: Mapping[str, int]
    mix_tokens: Mapping[str, int]
    skipped: int = 0
    """Files and rows of upstream that did not become raw documents; not part of `raw`."""

    def steps(self) -> list[tuple[str, int]]:
        """(step, documents left after it), from raw to survivors."""
        left = self.raw
        found = [("raw", left)]
        for stage in FILTER_STAGES:
            left -= self.removed.get(stage, 0)
            found.append((f"{STAGE_NUMBER[stage]} {stage.value}", left))
        found.append(("filtered", self.filtered))
        left = self.filtered
        for stage in _INDEX_STAGES:
            left -= self.removed.get(stage, 0)
            found.append((f"{STAGE_NUMBER[stage]} {stage.value}", left))
        return found


@dataclass(frozen=True, kw_only=True, slots=True)
class Funnel:
    """Funnels by source, and reasons."""

    sources: Sequence[SourceFunnel]
    reasons: Sequence[Mapping[str, Any]]
    """source, stage, action, reason, documents."""
    problems: tuple[str, ...]

    @property
    def total(self) -> SourceFunnel:
        """The sum over sources."""
        return SourceFunnel(
            source=ALL,
            raw=sum(s.raw for s in self.sources),
            removed={stage: sum(s.removed.get(stage, 0) for s in self.sources) for stage in Stage},
            filtered=sum(s.filtered for s in self.sources),
            survivors=sum(s.survivors for s in self.sources),
            mix_rows=_sum_of(s.mix_rows for s in self.sources),
            mix_tokens=_sum_of(s.mix_tokens for s in self.sources),
            skipped=sum(s.skipped for s in self.sources),
        )

    def table(self) -> list[dict[str, Any]]:
        """One row per source with what each step took out; the sum comes last."""
        everything = [*self.sources, self.total]
        used = [stage for stage in Stage if self.total.removed.get(stage)]
        phases = list(self.total.mix_tokens)
        return [
            {
                "source": line.source,
                **({"skipped": line.skipped} if self.total.skipped else {}),
                "raw": line.raw,
                **{stage.value: -line.removed.get(stage, 0) for stage in used if _early(stage)},
                "filtered": line.filtered,
                **{stage.value: -line.removed.get(stage, 0) for stage in used if not _early(stage)},
                "survivors": line.survivors,
                **{f"{phase}_tokens": line.mix_tokens.get(phase, 0) for phase in phases},
            }
            for line in everything
        ]


def _early(stage: Stage) -> bool:
    return stage not in _INDEX_STAGES


def _sum_of(mappings: Any) -> dict[str, int]:
    total: dict[str, int] = {}
    for mapping in mappings:
        for key, number in mapping.items():
            total[key] = total.get(key, 0) + number
    return dict(sorted(total.items()))


def code_version() -> str:
    """Returns the version of this report; it depends on nothing but the tables."""
    return STAGE_VERSION


def measure_funnel(lake: Lake) -> Funnel:
    """Counts every step from the stored tables.

    Cost: one group-by per verdicts table, one anti-join per index; content is never read.
    """
    dropped = _dropped_by_index(lake)
    mixes = _mix_use(lake)
    lines, reasons, problems = [], [], []
    for table in tables_under(lake, "raw"):
        source = table.removeprefix("raw/")
        raw = _count(lake, table)
        found = _outcomes(lake, f"verdicts/{source}")
        ingested = pl.col("stage") == Stage.INGEST.value
        skipped, verdicts = found.filter(ingested), found.filter(~ingested)
        reasons.extend({"source": source, **row} for row in found.sort(found.columns).to_dicts())
        filtered = _count(lake, f"filtered/{source}")
        removed = {
            Stage(stage): int(number)
            for stage, number in verdicts.filter(pl.col("action") != "keep")
            .group_by("stage")
            .agg(pl.sum("documents"))
            .sort("stage")
            .iter_rows()
        }
        kept = int(verdicts.filter(pl.col("action") == "keep")["documents"].sum())
        problems.extend(_mismatch(source, raw, int(verdicts["documents"].sum()), kept, filtered))
        indexed = {stage: counts.get(source, 0) for stage, counts in dropped.items()}
        lines.append(
            SourceFunnel(
                source=source,
                raw=raw,
                removed=removed | {stage: n for stage, n in indexed.items() if n},
                filtered=filtered,
                survivors=filtered - sum(indexed.values()),
                mix_rows={p: use[source][0] for p, use in mixes.items() if source in use},
                mix_tokens={p: use[source][1] for p, use in mixes.items() if source in use},
                skipped=int(skipped["documents"].sum()),
            )
        )
    return Funnel(sources=lines, reasons=reasons, problems=tuple(problems))


def _mismatch(source: str, raw: int, judged: int, kept: int, filtered: int) -> list[str]:
    found = []
    if raw != judged:
        found.append(
            f"raw/{source} holds {raw} documents and verdicts/{source} judges {judged}: "
            f"materialise 'verdicts/{source}' again"
        )
    if kept != filtered:
        found.append(
            f"verdicts/{source} keeps {kept} documents and filtered/{source} holds {filtered}: "
            f"materialise 'filtered/{source}' again"
        )
    return found


def _count(lake: Lake, table: str) -> int:
    return int(lake.scan(table).select(pl.len()).collect().item()) if lake.exists(table) else 0


def _outcomes(lake: Lake, table: str) -> pl.DataFrame:
    """Counts what became of each document, and of each file or row that is none."""
    keys = ("stage", "action", "reason")
    if not lake.exists(table):
        return pl.DataFrame(schema=dict.fromkeys(keys, pl.String()) | {"documents": pl.Int64()})
    settled = pl.col("terminal") | (pl.col("stage") == Stage.INGEST.value)
    rows = lake.scan(table).filter(settled).group_by(keys)
    return rows.agg(documents=pl.len().cast(pl.Int64)).collect(engine="streaming")


def _dropped_by_index(lake: Lake) -> dict[Stage, dict[str, int]]:
    """Documents each index drops or quarantines that no index before it did, by source."""
    counts: dict[Stage, dict[str, int]] = {}
    earlier: list[pl.LazyFrame] = []
    for stage, table in _INDEXES.items():
        if not lake.exists(table):
            continue
        rows = lake.scan(table).filter(pl.col("action") != "keep").select("id", "source")
        new = rows.unique("id")
        for before in earlier:
            new = new.join(before, on="id", how="anti")
        grouped = new.group_by("source").len().sort("source").collect(engine="streaming")
        counts[stage] = {str(source): int(number) for source, number in grouped.iter_rows()}
        earlier.append(rows.select("id"))
    return counts


def _mix_use(lake: Lake) -> dict[str, dict[str, tuple[int, int]]]:
    found = {}
    for table in tables_under(lake, "mix"):
        tokens = (pl.col("estimated_tokens") * pl.col("epochs")).sum()
        grouped = lake.scan(table).group_by("source").agg(rows=pl.len(), tokens=tokens)
        found[table.removeprefix("mix/")] = {
            str(source): (int(rows), int(used))
            for source, rows, used in grouped.sort("source").collect().iter_rows()
        }
    return found


def funnel_plot(funnel: Funnel) -> bytes:
    """Draws the documents left after each step, over all sources, as PNG."""
    shown = {}
    previous = None
    for name, left in funnel.total.steps():
        # Steps that took nothing out would only make the picture longer.
        if previous is None or left != previous or name == "filtered":
            shown[name] = left
        previous = left
    return bar_plot(shown, title="Documents left after each step", unit="documents")


def write_funnel(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the funnel as the artifact set `compliance/funnel`."""
    del catalog  # the funnel is counted from the tables alone
    funnel = measure_funnel(lake)
    total, table = funnel.total, funnel.table()
    headline = (
        f"{total.raw} raw documents, {total.filtered} filtered, {total.survivors} survivors, "
        f"{sum(total.mix_tokens.values())} mix tokens"
    )
    plot = funnel_plot(funnel)
    page = html.page(
        "Funnel",
        html.verdict_badge(not funnel.problems, headline),
        html.heading("Problems"),
        html.listing(funnel.problems) if funnel.problems else html.paragraph("None."),
        html.heading("Documents left"),
        html.image(plot, alternative="Documents left after each step, all sources"),
        html.table(["step", "documents left"], total.steps(), caption="All sources"),
        html.heading("By source"),
        html.records(table, caption="Documents taken out by each step, and mix tokens"),
        html.heading("By reason"),
        html.records(list(funnel.reasons), caption="Outcomes; `ingest` never were documents"),
    )
    document = {
        "passed": not funnel.problems,
        "problems": list(funnel.problems),
        "all": _as_dict(total),
        "sources": [_as_dict(line) for line in funnel.sources],
        "reasons": list(funnel.reasons),
    }
    return store_report(
        lake,
        ASSET,
        {
            "funnel.json": as_json(document),
            "funnel.csv": _csv(table),
            "funnel.html": page,
        },
        fingerprint=fingerprint,
        passed=not funnel.problems,
        headline=headline,
        counts={"raw": total.raw, "filtered": total.filtered, "survivors": total.survivors},
        problems=funnel.problems,
        tables={"funnel": markdown_table(table)},
        plots={"funnel": plot},
    )


def _as_dict(line: SourceFunnel) -> dict[str, Any]:
    return {
        "source": line.source,
        "skipped": line.skipped,
        "raw": line.raw,
        "removed": {stage.value: line.removed[stage] for stage in Stage if stage in line.removed},
        "filtered": line.filtered,
        "survivors": line.survivors,
        "mix_rows": dict(line.mix_rows),
        "mix_tokens": dict(line.mix_tokens),
        "steps": [{"step": name, "left": left} for name, left in line.steps()],
    }


def _csv(table: list[dict[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(table[0]) if table else ["source"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue().encode()
