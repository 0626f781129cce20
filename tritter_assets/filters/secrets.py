"""Stage 11: credentials: what detect-secrets' default scan finds, and tokens of vendors' forms.

Detection (`secret_plugins`, `secret_formats`) knows no policy: it finds all that detect-secrets
finds, with its 27 plugins. This file says what becomes of it, plugin by plugin: `redact`, `report`
(one row a document, no span: digests and addresses of machines, which code is full of) or `ignore`.

Output, at most one row of each a document:

| action | reason | spans | score |
|---|---|---|---|
| redact | secret | every place of every secret | 1 a checksum or structure fits, 0.8 a vendor's form, 0.5 a telling name or random text |
| keep | secret_candidate | none | 0.2 |
| quarantine | unreadable | none | none: a line of several MB would take minutes to search |

The evidence is the plugin, the line and a short hash, never the secret. A private key is redacted
to its END line. Cost: 60 MB of code per CPU second. Blind spot: a credential without a form, a
telling name or randomness.
"""  # noqa: E501

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import polars as pl

from tritter_assets.errors import ContractViolation
from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.filters.secret_formats import (
    NO_FORMATS,
    SecretFormats,
    is_private_key,
    load_formats,
)
from tritter_assets.filters.secret_lines import DETECTORS, FORMATS
from tritter_assets.filters.secret_places import WHOLE_MATCH, Placer
from tritter_assets.filters.secret_plugins import ENTROPY_PLUGINS, Finding, detect
from tritter_assets.verdict import Action, Reason, Span, Stage, Verdict

STAGE_VERSION = "3"
"""3: a line that is too long and dense to search quarantines its document.
2: INI and YAML values, vendors' forms, candidates that are reported only."""

_UNSPECIFIC = frozenset(
    {"KeywordDetector", "Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector"}
)
MAX_PLACES = 20_000
"""Of one value. A document that repeats it more often is bait, and takes minutes to write over."""
_SHOWN = 5
_PLUGIN_ACTIONS = ("redact", "report", "ignore")


@dataclass(frozen=True, kw_only=True, slots=True)
class SecretsConfig:
    """What becomes of what is found."""

    plugins: Mapping[str, str]
    """Class name of a detect-secrets plugin, or `formats` -> redact, report or ignore."""
    limits: Mapping[str, float]
    """Plugin -> entropy limit; not below detect-secrets' default (base64 4.5, hex 3.0)."""
    min_secret_chars: int
    """Shorter values are not redacted: `password = "x"` is not a credential."""
    replacement: str
    skip_placeholders: str
    """Expression; a keyword's value that matches it whole is an example, not a credential."""
    skip_random: str
    """Expression; random text that matches it whole is data, and reported only."""


@dataclass(frozen=True, slots=True)
class _Place:
    """One stretch of a document that is to be redacted."""

    name: str
    line: int
    secret: str
    score: float


def judge_secrets(
    frame: pl.DataFrame, config: SecretsConfig, context: JudgeContext
) -> list[Verdict]:
    """Marks credentials for redaction and counts what may be one."""
    _check(config)
    formats = load_formats(context.secret_formats) if context.secret_formats else NO_FORMATS
    if config.plugins.get(FORMATS, "ignore") == "ignore":
        formats = NO_FORMATS
    contents = frame["content"]
    paths = [path or "" for path in frame["path"].to_list()]
    detection = detect(
        contents,
        paths,
        limits=tuple(sorted(config.limits.items())),
        prefixes=formats.prefixes,
    )
    rows: dict[int, _Row] = {}
    unfinished = dict(detection.unfinished)
    for row, findings in detection.findings.items():
        if row not in unfinished and (line := _overfull_line(contents[row], findings)):
            unfinished[row] = line
        if row in unfinished:
            continue
        judged = rows[row] = _Row(paths[row], contents[row], config, formats)
        for finding in findings:
            judged.take_finding(finding)
    for row, number, start, end in detection.format_lines:
        if row in unfinished:
            continue
        if row not in rows:
            rows[row] = _Row(paths[row], contents[row], config, formats)
        rows[row].take_tokens(number, start, end)
    ids = frame["id"].to_list()
    verdicts = [_unfinished(ids[row], line) for row, line in sorted(unfinished.items())]
    for row, judged in sorted(rows.items()):
        if judged.places:
            verdicts.append(_redaction(ids[row], judged.places, config.replacement))
        if judged.candidates:
            verdicts.append(_candidate(ids[row], judged.candidates))
    return verdicts


