"""NOTICE: who wrote what trains, under which licence, with the licence texts.

| file | content |
|---|---|
| NOTICE.txt | one entry per source and repository, then each licence text once |
| notice.json | the same, one repository or text per line |
| notice.html | the same for a person; the first `HTML_REPOSITORIES` repositories and their texts |

Entries are the distinct (source, repository, revision, licence, copyright line) of the rows behind
all mixes, with the licence files of the repository by the hash of their text. The texts follow,
each once: first those that repositories have, which name their holders, then those of the licences
themselves. The files are written as sorted rows stream by (`notice_rows.py`): memory is bounded by
the profile's limit, whatever the number of repositories. A text is indented and loses its control
characters, so that nothing in it can pass for an entry.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tritter_assets.compliance.data_facts import origin_of
from tritter_assets.compliance.license_texts import license_ids, license_text
from tritter_assets.compliance.notice_page import license_address, notice_page, short_hash, used_by
from tritter_assets.compliance.notice_rows import MAX_LINE_CHARS, Entry, NoticeRows, OwnText
from tritter_assets.compliance.report import ReportSummary, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import Lake

STAGE_VERSION = "2"
"""2: the licence files of the repositories themselves."""
ASSET = "compliance/notice"

HTML_REPOSITORIES = 2000
"""A page with more entries than this is no longer read by a person."""

HTML_TEXT_CHARS = 2_000_000
"""Of licence texts on the page."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(slots=True)
class _Totals:
    repositories: int = 0
    lines: int = 0
    without_line: int = 0
    without_file: int = 0
    own_texts: int = 0
    licences: set[str] = field(default_factory=set)


def code_version() -> str:
    """Returns the version of this report."""
    return STAGE_VERSION


def write_notice(lake: Lake, *, catalog: Catalog, fingerprint: str) -> ReportSummary:
    """Writes the notice over all mixes as the artifact set `compliance/notice`.

    Fails (`passed` false) when a mix holds rows whose origin table is gone: their authors could
    not be named.
    """
    with tempfile.TemporaryDirectory(prefix="tritter-notice-") as name:
        folder = Path(name)
        rows = NoticeRows(lake, folder, catalog.profile.memory_limit_bytes)
        try:
            totals, shown = _write_entries(folder, rows.entries(), catalog)
            shown_texts = _append_own_texts(folder, rows.texts(), totals, shown)
        finally:
            rows.close()
        standard = _append_standard_texts(folder, totals, catalog)
        unread = sorted(key for key, text in standard.items() if text is None)
        headline = (
            f"{totals.repositories} repositories, {totals.lines} copyright lines, "
            f"{totals.own_texts} licence texts of theirs, {len(standard)} licences"
        )
        problems = [
            f"{number} rows of {mix} come from {table}, which does not hold them: "
            f"materialise {mix!r} again"
            for mix, table, number in rows.missing
        ]
        warnings = [
            f"{key}: no text is at hand; NOTICE gives its address instead" for key in unread
        ]
        if totals.without_line:
            warnings.append(
                f"{totals.without_line} repositories carry no copyright line in their rows"
            )
        if totals.without_file:
            warnings.append(
                f"{totals.without_file} repositories came without a licence file; for them NOTICE "
                "has the text of the licence itself"
            )
        (folder / "notice.html").write_bytes(
            notice_page(
                headline,
                shown,
                shown_texts,
                standard,
                repositories=totals.repositories,
                own_texts=totals.own_texts,
                remarks=[*problems, *warnings],
                ok=not problems,
            )
        )
        by_source = [{"source": s, "repositories": n} for s, n in sorted(_by_source(shown).items())]
        return store_report(
            lake,
            ASSET,
            {
                "NOTICE.txt": folder / "NOTICE.txt",
                "notice.json": folder / "notice.json",
                "notice.html": folder / "notice.html",
            },
            fingerprint=fingerprint,
            passed=not problems,
            headline=headline,
            counts={
                "repositories": totals.repositories,
                "copyright_lines": totals.lines,
                "repositories_without_line": totals.without_line,
                "repositories_without_file": totals.without_file,
                "own_texts": totals.own_texts,
                "licences": len(standard),
                "licences_without_text": len(unread),
            },
            problems=problems,
            warnings=warnings,
            tables={"repositories": markdown_table(by_source)},
        )


