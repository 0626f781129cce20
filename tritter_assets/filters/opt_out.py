"""Stage 13: documents that a removal request or a standing opt-out of the policy covers.

Reads repo, owner, author_emails, revision, content_sha256, id, derived_from.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.removal import covered_by
from tritter_assets.verdict import Action, Reason, Stage, Verdict

STAGE_VERSION = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class OptOutConfig:
    """Stage 13 has no thresholds: a request counts as it stands."""


def judge_opt_out(
    frame: pl.DataFrame, config: OptOutConfig, context: JudgeContext
) -> list[Verdict]:
    """Drops every document that somebody asked us to forget."""
    del config
    removals = context.all_removals
    if removals.is_empty():
        return []
    covered = frame.filter(covered_by(removals))
    return [
        Verdict(row_id, Stage.OPT_OUT, Action.DROP, Reason.OPTED_OUT, None, f"repository {repo}")
        for row_id, repo in covered.select("id", "repo").iter_rows()
    ]


DEFINITION = StageDefinition(Stage.OPT_OUT, STAGE_VERSION, OptOutConfig, judge_opt_out)
