"""Explains a document, a packed token or sequence, or a checkpoint, from stored tables alone.

Nothing is recomputed but the admission under the active policy, so that a reader sees both what
was decided when the row was judged and what the policy says of it today. `subject.py` says how one
may ask.

Cost: one scan of the id columns of each table, without content.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import polars as pl

from tritter_assets.contracts.catalog import Catalog
from tritter_assets.errors import MissingProvenance
from tritter_assets.lake import Lake
from tritter_assets.lineage import document_facts as facts
from tritter_assets.lineage.coverage import near_mates
from tritter_assets.lineage.explain_checkpoint import CheckpointExplanation, explain_checkpoint
from tritter_assets.lineage.explain_packed import SequenceExplanation, explain_sequence
from tritter_assets.lineage.subject import (
    CheckpointSubject,
    DocumentSubject,
    SequenceSubject,
    find_subject,
)
from tritter_assets.lineage.uses import checkpoints_of, mixes_of, packed_of
from tritter_assets.sources.upstream import on_record


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """Everything the lake knows of one document."""

    subject: str
    """What was asked."""
    token: Mapping[str, Any] | None = None
    """For a packed token: its sequence, document, column, characters and text."""
    document: Mapping[str, Any]
    """Identity: id, table, source, shard, repo, path, revision, url, hash, size in bytes."""
    source: Mapping[str, Any]
    """The contract: title, origin, tier, licence facts, claim and finding; what upstream said."""
    licence: Mapping[str, Any] = field(default_factory=dict)
    """The four axes, method, confidence and every piece of evidence."""
    admission: Mapping[str, Any] = field(default_factory=dict)
    """Action, reason, obligations and warnings under the active use profile today."""
    verdicts: Sequence[Mapping[str, Any]]
    """Every stored verdict, in stage order."""
    clusters: Sequence[Mapping[str, Any]] = ()
    """Its row in each duplicate index, with the other members."""
    near_copies: Sequence[Mapping[str, Any]] = ()
    """Verified pairs: id and Jaccard similarity."""
    parents: Sequence[Mapping[str, Any]] = ()
    children: Sequence[Mapping[str, Any]] = ()
    mixes: Sequence[Mapping[str, Any]] = ()
    packed: Sequence[Mapping[str, Any]] = ()
    """Per packed table: the number of sequences that hold it, and the first of them."""
    checkpoints: Sequence[Mapping[str, Any]] = ()
    removals: Sequence[Mapping[str, Any]] = ()
    """Requests that cover it."""

    def as_dict(self) -> dict[str, Any]:
        """Returns nested plain values, ready for JSON."""
        return asdict(self)


def explain(
    lake: Lake, what: str, catalog: Catalog
) -> Explanation | SequenceExplanation | CheckpointExplanation:
    """Explains what `what` names; see `subject.py` for how to write it.

    Raises:
        MissingProvenance: nothing in the lake answers to `what`, or several things do.
    """
    subject = find_subject(lake, what)
    if isinstance(subject, CheckpointSubject):
        return explain_checkpoint(lake, what, subject.asset)
    if isinstance(subject, SequenceSubject) and subject.token is None:
        return explain_sequence(lake, what, subject.table, subject.sequence)
    return _document(lake, what, subject, catalog)


def explain_document(lake: Lake, what: str, catalog: Catalog) -> Explanation:
    """Explains a document, the document of a packed token, or what ingestion skipped.

    Raises:
        MissingProvenance: nothing in the lake answers to `what`, several things do, or it names no
            document.
    """
    subject = find_subject(lake, what)
    if isinstance(subject, CheckpointSubject):
        raise MissingProvenance(f"{what!r} is a checkpoint and no document: use `tritter explain`")
    return _document(lake, what, subject, catalog)


def _document(
    lake: Lake, what: str, subject: DocumentSubject | SequenceSubject, catalog: Catalog
) -> Explanation:
    token = _token(lake, subject) if isinstance(subject, SequenceSubject) else None
    doc_id = token["doc_id"] if token is not None else subject.doc_id  # pyright: ignore
    rows = facts.document_rows(lake, pl.col("id") == doc_id)
    if not rows:
        skipped = facts.skipped_rows(lake, doc_id)[0]
        return Explanation(
            subject=what,
            document={key: value for key, value in skipped.items() if value},
            source=facts.source(skipped["source"], catalog),
            verdicts=facts.verdicts(lake, skipped["source"], doc_id),
        )
    row = rows[0]
    return Explanation(
        subject=what,
        token=token,
        document=facts.identity(rows),
        source=facts.source(row["source"], catalog) | on_record(lake, row["source"]),
        licence=facts.licence(row),
        admission=facts.admission(row, catalog),
        verdicts=facts.verdicts(lake, row["source"], doc_id),
        clusters=facts.clusters(lake, doc_id),
        near_copies=near_mates(lake, pl.Series([doc_id])).select("id", "score").to_dicts(),
        parents=facts.parents(lake, row["derived_from"]),
        children=facts.children(lake, doc_id),
        mixes=mixes_of(lake, doc_id),
        packed=packed_of(lake, doc_id),
        checkpoints=checkpoints_of(lake, doc_id),
        removals=facts.removals(lake, row, catalog),
    )


def _token(lake: Lake, subject: SequenceSubject) -> dict[str, Any]:
    from tritter_assets.packing.lineage import locate

    origin = locate(
        lake, subject.table, subject.sequence, subject.token or 0, rejected=subject.rejected
    )
    place = {"packed_table": subject.table, "sequence": subject.sequence, "token": subject.token}
    return {**place, "rejected": subject.rejected, **asdict(origin)}
