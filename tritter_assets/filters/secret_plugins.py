"""What detect-secrets' default scan finds, by its own plugins and filters, on few lines.

`detect` returns every finding of `detect_secrets.core.scan.scan_file` with default settings: same
type, line and value. `secret_lines` proves most lines empty; the rest meet the plugin's own
expressions and the filters. Documents that it reads as INI or YAML (`secret_transforms`) are
scanned in that form, and as they stand as well: detect-secrets would not look at their comments.

Bounded time: a line on which an expression could take more than `MAX_STEPS` is searched in pieces
of `PIECE_CHARS`; detect-secrets itself would take hours there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from tritter_assets.errors import ContractViolation
from tritter_assets.filters import secret_transforms as transforms
from tritter_assets.filters.secret_lines import (
    DETECTORS,
    FORMATS,
    PLUGINS,
    candidate_lines,
)

PIECE_CHARS = 1024
"""A line that bait makes slow is searched in pieces of this size: expressions are quadratic."""

PIECE_OVERLAP_CHARS = 256
"""Pieces share this much, so that no token can hide at a cut."""

MAX_PIECES = 4096
"""Of a line; 3 MB. They take some seconds. What is longer and slow is not searched to its end."""

MAX_STEPS = 20_000_000
"""Characters times places where an expression may begin; 20 million take about a second."""

COMMENT_CHARS = 16_384
"""End of a line in which a comment may allow its secret, long runs of blanks counted as one."""

_READ_BACK_CHARS = 1 << 18

_LONG_RUN = re.compile(r"[ \t-]{64,}")
_ALL = (1 << len(PLUGINS)) - 1
_KEYWORD = "KeywordDetector"
ENTROPY_PLUGINS = ("Base64HighEntropyString", "HexHighEntropyString")
_REPEATED: Mapping[str, Sequence[str]] = {
    "JwtTokenDetector": ("eyJ",),
    "OpenAIDetector": ("sk-",),
    "NpmDetector": ("//",),
    _KEYWORD: ("pass", "pwd", "secret", "key", "contrase"),
    "AWSKeyDetector": ("aws",),
}
"""Plugins whose expression goes on to the end of the line from each of these."""

_CLOUDANT_NAME = re.compile(r"(?i)cl(?:ou(?:dant)?)?[_-]?(?:api)?(?:key|pwd|pw|pass|token)|://")
_CLOUDANT_VALUE = re.compile(r"(?i)[a-z]{24}|[0-9a-f]{64}")

FLOORS = {"Base64HighEntropyString": 4.5, "HexHighEntropyString": 3.0}
"""detect-secrets' limits; the search for lines relies on limits that are not lower."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One value that one plugin takes for a credential."""

    plugin: str
    line: int
    """1-based."""
    secret: str
    line_start: int
    """Characters of the document before the line."""
    is_literal: bool
    """The value stands in the line as it is; False for one that INI or YAML may spell otherwise."""


@dataclass(frozen=True, slots=True)
class Detection:
    """What was found in a column, and the lines that vendors' formats must see."""

    findings: dict[int, list[Finding]]
    """Row -> findings, ordered by line, plugin and value."""
    format_lines: list[tuple[int, int, int, int]]
    """Row, number of the line, its first character, the character after its last."""
    num_scanned: int
    """Documents looked at: all of them. detect-secrets itself leaves files out in silence."""
    num_left_out: int
    """Of these, documents that detect-secrets' filters of names leave out."""
    unfinished: Mapping[int, int]
    """Row -> number of its first line that was not searched to its end."""


