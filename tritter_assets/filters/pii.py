"""Stage 10: personal data that has a form: e-mail, IP, card, IBAN, US SSN, crypto wallet.

`pii_detect` finds what presidio's own pattern recognisers find, exactly; this stage decides which
of it is redacted, by rules that stand in `policy/filters.yaml`: a code corpus is full of version
numbers, object identifiers and loopback addresses that have the form of personal data. Presidio's
e-mail recogniser wants a public suffix; a further expression finds internal hosts (`.internal`,
`.corp`, ...).

Output: one `redact` verdict per document and reason, with the spans. Blind spots: names, addresses
and phone numbers have no reliable form; a model looks for them on an audit sample only.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import polars as pl

from tritter_assets.filters.contract import JudgeContext, StageDefinition
from tritter_assets.filters.pii_detect import detect_pii
from tritter_assets.verdict import Action, Reason, Span, Stage, Verdict

STAGE_VERSION = "2"
"""2: whole documents are searched, not lines; a match may not hide at a cut of a long line."""

_LINES_SHOWN = 5
_CONTEXT_CHARS = 500
"""Of its line, so much on either side says whether an address is a version number."""

_REASON = {
    "email": Reason.EMAIL_ADDRESS,
    "ip": Reason.IP_ADDRESS,
    "credit_card": Reason.CREDIT_CARD,
    "iban": Reason.IBAN,
    "us_ssn": Reason.NATIONAL_ID,
    "crypto": Reason.CRYPTO_WALLET,
}


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
    contents = frame["content"]
    found: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
    lines: dict[tuple[str, int], list[int]] = defaultdict(list)
    findings = detect_pii(
        contents,
        config.replacements,
        min_score=config.min_score,
        internal_suffixes=config.internal_suffixes,
    )
    for row, of_row in groupby(findings, key=lambda finding: finding.row):
        text = contents[row]
        for _, entity, start, end, _ in of_row:
            if _counts(entity, text, start, end, config):
                found[entity, row].add((start, end))
                if len(lines[entity, row]) < _LINES_SHOWN:
                    lines[entity, row].append(text.count("\n", 0, start) + 1)
    ids = frame["id"].to_list()
    verdicts: list[Verdict] = []
    for (entity, row), places in sorted(found.items()):
        replacement = config.replacements[entity]
        spans = tuple(Span(start, end, replacement) for start, end in sorted(places))
        where = ", ".join(str(number) for number in sorted(set(lines[entity, row])))
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


def _counts(entity: str, text: str, start: int, end: int, config: PiiConfig) -> bool:
    """Says whether the policy wants a finding redacted."""
    value = text[start:end]
    before, after = text[max(start - 2, 0) : start], text[end : end + 2]
    if entity == "email":
        return value.split("@")[0].lower() not in config.allowed_mailboxes
    if entity == "ip":
        line_start = text.rfind("\n", max(start - _CONTEXT_CHARS, 0), start) + 1
        line_end = text.find("\n", end, end + _CONTEXT_CHARS)
        line_end = line_end if line_end >= 0 else end + _CONTEXT_CHARS
        line = text[line_start or max(start - _CONTEXT_CHARS, 0) : line_end]
        return _names_a_host(value, line, before, after, config)
    if entity == "credit_card":
        return not (
            before.endswith((".", "_"))
            or re.match(r"\.\d|[\w]", after)
            or sum(character.isdigit() for character in value) < config.card_min_digits
        )
    if entity == "us_ssn":
        return set(re.sub(r"\d", "", value)) <= set(config.ssn_delimiters)
    return True


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


DEFINITION = StageDefinition(Stage.PII, STAGE_VERSION, PiiConfig, judge_pii)
