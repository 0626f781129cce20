"""Stage 11: credentials, by detect-secrets' own plugins and filters.

Each plugin's expression, with its look-arounds taken away, is compiled by Rust and run over every
line; only lines that it lets through meet the plugin itself. An expression without look-arounds
matches wherever the original does, so nothing the plugins would find is lost. Lines over 4096
characters are searched in overlapping pieces (detect-secrets' own expressions are quadratic there).

Output: one `redact` verdict per document with the spans of every secret; the evidence is the
plugin, the line and a short hash, never the secret. A private key is redacted to its END line.
Blind spot: detect-secrets' transformers of unquoted INI and YAML values are not run.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from tritter_assets.errors import ContractViolation
from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.filters.lines import Line, possible_lines
from tritter_assets.verdict import Action, Reason, Span, Stage, Verdict

STAGE_VERSION = "1"

_KEYWORDS = (
    r"(?i:(?:api|auth|service|account|db|database|priv|private|client)_?key"
    r"|(?:db|database|key)_?pass|password|passwd|pwd|secret|contrase[\x{f1}n]a)"
)
_POSSIBLE = {
    # Every alternative of the detector needs an assignment, a bracket or a quote after or before.
    "KeywordDetector": _KEYWORDS + r"[^\n]*[=:(\"'`]|[\"'`][^\n]*" + _KEYWORDS,
    # Shannon entropy of n characters is at most log2(n): over 4.5 needs 23, over 3.0 needs 9.
    "Base64HighEntropyString": r"""["'][A-Za-z0-9+/\\\-_=]{23,}["']""",
    "HexHighEntropyString": r"""["'][0-9a-fA-F]{9,}["']""",
}
_LOOKAROUND = re.compile(r"\(\?<?[=!](?:[^()\\\[\]]|\\.|\[(?:[^\]\\]|\\.)*\]|\([^()]*\))*\)")
_END_OF_KEY = re.compile(r"-----END [A-Z0-9 ]{0,40}-----")
_LONGEST_KEY_CHARS = 16_384

_WHOLE_MATCH = frozenset({"GitHubTokenDetector", "GitLabTokenDetector"})
"""Plugins whose expression captures only a prefix of the token, which is then all that
detect-secrets reports (`ghp`); here the whole match is the secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretsConfig:
    """Plugins and their limits."""

    plugins: tuple[str, ...]
    """Class names of detect-secrets plugins."""
    limits: Mapping[str, float]
    """Plugin -> entropy limit; not below detect-secrets' default (base64 4.5, hex 3.0)."""
    min_secret_chars: int
    """Shorter values are not redacted: `password = "x"` is not a credential."""
    replacement: str
    skip_placeholders: str
    """Expression; a keyword's value that matches it whole is an example, not a credential."""


def judge_secrets(
    frame: pl.DataFrame, config: SecretsConfig, context: JudgeContext
) -> list[Verdict]:
    """Marks credentials for redaction."""
    del context
    plugins = _plugins(config.plugins, tuple(sorted(config.limits.items())))
    paths = frame["path"].to_list()
    contents = frame["content"]
    found: dict[int, dict[tuple[int, int], tuple[str, int, str]]] = defaultdict(dict)
    for line in possible_lines(contents, _possible(config.plugins)):
        for name, secret in _secrets_of(line, paths[line.row], plugins, config):
            for start, end in _places(line, secret, name, contents[line.row]):
                found[line.row].setdefault((start, end), (name, line.number, secret))
    ids = frame["id"].to_list()
    verdicts: list[Verdict] = []
    for row, places in sorted(found.items()):
        shown = [
            f"{name} line {number} sha256:{hashlib.sha256(secret.encode()).hexdigest()[:8]}"
            for _, (name, number, secret) in sorted(places.items())[:5]
        ]
        verdicts.append(
            Verdict(
                ids[row],
                Stage.SECRETS,
                Action.REDACT,
                Reason.SECRET,
                float(len(places)),
                "; ".join(shown),
                tuple(Span(start, end, config.replacement) for start, end in sorted(places)),
            )
        )
    return verdicts


