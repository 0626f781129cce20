"""Stage 3: data and configuration files, by the name of the file. Reads path."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.verdict import Action, Reason, Stage, Verdict

STAGE_VERSION = "1"


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionConfig:
    """Name lists of stage 3, all in lower case."""

    data_extensions: tuple[str, ...]
    """Extensions, dot included, of files that hold data or configuration."""
    data_names: tuple[str, ...]
    """Whole file names."""
    wanted_extensions: tuple[str, ...]
    """When not empty, only these pass."""


def judge_extension(
    frame: pl.DataFrame, config: ExtensionConfig, context: JudgeContext
) -> list[Verdict]:
    """Drops data and configuration files, and extensions that are not wanted."""
    del context
    name = pl.col("path").str.to_lowercase().str.extract(r"([^/\\]*)$", 1)
    rows = frame.select("id", name=name, suffix=name.str.extract(r"(\.[^.]*)$", 1).fill_null(""))
    data = pl.col("suffix").is_in(config.data_extensions) | pl.col("name").is_in(config.data_names)
    verdicts = [
        Verdict(row_id, Stage.EXTENSION, Action.DROP, Reason.DATA_OR_CONFIG_FILE, None, found)
        for row_id, found in rows.filter(data).select("id", "name").iter_rows()
    ]
    if config.wanted_extensions:
        others = rows.filter(~data & ~pl.col("suffix").is_in(config.wanted_extensions))
        verdicts += [
            Verdict(row_id, Stage.EXTENSION, Action.DROP, Reason.EXTENSION_NOT_WANTED, None, found)
            for row_id, found in others.select("id", "suffix").iter_rows()
        ]
    return verdicts


DEFINITION = StageDefinition(Stage.EXTENSION, STAGE_VERSION, ExtensionConfig, judge_extension)
