"""The pairs of contents that share a band, as Daft frames; see `crowds.py`."""

# pyright: reportMissingImports=false
# Daft and Ray are in the environment of constraints-cluster.txt, not in the one that is checked.

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tritter_assets.cluster import band_groups
from tritter_assets.cluster.frames import (
    contents,
    crowd_pairs,
    group_pairs,
    shared_by,
    signatures,
    texts_joined,
    union,
)
from tritter_assets.cluster.scratch import Scratch
from tritter_assets.dedup.crowds import CROWD
from tritter_assets.dedup.index import ShardInput
from tritter_assets.lake import Lake

if TYPE_CHECKING:
    from daft import DataFrame

PLACE = ["band", "key"]


def grouped(entries: DataFrame, wanted: DataFrame | None = None) -> DataFrame:
    """Returns band, key, and lists of the contents together there, and of those wanted.

    Args:
        entries: Columns content, band, key.
        wanted: Contents whose pairs are wanted; None wants all.
    """
    from daft import col

    shared = shared_by(entries, PLACE)
    if wanted is None:
        together = shared.groupby(*PLACE).agg(col("content").list_agg().alias("together"))
        return together.with_column("wanted", col("together"))
    marks = wanted.select("content", col("content").alias("wanted"))
    return (
        shared.join(marks, on="content", how="left")
        .groupby(*PLACE)
        .agg(col("content").list_agg().alias("together"), col("wanted").list_agg())
        .where(col("wanted").list_count() > 0)
    )


def pairs_of(
    lake: Lake, inputs: Sequence[ShardInput], scratch: Scratch, step: str, groups: DataFrame
) -> DataFrame:
    """Returns the pairs (left, right) with a wanted end that groups have, each once.

    Args:
        lake: The lake.
        inputs: The shards whose documents say in which order contents survive.
        scratch: Keeps the pairs as `step`, and the groups.
        step: A name.
        groups: Of `grouped`.
    """
    from daft import col

    groups = scratch.store(f"{step}-groups", groups)
    crowded = col("together").list_count() > CROWD
    few = groups.where(~crowded).select(group_pairs(col("together"), col("wanted")).alias("pair"))
    found = [few]
    crowds = scratch.store(f"{step}-crowds", groups.where(crowded))
    if scratch.num_rows(f"{step}-crowds"):
        found.append(_pairs_of_crowds(lake, inputs, crowds))
    return scratch.store(
        step,
        union(found)
        .explode("pair")
        .select(col("pair").get("left").alias("left"), col("pair").get("right").alias("right"))
        .distinct(),
    )


def _pairs_of_crowds(lake: Lake, inputs: Sequence[ShardInput], crowds: DataFrame) -> DataFrame:
    from daft import DataType, col, lit
    from daft.functions import when

    members = crowds.select(*PLACE, col("together").alias("content")).explode("content")
    wanted = crowds.select(*PLACE, col("wanted").alias("content")).explode("content")
    flags = wanted.with_column("flag", lit(band_groups.WANTED))
    ranks = _ranks(lake, inputs, contents((members, "content")))
    ranked = (
        members.join(flags, on=[*PLACE, "content"], how="left")
        .join(ranks, on="content")
        .with_columns(
            {
                "number": col("content").cast(DataType.string()),
                "flag": when(col("flag").is_null(), lit("0")).otherwise(col("flag")),
            }
        )
    )
    text = texts_joined([col("rank"), col("number"), col("flag")], band_groups.SEPARATOR)
    groups = ranked.select(*PLACE, text.alias("text"))
    listed = groups.groupby(*PLACE).agg(col("text").list_agg().alias("members"))
    return listed.select(crowd_pairs(col("members")).alias("pair"))


def _ranks(lake: Lake, inputs: Sequence[ShardInput], wanted: DataFrame) -> DataFrame:
    """Returns content and a text that sorts as the first documents of contents survive."""
    from daft import col

    order = ("order", "source", "repo", "path", "id", "shard")  # `SURVIVAL_ORDER`, then the shard
    signed = signatures(lake, inputs, ["normalized_sha256", "repo", "path"])
    rank = texts_joined([col(name) for name in order], band_groups.SEPARATOR)
    chosen = signed.join(wanted, on="content", how="semi")
    return chosen.select("content", rank.alias("rank")).groupby("content").agg(col("rank").min())
