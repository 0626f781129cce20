"""Stage 10: personal data that has a form: e-mail, IP, card, IBAN, US SSN, crypto wallet.

Presidio's pattern recognisers (expressions, checksums, validation) decide, without an NLP engine,
on the lines a Rust expression could not rule out. Their e-mail recogniser wants a public suffix and
would fetch the list of them: here it reads tldextract's own snapshot, and a further expression
finds internal hosts (`.internal`, `.corp`, ...).

Output: one `redact` verdict per document and reason, with the spans. Blind spots: names, addresses
and phone numbers have no reliable form; a model looks for them on an audit sample only.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.filters.lines import possible_lines
from tritter_assets.verdict import Action, Reason, Span, Stage, Verdict

STAGE_VERSION = "1"

_REASON = {
    "email": Reason.EMAIL_ADDRESS,
    "ip": Reason.IP_ADDRESS,
    "credit_card": Reason.CREDIT_CARD,
    "iban": Reason.IBAN,
    "us_ssn": Reason.NATIONAL_ID,
    "crypto": Reason.CRYPTO_WALLET,
}

_POSSIBLE = {
    "email": r"[^\s@]@\w[\w\-]*\.\w",
    # Only IPv6 of 2000::/3, the one range that names hosts of people, is asked for.
    "ip": r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}|(?i:(?:^|[^\w:])[23][0-9a-f]{3}:[0-9a-f:])",
    "credit_card": r"\b[13456]\d{3}[- ]?\d{3,4}[- ]?\d{3,4}[- ]?\d{3,5}\b",
    "iban": r"(?:^|[^A-Z0-9])[A-Z]{2}[0-9]{2}(?:[ \-]?[A-Z0-9]{4}){2}",
    "us_ssn": r"\b\d{3}[\- .]\d{2}[\- .]\d{4}\b",
    "crypto": r"(?i)(?:bc1|[13])[a-zA-HJ-NP-Z0-9]{25}",
}
"""Looser than presidio's expression for the same entity, in linear time."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PiiConfig:
    """Lists and thresholds of stage 10."""

    replacements: Mapping[str, str]
    """Entity -> text written in its place; entities left out are not looked for."""
    min_score: float
    """Presidio's score below which a match does not count; checksums raise a score to 1."""
    internal_suffixes: tuple[str, ...]
    """Last labels of host names that are not public suffixes and still hold mailboxes."""
    allowed_mailboxes: tuple[str, ...]
    """Local parts that name no person, e.g. `git`."""
    allowed_networks: tuple[str, ...]
    """IP addresses and networks that name no person: public resolvers and the like."""
    version_context: str
    """Expression; an IPv4 address on a line that matches it is a version number."""
    version_numbers_below: int
    """An IPv4 address whose four numbers are all smaller is a version, section or identifier."""
    ssn_delimiters: str
    """Delimiters accepted in a US social security number."""
    card_min_digits: int


def judge_pii(frame: pl.DataFrame, config: PiiConfig, context: JudgeContext) -> list[Verdict]:
    """Marks personal data for redaction."""
    del context
    ids = frame["id"].to_list()
    verdicts: list[Verdict] = []
    for entity in sorted(config.replacements):
        found: dict[int, dict[tuple[int, int], int]] = defaultdict(dict)
        for line in possible_lines(frame["content"], [_POSSIBLE[entity]]):
            for start, end in _find(entity, line.text, config):
                found[line.row][line.start + start, line.start + end] = line.number
        for row, places in sorted(found.items()):
            replacement = config.replacements[entity]
            spans = tuple(Span(start, end, replacement) for start, end in sorted(places))
            where = ", ".join(str(number) for number in sorted(set(places.values()))[:5])
            verdicts.append(
                Verdict(
                    ids[row],
                    Stage.PII,
                    Action.REDACT,
                    _REASON[entity],
                    float(len(spans)),
                    f"{len(spans)} on line {where}",
                    spans,
                )
            )
    return verdicts


def _find(entity: str, text: str, config: PiiConfig) -> Iterator[tuple[int, int]]:
    for result in _recognizer(entity).analyze(text, [entity]):
        if result.score < config.min_score:
            continue
        start, end = int(result.start), int(result.end)
        value = text[start:end]
        before, after = text[max(start - 2, 0) : start], text[end : end + 2]
        if entity == "email" and value.split("@")[0].lower() in config.allowed_mailboxes:
            continue
        if entity == "ip" and not _names_a_host(value, text, before, after, config):
            continue
        if entity == "credit_card" and (
            before.endswith((".", "_"))
            or re.match(r"\.\d|[\w]", after)
            or sum(character.isdigit() for character in value) < config.card_min_digits
        ):
            continue
        if entity == "us_ssn" and not set(re.sub(r"\d", "", value)) <= set(config.ssn_delimiters):
            continue
        yield start, end
    if entity == "email":
        for match in _internal_email(config.internal_suffixes).finditer(text):
            if match.group(1).lower() not in config.allowed_mailboxes:
                yield match.span()


def _names_a_host(value: str, text: str, before: str, after: str, config: PiiConfig) -> bool:
    # 1.3.6.1.4.1 is an object identifier, and 1.2.3.4.dev5 a version.
    if re.search(r"[\d\w]\.$", before) or re.match(r"\.\w", after):
        return False
    address = ipaddress.ip_interface(value).ip
    if not address.is_global or any(
        address in network for network in _networks(config.allowed_networks)
    ):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return address in ipaddress.IPv6Network("2000::/3")
    if all(number < config.version_numbers_below for number in address.packed):
        return False
    return not address.is_multicast and not re.search(config.version_context, text)


@cache
def _networks(
    texts: tuple[str, ...],
) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(text) for text in texts)


@cache
def _internal_email(suffixes: tuple[str, ...]) -> re.Pattern[str]:
    ends = "|".join(re.escape(suffix) for suffix in suffixes)
    return re.compile(
        rf"(?<![\w.+\-@])([\w.+\-]{{1,64}})@(?:[a-zA-Z0-9\-]{{1,63}}\.){{1,8}}(?:{ends})(?![\w\-])"
    )


@cache
def _recognizer(entity: str) -> Any:
    """Makes presidio's recogniser; the first import takes seconds."""
    import tldextract
    from presidio_analyzer.predefined_recognizers import (
        CreditCardRecognizer,
        CryptoRecognizer,
        EmailRecognizer,
        IbanRecognizer,
        IpRecognizer,
        UsSsnRecognizer,
    )

    # No list is fetched and none is cached: the suffixes are those of the installed version.
    extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    class OfflineEmailRecognizer(EmailRecognizer):
        def validate_result(self, pattern_text: str) -> bool:
            return extract(pattern_text).fqdn != ""

    classes: dict[str, Any] = {
        "email": OfflineEmailRecognizer,
        "ip": IpRecognizer,
        "credit_card": CreditCardRecognizer,
        "iban": IbanRecognizer,
        "us_ssn": UsSsnRecognizer,
        "crypto": CryptoRecognizer,
    }
    return classes[entity](supported_entity=entity)


DEFINITION = StageDefinition(Stage.PII, STAGE_VERSION, PiiConfig, judge_pii)