def _secrets_of(
    line: Line, path: str, plugins: Mapping[str, Any], config: SecretsConfig
) -> Iterator[tuple[str, str]]:
    """Yields (plugin, secret), filtered as detect-secrets' default settings filter."""
    from detect_secrets.filters import allowlist, heuristic
    from detect_secrets.util.code_snippet import CodeSnippet

    if heuristic.is_non_text_file(path) or heuristic.is_lock_file(path):
        return
    if heuristic.is_swagger_file(path):
        return
    text = line.text.rstrip()
    # 69 % of detect-secrets' time is this test without the look for the word first.
    if "pragma" in text or "pragma" in line.previous:
        snippet = CodeSnippet([line.previous, text], line.number - 1, 1)
        if allowlist.is_line_allowlisted(path, text, snippet):
            return
    indirect: bool | None = None
    for number, (name, plugin) in enumerate(plugins.items()):
        if not line.matched >> number & 1:
            continue
        for secret in _values(name, plugin, path, text, line.number):
            if not secret or len(secret) < config.min_secret_chars:
                continue
            if (
                heuristic.is_sequential_string(secret)
                or heuristic.is_potential_uuid(secret)
                or heuristic.is_likely_id_string(secret, text, plugin)
                or heuristic.is_templated_secret(secret)
                or heuristic.is_prefixed_with_dollar_sign(secret)
                or heuristic.is_not_alphanumeric_string(secret)
            ):
                continue
            if indirect is None:
                indirect = heuristic.is_indirect_reference(text)
            if indirect:
                continue
            if name == "KeywordDetector" and re.fullmatch(config.skip_placeholders, secret):
                continue
            yield name, secret


def _values(name: str, plugin: Any, path: str, text: str, number: int) -> list[str]:
    if name in _WHOLE_MATCH:
        matches = (match for one in plugin.denylist for match in one.finditer(text))
        return sorted({match.group() for match in matches})
    found = plugin.analyze_line(filename=path, line=text, line_number=number)
    return sorted({potential.secret_value or "" for potential in found})


def _places(line: Line, secret: str, plugin: str, content: str) -> Iterator[tuple[int, int]]:
    begin = line.text.find(secret)
    while begin >= 0:
        start = line.start + begin
        end = start + len(secret)
        if plugin == "PrivateKeyDetector":
            closing = _END_OF_KEY.search(content, end, end + _LONGEST_KEY_CHARS)
            opening = content.rfind("-----", start - 5, start)
            start = opening if opening >= 0 else start
            end = closing.end() if closing else end
        yield start, end
        begin = line.text.find(secret, begin + len(secret))


@cache
def _plugins(names: tuple[str, ...], limits: tuple[tuple[str, float], ...]) -> dict[str, Any]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    from detect_secrets.settings import get_settings

    # Verification would send what was found to its service.
    get_settings().disable_filters(
        "detect_secrets.filters.common.is_ignored_due_to_verification_policies"
    )
    classes = {kind.__name__: kind for kind in get_mapping_from_secret_type_to_class().values()}
    unknown = sorted(set(names) - set(classes))
    if unknown:
        raise ContractViolation(
            f"policy/filters.yaml: stages.secrets.plugins: detect-secrets has no {unknown}; "
            f"it has {sorted(classes)}"
        )
    floors = {"Base64HighEntropyString": 4.5, "HexHighEntropyString": 3.0}
    for name, limit in limits:
        if limit < floors.get(name, 0.0):
            raise ContractViolation(
                f"policy/filters.yaml: stages.secrets.limits.{name}: {limit} is below "
                f"{floors[name]}, which the search for candidate lines relies on"
            )
    given = dict(limits)
    # A limit of a plugin that is not used is no error: overrides may add the plugin.
    made: dict[str, Any] = {}
    for name in names:
        plugin: Any = classes[name]
        made[name] = plugin(limit=given[name]) if name in given else plugin()
    return made


@cache
def _possible(names: tuple[str, ...]) -> tuple[str, ...]:
    """Makes one Rust expression of each plugin's, look-arounds removed."""
    plugins = _plugins(names, ())
    patterns: list[str] = []
    for name in names:
        pattern = _POSSIBLE.get(name) or "|".join(
            f"(?:{_for_rust(expression)})" for expression in plugins[name].denylist
        )
        pl.Series([""]).str.contains(pattern)  # an expression Rust cannot read fails here
        patterns.append(pattern)
    return tuple(patterns)


def _for_rust(expression: re.Pattern[str]) -> str:
    flags = "i" if expression.flags & re.IGNORECASE else ""
    flags += "x" if expression.flags & re.VERBOSE else ""
    text = expression.pattern
    while _LOOKAROUND.search(text):
        text = _LOOKAROUND.sub("(?:)", text)
    return f"(?{flags}:{text})" if flags else text


DEFINITION = StageDefinition(Stage.SECRETS, STAGE_VERSION, SecretsConfig, judge_secrets)
