"""Runs the stages over a frame of documents, in the brief's order, each on what is still alive.

What a stage drops or quarantines is not shown to later stages, unless `run_all_stages` is set for
study. Each document gets exactly one terminal verdict: where it stopped, or that it passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import polars as pl

from tritter_assets.filters import (
    comment_ratio,
    decontamination,
    extension,
    generated,
    language,
    language_specific,
    length,
    license_gate,
    malware,
    opt_out,
    pii,
    secrets,
)
from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.filters.kernels import with_statistics
from tritter_assets.filters.verdict_rows import Judged, as_mapping
from tritter_assets.verdict import STAGE_NUMBER, Action, Reason, Stage, Verdict

STAGES: tuple[StageDefinition, ...] = (
    language.DEFINITION,
    license_gate.DEFINITION,
    extension.DEFINITION,
    length.DEFINITION,
    language_specific.DEFINITION,
    generated.DEFINITION,
    comment_ratio.DEFINITION,
    pii.DEFINITION,
    secrets.DEFINITION,
    malware.DEFINITION,
    opt_out.DEFINITION,
    decontamination.DEFINITION,
)
"""Stages of the pass. 5, 6 and 15 are the global indexes, which run after it."""

_TERMINAL = (Action.DROP, Action.QUARANTINE)


def judge_frame(
    frame: pl.DataFrame, context: JudgeContext, *, timer: dict[str, float] | None = None
) -> list[dict[str, Any]]:
    """Judges documents and returns rows of `VERDICT_SCHEMA` (source and shard left to the caller).

    Args:
        frame: Columns of `contract.DOCUMENT_COLUMNS`.
        context: Made by `make_context`.
        timer: When given, wall seconds per stage are added to it.
    """
    return [as_mapping(judged) for judged in judge_documents(frame, context, timer=timer)]


def judge_documents(
    frame: pl.DataFrame, context: JudgeContext, *, timer: dict[str, float] | None = None
) -> list[Judged]:
    """Judges documents; see `judge_frame`."""
    verdicts: list[Verdict] = []
    alive = with_statistics(frame)
    for definition in STAGES:
        begin = perf_counter()
        found = _run_stage(definition, alive, context)
        if timer is not None:
            seconds = perf_counter() - begin
            timer[definition.stage.value] = timer.get(definition.stage.value, 0.0) + seconds
        verdicts += found
        if definition.stage is Stage.LENGTH:
            # Whatever is set, nothing unbounded goes further.
            alive = alive.filter(pl.col("num_bytes") <= context.settings.max_document_bytes)
        stopped = {v.id for v in found if v.action in _TERMINAL}
        if stopped and not context.settings.run_all_stages:
            alive = alive.filter(~pl.col("id").is_in(list(stopped)))
    return _settle(frame["id"].to_list(), verdicts)


def _run_stage(
    definition: StageDefinition, frame: pl.DataFrame, context: JudgeContext
) -> list[Verdict]:
    """Runs a stage on groups of documents that share one config."""
    verdicts: list[Verdict] = []
    if frame.is_empty():
        return verdicts
    groups: dict[Any, list[tuple[str, str | None]]] = {}
    configs: dict[Any, Any] = {}
    for modality, tongue in frame.select("modality", "language").unique().iter_rows():
        config = context.settings.resolve(
            definition.stage,
            definition.config,
            modality=modality,
            language=tongue,
            source=context.source,
            tags=context.tags,
        )
        if config is not None:
            key = repr(config)
            configs[key] = config
            groups.setdefault(key, []).append((modality, tongue))
    for key in sorted(groups):
        pairs = pl.DataFrame(
            groups[key],
            schema={"modality": pl.String, "language": pl.String},
            orient="row",
        )
        part = frame
        if len(groups) > 1 or pairs.height < _num_pairs(frame):
            part = frame.join(pairs, on=["modality", "language"], how="semi", nulls_equal=True)
        verdicts += _guarded(definition, part, configs[key], context)
    return verdicts


def _num_pairs(frame: pl.DataFrame) -> int:
    return frame.select("modality", "language").n_unique()


def _guarded(
    definition: StageDefinition, frame: pl.DataFrame, config: Any, context: JudgeContext
) -> list[Verdict]:
    """Runs a stage; when it fails, finds the documents it fails on and quarantines them.

    A stage that fails on every document is a defect of the stage, and its error is raised.
    """
    try:
        return definition.judge(frame, config, context)
    except (UnicodeError, ValueError, OverflowError, RecursionError, pl.exceptions.PolarsError):
        if frame.height == 1:
            raise
    verdicts: list[Verdict] = []
    failed = 0
    last: Exception | None = None
    for number in range(frame.height):
        one = frame.slice(number, 1)
        try:
            verdicts += definition.judge(one, config, context)
        except (
            UnicodeError, ValueError, OverflowError, RecursionError, pl.exceptions.PolarsError
        ) as error:  # fmt: skip
            failed, last = failed + 1, error
            verdicts.append(
                Verdict(
                    one["id"][0],
                    definition.stage,
                    Action.QUARANTINE,
                    Reason.UNREADABLE,
                    None,
                    f"{definition.stage} failed: {type(error).__name__}",
                )
            )
    if failed == frame.height and last is not None:
        raise last
    return verdicts


def _settle(ids: Sequence[str], verdicts: Sequence[Verdict]) -> list[Judged]:
    """Marks the terminal verdict of each document, and adds one where all stages were silent."""
    versions = {definition.stage: definition.version for definition in STAGES}
    last = STAGES[-1].stage
    done: set[str] = set()
    settled: list[Judged] = []
    for verdict in sorted(verdicts, key=lambda v: STAGE_NUMBER[v.stage]):
        terminal = verdict.action in _TERMINAL and verdict.id not in done
        if terminal:
            done.add(verdict.id)
        settled.append(Judged(verdict, terminal, versions[verdict.stage]))
    settled += [
        Judged(Verdict(row_id, last, Action.KEEP, Reason.PASSED), True, versions[last])
        for row_id in ids
        if row_id not in done
    ]
    return settled
