"""Pairs of contents that share a band: those of new contents, and of crowds that changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np
import polars as pl

from tritter_assets.dedup import crowds
from tritter_assets.dedup.band_runs import NO_HASHES, BandRuns, distinct_pairs
from tritter_assets.dedup.bands import BandLayout, band_hashes, band_keys, unpack_sketches
from tritter_assets.dedup.cluster_update import Shard, read_signatures
from tritter_assets.dedup.document_cache import DocumentCache
from tritter_assets.dedup.sorted_runs import without
from tritter_assets.lake import Lake

_BATCH_SHARE = 4
"""From a quarter of all entries on, one pass over the bands costs less than looking new ones up."""


def find_candidates(
    lake: Lake,
    cache: DocumentCache,
    runs: BandRuns,
    layout: BandLayout,
    *,
    stale: Sequence[Shard],
    fresh: pl.Series,
    touched: np.ndarray | None,
) -> tuple[pl.DataFrame, pl.Series]:
    """Puts the bands of new contents into the runs, and returns the pairs to look at.

    Args:
        lake: The lake.
        cache: Has the documents as they are now.
        runs: The band runs.
        layout: How sketches are cut.
        stale: Shards that the new contents stand in.
        fresh: The contents that are new.
        touched: Hashes of further contents that lose or gain documents; None for all there are.

    Returns:
        Candidate pairs (left < right), and the contents all of whose candidates are among them:
        those of crowded bands with a content that is new, gains or loses a document.
    """
    entries = _entries(lake, layout, stale, fresh)
    found, crowded = _look_up(cache, runs, entries, fresh, touched)
    crowd = crowds.contents_of(runs, cache, crowded)
    pairs = distinct_pairs(chain(found, _crowd_pairs(lake, cache, runs, layout, crowd)))
    return _among_living(cache, pairs), crowd


def hashes_of(
    lake: Lake, layout: BandLayout, shards: Sequence[Shard], wanted: pl.Series
) -> np.ndarray:
    """Returns the distinct band hashes of contents in signed shards, sorted."""
    parts = [hashes for hashes, _ in _entries(lake, layout, shards, wanted)]
    return np.unique(np.concatenate(parts)) if parts else NO_HASHES


def _look_up(
    cache: DocumentCache,
    runs: BandRuns,
    entries: Iterable[tuple[np.ndarray, np.ndarray]],
    fresh: pl.Series,
    touched: np.ndarray | None,
) -> tuple[Iterator[pl.DataFrame], np.ndarray]:
    """Puts the bands of new contents into the runs.

    Args:
        cache: Tells which contents have entries and are gone.
        runs: The band runs.
        entries: Hashes and contents of what is new.
        fresh: The contents that are new.
        touched: Hashes of further contents that lose or gain documents; None for all there are.

    Returns:
        The pairs that new contents make in bands that are not crowded, and the hashes of crowded
        bands with a content that is new, gains or loses a document.
    """
    held = list(runs.runs)
    num_held = runs.num_entries
    runs.add_all(entries)
    cache.revive(fresh)
    added = [run for run in runs.runs if run not in held]
    many = added and (runs.num_entries - num_held) * _BATCH_SHARE >= runs.num_entries
    if runs.runs and (many or touched is None):
        everything = runs.merge(runs.runs, without(cache.dead()))
        cache.forget_dead()
        crowded = runs.crowded(everything, crowds.CROWD)
        return runs.pairs_within(everything, fresh.sort().to_numpy(), crowded=crowded), crowded
    new = NO_HASHES
    one = None
    if added:
        one = added[0] if len(added) == 1 else runs.merge(added)
        new = runs.keys(one)
    if touched is None or not len(touched):
        touched = new
    elif len(new):
        touched = np.union1d(new, touched)
    # Counts entries, those of contents that vanish included: what was crowded still is.
    counts = runs.counts(touched)
    crowded, shared = touched[counts > crowds.CROWD], touched[counts > 1]
    if one is None:
        return iter(()), crowded
    within = runs.pairs_within(one, crowded=crowded)
    return chain(within, runs.pairs_between(one, held, shared=shared, crowded=crowded)), crowded


def _crowd_pairs(
    lake: Lake, cache: DocumentCache, runs: BandRuns, layout: BandLayout, crowd: pl.Series
) -> Iterator[pl.DataFrame]:
    """Yields all candidate pairs of the contents of crowded bands."""
    if len(crowd):
        shards = cache.documents(crowd).select("source", "shard").unique().sort("source", "shard")
        yield from crowds.pairs_of(
            runs, cache, hashes_of(lake, layout, shards.rows(), crowd), crowd
        )


def _among_living(cache: DocumentCache, pairs: pl.DataFrame) -> pl.DataFrame:
    living = cache.present(pl.concat([pairs["left"], pairs["right"]])).implode()
    return pairs.filter(pl.col("left").is_in(living) & pl.col("right").is_in(living))


def _entries(
    lake: Lake,
    layout: BandLayout,
    shards: Sequence[Shard],
    wanted: pl.Series,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields hashes and contents of the bands of contents in shards, each once."""
    done = pl.Series(dtype=pl.Int64)
    for shard in shards:
        if done.len() == wanted.len():
            break
        signatures = read_signatures(lake, shard, ["content", "minhash"]).unique("content")
        signatures = signatures.filter(pl.col("content").is_in(wanted.implode()))
        signatures = signatures.filter(~pl.col("content").is_in(done.implode()))
        if signatures.height:
            done = pl.concat([done, signatures["content"]])
            keys = band_keys(unpack_sketches(signatures["minhash"]), layout)
            contents = np.repeat(signatures["content"].to_numpy(), layout.num_bands)
            band = np.tile(np.arange(layout.num_bands), signatures.height)
            yield band_hashes(keys.reshape(-1), band), contents