def detect(
    content: pl.Series,
    paths: Sequence[str],
    *,
    limits: tuple[tuple[str, float], ...] = (),
    prefixes: tuple[tuple[str, int], ...] = (),
) -> Detection:
    """Finds what detect-secrets' default scan finds.

    Args:
        content: Documents, without nulls.
        paths: Their names: the type of a file decides how it is read.
        limits: (plugin, entropy) over detect-secrets' own.
        prefixes: Literals of vendors' formats and their runs; such lines are returned too.
    """
    scan = _Scan(content, paths, limits)
    left_out = [_is_left_out(path) for path in paths]
    format_lines: list[tuple[int, int, int, int]] = []
    for row, number, start, text, mask in scan.lines(content, prefixes):
        if mask >> DETECTORS.index(FORMATS) & 1 and not scan.is_allowed(row, number, start, text):
            format_lines.append((row, number, start, start + len(text)))
        if not left_out[row] and mask & _ALL:
            scan.take(row, number, start, text, mask, as_config=False)
    shaped = _shaped(content, paths, left_out)
    scan.take_config(shaped)
    # The eager reader: only where detect-secrets has found nothing so far.
    eager: dict[int, list[str]] = {}
    for row, path in enumerate(paths):
        counted = scan.has_finding_as_config if row in shaped else scan.found
        if left_out[row] or row in counted or not transforms.has_no_type(path):
            continue
        lines = transforms.read_ini(
            path, transforms.universal_newlines(content[row]), has_header=True
        )
        if lines:
            eager[row] = lines
    scan.take_config(eager)
    findings = {
        row: sorted(found.values(), key=lambda f: (f.line, f.plugin, f.secret))
        for row, found in sorted(scan.found.items())
    }
    return Detection(findings, format_lines, len(content), sum(left_out), scan.unfinished)


def _shaped(
    content: pl.Series, paths: Sequence[str], left_out: Sequence[bool]
) -> dict[int, list[str]]:
    """Returns the lines of documents that detect-secrets reads as INI or YAML."""
    shaped: dict[int, list[str]] = {}
    yaml_rows: list[int] = []
    # Most documents are settled by their first character: an INI file begins with `[`, or with
    # blanks and comments.
    first = content.str.extract(r"^(?:\s|[#;][^\n\r]*[\n\r]?)*(\S)", 1).fill_null("").to_list()
    for row, path in enumerate(paths):
        if left_out[row]:
            continue
        if first[row] == "[":
            lines = transforms.read_ini(path, transforms.universal_newlines(content[row]))
            if lines:
                shaped[row] = lines
                continue
        if transforms.is_yaml(path):
            yaml_rows.append(row)
    if not yaml_rows:
        return shaped
    # Key and value may stand on two lines: what one line would hold is looked for in the whole.
    joined = content.gather(yaml_rows).str.replace_all(r"[\r\n]", " ")
    telling = {
        yaml_rows[line.row]
        for line in candidate_lines(joined)
        if _may_match_somewhere(line.mask & _ALL, joined[line.row])
    }
    for row in yaml_rows:
        text = transforms.universal_newlines(content[row])
        if row in telling or transforms.yaml_may_hold(text):
            lines = transforms.read_yaml(paths[row], text)
            if lines:
                shaped[row] = lines
    return shaped


def _may_match_somewhere(mask: int, text: str) -> bool:
    """Whether a plugin may match some value of a YAML document, given as one line.

    Rules of a line are weak for a whole document, so two of them get a second look. Neither match
    holds a blank inside a value, so it stands in the document as it will in the line.
    """
    url, cloudant = 1 << PLUGINS.index("BasicAuthDetector"), 1 << PLUGINS.index("CloudantDetector")
    if mask & ~(url | cloudant):
        return True
    if mask & url and any(plugins(())["BasicAuthDetector"].analyze_string(text)):
        return True
    return bool(mask & cloudant and _CLOUDANT_NAME.search(text) and _CLOUDANT_VALUE.search(text))


