"""Credentials of a vendor's own form, and what can be told of a token without asking anyone.

The forms stand in `policy/secret_formats.yaml`. A token whose checksum or structure fits is a
`verified_format`: made by the vendor, or by someone who knows how. Whether it still opens anything
is never asked; nothing here reaches a network.
"""

from __future__ import annotations

import base64
import re
import string
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tritter_assets.errors import ContractViolation
from tritter_assets.filters.secret_lines import FORMAT_RUNS

FILE_NAME = "secret_formats.yaml"

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_PEM_BODY = re.compile(
    r"-----BEGIN ([A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?)-----(.*?)-----END \1-----", re.DOTALL
)
_KEYS = {"prefixes", "expression", "check", "run"}


@dataclass(frozen=True, slots=True)
class SecretFormat:
    """One vendor's token."""

    name: str
    prefixes: tuple[str, ...]
    """Literals, lower case, one of which every match holds."""
    expression: re.Pattern[str]
    run: int
    """Length of a run of token characters that every match holds; one of `FORMAT_RUNS`."""
    check: str | None
    """Key of `CHECKS`, or None: the form alone."""


@dataclass(frozen=True, slots=True)
class SecretFormats:
    """The forms in force."""

    formats: tuple[SecretFormat, ...]
    min_distinct: int
    """Tokens with fewer different characters are placeholders."""

    @property
    def prefixes(self) -> tuple[tuple[str, int], ...]:
        """All literals and the run beside each, sorted."""
        return tuple(
            sorted({(prefix, form.run) for form in self.formats for prefix in form.prefixes})
        )

    def find(self, text: str) -> Iterator[tuple[SecretFormat, int, int]]:
        """Yields form, start and end of each token in a text."""
        lower = text.lower()
        for form in self.formats:
            if not any(prefix in lower for prefix in form.prefixes):
                continue
            for match in form.expression.finditer(text):
                if len(set(match.group())) >= self.min_distinct:
                    yield form, match.start(), match.end()

    def is_verified(self, token: str) -> bool:
        """Whether the token is one of a form whose checksum or structure fits."""
        return any(
            form.check is not None and CHECKS[form.check](token)
            for form in self.formats
            if form.expression.fullmatch(token)
        )


NO_FORMATS = SecretFormats((), 0)


@lru_cache(maxsize=8)
def load_formats(path: Path) -> SecretFormats:
    """Reads `policy/secret_formats.yaml`; read once per process and file.

    Raises:
        ContractViolation: an expression, a check or a key is not usable.
    """
    import yaml

    raw = yaml.safe_load(path.read_text("utf-8"))
    forms = tuple(
        _format(path, name, entry) for name, entry in sorted(raw.get("formats", {}).items())
    )
    return SecretFormats(forms, int(raw.get("min_distinct", 0)))


def _format(path: Path, name: str, entry: Mapping[str, Any]) -> SecretFormat:
    where = f"{path.name}: formats.{name}"
    unknown = sorted(set(entry) - _KEYS)
    if unknown or "expression" not in entry or not entry.get("prefixes"):
        raise ContractViolation(
            f"{where}: unknown keys {unknown}; a form takes {sorted(_KEYS)}, "
            "of which prefixes and expression are required"
        )
    check = entry.get("check")
    if check is not None and check not in CHECKS:
        raise ContractViolation(f"{where}.check: no check {check!r}; there are {sorted(CHECKS)}")
    prefixes = tuple(str(prefix).lower() for prefix in entry["prefixes"])
    if not all(prefix.isascii() and prefix for prefix in prefixes):
        raise ContractViolation(f"{where}.prefixes: {list(prefixes)}: ASCII literals are wanted")
    try:
        expression = re.compile(
            rf"(?<![A-Za-z0-9])(?:{entry['expression']})(?![A-Za-z0-9])", re.ASCII
        )
    except re.error as error:
        raise ContractViolation(f"{where}.expression: {error}") from None
    run = entry.get("run", 0)
    if run not in FORMAT_RUNS:
        raise ContractViolation(f"{where}.run: {run!r} is none of {list(FORMAT_RUNS)}")
    return SecretFormat(name, prefixes, expression, run, check)


def is_base62_checksum(token: str) -> bool:
    """Whether a GitHub or npm token ends in the CRC-32 of what stands between it and its prefix."""
    body = token.partition("_")[2]
    value, digits = zlib.crc32(body[:-6].encode()), ""
    while value:
        value, digit = divmod(value, 62)
        digits = _BASE62[digit] + digits
    return digits.rjust(6, "0") == body[-6:]


def is_base32(token: str) -> bool:
    """Whether an AWS key id's last 16 characters are base32, as its account number is."""
    try:
        base64.b32decode(token[-16:])
    except ValueError:
        return False
    return True


def is_base64(token: str) -> bool:
    """Whether what follows the token's vendor decodes as base64, of either alphabet."""
    body = token.removeprefix("pypi-").removeprefix("ABSK").rstrip("=").translate(_URL_SAFE)
    try:
        base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except ValueError:
        return False
    return True


_URL_SAFE = str.maketrans("-_", "+/")

CHECKS: Mapping[str, Callable[[str], bool]] = {
    "crc32_base62": is_base62_checksum,
    "base32": is_base32,
    "base64": is_base64,
}
"""Name in the policy -> test of a token of that form."""


def is_private_key(text: str) -> bool:
    """Whether a PEM block's body is what its label says: DER of its own length, OpenSSH or PGP.

    Args:
        text: From the BEGIN to the END line; line ends may be escaped, as in JSON.
    """
    match = _PEM_BODY.search(text)
    if match is None:
        return False
    label, written = match.group(1), match.group(2)
    lines = [
        line
        for line in written.replace("\\n", "\n").replace("\\r", "").splitlines()
        if ":" not in line and not line.startswith("=")
    ]
    # A plus sign belongs to the body, or marks an added line of a diff, or joins quoted lines.
    plain = [line.strip(" \t\"',") for line in lines]
    bodies = (
        "".join(plain),
        "".join(line.removeprefix("+") for line in plain),
        "".join(line.strip(" \t\"',+") for line in lines),
    )
    return any(_is_key_body(label, body, encrypted="DEK-Info:" in written) for body in bodies)


def _is_key_body(label: str, body: str, *, encrypted: bool) -> bool:
    try:
        raw = base64.b64decode(body, validate=True)
    except ValueError:
        return False
    if label.startswith("OPENSSH"):
        return raw.startswith(b"openssh-key-v1\x00")
    if label.startswith("PGP"):
        return len(raw) > 64 and raw[0] & 0x80 != 0
    # Encrypted by OpenSSL's old scheme: the headers say so and the body is cipher text.
    if encrypted:
        return len(raw) % 8 == 0 and len(raw) >= 64
    return _is_der_sequence(raw)


def _is_der_sequence(raw: bytes) -> bool:
    if len(raw) < 16 or raw[0] != 0x30:
        return False
    if raw[1] < 0x80:
        return len(raw) == 2 + raw[1]
    size = raw[1] & 0x7F
    return 1 <= size <= 4 and len(raw) == 2 + size + int.from_bytes(raw[2 : 2 + size])
