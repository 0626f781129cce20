"""One cluster of duplicates as Markdown: its members, its licences, and how two of them differ."""

from __future__ import annotations

import re

from tritter_assets.dedup.top_clusters import ClusterView


def cluster_view(view: ClusterView, *, excerpts: bool = True) -> str:
    """Returns the cluster; without `excerpts`, no line of a document."""
    licenses = cell(", ".join(view.licenses) or "none concluded")
    lines = [
        f"**{view.size:,} documents** (`{view.cluster_id[:12]}`), licences pooled: {licenses}",
        "",
        "| member | licence | decision | joined by | similarity |",
        "|---|---|---|---|---|",
    ]
    for row in view.members.iter_rows(named=True):
        score = "" if row["score"] is None else f"{row['score']:.3f}"
        cells = (row["place"], row["license"], row["action"], row["match"], score)
        lines.append("| " + " | ".join(cell(text) for text in cells) + " |")
    if view.size > view.members.height:
        lines.append(f"| ... and {view.size - view.members.height:,} more | | | | |")
    return "\n".join([*lines, "", *_difference(view, excerpts)])


def _difference(view: ClusterView, excerpts: bool) -> list[str]:
    if view.withheld:
        return [f"No excerpt: {cell(view.withheld)} does not let the text be shown here."]
    if view.diff and not excerpts:
        return ["Two members differ; no excerpt is shown (TRITTER_EXCERPTS=off)."]
    if view.diff:
        left, right = view.differ
        fence = _fence(view.diff)
        head = [f"`-` {cell(left)}  ", f"`+` {cell(right)}", ""]
        return [*head, f"{fence}diff", view.diff, fence]
    if view.differ[0]:
        return ["The two members compared are equal line by line."]
    return ["Their texts are not stored any more."]


def cell(text: str | None) -> str:
    """Escapes what would end a cell of a Markdown table or start markup in it."""
    return re.sub(r"([|\\`*_<>\[\]])", r"\\\1", (text or "-").replace("\n", " "))


def _fence(text: str) -> str:
    """Returns a fence longer than any run of backticks in the text."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(3, longest + 1)
