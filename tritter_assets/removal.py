"""Removal requests: who asked that what be forgotten, and which rows a request covers.

Rows are only ever added to the table `removals`. Filters (stage 13), mixes and packers read it, so
a request takes effect at each of them even if the one before has not run again yet.

A request is followed by rows of its own: one per content it names, so that a copy which a later
source brings is refused as well, and one per near copy. Their reason begins with `FOLLOWS`; they
cover what they name, and nothing is followed from them in turn.
"""

from __future__ import annotations

from enum import StrEnum

import polars as pl
import pyarrow as pa


class RemovalKind(StrEnum):
    """What the value of a request names."""

    REPO = "repo"
    OWNER = "owner"
    AUTHOR = "author"
    SHA256 = "sha256"
    SWHID = "swhid"
    ID = "id"


REMOVALS_TABLE = "removals"

REMOVAL_SCHEMA = pa.schema(
    [
        pa.field("request", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("value", pa.string(), nullable=False),
        pa.field("requested_at", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""`request` is the hash of (kind, value); `requested_at` is an ISO 8601 date and time in UTC."""

FOLLOWS = "follows request "
"""Begins the reason of a row that nobody wrote: the id of the request it follows comes next."""

_COLUMN = {
    RemovalKind.REPO: "repo",
    RemovalKind.OWNER: "owner",
    RemovalKind.SHA256: "content_sha256",
    RemovalKind.ID: "id",
}


LISTED = "opt-out list of the policy"
"""Reason of rows that stand in a policy file: whoever takes the line out takes the request back."""


def covers_alone() -> pl.Expr:
    """True for rows from which nothing follows: followers, and the list of the policy."""
    return pl.col("reason").str.starts_with(FOLLOWS) | (pl.col("reason") == LISTED)


def covered_by(removals: pl.DataFrame) -> pl.Expr:
    """Returns a boolean expression over document columns: true where a request covers the row.

    Repositories, owners and e-mail addresses compare without case. An `owner` such as `a,b/name`
    stands for the owner `a` and for further repositories that hold the same content. A row is also
    covered when it was derived (`derived_from`) from an id named by a request.

    Args:
        removals: Rows of `removals`; may be empty.
    """
    wanted = {
        kind: {str(v).lower() for v in removals.filter(pl.col("kind") == kind)["value"]}
        for kind in RemovalKind
    }
    covered = pl.lit(value=False)
    for kind, column in _COLUMN.items():
        if wanted[kind]:
            match = pl.col(column).str.to_lowercase().is_in(sorted(wanted[kind]))
            covered = covered | match.fill_null(value=False)
    covered = covered | _further_keys(wanted[RemovalKind.OWNER], wanted[RemovalKind.REPO])
    if wanted[RemovalKind.SWHID]:
        match = pl.concat_str(pl.lit("swh:1:cnt:"), pl.col("revision")).str.to_lowercase()
        covered = covered | match.is_in(sorted(wanted[RemovalKind.SWHID])).fill_null(value=False)
    if wanted[RemovalKind.AUTHOR]:
        authors = pl.lit(pl.Series([sorted(wanted[RemovalKind.AUTHOR])])).first()
        emails = pl.col("author_emails").list.eval(pl.element().str.to_lowercase())
        covered = covered | (emails.list.set_intersection(authors).list.len() > 0).fill_null(
            value=False
        )
    if wanted[RemovalKind.ID]:
        ids = pl.lit(pl.Series([sorted(wanted[RemovalKind.ID])])).first()
        parents = pl.col("derived_from").list.set_intersection(ids).list.len() > 0
        covered = covered | parents.fill_null(value=False)
    return covered


def _further_keys(owners: set[str], repos: set[str]) -> pl.Expr:
    """Covers rows whose `owner` lists further repositories with the same content (`a,b/name`)."""
    if not owners and not repos:
        return pl.lit(value=False)
    names = pl.col("owner").str.to_lowercase().str.split(",")
    listed = pl.element().is_in(sorted(repo for repo in repos if "/" in repo))
    owned = pl.element().str.split("/").list.first().is_in(sorted(owners))
    covered = names.list.eval(listed | owned).list.any()
    return (pl.col("owner").str.contains(",", literal=True) & covered).fill_null(value=False)
