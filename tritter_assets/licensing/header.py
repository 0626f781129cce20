"""What a file says of its own licence in its first 4 KiB: SPDX tag, notice, or the whole text.

The header counts: the comments and docstrings before the first code, so that prose, string
constants and classifiers further down are not taken for the file's licence; of comments below, only
a licence that shares alike. Notices are told from prose about licences, and from notices of parts
(`grants.py`). A header that merely points at a LICENSE file says nothing of its own.

Cost: files without any trigger word cost one search in Polars; measured 270-400 MB of Python and
Rust files per CPU second, which is 60-80 MB of the heads that are looked at.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from tritter_assets.licensing.detect import identify_text
from tritter_assets.licensing.expression import canonical, join_and, license_ids
from tritter_assets.licensing.grants import read_grants
from tritter_assets.licensing.notice import names_copyleft, read_notice
from tritter_assets.licensing.words import license_words
from tritter_assets.record import NOASSERTION, LicenseMethod

if TYPE_CHECKING:
    import polars as pl

STAGE_VERSION = "2"
"""2: prose is told from notices, and notices of parts from those of files."""

HEADER_CHARACTERS = 4096

_BLOCKS_KEPT = 2048
"""Headers remembered: files of one repository stand together and repeat theirs. Under 10 MB."""

# fmt: off
_TRIGGERS = ("icense", "opyright", "icence", "SPDX-", "spdx-", "Spdx-", "ICENSE", "ICENCE",
             "OPYRIGHT", "ublic domain", "ublic Domain", "UBLIC DOMAIN", "ermission", "ERMISSION",
             "edistribution", "EDISTRIBUTION", "GPL", "gpl", "opyleft", "OPYLEFT", "MPL", "EPL",
             "EUPL", "CDDL", "CC BY", "CC-BY")
# fmt: on
"""A text without any of these in its first 4 KiB has no header notice. Plain words: to look for
them whatever their case took seven times as long."""
_TRIGGER_PATTERN = "|".join(map(re.escape, _TRIGGERS))

_TAG = re.compile(
    r"^[^\w\n]{0,24}(?:(?:rem|dnl)\s+)?SPDX-License-Identifier:[ \t]*(?P<tag>[^\n]{1,200})",
    re.M | re.I,
)
_TAG_TAIL = re.compile(
    r"[ \t]*(?:\*/|-->|--\}|\*\)|\"\"\"|'''|%>|#\}|\"|'|`).*$|(?:[ \t]+[*#|;/!]+)+[ \t]*$"
)
"""What closes a comment, or the right side of a box around it."""
_HEADER = re.compile(
    r"""\A\ufeff?(?:
      [ \t\r\n]+
    | [rRuUbB]{0,2}\"\"\".*?(?:\"\"\"|\Z)
    | [rRuUbB]{0,2}\'\'\'.*?(?:\'\'\'|\Z)
    | \#=[ \t]*\n.*?(?:=\#|\Z)                      # Julia
    | \#\|.*?(?:\|\#|\Z)                            # Lisp
    | \#\[\[.*?(?:\]\]|\Z)                          # CMake
    | --\[=*\[.*?(?:\]=*\]|\Z)                      # Lua
    | %\{[ \t]*\n.*?(?:\n%\}|\Z)                    # Matlab
    | /\*.*?(?:\*/|\Z)
    | /\+.*?(?:\+/|\Z)
    | <!--.*?(?:-->|\Z)
    | <\#.*?(?:\#>|\Z)
    | <%[-\#!].*?(?:%>|\Z)
    | \(\*.*?(?:\*\)|\Z)
    | \{-.*?(?:-\}|\Z)
    | \{\#.*?(?:\#\}|\Z)
    | \{\{!.*?(?:\}\}|\Z)
    | \{(?![-\#{%]|\s*["\'\[{}])[^{}]*(?:\}|\Z)      # Pascal; no JSON
    | =(?:pod|head\d|begin|encoding)\b.*?(?:\n=(?:cut|end)\b[^\n]*(?:\n|\Z)|\Z)
    | (?:\#|//|--|;|%|::|!(?!\[)|[.\']\\\"|[\'\"](?=[ \t\n]|\Z))[^\n]*(?:\n|\Z)
    | (?:@?[rR][eE][mM]|dnl)\b[^\n]*(?:\n|\Z)
    | C(?:[ \t][^\n]*)?(?:\n|\Z)                    # Fortran
    | <(?:\?(?:xml|php)|!DOCTYPE|!doctype)[^\n]*\n
    | \.\.[ \t][^\n]*(?:\n(?:[ \t]+[^\n]+)?)*
    | [\'"]use[ ]strict[\'"];?[ \t]*(?:\n|\Z|(?=/[*/]))
    | (?:from[ ]__future__|@charset|@echo|package[ ]\w|pub[ ]mod|extern[ ]crate)
      [^\n]{0,200}(?:\n|\Z)
    )+""",
    re.X | re.S,
)
"""The comments before the first code, in the ways of the languages that training sets hold."""
_WORD_SIGNS = re.compile(r"^(?:@?rem|dnl)\b|^C(?=[ \t\n]|\Z)", re.M | re.I)
"""Signs of a comment that are words; they would stand amid those of a notice."""
_WORD_SIGN_STARTS = frozenset("CcRrDd")
_ABOUT = re.compile(r"icen[sc]|ermission|roprietary|onfidential|GPL")
_DUNDER = re.compile(r"^__license__[ \t]*=[ \t]*[\"']([^\"'\n]{2,80})[\"']", re.M)
_LABEL = re.compile(
    r"^[^\w\n]{0,12}:?(?:@license:?|licen[sc]e[sd]?(?:\s+under)?)[ \t]*:[ \t]*"
    r"(?P<name>[^\n]{2,80})$",
    re.M | re.I,
)
_COPYRIGHT = re.compile(
    r"^[^\w\n(\u00a9]{0,24}(?P<line>(?:SPDX-FileCopyrightText:|(?:portions[ \t]+)?copyright\b|"
    r"\(c\)[ \t]*(?=[\d\w])|\u00a9)(?![ \t]+(?:notice|holder|owner|law|and\b|or\b|statement|"
    r"license|protect|interest|in\b|is\b))[^\n]{3,300})",
    re.M | re.I,
)
_COMMENTS = re.compile(
    r"(?:^(?:\#|//|--|;|%|!|dnl\b|[.']\\\")[^\n]*\n?)+|/\*.*?(?:\*/|\Z)|<!--.*?(?:-->|\Z)"
    r"|<legalnotice\b.*?(?:</legalnotice>|\Z)",
    re.M | re.S,
)
"""Lines of comment count where nothing is before their sign; indented ones are about the code."""
_STRINGS = re.compile(r"\"\"\".*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z)", re.S)
_CLOSED_NAMES = (
    "GPL", "General Public", "GNU Free", "Mozilla Public", "Affero", "Eclipse Public", "EUPL",
)  # fmt: skip
_MAN_PAGE = re.compile(r"^\.(?:TH|SH|Dd|Dt) ", re.M)
_BELOW_CONFIDENCE = 0.8
_COPYRIGHT_MARKS = ("copyr", "(c)", "\u00a9")
_MARKS = re.compile(r"[ \t]*(?:\*/|-->|\"\"\"|'''|\\n|\*\)|[*#/|-]+)?[ \t]*$")
_CLAUSE = re.compile(
    r"\([cC]\)[ ](?![^\n]*(?:19|20)\d\d)(?:[^\n]{80,}|[^A-Z\n]|"
    r"(?:You|The|If|Any|All|An|A(?=[ ][a-z])|In|To|This|That|For|No|Each|Not|It|When|Where|Neither|"
    r"Every|Such|By|On|At|As|Re\w+|Sub\w+|Dis\w+)\b)"
)
"""A list's third item, "(c) You must retain ..."; a holder is a short name or stands by a year."""
_HOLDER = re.compile(r"(?:19|20)\d\d|\bby\b|\(c\)|\u00a9|SPDX-File|^copyright:?\s+[A-Z\"']", re.I)


Scope = Literal["file", "taken", "part"]
"""What the words of a header are about: the file; the file, beside a word that something in it was
taken from elsewhere (a whole licence text may then be that of the source); a part, or the source.
"""


@dataclass(frozen=True, slots=True)
class HeaderFinding:
    """What a header says. `expression` is None when it holds copyright lines only."""

    expression: str | None
    """SPDX expression, or NOASSERTION for words that take rights away or cannot be read."""
    method: LicenseMethod
    where: str
    confidence: float
    copyright_lines: tuple[str, ...]
    value: str = ""
    """The words that were read, at most 120 characters."""
    scope: Scope = "file"
    exact: bool = True
    """False when they name a family of licences ("BSD"), for which the commonest stands."""


def scan_header(text: str) -> HeaderFinding | None:
    """Reads the header of a file.

    Args:
        text: Content of the file; only the first 4,096 characters are read.

    Returns:
        What the header says, or None when it says nothing of licence or copyright.
    """
    top = text[:HEADER_CHARACTERS]
    return _scan(top) if any(trigger in top for trigger in _TRIGGERS) else None


def _scan(top: str) -> HeaderFinding | None:
    if "\r" in top:
        top = top.replace("\r\n", "\n")
    header = _HEADER.match(top)
    block = header.group() if header else ""
    rest = top[len(block) :]
    if block and block.lstrip("\ufeff \t\r\n@")[:1] in _WORD_SIGN_STARTS:
        block = _WORD_SIGNS.sub("#", block)
    lines = _block_lines(block) if block else ()
    tag = _read_tags(top)
    if tag is not None:
        expression, line, value = tag
        return HeaderFinding(
            expression, LicenseMethod.SPDX_HEADER, f"line {line}", 0.99, lines, value
        )
    name = _DUNDER.search(top) if "__license__" in top else None
    label = name.group(1) if name else ""
    found = _read_block(block, label) if block or label else _SILENT
    if found.expression == NOASSERTION and not (lines or _ABOUT.search(block)):
        found = _SILENT  # "may not be copied" in the prose of a docstring
    closed = _read_below(rest)
    if closed is not None:
        found = _with_closed(found, closed)
    if found.expression is not None:
        return HeaderFinding(
            found.expression,
            LicenseMethod.HEADER_NOTICE,
            "header",
            found.confidence,
            lines,
            found.value,
            scope=found.scope,
            exact=found.exact,
        )
    if lines:
        return HeaderFinding(None, LicenseMethod.NONE, "header", 0.0, lines)
    return None


def scan_headers(contents: pl.Series) -> list[HeaderFinding | None]:
    """Reads the headers of many files, as `scan_header` does; most never become a Python text."""
    tops = contents.str.slice(0, HEADER_CHARACTERS)
    spoken = tops.str.contains(_TRIGGER_PATTERN)
    found: list[HeaderFinding | None] = [None] * len(contents)
    for row, top in zip(spoken.arg_true(), tops.filter(spoken), strict=True):
        found[row] = _scan(top)
    return found


def copyright_lines(text: str, limit: int = 20) -> tuple[str, ...]:
    """Returns the copyright lines of a text, comment signs taken off, each once, in order."""
    found: dict[str, None] = {}
    for match in _line_matches(_COPYRIGHT, _COPYRIGHT_MARKS, text):
        line = _MARKS.sub("", " ".join(match["line"].split()))
        line = line.removeprefix("SPDX-FileCopyrightText:").strip()
        if not _HOLDER.search(match["line"]) or _CLAUSE.match(line):
            continue
        if len(line) > 6 and not _is_placeholder(line):
            found[line] = None
        if len(found) == limit:
            break
    return tuple(found)


def _line_matches(
    pattern: re.Pattern[str], marks: tuple[str, ...], text: str
) -> Iterator[re.Match[str]]:
    """Matches of a pattern of whole lines, which can only stand where one of its marks does."""
    low = text.lower()
    if len(low) != len(text):  # places in the one are not those in the other
        yield from pattern.finditer(text)
        return
    starts: set[int] = set()
    for mark in marks:
        at = low.find(mark)
        while at >= 0:
            starts.add(low.rfind("\n", 0, at) + 1)
            end = low.find("\n", at)
            at = low.find(mark, end) if end >= 0 else -1
    for start in sorted(starts):
        match = pattern.match(text, start)
        if match:
            yield match


def _is_placeholder(line: str) -> bool:
    """Whether a line is the model that licence texts show: "Copyright (c) [yyyy] [name]"."""
    low = line.lower()
    return any(mark in low for mark in ("[yyyy]", "<year>", "{yyyy}", "[name of", "<name of"))


def _read_tags(top: str) -> tuple[str, int, str] | None:
    # A line-by-line pattern costs 75 us for a header: it looks from the line above the first tag
    # (`rem` may stand there) to the end of the last one's. Without its S, which the pattern also
    # finds as the long s of old print.
    low = top.lower()
    first = low.find("pdx-")
    if first < 0:
        return None
    if len(low) == len(top):
        above = len(top[: top.rfind("\n", 0, first) + 1].rstrip())
        end = top.find("\n", low.rfind("pdx-"))
        start = top.rfind("\n", 0, above) + 1
        matches = list(_TAG.finditer(top, start, end if end >= 0 else len(top)))
    else:
        matches = list(_TAG.finditer(top))
    if not matches:
        return None
    tags = [_TAG_TAIL.sub("", match["tag"]).strip() for match in matches]
    expression = join_and(canonical(tag) or NOASSERTION for tag in tags)
    line = top.count("\n", 0, matches[0].start("tag")) + 1
    return expression, line, " / ".join(dict.fromkeys(tags))[:120]


@functools.lru_cache(maxsize=_BLOCKS_KEPT)
def _block_lines(block: str) -> tuple[str, ...]:
    return copyright_lines(block)


@dataclass(frozen=True, slots=True)
class _Reading:
    """What words say; `expression` is None for nothing."""

    expression: str | None = None
    confidence: float = 0.0
    value: str = ""
    scope: Scope = "file"
    exact: bool = True


_SILENT = _Reading()
_TEXT_OPENINGS = (
    "redistribution and use in source",
    "hereby granted",
    "gives unlimited permission",  # the FSF's build scripts: a licence of three lines
    "without royalty provided",
)
"""A text that is told from a notice by these words is compared with the SPDX texts."""


@functools.lru_cache(maxsize=_BLOCKS_KEPT)
def _read_block(block: str, dunder: str) -> _Reading:
    names = dunder or _label_of(block)
    grants = read_grants(block)
    reading = _read_words(grants.words, " ".join(license_words(names)), grants.taken)
    if grants.whole or dunder or reading.expression is None:
        return reading
    return replace(reading, scope="part")


def _label_of(block: str) -> str:
    """Returns the name after "License:"."""
    for match in _line_matches(_LABEL, ("licen",), block):
        return match["name"]
    return ""


@functools.lru_cache(maxsize=20_000)
def _read_words(words: str, label: str, taken: bool) -> _Reading:
    """Reads the words of a header; projects repeat theirs in every file, so this is cached."""
    if any(opening in words for opening in _TEXT_OPENINGS):
        text = identify_text(words)
        if text.method != "none":
            expression = _with_beside(text.spdx, words) if text.method == "template" else text.spdx
            sure = min(text.confidence, 0.95)
            return _Reading(expression, sure, expression[:120], "taken" if taken else "file")
    notice = read_notice(words)
    if notice is None and label:
        notice = read_notice(f"license {label}")
    if notice is None or (notice.expression == NOASSERTION and not words):
        return _SILENT
    value = " ".join((words or label).split())[:120]
    return _Reading(notice.expression, notice.confidence, value, exact=notice.exact)


def _with_beside(expression: str, words: str) -> str:
    """Adds the licence that a notice beside a whole text names, where it is of another family.

    Copyleft beside a text was seen when the text was identified.
    """
    notice = None if names_copyleft(words) else read_notice(words)
    if notice is None or notice.expression == NOASSERTION:
        return expression
    known = {spdx.split("-")[0] for spdx in license_ids(expression)}
    others = {spdx.split("-")[0] for spdx in license_ids(notice.expression)}
    return expression if others <= known else join_and([expression, notice.expression])


def _read_below(rest: str) -> str | None:
    """Reads what stands below the header for licences that share alike, and for no others.

    Of code these are the comments, of DocBook also its legal notice, of a man page all of it. A
    notice may stand below an import. What it permits is not taken from there, since comments
    amid code speak of parts; what it asks for must not be missed.
    """
    if not _names_closed(rest):
        return None
    if _MAN_PAGE.search(rest):
        blocks = re.split(r"\n\.(?:PP|P|LP|SH|SS|Pp|Sh)\b", rest)
    else:
        blocks = [match.group() for match in _COMMENTS.finditer(_STRINGS.sub("", rest))]
    words = " ".join(read_grants(block).words for block in blocks if _names_closed(block))
    notice = read_notice(words) if names_copyleft(words) else None
    return notice.expression if notice else None


def _names_closed(text: str) -> bool:
    return any(map(text.__contains__, _CLOSED_NAMES))


def _with_closed(found: _Reading, closed: str) -> _Reading:
    if found.expression is None:
        return _Reading(closed, _BELOW_CONFIDENCE, closed[:120], "part")
    if set(license_ids(closed)) <= set(license_ids(found.expression)):
        return found
    both = join_and([found.expression, closed])
    return replace(found, expression=both, confidence=min(found.confidence, _BELOW_CONFIDENCE))
