"""Lines that a credential's detector must see, found in one compiled pass.

Every detector of detect-secrets has a rule here that its own expression cannot match without: a
literal (all of them in one automaton, without case), a run of characters, or both. `secret_kernel`
finds both at once; what it lets through meets the detector itself (`secret_plugins`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from tritter_assets.filters.kernels import ByteColumn

PLUGINS = (
    "AWSKeyDetector", "ArtifactoryDetector", "AzureStorageKeyDetector", "Base64HighEntropyString",
    "BasicAuthDetector", "CloudantDetector", "DiscordBotTokenDetector", "GitHubTokenDetector",
    "GitLabTokenDetector", "HexHighEntropyString", "IPPublicDetector", "IbmCloudIamDetector",
    "IbmCosHmacDetector", "JwtTokenDetector", "KeywordDetector", "MailchimpDetector",
    "NpmDetector", "OpenAIDetector", "PrivateKeyDetector", "PypiTokenDetector",
    "SendGridDetector", "SlackDetector", "SoftlayerDetector", "SquareOAuthDetector",
    "StripeDetector", "TelegramBotTokenDetector", "TwilioKeyDetector",
)  # fmt: skip
"""Plugins of detect-secrets 1.5; the place of a name is its bit."""

FORMATS = "formats"
"""Beside the plugins: vendors' formats of `policy/secret_formats.yaml`."""

DETECTORS = (*PLUGINS, FORMATS)

FORMAT_RUNS = (0, 20, 24, 36, 40, 48, 64)
"""Runs that a vendor's form may promise; 20 is of capitals and digits, 0 promises none."""

# Bits of literals: first those that grant their detector alone, then what rules join.
_TOKEN_WORD, _SECRET_WORD, _KEYWORD, _AWS, _AWS_ID, _URL, _AT, _QUOTE, _ASSIGN = range(9)
_CL, _SL, _US, _SG, _GITHUB, _GITLAB, _OPENAI = range(9, 16)
_ALONE = 16
_FORMAT_OF_RUN = {run: 25 + place for place, run in enumerate(FORMAT_RUNS)}
_ALONE_PLUGINS = (
    "AzureStorageKeyDetector", "JwtTokenDetector", "NpmDetector", "PrivateKeyDetector",
    "PypiTokenDetector", "SlackDetector", "SoftlayerDetector", "SquareOAuthDetector",
    "StripeDetector",
)  # fmt: skip

_STEMS = ("api", "auth", "service", "account", "db", "database", "priv", "private", "client")
_KEYWORDS = (
    *(f"{stem}{joint}key" for stem in _STEMS for joint in ("", "_")),
    *(f"{stem}{joint}pass" for stem in ("db", "database", "key") for joint in ("", "_")),
    "password", "passwd", "pwd", "secret", "contrase",
)  # fmt: skip

_LITERALS: Mapping[int, Sequence[str]] = {
    _TOKEN_WORD: ("key", "pwd", "pw", "pass", "token"),
    _SECRET_WORD: ("secret",),
    _KEYWORD: _KEYWORDS,
    _AWS: ("aws",),
    _AWS_ID: ("a3t", "abia", "acca", "akia", "asia"),
    _URL: ("://",),
    _AT: ("@",),
    _QUOTE: ('"', "'", "`"),
    _ASSIGN: ("=", ":"),
    _CL: ("cl",),
    _SL: ("sl", "softlayer"),
    _US: ("-us",),
    _SG: ("sg.",),
    _GITHUB: ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    _GITLAB: (
        "glpat-", "gldt-", "glft-", "glsoat-", "glrt-", "gr1348941", "glcbt-", "glimt-", "glptt-",
        "glagent-", "gloas-",
    ),
    _OPENAI: ("t3blbkfj",),
}  # fmt: skip
_ALONE_LITERALS: Mapping[str, Sequence[str]] = {
    "AzureStorageKeyDetector": ("accountkey=",),
    "JwtTokenDetector": ("eyj",),
    "NpmDetector": ("_authtoken=",),
    "PrivateKeyDetector": ("begin dsa private key", "begin ec private key", "putty-user-key-file",
        "begin openssh private key", "begin pgp private key", "begin private key",
        "begin rsa private key", "begin ssh2 encrypted private key"),
    "PypiTokenDetector": ("pypi-age",),
    "SlackDetector": ("xox", "hooks.slack.com"),
    "SoftlayerDetector": ("api.softlayer.com",),
    "SquareOAuthDetector": ("sq0csp-",),
    "StripeDetector": ("k_live_",),
}  # fmt: skip