class _Scan:
    """Findings of a column as they are gathered."""

    def __init__(
        self,
        content: pl.Series,
        paths: Sequence[str],
        limits: tuple[tuple[str, float], ...],
    ) -> None:
        self._content = content
        self._paths = paths
        self._plugins = plugins(limits)
        self.found: dict[int, dict[tuple[int, str, str], Finding]] = defaultdict(dict)
        self.has_finding_as_config: set[int] = set()
        self.unfinished: dict[int, int] = {}
        self._shaped: Mapping[int, list[str]] = {}
        self._last: tuple[int, str] = (-1, "")

    @staticmethod
    def lines(
        content: pl.Series, prefixes: tuple[tuple[str, int], ...] = ()
    ) -> Iterator[tuple[int, int, int, str, int]]:
        """Yields row, number, first character, text and mask of each line that may hold one."""
        candidates = candidate_lines(content, prefixes=prefixes)
        data, offsets = candidates.column.data, candidates.column.offsets
        before: tuple[int, int, int] = (-1, 0, 0)
        for line in candidates:
            row, byte, char = before
            if row != line.row:
                byte, char = int(offsets[line.row]), 0
            char += len(data[byte : line.start].tobytes().decode("utf-8"))
            before = (line.row, line.start, char)
            text = data[line.start : line.end].tobytes().decode("utf-8")
            yield line.row, line.number, char, text, line.mask

    def take(
        self, row: int, number: int, start: int, text: str, mask: int, *, as_config: bool
    ) -> None:
        """Keeps what plugins find in a line and filters let stand."""
        path = self._paths[row]
        for count, piece in enumerate(_pieces(text.rstrip(), mask)):
            if count == MAX_PIECES:
                self.unfinished.setdefault(row, number)
                return
            values = list(self._values(path, piece, mask))
            if not values:
                continue
            if self.is_allowed(row, number, start, text, as_config=as_config):
                continue
            for name, value in values:
                key = (number, name, value)
                is_literal = not as_config
                if as_config:
                    self.has_finding_as_config.add(row)
                    if key in self.found[row]:
                        continue
                self.found[row][key] = Finding(name, number, value, start, is_literal)

    def take_config(self, shaped: Mapping[int, list[str]]) -> None:
        """Keeps what is found in lines that a transformer made."""
        if not shaped:
            return
        rows = sorted(shaped)
        broken = [
            (row, number, line)
            for row in rows
            for number, line in enumerate(shaped[row], start=1)
            if "\n" in line or "\r" in line
        ]
        self._shaped = shaped
        plain = pl.Series(
            "content",
            [
                "\n".join("" if "\n" in line or "\r" in line else line for line in shaped[row])
                for row in rows
            ],
        )
        wanted = [
            (rows[row], number, text, mask) for row, number, _, text, mask in self.lines(plain)
        ]
        # A value with line ends in it is one line to detect-secrets; every plugin sees it.
        wanted += [(row, number, line, _ALL) for row, number, line in broken]
        starts: dict[int, list[int]] = {}
        for row, number, text, mask in sorted(wanted, key=lambda line: line[:2]):
            if row not in starts:
                starts[row] = line_starts(self._content[row])
            where = starts[row]
            start = where[min(number, len(where)) - 1]
            self.take(row, number, start, text, mask & _ALL, as_config=True)

    def is_allowed(
        self, row: int, number: int, start: int, text: str, *, as_config: bool = False
    ) -> bool:
        """Whether the line's author says, in a comment, that it holds no secret."""
        from detect_secrets.filters import allowlist
        from detect_secrets.util.code_snippet import CodeSnippet

        previous = self._previous(row, number, start, as_config)[-_READ_BACK_CHARS:]
        text = text[-_READ_BACK_CHARS:]
        # 69 % of detect-secrets' time is this test without the look for the word first.
        if "pragma" not in text and "pragma" not in previous:
            return False
        previous, text = _end_of_line(previous), _end_of_line(text)
        snippet = CodeSnippet([previous, text], 0, 1)
        return allowlist.is_line_allowlisted(self._paths[row], text, snippet)

    def _previous(self, row: int, number: int, start: int, as_config: bool) -> str:
        if number == 1:
            return ""
        if as_config:
            return self._shaped[row][number - 2]
        text = self._text(row)
        end = start - (2 if text.startswith("\r\n", start - 2) else 1)
        return text[max(text.rfind("\n", 0, end), text.rfind("\r", 0, end)) + 1 : end]

    def _text(self, row: int) -> str:
        # A document becomes a Python string once, not for each of its findings.
        if self._last[0] != row:
            self._last = (row, self._content[row])
        return self._last[1]

    def _values(self, path: str, text: str, mask: int) -> Iterator[tuple[str, str]]:
        from detect_secrets.filters import heuristic

        is_indirect: bool | None = None
        for number, name in enumerate(PLUGINS):
            if not mask >> number & 1:
                continue
            plugin = self._plugins[name]
            for secret in sorted(set(_extract(name, plugin, path, text))):
                if (
                    not secret
                    or heuristic.is_sequential_string(secret)
                    or heuristic.is_potential_uuid(secret)
                    or heuristic.is_likely_id_string(secret, text, plugin)
                    or heuristic.is_templated_secret(secret)
                    or heuristic.is_prefixed_with_dollar_sign(secret)
                    or heuristic.is_not_alphanumeric_string(secret)
                ):
                    continue
                if is_indirect is None:
                    is_indirect = heuristic.is_indirect_reference(text)
                if is_indirect:
                    return
                yield name, secret


