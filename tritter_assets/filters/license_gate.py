"""Stage 2: does the active use profile admit the document's licence, wrapper, terms and generator?

The decision is `licensing.admit`'s; this stage only carries it. Reads the licence columns. What
cannot be proved is quarantined or dropped there, never passed.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tritter_assets.errors import MissingProvenance
from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.verdict import Action, Reason, Stage, Verdict

STAGE_VERSION = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class LicenseGateConfig:
    """Stage 2 has no thresholds of its own: they are the policy's."""


def judge_license_gate(
    frame: pl.DataFrame, config: LicenseGateConfig, context: JudgeContext
) -> list[Verdict]:
    """Carries the decisions of the licence policy over.

    Raises:
        MissingProvenance: the gate did not decide every document.
    """
    del config
    if context.admit is None:
        return []
    decided = context.admit(frame)
    if decided.height != frame.height:
        raise MissingProvenance(
            f"the licence gate decided {decided.height} of {frame.height} documents: "
            "every document needs one decision"
        )
    refused = decided.join(
        frame.select("id", "license_concluded", "generator"), on="id", how="left"
    ).filter(pl.col("action") != Action.KEEP.value)
    return [
        Verdict(
            row["id"],
            Stage.LICENSE,
            Action(row["action"]),
            Reason(row["reason"]),
            None,
            f"{row['license_concluded']}; generator {row['generator']}",
        )
        for row in refused.sort("id").iter_rows(named=True)
    ]


DEFINITION = StageDefinition(Stage.LICENSE, STAGE_VERSION, LicenseGateConfig, judge_license_gate)