def _write_entries(
    folder: Path, entries: Iterator[Entry], catalog: Catalog
) -> tuple[_Totals, list[Entry]]:
    totals, shown = _Totals(), []
    with (
        (folder / "NOTICE.txt").open("w", encoding="utf-8", newline="\n") as text,
        (folder / "notice.json").open("w", encoding="utf-8", newline="\n") as data,
    ):
        text.write(
            "NOTICE\n\nThe training mixes hold material from the repositories below. Each entry "
            "gives the\nlicences concluded for its files, the copyright lines found in them, and "
            "its licence\nfiles by the hash under which their texts follow.\n"
        )
        data.write('{"repositories": [\n')
        source = None
        for entry in entries:
            if entry.source != source:
                source = entry.source
                text.write(_source_header(source, catalog))
            _write_entry(text, entry)
            separator = ",\n" if totals.repositories else ""
            data.write(separator + json.dumps(_as_dict(entry), ensure_ascii=False))
            totals.repositories += 1
            totals.lines += len(entry.lines)
            totals.without_line += not entry.lines
            totals.without_file += not entry.files
            totals.licences.update(entry.licences)
            if len(shown) < HTML_REPOSITORIES:
                shown.append(entry)
    return totals, shown


def _source_header(source: str, catalog: Catalog) -> str:
    contract = catalog.sources.get(source)
    lines = ["", "=" * 78, f"Source: {contract.title if contract else source} ({source})"]
    if contract is not None:
        address, revision, digest = origin_of(contract.origin)
        lines.append(f"From: {address} {revision}".rstrip())
        if digest:
            lines.append(f"SHA-256: {digest}")
        if contract.licence.wrapper != "NOASSERTION":
            lines.append(f"Collection licence: {contract.licence.wrapper}")
    return "\n".join(lines) + "\n" + "=" * 78 + "\n"


def _write_entry(text: IO[str], entry: Entry) -> None:
    text.write(f"\n{entry.repo} ({', '.join(r for r in entry.revisions if r) or 'no revision'})\n")
    text.write(f"  Licence: {'; '.join(entry.licences)}\n")
    for line in entry.lines:
        text.write(f"  {line}\n")
    for path, digest in entry.files:
        text.write(f"  [{short_hash(digest)}] {_one_line(path)}\n")


def _as_dict(entry: Entry) -> dict[str, Any]:
    return {
        "source": entry.source,
        "repo": entry.repo,
        "revisions": entry.revisions,
        "licences": entry.licences,
        "copyright_lines": entry.lines,
        "license_files": [{"path": path, "sha256": digest} for path, digest in entry.files],
    }


def _append_own_texts(
    folder: Path, texts: Iterator[OwnText], totals: _Totals, shown: list[Entry]
) -> list[OwnText]:
    """Appends the texts of repositories; returns those that the page shows."""
    wanted = {digest for entry in shown for _, digest in entry.files}
    kept: list[OwnText] = []
    kept_chars = 0
    with (
        (folder / "NOTICE.txt").open("a", encoding="utf-8", newline="\n") as text,
        (folder / "notice.json").open("a", encoding="utf-8", newline="\n") as data,
    ):
        text.write(_title("Licence texts of the repositories"))
        data.write('\n], "license_texts": {\n')
        for own in texts:
            text.write(
                f"\n--- [{short_hash(own.sha256)}] {used_by(own)} ---\n\n{_indented(own.text)}\n"
            )
            separator = ",\n" if totals.own_texts else ""
            data.write(f'{separator}"{own.sha256}": {json.dumps(own.text, ensure_ascii=False)}')
            totals.own_texts += 1
            if own.sha256 in wanted and kept_chars + len(own.text) <= HTML_TEXT_CHARS:
                kept_chars += len(own.text)
                kept.append(own)
    return kept


def _append_standard_texts(
    folder: Path, totals: _Totals, catalog: Catalog
) -> dict[str, str | None]:
    keys = sorted({key for expression in totals.licences for key in license_ids(expression)})
    texts = {key: license_text(catalog.root, key) for key in keys}
    with (folder / "NOTICE.txt").open("a", encoding="utf-8", newline="\n") as text:
        text.write(_title("Licence texts"))
        for key, body in texts.items():
            text.write(f"\n--- {key} ({license_address(key)}) ---\n\n")
            if body:
                text.write(body.rstrip() + "\n")
    with (folder / "notice.json").open("a", encoding="utf-8", newline="\n") as data:
        listed = {
            key: {"address": license_address(key), "text": body} for key, body in texts.items()
        }
        data.write('\n}, "licences": ' + json.dumps(listed, ensure_ascii=False) + "}\n")
    return texts


def _title(text: str) -> str:
    return f"\n{'=' * 78}\n{text}\n{'=' * 78}\n"


def _one_line(text: str) -> str:
    return _CONTROL.sub(" ", text).replace("\n", " ").replace("\t", " ")[:MAX_LINE_CHARS]


def _indented(text: str) -> str:
    lines = _CONTROL.sub("", text).split("\n")
    return "\n".join(f"    {line}" if line else "" for line in lines)


def _by_source(entries: list[Entry]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.source] = counts.get(entry.source, 0) + 1
    return counts