class _Row:
    """What is gathered of one document."""

    def __init__(
        self, path: str, content: str, config: SecretsConfig, formats: SecretFormats
    ) -> None:
        self._content = content
        self._placer = Placer(path, content)
        self._config = config
        self._formats = formats
        self.places: dict[tuple[int, int], _Place] = {}
        self.candidates: Counter[str] = Counter()

    def take_finding(self, finding: Finding) -> None:
        """Does with a plugin's finding what the policy says."""
        action = self._config.plugins.get(finding.plugin, "ignore")
        if action == "ignore" or (action == "redact" and _is_example(finding, self._config)):
            return
        places = []
        if action == "redact" and not _is_data(finding, self._config):
            places = self._placer.places(finding)
        if not places:
            self.candidates[finding.plugin] += 1
        for start, end in places:
            secret = self._content[start:end]
            if len(secret) >= self._config.min_secret_chars:
                score = _score(finding.plugin, secret, self._formats)
                place = _Place(finding.plugin, finding.line, finding.secret, score)
                self.places.setdefault((start, end), place)

    def take_tokens(self, number: int, begin: int, stop: int) -> None:
        """Does the same with tokens of vendors' forms in a line."""
        for form, start, end in self._formats.find(self._content[begin:stop]):
            name = f"{FORMATS}.{form.name}"
            if self._config.plugins[FORMATS] == "report":
                self.candidates[name] += 1
                continue
            secret = self._content[begin + start : begin + end]
            # What a plugin has found at the same place keeps its name and gains the score.
            known = self.places.get((begin + start, begin + end))
            place = _Place(
                known.name if known else name, number, secret, _score(name, secret, self._formats)
            )
            self.places[begin + start, begin + end] = place


def _redaction(row_id: str, places: Mapping[tuple[int, int], _Place], replacement: str) -> Verdict:
    ordered = [place for _, place in sorted(places.items())]
    shown = [
        f"{place.name} line {place.line} "
        f"sha256:{hashlib.sha256(place.secret.encode()).hexdigest()[:8]}"
        f"{' verified_format' if place.score == 1.0 else ''}"
        for place in ordered[:_SHOWN]
    ]
    return Verdict(
        row_id,
        Stage.SECRETS,
        Action.REDACT,
        Reason.SECRET,
        max(place.score for place in ordered),
        "; ".join(shown),
        tuple(Span(start, end, replacement) for start, end in sorted(places)),
    )


def _overfull_line(content: str, findings: Sequence[Finding]) -> int:
    """Returns the line of a value that stands in too many places, or 0."""
    if len(content) <= MAX_PLACES:
        return 0
    return next((f.line for f in findings if content.count(f.secret) > MAX_PLACES), 0)


def _unfinished(row_id: str, line: int) -> Verdict:
    return Verdict(
        row_id,
        Stage.SECRETS,
        Action.QUARANTINE,
        Reason.UNREADABLE,
        None,
        f"line {line} is too long and too dense with what looks like credentials to be searched",
    )


def _candidate(row_id: str, counts: Counter[str]) -> Verdict:
    evidence = ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
    return Verdict(row_id, Stage.SECRETS, Action.KEEP, Reason.SECRET_CANDIDATE, 0.2, evidence)


def _is_example(finding: Finding, config: SecretsConfig) -> bool:
    if finding.plugin in WHOLE_MATCH:
        return False
    return len(finding.secret) < config.min_secret_chars or (
        finding.plugin == "KeywordDetector"
        and re.fullmatch(config.skip_placeholders, finding.secret) is not None
    )


def _is_data(finding: Finding, config: SecretsConfig) -> bool:
    return (
        finding.plugin in ENTROPY_PLUGINS
        and re.fullmatch(config.skip_random, finding.secret) is not None
    )


def _score(name: str, secret: str, formats: SecretFormats) -> float:
    if name in _UNSPECIFIC:
        return 0.5
    if (
        formats.is_verified(secret)
        # detect-secrets' plugin has decoded the token's header and body.
        or name == "JwtTokenDetector"
        or (name == "PrivateKeyDetector" and is_private_key(secret))
    ):
        return 1.0
    return 0.8


def _check(config: SecretsConfig) -> None:
    unknown: Sequence[str] = sorted(set(config.plugins) - set(DETECTORS))
    if unknown:
        raise ContractViolation(
            f"policy/filters.yaml: stages.secrets.plugins: detect-secrets has no {unknown}; "
            f"there are {list(DETECTORS)}"
        )
    for name, action in sorted(config.plugins.items()):
        if action not in _PLUGIN_ACTIONS:
            raise ContractViolation(
                f"policy/filters.yaml: stages.secrets.plugins.{name}: {action!r} is none of "
                f"{list(_PLUGIN_ACTIONS)}"
            )


DEFINITION = StageDefinition(Stage.SECRETS, STAGE_VERSION, SecretsConfig, judge_secrets)