class Candidate(NamedTuple):
    """A line that detectors must see."""

    row: int
    """Row of the column."""
    number: int
    """1-based; lines end at a line feed, a carriage return, or both."""
    start: int
    """Bytes of the whole column before the line."""
    end: int
    mask: int
    """Bit i is set when `DETECTORS[i]` must see the line."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """What the pass found, and the bytes it read."""

    column: ByteColumn
    lines: tuple[np.ndarray[Any, Any], ...]

    def __iter__(self) -> Iterator[Candidate]:
        """Yields lines in the order of the text."""
        for values in zip(*(array.tolist() for array in self.lines), strict=True):
            yield Candidate(*values)


def candidate_lines(
    content: pl.Series,
    *,
    prefixes: tuple[tuple[str, int], ...] = (),
    hex_limit: float = 3.0,
    base64_limit: float = 4.5,
) -> Candidates:
    """Finds the lines of a column that detectors must see.

    Args:
        content: Documents, without nulls.
        prefixes: Literals of vendors' formats, ASCII, and the run (`FORMAT_RUNS`) beside each.
        hex_limit: Entropy over which HexHighEntropyString finds.
        base64_limit: The same for Base64HighEntropyString.
    """
    from tritter_assets.filters import secret_kernel

    scan: Any = secret_kernel.scan_lines
    column = ByteColumn.of(content)
    tables = (*_tables(prefixes), *_rules(), hex_limit, base64_limit)
    num_bytes = int(column.offsets[-1] - column.offsets[0])
    # Code has one such line in 20 KB, a page of secrets one in 30 bytes.
    for capacity in (1024 + num_bytes // 1024, num_bytes + len(content)):
        *lines, num_lines = scan(column.data, column.offsets, *tables, capacity)
        if num_lines >= 0:
            return Candidates(column, tuple(array[:num_lines] for array in lines))
    raise AssertionError("more lines than bytes")


@cache
def _tables(prefixes: tuple[tuple[str, int], ...]) -> tuple[Any, ...]:
    from tritter_assets.filters import secret_kernel

    literals: dict[str, int] = {}
    for bit, words in _LITERALS.items():
        for word in words:
            literals[word] = literals.get(word, 0) | 1 << bit
    for place, name in enumerate(_ALONE_PLUGINS):
        for word in _ALONE_LITERALS[name]:
            literals[word] = literals.get(word, 0) | 1 << (_ALONE + place)
    for word, run in prefixes:
        literals[word.lower()] = literals.get(word.lower(), 0) | 1 << _FORMAT_OF_RUN[run]
    classes, table, first_accepting, outputs = _automaton(literals)
    special = np.zeros(1 << 17, np.bool_)
    for code in range(128, 1 << 17):
        if not 0xD800 <= code < 0xE000:
            special[code] = _counts_as_ascii(chr(code))
    return secret_kernel.byte_flags(), classes, table, first_accepting, outputs, special


def _counts_as_ascii(char: str) -> bool:
    r"""Whether Python's `\d`, `\s` or, without case, `[a-z]` match a character beyond ASCII."""
    return char.isspace() or char.isdecimal() or char in "\u0130\u0131\u017f\u212a"


