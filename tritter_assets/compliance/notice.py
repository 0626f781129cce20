"""NOTICE: who wrote what trains, under which licence, with the licence texts.

| file | content |
|---|---|
| NOTICE.txt | one entry per source and repository, then each licence text once |
| notice.json | the same, one repository per line inside `repositories` |
| notice.html | the same for a person; the first `HTML_REPOSITORIES` repositories |

Entries are the distinct (source, repository, revision, licence, copyright line) of the rows behind
all mixes. DuckDB sorts and deduplicates them out of core, and the files are written as the sorted
rows stream by: memory is bounded by the profile's limit, whatever the number of repositories.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from tritter_assets.compliance import html
from tritter_assets.compliance.data_facts import origin_of
from tritter_assets.compliance.license_texts import license_ids, license_text
from tritter_assets.compliance.report import ReportSummary, markdown_table, store_report
from tritter_assets.contracts.catalog import Catalog
from tritter_assets.lake import Lake
from tritter_assets.lineage.inventory import DOCUMENT_STAGES, tables_under

STAGE_VERSION = "1"
ASSET = "compliance/notice"

HTML_REPOSITORIES = 2000
"""A page with more entries than this is no longer read by a person."""

_MAX_LINE_CHARS = 500
_BATCH_ROWS = 10_000
_MIN_MEMORY_BYTES = 256 << 20


@dataclass(slots=True)
class Entry:
    """The notice of one repository."""

    source: str
    repo: str
    revisions: list[str] = field(default_factory=list)
    licences: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Totals:
    repositories: int = 0
    lines: int = 0
    without_line: int = 0
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
        connection, missing = _collect(lake, folder, catalog.profile.memory_limit_bytes)
        try:
            totals, shown = _write_files(folder, _entries(connection), catalog)
        finally:
            connection.close()
        texts = _append_texts(folder, totals, catalog)
        unread = sorted(key for key, text in texts.items() if text is None)
        headline = (
            f"{totals.repositories} repositories, {totals.lines} copyright lines, "
            f"{len(texts)} licences"
        )
        problems = [
            f"{rows} rows of {mix} come from {table}, which does not hold them: "
            f"materialise {mix!r} again"
            for mix, table, rows in missing
        ]
        warnings = [
            f"{key}: no text is at hand; NOTICE gives its address instead" for key in unread
        ]
        if totals.without_line:
            warnings.append(
                f"{totals.without_line} repositories carry no copyright line in their rows"
            )
        (folder / "notice.html").write_bytes(
            _page(headline, shown, totals, texts, remarks=[*problems, *warnings], ok=not problems)
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
                "licences": len(texts),
                "licences_without_text": len(unread),
            },
            problems=problems,
            warnings=warnings,
            tables={"repositories": markdown_table(by_source)},
        )


def _collect(
    lake: Lake, folder: Path, memory_limit_bytes: int
) -> tuple[Any, list[tuple[str, str, int]]]:
    """Fills a DuckDB table with the distinct notice lines; returns what could not be found too."""
    import duckdb

    connection = duckdb.connect(str(folder / "notice.duckdb"))
    limit = max(memory_limit_bytes // 2, _MIN_MEMORY_BYTES)
    connection.execute(f"SET memory_limit = '{limit >> 20}MiB'")
    connection.execute(f"SET temp_directory = '{folder / 'spill'}'")
    connection.execute("SET preserve_insertion_order = false")
    connection.execute(
        "CREATE TABLE lines (source TEXT, repo TEXT, revision TEXT, licence TEXT, line TEXT)"
    )
    missing = []
    for mix in tables_under(lake, "mix"):
        connection.register("mix", lake.dataset(mix))
        tables = connection.execute('SELECT DISTINCT "table" FROM mix ORDER BY 1').fetchall()
        for (table,) in tables:
            rows = _collect_table(connection, lake, table)
            if rows:
                missing.append((mix, table, rows))
        connection.unregister("mix")
    return connection, missing


def _collect_table(connection: Any, lake: Lake, table: str) -> int:
    """Adds the lines of one origin table; returns how many mix rows it does not hold."""
    if table.split("/", 1)[0] not in DOCUMENT_STAGES or not lake.exists(table):
        query = 'SELECT count(*) FROM mix WHERE "table" = ?'
        return int(connection.execute(query, [table]).fetchall()[0][0])
    connection.register("origin", lake.dataset(table))
    connection.execute(
        """
        INSERT INTO lines
        SELECT DISTINCT o.source, o.repo, o.revision, o.license_concluded,
               unnest(string_split(coalesce(o.attribution, ''), chr(10)))
        FROM (SELECT id, source, repo, revision, license_concluded, attribution FROM origin) o
        SEMI JOIN (SELECT id, source FROM mix WHERE "table" = ?) m
          ON o.id = m.id AND o.source = m.source
        """,
        [table],
    ).fetchall()
    absent = connection.execute(
        """
        SELECT count(*) FROM (SELECT id, source FROM mix WHERE "table" = ?) m
        ANTI JOIN (SELECT id, source FROM origin) o ON o.id = m.id AND o.source = m.source
        """,
        [table],
    ).fetchall()[0][0]
    connection.unregister("origin")
    return int(absent)


def _entries(connection: Any) -> Iterator[Entry]:
    cursor = connection.execute(
        f"""
        SELECT DISTINCT source, repo, revision, licence,
               left(trim(regexp_replace(line, '[[:cntrl:]]+', ' ', 'g')), {_MAX_LINE_CHARS}) AS line
        FROM lines ORDER BY ALL
        """
    )

    def rows() -> Iterator[tuple[str, str, str, str, str]]:
        while batch := cursor.fetchmany(_BATCH_ROWS):
            yield from batch

    for (source, repo), group in groupby(rows(), key=lambda row: (row[0], row[1])):
        entry = Entry(source=source, repo=repo)
        seen: set[str] = set()
        for _, _, revision, licence, line in group:
            if revision not in entry.revisions:
                entry.revisions.append(revision)
            if licence not in entry.licences:
                entry.licences.append(licence)
            if line and line not in seen:
                seen.add(line)
                entry.lines.append(line)
        entry.lines.sort()
        entry.licences.sort()
        yield entry


def _write_files(
    folder: Path, entries: Iterator[Entry], catalog: Catalog
) -> tuple[_Totals, list[Entry]]:
    totals, shown = _Totals(), []
    with (
        (folder / "NOTICE.txt").open("w", encoding="utf-8", newline="\n") as text,
        (folder / "notice.json").open("w", encoding="utf-8", newline="\n") as data,
    ):
        text.write(
            "NOTICE\n\nThe training mixes hold material from the repositories below. Each entry "
            "gives the\nlicences concluded for its files and the copyright lines found in them.\n"
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


def _as_dict(entry: Entry) -> dict[str, Any]:
    return {
        "source": entry.source,
        "repo": entry.repo,
        "revisions": entry.revisions,
        "licences": entry.licences,
        "copyright_lines": entry.lines,
    }


def _append_texts(folder: Path, totals: _Totals, catalog: Catalog) -> dict[str, str | None]:
    keys = sorted({key for expression in totals.licences for key in license_ids(expression)})
    texts = {key: license_text(catalog.root, key) for key in keys}
    with (folder / "NOTICE.txt").open("a", encoding="utf-8", newline="\n") as text:
        text.write("\n" + "=" * 78 + "\nLicence texts\n" + "=" * 78 + "\n")
        for key, body in texts.items():
            text.write(f"\n--- {key} ({_address(key)}) ---\n\n")
            if body:
                text.write(body.rstrip() + "\n")
    with (folder / "notice.json").open("a", encoding="utf-8", newline="\n") as data:
        listed = {key: {"address": _address(key), "text": body} for key, body in texts.items()}
        data.write('\n], "licences": ' + json.dumps(listed, ensure_ascii=False) + "}\n")
    return texts


def _address(key: str) -> str:
    if key.startswith("LicenseRef-scancode-"):
        return f"https://scancode-licensedb.aboutcode.org/{key[20:]}.html"
    return f"https://spdx.org/licenses/{key}.html"


def _by_source(entries: list[Entry]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in entries:
        counts[entry.source] = counts.get(entry.source, 0) + 1
    return counts


def _page(
    headline: str,
    shown: list[Entry],
    totals: _Totals,
    texts: dict[str, str | None],
    *,
    remarks: list[str],
    ok: bool,
) -> bytes:
    rows = [
        (e.source, e.repo, e.revisions, "; ".join(e.licences), html.listing(e.lines)) for e in shown
    ]
    parts = [html.verdict_badge(ok, headline)]
    if remarks:
        parts.append(html.listing(remarks))
    if totals.repositories > len(shown):
        parts.append(
            html.paragraph(f"The first {len(shown)} are shown; NOTICE.txt has all of them.")
        )
    parts += [
        html.heading("Repositories"),
        html.table(["source", "repository", "revisions", "licences", "copyright lines"], rows),
        html.heading("Licence texts"),
    ]
    for key, body in texts.items():
        content = html.preformatted(body) if body else html.paragraph(f"See {_address(key)}.")
        parts.append(html.details(key, content))
    return html.page("Notice", *parts)
