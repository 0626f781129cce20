"""The notice as a page for a person."""

from __future__ import annotations

from tritter_assets.compliance import html
from tritter_assets.compliance.notice_rows import Entry, OwnText

_SHORT_DIGITS = 16


def short_hash(digest: str) -> str:
    """What stands for the hash of a text in a notice."""
    return digest[:_SHORT_DIGITS]


def used_by(own: OwnText) -> str:
    """How many repositories have a text."""
    return "1 repository" if own.repositories == 1 else f"{own.repositories} repositories"


def license_address(key: str) -> str:
    """Where the text of a licence can be read."""
    if key.startswith("LicenseRef-scancode-"):
        return f"https://scancode-licensedb.aboutcode.org/{key[20:]}.html"
    return f"https://spdx.org/licenses/{key}.html"


def notice_page(
    headline: str,
    shown: list[Entry],
    own: list[OwnText],
    standard: dict[str, str | None],
    *,
    repositories: int,
    own_texts: int,
    remarks: list[str],
    ok: bool,
) -> bytes:
    """Returns the page.

    Args:
        headline: One sentence.
        shown: The repositories that the page lists.
        own: The texts of repositories that it shows.
        standard: Licence id -> its text, or None where none is at hand.
        repositories: How many there are in all.
        own_texts: How many texts of repositories there are in all.
        remarks: Problems and warnings.
        ok: Whether nothing failed.
    """
    rows = [
        (
            e.source,
            e.repo,
            e.revisions,
            "; ".join(e.licences),
            html.listing(e.lines),
            html.listing([f"{path} [{short_hash(digest)}]" for path, digest in e.files]),
        )
        for e in shown
    ]
    columns = ["source", "repository", "revisions", "licences", "copyright lines", "licence files"]
    parts = [html.verdict_badge(ok, headline)]
    if remarks:
        parts.append(html.listing(remarks))
    if repositories > len(shown):
        parts.append(
            html.paragraph(f"The first {len(shown)} are shown; NOTICE.txt has all of them.")
        )
    parts += [html.heading("Repositories"), html.table(columns, rows)]
    if own:
        parts.append(html.heading("Licence texts of the repositories"))
    if own_texts > len(own):
        parts.append(
            html.paragraph(
                f"{len(own)} of {own_texts} texts are shown; NOTICE.txt has all of them."
            )
        )
    parts += [
        html.details(f"{short_hash(o.sha256)}: {used_by(o)}", html.preformatted(o.text))
        for o in own
    ]
    parts.append(html.heading("Licence texts"))
    for key, body in standard.items():
        content = (
            html.preformatted(body) if body else html.paragraph(f"See {license_address(key)}.")
        )
        parts.append(html.details(key, content))
    return html.page("Notice", *parts)