def _automaton(literals: Mapping[str, int]) -> tuple[Any, ...]:
    """Builds a complete automaton over lower-cased bytes; accepting states come last.

    Returns:
        The class of each byte, next state by state and class, the first accepting state and the
        bits of each state.
    """
    used = sorted({byte for word in literals for byte in word.encode()})
    classes = np.zeros(256, np.uint8)
    for number, byte in enumerate(used, start=1):
        classes[byte] = number
        classes[ord(chr(byte).upper())] = number
    children: list[dict[int, int]] = [{}]
    bits = [0]
    for word, value in sorted(literals.items()):
        state = 0
        for byte in word.encode():
            kind = int(classes[byte])
            if kind not in children[state]:
                children[state][kind] = len(children)
                children.append({})
                bits.append(0)
            state = children[state][kind]
        bits[state] |= value
    size = len(children)
    table = np.zeros((size, len(used) + 1), np.int64)
    failure = [0] * size
    queue = deque([0])
    while queue:
        state = queue.popleft()
        bits[state] |= bits[failure[state]]
        for kind in range(1, len(used) + 1):
            child = children[state].get(kind)
            fallback = 0 if state == 0 else int(table[failure[state], kind])
            if child is None:
                table[state, kind] = fallback
            else:
                failure[child] = fallback
                table[state, kind] = child
                queue.append(child)
    order = sorted(range(size), key=lambda state: (bits[state] != 0, state))
    place = np.empty(size, np.int64)
    place[order] = np.arange(size)
    moved = np.zeros((size, 64), np.uint16)
    moved[:, : table.shape[1]] = place[table[order]]
    outputs = np.array([bits[state] for state in order], np.uint64)
    return classes, moved, int((outputs == 0).sum()), outputs


@cache
def _rules() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Lists (bits that must all be set, detectors that must then see the line)."""
    from tritter_assets.filters import secret_kernel as kernel

    token, quote = 1 << _TOKEN_WORD, 1 << _QUOTE
    runs = {
        0: 0, 20: kernel.RUN_UPPER20, 24: kernel.RUN_24, 36: kernel.RUN_36, 40: kernel.RUN_40,
        48: kernel.RUN_48, 64: kernel.RUN_64,
    }  # fmt: skip
    rules: list[tuple[int, str]] = [
        (1 << _AWS_ID | kernel.RUN_UPPER20, "AWSKeyDetector"),
        (1 << _AWS | token | kernel.QUOTED_40, "AWSKeyDetector"),
        (kernel.RUN_ARTIFACTORY, "ArtifactoryDetector"),
        (kernel.QUOTED_BASE64, "Base64HighEntropyString"),
        (1 << _URL | 1 << _AT, "BasicAuthDetector"),
        (1 << _CL | token | kernel.RUN_24, "CloudantDetector"),
        # cloudant.com URLs: account, colon, key, at sign.
        (1 << _CL | 1 << _URL | 1 << _AT | kernel.RUN_24, "CloudantDetector"),
        (kernel.RUN_DISCORD, "DiscordBotTokenDetector"),
        (1 << _GITHUB | kernel.RUN_40, "GitHubTokenDetector"),
        (1 << _GITLAB | kernel.RUN_24, "GitLabTokenDetector"),
        (kernel.QUOTED_HEX, "HexHighEntropyString"),
        (kernel.FOUR_NUMBERS, "IPPublicDetector"),
        (token | kernel.RUN_44, "IbmCloudIamDetector"),
        (1 << _SECRET_WORD | token | kernel.RUN_48, "IbmCosHmacDetector"),
        (1 << _KEYWORD | quote, "KeywordDetector"),
        (1 << _KEYWORD | 1 << _ASSIGN, "KeywordDetector"),
        (1 << _US | kernel.RUN_36, "MailchimpDetector"),
        (1 << _OPENAI | kernel.RUN_48, "OpenAIDetector"),
        (1 << _SG | kernel.RUN_40, "SendGridDetector"),
        (1 << _SL | token | kernel.RUN_64, "SoftlayerDetector"),
        (kernel.RUN_TELEGRAM, "TelegramBotTokenDetector"),
        (kernel.RUN_TWILIO, "TwilioKeyDetector"),
        *((1 << (_ALONE + place), name) for place, name in enumerate(_ALONE_PLUGINS)),
        *((1 << _FORMAT_OF_RUN[run] | runs[run], FORMATS) for run in FORMAT_RUNS),
    ]
    required = np.array([bits for bits, _ in rules], np.uint64)
    granted = np.array([1 << DETECTORS.index(name) for _, name in rules], np.uint64)
    return required, granted
