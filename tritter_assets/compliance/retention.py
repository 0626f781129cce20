"""Retention of each group of stages against the bands that are usual for web-scale code corpora.

The bands are those of the project's brief. They describe crawled code; a source of curated packages
keeps more at the licence stage and less may be near-duplicate, so a value outside its band is a
warning to look at, never a failure.

| group | stages | band |
|---|---|---|
| license | 2 | 30-50 % |
| basic | 1, 3, 4 | 80-90 % |
| exact | 5 | 90-95 % |
| near | 6 | 55-70 % |
| quality | 7, 8, 9 | 70-85 % |
| overall | all | 15-30 % |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tritter_assets.compliance import html
from tritter_assets.compliance.funnel import ALL, SourceFunnel, measure_funnel
from tritter_assets.compliance.plots import bar_plot
from tritter_assets.compliance.report import ReportSummary, as_json, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import Lake
from tritter_assets.verdict import STAGE_NUMBER, Stage

STAGE_VERSION = "1"
ASSET = "compliance/retention"


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """The share of documents that a group of stages usually keeps."""

    group: str
    stages: tuple[Stage, ...]
    low: float | None
    high: float | None


_EVERY = tuple(stage for stage in Stage if stage is not Stage.INGEST)
BANDS: tuple[Band, ...] = (
    Band(group="license", stages=(Stage.LICENSE,), low=0.30, high=0.50),
    Band(
        group="basic",
        stages=(Stage.LANGUAGE, Stage.EXTENSION, Stage.LENGTH),
        low=0.80,
        high=0.90,
    ),
    Band(group="exact", stages=(Stage.EXACT_DUPLICATE,), low=0.90, high=0.95),
    Band(group="near", stages=(Stage.NEAR_DUPLICATE,), low=0.55, high=0.70),
    Band(
        group="quality",
        stages=(Stage.LANGUAGE_SPECIFIC, Stage.GENERATED, Stage.COMMENT_RATIO),
        low=0.70,
        high=0.85,
    ),
    Band(
        group="safety",
        stages=(
            Stage.PII,
            Stage.SECRETS,
            Stage.MALWARE,
            Stage.OPT_OUT,
            Stage.DECONTAMINATION,
        ),
        low=None,
        high=None,
    ),
    Band(group="semantic", stages=(Stage.SEMANTIC_DUPLICATE,), low=0.50, high=0.80),
    Band(group="overall", stages=_EVERY, low=0.15, high=0.30),
)

_INDEXED = (Stage.EXACT_DUPLICATE, Stage.NEAR_DUPLICATE, Stage.SEMANTIC_DUPLICATE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Retention:
    """What one group of stages kept of one source."""

    source: str
    group: str
    entered: int
    kept: int
    low: float | None
    high: float | None

    @property
    def share(self) -> float | None:
        """Kept over entered; None when nothing entered."""
        return self.kept / self.entered if self.entered else None

    @property
    def status(self) -> str:
        """`inside`, `below`, `above`, or `no band`."""
        if self.share is None or self.low is None or self.high is None:
            return "no band"
        return "below" if self.share < self.low else "above" if self.share > self.high else "inside"


def code_version() -> str:
    """Returns the version of this report and its bands."""
    return STAGE_VERSION


def measure_retention(lines: Sequence[SourceFunnel]) -> list[Retention]:
    """Returns the retention of each group for each funnel line.

    A group's documents are those that reach its first stage and are not taken out by a stage of
    another group in between, so groups whose stages interleave do not count against one another.
    """
    found = []
    for line in lines:
        for band in BANDS:
            if band.group == "semantic" and not line.removed.get(Stage.SEMANTIC_DUPLICATE):
                continue  # the semantic index is optional
            entered, kept = _flow(line, band)
            found.append(
                Retention(
                    source=line.source,
                    group=band.group,
                    entered=entered,
                    kept=kept,
                    low=band.low,
                    high=band.high,
                )
            )
    return found


def _position(stage: Stage) -> int:
    """Indexes come after every filter, whatever their number in the brief's list."""
    return STAGE_NUMBER[stage] + (100 if stage in _INDEXED else 0)


def _flow(line: SourceFunnel, band: Band) -> tuple[int, int]:
    last = max(_position(stage) for stage in band.stages)
    others = sum(
        number
        for stage, number in line.removed.items()
        if stage not in band.stages and _position(stage) < last
    )
    entered = line.raw - others
    return entered, entered - sum(line.removed.get(stage, 0) for stage in band.stages)


def write_retention(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the retention report as the artifact set `compliance/retention`; it only warns."""
    del catalog
    funnel = measure_funnel(lake)
    lines = measure_retention([*funnel.sources, funnel.total])
    rows = [
        {
            "source": line.source,
            "group": line.group,
            "entered": line.entered,
            "kept": line.kept,
            "share": None if line.share is None else round(line.share, 4),
            "band": "" if line.low is None else f"{line.low:.0%}-{line.high:.0%}",
            "status": line.status,
        }
        for line in lines
    ]
    overall = [row for row in rows if row["source"] == ALL]
    outside = [row for row in rows if row["status"] in ("below", "above")]
    warnings = [
        f"{row['source']}: {row['group']} kept {row['share']:.1%}, {row['status']} {row['band']}"
        for row in outside
    ]
    headline = f"{len(outside)} of {len(rows)} retention rates outside their usual band"
    plot = bar_plot(
        {str(row["group"]): 100 * float(row["share"] or 0) for row in overall},
        title="Share kept by each group of stages, all sources",
        unit="percent of the documents that reached it",
    )
    page = html.page(
        "Retention",
        html.paragraph(headline + "."),
        html.image(plot, alternative="Share kept by each group of stages, all sources"),
        html.heading("All sources"),
        html.records(overall, caption="Retention over all sources"),
        html.heading("By source"),
        html.records([r for r in rows if r["source"] != ALL], caption="Retention by source"),
    )
    return store_report(
        lake,
        ASSET,
        {"retention.json": as_json({"rates": rows}), "retention.html": page},
        fingerprint=fingerprint,
        passed=True,
        headline=headline,
        counts={"outside": len(outside), "rates": len(rows)},
        warnings=warnings,
        tables={"retention": markdown_table(overall)},
        plots={"retention": plot},
    )