def _extract(name: str, plugin: Any, path: str, text: str) -> Iterator[str]:
    if name == _KEYWORD:
        yield from plugin.analyze_string(text, denylist_regex_to_group=keyword_patterns(path))
    elif name in ENTROPY_PLUGINS:
        for value in plugin.analyze_string(text):
            if plugin.calculate_shannon_entropy(value) > plugin.entropy_limit:
                yield value
    else:
        yield from plugin.analyze_string(text)


def keyword_patterns(path: str) -> Any:
    """Returns KeywordDetector's expressions for a file, and the group of each that is the value."""
    from detect_secrets.plugins import keyword
    from detect_secrets.util.filetype import determine_file_type

    return keyword.REGEX_BY_FILETYPE.get(
        determine_file_type(path), keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
    )


def _is_left_out(path: str) -> bool:
    from detect_secrets.filters import heuristic

    return (
        heuristic.is_non_text_file(path)
        or heuristic.is_lock_file(path)
        or heuristic.is_swagger_file(path)
    )


def _end_of_line(text: str) -> str:
    """Returns where an allowing comment stands: its expressions are quadratic in long runs."""
    return _LONG_RUN.sub(" ", text)[-COMMENT_CHARS:]


def _pieces(text: str, mask: int) -> Iterator[str]:
    if len(text) <= PIECE_CHARS or _steps(text, mask) <= MAX_STEPS:
        yield text
        return
    for cut in range(0, len(text), PIECE_CHARS - PIECE_OVERLAP_CHARS):
        yield text[cut : cut + PIECE_CHARS]


def is_quick(text: str, name: str) -> bool:
    """Whether a plugin's expressions take little time on a whole line."""
    return len(text) <= PIECE_CHARS or _steps(text, 1 << PLUGINS.index(name)) <= MAX_STEPS


def _steps(text: str, mask: int) -> int:
    lower = text.lower()
    begins = 1
    for name, words in _REPEATED.items():
        if mask >> PLUGINS.index(name) & 1:
            begins += sum(lower.count(word.lower()) for word in words)
    # Runs of blanks are read again from each of their characters.
    return len(text) * (begins + text.count("  "))


def line_starts(text: str) -> list[int]:
    """Returns the first character of each line; lines end as in Python's text files."""
    starts = [0]
    place = 0
    while True:
        feed, carriage = text.find("\n", place), text.find("\r", place)
        ends = [end for end in (feed, carriage) if end >= 0]
        if not ends:
            return starts
        place = min(ends) + 1
        if feed == carriage + 1 and carriage >= 0:
            place = feed + 1
        starts.append(place)


@cache
def plugins(limits: tuple[tuple[str, float], ...]) -> dict[str, Any]:
    """Makes detect-secrets' plugins.

    Args:
        limits: (plugin, entropy over which it finds), sorted.

    Raises:
        ContractViolation: a limit below detect-secrets' own, or this release lacks a plugin.
    """
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    classes = {kind.__name__: kind for kind in get_mapping_from_secret_type_to_class().values()}
    if set(classes) != set(PLUGINS):
        raise ContractViolation(
            f"detect-secrets has the plugins {sorted(classes)}, this version knows "
            f"{list(PLUGINS)}: install the release that constraints.txt pins"
        )
    for name, limit in limits:
        if name not in FLOORS or limit < FLOORS[name]:
            raise ContractViolation(
                f"policy/filters.yaml: stages.secrets.limits.{name}: {limit} is no limit of "
                f"detect-secrets or below its own; limits and their least values: {FLOORS}"
            )
    given = dict(limits)
    made: dict[str, Any] = {}
    for name in PLUGINS:
        plugin: Any = classes[name]
        made[name] = plugin(limit=given[name]) if name in given else plugin()
    return made
